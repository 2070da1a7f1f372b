// What becomes of a client's rooms when the store is slow, fails over, or takes its server for dead.
#include "core/routing/room_flow.hpp"

#include <catch2/catch.hpp>
#include <string>
#include <utility>
#include <vector>

#include "router_world.hpp"

using namespace wsr;
using namespace wsr::test;
using namespace std::chrono_literals;

namespace {

const RoomName hall = RoomName::trusted("hall");

/// ada is in the hall, and has read all that she was told.
struct InTheHall : World {
  InTheHall() : conn(connect_into(ada, hall)) {
    router.on_answer(joins.back(), Joined{Errc::ok, 1, 10, {}});
    router.end_turn();
    static_cast<void>(read(conn));
    joins.clear();
    claims.clear();
  }
  void be_swept(std::uint64_t version) {
    tell(hall, {.kind = PresenceEvent::Kind::swept, .version = version, .size = 0, .client = ada.view()});
  }
  /// The claim is asserted again, and stands.
  void reassert() {
    router.reassert();
    pass(10ms);
    REQUIRE(claims.size() == 1);
    router.on_answer(claims[0].first, Claimed{Errc::ok, Epoch{++epochs}, {}, {}, {}});
    router.end_turn();
    claims.clear();
  }
  void say_leave() {
    router.text(conn, R"({"op":"leave","room":"hall","id":"l"})");
    router.end_turn();
    REQUIRE(leaves.size() == 1);
  }
  bool hears_the_hall() { return hears(hall, conn); }
  ConnId conn;
};

}  // namespace

TEST_CASE("a renewal leaves the rooms alone, a re-assertion joins them again") {
  RouterOptions options = World::defaults();
  options.limits.owner_ttl = 30s;
  World world(options);
  world.connect_into(ada, RoomName::trusted("hall"));
  world.router.on_answer(world.joins.back(), Joined{Errc::ok, 1, 1, {}});
  world.claims.clear();
  const auto claimed = [&] {
    for (const auto& [ticket, claim] : std::exchange(world.claims, {})) {
      world.router.on_answer(ticket, Claimed{Errc::ok, Epoch{++world.epochs}, {}, {}, {RoomName::trusted("hall")}});
    }
  };
  for (int step = 0; step < 31; ++step) {
    world.pass(1s);
    claimed();
  }
  CHECK(world.router.stats().claims_renewed >= 2);
  CHECK(world.joins.size() == 1);
  world.router.reassert();
  world.pass(10ms);
  claimed();
  CHECK(world.joins.size() == 2);
}

TEST_CASE("a client whose join the store did not answer hears its room, and is asked for again until it is in") {
  World world;
  const RoomName hall = RoomName::trusted("hall");
  const ConnId conn = world.connect_into(ada, hall);
  world.router.on_answer(world.joins.back(), Joined{Errc::timeout, 0, 0, {}});
  world.router.end_turn();
  const auto welcome = world.read(conn);
  REQUIRE(welcome.size() == 1);
  CHECK(welcome[0].find("hall") != std::string::npos);
  const auto hears = [&](std::string_view data) {
    RoomMessage message;
    message.from_server = other.view();
    message.from = "bob";
    message.data = data;
    world.router.on_room_event(hall.view(), encode_room_message(message, {}, hall.view(), 0ms), 1);
    world.router.end_turn();
    return world.read(conn).size() == 1;
  };
  CHECK(hears("1"));
  world.pass(900ms);
  CHECK(world.joins.size() == 1);
  world.pass(200ms);
  REQUIRE(world.joins.size() == 2);
  world.router.on_answer(world.joins.back(), Joined{Errc::unavailable, 0, 0, {}});
  world.router.on_store_state(StoreState::down);
  world.pass(10s);
  CHECK(world.joins.size() == 2);
  CHECK(hears("2"));
  world.router.on_store_state(StoreState::up);
  world.pass(10ms);
  REQUIRE(world.joins.size() == 3);
  world.router.on_answer(world.joins.back(), Joined{Errc::ok, 1, 5, {}});
  CHECK(hears("3"));
  world.pass(10s);
  CHECK(world.joins.size() == 3);
}

