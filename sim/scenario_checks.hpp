// What only the whole of a scenario tells: steps that wait for each other, selectors of what is not there, windows that
// can never hold, more operations than a run should have.
//
// Thread-safety: pure.
#pragma once

#include <functional>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "sim/scenario.hpp"
#include "sim/scenario_reader.hpp"

namespace wsr::sim {

/// Where things stand in the file, and what could not be read: a mistake that has been told is no reason for another.
struct ScenarioPlaces {
  using Values = std::map<std::string, Position, std::less<>>;  // a key, and where its value stands; "": the whole

  std::map<std::string, Position> steps;                 // by id
  std::set<std::string> moments_unknown;                 // steps that wait for a probe, or whose `at` is broken
  std::vector<std::pair<std::string, Position>> groups;  // in the order of the file
  std::set<std::string> broken_groups;
  std::vector<Values> links, workload, timeline, expect;  // of each in the scenario, in its order
  Values vary;
  bool has_all_steps = true, has_all_groups = true;  // false: a name that is not known may be there
};

/// REQUIRES: scenario.duration > 0.
[[nodiscard]] std::vector<Problem> check_whole(const Scenario& scenario, const ScenarioPlaces& places);

}  // namespace wsr::sim
