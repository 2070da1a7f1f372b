// Log: events of a server as lines on stderr, by spdlog: time (UTC, milliseconds), level, server, event, sentence.
//
// Lines are written by a thread of their own: whoever reads them slowly, or not at all, holds up no shard. Of those
// that wait the oldest go beyond queue_lines_max. The end waits for the reader for last_words_within, and no longer.
//
// Thread-safety: any thread. Errors: none; a line that cannot be written is lost.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/routing/log_event.hpp"

namespace wsr::cli {

enum class LogFormat : std::uint8_t { text, json };

class Log {
public:
  static constexpr std::size_t queue_lines_max = 1'024;  // some seconds of a server in trouble

  struct Options {
    LogFormat format = LogFormat::text;
    LogLevel level = LogLevel::info;  // and above
    std::string server;
    std::vector<std::string> secrets;  // never in a line
  };

  explicit Log(Options options);
  /// Writes what waits, and what was held back as a repeat, as far as it is taken in time.
  ~Log();
  Log(const Log&) = delete;
  Log& operator=(const Log&) = delete;

  void write(const LogEvent& event);
  /// For those who tell of events; the Log outlives it.
  [[nodiscard]] LogSink sink() {
    return [this](const LogEvent& event) { write(event); };
  }
  /// To be called about once a second: says what has repeated.
  void tick();

private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace wsr::cli
