// Calls to the shared store, as data: one struct a call, and the variant that carries them all.
//
// As data a call can be handed on without anybody knowing which one it is: from a shard to the hub's thread, through a
// virtual network, to a replica, into a test's record. Every call is atomic, touches one slot of the store, and can
// safely be made again.
//
// Each struct says which answer it brings (`Answer`, in answer.hpp), what it is called in traces (`name`), and what it
// does to the store (`effect`). To add a call: its struct and its place at the end of StoreCall here, its answer if
// that is new, `carry_out` in core/memory, `call` in core/redis, and its sentences in tests/contract. Whoever
// dispatches without it does not compile.
//
// Thread-safety: plain data and pure functions.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "core/base/ids.hpp"
#include "core/base/time.hpp"
#include "core/store/answer.hpp"
#include "core/store/channel.hpp"
#include "core/store/rates.hpp"

namespace wsr {

enum class Effect : std::uint8_t {
  reads,       // changes nothing
  changes,     // and is refused by a store that takes no writes
  publishes,   // hands a message out, and leaves nothing behind
  subscribes,  // changes what the caller's subscriber hears
};

// ---------------------------------------------------------------- who is where

enum class SessionPolicy : std::uint8_t { single, multi };

struct ClaimCall {
  using Answer = Claimed;
  static constexpr std::string_view name = "claim";
  static constexpr Effect effect = Effect::changes;

  ClientId client;
  Attachment at;
  StoreTime accepted_at{};  // when the connection was accepted, on the store's clock
  Epoch epoch_min{};        // re-assertion: the epoch granted earlier; 0 for a first claim
  SessionPolicy policy = SessionPolicy::single;
  std::uint32_t devices_max = 1;             // multi: the oldest attachment above this number is displaced
  std::chrono::microseconds clock_error{0};  // how wrong accepted_at may be beside another server's
  /// All rows of the client expire by themselves so long after the last claim of any of them; 0: they stay until they
  /// are released, displaced or swept. Whether a row counts is its server's lease's business: this only tidies up.
  std::chrono::milliseconds ttl{0};

  /// Policy `single`: true if `row`, another attachment of the client, is newer, so that this claim is superseded. A
  /// first claim goes by the time of accepting (rows of other servers must be later by more than the clocks' error:
  /// closer ones are told apart by the order of claiming), a re-assertion by the epoch.
  [[nodiscard]] bool is_older_than(const OwnerRow& row) const {
    if (epoch_min.value != 0) return row.epoch > epoch_min;
    return row.claimed_at > (row.at.server == at.server ? accepted_at : accepted_at + clock_error);
  }
};

/// Removes exactly this attachment; any other claim of the client stays.
struct ReleaseCall {
  using Answer = Released;
  static constexpr std::string_view name = "release";
  static constexpr Effect effect = Effect::changes;

  ClientId client;
  Attachment at;
};

struct LookupCall {
  using Answer = Owners;
  static constexpr std::string_view name = "lookup";
  static constexpr Effect effect = Effect::reads;

  ClientId client;
};

struct OwnerPageCall {
  using Answer = OwnerPage;
  static constexpr std::string_view name = "page of owners";
  static constexpr Effect effect = Effect::reads;

  std::string cursor = "0";  // "0" begins
  std::uint32_t count = 0;
};

struct CountsCall {
  using Answer = OwnerCounts;
  static constexpr std::string_view name = "counts";
  static constexpr Effect effect = Effect::reads;
};

/// What the store has of one server, whether its lease stands or not: at least all owner rows and places in rooms that
/// stand while the pages are read; an entry whose row has gone, or is only coming, may be among them.
struct HeldCall {
  using Answer = Held;
  static constexpr std::string_view name = "held";
  static constexpr Effect effect = Effect::reads;

  ServerId server;
  std::string cursor = "0";  // "0" begins
  std::uint32_t count = 0;   // about how many
};

/// Which of these the store does not have, or not in full: a store that is short of memory may have evicted them, and
/// people delete keys. REQUIRES: rows and places of one server. Work: O(rows and places), a few reads each.
struct MissingCall {
  using Answer = Held;
  static constexpr std::string_view name = "missing";
  static constexpr Effect effect = Effect::reads;

  Held expected;
};

// ---------------------------------------------------------------- which servers live

struct RenewCall {
  using Answer = Renewed;
  static constexpr std::string_view name = "renew";
  static constexpr Effect effect = Effect::changes;

  ServerId server;
  ServerInfo info;
  std::chrono::milliseconds lease{};
};

/// Gives the lease up at once and removes the server from the registry (a graceful stop).
struct ResignCall {
  using Answer = Released;
  static constexpr std::string_view name = "resign";
  static constexpr Effect effect = Effect::changes;

  ServerId server;
};

struct ServersCall {
  using Answer = Servers;
  static constexpr std::string_view name = "servers";
  static constexpr Effect effect = Effect::reads;
};

/// Removes what a server without lease left behind; one sweeper at a time.
struct SweepCall {
  using Answer = Swept;
  static constexpr std::string_view name = "sweep";
  static constexpr Effect effect = Effect::changes;

  ServerId dead, by;
};

// ---------------------------------------------------------------- the bus: at most once

struct PublishCall {
  using Answer = Published;
  static constexpr std::string_view name = "publish";
  static constexpr Effect effect = Effect::publishes;

