#include "cli/log_repeats.hpp"

#include <fmt/format.h>

namespace wsr::cli {

bool LogRepeats::is_due(const LogEvent& event, Clock::time_point now) {
  Key key{event.name, event.subject};
  if (kinds_.size() >= kinds_max && !kinds_.contains(key)) key = {"", ""};
  Kind& kind = kinds_.try_emplace(key, Kind{now, 0, 0, {}}).first->second;
  if (kind.held_back == 0 && now - kind.since >= window) kind = Kind{now, 0, 0, {}};
  if (kind.written < burst) {
    ++kind.written;
    return true;
  }
  ++kind.held_back;
  kind.last = event;
  return false;
}

LogEvent LogRepeats::summary(const Kind& kind, Clock::time_point now) {
  LogEvent event = kind.last;
  const auto seconds = std::chrono::ceil<std::chrono::seconds>(now - kind.since).count();
  event.text = fmt::format("repeated {} times in the last {} s: {}", kind.held_back, seconds, kind.last.text);
  event.fields.push_back({"repeated", std::to_string(kind.held_back)});
  return event;
}

std::vector<LogEvent> LogRepeats::take_over(Clock::time_point now) {
  std::vector<LogEvent> lines;
  for (auto each = kinds_.begin(); each != kinds_.end();) {
    if (now - each->second.since < window) {
      ++each;
      continue;
    }
    if (each->second.held_back != 0) lines.push_back(summary(each->second, now));
    each = kinds_.erase(each);
  }
  return lines;
}

std::vector<LogEvent> LogRepeats::take_all(Clock::time_point now) {
  std::vector<LogEvent> lines;
  for (const auto& [key, kind] : kinds_) {
    if (kind.held_back != 0) lines.push_back(summary(kind, now));
  }
  kinds_.clear();
  return lines;
}

}  // namespace wsr::cli
