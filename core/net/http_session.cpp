#include "core/net/http_session.hpp"

#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <boost/asio/buffer.hpp>
#include <boost/asio/write.hpp>
#include <cerrno>
#include <utility>

#include "core/net/gate.hpp"
#include "core/net/http_parts.hpp"
#include "core/net/own_hosts.hpp"
#include "core/net/peer_state.hpp"
#include "core/wire/utf8.hpp"

namespace wsr::net {
namespace {

constexpr Duration linger_max = std::chrono::seconds{2};
constexpr std::chrono::seconds retry_after{1};     // another server takes over at once
constexpr std::size_t read_bytes_max = 16 * 1024;  // at once: what may be kept of the requests behind this one
constexpr std::size_t share_bytes_min = 1024;      // as of an outbox: a plain request passes whatever others hold
constexpr Duration probe_within = std::chrono::seconds{1};  // a health check says what it wants at once
constexpr std::string_view go_on = "HTTP/1.1 100 Continue\r\n\r\n";

/// Of a string that lies in its own object nothing is on the heap.
std::size_t heap_bytes(const std::string& text) {
  static const std::size_t inside = std::string().capacity();
  return text.capacity() > inside ? text.capacity() : 0;
}

}  // namespace

void HttpSession::start(Gate& gate, TcpSocket socket, SocketPermit permit, Purpose purpose) {
  auto session = std::make_shared<HttpSession>(gate, std::move(socket), std::move(permit), purpose);
  gate.take_session(*session);
  session->read_request();
}

void HttpSession::turn_away(Gate& gate, TcpSocket socket, SocketPermit permit, const Refusal& refusal) {
  auto session = std::make_shared<HttpSession>(gate, std::move(socket), std::move(permit), Purpose::any);
  gate.take_session(*session);
  session->refuse(refusal, Persistence::close);
}

HttpSession::HttpSession(Gate& gate, TcpSocket socket, SocketPermit permit, Purpose purpose)
    : gate_(gate), socket_(std::move(socket)), permit_(std::move(permit)), purpose_(purpose) {}

HttpSession::~HttpSession() = default;

void HttpSession::set_deadline(Duration after) {
  waiting_since_ = clock_now();
  wait_max_ = after;
  gate_.wheel().set(*this, waiting_since_ + after);
}

void HttpSession::charge() {
  if (phase_ == Phase::gone) return;  // the Gate itself may have gone by now
  std::size_t held = heap_bytes(pending_) + heap_bytes(head_out_) + heap_bytes(body_out_) + heap_bytes(handshake_);
  if (reader_) held += reader_->held_bytes();
  if (held == charged_) return;
  gate_.own_outbox_rules().budget.bytes += held - charged_;  // wraps when it shrinks
  charged_ = held;
  gate_.shard().touch();  // other shards are told at the end of the turn
}

bool HttpSession::is_above_share() const {
  const auto& budget = gate_.own_outbox_rules().budget;
  if (!budget.is_exceeded()) return false;
  const std::size_t sockets = std::max<std::size_t>(gate_.shared().sockets.open(), 1);
  // Half of an equal share: what was held when the budget was reached stays, and all of this comes on top.
  return charged_ > std::max(budget.bytes_max / sockets / 2, share_bytes_min);
}

// ---------------------------------------------------------------- in

void HttpSession::read_request() {
  phase_ = Phase::reading;
  reading_since_ = clock_now();
  gate_.note_reading(*this);
  reader_.emplace(HttpBounds{gate_.options().header_bytes_max, gate_.options().body_bytes_max});
  const Duration within = gate_.options().handshake_within;
  set_deadline(purpose_ == Purpose::probe ? std::min(within, probe_within) : within);
  if (pending_.empty()) {
    charge();
    return wait_readable();
  }
  const auto bytes = std::exchange(pending_, {});
  take(bytes);
}

void HttpSession::wait_readable() {
  socket_.async_wait(TcpSocket::wait_read, [self = shared_from_this()](error_code error) {
    if (self->phase_ == Phase::lingering) return self->linger();
    if (self->phase_ != Phase::reading) return;
    if (error) return self->drop();
    self->on_readable();
  });
}

void HttpSession::on_readable() {
  auto& buffer = gate_.read_buffer();
  const auto got =
      ::recv(socket_.native_handle(), buffer.data(), std::min(buffer.size(), read_bytes_max), MSG_DONTWAIT);
  if (got == 0) return drop();
  if (got < 0) {
    if (errno == EINTR || errno == EAGAIN || errno == EWOULDBLOCK) return wait_readable();
    return drop();
  }
  take({buffer.data(), static_cast<std::size_t>(got)});
}

void HttpSession::take(std::string_view bytes) try {
  for (;;) {
    const auto step = reader_->next(bytes);
    bytes.remove_prefix(step.consumed);
    switch (step.event) {
      case HttpReader::Event::need_more:
        charge();
        if (is_above_share()) return refuse_for_memory();
        return wait_readable();
      case HttpReader::Event::head:
        if (!on_head(bytes)) return;
        continue;
      case HttpReader::Event::done:
        pending_.assign(bytes);
        charge();
        if (is_above_share()) return refuse_for_memory();
        return on_request();
      case HttpReader::Event::failed: {
        const auto& failure = reader_->failure();
        return refuse({failure.status, std::string(failure.code), std::string(failure.message)}, Persistence::close);
      }
    }
  }
} catch (...) {
  // The last catch of a request: whatever it was, the others go on.
  auto response = http::failure_answer();
  note_failure(response.failure);
  if (phase_ != Phase::gone) answer(std::move(response), Persistence::close);
}

/// Nothing that was foreseen: counted, for whoever runs the server to report.
void HttpSession::note_failure(const std::string& what) {
  ++gate_.figures.http_failures;
  gate_.options().log({LogLevel::error, "request_failed", "a request failed: " + what});
}

/// False: the request is refused. `behind`: what has come of its body.
bool HttpSession::on_head(std::string_view behind) {
  error_code error;
  const auto local = socket_.local_endpoint(error);
  own_port_ = error ? 0 : local.port();
  is_over_loopback_ = !error && is_loopback(local.address());
  const auto address = error ? std::string() : local.address().to_string();
  const auto host = reader_->host();
  is_foreign_host_ = !host.empty() && !gate_.shared().hosts.is_ours(host, address);
  // Of an upgrade the page that asks may say more, see decide_upgrade().
  if (is_foreign_host_ && !is_upgrade(upgrade_request(), upgrade_rules())) {
    const auto refusal = foreign_host(host);
    gate_.options().log({LogLevel::warning, "host_refused", refusal.message, {{"host", std::string(host)}}});
    refuse(refusal, Persistence::close);
    return false;
  }
  if (purpose_ == Purpose::probe && !is_probe()) {
    const auto peer = socket_.remote_endpoint(error);
    if (!error) gate_.note_address_full(peer.address());
    refuse(gate_.address_full(), Persistence::close);
    return false;
  }
  set_deadline(gate_.options().body_within);
  if (reader_->expects_continue() && behind.empty()) {
    const auto sent = ::send(socket_.native_handle(), go_on.data(), go_on.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent != static_cast<ssize_t>(go_on.size())) {  // a peer that has not even room for this
      drop();
      return false;
    }
  }
  return true;
}

bool HttpSession::is_probe() const {
  const auto path = reader_->target().substr(0, reader_->target().find('?'));
  return (reader_->method() == "GET" || reader_->method() == "HEAD") && (path == "/healthz" || path == "/readyz");
}

void HttpSession::on_request() {
  phase_ = Phase::answering;
  cancel();
  ++gate_.figures.http_requests;
  keeps_alive_ = reader_->keeps_alive() && purpose_ != Purpose::probe;
  is_head_ = reader_->method() == "HEAD";
  is_http10_ = reader_->version() < 11;
  if (is_upgrade(upgrade_request(), upgrade_rules())) return route_upgrade();
  handle();
}

void HttpSession::handle() {
  const HttpRequest call{.method = is_head_ ? "GET" : reader_->method(),
                         .target = reader_->target(),
                         .body = reader_->body(),
                         .content_type = reader_->content_type()};
  gate_.shard().touch();
  gate_.api().handle(call, [self = shared_from_this()](HttpResponse made) {
    if (self->phase_ != Phase::answering) return;
    // Without an exception the answer itself is what is known.
    if (made.status == 500) self->note_failure(made.failure.empty() ? made.body : made.failure);
    self->answer(std::move(made), Persistence::keep);
  });
  reader_.reset();  // the answer may take its time: the request is no longer needed
  charge();
}

// ---------------------------------------------------------------- upgrade

UpgradeRequest HttpSession::upgrade_request() const {
  // No origin that is not UTF-8 is one; and it will stand in our answer.
  const auto origin = is_utf8(reader_->origin()) ? reader_->origin() : std::string_view("null");
  return UpgradeRequest{.method = reader_->method(),
                        .target = reader_->target(),
                        .version = reader_->version(),
                        .host = reader_->host(),
                        .origin = origin,
                        .connection = reader_->connection(),
                        .upgrade = reader_->upgrade(),
                        .ws_version = reader_->ws_version(),
                        .ws_key = reader_->ws_key(),
                        .ws_protocol = reader_->ws_protocol()};
}

UpgradeRules HttpSession::upgrade_rules() const {
  const auto& shared = gate_.shared();
  return UpgradeRules{.origins = gate_.options().origins,
                      .own_port = own_port_,
                      .is_over_loopback = is_over_loopback_,
                      .is_foreign_host = is_foreign_host_,
                      .has_echo = gate_.options().echo,
                      .is_draining = shared.is_draining,
                      .is_full = shared.websockets >= shared.connections_max};
}

void HttpSession::route_upgrade() {
  const auto request = upgrade_request();
  auto decision = decide_upgrade(request, upgrade_rules());
  if (auto* upgrade = std::get_if<Upgrade>(&decision)) {
    error_code error;
    const auto peer = socket_.remote_endpoint(error);
    if (error) return drop();
    auto refused = gate_.shared().connects.refusal(upgrade->client ? upgrade->client->view() : std::string_view(),
                                                   peer.address(), clock_now());
    if (!refused) return accept(std::move(*upgrade));
    ++gate_.figures.connects_refused;
    decision = std::move(*refused);
  }
  const auto& refusal = std::get<Refusal>(decision);
  if (refusal.status == 403) {
    gate_.options().log({LogLevel::warning,
                         "origin_refused",
                         refusal.message,
                         {{"origin", std::string(request.origin)}, {"host", std::string(request.host)}}});
  }
  if (refusal.code == "capacity") gate_.note_connections_full(refusal.message);
  ++gate_.figures.upgrades_refused;
  refuse(refusal, Persistence::keep);
}

void HttpSession::accept(Upgrade upgrade) {
  handshake_ =
      "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ";
  handshake_ += upgrade.accept;
  if (upgrade.speaks_v1) handshake_ += "\r\nSec-WebSocket-Protocol: wsr.v1";
  handshake_ += "\r\n\r\n";
  if (has_peer_ended(socket_.native_handle())) {
    // It gave up while it waited, and may be connected elsewhere by now: a session must be able to say goodbye.
    return refuse({400, "bad_request", "a WebSocket needs both directions: this peer has shut down its sending side"},
                  Persistence::close);
  }
  if (upgrade.kind == Upgrade::Kind::chat) {
    // The time is taken now, not at the turn's beginning: a client that has two connections has made this one later.
    // And it is the time at which the client asked: if we have stood still meanwhile it may have asked another server
    // since.
    const Time asked_at = clock_now() - age_of_last_bytes(socket_.native_handle());
    return open_chat(upgrade.client ? *upgrade.client : gate_.make_guest(), asked_at, Duration{0});
  }
  set_deadline(gate_.options().handshake_within);
  asio::async_write(socket_, asio::buffer(handshake_),
                    [self = shared_from_this(), room = upgrade.room](error_code error, std::size_t) {
                      if (self->phase_ != Phase::answering) return;
                      if (error) return self->drop();
                      const auto leftover = self->hand_over();
                      auto& gate = self->gate_;
                      if (room.is_empty()) {
                        return gate.open_echo(std::move(self->socket_), std::move(self->permit_), leftover);
                      }
                      gate.open_watch(std::move(self->socket_), std::move(self->permit_), room, leftover);
                    });
}

void HttpSession::open_chat(const ClientId& client, Time asked_at, Duration waited) {
  // A name that is fought over gets its next connection only when its bucket has a token (connect_rates.hpp).
  const auto wait = gate_.shared().connects.wait(client.view(), clock_now());
  if (wait.count() == 0) {
    // Written by the connection, once the claim is answered.
    const auto leftover = hand_over();
    return gate_.open_chat(std::move(socket_), std::move(permit_), client, asked_at, handshake_, leftover);
  }
  if (waited + wait > ConnectRates::wait_max) {
    ++gate_.figures.connects_refused;
    ++gate_.figures.upgrades_refused;
    return refuse(gate_.shared().connects.refusal_of_fight(client.view(), wait), Persistence::keep);
  }
  if (waited.count() == 0) ++gate_.figures.takeovers_braked;
  if (!brake_) brake_.emplace(socket_.get_executor());
  brake_->expires_after(wait);
  brake_->async_wait([self = shared_from_this(), client, asked_at, waited = waited + wait](error_code error) {
    if (error || self->phase_ != Phase::answering) return;
    // Who has given up meanwhile takes nobody's place.
    if (has_peer_ended(self->socket_.native_handle())) return self->drop();
    self->open_chat(client, asked_at, waited);
  });
}

std::string_view HttpSession::hand_over() {
  leave();
  return pending_;
}

// ---------------------------------------------------------------- out

void HttpSession::refuse(const Refusal& refusal, Persistence persistence) {
  HttpResponse response;
  response.status = refusal.status;
  if (refusal.status == 405) response.allow = "GET";
  if (refusal.status == 503) response.retry_after = retry_after;
  if (refusal.retry_after.count() > 0)
    response.retry_after = std::chrono::ceil<std::chrono::seconds>(refusal.retry_after);
  response.body = error_json(refusal.code, refusal.message, refusal.retry_after);
  answer(std::move(response), persistence);
}

void HttpSession::refuse_for_memory() {
  gate_.note_memory_full("an HTTP request or its answer");
  refuse({503, "capacity", "this server's memory budget (--memory-max) is used up: try again"}, Persistence::close);
}

void HttpSession::answer(HttpResponse response, Persistence persistence) {
  phase_ = Phase::answering;
  set_deadline(gate_.options().handshake_within);  // a peer that does not read its answer goes
  const bool goes_on = persistence == Persistence::keep && keeps_alive_ && !gate_.shared().is_draining;
  head_out_ = http_head(response, !goes_on     ? Persistence::close
                                  : is_http10_ ? Persistence::keep_told
                                               : Persistence::keep);
  body_out_ = is_head_ ? std::string() : std::move(response.body);
  charge();
  if (is_above_share() && body_out_.size() > share_bytes_min) return refuse_for_memory();
  const std::array<asio::const_buffer, 2> out{asio::buffer(head_out_), asio::buffer(body_out_)};
  asio::async_write(socket_, out, [self = shared_from_this(), goes_on](error_code error, std::size_t) {
    if (self->phase_ != Phase::answering) return;
    if (error) return self->drop();
    self->head_out_ = {};
    self->body_out_ = {};
    if (!goes_on) return self->linger();
    self->read_request();
  });
}

void HttpSession::linger() {
  // Closing with unread bytes resets the connection, and the reset may overtake the answer.
  if (phase_ != Phase::lingering) {
    phase_ = Phase::lingering;
    set_deadline(linger_max);
    reader_.reset();
    pending_ = {};
    charge();
    error_code ignored;
    socket_.shutdown(TcpSocket::shutdown_send, ignored);
    return wait_readable();
  }
  auto& buffer = gate_.read_buffer();
  const auto got = ::recv(socket_.native_handle(), buffer.data(), buffer.size(), MSG_DONTWAIT);
  const bool is_later = got < 0 && (errno == EINTR || errno == EAGAIN || errno == EWOULDBLOCK);
  if (got > 0 || is_later) return wait_readable();
  drop();
}

// ---------------------------------------------------------------- end

void HttpSession::drain() {
  if (phase_ == Phase::reading && reader_ && !reader_->has_begun()) drop();
}

bool HttpSession::has_unread_bytes() const {
  int unread = 0;
  // By the descriptor: what Asio's available() would throw or report is no reason to keep a socket.
  return ::ioctl(const_cast<TcpSocket&>(socket_).native_handle(), FIONREAD, &unread) == 0 && unread > 0;
}

HttpSession::Use HttpSession::use() const {
  if (phase_ == Phase::answering) return Use::answering;
  return phase_ == Phase::reading && reader_ && reader_->has_begun() ? Use::speaking : Use::silent;
}

void HttpSession::drop() {
  if (phase_ == Phase::gone) return;
  leave();
  error_code ignored;
  socket_.close(ignored);
  permit_.end();
}

void HttpSession::leave() {
  phase_ = Phase::gone;
  cancel();
  gate_.own_outbox_rules().budget.bytes -= std::exchange(charged_, 0);
  gate_.shard().touch();  // other shards are told at the end of the turn
  gate_.drop_session(*this);
}

void HttpSession::on_deadline(Time now) {
  if (const Time end = gate_.fresh(waiting_since_) + wait_max_; end > now) return gate_.wheel().set(*this, end);
  const auto self = shared_from_this();
  if (phase_ == Phase::reading && reader_->has_begun()) {
    error_code ignored;
    socket_.cancel(ignored);  // the wait that is under way ends with the phase
    return refuse({408, "timeout", "the request did not arrive in time"}, Persistence::close);
  }
  drop();
}

}  // namespace wsr::net
