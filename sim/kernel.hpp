// Kernel: virtual time. The clock, the queue, chance, the trace's hash, and what is under way as parcels.
//
// Everything else in the simulator is somebody whom the kernel's events are for. Two runs of one scenario with one seed
// have the same hash: it folds every event with what it carried.
//
// Thread-safety: none; one Kernel a run, and nothing in it is shared between runs.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "sim/event_queue.hpp"
#include "sim/random.hpp"

namespace wsr::sim {

/// Things under way, by number. A number is reused once its thing is taken.
template <class T>
class Slab {
public:
  [[nodiscard]] std::uint32_t put(T&& thing) {
    if (free_.empty()) {
      things_.push_back(std::move(thing));
      return static_cast<std::uint32_t>(things_.size() - 1);
    }
    const std::uint32_t place = free_.back();
    free_.pop_back();
    things_[place] = std::move(thing);
    return place;
  }
  [[nodiscard]] T take(std::uint32_t place) {
    free_.push_back(place);
    return std::move(things_[place]);
  }
  [[nodiscard]] T& at(std::uint32_t place) { return things_[place]; }

private:
  std::vector<T> things_;
  std::vector<std::uint32_t> free_;
};

/// What a picture of a run is made of.
struct Fact {
  enum class Kind : std::uint8_t {
    client_open,  // who: client; where: server; conn: its number
    client_gone,  // the same, and value: close code
    server_up,    // who: server
    server_down,  // who: server: killed, or at its end
    server_asleep,
    server_awake,
    step_begins,  // who: index in the timeline
    step_over,
    heard,       // who: receiver; where: sender; value: nanoseconds under way
    heard_room,  // the same, by a room
  } kind = Kind::client_open;
  std::uint32_t who = 0, where = 0;
  Nanos at = 0, value = 0;
  std::uint32_t conn = 0;  // never reused
};

/// Hears every event before it is carried out: traces. May not draw, push or change anything.
class Observer {
public:
  virtual ~Observer() = default;
  virtual void on_fact(const Fact& fact) = 0;
  virtual void on_event(std::uint64_t number, const Event& event) = 0;
  /// What came of the event under way, in words.
  virtual void on_note(std::uint64_t number, Nanos at, std::string&& text) = 0;
};

class Kernel {
public:
  explicit Kernel(std::uint64_t seed) : draws(seed) {}

  [[nodiscard]] Nanos now() const { return now_; }
  [[nodiscard]] std::uint64_t events() const { return events_; }
  [[nodiscard]] std::uint64_t hash() const { return hash_; }

  /// `at` in the past or present means: right after now.
  void push(Nanos at, EventKind kind, std::uint32_t whom, std::uint32_t what = 0, std::uint32_t payload = 0) {
    if (at <= now_) at = now_ + 1;
    const auto time = static_cast<std::uint64_t>(at);
    const std::uint64_t who = static_cast<std::uint64_t>(kind) << 32 | whom;
    queue_.push(Event{.at = time,
                      .tie = draws.bits(Purpose::tie, who, time ^ (std::uint64_t{what} << 40)),
                      .cause = events_,
                      .whom = whom,
                      .payload = payload,
                      .what = what,
                      .kind = kind});
  }
  void push(Event event, Nanos at) {
    event.at = static_cast<std::uint64_t>(at <= now_ ? now_ + 1 : at);
    queue_.push(event);
  }
  [[nodiscard]] bool has_events() const { return !queue_.is_empty(); }
  [[nodiscard]] std::size_t pending() const { return queue_.size(); }
  Event next() {
    const Event event = queue_.pop();
    now_ = static_cast<Nanos>(event.at);
    ++events_;
    // Looks and checks change nothing: with other expectations it is the same run.
    if (event.kind != EventKind::look && event.kind != EventKind::check) {
      fold(event.at ^ (static_cast<std::uint64_t>(event.kind) << 56) ^ (std::uint64_t{event.whom} << 8) ^ event.what);
    }
    if (observer != nullptr) observer->on_event(events_, event);
    return event;
  }
  /// Part of the trace's hash from now on.
  void fold(std::uint64_t value) { hash_ = (hash_ ^ value) * 0x9E3779B97F4A7C15ULL, hash_ ^= hash_ >> 29; }
  [[nodiscard]] bool is_traced() const { return observer != nullptr; }
  void tell(Fact::Kind kind, std::uint32_t who, std::uint32_t where = 0, Nanos value = 0, std::uint32_t conn = 0) {
    if (observer != nullptr) observer->on_fact({kind, who, where, now_, value, conn});
  }
  void note(std::string text) {
    if (observer != nullptr) observer->on_note(events_, now_, std::move(text));
  }

  const Draws draws;
  Observer* observer = nullptr;
  Slab<std::string> bytes;  // frames and batches under way

private:
  EventQueue queue_;
  Nanos now_ = 0;
  std::uint64_t events_ = 0;
  std::uint64_t hash_ = 0x243F6A8885A308D3ULL;
};

}  // namespace wsr::sim
