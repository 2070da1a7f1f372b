// JsonScanner: the one reader of JSON in the core: RFC 8259, strictly, in one pass, without keeping anything.
//
// Who wants values takes them as the bytes that came (JsonWalk, json_string). The client protocol scans its commands
// with it directly; everybody else walks a text that has been scanned once (is_json_value, is_plain_json_value).
//
// Thread-safety: pure functions, and values of one thread.
// Errors:        the first one, with its place; nothing is thrown for any text.
// Bounds:        nesting json_depth_max levels, without recursion.
// Cost:          one look at each byte; plain text in strings 16 bytes at a time.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

namespace wsr {

inline constexpr unsigned json_depth_max = 64;  // also the width of the scanner's stack: one bit a level

/// The first quote, backslash or control character at or after `at`: where plain string text ends.
inline const char* json_plain_end(const char* at, const char* end) {
#ifdef __SSE2__
  for (; end - at >= 16; at += 16) {
    const __m128i block = _mm_loadu_si128(reinterpret_cast<const __m128i*>(at));
    const __m128i quote = _mm_cmpeq_epi8(block, _mm_set1_epi8('"'));
    const __m128i backslash = _mm_cmpeq_epi8(block, _mm_set1_epi8('\\'));
    const __m128i control = _mm_cmpeq_epi8(_mm_min_epu8(block, _mm_set1_epi8(0x1F)), block);
    const int marks = _mm_movemask_epi8(_mm_or_si128(_mm_or_si128(quote, backslash), control));
    if (marks != 0) return at + std::countr_zero(static_cast<unsigned>(marks));
  }
#endif
  if constexpr (std::endian::native == std::endian::little) {
    constexpr std::uint64_t ones = 0x0101010101010101;
    constexpr std::uint64_t highs = 0x8080808080808080;
    for (; end - at >= 8; at += 8) {
      std::uint64_t word;
      std::memcpy(&word, at, sizeof word);
      const std::uint64_t quote = word ^ (ones * '"');
      const std::uint64_t backslash = word ^ (ones * '\\');
      // "x - n borrows and x had no high bit" marks bytes below n. A borrow may mark a byte above
      // a true hit as well, so only the lowest mark counts.
      const std::uint64_t marks =
          (((quote - ones) & ~quote) | ((backslash - ones) & ~backslash) | ((word - ones * 0x20) & ~word)) & highs;
      if (marks != 0) return at + std::countr_zero(marks) / 8;
    }
  }
  while (at != end && *at != '"' && *at != '\\' && static_cast<unsigned char>(*at) >= 0x20) ++at;
  return at;
}

inline int json_hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

inline bool is_json_digit(char c) { return c >= '0' && c <= '9'; }

/// The text of a string whose escapes were scanned already; nullopt for half a surrogate pair, which is no text.
[[nodiscard]] std::optional<std::string> json_unescaped(std::string_view raw);

/// True if the number that `text` spells is finite as a double; what is too small for one counts as zero.
[[nodiscard]] bool is_json_double(std::string_view text);

/// What a document must be: by the grammar alone, or with values that a program can hold.
enum class JsonRigour : std::uint8_t { grammar, values };

/// A scanner of one document. It keeps the first error, with its place, and stays there.
class JsonScanner {
public:
  struct String {
    std::string_view raw;  // between the quotes
    bool has_escapes = false;
  };

  explicit JsonScanner(std::string_view text, JsonRigour rigour = JsonRigour::grammar)
      : begin_(text.data()), at_(begin_), end_(begin_ + text.size()), rigour_(rigour) {}

  void skip_space() {
    while (at_ != end_ && (*at_ == ' ' || *at_ == '\n' || *at_ == '\r' || *at_ == '\t')) ++at_;
  }
  [[nodiscard]] bool is_at_end() const { return at_ == end_; }
  [[nodiscard]] bool is_next(char c) const { return at_ != end_ && *at_ == c; }
  [[nodiscard]] bool take(char c) {
    if (!is_next(c)) return false;
    ++at_;
    return true;
  }
  [[nodiscard]] const char* at() const { return at_; }

  /// Scans one string. REQUIRES: a quote is next.
  [[nodiscard]] bool string(String& out) {
    const char* const first = ++at_;
    out.has_escapes = false;
    for (;;) {
      at_ = json_plain_end(at_, end_);
      if (at_ == end_) return fail("a string has no closing quote");
      if (*at_ == '"') break;
      if (*at_ != '\\') return fail("a control character in a string must be escaped");
      out.has_escapes = true;
      if (!escape()) return false;
    }
    out.raw = {first, static_cast<std::size_t>(at_ - first)};
    if (rigour_ == JsonRigour::values && out.has_escapes && !json_unescaped(out.raw)) {
      return fail("a string contains half of a surrogate pair");
    }
    ++at_;
    return true;
  }

