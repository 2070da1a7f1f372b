// `wsr room` and the HTTP API of rooms, from outside: two real servers on one Redis, asked by any of three ways.
#include <fmt/format.h>

#include <catch2/catch.hpp>
#include <csignal>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/support/http_client.hpp"
#include "tests/support/process.hpp"
#include "tests/support/raw_socket.hpp"
#include "tests/support/redis_server.hpp"
#include "tests/support/ws_client.hpp"
#include "tests/support/wsr_server.hpp"

namespace {

using namespace wsr::test;
using namespace std::chrono_literals;
using nlohmann::json;
using Words = std::vector<std::string>;

constexpr auto soon = 8s;

/// Two servers, a client on each.
struct Pair {
  RedisServer redis;
  WsrServer a{{.name = "a", .store = redis.url(), .more = {"--room-rate", "1000/1s"}}};
  WsrServer b{{.name = "b", .store = redis.url(), .more = {"--room-rate", "1000/1s"}}};
  WsClient alice{a.port(), "alice"};
  WsClient bob{b.port(), "bob"};

  /// The three ways to the same fabric.
  [[nodiscard]] std::vector<Words> ways() const {
    return {{"--server", a.url()}, {"--server", b.url()}, {"--store", redis.url()}};
  }
};

Words command(Words words, const Words& way) {
  words.insert(words.begin(), {WSR_BINARY, "room"});
  words.insert(words.end(), way.begin(), way.end());
  return words;
}

Ran room(Words words, const Words& way, std::string input = {}) {
  return run(command(std::move(words), way), {}, std::move(input));
}

/// What the command prints, if it ends as it should.
std::string said(const Words& words, const Words& way, int exit_code = 0, std::string input = {}) {
  const auto ran = room(words, way, std::move(input));
  INFO(fmt::format("wsr room {} {}\n{}{}", fmt::join(words, " "), fmt::join(way, " "), ran.out, ran.err));
  CHECK(ran.exit_code == exit_code);
  return ran.out;
}

json said_json(Words words, const Words& way, int exit_code = 0) {
  words.emplace_back("--json");
  return json::parse(said(words, way, exit_code));
}

/// The next room or presence frame of a client that is not the answer to a command.
json heard(WsClient& client) {
  json frame = client.other();
  while (frame.at("op") == "ok") frame = client.other();
  return frame;
}

/// A `wsr room watch`, read as it prints.
class Watch {
public:
  Watch(const Words& words, const Words& way) : process_(command(words, way)) {}
  /// The next whole line; it must have been flushed by itself.
  std::string line() {
    std::string found;
    const bool has_come = wait_until(
        [&] {
          const auto out = process_.out();
          const auto end = out.find('\n', read_);
          if (end == std::string::npos) return false;
          found = out.substr(read_, end - read_);
          read_ = end + 1;
          return true;
        },
        soon);
    INFO("stdout: " << process_.out() << "stderr: " << process_.err());
    CHECK(has_come);
    return found;
  }
  int end(int signal) {
    process_.signal(signal);
    return ended();
  }
  int ended() {
    const auto end = process_.wait(soon);
    REQUIRE(end);
    return end->exit_code.value_or(-end->signal);
  }
  std::string err() { return process_.err(); }

private:
  Process process_;
  std::size_t read_ = 0;
};

}  // namespace

