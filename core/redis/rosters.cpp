#include "core/redis/rosters.hpp"

#include <algorithm>
#include <map>
#include <utility>

#include "core/redis/batch.hpp"

namespace wsr::redis {
namespace {

constexpr int rechecks_max =
    8;  // each further one needs a further call that crossed; then the sweep is the last resort

std::uint64_t number(const Reply& reply) { return parse_u64(reply.text()).value_or(std::uint64_t(reply.integer())); }

/// A cursor is "0", or ">" and the last name seen: it stays good whatever comes and goes in between.
template <class Name>
bool is_cursor(std::string_view cursor) {
  return cursor == "0" || (cursor.starts_with('>') && Name::check(cursor.substr(1)).code == Errc::ok);
}
/// The same as ZRANGEBYLEX wants it.
std::string lex_from(std::string_view cursor) {
  return cursor == "0" ? "-" : std::string{"("}.append(cursor.substr(1));
}
/// Names are read one beyond the page, so the last page is known as the last.
std::string lex_count(std::uint32_t count) { return text_of(std::uint64_t{count} + 1); }

}  // namespace

void Rosters::eval_room(const Script& script, const RoomName& room, std::initializer_list<std::string_view> args,
                        Callback callback) {
  const RoomKeys keys = keys_.room(room);
  connection_.eval(script, {keys.members, keys.names, keys.version, keys.servers}, args, std::move(callback));
}

void Rosters::eval_stay(const Script& script, const RoomName& room, const ClientId& client,
                        std::initializer_list<std::string_view> args, Callback callback) {
  const RoomKeys keys = keys_.room(room);
  connection_.eval(script, {keys.members, keys.names, keys.version, keys.servers, keys_.room_left(room, client)}, args,
                   std::move(callback));
}

// ---------------------------------------------------------------- join

void Rosters::flush() {
  flush_joins();
  flush_drops();
}

void Rosters::call(Ticket ticket, JoinCall&& request) {
  flush_drops();
  joins_.push_back({order_.take_place(ticket), std::move(request)});
}

void Rosters::flush_joins() {
  const std::vector<PendingJoin> joins = std::exchange(joins_, {});
  std::span<const PendingJoin> rest = joins;
  while (!rest.empty()) {
    const JoinCall& first = rest.front().request;
    std::size_t count = 1;
    while (count < rest.size() && count < group_max && rest[count].request.client == first.client &&
           rest[count].request.at == first.at && rest[count].request.epoch == first.epoch) {
      ++count;
    }
    join_rooms(rest.first(count));
    rest = rest.subspan(count);
  }
}

/// Joins of one attachment that are under way together.
struct Rosters::JoinGroup {
  std::vector<PendingJoin> joins;
  Errc names = Errc::ok;  // what became of the names that had to be written first
  std::size_t left = 0;
  std::vector<std::string> replaced;  // notes of attachments whose place was taken
};

void Rosters::join_rooms(std::span<const PendingJoin> joins) {
  auto group = std::make_shared<JoinGroup>();
  group->joins.assign(joins.begin(), joins.end());
  group->left = joins.size();
  const auto named = [group](const Reply& reply) {
    if (group->names == Errc::ok) group->names = reply.result();
  };
  const ClientId& client = joins.front().request.client;
  const Attachment& at = joins.front().request.at;
  if (!view_.leases.is_live(at.server, std::chrono::steady_clock::now())) {
    // A join that outlived its server's lease: only a server in the registry is ever swept.
    connection_.eval(scripts::register_server, {keys_.servers()}, {at.server.view(), "if_missing"}, named);
  }
  std::vector<std::string> texts{text_of(joins.front().request.epoch.value)};
  const std::string index = keys_.room_index(at.server), rooms = keys_.client_rooms(client);
  for (const auto& [place, request] : joins) texts.push_back(room_index_entry(request.room, client, at));
  std::vector<std::string_view> words{"SADD", index};
  words.insert(words.end(), std::next(texts.begin()), texts.end());
  connection_.send(words, named);

  texts.resize(1);
  for (const auto& [place, request] : joins) texts.push_back(client_room(request.room, at));
  const std::string_view note_keys[] = {rooms};
  words.assign(texts.begin(), texts.end());
  connection_.eval(scripts::client_join, note_keys, words, named);

  words = {"ZADD", keys_.rooms()};
  for (const auto& [place, request] : joins) {
    words.push_back("0");
    words.push_back(request.room.view());
  }
  connection_.send(words, named);

  const bool has_room =
      options_.memberships_max == 0 || view_.memberships < static_cast<std::int64_t>(options_.memberships_max);
  for (std::size_t i = 0; i < joins.size(); ++i) {
    const JoinCall& request = joins[i].request;
    eval_stay(
        scripts::room_join, request.room, client,
        {client.view(), at.str(), text_of(request.epoch.value), keys_.channel({ChannelKind::room, request.room.str()}),
         has_room ? "1" : "0", text_of(request.known_version), text_of(request.stay), request.is_of_claim ? "1" : "0",
         request.replaces_older ? "1" : "0"},
        [this, group, i](const Reply& reply) { on_room_joined(group, i, reply); });
  }
}

void Rosters::on_room_joined(const std::shared_ptr<JoinGroup>& group, std::size_t index, const Reply& reply) {
  const auto& [place, request] = group->joins[index];
  Joined joined;
  joined.result = reply.result();
  if (joined.result == Errc::ok && group->names != Errc::ok) joined.result = group->names;
  const auto word = reply[0].text();
  if (joined.result == Errc::ok && word == "ok") {
    joined.size = number(reply[1]);
    joined.version = number(reply[2]);
    joined.has_begun = reply[4].integer() != 0;
    view_.memberships += reply[3].integer();
    for (std::size_t i = 5; i < reply.size(); ++i) {
      --view_.memberships;
      if (const auto at = Attachment::parse(reply[i].text())) {
        group->replaced.push_back(client_room(request.room, *at));
      }
    }
    // An unlist() of the room as it was before may have been between the name and the roster.
    if (joined.size == 1 && joined.has_begun) connection_.send({"ZADD", keys_.rooms(), "0", request.room.view()}, {});
  } else if (joined.result == Errc::ok) {
    undo_join(request);
    joined.size = number(reply[1]);
    if (joined.size == 0) unlist(request.room);
    if (word == "left") {
      joined.result = Errc::not_found;
      joined.version = number(reply[2]);
      joined.detail = "the client has left";
    } else if (word == "superseded") {
      joined.result = Errc::superseded;
      joined.detail = "a newer connection is in the room";
    } else {
      joined.result = Errc::capacity;
      joined.detail =
          "the membership table is full (" + text_of(options_.memberships_max) + " rows): raise --memberships-max";
    }
  }
  order_.fill(place, std::move(joined));
  if (--group->left == 0) end_joins(*group);
}

void Rosters::end_joins(const JoinGroup& group) {
  if (group.replaced.empty()) return;
  const JoinCall& first = group.joins.front().request;
  const std::string rooms = keys_.client_rooms(first.client), epoch = text_of(first.epoch.value);
  const std::string_view keys[] = {rooms};
  for (std::size_t from = 0; from < group.replaced.size(); from += group_max) {
    const std::size_t to = std::min(group.replaced.size(), from + group_max);
    std::vector<std::string_view> args{epoch};
    args.insert(args.end(), group.replaced.begin() + static_cast<std::ptrdiff_t>(from),
                group.replaced.begin() + static_cast<std::ptrdiff_t>(to));
    connection_.eval(scripts::client_replace, keys, args, {});
  }
}

// ---------------------------------------------------------------- leave and drop

void Rosters::call(Ticket ticket, const LeaveCall& request) {
  flush();
  const auto place = order_.take_place(ticket);
  const auto& [room, client, through, known_version, remember] = request;
  using Remember = LeaveCall::Remember;
  const std::uint64_t remembered_ms =
      remember == Remember::no ? 0 : std::chrono::milliseconds(leave_remembered).count();
  auto left = std::make_shared<Left>();
  auto removed = std::make_shared<std::vector<Attachment>>();
  auto batch = std::make_shared<Batch>([this, place, left, removed, request](Errc result) {
    if (result != Errc::ok) return order_.fill(place, Left{result});
    clean_up(request, *removed);
    if (left->result == Errc::ok && left->size == 0) unlist(request.room);
    order_.fill(place, *left);
  });
  eval_stay(scripts::room_leave, room, client,
            {client.view(), text_of(through.value), keys_.channel({ChannelKind::room, room.str()}),
             text_of(known_version), text_of(remembered_ms), remember == Remember::always ? "1" : "0"},
            batch->each([this, left, removed](const Reply& reply) {
              *left = {reply[0].integer() > 0 ? Errc::ok : Errc::not_found, number(reply[1]), number(reply[2])};
              view_.memberships -= reply[0].integer();
              for (std::size_t i = 3; i < reply.size(); ++i) {
                if (auto at = Attachment::parse(reply[i].text())) removed->push_back(std::move(*at));
              }
            }));
  connection_.eval(scripts::client_leave, {keys_.client_rooms(client)}, {room.view(), text_of(through.value)},
                   batch->each());
}

void Rosters::call(Ticket ticket, DropCall&& drop) {
  flush_joins();
  drops_.push_back({order_.take_place(ticket), std::move(drop.room), std::move(drop.client), std::move(drop.at)});
}

void Rosters::flush_drops() {
  const std::vector<PendingDrop> drops = std::exchange(drops_, {});
  std::span<const PendingDrop> rest = drops;
  while (!rest.empty()) {
    std::size_t count = 1;
    while (count < rest.size() && count < group_max && rest[count].client == rest.front().client &&
           rest[count].at == rest.front().at) {
      ++count;
    }
    // A few are not worth a question first.
    if (count < 4) {
      for (const PendingDrop& drop : rest.first(count)) drop_room(drop);
    } else {
      drop_rooms(rest.first(count));
    }
    rest = rest.subspan(count);
  }
}

// A note is written before the roster and goes after it, so what is not noted is not in the roster. Unless the notes
// are gone as a whole: then the store may have evicted them.
void Rosters::drop_rooms(std::span<const PendingDrop> pending) {
  auto drops = std::make_shared<std::vector<PendingDrop>>(pending.begin(), pending.end());
  auto is_noted = std::make_shared<bool>(false);
  const std::string notes = keys_.client_rooms(drops->front().client);
  connection_.send({"EXISTS", notes}, [is_noted](const Reply& reply) { *is_noted = reply.integer() == 1; });
  std::vector<std::string> fields;
  for (const PendingDrop& drop : *drops) fields.push_back(client_room(drop.room, drop.at));
  std::vector<std::string_view> words{"HMGET", notes};
  words.insert(words.end(), fields.begin(), fields.end());
  connection_.send(words, [this, drops, is_noted](const Reply& reply) {
    if (reply.result() != Errc::ok) {
      for (const PendingDrop& drop : *drops) order_.fill(drop.place, Left{reply.result()});
      return;
    }
    const PendingDrop& first = drops->front();
    const std::string index = keys_.room_index(first.at.server);
    std::vector<std::string> entries;
    std::vector<std::uint64_t> replaced;
    for (std::size_t i = 0; i < drops->size(); ++i) {
      const PendingDrop& drop = (*drops)[i];
      if (*is_noted && reply[i].is_nil()) {
        entries.push_back(room_index_entry(drop.room, drop.client, drop.at));
        replaced.push_back(drop.place);
      } else {
        drop_room(drop);
      }
    }
    if (entries.empty()) return;
    std::vector<std::string_view> gone{"SREM", index};
    gone.insert(gone.end(), entries.begin(), entries.end());
    connection_.send(gone, [this, replaced](const Reply& removed) {
      const Errc result = removed.result() == Errc::ok ? Errc::not_found : removed.result();
      for (const std::uint64_t place : replaced) order_.fill(place, Left{result});
    });
  });
}

void Rosters::drop_room(const PendingDrop& drop) {
  const auto& [place, room, client, at] = drop;
  auto left = std::make_shared<Left>();
  auto batch = std::make_shared<Batch>([this, place = place, left, room = room](Errc result) {
    if (result != Errc::ok) return order_.fill(place, Left{result});
    if (left->result == Errc::ok && left->size == 0) unlist(room);
    order_.fill(place, *left);
  });
  eval_room(scripts::room_drop, room,
            {client.view(), at.str(), "", keys_.channel({ChannelKind::room, room.str()}), "leave"},
            batch->each([this, left](const Reply& reply) {
              *left = {reply[0].integer() > 0 ? Errc::ok : Errc::not_found, number(reply[1]), number(reply[2])};
              view_.memberships -= reply[0].integer();
            }));
  connection_.send({"HDEL", keys_.client_rooms(client), client_room(room, at)}, batch->each());
  connection_.send({"SREM", keys_.room_index(at.server), room_index_entry(room, client, at)}, batch->each());
}

// ---------------------------------------------------------------- names behind the roster

/// Attachments whose names may be wrong, and how each was written last.
struct Rosters::Recheck {
  enum class Names : std::uint8_t { removed, written };

