// RouteTable: where the clients of other shards are, as far as this shard knows, and who waits to find out.
//
//        ┌──────── lookup ────────┐
//   new ─┤                        ├─▶ settled (targets known) ─returned message─▶ busy again
//        └─ drain of old targets ─┘
//
// A route is busy while its lookup is out or while messages to its old targets may still come back. Messages
// that arrive meanwhile wait, behind those that came back: so a sender's order survives a move.
//
// Thread-safety: none. Bounds: owner_cache_max routes (the least recently used settled one goes; busy ones
// stay, they are bounded by their own messages), route_messages_max and route_bytes_max a route.
#pragma once

#include <boost/unordered/unordered_flat_map.hpp>
#include <cstdint>
#include <list>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/ids.hpp"
#include "core/routing/limits.hpp"
#include "core/routing/message.hpp"
#include "core/routing/text_map.hpp"

namespace wsr {

struct RouteTarget {
  ShardAddress address;
  std::uint32_t link = 0;      // index in the LinkTable; check its peer
  std::uint64_t last_seq = 0;  // of the last message sent there on this route; 0: none
};

struct Route {
  std::string client;
  std::vector<RouteTarget> targets;      // one a shard, the newest claim's first
  std::vector<RouteTarget> old_targets;  // being drained
  bool is_looking_up = false;
  bool is_draining = false;
  bool is_looked_up = false;  // `targets` are the directory's answer
  std::uint64_t lookup = 0;   // serial of the lookup that is out
  Time drain_until{};
  Time stale_at = Time::max();    // policy `multi`: then the targets are looked up again
  std::vector<Message> returned;  // came back: older than everything in `waiting`
  std::vector<Message> waiting;
  std::size_t waiting_bytes = 0;  // of both
  [[nodiscard]] bool is_busy() const { return is_looking_up || is_draining; }
};

class RouteTable {
public:
  explicit RouteTable(const Limits& limits) : limits_(limits) {}

  /// The route, now the most recently used; nullptr if there is none.
  [[nodiscard]] Route* find(std::string_view client);
  /// Makes a route. May forget the least recently used one that is not busy and has nothing unsettled: `may_go` says
  /// so.
  template <class MayGo>
  [[nodiscard]] Route& make(std::string_view client, MayGo&& may_go) {
    if (routes_.size() >= limits_.owner_cache_max) make_room(may_go);
    routes_.emplace_front().client.assign(client);
    index_.emplace(routes_.front().client, routes_.begin());
    return routes_.front();
  }
  void drop(Route& route);

  enum class Room : std::uint8_t { yes, no };
  /// Lets a message wait. No: the route's bound is reached, nothing changed.
  [[nodiscard]] Room wait(Route& route, std::vector<Message> Route::*queue, const EntryMessage& entry, Time now);

  /// Busy routes, in the order of their names: what timers look at.
  [[nodiscard]] std::set<std::string>& busy() { return busy_; }
  [[nodiscard]] std::size_t size() const { return routes_.size(); }

private:
  template <class MayGo>
  void make_room(MayGo&& may_go) {
    int looked_at = 0;  // a few at the cold end: an eviction must not walk the table
    for (auto route = routes_.rbegin(); route != routes_.rend() && looked_at < 8; ++route, ++looked_at) {
      if (!route->is_busy() && may_go(*route)) return drop(*route);
    }
  }

  const Limits& limits_;
  std::list<Route> routes_;  // most recently used first
  boost::unordered_flat_map<std::string_view, std::list<Route>::iterator, KeyedHash> index_;  // by Route::client
  std::set<std::string> busy_;
};

}  // namespace wsr
