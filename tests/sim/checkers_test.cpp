// The checkers: what stands in their way must not blind them, and what is no bug must not turn them red. Each case is
// one small scenario with something else going on; without a mutant it passes, and each mutant that is named is caught.
#include <algorithm>
#include <catch2/catch.hpp>
#include <string>
#include <variant>
#include <vector>

#include "sim/scenario_reader.hpp"
#include "sim/world.hpp"

using namespace wsr::sim;

namespace {

Scenario parsed(const std::string& text) {
  auto read = read_scenario(text, "in the test");
  if (const auto* problems = std::get_if<std::vector<Problem>>(&read))
    FAIL(format_problems(text, "in the test", *problems));
  return std::get<Scenario>(read);
}

RunResult run_with(const Scenario& scenario, Mutant mutant, std::uint64_t seed = 1) {
  RunOptions options;
  options.mutant = mutant;
  options.seed = seed;
  options.config.policy = scenario.devices > 1 ? wsr::SessionPolicy::multi : wsr::SessionPolicy::single;
  options.config.limits.reconnect_grace = std::chrono::seconds{2};
  return run(scenario, options);
}

struct Case {
  const char* name;
  const char* clients = "";  // more keys of cluster.clients
  const char* config = "{}";
  const char* send = "";  // more keys of the workload that sends
  const char* push = "";
  const char* more_work = "";
  const char* timeline = "";
  std::vector<Mutant> caught;
};

std::string text_of(const Case& each) {
  return std::string(R"J({"scenario": "a-case", "summary": "one small world for a checker",
    "duration": "60s", "settle": "30s",
    "cluster": {"servers": {"count": 3, "config": )J") +
         each.config + R"J(}, "clients": {"count": 40)J" + each.clients + R"J(}},
    "network": {"default": {"latency": "exp(2ms)"}, "store": {"latency": "exp(1ms)"}},
    "workload": [
      {"op": "join", "from": "clients", "rooms": 4, "rooms_each": 2},
      {"op": "send", "from": "c[0..4]", "to": "c[5..9]", "rate": "40/s", "start": "1s")J" +
         each.send + R"J(},
      {"op": "send", "from": "clients", "rate": "40/s", "start": "1s")J" +
         each.send + R"J(},
      {"op": "push", "from": "clients", "rooms": 4, "rate": "20/s", "start": "1s")J" +
         each.push + "}" + each.more_work + R"J(],
    "timeline": [)J" +
         each.timeline + R"J(],
    "expect": [{"check": "count(deliver) > 100", "name": "enough"}]})J";
}

bool has(const RunResult& result, std::string_view checker) {
  return std::any_of(result.findings.begin(), result.findings.end(),
                     [&](const Finding& finding) { return finding.checker == checker; });
}

/// In one of a few seeds.
bool is_caught(const Scenario& scenario, Mutant mutant) {
  const std::string_view checker = mutant_names[static_cast<std::size_t>(mutant)].checker;
  for (std::uint64_t seed = 1; seed <= 4; ++seed) {
    if (has(run_with(scenario, mutant, seed), checker)) return true;
  }
  return false;
}

}  // namespace

TEST_CASE("whatever else goes on, a checker sees its mutant, and nothing where there is none") {
  using M = Mutant;
  const std::vector<M> all_the_time{
      M::lost_after_word,     M::lost_room_message,      M::swallowed_answer, M::swapped_frames,
      M::swapped_room_frames, M::doubled_presence_frame, M::doubled_frame,    M::foreign_delivery,
      M::rewritten_word,      M::false_offline,          M::forgotten_count,  M::kept_channel,
      M::kept_place,          M::scan_at_claim,          M::lost_batch,       M::early_word};
  const std::vector<Case> cases{
      {.name = "nothing else", .caught = all_the_time},
      {.name = "no word is wished", .send = R"(, "word": false)", .caught = {M::lost_after_word}},
      {.name = "everybody was dropped once, early",
       .timeline = R"J({"at": "2s", "do": "drop", "target": "clients"})J",
       .caught = all_the_time},
      {.name = "links that are a little worse, for ever",
       .timeline =
           R"J({"at": "2s", "do": "degrade", "between": ["clients", "servers"], "link": {"latency": "uniform(1ms,80ms)", "loss": "1%"}},
                    {"at": "2s", "do": "degrade", "between": ["servers", "store"], "link": {"latency": "uniform(1ms,10ms)"}})J",
       .caught = all_the_time},
      {.name = "one client is cut off for ever",
       .timeline = R"J({"at": "2s", "do": "partition", "between": ["c0", "servers"]})J",
       .caught = all_the_time},
      {.name = "one client reads slowly for ever",
       .timeline = R"J({"at": "4s", "do": "slow", "target": "c0", "read_rate": "20KiB/s"})J",
       .caught = all_the_time},
      {.name = "clients come and go",
       .more_work = R"J(, {"op": "churn", "from": "clients", "rate": "1/s"})J",
       .caught = {M::lost_after_word, M::lost_room_message, M::swallowed_answer, M::doubled_frame,
                  M::lost_presence_frame}},
      {.name = "the store stalls now and then",
       .timeline = R"J({"at": "5s", "every": "10s", "do": "store-stall", "for": "500ms"})J",
       .caught = {M::swallowed_answer, M::lost_after_word, M::rewritten_word, M::doubled_frame}},
      {.name = "some pushes are not for the one who pushes",
       .more_work = R"J(, {"op": "push", "from": "clients", "rooms": 4, "rate": "5/s", "start": "1s", "echo": false})J",
       .caught = {M::lost_room_message}},
      {.name = "a death, and another fault before it is swept",
       .timeline = R"J({"id": "kill", "at": "10s", "do": "kill", "target": "s2"},
                    {"at": "kill+4s", "do": "store-stall", "for": "1s"})J",
       .caught = {M::unswept_server}},
      {.name = "a death, and a fault that does not end by itself",
       .timeline = R"J({"id": "kill", "at": "10s", "do": "kill", "target": "s2"},
                    {"at": "kill+4s", "do": "partition", "between": ["s3", "store"]})J",
       .caught = {M::unswept_server}},
      {.name = "clients come back while their old connections stand",
       .timeline = R"J({"at": "20s", "do": "half-open", "target": "50% of clients"})J",
       .caught = {M::miscoded_close, M::forgotten_kick}},
      {.name = "the same, with so much to say that some is sent just as a client has read its welcome",
       .more_work = R"J(, {"op": "send", "from": "clients", "rate": "4k/s", "start": "20s", "stop": "21s"})J",
       .timeline = R"J({"at": "20s", "do": "half-open", "target": "50% of clients"})J",
       .caught = {M::early_welcome}},
      {.name = "one host vanishes, and is counted for ever",
       .timeline = R"J({"id": "gone", "at": "20s", "do": "vanish", "target": "s2", "counted_for": "1h"})J",
       .caught = {M::lost_batch, M::early_word}},
      {.name = "a server stands still, and others are tried meanwhile",
       .clients = R"J(, "reconnect": {"give_up": "uniform(300ms,1s)"})J",
       .timeline = R"J({"id": "frozen", "at": "20s", "do": "pause", "target": "s2", "for": "12s"},
                    {"at": "frozen+2s", "do": "drop", "target": "clients on s2 at frozen"})J",
       .caught = {M::lost_batch}},
      {.name = "the store refuses to write, for less than a lease",
       .timeline = R"J({"at": "20s", "do": "store-refuse", "code": "MISCONF", "for": "4s"})J",
       .caught = {M::early_word, M::lost_after_word}},
      {.name = "the store is full while all is claimed again",
       .timeline = R"J({"id": "full", "at": "20s", "do": "store-refuse", "code": "OOM", "for": "9s"},
                    {"at": "full+1s", "do": "drop-subscription", "target": "servers"})J",
       .caught = {M::early_word}},
      {.name = "one subscriber lags by a second",
       .timeline = R"J({"at": "20s", "do": "subscriber-lag", "target": "s2", "by": "1s", "for": "15s"})J",
       .caught = {M::lost_batch, M::lost_after_word, M::early_word}},
      {.name = "subscriptions are refused for a while",
       .timeline = R"J({"id": "refuse", "at": "20s", "do": "refuse-subscribe", "target": "s2", "for": "5s"},
                    {"at": "refuse+1s", "do": "drop-subscription", "target": "s2"})J",
       .caught = {M::lost_batch}},
      {.name = "one client does not read for a while, and the others hear as before",
       .push = R"(, "size": "2KiB")",
       .timeline = R"J({"at": "10s", "do": "slow", "target": "c0", "for": "20s"})J",
       .caught = {M::shared_queue, M::forgotten_count, M::kept_place}},
      {.name = "links are worse while one client does not read",
       .push = R"(, "size": "2KiB")",
       .timeline = R"J({"at": "10s", "do": "slow", "target": "c0", "for": "20s"},
                    {"at": "10s", "do": "degrade", "between": ["clients", "servers"], "link": {"latency": "uniform(200ms,400ms)"}, "for": "20s"})J",
       .caught = {M::forgotten_count}},
      {.name = "several devices",
       .clients = R"(, "devices": 2)",
       .config = R"({"sessions": "multi"})",
       .caught = {M::lost_after_word, M::doubled_frame, M::swallowed_answer, M::foreign_delivery}},
  };
  for (const Case& each : cases) {
    INFO(each.name);
    const Scenario given = parsed(text_of(each));
    for (std::uint64_t seed = 1; seed <= 4; ++seed) {
      const RunResult sound = run_with(given, M::none, seed);
      INFO("seed " << seed);
      INFO((sound.findings.empty() ? std::string()
                                   : sound.findings.front().checker + ": " + sound.findings.front().what));
      CHECK(to_string(sound.ending) == "passed");
    }
    for (const M mutant : each.caught) {
      INFO(mutant_names[static_cast<std::size_t>(mutant)].name);
      CHECK(is_caught(given, mutant));
    }
  }
}

