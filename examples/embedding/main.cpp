// line_chat: a chat server for netcat, with sockets of its own and wsr's fabric between its processes.
//
//   line_chat PORT NAME [STORE]      STORE: memory (default) or redis://host:port
//
//   the first line is the user's name; then
//   @bob hi      to bob, on whatever server he is        /who     who is online, by server
//   hi           to everybody on every server            /quit    leave
//
// One thread runs the sockets, the fabric and every callback, so nothing here needs a lock.
#include <boost/asio.hpp>
#include <cstdlib>
#include <deque>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <random>
#include <set>
#include <string>

#include "core/net/fabric.hpp"
#include "core/net/memory_backend.hpp"
#include "core/redis/backend.hpp"

namespace asio = boost::asio;
using asio::ip::tcp;
using Json = nlohmann::json;
using wsr::ClientId;

namespace {

constexpr std::size_t line_bytes_max = 4'096;
constexpr std::size_t waiting_bytes_max = 1024 * 1024;  // of one reader that does not read

// What travels is one JSON value: here a string. A user's broken UTF-8 becomes question marks.
std::string json_of(const std::string& text) { return Json(text).dump(-1, ' ', false, Json::error_handler_t::replace); }
std::string text_of(std::string_view json) {
  const auto value = Json::parse(json, nullptr, false);
  return value.is_string() ? value.get<std::string>() : std::string(json);
}

class Line;
struct Chat {
  wsr::net::Fabric& fabric;
  std::set<std::shared_ptr<Line>> lines;
};

/// One user's socket.
class Line : public std::enable_shared_from_this<Line> {
public:
  Line(Chat& chat, tcp::socket socket) : chat_(chat), socket_(std::move(socket)) {}

  void start() {
    chat_.lines.insert(shared_from_this());
    say("your name?");
    read();
  }

  void say(const std::string& text) {
    if (!socket_.is_open() || waiting_bytes_ + text.size() > waiting_bytes_max) return;
    waiting_.push_back(text + "\n");
    waiting_bytes_ += waiting_.back().size();
    if (waiting_.size() == 1) write();
  }

  void close() {
    if (!chat_.lines.erase(shared_from_this())) return;
    chat_.fabric.release(conn_);  // this connection's claim and no other: a newer one elsewhere stays
    socket_.close();
  }

private:
  void read() {
    asio::async_read_until(socket_, asio::dynamic_buffer(input_, line_bytes_max), '\n',
                           [self = shared_from_this()](boost::system::error_code error, std::size_t bytes) {
                             if (error || !self->chat_.lines.contains(self)) return self->close();
                             auto line = self->input_.substr(0, bytes - 1);
                             if (line.ends_with('\r')) line.pop_back();
                             self->input_.erase(0, bytes);
                             self->on_line(line);
                             if (self->socket_.is_open()) self->read();
                           });
  }

  void write() {
    asio::async_write(socket_, asio::buffer(waiting_.front()),
                      [self = shared_from_this()](boost::system::error_code error, std::size_t bytes) {
                        if (error) return self->close();
                        self->waiting_bytes_ -= bytes;
                        self->waiting_.pop_front();
                        if (!self->waiting_.empty()) self->write();
                      });
  }

  void on_line(const std::string& line) {
    if (client_.is_empty()) return on_name(line);
    if (line == "/quit") {
      chat_.fabric.release(client_);  // the user leaves this server, with all connections of his here
      return close();
    }
    if (line == "/who") return who();
    if (line.starts_with('@')) return send(line.substr(1));
    chat_.fabric.broadcast("lobby", json_of(client_.str() + ": " + line), [](const wsr::Published&) {});
  }

  void on_name(const std::string& name) {
    const auto client = ClientId::parse(name);
    if (!client) return say(client.error().message);
    auto self = shared_from_this();
    const auto conn = chat_.fabric.own(
        *client, [self](std::string_view data) { self->say(text_of(data)); },
        [self](wsr::CloseCode, std::string_view reason) {  // replaced by a newer connection, kicked, refused
          self->say("closed: " + std::string(reason));
          self->chat_.lines.erase(self);  // and with its last write the socket closes
          boost::system::error_code ignored;
          self->socket_.shutdown(tcp::socket::shutdown_receive, ignored);
        });
    if (!conn) return say(conn.error().message);
    client_ = *client;
    conn_ = *conn;
    say("hello " + name);
  }

