// The alphabet of what servers say to each other: bytes, LEB128 numbers, texts with their length.
//
// Internal to core/wire: envelope.cpp and room_envelope.cpp.
#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <string_view>

namespace wsr::codec {

inline void put_byte(std::string& out, std::uint8_t byte) { out.push_back(static_cast<char>(byte)); }

inline void put_number(std::string& out, std::uint64_t value) {
  for (; value >= 0x80; value >>= 7) put_byte(out, static_cast<std::uint8_t>(value | 0x80));
  put_byte(out, static_cast<std::uint8_t>(value));
}

inline void put_text(std::string& out, std::string_view text) {
  put_number(out, text.size());
  out.append(text);
}

/// Reads from the front of `bytes`. After the first failure everything it gives is zero or empty,
/// so that a caller checks once, at the end.
class Reader {
public:
  explicit Reader(std::string_view bytes) : at_(bytes.data()), end_(at_ + bytes.size()) {}

  std::uint8_t byte() {
    if (at_ == end_) return static_cast<std::uint8_t>(fail());
    return static_cast<std::uint8_t>(*at_++);
  }

  /// A LEB128 number of at most `max`. Every number has one spelling: an overlong one is refused.
  std::uint64_t number(std::uint64_t max = std::numeric_limits<std::uint64_t>::max()) {
    std::uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
      if (at_ == end_) return fail();
      const auto next = static_cast<std::uint8_t>(*at_++);
      if (shift == 63 && next > 1) return fail();  // beyond 64 bits
      value |= std::uint64_t{next & 0x7Fu} << shift;
      if ((next & 0x80) == 0) return (next == 0 && shift != 0) || value > max ? fail() : value;
    }
    return fail();
  }
  template <class T>
  T number_of() {
    return static_cast<T>(number(std::numeric_limits<T>::max()));
  }

  std::string_view text() {
    const std::uint64_t size = number();
    if (size > left()) {
      fail();
      return {};
    }
    const std::string_view text(at_, size);
    at_ += size;
    return text;
  }

  std::uint64_t fail() {
    failed_ = true;
    at_ = end_;
    return 0;
  }
  [[nodiscard]] std::size_t left() const { return static_cast<std::size_t>(end_ - at_); }
  [[nodiscard]] const char* at() const { return at_; }
  [[nodiscard]] bool has_failed() const { return failed_; }

private:
  const char* at_;
  const char* end_;
  bool failed_ = false;
};

}  // namespace wsr::codec
