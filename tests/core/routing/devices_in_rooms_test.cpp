// Rooms of a client with several devices: they come in and go together, whatever one of their servers has missed.
#include <catch2/catch.hpp>
#include <string>
#include <variant>
#include <vector>

#include "core/routing/room_flow.hpp"
#include "router_world.hpp"

using namespace wsr;
using namespace wsr::test;
using namespace std::chrono_literals;

namespace {

const RoomName hall = RoomName::trusted("hall");
const RoomName cafe = RoomName::trusted("cafe");

RouterOptions several_devices() {
  RouterOptions options = World::defaults();
  options.policy = SessionPolicy::multi;
  return options;
}

std::string presence(std::string_view event, int size, int version) {
  return R"({"op":"presence","room":"hall","event":")" + std::string(event) + R"(","client":"ada","size":)" +
         std::to_string(size) + R"(,"version":)" + std::to_string(version) + "}";
}

/// A device of ada is in the hall since version 10, and has read all that it was told.
struct Devices : World {
  explicit Devices(RouterOptions options = several_devices()) : World(std::move(options)) {
    device = connect_into(ada, hall);
    join_answered({Errc::ok, 1, 10, {}});
    forget();
  }
  void forget() {
    static_cast<void>(read(device));
    joins.clear();
    join_requests.clear();
    claims.clear();
    lookups.clear();
  }
  void join_answered(const Joined& joined) {
    REQUIRE_FALSE(joins.empty());
    router.on_answer(joins.back(), joined);
    router.end_turn();
  }
  /// Its claim is asserted again.
  void reassert() {
    router.reassert();
    pass(10ms);
    be_claimed({});
  }
  /// The claim is answered: the client is in these rooms by other devices.
  void be_claimed(const std::vector<RoomName>& rooms) {
    REQUIRE(claims.size() == 1);
    router.on_answer(claims[0].first, Claimed{Errc::ok, Epoch{++epochs}, {}, {}, rooms});
    router.end_turn();
    claims.clear();
  }
  void ask(const std::string& text) {
    router.text(device, text);
    router.end_turn();
  }
  void leaves_by_another(std::uint64_t version, std::uint64_t size = 0) {
    tell(hall, {.kind = PresenceEvent::Kind::leave, .version = version, .size = size, .client = ada.view()});
  }
  bool is_in_hall() { return hears(hall, device); }
  ConnId device;
};

}  // namespace

TEST_CASE("devices: a stay that is asserted says since when it is, and ends by a leave that nobody here has heard of") {
  Devices world;
  world.reassert();
  REQUIRE(world.join_requests.size() == 1);
  CHECK(world.join_requests[0].stay == 10);
  CHECK_FALSE(world.join_requests[0].is_of_claim);
  world.join_answered({Errc::not_found, 4, 12, "the client has left"});
  CHECK(world.read(world.device) == std::vector{presence("leave", 4, 12)});
  CHECK_FALSE(world.is_in_hall());
  CHECK(world.router.stats().room_leaves == 1);
}

TEST_CASE("devices: a leave is remembered with several devices, and only then") {
  RouterOptions options = several_devices();
  SECTION("several") {}
  SECTION("one") { options.policy = SessionPolicy::single; }
  const bool is_multi = options.policy == SessionPolicy::multi;
  Devices world(options);
  world.ask(R"({"op":"leave","room":"hall","id":"l"})");
  REQUIRE(world.leave_requests.size() == 1);
  using Remember = LeaveCall::Remember;
  CHECK(world.leave_requests[0].remember == (is_multi ? Remember::always : Remember::no));
  CHECK(world.leave_requests[0].known_version == 10);
  world.ask(R"({"op":"leave","room":"cafe","id":"l"})");  // where nobody knows it
  REQUIRE(world.leave_requests.size() == 2);
  CHECK(world.leave_requests[1].remember == (is_multi ? Remember::if_there : Remember::no));
}

TEST_CASE("devices: the answer to a join comes before the leave that ended it, and after the one that it ended") {
  Devices world;
  world.ask(R"({"op":"join","room":"hall","id":"j"})");
  world.leaves_by_another(12);
  CHECK(world.read(world.device).empty());
  SECTION("the join was carried out before the leave") {
    world.join_answered({Errc::ok, 1, 11, {}});
    CHECK(world.read(world.device) ==
          std::vector<std::string>{R"({"op":"ok","id":"j","room":"hall","size":1,"version":11})",
                                   presence("leave", 0, 12)});
    CHECK_FALSE(world.is_in_hall());
  }
  SECTION("the join was carried out after it") {
    world.join_answered({Errc::ok, 1, 13, {}});
    CHECK(world.read(world.device) ==
          std::vector<std::string>{presence("leave", 0, 12),
                                   R"({"op":"ok","id":"j","room":"hall","size":1,"version":13})"});
    CHECK(world.is_in_hall());
  }
}

