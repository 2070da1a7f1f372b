#include "core/wire/ws_frame.hpp"

#include <catch2/catch.hpp>
#include <random>

#include "tests/core/wire/ws_reading.hpp"

using namespace wsr;
using namespace wsr::testing;
using Kind = WsEvent::Kind;

namespace {

constexpr std::uint32_t key = 0x37FA213D;
constexpr std::size_t plenty = 1 << 20;

std::string bytes_of(std::initializer_list<int> values) {
  std::string bytes;
  for (const int value : values) bytes.push_back(static_cast<char>(value));
  return bytes;
}

/// One frame with every field chosen, masked as a client's unless `masked` says otherwise.
struct RawFrame {
  int first = 0x81;  // FIN, reserved bits, opcode
  std::string payload;
  bool is_masked = true;
  [[nodiscard]] std::string str() const {
    std::string frame;
    if (is_masked) {
      ws_append_masked_frame(frame, WsOpcode::text, payload, key);
    } else {
      ws_append_frame(frame, WsOpcode::text, payload);
    }
    frame[0] = static_cast<char>(first);
    return frame;
  }
};
std::string raw(int first, std::string_view payload) { return RawFrame{first, std::string(payload)}.str(); }

std::vector<Heard> served(std::string_view bytes, std::size_t bytes_max = plenty) {
  WsParser parser(WsRole::server, bytes_max);
  return hear_whole(parser, bytes);
}
std::vector<Heard> heard_by_client(std::string_view bytes) {
  WsParser parser(WsRole::client, plenty);
  return hear_whole(parser, bytes);
}

Heard text(std::string_view payload) { return {Kind::text, std::string(payload), CloseCode::no_status}; }
Heard binary(std::string_view payload) { return {Kind::binary, std::string(payload), CloseCode::no_status}; }
Heard ping(std::string_view payload) { return {Kind::ping, std::string(payload), CloseCode::no_status}; }
Heard pong(std::string_view payload) { return {Kind::pong, std::string(payload), CloseCode::no_status}; }
Heard closed(CloseCode code, std::string_view reason = {}) { return {Kind::close, std::string(reason), code}; }
Heard broken(CloseCode code) { return {Kind::error, {}, code}; }
using Events = std::vector<Heard>;

std::string close_frame(int code, std::string_view reason = {}) {
  return raw(0x88, bytes_of({code >> 8, code & 0xFF}).append(reason));
}

}  // namespace

// ---------------------------------------------------------------- RFC 6455 section 5.7

TEST_CASE("RFC 6455 5.7: a single frame unmasked text message") {
  CHECK(heard_by_client(bytes_of({0x81, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f})) == Events{text("Hello")});
}

TEST_CASE("RFC 6455 5.7: a single frame masked text message") {
  CHECK(served(bytes_of({0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58})) == Events{text("Hello")});
}

TEST_CASE("RFC 6455 5.7: a fragmented unmasked text message") {
  CHECK(heard_by_client(bytes_of({0x01, 0x03, 0x48, 0x65, 0x6c, 0x80, 0x02, 0x6c, 0x6f})) == Events{text("Hello")});
}

TEST_CASE("RFC 6455 5.7: an unmasked ping and its masked pong") {
  CHECK(heard_by_client(bytes_of({0x89, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f})) == Events{ping("Hello")});
  CHECK(served(bytes_of({0x8a, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58})) == Events{pong("Hello")});
}

TEST_CASE("RFC 6455 5.7: 256 bytes and 64 KiB of binary data in single unmasked frames") {
  const std::string small(256, 'x');
  const std::string large(65536, 'y');
  CHECK(heard_by_client(bytes_of({0x82, 0x7E, 0x01, 0x00}) + small) == Events{binary(small)});
  CHECK(heard_by_client(bytes_of({0x82, 0x7F, 0, 0, 0, 0, 0, 1, 0, 0}) + large) == Events{binary(large)});
}

// ---------------------------------------------------------------- lengths and pieces