TEST_CASE("long faults are no findings") {
  for (
      const char* timeline : {
          R"J({"at": "15s", "do": "partition", "between": ["clients", "servers"], "for": "30s"})J",
          R"J({"at": "15s", "do": "partition", "between": ["20 of clients", "servers"], "for": "30s"})J",
          R"J({"at": "15s", "do": "pause", "target": "s1", "for": "30s"})J",
          R"J({"at": "15s", "do": "pause", "target": "servers", "for": "25s"})J",
          R"J({"at": "15s", "do": "partition", "between": ["servers", "store"], "for": "30s"})J",
          R"J({"at": "15s", "do": "store-stall", "for": "30s"})J",
          R"J({"at": "15s", "do": "store-refuse", "code": "MISCONF", "for": "30s"})J",
          R"J({"at": "15s", "do": "store-refuse", "code": "READONLY", "for": "30s"})J",
          R"J({"at": "15s", "do": "store-refuse", "code": "LOADING", "for": "30s"})J",
          R"J({"at": "15s", "do": "store-refuse", "code": "OOM", "for": "30s"})J",
          R"J({"at": "15s", "do": "refuse-subscribe", "for": "30s"})J",
          R"J({"at": "15s", "do": "subscriber-lag", "by": "2s", "for": "30s"})J",
          R"J({"at": "15s", "do": "vanish", "target": "s1", "for": "30s"})J",
          R"J({"at": "15s", "do": "degrade", "between": ["clients", "servers"], "link": {"latency": "uniform(1s,8s)"}, "for": "30s"})J",
      }) {
    INFO(timeline);
    const Scenario given = parsed(text_of(Case{.name = "long", .timeline = timeline, .caught = {}}));
    for (std::uint64_t seed = 1; seed <= 4; ++seed) {
      const RunResult result = run_with(given, Mutant::none, seed);
      INFO("seed " << seed);
      INFO((result.findings.empty() ? std::string()
                                    : result.findings.front().checker + ": " + result.findings.front().what));
      CHECK(to_string(result.ending) == "passed");
    }
  }
}

