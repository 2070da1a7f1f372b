// Whole runs: the same seed is the same run whatever watches it; figures of known runs; files that are written and
// read.
#include <algorithm>
#include <catch2/catch.hpp>
#include <fstream>
#include <sstream>

#include "sim/scenario_explain.hpp"
#include "sim/scenario_reader.hpp"
#include "sim/shrink.hpp"
#include "sim/trace.hpp"
#include "sim/twice.hpp"
#include "sim/world.hpp"

using namespace wsr::sim;

namespace {

Scenario parsed(const std::string& text, const std::string& file = "in the test") {
  auto read = read_scenario(text, file);
  if (const auto* problems = std::get_if<std::vector<Problem>>(&read)) FAIL(format_problems(text, file, *problems));
  return std::get<Scenario>(read);
}

Scenario scenario(const std::string& name) {
  const std::string file = std::string(WSR_SCENARIOS) + "/" + name + ".json";
  std::ifstream in(file);
  REQUIRE(in);
  std::stringstream text;
  text << in.rdbuf();
  return parsed(text.str(), file);
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

TEST_CASE("results that differ are no one run, though every event is the same") {
  RunOptions options;
  options.mutant = Mutant::unsteady_figure;
  const RunResult caught = run_twice(scenario("several-devices"), options);
  CHECK(caught.ending == Ending::nondeterminism);
  REQUIRE(!caught.findings.empty());
  INFO(caught.findings.front().what);
  CHECK(caught.findings.front().what.find("results differ in ghosts: ") != std::string::npos);
}

TEST_CASE("a scenario that does not fail is not shrunk") {
  std::uint32_t runs = 0;
  const Shrunk shrunk = shrink(scenario("client-hopping"), [&](const Scenario& candidate) {
    ++runs;
    return run(candidate, {});
  });
  CHECK(shrunk.failure.empty());
  CHECK(shrunk.tries == 0);
  CHECK(runs == 1);
}

TEST_CASE("findings beyond those that are listed are counted, and a page still has its first steps") {
  const Scenario given = parsed(R"J({
    "scenario": "many-findings", "summary": "more goes wrong than anybody reads", "duration": "40s", "settle": "10s",
    "cluster": {"servers": {"count": 2}, "clients": {"count": 80}},
    "workload": [{"id": "talk", "op": "send", "from": "clients", "to": "clients", "rate": "4k/s", "start": "2s"}],
    "timeline": [{"id": "drop", "at": "5s", "do": "drop", "target": "c1"}],
    "expect": [{"check": "count(deliver) > 1000", "name": "enough"}]})J");
  RunOptions options;
  options.mutant = Mutant::doubled_frame;
  Trace trace;
  options.observer = &trace;
  const RunResult result = run(given, options);
  CHECK(result.ending == Ending::safety);
  CHECK(result.finding_count > 2'000);
  CHECK(std::count_if(result.findings.begin(), result.findings.end(),
                      [](const Finding& f) { return f.checker == "at-most-once"; }) == RunResult::findings_each);
  CHECK(trace.notes_left_out() > 0);
  REQUIRE(!trace.marks().empty());
  CHECK(trace.marks().size() <= Trace::marks_max);
  const auto step = std::find_if(trace.marks().begin(), trace.marks().end(),
                                 [](const auto& mark) { return mark.note.text.starts_with("STEP drop"); });
  REQUIRE(step != trace.marks().end());
  CHECK(step->place < trace.notes_left_out());  // no note says it any more
}

TEST_CASE("a mark of a trace stands at its place among the notes, and beyond the last one that is kept it is counted") {
  Trace trace;
  for (std::uint64_t i = 0; i < Trace::marks_max + 3; ++i) {
    trace.on_note(i, 0, "something");
    trace.on_note(i, 0, "FINDING " + std::to_string(i));
  }
  REQUIRE(trace.marks().size() == Trace::marks_max);
  CHECK(trace.marks_left_out() == 3);
  for (const auto& mark : trace.marks()) {
    if (trace.notes()[mark.place].text != mark.note.text) FAIL(mark.note.text);
  }
}

TEST_CASE("what is waived, however much it is, hides nothing that is not") {
  Scenario given = parsed(R"J({
    "scenario": "waived-flood", "summary": "a checker is waived in the first half", "duration": "40s", "settle": "10s",
    "cluster": {"servers": {"count": 2}, "clients": {"count": 20}},
    "workload": [{"id": "talk", "op": "send", "from": "clients", "to": "clients", "rate": "1k/s", "start": "2s"}],
    "expect": [{"waive": "at-most-once", "from": "0s", "to": "20s", "because": "what is waived is known at the end"},
               {"check": "count(deliver) > 1000"}]})J");
  RunOptions options;
  options.mutant = Mutant::doubled_frame;
  const RunResult result = run(given, options);
  CHECK(result.waived_count > RunResult::findings_each);
  CHECK(result.waived.size() == RunResult::findings_each);
  CHECK(result.ending == Ending::safety);
  REQUIRE(!result.findings.empty());
  CHECK(result.findings.front().at > 20 * second);
}

TEST_CASE("a client that does not reconnect tries until it is let in, and a close ends that") {
  const Scenario given = parsed(R"J({
    "scenario": "no-return", "summary": "reconnect is off", "duration": "20s", "settle": "10s",
    "cluster": {"servers": {"count": 2},
                "clients": {"count": 30, "arrive": "2s", "reconnect": {"on": false, "delay": "100ms"}}},
    "timeline": [{"id": "away", "at": "1s", "do": "partition", "between": ["clients", "servers"], "for": "3s"}],
    "expect": [{"check": "count(connect.open) > 0", "name": "somebody is in"}]})J");
  Scenario calm = given;
  calm.timeline.clear();
  // The store has room for ten: the others are told so by a close, once each, and stay away.
  RunOptions options;
  options.config.owners_max = 10;
  options.until = 19 * second;  // then all heals, and who is away tries once more
  const RunResult full = run(calm, options);
  CHECK(full.of(Metric::connect_attempt) == 30);
  CHECK(full.of(Metric::close_any) == 20);
  CHECK(full.connected == 10);
  // Nobody listens for three seconds: they try again until somebody does, and none of that is a close.
  const RunResult late = run(given, {});
  CHECK(late.of(Metric::connect_attempt) > 90);
  CHECK(late.of(Metric::close_any) == 0);
  CHECK(late.connected == 30);
}

