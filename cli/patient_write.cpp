#include "cli/patient_write.hpp"

#include <limits.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace wsr::cli {
namespace {

constexpr std::chrono::milliseconds look_every{50};  // at a deadline that may have been moved

}  // namespace

Written write_until(int descriptor, std::string_view text, const std::atomic<WriteClock::time_point>& deadline) {
  while (!text.empty()) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline.load() - WriteClock::now());
    const auto wait = std::clamp(left, std::chrono::milliseconds{0}, look_every);
    pollfd asked{.fd = descriptor, .events = POLLOUT, .revents = 0};
    const int ready = ::poll(&asked, 1, static_cast<int>(wait.count()));
    if (ready < 0 && errno != EINTR) return Written::not_all;
    if (ready <= 0) {
      if (left <= left.zero()) return Written::not_all;
      continue;
    }
    // A pipe that is writable takes PIPE_BUF bytes without waiting, and more perhaps not.
    const auto written = ::write(descriptor, text.data(), std::min<std::size_t>(text.size(), PIPE_BUF));
    if (written < 0) {
      if (errno == EINTR || errno == EAGAIN || errno == EWOULDBLOCK) continue;
      return Written::not_all;  // nobody is there to read it
    }
    text.remove_prefix(static_cast<std::size_t>(written));
  }
  return Written::all;
}

Written write_soon(int descriptor, std::string_view text) {
  const std::atomic<WriteClock::time_point> deadline{WriteClock::now() + last_words_within};
  return write_until(descriptor, text, deadline);
}

}  // namespace wsr::cli
