#include "core/routing/room_flow.hpp"

#include <algorithm>
#include <iterator>
#include <limits>
#include <utility>

namespace wsr {
namespace {

constexpr Epoch every_epoch{std::numeric_limits<std::uint64_t>::max() >> 12};  // below 2^53: exact in every store

}  // namespace

std::string RoomFlow::store_sentence(Errc result) {
  return result == Errc::timeout ? "the store did not answer in time: try again"
                                 : "the store cannot be reached now: try again";
}

// ---------------------------------------------------------------- asking

RoomFlow::Requester RoomFlow::Requester::of(ConnId conn, const Command& command) {
  Requester who;
  who.kind = Kind::command;
  who.conn = conn;
  who.id = command.id.view();
  return who;
}

RoomFlow::Requester RoomFlow::Requester::of(Ticket ticket) {
  Requester who;
  who.kind = Kind::application;
  who.ticket = ticket;
  return who;
}

RoomFlow::Requester RoomFlow::Requester::of(const ShardAddress& peer, std::uint64_t receipt) {
  Requester who;
  who.kind = Kind::peer;
  who.peer = peer;
  who.receipt = receipt;
  return who;
}

std::uint64_t RoomFlow::add(Flow flow) {
  const std::uint64_t number = ++last_;
  flows_.emplace(number, std::move(flow));
  return number;
}

Session* RoomFlow::session_of(const Flow& flow) {
  Session* session = context_.sessions.find(flow.conn);
  return session != nullptr && session->phase == Session::Phase::open ? session : nullptr;
}

void RoomFlow::join(Session& session, const Command& command) {
  Flow flow(Kind::join, Requester::of(session.id, command), RoomName::trusted(command.room.view()), session.client,
            session.id);
  flow.wants_presence = command.presence;
  begin(add(std::move(flow)));
}

void RoomFlow::leave(Session& session, const Command& command) {
  begin(add(Flow(Kind::leave, Requester::of(session.id, command), RoomName::trusted(command.room.view()),
                 session.client, session.id)));
}

void RoomFlow::members(Session& session, const Command& command) {
  Flow flow(Kind::members, Requester::of(session.id, command), RoomName::trusted(command.room.view()), session.client,
            session.id);
  flow.cursor = command.cursor.is_set() ? command.cursor.view() : "0";
  flow.count = command.count;
  begin(add(std::move(flow)));
}

void RoomFlow::begin(std::uint64_t number) {
  Flow& flow = flows_.at(number);
  if (flows_.size() > context_.limits().room_flows_max) {
    return finish(number, RoomDone{Errc::capacity, 0, 0,
                                   "this shard has " + std::to_string(context_.limits().room_flows_max) +
                                       " room commands under way, its bound: try again in a moment"});
  }
  const RoomAction action = flow.kind == Kind::join    ? RoomAction::join
                            : flow.kind == Kind::leave ? RoomAction::leave
                                                       : RoomAction::read;
  admission_.authorize(action, flow.room, flow.client, [this, number](Permission permission) {
    const auto found = flows_.find(number);
    if (found == flows_.end()) return;
    Flow& asked = found->second;
    if (permission == Permission::denied) {
      ++context_.stats.room_denied;
      return finish(number, RoomDone{Errc::forbidden, 0, 0, "this client may not do that in this room"});
    }
    if (asked.kind == Kind::join) return begin_join(number, asked);
    if (asked.kind == Kind::leave) return begin_leave(number, asked);
    context_.ports.store.call(ticket(number), RosterPageCall{asked.room, asked.cursor, asked.count});
  });
}

void RoomFlow::join(Ticket application, const RoomName& room, const ClientId& client) {
  const Requester who = Requester::of(application);
  if (carry_out_here(who, Kind::join, room, client)) return;
  const std::uint64_t number = add(Flow(Kind::join, who, room, client, ConnId{}));
  locate(number, flows_.at(number));
}

void RoomFlow::leave(Ticket application, const RoomName& room, const ClientId& client) {
  const Requester who = Requester::of(application);
  if (carry_out_here(who, Kind::leave, room, client)) return;
  const std::uint64_t number = add(Flow(Kind::leave, who, room, client, ConnId{}));
  locate(number, flows_.at(number));
}

bool RoomFlow::carry_out_here(const Requester& who, Kind kind, const RoomName& room, const ClientId& client) {
  for (Session* session = context_.sessions.newest(client.view()); session != nullptr;
       session = context_.sessions.next(*session)) {
    if (session->phase != Session::Phase::open) continue;
    const std::uint64_t number = add(Flow(kind, who, room, client, session->id));
    if (kind == Kind::leave) {
      begin_leave(number, flows_.at(number));
    } else {
      begin_join(number, flows_.at(number));
    }
    return true;  // a join brings in the other devices, a leave is the client's
  }
  return false;
}

// ---------------------------------------------------------------- leave

void RoomFlow::begin_leave(std::uint64_t number, Flow& flow) {
  Session* session = session_of(flow);
  if (session == nullptr) return finish(number, RoomDone{Errc::offline, 0, 0, "the client has gone meanwhile"});
  // The answer to its first claim will bring it back into the rooms that it was in at that moment.
  if (!session->has_been_held)
    return finish(number, RoomDone{Errc::unavailable, 0, 0, store_sentence(Errc::unavailable)});
  LocalRoom* room = channels_.rooms().find(flow.room.view());
  if (room != nullptr && room->channel == LocalRoom::Channel::asked && room->find(session->id) != nullptr) {
    // Behind a join of this client that still waits for the channel.
    room->waiting.push_back(number);
    return limit(number, flow, context_.limits().receipt_timeout);
  }
  // Under `single` a late leave must not remove what a newer connection has joined. With several devices the client
  // leaves with all of them.
  const bool is_fenced = context_.options.policy == SessionPolicy::single && session->claim == Session::Claim::held;
  flow.through = is_fenced ? session->epoch : every_epoch;
  if (room != nullptr) {
    for (Session* each = context_.sessions.newest(flow.client.view()); each != nullptr;
         each = context_.sessions.next(*each)) {
      if (RoomMember* member = room->find(each->id)) member->leaving = number;
    }
  }
  const bool is_known = flow.who.kind != Requester::Kind::command || is_member_here(flow.client, flow.room);
  context_.ports.store.call(ticket(number), LeaveCall{.room = flow.room,
                                                      .client = flow.client,
                                                      .through = flow.through,
                                                      .known_version = room == nullptr ? 0 : room->version,
                                                      .remember = remember(is_known)});
}

LeaveCall::Remember RoomFlow::remember(bool is_known) const {
  if (context_.options.policy == SessionPolicy::single) return LeaveCall::Remember::no;
  return is_known ? LeaveCall::Remember::always : LeaveCall::Remember::if_there;
}

void RoomFlow::on_left(std::uint64_t number, const Left& left) {
  const auto found = flows_.find(number);
  if (found == flows_.end()) return;
  Flow& flow = found->second;
  RoomDone done{left.result, left.size, left.version, {}};
  if (is_of_store(left.result)) done.detail = store_sentence(left.result);
  if (left.result == Errc::not_found) done.detail = "the client is not in this room";
  const bool is_gone = left.result == Errc::ok || left.result == Errc::not_found;
  if (is_gone && flow.conn != ConnId{}) {
    bool was_here = false;
    if (LocalRoom* room = channels_.rooms().find(flow.room.view())) {
      for (Session* session = context_.sessions.newest(flow.client.view()); session != nullptr;
           session = context_.sessions.next(*session)) {
        RoomMember* member = room->find(session->id);
        // Its own claim may have been asserted again meanwhile; another's that is newer is not meant.
        if (member == nullptr || (session->id != flow.conn && session->epoch > flow.through)) continue;
        was_here = was_here || member->holder == 0;
        const bool has_asked = flow.who.kind == Requester::Kind::command && session->id == flow.conn;
        if (member->holder == 0 && !has_asked) tell_left(*session, flow.room, left.size, left.version);
        take_out(*room, *member, *session, number);
      }
    }
    if (was_here) {
      ++context_.stats.room_leaves;
      done.result = Errc::ok;
      done.detail.clear();
    }
  }
  finish(number, done);
}

void RoomFlow::take_out(LocalRoom& room, RoomMember& member, Session& session, std::uint64_t number) {
  if (member.holder != 0) return;  // its answer decides
  if (const std::uint64_t again = join_after(member, number); again != 0) {
    // A join was asked after this: the connection is out, and about to be in again.
    return hold_for(member, again, flows_.at(again));
  }
  end_membership(room, session);
}

void RoomFlow::tell_left(Session& session, const RoomName& room, std::uint64_t size, std::uint64_t version) {
  // It did not ask for that: it hears what the others hear, and in a big room, too.
  text_.clear();
  append_presence(text_, room.view(), "leave", session.client.view(), size, version);
  delivery_.say(session, text_);
}

void RoomFlow::say_left(Session& session, RoomMember& member, const LocalRoom& room, const PresenceEvent& event) {
  const auto leaving = flows_.find(member.leaving);
  const bool has_asked = leaving != flows_.end() && leaving->second.conn == session.id &&
                         leaving->second.who.kind == Requester::Kind::command;
  if (has_asked && !member.wants_presence) return;  // its answer says so
  tell_left(session, room.name, event.size, event.version);
  // If a join brings it in again, it is to hear that, too.
  if (session.framing != Framing::raw) member.is_untold = true;
}

Frame RoomFlow::left_frame(const Session& session, const LocalRoom& room, const PresenceEvent& event) {
  text_.clear();
  append_presence(text_, room.name.view(), "leave", event.client, event.size, event.version);
  return session.framing == Framing::raw ? Frame::copy_of(text_) : Delivery::text_frame(text_);
}

void RoomFlow::end_membership(LocalRoom& room, Session& session) {
  channels_.rooms().remove(room, session);
  channels_.release(room);
}

// ---------------------------------------------------------------- a client elsewhere

void RoomFlow::locate(std::uint64_t number, Flow& flow) {
  ++flow.attempts;
  if (flow.who.kind != Requester::Kind::nobody) limit(number, flow, context_.limits().receipt_timeout);
  context_.ports.store.call(ticket(number), LookupCall{flow.client});
}

void RoomFlow::on_owners(std::uint64_t number, const Owners& owners) {
  const auto found = flows_.find(number);
  if (found == flows_.end()) return;
  Flow& flow = found->second;
  if (owners.result != Errc::ok) {
    if (flow.stay != 0) {
      unfinished_devices_.insert_or_assign({flow.client, flow.room}, flow.stay);
      retry_after_refusal();
    }
    return finish(number, RoomDone{owners.result, 0, 0, store_sentence(owners.result)});
  }
  const EntryRoomCommand command{
      .op = flow.kind == Kind::join ? EntryRoomCommand::Op::join : EntryRoomCommand::Op::leave,
      .receipt = number,
      .room = flow.room.view(),
      .client = flow.client.view(),
      .stay = flow.stay};
  std::vector<ShardAddress> elsewhere;
  bool is_here = false;
  for (const OwnerRow& row : owners.rows) {
    const ShardAddress address = row.at.address();
    if (address == context_.options.self) {
      is_here = true;
    } else if (std::find(elsewhere.begin(), elsewhere.end(), address) == elsewhere.end()) {
      elsewhere.push_back(address);
    }
  }
  if (flow.stay != 0) {  // to all other devices, and nobody answers
    EntryRoomCommand each = command;
    each.receipt = 0;
    for (const ShardAddress& shard : elsewhere) events_.tell(shard, each);
    return finish(number, {});
  }
  // One of its shards carries it out, and answers: this one, or the newest device's.
  if (is_here && carry_out_here(flow.who, flow.kind, flow.room, flow.client)) {
    flows_.at(number).who = {};
    return finish(number, {});
  }
  if (!elsewhere.empty()) return events_.tell(elsewhere.front(), command);  // on_answer(), or its deadline
  if (flow.kind == Kind::join) {
    return finish(number, RoomDone{Errc::offline, 0, 0, "no server holds a connection of this client"});
  }
  // It may still be listed: its grace runs, or its server is dead and not swept yet.
  context_.ports.store.call(
      ticket(number),
      LeaveCall{.room = flow.room, .client = flow.client, .through = every_epoch, .remember = remember(true)});
}

void RoomFlow::on_command(const ShardAddress& from, const EntryRoomCommand& command) {
  const auto client = ClientId::parse(command.client);
  const auto room = RoomName::parse(command.room);
  const Requester who = command.receipt == 0 ? Requester{} : Requester::of(from, command.receipt);
  const Kind kind = command.op == EntryRoomCommand::Op::join ? Kind::join : Kind::leave;
  if (client && room && command.stay != 0 && kind == Kind::join) {
    return join_devices_here(*client, *room, ConnId{}, command.stay);
  }
  if (client && room && carry_out_here(who, kind, *room, *client)) return;
  if (command.receipt == 0) return;
  events_.tell(from, EntryRoomAnswer{.receipt = command.receipt,
                                     .result = static_cast<std::uint8_t>(Errc::offline),
                                     .size = 0,
                                     .version = 0,
                                     .detail = "the client has moved meanwhile"});
}

void RoomFlow::on_answer(const EntryRoomAnswer& answer) {
  const auto found = flows_.find(answer.receipt);
  if (found == flows_.end() || found->second.conn != ConnId{}) return;
  Flow& flow = found->second;
  const auto result =
      answer.result <= static_cast<std::uint8_t>(Errc::internal) ? static_cast<Errc>(answer.result) : Errc::internal;
  if (result == Errc::offline && flow.attempts < context_.limits().hops_max) {
    // It may have come here meanwhile, or gone to a third server.
    if (!carry_out_here(flow.who, flow.kind, flow.room, flow.client)) return locate(answer.receipt, flow);
    flow.who = {};
    return finish(answer.receipt, {});
  }
  finish(answer.receipt, RoomDone{result, answer.size, answer.version, std::string(answer.detail)});
}

// ---------------------------------------------------------------- ends

void RoomFlow::on_page(std::uint64_t number, const RosterPage& page) {
  const auto found = flows_.find(number);
  if (found == flows_.end()) return;
  Flow& flow = found->second;
  if (page.result != Errc::ok) {
    return finish(number,
                  RoomDone{page.result, 0, 0,
                           page.result == Errc::bad_request ? "\"cursor\" is none that an answer gave: begin with \"0\""
                                                            : store_sentence(page.result)});
  }
  Session* session = context_.sessions.find(flow.who.conn);
  if (session != nullptr && session->phase != Session::Phase::closing) {
    std::vector<std::string_view> members;
    members.reserve(page.members.size());
    for (const ClientId& member : page.members) members.push_back(member.view());
    text_.clear();
    append_members(text_, flow.who.id, flow.room.view(), members, page.cursor, page.size, page.version);
    delivery_.say(*session, text_);
    delivery_.answered(*session);
  }
  flows_.erase(number);
}

void RoomFlow::forget(std::uint64_t number) {
  const auto node = flows_.extract(number);
  if (!node.empty() && node.mapped().deadline) deadlines_.erase({*node.mapped().deadline, number});
}

void RoomFlow::finish(std::uint64_t number, const RoomDone& done) {
  const auto found = flows_.find(number);
  if (found == flows_.end()) return;
  const Flow flow = std::move(found->second);
  if (flow.deadline) deadlines_.erase({*flow.deadline, number});
  flows_.erase(found);
  answer(flow, done);
  if (flow.is_restore) note_restored(flow.conn);
}

void RoomFlow::answer(const Flow& flow, const RoomDone& done) {
  switch (flow.who.kind) {
    case Requester::Kind::nobody:
      return;
    case Requester::Kind::application:
      return context_.ports.application.on_room_done(flow.who.ticket, done);
    case Requester::Kind::peer:
      return events_.tell(flow.who.peer, EntryRoomAnswer{.receipt = flow.who.receipt,
                                                         .result = static_cast<std::uint8_t>(done.result),
                                                         .size = done.size,
                                                         .version = done.version,
                                                         .detail = done.detail});
    case Requester::Kind::command:
      break;
  }
  Session* session = context_.sessions.find(flow.who.conn);
  if (session == nullptr || session->phase == Session::Phase::closing) return;
  if (done.result != Errc::ok) {
    delivery_.complain(*session, flow.who.id, to_string(done.result), done.detail);
    return flow.kind == Kind::members ? delivery_.answered(*session) : delivery_.moved(*session);
  }
  text_.clear();
  if (flow.kind == Kind::join) {
    append_joined(text_, flow.who.id, flow.room.view(), done.size, done.version);
  } else {
    append_left(text_, flow.who.id, flow.room.view(), done.size);
  }
  delivery_.say(*session, text_);
  delivery_.moved(*session);
}

void RoomFlow::limit(std::uint64_t number, Flow& flow, Duration within) {
  if (flow.deadline) deadlines_.erase({*flow.deadline, number});
  flow.deadline = context_.now() + within;
  deadlines_.emplace(*flow.deadline, number);
}

// ---------------------------------------------------------------- connections come and go

void RoomFlow::restore(Session& session, const std::vector<RoomName>& rooms, std::vector<Attachment> displaced) {
  auto& running = restores_[session.id];  // a claim that was asserted again meanwhile adds to it
  running.left += rooms.size();
  running.displaced.insert(running.displaced.end(), std::make_move_iterator(displaced.begin()),
                           std::make_move_iterator(displaced.end()));
  running.until = context_.now() + restore_max;
  const ConnId conn = session.id;
  for (const RoomName& room : rooms) {
    Flow flow(Kind::join, {}, room, session.client, conn);
    flow.is_restore = flow.is_of_claim = true;
    ++context_.stats.room_restores;
    const std::uint64_t number = add(std::move(flow));
    begin_join(number, flows_.at(number));
  }
}

void RoomFlow::note_restored(ConnId conn) {
  const auto found = restores_.find(conn);
  if (found == restores_.end() || --found->second.left != 0) return;
  const Restore restore = std::move(found->second);
  restores_.erase(found);
  if (Session* session = context_.sessions.find(conn)) events_.on_restored(*session, restore.displaced);
}

void RoomFlow::reassert(Session& session) {
  for (const std::uint32_t number : std::vector<std::uint32_t>(session.rooms)) {
    LocalRoom* room = channels_.rooms().at(number);
    if (room == nullptr) continue;
    if (RoomMember* member = room->find(session.id)) join_again(session, *room, *member);
  }
}

void RoomFlow::follow(Session& session, const std::vector<RoomName>& rooms) {
  for (const RoomName& name : rooms) {
    LocalRoom* room = channels_.rooms().find(name.view());
    if (room != nullptr && room->find(session.id) != nullptr) continue;
    Flow flow(Kind::join, {}, name, session.client, session.id);
    flow.is_of_claim = true;
    const std::uint64_t number = add(std::move(flow));
    begin_join(number, flows_.at(number));
  }
}

void RoomFlow::join_again(Session& session, const LocalRoom& room, RoomMember& member) {
  if (join_after(member, 0) != 0) return;  // asked already
  // Nobody asked for this join: behind a leave that is under way it would bring the client back in.
  if (flows_.contains(member.leaving)) return try_join_later(session, room, member);
  if (session.claim != Session::Claim::held) {
    session.are_rooms_due = true;
    return;
  }
  Flow again(Kind::join, {}, room.name, session.client, session.id);
  again.wants_presence = member.wants_presence;
  again.is_of_claim = member.joined_version <= 1;  // the store has not confirmed it yet
  again.stay = again.is_of_claim ? 0 : member.joined_version;
  const std::uint64_t flow = add(std::move(again));
  begin_join(flow, flows_.at(flow));
}

void RoomFlow::on_closed(Session& session) {
  // Before the session is gone: whom it displaced must go in any case.
  if (const auto restore = restores_.extract(session.id); !restore.empty()) {
    events_.on_restored(session, restore.mapped().displaced);
  }
  if (session.rooms.empty()) return;
  Departed departed{.client = session.client, .rooms = {}, .drop_at = {}};
  for (const std::uint32_t number : std::vector<std::uint32_t>(session.rooms)) {
    LocalRoom& room = *channels_.rooms().at(number);
    departed.rooms.push_back(room.name);
    end_membership(room, session);
  }
  departed_.emplace(session.id, std::move(departed));
}

void RoomFlow::on_released(ConnId conn, Errc result) {
  const auto found = departed_.find(conn);
  if (found == departed_.end() || found->second.drop_at) return;
  Departed& departed = found->second;
  // `not_found`: another connection has the client. It joins these rooms before it is welcomed; until it has, the old
  // attachment keeps the client's stay.
  const Duration wait = result == Errc::not_found ? std::max(handover_max, context_.limits().reconnect_grace)
                                                  : context_.limits().reconnect_grace;
  if (wait.count() == 0) {
    drop_all(conn, departed);
    departed_.erase(found);
    return;
  }
  departed.drop_at = context_.now() + wait;
  departures_.emplace(*departed.drop_at, conn);
}

bool RoomFlow::take_back(const RoomName& room, const ClientId& client, const Attachment& at) {
  if (const auto gone = departed_.find(at.conn); gone != departed_.end()) {
    const auto& rooms = gone->second.rooms;
    if (std::find(rooms.begin(), rooms.end(), room) != rooms.end()) return false;  // its time has not come
  }
  LocalRoom* here = channels_.rooms().find(room.view());
  if (here != nullptr && here->find(at.conn) != nullptr) return false;
  drop({room, client, at});
  return true;
}

void RoomFlow::add_places(const Session& session, std::vector<wsr::Held::Place>& places) {
  for (const std::uint32_t number : session.rooms) {
    LocalRoom* room = channels_.rooms().at(number);
    RoomMember* member = room == nullptr ? nullptr : room->find(session.id);
    // What is under way is not there yet, or not any more.
    const bool is_settled = member != nullptr && member->holder == 0 && !member->is_due && member->joined_version > 1 &&
                            !flows_.contains(member->leaving) && join_after(*member, 0) == 0;
    if (is_settled) places.push_back({room->name, session.client, attachment(session.id)});
  }
}

void RoomFlow::put_back(Session& session, const RoomName& name) {
  LocalRoom* room = channels_.rooms().find(name.view());
  RoomMember* member = room == nullptr ? nullptr : room->find(session.id);
  if (member == nullptr) return;
  ++context_.stats.places_put_back;
  join_again(session, *room, *member);
}

void RoomFlow::drop_all(ConnId conn, const Departed& departed) {
  for (const RoomName& room : departed.rooms) drop({room, departed.client, attachment(conn)});
}

void RoomFlow::drop(Drop what) {
  const std::uint64_t number = ++last_;
  context_.ports.store.call(RouterCall{CallKind::drop, number}.ticket(), DropCall{what.room, what.client, what.at});
  drops_.emplace(number, std::move(what));
}

void RoomFlow::on_dropped(std::uint64_t number, const Left& left) {
  auto node = drops_.extract(number);
  if (node.empty() || left.result == Errc::ok || left.result == Errc::not_found) return;
  // Whatever the store's reason was: until this is done the roster lists somebody who is not there.
  Drop& what = node.mapped();
  unfinished_drops_.insert_or_assign({what.at.conn, what.room}, std::move(what));
  retry_after_refusal();
}

void RoomFlow::retry_later() {
  if (!retry_at_) retry_at_ = context_.now() + retry_every;
}

void RoomFlow::on_store_up() {
  if (has_unfinished()) retry_at_ = context_.now();
}

void RoomFlow::retry() {
  retry_at_.reset();
  if (context_.store == StoreState::down) return;  // on_store_up() goes on
  retry_joins();
  retry_drops();
  retry_devices();
  retry_confirmations();
  if (has_unfinished()) retry_at_ = context_.now() + context_.limits().reassert_pace;
}

void RoomFlow::retry_joins() {
  for (std::uint32_t n = 0; n < context_.limits().reassert_batch && !unfinished_joins_.empty(); ++n) {
    const auto [conn, name] = std::move(unfinished_joins_.extract(unfinished_joins_.begin()).value());
    Session* session = context_.sessions.find(conn);
    LocalRoom* room = channels_.rooms().find(name.view());
    RoomMember* member = session == nullptr || room == nullptr ? nullptr : room->find(conn);
    if (member == nullptr || !member->is_due || session->phase != Session::Phase::open) continue;
    join_again(*session, *room, *member);
  }
}

void RoomFlow::retry_drops() {
  for (std::uint32_t n = 0; n < context_.limits().reassert_batch && !unfinished_drops_.empty(); ++n) {
    Drop what = std::move(unfinished_drops_.extract(unfinished_drops_.begin()).mapped());
    // The same connection may have joined again since: it is there now.
    LocalRoom* room = channels_.rooms().find(what.room.view());
    if (room != nullptr && room->find(what.at.conn) != nullptr) continue;
    drop(std::move(what));
  }
}

void RoomFlow::retry_devices() {
  for (std::uint32_t n = 0; n < context_.limits().reassert_batch && !unfinished_devices_.empty(); ++n) {
    const auto node = unfinished_devices_.extract(unfinished_devices_.begin());
    const auto& [client, room] = node.key();
    if (is_member_here(client, room)) join_devices_elsewhere(client, room, node.mapped());
  }
}

bool RoomFlow::is_member_here(const ClientId& client, const RoomName& name) {
  LocalRoom* room = channels_.rooms().find(name.view());
  if (room == nullptr) return false;
  for (Session* session = context_.sessions.newest(client.view()); session != nullptr;
       session = context_.sessions.next(*session)) {
    if (room->find(session->id) != nullptr) return true;
  }
  return false;
}

// ---------------------------------------------------------------- the roster speaks

void RoomFlow::on_presence(LocalRoom& room, const PresenceEvent& event) {
  if (event.kind == PresenceEvent::Kind::join) return;
  if (context_.options.keys.keys.empty()) return take_leave(room, event);
  for (Session* session = context_.sessions.newest(event.client); session != nullptr;
       session = context_.sessions.next(*session)) {
    if (room.find(session->id) == nullptr) continue;
    Unconfirmed& leave = unconfirmed_[{session->client, room.name}];
    const bool is_under_way = leave.asked != 0;
    if (leave.version != 0 && leave.asked == 0) --unasked_;
    leave = {event.kind, event.version, event.size, leave.asked, is_under_way};
    if (!is_under_way) confirm(session->client, room.name, leave);
    return;
  }
}

void RoomFlow::confirm(const ClientId& client, const RoomName& room, Unconfirmed& leave) {
  leave.asked = ++last_;
  leave.is_newer = false;
  confirmations_.emplace(leave.asked, std::pair(client, room));
  context_.ports.store.call(ticket(leave.asked), FindCall{room, client});
}

void RoomFlow::on_confirmed(std::uint64_t number, const RoomInfo& info) {
  const auto asked = confirmations_.extract(number);
  if (asked.empty()) return;
  const auto& [client, name] = asked.mapped();
  const auto found = unconfirmed_.find(asked.mapped());
  if (found == unconfirmed_.end()) return;
  Unconfirmed& leave = found->second;
  if (leave.is_newer) return confirm(client, name, leave);
  if (info.result != Errc::ok) {
    leave.asked = 0;
    ++unasked_;
    return retry_after_refusal();
  }
  const Unconfirmed heard = leave;
  unconfirmed_.erase(found);
  LocalRoom* room = channels_.rooms().find(name.view());
  if (room == nullptr) return;
  // An event is published in the step that makes it: a roster that is behind it, or lists the client here, has not made
  // it, or has joined the client again since.
  const ServerId& self = context_.options.self.server;
  const bool is_here = std::any_of(info.servers.begin(), info.servers.end(),
                                   [&self](const auto& server) { return server.first == self; });
  const bool is_behind = info.version != 0 && info.version < heard.version;
  if (is_here || is_behind) {
    ++context_.stats.bad_batches;
    return;
  }
  take_leave(*room, {.kind = heard.kind, .version = heard.version, .size = heard.size, .client = client.view()});
}

void RoomFlow::retry_confirmations() {
  if (unasked_ == 0) return;
  unasked_ = 0;
  for (auto& [whose, leave] : unconfirmed_) {
    if (leave.asked == 0) confirm(whose.first, whose.second, leave);
  }
}

void RoomFlow::take_leave(LocalRoom& room, const PresenceEvent& event) {
  for (Session* session = context_.sessions.newest(event.client); session != nullptr;
       session = context_.sessions.next(*session)) {
    RoomMember* member = room.find(session->id);
    if (member == nullptr || session->phase != Session::Phase::open) continue;
    if (member->holder == 0 && member->joined_version >= event.version) {  // of an earlier stay
      if (event.version > std::max(member->told_version, member->known_version)) {
        tell_left(*session, room.name, event.size, event.version);  // the join that followed comes next
      }
      continue;
    }
    const bool is_swept = event.kind == PresenceEvent::Kind::swept;
    if (const std::uint64_t join = join_after(*member, 0); join != 0) {
      // The answer to a join is still to come: only its version tells which of the two came first. Until then what
      // comes is held back, with a mark where the stay ended. Who asked for that join hears its answer first.
      bool is_told = false;
      const bool was_in = member->holder == 0;
      if (was_in) {
        is_told = std::none_of(member->joins.begin(), member->joins.end(), [this](std::uint64_t each) {
          return flows_.at(each).who.kind == Requester::Kind::command;
        });
        if (is_told) say_left(*session, *member, room, event);
        hold_for(*member, join, flows_.at(join));
      }
      if (const auto holder = flows_.find(member->holder); holder != flows_.end()) {
        if (!is_told) {
          keep(holder->second, Held{.frame = left_frame(*session, room, event),
                                    .version = event.version,
                                    .is_own_leave = true,
                                    .is_due = was_in});
        }
        keep(holder->second, Held{.frame = {}, .version = event.version, .is_end = true});
      }
      member->left_version = event.version;
      member->is_swept = is_swept;
      continue;
    }
    say_left(*session, *member, room, event);
    if (member->is_due) continue;  // an older attachment's end: the roster does not have this one yet
    if (is_swept) {
      reassert(*session);  // taken for dead, and alive: its claim is asserted again by the Keeper's word
      continue;
    }
    ++context_.stats.room_leaves;
    end_membership(room, *session);
  }
}

// ---------------------------------------------------------------- time

std::optional<Time> RoomFlow::next_deadline() const {
  std::optional<Time> next;
  const auto earlier = [&next](Time at) { next = next ? std::min(*next, at) : at; };
  if (!deadlines_.empty()) earlier(deadlines_.begin()->first);
  if (!departures_.empty()) earlier(departures_.begin()->first);
  for (const auto& [conn, restore] : restores_) earlier(restore.until);
  if (retry_at_) earlier(*retry_at_);
  return next;
}

void RoomFlow::on_time() {
  const Time now = context_.now();
  if (retry_at_ && *retry_at_ <= now) retry();
  while (!deadlines_.empty() && deadlines_.begin()->first <= now) {
    const std::uint64_t number = deadlines_.begin()->second;
    deadlines_.erase(deadlines_.begin());
    const auto found = flows_.find(number);
    if (found == flows_.end()) continue;
    Flow& flow = found->second;
    flow.deadline.reset();
    if (flow.conn != ConnId{}) {
      // Only its channel is limited so: the store has its own deadline for what it was asked.
      LocalRoom* room = channels_.rooms().find(flow.room.view());
      if (room == nullptr || std::erase(room->waiting, number) == 0) continue;
      if (flow.kind == Kind::leave) {
        finish(number, RoomDone{Errc::timeout, 0, 0, "the room's channel was not subscribed in time: try again"});
        continue;
      }
      refuse_join(number, Errc::timeout, "the room's channel was not subscribed in time: try again");
      continue;
    }
    finish(number, RoomDone{Errc::timeout, 0, 0, "the client's server did not answer in time: try again"});
  }
  while (!departures_.empty() && departures_.begin()->first <= now) {
    const ConnId conn = departures_.begin()->second;
    departures_.erase(departures_.begin());
    if (const auto node = departed_.extract(conn); !node.empty()) drop_all(conn, node.mapped());
  }
  std::vector<ConnId> late;
  for (const auto& [conn, restore] : restores_) {
    if (restore.until <= now) late.push_back(conn);
  }
  for (const ConnId conn : late) {
    const auto restore = restores_.extract(conn);
    if (Session* session = context_.sessions.find(conn)) events_.on_restored(*session, restore.mapped().displaced);
  }
}

}  // namespace wsr
