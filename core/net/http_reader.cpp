#include "core/net/http_reader.hpp"

#include <algorithm>
#include <charconv>

namespace wsr::net {
namespace {

constexpr std::size_t method_bytes_max = 32;
constexpr unsigned port_max = 65'535;
constexpr std::uint8_t size_digits_max = 16;  // leading zeros included: 64 bits

enum Once : unsigned { host_field = 1, length_field = 2, coding_field = 4, expect_field = 8 };

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_alpha(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool is_token_char(char c) {
  return is_digit(c) || is_alpha(c) || std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
}
bool is_space(char c) { return c == ' ' || c == '\t'; }
/// A field's value holds visible characters, spaces, tabs and bytes above ASCII.
bool is_value_char(char c) { return c == '\t' || (static_cast<unsigned char>(c) >= 0x20 && c != 0x7F); }
bool is_target_char(char c) { return static_cast<unsigned char>(c) > 0x20 && c != 0x7F && c != '#'; }
bool is_token(std::string_view text) { return !text.empty() && std::all_of(text.begin(), text.end(), is_token_char); }

int hex_digit(char c) {
  if (is_digit(c)) return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

bool is_same_word(std::string_view a, std::string_view b) {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; };
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [&](char x, char y) { return lower(x) == lower(y); });
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
  return text;
}

bool has_token(std::string_view list, std::string_view token) {
  while (!list.empty()) {
    const auto item = list.substr(0, list.find(','));
    list.remove_prefix(std::min(item.size() + 1, list.size()));
    if (is_same_word(trimmed(item), token)) return true;
  }
  return false;
}

void append_item(std::string& list, std::string_view value) {
  if (!list.empty()) list += ", ";
  list += value;
}

}  // namespace

bool parse_authority(std::string_view text, Authority& out) {
  out = {};
  auto rest = text;
  if (rest.starts_with('[')) {
    const auto end = rest.find(']');
    if (end == std::string_view::npos) return false;
    out.name = rest.substr(1, end - 1);
    const auto is_address_char = [](char c) { return hex_digit(c) >= 0 || c == ':' || c == '.'; };
    if (out.name.size() < 2 || !std::all_of(out.name.begin(), out.name.end(), is_address_char)) return false;
    rest.remove_prefix(end + 1);
  } else {
    out.name = rest.substr(0, rest.find(':'));
    const auto is_name_char = [](char c) {
      return is_digit(c) || is_alpha(c) || c == '-' || c == '.' || c == '_' || c == '~';
    };
    if (out.name.empty() || !std::all_of(out.name.begin(), out.name.end(), is_name_char)) return false;
    rest.remove_prefix(out.name.size());
  }
  if (rest.empty()) return true;
  if (rest.front() != ':') return false;
  rest.remove_prefix(1);
  unsigned port = 0;
  const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), port);
  if (error != std::errc{} || end != rest.data() + rest.size() || port > port_max || rest.size() > 5) return false;
  out.port = rest;
  return true;
}

// ---------------------------------------------------------------- steps

HttpReader::Step HttpReader::fail(unsigned status, std::string_view code, std::string_view message) {
  wrong(status, code, message);
  return {Event::failed, 0};
}

bool HttpReader::wrong(unsigned status, std::string_view code, std::string_view message) {
  failure_ = {status, code, message};
  state_ = State::failed;
  return false;
}

HttpReader::Piece HttpReader::piece(std::string_view part) const {
  return {static_cast<std::uint32_t>(part.data() - head_.data()), static_cast<std::uint32_t>(part.size())};
}

std::size_t HttpReader::held_bytes() const {
  return head_.capacity() + body_.capacity() + connection_.capacity() + upgrade_.capacity() + ws_protocol_.capacity();
}

bool HttpReader::keeps_alive() const {
  if (has_token(connection_, "close")) return false;
  return version_ >= 11 || has_token(connection_, "keep-alive");
}

HttpReader::Step HttpReader::next(std::string_view bytes) {
  switch (state_) {
    case State::head:
      return read_head(bytes);
    case State::body:
      return read_body(bytes);
    case State::done:
      return {Event::done, 0};
    case State::failed:
      return {Event::failed, 0};
    default:
      return read_chunked(bytes);
  }
}

