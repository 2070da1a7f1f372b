// TimerWheel: the coarse deadlines of a shard's connections: ping, pong, idle, handshake, close.
//
//   slot:  [..][ a b ][..][ c ][..]      one slot a tick; a deadline beyond the last slot waits a further round
//                ▲ current
//
// One wheel a shard costs one Asio timer; an entry lives inside its connection and costs no allocation.
// A deadline fires at the first tick after it, so up to one tick late, never early.
//
// Thread-safety: none. Cost: set() and cancel() O(1); advance() the entries of the passed slots.
#pragma once

#include <boost/intrusive/list.hpp>
#include <cstdint>
#include <vector>

#include "core/base/time.hpp"

namespace wsr::net {

class TimerEntry : public boost::intrusive::list_base_hook<boost::intrusive::link_mode<boost::intrusive::auto_unlink>> {
public:
  /// The deadline has passed; the entry is no longer set. It may set itself again, or destroy its owner.
  virtual void on_deadline(Time now) = 0;
  [[nodiscard]] bool is_set() const { return is_linked(); }
  void cancel() { unlink(); }

protected:
  TimerEntry() = default;
  TimerEntry(const TimerEntry&) = delete;
  TimerEntry& operator=(const TimerEntry&) = delete;
  virtual ~TimerEntry() = default;

private:
  friend class TimerWheel;
  std::int64_t tick_ = 0;  // the absolute tick it fires at
};

class TimerWheel {
public:
  TimerWheel(Time start, Duration tick, std::size_t slots);

  /// Sets or moves the entry's deadline.
  void set(TimerEntry& entry, Time deadline);
  /// Fires what is due.
  void advance(Time now);
  [[nodiscard]] Duration tick() const { return tick_; }

private:
  using Slot = boost::intrusive::list<TimerEntry, boost::intrusive::constant_time_size<false>>;
  void insert(TimerEntry& entry);

  Duration tick_;
  std::vector<Slot> slots_;
  std::int64_t current_;  // the last tick that has been fired
};

}  // namespace wsr::net
