// Parts: what the pieces of one run know of each other. Plain state, one object of each a run.
//
//   Population   devices of clients and their connections        (population.hpp)
//   VirtualServer, one for each server that lives                 (server.hpp)
//   Truth        what really happened, and the checkers           (truth.hpp)
//   Director     workload and timeline                            (director.hpp)
//   Jury         expectations                                     (jury.hpp)
//   World        all of them, and the loop                        (world.hpp)
//
// Thread-safety: none.
#pragma once

#include <memory>
#include <vector>

#include "core/routing/limits.hpp"
#include "core/routing/ports.hpp"
#include "sim/kernel.hpp"
#include "sim/metrics.hpp"
#include "sim/mutants.hpp"
#include "sim/network.hpp"

namespace wsr::sim {

class Population;
class VirtualServer;
class Truth;
class StoreModel;

/// What the `config` block means: the options of `wsr serve` that matter here. cli/ makes it with the very parser of
/// `wsr serve`.
struct ServerConfig {
  Limits limits;
  SessionPolicy policy = SessionPolicy::single;
  std::chrono::milliseconds lease{6'000};
  std::chrono::milliseconds probe_every{500};
  std::chrono::milliseconds ping_every{25'000};
  std::chrono::milliseconds pong_within{10'000};
  std::chrono::milliseconds drain_within{5'000};
  std::uint64_t owners_max = 0;       // 0: no bound, as on Redis
  std::uint64_t memberships_max = 0;  // the same
};

struct Parts {
  Kernel& kernel;
  const Scenario& scenario;
  const ServerConfig& config;
  Network& network;
  Metrics& metrics;
  Mutant mutant = Mutant::none;
  StoreModel* store = nullptr;
  Population* population = nullptr;
  Truth* truth = nullptr;
  std::vector<std::unique_ptr<VirtualServer>>* servers = nullptr;  // by number; 0 is nobody; null: not running

  [[nodiscard]] VirtualServer* server(std::uint32_t number) const {
    return number < servers->size() ? (*servers)[number].get() : nullptr;
  }
};

}  // namespace wsr::sim
