#include "core/wire/ws_frame.hpp"

#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cassert>
#include <cstring>
#include <new>

namespace wsr {
namespace {

constexpr std::size_t control_bytes_max = 125;
using MaskKey = std::array<char, 4>;

bool is_control(WsOpcode opcode) { return (static_cast<std::uint8_t>(opcode) & 0x8) != 0; }

/// XORs `bytes` with the key, which begins at its byte `at` (for a payload that comes in pieces).
void unmask(std::span<char> bytes, const MaskKey& key, std::size_t at) {
  std::array<char, 8> turned;
  // One turn of the key, twice: no index of it is looked at in the loop.
  const char* const first = key.data();
  for (std::size_t i = 0; i < 4; ++i) turned.data()[i] = turned.data()[i + 4] = first[(at + i) & 3];
  const auto wide = std::bit_cast<std::uint64_t>(turned);
  char* p = bytes.data();
  const char* const turned_key = turned.data();
  std::size_t left = bytes.size();
  for (; left >= 8; left -= 8, p += 8) {
    std::uint64_t word;
    std::memcpy(&word, p, sizeof word);
    word ^= wide;
    std::memcpy(p, &word, sizeof word);
  }
  for (std::size_t i = 0; i < left; ++i) p[i] = static_cast<char>(p[i] ^ turned_key[i]);
}

std::uint64_t read_big_endian(const char* from, std::size_t bytes) {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < bytes; ++i) value = (value << 8) | static_cast<unsigned char>(from[i]);
  return value;
}

void write_big_endian(char* to, std::uint64_t value, std::size_t bytes) {
  for (std::size_t i = 0; i < bytes; ++i) to[i] = static_cast<char>((value >> (8 * (bytes - 1 - i))) & 0xFF);
}

std::size_t write_header(WsOpcode opcode, std::size_t payload_bytes, std::uint8_t mask_bit, char* out) {
  out[0] = static_cast<char>(0x80 | static_cast<std::uint8_t>(opcode));
  if (payload_bytes < 126) {
    out[1] = static_cast<char>(mask_bit | payload_bytes);
    return 2;
  }
  if (payload_bytes <= 0xFFFF) {
    out[1] = static_cast<char>(mask_bit | 126);
    write_big_endian(out + 2, payload_bytes, 2);
    return 4;
  }
  out[1] = static_cast<char>(mask_bit | 127);
  write_big_endian(out + 2, payload_bytes, 8);
  return 10;
}

WsEvent need_more(std::size_t consumed) { return {WsEvent::Kind::need_more, consumed, {}, CloseCode::no_status}; }

}  // namespace

// ---------------------------------------------------------------- parser

struct WsParser::Header {
  WsOpcode opcode{};
  bool is_final = false;
  std::uint8_t reserved = 0;
  bool is_masked = false;
  std::uint64_t payload_bytes = 0;  // only the 7 bit form until `bytes` is known to be there
  std::size_t bytes = 0;            // of the header itself
  bool is_minimal = true;           // the length is spelled in as few bytes as it can be (RFC 6455 section 5.2)
  MaskKey mask{};

  /// Reads the first two bytes, which tell how long the header is. REQUIRES: two bytes.
  explicit Header(std::span<const char> input) {
    const auto first = static_cast<std::uint8_t>(input[0]);
    const auto second = static_cast<std::uint8_t>(input[1]);
    opcode = static_cast<WsOpcode>(first & 0x0F);
    is_final = (first & 0x80) != 0;
    reserved = first & 0x70;
    is_masked = (second & 0x80) != 0;
    payload_bytes = second & 0x7F;
    bytes = 2 + length_bytes() + (is_masked ? 4 : 0);
  }
  [[nodiscard]] std::size_t length_bytes() const { return payload_bytes < 126 ? 0 : payload_bytes == 126 ? 2 : 8; }
  /// Reads the rest. REQUIRES: `bytes` bytes; called once.
  void complete(std::span<const char> input) {
    const std::size_t extra = length_bytes();
    const std::uint64_t least = extra == 0 ? 0 : extra == 2 ? 126 : 65'536;
    if (is_masked) std::memcpy(mask.data(), input.data() + 2 + extra, 4);
    if (extra != 0) payload_bytes = read_big_endian(input.data() + 2, extra);
    is_minimal = payload_bytes >= least;
  }
};

