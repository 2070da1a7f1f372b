// Commands from anyone. What is JSON is judged by a second parser, written by others; its known
// deviations from RFC 8259 are named below.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "core/wire/client_protocol.hpp"
#include "core/wire/utf8.hpp"
#include "tests/fuzz/require.hpp"

using namespace wsr;
using Json = nlohmann::json;

namespace {

constexpr int depth_max = 64;

/// Levels of nesting, of a text that is JSON.
int depth_of(std::string_view json) {
  int depth = 0, deepest = 0;
  bool is_in_string = false;
  for (std::size_t i = 0; i < json.size(); ++i) {
    const char c = json[i];
    if (is_in_string) {
      if (c == '\\') ++i;
      if (c == '"') is_in_string = false;
    } else if (c == '"') {
      is_in_string = true;
    } else if (c == '[' || c == '{') {
      deepest = std::max(deepest, ++depth);
    } else if (c == ']' || c == '}') {
      --depth;
    }
  }
  return deepest;
}

/// What the other parser judges otherwise: it skips a byte order mark, takes a zero byte for the end,
/// and refuses numbers beyond a double and halves of surrogate pairs, all of which RFC 8259 decides the other way.
enum class Opinion { valid, invalid, none };
Opinion opinion(std::string_view text) {
  if (text.find('\0') != std::string_view::npos || text.substr(0, 3) == "\xEF\xBB\xBF") return Opinion::none;
  if (Json::accept(text)) return Opinion::valid;
  try {
    (void)Json::parse(text);
  } catch (const Json::out_of_range&) {  // 406: a number beyond a double
    return Opinion::none;
  } catch (const Json::parse_error& error) {
    if (std::string_view(error.what()).find("surrogate") != std::string_view::npos) return Opinion::none;
  }
  return Opinion::invalid;
}

void check_command(const Command& command, std::string_view frame) {
  WSR_REQUIRE(is_json_value(frame));
  if (command.id.is_set()) WSR_REQUIRE(!command.id.view().empty() && command.id.view().size() <= 64);
  WSR_REQUIRE(is_utf8(command.id.view()) && is_utf8(command.to.view()));
  const bool has_data = command.op == Command::Op::send || command.op == Command::Op::push;
  WSR_REQUIRE(command.to.is_set() || command.op != Command::Op::send);
  WSR_REQUIRE(command.room.is_set() || command.op == Command::Op::send || command.op == Command::Op::ping);
  WSR_REQUIRE(is_utf8(command.room.view()));
  if (has_data) {
    WSR_REQUIRE(is_json_value(command.data));
    WSR_REQUIRE(command.data.data() >= frame.data() &&
                command.data.data() + command.data.size() <= frame.data() + frame.size());
  }
  if (opinion(frame) != Opinion::valid) return;
  const auto json = Json::parse(frame);
  static constexpr const char* names[] = {"ping", "send", "join", "leave", "push", "members"};
  WSR_REQUIRE(json.at("op") == names[static_cast<std::size_t>(command.op)]);
  if (command.to.is_set()) WSR_REQUIRE(json.at("to") == std::string(command.to.view()));
  if (command.id.is_set()) WSR_REQUIRE(json.at("id") == std::string(command.id.view()));
  if (command.room.is_set()) WSR_REQUIRE(json.at("room") == std::string(command.room.view()));
  if (has_data) WSR_REQUIRE(json.at("data") == Json::parse(command.data));
}

/// A walk over a value finds the members that the other parser finds.
void check_walk(std::string_view text) {
  const auto json = Json::parse(text);
  JsonWalk walk(text);
  WSR_REQUIRE((walk.kind() == JsonWalk::Kind::object) == json.is_object());
  WSR_REQUIRE((walk.kind() == JsonWalk::Kind::array) == json.is_array());
  std::string_view name, value;
  std::size_t found = 0;
  for (; walk.next(name, value); ++found) {
    WSR_REQUIRE(is_plain_json_value(value));
    const auto parsed = Json::parse(value);
    if (parsed.is_string()) WSR_REQUIRE(json_string(value) == parsed.get<std::string>());
    if (!parsed.is_string()) WSR_REQUIRE(!json_string(value));
    if (json.is_array()) WSR_REQUIRE(json.at(found) == parsed);
    if (json.is_object()) WSR_REQUIRE(json.contains(json_string(name).value()));
  }
  if (json.is_array()) WSR_REQUIRE(found == json.size());
  if (json.is_object()) WSR_REQUIRE(found >= json.size());  // a name may stand twice
}

/// An answer is JSON whatever a client wrote, and says what was put in.
void check_answers(std::string_view text) {
  std::string json;
  append_json_string(json, text);
  WSR_REQUIRE(is_json_value(json));
  WSR_REQUIRE(Json::parse(json) == std::string(text));
  json.clear();
  append_error(json, text, "bad_request", text);
  WSR_REQUIRE(Json::parse(json).at("message") == std::string(text));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const bool is_value = is_json_value(text);
  switch (opinion(text)) {
    case Opinion::valid:
      WSR_REQUIRE(is_value == (depth_of(text) <= depth_max));
      break;
    case Opinion::invalid:
      WSR_REQUIRE(!is_value);
      break;
    case Opinion::none:
      break;
  }
  if (text.find('\0') == std::string_view::npos && text.substr(0, 3) != "\xEF\xBB\xBF") {
    // Here the other parser and we mean the same: values that a program can hold.
    const bool is_plain = is_plain_json_value(text);
    WSR_REQUIRE(is_plain == (Json::accept(text) && depth_of(text) <= depth_max));
    if (is_plain) check_walk(text);
  }
  if (!is_utf8(text)) return 0;  // never gets past the frame parser
  check_answers(text);
  const auto parsed = parse_command(text);
  if (const auto* command = std::get_if<Command>(&parsed)) {
    check_command(*command, text);
  } else {
    const auto& error = std::get<CommandError>(parsed);
    WSR_REQUIRE(error.code == "bad_request" || error.code == "unknown_op");
    WSR_REQUIRE(!error.message.empty() && error.message.size() < 300 && is_utf8(error.message));
    WSR_REQUIRE(error.id.size() <= 64 && is_utf8(error.id));
    WSR_REQUIRE(is_value || error.code == "bad_request");
  }
  if (is_value && depth_of(text) < depth_max) {  // any value can be sent, and comes out as it went in
    const std::string frame = R"({"op":"send","to":"b","data":)" + std::string(text) + "}";
    const auto sent = parse_command(frame);
    WSR_REQUIRE(std::holds_alternative<Command>(sent));
    const auto kept = std::get<Command>(sent).data;
    WSR_REQUIRE(text.find(kept) != std::string_view::npos && is_json_value(kept));
  }
  return 0;
}
