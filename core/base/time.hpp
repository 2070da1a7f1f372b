// The two clocks of the core. Both are handed in; nothing here can read a real clock.
#pragma once

#include <chrono>
#include <cstdint>

namespace wsr {

/// A server's own monotonic clock, virtual in the simulator. It has no now(): drivers hand it in.
struct LocalClock {
  using rep = std::int64_t;
  using period = std::nano;
  using duration = std::chrono::duration<rep, period>;
  using time_point = std::chrono::time_point<LocalClock>;
  static constexpr bool is_steady = true;
};
using Duration = LocalClock::duration;
using Time = LocalClock::time_point;

/// The shared store's clock (Redis TIME), in microseconds since the Unix epoch. The only clock that
/// servers compare with each other.
struct StoreClock {
  using rep = std::int64_t;
  using period = std::micro;
  using duration = std::chrono::duration<rep, period>;
  using time_point = std::chrono::time_point<StoreClock>;
  static constexpr bool is_steady = false;
};
using StoreTime = StoreClock::time_point;

/// As what travels between servers counts it.
[[nodiscard]] constexpr std::chrono::milliseconds store_millis(StoreTime time) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(time.time_since_epoch());
}

}  // namespace wsr