TEST_CASE("devices: of two joins under way the last answer is followed by the leave that ended both") {
  Devices world;
  world.ask(R"({"op":"leave","room":"hall","id":"l"})");
  world.router.on_answer(world.leaves.back(), Left{Errc::ok, 0, 11});
  world.router.end_turn();
  world.forget();
  world.ask(R"({"op":"join","room":"hall","id":"1"})");
  if (world.joins.empty()) world.router.on_answer(world.subscribes.back(), Subscribed{});
  world.ask(R"({"op":"join","room":"hall","id":"2"})");
  REQUIRE(world.joins.size() == 2);
  world.leaves_by_another(13);
  world.router.on_answer(world.joins[0], Joined{Errc::ok, 1, 12, {}});
  world.router.on_answer(world.joins[1], Joined{Errc::ok, 1, 12, {}});
  world.router.end_turn();
  CHECK(world.read(world.device) ==
        std::vector<std::string>{R"({"op":"ok","id":"1","room":"hall","size":1,"version":12})",
                                 R"({"op":"ok","id":"2","room":"hall","size":1,"version":12})",
                                 presence("leave", 0, 13)});
  CHECK_FALSE(world.is_in_hall());
}

TEST_CASE("devices: a device that was deaf when another joined learns it from its claim") {
  RouterOptions options = several_devices();
  SECTION("several") {
    Devices world(options);
    world.reassert();
    REQUIRE(world.joins.size() == 1);  // the hall's
    world.join_answered({Errc::ok, 1, 10, {}});
    world.pass(3100ms);  // when what nobody stands for has been taken back
    world.be_claimed({cafe});
    world.router.on_answer(world.subscribes.back(), Subscribed{});
    REQUIRE(world.joins.size() == 2);
    CHECK(world.join_requests[1].room == cafe);
    CHECK(world.join_requests[1].is_of_claim);
    world.join_answered({Errc::ok, 1, 7, {}});
    CHECK(world.read(world.device) ==
          std::vector<std::string>{
              R"({"op":"presence","room":"cafe","event":"join","client":"ada","size":1,"version":7})"});
  }
  SECTION("one") {  // then it is a note that somebody is about to remove
    options.policy = SessionPolicy::single;
    Devices world(options);
    world.router.reassert();
    world.pass(10ms);
    world.be_claimed({cafe});
    world.pass(10s);
    CHECK(world.claims.empty());
    CHECK(world.joins.size() == 1);
  }
}

TEST_CASE("devices: a join brings in those elsewhere, each with the version of the stay") {
  Devices world;
  SECTION("that the client asked for") {
    world.ask(R"({"op":"join","room":"hall","id":"j"})");
    world.join_answered({Errc::ok, 1, 10, {}});
  }
  SECTION("that the store had forgotten") {
    world.reassert();
    Joined joined{Errc::ok, 1, 10, {}};
    joined.has_begun = true;
    world.join_answered(joined);
  }
  REQUIRE(world.lookups.size() == 1);
  world.found(other);
  REQUIRE(world.publishes.size() == 1);
  const auto entries = world.said(0);
  REQUIRE(entries.size() == 1);
  const auto& command = std::get<EntryRoomCommand>(entries[0]);
  CHECK(command.op == EntryRoomCommand::Op::join);
  CHECK(command.receipt == 0);
  CHECK(command.stay == 10);
  CHECK(command.client == "ada");
}

TEST_CASE("devices: one that the store knew all the time asks for nobody") {
  Devices world;
  world.reassert();
  world.join_answered({Errc::ok, 1, 10, {}});
  CHECK(world.lookups.empty());
}

TEST_CASE("devices: where the others are is asked again until the store answers, while the client is in") {
  Devices world;
  world.ask(R"({"op":"join","room":"hall","id":"j"})");
  world.join_answered({Errc::ok, 1, 10, {}});
  REQUIRE(world.lookups.size() == 1);
  world.router.on_answer(world.lookups[0].first, Owners{Errc::timeout, {}});
  SECTION("still in") {
    world.pass(1100ms);
    CHECK(world.lookups.size() == 2);
  }
  SECTION("out meanwhile") {
    world.leaves_by_another(12);
    world.pass(1100ms);
    CHECK(world.lookups.size() == 1);
  }
}

