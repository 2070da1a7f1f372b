// Connection: one line to the store that is remade for ever: handshake, pipelined commands, deadlines.
//
//   connecting ──▶ greeting (AUTH, SELECT, CLIENT SETNAME, SCRIPT LOAD, a write that changes nothing, PING) ──▶ ready
//       ▲                     │ refused, broken, late                               │
//       └── backoff, jittered ◀─────────────────────────────────────────────────────┘
//
// Commands gather in one buffer; flush() writes it at once unless a write is in flight, whose end writes the next one.
// Replies come in the order of the commands, so the callbacks wait in one queue.
//
// Thread-safety: none; the thread of its io_context.
// Errors:        a command that finds no ready connection, and one whose connection is lost, ends with `unavailable`;
// one
//                older than reply_within with `timeout`, and the connection is remade: its later replies cannot be told
//                from those of a connection that hangs. Callbacks never run inline.
// Bounds:        backlog_bytes_max bytes wait for the socket; past it a command ends as `unavailable`.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/redis/options.hpp"
#include "core/redis/resp.hpp"
#include "core/redis/script.hpp"
#include "core/redis/stream.hpp"

namespace wsr::redis {

using Callback = std::function<void(const Reply&)>;  // empty: nobody wants to know
using Words = std::initializer_list<std::string_view>;

class ConnectionEvents {
public:
  virtual ~ConnectionEvents() = default;
  virtual void on_ready() = 0;
  /// Also after each attempt that failed.
  virtual void on_lost() = 0;
  /// A reply that no command waits for: what a subscriber hears.
  virtual void on_push(const Reply& reply) { static_cast<void>(reply); }
};

class Connection final : private Stream::Events {
public:
  enum class Role : std::uint8_t { commands, subscriber };
  static constexpr std::size_t backlog_bytes_max = 64 * 1024 * 1024;  // seconds of a store that does not read

  /// `options` outlives it. Throws std::runtime_error if the CA file cannot be read.
  Connection(asio::io_context& io, const Options& options, Role role, ConnectionEvents& events);
  ~Connection() override;

  void start();
  /// Fails what is pending as `unavailable`, later; no event follows.
  void stop();
  /// Drops the connection and makes another at once.
  void remake();
  [[nodiscard]] bool is_ready() const { return state_ == State::ready; }

  void send(std::span<const std::string_view> words, Callback callback);
  void send(Words words, Callback callback) { send(std::span{words.begin(), words.size()}, std::move(callback)); }
  /// EVALSHA; should the store have forgotten the script, EVAL.
  void eval(const Script& script, std::span<const std::string_view> keys, std::span<const std::string_view> args,
            Callback callback);
  void eval(const Script& script, Words keys, Words args, Callback callback) {
    eval(script, std::span{keys.begin(), keys.size()}, std::span{args.begin(), args.size()}, std::move(callback));
  }
  /// Appends a command whose reply arrives by on_push(). REQUIRES: is_ready().
  void push(std::span<const std::string_view> words);
  void push(Words words) { push(std::span{words.begin(), words.size()}); }
  /// Runs `task` in a later turn, unless the connection has been destroyed by then.
  void later(std::function<void()> task);
  void flush();
  /// A timer that fires this late: the process stood still, and what the store said meanwhile waits to be read.
  static constexpr std::chrono::milliseconds standstill_min{200};
  /// When the last bytes came.
  [[nodiscard]] std::chrono::steady_clock::time_point heard_at() const { return heard_at_; }
  /// Loses the connection for this reason and remakes it after the backoff.
  void lose(const std::string& why, Errc code = Errc::unavailable);

private:
  enum class State : std::uint8_t { stopped, waiting, connecting, greeting, ready };
  struct Pending {
    Callback callback;
    std::chrono::steady_clock::time_point since;
  };

  void on_open() override;
  void on_data(std::string_view bytes) override;
  void on_written() override { flush(); }
  void on_failed(const std::string& why) override { lose(why); }

  void connect();
  void greet();
  void expect(std::span<const std::string_view> words, Callback callback);
  void enqueue(Callback callback);
  void end_greeting(const Reply& pong);
  void warn_of_eviction(const Reply& reply);
  void note_trial(const Reply& reply);
  /// A command was refused: said once for each reason, until the connection is made anew.
  void note_refusal(const Reply& reply);
  void on_reply(OwnedReply raw);
  void arm_deadline();
  void fail_pending(Errc code, const std::string& why);
  void close_stream();
  void retry_later();
  /// For people: an event of this connection. A sentence alone is a refusal (`store_refuses`).
  void log(LogLevel level, std::string_view event, const std::string& sentence);
  void log(const std::string& sentence) { log(LogLevel::error, "store_refuses", sentence); }
  [[nodiscard]] std::uint64_t random();

  asio::io_context& io_;
  const Options& options_;
  Role role_;
  ConnectionEvents& events_;
  std::unique_ptr<asio::ssl::context> tls_;
  State state_ = State::stopped;
  std::shared_ptr<Stream> stream_;
  std::unique_ptr<ReplyReader> reader_;  // of stream_
  std::string out_;                      // encoded and not yet given to the stream
  std::deque<Pending> pending_;          // in the order of the commands
  std::string refusal_;                  // why the store refused the greeting; empty: it did not
  std::string last_logged_;              // the same reason again and again is logged once
  std::set<std::string> refusals_;       // first words of errors that were logged on this connection
  std::chrono::steady_clock::time_point ready_at_{};
  std::chrono::steady_clock::time_point begun_at_{};  // the attempt to connect
  std::chrono::steady_clock::time_point heard_at_{};
  asio::steady_timer deadline_;  // of the oldest pending command
  bool is_deadline_armed_ = false;
  std::chrono::steady_clock::time_point deadline_from_{};  // none before: put off after a standstill
  asio::steady_timer retry_;
  std::chrono::milliseconds backoff_;
  std::uint64_t random_state_;
  std::shared_ptr<char> alive_ = std::make_shared<char>();
};

}  // namespace wsr::redis
