#include "core/net/timer_wheel.hpp"

#include <algorithm>

namespace wsr::net {

TimerWheel::TimerWheel(Time start, Duration tick, std::size_t slots)
    : tick_(tick), slots_(slots), current_(start.time_since_epoch() / tick) {}

void TimerWheel::set(TimerEntry& entry, Time deadline) {
  if (entry.is_linked()) entry.unlink();
  const auto whole = deadline.time_since_epoch() / tick_;
  const bool is_between = deadline.time_since_epoch() % tick_ != Duration::zero();
  entry.tick_ = std::max(whole + (is_between ? 1 : 0), current_ + 1);
  insert(entry);
}

void TimerWheel::insert(TimerEntry& entry) {
  slots_[static_cast<std::size_t>(entry.tick_) % slots_.size()].push_back(entry);
}

void TimerWheel::advance(Time now) {
  const auto target = now.time_since_epoch() / tick_;
  // After a long pause one round visits every slot: more would visit them again for nothing.
  const auto first = std::max(current_ + 1, target - static_cast<std::int64_t>(slots_.size()) + 1);
  const bool is_late = target > current_;
  if (!is_late) return;
  current_ = target;
  for (auto tick = first; tick <= target; ++tick) {
    Slot due;
    due.swap(slots_[static_cast<std::size_t>(tick) % slots_.size()]);
    while (!due.empty()) {
      auto& entry = due.front();
      entry.unlink();
      if (entry.tick_ > target) {
        insert(entry);  // of a later round
      } else {
        entry.on_deadline(now);
      }
    }
  }
}

}  // namespace wsr::net