TEST_CASE("devices: what another server says of a stay brings in all devices here, and asks for no others") {
  World world(several_devices());
  const ConnId first = world.connect(ada), second = world.connect(ada);
  world.router.end_turn();
  static_cast<void>(world.read(first));
  static_cast<void>(world.read(second));
  world.hear({EntryRoomCommand{EntryRoomCommand::Op::join, 0, "hall", "ada", 10}});
  world.router.on_answer(world.subscribes.back(), Subscribed{});
  REQUIRE(world.joins.size() == 2);
  CHECK(world.join_requests[0].stay == 10);
  CHECK(world.join_requests[1].stay == 10);
  world.router.on_answer(world.joins[0], Joined{Errc::ok, 1, 10, {}});
  world.router.on_answer(world.joins[1], Joined{Errc::not_found, 0, 11, {}});
  world.router.end_turn();
  std::vector<std::string> told = world.read(first);
  for (const std::string& frame : world.read(second)) told.push_back(frame);
  CHECK(told == std::vector{presence("join", 1, 10)});  // one is in, and knows it
  CHECK(world.lookups.empty());
}

TEST_CASE("devices: the application's join is one device's, and its answer brings in the others") {
  World world(several_devices());
  world.connect(ada);
  world.connect(ada);
  world.router.join(Ticket{1}, hall, ada);
  world.router.on_answer(world.subscribes.back(), Subscribed{});
  REQUIRE(world.joins.size() == 1);
  CHECK(world.join_requests[0].stay == 0);
  world.router.on_answer(world.joins[0], Joined{Errc::ok, 1, 10, {}});
  REQUIRE(world.joins.size() == 2);
  CHECK(world.join_requests[1].stay == 10);
  CHECK(world.lookups.size() == 1);
}

TEST_CASE("devices: who is taken out of a big room hears it, where the others are only counted") {
  RouterOptions options = several_devices();
  options.limits.presence_events_max = 2;
  Devices world(options);
  world.leaves_by_another(12, 50);
  CHECK(world.read(world.device) == std::vector{presence("leave", 50, 12)});
  CHECK_FALSE(world.is_in_hall());
}

TEST_CASE("devices: a leave ends what a welcome has named before the join was answered") {
  World world(several_devices());
  const auto conn = world.router.open(ada, Framing::websocket);
  REQUIRE(conn.has_value());
  world.router.on_answer(world.claims.back().first, Claimed{Errc::ok, Epoch{1}, {}, {}, {hall}});
  world.router.on_answer(world.subscribes.back(), Subscribed{});
  REQUIRE(world.joins.size() == 1);
  world.router.end_turn();
  REQUIRE(world.read(*conn).empty());
  world.pass(2100ms);  // then the client is welcomed without the answer
  const auto told = world.read(*conn);
  REQUIRE(told.size() == 1);
  CHECK(told[0].find(R"("rooms":["hall"])") != std::string::npos);
  world.router.on_answer(world.joins[0], Joined{Errc::not_found, 3, 12, {}});
  world.router.end_turn();
  CHECK(world.read(*conn) == std::vector{presence("leave", 3, 12)});
}

TEST_CASE("devices: a claim that is answered twice does not welcome before the rooms are there") {
  World world(several_devices());
  const auto conn = world.router.open(ada, Framing::websocket);
  REQUIRE(conn.has_value());
  const Ticket first = world.claims.back().first;
  world.router.on_answer(first, Claimed{Errc::ok, Epoch{1}, {}, {}, {hall}});
  world.router.on_answer(world.subscribes.back(), Subscribed{});
  world.router.reassert();
  world.pass(10ms);
  world.router.on_answer(world.claims.back().first, Claimed{Errc::ok, Epoch{2}, {}, {}, {}});
  world.router.end_turn();
  CHECK(world.read(*conn).empty());
  for (const Ticket join : std::vector(world.joins)) world.router.on_answer(join, Joined{Errc::ok, 1, 10, {}});
  world.router.end_turn();
  CHECK_FALSE(world.read(*conn).empty());
}

TEST_CASE("a member learns of who came while its server was deaf, also when a new member's answer told that first") {
  Devices world;
  const ConnId newcomer = world.connect_into(bob, hall);
  world.join_answered({Errc::ok, 2, 11, {}});
  static_cast<void>(world.read(newcomer));
  static_cast<void>(world.read(world.device));
  world.pass(3100ms);  // its event never came
  CHECK(world.read(world.device) ==
        std::vector<std::string>{R"({"op":"presence","room":"hall","event":"count","size":2,"version":11})"});
}

