#include "core/net/listener.hpp"

#include <sys/resource.h>

#include <boost/asio/io_context.hpp>
#include <catch2/catch.hpp>
#include <optional>

using namespace wsr::net;
using namespace std::chrono_literals;

namespace {

/// No descriptor can be had while this lives.
class Exhausted {
public:
  Exhausted() {
    REQUIRE(::getrlimit(RLIMIT_NOFILE, &before_) == 0);
    rlimit none = before_;
    none.rlim_cur = 0;
    REQUIRE(::setrlimit(RLIMIT_NOFILE, &none) == 0);
  }
  ~Exhausted() { ::setrlimit(RLIMIT_NOFILE, &before_); }
  Exhausted(const Exhausted&) = delete;
  Exhausted& operator=(const Exhausted&) = delete;

private:
  rlimit before_{};
};

}  // namespace

TEST_CASE("without a descriptor accepting is said to pause, and goes on when there is one") {
  asio::io_context io{1};
  auto acceptors = listen_on({&io}, {asio::ip::address_v4::loopback(), 0});
  std::vector<TcpSocket> taken;
  std::vector<error_code> troubles;
  Listener listener(
      std::move(acceptors.front()), io, [&](TcpSocket socket) { taken.push_back(std::move(socket)); },
      [] { return true; }, [&](const error_code& error) { troubles.push_back(error); });
  listener.start();
  TcpSocket peer(io);
  peer.connect({asio::ip::address_v4::loopback(), listener.port()});
  {
    const Exhausted exhausted;
    while (troubles.empty() && io.run_one_for(10s) != 0) {
    }
  }
  REQUIRE(troubles.size() == 1);
  CHECK(troubles.front() == boost::system::errc::too_many_files_open);
  CHECK(taken.empty());
  while (taken.empty() && io.run_one_for(10s) != 0) {
  }
  CHECK(taken.size() == 1);
  CHECK(troubles.size() == 1);
  listener.stop();
}
