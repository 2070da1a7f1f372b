// ConnectRates: what connecting costs: upgrades of one client and of one address, and names that are fought over.
//
//   upgrade ─▶ the address' bucket ─▶ the client's bucket ─▶ is its name fought over? ─no─▶ open
//                 └─ empty: 429            └─ empty: 429        └─ yes: wait for a token, then open, or 429
//
// Two programs with one name throw each other out without end when both come back at once. A takeover costs a token if
// the connection of that client that was here just before had itself been replaced: who merely moves to another place,
// however often, pays nothing.
// Once the bucket is empty the next connection of that name waits for a token.
//
// Loopback has no limit by address: behind a proxy on this machine everybody has that address. An IPv6 address counts
// with its network of 64 bits, which is what one customer has.
//
// Thread-safety: any thread. Bounds: BucketTable::buckets_max clients and addresses; names_max names that lost a
// connection lately, of which beyond it those of more than names_kept ago are forgotten, then all.
#pragma once

#include <chrono>
#include <cstddef>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "core/base/time.hpp"
#include "core/net/asio.hpp"
#include "core/net/upgrade.hpp"
#include "core/routing/log_event.hpp"
#include "core/routing/text_map.hpp"
#include "core/routing/token_bucket.hpp"
#include "core/store/rates.hpp"

namespace wsr::net {

struct ConnectLimits {
  RateLimit client{50, std::chrono::seconds{1}, 500};      // a page that reloads is 1; a bad loop is thousands
  RateLimit address{500, std::chrono::seconds{1}, 5'000};  // an office behind one address that comes back at once
  RateLimit takeover{1, std::chrono::seconds{1}, 4};       // of one name on one server; several servers add up
};

class ConnectRates {
public:
  static constexpr std::size_t names_max = 65'536;
  static constexpr Duration names_kept = std::chrono::seconds{60};
  static constexpr Duration wait_max = std::chrono::seconds{5};  // for a token of a fought-over name; then 429

  ConnectRates(const ConnectLimits& limits, LogSink log) : limits_(limits), log_(std::move(log)) {}

  /// Why this upgrade is refused, if it is; `client` is empty for a guest and for what is no client.
  [[nodiscard]] std::optional<Refusal> refusal(std::string_view client, const asio::ip::address& address, Time now);

  // ---- names that are fought over
  /// How long the next connection of this client has to wait; 0: not at all.
  [[nodiscard]] std::chrono::microseconds wait(std::string_view client, Time now);
  [[nodiscard]] Refusal refusal_of_fight(std::string_view client, std::chrono::microseconds retry_after) const;
  /// A connection of this client was replaced. What its close reason says besides; empty: nothing.
  [[nodiscard]] std::string_view on_replaced(std::string_view client, Time now);
  /// A connection of this client has replaced another one, here or elsewhere.
  void on_takeover(std::string_view client, Time now);

private:
  struct Name {
    TokenBucket bucket;
    bool has_lost = false;  // its last connection here was replaced
    bool is_back = false;   // and the one that was let in last came right after that one
    Time next_at{};         // before then nobody else gets the last token
    Time at{};              // of the last change
  };
  [[nodiscard]] Name& name_of(std::string_view client, Time now);
  static void let_in(Name& name);

  ConnectLimits limits_;
  LogSink log_;
  std::mutex mutex_;
  BucketTable clients_, addresses_;
  TextMap<Name> names_;
};

}  // namespace wsr::net
