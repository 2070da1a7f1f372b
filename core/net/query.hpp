// The target of an HTTP request: path, query and percent-encoding, read strictly.
//
// Thread-safety: pure functions. Errors: a `%` without two hexadecimal digits is refused, never guessed.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace wsr::net {

/// Decodes %XX, and `+` as a space (application/x-www-form-urlencoded, what browsers' URLSearchParams write).
[[nodiscard]] std::optional<std::string> query_decoded(std::string_view text);

/// Decodes %XX in a piece of a path, where `+` is a plus.
[[nodiscard]] std::optional<std::string> path_decoded(std::string_view text);

struct Target {
  std::string_view path;
  std::string_view query;  // without the question mark
};
[[nodiscard]] Target split_target(std::string_view target);

struct QueryValue {
  enum class State { found, absent, malformed } state = State::absent;
  std::string value;
};
/// The first value of `name`.
[[nodiscard]] QueryValue query_value(std::string_view query, std::string_view name);

}  // namespace wsr::net
