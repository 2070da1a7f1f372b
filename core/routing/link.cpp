#include "core/routing/link.hpp"

#include <algorithm>

namespace wsr {
namespace {

std::uint64_t saturating_minus(std::uint64_t a, std::uint64_t b) { return a > b ? a - b : 0; }

}  // namespace

Link::Link(LinkContext& context, ShardAddress peer)
    : context_(context),
      peer_(std::move(peer)),
      base_(std::max(static_cast<std::uint64_t>(context.clock.store_now().time_since_epoch().count()),
                     context.bases + 1)),
      next_seq_(base_) {
  context.bases = base_;
}

std::uint64_t Link::add(const Entry& entry) {
  if (!writer_) {
    writer_.emplace(context_.self.server.view(), context_.self.shard, peer_.shard, base_, next_seq_);
    writer_first_ = next_seq_;
    writer_messages_ = 0;
    has_writer_messages_ = false;
  }
  writer_->add(entry);
  if (const auto* message = std::get_if<EntryMessage>(&entry); message != nullptr && !message->is_copy) {
    has_writer_messages_ = true;
    if (message->receipt == 0) ++writer_messages_;
  }
  const std::uint64_t seq = next_seq_++;
  if (writer_->is_full()) seal();
  return seq;
}

void Link::seal() {
  const Time now = context_.clock.now();
  const auto store_ms = store_millis(context_.clock.store_now());
  Batch batch;
  batch.serial = context_.serials = (context_.serials + 1) & BatchNumber::low_max;  // as wide as its part of a ticket
  batch.sealed = now;
  batch.bytes = writer_->finish(context_.keys, peer_.server.view(), store_ms);
  queued_bytes_ += batch.bytes.size();
  if (has_writer_messages_) ledger_.push_back({writer_first_, next_seq_, writer_messages_, batch.serial, now});
  queue_.push_back(std::move(batch));
  writer_.reset();
}

const Link::Batch* Link::next_to_publish() {
  if (writer_ && queue_.empty()) seal();
  if (in_flight_ >= queue_.size() || in_flight_ >= context_.limits.link_in_flight_max) return nullptr;
  Batch& batch = queue_[in_flight_++];
  ++batch.attempts;
  return &batch;
}

std::optional<std::size_t> Link::find(std::uint64_t serial) const {
  // Answers come in the order of publishing: nearly always it is the first.
  for (std::size_t i = 0; i < in_flight_; ++i) {
    if (queue_[i].serial == serial) return i;
  }
  return std::nullopt;
}

Link::Batch Link::take(std::size_t index) {
  if (index < in_flight_) --in_flight_;
  Batch taken = std::move(queue_[index]);
  queued_bytes_ -= taken.bytes.size();
  queue_.erase(queue_.begin() + static_cast<std::ptrdiff_t>(index));
  return taken;
}

void Link::forget(std::uint64_t serial) {
  std::erase_if(ledger_, [&](const LedgerEntry& entry) { return entry.serial == serial; });
}

Link::Known Link::handed_over(std::uint64_t serial) {
  const auto index = find(serial);
  if (!index) return Known::no;
  (void)take(*index);
  is_peer_absent = false;
  return Known::yes;
}

Link::Known Link::retry(std::uint64_t serial) {
  const auto index = find(serial);
  if (!index) return Known::no;
  // Batches in flight stand before those that wait. This one and all behind it will be published again,
  // in their order; the answers still to come for those are then answers to nothing.
  in_flight_ = *index;
  return Known::yes;
}

std::optional<Link::Batch> Link::take_returned(std::uint64_t serial) {
  const auto index = find(serial);
  if (!index) return std::nullopt;
  is_peer_absent = true;
  // One that was published before may have arrived then: its messages stay in the ledger, the account decides.
  if (queue_[*index].attempts == 1) forget(serial);
  return take(*index);
}

std::optional<Link::Batch> Link::take_expired(Time then) {
  if (queue_.size() <= in_flight_ || queue_[in_flight_].sealed >= then) return std::nullopt;
  // One that was published before may have arrived: its messages stay in the ledger, the peer's account decides.
  if (queue_[in_flight_].attempts == 0) forget(queue_[in_flight_].serial);
  return take(in_flight_);
}

std::optional<Link::Batch> Link::take_front() {
  if (writer_) seal();
  if (queue_.empty()) return std::nullopt;
  if (queue_.front().attempts == 0) forget(queue_.front().serial);
  return take(0);
}

Link::Settled Link::settle(const EntryAccount& account_in) {
  Settled settled;
  if (account_in.base != base_) return settled;  // of an earlier link to the same peer
  account_asked.reset();
  auto passed = ledger_.begin();
  for (; passed != ledger_.end() && passed->end_seq <= account_in.through; ++passed) {
    accounted_messages_ += passed->messages;
  }
  ledger_.erase(ledger_.begin(), passed);
  for (std::size_t i = 0; i < settled.words.size(); ++i) {
    settled.words[i] = saturating_minus(account_in.words[i], last_account_.words[i]);
  }
  last_account_ = account_in;
  // What came back and was seen here goes on another way; what was sent back and never came is lost, too: on its link
  // it went before the account.
  returned_accounted_ = returned_received_;
  const std::uint64_t ended = sum(account_in.words) + std::min(returned_received_, account_in.returned);
  const std::uint64_t lost = saturating_minus(accounted_messages_, ended);
  settled.lost = saturating_minus(lost, lost_counted_);
  lost_counted_ = std::max(lost, lost_counted_);
  return settled;
}

bool Link::is_settled(std::uint64_t seq) const {
  if (writer_ && has_writer_messages_ && seq >= writer_first_) return false;
  return ledger_.empty() || ledger_.front().first_seq > seq;
}

std::uint64_t Link::unsettled_messages() const {
  std::uint64_t messages = writer_ ? writer_messages_ : 0;
  for (const auto& entry : ledger_) messages += entry.messages;
  // What has come back since the last account goes on another way, though no account has said so yet.
  return saturating_minus(messages, returned_received_ - returned_accounted_);
}

std::optional<Time> Link::oldest_unsettled() const {
  if (ledger_.empty()) return std::nullopt;
  return ledger_.front().sealed;
}

Link::Arrived Link::arrive(const BatchHeader& header) {
  if (header.base != in_base_) {
    if (header.base < in_base_) return {Arrival::duplicate, 0};  // a straggler of an earlier link
    in_base_ = header.base;
    in_expected_ = header.base;
    account = EntryAccount{};
    account.base = header.base;
  }
  const std::uint64_t end = header.first_seq + header.count;
  if (header.first_seq < in_expected_ || end < header.first_seq) return {Arrival::duplicate, 0};
  const std::uint64_t missed = header.first_seq - in_expected_;
  in_expected_ = end;
  account.through = end;
  return {Arrival::fresh, missed};
}

}  // namespace wsr
