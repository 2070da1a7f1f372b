// kill -9 of a server: its clients count as offline in time, its rows go, and one survivor does the work once.
#include <fmt/format.h>
#include <signal.h>

#include <catch2/catch.hpp>
#include <map>
#include <string>
#include <vector>

#include "tests/support/redis_server.hpp"
#include "tests/support/swarm.hpp"
#include "tests/support/wsr_server.hpp"

namespace {

using namespace wsr::test;
using namespace std::chrono_literals;
using nlohmann::json;

constexpr std::size_t clients = 2'000;

std::string name_of(std::size_t n) { return fmt::format("c{}", n); }

/// Connects all clients, a few hundred at a time, and waits for their welcomes.
void fill(Swarm& swarm, const WsrServer& server) {
  const auto before = swarm.welcome_count();
  for (std::size_t n = 0; n < clients; ++n) {
    static_cast<void>(swarm.connect(server.port(), name_of(n)));
    REQUIRE(swarm.pump_until([&] { return n < swarm.welcome_count() - before + 300; }, 10s));
  }
  REQUIRE(swarm.pump_until([&] { return swarm.welcome_count() == before + clients; }, 15s));
}

std::uint64_t keeper(const WsrServer& server, const char* figure) {
  return server.stats().at("keeper").at(figure).get<std::uint64_t>();
}

bool has_rows_of(RedisServer& redis, const std::string& killed) {
  const auto keys = redis.command({"KEYS", "*"});
  return keys.find("{c:c") != std::string::npos || keys.find(fmt::format("{{s:{}}}", killed)) != std::string::npos;
}

struct Killed {
  RedisServer redis;
  WsrServer a;
  WsrServer b;
  WsrServer c;
  Swarm swarm;
  std::string a_id;
  Clock::time_point at;

  explicit Killed(std::vector<std::string> more)
      : a({.name = "a", .store = redis.url(), .more = more}),
        b({.name = "b", .store = redis.url(), .more = more}),
        c({.name = "c", .store = redis.url(), .more = more}),
        a_id(a.stats().at("server").get<std::string>()) {
    fill(swarm, a);
    REQUIRE(b.online() == clients);
    REQUIRE(has_rows_of(redis, a_id));
  }

  void kill() {
    at = Clock::now();
    a.process().signal(SIGKILL);
    REQUIRE(a.process().wait(5s));
  }
  [[nodiscard]] milliseconds left_of(milliseconds bound) const {
    return std::chrono::duration_cast<milliseconds>(at + bound - Clock::now());
  }
  void check_gone_within(milliseconds bound) {
    CHECK(wait_until([&] { return b.online() == 0; }, left_of(bound), 20ms));
    CHECK(wait_until([&] { return b.get("/api/owners?count=10").json().at("owners").empty(); }, left_of(bound), 20ms));
    CHECK(wait_until([&] { return !has_rows_of(redis, a_id); }, left_of(bound), 20ms));
    WARN(fmt::format("2 000 clients were gone {} ms after the kill (bound {} ms)",
                     std::chrono::duration_cast<milliseconds>(Clock::now() - at).count(), bound.count()));
    for (std::size_t n = 0; n < clients; n += 20) CHECK(b.owners(name_of(n)).empty());
  }
  void check_swept_once() {
    CHECK(wait_until([&] { return keeper(b, "rows_swept") + keeper(c, "rows_swept") == clients; }, 2s));
    CHECK(keeper(b, "sweeps") + keeper(c, "sweeps") == 1);
    CHECK(keeper(b, "rows_swept") * keeper(c, "rows_swept") == 0);
  }
};

}  // namespace

TEST_CASE(
    "with the default lease, 2 000 clients of a killed server are gone within lease + 2 s, swept by one survivor") {
  if (!find_redis_server()) {
    WARN(no_redis_server);
    return;
  }
  Killed fabric({});
  fabric.kill();
  fabric.check_gone_within(6s + 2s);
  fabric.check_swept_once();
}

