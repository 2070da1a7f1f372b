// WebSocket frames (RFC 6455), both roles, without I/O: bytes in, events out; messages in, bytes out.
//
//   bytes ─▶ WsParser::next() ─▶ text | binary | ping | pong | close | need_more | error
//
// The parser never owns the read buffer: the caller hands it the bytes that it has and keeps what
// is left over (see `consumed`). A message is given out whole; fragments gather inside the parser and
// its size is checked against `message_bytes_max` before anything is allocated for it.
//
// Thread-safety: none; a WsParser belongs to one connection.
// Errors:        WsEvent::error carries the close code that the peer must be told; the parser is then
//                finished and says `error` again if asked.
// Bounds:        message_bytes_max for messages; control frames 125 bytes (RFC 6455 section 5.5).
// Cost:          an unfragmented frame that lies whole in the buffer is unmasked in place: no copy.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "core/wire/close_code.hpp"
#include "core/wire/utf8.hpp"

namespace wsr {

enum class WsRole : std::uint8_t { server, client };  // the role of the one who parses

enum class WsOpcode : std::uint8_t { continuation = 0, text = 1, binary = 2, close = 8, ping = 9, pong = 10 };

struct WsEvent {
  enum class Kind : std::uint8_t {
    need_more,  // no whole frame yet: keep the bytes from `consumed` on and call again with more
    text,       // a whole text message, valid UTF-8
    binary,     // a whole binary message
    ping,       // answer with a pong that carries the same payload
    pong,
    close,  // the peer closes: `code` (no_status if it gave none), payload = its reason
    error,  // the peer broke the protocol: close with `code`; payload = a sentence saying how
  };
  Kind kind = Kind::need_more;
  std::size_t consumed = 0;  // bytes of the input that are used up
  std::string_view payload;  // valid until the next call or until the input buffer changes
  CloseCode code = CloseCode::no_status;
};

class WsParser {
public:
  WsParser(WsRole role, std::size_t message_bytes_max) : role_(role), message_bytes_max_(message_bytes_max) {}

  /// Takes at most one event from the front of `input`. Payload bytes may be unmasked in place.
  /// Call again with the rest (after `consumed`, also when nothing is left) until need_more: that call
  /// also frees the memory of a message that was given out in pieces. A partial frame is not
  /// consumed unless its header is complete; then its payload is taken into the parser piece by
  /// piece, so that an input buffer of any size >= 14 bytes makes progress.
  [[nodiscard]] WsEvent next(std::span<char> input);

  /// From now on data frames are read over and nothing of them is kept, whatever their size: they stand behind a close
  /// frame (RFC 6455, 5.5.1). Control frames and the order of frames are as before.
  void discard_data();

  /// Bytes that the parser itself holds now (a message in fragments, a frame in pieces).
  [[nodiscard]] std::size_t held_bytes() const;

private:
  // Kept small: an idle connection pays only for this object. `gather_` exists only while a
  // message or frame is incomplete, and until the call after the one that gave it out.
  struct Header;
  struct Gather;
  struct GatherDeleter {
    void operator()(Gather*) const;
  };
  [[nodiscard]] WsEvent fail(CloseCode code, std::string_view why);
  [[nodiscard]] WsEvent check(const Header& header);
  [[nodiscard]] WsEvent check_size(const Header& header);
  [[nodiscard]] WsEvent take_whole(const Header& header, std::span<char> payload);
  void begin_pieces(const Header& header);
  [[nodiscard]] WsEvent take_piece(std::span<const char> piece);
  [[nodiscard]] WsEvent end_pieces();
  [[nodiscard]] WsEvent control(WsOpcode opcode, std::string_view payload);
  [[nodiscard]] bool is_in_frame() const;

  WsRole role_;
  bool discards_data_ = false;
  CloseCode failed_ = CloseCode::no_status;  // no_status: not failed
  std::size_t message_bytes_max_;
  std::unique_ptr<Gather, GatherDeleter> gather_;
};

/// The largest header that a frame can have: 2 + 8 length + 4 mask.
inline constexpr std::size_t ws_header_bytes_max = 14;

/// Writes the header of one unmasked, final frame (server to client) into `out` and returns its size.
/// REQUIRES: `out` has ws_header_bytes_max bytes.
[[nodiscard]] std::size_t ws_write_header(WsOpcode opcode, std::size_t payload_bytes, char* out);

/// Appends one final frame as a server sends it (unmasked).
void ws_append_frame(std::string& out, WsOpcode opcode, std::string_view payload);

/// Appends one final frame as a client sends it (masked with `mask_key`, RFC 6455 section 5.3).
void ws_append_masked_frame(std::string& out, WsOpcode opcode, std::string_view payload, std::uint32_t mask_key);

/// The payload of a close frame: code and reason; the reason is cut at a code point to fit 123 bytes.
/// Empty for a code that must not be sent (no_status, abnormal). REQUIRES: `reason` is UTF-8.
[[nodiscard]] std::string ws_close_payload(CloseCode code, std::string_view reason);

/// Sec-WebSocket-Accept for a Sec-WebSocket-Key (RFC 6455 section 4.2.2).
[[nodiscard]] std::string ws_accept_key(std::string_view key);

}  // namespace wsr
