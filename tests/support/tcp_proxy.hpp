// TcpProxy: a wire that the test can break, on a loopback port in front of another.
//
//   forward  bytes pass
//   swallow  a black hole: both sides stay open, bytes vanish, nobody is told. TCP never loses bytes in the middle of
//            a stream, so a pair that has lost some stays a black hole for ever (a middlebox that forgot it); pairs
//            made after the return to `forward` are whole
//   cut      every pair is closed, new ones are closed at once
//
// Thread-safety: all calls from any thread; one thread of its own does the work.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <thread>
#include <vector>

namespace wsr::test {

class TcpProxy {
public:
  enum class Mode : std::uint8_t { forward, swallow, cut };

  explicit TcpProxy(std::uint16_t target_port);
  ~TcpProxy();
  TcpProxy(const TcpProxy&) = delete;
  TcpProxy& operator=(const TcpProxy&) = delete;

  [[nodiscard]] std::uint16_t port() const { return port_; }
  /// Returns once the proxy's thread works in this mode.
  void set(Mode mode);
  [[nodiscard]] std::uint64_t bytes_swallowed() const { return swallowed_; }

private:
  struct Pair;
  void work();
  void accept_one();
  void turn_to(Mode mode);
  [[nodiscard]] bool carry(Pair& pair, int side);

  std::uint16_t target_port_;
  std::uint16_t port_ = 0;
  int listener_ = -1;
  int wake_ = -1;  // eventfd
  std::atomic<Mode> wanted_{Mode::forward};
  std::atomic<std::uint64_t> turns_wanted_{0};
  std::atomic<std::uint64_t> turns_{0};
  std::atomic<std::uint64_t> swallowed_{0};
  std::atomic<bool> is_stopping_{false};
  Mode mode_ = Mode::forward;  // the thread's own
  std::vector<std::unique_ptr<Pair>> pairs_;
  std::thread thread_;
};

}  // namespace wsr::test
