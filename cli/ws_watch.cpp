#include "cli/ws_watch.hpp"

#include <fmt/format.h>

#include <atomic>
#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/websocket.hpp>
#include <stdexcept>
#include <string>
#include <thread>

namespace wsr::cli {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace websocket = beast::websocket;
using boost::system::error_code;
using namespace std::chrono_literals;

/// connect -> handshake -> read, read, ...; the first error, or the goodbye, ends it.
class Watching {
public:
  Watching(std::string host, std::string target, std::function<void(std::string_view)> on_frame)
      : host_(std::move(host)), target_(std::move(target)), on_frame_(std::move(on_frame)), stream_(io_) {
    // The server pings a silent reader; a server that is silent itself for longer is gone.
    stream_.set_option(websocket::stream_base::timeout{10s, 60s, true});
    stream_.read_message_max(64 * 1024 * 1024);
  }
  ~Watching() {
    io_.stop();
    if (thread_.joinable()) thread_.join();
  }

  void start(const asio::ip::tcp::resolver::results_type& endpoints) {
    beast::get_lowest_layer(stream_).expires_after(10s);
    beast::get_lowest_layer(stream_).async_connect(endpoints, [this](error_code error, const auto&) {
      if (error) return end(error.message());
      beast::get_lowest_layer(stream_).expires_never();
      shake_hands();
    });
    thread_ = std::thread([this] {
      io_.run();
      is_over_ = true;
    });
  }

  [[nodiscard]] bool is_over() const { return is_over_; }
  [[nodiscard]] const std::string& why() const { return why_; }

  void say_goodbye() {
    asio::post(io_, [this] {
      is_leaving_ = true;
      stream_.async_close(websocket::close_code::normal, [](error_code) {});
    });
    // The read ends with the server's answer; one that does not come is not waited for long.
    for (int i = 0; i < 100 && !is_over_; ++i) std::this_thread::sleep_for(10ms);
  }

private:
  void shake_hands() {
    stream_.async_handshake(response_, host_, target_, [this](error_code error) {
      if (!error) return read();
      end(error == websocket::error::upgrade_declined
              ? fmt::format("the server refused with status {}: {}", response_.result_int(), response_.body())
              : error.message());
    });
  }

  void read() {
    stream_.async_read(buffer_, [this](error_code error, std::size_t) {
      if (is_leaving_) return;
      if (error == websocket::error::closed) {
        const auto& reason = stream_.reason();
        return end(fmt::format("the server closed with {}{}{}", static_cast<int>(reason.code),
                               reason.reason.empty() ? "" : ": ",
                               std::string(reason.reason.data(), reason.reason.size())));
      }
      if (error) return end(error.message());
      on_frame_(beast::buffers_to_string(buffer_.data()));
      buffer_.clear();
      read();
    });
  }

  void end(std::string why) {
    why_ = std::move(why);
    // The stream's idle timer would keep io_ busy for a minute more: a server that was killed would not be missed.
    io_.stop();
  }

  std::string host_;
  std::string target_;
  std::function<void(std::string_view)> on_frame_;
  asio::io_context io_{1};
  websocket::stream<beast::tcp_stream> stream_;
  websocket::response_type response_;
  beast::flat_buffer buffer_;
  std::string why_;  // read once is_over_
  bool is_leaving_ = false;
  std::atomic<bool> is_over_ = false;
  std::thread thread_;
};

}  // namespace

void watch_websocket(const HttpClient& http, std::string_view target,
                     const std::function<void(std::string_view frame)>& on_frame, const Interruption& interruption) {
  asio::io_context io{1};
  error_code error;
  const auto endpoints = asio::ip::tcp::resolver(io).resolve(http.host(), http.port(), error);
  if (error) throw std::runtime_error(fmt::format("cannot find the host of {}: {}", http.url(), error.message()));
  Watching watching(http.url().substr(std::string_view("http://").size()), std::string(target), on_frame);
  watching.start(endpoints);
  while (!interruption.is_asked_within(50ms)) {
    if (watching.is_over()) throw std::runtime_error(fmt::format("{}: {}", http.url(), watching.why()));
  }
  watching.say_goodbye();
}

}  // namespace wsr::cli
