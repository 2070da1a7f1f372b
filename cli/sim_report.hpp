// What a simulation says: the summary, a failure with its reason, and the files of --out.
#pragma once

#include <string>
#include <vector>

#include "sim/scenario.hpp"
#include "sim/trace.hpp"
#include "sim/world.hpp"

namespace wsr::cli {

/// One scenario with all its seeds.
struct ScenarioReport {
  sim::Scenario scenario;
  std::string file;
  std::vector<sim::RunResult> runs;  // by seed; the first of the worst is shown
  double seconds = 0;                // of real time
  std::uint64_t events = 0;
  std::string how;  // what else the command line said that a replay must say, too
  [[nodiscard]] const sim::RunResult& shown() const;
  [[nodiscard]] std::size_t failed() const;
  [[nodiscard]] sim::Ending ending() const { return shown().ending; }
};

/// Nondeterminism makes all else doubtful; then safety, liveness, vacuous, budget.
[[nodiscard]] int severity(sim::Ending ending);
/// A word for a shell: in quotes if it needs them.
[[nodiscard]] std::string in_shell(std::string_view word);

/// Eight lines.
[[nodiscard]] std::string summary(const ScenarioReport& report);
/// One line: of several scenarios, one that passed.
[[nodiscard]] std::string summary_line(const ScenarioReport& report);
/// What failed, when, and how it came to it; ends with the command that replays it. `program`: how it is called here.
[[nodiscard]] std::string failure(const ScenarioReport& report, const sim::Trace& trace, const std::string& program);
[[nodiscard]] std::string replay_command(const ScenarioReport& report, const sim::RunResult& run,
                                         const std::string& program = "wsr");

[[nodiscard]] std::string result_json(const std::vector<ScenarioReport>& reports);
[[nodiscard]] std::string junit_xml(const std::vector<ScenarioReport>& reports);
[[nodiscard]] std::string trace_jsonl(const sim::Trace& trace);
/// One self-contained page.
[[nodiscard]] std::string report_html(const ScenarioReport& report, const sim::Trace& trace);

}  // namespace wsr::cli
