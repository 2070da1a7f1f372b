#include "core/routing/room_table.hpp"

#include <algorithm>
#include <cassert>

namespace wsr {

RoomMember* LocalRoom::find(ConnId conn) {
  const auto found =
      std::find_if(members.begin(), members.end(), [conn](const RoomMember& member) { return member.conn == conn; });
  return found == members.end() ? nullptr : &*found;
}

LocalRoom* RoomTable::at(std::uint32_t number) {
  return number < rooms_.size() && rooms_[number].has_value() ? &*rooms_[number] : nullptr;
}

LocalRoom* RoomTable::find(std::string_view name) {
  const auto found = by_name_.find(name);
  return found == by_name_.end() ? nullptr : at(found->second);
}

LocalRoom& RoomTable::make(const RoomName& name) {
  if (LocalRoom* known = find(name.view())) return *known;
  std::uint32_t number = 0;
  if (free_.empty()) {
    number = static_cast<std::uint32_t>(rooms_.size());
    rooms_.emplace_back();
  } else {
    number = free_.back();
    free_.pop_back();
  }
  LocalRoom& room = rooms_[number].emplace();
  room.number = number;
  room.name = name;
  by_name_.emplace(name.str(), number);
  return room;
}

void RoomTable::forget(LocalRoom& room) {
  assert(room.members.empty());
  const std::uint32_t number = room.number;
  by_name_.erase(room.name.str());
  rooms_[number].reset();
  free_.push_back(number);
}

RoomMember& RoomTable::add(LocalRoom& room, Session& session) {
  assert(std::find(session.rooms.begin(), session.rooms.end(), room.number) == session.rooms.end());
  session.rooms.push_back(room.number);
  room.members.push_back(RoomMember{.conn = session.id});
  ++memberships_;
  return room.members.back();
}

void RoomTable::remove(LocalRoom& room, Session& session) {
  RoomMember* member = room.find(session.id);
  if (member == nullptr) return;
  *member = room.members.back();
  room.members.pop_back();
  // A vector that a burst has made large is given back; a room that breathes keeps its memory.
  if (room.members.capacity() > 64 && room.members.size() * 4 < room.members.capacity()) room.members.shrink_to_fit();
  std::erase(session.rooms, room.number);
  --memberships_;
}

}  // namespace wsr
