// Fabric: the embedding API: the same hub and Router as the server's, inside an application that has its own sockets.
//
//   application ─own(client)─▶ Fabric ─▶ Router ─▶ other servers of the cluster
//        ▲ on_message, on_closed │
//        └───────────────────────┘
//
// A guest (a shell, a cron job) takes no lease and owns nobody: it sends, asks and listens.
//
// Thread-safety: none; one io_context with one thread, which also runs every callback. No callback comes inline.
// Errors:        calls whose arguments are wrong answer bad_request; a store that is away answers `unavailable`.
// Bounds:        FabricOptions::limits; a message that a callback has not taken yet does not exist: on_message gets
//                everything at the end of the turn in which it came.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "core/net/server.hpp"
#include "core/net/services.hpp"
#include "core/net/subscriptions.hpp"
#include "core/routing/keeper.hpp"

namespace wsr::net {

struct FabricOptions {
  ServerId id;  // name~incarnation
  std::string url;
  SessionPolicy policy = SessionPolicy::single;
  Limits limits;   // verify_every 0: what the store needs, every 5 s for one that may evict rows
  BatchKeys keys;  // as people write them; the fabric binds them to its store
  std::chrono::milliseconds lease{6'000};
  std::chrono::milliseconds probe_every{500};
  KeeperOptions::Role role = KeeperOptions::Role::server;
};

class Fabric {
public:
  /// One JSON value that another client sent, byte for byte.
  using OnMessage = std::function<void(std::string_view data)>;
  /// What else the client should hear, as wsr.v1 writes it (docs/protocol.md): messages and presence of its rooms, and
  /// how many messages it was too slow for. To be handed on as it is.
  using OnEvent = std::function<void(std::string_view json)>;
  /// The fabric let go of the connection: replaced elsewhere, kicked, refused. Not called after release().
  using OnClosed = std::function<void(CloseCode code, std::string_view reason)>;

  Fabric(boost::asio::io_context& io, const FabricOptions& options, const BackendFactory& make_backend);
  ~Fabric();

  /// `on_ready` comes once the lease is held and the inbox stands (a guest: the inbox).
  void start(std::function<void()> on_ready);
  /// Lets go of every client, gives the lease up, closes the store. Nothing may be called afterwards.
  void stop(std::function<void()> on_stopped);

  // ---- own clients
  /// The client is connected to this process now. A newer connection elsewhere ends it: on_closed(replaced).
  [[nodiscard]] Result<ConnId> own(const ClientId& client, OnMessage on_message, OnClosed on_closed,
                                   OnEvent on_event = {});
  void release(ConnId conn);
  /// All connections of the client here.
  void release(const ClientId& client);

  // ---- messages
  /// `json` is one JSON value; `from` may be empty.
  void send_to_client(const ClientId& from, const ClientId& to, std::string_view json, std::function<void(Sent)> reply);
  /// To every subscriber of an application channel, on any server; the number of servers that heard it.
  void broadcast(std::string_view channel, std::string_view payload, std::function<void(Published)> reply);
  /// `reply` comes when the subscription stands.
  SubscriptionId subscribe(std::string_view channel_or_pattern, Match match, ChannelHandler handler,
                           std::function<void(Errc)> reply);
  void unsubscribe(SubscriptionId id);

  // ---- rooms (core/routing/room.hpp): the application is the authority, nobody else is asked
  /// For a client on any server: its owner carries it out.
  void join(const RoomName& room, const ClientId& client, std::function<void(RoomDone)> reply);
  void leave(const RoomName& room, const ClientId& client, std::function<void(RoomDone)> reply);
  /// `json` is one JSON value; `from` may be empty. Echo::no: no connection of `from` gets it. At most once.
  void push(const RoomName& room, const ClientId& from, std::string_view json, Echo echo,
            std::function<void(RoomPushed)> reply);
  void room_info(const RoomName& room, std::function<void(RoomInfo)> reply);
  void room_members(const RoomName& room, std::string_view cursor, std::uint32_t count,
                    std::function<void(RosterPage)> reply);
  void is_member(const RoomName& room, const ClientId& client, std::function<void(Errc, bool)> reply);
  void rooms(std::string_view cursor, std::uint32_t count, std::function<void(RoomPage)> reply);
  /// Handlers for what happens in a room, in its order, with or without members here; `reply` comes when they stand.
  [[nodiscard]] WatchId watch(const RoomName& room, RoomHandlers handlers, std::function<void(Errc)> reply);
  void unwatch(WatchId watch);

  // ---- questions
  void online_count(std::function<void(Errc, std::uint64_t)> reply);
  void online_by_server(std::function<void(OwnerCounts)> reply);
  void lookup(const ClientId& client, std::function<void(Owners)> reply);
  void owners(std::string_view cursor, std::uint32_t count, std::function<void(OwnerPage)> reply);
  void servers(std::function<void(Servers)> reply);
  void stats(std::function<void(ServerStats)> reply);
  void kick(const Attachment& at, CloseCode code, std::string_view reason);
  [[nodiscard]] Readiness readiness() const;
  [[nodiscard]] const ServerId& self() const;
  /// The application's shared tables and counters, on the same store.
  [[nodiscard]] Tables& tables();

private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace wsr::net
