// Mutants: known bugs that can be switched on, each to be caught by a checker. A checker that no mutant turns red
// proves nothing.
//
// They sit between the core and its ports, where the bug would show, and never in the core itself.
//
// Thread-safety: constants.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

namespace wsr::sim {

enum class Mutant : std::uint8_t {
  none,
  unfenced_release,
  unepoched_claim,
  forgotten_kick,
  early_welcome,
  foreign_delivery,
  doubled_frame,
  swapped_frames,
  swapped_room_frames,
  lost_after_word,
  lost_room_message,
  false_offline,
  lost_batch,
  unswept_server,
  short_lease,
  miscounted_words,
  forgotten_count,
  swallowed_answer,
  rewritten_word,
  early_word,
  kept_channel,
  kept_place,
  lost_leave_event,
  doubled_join_event,
  doubled_presence_frame,
  lost_presence_frame,
  unbounded_outbox,
  silent_close,
  miscoded_close,
  scan_at_claim,
  herd_of_claims,
  shared_queue,
  deaf_for_ever,
  never_reasserts,
  unseeded,
  unsteady_figure,
  planted,
  count_
};

struct MutantName {
  std::string_view name;
  std::string_view checker;  // that must catch it
  std::string_view says;
};
inline constexpr std::array<MutantName, static_cast<std::size_t>(Mutant::count_)> mutant_names{{
    {"none", "", "no bug"},
    {"unfenced-release", "fenced-release", "a release removes the client's row, whoever wrote it"},
    {"unepoched-claim", "fenced-claim", "a late claim replaces a newer row"},
    {"forgotten-kick", "single-owner", "a displaced connection is not told, and lives on"},
    {"early-welcome", "takeover", "a connection is welcomed before its client's older one has been told to go"},
    {"foreign-delivery", "nobody-elses-mail", "a frame goes to another connection than its own"},
    {"doubled-frame", "at-most-once", "a frame is written twice"},
    {"swapped-frames", "sender-order", "two messages for a connection change places"},
    {"swapped-room-frames", "room-order", "two messages of rooms for a connection change places"},
    {"lost-after-word", "no-loss", "a message that is said to be delivered is thrown away"},
    {"lost-room-message", "nobody-deaf", "one member of a room is left out of a message"},
    {"false-offline", "follows-the-client", "a lookup says that nobody is there"},
    {"lost-batch", "reachability", "one batch in fifty does not reach its inbox"},
    {"unswept-server", "stale-rows", "a sweep says that it is done, and does nothing"},
    {"short-lease", "no-false-reap", "the store grants a quarter of the lease that it says"},
    {"miscounted-words", "words-add-up", "a message is counted as sent, and its word is not"},
    {"forgotten-count", "honest-stats", "a batch that came in is not counted"},
    {"swallowed-answer", "one-answer", "an answer to a command is thrown away"},
    {"rewritten-word", "honest-word", "a message that was delivered is said to be offline"},
    {"early-word", "finality", "the word is unknown before a message is on its way, and it is delivered afterwards"},
    {"kept-channel", "clean-zero", "the store goes on bringing a room that a server has unsubscribed"},
    {"kept-place", "clean-zero", "a connection that ended is said to be out of its room, and is not"},
    {"lost-leave-event", "presence", "a leave changes the roster, and nobody is told"},
    {"doubled-join-event", "presence", "a join is told twice"},
    {"doubled-presence-frame", "presence", "one member hears a join or a leave twice"},
    {"lost-presence-frame", "nobody-deaf", "one member is left out of a join or a leave"},
    {"unbounded-outbox", "bounded-queue", "the outbox of a slow reader grows and grows"},
    {"silent-close", "no-silence", "a refused connection is cut without a close frame"},
    {"miscoded-close", "close-codes", "a displaced connection is closed as if its server had failed"},
    {"scan-at-claim", "bounded-work", "a server looks up every client that it has whenever one connects"},
    {"herd-of-claims", "herd", "a server that the store has forgotten claims all its connections again at once"},
    {"shared-queue", "isolation", "while one reader's outbox waits, its server's other clients wait with it"},
    {"deaf-for-ever", "hears-itself", "a deaf server does not subscribe again"},
    {"never-reasserts", "comes-right", "a server that was forgotten does not claim again"},
    {"unseeded", "determinism", "a client's first delay before it comes back is drawn from outside the seed"},
    {"unsteady-figure", "determinism", "the count of ghosts comes from outside the seed; no event does"},
    {"planted", "one-answer",
     "one answer in five millions is thrown away: one schedule of `takeover` in twelve thousand shows it"},
}};

[[nodiscard]] constexpr std::optional<Mutant> mutant_of(std::string_view name) {
  for (std::size_t i = 0; i < mutant_names.size(); ++i) {
    if (mutant_names[i].name == name) return static_cast<Mutant>(i);
  }
  return std::nullopt;
}

}  // namespace wsr::sim
