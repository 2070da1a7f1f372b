#include "core/net/query.hpp"

#include <algorithm>

namespace wsr::net {
namespace {

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

/// Decodes %XX; a plus becomes `plus`.
std::optional<std::string> decoded(std::string_view text, char plus) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out += text[i] == '+' ? plus : text[i];
      continue;
    }
    if (text.size() - i < 3) return std::nullopt;
    const int high = hex_digit(text[i + 1]), low = hex_digit(text[i + 2]);
    if (high < 0 || low < 0) return std::nullopt;
    out += static_cast<char>(high * 16 + low);
    i += 2;
  }
  return out;
}

}  // namespace

std::optional<std::string> query_decoded(std::string_view text) { return decoded(text, ' '); }
std::optional<std::string> path_decoded(std::string_view text) { return decoded(text, '+'); }

Target split_target(std::string_view target) {
  target = target.substr(0, target.find('#'));
  const auto mark = target.find('?');
  if (mark == std::string_view::npos) return {target, {}};
  return {target.substr(0, mark), target.substr(mark + 1)};
}

QueryValue query_value(std::string_view query, std::string_view name) {
  while (!query.empty()) {
    const auto pair = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(pair.size() + 1, query.size()));
    const auto equals = std::min(pair.find('='), pair.size());
    const auto decoded_name = query_decoded(pair.substr(0, equals));
    if (!decoded_name || *decoded_name != name) continue;
    auto value = query_decoded(equals == pair.size() ? std::string_view{} : pair.substr(equals + 1));
    if (!value) return {QueryValue::State::malformed, {}};
    return {QueryValue::State::found, std::move(*value)};
  }
  return {};
}

}  // namespace wsr::net
