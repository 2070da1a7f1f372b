// Writing to a descriptor whose reader may be slow, or stuck and never read again: a pipe of which nobody takes care, a
// terminal that was stopped with Ctrl-S. Nothing that is written here may hold up a server, nor its end.
//
// Thread-safety: any thread. Errors: none thrown; what could not be written in time, or not at all, is lost.
#pragma once

#include <atomic>
#include <chrono>
#include <string_view>

namespace wsr::cli {

/// How long the end of a process waits for the reader of its last lines.
inline constexpr std::chrono::milliseconds last_words_within{1'000};

using WriteClock = std::chrono::steady_clock;

/// Waits until all of `text` is written or `deadline` is over, which may be moved meanwhile.
enum class Written : std::uint8_t { all, not_all };
Written write_until(int descriptor, std::string_view text, const std::atomic<WriteClock::time_point>& deadline);
/// The same with a deadline that stays: last_words_within from now.
Written write_soon(int descriptor, std::string_view text);

}  // namespace wsr::cli
