#include "core/routing/room_fanout.hpp"

#include <algorithm>
#include <optional>

#include "core/wire/client_protocol.hpp"

namespace wsr {
namespace {

Topic topic_of(const LocalRoom& room) {
  return static_cast<Topic>(static_cast<std::uint32_t>(Topic::first_room) + room.number);
}

std::uint64_t store_ms(const RouterContext& context) {
  return static_cast<std::uint64_t>(std::max<std::int64_t>(store_millis(context.ports.clock.store_now()).count(), 0));
}

/// When a push that is made now has been answered, whatever has become of it.
std::uint64_t deadline_of(const RouterContext& context) {
  return store_ms(context) +
         static_cast<std::uint64_t>(
             std::chrono::ceil<std::chrono::milliseconds>(context.limits().receipt_timeout).count());
}

/// A message waits this long at most between its signature and the channel, in a busy sender and a busy store.
constexpr std::chrono::seconds signed_before_max{2};

/// One message in the forms that the sessions of this shard want, each encoded when it is first asked for.
class SharedFrame {
public:
  explicit SharedFrame(std::string_view json) : json_(json) {}
  [[nodiscard]] const Frame& as(Framing framing) {
    if (framing == Framing::websocket) {
      if (websocket_.size() == 0) websocket_ = Delivery::text_frame(json_);
      return websocket_;
    }
    if (raw_.size() == 0) raw_ = Frame::copy_of(json_);
    return raw_;
  }

private:
  std::string_view json_;
  Frame websocket_, raw_;
};

}  // namespace

// ---------------------------------------------------------------- out

RoomFanout::Numbering& RoomFanout::numbering(std::string_view room) {
  if (const auto known = numberings_.find(room); known != numberings_.end()) return known->second;
  if (numberings_.size() >= numberings_max) numberings_.clear();
  const auto base = static_cast<std::uint64_t>(context_.ports.clock.store_now().time_since_epoch().count());
  return numberings_.emplace(std::string(room), Numbering{base, base}).first->second;
}

void RoomFanout::push(const Utterance& utterance) {
  ++context_.stats.room_pushes;
  const std::uint64_t number = ++last_;
  const bool wants_receipt = utterance.wait == Wait::for_word;
  Pushed pushed;
  pushed.conn = utterance.conn;
  pushed.ticket = utterance.ticket;
  pushed.id = utterance.id;
  pushed.room = utterance.target;
  pushed.wait = utterance.wait;
  if (wants_receipt && deadlines_.size() >= context_.limits().room_flows_max) {
    pushes_.emplace(number, std::move(pushed));
    return finish(number, RoomPushed{.result = Errc::capacity, .detail = "too many pushes wait for their receipts"});
  }
  Numbering& numbers = numbering(utterance.target);
  const RoomMessage message{
      .from_server = context_.options.self.server.view(),
      .from_shard = context_.options.self.shard,
      .skip_conn = utterance.echo == Echo::no ? utterance.conn.value : 0,
      .skips_client = utterance.echo == Echo::no && utterance.conn == ConnId{},
      .receipt = wants_receipt ? number : 0,
      .deadline = deadline_of(context_),
      .base = numbers.base,
      .seq = numbers.next++,
      .from = utterance.from,
      .data = utterance.data,
  };
  if (wants_receipt) {
    pushed.deadline = context_.now() + context_.limits().receipt_timeout;
    deadlines_.emplace(pushed.deadline, number);
  }
  pushes_.emplace(number, std::move(pushed));
  context_.ports.store.call(RouterCall{CallKind::room, number}.ticket(),
                            PublishCall{Channel{ChannelKind::room, std::string(utterance.target)},
                                        encode_room_message(message, context_.options.keys, utterance.target,
                                                            store_millis(context_.ports.clock.store_now()))});
}

void RoomFanout::on_published(std::uint64_t number, const Published& published) {
  const auto found = pushes_.find(number);
  if (found == pushes_.end()) return;
  Pushed& pushed = found->second;
  if (published.result != Errc::ok) {
    ++context_.stats.room_pushes_failed;
    return finish(number,
                  RoomPushed{.result = published.result,
                             .detail = "the store did not take the message, or its answer was lost: it may have been "
                                       "delivered, and is not sent again"});
  }
  if (pushed.wait == Wait::not_at_all) {
    pushes_.erase(found);
    return;
  }
  pushed.is_published = true;
  pushed.receivers = published.receivers;
  pushed.ask_at = context_.now() + patience;
  impatient_.emplace(pushed.ask_at, number);
  end_if_complete(number);
}

void RoomFanout::on_receipt(const ShardAddress& from, const EntryRoomReceipt& receipt) {
  const auto found = pushes_.find(receipt.receipt);
  if (found == pushes_.end() || found->second.wait == Wait::not_at_all) return;
  Pushed& pushed = found->second;
  auto server = std::find_if(pushed.answering.begin(), pushed.answering.end(),
                             [&from](const auto& each) { return each.server == from.server; });
  if (server == pushed.answering.end()) {
    pushed.answering.push_back({from.server, std::max<std::uint32_t>(receipt.parts, 1), 0});
    server = std::prev(pushed.answering.end());
  }
  server->connections += receipt.connections;
  if (server->parts_left != 0 && --server->parts_left == 0) ++pushed.complete;
  end_if_complete(receipt.receipt);
}

RoomPushed RoomFanout::sum_of(const Pushed& pushed) {
  RoomPushed sum;
  for (const auto& each : pushed.answering) {
    if (each.connections != 0) ++sum.servers;
    sum.connections += each.connections;
  }
  if (pushed.expected) {
    sum.unknown = static_cast<std::uint64_t>(
        std::count_if(pushed.expected->begin(), pushed.expected->end(),
                      [&pushed](const ServerId& server) { return !pushed.is_answered_by(server); }));
  } else {
    sum.unknown = pushed.receivers - std::min(pushed.receivers, pushed.complete);
  }
  return sum;
}

bool RoomFanout::Pushed::is_answered_by(const ServerId& server) const {
  return std::any_of(answering.begin(), answering.end(),
                     [&server](const Answering& each) { return each.server == server && each.parts_left == 0; });
}

void RoomFanout::on_info(std::uint64_t number, const RoomInfo& info) {
  const auto found = pushes_.find(number);
  if (found == pushes_.end() || info.result != Errc::ok) return;
  auto& expected = found->second.expected.emplace();
  for (const auto& [server, members] : info.servers) {
    // One that the registry did not know when it was read last may have come since.
    const auto until = leased_until_(server);
    if (server == context_.options.self.server || !until || *until > context_.now()) expected.push_back(server);
  }
  end_if_complete(number);
}

void RoomFanout::on_server_gone(const ServerId& server) {
  std::vector<std::uint64_t> waiting;
  for (auto& [number, pushed] : pushes_) {
    if (pushed.expected && std::erase(*pushed.expected, server) != 0) waiting.push_back(number);
  }
  std::sort(waiting.begin(), waiting.end());  // not in the order of a hash table
  for (const std::uint64_t number : waiting) end_if_complete(number);
}

void RoomFanout::end_if_complete(std::uint64_t number) {
  const Pushed& pushed = pushes_.at(number);
  if (!pushed.is_published) return;
  const bool is_complete =
      pushed.complete >= pushed.receivers ||
      (pushed.expected && std::all_of(pushed.expected->begin(), pushed.expected->end(),
                                      [&](const auto& each) { return pushed.is_answered_by(each); }));
  if (is_complete) finish(number, sum_of(pushed));
}

void RoomFanout::finish(std::uint64_t number, const RoomPushed& done) {
  const auto node = pushes_.extract(number);
  const Pushed& pushed = node.mapped();
  if (pushed.deadline != Time{}) deadlines_.erase({pushed.deadline, number});
  if (pushed.ask_at != Time{}) impatient_.erase({pushed.ask_at, number});
  if (pushed.conn == ConnId{}) {
    if (pushed.wait == Wait::for_word) context_.ports.application.on_pushed(pushed.ticket, done);
    return;
  }
  Session* session = context_.sessions.find(pushed.conn);
  if (session == nullptr || session->phase == Session::Phase::closing) return;
  if (done.result != Errc::ok) {
    delivery_.complain(*session, pushed.id, to_string(done.result), done.detail);
  } else {
    text_.clear();
    append_pushed(text_, pushed.id, pushed.room, done.servers, done.connections, done.unknown);
    delivery_.say(*session, text_);
  }
  if (pushed.wait == Wait::for_word) delivery_.answered(*session);
}

// ---------------------------------------------------------------- in

void RoomFanout::on_event(std::string_view name, std::string_view bytes, std::uint32_t parts) {
  const auto event =
      decode_room_event(bytes, context_.options.keys, name, store_millis(context_.ports.clock.store_now()));
  LocalRoom* room = channels_.rooms().find(name);
  // Until the subscription is confirmed nobody here is in the room: what comes is left from an earlier subscription.
  if (room != nullptr && room->channel != LocalRoom::Channel::held) room = nullptr;
  if (const auto* message = std::get_if<RoomMessage>(&event)) return take(room, name, *message, parts);
  if (const auto* presence = std::get_if<PresenceEvent>(&event)) {
    if (!is_believable(*presence)) {
      ++context_.stats.bad_batches;
    } else if (room != nullptr) {
      take(*room, *presence);
    }
    return;
  }
  ++context_.stats.bad_batches;
}

void RoomFanout::take(LocalRoom* room, std::string_view name, const RoomMessage& message, std::uint32_t parts) {
  const auto server = ServerId::parse(message.from_server);
  if (!server) {
    ++context_.stats.bad_batches;
    return;
  }
  const ShardAddress sender{*server, message.from_shard};
  std::uint64_t connections = 0;
  if (room != nullptr && !note_heard(*room, message, sender)) {
    ++context_.stats.bad_batches;
    return;
  }
  const bool is_over = message.deadline != 0 && message.deadline < store_ms(context_);
  if (is_over) ++context_.stats.room_expired;
  if (room != nullptr && room->is_used()) {
    text_.clear();
    if (is_over) {
      // Its sender has been told how many it reached, so it reaches no more; the members hear that they missed it.
      append_dropped(text_, 1, "expired");
      (void)give(*room, message, sender, Topic::answer);
    } else {
      append_room_message(text_, name, message.from, message.data);
      connections = give(*room, message, sender, topic_of(*room));
      if (room->watchers != 0) context_.ports.application.on_room_message(room->name, message.from, message.data);
    }
  }
  if (message.receipt == 0) return;
  const EntryRoomReceipt receipt{.receipt = message.receipt, .connections = connections, .parts = parts};
  if (sender == context_.options.self) return on_receipt(sender, receipt);
  tell_(sender, receipt);
}

std::uint64_t RoomFanout::give(LocalRoom& room, const RoomMessage& message, const ShardAddress& sender, Topic topic) {
  SharedFrame frame(text_);
  const ConnId skipped{sender == context_.options.self ? message.skip_conn : 0};
  std::uint64_t connections = 0;
  // By index: a connection that the policy gives up is only marked, but what a handler does is its own affair.
  for (std::size_t i = 0; i < room.members.size(); ++i) {
    const RoomMember& member = room.members[i];
    if (member.conn == skipped) continue;
    Session* session = context_.sessions.find(member.conn);
    if (session == nullptr || session->phase != Session::Phase::open) continue;
    if (message.skips_client && session->client.view() == message.from) continue;
    if (member.joined_version == 0) {
      flow_.hold_back(member, frame.as(session->framing), 0);
      ++connections;
    } else if (delivery_.offer(*session, frame.as(session->framing), topic) == Delivery::Outcome::queued) {
      if (topic != Topic::answer) ++context_.stats.room_delivered;
      ++connections;
    } else {
      ++context_.stats.room_dropped;
    }
  }
  return connections;
}

bool RoomFanout::is_believable(const PresenceEvent& event) const {
  const auto latest = (context_.ports.clock.store_now() + version_ahead_max).time_since_epoch().count();
  return event.version <= static_cast<std::uint64_t>(std::max<std::int64_t>(latest, 0));
}

bool RoomFanout::note_heard(LocalRoom& room, const RoomMessage& message, const ShardAddress& sender) {
  auto heard = std::find_if(room.heard.begin(), room.heard.end(),
                            [&sender](const LocalRoom::Heard& each) { return each.sender == sender; });
  if (heard == room.heard.end()) {
    const bool is_old = message.time.count() != 0 && message.time + signed_before_max < store_millis(room.held_since);
    if (is_old) return false;
    if (room.heard.size() >= LocalRoom::heard_max) room.heard.erase(room.heard.begin());
    room.heard.push_back({sender, message.base, message.seq + 1});
    return true;
  }
  // Another numbering begins at the store's time, so above all that came before. Without a base nothing is numbered.
  const bool is_numbered = message.base != 0;
  if (is_numbered && (message.base < heard->base || (message.base == heard->base && message.seq < heard->next))) {
    return false;
  }
  if (heard->base == message.base && message.seq > heard->next) {
    ++context_.stats.room_gaps;
    context_.stats.room_missed += message.seq - heard->next;
  }
  heard->base = message.base;
  heard->next = message.seq + 1;
  return true;
}

void RoomFanout::tell_count(LocalRoom& room, std::uint64_t size, std::uint64_t version) {
  room.told_version = version;
  tell_presence(room, "count", {}, size, version);
}

void RoomFanout::take(LocalRoom& room, const PresenceEvent& event) {
  const bool is_single = event.size <= context_.limits().presence_events_max;
  // A room that was only counted tells single events again: first how many they were.
  const bool was_counted = room.size > context_.limits().presence_events_max && room.version > room.told_version;
  if (is_single && was_counted && event.version > room.version) tell_count(room, room.size, room.version);
  if (event.version > room.version) {
    room.version = event.version;
    room.size = event.size;
  }
  if (is_single) {
    const auto word = event.kind == PresenceEvent::Kind::join ? std::string_view("join") : std::string_view("leave");
    room.told_version = std::max(room.told_version, event.version);
    tell_presence(room, word, event.client, event.size, event.version);
  } else {
    channels_.count_later(room);
  }
  if (room.watchers != 0) {
    context_.ports.application.on_room_presence(
        room.name,
        RoomPresence{.kind = event.kind, .client = event.client, .size = event.size, .version = event.version});
  }
  flow_.on_presence(room, event);
}

void RoomFanout::tell_presence(LocalRoom& room, std::string_view event, std::string_view client, std::uint64_t size,
                               std::uint64_t version) {
  ++context_.stats.presence_events;
  std::optional<SharedFrame> shared;  // in a room where nobody wants presence nothing is encoded
  const auto frame_for = [&](const Session& session) -> const Frame& {
    if (!shared) {
      text_.clear();
      append_presence(text_, room.name.view(), event, client, size, version);
      shared.emplace(text_);
    }
    return shared->as(session.framing);
  };
  const bool is_count = client.empty();
  for (const RoomMember& member : room.members) {
    // A single event up to its own join is no news to a member; a count is for all.
    const bool is_news = is_count || member.joined_version == 0 || member.known_version < version;
    if (!member.wants_presence || !is_news) continue;
    Session* session = context_.sessions.find(member.conn);
    if (session == nullptr || session->phase != Session::Phase::open) continue;
    if (!is_count && session->client.view() == client) {
      // Its own leave it hears from RoomFlow; of its join it may have been told.
      if (event == "leave" || version <= member.told_version) continue;
    }
    if (is_count && version <= member.known_version) continue;  // with that its stay began
    if (member.joined_version == 0) {
      flow_.hold_back(member, frame_for(*session), version);
    } else if (delivery_.offer(*session, frame_for(*session), Topic::presence) == Delivery::Outcome::refused) {
      ++context_.stats.room_dropped;
    }
  }
}

// ---------------------------------------------------------------- watchers

void RoomFanout::watch(const RoomName& name) {
  LocalRoom& room = channels_.rooms().make(name);
  ++room.watchers;
  const bool is_held = room.channel == LocalRoom::Channel::held;
  channels_.need(room);
  if (is_held) context_.ports.application.on_watching(name, Errc::ok);
}

void RoomFanout::unwatch(const RoomName& name) {
  LocalRoom* room = channels_.rooms().find(name.view());
  if (room == nullptr || room->watchers == 0) return;
  --room->watchers;
  channels_.release(*room);
}

void RoomFanout::on_channel(const LocalRoom& room, Errc result) {
  if (room.watchers != 0) context_.ports.application.on_watching(room.name, result);
}

// ---------------------------------------------------------------- time

std::optional<Time> RoomFanout::next_deadline() const {
  std::optional<Time> next;
  for (const auto* set : {&deadlines_, &impatient_}) {
    if (!set->empty() && (!next || set->begin()->first < *next)) next = set->begin()->first;
  }
  return next;
}

void RoomFanout::on_time() {
  while (!impatient_.empty() && impatient_.begin()->first <= context_.now()) {
    const std::uint64_t number = impatient_.begin()->second;
    impatient_.erase(impatient_.begin());
    Pushed& pushed = pushes_.at(number);
    pushed.ask_at = Time{};
    context_.ports.store.call(RouterCall{CallKind::publish, number}.ticket(),
                              RoomInfoCall{RoomName::trusted(pushed.room)});
  }
  while (!deadlines_.empty() && deadlines_.begin()->first <= context_.now()) {
    const std::uint64_t number = deadlines_.begin()->second;
    const Pushed& pushed = pushes_.at(number);
    if (!pushed.is_published) {
      finish(number, RoomPushed{.result = Errc::timeout, .detail = "the store did not answer in time"});
      continue;
    }
    finish(number, sum_of(pushed));
  }
  for (LocalRoom* room : channels_.take_due_counts()) {
    if (room->version <= room->told_version) continue;
    if (room->size > context_.limits().presence_events_max) {
      tell_count(*room, room->size, room->version);
      continue;
    }
    // Single events are told here, and one that an answer knew of first may still come: what was known a second ago
    // has come by now, or is lost; what is newer has a second of its own.
    if (room->awaited_version > room->told_version) tell_count(*room, room->awaited_size, room->awaited_version);
    if (room->version > room->told_version) channels_.count_later(*room);
  }
}

}  // namespace wsr
