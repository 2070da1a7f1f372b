// LeaseCache: servers known to live, so that a lookup need not ask for their leases again.
//
// Positive knowledge only, and never longer than the lease had left when it was seen: a server is `live` here only
// while its lease cannot have expired. (A server that resigns early removes its rows itself.)
//
// Thread-safety: none.
// Bounds:        servers_max entries; past it what has expired goes, then everything: it is only a cache.
#pragma once

#include <chrono>
#include <unordered_map>

#include "core/base/ids.hpp"

namespace wsr::redis {

class LeaseCache {
public:
  using TimePoint = std::chrono::steady_clock::time_point;
  static constexpr std::size_t servers_max = 4'096;

  /// `asked_at`: when the question for `left` was sent, so before the store answered it.
  void hold(const ServerId& server, TimePoint asked_at, std::chrono::milliseconds left);
  void drop(const ServerId& server) { held_until_.erase(server); }
  [[nodiscard]] bool is_live(const ServerId& server, TimePoint now) const { return left(server, now).count() > 0; }
  /// How much longer the lease stands at least; 0: not known to live.
  [[nodiscard]] std::chrono::milliseconds left(const ServerId& server, TimePoint now) const;

private:
  std::unordered_map<ServerId, TimePoint> held_until_;
};

}  // namespace wsr::redis
