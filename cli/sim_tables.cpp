#include "cli/sim_tables.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <iostream>
#include <string>

#include "sim/mutants.hpp"
#include "sim/twice.hpp"

namespace wsr::cli {

using sim::RunOptions;
using sim::RunResult;

int worse(int a, int b) {
  return severity(static_cast<sim::Ending>(a)) >= severity(static_cast<sim::Ending>(b)) ? a : b;
}

int compare_routings(const SimulateOptions& o, const std::vector<LoadedScenario>& scenarios) {
  int code = 0;
  std::cout << "| scenario | routing | sent | lost outside windows | in them, silently | in them, and told | "
               "misdelivered | doubled | ghost seconds | store calls a message |\n"
               "|---|---|---:|---:|---:|---:|---:|---:|---:|---:|\n";
  for (const LoadedScenario& loaded : scenarios) {
    for (const char* routing : {"wsr", "naive"}) {
      SimulateOptions each = o;
      each.routing = routing;
      const ScenarioReport report = run_scenario(each, loaded);
      if (each.routing == "wsr") code = worse(code, static_cast<int>(report.ending()));
      std::uint64_t sent = 0, outside = 0, silent = 0, told = 0, foreign = 0, doubled = 0, ghosts = 0, calls = 0;
      for (const RunResult& run : report.runs) {
        sent += run.of(sim::Metric::send_attempt);
        outside += run.toll.lost_outside;
        silent += run.toll.lost_in_silence;
        told += run.toll.lost_and_told;
        foreign += run.misdelivered;
        doubled += run.doubled;
        ghosts += run.toll.ghost_seconds;
        calls += run.of(sim::Metric::store_call);
      }
      std::cout << fmt::format("| {} | {} | {} | {} | {} | {} | {} | {} | {} | {:.2f} |\n", loaded.scenario.name,
                               routing, sent, outside, silent, told, foreign, doubled, ghosts,
                               sent == 0 ? 0.0 : static_cast<double>(calls) / static_cast<double>(sent));
    }
  }
  if (code != 0) std::cerr << "wsr: a run with the routing of wsr failed: run it without --compare to see why\n";
  return code;
}

int try_mutants(const SimulateOptions& o, const std::vector<LoadedScenario>& scenarios) {
  constexpr std::uint64_t seeds_each = 4;
  constexpr std::uint32_t clients_max = 20'000;  // more would take minutes for each mutant
  struct Caught {
    std::string scenario, checker;
    std::uint64_t seed = 0;
  };
  std::vector<Caught> caught(sim::mutant_names.size());
  std::vector<std::size_t> mutants;
  for (std::size_t i = 1; i < sim::mutant_names.size(); ++i) {
    if (sim::mutant_names[i].name != "planted") mutants.push_back(i);  // found by a sweep, see --seeds
  }
  in_parallel(jobs_of(o), mutants.size(), [&](std::uint64_t task) {
    const std::size_t mutant = mutants[task];
    for (std::uint64_t n = 0; n < seeds_each && caught[mutant].checker.empty(); ++n) {
      for (const LoadedScenario& loaded : scenarios) {
        if (loaded.scenario.clients > clients_max) continue;
        RunOptions options = run_options(o, loaded, loaded.scenario.seed + n);
        options.mutant = static_cast<sim::Mutant>(mutant);
        const bool is_twice = sim::mutant_names[mutant].checker == "determinism";
        const RunResult result =
            is_twice ? sim::run_twice(loaded.scenario, options) : sim::run(loaded.scenario, options);
        const auto found = std::find_if(result.findings.begin(), result.findings.end(),
                                        [&](const auto& f) { return f.checker == sim::mutant_names[mutant].checker; });
        if (found == result.findings.end()) continue;
        caught[mutant] = {loaded.scenario.name, found->checker, options.seed};
        break;
      }
    }
  });
  for (const LoadedScenario& loaded : scenarios) {
    if (loaded.scenario.clients > clients_max)
      std::cerr << fmt::format("wsr: {} is left out: it has more than {} clients\n", loaded.scenario.name, clients_max);
  }
  std::cout << "| mutant | what is wrong | caught by | in scenario | seed |\n|---|---|---|---|---:|\n";
  bool has_survivor = false;
  for (const std::size_t i : mutants) {
    const auto& name = sim::mutant_names[i];
    has_survivor = has_survivor || caught[i].checker.empty();
    if (caught[i].checker.empty()) {
      std::cout << fmt::format("| {} | {} | SURVIVED: {} did not catch it | | |\n", name.name, name.says, name.checker);
    } else {
      std::cout << fmt::format("| {} | {} | {} | {} | {} |\n", name.name, name.says, caught[i].checker,
                               caught[i].scenario, caught[i].seed);
    }
  }
  if (has_survivor)
    std::cerr << "wsr: a mutant survived: none of these scenarios shows what it does, or a checker is missing\n";
  return has_survivor ? 1 : 0;
}

}  // namespace wsr::cli