  Channel channel;
  std::string payload;
};

struct SubscribeCall {
  using Answer = Subscribed;
  static constexpr std::string_view name = "subscribe";
  static constexpr Effect effect = Effect::subscribes;

  Channel channel;
  Match match = Match::exact;
};

struct UnsubscribeCall {
  using Answer = Unsubscribed;
  static constexpr std::string_view name = "unsubscribe";
  static constexpr Effect effect = Effect::subscribes;

  Channel channel;
  Match match = Match::exact;
};

/// Drops and re-makes the subscriber's connection: what a deaf server does. It has no answer of its own:
/// BusListener::on_resubscribed() follows.
struct ResubscribeCall {
  using Answer = void;
  static constexpr std::string_view name = "resubscribe";
  static constexpr Effect effect = Effect::subscribes;
};

// ---------------------------------------------------------------- rosters: who is in which room
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
// still there, the first join by a server that has heard one of them (JoinCall::known_version) raises the version
// above all that was lost: members see it jump, as after any event that they missed.
//
// A client with several devices leaves with all of them. A server that did not hear of it still takes its device for a
// member, and asserts that when it can speak again (JoinCall::stay): the store remembers the leave for
// leave_remembered, and tells it so.
//
// What a server holds here is found by SweepCall when its lease has ended: its attachments are dropped, and the stays
// that end by it are published as PresenceEvent::Kind::swept.
//
// Bounds: memberships_max (client and room pairs): memory hard, Redis soft and only when set.

/// How long a leave is remembered for servers that did not hear of it. Most are back within seconds; one that was cut
/// off for longer than this brings its devices back in. At 1 000 leaves a second 600 000 are remembered, 300 bytes each
/// in Redis.
inline constexpr std::chrono::minutes leave_remembered{10};

/// How far a roster's version may be above the store's clock. Versions begin at its time in microseconds and grow by
/// one an event, so only clocks that differ, across a failover, put one ahead.
inline constexpr std::chrono::minutes version_ahead_max{1};

/// Adds the attachment to the client's entry, and the room to what ClaimCall tells of the client. An attachment that is
/// there already only takes the newer epoch. What is not `ok` has added nothing.
struct JoinCall {
  using Answer = Joined;
  static constexpr std::string_view name = "join";
  static constexpr Effect effect = Effect::changes;

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

/// Removes every attachment of the client up to an epoch: the client leaves.
struct LeaveCall {
  using Answer = Left;
  static constexpr std::string_view name = "leave";
  static constexpr Effect effect = Effect::changes;

  RoomName room;
  ClientId client;
  Epoch through;  // attachments claimed with a later epoch stay: a late leave cannot remove a newer connection
  std::uint64_t known_version = 0;  // as in JoinCall
  /// For leave_remembered: other servers may have devices of this client. if_there: only if there was something to
  /// remove, so that nobody fills the store with rooms that he was never in.
  enum class Remember : std::uint8_t { no, if_there, always } remember = Remember::no;
};

/// Removes exactly this attachment: a connection is gone, the client may be there through another.
struct DropCall {
  using Answer = Left;
  static constexpr std::string_view name = "drop";
  static constexpr Effect effect = Effect::changes;

  RoomName room;
  ClientId client;
  Attachment at;
};

/// Clients by name from `cursor` on. A client that stays while pages are read is listed exactly once.
struct RosterPageCall {
  using Answer = RosterPage;
  static constexpr std::string_view name = "page of members";
  static constexpr Effect effect = Effect::reads;

  RoomName room;
  std::string cursor = "0";  // "0" begins
  std::uint32_t count = 0;
};

struct RoomInfoCall {
  using Answer = RoomInfo;
  static constexpr std::string_view name = "info";
  static constexpr Effect effect = Effect::reads;

  RoomName room;
};

/// Is this client in the room? As RoomInfoCall, with a size of 1 or 0 and the client's servers.
struct FindCall {
  using Answer = RoomInfo;
  static constexpr std::string_view name = "find";
  static constexpr Effect effect = Effect::reads;

  RoomName room;
  ClientId client;
};

struct RoomsCall {
  using Answer = RoomPage;
  static constexpr std::string_view name = "rooms";
  static constexpr Effect effect = Effect::reads;

  std::string cursor = "0";  // "0" begins
  std::uint32_t count = 0;
};

// ---------------------------------------------------------------- rates

/// Takes a token, see rates.hpp.
struct TakeCall {
  using Answer = Taken;
  static constexpr std::string_view name = "take";
  static constexpr Effect effect = Effect::changes;

  RateKey key;
  RateLimit limit;
};

// ---------------------------------------------------------------- one of them

/// New calls go to the end: the simulator's trace hashes know a call by its place.
using StoreCall =
    std::variant<PublishCall, LookupCall, ClaimCall, ReleaseCall, RenewCall, ServersCall, SweepCall, ResignCall,
                 OwnerPageCall, CountsCall, SubscribeCall, UnsubscribeCall, JoinCall, LeaveCall, DropCall,
                 RosterPageCall, RoomInfoCall, FindCall, RoomsCall, TakeCall, HeldCall, MissingCall, ResubscribeCall>;

[[nodiscard]] Effect effect_of(const StoreCall& call);
/// The answer, with this result and nothing else, of the call at this place in StoreCall. nullopt: it has none, or
/// there is no such place.
[[nodiscard]] std::optional<Answer> failed(std::size_t index, Errc result);

}  // namespace wsr