TEST_CASE("a step that meets nobody is vacuous") {
  for (
      const char* timeline : {
          R"J({"id": "first", "at": "5s", "do": "kill", "target": "s2"}, {"id": "again", "at": "first+1s", "do": "pause", "target": "s2", "for": "1s"})J",
          R"J({"id": "again", "at": "5s", "do": "start", "target": "s2"})J",
          R"J({"id": "again", "at": "5s", "do": "resume", "target": "s2"})J",
          R"J({"id": "again", "at": "5s", "do": "connect", "target": "c3"})J",
      }) {
    INFO(timeline);
    const RunResult result =
        run_with(parsed(text_of(Case{.name = "nobody", .timeline = timeline, .caught = {}})), Mutant::none);
    CHECK(to_string(result.ending) == "vacuous");
    CHECK(std::any_of(result.outcomes.begin(), result.outcomes.end(), [](const Outcome& outcome) {
      return outcome.name == "step again" && outcome.verdict == Outcome::Verdict::vacuous &&
             outcome.says.find("met nobody") != std::string::npos;
    }));
  }
}

TEST_CASE("a waiver of a repeated step is for each of its times, and for nothing between") {
  const Scenario given = parsed(R"J({"scenario": "a-case", "summary": "one small world for a waiver",
    "duration": "60s", "settle": "10s",
    "cluster": {"servers": {"count": 2}, "clients": {"count": 20}},
    "workload": [{"op": "send", "from": "clients", "rate": "100/s", "start": "1s"}],
    "timeline": [{"id": "mark", "at": "10s", "every": "20s", "do": "mark"}],
    "expect": [{"check": "count(deliver) > 100"},
               {"waive": "at-most-once", "because": "it is what the test is about", "from": "mark", "to": "mark+2s"}]})J");
  const RunResult result = run_with(given, Mutant::doubled_frame);
  CHECK(result.waived_count > 0);
  CHECK(result.finding_count > 0);
  const auto is_waived_time = [](Nanos at) {
    const Nanos since = at % (20 * second);
    return at >= 10 * second && since >= 10 * second && since <= 12 * second;
  };
  for (const Finding& finding : result.findings) {
    if (finding.checker == "at-most-once") CHECK_FALSE(is_waived_time(finding.at));
  }
  std::size_t times = 0;
  for (const Nanos from : {10 * second, 30 * second, 50 * second}) {
    times += std::any_of(result.waived.begin(), result.waived.end(),
                         [&](const Finding& f) { return f.at >= from && f.at <= from + 2 * second; })
                 ? 1
                 : 0;
  }
  CHECK(times == 3);
}

