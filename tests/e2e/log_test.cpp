// What an operator reads: each loss and return of the store, other versions on the bus, refused origins, fights for a
// name, and what work costs. On real servers, as lines of JSON and as answers.
#include <fmt/format.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <csignal>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/support/raw_socket.hpp"
#include "tests/support/redis_server.hpp"
#include "tests/support/swarm.hpp"
#include "tests/support/ws_client.hpp"
#include "tests/support/wsr_server.hpp"

namespace {

using namespace wsr::test;
using namespace std::chrono_literals;
using nlohmann::json;

#define NEEDS_REDIS()         \
  if (!find_redis_server()) { \
    WARN(no_redis_server);    \
    return;                   \
  }

ServeSetup logging(std::string name, std::string store, std::vector<std::string> more = {}) {
  more.insert(more.end(), {"--log-format", "json"});
  return {.name = std::move(name), .store = std::move(store), .shards = 2, .more = std::move(more)};
}

/// The lines of the log so far; each must be an object.
std::vector<json> lines(WsrServer& server) {
  std::vector<json> found;
  const std::string text = server.process().err();
  for (std::size_t at = 0; at < text.size();) {
    const auto end = text.find('\n', at);
    if (end == std::string::npos) break;
    found.push_back(json::parse(text.substr(at, end - at)));
    at = end + 1;
  }
  return found;
}

std::size_t count(WsrServer& server, std::string_view event) {
  const auto all = lines(server);
  return static_cast<std::size_t>(
      std::count_if(all.begin(), all.end(), [&](const json& line) { return line["event"] == event; }));
}

json first(WsrServer& server, std::string_view event) {
  for (const json& line : lines(server)) {
    if (line["event"] == event) return line;
  }
  return {};
}

bool is_told(WsrServer& server, std::string_view event, std::size_t times = 1, milliseconds within = 10s) {
  return wait_until([&] { return count(server, event) >= times; }, within, 20ms);
}

/// A pipe by name, full, that somebody holds open and nobody reads.
class StuckPipe {
public:
  StuckPipe() {
    REQUIRE(::mkfifo(path().c_str(), 0600) == 0);
    fd_ = ::open(path().c_str(), O_RDWR | O_NONBLOCK | O_CLOEXEC);
    REQUIRE(fd_ >= 0);
    const std::string piece(4'096, 'x');
    while (::write(fd_, piece.data(), piece.size()) > 0) {
    }
    while (::write(fd_, "x", 1) > 0) {
    }
  }
  ~StuckPipe() { ::close(fd_); }
  StuckPipe(const StuckPipe&) = delete;
  StuckPipe& operator=(const StuckPipe&) = delete;
  [[nodiscard]] std::string path() const { return dir_.path() / "log"; }

private:
  TempDir dir_;
  int fd_ = -1;
};

}  // namespace

TEST_CASE("a log that nobody reads holds up neither the server nor its end") {
  const StuckPipe pipe;
  // Where the first line goes to the pipe as well the port must be known before.
  for (const char* redirected : {"2>\"$0\"", ">\"$0\" 2>&1"}) {
    INFO(redirected);
    const std::string port = fmt::format("{}", free_port());
    const std::string script = fmt::format("exec \"$@\" {}", redirected);
    Process server(
        {"/bin/sh", "-c", script, pipe.path(), WSR_BINARY, "serve", "-p", port, "--store", "memory", "--drain", "1s"});
    const auto number = static_cast<std::uint16_t>(std::stoul(port));
    REQUIRE(wait_until(
        [&] {
          try {
            return http(number, "GET", "/readyz").status == 200;
          } catch (const std::runtime_error&) {
            return false;
          }
        },
        20s));
    WsClient ada(number, "ada");
    // More lines than wait for a reader.
    for (int n = 0; n < 50; ++n) {
      RawSocket stranger(number);
      stranger.send("GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n");
      CHECK(stranger.head().starts_with("HTTP/1.1 403"));
      CHECK(ada.send("ada", "1").at("state") == "delivered");
    }
    ada.close();
    const auto begun = Clock::now();
    server.signal(SIGTERM);
    const auto end = server.wait(20s);
    REQUIRE(end);
    CHECK(end->exit_code == 0);
    CHECK(Clock::now() - begun < 8s);  // the drain, and one second for the log
  }
}

TEST_CASE("every line has time, level, server and event, and a start names its settings") {
  WsrServer server(logging("calm", "memory", {"--lease", "7s"}));
  REQUIRE(is_told(server, "started"));
  for (const json& line : lines(server)) {
    CHECK(line["time"].get<std::string>().size() == std::string_view("2026-01-01T00:00:00.000Z").size());
    CHECK(line["time"].get<std::string>().back() == 'Z');
    CHECK(line["server"].get<std::string>().starts_with("calm~"));
    CHECK(line["level"] == "info");
  }
  CHECK(first(server, "started")["lease"] == "7s");
  CHECK(first(server, "started")["store"] == "memory");
  server.process().signal(SIGTERM);
  REQUIRE(server.process().wait(10s));
  for (const char* event : {"stopping", "drain_begins", "drain_ends", "stopped"}) CHECK(count(server, event) == 1);
}

TEST_CASE("a start that fails gives its reason as an object, too") {
  const auto failed = run({WSR_BINARY, "serve", "-p", "0", "--log-format", "json", "--store",
                           fmt::format("redis://127.0.0.1:{}", free_port()), "--store-wait", "200ms"});
  CHECK(failed.exit_code == 1);
  const json line = json::parse(failed.err);
  CHECK(line["event"] == "start_failed");
  CHECK(line["level"] == "error");
  CHECK(line["message"].get<std::string>().find("Connection refused") != std::string::npos);
}

TEST_CASE("each outage of the store is told, and each return, though the reason is the same") {
  NEEDS_REDIS();
  RedisServer redis;
  WsrServer server(logging("steady", redis.url()));
  for (std::size_t outage = 1; outage <= 3; ++outage) {
    const auto lost = count(server, "store_lost"), back = count(server, "store_back");
    redis.pause(3s);
    REQUIRE(wait_until([&] { return server.ready() != 200; }, 10s));
    CHECK(is_told(server, "store_lost", lost + 1));
    CHECK(is_told(server, "not_ready", outage));
    REQUIRE(wait_until([&] { return server.ready() == 200; }, 15s));
    CHECK(is_told(server, "store_back", back + 1));
    CHECK(is_told(server, "ready", outage));
  }
}

TEST_CASE("neither the store's password nor a bus key is ever in the log, though the store repeats them") {
  NEEDS_REDIS();
  const std::string password = "open-sesame-1001", secret = "a-secret-of-16-bytes";
  RedisServer redis({"--requirepass", password}, password);
  WsrServer server(logging("quiet", redis.url(), {"--bus-key", "k1:" + secret, "--log-level", "debug"}));
  redis.kill();
  REQUIRE(is_told(server, "store_lost"));
  redis.restart();
  REQUIRE(is_told(server, "store_back"));
  const std::string all = server.process().err() + server.process().out();
  CHECK(all.find(password) == std::string::npos);
  CHECK(all.find(secret) == std::string::npos);
}

TEST_CASE("a store that evicts is warned of at the start") {
  NEEDS_REDIS();
  RedisServer redis({"--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru"});
  WsrServer server(logging("evicted", redis.url()));
  REQUIRE(is_told(server, "eviction_policy"));
  CHECK(first(server, "eviction_policy")["message"].get<std::string>().find("allkeys-lru") != std::string::npos);
}

TEST_CASE("a dead server is told of, and who swept what it left") {
  NEEDS_REDIS();
  RedisServer redis;
  WsrServer dies(logging("dies", redis.url(), {"--lease", "2s"}));
  WsrServer stays(logging("stays", redis.url(), {"--lease", "2s"}));
  WsClient ada(dies.port(), "ada");
  dies.process().signal(SIGKILL);
  REQUIRE(is_told(stays, "peer_died", 1, 15s));
  REQUIRE(is_told(stays, "swept", 1, 15s));
  CHECK(first(stays, "swept")["clients"] == "1");
  CHECK(first(stays, "swept")["peer"].get<std::string>().starts_with("dies~"));
  CHECK(count(stays, "peer_died") == 1);
}

TEST_CASE("another version of the bus' format turns readiness red and is named") {
  NEEDS_REDIS();
  RedisServer redis;
  WsrServer server(logging("near", redis.url()));
  const json row = server.get("/api/servers").json()["servers"][0];
  CHECK_FALSE(row["version"].get<std::string>().empty());
  CHECK(row["bus_version"] != 0);
  CHECK(row["lease_ms"] == 6'000);
  CHECK(server.get("/readyz").json()["bus_version"] == "green");
  const std::string channels = redis.command({"PUBSUB", "CHANNELS", "*near~*"});
  REQUIRE_FALSE(channels.empty());
  const std::string inbox = channels.substr(0, channels.find('\n'));
  for (int i = 0; i < 20; ++i) redis.command({"PUBLISH", inbox, "W\x7F whatever it is"});
  REQUIRE(wait_until([&] { return server.ready() == 503; }, 5s));
  const json lights = server.get("/readyz").json();
  CHECK(lights["bus_version"] == "red");
  CHECK(lights["bus_version_heard"] == 0x7F);
  CHECK(lights["bus_version_spoken"] == row["bus_version"]);
  REQUIRE(is_told(server, "version_skew"));
  CHECK(count(server, "version_skew") == 1);
  CHECK(first(server, "version_skew")["heard"] == "127");
}

TEST_CASE("with bus keys whoever can only publish turns nothing red") {
  NEEDS_REDIS();
  RedisServer redis;
  WsrServer server(logging("keyed", redis.url(), {"--bus-key", "k1:a-secret-of-16-bytes"}));
  const std::string channels = redis.command({"PUBSUB", "CHANNELS", "*keyed~*"});
  redis.command({"PUBLISH", channels.substr(0, channels.find('\n')), "W\x7F whatever it is"});
  REQUIRE(is_told(server, "version_skew"));
  CHECK(server.ready() == 200);
}

TEST_CASE("a refused origin is told, and cannot forge a line") {
  WsrServer server(logging("strict", "memory"));
  RawSocket page(server.port());
  page.send(
      fmt::format("GET /chat?user=ada HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                  "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n"
                  "Origin: http://evil.example\",\"level\":\"forged\r\n\r\n",
                  server.port()));
  REQUIRE(is_told(server, "origin_refused"));
  const json line = first(server, "origin_refused");
  CHECK(line["level"] == "warning");
  CHECK(line["origin"] == "http://evil.example\",\"level\":\"forged");
}

TEST_CASE("what floods the log is counted instead") {
  WsrServer server(logging("flooded", "memory"));
  for (int i = 0; i < 40; ++i) {
    RawSocket page(server.port());
    page.send(
        fmt::format("GET /chat?user=ada HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                    "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n"
                    "Origin: http://evil{}.example\r\n\r\n",
                    server.port(), i));
  }
  REQUIRE(wait_until([&] { return server.stats()["upgrades_refused"] == 40; }, 10s));
  CHECK(count(server, "origin_refused") <= 5);
  REQUIRE(is_told(server, "origin_refused", 6, 20s));
  const auto all = lines(server);
  CHECK(std::any_of(all.begin(), all.end(), [](const json& line) {
    return line.contains("repeated") && line["message"].get<std::string>().starts_with("repeated 3");
  }));
}

TEST_CASE("joins, leaves and pages of members above a client's rate are refused with the time to wait") {
  WsrServer server(logging("priced", "memory",
                           {"--join-rate", "1/1m", "--join-burst", "2", "--leave-rate", "1/1m", "--leave-burst", "1",
                            "--members-rate", "1/1m", "--members-burst", "1"}));
  WsClient ada(server.port(), "ada"), bob(server.port(), "bob");
  const auto ask = [](WsClient& client, const std::string& op, int n) {
    const std::string id = fmt::format("{}{}", op, n);
    client.text(json{{"op", op}, {"room", fmt::format("hall{}", n)}, {"id", id}}.dump());
    while (true) {  // presence may come in between
      json answer = client.other();
      if (answer.contains("id") && answer["id"] == id) return answer;
    }
  };
  for (int n = 0; n < 2; ++n) CHECK(ask(ada, "join", n)["op"] == "ok");
  for (const auto& [op, word] :
       {std::pair{"join", "joins"}, std::pair{"leave", "leaves"}, std::pair{"members", "pages"}}) {
    if (std::string(op) != "join") (void)ask(ada, op, 0);
    const json refused = ask(ada, op, 1);
    INFO(refused.dump());
    CHECK(refused["op"] == "error");
    CHECK(refused["id"] == fmt::format("{}1", op));
    CHECK(refused["code"] == "rate_limited");
    CHECK(refused["retry_after_ms"].get<int>() > 10'000);
    CHECK(refused["retry_after_ms"].get<int>() <= 60'000);
    CHECK(refused["message"].get<std::string>().find(word) != std::string::npos);
  }
  CHECK(ask(bob, "join", 0)["op"] == "ok");
  const json stats = server.stats();
  CHECK(stats["rate_limited_joins"] == 1);
  CHECK(stats["rate_limited_leaves"] == 1);
  CHECK(stats["rate_limited_members"] == 1);
}

TEST_CASE("a client that connects too often is refused before the upgrade, and told when to come again") {
  WsrServer server(logging("door", "memory", {"--connect-rate", "1/1m", "--connect-burst", "2"}));
  { WsClient ada(server.port(), "ada"); }
  { WsClient ada(server.port(), "ada"); }
  RawSocket third(server.port());
  third.send(
      fmt::format("GET /chat?user=ada HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                  "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n",
                  server.port()));
  const std::string answer = third.head();
  CHECK(answer.starts_with("HTTP/1.1 429"));
  CHECK(answer.find("Retry-After: ") != std::string::npos);
  WsClient bob(server.port(), "bob");
  CHECK(server.stats()["rate_limited_connects"] == 1);
  CHECK(is_told(server, "connects_refused"));
}

TEST_CASE("two programs that fight for one name are slowed down, on one server and on two, and told why") {
  NEEDS_REDIS();
  RedisServer redis;
  WsrServer one(logging("one", redis.url())), two(logging("two", redis.url()));
  for (WsrServer* second : {&two, &one}) {
    const std::string name = second == &two ? "twin" : "double";
    constexpr auto fight = 5s;
    Swarm swarm;
    std::size_t welcomes = 0;
    swarm.on_welcome = [&](Swarm::Id) { ++welcomes; };
    Swarm::Id tabs[] = {swarm.connect(one.port(), name), swarm.connect(second->port(), name)};
    const auto until = Clock::now() + fight;
    while (Clock::now() < until) {
      swarm.pump(10ms);
      for (auto& tab : tabs) {
        if (swarm.seen(tab).stage != Swarm::Stage::closed) continue;
        tab = swarm.connect(&tab == &tabs[0] ? one.port() : second->port(), name);
      }
    }
    INFO(welcomes << " welcomes of " << name);
    CHECK(welcomes >= 5);      // it is slowed down, and not ended
    CHECK(welcomes <= 5 * 5);  // five a second
    CHECK(count(one, "takeover_fight") >= 1);
  }
  CHECK(one.stats()["takeovers_braked"].get<int>() >= 1);
  // Who is replaced in such a fight reads why it has to wait, as soon as the name's takeovers are used up.
  auto replaced = std::make_unique<RawSocket>(one.port());
  replaced->upgrade("double");
  std::string reason;
  for (int takeovers = 0; takeovers < 20 && reason.find("again and again") == std::string::npos; ++takeovers) {
    auto next = std::make_unique<RawSocket>(one.port());
    next->upgrade("double");
    const auto frame = replaced->frame();
    REQUIRE(frame);
    REQUIRE(frame->opcode == 8);
    reason = frame->payload;
    CHECK(reason.find("a newer connection of this client took over") != std::string::npos);
    replaced = std::move(next);
  }
  CHECK(reason.find("again and again") != std::string::npos);
  CHECK(reason.find("do two programs use one name? takeovers are slowed down") != std::string::npos);
}

TEST_CASE("a client that moves often between servers is never slowed down") {
  NEEDS_REDIS();
  RedisServer redis;
  WsrServer one(logging("one", redis.url())), two(logging("two", redis.url()));
  for (int move = 0; move < 30; ++move) {
    WsClient before(one.port(), "mover");
    WsClient after(two.port(), "mover");
    CHECK(before.close_code() == 4009);
    after.close();
    // 503 while a store that has just been found may not know yet who is there.
    REQUIRE(wait_until([&] { return one.get("/api/owners/mover").status == 404; }, 15s));
  }
  CHECK(one.stats()["takeovers_braked"] == 0);
  CHECK(two.stats()["takeovers_braked"] == 0);
}
