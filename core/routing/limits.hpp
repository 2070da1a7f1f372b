// Limits: every bound of a shard in one place, with its unit and reason.
//
// What happens at each bound is stated where it is enforced and has a test.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

#include "core/base/time.hpp"
#include "core/routing/outbox.hpp"
#include "core/store/rates.hpp"

namespace wsr {

struct Limits {
  std::size_t message_bytes_max = 64 * 1024;       // one message of a client; above: too_big, close 1009
  std::size_t outbox_bytes_max = 4 * 1024 * 1024;  // what one stalled client may cost; above: slow_policy
  SlowPolicy slow_policy = SlowPolicy::drop;
  std::size_t outboxes_bytes_max = std::size_t{1} << 30;  // of the whole process; above: see OutboxBudget
  std::size_t sessions_max = 1'000'000;                   // connections of one shard; below the 2^24 slots of a ConnId
  std::size_t owner_cache_max = 65'536;           // routes kept by a shard; the least recently used settled one goes
  std::size_t route_messages_max = 1'024;         // messages waiting for one lookup; above: dropped(capacity)
  std::size_t route_bytes_max = 4 * 1024 * 1024;  // their bytes
  std::size_t link_bytes_max = 16 * 1024 * 1024;  // waiting for one other shard while the bus is slow or down
  std::size_t receipts_max = 262'144;             // receipts awaited by a shard; above: dropped(capacity)
  std::uint8_t hops_max = 2;                      // servers that a message may visit in search of its client
  std::uint32_t devices_max = 8;                  // connections of a client under the policy `multi`

  Duration receipt_timeout = std::chrono::seconds{5};  // of pushes and commands carried out elsewhere
  /// From the submission of a message: it is not delivered later, anywhere, and what still waits is dropped(expired).
  Duration send_deadline = std::chrono::seconds{5};
  /// Then, if no receipt has come, the outcome is `unknown`: half a second for a receipt's way back, and for two
  /// servers whose store clocks differ.
  Duration outcome_grace = std::chrono::milliseconds{500};
  Duration account_every = std::chrono::seconds{1};  // how often a receiver tells a sender how far it is
  /// A peer that has not answered the oldest batch for this long and has not spoken since is suspect: who sends to its
  /// clients looks them up first. An account is due after account_every.
  Duration silent_after = std::chrono::milliseconds{1'500};
  Duration drain_max = std::chrono::seconds{1};  // newer messages wait this long at most for older ones to come back
  Duration multi_route_ttl = std::chrono::seconds{1};  // policy `multi`: how long a new device may be missed

  std::uint32_t rooms_per_client_max = 1'000;  // one client's work at its reconnect; above: capacity
  std::uint32_t room_flows_max = 65'536;       // joins, leaves and pushes under way on a shard; above: capacity
  std::uint32_t presence_events_max = 200;     // a room with more clients gets counts instead of single events
  Duration presence_count_every = std::chrono::seconds{1};  // how often such a room hears its count
  Duration room_linger = std::chrono::seconds{1};  // a room without members stays subscribed: some come right back
  Duration reconnect_grace{0};  // how long a client that is gone keeps its rooms; 0: its stay ends with it
  Duration authorize_within = std::chrono::seconds{5};  // an Authorizer's answer; then the answer is no

  RateLimit client_rate;  // sends and pushes of one client, wherever it is connected
  RateLimit room_rate;    // pushes into one room, by anybody
  // What the other work of one client may cost, as its shard counts it: far above what programs do, far below what
  // hurts.
  RateLimit join_rate{200, std::chrono::seconds{1}, 2'000};  // joins; at once: twice as many as rooms_per_client_max
  RateLimit leave_rate{200, std::chrono::seconds{1}, 2'000};
  RateLimit members_rate{50, std::chrono::seconds{1}, 500};                           // pages of members
  enum class OverRate : std::uint8_t { refuse, close } over_rate = OverRate::refuse;  // close: 4029

  /// How long an owner row stays in the store after its last claim, which is made again each third of that; 0: until
  /// it is released or swept. At least the lease: a row must outlive a store that is away for a moment.
  std::chrono::milliseconds owner_ttl{0};
  std::uint32_t reassert_batch = 256;  // claims re-asserted per pace step: a healed store is not flooded
  Duration reassert_pace = std::chrono::milliseconds{5};
  /// Each connection's row and places are looked for in the store about once in this time, or as fast as verify_batch
  /// of them each 20 ms allow; what is missing is claimed again. 0: never, for a store that loses nothing by itself.
  Duration verify_every{0};
  std::uint32_t verify_batch = 200;
  std::uint32_t link_in_flight_max = 32;  // batches published and not yet answered, per link
};

}  // namespace wsr
