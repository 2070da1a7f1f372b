#include "core/routing/session_table.hpp"

#include <cassert>

namespace wsr {

Session* SessionTable::open(ClientId client, Framing framing, OutboxRules& rules) {
  if (size_ >= sessions_max_) return nullptr;
  std::uint32_t slot = 0;
  if (free_.empty()) {
    slot = static_cast<std::uint32_t>(slots_.size());
    slots_.emplace_back();
  } else {
    slot = free_.back();
    free_.pop_back();
  }
  auto& session = slots_[slot].emplace(ConnId::make(++serial_, slot), std::move(client), framing, rules);
  const std::uint32_t older = newest_.find(session.client.view());
  if (older != newest_.none) newest_.erase(older);
  newest_.insert(slot);
  session.next_device = older == newest_.none ? slot : older;
  ++size_;
  return &session;
}

Session* SessionTable::at(std::uint32_t slot) {
  return slot < slots_.size() && slots_[slot].has_value() ? &*slots_[slot] : nullptr;
}

Session* SessionTable::find(ConnId id) {
  Session* session = at(id.slot());
  return session != nullptr && session->id == id ? session : nullptr;
}

Session* SessionTable::newest(std::string_view client) {
  const std::uint32_t slot = newest_.find(client);
  return slot == newest_.none ? nullptr : at(slot);
}

Session* SessionTable::next(const Session& session) {
  return session.next_device == session.id.slot() ? nullptr : at(session.next_device);
}

bool SessionTable::is_here(std::string_view client) {
  for (Session* session = newest(client); session != nullptr; session = next(*session)) {
    if (session->phase == Session::Phase::open) return true;
  }
  return false;
}

void SessionTable::close(Session& session) {
  const std::uint32_t slot = session.id.slot();
  const std::uint32_t newest = newest_.find(session.client.view());
  assert(newest != newest_.none);
  const bool is_oldest = session.next_device == slot;
  if (newest == slot) {
    newest_.erase(slot);
    if (!is_oldest) newest_.insert(session.next_device);
  } else {
    Session* newer = at(newest);
    while (newer->next_device != slot) newer = at(newer->next_device);
    newer->next_device = is_oldest ? newer->id.slot() : session.next_device;
  }
  slots_[slot].reset();
  free_.push_back(slot);
  --size_;
}

}  // namespace wsr
