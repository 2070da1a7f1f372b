// Close codes that wsr writes on a WebSocket, and what each asks of the client.
//
// RFC 6455 section 7.4 defines 1000-1015; 4000-4999 are for applications. docs/protocol.md says
// for each whether a client should reconnect, and when.
#pragma once

#include <cstdint>
#include <string_view>

namespace wsr {

enum class CloseCode : std::uint16_t {
  normal = 1000,           // done
  going_away = 1001,       // this server drains: reconnect, to another one
  protocol_error = 1002,   // the peer broke RFC 6455
  unsupported = 1003,      // a kind of data this server does not take
  no_status = 1005,        // never on the wire: the peer's close frame carried no code
  abnormal = 1006,         // never on the wire: the connection ended without a close frame
  bad_utf8 = 1007,         // text that is not UTF-8
  policy = 1008,           // refused by a rule, or closed by an operator
  too_big = 1009,          // a message above the limit
  internal_error = 1011,   // our own fault
  restart = 1012,          // this server is deaf: reconnect now
  try_again_later = 1013,  // slow consumer under the policy `disconnect`
  auth_required = 4001,    // do not reconnect without credentials
  auth_invalid = 4002,     // do not reconnect with these credentials
  forbidden = 4003,        // do not reconnect
  replaced = 4009,         // a newer connection of the same client took over: do not reconnect
  capacity = 4013,         // a table is full: reconnect later
  rate_limited = 4029,     // reconnect after a pause
  idle = 4040,             // nothing heard for too long: reconnect when there is something to say
};

/// True if a connection that is closed with `code` gets what waits for it first. Not with those that end a connection
/// against its reader: a newer one took over, it reads too slowly, it asked for too much, an operator wants it gone.
[[nodiscard]] constexpr bool lets_queue_go_first(CloseCode code) {
  return code != CloseCode::policy && code != CloseCode::try_again_later && code != CloseCode::replaced &&
         code != CloseCode::rate_limited;
}

/// True if RFC 6455 section 7.4 lets `code` stand in a close frame that a peer sends.
[[nodiscard]] bool is_valid_on_wire(std::uint16_t code);

}  // namespace wsr
