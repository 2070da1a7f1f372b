// Against the kernel itself: which of its figures are kept in a queue is what these functions stand on.
#include "core/net/peer_state.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/write.hpp>
#include <catch2/catch.hpp>
#include <chrono>
#include <string>
#include <thread>

using namespace wsr::net;
using namespace std::chrono_literals;
namespace asio = boost::asio;
using asio::ip::tcp;

namespace {

using Clock = std::chrono::steady_clock;
constexpr auto kernel_step = 20ms;  // of what it tells; two ticks

/// However long this machine has taken: the age is that of bytes that were said not before `said`.
bool is_at_most(wsr::Duration age, Clock::time_point said) { return age <= Clock::now() - said + kernel_step; }

struct Queue {
  asio::io_context io;
  tcp::acceptor acceptor{io, {asio::ip::address_v4::loopback(), 0}};
  tcp::socket connect() {
    tcp::socket peer(io);
    peer.connect(acceptor.local_endpoint());
    return peer;
  }
};

}  // namespace

TEST_CASE("the age of a request is counted from its last byte, through the queue, a FIN and our reading it") {
  Queue queue;
  auto old = queue.connect();
  asio::write(old, asio::buffer("request", 7));
  std::this_thread::sleep_for(300ms);
  old.shutdown(tcp::socket::shutdown_send);
  auto fresh = queue.connect();
  auto said = Clock::now();
  asio::write(fresh, asio::buffer("request", 7));
  auto first = queue.acceptor.accept(), second = queue.acceptor.accept();
  const auto age = age_of_last_bytes(first.native_handle());
  CHECK(age >= 280ms);
  CHECK(age < 60s);
  char bytes[7];
  CHECK(first.read_some(asio::buffer(bytes)) == 7);
  CHECK(age_of_last_bytes(first.native_handle()) >= age);
  CHECK(is_at_most(age_of_last_bytes(second.native_handle()), said));

  // A connection that is old, and has been silent: what it says now is new.
  std::this_thread::sleep_for(300ms);
  said = Clock::now();
  asio::write(fresh, asio::buffer("more", 4));
  CHECK(second.read_some(asio::buffer(bytes)) == 7);  // what it had said before
  char more[4];
  CHECK(second.read_some(asio::buffer(more)) == 4);
  CHECK(is_at_most(age_of_last_bytes(second.native_handle()), said));
}

TEST_CASE("a peer that has shut down, closed or broken its connection is seen before its bytes are read") {
  Queue queue;
  auto open = queue.connect(), shut = queue.connect(), closed = queue.connect(), broken = queue.connect();
  for (auto* peer : {&open, &shut, &closed, &broken}) asio::write(*peer, asio::buffer("x", 1));
  shut.shutdown(tcp::socket::shutdown_send);
  closed.close();
  broken.set_option(asio::socket_base::linger(true, 0));
  broken.close();
  auto of_open = queue.acceptor.accept();
  CHECK_FALSE(has_peer_ended(of_open.native_handle()));
  CHECK(has_peer_ended(queue.acceptor.accept().native_handle()));
  CHECK(has_peer_ended(queue.acceptor.accept().native_handle()));
  CHECK(has_peer_ended(queue.acceptor.accept().native_handle()));
  CHECK_FALSE(has_peer_ended(of_open.native_handle()));
}

TEST_CASE("of what is no connection nothing is known") {
  CHECK_FALSE(has_peer_ended(-1));
  CHECK(age_of_last_bytes(-1) == wsr::Duration::zero());
}
