#include "cli/simulate.hpp"

#include <errno.h>
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <set>
#include <string_view>
#include <system_error>
#include <tuple>

#include "cli/exit_code.hpp"
#include "cli/sim_report.hpp"
#include "cli/sim_runs.hpp"
#include "cli/sim_tables.hpp"
#include "sim/mutants.hpp"
#include "sim/scenario_explain.hpp"
#include "sim/scenario_names.hpp"
#include "sim/scenario_reader.hpp"
#include "sim/scenario_text.hpp"
#include "sim/shrink.hpp"
#include "sim/trace.hpp"

namespace wsr::cli {
namespace {

namespace fs = std::filesystem;
using sim::RunOptions;
using sim::RunResult;
using sim::Scenario;

/// How the user called us, so that a printed command can be pasted.
std::string program() {
  const std::string_view called = program_invocation_name;
  return called.find('/') == std::string_view::npos ? "wsr" : std::string(called);
}

[[noreturn]] void refuse(const std::string& sentence) { throw UsageError(sentence); }

/// Options that mean nothing to each other are refused: what is asked for and not done would be believed.
void check_options(const SimulateOptions& o) {
  if (!sim::mutant_of(o.mutant)) {
    std::vector<std::string> known;
    known.reserve(sim::mutant_names.size());
    for (const auto& each : sim::mutant_names) known.emplace_back(each.name);
    known.erase(known.begin());  // "none"
    const std::string near = sim::nearest(o.mutant, known);
    refuse(fmt::format(
        "--mutant '{}' is not valid{}", o.mutant,
        near.empty() ? fmt::format("; there are: {}", fmt::join(known, ", ")) : ": did you mean " + near + "?"));
  }
  if (o.seed && *o.seed > sim::seed_max)
    refuse(fmt::format("--seed {} is too large: a seed is at most {}", *o.seed, sim::seed_max));
  if (o.seed && !o.seeds.empty()) refuse("pass --seed or --seeds, not both");
  if (!o.trace.empty() && o.trace != "text" && o.trace != "json")
    refuse(fmt::format("--trace '{}' is not valid: use text or json", o.trace));
  const char* const mode = o.explain ? "--explain" : o.compare ? "--compare" : o.mutants ? "--mutants" : nullptr;
  if (mode == nullptr) return;
  if (int{o.explain} + int{o.compare} + int{o.mutants} > 1)
    refuse("pass only one of --explain, --compare and --mutants");
  const bool has_routing = o.routing != "wsr", has_mutant = o.mutant != "none";
  for (const auto& [name, is_said, is_possible] :
       {std::tuple{"--out", !o.out.empty(), false}, std::tuple{"--shrink", o.shrink, false},
        std::tuple{"--twice", o.twice, false}, std::tuple{"--trace", !o.trace.empty(), false},
        std::tuple{"--routing", has_routing, false}, std::tuple{"--mutant", has_mutant, o.compare},
        std::tuple{"--seeds", !o.seeds.empty(), o.compare},
        std::tuple{"--seed", o.seed.has_value(), o.compare || o.explain},
        std::tuple{"--until", !o.until.empty(), o.compare}}) {
    if (is_said && !is_possible) refuse(fmt::format("{} has no effect with {}", name, mode));
  }
}

void make_folder(const fs::path& folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (error || !fs::is_directory(folder))
    refuse(fmt::format("--out '{}': cannot create the folder: {}", folder.string(),
                       error ? error.message() : "something else is there"));
}

void write_file(const fs::path& file, const std::string& text) {
  std::ofstream out(file, std::ios::binary);
  out << text;
  if (!out.flush()) throw std::runtime_error(fmt::format("cannot write '{}'", file.string()));
}

/// The saved file's name; empty if the failure was not there again.
std::string shrink_failure(const SimulateOptions& o, const LoadedScenario& loaded, const RunResult& failed,
                           std::string_view stem) {
  if (failed.ending == sim::Ending::budget) {
    std::cerr << "wsr: a run that exceeds its budget cannot be shrunk: raise budget.events, or make the run shorter\n";
    return {};
  }
  Scenario scenario = sim::vary(loaded.scenario, failed.seed);
  scenario.seed = failed.seed;
  if (const auto mutant = sim::mutant_of(o.mutant); *mutant != sim::Mutant::none) scenario.mutant = *mutant;
  const auto run_once = [&](const Scenario& candidate) {
    RunOptions options = run_options(o, loaded, failed.seed);
    options.events_max = std::max<std::uint64_t>(failed.events * 2, 100'000);
    return run_as_asked(o, candidate, options);
  };
  sim::Shrunk shrunk = sim::shrink(scenario, run_once);
  if (shrunk.failure.empty()) {
    std::cerr << fmt::format(
        "wsr: seed {} of {} passed when it was run again, so there is nothing to shrink: the run does not depend on "
        "its seed alone; try --twice\n",
        failed.seed, loaded.scenario.name);
    return {};
  }
  shrunk.scenario.summary =
      fmt::format("Shrunk from {} by {} runs: fails by {}.", loaded.scenario.name, shrunk.tries, shrunk.failure);
  shrunk.scenario.name = (loaded.scenario.name + "-shrunk").substr(0, 64);
  const fs::path folder = o.out.empty() ? fs::path(".") : fs::path(o.out);
  const fs::path file = folder / fmt::format("{}-shrunk-{}.json", stem, failed.seed);
  write_file(file, sim::write_scenario(shrunk.scenario));
  if (!o.quiet) {
    std::cerr << fmt::format("shrunk in {} runs: {} to {} steps, {} to {} workloads, {} to {} clients\n", shrunk.tries,
                             loaded.scenario.timeline.size(), shrunk.scenario.timeline.size(),
                             loaded.scenario.workload.size(), shrunk.scenario.workload.size(), loaded.scenario.clients,
                             shrunk.scenario.clients);
  }
  return file.string();
}

/// Again, with every note kept: the same run.
sim::Trace traced(const SimulateOptions& o, const LoadedScenario& loaded, std::uint64_t seed) {
  sim::Trace trace;
  RunOptions options = run_options(o, loaded, seed);
  options.observer = &trace;
  static_cast<void>(sim::run(loaded.scenario, options));
  return trace;
}

/// For one seed in which all is well the trace would mostly be noise that nobody reads.
bool wants_trace(const ScenarioReport& report) { return report.shown().events < 3'000'000; }

/// Runs scenarios one after the other, and says and writes what became of each.
class Session {
public:
  Session(const SimulateOptions& o, bool has_many)
      : o_(o), has_many_(has_many), say_(o.trace == "json" ? std::cerr : std::cout) {}

  void run(const LoadedScenario& loaded) {
    ScenarioReport report = run_scenario(o_, loaded);
    name_ = unique(loaded.scenario.name);
    code_ = worse(code_, static_cast<int>(report.ending()));
    const bool is_bad = report.failed() != 0;
    if (!o_.quiet || is_bad) say_ << (has_many_ && !is_bad ? summary_line(report) : summary(report)) << std::flush;
    const bool has_files = !o_.out.empty() && (!has_many_ || is_bad);
    if (is_bad || !o_.trace.empty() || has_files) look_closer(loaded, report, has_files);
    if (!o_.out.empty() && has_many_ && !is_bad) forget(fs::path(o_.out) / name_);
    reports_.push_back(std::move(report));
  }

  /// The exit code.
  [[nodiscard]] int finish() {
    if (!o_.out.empty()) {
      write_file(fs::path(o_.out) / "result.json", result_json(reports_));
      write_file(fs::path(o_.out) / "junit.xml", junit_xml(reports_));
    }
    if (has_many_ && !o_.quiet) {
      const auto bad = static_cast<std::size_t>(
          std::count_if(reports_.begin(), reports_.end(), [](const auto& each) { return each.failed() != 0; }));
      say_ << fmt::format("{} of {} scenarios passed\n", reports_.size() - bad, reports_.size());
    }
    return code_;
  }

private:
  void look_closer(const LoadedScenario& loaded, const ScenarioReport& report, bool has_files) {
    const bool is_bad = report.failed() != 0;
    const bool is_traced = is_bad || !o_.trace.empty() || wants_trace(report);
    const sim::Trace trace = is_traced ? traced(o_, loaded, report.shown().seed) : sim::Trace{};
    fs::path folder(o_.out);
    if (has_files) {
      if (has_many_) folder /= name_;
      make_folder(folder);
      write_file(folder / "trace.jsonl", trace_jsonl(trace));
      write_file(folder / "report.html", report_html(report, trace));
    }
    if (is_bad) {
      say_ << failure(report, trace, program()) << std::flush;
      const std::string shrunk = o_.shrink ? shrink_failure(o_, loaded, report.shown(), name_) : std::string();
      if (!shrunk.empty())
        say_ << fmt::format("  shrunk: {}\n  again:  {} simulate {}{}\n", shrunk, program(), in_shell(shrunk), rerun());
      if (has_files) say_ << fmt::format("  report: {}\n", (folder / "report.html").string());
    }
    if (!o_.trace.empty() && report.runs.size() > 1) {
      std::cerr << fmt::format("wsr: the trace is that of seed {}; --seed N shows another\n", report.shown().seed);
    }
    if (!o_.trace.empty() && trace.notes_left_out() != 0) {
      std::cerr << fmt::format(
          "wsr: the trace shows its last {} lines and leaves out {} earlier ones: --until shows the beginning\n",
          trace.notes().size(), trace.notes_left_out());
    }
    if (o_.trace == "text") {
      for (const auto& note : trace.notes()) std::cout << sim::format_note(note) << '\n';
    } else if (o_.trace == "json") {
      std::cout << trace_jsonl(trace);
    }
  }

  /// What a shrunk file must be run with: all else stands in it.
  [[nodiscard]] std::string rerun() const {
    return std::string(o_.routing == "naive" ? " --routing naive" : "") + (o_.twice ? " --twice" : "");
  }

  /// Two scenarios may have one name.
  [[nodiscard]] std::string unique(const std::string& name) {
    for (int n = 1;; ++n) {
      std::string folder = n == 1 ? name : fmt::format("{}-{}", name, n);
      if (names_.insert(folder).second) return folder;
    }
  }

  /// What an earlier run left of a scenario that passes now.
  static void forget(const fs::path& folder) {
    std::error_code none;
    for (const char* file : {"report.html", "trace.jsonl"}) fs::remove(folder / file, none);
    fs::remove(folder, none);  // if nothing else is in it
  }

  const SimulateOptions& o_;
  bool has_many_;
  std::ostream& say_;  // with --trace json, stdout is the trace's
  std::vector<ScenarioReport> reports_;
  std::set<std::string> names_;
  std::string name_;  // of the scenario that runs, in files
  int code_ = 0;
};

int simulate(const SimulateOptions& o) {
  check_options(o);
  const std::vector<LoadedScenario> scenarios = load_scenarios(o.files);
  if (scenarios.empty()) return exit_sim_scenario;
  const bool has_many = scenarios.size() > 1;
  if (o.explain) {
    for (const LoadedScenario& loaded : scenarios)
      std::cout << sim::explain(loaded.scenario, loaded.config, o.seed) << (has_many ? "\n" : "");
    return 0;
  }
  if (o.mutants) return try_mutants(o, scenarios);
  if (o.compare) return compare_routings(o, scenarios);
  if (!o.trace.empty() && has_many)
    refuse(fmt::format("--trace shows one run, but there are {} scenarios: name one", scenarios.size()));
  if (!o.out.empty()) {
    make_folder(o.out);
    // What an earlier run left of one scenario would stand beside this one's results.
    if (has_many) {
      for (const char* file : {"report.html", "trace.jsonl"}) fs::remove(fs::path(o.out) / file);
    }
  }
  Session session(o, has_many);
  for (const LoadedScenario& loaded : scenarios) session.run(loaded);
  return session.finish();
}

/// The names of these choices, in lines of a help text.
template <class Names>
std::string listed(const Names& names) {
  constexpr std::size_t width = 110;
  std::string out;
  std::size_t column = 24;  // behind the words that introduce them
  for (const auto& [name, value] : names) {
    if (!out.empty()) {
      const bool is_full = column + name.size() + 2 > width;
      out += is_full ? ",\n" : ", ";
      if (is_full) column = 0;
    }
    out += name;
    column += name.size() + 2;
  }
  return out;
}

}  // namespace

CLI::App* add_simulate(CLI::App& app, SimulateOptions& o) {
  auto* command =
      app.add_subcommand("simulate", "Replay failure scenarios in a virtual cluster around the same routing core");
  command->footer(
      std::string("Examples:\n") +
      "  wsr simulate scenarios/hard-death.json               one scenario, its own seed\n"
      "  wsr simulate scenarios/ --seeds 1..50                all of them, 50 seeds each\n"
      "  wsr simulate scenarios/hard-death.json --compare     beside the hand-made pattern\n\n"
      "What a step may do: " +
      listed(sim::action_names) + ".\nWhat a store may refuse with: " + listed(sim::code_names) +
      ".\n\n"
      "Exit codes: 0 passed, 1 safety, 2 liveness, 3 nondeterminism, 4 vacuous, 5 budget, 64 usage, 65 bad scenario,\n"
      "70 internal. docs/scenarios.md describes the files, the checkers and the mutants.");
  command->add_option("FILE", o.files, "Scenario files, or folders of them")->required();
  command->add_option("--seed", o.seed, "Run this seed only")->type_name("N");
  command->add_option("--seeds", o.seeds, "Run these seeds (default: those of the scenario)")->type_name("A..B");
  command->add_option("--jobs", o.jobs, "Number of runs at once (default: one per core)")
      ->check(CLI::Range(1, 1'024))
      ->type_name("N");
  command->add_option("--routing", o.routing, "wsr, or the naive pattern: rows without fencing, push by descriptor")
      ->check(CLI::IsMember({"wsr", "naive"}).description(""))
      ->type_name("wsr|naive")
      ->capture_default_str();
  command->add_flag("--compare", o.compare,
                    "Run both kinds of routing through the same faults and print what each lost");
  command->add_flag("--shrink", o.shrink,
                    "Make a failing scenario small and save it, in --out or in the current folder");
  command->add_flag("--twice", o.twice, "Run each seed twice: both must be the same to the last event");
  command->add_flag("--mutants", o.mutants,
                    "Switch on one known bug after the other, with four seeds each; each must be caught");
  command->add_option("--mutant", o.mutant, "Switch on one known bug")->type_name("NAME");
  command->add_option("--trace", o.trace, "Print what happened, event by event")->type_name("text|json");
  command->add_option("--until", o.until, "End at this virtual time; what would be judged later is not judged")
      ->type_name("TIME");
  command->add_flag("--explain", o.explain, "Print what a scenario does, every default included, and do not run it");
  command
      ->add_option("--out", o.out,
                   "Write result.json and junit.xml there, and also trace.jsonl and report.html; of several scenarios, "
                   "only those that fail get these, in a folder each")
      ->check(CLI::Validator(
          [](const std::string& folder) { return folder.empty() ? std::string("names no folder") : std::string(); },
          ""))
      ->type_name("DIR");
  command->add_flag("--quiet", o.quiet, "Print failures only");
  return command;
}

int run_simulate(const SimulateOptions& options) {
  try {
    return simulate(options);
  } catch (const UsageError& error) {
    std::cerr << "wsr: " << error.what() << '\n';
    return exit_sim_usage;
  } catch (const std::exception& error) {
    std::cerr << "wsr: " << error.what() << '\n';
    return exit_sim_internal;
  }
}

}  // namespace wsr::cli
