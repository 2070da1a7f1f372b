// Swarm: thousands of chat clients on one epoll loop, with a minimal framing of their own.
//
// The loop runs inside pump() and pump_until(): the test's thread does everything, so its callbacks need no lock.
// Connections are named by a number that is never reused; what happened to each stays readable after its end.
//
// Thread-safety: none.
// Errors:        std::runtime_error for what a server must never send (masked frames, fragments of control frames).
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "tests/support/wait.hpp"

namespace wsr::test {

class Swarm {
public:
  using Id = std::size_t;
  enum class Stage : std::uint8_t { connecting, upgrading, open, closed };
  struct Seen {
    Stage stage = Stage::connecting;
    bool is_closed_by_us = false;
    bool has_welcome = false;
    std::uint16_t close_code = 0;  // 1006: ended without a close frame; 0: not closed by the server
    unsigned status = 0;           // of the upgrade's answer
    std::string user;
    std::string conn;                // from `welcome`
    std::string server;              // from `welcome`
    std::vector<std::string> rooms;  // from `welcome`
  };

  Swarm();
  ~Swarm();
  Swarm(const Swarm&) = delete;
  Swarm& operator=(const Swarm&) = delete;

  /// Called for every text frame but `welcome`.
  std::function<void(Id, std::string_view)> on_text = [](Id, std::string_view) {};

  /// Called for each `welcome`; seen() has it by then.
  std::function<void(Id)> on_welcome = [](Id) {};

  [[nodiscard]] Id connect(std::uint16_t port, std::string_view user);
  /// Queued and written in the next pump. Ignored for a connection that is not open.
  void text(Id id, std::string_view json);
  /// Writes what is queued now.
  void flush(Id id);

  enum class Farewell : std::uint8_t {
    frame,  // close frame 1000; the socket is closed when the server has answered
    fin,    // the socket is closed
    reset   // the socket is closed with RST
  };
  void close(Id id, Farewell how);

  /// Reads nothing of this connection until resume(): a client that hangs.
  void pause(Id id);
  void resume(Id id);

  /// One turn of the loop; waits at most `wait` for something to happen.
  void pump(milliseconds wait);
  /// Runs the loop until `is_true` holds; false if `within` has passed.
  [[nodiscard]] bool pump_until(const std::function<bool()>& is_true, milliseconds within);

  [[nodiscard]] const Seen& seen(Id id) const { return seen_.at(id); }
  [[nodiscard]] std::size_t open_count() const { return open_count_; }
  [[nodiscard]] std::size_t socket_count() const { return conns_.size(); }
  [[nodiscard]] std::size_t welcome_count() const { return welcome_count_; }
  /// Text frames that came before their connection's `welcome`.
  [[nodiscard]] std::size_t early_count() const { return early_count_; }
  /// Connections that ended without our doing.
  [[nodiscard]] std::size_t lost_count() const { return lost_count_; }

private:
  struct Conn;
  void on_readable(Conn& conn);
  void on_bytes(Conn& conn);
  void on_frame(Conn& conn, unsigned opcode, std::string_view payload);
  void write_out(Conn& conn);
  void ended(Conn& conn, std::uint16_t code);
  void frame(Conn& conn, unsigned opcode, std::string_view payload);

  int epoll_ = -1;
  std::unordered_map<Id, std::unique_ptr<Conn>> conns_;
  std::vector<Seen> seen_;
  std::vector<Id> dirty_;
  std::vector<std::unique_ptr<Conn>> ended_;  // freed at the end of the turn
  std::size_t open_count_ = 0;
  std::size_t welcome_count_ = 0;
  std::size_t lost_count_ = 0;
  std::size_t early_count_ = 0;
  std::uint32_t mask_ = 0x9e3779b9;
};

}  // namespace wsr::test
