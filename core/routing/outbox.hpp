// Outbox: frames accepted for one connection and not yet written to its socket.
//
// This is the one place where a slow client shows. offer() never blocks and never grows past its bound; what happens
// at the bound is the policy's:
//
//   drop         the new frame is refused: the reader gets the beginning, then a gap
//   drop_oldest  waiting messages go, the oldest first: the reader gets the newest
//   keep_latest  from now on until all is written, of each room only its latest message waits (tickers: the last value
//                counts); what does not fit then is refused, as all direct messages are
//   disconnect   the new frame is refused and the connection is to be closed with 1013
//
// Only messages are dropped for newer ones; answers to the client's own commands stay. The number of dropped messages
// is kept until the client can be told: is_tell_due() once half of the bound is free again.
//
// gather() and taken() are for the writer: it writes what gather() points at with one gather write and says how many
// bytes went out. A frame of which a byte has been written is never dropped.
//
// Thread-safety: none; an Outbox belongs to one shard.
// Errors:        none; a refused frame is a Verdict, not a failure.
// Bounds:        OutboxRules::bytes_max: 4 MiB by default, at least 1 KiB (what one stalled client may cost). One frame
//                is always accepted into an empty outbox, whatever its size (message size has its own limit). While the
//                process is above OutboxBudget::bytes_max, the bound of each connection is its fair share, if that is
//                less: total / connections, at least 1 KiB. A frame counts with OutboxRules::overhead.
// Cost:          offer() and taken() are amortised O(1), also at the bound; an empty outbox keeps at most 16 slots.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/routing/frame.hpp"

namespace wsr {

enum class SlowPolicy : std::uint8_t { drop, drop_oldest, keep_latest, disconnect };
/// `drop`, `drop_oldest`, `keep_latest`, `disconnect`.
[[nodiscard]] std::string_view to_string(SlowPolicy policy);

/// What all connections of a process may have waiting. Each shard has its own object and counts in it without locks;
/// the driver tells it from time to time what the other shards hold.
struct OutboxBudget {
  std::size_t bytes_max = std::size_t{1} << 30;  // 1 GiB: of the whole process
  std::size_t bytes = 0;                         // waiting in the outboxes of this shard
  std::size_t bytes_elsewhere = 0;               // in those of the process' other shards, as last told
  std::size_t connections = 1;                   // of the process, as last told
  [[nodiscard]] bool is_exceeded() const { return bytes + bytes_elsewhere > bytes_max; }
};

/// What a queued frame takes besides its bytes: its place in the queue (16, and up to twice that, as vectors grow), the
/// head of its block (16), and what the allocator keeps and rounds up (about 16).
inline constexpr std::size_t frame_overhead_bytes = 64;

/// What the outboxes of one shard share.
struct OutboxRules {
  std::size_t bytes_max = 4 * 1024 * 1024;
  SlowPolicy policy = SlowPolicy::drop;
  OutboxBudget budget;
  /// Counted for each frame, beside its bytes, in the bound and in the budget. The Router's is frame_overhead_bytes: of
  /// frames of two bytes each the memory would else be thirty times what was counted.
  std::size_t overhead = 0;
  /// The bound of one connection now.
  [[nodiscard]] std::size_t bound() const;
};

/// What a frame is to the policy: an answer, a direct message, or a message of the room with this number.
enum class Topic : std::uint32_t {
  answer = 0,  // kept whatever the policy; refused at the bound
  direct = 1,
  presence = 2,    // who came and went: dropped as direct messages are
  first_room = 3,  // first_room + n: room number n of the shard
};

class Outbox {
public:
  enum class Verdict : std::uint8_t {
    queued,         // accepted behind others
    queued_first,   // accepted into an empty outbox: wake the writer
    slow_consumer,  // refused at the bound, counted in dropped() unless it is an answer
    disconnect,     // as slow_consumer, and the policy wants the connection closed with 1013
  };

  /// `rules` outlives it.
  explicit Outbox(OutboxRules& rules) : rules_(&rules) {}
  ~Outbox() { clear(); }
  Outbox(const Outbox&) = delete;
  Outbox& operator=(const Outbox&) = delete;

  [[nodiscard]] Verdict offer(Frame frame, Topic topic = Topic::answer);

