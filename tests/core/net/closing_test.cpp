// How connections end, seen from the peer's side of the socket, byte for byte.
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "tests/core/net/running_server.hpp"

using namespace wsr;
using namespace wsr::net;
using namespace wsr::net::test;
using Catch::Contains;
using namespace std::chrono_literals;

namespace {

constexpr unsigned text_frame = 0x81, close_frame = 0x88;
constexpr int small_window = 64 * 1024;  // of a reader whose server is to fall behind

std::string masked(unsigned first, std::string_view payload) {
  std::string frame(1, static_cast<char>(first));
  if (payload.size() < 126) {
    frame += static_cast<char>(0x80 | payload.size());
  } else {
    frame += static_cast<char>(0x80 | 126);
    frame += static_cast<char>(payload.size() >> 8);
    frame += static_cast<char>(payload.size() & 0xFF);
  }
  frame.append(4, '\0');  // a mask of zeros: the payload stays as it is
  return frame.append(payload);
}

/// A peer that says exactly what it is told to, and answers nothing by itself.
class Peer {
public:
  struct Frame {
    unsigned opcode = 0;
    std::string payload;
    [[nodiscard]] unsigned code() const {
      return payload.size() < 2
                 ? 1005
                 : static_cast<unsigned char>(payload[0]) * 256U + static_cast<unsigned char>(payload[1]);
    }
  };

  explicit Peer(std::uint16_t port, int receive_buffer = 0) : io_(std::make_unique<asio::io_context>()), socket_(*io_) {
    socket_.open(tcp::v4());
    if (receive_buffer != 0) socket_.set_option(asio::socket_base::receive_buffer_size(receive_buffer));
    socket_.connect({asio::ip::address_v4::loopback(), port});
  }
  /// Upgraded and welcomed.
  static Peer client(std::uint16_t port, const std::string& user, int receive_buffer = 0) {
    Peer peer(port, receive_buffer);
    peer.send(upgrade(user));
    REQUIRE_THAT(peer.head(), Contains(" 101 "));
    const auto welcome = peer.frame();
    REQUIRE(welcome.has_value());
    REQUIRE_THAT(welcome->payload, Contains("welcome"));
    return peer;
  }
  static std::string upgrade(const std::string& user) {
    return "GET /chat?user=" + user +
           " HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
           "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
  }
  void send(std::string_view bytes) { asio::write(socket_, asio::buffer(bytes)); }
  void say(std::string_view json) { send(masked(text_frame, json)); }
  void say_no_more() { socket_.shutdown(tcp::socket::shutdown_send); }
  /// Both at once: whoever reads the bytes finds the end behind them.
  void send_and_end(std::string_view bytes) {
    const int is_corked = 1;
    REQUIRE(::setsockopt(socket_.native_handle(), IPPROTO_TCP, TCP_CORK, &is_corked, sizeof is_corked) == 0);
    send(bytes);
    say_no_more();
  }
  void end() { socket_.close(); }

  std::string head() {
    while (in_.find("\r\n\r\n") == std::string::npos && receive()) {
    }
    const auto end = in_.find("\r\n\r\n");
    const auto size = end == std::string::npos ? in_.size() : end + 4;
    const std::string head = in_.substr(0, size);
    in_.erase(0, size);
    return head;
  }
  /// The next frame; nullopt: the server has ended the connection.
  std::optional<Frame> frame() {
    for (;;) {
      if (auto cut = cut_frame()) return cut;
      if (!receive()) return std::nullopt;
    }
  }
  std::vector<Frame> all_frames() {
    std::vector<Frame> frames;
    while (auto next = frame()) frames.push_back(std::move(*next));
    return frames;
  }
  [[nodiscard]] bool is_cut_in_a_frame() const { return !in_.empty(); }

private:
  bool receive() {
    char bytes[16 * 1024];
    boost::system::error_code error;
    const auto got = socket_.read_some(asio::buffer(bytes), error);
    in_.append(bytes, got);
    return !error;
  }
  std::optional<Frame> cut_frame() {
    if (in_.size() < 2) return std::nullopt;
    const auto byte = [this](std::size_t n) { return static_cast<std::size_t>(static_cast<unsigned char>(in_[n])); };
    std::size_t size = byte(1) & 127, begin = 2;
    if (size >= 126) {
      begin = size == 126 ? 4 : 10;
      if (in_.size() < begin) return std::nullopt;
      size = 0;
      for (std::size_t n = 2; n < begin; ++n) size = size << 8 | byte(n);
    }
    if (in_.size() < begin + size) return std::nullopt;
    Frame frame{static_cast<unsigned>(byte(0) & 15), in_.substr(begin, size)};
    in_.erase(0, begin + size);
    return frame;
  }

