// A Server on its own threads over the memory backend, and clients that are Beast's: an independent RFC 6455.
#pragma once

#include <sys/socket.h>

#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/websocket.hpp>
#include <string>
#include <thread>

#include "core/net/memory_backend.hpp"
#include "core/net/server.hpp"

namespace wsr::net::test {

namespace asio = boost::asio;
namespace websocket = boost::beast::websocket;
using asio::ip::tcp;

inline ServerOptions options(unsigned shards) {
  ServerOptions options;
  options.port = 0;
  options.shards = shards;
  options.id = ServerId::make("test", "a1").value();
  options.drain_within = std::chrono::milliseconds{1'000};
  return options;
}

class RunningServer {
public:
  explicit RunningServer(ServerOptions server_options) : server_(std::move(server_options), memory_backend({})) {
    server_.start();
    thread_ = std::thread([this] { server_.run(); });
  }
  ~RunningServer() {
    server_.stop();
    if (thread_.joinable()) thread_.join();
  }
  void stop() {
    server_.stop();
    thread_.join();
  }
  Server& operator*() { return server_; }
  [[nodiscard]] std::uint16_t port() const { return server_.port(); }

private:
  Server server_;
  std::thread thread_;
};

class Client {
public:
  Client(std::uint16_t port, const std::string& target) : socket_(io_) {
    socket_.next_layer().connect({asio::ip::address_v4::loopback(), port});
    socket_.handshake("127.0.0.1:" + std::to_string(port), target);
  }
  /// The next message, or `closed CODE`, or `gone`.
  std::string next() {
    boost::beast::flat_buffer buffer;
    boost::beast::error_code error;
    socket_.read(buffer, error);
    if (error == websocket::error::closed) return "closed " + std::to_string(socket_.reason().code);
    if (error) return "gone";
    return boost::beast::buffers_to_string(buffer.data());
  }
  void say(const std::string& text) { socket_.write(asio::buffer(text)); }
  websocket::stream<tcp::socket>& stream() { return socket_; }

private:
  asio::io_context io_;
  websocket::stream<tcp::socket> socket_;
};

/// Sends `bytes` as they are and returns everything until the server closes.
inline std::string raw(std::uint16_t port, std::string_view bytes) {
  asio::io_context io;
  tcp::socket socket(io);
  socket.connect({asio::ip::address_v4::loopback(), port});
  boost::system::error_code error;
  asio::write(socket, asio::buffer(bytes), error);
  std::string answer;
  asio::read(socket, asio::dynamic_buffer(answer), error);
  return answer;
}

}  // namespace wsr::net::test
