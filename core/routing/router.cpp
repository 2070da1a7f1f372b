#include "core/routing/router.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "core/routing/ownership.hpp"
#include "core/routing/router_context.hpp"
#include "core/routing/send_flow.hpp"
#include "core/wire/client_protocol.hpp"
#include "core/wire/ws_frame.hpp"

namespace wsr {

struct Router::State final : WordSink, OwnershipEvents {
  State(const RouterOptions& options, Ports ports)
      : context{options, ports, SessionTable(options.limits.sessions_max), {}, StoreState::up},
        ownership(context, *this),
        flow(context, *this) {}

  // ---- what the parts report
  void on_word(const ReceiptWaiter& waiter, Word word, const ServerId& server) override {
    if (waiter.conn == ConnId{}) return context.ports.application.on_sent(waiter.ticket, Sent{word, server});
    Session* session = context.sessions.find(waiter.conn);
    if (session == nullptr) return;
    text.clear();
    append_result(text, waiter.id, state_of(word), reason_of(word));
    say(*session);
  }

  void on_kick(ConnId conn, CloseCode code, std::string_view reason) override {
    Session* session = context.sessions.find(conn);
    if (session == nullptr || session->phase == Session::Phase::closing) return;
    if (code == CloseCode::replaced) ++context.stats.displaced;
    close(*session, code, reason);
  }

  void on_displaced(const Attachment& at) override {
    flow.kick(at, CloseCode::replaced, "a newer connection of this client took over");
  }

  void on_claim_settled(Session& session) override { welcome(session); }

  void on_claim_refused(Session& session, Errc result, std::string_view detail) override {
    if (result == Errc::superseded) ++context.stats.displaced;
    const CloseCode code = result == Errc::superseded ? CloseCode::replaced
                           : result == Errc::capacity ? CloseCode::capacity
                                                      : CloseCode::internal_error;
    if (session.framing == Framing::raw) context.ports.application.on_owned(session.id, result, detail);
    close(session, code, detail);
  }

  // ---- sessions
  void welcome(Session& session) {
    if (!session.outbox.is_held()) return;  // claimed again
    if (session.framing == Framing::raw) {
      begin(session, {});
      return context.ports.application.on_owned(session.id, Errc::ok, {});
    }
    const Attachment at{context.options.self.server, context.options.self.shard, session.id};
    text.clear();
    append_welcome(text, session.client.view(), at.server.view(),
                   std::string_view(at.str()).substr(at.server.str().size() + 1));
    begin(session, frame_of(text));
  }

  /// Lets the session's bytes go: the preface, `first`, then what has gathered since open().
  void begin(Session& session, Frame first) {
    if (!session.outbox.is_held()) return;
    const std::array<Frame, 2> frames{std::exchange(session.preface, {}), std::move(first)};
    if (session.outbox.begin(frames) == Outbox::Verdict::queued_first) context.ports.connections.wake(session.id);
  }

  static Frame frame_of(std::string_view json) {
    char header[ws_header_bytes_max];
    const std::size_t header_bytes = ws_write_header(WsOpcode::text, json.size(), header);
    return Frame::copy_of({header, header_bytes}, json);
  }

  /// Sends `text` to the session as one frame. A client that does not read its answers loses them, counted.
  void say(Session& session) {
    if (session.phase == Session::Phase::closing) return;
    const auto verdict = session.outbox.offer(frame_of(text));
    if (verdict == Outbox::Verdict::queued_first) context.ports.connections.wake(session.id);
    if (verdict == Outbox::Verdict::slow_consumer) ++context.stats.answers_dropped;
  }

  void complain(Session& session, std::string_view id, std::string_view code, std::string_view message) {
    ++context.stats.bad_frames;
    text.clear();
    append_error(text, id, code, message);
    say(session);
  }

  void close(Session& session, CloseCode code, std::string_view reason) {
    if (session.outbox.is_held()) {
      session.outbox.clear();  // never welcomed: it hears why it is closed, and nothing before that
      begin(session, {});
    }
    session.phase = Session::Phase::closing;
    context.ports.connections.close(session.id, static_cast<std::uint16_t>(code), reason);
  }

  // ---- commands
  void carry_out(Session& session, const Command& command) {
    switch (command.op) {
      case Command::Op::ping:
        text.clear();
        append_ok(text, command.id.view());
        return say(session);
      case Command::Op::send:
        return send(session, command);
    }
  }

