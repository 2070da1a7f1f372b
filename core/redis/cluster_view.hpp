// ClusterView: what this server knows of the cluster without asking. Directory keeps it, Rosters go by it, too.
//
// The two sums are those of all servers' indexes as of the last servers() call, plus what this server has added since:
// good enough for soft bounds, without a counter in one slot that every call of the cluster would touch.
//
// Thread-safety: none.
#pragma once

#include <cstdint>

#include "core/redis/lease_cache.hpp"

namespace wsr::redis {

struct ClusterView {
  LeaseCache leases;
  std::int64_t owners = 0;       // owner rows; only read when owners_max is set
  std::int64_t memberships = 0;  // attachments in rooms; only read when memberships_max is set
};

}  // namespace wsr::redis
