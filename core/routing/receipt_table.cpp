#include "core/routing/receipt_table.hpp"

namespace wsr {

std::uint64_t ReceiptTable::add(ReceiptWaiter waiter, Time now) {
  if (waiters_.size() >= receipts_max_) return 0;
  waiters_.emplace(++last_, std::move(waiter));
  deadlines_.push_back({now + timeout_, last_});
  return last_;
}

std::optional<ReceiptWaiter> ReceiptTable::resolve(std::uint64_t receipt) {
  auto node = waiters_.extract(receipt);
  // Resolved ones leave their deadlines behind; in the usual order they are at the front.
  while (!deadlines_.empty() && !waiters_.contains(deadlines_.front().receipt)) deadlines_.pop_front();
  if (node.empty()) return std::nullopt;
  return std::move(node.mapped());
}

std::optional<ReceiptWaiter> ReceiptTable::expired(Time now) {
  while (!deadlines_.empty() && deadlines_.front().at <= now) {
    const std::uint64_t receipt = deadlines_.front().receipt;
    deadlines_.pop_front();
    if (auto node = waiters_.extract(receipt); !node.empty()) return std::move(node.mapped());
  }
  return std::nullopt;
}

std::optional<Time> ReceiptTable::next_deadline() {
  if (deadlines_.empty()) return std::nullopt;
  return deadlines_.front().at;
}

}  // namespace wsr
