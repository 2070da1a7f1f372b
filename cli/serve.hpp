// `wsr serve`: a WebSocket and HTTP server of the fabric. serve.cpp is the wiring page: the only place where adapters
// are picked for production.
#pragma once

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "cli/exit_code.hpp"
#include "core/net/server.hpp"

namespace wsr::cli {

struct ServeOptions {
  std::uint16_t port = 9090;
  std::string bind = "127.0.0.1";
  std::string url;
  bool allow_public = false;
  std::string name;     // empty: host:pid
  unsigned shards = 0;  // 0: one for each core

  std::string store = "memory";
  std::string prefix = "wsr:";
  std::string store_ca;
  std::chrono::milliseconds store_wait{5'000};
  std::vector<std::string> bus_keys;  // id:secret

  std::string sessions = "single";
  std::optional<std::uint32_t> devices_max;
  std::optional<std::uint64_t> owners_max;
  std::size_t connections_max = 0;
  std::optional<std::size_t> per_address_max;
  std::size_t message_max = 64 * 1024;
  std::size_t outbox_max = 4 * 1024 * 1024;
  std::size_t memory_max = std::size_t{1} << 30;
  std::string slow_consumer = "drop";

  std::optional<std::uint64_t> memberships_max;
  std::uint32_t rooms_per_client_max = 1'000;
  std::uint32_t presence_events_max = 200;
  std::chrono::milliseconds reconnect_grace{0};
  std::chrono::milliseconds owner_ttl{0};

  RateLimit client_rate;
  RateLimit room_rate;
  std::uint32_t client_burst = 0;
  std::uint32_t room_burst = 0;
  std::string over_rate = "refuse";
  RateLimit connect_rate = net::ConnectLimits{}.client;
  RateLimit address_rate = net::ConnectLimits{}.address;
  RateLimit takeover_rate = net::ConnectLimits{}.takeover;
  RateLimit join_rate = Limits{}.join_rate;
  RateLimit leave_rate = Limits{}.leave_rate;
  RateLimit members_rate = Limits{}.members_rate;
  std::uint32_t connect_burst = connect_rate.burst;
  std::uint32_t address_burst = address_rate.burst;
  std::uint32_t takeover_burst = takeover_rate.burst;
  std::optional<std::uint32_t> join_burst;  // as many as a client that comes into all its rooms, twice
  std::optional<std::uint32_t> leave_burst;
  std::uint32_t members_burst = members_rate.burst;

  std::string log_format = "text";
  std::string log_level = "info";

  std::chrono::milliseconds lease{6'000};
  std::chrono::milliseconds probe{500};
  std::chrono::milliseconds ping{25'000};
  std::chrono::milliseconds pong{10'000};
  std::chrono::milliseconds idle{0};
  std::chrono::milliseconds drain{5'000};

  std::vector<std::string> origins;
  std::vector<std::string> hosts;
  bool echo = false;
};

CLI::App* add_serve(CLI::App& app, ServeOptions& options);

/// Serves until SIGINT, SIGTERM or SIGHUP.
[[nodiscard]] ExitCode run_serve(const ServeOptions& options);

/// What the options mean to the server, checked against each other. Throws UsageError with a sentence.
[[nodiscard]] net::ServerOptions server_options(const ServeOptions& options);

}  // namespace wsr::cli
