#include "sim/finality.hpp"

#include <fmt/format.h>

#include "sim/truth.hpp"

namespace wsr::sim {
namespace {

std::string name_of(Word word) {
  return reason_of(word).empty() ? std::string(state_of(word))
                                 : fmt::format("{} ({})", state_of(word), reason_of(word));
}

}  // namespace

std::optional<Word> word_of(std::string_view state, std::string_view reason) {
  for (std::size_t i = 0; i < words_used; ++i) {
    const auto word = static_cast<Word>(i);
    if (state_of(word) == state && reason_of(word) == reason) return word;
  }
  return std::nullopt;
}

std::optional<std::string> ToldWords::uncounted(const WordCounts& counted) const {
  for (std::size_t i = 0; i < words_used; ++i) {
    const auto word = static_cast<Word>(i);
    if (counts_[i] <= at(counted, word)) continue;
    return fmt::format("told {} senders {}, and counts {}", counts_[i], name_of(word), at(counted, word));
  }
  return std::nullopt;
}

std::optional<std::string> fault_of_writing(const Deed& deed, std::uint64_t number) {
  if (!deed.told || *deed.told == Word::delivered || *deed.told == Word::queued) return std::nullopt;
  return fmt::format("c{} was told {} of message {} at {} ms, and it was written to c{} after that", deed.client,
                     name_of(*deed.told), number, deed.told_at / millisecond, deed.to);
}

}  // namespace wsr::sim
