// The end of a session: decided once, for others at once, whatever the connection still has to say.
#include "tests/core/routing/router_world.hpp"

using namespace wsr;
using namespace wsr::test;
using Catch::Contains;

namespace {

std::string word_of_message_to_ada(World& world, ConnId bobs) {
  world.router.text(bobs, R"({"op":"send","id":"1","to":"ada","data":1})");
  while (!world.lookups.empty()) world.found(std::vector<ShardAddress>{});  // the store has no row of hers any more
  world.router.end_turn();
  const auto heard = world.read(bobs);
  return heard.empty() ? "" : heard.back();
}

void send_many(World& world, ConnId from, int count) {
  for (int n = 0; n < count; ++n) {
    world.router.text(from, R"({"op":"send","to":"ada","data":")" + std::string(100, 'x') + "\"}");
  }
}

}  // namespace

TEST_CASE("a session that is closed with any code gets no message any more, and is released in the same turn") {
  for (const auto code : {CloseCode::going_away, CloseCode::policy, CloseCode::internal_error, CloseCode::restart,
                          CloseCode::try_again_later, CloseCode::replaced, CloseCode::capacity, CloseCode::rate_limited,
                          CloseCode::idle}) {
    World world;
    const ConnId adas = world.connect(ada), bobs = world.connect(bob);
    (void)world.read(adas);
    (void)world.read(bobs);
    CHECK_THAT(word_of_message_to_ada(world, bobs), Contains("delivered"));
    (void)world.read(adas);

    world.router.kick({me, 0, adas}, code, "");
    CHECK(world.closed.size() == 1);
    CHECK_THAT(word_of_message_to_ada(world, bobs), Contains("offline"));  // still in the turn of the close
    REQUIRE(world.releases.size() == 1);
    CHECK(world.releases[0].second.conn == adas);
    CHECK(world.read(adas).empty());
    CHECK(world.router.stats().delivered_here == 1);

    world.router.closed(adas);
    world.router.end_turn();
    CHECK(world.releases.size() == 1);
  }
}

TEST_CASE("an end that the connection decides is the same: nothing more for it, and its row goes back") {
  World world;
  const ConnId adas = world.connect(ada), bobs = world.connect(bob);
  (void)world.read(adas);
  (void)world.read(bobs);
  world.router.ending(adas);
  world.router.ending(adas);
  CHECK_THAT(word_of_message_to_ada(world, bobs), Contains("offline"));
  CHECK(world.releases.size() == 1);
  CHECK(world.closed.empty());  // the connection knows it
  world.router.text(adas, R"({"op":"ping","id":"9"})");
  CHECK(world.read(adas).empty());
}

TEST_CASE("an end before the claim is answered lets the answer to the upgrade go, and no welcome") {
  World world;
  const auto conn = world.router.open(ada, Framing::raw, std::nullopt, "101");
  CHECK(world.router.outbox(*conn)->is_empty());
  world.router.ending(*conn);
  world.router.on_answer(world.claims.back().first, Claimed{Errc::ok, Epoch{1}, {}, {}, {}});
  std::array<std::string_view, 4> pieces;
  REQUIRE(world.router.outbox(*conn)->gather(pieces) == 1);
  CHECK(pieces[0] == "101");
  world.router.end_turn();
  CHECK(world.releases.size() == 1);
}

TEST_CASE("a client that has said goodbye gets the answers to what it asked before, and nothing else") {
  World world;
  const RoomName room = RoomName::trusted("r");
  const ConnId adas = world.connect(ada), bobs = world.connect(bob);
  (void)world.read(adas);
  (void)world.read(bobs);
  CHECK(world.router.answers_due(adas) == 0);
  world.router.text(adas, R"({"op":"send","id":"s","to":"carol","data":1})");
  world.router.text(adas, R"({"op":"send","to":"carol","data":2})");  // no id, no answer
  world.router.text(adas, R"({"op":"join","id":"j","room":"r"})");
  world.router.text(adas, R"({"op":"push","id":"p","room":"r","data":1})");
  world.router.text(adas, R"({"op":"ping","id":"now"})");
  CHECK_THAT(world.read(adas).at(0), Contains("now"));
  CHECK(world.router.answers_due(adas) == 3);

  world.router.ending(adas, Router::Answers::due);
  CHECK_THAT(word_of_message_to_ada(world, bobs), !Contains("delivered"));
  world.router.end_turn();
  CHECK(world.releases.size() == 1);
  world.router.on_answer(world.subscribes.back(), Subscribed{});
  world.pass(30s);  // whatever is not answered by then says so
  std::string heard;
  for (const auto& text : world.read(adas)) heard += text;
  CHECK_THAT(heard, Contains(R"("id":"s")") && Contains(R"("id":"j")") && Contains(R"("id":"p")"));
  CHECK(world.router.answers_due(adas) == 0);

  world.router.ending(adas);
  world.router.closed(adas);
  world.router.end_turn();
  CHECK(world.releases.size() == 1);
}

