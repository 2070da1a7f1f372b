// Outbox: frames accepted for one connection and not yet written to its socket.
//
// This is the one place where a slow client shows. offer() never blocks and never grows past its
// bound; the Verdict tells the caller what to do next. gather() and taken() are for the writer: it
// writes what gather() points at with one gather write and says how many bytes went out.
//
// Thread-safety: none; an Outbox belongs to one shard.
// Errors:        none; a refused frame is a Verdict, not a failure.
// Bounds:        bytes_max: 4 MiB by default, at least 1 KiB (what one stalled client may cost). One frame is
//                always accepted into an empty outbox, whatever its size (message size has its own limit).
// Cost:          offer() and taken() are amortised O(1); an empty outbox keeps at most 16 slots.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "core/routing/frame.hpp"

namespace wsr {

class Outbox {
public:
  enum class Verdict : std::uint8_t {
    queued,         // accepted behind others
    queued_first,   // accepted into an empty outbox: wake the writer
    slow_consumer,  // refused at the bound: nothing changed
  };

  explicit Outbox(std::size_t bytes_max) : bytes_max_(bytes_max) {}

  [[nodiscard]] Verdict offer(Frame frame);

  /// Control frames (pong, close, an error that explains a drop) pass the bound: they are few and small.
  [[nodiscard]] Verdict offer_control(Frame frame);

  /// Fills `pieces` with the next bytes to write, in order; returns how many pieces were filled.
  [[nodiscard]] std::size_t gather(std::span<std::string_view> pieces) const;

  /// `bytes` of what gather() showed are written.
  void taken(std::size_t bytes);

  /// Shows the writer nothing until begin(): what is offered meanwhile waits.
  void hold() { is_held_ = true; }
  /// Ends hold(): `first` goes out before everything offered meanwhile. REQUIRES: is_held().
  [[nodiscard]] Verdict begin(std::span<const Frame> first);
  [[nodiscard]] bool is_held() const { return is_held_; }

  void clear();
  /// True if there is nothing to write now.
  [[nodiscard]] bool is_empty() const { return bytes_ == 0 || is_held_; }
  [[nodiscard]] std::size_t bytes() const { return bytes_; }
  [[nodiscard]] std::size_t frames() const { return frames_.size() - head_; }

private:
  std::vector<Frame> frames_;  // frames_[head_..] wait; those before are written
  std::size_t head_ = 0;
  std::size_t offset_ = 0;  // bytes of frames_[head_] already written
  std::size_t bytes_ = 0;   // all that waits
  std::size_t bytes_max_;
  bool is_held_ = false;
};

}  // namespace wsr
