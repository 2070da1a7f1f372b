// Answers of the store, as data: one struct a kind of answer, and the variant that carries them all.
//
// Which call brings which answer stands at the call (call.hpp). Every answer begins with its result; the comment names
// those that may come. `unavailable` and `timeout` (is_store_failure()) leave open whether the call was carried out.
//
// Thread-safety: plain data.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "core/base/errc.hpp"
#include "core/base/ids.hpp"
#include "core/base/overload.hpp"
#include "core/base/time.hpp"

namespace wsr {

// ---------------------------------------------------------------- who is where

inline constexpr std::chrono::milliseconds lease_unknown = std::chrono::milliseconds::max();

struct OwnerRow {
  ClientId client;
  Attachment at;
  Epoch epoch;
  StoreTime claimed_at{};  // when the connection was accepted, on the store's clock
  /// How much longer its server's lease stands at least, at the moment of the answer; lease_unknown: not told.
  std::chrono::milliseconds lease_left = lease_unknown;
};

struct Claimed {  // ok | superseded | capacity | unavailable | timeout
  Errc result = Errc::ok;
  Epoch epoch{};
  std::vector<Attachment> displaced;  // must be told 4009, wherever they are
  std::string detail;                 // for people, when result is not ok
  std::vector<RoomName> rooms = {};   // the client's, without those that list this attachment: it is to join them, too
};
struct Released {  // ok | not_found (a newer claim, or none: nothing changed) | unavailable | timeout
  Errc result = Errc::ok;
};
struct Owners {  // ok (rows may be empty: offline) | unavailable | timeout
  Errc result = Errc::ok;
  std::vector<OwnerRow> rows;  // only rows whose server holds its lease; newest epoch first
};
struct OwnerPage {
  Errc result = Errc::ok;
  std::vector<OwnerRow> rows;
  std::string cursor;  // where to go on; "0" after the last page
};
struct OwnerCounts {  // attachments held, by live server
  Errc result = Errc::ok;
  std::vector<std::pair<ServerId, std::uint64_t>> by_server;
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

// ---------------------------------------------------------------- which servers live

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

// ---------------------------------------------------------------- the bus

struct Published {
  Errc result = Errc::ok;
  std::uint64_t receivers = 0;  // subscribers that it was handed to, each server counting once
};
struct Subscribed {  // ok: every message published from now on arrives
  Errc result = Errc::ok;
};
struct Unsubscribed {
  Errc result = Errc::ok;
};

// ---------------------------------------------------------------- rosters

struct Joined {  // ok | not_found (the stay has ended: `version` is of the leave) | superseded | capacity | unavailable
                 // | timeout
  Errc result = Errc::ok;
  std::uint64_t size = 0;  // clients in the room after this call
  std::uint64_t version = 0;
  std::string detail;      // for people, when result is not ok
  bool has_begun = false;  // nobody of the client was there before
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

// ---------------------------------------------------------------- rates

struct Taken {  // ok | rate_limited | unavailable | timeout
  Errc result = Errc::ok;
  std::chrono::microseconds retry_after{0};  // rate_limited: when one token will be there, if nobody else takes it
};

// ---------------------------------------------------------------- one of them

using Answer = std::variant<Claimed, Released, Owners, OwnerPage, Renewed, Servers, Swept, OwnerCounts, Held, Published,
                            Subscribed, Unsubscribed, Joined, Left, RosterPage, RoomInfo, RoomPage, Taken>;

// Whose answers they are, for those who see all and wait for some; both Routers and Keepers publish, subscribe and give
// up what they hold. A new answer joins one of these lists, and whoever waits for it does not compile without it.
using RouterAnswers = Ignored<Claimed, Owners, Held, Joined, Left, RosterPage, RoomInfo, Taken>;
using KeeperAnswers = Ignored<Renewed, Servers, Swept>;
using ServiceAnswers = Ignored<OwnerPage, OwnerCounts, RoomPage>;  // of the application, the HTTP API, the shell

}  // namespace wsr
