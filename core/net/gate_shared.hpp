// GateShared: what the sockets of every shard of a server share: options, and what changes while it runs.
#pragma once

#include <atomic>
#include <cstddef>

#include "core/net/own_hosts.hpp"
#include "core/net/server.hpp"

namespace wsr::net {

struct GateShared {
  explicit GateShared(const ServerOptions& server_options)
      : options(server_options), hosts(server_options.bind, server_options.url, server_options.hosts) {}
  const ServerOptions& options;
  const OwnHosts hosts;
  std::size_t connections_max = 0;         // the option, or what the descriptors allow
  std::atomic<bool> is_draining{false};    // no new WebSockets; set once, by stop()
  std::atomic<std::size_t> websockets{0};  // open now, over all shards
  std::atomic<std::size_t> sockets{0};     // HTTP and WebSocket; 0 means that a drain is over
};

}  // namespace wsr::net
