// RoomChannels: this shard's subscriptions to rooms: there before the first member is, gone a while after the last.
//
// need() brings a room's channel up; on_channel_held() says that every message published from now on arrives. Only then
// may a roster list a member of this shard. release() lets a room go that nobody uses any more; it stays subscribed
// for room_linger, because some come right back.
//
// Thread-safety: none; part of one Router. Bounds: see RoomTable.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <unordered_map>
#include <utility>
#include <vector>

#include "core/routing/room_table.hpp"
#include "core/routing/router_context.hpp"

namespace wsr {

class RoomChannelEvents {
public:
  virtual ~RoomChannelEvents() = default;
  /// `ok`: the channel stands. Else the subscription failed, and who waits for it must be told.
  virtual void on_channel(LocalRoom& room, Errc result) = 0;
};

class RoomChannels {
public:
  RoomChannels(RouterContext& context, RoomChannelEvents& events) : context_(context), events_(events) {}

  [[nodiscard]] RoomTable& rooms() { return rooms_; }
  [[nodiscard]] const RoomTable& rooms() const { return rooms_; }
  /// Subscribes unless that is done or under way.
  void need(LocalRoom& room);
  /// Somebody has left: if nobody is left, the room lingers.
  void release(LocalRoom& room);

  /// The room's members are told a count after presence_count_every, unless single events have caught up by then.
  void count_later(LocalRoom& room);
  /// Rooms whose count is due now.
  [[nodiscard]] std::vector<LocalRoom*> take_due_counts();

  void on_subscribed(std::uint64_t number, const Subscribed& subscribed);
  void on_time();
  [[nodiscard]] std::optional<Time> next_deadline() const;

private:
  RouterContext& context_;
  RoomChannelEvents& events_;
  RoomTable rooms_;
  std::unordered_map<std::uint64_t, std::uint32_t> asked_;  // subscriptions under way -> room number
  std::set<std::pair<Time, std::uint32_t>> lingering_;
  std::set<std::pair<Time, std::uint32_t>> counts_;
  std::uint64_t calls_ = 0;
};

}  // namespace wsr
