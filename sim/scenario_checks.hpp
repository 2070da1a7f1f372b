// What only the whole of a scenario tells: steps that wait for each other, selectors of what is not there, windows that
// can never hold, more operations than a run should have.
//
// Thread-safety: pure.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "sim/scenario.hpp"
#include "sim/scenario_reader.hpp"

namespace wsr::sim {

/// Where names stand in the file.
struct ScenarioPlaces {
  const std::map<std::string, Position>& steps;
  const std::vector<std::pair<std::string, Position>>& groups;
};

/// REQUIRES: scenario.duration > 0.
[[nodiscard]] std::vector<Problem> check_whole(const Scenario& scenario, const ScenarioPlaces& places);

}  // namespace wsr::sim
