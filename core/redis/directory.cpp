#include "core/redis/directory.hpp"

#include <algorithm>
#include <cassert>
#include <nlohmann/json.hpp>
#include <tuple>
#include <utility>

#include "core/redis/batch.hpp"
#include "core/redis/sweep.hpp"
#include "core/wire/json_scan.hpp"

namespace wsr::redis {
namespace {

using SteadyClock = std::chrono::steady_clock;

std::string micros(StoreTime time) {
  return text_of(static_cast<std::uint64_t>(std::max<std::int64_t>(time.time_since_epoch().count(), 0)));
}
StoreTime from_micros(std::int64_t value) { return StoreTime{std::chrono::microseconds{value}}; }
StoreTime from_millis(std::int64_t value) { return StoreTime{std::chrono::milliseconds{value}}; }

/// What TIME answers.
StoreTime store_time(const Reply& reply) { return from_micros(reply[0].integer() * 1'000'000 + reply[1].integer()); }

std::string info_text(const ServerInfo& info, std::chrono::milliseconds lease) {
  const nlohmann::json json{{"url", info.url},         {"connections", info.connections},
                            {"shards", info.shards},   {"bus_version", info.bus_version},
                            {"version", info.version}, {"lease_ms", lease.count()}};
  return json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

/// Tolerant: a newer version may say more, and a broken text must not hide a living server.
void read_lease(std::string_view text, ServerRow& row) {
  constexpr std::uint64_t lease_ms_max = 24 * 3'600'000;  // a day: no server of ours has a longer one
  if (!is_plain_json_value(text)) return;
  JsonWalk walk(text);
  if (walk.kind() != JsonWalk::Kind::object) return;
  row.info.shards = 0;  // unless it says so
  std::string_view spelled, value;
  while (walk.next(spelled, value)) {
    const std::string name = json_string(spelled).value_or(std::string{});
    const std::uint64_t number = parse_u64(value).value_or(0);
    if (name == "url") row.info.url = json_string(value).value_or(std::string{});
    if (name == "version") row.info.version = json_string(value).value_or(std::string{});
    if (name == "bus_version") row.info.bus_version = static_cast<std::uint32_t>(number);
    if (name == "lease_ms") row.info.lease = std::chrono::milliseconds{std::min(number, lease_ms_max)};
    if (name == "connections") row.info.connections = number;
    if (name == "shards") row.info.shards = static_cast<std::uint32_t>(number);
    if (name == "renewed_us" && number != 0) row.renewed_at = from_micros(static_cast<std::int64_t>(number));
  }
}

std::vector<ServerId> server_ids(const Reply& names) {
  std::vector<ServerId> servers;
  for (std::size_t i = 0; i < names.size(); ++i) servers.push_back(ServerId::trusted(names[i].text()));
  std::sort(servers.begin(), servers.end());
  return servers;
}

}  // namespace

// ---------------------------------------------------------------- claim, release, lookup

void Directory::call(Ticket ticket, const ClaimCall& request) {
  const auto place = order_.take_place(ticket);
  const std::string at = request.at.str();
  const std::string index = keys_.index(request.at.server), entry = index_entry(request.client, request.at);
  if (!view_.leases.is_live(request.at.server, SteadyClock::now())) {
    // A claim that outlived its server's lease: only a server in the registry is ever swept.
    connection_.eval(scripts::register_server, {keys_.servers()}, {request.at.server.view(), "if_missing"}, {});
  }
  auto is_indexed = std::make_shared<bool>(false);
  connection_.send({"SADD", index, entry},
                   [is_indexed](const Reply& reply) { *is_indexed = reply.result() == Errc::ok; });
  const bool has_room = options_.owners_max == 0 || view_.owners < static_cast<std::int64_t>(options_.owners_max);
  connection_.eval(
      scripts::claim, {keys_.own(request.client), keys_.client_rooms(request.client)},
      {at, micros(request.accepted_at), text_of(request.epoch_min.value),
       request.policy == SessionPolicy::single ? "single" : "multi",
       text_of(std::uint64_t{std::max<std::uint32_t>(request.devices_max, 1)}), has_room ? "1" : "0",
       text_of(std::uint64_t(request.clock_error.count())), text_of(std::int64_t{request.ttl.count()})},
      [this, place, request, is_indexed](const Reply& reply) { on_claimed(place, request, reply, *is_indexed); });
}

void Directory::on_claimed(std::uint64_t place, const ClaimCall& request, const Reply& reply, bool is_indexed) {
  if (reply.result() != Errc::ok) {
    return order_.fill(place, Claimed{reply.result(), {}, {}, std::string{reply.error()}, {}});
  }
  const auto word = reply[0].text();
  if (word != "ok") {
    unindex(request.client, request.at, {});
    if (word == "capacity") {
      return order_.fill(
          place, Claimed{Errc::capacity,
                         {},
                         {},
                         "the owner table is full (" + text_of(options_.owners_max) + " rows): raise --owners-max",
                         {}});
    }
    return order_.fill(place,
                       Claimed{Errc::superseded, {}, {}, "a newer connection of this client holds the claim", {}});
  }
  Claimed claimed{Errc::ok, Epoch{parse_u64(reply[1].text()).value_or(0)}, {}, {}, {}};
  const Reply displaced = reply[3], rooms = reply[4];
  for (std::size_t i = 0; i < displaced.size(); ++i) {
    if (auto at = Attachment::parse(displaced[i].text())) claimed.displaced.push_back(std::move(*at));
  }
  for (std::size_t i = 0; i < rooms.size(); ++i) claimed.rooms.push_back(RoomName::trusted(rooms[i].text()));
  std::sort(claimed.rooms.begin(), claimed.rooms.end());
  view_.owners += reply[2].integer() - static_cast<std::int64_t>(claimed.displaced.size());
  if (is_indexed) return end_claim(place, request, std::move(claimed));
  // The store was full and took the claim all the same, because it put the row in another's place. A row without an
  // entry would never be swept.
  connection_.eval(scripts::index_add, {keys_.index(request.at.server)}, {index_entry(request.client, request.at)},
                   [this, place, request, claimed = std::move(claimed)](const Reply& added) mutable {
                     if (added.result() != Errc::ok) claimed.result = added.result();
                     end_claim(place, request, std::move(claimed));
                   });
}

void Directory::end_claim(std::uint64_t place, const ClaimCall& request, Claimed claimed) {
  if (claimed.displaced.empty()) return order_.fill(place, std::move(claimed));

  // Their servers' counts must not name what is displaced, so the entries go before the claim is answered.
  auto left = std::make_shared<std::size_t>(claimed.displaced.size());
  auto answer = std::make_shared<Claimed>(std::move(claimed));
  for (const Attachment& at : answer->displaced) {
    unindex(request.client, at, [this, place, left, answer] {
      if (--*left == 0) order_.fill(place, *answer);
    });
  }
}

void Directory::unindex(const ClientId& client, const Attachment& at, std::function<void()> done) {
  const std::string index = keys_.index(at.server), entry = index_entry(client, at);
  connection_.send({"SREM", index, entry}, {});
  connection_.send({"HEXISTS", keys_.own(client), at.str()},
                   [this, index, entry, done = std::move(done)](const Reply& reply) {
                     if (reply.result() == Errc::ok && reply.integer() == 1) {
                       connection_.send({"SADD", index, entry}, {});
                     }
                     if (done) done();
                   });
}

void Directory::call(Ticket ticket, const ReleaseCall& release) {
  const auto& [client, at] = release;
  const auto place = order_.take_place(ticket);
  // The field is the attachment itself: deleting it is a comparison, and a newer claim is another field.
  connection_.send({"HDEL", keys_.own(client), at.str()}, [this, place](const Reply& reply) {
    if (reply.result() != Errc::ok) return order_.fill(place, Released{reply.result()});
    view_.owners -= reply.integer();
    order_.fill(place, Released{reply.integer() > 0 ? Errc::ok : Errc::not_found});
  });
  connection_.send({"SREM", keys_.index(at.server), index_entry(client, at)}, {});
}

void Directory::call(Ticket ticket, const LookupCall& lookup) {
  const auto place = order_.take_place(ticket);
  connection_.send({"HGETALL", keys_.own(lookup.client)},
                   [this, place, client = lookup.client](const Reply& reply) { on_rows(place, client, reply); });
}

void Directory::on_rows(std::uint64_t place, const ClientId& client, const Reply& reply) {
  Owners owners;
  owners.result = reply.result();
  std::vector<ServerId> servers;
  for (std::size_t i = 0; i + 1 < reply.size(); i += 2) {
    auto at = Attachment::parse(reply[i].text());
    const auto value = parse_row_value(reply[i + 1].text());
    if (!at || !value) continue;
    servers.push_back(at->server);
    owners.rows.push_back({client, std::move(*at), value->epoch, value->claimed_at});
  }
  if (owners.result != Errc::ok) return order_.fill(place, std::move(owners));
  if (owners.rows.empty()) {
    if (view_.is_in_doubt()) owners.result = Errc::unavailable;
    return order_.fill(place, std::move(owners));
  }
  std::sort(owners.rows.begin(), owners.rows.end(), [](const OwnerRow& a, const OwnerRow& b) {
    return std::tie(a.epoch, a.claimed_at, a.at) > std::tie(b.epoch, b.claimed_at, b.at);
  });
  const auto now = SteadyClock::now();
  if (std::all_of(servers.begin(), servers.end(), [&](const ServerId& s) { return view_.leases.is_live(s, now); })) {
    note_leases(owners);
    return order_.fill(place, std::move(owners));
  }
  ask_leases(std::move(servers), [this, place, owners](Errc result, const std::vector<ServerId>& live) mutable {
    owners.result = result;
    std::erase_if(owners.rows, [&](const OwnerRow& row) {
      return result != Errc::ok || !std::binary_search(live.begin(), live.end(), row.at.server);
    });
    note_leases(owners);
    if (result != Errc::ok || !owners.rows.empty()) return order_.fill(place, std::move(owners));
    believe_absence([this, place](Errc believed) { order_.fill(place, Owners{believed, {}}); });
  });
}

void Directory::believe_absence(std::function<void(Errc)> done) {
  if (view_.is_in_doubt()) {
    return connection_.later([done = std::move(done)] { done(Errc::unavailable); });
  }
  // A store that refuses writes (MISCONF, READONLY) lets every lease run out, those of living servers too.
  connection_.send({"DEL", keys_.none()}, [done = std::move(done)](const Reply& reply) {
    done(reply.is_error("NOPERM") ? Errc::ok : reply.result());  // a shell that may only read
  });
}

void Directory::note_leases(Owners& owners) const {
  const auto now = SteadyClock::now();
  for (OwnerRow& row : owners.rows) row.lease_left = view_.leases.left(row.at.server, now);
}

void Directory::ask_leases(std::vector<ServerId> servers, std::function<void(Errc, std::vector<ServerId> live)> done) {
  assert(!servers.empty());
  std::sort(servers.begin(), servers.end());
  servers.erase(std::unique(servers.begin(), servers.end()), servers.end());
  const auto asked_at = SteadyClock::now();
  auto live = std::make_shared<std::vector<ServerId>>();
  auto batch = std::make_shared<Batch>([live, done = std::move(done)](Errc result) {
    std::sort(live->begin(), live->end());
    done(result, std::move(*live));
  });
  for (const ServerId& server : servers) {
    connection_.send({"PTTL", keys_.lease(server)}, batch->each([this, live, server, asked_at](const Reply& reply) {
      if (reply.integer() <= 0) return view_.leases.drop(server);
      view_.leases.hold(server, asked_at, std::chrono::milliseconds{reply.integer()});
      live->push_back(server);
    }));
  }
}

// ---------------------------------------------------------------- pages and counts

/// Where one page() call is. A cursor is "0", or `SSCAN-cursor@server`: rows are listed server by server, by name.
/// A server's index may be listed a little beyond `count`: SSCAN gives small sets whole.
struct Directory::Paging {
  Ticket ticket;
  std::string scan = "0";
  std::optional<ServerId> from;  // empty: the first server
  std::vector<ServerId> live;    // that are still to be listed, the current one first
  std::uint32_t count = 0;
  OwnerPage page;
};

void Directory::call(Ticket ticket, const OwnerPageCall& page) {
  const std::string_view cursor = page.cursor;
  auto paging = std::make_shared<Paging>();
  paging->ticket = ticket;
  paging->count = std::clamp<std::uint32_t>(page.count, 1, 1'000);
  if (cursor != "0") {
    const auto at = cursor.find('@');
    auto server = ServerId::parse(at == std::string_view::npos ? std::string_view{} : cursor.substr(at + 1));
    if (!server || !parse_u64(cursor.substr(0, at))) {
      return connection_.later([this, paging] { end_page(*paging, Errc::bad_request); });
    }
    paging->scan = cursor.substr(0, at);
    paging->from = std::move(*server);
  }
  page_servers(paging);
}

void Directory::page_servers(const std::shared_ptr<Paging>& paging) {
  connection_.send({"ZRANGE", keys_.servers(), "0", "-1"}, [this, paging](const Reply& reply) {
    if (reply.result() != Errc::ok) return end_page(*paging, reply.result());
    std::vector<ServerId> servers = server_ids(reply);
    if (paging->from) std::erase_if(servers, [&](const ServerId& server) { return server < *paging->from; });
    if (servers.empty()) return end_page(*paging, Errc::ok);
    ask_leases(std::move(servers), [this, paging](Errc result, std::vector<ServerId> live) {
      if (result != Errc::ok) return end_page(*paging, result);
      paging->live = std::move(live);
      // The scan belongs to one server; if that one has gone meanwhile, the next begins anew.
      if (paging->live.empty() || paging->live.front() != paging->from) paging->scan = "0";
      page_index(paging);
    });
  });
}

void Directory::page_index(const std::shared_ptr<Paging>& paging) {
  if (paging->live.empty()) return end_page(*paging, Errc::ok);
  connection_.send(
      {"SSCAN", keys_.index(paging->live.front()), paging->scan, "COUNT", text_of(std::uint64_t{paging->count})},
      [this, paging](const Reply& reply) {
        if (reply.result() != Errc::ok) return end_page(*paging, reply.result());
        page_rows(paging, reply);
      });
}

void Directory::page_rows(const std::shared_ptr<Paging>& paging, const Reply& scan) {
  const auto next = [this, paging](Errc result) {
    if (result != Errc::ok) return end_page(*paging, result);
    if (paging->scan == "0") paging->live.erase(paging->live.begin());
    // An empty page in the middle says nothing; go on until there is a row or an end.
    if (paging->page.rows.empty()) return page_index(paging);
    end_page(*paging, Errc::ok);
  };
  const ServerId server = paging->live.front();
  paging->scan = scan[0].text();
  const Reply members = scan[1];
  auto batch = std::make_shared<Batch>(next);
  bool is_any = false;
  for (std::size_t i = 0; i < members.size(); ++i) {
    auto entry = parse_index_entry(server, members[i].text());
    if (!entry) continue;
    is_any = true;
    connection_.send({"HGET", keys_.own(entry->client), entry->at.str()},
                     batch->each([paging, entry = *entry](const Reply& reply) {
                       const auto value = parse_row_value(reply.text());
                       if (!value) return;  // the index is a superset
                       paging->page.rows.push_back({entry.client, entry.at, value->epoch, value->claimed_at});
                     }));
  }
  if (!is_any) next(Errc::ok);
}

void Directory::end_page(const Paging& paging, Errc result) {
  OwnerPage page;
  page.result = result;
  page.cursor = "0";
  if (result == Errc::ok) {
    page.rows = paging.page.rows;
    if (!paging.live.empty()) page.cursor = paging.scan + '@' + paging.live.front().str();
  }
  answers_.on_answer(paging.ticket, std::move(page));
}

void Directory::call(Ticket ticket, const HeldCall& asked) {
  const ServerId& server = asked.server;
  const std::string_view cursor = asked.cursor;
  // "0" or "o"SSCAN-cursor: owner rows; then "r"SSCAN-cursor: rooms.
  const bool is_of_rooms = cursor.starts_with('r');
  const std::string_view scan = cursor == "0" ? cursor : cursor.substr(std::min<std::size_t>(1, cursor.size()));
  if ((cursor != "0" && !is_of_rooms && !cursor.starts_with('o')) || !parse_u64(scan)) {
    return connection_.later(
        [this, ticket] { answers_.on_answer(ticket, Held{.result = Errc::bad_request, .rows = {}, .places = {}}); });
  }
  connection_.send(
      {"SSCAN", is_of_rooms ? keys_.room_index(server) : keys_.index(server), scan, "COUNT",
       text_of(std::uint64_t{asked.count})},
      [this, ticket, server, is_of_rooms](const Reply& reply) {
        Held held;
        held.result = reply.result();
        if (held.result != Errc::ok) return answers_.on_answer(ticket, std::move(held));
        const std::string next{reply[0].text()};
        const Reply members = reply[1];
        for (std::size_t i = 0; i < members.size(); ++i) {
          if (is_of_rooms) {
            auto entry = parse_room_index_entry(server, members[i].text());
            if (entry) held.places.push_back({std::move(entry->room), std::move(entry->client), std::move(entry->at)});
          } else if (auto entry = parse_index_entry(server, members[i].text())) {
            held.rows.push_back({std::move(entry->client), std::move(entry->at)});
          }
        }
        if (next != "0") {
          held.cursor = (is_of_rooms ? 'r' : 'o') + next;
        } else {
          held.cursor = is_of_rooms ? "0" : "r0";
        }
        answers_.on_answer(ticket, std::move(held));
      });
}

void Directory::call(Ticket ticket, const MissingCall& asked) {
  const Held& expected = asked.expected;
  struct Look {
    Held expected;
    std::vector<bool> rows, places;  // found missing, in part or whole
  };
  if (expected.rows.empty() && expected.places.empty()) {
    return connection_.later([this, ticket] { answers_.on_answer(ticket, Held{}); });
  }
  auto look = std::make_shared<Look>();
  look->expected = expected;
  look->rows.resize(expected.rows.size());
  look->places.resize(expected.places.size());
  auto batch = std::make_shared<Batch>([this, ticket, look](Errc result) {
    Held missing;
    missing.result = result;
    for (std::size_t i = 0; result == Errc::ok && i < look->rows.size(); ++i) {
      if (look->rows[i]) missing.rows.push_back(look->expected.rows[i]);
    }
    for (std::size_t i = 0; result == Errc::ok && i < look->places.size(); ++i) {
      if (look->places[i]) missing.places.push_back(look->expected.places[i]);
    }
    answers_.on_answer(ticket, std::move(missing));
  });
  const auto ask_index = [this, &batch](const std::string& index, const std::vector<std::string>& entries,
                                        std::vector<bool>& marks) {
    if (entries.empty()) return;
    std::vector<std::string_view> words{"SMISMEMBER", index};
    words.insert(words.end(), entries.begin(), entries.end());
    connection_.send(words, batch->each([&marks](const Reply& reply) {
      for (std::size_t i = 0; i < marks.size(); ++i) {
        if (reply[i].integer() == 0) marks[i] = true;
      }
    }));
  };
  std::vector<std::string> entries;
  for (const auto& [client, at] : expected.rows) entries.push_back(index_entry(client, at));
  if (!entries.empty()) ask_index(keys_.index(expected.rows.front().at.server), entries, look->rows);
  entries.clear();
  for (const auto& [room, client, at] : expected.places) entries.push_back(room_index_entry(room, client, at));
  if (!entries.empty()) ask_index(keys_.room_index(expected.places.front().at.server), entries, look->places);
  for (std::size_t i = 0; i < expected.rows.size(); ++i) {
    const auto& [client, at] = expected.rows[i];
    connection_.send({"HEXISTS", keys_.own(client), at.str()}, batch->each([look, i](const Reply& reply) {
      if (reply.integer() == 0) look->rows[i] = true;
    }));
  }
  for (std::size_t i = 0; i < expected.places.size(); ++i) {
    const auto& [room, client, at] = expected.places[i];
    const RoomKeys keys = keys_.room(room);
    connection_.send({"HGET", keys.members, client.view()}, batch->each([look, i](const Reply& reply) {
      const auto devices = parse_devices(reply.text());
      const Attachment& mine = look->expected.places[i].at;
      if (std::none_of(devices.begin(), devices.end(), [&](const auto& device) { return device.first == mine; })) {
        look->places[i] = true;
      }
    }));
    connection_.send({"ZSCORE", keys.names, client.view()}, batch->each([look, i](const Reply& reply) {
      if (reply.is_nil()) look->places[i] = true;
    }));
    connection_.send({"HEXISTS", keys_.client_rooms(client), client_room(room, at)},
                     batch->each([look, i](const Reply& reply) {
                       if (reply.integer() == 0) look->places[i] = true;
                     }));
  }
}

void Directory::call(Ticket ticket, const CountsCall&) {
  connection_.send({"ZRANGE", keys_.servers(), "0", "-1"}, [this, ticket](const Reply& reply) {
    const auto servers = server_ids(reply);
    if (reply.result() != Errc::ok || servers.empty()) {
      return answers_.on_answer(ticket, OwnerCounts{reply.result(), {}});
    }
    ask_leases(servers, [this, ticket](Errc result, const std::vector<ServerId>& live) {
      if (result != Errc::ok || live.empty()) return answers_.on_answer(ticket, OwnerCounts{result, {}});
      auto counts = std::make_shared<OwnerCounts>();
      auto batch = std::make_shared<Batch>([this, ticket, counts](Errc worst) {
        if (worst != Errc::ok) return answers_.on_answer(ticket, OwnerCounts{worst, {}});
        std::sort(counts->by_server.begin(), counts->by_server.end());
        answers_.on_answer(ticket, std::move(*counts));
      });
      for (const ServerId& server : live) {
        connection_.send({"SCARD", keys_.index(server)}, batch->each([counts, server](const Reply& size) {
          counts->by_server.emplace_back(server, static_cast<std::uint64_t>(size.integer()));
        }));
      }
    });
  });
}

// ---------------------------------------------------------------- leases

void Directory::call(Ticket ticket, const RenewCall& renew) {
  const ServerId& server = renew.server;
  const auto asked_at = SteadyClock::now();
  auto renewed = std::make_shared<Renewed>();
  connection_.eval(scripts::renew, {keys_.lease(server), keys_.sweep(server)},
                   {text_of(std::int64_t{renew.lease.count()}), info_text(renew.info, renew.lease)},
                   [this, server, renewed, asked_at, lease = renew.lease](const Reply& reply) {
                     renewed->result = reply.result();
                     if (renewed->result != Errc::ok) {
                       if (view_.self == server) view_.doubt();  // before its first lease nobody has lost anything
                       return;
                     }
                     if (reply[0].text() != "ok") {
                       renewed->result = Errc::conflict;
                       view_.doubt();
                       return view_.leases.drop(server);
                     }
                     renewed->before = reply[1].integer() == 1 ? Renewed::Before::held : Renewed::Before::missing;
                     renewed->now = from_micros(reply[2].integer());
                     if (view_.self == server && renewed->before == Renewed::Before::missing) view_.doubt();
                     view_.self = server;
                     view_.leases.hold(server, asked_at, lease);
                   });
  // Same pipeline: once the renewal is answered, every other server finds this one in the registry.
  connection_.eval(scripts::register_server, {keys_.servers()}, {server.view(), "renewed"},
                   [this, ticket, renewed](const Reply& reply) {
                     if (renewed->result == Errc::ok) renewed->result = reply.result();
                     answers_.on_answer(ticket, *renewed);
                   });
}

void Directory::call(Ticket ticket, const ResignCall& resign) {
  const ServerId& server = resign.server;
  view_.leases.drop(server);
  auto was_known = std::make_shared<bool>(false);
  auto batch = std::make_shared<Batch>([this, ticket, server, was_known](Errc result) {
    if (result != Errc::ok) return answers_.on_answer(ticket, Released{result});
    // What it still holds goes with it: without a place in the registry no sweep would ever come by. Somebody else
    // already at it is as good.
    Sweep::run(
        connection_, keys_, server, server, PresenceEvent::Kind::leave, [this, ticket, was_known](const Swept& swept) {
          const bool is_done = swept.result == Errc::ok || swept.result == Errc::conflict;
          view_.owners -= static_cast<std::int64_t>(swept.rows_removed);
          view_.memberships -= static_cast<std::int64_t>(swept.memberships_removed);
          answers_.on_answer(ticket, Released{!is_done ? swept.result : *was_known ? Errc::ok : Errc::not_found});
        });
  });
  connection_.send({"ZSCORE", keys_.servers(), server.view()},
                   batch->each([was_known](const Reply& reply) { *was_known = !reply.is_nil(); }));
  connection_.send({"DEL", keys_.lease(server)}, batch->each());
}

struct Directory::Listing {
  Ticket ticket;
  Servers servers;
  std::int64_t owners = 0, memberships = 0;
};

void Directory::call(Ticket ticket, const ServersCall&) {
  auto listing = std::make_shared<Listing>();
  listing->ticket = ticket;
  auto batch = std::make_shared<Batch>([this, listing](Errc result) {
    listing->servers.result = result;
    if (result != Errc::ok || listing->servers.rows.empty()) {
      return answers_.on_answer(listing->ticket, std::move(listing->servers));
    }
    ask_server_rows(listing);
  });
  connection_.send({"TIME"}, batch->each([listing](const Reply& reply) { listing->servers.now = store_time(reply); }));
  connection_.send({"ZRANGE", keys_.servers(), "0", "-1", "WITHSCORES"}, batch->each([listing](const Reply& reply) {
    for (std::size_t i = 0; i + 1 < reply.size(); i += 2) {
      ServerRow row;
      row.server = ServerId::trusted(reply[i].text());
      row.renewed_at = from_millis(reply[i + 1].integer());
      row.lease = ServerRow::Lease::expired;
      listing->servers.rows.push_back(std::move(row));
    }
    std::sort(listing->servers.rows.begin(), listing->servers.rows.end(),
              [](const ServerRow& a, const ServerRow& b) { return a.server < b.server; });
  }));
}

void Directory::ask_server_rows(const std::shared_ptr<Listing>& listing) {
  const auto asked_at = SteadyClock::now();
  auto batch = std::make_shared<Batch>([this, listing](Errc result) {
    if (result != Errc::ok) return answers_.on_answer(listing->ticket, Servers{result, {}, {}});
    view_.owners = listing->owners;
    view_.memberships = listing->memberships;
    answers_.on_answer(listing->ticket, std::move(listing->servers));
  });
  for (std::size_t i = 0; i < listing->servers.rows.size(); ++i) {
    const std::string lease = keys_.lease(listing->servers.rows[i].server);
    connection_.send({"GET", lease}, batch->each([listing, i](const Reply& reply) {
      ServerRow& row = listing->servers.rows[i];
      if (!reply.is_nil()) read_lease(reply.text(), row);
    }));
    connection_.send({"PTTL", lease}, batch->each([this, listing, i, asked_at](const Reply& reply) {
      ServerRow& row = listing->servers.rows[i];
      if (reply.integer() <= 0) return view_.leases.drop(row.server);
      row.lease = ServerRow::Lease::held;
      row.lease_left = std::chrono::milliseconds{reply.integer()};
      view_.leases.hold(row.server, asked_at, std::chrono::milliseconds{reply.integer()});
    }));
    const ServerId& server = listing->servers.rows[i].server;
    if (options_.owners_max != 0) {
      connection_.send({"SCARD", keys_.index(server)},
                       batch->each([listing](const Reply& reply) { listing->owners += reply.integer(); }));
    }
    if (options_.memberships_max != 0) {
      connection_.send({"SCARD", keys_.room_index(server)},
                       batch->each([listing](const Reply& reply) { listing->memberships += reply.integer(); }));
    }
  }
}

void Directory::call(Ticket ticket, const SweepCall& sweep) {
  view_.leases.drop(sweep.dead);
  Sweep::run(connection_, keys_, sweep.dead, sweep.by, PresenceEvent::Kind::swept, [this, ticket](const Swept& swept) {
    view_.owners -= static_cast<std::int64_t>(swept.rows_removed);
    view_.memberships -= static_cast<std::int64_t>(swept.memberships_removed);
    answers_.on_answer(ticket, swept);
  });
}

}  // namespace wsr::redis
