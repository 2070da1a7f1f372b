// RESP: commands as bytes, and replies as they come out of hiredis' reader.
//
// The encoder is our own: one string takes a whole turn's commands, without a copy in between. A Reply is a view.
//
// Thread-safety: none.
// Errors:        a malformed stream is a sentence from ReplyReader::error(); the connection must then be remade.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "core/base/errc.hpp"

struct redisReader;
struct redisReply;

namespace wsr::redis {

/// Appends one command to `out`. REQUIRES: at least one word.
void append_command(std::string& out, std::span<const std::string_view> words);
/// The pieces of the same, for a command whose words are known bit by bit.
void append_count(std::string& out, std::size_t words);
void append_word(std::string& out, std::string_view word);
/// The least text of a number; std::to_string without the locale.
[[nodiscard]] std::string text_of(std::int64_t value);
[[nodiscard]] std::string text_of(std::uint64_t value);
[[nodiscard]] std::optional<std::uint64_t> parse_u64(std::string_view text);
[[nodiscard]] std::optional<std::int64_t> parse_i64(std::string_view text);

/// What became of a command: a reply of the store, or the Errc of one that never came. A view: it ends with the
/// callback.
class Reply {
public:
  explicit Reply(const redisReply* raw) : raw_(raw) {}
  /// REQUIRES: code != ok.
  explicit Reply(Errc code, std::string_view why = {}) : code_(code), why_(why) {}

  /// ok: the store has carried the command out. An error reply of the store is `unavailable`, whatever its reason.
  [[nodiscard]] Errc result() const;
  /// For people, when result() is not ok.
  [[nodiscard]] std::string_view error() const;
  /// Is it an error reply of the store that begins with `word` (NOSCRIPT, WRONGPASS, ...)?
  [[nodiscard]] bool is_error(std::string_view word) const;
  [[nodiscard]] bool is_error() const;
  [[nodiscard]] bool is_nil() const;
  [[nodiscard]] bool is_array() const;
  /// A bulk or status text; empty for everything else.
  [[nodiscard]] std::string_view text() const;
  /// An integer, also one that came as text; 0 for everything else.
  [[nodiscard]] std::int64_t integer() const;
  /// Elements of an array; 0 for everything else.
  [[nodiscard]] std::size_t size() const;
  /// Beyond the end: a nil.
  [[nodiscard]] Reply operator[](std::size_t index) const;

private:
  const redisReply* raw_ = nullptr;
  Errc code_ = Errc::ok;
  std::string_view why_;
};

struct ReplyDeleter {
  void operator()(redisReply* reply) const;
};
using OwnedReply = std::unique_ptr<redisReply, ReplyDeleter>;

class ReplyReader {
public:
  ReplyReader();
  ~ReplyReader();
  ReplyReader(const ReplyReader&) = delete;
  ReplyReader& operator=(const ReplyReader&) = delete;

  void feed(std::string_view bytes);
  /// The next whole reply; null when more bytes are needed or after an error.
  [[nodiscard]] OwnedReply next();
  /// Empty: the stream is well-formed so far.
  [[nodiscard]] std::string error() const;

private:
  redisReader* reader_;
};

}  // namespace wsr::redis
