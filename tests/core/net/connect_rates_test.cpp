// What connecting costs, and how a fight for one name is slowed down while those who merely move pay nothing.
#include <catch2/catch.hpp>
#include <string>

#include "core/net/connect_rates.hpp"

namespace wsr::net {
namespace {

using namespace std::chrono_literals;

Time at(std::chrono::milliseconds time) { return Time{} + 1h + time; }
asio::ip::address address(const char* text) { return asio::ip::make_address(text); }

class Desk {
public:
  ConnectRates rates{ConnectLimits{.client = {2, 1s, 3}, .address = {5, 1s, 5}, .takeover = {1, 1s, 4}},
                     [this](const LogEvent& event) { names.emplace_back(event.name); }};
  std::vector<std::string> names;
};

}  // namespace

TEST_CASE("a client that connects too often is told when to try again") {
  Desk desk;
  for (int i = 0; i < 3; ++i) CHECK_FALSE(desk.rates.refusal("ada", address("192.0.2.1"), at(0ms)));
  const auto refused = desk.rates.refusal("ada", address("192.0.2.2"), at(0ms));
  REQUIRE(refused);
  CHECK(refused->status == 429);
  CHECK(refused->code == "rate_limited");
  CHECK(refused->retry_after == 500ms);
  CHECK(refused->message.find("try again in 500 ms") != std::string::npos);
  CHECK(desk.names == std::vector<std::string>{"connects_refused"});
  CHECK_FALSE(desk.rates.refusal("bob", address("192.0.2.2"), at(0ms)));
  CHECK_FALSE(desk.rates.refusal("ada", address("192.0.2.2"), at(500ms)));
}

TEST_CASE("an address has its own limit, whatever names come from it, and guests count") {
  Desk desk;
  for (int i = 0; i < 5; ++i) CHECK_FALSE(desk.rates.refusal({}, address("192.0.2.1"), at(0ms)));
  CHECK(desk.rates.refusal("ada", address("192.0.2.1"), at(0ms)));
  CHECK(desk.rates.refusal({}, address("::ffff:192.0.2.1"), at(0ms)));
  CHECK_FALSE(desk.rates.refusal({}, address("192.0.2.9"), at(0ms)));
}

TEST_CASE("an IPv6 network counts as one address") {
  Desk desk;
  for (int i = 0; i < 5; ++i) {
    CHECK_FALSE(desk.rates.refusal({}, address(("2001:db8:1:2::" + std::to_string(i)).c_str()), at(0ms)));
  }
  CHECK(desk.rates.refusal({}, address("2001:db8:1:2:ffff::1"), at(0ms)));
  CHECK_FALSE(desk.rates.refusal({}, address("2001:db8:1:3::1"), at(0ms)));
}

TEST_CASE("loopback has no limit by address") {
  Desk desk;
  for (const char* text : {"127.0.0.1", "::1", "::ffff:127.0.0.1"}) {
    for (int i = 0; i < 50; ++i) CHECK_FALSE(desk.rates.refusal({}, address(text), at(0ms)));
  }
}

TEST_CASE("a name that always comes back and throws the other out waits once its bucket is empty") {
  Desk desk;
  int free = 0;
  for (; free < 100 && desk.rates.wait("twin", at(0ms)).count() == 0; ++free) {
    desk.rates.on_takeover("twin", at(0ms));
    (void)desk.rates.on_replaced("twin", at(0ms));
  }
  CHECK(free == 5);  // the first was no fight
  CHECK(desk.rates.wait("twin", at(0ms)) == 1s);
  CHECK(desk.rates.on_replaced("twin", at(0ms)).find("two programs") != std::string_view::npos);
  CHECK(desk.names == std::vector<std::string>{"takeover_fight"});
  CHECK(desk.rates.wait("twin", at(1'000ms)).count() == 0);
  CHECK(desk.rates.wait("other", at(0ms)).count() == 0);
}

TEST_CASE("of many that wait for the last token of a name one comes in") {
  Desk desk;
  for (int i = 0; i < 4; ++i) {
    (void)desk.rates.on_replaced("twin", at(0ms));
    REQUIRE(desk.rates.wait("twin", at(0ms)).count() == 0);
    desk.rates.on_takeover("twin", at(0ms));
  }
  (void)desk.rates.on_replaced("twin", at(0ms));
  REQUIRE(desk.rates.wait("twin", at(0ms)) == 1s);
  int in = 0;
  for (int tab = 0; tab < 10; ++tab) in += desk.rates.wait("twin", at(1'000ms)).count() == 0 ? 1 : 0;
  CHECK(in == 1);
  desk.rates.on_takeover("twin", at(1'001ms));
  (void)desk.rates.on_replaced("twin", at(1'001ms));
  for (int tab = 0; tab < 10; ++tab) CHECK(desk.rates.wait("twin", at(1'002ms)).count() > 0);
}

TEST_CASE("a client that moves to and fro and leaves its places by itself never waits") {
  Desk desk;
  for (int i = 0; i < 200; ++i) {
    // Replaced here, gone elsewhere by itself: it comes back and replaces nobody.
    (void)desk.rates.on_replaced("mover", at(0ms));
    CHECK(desk.rates.wait("mover", at(0ms)).count() == 0);
  }
  for (int i = 0; i < 200; ++i) {
    desk.rates.on_takeover("walker", at(0ms));  // replaces elsewhere, and closes by itself
    CHECK(desk.rates.wait("walker", at(0ms)).count() == 0);
  }
  for (int i = 0; i < 200; ++i) {
    // A first connection that replaces nobody, a second that replaces it, and both are given up.
    CHECK(desk.rates.wait("tabs", at(0ms)).count() == 0);
    CHECK(desk.rates.wait("tabs", at(0ms)).count() == 0);
    desk.rates.on_takeover("tabs", at(0ms));
    (void)desk.rates.on_replaced("tabs", at(0ms));
  }
}

TEST_CASE("what a close reason says of a fight fits into a close frame") {
  Desk desk;
  for (int i = 0; i < 10; ++i) {
    (void)desk.rates.on_replaced("twin", at(0ms));
    (void)desk.rates.wait("twin", at(0ms));
    desk.rates.on_takeover("twin", at(0ms));
  }
  const std::string reason =
      "a newer connection of this client took over" + std::string(desk.rates.on_replaced("twin", at(0ms)));
  CHECK(reason.size() <= 123);
  CHECK(reason.ends_with("slowed down"));
}

}  // namespace wsr::net
