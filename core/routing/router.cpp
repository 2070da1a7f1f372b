#include "core/routing/router.hpp"

#include <algorithm>
#include <utility>
#include <variant>
#include <vector>

#include "core/base/overload.hpp"
#include "core/routing/admission.hpp"
#include "core/routing/audit.hpp"
#include "core/routing/delivery.hpp"
#include "core/routing/held_inputs.hpp"
#include "core/routing/ownership.hpp"
#include "core/routing/room_channels.hpp"
#include "core/routing/room_fanout.hpp"
#include "core/routing/room_flow.hpp"
#include "core/routing/router_context.hpp"
#include "core/routing/send_flow.hpp"
#include "core/routing/takeovers.hpp"
#include "core/wire/client_protocol.hpp"

namespace wsr {

namespace {

constexpr std::string_view replaced_reason = "a newer connection of this client took over";
constexpr std::string_view held_reason =
    "this server has stood still and is busy with what came meanwhile: try again in a second";

std::string rate_sentence(const RateLimit& limit, std::string_view what, std::chrono::microseconds retry_after) {
  const auto wait_ms = std::chrono::ceil<std::chrono::milliseconds>(retry_after).count();
  return std::to_string(limit.count) + " " + std::string(what) + " in " + std::to_string(limit.window.count()) +
         " ms is reached: try again in " + std::to_string(wait_ms) + " ms";
}

}  // namespace

struct Router::State final : WordSink,
                             OwnershipEvents,
                             TakeoverEvents,
                             AdmissionEvents,
                             RoomChannelEvents,
                             RoomFlowEvents {
  State(const RouterOptions& options, Ports ports)
      : context{options,
                ports,
                OutboxRules{.bytes_max = options.limits.outbox_bytes_max,
                            .policy = options.limits.slow_policy,
                            .budget = {.bytes_max = options.limits.outboxes_bytes_max},
                            .overhead = frame_overhead_bytes},
                SessionTable(options.limits.sessions_max),
                {},
                StoreState::up,
                {}},
        delivery(context),
        ownership(context, *this),
        takeovers(context, *this),
        flow(context, delivery, *this),
        admission(context, *this),
        channels(context, *this),
        rooms(context, delivery, admission, channels, *this),
        fanout(
            context, delivery, channels, rooms,
            [this](const ShardAddress& to, const Entry& entry) { flow.tell(to, entry); },
            [this](const ServerId& server) { return flow.leased_until(server); }),
        audit(context, rooms, ownership) {}

  // ---- what the parts report
  void on_word(const ReceiptWaiter& waiter, Word word, const ServerId& server) override {
    if (waiter.conn == ConnId{}) return context.ports.application.on_sent(waiter.ticket, Sent{word, server});
    Session* session = context.sessions.find(waiter.conn);
    if (session == nullptr) return;
    text.clear();
    append_result(text, waiter.id, state_of(word), reason_of(word));
    delivery.say(*session, text);
    delivery.answered(*session);
  }

  void on_kick(const ShardAddress& from, ConnId conn, CloseCode code, std::string_view reason,
               std::uint64_t receipt) override {
    Session* session = context.sessions.find(conn);
    if (session != nullptr && session->phase == Session::Phase::open) {
      if (code == CloseCode::replaced) ++context.stats.displaced;
      delivery.close(*session, code, reason);
    }
    // One that was just being brought back into its rooms has displaced others and not told them: now, before it
    // answers.
    if (session != nullptr && rooms.is_restoring(conn)) release(*session);
    if (receipt == 0) return;
    takeovers.answer_kick(conn, from, receipt,
                          ownership.is_claim_out(conn) ? Takeovers::Claim::asked : Takeovers::Claim::answered);
  }

  void on_kick_done(std::uint64_t receipt) override { takeovers.on_kick_done(receipt); }
  void on_unheard(const ServerId& server) override { takeovers.on_server_gone(server); }

  // ---- takeovers
  void send_kick(const Attachment& at, std::uint64_t receipt) override {
    flow.kick(at, CloseCode::replaced, replaced_reason, receipt);
  }
  void send_kick_done(const ShardAddress& to, std::uint64_t receipt) override {
    if (to == context.options.self) return takeovers.on_kick_done(receipt);
    flow.tell(to, EntryKickDone{receipt});
  }
  void prod(const ShardAddress& at) override { flow.prod(at); }
  [[nodiscard]] std::optional<Time> leased_until(const ServerId& server) const override {
    return flow.leased_until(server);
  }
  void on_taken_over(ConnId conn) override {
    ownership.release_now(conn);
    Session* session = context.sessions.find(conn);
    if (session != nullptr && session->phase == Session::Phase::open && !rooms.is_restoring(conn)) welcome(*session);
  }
  /// Tells those whom the claim of `conn` has displaced.
  void displace(ConnId conn, const std::vector<Attachment>& displaced) {
    if (context.options.policy == SessionPolicy::single) return takeovers.begin(conn, displaced);
    for (const Attachment& at : displaced) on_displaced(at);
  }

  void on_room_entry(const ShardAddress& from, const Entry& entry) override {
    std::visit(Overload{
                   [&](const EntryRoomReceipt& receipt) { fanout.on_receipt(from, receipt); },
                   [&](const EntryRoomCommand& command) { rooms.on_command(from, command); },
                   [&](const EntryRoomAnswer& answer) { rooms.on_answer(answer); },
                   // SendFlow's own.
                   Ignored<EntryMessage, EntryReturned, EntryReceipt, EntryAccountWanted, EntryAccount, EntryKick,
                           EntryProbe, EntryKickDone>{},
               },
               entry);
  }

  void on_displaced(const Attachment& at) override { flow.kick(at, CloseCode::replaced, replaced_reason); }

  void on_claim_held(Session& session, const std::vector<RoomName>& room_names,
                     std::vector<Attachment> displaced) override {
    // Also of a client that was welcomed while the store did not answer: the roster has it in its rooms all the time.
    if (!std::exchange(session.has_been_held, true) && !room_names.empty()) {
      return rooms.restore(session, room_names, std::move(displaced));
    }
    displace(session.id, displaced);
    if (std::exchange(session.are_rooms_due, false)) {
      rooms.reassert(session);
    } else if (context.options.policy == SessionPolicy::multi) {
      rooms.follow(session, room_names);
    }
    welcome_if_due(session);
  }

  void on_restored(Session& session, const std::vector<Attachment>& displaced) override {
    displace(session.id, displaced);
    welcome_if_due(session);
  }

  void on_late_claim(ConnId conn, std::vector<Attachment> displaced) override {
    if (conn != ConnId{}) {
      displace(conn, displaced);
    } else {
      for (const Attachment& at : displaced) on_displaced(at);
    }
    if (!takeovers.is_waiting(conn)) ownership.release_now(conn);
  }

  void on_claim_postponed(Session& session) override {
    takeovers.end_claim(session.id);
    welcome_if_due(session);
  }

  void on_claim_refused(Session& session, Errc result, std::string_view detail) override {
    takeovers.end_claim(session.id);
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
  /// What others see of it ends.
  void release(Session& session) {
    if (std::exchange(session.is_released, true)) return;
    rooms.on_closed(session);
    ownership.release(session, takeovers.is_waiting(session.id) ? Ownership::When::later : Ownership::When::now);
  }

  void welcome_if_due(Session& session) {
    if (session.phase != Session::Phase::open) return;
    if (!rooms.is_restoring(session.id) && !takeovers.is_waiting(session.id)) welcome(session);
  }

  /// A join or leave of the application, for after the hold.
  void keep_command(Ticket ticket, std::function<void()> command) {
    if (held.keep(0, std::move(command)) == HeldInputs::Kept::yes) return;
    RoomDone refused;
    refused.result = Errc::capacity;
    refused.detail = held_reason;
    context.ports.application.on_room_done(ticket, refused);
  }

  /// Ends a hold when nothing is left to wait for.
  void end_hold_if_due() {
    if (!held.is_holding()) return;
    const bool is_settled = ownership.is_settled() || context.store == StoreState::down;
    if ((held.is_ending() && is_settled) || held.until() <= context.now()) held.flush();
  }

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
  void take(Session& session, std::string_view json) {
    const auto parsed = parse_command(json);
    if (const auto* command = std::get_if<Command>(&parsed)) return carry_out(session, *command);
    const auto& error = std::get<CommandError>(parsed);
    delivery.complain(session, error.id, error.code, error.message);
  }

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
        if (command.id.is_set()) ++session.answers_due;
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
    if (!is_within_rate(session, command)) return;
    if (command.op != Command::Op::push || command.id.is_set()) ++session.answers_due;
    if (command.op == Command::Op::join || command.op == Command::Op::leave) ++session.moves_due;
    if (command.op == Command::Op::join) return rooms.join(session, command);
    if (command.op == Command::Op::leave) return rooms.leave(session, command);
    if (command.op == Command::Op::members) return rooms.members(session, command);
    admission.submit(utterance(session, command, Utterance::Kind::push, command.room.view()));
  }

  /// False, and the client has been told, if it asks for more of this than its rate allows.
  bool is_within_rate(Session& session, const Command& command) {
    using Work = Admission::Work;
    if (command.op == Command::Op::push) return true;  // admission has the messages
    const Work work = command.op == Command::Op::join    ? Work::join
                      : command.op == Command::Op::leave ? Work::leave
                                                         : Work::members;
    const Taken taken = admission.price(work, session.client.view());
    if (taken.result == Errc::ok) return true;
    ++(work == Work::join    ? context.stats.rate_limited_joins
       : work == Work::leave ? context.stats.rate_limited_leaves
                             : context.stats.rate_limited_members);
    const std::string_view what = work == Work::join ? "joins" : work == Work::leave ? "leaves" : "pages of members";
    const std::string sentence =
        "the client's limit of " + rate_sentence(admission.limit_of(work), what, taken.retry_after);
    delivery.complain(session, command.id.view(), to_string(Errc::rate_limited), sentence, taken.retry_after);
    if (context.limits().over_rate == Limits::OverRate::close) {
      delivery.close(session, CloseCode::rate_limited, sentence);
    }
    return false;
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
      delivery.complain(*session, said.id, to_string(code), sentence, refused.retry_after);
      if (said.wait == Wait::for_word) delivery.answered(*session);
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
    return std::string(is_client ? "the client's limit of "
                                 : "the limit of room " + std::string(said.target) + " of ") +
           rate_sentence(limit, "messages", refused.retry_after);
  }

  RouterContext context;
  Delivery delivery;
  Ownership ownership;
  Takeovers takeovers;
  SendFlow flow;
  Admission admission;
  RoomChannels channels;
  RoomFlow rooms;
  RoomFanout fanout;
  Audit audit;
  HeldInputs held;
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
  if (state_->held.is_holding()) {
    const auto claim_later = [this, id] {
      Session* waiting = state_->context.sessions.find(id);
      // What has ended meanwhile is released already: a claim behind that would stand for nobody. And with a lease that
      // had been lost, all have been claimed.
      const bool is_due = waiting != nullptr && waiting->phase == Session::Phase::open;
      if (is_due && waiting->claim == Session::Claim::unclaimed) state_->ownership.claim(*waiting);
    };
    session->claim = Session::Claim::unclaimed;
    if (state_->held.keep(0, claim_later) == HeldInputs::Kept::yes) return id;
    ++context.stats.closed;
    context.sessions.close(*session);
    return Error{Errc::capacity, std::string(held_reason)};
  }
  state_->ownership.claim(*session);
  state_->audit.on_opened();
  return id;
}

void Router::text(ConnId conn, std::string_view json) {
  Session* session = state_->context.sessions.find(conn);
  if (session == nullptr || session->phase != Session::Phase::open) return;
  if (state_->held.is_holding()) {
    const auto kept = state_->held.keep(json.size(), [this, conn, later = std::string(json)] {
      Session* waited = state_->context.sessions.find(conn);
      if (waited == nullptr) return;
      if (waited->phase != Session::Phase::closing) state_->take(*waited, later);
      state_->delivery.answered(*waited);
    });
    if (kept == HeldInputs::Kept::yes) {
      ++session->answers_due;  // whatever it is: a client that says no more is still to hear of it
      return;
    }
    return state_->delivery.close(*session, CloseCode::try_again_later, "this server has stood still: connect again");
  }
  state_->take(*session, json);
}

void Router::closed(ConnId conn) {
  Session* session = state_->context.sessions.find(conn);
  if (session == nullptr) return;
  ++state_->context.stats.closed;
  session->phase = Session::Phase::closing;
  state_->release(*session);
  state_->context.stats.lost_at_close += session->outbox.messages();
  state_->context.sessions.close(*session);
}

void Router::ending(ConnId conn, Answers answers) {
  Session* session = state_->context.sessions.find(conn);
  if (session == nullptr) return;
  if (answers == Answers::due_after_moves && session->moves_due != 0) {
    session->is_end_due = true;  // a join ends in what was asked for, and only a session has a place in a room
    return;
  }
  state_->delivery.end(*session, answers == Answers::none ? Session::Phase::closing : Session::Phase::answering);
}

void Router::drop_queue(ConnId conn) {
  if (Session* session = state_->context.sessions.find(conn)) {
    state_->context.stats.lost_at_close += session->outbox.cut();
  }
}

std::uint32_t Router::answers_due(ConnId conn) const {
  const Session* session = state_->context.sessions.find(conn);
  return session == nullptr || session->phase == Session::Phase::closing ? 0 : session->answers_due;
}

Outbox* Router::outbox(ConnId conn) {
  Session* session = state_->context.sessions.find(conn);
  return session == nullptr ? nullptr : &session->outbox;
}

std::string_view Router::client_of(ConnId conn) const {
  const Session* session = state_->context.sessions.find(conn);
  return session == nullptr ? std::string_view() : session->client.view();
}

std::size_t Router::connection_count() const { return state_->context.sessions.size(); }

void Router::send(Ticket ticket, const ClientId& from, const ClientId& to, std::string_view data, Wait wait) {
  std::optional<ReceiptWaiter> waiter;
  if (wait == Wait::for_word) waiter = ReceiptWaiter{.conn = {}, .ticket = ticket, .id = {}};
  if (state_->held.is_holding()) {
    const auto kept = state_->held.keep(data.size(), [this, ticket, from, to, later = std::string(data), wait] {
      send(ticket, from, to, later, wait);
    });
    return kept == HeldInputs::Kept::yes ? void() : state_->flow.refuse(Word::dropped_capacity, waiter);
  }
  state_->flow.submit(
      EntryMessage{.receipt = 0, .hops = 0, .is_copy = false, .from = from.view(), .to = to.view(), .data = data},
      std::move(waiter));
}

void Router::join(Ticket ticket, const RoomName& room, const ClientId& client) {
  if (state_->held.is_holding()) {
    return state_->keep_command(ticket, [this, ticket, room, client] { join(ticket, room, client); });
  }
  state_->rooms.join(ticket, room, client);
}

void Router::leave(Ticket ticket, const RoomName& room, const ClientId& client) {
  if (state_->held.is_holding()) {
    return state_->keep_command(ticket, [this, ticket, room, client] { leave(ticket, room, client); });
  }
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
  if (state_->held.is_holding()) {
    const auto kept = state_->held.keep(data.size(), [this, ticket, room, from, later = std::string(data), echo, wait] {
      push(ticket, room, from, later, echo, wait);
    });
    if (kept == HeldInputs::Kept::yes) return;
    return state_->context.ports.application.on_pushed(
        ticket, RoomPushed{.result = Errc::capacity, .detail = std::string(held_reason)});
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
  const bool is_of_message = std::holds_alternative<Owners>(answer) || std::holds_alternative<Taken>(answer);
  if (is_of_message && state_->held.is_holding()) {  // what waits for it would be delivered
    const auto later = std::make_shared<Answer>(std::move(answer));
    if (state_->held.keep(0, [this, ticket, later] { on_answer(ticket, std::move(*later)); }) ==
        HeldInputs::Kept::yes) {
      return;
    }
    answer = std::move(*later);
  }
  const RouterCall call = RouterCall::of(ticket);
  const bool is_room = call.kind == CallKind::room;
  auto& state = *state_;
  std::visit(Overload{
                 [&](const Published& published) {
                   is_room ? state.fanout.on_published(call.number, published)
                           : state.flow.on_published(call.number, published);
                 },
                 [&](Owners& owners) {
                   is_room ? state.rooms.on_owners(call.number, owners)
                           : state.flow.on_owners(call.number, std::move(owners));
                 },
                 [&](Claimed& claimed) {
                   state.ownership.on_claimed(call.number, std::move(claimed));
                   state.end_hold_if_due();
                 },
                 [&](const Released& released) {
                   call.kind == CallKind::audit ? state.audit.on_released(released.result)
                                                : state.ownership.on_released(call.number, released);
                 },
                 [&](const Held& held) { state.audit.on_held(call.number, held); },
                 [&](const Joined& joined) { state.rooms.on_joined(call.number, joined); },
                 [&](const Left& left) {
                   is_room ? state.rooms.on_left(call.number, left) : state.rooms.on_dropped(call.number, left);
                 },
                 [&](const RosterPage& page) { state.rooms.on_page(call.number, page); },
                 [&](const RoomInfo& info) {
                   is_room ? state.rooms.on_confirmed(call.number, info) : state.fanout.on_info(call.number, info);
                 },
                 [&](const Taken& taken) { state.admission.on_taken(call.number, taken); },
                 [&](const Subscribed& subscribed) { state.channels.on_subscribed(call.number, subscribed); },
                 Ignored<Unsubscribed>{},
                 KeeperAnswers{},
                 ServiceAnswers{},
             },
             answer);
}

// Beyond the bound of held inputs a batch is lost like one that the bus lost: the next one's number says so.
void Router::on_batch(std::string_view channel, std::string_view bytes) {
  if (!state_->held.is_holding()) return state_->flow.on_batch(channel, bytes);
  (void)state_->held.keep(
      bytes.size(), [this, channel = std::string(channel), bytes = std::string(bytes)] { on_batch(channel, bytes); });
}

void Router::on_room_event(std::string_view room, std::string_view bytes, std::uint32_t parts) {
  if (!state_->held.is_holding()) return state_->fanout.on_event(room, bytes, parts);
  (void)state_->held.keep(bytes.size(), [this, room = std::string(room), bytes = std::string(bytes), parts] {
    on_room_event(room, bytes, parts);
  });
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

void Router::on_server_gone(const ServerId& server) {
  state_->flow.on_server_gone(server);
  state_->takeovers.on_server_gone(server);
  state_->fanout.on_server_gone(server);
}

void Router::on_leases(const Leases& leases) { state_->flow.on_leases(leases); }
void Router::on_client_moved(std::string_view client) { state_->flow.on_client_moved(client); }

void Router::hold() { state_->held.hold(state_->context.now()); }

void Router::go_on() {
  state_->held.go_on();
  state_->end_hold_if_due();
}

bool Router::is_held() const { return state_->held.is_holding(); }

void Router::end_turn() {
  auto& context = state_->context;
  // By index: whom a connection had displaced hears of it now, and may be of this shard.
  for (std::size_t i = 0; i < context.ended.size(); ++i) {
    if (Session* session = context.sessions.find(context.ended[i])) state_->release(*session);
  }
  context.ended.clear();
  state_->flow.flush();
}

std::optional<Time> Router::next_deadline() const {
  std::optional<Time> next;
  for (const auto& at :
       {state_->flow.next_deadline(), state_->ownership.next_deadline(), state_->admission.next_deadline(),
        state_->channels.next_deadline(), state_->rooms.next_deadline(), state_->fanout.next_deadline(),
        state_->audit.next_deadline(), state_->takeovers.next_deadline(),
        state_->held.is_holding() ? std::optional(state_->held.until()) : std::nullopt}) {
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
  state_->takeovers.on_time();
  state_->channels.on_time();  // last: it forgets rooms
  state_->end_hold_if_due();
}

OutboxBudget& Router::outbox_budget() { return state_->context.outbox_rules.budget; }

Stats Router::stats() const {
  Stats stats = state_->context.stats;
  stats.unfinished = stats.sent - std::min(stats.sent, sum(stats.words));
  stats.links = state_->flow.links();
  stats.rooms = state_->channels.rooms().size();
  stats.memberships = state_->channels.rooms().memberships();
  return stats;
}

}  // namespace wsr