TEST_CASE("a queue that is given up keeps the frame that is half written, and what went with it is counted") {
  World world;
  const ConnId adas = world.connect(ada), bobs = world.connect(bob);
  (void)world.read(adas);
  send_many(world, bobs, 10);
  Outbox* outbox = world.router.outbox(adas);
  REQUIRE(outbox->messages() == 10);
  const auto frame = outbox->bytes() / 10;
  outbox->taken(3 * frame + 7);
  world.router.drop_queue(adas);
  CHECK(outbox->bytes() == frame - 7);
  CHECK(outbox->messages() == 1);
  CHECK(world.router.stats().lost_at_close == 6);
  CHECK(world.router.outbox_budget().bytes == world.router.outbox(bobs)->cost() + outbox->cost());
  // What is said behind it is a close frame.
  CHECK(outbox->offer_control(Frame::copy_of("close")) == Outbox::Verdict::queued);
  std::array<std::string_view, 4> pieces;
  REQUIRE(outbox->gather(pieces) == 2);
  CHECK(pieces[1] == "close");
  world.router.closed(adas);
  CHECK(world.router.stats().lost_at_close == 7);
}

TEST_CASE("what waited for a connection when it broke is counted, answers are not messages") {
  World world;
  const ConnId adas = world.connect(ada), bobs = world.connect(bob);
  (void)world.read(adas);
  send_many(world, bobs, 4);
  world.router.text(adas, R"({"op":"ping","id":"1"})");
  world.router.closed(adas);
  CHECK(world.router.stats().lost_at_close == 4);
}

TEST_CASE("a queue is cut at the frame that is being written, whatever policy has dropped from it") {
  for (const auto policy : {SlowPolicy::drop, SlowPolicy::drop_oldest, SlowPolicy::keep_latest}) {
    OutboxRules rules{.bytes_max = 50, .policy = policy, .budget = {}};
    Outbox outbox(rules);
    for (int n = 0; n < 20; ++n) {
      (void)outbox.offer(Frame::copy_of("0123456789"), static_cast<Topic>(3 + n % 2));
      if (n == 2) outbox.taken(4);
    }
    const auto messages = outbox.messages();
    const auto gone = outbox.cut();
    CHECK(outbox.bytes() == 6);
    CHECK(rules.budget.bytes == 6);
    CHECK(gone == messages - 1);
    CHECK(outbox.dropped() == 0);  // nobody is told any more
    outbox.taken(6);
    CHECK(outbox.is_empty());
    CHECK(outbox.cut() == 0);
  }
}

TEST_CASE("what a held server keeps for a client that has said goodbye is carried out and answered") {
  World world;
  const ConnId adas = world.connect(ada), bobs = world.connect(bob);
  (void)world.read(adas);
  (void)world.read(bobs);
  world.router.hold();
  world.router.text(adas, R"({"op":"send","id":"s","to":"bob","data":1})");
  world.router.text(adas, "no JSON");
  CHECK(world.router.answers_due(adas) == 2);
  world.router.ending(adas, Router::Answers::due);
  world.router.end_turn();
  CHECK(world.router.answers_due(adas) == 2);
  world.router.go_on();  // its lease was never lost
  world.router.end_turn();
  CHECK(world.read(bobs).size() == 1);
  CHECK_THAT(world.read(adas).at(0), Contains("delivered"));
  CHECK(world.router.answers_due(adas) == 0);
}

TEST_CASE("a connection that came while the server was held, and has ended since, is not claimed for") {
  World world;
  world.router.hold();
  const auto conn = world.router.open(ada, Framing::websocket);
  world.router.ending(*conn);
  world.router.end_turn();
  world.router.go_on();
  world.pass(1s);
  CHECK(world.claims.empty());
}
