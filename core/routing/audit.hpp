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
// Thread-safety: none; part of one Router. Cost: O(entries of the server) reads for each of its shards.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "core/routing/room_flow.hpp"
#include "core/routing/router_context.hpp"

namespace wsr {

class Audit {
public:
  Audit(RouterContext& context, RoomFlow& rooms) : context_(context), rooms_(rooms) {}

  /// From the beginning, also if one is under way.
  void begin();
  void on_held(std::uint64_t number, const Held& held);
  void on_released(Errc result);
  /// `is_busy`: the shard still claims its sessions again, which comes first.
  void on_time(bool is_busy);
  [[nodiscard]] std::optional<Time> next_deadline() const { return next_at_; }

private:
  static constexpr std::uint32_t page_entries = 500;
  static constexpr Duration settle_for = std::chrono::seconds{1};  // also until a page that failed is asked for again

  RouterContext& context_;
  RoomFlow& rooms_;
  std::uint64_t number_ = 0;  // of the page that is asked for
  std::string cursor_;
  std::optional<Time> next_at_;
};

}  // namespace wsr
