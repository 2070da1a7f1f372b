// AnswerOrder: answers handed out in the order in which their places were taken.
//
// A call of several steps, or one whose script the store had forgotten, is done later than a call made after it.
//
// Thread-safety: none.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>

#include "core/store/store.hpp"

namespace wsr::redis {

class AnswerOrder {
public:
  explicit AnswerOrder(AnswerSink& answers) : answers_(answers) {}
  [[nodiscard]] std::uint64_t take_place(Ticket ticket);
  /// REQUIRES: `place` was taken and not yet filled.
  void fill(std::uint64_t place, Answer answer);

private:
  struct Slot {
    Ticket ticket;
    std::optional<Answer> answer;
  };
  AnswerSink& answers_;
  std::deque<Slot> slots_;
  std::uint64_t first_ = 0;  // the place of slots_.front()
};

}  // namespace wsr::redis
