// ReceiptTable: who waits for the word of a message that has left this shard.
//
// Every entry ends: by resolve() when the word comes, or by expired() once its deadline has passed.
//
// Thread-safety: none. Bounds: receipts_max; add() returns 0 at it, and the caller says `unknown` at once.
// Cost:          O(1); deadlines are in the order of adding, since every receipt waits equally long.
#pragma once

#include <boost/unordered/unordered_flat_map.hpp>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>

#include "core/base/ids.hpp"
#include "core/base/time.hpp"
#include "core/routing/ports.hpp"

namespace wsr {

struct ReceiptWaiter {
  ConnId conn;     // a client's command; or, if 0,
  Ticket ticket;   // a call of the application
  std::string id;  // the client's own id for its command
};

class ReceiptTable {
public:
  ReceiptTable(std::size_t receipts_max, Duration timeout) : receipts_max_(receipts_max), timeout_(timeout) {}

  /// A number to send along with the message; 0 when the table is full.
  [[nodiscard]] std::uint64_t add(ReceiptWaiter waiter, Time now);
  [[nodiscard]] std::optional<ReceiptWaiter> resolve(std::uint64_t receipt);
  /// The next waiter whose time is over; call until nullopt.
  [[nodiscard]] std::optional<ReceiptWaiter> expired(Time now);
  [[nodiscard]] std::optional<Time> next_deadline();
  [[nodiscard]] std::size_t size() const { return waiters_.size(); }

private:
  struct Deadline {
    Time at;
    std::uint64_t receipt;
  };
  [[nodiscard]] std::optional<ReceiptWaiter> take(std::uint64_t receipt);

  boost::unordered_flat_map<std::uint64_t, ReceiptWaiter> waiters_;
  std::deque<Deadline> deadlines_;  // also of those already resolved: skipped when they come up
  std::uint64_t last_ = 0;
  std::size_t receipts_max_;
  Duration timeout_;
};

}  // namespace wsr
