// Backend: one store with its life cycle: the Store port, and the Tables port beside it. Memory, Redis, the
// simulator's.
#pragma once

#include "core/store/store.hpp"
#include "core/store/tables.hpp"
#include "core/wire/envelope.hpp"

namespace wsr {

class Backend : public Store {
public:
  /// Begins to connect. Answers and bus messages go to the sink and listener given at construction.
  virtual void start() = 0;
  /// Fails what is pending as `unavailable` and closes. No call may follow.
  virtual void stop() = 0;
  [[nodiscard]] virtual Tables& tables() = 0;
  /// The keys of the bus as this store's fabric signs with them: what is signed in one fabric is good in no other.
  [[nodiscard]] virtual BatchKeys bound(BatchKeys keys) const { return keys; }
  /// Whether single rows may vanish by themselves: then servers look for theirs (Limits::verify_every).
  [[nodiscard]] virtual bool may_evict() const { return false; }
  /// The end of the caller's turn: sends what the calls of this turn have gathered.
  virtual void end_turn() = 0;
};

}  // namespace wsr