TEST_CASE("what a cut holds back waits for the last cut in its way, and only for those in its direction") {
  const Scenario given = parsed(R"J({
    "scenario": "two-cuts", "summary": "cuts that overlap in time", "duration": "30s", "settle": "10s",
    "cluster": {"servers": {"count": 1}, "clients": {"count": 3}},
    "timeline": [
      {"at": "5s", "do": "partition", "between": ["c0", "servers"], "for": "5s"},
      {"at": "8s", "do": "partition", "between": ["servers", "c0"], "direction": "a-to-b", "for": "7s"},
      {"at": "6s", "do": "send", "target": "c1", "to": "c0"},
      {"at": "12s", "do": "send", "target": "c0", "to": "c2"}],
    "expect": [{"check": "count(deliver by c0) == 0", "from": "5s", "to": "15s"},
               {"check": "count(deliver by c0) == 1 && max(deliver.latency by c0) > 9s", "from": "5s", "to": "20s"},
               {"check": "count(deliver by c2) == 1 && max(deliver.latency by c2) < 50ms", "from": "12s", "to": "15s"},
               {"check": "count(close.any) == 0"}]})J");
  const RunResult result = run_seed(given, 1);
  for (const Outcome& outcome : result.outcomes) {
    INFO(outcome.name << ": " << outcome.says);
    CHECK(outcome.verdict == Outcome::Verdict::passed);
  }
  CHECK(result.ending == Ending::passed);
}

