// What a shrunk scenario is saved as says all that the scenario says.
#include <catch2/catch.hpp>
#include <string>
#include <variant>
#include <vector>

#include "sim/scenario_reader.hpp"

using namespace wsr::sim;

TEST_CASE("a value that looks like none is written: a window from the end on, a clock that moves by nothing") {
  const std::string text = R"J({"scenario": "edges", "summary": "something to be shown", "duration": "30s",
    "cluster": {"servers": {"count": 2}, "clients": {"count": 2}},
    "timeline": [{"id": "still", "at": "5s", "do": "clock-skew", "target": "s1", "by": "0s"}],
    "expect": [{"eventually": "ready(servers) == 2", "from": "end", "within": "10s"}]})J";
  auto read = read_scenario(text, "given");
  REQUIRE(std::holds_alternative<Scenario>(read));
  const std::string written = write_scenario(std::get<Scenario>(read));
  auto again = read_scenario(written, "written");
  if (const auto* problems = std::get_if<std::vector<Problem>>(&again))
    FAIL(format_problems(written, "written", *problems));
  CHECK(std::get<Scenario>(again).expect.front().from.is_end);
  CHECK(std::get<Scenario>(again).timeline.front().by == 0);
}

TEST_CASE("every kind of fault is written as it was read") {
  const std::string text = R"J({"scenario": "faults", "summary": "something to be shown", "duration": "60s",
    "cluster": {"servers": {"count": 2}, "clients": {"count": 2, "reconnect": {"give_up": "uniform(1s,2s)"}}},
    "timeline": [
      {"id": "gone", "at": "5s", "do": "vanish", "target": "s1", "counted_for": "20s", "for": "9s"},
      {"id": "misconf", "at": "6s", "do": "store-refuse", "code": "MISCONF", "for": "2s"},
      {"id": "readonly", "at": "9s", "do": "store-refuse", "code": "READONLY"},
      {"id": "loading", "at": "12s", "do": "store-refuse", "code": "LOADING"},
      {"id": "full", "at": "15s", "do": "store-refuse", "code": "OOM"},
      {"id": "late", "at": "18s", "do": "subscriber-lag", "target": "s2", "by": "700ms", "for": "3s"},
      {"id": "refused", "at": "22s", "do": "refuse-subscribe", "for": "3s"}],
    "expect": [{"check": "size(clients) > 0"}]})J";
  auto read = read_scenario(text, "given");
  if (const auto* problems = std::get_if<std::vector<Problem>>(&read)) FAIL(format_problems(text, "given", *problems));
  const std::string written = write_scenario(std::get<Scenario>(read));
  auto again = read_scenario(written, "written");
  if (const auto* problems = std::get_if<std::vector<Problem>>(&again))
    FAIL(format_problems(written, "written", *problems));
  const Scenario &before = std::get<Scenario>(read), &after = std::get<Scenario>(again);
  CHECK(after.reconnect.give_up.kind == Distribution::Kind::uniform);
  CHECK(after.reconnect.give_up.b == before.reconnect.give_up.b);
  REQUIRE(after.timeline.size() == before.timeline.size());
  for (std::size_t i = 0; i < after.timeline.size(); ++i) {
    INFO(before.timeline[i].id);
    CHECK(after.timeline[i].action == before.timeline[i].action);
    CHECK(after.timeline[i].code == before.timeline[i].code);
    CHECK(after.timeline[i].counted_for == before.timeline[i].counted_for);
    CHECK(after.timeline[i].by == before.timeline[i].by);
    CHECK(after.timeline[i].duration == before.timeline[i].duration);
  }
  CHECK(write_scenario(after) == written);
}
