#include "cli/sim_report.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "cli/sim_page.hpp"
#include "cli/web/page.hpp"

namespace wsr::cli {
namespace {

using nlohmann::ordered_json;
using sim::Ending;
using sim::Metric;
using sim::Outcome;
using sim::RunResult;

double ms(std::uint64_t nanos) { return static_cast<double>(nanos) / 1e6; }
double seconds_of(sim::Nanos nanos) { return static_cast<double>(nanos) / 1e9; }

/// "message 228 of c4" speaks of what carries "m228"; empty if it speaks of none.
std::string message_in(std::string_view what) {
  constexpr std::string_view word = "message ";
  const auto at = what.find(word);
  if (at == std::string_view::npos) return {};
  const std::string_view rest = what.substr(at + word.size());
  const std::string_view digits = rest.substr(0, rest.find_first_not_of("0123456789"));
  return digits.empty() ? std::string() : fmt::format("m{}", digits);
}

std::string xml(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      default:
        if (static_cast<unsigned char>(c) >= 0x20 || c == '\n' || c == '\t') out += c;
    }
  }
  return out;
}

ordered_json json_of(const RunResult& run) {
  ordered_json out;
  out["seed"] = run.seed;
  out["ending"] = to_string(run.ending);
  out["hash"] = fmt::format("{:016x}", run.hash);
  out["events"] = run.events;
  out["virtual_seconds"] = seconds_of(run.ended_at);
  out["latency_ms"] = {{"p50", ms(run.latency_p50)}, {"p99", ms(run.latency_p99)}, {"max", ms(run.latency_max)}};
  for (std::size_t i = 0; i < run.counts.size(); ++i)
    out["counts"][std::string(sim::metric_names[i].name)] = run.counts[i];
  out["findings"] = ordered_json::array();
  for (const auto& finding : run.findings) {
    out["findings"].push_back({{"checker", finding.checker},
                               {"what", finding.what},
                               {"at_seconds", seconds_of(finding.at)},
                               {"event", finding.event}});
  }
  out["findings_found"] = run.finding_count;  // of which the list has the first of each checker
  out["waived"] = run.waived_count;
  out["lost_outside"] = run.toll.lost_outside;
  out["lost_in_silence"] = run.toll.lost_in_silence;
  out["lost_and_told"] = run.toll.lost_and_told;
  out["misdelivered"] = run.misdelivered;
  out["doubled"] = run.doubled;
  out["ghosts"] = run.ghosts;
  out["expectations"] = ordered_json::array();
  for (const auto& outcome : run.outcomes) {
    ordered_json each = {{"name", outcome.name}, {"verdict", to_string(outcome.verdict)}, {"says", outcome.says}};
    if (outcome.from) each["from_seconds"] = seconds_of(*outcome.from);
    if (outcome.to) each["to_seconds"] = seconds_of(*outcome.to);
    each["judged_seconds"] = seconds_of(outcome.at);
    out["expectations"].push_back(std::move(each));
  }
  out["not_judged"] = run.not_judged;
  return out;
}

/// What went wrong with one checker or expectation over all seeds.
struct Trouble {
  std::string says;  // in the first of the seeds
  std::vector<std::uint64_t> seeds;
  void add(const std::string& what, std::uint64_t seed) {
    if (says.empty()) says = what;
    if (seeds.empty() || seeds.back() != seed) seeds.push_back(seed);
  }
  [[nodiscard]] std::string seeds_in_words() const {
    constexpr std::size_t shown = 20;
    const std::size_t count = std::min(seeds.size(), shown);
    std::string out = fmt::format("seed{} {}", seeds.size() == 1 ? "" : "s",
                                  fmt::join(seeds.begin(), seeds.begin() + static_cast<std::ptrdiff_t>(count), ", "));
    if (seeds.size() > count) out += fmt::format(" and {} more", seeds.size() - count);
    return out;
  }
};

/// Of all seeds together: a case for each checker and expectation.
class JunitSuite {
public:
  explicit JunitSuite(const ScenarioReport& report) : report_(report) {}

