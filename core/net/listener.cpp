#include "core/net/listener.hpp"

#include <fmt/format.h>
#include <sys/socket.h>

#include <stdexcept>
#include <utility>

namespace wsr::net {
namespace {

constexpr Duration exhausted_pause = std::chrono::milliseconds{100};
constexpr Duration full_pause = std::chrono::milliseconds{10};
constexpr int backlog = 4096;  // a cluster that reconnects at once; the kernel cuts it to net.core.somaxconn

enum class Sharing { alone, with_other_shards };

TcpAcceptor bind_one(asio::io_context& io, const Endpoint& endpoint, Sharing sharing) {
  TcpAcceptor acceptor(io);
  acceptor.open(endpoint.protocol());
  acceptor.set_option(asio::socket_base::reuse_address(true));
  if (sharing == Sharing::with_other_shards) {
    const int on = 1;
    if (::setsockopt(acceptor.native_handle(), SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) != 0) {
      throw boost::system::system_error(errno, boost::system::system_category());
    }
  }
  acceptor.bind(endpoint);
  return acceptor;
}

}  // namespace

Endpoint resolve_bind(asio::io_context& io, const std::string& host, std::uint16_t port) {
  error_code error;
  const auto address = asio::ip::make_address(host, error);
  if (!error) return {address, port};
  asio::ip::tcp::resolver resolver(io);
  const auto found = resolver.resolve(host, std::to_string(port), asio::ip::tcp::resolver::passive, error);
  if (error || found.empty()) {
    throw std::runtime_error(fmt::format("{} is not an address to listen on: {}", host, error.message()));
  }
  return found.begin()->endpoint();
}

std::vector<TcpAcceptor> listen_on(const std::vector<asio::io_context*>& contexts, Endpoint endpoint) try {
  std::vector<TcpAcceptor> acceptors;
  if (contexts.size() == 1) {
    acceptors.push_back(bind_one(*contexts[0], endpoint, Sharing::alone));
  } else {
    // With SO_REUSEPORT a second server of this user would quietly share the port: a plain socket notices it.
    {
      auto probe = bind_one(*contexts[0], endpoint, Sharing::alone);
      probe.listen(1);
      endpoint.port(probe.local_endpoint().port());
    }
    for (auto* io : contexts) acceptors.push_back(bind_one(*io, endpoint, Sharing::with_other_shards));
  }
  for (auto& acceptor : acceptors) acceptor.listen(backlog);
  return acceptors;
} catch (const boost::system::system_error& error) {
  if (error.code() == boost::system::errc::address_in_use) {
    throw std::runtime_error(fmt::format("port {} of {} is in use: stop what listens there or choose another --port",
                                         endpoint.port(), endpoint.address().to_string()));
  }
  throw std::runtime_error(fmt::format("cannot listen on {} port {}: {}", endpoint.address().to_string(),
                                       endpoint.port(), error.code().message()));
}

Listener::Listener(TcpAcceptor acceptor, asio::io_context& io, Take take, HasRoom has_room, OnExhausted on_exhausted)
    : acceptor_(std::move(acceptor)),
      pause_(io),
      take_(std::move(take)),
      has_room_(std::move(has_room)),
      on_exhausted_(std::move(on_exhausted)) {}

std::uint16_t Listener::port() const { return acceptor_.local_endpoint().port(); }

void Listener::start() { accept_next(); }

void Listener::stop() {
  error_code ignored;
  acceptor_.close(ignored);
  pause_.cancel();
}

void Listener::accept_next() {
  if (!has_room_()) return pause(full_pause);
  acceptor_.async_accept([this](error_code error, TcpSocket socket) {
    if (!acceptor_.is_open()) return;
    if (!error) {
      take_(std::move(socket));
      return accept_next();
    }
    using boost::system::errc::errc_t;
    const bool is_exhausted = error == errc_t::too_many_files_open || error == errc_t::too_many_files_open_in_system ||
                              error == errc_t::no_buffer_space || error == errc_t::not_enough_memory;
    if (is_exhausted) {
      on_exhausted_(error);
      return pause(exhausted_pause);
    }
    accept_next();  // the peer gave up while it waited in the backlog
  });
}

void Listener::pause(Duration pause) {
  pause_.expires_after(pause);
  pause_.async_wait([this](error_code error) {
    if (!error && acceptor_.is_open()) accept_next();
  });
}

}  // namespace wsr::net