// ---------------------------------------------------------------- head

HttpReader::Step HttpReader::read_head(std::string_view bytes) {
  std::size_t used = 0;
  while (used < bytes.size()) {
    // One line at a time, so that what follows the head is not taken for it.
    const auto end = bytes.find('\n', used);
    const auto stop = end == std::string_view::npos ? bytes.size() : end + 1;
    const auto part = bytes.substr(used, stop - used);
    if (head_.size() + part.size() > bounds_.head_bytes_max) {
      return fail(431, "too_big", "the request's head is above the limit");
    }
    const std::size_t grown = head_.size() + part.size();
    if (grown > head_.capacity())
      head_.reserve(std::max(grown, std::min(bounds_.head_bytes_max, 2 * head_.capacity())));
    head_ += part;
    used = stop;
    // Another protocol (TLS, say) hears so at once, and not when its time is over.
    const char first = head_.front();
    if (!is_token_char(first) && first != '\r' && first != '\n')
      return fail("the request does not begin with a method");
    if (end == std::string_view::npos) break;
    const auto line = std::string_view(head_).substr(line_begin_);
    if (line.size() < 2 || line[line.size() - 2] != '\r') return fail("a line of the head ends without CR LF");
    if (line.size() != 2) {
      line_begin_ = head_.size();
      continue;
    }
    if (line_begin_ == 0) {  // RFC 9112 section 2.2: an empty line before the request line is read over
      if (has_skipped_line_) return fail("the request begins with empty lines");
      has_skipped_line_ = true;
      head_.clear();
      continue;
    }
    if (!parse_head()) return {Event::failed, used};
    state_ = is_chunked_ ? State::chunk_size : remaining_ != 0 ? State::body : State::done;
    return {Event::head, used};
  }
  return {Event::need_more, used};
}

bool HttpReader::parse_head() {
  std::string_view rest = head_;
  bool is_first = true;
  for (;;) {
    const auto line = rest.substr(0, rest.find("\r\n"));
    rest.remove_prefix(line.size() + 2);
    if (line.empty()) return finish_head();
    if (line.find('\r') != std::string_view::npos) return wrong("the head holds a CR that does not end a line");
    if (!(is_first ? parse_request_line(line) : parse_field(line))) return false;
    is_first = false;
  }
}

bool HttpReader::parse_request_line(std::string_view line) {
  const auto first = line.find(' ');
  const auto last = line.rfind(' ');
  if (first == std::string_view::npos || first == last) return wrong("the first line is not METHOD TARGET HTTP/1.1");
  const auto method = line.substr(0, first);
  auto target = line.substr(first + 1, last - first - 1);
  const auto version = line.substr(last + 1);
  if (!is_token(method) || method.size() > method_bytes_max) return wrong("the method is not a token");
  method_ = piece(method);
  if (version.size() != 8 || !version.starts_with("HTTP/") || !is_digit(version[5]) || version[6] != '.' ||
      !is_digit(version[7])) {
    return wrong("the first line does not end with HTTP/1.1");
  }
  if (version[5] != '1') return wrong(505, "bad_request", "this server speaks HTTP/1.1");
  version_ = version[7] == '0' ? 10 : 11;
  if (!std::all_of(target.begin(), target.end(), is_target_char)) {
    return wrong("the target holds a character that must be percent-encoded");
  }
  constexpr std::string_view scheme = "http://";
  if (is_same_word(target.substr(0, scheme.size()), scheme)) {
    const auto authority = target.substr(scheme.size(), target.find_first_of("/?", scheme.size()) - scheme.size());
    Authority parsed;
    if (!parse_authority(authority, parsed)) return wrong("the target does not name a valid host");
    host_ = piece(authority);
    is_absolute_ = true;
    target.remove_prefix(scheme.size() + authority.size());
    if (target.empty() || target.front() != '/') return wrong("the target has no path");
  }
  if (!target.starts_with('/') && !(target == "*" && method == "OPTIONS")) {
    return wrong("the target must begin with a slash");
  }
  target_ = piece(target);
  return true;
}

