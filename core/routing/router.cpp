#include "core/routing/router.hpp"

#include <algorithm>
#include <utility>
#include <vector>

#include "core/routing/admission.hpp"
#include "core/routing/audit.hpp"
#include "core/routing/delivery.hpp"
#include "core/routing/ownership.hpp"
#include "core/routing/room_channels.hpp"
#include "core/routing/room_fanout.hpp"
#include "core/routing/room_flow.hpp"
#include "core/routing/router_context.hpp"
#include "core/routing/send_flow.hpp"
#include "core/wire/client_protocol.hpp"

namespace wsr {

struct Router::State final : WordSink, OwnershipEvents, AdmissionEvents, RoomChannelEvents, RoomFlowEvents {
  State(const RouterOptions& options, Ports ports)
      : context{options,
                ports,
                OutboxRules{.bytes_max = options.limits.outbox_bytes_max,
                            .policy = options.limits.slow_policy,
                            .budget = {.bytes_max = options.limits.outboxes_bytes_max}},
                SessionTable(options.limits.sessions_max),
                {},
                StoreState::up},
        delivery(context),
        ownership(context, *this),
        flow(context, delivery, *this),
        admission(context, *this),
        channels(context, *this),
        rooms(context, delivery, admission, channels, *this),
        fanout(context, delivery, channels, rooms,
               [this](const ShardAddress& to, const Entry& entry) { flow.tell(to, entry); }),
        audit(context, rooms, ownership) {}

  // ---- what the parts report
  void on_word(const ReceiptWaiter& waiter, Word word, const ServerId& server) override {
    if (waiter.conn == ConnId{}) return context.ports.application.on_sent(waiter.ticket, Sent{word, server});
    Session* session = context.sessions.find(waiter.conn);
    if (session == nullptr) return;
    text.clear();
    append_result(text, waiter.id, state_of(word), reason_of(word));
    delivery.say(*session, text);
  }

  void on_kick(ConnId conn, CloseCode code, std::string_view reason) override {
    Session* session = context.sessions.find(conn);
    if (session == nullptr || session->phase == Session::Phase::closing) return;
    if (code == CloseCode::replaced) ++context.stats.displaced;
    delivery.close(*session, code, reason);
  }

  void on_room_entry(const ShardAddress& from, const Entry& entry) override {
    if (const auto* receipt = std::get_if<EntryRoomReceipt>(&entry)) return fanout.on_receipt(from, *receipt);
    if (const auto* command = std::get_if<EntryRoomCommand>(&entry)) return rooms.on_command(from, *command);
    if (const auto* answer = std::get_if<EntryRoomAnswer>(&entry)) return rooms.on_answer(*answer);
  }

  void on_displaced(const Attachment& at) override {
    flow.kick(at, CloseCode::replaced, "a newer connection of this client took over");
  }

  void on_claim_held(Session& session, const std::vector<RoomName>& room_names,
                     std::vector<Attachment> displaced) override {
    // Also of a client that was welcomed while the store did not answer: the roster has it in its rooms all the time.
    if (!std::exchange(session.has_been_held, true) && !room_names.empty()) {
      return rooms.restore(session, room_names, std::move(displaced));
    }
    for (const Attachment& at : displaced) on_displaced(at);
    if (std::exchange(session.are_rooms_due, false)) {
      rooms.reassert(session);
    } else if (context.options.policy == SessionPolicy::multi) {
      rooms.follow(session, room_names);
    }
    if (!rooms.is_restoring(session.id)) welcome(session);
  }

  void on_restored(Session& session, const std::vector<Attachment>& displaced) override {
    for (const Attachment& at : displaced) on_displaced(at);
    if (session.phase == Session::Phase::open) welcome(session);
  }

  void on_claim_postponed(Session& session) override {
    if (!rooms.is_restoring(session.id)) welcome(session);
  }

  void on_claim_refused(Session& session, Errc result, std::string_view detail) override {
    if (result == Errc::superseded) ++context.stats.displaced;
    const CloseCode code = result == Errc::superseded ? CloseCode::replaced
                           : result == Errc::capacity ? CloseCode::capacity
                                                      : CloseCode::internal_error;
    if (session.framing == Framing::raw) context.ports.application.on_owned(session.id, result, detail);
    delivery.close(session, code, detail);
  }

