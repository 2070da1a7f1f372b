// Rooms when things break: a server is killed, Redis forgets, a subscriber is cut off, a server sleeps past its lease.
#include <fmt/format.h>
#include <signal.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <map>
#include <nlohmann/json.hpp>
#include <random>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "tests/support/redis_server.hpp"
#include "tests/support/swarm.hpp"
#include "tests/support/ws_client.hpp"
#include "tests/support/wsr_server.hpp"

namespace {

using namespace wsr::test;
using namespace std::chrono_literals;
using nlohmann::json;

std::string join_text(const std::string& room, bool presence = true) {
  return json{{"op", "join"}, {"room", room}, {"id", "j"}, {"presence", presence}}.dump();
}

std::vector<std::string> members_of(const WsrServer& server, const std::string& room) {
  std::vector<std::string> all;
  std::string cursor = "0";
  do {
    const auto page = server.get(fmt::format("/api/rooms/{}/members?count=1000&cursor={}", room, cursor)).json();
    for (const auto& member : page.at("members")) all.push_back(member);
    cursor = page.at("cursor");
    if (cursor != "0") cursor = "%3E" + cursor.substr(1);
  } while (cursor != "0");
  return all;
}

/// The next presence frame of a client; other frames are passed over.
json next_presence(WsClient& client, milliseconds within = patience) {
  const auto deadline = Clock::now() + within;
  while (true) {
    const auto left = std::chrono::duration_cast<milliseconds>(deadline - Clock::now());
    auto frame = client.other(std::max(left, 1ms));
    if (frame.at("op") == "presence") return frame;
  }
}

}  // namespace

