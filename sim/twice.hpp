// Twice: a seed run twice, which must be one run. What differs first is named to the event.
//
// Thread-safety: a call runs on its own thread's objects.
#pragma once

#include "sim/world.hpp"

namespace wsr::sim {

/// The first of two runs; where the second is another, its ending is `nondeterminism` and its first finding, of the
/// checker `determinism`, says which event was the first that differed; if none did, in what the results differ. Costs
/// 24 bytes an event and run.
[[nodiscard]] RunResult run_twice(const Scenario& scenario, RunOptions options);

}  // namespace wsr::sim
