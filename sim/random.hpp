// Draws: chance without a stream. Every draw is a hash of (seed, purpose, who, how often), so a draw that is taken away
// or added moves no other, and two runs of a seed draw the same whatever else is traced or checked.
//
// Integers only: floating point differs between compilers and processors (fused multiply-add, libm).
//
// Thread-safety: pure functions of an immutable seed.
#pragma once

#include <cstdint>
#include <string_view>

#include "sim/scenario.hpp"

namespace wsr::sim {

// 128 bits are no part of ISO C++; both compilers have them.
__extension__ using Wide = unsigned __int128;
__extension__ using SignedWide = __int128;

/// What a draw is for. Append only: the numbers are part of what a seed means.
enum class Purpose : std::uint32_t {
  tie,
  arrival,
  balance,
  latency,
  loss,
  reorder,
  store_latency,
  replication_lag,
  workload_gap,
  workload_who,
  workload_whom,
  workload_room,
  reconnect_delay,
  notice,
  member,
  vary,
  swizzle,
  mutant,
  late_call,
  ping_phase,
  duplicate,
  give_up
};

[[nodiscard]] constexpr std::uint64_t mix(std::uint64_t x) {  // splitmix64's finaliser
  x += 0x9E3779B97F4A7C15ULL;
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9ULL;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBULL;
  return x ^ (x >> 31);
}

[[nodiscard]] std::uint64_t hash_of(std::string_view text);

class Draws {
public:
  explicit Draws(std::uint64_t seed) : seed_(mix(seed)) {}
  [[nodiscard]] std::uint64_t bits(Purpose purpose, std::uint64_t who, std::uint64_t nth) const {
    return mix(seed_ ^ mix((static_cast<std::uint64_t>(purpose) << 56) ^ who) ^ (nth * 0xD6E8FEB86659FD93ULL));
  }
  /// Evenly from 0 to count - 1. REQUIRES: count > 0.
  [[nodiscard]] std::uint64_t below(std::uint64_t count, Purpose purpose, std::uint64_t who, std::uint64_t nth) const {
    return static_cast<std::uint64_t>((static_cast<Wide>(bits(purpose, who, nth)) * count) >> 64);
  }
  /// True in `ppm` of a million draws.
  [[nodiscard]] bool chance(std::uint32_t ppm, Purpose purpose, std::uint64_t who, std::uint64_t nth) const {
    return ppm != 0 && below(1'000'000, purpose, who, nth) < ppm;
  }
  /// Never negative.
  [[nodiscard]] Nanos of(const Distribution& d, Purpose purpose, std::uint64_t who, std::uint64_t nth) const;

private:
  std::uint64_t seed_;
};

/// mean * -ln(u), u evenly from `bits`.
[[nodiscard]] Nanos exponential(Nanos mean, std::uint64_t bits);

}  // namespace wsr::sim
