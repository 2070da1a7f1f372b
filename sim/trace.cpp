#include "sim/trace.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <set>
#include <utility>

namespace wsr::sim {
namespace {

bool is_mark(std::string_view text) {
  return text.starts_with("STEP ") || text.starts_with("FINDING ") || text.starts_with("EXPECTATION ");
}

/// Whole words only: c5 is not c52.
bool names(std::string_view text, std::string_view word) {
  const auto is_part = [&text](std::size_t at) {
    return at < text.size() && std::isalnum(static_cast<unsigned char>(text[at])) != 0;
  };
  for (auto at = text.find(word); !word.empty() && at != std::string_view::npos; at = text.find(word, at + 1)) {
    if ((at == 0 || !is_part(at - 1)) && !is_part(at + word.size())) return true;
  }
  return false;
}

/// What a client says and hears all the time is no reason.
bool is_chatter(std::string_view text) {
  return text.find("hears {\"op\":\"message\"") != std::string_view::npos ||
         text.find("hears {\"op\":\"room\"") != std::string_view::npos ||
         text.find("hears {\"op\":\"result\"") != std::string_view::npos ||
         text.find("says {\"op\":\"send\"") != std::string_view::npos ||
         text.find("says {\"op\":\"push\"") != std::string_view::npos;
}

}  // namespace

void Trace::on_event(std::uint64_t number, const Event& event) {
  if (causes_.empty()) first_ = number;
  causes_.push_back(event.cause);
  if (causes_.size() <= events_max) return;
  causes_.pop_front();
  ++first_;
}

void Trace::on_note(std::uint64_t number, Nanos at, std::string&& text) {
  if (is_mark(text)) {
    if (marks_.size() < marks_max) {
      marks_.push_back({{number, at, text}, notes_left_out_ + notes_.size()});
    } else {
      ++marks_left_out_;
    }
  }
  notes_.push_back({number, at, std::move(text)});
  if (notes_.size() <= notes_max) return;
  notes_.pop_front();
  ++notes_left_out_;
}

std::uint64_t Trace::cause_of(std::uint64_t event) const {
  if (event < first_ || event - first_ >= causes_.size()) return 0;
  return causes_[event - first_];
}

std::vector<Trace::Note> Trace::why(std::uint64_t event, const Subjects& subjects, std::size_t lines) const {
  std::set<std::uint64_t> chain;
  for (std::uint64_t each = event; each != 0 && chain.size() < lines; each = cause_of(each)) chain.insert(each);
  // A message's data is its number behind an m; its answer names it by its number.
  const std::string answer =
      subjects.message.starts_with('m') ? fmt::format("\"id\":\"{}\"", subjects.message.substr(1)) : std::string();
  // From the newest on: the steps, the causes and the message are reasons; what else the client did fills up.
  std::vector<std::size_t> reasons, others;  // places in notes_
  for (std::size_t place = notes_.size(); place-- > 0;) {
    const Note& note = notes_[place];
    if (note.event > event) continue;
    // What else is wrong is no reason.
    if (note.text.starts_with("FINDING") && !names(note.text, subjects.message) && !names(note.text, subjects.client))
      continue;
    if (chain.contains(note.event) || note.text.starts_with("STEP") || names(note.text, subjects.message) ||
        (!answer.empty() && note.text.find(answer) != std::string::npos)) {
      if (reasons.size() < lines) reasons.push_back(place);
    } else if (others.size() < lines / 2 && !is_chatter(note.text) && names(note.text, subjects.client)) {
      others.push_back(place);
    }
  }
  others.resize(std::min(others.size(), lines - reasons.size()));
  reasons.insert(reasons.end(), others.begin(), others.end());
  std::sort(reasons.begin(), reasons.end());
  std::vector<Note> found;
  found.reserve(reasons.size());
  for (const std::size_t place : reasons) found.push_back(notes_[place]);
  return found;
}

std::string format_note(const Trace::Note& note) {
  return fmt::format("#{:<9} {:>12.6f} s  {}", note.event, static_cast<double>(note.at) / static_cast<double>(second),
                     note.text);
}

}  // namespace wsr::sim
