#include "core/net/socket_permit.hpp"

#include <algorithm>

namespace wsr::net {

namespace ip = boost::asio::ip;

std::optional<SocketPermit> SocketCounts::admit(const ip::address& peer) {
  std::unique_ptr<const ip::address> counted;
  if (per_address_max_ != 0) {
    counted = std::make_unique<const ip::address>(peer_of(peer));
    const std::lock_guard lock(mutex_);
    auto& open = by_address_[*counted];
    if (open >= per_address_max_) return std::nullopt;
    ++open;
  }
  open_.fetch_add(1, std::memory_order_relaxed);
  return SocketPermit(*this, std::move(counted));
}

SocketPermit SocketCounts::admit_briefly() {
  open_.fetch_add(1, std::memory_order_relaxed);
  return SocketPermit(*this, nullptr);
}

void SocketCounts::end(const ip::address* peer) {
  open_.fetch_sub(1, std::memory_order_relaxed);
  if (peer == nullptr) return;
  const std::lock_guard lock(mutex_);
  const auto found = by_address_.find(*peer);
  if (--found->second == 0) by_address_.erase(found);
}

ip::address peer_of(const ip::address& address) {
  if (address.is_v4()) return address;
  const auto v6 = address.to_v6();
  if (v6.is_v4_mapped()) return ip::make_address_v4(ip::v4_mapped, v6);
  auto bytes = v6.to_bytes();
  std::fill(bytes.begin() + 8, bytes.end(), std::uint8_t{0});
  return ip::address_v6(bytes);
}

}  // namespace wsr::net
