// What only the Redis backend promises: it lives through everything that a store and a network can do to it.
#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <catch2/catch.hpp>
#include <memory>
#include <random>

#include "core/redis/backend.hpp"
#include "core/redis/script.hpp"
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
  template <class Call>
  typename Call::Answer ask(Call call) {
    const Ticket ticket{++last_ticket};
    backend->call(ticket, std::move(call));
    REQUIRE_FALSE(heard.has(ticket));
    backend->end_turn();
    REQUIRE(wait_until([&] { return heard.has(ticket); }));
    return std::get<typename Call::Answer>(heard.answers.at(ticket));
  }
  Errc publish(const std::string& name, const std::string& payload) {
    return ask(PublishCall{{ChannelKind::app, name}, payload}).result;
  }
  Errc subscribe(const std::string& name, Match match = Match::exact) {
    return ask(SubscribeCall{{ChannelKind::app, name}, match}).result;
  }
  Claimed claim(const ClientId& client, const Attachment& at) {
    return ask(ClaimCall{client, at, StoreTime{1s}, {}, SessionPolicy::single, 1});
  }
  Joined join(const RoomName& room, const ClientId& client, const Attachment& at, Epoch epoch) {
    return ask(JoinCall{room, client, at, epoch});
  }
  Left leave(const RoomName& room, const ClientId& client, Epoch through) {
    return ask(LeaveCall{room, client, through});
  }
  Left drop(const RoomName& room, const ClientId& client, const Attachment& at) {
    return ask(DropCall{room, client, at});
  }
  Swept sweep(const ServerId& dead, const ServerId& by) { return ask(SweepCall{dead, by}); }
  /// What goes on behind answers has been done after as many calls as it has steps.
  void sync() {
    for (int i = 0; i < 10; ++i) REQUIRE(publish("sync", "") == Errc::ok);
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
const ClientId bob = ClientId::trusted("bob");
const RoomName hall = RoomName::trusted("hall");

/// Holds what stands behind the rosters against them: an empty text, or what does not agree. Stands for every room,
/// client and server in the store, so it needs a store that is quiet.
std::string disagreements(RedisServer& redis) {
  return redis.command({"EVAL", R"lua(
    local wrong, rooms, attachments = {}, 0, 0
    local function check(is_right, what) if not is_right then wrong[#wrong + 1] = what end end
    for _, key in ipairs(redis.call('KEYS', 'wsr:{r:*}:members')) do
      local room = string.match(key, '^wsr:{r:(.*)}:members$')
      local stem = 'wsr:{r:' .. room .. '}:'
      local by_server, flat = {}, redis.call('HGETALL', key)
      rooms = rooms + 1
      check(redis.call('ZSCORE', 'wsr:rooms', room), room .. ' is not listed')
      check(redis.call('ZCARD', stem .. 'names') == #flat / 2, room .. ' has other names than members')
      for i = 1, #flat, 2 do
        check(redis.call('ZSCORE', stem .. 'names', flat[i]), flat[i] .. ' has no name in ' .. room)
        for server, rest, epoch in string.gmatch(flat[i + 1], '([^/\n]+)/([^ ]+) (%d+)') do
          local at = server .. '/' .. rest
          attachments = attachments + 1
          by_server[server] = (by_server[server] or 0) + 1
          check(redis.call('HGET', 'wsr:{c:' .. flat[i] .. '}:rooms', at .. ' ' .. room) == epoch,
                flat[i] .. ' does not know of ' .. at .. ' in ' .. room)
          check(redis.call('SISMEMBER', 'wsr:{s:' .. server .. '}:rooms', rest .. ' ' .. flat[i] .. '\n' .. room) == 1,
                at .. ' of ' .. flat[i] .. ' in ' .. room .. ' is in no index')
        end
      end
      local counts = redis.call('HGETALL', stem .. 'servers')
      for i = 1, #counts, 2 do
        check(by_server[counts[i]] == tonumber(counts[i + 1]), room .. ' counts ' .. counts[i] .. ' wrong')
        by_server[counts[i]] = nil
      end
      check(next(by_server) == nil, room .. ' does not count a server')
    end
    check(redis.call('ZCARD', 'wsr:rooms') == rooms, 'an empty room is listed')
    check(#redis.call('KEYS', 'wsr:{r:*') == rooms * 4, 'a room has left a key behind')
    local noted, indexed = 0, 0
    for _, key in ipairs(redis.call('KEYS', 'wsr:{c:*}:rooms')) do noted = noted + redis.call('HLEN', key) end
    for _, key in ipairs(redis.call('KEYS', 'wsr:{s:*}:rooms')) do indexed = indexed + redis.call('SCARD', key) end
    check(noted == attachments, 'clients know of ' .. noted .. ' attachments, rosters of ' .. attachments)
    check(indexed == attachments, 'indexes know of ' .. indexed .. ' attachments, rosters of ' .. attachments)
    return table.concat(wrong, '; ')
  )lua",
                        "0"});
}

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
  world.backend->call(ticket, SubscribeCall{{ChannelKind::app, "news"}, Match::exact});
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
    world.backend->call(ticket, SubscribeCall{{ChannelKind::app, "n" + std::to_string(i)}, Match::exact});
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

// ---------------------------------------------------------------- a store that refuses

/// Makes the store refuse every write, as one whose disk is full does.
void refuse_writes(RedisServer& redis, World& world) {
  // A folder that is not there: the snapshot fails, and with it every write.
  redis.command({"SET", "something", "to save"});
  redis.lose_directory();
  redis.command({"CONFIG", "SET", "save", "1 1"});
  redis.command({"BGSAVE"});
  REQUIRE(world.wait_until(
      [&] {
        return redis.command({"SET", "something", "else"}).find("MISCONF") != std::string::npos;
      },
      10s));
}

Renewed renew(World& world, const ServerId& server, std::chrono::milliseconds lease) {
  return world.ask(RenewCall{server, {}, lease});
}
Owners lookup(World& world, const ClientId& client) { return world.ask(LookupCall{client}); }

TEST_CASE("redis: a store that refuses writes says of nobody that he is offline, and its bus goes on") {
  NEEDS_REDIS();
  RedisServer redis{{"--stop-writes-on-bgsave-error", "yes"}};
  World far{redis.url()}, near{redis.url()};
  far.start_and_wait();
  near.start_and_wait();
  REQUIRE(renew(far, Harness::id(1), 700ms).result == Errc::ok);
  REQUIRE(far.claim(ada, Harness::at(1, 1)).result == Errc::ok);
  REQUIRE(near.subscribe("news") == Errc::ok);
  refuse_writes(redis, near);

  CHECK(renew(far, Harness::id(1), 700ms).result == Errc::unavailable);
  CHECK(far.has_logged("MISCONF"));
  // The lease has run out, because it could not be renewed: nobody can know who lives.
  REQUIRE(near.wait_until([&] {
    return redis.command({"EXISTS", "wsr:{s:" + Harness::id(1).str() + "}:lease"}) == "0";
  }));
  CHECK(lookup(near, ada).result == Errc::unavailable);
  CHECK(lookup(near, bob).result == Errc::ok);  // no row at all: nobody has claimed him
  World guest{redis.url()};                     // a shell that comes only now
  guest.start_and_wait();
  CHECK(lookup(guest, ada).result == Errc::unavailable);

  // Pings are refused, too: the subscriber stays, over several of them.
  for (int i = 0; i < 8; ++i) {
    CHECK(far.publish("news", std::to_string(i)) == Errc::ok);
    static_cast<void>(near.wait_until([] { return false; }, 100ms));
  }
  CHECK(near.wait_until([&] { return near.heard.messages.size() == 8; }));
  CHECK(near.heard.resubscribed == 0);
}

TEST_CASE("redis: a full store takes renewals, leaves and what stands already, and refuses what is new") {
  NEEDS_REDIS();
  RedisServer redis{{"--maxmemory-policy", "noeviction"}};
  World world{redis.url()};
  world.start_and_wait();
  const ServerId self = Harness::id(1);
  REQUIRE(renew(world, self, 500ms).result == Errc::ok);
  const Claimed claimed = world.claim(ada, Harness::at(1, 1));
  REQUIRE(claimed.result == Errc::ok);
  REQUIRE(world.join(hall, ada, Harness::at(1, 1), claimed.epoch).result == Errc::ok);
  REQUIRE(redis.command({"CONFIG", "SET", "maxmemory", "1"}) == "OK");

  for (int i = 0; i < 10; ++i) {
    CHECK(renew(world, self, 500ms).result == Errc::ok);
    static_cast<void>(world.wait_until([] { return false; }, 100ms));
  }
  CHECK(lookup(world, ada).rows.size() == 1);
  const auto again =
      world.ask(ClaimCall{ada, Harness::at(1, 1), StoreTime{1s}, claimed.epoch, SessionPolicy::single, 1});
  CHECK(again.result == Errc::ok);  // what stands costs no memory
  CHECK(lookup(world, ada).rows.size() == 1);
  CHECK(world.claim(bob, Harness::at(1, 2)).result == Errc::unavailable);
  CHECK(world.join(hall, bob, Harness::at(1, 2), Epoch{5}).result == Errc::unavailable);
  CHECK(world.leave(hall, ada, claimed.epoch).result == Errc::ok);
  CHECK(world.ask(ReleaseCall{ada, Harness::at(1, 1)}).result == Errc::ok);
  CHECK(world.has_logged("OOM"));

  // A lease that was lost meanwhile is taken again, and the dead are swept.
  REQUIRE(world.wait_until([&] { return redis.command({"EXISTS", "wsr:{s:" + self.str() + "}:lease"}) == "0"; }));
  CHECK(renew(world, self, 5s).before == Renewed::Before::missing);
  CHECK(world.sweep(Harness::id(2), self).result == Errc::ok);
  REQUIRE(redis.command({"CONFIG", "SET", "maxmemory", "0"}) == "OK");
  CHECK(world.claim(bob, Harness::at(1, 2)).result == Errc::ok);
  world.sync();
  CHECK(disagreements(redis).empty());
}

TEST_CASE("redis: after a store that was away an empty answer is none for a while") {
  NEEDS_REDIS();
  RedisServer redis;
  World world{redis.url()};
  world.start_and_wait();
  CHECK(lookup(world, ada).result == Errc::ok);
  redis.restart();  // and has forgotten all
  REQUIRE(world.wait_until([&] { return world.heard.states.size() >= 3 && world.is(StoreState::up); }));
  CHECK(lookup(world, ada).result == Errc::unavailable);
  REQUIRE(world.wait_until([&] { return lookup(world, ada).result == Errc::ok; }, 5s));
  CHECK(lookup(world, ada).rows.empty());
}

TEST_CASE("redis: rows and places that somebody has deleted are missing, whichever part of them") {
  NEEDS_REDIS();
  RedisServer redis;
  World world{redis.url()};
  world.start_and_wait();
  const Attachment at = Harness::at(1, 1);
  const Claimed claimed = world.claim(ada, at);
  REQUIRE(world.join(hall, ada, at, claimed.epoch).result == Errc::ok);
  const auto missing = [&] {
    const Held expected{.rows = {{ada, at}}, .places = {{hall, ada, at}}};
    return world.ask(MissingCall{expected});
  };
  CHECK(missing().rows.empty());
  CHECK(missing().places.empty());
  const std::string server = Harness::id(1).str();
  for (const std::string& key : {std::string("wsr:{c:ada}:own"), "wsr:{s:" + server + "}:idx"}) {
    INFO(key);
    REQUIRE(redis.command({"DEL", key}) == "1");
    CHECK(missing().rows.size() == 1);
    REQUIRE(world.claim(ada, at).result == Errc::ok);
    CHECK(missing().rows.empty());
  }
  for (const std::string& key : {std::string("wsr:{r:hall}:members"), std::string("wsr:{r:hall}:names"),
                                 std::string("wsr:{c:ada}:rooms"), "wsr:{s:" + server + "}:rooms"}) {
    INFO(key);
    REQUIRE(redis.command({"DEL", key}) == "1");
    CHECK(missing().places.size() == 1);
    REQUIRE(world.join(hall, ada, at, claimed.epoch).result == Errc::ok);
    CHECK(missing().places.empty());
  }
}

// ---------------------------------------------------------------- a bus that refuses

TEST_CASE("redis: a refused subscription is answered, tried again at a pace, and stands once the right is there") {
  NEEDS_REDIS();
  RedisServer redis;
  redis.command({"ACL", "SETUSER", "wsr", "on", ">password", "~*", "+@all", "resetchannels", "&wsr:ch:open*"});
  World world{"redis://wsr:password@127.0.0.1:" + std::to_string(redis.port())};
  world.start_and_wait();
  REQUIRE(world.subscribe("open1") == Errc::ok);
  CHECK(world.subscribe("closed1") == Errc::unavailable);
  CHECK(world.has_logged("NOPERM"));
  REQUIRE(redis.command({"CONFIG", "RESETSTAT"}) == "OK");
  static_cast<void>(world.wait_until([] { return false; }, 2s));
  CHECK(world.publish("open1", "heard") == Errc::ok);
  CHECK(world.wait_until([&] { return world.heard.payloads() == std::vector<std::string>{"heard"}; }));
  const std::string calls = redis.command({"INFO", "commandstats"});
  const auto at = calls.find("cmdstat_subscribe:");
  REQUIRE(at != std::string::npos);
  const auto rejected = calls.find("rejected_calls=", at);
  CHECK(std::stoi(calls.substr(rejected + 15)) >= 2);
  CHECK(std::stoi(calls.substr(rejected + 15)) <= 6);

  redis.command({"ACL", "SETUSER", "wsr", "&*"});
  REQUIRE(world.wait_until(
      [&] { return world.publish("closed1", "at last") == Errc::ok && world.heard.payloads().back() == "at last"; }));
  CHECK(world.subscribe("closed1") == Errc::ok);
}

TEST_CASE("redis: of a thousand names in one turn only the refused ones are without subscription") {
  NEEDS_REDIS();
  RedisServer redis;
  redis.command({"ACL", "SETUSER", "wsr", "on", ">password", "~*", "+@all", "resetchannels", "&wsr:ch:open*"});
  World world{"redis://wsr:password@127.0.0.1:" + std::to_string(redis.port())};
  world.start_and_wait();
  const auto name_of = [](int i) { return (i % 300 == 7 ? "closed" : "open") + std::to_string(i); };
  std::vector<Ticket> tickets;
  for (int i = 0; i < 1'000; ++i) {
    tickets.push_back(Ticket{++world.last_ticket});
    world.backend->call(tickets.back(), SubscribeCall{{ChannelKind::app, name_of(i)}, Match::exact});
  }
  world.backend->end_turn();
  REQUIRE(world.wait_until(
      [&] { return std::all_of(tickets.begin(), tickets.end(), [&](Ticket t) { return world.heard.has(t); }); }));
  for (int i = 0; i < 1'000; ++i) {
    const Errc expected = i % 300 == 7 ? Errc::unavailable : Errc::ok;
    CHECK(std::get<Subscribed>(world.heard.answers.at(tickets[static_cast<std::size_t>(i)])).result == expected);
  }
  // All of it is lost with the connection, and the right is given meanwhile: everything stands again.
  redis.command({"ACL", "SETUSER", "wsr", "&*"});
  redis.command({"CLIENT", "KILL", "TYPE", "pubsub"});
  REQUIRE(world.wait_until([&] { return world.heard.resubscribed >= 1; }));
  REQUIRE(
      world.wait_until([&] { return world.publish("closed907", "x") == Errc::ok && !world.heard.payloads().empty(); }));
  for (const int i : {0, 7, 307, 607, 999}) {
    world.heard.messages.clear();
    CHECK(world.publish(name_of(i), "y") == Errc::ok);
    CHECK(world.wait_until([&] { return world.heard.payloads() == std::vector<std::string>{"y"}; }));
  }
  CHECK(world.heard.answered_twice.empty());
}

TEST_CASE("redis: what was unsubscribed while it was refused is not subscribed later") {
  NEEDS_REDIS();
  RedisServer redis;
  redis.command({"ACL", "SETUSER", "wsr", "on", ">password", "~*", "+@all", "resetchannels"});
  World world{"redis://wsr:password@127.0.0.1:" + std::to_string(redis.port())};
  world.start_and_wait();
  CHECK(world.subscribe("news") == Errc::unavailable);
  const auto gone = world.ask(UnsubscribeCall{{ChannelKind::app, "news"}, Match::exact});
  CHECK(gone.result == Errc::ok);
  redis.command({"ACL", "SETUSER", "wsr", "&*"});
  static_cast<void>(world.wait_until([] { return false; }, 1s));
  CHECK(redis.command({"PUBSUB", "NUMSUB", "wsr:ch:news"}).find("1") == std::string::npos);
}

TEST_CASE("redis: what was unsubscribed during an attempt does not stand after it") {
  NEEDS_REDIS();
  RedisServer redis;
  redis.command({"ACL", "SETUSER", "wsr", "on", ">password", "~*", "+@all", "resetchannels"});
  World world{"redis://wsr:password@127.0.0.1:" + std::to_string(redis.port())};
  world.start_and_wait();
  for (int round = 0; round < 10; ++round) {
    INFO("round " << round);
    redis.command({"ACL", "SETUSER", "wsr", "resetchannels"});
    static_cast<void>(world.wait_until([&] { return world.subscribe("news") == Errc::unavailable; }));
    redis.command({"ACL", "SETUSER", "wsr", "&*"});
    // Before, during and after the next attempt, which comes within 250 ms.
    static_cast<void>(world.wait_until([] { return false; }, std::chrono::milliseconds{round * 30}));
    const auto gone = world.ask(UnsubscribeCall{{ChannelKind::app, "news"}, Match::exact});
    CHECK(gone.result == Errc::ok);
    CHECK(world.wait_until([&] {
      return redis.command({"PUBSUB", "CHANNELS", "wsr:ch:news"}).find("news") == std::string::npos;
    }));
  }
}

TEST_CASE("redis: other subscriptions do not hide that a refused one stands again") {
  NEEDS_REDIS();
  RedisServer redis;
  redis.command({"ACL", "SETUSER", "wsr", "on", ">password", "~*", "+@all", "resetchannels", "&*"});
  World world{"redis://wsr:password@127.0.0.1:" + std::to_string(redis.port())};
  world.start_and_wait();
  REQUIRE(world.subscribe("closed") == Errc::ok);
  for (int round = 0; round < 5; ++round) {
    INFO("round " << round);
    redis.command({"ACL", "SETUSER", "wsr", "resetchannels", "&wsr:ch:open*"});  // ends the subscriber's connection
    const auto before = world.log.size();
    REQUIRE(world.wait_until([&] { return world.log.size() > before && world.has_logged("NOPERM"); }));
    const auto heard = world.heard.resubscribed;
    int name = 0;
    const auto subscribe_another = [&] {
      world.backend->call(Ticket{++world.last_ticket},
                          SubscribeCall{{ChannelKind::app, "open" + std::to_string(++name)}, Match::exact});
      world.backend->end_turn();
    };
    static_cast<void>(world.wait_until([&] { return subscribe_another(), name >= 20; }));
    redis.command({"ACL", "SETUSER", "wsr", "&*"});
    CHECK(world.wait_until([&] { return subscribe_another(), world.heard.resubscribed > heard; }));
  }
}

TEST_CASE("redis: two databases of one store hear nothing of each other") {
  NEEDS_REDIS();
  RedisServer redis;
  World zero{redis.url()}, one{redis.url() + "/1"}, ten{redis.url() + "/10"};
  for (World* world : {&zero, &one, &ten}) {
    world->start_and_wait();
    for (const auto& [channel, match] : {std::pair{Channel{ChannelKind::room, "hall"}, Match::exact},
                                         std::pair{Channel{ChannelKind::inbox, "s"}, Match::exact},
                                         std::pair{Channel{ChannelKind::app, "n"}, Match::exact},
                                         std::pair{Channel{ChannelKind::app, "*"}, Match::pattern}}) {
      REQUIRE(world->ask(SubscribeCall{channel, match}).result == Errc::ok);
    }
  }
  for (const auto kind : {ChannelKind::room, ChannelKind::inbox, ChannelKind::app}) {
    const Channel channel{kind, kind == ChannelKind::room ? "hall" : kind == ChannelKind::inbox ? "s" : "n"};
    CHECK(one.ask(PublishCall{channel, "x"}).result == Errc::ok);
  }
  REQUIRE(one.wait_until([&] { return one.heard.messages.size() == 4; }));  // the app's once more by its pattern
  REQUIRE(one.join(hall, ada, Harness::at(1, 1), Epoch{1}).result == Errc::ok);
  REQUIRE(one.wait_until([&] { return one.heard.messages.size() == 5; }));
  for (World* world : {&zero, &ten}) {
    CHECK(world->publish("n", "end") == Errc::ok);
    CHECK(world->wait_until(
        [&] { return !world->heard.messages.empty() && world->heard.messages.back().payload == "end"; }));
    for (const auto& message : world->heard.messages) CHECK(message.payload == "end");
  }
}

TEST_CASE("redis: keys bound to a fabric are good for no other prefix or database") {
  const BatchKeys keys{{{"k1", "a secret of some length"}}};
  const auto secret = [&](std::string_view prefix, unsigned db) { return bind_keys(keys, prefix, db).keys[0].secret; };
  CHECK(secret("wsr:", 0) == secret("wsr:", 0));
  CHECK(secret("wsr:", 0) != secret("wsr:", 1));
  CHECK(secret("wsr:", 1) != secret("1wsr:", 0));
  CHECK(secret("a:", 1) != secret("b:", 1));
}

// ---------------------------------------------------------------- what a start says

TEST_CASE("redis: a store that cannot be used says what it is") {
  NEEDS_REDIS();
  SECTION("a node of a cluster") {
    RedisServer redis{{"--cluster-enabled", "yes"}};
    World world{redis.url()};
    world.start();
    REQUIRE(world.wait_until([&] { return world.has_logged("Redis Cluster"); }));
    CHECK_FALSE(world.is(StoreState::up));
  }
  SECTION("a replica") {
    RedisServer primary, redis;
    redis.command({"REPLICAOF", "127.0.0.1", std::to_string(primary.port())});
    World world{redis.url()};
    world.start();
    REQUIRE(world.wait_until([&] { return world.has_logged("this is a replica") || world.has_logged("MASTERDOWN"); }));
    CHECK_FALSE(world.is(StoreState::up));
  }
  SECTION("a database that is not there") {
    RedisServer redis{{"--databases", "2"}};
    World world{redis.url() + "/7"};
    world.start();
    REQUIRE(world.wait_until([&] { return world.has_logged("database number"); }));
  }
  SECTION("a user that may not run scripts") {
    RedisServer redis;
    redis.command({"ACL", "SETUSER", "wsr", "on", ">password", "~*", "&*", "+@all", "-eval", "-evalsha", "-script"});
    World world{"redis://wsr:password@127.0.0.1:" + std::to_string(redis.port())};
    world.start_and_wait();
    CHECK(renew(world, Harness::id(1), 1s).result == Errc::unavailable);
    CHECK(world.has_logged("NOPERM"));
  }
  SECTION("a user without any right") {
    RedisServer redis;
    redis.command({"ACL", "SETUSER", "wsr", "on", ">password"});
    World world{"redis://wsr:password@127.0.0.1:" + std::to_string(redis.port())};
    world.start();
    REQUIRE(world.wait_until([&] { return world.has_logged("NOPERM"); }));
  }
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
  CHECK(wrong.has_logged("refused the connection"));
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
    return world.ask(ClaimCall{ada, Harness::at(server, serial), StoreTime{accepted}, {}, SessionPolicy::single, 1});
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
  const auto swept = world.ask(SweepCall{Harness::id(7), Harness::id(1)});
  CHECK(swept.rows_removed == 1);
  CHECK(redis.command({"KEYS", "wsr:*"}).empty());
}

TEST_CASE("redis: a sweep of many rows goes page by page and leaves nothing behind") {
  NEEDS_REDIS();
  RedisServer redis;
  World world{redis.url()};
  world.start_and_wait();
  for (std::uint64_t i = 1; i <= 2'500; ++i) {
    world.backend->call(Ticket{++world.last_ticket}, ClaimCall{ClientId::trusted("c" + std::to_string(i)),
                                                               Harness::at(7, i),
                                                               StoreTime{1s},
                                                               {},
                                                               SessionPolicy::single,
                                                               1});
  }
  world.backend->end_turn();
  REQUIRE(world.wait_until([&] { return world.heard.answers.size() == 2'500; }));
  redis.command({"SADD", "wsr:{s:" + Harness::id(7).str() + "}:idx", "0/77 nobody"});  // a superset of the rows
  const auto swept = world.ask(SweepCall{Harness::id(7), Harness::id(1)});
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
  const auto renew = [&] { return world.ask(RenewCall{Harness::id(7), {}, 1'000ms}).result; };
  CHECK(renew() == Errc::conflict);
  CHECK(world.ask(SweepCall{Harness::id(7), Harness::id(1)}).result == Errc::conflict);
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

// ---------------------------------------------------------------- rooms

TEST_CASE("redis: no key of room, client or index remains after the last client has left") {
  NEEDS_REDIS();
  RedisServer redis;
  World world{redis.url()};
  world.start_and_wait();
  for (int way = 0; way < 3; ++way) {
    REQUIRE(world.join(hall, ada, Harness::at(1, 1), Epoch{1}).result == Errc::ok);
    REQUIRE(world.join(hall, ada, Harness::at(2, 1), Epoch{2}).result == Errc::ok);
    REQUIRE(world.join(hall, bob, Harness::at(1, 2), Epoch{1}).result == Errc::ok);
    CHECK(disagreements(redis).empty());
    CHECK(world.leave(hall, bob, Epoch{1}).result == Errc::ok);
    if (way == 0) {
      CHECK(world.leave(hall, ada, Epoch{2}).result == Errc::ok);
    } else if (way == 1) {
      CHECK(world.drop(hall, ada, Harness::at(2, 1)).result == Errc::ok);
      CHECK(world.drop(hall, ada, Harness::at(1, 1)).result == Errc::ok);
    } else {
      CHECK(world.sweep(Harness::id(1), Harness::id(3)).memberships_removed == 1);
      CHECK(world.sweep(Harness::id(2), Harness::id(3)).memberships_removed == 1);
    }
    world.sync();
    CHECK(disagreements(redis).empty());
    redis.command({"DEL", "wsr:servers"});
    CHECK(redis.command({"KEYS", "wsr:*"}).empty());
  }
}

TEST_CASE("redis: a refused join leaves no name behind, and a room that has others stays listed") {
  NEEDS_REDIS();
  RedisServer redis;
  World world{redis.url()};
  world.options.memberships_max = 1;
  world.start_and_wait();
  REQUIRE(world.join(hall, ada, Harness::at(1, 1), Epoch{1}).result == Errc::ok);
  CHECK(world.join(hall, bob, Harness::at(1, 2), Epoch{1}).result == Errc::capacity);
  CHECK(world.join(RoomName::trusted("new"), ada, Harness::at(1, 1), Epoch{1}).result == Errc::capacity);
  world.sync();
  CHECK(disagreements(redis).empty());
  CHECK(redis.command({"ZRANGE", "wsr:rooms", "0", "-1"}) == "hall");
}

TEST_CASE("redis: the bound on memberships goes by what all servers had when they were listed last") {
  NEEDS_REDIS();
  RedisServer redis;
  World one{redis.url()}, other{redis.url()};
  one.options.memberships_max = other.options.memberships_max = 2;
  one.start_and_wait();
  other.start_and_wait();
  REQUIRE(one.join(hall, ada, Harness::at(1, 1), Epoch{1}).result == Errc::ok);
  REQUIRE(one.join(hall, bob, Harness::at(1, 2), Epoch{1}).result == Errc::ok);
  const ClientId eve = ClientId::trusted("eve");
  other.ask(ServersCall{});
  CHECK(other.join(hall, eve, Harness::at(2, 1), Epoch{1}).result == Errc::capacity);
  REQUIRE(one.leave(hall, ada, Epoch{1}).result == Errc::ok);
  one.sync();
  other.ask(ServersCall{});
  CHECK(other.join(hall, eve, Harness::at(2, 1), Epoch{1}).result == Errc::ok);
}

TEST_CASE("redis: names behind the rosters agree with them however servers cross each other") {
  NEEDS_REDIS();
  RedisServer redis;
  constexpr int servers = 3;
  std::mt19937 random{20'240'607};
  const auto pick = [&random](std::uint64_t below) { return random() % below; };
  World world{redis.url()};
  world.start_and_wait();
  world.options.reply_within = std::chrono::seconds{30};  // the deadline is not what is tried here
  Recorder heard[servers];
  std::unique_ptr<wsr::Backend> backends[servers];
  for (int i = 0; i < servers; ++i) {
    backends[i] = make_backend(world.io, world.options, heard[i], heard[i]);
    backends[i]->start();
    REQUIRE(world.wait_until([&] { return !heard[i].states.empty(); }));
  }
  std::uint64_t last_ticket = 0;
  for (int step = 0; step < 20'000; ++step) {
    const auto n = pick(servers);
    Store& store = *backends[n];
    const RoomName room = RoomName::trusted("room" + std::to_string(pick(3)));
    const ClientId client = ClientId::trusted("client" + std::to_string(pick(3)));
    // Two connections a server and client; a server joins and drops its own only.
    const Attachment at = Harness::at(static_cast<int>(n) + 1, pick(2) + 1);
    const std::uint64_t now = 10 + static_cast<std::uint64_t>(step) / 40;  // epochs of one attachment never fall
    const Ticket ticket{++last_ticket};
    switch (pick(5)) {
      case 0:
      case 1:
        store.call(ticket, JoinCall{room, client, at, Epoch{now}});
        break;
      case 2:
        store.call(ticket, DropCall{room, client, at});
        break;
      default:
        store.call(ticket, LeaveCall{room, client, Epoch{now - pick(4)}});
    }
    if (pick(3) != 0) continue;
    // Turns of different lengths, and now and then the world stands still for a moment.
    for (auto& backend : backends) {
      if (pick(2) == 0) backend->end_turn();
    }
    if (pick(4) == 0) world.io.poll();
  }
  const auto answered = [&] {
    std::size_t sum = 0;
    for (const Recorder& one : heard) sum += one.answers.size();
    return sum;
  };
  for (auto& backend : backends) backend->end_turn();
  REQUIRE(world.wait_until([&] { return answered() == last_ticket; }));
  for (const Recorder& one : heard) {
    for (const auto& [ticket, answer] : one.answers) {
      const auto* joined = std::get_if<Joined>(&answer);
      const auto* left = std::get_if<Left>(&answer);
      CHECK((joined != nullptr ? joined->result == Errc::ok
                               : left->result == Errc::ok || left->result == Errc::not_found));
    }
  }
  world.sync();
  world.sync();
  CHECK(disagreements(redis) == "");
}

TEST_CASE("redis: a sweep that broke off is carried on by the next one") {
  NEEDS_REDIS();
  RedisServer redis;
  World world{redis.url()};
  world.start_and_wait();
  Recorder listener;
  auto observer = make_backend(world.io, world.options, listener, listener);
  observer->start();
  observer->call(Ticket{1}, SubscribeCall{{ChannelKind::room, hall.str()}, Match::exact});
  observer->end_turn();
  REQUIRE(world.wait_until([&] { return listener.has(Ticket{1}); }));
  constexpr std::uint64_t members = 3'000;
  for (std::uint64_t i = 1; i <= members; ++i) {
    const ClientId client = ClientId::trusted("c" + std::to_string(i));
    const Ticket ticket{++world.last_ticket};
    world.backend->call(ticket, JoinCall{hall, client, Harness::at(7, i), Epoch{i}});
    if (i % 500 != 0) continue;  // in portions, so that no call waits as long as its deadline on a slow machine
    world.backend->end_turn();
    REQUIRE(world.wait_until([&] { return listener.messages.size() == i; }));
  }
  // Three sweepers die, each in the middle of it, and one more finishes.
  for (const std::uint64_t ended : {1, 700, 1'900}) {
    Recorder heard;
    auto sweeper = make_backend(world.io, world.options, heard, heard);
    sweeper->start();
    REQUIRE(world.wait_until([&] { return !heard.states.empty(); }));
    sweeper->call(Ticket{1}, SweepCall{Harness::id(7), Harness::id(1)});
    sweeper->end_turn();
    REQUIRE(world.wait_until([&] { return listener.messages.size() >= members + ended; }));
    REQUIRE_FALSE(heard.has(Ticket{1}));
  }
  const Swept swept = world.sweep(Harness::id(7), Harness::id(1));
  CHECK(swept.result == Errc::ok);
  REQUIRE(world.wait_until([&] { return listener.messages.size() == 2 * members; }));
  world.sync();
  CHECK(listener.messages.size() == 2 * members);
  CHECK(redis.command({"KEYS", "wsr:*"}).empty());
}

TEST_CASE("redis: a sweep takes along what a join that never came to the roster has left") {
  NEEDS_REDIS();
  RedisServer redis;
  World world{redis.url()};
  world.start_and_wait();
  const std::string at = Harness::at(7, 1).str(), in_index = at.substr(at.find('/') + 1);
  const std::string index = "wsr:{s:" + Harness::id(7).str() + "}:rooms";
  redis.command({"SADD", index, in_index + " ada\nhall"});
  redis.command({"SADD", index, "what nobody of us has written"});
  redis.command({"HSET", "wsr:{c:ada}:rooms", at + " hall", "5"});
  redis.command({"ZADD", "wsr:rooms", "0", "hall"});
  const Swept swept = world.sweep(Harness::id(7), Harness::id(1));
  CHECK(swept.result == Errc::ok);
  CHECK(swept.memberships_removed == 0);
  CHECK(redis.command({"EXISTS", "wsr:{c:ada}:rooms"}) == "0");
  CHECK(redis.command({"SMEMBERS", index}) == "what nobody of us has written");
  // The name of the room goes when somebody comes across it.
  const auto listed = world.ask(RoomsCall{"0", 10});
  CHECK(listed.rooms.empty());
  CHECK(listed.cursor == "0");
  world.sync();
  CHECK(redis.command({"EXISTS", "wsr:rooms"}) == "0");
}

TEST_CASE("redis: names of empty rooms never make a page empty while others follow") {
  NEEDS_REDIS();
  RedisServer redis;
  World world{redis.url()};
  world.start_and_wait();
  for (int i = 0; i < 30; ++i) redis.command({"ZADD", "wsr:rooms", "0", "ghost" + std::to_string(100 + i)});
  REQUIRE(world.join(hall, ada, Harness::at(1, 1), Epoch{1}).result == Errc::ok);
  const auto listed = world.ask(RoomsCall{"0", 10});
  REQUIRE(listed.rooms.size() == 1);
  CHECK(listed.rooms[0].first == hall);
  world.sync();
  CHECK(disagreements(redis).empty());
}

TEST_CASE("redis: a sweep that read an older epoch leaves what has joined again") {
  NEEDS_REDIS();
  RedisServer redis;
  World world{redis.url()};
  world.start_and_wait();
  const Attachment at = Harness::at(7, 1);
  REQUIRE(world.join(hall, ada, at, Epoch{6}).result == Errc::ok);
  const auto drop_epoch = [&](const char* epoch) {
    return redis.command({"EVALSHA", scripts::room_drop.sha, "4", "wsr:{r:hall}:members", "wsr:{r:hall}:names",
                          "wsr:{r:hall}:ver", "wsr:{r:hall}:servers", "ada", at.str(), epoch, "wsr:{r:hall}:ch",
                          "swept"});
  };
  CHECK(drop_epoch("5").starts_with("0\n1\n"));
  CHECK(redis.command({"EVALSHA", scripts::client_sweep.sha, "1", "wsr:{c:ada}:rooms", at.str() + " hall", "5"}) ==
        "0");
  CHECK(disagreements(redis).empty());
  CHECK(drop_epoch("6").starts_with("1\n0\n"));
}

TEST_CASE("redis: rosters live through a store that has forgotten the scripts") {
  NEEDS_REDIS();
  RedisServer redis;
  World world{redis.url()};
  world.start_and_wait();
  for (std::uint64_t serial = 1; serial <= 3; ++serial) {
    REQUIRE(redis.command({"SCRIPT", "FLUSH"}) == "OK");
    CHECK(world.join(hall, ada, Harness::at(1, serial), Epoch{serial}).size == 1);
    REQUIRE(redis.command({"SCRIPT", "FLUSH"}) == "OK");
    CHECK(world.drop(hall, ada, Harness::at(1, serial)).size == 0);
    world.sync();
    CHECK(disagreements(redis).empty());
  }
}

TEST_CASE("redis: rosters and rates end as unavailable while the store is away") {
  NEEDS_REDIS();
  RedisServer redis;
  World world{redis.url()};
  world.start_and_wait();
  redis.kill();
  REQUIRE(world.wait_until([&] { return world.is(StoreState::down); }));
  CHECK(world.join(hall, ada, Harness::at(1, 1), Epoch{1}).result == Errc::unavailable);
  CHECK(world.leave(hall, ada, Epoch{1}).result == Errc::unavailable);
  CHECK(world.drop(hall, ada, Harness::at(1, 1)).result == Errc::unavailable);
  CHECK(world.ask(RosterPageCall{hall, "0", 10}).result == Errc::unavailable);
  CHECK(world.ask(RoomInfoCall{hall}).result == Errc::unavailable);
  CHECK(world.ask(FindCall{hall, ada}).result == Errc::unavailable);
  CHECK(world.ask(RoomsCall{"0", 10}).result == Errc::unavailable);
  CHECK(world.ask(TakeCall{{RateKey::Kind::client, "ada"}, {1, 1'000ms, 1}}).result == Errc::unavailable);
}

TEST_CASE("redis: a leave that is remembered has a key that expires, and any other has none") {
  NEEDS_REDIS();
  RedisServer redis;
  World world{redis.url()};
  world.start_and_wait();
  using Remember = LeaveCall::Remember;
  const auto leave = [&](Remember remember) {
    return world.ask(LeaveCall{RoomName::trusted("hall"), ClientId::trusted("ada"), Epoch{10}, 0, remember});
  };
  REQUIRE(leave(Remember::no).result == Errc::not_found);
  REQUIRE(leave(Remember::if_there).result == Errc::not_found);
  CHECK(redis.command({"EXISTS", "wsr:{r:hall}:left:ada"}) == "0");
  REQUIRE(leave(Remember::always).result == Errc::not_found);
  const int expires_in = std::stoi(redis.command({"PTTL", "wsr:{r:hall}:left:ada"}));
  CHECK(expires_in > 590'000);
  CHECK(expires_in <= 600'000);
}

TEST_CASE("redis: a full bucket leaves no key behind and one that was taken from expires") {
  NEEDS_REDIS();
  RedisServer redis;
  World world{redis.url()};
  world.start_and_wait();
  const auto take = [&] {
    return world.ask(TakeCall{{RateKey::Kind::room, "hall"}, {10, 1'000ms, 3}});  // full again after 100 ms a token
  };
  REQUIRE(take().result == Errc::ok);
  const int expires_in = std::stoi(redis.command({"PTTL", "wsr:{r:hall}:rate"}));
  CHECK(expires_in > 0);
  CHECK(expires_in <= 102);
  CHECK(world.wait_until([&] { return redis.command({"EXISTS", "wsr:{r:hall}:rate"}) == "0"; }));
}

TEST_CASE("redis: stop fails what is pending later and a destroyed backend says nothing") {
  NEEDS_REDIS();
  RedisServer redis;
  World world{redis.url()};
  world.start_and_wait();
  redis.pause(500ms);
  const Ticket ticket{++world.last_ticket};
  world.backend->call(ticket, LookupCall{ada});
  world.backend->end_turn();
  world.backend->stop();
  CHECK_FALSE(world.heard.has(ticket));
  REQUIRE(world.wait_until([&] { return world.heard.has(ticket); }));
  CHECK(std::get<Owners>(world.heard.answers.at(ticket)).result == Errc::unavailable);

  world.start();
  world.backend->call(Ticket{++world.last_ticket}, LookupCall{ada});
  const std::size_t before = world.heard.answers.size();
  world.backend.reset();
  world.io.run_for(50ms);
  CHECK(world.heard.answers.size() == before);
}

}  // namespace
}  // namespace wsr::redis
