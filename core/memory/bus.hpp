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
#include <string_view>
#include <utility>

#include "core/memory/glob.hpp"
#include "core/routing/text_map.hpp"
#include "core/store/store.hpp"

namespace wsr::memory {

using SubscriberId = std::uint32_t;  // a server of this store, numbered as they joined

class ChannelMap {
public:
  /// Subscribing twice is subscribing once.
  void subscribe(SubscriberId subscriber, const Channel& channel, Match match);
  void unsubscribe(SubscriberId subscriber, const Channel& channel, Match match);
  /// All subscriptions of one server: it has gone.
  void forget(SubscriberId subscriber);
  /// Calls visit(subscriber, pattern): exact subscribers in the order in which the servers joined, with an empty
  /// pattern; then pattern by pattern. `visit` may not subscribe.
  template <class Visit>
  void each_receiver(const Channel& channel, Visit&& visit) const {
    const Exact& exact = exact_[index_of(channel.kind)];
    if (const auto found = exact.find(channel.name); found != exact.end()) {
      for (const SubscriberId subscriber : found->second) visit(subscriber, std::string_view{});
    }
    for (const auto& [pattern, subscribers] : patterns_[index_of(channel.kind)]) {
      if (!is_glob_match(pattern, channel.name)) continue;
      for (const SubscriberId subscriber : subscribers) visit(subscriber, std::string_view(pattern));
    }
  }

private:
  using Names = std::map<std::string, std::set<SubscriberId>>;
  using Exact = TextMap<std::set<SubscriberId>>;  // never iterated
  static constexpr std::size_t kinds = 3;
  [[nodiscard]] static std::size_t index_of(ChannelKind kind) { return static_cast<std::size_t>(kind); }

  std::array<Exact, kinds> exact_;
  std::array<Names, kinds> patterns_;
  std::map<SubscriberId, std::set<std::pair<Channel, Match>>> held_;  // the same, by subscriber: for forget()
};

}  // namespace wsr::memory
