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

void Rosters::join(Ticket ticket, const JoinRequest& request) {
  const auto place = order_.take_place(ticket);
  const auto& [room, client, at, epoch, known_version, stay, is_of_claim] = request;
  auto joined = std::make_shared<Joined>();
  auto batch = std::make_shared<Batch>([this, place, joined](Errc result) {
    order_.fill(place, result == Errc::ok ? std::move(*joined) : Joined{result, 0, 0, {}});
  });
  if (!view_.leases.is_live(at.server, std::chrono::steady_clock::now())) {
    // A join that outlived its server's lease: only a server in the registry is ever swept.
    connection_.eval(scripts::register_server, {keys_.servers()}, {at.server.view(), "if_missing"}, batch->each());
  }
  connection_.send({"SADD", keys_.room_index(at.server), room_index_entry(room, client, at)}, batch->each());
  connection_.eval(scripts::client_join, {keys_.client_rooms(client)}, {client_room(room, at), text_of(epoch.value)},
                   batch->each());
  connection_.send({"ZADD", keys_.rooms(), "0", room.view()}, batch->each());
  const bool has_room =
      options_.memberships_max == 0 || view_.memberships < static_cast<std::int64_t>(options_.memberships_max);
  eval_stay(scripts::room_join, room, client,
            {client.view(), at.str(), text_of(epoch.value), keys_.channel({ChannelKind::room, room.str()}),
             has_room ? "1" : "0", text_of(known_version), text_of(stay), is_of_claim ? "1" : "0"},
            batch->each([this, joined, request](const Reply& reply) {
              if (reply[0].text() != "ok") {
                undo_join(request);
                if (reply[1].integer() == 0) unlist(request.room);
                if (reply[0].text() == "left") {
                  *joined = {Errc::not_found, number(reply[1]), number(reply[2]), "the client has left"};
                  return;
                }
                joined->result = Errc::capacity;
                joined->detail = "the membership table is full (" + text_of(options_.memberships_max) +
                                 " rows): raise --memberships-max";
                return;
              }
              joined->size = number(reply[1]);
              joined->version = number(reply[2]);
              joined->has_begun = reply[4].integer() != 0;
              view_.memberships += reply[3].integer();
              // An unlist() of the room as it was before may have been between the name and the roster.
              if (joined->size == 1) connection_.send({"ZADD", keys_.rooms(), "0", request.room.view()}, {});
            }));
}

// ---------------------------------------------------------------- leave and drop

void Rosters::leave(Ticket ticket, const LeaveRequest& request) {
  const auto place = order_.take_place(ticket);
  const auto& [room, client, through, known_version, remember] = request;
  using Remember = LeaveRequest::Remember;
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

void Rosters::drop(Ticket ticket, const RoomName& room, const ClientId& client, const Attachment& at) {
  const auto place = order_.take_place(ticket);
  auto left = std::make_shared<Left>();
  auto batch = std::make_shared<Batch>([this, place, left, room](Errc result) {
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

void Rosters::undo_join(const JoinRequest& request) {
  auto undone = std::make_shared<Recheck>();
  *undone = {request.room, request.client, {}, {{request.at, Recheck::Names::removed}}, 0};
  connection_.send(
      {"SREM", keys_.room_index(request.at.server), room_index_entry(request.room, request.client, request.at)}, {});
  connection_.send({"HDEL", keys_.client_rooms(request.client), client_room(request.room, request.at)}, {});
  recheck(undone);
}

void Rosters::clean_up(const LeaveRequest& request, const std::vector<Attachment>& removed) {
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
        connection_.eval(scripts::client_join, {rooms}, {note, text_of(found->second.value)}, {});
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

void Rosters::page(Ticket ticket, const RoomName& room, std::string_view cursor, std::uint32_t count) {
  const auto place = order_.take_place(ticket);
  if (!is_cursor<ClientId>(cursor)) {
    return connection_.later([this, place] { order_.fill(place, RosterPage{Errc::bad_request, {}, "0", 0, 0}); });
  }
  count = std::clamp<std::uint32_t>(count, 1, page_max);
  eval_room(scripts::room_page, room, {lex_from(cursor), lex_count(count)}, [this, place, count](const Reply& reply) {
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
  });
}

void Rosters::info(Ticket ticket, const RoomName& room) {
  const auto place = order_.take_place(ticket);
  eval_room(scripts::room_info, room, {}, [this, place](const Reply& reply) {
    RoomInfo info{reply.result(), number(reply[0]), number(reply[1]), {}};
    for (std::size_t i = 2; i + 1 < reply.size(); i += 2) {
      info.servers.emplace_back(ServerId::trusted(reply[i].text()), number(reply[i + 1]));
    }
    std::sort(info.servers.begin(), info.servers.end());
    order_.fill(place, std::move(info));
  });
}

void Rosters::find(Ticket ticket, const RoomName& room, const ClientId& client) {
  const auto place = order_.take_place(ticket);
  eval_room(scripts::room_find, room, {client.view()}, [this, place](const Reply& reply) {
    std::map<ServerId, std::uint64_t> servers;
    for (std::size_t i = 2; i < reply.size(); ++i) {
      if (const auto at = Attachment::parse(reply[i].text())) ++servers[at->server];
    }
    order_.fill(place, RoomInfo{reply.result(), number(reply[0]), number(reply[1]), {servers.begin(), servers.end()}});
  });
}

/// Where one rooms() call is.
struct Rosters::RoomListing {
  Ticket ticket;
  std::uint32_t count = 0;
  std::string cursor;
  std::vector<RoomName> names;       // of this round
  std::vector<std::uint64_t> sizes;  // their rosters'
};

void Rosters::rooms(Ticket ticket, std::string_view cursor, std::uint32_t count) {
  auto listing = std::make_shared<RoomListing>();
  listing->ticket = ticket;
  listing->count = std::clamp<std::uint32_t>(count, 1, page_max);
  listing->cursor = cursor;
  if (!is_cursor<RoomName>(cursor)) {
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