  std::unique_ptr<asio::io_context> io_;  // before the socket; a Peer moves
  tcp::socket socket_;
  std::string in_;
};

/// The code of the close frame; 1006 without one. Nothing may stand behind it.
unsigned code_at_the_end(const std::vector<Peer::Frame>& frames) {
  for (std::size_t n = 0; n < frames.size(); ++n) {
    if (frames[n].opcode != 8) continue;
    CHECK(n + 1 == frames.size());
    return frames[n].code();
  }
  return 1006;
}

std::string texts(const std::vector<Peer::Frame>& frames) {
  std::string all;
  for (const auto& frame : frames) {
    if (frame.opcode == 1) all += frame.payload + "\n";
  }
  return all;
}

std::string http_get(std::uint16_t port, const std::string& target) {
  return raw(port, "GET " + target + " HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n");
}

void fill(Client& writer, const std::string& to, std::size_t messages) {
  const std::string big(60'000, 'x');
  for (std::size_t n = 0; n < messages; ++n) {
    writer.say(R"({"op":"send","id":"f","to":")" + to + R"(","data":")" + big + "\"}");
    CHECK_THAT(writer.next(), Contains(R"("id":"f")"));
  }
}

}  // namespace

TEST_CASE("the end of what a client says is not the end of what it hears: every command is answered") {
  RunningServer server(options(2));
  Client bob(server.port(), "/chat?user=bob");
  (void)bob.next();
  const std::vector<std::string> commands = {
      R"({"op":"send","id":"a1","to":"bob","data":1})",
      R"({"op":"send","id":"a1","to":"nobody","data":1})",
      R"({"op":"ping","id":"a1"})",
      R"({"op":"join","id":"a1","room":"r"})",
      R"({"op":"leave","id":"a1","room":"r"})",
      R"({"op":"push","id":"a1","room":"r","data":1})",
      R"({"op":"members","id":"a1","room":"r"})",
      R"({"op":"nonsense","id":"a1"})",
      R"({"op":"send","id":"a1","to":"","data":1})",
  };
  for (const auto& command : commands) {
    INFO(command);
    auto peer = Peer::client(server.port(), "ada");
    peer.say(command);
    peer.say_no_more();
    const auto frames = peer.all_frames();
    CHECK_THAT(texts(frames), Contains(R"("id":"a1")"));
    CHECK(code_at_the_end(frames) == 1000);

    auto polite = Peer::client(server.port(), "ada");
    polite.send(masked(text_frame, command) + masked(close_frame, "\x03\xE9"));
    polite.say_no_more();
    const auto answers = polite.all_frames();
    CHECK_THAT(texts(answers), Contains(R"("id":"a1")"));
    CHECK(code_at_the_end(answers) == 1001);
  }
}

TEST_CASE("many commands and a half-close: all are answered, in their order, then the connection ends") {
  RunningServer server(options(2));
  auto peer = Peer::client(server.port(), "ada");
  std::string burst;
  for (int n = 0; n < 200; ++n) {
    burst += masked(text_frame, R"({"op":"send","id":")" + std::to_string(n) + R"(","to":"nobody","data":1})");
  }
  peer.send(burst);
  peer.say_no_more();
  const auto frames = peer.all_frames();
  CHECK(frames.size() == 201);
  CHECK(code_at_the_end(frames) == 1000);
}

TEST_CASE("whether the answer or the end comes first is chance: the goodbye is the same") {
  RunningServer server(options(1));
  auto peer = Peer::client(server.port(), "ada");
  peer.say(R"({"op":"ping","id":"a1"})");
  const auto answer = peer.frame();
  REQUIRE(answer.has_value());
  CHECK_THAT(answer->payload, Contains(R"("id":"a1")"));
  peer.say_no_more();  // everything has been answered and written by now
  const auto frames = peer.all_frames();
  CHECK(frames.size() == 1);
  CHECK(code_at_the_end(frames) == 1000);
}

