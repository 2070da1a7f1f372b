#include "cli/simulate.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <charconv>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <mutex>
#include <sstream>
#include <thread>

#include "cli/exit_code.hpp"
#include "cli/sim_config.hpp"
#include "cli/sim_report.hpp"
#include "sim/mutants.hpp"
#include "sim/scenario_reader.hpp"
#include "sim/scenario_text.hpp"
#include "sim/shrink.hpp"
#include "sim/trace.hpp"
#include "sim/twice.hpp"
#include "sim/world.hpp"

namespace wsr::cli {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;
using sim::Ending;
using sim::RunOptions;
using sim::RunResult;
using sim::Scenario;

struct Loaded {
  Scenario scenario;
  sim::ServerConfig config;
  std::string file;
};
struct SeedRange {
  std::uint64_t first = 1, last = 1;
};

double seconds_since(Clock::time_point begin) { return std::chrono::duration<double>(Clock::now() - begin).count(); }

std::vector<std::string> scenario_files(const std::vector<std::string>& named) {
  std::vector<std::string> files;
  for (const std::string& each : named) {
    if (!fs::is_directory(each)) {
      if (!fs::exists(each)) throw UsageError(fmt::format("there is no file or folder '{}'", each));
      files.push_back(each);
      continue;
    }
    std::vector<std::string> found;
    for (const auto& entry : fs::recursive_directory_iterator(each)) {
      const std::string name = entry.path().filename().string();
      if (entry.is_regular_file() && (name.ends_with(".json") || name.ends_with(".jsonc")) &&
          !name.ends_with(".schema.json")) {
        found.push_back(entry.path().string());
      }
    }
    if (found.empty()) throw UsageError(fmt::format("there is no scenario (*.json) in the folder '{}'", each));
    std::sort(found.begin(), found.end());
    files.insert(files.end(), found.begin(), found.end());
  }
  return files;
}

SeedRange seed_range(const SimulateOptions& o, const Scenario& scenario) {
  if (o.seed) return {*o.seed, *o.seed};
  if (o.seeds.empty()) return {scenario.seed, scenario.seed + scenario.sweep.seeds - 1};
  SeedRange range;
  const auto dots = o.seeds.find("..");
  const auto read = [&](std::string_view text, std::uint64_t& value) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    return error == std::errc{} && end == text.data() + text.size() && !text.empty();
  };
  const std::string_view text = o.seeds;
  if (dots == std::string::npos || !read(text.substr(0, dots), range.first) ||
      !read(text.substr(dots + 2), range.last) || range.last < range.first) {
    throw UsageError(fmt::format("--seeds '{}' is no range: write 1..50", o.seeds));
  }
  return range;
}

/// Every file is read before one is run, so that all that is wrong is said at once.
std::vector<Loaded> load(const std::vector<std::string>& files) {
  std::vector<Loaded> loaded;
  bool is_bad = false;
  for (const std::string& file : files) {
    std::ifstream in(file, std::ios::binary);
    std::stringstream text;
    text << in.rdbuf();
    if (!in) throw UsageError(fmt::format("cannot read '{}'", file));
    auto read = sim::read_scenario(text.str(), file, check_config);
    if (const auto* problems = std::get_if<std::vector<sim::Problem>>(&read)) {
      std::cerr << sim::format_problems(text.str(), file, *problems);
      is_bad = true;
      continue;
    }
    auto& scenario = std::get<Scenario>(read);
    auto config = read_config(scenario.config);
    loaded.push_back({std::move(scenario), config, file});
  }
  if (is_bad) loaded.clear();
  return loaded;
}

class Progress {
public:
  Progress(bool is_shown, std::uint64_t all) : is_shown_(is_shown), all_(all) {}
  void done(std::uint64_t events) {
    if (!is_shown_) return;
    const std::scoped_lock lock(mutex_);
    ++seeds_;
    events_ += events;
    const double spent = seconds_since(begin_);
    if (spent - shown_at_ < 0.2 && seeds_ != all_) return;
    shown_at_ = spent;
    const double left = spent / static_cast<double>(seeds_) * static_cast<double>(all_ - seeds_);
    std::cerr << fmt::format("\r  {} of {} runs, {:.1f} M events/s, {:.0f} s left   ", seeds_, all_,
                             static_cast<double>(events_) / spent / 1e6, left)
              << std::flush;
  }
  ~Progress() {
    if (is_shown_ && seeds_ != 0) std::cerr << "\r\x1b[K" << std::flush;
  }

private:
  bool is_shown_;
  std::uint64_t all_;
  std::mutex mutex_;
  std::uint64_t seeds_ = 0, events_ = 0;
  double shown_at_ = 0;
  Clock::time_point begin_ = Clock::now();
};

