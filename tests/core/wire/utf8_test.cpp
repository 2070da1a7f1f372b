#include "core/wire/utf8.hpp"

#include <catch2/catch.hpp>
#include <string>

using namespace wsr;

namespace {

/// RFC 3629 by the definition: decode, then look at what came out. Slow and obvious.
bool is_utf8_by_definition(std::string_view text) {
  for (std::size_t i = 0; i < text.size();) {
    const auto lead = static_cast<unsigned char>(text[i]);
    std::size_t size = 0;
    std::uint32_t code = 0;
    if (lead < 0x80) {
      size = 1;
      code = lead;
    } else if ((lead & 0xE0) == 0xC0) {
      size = 2;
      code = lead & 0x1F;
    } else if ((lead & 0xF0) == 0xE0) {
      size = 3;
      code = lead & 0x0F;
    } else if ((lead & 0xF8) == 0xF0) {
      size = 4;
      code = lead & 0x07;
    } else {
      return false;
    }
    if (i + size > text.size()) return false;
    for (std::size_t k = 1; k < size; ++k) {
      const auto byte = static_cast<unsigned char>(text[i + k]);
      if ((byte & 0xC0) != 0x80) return false;
      code = (code << 6) | (byte & 0x3F);
    }
    const std::uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    if (code < least[size] || code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF)) return false;
    i += size;
  }
  return true;
}

bool streams_as_valid(std::string_view text) {
  Utf8Stream stream;
  for (const char& c : text) {
    if (stream.feed({&c, 1}) == Utf8Stream::Verdict::invalid) return false;
  }
  return stream.is_complete();
}

}  // namespace

TEST_CASE("every sequence of one and two bytes is judged as the definition says, whole and in pieces") {
  int wrong = 0;
  for (int a = 0; a < 256; ++a) {
    for (int b = 0; b < 256; ++b) {
      const std::string text{static_cast<char>(a), static_cast<char>(b)};
      const bool expected = is_utf8_by_definition(text);
      wrong += is_utf8(text) != expected;
      wrong += streams_as_valid(text) != expected;
    }
    const std::string one(1, static_cast<char>(a));
    wrong += is_utf8(one) != is_utf8_by_definition(one);
  }
  CHECK(wrong == 0);
}

TEST_CASE("every three byte sequence is judged as the definition says") {
  int wrong = 0;
  for (int a = 0xC0; a < 256; ++a) {
    for (int b = 0; b < 256; ++b) {
      for (int c = 0; c < 256; ++c) {
        const char text[] = {static_cast<char>(a), static_cast<char>(b), static_cast<char>(c)};
        wrong += is_utf8({text, 3}) != is_utf8_by_definition({text, 3});
      }
    }
  }
  CHECK(wrong == 0);
}

TEST_CASE("four byte sequences are judged as the definition says at all their bounds") {
  const int edges[] = {0x00, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0xFF};
  int wrong = 0;
  for (int a = 0xEF; a < 256; ++a) {
    for (const int b : edges) {
      for (const int c : edges) {
        for (const int d : edges) {
          const std::string text{static_cast<char>(a), static_cast<char>(b), static_cast<char>(c),
                                 static_cast<char>(d)};
          wrong += is_utf8(text) != is_utf8_by_definition(text);
          wrong += streams_as_valid(text) != is_utf8_by_definition(text);
        }
      }
    }
  }
  CHECK(wrong == 0);
}

TEST_CASE("a bad byte is found at every place of a long run of ASCII") {
  for (std::size_t size = 1; size < 40; ++size) {
    for (std::size_t at = 0; at < size; ++at) {
      std::string text(size, 'a');
      CHECK(is_utf8(text));
      text[at] = '\xFF';
      CHECK_FALSE(is_utf8(text));
    }
  }
}

TEST_CASE("a stream fails at the byte that cannot be continued, and stays failed") {
  Utf8Stream stream;
  CHECK(stream.feed("\xF4") == Utf8Stream::Verdict::valid_so_far);
  CHECK_FALSE(stream.is_complete());
  CHECK(stream.feed("\x90") == Utf8Stream::Verdict::invalid);  // would be above U+10FFFF
  CHECK(stream.feed("a") == Utf8Stream::Verdict::invalid);
  CHECK_FALSE(stream.is_complete());
}

TEST_CASE("a stream may end only between code points") {
  Utf8Stream stream;
  CHECK(stream.is_complete());
  CHECK(stream.feed("\xE2\x82") == Utf8Stream::Verdict::valid_so_far);
  CHECK_FALSE(stream.is_complete());
  CHECK(stream.feed("\xAC") == Utf8Stream::Verdict::valid_so_far);
  CHECK(stream.is_complete());
}
