#include "core/net/peer_state.hpp"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include <chrono>

namespace wsr::net {
namespace {

constexpr Duration age_noticed_min = std::chrono::milliseconds{20};

}  // namespace

bool has_peer_ended(int descriptor) {
  pollfd asked{.fd = descriptor, .events = POLLRDHUP, .revents = 0};
  return ::poll(&asked, 1, 0) > 0 && (asked.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0;
}

Duration age_of_last_bytes(int descriptor) {
  tcp_info info{};
  socklen_t size = sizeof info;
  if (::getsockopt(descriptor, IPPROTO_TCP, TCP_INFO, &info, &size) != 0) return Duration::zero();
  const Duration age = std::chrono::milliseconds{info.tcpi_last_data_recv};
  return age < age_noticed_min ? Duration::zero() : age;
}

}  // namespace wsr::net
