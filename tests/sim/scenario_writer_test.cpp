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
