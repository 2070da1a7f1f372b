// Audit: what the store has of this shard and should not have: rows and places of connections that are gone.
//
// The store may have forgotten the last writes (a failover to a replica that was behind). Claims and joins that it lost
// are asserted again; a release or a leave that it lost makes no noise: the row stands again, and nobody misses it. So
// after each re-assertion, once it is through, this shard reads what the store holds of its server, page by page, and
// takes back what no connection here stands for. Connection ids are never reused, so what nobody stands for now nobody
// ever will.
//
//   trouble ─settle_for─▶ page ─▶ release, drop what is not ours ─pace─▶ page ... ─▶ done
//
// The other way round there is no trouble to begin with: a store that is short of memory evicts rows, and people delete
// keys. So with Limits::verify_every the shard goes round its connections all the time, and what the store does not
// have of them is claimed and joined again.
//
//   first connection ─▶ a batch of connections ─▶ claim, join what is missing ─pace─▶ the next batch ... round and
//   round
//
// Thread-safety: none; part of one Router. Cost: O(entries of the server) reads for each of its shards after trouble; a
// round reads a connection's row twice, and each of its rooms four times.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>

#include "core/routing/ownership.hpp"
#include "core/routing/room_flow.hpp"
#include "core/routing/router_context.hpp"

namespace wsr {

class Audit {
public:
  Audit(RouterContext& context, RoomFlow& rooms, Ownership& ownership)
      : context_(context), rooms_(rooms), ownership_(ownership) {}

  /// From the beginning, also if one is under way.
  void begin();
  /// There is a connection to look after.
  void on_opened();
  void on_held(std::uint64_t number, const Held& held);
  void on_released(Errc result);
  /// `is_busy`: the shard still claims its sessions again, which comes first.
  void on_time(bool is_busy);
  [[nodiscard]] std::optional<Time> next_deadline() const;

private:
  static constexpr std::uint32_t page_entries = 500;
  static constexpr Duration settle_for = std::chrono::seconds{1};  // also until a page that failed is asked for again

  static constexpr Duration verify_pace = std::chrono::milliseconds{20};
  void verify();
  void on_missing(const Held& missing);

  RouterContext& context_;
  RoomFlow& rooms_;
  Ownership& ownership_;
  std::uint64_t number_ = 0;  // of the page that is asked for
  std::string cursor_;
  std::optional<Time> next_at_;
  std::optional<Time> verify_at_;
  static constexpr std::uint64_t pages = 0, looks = 1;  // the two kinds of AuditNumber
  std::set<std::uint64_t> verifying_;                   // batches that are asked for, by their numbers
  static constexpr std::size_t verifying_max = 4;       // a slow store is asked slowly
  std::uint64_t number_of_batch_ = 0;
  std::uint32_t verify_slot_ = 0;  // the next session
  Time round_began_{};
};

}  // namespace wsr
