// Redis restarts, forgets, drops its subscribers, stalls, vanishes behind a black hole: the servers keep their clients,
// local messages go on, readiness tells the truth, and afterwards everybody is reachable without a reconnect.
#include <fmt/format.h>

#include <array>
#include <catch2/catch.hpp>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/redis_server.hpp"
#include "tests/support/swarm.hpp"
#include "tests/support/tcp_proxy.hpp"
#include "tests/support/wsr_server.hpp"

namespace {

using namespace wsr::test;
using namespace std::chrono_literals;
using nlohmann::json;

constexpr std::size_t clients_per_server = 20;
// Three probes of 500 ms; the first may have been sent just before the fault, and the test asks over HTTP.
constexpr milliseconds red_within = 4 * 500ms + 300ms;
constexpr milliseconds reachable_within = 5s;
constexpr milliseconds local_within = 1s;  // far below any deadline of the store's

class Fabric {
public:
  Fabric() {
    swarm_.on_text = [this](Swarm::Id id, std::string_view text) { on_text(id, text); };
    for (std::size_t s = 0; s < 2; ++s) {
      for (std::size_t n = 0; n < clients_per_server; ++n) {
        on_[s].push_back(swarm_.connect(servers_[s]->port(), fmt::format("{}{}", s == 0 ? "a" : "b", n)));
      }
    }
    REQUIRE(swarm_.pump_until([this] { return swarm_.welcome_count() == 2 * clients_per_server; }, 10s));
    for (std::size_t s = 0; s < 2; ++s) {
      REQUIRE(wait_until([&] { return servers_[s]->ready() == 200; }, 5s));
      for (const auto id : on_[s]) shard_[id] = servers_[s]->shard_of(swarm_.seen(id).user);
      for (const auto id : on_[s]) {
        if (id != on_[s][0]) (shard_[id] == shard_[on_[s][0]] ? same_ : other_)[s].push_back(id);
      }
      REQUIRE(same_[s].size() > 1);
      REQUIRE(other_[s].size() > 1);
    }
    check_reachable(reachable_within);
  }

  RedisServer redis;
  TcpProxy wire{redis.port()};

  /// One message within a shard and one between shards, on both servers; each must be delivered soon.
  void check_local() {
    std::vector<std::pair<std::string, Swarm::Id>> sent;
    for (std::size_t s = 0; s < 2; ++s) {
      for (const auto* targets : {&same_[s], &other_[s]}) {
        const auto to = (*targets)[locals_ % targets->size()];
        sent.emplace_back(send(on_[s][0], to), to);
      }
    }
    ++locals_;
    const auto is_done = [&] {
      return std::all_of(sent.begin(), sent.end(),
                         [&](const auto& m) { return results_.contains(m.first) && has_got(m.second, m.first); });
    };
    const bool is_in_time = swarm_.pump_until(is_done, local_within);
    for (const auto& [id, to] : sent) {
      INFO("local message " << id << " to " << swarm_.seen(to).user << " (shard " << shard_[to] << ")");
      CHECK(results_[id] == "delivered");
      CHECK(has_got(to, id));
    }
    CHECK(is_in_time);
  }

  /// Local messages go on until `is_true`; false if it has not become true within the bound.
  bool local_until(const std::function<bool()>& is_true, milliseconds within) {
    const auto deadline = Clock::now() + within;
    while (!is_true()) {
      if (Clock::now() >= deadline) return false;
      check_local();
      static_cast<void>(swarm_.pump_until([] { return false; }, 50ms));
    }
    return true;
  }
  void local_for(milliseconds duration) {
    const auto end = Clock::now() + duration;
    REQUIRE(local_until([&] { return Clock::now() >= end; }, duration + 5s));
  }

  [[nodiscard]] bool are_all(unsigned status) const { return a.ready() == status && b.ready() == status; }

