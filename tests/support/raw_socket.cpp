#include "tests/support/raw_socket.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <utility>

namespace wsr::test {

RawSocket::RawSocket(std::uint16_t port, int receive_buffer) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const int one = 1;
  if (receive_buffer != 0) ::setsockopt(fd_, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof(receive_buffer));
  ::setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
  if (::connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0) {
    const auto failed = errno;
    ::close(fd_);
    throw std::runtime_error(fmt::format("cannot connect to port {}: {}", port, std::strerror(failed)));
  }
}

RawSocket::~RawSocket() {
  if (fd_ >= 0) ::close(fd_);
}

RawSocket::RawSocket(RawSocket&& other) noexcept : fd_(std::exchange(other.fd_, -1)), in_(std::move(other.in_)) {}

void RawSocket::send(std::string_view bytes) {
  while (!bytes.empty()) {
    const auto n = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n <= 0) return;
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
}

std::optional<std::size_t> RawSocket::try_send(std::string_view bytes) {
  const auto n = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  if (n >= 0) return static_cast<std::size_t>(n);
  if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR) return 0;
  return std::nullopt;
}

void RawSocket::send_one_by_one(std::string_view bytes) {
  for (std::size_t i = 0; i < bytes.size(); ++i) send(bytes.substr(i, 1));
}

void RawSocket::reset() {
  const linger abort{1, 0};
  ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &abort, sizeof(abort));
  ::close(std::exchange(fd_, -1));
}

RawSocket::Got RawSocket::receive(Clock::time_point deadline) {
  const auto left = std::chrono::duration_cast<milliseconds>(deadline - Clock::now()).count();
  pollfd polled{fd_, POLLIN, 0};
  if (::poll(&polled, 1, static_cast<int>(std::max<long>(left, 0))) <= 0) return Got::nothing;
  std::array<char, 65'536> bytes;
  const auto n = ::recv(fd_, bytes.data(), bytes.size(), 0);
  if (n <= 0) return Got::end;
  in_.append(bytes.data(), static_cast<std::size_t>(n));
  return Got::bytes;
}

std::string RawSocket::head(milliseconds within) {
  const auto deadline = Clock::now() + within;
  while (in_.find("\r\n\r\n") == std::string::npos) {
    const auto got = receive(deadline);
    if (got == Got::end) throw std::runtime_error("the connection ended without an HTTP answer: '" + in_ + "'");
    if (got == Got::nothing) throw std::runtime_error("no HTTP answer in time: '" + in_ + "'");
  }
  const auto end = in_.find("\r\n\r\n") + 4;
  auto head = in_.substr(0, end);
  in_.erase(0, end);
  return head;
}

void RawSocket::upgrade(std::string_view user) {
  send(upgrade_request(user));
  const auto answer = head();
  if (!answer.starts_with("HTTP/1.1 101")) throw std::runtime_error("no upgrade: " + answer);
  const auto welcome = frame();
  if (!welcome || welcome->payload.find("\"welcome\"") == std::string::npos) throw std::runtime_error("no welcome");
}

std::optional<RawSocket::Frame> RawSocket::frame(milliseconds within) {
  const auto deadline = Clock::now() + within;
  while (true) {
    if (in_.size() >= 2) {
      const auto* head = reinterpret_cast<const unsigned char*>(in_.data());
      std::size_t length = head[1];
      std::size_t header = 2;
      if (length == 126) header = 4;
      if (length == 127) header = 10;
      if (in_.size() >= header) {
        if (header > 2) {
          length = 0;
          for (std::size_t i = 2; i < header; ++i) length = length << 8 | head[i];
        }
        if (in_.size() >= header + length) {
          Frame found{head[0] & 0x0Fu, in_.substr(header, length)};
          in_.erase(0, header + length);
          return found;
        }
      }
    }
    const auto got = receive(deadline);
    if (got == Got::end) return std::nullopt;
    if (got == Got::nothing) throw std::runtime_error("no frame in time");
  }
}

std::uint16_t RawSocket::close_code(milliseconds within) {
  const auto deadline = Clock::now() + within;
  while (true) {
    const auto next = frame(std::chrono::duration_cast<milliseconds>(deadline - Clock::now()));
    if (!next) return 1006;
    if (next->opcode != 8) continue;
    if (next->payload.size() < 2) return 1005;
    return static_cast<std::uint16_t>(static_cast<unsigned char>(next->payload[0]) << 8 |
                                      static_cast<unsigned char>(next->payload[1]));
  }
}

bool RawSocket::is_ended_within(milliseconds within) {
  const auto deadline = Clock::now() + within;
  while (true) {
    const auto got = receive(deadline);
    if (got == Got::end) return true;
    if (got == Got::nothing) return false;
  }
}

std::string upgrade_request(std::string_view user) {
  return fmt::format(
      "GET /chat?user={} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
      user);
}

std::string masked_frame(unsigned first, std::string_view payload) {
  constexpr std::array<char, 4> key{0x37, '\xfa', 0x21, 0x3d};
  std::string frame(1, static_cast<char>(first));
  if (payload.size() < 126) {
    frame += static_cast<char>(0x80 | payload.size());
  } else if (payload.size() < 65'536) {
    frame += static_cast<char>(0x80 | 126);
    frame += static_cast<char>(payload.size() >> 8);
    frame += static_cast<char>(payload.size() & 0xFF);
  } else {
    frame += static_cast<char>(0x80 | 127);
    for (int shift = 56; shift >= 0; shift -= 8) frame += static_cast<char>((payload.size() >> shift) & 0xFF);
  }
  frame.append(key.data(), key.size());
  for (std::size_t i = 0; i < payload.size(); ++i) frame += static_cast<char>(payload[i] ^ key[i & 3]);
  return frame;
}

}  // namespace wsr::test
