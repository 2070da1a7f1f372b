// ChannelMap: who has subscribed to what, and so who gets a message. Plain state; backend.cpp delivers.
//
// As in Redis, a subscriber with an exact and a matching pattern subscription gets a message once for each. The kinds
// of channels are namespaces of their own.
//
// Thread-safety: none.
// Cost:          a publish is O(its exact subscribers + patterns of that kind).
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "core/routing/ports.hpp"

namespace wsr::memory {

using SubscriberId = std::uint32_t;  // a server of this store, numbered as they joined

class ChannelMap {
public:
  struct Receiver {
    SubscriberId subscriber;
    std::string pattern;  // empty: an exact subscription
  };

  /// Subscribing twice is subscribing once.
  void subscribe(SubscriberId subscriber, const Channel& channel, Match match);
  void unsubscribe(SubscriberId subscriber, const Channel& channel, Match match);
  /// All subscriptions of one server: it has gone.
  void forget(SubscriberId subscriber);
  /// Exact subscribers in the order in which the servers joined, then pattern by pattern.
  [[nodiscard]] std::vector<Receiver> receivers(const Channel& channel) const;

private:
  using Names = std::map<std::string, std::set<SubscriberId>>;
  using Exact = std::unordered_map<std::string, std::set<SubscriberId>>;  // never iterated
  static constexpr std::size_t kinds = 3;

  std::array<Exact, kinds> exact_;
  std::array<Names, kinds> patterns_;
  std::map<SubscriberId, std::set<std::pair<Channel, Match>>> held_;  // the same, by subscriber: for forget()
};

}  // namespace wsr::memory
