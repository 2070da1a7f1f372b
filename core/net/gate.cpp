#include "core/net/gate.hpp"

#include <algorithm>
#include <utility>

#include "core/wire/client_protocol.hpp"

namespace wsr::net {
namespace {

constexpr Duration tick_every = std::chrono::milliseconds{100};
constexpr std::size_t wheel_slots = 512;  // 51 s: pings of the usual spacing fire in their first round

// At the bound of sockets. A request comes with the handshake's last packet or right behind it: who has said nothing
// for this long has nothing to ask. Half a request is let come to its end for longer, but not for long: who sends such
// on purpose must not keep a probe waiting for seconds either.
constexpr Duration silent_min = std::chrono::milliseconds{20};
constexpr Duration speaking_min = std::chrono::milliseconds{100};
constexpr int idle_looks_max = 32;

// A tick that comes later than this: the process was stopped, or the loop had no time for its sockets.
constexpr Duration standstill_min = std::chrono::milliseconds{200};

// A drain. A load balancer sees the red light before the first client comes back through it; the last fifth is for
// answers; and a handful of clients is no herd: they need not wait for the whole window.
constexpr int drain_lead_divisor = 20;
constexpr Duration drain_lead_max = std::chrono::seconds{5};
constexpr Duration close_spacing_max = std::chrono::milliseconds{250};
constexpr Duration close_tick = std::chrono::milliseconds{10};

constexpr std::string_view stopping = "this server is stopping; retry_after=1";  // seconds, as Retry-After

}  // namespace

Gate::Gate(asio::io_context& io, GateShared& shared)
    : shared_(shared),
      wheel_(clock_now(), tick_every, wheel_slots),
      tick_(io),
      drain_tick_(io),
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
    on_tick();
    arm_tick();
  });
}

void Gate::on_tick() {
  const Time now = clock_now();
  if (now - ticked_at_ > tick_every + standstill_min) stood_still_until_ = now;
  ticked_at_ = now;
  wheel_.advance(now);
  look_at_memory();
}

/// Whatever is refused or dropped for it: once each time that the budget is used up.
void Gate::look_at_memory() {
  const OutboxBudget& budget = own_outbox_rules_.budget;
  const bool is_full = budget.is_exceeded();
  if (is_full && !was_memory_full_) {
    options().log({LogLevel::warning,
                   "memory_full",
                   "the memory used for clients has reached --memory-max: clients above their fair share are refused, "
                   "and messages for slow clients are dropped",
                   {{"memory_max", std::to_string(budget.bytes_max)}}});
  }
  was_memory_full_ = is_full;
}

// ---------------------------------------------------------------- coming

void Gate::take(TcpSocket socket) {
  error_code error;
  const auto peer = socket.remote_endpoint(error);
  if (error) return;  // it has gone while it waited
  socket.set_option(asio::ip::tcp::no_delay(true), error);
  if (auto permit = shared_.sockets.admit(peer.address())) {
    return HttpSession::start(*this, std::move(socket), std::move(*permit));
  }
  // Behind a balancer everybody has one address, and so have its health checks: they must still be answered.
  if (auto permit = admit_probe(peer.address())) {
    return HttpSession::start(*this, std::move(socket), std::move(*permit), HttpSession::Purpose::probe);
  }
  note_address_full(peer.address());
  HttpSession::turn_away(*this, std::move(socket), shared_.sockets.admit_briefly(), address_full());
}

std::optional<SocketPermit> Gate::admit_probe(const asio::ip::address& peer) {
  if (auto permit = shared_.sockets.admit_probe(peer)) return permit;
  // Silence keeps no probe out.
  const Time now = clock_now();
  const auto silent = std::find_if(probes_.begin(), probes_.end(), [now](const HttpSession* session) {
    return session->use() == HttpSession::Use::silent && now - session->reading_since() >= silent_min &&
           !session->has_unread_bytes();
  });
  if (silent == probes_.end()) return std::nullopt;
  (*silent)->drop();
  return shared_.sockets.admit_probe(peer);
}

Refusal Gate::address_full() const {
  return {503, "capacity",
          "your address has " + std::to_string(shared_.sockets.per_address_max()) +
              " connections to this server, the limit: raise --per-address-max, or close some"};
}

