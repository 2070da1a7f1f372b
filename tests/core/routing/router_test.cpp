// What one router asks its ports, and what its clients read.
#include "core/routing/router.hpp"

#include <catch2/catch.hpp>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "router_world.hpp"

using namespace wsr;
using namespace wsr::test;
using namespace std::chrono_literals;

TEST_CASE("a client is welcomed once its claim is answered") {
  World world;
  const auto conn = world.router.open(ada, Framing::websocket);
  CHECK(world.read(*conn).empty());
  world.router.on_answer(world.claims.back().first, Claimed{Errc::ok, Epoch{7}, {}, {}});
  const auto texts = world.read(*conn);
  REQUIRE(texts.size() == 1);
  CHECK(texts[0] == R"({"op":"welcome","client":"ada","server":"a~1","conn":"0/1000000"})");
}

TEST_CASE("a message to a client of this shard never touches the store, and its data stays as it came") {
  World world;
  const ConnId a = world.connect(ada);
  const ConnId b = world.connect(bob);
  (void)world.read(a);
  (void)world.read(b);
  world.router.text(a, R"({"op":"send","to":"bob","data":{ "n" : 9007199254740993,"e":{} } ,"id":"c1"})");
  CHECK(world.read(b) ==
        std::vector<std::string>{R"({"op":"message","from":"ada","data":{ "n" : 9007199254740993,"e":{} }})"});
  CHECK(world.read(a) == std::vector<std::string>{R"({"op":"result","id":"c1","state":"delivered"})"});
  CHECK(world.lookups.empty());
  CHECK(world.publishes.empty());
}

TEST_CASE("a message to a client elsewhere is looked up once and then follows the cached route") {
  World world;
  const ConnId a = world.connect(ada);
  for (int i = 0; i < 3; ++i) world.router.text(a, R"({"op":"send","to":"bob","data":1})");
  REQUIRE(world.lookups.size() == 1);
  world.found(other, 2);
  REQUIRE(world.publishes.size() == 1);
  CHECK(world.publishes[0].channel == "b~1");
  CHECK(peek_batch(world.publishes[0].payload)->to_shard == 2);
  CHECK(world.said(0).size() == 3);
  world.router.on_answer(world.publishes[0].ticket, Published{Errc::ok, 1});
  world.router.text(a, R"({"op":"send","to":"bob","data":2})");
  world.router.end_turn();
  CHECK(world.lookups.empty());
  CHECK(world.publishes.size() == 2);
}

TEST_CASE("a client that no server holds is offline, for the sender and in the words") {
  World world;
  const ConnId a = world.connect(ada);
  (void)world.read(a);
  world.router.text(a, R"({"op":"send","to":"bob","data":1,"id":"x"})");
  world.router.on_answer(world.lookups.back().first, Owners{});
  CHECK(world.read(a) == std::vector<std::string>{R"({"op":"result","id":"x","state":"offline"})"});
  CHECK(at(world.router.stats().words, Word::offline) == 1);
}

TEST_CASE("the outcome of a message elsewhere comes back as a receipt, and counts when it is told") {
  World world;
  const ConnId a = world.connect(ada);
  (void)world.read(a);
  world.router.text(a, R"({"op":"send","to":"bob","data":1,"id":"x"})");
  world.found(other);
  const auto entries = world.said(0);
  const auto message = std::get<EntryMessage>(entries.at(0));
  CHECK(message.receipt != 0);
  EntryAccount account;
  account.through = peek_batch(world.publishes[0].payload)->first_seq + 1;
  world.router.on_answer(world.publishes[0].ticket, Published{Errc::ok, 1});
  world.hear({EntryReceipt{message.receipt, static_cast<std::uint8_t>(Word::delivered)}});
  CHECK(world.read(a) == std::vector<std::string>{R"({"op":"result","id":"x","state":"delivered"})"});
  CHECK(at(world.router.stats().words, Word::delivered) == 1);
  account.base = peek_batch(world.publishes[0].payload)->base;
  world.hear({account});  // speaks of messages without a receipt only
  CHECK(at(world.router.stats().words, Word::delivered) == 1);
  CHECK(world.router.stats().unfinished == 0);
}

