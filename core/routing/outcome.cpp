#include "core/routing/outcome.hpp"

namespace wsr {

std::string_view state_of(Word word) {
  switch (word) {
    case Word::delivered:
      return "delivered";
    case Word::queued:
      return "queued";
    case Word::offline:
      return "offline";
    case Word::unknown:
      return "unknown";
    default:
      return "dropped";
  }
}

std::string_view reason_of(Word word) {
  switch (word) {
    case Word::delivered:
    case Word::queued:
    case Word::offline:
    case Word::unknown:
      return {};
    case Word::dropped_slow_consumer:
      return "slow_consumer";
    case Word::dropped_rate_limited:
      return "rate_limited";
    case Word::dropped_capacity:
      return "capacity";
    case Word::dropped_too_big:
      return "too_big";
    case Word::dropped_forbidden:
      return "forbidden";
    case Word::dropped_expired:
      return "expired";
    case Word::dropped_bus_lost:
      return "bus_lost";
  }
  return {};
}

}  // namespace wsr