TEST_CASE("payloads of every length around the three length forms come out as they went in") {
  for (const std::size_t size : {0, 1, 2, 7, 8, 9, 15, 16, 17, 124, 125, 126, 127, 128, 65534, 65535, 65536, 65537}) {
    std::string payload;
    for (std::size_t i = 0; i < size; ++i) payload.push_back(static_cast<char>('a' + i % 26));
    std::string frame;
    ws_append_masked_frame(frame, WsOpcode::text, payload, key);
    CHECK(served(frame) == Events{text(payload)});
    frame.clear();
    ws_append_frame(frame, WsOpcode::binary, payload);
    CHECK(heard_by_client(frame) == Events{binary(payload)});
  }
}

TEST_CASE("a length must be in its shortest form") {
  CHECK(heard_by_client(bytes_of({0x81, 0x7E, 0x00, 0x02}) + "ab") == Events{broken(CloseCode::protocol_error)});
  CHECK(heard_by_client(bytes_of({0x81, 0x7F, 0, 0, 0, 0, 0, 0, 0, 0x02}) + "ab") ==
        Events{broken(CloseCode::protocol_error)});
  CHECK(heard_by_client(bytes_of({0x81, 0x7F, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF})) ==
        Events{broken(CloseCode::protocol_error)});
}

TEST_CASE("a 64 bit length with its highest bit set is a protocol error, not a size error") {
  CHECK(served(bytes_of({0x82, 0xFF, 0x80, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4})) ==
        Events{broken(CloseCode::protocol_error)});
  CHECK(served(bytes_of({0x82, 0xFF, 0x7F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 1, 2, 3, 4})) ==
        Events{broken(CloseCode::too_big)});
}

