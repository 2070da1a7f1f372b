// A scenario in sentences, for somebody who has not read its file.
//
// Everything that decides a run is said: what the file sets, every default that it leaves, and what the seed draws
// where `sweep.vary` has something drawn. The sentences are for people: no program should read them.
//
// Thread-safety: a pure function. Errors: none. Cost: a line for each part of the scenario.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "sim/parts.hpp"
#include "sim/scenario.hpp"

namespace wsr::sim {

/// `config`: what the scenario's `config` block and the defaults of `wsr serve` come to. `seed`: whose draws are shown;
/// none: the scenario's own.
[[nodiscard]] std::string explain(const Scenario& scenario, const ServerConfig& config = {},
                                  std::optional<std::uint64_t> seed = {});

}  // namespace wsr::sim
