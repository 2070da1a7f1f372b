// Rooms through a whole Server over sockets: the authorizer, watchers, several shards, the embedding API's handlers.
#include <catch2/catch.hpp>
#include <condition_variable>
#include <mutex>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "core/net/fabric.hpp"
#include "tests/core/net/running_server.hpp"

using namespace wsr;
using namespace wsr::net;
using namespace wsr::net::test;
using namespace std::chrono_literals;
using nlohmann::json;

namespace {

json ask(Client& client, const json& command) {
  client.say(command.dump());
  while (true) {
    auto frame = json::parse(client.next());
    if (frame.at("op") == "ok" || frame.at("op") == "error") return frame;
  }
}
json join(const std::string& room) { return {{"op", "join"}, {"room", room}, {"id", "j"}}; }

}  // namespace

TEST_CASE("an authorizer is asked for join, leave, push and read, and its no is forbidden") {
  std::mutex mutex;
  std::vector<std::string> asked;
  auto server_options = options(2);
  server_options.authorizer = [&](RoomAction action, const RoomName& room, const ClientId& client,
                                  const std::function<void(Permission)>& reply) {
    const std::lock_guard lock(mutex);
    asked.push_back(std::string(to_string(action)) + " " + room.str() + " " + client.str());
    reply(room.view() == "open" ? Permission::granted : Permission::denied);
  };
  RunningServer server(server_options);
  Client ada(server.port(), "/chat?user=ada");
  CHECK(json::parse(ada.next()).at("op") == "welcome");
  CHECK(ask(ada, join("open")).at("size") == 1);
  CHECK(ask(ada, {{"op", "push"}, {"room", "open"}, {"data", 1}, {"id", "p"}}).at("connections") == 1);
  CHECK(ask(ada, {{"op", "members"}, {"room", "open"}, {"id", "m"}}).at("members") == json{"ada"});
  CHECK(ask(ada, {{"op", "leave"}, {"room", "open"}, {"id", "l"}}).at("op") == "ok");
  for (const char* op : {"join", "leave", "members", "push"}) {
    const auto refused = ask(ada, {{"op", op}, {"room", "closed"}, {"data", 1}, {"id", "x"}});
    CHECK(refused.at("code") == "forbidden");
    CHECK(refused.at("id") == "x");
  }
  const std::lock_guard lock(mutex);
  CHECK(asked == std::vector<std::string>{"join open ada", "push open ada", "read open ada", "leave open ada",
                                          "join closed ada", "leave closed ada", "read closed ada", "push closed ada"});
}

TEST_CASE("an authorizer that throws, or never answers, means no") {
  auto server_options = options(1);
  server_options.limits.authorize_within = 200ms;
  server_options.authorizer = [](RoomAction action, const RoomName&, const ClientId&,
                                 const std::function<void(Permission)>&) {
    if (action == RoomAction::join) throw std::runtime_error("the database is away");
  };
  RunningServer server(server_options);
  Client ada(server.port(), "/chat?user=ada");
  CHECK(json::parse(ada.next()).at("op") == "welcome");
  CHECK(ask(ada, join("r")).at("code") == "forbidden");
  CHECK(ask(ada, {{"op", "push"}, {"room", "r"}, {"data", 1}, {"id", "p"}}).at("code") == "forbidden");
}

TEST_CASE("pushes are admitted in the order in which they were said, however late the authorizer answers") {
  std::mutex mutex;
  std::vector<std::function<void(Permission)>> replies;
  std::condition_variable came;
  auto server_options = options(1);
  server_options.authorizer = [&](RoomAction action, const RoomName&, const ClientId&,
                                  std::function<void(Permission)> reply) {
    if (action != RoomAction::push) return reply(Permission::granted);
    const std::lock_guard lock(mutex);
    replies.push_back(std::move(reply));
    came.notify_all();
  };
  RunningServer server(server_options);
  Client ada(server.port(), "/chat?user=ada");
  CHECK(json::parse(ada.next()).at("op") == "welcome");
  CHECK(ask(ada, join("r")).at("op") == "ok");
  for (int n = 0; n < 5; ++n) ada.say(json{{"op", "push"}, {"room", "r"}, {"data", n}}.dump());
  {
    std::unique_lock lock(mutex);
    REQUIRE(came.wait_for(lock, 5s, [&] { return replies.size() == 5; }));
    for (auto reply = replies.rbegin(); reply != replies.rend(); ++reply) (*reply)(Permission::granted);
  }
  for (int n = 0; n < 5; ++n) CHECK(json::parse(ada.next()).at("data") == n);
}

