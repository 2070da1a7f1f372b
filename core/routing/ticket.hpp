// Ticket: what a caller of a port gets its answer by.
#pragma once

#include <compare>
#include <cstdint>

namespace wsr {

/// Chosen by the caller, echoed in the answer. The upper 8 bits belong to the driver (which shard).
struct Ticket {
  std::uint64_t value = 0;
  auto operator<=>(const Ticket&) const = default;
};

}  // namespace wsr