  void send(Session& session, const Command& command) {
    if (const auto to = ClientId::check(command.to.view()); to.code != Errc::ok) {
      return complain(session, command.id.view(), to_string(to.code), "\"to\": " + to.message);
    }
    std::optional<ReceiptWaiter> waiter;
    if (command.id.is_set()) {
      waiter = ReceiptWaiter{.conn = session.id, .ticket = {}, .id = std::string(command.id.view())};
    }
    flow.submit(EntryMessage{.receipt = 0,
                             .hops = 0,
                             .is_copy = false,
                             .from = session.client.view(),
                             .to = command.to.view(),
                             .data = command.data},
                std::move(waiter));
  }

  RouterContext context;
  Ownership ownership;
  SendFlow flow;
  std::string text;  // an answer being written
};

Router::Router(const RouterOptions& options, Ports ports) : state_(std::make_unique<State>(options, ports)) {}
Router::~Router() = default;

Result<ConnId> Router::open(const ClientId& client, Framing framing, std::optional<StoreTime> accepted_at,
                            std::string_view preface) {
  auto& context = state_->context;
  Session* session = context.sessions.open(client, framing, context.limits().outbox_bytes_max);
  if (session == nullptr) {
    return Error{Errc::capacity, "this shard holds " + std::to_string(context.limits().sessions_max) +
                                     " connections, its bound: raise --connections-max or add a server"};
  }
  ++context.stats.opened;
  const ConnId id = session->id;
  session->accepted_at = accepted_at.value_or(context.ports.clock.store_now());
  session->clock_error = 2 * context.ports.clock.store_error();  // ours and the other server's
  session->preface = Frame::copy_of(preface);
  session->outbox.hold();
  state_->flow.on_client_here(client.view());
  state_->ownership.claim(*session);
  return id;
}

void Router::text(ConnId conn, std::string_view json) {
  Session* session = state_->context.sessions.find(conn);
  if (session == nullptr || session->phase == Session::Phase::closing) return;
  const auto parsed = parse_command(json);
  if (const auto* command = std::get_if<Command>(&parsed)) return state_->carry_out(*session, *command);
  const auto& error = std::get<CommandError>(parsed);
  state_->complain(*session, error.id, error.code, error.message);
}

void Router::closed(ConnId conn) {
  Session* session = state_->context.sessions.find(conn);
  if (session == nullptr) return;
  ++state_->context.stats.closed;
  state_->ownership.release(*session);
  state_->context.sessions.close(*session);
}

Outbox* Router::outbox(ConnId conn) {
  Session* session = state_->context.sessions.find(conn);
  return session == nullptr ? nullptr : &session->outbox;
}

std::size_t Router::connection_count() const { return state_->context.sessions.size(); }

void Router::send(Ticket ticket, const ClientId& from, const ClientId& to, std::string_view data, Wait wait) {
  std::optional<ReceiptWaiter> waiter;
  if (wait == Wait::for_word) waiter = ReceiptWaiter{.conn = {}, .ticket = ticket, .id = {}};
  state_->flow.submit(
      EntryMessage{.receipt = 0, .hops = 0, .is_copy = false, .from = from.view(), .to = to.view(), .data = data},
      std::move(waiter));
}

void Router::kick(const Attachment& at, CloseCode code, std::string_view reason) {
  state_->flow.kick(at, code, reason);
}

void Router::on_answer(Ticket ticket, Answer&& answer) {
  const Call call = Call::of(ticket);
  if (auto* published = std::get_if<Published>(&answer)) return state_->flow.on_published(call.number, *published);
  if (auto* owners = std::get_if<Owners>(&answer)) return state_->flow.on_owners(call.number, std::move(*owners));
  if (auto* claimed = std::get_if<Claimed>(&answer)) {
    return state_->ownership.on_claimed(call.number, std::move(*claimed));
  }
  if (auto* released = std::get_if<Released>(&answer)) return state_->ownership.on_released(call.number, *released);
}

void Router::on_batch(std::string_view channel, std::string_view bytes) { state_->flow.on_batch(channel, bytes); }

void Router::on_store_state(StoreState store) {
  state_->context.store = store;
  if (store == StoreState::down) return;
  state_->ownership.on_store_up();
  state_->flow.on_store_up();
}

void Router::reassert() { state_->ownership.reassert(); }

void Router::on_server_gone(const ServerId& server) { state_->flow.on_server_gone(server); }

void Router::end_turn() { state_->flow.flush(); }

std::optional<Time> Router::next_deadline() const {
  const auto flow = state_->flow.next_deadline();
  const auto ownership = state_->ownership.next_deadline();
  if (!flow || !ownership) return flow ? flow : ownership;
  return std::min(*flow, *ownership);
}

void Router::on_time() {
  state_->ownership.on_time();
  state_->flow.on_time();
}

Stats Router::stats() const {
  Stats stats = state_->context.stats;
  stats.unfinished = stats.sent - std::min(stats.sent, sum(stats.words));
  return stats;
}

}  // namespace wsr
