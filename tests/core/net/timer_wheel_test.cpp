#include "core/net/timer_wheel.hpp"

#include <catch2/catch.hpp>
#include <functional>
#include <memory>

using namespace wsr;
using namespace wsr::net;
using namespace std::chrono_literals;

namespace {

struct Entry final : TimerEntry {
  void on_deadline(Time now) override {
    fired_at = now;
    ++fired;
    if (then) then(now);
  }
  Time fired_at{};
  int fired = 0;
  std::function<void(Time)> then;
};

Time at(Duration since) { return Time{} + since; }

}  // namespace

TEST_CASE("a deadline fires at the first tick after it, never early") {
  TimerWheel wheel(at(0ms), 100ms, 8);
  Entry entry;
  wheel.set(entry, at(250ms));
  wheel.advance(at(299ms));
  CHECK(entry.fired == 0);
  wheel.advance(at(300ms));
  CHECK(entry.fired == 1);
  CHECK_FALSE(entry.is_set());
}

TEST_CASE("a deadline in the past fires at the next tick") {
  TimerWheel wheel(at(1s), 100ms, 8);
  Entry entry;
  wheel.set(entry, at(0ms));
  wheel.advance(at(1s));
  CHECK(entry.fired == 0);
  wheel.advance(at(1100ms));
  CHECK(entry.fired == 1);
}

TEST_CASE("a deadline beyond the wheel waits further rounds") {
  TimerWheel wheel(at(0ms), 100ms, 8);
  Entry entry;
  wheel.set(entry, at(5s));
  for (auto now = 100ms; now < 5000ms; now += 100ms) wheel.advance(at(now));
  CHECK(entry.fired == 0);
  wheel.advance(at(5s));
  CHECK(entry.fired == 1);
}

TEST_CASE("after a long pause everything that is due fires once, the rest stays") {
  TimerWheel wheel(at(0ms), 100ms, 8);
  Entry soon, late, later;
  wheel.set(soon, at(100ms));
  wheel.set(late, at(60s));
  wheel.set(later, at(90s));
  wheel.advance(at(61s));
  CHECK(soon.fired == 1);
  CHECK(late.fired == 1);
  CHECK(later.fired == 0);
  wheel.advance(at(90s));
  CHECK(later.fired == 1);
}

TEST_CASE("setting again moves a deadline, cancel takes it away, and so does the entry's end") {
  TimerWheel wheel(at(0ms), 100ms, 8);
  Entry moved, cancelled;
  auto destroyed = std::make_unique<Entry>();
  wheel.set(moved, at(100ms));
  wheel.set(moved, at(400ms));
  wheel.set(cancelled, at(100ms));
  wheel.set(*destroyed, at(100ms));
  cancelled.cancel();
  destroyed.reset();
  wheel.advance(at(300ms));
  CHECK(moved.fired == 0);
  CHECK(cancelled.fired == 0);
  wheel.advance(at(400ms));
  CHECK(moved.fired == 1);
}

TEST_CASE("an entry may set itself again and destroy its neighbour while it fires") {
  TimerWheel wheel(at(0ms), 100ms, 8);
  Entry again;
  auto neighbour = std::make_unique<Entry>();
  again.then = [&](Time now) {
    neighbour.reset();
    if (again.fired < 3) wheel.set(again, now + 100ms);
  };
  wheel.set(again, at(100ms));
  wheel.set(*neighbour, at(100ms));
  for (auto now = 100ms; now <= 1000ms; now += 100ms) wheel.advance(at(now));
  CHECK(again.fired == 3);
}