bool HttpReader::parse_field(std::string_view line) {
  if (is_space(line.front())) return wrong("a field of the head goes on in the next line");
  const auto colon = line.find(':');
  if (colon == std::string_view::npos) return wrong("a line of the head has no colon");
  const auto name = line.substr(0, colon);
  if (!is_token(name)) return wrong("a field's name in the head is not a token");
  const auto value = trimmed(line.substr(colon + 1));
  if (!std::all_of(value.begin(), value.end(), is_value_char)) {
    return wrong("a field of the head holds a control character");
  }
  return take_field(name, value);
}

bool HttpReader::once(Piece& field, std::string_view value) {
  if (field.at != 0) return wrong("a field that may occur only once occurs twice in the head");
  field = piece(value);
  return true;
}

bool HttpReader::take_field(std::string_view name, std::string_view value) {
  const auto is = [name](std::string_view known) { return is_same_word(name, known); };
  if (is("host")) {
    if ((seen_ & host_field) != 0) return wrong("the request has more than one Host");
    seen_ |= host_field;
    Authority parsed;
    if (!parse_authority(value, parsed)) return wrong("Host is not a host with an optional port");
    if (!is_absolute_) host_ = piece(value);
    return true;
  }
  if (is("content-length")) return take_length(value);
  if (is("transfer-encoding")) return take_coding(value);
  if (is("expect")) {
    expects_continue_ = is_same_word(value, "100-continue");
    return expects_continue_ || wrong(417, "bad_request", "only Expect: 100-continue is understood");
  }
  if (is("origin")) return once(origin_, value);
  if (is("content-type")) return once(content_type_, value);
  if (is("sec-websocket-key")) return once(ws_key_, value);
  if (is("sec-websocket-version")) return once(ws_version_, value);
  if (is("connection")) append_item(connection_, value);
  if (is("upgrade")) append_item(upgrade_, value);
  if (is("sec-websocket-protocol")) append_item(ws_protocol_, value);
  return true;
}

bool HttpReader::take_length(std::string_view value) {
  if ((seen_ & length_field) != 0) return wrong("the request has more than one Content-Length");
  seen_ |= length_field;
  if (value.empty() || !std::all_of(value.begin(), value.end(), is_digit))
    return wrong("Content-Length is not a number");
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), remaining_);
  if (error != std::errc{} || remaining_ > bounds_.body_bytes_max) {
    return wrong(413, "too_big", "the request's body is above the limit");
  }
  return true;
}

bool HttpReader::take_coding(std::string_view value) {
  if ((seen_ & coding_field) != 0) return wrong("the request has more than one Transfer-Encoding");
  seen_ |= coding_field;
  is_chunked_ = is_same_word(value, "chunked");
  if (is_chunked_) return true;
  // Chunked last, and once: the body's end is known, and only what is inside of it is not.
  const auto comma = value.rfind(',');
  if (comma != std::string_view::npos && is_same_word(trimmed(value.substr(comma + 1)), "chunked") &&
      !has_token(value.substr(0, comma), "chunked")) {
    return wrong(501, "bad_request", "the only transfer coding understood is chunked");
  }
  return wrong("Transfer-Encoding must be chunked");
}

bool HttpReader::finish_head() {
  if ((seen_ & host_field) == 0 && version_ >= 11) return wrong("the request has no Host");
  if ((seen_ & coding_field) != 0) {
    if ((seen_ & length_field) != 0) return wrong("the request has a Content-Length beside its Transfer-Encoding");
    if (version_ < 11) return wrong("HTTP/1.0 has no Transfer-Encoding");
  }
  if (version_ < 11) expects_continue_ = false;
  return true;
}

// ---------------------------------------------------------------- body

void HttpReader::store(std::string_view data) {
  const std::size_t wanted = body_.size() + data.size();
  if (wanted > body_.capacity()) {
    body_.reserve(std::max(wanted, std::min(bounds_.body_bytes_max, 2 * body_.capacity())));
  }
  body_ += data;
}

