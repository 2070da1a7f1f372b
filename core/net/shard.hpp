// Shard: one Router with everything around it that is no socket: turns, clock, timer, ports, Services.
//
//   inputs ─▶ input() ─▶ Router ─┐
//                                ├─ end of turn: answers to callers, flush of connections, Router::end_turn()
//   one post a turn ─────────────┘
//
// Server gives it connections with sockets (Gate), Fabric connections of the application; both are a ShardWorld.
// While inputs keep coming in, the end of the turn is put off a few times: frames for one connection that arrive
// within one reactor batch leave in one write (measured: 1.6x in bursts).
//
// Thread-safety: everything on the shard's thread, except what is marked `any thread`.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "core/net/alive.hpp"
#include "core/net/asio.hpp"
#include "core/net/hub.hpp"
#include "core/net/hub_store.hpp"
#include "core/net/inlet.hpp"
#include "core/net/room_authorizer.hpp"
#include "core/net/services.hpp"
#include "core/routing/router.hpp"

namespace wsr::net {

/// Who holds the connections of a shard. wake() and close() are called from within the Router: they only take notes.
class ShardWorld : public Connections {
public:
  virtual void on_owned(ConnId conn, Errc result, std::string_view detail) = 0;
  /// The end of a turn: close and write what the notes say.
  virtual void flush() = 0;
  virtual void add_figures(ServerStats& stats) const = 0;
  /// Of connections that the Router does not know (watches): they count in the process' budget, too.
  virtual OutboxBudget* own_budget() { return nullptr; }
};

/// What a room's channel brought, shared by the shards that have the room.
struct RoomBytes {
  std::string room;
  std::string bytes;
};

class Shard final : public Services, private Application, private Authorizer, private Clock, private Connections {
public:
  Shard(asio::io_context& io, Hub& hub, ShardIndex index, ShardWorld& world, Limits limits,
        RoomAuthorizer authorizer = {});
  ~Shard() override;

  /// The Router, for one input: marks the turn and reads the clock.
  [[nodiscard]] Router& input() {
    touch();
    return further_input();
  }
  /// The same for one more input of the same handler: the clock stands where input() or touch() has read it.
  [[nodiscard]] Router& further_input() {
    ++inputs_;
    if (hub_.times_woken() != times_woken_ || hub_.has_slept(now_)) hold();
    return router_;
  }
  /// Makes sure that an end of turn follows, and reads the clock: a turn may have begun long ago, when this process
  /// stood still or was busy in between.
  void touch();
  /// The session of this connection has ended: lookups of this server do not find it any more.
  void forget(ConnId conn);
  /// The Router for views, and for calls out of flush().
  [[nodiscard]] Router& router() { return router_; }
  [[nodiscard]] Hub& hub() { return hub_; }
  [[nodiscard]] ShardIndex index() const { return index_; }
  [[nodiscard]] Time now() const override { return now_; }
  [[nodiscard]] StoreTime store_time(Time local) const;

  // ---- any thread
  void post(Task task) { inlet_.push(std::move(task)); }
  void take_answer(Ticket ticket, Answer&& answer);
  void take_batch(std::string batch, Task taken);
  void take_room_event(std::shared_ptr<const RoomBytes> event, std::uint32_t parts);
  void take_store_state(StoreState state);
  void take_reassert();
  void take_server_gone(const ServerId& server);
  void take_leases(const Leases& leases);
  void take_client_moved(const std::string& client);
  /// The process has stood still; what it knows of its clients is to be made sure of. take_awake() with the same number
  /// ends that.
  void take_woken(std::uint64_t times);
  void take_awake(std::uint64_t times);

