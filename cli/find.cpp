#include "cli/find.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <stdexcept>

#include "cli/exit_code.hpp"
#include "cli/http_fabric.hpp"
#include "cli/options.hpp"
#include "cli/run_file.hpp"
#include "cli/store_fabric.hpp"

namespace wsr::cli {
namespace {

constexpr std::string_view no_fabric =
    "no server found: start one on this machine (wsr serve -p 9090), or pass --server http://host:port, or --store "
    "redis://host:port";

enum class Source : std::uint8_t { absent, environment, flag };

Source source_of(const std::string& value, const char* variable) {
  if (value.empty()) return Source::absent;
  const char* text = std::getenv(variable);
  return text != nullptr && value == text ? Source::environment : Source::flag;
}

std::unique_ptr<FabricClient> find_local() {
  const auto servers = running_servers(run_directory(Make::no));
  if (servers.empty()) throw std::runtime_error(std::string(no_fabric));
  const auto& first = servers.front();
  const bool is_one_fabric = std::all_of(servers.begin(), servers.end(), [&](const RunRecord& server) {
    return server.store == first.store && server.store != "memory";
  });
  if (servers.size() > 1 && !is_one_fabric) {
    std::string list;
    for (const auto& server : servers) {
      list += fmt::format("\n  --server {}   ({}, store {})", server.url, server.name, server.store);
    }
    throw std::runtime_error(
        fmt::format("{} servers run here and do not share one store: choose one of them:{}", servers.size(), list));
  }
  return make_http_fabric(first.url);
}

}  // namespace

void add_fabric_options(CLI::App& command, FabricOptions& options) {
  const auto add = [&](const std::string& name, std::string& value, const std::string& what) {
    return with_environment(command.add_option(name, value, what)->group("Finding the fabric"));
  };
  add("--store", options.store, "The servers' shared store, asked directly: redis://, rediss:// or unix://")
      ->type_name("URL");
  add("--server", options.server, "A server's HTTP API, such as http://127.0.0.1:9090")->type_name("URL");
  add("--prefix", options.prefix, "With --store: the prefix of the servers' keys")->capture_default_str();
  add("--store-ca", options.store_ca, "With rediss://: trust this CA file in addition to the system's")
      ->type_name("FILE");
  with_environment(command
                       .add_option("--bus-key", options.bus_keys,
                                   "With --store: the servers' bus keys. Prefer WSR_BUS_KEY: flags are visible in ps")
                       ->type_name("ID:SECRET")
                       ->delimiter(',')
                       ->allow_extra_args(false)
                       ->group("Finding the fabric"));
}

std::unique_ptr<FabricClient> find_fabric(const FabricOptions& options) {
  auto store = source_of(options.store, "WSR_STORE");
  const auto server = source_of(options.server, "WSR_SERVER");
  // `memory` lives inside one server: it says nothing about where that server is.
  if (store == Source::environment && options.store == "memory") store = Source::absent;
  if (store != Source::absent && store == server) {
    throw UsageError("--store and --server are two ways to the same fabric: pass only one of them");
  }
  if (store > server) {
    if (options.store == "memory") {
      throw UsageError(
          "a memory store lives inside its server and cannot be asked directly: pass --server http://host:port");
    }
    return make_store_fabric(options);
  }
  if (server != Source::absent) return make_http_fabric(options.server);
  return find_local();
}

}  // namespace wsr::cli