  std::string write() {
    std::map<std::string, Trouble> findings, expectations;
    std::vector<std::string> names;  // of expectations, in their order
    std::set<std::string> not_judged;
    Trouble runs;
    for (const RunResult& run : report_.runs) {
      for (const auto& finding : run.findings) findings[finding.checker].add(finding.what, run.seed);
      for (const Outcome& outcome : run.outcomes) {
        if (expectations.try_emplace(outcome.name).second) names.push_back(outcome.name);
        if (outcome.verdict != Outcome::Verdict::passed)
          expectations[outcome.name].add(fmt::format("{}: {}", to_string(outcome.verdict), outcome.says), run.seed);
      }
      for (const std::string& name : run.not_judged) {
        if (expectations.try_emplace(name).second) names.push_back(name);
        not_judged.insert(name);
      }
      if (run.ending == Ending::budget || run.ending == Ending::nondeterminism)
        runs.add(std::string(to_string(run.ending)), run.seed);
    }
    const RunResult& first = report_.runs.front();
    const bool is_cut = first.ended_at < report_.scenario.duration + report_.scenario.settle;
    for (const auto& checker : sim::checker_names) {
      const bool is_open = is_cut && sim::is_judged_at_end(checker.name);
      add(checker.name, findings[std::string(checker.name)], is_open);
    }
    for (const std::string& name : names) add(name, expectations[name], not_judged.contains(name));
    if (!runs.seeds.empty()) add("run", runs, false);
    return fmt::format(
        "  <testsuite name=\"{}\" tests=\"{}\" failures=\"{}\" skipped=\"{}\" time=\"{:.3f}\">\n{}  </testsuite>\n",
        xml(report_.scenario.name), count_, failures_, skipped_, report_.seconds, cases_);
  }

private:
  void add(std::string_view name, const Trouble& trouble, bool is_open) {
    ++count_;
    cases_ += fmt::format("    <testcase classname=\"{}\" name=\"{}\"", xml(report_.scenario.name), xml(name));
    if (!trouble.seeds.empty()) {
      ++failures_;
      const auto run = std::find_if(report_.runs.begin(), report_.runs.end(),
                                    [&](const RunResult& each) { return each.seed == trouble.seeds.front(); });
      cases_ += fmt::format(">\n      <failure message=\"{}\">{}&#10;{}</failure>\n    </testcase>\n",
                            xml(trouble.says), xml(trouble.seeds_in_words()), xml(replay_command(report_, *run)));
    } else if (is_open) {
      ++skipped_;
      cases_ += ">\n      <skipped message=\"the run ended before this was judged\"/>\n    </testcase>\n";
    } else {
      cases_ += "/>\n";
    }
  }

  const ScenarioReport& report_;
  std::string cases_;
  std::size_t count_ = 0, failures_ = 0, skipped_ = 0;
};

}  // namespace

int severity(Ending ending) {
  switch (ending) {
    case Ending::passed:
      return 0;
    case Ending::budget:
      return 1;
    case Ending::vacuous:
      return 2;
    case Ending::liveness:
      return 3;
    case Ending::safety:
      return 4;
    case Ending::nondeterminism:
      break;
  }
  return 5;
}

std::string in_shell(std::string_view word) {
  constexpr std::string_view plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./,:+@%=";
  if (!word.empty() && word.find_first_not_of(plain) == std::string_view::npos) return std::string(word);
  std::string quoted = "'";
  for (const char c : word) quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return quoted + "'";
}

const RunResult& ScenarioReport::shown() const {
  // Of several equal ones max_element gives the first.
  return *std::max_element(runs.begin(), runs.end(), [](const RunResult& a, const RunResult& b) {
    return severity(a.ending) < severity(b.ending);
  });
}

std::size_t ScenarioReport::failed() const {
  return static_cast<std::size_t>(
      std::count_if(runs.begin(), runs.end(), [](const RunResult& run) { return run.ending != Ending::passed; }));
}

namespace {

/// " (9, 13, 18)"; nothing if it is the only one.
std::string failed_seeds(const ScenarioReport& report) {
  constexpr std::size_t named_max = 10;
  if (report.failed() < 2) return {};
  std::string seeds;
  std::size_t named = 0;
  for (const RunResult& run : report.runs) {
    if (run.ending == Ending::passed) continue;
    if (named++ == named_max) return fmt::format(" ({}, ...: --out DIR has them all)", seeds);
    seeds += fmt::format("{}{}", seeds.empty() ? "" : ", ", run.seed);
  }
  return fmt::format(" ({})", seeds);
}

}  // namespace

std::string replay_command(const ScenarioReport& report, const RunResult& run, const std::string& program) {
  return fmt::format("{} simulate {} --seed {}{} --trace text", program, in_shell(report.file), run.seed, report.how);
}

