// Scenario reader: a scenario file's text to a Scenario, or to everything that is wrong with it.
//
// Every problem names its place, says what is wrong and what to write instead; all are found in one go. Unknown keys,
// duplicate keys, missing units, overflows, steps after the end, cycles between steps, empty groups, windows that can
// never hold are problems.
//
// Thread-safety: pure functions.
// Bounds:        scenario_limits; at most problems_max problems are reported.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "sim/scenario.hpp"

namespace wsr::sim {

struct Problem {
  Position at;
  std::string message;  // a sentence without full stop: unknown key "taget" in timeline[0]: did you mean "target"?
};
inline constexpr std::size_t problems_max = 100;

/// Checks one entry of the `config` block (the keys of `wsr serve`, all entries together); returns a sentence for each
/// that is wrong, with its place in `entries`. None given: keys are not checked.
struct ConfigProblem {
  std::size_t entry = 0;
  std::string message;
};
using ConfigCheck = std::function<std::vector<ConfigProblem>(const std::vector<ConfigEntry>& entries)>;

/// `file`: how messages name it.
[[nodiscard]] std::variant<Scenario, std::vector<Problem>> read_scenario(std::string_view text, std::string_view file,
                                                                         const ConfigCheck& check_config = {});

/// file:line:column: error: MESSAGE, the line of the source, and a caret below the column; for each problem.
[[nodiscard]] std::string format_problems(std::string_view text, std::string_view file,
                                          const std::vector<Problem>& problems);

/// The scenario as a file again: what a shrunk one is saved as. read_scenario() of it gives the same.
[[nodiscard]] std::string write_scenario(const Scenario& scenario);

}  // namespace wsr::sim