TEST_CASE("wsr room says the same by either server and by the store") {
  if (!find_redis_server()) {
    WARN(no_redis_server);
    return;
  }
  Pair pair;
  const std::string name = "chat:room/é 42";
  for (const auto& way : pair.ways()) {
    INFO(fmt::format("{}", fmt::join(way, " ")));
    CHECK(said({"size", name}, way, 3) == "0\n");
    CHECK(said({"members", name}, way, 3).empty());
    CHECK(said({"push", name, "hi"}, way, 3) == "nobody is there\n");
    CHECK(said({"is-member", name, "alice"}, way, 3) == "no\n");

    CHECK(said({"join", name, "alice"}, way) == fmt::format("alice is in {} (1 member)\n", name));
    CHECK(said({"join", name, "bob"}, way) == fmt::format("bob is in {} (2 members)\n", name));
    CHECK(said({"join", name, "bob"}, way) == fmt::format("bob is in {} (2 members)\n", name));
    CHECK(said({"join", name, "ghost"}, way, 3).starts_with("offline: "));

    CHECK(said({"size", name}, way) == "2\n");
    CHECK(said({"members", name}, way) == "alice\nbob\n");
    CHECK(said({"is-member", name, "bob"}, way) == "yes\n");
    CHECK(said({"is-member", name, "ghost"}, way, 3) == "no\n");
    const auto list = said({"list"}, way);
    CHECK(list.starts_with("ROOM"));
    CHECK(list.find(name) != std::string::npos);

    const auto info = said_json({"size", name}, way);
    CHECK(info.at("size") == 2);
    CHECK(info.at("servers").size() == 2);
    CHECK(said_json({"is-member", name, "bob"}, way).at("is_member") == true);
    CHECK(said_json({"list"}, way).at("rooms") == json::array({{{"room", name}, {"size", 2}}}));

    CHECK(said({"leave", name, "bob"}, way) == fmt::format("bob left {} (1 member)\n", name));
    CHECK(said({"leave", name, "bob"}, way, 3).starts_with("not_found: "));
    CHECK(said({"leave", name, "alice"}, way) == fmt::format("alice left {} (0 members)\n", name));
    CHECK(said({"leave", name, "ghost"}, way, 3).find(": ") != std::string::npos);
    CHECK(said_json({"list"}, way).at("rooms").empty());
  }
}

TEST_CASE("a room is listed page by page, each member once") {
  if (!find_redis_server()) {
    WARN(no_redis_server);
    return;
  }
  Pair pair;
  const Words by_server{"--server", pair.a.url()};
  std::vector<std::unique_ptr<WsClient>> clients;
  for (int n = 0; n < 7; ++n) {
    const auto user = fmt::format("c{}", n);
    clients.push_back(std::make_unique<WsClient>(n % 2 == 0 ? pair.a.port() : pair.b.port(), user));
    (void)said({"join", "lobby", user}, by_server);
  }
  for (const auto& way : pair.ways()) {
    std::vector<std::string> names;
    std::string cursor = "0";
    do {
      const auto page = said_json({"members", "lobby", "--count", "3", "--page", cursor}, way);
      CHECK(page.at("size") == 7);
      CHECK(page.at("members").size() <= 3);
      for (const auto& member : page.at("members")) names.push_back(member);
      cursor = page.at("cursor");
    } while (cursor != "0");
    CHECK(names == std::vector<std::string>{"c0", "c1", "c2", "c3", "c4", "c5", "c6"});
    CHECK(said({"members", "lobby", "--count", "3"}, way).find("more: --page ") != std::string::npos);
    CHECK(said({"members", "lobby"}, way) == "c0\nc1\nc2\nc3\nc4\nc5\nc6\n");
  }
}

TEST_CASE("wsr room push reaches everybody once, counts them, and leaves the sender out if asked") {
  if (!find_redis_server()) {
    WARN(no_redis_server);
    return;
  }
  Pair pair;
  for (const auto& way : pair.ways()) {
    INFO(fmt::format("{}", fmt::join(way, " ")));
    (void)said({"join", "lobby", "alice"}, way);
    (void)said({"join", "lobby", "bob"}, way);
    CHECK(said({"push", "lobby", "hi", "--from", "alice"}, way) == "pushed to 2 connections on 2 servers\n");
    for (auto* client : {&pair.alice, &pair.bob}) {
      auto frame = heard(*client);
      while (frame.at("op") == "presence") frame = heard(*client);
      CHECK(frame == json{{"op", "room"}, {"room", "lobby"}, {"from", "alice"}, {"data", "hi"}});
    }
    CHECK(said({"push", "lobby", "psst", "--from", "alice", "--no-echo"}, way) ==
          "pushed to 1 connection on 1 server\n");
    CHECK(heard(pair.bob).at("data") == "psst");
    const auto result = said_json({"push", "lobby", "--raw", "[1, 2]"}, way);
    CHECK(result.at("connections") == 2);
    CHECK(result.at("servers") == 2);
    CHECK(heard(pair.alice).at("data") == json::array({1, 2}));  // and no psst before it
    CHECK(heard(pair.bob).at("data") == json::array({1, 2}));
    CHECK(said({"push", "lobby", "-"}, way, 0, "from standard input\n") == "pushed to 2 connections on 2 servers\n");
    CHECK(heard(pair.alice).at("data") == "from standard input");
    CHECK(heard(pair.bob).at("data") == "from standard input");
    (void)said({"leave", "lobby", "alice"}, way);
    (void)said({"leave", "lobby", "bob"}, way);
    while (heard(pair.alice).at("op") != "presence") continue;  // its own leave
    while (heard(pair.bob).at("client") != "bob") continue;
  }
}

