// Reconnects that race with the end of the older connection: the newest connection must win, always.
#include <fmt/format.h>

#include <array>
#include <catch2/catch.hpp>
#include <cstdlib>
#include <iostream>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "tests/support/redis_server.hpp"
#include "tests/support/swarm.hpp"
#include "tests/support/tcp_proxy.hpp"
#include "tests/support/ws_client.hpp"
#include "tests/support/wsr_server.hpp"

namespace {

using namespace wsr::test;
using namespace std::chrono_literals;
using nlohmann::json;

constexpr int interleavings = 1'000;

std::uint64_t seed() {
  const char* given = std::getenv("WSR_TEST_SEED");
  const auto value = given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device{}();
  std::cout << "seed: WSR_TEST_SEED=" << value << std::endl;
  return value;
}

/// Connects and closes of one client, in an order drawn at random, over the given servers.
class Race {
public:
  Race(std::vector<const WsrServer*> servers, std::uint64_t random_seed)
      : servers_(std::move(servers)), random_(random_seed) {
    swarm_.on_text = [this](Swarm::Id id, std::string_view text) { on_text(id, text); };
    for (const auto* server : servers_) {
      senders_.push_back(swarm_.connect(server->port(), fmt::format("sender{}", senders_.size())));
    }
    REQUIRE(swarm_.pump_until([this] { return swarm_.welcome_count() == senders_.size(); }, 10s));
  }

  /// One interleaving; at its end the newest connection must have the row and get the messages.
  void interleave(int number) {
    user_ = fmt::format("u{}", number % 50);  // names come back: their epochs and cached routes are old
    trace_ = fmt::format("interleaving {}, {}:", number, user_);
    mine_.clear();
    heard_.clear();
    const auto connects = 2 + draw(4);
    for (std::size_t n = 0; n < connects; ++n) {
      connect();
      for (auto closes = draw(3); closes > 0; --closes) close_one_of_the_older();
    }
    for (auto closes = draw(3); closes > 0; --closes) close_one_of_the_older();
    settle();
  }

  [[nodiscard]] std::size_t told_4009() const { return told_4009_; }

private:
  std::size_t draw(std::size_t below) { return random_() % below; }

  void on_text(Swarm::Id id, std::string_view text) {
    const auto frame = json::parse(text);
    if (frame.at("op") == "result") {
      results_[frame.at("id").get<std::string>()] = frame.at("state").get<std::string>();
    } else if (frame.at("op") == "message") {
      heard_.emplace_back(id, frame.at("data").get<int>());
    }
  }

  void connect() {
    const auto server = draw(servers_.size());
    const auto id = swarm_.connect(servers_[server]->port(), user_);
    mine_.push_back(id);
    trace_ += fmt::format(" connect#{}@{}", mine_.size() - 1, server);
    // The next connection is newer only if this one has been accepted: its upgrade was answered, or its claim was too.
    if (draw(2) == 0) {
      REQUIRE(swarm_.pump_until([&] { return swarm_.seen(id).stage >= Swarm::Stage::open; }, 10s));
    } else {
      trace_ += "+welcome";
      REQUIRE(swarm_.pump_until(
          [&] { return swarm_.seen(id).has_welcome || swarm_.seen(id).stage == Swarm::Stage::closed; }, 10s));
    }
    for (auto turns = draw(4); turns > 0; --turns) swarm_.pump(0ms);
  }

  void close_one_of_the_older() {
    if (mine_.size() < 2) return;
    const auto n = draw(mine_.size() - 1);
    if (swarm_.seen(mine_[n]).stage == Swarm::Stage::closed) return;
    const auto how = static_cast<Swarm::Farewell>(draw(3));
    constexpr std::array words{"frame", "fin", "reset"};
    trace_ += fmt::format(" close#{}/{}", n, words.at(static_cast<std::size_t>(how)));
    swarm_.close(mine_[n], how);
    for (auto turns = draw(3); turns > 0; --turns) swarm_.pump(0ms);
  }

