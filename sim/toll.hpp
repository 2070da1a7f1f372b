// Toll: what a run cost its clients, in figures that can be put beside those of another routing in the same world.
//
// A message is lost if it never arrived, and its client was connected for two seconds when it was sent and stayed for
// two more, or its sender was told `delivered`; what a rate, a bound or a slow reader's policy dropped, and said so, is
// not. The window of a fault lasts from its beginning until a lease, a third of it and 5 s after its end; a client
// whose own connection breaks has one of its own.
//
// Thread-safety: plain data.
#pragma once

#include <cstdint>

namespace wsr::sim {

struct Toll {
  std::uint64_t lost_outside = 0;     // messages lost outside the windows of faults, whatever the sender was told
  std::uint64_t lost_in_silence = 0;  // in a window, and the sender was told `delivered`, or nothing
  std::uint64_t lost_and_told = 0;    // in a window, and the sender knows: any other word, or its connection ended
  std::uint64_t ghost_seconds = 0;  // of clients whom the store has where they are not, longer than a lease and a sweep
  bool operator==(const Toll&) const = default;
};

}  // namespace wsr::sim
