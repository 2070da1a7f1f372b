#include "core/routing/keeper.hpp"

#include <catch2/catch.hpp>
#include <deque>
#include <string>
#include <variant>
#include <vector>

#include "core/base/overload.hpp"

using namespace wsr;
using namespace std::chrono_literals;

namespace {

const ServerId me = ServerId::trusted("me~1");
const ServerId other = ServerId::trusted("other~1");

// A world of one Keeper: its calls are recorded, the test answers them.
struct World final : Store, Clock, KeeperEvents {
  Keeper keeper{KeeperOptions{.self = me,
                              .info = {},
                              .lease = 6'000ms,
                              .probe_every = 500ms,
                              .probes_max = 3,
                              .keys = {},
                              .role = KeeperOptions::Role::server},
                *this, *this, *this};
  Time time{};
  std::vector<std::pair<Ticket, std::string>> calls;
  std::vector<std::string> probes;
  std::vector<Readiness> lights;
  std::vector<ServerId> gone;
  Leases leases;
  int awakenings = 0;
  int reassertions = 0;
  int resubscriptions = 0;

  void call(Ticket t, StoreCall&& call) override {
    std::visit(
        Overload{
            [&](const RenewCall&) { calls.emplace_back(t, "renew"); },
            [&](const ResignCall&) { calls.emplace_back(t, "resign"); },
            [&](const ServersCall&) { calls.emplace_back(t, "servers"); },
            [&](const SweepCall& sweep) { calls.emplace_back(t, "sweep " + sweep.dead.str()); },
            [&](PublishCall& publish) {
              calls.emplace_back(t, "publish");
              probes.push_back(std::move(publish.payload));
            },
            [&](const SubscribeCall& subscribe) { calls.emplace_back(t, "subscribe " + subscribe.channel.name); },
            [&](const ResubscribeCall&) { ++resubscriptions; },
            [](const auto& other_call) { FAIL("a keeper does not call " << other_call.name); },
        },
        call);
  }
  Time now() const override { return time; }
  StoreTime store_now() const override { return keeper.store_time(time); }
  void on_reassert() override { ++reassertions; }
  void on_server_gone(const ServerId& server) override { gone.push_back(server); }
  void on_readiness(const Readiness& readiness) override { lights.push_back(readiness); }
  void on_leases(const Leases& read) override { leases = read; }
  void on_awake() override { ++awakenings; }

  /// The ticket of the oldest unanswered call of this name.
  Ticket take(const std::string& name) {
    for (auto call = calls.begin(); call != calls.end(); ++call) {
      if (call->second != name) continue;
      const Ticket ticket = call->first;
      calls.erase(call);
      return ticket;
    }
    FAIL("no call " << name);
    return {};
  }
  bool has(const std::string& name) const {
    for (const auto& call : calls) {
      if (call.second == name) return true;
    }
    return false;
  }
  void renewed(Renewed::Before before, Errc result = Errc::ok) {
    keeper.on_answer(take("renew"),
                     Renewed{result, before,
                             StoreTime{std::chrono::duration_cast<std::chrono::microseconds>(time.time_since_epoch()) +
                                       1'000'000us}});
  }
  void listed(std::vector<ServerRow> rows) {
    rows.push_back(ServerRow{me, {}, {}, ServerRow::Lease::held});
    keeper.on_answer(take("servers"), Servers{Errc::ok, {}, std::move(rows)});
  }
  /// The first renewals, which measure the store's clock.
  void measure() {
    renewed(Renewed::Before::missing);
    listed({});
    for (int i = 1; i < 5; ++i) {
      time = *keeper.next_deadline();
      keeper.on_time();
      renewed(Renewed::Before::held);
      if (i == 4) listed({});  // those between follow each other too fast to bring news
    }
  }
  void start() {
    keeper.start();
    measure();
    keeper.on_answer(take("subscribe me~1"), Subscribed{});
    keeper.on_time();
    hear();
    REQUIRE(keeper.readiness().is_ready());
  }
  void hear() {
    keeper.on_probe(probes.back());
    (void)take("publish");
  }
  /// What the store says of the last probe: how many listen.
  void published(std::uint64_t receivers) {
    keeper.on_answer(KeeperCall{KeeperCall::Kind::probe, 0}.ticket(), Published{Errc::ok, receivers});
  }
  void pass(Duration duration) {  // to every deadline on the way
    const Time end = time + duration;
    while (keeper.next_deadline() && *keeper.next_deadline() <= end) {
      time = std::max(time, *keeper.next_deadline());
      keeper.on_time();
    }
    time = end;
  }
};

ServerRow row(const ServerId& server, ServerRow::Lease lease) { return ServerRow{server, {}, {}, lease}; }

}  // namespace

