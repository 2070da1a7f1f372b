// What only the Redis backend promises: it lives through everything that a store and a network can do to it.
#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <catch2/catch.hpp>
#include <memory>

#include "core/redis/backend.hpp"
#include "tests/contract/harness.hpp"
#include "tests/support/redis_server.hpp"

namespace wsr::redis {
namespace {

using namespace std::chrono_literals;
using contract::Harness;
using contract::Recorder;
using test::RedisServer;

#define NEEDS_REDIS()               \
  if (!test::find_redis_server()) { \
    WARN(test::no_redis_server);    \
    return;                         \
  }

/// One backend in a loop of its own, with what it has said.
class World {
public:
  explicit World(const std::string& url) {
    options.address = Address::parse(url).value();
    options.reply_within = 300ms;
    options.subscriber_ping_every = 100ms;
    options.backoff_max = 100ms;
    options.log = [this](std::string_view sentence) { log.emplace_back(sentence); };
  }
  void start() {
    backend = make_backend(io, options, heard, heard);
    backend->start();
  }
  void start_and_wait() {
    start();
    REQUIRE(wait_until([this] { return is(StoreState::up); }));
  }
  [[nodiscard]] bool is(StoreState state) const { return !heard.states.empty() && heard.states.back() == state; }
  [[nodiscard]] bool wait_until(const std::function<bool()>& is_true, std::chrono::milliseconds within = 5s) {
    const auto until = std::chrono::steady_clock::now() + within;
    while (!is_true() && std::chrono::steady_clock::now() < until) io.run_one_for(10ms);
    return is_true();
  }
  template <class A, class Call>
  A ask(Call&& call) {
    const Ticket ticket{++last_ticket};
    call(*backend, ticket);
    REQUIRE_FALSE(heard.has(ticket));
    backend->end_turn();
    REQUIRE(wait_until([&] { return heard.has(ticket); }));
    return std::get<A>(heard.answers.at(ticket));
  }
  Errc publish(const std::string& name, const std::string& payload) {
    return ask<Published>([&](wsr::Backend& b, Ticket t) {
             b.bus().publish(t, {ChannelKind::app, name}, payload);
           })
        .result;
  }
  Errc subscribe(const std::string& name, Match match = Match::exact) {
    return ask<Subscribed>([&](wsr::Backend& b, Ticket t) {
             b.bus().subscribe(t, {ChannelKind::app, name}, match);
           })
        .result;
  }
  Claimed claim(const ClientId& client, const Attachment& at) {
    return ask<Claimed>([&](wsr::Backend& b, Ticket t) {
      b.directory().claim(t, {client, at, StoreTime{1s}, {}, SessionPolicy::single, 1});
    });
  }
  [[nodiscard]] bool has_logged(std::string_view part) const {
    return std::any_of(log.begin(), log.end(), [part](const auto& s) { return s.find(part) != std::string::npos; });
  }

