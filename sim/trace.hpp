// Trace: a run in words: every note of every event, and which event made which. Recorded in a second run of the same
// seed, which is the same run.
//
// Thread-safety: none; part of one run. Bounds: notes_max notes and events_max causes, of which the oldest go;
// facts_max facts and marks_max marks, of which the first stay.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <vector>

#include "sim/kernel.hpp"

namespace wsr::sim {

class Trace final : public Observer {
public:
  static constexpr std::size_t notes_max = 400'000;
  static constexpr std::size_t events_max = 8'000'000;
  static constexpr std::size_t facts_max = 2'000'000;  // then nothing is drawn any more
  static constexpr std::size_t marks_max = 5'000;      // as many as a page can list

  struct Note {
    std::uint64_t event = 0;
    Nanos at = 0;
    std::string text;
  };
  /// A step, a finding, or an expectation that does not hold: kept whatever its age.
  struct Mark {
    Note note;
    std::uint64_t place = 0;  // among all notes, from 0
  };

  void on_event(std::uint64_t number, const Event& event) override;
  void on_note(std::uint64_t number, Nanos at, std::string&& text) override;
  void on_fact(const Fact& fact) override {
    if (facts_.size() < facts_max) {
      facts_.push_back(fact);
    } else {
      ++facts_left_out_;
    }
  }

  [[nodiscard]] const std::deque<Note>& notes() const { return notes_; }
  [[nodiscard]] const std::vector<Fact>& facts() const { return facts_; }
  [[nodiscard]] std::uint64_t facts_left_out() const { return facts_left_out_; }
  [[nodiscard]] const std::vector<Mark>& marks() const { return marks_; }
  [[nodiscard]] std::uint64_t marks_left_out() const { return marks_left_out_; }
  [[nodiscard]] std::uint64_t notes_left_out() const { return notes_left_out_; }
  /// The event that made this one; 0 if it is not known.
  [[nodiscard]] std::uint64_t cause_of(std::uint64_t event) const;
  struct Subjects {
    std::string message;  // "m228", in its data; empty: it is about none
    std::string client;   // the same
  };
  /// How it came to `event`: the notes of the events that led to it, the oldest first, all of the message, and of what
  /// was said about the client shortly before; at most `lines`.
  [[nodiscard]] std::vector<Note> why(std::uint64_t event, const Subjects& subjects, std::size_t lines) const;

private:
  std::deque<Note> notes_;
  std::vector<Mark> marks_;
  std::vector<Fact> facts_;
  std::uint64_t notes_left_out_ = 0, facts_left_out_ = 0, marks_left_out_ = 0;
  std::deque<std::uint64_t> causes_;
  std::uint64_t first_ = 1;  // number of causes_.front()
};

/// `#18201  77.256 s  text`
[[nodiscard]] std::string format_note(const Trace::Note& note);

}  // namespace wsr::sim
