// UTF-8 validation, whole and streaming (RFC 3629: no surrogates, no overlong forms, up to U+10FFFF).
//
// Thread-safety: none; a Utf8Stream belongs to one message.
// Cost:          one pass; runs of ASCII are checked eight bytes at a time.
#pragma once

#include <cstdint>
#include <string_view>

namespace wsr {

[[nodiscard]] bool is_utf8(std::string_view text);

/// Validates text that arrives in pieces; a code point may be split between two pieces.
class Utf8Stream {
public:
  enum class Verdict : std::uint8_t { valid_so_far, invalid };

  /// Feeds the next piece. Once invalid, it stays invalid.
  [[nodiscard]] Verdict feed(std::string_view piece);

  /// True if no code point is left half read: text may end here.
  [[nodiscard]] bool is_complete() const { return needed_ == 0 && !failed_; }

private:
  bool begin(std::uint8_t lead);
  Verdict fail();

  std::uint8_t needed_ = 0;  // continuation bytes still to come
  std::uint8_t low_ = 0x80;  // bounds of the next continuation byte
  std::uint8_t high_ = 0xBF;
  bool failed_ = false;
};

}  // namespace wsr
