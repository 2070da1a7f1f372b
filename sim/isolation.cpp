#include "sim/isolation.hpp"

#include <fmt/format.h>

namespace wsr::sim {
namespace {

constexpr std::uint64_t heard_min = 1'000;         // messages of each kind: ten of them are above a p99
constexpr std::uint64_t times_max = 4;             // a busy link is a little slower; a shared queue is not to be missed
constexpr std::uint64_t slack = 20 * millisecond;  // of fast links the double is nothing

}  // namespace

std::optional<std::string> Isolation::judge() const {
  if (beside_.count() < heard_min || alone_.count() < heard_min) return std::nullopt;
  const std::uint64_t beside = beside_.percentile(990'000), alone = alone_.percentile(990'000);
  if (beside <= times_max * alone + slack) return std::nullopt;
  return fmt::format("while others read slowly, 1 % of the messages to healthy clients take {} ms or more, else {} ms",
                     beside / millisecond, alone / millisecond);
}

}  // namespace wsr::sim
