// Several routers around one memory store, driven step by step: every queue between them is delivered in an order that
// a seed chooses, store calls fail with and without being carried out, servers die. Checks the contract against a truth
// that the routers do not see.
#include <catch2/catch.hpp>
#include <cstdio>
#include <deque>
#include <map>
#include <memory>
#include <random>
#include <set>

#include "core/memory/backend.hpp"
#include "core/routing/router.hpp"
#include "tests/support/fake_ports.hpp"

using namespace wsr;
using namespace std::chrono_literals;

namespace {

struct World;

// One server: a router and everything that is on its way to it.
struct Server final : AnswerSink, BusListener, test::QuietServer {
  Server(World& world_in, std::string name);

  // ---- what the store says: queued, delivered when the test wants it
  void on_answer(Ticket ticket, Answer&& answer) override {
    inputs.push_back([this, ticket, moved = std::make_shared<Answer>(std::move(answer))] {
      router->on_answer(ticket, std::move(*moved));
    });
  }
  void on_bus_message(const Channel& channel, std::string_view, std::string_view payload) override {
    inputs.push_back([this, name = channel.name, bytes = std::string(payload)] { router->on_batch(name, bytes); });
  }
  void on_resubscribed() override {}
  void on_store_state(StoreState) override {}

  // ---- the router's ports
  void close(ConnId conn, std::uint16_t code, std::string_view) override { to_close.emplace(conn, code); }
  Time now() const override;
  StoreTime store_now() const override;
  void on_sent(Ticket ticket, const Sent& sent) override;

  /// Which calls reach the store, and which of them fail. Rooms have a cluster test of their own.
  test::Way way_of(const StoreCall& call);

  World& world;
  ServerId id;
  std::unique_ptr<Backend> store;
  test::FaultyStore way{*store, *this, [this](const StoreCall& call) { return way_of(call); }};
  std::unique_ptr<Router> router;
  std::deque<std::function<void()>> inputs;
  std::map<ConnId, std::uint16_t> to_close;
  bool is_failing = false;  // its way to the store
};

struct Connection {
  std::size_t server = 0;
  ConnId id;
  std::string client;
  bool is_open = true;
  bool is_told_replaced = false;
};

struct World {
  explicit World(unsigned seed, std::size_t server_count, SessionPolicy policy_in) : random(seed), policy(policy_in) {
    memory::Options options;
    options.now = [this] {
      return StoreTime{std::chrono::duration_cast<std::chrono::microseconds>(time.time_since_epoch())};
    };
    options.owners_max = 100'000;
    root = std::make_unique<memory::Backend>(std::move(options), root_sink, root_listener);
    root->start();
    for (std::size_t i = 0; i < server_count; ++i) {
      servers.push_back(std::make_unique<Server>(*this, "s" + std::to_string(i)));
      alive.push_back(true);
    }
  }