  void on_release_settled(ConnId conn, Errc result) override { rooms.on_released(conn, result); }

  void on_channel(LocalRoom& room, Errc result) override {
    rooms.on_channel(room, result);
    fanout.on_channel(room, result);
  }

  void tell(const ShardAddress& to, const Entry& entry) override { flow.tell(to, entry); }

  // ---- sessions
  void welcome(Session& session) {
    if (!session.outbox.is_held()) return;  // claimed again
    if (session.framing == Framing::raw) {
      delivery.begin(session, {});
      return context.ports.application.on_owned(session.id, Errc::ok, {});
    }
    const Attachment at{context.options.self.server, context.options.self.shard, session.id};
    std::vector<std::string_view> names;
    for (const std::uint32_t number : session.rooms) names.push_back(channels.rooms().at(number)->name.view());
    text.clear();
    append_welcome(text, session.client.view(), at.server.view(),
                   std::string_view(at.str()).substr(at.server.str().size() + 1), names);
    delivery.begin(session, Delivery::text_frame(text));
  }

  // ---- commands
  void carry_out(Session& session, const Command& command) {
    switch (command.op) {
      case Command::Op::ping:
        text.clear();
        append_ok(text, command.id.view());
        return delivery.say(session, text);
      case Command::Op::send:
        if (const auto to = ClientId::check(command.to.view()); to.code != Errc::ok) {
          return delivery.complain(session, command.id.view(), to_string(to.code), "\"to\": " + to.message);
        }
        return admission.submit(utterance(session, command, Utterance::Kind::send, command.to.view()));
      case Command::Op::join:
      case Command::Op::leave:
      case Command::Op::push:
      case Command::Op::members:
        break;
    }
    if (const auto room = RoomName::check(command.room.view()); room.code != Errc::ok) {
      return delivery.complain(session, command.id.view(), to_string(room.code), "\"room\": " + room.message);
    }
    if (command.op == Command::Op::join) return rooms.join(session, command);
    if (command.op == Command::Op::leave) return rooms.leave(session, command);
    if (command.op == Command::Op::members) return rooms.members(session, command);
    admission.submit(utterance(session, command, Utterance::Kind::push, command.room.view()));
  }

  static Utterance utterance(const Session& session, const Command& command, Utterance::Kind kind,
                             std::string_view target) {
    return Utterance{.kind = kind,
                     .conn = session.id,
                     .ticket = {},
                     .id = command.id.view(),
                     .from = session.client.view(),
                     .target = target,
                     .data = command.data,
                     .echo = command.echo ? Echo::yes : Echo::no,
                     .wait = command.id.is_set() ? Wait::for_word : Wait::not_at_all};
  }

  static std::optional<ReceiptWaiter> waiter_of(const Utterance& utterance) {
    if (utterance.wait == Wait::not_at_all) return std::nullopt;
    return ReceiptWaiter{.conn = utterance.conn, .ticket = utterance.ticket, .id = std::string(utterance.id)};
  }

  void on_admitted(const Utterance& said) override {
    if (said.kind == Utterance::Kind::push) return fanout.push(said);
    flow.submit(
        EntryMessage{
            .receipt = 0, .hops = 0, .is_copy = false, .from = said.from, .to = said.target, .data = said.data},
        waiter_of(said));
  }

  void on_refused(const Utterance& said, const Refused& refused) override {
    using Why = Refused::Why;
    if (refused.why == Why::client_rate) ++context.stats.rate_limited_client;
    if (refused.why == Why::room_rate) ++context.stats.rate_limited_room;
    if (refused.why == Why::forbidden) ++context.stats.room_denied;
    const Errc code = refused.why == Why::forbidden  ? Errc::forbidden
                      : refused.why == Why::capacity ? Errc::capacity
                                                     : Errc::rate_limited;
    const std::string sentence = refusal_sentence(said, refused);
    if (said.kind == Utterance::Kind::push && said.conn == ConnId{}) {
      return context.ports.application.on_pushed(
          said.ticket, RoomPushed{.result = code, .retry_after = refused.retry_after, .detail = sentence});
    }
    if (said.kind == Utterance::Kind::send) {
      flow.refuse(code == Errc::capacity ? Word::dropped_capacity : Word::dropped_rate_limited, waiter_of(said));
    }
    Session* session = context.sessions.find(said.conn);
    if (session == nullptr || session->phase == Session::Phase::closing) return;
    // A send that waits for its word has it by now, and only one limit can be meant.
    if (said.kind == Utterance::Kind::push || said.wait == Wait::not_at_all) {
      delivery.complain(*session, said.id, to_string(code), sentence);
    }
    if (code == Errc::rate_limited && context.limits().over_rate == Limits::OverRate::close) {
      delivery.close(*session, CloseCode::rate_limited, sentence);
    }
  }

