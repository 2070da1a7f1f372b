#include "core/net/server.hpp"

#include <catch2/catch.hpp>

#include "tests/core/net/running_server.hpp"

using namespace wsr;
using namespace wsr::net;
using namespace wsr::net::test;
using Catch::Contains;
using namespace std::chrono_literals;

namespace {

constexpr std::string_view close_after = "Connection: close\r\n\r\n";

std::string get(std::uint16_t port, std::string_view target, std::string_view headers = {}) {
  std::string request = "GET " + std::string(target) + " HTTP/1.1\r\nHost: localhost\r\n";
  request += headers;
  request += close_after;
  return raw(port, request);
}

}  // namespace

TEST_CASE("two clients chat, whichever shards they are on") {
  RunningServer server(options(2));
  // With eight connections each way both shards have some.
  for (int round = 0; round < 8; ++round) {
    const auto ada_id = "ada" + std::to_string(round), bob_id = "bob" + std::to_string(round);
    Client ada(server.port(), "/chat?user=" + ada_id);
    Client bob(server.port(), "/chat?user=" + bob_id);
    CHECK_THAT(ada.next(), Contains("welcome"));
    CHECK_THAT(bob.next(), Contains("welcome"));
    ada.say(R"({"op":"send","id":"1","to":")" + bob_id + R"(","data":{"text": "hi"}})");
    CHECK_THAT(bob.next(), Contains(R"({"text": "hi"})") && Contains(ada_id));
    CHECK_THAT(ada.next(), Contains("delivered"));
    bob.say(R"({"op":"send","id":"2","to":")" + ada_id + R"(","data":42})");
    CHECK_THAT(ada.next(), Contains("42"));
    CHECK_THAT(bob.next(), Contains("delivered"));
    ada.say(R"({"op":"send","id":"3","to":"nobody","data":1})");
    CHECK_THAT(ada.next(), Contains("offline"));
  }
}

TEST_CASE("a newer connection of a client replaces the older with 4009 and gets its messages") {
  RunningServer server(options(2));
  for (int round = 0; round < 4; ++round) {
    Client first(server.port(), "/chat?user=ada");
    CHECK_THAT(first.next(), Contains("welcome"));
    Client second(server.port(), "/chat?user=ada");
    CHECK_THAT(second.next(), Contains("welcome"));
    CHECK(first.next() == "closed 4009");
    second.say(R"({"op":"send","id":"1","to":"ada","data":1})");
    CHECK_THAT(second.next() + second.next(), Contains("delivered") && Contains(R"("data":1)"));
    second.stream().close(websocket::close_code::normal);
  }
}

TEST_CASE("an answered ping, a binary frame that is explained, and a close that is answered") {
  RunningServer server(options(1));
  Client ada(server.port(), "/chat?user=ada");
  CHECK_THAT(ada.next(), Contains("welcome"));
  std::string pong;
  ada.stream().control_callback([&](websocket::frame_type kind, boost::beast::string_view payload) {
    if (kind == websocket::frame_type::pong) pong = std::string(payload);
  });
  ada.stream().ping("are you there");
  ada.stream().binary(true);
  ada.say("bytes");
  CHECK_THAT(ada.next(), Contains("bad_request") && Contains("text frames"));
  CHECK(pong == "are you there");
  ada.stream().close({websocket::close_code::normal, "bye"});
  CHECK(ada.stream().reason().code == websocket::close_code::normal);
}

TEST_CASE("a burst of messages arrives whole and in order") {
  RunningServer server(options(2));
  Client ada(server.port(), "/chat?user=ada");
  Client bob(server.port(), "/chat?user=bob");
  (void)ada.next();
  (void)bob.next();
  // The first message finds bob; a burst before that meets the bound of what waits for a lookup (route_messages_max).
  ada.say(R"({"op":"send","to":"bob","data":"first"})");
  CHECK_THAT(bob.next(), Contains("first"));
  constexpr int count = 3'000;
  std::thread sender([&] {
    for (int i = 0; i < count; ++i) ada.say(R"({"op":"send","to":"bob","data":)" + std::to_string(i) + "}");
  });
  for (int i = 0; i < count; ++i) {
    const auto message = bob.next();
    if (message.find("\"data\":" + std::to_string(i) + "}") == std::string::npos) {
      FAIL_CHECK("expected " << i << ", got " << message);
      break;
    }
  }
  sender.join();
}