TEST_CASE("what a cut holds back comes behind what is on its way, between clients and servers, and at the store") {
  const std::string clients = R"J({"scenario": "in-order", "summary": "a cut while messages are on their way",
    "duration": "20s", "cluster": {"servers": {"count": 1}, "clients": {"count": 2}},
    "network": {"default": {"latency": "uniform(100ms,500ms)"}},
    "timeline": [{"at": "5s", "do": "send", "target": "c0", "to": "c1"},
                 {"at": "5010ms", "do": "partition", "between": ["c0", "servers"], "for": "20ms"},
                 {"at": "5020ms", "do": "send", "target": "c0", "to": "c1"},
                 {"at": "5040ms", "do": "partition", "between": ["c0", "servers"], "for": "20ms"},
                 {"at": "5050ms", "do": "send", "target": "c0", "to": "c1"},
                 {"at": "5070ms", "do": "send", "target": "c0", "to": "c1"}],
    "expect": [{"check": "count(deliver by c1) == 4", "to": "12s"}]})J";
  const std::string store =
      R"J({"scenario": "in-turn", "summary": "cuts that are shorter than what is on its way takes",
    "duration": "20s", "cluster": {"servers": {"count": 2}, "clients": {"count": 40}},
    "network": {"store": {"latency": "lognormal(p50=2ms,p99=40ms)"}},
    "workload": [{"op": "send", "from": "clients", "rate": "500/s", "start": "1s"}],
    "timeline": [{"at": "5s", "every": "1s", "do": "partition", "between": ["s1", "store"], "for": "5ms"}],
    "expect": [{"check": "count(deliver) > 1000"}]})J";
  for (const std::string& text : {clients, store}) {
    const Scenario given = parsed(text);
    for (std::uint64_t seed = 1; seed <= 20; ++seed) {
      const RunResult result = run_seed(given, seed);
      INFO(given.name << " seed " << seed);
      INFO((result.findings.empty() ? std::string() : result.findings.front().what));
      CHECK(result.ending == Ending::passed);
    }
  }
}

TEST_CASE("a step that is repeated lasts each time, and one of two that overlap does not end the other") {
  const Scenario given = parsed(R"J({
    "scenario": "again-and-again", "summary": "steps that are repeated, and steps that overlap", "duration": "40s",
    "cluster": {"servers": {"count": 2, "config": {"drain": "1s"}}, "clients": {"count": 10}},
    "workload": [{"op": "send", "from": "clients", "rate": "50/s"}],
    "timeline": [
      {"at": "5s", "do": "pause", "target": "s1", "for": "8s"},
      {"at": "6s", "do": "pause", "target": "s1", "for": "1s"},
      {"at": "20s", "do": "restart", "target": "s2", "every": "15s"}],
    "expect": [{"check": "count(deliver by clients on s1) == 0", "from": "7500ms", "to": "12900ms"},
               {"check": "count(close.1001) > 0", "from": "20s", "to": "22s", "name": "it stops in good order"},
               {"eventually": "ready(s2) == 0", "from": "20s", "within": "5s"},
               {"eventually": "ready(s2) == 1", "from": "20s", "within": "13s"}]})J");
  const RunResult result = run_seed(given, 1);
  for (const Outcome& outcome : result.outcomes) {
    INFO(outcome.name << ": " << outcome.says);
    CHECK(outcome.verdict == Outcome::Verdict::passed);
  }
}

TEST_CASE("a workload to those who were somewhere at a moment begins when that is known, and reaches them only") {
  const Scenario given = parsed(R"J({
    "scenario": "moving-people", "summary": "who it is depends on the moment", "duration": "30s", "settle": "10s",
    "cluster": {"servers": {"count": 3}, "clients": {"count": 30}, "groups": {"victims": "clients on s2 at kill"}},
    "workload": [{"id": "to-victims", "op": "send", "from": "clients", "to": "victims", "rate": "50/s"},
                 {"id": "from-here", "op": "push", "from": "clients on s1", "rooms": 1, "rate": "5/s"},
                 {"id": "join", "op": "join", "from": "clients on s3 at kill", "rooms": 1}],
    "timeline": [{"id": "kill", "at": "10s", "do": "kill", "target": "s2", "for": "5s"}],
    "expect": [{"check": "count(send.attempt) > 500", "from": "kill"},
               {"check": "count(deliver by victims) > 300", "from": "kill+1s"},
               {"check": "count(deliver by c[0..29] except victims) <= 30", "from": "kill+1s", "name": "the probes"},
               {"check": "count(push.attempt) > 100"},
               {"check": "count(join.ok) > 3"}]})J");
  const RunResult result = run_seed(given, 1);
  for (const Outcome& outcome : result.outcomes) {
    INFO(outcome.name << ": " << outcome.says);
    CHECK(outcome.verdict == Outcome::Verdict::passed);
  }
  CHECK(result.ending == Ending::passed);
  RunOptions early;
  early.until = 9 * second;
  CHECK(run(given, early).of(Metric::send_attempt) == 0);  // nobody knows yet whom the kill will meet
}

