// Finality: after the outcome of a message has been told to its sender the message is not delivered, and each server
// counts the outcomes that were told (G5).
//
//   answers, as senders read them ──▶ Finality ◀── what servers write, and what they count
//
// Thread-safety: none; part of one run. Cost: O(1) an answer.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/routing/outcome.hpp"
#include "sim/kernel.hpp"

namespace wsr::sim {

struct Deed;

/// The outcomes of messages that the senders at one server have read.
class ToldWords {
public:
  void on_told(Word word) { ++counts_[static_cast<std::size_t>(word)]; }
  /// The first that was told more often than it was counted, in words; none if all are counted.
  [[nodiscard]] std::optional<std::string> uncounted(const WordCounts& counted) const;

private:
  std::array<std::uint64_t, words_used> counts_{};
};

/// The outcome that stands in an answer; none: another state.
[[nodiscard]] std::optional<Word> word_of(std::string_view state, std::string_view reason);

/// What is wrong with writing this message to its receiver now, in words; none if nothing is.
[[nodiscard]] std::optional<std::string> fault_of_writing(const Deed& deed, std::uint64_t number);

}  // namespace wsr::sim