  void settle() {
    INFO(trace_);
    const auto newest = mine_.back();
    CHECK(swarm_.pump_until([&] { return swarm_.seen(newest).has_welcome; }, 10s));
    // Every older connection ends: by us, or told 4009.
    CHECK(swarm_.pump_until([&] { return swarm_.socket_count() == senders_.size() + 1; }, 10s));
    for (std::size_t n = 0; n + 1 < mine_.size(); ++n) {
      const auto& seen = swarm_.seen(mine_[n]);
      INFO("connection #" << n);
      if (!seen.is_closed_by_us) {
        CHECK(seen.close_code == 4009);
        ++told_4009_;
      }
    }
    REQUIRE(swarm_.seen(newest).stage == Swarm::Stage::open);
    // The servers have seen every end, so every late release is on its way before what we ask now.
    CHECK(swarm_.pump_until([&] { return connections() == senders_.size() + 1; }, 10s));
    for (const auto* server : servers_) {
      const auto rows = server->owners(user_);
      if (rows.empty()) swarm_.pump(100ms);  // only for the words of a failure: was the newest told something?
      INFO("the newest: close code " << swarm_.seen(newest).close_code);
      INFO("rows: " << rows.dump() << ", newest: " << swarm_.seen(newest).conn);
      REQUIRE(rows.size() == 1);
      CHECK(rows[0].at("server") == swarm_.seen(newest).server);
      CHECK(rows[0].at("connection").get<std::string>().ends_with(swarm_.seen(newest).conn));
    }
    for (const auto sender : senders_) check_reaches(sender, newest);
    // Leaves an end for the next interleaving of this name to race with.
    swarm_.close(newest, static_cast<Swarm::Farewell>(draw(3)));
  }

  void check_reaches(Swarm::Id sender, Swarm::Id newest) {
    const auto number = ++sent_;
    const auto id = fmt::format("m{}", number);
    swarm_.text(sender, fmt::format(R"({{"op":"send","to":"{}","data":{},"id":"{}"}})", user_, number, id));
    CHECK(swarm_.pump_until([&] { return results_.contains(id); }, 10s));
    CHECK(results_[id] == "delivered");
    CHECK(swarm_.pump_until([&] { return !heard_.empty(); }, 10s));
    CHECK(heard_ == std::vector<std::pair<Swarm::Id, int>>{{newest, number}});
    heard_.clear();
    results_.clear();
  }

  std::size_t connections() const {
    std::size_t sum = 0;
    for (const auto* server : servers_) sum += server->connections();
    if (servers_.size() == 2 && servers_[0] == servers_[1]) sum /= 2;
    return sum;
  }

  std::vector<const WsrServer*> servers_;
  std::mt19937_64 random_;
  Swarm swarm_;
  std::vector<Swarm::Id> senders_;
  std::vector<Swarm::Id> mine_;  // connections of the client, oldest first
  std::string user_;
  std::string trace_;
  std::vector<std::pair<Swarm::Id, int>> heard_;
  std::map<std::string, std::string> results_;
  int sent_ = 0;
  std::size_t told_4009_ = 0;
};

void run_races(std::vector<const WsrServer*> servers) {
  const auto value = seed();
  INFO("WSR_TEST_SEED=" << value);
  Race race(std::move(servers), value);
  for (int n = 0; n < interleavings; ++n) race.interleave(n);
  CHECK(race.told_4009() > interleavings / 10);  // the draws did leave old connections open
}

}  // namespace

TEST_CASE("in 1 000 random interleavings over two servers on Redis the newest connection keeps its row") {
  if (!find_redis_server()) {
    WARN(no_redis_server);
    return;
  }
  RedisServer redis;
  WsrServer a({.name = "a", .store = redis.url()});
  WsrServer b({.name = "b", .store = redis.url()});
  run_races({&a, &b});
}

TEST_CASE("in 1 000 random interleavings over two shards in memory the newest connection keeps its row") {
  WsrServer server({.name = "solo", .shards = 2});
  run_races({&server, &server});
}

TEST_CASE("a half-open connection loses its client to the new one, and its late end changes nothing") {
  if (!find_redis_server()) {
    WARN(no_redis_server);
    return;
  }
  RedisServer redis;
  WsrServer a({.name = "a", .store = redis.url()});
  WsrServer b({.name = "b", .store = redis.url()});
  WsClient bob(a.port(), "bob");
  for (int round = 0; round < 5; ++round) {
    INFO("round " << round);
    TcpProxy wire(a.port());
    WsClient old(wire.port(), "alice");
    REQUIRE(bob.send("alice", "0").at("state") == "delivered");
    REQUIRE(old.message().data == "0");
    wire.set(TcpProxy::Mode::swallow);  // alice's phone has left the house; A's socket stays open

    WsClient fresh(b.port(), "alice");
    // Until A has heard of the new claim, what A's own clients send still goes to the socket that it holds.
    CHECK(wait_until([&] { return a.stats().at("displaced") == round + 1; }, 5s));
    CHECK(bob.send("alice", "1").at("state") == "delivered");
    CHECK(fresh.message().data == "1");
    wire.set(TcpProxy::Mode::cut);  // now A learns of the end
    CHECK(wait_until([&] { return a.connections() == 1; }, 8s));
    CHECK(b.attachment("alice").ends_with(fresh.conn()));
    CHECK(a.attachment("alice") == b.attachment("alice"));
    CHECK(bob.send("alice", "2").at("state") == "delivered");
    CHECK(fresh.message().data == "2");
    CHECK(fresh.is_open());
  }
}
