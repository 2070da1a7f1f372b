// A server that stands still (SIGSTOP, as a paused VM or a host without power): its sockets stay open, and nobody says
// goodbye. Who wrote to its clients before reaches them where they are, and what it finds when it wakes up harms
// nobody.
#include <fmt/format.h>
#include <signal.h>

#include <catch2/catch.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "tests/support/redis_server.hpp"
#include "tests/support/wait.hpp"
#include "tests/support/ws_client.hpp"
#include "tests/support/wsr_server.hpp"

namespace {

using namespace wsr::test;
using namespace std::chrono_literals;
using nlohmann::json;

constexpr milliseconds lease{2'000};
constexpr milliseconds slack{20'000};  // what is promised is two seconds; how long it takes is measured elsewhere

struct Fabric {
  explicit Fabric(std::string_view lease_text = "2s") : more{"--lease", std::string(lease_text)} {}
  RedisServer redis;
  std::vector<std::string> more;
  WsrServer near{{.name = "near", .store = redis.url(), .more = more}};
  WsrServer still{{.name = "still", .store = redis.url(), .more = more}};
  WsrServer other{{.name = "other", .store = redis.url(), .more = more}};
};

/// Thaws what it has frozen, whatever happens to the test.
class Frozen {
public:
  explicit Frozen(WsrServer& server) : server_(&server) { server.process().signal(SIGSTOP); }
  ~Frozen() { thaw(); }
  Frozen(const Frozen&) = delete;
  Frozen& operator=(const Frozen&) = delete;
  void thaw() {
    if (server_ != nullptr) server_->process().signal(SIGCONT);
    server_ = nullptr;
  }

private:
  WsrServer* server_;
};

std::string state(const json& result) { return result.at("state").get<std::string>(); }

}  // namespace

TEST_CASE("who wrote to a client of a server that stands still hears offline, and reaches it at once when it is back") {
  Fabric fabric;
  WsClient alice(fabric.near.port(), "alice");
  WsClient bob(fabric.still.port(), "bob");
  REQUIRE(state(alice.send("bob", "1")) == "delivered");  // a route that is known from now on
  Frozen frozen(fabric.still);
  CHECK(wait_until([&] { return state(alice.send("bob", "2")) == "offline"; }, lease + slack));
  CHECK(state(alice.send("bob", "3")) == "offline");
  WsClient moved(fabric.other.port(), "bob");
  CHECK(state(alice.send("bob", "\"here\"")) == "delivered");
  CHECK(moved.message().data == "\"here\"");
}

TEST_CASE(
    "a client that leaves a server which stands still is welcomed when the lease of that is over, and reached then") {
  Fabric fabric;
  WsClient alice(fabric.near.port(), "alice");
  WsClient bob(fabric.still.port(), "bob");
  REQUIRE(state(alice.send("bob", "1")) == "delivered");
  Frozen frozen(fabric.still);
  WsClient moved(fabric.other.port(), "bob", lease + slack);
  CHECK(state(alice.send("bob", "\"here\"")) == "delivered");
  CHECK(moved.message().data == "\"here\"");
}

TEST_CASE("a server that wakes up after its lease delivers nothing to connections whose clients have gone elsewhere") {
  Fabric fabric;
  WsClient alice(fabric.near.port(), "alice");
  std::vector<WsClient> before, after;
  for (int n = 0; n < 10; ++n) before.emplace_back(fabric.still.port(), fmt::format("c{}", n));
  for (int n = 0; n < 10; ++n) REQUIRE(state(alice.send(fmt::format("c{}", n), "0")) == "delivered");
  for (WsClient& client : before) CHECK(client.message().data == "0");
  Frozen frozen(fabric.still);
  for (int n = 0; n < 10; ++n) alice.text(fmt::format(R"({{"op":"send","to":"c{}","data":"early"}})", n));
  for (int n = 0; n < 10; ++n) after.emplace_back(fabric.other.port(), fmt::format("c{}", n), lease + slack);
  for (int n = 0; n < 10; ++n) CHECK(state(alice.send(fmt::format("c{}", n), "\"late\"")) == "delivered");
  frozen.thaw();
  for (WsClient& client : before) CHECK(client.close_code(lease + slack) == 4009);
  for (WsClient& client : after) {
    CHECK(client.message().data == "\"late\"");
    CHECK(client.is_open());
  }
  for (WsClient& client : before) CHECK_THROWS(client.message(0ms));
  CHECK(wait_until([&] { return fabric.still.ready() == 200; }, lease + slack));
}

TEST_CASE("a server that stood still for less than its lease goes on where it was") {
  Fabric fabric("15s");  // a busy machine may take seconds between the two signals
  WsClient alice(fabric.near.port(), "alice");
  WsClient bob(fabric.still.port(), "bob");
  const auto renewals = [&] { return fabric.still.stats().at("keeper").at("renewals").get<std::uint64_t>(); };
  const auto lost = fabric.still.stats().at("keeper").at("leases_lost").get<std::uint64_t>();
  const auto before = renewals();
  REQUIRE(wait_until([&] { return renewals() > before; }, lease + slack));  // a fresh lease
  {
    Frozen frozen(fabric.still);
    alice.text(R"({"op":"send","to":"bob","data":"soon"})");
  }
  CHECK(bob.message().data == "\"soon\"");
  CHECK(bob.is_open());
  CHECK(fabric.still.stats().at("keeper").at("leases_lost").get<std::uint64_t>() == lost);
}

TEST_CASE(
    "nothing that is sent after a client's welcome is read by its older connection, wherever sender and client are") {
  Fabric fabric;
  WsClient alice(fabric.near.port(), "alice");
  const std::vector<WsrServer*> servers{&fabric.near, &fabric.still, &fabric.other, &fabric.other, &fabric.near};
  std::vector<WsClient> connections;
  connections.emplace_back(fabric.near.port(), "bob");
  REQUIRE(state(alice.send("bob", "\"first\"")) == "delivered");
  for (int round = 0; round < 20; ++round) {
    const WsrServer& to = *servers[static_cast<std::size_t>(round) % servers.size()];
    connections.emplace_back(to.port(), "bob");
    const std::string data = fmt::format("{}", round);
    CHECK(state(alice.send("bob", data)) == "delivered");
    CHECK(connections.back().message().data == data);
  }
}
