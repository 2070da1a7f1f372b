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

/// What the first differing part of two results is, with both values.
std::string describe(const RunResult& a, const RunResult& b) {
  const auto both = [](std::string_view what, const auto& first, const auto& second) {
    return fmt::format("{}: {}, and {} in the second", what, first, second);
  };
  if (a.ending != b.ending) return both("the ending", to_string(a.ending), to_string(b.ending));
  for (std::size_t i = 0; i < a.counts.size(); ++i) {
    if (a.counts[i] != b.counts[i]) return both(metric_names[i].name, a.counts[i], b.counts[i]);
  }
  if (a.finding_count != b.finding_count) return both("findings", a.finding_count, b.finding_count);
  if (a.waived_count != b.waived_count) return both("waived findings", a.waived_count, b.waived_count);
  const auto finding = std::mismatch(a.findings.begin(), a.findings.end(), b.findings.begin(), b.findings.end());
  if (finding.first != a.findings.end() && finding.second != b.findings.end())
    return both("a finding", finding.first->what, finding.second->what);
  const auto outcome = std::mismatch(a.outcomes.begin(), a.outcomes.end(), b.outcomes.begin(), b.outcomes.end());
  if (outcome.first != a.outcomes.end() && outcome.second != b.outcomes.end())
    return both("expectation " + outcome.first->name, outcome.first->says, outcome.second->says);
  if (a.toll.lost_outside != b.toll.lost_outside)
    return both("lost outside windows", a.toll.lost_outside, b.toll.lost_outside);
  if (a.toll.lost_in_silence != b.toll.lost_in_silence)
    return both("lost in silence", a.toll.lost_in_silence, b.toll.lost_in_silence);
  if (a.toll.lost_and_told != b.toll.lost_and_told)
    return both("lost and told", a.toll.lost_and_told, b.toll.lost_and_told);
  if (a.toll.ghost_seconds != b.toll.ghost_seconds)
    return both("ghost seconds", a.toll.ghost_seconds, b.toll.ghost_seconds);
  if (a.ghosts != b.ghosts) return both("ghosts", a.ghosts, b.ghosts);
  if (a.connected != b.connected) return both("connected at the end", a.connected, b.connected);
  if (a.latency_p50 != b.latency_p50) return both("p50, ns", a.latency_p50, b.latency_p50);
  if (a.latency_p99 != b.latency_p99) return both("p99, ns", a.latency_p99, b.latency_p99);
  return both("the slowest message, ns", a.latency_max, b.latency_max);
}

}  // namespace

RunResult run_twice(const Scenario& scenario, RunOptions options) {
  std::vector<EventMark> marks, marks_again;
  options.marks = &marks;
  RunResult result = run(scenario, options);
  options.marks = &marks_again;
  const RunResult again = run(scenario, options);
  if (again == result) return result;
  if (again.hash == result.hash && again.events == result.events) {
    // What the checkers and figures say is not in the hash.
    const std::string what =
        fmt::format("two runs of seed {} are one to the last event, and their results differ in {}", result.seed,
                    describe(result, again));
    result.ending = Ending::nondeterminism;
    result.findings.insert(result.findings.begin(),
                           Finding{"determinism", what, result.ended_at, result.events, nobody});
    ++result.finding_count;
    return result;
  }
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
  ++result.finding_count;
  return result;
}

}  // namespace wsr::sim
