// How servers and connections end, over real processes: signals, a server that stood still, sockets without end.
#include <fmt/format.h>
#include <signal.h>

#include <catch2/catch.hpp>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/raw_socket.hpp"
#include "tests/support/redis_server.hpp"
#include "tests/support/ws_client.hpp"
#include "tests/support/wsr_server.hpp"

namespace {

using namespace wsr::test;
using namespace std::chrono_literals;

constexpr int clients = 10;

}  // namespace

TEST_CASE("a server that stood still takes no client away from where it has gone meanwhile") {
  if (!find_redis_server()) {
    WARN(no_redis_server);
    return;
  }
  RedisServer redis;
  WsrServer still({.name = "still", .store = redis.url()});
  WsrServer other({.name = "other", .store = redis.url()});
  WsClient sender(other.port(), "sender");

  still.process().signal(SIGSTOP);
  // Half of them give up with a FIN, half with a reset, half of their hosts just vanish: their sockets stay open.
  std::vector<RawSocket> vanished;
  for (int n = 0; n < clients; ++n) {
    RawSocket attempt(still.port());
    attempt.send(upgrade_request(fmt::format("c{}", n)));
    if (n % 3 == 0) vanished.push_back(std::move(attempt));
    if (n % 3 == 1) attempt.reset();
  }
  std::this_thread::sleep_for(500ms);  // they wait for an answer
  std::vector<WsClient> moved;
  for (int n = 0; n < clients; ++n) moved.emplace_back(other.port(), fmt::format("c{}", n));
  still.process().signal(SIGCONT);
  // Whoever asked and is still there hears that it came too late.
  for (auto& attempt : vanished) {
    CHECK_THAT(attempt.head(), Catch::Contains(" 101 "));
    CHECK(attempt.close_code() == 4009);
  }
  for (int n = 0; n < clients; ++n) {
    CHECK(moved[static_cast<std::size_t>(n)].is_open());
    CHECK(sender.send(fmt::format("c{}", n), "1").at("state") == "delivered");
    CHECK(moved[static_cast<std::size_t>(n)].message().data == "1");
  }
  CHECK(still.stats().at("displaced") == still.stats().at("claims_superseded"));
}

TEST_CASE("a client that asked a server while it stood still, and waits, is welcomed when it goes on") {
  if (!find_redis_server()) {
    WARN(no_redis_server);
    return;
  }
  RedisServer redis;
  WsrServer still({.name = "still", .store = redis.url()});
  WsrServer other({.name = "other", .store = redis.url()});
  WsClient sender(other.port(), "sender");
  WsClient old(other.port(), "patient");
  still.process().signal(SIGSTOP);
  RawSocket patient(still.port());
  patient.send(upgrade_request("patient"));
  still.process().signal(SIGCONT);
  CHECK_THAT(patient.head(), Catch::Contains(" 101 "));
  const auto welcome = patient.frame();
  REQUIRE(welcome);
  CHECK_THAT(welcome->payload, Catch::Contains("welcome"));
  CHECK(old.close_code() == 4009);
  CHECK(sender.send("patient", "1").at("state") == "delivered");
}

TEST_CASE("a server that stood still reads what waits before it gives anybody up: its store, and who answered a ping") {
  if (!find_redis_server()) {
    WARN(no_redis_server);
    return;
  }
  RedisServer redis;
  WsrServer server({.store = redis.url(), .shards = 1, .more = {"--lease", "30s", "--ping", "3s", "--pong", "3s"}});
  // More than one look of the reactor takes.
  std::vector<RawSocket> clients;
  for (int n = 0; n < 300; ++n) {
    clients.emplace_back(server.port());
    clients.back().upgrade(fmt::format("c{}", n));
  }
  for (auto& client : clients) {
    const auto ping = client.frame();
    REQUIRE(ping);
    REQUIRE(ping->opcode == 9);
  }
  server.process().signal(SIGSTOP);
  std::this_thread::sleep_for(500ms);  // its timers become ready first, and so come before the bytes
  for (auto& client : clients) client.send(masked_frame(0x8A, ""));
  std::this_thread::sleep_for(5s);  // the time of pongs, and that of the store's answers
  server.process().signal(SIGCONT);
  for (auto& client : clients) {
    client.send(masked_frame(0x81, R"({"op":"ping","id":"still"})"));
    auto frame = client.frame();
    while (frame && frame->opcode == 9) frame = client.frame();
    REQUIRE(frame);
    CHECK_THAT(frame->payload, Catch::Contains("still"));
  }
  CHECK(server.process().err().find("store_lost") == std::string::npos);
  CHECK(server.connections() == clients.size());
}

