#include "core/routing/outbox.hpp"

#include <cassert>
#include <utility>

namespace wsr {

Outbox::Verdict Outbox::offer(Frame frame) {
  if (bytes_ != 0 && bytes_ + frame.size() > bytes_max_) return Verdict::slow_consumer;
  return offer_control(std::move(frame));
}

Outbox::Verdict Outbox::offer_control(Frame frame) {
  const bool was_empty = bytes_ == 0;
  bytes_ += frame.size();
  frames_.push_back(std::move(frame));
  return was_empty && !is_held_ ? Verdict::queued_first : Verdict::queued;
}

Outbox::Verdict Outbox::begin(std::span<const Frame> first) {
  assert(is_held_ && head_ == 0 && offset_ == 0);
  is_held_ = false;
  std::vector<Frame> frames;
  for (const Frame& frame : first) {
    if (frame.size() != 0) frames.push_back(frame);
    bytes_ += frame.size();
  }
  frames.insert(frames.end(), frames_.begin(), frames_.end());
  frames_ = std::move(frames);
  return bytes_ != 0 ? Verdict::queued_first : Verdict::queued;
}

std::size_t Outbox::gather(std::span<std::string_view> pieces) const {
  if (is_held_) return 0;
  std::size_t filled = 0;
  for (std::size_t i = head_; i < frames_.size() && filled < pieces.size(); ++i) {
    auto bytes = frames_[i].bytes();
    if (i == head_) bytes.remove_prefix(offset_);
    pieces[filled++] = bytes;
  }
  return filled;
}

void Outbox::taken(std::size_t bytes) {
  assert(bytes <= bytes_);
  bytes_ -= bytes;
  while (bytes != 0) {
    const std::size_t left = frames_[head_].size() - offset_;
    if (bytes < left) {
      offset_ += bytes;
      break;
    }
    bytes -= left;
    offset_ = 0;
    frames_[head_++] = Frame{};
  }
  if (bytes_ == 0) {
    clear();
  } else if (head_ > 64 && head_ * 2 > frames_.size()) {
    // A reader that always lags a little must not make the vector grow for ever.
    frames_.erase(frames_.begin(), frames_.begin() + static_cast<std::ptrdiff_t>(head_));
    head_ = 0;
  }
}

void Outbox::clear() {
  // A burst's vector is given back; a handful of slots stays for the next message.
  frames_.clear();
  if (frames_.capacity() > 16) frames_.shrink_to_fit();
  head_ = offset_ = bytes_ = 0;
}

}  // namespace wsr
