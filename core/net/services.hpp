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
#include "core/routing/room.hpp"
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
  std::uint64_t http_failures = 0;  // answered with 500
  std::uint64_t upgrades_refused = 0;
  std::uint64_t refused_per_address = 0;  // sockets above per_address_max
  std::uint64_t refused_connections = 0;  // upgrades above connections_max
  std::uint64_t refused_memory = 0;       // requests and messages that came while the memory budget was used up
  std::uint64_t accepts_paused = 0;       // times that a listener waited because all sockets were taken
  std::uint64_t accepts_failed = 0;       // times that a listener found no descriptor or memory for a socket
  std::uint64_t memory_bytes = 0;         // what counts in the memory budget now
  double uptime_seconds = 0;
};

/// What a watcher of a room is told, on the thread of its shard, in the room's order. Either may be empty.
struct RoomHandlers {
  std::function<void(std::string_view from, std::string_view data)> on_message;
  std::function<void(const RoomPresence& presence)> on_presence;
};
using WatchId = std::uint64_t;  // 0: none

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

  // ---- rooms (core/routing/room.hpp); the authorizer is not asked: the caller is the authority
  /// For a client anywhere in the cluster: its owner carries it out.
  virtual void join(const RoomName& room, const ClientId& client, std::function<void(RoomDone)> reply) = 0;
  virtual void leave(const RoomName& room, const ClientId& client, std::function<void(RoomDone)> reply) = 0;
  /// `from` may be empty; Echo::no: no connection of `from` gets it.
  virtual void push(const RoomName& room, const ClientId& from, std::string_view data, Echo echo,
                    std::function<void(RoomPushed)> reply) = 0;
  virtual void room_info(const RoomName& room, std::function<void(RoomInfo)> reply) = 0;
  virtual void room_members(const RoomName& room, std::string_view cursor, std::uint32_t count,
                            std::function<void(RosterPage)> reply) = 0;
  /// Whether this client is in the room: see FindCall.
  virtual void room_member(const RoomName& room, const ClientId& client, std::function<void(RoomInfo)> reply) = 0;
  virtual void rooms(std::string_view cursor, std::uint32_t count, std::function<void(RoomPage)> reply) = 0;
  /// Hears the room without being a member, until unwatch(). `reply` comes when the subscription stands.
  virtual WatchId watch(const RoomName& room, RoomHandlers handlers, std::function<void(Errc)> reply) = 0;
  virtual void unwatch(WatchId watch) = 0;

  /// As last reported by the Keeper.
  virtual Readiness readiness() const = 0;
};

}  // namespace wsr::net
