// Work: how many calls to the store one event may cost a server: a few, and what the event itself brings, never more
// because the server has more clients.
//
//   begin(what comes) ──▶ the core's turn ──▶ excess(calls so far)
//
// Timers, a store that is back, a channel that many wait for and a look through all rows have work of their own, which
// is paced by Limits::reassert_batch or asked for by those who wait: nothing is said of them here.
//
// What a server claims again has a bound of its own: reassert_batch in each reassert_pace, so that a thousand servers
// do not flood a store that is back.
//
// Thread-safety: none; part of one server. Cost: a comparison an event.
#pragma once

#include <algorithm>
#include <cstdint>
#include <utility>

#include "core/routing/limits.hpp"
#include "sim/kernel.hpp"
#include "sim/scenario.hpp"

namespace wsr::sim {

class Work {
public:
  Work(const Scenario& scenario, const Limits& limits);

  /// An event begins when `calls` have been made: something of one connection.
  void begin(std::uint64_t calls) { allowed_ = calls + each_turn_; }
  /// An answer of the store about one client, or an event of a room: it may concern all rooms of a client.
  void begin_for_client(std::uint64_t calls) { allowed_ = calls + each_turn_ + in_flight_ + rooms_; }
  /// Messages of another server.
  void begin_batch(std::uint64_t calls, std::size_t bytes) {
    allowed_ = calls + each_turn_ + in_flight_ + bytes / entry_bytes_min;
  }
  /// It is over: how many calls it has cost beyond that.
  [[nodiscard]] std::uint64_t excess(std::uint64_t calls) {
    const std::uint64_t over = calls > allowed_ ? calls - allowed_ : 0;
    allowed_ = unbounded;
    return over;
  }

  /// `asserted` claims have been made again so far: how many of them too early. Rows that expire are renewed by a pace
  /// of their own, of which nothing is said.
  [[nodiscard]] std::uint64_t rush(std::uint64_t asserted, Nanos now) {
    if (asserted == asserted_ || batch_ == 0) return 0;
    if (now >= step_at_ + pace_) {
      step_at_ = now;
      in_step_ = 0;
    }
    in_step_ += asserted - std::exchange(asserted_, asserted);
    const std::uint64_t over = in_step_ - std::min(in_step_, batch_);
    in_step_ -= over;  // each is said once
    return over;
  }

private:
  static constexpr std::uint64_t unbounded = ~std::uint64_t{0};
  static constexpr std::size_t entry_bytes_min = 8;  // of a batch's entry: its kind, who, and lengths

  std::uint64_t each_turn_;  // what the event asks for, what follows, one to spare; and a batch for each other server
  std::uint64_t rooms_;      // of one client: a channel and a place for each
  std::uint64_t in_flight_;  // batches that waited for a link, and go at once
  std::uint64_t allowed_ = unbounded;
  std::uint64_t batch_;  // claims made again in a step; 0: not judged
  Nanos pace_;           // between two steps
  Nanos step_at_ = 0;
  std::uint64_t in_step_ = 0;
  std::uint64_t asserted_ = 0;
};

}  // namespace wsr::sim
