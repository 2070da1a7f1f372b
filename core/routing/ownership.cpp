#include "core/routing/ownership.hpp"

#include <algorithm>
#include <utility>

namespace wsr {
namespace {

constexpr Duration renewal_pause_max = std::chrono::milliseconds{100};  // then it sees how many there are now

std::uint64_t claim_number(ConnId conn) { return ClaimNumber::pack(conn.serial(), conn.slot()); }

}  // namespace

Attachment Ownership::attachment(ConnId conn) const {
  return {context_.options.self.server, context_.options.self.shard, conn};
}

void Ownership::claim(Session& session) {
  ++context_.stats.claims;
  ask(session);
}

void Ownership::ask(Session& session) {
  if (session.claim != Session::Claim::held) session.claim = Session::Claim::asked;
  ++claims_out_;
  context_.ports.store.call(RouterCall{CallKind::claim, claim_number(session.id)}.ticket(),
                            ClaimCall{.client = session.client,
                                      .at = attachment(session.id),
                                      .accepted_at = session.accepted_at,
                                      .epoch_min = session.epoch,
                                      .policy = context_.options.policy,
                                      .devices_max = context_.limits().devices_max,
                                      .clock_error = session.clock_error,
                                      .ttl = context_.limits().owner_ttl});
  if (context_.limits().owner_ttl.count() > 0 && !renew_at_) {
    renewed_at_ = context_.now();
    schedule_renewal();
  }
}

Duration Ownership::renewal_third() const { return Duration(context_.limits().owner_ttl) / 3; }

// One row after the other: servers that all began at the same time would else all burst at the same time.
void Ownership::schedule_renewal() {
  const Duration each = renewal_third() / std::max<std::uint32_t>(context_.sessions.slots_end(), 1);
  renewal_every_ = std::clamp(each, context_.limits().reassert_pace, renewal_pause_max);
  renew_at_ = context_.now() + renewal_every_;
}

void Ownership::renew() {
  // What a pause of the process left undone is not made up for at once.
  const std::uint32_t slots = context_.sessions.slots_end();
  const Duration each = renewal_third() / std::max<std::uint32_t>(slots, 1);
  renewed_at_ = std::max(renewed_at_, context_.now() - (2 * renewal_every_ + each));
  const auto due = static_cast<std::uint32_t>(std::min<std::int64_t>(slots, (context_.now() - renewed_at_) / each));
  renewed_at_ += due * each;
  schedule_renewal();
  if (context_.store == StoreState::down) return;  // on_store_up() claims all again
  for (std::uint32_t n = 0; n < due; ++n, ++renew_slot_) {
    if (renew_slot_ >= slots) renew_slot_ = 0;
    Session* session = context_.sessions.at(renew_slot_);
    if (session == nullptr || session->phase != Session::Phase::open || session->claim != Session::Claim::held)
      continue;
    ++context_.stats.claims_renewed;
    ask(*session);
  }
}

void Ownership::release(const Session& session, When when) {
  ++context_.stats.releases;
  Release release{session.client, attachment(session.id)};
  if (when == When::later || is_claim_out(session.id)) {
    put_off_.emplace(claim_number(session.id), std::move(release));
    return;
  }
  ask(std::move(release));
}

void Ownership::ask(Release release) {
  const std::uint64_t number = ++releases_;
  context_.ports.store.call(RouterCall{CallKind::release, number}.ticket(), ReleaseCall{release.client, release.at});
  releases_out_.emplace(number, std::move(release));
}

void Ownership::release_now(ConnId conn) {
  if (auto node = put_off_.extract(claim_number(conn)); !node.empty()) ask(std::move(node.mapped()));
}

bool Ownership::is_claim_out(ConnId conn) {
  if (context_.options.policy != SessionPolicy::single) return false;
  const Session* session = context_.sessions.find(conn);
  return session != nullptr ? session->claim == Session::Claim::asked : put_off_.contains(claim_number(conn));
}

void Ownership::on_claimed(std::uint64_t number, Claimed&& claimed) {
  if (claims_out_ != 0) --claims_out_;
  Session* session = context_.sessions.at(static_cast<std::uint32_t>(ClaimNumber::low(number)));
  if (session == nullptr || claim_number(session->id) != number || session->phase != Session::Phase::open) {
    // The claim took effect even if its connection has closed since: the displaced must hear of it.
    ConnId conn;
    if (session != nullptr && claim_number(session->id) == number) {
      session->claim = Session::Claim::held;  // or not: its release tells
      conn = session->id;
    } else if (const auto closed = put_off_.find(number); closed != put_off_.end()) {
      conn = closed->second.at.conn;
    }
    return events_.on_late_claim(conn, std::move(claimed.displaced));
  }
  switch (claimed.result) {
    case Errc::ok:
      session->claim = Session::Claim::held;
      session->epoch = claimed.epoch;
      return events_.on_claim_held(*session, claimed.rooms, std::move(claimed.displaced));
    case Errc::superseded:
      ++context_.stats.claims_superseded;
      session->claim = Session::Claim::unclaimed;  // nothing is out for it: its release need not wait
      return events_.on_claim_refused(*session, Errc::superseded, "a newer connection of this client took over");
    case Errc::unavailable:
      pause_until_ = context_.now() + refused_pause;
      return postpone(*session);
    case Errc::timeout:
      return postpone(*session);
    default:
      // It has been welcomed, and what it is refused now it has had before: it stays, and asks again.
      if (!session->outbox.is_held()) {
        pause_until_ = context_.now() + refused_pause;
        return postpone(*session);
      }
      ++context_.stats.claims_failed;
      session->claim = Session::Claim::unclaimed;
      return events_.on_claim_refused(*session, claimed.result, claimed.detail);
  }
}

// The connection stays: clients of this server still reach it, and it is claimed when the store takes the claim.
void Ownership::postpone(Session& session) {
  ++context_.stats.claims_failed;
  session.claim = Session::Claim::unclaimed;
  if (context_.store == StoreState::up) walk(Walk::unclaimed);
  events_.on_claim_postponed(session);
}

void Ownership::on_released(std::uint64_t number, const Released& released) {
  auto node = releases_out_.extract(number);
  if (node.empty()) return;
  if (released.result == Errc::not_found) ++context_.stats.releases_fenced;
  if (!is_store_failure(released.result)) {
    return events_.on_release_settled(node.mapped().at.conn, released.result);
  }
  if (releases_to_retry_.size() >= context_.limits().sessions_max) {
    events_.on_release_settled(releases_to_retry_.front().at.conn, Errc::ok);
    releases_to_retry_.pop_front();
  }
  releases_to_retry_.push_back(std::move(node.mapped()));
  if (released.result == Errc::unavailable) pause_until_ = context_.now() + refused_pause;
  if (context_.store == StoreState::up) walk(Walk::unclaimed);
}

std::uint32_t Ownership::retry_releases() {
  std::uint32_t made = 0;
  for (; !releases_to_retry_.empty() && made < context_.limits().reassert_batch; ++made) {
    Release release = std::move(releases_to_retry_.front());
    releases_to_retry_.pop_front();
    ask(std::move(release));
  }
  return made;
}

void Ownership::reassert() { walk(Walk::all); }

// What has expired while the store was away is claimed again.
void Ownership::on_store_up() {
  pause_until_.reset();
  walk(renew_at_ ? Walk::rows : Walk::unclaimed);
}

std::optional<Time> Ownership::next_deadline() const {
  std::optional<Time> next;
  for (const auto& at : {walk_at_, renew_at_, follow_at_}) {
    if (at) next = next ? std::min(*next, *at) : *at;
  }
  return next;
}

void Ownership::walk(Walk what) {
  if (walk_ == Walk::none || what > walk_) {
    walk_ = what;
    walk_slot_ = 0;
  } else {
    walk_again_ = std::max(walk_again_, what);  // not now: a walk that always begins anew never ends
  }
  if (!walk_at_) walk_at_ = context_.now() + context_.limits().reassert_pace;
}

void Ownership::on_time() {
  if (renew_at_ && *renew_at_ <= context_.now()) renew();
  if (follow_at_ && *follow_at_ <= context_.now()) {
    follow_at_.reset();
    walk(Walk::rows);
  }
  if (walk_at_ && *walk_at_ <= context_.now()) go_on();
}

void Ownership::go_on() {
  walk_at_.reset();
  if (context_.store == StoreState::down) return;  // on_store_up() goes on
  if (walk_slot_ == 0 && pause_until_ && *pause_until_ > context_.now()) {
    walk_at_ = pause_until_;
    return;
  }
  std::uint32_t claimed = retry_releases();
  const std::uint32_t slots = walk_ == Walk::none ? 0 : context_.sessions.slots_end();
  for (; walk_slot_ < slots && claimed < context_.limits().reassert_batch; ++walk_slot_) {
    Session* session = context_.sessions.at(walk_slot_);
    if (session == nullptr || session->phase != Session::Phase::open) continue;
    if (walk_ == Walk::unclaimed && session->claim != Session::Claim::unclaimed) continue;
    if (walk_ == Walk::all) session->are_rooms_due = true;
    ++(walk_ == Walk::rows ? context_.stats.claims_renewed : context_.stats.reasserted);
    ++claimed;
    ask(*session);
  }
  if (walk_slot_ >= slots) {
    if (walk_ == Walk::all && context_.options.policy == SessionPolicy::multi) {
      follow_at_ = context_.now() + follow_after;
    }
    walk_ = std::exchange(walk_again_, Walk::none);
    walk_slot_ = 0;
  }
  if (walk_ != Walk::none || !releases_to_retry_.empty()) walk_at_ = context_.now() + context_.limits().reassert_pace;
}

}  // namespace wsr
