#include "core/routing/audit.hpp"

namespace wsr {

void Audit::begin() {
  ++number_;  // what is under way is of no use any more
  cursor_ = "0";
  next_at_ = context_.now() + settle_for;
}

void Audit::on_time(bool is_busy) {
  if (!next_at_ || *next_at_ > context_.now()) return;
  if (is_busy || context_.store == StoreState::down) {
    next_at_ = context_.now() + settle_for;
    return;
  }
  next_at_.reset();
  context_.ports.directory.held(Call{CallKind::audit, ++number_}.ticket(), context_.options.self.server, cursor_,
                                page_entries);
}

void Audit::on_held(std::uint64_t number, const Held& held) {
  if (number != number_) return;
  if (held.result != Errc::ok) {
    next_at_ = context_.now() + settle_for;
    return;
  }
  for (const auto& [client, at] : held.rows) {
    if (at.address() != context_.options.self) continue;
    if (const Session* session = context_.sessions.find(at.conn); session != nullptr && !session->is_released) continue;
    ++context_.stats.rows_taken_back;
    context_.ports.directory.release(Call{CallKind::audit, 0}.ticket(), client, at);
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
  if (result == Errc::unavailable || result == Errc::timeout) begin();
}

}  // namespace wsr