  std::size_t pick(std::size_t count) { return random() % count; }
  void pass(Duration duration) {
    time += duration;
    for (std::size_t i = 0; i < servers.size(); ++i) {
      if (!alive[i]) continue;
      servers[i]->store->call(Ticket{~0ULL}, RenewCall{servers[i]->id, {}, 6'000ms});
      Router& router = *servers[i]->router;
      if (const auto at = router.next_deadline(); at && *at <= time) router.on_time();
      router.end_turn();
    }
    root->pump();
  }
  /// One input of a server that has some.
  bool step() {
    std::vector<std::size_t> ready;
    for (std::size_t i = 0; i < servers.size(); ++i) {
      if (alive[i] && !servers[i]->inputs.empty()) ready.push_back(i);
    }
    if (ready.empty()) return false;
    const std::size_t which = ready[pick(ready.size())];
    auto input = std::move(servers[which]->inputs.front());
    servers[which]->inputs.pop_front();
    input();
    if (pick(2) == 0) servers[which]->router->end_turn();
    close_asked(which);
    root->pump();
    return true;
  }
  void close_asked(std::size_t which) {
    for (const auto& [conn, code] : std::exchange(servers[which]->to_close, {})) {
      for (auto& c : connections) {
        if (c.server == which && c.id == conn) {
          c.is_told_replaced = code == 4009;
          if (c.is_open) close(c);
        }
      }
    }
  }
  void settle() {
    for (auto& server : servers) server->is_failing = false;
    for (std::size_t i = 0; i < servers.size(); ++i) {
      if (alive[i]) servers[i]->router->on_store_state(StoreState::up);
    }
    for (int i = 0; i < 400; ++i) {
      pass(50ms);
      while (step()) {
      }
      drain_all();
    }
  }
  void connect(std::size_t which, const std::string& client) {
    const auto conn = servers[which]->router->open(ClientId::trusted(client), Framing::raw);
    REQUIRE(conn.has_value());
    connections.push_back({which, *conn, client});
    newest[client] = connections.size() - 1;
    root->pump();
  }
  void close(Connection& c) {
    if (!c.is_open) return;
    drain(c);
    c.is_open = false;
    servers[c.server]->router->closed(c.id);
    root->pump();
  }
  void send(std::size_t which, const std::string& from, const std::string& to) {
    const std::uint64_t number = ++sequence[{from, to}];
    ++sent;
    const std::string data = from + ">" + to + "#" + std::to_string(number);
    servers[which]->router->send(Ticket{sent}, ClientId::trusted(from), ClientId::trusted(to), data,
                                 pick(2) == 0 ? Wait::for_word : Wait::not_at_all);
    root->pump();
  }
  void drain(Connection& c) {
    if (!c.is_open || !alive[c.server]) return;
    Outbox* outbox = servers[c.server]->router->outbox(c.id);
    if (outbox == nullptr) return;
    std::array<std::string_view, 64> pieces;
    while (!outbox->is_empty()) {
      const std::size_t count = outbox->gather(pieces);
      std::size_t bytes = 0;
      for (std::size_t i = 0; i < count; ++i) {
        receive(c, std::string(pieces[i]));
        bytes += pieces[i].size();
      }
      outbox->taken(bytes);
    }
  }
  void drain_all() {
    for (auto& c : connections) drain(c);
  }
  void receive(const Connection& c, const std::string& data) {
    const auto arrow = data.find('>');
    const auto hash = data.find('#');
    const std::string from = data.substr(0, arrow);
    const std::string to = data.substr(arrow + 1, hash - arrow - 1);
    const std::uint64_t number = std::stoull(data.substr(hash + 1));
    if (to != c.client) ++misdelivered;
    // A replaced connection may still read what it was given before; order and doubling are per client.
    if (policy == SessionPolicy::single) {
      auto& seen = received[to];
      if (!seen.insert({from, number}).second) ++doubled;
      auto& last = last_number[{from, to, c.server, c.id.value}];
      if (number < last) ++misordered;
      last = number;
    }
    ++delivered;
  }
  void kill(std::size_t which) {
    for (auto& c : connections) {
      if (c.server == which) c.is_open = false;
    }
    alive[which] = false;
    servers[which]->router.reset();
    servers[which]->inputs.clear();
    servers[which]->store->stop();
  }

  std::mt19937_64 random;
  SessionPolicy policy;
  Time time{1'000'000s};
  struct NoSink final : AnswerSink {
    void on_answer(Ticket, Answer&&) override {}
  } root_sink;
  struct NoListener final : BusListener {
    void on_bus_message(const Channel&, std::string_view, std::string_view) override {}
    void on_resubscribed() override {}
    void on_store_state(StoreState) override {}
  } root_listener;
  std::unique_ptr<memory::Backend> root;
  std::vector<std::unique_ptr<Server>> servers;
  std::vector<bool> alive;
  std::vector<Connection> connections;
  std::map<std::string, std::size_t> newest;  // client -> its newest connection
  std::map<std::pair<std::string, std::string>, std::uint64_t> sequence;
  std::map<std::string, std::set<std::pair<std::string, std::uint64_t>>> received;
  std::map<std::tuple<std::string, std::string, std::size_t, std::uint64_t>, std::uint64_t> last_number;
  std::map<std::uint64_t, int> answered;
  std::uint64_t sent = 0, delivered = 0, misdelivered = 0, doubled = 0, misordered = 0;
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
  // Here a message may be on its way for any number of virtual seconds: order is checked without the way out.
  options.limits.drain_max = 1h;
  router = std::make_unique<Router>(options, Router::Ports{way, *this, *this, *this});
}

Time Server::now() const { return world.time; }
StoreTime Server::store_now() const {
  return StoreTime{std::chrono::duration_cast<std::chrono::microseconds>(world.time.time_since_epoch())};
}
void Server::on_sent(Ticket ticket, const Sent&) { ++world.answered[ticket.value]; }
test::Way Server::way_of(const StoreCall& call) {
  using test::Way;
  if (!test::is_one_of<ClaimCall, ReleaseCall, LookupCall, HeldCall, PublishCall>(call)) return Way::nowhere;
  if (!is_failing || world.pick(100) >= world.fault_percent) return Way::through;
  return world.pick(2) == 0 ? Way::fails : Way::reply_fails;
}

std::string name(std::size_t i) { return "c" + std::to_string(i); }

/// Sum of the words of all servers that live.
std::uint64_t words_of(World& world, std::uint64_t& entered) {
  std::uint64_t words = 0;
  for (std::size_t i = 0; i < world.servers.size(); ++i) {
    if (!world.alive[i]) continue;
    const Stats stats = world.servers[i]->router->stats();
    entered += stats.sent;
    words += sum(stats.words);
  }
  return words;
}

void churn(World& world, int steps, std::size_t clients) {
  for (int i = 0; i < steps; ++i) {
    const std::size_t which = world.pick(world.servers.size());
    switch (world.pick(12)) {
      case 0:
        if (world.alive[which]) world.connect(which, name(world.pick(clients)));
        break;
      case 1:
        if (!world.connections.empty()) {
          auto& c = world.connections[world.pick(world.connections.size())];
          if (c.is_open && world.alive[c.server]) world.close(c);
        }
        break;
      case 2:
        world.pass(std::chrono::milliseconds{world.pick(30)});
        break;
      case 3:
      case 4:
      case 5:
        // A sender stays on its server: order is promised from one sender to one client.
        if (world.alive[which]) world.send(which, "from" + std::to_string(which), name(world.pick(clients)));
        break;
      case 6:
        world.drain_all();
        break;
      default:
        world.step();
    }
    world.time += 1us;  // no two connections are accepted at the same instant
  }
}

}  // namespace

TEST_CASE("random moves of clients between servers: nothing goes to another, nothing twice, nothing out of order") {
  for (unsigned seed = 1; seed <= 150; ++seed) {
    INFO("seed " << seed);
    World world(seed, 3, SessionPolicy::single);
    churn(world, 1'500, 6);
    world.settle();
    REQUIRE(world.misdelivered == 0);
    REQUIRE(world.doubled == 0);
    REQUIRE(world.misordered == 0);
    std::uint64_t entered = 0;
    REQUIRE(words_of(world, entered) == entered);
    REQUIRE(entered == world.sent);
    REQUIRE(world.delivered > 0);
    for (const auto& [ticket, times] : world.answered) REQUIRE(times == 1);
  }
}

TEST_CASE("the newest connection of every client can be reached from every server afterwards") {
  for (unsigned seed = 1; seed <= 150; ++seed) {
    INFO("seed " << seed);
    World world(seed, 3, SessionPolicy::single);
    world.fault_percent = seed % 3 == 0 ? 30 : 0;
    for (auto& server : world.servers) server->is_failing = world.fault_percent != 0;
    churn(world, 1'200, 5);
    world.settle();
    if (world.fault_percent != 0) {
      // A claim's lost reply also loses whom it displaced; after store trouble every server claims again and finds out.
      for (auto& server : world.servers) server->router->reassert();
      world.settle();
    }
    for (const auto& [client, which] : world.newest) {
      const Connection& newest = world.connections[which];
      if (!newest.is_open) continue;
      for (std::size_t from = 0; from < world.servers.size(); ++from) {
        const auto before = world.received[client].size();
        world.send(from, "probe" + std::to_string(from), client);
        for (int i = 0; i < 20; ++i) {
          world.pass(20ms);
          while (world.step()) {
          }
        }
        world.drain_all();
        INFO(client << " on s" << newest.server << " from s" << from);
        REQUIRE(world.received[client].size() == before + 1);
      }
    }
    // While a client's newest connection is open it is the only one: every other was told. (Should the newest have
    // closed unseen, an older one that never heard of it may be claimed again: it is the client's, after all.)
    for (std::size_t i = 0; i < world.connections.size(); ++i) {
      const Connection& c = world.connections[i];
      INFO(c.client << " connection " << i);
      const std::size_t newest = world.newest[c.client];
      REQUIRE((!c.is_open || newest == i || !world.connections[newest].is_open));
    }
  }
}

TEST_CASE("store calls that fail, carried out or not: still nothing twice, and every message has its word") {
  for (unsigned seed = 1; seed <= 150; ++seed) {
    INFO("seed " << seed);
    World world(seed, 3, SessionPolicy::single);
    world.fault_percent = 10 + seed % 40;
    for (auto& server : world.servers) server->is_failing = true;
    churn(world, 1'500, 6);
    world.settle();
    REQUIRE(world.misdelivered == 0);
    REQUIRE(world.doubled == 0);
    std::uint64_t entered = 0;
    REQUIRE(words_of(world, entered) == entered);
    for (const auto& [ticket, times] : world.answered) REQUIRE(times == 1);
  }
}

TEST_CASE("a server that dies takes no message's word with it") {
  for (unsigned seed = 1; seed <= 100; ++seed) {
    INFO("seed " << seed);
    World world(seed, 3, SessionPolicy::single);
    churn(world, 700, 6);
    world.kill(1);
    churn(world, 700, 6);
    for (std::size_t i : {0, 2}) world.servers[i]->router->on_server_gone(world.servers[1]->id);
    world.settle();
    REQUIRE(world.misdelivered == 0);
    REQUIRE(world.doubled == 0);
    std::uint64_t entered = 0;
    REQUIRE(words_of(world, entered) == entered);
    for (std::size_t i : {0, 2}) {
      world.servers[i]->router->send(Ticket{~1ULL}, {}, ClientId::trusted("nobody"), "x>nobody#1", Wait::not_at_all);
    }
  }
}

TEST_CASE("with several devices each of them gets a copy and the message one word") {
  World world(1, 3, SessionPolicy::multi);
  for (std::size_t i = 0; i < 3; ++i) {
    world.connect(i, "ada");
    world.time += 1us;
  }
  world.settle();
  for (int i = 0; i < 10; ++i) world.send(0, "from0", "ada");
  world.settle();
  CHECK(world.delivered == 30);
  std::uint64_t entered = 0;
  CHECK(words_of(world, entered) == entered);
  CHECK(entered == 10);
  world.close(world.connections[2]);
  world.settle();
  for (int i = 0; i < 10; ++i) world.send(0, "from0", "ada");
  world.settle();
  CHECK(world.delivered == 50);
}