TEST_CASE("a step that never came and a workload that did nothing are vacuous, and the run fails") {
  const Scenario given = parsed(R"J({
    "scenario": "nothing-tried", "summary": "what should be tried is not", "duration": "20s", "settle": "10s",
    "cluster": {"servers": {"count": 2}, "clients": {"count": 4}},
    "workload": [{"id": "nobody", "op": "send", "from": "clients on s1", "rate": "10/s", "stop": "1ms"},
                 {"id": "talk", "op": "send", "from": "clients", "rate": "10/s"}],
    "timeline": [{"id": "rare", "on": "owner.claimed", "nth": 3000, "do": "kill", "target": "s1"},
                 {"id": "late", "at": "5s", "do": "kill", "target": "s1"}],
    "expect": [{"check": "count(deliver) > 10"}],
    "sweep": {"vary": {"late.at": "pareto(25s,p99=28s)"}}})J");
  const RunResult result = run_seed(given, 1);
  CHECK(result.ending == Ending::vacuous);
  std::vector<std::string> vacuous;
  for (const Outcome& outcome : result.outcomes) {
    if (outcome.verdict == Outcome::Verdict::vacuous) vacuous.push_back(outcome.name);
  }
  CHECK(vacuous == std::vector<std::string>{"step rare", "step late", "workload nobody"});
  RunOptions options;
  options.until = 15 * second;
  const RunResult cut = run(given, options);  // cut short, nothing can be said of them
  CHECK(cut.ending == Ending::passed);
  CHECK(cut.not_judged.size() == 1);
  CHECK(cut.ended_at == 15 * second);
}

TEST_CASE("a run that is cut short keeps what was decided before") {
  Scenario given = scenario("hard-death");
  RunOptions options;
  options.until = 55 * second;
  const RunResult cut = run(given, options);
  CHECK(cut.ending == Ending::passed);
  CHECK(cut.outcomes.size() >= 3);
  CHECK(cut.outcomes.size() + cut.not_judged.size() == given.expect.size());
}

TEST_CASE("the naive pattern has nothing to answer for while nothing happens") {
  const Scenario given = parsed(R"J({
    "scenario": "peace", "summary": "two servers and nothing else", "duration": "20s", "settle": "10s",
    "cluster": {"servers": {"count": 2}, "clients": {"count": 20}},
    "workload": [{"id": "talk", "op": "send", "from": "clients", "rate": "20/s", "start": "2s"}],
    "expect": [{"check": "count(deliver) > 300"}]})J");
  RunOptions options;
  options.routing = Routing::naive;
  const RunResult naive = run(given, options);
  for (const Finding& finding : naive.findings) INFO(finding.checker << ": " << finding.what);
  CHECK(naive.findings.empty());
  CHECK(naive.ending == Ending::passed);
}

TEST_CASE("each device hears a message once: a second copy on one connection is found") {
  RunOptions options;
  options.config.policy = wsr::SessionPolicy::multi;
  options.config.limits.devices_max = 3;
  options.seed = 2;
  const RunResult sound = run(scenario("several-devices"), options);
  CHECK(sound.findings.empty());
  CHECK(sound.latency_p50 > 0);
  options.mutant = Mutant::doubled_frame;
  const RunResult doubled = run(scenario("several-devices"), options);
  CHECK(std::any_of(doubled.findings.begin(), doubled.findings.end(),
                    [](const Finding& f) { return f.checker == "at-most-once"; }));
}

