// HttpReader: HTTP/1.1 requests (RFC 9112) from bytes, without I/O, as strictly as the RFC allows.
//
//   head ─▶ body: none | Content-Length | chunked ─▶ done
//     └──────────────┴─▶ failed: a status and a sentence; the connection cannot go on
//
// Two readers of one connection (a proxy and this one) must never disagree about where a request ends, so everything
// that has been used to make them disagree is refused: bare CR or LF, folded lines, white space before a colon, more
// than one length, a length beside Transfer-Encoding, any coding but chunked, more or less than one Host.
//
// Thread-safety: none; one object a connection.
// Errors:        a failure() with the status to answer; nothing throws for what the peer sends.
// Bounds:        head_bytes_max for the head, and again for everything that frames a chunked body (sizes, extensions,
//                trailers); body_bytes_max for the body. Nothing is stored before it is within its bound; memory grows
//                with the bytes that came, never with a length that was announced.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace wsr::net {

struct HttpBounds {
  std::size_t head_bytes_max = 16 * 1024;
  std::size_t body_bytes_max = 1024 * 1024;
};

/// What can be wrong with a request: the answer to it.
struct HttpFailure {
  unsigned status = 400;
  std::string_view code = "bad_request";
  std::string_view message;
};

class HttpReader {
public:
  enum class Event : std::uint8_t {
    need_more,  // everything is consumed; hand in what comes next
    head,       // the head is complete: look at it, then call again with the rest
    done,       // the request is complete; what is not consumed belongs to the next one
    failed,     // see failure()
  };
  struct Step {
    Event event = Event::need_more;
    std::size_t consumed = 0;
  };

  explicit HttpReader(HttpBounds bounds) : bounds_(bounds) {}

  [[nodiscard]] Step next(std::string_view bytes);
  [[nodiscard]] const HttpFailure& failure() const { return failure_; }

  // ---- the head: valid from Event::head on, as long as this object does not change
  [[nodiscard]] std::string_view method() const { return text(method_); }
  /// Path and query, percent-encoded as they came; `*` of OPTIONS.
  [[nodiscard]] std::string_view target() const { return text(target_); }
  [[nodiscard]] unsigned version() const { return version_; }  // 10 or 11
  /// Of the target in absolute form, else of the Host field; empty only for HTTP/1.0 without one.
  [[nodiscard]] std::string_view host() const { return text(host_); }
  [[nodiscard]] std::string_view origin() const { return text(origin_); }
  [[nodiscard]] std::string_view content_type() const { return text(content_type_); }
  [[nodiscard]] std::string_view ws_version() const { return text(ws_version_); }
  [[nodiscard]] std::string_view ws_key() const { return text(ws_key_); }
  // Lists: the values of all their lines, with commas.
  [[nodiscard]] std::string_view connection() const { return connection_; }
  [[nodiscard]] std::string_view upgrade() const { return upgrade_; }
  [[nodiscard]] std::string_view ws_protocol() const { return ws_protocol_; }
  [[nodiscard]] bool expects_continue() const { return expects_continue_; }
  /// The connection stays open behind the answer.
  [[nodiscard]] bool keeps_alive() const;

  [[nodiscard]] std::string_view body() const { return body_; }

  /// True once a byte of a request has come.
  [[nodiscard]] bool has_begun() const { return state_ != State::head || !head_.empty(); }
  /// Bytes of memory that the request takes.
  [[nodiscard]] std::size_t held_bytes() const;

private:
  enum class State : std::uint8_t {
    head,
    body,          // with a length
    chunk_size,    // at its first digit
    chunk_digits,  // behind one
    chunk_space,   // white space behind the size: an extension or the end must follow
    chunk_ext,     // up to the line's end, read over
    chunk_lf,      // CR seen
    chunk_data,
    data_cr,  // the line end behind a chunk's data
    data_lf,
    trailer_begin,  // a line of the trailer, or the last line, begins
    trailer_name,
    trailer_value,
    trailer_lf,
    last_lf,
    done,
    failed,
  };
  struct Piece {  // of head_
    std::uint32_t at = 0;
    std::uint32_t size = 0;
  };

  [[nodiscard]] std::string_view text(Piece piece) const {
    return std::string_view(head_).substr(piece.at, piece.size);
  }
  [[nodiscard]] Piece piece(std::string_view part) const;
  Step fail(unsigned status, std::string_view code, std::string_view message);
  Step fail(std::string_view message) { return fail(400, "bad_request", message); }
  [[nodiscard]] Step read_head(std::string_view bytes);
  [[nodiscard]] Step read_body(std::string_view bytes);
  [[nodiscard]] Step read_chunked(std::string_view bytes);
  // These say whether the head is right so far; if not, failure_ says what is wrong.
  [[nodiscard]] bool parse_head();
  [[nodiscard]] bool parse_request_line(std::string_view line);
  [[nodiscard]] bool parse_field(std::string_view line);
  [[nodiscard]] bool take_field(std::string_view name, std::string_view value);
  [[nodiscard]] bool take_length(std::string_view value);
  [[nodiscard]] bool take_coding(std::string_view value);
  [[nodiscard]] bool finish_head();
  [[nodiscard]] bool once(Piece& field, std::string_view value);
  bool wrong(unsigned status, std::string_view code, std::string_view message);
  bool wrong(std::string_view message) { return wrong(400, "bad_request", message); }
  void store(std::string_view data);

  HttpBounds bounds_;
  State state_ = State::head;
  HttpFailure failure_;
  std::string head_;
  std::size_t line_begin_ = 0;  // of the head's line that is being read
  bool has_skipped_line_ = false;
  unsigned version_ = 11;
  Piece method_, target_, host_, origin_, content_type_, ws_version_, ws_key_;
  std::string connection_, upgrade_, ws_protocol_;
  unsigned seen_ = 0;  // fields that may stand once only, see take_field()
  bool is_chunked_ = false;
  bool is_absolute_ = false;  // the target names the host
  bool expects_continue_ = false;
  std::uint64_t remaining_ = 0;  // bytes of the body, or of the chunk, still to come
  std::size_t framing_ = 0;      // bytes that frame the chunks, and the trailer's
  std::uint8_t digits_ = 0;      // of the chunk's size
  std::string body_;
};

/// A Host field or a URL's authority: a name or an address, and a port.
struct Authority {
  std::string_view name;  // an IPv6 address without its brackets
  std::string_view port;  // digits; empty: none
};
/// False if `text` is no host[:port] (RFC 3986: no user, a port of at most 65535).
[[nodiscard]] bool parse_authority(std::string_view text, Authority& out);

}  // namespace wsr::net
