#include "core/net/connection.hpp"

#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>
#include <utility>

#include "core/net/gate.hpp"
#include "core/wire/client_protocol.hpp"

namespace wsr::net {
namespace {

constexpr std::size_t reads_per_turn_max = 4;  // of read_buffer_bytes each
constexpr std::size_t pieces_max = 64;         // of one gather write
constexpr Duration goodbye_look_every = std::chrono::milliseconds{500};
constexpr std::size_t share_bytes_min = 1024;  // as of an outbox
// From a message's first piece to its last: a slow phone's 32 KiB a second, and half a minute beside it.
constexpr Duration piece_wait = std::chrono::seconds{30};
constexpr std::size_t slow_bytes_per_second = 32 * 1024;

}  // namespace

Connection::Connection(Gate& gate, TcpSocket socket, ConnId conn)
    : gate_(gate),
      socket_(std::move(socket)),
      conn_(conn),
      parser_(WsRole::server, gate.options().limits.message_bytes_max) {
  heard_at_ = spoken_at_ = ping_at_ = gate.shard().now();
}

Connection::Connection(Gate& gate, TcpSocket socket, Role role) : Connection(gate, std::move(socket), ConnId{}) {
  role_ = role;
  own_outbox_ = std::make_unique<Outbox>(gate.own_outbox_rules());
}

Outbox* Connection::outbox() { return own_outbox_ ? own_outbox_.get() : gate_.shard().router().outbox(conn_); }

void Connection::start(std::string_view leftover) {
  error_code ignored;
  socket_.non_blocking(true, ignored);
  if (phase_ == Phase::open) arm_liveness();
  auto& buffer = gate_.read_buffer();
  while (!leftover.empty() && !is_gone()) {
    const std::size_t held = partial_bytes_;
    const std::size_t piece = std::min(leftover.size(), buffer.size() - held);
    std::memcpy(buffer.data(), partial_.data(), held);
    std::memcpy(buffer.data() + held, leftover.data(), piece);
    leftover.remove_prefix(piece);
    gate_.figures.bytes_in += piece;
    take({buffer.data(), held + piece});
  }
  if (!is_gone()) wait_readable();
}

// ---------------------------------------------------------------- in

void Connection::wait_readable() {
  ++handlers_;
  socket_.async_wait(TcpSocket::wait_read, [this](error_code) {
    --handlers_;
    if (is_gone()) return gate_.shard().touch();  // reaped at the end of the turn
    on_readable();
  });
}

void Connection::on_readable() {
  gate_.shard().touch();
  auto& buffer = gate_.read_buffer();
  for (std::size_t reads = 0; reads < reads_per_turn_max; ++reads) {
    const std::size_t held = partial_bytes_;
    std::memcpy(buffer.data(), partial_.data(), held);
    const auto room = buffer.size() - held;
    const auto got = ::recv(socket_.native_handle(), buffer.data() + held, room, MSG_DONTWAIT);
    if (got == 0) return on_peer_end();
    if (got < 0) {
      if (errno == EINTR) continue;
      if (errno == EAGAIN || errno == EWOULDBLOCK) break;
      return drop();
    }
    gate_.figures.bytes_in += static_cast<std::uint64_t>(got);
    heard_at_ = gate_.shard().now();
    deafness_ = Deafness::none;
    take({buffer.data(), held + static_cast<std::size_t>(got)});
    if (is_gone()) return;
    if (static_cast<std::size_t>(got) < room) break;
  }
  wait_readable();
}

void Connection::on_peer_end() {
  has_peer_ended_ = true;
  if (phase_ == Phase::closing) phase_ = Phase::answered;  // without its close frame; it may still read ours
  if (phase_ == Phase::open) {
    // A half-close cannot be told from a close: it gets its answers and a close frame, and nothing else. Whether an
    // answer was written before the end was seen is chance, so the close frame does not depend on it.
    end_session(has_answers_due() ? Router::Answers::due_after_moves : Router::Answers::none);
    phase_ = Phase::answering;
    begin_goodbye();
  }
  gate_.wake_connection(*this);
}

void Connection::take(std::span<char> bytes) {
  partial_bytes_ = 0;
  while (!bytes.empty()) {
    if (phase_ != Phase::open && phase_ != Phase::closing) return;  // nothing it says matters any more
    const auto event = parser_.next(bytes);
    bytes = bytes.subspan(event.consumed);
    // A message has come to its end: what follows has the time of a message of its own.
    if (event.kind == WsEvent::Kind::text || event.kind == WsEvent::Kind::binary)
      unfinished_since_ = gate_.shard().now();
    if (event.kind == WsEvent::Kind::need_more) break;
    on_event(event);
  }
  // A message that came in pieces has been handed on: the parser lets go of its memory when it is asked again.
  if (bytes.empty() && parser_.held_bytes() != 0) (void)parser_.next(bytes);
  // The parser leaves less than one frame header: it takes payload bytes in as they come.
  partial_bytes_ = static_cast<std::uint8_t>(std::min(bytes.size(), partial_.size()));
  std::memcpy(partial_.data(), bytes.data(), partial_bytes_);
  charge_unfinished();
}

/// What has come of a message counts in the memory budget, and must come to its end in time.
void Connection::charge_unfinished() {
  const std::size_t held = parser_.held_bytes();
  if (held == charged_) return;
  auto& budget = gate_.own_outbox_rules().budget;
  budget.bytes += held - charged_;  // wraps when it shrinks
  const bool has_begun = charged_ == 0;
  charged_ = held;
  if (phase_ != Phase::open) return;
  if (has_begun) {
    unfinished_since_ = gate_.shard().now();
    arm_liveness();
  }
  if (!budget.is_exceeded()) return;
  // Half of an equal share, as of an HTTP request.
  const std::size_t share = budget.bytes_max / std::max<std::size_t>(gate_.shared().sockets.open(), 1) / 2;
  if (held > std::max(share, share_bytes_min)) {
    gate_.note_memory_full("a WebSocket message that was not complete");
    give_up(CloseCode::try_again_later, "this server's memory budget is used up: send the message again later");
  }
}

/// Ends a connection in the middle of a message: what has come of it goes at once, and what still comes is read over.
void Connection::give_up(CloseCode code, std::string_view reason) {
  close(code, reason);
  if (phase_ != Phase::closing) return;
  phase_ = Phase::failed;
  parser_ = WsParser(WsRole::server, gate_.options().limits.message_bytes_max);
  gate_.own_outbox_rules().budget.bytes -= std::exchange(charged_, 0);
}

Duration Connection::message_within() const {
  const auto seconds = gate_.options().limits.message_bytes_max / slow_bytes_per_second;
  return piece_wait + std::chrono::seconds{static_cast<std::int64_t>(seconds)};
}

void Connection::on_event(const WsEvent& event) {
  using Kind = WsEvent::Kind;
  if (event.kind != Kind::pong) spoken_at_ = heard_at_;
  if (phase_ == Phase::closing && event.kind != Kind::close && event.kind != Kind::error) return;
  switch (event.kind) {
    case Kind::need_more:
    case Kind::pong:
      return;
    case Kind::text:
      if (role_ == Role::client) return gate_.shard().further_input().text(conn_, event.payload);
      if (role_ == Role::mute) return;
      return say(WsOpcode::text, event.payload, Courtesy::due);
    case Kind::binary: {
      if (role_ == Role::mute) return;
      if (role_ == Role::echo) return say(WsOpcode::binary, event.payload, Courtesy::due);
      std::string error;
      append_error(error, {}, "bad_request", "wsr.v1 speaks JSON: send text frames, not binary ones");
      return say(WsOpcode::text, error, Courtesy::optional);
    }
    case Kind::ping:
      return say(WsOpcode::pong, event.payload, Courtesy::optional);
    case Kind::close:
      return on_close_frame(event);
    case Kind::error:
      if (phase_ == Phase::open) {
        end_session();
        say(WsOpcode::close, ws_close_payload(event.code, event.payload), Courtesy::due);
        begin_goodbye();
      }
      phase_ = Phase::failed;
  }
}

void Connection::on_close_frame(const WsEvent& event) {
  if (phase_ == Phase::closing) {  // the answer to ours
    phase_ = Phase::answered;
  } else {
    end_session(Router::Answers::due);
    echo_ = event.code;
    phase_ = Phase::answering;
    begin_goodbye();
  }
  gate_.wake_connection(*this);
}

// ---------------------------------------------------------------- out

void Connection::say(WsOpcode opcode, std::string_view payload, Courtesy courtesy) {
  auto* box = outbox();
  if (box == nullptr) return;
  if (courtesy == Courtesy::optional && box->is_full()) return;
  char header[ws_header_bytes_max];
  const auto header_bytes = ws_write_header(opcode, payload.size(), header);
  auto frame = Frame::copy_of({header, header_bytes}, payload);
  const bool is_data = opcode == WsOpcode::text || opcode == WsOpcode::binary;
  if (is_data) {
    // Counted there if it does not fit; told in flush().
    if (box->offer(std::move(frame), Topic::direct) == Outbox::Verdict::slow_consumer) {
      ++gate_.figures.slow_dropped;
      return;
    }
  } else {
    (void)box->offer_control(std::move(frame));
  }
  gate_.wake_connection(*this);
}

void Connection::flush() {
  if (is_gone() || is_waiting_writable_) return;
  auto* box = outbox();
  if (box != nullptr && box->is_held()) return;  // not before the claim is answered
  while (box != nullptr && !box->is_empty()) {
    std::array<std::string_view, pieces_max> pieces;
    std::array<iovec, pieces_max> vectors;
    const auto count = box->gather(pieces);
    for (std::size_t i = 0; i < count; ++i) {
      vectors[i] = iovec{const_cast<char*>(pieces[i].data()), pieces[i].size()};
    }
    msghdr message{};
    message.msg_iov = vectors.data();
    message.msg_iovlen = count;
    const auto written = ::sendmsg(socket_.native_handle(), &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (written < 0) {
      if (errno == EINTR) continue;
      if (errno == EAGAIN || errno == EWOULDBLOCK) return wait_writable();
      return drop();
    }
    ++gate_.figures.writes;
    gate_.figures.bytes_out += static_cast<std::uint64_t>(written);
    box->taken(static_cast<std::size_t>(written));
    if (box->is_tell_due()) tell_dropped();
  }
  finish_if_written();
}

void Connection::tell_dropped() {
  if (role_ == Role::client) return gate_.shard().input().on_written(conn_);
  const auto count = own_outbox_->take_dropped();
  if (role_ != Role::mute || phase_ != Phase::open) return;
  std::string text;
  append_dropped(text, count, "slow_consumer");
  tell(text);
}

void Connection::tell(std::string_view json) {
  if (phase_ == Phase::open) say(WsOpcode::text, json, Courtesy::due);
}

void Connection::wait_writable() {
  ++handlers_;
  is_waiting_writable_ = true;
  socket_.async_wait(TcpSocket::wait_write, [this](error_code) {
    --handlers_;
    is_waiting_writable_ = false;
    deafness_ = Deafness::none;  // it reads, however slowly: our ping may still stand in its queue
    if (is_gone()) return gate_.shard().touch();
    gate_.wake_connection(*this);
  });
}

void Connection::finish_if_written() {
  if (phase_ == Phase::answering && !has_answers_due()) return give_last_frame();
  if (phase_ == Phase::answered) return drop();
  if (phase_ != Phase::failed) return;
  if (has_peer_ended_) return drop();
  error_code ignored;
  socket_.shutdown(TcpSocket::shutdown_send, ignored);  // the peer's end is read in on_readable()
}

// ---------------------------------------------------------------- end and deadlines

void Connection::end_session(Router::Answers answers) {
  if (role_ != Role::client) return;
  gate_.shard().touch();
  gate_.shard().router().ending(conn_, answers);
  if (!std::exchange(is_forgotten_, true)) gate_.shard().forget(conn_);
}

bool Connection::has_answers_due() { return role_ == Role::client && gate_.shard().router().answers_due(conn_) != 0; }

void Connection::give_last_frame() {
  end_session();
  say(WsOpcode::close, echo_ == CloseCode::no_status ? std::string{} : ws_close_payload(echo_, {}), Courtesy::due);
  phase_ = Phase::answered;
  begin_goodbye();
}

void Connection::close(CloseCode code, std::string_view reason) {
  if (phase_ == Phase::answering) {  // on its way out already: no answer is to come any more
    if (has_peer_ended_) echo_ = code;
    end_session();
    return gate_.wake_connection(*this);
  }
  if (phase_ != Phase::open) return;
  end_session();
  phase_ = Phase::closing;
  parser_.discard_data();
  charge_unfinished();
  if (!lets_queue_go_first(code)) {
    flush();  // what the kernel takes now was on its way
    if (is_gone()) return;
    if (role_ == Role::client) gate_.shard().router().drop_queue(conn_);
    if (own_outbox_) (void)own_outbox_->cut();
  }
  say(WsOpcode::close, ws_close_payload(code, reason), Courtesy::due);
  begin_goodbye();
}

void Connection::close_now(CloseCode code, std::string_view reason) {
  close(code, reason);
  flush();
  drop();
}

void Connection::drop() {
  if (is_gone()) return;
  end_session();  // in this turn already nobody is told `delivered` for it
  phase_ = Phase::gone;
  cancel();
  gate_.own_outbox_rules().budget.bytes -= std::exchange(charged_, 0);
  error_code ignored;
  socket_.close(ignored);  // its waits end with an error and count themselves out
  gate_.bury(*this);
}

void Connection::begin_goodbye() {
  ping_at_ = moved_at_ = clock_now();
  goodbye_bytes_ = unsent_bytes();
  gate_.wheel().set(*this, ping_at_ + goodbye_look_every);
}

std::size_t Connection::unsent_bytes() {
  int unacknowledged = 0;
  if (::ioctl(socket_.native_handle(), TIOCOUTQ, &unacknowledged) != 0) unacknowledged = 0;
  const auto* box = outbox();
  return static_cast<std::size_t>(std::max(unacknowledged, 0)) + (box == nullptr ? 0 : box->bytes());
}

void Connection::look_at_goodbye(Time now) {
  const auto left = unsent_bytes();
  if (left != goodbye_bytes_) moved_at_ = now;
  goodbye_bytes_ = left;
  if (phase_ == Phase::answering && now - gate_.fresh(ping_at_) >= answers_max) return give_last_frame();
  // A reader that is only slow gets the whole of a drain, which ends all that is left then.
  const bool is_judged = left == 0 || !gate_.shared().is_draining;
  const auto quiet_max = phase_ == Phase::answering ? answers_max : left == 0 ? answer_within : goodbye_stall_max;
  if (is_judged && (now - gate_.fresh(moved_at_) >= quiet_max || now - gate_.fresh(ping_at_) >= goodbye_max))
    return drop();
  gate_.wheel().set(*this, now + goodbye_look_every);
}

Time Connection::quiet_since() const { return std::max(ping_at_, heard_at_); }

void Connection::arm_liveness() {
  const auto& options = gate_.options();
  std::optional<Time> next;
  const auto at = [&next](Time deadline) { next = next ? std::min(*next, deadline) : deadline; };
  if (deafness_ == Deafness::ping_sent) {
    at(gate_.fresh(ping_at_) + options.pong_within);
  } else if (options.ping_every.count() > 0) {
    at(quiet_since() + options.ping_every);
  }
  if (options.idle_after.count() > 0) at(gate_.fresh(spoken_at_) + options.idle_after);
  if (charged_ != 0) at(gate_.fresh(unfinished_since_) + message_within());
  if (next) gate_.wheel().set(*this, *next);
}

void Connection::on_deadline(Time now) {
  gate_.shard().touch();
  if (phase_ != Phase::open) return look_at_goodbye(now);
  const auto& options = gate_.options();
  if (deafness_ == Deafness::ping_sent && now >= gate_.fresh(ping_at_) + options.pong_within) return drop();
  if (options.idle_after.count() > 0 && now >= gate_.fresh(spoken_at_) + options.idle_after) {
    return close(CloseCode::idle, "nothing heard for too long");
  }
  if (charged_ != 0 && now >= gate_.fresh(unfinished_since_) + message_within()) {
    return give_up(CloseCode::policy, "a message was not completed in time");
  }
  if (deafness_ == Deafness::none && options.ping_every.count() > 0 && now >= quiet_since() + options.ping_every) {
    say(WsOpcode::ping, {}, Courtesy::due);
    ping_at_ = now;
    deafness_ = Deafness::ping_sent;
  }
  arm_liveness();
}

}  // namespace wsr::net
