// The `config` block of a scenario: the keys of `wsr serve`, read by the very parser of `wsr serve`.
#pragma once

#include <vector>

#include "sim/parts.hpp"
#include "sim/scenario_reader.hpp"

namespace wsr::cli {

/// A sentence for each entry that `wsr serve` would refuse, or that means nothing in a simulation.
[[nodiscard]] std::vector<sim::ConfigProblem> check_config(const std::vector<sim::ConfigEntry>& entries);
/// REQUIRES: check_config() has nothing to say.
[[nodiscard]] sim::ServerConfig read_config(const std::vector<sim::ConfigEntry>& entries);

}  // namespace wsr::cli