HttpReader::Step HttpReader::read_body(std::string_view bytes) {
  const auto part = bytes.substr(0, std::min<std::uint64_t>(remaining_, bytes.size()));
  store(part);
  remaining_ -= part.size();
  if (remaining_ != 0) return {Event::need_more, part.size()};
  state_ = State::done;
  return {Event::done, part.size()};
}

HttpReader::Step HttpReader::read_chunked(std::string_view bytes) {
  std::size_t at = 0;
  while (at < bytes.size()) {
    if (state_ == State::chunk_data) {
      const auto part = bytes.substr(at, std::min<std::uint64_t>(remaining_, bytes.size() - at));
      store(part);
      remaining_ -= part.size();
      at += part.size();
      if (remaining_ == 0) state_ = State::data_cr;
      continue;
    }
    const char c = bytes[at++];
    // The line ends that every chunk has are no burden: what counts is what could be left out.
    const bool is_needed = state_ == State::data_cr || state_ == State::data_lf || state_ == State::chunk_size ||
                           state_ == State::chunk_lf || c == '\r' ||
                           (state_ == State::chunk_digits && hex_digit(c) >= 0);
    if (!is_needed && ++framing_ > bounds_.head_bytes_max) {
      return fail(431, "too_big", "the chunk extensions and trailers are above the limit");
    }
    switch (state_) {
      case State::chunk_size:
        remaining_ = digits_ = 0;
        [[fallthrough]];
      case State::chunk_digits: {
        if (const int digit = hex_digit(c); digit >= 0) {
          if (++digits_ > size_digits_max) return fail("a chunk's size has too many digits");
          remaining_ = remaining_ * 16 + static_cast<unsigned>(digit);
          if (remaining_ > bounds_.body_bytes_max - body_.size()) {
            return fail(413, "too_big", "the request's body is above the limit");
          }
          state_ = State::chunk_digits;
          break;
        }
        if (digits_ == 0) return fail("a chunk begins without its size");
        [[fallthrough]];
      }
      case State::chunk_space:
        if (c == '\r') {
          state_ = State::chunk_lf;
        } else if (c == ';') {
          state_ = State::chunk_ext;
        } else if (is_space(c)) {
          state_ = State::chunk_space;
        } else {
          return fail("a chunk's size is not a hexadecimal number");
        }
        break;
      case State::chunk_ext:
        if (c == '\r') {
          state_ = State::chunk_lf;
        } else if (!is_value_char(c)) {
          return fail("a chunk's extension holds a control character");
        }
        break;
      case State::chunk_lf:
        if (c != '\n') return fail("a chunk's first line holds a CR that does not end it");
        state_ = remaining_ == 0 ? State::trailer_begin : State::chunk_data;
        break;
      case State::data_cr:
        if (c != '\r') return fail("a chunk is longer than its size");
        state_ = State::data_lf;
        break;
      case State::data_lf:
        if (c != '\n') return fail("a chunk is longer than its size");
        state_ = State::chunk_size;
        break;
      case State::trailer_begin:
        if (c == '\r') {
          state_ = State::last_lf;
        } else if (is_token_char(c)) {
          state_ = State::trailer_name;
        } else {
          return fail("a trailer has no name");
        }
        break;
      case State::trailer_name:
        if (c == ':') {
          state_ = State::trailer_value;
        } else if (!is_token_char(c)) {
          return fail("a trailer's name is not a token");
        }
        break;
      case State::trailer_value:
        if (c == '\r') {
          state_ = State::trailer_lf;
        } else if (!is_value_char(c)) {
          return fail("a trailer holds a control character");
        }
        break;
      case State::trailer_lf:
        if (c != '\n') return fail("a trailer holds a CR that does not end it");
        state_ = State::trailer_begin;
        break;
      case State::last_lf:
        if (c != '\n') return fail("the body's last line holds a CR that does not end it");
        state_ = State::done;
        return {Event::done, at};
      default:
        return fail("the body is not validly chunked");
    }
  }
  return {Event::need_more, at};
}

}  // namespace wsr::net
