// Rooms over three real servers and a real Redis: 600 clients join, leave, push and move between servers for a minute,
// two servers are killed. The test keeps a truth of its own from what clients were answered, and at the end everything
// must agree with it: rosters, sizes, server sets, each server's own view, the order of messages, the events.
#include <fmt/format.h>
#include <signal.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <cstdlib>
#include <deque>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "tests/support/redis_server.hpp"
#include "tests/support/swarm.hpp"
#include "tests/support/wsr_server.hpp"

namespace {

using namespace wsr::test;
using namespace std::chrono_literals;
using nlohmann::json;

constexpr std::size_t client_count = 600;
constexpr std::size_t room_count = 50;

std::string room_name(std::size_t n) { return fmt::format("chat:room:{}", n); }

/// What one connection heard of one room while it was in it without a break.
struct Stretch {
  std::string client;
  std::size_t room = 0;
  std::vector<std::uint64_t> heard;  // numbers of messages
};

struct Client {
  std::string name;
  std::size_t server = 0;
  Swarm::Id conn = 0;
  bool is_here = false;  // welcomed and not given up
  std::set<std::size_t> rooms;
  enum class Doing { nothing, join, leave, push, moving } doing = Doing::nothing;
  std::size_t room = 0;                          // of what it does
  std::map<std::size_t, std::size_t> stretches;  // room -> index of the current one
};

struct World {
  RedisServer redis;
  std::vector<std::unique_ptr<WsrServer>> servers;
  std::vector<bool> alive;
  Swarm swarm;
  std::mt19937 random{20'261'123};
  std::vector<Client> clients;
  std::map<Swarm::Id, std::size_t> owner_of;  // connection -> client
  std::vector<Stretch> stretches;
  std::uint64_t pushed = 0, answered = 0, errors = 0;
  std::vector<std::string> complaints;

  // The observer is in every room from the first to the last moment, on a server that is never killed.
  std::map<std::string, std::vector<std::uint64_t>> order;                         // room -> numbers, in its order
  std::map<std::pair<std::string, std::string>, std::vector<std::string>> events;  // room, client -> join, leave, ...
  std::map<std::string, std::uint64_t> version;                                    // room -> last version
  std::map<std::pair<std::size_t, std::string>, std::uint64_t> joins_min, joins_max;  // room, client -> stays begun
  Swarm::Id observer = 0;
  std::size_t observed_joins = 0;

  World() {
    for (const char* name : {"a", "b", "c"}) {
      servers.push_back(std::make_unique<WsrServer>(
          ServeSetup{.name = name, .store = redis.url(), .more = {"--lease", "3s", "--reconnect-grace", "20s"}}));
      alive.push_back(true);
    }
    swarm.on_text = [this](Swarm::Id id, std::string_view text) { hear(id, text); };
    swarm.on_welcome = [this](Swarm::Id id) { welcomed(id); };
  }

  std::size_t pick(std::size_t count) { return random() % count; }

  // ---- what clients hear
  void hear(Swarm::Id id, std::string_view text) {
    const auto frame = json::parse(text);
    const std::string op = frame.at("op");
    if (id == observer) return observe(op, frame);
    const auto found = owner_of.find(id);
    if (found == owner_of.end()) return;
    Client& client = clients[found->second];
    if (op == "room") {
      // An old connection that still hears belongs to a stretch that has ended.
      if (client.conn != id) return;
      const std::size_t room = std::stoul(frame.at("room").get<std::string>().substr(10));
      const auto stretch = client.stretches.find(room);
      if (stretch == client.stretches.end()) {
        complaints.push_back(fmt::format("{} hears room {} without being in it", client.name, room));
      } else {
        stretches[stretch->second].heard.push_back(frame.at("data").get<std::uint64_t>());
      }
      return;
    }
    if (client.conn != id || (op != "ok" && op != "error")) return;
    ++answered;
    if (op == "error") {
      ++errors;
      complaints.push_back(frame.dump());
      client.doing = Client::Doing::nothing;
      return;
    }
    if (client.doing == Client::Doing::join) {
      begin_stretch(client, client.room);
      ++joins_min[{client.room, client.name}];
      ++joins_max[{client.room, client.name}];
    }
    if (client.doing == Client::Doing::leave) end_stretch(client, client.room);
    client.doing = Client::Doing::nothing;
  }

