// Rooms over several routers and one memory store, driven step by step: every queue between them is delivered in an
// order that a seed chooses, store calls fail with and without being carried out, servers die and are swept. Checks the
// contract G7 and G8 against what a spy on the rooms' channels hears, which no router sees.
#include <fmt/format.h>

#include <catch2/catch.hpp>
#include <deque>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <random>
#include <set>

#include "core/memory/backend.hpp"
#include "core/routing/router.hpp"
#include "core/wire/ws_frame.hpp"
#include "tests/support/fake_ports.hpp"

using namespace wsr;
using namespace std::chrono_literals;
using nlohmann::json;

namespace {

struct World;

/// One server: a router and everything that is on its way to it.
struct Server final : AnswerSink, BusListener, test::QuietServer {
  Server(World& world_in, std::string name);

  void on_answer(Ticket ticket, Answer&& answer) override {
    // The spy is no server: it answers no receipt.
    if (auto* published = std::get_if<Published>(&answer);
        published != nullptr && RouterCall::of(ticket).kind == CallKind::room) {
      if (published->receivers != 0) --published->receivers;
    }
    inputs.push_back([this, ticket, moved = std::make_shared<Answer>(std::move(answer))] {
      router->on_answer(ticket, std::move(*moved));
    });
  }
  void on_bus_message(const Channel& channel, std::string_view, std::string_view payload) override {
    // The subscriber is a line of its own: it may be ahead of the answers or behind them.
    heard.push_back([this, channel, bytes = std::string(payload)] {
      if (channel.kind == ChannelKind::room) {
        router->on_room_event(channel.name, bytes, 1);
      } else {
        router->on_batch(channel.name, bytes);
      }
    });
  }
  void on_resubscribed() override {}
  void on_store_state(StoreState) override {}

  void close(ConnId conn, std::uint16_t code, std::string_view) override { to_close.emplace(conn, code); }
  Time now() const override;
  StoreTime store_now() const override;
  void on_room_done(Ticket ticket, const RoomDone& done) override { room_done[ticket.value] = done; }
  void on_pushed(Ticket ticket, const RoomPushed& result) override { pushed[ticket.value] = result; }

  /// Which calls reach the store, and which of them fail.
  test::Way way_of(const StoreCall& call);

  World& world;
  ServerId id;
  std::unique_ptr<Backend> store;
  test::FaultyStore way{*store, *this, [this](const StoreCall& call) { return way_of(call); }};
  std::unique_ptr<Router> router;
  std::deque<std::function<void()>> inputs;  // answers
  std::deque<std::function<void()>> heard;   // the subscriber's line
  std::map<ConnId, std::uint16_t> to_close;
  std::map<std::uint64_t, RoomDone> room_done;
  std::map<std::uint64_t, RoomPushed> pushed;
  bool is_failing = false;  // its way to the store
};

struct Connection {
  std::size_t server = 0;
  ConnId id;
  std::string client;
  bool is_open = true;
  std::vector<json> frames;  // as read
  WsParser parser{WsRole::client, 1 << 20};
};

/// What one channel brought, in its order.
struct Heard {
  std::vector<std::string> messages;
  std::vector<PresenceEvent::Kind> kinds;
  std::vector<std::string> clients;
  std::vector<std::uint64_t> versions, sizes;
};

struct World {
  World(unsigned seed, std::size_t server_count, SessionPolicy policy_in, Duration grace_in = {})
      : random(seed), policy(policy_in), grace(grace_in) {
    memory::Options options;
    options.now = [this] {
      return StoreTime{std::chrono::duration_cast<std::chrono::microseconds>(time.time_since_epoch())};
    };
    options.owners_max = 100'000;
    root = std::make_unique<memory::Backend>(std::move(options), root_sink, spy);
    root->start();
    for (std::size_t i = 0; i < rooms; ++i) {
      root->call(Ticket{~0ULL}, SubscribeCall{Channel{ChannelKind::room, room_name(i)}, Match::exact});
    }
    for (std::size_t i = 0; i < server_count; ++i) {
      servers.push_back(std::make_unique<Server>(*this, "s" + std::to_string(i)));
      alive.push_back(true);
    }
  }

