#include "sim/outside_counts.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

namespace wsr::sim {
namespace {

constexpr std::uint64_t no_bound = ~std::uint64_t{0};

struct Bounds {
  std::string_view name;
  std::uint64_t said = 0;
  std::uint64_t at_least = 0, at_most = 0;
};

Bounds exactly(std::string_view name, std::uint64_t said, std::uint64_t counted) {
  return {name, said, counted, counted};
}

std::uint64_t less(std::uint64_t from, std::uint64_t count) { return from - std::min(from, count); }

}  // namespace

std::optional<std::string> dishonest_figure(const Stats& stats, const OutsideCounts& counts, std::uint64_t rooms) {
  const PortCounts& calls = counts.calls;
  const Bounds all[] = {
      exactly("opened", stats.opened, counts.opened),
      exactly("closed", stats.closed, counts.closed),
      exactly("claims + claims_renewed + reasserted", stats.claims + stats.claims_renewed + stats.reasserted,
              calls.claims),
      // A release without an answer is called again, and counted once. What is taken back says what became of it
      // nowhere.
      {"releases + rows_taken_back", stats.releases + stats.rows_taken_back,
       less(calls.releases, counts.releases_unanswered), calls.releases},
      {"releases_fenced", stats.releases_fenced, less(counts.releases_fenced, stats.rows_taken_back),
       counts.releases_fenced},
      {"lookups", stats.lookups, less(calls.lookups, counts.lookups_for_rooms_max), calls.lookups},
      exactly("batches_out", stats.batches_out, calls.batches),
      exactly("batches_in + duplicates + bad_batches", stats.batches_in + stats.duplicates + stats.bad_batches,
              counts.batches_in),
      {"sent", stats.sent, less(counts.sends, counts.sends_held), counts.sends},
      exactly("room_pushes", stats.room_pushes, calls.room_messages),
      {"room_pushes", stats.room_pushes, 0, counts.pushes},
      exactly("displaced", stats.displaced, counts.closes_replaced),
      exactly("slow_disconnects", stats.slow_disconnects, counts.closes_slow),
      // What is put into an outbox may end with its connection; what was never put there nobody hears.
      {"delivered_here", stats.delivered_here, counts.messages_heard, no_bound},
      {"room_delivered", stats.room_delivered, counts.room_messages_heard, no_bound},
      exactly("rooms", stats.rooms, rooms),
  };
  for (const Bounds& each : all) {
    if (each.said >= each.at_least && each.said <= each.at_most) continue;
    return fmt::format("says {} {}, and it was {}", each.name, each.said,
                       each.said < each.at_least ? each.at_least : each.at_most);
  }
  return std::nullopt;
}

}  // namespace wsr::sim
