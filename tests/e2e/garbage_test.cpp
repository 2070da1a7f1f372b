// Whatever comes in on the port, the server stays up, says what is wrong, and gets its memory and descriptors back.
#include <fmt/format.h>

#include <catch2/catch.hpp>
#include <iostream>
#include <string>
#include <vector>

#include "tests/support/raw_socket.hpp"
#include "tests/support/swarm.hpp"
#include "tests/support/tcp_proxy.hpp"
#include "tests/support/ws_client.hpp"
#include "tests/support/wsr_server.hpp"

namespace {

using namespace wsr::test;
using namespace std::chrono_literals;
using nlohmann::json;

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool is_memory_comparable = false;  // a sanitizer keeps what is freed
#else
constexpr bool is_memory_comparable = true;
#endif

constexpr unsigned fin = 0x80, rsv1 = 0x40, rsv2 = 0x20, rsv3 = 0x10;
constexpr unsigned continuation = 0, text = 1, binary = 2, close_op = 8, ping = 9, pong = 10;

void check_serves(const WsrServer& server) {
  WsClient alice(server.port(), "check-alice");
  WsClient bob(server.port(), "check-bob");
  CHECK(alice.send("check-bob", "{}").at("state") == "delivered");
  CHECK(bob.message().data == "{}");
  CHECK(server.ready() == 200);
  alice.close();
  bob.close();
}

std::string request(std::string_view line, std::string_view headers, std::string_view body = {}) {
  return fmt::format("{} HTTP/1.1\r\nHost: localhost\r\n{}\r\n{}", line, headers, body);
}

std::string upgrade_with(std::string_view headers, std::string_view target = "/chat?user=u") {
  return request(fmt::format("GET {}", target),
                 fmt::format("Upgrade: websocket\r\nConnection: Upgrade\r\n{}", headers));
}

}  // namespace

