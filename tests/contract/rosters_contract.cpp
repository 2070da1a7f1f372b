// The rosters, as every backend must keep them: who is in which room, and what a room's channel hears of it.
#include <algorithm>
#include <charconv>
#include <set>

#include "core/wire/room_envelope.hpp"
#include "tests/contract/harness.hpp"

namespace wsr::contract {
namespace {

const ClientId ada = ClientId::trusted("ada");
const ClientId bob = ClientId::trusted("bob");
const ClientId eve = ClientId::trusted("eve");
const RoomName hall = RoomName::trusted("hall");
const RoomName cafe = RoomName::trusted("cafe");

using Kind = PresenceEvent::Kind;
using Members = std::vector<ClientId>;
using RoomNames = std::vector<RoomName>;
using ByServer = std::vector<std::pair<ServerId, std::uint64_t>>;

/// What a channel said, whole: a presence event owns its client here.
struct Event {
  Kind kind = Kind::join;
  std::uint64_t version = 0;
  std::uint64_t size = 0;
  ClientId client;
};

/// Fails the test for anything but "P1 join|leave|swept VERSION SIZE CLIENT".
Event parse_event(std::string_view text) {
  const auto word = [&text] {
    const auto space = text.find(' ');
    REQUIRE(space != std::string_view::npos);
    const auto found = text.substr(0, space);
    text.remove_prefix(space + 1);
    return found;
  };
  const auto number = [&word] {
    const auto digits = word();
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    REQUIRE((error == std::errc{} && end == digits.data() + digits.size()));
    return value;
  };
  INFO("the event " << text);
  REQUIRE(word() == "P1");
  const auto kind = word();
  REQUIRE((kind == "join" || kind == "leave" || kind == "swept"));
  Event event;
  event.kind = kind == "join" ? Kind::join : kind == "leave" ? Kind::leave : Kind::swept;
  event.version = number();
  event.size = number();
  event.client = ClientId::trusted(text);
  return event;
}

// ---------------------------------------------------------------- calls

Joined join(Harness& h, int n, const RoomName& room, const ClientId& client, const Attachment& at, Epoch epoch,
            std::uint64_t known_version = 0) {
  return h.ask(n, JoinCall{room, client, at, epoch, known_version});
}
Left leave(Harness& h, int n, const RoomName& room, const ClientId& client, Epoch through) {
  return h.ask(n, LeaveCall{room, client, through});
}
/// The client's server says that it has been in since that version.
Joined assert_stay(Harness& h, int n, const Attachment& at, std::uint64_t since, Epoch epoch = Epoch{10}) {
  const JoinCall request{.room = hall, .client = ada, .at = at, .epoch = epoch, .stay = since};
  return h.ask(n, request);
}
/// With all devices; servers that do not hear of it are to be told when they ask.
Left leave_remembered_by_all(Harness& h, int n, std::uint64_t known_version = 0) {
  const LeaveCall request{hall, ada, Epoch{1'000}, known_version, LeaveCall::Remember::always};
  return h.ask(n, request);
}
Left drop(Harness& h, int n, const RoomName& room, const ClientId& client, const Attachment& at) {
  return h.ask(n, DropCall{room, client, at});
}
RosterPage page(Harness& h, int n, const RoomName& room, const std::string& cursor, std::uint32_t count) {
  return h.ask(n, RosterPageCall{room, cursor, count});
}
RoomInfo info(Harness& h, int n, const RoomName& room) {
  const auto answer = h.ask(n, RoomInfoCall{room});
  REQUIRE(answer.result == Errc::ok);
  return answer;
}
RoomInfo find(Harness& h, int n, const RoomName& room, const ClientId& client) {
  const auto answer = h.ask(n, FindCall{room, client});
  REQUIRE(answer.result == Errc::ok);
  return answer;
}
RoomPage room_page(Harness& h, int n, const std::string& cursor, std::uint32_t count) {
  return h.ask(n, RoomsCall{cursor, count});
}
std::vector<std::pair<RoomName, std::uint64_t>> all_rooms(Harness& h, int n, std::uint32_t count = 100) {
  std::vector<std::pair<RoomName, std::uint64_t>> all;
  std::string cursor = "0";
  do {
    const RoomPage answer = room_page(h, n, cursor, count);
    REQUIRE(answer.result == Errc::ok);
    CHECK(answer.rooms.size() <= count);
    all.insert(all.end(), answer.rooms.begin(), answer.rooms.end());
    cursor = answer.cursor;
    REQUIRE(all.size() < 100'000);
  } while (cursor != "0");
  return all;
}
Members members(Harness& h, int n, const RoomName& room, std::uint32_t count = 1'000) {
  Members all;
  std::string cursor = "0";
  do {
    const RosterPage answer = page(h, n, room, cursor, count);
    REQUIRE(answer.result == Errc::ok);
    CHECK(answer.members.size() <= count);
    all.insert(all.end(), answer.members.begin(), answer.members.end());
    cursor = answer.cursor;
    REQUIRE(all.size() < 100'000);
  } while (cursor != "0");
  return all;
}

Claimed claim(Harness& h, int n, const ClientId& client, const Attachment& at, StoreTime accepted_at) {
  const auto claimed = h.ask(n, ClaimCall{client, at, accepted_at, {}, SessionPolicy::multi, 10});
  REQUIRE(claimed.result == Errc::ok);
  return claimed;
}
/// What a further connection of the client would be told.
RoomNames told_rooms(Harness& h, const ClientId& client) {
  static std::uint64_t serial = 1'000'000;
  const Attachment at = Harness::at(1, ++serial);
  const RoomNames rooms = claim(h, 1, client, at, h.now()).rooms;
  h.ask(1, ReleaseCall{client, at});
  return rooms;
}
void renew(Harness& h, int n, milliseconds lease) {
  const auto renewed = h.ask(n, RenewCall{Harness::id(n), {}, lease});
  REQUIRE(renewed.result == Errc::ok);
}
Swept sweep(Harness& h, int by, int dead) { return h.ask(by, SweepCall{Harness::id(dead), Harness::id(by)}); }
Errc resign(Harness& h, int n) { return h.ask(n, ResignCall{Harness::id(n)}).result; }

/// Servers 1 and 2 hold their leases for the whole test.
void begin(Harness& h) {
  renew(h, 1, lease_long);
  renew(h, 2, lease_long);
}

constexpr int observer = 9;  // a server that only listens

void listen(Harness& h, const RoomName& room) {
  const auto subscribed = h.ask(observer, SubscribeCall{{ChannelKind::room, room.str()}, Match::exact});
  REQUIRE(subscribed.result == Errc::ok);
}

/// Every event of the room since listen(): a marker behind them proves that none is still under way.
std::vector<Event> events(Harness& h, const RoomName& room) {
  static int last_marker = 0;
  const Recorder::Message marker{{ChannelKind::room, room.str()}, "", "end " + std::to_string(++last_marker)};
  h.ask(1, PublishCall{marker.channel, marker.payload});
  const auto& heard = h.heard(observer).messages;
  REQUIRE(h.wait_until([&] { return std::find(heard.begin(), heard.end(), marker) != heard.end(); }));
  std::vector<Event> events;
  for (const auto& message : heard) {
    if (message.channel == marker.channel && !message.payload.starts_with("end ")) {
      events.push_back(parse_event(message.payload));
    }
  }
  return events;
}

std::vector<Kind> kinds(const std::vector<Event>& events) {
  std::vector<Kind> all;
  for (const Event& event : events) all.push_back(event.kind);
  return all;
}

std::uint64_t micros(StoreTime time) { return static_cast<std::uint64_t>(time.time_since_epoch().count()); }

// ---------------------------------------------------------------- a stay

SENTENCE("a client that joins is found from every server with its size, version and place") {
  CONTRACT_HARNESS(h);
  begin(h);
  const StoreTime before = h.now();
  const Joined joined = join(h, 1, hall, ada, Harness::at(1, 7, 3), Epoch{5});
  REQUIRE(joined.result == Errc::ok);
  CHECK(joined.size == 1);
  CHECK(joined.version >= micros(before));
  CHECK(joined.version <= micros(h.now()) + 1);
  for (const int n : {1, 2}) {
    const RosterPage listed = page(h, n, hall, "0", 10);
    CHECK(listed.members == Members{ada});
    CHECK(listed.cursor == "0");
    CHECK(listed.size == 1);
    CHECK(listed.version == joined.version);
    const RoomInfo room = info(h, n, hall);
    CHECK(room.size == 1);
    CHECK(room.version == joined.version);
    CHECK(room.servers == ByServer{{Harness::id(1), 1}});
    CHECK(find(h, n, hall, ada).size == 1);
    CHECK(find(h, n, hall, ada).servers == ByServer{{Harness::id(1), 1}});
    CHECK(find(h, n, hall, bob).size == 0);
  }
}

SENTENCE("a room that nobody is in has no size, no version, no members and stands in no list") {
  CONTRACT_HARNESS(h);
  begin(h);
  CHECK(info(h, 1, hall).size == 0);
  CHECK(info(h, 1, hall).version == 0);
  CHECK(info(h, 1, hall).servers.empty());
  CHECK(find(h, 1, hall, ada).size == 0);
  const RosterPage listed = page(h, 1, hall, "0", 10);
  CHECK(listed.result == Errc::ok);
  CHECK(listed.members.empty());
  CHECK(listed.cursor == "0");
  CHECK(listed.size == 0);
  CHECK(listed.version == 0);
  CHECK(all_rooms(h, 1).empty());
}

SENTENCE("a stay of several attachments has exactly one join and one leave") {
  CONTRACT_HARNESS(h);
  begin(h);
  listen(h, hall);
  const Joined first = join(h, 1, hall, ada, Harness::at(1, 1), Epoch{10});
  const Joined second = join(h, 2, hall, ada, Harness::at(2, 1), Epoch{11});
  const Joined third = join(h, 1, hall, ada, Harness::at(1, 2), Epoch{12});
  CHECK(second.size == 1);
  CHECK(second.version == first.version);
  CHECK(third.version == first.version);
  CHECK(info(h, 1, hall).servers == ByServer{{Harness::id(1), 2}, {Harness::id(2), 1}});
  CHECK(find(h, 1, hall, ada).servers == ByServer{{Harness::id(1), 2}, {Harness::id(2), 1}});
  // In another order than they came.
  const Left one = drop(h, 2, hall, ada, Harness::at(2, 1));
  CHECK(one.result == Errc::ok);
  CHECK(one.size == 1);
  CHECK(one.version == first.version);
  CHECK(drop(h, 1, hall, ada, Harness::at(1, 2)).size == 1);
  const Left last = drop(h, 1, hall, ada, Harness::at(1, 1));
  CHECK(last.result == Errc::ok);
  CHECK(last.size == 0);
  CHECK(last.version == first.version + 1);

  const auto heard = events(h, hall);
  REQUIRE(kinds(heard) == std::vector{Kind::join, Kind::leave});
  CHECK(heard[0].version == first.version);
  CHECK(heard[0].size == 1);
  CHECK(heard[0].client == ada);
  CHECK(heard[1].version == last.version);
  CHECK(heard[1].size == 0);
  CHECK(heard[1].client == ada);
}

SENTENCE("a join made again changes nothing and tells nobody") {
  CONTRACT_HARNESS(h);
  begin(h);
  listen(h, hall);
  const Joined first = join(h, 1, hall, ada, Harness::at(1, 1), Epoch{10});
  join(h, 1, hall, bob, Harness::at(1, 2), Epoch{10});
  const Joined again = join(h, 1, hall, ada, Harness::at(1, 1), Epoch{10});
  CHECK(again.result == Errc::ok);
  CHECK(again.size == 2);
  CHECK(again.version == first.version + 1);
  CHECK(info(h, 1, hall).servers == ByServer{{Harness::id(1), 2}});
  CHECK(events(h, hall).size() == 2);
  CHECK(drop(h, 1, hall, ada, Harness::at(1, 1)).size == 1);  // one drop is enough
  CHECK(find(h, 1, hall, ada).size == 0);
}

SENTENCE("each begin and end of a stay raises the version by one and is told in that order") {
  CONTRACT_HARNESS(h);
  begin(h);
  listen(h, hall);
  const std::vector<ClientId> clients{ada, bob, eve};
  std::vector<std::uint64_t> answered;
  for (std::uint64_t round = 0; round < 5; ++round) {
    for (std::size_t i = 0; i < clients.size(); ++i) {
      const int n = static_cast<int>(i % 2) + 1;
      answered.push_back(join(h, n, hall, clients[i], Harness::at(n, round * 10 + i + 1), Epoch{round + 1}).version);
    }
    // The last one stays until the next round has begun.
    for (std::size_t i = 0; i + 1 < clients.size(); ++i) {
      answered.push_back(leave(h, 1, hall, clients[i], Epoch{round + 1}).version);
    }
  }
  const auto heard = events(h, hall);
  // eve's stay never ended, so her later joins are none.
  CHECK(heard.size() == 5 * 4 + 1);
  for (std::size_t i = 1; i < heard.size(); ++i) CHECK(heard[i].version == heard[i - 1].version + 1);
  CHECK(std::is_sorted(answered.begin(), answered.end()));
  CHECK(answered.back() == heard.back().version);
  CHECK(info(h, 1, hall).version == heard.back().version);
  std::uint64_t size = 0;
  for (const Event& event : heard) {
    size = event.kind == Kind::join ? size + 1 : size - 1;
    CHECK(event.size == size);
  }
}

SENTENCE("events of one room are not heard in another") {
  CONTRACT_HARNESS(h);
  begin(h);
  listen(h, hall);
  listen(h, cafe);
  join(h, 1, hall, ada, Harness::at(1, 1), Epoch{1});
  join(h, 1, cafe, bob, Harness::at(1, 2), Epoch{1});
  REQUIRE(events(h, hall).size() == 1);
  CHECK(events(h, hall)[0].client == ada);
  REQUIRE(events(h, cafe).size() == 1);
  CHECK(events(h, cafe)[0].client == bob);
}

SENTENCE("a version that is behind what a server has seen goes on above that, and tells nobody by itself") {
  CONTRACT_HARNESS(h);
  begin(h);
  listen(h, hall);
  const Joined first = join(h, 1, hall, ada, Harness::at(1, 1), Epoch{10});
  // The same attachment, and a second one: the store has lost a hundred events that server 2 has heard.
  const std::uint64_t lost = first.version + 100;
  const Joined same = join(h, 1, hall, ada, Harness::at(1, 1), Epoch{10}, first.version);
  CHECK(same.version == first.version);
  const Joined again = join(h, 2, hall, ada, Harness::at(2, 1), Epoch{11}, lost);
  CHECK(again.version > lost);
  CHECK(again.size == 1);
  CHECK(info(h, 1, hall).version == again.version);
  CHECK(join(h, 1, hall, ada, Harness::at(1, 1), Epoch{10}, lost).version == again.version);
  // With a stay that begins; and in a room that is not there any more.
  const Joined other = join(h, 1, hall, bob, Harness::at(1, 2), Epoch{10}, again.version);
  CHECK(other.version == again.version + 1);
  const std::uint64_t far =
      other.version + 20'000'000;  // ahead of the clock, as after a failover between clocks that differ
  const Joined third = join(h, 1, hall, ClientId::trusted("carol"), Harness::at(1, 3), Epoch{10}, far);
  CHECK(third.version > far);
  const std::uint64_t gone = third.version + 20'000'000;
  CHECK(join(h, 1, RoomName::trusted("empty"), ada, Harness::at(1, 1), Epoch{10}, gone).version > gone);
  const auto heard = events(h, hall);
  REQUIRE(kinds(heard) == std::vector{Kind::join, Kind::join, Kind::join});
  CHECK(heard[1].version == other.version);
  CHECK(heard[2].version == third.version);
}

SENTENCE("a version never falls back when a room is emptied and made anew") {
  CONTRACT_HARNESS(h);
  begin(h);
  listen(h, hall);
  std::uint64_t last = 0;
  for (std::uint64_t serial = 1; serial <= 20; ++serial) {
    const Joined joined = join(h, 1, hall, ada, Harness::at(1, serial), Epoch{serial});
    CHECK(joined.version > last);
    const Left left = drop(h, 1, hall, ada, Harness::at(1, serial));
    CHECK(left.version == joined.version + 1);
    last = left.version;
    CHECK(info(h, 1, hall).version == 0);
  }
  const auto heard = events(h, hall);
  REQUIRE(heard.size() == 40);
  for (std::size_t i = 1; i < heard.size(); ++i) CHECK(heard[i].version > heard[i - 1].version);
}

SENTENCE("calls on a room take effect and are answered in the order in which they were made") {
  CONTRACT_HARNESS(h);
  begin(h);
  Store& store = h.server(1);
  const std::size_t heard_before = h.heard(1).order.size();
  std::vector<Ticket> made;
  const auto next = [&] { return made.emplace_back(h.next_ticket()); };
  for (std::uint64_t serial = 1; serial <= 30; ++serial) {
    store.call(next(), JoinCall{hall, ada, Harness::at(1, serial), Epoch{serial}});
    store.call(next(), RoomInfoCall{hall});
    store.call(next(), RosterPageCall{hall, "bad", 10});
    if (serial % 2 == 0) {
      store.call(next(), DropCall{hall, ada, Harness::at(1, serial)});
    } else {
      store.call(next(), LeaveCall{hall, ada, Epoch{serial}});
    }
    store.call(next(), FindCall{hall, ada});
    store.call(next(), RosterPageCall{hall, "0", 10});
  }
  h.wait(1, made.back());
  const Recorder& heard = h.heard(1);
  CHECK(std::vector<Ticket>(heard.order.begin() + static_cast<std::ptrdiff_t>(heard_before), heard.order.end()) ==
        made);
  for (std::size_t i = 0; i < made.size(); i += 6) {
    CHECK(std::get<Joined>(heard.answers.at(made[i])).size == 1);
    CHECK(std::get<RoomInfo>(heard.answers.at(made[i + 1])).size == 1);
    CHECK(std::get<RosterPage>(heard.answers.at(made[i + 2])).result == Errc::bad_request);
    CHECK(std::get<Left>(heard.answers.at(made[i + 3])).result == Errc::ok);
    CHECK(std::get<RoomInfo>(heard.answers.at(made[i + 4])).size == 0);
    CHECK(std::get<RosterPage>(heard.answers.at(made[i + 5])).members.empty());
  }
  CHECK(told_rooms(h, ada).empty());
}

// ---------------------------------------------------------------- leave and drop

SENTENCE("a client that leaves takes all its attachments along") {
  CONTRACT_HARNESS(h);
  begin(h);
  listen(h, hall);
  join(h, 1, hall, ada, Harness::at(1, 1), Epoch{10});
  join(h, 2, hall, ada, Harness::at(2, 1), Epoch{11});
  const Joined other = join(h, 2, hall, bob, Harness::at(2, 2), Epoch{1});
  const Left left = leave(h, 2, hall, ada, Epoch{11});
  CHECK(left.result == Errc::ok);
  CHECK(left.size == 1);
  CHECK(left.version == other.version + 1);
  CHECK(info(h, 1, hall).servers == ByServer{{Harness::id(2), 1}});
  CHECK(members(h, 1, hall) == Members{bob});
  CHECK(kinds(events(h, hall)) == std::vector{Kind::join, Kind::join, Kind::leave});
}

SENTENCE("a stay that is asserted after a leave that is remembered is none") {
  CONTRACT_HARNESS(h);
  begin(h);
  listen(h, hall);
  join(h, 1, hall, bob, Harness::at(1, 9), Epoch{1});
  const Joined first = join(h, 1, hall, ada, Harness::at(1, 1), Epoch{10});
  CHECK(first.has_begun);
  const Joined second = join(h, 2, hall, ada, Harness::at(2, 1), Epoch{11});
  CHECK_FALSE(second.has_begun);
  const Left left = leave_remembered_by_all(h, 1);
  REQUIRE(left.result == Errc::ok);
  const Joined asserted = assert_stay(h, 2, Harness::at(2, 1), second.version);
  CHECK(asserted.result == Errc::not_found);
  CHECK(asserted.version == left.version);
  CHECK(asserted.size == 1);
  CHECK(find(h, 1, hall, ada).size == 0);
  CHECK(told_rooms(h, ada).empty());
  CHECK(h.ask(2, HeldCall{Harness::id(2), "0", 100}).places.empty());
  CHECK(kinds(events(h, hall)) == std::vector{Kind::join, Kind::join, Kind::leave});

  // Whoever asks is in; and then the other device is, too, whatever it has missed.
  const Joined again = join(h, 1, hall, ada, Harness::at(1, 1), Epoch{10});
  CHECK(again.has_begun);
  CHECK(assert_stay(h, 2, Harness::at(2, 1), second.version).result == Errc::ok);
  // A stay that began after the leave is one, also of a client that the store has forgotten since.
  drop(h, 1, hall, ada, Harness::at(1, 1));
  drop(h, 2, hall, ada, Harness::at(2, 1));
  REQUIRE(find(h, 1, hall, ada).size == 0);
  CHECK(assert_stay(h, 2, Harness::at(2, 1), again.version).has_begun);
}

SENTENCE("a leave that nobody is to remember is forgotten, and one that is remembered for its time") {
  CONTRACT_HARNESS(h);
  begin(h);
  const Joined joined = join(h, 1, hall, ada, Harness::at(1, 1), Epoch{10});
  REQUIRE(leave(h, 1, hall, ada, Epoch{1'000}).result == Errc::ok);
  CHECK(assert_stay(h, 2, Harness::at(2, 1), joined.version).result == Errc::ok);
  const std::uint64_t version = info(h, 1, hall).version;
  REQUIRE(leave_remembered_by_all(h, 1).result == Errc::ok);
  CHECK(assert_stay(h, 2, Harness::at(2, 1), version).result == Errc::not_found);
  if (!h.is_time_virtual()) return;
  h.run_for(leave_remembered - 1s);
  CHECK(assert_stay(h, 2, Harness::at(2, 1), version).result == Errc::not_found);
  h.run_for(2s);
  CHECK(assert_stay(h, 2, Harness::at(2, 1), version).result == Errc::ok);
}

SENTENCE("a leave of a client that the store does not list is remembered, too") {
  CONTRACT_HARNESS(h);
  begin(h);
  const Joined joined = join(h, 1, hall, ada, Harness::at(1, 1), Epoch{10});
  drop(h, 1, hall, ada, Harness::at(1, 1));
  h.run_for(2ms);
  REQUIRE(leave_remembered_by_all(h, 1).result == Errc::not_found);
  CHECK(assert_stay(h, 2, Harness::at(2, 1), joined.version).result == Errc::not_found);
  // The room is there, the client is not.
  join(h, 1, hall, bob, Harness::at(1, 2), Epoch{10});
  const Joined back = join(h, 1, hall, ada, Harness::at(1, 1), Epoch{10});
  drop(h, 1, hall, ada, Harness::at(1, 1));
  REQUIRE(leave_remembered_by_all(h, 2).result == Errc::not_found);
  CHECK(assert_stay(h, 2, Harness::at(2, 1), back.version).result == Errc::not_found);
  CHECK(join(h, 1, hall, ada, Harness::at(1, 1), Epoch{10}).result == Errc::ok);
}

SENTENCE("a leave that is to be remembered if there was one is not, if there was none") {
  CONTRACT_HARNESS(h);
  begin(h);
  const auto leave_if_there = [&] {
    const LeaveCall request{hall, ada, Epoch{1'000}, 0, LeaveCall::Remember::if_there};
    return h.ask(1, request).result;
  };
  REQUIRE(leave_if_there() == Errc::not_found);
  const Joined joined = assert_stay(h, 2, Harness::at(2, 1), 1);
  REQUIRE(joined.result == Errc::ok);
  REQUIRE(leave_if_there() == Errc::ok);
  CHECK(assert_stay(h, 2, Harness::at(2, 1), joined.version).result == Errc::not_found);
}

SENTENCE("a client that was in at its claim is in again unless it has left since") {
  CONTRACT_HARNESS(h);
  begin(h);
  const auto restore = [&](Epoch claimed) {
    const JoinCall request{.room = hall, .client = ada, .at = Harness::at(2, 1), .epoch = claimed, .is_of_claim = true};
    return h.ask(2, request);
  };
  join(h, 1, hall, ada, Harness::at(1, 1), Epoch{10});
  const Claimed before = claim(h, 2, ada, Harness::at(2, 1), h.now());
  REQUIRE(before.rooms == RoomNames{hall});
  h.run_for(20ms);
  REQUIRE(leave_remembered_by_all(h, 1).result == Errc::ok);
  CHECK(restore(before.epoch).result == Errc::not_found);
  h.run_for(20ms);
  CHECK(restore(Epoch{static_cast<std::uint64_t>(h.now().time_since_epoch().count())}).result == Errc::ok);
}

SENTENCE("a leave goes on above what its server has seen") {
  CONTRACT_HARNESS(h);
  begin(h);
  listen(h, hall);
  const Joined joined = join(h, 1, hall, ada, Harness::at(1, 1), Epoch{10});
  const std::uint64_t lost = joined.version + 100;
  CHECK(leave_remembered_by_all(h, 1, lost).version > lost);
  const auto heard = events(h, hall);
  REQUIRE(heard.size() == 2);
  CHECK(heard[1].version > lost);
}

Joined replace(Harness& h, int n, const RoomName& room, const Attachment& at, Epoch epoch) {
  const JoinCall request{
      .room = room, .client = ada, .at = at, .epoch = epoch, .is_of_claim = true, .replaces_older = true};
  return h.ask(n, request);
}

SENTENCE("a join that takes the place of older attachments is one step, and no event") {
  CONTRACT_HARNESS(h);
  begin(h);
  listen(h, hall);
  const auto first = join(h, 1, hall, ada, Harness::at(1, 1), Epoch{10});
  join(h, 1, hall, ada, Harness::at(1, 2), Epoch{11});
  join(h, 2, hall, bob, Harness::at(2, 7), Epoch{5});
  const auto moved = replace(h, 2, hall, Harness::at(2, 1), Epoch{12});
  CHECK(moved.result == Errc::ok);
  CHECK(moved.size == 2);
  CHECK(moved.version == first.version + 1);
  CHECK_FALSE(moved.has_begun);
  CHECK(find(h, 1, hall, ada).servers == ByServer{{Harness::id(2), 1}});
  CHECK(info(h, 1, hall).servers == ByServer{{Harness::id(2), 2}});
  CHECK(drop(h, 1, hall, ada, Harness::at(1, 1)).result == Errc::not_found);
  CHECK(drop(h, 1, hall, ada, Harness::at(1, 2)).result == Errc::not_found);
  CHECK(members(h, 1, hall) == Members{ada, bob});
  CHECK(kinds(events(h, hall)) == std::vector{Kind::join, Kind::join});
  CHECK(drop(h, 2, hall, ada, Harness::at(2, 1)).size == 1);
  CHECK(members(h, 1, hall) == Members{bob});
  CHECK(info(h, 1, hall).servers == ByServer{{Harness::id(2), 1}});
}

SENTENCE("a join does not take the place of a newer attachment, and changes nothing then") {
  CONTRACT_HARNESS(h);
  begin(h);
  const auto newer = join(h, 2, hall, ada, Harness::at(2, 1), Epoch{12});
  CHECK(replace(h, 1, hall, Harness::at(1, 1), Epoch{11}).result == Errc::superseded);
  CHECK(find(h, 1, hall, ada).servers == ByServer{{Harness::id(2), 1}});
  CHECK(info(h, 1, hall).version == newer.version);
  CHECK(replace(h, 2, hall, Harness::at(2, 1), Epoch{13}).result == Errc::ok);  // its own place again
  CHECK(drop(h, 2, hall, ada, Harness::at(2, 1)).size == 0);
  CHECK(all_rooms(h, 1).empty());
}

SENTENCE("a client that moves through a thousand rooms in one turn is in each of them once") {
  CONTRACT_HARNESS(h);
  begin(h);
  constexpr int rooms = 1'000;
  std::vector<RoomName> names;
  for (int i = 0; i < rooms; ++i) names.push_back(RoomName::trusted("r" + std::to_string(i)));
  const auto in_one_turn = [&](int n, auto&& call) {
    std::vector<Ticket> tickets;
    for (const RoomName& name : names) {
      tickets.push_back(h.next_ticket());
      call(h.server(n), tickets.back(), name);
    }
    h.server(n).end_turn();
    REQUIRE(h.wait_until([&] { return h.heard(n).has(tickets.back()); }, patience));
    for (const Ticket ticket : tickets) REQUIRE(h.heard(n).has(ticket));
    return tickets;
  };
  in_one_turn(1, [](Store& store, Ticket t, const RoomName& room) {
    store.call(
        t, JoinCall{.room = room, .client = ada, .at = Harness::at(1, 1), .epoch = Epoch{10}, .replaces_older = true});
  });
  const auto moved = in_one_turn(2, [](Store& store, Ticket t, const RoomName& room) {
    store.call(t, JoinCall{.room = room,
                           .client = ada,
                           .at = Harness::at(2, 1),
                           .epoch = Epoch{11},
                           .is_of_claim = true,
                           .replaces_older = true});
  });
  for (const Ticket ticket : moved) CHECK(std::get<Joined>(h.heard(2).answers.at(ticket)).result == Errc::ok);
  // The old connection ends: its server has nothing left to drop, and the client stays in every room.
  const auto dropped = in_one_turn(1, [](Store& store, Ticket t, const RoomName& room) {
    store.call(t, DropCall{room, ada, Harness::at(1, 1)});
  });
  for (const Ticket ticket : dropped) CHECK(std::get<Left>(h.heard(1).answers.at(ticket)).result == Errc::not_found);
  for (const RoomName& name : {names.front(), names[500], names.back()}) {
    CHECK(find(h, 1, name, ada).servers == ByServer{{Harness::id(2), 1}});
  }
  const auto left = in_one_turn(2, [](Store& store, Ticket t, const RoomName& room) {
    store.call(t, DropCall{room, ada, Harness::at(2, 1)});
  });
  for (const Ticket ticket : left) CHECK(std::get<Left>(h.heard(2).answers.at(ticket)).result == Errc::ok);
  CHECK(all_rooms(h, 1).empty());
}

SENTENCE("a known version far above the store's clock is not believed") {
  CONTRACT_HARNESS(h);
  begin(h);
  const auto first = join(h, 1, hall, ada, Harness::at(1, 1), Epoch{10});
  for (const std::uint64_t forged : {first.version + 3'600'000'000U, std::uint64_t{1} << 53, ~std::uint64_t{0}}) {
    const auto joined = join(h, 1, hall, ada, Harness::at(1, 1), Epoch{10}, forged);
    CHECK(joined.result == Errc::ok);
    CHECK(joined.version == first.version);
  }
  CHECK(join(h, 1, cafe, bob, Harness::at(1, 2), Epoch{10}, ~std::uint64_t{0}).version < first.version + 60'000'000U);
}

SENTENCE("a late leave cannot remove a newer connection") {
  CONTRACT_HARNESS(h);
  begin(h);
  listen(h, hall);
  const Joined joined = join(h, 1, hall, ada, Harness::at(1, 1), Epoch{10});
  join(h, 2, hall, ada, Harness::at(2, 1), Epoch{20});
  const Left left = leave(h, 1, hall, ada, Epoch{10});
  CHECK(left.result == Errc::ok);
  CHECK(left.size == 1);
  CHECK(left.version == joined.version);
  CHECK(find(h, 1, hall, ada).servers == ByServer{{Harness::id(2), 1}});
  const Left again = leave(h, 1, hall, ada, Epoch{19});
  CHECK(again.result == Errc::not_found);
  CHECK(again.size == 1);
  CHECK(again.version == joined.version);
  CHECK(events(h, hall).size() == 1);
  CHECK(told_rooms(h, ada) == RoomNames{hall});
}

SENTENCE("a join with a newer epoch lifts its attachment above an older leave") {
  CONTRACT_HARNESS(h);
  begin(h);
  join(h, 1, hall, ada, Harness::at(1, 1), Epoch{10});
  join(h, 1, hall, ada, Harness::at(1, 1), Epoch{20});
  CHECK(leave(h, 1, hall, ada, Epoch{10}).result == Errc::not_found);
  // And one with an older epoch does not lower it.
  join(h, 1, hall, ada, Harness::at(1, 1), Epoch{5});
  CHECK(leave(h, 1, hall, ada, Epoch{19}).result == Errc::not_found);
  CHECK(told_rooms(h, ada) == RoomNames{hall});
  CHECK(leave(h, 1, hall, ada, Epoch{20}).result == Errc::ok);
  CHECK(told_rooms(h, ada).empty());
}

SENTENCE("a late join of an older attachment begins no second stay and a leave of the newer one ends it too") {
  CONTRACT_HARNESS(h);
  begin(h);
  listen(h, hall);
  join(h, 2, hall, ada, Harness::at(2, 1), Epoch{20});
  const Joined late = join(h, 1, hall, ada, Harness::at(1, 1), Epoch{10});
  CHECK(late.result == Errc::ok);
  CHECK(late.size == 1);
  CHECK(events(h, hall).size() == 1);
  CHECK(leave(h, 2, hall, ada, Epoch{20}).size == 0);
  CHECK(find(h, 1, hall, ada).size == 0);
  CHECK(kinds(events(h, hall)) == std::vector{Kind::join, Kind::leave});
  CHECK(told_rooms(h, ada).empty());
}

SENTENCE("a drop of an attachment that is not there changes nothing") {
  CONTRACT_HARNESS(h);
  begin(h);
  listen(h, hall);
  const Left nowhere = drop(h, 1, hall, ada, Harness::at(1, 1));
  CHECK(nowhere.result == Errc::not_found);
  CHECK(nowhere.size == 0);
  CHECK(nowhere.version == 0);
  const Joined joined = join(h, 1, hall, ada, Harness::at(1, 1), Epoch{10});
  // Another connection, another shard, another server, another client, another room.
  CHECK(drop(h, 1, hall, ada, Harness::at(1, 2)).result == Errc::not_found);
  CHECK(drop(h, 1, hall, ada, Harness::at(1, 1, 1)).result == Errc::not_found);
  CHECK(drop(h, 1, hall, ada, Harness::at(2, 1)).result == Errc::not_found);
  CHECK(drop(h, 1, hall, bob, Harness::at(1, 1)).result == Errc::not_found);
  CHECK(drop(h, 1, cafe, ada, Harness::at(1, 1)).result == Errc::not_found);
  const Left unknown = drop(h, 2, hall, ada, Harness::at(2, 9));
  CHECK(unknown.size == 1);
  CHECK(unknown.version == joined.version);
  CHECK(info(h, 1, hall).servers == ByServer{{Harness::id(1), 1}});
  CHECK(events(h, hall).size() == 1);
}

SENTENCE("a leave of a client that is not there changes nothing") {
  CONTRACT_HARNESS(h);
  begin(h);
  const Left nowhere = leave(h, 1, hall, ada, Epoch{100});
  CHECK(nowhere.result == Errc::not_found);
  CHECK(nowhere.size == 0);
  CHECK(nowhere.version == 0);
  const Joined joined = join(h, 1, hall, bob, Harness::at(1, 1), Epoch{1});
  const Left left = leave(h, 1, hall, ada, Epoch{100});
  CHECK(left.result == Errc::not_found);
  CHECK(left.size == 1);
  CHECK(left.version == joined.version);
}

SENTENCE("a client that leaves and joins again at once on the same connection is there") {
  CONTRACT_HARNESS(h);
  begin(h);
  Store& store = h.server(1);
  for (std::uint64_t round = 0; round < 50; ++round) {
    store.call(h.next_ticket(), JoinCall{hall, ada, Harness::at(1, 1), Epoch{10}});
    store.call(h.next_ticket(), LeaveCall{hall, ada, Epoch{10}});
  }
  const Ticket last = h.next_ticket();
  store.call(last, JoinCall{hall, ada, Harness::at(1, 1), Epoch{10}});
  h.wait(1, last);
  CHECK(find(h, 2, hall, ada).size == 1);
  CHECK(told_rooms(h, ada) == RoomNames{hall});
  // Its server's death is still the end of it.
  CHECK(resign(h, 1) == Errc::ok);
  CHECK(info(h, 2, hall).size == 0);
}

// ---------------------------------------------------------------- what a claim tells

SENTENCE("a claim tells the rooms in which the client stays, by name, and only those") {
  CONTRACT_HARNESS(h);
  begin(h);
  const Attachment at = Harness::at(1, 1);
  const Claimed first = claim(h, 1, ada, at, h.now());
  CHECK(first.rooms.empty());
  for (const char* name : {"zoo", "hall", "cafe", "a b"}) {
    join(h, 1, RoomName::trusted(name), ada, at, first.epoch);
  }
  join(h, 2, RoomName::trusted("other"), bob, Harness::at(2, 1), Epoch{1});
  const RoomNames all{RoomName::trusted("a b"), cafe, hall, RoomName::trusted("zoo")};
  CHECK(told_rooms(h, ada) == all);
  leave(h, 1, cafe, ada, first.epoch);
  CHECK(told_rooms(h, ada) == RoomNames{all[0], hall, all[3]});
  drop(h, 1, hall, ada, at);
  CHECK(told_rooms(h, ada) == RoomNames{all[0], all[3]});
  join(h, 1, hall, ada, at, first.epoch);
  CHECK(told_rooms(h, ada) == RoomNames{all[0], hall, all[3]});
}

SENTENCE("a claim made again tells the rooms that its own attachment is not listed in") {
  CONTRACT_HARNESS(h);
  begin(h);
  const Attachment here = Harness::at(1, 1), there = Harness::at(2, 1);
  const auto again = [&](const Claimed& first) {
    return h.ask(1, ClaimCall{ada, here, h.now(), first.epoch, SessionPolicy::multi, 10});
  };
  const Claimed first = claim(h, 1, ada, here, h.now());
  claim(h, 2, ada, there, h.now());
  join(h, 1, hall, ada, here, first.epoch);
  CHECK(again(first).rooms.empty());
  join(h, 2, hall, ada, there, Epoch{10});
  join(h, 2, cafe, ada, there, Epoch{10});
  CHECK(again(first).rooms == RoomNames{cafe});
}

SENTENCE("a refused claim tells no rooms") {
  CONTRACT_HARNESS(h);
  begin(h);
  const StoreTime accepted = h.now();
  const Claimed first = claim(h, 1, ada, Harness::at(1, 1), accepted);
  join(h, 1, hall, ada, Harness::at(1, 1), first.epoch);
  const auto refused = h.ask(2, ClaimCall{ada, Harness::at(2, 1), accepted - 1s, {}, SessionPolicy::single, 1});
  REQUIRE(refused.result == Errc::superseded);
  CHECK(refused.rooms.empty());
}

SENTENCE("a client that reconnects elsewhere finds its rooms and its stay never ends") {
  CONTRACT_HARNESS(h);
  begin(h);
  listen(h, hall);
  const Claimed first = claim(h, 1, ada, Harness::at(1, 1), h.now());
  join(h, 1, hall, ada, Harness::at(1, 1), first.epoch);
  const Claimed second = claim(h, 2, ada, Harness::at(2, 1), h.now() + 1ms);
  REQUIRE(second.rooms == RoomNames{hall});
  CHECK(join(h, 2, hall, ada, Harness::at(2, 1), second.epoch).size == 1);
  CHECK(drop(h, 1, hall, ada, Harness::at(1, 1)).size == 1);
  CHECK(told_rooms(h, ada) == RoomNames{hall});
  CHECK(leave(h, 1, hall, ada, first.epoch).result == Errc::not_found);
  CHECK(told_rooms(h, ada) == RoomNames{hall});
  CHECK(events(h, hall).size() == 1);
}

SENTENCE("a room is told as long as any attachment is in it, whichever goes first") {
  CONTRACT_HARNESS(h);
  begin(h);
  for (const bool is_newest_first : {true, false}) {
    join(h, 1, hall, ada, Harness::at(1, 1), Epoch{10});
    join(h, 2, hall, ada, Harness::at(2, 1), Epoch{20});
    join(h, 2, hall, ada, Harness::at(2, 2), Epoch{15});
    const std::vector<std::pair<int, Attachment>> order =
        is_newest_first
            ? std::vector<std::pair<int, Attachment>>{{2, Harness::at(2, 1)},
                                                      {2, Harness::at(2, 2)},
                                                      {1, Harness::at(1, 1)}}
            : std::vector<std::pair<int, Attachment>>{
                  {1, Harness::at(1, 1)}, {2, Harness::at(2, 2)}, {2, Harness::at(2, 1)}};
    for (const auto& [n, at] : order) {
      CHECK(told_rooms(h, ada) == RoomNames{hall});
      REQUIRE(drop(h, n, hall, ada, at).result == Errc::ok);
    }
    CHECK(told_rooms(h, ada).empty());
  }
}

// ---------------------------------------------------------------- sweep and resignation

SENTENCE("a sweep drops exactly what the dead server held and tells each stay that ends by it once") {
  CONTRACT_HARNESS(h);
  begin(h);
  renew(h, 3, lease_short);
  listen(h, hall);
  listen(h, cafe);
  join(h, 3, hall, ada, Harness::at(3, 1), Epoch{10});
  join(h, 3, hall, bob, Harness::at(3, 2), Epoch{10});
  join(h, 1, hall, bob, Harness::at(1, 2), Epoch{9});  // stays on another server
  const Joined last = join(h, 1, hall, eve, Harness::at(1, 3), Epoch{10});
  join(h, 3, cafe, ada, Harness::at(3, 1), Epoch{10});
  h.run_for(past_lease_short);
  CHECK(members(h, 1, hall) == Members{ada, bob, eve});  // nobody has looked yet

  const Swept swept = sweep(h, 1, 3);
  CHECK(swept.result == Errc::ok);
  CHECK(swept.rows_removed == 0);
  CHECK(swept.memberships_removed == 3);
  CHECK(members(h, 1, hall) == Members{bob, eve});
  CHECK(info(h, 1, hall).servers == ByServer{{Harness::id(1), 2}});
  CHECK(info(h, 1, hall).version == last.version + 1);
  CHECK(all_rooms(h, 1) == std::vector<std::pair<RoomName, std::uint64_t>>{{hall, 2}});

  auto heard = events(h, hall);
  REQUIRE(kinds(heard) == std::vector{Kind::join, Kind::join, Kind::join, Kind::swept});
  CHECK(heard[3].client == ada);
  CHECK(heard[3].version == last.version + 1);
  CHECK(heard[3].size == 2);
  heard = events(h, cafe);
  REQUIRE(kinds(heard) == std::vector{Kind::join, Kind::swept});
  CHECK(heard[1].size == 0);

  CHECK(told_rooms(h, ada).empty());
  CHECK(told_rooms(h, bob) == RoomNames{hall});
}

SENTENCE("two servers that sweep the same dead one tell each stay's end once") {
  CONTRACT_HARNESS(h);
  begin(h);
  renew(h, 3, lease_short);
  listen(h, hall);
  for (std::uint64_t i = 1; i <= 200; ++i) {
    const Ticket ticket = h.next_ticket();
    h.server(3).call(ticket, JoinCall{hall, ClientId::trusted("c" + std::to_string(i)), Harness::at(3, i), Epoch{i}});
    if (i == 200) h.wait(3, ticket);
  }
  h.run_for(past_lease_short);
  const Ticket first = h.next_ticket(), second = h.next_ticket();
  h.server(1).call(first, SweepCall{Harness::id(3), Harness::id(1)});
  h.server(2).call(second, SweepCall{Harness::id(3), Harness::id(2)});
  h.server(1).end_turn();
  h.server(2).end_turn();
  const auto one = std::get<Swept>(h.wait(1, first)), other = std::get<Swept>(h.wait(2, second));
  CHECK((one.result == Errc::ok || other.result == Errc::ok));
  CHECK(one.memberships_removed + other.memberships_removed == 200);
  CHECK(sweep(h, 2, 3).memberships_removed == 0);
  std::set<ClientId> ended;
  for (const Event& event : events(h, hall)) {
    if (event.kind != Kind::swept) continue;
    CHECK(ended.insert(event.client).second);
  }
  CHECK(ended.size() == 200);
  CHECK(info(h, 1, hall).size == 0);
  CHECK(all_rooms(h, 1).empty());
}

SENTENCE("a client that re-joined elsewhere before the sweep keeps its stay") {
  CONTRACT_HARNESS(h);
  begin(h);
  renew(h, 3, lease_short);
  listen(h, hall);
  const Claimed first = claim(h, 3, ada, Harness::at(3, 1), h.now());
  const Joined joined = join(h, 3, hall, ada, Harness::at(3, 1), first.epoch);
  h.run_for(past_lease_short);
  const Claimed second = claim(h, 1, ada, Harness::at(1, 1), h.now());
  CHECK(second.rooms == RoomNames{hall});
  join(h, 1, hall, ada, Harness::at(1, 1), second.epoch);
  CHECK(sweep(h, 2, 3).memberships_removed == 1);
  CHECK(find(h, 1, hall, ada).servers == ByServer{{Harness::id(1), 1}});
  CHECK(info(h, 1, hall).version == joined.version);
  CHECK(events(h, hall).size() == 1);
  CHECK(told_rooms(h, ada) == RoomNames{hall});
}

SENTENCE("a server that holds its lease loses no member by a sweep") {
  CONTRACT_HARNESS(h);
  begin(h);
  join(h, 2, hall, ada, Harness::at(2, 1), Epoch{1});
  const Swept refused = sweep(h, 1, 2);
  CHECK(refused.result == Errc::conflict);
  CHECK(refused.memberships_removed == 0);
  CHECK(find(h, 1, hall, ada).size == 1);
  CHECK(told_rooms(h, ada) == RoomNames{hall});
}

SENTENCE("a swept server that returns joins its clients again as new stays") {
  CONTRACT_HARNESS(h);
  begin(h);
  renew(h, 3, lease_short);
  listen(h, hall);
  join(h, 3, hall, ada, Harness::at(3, 1), Epoch{10});
  h.run_for(past_lease_short);
  REQUIRE(sweep(h, 1, 3).memberships_removed == 1);
  renew(h, 3, lease_long);
  CHECK(join(h, 3, hall, ada, Harness::at(3, 1), Epoch{11}).size == 1);
  CHECK(sweep(h, 1, 3).result == Errc::conflict);
  const auto heard = events(h, hall);
  REQUIRE(kinds(heard) == std::vector{Kind::join, Kind::swept, Kind::join});
  CHECK(heard[2].version > heard[1].version);
  CHECK(told_rooms(h, ada) == RoomNames{hall});
}

SENTENCE("a join of a server without a lease is found by a sweep") {
  CONTRACT_HARNESS(h);
  begin(h);
  REQUIRE(join(h, 3, hall, ada, Harness::at(3, 1), Epoch{1}).result == Errc::ok);
  const auto servers = h.ask(1, ServersCall{});
  CHECK(std::any_of(servers.rows.begin(), servers.rows.end(), [](const ServerRow& row) {
    return row.server == Harness::id(3) && row.lease == ServerRow::Lease::expired;
  }));
  CHECK(sweep(h, 1, 3).memberships_removed == 1);
  CHECK(info(h, 1, hall).size == 0);
}

SENTENCE("what a server holds when it resigns ends as left") {
  CONTRACT_HARNESS(h);
  begin(h);
  listen(h, hall);
  join(h, 1, hall, ada, Harness::at(1, 1), Epoch{1});
  join(h, 1, hall, bob, Harness::at(1, 2), Epoch{1});
  join(h, 2, hall, bob, Harness::at(2, 2), Epoch{2});
  CHECK(resign(h, 1) == Errc::ok);
  CHECK(members(h, 2, hall) == Members{bob});
  CHECK(info(h, 2, hall).servers == ByServer{{Harness::id(2), 1}});
  const auto heard = events(h, hall);
  REQUIRE(kinds(heard) == std::vector{Kind::join, Kind::join, Kind::leave});
  CHECK(heard[2].client == ada);
  CHECK(heard[2].size == 1);
}

SENTENCE("a sweep of many members over many rooms leaves nothing behind") {
  CONTRACT_HARNESS(h);
  begin(h);
  renew(h, 3, lease_short);
  Ticket ticket;
  for (std::uint64_t i = 0; i < 1'500; ++i) {
    ticket = h.next_ticket();
    h.server(3).call(ticket, JoinCall{RoomName::trusted("room " + std::to_string(i % 50)),
                                      ClientId::trusted("c" + std::to_string(i)), Harness::at(3, i + 1), Epoch{i + 1}});
  }
  h.wait(3, ticket);
  join(h, 1, hall, ada, Harness::at(1, 1), Epoch{1});
  REQUIRE(all_rooms(h, 1).size() == 51);
  h.run_for(past_lease_short);
  const Swept swept = sweep(h, 1, 3);
  CHECK(swept.result == Errc::ok);
  CHECK(swept.memberships_removed == 1'500);
  CHECK(all_rooms(h, 1) == std::vector<std::pair<RoomName, std::uint64_t>>{{hall, 1}});
  CHECK(told_rooms(h, ClientId::trusted("c0")).empty());
}

// ---------------------------------------------------------------- pages

SENTENCE("pages list ten thousand members once each, by name") {
  CONTRACT_HARNESS(h);
  begin(h);
  Members expected;
  Ticket ticket;
  for (std::uint64_t i = 0; i < 10'000; ++i) {
    expected.push_back(ClientId::trusted("client-" + std::to_string(i * 7'919 % 10'000)));
    ticket = h.next_ticket();
    h.server(1).call(ticket, JoinCall{hall, expected.back(), Harness::at(1, i + 1), Epoch{1}});
    if (i % 500 == 499) h.wait(1, ticket);
  }
  std::sort(expected.begin(), expected.end());
  CHECK(info(h, 2, hall).size == 10'000);
  CHECK(info(h, 2, hall).servers == ByServer{{Harness::id(1), 10'000}});
  CHECK((members(h, 2, hall, 1'000) == expected));
  CHECK((members(h, 2, hall, 777) == expected));
  // More than a page may hold is cut, none is a page of one.
  CHECK(page(h, 2, hall, "0", 1'000'000).members.size() == 1'000);
  CHECK(page(h, 2, hall, "0", 0).members.size() == 1);
}

SENTENCE("the last page says so even when it is full") {
  CONTRACT_HARNESS(h);
  begin(h);
  for (const ClientId& client : {ada, bob, eve}) join(h, 1, hall, client, Harness::at(1, 1), Epoch{1});
  const RosterPage first = page(h, 1, hall, "0", 2);
  CHECK(first.members == Members{ada, bob});
  CHECK(first.cursor == ">bob");
  CHECK(first.size == 3);
  const RosterPage second = page(h, 1, hall, first.cursor, 1);
  CHECK(second.members == Members{eve});
  CHECK(second.cursor == "0");
}

SENTENCE("a cursor that no page gave is refused") {
  CONTRACT_HARNESS(h);
  begin(h);
  join(h, 1, hall, ada, Harness::at(1, 1), Epoch{1});
  for (const std::string& cursor : {std::string{}, std::string{"1"}, std::string{"ada"}, std::string{">"},
                                    ">" + std::string(129, 'x'), std::string{">\xFF"}}) {
    INFO("the cursor " << cursor);
    const RosterPage refused = page(h, 1, hall, cursor, 10);
    CHECK(refused.result == Errc::bad_request);
    CHECK(refused.members.empty());
    CHECK(refused.cursor == "0");
    CHECK(room_page(h, 1, cursor, 10).result == Errc::bad_request);
    CHECK(room_page(h, 1, cursor, 10).cursor == "0");
  }
  CHECK(page(h, 1, hall, ">nobody of this name", 10).result == Errc::ok);
}

SENTENCE("a client that stays while others come and go is listed exactly once, and pages with events are the truth") {
  CONTRACT_HARNESS(h);
  begin(h);
  listen(h, hall);
  const auto client = [](std::uint64_t i) { return ClientId::trusted("c" + std::to_string(1'000 + i)); };
  for (std::uint64_t i = 0; i < 300; ++i) join(h, 1, hall, client(i), Harness::at(1, i + 1), Epoch{1});

  struct Range {
    ClientId after, through;  // through empty: to the end
    std::uint64_t version;
  };
  std::vector<Range> ranges;
  std::multiset<ClientId> listed;
  std::string cursor = "0";
  ClientId last;
  std::uint64_t step = 0;
  do {
    const RosterPage answer = page(h, 2, hall, cursor, 17);
    REQUIRE(answer.result == Errc::ok);
    listed.insert(answer.members.begin(), answer.members.end());
    cursor = answer.cursor;
    ranges.push_back({last, cursor == "0" ? ClientId{} : answer.members.back(), answer.version});
    if (!answer.members.empty()) last = answer.members.back();
    // Before and behind the cursor: odd ones go, new ones come, some stay under another attachment.
    for (std::uint64_t i = 0; i < 6; ++i) {
      const std::uint64_t gone = (step * 37 + i * 51) % 150 * 2 + 1;
      drop(h, 1, hall, client(gone), Harness::at(1, gone + 1));
      const ClientId fresh = ClientId::trusted("c" + std::to_string(1'000 + (step * 53 + i * 47) % 300) + "x");
      join(h, 2, hall, fresh, Harness::at(2, 1'000 + step * 10 + i), Epoch{2});
    }
    const std::uint64_t moving = step * 2 % 300;
    join(h, 2, hall, client(moving), Harness::at(2, 5'000 + step), Epoch{3});
    drop(h, 1, hall, client(moving), Harness::at(1, moving + 1));
    REQUIRE(++step < 1'000);
  } while (cursor != "0");

  for (std::uint64_t i = 0; i < 300; i += 2) CHECK(listed.count(client(i)) == 1);
  for (const ClientId& any : listed) CHECK(listed.count(any) == 1);

  std::set<ClientId> known(listed.begin(), listed.end());
  for (const Event& event : events(h, hall)) {
    const auto range = std::find_if(ranges.begin(), ranges.end(), [&](const Range& r) {
      return event.client > r.after && (r.through.is_empty() || event.client <= r.through);
    });
    REQUIRE(range != ranges.end());
    if (event.version <= range->version) continue;  // the page knew it already
    if (event.kind == Kind::join) {
      CHECK(known.insert(event.client).second);
    } else {
      CHECK(known.erase(event.client) == 1);
    }
  }
  CHECK((Members(known.begin(), known.end()) == members(h, 1, hall)));
}

SENTENCE("rooms are listed by name with their sizes, page by page") {
  CONTRACT_HARNESS(h);
  begin(h);
  std::vector<std::pair<RoomName, std::uint64_t>> expected;
  for (std::uint64_t i = 0; i < 45; ++i) {
    const RoomName room = RoomName::trusted("room-" + std::to_string(i));
    const std::uint64_t size = i % 3 + 1;
    for (std::uint64_t k = 0; k < size; ++k) {
      join(h, 1 + static_cast<int>(k % 2), room, ClientId::trusted("c" + std::to_string(k)),
           Harness::at(1 + static_cast<int>(k % 2), k + 1), Epoch{1});
    }
    expected.emplace_back(room, size);
  }
  std::sort(expected.begin(), expected.end());
  CHECK(all_rooms(h, 1, 100) == expected);
  CHECK(all_rooms(h, 2, 10) == expected);
  CHECK(all_rooms(h, 2, 9) == expected);
  const RoomPage first = room_page(h, 1, "0", 2);
  CHECK(first.rooms.size() == 2);
  CHECK(first.cursor == ">" + expected[1].first.str());
  CHECK(room_page(h, 1, "0", 0).rooms.size() == 1);
}

SENTENCE("a room leaves the list with its last client, and returns with the next") {
  CONTRACT_HARNESS(h);
  begin(h);
  using List = std::vector<std::pair<RoomName, std::uint64_t>>;
  join(h, 1, hall, ada, Harness::at(1, 1), Epoch{1});
  join(h, 1, hall, ada, Harness::at(1, 2), Epoch{1});
  join(h, 2, cafe, bob, Harness::at(2, 1), Epoch{1});
  CHECK(all_rooms(h, 2) == List{{cafe, 1}, {hall, 1}});
  drop(h, 1, hall, ada, Harness::at(1, 1));
  CHECK(all_rooms(h, 2) == List{{cafe, 1}, {hall, 1}});
  drop(h, 1, hall, ada, Harness::at(1, 2));
  CHECK(all_rooms(h, 2) == List{{cafe, 1}});
  leave(h, 1, cafe, bob, Epoch{1});
  CHECK(all_rooms(h, 2).empty());
  join(h, 1, hall, bob, Harness::at(1, 3), Epoch{1});
  CHECK(all_rooms(h, 2) == List{{hall, 1}});
}

// ---------------------------------------------------------------- bounds and odd names

SENTENCE("a full membership table refuses by number and flag and changes nothing") {
  CONTRACT_HARNESS(h, Setup{.memberships_max = 3});
  begin(h);
  listen(h, hall);
  listen(h, cafe);
  join(h, 1, hall, ada, Harness::at(1, 1), Epoch{1});
  join(h, 1, cafe, ada, Harness::at(1, 1), Epoch{1});
  REQUIRE(join(h, 1, hall, bob, Harness::at(1, 2), Epoch{1}).result == Errc::ok);
  for (const RoomName& room : {hall, RoomName::trusted("new")}) {
    const Joined refused = join(h, 1, room, eve, Harness::at(1, 3), Epoch{1});
    CHECK(refused.result == Errc::capacity);
    CHECK(refused.detail == "the membership table is full (3 rows): raise --memberships-max");
  }
  CHECK(members(h, 1, hall) == Members{ada, bob});
  CHECK(info(h, 1, hall).servers == ByServer{{Harness::id(1), 2}});
  CHECK(events(h, hall).size() == 2);
  CHECK(told_rooms(h, eve).empty());
  CHECK(all_rooms(h, 1).size() == 2);
  // A client that is there already may reconnect and repeat itself.
  CHECK(join(h, 1, hall, bob, Harness::at(1, 4), Epoch{2}).result == Errc::ok);
  CHECK(drop(h, 1, hall, bob, Harness::at(1, 2)).result == Errc::ok);
  CHECK(join(h, 1, hall, ada, Harness::at(1, 1), Epoch{2}).result == Errc::ok);
  CHECK(members(h, 1, hall) == Members{ada, bob});
  // Whoever leaves makes room.
  CHECK(leave(h, 1, hall, ada, Epoch{2}).result == Errc::ok);
  CHECK(join(h, 1, hall, eve, Harness::at(1, 3), Epoch{1}).result == Errc::ok);
  CHECK(members(h, 1, hall) == Members{bob, eve});
  CHECK(told_rooms(h, eve) == RoomNames{hall});
}

SENTENCE("no byte of a name means anything") {
  CONTRACT_HARNESS(h);
  begin(h);
  renew(h, 3, lease_short);
  const std::vector<std::string> names{"0",
                                       ">x",
                                       ">",
                                       "a b  c",
                                       " ",
                                       "{x}",
                                       "}{",
                                       "%7B",
                                       "\"q\" 'q' \\",
                                       "chat:room:42",
                                       "r:hall}:members",
                                       "*?[a]",
                                       "\xC3\xA4\xE2\x82\xAC\xF0\x9F\x98\x80",
                                       "P1 join 1 1 x",
                                       "1/2 3",
                                       "-",
                                       "(",
                                       "+",
                                       std::string(128, 'y')};
  std::vector<std::pair<RoomName, std::uint64_t>> expected_rooms;
  Members expected;
  RoomNames expected_told;
  for (const std::string& name : names) {
    expected.push_back(ClientId::trusted(name));
    expected_told.push_back(RoomName::trusted(name));
    expected_rooms.emplace_back(RoomName::trusted(name), names.size());
  }
  std::sort(expected.begin(), expected.end());
  std::sort(expected_told.begin(), expected_told.end());
  std::sort(expected_rooms.begin(), expected_rooms.end());
  for (const auto& [room, size] : expected_rooms) {
    listen(h, room);
    std::uint64_t serial = 0;
    for (const ClientId& client : expected) {
      REQUIRE(join(h, 3, room, client, Harness::at(3, ++serial), Epoch{1}).result == Errc::ok);
    }
  }
  CHECK(all_rooms(h, 1, 4) == expected_rooms);
  for (const auto& [room, size] : expected_rooms) {
    INFO("the room " << room.str());
    CHECK(members(h, 1, room, 4) == expected);
    Members told;
    for (const Event& event : events(h, room)) told.push_back(event.client);
    CHECK(told == expected);
  }
  for (const ClientId& client : expected) CHECK(told_rooms(h, client) == expected_told);
  // Left by name in one room, dropped in another, swept in the rest.
  for (const ClientId& client : expected) {
    CHECK(leave(h, 1, expected_told[0], client, Epoch{1}).result == Errc::ok);
    CHECK(find(h, 1, expected_told[1], client).size == 1);
  }
  std::uint64_t serial = 0;
  for (const ClientId& client : expected) {
    CHECK(drop(h, 3, expected_told[1], client, Harness::at(3, ++serial)).result == Errc::ok);
  }
  h.run_for(past_lease_short);
  CHECK(sweep(h, 1, 3).memberships_removed == (names.size() - 2) * names.size());
  CHECK(all_rooms(h, 1).empty());
  for (const ClientId& client : expected) CHECK(told_rooms(h, client).empty());
}

}  // namespace
}  // namespace wsr::contract
