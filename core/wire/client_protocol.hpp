// The client protocol `wsr.v1`: one JSON object per text frame (docs/protocol.md).
//
// A command is scanned once, strictly (RFC 8259), and `data` is kept as the bytes that came: the
// recipient gets exactly those bytes, spacing and number spelling included. Nothing here
// allocates for a well-formed command except strings that contain escapes.
//
// Thread-safety: pure functions.
// Errors:        CommandError: a code of the protocol and a sentence that says what to do.
// Bounds:        nesting 64 levels; the frame's own size limit bounds the rest.
#pragma once

#include <chrono>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <variant>

#include "core/wire/json_scan.hpp"

namespace wsr {

/// A JSON string value of a command: the unescaped text, borrowed where it held no escape.
class JsonText {
public:
  JsonText() = default;
  explicit JsonText(std::string_view borrowed) : view_(borrowed), is_set_(true) {}
  explicit JsonText(std::string owned) : owned_(std::move(owned)), is_owned_(true), is_set_(true) {}
  [[nodiscard]] std::string_view view() const { return is_owned_ ? std::string_view(owned_) : view_; }
  [[nodiscard]] bool is_set() const { return is_set_; }

private:
  std::string_view view_;
  std::string owned_;
  bool is_owned_ = false;
  bool is_set_ = false;
};

/// Every command's fields; which of them an op needs is checked by parse_command().
struct Command {
  enum class Op : std::uint8_t { ping, send, join, leave, push, members };
  Op op = Op::ping;
  JsonText id;                // optional; echoed in the answer
  JsonText to;                // send: the client addressed
  JsonText room;              // join, leave, push, members
  std::string_view data;      // send, push: one JSON value, byte for byte
  bool echo = true;           // push: the sender gets its own message, too
  bool presence = true;       // join: tell this connection who comes and goes
  JsonText cursor;            // members: optional, "0" begins
  std::uint32_t count = 100;  // members: 1 to members_count_max on a page
};
inline constexpr std::uint32_t members_count_max = 1'000;

struct CommandError {
  std::string_view code;  // bad_request | unknown_op | too_big ...: static text
  std::string message;    // what is wrong, and what to do
  std::string id;         // the command's id where it could be read, else empty
};

/// Scans one text frame. Views in the result point into `frame`.
/// Unknown members are ignored; a known member twice is an error.
[[nodiscard]] std::variant<Command, CommandError> parse_command(std::string_view frame);

// What a server says; each appends one whole JSON object to `out`.
/// `rooms`: those that the client is in again because it came back in time; left out of the text if there are none.
void append_welcome(std::string& out, std::string_view client, std::string_view server, std::string_view conn,
                    std::span<const std::string_view> rooms);
void append_message(std::string& out, std::string_view from, std::string_view data);
void append_room_message(std::string& out, std::string_view room, std::string_view from, std::string_view data);
/// `event`: join, leave; or count, which names no client: the roster has changed by more than events tell.
void append_presence(std::string& out, std::string_view room, std::string_view event, std::string_view client,
                     std::uint64_t size, std::uint64_t version);
/// {"op":"watching","room":...}: what follows is heard.
void append_watching(std::string& out, std::string_view room);
/// {"op":"dropped","count":N,"reason":"slow_consumer"}: messages that this connection was too slow for.
void append_dropped(std::string& out, std::uint64_t count, std::string_view reason);
// The answers to commands about rooms: {"op":"ok","id":...,"room":...,...}; no id: none was given.
void append_joined(std::string& out, std::string_view id, std::string_view room, std::uint64_t size,
                   std::uint64_t version);
/// {"op":"rejoined","room":...}: without a question: the client is in a room again, and its welcome did not say so.
void append_rejoined(std::string& out, std::string_view room, std::uint64_t size, std::uint64_t version);
void append_left(std::string& out, std::string_view id, std::string_view room, std::uint64_t size);
void append_pushed(std::string& out, std::string_view id, std::string_view room, std::uint64_t servers,
                   std::uint64_t connections, std::uint64_t unknown);
/// `members` are client ids.
void append_members(std::string& out, std::string_view id, std::string_view room,
                    std::span<const std::string_view> members, std::string_view cursor, std::uint64_t size,
                    std::uint64_t version);
void append_result(std::string& out, std::string_view id, std::string_view state, std::string_view reason);
void append_ok(std::string& out, std::string_view id);
/// `retry_after`: member "retry_after_ms"; 0: none.
void append_error(std::string& out, std::string_view id, std::string_view code, std::string_view message,
                  std::chrono::milliseconds retry_after = {});

}  // namespace wsr
