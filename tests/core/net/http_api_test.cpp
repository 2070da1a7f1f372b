#include "core/net/http_api.hpp"

#include <catch2/catch.hpp>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>

#include "core/net/home_page.hpp"

using namespace wsr;
using namespace wsr::net;
using nlohmann::json;

namespace {

ClientId client(std::string_view name) { return ClientId::trusted(name); }

OwnerRow row_of(std::string_view name, std::uint64_t conn) {
  return {client(name),
          {ServerId::trusted("web-1~k3f9"), 1, ConnId{conn}},
          Epoch{1'700'000'000'000'001},
          StoreTime(std::chrono::microseconds(1'700'000'000'123'000))};
}

/// Answers at once; a real shard answers in a later turn, which the API cannot tell apart.
class FakeServices final : public Services {
public:
  struct Told {
    std::string from, to, data;
  };
  const ServerId& self() const override { return self_; }
  void send(const ClientId& from, const ClientId& to, std::string_view data, std::function<void(Sent)> reply) override {
    told.push_back({from.str(), to.str(), std::string(data)});
    const auto found = words.find(to.str());
    reply(found == words.end() ? Sent{Word::delivered, self_} : Sent{found->second, {}});
  }
  void lookup(const ClientId& who, std::function<void(Owners)> reply) override {
    Owners owners{result, {}};
    for (const auto& row : rows) {
      if (row.client == who) owners.rows.push_back(row);
    }
    reply(owners);
  }
  void page(std::string_view at, std::uint32_t count, std::function<void(OwnerPage)> reply) override {
    asked_cursor = at;
    asked_count = count;
    reply({result, rows, "17"});
  }
  void counts(std::function<void(OwnerCounts)> reply) override {
    reply({result, {{self_, 3}, {ServerId::trusted("web-2~a"), 4}}});
  }
  void servers(std::function<void(Servers)> reply) override {
    Servers servers{result, StoreTime(std::chrono::seconds(10)), {}};
    servers.rows.push_back({self_,
                            {"http://127.0.0.1:9090", 5, 2, 1, "3.1.4", std::chrono::seconds(6)},
                            StoreTime(std::chrono::seconds(9)),
                            ServerRow::Lease::held});
    reply(servers);
  }
  void kick(const Attachment& at, CloseCode code, std::string_view) override { kicked.emplace_back(at, code); }
  void join(const RoomName& room, const ClientId& client, std::function<void(RoomDone)> reply) override {
    joined.emplace_back(room.str(), client.str());
    reply(done);
  }
  void leave(const RoomName& room, const ClientId& client, std::function<void(RoomDone)> reply) override {
    left.emplace_back(room.str(), client.str());
    reply(done);
  }
  void push(const RoomName& room, const ClientId& from, std::string_view data, Echo echo,
            std::function<void(RoomPushed)> reply) override {
    told.push_back({from.str(), room.str(), std::string(data)});
    echoes.push_back(echo);
    reply(pushed);
  }
  void room_info(const RoomName&, std::function<void(RoomInfo)> reply) override {
    reply({result, 3, 77, {{self_, 2}, {ServerId::trusted("web-2~a"), 1}}});
  }
  void room_members(const RoomName&, std::string_view at, std::uint32_t count,
                    std::function<void(RosterPage)> reply) override {
    asked_cursor = at;
    asked_count = count;
    reply({result, {ClientId::trusted("ada"), ClientId::trusted("bob \"b\"")}, ">bob", 9, 78});
  }
  void room_member(const RoomName&, const ClientId& client, std::function<void(RoomInfo)> reply) override {
    reply({result, client.view() == "ada" ? 1U : 0U, 77, {}});
  }
  void rooms(std::string_view at, std::uint32_t count, std::function<void(RoomPage)> reply) override {
    asked_cursor = at;
    asked_count = count;
    reply({result, {{RoomName::trusted("chat:room:42"), 3}}, "0"});
  }
  WatchId watch(const RoomName&, RoomHandlers, std::function<void(Errc)>) override { return 0; }
  void unwatch(WatchId) override {}
  void stats(std::function<void(ServerStats)> reply) override {
    ServerStats stats;
    stats.routing.sent = 10;
    at(stats.routing.words, Word::delivered) = 6;
    at(stats.routing.words, Word::dropped_slow_consumer) = 3;
    stats.connections = 7;
    reply(stats);
  }
  void broadcast(std::string_view channel, std::string_view payload, std::function<void(Published)> reply) override {
    told.push_back({"", std::string(channel), std::string(payload)});
    reply({result, 2});
  }
  Readiness readiness() const override { return lights; }

  std::vector<Told> told;
  std::vector<std::pair<std::string, std::string>> joined, left;
  std::vector<Echo> echoes;
  RoomDone done{Errc::ok, 4, 79, {}};
  RoomPushed pushed{Errc::ok, 2, 5, 0, {}, {}};
  std::map<std::string, Word> words;
  std::vector<OwnerRow> rows;
  std::vector<std::pair<Attachment, CloseCode>> kicked;
  std::string asked_cursor;
  std::uint32_t asked_count = 0;
  Errc result = Errc::ok;
  Readiness lights{Readiness::Light::green, Readiness::Light::green, Readiness::Light::green};

private:
  ServerId self_ = ServerId::trusted("web-1~k3f9");
};

struct Api {
  FakeServices services;
  HttpApi api{services};

  HttpResponse ask(std::string_view method, std::string_view target, std::string_view body = {},
                   std::string_view type = "application/json") {
    std::optional<HttpResponse> got;
    int answers = 0;
    api.handle({method, target, body, type}, [&](HttpResponse response) {
      got = std::move(response);
      ++answers;
    });
    CHECK(answers == 1);
    return got.value_or(HttpResponse{});
  }
  HttpResponse post(std::string_view target, std::string_view body) { return ask("POST", target, body); }
};

std::string error_code(const HttpResponse& response) { return json::parse(response.body)["error"]["code"]; }

}  // namespace

TEST_CASE("a sent message answers with its word, its server and the time it took") {
  Api a;
  const auto response = a.post("/api/send", R"({"to":"alice","data":"hi","from":"bob"})");
  CHECK(response.status == 200);
  const auto body = json::parse(response.body);
  CHECK(body["state"] == "delivered");
  CHECK(body["server"] == "web-1~k3f9");
  CHECK(body["ms"].is_number());
  CHECK_FALSE(body.contains("reason"));
  REQUIRE(a.services.told.size() == 1);
  CHECK(a.services.told[0].from == "bob");
  CHECK(a.services.told[0].to == "alice");
}

TEST_CASE("data is forwarded byte for byte, whatever its spelling") {
  const std::string data = GENERATE(as<std::string>(), "{}", "9007199254740993", "1.0", "1e2", "-0", "true", "null",
                                    "\"\\u00e9 \\\" } ] ,\"", "{ \"a\" : [ 1,  2 ] , \"b\":{ } }",
                                    "[{\"x\":\"}\"},[[]]]", "{\"a\":1,\"a\":2}");
  for (const auto& body : {"{\"to\":\"alice\",\"data\":" + data + "}", "{\"data\": " + data + " , \"to\":\"alice\"}",
                           " {\"d\\u0061ta\":" + data + "\n,\"to\":\"alice\" } "}) {
    Api a;
    INFO(body);
    CHECK(a.post("/api/send", body).status == 200);
    REQUIRE(a.services.told.size() == 1);
    CHECK(a.services.told[0].data == data);
  }
}

TEST_CASE("a dropped message names its reason") {
  Api a;
  a.services.words["alice"] = Word::dropped_slow_consumer;
  const auto body = json::parse(a.post("/api/send", R"({"to":"alice","data":1})").body);
  CHECK(body["state"] == "dropped");
  CHECK(body["reason"] == "slow_consumer");
}

TEST_CASE("several recipients get one result each, in their order") {
  Api a;
  a.services.words["bob"] = Word::offline;
  const auto body = json::parse(a.post("/api/send", R"({"to":["alice","bob"],"data":1})").body);
  REQUIRE(body["results"].size() == 2);
  CHECK(body["results"][0]["to"] == "alice");
  CHECK(body["results"][0]["state"] == "delivered");
  CHECK(body["results"][1]["to"] == "bob");
  CHECK(body["results"][1]["state"] == "offline");
  CHECK(json::parse(a.post("/api/send", R"({"to":["alice"],"data":1})").body)["results"].size() == 1);
}

TEST_CASE("who does not wait is told that the message was accepted") {
  Api a;
  const auto body = json::parse(a.post("/api/send", R"({"to":"alice","data":1,"wait":false})").body);
  CHECK(body["state"] == "accepted");
  CHECK(a.services.told.size() == 1);
}

TEST_CASE("a wrong body is refused with a sentence and nothing is sent") {
  const std::string body =
      GENERATE(as<std::string>(), "", "{", "[]", "7", "{}", R"({"to":"alice"})", R"({"data":1})",
               R"({"to":"","data":1})", R"({"to":7,"data":1})", R"({"to":[],"data":1})", R"({"to":["a",7],"data":1})",
               R"({"to":"a\u0000","data":1})", R"({"to":"a","data":1,"data":2})", R"({"to":"a","data":1,"dta":2})",
               R"({"to":"a","data":01})", R"({"to":"a","data":1} x)", R"({"to":"a","data":1,"from":null})",
               R"({"to":"a","data":1,"wait":"no"})", "{\"to\":\"a\",\"data\":\"\xff\"}");
  Api a;
  INFO(body);
  const auto response = a.post("/api/send", body);
  CHECK(response.status == 400);
  CHECK(error_code(response) == "bad_request");
  CHECK(a.services.told.empty());
}

TEST_CASE("a body that is not said to be JSON is refused, so that another origin's form cannot send") {
  Api a;
  const auto body = R"({"to":"alice","data":1})";
  CHECK(a.ask("POST", "/api/send", body, "").status == 415);
  CHECK(a.ask("POST", "/api/send", body, "text/plain").status == 415);
  CHECK(a.ask("POST", "/api/send", body, "application/x-www-form-urlencoded").status == 415);
  CHECK(a.services.told.empty());
  CHECK(a.ask("POST", "/api/send", body, "Application/JSON; charset=utf-8").status == 200);
}

TEST_CASE("more recipients than one request may name are refused") {
  Api a;
  json names = json::array();
  for (int i = 0; i < 1'001; ++i) names.push_back("c" + std::to_string(i));
  const auto response = a.post("/api/send", json{{"to", names}, {"data", 1}}.dump());
  CHECK(response.status == 413);
  CHECK(a.services.told.empty());
}

TEST_CASE("owners come in pages with the cursor of the next") {
  Api a;
  a.services.rows = {row_of("alice", 0x1000001)};
  const auto response = a.ask("GET", "/api/owners?cursor=a%2Fb&count=5");
  CHECK(response.status == 200);
  CHECK(a.services.asked_cursor == "a/b");
  CHECK(a.services.asked_count == 5);
  const auto body = json::parse(response.body);
  CHECK(body["cursor"] == "17");
  CHECK(body["owners"][0]["client"] == "alice");
  CHECK(body["owners"][0]["server"] == "web-1~k3f9");
  CHECK(body["owners"][0]["connection"] == row_of("alice", 0x1000001).at.str());
  CHECK(body["owners"][0]["epoch"] == 1'700'000'000'000'001);
  CHECK(body["owners"][0]["since"] == "2023-11-14T22:13:20.123Z");
  a.ask("GET", "/api/owners");
  CHECK(a.services.asked_cursor == "0");
  CHECK(a.services.asked_count == 100);
}

TEST_CASE("a page of an impossible size or an unknown question is refused") {
  const std::string query = GENERATE(as<std::string>(), "count=0", "count=1001", "count=ten", "count=-1",
                                     "count=", "count=5x", "page=2", "cursor=%zz", "cursor=%1");
  Api a;
  INFO(query);
  CHECK(a.ask("GET", "/api/owners?" + query).status == 400);
}

TEST_CASE("one client's owners, or 404 when it is offline") {
  Api a;
  a.services.rows = {row_of("al ice/é", 1), row_of("al ice/é", 2)};
  const auto response = a.ask("GET", "/api/owners/al%20ice%2F%C3%A9");
  CHECK(response.status == 200);
  CHECK(json::parse(response.body)["owners"].size() == 2);
  CHECK(a.ask("GET", "/api/owners/bob").status == 404);
  CHECK(error_code(a.ask("GET", "/api/owners/bob")) == "offline");
  CHECK(a.ask("GET", "/api/owners/a%00b").status == 400);
  CHECK(a.ask("GET", "/api/owners/a%2").status == 400);
  CHECK(a.ask("GET", "/api/owners/").status == 404);
  CHECK(a.ask("GET", "/api/owners/a/b").status == 404);
}

TEST_CASE("a plus in a client's name is a plus") {
  Api a;
  a.services.rows = {row_of("a+b", 1)};
  CHECK(a.ask("GET", "/api/owners/a+b").status == 200);
}

TEST_CASE("kicking a client closes each of its connections with 1008 and says how many") {
  Api a;
  a.services.rows = {row_of("alice", 1), row_of("bob", 2), row_of("alice", 3)};
  const auto response = a.ask("DELETE", "/api/owners/alice");
  CHECK(response.status == 200);
  CHECK(json::parse(response.body)["kicked"] == 2);
  REQUIRE(a.services.kicked.size() == 2);
  CHECK(a.services.kicked[0].second == CloseCode::policy);
  CHECK(a.ask("DELETE", "/api/owners/carol").status == 404);
}

TEST_CASE("counts, servers and statistics are told") {
  Api a;
  const auto count = json::parse(a.ask("GET", "/api/count").body);
  CHECK(count["online"] == 7);
  CHECK(count["by_server"]["web-2~a"] == 4);
  const auto servers = json::parse(a.ask("GET", "/api/servers").body);
  CHECK(servers["servers"][0]["url"] == "http://127.0.0.1:9090");
  CHECK(servers["servers"][0]["renewed_ms_ago"] == 1'000);
  CHECK(servers["servers"][0]["lease"] == "held");
  CHECK(servers["servers"][0]["lease_ms"] == 6'000);
  CHECK(servers["servers"][0]["version"] == "3.1.4");
  const auto stats = json::parse(a.ask("GET", "/api/stats").body);
  CHECK(stats["sent"] == 10);
  CHECK(stats["connections"] == 7);
  CHECK(stats["words"]["delivered"] == 6);
  CHECK(stats["words"]["dropped"]["slow_consumer"] == 3);
  CHECK(stats["in_flight"] == 1);
  CHECK(stats["keeper"]["times_deaf"] == 0);
  for (const auto& figure : stats_figures) CHECK(stats.contains(figure.name));
}

TEST_CASE("a broadcast says how many heard it") {
  Api a;
  const auto response = a.post("/api/broadcast", R"({"channel":"news","data":{ "n" : 1 }})");
  CHECK(json::parse(response.body)["receivers"] == 2);
  CHECK(a.services.told.at(0).to == "news");
  CHECK(a.services.told.at(0).data == R"({ "n" : 1 })");
  CHECK(a.post("/api/broadcast", R"({"channel":"","data":1})").status == 400);
  CHECK(a.post("/api/broadcast", R"({"channel":"news"})").status == 400);
  CHECK(a.post("/api/broadcast", json{{"channel", std::string(257, 'c')}, {"data", 1}}.dump()).status == 400);
}

TEST_CASE("a store that does not answer is 503, one too slow 504") {
  const auto [result, status] = GENERATE(table<Errc, unsigned>({{Errc::unavailable, 503u}, {Errc::timeout, 504u}}));
  Api a;
  a.services.result = result;
  for (const auto* path : {"/api/owners", "/api/owners/alice", "/api/count", "/api/servers"}) {
    const auto response = a.ask("GET", path);
    CHECK(response.status == status);
    CHECK(error_code(response) == to_string(result));
  }
  CHECK(a.ask("DELETE", "/api/owners/alice").status == status);
  CHECK(a.post("/api/broadcast", R"({"channel":"news","data":1})").status == status);
}

TEST_CASE("health is the process, readiness names the light that is red") {
  Api a;
  CHECK(a.ask("GET", "/healthz").status == 200);
  CHECK(json::parse(a.ask("GET", "/healthz").body)["status"] == "ok");
  CHECK(a.ask("GET", "/readyz").status == 200);
  a.services.lights.inbox = Readiness::Light::red;
  const auto response = a.ask("GET", "/readyz");
  CHECK(response.status == 503);
  const auto body = json::parse(response.body);
  CHECK(body["ready"] == false);
  CHECK(body["store"] == "green");
  CHECK(body["inbox"] == "red");
  CHECK(a.ask("GET", "/healthz").status == 200);
}

TEST_CASE("a wrong method is told the right one, an unknown path is 404") {
  Api a;
  CHECK(a.ask("GET", "/api/send").status == 405);
  CHECK(a.ask("GET", "/api/send").allow == "POST");
  CHECK(a.ask("POST", "/api/owners").allow == "GET, HEAD");
  CHECK(a.ask("PUT", "/api/owners/alice").allow == "GET, HEAD, DELETE");
  CHECK(a.ask("GET", "/api/nothing").status == 404);
  CHECK(a.ask("GET", "/api/owner").status == 404);
  CHECK(a.ask("GET", "").status == 404);
}

TEST_CASE("the home page is there once it is set") {
  Api a;
  CHECK(a.ask("GET", "/").status == 404);
  set_home_page("<p>hello</p>");
  const auto response = a.ask("GET", "/?user=alice");
  CHECK(response.status == 200);
  CHECK(response.body == "<p>hello</p>");
  CHECK(response.content_type == "text/html; charset=utf-8");
  set_home_page("");
}

TEST_CASE("rooms are listed, described and paged") {
  Api a;
  const auto rooms = json::parse(a.ask("GET", "/api/rooms?count=7&cursor=%3Ea").body);
  CHECK(rooms["rooms"][0]["room"] == "chat:room:42");
  CHECK(rooms["rooms"][0]["size"] == 3);
  CHECK(rooms["cursor"] == "0");
  CHECK(a.services.asked_cursor == ">a");
  CHECK(a.services.asked_count == 7);
  const auto room = json::parse(a.ask("GET", "/api/rooms/chat:room%3A42").body);
  CHECK(room["room"] == "chat:room:42");
  CHECK(room["size"] == 3);
  CHECK(room["version"] == 77);
  CHECK(room["servers"][1]["connections"] == 1);
  const auto members = json::parse(a.ask("GET", "/api/rooms/r/members").body);
  CHECK(members["members"] == json{"ada", "bob \"b\""});
  CHECK(members["cursor"] == ">bob");
  CHECK(members["size"] == 9);
  CHECK(json::parse(a.ask("GET", "/api/rooms/r/members/ada").body)["is_member"] == true);
  CHECK(json::parse(a.ask("GET", "/api/rooms/r/members/eve").body)["is_member"] == false);
}

TEST_CASE("a push goes out byte for byte and says how many took it") {
  Api a;
  const auto response = a.post("/api/rooms/a%2Fb/push", R"({"data":{ "n" : 1.0 },"from":"ops","echo":false})");
  CHECK(response.status == 200);
  CHECK(json::parse(response.body) == json{{"room", "a/b"}, {"servers", 2}, {"connections", 5}});
  CHECK(a.services.told.at(0).to == "a/b");
  CHECK(a.services.told.at(0).from == "ops");
  CHECK(a.services.told.at(0).data == R"({ "n" : 1.0 })");
  CHECK(a.services.echoes.at(0) == Echo::no);
  a.services.pushed = RoomPushed{Errc::ok, 0, 0, 1, {}, {}};
  CHECK(json::parse(a.post("/api/rooms/r/push", R"({"data":1})").body)["unknown"] == 1);
  CHECK(a.services.echoes.at(1) == Echo::yes);
}

TEST_CASE("a push above the room's rate is 429 with a time to come back") {
  Api a;
  a.services.pushed =
      RoomPushed{Errc::rate_limited, 0, 0, 0, std::chrono::microseconds{1'200'300}, "the limit of room r is reached"};
  const auto response = a.post("/api/rooms/r/push", R"({"data":1})");
  CHECK(response.status == 429);
  CHECK(response.retry_after == std::chrono::seconds{2});
  const auto error = json::parse(response.body)["error"];
  CHECK(error["code"] == "rate_limited");
  CHECK(error["retry_after_ms"] == 1'201);
  a.services.pushed = RoomPushed{Errc::too_big, 0, 0, 0, {}, "send less"};
  CHECK(a.post("/api/rooms/r/push", R"({"data":1})").status == 413);
  a.services.pushed = RoomPushed{Errc::unavailable, 0, 0, 0, {}, {}};
  CHECK(a.post("/api/rooms/r/push", R"({"data":1})").status == 503);
}

TEST_CASE("members are put in and taken out by path, wherever they are") {
  Api a;
  const auto joined = a.post("/api/rooms/chat:room:42/members/ada", "");
  CHECK(joined.status == 200);
  CHECK(json::parse(joined.body) == json{{"room", "chat:room:42"}, {"client", "ada"}, {"size", 4}, {"version", 79}});
  CHECK(a.services.joined.at(0) == std::pair<std::string, std::string>{"chat:room:42", "ada"});
  CHECK(a.ask("DELETE", "/api/rooms/r/members/b%20b").status == 200);
  CHECK(a.services.left.at(0) == std::pair<std::string, std::string>{"r", "b b"});
  const auto [result, status] = GENERATE(table<Errc, unsigned>({{Errc::offline, 404u},
                                                                {Errc::not_found, 404u},
                                                                {Errc::capacity, 503u},
                                                                {Errc::unavailable, 503u},
                                                                {Errc::timeout, 504u}}));
  a.services.done = RoomDone{result, 0, 0, "a sentence"};
  const auto refused = a.post("/api/rooms/r/members/ada", "");
  CHECK(refused.status == status);
  CHECK(error_code(refused) == to_string(result));
}

TEST_CASE("bad names, bodies and methods of rooms are refused with a sentence, and nothing is asked") {
  Api a;
  CHECK(a.ask("GET", "/api/rooms/%zz").status == 400);
  CHECK(a.ask("GET", "/api/rooms/%00").status == 400);
  CHECK(a.ask("GET", "/api/rooms/%ff").status == 400);
  CHECK(a.ask("GET", "/api/rooms/" + std::string(129, 'r')).status == 400);
  CHECK(a.ask("GET", "/api/rooms//members").status == 400);
  CHECK(a.ask("GET", "/api/rooms/r/members/").status == 400);
  CHECK(a.ask("GET", "/api/rooms/r/nothing").status == 404);
  CHECK(a.ask("GET", "/api/rooms/r/members/a/b").status == 404);
  CHECK(a.ask("GET", "/api/rooms?count=0").status == 400);
  CHECK(a.ask("DELETE", "/api/rooms").allow == "GET, HEAD");
  CHECK(a.ask("GET", "/api/rooms/r/push").allow == "POST");
  CHECK(a.ask("PUT", "/api/rooms/r/members/ada").allow == "GET, HEAD, POST, DELETE");
  CHECK(a.post("/api/rooms/r/push", "{}").status == 400);
  CHECK(a.post("/api/rooms/r/push", R"({"data":1,"echo":"no"})").status == 400);
  CHECK(a.post("/api/rooms/r/push", R"({"data":1,"echo":false})").status == 400);
  CHECK(a.post("/api/rooms/r/push", R"({"data":1,"from":""})").status == 400);
  CHECK(a.post("/api/rooms/r/push", R"({"data":1,"x":1})").status == 400);
  CHECK(a.ask("POST", "/api/rooms/r/push", R"({"data":1})", "text/plain").status == 415);
  CHECK(a.services.told.empty());
  CHECK(a.services.joined.empty());
}