  void observe(const std::string& op, const json& frame) {
    if (op == "ok") {
      ++observed_joins;
      version[frame.at("room")] = frame.at("version");
    } else if (op == "room") {
      order[frame.at("room")].push_back(frame.at("data").get<std::uint64_t>());
    } else if (op == "presence") {
      const std::string room = frame.at("room");
      if (frame.at("version").get<std::uint64_t>() != version[room] + 1) {
        complaints.push_back("the version jumps from " + std::to_string(version[room]) + ": " + frame.dump());
      }
      version[room] = frame.at("version");
      events[{room, frame.at("client")}].push_back(frame.at("event"));
    }
  }

  void begin_stretch(Client& client, std::size_t room) {
    client.rooms.insert(room);
    client.stretches[room] = stretches.size();
    stretches.push_back({client.name, room, {}});
  }
  void end_stretch(Client& client, std::size_t room) {
    client.rooms.erase(room);
    client.stretches.erase(room);
  }

  void welcomed(Swarm::Id id) {
    if (id == observer) return;
    Client& client = clients[owner_of.at(id)];
    if (client.conn != id) return;
    std::set<std::size_t> told;
    for (const auto& room : swarm.seen(id).rooms) told.insert(std::stoul(room.substr(10)));
    if (client.doing == Client::Doing::join || client.doing == Client::Doing::leave) {
      // Its server died on it: whether it was carried out is what the welcome says.
      const bool was_join = client.doing == Client::Doing::join;
      // A leave on its way may be carried out after the claim has read its rooms, and before it is brought back: then
      // its stay has ended, and another begins.
      if (was_join || told.contains(client.room)) ++joins_max[{client.room, client.name}];
      if (was_join && told.contains(client.room)) ++joins_min[{client.room, client.name}];
      if (told.contains(client.room)) {
        client.rooms.insert(client.room);
      } else {
        client.rooms.erase(client.room);
      }
    }
    if (told != client.rooms) {
      complaints.push_back(
          fmt::format("{} came back to {} rooms and had been in {}", client.name, told.size(), client.rooms.size()));
    }
    client.rooms.clear();
    client.stretches.clear();
    for (const std::size_t room : told) begin_stretch(client, room);
    client.is_here = true;
    client.doing = Client::Doing::nothing;
  }

  // ---- what clients do
  void connect(Client& client, std::size_t server) {
    client.server = server;
    client.is_here = false;
    client.conn = swarm.connect(servers[server]->port(), client.name);
    owner_of[client.conn] = static_cast<std::size_t>(&client - clients.data());
  }
  std::size_t some_server() {
    std::size_t server = pick(servers.size());
    while (!alive[server]) server = pick(servers.size());
    return server;
  }

  void act(Client& client) {
    if (!client.is_here || client.doing != Client::Doing::nothing) return;
    const std::size_t what = pick(20);
    client.room = pick(room_count);
    if (what < 5) {
      if (client.rooms.size() >= 6 || client.rooms.contains(client.room)) return;
      client.doing = Client::Doing::join;
      return swarm.text(client.conn, json{{"op", "join"}, {"room", room_name(client.room)}, {"id", "j"}}.dump());
    }
    if (what < 8) {
      if (client.rooms.empty()) return;
      client.room = *std::next(client.rooms.begin(), static_cast<long>(pick(client.rooms.size())));
      client.doing = Client::Doing::leave;
      return swarm.text(client.conn, json{{"op", "leave"}, {"room", room_name(client.room)}, {"id", "l"}}.dump());
    }
    if (what < 19) {
      client.doing = Client::Doing::push;
      return swarm.text(client.conn,
                        json{{"op", "push"}, {"room", room_name(client.room)}, {"data", ++pushed}, {"id", "p"}}.dump());
    }
    // To another server, or the same; half of the time the old connection is closed first.
    client.doing = Client::Doing::moving;
    if (pick(2) == 0) swarm.close(client.conn, pick(2) == 0 ? Swarm::Farewell::fin : Swarm::Farewell::frame);
    connect(client, some_server());
  }

