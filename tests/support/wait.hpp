// Waiting for a condition with a deadline: the one form of waiting in the tests over real processes.
#pragma once

#include <chrono>
#include <thread>

namespace wsr::test {

using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

/// Asks `is_true` again and again until it holds or `within` has passed; what it said last.
template <class Condition>
[[nodiscard]] bool wait_until(Condition&& is_true, milliseconds within, milliseconds pause = milliseconds{5}) {
  const auto deadline = Clock::now() + within;
  while (true) {
    if (is_true()) return true;
    if (Clock::now() >= deadline) return is_true();
    std::this_thread::sleep_for(pause);
  }
}

}  // namespace wsr::test
