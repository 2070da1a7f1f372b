#include "tests/support/tcp_proxy.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <stdexcept>
#include <string>

#include "tests/support/wait.hpp"

namespace wsr::test {
namespace {

sockaddr_in loopback(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

constexpr std::size_t held_bytes_max = 1024 * 1024;  // then a side is not read until its peer has taken some

}  // namespace

struct TcpProxy::Pair {
  std::array<int, 2> fd{-1, -1};    // 0: who connected to us, 1: the target
  std::array<std::string, 2> held;  // bytes on their way to fd[i]
  bool has_lost = false;            // a black hole for ever
  ~Pair() {
    for (int f : fd) {
      if (f >= 0) ::close(f);
    }
  }
  [[nodiscard]] bool write_out(int side) {
    auto& bytes = held[static_cast<std::size_t>(side)];
    while (!bytes.empty()) {
      const auto n = ::send(fd[static_cast<std::size_t>(side)], bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (n < 0) return errno == EAGAIN;
      bytes.erase(0, static_cast<std::size_t>(n));
    }
    return true;
  }
};

TcpProxy::TcpProxy(std::uint16_t target_port) : target_port_(target_port) {
  listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  auto address = loopback(0);
  socklen_t size = sizeof(address);
  if (::bind(listener_, reinterpret_cast<sockaddr*>(&address), size) != 0 || ::listen(listener_, 512) != 0 ||
      ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    throw std::runtime_error("the proxy cannot listen");
  }
  port_ = ntohs(address.sin_port);
  wake_ = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  thread_ = std::thread([this] { work(); });
}

TcpProxy::~TcpProxy() {
  is_stopping_ = true;
  ::eventfd_write(wake_, 1);
  thread_.join();
  ::close(listener_);
  ::close(wake_);
}

void TcpProxy::set(Mode mode) {
  wanted_ = mode;
  const auto turn = ++turns_wanted_;
  ::eventfd_write(wake_, 1);
  if (!wait_until([&] { return turns_ >= turn; }, milliseconds{5'000}, milliseconds{1})) {
    throw std::runtime_error("the proxy does not turn");
  }
}

void TcpProxy::turn_to(Mode mode) {
  mode_ = mode;
  if (mode == Mode::cut) pairs_.clear();
}

void TcpProxy::accept_one() {
  const int client = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
  if (client < 0) return;
  auto pair = std::make_unique<Pair>();
  pair->fd[0] = client;
  if (mode_ == Mode::cut) return;
  pair->fd[1] = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const auto address = loopback(target_port_);
  if (::connect(pair->fd[1], reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) return;
  ::fcntl(pair->fd[1], F_SETFL, O_NONBLOCK);
  const int one = 1;
  for (int f : pair->fd) ::setsockopt(f, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
  pairs_.push_back(std::move(pair));
}

bool TcpProxy::carry(Pair& pair, int side) {
  std::array<char, 65'536> bytes;
  const auto n = ::recv(pair.fd[static_cast<std::size_t>(side)], bytes.data(), bytes.size(), 0);
  if (n < 0) return errno == EAGAIN;
  const bool is_hole = mode_ == Mode::swallow || pair.has_lost;
  if (n == 0) return false;
  if (is_hole) {
    pair.has_lost = true;
    swallowed_ += static_cast<std::uint64_t>(n);
    return true;
  }
  pair.held[static_cast<std::size_t>(1 - side)].append(bytes.data(), static_cast<std::size_t>(n));
  return pair.write_out(1 - side);
}

void TcpProxy::work() {
  std::vector<pollfd> polled;
  while (!is_stopping_) {
    polled.assign({{wake_, POLLIN, 0}, {listener_, POLLIN, 0}});
    for (const auto& pair : pairs_) {
      for (int side = 0; side < 2; ++side) {
        const auto i = static_cast<std::size_t>(side);
        short events = 0;
        if (pair->held[1 - i].size() < held_bytes_max) events |= POLLIN;
        if (!pair->held[i].empty()) events |= POLLOUT;
        polled.push_back({pair->fd[i], events, 0});
      }
    }
    ::poll(polled.data(), polled.size(), 1'000);
    eventfd_t ignored = 0;
    ::eventfd_read(wake_, &ignored);
    const auto turn = turns_wanted_.load();
    const auto pairs_polled = pairs_.size();
    std::vector<char> is_dead(pairs_polled, 0);
    for (std::size_t p = 0; p < pairs_polled; ++p) {
      for (int side = 0; side < 2 && is_dead[p] == 0; ++side) {
        const auto revents = polled[2 + 2 * p + static_cast<std::size_t>(side)].revents;
        bool is_fine = true;
        if ((revents & POLLOUT) != 0) is_fine = pairs_[p]->write_out(side);
        if (is_fine && (revents & (POLLIN | POLLHUP | POLLERR)) != 0) is_fine = carry(*pairs_[p], side);
        if (!is_fine) is_dead[p] = 1;
      }
    }
    for (std::size_t p = pairs_polled; p-- > 0;) {
      if (is_dead[p] != 0) pairs_.erase(pairs_.begin() + static_cast<std::ptrdiff_t>(p));
    }
    if (turns_ < turn) {
      turn_to(wanted_);
      turns_ = turn;
    }
    if ((polled[1].revents & POLLIN) != 0) accept_one();
  }
}

}  // namespace wsr::test