TEST_CASE(
    "a process that stood still until its lease was over renews it before anything else, and says when it is done") {
  World world;
  world.start();
  CHECK(world.keeper.beat() == Keeper::Pulse::steady);
  const auto fall_asleep = [&](Duration time) {
    world.time += time;
    return world.keeper.beat();
  };
  CHECK(fall_asleep(4s) == Keeper::Pulse::steady);  // the lease bears that
  REQUIRE(fall_asleep(3s) == Keeper::Pulse::woken);
  CHECK(world.keeper.is_waking());
  CHECK_FALSE(world.keeper.readiness().is_ready());
  CHECK(fall_asleep(1ms) == Keeper::Pulse::steady);
  SECTION("it was not missed") {
    world.renewed(Renewed::Before::held);
    CHECK(world.reassertions == 0);
    CHECK(world.awakenings == 1);
  }
  SECTION("it was missed: everything is claimed again") {
    world.renewed(Renewed::Before::missing);
    CHECK(world.reassertions == 1);
    CHECK(world.awakenings == 1);
  }
  SECTION("it is just being swept: that is waited for") {
    world.renewed(Renewed::Before::missing, Errc::conflict);
    CHECK(world.awakenings == 0);
    world.time += 200ms;
    world.keeper.on_time();
    world.renewed(Renewed::Before::missing);
    CHECK(world.awakenings == 1);
  }
  SECTION("the store does not answer: an outage like any other") {
    world.renewed(Renewed::Before::missing, Errc::timeout);
    CHECK(world.awakenings == 1);
    CHECK(world.reassertions == 0);
  }
  CHECK_FALSE(world.keeper.is_waking());
}

TEST_CASE("a renewal that was asked for before the process stood still says nothing about the time after it") {
  World world;
  world.start();
  CHECK(world.keeper.beat() == Keeper::Pulse::steady);
  world.time += 2s;
  world.keeper.on_time();
  const Ticket before = world.take("renew");
  CHECK(world.keeper.beat() == Keeper::Pulse::steady);
  world.time += 10s;
  REQUIRE(world.keeper.beat() == Keeper::Pulse::woken);
  world.keeper.on_answer(before, Renewed{Errc::ok, Renewed::Before::held, {}});
  CHECK(world.keeper.is_waking());
  world.renewed(Renewed::Before::missing);
  CHECK_FALSE(world.keeper.is_waking());
}

TEST_CASE("while the process runs, a store that is silent for longer than the lease is no gap") {
  World world;
  world.start();
  for (int i = 0; i < 20; ++i) {
    CHECK(world.keeper.beat() == Keeper::Pulse::steady);
    world.time += 500ms;
    world.keeper.on_time();
  }
  CHECK_FALSE(world.keeper.readiness().is_ready());
}