TEST_CASE("SIGHUP is a stop in good order, also behind another signal, and nohup keeps it away") {
  {
    WsrServer server({.more = {"--drain", "2s"}});
    WsClient client(server.port(), "ada");
    server.process().signal(SIGHUP);
    CHECK(client.close_code() == 1001);
    const auto end = server.process().wait(7s);
    REQUIRE(end);
    CHECK(end->exit_code == 0);
  }
  {
    WsrServer server({.more = {"--drain", "2s"}});
    RawSocket silent(server.port());
    silent.upgrade("ada");  // does not answer its close: the stop takes a while
    server.process().signal(SIGTERM);
    CHECK(wait_until([&] { return server.ready() == 503; }, 1'500ms));
    server.process().signal(SIGHUP);
    server.process().signal(SIGHUP);
    CHECK(silent.close_code() == 1001);
    const auto end = server.process().wait(7s);
    REQUIRE(end);
    CHECK(end->exit_code == 0);
  }
  {
    const auto ignored = ::signal(SIGHUP, SIG_IGN);  // as nohup does; the child inherits it
    WsrServer server({});
    ::signal(SIGHUP, ignored);
    server.process().signal(SIGHUP);
    WsClient client(server.port(), "ada");
    CHECK(client.send("ada", "1").at("state") == "delivered");
    CHECK(server.is_running());
  }
}

TEST_CASE("a second SIGTERM ends a stop at once") {
  WsrServer server({.more = {"--drain", "30s"}});
  RawSocket silent(server.port());
  silent.upgrade("ada");
  server.process().signal(SIGTERM);
  REQUIRE(wait_until([&] { return server.process().err().find("quit immediately") != std::string::npos; }, 5s));
  server.process().signal(SIGTERM);
  const auto end = server.process().wait(2s);
  REQUIRE(end);
  CHECK(end->exit_code == 130);
}

TEST_CASE("however many shards there are, a server at its bound of sockets still reaches its store anew") {
  if (!find_redis_server()) {
    WARN(no_redis_server);
    return;
  }
  constexpr unsigned descriptors = 500, shards = 40;
  RedisServer redis;
  WsrServer server({.store = redis.url(), .shards = shards, .descriptors = descriptors});
  // WebSockets: nobody of them can be sent away for another.
  std::vector<RawSocket> clients;
  const auto is_taken = [&] {
    clients.emplace_back(server.port());
    clients.back().send(upgrade_request(fmt::format("c{}", clients.size())));
    return clients.back().head().find(" 101 ") != std::string::npos;
  };
  while (is_taken()) REQUIRE(clients.size() < descriptors);
  CHECK(clients.size() > 150);
  CHECK(server.stats().at("refused_connections") >= 1);
  for (int n = 0; n < 10; ++n) CHECK(server.ready() == 200);
  CHECK(open_descriptors(server.process().pid()) < descriptors - 20);
  redis.kill();
  REQUIRE(wait_until([&] { return server.ready() == 503; }, 20s));
  redis.restart();
  CHECK(wait_until([&] { return server.ready() == 200; }, 20s));
  CHECK(server.stats().at("accepts_failed") == 0);
}

TEST_CASE("silent sockets beyond the descriptors: probes are answered, the store is kept, clients come and go") {
  if (!find_redis_server()) {
    WARN(no_redis_server);
    return;
  }
  RedisServer redis;
  WsrServer server({.store = redis.url(), .more = {"--connections-max", "20"}});
  WsClient client(server.port(), "ada");
  const auto before = open_descriptors(server.process().pid());
  std::vector<RawSocket> silent;
  for (int n = 0; n < 400; ++n) {
    silent.emplace_back(server.port());
    if (n % 2 == 0) silent.back().send("GET /healthz HTTP/1.1\r\nHo");
  }
  for (int n = 0; n < 5; ++n) {
    CHECK(server.get("/healthz").status == 200);
    CHECK(server.ready() == 200);
    CHECK(client.send("ada", "1").at("state") == "delivered");
    WsClient other(server.port(), "bob");
    CHECK(other.send("ada", "2").at("state") == "delivered");
  }
  CHECK(open_descriptors(server.process().pid()) < before + 60);
}