  void kill(std::size_t server) {
    alive[server] = false;
    servers[server]->process().signal(SIGKILL);
    REQUIRE(servers[server]->process().wait(5s));
    for (Client& client : clients) {
      if (client.server != server) continue;
      // Some never come back: their stays end with the sweep. The others are back before that.
      if (pick(5) == 0) {
        // A join that its server had passed on is carried out, and its stay swept: nobody hears the answer.
        if (client.doing == Client::Doing::join) ++joins_max[{client.room, client.name}];
        client.is_here = false;
        client.doing = Client::Doing::moving;
        client.rooms.clear();
        client.conn = ~Swarm::Id{0};
      } else {
        connect(client, some_server());
      }
    }
  }

  [[nodiscard]] bool all_idle() const {
    return std::all_of(clients.begin(), clients.end(), [](const Client& client) {
      return client.conn == ~Swarm::Id{0} || (client.is_here && client.doing == Client::Doing::nothing);
    });
  }

  // ---- what the store and the servers say
  std::set<std::string> roster(std::size_t room) {
    std::set<std::string> names;
    const auto text = redis.command({"ZRANGE", fmt::format("wsr:{{r:{}}}:names", room_name(room)), "0", "-1"});
    for (std::size_t at = 0; at < text.size();) {
      const auto end = std::min(text.find('\n', at), text.size());
      if (end > at) names.insert(text.substr(at, end - at));
      at = end + 1;
    }
    return names;
  }
  std::map<std::string, std::uint64_t> server_counts(std::size_t room) {
    std::map<std::string, std::uint64_t> counts;
    const auto text = redis.command({"HGETALL", fmt::format("wsr:{{r:{}}}:servers", room_name(room))});
    std::vector<std::string> words;
    for (std::size_t at = 0; at < text.size();) {
      const auto end = std::min(text.find('\n', at), text.size());
      if (end > at) words.push_back(text.substr(at, end - at));
      at = end + 1;
    }
    for (std::size_t i = 0; i + 1 < words.size(); i += 2) counts[words[i]] = std::stoull(words[i + 1]);
    return counts;
  }
};

}  // namespace