TEST_CASE("each broken HTTP request gets the status that says what is wrong") {
  WsrServer server({});
  const std::string key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
  const std::string version = "Sec-WebSocket-Version: 13\r\n";
  struct Case {
    std::string what;
    std::string bytes;
    unsigned status;
  };
  const std::vector<Case> cases{
      {"no HTTP at all", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400},
      {"no request line", "hello there\r\n\r\n", 400},
      {"a header without a colon", "GET / HTTP/1.1\r\nnonsense\r\n\r\n", 400},
      {"an upgrade without a key", upgrade_with(version), 400},
      {"an upgrade with a key of the wrong length", upgrade_with(version + "Sec-WebSocket-Key: abc\r\n"), 400},
      {"an upgrade of another version", upgrade_with(key + "Sec-WebSocket-Version: 8\r\n"), 426},
      {"an upgrade without a version", upgrade_with(key), 426},
      {"an upgrade elsewhere", upgrade_with(key + version, "/nowhere"), 404},
      {"an upgrade with a name that is too long", upgrade_with(key + version, "/chat?user=" + std::string(129, 'u')),
       400},
      {"an upgrade with a control character in the name", upgrade_with(key + version, "/chat?user=a%00b"), 400},
      {"an upgrade with a broken escape in the name", upgrade_with(key + version, "/chat?user=%zz"), 400},
      {"headers without end", "GET / HTTP/1.1\r\n" + std::string(40'000, 'x'), 431},
      {"one header that is too long", request("GET /", "X: " + std::string(40'000, 'x') + "\r\n"), 431},
      {"a body that is said to be too big",
       request("POST /api/send", "Content-Type: application/json\r\nContent-Length: 999999999999\r\n"), 413},
      {"a length that is no number", request("POST /api/send", "Content-Length: many\r\n"), 400},
      {"another path", request("GET /nowhere", ""), 404},
      {"another method", request("DELETE /api/send", ""), 405},
      {"a method that is unknown", request("BREW /healthz", ""), 405},
      {"a body that is no JSON",
       request("POST /api/send", "Content-Type: application/json\r\nContent-Length: 3\r\n", "{]}"), 400},
      {"a body of another type", request("POST /api/send", "Content-Type: text/plain\r\nContent-Length: 2\r\n", "{}"),
       415},
  };
  for (const auto& [what, bytes, status] : cases) {
    INFO(what);
    RawSocket socket(server.port());
    socket.send(bytes);
    std::string head;
    REQUIRE_NOTHROW(head = socket.head());
    INFO(head);
    CHECK(head.substr(0, 12) == fmt::format("HTTP/1.1 {}", status));
    if (status == 426) CHECK(head.find("Sec-WebSocket-Version: 13") != std::string::npos);
    if (status == 405) CHECK(head.find("Allow: ") != std::string::npos);
  }
  check_serves(server);
}

TEST_CASE("each broken WebSocket frame ends the connection with the code that says why") {
  WsrServer server({});
  const std::string hi = R"({"op":"ping"})";
  const auto with_length = [](std::uint64_t length) {
    std::string frame{static_cast<char>(fin | text), static_cast<char>(0x80 | 127)};
    for (int shift = 56; shift >= 0; shift -= 8) frame += static_cast<char>(length >> shift & 0xFF);
    return frame + "mask";
  };
  struct Case {
    std::string what;
    std::string bytes;
    std::uint16_t code;
  };
  const std::vector<Case> cases{
      {"an unmasked frame", std::string("\x81\x02{}", 4), 1002},
      {"reserved bit 1", masked_frame(fin | rsv1 | text, hi), 1002},
      {"reserved bit 2", masked_frame(fin | rsv2 | text, hi), 1002},
      {"reserved bit 3", masked_frame(fin | rsv3 | text, hi), 1002},
      {"reserved opcode 3", masked_frame(fin | 3, hi), 1002},
      {"reserved opcode 11", masked_frame(fin | 11, hi), 1002},
      {"a control frame of 126 bytes", masked_frame(fin | ping, std::string(126, 'p')), 1002},
      {"a ping in fragments", masked_frame(ping, "p"), 1002},
      {"a continuation of nothing", masked_frame(fin | continuation, hi), 1002},
      {"a new message within another", masked_frame(text, "a") + masked_frame(fin | text, "b"), 1002},
      {"a close frame of one byte", masked_frame(fin | close_op, "x"), 1002},
      {"a close code that must not be sent", masked_frame(fin | close_op, std::string("\x03\xed", 2)), 1002},
      {"a close reason that is not UTF-8", masked_frame(fin | close_op, "\x03\xe8\xff"), 1007},
      {"a length of 2^62", with_length(std::uint64_t{1} << 62), 1009},
      {"a length of 1 MiB", with_length(1024 * 1024), 1009},
      {"a length with its highest bit set", with_length(~std::uint64_t{0}), 1002},
      {"a length of 8 bytes for 5", std::string("\x81\xff\0\0\0\0\0\0\0\x05maskhello", 19), 1002},
      {"text that is not UTF-8", masked_frame(fin | text, "\"\xc3\x28\""), 1007},
      {"an overlong encoding", masked_frame(fin | text, "\"\xc0\xaf\""), 1007},
      {"a surrogate", masked_frame(fin | text, "\"\xed\xa0\x80\""), 1007},
      {"text that ends in the middle of a character", masked_frame(fin | text, "\"\xe4\xb8"), 1007},
      {"fragments that are too big together",
       masked_frame(text, std::string(60'000, 'a')) + masked_frame(fin | continuation, std::string(60'000, 'a')), 1009},
  };
  for (const auto& [what, bytes, code] : cases) {
    INFO(what);
    RawSocket socket(server.port());
    socket.upgrade("garbage");
    socket.send(bytes);
    CHECK(socket.close_code() == code);
    socket.send(masked_frame(fin | close_op, std::string("\x03\xe8", 2)));
    CHECK(socket.is_ended_within(8s));
  }
  CHECK(wait_until([&] { return server.connections() == 0; }, 8s));
  check_serves(server);
}

TEST_CASE("a command that cannot be understood gets an error, and the connection stays") {
  WsrServer server({});
  WsClient alice(server.port(), "alice");
  const std::vector<std::pair<std::string, std::string>> cases{
      {"not json", "bad_request"},
      {"[]", "bad_request"},
      {"{}", "bad_request"},
      {R"({"op":"send"})", "bad_request"},
      {R"({"op":"send","to":"bob"})", "bad_request"},
      {R"({"op":"send","to":"","data":1})", "bad_request"},
      {R"({"op":"send","to":7,"data":1})", "bad_request"},
      {R"({"op":"send","to":"bob","data":01})", "bad_request"},
      {R"({"op":"send","to":"bob","data":1} trailing)", "bad_request"},
      {R"({"op":"fly"})", "unknown_op"},
      {std::string(5'000, '['), "bad_request"},
  };
  for (const auto& [command, code] : cases) {
    INFO(command.substr(0, 80));
    alice.text(command);
    const auto error = alice.other();
    INFO(error.dump());
    CHECK(error.at("op") == "error");
    CHECK(error.at("code") == code);
    CHECK_FALSE(error.at("message").get<std::string>().empty());
  }
  alice.binary("\x01\x02");
  const auto error = alice.other();
  CHECK(error.at("op") == "error");
  alice.text(R"({"op":"fly","id":"c7"})");
  CHECK(alice.other().at("id") == "c7");
  CHECK(alice.send("alice", "1").at("state") == "delivered");
  CHECK(alice.message().data == "1");
  CHECK(alice.is_open());
  CHECK(server.stats().at("bad_frames") >= cases.size());
}

TEST_CASE("bytes that come one by one, and frames in fragments with pings between them, are understood") {
  WsrServer server({});
  WsClient bob(server.port(), "bob");
  RawSocket socket(server.port());
  socket.send_one_by_one(upgrade_request("slow"));
  REQUIRE(socket.head().starts_with("HTTP/1.1 101"));
  REQUIRE(socket.frame()->payload.find("welcome") != std::string::npos);

  socket.send_one_by_one(masked_frame(fin | text, R"({"op":"send","to":"bob","data":"one by one","id":"1"})"));
  CHECK(bob.message().data == R"("one by one")");
  CHECK(json::parse(socket.frame()->payload).at("state") == "delivered");

  socket.send_one_by_one(masked_frame(text, R"({"op":"send","to":"bo)") + masked_frame(fin | ping, "between") +
                         masked_frame(continuation, R"(b","data":"frag)") + masked_frame(continuation, "") +
                         masked_frame(fin | pong, "unasked") + masked_frame(fin | continuation, R"(ments","id":"2"})"));
  const auto answered = socket.frame();
  REQUIRE(answered);
  CHECK(answered->opcode == pong);
  CHECK(answered->payload == "between");
  CHECK(bob.message().data == R"("fragments")");
  CHECK(json::parse(socket.frame()->payload).at("id") == "2");

  // Sixty thousand bytes, a character split between fragments, and many frames in one write.
  const auto big = "\"" + std::string(60'000, 'x') + "\"";
  socket.send(masked_frame(fin | text, R"({"op":"send","to":"bob","data":)" + big + "}"));
  CHECK(bob.message().data == big);
  socket.send(masked_frame(text, "{\"op\":\"send\",\"to\":\"bob\",\"data\":\"\xe4\xb8") +
              masked_frame(fin | continuation, "\x96\"}"));
  CHECK(bob.message().data == "\"\xe4\xb8\x96\"");
  std::string many;
  for (int n = 0; n < 1'000; ++n) {
    many += masked_frame(fin | text, fmt::format(R"({{"op":"send","to":"bob","data":{}}})", n));
  }
  socket.send(many);
  for (int n = 0; n < 1'000; ++n) REQUIRE(bob.message().data == std::to_string(n));

  socket.send_one_by_one(masked_frame(fin | close_op, std::string("\x03\xe8", 2)));
  CHECK(socket.close_code() == 1000);
  CHECK(socket.is_ended_within(5s));
}

TEST_CASE("handshakes that never end are closed in time while others are served") {
  WsrServer server({});
  const auto descriptors = open_descriptors(server.process().pid());
  std::vector<RawSocket> silent, slow;
  for (int n = 0; n < 100; ++n) silent.emplace_back(server.port());
  for (int n = 0; n < 50; ++n) slow.emplace_back(server.port());
  REQUIRE(wait_until([&] { return open_descriptors(server.process().pid()) >= descriptors + 150; }, 5s));
  const auto head = upgrade_request("slow");
  // One byte every 100 ms is never whole within the 10 s that a handshake may take, and never quiet either.
  const auto begun = Clock::now();
  std::size_t at = 0;
  const bool are_gone = wait_until(
      [&] {
        for (auto& socket : slow) socket.send(head.substr(at % (head.size() - 4), 1));
        ++at;
        if (at % 10 == 0) check_serves(server);
        return open_descriptors(server.process().pid()) <= descriptors;
      },
      15s, 100ms);  // and an answer (408) that may linger for 2 s
  CHECK(are_gone);
  CHECK(Clock::now() - begun > 8s);  // they were let in, and given their time
  for (auto& socket : silent) CHECK(socket.is_ended_within(1s));
  for (auto& socket : slow) CHECK(socket.is_ended_within(1s));
  check_serves(server);
}

TEST_CASE("a client that no longer answers pings is let go") {
  WsrServer server({.more = {"--ping", "1s", "--pong", "500ms"}});
  TcpProxy wire(server.port());
  WsClient here(server.port(), "here");
  WsClient gone(wire.port(), "gone");
  REQUIRE(server.connections() == 2);
  wire.set(TcpProxy::Mode::swallow);
  CHECK(wait_until(
      [&] {
        CHECK(here.is_open());  // and so answers its own pings
        return server.connections() == 1;
      },
      5s));
  CHECK(server.owners("gone").empty());
  CHECK(here.send("gone", "1").at("state") == "offline");
  CHECK(here.send("here", "1").at("state") == "delivered");
}

TEST_CASE("after 10 000 connects and drops the server has its descriptors and its memory back") {
  WsrServer server({});
  const auto pid = server.process().pid();
  const auto drop_many = [&](int count) {
    for (int n = 0; n < count; ++n) {
      RawSocket socket(server.port());
      switch (n % 5) {
        case 0:  // nothing said
          break;
        case 1:  // half a request
          socket.send("GET /chat?user=u HTTP/1.1\r\nHost:");
          break;
        case 2:  // a whole upgrade, not waited for
          socket.send(upgrade_request(fmt::format("u{}", n % 100)));
          break;
        case 3:  // a client in the middle of a frame
          socket.upgrade(fmt::format("u{}", n % 100));
          socket.send(masked_frame(fin | text, std::string(1'000, 'x')).substr(0, 500));
          break;
        case 4:  // many messages, no answer read
          socket.send(upgrade_request(fmt::format("u{}", n % 100)));
          for (int m = 0; m < 5; ++m) {
            socket.send(masked_frame(fin | binary, std::string(100, 'x')));
          }
          break;
      }
      if (n % 2 == 0) socket.reset();
    }
  };
  const auto is_empty = [&] { return server.connections() == 0; };
  // What is allocated once and kept (buffers, tables, arenas) is there after the first thousand.
  drop_many(1'000);
  REQUIRE(wait_until(is_empty, 15s));
  const auto resident = resident_bytes(pid);
  REQUIRE(wait_until([&] { return server.online() == 0; }, 5s));

  drop_many(10'000);
  CHECK(wait_until(is_empty, 15s));
  CHECK(wait_until([&] { return server.online() == 0; }, 5s));
  // The listener, the shards' own and the one connection of nobody: what a fresh server of the same kind has.
  WsrServer fresh({});
  const auto descriptors = open_descriptors(fresh.process().pid());
  CHECK(wait_until([&] { return open_descriptors(pid) <= descriptors; }, 5s));
  std::cout << fmt::format("resident before {} KiB, after {} KiB\n", resident / 1024, resident_bytes(pid) / 1024);
  if (is_memory_comparable) CHECK(resident_bytes(pid) <= resident + 8 * 1024 * 1024);
  check_serves(server);
  const auto stats = server.stats();
  CHECK(stats.at("opened") >= stats.at("closed"));
}
