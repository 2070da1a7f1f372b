#include "tests/support/swarm.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>
#include <stdexcept>

namespace wsr::test {

struct Swarm::Conn {
  Id id = 0;
  int fd = -1;
  std::string in;
  std::string out;
  bool is_dirty = false;
  bool has_said_close = false;
  bool is_ended = false;
  bool is_paused = false;
};

Swarm::Swarm() : epoll_(::epoll_create1(EPOLL_CLOEXEC)) {}

Swarm::~Swarm() {
  for (auto& [id, conn] : conns_) ::close(conn->fd);
  ::close(epoll_);
}

Swarm::Id Swarm::connect(std::uint16_t port, std::string_view user) {
  auto conn = std::make_unique<Conn>();
  conn->id = seen_.size();
  conn->fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (conn->fd < 0) throw std::runtime_error(fmt::format("no socket: {}", std::strerror(errno)));
  const int one = 1;
  ::setsockopt(conn->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::connect(conn->fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0 && errno != EINPROGRESS) {
    const auto failed = errno;
    ::close(conn->fd);
    throw std::runtime_error(fmt::format("cannot connect to port {}: {}", port, std::strerror(failed)));
  }
  conn->out = fmt::format(
      "GET /chat?user={} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
      user, port);
  epoll_event event{};
  event.events = EPOLLIN | EPOLLOUT | EPOLLET;
  event.data.u64 = conn->id;
  ::epoll_ctl(epoll_, EPOLL_CTL_ADD, conn->fd, &event);
  const Id id = conn->id;
  seen_.emplace_back();
  seen_.back().user = user;
  conns_.emplace(id, std::move(conn));
  return id;
}

void Swarm::frame(Conn& conn, unsigned opcode, std::string_view payload) {
  auto& out = conn.out;
  out += static_cast<char>(0x80 | opcode);
  if (payload.size() < 126) {
    out += static_cast<char>(0x80 | payload.size());
  } else if (payload.size() < 65'536) {
    out += static_cast<char>(0x80 | 126);
    out += static_cast<char>(payload.size() >> 8);
    out += static_cast<char>(payload.size() & 0xFF);
  } else {
    out += static_cast<char>(0x80 | 127);
    for (int shift = 56; shift >= 0; shift -= 8) out += static_cast<char>((payload.size() >> shift) & 0xFF);
  }
  mask_ = mask_ * 1'664'525 + 1'013'904'223;
  std::array<char, 4> key{};
  std::memcpy(key.data(), &mask_, 4);
  out.append(key.data(), key.size());
  const auto begin = out.size();
  out.append(payload);
  for (std::size_t i = 0; i < payload.size(); ++i) out[begin + i] = static_cast<char>(out[begin + i] ^ key[i & 3]);
  if (!conn.is_dirty) {
    conn.is_dirty = true;
    dirty_.push_back(conn.id);
  }
}

void Swarm::text(Id id, std::string_view json) {
  const auto found = conns_.find(id);
  if (found == conns_.end() || seen_[id].stage != Stage::open || found->second->has_said_close) return;
  frame(*found->second, 1, json);
}

void Swarm::flush(Id id) {
  if (const auto found = conns_.find(id); found != conns_.end()) write_out(*found->second);
}

void Swarm::pause(Id id) {
  if (const auto found = conns_.find(id); found != conns_.end()) found->second->is_paused = true;
}

void Swarm::resume(Id id) {
  const auto found = conns_.find(id);
  if (found == conns_.end()) return;
  found->second->is_paused = false;
  on_readable(*found->second);
}

void Swarm::close(Id id, Farewell how) {
  const auto found = conns_.find(id);
  if (found == conns_.end()) return;
  auto& conn = *found->second;
  seen_[id].is_closed_by_us = true;
  if (how == Farewell::frame && seen_[id].stage == Stage::open) {
    if (!conn.has_said_close) frame(conn, 8, std::string_view("\x03\xe8", 2));
    conn.has_said_close = true;
    write_out(conn);
    return;
  }
  if (how == Farewell::reset) {
    const linger abort{1, 0};
    ::setsockopt(conn.fd, SOL_SOCKET, SO_LINGER, &abort, sizeof(abort));
  }
  ended(conn, 0);
}

void Swarm::ended(Conn& conn, std::uint16_t code) {
  if (conn.is_ended) return;
  conn.is_ended = true;
  auto& seen = seen_[conn.id];
  if (seen.stage == Stage::open) --open_count_;
  seen.stage = Stage::closed;
  if (seen.close_code == 0) seen.close_code = code;
  if (!seen.is_closed_by_us) ++lost_count_;
  ::close(conn.fd);
  const auto found = conns_.find(conn.id);
  ended_.push_back(std::move(found->second));
  conns_.erase(found);
}

void Swarm::write_out(Conn& conn) {
  conn.is_dirty = false;
  while (!conn.out.empty()) {
    const auto n = ::send(conn.fd, conn.out.data(), conn.out.size(), MSG_NOSIGNAL);
    if (n < 0) {
      // A refused write is no end: what the server said before it closed is still to be read.
      if (errno != EAGAIN && errno != ENOTCONN) conn.out.clear();
      return;
    }
    conn.out.erase(0, static_cast<std::size_t>(n));
  }
}

void Swarm::on_readable(Conn& conn) {
  if (conn.is_paused) return;
  std::array<char, 65'536> bytes;
  while (!conn.is_ended) {
    const auto n = ::recv(conn.fd, bytes.data(), bytes.size(), 0);
    if (n < 0 && (errno == EAGAIN || errno == ENOTCONN)) return;
    if (n <= 0) {
      ended(conn, 1006);
      return;
    }
    conn.in.append(bytes.data(), static_cast<std::size_t>(n));
    on_bytes(conn);
  }
}

void Swarm::on_bytes(Conn& conn) {
  std::size_t used = 0;
  if (seen_[conn.id].stage != Stage::open) {
    const auto end = conn.in.find("\r\n\r\n");
    if (end == std::string::npos) return;
    auto& seen = seen_[conn.id];
    seen.status = static_cast<unsigned>(std::stoul(conn.in.substr(9, 3)));
    if (seen.status != 101) {
      ended(conn, 1006);
      return;
    }
    seen.stage = Stage::open;
    ++open_count_;
    used = end + 4;
  }
  while (!conn.is_ended && conn.in.size() - used >= 2) {
    const auto* head = reinterpret_cast<const unsigned char*>(conn.in.data() + used);
    std::size_t length = head[1] & 0x7F;
    std::size_t header = 2;
    if ((head[1] & 0x80) != 0) throw std::runtime_error("a server must not mask");
    if (length == 126) header = 4;
    if (length == 127) header = 10;
    if (conn.in.size() - used < header) break;
    if (header > 2) {
      length = 0;
      for (std::size_t i = 2; i < header; ++i) length = length << 8 | head[i];
    }
    if (conn.in.size() - used - header < length) break;
    if ((head[0] & 0xF0) != 0x80) throw std::runtime_error("a server of ours sends whole messages");
    // The callback may queue bytes for this connection or close it, but `in` is ours until it returns.
    on_frame(conn, head[0] & 0x0F, std::string_view(conn.in).substr(used + header, length));
    used += header + length;
  }
  conn.in.erase(0, used);
}

void Swarm::on_frame(Conn& conn, unsigned opcode, std::string_view payload) {
  auto& seen = seen_[conn.id];
  if (opcode == 1) {
    if (seen.has_welcome) return on_text(conn.id, payload);
    const auto welcome = nlohmann::json::parse(payload);
    if (welcome.at("op") != "welcome") {
      ++early_count_;
      return on_text(conn.id, payload);
    }
    if (welcome.at("client") != seen.user) throw std::runtime_error("a welcome for somebody else: " + welcome.dump());
    seen.has_welcome = true;
    ++welcome_count_;
    seen.conn = welcome.at("conn").get<std::string>();
    seen.server = welcome.at("server").get<std::string>();
    if (welcome.contains("rooms")) seen.rooms = welcome.at("rooms").get<std::vector<std::string>>();
    on_welcome(conn.id);
  } else if (opcode == 9) {
    frame(conn, 10, payload);
  } else if (opcode == 8) {
    const auto code = payload.size() >= 2 ? static_cast<std::uint16_t>(static_cast<unsigned char>(payload[0]) << 8 |
                                                                       static_cast<unsigned char>(payload[1]))
                                          : std::uint16_t{1005};
    if (!conn.has_said_close) {
      seen.close_code = code;
      frame(conn, 8, payload.substr(0, 2));
      write_out(conn);
    }
    ended(conn, code);
  } else if (opcode != 10) {
    throw std::runtime_error(fmt::format("unexpected opcode {}", opcode));
  }
}

void Swarm::pump(milliseconds wait) {
  auto dirty = std::move(dirty_);
  dirty_.clear();
  for (const Id id : dirty) flush(id);
  std::array<epoll_event, 512> events;
  const int n = ::epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), static_cast<int>(wait.count()));
  for (int i = 0; i < n; ++i) {
    const auto& event = events[static_cast<std::size_t>(i)];
    const auto found = conns_.find(event.data.u64);
    if (found == conns_.end()) continue;
    auto& conn = *found->second;
    if (seen_[conn.id].stage == Stage::connecting && (event.events & EPOLLOUT) != 0) {
      seen_[conn.id].stage = Stage::upgrading;
    }
    if ((event.events & EPOLLOUT) != 0) write_out(conn);
    if ((event.events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0) on_readable(conn);
  }
  dirty = std::move(dirty_);
  dirty_.clear();
  for (const Id id : dirty) flush(id);
  ended_.clear();
}

bool Swarm::pump_until(const std::function<bool()>& is_true, milliseconds within) {
  const auto deadline = Clock::now() + within;
  while (!is_true()) {
    if (Clock::now() >= deadline) return false;
    pump(milliseconds{5});
  }
  return true;
}

}  // namespace wsr::test
