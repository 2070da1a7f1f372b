// RosterSet: who is in which room, as plain state with atomic operations.
//
// What a script does in Redis is one call here: it takes effect whole or not at all, hands its presence event to the
// publisher in between, and returns its answer at once. backend.cpp makes calls of it.
//
// Everything is in step here, so the rooms that a claim tells are simply those in which the client stays.
//
// Thread-safety: none.
// Errors:        bad_request for a cursor that no page gave.
// Bounds:        memberships_max pairs of room and client, hard; a further attachment of a client that is there already
//                needs no pair. A join that would need one more changes nothing. Leaves are remembered for
//                leave_remembered, memberships_max of them at most: then the oldest is forgotten.
// Cost:          O(log) a call; sweep and resign: O(attachments of that server).
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <set>
#include <string_view>
#include <tuple>
#include <unordered_map>
#include <utility>
#include <vector>

#include "core/base/time.hpp"
#include "core/store/store.hpp"
#include "core/wire/room_envelope.hpp"

namespace wsr::memory {

class RosterSet {
public:
  static constexpr std::uint32_t page_max = 1'000;
  using Publish = std::function<void(const RoomName& room, const PresenceEvent& event)>;

  RosterSet(std::uint64_t memberships_max, Publish publish)
      : memberships_max_(memberships_max), publish_(std::move(publish)) {}

  [[nodiscard]] Joined join(const JoinCall& request, StoreTime now);
  [[nodiscard]] Left leave(const LeaveCall& request, StoreTime now);
  [[nodiscard]] Left drop(const RoomName& room, const ClientId& client, const Attachment& at);
  /// Drops what a server holds in every room; how many attachments that were. Stays that end by it are told as `kind`.
  std::uint64_t drop_server(const ServerId& server, PresenceEvent::Kind kind);

  [[nodiscard]] RosterPage page(const RoomName& room, std::string_view cursor, std::uint32_t count) const;
  [[nodiscard]] RoomInfo info(const RoomName& room) const;
  [[nodiscard]] RoomInfo find(const RoomName& room, const ClientId& client) const;
  [[nodiscard]] RoomPage rooms(std::string_view cursor, std::uint32_t count) const;
  /// What a server holds, in every room.
  [[nodiscard]] std::vector<Held::Place> held(const ServerId& server) const;
  /// The places of `expected` that are not there.
  [[nodiscard]] std::vector<Held::Place> missing(const Held& expected) const;
  /// The rooms in which the client stays and this attachment is not listed, by name.
  [[nodiscard]] std::vector<RoomName> rooms_of(const ClientId& client, const Attachment& at) const;

  [[nodiscard]] std::size_t leaves_remembered() const { return leaves_.size(); }

private:
  using Devices = std::map<Attachment, Epoch>;  // of one client in one room; never empty
  struct Room {
    std::uint64_t version = 0;
    std::map<ClientId, Devices> members;
    std::map<ServerId, std::uint64_t> servers;  // attachments; no server without one

    void catch_up(std::uint64_t known_version, StoreTime now);
  };
  using Rooms = std::map<RoomName, Room>;  // no room without members
  using Place = std::tuple<RoomName, ClientId, Attachment>;
  using Stay = std::pair<RoomName, ClientId>;
  struct Leave {  // that other servers may not have heard of
    std::uint64_t version = 0;
    StoreTime at;
  };

  void remember(const LeaveCall& request, const Left& left, StoreTime now);
  void forget_oldest_leave();
  void forget_leaves(StoreTime now);
  /// The leave that has ended the stay which the request asserts.
  [[nodiscard]] const Leave* leave_since(const JoinCall& request) const;
  [[nodiscard]] Left remove_through(const LeaveCall& request);

  /// Without that attachment; the stay goes on, even without any.
  void remove(Rooms::iterator room, const ClientId& client, const Attachment& at);
  /// What a call that removed attachments of `client` answers; ends the stay, and the room, if nothing is left.
  Left settle(Rooms::iterator room, const ClientId& client, PresenceEvent::Kind kind);

  std::uint64_t memberships_max_;
  Publish publish_;
  std::uint64_t memberships_ = 0;  // pairs of room and client
  std::uint64_t version_min_ = 0;  // above each version of a forgotten room: time may stand still
  Rooms rooms_;
  std::unordered_map<ClientId, std::set<RoomName>> clients_;  // never iterated; no client without rooms
  std::map<ServerId, std::set<Place>> servers_;               // no server without places
  std::map<Stay, Leave> leaves_;
  std::deque<std::pair<StoreTime, Stay>> leaves_in_order_;  // each leave, also those that a later one has replaced
};

}  // namespace wsr::memory
