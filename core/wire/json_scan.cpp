#include "core/wire/json_scan.hpp"

#include <charconv>
#include <cmath>
#include <cstdlib>
#include <utility>

#include "core/wire/utf8.hpp"

namespace wsr {
namespace {

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

}  // namespace

std::optional<std::string> json_unescaped(std::string_view raw) {
  const auto unit = [&raw](std::size_t at) {
    std::uint32_t value = 0;
    for (std::size_t i = 0; i < 4; ++i) value = value * 16 + static_cast<std::uint32_t>(json_hex_digit(raw[at + i]));
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

bool is_json_double(std::string_view text) {
  double value = 0;
  const auto error = std::from_chars(text.data(), text.data() + text.size(), value).ec;
  if (error == std::errc{}) return true;
  return std::isfinite(std::strtod(std::string(text).c_str(), nullptr));
}

namespace {

bool is_value(std::string_view text, JsonRigour rigour) {
  if (!is_utf8(text)) return false;
  JsonScanner scanner(text, rigour);
  scanner.skip_space();
  if (!scanner.value(0)) return false;
  scanner.skip_space();
  return scanner.is_at_end();
}

}  // namespace

bool is_json_value(std::string_view text) { return is_value(text, JsonRigour::grammar); }

bool is_plain_json_value(std::string_view text) { return is_value(text, JsonRigour::values); }

std::optional<std::string> json_string(std::string_view value) {
  if (value.size() < 2 || value.front() != '"') return std::nullopt;
  return json_unescaped(value.substr(1, value.size() - 2));
}

JsonWalk::JsonWalk(std::string_view text) : scanner_(text) {
  scanner_.skip_space();
  if (scanner_.take('{')) {
    kind_ = Kind::object;
  } else if (scanner_.take('[')) {
    kind_ = Kind::array;
  }
  scanner_.skip_space();
}

bool JsonWalk::next(std::string_view& name, std::string_view& value) {
  if (kind_ == Kind::other || scanner_.is_at_end() || scanner_.is_next('}') || scanner_.is_next(']')) return false;
  if (!std::exchange(is_first_, false)) {
    static_cast<void>(scanner_.take(','));
    scanner_.skip_space();
  }
  name = {};
  if (kind_ == Kind::object) {
    JsonScanner::String spelled;
    if (!scanner_.name(spelled)) return false;
    name = {spelled.raw.data() - 1, spelled.raw.size() + 2};  // with its quotes
  }
  const char* const first = scanner_.at();
  if (!scanner_.value(1)) return false;
  value = {first, static_cast<std::size_t>(scanner_.at() - first)};
  scanner_.skip_space();
  return true;
}

void append_json_string(std::string& out, std::string_view text) {
  static constexpr char hex[] = "0123456789abcdef";
  out.push_back('"');
  const char* at = text.data();
  const char* const end = at + text.size();
  for (;;) {
    const char* const stop = json_plain_end(at, end);
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

}  // namespace wsr
