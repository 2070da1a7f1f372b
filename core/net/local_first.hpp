// LocalFirst: the store as one server sees it. What the server can answer by itself does not reach the store behind it.
//
// This is the one place that answers "is it on this server?":
//
//   publish into the own inbox      ──▶ the sibling shard that the batch is for, from inlet to inlet    hand_over()
//   lookup of a client attached here ─▶ its row, as the claims and releases that pass by tell (policy `single`)
//   subscribe, unsubscribe a room   ──▶ the store is asked for the first and after the last shard that wants it
//   everything else                 ──▶ the store
//
// So clients of one server reach each other while the store is away. The Keeper's probe is no shard's batch and goes
// round through the store: that is what it probes.
//
// Thread-safety: the hub's thread, except hand_over(): any thread.
// Errors:        none of its own.
// Bounds:        LocalOwners': an entry a connection; of rooms, an entry a room and shard that wants it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/net/local_owners.hpp"
#include "core/routing/text_map.hpp"
#include "core/store/store.hpp"

namespace wsr::net {

/// The shards of this server, as LocalFirst needs them.
class Siblings {
public:
  virtual ~Siblings() = default;
  [[nodiscard]] virtual std::size_t sibling_count() const = 0;                                          // any thread
  virtual void give_answer(std::uint8_t shard, Ticket ticket, Answer&& answer) = 0;                     // any thread
  virtual void give_batch(std::uint16_t shard, std::string batch, std::function<void()> on_taken) = 0;  // any thread
};

class LocalFirst final : public Store {
public:
  LocalFirst(Store& store, const ServerId& self, SessionPolicy policy, Siblings& siblings)
      : store_(store), self_(self), policy_(policy), siblings_(siblings) {}

  /// Any thread: true if `call` was a batch of shard `from` for a shard of this server; it has been handed over, and is
  /// answered when the other has taken it.
  [[nodiscard]] bool hand_over(std::uint8_t from, Ticket ticket, StoreCall& call);

  /// The ticket's driver is the shard that asks.
  void call(Ticket ticket, StoreCall&& call) override;
  /// The store's answer to a claim that went by here. Whose claim it was, if it was granted.
  std::optional<std::string> on_claimed(Ticket ticket, const Claimed& claimed) {
    return owners_.on_claimed(ticket, claimed);
  }
  /// This attachment gets no more messages: it is being closed.
  void forget(ShardIndex shard, ConnId conn) { owners_.forget(shard, conn); }
  /// The shards that want what this room's channel brings; nullptr: none.
  [[nodiscard]] const std::vector<std::uint8_t>* shards_in(std::string_view room) const;

private:
  enum class Done : std::uint8_t { no, yes };  // yes: the call needs no store
  [[nodiscard]] Done look_at(Ticket ticket, const ClaimCall& claim);
  [[nodiscard]] Done look_at(Ticket ticket, const ReleaseCall& release);
  [[nodiscard]] Done look_at(Ticket ticket, const LookupCall& lookup);
  [[nodiscard]] Done look_at(Ticket ticket, const SubscribeCall& subscribe);
  [[nodiscard]] Done look_at(Ticket ticket, const UnsubscribeCall& unsubscribe);

  Store& store_;
  const ServerId self_;
  const SessionPolicy policy_;
  Siblings& siblings_;
  LocalOwners owners_;
  TextMap<std::vector<std::uint8_t>> rooms_;  // subscribed -> the shards that want it
};

}  // namespace wsr::net
