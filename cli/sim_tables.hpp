// The two tables of `wsr simulate`: --compare and --mutants.
#pragma once

#include <vector>

#include "cli/sim_runs.hpp"

namespace wsr::cli {

/// Both kinds of routing on the same faults: what each lost. The exit code: of the runs of ours, the worst.
[[nodiscard]] int compare_routings(const SimulateOptions& o, const std::vector<LoadedScenario>& scenarios);

/// Each known bug, and what caught it. 1 if one was not caught.
[[nodiscard]] int try_mutants(const SimulateOptions& o, const std::vector<LoadedScenario>& scenarios);

/// The worse of two exit codes.
[[nodiscard]] int worse(int a, int b);

}  // namespace wsr::cli
