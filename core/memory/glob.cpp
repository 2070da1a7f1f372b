#include "core/memory/glob.hpp"

#include <algorithm>

namespace wsr::memory {
namespace {

unsigned char byte(char c) { return static_cast<unsigned char>(c); }

struct Element {
  bool is_match;
  std::size_t length;  // bytes of the pattern
};

/// The class at the head of `pattern` against one byte. REQUIRES: pattern begins with '['.
Element match_class(std::string_view pattern, char c) {
  std::size_t i = 1;
  const bool is_negated = i < pattern.size() && pattern[i] == '^';
  if (is_negated) ++i;
  bool is_member = false;
  for (; i < pattern.size() && pattern[i] != ']'; ++i) {
    if (pattern[i] == '\\' && i + 1 < pattern.size()) {
      ++i;
      is_member |= pattern[i] == c;
    } else if (i + 2 < pattern.size() && pattern[i + 1] == '-') {
      const unsigned char first = byte(pattern[i]), last = byte(pattern[i + 2]);
      is_member |= std::min(first, last) <= byte(c) && byte(c) <= std::max(first, last);
      i += 2;
    } else {
      is_member |= pattern[i] == c;
    }
  }
  return {is_member != is_negated, std::min(i + 1, pattern.size())};
}

/// The element at the head of `pattern`, not a star, against one byte.
Element match_one(std::string_view pattern, char c) {
  switch (pattern[0]) {
    case '?':
      return {true, 1};
    case '[':
      return match_class(pattern, c);
    case '\\':
      if (pattern.size() >= 2) return {pattern[1] == c, 2};
      [[fallthrough]];
    default:
      return {pattern[0] == c, 1};
  }
}

}  // namespace

bool is_glob_match(std::string_view pattern, std::string_view text) {
  std::size_t p = 0, t = 0;
  std::size_t after_star = std::string_view::npos, star_end = 0;  // the last star, and how much text it has taken
  while (t < text.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      after_star = ++p;
      star_end = t;
      continue;
    }
    if (p < pattern.size()) {
      const Element element = match_one(pattern.substr(p), text[t]);
      if (element.is_match) {
        p += element.length;
        ++t;
        continue;
      }
    }
    // Only the last star needs to take more: what an earlier one could take, the later one can as well.
    if (after_star == std::string_view::npos) return false;
    p = after_star;
    t = ++star_end;
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

}  // namespace wsr::memory