struct WsParser::Gather {
  // the message in fragments
  WsOpcode message_opcode = WsOpcode::continuation;  // continuation: no message is open
  Utf8Stream utf8;
  std::string message;
  // the frame in pieces
  bool is_in_frame = false;
  bool is_final = false;
  WsOpcode opcode{};
  MaskKey mask{};
  std::uint8_t mask_at = 0;     // the key's byte that comes next
  std::uint64_t remaining = 0;  // payload bytes still to come
  std::uint8_t control_bytes = 0;
  std::array<char, control_bytes_max> control_payload{};

  bool is_spent = false;  // what it holds was given out: goes at the next call

  /// Grows as bytes come, never by what a header announces: a peer pays for what it makes us keep.
  void reserve(std::size_t more, std::size_t bytes_max) {
    const std::size_t wanted = message.size() + more;
    if (wanted > message.capacity()) message.reserve(std::max(wanted, std::min(bytes_max, 2 * message.capacity())));
  }
};

void WsParser::GatherDeleter::operator()(Gather* gather) const { delete gather; }

bool WsParser::is_in_frame() const { return gather_ != nullptr && gather_->is_in_frame; }

std::size_t WsParser::held_bytes() const {
  return gather_ == nullptr ? 0 : sizeof(Gather) + gather_->message.capacity();
}

void WsParser::discard_data() {
  discards_data_ = true;
  // What was given out may still be looked at: it goes at the next call, as ever.
  if (gather_ != nullptr && !gather_->is_spent) std::string().swap(gather_->message);
}

WsEvent WsParser::fail(CloseCode code, std::string_view why) {
  failed_ = code;
  gather_.reset();
  return {WsEvent::Kind::error, 0, why, code};
}

WsEvent WsParser::next(std::span<char> input) {
  if (gather_ != nullptr && gather_->is_spent) gather_.reset();
  if (failed_ != CloseCode::no_status) {
    return {WsEvent::Kind::error, input.size(), "the connection has already broken the protocol", failed_};
  }
  std::size_t used = 0;
  for (;;) {
    WsEvent event;
    if (is_in_frame()) {
      const auto piece = input.subspan(used, std::min<std::uint64_t>(gather_->remaining, input.size() - used));
      used += piece.size();
      event = take_piece(piece);
      if (event.kind == WsEvent::Kind::need_more && is_in_frame()) return need_more(used);
    } else {
      const auto rest = input.subspan(used);
      if (rest.size() < 2) return need_more(used);
      Header header(rest);
      event = check(header);
      if (event.kind == WsEvent::Kind::need_more) {
        if (rest.size() < header.bytes) return need_more(used);
        header.complete(rest);
        const auto payload = rest.subspan(header.bytes);
        used += header.bytes;
        if (header.payload_bytes <= payload.size()) {
          used += header.payload_bytes;
          event = take_whole(header, payload.first(header.payload_bytes));
        } else {
          event = check_size(header);
          if (event.kind == WsEvent::Kind::need_more) begin_pieces(header);
        }
      }
    }
    if (event.kind == WsEvent::Kind::need_more) continue;
    event.consumed = event.kind == WsEvent::Kind::error ? input.size() : used;
    return event;
  }
}

/// What the first two bytes tell; need_more if the frame may come.
WsEvent WsParser::check(const Header& header) {
  if (header.reserved != 0) return fail(CloseCode::protocol_error, "a reserved bit is set and no extension was agreed");
  if (header.is_masked != (role_ == WsRole::server)) {
    return fail(CloseCode::protocol_error, role_ == WsRole::server ? "frames of a client must be masked"
                                                                   : "frames of a server must not be masked");
  }
  const bool is_message_open = gather_ != nullptr && gather_->message_opcode != WsOpcode::continuation;
  switch (header.opcode) {
    case WsOpcode::continuation:
      if (!is_message_open) return fail(CloseCode::protocol_error, "a continuation without a message to continue");
      return {};
    case WsOpcode::text:
    case WsOpcode::binary:
      if (is_message_open) {
        return fail(CloseCode::protocol_error, "a new message begins before the one in fragments has ended");
      }
      return {};
    case WsOpcode::close:
    case WsOpcode::ping:
    case WsOpcode::pong:
      if (!header.is_final) return fail(CloseCode::protocol_error, "a control frame is fragmented");
      if (header.payload_bytes > control_bytes_max) {
        return fail(CloseCode::protocol_error, "a control frame has more than 125 bytes");
      }
      return {};
  }
  return fail(CloseCode::protocol_error, "an unknown opcode");
}