  RoomName room;
  ClientId client;
  Epoch through;  // 0: only the attachments in `names`; else also those up to it that a crossing join brought
  std::map<Attachment, Names> names;
  int rounds = 0;
};

void Rosters::undo_join(const JoinCall& request) {
  auto undone = std::make_shared<Recheck>();
  *undone = {request.room, request.client, {}, {{request.at, Recheck::Names::removed}}, 0};
  connection_.send(
      {"SREM", keys_.room_index(request.at.server), room_index_entry(request.room, request.client, request.at)}, {});
  connection_.send({"HDEL", keys_.client_rooms(request.client), client_room(request.room, request.at)}, {});
  recheck(undone);
}

void Rosters::clean_up(const LeaveCall& request, const std::vector<Attachment>& removed) {
  auto cleaned = std::make_shared<Recheck>();
  *cleaned = {request.room, request.client, request.through, {}, 0};
  for (const Attachment& at : removed) {
    connection_.send({"SREM", keys_.room_index(at.server), room_index_entry(request.room, request.client, at)}, {});
    cleaned->names.emplace(at, Recheck::Names::removed);
  }
  recheck(cleaned);
}

void Rosters::recheck(const std::shared_ptr<Recheck>& check) {
  if (++check->rounds > rechecks_max) return;
  connection_.send({"HGET", keys_.room(check->room).members, check->client.view()}, [this, check](const Reply& reply) {
    if (reply.result() != Errc::ok) return;
    std::map<Attachment, Epoch> there;
    for (auto& [at, epoch] : parse_devices(reply.text())) {
      if (epoch <= check->through) check->names.try_emplace(at, Recheck::Names::removed);
      there.emplace(at, epoch);
    }
    bool is_any_wrong = false;
    for (auto& [at, names] : check->names) {
      const auto found = there.find(at);
      const auto right = found == there.end() ? Recheck::Names::removed : Recheck::Names::written;
      if (names == right) continue;
      names = right;
      is_any_wrong = true;
      const std::string index = keys_.room_index(at.server), entry = room_index_entry(check->room, check->client, at);
      const std::string rooms = keys_.client_rooms(check->client), note = client_room(check->room, at);
      if (right == Recheck::Names::written) {
        connection_.send({"SADD", index, entry}, {});
        connection_.eval(scripts::client_join, {rooms}, {text_of(found->second.value), note}, {});
      } else {
        connection_.send({"SREM", index, entry}, {});
        connection_.send({"HDEL", rooms, note}, {});
      }
    }
    if (is_any_wrong) recheck(check);  // the roster may have changed before the names were there
  });
}

void Rosters::unlist(const RoomName& room) {
  connection_.send({"ZREM", keys_.rooms(), room.view()}, {});
  connection_.send({"EXISTS", keys_.room(room).members}, [this, room](const Reply& reply) {
    if (reply.result() == Errc::ok && reply.integer() == 1) {
      connection_.send({"ZADD", keys_.rooms(), "0", room.view()}, {});
    }
  });
}

// ---------------------------------------------------------------- pages

void Rosters::call(Ticket ticket, const RosterPageCall& asked) {
  flush();
  const auto place = order_.take_place(ticket);
  if (!is_cursor<ClientId>(asked.cursor)) {
    return connection_.later([this, place] { order_.fill(place, RosterPage{Errc::bad_request, {}, "0", 0, 0}); });
  }
  const std::uint32_t count = std::clamp<std::uint32_t>(asked.count, 1, page_max);
  const auto on_page = [this, place, count](const Reply& reply) {
    RosterPage page;
    page.result = reply.result();
    page.cursor = "0";
    if (page.result != Errc::ok) return order_.fill(place, std::move(page));
    page.size = number(reply[0]);
    page.version = number(reply[1]);
    const std::size_t end = std::min<std::size_t>(reply.size(), 2 + std::size_t{count});
    for (std::size_t i = 2; i < end; ++i) page.members.push_back(ClientId::trusted(reply[i].text()));
    if (reply.size() > end) page.cursor = '>' + page.members.back().str();
    order_.fill(place, std::move(page));
  };
  eval_room(scripts::room_page, asked.room, {lex_from(asked.cursor), lex_count(count)}, on_page);
}

void Rosters::call(Ticket ticket, const RoomInfoCall& asked) {
  flush();
  const auto place = order_.take_place(ticket);
  eval_room(scripts::room_info, asked.room, {}, [this, place](const Reply& reply) {
    RoomInfo info{reply.result(), number(reply[0]), number(reply[1]), {}};
    for (std::size_t i = 2; i + 1 < reply.size(); i += 2) {
      info.servers.emplace_back(ServerId::trusted(reply[i].text()), number(reply[i + 1]));
    }
    std::sort(info.servers.begin(), info.servers.end());
    order_.fill(place, std::move(info));
  });
}

void Rosters::call(Ticket ticket, const FindCall& asked) {
  flush();
  const auto place = order_.take_place(ticket);
  eval_room(scripts::room_find, asked.room, {asked.client.view()}, [this, place](const Reply& reply) {
    std::map<ServerId, std::uint64_t> servers;
    for (std::size_t i = 2; i < reply.size(); ++i) {
      if (const auto at = Attachment::parse(reply[i].text())) ++servers[at->server];
    }
    order_.fill(place, RoomInfo{reply.result(), number(reply[0]), number(reply[1]), {servers.begin(), servers.end()}});
  });
}

/// Where one RoomsCall is.
struct Rosters::RoomListing {
  Ticket ticket;
  std::uint32_t count = 0;
  std::string cursor;
  std::vector<RoomName> names;       // of this round
  std::vector<std::uint64_t> sizes;  // their rosters'
};

void Rosters::call(Ticket ticket, const RoomsCall& asked) {
  flush();
  auto listing = std::make_shared<RoomListing>();
  listing->ticket = ticket;
  listing->count = std::clamp<std::uint32_t>(asked.count, 1, page_max);
  listing->cursor = asked.cursor;
  if (!is_cursor<RoomName>(asked.cursor)) {
    return connection_.later([this, listing] { end_listing(listing, Errc::bad_request); });
  }
  list_rooms(listing);
}

void Rosters::list_rooms(const std::shared_ptr<RoomListing>& listing) {
  connection_.send(
      {"ZRANGEBYLEX", keys_.rooms(), lex_from(listing->cursor), "+", "LIMIT", "0", lex_count(listing->count)},
      [this, listing](const Reply& reply) {
        if (reply.result() != Errc::ok || reply.size() == 0) {
          listing->names.clear();
          listing->cursor = "0";
          return end_listing(listing, reply.result());
        }
        const std::size_t end = std::min<std::size_t>(reply.size(), listing->count);
        listing->names.clear();
        for (std::size_t i = 0; i < end; ++i) listing->names.push_back(RoomName::trusted(reply[i].text()));
        listing->sizes.assign(end, 0);
        listing->cursor = reply.size() > end ? '>' + listing->names.back().str() : "0";
        auto batch = std::make_shared<Batch>([this, listing](Errc result) { end_listing(listing, result); });
        for (std::size_t i = 0; i < end; ++i) {
          connection_.send({"HLEN", keys_.room(listing->names[i]).members},
                           batch->each([listing, i](const Reply& size) { listing->sizes[i] = number(size); }));
        }
      });
}

void Rosters::end_listing(const std::shared_ptr<RoomListing>& listing, Errc result) {
  RoomPage page;
  page.result = result;
  page.cursor = "0";
  if (result == Errc::ok) {
    for (std::size_t i = 0; i < listing->names.size(); ++i) {
      // The list is a superset: a server that died between name and roster has left a name behind.
      if (listing->sizes[i] == 0) {
        unlist(listing->names[i]);
      } else {
        page.rooms.emplace_back(listing->names[i], listing->sizes[i]);
      }
    }
    if (page.rooms.empty() && listing->cursor != "0") return list_rooms(listing);
    page.cursor = listing->cursor;
  }
  answers_.on_answer(listing->ticket, std::move(page));
}

}  // namespace wsr::redis
