// The word in which every message ends (contract G5): sent = delivered + queued + offline + dropped(reason) + unknown.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "core/wire/envelope.hpp"

namespace wsr {

/// Order is part of the bus format: append only. word_count of core/wire/envelope.hpp is its bound.
enum class Word : std::uint8_t {
  delivered,              // in the outbox of a live connection of the client
  queued,                 // kept in the client's mailbox
  offline,                // no server holds the client
  unknown,                // handed over, and its fate was lost with a server or a link
  dropped_slow_consumer,  // the connection's outbox is at its bound
  dropped_rate_limited,
  dropped_capacity,  // a queue on the way is at its bound
  dropped_too_big,
  dropped_forbidden,
  dropped_expired,   // its deadline passed before it could be sent
  dropped_bus_lost,  // lost between two servers
};
inline constexpr std::size_t words_used = 11;
static_assert(words_used <= word_count);

/// `delivered`, `queued`, `offline`, `unknown` or `dropped`.
[[nodiscard]] std::string_view state_of(Word word);
/// `slow_consumer`, `rate_limited`, ...; empty unless dropped.
[[nodiscard]] std::string_view reason_of(Word word);

using WordCounts = std::array<std::uint64_t, word_count>;
[[nodiscard]] constexpr std::uint64_t& at(WordCounts& counts, Word word) {
  return counts[static_cast<std::size_t>(word)];
}
[[nodiscard]] constexpr std::uint64_t at(const WordCounts& counts, Word word) {
  return counts[static_cast<std::size_t>(word)];
}
[[nodiscard]] constexpr std::uint64_t sum(const WordCounts& counts) {
  std::uint64_t total = 0;
  for (auto n : counts) total += n;
  return total;
}

}  // namespace wsr