TEST_CASE("members of several shards hear one order, and echo:false leaves out only the connection that pushed") {
  RunningServer server(options(3));
  std::vector<std::unique_ptr<Client>> clients;
  for (int n = 0; n < 9; ++n) {
    clients.push_back(std::make_unique<Client>(server.port(), "/chat?user=c" + std::to_string(n)));
    CHECK(json::parse(clients.back()->next()).at("op") == "welcome");
    CHECK(ask(*clients.back(), {{"op", "join"}, {"room", "r"}, {"id", "j"}, {"presence", false}}).at("op") == "ok");
  }
  for (int round = 0; round < 20; ++round) {
    for (auto& client : clients) client->say(json{{"op", "push"}, {"room", "r"}, {"data", round}}.dump());
  }
  std::vector<std::string> first;
  for (auto& client : clients) {
    std::vector<std::string> heard;
    for (int n = 0; n < 180; ++n) heard.push_back(client->next());
    if (first.empty()) first = heard;
    CHECK(heard == first);
  }
  const auto pushed =
      ask(*clients[0], {{"op", "push"}, {"room", "r"}, {"data", "quiet"}, {"id", "p"}, {"echo", false}});
  CHECK(pushed.at("connections") == 8);
  for (std::size_t n = 1; n < clients.size(); ++n) CHECK(json::parse(clients[n]->next()).at("data") == "quiet");
}

TEST_CASE("a watcher hears a room without being in it, also messages of several shards in order") {
  RunningServer server(options(2));
  Client watcher(server.port(), "/api/rooms/chat:room%3A42/watch");
  CHECK(json::parse(watcher.next()) == json{{"op", "watching"}, {"room", "chat:room:42"}});
  Client ada(server.port(), "/chat?user=ada");
  CHECK(json::parse(ada.next()).at("op") == "welcome");
  const auto joined = ask(ada, join("chat:room:42"));
  CHECK(joined.at("size") == 1);
  const auto pushed = ask(ada, {{"op", "push"}, {"room", "chat:room:42"}, {"data", {{"n", 1}}}, {"id", "p"}});
  CHECK(pushed.at("connections") == 1);  // a watcher is not counted
  const auto presence = json::parse(watcher.next());
  CHECK(presence.at("event") == "join");
  CHECK(presence.at("client") == "ada");
  const auto message = json::parse(watcher.next());
  CHECK(message.at("op") == "room");
  CHECK(message.at("from") == "ada");
  watcher.say("what a watcher says is not heard");
  CHECK(ask(ada, {{"op", "leave"}, {"room", "chat:room:42"}, {"id", "l"}}).at("size") == 0);
  CHECK(json::parse(watcher.next()).at("event") == "leave");
}

TEST_CASE("the embedding API: clients join, are pushed to, and handlers hear it") {
  asio::io_context io{1};
  FabricOptions fabric_options;
  fabric_options.id = ServerId::make("f", "a1").value();
  Fabric fabric(io, fabric_options, memory_backend({}));
  const auto ada = ClientId::trusted("ada");
  const auto room = RoomName::trusted("r");
  std::vector<std::string> events, heard;
  std::optional<RoomDone> joined, left, nobody;
  std::optional<RoomPushed> pushed;
  std::optional<bool> is_member;
  fabric.start([&] {
    REQUIRE(fabric.own(ada, {}, {}, [&](std::string_view text) { events.emplace_back(text); }).has_value());
    RoomHandlers handlers;
    handlers.on_message = [&](std::string_view from, std::string_view data) {
      heard.push_back(std::string(from) + ":" + std::string(data));
    };
    handlers.on_presence = [&](const RoomPresence& presence) { heard.push_back("+" + std::string(presence.client)); };
    (void)fabric.watch(room, handlers, [&](Errc stands) {
      REQUIRE(stands == Errc::ok);
      fabric.join(room, ClientId::trusted("nobody"), [&](const RoomDone& done) { nobody = done; });
      fabric.join(room, ada, [&](const RoomDone& done) {
        joined = done;
        fabric.is_member(room, ada, [&](Errc, bool is_there) { is_member = is_there; });
        fabric.push(room, ClientId::trusted("ops"), "{\"n\":1}", Echo::yes, [&](const RoomPushed& answer) {
          pushed = answer;
          fabric.leave(room, ada, [&](const RoomDone& end) {
            left = end;
            fabric.stop([&] { io.stop(); });
          });
        });
      });
    });
  });
  io.run_for(10s);
  REQUIRE(left.has_value());
  CHECK(nobody->result == Errc::offline);
  CHECK(joined->result == Errc::ok);
  CHECK(joined->size == 1);
  CHECK(is_member == true);
  CHECK(pushed->connections == 1);
  CHECK(left->result == Errc::ok);
  CHECK(left->size == 0);
  REQUIRE(heard.size() >= 2);
  CHECK(heard[0] == "+ada");
  CHECK(heard[1] == "ops:{\"n\":1}");
  REQUIRE_FALSE(events.empty());
  CHECK(json::parse(events[0]).at("op") == "room");
}
