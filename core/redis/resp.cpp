#include "core/redis/resp.hpp"

#include <hiredis/hiredis.h>

#include <cassert>
#include <charconv>
#include <new>

namespace wsr::redis {
namespace {

// hiredis gives its buffer back whenever it is empty and larger than this: 16 KiB by default, so a busy link would
// allocate anew for every read.
constexpr std::size_t reader_buffer_kept = 1024 * 1024;

void append_number(std::string& out, std::size_t value) {
  char digits[20];
  out.append(digits, std::to_chars(digits, digits + sizeof digits, value).ptr);
}

template <class Number>
std::string number_text(Number value) {
  char digits[24];
  return {digits, std::to_chars(digits, digits + sizeof digits, value).ptr};
}

template <class Number>
std::optional<Number> parse(std::string_view text) {
  Number value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

}  // namespace

void append_count(std::string& out, std::size_t words) {
  out.push_back('*');
  append_number(out, words);
  out.append("\r\n");
}

void append_word(std::string& out, std::string_view word) {
  out.push_back('$');
  append_number(out, word.size());
  out.append("\r\n").append(word).append("\r\n");
}

void append_command(std::string& out, std::span<const std::string_view> words) {
  assert(!words.empty());
  append_count(out, words.size());
  for (const std::string_view word : words) append_word(out, word);
}

std::string text_of(std::int64_t value) { return number_text(value); }
std::string text_of(std::uint64_t value) { return number_text(value); }
std::optional<std::uint64_t> parse_u64(std::string_view text) { return parse<std::uint64_t>(text); }
std::optional<std::int64_t> parse_i64(std::string_view text) { return parse<std::int64_t>(text); }

Errc Reply::result() const {
  if (code_ != Errc::ok) return code_;
  if (!is_error()) return Errc::ok;
  // OOM, MISCONF, LOADING, READONLY, NOPERM, MASTERDOWN, CLUSTERDOWN, BUSY, ...: the store does not do it now. None of
  // these says anything about what it holds, and each may be over the next time.
  return Errc::unavailable;
}

std::string_view Reply::error() const {
  if (code_ != Errc::ok) return why_;
  return is_error() ? std::string_view{raw_->str, static_cast<std::size_t>(raw_->len)} : std::string_view{};
}

bool Reply::is_error() const { return raw_ != nullptr && raw_->type == REDIS_REPLY_ERROR; }
bool Reply::is_error(std::string_view word) const { return is_error() && error().starts_with(word); }
bool Reply::is_nil() const { return raw_ == nullptr || raw_->type == REDIS_REPLY_NIL; }
bool Reply::is_array() const { return raw_ != nullptr && raw_->type == REDIS_REPLY_ARRAY; }

std::string_view Reply::text() const {
  if (raw_ == nullptr || (raw_->type != REDIS_REPLY_STRING && raw_->type != REDIS_REPLY_STATUS)) return {};
  return {raw_->str, static_cast<std::size_t>(raw_->len)};
}

std::int64_t Reply::integer() const {
  if (raw_ == nullptr) return 0;
  if (raw_->type == REDIS_REPLY_INTEGER) return raw_->integer;
  return parse_i64(text()).value_or(0);
}

std::size_t Reply::size() const { return is_array() ? raw_->elements : 0; }

Reply Reply::operator[](std::size_t index) const {
  return Reply{index < size() ? raw_->element[index] : static_cast<const redisReply*>(nullptr)};
}

void ReplyDeleter::operator()(redisReply* reply) const { freeReplyObject(reply); }

ReplyReader::ReplyReader() : reader_(redisReaderCreate()) {
  if (reader_ == nullptr) throw std::bad_alloc{};
  reader_->maxbuf = reader_buffer_kept;
}

ReplyReader::~ReplyReader() { redisReaderFree(reader_); }

void ReplyReader::feed(std::string_view bytes) { redisReaderFeed(reader_, bytes.data(), bytes.size()); }

OwnedReply ReplyReader::next() {
  void* reply = nullptr;
  if (redisReaderGetReply(reader_, &reply) != REDIS_OK) return nullptr;
  return OwnedReply{static_cast<redisReply*>(reply)};
}

std::string ReplyReader::error() const { return reader_->err == 0 ? std::string{} : std::string{reader_->errstr}; }

}  // namespace wsr::redis
