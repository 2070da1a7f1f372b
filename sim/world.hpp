// World: one run of one scenario with one seed, from the first event to the verdict.
//
//   arrive, workload, timeline ──duration──▶ everything heals ──settle──▶ probes ──▶ verdict
//
// The servers are the real Router and Keeper, the very object files of `wsr serve`.
//
// Thread-safety: a run is one object on one thread; runs share nothing.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "sim/jury.hpp"
#include "sim/kernel.hpp"
#include "sim/metrics.hpp"
#include "sim/mutants.hpp"
#include "sim/parts.hpp"
#include "sim/scenario.hpp"
#include "sim/toll.hpp"
#include "sim/truth.hpp"

namespace wsr::sim {

enum class Routing : std::uint8_t { wsr, naive };

/// What an event was, and the hash of the trace with it.
struct EventMark {
  std::uint64_t hash = 0;
  Nanos at = 0;
  EventKind kind = EventKind::end;
};

struct RunOptions {
  std::uint64_t seed = 1;
  ServerConfig config;
  Routing routing = Routing::wsr;
  Mutant mutant = Mutant::none;
  std::optional<Nanos> until;               // ends there, without a verdict on what comes after
  bool counts_ghosts = false;               // Toll::ghost_seconds; O(clients) a virtual second, and changes nothing
  Observer* observer = nullptr;             // hears everything; changes nothing
  std::uint64_t events_max = 0;             // 0: the scenario's budget
  std::vector<EventMark>* marks = nullptr;  // gets one for each event
};

/// What the run came to; also the exit code of `wsr simulate`.
enum class Ending : std::uint8_t { passed = 0, safety = 1, liveness = 2, nondeterminism = 3, vacuous = 4, budget = 5 };
[[nodiscard]] std::string_view to_string(Ending ending);

struct RunResult {
  std::uint64_t seed = 0;
  Ending ending = Ending::passed;
  std::uint64_t hash = 0;
  std::uint64_t events = 0;
  Nanos ended_at = 0;
  static constexpr std::size_t findings_each = 100;
  std::vector<Finding> findings, waived;              // the first findings_each of each checker
  std::uint64_t finding_count = 0, waived_count = 0;  // all of them
  std::vector<Outcome> outcomes;  // of expectations; and `vacuous` ones of steps and workloads that came to nothing
  std::vector<std::string> not_judged;  // expectations of which a run that was cut short says nothing
  std::array<std::uint64_t, static_cast<std::size_t>(Metric::count_)> counts{};
  std::uint64_t latency_p50 = 0, latency_p99 = 0, latency_max = 0;  // nanoseconds; of messages of both kinds
  std::uint64_t connected = 0;                                      // at the end
  Toll toll;  // for the comparison with the naive pattern, as the next three
  std::uint64_t misdelivered = 0, doubled = 0, ghosts = 0;
  [[nodiscard]] std::uint64_t of(Metric metric) const { return counts[static_cast<std::size_t>(metric)]; }
  bool operator==(const RunResult&) const = default;
};

/// The scenario as a seed has it: `sweep.vary` drawn.
[[nodiscard]] Scenario vary(const Scenario& scenario, std::uint64_t seed);

[[nodiscard]] RunResult run(const Scenario& scenario, const RunOptions& options);

}  // namespace wsr::sim
