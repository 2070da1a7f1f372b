// The scenarios that a command line names, read, and run with their seeds.
//
// Thread-safety: each run is on one thread and shares nothing with another; the functions here may be called by one.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "cli/sim_report.hpp"
#include "cli/simulate.hpp"
#include "sim/scenario.hpp"
#include "sim/world.hpp"

namespace wsr::cli {

struct LoadedScenario {
  sim::Scenario scenario;
  sim::ServerConfig config;
  std::string file;
};

/// Reads all that is named, folders with all that is in them, before one is run. What is wrong is written to stderr,
/// all at once; then nothing is returned. Throws UsageError for what is not there.
[[nodiscard]] std::vector<LoadedScenario> load_scenarios(const std::vector<std::string>& named);

/// What the command line says about each run. Throws UsageError.
[[nodiscard]] sim::RunOptions run_options(const SimulateOptions& o, const LoadedScenario& loaded, std::uint64_t seed);
[[nodiscard]] sim::RunResult run_as_asked(const SimulateOptions& o, const sim::Scenario& scenario,
                                          const sim::RunOptions& options);

/// All its seeds, with a line of progress on a terminal.
[[nodiscard]] ScenarioReport run_scenario(const SimulateOptions& o, const LoadedScenario& loaded);

[[nodiscard]] unsigned jobs_of(const SimulateOptions& o);
/// Does `count` tasks on as many threads; the first exception of one of them comes out of it.
void in_parallel(unsigned jobs, std::uint64_t count, const std::function<void(std::uint64_t)>& task);

}  // namespace wsr::cli