std::string summary_line(const ScenarioReport& report) {
  return fmt::format("PASSED  {:32} {:4} seed{} {:8.2f} s  {:6.2f} M events/s\n", report.scenario.name,
                     report.runs.size(), report.runs.size() == 1 ? " " : "s", report.seconds,
                     report.seconds > 0 ? static_cast<double>(report.events) / report.seconds / 1e6 : 0.0);
}

std::string summary(const ScenarioReport& report) {
  const RunResult& run = report.shown();
  const sim::Scenario& s = report.scenario;
  std::string out = fmt::format("{}: {}\n", s.name, s.summary);
  const auto held = std::count_if(run.outcomes.begin(), run.outcomes.end(),
                                  [](const Outcome& each) { return each.verdict == Outcome::Verdict::passed; });
  const std::uint64_t dropped = run.of(Metric::send_slow_consumer) + run.of(Metric::send_rate_limited) +
                                run.of(Metric::send_capacity) + run.of(Metric::send_refused);
  out += fmt::format(
      "  run       {} seed{} ({}), {} servers, {} clients, {:g} s of virtual time; {} events in {:.2f} s ({:.2f} "
      "M/s){}\n",
      report.runs.size(), report.runs.size() == 1 ? "" : "s",
      report.runs.size() == 1 ? fmt::format("{}", run.seed)
                              : fmt::format("{}..{}", report.runs.front().seed, report.runs.back().seed),
      s.servers, s.clients, seconds_of(run.ended_at), report.events, report.seconds,
      report.seconds > 0 ? static_cast<double>(report.events) / report.seconds / 1e6 : 0.0,
      report.runs.size() == 1 ? std::string() : fmt::format("; below: seed {}", run.seed));
  out += fmt::format(
      "  messages  {} sent, {} heard; outcomes: {} delivered, {} offline, {} dropped, {} unknown; p50 {:.2f} ms, p99 "
      "{:.2f} "
      "ms\n",
      run.of(Metric::send_attempt), run.of(Metric::deliver), run.of(Metric::send_delivered),
      run.of(Metric::send_offline), dropped, run.of(Metric::send_unknown), ms(run.latency_p50), ms(run.latency_p99));
  out += fmt::format("  rooms     {} joins, {} pushes, {} messages heard; {} joined, {} left\n",
                     run.of(Metric::join_ok), run.of(Metric::push_attempt), run.of(Metric::room_message),
                     run.of(Metric::room_joined), run.of(Metric::room_left));
  out +=
      fmt::format("  clients   {} welcomes, {} closes, {} connected at the end; {} store calls\n",
                  run.of(Metric::connect_open), run.of(Metric::close_any), run.connected, run.of(Metric::store_call));
  out += fmt::format("  contract  {} checkers, {} finding{}{}\n", sim::checker_names.size(), run.finding_count,
                     run.finding_count == 1 ? "" : "s",
                     run.waived_count == 0 ? "" : fmt::format(", {} waived", run.waived_count));
  out += fmt::format("  expected  {} of {} hold{}; trace hash {:016x}\n", held, run.outcomes.size(),
                     run.not_judged.empty() ? std::string() : fmt::format(", {} not judged", run.not_judged.size()),
                     run.hash);
  const bool is_cut = run.ended_at < s.duration + s.settle;
  if (report.failed() == 0 && is_cut) {
    out += fmt::format("  PASSED    until {:g} s: nothing that comes later was judged\n", seconds_of(run.ended_at));
  } else if (report.failed() == 0) {
    out += "  PASSED\n";
  } else {
    out += fmt::format("  FAILED    {} of {} seeds{}; the worst is {}, {}\n", report.failed(), report.runs.size(),
                       failed_seeds(report), run.seed, to_string(run.ending));
  }
  return out;
}