  /// Every client hears somebody of the other server.
  void check_reachable(milliseconds within) {
    const auto begun = Clock::now();
    std::map<Swarm::Id, std::vector<std::string>> tries;
    const auto missing = [&] {
      std::string names;
      for (const auto& [to, ids] : tries) {
        if (std::none_of(ids.begin(), ids.end(), [&, to = to](const auto& id) { return has_got(to, id); })) {
          names += " " + swarm_.seen(to).user;
        }
      }
      return names;
    };
    do {
      for (std::size_t s = 0; s < 2; ++s) {
        for (std::size_t n = 0; n < on_[s].size(); ++n) {
          auto& ids = tries[on_[s][n]];
          if (std::none_of(ids.begin(), ids.end(), [&](const auto& id) { return has_got(on_[s][n], id); })) {
            ids.push_back(send(on_[1 - s][n], on_[s][n]));
          }
        }
      }
      static_cast<void>(swarm_.pump_until([&] { return missing().empty(); }, 250ms));
    } while (!missing().empty() && Clock::now() - begun < within);
    INFO("after " << std::chrono::duration_cast<milliseconds>(Clock::now() - begun).count()
                  << " ms, without answer:" << missing());
    CHECK(missing().empty());
  }

  void check_healed() {
    check_reachable(reachable_within);
    CHECK(wait_until([this] { return are_all(200); }, reachable_within));
    CHECK(wait_until([this] { return a.online() == 2 * clients_per_server; }, reachable_within));
    check_local();
    CHECK(swarm_.lost_count() == 0);
    CHECK(swarm_.open_count() == 2 * clients_per_server);
    CHECK(swarm_.socket_count() == 2 * clients_per_server);
  }

  WsrServer a{{.name = "a", .store = redis.url(wire.port())}};
  WsrServer b{{.name = "b", .store = redis.url(wire.port())}};

private:
  std::string send(Swarm::Id from, Swarm::Id to) {
    auto id = fmt::format("m{}", ++sent_);
    swarm_.text(from, fmt::format(R"({{"op":"send","to":"{}","data":"{}","id":"{}"}})", swarm_.seen(to).user, id, id));
    return id;
  }

  void on_text(Swarm::Id id, std::string_view text) {
    const auto frame = json::parse(text);
    if (frame.at("op") == "result") {
      const auto is_first = results_.emplace(frame.at("id"), frame.at("state")).second;
      CHECK(is_first);
    } else if (frame.at("op") == "message") {
      const auto is_first = got_[id].insert(frame.at("data").get<std::string>()).second;
      CHECK(is_first);  // at most once, also around a fault
    }
  }
  [[nodiscard]] bool has_got(Swarm::Id to, const std::string& id) const {
    const auto found = got_.find(to);
    return found != got_.end() && found->second.contains(id);
  }

  std::array<WsrServer*, 2> servers_{&a, &b};
  Swarm swarm_;
  std::array<std::vector<Swarm::Id>, 2> on_;     // clients by server; the first sends the local messages
  std::array<std::vector<Swarm::Id>, 2> same_;   // on the first one's shard
  std::array<std::vector<Swarm::Id>, 2> other_;  // on another shard
  std::map<Swarm::Id, unsigned> shard_;
  std::map<std::string, std::string> results_;
  std::map<Swarm::Id, std::set<std::string>> got_;
  std::size_t sent_ = 0;
  std::size_t locals_ = 0;
};

}  // namespace

TEST_CASE("a Redis that is down for 5 s: local delivery goes on, red then green, all reachable without a reconnect") {
  if (!find_redis_server()) {
    WARN(no_redis_server);
    return;
  }
  Fabric fabric;
  fabric.redis.kill();
  const auto down = Clock::now();
  CHECK(fabric.local_until([&] { return fabric.are_all(503); }, red_within));
  fabric.local_for(std::chrono::duration_cast<milliseconds>(down + 5s - Clock::now()));
  CHECK(fabric.are_all(503));
  fabric.redis.restart();
  fabric.check_healed();
}

TEST_CASE("FLUSHALL: local delivery goes on, and every row is claimed again without a reconnect") {
  if (!find_redis_server()) {
    WARN(no_redis_server);
    return;
  }
  Fabric fabric;
  fabric.redis.flushall();
  fabric.check_local();
  fabric.check_healed();
  const auto keys = fabric.redis.command({"KEYS", "*"});
  for (const auto* key : {"{c:a0}", "{c:a19}", "{c:b0}", "{c:b19}", "{s:a~", "{s:b~"}) {
    INFO(key);
    CHECK(keys.find(key) != std::string::npos);
  }
  CHECK(fabric.a.stats().at("keeper").at("reassertions") > 0);
}

