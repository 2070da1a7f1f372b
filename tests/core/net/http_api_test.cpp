#include "core/net/http_api.hpp"

#include <catch2/catch.hpp>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>

#include "core/net/home_page.hpp"
#include "core/net/http_parts.hpp"
#include "tests/core/net/fake_services.hpp"

using namespace wsr;
using namespace wsr::net;
using nlohmann::json;
using test::FakeServices;

namespace {

ClientId client(std::string_view name) { return ClientId::trusted(name); }

OwnerRow row_of(std::string_view name, std::uint64_t conn) {
  return {client(name),
          {ServerId::trusted("web-1~k3f9"), 1, ConnId{conn}},
          Epoch{1'700'000'000'000'001},
          StoreTime(std::chrono::microseconds(1'700'000'000'123'000))};
}

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

TEST_CASE("text that is JSON and no value is refused with 400, wherever it stands, and nothing is asked") {
  Api a;
  for (const char* body :
       {R"({"to":"\ud800","data":1})", R"({"to":"a","data":1,"\ud800":1})", R"({"to":["a",-1e99999],"data":1})",
        R"({"to":["a","\udfff"],"data":1})", R"({"to":"a","data":1e400})", R"({"to":"a","data":["\ud800"]})",
        R"({"to":"a","data":{"\ud800":1}})", R"({"to":"a","from":"\ud800","data":1})", R"({"to":1e999,"data":1})",
        R"({"to":["a",["b"]],"data":1})", R"({"to":[{}],"data":1})", R"({"to":{"a":1},"data":1})",
        R"({"to":"a","t\u006f":"b","data":1})", R"([])", R"("to")", "", "{", R"({"to":"a" "data":1})"}) {
    INFO(body);
    CHECK(a.post("/api/send", body).status == 400);
  }
  for (const char* body :
       {R"({"channel":"\ud800","data":1})", R"({"channel":["a"],"data":1})", R"({"channel":"a","data":1e999})"}) {
    INFO(body);
    CHECK(a.post("/api/broadcast", body).status == 400);
  }
  for (const char* body : {R"({"from":"\ud800x","data":1})", R"({"data":-1e309})", R"({"data":1,"echo":1e999})"}) {
    INFO(body);
    CHECK(a.post("/api/rooms/r/push", body).status == 400);
  }
  CHECK(a.services.told.empty());
  const std::string deep(62, '['), shallow(62, ']');
  CHECK(a.post("/api/send", R"({"to":"a","data":)" + deep + shallow + "}").status == 200);
  CHECK(a.post("/api/send", R"({"to":"a","data":[[)" + deep + shallow + "]]}").status == 400);
  // What is forwarded is what came.
  const std::string data = R"({ "a" : 1.50e+0 ,"\ud83d\ude00":"\u0041" , "a":0})";
  CHECK(a.post("/api/send", R"({"to":"\u0061da","data":)" + data + "}").status == 200);
  CHECK(a.services.told.back().to == "ada");
  CHECK(a.services.told.back().data == data);
}

TEST_CASE("a peer's long text is not said back at length") {
  Api a;
  const auto response = a.post("/api/send", "{\"" + std::string(100'000, 'n') + "\":1}");
  CHECK(response.status == 400);
  CHECK(response.body.size() < 1'000);
  const auto umlauts = a.post(
      "/api/send", "{\"x" + [] {
        std::string text;
        for (int i = 0; i < 100; ++i) text += "\xc3\xa4";
        return text;
      }() + "\":1}");
  CHECK_NOTHROW(json::parse(umlauts.body));
  CHECK(umlauts.body.find("\xef\xbf\xbd") == std::string::npos);  // not cut inside of a character
}

TEST_CASE("what nobody foresaw is a 500 of its own request, with one answer") {
  class Failing final : public FakeServices {
  public:
    void page(std::string_view, std::uint32_t, std::function<void(OwnerPage)>) override {
      throw std::runtime_error("no");
    }
    void counts(std::function<void(OwnerCounts)> reply) override {
      reply({});
      throw std::runtime_error("after the answer");
    }
  } services;
  HttpApi api(services);
  const auto ask = [&](std::string_view target) {
    std::vector<HttpResponse> answers;
    api.handle({"GET", target, {}, {}}, [&](HttpResponse response) { answers.push_back(std::move(response)); });
    REQUIRE(answers.size() == 1);
    return answers.front();
  };
  for (int i = 0; i < 100; ++i) {  // more often than listings may be under way
    const auto response = ask("/api/owners");
    CHECK(response.status == 500);
    CHECK(response.failure == "no");
    CHECK(error_code(response) == "internal");
    CHECK(response.body.find("\"no\"") == std::string::npos);  // of the log, not of the peer
  }
  CHECK(ask("/api/count").status == 200);
  CHECK(ask("/healthz").status == 200);

  int answers = 0;
  const auto made = http::answering<int>(
      [&](const HttpResponse& response) {
        ++answers;
        CHECK(response.status == 500);
      },
      [](int) -> HttpResponse { throw 7; });
  made(1);
  CHECK(answers == 1);
}

TEST_CASE("a few listings are under way at a time, the others wait for their turn") {
  class Slow final : public FakeServices {
  public:
    void page(std::string_view, std::uint32_t, std::function<void(OwnerPage)> reply) override {
      waiting.push_back(std::move(reply));
    }
    std::vector<std::function<void(OwnerPage)>> waiting;
  } services;
  HttpApi api(services);
  int answers = 0;
  for (int i = 0; i < 100; ++i) {
    api.handle({"GET", "/api/owners?count=1000", {}, {}}, [&](const HttpResponse& response) {
      CHECK(response.status == 200);
      ++answers;
    });
  }
  CHECK(services.waiting.size() == http::Turnstile::inside_max);
  for (std::size_t at = 0; at < services.waiting.size(); ++at) {
    const auto reply = services.waiting[at];  // answering one lets the next in
    reply({Errc::ok, {}, "0"});
    CHECK(services.waiting.size() - at <= http::Turnstile::inside_max);
  }
  CHECK(answers == 100);
}
