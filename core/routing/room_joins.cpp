// RoomFlow's joins: what is asked, what is held back until the answer, and what the answer means for what came
// meanwhile.
#include <algorithm>
#include <limits>
#include <utility>

#include "core/routing/room_flow.hpp"

namespace wsr {
namespace {

constexpr std::uint64_t every_version = std::numeric_limits<std::uint64_t>::max();

}  // namespace

void RoomFlow::begin_join(std::uint64_t number, Flow& flow) {
  Session* session = session_of(flow);
  if (session == nullptr) return finish(number, RoomDone{Errc::offline, 0, 0, "the client has gone meanwhile"});
  if (session->claim != Session::Claim::held) {
    return finish(number, RoomDone{Errc::unavailable, 0, 0, store_sentence(Errc::unavailable)});
  }
  LocalRoom& room = channels_.rooms().make(flow.room);
  if (RoomMember* member = room.find(session->id)) {
    flow.is_again = true;
    // An end that came before this was asked is older than it, whatever its version: a store that failed over counts
    // from where its replica was.
    if (join_after(*member, 0) == 0) member->left_version = member->answered = 0;
    member->joins.push_back(number);
    if (flow.who.kind == Requester::Kind::command) member->wants_presence = flow.wants_presence;
  } else {
    const std::size_t rooms_max = context_.limits().rooms_per_client_max;
    if (!flow.is_restore && session->rooms.size() >= rooms_max) {
      channels_.release(room);
      return finish(number, RoomDone{Errc::capacity, 0, 0,
                                     "this client is in " + std::to_string(rooms_max) +
                                         " rooms, its bound: leave some, or raise --rooms-per-client-max"});
    }
    RoomMember& added = channels_.rooms().add(room, *session);
    added.holder = number;
    added.joins.push_back(number);
    added.wants_presence = flow.wants_presence;
    // Its welcome was not held back for this: the store was slow then.
    added.is_untold = flow.is_restore && session->framing != Framing::raw && !session->outbox.is_held();
  }
  if (room.channel == LocalRoom::Channel::held) {
    channels_.need(room);
    return ask_join(number, flow);
  }
  room.waiting.push_back(number);
  limit(number, flow, context_.limits().receipt_timeout);
  channels_.need(room);
}

void RoomFlow::on_channel(LocalRoom& room, Errc result) {
  for (const std::uint64_t number : std::exchange(room.waiting, {})) {
    const auto found = flows_.find(number);
    if (found == flows_.end()) continue;
    if (found->second.kind == Kind::leave) {
      begin_leave(number, found->second);
    } else if (result == Errc::ok) {
      ask_join(number, found->second);
    } else {
      refuse_join(number, result, "the room's channel cannot be subscribed: " + std::string(to_string(result)));
    }
  }
}

void RoomFlow::ask_join(std::uint64_t number, Flow& flow) {
  Session* session = session_of(flow);
  if (session == nullptr) {  // its close has taken it out of the room again
    return finish(number, RoomDone{Errc::offline, 0, 0, "the client has gone meanwhile"});
  }
  const LocalRoom* room = channels_.rooms().find(flow.room.view());
  context_.ports.store.call(ticket(number),
                            JoinCall{.room = flow.room,
                                     .client = flow.client,
                                     .at = attachment(flow.conn),
                                     .epoch = session->epoch,
                                     .known_version = room == nullptr ? 0 : room->version,
                                     .stay = flow.stay,
                                     .is_of_claim = flow.is_of_claim,
                                     .replaces_older = context_.options.policy == SessionPolicy::single});
}

void RoomFlow::on_joined(std::uint64_t number, const Joined& joined) {
  const auto found = flows_.find(number);
  if (found == flows_.end()) return;
  Flow& flow = found->second;
  if (joined.result == Errc::not_found) return end_stay(number, joined);
  if (joined.result != Errc::ok) {
    return refuse_join(number, joined.result,
                       is_of_store(joined.result) ? store_sentence(joined.result) : joined.detail);
  }
  Session* session = session_of(flow);
  LocalRoom* room = channels_.rooms().find(flow.room.view());
  RoomMember* member = session == nullptr || room == nullptr ? nullptr : room->find(session->id);
  if (member == nullptr) {
    // Gone meanwhile: the roster must follow. At once only if its grace does not run: it may have taken the place of
    // the attachment that kept the client's stay.
    (void)take_back(flow.room, flow.client, attachment(flow.conn));
    // The client has joined all the same, with its other devices.
    if (flow.who.kind != Requester::Kind::nobody && context_.options.policy == SessionPolicy::multi) {
      join_devices_elsewhere(flow.client, flow.room, std::max<std::uint64_t>(joined.version, 1));
    }
    return finish(number, session == nullptr
                              ? RoomDone{Errc::offline, 0, 0, "the client has gone meanwhile"}
                              : RoomDone{Errc::not_found, 0, 0, "the client has left the room meanwhile"});
  }
  note_version(*room, joined);
  const bool was_due = std::exchange(member->is_due, false);
  const std::uint64_t version = std::max<std::uint64_t>(joined.version, 1);
  // A later join may have been answered first.
  member->answered = std::max(member->answered, version);
  const bool has_ended = member->left_version > member->answered;
  const std::uint64_t next = other_join(*member, number);
  const bool is_last = next == 0;
  if (has_ended && is_last && member->is_swept) {
    if (flows_.contains(member->leaving)) {  // as in join_again()
      postpone_join(number, *member, *session);
      return finish(number, RoomDone{Errc::ok, joined.size, joined.version, {}});
    }
    member->left_version = 0;
    return ask_join(number, flow);
  }
  const RoomName name = flow.room;
  const bool is_asked = flow.who.kind != Requester::Kind::nobody;
  const bool was_held = member->holder == number;
  const bool is_told = tell_joined(*session, *member, number, joined, has_ended);
  if (is_told || flow.is_restore) member->told_version = std::max(member->told_version, version);
  answer(flow, RoomDone{Errc::ok, joined.size, joined.version, {}});
  if (was_held) {
    ++context_.stats.room_joins;
    std::vector<Held> rest = release_held(*session, flow, member->answered, is_last, is_told);
    if (has_ended && !is_last) {
      hand_over(*member, flow, std::move(rest), next);  // out again, and about to be in once more
    } else {
      member->holder = 0;
      member->joined_version = member->known_version = member->answered;
    }
  } else if (member->holder == 0) {
    member->joined_version = std::max(member->joined_version, version);
  }
  if (has_ended && is_last) end_membership(*room, *session);
  const bool is_restore = flow.is_restore;
  const ConnId conn = flow.conn;
  forget(number);
  if (is_restore) note_restored(conn);
  // Nobody asked for it, and the store had forgotten the client: whoever came meanwhile was not told of this room.
  const bool is_news = is_asked || joined.has_begun || was_due;
  if (is_news && context_.options.policy == SessionPolicy::multi) join_other_devices(*session, name, version);
}

void RoomFlow::note_version(LocalRoom& room, const Joined& joined) {
  if (joined.version > room.version) {
    room.version = joined.version;
    room.size = joined.size;
  }
  // Those whose joins are under way learn it from their own answers.
  const bool is_anybody_behind =
      std::any_of(room.members.begin(), room.members.end(), [](const RoomMember& each) { return each.holder == 0; });
  if (!is_anybody_behind) room.told_version = std::max(room.told_version, joined.version);
  // Its event may still be under way, or be lost with a connection: then the members are told to look again.
  if (room.version > room.told_version) channels_.count_later(room);
}

bool RoomFlow::tell_joined(Session& session, RoomMember& member, std::uint64_t number, const Joined& joined,
                           bool has_ended) {
  const Flow& flow = flows_.at(number);
  const bool is_own = flow.who.kind == Requester::Kind::command;
  const bool is_raw = session.framing == Framing::raw;
  const std::uint64_t version = std::max<std::uint64_t>(joined.version, 1);
  if (release_own_leaves(session, flow, version) && !is_raw) member.is_untold = true;
  // Its stay has ended and begun anew, and it has heard of neither: what it knows of the room is old.
  const bool is_new_to_it = joined.has_begun && flow.is_again && member.wants_presence && !is_raw;
  const bool is_end_held = std::any_of(flow.held.begin(), flow.held.end(), [version](const Held& held) {
    return held.is_own_leave && held.version > version;
  });
  const bool is_old = has_ended && !is_end_held;  // and it has been told already how that stay ended
  if (!is_old && (std::exchange(member.is_untold, false) || is_new_to_it) && !is_own) {
    text_.clear();
    append_rejoined(text_, flow.room.view(), joined.size, joined.version);
    delivery_.say(session, text_);
    member.known_version = version;  // it has been told where its stay begins
    return true;
  }
  if (!is_old && member.holder == number && !is_own && !flow.is_restore && member.wants_presence && !is_raw) {
    // The application has brought it in, or another device: it hears what the others hear.
    text_.clear();
    append_presence(text_, flow.room.view(), "join", flow.client.view(), joined.size, joined.version);
    delivery_.say(session, text_);
    return true;
  }
  return is_own || (flow.is_restore && !session.outbox.is_held());
}

void RoomFlow::join_other_devices(const Session& session, const RoomName& room, std::uint64_t version) {
  join_devices_here(session.client, room, session.id, version);
  join_devices_elsewhere(session.client, room, version);
}

void RoomFlow::join_devices_elsewhere(const ClientId& client, const RoomName& room, std::uint64_t stay) {
  Flow flow(Kind::join, {}, room, client, ConnId{});
  flow.stay = stay;
  const std::uint64_t number = add(std::move(flow));
  locate(number, flows_.at(number));
}

void RoomFlow::join_devices_here(const ClientId& client, const RoomName& room, ConnId except, std::uint64_t stay) {
  for (Session* device = context_.sessions.newest(client.view()); device != nullptr;
       device = context_.sessions.next(*device)) {
    if (device->id == except || device->phase != Session::Phase::open) continue;
    Flow flow(Kind::join, {}, room, client, device->id);
    flow.stay = stay;
    const std::uint64_t number = add(std::move(flow));
    begin_join(number, flows_.at(number));
  }
}

void RoomFlow::end_stay(std::uint64_t number, const Joined& joined) {
  Flow& flow = flows_.at(number);
  Session* session = session_of(flow);
  LocalRoom* room = channels_.rooms().find(flow.room.view());
  RoomMember* member = session == nullptr || room == nullptr ? nullptr : room->find(session->id);
  if (member != nullptr) {
    // A welcome that could not wait has named the room all the same.
    const bool is_named = flow.is_restore && !session->outbox.is_held() && !member->is_untold;
    if (member->holder == 0) ++context_.stats.room_leaves;
    if (member->holder == 0 || is_named) tell_left(*session, flow.room, joined.size, joined.version);
    member->is_due = false;
    const std::uint64_t next = other_join(*member, number);
    if (member->holder != 0 && next != 0) {
      if (member->holder == number) hand_over(*member, flow, std::exchange(flow.held, {}), next);
    } else if (next != 0) {
      hold_for(*member, next, flows_.at(next));
    } else {
      // What it held back was for a stay that is none, but for the end of one that the connection knows of.
      release_own_leaves(*session, flow, every_version);
      end_membership(*room, *session);
    }
  }
  finish(number, RoomDone{joined.result, joined.size, joined.version, joined.detail});
}

std::vector<RoomFlow::Held> RoomFlow::release_held(Session& session, Flow& flow, std::uint64_t version, bool is_last,
                                                   bool is_known) {
  std::vector<Held> held = std::exchange(flow.held, {});
  flow.held_bytes = 0;
  if (flow.held_lost != 0) session.outbox.note_dropped(std::exchange(flow.held_lost, 0));
  const LocalRoom* room = channels_.rooms().find(flow.room.view());
  if (room == nullptr) return {};
  const Topic topic = static_cast<Topic>(static_cast<std::uint32_t>(Topic::first_room) + room->number);
  for (auto each = held.begin(); each != held.end(); ++each) {
    if (each->version != 0 && each->version <= version) continue;
    if (each->is_own_leave) {
      each->is_due = each->is_due || is_known;
      if (!is_last) return {each, held.end()};
      if (!each->is_due) continue;
    }
    if (each->is_end) return {std::next(each), held.end()};
    if (delivery_.offer(session, std::move(each->frame), topic) == Delivery::Outcome::queued) {
      ++context_.stats.room_delivered;
    } else {
      ++context_.stats.room_dropped;
    }
  }
  return {};
}

void RoomFlow::hold_back(const RoomMember& member, Frame frame, std::uint64_t version) {
  const auto found = flows_.find(member.holder);
  if (found != flows_.end()) keep(found->second, Held{std::move(frame), version});
}

bool RoomFlow::release_own_leaves(Session& session, const Flow& flow, std::uint64_t version) {
  bool is_any = false;
  for (const Held& held : flow.held) {
    if (!held.is_own_leave || !held.is_due || held.version > version) continue;
    is_any = true;
    if (delivery_.offer(session, held.frame, Topic::presence) != Delivery::Outcome::queued) {
      ++context_.stats.room_dropped;
    }
  }
  return is_any;
}

void RoomFlow::keep(Flow& flow, Held held) {
  // An end and its word are kept whatever the bound: without it what came after would be heard, too.
  const bool is_of_end = held.is_end || held.is_own_leave;
  if (!is_of_end && flow.held_bytes + held.frame.size() > context_.outbox_rules.bound()) {
    ++context_.stats.room_dropped;
    if (held.version == 0) ++flow.held_lost;
    return;
  }
  flow.held_bytes += held.frame.size();
  flow.held.push_back(std::move(held));
}

void RoomFlow::hold_for(RoomMember& member, std::uint64_t number, Flow& join) {
  member.holder = number;
  member.joined_version = 0;
  join.is_again = false;
}

void RoomFlow::hand_over(RoomMember& member, Flow& from, std::vector<Held> rest, std::uint64_t number) {
  Flow& join = flows_.at(number);
  hold_for(member, number, join);
  for (Held& held : rest) keep(join, std::move(held));
  join.held_lost += std::exchange(from.held_lost, 0);
}

std::uint64_t RoomFlow::join_after(RoomMember& member, std::uint64_t number) {
  std::erase_if(member.joins, [this](std::uint64_t join) { return !flows_.contains(join); });
  const auto later = std::upper_bound(member.joins.begin(), member.joins.end(), number);
  return later == member.joins.end() ? 0 : *later;
}

std::uint64_t RoomFlow::other_join(RoomMember& member, std::uint64_t number) {
  const std::uint64_t first = join_after(member, 0);
  return first != number ? first : join_after(member, number);
}

void RoomFlow::refuse_join(std::uint64_t number, Errc result, std::string_view detail) {
  Flow& flow = flows_.at(number);
  Session* session = session_of(flow);
  LocalRoom* room = channels_.rooms().find(flow.room.view());
  RoomMember* member = session == nullptr || room == nullptr ? nullptr : room->find(session->id);
  if (member != nullptr) {
    // An end that came meanwhile is the client's own leave, unless the roster never had this join.
    const bool has_left = member->left_version > std::max(member->joined_version, member->answered) &&
                          !member->is_due && !member->is_swept;
    const bool is_asked = flow.who.kind != Requester::Kind::nobody;  // who asked is told, and may ask again
    if (const std::uint64_t next = other_join(*member, number); next != 0) {
      // Another one decides.
      if (member->holder == number) hand_over(*member, flow, std::exchange(flow.held, {}), next);
    } else if (is_of_store(result) && !has_left && (!is_asked || flow.is_again)) {
      postpone_join(number, *member, *session);
      if (has_unfinished()) retry_after_refusal();
    } else if (has_left || !flow.is_again) {
      release_own_leaves(*session, flow, every_version);
      end_membership(*room, *session);
      // What the store has not answered may have been carried out: then the roster lists somebody who is not there.
      if (is_of_store(result)) drop({flow.room, flow.client, attachment(flow.conn)});
    }
  }
  finish(number, RoomDone{result, 0, 0, std::string(detail)});
}

void RoomFlow::postpone_join(std::uint64_t number, RoomMember& member, Session& session) {
  Flow& flow = flows_.at(number);
  if (member.holder == number) {
    // Until it is in it hears what comes: nothing else would ever let go of what is held back.
    for (std::vector<Held> rest = release_held(session, flow, 0, true, true); !rest.empty();
         rest = release_held(session, flow, 0, true, true)) {
      flow.held = std::move(rest);
    }
    member.holder = 0;
    member.known_version = 1;
    member.joined_version = std::max<std::uint64_t>(flow.stay, 1);
  }
  if (other_join(member, number) != 0) return;  // it decides
  member.left_version = 0;
  if (const LocalRoom* room = channels_.rooms().find(flow.room.view())) try_join_later(session, *room, member);
}

void RoomFlow::try_join_later(const Session& session, const LocalRoom& room, RoomMember& member) {
  member.is_due = true;
  unfinished_joins_.emplace(session.id, room.name);
  retry_later();
}

}  // namespace wsr
