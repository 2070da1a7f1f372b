// The contract suites on core/redis: one private redis-server for all of them, emptied for each, in real time.
#include <boost/asio/io_context.hpp>
#include <thread>
#include <vector>

#include "core/redis/backend.hpp"
#include "tests/contract/harness.hpp"
#include "tests/support/redis_server.hpp"

namespace wsr::contract {
namespace {

class RedisHarness final : public Harness {
public:
  RedisHarness(test::RedisServer& redis, const Setup& setup) : redis_(redis), setup_(setup) { redis_.flushall(); }

  Backend& server(int n) override {
    while (servers_.size() < static_cast<std::size_t>(n)) {
      redis::Options options;
      options.address = redis::Address::parse(redis_.url()).value();
      options.owners_max = setup_.owners_max;
      options.memberships_max = setup_.memberships_max;
      auto server = std::make_unique<Server>();
      server->backend = redis::make_backend(io_, options, server->heard, server->heard);
      server->backend->start();
      servers_.push_back(std::move(server));
      Recorder& heard = servers_.back()->heard;
      REQUIRE(wait_until([&] { return !heard.states.empty() && heard.states.back() == StoreState::up; }, patience));
    }
    return *servers_[static_cast<std::size_t>(n) - 1]->backend;
  }

  Recorder& heard(int n) override { return servers_[static_cast<std::size_t>(n) - 1]->heard; }

  StoreTime now() override {
    // Same machine, same clock: what Redis' TIME reads.
    return StoreTime{
        std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::system_clock::now().time_since_epoch())};
  }

  void run_for(milliseconds duration) override {
    const auto until = std::chrono::steady_clock::now() + duration;
    while (std::chrono::steady_clock::now() < until) io_.run_until(until);
  }

  bool wait_until(const std::function<bool()>& is_true, milliseconds deadline) override {
    const auto until = std::chrono::steady_clock::now() + deadline;
    while (!is_true() && std::chrono::steady_clock::now() < until) io_.run_one_for(milliseconds{10});
    return is_true();
  }

  [[nodiscard]] bool is_time_virtual() const override { return false; }
  /// Each server goes by the sum that it has read last.
  [[nodiscard]] bool is_owners_max_hard() const override { return false; }

private:
  struct Server {
    Recorder heard;
    std::unique_ptr<Backend> backend;  // ends before its listener
  };
  test::RedisServer& redis_;
  Setup setup_;
  boost::asio::io_context io_;
  std::vector<std::unique_ptr<Server>> servers_;  // [n - 1] is server n
};

}  // namespace

std::unique_ptr<Harness> make_harness(const Setup& setup) {
  if (!test::find_redis_server()) {
    WARN(test::no_redis_server);
    return nullptr;
  }
  static test::RedisServer redis;
  return std::make_unique<RedisHarness>(redis, setup);
}

}  // namespace wsr::contract
