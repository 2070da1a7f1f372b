// Any bytes as a scenario: the reader answers with a scenario or with problems that have a place; what it takes it can
// write, and reads again as the same.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "sim/scenario_explain.hpp"
#include "sim/scenario_reader.hpp"
#include "tests/fuzz/require.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace wsr::sim;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  auto read = read_scenario(text, "fuzz");
  if (const auto* problems = std::get_if<std::vector<Problem>>(&read)) {
    WSR_REQUIRE(!problems->empty());
    for (const Problem& problem : *problems) WSR_REQUIRE(!problem.message.empty());
    WSR_REQUIRE(!format_problems(text, "fuzz", *problems).empty());
    return 0;
  }
  const auto& scenario = std::get<Scenario>(read);
  WSR_REQUIRE(!explain(scenario).empty());
  const std::string written = write_scenario(scenario);
  auto again = read_scenario(written, "again");
  WSR_REQUIRE(std::holds_alternative<Scenario>(again));
  WSR_REQUIRE(write_scenario(std::get<Scenario>(again)) == written);
  return 0;
}
