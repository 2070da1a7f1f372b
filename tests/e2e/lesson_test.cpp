// The walk that everything else stands on: alice on one server, bob on another, and one of the servers goes.
#include <fmt/format.h>
#include <signal.h>

#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "tests/support/redis_server.hpp"
#include "tests/support/ws_client.hpp"
#include "tests/support/wsr_server.hpp"

namespace {

using namespace wsr::test;
using namespace std::chrono_literals;
using nlohmann::json;

struct TwoServers {
  RedisServer redis;
  WsrServer a{{.name = "a", .store = redis.url()}};
  WsrServer b{{.name = "b", .store = redis.url()}};
};

void check_crosses(WsClient& from, std::string_view from_name, WsClient& to, std::string_view to_name,
                   std::string_view data) {
  INFO(from_name << " -> " << to_name << ": " << data);
  const auto result = from.send(to_name, data);
  CHECK(result.at("state") == "delivered");
  const auto message = to.message();
  CHECK(message.from == from_name);
  CHECK(message.data == data);
}

}  // namespace

TEST_CASE("a message crosses between two servers in both directions, and each ends in delivered") {
  if (!find_redis_server()) {
    WARN(no_redis_server);
    return;
  }
  TwoServers fabric;
  WsClient alice(fabric.a.port(), "alice");
  WsClient bob(fabric.b.port(), "bob");
  CHECK(alice.welcome().at("client") == "alice");
  CHECK(alice.welcome().at("server").get<std::string>().starts_with("a~"));
  CHECK(bob.welcome().at("server").get<std::string>().starts_with("b~"));

  check_crosses(alice, "alice", bob, "bob", R"("hi")");
  check_crosses(bob, "bob", alice, "alice", R"("hi back")");
  CHECK(alice.send("nobody", "1").at("state") == "offline");
  CHECK(alice.messages_waiting() == 0);
  CHECK(bob.messages_waiting() == 0);
}

TEST_CASE("data crosses servers byte for byte") {
  if (!find_redis_server()) {
    WARN(no_redis_server);
    return;
  }
  TwoServers fabric;
  WsClient alice(fabric.a.port(), "alice");
  WsClient bob(fabric.b.port(), "bob");
  const std::vector<std::string> values{
      "{}",
      "[]",
      "null",
      "9007199254740993",
      "-0.0",
      "1.0e+2",
      "123456789012345678901234567890.000",
      R"({"a" :  [1,2 ,  {"b":{ } }],"a":1})",
      "{\n\t\"spaced\" : [ 1 ,\r\n 2 ]\n}",
      "\"gr\u00fc\u00df dich \u4e16\u754c\"",
      "\"\U0001F600\U0001F468\u200D\U0001F469\u200D\U0001F467\"",
      R"("\u00e9\ud83d\ude00\\ \" \/ \b\f\n\r\t\u0000")",
      R"({"op":"result","id":"c1","state":"delivered"})",
      "\"" + std::string(60'000, 'x') + "\"",
  };
  for (const auto& value : values) {
    check_crosses(alice, "alice", bob, "bob", value);
    check_crosses(bob, "bob", alice, "alice", value);
  }
}

TEST_CASE("a stopped server says 1001 and takes its rows along, and sending resumes where its client reconnects") {
  if (!find_redis_server()) {
    WARN(no_redis_server);
    return;
  }
  TwoServers fabric;
  WsClient alice(fabric.a.port(), "alice");
  WsClient bob(fabric.b.port(), "bob");
  check_crosses(bob, "bob", alice, "alice", "1");

  fabric.a.process().signal(SIGTERM);
  CHECK(alice.close_code() == 1001);
  const auto end = fabric.a.process().wait(7s);  // its drain bound is 5 s
  REQUIRE(end);
  CHECK(end->exit_code == 0);
  CHECK(fabric.b.owners("alice").empty());
  CHECK(fabric.b.online() == 1);
  const auto keys = fabric.redis.command({"KEYS", "*"});
  CHECK(keys.find("{c:alice}") == std::string::npos);
  CHECK(keys.find("{s:a~") == std::string::npos);
  CHECK(bob.is_open());
  CHECK(bob.send("alice", "2").at("state") == "offline");

  WsClient again(fabric.b.port(), "alice");
  check_crosses(bob, "bob", again, "alice", "3");
  check_crosses(again, "alice", bob, "bob", "4");

  // And with a server between them again: the name may be used once more.
  WsrServer a({.name = "a", .store = fabric.redis.url()});
  WsClient carol(a.port(), "carol");
  check_crosses(carol, "carol", again, "alice", "5");
  check_crosses(again, "alice", carol, "carol", "6");
  CHECK(bob.is_open());
  CHECK(bob.messages_waiting() == 0);
}