  /// Control frames (pong, close, an error that explains a drop) pass the bound: they are few and small.
  [[nodiscard]] Verdict offer_control(Frame frame);

  /// Fills `pieces` with the next bytes to write, in order; returns how many pieces were filled.
  [[nodiscard]] std::size_t gather(std::span<std::string_view> pieces) const;
  /// What the next piece of gather() is part of. REQUIRES: !is_empty().
  [[nodiscard]] Topic next_topic() const;

  /// `bytes` of what gather() showed are written.
  void taken(std::size_t bytes);

  /// Shows the writer nothing until begin(): what is offered meanwhile waits.
  void hold() { is_held_ = true; }
  /// Ends hold(): `first` goes out before everything offered meanwhile. REQUIRES: is_held().
  [[nodiscard]] Verdict begin(std::span<const Frame> first);
  [[nodiscard]] bool is_held() const { return is_held_; }

  /// Messages for this connection that were lost before they got here: told with those dropped here.
  void note_dropped(std::uint32_t count) { dropped_ += count; }
  /// Messages dropped since take_dropped().
  [[nodiscard]] std::uint32_t dropped() const { return dropped_; }
  /// True once the client can hear of them: half of the bound is free again.
  [[nodiscard]] bool is_tell_due() const { return dropped_ != 0 && !is_held_ && cost() <= rules_->bound() / 2; }
  /// dropped(), which begins at 0 again.
  [[nodiscard]] std::uint32_t take_dropped();

  void clear();
  /// Drops all that waits but the rest of a frame that is half written, for a close frame that is to follow it. How
  /// many messages went; nobody is told of them any more.
  std::size_t cut();
  /// Messages that wait, one that is half written included.
  [[nodiscard]] std::size_t messages() const;
  /// True if there is nothing to write now.
  [[nodiscard]] bool is_empty() const { return bytes_ == 0 || is_held_; }
  [[nodiscard]] std::size_t bytes() const { return bytes_; }
  /// What it counts as: the bytes, and the overhead of each frame.
  [[nodiscard]] std::size_t cost() const { return bytes_ + frames() * rules_->overhead; }
  /// At its bound: what may be left out (a pong) should be.
  [[nodiscard]] bool is_full() const { return cost() >= rules_->bound(); }
  /// Waiting, those already dropped left out.
  [[nodiscard]] std::size_t frames() const { return frames_.size() - head_ - tombstones_; }
  /// Places in memory, those of dropped frames included.
  [[nodiscard]] std::size_t slots() const { return frames_.capacity(); }

private:
  struct Waiting {
    Frame frame;  // empty: dropped
    Topic topic = Topic::answer;
  };
  using Latest = std::unordered_map<Topic, std::uint64_t>;  // room -> place of its latest frame, see erased_

  Verdict append(Frame frame, Topic topic);
  void drop(Waiting& waiting);
  void drop_oldest(std::size_t cost_left);
  void begin_coalescing();
  void coalesce(Topic topic);
  /// Cost of the waiting message that a newer one of this room takes the place of.
  [[nodiscard]] std::size_t replaced_by(Topic topic) const;
  [[nodiscard]] std::size_t cost_of(const Frame& frame) const { return frame.size() + rules_->overhead; }
  void compact();
  /// The first frame of which no byte is written.
  [[nodiscard]] std::size_t first_whole() const { return head_ + (offset_ != 0 ? 1 : 0); }

  std::vector<Waiting> frames_;  // frames_[head_..] wait; those before are written
  OutboxRules* rules_;
  std::size_t offset_ = 0;  // bytes of frames_[head_] already written
  std::size_t bytes_ = 0;   // all that waits
  std::uint32_t head_ = 0;
  std::uint32_t looked_at_ = 0;   // drop_oldest: what lies before has been kept, or is gone
  std::uint32_t tombstones_ = 0;  // dropped frames in frames_[head_..]
  std::uint32_t dropped_ = 0;
  std::uint64_t erased_ = 0;        // a frame's place: this plus its index, whatever compact() moves
  std::unique_ptr<Latest> latest_;  // keep_latest: from the bound on until the outbox is empty
  bool is_held_ = false;
};

}  // namespace wsr
