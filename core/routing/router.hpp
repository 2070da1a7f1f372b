// Router: everything one shard decides about messages and connections, without I/O.
//
// A driver (core/net with sockets, sim with a virtual network) feeds it inputs and carries out what it
// asks of its ports:
//
//   open/text/closed ─┐                            ┌─▶ Store  claims, lookups, rooms; one batch a link and turn
//   on_answer ────────┼─▶ Router (one turn) ───────┼─▶ Connections  wake, close
//   on_batch ─────────┤                            └─▶ Application  the word for a message
//   on_time ──────────┘   end_turn() flushes links
//
// The parts: Ownership (claims), SendFlow (messages to clients), RoomFlow (memberships), RoomFanout (messages to
// rooms), Admission (what is allowed, and how often), Delivery (outboxes). This class joins them.
//
// Thread-safety: none; one Router belongs to one shard. No port may call back inline.
// Errors:        never throws for what a client or a peer sends; see the Word of each message.
// Bounds:        core/routing/limits.hpp.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "core/base/ids.hpp"
#include "core/routing/leases.hpp"
#include "core/routing/limits.hpp"
#include "core/routing/outbox.hpp"
#include "core/routing/outcome.hpp"
#include "core/routing/ports.hpp"
#include "core/routing/room.hpp"
#include "core/routing/router_ports.hpp"
#include "core/routing/stats.hpp"
#include "core/wire/close_code.hpp"
#include "core/wire/envelope.hpp"

namespace wsr {

class Router {
public:
  using Ports = RouterPorts;

  Router(const RouterOptions& options, Ports ports);
  ~Router();
  Router(const Router&) = delete;
  Router& operator=(const Router&) = delete;

  // ---- connections of this shard
  /// A client has connected. Claims it; a websocket session gets its `welcome` when the claim is answered, also
  /// when the answer is that the store is down. No port hears of the connection before this call returns.
  /// Errc::capacity at Limits::sessions_max.
  /// The session's bytes begin with `preface` (the answer to the upgrade), and nothing is written before the claim is
  /// answered: a client that has read anything has its row, and whoever connects after that connects later.
  /// `accepted_at`: on the store's clock; now if not given.
  [[nodiscard]] Result<ConnId> open(const ClientId& client, Framing framing,
                                    std::optional<StoreTime> accepted_at = std::nullopt, std::string_view preface = {});
  /// One text message of the client (wsr.v1).
  void text(ConnId conn, std::string_view json);
  /// Its end is decided: the peer has said goodbye or broken a rule, or this server stops. It gets nothing more, or
  /// with Answers::due only what its commands wait for; its row and its rooms are given back at the end of this turn,
  /// while the connection may take long to close. What the Router itself closes has come to this, too.
  /// With Answers::due_after_moves it is first a session until its joins and leaves are carried out.
  enum class Answers : std::uint8_t { due, due_after_moves, none };
  void ending(ConnId conn, Answers answers = Answers::none);
  /// What waits for the connection is given up, except a frame that is half written: for a close that must not wait.
  void drop_queue(ConnId conn);
  /// Commands of the connection that are still to be answered.
  [[nodiscard]] std::uint32_t answers_due(ConnId conn) const;
  /// The socket is gone, whoever closed it. The claim is released, if it still stands.
  void closed(ConnId conn);
  /// What waits for this connection; nullptr once it is closed.
  [[nodiscard]] Outbox* outbox(ConnId conn);
  /// Whose connection it is; empty: nobody's. The text stands as long as the connection does.
  [[nodiscard]] std::string_view client_of(ConnId conn) const;
  [[nodiscard]] std::size_t connection_count() const;

  // ---- the application
  /// Sends `data` (one JSON value) to a client, wherever it is; on_sent(ticket) follows if it waits for the word.
  /// `from` may be empty.
  void send(Ticket ticket, const ClientId& from, const ClientId& to, std::string_view data, Wait wait);
  /// A client anywhere joins or leaves a room; its owner carries it out. on_room_done(ticket) follows.
  void join(Ticket ticket, const RoomName& room, const ClientId& client);
  void leave(Ticket ticket, const RoomName& room, const ClientId& client);
  /// Pushes `data` (one JSON value) into a room; on_pushed(ticket) follows if it waits for it. `from` may be empty.
  /// Echo::no: no connection of `from` gets it.
  void push(Ticket ticket, const RoomName& room, const ClientId& from, std::string_view data, Echo echo, Wait wait);
  /// Hears the room without being a member; each watch() has its unwatch().
  void watch(const RoomName& room);
  void unwatch(const RoomName& room);
  /// Closes one connection anywhere in the cluster. Best effort: a connection that is gone is not an error.
  void kick(const Attachment& at, CloseCode code, std::string_view reason);

  // ---- inputs from the ports
  void on_answer(Ticket ticket, Answer&& answer);
  /// A batch from another shard; `channel` is the text that its MAC covers (the inbox's ServerId).
  void on_batch(std::string_view channel, std::string_view bytes);
  /// What a room's channel brought; `parts`: shards of this server that get it.
  void on_room_event(std::string_view room, std::string_view bytes, std::uint32_t parts);
  void on_authorized(Ticket ticket, Permission permission);
  /// The writer has taken bytes of a connection that had dropped messages: it may be told now.
  void on_written(ConnId conn);
  void on_store_state(StoreState state);
  /// The store may have forgotten us: claim every connection again, with its old epoch (paced).
  void reassert();
  /// A server is gone for good: what is in flight to it is `unknown`, its routes are forgotten.
  void on_server_gone(const ServerId& server);
  /// The registry, as it was read last: servers without a lease are not published to.
  void on_leases(const Leases& leases);
  /// The client has connected to another shard of this server and was elsewhere before: a route there is looked up
  /// anew.
  void on_client_moved(std::string_view client);
  /// The process has stood still for longer than its lease: who of its clients is still here nobody knows. What comes
  /// from clients, from the bus and from the application waits, in its order, and connections that open are claimed
  /// later. Answers of the store and time go on.
  void hold();
  /// The lease stands again, or the store does not answer: what waits is done, once all claims that are being made
  /// again are answered.
  void go_on();
  [[nodiscard]] bool is_held() const;

  // ---- turns and time
  /// Ends the turn: releases what has ended, and publishes what has gathered for other shards.
  void end_turn();
  /// When on_time() wants to be called next, if at all. Valid until the next input.
  [[nodiscard]] std::optional<Time> next_deadline() const;
  void on_time();

  [[nodiscard]] Stats stats() const;
  /// The driver tells it what the process' other shards hold.
  [[nodiscard]] OutboxBudget& outbox_budget();

private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace wsr