TEST_CASE("every send to the clients of a killed server ends in a word, and after the sweep in offline") {
  if (!find_redis_server()) {
    WARN(no_redis_server);
    return;
  }
  Killed fabric({"--lease", "2s"});
  auto& swarm = fabric.swarm;
  std::map<std::string, std::string> results;
  swarm.on_text = [&](Swarm::Id, std::string_view text) {
    const auto frame = json::parse(text);
    if (frame.at("op") != "result") return;
    const auto is_first = results.emplace(frame.at("id"), frame.at("state")).second;
    CHECK(is_first);
  };
  const auto welcomes = swarm.welcome_count();
  const auto bob = swarm.connect(fabric.b.port(), "bob");
  REQUIRE(swarm.pump_until([&] { return swarm.welcome_count() == welcomes + 1; }, 5s));
  const auto send_to = [&](std::size_t n, const std::string& id) {
    swarm.text(bob, fmt::format(R"({{"op":"send","to":"{}","data":{},"id":"{}"}})", name_of(n), n, id));
  };

  // Before: bob's server learns where they are.
  for (std::size_t n = 0; n < clients; n += 10) send_to(n, fmt::format("before{}", n));
  REQUIRE(swarm.pump_until([&] { return results.size() == clients / 10; }, 10s));
  for (const auto& [id, state] : results) {
    INFO(id);
    CHECK(state == "delivered");
  }

  // Meanwhile: to cached routes and to unknown ones.
  results.clear();
  fabric.kill();
  for (std::size_t n = 0; n < clients; n += 5) send_to(n, fmt::format("meanwhile{}", n));
  CHECK(swarm.pump_until([&] { return results.size() == clients / 5; }, 12s));
  for (const auto& [id, state] : results) {
    INFO(id << " ended as " << state);
    CHECK((state == "offline" || state == "unknown" || state == "dropped"));
  }
  CHECK(wait_until([&] { return fabric.b.online() == 1; }, fabric.left_of(2s + 2s)));

  // After: silence would leave a result out.
  CHECK(wait_until([&] { return !has_rows_of(fabric.redis, fabric.a_id); }, 2s));
  results.clear();
  for (std::size_t n = 0; n < clients; ++n) send_to(n, fmt::format("after{}", n));
  CHECK(swarm.pump_until([&] { return results.size() == clients; }, 10s));
  for (const auto& [id, state] : results) {
    INFO(id);
    CHECK(state == "offline");
  }
  fabric.check_swept_once();
  const auto stats = fabric.b.stats();
  CHECK(stats.at("sent") == sum_of_words(stats));
  CHECK(stats.at("in_flight") == 0);
}

TEST_CASE("rows with a ttl are renewed while their server lives, and go by themselves when nobody is left to sweep") {
  if (!find_redis_server()) {
    WARN(no_redis_server);
    return;
  }
  RedisServer redis;
  WsrServer only(
      {.name = "a", .store = redis.url(), .more = {"--lease", "1s", "--probe", "100ms", "--owner-ttl", "2s"}});
  Swarm swarm;
  for (int n = 0; n < 50; ++n) static_cast<void>(swarm.connect(only.port(), name_of(static_cast<std::size_t>(n))));
  REQUIRE(swarm.pump_until([&] { return swarm.welcome_count() == 50; }, 5s));
  const auto has_rows = [&] { return redis.command({"KEYS", "*:own"}).find("{c:c") != std::string::npos; };
  const auto renewed = [&] { return only.stats().at("claims_renewed").get<std::uint64_t>(); };
  // Five renewals take longer than one ttl: nobody has been missing meanwhile.
  const bool has_renewed = swarm.pump_until(
      [&] {
        REQUIRE(only.online() == 50);
        return renewed() >= 250;
      },
      20s);
  REQUIRE(has_renewed);
  REQUIRE(has_rows());
  only.process().signal(SIGKILL);
  REQUIRE(only.process().wait(5s));
  CHECK(wait_until([&] { return !has_rows(); }, 5s));
}
