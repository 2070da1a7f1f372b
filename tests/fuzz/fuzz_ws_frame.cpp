// Frames from anyone: fed whole and fed in pieces they give the same events; bounds hold; what a
// server takes can be framed again and read back by a client.
//
// Input: role, limit, seed of the piece sizes, then the stream.
#include <cstddef>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "core/wire/utf8.hpp"
#include "core/wire/ws_frame.hpp"
#include "tests/core/wire/ws_reading.hpp"
#include "tests/fuzz/require.hpp"

using namespace wsr;
using namespace wsr::testing;

namespace {

void check_event(const Heard& event, std::size_t bytes_max) {
  switch (event.kind) {
    case WsEvent::Kind::text:
      WSR_REQUIRE(is_utf8(event.payload));
      [[fallthrough]];
    case WsEvent::Kind::binary:
      WSR_REQUIRE(event.payload.size() <= bytes_max);
      return;
    case WsEvent::Kind::ping:
    case WsEvent::Kind::pong:
      WSR_REQUIRE(event.payload.size() <= 125);
      return;
    case WsEvent::Kind::close:
      WSR_REQUIRE(is_utf8(event.payload) && event.payload.size() <= 123);
      WSR_REQUIRE(event.code == CloseCode::no_status || is_valid_on_wire(static_cast<std::uint16_t>(event.code)));
      return;
    case WsEvent::Kind::error:
      WSR_REQUIRE(event.code == CloseCode::protocol_error || event.code == CloseCode::bad_utf8 ||
                  event.code == CloseCode::too_big);
      return;
    case WsEvent::Kind::need_more:
      WSR_REQUIRE(!"need_more is no event");
  }
}

/// Frames what was heard as a server does, and hears it as a client.
void check_echo(const std::vector<Heard>& heard) {
  std::string stream;
  std::vector<Heard> expected;
  for (const auto& event : heard) {
    if (event.kind == WsEvent::Kind::text)
      ws_append_frame(stream, WsOpcode::text, event.payload);
    else if (event.kind == WsEvent::Kind::binary)
      ws_append_frame(stream, WsOpcode::binary, event.payload);
    else if (event.kind == WsEvent::Kind::ping)
      ws_append_frame(stream, WsOpcode::ping, event.payload);
    else if (event.kind == WsEvent::Kind::pong)
      ws_append_frame(stream, WsOpcode::pong, event.payload);
    else if (event.kind == WsEvent::Kind::close)
      ws_append_frame(stream, WsOpcode::close, ws_close_payload(event.code, event.payload));
    else
      continue;
    expected.push_back(event);
  }
  WsParser client(WsRole::client, 1 << 20);
  WSR_REQUIRE(hear_whole(client, stream) == expected);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 3) return 0;
  const WsRole role = (data[0] & 1) != 0 ? WsRole::client : WsRole::server;
  const std::size_t bytes_max = std::size_t{data[1]} * 8;
  std::minstd_rand random(data[2] + 1u);
  const std::string_view stream(reinterpret_cast<const char*>(data + 3), size - 3);

  WsParser whole(role, bytes_max), single(role, bytes_max), pieces(role, bytes_max);
  std::string rest;
  const auto heard = hear(
      whole, stream, [&] { return stream.size(); }, &rest);
  WSR_REQUIRE(hear(single, stream, [] { return std::size_t{1}; }) == heard);
  WSR_REQUIRE(hear(pieces, stream, [&] { return std::size_t{1 + random() % 33}; }) == heard);
  WSR_REQUIRE(rest.size() < ws_header_bytes_max);
  WSR_REQUIRE(whole.held_bytes() <= bytes_max + 512);
  WSR_REQUIRE(single.held_bytes() <= bytes_max + 512);
  for (const auto& event : heard) check_event(event, bytes_max);
  check_echo(heard);
  return 0;
}
