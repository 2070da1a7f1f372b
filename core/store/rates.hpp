// Rates: token buckets that all servers share. One atomic step a question (TakeCall).
//
// A bucket holds `burst` tokens and gains `count` of them every `window`, evenly. Taking removes one, or says how long
// the next one takes. So no more than count * time / window + burst are admitted in any span of time, whichever
// servers ask, and nothing begins anew at the edge of a window.
//
// Errors:        `rate_limited` with retry_after; `unavailable` and `timeout`: not known, the caller decides.
// Bounds:        1 <= count, burst <= 1 000 000; 1 ms <= window <= 1 h: all sums stay below 2^53, exact in Lua too.
//                A full bucket costs nothing: it is forgotten.
#pragma once

#include <chrono>
#include <compare>
#include <cstdint>
#include <string>

namespace wsr {

struct RateLimit {
  std::uint32_t count = 0;  // tokens a window; 0: no limit
  std::chrono::milliseconds window{60'000};
  std::uint32_t burst = 0;  // tokens that a full bucket holds; 0: as `count`
  [[nodiscard]] bool is_on() const { return count != 0; }
  [[nodiscard]] std::uint32_t capacity() const { return burst == 0 ? count : burst; }
  auto operator<=>(const RateLimit&) const = default;
};

struct RateKey {
  enum class Kind : std::uint8_t { client, room } kind = Kind::client;
  std::string name;
  auto operator<=>(const RateKey&) const = default;
};

}  // namespace wsr
