#include "sim/shrink.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>
#include <variant>
#include <vector>

#include "sim/scenario_reader.hpp"
#include "sim/scenario_text.hpp"

namespace wsr::sim {
namespace {

class Shrinker {
public:
  Shrinker(const Scenario& scenario, const std::function<RunResult(const Scenario&)>& run_once)
      : best_(scenario), run_(run_once) {
    const RunResult first = run_(best_);
    failure_ = failure_of(first);
    ended_at_ = when(first);
  }

  Shrunk work() {
    best_.sweep = {};
    if (failure_.empty()) return {best_, 0, {}};
    bool has_gained = true;
    if (!failure_.starts_with("expectation ")) expect_nothing();
    while (has_gained && tries_ < shrink_tries_max) {
      has_gained = drop_parts(&Scenario::timeline) || drop_parts(&Scenario::workload) || drop_expectations() ||
                   fewer(&Scenario::clients, 1) || fewer(&Scenario::servers, 1) || shorter();
    }
    return {best_, tries_, failure_};
  }

private:
  static Nanos when(const RunResult& result) {
    if (!result.findings.empty()) return result.findings.front().at;
    for (const Outcome& outcome : result.outcomes) {
      if (outcome.verdict != Outcome::Verdict::passed) return outcome.at;
    }
    return result.ended_at;
  }

  bool take(Scenario&& candidate) {
    if (tries_ >= shrink_tries_max || !is_readable(candidate)) return false;
    ++tries_;
    const RunResult result = run_(candidate);
    if (failure_of(result) != failure_) return false;
    best_ = std::move(candidate);
    ended_at_ = when(result);
    return true;
  }

  /// Leaves out half, then quarters, ... then single ones.
  template <class Part>
  bool drop_parts(std::vector<Part> Scenario::*parts) {
    bool has_gained = false;
    for (std::size_t chunk = (best_.*parts).size(); chunk > 0; chunk /= 2) {
      for (std::size_t at = 0; at < (best_.*parts).size();) {
        Scenario candidate = best_;
        auto& list = candidate.*parts;
        const std::size_t end = std::min(at + chunk, list.size());
        list.erase(list.begin() + static_cast<std::ptrdiff_t>(at), list.begin() + static_cast<std::ptrdiff_t>(end));
        if (take(std::move(candidate))) {
          has_gained = true;
        } else {
          at = end;
        }
      }
    }
    return has_gained;
  }

  /// A checker found it: the scenario's own expectations, which a smaller one would only make vacuous, say nothing to
  /// it.
  void expect_nothing() {
    Scenario candidate = best_;
    std::erase_if(candidate.expect, [](const Expectation& each) { return each.kind != Expectation::Kind::waive; });
    Expectation each;
    each.name = "a checker finds it";
    each.expression = std::get<Expression>(read_expression("size(clients) > 0"));
    candidate.expect.push_back(std::move(each));
    static_cast<void>(take(std::move(candidate)));
  }

  bool drop_expectations() {
    bool has_gained = false;
    for (std::size_t at = 0; at < best_.expect.size() && best_.expect.size() > 1;) {
      // A waiver stays: without it the smaller scenario might fail by what was excused.
      if (best_.expect[at].kind == Expectation::Kind::waive) {
        ++at;
        continue;
      }
      Scenario candidate = best_;
      candidate.expect.erase(candidate.expect.begin() + static_cast<std::ptrdiff_t>(at));
      if (take(std::move(candidate))) {
        has_gained = true;
      } else {
        ++at;
      }
    }
    return has_gained;
  }

  bool fewer(std::uint32_t Scenario::*count, std::uint32_t least) {
    bool has_gained = false;
    while (best_.*count > least) {
      Scenario candidate = best_;
      candidate.*count = std::max(least, best_.*count / 2);
      if (!take(std::move(candidate))) break;
      has_gained = true;
    }
    return has_gained;
  }

  bool shorter() {
    const Nanos wanted = ended_at_ + second;
    if (wanted >= best_.duration) return false;
    Scenario candidate = best_;
    candidate.duration = wanted;
    for (Workload& workload : candidate.workload) {
      if (workload.stop.step.empty() && !workload.stop.is_end && workload.stop.offset >= wanted)
        workload.stop = Workload{}.stop;
    }
    return take(std::move(candidate));
  }

  /// What is saved must be a scenario: no window after the end, nobody named who is not there.
  static bool is_readable(const Scenario& scenario) {
    return std::holds_alternative<Scenario>(read_scenario(write_scenario(scenario), {}));
  }

  Scenario best_;
  const std::function<RunResult(const Scenario&)>& run_;
  std::string failure_;
  Nanos ended_at_ = 0;
  std::uint32_t tries_ = 0;
};

}  // namespace

std::string failure_of(const RunResult& result) {
  if (!result.findings.empty()) return result.findings.front().checker;
  for (const Outcome& outcome : result.outcomes) {
    if (outcome.verdict == Outcome::Verdict::passed) continue;
    return fmt::format("expectation {} ({})", outcome.name, to_string(outcome.verdict));
  }
  return result.ending == Ending::budget ? "budget" : std::string();
}

Shrunk shrink(const Scenario& scenario, const std::function<RunResult(const Scenario&)>& run_once) {
  return Shrinker(scenario, run_once).work();
}

}  // namespace wsr::sim
