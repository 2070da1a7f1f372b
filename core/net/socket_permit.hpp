// SocketPermit: one open socket of the server, counted; and the counts: of all sockets, and of those of one address.
//
// A permit goes with its socket from the listener through the HTTP session to the WebSocket, and counts it out when it
// ends. So whatever a socket speaks, or if it says nothing at all, it is in the numbers.
//
// Thread-safety: SocketCounts any thread. A permit belongs to one shard.
// Bounds:        one entry for each address that has a socket open, and only if the addresses are bounded.
#pragma once

#include <atomic>
#include <boost/asio/ip/address.hpp>
#include <cstddef>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>

namespace wsr::net {

class SocketPermit;

class SocketCounts {
public:
  /// Once, before the first socket. 0: addresses are not counted.
  void bound_addresses(std::size_t per_address_max) { per_address_max_ = per_address_max; }
  [[nodiscard]] std::size_t per_address_max() const { return per_address_max_; }
  /// Counts one socket in; nullopt if its address has as many as it may.
  [[nodiscard]] std::optional<SocketPermit> admit(const boost::asio::ip::address& peer);
  /// Counts one in that is only told why it may not stay.
  [[nodiscard]] SocketPermit admit_briefly();
  [[nodiscard]] std::size_t open() const { return open_.load(std::memory_order_relaxed); }

private:
  friend class SocketPermit;
  void end(const boost::asio::ip::address* peer);

  std::atomic<std::size_t> open_{0};
  std::size_t per_address_max_ = 0;
  std::mutex mutex_;
  std::map<boost::asio::ip::address, std::size_t> by_address_;  // ordered: nobody can choose keys that collide
};

class SocketPermit {
public:
  SocketPermit() = default;
  SocketPermit(SocketPermit&& other) noexcept
      : counts_(std::exchange(other.counts_, nullptr)), peer_(std::move(other.peer_)) {}
  SocketPermit& operator=(SocketPermit&& other) noexcept {
    if (this == &other) return *this;
    end();
    counts_ = std::exchange(other.counts_, nullptr);
    peer_ = std::move(other.peer_);
    return *this;
  }
  ~SocketPermit() { end(); }
  /// Counts the socket out. Again: nothing.
  void end() {
    if (counts_ != nullptr) std::exchange(counts_, nullptr)->end(peer_.get());
  }

private:
  friend class SocketCounts;
  SocketPermit(SocketCounts& counts, std::unique_ptr<const boost::asio::ip::address> peer)
      : counts_(&counts), peer_(std::move(peer)) {}

  SocketCounts* counts_ = nullptr;
  std::unique_ptr<const boost::asio::ip::address> peer_;  // counted by address, too; a pointer, as most are not
};

/// What counts as one peer: an IPv4 address, also when it is written as IPv6, or the /64 of an IPv6 address, of which a
/// household has 2^64.
[[nodiscard]] boost::asio::ip::address peer_of(const boost::asio::ip::address& address);

}  // namespace wsr::net
