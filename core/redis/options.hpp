// Options of a Redis backend: where the store is, how long to wait for it, its soft bounds.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "core/redis/address.hpp"
#include "core/routing/log_event.hpp"

namespace wsr::redis {

struct Options {
  Address address;
  std::string prefix = "wsr:";                             // of every key and channel
  std::string ca_file;                                     // rediss: trust this CA besides the system's
  std::chrono::milliseconds connect_within{1'000};         // and for the answer to the handshake
  std::chrono::milliseconds reply_within{2'000};           // oldest unanswered command; then the connection is remade
  std::chrono::milliseconds subscriber_ping_every{1'000};  // idle watchdog of the subscriber
  std::chrono::milliseconds backoff_min{50};
  std::chrono::milliseconds backoff_max{500};
  std::uint64_t owners_max = 0;       // 0: no bound; else a soft one, see directory.hpp
  std::uint64_t memberships_max = 0;  // the same, see rosters.hpp
  std::uint64_t random_seed = 0;      // jitter of the backoff; 0: from the machine's entropy
  /// Sentences for people: why a connection failed, a setting of Redis that would lose rows. Never a password.
  LogSink log;
};

}  // namespace wsr::redis