TEST_CASE("one server in memory with two shards carries messages within and between its shards") {
  WsrServer server({.name = "solo", .shards = 2});
  std::vector<WsClient> clients;
  std::vector<std::string> names;
  std::vector<unsigned> shards;
  // The kernel spreads connections: go on until both shards hold two.
  const auto on = [&](unsigned shard) { return std::count(shards.begin(), shards.end(), shard); };
  while ((on(0) < 2 || on(1) < 2) && clients.size() < 64) {
    names.push_back(fmt::format("c{}", clients.size()));
    clients.emplace_back(server.port(), names.back());
    shards.push_back(server.shard_of(names.back()));
  }
  REQUIRE(on(0) >= 2);
  REQUIRE(on(1) >= 2);
  for (std::size_t from = 0; from < clients.size(); ++from) {
    for (std::size_t to = 0; to < clients.size(); ++to) {
      if (from == to) continue;
      check_crosses(clients[from], names[from], clients[to], names[to], fmt::format("{}", from * 100 + to));
    }
  }
  // Stopping clears everything, and the memory needs no other server for it.
  server.process().signal(SIGINT);
  for (auto& client : clients) CHECK(client.close_code() == 1001);
  const auto end = server.process().wait(7s);
  REQUIRE(end);
  CHECK(end->exit_code == 0);
}

TEST_CASE("the newest connection of a client replaces the older one, which is told 4009") {
  if (!find_redis_server()) {
    WARN(no_redis_server);
    return;
  }
  TwoServers fabric;
  WsClient old(fabric.a.port(), "alice");
  WsClient fresh(fabric.b.port(), "alice");
  WsClient bob(fabric.a.port(), "bob");
  CHECK(old.close_code() == 4009);
  check_crosses(bob, "bob", fresh, "alice", "1");
  WsClient newest(fabric.b.port(), "alice");  // the same server
  CHECK(fresh.close_code() == 4009);
  check_crosses(bob, "bob", newest, "alice", "2");
}

TEST_CASE("wsr send and wsr owners speak to a running server and end in the exit code of the word") {
  if (!find_redis_server()) {
    WARN(no_redis_server);
    return;
  }
  TempDir runtime;
  RedisServer redis;
  WsrServer a({.name = "a", .store = redis.url(), .runtime_dir = runtime.path().string()});
  WsrServer b({.name = "b", .store = redis.url(), .runtime_dir = runtime.path().string()});
  WsClient alice(b.port(), "alice");
  const Environment here{{"XDG_RUNTIME_DIR", runtime.path().string()}};

  const auto sent = run({WSR_BINARY, "send", "alice", "hi", "--server", a.url()});
  INFO(sent.out << sent.err);
  CHECK(sent.exit_code == 0);
  CHECK(sent.out.starts_with("delivered to alice on b"));
  CHECK(alice.message().data == R"("hi")");

  const auto found = run({WSR_BINARY, "send", "alice", "-", "--from", "bob", "--json"}, here, "from stdin\n");
  INFO(found.out << found.err);
  CHECK(found.exit_code == 0);
  CHECK(json::parse(found.out).at("state") == "delivered");
  const auto message = alice.message();
  CHECK(message.from == "bob");
  CHECK(message.data == R"("from stdin")");

  const auto direct = run({WSR_BINARY, "send", "alice", "direct", "--store", redis.url()});
  INFO(direct.out << direct.err);
  CHECK(direct.exit_code == 0);
  CHECK(alice.message().data == R"("direct")");

  CHECK(run({WSR_BINARY, "send", "nobody", "hi", "--server", a.url()}).exit_code == 3);
  CHECK(run({WSR_BINARY, "send"}).exit_code == 2);
  CHECK(run({WSR_BINARY, "send", "alice", "hi", "--server", "http://127.0.0.1:1"}).exit_code == 1);

  const auto table = run({WSR_BINARY, "owners", "--server", a.url()});
  INFO(table.out << table.err);
  CHECK(table.exit_code == 0);
  CHECK(table.out.find("alice") != std::string::npos);
  CHECK(table.out.find("b~") != std::string::npos);
  const auto kicked = run({WSR_BINARY, "owners", "kick", "alice", "--server", a.url()});
  INFO(kicked.out << kicked.err);
  CHECK(kicked.exit_code == 0);
  CHECK(alice.close_code() == 1008);
}
