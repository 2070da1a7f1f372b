// Ports: the world as the routing core sees it.
//
// The core calls a port; a port never calls back inline. What a call brings comes later as an
// input (an Answer with the caller's Ticket, a bus message), so there is no re-entrancy, and a
// crashed server's answers can simply be dropped. Adapters: core/memory, core/redis, sim, and those
// of core/net that carry calls between shards. A backend is one set of Directory, Bus, Rosters (rosters.hpp), Rates
// (rates.hpp), Log and Tables.
//
// Thread-safety: each object belongs to one thread; calls and answers happen there.
// Errors:        every answer carries an Errc; `unavailable` and `timeout` leave open whether the call was
//                carried out, and every call here can safely be made again.
// Order:         calls on one object take effect in the order they were made.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "core/routing/errc.hpp"
#include "core/routing/ids.hpp"
#include "core/routing/rates.hpp"
#include "core/routing/rosters.hpp"
#include "core/routing/ticket.hpp"
#include "core/routing/time.hpp"

namespace wsr {

// ---------------------------------------------------------------- Directory: who is where

enum class SessionPolicy : std::uint8_t { single, multi };

inline constexpr std::chrono::milliseconds lease_unknown = std::chrono::milliseconds::max();

struct OwnerRow {
  ClientId client;
  Attachment at;
  Epoch epoch;
  StoreTime claimed_at{};  // when the connection was accepted, on the store's clock
  /// How much longer its server's lease stands at least, at the moment of the answer; lease_unknown: not told.
  std::chrono::milliseconds lease_left = lease_unknown;
};

struct ClaimRequest {
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
struct Claimed {  // ok | superseded | capacity | unavailable | timeout
  Errc result = Errc::ok;
  Epoch epoch{};
  std::vector<Attachment> displaced;  // must be told 4009, wherever they are
  std::string detail;                 // for people, when result is not ok
  std::vector<RoomName> rooms = {};   // the client's, without those that list this attachment: it is to join them, too
};
struct Released {
  Errc result = Errc::ok;
};               // ok | not_found (a newer claim, or none: nothing changed)
struct Owners {  // ok (rows may be empty: offline) | unavailable | timeout
  Errc result = Errc::ok;
  std::vector<OwnerRow> rows;  // only rows whose server holds its lease; newest epoch first
};
struct OwnerPage {
  Errc result = Errc::ok;
  std::vector<OwnerRow> rows;
  std::string cursor;  // where to go on; "0" after the last page
};

/// What a server says of itself with every renewal.
struct ServerInfo {
  std::string url;  // where its HTTP API listens; empty for one that only sends
  std::uint64_t connections = 0;
  std::uint32_t shards = 1;
  std::uint32_t bus_version = 0;       // of the format of batches that it speaks; 0: it did not say
  std::string version = {};            // of its program; empty: it did not say (an older server)
  std::chrono::milliseconds lease{0};  // its length: the store notes that of the last renewal; 0: an older server
};
struct Renewed {
  Errc result = Errc::ok;  // ok | conflict (being swept: try again soon) | unavailable | timeout
  enum class Before : std::uint8_t { held, missing } before = Before::held;  // missing: expired, swept or forgotten
  StoreTime now{};                                                           // the store's clock when it answered
};
struct ServerRow {
  ServerId server;
  ServerInfo info;
  StoreTime renewed_at{};
  enum class Lease : std::uint8_t { held, expired } lease = Lease::held;
  std::chrono::milliseconds lease_left = lease_unknown;  // of a lease that is held, at the moment of the answer
};
struct Servers {
  Errc result = Errc::ok;
  StoreTime now{};
  std::vector<ServerRow> rows;  // by name
};
struct Swept {  // ok | conflict (its lease is held, or another sweeps) | unavailable | timeout
  Errc result = Errc::ok;
  std::uint64_t rows_removed = 0;
  std::uint64_t memberships_removed = 0;  // attachments in rosters
};
struct Held {  // ok | bad_request | unavailable | timeout
  struct Row {
    ClientId client;
    Attachment at;
  };
  struct Place {
    RoomName room;
    ClientId client;
    Attachment at;
  };
  Errc result = Errc::ok;
  std::vector<Row> rows;
  std::vector<Place> places;
  std::string cursor = "0";  // where to go on; "0" after the last page
};
struct OwnerCounts {  // attachments held, by live server
  Errc result = Errc::ok;
  std::vector<std::pair<ServerId, std::uint64_t>> by_server;
};

// ---------------------------------------------------------------- Bus: at most once

enum class ChannelKind : std::uint8_t {
  inbox,  // one server's; name = ServerId text
  app,    // the application's own (broadcast and subscribe); name = anything of 1-256 bytes
  room,   // name = room name
};
struct Channel {
  ChannelKind kind = ChannelKind::app;
  std::string name;
  auto operator<=>(const Channel&) const = default;
};
enum class Match : std::uint8_t { exact, pattern };  // pattern: glob of Redis' PSUBSCRIBE (* ? [])

struct Published {
  Errc result = Errc::ok;
  std::uint64_t receivers = 0;  // subscribers that it was handed to, each server counting once
};
struct Subscribed {
  Errc result = Errc::ok;
};  // ok: every message published from now on arrives
struct Unsubscribed {
  Errc result = Errc::ok;
};

using Answer = std::variant<Claimed, Released, Owners, OwnerPage, Renewed, Servers, Swept, OwnerCounts, Held, Published,
                            Subscribed, Unsubscribed, Joined, Left, RosterPage, RoomInfo, RoomPage, Taken>;

/// Where a backend's answers go.
class AnswerSink {
public:
  virtual ~AnswerSink() = default;
  virtual void on_answer(Ticket ticket, Answer&& answer) = 0;
};

enum class StoreState : std::uint8_t { up, down };

/// Where a backend's bus messages and its state go.
class BusListener {
public:
  virtual ~BusListener() = default;
  /// `pattern` is empty for a message of an exact subscription.
  virtual void on_bus_message(const Channel& channel, std::string_view pattern, std::string_view payload) = 0;
  /// Messages may have been missed before this moment; all subscriptions stand again.
  virtual void on_resubscribed() = 0;
  /// The command path: `up` again means calls will be answered.
  virtual void on_store_state(StoreState state) = 0;
};

class Directory {
public:
  virtual ~Directory() = default;
  virtual void claim(Ticket ticket, const ClaimRequest& request) = 0;  // -> Claimed
  /// Removes exactly this attachment; any other claim of the client stays.
  virtual void release(Ticket ticket, const ClientId& client, const Attachment& at) = 0;  // -> Released
  virtual void lookup(Ticket ticket, const ClientId& client) = 0;                         // -> Owners
  virtual void page(Ticket ticket, std::string_view cursor,
                    std::uint32_t count) = 0;  // -> OwnerPage; cursor "0" begins
  virtual void counts(Ticket ticket) = 0;      // -> OwnerCounts
  /// What the store has of one server, whether its lease stands or not: at least all owner rows and places in rooms
  /// that stand while the pages are read; an entry whose row has gone, or is only coming, may be among them. `count` is
  /// about how many; "0" begins.
  virtual void held(Ticket ticket, const ServerId& server, std::string_view cursor,
                    std::uint32_t count) = 0;  // -> Held
  /// Which of these the store does not have, or not in full: a store that is short of memory may have evicted them, and
  /// people delete keys. REQUIRES: rows and places of one server. Work: O(rows and places), a few reads each.
  virtual void missing(Ticket ticket, const Held& expected) = 0;  // -> Held
  virtual void renew(Ticket ticket, const ServerId& server, const ServerInfo& info,
                     std::chrono::milliseconds lease) = 0;  // -> Renewed
  /// Gives the lease up at once and removes the server from the registry (a graceful stop).
  virtual void resign(Ticket ticket, const ServerId& server) = 0;  // -> Released
  virtual void servers(Ticket ticket) = 0;                         // -> Servers
  /// Removes what a server without lease left behind; one sweeper at a time.
  virtual void sweep(Ticket ticket, const ServerId& dead, const ServerId& by) = 0;  // -> Swept
};

class Bus {
public:
  virtual ~Bus() = default;
  virtual void publish(Ticket ticket, const Channel& channel, std::string payload) = 0;  // -> Published
  virtual void subscribe(Ticket ticket, const Channel& channel, Match match) = 0;        // -> Subscribed
  virtual void unsubscribe(Ticket ticket, const Channel& channel, Match match) = 0;      // -> Unsubscribed
  /// Drops and re-makes the subscriber's connection: what a deaf server does.
  virtual void resubscribe() = 0;  // -> on_resubscribed()
};

// ---------------------------------------------------------------- the local world

class Connections {
public:
  virtual ~Connections() = default;
  /// The outbox of `conn` is no longer empty: write it at the end of this turn.
  virtual void wake(ConnId conn) = 0;
  /// Close with `code` after what is queued; on_close() follows as an input.
  virtual void close(ConnId conn, std::uint16_t code, std::string_view reason) = 0;
};

class Clock {
public:
  virtual ~Clock() = default;
  [[nodiscard]] virtual Time now() const = 0;             // of this turn
  [[nodiscard]] virtual StoreTime store_now() const = 0;  // the store's clock as far as known; never goes back
  /// How far store_now() may be from the store's clock, at most.
  [[nodiscard]] virtual std::chrono::microseconds store_error() const { return std::chrono::microseconds{0}; }
};

}  // namespace wsr