RunOptions run_options(const SimulateOptions& o, const Loaded& loaded, std::uint64_t seed) {
  RunOptions options;
  options.seed = seed;
  options.config = loaded.config;
  options.routing = o.routing == "naive" ? sim::Routing::naive : sim::Routing::wsr;
  options.mutant = sim::mutant_of(o.mutant).value_or(sim::Mutant::none);
  if (!o.until.empty()) {
    auto until = sim::read_duration(o.until);
    if (auto* error = std::get_if<sim::TextError>(&until)) throw UsageError("--until: " + error->message);
    options.until = std::get<sim::Nanos>(until);
  }
  return options;
}

unsigned jobs_of(const SimulateOptions& o) {
  return o.jobs != 0 ? o.jobs : std::max(1U, std::thread::hardware_concurrency());
}

/// Runs `count` tasks on as many threads as asked for; each run is one task and shares nothing with another.
void in_parallel(unsigned jobs, std::uint64_t count, const std::function<void(std::uint64_t)>& task) {
  std::atomic<std::uint64_t> next{0};
  std::vector<std::thread> threads;
  std::mutex mutex;
  std::exception_ptr failed;
  const auto work = [&] {
    for (std::uint64_t i = next++; i < count; i = next++) {
      try {
        task(i);
      } catch (...) {
        const std::scoped_lock lock(mutex);
        if (!failed) failed = std::current_exception();
        next = count;
      }
    }
  };
  for (unsigned i = 1; i < std::min<std::uint64_t>(jobs, count); ++i) threads.emplace_back(work);
  work();
  for (auto& thread : threads) thread.join();
  if (failed) std::rethrow_exception(failed);
}

ScenarioReport run_scenario(const SimulateOptions& o, const Loaded& loaded) {
  const SeedRange seeds = seed_range(o, loaded.scenario);
  ScenarioReport report{loaded.scenario, loaded.file, std::vector<RunResult>(seeds.last - seeds.first + 1), 0, 0, {}};
  if (o.routing != "wsr") report.how += " --routing " + o.routing;
  if (o.mutant != "none") report.how += " --mutant " + o.mutant;
  if (o.twice) report.how += " --twice";
  if (!o.until.empty()) report.how += " --until " + o.until;
  const auto begin = Clock::now();
  Progress progress(!o.quiet && isatty(STDERR_FILENO) != 0, report.runs.size());
  std::atomic<std::uint64_t> events{0};
  in_parallel(jobs_of(o), report.runs.size(), [&](std::uint64_t i) {
    const RunOptions options = run_options(o, loaded, seeds.first + i);
    report.runs[i] = o.twice ? sim::run_twice(loaded.scenario, options) : sim::run(loaded.scenario, options);
    events += report.runs[i].events * (o.twice ? 2 : 1);
    progress.done(report.runs[i].events);
  });
  report.seconds = seconds_since(begin);
  report.events = events;
  return report;
}

