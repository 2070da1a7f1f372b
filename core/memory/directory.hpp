// OwnerDirectory: who is where, and which servers live, as plain state with atomic operations.
//
// What a script does in Redis is one call here: each takes effect whole or not at all, and returns its answer at once.
// backend.cpp makes calls of it, whose answers come later.
//
// An owner row is a slot that never moves while its attachment stays, so a page cursor is a slot number and a row that
// stays is seen exactly once. Rows of one server are chained through their slots, so a sweep touches those only; so are
// those of one client. A row costs 140 bytes. Expired rows (ClaimCall::ttl) are seen by nobody, and removed when
// their client or their server is next dealt with.
//
// Epochs: nothing is kept of a client without rows. While it has rows its epochs grow with every claim; after a release
// the next one is at least the claim's accept time in microseconds, so it grows too if that connection was accepted
// later than the released one, and may repeat or fall back for a delayed claim that was accepted earlier.
//
// Thread-safety: none.
// Bounds:        owners_max rows, hard; a claim that would need one more changes nothing.
// Cost:          claim, release, lookup: O(1) on average in the number of rows; sweep and resign: O(rows of that
//                server); counts and servers: O(servers).
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string_view>
#include <vector>

#include "core/routing/slot_index.hpp"
#include "core/store/store.hpp"

namespace wsr::memory {

class OwnerDirectory {
public:
  explicit OwnerDirectory(std::uint64_t owners_max) : owners_max_(owners_max), clients_(ClientOf{&slots_}) {}
  OwnerDirectory(const OwnerDirectory&) = delete;
  OwnerDirectory& operator=(const OwnerDirectory&) = delete;

  [[nodiscard]] Claimed claim(const ClaimCall& request, StoreTime now);
  [[nodiscard]] Released release(const ClientId& client, const Attachment& at, StoreTime now);
  [[nodiscard]] Owners lookup(const ClientId& client, StoreTime now) const;
  /// The first row of lookup(); none if it has none.
  [[nodiscard]] std::optional<OwnerRow> newest(const ClientId& client, StoreTime now) const;
  /// bad_request if `cursor` is none that a page gave.
  [[nodiscard]] OwnerPage page(std::string_view cursor, std::uint32_t count, StoreTime now) const;
  /// Rows that have expired and were not yet removed are among them.
  [[nodiscard]] OwnerCounts counts(StoreTime now) const;
  /// All of the server's rows in one page; the places are RosterSet's.
  [[nodiscard]] Held held(const ServerId& server, StoreTime now) const;
  /// The rows of `expected` that are not there.
  [[nodiscard]] Held missing(const Held& expected, StoreTime now) const;
  /// The server's rows that have not expired, whether they count or not. O(its rows).
  [[nodiscard]] std::uint64_t stored_rows(const ServerId& server, StoreTime now) const;

  [[nodiscard]] Renewed renew(const ServerId& server, const ServerInfo& info, std::chrono::milliseconds lease,
                              StoreTime now);
  /// Also removes what the server still held: without registry entry no sweep would ever come by.
  [[nodiscard]] Released resign(const ServerId& server);
  [[nodiscard]] Servers servers(StoreTime now) const;
  /// Puts a server that acts without a lease into the registry, as expired: only a server in it is ever swept.
  void enlist(const ServerId& server, StoreTime now);
  /// Atomic, so there is no second sweeper to be in conflict with.
  [[nodiscard]] Swept sweep(const ServerId& dead, StoreTime now);

private:
  using Place = std::uint32_t;  // of a slot
  static constexpr Place none = ~Place{0};

  struct Server {
    ServerId id;
    ServerInfo info;
    StoreTime renewed_at{};
    StoreTime held_until{};  // the lease; in the past: expired
    Place first = none;      // its rows, chained
    std::uint64_t rows = 0;
  };
  struct Slot {
    ClientId client;
    Server* server = nullptr;  // none: the slot is free
    ConnId conn;
    Epoch epoch;
    StoreTime claimed_at{};
    StoreTime expires_at = StoreTime::max();
    ShardIndex shard = 0;
    Place previous = none, next = none;  // of the same server
    Place next_device = none;            // of the same client, in the order of their claims
    [[nodiscard]] Attachment at() const { return {server->id, shard, conn}; }
    [[nodiscard]] bool is_at(const Attachment& where) const {
      return conn == where.conn && shard == where.shard && server->id == where.server;
    }
    [[nodiscard]] OwnerRow row() const { return {client, at(), epoch, claimed_at}; }
    [[nodiscard]] OwnerRow row(StoreTime now) const {  // as a reader gets it
      OwnerRow row = this->row();
      row.lease_left = std::chrono::ceil<std::chrono::milliseconds>(server->held_until - now);
      return row;
    }
    [[nodiscard]] bool is_seen(StoreTime now) const { return server->held_until > now && expires_at > now; }
  };
  struct ClientOf {
    const SlotTable<Slot>* slots;
    std::string_view operator()(Place place) const { return (*slots)[place].client.view(); }
  };

  [[nodiscard]] Claimed claim_single(const ClaimCall& request, StoreTime now);
  [[nodiscard]] Claimed claim_multi(const ClaimCall& request, StoreTime now);
  [[nodiscard]] Claimed store(const ClaimCall& request, Epoch epoch, std::vector<Attachment> displaced, StoreTime now);
  [[nodiscard]] Place find(const ClientId& client, const Attachment& at) const;
  [[nodiscard]] std::vector<OwnerRow> rows_of(const ClientId& client) const;
  void add(const ClaimCall& request, Epoch epoch, StoreTime now);
  void remove(Place place);
  void remove_expired(const ClientId& client, StoreTime now);
  std::uint64_t remove_all(Server& server);

  std::uint64_t owners_max_;
  std::uint64_t rows_ = 0;
  SlotTable<Slot> slots_;
  std::vector<Place> free_;
  SlotIndex<ClientOf> clients_;         // of each client its first row
  std::map<ServerId, Server> servers_;  // the registry, by name
};

}  // namespace wsr::memory
