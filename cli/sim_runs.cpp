#include "cli/sim_runs.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <charconv>
#include <chrono>
#include <exception>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <mutex>
#include <sstream>
#include <string_view>
#include <system_error>
#include <thread>
#include <utility>
#include <variant>

#include "cli/exit_code.hpp"
#include "cli/sim_config.hpp"
#include "sim/mutants.hpp"
#include "sim/scenario_reader.hpp"
#include "sim/scenario_text.hpp"
#include "sim/twice.hpp"

namespace wsr::cli {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;
using sim::RunOptions;
using sim::RunResult;
using sim::Scenario;

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

constexpr std::uint64_t seeds_max = 1'000'000;  // some 2 GB of results

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
    throw UsageError(fmt::format("--seeds '{}' is not a range such as 1..50", o.seeds));
  }
  if (range.last - range.first >= seeds_max)
    throw UsageError(
        fmt::format("--seeds '{}' names more than {} seeds: each keeps its result in memory", o.seeds, seeds_max));
  if (range.last > sim::seed_max)
    throw UsageError(fmt::format("--seeds '{}' goes too far: a seed is at most {}", o.seeds, sim::seed_max));
  return range;
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

}  // namespace

std::vector<LoadedScenario> load_scenarios(const std::vector<std::string>& named) {
  std::vector<LoadedScenario> loaded;
  bool is_bad = false;
  for (const std::string& file : scenario_files(named)) {
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

RunOptions run_options(const SimulateOptions& o, const LoadedScenario& loaded, std::uint64_t seed) {
  RunOptions options;
  options.seed = seed;
  options.config = loaded.config;
  options.counts_ghosts = o.compare;
  options.routing = o.routing == "naive" ? sim::Routing::naive : sim::Routing::wsr;
  options.mutant = sim::mutant_of(o.mutant).value_or(sim::Mutant::none);
  if (!o.until.empty()) {
    auto until = sim::read_duration(o.until);
    if (auto* error = std::get_if<sim::TextError>(&until)) throw UsageError("--until: " + error->message);
    options.until = std::get<sim::Nanos>(until);
  }
  return options;
}

RunResult run_as_asked(const SimulateOptions& o, const Scenario& scenario, const RunOptions& options) {
  return o.twice ? sim::run_twice(scenario, options) : sim::run(scenario, options);
}

unsigned jobs_of(const SimulateOptions& o) {
  return o.jobs != 0 ? o.jobs : std::max(1U, std::thread::hardware_concurrency());
}

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
  for (unsigned i = 1; i < std::min<std::uint64_t>(jobs, count); ++i) {
    try {
      threads.emplace_back(work);
    } catch (const std::system_error&) {
      break;  // no more of them are to be had: those that run do the work
    }
  }
  work();
  for (auto& thread : threads) thread.join();
  if (failed) std::rethrow_exception(failed);
}

ScenarioReport run_scenario(const SimulateOptions& o, const LoadedScenario& loaded) {
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
    report.runs[i] = run_as_asked(o, loaded.scenario, options);
    events += report.runs[i].events * (o.twice ? 2 : 1);
    progress.done(report.runs[i].events * (o.twice ? 2 : 1));
  });
  report.seconds = seconds_since(begin);
  report.events = events;
  return report;
}

}  // namespace wsr::cli
