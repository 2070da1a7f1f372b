// Rooms as the application around the core sees them: what it asks, what it is told.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "core/base/errc.hpp"
#include "core/base/ids.hpp"
#include "core/base/ticket.hpp"
#include "core/wire/room_envelope.hpp"

namespace wsr {

/// How a join or a leave ended.
struct RoomDone {  // ok | forbidden | capacity | offline (no server holds the client) | not_found (leave: it was not
                   // there) | unavailable | timeout
  Errc result = Errc::ok;
  std::uint64_t size = 0;  // clients in the room afterwards
  std::uint64_t version = 0;
  std::string detail;  // for people, when result is not ok
};

enum class Echo : std::uint8_t { yes, no };  // no: the sender does not get its own message

/// How a push ended. At most once: what is `unknown` is never repeated.
struct RoomPushed {  // ok | forbidden | rate_limited | too_big | unavailable | timeout
  Errc result = Errc::ok;
  std::uint64_t servers = 0;                 // that had a connection in the room
  std::uint64_t connections = 0;             // whose outbox took the message
  std::uint64_t unknown = 0;                 // servers that the message was handed to and that did not answer in time
  std::chrono::microseconds retry_after{0};  // rate_limited
  std::string detail;
};

/// What a handler of the application hears of a room, in the order in which all members hear it.
struct RoomPresence {
  PresenceEvent::Kind kind = PresenceEvent::Kind::join;
  std::string_view client;
  std::uint64_t size = 0;
  std::uint64_t version = 0;
};

// ---------------------------------------------------------------- who may do what

enum class RoomAction : std::uint8_t { join, leave, push, read };
[[nodiscard]] std::string_view to_string(RoomAction action);

/// Asked before a client's own command is carried out. What the application itself asks (HTTP API, shell, embedding
/// code) is not: it is the authority.
///
/// Fails closed: no answer within Limits::authorize_within is a no.
class Authorizer {
public:
  virtual ~Authorizer() = default;
  /// The answer comes later, through Router::on_authorized(), never inline.
  virtual void authorize(Ticket ticket, RoomAction action, const RoomName& room, const ClientId& client) = 0;
};

enum class Permission : std::uint8_t { granted, denied };

}  // namespace wsr
