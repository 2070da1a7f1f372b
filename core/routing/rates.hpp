// Rates: token buckets that all servers share, as a port. One atomic step a question.
//
// A bucket holds `burst` tokens and gains `count` of them every `window`, evenly. take() removes one, or says how long
// the next one takes. So no more than count * time / window + burst are admitted in any span of time, whichever
// servers ask, and nothing begins anew at the edge of a window.
//
// Thread-safety: as all ports (ports.hpp).
// Errors:        `rate_limited` with retry_after; `unavailable` and `timeout`: not known, the caller decides.
// Bounds:        1 <= count, burst <= 1 000 000; 1 ms <= window <= 1 h: all sums stay below 2^53, exact in Lua too.
//                A full bucket costs nothing: it is forgotten.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "core/routing/errc.hpp"
#include "core/routing/ticket.hpp"

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

struct Taken {  // ok | rate_limited | unavailable | timeout
  Errc result = Errc::ok;
  std::chrono::microseconds retry_after{0};  // rate_limited: when one token will be there, if nobody else takes it
};

class Rates {
public:
  virtual ~Rates() = default;
  virtual void take(Ticket ticket, const RateKey& key, const RateLimit& limit) = 0;  // -> Taken
};

}  // namespace wsr
