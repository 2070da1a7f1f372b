// Backend: one set of ports over one store, with its life cycle. Memory, Redis, the simulator's.
#pragma once

#include "core/routing/ports.hpp"
#include "core/routing/tables.hpp"
#include "core/wire/envelope.hpp"

namespace wsr {

class Backend {
public:
  virtual ~Backend() = default;
  /// Begins to connect. Answers and bus messages go to the sink and listener given at construction.
  virtual void start() = 0;
  /// Fails what is pending as `unavailable` and closes. No call may follow.
  virtual void stop() = 0;
  [[nodiscard]] virtual Directory& directory() = 0;
  [[nodiscard]] virtual Bus& bus() = 0;
  [[nodiscard]] virtual Rosters& rosters() = 0;
  [[nodiscard]] virtual Rates& rates() = 0;
  [[nodiscard]] virtual Tables& tables() = 0;
  /// The keys of the bus as this store's fabric signs with them: what is signed in one fabric is good in no other.
  [[nodiscard]] virtual BatchKeys bound(BatchKeys keys) const { return keys; }
  /// Whether single rows may vanish by themselves: then servers look for theirs (Limits::verify_every).
  [[nodiscard]] virtual bool may_evict() const { return false; }
  /// The end of the caller's turn: sends what the calls of this turn have gathered.
  virtual void end_turn() = 0;
};

}  // namespace wsr
