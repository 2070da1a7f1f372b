// Limits: every bound of a shard in one place, with its unit and reason.
//
// What happens at each bound is stated where it is enforced and has a test.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

#include "core/routing/time.hpp"

namespace wsr {

struct Limits {
  std::size_t message_bytes_max = 64 * 1024;       // one message of a client; above: too_big, close 1009
  std::size_t outbox_bytes_max = 4 * 1024 * 1024;  // what one stalled client may cost; above: slow_consumer
  std::size_t sessions_max = 1'000'000;            // connections of one shard; below the 2^24 slots of a ConnId
  std::size_t owner_cache_max = 65'536;            // routes kept by a shard; the least recently used settled one goes
  std::size_t route_messages_max = 1'024;          // messages waiting for one lookup; above: dropped(capacity)
  std::size_t route_bytes_max = 4 * 1024 * 1024;   // their bytes
  std::size_t link_bytes_max = 16 * 1024 * 1024;   // waiting for one other shard while the bus is slow or down
  std::size_t receipts_max = 262'144;  // receipts awaited by a shard; above: the answer is `unknown` at once
  std::uint8_t hops_max = 2;           // servers that a message may visit in search of its client
  std::uint32_t devices_max = 8;       // connections of a client under the policy `multi`

  Duration receipt_timeout = std::chrono::seconds{5};  // then the word is `unknown`
  Duration send_deadline = std::chrono::seconds{5};    // waiting for a lookup or the bus; then dropped(expired)
  Duration account_every = std::chrono::seconds{1};    // how often a receiver tells a sender how far it is
  Duration drain_max = std::chrono::seconds{1};  // newer messages wait this long at most for older ones to come back
  Duration multi_route_ttl = std::chrono::seconds{1};  // policy `multi`: how long a new device may be missed
  std::uint32_t reassert_batch = 256;  // claims re-asserted per pace step: a healed store is not flooded
  Duration reassert_pace = std::chrono::milliseconds{5};
  std::uint32_t link_in_flight_max = 32;  // batches published and not yet answered, per link
};

}  // namespace wsr
