// Shrink: a failing scenario to a small one that still fails in the same way.
//
// Steps first (delta debugging), then workloads, clients, servers, the duration. A candidate counts only if it fails
// with the same checker or expectation. Draws have no stream, so what is left behaves as it did.
//
// Thread-safety: none. Bounds: tries_max runs.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "sim/world.hpp"

namespace wsr::sim {

struct Shrunk {
  Scenario scenario;
  std::uint32_t tries = 0;
  std::string failure;  // the checker or the expectation; empty: it did not fail, and nothing was tried
};

/// What a run failed by; empty if it passed.
[[nodiscard]] std::string failure_of(const RunResult& result);

inline constexpr std::uint32_t shrink_tries_max = 400;
/// `run_once` runs a candidate with the seed that failed; first `scenario` itself, which must fail.
[[nodiscard]] Shrunk shrink(const Scenario& scenario, const std::function<RunResult(const Scenario&)>& run_once);

}  // namespace wsr::sim
