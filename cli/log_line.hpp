// Log lines: an event as the text behind its time and level. What others have sent cannot break out of its line, hide
// in it or move a terminal's cursor, and nothing is longer than value_bytes_max.
//
//   text   web-1~k3f9 store_lost "the store ... is lost: no reply within 2000 ms" connection=commands
//   json   "server":"web-1~k3f9","event":"store_lost","message":"...","connection":"commands"
//
// Thread-safety: pure functions.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "core/routing/log_event.hpp"

namespace wsr::cli {

inline constexpr std::size_t value_bytes_max = 1'024;  // a sentence and an address; a store's error has no bound

[[nodiscard]] std::string text_line(std::string_view server, const LogEvent& event);
/// Members of a JSON object, without its braces.
[[nodiscard]] std::string json_members(std::string_view server, const LogEvent& event);

/// `text` with every occurrence of a secret replaced by ***. Secrets below four bytes are not looked for: they are in
/// every other word, and would say more by what is missing.
[[nodiscard]] std::string without_secrets(std::string text, const std::vector<std::string>& secrets);

}  // namespace wsr::cli