  void send(const std::string& line) {  // "bob hi"
    const auto space = line.find(' ');
    const auto to = ClientId::parse(line.substr(0, space));
    if (!to || space == std::string::npos) return say("write @NAME TEXT");
    chat_.fabric.send_to_client(client_, *to, json_of(client_.str() + " to you: " + line.substr(space + 1)),
                                [self = shared_from_this(), to = *to](const wsr::Sent& sent) {
                                  self->say(to.str() + ": " + std::string(wsr::state_of(sent.word)));
                                });
  }

  void who() {
    auto self = shared_from_this();
    chat_.fabric.online_count([self](wsr::Errc result, std::uint64_t count) {
      self->say(result == wsr::Errc::ok ? std::to_string(count) + " online" : "the store does not answer now");
    });
    chat_.fabric.online_by_server([self](const wsr::OwnerCounts& counts) {
      for (const auto& [server, count] : counts.by_server) {
        self->say("  " + std::string(server.name()) + ": " + std::to_string(count));
      }
    });
  }

  Chat& chat_;
  tcp::socket socket_;
  std::string input_;
  std::deque<std::string> waiting_;
  std::size_t waiting_bytes_ = 0;
  ClientId client_;
  wsr::ConnId conn_;  // no connection until the name is known
};

void accept(tcp::acceptor& acceptor, Chat& chat) {
  acceptor.async_accept([&](boost::system::error_code error, tcp::socket socket) {
    if (!acceptor.is_open()) return;
    if (!error) std::make_shared<Line>(chat, std::move(socket))->start();
    accept(acceptor, chat);
  });
}

wsr::net::BackendFactory backend_of(const std::string& store) {
  if (store == "memory") return wsr::net::memory_backend({});
  wsr::redis::Options options;
  options.address = wsr::redis::Address::parse(store).value();  // throws, with a sentence
  options.log = [](std::string_view sentence) { std::cerr << sentence << std::endl; };
  return [options](asio::io_context& io, wsr::AnswerSink& answers, wsr::BusListener& listener) {
    return wsr::redis::make_backend(io, options, answers, listener);
  };
}

void run(const std::string& port, const std::string& name, const std::string& store) {
  asio::io_context io(1);
  std::random_device random;
  wsr::net::FabricOptions options;
  // A new incarnation at every start: a server that died is never mistaken for its successor.
  options.id = wsr::ServerId::make(name, wsr::make_incarnation(std::uint64_t{random()} << 32 | random())).value();
  wsr::net::Fabric fabric(io, options, backend_of(store));
  Chat chat{fabric, {}};

  tcp::acceptor acceptor(io, {asio::ip::address_v4::loopback(), static_cast<std::uint16_t>(std::stoul(port))});
  fabric.subscribe(
      "lobby", wsr::Match::exact,
      [&chat](std::string_view, std::string_view payload) {
        for (const auto& line : chat.lines) line->say(text_of(payload));
      },
      [](wsr::Errc) {});
  fabric.start([&] {  // the lease is held and the inbox heard: users may come
    accept(acceptor, chat);
    std::cout << "listens on " << acceptor.local_endpoint().port() << std::endl;
  });

  asio::signal_set signals(io, SIGINT, SIGTERM);
  signals.async_wait([&](boost::system::error_code, int) {
    acceptor.close();
    fabric.stop([&io] { io.stop(); });  // lets go of every user, gives the lease up
  });
  io.run();
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3 || argc > 4) {
    std::cerr << "usage: line_chat PORT NAME [memory | redis://host:port]\n";
    return 2;
  }
  try {
    run(argv[1], argv[2], argc == 4 ? argv[3] : "memory");
  } catch (const std::exception& error) {
    std::cerr << "line_chat: " << error.what() << '\n';
    return 1;
  }
  return 0;
}