TEST_CASE("an expectation of an empty group says nothing") {
  const Scenario given = parsed(R"J({"scenario": "a-case", "summary": "one small world for an expectation",
    "duration": "20s", "settle": "10s",
    "cluster": {"servers": {"count": 2}, "clients": {"count": 20}},
    "workload": [{"op": "send", "from": "clients", "rate": "100/s", "start": "1s"}],
    "timeline": [{"id": "down", "at": "5s", "do": "kill", "target": "servers"},
                 {"id": "late", "at": "down+5s", "do": "mark"}],
    "expect": [{"check": "count(send.offline by clients on s1 at late) == 0", "from": "late", "name": "of nobody"},
               {"check": "connected(clients on s1 at late) == 0", "from": "late", "name": "nobody connected"}]})J");
  const RunResult result = run_with(given, Mutant::none);
  for (const Outcome& outcome : result.outcomes) {
    INFO(outcome.name << ": " << outcome.says);
    CHECK(to_string(outcome.verdict) == "vacuous");
  }
}

TEST_CASE("each checker has a mutant that it must catch") {
  for (const CheckerName& checker : checker_names) {
    INFO(checker.name);
    CHECK(std::any_of(mutant_names.begin(), mutant_names.end(),
                      [&](const MutantName& mutant) { return mutant.checker == checker.name; }));
  }
  for (std::size_t i = 1; i < mutant_names.size(); ++i) {
    INFO(mutant_names[i].name);
    CHECK((mutant_names[i].checker == "determinism" ||
           std::any_of(checker_names.begin(), checker_names.end(),
                       [&](const CheckerName& checker) { return checker.name == mutant_names[i].checker; })));
  }
}
