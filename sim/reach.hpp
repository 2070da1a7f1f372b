// Reach: whoever has a row at a live server is reached, whatever becomes of other servers (G3).
//
//   claims at the store ──▶ Reach ◀── the servers' troubles, as the scenario makes them
//
// A message is owed if, when it is sent, the receiver has held its row at a live server for longer than a round trip,
// and neither that server nor the sender's, nor the store, is or was just in trouble. Trouble elsewhere excuses one
// thing: a server that is gone or hard to hear may still be written to until its lease and a sweep's 2 s are over, by
// whoever knew the receiver there.
//
// Thread-safety: none; part of one run. Memory: 48 bytes a client, 24 bytes a trouble.
#pragma once

#include <array>
#include <cstdint>
#include <limits>
#include <optional>
#include <vector>

#include "core/routing/ports.hpp"
#include "sim/population.hpp"

namespace wsr::sim {

struct Deed;

class Reach {
public:
  static constexpr std::uint32_t everywhere = 0;  // the store; servers are numbered from 1
  enum class Trouble : std::uint8_t {
    told,    // others learn of it at once: the store counts no subscriber
    still,   // it stands still, its lease runs out, and what is sent to it waits
    silent,  // nothing gets through to it any more, and its lease runs out
    lame,    // it keeps its lease and may miss what is sent to it
  };

  explicit Reach(Parts& parts);

  /// Troubles nest; one that ends at once is a moment.
  void trouble_begins(std::uint32_t server, Trouble kind);
  void trouble_ends(std::uint32_t server);

  void on_claim(const ClaimCall& request, const std::optional<OwnerRow>& before, const std::optional<OwnerRow>& after);
  void on_released(std::uint32_t client);
  void on_forgotten() { rows_.assign(rows_.size(), {}); }

  /// A message that is sent now, over the connection `from`, to whoever has the connection `to`.
  [[nodiscard]] bool owes(const Conn& from, const Conn& to) const;
  /// What the store passes on to that server gets there: it is not cut off, nor deaf, nor was it just now.
  [[nodiscard]] bool can_be_told(std::uint32_t server) const;
  /// Nothing happened to these servers or the store on its way.
  [[nodiscard]] bool was_clear(std::uint32_t from, std::uint32_t to, Nanos sent_at) const;

  /// Until a message has either arrived or expired: a send's own deadline, and the way back.
  static constexpr Nanos reached_within = 6 * second;

private:
  static constexpr Nanos round_trip = 250 * millisecond;  // five times what a mild link to the store takes
  static constexpr Nanos never = std::numeric_limits<Nanos>::max();
  struct Row {
    std::uint32_t server = 0;
    std::uint32_t life = 0;
    ConnId conn;
    Nanos since = 0;
  };
  struct Span {
    Nanos from = 0, to = never;
    bool is_unheard = false;  // what is sent to it may be lost
  };
  struct History {
    std::uint32_t going_on = 0;
    std::vector<Span> spans;
  };
  [[nodiscard]] bool is_well(std::uint32_t server) const;
  [[nodiscard]] bool was_well(std::uint32_t server, Nanos from, Nanos to) const;
  [[nodiscard]] Nanos lease() const;
  /// What a server or the store has to make good takes a renewal, a walk over all rows, and a backoff.
  [[nodiscard]] Nanos recovers_within() const { return lease() + lease() / 3 + 5 * second; }
  void doubt(std::uint32_t client);

  Parts& parts_;
  std::vector<History> histories_;     // by server
  std::vector<Row> rows_;              // by client
  std::vector<Nanos> doubtful_until_;  // by client: it may be written to where it was
  static constexpr std::size_t visits_kept = 4;
  std::vector<std::array<std::uint16_t, visits_kept>> visits_;  // by client: the servers of its last rows, newest first
};

}  // namespace wsr::sim
