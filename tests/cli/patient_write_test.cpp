#include "cli/patient_write.hpp"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <string>
#include <thread>

namespace wsr::cli {
namespace {

using namespace std::chrono_literals;
using Deadline = std::atomic<WriteClock::time_point>;

struct Pipe {
  int ends[2] = {-1, -1};
  Pipe() { REQUIRE(::pipe2(ends, O_CLOEXEC) == 0); }
  ~Pipe() {
    stop_reading();
    ::close(ends[1]);
  }
  void stop_reading() {
    if (ends[0] >= 0) ::close(std::exchange(ends[0], -1));
  }
  [[nodiscard]] int in() const { return ends[1]; }
  /// Until it takes no more; how much that was.
  std::size_t fill() const {
    Deadline now{WriteClock::now()};
    std::size_t bytes = 0;
    while (write_until(in(), std::string(4'096, 'x'), now) == Written::all) bytes += 4'096;
    return bytes;
  }
  std::string read(std::size_t bytes) const {
    std::string text(bytes, '\0');
    std::size_t have = 0;
    while (have < bytes) {
      const auto got = ::read(ends[0], text.data() + have, bytes - have);
      if (got <= 0) break;
      have += static_cast<std::size_t>(got);
    }
    text.resize(have);
    return text;
  }
};

}  // namespace

TEST_CASE("what is written comes whole, however long it is and however slowly it is read") {
  const Pipe pipe;
  std::string text;
  for (int n = 0; n < 100'000; ++n) text += std::to_string(n);
  Written written{};
  std::thread writer([&] { written = write_until(pipe.in(), text, Deadline{WriteClock::time_point::max()}); });
  CHECK(pipe.read(text.size()) == text);
  writer.join();
  CHECK(written == Written::all);
}

TEST_CASE("nobody who reads nothing is waited for longer than the deadline, also one that is moved") {
  const Pipe pipe;
  CHECK(pipe.fill() >= 4'096);
  const auto begun = WriteClock::now();
  CHECK(write_until(pipe.in(), "late\n", Deadline{begun + 200ms}) == Written::not_all);
  CHECK(WriteClock::now() >= begun + 200ms);

  Deadline deadline{WriteClock::time_point::max()};
  Written written = Written::all;
  std::thread writer([&] { written = write_until(pipe.in(), "late\n", deadline); });
  deadline = WriteClock::now();
  writer.join();  // a test that hangs here has failed
  CHECK(written == Written::not_all);
}

TEST_CASE("where nobody can read any more nothing is waited for") {
  Pipe pipe;
  pipe.stop_reading();
  const auto before = ::signal(SIGPIPE, SIG_IGN);
  CHECK(write_until(pipe.in(), "gone\n", Deadline{WriteClock::time_point::max()}) == Written::not_all);
  ::signal(SIGPIPE, before);
  CHECK(write_until(-1, "nowhere\n", Deadline{WriteClock::now()}) == Written::not_all);
}

}  // namespace wsr::cli
