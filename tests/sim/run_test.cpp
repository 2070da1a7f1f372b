// Whole runs: the same seed is the same run whatever watches it; figures of known runs; files that are written and
// read.
#include <algorithm>
#include <catch2/catch.hpp>
#include <fstream>
#include <sstream>

#include "sim/scenario_reader.hpp"
#include "sim/shrink.hpp"
#include "sim/trace.hpp"
#include "sim/twice.hpp"
#include "sim/world.hpp"

using namespace wsr::sim;

namespace {

Scenario scenario(const std::string& name) {
  const std::string file = std::string(WSR_SCENARIOS) + "/" + name + ".json";
  std::ifstream in(file);
  REQUIRE(in);
  std::stringstream text;
  text << in.rdbuf();
  auto read = read_scenario(text.str(), file);
  if (const auto* problems = std::get_if<std::vector<Problem>>(&read))
    FAIL(format_problems(text.str(), file, *problems));
  return std::get<Scenario>(read);
}

RunResult run_seed(const Scenario& scenario, std::uint64_t seed, Observer* observer = nullptr) {
  RunOptions options;
  options.seed = seed;
  options.observer = observer;
  return run(scenario, options);
}

}  // namespace

TEST_CASE("the same seed is the same run, traced or not, and another seed is another") {
  for (const char* name : {"hard-death", "reconnect-storm", "room-churn", "lost-replies", "swarm"}) {
    INFO(name);
    const Scenario given = scenario(name);
    const RunResult first = run_seed(given, 3);
    const RunResult second = run_seed(given, 3);
    CHECK(first.hash == second.hash);
    CHECK(first.events == second.events);
    Trace trace;
    const RunResult traced = run_seed(given, 3, &trace);
    CHECK(traced.hash == first.hash);
    CHECK(!trace.notes().empty());
    CHECK(run_seed(given, 4).hash != first.hash);
  }
}

TEST_CASE("a run that draws from outside its seed is caught, and the first event that differs is named") {
  const Scenario given = scenario("reconnect-storm");
  RunOptions options;
  CHECK(run_twice(given, options).ending == Ending::passed);
  std::vector<EventMark> sound;
  options.marks = &sound;
  (void)run(given, options);
  options.mutant = Mutant::unseeded;
  const RunResult caught = run_twice(given, options);
  CHECK(caught.ending == Ending::nondeterminism);
  REQUIRE(!caught.findings.empty());
  const Finding& finding = caught.findings.front();
  CHECK(finding.checker == "determinism");
  // The mutant moves the moment at which the first client comes back: until then its runs are the sound one.
  std::vector<EventMark> moved;
  options.marks = &moved;
  (void)run(given, options);
  const auto differs = std::mismatch(sound.begin(), sound.end(), moved.begin(), moved.end(),
                                     [](const EventMark& a, const EventMark& b) { return a.hash == b.hash; });
  const auto at = static_cast<std::uint64_t>(differs.first - sound.begin()) + 1;
  CHECK(finding.event == at);
  CHECK(differs.first->kind == EventKind::client_act);
  INFO(finding.what);
  CHECK(finding.what.find("differ first at event " + std::to_string(at) + ": a client_act event") != std::string::npos);
}

TEST_CASE("what is expected changes nothing: with and without expectations it is one run") {
  for (const char* name : {"hard-death", "swarm", "lost-replies"}) {
    INFO(name);
    const Scenario given = scenario(name);
    Scenario without = given;
    without.expect.clear();
    without.groups.clear();
    CHECK(run_seed(given, 5).hash == run_seed(without, 5).hash);
  }
}

TEST_CASE("what a fault takes away moves no other draw: before the first fault two runs are one") {
  const Scenario given = scenario("hard-death");
  Scenario without = given;
  without.timeline.clear();
  without.expect.resize(1);
  without.groups.clear();
  RunOptions options;
  options.until = 9 * second;
  const RunResult a = run(given, options);
  Scenario varied = without;
  varied.sweep = {};
  const RunResult b = run(varied, options);
  CHECK(a.of(Metric::send_attempt) == b.of(Metric::send_attempt));
  CHECK(a.of(Metric::deliver) == b.of(Metric::deliver));
}

TEST_CASE("a scenario that is written and read again is the same run") {
  for (const char* name : {"hard-death", "slow-consumer-drop", "swarm", "failover-lost-writes", "capacity"}) {
    INFO(name);
    const Scenario given = scenario(name);
    const std::string text = write_scenario(given);
    auto read = read_scenario(text, "again");
    if (const auto* problems = std::get_if<std::vector<Problem>>(&read))
      FAIL(format_problems(text, "again", *problems));
    const auto& again = std::get<Scenario>(read);
    CHECK(write_scenario(again) == text);
    CHECK(run_seed(again, 2).hash == run_seed(given, 2).hash);
    CHECK(!explain(given).empty());
  }
}

TEST_CASE("a failing scenario is made small and still fails in the same way") {
  Scenario given = scenario("stale-owner-rows");
  const auto run_once = [](const Scenario& candidate) {
    RunOptions options;
    options.mutant = Mutant::unfenced_release;
    return run(candidate, options);
  };
  const Shrunk shrunk = shrink(given, run_once);
  CHECK(shrunk.failure == "fenced-release");
  CHECK(shrunk.scenario.timeline.size() <= 1);
  CHECK(shrunk.scenario.clients <= given.clients / 2);
  CHECK(failure_of(run_once(shrunk.scenario)) == "fenced-release");
  CHECK(run(shrunk.scenario, {}).findings.empty());
}

TEST_CASE("the naive pattern loses in the same world what ours does not") {
  const Scenario given = scenario("fd-reuse");
  RunOptions options;
  const RunResult ours = run(given, options);
  options.routing = Routing::naive;
  const RunResult naive = run(given, options);
  CHECK(ours.misdelivered == 0);
  CHECK(ours.lost_in_silence == 0);
  CHECK(naive.misdelivered > 0);
  CHECK(naive.lost_in_silence + naive.lost_and_told > ours.lost_and_told);
}
