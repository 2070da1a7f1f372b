// SocketBounds: how many sockets a server takes, given how many descriptors its process may have.
//
//   descriptors:  |---- connections_max ----|-- http --|---- kept ----|
//                   WebSockets and the rest   probes     store, files, loops and listeners of the shards
//
// Thread-safety: pure functions.
#pragma once

#include <cstddef>

namespace wsr::net {

struct SocketBounds {
  std::size_t connections_max = 0;  // WebSockets
  std::size_t sockets_max = 0;      // and those beyond, which only speak HTTP
};

inline constexpr std::size_t http_sockets = 32;  // beyond connections_max: probes and the HTTP API of a full server

/// Descriptors that no socket of a peer may take: 64 for the process (the store's two connections and the ones that
/// replace them, files, signals, what libraries open), and 5 for each shard: its epoll, eventfd and timerfd, its
/// listener, and one that is being accepted.
[[nodiscard]] constexpr std::size_t descriptors_kept(unsigned shards) { return 64 + std::size_t{5} * shards; }

/// `connections_max`: what was asked for; 0: as many as there can be. With very few descriptors a quarter of them is
/// for sockets.
[[nodiscard]] SocketBounds socket_bounds(std::size_t descriptors, unsigned shards, std::size_t connections_max);

}  // namespace wsr::net