TEST_CASE("a member whose stay the store had forgotten hears that it began anew") {
  RouterOptions options = several_devices();
  SECTION("one of several devices") {}
  SECTION("the only one") { options.policy = SessionPolicy::single; }
  Devices world(options);
  world.reassert();
  Joined joined{Errc::ok, 1, 15, {}};
  SECTION("it had") {
    joined.has_begun = true;
    world.join_answered(joined);
    CHECK(world.read(world.device) ==
          std::vector<std::string>{R"({"op":"rejoined","room":"hall","size":1,"version":15})"});
  }
  SECTION("it had not") {
    world.join_answered(joined);
    CHECK(world.read(world.device).empty());
  }
}

TEST_CASE("devices: a later join that is answered first decides what the earlier answer means") {
  Devices world;
  world.ask(R"({"op":"join","room":"hall","id":"j"})");
  world.hear({EntryRoomCommand{EntryRoomCommand::Op::join, 0, "hall", "ada", 11}});  // another device's
  REQUIRE(world.joins.size() == 2);
  world.leaves_by_another(12);
  SECTION("it found that the client has left") {
    world.router.on_answer(world.joins[1], Joined{Errc::not_found, 0, 12, {}});
    world.router.on_answer(world.joins[0], Joined{Errc::ok, 1, 11, {}});
    world.router.end_turn();
    CHECK(world.read(world.device) ==
          std::vector<std::string>{R"({"op":"ok","id":"j","room":"hall","size":1,"version":11})",
                                   presence("leave", 0, 12)});
    CHECK_FALSE(world.is_in_hall());
  }
  SECTION("it brought the client in again") {
    world.router.on_answer(world.joins[1], Joined{Errc::ok, 1, 13, {}});
    world.router.on_answer(world.joins[0], Joined{Errc::ok, 1, 11, {}});
    world.router.end_turn();
    CHECK_FALSE(world.read(world.device).empty());
    CHECK(world.is_in_hall());
  }
}

TEST_CASE(
    "devices: a connection whose own join was answered hears of its end, also from a later join that finds it out") {
  World world(several_devices());
  const ConnId device = world.connect(ada);
  world.router.text(device, R"({"op":"join","room":"hall","id":"j"})");
  world.router.on_answer(world.subscribes.back(), Subscribed{});
  world.hear({EntryRoomCommand{EntryRoomCommand::Op::join, 0, "hall", "ada", 11}});
  REQUIRE(world.joins.size() == 2);
  world.tell(hall, {.kind = PresenceEvent::Kind::leave, .version = 12, .size = 0, .client = ada.view()});
  static_cast<void>(world.read(device));
  world.router.on_answer(world.joins[0], Joined{Errc::ok, 1, 11, {}});
  world.router.on_answer(world.joins[1], Joined{Errc::not_found, 0, 12, {}});
  world.router.end_turn();
  CHECK(world.read(device) == std::vector<std::string>{R"({"op":"ok","id":"j","room":"hall","size":1,"version":11})",
                                                       presence("leave", 0, 12)});
}

TEST_CASE("a leave and two joins at once: the first join's answer is the one that counts") {
  RouterOptions options = several_devices();
  SECTION("one of several devices") {}
  SECTION("the only one") { options.policy = SessionPolicy::single; }
  Devices world(options);
  world.ask(R"({"op":"leave","room":"hall","id":"l"})");
  world.ask(R"({"op":"join","room":"hall","id":"1"})");
  world.ask(R"({"op":"join","room":"hall","id":"2"})");
  REQUIRE(world.leaves.size() == 1);
  REQUIRE(world.joins.size() == 2);
  world.router.on_answer(world.leaves[0], Left{Errc::ok, 0, 11});
  world.leaves_by_another(11);
  world.router.on_answer(world.joins[0], Joined{Errc::ok, 1, 12, {}});
  world.router.end_turn();
  CHECK(world.read(world.device) ==
        std::vector<std::string>{R"({"op":"ok","id":"l","room":"hall","size":0})",
                                 R"({"op":"ok","id":"1","room":"hall","size":1,"version":12})"});
  SECTION("others are heard from then on") {
    world.tell(hall, {.kind = PresenceEvent::Kind::join, .version = 13, .size = 2, .client = "bob"});
    CHECK(world.read(world.device).size() == 1);
    CHECK(world.is_in_hall());
  }
  SECTION("and that the second failed takes nothing back") {
    world.router.on_answer(world.joins[1], Joined{Errc::unavailable, 0, 0, {}});
    world.router.end_turn();
    const auto told = world.read(world.device);
    REQUIRE(told.size() == 1);
    CHECK(told[0].find(R"("code":"unavailable")") != std::string::npos);
    CHECK(world.is_in_hall());
    CHECK(world.dropped.empty());
  }
}