TEST_CASE("a client that was welcomed while the store did not answer is brought back into its rooms by its claim") {
  World world;
  const auto conn = world.router.open(ada, Framing::websocket);
  world.router.on_answer(world.claims.back().first, Claimed{Errc::timeout, {}, {}, {}, {}});
  CHECK(world.read(*conn).size() == 1);
  world.claims.clear();
  world.pass(10ms);
  REQUIRE(world.claims.size() == 1);
  world.router.on_answer(world.claims[0].first, Claimed{Errc::ok, Epoch{1}, {}, {}, {RoomName::trusted("hall")}});
  world.router.on_answer(world.subscribes.back(), Subscribed{});
  CHECK(world.joins.size() == 1);
}

TEST_CASE("what a welcome could not name is told when it is there") {
  World world;
  const auto conn = world.router.open(ada, Framing::websocket);
  world.router.on_answer(world.claims.back().first, Claimed{Errc::timeout, {}, {}, {}, {}});
  world.router.end_turn();
  CHECK(world.read(*conn) ==
        std::vector<std::string>{R"({"op":"welcome","client":"ada","server":"a~1","conn":"0/1000000"})"});
  world.pass(10ms);
  world.router.on_answer(world.claims.back().first, Claimed{Errc::ok, Epoch{1}, {}, {}, {hall}});
  world.router.on_answer(world.subscribes.back(), Subscribed{});
  world.router.on_answer(world.joins.back(), Joined{Errc::ok, 3, 7, {}});
  world.router.end_turn();
  CHECK(world.read(*conn) == std::vector<std::string>{R"({"op":"rejoined","room":"hall","size":3,"version":7})"});
}

TEST_CASE("who has heard that it left, and is in again, hears that too") {
  InTheHall world;
  world.be_swept(11);
  const auto told = world.read(world.conn);
  REQUIRE(told.size() == 1);
  CHECK(told[0].find(R"("event":"leave")") != std::string::npos);
  REQUIRE(world.joins.size() == 1);
  world.router.on_answer(world.joins.back(), Joined{Errc::ok, 1, 12, {}});
  world.router.end_turn();
  CHECK(world.read(world.conn) == std::vector<std::string>{R"({"op":"rejoined","room":"hall","size":1,"version":12})"});
}

TEST_CASE("who joins once more hears of those whose joins were on their way then") {
  InTheHall world;
  world.router.text(world.conn, R"({"op":"join","room":"hall","id":"j"})");
  REQUIRE(world.joins.size() == 1);
  world.router.on_answer(world.joins.back(), Joined{Errc::ok, 3, 12, {}});
  world.router.end_turn();
  CHECK(world.read(world.conn) ==
        std::vector<std::string>{R"({"op":"ok","id":"j","room":"hall","size":3,"version":12})"});
  world.tell(hall, {.kind = PresenceEvent::Kind::join, .version = 10, .size = 1, .client = ada.view()});
  CHECK(world.read(world.conn).empty());
  world.tell(hall, {.kind = PresenceEvent::Kind::join, .version = 11, .size = 2, .client = "bob"});
  world.tell(hall, {.kind = PresenceEvent::Kind::join, .version = 12, .size = 3, .client = "carol"});
  CHECK(world.read(world.conn) ==
        std::vector<std::string>{
            R"({"op":"presence","room":"hall","event":"join","client":"bob","size":2,"version":11})",
            R"({"op":"presence","room":"hall","event":"join","client":"carol","size":3,"version":12})"});
}

TEST_CASE("a count does not overtake the event that an answer knew of first, and comes if that is lost") {
  InTheHall world;
  const auto join_again = [&](std::uint64_t size, std::uint64_t version) {
    world.router.text(world.conn, R"({"op":"join","room":"hall"})");
    world.router.on_answer(world.joins.back(), Joined{Errc::ok, size, version, {}});
    world.router.end_turn();
  };
  join_again(2, 11);
  world.pass(990ms);
  world.tell(hall, {.kind = PresenceEvent::Kind::join, .version = 11, .size = 2, .client = "bob"});
  join_again(3, 12);
  static_cast<void>(world.read(world.conn));
  world.pass(20ms);  // the first answer's second is over
  CHECK(world.read(world.conn).empty());
  world.pass(960ms);
  CHECK(world.read(world.conn).empty());
  world.pass(40ms);
  CHECK(world.read(world.conn) ==
        std::vector<std::string>{R"({"op":"presence","room":"hall","event":"count","size":3,"version":12})"});
}

