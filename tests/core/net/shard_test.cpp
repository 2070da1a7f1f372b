// The clock of a shard, and what a hub makes of its options.
#include "core/net/shard.hpp"

#include <time.h>

#include <catch2/catch.hpp>

#include "core/net/hub.hpp"
#include "core/net/memory_backend.hpp"

using namespace wsr;
using namespace wsr::net;
using namespace std::chrono_literals;

namespace {

struct Nobody final : ShardWorld {
  void wake(ConnId) override {}
  void close(ConnId, std::uint16_t, std::string_view) override {}
  void on_owned(ConnId, Errc, std::string_view) override {}
  void flush() override {}
  void add_figures(ServerStats&) const override {}
};

HubOptions named(const char* name, BatchKeys keys = {}) {
  HubOptions options;
  options.self = ServerId::make(name, "a1").value();
  options.keys = std::move(keys);
  return options;
}

/// A store of another fabric, that may lose rows.
class Binding final : public Backend {
public:
  explicit Binding(std::unique_ptr<Backend> inner) : inner_(std::move(inner)) {}
  void start() override { inner_->start(); }
  void stop() override { inner_->stop(); }
  void call(Ticket ticket, StoreCall&& call) override { inner_->call(ticket, std::move(call)); }
  Tables& tables() override { return inner_->tables(); }
  BatchKeys bound(BatchKeys keys) const override {
    for (BatchKey& key : keys.keys) key.secret += " of this fabric";
    return keys;
  }
  bool may_evict() const override { return true; }
  void end_turn() override { inner_->end_turn(); }

private:
  std::unique_ptr<Backend> inner_;
};

BackendFactory binding() {
  return [inner = memory_backend({})](asio::io_context& io, AnswerSink& answers, BusListener& listener) {
    return std::make_unique<Binding>(inner(io, answers, listener));
  };
}

Time boot_time() {
  timespec now{};
  REQUIRE(::clock_gettime(CLOCK_BOOTTIME, &now) == 0);
  return Time{
      std::chrono::duration_cast<Duration>(std::chrono::seconds{now.tv_sec} + std::chrono::nanoseconds{now.tv_nsec})};
}

}  // namespace

TEST_CASE("an input that comes late in a turn sees the time at which it comes, not that of the turn's beginning") {
  asio::io_context io{1};
  Hub hub(io, named("late"), memory_backend({}));
  Nobody nobody;
  Shard shard(io, hub, 0, nobody, {});
  hub.add_shard(shard);
  shard.touch();
  const Time begin = shard.now();
  while (clock_now() < begin + 2ms) {
  }
  (void)shard.input();  // the same turn: its end is posted and has not run
  CHECK(shard.now() >= begin + 2ms);
  const Time then = shard.now();
  while (clock_now() < then + 2ms) {
  }
  (void)shard.further_input();
  CHECK(shard.now() == then);
  shard.touch();
  CHECK(shard.now() >= then + 2ms);
}

TEST_CASE("the local clock counts while the machine is suspended, and timers are set by it all the same") {
  const Time before = boot_time();
  const Time now = clock_now();
  CHECK(now >= before);
  CHECK(now <= boot_time());
  // Whatever the two clocks are apart, what is in a second here is in a second there.
  const auto steady = std::chrono::steady_clock::now();
  const auto fires = to_steady(clock_now() + 1s);
  CHECK(fires >= steady + 1s - 1ms);
  CHECK(fires <= std::chrono::steady_clock::now() + 1s);
}

TEST_CASE("keys are bound to the store's fabric and rows are verified without the application's help") {
  asio::io_context io{1};
  const BatchKeys keys{{{"k1", "a secret of some length"}}};
  Hub hub(io, named("bound", keys), binding());
  REQUIRE(hub.options().keys.keys.size() == 1);
  CHECK(hub.options().keys.keys[0].secret == "a secret of some length of this fabric");
  CHECK(hub.fitting({}).verify_every == verify_every_default);
  Limits own;
  own.verify_every = 1min;
  CHECK(hub.fitting(own).verify_every == 1min);

  Hub lossless(io, named("lossless", keys), memory_backend({}));
  CHECK(lossless.options().keys.keys[0].secret == "a secret of some length");
  CHECK(lossless.fitting({}).verify_every == Duration::zero());
}
