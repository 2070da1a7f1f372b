// RouterContext: what the parts of one Router share.
#pragma once

#include <cstdint>
#include <vector>

#include "core/routing/router_ports.hpp"
#include "core/routing/session_table.hpp"
#include "core/routing/stats.hpp"

namespace wsr {

struct RouterContext {
  RouterOptions options;
  RouterPorts ports;
  OutboxRules outbox_rules;  // before the sessions: their outboxes count in it
  SessionTable sessions;
  Stats stats;
  StoreState store = StoreState::up;  // until told otherwise
  std::vector<ConnId> ended;          // sessions whose end was decided in this turn: released at its end

  [[nodiscard]] Time now() const { return ports.clock.now(); }
  [[nodiscard]] const Limits& limits() const { return options.limits; }
};

}  // namespace wsr
