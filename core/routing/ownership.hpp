// Ownership: this shard's claims in the directory: made at connect, released at close, re-asserted after trouble.
//
//   open ─claim─▶ asked ─ok─▶ held ◀──────────────┐
//                  │  └─superseded─▶ close 4009   │ ok
//                  └─store down─▶ unclaimed ──────┴─ claimed again once the store is back
//
// A store that refuses (it is full, it cannot write) is like one that is down: whoever is connected stays, whoever
// comes begins unclaimed, and the claims are made again every refused_pause. A bound that somebody has set (capacity)
// refuses newcomers only.
//
// With an owner_ttl rows expire by themselves: in every third of it each is claimed anew, one after the other and at an
// even pace, whatever else is claimed again meanwhile.
//
// With several devices all rows are claimed once more, follow_after a re-assertion: by then every server has taken back
// what nobody stands for, and the answers tell in which rooms a client is that this device is not in.
//
// The row of a connection that has replaced others stays until those have been silenced, though its connection has
// closed: who connects next must hear of them through it. So a release waits for the answer to the claim, and for the
// takeover (takeovers.hpp).
//
// Every change is fenced (G2): a claim says when its connection was accepted and loses to a newer one; a release
// names its exact attachment. What the directory displaced is told 4009, wherever it is.
//
// Thread-safety: none; part of one Router. Bounds: releases that the store did not take are kept up to
// sessions_max and made again; beyond it the lease's end removes the rows.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/routing/router_context.hpp"

namespace wsr {

class OwnershipEvents {
public:
  virtual ~OwnershipEvents() = default;
  /// The claim stands. `displaced` must be told, once the client is in `rooms` again.
  virtual void on_claim_held(Session& session, const std::vector<RoomName>& rooms,
                             std::vector<Attachment> displaced) = 0;
  /// The store is down: the client may begin all the same.
  virtual void on_claim_postponed(Session& session) = 0;
  virtual void on_claim_refused(Session& session, Errc result, std::string_view detail) = 0;
  virtual void on_displaced(const Attachment& at) = 0;
  /// The connection had closed before its claim was answered: no connection, if its release has been made, too.
  virtual void on_late_claim(ConnId conn, std::vector<Attachment> displaced) = 0;
  /// ok; or not_found: another connection has the client. Once for each connection that has closed.
  virtual void on_release_settled(ConnId conn, Errc result) = 0;
};

class Ownership {
public:
  Ownership(RouterContext& context, OwnershipEvents& events) : context_(context), events_(events) {}

  void claim(Session& session);
  /// The store has lost the row.
  void claim_again(Session& session) { ask(session); }
  enum class When : std::uint8_t { now, later };  // later: with release_now()
  void release(const Session& session, When when);
  /// Makes a release that was put off; no effect if there is none.
  void release_now(ConnId conn);
  /// The first claim of this connection, open or closed, has not been answered.
  [[nodiscard]] bool is_claim_out(ConnId conn);
  /// Claims every session again, with its old epoch, reassert_batch at a time.
  void reassert();
  /// Claims are being made again, and more will be.
  [[nodiscard]] bool is_walking() const { return walk_ != Walk::none; }
  /// Claims that are out, or about to be made again.
  [[nodiscard]] bool is_settled() const { return claims_out_ == 0 && walk_ == Walk::none; }

  void on_claimed(std::uint64_t number, Claimed&& claimed);
  void on_released(std::uint64_t number, const Released& released);
  void on_store_up();
  void on_time();
  [[nodiscard]] std::optional<Time> next_deadline() const;

private:
  enum class Walk : std::uint8_t { none, unclaimed, rows, all };  // rows: all, without their rooms
  struct Release {
    ClientId client;
    Attachment at;
  };
  void ask(Session& session);
  void ask(Release release);
  void postpone(Session& session);
  void walk(Walk what);
  void go_on();
  static constexpr Duration refused_pause = std::chrono::milliseconds{500};
  static constexpr Duration follow_after = std::chrono::seconds{3};  // re-assertion and audit of all servers

  void renew();
  void schedule_renewal();
  [[nodiscard]] Duration renewal_third() const;
  /// Those that the store did not take, reassert_batch at most; how many it made.
  std::uint32_t retry_releases();
  [[nodiscard]] Attachment attachment(ConnId conn) const;

  RouterContext& context_;
  OwnershipEvents& events_;
  Walk walk_ = Walk::none;
  Walk walk_again_ = Walk::none;  // asked for during a walk: what it has passed may be meant, too
  std::uint32_t walk_slot_ = 0;   // the next session to claim again
  std::optional<Time> walk_at_;
  std::optional<Time> pause_until_;  // the store refuses: no walk begins before
  std::optional<Time> follow_at_;    // several devices: all rows once more
  std::uint32_t renew_slot_ = 0;     // owner_ttl: the next session to renew
  std::optional<Time> renew_at_;
  Time renewed_at_{};  // up to then all is renewed that was due
  Duration renewal_every_{};
  std::uint64_t claims_out_ = 0;
  std::uint64_t releases_ = 0;
  std::map<std::uint64_t, Release> put_off_;  // by the number of the connection's claim
  std::unordered_map<std::uint64_t, Release> releases_out_;
  std::deque<Release> releases_to_retry_;
};

}  // namespace wsr