  // ---- Services
  const ServerId& self() const override { return hub_.self(); }
  void send(const ClientId& from, const ClientId& to, std::string_view data, std::function<void(Sent)> reply) override;
  void lookup(const ClientId& client, std::function<void(Owners)> reply) override;
  void page(std::string_view cursor, std::uint32_t count, std::function<void(OwnerPage)> reply) override;
  void counts(std::function<void(OwnerCounts)> reply) override;
  void servers(std::function<void(Servers)> reply) override;
  void kick(const Attachment& at, CloseCode code, std::string_view reason) override;
  void stats(std::function<void(ServerStats)> reply) override;
  void broadcast(std::string_view channel, std::string_view payload, std::function<void(Published)> reply) override;
  void join(const RoomName& room, const ClientId& client, std::function<void(RoomDone)> reply) override;
  void leave(const RoomName& room, const ClientId& client, std::function<void(RoomDone)> reply) override;
  void push(const RoomName& room, const ClientId& from, std::string_view data, Echo echo,
            std::function<void(RoomPushed)> reply) override;
  void room_info(const RoomName& room, std::function<void(RoomInfo)> reply) override;
  void room_members(const RoomName& room, std::string_view cursor, std::uint32_t count,
                    std::function<void(RosterPage)> reply) override;
  void room_member(const RoomName& room, const ClientId& client, std::function<void(RoomInfo)> reply) override;
  void rooms(std::string_view cursor, std::uint32_t count, std::function<void(RoomPage)> reply) override;
  WatchId watch(const RoomName& room, RoomHandlers handlers, std::function<void(Errc)> reply) override;
  void unwatch(WatchId watch) override;
  Readiness readiness() const override { return hub_.readiness(); }

private:
  void on_sent(Ticket ticket, const Sent& sent) override;
  void on_owned(ConnId conn, Errc result, std::string_view detail) override;
  void on_room_done(Ticket ticket, const RoomDone& done) override;
  void on_pushed(Ticket ticket, const RoomPushed& pushed) override;
  void on_watching(const RoomName& room, Errc result) override;
  void on_room_message(const RoomName& room, std::string_view from, std::string_view data) override;
  void on_room_presence(const RoomName& room, const RoomPresence& presence) override;
  void authorize(Ticket ticket, RoomAction action, const RoomName& room, const ClientId& client) override;
  [[nodiscard]] StoreTime store_now() const override { return store_time(now_); }
  [[nodiscard]] std::chrono::microseconds store_error() const override;
  void wake(ConnId conn) override { world_.wake(conn); }
  void close(ConnId conn, std::uint16_t code, std::string_view reason) override;

  void hold();
  void post_end_of_turn();
  void on_end_of_turn();
  void tell_callers();
  void tell_watchers();
  void share_outbox_bytes();
  void arm_timer();
  /// Asks the store itself, on the hub's thread; the answer comes back to `reply` on this one.
  template <class Call>
  void ask(Call call, std::function<void(typename Call::Answer)> reply);

  asio::io_context& io_;
  Hub& hub_;
  ShardIndex index_;
  Place place_;
  ShardWorld& world_;
  Alive alive_;
  HubStore store_;
  RoomAuthorizer authorizer_;
  Time now_ = clock_now();
  Router router_;
  Inlet<Task> inlet_;
  SteadyTimer timer_;             // Router::next_deadline()
  std::optional<Time> armed_at_;  // what timer_ waits for

  bool is_turn_posted_ = false;
  std::uint32_t deferrals_ = 0;      // of this turn's end
  std::uint64_t inputs_ = 0;         // since the shard began
  std::uint64_t inputs_posted_ = 0;  // inputs_ when the end of the turn was last posted

  std::uint64_t last_send_ = 0;
  std::unordered_map<std::uint64_t, std::function<void(Sent)>> sends_;  // callers that wait for their word
  std::vector<std::pair<Ticket, Sent>> sent_;                           // words of this turn
  struct Owned {
    ConnId conn;
    Errc result;
    std::string detail;
  };
  std::vector<Owned> owned_;  // claims answered in this turn

  struct Watch {
    RoomName room;
    RoomHandlers handlers;
    std::function<void(Errc)> reply;  // until the channel stands
  };
  struct Heard {  // what a watched room brought in this turn
    RoomName room;
    std::optional<PresenceEvent::Kind> presence;  // none: a message
    std::string from;                             // or the client that came or went
    std::string data;
    std::uint64_t size = 0;
    std::uint64_t version = 0;
  };
  /// Later answers to the application, one kind of waiting each.
  std::unordered_map<std::uint64_t, std::function<void(RoomDone)>> room_calls_;
  std::unordered_map<std::uint64_t, std::function<void(RoomPushed)>> pushes_;
  std::vector<std::function<void()>> replies_;  // of this turn
  std::map<WatchId, std::shared_ptr<Watch>> watches_;
  std::multimap<RoomName, WatchId> watchers_;  // by room
  std::vector<Heard> heard_;
  std::uint64_t outbox_bytes_ = 0;  // as last added to the hub's sum
  std::uint64_t times_woken_ = 0;   // Hub::times_woken() as far as it is over here
};

}  // namespace wsr::net
