#include "sim/twice.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <vector>

#include "sim/scenario_text.hpp"

namespace wsr::sim {
namespace {

std::string describe(const std::vector<EventMark>& run, std::size_t index) {
  if (index >= run.size()) return "nothing more";
  const EventMark& mark = run[index];
  return fmt::format("a {} event at {}.{:09} s", to_string(mark.kind), mark.at / second, mark.at % second);
}

}  // namespace

RunResult run_twice(const Scenario& scenario, RunOptions options) {
  std::vector<EventMark> marks, marks_again;
  options.marks = &marks;
  RunResult result = run(scenario, options);
  options.marks = &marks_again;
  const RunResult again = run(scenario, options);
  if (again.hash == result.hash && again.events == result.events) return result;
  const auto differs = std::mismatch(marks.begin(), marks.end(), marks_again.begin(), marks_again.end(),
                                     [](const EventMark& a, const EventMark& b) { return a.hash == b.hash; });
  const auto index = static_cast<std::size_t>(differs.first - marks.begin());
  result.ending = Ending::nondeterminism;
  result.findings.insert(
      result.findings.begin(),
      Finding{"determinism",
              fmt::format("two runs of seed {} differ first at event {}: {}, and {} in the second", result.seed,
                          index + 1, describe(marks, index), describe(marks_again, index)),
              index < marks.size() ? marks[index].at : result.ended_at, index + 1, nobody});
  return result;
}

}  // namespace wsr::sim
