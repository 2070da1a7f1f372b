// LogRepeats: what happens again and again is written a few times and then counted, so that a log that somebody else
// can fill is not filled, and says how often it was.
//
// An event repeats another with the same name and subject. The first `burst` of them within `window` are written; the
// rest is told as one line when the window is over. Then a new window begins with the next.
//
// Thread-safety: none. Bounds: kinds_max kinds at a time; beyond it all others count as one kind.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "core/routing/log_event.hpp"

namespace wsr::cli {

class LogRepeats {
public:
  using Clock = std::chrono::steady_clock;
  static constexpr std::uint32_t burst = 5;
  static constexpr std::chrono::seconds window{10};
  static constexpr std::size_t kinds_max = 256;

  /// True if this event is to be written now.
  [[nodiscard]] bool is_due(const LogEvent& event, Clock::time_point now);
  /// Lines about what was held back in windows that are over.
  [[nodiscard]] std::vector<LogEvent> take_over(Clock::time_point now);
  /// The same for all windows: nothing more will come.
  [[nodiscard]] std::vector<LogEvent> take_all(Clock::time_point now);

private:
  struct Kind {
    Clock::time_point since;
    std::uint32_t written = 0;
    std::uint64_t held_back = 0;
    LogEvent last;
  };
  using Key = std::pair<std::string, std::string>;  // name, subject
  static LogEvent summary(const Kind& kind, Clock::time_point now);

  std::map<Key, Kind> kinds_;
};

}  // namespace wsr::cli