/// What the length tells, before anything is kept or allocated for it.
WsEvent WsParser::check_size(const Header& header) {
  if ((header.payload_bytes >> 63) != 0) {
    return fail(CloseCode::protocol_error, "a frame length has its highest bit set");
  }
  if (!header.is_minimal) return fail(CloseCode::protocol_error, "a frame length is spelled longer than need be");
  if (is_control(header.opcode) || discards_data_) return {};
  const std::size_t held = gather_ == nullptr ? 0 : gather_->message.size();
  if (header.payload_bytes > message_bytes_max_ - held) {
    return fail(CloseCode::too_big, "the message is larger than this server takes");
  }
  return {};
}

/// A frame that lies whole in the input: the fast path, without a copy unless it is a fragment.
WsEvent WsParser::take_whole(const Header& header, std::span<char> payload) {
  if (auto error = check_size(header); error.kind != WsEvent::Kind::need_more) return error;
  const bool is_fragment = header.opcode == WsOpcode::continuation || !header.is_final;
  if (is_fragment) {
    begin_pieces(header);
    return take_piece(payload);
  }
  if (header.is_masked) unmask(payload, header.mask, 0);
  const std::string_view bytes(payload.data(), payload.size());
  if (is_control(header.opcode)) return control(header.opcode, bytes);
  if (discards_data_) return {};
  if (header.opcode == WsOpcode::binary) return {WsEvent::Kind::binary, 0, bytes, CloseCode::no_status};
  if (!is_utf8(bytes)) return fail(CloseCode::bad_utf8, "a text message is not valid UTF-8");
  return {WsEvent::Kind::text, 0, bytes, CloseCode::no_status};
}

void WsParser::begin_pieces(const Header& header) {
  if (gather_ == nullptr) gather_.reset(new Gather);
  Gather& gather = *gather_;
  gather.is_in_frame = true;
  gather.is_final = header.is_final;
  gather.opcode = header.opcode;
  gather.mask = header.mask;
  gather.mask_at = 0;
  gather.remaining = header.payload_bytes;
  gather.control_bytes = 0;
  if (header.opcode == WsOpcode::text || header.opcode == WsOpcode::binary) gather.message_opcode = header.opcode;
}

WsEvent WsParser::take_piece(std::span<const char> piece) {
  Gather& gather = *gather_;
  assert(gather.is_in_frame && piece.size() <= gather.remaining);
  char* kept;
  if (is_control(gather.opcode)) {
    kept = gather.control_payload.data() + gather.control_bytes;
    if (!piece.empty()) std::memcpy(kept, piece.data(), piece.size());
    gather.control_bytes = static_cast<std::uint8_t>(gather.control_bytes + piece.size());
  } else if (discards_data_) {
    gather.remaining -= piece.size();
    return gather.remaining == 0 ? end_pieces() : WsEvent{};
  } else {
    gather.reserve(piece.size(), message_bytes_max_);
    gather.message.append(piece.data(), piece.size());
    kept = gather.message.data() + gather.message.size() - piece.size();
  }
  if (role_ == WsRole::server) unmask({kept, piece.size()}, gather.mask, gather.mask_at);
  gather.mask_at = (gather.mask_at + piece.size()) & 3;
  gather.remaining -= piece.size();
  // Bad text is told as soon as it is seen, not when a message of megabytes has come to its end.
  if (!is_control(gather.opcode) && gather.message_opcode == WsOpcode::text &&
      gather.utf8.feed({kept, piece.size()}) == Utf8Stream::Verdict::invalid) {
    return fail(CloseCode::bad_utf8, "a text message is not valid UTF-8");
  }
  return gather.remaining == 0 ? end_pieces() : WsEvent{};
}