TEST_CASE("wsr room watch prints who comes, what is said and who goes, each at once, and ends on a signal with 0") {
  if (!find_redis_server()) {
    WARN(no_redis_server);
    return;
  }
  Pair pair;
  const auto way = GENERATE(0, 1, 2);
  const auto by = pair.ways().at(static_cast<std::size_t>(way));
  INFO(fmt::format("{}", fmt::join(by, " ")));
  const auto subscribed = [&] {
    const auto answer = pair.redis.command({"PUBSUB", "NUMSUB", "wsr:{r:lobby}:ch"});  // name, number
    auto number = answer.substr(answer.find('\n') + 1);
    return number.substr(0, number.find('\n'));
  };
  Watch text({"watch", "lobby"}, by);
  Watch lines({"watch", "lobby", "--json"}, by);
  CHECK(text.line() == "watching lobby; press Ctrl-C to stop");
  CHECK(json::parse(lines.line()) == json{{"op", "watching"}, {"room", "lobby"}});

  pair.alice.text(R"({"op":"join","room":"lobby","id":"1"})");
  CHECK(text.line() == "+ alice (1 member)");
  auto event = json::parse(lines.line());
  CHECK(event.at("op") == "presence");
  CHECK(event.at("event") == "join");
  CHECK(event.at("client") == "alice");
  CHECK(event.at("size") == 1);
  const auto version = event.at("version").get<std::uint64_t>();

  // A watcher is no member: it counts neither in the roster nor among those whom a push reached.
  CHECK(said({"size", "lobby"}, by) == "1\n");
  pair.alice.text(R"({"op":"push","room":"lobby","data":"hi there","id":"2"})");
  CHECK(text.line() == "alice: hi there");
  CHECK(json::parse(lines.line()).at("data") == "hi there");
  CHECK(said({"push", "lobby", "--raw", "{\"n\":\n 9007199254740993}"}, by) == "pushed to 1 connection on 1 server\n");
  CHECK(text.line() == R"((nobody): {"n":9007199254740993})");
  CHECK(lines.line().find("{\"n\":  9007199254740993}") != std::string::npos);

  pair.alice.close();
  CHECK(text.line() == "- alice (0 members)");
  event = json::parse(lines.line());
  CHECK(event.at("event") == "leave");
  CHECK(event.at("version").get<std::uint64_t>() == version + 1);

  CHECK(subscribed() != "0");
  CHECK(text.end(SIGINT) == 0);
  CHECK(lines.end(SIGTERM) == 0);
  CHECK(text.err().empty());
  // The server lets go of them: nobody is subscribed to the room any more.
  CHECK(wait_until([&] { return subscribed() == "0"; }, soon));
}