TEST_CASE("a message of the largest size passes, a larger one closes with 1009") {
  auto with_limit = options(1);
  with_limit.limits.message_bytes_max = 200'000;
  RunningServer server(with_limit);
  Client ada(server.port(), "/chat?user=ada");
  (void)ada.next();
  const std::string big(150'000, 'x');
  ada.say(R"({"op":"send","to":"ada","data":")" + big + "\"}");
  CHECK_THAT(ada.next(), Contains(big));
  ada.say(std::string(200'001, ' '));
  CHECK(ada.next() == "closed 1009");
}

TEST_CASE("garbage behind the handshake closes with 1002, garbage before it is a 400") {
  RunningServer server(options(1));
  CHECK_THAT(raw(server.port(), "\x16\x03\x01 this is not HTTP\r\n\r\n"), Contains(" 400 "));
  const auto answer =
      raw(server.port(),
          "GET /chat?user=ada HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
          "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
          "\xFF\xFF\xFF\xFF garbage");
  CHECK_THAT(answer, Contains(" 101 ") && Contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
  CHECK(answer.find("\x03\xEA") != std::string::npos);  // 1002
}

TEST_CASE("refusals are HTTP with a sentence") {
  auto small = options(1);
  small.header_bytes_max = 2'048;
  small.body_bytes_max = 1'000;
  small.handshake_within = 300ms;
  RunningServer server(small);
  const auto port = server.port();
  CHECK_THAT(get(port, "/chat?user=ada"), Contains(" 426 "));
  const std::string upgrade =
      "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
  CHECK_THAT(get(port, "/chat?user=ada", upgrade), Contains(" 426 ") && Contains("Sec-WebSocket-Version: 13"));
  CHECK_THAT(get(port, "/elsewhere", upgrade), Contains(" 404 "));
  CHECK_THAT(get(port, "/chat?user=ada", upgrade + "Sec-WebSocket-Version: 13\r\nOrigin: http://evil.example\r\n"),
             Contains(" 403 ") && Contains("--origin http://evil.example"));
  CHECK_THAT(get(port, "/chat?user=%0A", upgrade + "Sec-WebSocket-Version: 13\r\n"), Contains(" 400 "));
  CHECK_THAT(get(port, "/healthz", "X: " + std::string(4'000, 'x') + "\r\n"), Contains(" 431 "));
  CHECK_THAT(
      raw(port, "POST /api/send HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5000\r\n\r\n" + std::string(5'000, 'x')),
      Contains(" 413 "));
  CHECK_THAT(raw(port, "GET /healthz HTTP/1.1\r\nHo"), Contains(" 408 "));
  CHECK(raw(port, "").empty());
  CHECK_THAT(get(port, "/healthz"), Contains(" 200 "));
}

TEST_CASE("at connections_max an upgrade is refused with 503 while HTTP goes on") {
  auto one = options(1);
  one.connections_max = 1;
  RunningServer server(one);
  Client ada(server.port(), "/chat?user=ada");
  CHECK_THAT(ada.next(), Contains("welcome"));
  CHECK_THAT(get(server.port(), "/chat",
                 "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                 "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"),
             Contains(" 503 ") && Contains("--connections-max"));
  CHECK_THAT(get(server.port(), "/healthz"), Contains(" 200 "));
}

TEST_CASE("a silent client is closed with 4040, and one that answers no ping is dropped") {
  auto impatient = options(1);
  impatient.idle_after = 300ms;
  RunningServer server(impatient);
  Client ada(server.port(), "/chat?user=ada");
  CHECK_THAT(ada.next(), Contains("welcome"));
  CHECK(ada.next() == "closed 4040");

  auto pinging = options(1);
  pinging.ping_every = 200ms;
  pinging.pong_within = 200ms;
  RunningServer other(pinging);
  // Raw: nobody answers the ping.
  const auto answer = raw(other.port(),
                          "GET /chat HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                          "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n");
  CHECK_THAT(answer, Contains("guest-"));
  CHECK(answer.ends_with(std::string("\x89\x00", 2)));
}

TEST_CASE("echo gives back what it gets") {
  auto echoing = options(1);
  echoing.echo = true;
  RunningServer server(echoing);
  Client client(server.port(), "/echo");
  client.say("text");
  CHECK(client.next() == "text");
  client.stream().binary(true);
  client.say(std::string("\0\1", 2));
  CHECK(client.next() == std::string("\0\1", 2));
  CHECK(client.stream().got_binary());
}

TEST_CASE("a server that stops tells its clients 1001 and returns") {
  RunningServer server(options(2));
  Client ada(server.port(), "/chat?user=ada");
  Client bob(server.port(), "/chat?user=bob");
  (void)ada.next();
  (void)bob.next();
  std::string of_ada, of_bob;
  std::thread a([&] { of_ada = ada.next(); });
  std::thread b([&] { of_bob = bob.next(); });
  const auto begun = std::chrono::steady_clock::now();
  server.stop();
  CHECK(std::chrono::steady_clock::now() - begun < 900ms);
  a.join();
  b.join();
  CHECK(of_ada == "closed 1001");
  CHECK(of_bob == "closed 1001");
}

TEST_CASE("clients that do not answer hold a stop up no longer than drain_within") {
  auto quick = options(1);
  quick.drain_within = 200ms;
  RunningServer server(quick);
  Client ada(server.port(), "/chat?user=ada");
  (void)ada.next();
  const auto begun = std::chrono::steady_clock::now();
  server.stop();
  CHECK(std::chrono::steady_clock::now() - begun < 1'500ms);
}

TEST_CASE("a port in use is refused with a sentence, with one shard and with several") {
  for (const unsigned shards : {1U, 2U}) {
    RunningServer server(options(shards));
    for (const unsigned others : {1U, 3U}) {
      auto same = options(others);
      same.port = server.port();
      Server second(same, memory_backend({}));
      CHECK_THROWS_WITH(second.start(), Contains("is in use") && Contains("--port"));
    }
  }
}

TEST_CASE("a server that never ran ends without a word") {
  Server server(options(2), memory_backend({}));
  server.start();
  CHECK(server.port() != 0);
}
