#include "cli/payload.hpp"

#include <fmt/format.h>

#include <cstdio>

#include "cli/exit_code.hpp"
#include "core/wire/client_protocol.hpp"
#include "core/wire/utf8.hpp"

namespace wsr::cli {
namespace {

constexpr std::size_t stdin_bytes_max = 16 * 1024 * 1024;  // no server takes more in one message

std::string read_stdin() {
  std::string text;
  std::string block(64 * 1024, '\0');
  for (std::size_t n = 0; (n = std::fread(block.data(), 1, block.size(), stdin)) > 0;) {
    text.append(block, 0, n);
    if (text.size() > stdin_bytes_max) {
      throw UsageError(fmt::format("the text on standard input is longer than {} MiB", stdin_bytes_max >> 20));
    }
  }
  if (text.ends_with('\n')) text.pop_back();  // `echo hi | wsr send alice -` means hi
  return text;
}

}  // namespace

std::string text_of_word(const std::string& word) { return word == "-" ? read_stdin() : word; }

std::string payload_of(std::string_view text, TextIs what) {
  if (!is_utf8(text)) throw UsageError("the text is not UTF-8");
  if (what == TextIs::json) {
    if (!is_json_value(text)) throw UsageError("--raw: the text is not one JSON value; a string needs its quotes");
    return std::string(text);
  }
  std::string json;
  append_json_string(json, text);
  return json;
}

ClientId client_named(const std::string& text, std::string_view what) {
  auto client = ClientId::parse(text);
  if (!client) throw UsageError(fmt::format("{}: {}", what, client.error().message));
  return *client;
}

}  // namespace wsr::cli
