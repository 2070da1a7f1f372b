// `wsr simulate`: scenario files in a virtual cluster.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace wsr::cli {

struct SimulateOptions {
  std::vector<std::string> files;  // or folders
  std::optional<std::uint64_t> seed;
  std::string seeds;  // A..B
  unsigned jobs = 0;  // 0: one for each core
  std::string routing = "wsr";
  std::string mutant = "none";
  std::string trace;
  std::string until;
  std::string out;
  bool compare = false, shrink = false, twice = false, mutants = false, explain = false, quiet = false;
};

CLI::App* add_simulate(CLI::App& app, SimulateOptions& options);

/// The exit code: 0 pass, 1 safety, 2 liveness, 3 nondeterminism, 4 vacuous, 5 budget, 64 usage, 65 bad scenario,
/// 70 internal.
[[nodiscard]] int run_simulate(const SimulateOptions& options);
inline constexpr int exit_sim_usage = 64, exit_sim_scenario = 65, exit_sim_internal = 70;

}  // namespace wsr::cli
