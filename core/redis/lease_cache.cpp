#include "core/redis/lease_cache.hpp"

namespace wsr::redis {

void LeaseCache::hold(const ServerId& server, TimePoint asked_at, std::chrono::milliseconds left) {
  if (held_until_.size() >= servers_max) {
    std::erase_if(held_until_, [asked_at](const auto& entry) { return entry.second <= asked_at; });
    if (held_until_.size() >= servers_max) held_until_.clear();
  }
  held_until_.insert_or_assign(server, asked_at + left);
}

std::chrono::milliseconds LeaseCache::left(const ServerId& server, TimePoint now) const {
  const auto found = held_until_.find(server);
  if (found == held_until_.end() || found->second <= now) return std::chrono::milliseconds{0};
  return std::chrono::ceil<std::chrono::milliseconds>(found->second - now);
}

}  // namespace wsr::redis
