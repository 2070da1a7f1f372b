#include "sim/json_source.hpp"

#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <cstdlib>

#include "core/wire/utf8.hpp"

namespace wsr::sim {
namespace {

constexpr unsigned depth_max = 64;

class Parser {
public:
  explicit Parser(std::string_view text) : text_(text) {}

  std::unique_ptr<JsonNode> parse() {
    if (text_.starts_with("\xEF\xBB\xBF")) fail("a byte order mark stands here: save the file as UTF-8 without one");
    skip_space();
    auto root = value(0);
    skip_space();
    if (at_ != text_.size()) fail(fmt::format("{} behind the end of the scenario", shown()));
    return root;
  }

  struct Failed {
    JsonProblem problem;
  };

private:
  [[noreturn]] void fail(std::string message, std::size_t back = 0) {
    Position where = here();
    where.column -= static_cast<std::uint32_t>(back);
    throw Failed{{where, std::move(message)}};
  }
  [[noreturn]] static void fail_at(Position where, std::string message) { throw Failed{{where, std::move(message)}}; }

  [[nodiscard]] Position here() const { return {line_, static_cast<std::uint32_t>(at_ - line_start_) + 1}; }
  [[nodiscard]] char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }
  [[nodiscard]] bool is_end() const { return at_ >= text_.size(); }
  [[nodiscard]] std::string shown() const {
    if (is_end()) return "the end of the file";
    const auto c = static_cast<unsigned char>(text_[at_]);
    if (c < 0x20 || c == 0x7F) return fmt::format("a control character (0x{:02x})", c);
    if (c >= 0x80) return "a character that is no ASCII";
    return fmt::format("'{}'", static_cast<char>(c));
  }
  void step() {
    if (text_[at_] == '\n') {
      ++line_;
      line_start_ = at_ + 1;
    }
    ++at_;
  }

  void skip_space() {
    while (!is_end()) {
      const char c = peek();
      if (c == ' ' || c == '\t' || c == '\r' || c == '\n') {
        step();
      } else if (c == '/' && at_ + 1 < text_.size() && text_[at_ + 1] == '/') {
        while (!is_end() && peek() != '\n') step();
      } else if (c == '/' && at_ + 1 < text_.size() && text_[at_ + 1] == '*') {
        const Position begin = here();
        step();
        step();
        while (!is_end() && !(peek() == '*' && at_ + 1 < text_.size() && text_[at_ + 1] == '/')) step();
        if (is_end()) fail_at(begin, "this comment has no end: */ is missing");
        step();
        step();
      } else {
        return;
      }
    }
  }

  std::unique_ptr<JsonNode> value(unsigned depth) {
    if (depth > depth_max) fail(fmt::format("nested deeper than {} levels", depth_max));
    auto node = std::make_unique<JsonNode>();
    node->at = here();
    const char c = peek();
    if (is_end()) fail("a value is missing at the end of the file");
    if (c == '{') {
      object(*node, depth);
    } else if (c == '[') {
      array(*node, depth);
    } else if (c == '"') {
      node->kind = JsonNode::Kind::string;
      node->text = string();
    } else if (c == '-' || (c >= '0' && c <= '9')) {
      number(*node);
    } else if (c == '\'') {
      fail("a string stands in double quotes: \"...\"");
    } else if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')) {
      word(*node);
    } else {
      fail(fmt::format("a value is expected here, not {}", shown()));
    }
    return node;
  }

  void word(JsonNode& node) {
    const Position begin = here();
    const std::size_t from = at_;
    while (!is_end() && (std::isalnum(static_cast<unsigned char>(peek())) != 0 || peek() == '_')) step();
    const std::string_view found = text_.substr(from, at_ - from);
    if (found == "true" || found == "false") {
      node.kind = JsonNode::Kind::boolean;
      node.boolean = found == "true";
    } else if (found != "null") {
      fail_at(begin, fmt::format("'{}' is no value: true, false, null, a number, or a string in double quotes", found));
    }
  }

  void number(JsonNode& node) {
    const Position begin = here();
    const std::size_t from = at_;
    const auto digits = [this] {
      const std::size_t first = at_;
      while (peek() >= '0' && peek() <= '9') step();
      return at_ - first;
    };
    if (peek() == '-') step();
    const bool is_zero_led = peek() == '0';
    const std::size_t whole = digits();
    if (whole == 0) fail("a number needs a digit here");
    if (is_zero_led && whole > 1) fail_at(begin, "a number does not begin with 0");
    if (peek() == '.') {
      step();
      if (digits() == 0) fail("a digit must follow the point");
    }
    if (peek() == 'e' || peek() == 'E') {
      step();
      if (peek() == '+' || peek() == '-') step();
      if (digits() == 0) fail("a digit must follow the e");
    }
    if (std::isalpha(static_cast<unsigned char>(peek())) != 0) {
      fail_at(begin, "a quantity with a unit is a string: \"500ms\"");
    }
    node.kind = JsonNode::Kind::number;
    node.text = std::string(text_.substr(from, at_ - from));
    node.number = std::strtod(node.text.c_str(), nullptr);
    if (!std::isfinite(node.number)) fail_at(begin, fmt::format("{} is too large for a number", node.text));
  }

