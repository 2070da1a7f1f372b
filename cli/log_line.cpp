#include "cli/log_line.hpp"

#include <fmt/format.h>

#include <cstdint>
#include <nlohmann/json.hpp>

namespace wsr::cli {
namespace {

constexpr std::size_t secret_bytes_min = 4;

/// One character at the start of `text`, as UTF-8 (RFC 3629): its bytes and its number; no bytes: none that is valid.
struct Character {
  std::size_t bytes = 0;
  std::uint32_t number = 0;
};
Character first_character(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<std::uint8_t>(text[i]); };
  const std::uint8_t lead = byte(0);
  if (lead < 0x80) return {1, lead};
  const std::size_t bytes = lead >= 0xF0 && lead <= 0xF4  ? 4
                            : lead >= 0xE0 && lead < 0xF0 ? 3
                            : lead >= 0xC2 && lead < 0xE0 ? 2
                                                          : 0;
  if (bytes == 0 || text.size() < bytes) return {};
  std::uint32_t number = lead & (0xFFU >> (bytes + 1));
  for (std::size_t i = 1; i < bytes; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return {};
    number = number << 6 | (byte(i) & 0x3FU);
  }
  constexpr std::uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
  const bool is_surrogate = number >= 0xD800 && number <= 0xDFFF;
  if (number < smallest[bytes] || number > 0x10FFFF || is_surrogate) return {};
  return {bytes, number};
}

/// Control characters of both kinds, line separators, and those that turn the direction of what follows.
bool is_hidden(std::uint32_t c) {
  return c < 0x20 || (c >= 0x7F && c < 0xA0) || c == 0xAD || (c >= 0x200B && c <= 0x200F) ||
         (c >= 0x2028 && c <= 0x202E) || (c >= 0x2060 && c <= 0x206F) || c == 0xFEFF || (c >= 0xE0000 && c <= 0xE007F);
}

std::string cut(std::string_view text) {
  if (text.size() <= value_bytes_max) return std::string(text);
  std::size_t end = value_bytes_max;
  while (end > 0 && (static_cast<std::uint8_t>(text[end]) & 0xC0) == 0x80) --end;  // not amid a character
  return std::string(text.substr(0, end)) + "...";
}

std::string escaped(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size();) {
    const auto [bytes, number] = first_character(text.substr(i));
    if (bytes == 0) {
      out += fmt::format("\\x{:02x}", static_cast<std::uint8_t>(text[i++]));
      continue;
    }
    if (number == '"' || number == '\\') {
      out += '\\';
      out += static_cast<char>(number);
    } else if (is_hidden(number)) {
      out += number < 0x80 ? fmt::format("\\x{:02x}", number) : fmt::format("\\u{{{:x}}}", number);
    } else {
      out += text.substr(i, bytes);
    }
    i += bytes;
  }
  return out;
}

/// Quoted unless it is plainly one word.
std::string value_text(std::string_view value) {
  const std::string safe = escaped(cut(value));
  const bool is_word = !safe.empty() && safe.find_first_of(" =\"\\") == std::string::npos;
  return is_word ? safe : '"' + safe + '"';
}

}  // namespace

std::string text_line(std::string_view server, const LogEvent& event) {
  std::string line = fmt::format("{} {} \"{}\"", value_text(server), event.name, escaped(cut(event.text)));
  for (const LogField& field : event.fields) line += fmt::format(" {}={}", field.name, value_text(field.value));
  return line;
}

std::string json_members(std::string_view server, const LogEvent& event) {
  // As text and not as an object: the order is for people, and a field can never replace what stands before it.
  const auto quoted = [](std::string_view text) {
    return nlohmann::json(cut(text)).dump(-1, ' ', true, nlohmann::json::error_handler_t::replace);
  };
  std::string members =
      fmt::format(R"("server":{},"event":{},"message":{})", quoted(server), quoted(event.name), quoted(event.text));
  for (const LogField& field : event.fields) members += fmt::format(",{}:{}", quoted(field.name), quoted(field.value));
  return members;
}

std::string without_secrets(std::string text, const std::vector<std::string>& secrets) {
  for (const std::string& secret : secrets) {
    if (secret.size() < secret_bytes_min) continue;
    for (auto at = text.find(secret); at != std::string::npos; at = text.find(secret, at + 3)) {
      text.replace(at, secret.size(), "***");
    }
  }
  return text;
}

}  // namespace wsr::cli