TEST_CASE("CLIENT KILL TYPE pubsub: the inboxes are heard again, all reachable without a reconnect") {
  if (!find_redis_server()) {
    WARN(no_redis_server);
    return;
  }
  Fabric fabric;
  for (int round = 0; round < 3; ++round) {
    const auto killed = fabric.redis.command({"CLIENT", "KILL", "TYPE", "pubsub"});
    INFO("killed: " << killed);
    CHECK(killed.find('2') != std::string::npos);  // one subscriber a server
    fabric.check_local();
    fabric.check_healed();
  }
}

TEST_CASE("CLIENT PAUSE of 3 s: local delivery goes on, red then green, all reachable without a reconnect") {
  if (!find_redis_server()) {
    WARN(no_redis_server);
    return;
  }
  Fabric fabric;
  fabric.redis.pause(3'000ms);
  const auto paused = Clock::now();
  CHECK(fabric.local_until([&] { return fabric.are_all(503); }, red_within));
  fabric.local_for(std::chrono::duration_cast<milliseconds>(paused + 3s - Clock::now()));
  fabric.check_healed();
}

TEST_CASE("a black hole before Redis: local delivery goes on, red then green, all reachable without a reconnect") {
  if (!find_redis_server()) {
    WARN(no_redis_server);
    return;
  }
  Fabric fabric;
  fabric.wire.set(TcpProxy::Mode::swallow);
  const auto begun = Clock::now();
  CHECK(fabric.local_until([&] { return fabric.are_all(503); }, red_within));
  // Longer than the lease: the survivors of a real outage have lost it.
  fabric.local_for(std::chrono::duration_cast<milliseconds>(begun + 8s - Clock::now()));
  CHECK(fabric.are_all(503));
  CHECK(fabric.wire.bytes_swallowed() > 0);
  fabric.wire.set(TcpProxy::Mode::forward);
  fabric.check_healed();
}

TEST_CASE(
    "a black hole before one server's Redis: the other sweeps it, and its clients come back without a reconnect") {
  if (!find_redis_server()) {
    WARN(no_redis_server);
    return;
  }
  RedisServer redis;
  TcpProxy wire(redis.port());
  WsrServer a({.name = "a", .store = redis.url(wire.port()), .more = {"--lease", "2s"}});
  WsrServer b({.name = "b", .store = redis.url(), .more = {"--lease", "2s"}});
  Swarm swarm;
  const auto alice = swarm.connect(a.port(), "alice");
  static_cast<void>(swarm.connect(b.port(), "bob"));
  REQUIRE(swarm.pump_until([&] { return swarm.welcome_count() == 2; }, 5s));
  REQUIRE(b.send("alice", "1").at("state") == "delivered");

  wire.set(TcpProxy::Mode::swallow);
  CHECK(wait_until([&] { return a.ready() == 503; }, red_within));
  CHECK(b.ready() == 200);
  CHECK(wait_until([&] { return b.online() == 1; }, 2s + 2s));  // alice is absent: her server has no lease
  CHECK(b.send("alice", "2").at("state") == "offline");

  wire.set(TcpProxy::Mode::forward);
  CHECK(wait_until([&] { return b.online() == 2; }, reachable_within));
  CHECK(wait_until([&] { return b.send("alice", "3").at("state") == "delivered"; }, reachable_within));
  CHECK(wait_until([&] { return a.ready() == 200; }, reachable_within));
  swarm.pump(0ms);
  CHECK(swarm.lost_count() == 0);
  CHECK(swarm.seen(alice).stage == Swarm::Stage::open);
}

TEST_CASE("a full store: nobody is closed, the servers stay ready, and all are reachable") {
  if (!find_redis_server()) {
    WARN(no_redis_server);
    return;
  }
  Fabric fabric;
  fabric.redis.command({"CONFIG", "SET", "maxmemory-policy", "noeviction"});
  for (int round = 0; round < 2; ++round) {
    fabric.redis.command({"CONFIG", "SET", "maxmemory", "1"});
    fabric.redis.command({"CLIENT", "KILL", "TYPE", "pubsub"});  // all clients are claimed again
    fabric.check_local();
    CHECK(wait_until([&] { return fabric.are_all(200); }, reachable_within));
    fabric.local_for(7s);  // longer than a lease
    CHECK(fabric.are_all(200));
    fabric.check_reachable(reachable_within);
    fabric.redis.command({"CONFIG", "SET", "maxmemory", "0"});
    fabric.check_healed();
  }
}

TEST_CASE("rows that somebody deletes, or the store evicts, are claimed again without any other trouble") {
  if (!find_redis_server()) {
    WARN(no_redis_server);
    return;
  }
  Fabric fabric;
  const auto reassertions = fabric.a.stats().at("keeper").at("reassertions");
  for (const auto* name : {"a0", "a7", "b0", "b19"}) {
    REQUIRE(fabric.redis.command({"DEL", fmt::format("wsr:{{c:{}}}:own", name)}) == "1");
  }
  const auto is_back = [&](const char* name) {
    return fabric.redis.command({"EXISTS", fmt::format("wsr:{{c:{}}}:own", name)}) == "1";
  };
  CHECK(fabric.local_until([&] { return is_back("a0") && is_back("a7") && is_back("b0") && is_back("b19"); },
                           2 * 5s + 5s));
  CHECK(fabric.a.stats().at("keeper").at("reassertions") == reassertions);
  fabric.check_healed();
}

TEST_CASE("a store that refuses writes: nobody is closed, nobody who is connected is said to be offline") {
  if (!find_redis_server()) {
    WARN(no_redis_server);
    return;
  }
  RedisServer redis;
  WsrServer a({.name = "a", .store = redis.url(), .more = {"--lease", "2s"}});
  WsrServer b({.name = "b", .store = redis.url(), .more = {"--lease", "2s"}});
  Swarm swarm;
  const auto alice = swarm.connect(a.port(), "alice");
  static_cast<void>(swarm.connect(b.port(), "bob"));
  REQUIRE(swarm.pump_until([&] { return swarm.welcome_count() == 2; }, 5s));
  REQUIRE(b.send("alice", "1").at("state") == "delivered");
  redis.lose_directory();
  redis.command({"SET", "something", "to save"});
  redis.command({"CONFIG", "SET", "save", "1 1"});
  redis.command({"BGSAVE"});
  REQUIRE(wait_until([&] { return redis.command({"SET", "x", "y"}).find("MISCONF") != std::string::npos; }, 10s));
  CHECK(wait_until([&] { return a.ready() == 503 && b.ready() == 503; }, 5s));
  const auto end = Clock::now() + 6s;  // three leases
  while (Clock::now() < end) {
    CHECK(b.send("alice", "2").at("state") != "offline");
    swarm.pump(50ms);
  }
  redis.command({"CONFIG", "SET", "stop-writes-on-bgsave-error", "no"});
  // Whoever comes back first must not take the other for dead.
  while (a.ready() != 200 || b.ready() != 200) {
    CHECK(b.send("alice", "3").at("state") != "offline");
    REQUIRE(Clock::now() < end + 10s);
  }
  CHECK(b.send("alice", "4").at("state") == "delivered");
  swarm.pump(0ms);
  CHECK(swarm.lost_count() == 0);
  CHECK(swarm.seen(alice).stage == Swarm::Stage::open);
}

TEST_CASE("a user that has lost its channels: red, and ready again soon after it has them back") {
  if (!find_redis_server()) {
    WARN(no_redis_server);
    return;
  }
  RedisServer redis;
  redis.command({"ACL", "SETUSER", "wsr", "on", ">password", "~*", "+@all", "&*"});
  WsrServer server({.name = "a", .store = fmt::format("redis://wsr:password@127.0.0.1:{}", redis.port())});
  REQUIRE(server.ready() == 200);
  redis.command({"ACL", "SETUSER", "wsr", "resetchannels"});
  redis.command({"CLIENT", "KILL", "TYPE", "pubsub"});
  CHECK(wait_until([&] { return server.ready() == 503; }, 5s));
  CHECK_FALSE(wait_until([&] { return server.ready() == 200; }, 3s));
  redis.command({"ACL", "SETUSER", "wsr", "&*"});
  CHECK(wait_until([&] { return server.ready() == 200; }, 5s));
}
