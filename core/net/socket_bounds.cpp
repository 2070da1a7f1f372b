#include "core/net/socket_bounds.hpp"

#include <algorithm>

namespace wsr::net {

SocketBounds socket_bounds(std::size_t descriptors, unsigned shards, std::size_t connections_max) {
  const std::size_t kept = descriptors_kept(shards);
  const std::size_t left = descriptors > kept ? descriptors - kept : 0;
  const std::size_t for_sockets = std::max(left, descriptors / 4);
  const std::size_t for_http = std::min(http_sockets, for_sockets / 4);
  SocketBounds bounds;
  bounds.connections_max = for_sockets - for_http;
  if (connections_max != 0) bounds.connections_max = std::min(bounds.connections_max, connections_max);
  bounds.sockets_max = bounds.connections_max + for_http;
  return bounds;
}

}  // namespace wsr::net
