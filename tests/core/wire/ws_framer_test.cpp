#include <catch2/catch.hpp>

#include "core/wire/utf8.hpp"
#include "core/wire/ws_frame.hpp"
#include "tests/core/wire/ws_reading.hpp"

using namespace wsr;
using namespace wsr::testing;

TEST_CASE("the header is written in its shortest form") {
  char out[ws_header_bytes_max];
  const auto header = [&out](std::size_t size) { return std::string(out, ws_write_header(WsOpcode::text, size, out)); };
  CHECK(header(0) == std::string("\x81\x00", 2));
  CHECK(header(125) == "\x81\x7D");
  CHECK(header(126) == std::string("\x81\x7E\x00\x7E", 4));
  CHECK(header(65535) == "\x81\x7E\xFF\xFF");
  CHECK(header(65536) == std::string("\x81\x7F\x00\x00\x00\x00\x00\x01\x00\x00", 10));
}

TEST_CASE("a masked frame has the bytes of the example in RFC 6455 5.7") {
  std::string frame;
  ws_append_masked_frame(frame, WsOpcode::text, "Hello", 0x37FA213D);
  CHECK(frame == "\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58");
}

TEST_CASE("frames are appended behind what is there") {
  std::string out = "before";
  ws_append_frame(out, WsOpcode::ping, "x");
  CHECK(out == "before\x89\x01x");
}

TEST_CASE("a close payload carries code and reason, and the parser reads it back") {
  std::string frame;
  ws_append_frame(frame, WsOpcode::close, ws_close_payload(CloseCode::replaced, "a newer connection took over"));
  WsParser parser(WsRole::client, 1000);
  CHECK(hear_whole(parser, frame) ==
        std::vector<Heard>{{WsEvent::Kind::close, "a newer connection took over", CloseCode::replaced}});
}

TEST_CASE("a long close reason is cut between two characters so that the frame stays a control frame") {
  for (std::size_t lead = 0; lead < 4; ++lead) {
    std::string reason(lead, 'x');
    while (reason.size() < 200) reason += "\xF0\x9F\x98\x80";
    const auto payload = ws_close_payload(CloseCode::policy, reason);
    CHECK(payload.size() <= 125);
    CHECK(payload.size() > 121);
    CHECK(is_utf8(payload.substr(2)));
  }
  CHECK(ws_close_payload(CloseCode::policy, std::string(123, 'x')).size() == 125);
  CHECK(ws_close_payload(CloseCode::policy, std::string(124, 'x')).size() == 125);
}

TEST_CASE("codes that must not be sent make an empty close payload") {
  CHECK(ws_close_payload(CloseCode::no_status, "reason").empty());
  CHECK(ws_close_payload(CloseCode::abnormal, "reason").empty());
}

TEST_CASE("the accept key is the one of the example in RFC 6455 1.3") {
  CHECK(ws_accept_key("dGhlIHNhbXBsZSBub25jZQ==") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
}
