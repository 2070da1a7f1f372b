// GateShared: what the sockets of every shard of a server share: options, and what changes while it runs.
#pragma once

#include <atomic>
#include <cstddef>

#include "core/net/connect_rates.hpp"
#include "core/net/own_hosts.hpp"
#include "core/net/server.hpp"
#include "core/net/socket_permit.hpp"

namespace wsr::net {

struct GateShared {
  explicit GateShared(const ServerOptions& server_options)
      : options(server_options),
        hosts(server_options.bind, server_options.url, server_options.hosts),
        connects(server_options.connects, server_options.log) {}
  const ServerOptions& options;
  const OwnHosts hosts;
  std::size_t connections_max = 0;  // WebSockets: the option, or what the descriptors allow
  std::size_t sockets_max = 0;      // connections_max, and some that only HTTP may use: probes, the API
  ConnectRates connects;
  std::atomic<bool> is_draining{false};    // no new WebSockets; set once, by stop()
  Time drain_until{};                      // then what is left is ended; set before is_draining
  std::atomic<std::size_t> websockets{0};  // open now, over all shards
  SocketCounts sockets;                    // HTTP, WebSocket, or silent; none open: a drain is over
};

}  // namespace wsr::net
