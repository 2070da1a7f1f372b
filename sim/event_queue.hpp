// EventQueue: what is still to happen, in the order of virtual time. A monotone radix heap.
//
// 65 buckets by the highest bit in which an event's time differs from the time last popped: push is O(1), an event
// moves some 6 to 9 times in all (measured: 40-74 ns an event from 1 k to 4 M pending). Events of one time leave in the
// order of their ties, which are drawn from who made them and how often: so a seed explores orders, and the order does
// not depend on the history of insertions elsewhere.
//
// Thread-safety: none.
// Cost:          amortised O(64) moves an event at worst; memory as much as is pending.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cassert>
#include <cstdint>
#include <string_view>
#include <vector>

#include "sim/scenario.hpp"

namespace wsr::sim {

enum class EventKind : std::uint8_t {
  client_act,       // whom: client; what: ClientAct
  client_bytes,     // whom: connection; payload: parcel
  client_fin,       // whom: connection; what: close code
  server_accept,    // whom: connection
  server_text,      // whom: connection; payload: parcel
  server_fin,       // whom: connection
  server_writable,  // whom: connection
  server_timer,     // whom: server; what: generation
  server_act,       // whom: server; what: ServerAct
  store_call,       // whom: store session; payload: parcel
  store_answer,     // whom: store session; payload: parcel
  bus_message,      // whom: store session; payload: parcel
  store_timer,      // whom: store session; what: generation
  store_act,        // payload: parcel
  workload,         // whom: workload
  step,             // whom: step; what: 0 begin, 1 end
  look,             // expectations are looked at
  check,            // a checker's deadline; payload: parcel
  end,
};

/// `client_act`.
[[nodiscard]] constexpr std::string_view to_string(EventKind kind) {
  constexpr std::array<std::string_view, 19> names{
      "client_act",   "client_bytes", "client_fin", "server_accept", "server_text", "server_fin",  "server_writable",
      "server_timer", "server_act",   "store_call", "store_answer",  "bus_message", "store_timer", "store_act",
      "workload",     "step",         "look",       "check",         "end"};
  return names[static_cast<std::size_t>(kind)];
}

struct Event {
  std::uint64_t at = 0;  // virtual nanoseconds
  std::uint64_t tie = 0;
  std::uint64_t cause = 0;  // number of the event that made it
  std::uint32_t whom = 0;
  std::uint32_t payload = 0;  // a parcel, or more of `what`
  std::uint32_t what = 0;
  EventKind kind = EventKind::end;
};

class EventQueue {
public:
  /// REQUIRES: not before the event last popped.
  void push(const Event& event) {
    assert(event.at >= last_);
    buckets_[place(event.at)].push_back(event);
    ++size_;
    if (event.at == last_) is_sorted_ = false;
  }
  [[nodiscard]] bool is_empty() const { return size_ == 0; }
  [[nodiscard]] std::size_t size() const { return size_; }
  /// REQUIRES: !is_empty().
  Event pop() {
    if (head_ == buckets_[0].size()) refill();
    if (!is_sorted_) {
      const auto rest = buckets_[0].begin() + static_cast<std::ptrdiff_t>(head_);
      std::sort(rest, buckets_[0].end(), [](const Event& a, const Event& b) { return a.tie < b.tie; });
      is_sorted_ = true;
    }
    --size_;
    return buckets_[0][head_++];
  }

private:
  [[nodiscard]] std::size_t place(std::uint64_t at) const {
    return at == last_ ? 0 : static_cast<std::size_t>(64 - std::countl_zero(at ^ last_));
  }
  void refill() {
    buckets_[0].clear();
    head_ = 0;
    std::size_t first = 1;
    while (buckets_[first].empty()) ++first;
    auto& from = buckets_[first];
    last_ = std::min_element(from.begin(), from.end(), [](const Event& a, const Event& b) { return a.at < b.at; })->at;
    for (const Event& event : from) buckets_[place(event.at)].push_back(event);
    from.clear();
    if (from.capacity() > keep_max) std::vector<Event>().swap(from);
    is_sorted_ = buckets_[0].size() < 2;
  }

  static constexpr std::size_t keep_max = 1 << 16;  // events of room that an empty bucket keeps
  std::array<std::vector<Event>, 65> buckets_;
  std::uint64_t last_ = 0;
  std::size_t head_ = 0;
  std::size_t size_ = 0;
  bool is_sorted_ = true;
};

}  // namespace wsr::sim
