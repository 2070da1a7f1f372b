// Many clients, pipelining to each other over two servers: order, completeness, and words that add up.
#include <fmt/format.h>

#include <catch2/catch.hpp>
#include <iostream>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "tests/support/redis_server.hpp"
#include "tests/support/swarm.hpp"
#include "tests/support/wsr_server.hpp"

namespace {

using namespace wsr::test;
using namespace std::chrono_literals;
using nlohmann::json;

constexpr std::size_t clients = 64;
constexpr std::size_t window = 16;
constexpr std::size_t messages = 50'000;

enum class Ids : std::uint8_t { given, none };

/// Every client sends to random others, `window` messages under way at a time.
class Crowd {
public:
  Crowd(const WsrServer& a, const WsrServer& b, Ids ids) : ids_(ids) {
    swarm_.on_text = [this](Swarm::Id id, std::string_view text) { on_text(id, text); };
    for (std::size_t n = 0; n < clients; ++n) {
      const auto id = swarm_.connect((n % 2 == 0 ? a : b).port(), fmt::format("c{}", n));
      REQUIRE(id == n);  // a swarm numbers from 0
    }
    REQUIRE(swarm_.pump_until([this] { return swarm_.welcome_count() == clients; }, 10s));
  }

  void run() {
    REQUIRE(swarm_.pump_until(
        [this] {
          top_up();
          return received_ == messages && (ids_ == Ids::none || results_ == messages);
        },
        60s));
    CHECK(misordered_ == 0);
    CHECK(misdelivered_ == 0);
    CHECK(other_words_ == 0);
    CHECK(swarm_.lost_count() == 0);
    // Nothing comes late: a ping goes round behind everything that was queued for each client.
    for (std::size_t n = 0; n < clients; ++n) swarm_.text(n, R"({"op":"ping","id":"end"})");
    REQUIRE(swarm_.pump_until([this] { return pongs_ == clients; }, 10s));
    CHECK(received_ == messages);
    CHECK(results_ == (ids_ == Ids::given ? messages : 0));
  }

  [[nodiscard]] std::size_t sent_by_parity(std::size_t parity) const { return sent_by_parity_[parity]; }

private:
  void top_up() {
    for (std::size_t from = 0; from < clients; ++from) {
      while (in_flight_[from] < window && sent_ < messages) {
        auto to = random_() % (clients - 1);
        if (to >= from) ++to;
        const auto number = next_[from * clients + to]++;
        const auto id = ids_ == Ids::given ? fmt::format(R"(,"id":"{}")", sent_) : std::string{};
        swarm_.text(from, fmt::format(R"({{"op":"send","to":"c{}","data":{{"f":{},"t":{},"n":{}}}{}}})", to, from, to,
                                      number, id));
        ++in_flight_[from];
        ++sent_;
        ++sent_by_parity_[from % 2];
      }
    }
  }

  void on_text(Swarm::Id id, std::string_view text) {
    const auto frame = json::parse(text);
    const auto op = frame.at("op").get<std::string>();
    if (op == "message") {
      const auto& data = frame.at("data");
      const auto from = data.at("f").get<std::size_t>();
      if (data.at("t") != id || frame.at("from") != fmt::format("c{}", from)) ++misdelivered_;
      // Lost, doubled and misordered messages all break the count.
      auto& expected = expected_[from * clients + id];
      if (data.at("n") != expected) ++misordered_;
      expected = data.at("n").get<std::size_t>() + 1;
      ++received_;
      if (ids_ == Ids::none) --in_flight_[from];
    } else if (op == "result") {
      if (frame.at("state") != "delivered") ++other_words_;
      ++results_;
      --in_flight_[id];
    } else if (op == "ok") {
      ++pongs_;
    } else {
      FAIL("unexpected frame " << text);
    }
  }

