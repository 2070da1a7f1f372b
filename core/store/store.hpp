// Store: the shared store as the core sees it: one call, and where its answers and the bus' messages go.
//
//   caller ──call(ticket, StoreCall)──▶ Store ── later ──▶ AnswerSink::on_answer(ticket, Answer)
//                                         └─────────────▶ BusListener: messages, state
//
// A port never calls back inline. What a call brings comes later as an input, so there is no re-entrancy, and a crashed
// server's answers can simply be dropped. Behind the port stand core/memory, core/redis or the simulator's store; in
// front of them, in a server, LocalFirst and the way between threads (core/net). All of them forward what they do not
// know as what it is: one StoreCall.
//
// Thread-safety: each object belongs to one thread; calls and answers happen there.
// Errors:        every answer carries an Errc; `unavailable` and `timeout` leave open whether the call was carried out,
//                and every call can safely be made again.
// Order:         calls on one object take effect in the order they were made.
// Cost:          a call is moved along, never copied; its strings are allocated once, where it is made.
#pragma once

#include <cstdint>
#include <string_view>

#include "core/base/ticket.hpp"
#include "core/store/answer.hpp"
#include "core/store/call.hpp"
#include "core/store/channel.hpp"

namespace wsr {

class Store {
public:
  virtual ~Store() = default;
  /// Takes the call; what it brings comes later, with `ticket`.
  virtual void call(Ticket ticket, StoreCall&& call) = 0;
};

/// Where a backend's answers go.
class AnswerSink {
public:
  virtual ~AnswerSink() = default;
  virtual void on_answer(Ticket ticket, Answer&& answer) = 0;
};

enum class StoreState : std::uint8_t { up, down };

/// Where a backend's bus messages and its state go.
class BusListener {
public:
  virtual ~BusListener() = default;
  /// `pattern` is empty for a message of an exact subscription.
  virtual void on_bus_message(const Channel& channel, std::string_view pattern, std::string_view payload) = 0;
  /// Messages may have been missed before this moment; all subscriptions stand again.
  virtual void on_resubscribed() = 0;
  /// The command path: `up` again means calls will be answered.
  virtual void on_store_state(StoreState state) = 0;
};

}  // namespace wsr