  static std::string room_name(std::size_t i) { return "chat:room:" + std::to_string(i); }
  static std::string client_name(std::size_t i) { return "c" + std::to_string(i); }
  std::size_t pick(std::size_t count) { return random() % count; }

  void pass(Duration duration) {
    time += duration;
    for (std::size_t i = 0; i < servers.size(); ++i) {
      if (!alive[i]) continue;
      servers[i]->store->call(Ticket{~0ULL}, RenewCall{servers[i]->id, {}, 6'000ms});
      Router& router = *servers[i]->router;
      if (const auto at = router.next_deadline(); at && *at <= time) router.on_time();
      router.end_turn();
      close_asked(i);
    }
    root->pump();
  }
  bool step() {
    std::vector<std::pair<std::size_t, bool>> ready;
    for (std::size_t i = 0; i < servers.size(); ++i) {
      if (!alive[i]) continue;
      if (!servers[i]->inputs.empty()) ready.emplace_back(i, false);
      if (!servers[i]->heard.empty()) ready.emplace_back(i, true);
    }
    if (ready.empty()) return false;
    const auto [which, is_heard] = ready[pick(ready.size())];
    auto& queue = is_heard ? servers[which]->heard : servers[which]->inputs;
    auto input = std::move(queue.front());
    queue.pop_front();
    input();
    if (pick(2) == 0) servers[which]->router->end_turn();
    close_asked(which);
    root->pump();
    return true;
  }
  void close_asked(std::size_t which) {
    for (const auto& [conn, code] : std::exchange(servers[which]->to_close, {})) {
      for (auto& c : connections) {
        if (c->server == which && c->id == conn && c->is_open) close(*c);
      }
    }
  }
  void settle(Duration until = 20s) {
    for (auto& server : servers) server->is_failing = false;
    for (std::size_t i = 0; i < servers.size(); ++i) {
      if (alive[i]) servers[i]->router->on_store_state(StoreState::up);
    }
    for (Duration passed{0}; passed < until; passed += 50ms) {
      pass(50ms);
      while (step()) {
      }
      drain_all();
    }
  }

  void connect(std::size_t which, const std::string& client) {
    const auto conn = servers[which]->router->open(ClientId::trusted(client), Framing::websocket);
    REQUIRE(conn.has_value());
    auto c = std::make_unique<Connection>();
    c->server = which;
    c->id = *conn;
    c->client = client;
    newest[client] = c.get();
    connections.push_back(std::move(c));
    time += 1us;
    root->pump();
  }
  void close(Connection& c) {
    if (!c.is_open) return;
    drain(c);
    c.is_open = false;
    servers[c.server]->router->closed(c.id);
    root->pump();
  }
  void say(Connection& c, const json& command) {
    servers[c.server]->router->text(c.id, command.dump());
    root->pump();
  }
  void drain(Connection& c) {
    if (!c.is_open || !alive[c.server]) return;
    Outbox* outbox = servers[c.server]->router->outbox(c.id);
    if (outbox == nullptr) return;
    std::array<std::string_view, 64> pieces;
    while (!outbox->is_empty()) {
      const std::size_t count = outbox->gather(pieces);
      std::string bytes;
      for (std::size_t i = 0; i < count; ++i) bytes.append(pieces[i]);
      outbox->taken(bytes.size());
      for (std::span<char> rest(bytes); !rest.empty();) {
        const auto event = c.parser.next(rest);
        REQUIRE(event.kind == WsEvent::Kind::text);
        c.frames.push_back(json::parse(event.payload));
        rest = rest.subspan(event.consumed);
      }
    }
  }
  void drain_all() {
    for (auto& c : connections) drain(*c);
  }
  void kill(std::size_t which) {
    for (auto& c : connections) {
      if (c->server == which) c->is_open = false;
    }
    alive[which] = false;
    servers[which]->router.reset();
    servers[which]->inputs.clear();
    servers[which]->heard.clear();
    servers[which]->store->stop();
  }
  /// Time goes on until the dead server's lease is over; then two servers sweep it.
  void sweep(std::size_t dead) {
    for (int i = 0; i < 70; ++i) pass(100ms);
    for (std::size_t i = 0; i < servers.size(); ++i) {
      if (!alive[i]) continue;
      servers[i]->store->call(Ticket{~0ULL}, SweepCall{servers[dead]->id, servers[i]->id});
      servers[i]->router->on_server_gone(servers[dead]->id);
    }
    root->pump();
  }

  RoomInfo info(std::size_t room) {
    root_sink.last = {};
    root->call(Ticket{1}, RoomInfoCall{RoomName::trusted(room_name(room))});
    root->pump();
    return std::get<RoomInfo>(root_sink.last);
  }
  std::set<std::string> roster(std::size_t room) {
    root_sink.last = {};
    root->call(Ticket{1}, RosterPageCall{RoomName::trusted(room_name(room)), "0", 1'000});
    root->pump();
    std::set<std::string> names;
    for (const auto& member : std::get<RosterPage>(root_sink.last).members) names.insert(member.str());
    return names;
  }

  static constexpr std::size_t rooms = 4;
  std::mt19937_64 random;
  SessionPolicy policy;
  Duration grace;
  Time time{1'000'000s};
  struct RootSink final : AnswerSink {
    void on_answer(Ticket ticket, Answer&& answer) override {
      if (ticket == Ticket{1}) last = std::move(answer);
    }
    Answer last;
  } root_sink;
  struct Spy final : BusListener {
    void on_bus_message(const Channel& channel, std::string_view, std::string_view payload) override {
      auto& room = heard[channel.name];
      const auto event = decode_room_event(payload, {}, channel.name, 0ms);
      if (const auto* message = std::get_if<RoomMessage>(&event)) room.messages.emplace_back(message->data);
      if (const auto* presence = std::get_if<PresenceEvent>(&event)) {
        room.kinds.push_back(presence->kind);
        room.clients.emplace_back(presence->client);
        room.versions.push_back(presence->version);
        room.sizes.push_back(presence->size);
      }
    }
    void on_resubscribed() override {}
    void on_store_state(StoreState) override {}
    std::map<std::string, Heard> heard;
  } spy;
  std::unique_ptr<memory::Backend> root;
  std::vector<std::unique_ptr<Server>> servers;
  std::vector<bool> alive;
  std::vector<std::unique_ptr<Connection>> connections;
  std::map<std::string, Connection*> newest;
  std::uint64_t said = 0;
  unsigned fault_percent = 0;
};

Server::Server(World& world_in, std::string name)
    : world(world_in), id(*ServerId::make(name, "1")), store(world_in.root->join(*this, *this)) {
  store->start();
  store->call(Ticket{~0ULL}, RenewCall{id, {}, 6'000ms});
  store->call(Ticket{~0ULL}, SubscribeCall{Channel{ChannelKind::inbox, id.str()}, Match::exact});
  RouterOptions options;
  options.self = {id, 0};
  options.policy = world_in.policy;
  options.limits.reconnect_grace = world_in.grace;
  router = std::make_unique<Router>(options, Router::Ports{way, *this, *this, *this});
}

Time Server::now() const { return world.time; }
StoreTime Server::store_now() const {
  return StoreTime{std::chrono::duration_cast<std::chrono::microseconds>(world.time.time_since_epoch())};
}
test::Way Server::way_of(const StoreCall& call) {
  using test::Way;
  if (test::is_one_of<RosterPageCall, TakeCall, SubscribeCall, UnsubscribeCall>(call)) return Way::through;
  if (!test::is_one_of<ClaimCall, ReleaseCall, LookupCall, HeldCall, PublishCall, JoinCall, LeaveCall, DropCall>(call))
    return Way::nowhere;
  if (!is_failing || world.pick(100) >= world.fault_percent) return Way::through;
  return world.pick(2) == 0 ? Way::fails : Way::reply_fails;
}

void churn(World& world, int steps, std::size_t clients) {
  for (int i = 0; i < steps; ++i) {
    const std::size_t which = world.pick(world.servers.size());
    const std::string client = World::client_name(world.pick(clients));
    const std::string room = World::room_name(world.pick(World::rooms));
    Connection* c = world.newest.contains(client) ? world.newest[client] : nullptr;
    const bool is_open = c != nullptr && c->is_open && world.alive[c->server];
    const std::string id = std::to_string(i);
    switch (world.pick(16)) {
      case 0:
        if (world.alive[which]) world.connect(which, client);
        break;
      case 1:
        if (is_open) world.close(*c);
        break;
      case 2:
      case 3:
        if (is_open) world.say(*c, {{"op", "join"}, {"room", room}, {"id", id}});
        break;
      case 4:
        if (is_open) world.say(*c, {{"op", "leave"}, {"room", room}, {"id", id}});
        break;
      case 5:
      case 6:
        if (is_open) world.say(*c, {{"op", "push"}, {"room", room}, {"data", ++world.said}, {"id", id}});
        break;
      case 7:
        if (!world.alive[which]) break;
        if (world.pick(2) == 0) {
          world.servers[which]->router->join(Ticket{++world.said}, RoomName::trusted(room), ClientId::trusted(client));
        } else {
          world.servers[which]->router->leave(Ticket{++world.said}, RoomName::trusted(room), ClientId::trusted(client));
        }
        world.root->pump();
        break;
      case 8:
        world.pass(std::chrono::milliseconds{world.pick(30)});
        break;
      case 9:
        world.drain_all();
        break;
      default:
        world.step();
    }
    world.time += 1us;
  }
}

/// Per client strictly join, leave, join, ...; the last event says who is there; versions grow one by one.
void check_presence(World& world) {
  for (std::size_t i = 0; i < World::rooms; ++i) {
    const Heard& heard = world.spy.heard[World::room_name(i)];
    std::set<std::string> present;
    for (std::size_t e = 0; e < heard.kinds.size(); ++e) {
      INFO(World::room_name(i) << " event " << e << " of " << heard.clients[e]);
      if (heard.kinds[e] == PresenceEvent::Kind::join) {
        REQUIRE(present.insert(heard.clients[e]).second);
      } else {
        REQUIRE(present.erase(heard.clients[e]) == 1);
      }
      REQUIRE(heard.sizes[e] == present.size());
      if (e == 0) continue;
      const bool is_new_room = heard.sizes[e - 1] == 0;
      REQUIRE(
          (is_new_room ? heard.versions[e] > heard.versions[e - 1] : heard.versions[e] == heard.versions[e - 1] + 1));
    }
    REQUIRE(world.roster(i) == present);
  }
}

/// The roster and each server's own view are the same, and whom the roster lists hears; whom it does not list, not.
void check_views(World& world) {
  std::map<std::string, std::uint64_t> held;  // server -> attachments in rosters
  for (std::size_t i = 0; i < World::rooms; ++i) {
    const RoomInfo info = world.info(i);
    REQUIRE(info.size == world.roster(i).size());
    for (const auto& [server, count] : info.servers) held[server.str()] += count;
  }
  for (std::size_t s = 0; s < world.servers.size(); ++s) {
    INFO("server " << s);
    const auto& server = *world.servers[s];
    REQUIRE(held[server.id.str()] == (world.alive[s] ? server.router->stats().memberships : 0));
  }
  for (auto& c : world.connections) c->frames.clear();
  const std::size_t from = world.alive[0] ? 0 : 1;
  for (std::size_t i = 0; i < World::rooms; ++i) {
    const std::string probe = fmt::format("\"probe {}\"", i);
    world.servers[from]->router->push(Ticket{500'000 + i}, RoomName::trusted(World::room_name(i)), {}, probe, Echo::yes,
                                      Wait::for_word);
    world.settle(1s);
    std::multiset<std::string> reached;
    for (const auto& c : world.connections) {
      for (const auto& frame : c->frames) {
        if (frame.at("op") == "room" && frame.at("data") == fmt::format("probe {}", i)) reached.insert(c->client);
      }
    }
    const auto roster = world.roster(i);
    if (world.policy == SessionPolicy::single) {
      REQUIRE(reached == std::multiset<std::string>(roster.begin(), roster.end()));
    } else {
      REQUIRE(std::set<std::string>(reached.begin(), reached.end()) == roster);
    }
    const auto done = world.servers[from]->pushed.find(500'000 + i);
    REQUIRE(done != world.servers[from]->pushed.end());
    REQUIRE(done->second.result == Errc::ok);
    REQUIRE(done->second.connections == reached.size());
    REQUIRE(done->second.unknown == 0);
  }
}

/// What each connection got of a room stands in the channel's order, nothing twice, and without a hole while it was in.
void check_order(World& world) {
  for (std::size_t i = 0; i < World::rooms; ++i) {
    const std::string room = World::room_name(i);
    std::map<std::string, std::size_t> place;
    const auto& messages = world.spy.heard[room].messages;
    for (std::size_t m = 0; m < messages.size(); ++m) REQUIRE(place.emplace(messages[m], m).second);
    for (const auto& c : world.connections) {
      std::optional<std::size_t> last;
      bool is_in = false;  // nothing can have made it leave since the last message
      for (const auto& frame : c->frames) {
        if (frame.value("room", "") != room) continue;
        if (frame.at("op") != "room") {
          is_in = is_in && frame.at("op") == "presence" && frame.value("client", "") != c->client;
          continue;
        }
        const std::size_t at = place.at(frame.at("data").dump());
        if (last) {
          INFO(c->client << " in " << room);
          REQUIRE(at > *last);
          if (is_in) REQUIRE(at == *last + 1);
        }
        last = at;
        is_in = true;
      }
    }
  }
}

}  // namespace

TEST_CASE("rooms under random moves: rosters, events and what members hear agree, in one order") {
  for (unsigned seed = 1; seed <= 400; ++seed) {
    INFO("seed " << seed);
    World world(seed, 3, SessionPolicy::single);
    churn(world, 2'500, 6);
    world.settle();
    check_order(world);
    check_presence(world);
    check_views(world);
  }
}

TEST_CASE("rooms with a grace for reconnects: nobody is deaf, nobody is left behind") {
  for (unsigned seed = 1; seed <= 250; ++seed) {
    INFO("seed " << seed);
    World world(seed, 3, SessionPolicy::single, std::chrono::seconds{seed % 3});
    churn(world, 2'000, 5);
    world.settle();
    check_order(world);
    check_presence(world);
    check_views(world);
  }
}

TEST_CASE("rooms while store calls fail, carried out or not: what heals is true again") {
  for (unsigned seed = 1; seed <= 400; ++seed) {
    INFO("seed " << seed);
    World world(seed, 3, SessionPolicy::single);
    world.fault_percent = 5 + seed % 30;
    for (auto& server : world.servers) server->is_failing = true;
    churn(world, 2'000, 5);
    world.settle();
    for (auto& server : world.servers) server->router->reassert();
    world.settle();
    check_presence(world);
    check_views(world);
  }
}

TEST_CASE("a server that dies leaves no member behind: each stay ends once, also with two sweepers") {
  for (unsigned seed = 1; seed <= 250; ++seed) {
    INFO("seed " << seed);
    World world(seed, 3, SessionPolicy::single, std::chrono::seconds{seed % 2});
    churn(world, 1'200, 6);
    world.kill(1);
    churn(world, 800, 6);
    world.sweep(1);
    world.settle();
    // A claim that died with its server took the list of whom it displaced with it: claiming again finds out.
    for (std::size_t i : {0, 2}) world.servers[i]->router->reassert();
    world.settle();
    check_presence(world);
    check_views(world);
  }
}

TEST_CASE("with several devices a client joins once, leaves once, and each device hears") {
  for (unsigned seed = 1; seed <= 250; ++seed) {
    INFO("seed " << seed);
    World world(seed, 3, SessionPolicy::multi);
    churn(world, 2'000, 4);
    world.settle();
    check_presence(world);
    check_views(world);
  }
}

TEST_CASE("a server that was swept while it lived takes its members back in") {
  for (unsigned seed = 1; seed <= 120; ++seed) {
    INFO("seed " << seed);
    World world(seed, 3, SessionPolicy::single);
    churn(world, 1'200, 6);
    world.settle();
    // Its lease is gone and it is swept; then it renews, and finds out.
    world.root->call(Ticket{~0ULL}, ResignCall{world.servers[1]->id});
    world.root->pump();
    while (world.step()) {
    }
    world.pass(10ms);
    world.servers[1]->router->reassert();
    world.settle();
    check_presence(world);
    check_views(world);
  }
}

TEST_CASE("a client that comes back in time causes neither leave nor join, and is in its rooms before its welcome") {
  for (unsigned seed = 1; seed <= 120; ++seed) {
    INFO("seed " << seed);
    World world(seed, 3, SessionPolicy::single, 3s);
    world.connect(0, "watcher");
    world.connect(0, "ada");
    world.settle(200ms);
    for (const char* client : {"watcher", "ada"}) {
      world.say(*world.newest[client], {{"op", "join"}, {"room", World::room_name(0)}, {"id", "j"}});
    }
    world.settle(200ms);
    const auto events = world.spy.heard[World::room_name(0)].kinds.size();
    REQUIRE(events == 2);
    for (int hop = 0; hop < 6; ++hop) {
      const bool closes_first = world.pick(2) == 0;
      if (closes_first) world.close(*world.newest["ada"]);
      for (std::size_t i = world.pick(6); i > 0; --i) world.step();
      if (closes_first) world.pass(std::chrono::milliseconds{world.pick(2'000)});
      world.connect(world.pick(3), "ada");
      world.settle(500ms);
      const auto& frames = world.newest["ada"]->frames;
      REQUIRE(!frames.empty());
      REQUIRE(frames.front().at("op") == "welcome");
      REQUIRE(frames.front().at("rooms") == json{World::room_name(0)});
    }
    world.settle(10s);
    REQUIRE(world.spy.heard[World::room_name(0)].kinds.size() == events);
    check_views(world);
    world.close(*world.newest["ada"]);
    world.settle(2s);
    REQUIRE(world.spy.heard[World::room_name(0)].kinds.size() == events);
    world.settle(2s);
    REQUIRE(world.spy.heard[World::room_name(0)].kinds.size() == events + 1);
    check_presence(world);
  }
}

namespace {

/// Time goes on, and the store stays as it is.
void go_on(World& world, Duration until) {
  for (Duration passed{0}; passed < until; passed += 50ms) {
    world.pass(50ms);
    while (world.step()) {
    }
    world.drain_all();
  }
}

void fail_calls(World& world, bool is_failing) {
  world.fault_percent = 100;
  for (auto& server : world.servers) server->is_failing = is_failing;
}

}  // namespace

TEST_CASE("what a failed join left behind is taken back, but not from a connection that has joined again since") {
  for (unsigned seed = 1; seed <= 20; ++seed) {
    INFO("seed " << seed);
    World world(seed, 1, SessionPolicy::single);
    world.connect(0, "liv");
    world.settle(200ms);
    fail_calls(world, true);
    world.say(*world.newest["liv"], {{"op", "join"}, {"room", World::room_name(0)}, {"id", "1"}});
    go_on(world, 100ms);
    REQUIRE(world.newest["liv"]->frames.back().at("code") == "unavailable");
    fail_calls(world, false);
    world.say(*world.newest["liv"], {{"op", "join"}, {"room", World::room_name(0)}, {"id", "2"}});
    go_on(world, 100ms);
    REQUIRE(world.newest["liv"]->frames.back().at("op") == "ok");
    world.servers[0]->router->on_store_state(StoreState::up);
    go_on(world, 5s);
    REQUIRE(world.roster(0) == std::set<std::string>{"liv"});
    check_views(world);
  }
}

TEST_CASE("a drop that the store refuses while it is up is made again") {
  for (unsigned seed = 1; seed <= 20; ++seed) {
    INFO("seed " << seed);
    World world(seed, 1, SessionPolicy::single, 1s);
    world.connect(0, "alice");
    world.settle(200ms);
    world.say(*world.newest["alice"], {{"op", "join"}, {"room", World::room_name(0)}, {"id", "1"}});
    go_on(world, 100ms);
    world.close(*world.newest["alice"]);
    go_on(world, 500ms);
    fail_calls(world, true);
    go_on(world, 2s);
    fail_calls(world, false);
    go_on(world, 3s);
    REQUIRE(world.roster(0).empty());
  }
}
