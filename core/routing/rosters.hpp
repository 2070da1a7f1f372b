// Rosters: who is in which room, as a port. The part of the store that makes presence true.
//
// A roster lists clients; under each client stand its attachments (one a device, and for a moment the old and the new
// one of a client that reconnects). A client's stay begins with its first attachment and ends with its last. Each
// begin and end raises the roster's version by one and is published on the room's channel in the same atomic step, as
// a PresenceEvent (core/wire/room_envelope.hpp): so pages and events together are the truth, and each stay has exactly
// one join and one leave.
//
//   nobody ──join (first attachment): event join──▶ present ──join, drop of one of several──▶ present
//                                                      │ leave, or drop of the last one: event leave
//                                                      ▼
//                                                   nobody
//
// A room exists while it has members. The version of a new room begins at the store's time in microseconds, so it
// never falls back, also when the store has forgotten the room. When a failover lost the last events of a room that is
// still there, the first join by a server that has heard one of them (JoinRequest::known_version) raises the version
// above all that was lost: members see it jump, as after any event that they missed.
//
// A client with several devices leaves with all of them. A server that did not hear of it still takes its device for a
// member, and asserts that when it can speak again (JoinRequest::stay): the store remembers the leave for
// leave_remembered, and tells it so.
//
// What a server holds here is found by Directory::sweep() when its lease has ended: its attachments are dropped, and
// the stays that end by it are published as PresenceEvent::Kind::swept.
//
// Thread-safety: as all ports (ports.hpp); no call answers inline, every call can safely be made again.
// Bounds:        memberships_max (client and room pairs): memory hard, Redis soft and only when set.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/routing/errc.hpp"
#include "core/routing/ids.hpp"
#include "core/routing/ticket.hpp"

namespace wsr {

/// How long a leave is remembered for servers that did not hear of it. Most are back within seconds; one that was cut
/// off for longer than this brings its devices back in. At 1 000 leaves a second 600 000 are remembered, 300 bytes each
/// in Redis.
inline constexpr std::chrono::minutes leave_remembered{10};

/// How far a roster's version may be above the store's clock. Versions begin at its time in microseconds and grow by
/// one an event, so only clocks that differ, across a failover, put one ahead.
inline constexpr std::chrono::minutes version_ahead_max{1};

struct JoinRequest {
  RoomName room;
  ClientId client;
  Attachment at;
  Epoch epoch;  // of the attachment's claim
  /// The newest version of this roster that the caller has seen; 0: none. A store that is behind it has forgotten
  /// events that somebody has heard: it goes on from a version above, so that none means two things. One that is more
  /// than version_ahead_max above the store's clock is not believed.
  std::uint64_t known_version = 0;
  /// The client asks for nothing: it has been in since this version, its server says, and is to be in on. A leave that
  /// is remembered and not older wins, unless the client is there by another device. 0: no such version.
  std::uint64_t stay = 0;
  /// The same, when all that is known is that the client was in at the claim of `epoch`.
  bool is_of_claim = false;
  /// Policy `single`: attachments of the client with older epochs go in the same step, and the stay goes on. If there
  /// is one with a newer epoch, this one is `superseded` and nothing is changed.
  bool replaces_older = false;
};
struct Joined {  // ok | not_found (the stay has ended: `version` is of the leave) | superseded | capacity | unavailable
                 // | timeout
  Errc result = Errc::ok;
  std::uint64_t size = 0;  // clients in the room after this call
  std::uint64_t version = 0;
  std::string detail;      // for people, when result is not ok
  bool has_begun = false;  // nobody of the client was there before
};

struct LeaveRequest {
  RoomName room;
  ClientId client;
  Epoch through;  // attachments claimed with a later epoch stay: a late leave cannot remove a newer connection
  std::uint64_t known_version = 0;  // as in JoinRequest
  /// For leave_remembered: other servers may have devices of this client. if_there: only if there was something to
  /// remove, so that nobody fills the store with rooms that he was never in.
  enum class Remember : std::uint8_t { no, if_there, always } remember = Remember::no;
};
struct Left {                 // ok | not_found (nothing changed) | unavailable | timeout
  Errc result = Errc::ok;     // ok: attachments were removed; the stay has ended unless others remain
  std::uint64_t size = 0;     // 0 also if the room is gone
  std::uint64_t version = 0;  // of the roster after this call; 0 if the room is gone
};

struct RosterPage {
  Errc result = Errc::ok;
  std::vector<ClientId> members;  // by name
  std::string cursor;             // where to go on; "0" after the last page
  std::uint64_t size = 0;         // of the whole room
  std::uint64_t version = 0;      // when this page was read: events after it apply to what the page says
};

struct RoomInfo {  // ok (size 0: nobody is there) | unavailable | timeout
  Errc result = Errc::ok;
  std::uint64_t size = 0;
  std::uint64_t version = 0;
  std::vector<std::pair<ServerId, std::uint64_t>> servers;  // by name, with their attachments in the room
};

struct RoomPage {
  Errc result = Errc::ok;
  std::vector<std::pair<RoomName, std::uint64_t>> rooms;  // by name, with their sizes
  std::string cursor;                                     // "0" after the last page
};

class Rosters {
public:
  virtual ~Rosters() = default;
  /// Adds the attachment to the client's entry, and the room to what Directory::claim() tells of the client. An
  /// attachment that is there already only takes the newer epoch. What is not `ok` has added nothing.
  virtual void join(Ticket ticket, const JoinRequest& request) = 0;  // -> Joined
  /// Removes every attachment of the client up to an epoch: the client leaves.
  virtual void leave(Ticket ticket, const LeaveRequest& request) = 0;  // -> Left
  /// Removes exactly this attachment: a connection is gone, the client may be there through another.
  virtual void drop(Ticket ticket, const RoomName& room, const ClientId& client, const Attachment& at) = 0;  // -> Left
  /// Clients by name from `cursor` on; "0" begins. A client that stays while pages are read is listed exactly once.
  virtual void page(Ticket ticket, const RoomName& room, std::string_view cursor,
                    std::uint32_t count) = 0;                  // -> RosterPage
  virtual void info(Ticket ticket, const RoomName& room) = 0;  // -> RoomInfo
  /// Is this client in the room? As an info() whose size is 1 or 0 and whose servers are the client's.
  virtual void find(Ticket ticket, const RoomName& room, const ClientId& client) = 0;   // -> RoomInfo
  virtual void rooms(Ticket ticket, std::string_view cursor, std::uint32_t count) = 0;  // -> RoomPage
};

}  // namespace wsr
