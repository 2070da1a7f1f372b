#include "core/routing/room_channels.hpp"

namespace wsr {

void RoomChannels::need(LocalRoom& room) {
  if (room.linger_at) {
    lingering_.erase({*room.linger_at, room.number});
    room.linger_at.reset();
  }
  if (room.channel != LocalRoom::Channel::none && room.channel != LocalRoom::Channel::refused) return;
  room.channel = LocalRoom::Channel::asked;
  const std::uint64_t call = ++calls_;
  asked_.emplace(call, room.number);
  context_.ports.store.call(RouterCall{CallKind::channel, call}.ticket(),
                            SubscribeCall{Channel{ChannelKind::room, room.name.str()}, Match::exact});
}

void RoomChannels::release(LocalRoom& room) {
  if (room.is_used() || room.linger_at) return;
  room.linger_at = context_.now() + context_.limits().room_linger;
  lingering_.emplace(*room.linger_at, room.number);
}

void RoomChannels::on_subscribed(std::uint64_t number, const Subscribed& subscribed) {
  const auto asked = asked_.extract(number);
  if (asked.empty()) return;
  // A room is not forgotten while its subscription is under way, so the number still is this room's.
  LocalRoom* room = rooms_.at(asked.mapped());
  if (room == nullptr) return;
  const bool is_held = subscribed.result == Errc::ok;
  room->channel = is_held ? LocalRoom::Channel::held : LocalRoom::Channel::refused;
  if (is_held) room->held_since = context_.ports.clock.store_now();
  events_.on_channel(*room, subscribed.result);
  release(*room);
}

std::optional<Time> RoomChannels::next_deadline() const {
  std::optional<Time> next;
  for (const auto* times : {&lingering_, &counts_}) {
    if (!times->empty() && (!next || times->begin()->first < *next)) next = times->begin()->first;
  }
  return next;
}

void RoomChannels::count_later(LocalRoom& room) {
  if (room.count_at) return;
  room.count_at = context_.now() + context_.limits().presence_count_every;
  room.awaited_version = room.version;
  room.awaited_size = room.size;
  counts_.emplace(*room.count_at, room.number);
}

std::vector<LocalRoom*> RoomChannels::take_due_counts() {
  std::vector<LocalRoom*> due;
  while (!counts_.empty() && counts_.begin()->first <= context_.now()) {
    LocalRoom* room = rooms_.at(counts_.begin()->second);
    counts_.erase(counts_.begin());
    room->count_at.reset();
    due.push_back(room);
  }
  return due;
}

void RoomChannels::on_time() {
  const Time now = context_.now();
  while (!lingering_.empty() && lingering_.begin()->first <= now) {
    LocalRoom& room = *rooms_.at(lingering_.begin()->second);
    lingering_.erase(lingering_.begin());
    room.linger_at.reset();
    if (room.channel == LocalRoom::Channel::asked) {
      release(room);  // its answer is still to come
      continue;
    }
    if (room.channel != LocalRoom::Channel::none) {  // the bus goes on trying what it was refused
      context_.ports.store.call(RouterCall{CallKind::channel, ++calls_}.ticket(),
                                UnsubscribeCall{Channel{ChannelKind::room, room.name.str()}, Match::exact});
    }
    if (room.count_at) counts_.erase({*room.count_at, room.number});
    rooms_.forget(room);
  }
}

}  // namespace wsr
