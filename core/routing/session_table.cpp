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
  const auto [entry, is_first] = newest_.try_emplace(session.client.str(), slot);
  session.next_device = is_first ? slot : entry->second;
  entry->second = slot;
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
  const auto entry = newest_.find(client);
  return entry == newest_.end() ? nullptr : at(entry->second);
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
  const auto entry = newest_.find(session.client.view());
  assert(entry != newest_.end());
  const bool is_oldest = session.next_device == slot;
  if (entry->second == slot) {
    if (is_oldest) {
      newest_.erase(entry);
    } else {
      entry->second = session.next_device;
    }
  } else {
    Session* newer = at(entry->second);
    while (newer->next_device != slot) newer = at(newer->next_device);
    newer->next_device = is_oldest ? newer->id.slot() : session.next_device;
  }
  slots_[slot].reset();
  free_.push_back(slot);
  --size_;
}

}  // namespace wsr
