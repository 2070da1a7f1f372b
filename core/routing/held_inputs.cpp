#include "core/routing/held_inputs.hpp"

#include <cassert>
#include <utility>

namespace wsr {

void HeldInputs::hold(Time now) {
  if (phase_ == Phase::held) return;
  phase_ = Phase::held;
  until_ = now + time_max;
}

void HeldInputs::go_on() {
  if (phase_ == Phase::held) phase_ = Phase::ending;
}

HeldInputs::Kept HeldInputs::keep(std::size_t bytes, std::function<void()> input) {
  assert(is_holding());
  if (bytes_ + bytes + overhead > bytes_max) return Kept::no;
  bytes_ += bytes + overhead;
  inputs_.push_back(std::move(input));
  return Kept::yes;
}

void HeldInputs::flush() {
  phase_ = Phase::open;
  bytes_ = 0;
  for (auto& input : std::exchange(inputs_, {})) input();
}

}  // namespace wsr
