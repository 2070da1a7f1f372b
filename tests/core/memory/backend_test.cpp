// What only the embedded store promises: pump, wake, join and its hard bounds. The ports: tests/contract.
#include "core/memory/backend.hpp"

#include "core/memory/rosters.hpp"
#include "tests/contract/harness.hpp"

namespace wsr::memory {
namespace {

using contract::Recorder;
using namespace std::chrono_literals;

const Channel news{ChannelKind::app, "news"};

struct World {
  explicit World(Options given = {}) : options(std::move(given)) {
    options.now = [this] { return now; };
    options.wake = [this] { ++wakes; };
    backend = std::make_unique<Backend>(options, heard, heard);
  }

  Options options;
  StoreTime now{1'000'000us};
  int wakes = 0;
  Recorder heard;
  std::unique_ptr<Backend> backend;
};

/// Calls again from within its first answer.
class Caller final : public AnswerSink {
public:
  void on_answer(Ticket ticket, Answer&&) override {
    answered.push_back(ticket.value);
    if (ticket.value == 1) backend->call(Ticket{2}, CountsCall{});
  }
  Backend* backend = nullptr;
  std::vector<std::uint64_t> answered;
};

TEST_CASE("the store wakes its driver once for all that gathers until the next pump") {
  World world;
  world.backend->start();
  CHECK(world.wakes == 1);
  world.backend->call(Ticket{1}, CountsCall{});
  CHECK(world.wakes == 1);
  world.backend->pump();
  CHECK(world.heard.states == std::vector{StoreState::up});
  CHECK(world.heard.has(Ticket{1}));
  world.backend->call(Ticket{2}, CountsCall{});
  CHECK(world.wakes == 2);
}

TEST_CASE("a call made within an answer is answered by the next pump") {
  int wakes = 0;
  Options options;
  options.now = [] { return StoreTime{}; };
  options.wake = [&] { ++wakes; };
  Caller caller;
  Recorder listener;
  Backend backend{options, caller, listener};
  caller.backend = &backend;
  backend.call(Ticket{1}, CountsCall{});
  backend.pump();
  CHECK(caller.answered == std::vector<std::uint64_t>{1});
  CHECK(wakes == 2);
  backend.pump();
  CHECK(caller.answered == std::vector<std::uint64_t>{1, 2});
  backend.pump();
  CHECK(caller.answered.size() == 2);
}

TEST_CASE("a store without a wake callback is pumped by whoever calls it") {
  Options options;
  options.now = [] { return StoreTime{}; };
  Recorder heard;
  Backend backend{options, heard, heard};
  backend.start();
  backend.pump();
  CHECK(heard.states.size() == 1);
}

TEST_CASE("a server that has gone hears nothing more and takes its subscriptions along") {
  World world;
  Recorder second_heard;
  auto second = world.backend->join(second_heard, second_heard);
  second->call(Ticket{1}, SubscribeCall{news, Match::exact});
  world.backend->call(Ticket{2}, PublishCall{news, "on its way"});
  second.reset();
  world.backend->call(Ticket{3}, PublishCall{news, "too late"});
  world.backend->pump();
  CHECK(second_heard.answers.empty());
  CHECK(second_heard.messages.empty());
  CHECK(std::get<Published>(world.heard.answers.at(Ticket{2})).receivers == 1);
  CHECK(std::get<Published>(world.heard.answers.at(Ticket{3})).receivers == 0);
}

TEST_CASE("a stopped server gets the answers it waits for and no messages") {
  World world;
  Recorder second_heard;
  auto second = world.backend->join(second_heard, second_heard);
  second->call(Ticket{1}, SubscribeCall{news, Match::exact});
  world.backend->call(Ticket{2}, PublishCall{news, "hello"});
  second->call(Ticket{3}, CountsCall{});
  second->stop();
  world.backend->pump();
  CHECK(second_heard.order == std::vector{Ticket{1}, Ticket{3}});
  CHECK(second_heard.messages.empty());
}

TEST_CASE("a claim without a lease enters the registry as expired so that a sweep finds it") {
  World world;
  Store& store = *world.backend;
  const ServerId ghost = ServerId::trusted("ghost~1");
  store.call(Ticket{1}, ClaimCall{ClientId::trusted("ada"), {ghost, 0, ConnId::make(1, 1)}, world.now});
  store.call(Ticket{2}, ServersCall{});
  store.call(Ticket{3}, SweepCall{ghost, ServerId::trusted("s1~1")});
  world.backend->pump();
  const auto& servers = std::get<Servers>(world.heard.answers.at(Ticket{2}));
  REQUIRE(servers.rows.size() == 1);
  CHECK(servers.rows[0].lease == ServerRow::Lease::expired);
  CHECK(std::get<Swept>(world.heard.answers.at(Ticket{3})).rows_removed == 1);
}

TEST_CASE("a page cursor that no page gave is refused") {
  World world;
  world.backend->call(Ticket{1}, OwnerPageCall{"12x", 10});
  world.backend->call(Ticket{2}, OwnerPageCall{"999999", 10});
  world.backend->pump();
  CHECK(std::get<OwnerPage>(world.heard.answers.at(Ticket{1})).result == Errc::bad_request);
  const auto& beyond = std::get<OwnerPage>(world.heard.answers.at(Ticket{2}));
  CHECK(beyond.result == Errc::ok);
  CHECK(beyond.rows.empty());
  CHECK(beyond.cursor == "0");
}

TEST_CASE("the default owner table holds 4096 rows") {
  World world;
  for (std::uint64_t i = 1; i <= 4'097; ++i) {
    const Attachment at{ServerId::trusted("s1~1"), 0, ConnId::make(i, 1)};
    world.backend->call(Ticket{i}, ClaimCall{ClientId::trusted("c" + std::to_string(i)), at, world.now});
  }
  world.backend->pump();
  CHECK(std::get<Claimed>(world.heard.answers.at(Ticket{4'096})).result == Errc::ok);
  const auto& refused = std::get<Claimed>(world.heard.answers.at(Ticket{4'097}));
  CHECK(refused.result == Errc::capacity);
  CHECK(refused.detail == "the owner table is full (4096 rows): raise --owners-max");
}

TEST_CASE("the default membership table holds 16384 pairs of room and client") {
  World world;
  const RoomName room = RoomName::trusted("hall");
  for (std::uint64_t i = 1; i <= 16'385; ++i) {
    const Attachment at{ServerId::trusted("s1~1"), 0, ConnId::make(i, 1)};
    world.backend->call(Ticket{i}, JoinCall{room, ClientId::trusted("c" + std::to_string(i)), at, Epoch{1}});
  }
  world.backend->pump();
  CHECK(std::get<Joined>(world.heard.answers.at(Ticket{16'384})).size == 16'384);
  const auto& refused = std::get<Joined>(world.heard.answers.at(Ticket{16'385}));
  CHECK(refused.result == Errc::capacity);
  CHECK(refused.detail == "the membership table is full (16384 rows): raise --memberships-max");
}

TEST_CASE("a room that is made anew while time stands still begins above its last version") {
  World world;
  const RoomName room = RoomName::trusted("hall");
  const ClientId ada = ClientId::trusted("ada");
  const Attachment at{ServerId::trusted("s1~1"), 0, ConnId::make(1, 1)};
  Store& store = *world.backend;
  store.call(Ticket{1}, JoinCall{room, ada, at, Epoch{1}});
  store.call(Ticket{2}, DropCall{room, ada, at});
  store.call(Ticket{3}, JoinCall{room, ada, at, Epoch{1}});
  world.now += 1s;
  store.call(Ticket{4}, DropCall{room, ada, at});
  store.call(Ticket{5}, JoinCall{room, ada, at, Epoch{1}});
  world.backend->pump();
  const auto joined = [&](std::uint64_t t) { return std::get<Joined>(world.heard.answers.at(Ticket{t})).version; };
  const auto left = [&](std::uint64_t t) { return std::get<Left>(world.heard.answers.at(Ticket{t})).version; };
  CHECK(std::vector{joined(1), left(2), joined(3), left(4), joined(5)} ==
        std::vector<std::uint64_t>{1'000'000, 1'000'001, 1'000'002, 1'000'003, 2'000'000});
}

TEST_CASE("a table without a bound of its own takes the store's") {
  Options options;
  options.table_rows_max = 2;
  World world{options};
  Tables& tables = world.backend->tables();
  std::vector<Errc> codes;
  const auto record = [&](const Result<Done>& done) { codes.push_back(done ? Errc::ok : done.error().code); };
  tables.declare({"t", {{Column::Type::integer, "n", 0}}, 0, {}}, record);
  for (const char* key : {"a", "b", "c"}) tables.set("t", key, {}, record);
  world.backend->pump();
  CHECK(codes == std::vector{Errc::ok, Errc::ok, Errc::ok, Errc::capacity});
}

TEST_CASE("a row is there until the very microsecond at which its ttl ends and a change begins it anew") {
  World world;
  Tables& tables = world.backend->tables();
  const auto ignore = [](const auto&) {};
  std::vector<std::uint64_t> rows;
  const auto count = [&] {
    tables.count("t", [&](const Result<std::uint64_t>& value) { rows.push_back(*value); });
    world.backend->pump();
  };
  tables.declare({"t", {{Column::Type::integer, "n", 0}}, 0, 10ms}, ignore);
  tables.set("t", "a", {}, ignore);
  world.now += 10ms - 1us;
  count();
  tables.incr("t", "a", "n", 1, ignore);
  world.now += 10ms - 1us;
  count();
  world.now += 1us;
  count();
  CHECK(rows == std::vector<std::uint64_t>{1, 1, 0});
}

TEST_CASE("counters are bounded in number and name the bound") {
  Options options;
  options.counters_max = 1;
  World world{options};
  Tables& tables = world.backend->tables();
  std::vector<std::string> refusals;
  const auto record = [&](const Result<std::int64_t>& value) {
    if (!value) refusals.push_back(value.error().message);
  };
  tables.counter_get("read", record);  // reading creates nothing
  tables.counter_add("one", 1, record);
  tables.counter_add("two", 1, record);
  tables.counter_add("one", 1, record);
  world.backend->pump();
  REQUIRE(refusals.size() == 1);
  CHECK(refusals[0].find("1 counters") != std::string::npos);
}

TEST_CASE("as many leaves are remembered as there may be memberships, and the oldest is forgotten first") {
  RosterSet rosters(3, [](const RoomName&, const PresenceEvent&) {});
  const ClientId ada = ClientId::trusted("ada");
  const auto room = [](int n) { return RoomName::trusted("room" + std::to_string(n)); };
  const StoreTime now{1'000'000us};
  const auto leave = [&](int n, StoreTime at) {
    return rosters.leave({room(n), ada, Epoch{10}, 0, LeaveCall::Remember::always}, at);
  };
  for (int n = 0; n < 4; ++n) {
    CHECK(leave(n, now).result == Errc::not_found);
  }
  CHECK(rosters.leaves_remembered() == 3);
  const auto assert_stay = [&](int n) {
    const Attachment at{ServerId::trusted("s1~1"), 0, ConnId{1}};
    return rosters.join({.room = room(n), .client = ada, .at = at, .epoch = Epoch{10}, .stay = 1}, now).result;
  };
  CHECK(assert_stay(0) == Errc::ok);
  CHECK(assert_stay(1) == Errc::not_found);
  CHECK(assert_stay(3) == Errc::not_found);
  // One that leaves again and again is remembered once, and its last leave counts.
  for (int n = 0; n < 10; ++n) {
    CHECK(leave(3, now + 1s * n).result == Errc::not_found);
  }
  CHECK(rosters.leaves_remembered() == 1);
  CHECK(assert_stay(3) == Errc::not_found);
}

}  // namespace
}  // namespace wsr::memory
