#include "core/memory/rosters.hpp"

#include <algorithm>
#include <string>
#include <utility>

namespace wsr::memory {
namespace {

std::uint64_t micros(StoreTime time) {
  return static_cast<std::uint64_t>(std::max<std::int64_t>(time.time_since_epoch().count(), 0));
}

/// A cursor is "0", or ">" and the last name seen: it stays good whatever comes and goes in between.
template <class Name>
bool is_cursor(std::string_view cursor) {
  return cursor == "0" || (cursor.starts_with('>') && Name::check(cursor.substr(1)).code == Errc::ok);
}

template <class Map>
auto after(const Map& map, std::string_view cursor) {
  using Name = typename Map::key_type;
  return cursor == "0" ? map.begin() : map.upper_bound(Name::trusted(cursor.substr(1)));
}

std::uint64_t believable(std::uint64_t known_version, StoreTime now) {
  return known_version > micros(now + version_ahead_max) ? 0 : known_version;
}

}  // namespace

Joined RosterSet::join(const JoinCall& request, StoreTime now) {
  forget_leaves(now);
  auto room = rooms_.find(request.room);
  const bool is_new_room = room == rooms_.end();
  const bool is_new_stay = is_new_room || !room->second.members.contains(request.client);
  if (const Leave* leave = is_new_stay ? leave_since(request) : nullptr) {
    return {Errc::not_found, is_new_room ? 0 : room->second.members.size(), leave->version, "the client has left"};
  }
  if (!is_new_stay && request.replaces_older) {
    const Devices& devices = room->second.members.at(request.client);
    const bool is_older = std::any_of(devices.begin(), devices.end(), [&request](const auto& device) {
      return device.first != request.at && device.second > request.epoch;
    });
    if (is_older) {
      return {Errc::superseded, room->second.members.size(), room->second.version, "a newer connection is in the room"};
    }
  }
  if (is_new_stay && memberships_ >= memberships_max_) {
    return {Errc::capacity, 0, 0,
            "the membership table is full (" + std::to_string(memberships_max_) + " rows): raise --memberships-max"};
  }
  if (is_new_room) {
    room = rooms_.emplace(request.room, Room{}).first;
    // The event below is its first version.
    room->second.version = std::max({micros(now), version_min_, believable(request.known_version, now) + 1}) - 1;
  }
  Room& entry = room->second;
  entry.catch_up(request.known_version, now);
  const auto [device, is_new] = entry.members[request.client].try_emplace(request.at, request.epoch);
  device->second = std::max(device->second, request.epoch);
  if (is_new) {
    ++entry.servers[request.at.server];
    servers_[request.at.server].emplace(request.room, request.client, request.at);
  }
  if (request.replaces_older) {
    std::vector<Attachment> older;
    for (const auto& [at, epoch] : entry.members.at(request.client)) {
      if (at != request.at && epoch < request.epoch) older.push_back(at);
    }
    for (const Attachment& at : older) remove(room, request.client, at);
  }
  if (is_new_stay) {
    ++memberships_;
    clients_[request.client].insert(request.room);
    ++entry.version;
    publish_(request.room, {PresenceEvent::Kind::join, entry.version, entry.members.size(), request.client.view()});
  }
  return {Errc::ok, entry.members.size(), entry.version, {}, is_new_stay};
}

Left RosterSet::leave(const LeaveCall& request, StoreTime now) {
  forget_leaves(now);
  const auto room = rooms_.find(request.room);
  if (room != rooms_.end()) room->second.catch_up(request.known_version, now);
  const Left left = remove_through(request);
  using Remember = LeaveCall::Remember;
  if (request.remember == Remember::always || (request.remember == Remember::if_there && left.result == Errc::ok)) {
    remember(request, left, now);
  }
  return left;
}

Left RosterSet::remove_through(const LeaveCall& request) {
  const auto room = rooms_.find(request.room);
  if (room == rooms_.end()) return {Errc::not_found, 0, 0};
  const auto member = room->second.members.find(request.client);
  std::vector<Attachment> leaving;
  if (member != room->second.members.end()) {
    for (const auto& [at, epoch] : member->second) {
      if (epoch <= request.through) leaving.push_back(at);
    }
  }
  if (leaving.empty()) return {Errc::not_found, room->second.members.size(), room->second.version};
  for (const Attachment& at : leaving) remove(room, request.client, at);
  return settle(room, request.client, PresenceEvent::Kind::leave);
}

void RosterSet::remember(const LeaveCall& request, const Left& left, StoreTime now) {
  // Of a room that is gone: below the version with which it would begin again.
  const std::uint64_t version =
      left.version != 0 ? left.version
                        : std::max({micros(now), version_min_, believable(request.known_version, now) + 1}) - 1;
  leaves_[{request.room, request.client}] = {version, now};
  leaves_in_order_.push_back({now, {request.room, request.client}});
  while (leaves_in_order_.size() > memberships_max_) forget_oldest_leave();
}

void RosterSet::forget_leaves(StoreTime now) {
  while (!leaves_in_order_.empty() && leaves_in_order_.front().first + leave_remembered <= now) forget_oldest_leave();
}

void RosterSet::forget_oldest_leave() {
  const auto& [at, stay] = leaves_in_order_.front();
  const auto found = leaves_.find(stay);
  if (found != leaves_.end() && found->second.at == at) leaves_.erase(found);
  leaves_in_order_.pop_front();
}

const RosterSet::Leave* RosterSet::leave_since(const JoinCall& request) const {
  if (request.stay == 0 && !request.is_of_claim) return nullptr;
  const auto found = leaves_.find({request.room, request.client});
  if (found == leaves_.end()) return nullptr;
  const bool is_since =
      request.stay != 0 ? found->second.version >= request.stay : micros(found->second.at) > request.epoch.value;
  return is_since ? &found->second : nullptr;
}

Left RosterSet::drop(const RoomName& name, const ClientId& client, const Attachment& at) {
  const auto room = rooms_.find(name);
  if (room == rooms_.end()) return {Errc::not_found, 0, 0};
  const auto member = room->second.members.find(client);
  if (member == room->second.members.end() || !member->second.contains(at)) {
    return {Errc::not_found, room->second.members.size(), room->second.version};
  }
  remove(room, client, at);
  return settle(room, client, PresenceEvent::Kind::leave);
}

std::uint64_t RosterSet::drop_server(const ServerId& server, PresenceEvent::Kind kind) {
  const auto found = servers_.find(server);
  if (found == servers_.end()) return 0;
  const std::set<Place> places = found->second;  // a copy: each removal takes its place away
  for (const auto& [name, client, at] : places) {
    const auto room = rooms_.find(name);
    remove(room, client, at);
    settle(room, client, kind);
  }
  return places.size();
}

RosterPage RosterSet::page(const RoomName& name, std::string_view cursor, std::uint32_t count) const {
  RosterPage page;
  page.cursor = "0";
  if (!is_cursor<ClientId>(cursor)) {
    page.result = Errc::bad_request;
    return page;
  }
  const auto room = rooms_.find(name);
  if (room == rooms_.end()) return page;
  const auto& members = room->second.members;
  const std::size_t members_max = std::clamp<std::uint32_t>(count, 1, page_max);
  auto member = after(members, cursor);
  for (; member != members.end() && page.members.size() < members_max; ++member) page.members.push_back(member->first);
  if (member != members.end()) page.cursor = '>' + page.members.back().str();
  page.size = members.size();
  page.version = room->second.version;
  return page;
}

RoomInfo RosterSet::info(const RoomName& name) const {
  const auto room = rooms_.find(name);
  if (room == rooms_.end()) return {};
  const auto& servers = room->second.servers;
  return {Errc::ok, room->second.members.size(), room->second.version, {servers.begin(), servers.end()}};
}

RoomInfo RosterSet::find(const RoomName& name, const ClientId& client) const {
  const auto room = rooms_.find(name);
  if (room == rooms_.end()) return {};
  const auto member = room->second.members.find(client);
  if (member == room->second.members.end()) return {Errc::ok, 0, room->second.version, {}};
  std::map<ServerId, std::uint64_t> servers;
  for (const auto& [at, epoch] : member->second) ++servers[at.server];
  return {Errc::ok, 1, room->second.version, {servers.begin(), servers.end()}};
}

RoomPage RosterSet::rooms(std::string_view cursor, std::uint32_t count) const {
  RoomPage page;
  page.cursor = "0";
  if (!is_cursor<RoomName>(cursor)) {
    page.result = Errc::bad_request;
    return page;
  }
  const std::size_t rooms_max = std::clamp<std::uint32_t>(count, 1, page_max);
  auto room = after(rooms_, cursor);
  for (; room != rooms_.end() && page.rooms.size() < rooms_max; ++room) {
    page.rooms.emplace_back(room->first, room->second.members.size());
  }
  if (room != rooms_.end()) page.cursor = '>' + page.rooms.back().first.str();
  return page;
}

std::vector<Held::Place> RosterSet::held(const ServerId& server) const {
  std::vector<Held::Place> places;
  const auto found = servers_.find(server);
  if (found == servers_.end()) return places;
  places.reserve(found->second.size());
  for (const auto& [room, client, at] : found->second) places.push_back({room, client, at});
  return places;
}

std::vector<Held::Place> RosterSet::missing(const Held& expected) const {
  std::vector<Held::Place> missing;
  for (const Held::Place& place : expected.places) {
    const auto room = rooms_.find(place.room);
    const bool is_there = room != rooms_.end() && room->second.members.contains(place.client) &&
                          room->second.members.at(place.client).contains(place.at);
    if (!is_there) missing.push_back(place);
  }
  return missing;
}

std::vector<RoomName> RosterSet::rooms_of(const ClientId& client, const Attachment& at) const {
  std::vector<RoomName> rooms;
  const auto found = clients_.find(client);
  if (found == clients_.end()) return rooms;
  for (const RoomName& room : found->second) {
    if (!rooms_.at(room).members.at(client).contains(at)) rooms.push_back(room);
  }
  return rooms;
}

void RosterSet::Room::catch_up(std::uint64_t known_version, StoreTime now) {
  known_version = believable(known_version, now);
  if (known_version > version) version = std::max(micros(now), known_version + 1);
}

void RosterSet::remove(Rooms::iterator room, const ClientId& client, const Attachment& at) {
  room->second.members.find(client)->second.erase(at);
  const auto in_room = room->second.servers.find(at.server);
  if (--in_room->second == 0) room->second.servers.erase(in_room);
  const auto places = servers_.find(at.server);
  places->second.erase({room->first, client, at});
  if (places->second.empty()) servers_.erase(places);
}

Left RosterSet::settle(Rooms::iterator room, const ClientId& client, PresenceEvent::Kind kind) {
  Room& entry = room->second;
  const auto member = entry.members.find(client);
  if (!member->second.empty()) return {Errc::ok, entry.members.size(), entry.version};

  entry.members.erase(member);
  --memberships_;
  const auto rooms = clients_.find(client);
  rooms->second.erase(room->first);
  if (rooms->second.empty()) clients_.erase(rooms);

  const Left left{Errc::ok, entry.members.size(), ++entry.version};
  publish_(room->first, {kind, left.version, left.size, client.view()});
  if (entry.members.empty()) {
    version_min_ = std::max(version_min_, entry.version + 1);
    rooms_.erase(room);
  }
  return left;
}

}  // namespace wsr::memory