std::string failure(const ScenarioReport& report, const sim::Trace& trace, const std::string& program) {
  const RunResult& run = report.shown();
  std::string out;
  std::uint64_t event = run.events;
  sim::Trace::Subjects subjects;
  if (run.ending == Ending::budget) {
    out += fmt::format(
        "FAIL {}  seed {}  t={:.6f} s  budget\n  its budget of {} events is used up: raise budget.events, or make the "
        "run shorter\n",
        report.scenario.name, run.seed, seconds_of(run.ended_at), run.events);
  }
  if (!run.findings.empty()) {
    const sim::Finding& finding = run.findings.front();
    const auto line = std::find_if(sim::checker_names.begin(), sim::checker_names.end(),
                                   [&](const auto& each) { return each.name == finding.checker; });
    const std::string guards = line == sim::checker_names.end() ? std::string("a seed is one run, to the last event")
                                                                : fmt::format("{}: {}", line->contract, line->says);
    out += fmt::format("FAIL {}  seed {}  t={:.6f} s  {} ({})\n  {}\n", report.scenario.name, run.seed,
                       seconds_of(finding.at), finding.checker, guards, finding.what);
    event = finding.event;
    if (finding.client != sim::nobody) subjects.client = sim::Population::name_of(finding.client);
    subjects.message = message_in(finding.what);
  }
  for (const Outcome& outcome : run.outcomes) {
    if (outcome.verdict == Outcome::Verdict::passed) continue;
    if (run.findings.empty()) event = std::min(event, outcome.event);  // "why" is of the first
    out += fmt::format("FAIL {}  seed {}  t={:.6f} s  expectation {}: {} ({})\n  {}:{}:{}\n", report.scenario.name,
                       run.seed, seconds_of(outcome.at), outcome.name, outcome.says, to_string(outcome.verdict),
                       report.file, outcome.position.line, outcome.position.column);
  }
  if (run.finding_count > 1)
    out += fmt::format("  and {} more finding{}\n", run.finding_count - 1, run.finding_count == 2 ? "" : "s");
  const auto why = trace.why(event, subjects, 30);
  if (!why.empty()) out += "  why\n";
  for (const auto& note : why) out += "    " + format_note(note).substr(0, 180) + "\n";
  out += fmt::format("  replay: {}\n", replay_command(report, run, program));
  return out;
}

std::string result_json(const std::vector<ScenarioReport>& reports) {
  ordered_json out;
  out["version"] = 1;
  out["scenarios"] = ordered_json::array();
  for (const ScenarioReport& report : reports) {
    ordered_json each;
    each["scenario"] = report.scenario.name;
    each["file"] = report.file;
    each["summary"] = report.scenario.summary;
    each["ending"] = to_string(report.ending());
    if (!report.how.empty()) each["with"] = report.how.substr(1);
    each["seeds"] = report.runs.size();
    each["failed"] = report.failed();
    each["seconds"] = report.seconds;
    each["runs"] = ordered_json::array();
    for (const RunResult& run : report.runs) each["runs"].push_back(json_of(run));
    out["scenarios"].push_back(std::move(each));
  }
  return out.dump(1) + "\n";
}

std::string junit_xml(const std::vector<ScenarioReport>& reports) {
  std::string out = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n";
  for (const ScenarioReport& report : reports) out += JunitSuite(report).write();
  return out + "</testsuites>\n";
}

std::string trace_jsonl(const sim::Trace& trace) {
  std::string out;
  if (trace.notes_left_out() != 0) {
    const nlohmann::ordered_json line = {
        {"event", 0},
        {"cause", 0},
        {"ns", 0},
        {"text", fmt::format("{} earlier lines are left out: --until shows the beginning", trace.notes_left_out())}};
    out += line.dump() + "\n";
  }
  for (const auto& note : trace.notes()) {
    const nlohmann::ordered_json line = {
        {"event", note.event}, {"cause", trace.cause_of(note.event)}, {"ns", note.at}, {"text", note.text}};
    out += line.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
  }
  return out;
}

std::string report_html(const ScenarioReport& report, const sim::Trace& trace) {
  const RunResult& run = report.shown();
  ordered_json data = json_of(run);
  data["scenario"] = report.scenario.name;
  data["summary"] = report.scenario.summary;
  data["duration"] = seconds_of(report.scenario.duration);
  data["replay"] = replay_command(report, run);
  data["with"] = report.how;
  data["seeds"] = report.runs.size();
  data["seeds_failed"] = report.failed();
  data.update(picture_of(sim::vary(report.scenario, run.seed), run, trace));
  std::string text = data.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  // Inside <script>: neither an end tag nor the beginning of a comment may stand in it.
  std::string safe;
  safe.reserve(text.size());
  for (const char c : text) safe += c == '<' ? std::string("\\u003c") : std::string(1, c);
  std::string page(simulation_page());
  const std::string_view mark = "/*DATA*/null";
  const auto at = page.find(mark);
  if (at != std::string::npos) page.replace(at, mark.size(), safe);
  return page;
}

}  // namespace wsr::cli
