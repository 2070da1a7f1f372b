// LocalOwners: which clients are attached to this server, as the claims and releases that pass the hub tell.
//
// Under the policy `single` a lookup of such a client is answered from here: no trip to the store, and delivery
// between the shards of one server goes on while the store is down. A client that has meanwhile attached elsewhere is
// found here until its displacement arrives; its old connection still is its own, so nobody else's mail is read.
//
// Thread-safety: none; the hub's thread. Bounds: one entry a connection of this server.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <unordered_map>

#include "core/routing/ports.hpp"
#include "core/routing/text_map.hpp"

namespace wsr::net {

class LocalOwners {
public:
  /// A claim is on its way to the store.
  void on_claim(Ticket ticket, const ClaimCall& request);
  /// The store's answer to it: a superseded attachment is forgotten, a granted one gets its epoch. Whose it is, if
  /// granted.
  std::optional<std::string> on_claimed(Ticket ticket, const Claimed& claimed);
  /// This attachment gets no more messages: released, or being closed.
  void forget(ShardIndex shard, ConnId conn);
  [[nodiscard]] std::optional<OwnerRow> find(const ClientId& client) const;
  [[nodiscard]] std::size_t size() const { return by_client_.size(); }

private:
  struct Place {
    ShardIndex shard = 0;
    ConnId conn;
    bool operator==(const Place&) const = default;
  };
  struct PlaceHash {
    std::size_t operator()(const Place& place) const noexcept {
      return std::hash<std::uint64_t>{}(place.conn.value * 257 + place.shard);
    }
  };
  TextMap<OwnerRow> by_client_;
  std::unordered_map<Place, std::string, PlaceHash> clients_;  // of the rows in by_client_
  std::unordered_map<std::uint64_t, Place> asked_;             // claims without an answer yet
};

}  // namespace wsr::net
