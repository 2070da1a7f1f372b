// Services: what the HTTP API and the embedding API can ask of a running shard.
//
// Thread-safety: one object a shard; call it on that shard's thread, replies come there, never inline.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/routing/keeper.hpp"
#include "core/routing/ports.hpp"
#include "core/routing/router.hpp"
#include "core/routing/stats.hpp"

namespace wsr::net {

/// Everything a server counts, summed over its shards, with gauges.
struct ServerStats {
  Stats routing;
  Keeper::Figures keeper;
  std::uint64_t connections = 0;  // WebSocket connections open now
  std::uint64_t bytes_in = 0;     // WebSocket bytes read and written
  std::uint64_t bytes_out = 0;
  std::uint64_t writes = 0;  // gather writes
  std::uint64_t http_requests = 0;
  std::uint64_t upgrades_refused = 0;
  double uptime_seconds = 0;
};

class Services {
public:
  virtual ~Services() = default;
  virtual const ServerId& self() const = 0;
  virtual void send(const ClientId& from, const ClientId& to, std::string_view data,
                    std::function<void(Sent)> reply) = 0;
  virtual void lookup(const ClientId& client, std::function<void(Owners)> reply) = 0;
  virtual void page(std::string_view cursor, std::uint32_t count, std::function<void(OwnerPage)> reply) = 0;
  virtual void counts(std::function<void(OwnerCounts)> reply) = 0;
  virtual void servers(std::function<void(Servers)> reply) = 0;
  virtual void kick(const Attachment& at, CloseCode code, std::string_view reason) = 0;
  virtual void stats(std::function<void(ServerStats)> reply) = 0;
  virtual void broadcast(std::string_view channel, std::string_view payload, std::function<void(Published)> reply) = 0;
  /// As last reported by the Keeper.
  virtual Readiness readiness() const = 0;
};

}  // namespace wsr::net
