// Find: which fabric a command speaks to.
//
//   --store URL   WSR_STORE    the shared store itself, as a guest
//   --server URL  WSR_SERVER   any server's HTTP API
//   neither                    the servers that this user runs on this machine (run_file.hpp)
//
// A flag wins over the environment; two flags, or two variables, contradict each other.
#pragma once

#include <CLI/CLI.hpp>
#include <memory>
#include <string>

#include "cli/fabric_client.hpp"

namespace wsr::cli {

struct FabricOptions {
  std::string store;
  std::string server;
  std::string prefix = "wsr:";
  std::string store_ca;
  std::vector<std::string> bus_keys;  // id:secret, the servers' own
};

void add_fabric_options(CLI::App& command, FabricOptions& options);

/// Throws a sentence that says what to start or to pass if there is none, or more than one that could be meant.
[[nodiscard]] std::unique_ptr<FabricClient> find_fabric(const FabricOptions& options);

}  // namespace wsr::cli
