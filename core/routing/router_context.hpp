// RouterContext: what the parts of one Router share, and how their calls are told apart in tickets.
#pragma once

#include <cstdint>
#include <vector>

#include "core/routing/router.hpp"
#include "core/routing/session_table.hpp"
#include "core/routing/stats.hpp"

namespace wsr {

struct RouterContext {
  RouterOptions options;
  Router::Ports ports;
  OutboxRules outbox_rules;  // before the sessions: their outboxes count in it
  SessionTable sessions;
  Stats stats;
  StoreState store = StoreState::up;  // until told otherwise
  std::vector<ConnId> ended;          // sessions whose end was decided in this turn: released at its end

  [[nodiscard]] Time now() const { return ports.clock.now(); }
  [[nodiscard]] const Limits& limits() const { return options.limits; }
};

/// A Router's tickets: 8 bits of the driver, 4 bits of kind, 52 bits of the kind's own.
enum class CallKind : std::uint8_t { publish = 1, lookup, claim, release, room, channel, drop, rate, audit };

struct Call {
  CallKind kind;
  std::uint64_t number;

  static constexpr std::uint64_t number_mask = (std::uint64_t{1} << 52) - 1;
  [[nodiscard]] Ticket ticket() const {
    return Ticket{(static_cast<std::uint64_t>(kind) << 52) | (number & number_mask)};
  }
  [[nodiscard]] static Call of(Ticket ticket) {
    return {static_cast<CallKind>((ticket.value >> 52) & 0xF), ticket.value & number_mask};
  }
};

}  // namespace wsr
