#include "core/wire/client_protocol.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <cmath>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <utility>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "core/wire/utf8.hpp"

namespace wsr {
namespace {

constexpr unsigned depth_max = 64;  // also the width of the scanner's stack: one bit a level
constexpr std::size_t id_bytes_max = 64;
constexpr std::size_t cursor_bytes_max = 256;
constexpr std::size_t quoted_bytes_max = 64;  // of a client's own text in a sentence to it

/// The first quote, backslash or control character at or after `at`: where plain string text ends.
const char* plain_text_end(const char* at, const char* end) {
#ifdef __SSE2__
  for (; end - at >= 16; at += 16) {
    const __m128i block = _mm_loadu_si128(reinterpret_cast<const __m128i*>(at));
    const __m128i quote = _mm_cmpeq_epi8(block, _mm_set1_epi8('"'));
    const __m128i backslash = _mm_cmpeq_epi8(block, _mm_set1_epi8('\\'));
    const __m128i control = _mm_cmpeq_epi8(_mm_min_epu8(block, _mm_set1_epi8(0x1F)), block);
    const int marks = _mm_movemask_epi8(_mm_or_si128(_mm_or_si128(quote, backslash), control));
    if (marks != 0) return at + std::countr_zero(static_cast<unsigned>(marks));
  }
#endif
  if constexpr (std::endian::native == std::endian::little) {
    constexpr std::uint64_t ones = 0x0101010101010101;
    constexpr std::uint64_t highs = 0x8080808080808080;
    for (; end - at >= 8; at += 8) {
      std::uint64_t word;
      std::memcpy(&word, at, sizeof word);
      const std::uint64_t quote = word ^ (ones * '"');
      const std::uint64_t backslash = word ^ (ones * '\\');
      // "x - n borrows and x had no high bit" marks bytes below n. A borrow may mark a byte above
      // a true hit as well, so only the lowest mark counts.
      const std::uint64_t marks =
          (((quote - ones) & ~quote) | ((backslash - ones) & ~backslash) | ((word - ones * 0x20) & ~word)) & highs;
      if (marks != 0) return at + std::countr_zero(marks) / 8;
    }
  }
  while (at != end && *at != '"' && *at != '\\' && static_cast<unsigned char>(*at) >= 0x20) ++at;
  return at;
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

bool is_digit(char c) { return c >= '0' && c <= '9'; }

void append_code_point(std::string& out, std::uint32_t code) {
  const auto put = [&out](std::uint32_t byte) { out.push_back(static_cast<char>(byte)); };
  if (code < 0x80) return put(code);
  if (code < 0x800) {
    put(0xC0 | (code >> 6));
  } else {
    if (code < 0x10000) {
      put(0xE0 | (code >> 12));
    } else {
      put(0xF0 | (code >> 18));
      put(0x80 | ((code >> 12) & 0x3F));
    }
    put(0x80 | ((code >> 6) & 0x3F));
  }
  put(0x80 | (code & 0x3F));
}

/// The text of a string whose escapes were scanned already; nullopt for half a surrogate pair, which is no text.
std::optional<std::string> unescape(std::string_view raw) {
  const auto unit = [&raw](std::size_t at) {
    std::uint32_t value = 0;
    for (std::size_t i = 0; i < 4; ++i) value = value * 16 + static_cast<std::uint32_t>(hex_digit(raw[at + i]));
    return value;
  };
  std::string out;
  out.reserve(raw.size());
  for (std::size_t at = 0; at < raw.size();) {
    const auto backslash = raw.find('\\', at);
    out.append(raw.substr(at, backslash - at));
    if (backslash == std::string_view::npos) break;
    const char kind = raw[backslash + 1];
    at = backslash + 2;
    switch (kind) {
      case 'b':
        out.push_back('\b');
        break;
      case 'f':
        out.push_back('\f');
        break;
      case 'n':
        out.push_back('\n');
        break;
      case 'r':
        out.push_back('\r');
        break;
      case 't':
        out.push_back('\t');
        break;
      case 'u': {
        std::uint32_t code = unit(at);
        at += 4;
        if (code >= 0xDC00 && code <= 0xDFFF) return std::nullopt;
        if (code >= 0xD800 && code <= 0xDBFF) {
          if (raw.substr(at, 2) != "\\u") return std::nullopt;
          const std::uint32_t low = unit(at + 2);
          if (low < 0xDC00 || low > 0xDFFF) return std::nullopt;
          at += 6;
          code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
        }
        append_code_point(out, code);
        break;
      }
      default:  // " \ /
        out.push_back(kind);
    }
  }
  return out;
}

/// True if the number that `text` spells is finite as a double; what is too small for one counts as zero.
bool fits_double(std::string_view text) {
  double value = 0;
  const auto error = std::from_chars(text.data(), text.data() + text.size(), value).ec;
  if (error == std::errc{}) return true;
  return std::isfinite(std::strtod(std::string(text).c_str(), nullptr));
}

/// What a document must be: by the grammar alone, or with values that a program can hold.
enum class Rigour : std::uint8_t { grammar, values };

/// A scanner of one document. It keeps the first error, with its place, and stays there.
class Scanner {
public:
  struct String {
    std::string_view raw;  // between the quotes
    bool has_escapes = false;
  };

  explicit Scanner(std::string_view text, Rigour rigour = Rigour::grammar)
      : begin_(text.data()), at_(begin_), end_(begin_ + text.size()), rigour_(rigour) {}

  void skip_space() {
    while (at_ != end_ && (*at_ == ' ' || *at_ == '\n' || *at_ == '\r' || *at_ == '\t')) ++at_;
  }
  [[nodiscard]] bool is_at_end() const { return at_ == end_; }
  [[nodiscard]] bool is_next(char c) const { return at_ != end_ && *at_ == c; }
  [[nodiscard]] bool take(char c) {
    if (!is_next(c)) return false;
    ++at_;
    return true;
  }
  [[nodiscard]] const char* at() const { return at_; }

  /// Scans one string. REQUIRES: a quote is next.
  [[nodiscard]] bool string(String& out) {
    const char* const first = ++at_;
    out.has_escapes = false;
    for (;;) {
      at_ = plain_text_end(at_, end_);
      if (at_ == end_) return fail("a string has no closing quote");
      if (*at_ == '"') break;
      if (*at_ != '\\') return fail("a control character in a string must be escaped");
      out.has_escapes = true;
      if (!escape()) return false;
    }
    out.raw = {first, static_cast<std::size_t>(at_ - first)};
    if (rigour_ == Rigour::values && out.has_escapes && !unescape(out.raw)) {
      return fail("a string contains half of a surrogate pair");
    }
    ++at_;
    return true;
  }

  /// Scans one value of any kind, without recursion: a peer's nesting never reaches our stack.
  /// `depth` levels are open around it.
  [[nodiscard]] bool value(unsigned depth) {
    const unsigned base = depth;
    std::uint64_t objects = 0;  // bit n: is the level n an object
    String ignored;
    for (;;) {
      // a value is next
      if (at_ == end_) return fail("the text ends where a value is expected");
      if (*at_ == '{' || *at_ == '[') {
        if (depth == depth_max) return fail("values are nested more than 64 levels deep");
        const bool is_object = *at_++ == '{';
        objects = is_object ? objects | (std::uint64_t{1} << depth) : objects & ~(std::uint64_t{1} << depth);
        ++depth;
        skip_space();
        if (take(is_object ? '}' : ']')) {
          --depth;
        } else {
          if (is_object && !name(ignored)) return false;
          continue;
        }
      } else if (*at_ == '"') {
        if (!string(ignored)) return false;
      } else if (*at_ == '-' || is_digit(*at_)) {
        if (!number()) return false;
      } else if (!literal()) {
        return false;
      }
      // a value has ended: so do the levels that close here
      for (;;) {
        if (depth == base) return true;
        const bool is_object = ((objects >> (depth - 1)) & 1) != 0;
        skip_space();
        if (take(',')) {
          skip_space();
          if (is_object && !name(ignored)) return false;
          break;
        }
        if (!take(is_object ? '}' : ']')) {
          return fail(is_object ? "expected a comma or } here" : "expected a comma or ] here");
        }
        --depth;
      }
    }
  }

  /// Scans a member's name and colon, up to its value.
  [[nodiscard]] bool name(String& out) {
    if (!is_next('"')) return fail("expected a member's name in double quotes");
    if (!string(out)) return false;
    skip_space();
    if (!take(':')) return fail("expected a colon after a member's name");
    skip_space();
    return true;
  }

  bool fail(std::string_view why) {
    if (why_.empty()) {
      why_ = why;
      where_ = static_cast<std::size_t>(at_ - begin_);
    }
    return false;
  }
  [[nodiscard]] std::string sentence() const {
    return "not valid JSON at byte " + std::to_string(where_) + ": " + std::string(why_);
  }

private:
  bool escape() {
    const char* const backslash = at_++;
    if (at_ == end_) return fail("a string has no closing quote");
    switch (*at_++) {
      case '"':
      case '\\':
      case '/':
      case 'b':
      case 'f':
      case 'n':
      case 'r':
      case 't':
        return true;
      case 'u':
        for (int i = 0; i < 4; ++i, ++at_) {
          if (at_ == end_ || hex_digit(*at_) < 0) {
            at_ = backslash;
            return fail("\\u needs four hexadecimal digits");
          }
        }
        return true;
      default:
        at_ = backslash;
        return fail("an unknown escape in a string");
    }
  }

  bool digits() {
    if (at_ == end_ || !is_digit(*at_)) return fail("a number needs a digit here");
    while (at_ != end_ && is_digit(*at_)) ++at_;
    return true;
  }

  bool number() {
    const char* const first = at_;
    if (!spelled_number()) return false;
    if (rigour_ == Rigour::grammar || fits_double({first, static_cast<std::size_t>(at_ - first)})) return true;
    return fail("a number is beyond what a double can hold");
  }

  bool spelled_number() {
    if (*at_ == '-') ++at_;
    if (is_next('0')) {
      ++at_;
      if (at_ != end_ && is_digit(*at_)) return fail("a number must not begin with 0");
    } else if (!digits()) {
      return false;
    }
    if (take('.') && !digits()) return false;
    if (is_next('e') || is_next('E')) {
      ++at_;
      if (is_next('+') || is_next('-')) ++at_;
      if (!digits()) return false;
    }
    return true;
  }

  bool literal() {
    const std::string_view rest(at_, static_cast<std::size_t>(end_ - at_));
    for (const std::string_view word :
         {std::string_view("true"), std::string_view("false"), std::string_view("null")}) {
      if (rest.substr(0, word.size()) == word) {
        at_ += word.size();
        return true;
      }
    }
    return fail("expected a JSON value");
  }

  const char* begin_;
  const char* at_;
  const char* end_;
  Rigour rigour_;
  std::string_view why_;
  std::size_t where_ = 0;
};

// ---------------------------------------------------------------- the tables of the protocol

using Members = std::uint16_t;  // a set of the members below
constexpr Members op_member = 1, id_member = 2, to_member = 4, data_member = 8, room_member = 16, echo_member = 32,
                  presence_member = 64, cursor_member = 128, count_member = 256;

struct MemberSpec {
  Members bit;
  std::string_view name;
  std::string_view when_missing;  // what to do about it
};
constexpr MemberSpec members[] = {
    {op_member, "op", "name the command, such as ping or send"},
    {id_member, "id", "give the command an id"},
    {to_member, "to", "name the client to send to"},
    {data_member, "data", "give the JSON value to send"},
    {room_member, "room", "name the room"},
    {echo_member, "echo", "true or false"},
    {presence_member, "presence", "true or false"},
    {cursor_member, "cursor", "begin with \"0\""},
    {count_member, "count", "say how many"},
};

struct OpSpec {
  std::string_view name;
  Command::Op op;
  Members required;
};
constexpr OpSpec ops[] = {
    {"ping", Command::Op::ping, 0},
    {"send", Command::Op::send, to_member | data_member},
    {"join", Command::Op::join, room_member},
    {"leave", Command::Op::leave, room_member},
    {"push", Command::Op::push, room_member | data_member},
    {"members", Command::Op::members, room_member},
};

const MemberSpec* find_member(std::string_view name) {
  for (const auto& member : members) {
    if (member.name == name) return &member;
  }
  return nullptr;
}

/// `ping and send`, `ping, send and join`.
std::string op_names() {
  std::string names;
  for (std::size_t i = 0; i < std::size(ops); ++i) {
    if (i != 0) names += i + 1 == std::size(ops) ? " and " : ", ";
    names += ops[i].name;
  }
  return names;
}

void append_shortened(std::string& out, std::string_view text) {
  if (text.size() <= quoted_bytes_max) return append_json_string(out, text);
  std::size_t cut = quoted_bytes_max;
  while (cut != 0 && (static_cast<unsigned char>(text[cut]) & 0xC0) == 0x80) --cut;
  append_json_string(out, text.substr(0, cut));
  out += "...";
}

/// One command being read: members as they come, and the first thing found wrong with them. Scanning
/// goes on after that, so that the answer can carry the id that stands behind the mistake.
class CommandReader {
public:
  explicit CommandReader(std::string_view frame) : scanner_(frame) {}

  std::variant<Command, CommandError> read() {
    scanner_.skip_space();
    if (scanner_.is_at_end()) return bad_request(R"(the frame is empty: send one JSON object, such as {"op":"ping"})");
    if (!scanner_.take('{')) {
      if (!scanner_.value(0)) return bad_request(scanner_.sentence());
      return bad_request(R"(a command is one JSON object, such as {"op":"ping"})");
    }
    if (!object()) return bad_request(scanner_.sentence());
    if (!wrong_.empty()) return bad_request(std::move(wrong_));
    return finish();
  }

private:
  bool object() {
    scanner_.skip_space();
    if (!scanner_.take('}')) {
      for (;;) {
        Scanner::String name;
        if (!scanner_.name(name) || !member(name)) return false;
        scanner_.skip_space();
        if (scanner_.take('}')) break;
        if (!scanner_.take(',')) return scanner_.fail("expected a comma or } here");
        scanner_.skip_space();
      }
    }
    scanner_.skip_space();
    return scanner_.is_at_end() || scanner_.fail("more text after the command: send one command in a frame");
  }

  bool member(const Scanner::String& name) {
    const MemberSpec* spec = nullptr;
    if (!name.has_escapes) {
      spec = find_member(name.raw);
    } else if (const auto text = unescape(name.raw)) {
      spec = find_member(*text);
    }
    if (spec == nullptr) return scanner_.value(1);
    if ((seen_ & spec->bit) != 0) complain("\"" + std::string(spec->name) + "\" is given twice");
    seen_ |= spec->bit;
    switch (spec->bit) {
      case op_member:
        return text(*spec, op_);
      case id_member:
        return text(*spec, command_.id) && check_id();
      case to_member:
        return text(*spec, command_.to);
      case room_member:
        return text(*spec, command_.room);
      case cursor_member:
        return text(*spec, command_.cursor) && check_cursor();
      case echo_member:
        return flag(*spec, command_.echo);
      case presence_member:
        return flag(*spec, command_.presence);
      case count_member:
        return count();
      default:
        return data();
    }
  }

  bool data() {
    const char* const first = scanner_.at();
    if (!scanner_.value(1)) return false;
    command_.data = {first, static_cast<std::size_t>(scanner_.at() - first)};
    return true;
  }

  bool flag(const MemberSpec& spec, bool& out) {
    const char* const first = scanner_.at();
    if (!scanner_.value(1)) return false;
    const std::string_view value(first, static_cast<std::size_t>(scanner_.at() - first));
    if (value != "true" && value != "false") complain("\"" + std::string(spec.name) + "\" must be true or false");
    out = value == "true";
    return true;
  }

  bool count() {
    const char* const first = scanner_.at();
    if (!scanner_.value(1)) return false;
    const auto [end, error] = std::from_chars(first, scanner_.at(), command_.count);
    if (error != std::errc{} || end != scanner_.at() || command_.count == 0 || command_.count > members_count_max) {
      complain("\"count\" must be a whole number from 1 to " + std::to_string(members_count_max));
    }
    return true;
  }

  bool check_cursor() {
    if (command_.cursor.is_set() && command_.cursor.view().size() > cursor_bytes_max) {
      complain("\"cursor\" is longer than any that an answer gave: begin with \"0\"");
    }
    return true;
  }

  bool text(const MemberSpec& spec, JsonText& out) {
    if (!scanner_.is_next('"')) {
      complain("\"" + std::string(spec.name) + "\" must be a string");
      return scanner_.value(1);
    }
    Scanner::String string;
    if (!scanner_.string(string)) return false;
    if (!string.has_escapes) {
      out = JsonText(string.raw);
    } else if (auto plain = unescape(string.raw)) {
      out = JsonText(std::move(*plain));
    } else {
      complain("\"" + std::string(spec.name) + "\" contains half of a surrogate pair, which is no character");
    }
    return true;
  }

  bool check_id() {
    if (!command_.id.is_set()) return true;  // said already
    const auto size = command_.id.view().size();
    if (size == 0 || size > id_bytes_max) {
      complain("\"id\" must be a string of 1 to 64 bytes");
      command_.id = {};
    }
    return true;
  }

  std::variant<Command, CommandError> finish() {
    if ((seen_ & op_member) == 0) return missing(op_member);
    for (const auto& spec : ops) {
      if (spec.name != op_.view()) continue;
      for (const auto& member : members) {
        if ((spec.required & ~seen_ & member.bit) != 0) return missing(member.bit);
      }
      command_.op = spec.op;
      return std::move(command_);
    }
    std::string sentence = "unknown op ";
    append_shortened(sentence, op_.view());
    return CommandError{"unknown_op", sentence + ": this server knows " + op_names(), std::string(command_.id.view())};
  }

  CommandError missing(Members bit) {
    for (const auto& member : members) {
      if (member.bit != bit) continue;
      return bad_request("\"" + std::string(member.name) + "\" is missing: " + std::string(member.when_missing));
    }
    return bad_request("a member is missing");
  }

  void complain(std::string sentence) {
    if (wrong_.empty()) wrong_ = std::move(sentence);
  }

  CommandError bad_request(std::string sentence) const {
    return CommandError{"bad_request", std::move(sentence), std::string(command_.id.view())};
  }

  Scanner scanner_;
  Command command_;
  JsonText op_;
  Members seen_ = 0;
  std::string wrong_;
};

void append_member(std::string& out, std::string_view name, std::string_view text) {
  out.append(",\"").append(name).append("\":");
  append_json_string(out, text);
}

void append_member(std::string& out, std::string_view name, std::uint64_t number) {
  char digits[20];
  const auto end = std::to_chars(std::begin(digits), std::end(digits), number).ptr;
  out.append(",\"").append(name).append("\":").append(digits, end);
}

void append_list(std::string& out, std::string_view name, std::span<const std::string_view> texts) {
  out.append(",\"").append(name).append("\":[");
  for (std::size_t i = 0; i < texts.size(); ++i) {
    if (i != 0) out.push_back(',');
    append_json_string(out, texts[i]);
  }
  out.push_back(']');
}

/// The beginning of an answer to a command about a room; its end is a brace.
void open_room_ok(std::string& out, std::string_view id, std::string_view room) {
  out.append(R"({"op":"ok")");
  if (!id.empty()) append_member(out, "id", id);
  append_member(out, "room", room);
}

}  // namespace

std::variant<Command, CommandError> parse_command(std::string_view frame) { return CommandReader(frame).read(); }

namespace {

bool is_value(std::string_view text, Rigour rigour) {
  if (!is_utf8(text)) return false;
  Scanner scanner(text, rigour);
  scanner.skip_space();
  if (!scanner.value(0)) return false;
  scanner.skip_space();
  return scanner.is_at_end();
}

}  // namespace

bool is_json_value(std::string_view text) { return is_value(text, Rigour::grammar); }

bool is_plain_json_value(std::string_view text) { return is_value(text, Rigour::values); }

std::optional<std::string> json_string(std::string_view value) {
  if (value.size() < 2 || value.front() != '"') return std::nullopt;
  return unescape(value.substr(1, value.size() - 2));
}

JsonWalk::JsonWalk(std::string_view text) : rest_(text) {
  skip_space();
  if (rest_.empty() || (rest_.front() != '{' && rest_.front() != '[')) return;
  kind_ = rest_.front() == '{' ? Kind::object : Kind::array;
  rest_.remove_prefix(1);
  skip_space();
}

void JsonWalk::skip_space() { rest_.remove_prefix(std::min(rest_.find_first_not_of(" \t\r\n"), rest_.size())); }

bool JsonWalk::next(std::string_view& name, std::string_view& value) {
  if (kind_ == Kind::other || rest_.empty() || rest_.front() == '}' || rest_.front() == ']') return false;
  name = {};
  if (!std::exchange(is_first_, false)) {
    rest_.remove_prefix(1);  // the comma
    skip_space();
  }
  if (kind_ == Kind::object) {
    name = take_value();
    skip_space();
    rest_.remove_prefix(std::min<std::size_t>(1, rest_.size()));  // the colon
    skip_space();
  }
  value = take_value();
  skip_space();
  return true;
}

/// The text is valid, so that only the value's end has to be found.
std::string_view JsonWalk::take_value() {
  const auto string_end = [this](std::size_t at) {
    for (++at; at < rest_.size() && rest_[at] != '"'; ++at) {
      if (rest_[at] == '\\') ++at;
    }
    return std::min(at + 1, rest_.size());
  };
  std::size_t end = 0;
  if (rest_.empty()) return {};
  if (rest_.front() == '"') {
    end = string_end(0);
  } else if (rest_.front() == '{' || rest_.front() == '[') {
    std::size_t depth = 0;
    do {
      const char c = rest_[end];
      if (c == '{' || c == '[') ++depth;
      if (c == '}' || c == ']') --depth;
      end = c == '"' ? string_end(end) : end + 1;
    } while (depth > 0 && end < rest_.size());
  } else {
    end = std::min(rest_.find_first_of(",}] \t\r\n"), rest_.size());
  }
  const auto found = rest_.substr(0, end);
  rest_.remove_prefix(found.size());
  return found;
}

void append_json_string(std::string& out, std::string_view text) {
  static constexpr char hex[] = "0123456789abcdef";
  out.push_back('"');
  const char* at = text.data();
  const char* const end = at + text.size();
  for (;;) {
    const char* const stop = plain_text_end(at, end);
    out.append(at, stop);
    if (stop == end) break;
    at = stop + 1;
    const auto byte = static_cast<unsigned char>(*stop);
    switch (byte) {
      case '"':
        out.append("\\\"");
        break;
      case '\\':
        out.append("\\\\");
        break;
      case '\n':
        out.append("\\n");
        break;
      case '\r':
        out.append("\\r");
        break;
      case '\t':
        out.append("\\t");
        break;
      default: {
        const char escaped[] = {'\\', 'u', '0', '0', hex[byte >> 4], hex[byte & 0xF]};
        out.append(escaped, sizeof escaped);
      }
    }
  }
  out.push_back('"');
}

void append_welcome(std::string& out, std::string_view client, std::string_view server, std::string_view conn,
                    std::span<const std::string_view> rooms) {
  out.append(R"({"op":"welcome")");
  append_member(out, "client", client);
  append_member(out, "server", server);
  append_member(out, "conn", conn);
  if (!rooms.empty()) append_list(out, "rooms", rooms);
  out.push_back('}');
}

void append_message(std::string& out, std::string_view from, std::string_view data) {
  out.append(R"({"op":"message","from":)");
  append_json_string(out, from);
  out.append(R"(,"data":)").append(data).push_back('}');
}

void append_room_message(std::string& out, std::string_view room, std::string_view from, std::string_view data) {
  out.append(R"({"op":"room","room":)");
  append_json_string(out, room);
  out.append(R"(,"from":)");
  append_json_string(out, from);
  out.append(R"(,"data":)").append(data).push_back('}');
}

void append_presence(std::string& out, std::string_view room, std::string_view event, std::string_view client,
                     std::uint64_t size, std::uint64_t version) {
  out.append(R"({"op":"presence")");
  append_member(out, "room", room);
  append_member(out, "event", event);
  if (!client.empty()) append_member(out, "client", client);
  append_member(out, "size", size);
  append_member(out, "version", version);
  out.push_back('}');
}

void append_watching(std::string& out, std::string_view room) {
  out.append(R"({"op":"watching")");
  append_member(out, "room", room);
  out.push_back('}');
}

void append_dropped(std::string& out, std::uint64_t count, std::string_view reason) {
  out.append(R"({"op":"dropped")");
  append_member(out, "count", count);
  append_member(out, "reason", reason);
  out.push_back('}');
}

void append_joined(std::string& out, std::string_view id, std::string_view room, std::uint64_t size,
                   std::uint64_t version) {
  open_room_ok(out, id, room);
  append_member(out, "size", size);
  append_member(out, "version", version);
  out.push_back('}');
}

void append_rejoined(std::string& out, std::string_view room, std::uint64_t size, std::uint64_t version) {
  out.append(R"({"op":"rejoined")");
  append_member(out, "room", room);
  append_member(out, "size", size);
  append_member(out, "version", version);
  out.push_back('}');
}

void append_left(std::string& out, std::string_view id, std::string_view room, std::uint64_t size) {
  open_room_ok(out, id, room);
  append_member(out, "size", size);
  out.push_back('}');
}

void append_pushed(std::string& out, std::string_view id, std::string_view room, std::uint64_t servers,
                   std::uint64_t connections, std::uint64_t unknown) {
  open_room_ok(out, id, room);
  append_member(out, "servers", servers);
  append_member(out, "connections", connections);
  if (unknown != 0) append_member(out, "unknown", unknown);
  out.push_back('}');
}

void append_members(std::string& out, std::string_view id, std::string_view room,
                    std::span<const std::string_view> clients, std::string_view cursor, std::uint64_t size,
                    std::uint64_t version) {
  open_room_ok(out, id, room);
  append_list(out, "members", clients);
  append_member(out, "cursor", cursor);
  append_member(out, "size", size);
  append_member(out, "version", version);
  out.push_back('}');
}

void append_result(std::string& out, std::string_view id, std::string_view state, std::string_view reason) {
  out.append(R"({"op":"result")");
  append_member(out, "id", id);
  append_member(out, "state", state);
  if (!reason.empty()) append_member(out, "reason", reason);
  out.push_back('}');
}

void append_ok(std::string& out, std::string_view id) {
  out.append(R"({"op":"ok")");
  if (!id.empty()) append_member(out, "id", id);
  out.push_back('}');
}

void append_error(std::string& out, std::string_view id, std::string_view code, std::string_view message,
                  std::chrono::milliseconds retry_after) {
  out.append(R"({"op":"error")");
  if (!id.empty()) append_member(out, "id", id);
  append_member(out, "code", code);
  append_member(out, "message", message);
  if (retry_after.count() > 0) append_member(out, "retry_after_ms", static_cast<std::uint64_t>(retry_after.count()));
  out.push_back('}');
}

}  // namespace wsr