TEST_CASE("wsr room watch ends with 1 and a sentence when what it listens to is gone") {
  if (!find_redis_server()) {
    WARN(no_redis_server);
    return;
  }
  Pair pair;
  Watch stopped({"watch", "lobby"}, {"--server", pair.a.url()});
  Watch killed({"watch", "lobby"}, {"--server", pair.b.url()});
  Watch by_store({"watch", "lobby"}, {"--store", pair.redis.url()});
  for (auto* watch : {&stopped, &killed, &by_store}) CHECK(watch->line() == "watching lobby; press Ctrl-C to stop");

  pair.a.process().signal(SIGTERM);
  CHECK(stopped.ended() == 1);
  CHECK(stopped.err().find("1001") != std::string::npos);
  pair.b.process().signal(SIGKILL);
  CHECK(killed.ended() == 1);
  CHECK(killed.err().find(pair.b.url()) != std::string::npos);
  // Only the connection that brings messages: it is made anew at once, and what was said meanwhile is lost.
  pair.redis.command({"CLIENT", "KILL", "TYPE", "pubsub"});
  CHECK(by_store.ended() == 1);
  CHECK(by_store.err().find("is not heard") != std::string::npos);
}

TEST_CASE("a watch of a room that cannot be is refused with a sentence") {
  WsrServer server({.name = "a"});
  const auto by = Words{"--server", server.url()};
  CHECK(room({"watch", ""}, by).exit_code == 2);
  CHECK(room({"watch", "lobby"}, {"--server", "http://127.0.0.1:1"}).exit_code == 1);
  RawSocket raw(server.port());
  raw.send(
      "GET /api/rooms/%00/watch HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
      "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n");
  CHECK(raw.head().starts_with("HTTP/1.1 400"));
  CHECK(http(server.port(), "GET", "/api/rooms/lobby/watch").status == 426);
}

TEST_CASE("rooms over HTTP: names in paths, methods, types and statuses") {
  WsrServer server({.name = "a"});
  WsClient alice(server.port(), "al%2Fice%20%C3%A9");
  const std::string room_path = "/api/rooms/chat:room%2F42";
  const auto ask = [&](std::string_view method, const std::string& path, std::string_view body = {}) {
    return http(server.port(), method, path, body);
  };
  const std::string member = room_path + "/members/al%2Fice%20%C3%A9";

  auto answer = ask("GET", room_path);
  CHECK(answer.status == 200);
  CHECK(answer.json() == json{{"room", "chat:room/42"}, {"size", 0}, {"version", 0}, {"servers", json::array()}});
  CHECK(ask("DELETE", member).status == 404);
  CHECK(ask("DELETE", member).json().at("error").at("code") == "not_found");
  RawSocket form(server.port());  // what a page of another origin could make its reader send
  form.send("POST " + member + " HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\nContent-Length: 0\r\n\r\n");
  CHECK(form.head().starts_with("HTTP/1.1 415"));
  answer = ask("POST", member, "{}");
  CHECK(answer.status == 200);
  CHECK(answer.json().at("client") == "al/ice é");
  CHECK(answer.json().at("room") == "chat:room/42");
  CHECK(answer.json().at("size") == 1);
  CHECK(answer.json().at("version").get<std::uint64_t>() > 0);
  CHECK(ask("GET", member).json() == json{{"room", "chat:room/42"}, {"client", "al/ice é"}, {"is_member", true}});
  CHECK(ask("GET", room_path).json().at("servers").at(0).at("connections") == 1);
  CHECK(ask("GET", "/api/rooms").json() ==
        json{{"rooms", json::array({{{"room", "chat:room/42"}, {"size", 1}}})}, {"cursor", "0"}});
  CHECK(ask("GET", room_path + "/members?count=1").json().at("members") == json::array({"al/ice é"}));

  const std::string data = R"({ "a" : [ 1.0,  9007199254740993 ] })";
  answer = ask("POST", room_path + "/push", "{\"from\":\"bob\",\"data\":" + data + "}");
  CHECK(answer.status == 200);
  CHECK(answer.json() == json{{"room", "chat:room/42"}, {"servers", 1}, {"connections", 1}});
  RawSocket reader(server.port());
  reader.upgrade("carol");
  REQUIRE(ask("POST", room_path + "/members/carol", "{}").status == 200);
  REQUIRE(ask("POST", room_path + "/push", "{\"data\":" + data + "}").json().at("connections") == 2);
  auto frame = reader.frame();
  while (frame && frame->payload.find(R"("op":"room")") == std::string::npos) frame = reader.frame();
  REQUIRE(frame);
  CHECK(frame->payload.find("\"data\":" + data) != std::string::npos);  // byte for byte

  CHECK(ask("POST", "/api/rooms/lobby/members/ghost", "{}").status == 404);
  CHECK(ask("POST", "/api/rooms/lobby/members/ghost", "{}").json().at("error").at("code") == "offline");
  answer = ask("POST", "/api/rooms/empty/push", R"({"data":1})");
  CHECK(answer.status == 200);
  CHECK(answer.json().at("connections") == 0);
  CHECK(ask("PUT", member).allow == "GET, HEAD, POST, DELETE");
  CHECK(ask("GET", room_path + "/push").allow == "POST");
  CHECK(ask("DELETE", room_path).allow == "GET, HEAD");
  for (const auto* path : {"/api/rooms/", "/api/rooms//members", "/api/rooms/%FF", "/api/rooms/a%00b", "/api/rooms/a%2",
                           "/api/rooms/lobby/members/", "/api/rooms/lobby/members/%0A"}) {
    INFO(path);
    CHECK(ask("GET", path).status == 400);
  }
  CHECK(ask("GET", "/api/rooms/" + std::string(129, 'r')).status == 400);
  CHECK(ask("GET", "/api/rooms/lobby/nothing").status == 404);
  CHECK(ask("GET", "/api/rooms/a/b/c/d").status == 404);
}

