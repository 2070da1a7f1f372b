// Stats: what one shard has counted since it started. Plain numbers; the sum over shards is the server's.
//
// sent = sum(words) + in flight; `words` are counted where the message entered the cluster (the
// receiving shard reports them back in its accounts), so each server's own figures add up.
#pragma once

#include <cstdint>
#include <string_view>

#include "core/routing/outcome.hpp"

namespace wsr {

struct Stats {
  // messages that entered the cluster here
  std::uint64_t sent = 0;
  WordCounts words{};  // how they ended; sum(words) <= sent, the rest is in flight
  // what this shard did
  std::uint64_t delivered_here = 0;  // frames put into outboxes of this shard, for senders anywhere
  std::uint64_t returned = 0;        // messages given back because their client was not here
  std::uint64_t forwarded = 0;       // messages sent on to another server after they came back
  std::uint64_t copies = 0;          // further devices of a client
  std::uint64_t local_hits = 0;      // messages that met their client on this shard
  std::uint64_t cache_hits = 0;
  std::uint64_t lookups = 0;
  std::uint64_t batches_out = 0;
  std::uint64_t batches_in = 0;
  std::uint64_t entries_in = 0;
  std::uint64_t gaps = 0;  // batches missed on an inbox (entries: gap_entries)
  std::uint64_t gap_entries = 0;
  std::uint64_t duplicates = 0;      // batches seen twice and dropped
  std::uint64_t bad_batches = 0;     // undecodable, wrong version, bad MAC
  std::uint64_t receipts_late = 0;   // came after `unknown` had been said
  std::uint64_t returned_late = 0;   // given back by a server that had been given up
  std::uint64_t drain_timeouts = 0;  // newer messages stopped waiting for older ones
  std::uint64_t unfinished = 0;      // gauge: messages in flight now
  std::uint64_t links = 0;           // gauge: shards of servers and guests that it exchanges batches with
  // connections and ownership
  std::uint64_t opened = 0;
  std::uint64_t closed = 0;
  std::uint64_t claims = 0;
  std::uint64_t claims_superseded = 0;
  std::uint64_t claims_renewed = 0;  // made again because rows expire (owner_ttl), or to follow other devices
  std::uint64_t claims_failed = 0;
  std::uint64_t displaced = 0;             // connections of this shard told 4009
  std::uint64_t takeovers_unanswered = 0;  // replaced connections whose server did not answer within its lease
  std::uint64_t reasserted = 0;
  std::uint64_t rows_put_back = 0, places_put_back = 0;      // that the store had lost of connections that are here
  std::uint64_t rows_taken_back = 0, places_taken_back = 0;  // that the store still had of connections that are gone
  std::uint64_t releases = 0;
  std::uint64_t releases_fenced = 0;  // releases that found a newer claim and changed nothing
  std::uint64_t answers_dropped = 0;  // results and errors for clients that do not read
  std::uint64_t bad_frames = 0;       // client frames answered with an error
  // slow consumers and limits
  std::uint64_t slow_dropped = 0;      // messages that outboxes gave up for slow readers, by any policy
  std::uint64_t slow_told = 0;         // times that a reader was told how many it missed
  std::uint64_t slow_disconnects = 0;  // connections closed with 1013
  std::uint64_t lost_at_close = 0;     // messages that waited for a connection when it ended, and went with it
  std::uint64_t rate_limited_client = 0;
  std::uint64_t rate_limited_room = 0;
  std::uint64_t rate_limited_joins = 0, rate_limited_leaves = 0, rate_limited_members = 0;  // commands refused
  std::uint64_t rate_limited_connects =
      0;                               // upgrades refused: of a client, of an address, of a name that is fought over
  std::uint64_t takeovers_braked = 0;  // connections that had to wait because their name is fought over
  // rooms
  std::uint64_t room_joins = 0;          // connections of this shard that joined
  std::uint64_t room_leaves = 0;         // that left; a connection that closed is not counted
  std::uint64_t room_restores = 0;       // memberships that a client which came back began with
  std::uint64_t room_denied = 0;         // commands that the authorizer refused
  std::uint64_t authorize_timeouts = 0;  // that it did not answer
  std::uint64_t room_pushes = 0;         // messages pushed from here
  std::uint64_t room_pushes_failed = 0;  // whose fate the store did not tell
  std::uint64_t room_delivered = 0;      // messages put into outboxes of members here
  std::uint64_t room_dropped = 0;        // refused by outboxes of members here
  std::uint64_t room_expired = 0;        // messages that came after their deadline
  std::uint64_t room_gaps = 0;           // times that a sender's numbers jumped
  std::uint64_t room_missed = 0;         // messages that were missed by that
  std::uint64_t presence_events = 0;     // events and counts of rooms that this shard has
  std::uint64_t rooms = 0;               // gauge: rooms that this shard is subscribed to
  std::uint64_t memberships = 0;         // gauge: connections in rooms, summed over rooms

