// redis::Backend: directory, bus, rosters, rates and tables on one Redis or Valkey, for any number of servers.
//
// Two connections: commands (pipelined, one write a turn) and subscriber. Both reconnect for ever with jittered
// backoff, have a deadline on every call and an idle watchdog; after a reconnect the subscriber subscribes again, then
// on_resubscribed() tells the core to resync. A lost connection fails its pending calls as `unavailable`.
//
// Thread-safety: none; one io_context with one thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "core/routing/log_event.hpp"
#include "core/store/backend.hpp"
#include "core/wire/envelope.hpp"

namespace boost::asio {
class io_context;
}

namespace wsr::redis {

/// redis://[user[:password]@]host[:port][/db] | rediss://... (TLS) | unix:///path[?db=n]
struct Address {
  enum class Kind : std::uint8_t { tcp, tls, unix_socket } kind = Kind::tcp;
  std::string host = "127.0.0.1";
  std::uint16_t port = 6379;
  std::string path;
  std::string user, password;
  unsigned db = 0;
  [[nodiscard]] static Result<Address> parse(std::string_view url);
  /// The url without its password, for logs.
  [[nodiscard]] std::string str() const;
};

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

/// The same keys, good for one fabric only: what servers of another prefix or database number of the same Redis have
/// signed with them is refused, so nothing that is recorded there can be played back here.
[[nodiscard]] BatchKeys bind_keys(BatchKeys keys, std::string_view prefix, unsigned db);

[[nodiscard]] std::unique_ptr<wsr::Backend> make_backend(boost::asio::io_context& io, Options options,
                                                         AnswerSink& answers, BusListener& listener);

}  // namespace wsr::redis
