#include "core/wire/utf8.hpp"

#include <cstring>

namespace wsr {
namespace {

/// Length of the run of ASCII at the front of `text`.
std::size_t ascii_run(std::string_view text) {
  std::size_t i = 0;
  for (; i + 8 <= text.size(); i += 8) {
    std::uint64_t eight = 0;
    std::memcpy(&eight, text.data() + i, 8);
    if ((eight & 0x8080808080808080U) != 0) break;
  }
  while (i < text.size() && static_cast<unsigned char>(text[i]) < 0x80) ++i;
  return i;
}

}  // namespace

bool is_utf8(std::string_view text) {
  Utf8Stream stream;
  return stream.feed(text) == Utf8Stream::Verdict::valid_so_far && stream.is_complete();
}

Utf8Stream::Verdict Utf8Stream::feed(std::string_view piece) {
  if (failed_) return Verdict::invalid;
  std::size_t i = 0;
  while (i < piece.size()) {
    if (needed_ == 0) {
      i += ascii_run(piece.substr(i));
      if (i == piece.size()) break;
    }
    const auto byte = static_cast<std::uint8_t>(piece[i++]);
    if (needed_ != 0) {
      if (byte < low_ || byte > high_) {
        failed_ = true;
        return Verdict::invalid;
      }
      low_ = 0x80;
      high_ = 0xBF;
      --needed_;
      continue;
    }
    // The first byte fixes the length, and for four of them the range of the second (RFC 3629 section 4).
    if (byte >= 0xC2 && byte <= 0xDF) {
      needed_ = 1;
    } else if (byte >= 0xE0 && byte <= 0xEF) {
      needed_ = 2;
      if (byte == 0xE0) low_ = 0xA0;
      if (byte == 0xED) high_ = 0x9F;
    } else if (byte >= 0xF0 && byte <= 0xF4) {
      needed_ = 3;
      if (byte == 0xF0) low_ = 0x90;
      if (byte == 0xF4) high_ = 0x8F;
    } else {
      failed_ = true;
      return Verdict::invalid;
    }
  }
  return Verdict::valid_so_far;
}

}  // namespace wsr