TEST_CASE("a killed server's members leave 100 rooms within lease + 2 s, once each, though two servers could sweep") {
  if (!find_redis_server()) {
    WARN(no_redis_server);
    return;
  }
  constexpr std::size_t rooms = 100, per_room = 10;
  constexpr auto lease = 3s;
  RedisServer redis;
  const std::vector<std::string> more{"--lease", "3s"};
  WsrServer a({.name = "a", .store = redis.url(), .more = more});
  WsrServer b({.name = "b", .store = redis.url(), .more = more});
  WsrServer c({.name = "c", .store = redis.url(), .more = more});
  Swarm swarm;
  std::size_t joined = 0;
  std::map<std::pair<std::string, std::string>, int> leaves;
  std::map<std::string, json> last;  // of each room, as the observer hears it
  Swarm::Id observer = 0;
  swarm.on_text = [&](Swarm::Id id, std::string_view text) {
    const auto frame = json::parse(text);
    if (frame.at("op") == "ok") ++joined;
    if (id != observer || frame.at("op") != "presence") return;
    if (frame.at("event") == "leave") ++leaves[{frame.at("room"), frame.at("client")}];
    last[frame.at("room")] = frame;
  };
  observer = swarm.connect(b.port(), "observer");
  std::vector<Swarm::Id> doomed;
  for (std::size_t n = 0; n < per_room; ++n) doomed.push_back(swarm.connect(a.port(), fmt::format("d{}", n)));
  REQUIRE(swarm.pump_until([&] { return swarm.welcome_count() == per_room + 1; }, 10s));
  for (std::size_t room = 0; room < rooms; ++room) swarm.text(observer, join_text(fmt::format("r{}", room)));
  REQUIRE(swarm.pump_until([&] { return joined == rooms; }, 10s));
  for (const auto id : doomed) {
    for (std::size_t room = 0; room < rooms; ++room) swarm.text(id, join_text(fmt::format("r{}", room), false));
  }
  REQUIRE(swarm.pump_until([&] { return joined == rooms * (per_room + 1); }, 20s));

  a.process().signal(SIGKILL);
  const auto killed = Clock::now();
  REQUIRE(swarm.pump_until([&] { return leaves.size() == rooms * per_room; }, lease + 2s));
  const auto took = std::chrono::duration_cast<milliseconds>(Clock::now() - killed);
  WARN(fmt::format("1 000 stays in 100 rooms ended {} ms after the kill (bound 5 000 ms)", took.count()));
  // Nothing comes twice, also when the other survivor looks.
  static_cast<void>(swarm.pump_until([] { return false; }, 1'500ms));
  for (const auto& [stay, times] : leaves) CHECK(times == 1);
  for (std::size_t room = 0; room < rooms; ++room) {
    const auto name = fmt::format("r{}", room);
    CHECK(last[name].at("size") == 1);
    if (room % 10 == 0) CHECK(members_of(c, name) == std::vector<std::string>{"observer"});
  }
  const auto keys = redis.command({"KEYS", "*"});
  CHECK(keys.find("{c:d") == std::string::npos);
  CHECK(keys.find("{s:a~") == std::string::npos);
}

TEST_CASE("rooms come back after Redis has forgotten everything: rosters, presence, deliveries") {
  if (!find_redis_server()) {
    WARN(no_redis_server);
    return;
  }
  RedisServer redis;
  const std::vector<std::string> more{"--lease", "2s"};
  WsrServer a({.name = "a", .store = redis.url(), .more = more});
  WsrServer b({.name = "b", .store = redis.url(), .more = more});
  WsClient ada(a.port(), "ada");
  WsClient bob(b.port(), "bob");
  for (WsClient* client : {&ada, &bob}) {
    client->text(join_text("hall"));
    while (client->other().at("op") != "ok") {
    }
  }
  const auto before = a.get("/api/rooms/hall").json();
  CHECK(before.at("size") == 2);
  redis.flushall();
  CHECK(wait_until([&] { return a.get("/api/rooms/hall").json().at("size") == 2; }, 8s, 20ms));
  CHECK(a.get("/api/rooms/hall").json().at("version").get<std::uint64_t>() > before.at("version").get<std::uint64_t>());
  CHECK(members_of(b, "hall") == std::vector<std::string>{"ada", "bob"});
  redis.kill();
  redis.restart();
  CHECK(wait_until([&] { return a.ready() == 200 && b.ready() == 200; }, 15s, 50ms));
  CHECK(wait_until([&] { return a.get("/api/rooms/hall").json().value("size", 0) == 2; }, 8s, 50ms));
  CHECK(http(a.port(), "POST", "/api/rooms/hall/push", R"({"data":"back"})").json().at("connections") == 2);
  // A new connection of ada's is told its room again, and nobody heard it leave.
  WsClient again(b.port(), "ada");
  CHECK(again.welcome().at("rooms") == json{"hall"});
}

TEST_CASE("a subscriber that was cut off tells its members that the roster has changed meanwhile") {
  if (!find_redis_server()) {
    WARN(no_redis_server);
    return;
  }
  RedisServer redis;
  WsrServer a({.name = "a", .store = redis.url()});
  WsClient ada(a.port(), "ada");
  ada.text(join_text("hall"));
  CHECK(ada.other().at("op") == "ok");
  // Straight into the roster while no server hears it: what a lost connection makes of an event.
  redis.command({"CLIENT", "KILL", "TYPE", "pubsub"});
  redis.command({"INCRBY", "wsr:{r:hall}:ver", "5"});
  const auto frame = next_presence(ada, 10s);
  CHECK(frame.at("event") == "count");
  CHECK(frame.at("size") == 1);
  CHECK_FALSE(frame.contains("client"));
}

TEST_CASE("what a failover brings back of a client that has gone is taken back, and who is there stays") {
  if (!find_redis_server()) {
    WARN(no_redis_server);
    return;
  }
  RedisServer redis;
  WsrServer a({.name = "a", .store = redis.url(), .more = {"--lease", "2s", "--probe", "200ms"}});
  WsrServer b({.name = "b", .store = redis.url(), .more = {"--lease", "2s", "--probe", "200ms"}});
  WsClient ada(a.port(), "ada");
  ada.text(join_text("hall"));
  CHECK(ada.other().at("op") == "ok");
  WsClient bob(b.port(), "bob");
  bob.text(join_text("hall"));
  CHECK(bob.other().at("op") == "ok");
  {
    WsClient eve(a.port(), "eve");
    eve.text(join_text("hall"));
    CHECK(eve.other().at("op") == "ok");
    // What a replica has that is a little behind: all but leases and the registry.
    std::istringstream keys(redis.command({"KEYS", "wsr:*"}));
    for (std::string key; std::getline(keys, key);) {
      if (!key.empty() && key.back() == '\r') key.pop_back();
      if (key.ends_with(":lease") || key == "wsr:servers") continue;
      redis.command({"COPY", key, "old:" + key});
    }
    bob.text(R"({"op":"leave","room":"hall","id":"l"})");
    CHECK(wait_until([&] { return a.get("/api/rooms/hall").json().value("size", 0) == 2; }, 5s));
    eve.close();
  }
  REQUIRE(wait_until([&] { return a.get("/api/rooms/hall").json().value("size", 0) == 1; }, 5s));
  // For two seconds after trouble the store is not believed when it says that nobody is there.
  REQUIRE(wait_until([&] { return a.get("/api/owners/eve").status == 404; }, 10s));

  std::istringstream keys(redis.command({"KEYS", "old:*"}));
  for (std::string key; std::getline(keys, key);) {
    if (!key.empty() && key.back() == '\r') key.pop_back();
    redis.command({"RENAME", key, key.substr(4)});
  }
  REQUIRE(b.get("/api/rooms/hall").json().at("size") == 3);
  redis.command({"CLIENT", "KILL", "TYPE", "pubsub"});
  redis.command({"CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"});
  CHECK(wait_until([&] { return b.get("/api/rooms/hall").json().value("size", 0) == 1; }, 10s, 50ms));
  CHECK(wait_until([&] { return b.get("/api/owners/eve").status == 404; }, 10s, 50ms));
  CHECK(a.stats().at("rows_taken_back").get<int>() + b.stats().at("rows_taken_back").get<int>() >= 1);
  CHECK(!b.owners("ada").empty());
  CHECK(!a.owners("bob").empty());
  const auto pushed = http(b.port(), "POST", "/api/rooms/hall/push", R"({"data":"still there?"})");
  CHECK(pushed.json().at("connections") == 1);
}

TEST_CASE("a server that sleeps past its lease is swept, and takes its members back in when it wakes") {
  if (!find_redis_server()) {
    WARN(no_redis_server);
    return;
  }
  RedisServer redis;
  const std::vector<std::string> more{"--lease", "1s", "--probe", "200ms"};
  WsrServer a({.name = "a", .store = redis.url(), .more = more});
  WsrServer b({.name = "b", .store = redis.url(), .more = more});
  WsClient ada(a.port(), "ada");
  WsClient bob(b.port(), "bob");
  bob.text(join_text("hall"));
  CHECK(bob.other().at("op") == "ok");
  ada.text(join_text("hall"));
  CHECK(ada.other().at("op") == "ok");
  CHECK(next_presence(bob).at("event") == "join");
  a.process().signal(SIGSTOP);
  const auto left = next_presence(bob, 10s);
  CHECK(left.at("event") == "leave");
  CHECK(left.at("client") == "ada");
  CHECK(members_of(b, "hall") == std::vector<std::string>{"bob"});
  a.process().signal(SIGCONT);
  const auto back = next_presence(bob, 10s);
  CHECK(back.at("event") == "join");
  CHECK(back.at("client") == "ada");
  CHECK(http(b.port(), "POST", "/api/rooms/hall/push", R"({"data":1})").json().at("connections") == 2);
}

TEST_CASE("a client that comes back within the grace is never seen leaving, also over a rolling restart") {
  if (!find_redis_server()) {
    WARN(no_redis_server);
    return;
  }
  RedisServer redis;
  const std::vector<std::string> more{"--lease", "2s", "--reconnect-grace", "4s"};
  auto a = std::make_unique<WsrServer>(ServeSetup{.name = "a", .store = redis.url(), .more = more});
  WsrServer b({.name = "b", .store = redis.url(), .more = more});
  WsClient bob(b.port(), "bob");
  bob.text(join_text("hall"));
  CHECK(bob.other().at("op") == "ok");
  std::string version;
  {
    WsClient ada(a->port(), "ada");
    ada.text(join_text("hall"));
    const auto joined = ada.other();
    CHECK(next_presence(bob).at("client") == "ada");
    a->process().signal(SIGTERM);  // an orderly stop: 1001, and the client goes elsewhere
    CHECK(ada.close_code() == 1001);
  }
  WsClient ada(b.port(), "ada");
  CHECK(ada.welcome().at("rooms") == json{"hall"});
  REQUIRE(a->process().wait(10s));
  // The next thing that bob hears is a join of somebody else: ada has never been away.
  WsClient eve(b.port(), "eve");
  std::this_thread::sleep_for(7s);  // grace and sweep are over: had there been a leave, it would have come
  eve.text(join_text("hall"));
  const auto next = next_presence(bob);
  CHECK(next.at("client") == "eve");
  CHECK(next.at("size") == 3);
  // Without coming back, the stay ends after the grace.
  ada.close();
  const auto closed = Clock::now();
  const auto left = next_presence(bob, 10s);
  CHECK(left.at("event") == "leave");
  CHECK(left.at("client") == "ada");
  CHECK(Clock::now() - closed > 3'500ms);
}

TEST_CASE("a server is subscribed to a room exactly while it has members or watchers there") {
  if (!find_redis_server()) {
    WARN(no_redis_server);
    return;
  }
  RedisServer redis;
  WsrServer a({.name = "a", .store = redis.url()});
  WsrServer b({.name = "b", .store = redis.url()});
  const auto subscribers = [&] {
    const auto text = redis.command({"PUBSUB", "NUMSUB", "wsr:{r:hall}:ch"});
    return text.substr(text.find('\n') + 1, 1);
  };
  CHECK(subscribers() == "0");
  WsClient ada(a.port(), "ada");
  ada.text(join_text("hall"));
  CHECK(ada.other().at("op") == "ok");
  CHECK(subscribers() == "1");
  CHECK(http(b.port(), "POST", "/api/rooms/hall/members/nobody", "{}").status == 404);
  WsClient bob(b.port(), "bob");
  // The application puts bob in from a server that does not hold him.
  const auto joined = http(a.port(), "POST", "/api/rooms/hall/members/bob", "{}");
  CHECK(joined.status == 200);
  CHECK(joined.json().at("size") == 2);
  CHECK(subscribers() == "2");
  const auto pushed = http(b.port(), "POST", "/api/rooms/hall/push", R"({"data":{"type":"leave","client_id":"ada"}})");
  CHECK(pushed.json().at("servers") == 2);
  CHECK(pushed.json().at("connections") == 2);
  CHECK(http(a.port(), "DELETE", "/api/rooms/hall/members/bob").status == 200);
  CHECK(http(a.port(), "DELETE", "/api/rooms/hall/members/bob").status == 404);
  CHECK(wait_until([&] { return subscribers() == "1"; }, 5s));
  ada.close();
  CHECK(wait_until([&] { return subscribers() == "0"; }, 5s));
  CHECK(wait_until([&] { return redis.command({"KEYS", "*hall*"}).empty(); }, 5s));
}

TEST_CASE("in a large room members hear counts, at most one a second, instead of who comes and goes") {
  WsrServer server({.more = {"--presence-events-max", "5"}});
  Swarm swarm;
  std::size_t joined = 0, singles = 0;
  std::vector<json> counts;
  Swarm::Id observer = 0;
  swarm.on_text = [&](Swarm::Id id, std::string_view text) {
    const auto frame = json::parse(text);
    if (frame.at("op") == "ok") ++joined;
    if (id != observer || frame.at("op") != "presence") return;
    if (frame.at("event") == "count") {
      counts.push_back(frame);
    } else {
      ++singles;
    }
  };
  observer = swarm.connect(server.port(), "observer");
  REQUIRE(swarm.pump_until([&] { return swarm.welcome_count() == 1; }, 5s));
  swarm.text(observer, join_text("big"));
  REQUIRE(swarm.pump_until([&] { return joined == 1; }, 5s));  // shards are not ordered: the next client may be faster
  for (int n = 0; n < 300; ++n) {
    const auto id = swarm.connect(server.port(), fmt::format("c{}", n));
    REQUIRE(swarm.pump_until([&] { return swarm.seen(id).has_welcome; }, 5s));
    swarm.text(id, join_text("big", false));
  }
  const auto begin = Clock::now();
  REQUIRE(swarm.pump_until([&] { return joined == 301 && !counts.empty() && counts.back().at("size") == 301; }, 10s));
  CHECK(singles == 4);  // up to five clients; the observer's own join is no news to it
  CHECK(counts.size() <= 4 + static_cast<std::size_t>((Clock::now() - begin) / 1s));
  CHECK(counts.back().at("version") == server.get("/api/rooms/big").json().at("version"));
}

TEST_CASE("a room of 10 000 is paged under churn: who stays is listed once, and pages plus events are the truth") {
  constexpr std::size_t count = 10'000, coming_and_going = 300;
  WsrServer server({.shards = 2, .more = {"--owners-max", "11000", "--presence-events-max", "20000"}});
  Swarm swarm;
  std::size_t answered = 0;
  std::vector<json> events;
  Swarm::Id observer = ~Swarm::Id{0};
  bool is_observing = false;
  swarm.on_text = [&](Swarm::Id id, std::string_view text) {
    if (id == observer) {
      auto frame = json::parse(text);
      if (frame.at("op") == "ok") is_observing = true;
      if (frame.at("op") == "presence") events.push_back(std::move(frame));
      return;
    }
    if (text.starts_with(R"({"op":"ok")")) {
      ++answered;
    } else {
      UNSCOPED_INFO(text);
    }
  };
  std::vector<Swarm::Id> ids;
  for (std::size_t n = 0; n < count; ++n) {
    ids.push_back(swarm.connect(server.port(), fmt::format("c{}", n)));
    if (n % 100 == 99) REQUIRE(swarm.pump_until([&] { return swarm.welcome_count() + 50 > n; }, 10s));
  }
  REQUIRE(swarm.pump_until([&] { return swarm.welcome_count() == count; }, 20s));
  for (std::size_t n = 0; n < count; ++n) {
    swarm.text(ids[n], join_text("huge", false));
    if (n % 200 == 199) REQUIRE(swarm.pump_until([&] { return answered + 100 > n; }, 20s));
  }
  REQUIRE(swarm.pump_until([&] { return answered == count; }, 30s));
  observer = swarm.connect(server.port(), "observer");
  REQUIRE(swarm.pump_until([&] { return swarm.seen(observer).has_welcome; }, 5s));
  swarm.text(observer, join_text("huge"));
  REQUIRE(swarm.pump_until([&] { return is_observing; }, 5s));  // what happens before it joins, it does not hear

  std::set<std::string> truth{"observer"};
  for (std::size_t n = 0; n < count; ++n) truth.insert(fmt::format("c{}", n));
  std::map<std::string, std::uint64_t> paged;
  std::map<std::string, int> times;
  std::mt19937 random(5);
  std::string cursor = "0";
  std::size_t asked = count;
  do {
    const auto page = server.get(fmt::format("/api/rooms/huge/members?count=500&cursor={}", cursor)).json();
    for (const auto& member : page.at("members")) {
      ++times[member];
      paged[member] = page.at("version");
    }
    cursor = page.at("cursor");
    if (cursor != "0") cursor = "%3E" + cursor.substr(1);
    for (int i = 0; i < 20; ++i) {
      const std::size_t n = random() % coming_and_going * 31;
      const auto name = fmt::format("c{}", n);
      if (truth.erase(name) == 1) {
        swarm.text(ids[n], R"({"op":"leave","room":"huge","id":"l"})");
      } else {
        truth.insert(name);
        swarm.text(ids[n], join_text("huge", false));
      }
      ++asked;
    }
    swarm.pump(1ms);
  } while (cursor != "0");
  REQUIRE(swarm.pump_until([&] { return answered == asked; }, 20s));
  const auto version = server.get("/api/rooms/huge").json().at("version");
  REQUIRE(swarm.pump_until([&] { return !events.empty() && events.back().at("version") == version; }, 10s));
  std::set<std::string> known;
  for (const auto& [name, at] : paged) known.insert(name);
  for (const auto& event : events) {
    const std::string name = event.at("client");
    const auto page = paged.find(name);
    if (page != paged.end() && event.at("version").get<std::uint64_t>() <= page->second) continue;
    if (event.at("event") == "join") {
      known.insert(name);
    } else {
      known.erase(name);
    }
  }
  CHECK(known == truth);
  for (const auto& [name, listed] : times) CHECK(listed == 1);
  CHECK(server.get("/api/rooms/huge").json().at("size") == truth.size());
}
