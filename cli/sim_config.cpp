#include "cli/sim_config.hpp"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <string>
#include <string_view>

#include "cli/serve.hpp"
#include "sim/scenario_text.hpp"

namespace wsr::cli {
namespace {

/// What has a meaning where there are no sockets, and what a server's file has besides: the rates of upgrades and of
/// takeovers are taken and change nothing. The store of a simulation is the shared one, with its own bounds.
constexpr std::array<std::string_view, 36> keys{"lease",
                                                "owner-ttl",
                                                "probe",
                                                "ping",
                                                "pong",
                                                "drain",
                                                "sessions",
                                                "devices-max",
                                                "owners-max",
                                                "message-max",
                                                "outbox-max",
                                                "memory-max",
                                                "slow-consumer",
                                                "memberships-max",
                                                "rooms-per-client-max",
                                                "presence-events-max",
                                                "reconnect-grace",
                                                "client-rate",
                                                "client-burst",
                                                "room-rate",
                                                "room-burst",
                                                "join-rate",
                                                "join-burst",
                                                "leave-rate",
                                                "leave-burst",
                                                "members-rate",
                                                "members-burst",
                                                "connect-rate",
                                                "connect-burst",
                                                "address-rate",
                                                "address-burst",
                                                "takeover-rate",
                                                "takeover-burst",
                                                "over-rate",
                                                "bus-key",
                                                "idle"};

ServeOptions parse(const std::vector<sim::ConfigEntry>& entries) {
  ServeOptions options;
  CLI::App app("config");
  CLI::App* serve = add_serve(app, options);
  // A run depends on its scenario alone.
  for (CLI::Option* option : serve->get_options()) option->envname("");
  std::vector<std::string> ordered{"serve"};
  for (const auto& entry : entries) ordered.push_back("--" + entry.key + "=" + entry.value);
  std::reverse(ordered.begin(), ordered.end());  // CLI11 takes its words from the back
  app.parse(ordered);
  return options;
}

}  // namespace

std::vector<sim::ConfigProblem> check_config(const std::vector<sim::ConfigEntry>& entries) {
  std::vector<sim::ConfigProblem> problems;
  const std::vector<std::string> known(keys.begin(), keys.end());
  for (std::size_t i = 0; i < entries.size(); ++i) {
    const std::string& key = entries[i].key;
    if (std::find(keys.begin(), keys.end(), key) == keys.end()) {
      const std::string near = sim::nearest(key, known);
      problems.push_back(
          {i, near.empty()
                  ? fmt::format("\"{}\" is not an option of wsr serve that a simulation knows; there are: {}", key,
                                fmt::join(known, ", "))
                  : fmt::format("\"{}\" is not an option of wsr serve that a simulation knows: did you mean \"{}\"?",
                                key, near)});
      continue;
    }
    try {
      static_cast<void>(parse({entries[i]}));
    } catch (const CLI::ParseError& error) {
      problems.push_back({i, error.what()});
    }
  }
  if (!problems.empty()) return problems;
  try {
    static_cast<void>(server_options(parse(entries)));
  } catch (const std::exception& error) {
    // What the options are to each other: shown at the first that the sentence names.
    const std::string sentence = error.what();
    std::size_t at = 0;
    for (std::size_t i = entries.size(); i-- > 0;) {
      if (sentence.find("--" + entries[i].key) != std::string::npos) at = i;
    }
    problems.push_back({at, sentence});
  }
  return problems;
}

sim::ServerConfig read_config(const std::vector<sim::ConfigEntry>& entries) {
  const ServeOptions options = parse(entries);
  const net::ServerOptions server = server_options(options);
  sim::ServerConfig config;
  config.limits = server.limits;
  config.policy = server.policy;
  config.lease = server.lease;
  config.probe_every = server.probe_every;
  config.ping_every = server.ping_every.count() == 0 ? std::chrono::hours{24} : server.ping_every;
  config.pong_within = server.pong_within;
  config.drain_within = server.drain_within;
  config.owners_max = options.owners_max.value_or(0);
  config.memberships_max = options.memberships_max.value_or(0);
  return config;
}

}  // namespace wsr::cli
