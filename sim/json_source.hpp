// JSON with places: a file's text as a tree in which every value and key knows its line and column.
//
// RFC 8259 with // and /* */ comments. Errors name their place, say what is wrong and what to write.
//
// Thread-safety: pure. Bounds: nesting 64 levels; one error, the first.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "sim/scenario.hpp"

namespace wsr::sim {

struct JsonNode {
  enum class Kind : std::uint8_t { null, boolean, number, string, array, object } kind = Kind::null;
  Position at;
  bool boolean = false;
  double number = 0;
  std::string text;  // of a string; of a number as it is written
  struct Member {
    std::string key;
    Position at;
    std::unique_ptr<JsonNode> value;
  };
  std::vector<std::unique_ptr<JsonNode>> items;
  std::vector<Member> members;  // in the order of the file; a key may stand twice
};

struct JsonProblem {
  Position at;
  std::string message;
};

[[nodiscard]] std::variant<std::unique_ptr<JsonNode>, JsonProblem> parse_json(std::string_view text);

/// `array`, `string`, ...: with its article, for sentences.
[[nodiscard]] std::string_view name_of(JsonNode::Kind kind);

}  // namespace wsr::sim
