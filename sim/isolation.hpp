// Isolation: how long messages to healthy clients take while others read slowly, held against how long they take when
// nobody does.
//
// Thread-safety: none; part of one run. Cost: O(1) a message; two histograms.
#pragma once

#include <optional>
#include <string>
#include <unordered_set>

#include "sim/metrics.hpp"
#include "sim/parts.hpp"

namespace wsr::sim {

class Isolation {
public:
  /// That connection reads slowly from now on. It never counts as healthy again: what has piled up is still to come.
  void on_slow(std::uint32_t serial) { were_slow_.insert(serial); }
  enum class Readers : std::uint8_t { all_read, some_are_slow };
  /// A connection has got a message in peace.
  void on_heard(std::uint32_t serial, Nanos sent_at, Nanos now, Readers readers) {
    if (readers == Readers::some_are_slow) slow_until_ = now + settles_within;
    if (!were_slow_.empty() && were_slow_.contains(serial)) return;
    if (readers == Readers::some_are_slow) {
      beside_.add(static_cast<std::uint64_t>(now - sent_at));
    } else if (sent_at >= slow_until_) {
      alone_.add(static_cast<std::uint64_t>(now - sent_at));
    }
  }
  /// What is wrong, in words.
  [[nodiscard]] std::optional<std::string> judge() const;

private:
  static constexpr Nanos settles_within = second;  // after the last slow reader: what waited because of it has come

  std::unordered_set<std::uint32_t> were_slow_;  // connections; never iterated
  Histogram beside_, alone_;                     // nanoseconds, while somebody is slow and while nobody is
  Nanos slow_until_ = 0;
};

}  // namespace wsr::sim