std::string shrink_failure(const SimulateOptions& o, const Loaded& loaded, const RunResult& failed) {
  Scenario scenario = sim::vary(loaded.scenario, failed.seed);
  scenario.seed = failed.seed;
  const auto run_once = [&](const Scenario& candidate) {
    RunOptions options = run_options(o, loaded, failed.seed);
    options.events_max = std::max<std::uint64_t>(failed.events * 2, 100'000);
    return o.twice ? sim::run_twice(candidate, options) : sim::run(candidate, options);
  };
  sim::Shrunk shrunk = sim::shrink(scenario, run_once);
  if (shrunk.failure.empty()) {
    std::cerr << fmt::format("wsr: seed {} of {} passed when it was run again, so there is nothing to shrink: the run is "
                             "not one of its seed alone; try --twice\n",
                             failed.seed, loaded.scenario.name);
    return {};
  }
  shrunk.scenario.summary =
      fmt::format("Shrunk from {} by {} runs: fails by {}.", loaded.scenario.name, shrunk.tries, shrunk.failure);
  shrunk.scenario.name = (loaded.scenario.name + "-shrunk").substr(0, 64);
  const fs::path folder = o.out.empty() ? fs::path(".") : fs::path(o.out);
  fs::create_directories(folder);
  const fs::path file = folder / (shrunk.scenario.name + fmt::format("-{}.json", failed.seed));
  std::ofstream(file) << sim::write_scenario(shrunk.scenario);
  if (!o.quiet) {
    std::cerr << fmt::format("shrunk in {} runs: {} to {} steps, {} to {} workloads, {} to {} clients\n", shrunk.tries,
                             loaded.scenario.timeline.size(), shrunk.scenario.timeline.size(),
                             loaded.scenario.workload.size(), shrunk.scenario.workload.size(), loaded.scenario.clients,
                             shrunk.scenario.clients);
  }
  return file.string();
}

void write_file(const fs::path& file, const std::string& text) {
  std::ofstream out(file, std::ios::binary);
  out << text;
  if (!out.flush()) throw std::runtime_error(fmt::format("cannot write '{}'", file.string()));
}

/// Again, with every note kept: the same run.
sim::Trace traced(const SimulateOptions& o, const Loaded& loaded, std::uint64_t seed) {
  sim::Trace trace;
  RunOptions options = run_options(o, loaded, seed);
  options.observer = &trace;
  static_cast<void>(sim::run(loaded.scenario, options));
  return trace;
}

/// For one seed in which all is well the trace would mostly be noise that nobody reads.
bool wants_trace(const ScenarioReport& report) { return report.shown().events < 3'000'000; }

int worst(int a, int b) {
  // Nondeterminism makes all else doubtful; then safety, liveness, vacuous, budget.
  static constexpr int order[] = {0, 4, 3, 5, 2, 1};
  return order[a] >= order[b] ? a : b;
}

// ---------------------------------------------------------------- --compare

int compare(const SimulateOptions& o, const std::vector<Loaded>& scenarios) {
  std::cout << "| scenario | routing | sent | lost in silence | lost, and the sender knows | misdelivered | doubled | "
               "ghosts | store calls a message |\n"
               "|---|---|---:|---:|---:|---:|---:|---:|---:|\n";
  for (const Loaded& loaded : scenarios) {
    for (const char* routing : {"wsr", "naive"}) {
      SimulateOptions each = o;
      each.routing = routing;
      const ScenarioReport report = run_scenario(each, loaded);
      std::uint64_t sent = 0, silent = 0, told = 0, foreign = 0, doubled = 0, ghosts = 0, calls = 0;
      for (const RunResult& run : report.runs) {
        sent += run.of(sim::Metric::send_attempt);
        silent += run.lost_in_silence;
        told += run.lost_and_told;
        foreign += run.misdelivered;
        doubled += run.doubled;
        ghosts += run.ghosts;
        calls += run.of(sim::Metric::store_call);
      }
      std::cout << fmt::format("| {} | {} | {} | {} | {} | {} | {} | {} | {:.2f} |\n", loaded.scenario.name, routing,
                               sent, silent, told, foreign, doubled, ghosts,
                               sent == 0 ? 0.0 : static_cast<double>(calls) / static_cast<double>(sent));
    }
  }
  return 0;
}

// ---------------------------------------------------------------- --mutants

int try_mutants(const SimulateOptions& o, const std::vector<Loaded>& scenarios) {
  constexpr std::uint64_t seeds_each = 4;
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
      for (const Loaded& loaded : scenarios) {
        if (loaded.scenario.clients > 20'000) continue;
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
  if (has_survivor) std::cerr << "wsr: a mutant survived: a checker or a scenario is missing\n";
  return has_survivor ? 1 : 0;
}

int simulate(const SimulateOptions& o) {
  if (!sim::mutant_of(o.mutant)) {
    std::vector<std::string> known;
    known.reserve(sim::mutant_names.size());
    for (const auto& each : sim::mutant_names) known.emplace_back(each.name);
    const std::string near = sim::nearest(o.mutant, known);
    throw UsageError(fmt::format(
        "--mutant '{}' is none{}", o.mutant,
        near.empty() ? fmt::format("; there are: {}", fmt::join(known, ", ")) : ": did you mean " + near + "?"));
  }
  if (o.seed && !o.seeds.empty()) throw UsageError("--seed and --seeds: one of them says which");
  if (!o.trace.empty() && o.trace != "text" && o.trace != "json")
    throw UsageError(fmt::format("--trace '{}' is none: text or json", o.trace));
  const std::vector<Loaded> scenarios = load(scenario_files(o.files));
  if (scenarios.empty()) return exit_sim_scenario;
  if (o.explain) {
    for (const Loaded& loaded : scenarios)
      std::cout << sim::explain(loaded.scenario) << (scenarios.size() > 1 ? "\n" : "");
    return 0;
  }
  if (o.mutants) return try_mutants(o, scenarios);
  if (o.compare) return compare(o, scenarios);

  std::vector<ScenarioReport> reports;
  int code = 0;
  if (!o.out.empty()) fs::create_directories(o.out);
  for (const Loaded& loaded : scenarios) {
    ScenarioReport report = run_scenario(o, loaded);
    code = worst(code, static_cast<int>(report.ending()));
    const bool is_bad = report.failed() != 0;
    if (!o.quiet || is_bad) {
      if (scenarios.size() == 1 || is_bad) {
        std::cout << summary(report);
      } else {
        std::cout << fmt::format("PASSED  {:32} {:4} seed{} {:8.2f} s  {:6.2f} M events/s\n", loaded.scenario.name,
                                 report.runs.size(), report.runs.size() == 1 ? " " : "s", report.seconds,
                                 report.seconds > 0 ? static_cast<double>(report.events) / report.seconds / 1e6 : 0.0);
      }
      std::cout << std::flush;
    }
    const bool has_files = !o.out.empty() && (scenarios.size() == 1 || is_bad);
    if (is_bad || !o.trace.empty() || has_files) {
      const sim::Trace trace =
          is_bad || !o.trace.empty() || wants_trace(report) ? traced(o, loaded, report.shown().seed) : sim::Trace{};
      std::string shrunk;
      if (is_bad && o.shrink) shrunk = shrink_failure(o, loaded, report.shown());
      if (is_bad) std::cout << failure(report, trace, shrunk);
      if (o.trace == "text") {
        for (const auto& note : trace.notes()) std::cout << sim::format_note(note) << '\n';
      } else if (o.trace == "json") {
        std::cout << trace_jsonl(trace);
      }
      if (has_files) {
        const fs::path folder = scenarios.size() == 1 ? fs::path(o.out) : fs::path(o.out) / loaded.scenario.name;
        fs::create_directories(folder);
        write_file(folder / "trace.jsonl", trace_jsonl(trace));
        write_file(folder / "report.html", report_html(report, trace));
      }
    }
    reports.push_back(std::move(report));
  }
  if (!o.out.empty()) {
    write_file(fs::path(o.out) / "result.json", result_json(reports));
    write_file(fs::path(o.out) / "junit.xml", junit_xml(reports));
  }
  if (scenarios.size() > 1 && !o.quiet) {
    const auto bad = std::count_if(reports.begin(), reports.end(), [](const auto& each) { return each.failed() != 0; });
    std::cout << fmt::format("{} of {} scenarios passed\n", reports.size() - static_cast<std::size_t>(bad),
                             reports.size());
  }
  return code;
}

}  // namespace

CLI::App* add_simulate(CLI::App& app, SimulateOptions& o) {
  auto* command =
      app.add_subcommand("simulate", "Replay failure scenarios in a virtual cluster around the same routing core");
  command->footer(
      "Examples:\n"
      "  wsr simulate scenarios/hard-death.json               one scenario, its own seed\n"
      "  wsr simulate scenarios/ --seeds 1..50                all of them, 50 seeds each\n"
      "  wsr simulate scenarios/hard-death.json --compare     beside the hand-made pattern\n\n"
      "Exit codes: 0 passed, 1 safety, 2 liveness, 3 nondeterminism, 4 vacuous, 5 budget, 64 usage, 65 bad scenario,\n"
      "70 internal. docs/scenarios.md describes the files, the checkers and the mutants.");
  command->add_option("FILE", o.files, "Scenario files, or folders of them")->required();
  command->add_option("--seed", o.seed, "Run this seed only")->type_name("N");
  command->add_option("--seeds", o.seeds, "Run these seeds (default: those of the scenario)")->type_name("A..B");
  command->add_option("--jobs", o.jobs, "Runs at once (default: one for each core)")
      ->check(CLI::Range(1, 1'024))
      ->type_name("N");
  command->add_option("--routing", o.routing, "wsr, or the naive pattern: rows without fencing, push by descriptor")
      ->check(CLI::IsMember({"wsr", "naive"}).description(""))
      ->type_name("wsr|naive")
      ->capture_default_str();
  command->add_flag("--compare", o.compare, "Run both kinds of routing on the same faults; a table of what each lost");
  command->add_flag("--shrink", o.shrink, "Make a failing scenario small and save it");
  command->add_flag("--twice", o.twice, "Run each seed twice: both must be the same to the last event");
  command->add_flag("--mutants", o.mutants, "Switch on one known bug after the other; each must be caught");
  command->add_option("--mutant", o.mutant, "Switch on one known bug")->type_name("NAME");
  command->add_option("--trace", o.trace, "Print what happened, event by event")->type_name("text|json");
  command->add_option("--until", o.until, "End at this virtual time")->type_name("TIME");
  command->add_flag("--explain", o.explain, "Print what a scenario does, every default included, and do not run it");
  command->add_option("--out", o.out, "Write result.json, junit.xml, trace.jsonl and report.html there")
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