TEST_CASE("who is taken out while its own join fails hears both") {
  Devices world;
  world.ask(R"({"op":"join","room":"hall","id":"j"})");
  world.leaves_by_another(12);
  world.router.on_answer(world.joins.back(), Joined{Errc::unavailable, 0, 0, {}});
  world.router.end_turn();
  const auto told = world.read(world.device);
  REQUIRE(told.size() == 2);
  CHECK(told[0] == presence("leave", 0, 12));
  CHECK(told[1].find(R"("code":"unavailable")") != std::string::npos);
  CHECK_FALSE(world.is_in_hall());
}

TEST_CASE("devices: one that wants no presence hears its own end all the same") {
  Devices world;
  world.ask(R"({"op":"join","room":"hall","presence":false,"id":"j"})");
  world.join_answered({Errc::ok, 1, 10, {}});
  static_cast<void>(world.read(world.device));
  world.tell(hall, {.kind = PresenceEvent::Kind::join, .version = 11, .size = 2, .client = "bob"});
  CHECK(world.read(world.device).empty());
  world.leaves_by_another(12);
  CHECK(world.read(world.device) == std::vector{presence("leave", 0, 12)});
}

TEST_CASE("devices: in a room that counts, a device that was brought in is not counted what it was told") {
  RouterOptions options = several_devices();
  options.limits.presence_events_max = 1;
  Devices world(options);
  world.hear({EntryRoomCommand{EntryRoomCommand::Op::join, 0, "cafe", "ada", 7}});
  world.router.on_answer(world.subscribes.back(), Subscribed{});
  world.join_answered({Errc::ok, 5, 7, {}});
  CHECK(world.read(world.device).size() == 1);
  world.pass(5s);
  CHECK(world.read(world.device).empty());
}

TEST_CASE("who wants no presence and leaves by itself hears the answer alone") {
  Devices world;
  world.ask(R"({"op":"join","room":"hall","presence":false})");
  world.join_answered({Errc::ok, 1, 10, {}});
  static_cast<void>(world.read(world.device));
  world.ask(R"({"op":"leave","room":"hall","id":"l"})");
  world.leaves_by_another(11);
  world.router.on_answer(world.leaves.back(), Left{Errc::ok, 0, 11});
  world.router.end_turn();
  CHECK(world.read(world.device) == std::vector<std::string>{R"({"op":"ok","id":"l","room":"hall","size":0})"});
}

namespace {

/// A fresh join that holds back more than its bound; the lost are counted.
struct Flooded : World {
  static RouterOptions small() {
    RouterOptions options = several_devices();
    options.limits.outbox_bytes_max = 2'048;
    return options;
  }
  Flooded() : World(small()), device(connect(ada)) {
    router.end_turn();
    static_cast<void>(read(device));
    router.text(device, R"({"op":"join","room":"hall","id":"j"})");
    router.on_answer(subscribes.back(), Subscribed{});
    for (int n = 0; n < 100; ++n) REQUIRE_FALSE(hears(hall, device));
  }
  ConnId device;
};

}  // namespace

TEST_CASE("the word of an end is held back whatever else there was no room for") {
  std::uint32_t dropped = 0;
  {
    Flooded world;
    world.router.on_answer(world.joins[0], Joined{Errc::ok, 1, 11, {}});
    dropped = world.router.outbox(world.device)->dropped();
    REQUIRE(dropped > 10);
  }
  Flooded world;
  world.tell(hall, {.kind = PresenceEvent::Kind::leave, .version = 12, .size = 0, .client = ada.view()});
  world.router.on_answer(world.joins[0], Joined{Errc::ok, 1, 11, {}});
  // The outbox is full: that it was dropped is what the connection is told.
  CHECK(world.router.outbox(world.device)->dropped() == dropped + 1);
}

TEST_CASE("what a refused join had no room for is told by the next one") {
  Flooded world;
  world.router.text(world.device, R"({"op":"join","room":"hall","id":"2"})");
  REQUIRE(world.joins.size() == 2);
  world.router.on_answer(world.joins[0], Joined{Errc::capacity, 0, 0, "full"});
  CHECK(world.router.outbox(world.device)->dropped() == 0);
  world.router.on_answer(world.joins[1], Joined{Errc::ok, 1, 11, {}});
  CHECK(world.router.outbox(world.device)->dropped() > 10);
}