// ---------------------------------------------------------------- at a bound

void Gate::note_address_full(const asio::ip::address& peer) {
  ++figures.upgrades_refused;
  ++figures.refused_per_address;
  options().log(
      {LogLevel::warning,
       "address_full",
       "an address has as many sockets as --per-address-max allows; behind a load balancer everybody has "
       "one address: raise it, or set it to 0",
       {{"address", peer.to_string()}, {"per_address_max", std::to_string(shared_.sockets.per_address_max())}}});
}

void Gate::note_connections_full(std::string_view message) {
  ++figures.refused_connections;
  options().log({LogLevel::warning,
                 "connections_full",
                 std::string(message),
                 {{"connections_max", std::to_string(shared_.connections_max)}}});
}

void Gate::note_memory_full(std::string_view what) {
  ++figures.refused_memory;
  options().log({LogLevel::warning,
                 "memory_full",
                 "refused, because --memory-max is used up: " + std::string(what),
                 {{"memory_max", std::to_string(own_outbox_rules_.budget.bytes_max)}}});
}

void Gate::note_accept_failed(const error_code& error) {
  ++figures.accepts_failed;
  options().log({LogLevel::error, "accept_failed",
                 "no connection can be accepted for now: " + error.message() +
                     "; the limit of open files (ulimit -n) or the system's memory is used up"});
}

void Gate::take_session(HttpSession& session) {
  sessions_.push_back(session);
  if (session.purpose() == HttpSession::Purpose::probe) probes_.push_back(&session);
}

void Gate::drop_session(HttpSession& session) {
  session.SessionHook::unlink();
  if (session.purpose() == HttpSession::Purpose::probe) std::erase(probes_, &session);
}

void Gate::note_reading(HttpSession& session) {
  session.SessionHook::unlink();
  sessions_.push_back(session);
}

bool Gate::has_room() {
  while (shared_.sockets.open() >= shared_.sockets_max) {
    if (end_idle_session()) continue;
    ++figures.accepts_paused;
    options().log({LogLevel::warning,
                   "sockets_full",
                   "all sockets are taken, and none of them is idle: new connections wait",
                   {{"sockets_max", std::to_string(shared_.sockets_max)}}});
    return false;
  }
  return true;
}

bool Gate::end_idle_session() {
  const Time now = clock_now();
  HttpSession* slow = nullptr;
  for (int looks = 0; looks < idle_looks_max && !sessions_.empty(); ++looks) {
    HttpSession& oldest = sessions_.front();
    const Duration waited = now - oldest.reading_since();
    const bool is_silent = oldest.use() == HttpSession::Use::silent && waited >= silent_min;
    if (is_silent && !oldest.has_unread_bytes()) {
      oldest.drop();
      return true;
    }
    const bool is_slow = oldest.use() == HttpSession::Use::speaking && waited >= speaking_min;
    if (is_slow && (slow == nullptr || oldest.reading_since() < slow->reading_since())) slow = &oldest;
    oldest.SessionHook::unlink();  // looked at again when its turn comes: silent ones may stand behind it
    sessions_.push_back(oldest);
  }
  if (slow != nullptr) slow->drop();
  return slow != nullptr;
}

void Gate::open_chat(TcpSocket socket, SocketPermit permit, const ClientId& client, Time asked_at,
                     std::string_view handshake, std::string_view leftover) {
  auto opened = shard_->input().open(client, Framing::websocket, shard_->store_time(asked_at), handshake);
  if (!opened) {
    auto refused = std::make_unique<Connection>(*this, std::move(socket), Connection::Role::mute);
    auto* connection = refused.get();
    (void)connection->outbox()->offer_control(Frame::copy_of(handshake));
    adopt(std::move(refused), std::move(permit), leftover);
    note_connections_full(opened.error().message);
    if (!connection->is_gone()) connection->close(CloseCode::capacity, opened.error().message);
    return;
  }
  auto connection = std::make_unique<Connection>(*this, std::move(socket), *opened);
  if (slots_.size() <= opened->slot()) slots_.resize(opened->slot() + 1);
  slots_[opened->slot()] = connection.get();
  adopt(std::move(connection), std::move(permit), leftover);
}

