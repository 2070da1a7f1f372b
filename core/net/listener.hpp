// Listener: accepts sockets for one shard; the kernel spreads connections over the shards of one port.
//
// Thread-safety: construct before the shard's thread runs; start() and stop() on the shard's thread.
// Errors:        bind failures throw std::runtime_error with a sentence. When descriptors run out, or `has_room` says
// no,
//                accepting pauses: the backlog waits, nobody is accepted and dropped.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "core/net/asio.hpp"

namespace wsr::net {

using Endpoint = asio::ip::tcp::endpoint;

/// The address to bind: an IP address, or a name that has one.
[[nodiscard]] Endpoint resolve_bind(asio::io_context& io, const std::string& host, std::uint16_t port);

/// Listens on one socket a context; all share one port. Port 0 becomes a free one, the same for all.
[[nodiscard]] std::vector<TcpAcceptor> listen_on(const std::vector<asio::io_context*>& contexts, Endpoint endpoint);

class Listener {
public:
  using Take = std::function<void(TcpSocket)>;
  using HasRoom = std::function<bool()>;                       // for one more socket; it may make some
  using OnExhausted = std::function<void(const error_code&)>;  // no descriptor, or no memory, for a socket
  Listener(TcpAcceptor acceptor, asio::io_context& io, Take take, HasRoom has_room, OnExhausted on_exhausted);
  void start();
  void stop();
  [[nodiscard]] std::uint16_t port() const;

private:
  void accept_next();
  void pause(Duration pause);

  TcpAcceptor acceptor_;
  SteadyTimer pause_;
  Take take_;
  HasRoom has_room_;
  OnExhausted on_exhausted_;
};

}  // namespace wsr::net
