// `wsr owners`: who is connected where: list, get, count, by-server, servers, watch, kick.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <string>
#include <vector>

#include "cli/exit_code.hpp"
#include "cli/fabric_client.hpp"
#include "cli/find.hpp"
#include "cli/terminal.hpp"

namespace wsr::cli {

struct OwnersOptions {
  FabricOptions fabric;
  enum class Verb : std::uint8_t { list, get, count, by_server, servers, watch, kick } verb = Verb::list;
  std::string client;
  std::string cursor;       // empty: from the beginning
  std::uint32_t count = 0;  // rows of one page; 0: all rows
  std::chrono::milliseconds every{1'000};
  bool json = false;
};

CLI::App* add_owners(CLI::App& app, OwnersOptions& options);
[[nodiscard]] ExitCode run_owners(const OwnersOptions& options);

/// What has changed between two looks, one line each: `+` came, `-` went, `~` moved.
[[nodiscard]] std::vector<std::string> changes(const std::vector<OwnerRow>& before, const std::vector<OwnerRow>& after);

}  // namespace wsr::cli
