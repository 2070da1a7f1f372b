#include "sim/work.hpp"

#include <algorithm>
#include <chrono>

namespace wsr::sim {
namespace {

/// In how many rooms one client can be in this scenario.
std::uint64_t rooms_of_a_client(const Scenario& scenario) {
  std::uint64_t rooms = 0;
  for (const Workload& each : scenario.workload) {
    if (each.op == Workload::Op::join) rooms += each.per_hour == 0 ? std::min(each.rooms_each, each.rooms) : each.rooms;
  }
  for (const Step& step : scenario.timeline) rooms += step.action == Step::Action::join ? 1 : 0;
  return rooms;
}

}  // namespace

Work::Work(const Scenario& scenario, const Limits& limits)
    : each_turn_(3 + std::uint64_t{scenario.servers}),
      rooms_(2 * rooms_of_a_client(scenario)),
      in_flight_(limits.link_in_flight_max),
      batch_(limits.owner_ttl.count() == 0 ? limits.reassert_batch : 0),
      pace_(std::chrono::nanoseconds(limits.reassert_pace).count()) {}

}  // namespace wsr::sim
