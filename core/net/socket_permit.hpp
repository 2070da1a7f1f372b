// SocketPermit: one open socket of the server, counted; and the counts: of all sockets, and of those of one address.
//
// A permit goes with its socket from the listener through the HTTP session to the WebSocket, and counts it out when it
// ends. So whatever a socket speaks, or if it says nothing at all, it is in the numbers.
//
// An address at its bound may have a few sockets more, which are for probes alone: a health check that comes from the
// address of everybody else, through a balancer, is answered all the same.
//
// Thread-safety: SocketCounts any thread. A permit belongs to one shard.
// Bounds:        one entry for each address that has a socket open, and only if the addresses are bounded.
#pragma once

#include <atomic>
#include <boost/asio/ip/address.hpp>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>

namespace wsr::net {

class SocketPermit;

/// Whether sockets from this machine are bounded as those of any other address.
enum class Loopback : std::uint8_t { counted, exempt };

class SocketCounts {
public:
  static constexpr std::size_t probes_max = 16;  // of an address at its bound: a few balancers' checks at once

  /// Once, before the first socket. 0: addresses are not counted. Loopback::exempt: nor is loopback, the address of
  /// everybody who comes through a proxy on this machine.
  void bound_addresses(std::size_t per_address_max, Loopback loopback = Loopback::counted) {
    per_address_max_ = per_address_max;
    loopback_ = loopback;
  }
  [[nodiscard]] std::size_t per_address_max() const { return per_address_max_; }
  /// Counts one socket in; nullopt if its address has as many as it may.
  [[nodiscard]] std::optional<SocketPermit> admit(const boost::asio::ip::address& peer);
  /// Counts one in that may only be a probe; nullopt if its address has probes_max of them.
  [[nodiscard]] std::optional<SocketPermit> admit_probe(const boost::asio::ip::address& peer);
  /// Counts one in that is only told why it may not stay.
  [[nodiscard]] SocketPermit admit_briefly();
  [[nodiscard]] std::size_t open() const { return open_.load(std::memory_order_relaxed); }

private:
  friend class SocketPermit;
  enum class Kind : std::uint8_t { plain, probe };
  [[nodiscard]] std::optional<SocketPermit> admit(const boost::asio::ip::address& peer, Kind kind, std::size_t max);
  void end(const boost::asio::ip::address* peer, Kind kind);

  struct Open {
    std::size_t plain = 0, probes = 0;
    [[nodiscard]] std::size_t& of(Kind kind) { return kind == Kind::plain ? plain : probes; }
  };
  std::atomic<std::size_t> open_{0};
  std::size_t per_address_max_ = 0;
  Loopback loopback_ = Loopback::counted;
  std::mutex mutex_;
  std::map<boost::asio::ip::address, Open> by_address_;  // ordered: nobody can choose keys that collide
};

class SocketPermit {
public:
  SocketPermit() = default;
  SocketPermit(SocketPermit&& other) noexcept
      : counts_(std::exchange(other.counts_, nullptr)), kind_(other.kind_), peer_(std::move(other.peer_)) {}
  SocketPermit& operator=(SocketPermit&& other) noexcept {
    if (this == &other) return *this;
    end();
    counts_ = std::exchange(other.counts_, nullptr);
    kind_ = other.kind_;
    peer_ = std::move(other.peer_);
    return *this;
  }
  ~SocketPermit() { end(); }
  /// Counts the socket out. Again: nothing.
  void end() {
    if (counts_ != nullptr) std::exchange(counts_, nullptr)->end(peer_.get(), kind_);
  }

private:
  friend class SocketCounts;
  SocketPermit(SocketCounts& counts, SocketCounts::Kind kind, std::unique_ptr<const boost::asio::ip::address> peer)
      : counts_(&counts), kind_(kind), peer_(std::move(peer)) {}

  SocketCounts* counts_ = nullptr;
  SocketCounts::Kind kind_ = SocketCounts::Kind::plain;
  std::unique_ptr<const boost::asio::ip::address> peer_;  // counted by address, too; a pointer, as most are not
};

/// What counts as one peer: an IPv4 address, also when it is written as IPv6, or the /64 of an IPv6 address, of which a
/// household has 2^64.
[[nodiscard]] boost::asio::ip::address peer_of(const boost::asio::ip::address& address);

}  // namespace wsr::net
