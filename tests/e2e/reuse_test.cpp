// Connections come and go while messages fly: descriptors and slots are used again, and nobody gets another's message.
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
#include "tests/support/wsr_server.hpp"

namespace {

using namespace wsr::test;
using namespace std::chrono_literals;
using nlohmann::json;

constexpr std::size_t identities = 200;
constexpr std::size_t messages = 100'000;
constexpr std::size_t senders_per_server = 4;
constexpr std::size_t window = 64;          // messages of a sender without a word
constexpr std::size_t sends_per_move = 12;  // one identity moves for so many messages sent

class Hammer {
public:
  Hammer(std::array<const WsrServer*, 2> servers, std::uint64_t random_seed) : servers_(servers), random_(random_seed) {
    swarm_.on_text = [this](Swarm::Id id, std::string_view text) { on_text(id, text); };
  }

  void run() {
    for (std::size_t n = 0; n < senders_per_server * servers_.size(); ++n) {
      const auto id = swarm_.connect(servers_[n % servers_.size()]->port(), fmt::format("sender{}", n));
      senders_.push_back({id, 0});
      sender_of_[id] = n;
    }
    for (std::size_t n = 0; n < identities; ++n) at_.push_back(connect(n));
    REQUIRE(swarm_.pump_until([this] { return swarm_.welcome_count() == senders_.size() + identities; }, 20s));

    REQUIRE(swarm_.pump_until(
        [this] {
          top_up();
          return ended_ >= messages;
        },
        90s));
    REQUIRE(swarm_.pump_until([this] { return ended_ == sent_; }, 15s));

    INFO(summary());
    CHECK(misdelivered_ == 0);
    CHECK(swarm_.early_count() == 0);  // `welcome` is the first frame of every connection
    CHECK(doubled_ == 0);
    CHECK(results_twice_ == 0);
    CHECK(moves_ > messages / sends_per_move / 2);
    CHECK(words_["delivered"] > messages / 2);  // the hammering left something to misdeliver
    CHECK(received_ > messages / 2);
    CHECK(received_ <= words_["delivered"] + words_["unknown"]);
    std::cout << summary() << std::endl;
  }

private:
  struct Sender {
    Swarm::Id id = 0;
    std::size_t in_flight = 0;
  };

  std::size_t draw(std::size_t below) { return random_() % below; }

  Swarm::Id connect(std::size_t identity) {
    const auto id = swarm_.connect(servers_[draw(servers_.size())]->port(), fmt::format("id{}", identity));
    identity_of_[id] = identity;
    return id;
  }

  void top_up() {
    for (auto& sender : senders_) {
      while (sender.in_flight < window && sent_ < messages) {
        const auto to = draw(identities);
        is_ended_.push_back(false);
        is_received_.push_back(false);
        swarm_.text(sender.id, fmt::format(R"({{"op":"send","to":"id{}","data":{{"to":{},"n":{}}},"id":"{}"}})", to, to,
                                           sent_, sent_));
        ++sent_;
        ++sender.in_flight;
        if (sent_ % sends_per_move == 0) move(draw(identities));
      }
    }
  }

  /// The identity's socket ends, and it comes back elsewhere; sometimes the new socket is first.
  void move(std::size_t identity) {
    const auto old = at_[identity];
    const auto how = static_cast<Swarm::Farewell>(draw(3));
    const bool is_overlapping = draw(3) == 0;
    if (!is_overlapping) swarm_.close(old, how);
    at_[identity] = connect(identity);
    if (is_overlapping && draw(2) == 0) swarm_.close(old, how);
    ++moves_;
  }

  void on_text(Swarm::Id id, std::string_view text) {
    const auto frame = json::parse(text);
    const auto op = frame.at("op").get<std::string>();
    if (op == "result") {
      auto& sender = senders_.at(sender_of_.at(id));
      const auto number = std::stoull(frame.at("id").get<std::string>());
      if (is_ended_.at(number)) ++results_twice_;
      is_ended_[number] = true;
      ++words_[frame.at("state").get<std::string>()];
      --sender.in_flight;
      ++ended_;
    } else if (op == "message") {
      const auto number = frame.at("data").at("n").get<std::size_t>();
      const auto known = identity_of_.find(id);
      if (known == identity_of_.end() || frame.at("data").at("to") != known->second) ++misdelivered_;
      if (is_received_.at(number)) ++doubled_;
      is_received_[number] = true;
      ++received_;
    } else {
      FAIL("unexpected frame " << text);
    }
  }

  std::string summary() {
    std::string words;
    for (const auto& [word, count] : words_) words += fmt::format(" {} {}", word, count);
    return fmt::format("{} sent, {} received, {} moves, {} misdelivered, {} doubled; words:{}", sent_, received_,
                       moves_, misdelivered_, doubled_, words);
  }

  std::array<const WsrServer*, 2> servers_;
  std::mt19937_64 random_;
  Swarm swarm_;
  std::vector<Sender> senders_;
  std::map<Swarm::Id, std::size_t> sender_of_;
  std::map<Swarm::Id, std::size_t> identity_of_;  // of every connection ever made
  std::vector<Swarm::Id> at_;                     // the newest connection of each identity
  std::vector<bool> is_ended_, is_received_;      // by message number
  std::map<std::string, std::size_t> words_;
  std::size_t sent_ = 0, ended_ = 0, received_ = 0, moves_ = 0, misdelivered_ = 0, doubled_ = 0, results_twice_ = 0;
};

void hammer(std::array<const WsrServer*, 2> servers) {
  const char* given = std::getenv("WSR_TEST_SEED");
  const auto seed = given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device{}();
  std::cout << "seed: WSR_TEST_SEED=" << seed << std::endl;
  INFO("WSR_TEST_SEED=" << seed);
  Hammer(servers, seed).run();
  for (const auto* server : servers) {
    json stats;
    CHECK(wait_until(
        [&] {
          stats = server->stats();
          return stats.at("in_flight") == 0 && stats.at("connections") == 0;
        },
        8s));
    INFO(stats.dump(1));
    CHECK(stats.at("sent") == sum_of_words(stats));
    CHECK(stats.at("connections") == 0);
  }
}

}  // namespace

TEST_CASE("100 000 messages to 200 clients that keep moving over two servers reach nobody else") {
  if (!find_redis_server()) {
    WARN(no_redis_server);
    return;
  }
  RedisServer redis;
  WsrServer a({.name = "a", .store = redis.url()});
  WsrServer b({.name = "b", .store = redis.url()});
  hammer({&a, &b});
}

TEST_CASE("100 000 messages to 200 clients that keep moving over two shards in memory reach nobody else") {
  WsrServer server({.name = "solo", .shards = 2});
  hammer({&server, &server});
}