TEST_CASE("nobody is brought back into a room that it is leaving") {
  InTheHall world;
  world.say_leave();
  SECTION("by a sweep") { world.be_swept(11); }
  SECTION("by a claim that is asserted again") { world.reassert(); }
  CHECK(world.joins.empty());
  SECTION("and when it has left, it stays out") {
    world.router.on_answer(world.leaves[0], Left{Errc::ok, 0, 12});
    world.router.end_turn();
    world.pass(10s);
    CHECK(world.joins.empty());
    static_cast<void>(world.read(world.conn));
    CHECK_FALSE(world.hears_the_hall());
  }
  SECTION("and when it could not leave, it is asked for again") {
    world.reassert();
    world.router.on_answer(world.leaves[0], Left{Errc::timeout, 0, 0});
    world.pass(2s);
    CHECK(world.joins.size() == 1);
  }
}

TEST_CASE("a leave holds although the claim got a newer epoch while it was under way") {
  InTheHall world;
  world.say_leave();
  world.reassert();
  world.router.on_answer(world.leaves[0], Left{Errc::ok, 0, 12});
  world.router.end_turn();
  static_cast<void>(world.read(world.conn));
  CHECK_FALSE(world.hears_the_hall());
}

TEST_CASE("a leave before the first claim stands is refused: the claim's answer may bring the room back") {
  World world;
  const auto conn = world.router.open(ada, Framing::websocket);
  world.router.on_answer(world.claims.back().first, Claimed{Errc::timeout, {}, {}, {}, {}});
  world.router.end_turn();
  static_cast<void>(world.read(*conn));
  world.router.text(*conn, R"({"op":"leave","room":"hall","id":"l"})");
  world.router.end_turn();
  const auto told = world.read(*conn);
  REQUIRE(told.size() == 1);
  CHECK(told[0].find(R"("code":"unavailable")") != std::string::npos);
  CHECK(world.leaves.empty());
}

TEST_CASE("a swept member whose new join the store did not answer is asked for again, and hears its room meanwhile") {
  InTheHall world;
  world.reassert();
  REQUIRE(world.joins.size() == 1);
  world.be_swept(11);  // while that join is under way
  static_cast<void>(world.read(world.conn));
  CHECK_FALSE(world.hears_the_hall());  // held back
  world.router.on_answer(world.joins.back(), Joined{Errc::timeout, 0, 0, {}});
  world.router.end_turn();
  CHECK(world.read(world.conn).size() == 1);
  CHECK(world.hears_the_hall());
  CHECK(world.dropped.empty());
  world.pass(2s);
  CHECK(world.joins.size() == 2);
}

TEST_CASE("an end that is known when a join is asked is older, also if the store counts from further back") {
  InTheHall world;
  world.reassert();
  world.be_swept(30);
  world.router.on_answer(world.joins.back(), Joined{Errc::ok, 1, 31, {}});
  world.router.end_turn();
  world.reassert();  // the store has failed over: its replica was at 20
  world.router.on_answer(world.joins.back(), Joined{Errc::ok, 1, 21, {}});
  world.router.end_turn();
  static_cast<void>(world.read(world.conn));
  CHECK(world.hears_the_hall());
}

// ---------------------------------------------------------------- who can only publish does no harm

namespace {

RouterOptions with_keys() {
  RouterOptions options = World::defaults();
  options.keys.keys = {{"k1", "a secret of some length"}};
  return options;
}

/// The same as InTheHall, on a fabric that signs.
struct InTheSignedHall : World {
  InTheSignedHall() : World(with_keys()), conn(connect_into(ada, hall)) {
    router.on_answer(joins.back(), Joined{Errc::ok, 1, 10, {}});
    router.end_turn();
    static_cast<void>(read(conn));
  }
  void hear_leave(std::uint64_t version, PresenceEvent::Kind kind = PresenceEvent::Kind::leave) {
    tell(hall, {.kind = kind, .version = version, .size = 0, .client = ada.view()});
  }
  void confirm(RoomInfo info) {
    REQUIRE_FALSE(finds.empty());
    const Ticket ticket = finds.front();
    finds.erase(finds.begin());
    router.on_answer(ticket, std::move(info));
    router.end_turn();
  }
  [[nodiscard]] std::string signed_message(std::uint64_t base, std::uint64_t number, std::chrono::milliseconds at) {
    RoomMessage message;
    message.from_server = other.view();
    message.base = base;
    message.seq = number;
    message.from = "bob";
    message.data = "1";
    return encode_room_message(message, with_keys().keys, hall.view(), at);
  }
  bool takes(const std::string& bytes) {
    static_cast<void>(read(conn));
    router.on_room_event(hall.view(), bytes, 1);
    router.end_turn();
    return !read(conn).empty();
  }
  [[nodiscard]] std::chrono::milliseconds clock() const {
    return std::chrono::duration_cast<std::chrono::milliseconds>(time.time_since_epoch());
  }
  std::uint64_t seq = 100;
  bool is_in() { return takes(signed_message(1, ++seq, clock())); }
  ConnId conn;
};

}  // namespace

