#include "core/routing/audit.hpp"

#include <algorithm>

namespace wsr {

void Audit::begin() {
  ++number_;  // what is under way is of no use any more
  cursor_ = "0";
  next_at_ = context_.now() + settle_for;
}

std::optional<Time> Audit::next_deadline() const {
  if (!next_at_ || !verify_at_) return next_at_ ? next_at_ : verify_at_;
  return std::min(*next_at_, *verify_at_);
}

void Audit::on_opened() {
  if (context_.limits().verify_every.count() == 0 || verify_at_ || !verifying_.empty()) return;
  verify_at_ = context_.now() + context_.limits().verify_every;
}

void Audit::on_time(bool is_busy) {
  if (verify_at_ && *verify_at_ <= context_.now()) {
    verify_at_.reset();
    if (is_busy || context_.store == StoreState::down || verifying_.size() >= verifying_max) {
      verify_at_ = context_.now() + settle_for;
    } else {
      verify();
    }
  }
  if (!next_at_ || *next_at_ > context_.now()) return;
  if (is_busy || context_.store == StoreState::down) {
    next_at_ = context_.now() + settle_for;
    return;
  }
  next_at_.reset();
  context_.ports.store.call(RouterCall{CallKind::audit, AuditNumber::pack(pages, ++number_)}.ticket(),
                            HeldCall{context_.options.self.server, cursor_, page_entries});
}

void Audit::verify() {
  if (verify_slot_ == 0) round_began_ = context_.now();
  Held expected;
  const std::uint32_t slots = context_.sessions.slots_end();
  for (; verify_slot_ < slots; ++verify_slot_) {
    if (expected.rows.size() + expected.places.size() >= context_.limits().verify_batch) break;
    const Session* session = context_.sessions.at(verify_slot_);
    if (session == nullptr || session->phase != Session::Phase::open || session->claim != Session::Claim::held) {
      continue;
    }
    expected.rows.push_back(
        {session->client, {context_.options.self.server, context_.options.self.shard, session->id}});
    rooms_.add_places(*session, expected.places);
  }
  const bool is_round = verify_slot_ >= slots;
  if (is_round) verify_slot_ = 0;
  if (!expected.rows.empty()) {
    verifying_.insert(++number_of_batch_);
    context_.ports.store.call(RouterCall{CallKind::audit, AuditNumber::pack(looks, number_of_batch_)}.ticket(),
                              MissingCall{std::move(expected)});
  }
  if (!is_round) {
    verify_at_ = context_.now() + verify_pace;
  } else if (context_.sessions.size() != 0) {
    verify_at_ = std::max(context_.now() + verify_pace, round_began_ + context_.limits().verify_every);
  }
}

void Audit::on_missing(const Held& missing) {
  if (missing.result != Errc::ok) return;  // the next round asks again
  for (const auto& [client, at] : missing.rows) {
    Session* session = context_.sessions.find(at.conn);
    if (session == nullptr || session->phase != Session::Phase::open) continue;
    ++context_.stats.rows_put_back;
    ownership_.claim_again(*session);
  }
  for (const auto& [room, client, at] : missing.places) {
    Session* session = context_.sessions.find(at.conn);
    if (session != nullptr && session->phase == Session::Phase::open) rooms_.put_back(*session, room);
  }
}

void Audit::on_held(std::uint64_t number, const Held& held) {
  if (AuditNumber::high(number) == looks) {
    if (verifying_.erase(AuditNumber::low(number)) != 0) on_missing(held);
    return;
  }
  if (number != number_) return;
  if (held.result != Errc::ok) {
    next_at_ = context_.now() + settle_for;
    return;
  }
  for (const auto& [client, at] : held.rows) {
    if (at.address() != context_.options.self) continue;
    if (const Session* session = context_.sessions.find(at.conn); session != nullptr && !session->is_released) continue;
    ++context_.stats.rows_taken_back;
    context_.ports.store.call(RouterCall{CallKind::audit, 0}.ticket(), ReleaseCall{client, at});
  }
  for (const auto& [room, client, at] : held.places) {
    if (at.address() == context_.options.self && rooms_.take_back(room, client, at)) {
      ++context_.stats.places_taken_back;
    }
  }
  cursor_ = held.cursor;
  if (cursor_ != "0") next_at_ = context_.now() + context_.limits().reassert_pace;
}

void Audit::on_released(Errc result) {
  if (is_store_failure(result)) begin();
}

}  // namespace wsr