  /// Scans one value of any kind, without recursion: a peer's nesting never reaches our stack.
  /// `depth` levels are open around it.
  [[nodiscard]] bool value(unsigned depth) {
    const unsigned base = depth;
    std::uint64_t objects = 0;  // bit n: is the level n an object
    String ignored;
    for (;;) {
      // a value is next
      if (at_ == end_) return fail("the text ends where a value is expected");
      if (*at_ == '{' || *at_ == '[') {
        if (depth == json_depth_max) return fail("values are nested more than 64 levels deep");
        const bool is_object = *at_++ == '{';
        objects = is_object ? objects | (std::uint64_t{1} << depth) : objects & ~(std::uint64_t{1} << depth);
        ++depth;
        skip_space();
        if (take(is_object ? '}' : ']')) {
          --depth;
        } else {
          if (is_object && !name(ignored)) return false;
          continue;
        }
      } else if (*at_ == '"') {
        if (!string(ignored)) return false;
      } else if (*at_ == '-' || is_json_digit(*at_)) {
        if (!number()) return false;
      } else if (!literal()) {
        return false;
      }
      // a value has ended: so do the levels that close here
      for (;;) {
        if (depth == base) return true;
        const bool is_object = ((objects >> (depth - 1)) & 1) != 0;
        skip_space();
        if (take(',')) {
          skip_space();
          if (is_object && !name(ignored)) return false;
          break;
        }
        if (!take(is_object ? '}' : ']')) {
          return fail(is_object ? "expected a comma or } here" : "expected a comma or ] here");
        }
        --depth;
      }
    }
  }

  /// Scans a member's name and colon, up to its value.
  [[nodiscard]] bool name(String& out) {
    if (!is_next('"')) return fail("expected a member's name in double quotes");
    if (!string(out)) return false;
    skip_space();
    if (!take(':')) return fail("expected a colon after a member's name");
    skip_space();
    return true;
  }

  bool fail(std::string_view why) {
    if (why_.empty()) {
      why_ = why;
      where_ = static_cast<std::size_t>(at_ - begin_);
    }
    return false;
  }
  [[nodiscard]] std::string sentence() const {
    return "not valid JSON at byte " + std::to_string(where_) + ": " + std::string(why_);
  }

private:
  bool escape() {
    const char* const backslash = at_++;
    if (at_ == end_) return fail("a string has no closing quote");
    switch (*at_++) {
      case '"':
      case '\\':
      case '/':
      case 'b':
      case 'f':
      case 'n':
      case 'r':
      case 't':
        return true;
      case 'u':
        for (int i = 0; i < 4; ++i, ++at_) {
          if (at_ == end_ || json_hex_digit(*at_) < 0) {
            at_ = backslash;
            return fail("\\u needs four hexadecimal digits");
          }
        }
        return true;
      default:
        at_ = backslash;
        return fail("an unknown escape in a string");
    }
  }

  bool digits() {
    if (at_ == end_ || !is_json_digit(*at_)) return fail("a number needs a digit here");
    while (at_ != end_ && is_json_digit(*at_)) ++at_;
    return true;
  }

  bool number() {
    const char* const first = at_;
    if (!spelled_number()) return false;
    if (rigour_ == JsonRigour::grammar || is_json_double({first, static_cast<std::size_t>(at_ - first)})) return true;
    return fail("a number is beyond what a double can hold");
  }

  bool spelled_number() {
    if (*at_ == '-') ++at_;
    if (is_next('0')) {
      ++at_;
      if (at_ != end_ && is_json_digit(*at_)) return fail("a number must not begin with 0");
    } else if (!digits()) {
      return false;
    }
    if (take('.') && !digits()) return false;
    if (is_next('e') || is_next('E')) {
      ++at_;
      if (is_next('+') || is_next('-')) ++at_;
      if (!digits()) return false;
    }
    return true;
  }

  bool literal() {
    const std::string_view rest(at_, static_cast<std::size_t>(end_ - at_));
    for (const std::string_view word :
         {std::string_view("true"), std::string_view("false"), std::string_view("null")}) {
      if (rest.substr(0, word.size()) == word) {
        at_ += word.size();
        return true;
      }
    }
    return fail("expected a JSON value");
  }

  const char* begin_;
  const char* at_;
  const char* end_;
  JsonRigour rigour_;
  std::string_view why_;
  std::size_t where_ = 0;
};

/// True if `text` is exactly one JSON value (RFC 8259), white space around it allowed.
[[nodiscard]] bool is_json_value(std::string_view text);

/// True if `text` is one JSON value that any parser of values takes: besides the grammar, no string holds half of a
/// surrogate pair, and no number is beyond a double.
[[nodiscard]] bool is_plain_json_value(std::string_view text);

/// What a JSON string says; nullopt if `value` is another kind of value, or holds half of a surrogate pair.
/// REQUIRES: is_json_value(value), without white space around it.
[[nodiscard]] std::optional<std::string> json_string(std::string_view value);

/// Walks an object or an array member by member, without keeping any: names and values are the bytes as they came.
class JsonWalk {
public:
  enum class Kind : std::uint8_t { object, array, other };
  /// REQUIRES: is_json_value(text); `text` outlives the walk.
  explicit JsonWalk(std::string_view text);
  [[nodiscard]] Kind kind() const { return kind_; }
  /// False at the end, and for a value that is neither. `name` is a JSON string; empty in an array.
  [[nodiscard]] bool next(std::string_view& name, std::string_view& value);

private:
  JsonScanner scanner_;
  Kind kind_ = Kind::other;
  bool is_first_ = true;
};

/// Appends `text` as a JSON string with its quotes. REQUIRES: `text` is UTF-8.
void append_json_string(std::string& out, std::string_view text);

}  // namespace wsr