/// The frame in pieces is whole: need_more if its message goes on.
WsEvent WsParser::end_pieces() {
  Gather& gather = *gather_;
  gather.is_in_frame = false;
  if (is_control(gather.opcode)) {
    gather.is_spent = gather.message_opcode == WsOpcode::continuation;
    return control(gather.opcode, {gather.control_payload.data(), gather.control_bytes});
  }
  if (!gather.is_final) return {};
  if (discards_data_) {
    gather_.reset();
    return {};
  }
  gather.is_spent = true;
  if (gather.message_opcode == WsOpcode::binary) {
    return {WsEvent::Kind::binary, 0, gather.message, CloseCode::no_status};
  }
  if (!gather.utf8.is_complete()) return fail(CloseCode::bad_utf8, "a text message ends within a character");
  return {WsEvent::Kind::text, 0, gather.message, CloseCode::no_status};
}

WsEvent WsParser::control(WsOpcode opcode, std::string_view payload) {
  if (opcode == WsOpcode::ping) return {WsEvent::Kind::ping, 0, payload, CloseCode::no_status};
  if (opcode == WsOpcode::pong) return {WsEvent::Kind::pong, 0, payload, CloseCode::no_status};
  if (payload.empty()) return {WsEvent::Kind::close, 0, payload, CloseCode::no_status};
  if (payload.size() == 1) return fail(CloseCode::protocol_error, "a close frame carries half a close code");
  const auto code = static_cast<std::uint16_t>(read_big_endian(payload.data(), 2));
  if (!is_valid_on_wire(code)) return fail(CloseCode::protocol_error, "a close code that must not be sent");
  if (!is_utf8(payload.substr(2))) return fail(CloseCode::bad_utf8, "a close reason is not valid UTF-8");
  return {WsEvent::Kind::close, 0, payload.substr(2), static_cast<CloseCode>(code)};
}

// ---------------------------------------------------------------- framer

std::size_t ws_write_header(WsOpcode opcode, std::size_t payload_bytes, char* out) {
  return write_header(opcode, payload_bytes, 0, out);
}

void ws_append_frame(std::string& out, WsOpcode opcode, std::string_view payload) {
  char header[ws_header_bytes_max];
  out.append(header, write_header(opcode, payload.size(), 0, header));
  out.append(payload);
}

void ws_append_masked_frame(std::string& out, WsOpcode opcode, std::string_view payload, std::uint32_t mask_key) {
  char header[ws_header_bytes_max];
  out.append(header, write_header(opcode, payload.size(), 0x80, header));
  MaskKey key;
  write_big_endian(key.data(), mask_key, key.size());
  out.append(key.data(), key.size());
  const std::size_t begin = out.size();
  out.append(payload);
  unmask({out.data() + begin, payload.size()}, key, 0);
}

std::string ws_close_payload(CloseCode code, std::string_view reason) {
  if (!is_valid_on_wire(static_cast<std::uint16_t>(code))) return {};
  if (reason.size() > control_bytes_max - 2) {
    std::size_t cut = control_bytes_max - 2;
    while (cut != 0 && (static_cast<unsigned char>(reason[cut]) & 0xC0) == 0x80) --cut;
    reason = reason.substr(0, cut);
  }
  std::string payload(2, '\0');
  write_big_endian(payload.data(), static_cast<std::uint16_t>(code), 2);
  return payload.append(reason);
}

std::string ws_accept_key(std::string_view key) {
  std::string text(key);
  text.append("258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest;
  unsigned int size = 0;
  if (EVP_Digest(text.data(), text.size(), digest.data(), &size, EVP_sha1(), nullptr) != 1) throw std::bad_alloc();
  std::array<unsigned char, 4 * ((20 + 2) / 3) + 1> base64;  // 20 bytes of SHA-1 and the final zero
  assert(size == 20);
  const int length = EVP_EncodeBlock(base64.data(), digest.data(), static_cast<int>(size));
  return {reinterpret_cast<const char*>(base64.data()), static_cast<std::size_t>(length)};
}

}  // namespace wsr
