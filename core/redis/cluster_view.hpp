// ClusterView: what this server knows of the cluster without asking. Directory keeps it, Rosters go by it, too.
//
// The two sums are those of all servers' indexes as of the last servers() call, plus what this server has added since:
// good enough for soft bounds, without a counter in one slot that every call of the cluster would touch.
//
// Thread-safety: none.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>

#include "core/redis/lease_cache.hpp"

namespace wsr::redis {

struct ClusterView {
  /// How long servers take to renew and to claim again once the store is back: the first renewal follows within a
  /// second, and claims come in batches.
  static constexpr std::chrono::seconds doubt_for{2};

  LeaseCache leases;
  /// Until then an empty answer proves nothing: the store has just been away, has refused renewals or has forgotten
  /// this server's lease, and others have not been able to say that they live either.
  std::chrono::steady_clock::time_point doubt_until{};
  std::optional<ServerId> self;  // this server, once it has held its lease

  void doubt() { doubt_until = std::chrono::steady_clock::now() + doubt_for; }
  [[nodiscard]] bool is_in_doubt() const { return std::chrono::steady_clock::now() < doubt_until; }

  std::int64_t owners = 0;       // owner rows; only read when owners_max is set
  std::int64_t memberships = 0;  // attachments in rooms; only read when memberships_max is set
};

}  // namespace wsr::redis
