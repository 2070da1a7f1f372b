// Remains: what the store and the servers still keep, once all clients have gone for good.
//
// Thread-safety: none; part of one run. Cost: O(rooms and servers) a look.
#pragma once

#include <optional>
#include <string>

#include "sim/parts.hpp"

namespace wsr::sim {

/// How long after the last client has gone nothing may be left of them, if nothing stands in the way.
[[nodiscard]] Nanos gone_within(const ServerConfig& config);

/// The first thing that is left, in words; none if all is gone.
[[nodiscard]] std::optional<std::string> remains(const Parts& parts);

}  // namespace wsr::sim