TEST_CASE("a header split over inputs is not consumed before it is whole") {
  std::string frame;
  ws_append_masked_frame(frame, WsOpcode::text, std::string(70'000, 'x'), key);
  for (std::size_t size = 0; size < ws_header_bytes_max; ++size) {
    WsParser parser(WsRole::server, plenty);
    std::string part = frame.substr(0, size);
    const auto event = parser.next(part);
    CHECK(event.kind == Kind::need_more);
    CHECK(event.consumed == 0);
    CHECK(parser.held_bytes() == 0);
  }
}

TEST_CASE("an unfragmented frame that lies whole in the buffer is given out where it lies") {
  std::string frame;
  ws_append_masked_frame(frame, WsOpcode::text, "in place", key);
  WsParser parser(WsRole::server, plenty);
  const auto event = parser.next(frame);
  CHECK(event.payload.data() == frame.data() + 6);
  CHECK(event.consumed == frame.size());
  CHECK(parser.held_bytes() == 0);
}

TEST_CASE("fed one byte at a time, random frames give the same events as fed whole, and as fed in random pieces") {
  std::mt19937 random(6455);
  const auto below = [&random](std::uint32_t bound) { return random() % bound; };
  for (int round = 0; round < 2000; ++round) {
    std::string stream;
    const auto frames = 1 + below(6);
    for (std::uint32_t i = 0; i < frames; ++i) {
      static constexpr int firsts[] = {0x81, 0x82, 0x01, 0x02, 0x00, 0x80, 0x89, 0x8A, 0x88, 0x80, 0x00};
      const int first = below(60) == 0 ? static_cast<int>(below(256)) : firsts[below(std::size(firsts))];
      std::string payload;
      const auto size = below(8) == 0 ? below(70'000) % 3000 : below(20);
      for (std::uint32_t k = 0; k < size; ++k) {
        payload += below(12) == 0 ? "\xE2\x82\xAC" : below(2000) == 0 ? "\xFF" : "e";
      }
      if ((first & 0x0F) == 8) payload = std::string("\x03\xE8", 2) + payload.substr(0, 40);
      std::string frame;
      ws_append_masked_frame(frame, WsOpcode::text, payload, random());
      frame[0] = static_cast<char>(first);
      stream += frame;
    }
    WsParser whole(WsRole::server, 4096), single(WsRole::server, 4096), random_pieces(WsRole::server, 4096);
    const auto expected = hear_whole(whole, stream);
    REQUIRE(hear(single, stream, [] { return std::size_t{1}; }) == expected);
    REQUIRE(hear(random_pieces, stream, [&] { return std::size_t{1 + below(50)}; }) == expected);
  }
}

TEST_CASE("a large frame fills the parser piece by piece from a buffer of 14 bytes") {
  const std::string payload(100'000, 'z');
  std::string frame;
  ws_append_masked_frame(frame, WsOpcode::binary, payload, key);
  WsParser parser(WsRole::server, plenty);
  CHECK(hear(parser, frame, [] { return std::size_t{14}; }) == Events{binary(payload)});
}

// ---------------------------------------------------------------- fragments and control frames

TEST_CASE("control frames between fragments are told at once and do not disturb the message") {
  const std::string stream =
      raw(0x01, "one ") + raw(0x89, "p") + raw(0x00, "two ") + raw(0x8A, "q") + raw(0x89, "") + raw(0x80, "three");
  const Events expected{ping("p"), pong("q"), ping(""), text("one two three")};
  CHECK(served(stream) == expected);
  WsParser parser(WsRole::server, plenty);
  CHECK(hear(parser, stream, [] { return std::size_t{1}; }) == expected);
}

TEST_CASE("a close frame between fragments is told at once") {
  CHECK(served(raw(0x01, "one ") + close_frame(1000)) == Events{closed(CloseCode::normal)});
}

TEST_CASE("empty fragments make an empty message") {
  CHECK(served(raw(0x01, "") + raw(0x00, "") + raw(0x80, "")) == Events{text("")});
}

TEST_CASE("a code point may be split between fragments") {
  CHECK(served(raw(0x01, "\xF0\x9F") + raw(0x89, "") + raw(0x00, "\x98") + raw(0x80, "\x80")) ==
        Events{ping(""), text("\xF0\x9F\x98\x80")});
}

TEST_CASE("binary messages carry any bytes, whole and in fragments") {
  std::string all;
  for (int i = 0; i < 256; ++i) all.push_back(static_cast<char>(i));
  CHECK(served(raw(0x82, all)) == Events{binary(all)});
  CHECK(served(raw(0x02, all) + raw(0x80, all)) == Events{binary(all + all)});
}

TEST_CASE("fragments out of place are protocol errors") {
  CHECK(served(raw(0x80, "x")) == Events{broken(CloseCode::protocol_error)});
  CHECK(served(raw(0x00, "x")) == Events{broken(CloseCode::protocol_error)});
  CHECK(served(raw(0x01, "x") + raw(0x81, "y")) == Events{broken(CloseCode::protocol_error)});
  CHECK(served(raw(0x01, "x") + raw(0x02, "y")) == Events{broken(CloseCode::protocol_error)});
  CHECK(served(raw(0x01, "x") + raw(0x80, "y") + raw(0x80, "z")) ==
        Events{text("xy"), broken(CloseCode::protocol_error)});
}

TEST_CASE("a control frame may have 125 bytes, not 126, and no fragments") {
  const std::string longest(125, 'p');
  CHECK(served(raw(0x89, longest)) == Events{ping(longest)});
  CHECK(served(raw(0x89, longest + "p")) == Events{broken(CloseCode::protocol_error)});
  CHECK(served(raw(0x09, "x")) == Events{broken(CloseCode::protocol_error)});
  CHECK(served(raw(0x08, "")) == Events{broken(CloseCode::protocol_error)});
}

// ---------------------------------------------------------------- what a peer must not send

TEST_CASE("each reserved bit and each reserved opcode is a protocol error") {
  for (const int bit : {0x40, 0x20, 0x10, 0x70}) {
    CHECK(served(raw(0x81 | bit, "x")) == Events{broken(CloseCode::protocol_error)});
  }
  for (const int opcode : {3, 4, 5, 6, 7, 11, 12, 13, 14, 15}) {
    CHECK(served(raw(0x80 | opcode, "x")) == Events{broken(CloseCode::protocol_error)});
    CHECK(served(raw(opcode, "x")) == Events{broken(CloseCode::protocol_error)});
  }
}

TEST_CASE("clients mask, servers do not: the other way is a protocol error") {
  const RawFrame masked{0x81, "x", true};
  const RawFrame plain{0x81, "x", false};
  CHECK(served(plain.str()) == Events{broken(CloseCode::protocol_error)});
  CHECK(heard_by_client(masked.str()) == Events{broken(CloseCode::protocol_error)});
}

TEST_CASE("two bytes are enough to refuse a frame") {
  WsParser parser(WsRole::server, plenty);
  std::string start = bytes_of({0xF1, 0x80});
  CHECK(parser.next(start).kind == Kind::error);
}

TEST_CASE("an error uses up the input, says why, and is said again when asked") {
  WsParser parser(WsRole::server, plenty);
  std::string stream = raw(0x83, "x") + raw(0x81, "y");
  const auto first = parser.next(stream);
  CHECK(first.kind == Kind::error);
  CHECK(first.consumed == stream.size());
  CHECK_FALSE(first.payload.empty());
  CHECK(parser.held_bytes() == 0);
  const auto second = parser.next(stream);
  CHECK(second.kind == Kind::error);
  CHECK(second.code == first.code);
  CHECK(second.consumed == stream.size());
}

// ---------------------------------------------------------------- UTF-8

TEST_CASE("text that is not UTF-8 is refused with 1007, whole, in fragments and cut short") {
  CHECK(served(raw(0x81, "a\xFFz")) == Events{broken(CloseCode::bad_utf8)});
  CHECK(served(raw(0x81, "\xE2\x82")) == Events{broken(CloseCode::bad_utf8)});
  CHECK(served(raw(0x01, "\xE2\x82") + raw(0x80, "")) == Events{broken(CloseCode::bad_utf8)});
  CHECK(served(raw(0x01, "a") + raw(0x80, "\xED\xA0\x80")) == Events{broken(CloseCode::bad_utf8)});
}

TEST_CASE("bad text is told before its fragment, its frame and its message are whole") {
  // Autobahn 6.4: the first three bytes are a valid beginning, the fourth cannot be.
  WsParser in_fragments(WsRole::server, plenty);
  CHECK(hear_whole(in_fragments, raw(0x01, "\xCE\xBA\xE1\xBD\xB9\xCF\x83\xCE\xBC\xCE\xB5") + raw(0x00, "\xF4\x90")) ==
        Events{broken(CloseCode::bad_utf8)});
  WsParser in_frame(WsRole::server, plenty);
  const std::string frame = raw(0x81, std::string("\xF4\x90") + std::string(1000, 'x'));
  CHECK(hear_whole(in_frame, frame.substr(0, 10)) == Events{broken(CloseCode::bad_utf8)});
}

TEST_CASE("binary messages, pings and pongs are not asked to be UTF-8") {
  CHECK(served(raw(0x82, "\xFF")) == Events{binary("\xFF")});
  CHECK(served(raw(0x89, "\xFF") + raw(0x8A, "\xFE")) == Events{ping("\xFF"), pong("\xFE")});
}

// ---------------------------------------------------------------- close

TEST_CASE("a close frame without a code is told as no_status") {
  CHECK(served(raw(0x88, "")) == Events{closed(CloseCode::no_status)});
}

TEST_CASE("a close frame of one byte is a protocol error") {
  CHECK(served(raw(0x88, "\x03")) == Events{broken(CloseCode::protocol_error)});
}

TEST_CASE("every close code is taken or refused as RFC 6455 7.4 and the registry say") {
  int wrong = 0;
  for (int code = 0; code <= 0xFFFF; ++code) {
    const auto expected = is_valid_on_wire(static_cast<std::uint16_t>(code))
                              ? closed(static_cast<CloseCode>(code), "bye")
                              : broken(CloseCode::protocol_error);
    wrong += served(close_frame(code, "bye")) != Events{expected};
  }
  CHECK(wrong == 0);
}

TEST_CASE("a close reason must be UTF-8, and may fill the frame") {
  CHECK(served(close_frame(1000, "\xFF")) == Events{broken(CloseCode::bad_utf8)});
  CHECK(served(close_frame(1000, "\xE2\x82")) == Events{broken(CloseCode::bad_utf8)});
  const std::string longest(123, 'r');
  CHECK(served(close_frame(4009, longest)) == Events{closed(CloseCode::replaced, longest)});
}

// ---------------------------------------------------------------- bounds and memory

TEST_CASE("a message of the limit passes, one byte more is refused with 1009") {
  constexpr std::size_t limit = 1000;
  for (const std::size_t size : {limit - 1, limit}) {
    CHECK(served(raw(0x82, std::string(size, 'x')), limit) == Events{binary(std::string(size, 'x'))});
    WsParser parser(WsRole::server, limit);
    CHECK(hear(parser, raw(0x82, std::string(size, 'x')), [] { return std::size_t{7}; }) ==
          Events{binary(std::string(size, 'x'))});
  }
  CHECK(served(raw(0x82, std::string(limit + 1, 'x')), limit) == Events{broken(CloseCode::too_big)});
}

TEST_CASE("the limit holds for the sum of the fragments") {
  constexpr std::size_t limit = 100;
  const auto in_three = [](std::size_t last) {
    return raw(0x02, std::string(60, 'x')) + raw(0x00, std::string(30, 'x')) + raw(0x80, std::string(last, 'x'));
  };
  CHECK(served(in_three(9), limit) == Events{binary(std::string(99, 'x'))});
  CHECK(served(in_three(10), limit) == Events{binary(std::string(100, 'x'))});
  CHECK(served(in_three(11), limit) == Events{broken(CloseCode::too_big)});
}

TEST_CASE("control frames do not count against the limit of messages") {
  CHECK(served(raw(0x89, std::string(125, 'p')), 1) == Events{ping(std::string(125, 'p'))});
  CHECK(served(raw(0x01, "x") + raw(0x89, "ppp") + raw(0x80, ""), 1) == Events{ping("ppp"), text("x")});
}

TEST_CASE("a frame that is too large is refused by its header alone, and nothing is kept for it") {
  std::string frame = raw(0x82, std::string(1001, 'x')).substr(0, 8);  // 2 + 2 + 4: no byte of the payload
  WsParser parser(WsRole::server, 1000);
  CHECK(parser.next(frame).code == CloseCode::too_big);
  CHECK(parser.held_bytes() == 0);
}

TEST_CASE("an announced length costs nothing: memory grows with the bytes that came") {
  std::string frame = raw(0x82, std::string(16 << 20, 'x'));
  WsParser parser(WsRole::server, 32 << 20);
  std::span<char> start(frame.data(), 1000);
  CHECK(parser.next(start).kind == Kind::need_more);
  CHECK(parser.held_bytes() > 900);
  CHECK(parser.held_bytes() < 4096);
}

TEST_CASE("after a message in pieces the parser holds nothing once it has been asked for more") {
  WsParser parser(WsRole::server, plenty);
  std::string stream = raw(0x01, std::string(5000, 'x')) + raw(0x80, "y");
  auto event = parser.next(stream);
  CHECK(event.kind == Kind::text);
  CHECK(event.payload.size() == 5001);
  CHECK(parser.next({}).kind == Kind::need_more);
  CHECK(parser.held_bytes() == 0);
}

TEST_CASE("an idle parser is small") {
  CHECK(sizeof(WsParser) <= 24);
  WsParser parser(WsRole::server, plenty);
  CHECK(parser.held_bytes() == 0);
}

TEST_CASE("behind a close frame data is read over, whatever its size and text, and control frames are heard") {
  const std::string behind = raw(0x01, std::string(300, '\xC3')) + raw(0x89, "p") + raw(0x80, std::string(5'000, 'x')) +
                             raw(0x82, std::string(70'000, 'b')) + raw(0x81, "text") + close_frame(1000, "bye");
  const Events expected{ping("p"), closed(CloseCode::normal, "bye")};
  WsParser whole(WsRole::server, 1'000);
  whole.discard_data();
  CHECK(hear_whole(whole, behind) == expected);

  // In pieces of every size, and beginning within a message of which something is held.
  for (const std::size_t piece : {1U, 7U, 1'024U}) {
    WsParser parser(WsRole::server, 100'000);
    std::string open = raw(0x81, std::string(50'000, 'y'));
    std::string begun = open.substr(0, 40'000), rest = open.substr(40'000) + behind;
    CHECK(parser.next(begun).kind == Kind::need_more);
    CHECK(parser.held_bytes() >= 39'000);
    parser.discard_data();
    CHECK(parser.held_bytes() < 1'000);
    CHECK(hear(parser, rest, [piece] { return piece; }) == expected);
    CHECK(parser.held_bytes() < 1'000);
  }
}

TEST_CASE("behind a close frame what breaks the protocol still does") {
  WsParser parser(WsRole::server, 1'000);
  parser.discard_data();
  CHECK(hear_whole(parser, raw(0x80, "a continuation of nothing")) == Events{broken(CloseCode::protocol_error)});
}
