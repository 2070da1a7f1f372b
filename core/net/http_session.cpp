#include "core/net/http_session.hpp"

#include <boost/asio/buffer.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/write.hpp>
#include <utility>

#include "core/net/gate.hpp"
#include "core/net/peer_state.hpp"

namespace wsr::net {
namespace {

namespace http = boost::beast::http;

constexpr Duration linger_max = std::chrono::seconds{2};
constexpr std::string_view retry_after = "1";  // seconds; another server takes over at once

std::string_view text(boost::beast::string_view view) { return {view.data(), view.size()}; }

UpgradeRequest upgrade_request(const http::request<http::string_body>& request) {
  return UpgradeRequest{.method = text(request.method_string()),
                        .target = text(request.target()),
                        .version = request.version(),
                        .host = text(request[http::field::host]),
                        .origin = text(request[http::field::origin]),
                        .connection = text(request[http::field::connection]),
                        .upgrade = text(request[http::field::upgrade]),
                        .ws_version = text(request[http::field::sec_websocket_version]),
                        .ws_key = text(request[http::field::sec_websocket_key]),
                        .ws_protocol = text(request[http::field::sec_websocket_protocol])};
}

}  // namespace

void HttpSession::start(Gate& gate, TcpSocket socket, SocketPermit permit) {
  auto session = std::make_shared<HttpSession>(gate, std::move(socket), std::move(permit));
  gate.take_session(*session);
  session->read_request();
}

void HttpSession::turn_away(Gate& gate, TcpSocket socket, SocketPermit permit, const Refusal& refusal) {
  auto session = std::make_shared<HttpSession>(gate, std::move(socket), std::move(permit));
  gate.take_session(*session);
  session->refuse(refusal, Persistence::close);
}

HttpSession::HttpSession(Gate& gate, TcpSocket socket, SocketPermit permit)
    : gate_(gate), socket_(std::move(socket)), permit_(std::move(permit)) {}

HttpSession::~HttpSession() = default;

void HttpSession::set_deadline(Duration after) { gate_.wheel().set(*this, clock_now() + after); }

// ---------------------------------------------------------------- in

void HttpSession::read_request() {
  phase_ = Phase::reading;
  reading_since_ = clock_now();
  gate_.note_reading(*this);
  parser_.emplace();
  parser_->header_limit(static_cast<std::uint32_t>(gate_.options().header_bytes_max));
  parser_->body_limit(gate_.options().body_bytes_max);
  set_deadline(gate_.options().handshake_within);
  http::async_read_header(socket_, buffer_, *parser_, [self = shared_from_this()](error_code error, std::size_t) {
    if (self->phase_ != Phase::reading) return;
    if (error) return self->on_read_error(error);
    self->read_body();
  });
}

void HttpSession::read_body() {
  if (parser_->is_done()) return on_request();
  auto body = [self = shared_from_this()](error_code error, std::size_t) {
    if (self->phase_ != Phase::reading) return;
    if (error) return self->on_read_error(error);
    self->on_request();
  };
  if (!boost::beast::iequals(parser_->get()[http::field::expect], "100-continue")) {
    return http::async_read(socket_, buffer_, *parser_, std::move(body));
  }
  static constexpr std::string_view go_on = "HTTP/1.1 100 Continue\r\n\r\n";
  asio::async_write(socket_, asio::buffer(go_on),
                    [self = shared_from_this(), body = std::move(body)](error_code error, std::size_t) mutable {
                      if (self->phase_ != Phase::reading) return;
                      if (error) return self->drop();
                      http::async_read(self->socket_, self->buffer_, *self->parser_, std::move(body));
                    });
}

void HttpSession::on_read_error(error_code error) {
  if (error == http::error::header_limit) {
    return refuse({431, "too_big", "the request's head is above the limit"}, Persistence::close);
  }
  if (error == http::error::body_limit) {
    return refuse({413, "too_big", "the request's body is above the limit"}, Persistence::close);
  }
  if (error.category() == http::make_error_code(http::error::end_of_stream).category() &&
      error != http::error::end_of_stream && error != http::error::partial_message) {
    return refuse({400, "bad_request", "this is not HTTP/1.1: " + error.message()}, Persistence::close);
  }
  drop();
}

void HttpSession::on_request() {
  phase_ = Phase::answering;
  cancel();
  ++gate_.figures.http_requests;
  const auto& request = parser_->get();
  keeps_alive_ = request.keep_alive();
  is_head_ = request.method() == http::verb::head;
  auto& shared = gate_.shared();
  const UpgradeRules rules{.origins = gate_.options().origins,
                           .has_echo = gate_.options().echo,
                           .is_draining = shared.is_draining,
                           .is_full = shared.websockets >= shared.connections_max};
  const auto wanted = upgrade_request(request);
  if (is_upgrade(wanted, rules)) return route_upgrade(wanted, rules);
  const HttpRequest call{.method = is_head_ ? "GET" : wanted.method,
                         .target = wanted.target,
                         .body = request.body(),
                         .content_type = text(request[http::field::content_type])};
  gate_.shard().touch();
  gate_.api().handle(call, [self = shared_from_this()](HttpResponse made) {
    if (self->phase_ != Phase::answering) return;
    Response response{http::int_to_status(made.status), 11};
    response.result(made.status);
    response.set(http::field::content_type, made.content_type);
    if (!made.allow.empty()) response.set(http::field::allow, made.allow);
    if (made.retry_after) response.set(http::field::retry_after, std::to_string(made.retry_after->count()));
    response.body() = std::move(made.body);
    self->answer(std::move(response), Persistence::keep);
  });
}

// ---------------------------------------------------------------- upgrade

void HttpSession::route_upgrade(const UpgradeRequest& request, const UpgradeRules& rules) {
  auto decision = decide_upgrade(request, rules);
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
    return refuse({400, "bad_request", "a WebSocket needs both directions: this peer has shut down its own"},
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
                      if (room.is_empty()) {
                        return self->gate_.open_echo(std::move(self->socket_), std::move(self->permit_), leftover);
                      }
                      self->gate_.open_watch(std::move(self->socket_), std::move(self->permit_), room, leftover);
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
  phase_ = Phase::gone;
  cancel();
  gate_.drop_session(*this);
  const auto data = buffer_.data();
  return {static_cast<const char*>(data.data()), data.size()};
}

// ---------------------------------------------------------------- out

void HttpSession::refuse(const Refusal& refusal, Persistence persistence) {
  Response response{http::int_to_status(refusal.status), 11};
  response.result(refusal.status);
  response.set(http::field::content_type, "application/json");
  if (refusal.status == 426) {
    response.set(http::field::sec_websocket_version, "13");
    response.set(http::field::upgrade, "websocket");
    response.set(http::field::connection, "upgrade");
  }
  if (refusal.status == 405) response.set(http::field::allow, "GET");
  if (refusal.status == 503) response.set(http::field::retry_after, boost::beast::string_view(retry_after.data(), 1));
  if (refusal.retry_after.count() > 0) {
    const auto seconds = std::chrono::ceil<std::chrono::seconds>(refusal.retry_after).count();
    response.set(http::field::retry_after, std::to_string(seconds));
  }
  response.body() = error_json(refusal.code, refusal.message, refusal.retry_after);
  answer(std::move(response), persistence);
}

void HttpSession::answer(Response response, Persistence persistence) {
  phase_ = Phase::answering;
  set_deadline(gate_.options().handshake_within);  // a peer that does not read its answer goes
  const bool goes_on = persistence == Persistence::keep && keeps_alive_ && !gate_.shared().is_draining;
  response.prepare_payload();
  if (is_head_) response.body().clear();  // after Content-Length was set: HEAD tells the size only
  response_.emplace(std::move(response));
  if (!goes_on) response_->keep_alive(false);
  http::async_write(socket_, *response_, [self = shared_from_this(), goes_on](error_code error, std::size_t) {
    if (self->phase_ != Phase::answering) return;
    if (error) return self->drop();
    self->on_answered(goes_on ? Persistence::keep : Persistence::close);
  });
}

void HttpSession::on_answered(Persistence persistence) {
  response_.reset();
  if (persistence == Persistence::close) return linger();
  read_request();
}

void HttpSession::linger() {
  // Closing with unread bytes resets the connection, and the reset may overtake the answer.
  if (phase_ != Phase::lingering) {
    phase_ = Phase::lingering;
    set_deadline(linger_max);
    error_code ignored;
    socket_.shutdown(TcpSocket::shutdown_send, ignored);
  }
  buffer_.clear();
  socket_.async_read_some(buffer_.prepare(4096), [self = shared_from_this()](error_code error, std::size_t) {
    if (self->phase_ != Phase::lingering) return;
    if (error) return self->drop();
    self->linger();
  });
}

// ---------------------------------------------------------------- end

void HttpSession::drain() {
  if (phase_ == Phase::reading && buffer_.size() == 0 && !parser_->got_some()) drop();
}

HttpSession::Use HttpSession::use() const {
  if (phase_ == Phase::answering) return Use::answering;
  const bool has_spoken = phase_ == Phase::reading && (buffer_.size() != 0 || parser_->got_some());
  return has_spoken ? Use::speaking : Use::silent;
}

void HttpSession::drop() {
  if (phase_ == Phase::gone) return;
  phase_ = Phase::gone;
  cancel();
  error_code ignored;
  socket_.close(ignored);
  permit_.end();
  gate_.drop_session(*this);
}

void HttpSession::on_deadline(Time) {
  const auto self = shared_from_this();
  if (phase_ == Phase::reading && (buffer_.size() != 0 || parser_->got_some())) {
    // The read that is under way ends with the phase; its buffers live on in this session.
    error_code ignored;
    socket_.cancel(ignored);
    return refuse({408, "timeout", "the request did not arrive in time"}, Persistence::close);
  }
  drop();
}

}  // namespace wsr::net
