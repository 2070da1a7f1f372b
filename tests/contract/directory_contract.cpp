// The directory, as every backend must keep it: who is where, and which servers live.
#include <algorithm>
#include <set>

#include "tests/contract/harness.hpp"

namespace wsr::contract {
namespace {

const ClientId ada = ClientId::trusted("ada");
const ClientId bob = ClientId::trusted("bob \"{x}\" \xC3\xA4");  // ids are data: no byte of them may mean anything

ClaimCall single(const ClientId& client, const Attachment& at, StoreTime accepted_at) {
  return {client, at, accepted_at, {}, SessionPolicy::single, 1};
}

ClaimCall multi(const ClientId& client, const Attachment& at, StoreTime accepted_at, std::uint32_t devices_max) {
  return {client, at, accepted_at, {}, SessionPolicy::multi, devices_max};
}

Claimed claim(Harness& h, int n, const ClaimCall& request) { return h.ask(n, request); }
Errc release(Harness& h, int n, const ClientId& client, const Attachment& at) {
  return h.ask(n, ReleaseCall{client, at}).result;
}
std::vector<OwnerRow> lookup(Harness& h, int n, const ClientId& client) {
  const auto owners = h.ask(n, LookupCall{client});
  REQUIRE(owners.result == Errc::ok);
  return owners.rows;
}
std::vector<Attachment> attachments(Harness& h, int n, const ClientId& client) {
  std::vector<Attachment> all;
  for (const OwnerRow& row : lookup(h, n, client)) all.push_back(row.at);
  return all;
}
Renewed renew(Harness& h, int n, milliseconds lease, const ServerInfo& info = {}) {
  return h.ask(n, RenewCall{Harness::id(n), info, lease});
}
Errc resign(Harness& h, int n) { return h.ask(n, ResignCall{Harness::id(n)}).result; }
Swept sweep(Harness& h, int by, int dead) { return h.ask(by, SweepCall{Harness::id(dead), Harness::id(by)}); }
Servers servers(Harness& h, int n) { return h.ask(n, ServersCall{}); }
std::vector<std::pair<ServerId, std::uint64_t>> counts(Harness& h, int n) {
  const auto answer = h.ask(n, CountsCall{});
  REQUIRE(answer.result == Errc::ok);
  return answer.by_server;
}
OwnerPage page(Harness& h, int n, const std::string& cursor, std::uint32_t count) {
  const auto answer = h.ask(n, OwnerPageCall{cursor, count});
  REQUIRE(answer.result == Errc::ok);
  return answer;
}

/// Servers 1 and 2 hold their leases for the whole test.
void begin(Harness& h) {
  REQUIRE(renew(h, 1, lease_long).result == Errc::ok);
  REQUIRE(renew(h, 2, lease_long).result == Errc::ok);
}

std::uint64_t micros(StoreTime time) { return static_cast<std::uint64_t>(time.time_since_epoch().count()); }

using Attachments = std::vector<Attachment>;

// ---------------------------------------------------------------- claim, single

SENTENCE("a claim is found by a lookup from any server") {
  CONTRACT_HARNESS(h);
  begin(h);
  const StoreTime accepted = h.now();
  const Claimed claimed = claim(h, 1, single(bob, Harness::at(1, 7, 3), accepted));
  REQUIRE(claimed.result == Errc::ok);
  CHECK(claimed.displaced.empty());
  CHECK(claimed.epoch.value >= micros(accepted));

  for (const int n : {1, 2}) {
    const auto rows = lookup(h, n, bob);
    REQUIRE(rows.size() == 1);
    CHECK(rows[0].client == bob);
    CHECK(rows[0].at == Harness::at(1, 7, 3));
    CHECK(rows[0].epoch == claimed.epoch);
    CHECK(rows[0].claimed_at == accepted);
  }
}

SENTENCE("a client that nobody claimed has no rows") {
  CONTRACT_HARNESS(h);
  begin(h);
  CHECK(lookup(h, 1, ada).empty());
}

SENTENCE("a later connection on another server displaces the earlier one") {
  CONTRACT_HARNESS(h);
  begin(h);
  const StoreTime accepted = h.now();
  const Claimed first = claim(h, 1, single(ada, Harness::at(1, 1), accepted));
  const Claimed second = claim(h, 2, single(ada, Harness::at(2, 1), accepted + 1ms));
  CHECK(second.result == Errc::ok);
  CHECK(second.displaced == Attachments{Harness::at(1, 1)});
  CHECK(second.epoch > first.epoch);
  CHECK(attachments(h, 1, ada) == Attachments{Harness::at(2, 1)});
}

SENTENCE("a delayed claim never displaces the connection that the client made later") {
  CONTRACT_HARNESS(h);
  begin(h);
  const StoreTime accepted = h.now();
  REQUIRE(claim(h, 2, single(ada, Harness::at(2, 1), accepted)).result == Errc::ok);
  const Claimed late = claim(h, 1, single(ada, Harness::at(1, 1), accepted - 1ms));
  CHECK(late.result == Errc::superseded);
  CHECK(late.displaced.empty());
  CHECK_FALSE(late.detail.empty());
  CHECK(attachments(h, 1, ada) == Attachments{Harness::at(2, 1)});
}

SENTENCE("of two connections accepted at the same time the later claim wins with a greater epoch") {
  CONTRACT_HARNESS(h);
  begin(h);
  const StoreTime accepted = h.now();
  const Claimed first = claim(h, 1, single(ada, Harness::at(1, 1), accepted));
  const Claimed second = claim(h, 2, single(ada, Harness::at(2, 1), accepted));
  REQUIRE(second.result == Errc::ok);
  CHECK(second.epoch > first.epoch);
  CHECK(second.displaced == Attachments{Harness::at(1, 1)});
}

SENTENCE("an epoch is never below the one that was granted before the store forgot it") {
  CONTRACT_HARNESS(h);
  begin(h);
  ClaimCall request = single(ada, Harness::at(1, 1), h.now());
  request.epoch_min = Epoch{micros(h.now()) + 3'600'000'000};
  const Claimed claimed = claim(h, 1, request);
  REQUIRE(claimed.result == Errc::ok);
  CHECK(claimed.epoch >= request.epoch_min);
}

SENTENCE("a claim made again is the same claim with a greater epoch") {
  CONTRACT_HARNESS(h);
  begin(h);
  const ClaimCall request = single(ada, Harness::at(1, 1), h.now());
  const Claimed first = claim(h, 1, request);
  ClaimCall again = request;
  again.epoch_min = first.epoch;
  const Claimed second = claim(h, 1, again);
  REQUIRE(second.result == Errc::ok);
  CHECK(second.displaced.empty());
  CHECK(second.epoch > first.epoch);
  const auto rows = lookup(h, 1, ada);
  REQUIRE(rows.size() == 1);
  CHECK(rows[0].epoch == second.epoch);
  CHECK(rows[0].claimed_at == request.accepted_at);
  CHECK(counts(h, 1)[0].second == 1);
}

SENTENCE("epochs keep growing over releases and later claims") {
  CONTRACT_HARNESS(h);
  begin(h);
  Epoch last{};
  for (std::uint64_t serial = 1; serial <= 5; ++serial) {
    h.run_for(1ms);
    const Claimed claimed = claim(h, 1, single(ada, Harness::at(1, serial), h.now()));
    REQUIRE(claimed.result == Errc::ok);
    CHECK(claimed.epoch > last);
    last = claimed.epoch;
    REQUIRE(release(h, 1, ada, Harness::at(1, serial)) == Errc::ok);
  }
}

// ---------------------------------------------------------------- claim, multi

SENTENCE("devices of one client stand side by side up to their bound and the newest comes first") {
  CONTRACT_HARNESS(h);
  begin(h);
  const StoreTime accepted = h.now();
  REQUIRE(claim(h, 1, multi(ada, Harness::at(1, 1), accepted, 2)).displaced.empty());
  REQUIRE(claim(h, 2, multi(ada, Harness::at(2, 1), accepted + 1ms, 2)).displaced.empty());
  CHECK(attachments(h, 1, ada) == Attachments{Harness::at(2, 1), Harness::at(1, 1)});
}

SENTENCE("one device above the bound displaces the oldest") {
  CONTRACT_HARNESS(h);
  begin(h);
  const StoreTime accepted = h.now();
  claim(h, 1, multi(ada, Harness::at(1, 1), accepted, 2));
  claim(h, 2, multi(ada, Harness::at(2, 1), accepted + 1ms, 2));
  const Claimed third = claim(h, 1, multi(ada, Harness::at(1, 2), accepted + 2ms, 2));
  CHECK(third.result == Errc::ok);
  CHECK(third.displaced == Attachments{Harness::at(1, 1)});
  CHECK(attachments(h, 1, ada) == Attachments{Harness::at(1, 2), Harness::at(2, 1)});
}

SENTENCE("a delayed device joins while there is room") {
  CONTRACT_HARNESS(h);
  begin(h);
  const StoreTime accepted = h.now();
  claim(h, 1, multi(ada, Harness::at(1, 1), accepted, 2));
  const Claimed late = claim(h, 2, multi(ada, Harness::at(2, 1), accepted - 1ms, 2));
  CHECK(late.result == Errc::ok);
  CHECK(late.displaced.empty());
  CHECK(attachments(h, 1, ada).size() == 2);
}

SENTENCE("a delayed device that is the oldest above the bound is superseded itself") {
  CONTRACT_HARNESS(h);
  begin(h);
  const StoreTime accepted = h.now();
  claim(h, 1, multi(ada, Harness::at(1, 1), accepted, 2));
  claim(h, 2, multi(ada, Harness::at(2, 1), accepted + 1ms, 2));
  const Claimed late = claim(h, 1, multi(ada, Harness::at(1, 2), accepted - 1ms, 2));
  CHECK(late.result == Errc::superseded);
  CHECK(late.displaced.empty());
  CHECK(attachments(h, 1, ada) == Attachments{Harness::at(2, 1), Harness::at(1, 1)});
}

SENTENCE("a device that claims again takes no second place") {
  CONTRACT_HARNESS(h);
  begin(h);
  const StoreTime accepted = h.now();
  const Claimed first = claim(h, 1, multi(ada, Harness::at(1, 1), accepted, 2));
  claim(h, 2, multi(ada, Harness::at(2, 1), accepted + 1ms, 2));
  const Claimed again = claim(h, 1, multi(ada, Harness::at(1, 1), accepted, 2));
  CHECK(again.result == Errc::ok);
  CHECK(again.displaced.empty());
  CHECK(again.epoch > first.epoch);
  CHECK(attachments(h, 1, ada).size() == 2);
}

// ---------------------------------------------------------------- release

SENTENCE("a release takes the claim away") {
  CONTRACT_HARNESS(h);
  begin(h);
  claim(h, 1, single(ada, Harness::at(1, 1), h.now()));
  CHECK(release(h, 1, ada, Harness::at(1, 1)) == Errc::ok);
  CHECK(lookup(h, 2, ada).empty());
  CHECK(release(h, 1, ada, Harness::at(1, 1)) == Errc::not_found);
}

// ---------------------------------------------------------------- rows that expire

ClaimCall expiring(ClaimCall request, milliseconds ttl) {
  request.ttl = ttl;
  return request;
}

SENTENCE("a row with a ttl goes by itself, and a claim made again begins its time anew") {
  CONTRACT_HARNESS(h);
  begin(h);
  const ClaimCall first = expiring(single(ada, Harness::at(1, 1), h.now()), 600ms);
  const Claimed claimed = claim(h, 1, first);
  REQUIRE(claimed.result == Errc::ok);
  claim(h, 1, single(bob, Harness::at(1, 2), h.now()));
  h.run_for(400ms);
  ClaimCall again = first;
  again.epoch_min = claimed.epoch;
  CHECK(claim(h, 1, again).epoch > claimed.epoch);
  h.run_for(400ms);
  CHECK(attachments(h, 2, ada) == Attachments{Harness::at(1, 1)});  // 800 ms after the first claim
  CHECK(h.wait_until([&] { return lookup(h, 2, ada).empty(); }));
  CHECK(attachments(h, 2, bob) == Attachments{Harness::at(1, 2)});  // without a ttl it stays
  CHECK(page(h, 2, "0", 10).rows.size() == 1);
}

SENTENCE("an expired row displaces nobody, is displaced by nobody and cannot be released") {
  CONTRACT_HARNESS(h);
  begin(h);
  const StoreTime accepted = h.now();
  claim(h, 2, expiring(single(ada, Harness::at(2, 1), accepted + 1s), 50ms));
  CHECK(h.wait_until([&] { return lookup(h, 1, ada).empty(); }));
  CHECK(release(h, 2, ada, Harness::at(2, 1)) == Errc::not_found);
  const Claimed earlier = claim(h, 1, single(ada, Harness::at(1, 1), accepted));  // older than what has expired
  CHECK(earlier.result == Errc::ok);
  CHECK(earlier.displaced.empty());
  CHECK(attachments(h, 2, ada) == Attachments{Harness::at(1, 1)});
}

SENTENCE("the rows of a client expire together, and a claim without a ttl keeps them all") {
  CONTRACT_HARNESS(h);
  begin(h);
  const StoreTime accepted = h.now();
  claim(h, 1, expiring(multi(ada, Harness::at(1, 1), accepted, 4), 300ms));
  claim(h, 2, expiring(multi(ada, Harness::at(2, 1), accepted + 1ms, 4), 900ms));
  h.run_for(500ms);
  CHECK(attachments(h, 1, ada).size() == 2);  // the first one lives as long as the second
  claim(h, 1, multi(ada, Harness::at(1, 2), accepted + 2ms, 4));
  h.run_for(900ms);
  CHECK(attachments(h, 2, ada).size() == 3);
}

SENTENCE("a late release never takes a newer claim away") {
  CONTRACT_HARNESS(h);
  begin(h);
  const StoreTime accepted = h.now();
  claim(h, 1, single(ada, Harness::at(1, 1), accepted));
  claim(h, 2, single(ada, Harness::at(2, 1), accepted + 1ms));
  CHECK(release(h, 1, ada, Harness::at(1, 1)) == Errc::not_found);
  // The same server and slot, but another connection or another shard.
  CHECK(release(h, 2, ada, Harness::at(2, 2)) == Errc::not_found);
  CHECK(release(h, 2, ada, Harness::at(2, 1, 1)) == Errc::not_found);
  CHECK(release(h, 2, bob, Harness::at(2, 1)) == Errc::not_found);
  CHECK(attachments(h, 1, ada) == Attachments{Harness::at(2, 1)});
}

SENTENCE("a release of one device leaves the others") {
  CONTRACT_HARNESS(h);
  begin(h);
  const StoreTime accepted = h.now();
  claim(h, 1, multi(ada, Harness::at(1, 1), accepted, 3));
  claim(h, 1, multi(ada, Harness::at(1, 2), accepted, 3));
  claim(h, 2, multi(ada, Harness::at(2, 1), accepted, 3));
  CHECK(release(h, 1, ada, Harness::at(1, 2)) == Errc::ok);
  const auto left = attachments(h, 1, ada);
  CHECK(std::set<Attachment>(left.begin(), left.end()) == std::set{Harness::at(1, 1), Harness::at(2, 1)});
}

SENTENCE("calls take effect and are answered in the order in which they were made") {
  CONTRACT_HARNESS(h);
  begin(h);
  const StoreTime accepted = h.now();
  Store& store = h.server(1);
  const std::size_t heard_before = h.heard(1).order.size();
  std::vector<Ticket> made;
  for (std::uint64_t serial = 1; serial <= 20; ++serial) {
    made.push_back(h.next_ticket());
    store.call(made.back(), single(ada, Harness::at(1, serial), accepted));
    made.push_back(h.next_ticket());
    store.call(made.back(), LookupCall{ada});
    made.push_back(h.next_ticket());
    store.call(made.back(), ReleaseCall{ada, Harness::at(1, serial)});
  }
  h.wait(1, made.back());
  const Recorder& heard = h.heard(1);
  CHECK(std::vector<Ticket>(heard.order.begin() + static_cast<std::ptrdiff_t>(heard_before), heard.order.end()) ==
        made);
  for (std::uint64_t serial = 1; serial <= 20; ++serial) {
    const auto& owners = std::get<Owners>(heard.answers.at(made[(serial - 1) * 3 + 1]));
    REQUIRE(owners.rows.size() == 1);
    CHECK(owners.rows[0].at == Harness::at(1, serial));
  }
}

SENTENCE("a full owner table refuses by number and flag and changes nothing") {
  CONTRACT_HARNESS(h, Setup{.owners_max = 3});
  if (!h.is_owners_max_hard()) return;
  begin(h);
  const StoreTime accepted = h.now();
  for (const char* name : {"a", "b", "c"}) {
    REQUIRE(claim(h, 1, single(ClientId::trusted(name), Harness::at(1, 1), accepted)).result == Errc::ok);
  }
  const Claimed refused = claim(h, 2, single(ada, Harness::at(2, 1), accepted));
  CHECK(refused.result == Errc::capacity);
  CHECK(refused.displaced.empty());
  CHECK(refused.detail.find("3 rows") != std::string::npos);
  CHECK(refused.detail.find("--owners-max") != std::string::npos);
  CHECK(lookup(h, 1, ada).empty());
  // A client that is already there may move: it needs no further row.
  const Claimed moved = claim(h, 2, single(ClientId::trusted("b"), Harness::at(2, 2), accepted + 1ms));
  CHECK(moved.result == Errc::ok);
  // So does one that asserts its row again: a full table must not drive out who is in it.
  const Claimed again = claim(h, 1, single(ClientId::trusted("c"), Harness::at(1, 1), accepted));
  CHECK(again.result == Errc::ok);
  // A row given back makes room.
  REQUIRE(release(h, 1, ClientId::trusted("a"), Harness::at(1, 1)) == Errc::ok);
  CHECK(claim(h, 2, single(ada, Harness::at(2, 1), accepted)).result == Errc::ok);
}

// ---------------------------------------------------------------- leases

SENTENCE("a renewal tells whether the lease was held and what time it is") {
  CONTRACT_HARNESS(h);
  const Renewed first = renew(h, 1, lease_short);
  CHECK(first.result == Errc::ok);
  CHECK(first.before == Renewed::Before::missing);
  CHECK(first.now <= h.now());
  CHECK(first.now > h.now() - 5s);
  CHECK(renew(h, 1, lease_short).before == Renewed::Before::held);
  h.run_for(past_lease_short);
  CHECK(renew(h, 1, lease_short).before == Renewed::Before::missing);
}

SENTENCE("a row is absent while its server holds no lease and back when it returns") {
  CONTRACT_HARNESS(h);
  begin(h);
  REQUIRE(renew(h, 3, lease_short).result == Errc::ok);
  REQUIRE(claim(h, 3, single(ada, Harness::at(3, 1), h.now())).result == Errc::ok);
  CHECK(lookup(h, 1, ada).size() == 1);
  h.run_for(past_lease_short);
  CHECK(lookup(h, 1, ada).empty());
  CHECK(page(h, 1, "0", 100).rows.empty());
  REQUIRE(renew(h, 3, lease_long).before == Renewed::Before::missing);
  CHECK(lookup(h, 1, ada).size() == 1);
}

SENTENCE("a row of a server that never took a lease is absent") {
  CONTRACT_HARNESS(h);
  REQUIRE(renew(h, 1, lease_long).result == Errc::ok);
  REQUIRE(claim(h, 2, single(ada, Harness::at(2, 1), h.now())).result == Errc::ok);
  CHECK(lookup(h, 1, ada).empty());
}

SENTENCE("another incarnation of the same name inherits nothing") {
  CONTRACT_HARNESS(h);
  REQUIRE(renew(h, 1, lease_short).result == Errc::ok);
  REQUIRE(claim(h, 1, single(ada, Harness::at(1, 1), h.now())).result == Errc::ok);
  h.run_for(past_lease_short);
  const ServerId next = ServerId::trusted("s1~run1b");
  const auto renewed = h.ask(1, RenewCall{next, {}, lease_long});
  CHECK(renewed.before == Renewed::Before::missing);
  CHECK(lookup(h, 1, ada).empty());
}

SENTENCE("the registry lists servers by name with what they said and whether they live") {
  CONTRACT_HARNESS(h);
  REQUIRE(renew(h, 2, lease_long, {"http://127.0.0.1:8081", 7, 2, 9, "3.1.4", {}}).result == Errc::ok);
  REQUIRE(renew(h, 1, lease_short, {"http://127.0.0.1:8080", 5, 1, 0, {}, {}}).result == Errc::ok);
  h.run_for(past_lease_short);
  const Servers answer = servers(h, 2);
  REQUIRE(answer.result == Errc::ok);
  REQUIRE(answer.rows.size() == 2);
  CHECK(answer.rows[0].server == Harness::id(1));
  CHECK(answer.rows[0].lease == ServerRow::Lease::expired);
  CHECK(answer.rows[1].server == Harness::id(2));
  CHECK(answer.rows[1].lease == ServerRow::Lease::held);
  CHECK(answer.rows[1].info.url == "http://127.0.0.1:8081");
  CHECK(answer.rows[1].info.connections == 7);
  CHECK(answer.rows[1].info.shards == 2);
  CHECK(answer.rows[1].info.bus_version == 9);
  CHECK(answer.rows[1].info.version == "3.1.4");
  CHECK(answer.rows[1].info.lease == lease_long);
  CHECK(answer.now - answer.rows[0].renewed_at >= past_lease_short);
}

SENTENCE("what a server holds is listed whole, rows and places in rooms, whether its lease stands or not") {
  CONTRACT_HARNESS(h);
  REQUIRE(renew(h, 1, lease_long).result == Errc::ok);
  const StoreTime accepted = h.now();
  std::set<std::string> expected;
  for (std::uint64_t i = 1; i <= 40; ++i) {
    const ClientId client = ClientId::trusted("c" + std::to_string(i));
    const Claimed claimed = claim(h, 2, single(client, Harness::at(2, i), accepted));
    REQUIRE(claimed.result == Errc::ok);
    const JoinCall join{RoomName::trusted("hall \"1\""), client, Harness::at(2, i), claimed.epoch};
    REQUIRE(h.ask(2, join).result == Errc::ok);
    if (i % 2 == 0) {
      REQUIRE(release(h, 2, client, Harness::at(2, i)) == Errc::ok);
    } else {
      expected.insert(client.str() + " " + Harness::at(2, i).str());
    }
  }
  claim(h, 1, single(ada, Harness::at(1, 1), accepted));
  std::set<std::string> rows, places;
  std::string cursor = "0";
  int pages = 0;
  do {
    const auto held = h.ask(1, HeldCall{Harness::id(2), cursor, 7});
    REQUIRE(held.result == Errc::ok);
    REQUIRE(++pages < 100);
    for (const auto& [client, at] : held.rows) rows.insert(client.str() + " " + at.str());
    for (const auto& [room, client, at] : held.places) {
      CHECK(room.view() == "hall \"1\"");
      places.insert(client.str() + " " + at.str());
    }
    cursor = held.cursor;
  } while (cursor != "0");
  CHECK(rows == expected);
  CHECK(places.size() == 40);  // a release leaves the places: the stay goes on until it is dropped
  const auto bad = h.ask(1, HeldCall{Harness::id(2), "x", 7});
  CHECK(bad.result == Errc::bad_request);
}

SENTENCE("a server that resigns leaves the registry and its rows are absent at once") {
  CONTRACT_HARNESS(h);
  begin(h);
  claim(h, 1, single(ada, Harness::at(1, 1), h.now()));
  CHECK(resign(h, 1) == Errc::ok);
  CHECK(lookup(h, 2, ada).empty());
  const Servers answer = servers(h, 2);
  REQUIRE(answer.rows.size() == 1);
  CHECK(answer.rows[0].server == Harness::id(2));
  CHECK(renew(h, 1, lease_long).before == Renewed::Before::missing);
}

// ---------------------------------------------------------------- sweep

SENTENCE("a sweep removes every row of a dead server and its place in the registry") {
  CONTRACT_HARNESS(h);
  begin(h);
  REQUIRE(renew(h, 3, lease_short).result == Errc::ok);
  for (std::uint64_t i = 1; i <= 300; ++i) {
    const Ticket ticket = h.next_ticket();
    h.server(3).call(ticket, single(ClientId::trusted("c" + std::to_string(i)), Harness::at(3, i), h.now()));
    if (i == 300) h.wait(3, ticket);
  }
  claim(h, 1, single(ada, Harness::at(1, 1), h.now()));
  h.run_for(past_lease_short);
  const Swept swept = sweep(h, 1, 3);
  CHECK(swept.result == Errc::ok);
  CHECK(swept.rows_removed == 300);
  CHECK(servers(h, 1).rows.size() == 2);
  CHECK(lookup(h, 1, ada).size() == 1);
  // Gone for good: also a server that returns under its old name finds none of them.
  CHECK(renew(h, 3, lease_long).before == Renewed::Before::missing);
  CHECK(lookup(h, 1, ClientId::trusted("c1")).empty());
  CHECK(lookup(h, 1, ClientId::trusted("c300")).empty());
}

SENTENCE("a server that holds its lease is not swept") {
  CONTRACT_HARNESS(h);
  begin(h);
  claim(h, 2, single(ada, Harness::at(2, 1), h.now()));
  CHECK(sweep(h, 1, 2).result == Errc::conflict);
  CHECK(lookup(h, 1, ada).size() == 1);
  CHECK(servers(h, 1).rows.size() == 2);
}

SENTENCE("a sweep never removes a claim that was made elsewhere meanwhile") {
  CONTRACT_HARNESS(h);
  begin(h);
  REQUIRE(renew(h, 3, lease_short).result == Errc::ok);
  const StoreTime accepted = h.now();
  claim(h, 3, single(ada, Harness::at(3, 1), accepted));
  claim(h, 3, single(bob, Harness::at(3, 2), accepted));
  claim(h, 1, single(ada, Harness::at(1, 1), accepted + 1ms));
  h.run_for(past_lease_short);
  const Swept swept = sweep(h, 2, 3);
  CHECK(swept.result == Errc::ok);
  CHECK(swept.rows_removed == 1);
  CHECK(attachments(h, 2, ada) == Attachments{Harness::at(1, 1)});
  CHECK(lookup(h, 2, bob).empty());
}

SENTENCE("a swept server that returns gets its rows back by claiming them again") {
  CONTRACT_HARNESS(h);
  begin(h);
  REQUIRE(renew(h, 3, lease_short).result == Errc::ok);
  ClaimCall request = single(ada, Harness::at(3, 1), h.now());
  const Claimed first = claim(h, 3, request);
  h.run_for(past_lease_short);
  REQUIRE(sweep(h, 1, 3).rows_removed == 1);
  REQUIRE(renew(h, 3, lease_long).before == Renewed::Before::missing);
  request.epoch_min = first.epoch;
  const Claimed again = claim(h, 3, request);
  CHECK(again.result == Errc::ok);
  CHECK(again.epoch >= first.epoch);
  CHECK(attachments(h, 1, ada) == Attachments{Harness::at(3, 1)});
  CHECK(sweep(h, 1, 3).result == Errc::conflict);
}

SENTENCE("a server swept a second time has nothing left to remove") {
  CONTRACT_HARNESS(h);
  begin(h);
  REQUIRE(renew(h, 3, lease_short).result == Errc::ok);
  claim(h, 3, single(ada, Harness::at(3, 1), h.now()));
  h.run_for(past_lease_short);
  REQUIRE(sweep(h, 1, 3).rows_removed == 1);
  CHECK(sweep(h, 2, 3).rows_removed == 0);
}

// ---------------------------------------------------------------- pages and counts

SENTENCE("counts tell the attachments that each live server holds") {
  CONTRACT_HARNESS(h);
  begin(h);
  REQUIRE(renew(h, 3, lease_short).result == Errc::ok);
  const StoreTime accepted = h.now();
  claim(h, 1, single(ada, Harness::at(1, 1), accepted));
  claim(h, 1, single(bob, Harness::at(1, 2), accepted));
  claim(h, 3, single(ClientId::trusted("eve"), Harness::at(3, 1), accepted));
  h.run_for(past_lease_short);
  claim(h, 2, single(bob, Harness::at(2, 1), accepted + 1ms));
  auto by_server = counts(h, 1);
  std::sort(by_server.begin(), by_server.end());
  CHECK(by_server == std::vector<std::pair<ServerId, std::uint64_t>>{{Harness::id(1), 1}, {Harness::id(2), 1}});
}

SENTENCE("pages bring every row once from beginning to end") {
  CONTRACT_HARNESS(h);
  begin(h);
  std::set<ClientId> claimed, seen;
  for (std::uint64_t i = 1; i <= 57; ++i) {
    const ClientId client = ClientId::trusted("client-" + std::to_string(i));
    claim(h, i % 2 == 0 ? 2 : 1, single(client, Harness::at(i % 2 == 0 ? 2 : 1, i), h.now()));
    claimed.insert(client);
  }
  std::string cursor = "0";
  int pages = 0;
  do {
    const OwnerPage answer = page(h, 1, cursor, 10);
    for (const OwnerRow& row : answer.rows) seen.insert(row.client);
    cursor = answer.cursor;
    REQUIRE(++pages < 1'000);
  } while (cursor != "0");
  CHECK(seen == claimed);
}

SENTENCE("a row that stays while others come and go is seen at least once") {
  CONTRACT_HARNESS(h);
  begin(h);
  const StoreTime accepted = h.now();
  const auto client = [](std::uint64_t i) { return ClientId::trusted("client-" + std::to_string(i)); };
  for (std::uint64_t i = 1; i <= 60; ++i) claim(h, 1, single(client(i), Harness::at(1, i), accepted));
  std::set<ClientId> seen;
  std::string cursor = "0";
  std::uint64_t step = 0;
  do {
    const OwnerPage answer = page(h, 2, cursor, 7);
    for (const OwnerRow& row : answer.rows) seen.insert(row.client);
    cursor = answer.cursor;
    // The even ones go, new ones come, some of the others are asserted again.
    ++step;
    release(h, 1, client(2 * step), Harness::at(1, 2 * step));
    claim(h, 1, single(client(100 + step), Harness::at(1, 100 + step), accepted));
    claim(h, 1, single(client(2 * step + 1), Harness::at(1, 2 * step + 1), accepted));
    REQUIRE(step < 1'000);
  } while (cursor != "0");
  for (std::uint64_t i = 1; i <= 60; i += 2) CHECK(seen.contains(client(i)));
}

}  // namespace
}  // namespace wsr::contract