  std::string string() {
    const Position begin = here();
    std::string out;
    step();
    for (;;) {
      if (is_end() || peek() == '\n') fail_at(begin, "this string has no closing quote");
      const auto c = static_cast<unsigned char>(peek());
      if (c < 0x20) fail(fmt::format("{} in a string must be written as an escape, such as \\t or \\u0009", shown()));
      if (c == '"') break;
      if (c == '\\') {
        escape(out);
        continue;
      }
      out.push_back(static_cast<char>(c));
      step();
    }
    step();
    if (!is_utf8(out)) fail_at(begin, "this string is not UTF-8");
    return out;
  }

  unsigned hex4() {
    unsigned code = 0;
    for (int i = 0; i < 4; ++i) {
      const char c = peek();
      const int digit = c >= '0' && c <= '9'   ? c - '0'
                        : c >= 'a' && c <= 'f' ? c - 'a' + 10
                        : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                               : -1;
      if (digit < 0) fail("\\u takes four hexadecimal digits");
      code = code << 4 | static_cast<unsigned>(digit);
      step();
    }
    return code;
  }

  void escape(std::string& out) {
    step();
    const char c = peek();
    static constexpr std::string_view names = "\"\\/bfnrt", meant = "\"\\/\b\f\n\r\t";
    if (const auto found = names.find(c); c != '\0' && found != std::string_view::npos) {
      out.push_back(meant[found]);
      return step();
    }
    if (c != 'u') fail(fmt::format("\\ and {} is no escape: \\\" \\\\ \\/ \\b \\f \\n \\r \\t \\u0000", shown()), 1);
    step();
    unsigned code = hex4();
    if (code >= 0xD800 && code < 0xDC00 && peek() == '\\' && at_ + 1 < text_.size() && text_[at_ + 1] == 'u') {
      step();
      step();
      const unsigned low = hex4();
      if (low < 0xDC00 || low > 0xDFFF) fail("the second half of a surrogate pair is expected here");
      code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
    }
    if (code >= 0xD800 && code <= 0xDFFF) fail("half a surrogate pair is no character");
    if (code < 0x80) {
      out.push_back(static_cast<char>(code));
    } else if (code < 0x800) {
      out.push_back(static_cast<char>(0xC0 | code >> 6));
      out.push_back(static_cast<char>(0x80 | (code & 0x3F)));
    } else if (code < 0x10000) {
      out.push_back(static_cast<char>(0xE0 | code >> 12));
      out.push_back(static_cast<char>(0x80 | (code >> 6 & 0x3F)));
      out.push_back(static_cast<char>(0x80 | (code & 0x3F)));
    } else {
      out.push_back(static_cast<char>(0xF0 | code >> 18));
      out.push_back(static_cast<char>(0x80 | (code >> 12 & 0x3F)));
      out.push_back(static_cast<char>(0x80 | (code >> 6 & 0x3F)));
      out.push_back(static_cast<char>(0x80 | (code & 0x3F)));
    }
  }

  void array(JsonNode& node, unsigned depth) {
    node.kind = JsonNode::Kind::array;
    const Position begin = here();
    step();
    skip_space();
    if (peek() == ']') return step();
    for (;;) {
      node.items.push_back(value(depth + 1));
      skip_space();
      if (peek() == ']') return step();
      if (is_end()) fail_at(begin, "this [ has no ]");
      if (peek() != ',') fail(fmt::format("a comma or ] is expected here, not {}", shown()));
      const Position comma = here();
      step();
      skip_space();
      if (peek() == ']') fail_at(comma, "this comma stands before ]: take it out");
    }
  }

  void object(JsonNode& node, unsigned depth) {
    node.kind = JsonNode::Kind::object;
    const Position begin = here();
    step();
    skip_space();
    if (peek() == '}') return step();
    for (;;) {
      if (is_end()) fail_at(begin, "this { has no }");
      if (peek() != '"') fail(fmt::format("a key in double quotes is expected here, not {}", shown()));
      JsonNode::Member member;
      member.at = here();
      member.key = string();
      skip_space();
      if (peek() != ':') fail(fmt::format("a colon must follow the key \"{}\", not {}", member.key, shown()));
      step();
      skip_space();
      member.value = value(depth + 1);
      node.members.push_back(std::move(member));
      skip_space();
      if (peek() == '}') return step();
      if (is_end()) fail_at(begin, "this { has no }");
      if (peek() != ',') fail(fmt::format("a comma or }} is expected here, not {}", shown()));
      const Position comma = here();
      step();
      skip_space();
      if (peek() == '}') fail_at(comma, "this comma stands before }: take it out");
    }
  }

  std::string_view text_;
  std::size_t at_ = 0;
  std::uint32_t line_ = 1;
  std::size_t line_start_ = 0;
};

}  // namespace

std::variant<std::unique_ptr<JsonNode>, JsonProblem> parse_json(std::string_view text) {
  try {
    return Parser(text).parse();
  } catch (Parser::Failed& failed) {
    return std::move(failed.problem);
  }
}

std::string_view name_of(JsonNode::Kind kind) {
  switch (kind) {
    case JsonNode::Kind::null:
      return "null";
    case JsonNode::Kind::boolean:
      return "true or false";
    case JsonNode::Kind::number:
      return "a number";
    case JsonNode::Kind::string:
      return "a string";
    case JsonNode::Kind::array:
      return "an array";
    case JsonNode::Kind::object:
      break;
  }
  return "an object";
}

}  // namespace wsr::sim