TEST_CASE("a push above the room's rate is refused with the time to wait, by HTTP and from a shell") {
  WsrServer server({.name = "a", .more = {"--room-rate", "2/1h"}});
  const auto by = Words{"--server", server.url()};
  (void)said({"push", "lobby", "1"}, by, 3);
  (void)said({"push", "lobby", "2"}, by, 3);
  CHECK(said({"push", "lobby", "3"}, by, 4).starts_with("rate_limited: "));
  const auto refused = said_json({"push", "lobby", "4"}, by, 4);
  CHECK(refused.at("result") == "rate_limited");
  CHECK(refused.at("retry_after_ms") > 1'000'000);
  CHECK(said({"push", "another", "1"}, by, 3) == "nobody is there\n");

  RawSocket raw(server.port());
  raw.send(
      "POST /api/rooms/lobby/push HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: "
      "10\r\n\r\n"
      "{\"data\":1}");
  const auto head = raw.head();
  CHECK(head.starts_with("HTTP/1.1 429"));
  const auto at = head.find("Retry-After: ");
  REQUIRE(at != std::string::npos);
  const auto seconds = std::stoul(head.substr(at + std::string_view("Retry-After: ").size()));
  CHECK(seconds > 1'000);
  CHECK(seconds <= 1'800);  // half of an hour brings one of two
}

TEST_CASE("a message above --message-max is too big for a room, too") {
  WsrServer server({.name = "a", .more = {"--message-max", "1KiB"}});
  const auto by = Words{"--server", server.url()};
  CHECK(said({"push", "lobby", std::string(2'000, 'x')}, by, 4).starts_with("too_big: "));
  CHECK(http(server.port(), "POST", "/api/rooms/lobby/push", "{\"data\":\"" + std::string(2'000, 'x') + "\"}").status ==
        413);
}

TEST_CASE("a watch hears single events where members hear counts only") {
  WsrServer server({.name = "a", .more = {"--presence-events-max", "0"}});
  Watch watch({"watch", "lobby"}, {"--server", server.url()});
  CHECK(watch.line() == "watching lobby; press Ctrl-C to stop");
  WsClient alice(server.port(), "alice");
  WsClient bob(server.port(), "bob");
  alice.text(R"({"op":"join","room":"lobby"})");
  CHECK(watch.line() == "+ alice (1 member)");
  bob.text(R"({"op":"join","room":"lobby"})");
  CHECK(watch.line() == "+ bob (2 members)");
  CHECK(heard(alice).at("event") == "count");
  CHECK(watch.end(SIGINT) == 0);
}
