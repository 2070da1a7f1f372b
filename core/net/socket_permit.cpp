#include "core/net/socket_permit.hpp"

#include <algorithm>

#include "core/net/own_hosts.hpp"

namespace wsr::net {

namespace ip = boost::asio::ip;

std::optional<SocketPermit> SocketCounts::admit(const ip::address& peer) {
  return admit(peer, Kind::plain, per_address_max_);
}

std::optional<SocketPermit> SocketCounts::admit_probe(const ip::address& peer) {
  return admit(peer, Kind::probe, probes_max);
}

std::optional<SocketPermit> SocketCounts::admit(const ip::address& peer, Kind kind, std::size_t max) {
  std::unique_ptr<const ip::address> counted;
  if (per_address_max_ != 0 && !(loopback_ == Loopback::exempt && is_loopback(peer))) {
    counted = std::make_unique<const ip::address>(peer_of(peer));
    const std::lock_guard lock(mutex_);
    std::size_t& open = by_address_[*counted].of(kind);
    if (open >= max) return std::nullopt;
    ++open;
  }
  open_.fetch_add(1, std::memory_order_relaxed);
  return SocketPermit(*this, kind, std::move(counted));
}

SocketPermit SocketCounts::admit_briefly() {
  open_.fetch_add(1, std::memory_order_relaxed);
  return SocketPermit(*this, Kind::plain, nullptr);
}

void SocketCounts::end(const ip::address* peer, Kind kind) {
  open_.fetch_sub(1, std::memory_order_relaxed);
  if (peer == nullptr) return;
  const std::lock_guard lock(mutex_);
  const auto found = by_address_.find(*peer);
  --found->second.of(kind);
  if (found->second.plain == 0 && found->second.probes == 0) by_address_.erase(found);
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
