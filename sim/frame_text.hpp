// What stands in a frame for a client: the members that checkers look for, without reading the rest.
//
// The simulator's clients read their own server's frames, whose members stand in one order and without spaces
// (core/wire/client_protocol.hpp); what is not found is 0 or empty.
//
// Thread-safety: pure functions.
#pragma once

#include <charconv>
#include <cstdint>
#include <string_view>

namespace wsr::sim {

/// The number behind `key`, which is written with its quotes and colon: `"version":`.
[[nodiscard]] inline std::uint64_t number_behind(std::string_view text, std::string_view key) {
  const auto at = text.find(key);
  if (at == std::string_view::npos) return 0;
  std::uint64_t number = 0;
  std::from_chars(text.data() + at + key.size(), text.data() + text.size(), number);
  return number;
}

/// What stands behind `key`, up to the next quote: `"event":"`.
[[nodiscard]] inline std::string_view text_behind(std::string_view text, std::string_view key) {
  const auto at = text.find(key);
  if (at == std::string_view::npos) return {};
  text.remove_prefix(at + key.size());
  return text.substr(0, text.find('"'));
}

/// The number of a deed in `"data":"m17..."`.
[[nodiscard]] inline std::uint64_t deed_in(std::string_view text) { return number_behind(text, R"("data":"m)"); }

[[nodiscard]] inline std::uint32_t room_in(std::string_view text) {
  return static_cast<std::uint32_t>(number_behind(text, R"("room":"room:)"));
}

}  // namespace wsr::sim