TEST_CASE("each reading of the registry tells until when the others live") {
  World world;
  world.start();
  world.time += 2s;
  world.keeper.on_time();
  world.renewed(Renewed::Before::held);
  const ServerId dead = ServerId::trusted("dead~1");
  world.listed(
      {ServerRow{other, {}, {}, ServerRow::Lease::held, 4'000ms}, ServerRow{dead, {}, {}, ServerRow::Lease::expired}});
  CHECK(world.leases.until(other) == world.time + 4s);
  CHECK(world.leases.until(dead) == world.time);
  CHECK_FALSE(world.leases.until(me));
  CHECK_FALSE(world.leases.until(ServerId::trusted("new~1")));
}

TEST_CASE("a server is ready once its lease is held and it has heard itself") {
  World world;
  world.keeper.start();
  CHECK_FALSE(world.keeper.readiness().is_ready());
  world.measure();
  CHECK_FALSE(world.keeper.readiness().is_ready());
  world.keeper.on_answer(world.take("subscribe me~1"), Subscribed{});
  world.keeper.on_time();
  world.hear();
  CHECK(world.keeper.readiness().is_ready());
  CHECK(world.reassertions == 0);  // the first lease is no loss
}

TEST_CASE("the lease is renewed three times in its life") {
  World world;
  world.start();
  for (int i = 0; i < 3; ++i) {
    world.pass(2s);
    world.renewed(Renewed::Before::held);
    world.listed({});
  }
  CHECK(world.keeper.figures().renewals == 8);
  CHECK(world.keeper.readiness().lease == Readiness::Light::green);
}

TEST_CASE("a store that does not answer turns the lease red when it has run out by our own clock") {
  World world;
  world.start();
  world.pass(5'900ms);
  CHECK(world.keeper.readiness().lease == Readiness::Light::green);
  world.pass(2'200ms);  // the renewal was asked for at 2 s
  CHECK(world.keeper.readiness().lease == Readiness::Light::red);
  world.renewed(Renewed::Before::missing);  // the late answer counts from when it was asked: that lease is over, too
  CHECK(world.keeper.readiness().lease == Readiness::Light::red);
}

TEST_CASE("a lease that was missing at a renewal makes every shard claim again") {
  World world;
  world.start();
  world.pass(2s);
  world.renewed(Renewed::Before::missing);
  CHECK(world.reassertions == 1);
  CHECK(world.keeper.figures().leases_lost == 1);
  world.listed({});
  world.pass(2s);
  world.renewed(Renewed::Before::held);
  CHECK(world.reassertions == 1);
}

TEST_CASE("after a renewal whose answer was lost every shard claims again: it may have found the lease missing") {
  World world;
  world.start();
  world.pass(2s);
  world.renewed(Renewed::Before::held, Errc::unavailable);
  CHECK(world.reassertions == 0);
  world.pass(2s);
  world.renewed(Renewed::Before::held);
  CHECK(world.reassertions == 1);
  CHECK(world.keeper.figures().leases_lost == 0);
}

TEST_CASE("a server that is being swept waits for the sweep's end and then claims again") {
  World world;
  world.start();
  world.pass(2s);
  world.renewed(Renewed::Before::missing, Errc::conflict);
  CHECK(world.reassertions == 0);
  world.pass(200ms);
  world.renewed(Renewed::Before::missing);
  CHECK(world.reassertions == 1);
}

TEST_CASE("three probes unheard and nobody listens: deaf, red, the subscription is made anew - heard again: ready") {
  World world;
  world.start();
  world.published(0);
  world.pass(1'400ms);
  CHECK(world.keeper.readiness().inbox == Readiness::Light::green);
  world.pass(700ms);
  CHECK(world.keeper.readiness().inbox == Readiness::Light::red);
  CHECK(world.resubscriptions == 1);
  CHECK(world.keeper.figures().times_deaf == 1);
  world.keeper.on_resubscribed();
  CHECK(world.reassertions == 1);
  world.keeper.on_time();
  world.keeper.on_probe(world.probes.back());
  CHECK(world.keeper.readiness().inbox == Readiness::Light::green);
}

TEST_CASE(
    "an inbox that somebody listens to is made anew after six probes, and each time in vain after twice as many") {
  World world;
  world.start();
  world.published(1);
  world.pass(2'100ms);
  CHECK(world.keeper.readiness().inbox == Readiness::Light::red);
  CHECK(world.keeper.figures().times_deaf == 1);
  CHECK(world.resubscriptions == 0);
  world.pass(1'500ms);
  CHECK(world.resubscriptions == 1);
  world.pass(5'800ms);
  CHECK(world.resubscriptions == 1);
  world.pass(200ms);
  CHECK(world.resubscriptions == 2);
  CHECK(world.keeper.figures().times_deaf == 1);
}

TEST_CASE("a server whose probes are late by any time is not deaf") {
  World world;
  world.start();
  world.published(1);
  const auto lag = GENERATE(600ms, 1'000ms, 2'300ms);
  std::deque<std::pair<Time, std::string>> under_way;
  std::size_t sent = world.probes.size();
  const Time end = world.time + 20s;
  while (world.time < end) {
    world.pass(100ms);
    for (; sent < world.probes.size(); ++sent) under_way.emplace_back(world.time + lag, world.probes[sent]);
    for (; !under_way.empty() && under_way.front().first <= world.time; under_way.pop_front()) {
      world.keeper.on_probe(under_way.front().second);
    }
  }
  CHECK(world.resubscriptions == 0);
  CHECK(world.keeper.readiness().inbox == Readiness::Light::green);
}

TEST_CASE("whatever comes on the inbox is heard") {
  World world;
  world.start();
  for (int i = 0; i < 20; ++i) {
    world.pass(500ms);
    world.keeper.on_heard();
  }
  CHECK(world.keeper.figures().times_deaf == 0);
  CHECK(world.resubscriptions == 0);
}

TEST_CASE("a subscription that is refused is asked for again at a pace that slows down") {
  World world;
  world.keeper.start();
  world.measure();
  int asked = 0;
  for (const auto wait : {200ms, 400ms, 800ms, 1'600ms, 2'000ms, 2'000ms}) {
    world.keeper.on_answer(world.take("subscribe me~1"), Subscribed{Errc::unavailable});
    world.pass(wait - 10ms);
    CHECK_FALSE(world.has("subscribe me~1"));
    world.pass(20ms);
    CHECK(world.has("subscribe me~1"));
    ++asked;
  }
  CHECK(asked == 6);
  world.keeper.on_answer(world.take("subscribe me~1"), Subscribed{});
  world.keeper.on_time();
  world.hear();
  CHECK(world.keeper.readiness().inbox == Readiness::Light::green);
}

TEST_CASE("a server that was without lease itself sweeps nobody until others have had the time to come back") {
  World world;
  world.start();
  const ServerId dead = ServerId::trusted("dead~1");
  world.time = *world.keeper.next_deadline();
  world.pass(2s);
  world.renewed(Renewed::Before::missing);
  world.listed({row(dead, ServerRow::Lease::expired)});
  CHECK_FALSE(world.has("sweep dead~1"));
  world.pass(2s);
  world.renewed(Renewed::Before::held);
  world.listed({row(dead, ServerRow::Lease::expired)});
  CHECK(world.has("sweep dead~1"));
}

TEST_CASE("a probe of another server, an old one and a forged one are not heard") {
  World world;
  world.start();
  const std::string first = world.probes.back();
  world.pass(600ms);
  const auto heard = world.keeper.figures().probes_heard;
  world.keeper.on_probe(first);
  BatchWriter forged("me~1", probe_shard, probe_shard, 0, 99);
  forged.add(EntryProbe{99});
  world.keeper.on_probe(forged.finish({}, "me~1", 0ms));
  BatchWriter foreign("other~1", probe_shard, probe_shard, 0, 2);
  foreign.add(EntryProbe{2});
  world.keeper.on_probe(foreign.finish({}, "me~1", 0ms));
  world.keeper.on_probe("garbage");
  CHECK(world.keeper.figures().probes_heard == heard);
}

TEST_CASE("a server without lease is swept once, one that vanished from the registry is told of once") {
  World world;
  world.start();
  world.pass(2s);
  world.renewed(Renewed::Before::held);
  world.listed({row(other, ServerRow::Lease::expired)});
  const Ticket sweep = world.take("sweep other~1");
  CHECK_FALSE(world.has("sweep other~1"));
  world.keeper.on_answer(sweep, Swept{Errc::ok, 2'000});
  CHECK(world.keeper.figures().rows_swept == 2'000);
  CHECK(world.gone == std::vector<ServerId>{other});
  world.pass(2s);
  world.renewed(Renewed::Before::held);
  world.listed({});
  CHECK(world.gone.size() == 1);
}

TEST_CASE("a sweep that another server does is left to it - its end shows in the registry") {
  World world;
  world.start();
  world.pass(2s);
  world.renewed(Renewed::Before::held);
  world.listed({row(other, ServerRow::Lease::expired)});
  world.keeper.on_answer(world.take("sweep other~1"), Swept{Errc::conflict, 0});
  CHECK(world.gone.empty());
  CHECK(world.keeper.figures().sweeps_lost == 1);
  world.pass(2s);
  world.renewed(Renewed::Before::held);
  world.listed({});
  CHECK(world.gone == std::vector<ServerId>{other});
}

TEST_CASE("the store's clock is taken from the renewal with the shortest round trip") {
  World world;
  world.keeper.start();
  world.time += 10ms;  // the first round trip: 10 ms, its offset is off by 5 ms
  world.renewed(Renewed::Before::missing);
  CHECK(world.keeper.store_time(world.time).time_since_epoch() == 1'015'000us);
  world.listed({});
  world.time = *world.keeper.next_deadline();
  world.keeper.on_time();
  world.renewed(Renewed::Before::held);  // at once
  CHECK(world.keeper.store_time(world.time) ==
        StoreTime{std::chrono::duration_cast<std::chrono::microseconds>(world.time.time_since_epoch()) + 1'000'000us});
}

TEST_CASE("a clock that has jumped is noticed at the next renewal, whatever was measured before") {
  World world;
  world.start();
  const auto error = [&] {
    const auto local = std::chrono::duration_cast<std::chrono::microseconds>(world.time.time_since_epoch());
    return world.keeper.store_time(world.time) - StoreTime{local + 1'000'000us};
  };
  const Duration jump = GENERATE(Duration(120s), Duration(30ms));
  world.time += jump;  // while the renewal's answer counts from the time before
  world.keeper.on_time();
  if (!world.has("renew")) {
    world.time += 2s;
    world.keeper.on_time();
  }
  world.keeper.on_answer(
      world.take("renew"),
      Renewed{Errc::ok, Renewed::Before::held,
              StoreTime{std::chrono::duration_cast<std::chrono::microseconds>((world.time - jump).time_since_epoch()) +
                        1'000'000us}});
  CHECK(error() == -std::chrono::duration_cast<std::chrono::microseconds>(jump));
}

TEST_CASE("after the first measurements the clock goes back only in small steps") {
  World world;
  world.start();
  const auto offset = [&] {
    return world.keeper.store_time(world.time).time_since_epoch() -
           std::chrono::duration_cast<std::chrono::microseconds>(world.time.time_since_epoch());
  };
  const auto before = offset();
  for (int i = 0; i < 8; ++i) {  // every sample that is kept now says that the store's clock is 1 ms earlier
    world.time = *world.keeper.next_deadline();
    world.keeper.on_time();
    if (!world.has("renew")) continue;
    const auto store = world.keeper.store_time(world.time) - std::chrono::microseconds{1'000};
    world.keeper.on_answer(world.take("renew"), Renewed{Errc::ok, Renewed::Before::held, store});
    world.listed({});
    CHECK(before - offset() <= std::chrono::microseconds{50} * (i + 1));
  }
}

TEST_CASE("stopping gives the lease up and then asks for nothing more") {
  World world;
  world.start();
  world.keeper.stop();
  CHECK_FALSE(world.keeper.is_stopped());
  world.keeper.on_answer(world.take("resign"), Released{});
  CHECK(world.keeper.is_stopped());
  CHECK_FALSE(world.keeper.next_deadline().has_value());
}

TEST_CASE("beyond 64 servers a keeper reads the registry every so many renewals, and at once after a lost lease") {
  World world;
  world.start();
  std::vector<ServerRow> many;
  for (int i = 0; i < 640; ++i) {
    many.push_back(row(ServerId::trusted("s" + std::to_string(i) + "~1"), ServerRow::Lease::held));
  }
  const auto renewals_until_read = [&] {
    for (int renewals = 1; renewals < 100; ++renewals) {
      world.pass(2s);
      world.renewed(Renewed::Before::held);
      if (!world.has("servers")) continue;
      world.listed(many);
      return renewals;
    }
    return 0;
  };
  CHECK(renewals_until_read() == 1);  // it knows of nobody yet
  (void)renewals_until_read();        // where in its round it begins depends on its name
  CHECK(renewals_until_read() == 11);
  CHECK(renewals_until_read() == 11);
  world.pass(2s);
  world.renewed(Renewed::Before::missing);
  CHECK(world.has("servers"));
}

TEST_CASE("a read of the registry that failed is done again at the next renewal, also at the first ones") {
  World world;
  world.keeper.start();
  world.renewed(Renewed::Before::missing);
  world.keeper.on_answer(world.take("servers"), Servers{Errc::unavailable, {}, {}});
  world.time = *world.keeper.next_deadline();
  world.keeper.on_time();
  world.renewed(Renewed::Before::held);  // the second of the first five, which read nothing else
  world.listed({row(other, ServerRow::Lease::expired)});
  CHECK(world.has("sweep other~1"));
}

TEST_CASE("64 servers read the registry at every renewal, 65 at every second one, in turns") {
  for (const std::size_t others : {63, 64}) {
    World world;
    world.start();
    std::vector<ServerRow> rows;
    for (std::size_t i = 0; i < others; ++i)
      rows.push_back(row(ServerId::trusted("s" + std::to_string(100 + i) + "~1"), ServerRow::Lease::held));
    world.pass(2s);
    world.renewed(Renewed::Before::held);
    world.listed(rows);
    std::string reads;
    for (int renewal = 0; renewal < 8; ++renewal) {
      world.pass(2s);
      world.renewed(Renewed::Before::held);
      reads += world.has("servers") ? 'r' : '-';
      if (world.has("servers")) world.listed(rows);
    }
    INFO(others + 1 << " servers: " << reads);
    CHECK((others == 63 ? reads == "rrrrrrrr" : reads == "r-r-r-r-" || reads == "-r-r-r-r"));
  }
}

TEST_CASE("what the store did not answer before it was there is no failed renewal") {
  World world;
  world.keeper.start();
  world.keeper.on_answer(world.take("renew"), Renewed{.result = Errc::unavailable});
  CHECK(world.keeper.figures().renewals_failed == 0);
  world.keeper.on_store_state(StoreState::up);
  world.keeper.on_time();
  world.keeper.on_answer(world.take("renew"), Renewed{.result = Errc::unavailable});
  CHECK(world.keeper.figures().renewals_failed == 1);
}
