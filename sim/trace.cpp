#include "sim/trace.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <utility>

namespace wsr::sim {
namespace {

bool is_mark(std::string_view text) {
  return text.starts_with("STEP ") || text.starts_with("FINDING ") || text.starts_with("EXPECTATION ");
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

std::vector<Trace::Note> Trace::why(std::uint64_t event, std::string_view subject, std::size_t lines) const {
  std::set<std::uint64_t> chain;
  for (std::uint64_t each = event; each != 0 && chain.size() < lines; each = cause_of(each)) chain.insert(each);
  std::vector<Note> found;
  std::size_t about = 0;
  for (auto note = notes_.rbegin(); note != notes_.rend() && found.size() < lines; ++note) {
    if (note->event > event) continue;
    const bool is_step = note->text.starts_with("STEP");
    // Whole words only: c5 is not c52.
    bool is_about = false;
    // What it was sent all the time is no reason.
    const bool is_chatter = note->text.find("hears {\"op\":\"message\"") != std::string::npos ||
                            note->text.find("hears {\"op\":\"room\"") != std::string::npos;
    if (!subject.empty() && !is_chatter && about < lines / 2) {
      for (auto at = note->text.find(subject); at != std::string::npos; at = note->text.find(subject, at + 1)) {
        const std::size_t end = at + subject.size();
        const bool ends = end >= note->text.size() || std::isalnum(static_cast<unsigned char>(note->text[end])) == 0;
        const bool begins = at == 0 || std::isalnum(static_cast<unsigned char>(note->text[at - 1])) == 0;
        if (ends && begins) is_about = true;
      }
    }
    if (!chain.contains(note->event) && !is_about && !is_step) continue;
    about += is_about ? 1 : 0;
    found.push_back(*note);
  }
  std::reverse(found.begin(), found.end());
  return found;
}

std::string format_note(const Trace::Note& note) {
  return fmt::format("#{:<9} {:>12.6f} s  {}", note.event, static_cast<double>(note.at) / static_cast<double>(second),
                     note.text);
}

}  // namespace wsr::sim