TEST_CASE("no receipt until half a second after the deadline: unknown - one that comes later changes nothing") {
  World world;
  world.router.send(Ticket{9}, ada, bob, "1", Wait::for_word);
  world.found(other);
  const auto receipt = std::get<EntryMessage>(world.said(0).at(0)).receipt;
  world.router.on_answer(world.publishes[0].ticket, Published{Errc::ok, 1});
  world.pass(5'499ms);
  CHECK(world.sent[9].empty());
  world.pass(1ms);
  REQUIRE(world.sent[9].size() == 1);
  CHECK(world.sent[9][0].word == Word::unknown);
  CHECK(at(world.router.stats().words, Word::unknown) == 1);
  world.hear({EntryReceipt{receipt, static_cast<std::uint8_t>(Word::delivered)}});
  CHECK(world.sent[9].size() == 1);
  CHECK(world.router.stats().receipts_late == 1);
  CHECK(at(world.router.stats().words, Word::delivered) == 0);
}

TEST_CASE("a message that comes after its deadline is not delivered, and its sender's shard hears why") {
  World world;
  const ConnId b = world.connect(bob, Framing::raw);
  EntryMessage late{7, 0, false, "", "bob", "1"}, timely{8, 0, false, "", "bob", "2"};
  late.deadline = 999;  // it is second 1
  timely.deadline = 1'000;
  world.hear({late, timely});
  std::array<std::string_view, 4> pieces;
  REQUIRE(world.router.outbox(b)->gather(pieces) == 1);
  CHECK(pieces[0] == "2");
  const auto entries = world.said(0);
  CHECK(std::get<EntryReceipt>(entries.at(0)).word == static_cast<std::uint8_t>(Word::dropped_expired));
  CHECK(std::get<EntryReceipt>(entries.at(1)).word == static_cast<std::uint8_t>(Word::delivered));
}

TEST_CASE("the deadline is five seconds after the submission, and stays when the message comes back") {
  World world;
  world.router.send(Ticket{9}, ada, bob, "1", Wait::for_word);
  world.pass(2s);
  world.found(other);
  auto message = std::get<EntryMessage>(world.said(0).at(0));
  CHECK(message.deadline == 6'000);
  ++message.hops;
  world.router.on_answer(world.publishes[0].ticket, Published{Errc::ok, 1});
  EntryAccount account;
  account.through = peek_batch(world.publishes[0].payload)->first_seq + 1;
  account.base = peek_batch(world.publishes[0].payload)->base;
  world.hear({EntryReturned{message, account.base}, account});
  world.time = Time{6'001ms};
  world.found(ServerId::trusted("c~1"));
  REQUIRE(world.sent[9].size() == 1);
  CHECK(world.sent[9][0].word == Word::dropped_expired);
}

TEST_CASE("when no more receipts can be awaited a message that wants one is refused") {
  RouterOptions options = World::defaults();
  options.limits.receipts_max = 1;
  World world(options);
  world.router.send(Ticket{1}, ada, bob, "1", Wait::for_word);
  world.router.send(Ticket{2}, ada, bob, "2", Wait::for_word);
  REQUIRE(world.sent[2].size() == 1);
  CHECK(world.sent[2][0].word == Word::dropped_capacity);
  world.found(other);
  CHECK(world.said(0).size() == 1);
}

TEST_CASE("a route ends with the lease of its server: the store is asked, and says offline") {
  World world;
  const auto send = [&](std::uint64_t ticket) { world.router.send(Ticket{ticket}, ada, bob, "1", Wait::for_word); };
  const auto leases = [&](Duration left) { world.router.on_leases(Leases({{other, world.time + left}})); };
  send(1);
  world.found(other);
  leases(6s);
  world.router.on_answer(world.publishes.back().ticket, Published{Errc::ok, 1});  // somebody is subscribed
  world.hear({EntryAccountWanted{}});
  world.pass(1s);
  send(2);
  CHECK(world.lookups.empty());  // a known route
  std::size_t answered = 1;
  for (int i = 0; i < 50; ++i) {  // until the lease is over, and nobody has renewed it
    world.router.end_turn();
    for (; answered < world.publishes.size(); ++answered) {
      world.router.on_answer(world.publishes[answered].ticket, Published{Errc::ok, 1});
    }
    world.pass(100ms);
  }
  send(3);
  REQUIRE(world.lookups.size() == 1);
  const std::size_t published = world.publishes.size();
  world.router.on_answer(world.lookups.back().first, Owners{});
  world.router.end_turn();
  REQUIRE(world.sent[3].size() == 1);
  CHECK(world.sent[3][0].word == Word::offline);
  CHECK(world.publishes.size() == published);
}

TEST_CASE("what is being published when its server is found dead comes back if nobody heard it, and keeps its order") {
  for (const std::uint64_t receivers : {0, 1}) {
    INFO(receivers << " receivers");
    World world;
    world.router.send(Ticket{1}, ada, bob, "1", Wait::not_at_all);
    world.found(other);
    world.router.on_server_gone(other);
    world.router.send(Ticket{2}, ada, bob, "2",
                      Wait::not_at_all);  // the client may be elsewhere: it waits for the first
    while (!world.lookups.empty()) world.found(ServerId::trusted("c~1"));
    REQUIRE(world.publishes.size() == 1);
    world.router.on_answer(world.publishes[0].ticket, Published{Errc::ok, receivers});
    world.router.end_turn();
    while (!world.lookups.empty()) world.found(ServerId::trusted("c~1"));
    world.router.end_turn();
    REQUIRE(world.publishes.size() == 2);
    CHECK(world.publishes[1].channel == "c~1");
    const auto entries = world.said(1);
    if (receivers == 0) {
      REQUIRE(entries.size() == 2);
      CHECK(std::get<EntryMessage>(entries[0]).data == "1");
      CHECK(std::get<EntryMessage>(entries[1]).data == "2");
      CHECK(at(world.router.stats().words, Word::unknown) == 0);
    } else {
      REQUIRE(entries.size() == 1);
      CHECK(std::get<EntryMessage>(entries[0]).data == "2");
      CHECK(at(world.router.stats().words, Word::unknown) == 1);
    }
  }
}

TEST_CASE("a route to a connection that was here and is gone says nothing: the store is asked") {
  for (const SessionPolicy policy : {SessionPolicy::single, SessionPolicy::multi}) {
    RouterOptions options = World::defaults();
    options.policy = policy;
    World world(options);
    world.router.send(Ticket{1}, ada, bob, "1", Wait::for_word);
    world.pass(6s);  // expired: the answer to its lookup finds nothing that waits
    world.found(me);
    world.router.send(Ticket{2}, ada, bob, "2", Wait::for_word);
    CHECK(world.sent.count(2) == 0);
    REQUIRE(world.lookups.size() == 1);
    world.found(other);
    REQUIRE_FALSE(world.publishes.empty());
    CHECK(std::get<EntryMessage>(world.said(world.publishes.size() - 1).at(0)).data == "2");
  }
}

TEST_CASE("a lookup tells how long the lease stands, too") {
  World world;
  world.router.send(Ticket{1}, ada, bob, "1", Wait::not_at_all);
  Owners owners;
  owners.rows.push_back(OwnerRow{bob, {other, 0, ConnId{5}}, Epoch{1}, {}, 700ms});
  world.router.on_answer(world.lookups.back().first, std::move(owners));
  world.lookups.clear();
  world.router.send(Ticket{2}, ada, bob, "2", Wait::not_at_all);
  CHECK(world.lookups.empty());
  world.time += 700ms;
  world.router.send(Ticket{3}, ada, bob, "3", Wait::not_at_all);
  CHECK(world.lookups.size() == 1);
}

TEST_CASE("a peer that does not answer is suspect: its clients are looked up before each message until it speaks") {
  World world;
  world.router.send(Ticket{1}, ada, bob, "1", Wait::not_at_all);
  world.found(other);
  world.router.on_answer(world.publishes[0].ticket, Published{Errc::ok, 1});
  world.pass(1'400ms);
  world.router.send(Ticket{2}, ada, bob, "2", Wait::not_at_all);
  CHECK(world.lookups.empty());
  world.pass(300ms);
  world.router.send(Ticket{3}, ada, bob, "3", Wait::not_at_all);
  REQUIRE(world.lookups.size() == 1);
  world.found(other);
  world.hear({EntryAccountWanted{}});  // it lives
  world.router.send(Ticket{4}, ada, bob, "4", Wait::not_at_all);
  CHECK(world.lookups.empty());
}

TEST_CASE("a guest that says nothing more is forgotten after a minute, a server with a lease is not") {
  World world;
  world.connect(bob, Framing::raw);
  const auto hear_from = [&](const ServerId& guest) {
    BatchWriter batch(guest.view(), 0, 0, 1, 1);
    batch.add(EntryMessage{.receipt = 1, .hops = 0, .is_copy = false, .from = "ada", .to = "bob", .data = "1"});
    world.router.on_batch(me.view(), batch.finish({}, me.view(), 0ms));
    world.router.end_turn();
    world.router.on_answer(world.publishes.back().ticket, Published{Errc::ok, 1});  // the receipt
    world.pass(1s);                                                                 // the account, too
    world.router.on_answer(world.publishes.back().ticket, Published{Errc::ok, 1});
  };
  for (int i = 0; i < 50; ++i) hear_from(ServerId::trusted("guest" + std::to_string(i) + "~1"));
  hear_from(other);
  CHECK(world.router.stats().links == 51);
  const auto leases = [&] { world.router.on_leases(Leases({{other, world.time + 6s}})); };
  leases();
  CHECK(world.router.stats().links > 1);
  world.pass(61s);
  leases();
  CHECK(world.router.stats().links == 1);
}

TEST_CASE("a room's message that comes after its deadline reaches nobody, and its sender hears so") {
  World world;
  const ConnId a = world.connect_into(ada, RoomName::trusted("hall"));
  world.router.on_answer(world.joins.back(),
                         Joined{.result = Errc::ok, .size = 1, .version = 1, .detail = {}, .has_begun = true});
  world.router.end_turn();
  static_cast<void>(world.read(a));
  const auto hear = [&](std::uint64_t seq, std::uint64_t deadline) {
    RoomMessage message;
    message.from_server = other.view();
    message.receipt = seq;
    message.deadline = deadline;
    message.base = 1;
    message.seq = seq;
    message.data = "1";
    world.router.on_room_event("hall", encode_room_message(message, {}, "hall", 0ms), 1);
    world.router.end_turn();
    const auto entries = world.said(world.publishes.size() - 1);
    world.router.on_answer(world.publishes.back().ticket, Published{Errc::ok, 1});
    for (const Entry& entry : entries) {
      if (const auto* receipt = std::get_if<EntryRoomReceipt>(&entry)) return std::optional(receipt->connections);
    }
    return std::optional<std::uint64_t>();
  };
  world.time = Time{10s};
  CHECK(hear(1, 10'000) == 1);
  CHECK(world.read(a).size() == 1);
  CHECK(hear(2, 9'999) == 0);
  CHECK(world.read(a) == std::vector<std::string>{R"({"op":"dropped","count":1,"reason":"expired"})"});
  CHECK(hear(3, 0) == 1);  // no deadline
  CHECK(world.read(a).size() == 1);
  CHECK(world.router.stats().room_expired == 1);
}

TEST_CASE("newer messages wait for nothing that a server could give back which has no lease any more") {
  World world;
  world.router.send(Ticket{1}, {}, bob, "1", Wait::not_at_all);
  world.found(other);
  world.router.on_answer(world.publishes[0].ticket, Published{Errc::ok, 1});
  world.router.on_leases(Leases({{other, world.time}}));  // expired
  const ConnId b = world.connect(bob, Framing::raw);
  world.router.send(Ticket{2}, {}, bob, "2", Wait::not_at_all);
  CHECK_FALSE(world.router.outbox(b)->is_empty());
  CHECK(at(world.router.stats().words, Word::unknown) == 1);  // of the first nobody will tell
}

TEST_CASE("newer messages do not wait for a server that nobody subscribes for any more, once all has come back") {
  World world;
  world.router.send(Ticket{1}, {}, bob, "1", Wait::not_at_all);
  world.found(other);
  world.router.on_answer(world.publishes[0].ticket, Published{Errc::ok, 1});  // taken; then the server is killed
  world.router.send(Ticket{2}, {}, bob, "2", Wait::not_at_all);
  world.router.end_turn();
  world.router.on_answer(world.publishes[1].ticket, Published{Errc::ok, 0});
  world.found(ServerId::trusted("c~1"));  // its client is back
  REQUIRE(world.publishes.back().channel == "c~1");
  CHECK(std::get<EntryMessage>(world.said(world.publishes.size() - 1).at(0)).data == "2");
}

TEST_CASE("what may have reached a server that nobody hears of again is unknown, and its link is given up") {
  World world;
  world.router.send(Ticket{9}, ada, bob, "1", Wait::not_at_all);
  world.found(other);
  // The reply is lost: it may have arrived. Repeated, it finds nobody.
  world.router.on_answer(world.publishes[0].ticket, Published{Errc::timeout, 0});
  world.pass(1s);
  REQUIRE(world.publishes.size() == 2);
  world.router.on_answer(world.publishes[1].ticket, Published{Errc::ok, 0});
  world.pass(8s);
  CHECK(world.router.stats().unfinished == 1);
  world.pass(4s);
  CHECK(at(world.router.stats().words, Word::unknown) == 1);
  CHECK(world.router.stats().unfinished == 0);
  world.pass(10s);
  CHECK_FALSE(world.router.next_deadline().has_value());
}

TEST_CASE("a message that comes back is looked up again and goes on, at most to hops_max servers") {
  World world;
  world.router.send(Ticket{9}, ada, bob, "1", Wait::for_word);
  world.found(other);
  auto message = std::get<EntryMessage>(world.said(0).at(0));
  world.router.on_answer(world.publishes[0].ticket, Published{Errc::ok, 1});
  ++message.hops;
  EntryAccount account;
  account.through = peek_batch(world.publishes[0].payload)->first_seq + 1;
  account.returned = 1;
  account.base = peek_batch(world.publishes[0].payload)->base;
  world.hear({EntryReturned{message, account.base}, account});
  REQUIRE(world.lookups.size() == 1);
  world.found(ServerId::trusted("c~1"));
  const auto& last = world.publishes.back();
  CHECK(last.channel == "c~1");
  const auto again = std::get<EntryMessage>(world.said(world.publishes.size() - 1).at(0));
  CHECK(again.hops == 1);
  CHECK(again.receipt == message.receipt);
  world.router.on_answer(last.ticket, Published{Errc::ok, 0});  // nobody listens there either
  SECTION("the store says that the client is nowhere") {
    world.router.on_answer(world.lookups.back().first, Owners{});
    REQUIRE(world.sent[9].size() == 1);
    CHECK(world.sent[9][0].word == Word::offline);
  }
  SECTION("the store still says where it is: that is not offline") {
    world.found(ServerId::trusted("c~1"));
    REQUIRE(world.sent[9].size() == 1);
    CHECK(world.sent[9][0].word == Word::dropped_bus_lost);
  }
}

TEST_CASE("newer messages wait for older ones that may still come back") {
  World world;
  const ClientId nobody;
  world.router.send(Ticket{1}, nobody, bob, "1", Wait::not_at_all);
  world.found(other);
  world.router.on_answer(world.publishes[0].ticket, Published{Errc::ok, 1});
  const ConnId b = world.connect(bob, Framing::raw);  // bob has come here; "1" is on its way to his old server
  world.router.end_turn();
  world.router.send(Ticket{2}, nobody, bob, "2", Wait::not_at_all);
  CHECK(world.router.outbox(b)->is_empty());
  auto message = EntryMessage{0, 1, false, "", "bob", "1"};
  EntryAccount account;
  account.through = peek_batch(world.publishes[0].payload)->first_seq + 1;
  account.returned = 1;
  account.base = peek_batch(world.publishes[0].payload)->base;
  world.hear({EntryReturned{message, account.base}, account});
  std::array<std::string_view, 4> pieces;
  REQUIRE(world.router.outbox(b)->gather(pieces) == 2);
  CHECK(pieces[0] == "1");
  CHECK(pieces[1] == "2");
}

TEST_CASE("newer messages wait for drain_max at most") {
  World world;
  world.router.send(Ticket{1}, {}, bob, "1", Wait::not_at_all);
  world.found(other);
  world.router.on_answer(world.publishes[0].ticket, Published{Errc::ok, 1});
  const ConnId b = world.connect(bob, Framing::raw);
  world.router.send(Ticket{2}, {}, bob, "2", Wait::not_at_all);
  world.pass(1'200ms);
  CHECK_FALSE(world.router.outbox(b)->is_empty());
  CHECK(world.router.stats().drain_timeouts == 1);
}

TEST_CASE("whom a claim displaces is told 4009, here and elsewhere") {
  World world;
  const ConnId old_here = world.connect(ada);
  const auto conn = world.router.open(ada, Framing::websocket);
  world.router.on_answer(world.claims.back().first,
                         Claimed{Errc::ok, Epoch{9}, {{me, 0, old_here}, {other, 3, ConnId{77}}}, {}});
  world.router.end_turn();
  REQUIRE(world.closed.size() == 1);
  CHECK(world.closed[0] == std::pair{old_here, std::uint16_t{4009}});
  REQUIRE(world.publishes.size() == 1);
  const auto entries = world.said(0);
  const auto kick = std::get<EntryKick>(entries.at(0));
  CHECK(kick.conn == 77);
  CHECK(kick.code == 4009);
  CHECK(world.router.outbox(*conn) != nullptr);
}

TEST_CASE("a welcome waits until those that the claim displaced have been silenced") {
  World world;
  world.router.on_leases(Leases({{other, world.time + 6s}}));
  const auto conn = *world.router.open(ada, Framing::websocket);
  world.router.on_answer(world.claims.back().first, Claimed{Errc::ok, Epoch{9}, {{other, 3, ConnId{77}}}, {}});
  world.router.end_turn();
  const auto kick = std::get<EntryKick>(world.said(0).at(0));
  CHECK(kick.receipt != 0);
  CHECK(world.read(conn).empty());
  SECTION("until its server says so") {
    world.router.on_answer(world.publishes[0].ticket, Published{Errc::ok, 1});
    world.pass(1s);
    CHECK(world.read(conn).empty());
    world.hear({EntryKickDone{kick.receipt}});
  }
  SECTION("or nobody listens there") { world.router.on_answer(world.publishes[0].ticket, Published{Errc::ok, 0}); }
  SECTION("or its server has no lease any more") {
    world.router.on_answer(world.publishes[0].ticket, Published{Errc::ok, 1});
    world.pass(5'999ms);
    CHECK(world.read(conn).empty());
    world.pass(1ms);
    CHECK(world.router.stats().takeovers_unanswered == 1);
  }
  SECTION("or its server has been swept") { world.router.on_server_gone(other); }
  const auto texts = world.read(conn);
  REQUIRE(texts.size() == 1);
  CHECK(texts[0].find("welcome") != std::string::npos);
}

TEST_CASE("a kick that a dying server still counted as heard is not waited for: the server is prodded") {
  World world;
  world.router.on_leases(Leases({{other, world.time + 6s}}));
  const auto conn = *world.router.open(ada, Framing::websocket);
  world.router.on_answer(world.claims.back().first, Claimed{Errc::ok, Epoch{9}, {{other, 3, ConnId{77}}}, {}});
  world.router.end_turn();
  world.router.on_answer(world.publishes[0].ticket, Published{Errc::ok, 1});
  CHECK(world.read(conn).empty());
  world.pass(100ms);
  REQUIRE(world.publishes.size() == 2);
  world.router.on_answer(world.publishes[1].ticket, Published{Errc::ok, 0});
  CHECK(world.read(conn).size() == 1);
  world.pass(10s);
  CHECK(world.publishes.size() == 2);
}

TEST_CASE("a server that is not in the registry is waited for a second, one whose lease is over not at all") {
  World world;
  const auto connect = [&](const ServerId& from) {
    const auto conn = *world.router.open(ada, Framing::websocket);
    world.router.on_answer(world.claims.back().first, Claimed{Errc::ok, Epoch{9}, {{from, 3, ConnId{77}}}, {}});
    return conn;
  };
  world.router.on_leases(Leases({{other, world.time}}));
  CHECK(world.read(connect(other)).size() == 1);
  const auto conn = connect(ServerId::trusted("new~1"));
  CHECK(world.read(conn).empty());
  world.pass(1s);
  CHECK(world.read(conn).size() == 1);
}

TEST_CASE("a replaced connection that still waits for others answers its own kick only then") {
  World world;
  world.router.on_leases(Leases({{other, world.time + 6s}}));
  const auto conn = *world.router.open(ada, Framing::websocket);
  const EntryKick order{conn.value, 4009, "", 55};
  const auto is_answered = [&] {
    for (std::size_t i = 0; i < world.publishes.size(); ++i) {
      for (const Entry& entry : world.said(i)) {
        if (const auto* done = std::get_if<EntryKickDone>(&entry); done != nullptr && done->receipt == 55) return true;
      }
    }
    return false;
  };
  SECTION("it is waiting when it is kicked") {
    world.router.on_answer(world.claims.back().first, Claimed{Errc::ok, Epoch{9}, {{other, 3, ConnId{77}}}, {}});
    world.hear({order});
  }
  SECTION("it is kicked before its claim is answered") {
    world.hear({order});
    world.router.on_answer(world.claims.back().first, Claimed{Errc::ok, Epoch{9}, {{other, 3, ConnId{77}}}, {}});
  }
  SECTION("it has closed before its claim is answered") {
    world.router.closed(conn);
    world.hear({order});
    CHECK(world.releases.empty());
    world.router.on_answer(world.claims.back().first, Claimed{Errc::ok, Epoch{9}, {{other, 3, ConnId{77}}}, {}});
  }
  SECTION("it has closed while it waited") {
    world.router.on_answer(world.claims.back().first, Claimed{Errc::ok, Epoch{9}, {{other, 3, ConnId{77}}}, {}});
    world.router.closed(conn);
    world.hear({order});
  }
  world.router.end_turn();
  CHECK_FALSE(is_answered());
  CHECK(world.releases.empty());  // its row leads who comes next to it
  std::uint64_t receipt = 0;
  for (std::size_t i = 0; i < world.publishes.size(); ++i) {
    for (const Entry& entry : world.said(i)) {
      if (const auto* kick = std::get_if<EntryKick>(&entry)) receipt = kick->receipt;
    }
  }
  REQUIRE(receipt != 0);
  for (std::size_t i = 0; i < world.publishes.size(); ++i) {
    world.router.on_answer(world.publishes[i].ticket, Published{Errc::ok, 1});
  }
  world.hear({EntryKickDone{receipt}});
  world.router.end_turn();
  CHECK(is_answered());
  world.router.closed(conn);
  CHECK(world.releases.size() == 1);
}

TEST_CASE("a kick for nobody, and a claim that displaced nobody, are answered at once") {
  World world;
  world.hear({EntryKick{12345, 4009, "", 55}});
  CHECK(std::get<EntryKickDone>(world.said(0).at(0)).receipt == 55);
  const auto conn = *world.router.open(ada, Framing::websocket);
  world.hear({EntryKick{conn.value, 4009, "", 56}});
  CHECK(world.publishes.size() == 1);
  world.router.on_answer(world.claims.back().first, Claimed{Errc::superseded, {}, {}, {}});
  world.router.on_answer(world.publishes[0].ticket, Published{Errc::ok, 1});
  world.router.end_turn();
  CHECK(std::get<EntryKickDone>(world.said(1).at(0)).receipt == 56);
}

TEST_CASE("a server that stood still does nothing that its clients or the bus want before its claims stand again") {
  World world;
  const ConnId a = world.connect(ada);
  const ConnId b = world.connect(bob, Framing::raw);
  (void)world.read(a);
  world.router.hold();
  world.hear({EntryMessage{7, 0, false, "", "bob", "1"}});
  world.router.text(a, R"({"op":"send","to":"bob","data":2,"id":"x"})");
  world.router.send(Ticket{5}, {}, bob, "3", Wait::for_word);
  const auto late = world.router.open(ClientId::trusted("carol"), Framing::websocket);
  world.router.end_turn();
  const std::size_t claims = world.claims.size();
  CHECK(world.publishes.empty());
  CHECK(world.router.outbox(b)->is_empty());

  world.router.reassert();  // its lease was gone
  world.router.go_on();
  world.pass(5ms);
  REQUIRE(world.claims.size() == claims + 3);  // the third is who came meanwhile
  CHECK(world.claims.back().second.at.conn == *late);
  world.router.on_answer(world.claims.back().first, Claimed{Errc::ok, Epoch{52}, {}, {}});
  CHECK(world.router.is_held());
  world.router.on_answer(world.claims[claims].first, Claimed{Errc::ok, Epoch{50}, {}, {}});
  CHECK(world.router.is_held());
  SECTION("who is still here gets all, in its order") {
    world.router.on_answer(world.claims[claims + 1].first, Claimed{Errc::ok, Epoch{51}, {}, {}});
    CHECK_FALSE(world.router.is_held());
    std::array<std::string_view, 4> pieces;
    REQUIRE(world.router.outbox(b)->gather(pieces) == 3);
    CHECK(pieces[0] == "1");
    CHECK(pieces[1] == "2");
    CHECK(pieces[2] == "3");
    CHECK(world.claims.size() == claims + 3);  // once each
  }
  SECTION("who has gone elsewhere gets nothing") {
    world.router.on_answer(world.claims[claims + 1].first, Claimed{Errc::superseded, {}, {}, {}});
    CHECK_FALSE(world.router.is_held());
    CHECK(world.closed.at(0) == std::pair{b, std::uint16_t{4009}});
    world.router.end_turn();
    const auto entries = world.said(0);
    CHECK(std::get<EntryReturned>(entries.at(0)).message.data == "1");
    CHECK(world.lookups.size() == 1);
  }
}

TEST_CASE("a hold ends at once when the lease was never lost, and when the store is down, and after ten seconds") {
  World world;
  const ConnId b = world.connect(bob, Framing::raw);
  world.router.hold();
  world.hear({EntryMessage{0, 0, false, "", "bob", "1"}});
  SECTION("never lost") { world.router.go_on(); }
  SECTION("the store is down") {
    world.router.on_store_state(StoreState::down);
    world.router.reassert();
    world.router.go_on();
  }
  SECTION("nobody says anything") {
    world.pass(9'999ms);
    CHECK(world.router.is_held());
    world.pass(1ms);
  }
  CHECK_FALSE(world.router.is_held());
  CHECK_FALSE(world.router.outbox(b)->is_empty());
}

TEST_CASE("what a held server cannot keep is refused by name") {
  RouterOptions options = World::defaults();
  World world(options);
  const ConnId a = world.connect(ada);
  (void)world.read(a);
  world.router.hold();
  const std::string large(16 * 1024 * 1024, 'x');
  for (std::uint64_t i = 0; i < 3; ++i) world.router.send(Ticket{i}, {}, bob, large, Wait::for_word);
  CHECK(world.sent.empty());
  world.router.send(Ticket{3}, {}, bob, large, Wait::for_word);
  REQUIRE(world.sent[3].size() == 1);
  CHECK(world.sent[3][0].word == Word::dropped_capacity);
  world.router.text(a, large);
  CHECK(world.closed.at(0) == std::pair{a, std::uint16_t{1013}});
}

TEST_CASE("a claim that came too late closes its own connection with 4009") {
  World world;
  const auto conn = world.router.open(ada, Framing::websocket);
  world.router.on_answer(world.claims.back().first, Claimed{Errc::superseded, {}, {}, {}});
  CHECK(world.closed.at(0) == std::pair{*conn, std::uint16_t{4009}});
}

TEST_CASE("a full owner table closes with 4013 and tells an embedding application why") {
  World world;
  const auto conn = world.router.open(ada, Framing::raw);
  world.router.on_answer(world.claims.back().first, Claimed{Errc::capacity, {}, {}, "the owner table is full"});
  CHECK(world.closed.at(0) == std::pair{*conn, std::uint16_t{4013}});
  CHECK(world.owned == std::vector<Errc>{Errc::capacity});
}

TEST_CASE("a connection that has been welcomed stays whatever its claim is refused for later, and asks again") {
  World world;
  const ConnId conn = world.connect(ada);
  const auto result = GENERATE(Errc::capacity, Errc::unavailable, Errc::forbidden, Errc::internal);
  for (int round = 0; round < 3; ++round) {
    if (round == 0) world.router.reassert();
    world.claims.clear();
    world.pass(600ms);
    REQUIRE(world.claims.size() == 1);
    world.router.on_answer(world.claims[0].first, Claimed{result, {}, {}, "no"});
  }
  CHECK(world.closed.empty());
  world.claims.clear();
  world.pass(600ms);
  REQUIRE(world.claims.size() == 1);
  world.router.on_answer(world.claims[0].first, Claimed{Errc::ok, Epoch{9}, {}, {}, {}});
  world.claims.clear();
  world.pass(5s);
  CHECK(world.claims.empty());
  CHECK(world.router.outbox(conn) != nullptr);
}

TEST_CASE("a store that refuses all claims is asked at a pace, not all the time") {
  World world;
  for (int i = 0; i < 10; ++i) world.connect(ClientId::trusted("c" + std::to_string(i)));
  world.claims.clear();
  world.router.reassert();
  std::size_t asked = 0;
  for (int step = 0; step < 500; ++step) {
    world.pass(10ms);
    for (const auto& [ticket, claim] : std::exchange(world.claims, {})) {
      ++asked;
      world.router.on_answer(ticket, Claimed{Errc::unavailable, {}, {}, "OOM"});
    }
  }
  CHECK(asked >= 10 * 5);
  CHECK(asked <= 10 * 12);
  CHECK(world.closed.empty());
}

TEST_CASE("connections are looked for in the store all the time, and what is missing is claimed and joined again") {
  RouterOptions options = World::defaults();
  options.limits.verify_every = 5s;
  options.limits.verify_batch = 2;
  World world(options);
  const RoomName hall = RoomName::trusted("hall");
  const ConnId conn = world.connect_into(ada, hall);
  world.router.on_answer(world.joins.back(), Joined{Errc::ok, 1, 10, {}});
  const ConnId second = world.connect(bob);
  world.claims.clear();
  world.joins.clear();
  world.pass(4'900ms);
  CHECK(world.verified.empty());
  world.pass(200ms);
  REQUIRE(world.verified.size() == 2);  // two batches
  CHECK(world.verified[0].second.rows.size() == 1);
  CHECK(world.verified[0].second.places.size() == 1);
  CHECK(world.verified[1].second.rows[0].client == bob);
  for (const auto& [ticket, expected] : std::exchange(world.verified, {})) world.router.on_answer(ticket, Held{});
  CHECK(world.claims.empty());
  CHECK(world.joins.empty());

  world.pass(5s);
  REQUIRE(world.verified.size() == 2);
  world.router.on_answer(world.verified[1].first, Held{.rows = world.verified[1].second.rows, .places = {}});
  REQUIRE(world.claims.size() == 1);
  CHECK(world.claims[0].second.at.conn == second);
  CHECK(world.claims[0].second.epoch_min.value != 0);
  world.verified.clear();
  world.router.on_answer(world.claims[0].first, Claimed{Errc::ok, Epoch{50}, {}, {}, {}});

  world.pass(5s);
  REQUIRE(world.verified.size() == 2);
  world.router.on_answer(world.verified[0].first,
                         Held{.result = Errc::unavailable, .rows = {}, .places = {}});  // says nothing
  CHECK(world.joins.empty());
  world.verified.clear();
  world.pass(5s);
  REQUIRE(world.verified.size() == 2);
  world.router.closed(second);  // has gone while the store was asked
  world.claims.clear();
  world.router.on_answer(world.verified[1].first, Held{.rows = world.verified[1].second.rows, .places = {}});
  CHECK(world.claims.empty());
  CHECK(world.router.stats().rows_put_back == 1);
  CHECK(world.router.outbox(conn) != nullptr);
}

TEST_CASE("a place in a room that the store has lost is joined again") {
  RouterOptions options = World::defaults();
  options.limits.verify_every = 5s;
  World world(options);
  world.connect_into(ada, RoomName::trusted("hall"));
  world.router.on_answer(world.joins.back(), Joined{Errc::ok, 1, 10, {}});
  world.joins.clear();
  world.pass(5s);
  REQUIRE(world.verified.size() == 1);
  world.router.on_answer(world.verified[0].first, Held{.rows = {}, .places = world.verified[0].second.places});
  REQUIRE(world.joins.size() == 1);
  CHECK(world.join_requests.back().stay == 10);
  CHECK(world.router.stats().places_put_back == 1);
}

TEST_CASE("without verify_every the store is not asked for single rows") {
  World world;
  world.connect(ada);
  world.pass(1min);
  CHECK(world.verified.empty());
}

TEST_CASE("a connection whose claim was refused is released when it closes, and waits for nothing") {
  World world;
  const Errc why = GENERATE(Errc::capacity, Errc::superseded);
  const auto conn = world.router.open(ada, Framing::websocket);
  world.router.on_answer(world.claims.back().first, Claimed{why, {}, {}, "no"});
  world.router.end_turn();
  world.router.closed(*conn);
  REQUIRE(world.releases.size() == 1);
  CHECK(world.releases[0].second.conn == *conn);
  CHECK(world.router.stats().releases == 1);
}

TEST_CASE("who has shut its side down gets its answers and nothing else: a join first ends in what was asked for") {
  World world;
  const RoomName hall = RoomName::trusted("hall");
  const ConnId a = world.connect(ada);
  (void)world.read(a);
  world.router.text(a, R"({"op":"send","to":"bob","data":1,"id":"s"})");
  SECTION("with a message under way it is no session any more") {
    world.router.ending(a, Router::Answers::due_after_moves);
    world.router.end_turn();
    CHECK(world.releases.size() == 1);
    world.hear({EntryMessage{7, 0, false, "", "ada", "1"}});
    CHECK(std::holds_alternative<EntryReturned>(world.said(0).at(0)));
  }
  SECTION("with a join under way it is one until that is answered") {
    world.router.text(a, R"({"op":"join","room":"hall","id":"j"})");
    world.router.ending(a, Router::Answers::due_after_moves);
    world.router.end_turn();
    CHECK(world.releases.empty());
    world.router.on_answer(world.subscribes.back(), Subscribed{});
    world.router.end_turn();
    world.router.on_answer(world.joins.back(), Joined{Errc::ok, 1, 10, {}});
    world.router.end_turn();
    CHECK(world.read(a) == std::vector<std::string>{R"({"op":"ok","id":"j","room":"hall","size":1,"version":10})"});
    CHECK(world.releases.size() == 1);
  }
  CHECK(world.router.answers_due(a) == 1);
  world.router.on_answer(world.lookups.back().first, Owners{});
  CHECK(world.read(a) == std::vector<std::string>{R"({"op":"result","id":"s","state":"offline"})"});
  CHECK(world.router.answers_due(a) == 0);
}

TEST_CASE("a kick for a connection id that is gone closes nobody who has its slot now") {
  World world;
  const ConnId first = world.connect(ada);
  world.router.closed(first);
  const ConnId second = world.connect(bob);
  CHECK(first.slot() == second.slot());
  world.hear({EntryKick{first.value, 4009, ""}});
  CHECK(world.closed.empty());
}

TEST_CASE("a store that is down leaves the connection open and it is claimed again when the store is back") {
  World world;
  const auto conn = world.router.open(ada, Framing::websocket);
  world.router.on_store_state(StoreState::down);
  world.router.on_answer(world.claims.back().first, Claimed{Errc::unavailable, {}, {}, {}});
  CHECK(world.read(*conn).size() == 1);  // welcome: clients of this server can reach it
  CHECK(world.closed.empty());
  world.pass(10s);
  CHECK(world.claims.size() == 1);
  world.router.on_store_state(StoreState::up);
  world.pass(10ms);
  REQUIRE(world.claims.size() == 2);
  CHECK(world.claims[1].second.accepted_at == world.claims[0].second.accepted_at);
}

TEST_CASE("re-assertion claims every connection with its old epoch, at a pace") {
  RouterOptions options = World::defaults();
  options.limits.reassert_batch = 10;
  World world(options);
  for (int i = 0; i < 25; ++i) world.connect(ClientId::trusted("c" + std::to_string(i)));
  world.claims.clear();
  world.router.reassert();
  world.pass(5ms);
  CHECK(world.claims.size() == 10);
  world.pass(10ms);
  REQUIRE(world.claims.size() == 25);
  CHECK(world.claims[3].second.epoch_min == Epoch{4});
  world.pass(1s);
  CHECK(world.claims.size() == 25);
}

TEST_CASE("rows that expire are claimed again in each third of their time, one after the other") {
  RouterOptions options = World::defaults();
  options.limits.owner_ttl = 30s;
  options.limits.reassert_batch = 10;
  World world(options);
  for (int i = 0; i < 25; ++i) world.connect(ClientId::trusted("c" + std::to_string(i)));
  REQUIRE(world.claims.size() == 25);
  CHECK(world.claims[3].second.ttl == 30s);
  world.claims.clear();
  std::size_t before = 0;
  for (int step = 0; step < 100; ++step) {
    world.pass(100ms);
    CHECK(world.claims.size() - before <= 1);
    before = world.claims.size();
  }
  CHECK(before >= 24);
  world.pass(1s);
  std::set<std::string> renewed;
  for (const auto& [ticket, claim] : world.claims) renewed.insert(claim.client.str());
  CHECK(renewed.size() == 25);
  CHECK(world.claims[3].second.epoch_min == Epoch{4});
  CHECK(world.router.stats().claims_renewed == world.claims.size());
  CHECK(world.router.stats().reasserted == 0);

  SECTION("not while the store is away, and all at a pace once it is back") {
    world.router.on_store_state(StoreState::down);
    world.claims.clear();
    world.pass(60s);
    CHECK(world.claims.empty());
    world.router.on_store_state(StoreState::up);
    world.pass(20ms);
    CHECK(world.claims.size() == 25);
  }
  SECTION("nobody's turn is missed, whatever else is claimed again meanwhile") {
    world.claims.clear();
    for (int step = 0; step < 100; ++step) {
      world.router.reassert();
      world.pass(100ms);
    }
    CHECK(world.router.stats().claims_renewed >= 49);
    CHECK(world.router.stats().reasserted >= 95 * 25);
  }
}

TEST_CASE("a walk that is asked for again and again comes to its end all the same") {
  RouterOptions options = World::defaults();
  options.limits.reassert_batch = 10;
  World world(options);
  for (int i = 0; i < 35; ++i) world.connect(ClientId::trusted("c" + std::to_string(i)));
  world.claims.clear();
  std::set<std::string> claimed;
  for (int step = 0; step < 8; ++step) {
    world.router.reassert();
    world.pass(5ms);
  }
  for (const auto& [ticket, claim] : world.claims) claimed.insert(claim.client.str());
  CHECK(claimed.size() == 35);
}

namespace {

/// bob has devices on b~1 and c~1; a message with ticket 9 has gone to both, and comes back from b~1.
struct Devices : World {
  Devices() : World(with_devices()) {
    router.send(Ticket{9}, ada, bob, "1", Wait::for_word);
    found({{other, 0}, {third, 0}});
    REQUIRE(publishes.size() == 2);
    auto message = std::get<EntryMessage>(said(0).at(0));
    CHECK_FALSE(message.is_copy);
    const auto copy = std::get<EntryMessage>(said(1).at(0));
    CHECK(copy.is_copy);
    CHECK(copy.receipt == 0);
    for (std::size_t i = 0; i < 2; ++i) router.on_answer(publishes[i].ticket, Published{Errc::ok, 1});
    ++message.hops;
    EntryAccount account;
    account.through = peek_batch(publishes[0].payload)->first_seq + 1;
    account.returned = 1;
    account.base = peek_batch(publishes[0].payload)->base;
    hear({EntryReturned{message, account.base}, account});
    pass(2s);  // what became of the copy nobody says: its drain ends by time
    for (std::size_t i = 2; i < publishes.size(); ++i) router.on_answer(publishes[i].ticket, Published{Errc::ok, 1});
  }
  static RouterOptions with_devices() {
    RouterOptions options = defaults();
    options.policy = SessionPolicy::multi;
    return options;
  }
  inline static const ServerId third = ServerId::trusted("c~1");
};

}  // namespace

TEST_CASE("a message with copies that comes back passes by whom has one, and only those") {
  Devices world;
  const std::size_t before = world.publishes.size();

  SECTION("it goes to the device that is new, and no second time to the one with the copy") {
    const ServerId fourth = ServerId::trusted("d~1");
    world.found({{Devices::third, 0}, {fourth, 0}});
    REQUIRE(world.publishes.size() == before + 1);
    CHECK(world.publishes.back().channel == "d~1");
    const auto again = std::get<EntryMessage>(world.said(before).at(0));
    CHECK_FALSE(again.is_copy);
    CHECK(again.hops == 1);
    CHECK(again.receipt != 0);
  }
  SECTION("it goes again to the server that gave it back: nobody has heard it there") {
    world.found({{Devices::third, 0}, {other, 0}});
    REQUIRE(world.publishes.size() == before + 1);
    CHECK(world.publishes.back().channel == other.view());
  }
  SECTION("with nobody else its word is unknown: what became of the copy nobody has said") {
    world.found({{Devices::third, 0}});
    CHECK(world.publishes.size() == before);
    REQUIRE(world.sent[9].size() == 1);
    CHECK(world.sent[9][0].word == Word::unknown);
  }
  SECTION("with nobody at all, too: offline would be said of what may have been heard") {
    world.found(std::vector<ShardAddress>{});
    REQUIRE(world.sent[9].size() == 1);
    CHECK(world.sent[9][0].word == Word::unknown);
  }
}

TEST_CASE("what is on its way to a device comes to its end before anything goes to another one") {
  RouterOptions options = World::defaults();
  options.policy = SessionPolicy::multi;
  World world(options);
  world.router.send(Ticket{1}, ada, bob, "1", Wait::not_at_all);
  world.found(other);
  world.router.on_answer(world.publishes[0].ticket, Published{Errc::ok, 1});
  world.pass(options.limits.multi_route_ttl);
  world.router.send(Ticket{2}, ada, bob, "2", Wait::not_at_all);
  world.found(ServerId::trusted("c~1"));  // bob has moved; "1" may still come back
  for (const auto& publish : world.publishes) CHECK(publish.channel == other.view());
  EntryAccount account;
  account.through = peek_batch(world.publishes[0].payload)->first_seq + 1;
  account.base = peek_batch(world.publishes[0].payload)->base;
  ++at(account.words, Word::delivered);
  world.hear({account});
  CHECK(world.publishes.back().channel == "c~1");
}

TEST_CASE(
    "after a re-assertion rows and places of connections that are gone are taken back, those of the living are not") {
  World world;
  const ConnId here = world.connect(ada);
  const Attachment living{me, 0, here}, gone{me, 0, ConnId::make(77, 3)}, sibling{me, 1, ConnId::make(77, 3)};
  const RoomName hall = RoomName::trusted("hall");
  world.pass(1h);
  CHECK(world.helds.empty());  // without trouble nothing is read
  world.router.reassert();
  world.pass(900ms);
  CHECK(world.helds.empty());
  world.pass(200ms);
  REQUIRE(world.helds.size() == 1);
  world.releases.clear();

  SECTION("page by page") {
    world.router.on_answer(world.helds[0], Held{Errc::ok, {{ada, living}, {bob, gone}, {bob, sibling}}, {}, "r0"});
    REQUIRE(world.releases.size() == 1);
    CHECK(world.releases[0].second == gone);
    world.pass(10ms);
    REQUIRE(world.helds.size() == 2);
    world.router.on_answer(world.helds[1], Held{Errc::ok, {}, {{hall, bob, gone}, {hall, bob, sibling}}, "0"});
    CHECK(world.dropped == std::vector<Attachment>{gone});
    world.pass(10s);
    CHECK(world.helds.size() == 2);
    CHECK(world.router.stats().rows_taken_back == 1);
    CHECK(world.router.stats().places_taken_back == 1);
  }
  SECTION("a page that fails is asked for again, and a release that fails begins anew") {
    world.router.on_answer(world.helds[0], Held{Errc::timeout, {}, {}, "0"});
    world.pass(1'100ms);
    REQUIRE(world.helds.size() == 2);
    world.router.on_answer(world.helds[0], Held{Errc::ok, {{bob, gone}}, {}, "0"});  // late: nobody waits for it
    CHECK(world.releases.empty());
    world.router.on_answer(world.helds[1], Held{Errc::ok, {{bob, gone}}, {}, "0"});
    REQUIRE(world.releases.size() == 1);
    world.router.on_answer(world.releases[0].first, Released{Errc::unavailable});
    world.pass(1'100ms);
    CHECK(world.helds.size() == 3);
  }
}

TEST_CASE("rows that do not expire are claimed once") {
  World world;
  world.connect(ada);
  CHECK(world.claims[0].second.ttl == 0ms);
  world.pass(1h);
  CHECK(world.claims.size() == 1);
}

TEST_CASE("a message that waited longer than its deadline for the store is dropped as expired") {
  World world;
  world.router.on_store_state(StoreState::down);
  world.router.send(Ticket{3}, {}, bob, "1", Wait::for_word);
  world.router.on_answer(world.lookups.back().first, Owners{Errc::unavailable, {}});
  for (int i = 0; i < 60; ++i) {
    const auto asked = std::exchange(world.lookups, {});
    for (const auto& lookup : asked) world.router.on_answer(lookup.first, Owners{Errc::unavailable, {}});
    world.pass(100ms);
  }
  REQUIRE(world.sent[3].size() == 1);
  CHECK((world.sent[3][0].word == Word::dropped_expired || world.sent[3][0].word == Word::unknown));
  CHECK(at(world.router.stats().words, Word::dropped_expired) == 1);
}

TEST_CASE("a slow reader's messages are dropped and said to be") {
  RouterOptions options = World::defaults();
  options.limits.outbox_bytes_max = 1024;
  World world(options);
  const ConnId b = world.connect(bob, Framing::raw);
  for (int i = 0; i < 3; ++i) world.router.send(Ticket{1}, {}, bob, std::string(600, '1'), Wait::for_word);
  REQUIRE(world.sent[1].size() == 3);
  CHECK(world.sent[1][0].word == Word::delivered);
  CHECK(world.sent[1][1].word == Word::dropped_slow_consumer);
  CHECK(world.router.outbox(b)->bytes() <= 1024);
}

TEST_CASE("a bad command is answered and the connection stays") {
  World world;
  const ConnId a = world.connect(ada);
  (void)world.read(a);
  for (const char* wrong :
       {"", "{", "[]", "\"x\"", R"({"op":"snd"})", R"({"op":"send","data":1})", R"({"op":"send","to":"","data":1})",
        R"({"op":"send","to":"bob"})", R"({"op":"send","to":"a\u0000b","data":1})"}) {
    INFO(wrong);
    world.router.text(a, wrong);
    const auto texts = world.read(a);
    REQUIRE(texts.size() == 1);
    CHECK(texts[0].find(R"("op":"error")") != std::string::npos);
  }
  world.router.text(a, R"({"op":"ping","id":"p"})");
  CHECK(world.read(a) == std::vector<std::string>{R"({"op":"ok","id":"p"})"});
  CHECK(world.closed.empty());
}

TEST_CASE("garbage, a foreign shard's and a repeated batch change nothing and are counted") {
  World world;
  const ConnId b = world.connect(bob, Framing::raw);
  world.router.on_batch(me.view(), "garbage");
  BatchWriter foreign(other.view(), 0, 5, 1, 1);
  foreign.add(EntryMessage{0, 0, false, "", "bob", "1"});
  world.router.on_batch(me.view(), foreign.finish({}, me.view(), 0ms));
  CHECK(world.router.stats().bad_batches == 2);
  BatchWriter batch(other.view(), 0, 0, 1, 1);
  batch.add(EntryMessage{0, 0, false, "", "bob", "1"});
  const std::string bytes = batch.finish({}, me.view(), 0ms);
  world.router.on_batch(me.view(), bytes);
  world.router.on_batch(me.view(), bytes);
  CHECK(world.router.outbox(b)->frames() == 1);
  CHECK(world.router.stats().duplicates == 1);
}

TEST_CASE("the bound of connections is a sentence that names it") {
  RouterOptions options = World::defaults();
  options.limits.sessions_max = 1;
  World world(options);
  world.connect(ada);
  const auto refused = world.router.open(bob, Framing::websocket);
  REQUIRE_FALSE(refused.has_value());
  CHECK(refused.error().code == Errc::capacity);
  CHECK(refused.error().message.find("--connections-max") != std::string::npos);
}

TEST_CASE("without anything unfinished the router asks for no timer") {
  World world;
  const ConnId a = world.connect(ada);
  world.connect(bob);
  world.router.text(a, R"({"op":"send","to":"bob","data":1})");
  world.router.end_turn();
  CHECK_FALSE(world.router.next_deadline().has_value());
}

TEST_CASE("nothing is written before the claim is answered, then preface, welcome and what came meanwhile") {
  World world;
  const auto conn = world.router.open(ada, Framing::websocket, std::nullopt, "HTTP/1.1 101\r\n\r\n");
  world.router.send(Ticket{1}, bob, ada, "1", Wait::for_word);
  CHECK(world.sent[1].at(0).word == Word::delivered);
  CHECK(world.woken.empty());
  CHECK(world.router.outbox(*conn)->is_empty());
  world.router.on_answer(world.claims.back().first, Claimed{Errc::ok, Epoch{7}, {}, {}});
  CHECK(world.woken == std::vector<ConnId>{*conn});
  std::array<std::string_view, 8> pieces;
  REQUIRE(world.router.outbox(*conn)->gather(pieces) == 3);
  CHECK(pieces[0] == "HTTP/1.1 101\r\n\r\n");
  CHECK(pieces[1].find("welcome") != std::string_view::npos);
  CHECK(pieces[2].find("message") != std::string_view::npos);
}

TEST_CASE("a refused claim still lets the preface go, so that the close code can follow it") {
  World world;
  const auto conn = world.router.open(ada, Framing::websocket, std::nullopt, "101");
  world.router.on_answer(world.claims.back().first, Claimed{Errc::superseded, {}, {}, {}});
  std::array<std::string_view, 8> pieces;
  REQUIRE(world.router.outbox(*conn)->gather(pieces) >= 1);
  CHECK(pieces[0] == "101");
  CHECK(world.closed.size() == 1);
}

TEST_CASE("two claims are told apart by time, beyond the error of two servers' clocks") {
  const OwnerRow elsewhere{ada, {other, 0, ConnId{1}}, Epoch{50}, StoreTime{100us}};
  ClaimCall claim{.client = ada,
                  .at = {me, 0, ConnId{2}},
                  .accepted_at = StoreTime{90us},
                  .epoch_min = {},
                  .policy = SessionPolicy::single,
                  .devices_max = 1,
                  .clock_error = 5us};
  CHECK(claim.is_older_than(elsewhere));
  claim.clock_error = 10us;
  CHECK_FALSE(claim.is_older_than(elsewhere));
  OwnerRow sibling = elsewhere;
  sibling.at.server = me;  // of the same server: the same clock
  CHECK(claim.is_older_than(sibling));
  claim.epoch_min = Epoch{51};  // asserted again: the epoch counts
  CHECK_FALSE(claim.is_older_than(elsewhere));
  claim.epoch_min = Epoch{49};
  CHECK(claim.is_older_than(elsewhere));
}

TEST_CASE("a message of the application above the limit is dropped as too big") {
  RouterOptions options = World::defaults();
  options.limits.message_bytes_max = 10;
  World world(options);
  world.connect(bob, Framing::raw);
  world.router.send(Ticket{1}, {}, bob, "1234567890", Wait::for_word);
  world.router.send(Ticket{2}, {}, bob, "12345678901", Wait::for_word);
  CHECK(world.sent[1].at(0).word == Word::delivered);
  CHECK(world.sent[2].at(0).word == Word::dropped_too_big);
}

TEST_CASE("releases that the store did not take are made again at the pace of claims") {
  RouterOptions options = World::defaults();
  options.limits.reassert_batch = 2;
  World world(options);
  std::vector<ConnId> conns;
  for (int i = 0; i < 5; ++i) conns.push_back(world.connect(ClientId::trusted("c" + std::to_string(i))));
  for (const ConnId conn : conns) world.router.closed(conn);
  REQUIRE(world.releases.size() == 5);
  const auto asked = world.releases;
  world.releases.clear();
  world.claims.clear();
  Duration pause{};
  SECTION("lost on the way: at once") {
    for (const auto& [ticket, at] : asked) world.router.on_answer(ticket, Released{Errc::timeout});
  }
  SECTION("refused: half a second later") {
    for (const auto& [ticket, at] : asked) world.router.on_answer(ticket, Released{Errc::unavailable});
    pause = 500ms - options.limits.reassert_pace;
  }
  world.pass(pause);
  CHECK(world.releases.empty());
  for (const std::size_t made : {2U, 4U, 5U, 5U}) {
    world.pass(options.limits.reassert_pace);
    CHECK(world.releases.size() == made);
  }
  CHECK(world.claims.empty());  // nobody's connection is claimed for it
}

TEST_CASE("joins, leaves and pages of members have a price each, and who pays for them is the client") {
  RouterOptions options = World::defaults();
  options.limits.join_rate = {1, 10s, 2};
  options.limits.leave_rate = {1, 10s, 1};
  options.limits.members_rate = {1, 10s, 1};
  World world(options);
  const ConnId first = world.connect(ada), another = world.connect(bob);
  (void)world.read(first);
  (void)world.read(another);
  const auto say = [&](ConnId conn, const std::string& op, const std::string& room) {
    world.router.text(conn, R"({"op":")" + op + R"(","room":")" + room + R"(","id":"i"})");
  };
  const auto refusals = [&](ConnId conn) {
    std::size_t count = 0;
    for (const std::string& text : world.read(conn)) {
      if (text.find(R"("code":"rate_limited")") == std::string::npos) continue;
      ++count;
      CHECK(text.find(R"("retry_after_ms":10000)") != std::string::npos);
      CHECK(text.find("try again in 10000 ms") != std::string::npos);
    }
    return count;
  };
  for (const char* room : {"one", "two", "three"}) say(first, "join", room);
  CHECK(refusals(first) == 1);
  CHECK(world.router.stats().rate_limited_joins == 1);
  say(another, "join", "one");
  CHECK(refusals(another) == 0);
  for (const char* room : {"one", "two"}) say(first, "leave", room);
  CHECK(world.router.stats().rate_limited_leaves == 1);
  for (const char* room : {"one", "two", "three"}) say(first, "members", room);
  CHECK(world.router.stats().rate_limited_members == 2);
  CHECK(refusals(first) == 3);
  // Messages are none of these.
  world.router.text(first, R"({"op":"send","to":"bob","data":1})");
  CHECK(world.read(another).size() == 1);
}

TEST_CASE("with over_rate close a client above the price of joins is closed with 4029") {
  RouterOptions options = World::defaults();
  options.limits.join_rate = {1, 10s, 1};
  options.limits.over_rate = Limits::OverRate::close;
  World world(options);
  const ConnId conn = world.connect(ada);
  for (const char* room : {"one", "two"}) {
    world.router.text(conn, std::string(R"({"op":"join","room":")") + room + R"("})");
  }
  REQUIRE(world.closed.size() == 1);
  CHECK(world.closed[0] == std::pair{conn, std::uint16_t{4029}});
}
