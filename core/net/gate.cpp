#include "core/net/gate.hpp"

#include <utility>

#include "core/wire/client_protocol.hpp"

namespace wsr::net {
namespace {

constexpr Duration tick_every = std::chrono::milliseconds{100};
constexpr std::size_t wheel_slots = 512;  // 51 s: pings of the usual spacing fire in their first round

}  // namespace

Gate::Gate(asio::io_context& io, GateShared& shared)
    : shared_(shared),
      wheel_(clock_now(), tick_every, wheel_slots),
      tick_(io),
      read_buffer_(read_buffer_bytes),
      random_(std::random_device{}()) {
  own_outbox_rules_.overhead = frame_overhead_bytes;
  own_outbox_rules_.bytes_max = shared.options.limits.outbox_bytes_max;
  own_outbox_rules_.budget.bytes_max = shared.options.limits.outboxes_bytes_max;
}

Gate::~Gate() { forget_all(); }

void Gate::forget_all() {
  // Handlers that still wait are destroyed with the io_context, unrun; nobody else knows these objects.
  for (auto* connection : std::exchange(buried_, {})) delete connection;
  while (!connections_.empty()) delete &connections_.front();
}

void Gate::bind(Shard& shard) {
  shard_ = &shard;
  api_ = std::make_unique<HttpApi>(shard);
  arm_tick();
}

void Gate::arm_tick() {
  tick_.expires_after(tick_every);
  tick_.async_wait([this](error_code error) {
    if (error) return;
    wheel_.advance(clock_now());
    arm_tick();
  });
}

// ---------------------------------------------------------------- coming

void Gate::take(TcpSocket socket) {
  error_code ignored;
  socket.set_option(asio::ip::tcp::no_delay(true), ignored);
  HttpSession::start(*this, std::move(socket));
}

void Gate::take_session(HttpSession& session) {
  sessions_.push_back(session);
  ++shared_.sockets;
}

void Gate::drop_session(HttpSession& session) {
  session.SessionHook::unlink();
  --shared_.sockets;
}

void Gate::open_chat(TcpSocket socket, const ClientId& client, std::string_view handshake, std::string_view leftover) {
  // The time is taken now, not at the turn's beginning: a client that has two connections has made this one later.
  auto opened = shard_->input().open(client, Framing::websocket, shard_->store_time(clock_now()), handshake);
  if (!opened) {
    auto refused = std::make_unique<Connection>(*this, std::move(socket), Connection::Role::mute);
    auto* connection = refused.get();
    (void)connection->outbox()->offer_control(Frame::copy_of(handshake));
    adopt(std::move(refused), leftover);
    if (!connection->is_gone()) connection->close(CloseCode::capacity, opened.error().message);
    return;
  }
  auto connection = std::make_unique<Connection>(*this, std::move(socket), *opened);
  if (slots_.size() <= opened->slot()) slots_.resize(opened->slot() + 1);
  slots_[opened->slot()] = connection.get();
  adopt(std::move(connection), leftover);
}

void Gate::open_echo(TcpSocket socket, std::string_view leftover) {
  shard_->touch();
  adopt(std::make_unique<Connection>(*this, std::move(socket), Connection::Role::echo), leftover);
}

void Gate::open_watch(TcpSocket socket, const RoomName& room, std::string_view leftover) {
  shard_->touch();
  auto made = std::make_unique<Connection>(*this, std::move(socket), Connection::Role::mute);
  auto* connection = made.get();
  // The watch ends before its connection is destroyed, see bury().
  RoomHandlers handlers;
  handlers.on_message = [connection, room](std::string_view from, std::string_view data) {
    std::string text;
    append_room_message(text, room.view(), from, data);
    connection->tell(text);
  };
  handlers.on_presence = [connection, room](const RoomPresence& presence) {
    std::string text;
    append_presence(text, room.view(), presence.kind == PresenceEvent::Kind::join ? "join" : "leave", presence.client,
                    presence.size, presence.version);
    connection->tell(text);
  };
  watches_[connection] = shard_->watch(room, std::move(handlers), [connection, room](Errc result) {
    if (result != Errc::ok) {
      return connection->close(CloseCode::internal_error, "the room's channel cannot be subscribed");
    }
    std::string text;
    append_watching(text, room.view());
    connection->tell(text);
  });
  adopt(std::move(made), leftover);
}

void Gate::adopt(std::unique_ptr<Connection> connection, std::string_view leftover) {
  ++open_;
  ++shared_.websockets;
  ++shared_.sockets;
  ++shard_->hub().connections;
  auto& adopted = *connection.release();  // owned by the list until bury(), then by buried_ until reap()
  connections_.push_back(adopted);
  adopted.start(leftover);
  if (shared_.is_draining && !adopted.is_gone()) adopted.close(CloseCode::going_away, "this server is stopping");
}

ClientId Gate::make_guest() {
  static constexpr std::string_view digits = "0123456789abcdefghijklmnopqrstuvwxyz";
  std::string name = "guest-";
  auto bits = random_();
  for (int i = 0; i < 8; ++i, bits /= 36) name += digits[bits % 36];
  return ClientId::trusted(name);
}

// ---------------------------------------------------------------- the end of a turn

Connection* Gate::find(ConnId conn) {
  if (conn.slot() >= slots_.size()) return nullptr;
  auto* connection = slots_[conn.slot()];
  return connection != nullptr && connection->conn() == conn ? connection : nullptr;
}

void Gate::close(ConnId conn, std::uint16_t code, std::string_view reason) {
  closing_.push_back(Closing{conn, static_cast<CloseCode>(code), std::string(reason)});
}

void Gate::wake_connection(Connection& connection) {
  shard_->touch();
  if (std::exchange(connection.is_noted, true)) return;
  dirty_direct_.push_back(&connection);
}

void Gate::flush() {
  for (auto& closing : std::exchange(closing_, {})) {
    if (auto* connection = find(closing.conn)) connection->close(closing.code, closing.reason);
  }
  // By index: a write that fails may note further connections.
  for (std::size_t i = 0; i < dirty_direct_.size(); ++i) {
    dirty_direct_[i]->is_noted = false;
    dirty_direct_[i]->flush();
  }
  dirty_direct_.clear();
  for (std::size_t i = 0; i < dirty_.size(); ++i) {
    if (auto* connection = find(dirty_[i])) connection->flush();
  }
  dirty_.clear();
  reap();
}

void Gate::bury(Connection& connection) {
  connection.ConnectionHook::unlink();
  if (const auto watch = watches_.extract(&connection); !watch.empty()) shard_->unwatch(watch.mapped());
  --open_;
  --shard_->hub().connections;
  --shared_.websockets;
  buried_.push_back(&connection);
  shard_->touch();
}

void Gate::reap() {
  std::vector<Connection*> waiting;
  for (std::size_t i = 0; i < buried_.size(); ++i) {
    auto* connection = buried_[i];
    const ConnId conn = connection->conn();
    if (find(conn) == connection) {
      slots_[conn.slot()] = nullptr;
      shard_->router().closed(conn);
      --shared_.sockets;  // only now: a drain waits for the release, too
    } else if (conn == ConnId{} && !connection->is_counted_out) {
      --shared_.sockets;
    }
    connection->is_counted_out = true;
    if (connection->is_destroyable() && !connection->is_noted) {
      delete connection;
    } else {
      waiting.push_back(connection);
    }
  }
  buried_ = std::move(waiting);
}

// ---------------------------------------------------------------- leaving

void Gate::drain() {
  shard_->touch();
  for (auto it = connections_.begin(); it != connections_.end();) {
    auto& connection = *it++;
    connection.close(CloseCode::going_away, "this server is stopping: reconnect");
  }
  for (auto it = sessions_.begin(); it != sessions_.end();) {
    auto& session = *it++;
    session.drain();
  }
}

void Gate::drop_all() {
  shard_->touch();
  while (!connections_.empty()) connections_.front().drop();
  for (auto it = sessions_.begin(); it != sessions_.end();) {
    auto& session = *it++;
    session.drop();
  }
}

void Gate::add_figures(ServerStats& stats) const {
  stats.connections += open_;
  stats.routing.slow_dropped += figures.slow_dropped;
  stats.bytes_in += figures.bytes_in;
  stats.bytes_out += figures.bytes_out;
  stats.writes += figures.writes;
  stats.http_requests += figures.http_requests;
  stats.http_failures += figures.http_failures;
  stats.upgrades_refused += figures.upgrades_refused;
}

}  // namespace wsr::net
