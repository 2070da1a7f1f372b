// OutsideCounts: what went into one server's core and came out of it, counted at its ports by the simulator itself, and
// held against what the core says of itself in Stats.
//
// Thread-safety: plain data. Cost: an increment each.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "core/routing/stats.hpp"

namespace wsr::sim {

/// Calls to the store.
struct PortCounts {
  std::uint64_t all = 0;
  std::uint64_t claims = 0;
  std::uint64_t asserted = 0;  // of these, of connections that had one before
  std::uint64_t releases = 0;
  std::uint64_t lookups = 0;
  std::uint64_t batches = 0;        // published into inboxes
  std::uint64_t room_messages = 0;  // published into rooms
};

struct OutsideCounts {
  PortCounts calls;
  std::uint64_t lookups_for_rooms_max = 0;  // not for messages, and no figure's business
  // what came in
  std::uint64_t opened = 0, closed = 0;   // connections
  std::uint64_t sends = 0, pushes = 0;    // commands of clients, and the checkers' own
  std::uint64_t sends_held = 0;           // of these, held by a server that woke up: gone with their connection
  std::uint64_t batches_in = 0;           // from its inbox
  std::uint64_t releases_fenced = 0;      // answers that say so
  std::uint64_t releases_unanswered = 0;  // each may be called once more
  // what came out
  std::uint64_t closes_replaced = 0;                          // 4009
  std::uint64_t closes_slow = 0;                              // 1013
  std::uint64_t messages_heard = 0, room_messages_heard = 0;  // by its clients
};

/// The first figure of `stats` that cannot be true, in words; none if all can. `rooms`: channels of rooms that the
/// server listens to.
[[nodiscard]] std::optional<std::string> dishonest_figure(const Stats& stats, const OutsideCounts& counts,
                                                          std::uint64_t rooms);

}  // namespace wsr::sim