TEST_CASE("what is saved of a failing run fails by itself, and in the same way") {
  Scenario given = scenario("client-hopping");
  given.mutant = Mutant::unfenced_release;
  const auto run_once = [](const Scenario& candidate) { return run(candidate, {}); };
  const Shrunk shrunk = shrink(given, run_once);
  const auto again = parsed(write_scenario(shrunk.scenario));
  CHECK(again.mutant == Mutant::unfenced_release);
  CHECK(failure_of(run_once(again)) == shrunk.failure);
}

TEST_CASE("the naive pattern loses in the same world what ours does not") {
  struct Expected {
    const char* scenario;
    bool loses_outside, misdelivers, has_ghosts;
  };
  const std::vector<Expected> all{{"hard-death", false, false, false},
                                  {"slow-return", true, true, true},
                                  {"reconnect-storm", true, false, false},
                                  {"fd-reuse", true, true, false},
                                  {"redis-restart", true, false, false}};
  for (const Expected& each : all) {
    INFO(each.scenario);
    const Scenario given = scenario(each.scenario);
    RunOptions options;
    options.counts_ghosts = true;
    const RunResult ours = run(given, options);
    options.routing = Routing::naive;
    const RunResult naive = run(given, options);
    CHECK(ours.misdelivered == 0);
    CHECK(ours.doubled == 0);
    CHECK(ours.toll.lost_outside == 0);
    CHECK(ours.toll.ghost_seconds == 0);
    CHECK((naive.toll.lost_outside > 0) == each.loses_outside);
    CHECK((naive.misdelivered > 0) == each.misdelivers);
    CHECK((naive.toll.ghost_seconds > 0) == each.has_ghosts);
    const auto all_lost = [](const Toll& toll) {
      return toll.lost_outside + toll.lost_in_silence + toll.lost_and_told;
    };
    CHECK(all_lost(naive.toll) > all_lost(ours.toll));
  }
}

TEST_CASE("who counts ghosts sees the same run") {
  const Scenario given = scenario("slow-return");
  RunOptions options;
  const RunResult without = run(given, options);
  options.counts_ghosts = true;
  const RunResult with = run(given, options);
  CHECK(with == without);  // ours has none
}

TEST_CASE("where clients move all the time, what is lost and what comes late is seen") {
  struct Expected {
    const char* scenario;
    Mutant mutant;
  };
  for (const Expected& each :
       {Expected{"fd-reuse", Mutant::lost_after_word}, Expected{"fd-reuse", Mutant::swallowed_answer},
        Expected{"client-hopping", Mutant::lost_after_word}, Expected{"stale-owner-rows", Mutant::lost_after_word},
        Expected{"stale-owner-rows", Mutant::unepoched_claim}}) {
    const MutantName& mutant = mutant_names[static_cast<std::size_t>(each.mutant)];
    INFO(each.scenario << " with " << mutant.name);
    RunOptions options;
    options.mutant = each.mutant;
    std::size_t found = 0;
    for (options.seed = 1; options.seed <= 4; ++options.seed) {
      const RunResult result = run(scenario(each.scenario), options);
      found += static_cast<std::size_t>(
          std::count_if(result.findings.begin(), result.findings.end(),
                        [&](const Finding& finding) { return finding.checker == mutant.checker; }));
    }
    CHECK(found >= 8);
  }
}

TEST_CASE("a `sometimes` of something that never happened is vacuous, even if it is true of nothing") {
  for (const char* says : {"p99(deliver.latency) < 50ms", "max(reader.told) == 0", "count(send.offline) == 0"}) {
    INFO(says);
    const Scenario given = parsed(std::string(R"({"scenario": "of-nothing", "summary": "Nobody says anything.",
        "duration": "5s", "cluster": {"servers": {"count": 1}, "clients": {"count": 2}},
        "expect": [{"sometimes": ")") +
                                  says + R"("}]})");
    CHECK(run_seed(given, 1).ending == Ending::vacuous);
  }
}
