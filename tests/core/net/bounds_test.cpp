// At a server's bounds: who is refused, who is answered all the same, what is logged and counted, and how much time
// peers have after the server itself stood still.
#include <algorithm>
#include <catch2/catch.hpp>
#include <chrono>
#include <condition_variable>
#include <list>
#include <mutex>
#include <string>
#include <vector>

#include "tests/core/net/running_server.hpp"

using namespace wsr;
using namespace wsr::net;
using namespace wsr::net::test;
using Catch::Contains;
using namespace std::chrono_literals;

namespace {

constexpr auto soon = 10s;

/// What a server has logged; and a place where its thread can be made to stand still.
class Diary {
public:
  [[nodiscard]] LogSink sink() {
    return [this](const LogEvent& event) { note(event); };
  }
  [[nodiscard]] std::size_t count(std::string_view name) {
    const std::lock_guard lock(mutex_);
    return static_cast<std::size_t>(
        std::count_if(events_.begin(), events_.end(), [&](const LogEvent& event) { return event.name == name; }));
  }
  /// The thread that tells of an event of this name stays there until let_go().
  void hold_at(std::string_view name) {
    const std::lock_guard lock(mutex_);
    hold_at_ = name;
  }
  [[nodiscard]] bool waits_held() {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, soon, [this] { return is_held_; });
  }
  void let_go() {
    const std::lock_guard lock(mutex_);
    hold_at_ = {};
    changed_.notify_all();
  }

private:
  void note(const LogEvent& event) {
    std::unique_lock lock(mutex_);
    events_.push_back(event);
    if (hold_at_.empty() || event.name != hold_at_) return;
    is_held_ = true;
    changed_.notify_all();
    changed_.wait(lock, [this] { return hold_at_.empty(); });
    is_held_ = false;
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<LogEvent> events_;
  std::string_view hold_at_;
  bool is_held_ = false;
};

/// One plain socket to the server.
class Socket {
public:
  explicit Socket(std::uint16_t port) : socket_(io_) { socket_.connect({asio::ip::address_v4::loopback(), port}); }
  void send(std::string_view bytes) {
    boost::system::error_code ignored;  // whoever was refused may have been closed already
    asio::write(socket_, asio::buffer(bytes), ignored);
  }
  /// Everything up to `end`, or to the end.
  std::string until(std::string_view end) {
    boost::system::error_code error;
    char bytes[4'096];
    while (in_.find(end) == std::string::npos && !error)
      in_.append(bytes, socket_.read_some(asio::buffer(bytes), error));
    return in_;
  }
  std::string ask(const std::string& path) {
    send("GET " + path + " HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
    return until("\r\n\r\n");
  }

private:
  asio::io_context io_;
  tcp::socket socket_;
  std::string in_;
};

constexpr std::string_view upgrade_fields =
    "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

std::string upgrade_of(const std::string& user) {
  return "GET /chat?user=" + user + " HTTP/1.1\r\nHost: 127.0.0.1\r\n" + std::string(upgrade_fields) + "\r\n";
}

/// A figure of /api/stats.
std::uint64_t figure(std::uint16_t port, std::string_view name) {
  const auto stats = raw(port, "GET /api/stats HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n");
  const auto at = stats.find("\"" + std::string(name) + "\":");
  REQUIRE(at != std::string::npos);
  return std::stoull(stats.substr(at + name.size() + 3));
}

}  // namespace

TEST_CASE("an address at its bound is refused, told, logged and counted, and its probes are answered") {
  Diary diary;
  auto three = options(1);
  three.per_address_max = 3;
  three.log = diary.sink();
  std::uint64_t refused = 0;
  {
    RunningServer server(three);
    std::list<Socket> taken;
    for (int n = 0; n < 3; ++n) {
      taken.emplace_back(server.port());
      CHECK_THAT(taken.back().ask("/healthz"), Contains(" 200 "));
    }
    for (const char* path : {"/healthz", "/readyz", "/readyz?verbose"}) {
      for (int n = 0; n < 30; ++n) CHECK_THAT(Socket(server.port()).ask(path), Contains(" 200 ") && Contains("close"));
    }
    CHECK(diary.count("address_full") == 0);
    for (const char* path : {"/", "/api/stats", "/healthz/x", "/api/owners"}) {
      CHECK_THAT(Socket(server.port()).ask(path), Contains(" 503 "));
      ++refused;
    }
    Socket chat(server.port());
    chat.send(upgrade_of("ada"));
    CHECK_THAT(chat.until("\"}}"), Contains(" 503 ") && Contains("--per-address-max") && Contains("capacity"));
    ++refused;
    CHECK(diary.count("address_full") == refused);
    taken.pop_front();
    const auto end = std::chrono::steady_clock::now() + soon;
    std::string answer;
    do {
      answer = Socket(server.port()).ask("/api/stats");
    } while (answer.find(" 200 ") == std::string::npos && std::chrono::steady_clock::now() < end);
    CHECK_THAT(answer, Contains(" 200 "));
  }
}

TEST_CASE("sockets of a full address that say nothing keep no probe out") {
  auto one = options(1);
  one.per_address_max = 1;
  RunningServer server(one);
  std::list<Socket> silent;
  for (int n = 0; n < 60; ++n) silent.emplace_back(server.port());
  for (int n = 0; n < 20; ++n) {
    // Right behind a crowd one may meet no socket that has been silent for long enough.
    const auto end = std::chrono::steady_clock::now() + soon;
    std::string answer;
    do {
      answer = Socket(server.port()).ask("/readyz");
    } while (answer.find(" 200 ") == std::string::npos && std::chrono::steady_clock::now() < end);
    CHECK_THAT(answer, Contains(" 200 "));
    for (int more = 0; more < 3; ++more) silent.emplace_back(server.port());
  }
}

TEST_CASE("on a bind that others can reach peers on loopback are not bounded by their address") {
  auto open = options(1);
  open.bind = "0.0.0.0";
  open.per_address_max = 2;
  RunningServer server(open);
  std::list<Socket> many;
  for (int n = 0; n < 8; ++n) {
    many.emplace_back(server.port());
    CHECK_THAT(many.back().ask("/api/count"), Contains(" 200 "));
  }
  CHECK(figure(server.port(), "refused_per_address") == 0);
}

TEST_CASE("an upgrade above connections_max is logged and counted") {
  Diary diary;
  auto one = options(1);
  one.connections_max = 1;
  one.log = diary.sink();
  RunningServer server(one);
  Client ada(server.port(), "/chat?user=ada");
  CHECK_THAT(ada.next(), Contains("welcome"));
  Socket second(server.port());
  second.send(upgrade_of("bob"));
  CHECK_THAT(second.until("\"}}"), Contains(" 503 ") && Contains("--connections-max"));
  CHECK(diary.count("connections_full") == 1);
  CHECK(figure(server.port(), "refused_connections") == 1);
}

TEST_CASE("a listener that finds all sockets taken says so and counts it, and goes on when there is room") {
  Diary diary;
  auto one = options(1);
  one.connections_max = 1;
  one.log = diary.sink();
  RunningServer server(one);
  // As many as there may be, each of which has its answer under way or is a WebSocket: nobody can be sent away.
  std::list<Client> clients;
  clients.emplace_back(server.port(), "/chat?user=ada");
  (void)clients.back().next();
  std::list<Socket> sockets;
  const std::string half = "POST /api/send HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 10\r\n\r\n";
  const auto end = std::chrono::steady_clock::now() + soon;
  while (diary.count("sockets_full") == 0 && std::chrono::steady_clock::now() < end) {
    sockets.emplace_back(server.port());
    sockets.back().send(half);
  }
  CHECK(diary.count("sockets_full") > 0);
  sockets.clear();
  CHECK(figure(server.port(), "accepts_paused") > 0);
}

TEST_CASE("what is refused because memory is used up is logged and counted") {
  Diary diary;
  auto small = options(1);
  small.limits.outboxes_bytes_max = 64 * 1024;
  small.log = diary.sink();
  RunningServer server(small);
  const std::string head = "POST /api/send HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 900000\r\n\r\n";
  std::list<Socket> hoarders;
  for (int n = 0; n < 4; ++n) {
    hoarders.emplace_back(server.port());
    hoarders.back().send(head + std::string(60'000, ' '));
  }
  hoarders.emplace_back(server.port());
  hoarders.back().send(head + std::string(200'000, ' '));
  CHECK_THAT(hoarders.back().until("\"}}"), Contains(" 503 ") && Contains("--memory-max"));
  CHECK(diary.count("memory_full") >= 1);
  hoarders.clear();
  CHECK(figure(server.port(), "refused_memory") >= 1);
}

TEST_CASE("after a standstill nobody's time is over before what he said meanwhile has been read") {
  Diary diary;
  auto hasty = options(1);
  hasty.ping_every = 1s;
  hasty.pong_within = 1s;
  hasty.handshake_within = 2s;
  hasty.log = diary.sink();
  RunningServer server(hasty);
  // More of them than one look of the reactor takes (128).
  constexpr int each = 200;
  std::list<Socket> clients, asking;
  for (int n = 0; n < each; ++n) {
    clients.emplace_back(server.port());
    clients.back().send(upgrade_of("c" + std::to_string(n)));
  }
  for (auto& client : clients) CHECK_THAT(client.until("welcome"), Contains("welcome"));
  diary.hold_at("host_refused");
  // Their pings come; then the server stands still, and all of them answer, and others ask.
  for (auto& client : clients) CHECK_THAT(client.until(std::string_view("\x89\x00", 2)), Contains("welcome"));
  for (int n = 0; n < each; ++n) asking.emplace_back(server.port());
  for (auto& socket : asking) socket.send("GET /healthz HTT");  // taken: its time runs
  Socket stopper(server.port());
  stopper.send("GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n");
  REQUIRE(diary.waits_held());
  const std::string pong("\x8A\x80\0\0\0\0", 6);
  const std::string ping("\x89\x80\0\0\0\0", 6);
  std::this_thread::sleep_for(500ms);  // its timers become ready first, and so come before the bytes
  for (auto& client : clients) client.send(pong);
  for (auto& socket : asking) socket.send("P/1.1\r\nHost: 127.0.0.1\r\n\r\n");
  std::this_thread::sleep_for(3s);  // everybody's time passes
  diary.let_go();
  for (auto& socket : asking) CHECK_THAT(socket.until("\r\n\r\n"), Contains(" 200 "));
  for (auto& client : clients) {
    client.send(ping);
    CHECK_THAT(client.until(std::string_view("\x8A\x00", 2)), Contains(std::string("\x8A\x00", 2)));
  }
}