void Gate::open_echo(TcpSocket socket, SocketPermit permit, std::string_view leftover) {
  shard_->touch();
  adopt(std::make_unique<Connection>(*this, std::move(socket), Connection::Role::echo), std::move(permit), leftover);
}

void Gate::open_watch(TcpSocket socket, SocketPermit permit, const RoomName& room, std::string_view leftover) {
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
  adopt(std::move(made), std::move(permit), leftover);
}

void Gate::adopt(std::unique_ptr<Connection> connection, SocketPermit permit, std::string_view leftover) {
  ++open_;
  ++shared_.websockets;
  ++shard_->hub().connections;
  auto& adopted = *connection.release();  // owned by the list until bury(), then by buried_ until reap()
  connections_.push_back(adopted);
  adopted.permit = std::move(permit);
  adopted.start(leftover);
  if (shared_.is_draining && !adopted.is_gone()) tell_to_go(adopted);
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
  if (static_cast<CloseCode>(code) == CloseCode::replaced) {
    closing_.back().reason += shared_.connects.on_replaced(shard_->router().client_of(conn), clock_now());
  }
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
    }
    connection->permit.end();  // only now: a drain waits for the release, too
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
  end_sessions();
  const Duration left = std::max(shared_.drain_until - clock_now(), Duration::zero());
  drain_tick_.expires_after(std::min(left / drain_lead_divisor, drain_lead_max));
  drain_tick_.async_wait([this](error_code error) {
    if (!error) begin_closes();
  });
}

void Gate::begin_closes() {
  shard_->touch();
  Drain drain{.closes_at = clock_now(), .each = {}, .all = 0, .told = 0};
  for (auto it = connections_.begin(); it != connections_.end();) {
    auto& connection = *it++;
    if (connection.is_told_to_go) continue;  // and stands at the end again
    if (connection.is_behind()) {
      tell_to_go(connection);  // slow readers get the whole of the time
    } else {
      ++drain.all;
    }
  }
  const Duration left = std::max(shared_.drain_until - drain.closes_at, Duration::zero());
  if (drain.all != 0) drain.each = std::min(left * 4 / 5 / static_cast<std::int64_t>(drain.all), close_spacing_max);
  drain_ = drain;
  go_on_with_closes();
}

void Gate::go_on_with_closes() {
  shard_->touch();
  const Duration passed = clock_now() - drain_->closes_at;
  const std::uint64_t due = drain_->each.count() == 0
                                ? drain_->all
                                : std::min(drain_->all, static_cast<std::uint64_t>(passed / drain_->each) + 1);
  // Whoever is told goes to the end of the list, so those before it have not been.
  for (; drain_->told < due && !connections_.empty() && !connections_.front().is_told_to_go; ++drain_->told) {
    tell_to_go(connections_.front());
  }
  if (connections_.empty() || connections_.front().is_told_to_go) return;
  drain_tick_.expires_after(close_tick);
  drain_tick_.async_wait([this](error_code error) {
    if (!error) go_on_with_closes();
  });
}

void Gate::tell_to_go(Connection& connection) {
  connection.is_told_to_go = true;
  connection.ConnectionHook::unlink();
  connections_.push_back(connection);
  connection.close(CloseCode::going_away, stopping);
}

void Gate::end_sessions() {
  shard_->touch();
  for (auto it = sessions_.begin(); it != sessions_.end();) {
    auto& session = *it++;
    session.drain();
  }
}

void Gate::drop_all() {
  shard_->touch();
  while (!connections_.empty()) connections_.front().close_now(CloseCode::going_away, stopping);
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
  stats.refused_per_address += figures.refused_per_address;
  stats.refused_connections += figures.refused_connections;
  stats.refused_memory += figures.refused_memory;
  stats.accepts_paused += figures.accepts_paused;
  stats.accepts_failed += figures.accepts_failed;
  stats.routing.rate_limited_connects += figures.connects_refused;
  stats.routing.takeovers_braked += figures.takeovers_braked;
}

}  // namespace wsr::net