TEST_CASE("with keys a leave that the roster does not confirm takes nobody out") {
  InTheSignedHall world;
  const auto kind = GENERATE(PresenceEvent::Kind::leave, PresenceEvent::Kind::swept);
  world.hear_leave(1'010, kind);
  CHECK(world.is_in());
  SECTION("the roster still lists the client here") { world.confirm({Errc::ok, 1, 10, {{me, 1}}}); }
  SECTION("the roster is behind the event") { world.confirm({Errc::ok, 0, 10, {}}); }
  CHECK(world.is_in());
  CHECK(world.finds.empty());
}

TEST_CASE("with keys a leave that the roster confirms ends the membership") {
  InTheSignedHall world;
  world.hear_leave(11);
  SECTION("the client is gone") { world.confirm({Errc::ok, 0, 11, {}}); }
  SECTION("the room is gone") { world.confirm({Errc::ok, 0, 0, {}}); }
  SECTION("the client is elsewhere by now") { world.confirm({Errc::ok, 1, 12, {{other, 1}}}); }
  CHECK_FALSE(world.is_in());
}

TEST_CASE("with keys a roster that does not answer is asked again, and many leaves are one question") {
  InTheSignedHall world;
  for (std::uint64_t version = 11; version < 40; ++version) world.hear_leave(version);
  REQUIRE(world.finds.size() == 1);
  world.confirm({Errc::unavailable, 0, 0, {}});  // more came meanwhile: asked anew
  REQUIRE(world.finds.size() == 1);
  world.confirm({Errc::unavailable, 0, 0, {}});
  CHECK(world.finds.empty());
  CHECK(world.is_in());
  world.pass(1'100ms);
  REQUIRE(world.finds.size() == 1);
  world.confirm({Errc::ok, 0, 39, {}});
  CHECK_FALSE(world.is_in());
}

TEST_CASE("a version far above the store's clock is not believed") {
  InTheHall world;
  const std::uint64_t now = 1'000'000;  // World begins at one second
  for (const std::uint64_t version : {now + 61'000'000, std::uint64_t{1} << 53, ~std::uint64_t{0}}) {
    world.tell(hall, {.kind = PresenceEvent::Kind::leave, .version = version, .size = 0, .client = ada.view()});
    CHECK(world.hears_the_hall());
    world.tell(hall, {.kind = PresenceEvent::Kind::join, .version = version, .size = 2, .client = bob.view()});
  }
  // The next join does not carry any of them on.
  world.join_requests.clear();
  world.router.text(world.conn, R"({"op":"join","room":"hall","id":"j"})");
  world.router.end_turn();
  REQUIRE(world.join_requests.size() == 1);
  CHECK(world.join_requests[0].known_version == 10);
}

TEST_CASE("a message of a room that comes again is delivered once") {
  InTheSignedHall world;
  const auto recorded = world.signed_message(7, 7, world.clock());
  CHECK(world.takes(recorded));
  CHECK_FALSE(world.takes(recorded));
  CHECK(world.takes(world.signed_message(7, 8, world.clock())));
  CHECK_FALSE(world.takes(recorded));
  CHECK(world.takes(world.signed_message(9, 9, world.clock())));  // its sender has begun another numbering
  CHECK_FALSE(world.takes(recorded));
}

TEST_CASE("a message that was signed long before this server heard the room is a repetition") {
  World world(with_keys());
  world.time = Time{20s};
  const ConnId conn = world.connect_into(ada, hall);
  world.router.on_answer(world.joins.back(), Joined{Errc::ok, 1, 10, {}});
  world.router.end_turn();
  static_cast<void>(world.read(conn));
  const auto takes = [&](std::uint64_t seq, std::chrono::milliseconds at) {
    RoomMessage message;
    message.from_server = other.view();
    message.base = 1;
    message.seq = seq;
    message.data = "1";
    world.router.on_room_event(hall.view(), encode_room_message(message, with_keys().keys, hall.view(), at), 1);
    world.router.end_turn();
    return !world.read(conn).empty();
  };
  CHECK_FALSE(takes(1, 10s));
  CHECK(takes(2, 19s));  // it was on its way
}
