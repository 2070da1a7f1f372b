#include "core/wire/utf8.hpp"

#include <cstring>

namespace wsr {
namespace {

/// The first byte at or after `at` that is not ASCII.
const char* skip_ascii(const char* at, const char* end) {
  constexpr std::uint64_t high_bits = 0x8080808080808080;
  while (end - at >= 8) {
    std::uint64_t word;
    std::memcpy(&word, at, sizeof word);
    if ((word & high_bits) != 0) break;
    at += 8;
  }
  while (at != end && static_cast<unsigned char>(*at) < 0x80) ++at;
  return at;
}

}  // namespace

bool is_utf8(std::string_view text) {
  Utf8Stream stream;
  return stream.feed(text) == Utf8Stream::Verdict::valid_so_far && stream.is_complete();
}

Utf8Stream::Verdict Utf8Stream::feed(std::string_view piece) {
  if (failed_) return Verdict::invalid;
  const char* const end = piece.data() + piece.size();
  for (const char* at = piece.data(); at != end;) {
    if (needed_ == 0) {
      at = skip_ascii(at, end);
      if (at == end) break;
    }
    const auto byte = static_cast<std::uint8_t>(*at++);
    if (needed_ != 0) {
      if (byte < low_ || byte > high_) return fail();
      --needed_;
      low_ = 0x80;
      high_ = 0xBF;
    } else if (!begin(byte)) {
      return fail();
    }
  }
  return Verdict::valid_so_far;
}

/// Takes the first byte of a code point. Its second byte has narrower bounds where a plain
/// continuation byte would make an overlong form, a surrogate or a value above U+10FFFF.
bool Utf8Stream::begin(std::uint8_t lead) {
  if (lead >= 0xC2 && lead <= 0xDF) {
    needed_ = 1;
  } else if (lead >= 0xE0 && lead <= 0xEF) {
    needed_ = 2;
    if (lead == 0xE0) low_ = 0xA0;
    if (lead == 0xED) high_ = 0x9F;
  } else if (lead >= 0xF0 && lead <= 0xF4) {
    needed_ = 3;
    if (lead == 0xF0) low_ = 0x90;
    if (lead == 0xF4) high_ = 0x8F;
  } else {
    return false;
  }
  return true;
}

Utf8Stream::Verdict Utf8Stream::fail() {
  failed_ = true;
  return Verdict::invalid;
}

}  // namespace wsr
