#include "core/routing/outbox.hpp"

#include <algorithm>
#include <cassert>
#include <utility>

namespace wsr {
namespace {

constexpr std::size_t share_bytes_min = 1024;

bool is_message(Topic topic) { return topic != Topic::answer; }
bool is_room(Topic topic) { return topic >= Topic::first_room; }

}  // namespace

std::string_view to_string(SlowPolicy policy) {
  switch (policy) {
    case SlowPolicy::drop:
      return "drop";
    case SlowPolicy::drop_oldest:
      return "drop_oldest";
    case SlowPolicy::keep_latest:
      return "keep_latest";
    case SlowPolicy::disconnect:
      break;
  }
  return "disconnect";
}

std::size_t OutboxRules::bound() const {
  if (!budget.is_exceeded()) return bytes_max;
  const std::size_t share = budget.bytes_max / std::max<std::size_t>(budget.connections, 1);
  return std::min(bytes_max, std::max(share, share_bytes_min));
}

Outbox::Verdict Outbox::offer(Frame frame, Topic topic) {
  const std::size_t bound = rules_->bound();
  // What a room's newer message would replace goes only if the newer one is taken.
  std::size_t replaced = replaced_by(topic);
  if (cost() != replaced && cost() - replaced + cost_of(frame) > bound) {
    const std::size_t left = cost_of(frame) >= bound ? 0 : bound - cost_of(frame);
    if (rules_->policy == SlowPolicy::drop_oldest) drop_oldest(left);
    if (rules_->policy == SlowPolicy::keep_latest && !latest_) {
      begin_coalescing();
      replaced = replaced_by(topic);
    }
    if (cost() - replaced > left) {
      if (!is_message(topic)) return Verdict::slow_consumer;
      ++dropped_;
      return rules_->policy == SlowPolicy::disconnect ? Verdict::disconnect : Verdict::slow_consumer;
    }
  }
  if (latest_ && is_room(topic)) {
    coalesce(topic);
    latest_->insert_or_assign(topic, erased_ + frames_.size());
  }
  return append(std::move(frame), topic);
}

Outbox::Verdict Outbox::offer_control(Frame frame) { return append(std::move(frame), Topic::answer); }

Outbox::Verdict Outbox::append(Frame frame, Topic topic) {
  if (frame.size() == 0) return Verdict::queued;  // nothing to write; an empty place is a dropped frame's
  const bool was_empty = bytes_ == 0;
  bytes_ += frame.size();
  rules_->budget.bytes += cost_of(frame);
  frames_.push_back({std::move(frame), topic});
  return was_empty && !is_held_ ? Verdict::queued_first : Verdict::queued;
}

void Outbox::drop(Waiting& waiting) {
  bytes_ -= waiting.frame.size();
  rules_->budget.bytes -= cost_of(waiting.frame);
  waiting.frame = Frame{};
  ++dropped_;
  ++tombstones_;
}

void Outbox::drop_oldest(std::size_t cost_left) {
  // Each frame is looked at once: what lies before looked_at_ is kept, or gone.
  looked_at_ = std::max(looked_at_, static_cast<std::uint32_t>(first_whole()));
  for (; cost() > cost_left && looked_at_ < frames_.size(); ++looked_at_) {
    Waiting& waiting = frames_[looked_at_];
    if (waiting.frame.size() != 0 && is_message(waiting.topic)) drop(waiting);
  }
  compact();
}

void Outbox::begin_coalescing() {
  latest_ = std::make_unique<Latest>();
  for (std::size_t i = frames_.size(); i > first_whole(); --i) {
    Waiting& waiting = frames_[i - 1];
    if (waiting.frame.size() == 0 || !is_room(waiting.topic)) continue;
    if (!latest_->emplace(waiting.topic, erased_ + i - 1).second) drop(waiting);
  }
  compact();
}

std::size_t Outbox::replaced_by(Topic topic) const {
  if (!latest_ || !is_room(topic)) return 0;
  const auto older = latest_->find(topic);
  if (older == latest_->end() || older->second < erased_ + first_whole()) return 0;
  return cost_of(frames_[older->second - erased_].frame);
}

void Outbox::coalesce(Topic topic) {
  const auto older = latest_->find(topic);
  if (older == latest_->end()) return;
  const std::uint64_t place = older->second;
  latest_->erase(older);
  if (place < erased_ + first_whole()) return;  // written, or on its way
  drop(frames_[place - erased_]);
  compact();
}

void Outbox::compact() {
  while (head_ < frames_.size() && offset_ == 0 && frames_[head_].frame.size() == 0) {
    ++head_;
    --tombstones_;
  }
  // Seldom enough that every frame is moved a bounded number of times, often enough that a reader who takes nothing
  // costs no more than what waits for it.
  if (head_ + tombstones_ <= 64 || (head_ + tombstones_) * 2 <= frames_.size()) return;
  std::vector<Waiting> live;
  live.reserve(frames_.size() - head_ - tombstones_);
  for (std::size_t i = head_; i < frames_.size(); ++i) {
    if (frames_[i].frame.size() == 0) continue;
    if (latest_ && is_room(frames_[i].topic)) {
      if (const auto known = latest_->find(frames_[i].topic); known != latest_->end() && known->second == erased_ + i) {
        known->second = erased_ + frames_.size() + live.size();
      }
    }
    live.push_back(std::move(frames_[i]));
  }
  erased_ += frames_.size();
  frames_ = std::move(live);
  head_ = looked_at_ = tombstones_ = 0;
}

Outbox::Verdict Outbox::begin(std::span<const Frame> first) {
  assert(is_held_ && head_ == 0 && offset_ == 0);
  is_held_ = false;
  std::vector<Waiting> frames;
  for (const Frame& frame : first) {
    if (frame.size() == 0) continue;
    frames.push_back({frame, Topic::answer});
    bytes_ += frame.size();
    rules_->budget.bytes += cost_of(frame);
  }
  for (Waiting& waiting : frames_) {
    if (waiting.frame.size() != 0) frames.push_back(std::move(waiting));
  }
  frames_ = std::move(frames);
  looked_at_ = tombstones_ = 0;
  latest_.reset();
  return bytes_ != 0 ? Verdict::queued_first : Verdict::queued;
}

std::size_t Outbox::gather(std::span<std::string_view> pieces) const {
  if (is_held_) return 0;
  std::size_t filled = 0;
  for (std::size_t i = head_; i < frames_.size() && filled < pieces.size(); ++i) {
    auto bytes = frames_[i].frame.bytes();
    if (bytes.empty()) continue;  // dropped
    if (i == head_) bytes.remove_prefix(offset_);
    pieces[filled++] = bytes;
  }
  return filled;
}

Topic Outbox::next_topic() const {
  std::size_t next = head_;
  while (frames_[next].frame.size() == 0) ++next;
  return frames_[next].topic;
}

void Outbox::taken(std::size_t bytes) {
  assert(bytes <= bytes_);
  bytes_ -= bytes;
  rules_->budget.bytes -= bytes;
  while (bytes != 0) {
    Frame& frame = frames_[head_].frame;
    if (frame.size() == 0) {
      ++head_;
      --tombstones_;
      continue;
    }
    const std::size_t left = frame.size() - offset_;
    if (bytes < left) {
      offset_ += bytes;
      break;
    }
    bytes -= left;
    offset_ = 0;
    frame = Frame{};
    ++head_;
    rules_->budget.bytes -= rules_->overhead;
  }
  if (bytes_ == 0) {
    clear();
  } else {
    compact();
  }
}

std::uint32_t Outbox::take_dropped() { return std::exchange(dropped_, 0); }

std::size_t Outbox::messages() const {
  return static_cast<std::size_t>(std::count_if(frames_.begin() + head_, frames_.end(), [](const Waiting& waiting) {
    return waiting.frame.size() != 0 && is_message(waiting.topic);
  }));
}

std::size_t Outbox::cut() {
  const std::size_t before = messages();
  const std::size_t cost_before = cost();
  if (offset_ == 0) {
    clear();
  } else {
    bytes_ = frames_[head_].frame.size() - offset_;
    frames_.resize(head_ + 1);
    latest_.reset();
    looked_at_ = tombstones_ = 0;
    rules_->budget.bytes -= cost_before - cost();
  }
  dropped_ = 0;
  return before - messages();
}

void Outbox::clear() {
  // A burst's vector is given back; a handful of slots stays for the next message.
  rules_->budget.bytes -= cost();
  frames_.clear();
  if (frames_.capacity() > 16) frames_.shrink_to_fit();
  latest_.reset();
  head_ = looked_at_ = tombstones_ = 0;
  offset_ = bytes_ = 0;
}

}  // namespace wsr
