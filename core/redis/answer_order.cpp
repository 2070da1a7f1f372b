#include "core/redis/answer_order.hpp"

#include <cassert>
#include <utility>

namespace wsr::redis {

std::uint64_t AnswerOrder::take_place(Ticket ticket) {
  slots_.push_back({ticket, std::nullopt});
  return first_ + slots_.size() - 1;
}

void AnswerOrder::fill(std::uint64_t place, Answer answer) {
  assert(place >= first_ && place - first_ < slots_.size());
  slots_[place - first_].answer = std::move(answer);
  while (!slots_.empty() && slots_.front().answer) {
    Slot slot = std::move(slots_.front());
    slots_.pop_front();
    ++first_;
    answers_.on_answer(slot.ticket, std::move(*slot.answer));
  }
}

}  // namespace wsr::redis
