// HeldInputs: what came while a Router was held, to be done in its order afterwards.
//
// Thread-safety: none; part of one Router. Bounds: bytes_max of what the inputs bring; above it keep() refuses and the
// caller loses the input by name.
#pragma once

#include <cstddef>
#include <deque>
#include <functional>

#include "core/base/time.hpp"

namespace wsr {

class HeldInputs {
public:
  static constexpr std::size_t bytes_max = 64 * 1024 * 1024;      // a second of a busy inbox
  static constexpr std::size_t overhead = 128;                    // of one input
  static constexpr Duration time_max = std::chrono::seconds{10};  // a store that answers no claim has timed out by then

  [[nodiscard]] bool is_holding() const { return phase_ != Phase::open; }
  /// go_on() has been called: waits for claims only.
  [[nodiscard]] bool is_ending() const { return phase_ == Phase::ending; }
  void hold(Time now);
  void go_on();

  enum class Kept : bool { no, yes };
  /// Does `input` later. REQUIRES: is_holding().
  [[nodiscard]] Kept keep(std::size_t bytes, std::function<void()> input);
  /// Ends the hold and does what was kept.
  void flush();
  /// Then it ends whatever the claims say. REQUIRES: is_holding().
  [[nodiscard]] Time until() const { return until_; }

private:
  enum class Phase : unsigned char { open, held, ending };
  Phase phase_ = Phase::open;
  std::deque<std::function<void()>> inputs_;
  std::size_t bytes_ = 0;
  Time until_{};
};

}  // namespace wsr
