// Takeovers: a new connection of a client waits until the connections that it replaces have been silenced (G2).
//
//   claim displaced A, B ─▶ kick A, kick B ─▶ both done ─▶ on_taken_over(): the welcome
//                                 │
//                                 └─ not in time: its server has no lease any more, or nobody listens there
//
// A server that was just killed may still have counted as a listener when the kick was published. So while kicks wait,
// their servers are prodded: an entry that nobody hears ends the wait. (A server that lives and is just making its
// subscription anew is not waited for, either: it claims its clients again when that stands, and closes the replaced.)
//
// Whoever has read its `welcome` may tell the world "I am here now": from then on nothing is written to an older
// connection, whichever server the sender is on. A replaced connection that is itself still waiting answers only when
// its own wait is over, so that a chain of moves ends in order; for the same reason the row of a connection that closes
// while it waits is released only then.
//
// Thread-safety: none; part of one Router. Bounds: one entry for each connection that has replaced one; a wait ends
// with the lease of the replaced connection's server, at the latest after `unknown_server_max` if nothing is known of
// that.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <unordered_map>
#include <utility>
#include <vector>

#include "core/routing/router_context.hpp"

namespace wsr {

class TakeoverEvents {
public:
  virtual ~TakeoverEvents() = default;
  /// Nothing more is written to the connections that `conn` replaced. `conn` may have closed meanwhile.
  virtual void on_taken_over(ConnId conn) = 0;
  virtual void send_kick(const Attachment& at, std::uint64_t receipt) = 0;
  virtual void send_kick_done(const ShardAddress& to, std::uint64_t receipt) = 0;
  /// Says anything to that shard, so that its absence is noticed.
  virtual void prod(const ShardAddress& at) = 0;
  [[nodiscard]] virtual std::optional<Time> leased_until(const ServerId& server) const = 0;
};

class Takeovers {
public:
  Takeovers(RouterContext& context, TakeoverEvents& events) : context_(context), events_(events) {}

  /// The claim of `conn` stands and has displaced these. on_taken_over() follows, at once if nobody is to be waited
  /// for.
  void begin(ConnId conn, const std::vector<Attachment>& displaced);
  /// A kick for `conn` was carried out; `from` hears so once nothing that `conn` replaced can be written to.
  /// `is_claiming`: the claim of `conn` has not been answered, so nobody knows yet whom it replaced.
  enum class Claim : std::uint8_t { answered, asked };
  void answer_kick(ConnId conn, const ShardAddress& from, std::uint64_t receipt, Claim claim);
  /// The claim of `conn` was answered and displaced nobody, or failed.
  void end_claim(ConnId conn) { end_if_done(conn); }
  void on_kick_done(std::uint64_t receipt);
  /// The server is gone, or nobody listens for it.
  void on_server_gone(const ServerId& server);
  [[nodiscard]] bool is_waiting(ConnId conn) const;

  void on_time();
  [[nodiscard]] std::optional<Time> next_deadline() const;

private:
  static constexpr Duration unknown_server_max = std::chrono::seconds{1};  // half the time between two registry reads
  static constexpr Duration own_server_max = std::chrono::seconds{5};      // a shard of this process that hangs
  static constexpr Duration prod_every = std::chrono::milliseconds{100};
  struct Kick {
    ConnId by;
    ShardAddress at;
    Time until{};
  };
  struct Takeover {
    std::size_t waiting = 0;                                   // kicks without an answer
    std::vector<std::pair<ShardAddress, std::uint64_t>> owed;  // answers to kicks of this connection
  };
  void end_if_done(ConnId conn);

  RouterContext& context_;
  TakeoverEvents& events_;
  std::map<ConnId, Takeover> takeovers_;
  std::unordered_map<std::uint64_t, Kick> kicks_;  // by receipt
  std::set<std::pair<Time, std::uint64_t>> deadlines_;
  std::optional<Time> prod_at_;
  std::uint64_t receipts_ = 0;
};

}  // namespace wsr