TEST_CASE("data behind a close frame is read over: it is not kept, not counted, and no error") {
  auto small = options(1);
  small.limits.message_bytes_max = 1024 * 1024;
  RunningServer server(small);
  auto peer = Peer::client(server.port(), "ada");
  const auto kicked =
      raw(server.port(), "DELETE /api/owners/ada HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n");
  CHECK_THAT(kicked, Contains(" 200 "));
  const auto close = peer.frame();
  REQUIRE(close.has_value());
  REQUIRE(close->opcode == 8);
  // A message that does not end, longer than any may be, in a frame and in fragments, and in the middle of a character.
  const auto frame_of = [](unsigned first, std::uint64_t size) {
    std::string head{static_cast<char>(first), static_cast<char>(0xFF)};
    for (int shift = 56; shift >= 0; shift -= 8) head += static_cast<char>(size >> shift & 0xFF);
    return head.append(4, '\0');
  };
  peer.send(frame_of(0x01, 700'000) + std::string(700'000, '\xC3'));
  peer.send(frame_of(0x80, 3'000'000) + std::string(2'900'000, 'x'));
  const auto stats = http_get(server.port(), "/api/stats");
  const auto at = stats.find(R"("memory_bytes":)");
  REQUIRE(at != std::string::npos);
  CHECK(std::stoull(stats.substr(at + 15)) < 10'000);
  // It was read over, and the close frame behind it is understood.
  peer.send(std::string(100'000, 'x') + masked(text_frame, R"({"op":"ping","id":"late"})") +
            masked(close_frame, "\x03\xE8"));
  CHECK(peer.all_frames().empty());
}

TEST_CASE("who shuts down and waits for nothing is let go at once, and is offline") {
  RunningServer server(options(1));
  Client bob(server.port(), "/chat?user=bob");
  (void)bob.next();
  auto peer = Peer::client(server.port(), "ada");
  peer.say_no_more();
  const auto frames = peer.all_frames();
  CHECK(frames.size() == 1);
  CHECK(code_at_the_end(frames) == 1000);
  bob.say(R"({"op":"send","id":"1","to":"ada","data":1})");
  CHECK_THAT(bob.next(), Contains("offline"));
}

TEST_CASE("an upgrade whose peer has shut down its side claims nothing") {
  RunningServer server(options(2));
  Client ada(server.port(), "/chat?user=ada");
  (void)ada.next();
  for (int n = 0; n < 20; ++n) {
    Peer gone(server.port());
    gone.send_and_end(Peer::upgrade("ada"));
    CHECK_THAT(gone.head(), Contains(" 400 "));
  }
  ada.say(R"({"op":"send","id":"1","to":"ada","data":1})");
  CHECK_THAT(ada.next() + ada.next(), Contains("delivered") && Contains(R"("data":1)"));
}

TEST_CASE("behind a close frame comes nothing, and nothing is called delivered, while its answer is awaited") {
  auto small = options(2);
  small.limits.message_bytes_max = 100;
  small.idle_after = 60s;
  RunningServer server(small);
  Client bob(server.port(), "/chat?user=bob");
  (void)bob.next();
  struct Broken {
    std::string bytes;
    unsigned code;
  };
  const std::vector<Broken> all = {
      {masked(text_frame, std::string(101, 'x')), 1009},
      {masked(text_frame, "\xFF"), 1007},
      {masked(0xC1, "x"), 1002},
      {std::string("\x81\x01x", 3), 1002},  // not masked
  };
  for (const auto& broken : all) {
    auto peer = Peer::client(server.port(), "ada");
    peer.say(R"({"op":"join","room":"r"})");
    (void)peer.frame();
    peer.send(broken.bytes);
    const auto closed = peer.frame();
    REQUIRE(closed.has_value());
    CHECK(closed->code() == broken.code);
    // She has not answered, so the socket is still there.
    for (int n = 0; n < 5; ++n) {
      bob.say(R"({"op":"send","id":"1","to":"ada","data":1})");
      CHECK_THAT(bob.next(), Contains("offline"));
      bob.say(R"({"op":"push","id":"1","room":"r","data":1})");
      CHECK_THAT(bob.next(), Contains(R"("connections":0)"));
    }
    peer.say_no_more();
    CHECK(peer.all_frames().empty());
  }
}

TEST_CASE("a reader that stalls for longer than a close takes reads why it is closed, and no cut frame") {
  auto strict = options(1);
  strict.limits.slow_policy = SlowPolicy::disconnect;
  strict.limits.outbox_bytes_max = 1024 * 1024;
  RunningServer server(strict);
  auto slow = Peer::client(server.port(), "slow", small_window);
  auto replaced = Peer::client(server.port(), "replaced", small_window);
  Client writer(server.port(), "/chat?user=writer");
  (void)writer.next();
  fill(writer, "slow", 100);     // more than the kernel and the outbox hold
  fill(writer, "replaced", 20);  // below the bound, whatever the kernel takes
  Client newer(server.port(), "/chat?user=replaced");
  CHECK_THAT(newer.next(), Contains("welcome"));
  std::this_thread::sleep_for(3s);  // the stall
  const auto of_slow = slow.all_frames();
  CHECK(code_at_the_end(of_slow) == 1013);
  CHECK_FALSE(slow.is_cut_in_a_frame());
  const auto of_replaced = replaced.all_frames();
  CHECK(code_at_the_end(of_replaced) == 4009);
  CHECK_FALSE(replaced.is_cut_in_a_frame());
}

TEST_CASE("sockets that say nothing, or half a request, make room for probes and for clients") {
  auto small = options(2);
  small.connections_max = 4;
  RunningServer server(small);
  Client ada(server.port(), "/chat?user=ada");
  (void)ada.next();
  std::vector<std::unique_ptr<Peer>> silent;
  for (int n = 0; n < 150; ++n) {
    silent.push_back(std::make_unique<Peer>(server.port()));
    if (n % 3 == 1) silent.back()->send("GET /healthz HT");
    if (n % 3 == 2) {  // answered once, then kept
      silent.back()->send("GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
    }
  }
  CHECK_THAT(http_get(server.port(), "/healthz"), Contains(" 200 "));
  Client bob(server.port(), "/chat?user=bob");
  CHECK_THAT(bob.next(), Contains("welcome"));
  ada.say(R"({"op":"send","id":"1","to":"bob","data":1})");
  CHECK_THAT(bob.next(), Contains(R"("data":1)"));
  CHECK_THAT(http_get(server.port(), "/healthz"), Contains(" 200 "));
}

TEST_CASE("an address has as many sockets as it may, the next is told so, and a closed one makes room") {
  auto bounded = options(2);
  bounded.per_address_max = 3;
  RunningServer server(bounded);
  Client ada(server.port(), "/chat?user=ada");
  (void)ada.next();
  // Who is accepted while the address is full gets a probe's place: these two have their own before anybody else asks.
  auto silent = Peer::client(server.port(), "bob"), other = Peer::client(server.port(), "eve");
  for (int n = 0; n < 3; ++n) {
    CHECK_THAT(http_get(server.port(), "/api/count"), Contains(" 503 ") && Contains("--per-address-max"));
  }
  other.end();
  std::string answer;
  for (int n = 0; n < 500 && answer.find(" 200 ") == std::string::npos; ++n) {
    answer = http_get(server.port(), "/api/count");
    std::this_thread::sleep_for(10ms);
  }
  CHECK_THAT(answer, Contains(" 200 "));
  ada.say(R"({"op":"ping","id":"1"})");
  CHECK_THAT(ada.next(), Contains("ok"));
}

TEST_CASE("a stop turns readiness red, goes on delivering, and tells its clients one after the other") {
  auto slowly = options(2);
  slowly.drain_within = 3'000ms;
  RunningServer server(slowly);
  constexpr std::size_t clients = 30;
  std::vector<Peer> peers;
  for (std::size_t n = 0; n < clients; ++n) peers.push_back(Peer::client(server.port(), "c" + std::to_string(n)));

  std::vector<std::chrono::steady_clock::time_point> told(clients);
  std::vector<Peer::Frame> last(clients);
  std::vector<std::thread> readers;
  for (std::size_t n = 0; n < clients; ++n) {
    readers.emplace_back([&, n] {
      while (auto frame = peers[n].frame()) {
        last[n] = *frame;
        if (frame->opcode == 8) break;
      }
      told[n] = std::chrono::steady_clock::now();
      peers[n].end();
    });
  }
  std::string red, upgrade;
  std::thread stopping([&] { server.stop(); });
  for (int n = 0; n < 500 && red.find(" 503 ") == std::string::npos; ++n) red = http_get(server.port(), "/readyz");
  {
    Peer late(server.port());
    late.send(Peer::upgrade("late"));
    upgrade = late.head();
  }
  for (auto& reader : readers) reader.join();
  stopping.join();
  CHECK_THAT(red, Contains("\"draining\":true"));
  CHECK_THAT(upgrade, Contains(" 503 ") && Contains("Retry-After"));
  for (const auto& frame : last) {
    CHECK(frame.code() == 1001);
    CHECK_THAT(frame.payload, Contains("retry_after=1"));
  }
  const auto [first, final] = std::minmax_element(told.begin(), told.end());
  CHECK(*final - *first > 1'200ms);
}

TEST_CASE("a client that is far behind is told 1001 behind all of its messages, for as long as the drain lasts") {
  auto patient = options(1);
  patient.drain_within = 10'000ms;
  patient.limits.outbox_bytes_max = 8 * 1024 * 1024;
  RunningServer server(patient);
  auto slow = Peer::client(server.port(), "slow", small_window);
  {
    Client writer(server.port(), "/chat?user=writer");
    (void)writer.next();
    fill(writer, "slow", 100);
    writer.stream().close(websocket::close_code::normal);
  }
  std::thread stopping([&] { server.stop(); });
  std::this_thread::sleep_for(3s);  // the stall
  const auto frames = slow.all_frames();
  CHECK(frames.size() == 101);
  CHECK(code_at_the_end(frames) == 1001);
  stopping.join();
}

TEST_CASE("a stop without a drain still says 1001") {
  auto at_once = options(1);
  at_once.drain_within = 0ms;
  RunningServer server(at_once);
  auto peer = Peer::client(server.port(), "ada");
  server.stop();
  CHECK(code_at_the_end(peer.all_frames()) == 1001);
}
