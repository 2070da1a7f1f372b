// Stream: the bytes of one connection to the store: TCP, TLS or a unix socket, from resolving its name to its end.
//
//   open ──▶ resolving ──▶ connecting ──▶ (TLS handshake) ──▶ on_open ──▶ on_data ... ──▶ on_failed
//
// A Stream is used once; whoever wants to reconnect opens another.
//
// Thread-safety: none; the thread of its io_context.
// Errors:        exactly one on_failed() with a sentence, unless close() came before; nothing follows either of them.
// Bounds:        one write at a time; the caller gathers the next one meanwhile.
#pragma once

#include <array>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/redis/address.hpp"

namespace wsr::redis {

namespace asio = boost::asio;
using boost::system::error_code;

class Stream : public std::enable_shared_from_this<Stream> {
public:
  class Events {
  public:
    virtual ~Events() = default;
    virtual void on_open() = 0;
    virtual void on_data(std::string_view bytes) = 0;
    virtual void on_written() = 0;
    virtual void on_failed(const std::string& why) = 0;
  };

  /// `tls` is used by rediss addresses only, where it must not be null. `events` outlives the Stream or close()s it.
  [[nodiscard]] static std::shared_ptr<Stream> open(asio::io_context& io, const Address& address,
                                                    asio::ssl::context* tls, std::chrono::milliseconds within,
                                                    Events& events);
  Stream(asio::io_context& io, const Address& address, Events& events);

  /// Takes all of `out` and leaves an empty string with capacity. REQUIRES: open and not is_writing().
  void write(std::string& out);
  [[nodiscard]] bool is_writing() const { return is_writing_; }
  void close();

private:
  using Socket = asio::generic::stream_protocol::socket;
  using TlsSocket = asio::ssl::stream<Socket>;
  using Endpoints = std::vector<asio::generic::stream_protocol::endpoint>;

  void start(asio::ssl::context* tls, std::chrono::milliseconds within);
  void connect_next();
  void on_connected();
  void opened();
  void read();
  void fail(const std::string& why);
  [[nodiscard]] Socket& socket() { return tls_ ? tls_->next_layer() : *plain_; }

  asio::io_context& io_;
  Address address_;
  Events* events_;  // null: closed
  asio::ip::tcp::resolver resolver_;
  asio::steady_timer deadline_;     // of everything before on_open()
  std::optional<Socket> plain_;     // one of these two is set
  std::unique_ptr<TlsSocket> tls_;  //
  Endpoints endpoints_;             // where to try, in order
  std::size_t next_ = 0;
  std::string last_error_;
  std::string writing_;
  bool is_writing_ = false;
  std::array<char, 65536> input_;
};

}  // namespace wsr::redis
