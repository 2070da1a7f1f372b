#include "core/routing/receipt_table.hpp"

namespace wsr {

std::uint64_t ReceiptTable::add(ReceiptWaiter waiter, Time now) {
  if (waiters_.size() >= receipts_max_) return 0;
  waiters_.emplace(++last_, std::move(waiter));
  deadlines_.push_back({now + timeout_, last_});
  return last_;
}

std::optional<ReceiptWaiter> ReceiptTable::resolve(std::uint64_t receipt) {
  auto waiter = take(receipt);
  // Resolved ones leave their deadlines behind; in the usual order they are at the front.
  while (!deadlines_.empty() && !waiters_.contains(deadlines_.front().receipt)) deadlines_.pop_front();
  return waiter;
}

std::optional<ReceiptWaiter> ReceiptTable::take(std::uint64_t receipt) {
  const auto found = waiters_.find(receipt);
  if (found == waiters_.end()) return std::nullopt;
  std::optional<ReceiptWaiter> waiter(std::move(found->second));
  waiters_.erase(found);
  return waiter;
}

std::optional<ReceiptWaiter> ReceiptTable::expired(Time now) {
  while (!deadlines_.empty() && deadlines_.front().at <= now) {
    const std::uint64_t receipt = deadlines_.front().receipt;
    deadlines_.pop_front();
    if (auto waiter = take(receipt)) return waiter;
  }
  return std::nullopt;
}

std::optional<Time> ReceiptTable::next_deadline() {
  if (deadlines_.empty()) return std::nullopt;
  return deadlines_.front().at;
}

}  // namespace wsr