  Stats& operator+=(const Stats& other);

  /// Calls visit(name, value) for every figure except the words, in a fixed order.
  template <class Visit>
  void each(Visit&& visit) const;
};

struct StatsFigure {
  std::string_view name;
  std::uint64_t Stats::*value;
};
inline constexpr StatsFigure stats_figures[] = {
    {"sent", &Stats::sent},
    {"delivered_here", &Stats::delivered_here},
    {"returned", &Stats::returned},
    {"forwarded", &Stats::forwarded},
    {"copies", &Stats::copies},
    {"local_hits", &Stats::local_hits},
    {"cache_hits", &Stats::cache_hits},
    {"lookups", &Stats::lookups},
    {"batches_out", &Stats::batches_out},
    {"batches_in", &Stats::batches_in},
    {"entries_in", &Stats::entries_in},
    {"gaps", &Stats::gaps},
    {"gap_entries", &Stats::gap_entries},
    {"duplicates", &Stats::duplicates},
    {"bad_batches", &Stats::bad_batches},
    {"receipts_late", &Stats::receipts_late},
    {"returned_late", &Stats::returned_late},
    {"drain_timeouts", &Stats::drain_timeouts},
    {"unfinished", &Stats::unfinished},
    {"links", &Stats::links},
    {"opened", &Stats::opened},
    {"closed", &Stats::closed},
    {"claims", &Stats::claims},
    {"claims_superseded", &Stats::claims_superseded},
    {"claims_renewed", &Stats::claims_renewed},
    {"claims_failed", &Stats::claims_failed},
    {"displaced", &Stats::displaced},
    {"takeovers_unanswered", &Stats::takeovers_unanswered},
    {"reasserted", &Stats::reasserted},
    {"rows_put_back", &Stats::rows_put_back},
    {"places_put_back", &Stats::places_put_back},
    {"rows_taken_back", &Stats::rows_taken_back},
    {"places_taken_back", &Stats::places_taken_back},
    {"releases", &Stats::releases},
    {"releases_fenced", &Stats::releases_fenced},
    {"answers_dropped", &Stats::answers_dropped},
    {"bad_frames", &Stats::bad_frames},
    {"slow_dropped", &Stats::slow_dropped},
    {"slow_told", &Stats::slow_told},
    {"slow_disconnects", &Stats::slow_disconnects},
    {"lost_at_close", &Stats::lost_at_close},
    {"rate_limited_client", &Stats::rate_limited_client},
    {"rate_limited_room", &Stats::rate_limited_room},
    {"rate_limited_joins", &Stats::rate_limited_joins},
    {"rate_limited_leaves", &Stats::rate_limited_leaves},
    {"rate_limited_members", &Stats::rate_limited_members},
    {"rate_limited_connects", &Stats::rate_limited_connects},
    {"takeovers_braked", &Stats::takeovers_braked},
    {"room_joins", &Stats::room_joins},
    {"room_leaves", &Stats::room_leaves},
    {"room_restores", &Stats::room_restores},
    {"room_denied", &Stats::room_denied},
    {"authorize_timeouts", &Stats::authorize_timeouts},
    {"room_pushes", &Stats::room_pushes},
    {"room_pushes_failed", &Stats::room_pushes_failed},
    {"room_delivered", &Stats::room_delivered},
    {"room_dropped", &Stats::room_dropped},
    {"room_expired", &Stats::room_expired},
    {"room_gaps", &Stats::room_gaps},
    {"room_missed", &Stats::room_missed},
    {"presence_events", &Stats::presence_events},
    {"rooms", &Stats::rooms},
    {"memberships", &Stats::memberships},
};

template <class Visit>
void Stats::each(Visit&& visit) const {
  for (const auto& figure : stats_figures) visit(figure.name, this->*figure.value);
}

}  // namespace wsr
