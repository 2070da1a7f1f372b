// memory::Backend: the embedded store of one process: directory, bus, rosters, rates, tables, on one thread.
//
// The default of `wsr serve` and the reference for the contract suites and the simulator. It has no clock: the caller
// hands in the time. Answers are collected and handed out by pump(), never inline.
//
// Thread-safety: none; one thread.
// Bounds:        hard caps, see Options; the error names the number and the flag that raises it.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>

#include "core/store/backend.hpp"

namespace wsr::memory {

struct Options {
  std::uint64_t owners_max = 4'096;        // owner rows; flag --owners-max
  std::uint64_t memberships_max = 16'384;  // pairs of room and client; flag --memberships-max
  std::uint64_t table_rows_max = 16'384;   // rows of a table that names no bound of its own
  std::uint64_t counters_max = 65'536;
  std::function<StoreTime()> now;  // the store's clock
  /// Called when pump() has something to do and had nothing before.
  std::function<void()> wake;
};

class Backend final : public wsr::Backend {
public:
  Backend(Options options, AnswerSink& answers, BusListener& listener);
  ~Backend() override;
  /// A further server in the same process and store (tests, simulator): its own sink and listener, the same state.
  /// The Backend must outlive it.
  [[nodiscard]] std::unique_ptr<wsr::Backend> join(AnswerSink& answers, BusListener& listener);

  void start() override;
  void stop() override;
  void call(Ticket ticket, StoreCall&& call) override;
  [[nodiscard]] Tables& tables() override;
  void end_turn() override {}
  /// Hands out the answers and messages gathered so far, in order.
  void pump();
  /// For who looks on (the simulator's checkers): where a client is now, without a call and its answer.
  [[nodiscard]] std::optional<OwnerRow> owner_of(const ClientId& client) const;
  /// The same, of a server: its rows that have not expired, whether its lease lets them count or not.
  [[nodiscard]] std::uint64_t stored_rows(const ServerId& server) const;

private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace wsr::memory
