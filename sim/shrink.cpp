#include "sim/shrink.hpp"

#include <algorithm>
#include <utility>
#include <vector>

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
    if (tries_ >= shrink_tries_max) return false;
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
        if (is_whole(candidate) && take(std::move(candidate))) {
          has_gained = true;
        } else {
          at = end;
        }
      }
    }
    return has_gained;
  }

  bool drop_expectations() {
    bool has_gained = false;
    for (std::size_t at = 0; at < best_.expect.size() && best_.expect.size() > 1;) {
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
      if (!is_in_range(candidate) || !take(std::move(candidate))) break;
      has_gained = true;
    }
    return has_gained;
  }

  bool shorter() {
    const Nanos wanted = ended_at_ + second;
    if (wanted >= best_.duration) return false;
    Scenario candidate = best_;
    candidate.duration = wanted;
    for (const Step& step : candidate.timeline) {
      if (step.at.step.empty() && step.at.offset >= wanted) return false;
    }
    return take(std::move(candidate));
  }

  /// No moment hangs on a step that is not there.
  static bool is_whole(const Scenario& scenario) {
    const auto has = [&](const When& when) {
      return when.step.empty() || std::any_of(scenario.timeline.begin(), scenario.timeline.end(),
                                              [&](const Step& step) { return step.id == when.step; });
    };
    return std::all_of(scenario.timeline.begin(), scenario.timeline.end(), [&](const Step& s) { return has(s.at); }) &&
           std::all_of(scenario.workload.begin(), scenario.workload.end(),
                       [&](const Workload& w) { return has(w.start) && has(w.stop); }) &&
           std::all_of(scenario.expect.begin(), scenario.expect.end(),
                       [&](const Expectation& e) { return has(e.from) && has(e.to); });
  }

  /// No selector names somebody who is not there.
  static bool is_in_range(const Scenario& scenario) {
    const std::function<bool(const Selector&)> fits = [&](const Selector& s) {
      if (s.kind == Selector::Kind::range_servers && s.to > scenario.servers) return false;
      if (s.kind == Selector::Kind::range_clients && s.to >= scenario.clients) return false;
      if (s.kind == Selector::Kind::owner && s.from >= scenario.clients) return false;
      return std::all_of(s.parts.begin(), s.parts.end(), fits);
    };
    const auto maybe = [&](const std::optional<Selector>& s) { return !s || fits(*s); };
    for (const Step& step : scenario.timeline) {
      if (!maybe(step.target) || !maybe(step.between_a) || !maybe(step.between_b)) return false;
    }
    for (const Workload& workload : scenario.workload) {
      if (!fits(workload.from) || !maybe(workload.to)) return false;
    }
    for (const Expectation& each : scenario.expect) {
      for (const auto& comparison : each.expression.all) {
        if (!maybe(comparison.left.among) || !maybe(comparison.right.among)) return false;
      }
    }
    return std::all_of(scenario.groups.begin(), scenario.groups.end(),
                       [&](const auto& group) { return fits(group.second); });
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
    if (outcome.verdict != Outcome::Verdict::passed) return "expectation " + outcome.name;
  }
  return result.ending == Ending::budget ? "budget" : std::string();
}

Shrunk shrink(const Scenario& scenario, const std::function<RunResult(const Scenario&)>& run_once) {
  return Shrinker(scenario, run_once).work();
}

}  // namespace wsr::sim
