// Gate: the sockets of one shard: HTTP sessions, WebSocket connections, their deadlines, the shared read buffer.
//
// A ConnId finds its connection by its slot. What the Router asks (wake, close) is noted and done in flush(), at the
// end of the turn: closes first, so that the close frame stands behind what was queued, then one gather write for each
// connection that has something to say.
//
//   drain:  |--lead--|--- closes, evenly ---|-- answers --|
//           red      slow readers first     80 %          the end: what is left is told, and ended
//
// Thread-safety: none; the shard's thread.
// Bounds:        the shard's Limits, connections_max, sockets_max. At sockets_max a socket that has asked for nothing
// yet
//                makes room for a newer one, the oldest first: silence does not keep probes and clients out.
#pragma once

#include <algorithm>
#include <boost/intrusive/list.hpp>
#include <cstdint>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/net/asio.hpp"
#include "core/net/connection.hpp"
#include "core/net/gate_shared.hpp"
#include "core/net/http_api.hpp"
#include "core/net/http_session.hpp"
#include "core/net/shard.hpp"
#include "core/net/socket_permit.hpp"
#include "core/net/timer_wheel.hpp"

namespace wsr::net {

class Gate final : public ShardWorld {
public:
  Gate(asio::io_context& io, GateShared& shared);
  ~Gate() override;
  /// Once, before anything else.
  void bind(Shard& shard);

  /// A socket that has just been accepted: waits for its HTTP request.
  void take(TcpSocket socket);
  /// For one more socket, if a silent one has to go for it.
  [[nodiscard]] bool has_room();
  /// The listener found no descriptor, or no memory, for a socket that waits.
  void note_accept_failed(const error_code& error);
  /// A socket whose handshake is through, with the bytes that came behind it.
  /// `handshake` is the answer to the upgrade: written once the client's claim is answered.
  void open_chat(TcpSocket socket, SocketPermit permit, const ClientId& client, Time asked_at,
                 std::string_view handshake, std::string_view leftover);
  void open_echo(TcpSocket socket, SocketPermit permit, std::string_view leftover);
  /// Hears a room without being a client; what it says is read and dropped.
  void open_watch(TcpSocket socket, SocketPermit permit, const RoomName& room, std::string_view leftover);
  /// Every WebSocket is told 1001, spread over the time until shared().drain_until.
  void drain();
  /// HTTP sessions end with the answer that is being made, or at once.
  void end_sessions();
  /// Ends what is left.
  void drop_all();
  /// Destroys every connection and session without a word. No thread may run the io_context any more.
  void forget_all();

  // ---- ShardWorld
  OutboxBudget* own_budget() override { return &own_outbox_rules_.budget; }
  void wake(ConnId conn) override { dirty_.push_back(conn); }
  void close(ConnId conn, std::uint16_t code, std::string_view reason) override;
  void on_owned(ConnId, Errc, std::string_view) override {}  // the Router itself closes a WebSocket whose claim failed
  void flush() override;
  void add_figures(ServerStats& stats) const override;

  // ---- for connections and sessions
  [[nodiscard]] Shard& shard() { return *shard_; }
  [[nodiscard]] HttpApi& api() { return *api_; }
  [[nodiscard]] GateShared& shared() { return shared_; }
  [[nodiscard]] const ServerOptions& options() const { return shared_.options; }
  [[nodiscard]] TimerWheel& wheel() { return wheel_; }
  [[nodiscard]] std::vector<char>& read_buffer() { return read_buffer_; }
  [[nodiscard]] OutboxRules& own_outbox_rules() { return own_outbox_rules_; }
  [[nodiscard]] ClientId make_guest();
  /// `connection` wants flush() at the end of the turn though the Router did not say so.
  void wake_connection(Connection& connection);
  /// Its socket is closed. Destroyed at the end of a turn, once its last handler has run.
  void bury(Connection& connection);
  void take_session(HttpSession& session);
  void drop_session(HttpSession& session);
  /// It waits for a request from now on.
  void note_reading(HttpSession& session);
  /// When a wait that began at `begin` counts from: later, if this shard has stood still since. What the peer has said
  /// meanwhile must be read before its time is over.
  [[nodiscard]] Time fresh(Time begin) const { return std::max(begin, stood_still_until_); }

  // ---- what is refused at a bound: counted and logged
  [[nodiscard]] Refusal address_full() const;
  void note_address_full(const asio::ip::address& peer);
  void note_connections_full(std::string_view message);
  /// `what` was refused, as the memory budget is used up.
  void note_memory_full(std::string_view what);

  struct Figures {
    std::uint64_t bytes_in = 0, bytes_out = 0, writes = 0, http_requests = 0, http_failures = 0, upgrades_refused = 0,
                  refused_per_address = 0, refused_connections = 0, refused_memory = 0, accepts_paused = 0,
                  accepts_failed = 0, connects_refused = 0, takeovers_braked = 0,
                  slow_dropped = 0 /* of connections that the Router does not know */;
  };
  Figures figures;

private:
  struct Closing {
    ConnId conn;
    CloseCode code;
    std::string reason;
  };
  [[nodiscard]] Connection* find(ConnId conn);
  void adopt(std::unique_ptr<Connection> connection, SocketPermit permit, std::string_view leftover);
  [[nodiscard]] std::optional<SocketPermit> admit_probe(const asio::ip::address& peer);
  [[nodiscard]] bool end_idle_session();
  void on_tick();
  void look_at_memory();
  void begin_closes();
  void go_on_with_closes();
  void tell_to_go(Connection& connection);
  void arm_tick();
  void reap();

  GateShared& shared_;
  Shard* shard_ = nullptr;
  std::unique_ptr<HttpApi> api_;
  TimerWheel wheel_;
  SteadyTimer tick_;
  Time ticked_at_ = clock_now();
  Time stood_still_until_{};      // the last time that ticks came much too late
  bool was_memory_full_ = false;  // at the last tick
  SteadyTimer drain_tick_;
  struct Drain {
    Time closes_at{};       // the first close
    Duration each{};        // from one close to the next
    std::uint64_t all = 0;  // connections that are to be told
    std::uint64_t told = 0;
  };
  std::optional<Drain> drain_;
  std::vector<char> read_buffer_;
  std::mt19937_64 random_;        // names of guests
  OutboxRules own_outbox_rules_;  // of connections that the Router does not know; before them
  std::unordered_map<const Connection*, WatchId> watches_;
  boost::intrusive::list<Connection, boost::intrusive::constant_time_size<false>,
                         boost::intrusive::base_hook<ConnectionHook>>
      connections_;  // all that are not buried
  boost::intrusive::list<HttpSession, boost::intrusive::constant_time_size<false>,
                         boost::intrusive::base_hook<SessionHook>>
      sessions_;                           // the longest without an answer first
  std::vector<HttpSession*> probes_;       // those of sessions_ that may only be probes, the oldest first; see take()
  std::vector<Connection*> slots_;         // by ConnId::slot(); the connection must still be asked for its id
  std::vector<ConnId> dirty_;              // woken by the Router
  std::vector<Connection*> dirty_direct_;  // woken by themselves
  std::vector<Closing> closing_;
  std::vector<Connection*> buried_;  // closed, not yet destroyed
  std::uint64_t open_ = 0;           // WebSockets of this shard
};

}  // namespace wsr::net
