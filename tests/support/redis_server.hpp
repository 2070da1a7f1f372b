// RedisServer: a private redis-server (or valkey-server) of one test: own port, own directory, nothing persisted.
//
// It dies with the thread that started it (PR_SET_PDEATHSIG), so start it from the test's main thread, and it ends
// with the object. Only its own process is ever signalled.
//
//   if (!find_redis_server()) { WARN(no_redis_server); return; }
//   RedisServer redis;
//
// Errors: std::runtime_error with a sentence and the server's log.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace wsr::test {

/// The program's path, if it is installed.
[[nodiscard]] std::optional<std::string> find_redis_server();

/// A port of loopback that nobody listens on now.
[[nodiscard]] std::uint16_t free_port();
inline constexpr const char* no_redis_server = "skipped: neither redis-server nor valkey-server is installed";

class RedisServer {
public:
  /// `more`: further arguments for redis-server, e.g. {"--requirepass", "secret"}.
  explicit RedisServer(std::vector<std::string> more = {}, std::string password = {});
  ~RedisServer();
  RedisServer(const RedisServer&) = delete;
  RedisServer& operator=(const RedisServer&) = delete;

  [[nodiscard]] std::uint16_t port() const { return port_; }
  [[nodiscard]] std::string url() const { return url(port_); }
  /// The same through something that listens on `port` and forwards.
  [[nodiscard]] std::string url(std::uint16_t port) const;
  [[nodiscard]] std::string socket_path() const { return (dir_ / "redis.sock").string(); }

  /// One command over a connection of its own; an array comes as its elements, one a line; an error as its text.
  std::string command(std::initializer_list<std::string_view> words);
  void flushall();
  /// Holds every command back for this long, as a stalled store does.
  void pause(std::chrono::milliseconds duration);
  /// Lets paused commands go on.
  void unpause();

  /// Its directory goes: no snapshot can be written.
  void lose_directory();

  void kill();     // SIGKILL: as a crash
  void stop();     // SIGTERM, and waits for its end
  void restart();  // on the same port, with empty memory

private:
  void start();
  void end(int signal);
  [[nodiscard]] bool is_answering();
  [[nodiscard]] std::string log() const;

  std::vector<std::string> more_;
  std::string password_;
  std::filesystem::path dir_;
  std::uint16_t port_ = 0;
  pid_t pid_ = -1;  // -1: not running
};

}  // namespace wsr::test