TEST_CASE("600 clients in 50 rooms on 3 servers, two of them killed: rosters, order and events equal the truth") {
  if (!find_redis_server()) {
    WARN(no_redis_server);
    return;
  }
  const char* const asked = std::getenv("WSR_TEST_ROOM_SECONDS");
  const auto duration = std::chrono::seconds{asked != nullptr ? std::atoi(asked) : 60};
  World world;
  world.observer = world.swarm.connect(world.servers[2]->port(), "observer");
  REQUIRE(world.swarm.pump_until([&] { return world.swarm.welcome_count() == 1; }, 5s));
  for (std::size_t room = 0; room < room_count; ++room) {
    world.swarm.text(world.observer, json{{"op", "join"}, {"room", room_name(room)}, {"id", "o"}}.dump());
  }
  REQUIRE(world.swarm.pump_until([&] { return world.observed_joins == room_count; }, 10s));
  for (std::size_t n = 0; n < client_count; ++n) {
    Client client;
    client.name = fmt::format("c{}", n);
    world.clients.push_back(client);
  }
  for (Client& client : world.clients) {
    world.connect(client, world.pick(3));
    world.swarm.pump(0ms);
  }
  REQUIRE(world.swarm.pump_until([&] { return world.all_idle(); }, 20s));

  const auto begin = Clock::now();
  const auto passed = [&] { return Clock::now() - begin; };
  bool first_killed = false, second_killed = false;
  while (passed() < duration) {
    for (int i = 0; i < 4; ++i) world.act(world.clients[world.pick(client_count)]);
    world.swarm.pump(2ms);
    if (!first_killed && passed() > duration / 3) {
      first_killed = true;
      world.kill(0);
    }
    if (!second_killed && passed() > duration * 2 / 3) {
      second_killed = true;
      world.kill(1);
    }
  }
  REQUIRE(world.swarm.pump_until([&] { return world.all_idle(); }, 20s));

  // The dead servers' leases end and are swept; the graces of closed connections run out.
  std::map<std::size_t, std::set<std::string>> truth;
  for (std::size_t room = 0; room < room_count; ++room) truth[room].insert("observer");
  std::uint64_t memberships = room_count;
  for (const Client& client : world.clients) {
    for (const std::size_t room : client.rooms) truth[room].insert(client.name);
    memberships += client.rooms.size();
  }
  const auto agrees = [&] {
    for (std::size_t room = 0; room < room_count; ++room) {
      if (world.roster(room) != truth[room]) return false;
      std::uint64_t attachments = 0;
      for (const auto& [server, count] : world.server_counts(room)) attachments += count;
      if (attachments != truth[room].size()) return false;
    }
    return true;
  };
  const bool has_converged = world.swarm.pump_until([&] { return agrees(); }, 35s);
  for (const auto& complaint : world.complaints) UNSCOPED_INFO(complaint);
  CHECK(world.complaints.empty());
  CHECK(has_converged);

  // Sizes, versions and server sets, as the server itself says them; its own view.
  const auto survivor = world.servers[2]->stats();
  CHECK(survivor.at("memberships").get<std::uint64_t>() == memberships);
  const std::string survivor_id = survivor.at("server");
  for (std::size_t room = 0; room < room_count; ++room) {
    INFO(room_name(room));
    CHECK(world.roster(room) == truth[room]);
    CHECK(world.server_counts(room) == std::map<std::string, std::uint64_t>{{survivor_id, truth[room].size()}});
  }

  // Order: what a connection heard of a room is one unbroken piece of what the observer heard.
  std::size_t heard = 0;
  for (const Stretch& stretch : world.stretches) {
    if (stretch.heard.empty()) continue;
    heard += stretch.heard.size();
    const auto& order = world.order[room_name(stretch.room)];
    const auto first = std::find(order.begin(), order.end(), stretch.heard.front());
    INFO(stretch.client << " in " << room_name(stretch.room));
    REQUIRE(static_cast<std::size_t>(order.end() - first) >= stretch.heard.size());
    REQUIRE(std::equal(stretch.heard.begin(), stretch.heard.end(), first));
  }
  CHECK(heard > 1'000);

  // Events: join and leave in turn, as many as there were stays, and the last one says who is there.
  std::size_t stays = 0;
  for (const Client& client : world.clients) {
    for (std::size_t room = 0; room < room_count; ++room) {
      const auto& events = world.events[{room_name(room), client.name}];
      INFO(client.name << " in " << room_name(room));
      std::size_t joins = 0;
      for (std::size_t i = 0; i < events.size(); ++i) {
        REQUIRE(events[i] == (i % 2 == 0 ? "join" : "leave"));
        if (i % 2 == 0) ++joins;
      }
      stays += joins;
      CHECK(joins >= world.joins_min[{room, client.name}]);
      CHECK(joins <= world.joins_max[{room, client.name}]);
      CHECK((events.size() % 2 == 1) == truth[room].contains(client.name));
    }
  }
  CHECK(stays > 500);
  WARN(fmt::format("{} pushes, {} deliveries checked, {} stays, {} connections", world.pushed, heard, stays,
                   world.swarm.welcome_count()));
}