  Ids ids_;
  Swarm swarm_;
  std::mt19937_64 random_{20'260'131};
  std::vector<std::size_t> in_flight_ = std::vector<std::size_t>(clients);
  std::vector<std::size_t> next_ = std::vector<std::size_t>(clients * clients);      // by sender and receiver
  std::vector<std::size_t> expected_ = std::vector<std::size_t>(clients * clients);  // by sender and receiver
  std::array<std::size_t, 2> sent_by_parity_{};
  std::size_t sent_ = 0, received_ = 0, results_ = 0, pongs_ = 0;
  std::size_t misordered_ = 0, misdelivered_ = 0, other_words_ = 0;
};

void check_words(const WsrServer& server, std::size_t sent) {
  json stats;
  CHECK(wait_until(
      [&] {
        stats = server.stats();
        return stats.at("in_flight") == 0;
      },
      3s));
  INFO(stats.dump(1));
  CHECK(stats.at("sent") == sent);
  CHECK(stats.at("words").at("delivered") == sent);
  CHECK(sum_of_words(stats) == sent);
}

void run_crowd(Ids ids) {
  RedisServer redis;
  WsrServer a({.name = "a", .store = redis.url()});
  WsrServer b({.name = "b", .store = redis.url()});
  Crowd crowd(a, b, ids);
  crowd.run();
  check_words(a, crowd.sent_by_parity(0));
  check_words(b, crowd.sent_by_parity(1));
  const auto here =
      a.stats().at("delivered_here").get<std::size_t>() + b.stats().at("delivered_here").get<std::size_t>();
  CHECK(here == messages);
}

}  // namespace

TEST_CASE("64 clients pipelining over two servers with ids: order kept, nothing lost or doubled, the words add up") {
  if (!find_redis_server()) {
    WARN(no_redis_server);
    return;
  }
  run_crowd(Ids::given);
}

TEST_CASE("64 clients pipelining over two servers without ids: order kept, nothing lost or doubled, the words add up") {
  if (!find_redis_server()) {
    WARN(no_redis_server);
    return;
  }
  run_crowd(Ids::none);
}

TEST_CASE("each server's words add up when some messages end as offline") {
  if (!find_redis_server()) {
    WARN(no_redis_server);
    return;
  }
  RedisServer redis;
  WsrServer a({.name = "a", .store = redis.url()});
  WsrServer b({.name = "b", .store = redis.url()});
  Swarm swarm;
  std::map<std::string, std::size_t> results;
  std::size_t received = 0, ended = 0;
  swarm.on_text = [&](Swarm::Id, std::string_view text) {
    const auto frame = json::parse(text);
    if (frame.at("op") == "message") ++received;
    if (frame.at("op") == "result") ++results[frame.at("state").get<std::string>()], ++ended;
  };
  const auto alice = swarm.connect(a.port(), "alice");
  const auto bob = swarm.connect(b.port(), "bob");
  REQUIRE(swarm.pump_until([&] { return swarm.welcome_count() == 2; }, 10s));
  constexpr std::size_t rounds = 1'000;
  for (std::size_t n = 0; n < rounds; ++n) {
    for (const auto& [from, to] : {std::pair{alice, "bob"}, {bob, "alice"}, {alice, "ghost"}, {bob, "ghost"}}) {
      swarm.text(from, fmt::format(R"({{"op":"send","to":"{}","data":{},"id":"{}"}})", to, n, n));
    }
    // An id is optional, and so is the word; the count is not.
    swarm.text(alice, fmt::format(R"({{"op":"send","to":"ghost","data":{}}})", n));
    // A bounded number under way: more than 1 024 waiting for one lookup end as dropped(capacity), and rightly so.
    if (n % 50 == 49) REQUIRE(swarm.pump_until([&] { return ended == 4 * (n + 1); }, 10s));
  }
  REQUIRE(swarm.pump_until([&] { return ended == 4 * rounds && received == 2 * rounds; }, 20s));
  CHECK(results == std::map<std::string, std::size_t>{{"delivered", 2 * rounds}, {"offline", 2 * rounds}});
  const auto check = [&](const WsrServer& server, std::size_t delivered, std::size_t offline) {
    json stats;
    CHECK(wait_until([&] { return (stats = server.stats()).at("in_flight") == 0; }, 3s));
    INFO(stats.dump(1));
    CHECK(stats.at("words").at("delivered") == delivered);
    CHECK(stats.at("words").at("offline") == offline);
    CHECK(stats.at("sent") == delivered + offline);
    CHECK(sum_of_words(stats) == delivered + offline);
  };
  check(a, rounds, 2 * rounds);
  check(b, rounds, rounds);
}