  std::string refusal_sentence(const Utterance& said, const Refused& refused) const {
    using Why = Refused::Why;
    if (refused.why == Why::forbidden) return "this client may not push into this room";
    if (refused.why == Why::capacity) {
      return "this shard has " + std::to_string(context.limits().room_flows_max) +
             " messages waiting for their admission, its bound: try again in a moment";
    }
    const bool is_client = refused.why == Why::client_rate;
    const RateLimit& limit = is_client ? context.limits().client_rate : context.limits().room_rate;
    const auto wait_ms = std::chrono::ceil<std::chrono::milliseconds>(refused.retry_after).count();
    return std::string(is_client ? "the client's limit of "
                                 : "the limit of room " + std::string(said.target) + " of ") +
           std::to_string(limit.count) + " messages in " + std::to_string(limit.window.count()) +
           " ms is reached: try again in " + std::to_string(wait_ms) + " ms";
  }

  RouterContext context;
  Delivery delivery;
  Ownership ownership;
  SendFlow flow;
  Admission admission;
  RoomChannels channels;
  RoomFlow rooms;
  RoomFanout fanout;
  Audit audit;
  std::string text;  // an answer being written
};

Router::Router(const RouterOptions& options, Ports ports) : state_(std::make_unique<State>(options, ports)) {}
Router::~Router() = default;

Result<ConnId> Router::open(const ClientId& client, Framing framing, std::optional<StoreTime> accepted_at,
                            std::string_view preface) {
  auto& context = state_->context;
  Session* session = context.sessions.open(client, framing, context.outbox_rules);
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
  state_->audit.on_opened();
  return id;
}

void Router::text(ConnId conn, std::string_view json) {
  Session* session = state_->context.sessions.find(conn);
  if (session == nullptr || session->phase == Session::Phase::closing) return;
  const auto parsed = parse_command(json);
  if (const auto* command = std::get_if<Command>(&parsed)) return state_->carry_out(*session, *command);
  const auto& error = std::get<CommandError>(parsed);
  state_->delivery.complain(*session, error.id, error.code, error.message);
}

void Router::closed(ConnId conn) {
  Session* session = state_->context.sessions.find(conn);
  if (session == nullptr) return;
  ++state_->context.stats.closed;
  session->phase = Session::Phase::closing;
  state_->rooms.on_closed(*session);
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

void Router::join(Ticket ticket, const RoomName& room, const ClientId& client) {
  state_->rooms.join(ticket, room, client);
}

void Router::leave(Ticket ticket, const RoomName& room, const ClientId& client) {
  state_->rooms.leave(ticket, room, client);
}

void Router::push(Ticket ticket, const RoomName& room, const ClientId& from, std::string_view data, Echo echo,
                  Wait wait) {
  const std::size_t bytes_max = state_->context.limits().message_bytes_max;
  if (data.size() > bytes_max) {
    return state_->context.ports.application.on_pushed(
        ticket, RoomPushed{.result = Errc::too_big,
                           .detail = "the message has " + std::to_string(data.size()) + " bytes, the limit is " +
                                     std::to_string(bytes_max) + ": send less, or raise --message-max"});
  }
  state_->admission.submit(Utterance{.kind = Utterance::Kind::push,
                                     .conn = {},
                                     .ticket = ticket,
                                     .id = {},
                                     .from = from.view(),
                                     .target = room.view(),
                                     .data = data,
                                     .echo = echo,
                                     .wait = wait});
}

void Router::watch(const RoomName& room) { state_->fanout.watch(room); }
void Router::unwatch(const RoomName& room) { state_->fanout.unwatch(room); }

void Router::kick(const Attachment& at, CloseCode code, std::string_view reason) {
  state_->flow.kick(at, code, reason);
}

void Router::on_answer(Ticket ticket, Answer&& answer) {
  const Call call = Call::of(ticket);
  const bool is_room = call.kind == CallKind::room;
  auto& state = *state_;
  if (auto* published = std::get_if<Published>(&answer)) {
    return is_room ? state.fanout.on_published(call.number, *published)
                   : state.flow.on_published(call.number, *published);
  }
  if (auto* owners = std::get_if<Owners>(&answer)) {
    return is_room ? state.rooms.on_owners(call.number, *owners)
                   : state.flow.on_owners(call.number, std::move(*owners));
  }
  if (auto* claimed = std::get_if<Claimed>(&answer)) {
    return state.ownership.on_claimed(call.number, std::move(*claimed));
  }
  if (auto* released = std::get_if<Released>(&answer)) {
    return call.kind == CallKind::audit ? state.audit.on_released(released->result)
                                        : state.ownership.on_released(call.number, *released);
  }
  if (auto* held = std::get_if<Held>(&answer)) return state.audit.on_held(call.number, *held);
  if (auto* joined = std::get_if<Joined>(&answer)) return state.rooms.on_joined(call.number, *joined);
  if (auto* left = std::get_if<Left>(&answer)) {
    return is_room ? state.rooms.on_left(call.number, *left) : state.rooms.on_dropped(call.number, *left);
  }
  if (auto* info = std::get_if<RoomInfo>(&answer)) return state.rooms.on_confirmed(call.number, *info);
  if (auto* page = std::get_if<RosterPage>(&answer)) return state.rooms.on_page(call.number, *page);
  if (auto* taken = std::get_if<Taken>(&answer)) return state.admission.on_taken(call.number, *taken);
  if (auto* subscribed = std::get_if<Subscribed>(&answer)) {
    return state.channels.on_subscribed(call.number, *subscribed);
  }
}

void Router::on_batch(std::string_view channel, std::string_view bytes) { state_->flow.on_batch(channel, bytes); }

void Router::on_room_event(std::string_view room, std::string_view bytes, std::uint32_t parts) {
  state_->fanout.on_event(room, bytes, parts);
}

void Router::on_authorized(Ticket ticket, Permission permission) {
  state_->admission.on_authorized(ticket, permission);
}

void Router::on_written(ConnId conn) {
  if (Session* session = state_->context.sessions.find(conn)) state_->delivery.tell_dropped(*session);
}

void Router::on_store_state(StoreState store) {
  state_->context.store = store;
  if (store == StoreState::down) return;
  state_->ownership.on_store_up();
  state_->flow.on_store_up();
  state_->rooms.on_store_up();
}

void Router::reassert() {
  state_->ownership.reassert();
  state_->audit.begin();
}

void Router::on_server_gone(const ServerId& server) { state_->flow.on_server_gone(server); }

void Router::end_turn() { state_->flow.flush(); }

std::optional<Time> Router::next_deadline() const {
  std::optional<Time> next;
  for (const auto& at :
       {state_->flow.next_deadline(), state_->ownership.next_deadline(), state_->admission.next_deadline(),
        state_->channels.next_deadline(), state_->rooms.next_deadline(), state_->fanout.next_deadline(),
        state_->audit.next_deadline()}) {
    if (at && (!next || *at < *next)) next = at;
  }
  return next;
}

void Router::on_time() {
  state_->ownership.on_time();
  state_->audit.on_time(state_->ownership.is_walking());
  state_->flow.on_time();
  state_->admission.on_time();
  state_->rooms.on_time();
  state_->fanout.on_time();
  state_->channels.on_time();  // last: it forgets rooms
}

OutboxBudget& Router::outbox_budget() { return state_->context.outbox_rules.budget; }

Stats Router::stats() const {
  Stats stats = state_->context.stats;
  stats.unfinished = stats.sent - std::min(stats.sent, sum(stats.words));
  stats.rooms = state_->channels.rooms().size();
  stats.memberships = state_->channels.rooms().memberships();
  return stats;
}

}  // namespace wsr