  boost::asio::io_context io;
  Options options;
  Recorder heard;
  std::vector<std::string> log;
  std::uint64_t last_ticket = 0;
  std::unique_ptr<wsr::Backend> backend;  // ends before its listener and its loop
};

const ClientId ada = ClientId::trusted("ada");

TEST_CASE("redis: a store that was killed is found again and subscriptions stand again") {
  NEEDS_REDIS();
  RedisServer redis;
  World world{redis.url()};
  world.start_and_wait();
  REQUIRE(world.subscribe("news") == Errc::ok);
  REQUIRE(world.subscribe("p*", Match::pattern) == Errc::ok);
  redis.kill();
  REQUIRE(world.wait_until([&] { return world.is(StoreState::down); }));
  CHECK(world.publish("news", "lost") == Errc::unavailable);
  redis.restart();
  REQUIRE(world.wait_until([&] { return world.is(StoreState::up) && world.heard.resubscribed == 1; }));
  CHECK(world.publish("news", "one") == Errc::ok);
  CHECK(world.publish("pop", "two") == Errc::ok);
  CHECK(world.wait_until([&] { return world.heard.payloads() == std::vector<std::string>{"one", "two"}; }));
  CHECK(world.heard.states == std::vector{StoreState::up, StoreState::down, StoreState::up});
}

TEST_CASE("redis: a backend that starts before its store comes up with it and keeps its subscriptions") {
  NEEDS_REDIS();
  RedisServer redis;
  redis.kill();
  World world{redis.url()};
  world.start();
  const Ticket ticket{++world.last_ticket};
  world.backend->bus().subscribe(ticket, {ChannelKind::app, "news"}, Match::exact);
  REQUIRE(world.wait_until([&] { return world.is(StoreState::down); }));
  CHECK_FALSE(world.heard.has(ticket));
  redis.restart();
  REQUIRE(world.wait_until([&] { return world.is(StoreState::up) && world.heard.has(ticket); }));
  CHECK(world.publish("news", "one") == Errc::ok);
  CHECK(world.wait_until([&] { return world.heard.messages.size() == 1; }));
  CHECK(world.heard.resubscribed == 0);  // nothing can have been missed
}

TEST_CASE("redis: a store that stalls ends its calls as timeout and the connection is remade") {
  NEEDS_REDIS();
  RedisServer redis;
  World world{redis.url()};
  world.start_and_wait();
  redis.pause(1'500ms);
  const auto began = std::chrono::steady_clock::now();
  CHECK(world.publish("news", "late") == Errc::timeout);
  const auto took = std::chrono::steady_clock::now() - began;
  CHECK(took >= 290ms);
  CHECK(took < 1'200ms);
  CHECK(world.is(StoreState::down));
  CHECK(world.has_logged("no reply within 300 ms"));
  REQUIRE(world.wait_until([&] { return world.is(StoreState::up); }));
  CHECK(world.publish("news", "now") == Errc::ok);
}

TEST_CASE("redis: a subscriber that is cut off subscribes again by itself and says so") {
  NEEDS_REDIS();
  RedisServer redis;
  World world{redis.url()};
  world.start_and_wait();
  for (int i = 0; i < 1'200; ++i) {  // more than one command's worth of names
    const Ticket ticket{++world.last_ticket};
    world.backend->bus().subscribe(ticket, {ChannelKind::app, "n" + std::to_string(i)}, Match::exact);
  }
  REQUIRE(world.subscribe("p*", Match::pattern) == Errc::ok);
  for (int round = 1; round <= 3; ++round) {
    REQUIRE(redis.command({"CLIENT", "KILL", "TYPE", "pubsub"}) == "1");
    REQUIRE(world.wait_until([&] { return world.heard.resubscribed == round; }));
    world.heard.messages.clear();
    CHECK(world.publish("n0", "a") == Errc::ok);
    CHECK(world.publish("n1199", "b") == Errc::ok);
    CHECK(world.publish("pop", "c") == Errc::ok);
    CHECK(world.wait_until([&] { return world.heard.payloads() == std::vector<std::string>{"a", "b", "c"}; }));
  }
  CHECK(world.heard.states == std::vector{StoreState::up});  // the command path was never away
  CHECK(world.heard.answered_twice.empty());
}

TEST_CASE("redis: a subscriber whose line is silent is remade by its watchdog") {
  NEEDS_REDIS();
  RedisServer redis;
  World world{redis.url()};
  world.start_and_wait();
  REQUIRE(world.subscribe("news") == Errc::ok);
  redis.pause(1'200ms);  // pings are held back too
  REQUIRE(world.wait_until([&] { return world.heard.resubscribed >= 1; }));
  CHECK(world.publish("news", "one") == Errc::ok);
  CHECK(world.wait_until([&] { return world.heard.messages.size() == 1; }));
}

TEST_CASE("redis: a store that has forgotten the scripts is taught them again") {
  NEEDS_REDIS();
  RedisServer redis;
  World world{redis.url()};
  world.start_and_wait();
  for (std::uint64_t serial = 1; serial <= 3; ++serial) {
    REQUIRE(redis.command({"SCRIPT", "FLUSH"}) == "OK");
    CHECK(world.claim(ada, Harness::at(1, serial)).result == Errc::ok);
  }
}

TEST_CASE("redis: a wrong password is a sentence that does not show it") {
  NEEDS_REDIS();
  RedisServer redis{{}, "right"};
  World wrong{"redis://:geheim@127.0.0.1:" + std::to_string(redis.port())};
  wrong.start();
  REQUIRE(wrong.wait_until([&] { return wrong.has_logged("WRONGPASS"); }));
  CHECK(wrong.has_logged("refuses"));
  CHECK_FALSE(wrong.has_logged("geheim"));
  CHECK(wrong.publish("news", "x") == Errc::unavailable);

  World none{"redis://127.0.0.1:" + std::to_string(redis.port())};
  none.start();
  CHECK(none.wait_until([&] { return none.has_logged("NOAUTH"); }));

  World right{redis.url()};
  right.start_and_wait();
  CHECK(right.publish("news", "x") == Errc::ok);
}

TEST_CASE("redis: a unix socket and another database work the same") {
  NEEDS_REDIS();
  RedisServer redis;
  World world{"unix://" + redis.socket_path() + "?db=3"};
  world.start_and_wait();
  CHECK(world.claim(ada, Harness::at(1, 1)).result == Errc::ok);
  CHECK(redis.command({"EXISTS", "wsr:{c:ada}:own"}) == "0");  // database 0
}

TEST_CASE("redis: a store that would evict live rows is warned of") {
  NEEDS_REDIS();
  RedisServer redis{{"--maxmemory-policy", "allkeys-lru"}};
  World world{redis.url()};
  world.start_and_wait();
  CHECK(world.has_logged("allkeys-lru"));
}

TEST_CASE("redis: a refused claim leaves no entry in its server's index") {
  NEEDS_REDIS();
  RedisServer redis;
  World world{redis.url()};
  world.start_and_wait();
  const auto claim_at = [&](std::uint64_t serial, int server, std::chrono::seconds accepted) {
    return world.ask<Claimed>([&](wsr::Backend& b, Ticket t) {
      b.directory().claim(t, {ada, Harness::at(server, serial), StoreTime{accepted}, {}, SessionPolicy::single, 1});
    });
  };
  REQUIRE(claim_at(1, 1, 10s).result == Errc::ok);
  CHECK(claim_at(1, 2, 5s).result == Errc::superseded);
  CHECK(world.publish("sync", "") == Errc::ok);  // behind the clean-up in the pipeline
  CHECK(redis.command({"SCARD", "wsr:{s:" + Harness::id(2).str() + "}:idx"}) == "0");
  CHECK(redis.command({"SCARD", "wsr:{s:" + Harness::id(1).str() + "}:idx"}) == "1");
}

TEST_CASE("redis: a claim of a server that has no lease puts it where a sweep finds it") {
  NEEDS_REDIS();
  RedisServer redis;
  World world{redis.url()};
  world.start_and_wait();
  REQUIRE(world.claim(ada, Harness::at(7, 1)).result == Errc::ok);
  const auto swept = world.ask<Swept>([&](wsr::Backend& b, Ticket t) {
    const auto servers = Harness::id(7);
    b.directory().sweep(t, servers, Harness::id(1));
  });
  CHECK(swept.rows_removed == 1);
  CHECK(redis.command({"KEYS", "wsr:*"}).empty());
}

TEST_CASE("redis: a sweep of many rows goes page by page and leaves nothing behind") {
  NEEDS_REDIS();
  RedisServer redis;
  World world{redis.url()};
  world.start_and_wait();
  for (std::uint64_t i = 1; i <= 2'500; ++i) {
    world.backend->directory().claim(
        Ticket{++world.last_ticket},
        {ClientId::trusted("c" + std::to_string(i)), Harness::at(7, i), StoreTime{1s}, {}, SessionPolicy::single, 1});
  }
  world.backend->end_turn();
  REQUIRE(world.wait_until([&] { return world.heard.answers.size() == 2'500; }));
  redis.command({"SADD", "wsr:{s:" + Harness::id(7).str() + "}:idx", "0/77 nobody"});  // a superset of the rows
  const auto swept =
      world.ask<Swept>([&](wsr::Backend& b, Ticket t) { b.directory().sweep(t, Harness::id(7), Harness::id(1)); });
  CHECK(swept.result == Errc::ok);
  CHECK(swept.rows_removed == 2'500);
  CHECK(redis.command({"KEYS", "wsr:*"}).empty());
}

TEST_CASE("redis: a server being swept by another cannot renew and nobody else can sweep it") {
  NEEDS_REDIS();
  RedisServer redis;
  World world{redis.url()};
  world.start_and_wait();
  redis.command({"SET", "wsr:{s:" + Harness::id(7).str() + "}:sweep", Harness::id(2).str(), "PX", "300"});
  const auto renew = [&] {
    return world.ask<Renewed>([&](wsr::Backend& b, Ticket t) { b.directory().renew(t, Harness::id(7), {}, 1'000ms); })
        .result;
  };
  CHECK(renew() == Errc::conflict);
  CHECK(world.ask<Swept>([&](wsr::Backend& b, Ticket t) { b.directory().sweep(t, Harness::id(7), Harness::id(1)); })
            .result == Errc::conflict);
  // A sweeper that died gives the lock up by its age.
  CHECK(world.wait_until([&] { return renew() == Errc::ok; }));
}

TEST_CASE("redis: a full owner table is refused by number and flag and a move still fits") {
  NEEDS_REDIS();
  RedisServer redis;
  World world{redis.url()};
  world.options.owners_max = 2;
  world.start_and_wait();
  REQUIRE(world.claim(ClientId::trusted("a"), Harness::at(1, 1)).result == Errc::ok);
  REQUIRE(world.claim(ClientId::trusted("b"), Harness::at(1, 2)).result == Errc::ok);
  const Claimed refused = world.claim(ada, Harness::at(1, 3));
  CHECK(refused.result == Errc::capacity);
  CHECK(refused.detail.find("2 rows") != std::string::npos);
  CHECK(refused.detail.find("--owners-max") != std::string::npos);
  CHECK(world.claim(ClientId::trusted("b"), Harness::at(1, 4)).result == Errc::ok);
}

TEST_CASE("redis: stop fails what is pending later and a destroyed backend says nothing") {
  NEEDS_REDIS();
  RedisServer redis;
  World world{redis.url()};
  world.start_and_wait();
  redis.pause(500ms);
  const Ticket ticket{++world.last_ticket};
  world.backend->directory().lookup(ticket, ada);
  world.backend->end_turn();
  world.backend->stop();
  CHECK_FALSE(world.heard.has(ticket));
  REQUIRE(world.wait_until([&] { return world.heard.has(ticket); }));
  CHECK(std::get<Owners>(world.heard.answers.at(ticket)).result == Errc::unavailable);

  world.start();
  world.backend->directory().lookup(Ticket{++world.last_ticket}, ada);
  const std::size_t before = world.heard.answers.size();
  world.backend.reset();
  world.io.run_for(50ms);
  CHECK(world.heard.answers.size() == before);
}

}  // namespace
}  // namespace wsr::redis
