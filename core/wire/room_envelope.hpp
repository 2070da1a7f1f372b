// What travels on a room's channel: messages of members, and the roster's presence events.
//
//   message  = "R" version flags | [key id, time] | from server, shard, conn | receipt | deadline | base,
//              seq | from | data | [mac]
//   presence = "P1 " join|leave|swept " " version " " size " " client
//
// The two cannot be taken for each other, and a payload is only ever the `data` of a message. Messages are binary
// (integers LEB128, strings length and bytes) and, with keys, end in an HMAC-SHA256 over channel and message, as
// batches do (envelope.hpp). Presence events are written by the store's own atomic step, so they are text that a script
// can make and carry no MAC: who can write them can write the roster itself.
//
// A sender numbers its messages of a room (base, seq): a receiver knows how many it missed.
//
// Thread-safety: pure functions and plain values. Errors: decode functions return what is wrong and never throw.
// Bounds: batch_bytes_limit (envelope.hpp).
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <variant>

#include "core/wire/envelope.hpp"

namespace wsr {

inline constexpr std::uint8_t room_version = 2;  // of the format of messages; a server refuses every other one

struct RoomMessage {
  std::string_view from_server;
  std::uint16_t from_shard = 0;
  std::uint64_t skip_conn = 0;  // a connection of that shard that does not want its own message back; 0: none
  bool skips_client = false;    // no connection of `from` gets it
  std::uint64_t receipt = 0;    // 0: the sender wants none; else every server answers with EntryRoomReceipt
  std::uint64_t deadline = 0;   // ms on the store's clock: not delivered later; 0: none
  std::uint64_t base = 0;       // another base is another numbering
  std::uint64_t seq = 0;        // base, base + 1, ... for each message of this sender's shard to this room
  std::string_view from;        // client id; may be empty
  std::string_view data;        // one JSON value, byte for byte
  /// When it was signed, on the store's clock; 0: it is not signed.
  std::chrono::milliseconds time{0};
};

struct PresenceEvent {
  enum class Kind : std::uint8_t {
    join,   // the client's first attachment
    leave,  // its last one is gone: it left, or closed
    swept,  // its last one stood on a server that died
  } kind = Kind::join;
  std::uint64_t version = 0;  // of the roster after it
  std::uint64_t size = 0;
  std::string_view client;
};

struct RoomEventError {
  std::string message;
};
using RoomEvent = std::variant<RoomMessage, PresenceEvent, RoomEventError>;

/// `channel` is the room's name; `time` is on the store's clock.
[[nodiscard]] std::string encode_room_message(const RoomMessage& message, const BatchKeys& keys,
                                              std::string_view channel, std::chrono::milliseconds time);
[[nodiscard]] std::string encode_presence(const PresenceEvent& event);

/// The version of a message or presence event that is not ours; nullopt for anything else.
[[nodiscard]] std::optional<std::uint8_t> foreign_room_version(std::string_view bytes);

/// Views point into `bytes`.
[[nodiscard]] RoomEvent decode_room_event(std::string_view bytes, const BatchKeys& keys, std::string_view channel,
                                          std::chrono::milliseconds now);

}  // namespace wsr
