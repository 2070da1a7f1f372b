#include "tests/support/ws_client.hpp"

#include <fmt/format.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/websocket.hpp>
#include <functional>
#include <stdexcept>

namespace wsr::test {

namespace asio = boost::asio;
namespace beast = boost::beast;
using nlohmann::json;

std::string_view data_of(std::string_view message_frame) {
  constexpr std::string_view key = ",\"data\":";
  const auto at = message_frame.find(key);
  if (at == std::string_view::npos) throw std::runtime_error("a message without data: " + std::string(message_frame));
  return message_frame.substr(at + key.size(), message_frame.size() - at - key.size() - 1);
}

struct WsClient::State {
  asio::io_context io;
  beast::websocket::stream<beast::tcp_stream> ws{io};
  beast::flat_buffer buffer;
  json welcome;
  std::deque<Message> messages;
  std::map<std::string, json> results;
  std::deque<json> others;
  std::optional<std::uint16_t> closed;
  std::uint64_t ids = 0;
  std::string user;

  /// Runs the io_context until `is_true` holds.
  bool run_until(const std::function<bool()>& is_true, milliseconds within) {
    const auto deadline = Clock::now() + within;
    while (!is_true()) {
      if (io.stopped()) io.restart();
      if (io.run_one_until(deadline) == 0 && Clock::now() >= deadline) return is_true();
    }
    return true;
  }

  void read() {
    ws.async_read(buffer, [this](beast::error_code ec, std::size_t) {
      if (ec) {
        closed = ec == beast::websocket::error::closed ? static_cast<std::uint16_t>(ws.reason().code) : 1006;
        return;
      }
      sort(beast::buffers_to_string(buffer.data()));
      buffer.consume(buffer.size());
      read();
    });
  }

  void sort(const std::string& frame) {
    auto parsed = json::parse(frame);
    const auto op = parsed.at("op").get<std::string>();
    if (op == "message") {
      messages.push_back({parsed.at("from").get<std::string>(), std::string(data_of(frame))});
    } else if (op == "result") {
      const auto id = parsed.at("id").get<std::string>();
      if (!results.emplace(id, std::move(parsed)).second) throw std::runtime_error("two results for the id " + id);
    } else if (op == "welcome") {
      if (!welcome.is_null()) throw std::runtime_error("a second welcome");
      welcome = std::move(parsed);
    } else {
      others.push_back(std::move(parsed));
    }
  }

  void write(std::string_view bytes) {
    std::optional<beast::error_code> wrote;
    ws.async_write(asio::buffer(bytes.data(), bytes.size()),
                   [&wrote](beast::error_code ec, std::size_t) { wrote = ec; });
    // A write that is given up would leave a handler with a dangling reference: cancel it and see it end.
    if (!run_until([&] { return wrote.has_value(); }, patience)) {
      beast::get_lowest_layer(ws).close();
      io.restart();
      io.run();
      throw std::runtime_error(user + ": the server takes no bytes");
    }
    if (*wrote) throw std::runtime_error(fmt::format("{}: cannot write: {}", user, wrote->message()));
  }

  [[noreturn]] void missing(std::string_view what) const {
    throw std::runtime_error(fmt::format("{}: no {} in time{}", user, what,
                                         closed ? fmt::format("; the socket was closed with {}", *closed) : ""));
  }
};

WsClient::WsClient(std::uint16_t port, std::string_view user, milliseconds within) : state_(std::make_unique<State>()) {
  auto& s = *state_;
  s.user = user;
  s.ws.set_option(beast::websocket::stream_base::timeout{within, beast::websocket::stream_base::none(), false});
  s.ws.read_message_max(8 * 1024 * 1024);
  s.ws.text(true);
  beast::get_lowest_layer(s.ws).socket().open(asio::ip::tcp::v4());
  beast::get_lowest_layer(s.ws).socket().connect({asio::ip::address_v4::loopback(), port});
  beast::get_lowest_layer(s.ws).socket().set_option(asio::ip::tcp::no_delay(true));
  std::optional<beast::error_code> shaken;
  s.ws.async_handshake(fmt::format("127.0.0.1:{}", port), fmt::format("/chat?user={}", user),
                       [&shaken](beast::error_code ec) { shaken = ec; });
  const bool has_answer = s.run_until([&] { return shaken.has_value(); }, within + milliseconds{1'000});
  if (!has_answer || *shaken) {
    throw std::runtime_error(
        fmt::format("{}: no handshake: {}", user, has_answer ? shaken->message() : std::string("timeout")));
  }
  s.read();
  if (!s.run_until([&s] { return !s.welcome.is_null() || s.closed; }, within) || s.welcome.is_null()) {
    s.missing("welcome");
  }
}

WsClient::~WsClient() {
  if (state_) drop();
}
WsClient::WsClient(WsClient&&) noexcept = default;
WsClient& WsClient::operator=(WsClient&& other) noexcept {
  if (state_) drop();
  state_ = std::move(other.state_);
  return *this;
}

const json& WsClient::welcome() const { return state_->welcome; }

void WsClient::text(std::string_view json_text) {
  state_->ws.text(true);
  state_->write(json_text);
}

void WsClient::binary(std::string_view bytes) {
  state_->ws.binary(true);
  state_->write(bytes);
}

json WsClient::send(std::string_view to, std::string_view data, milliseconds within) {
  auto& s = *state_;
  const auto id = fmt::format("s{}", ++s.ids);
  text(fmt::format(R"({{"op":"send","to":{},"data":{},"id":"{}"}})", json(to).dump(), data, id));
  if (!s.run_until([&] { return s.results.contains(id) || s.closed; }, within) || !s.results.contains(id)) {
    s.missing("result");
  }
  return s.results.extract(id).mapped();
}

WsClient::Message WsClient::message(milliseconds within) {
  auto& s = *state_;
  if (!s.run_until([&s] { return !s.messages.empty() || s.closed; }, within) || s.messages.empty()) {
    s.missing("message");
  }
  auto first = std::move(s.messages.front());
  s.messages.pop_front();
  return first;
}

json WsClient::other(milliseconds within) {
  auto& s = *state_;
  if (!s.run_until([&s] { return !s.others.empty() || s.closed; }, within) || s.others.empty()) s.missing("answer");
  auto first = std::move(s.others.front());
  s.others.pop_front();
  return first;
}

std::size_t WsClient::messages_waiting() {
  const auto id = fmt::format("p{}", ++state_->ids);
  text(fmt::format(R"({{"op":"ping","id":"{}"}})", id));
  while (true) {
    const auto answer = other();
    if (answer.at("op") == "ok" && answer.at("id") == id) return state_->messages.size();
  }
}

void WsClient::close() {
  auto& s = *state_;
  std::optional<beast::error_code> done;
  s.ws.async_close(beast::websocket::close_code::normal, [&done](beast::error_code ec) { done = ec; });
  if (!s.run_until([&] { return done.has_value(); }, patience)) s.missing("answer to our close frame");
}

void WsClient::drop() {
  auto& s = *state_;
  beast::error_code ignored;
  beast::get_lowest_layer(s.ws).socket().close(ignored);
  s.io.restart();
  s.io.run();  // the read ends
}

bool WsClient::is_open() {
  auto& s = *state_;
  if (s.io.stopped()) s.io.restart();
  s.io.poll();
  return !s.closed;
}

std::uint16_t WsClient::close_code(milliseconds within) {
  auto& s = *state_;
  if (!s.run_until([&s] { return s.closed.has_value(); }, within)) s.missing("close");
  return *s.closed;
}

}  // namespace wsr::test
