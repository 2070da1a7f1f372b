#include "sim/remains.hpp"

#include <fmt/format.h>

#include "sim/server.hpp"
#include "sim/store.hpp"

namespace wsr::sim {
namespace {

Nanos nanos(std::chrono::nanoseconds time) { return time.count(); }

std::optional<std::string> remains_at(VirtualServer& server) {
  const VirtualServer::Keeps keeps = server.keeps();
  const std::pair<std::string_view, std::uint64_t> all[] = {{"connections", keeps.connections},
                                                            {"places in rooms", keeps.memberships},
                                                            {"rooms", keeps.rooms},
                                                            {"channels of rooms", keeps.channels},
                                                            {"bytes for clients", keeps.bytes},
                                                            {"messages without a word", keeps.unfinished},
                                                            {"timers", keeps.timers}};
  for (const auto& [what, count] : all) {
    if (count != 0) return fmt::format("s{} keeps {} {}", server.number(), count, what);
  }
  return std::nullopt;
}

}  // namespace

Nanos gone_within(const ServerConfig& config) {
  constexpr Nanos slack = 10 * second;  // a release that waits its turn, a room that lingers, the network
  // Half-open connections are found by a ping; a sweep comes a third of a lease after its end.
  const Nanos found = nanos(config.ping_every) + nanos(config.pong_within);
  const Nanos swept = nanos(config.lease) + nanos(config.lease) / 3;
  return found + swept + nanos(config.limits.reconnect_grace) + slack;
}

std::optional<std::string> remains(const Parts& parts) {
  for (const auto& [server, rows] : parts.store->stored_by_server()) {
    if (rows != 0) return fmt::format("the store keeps {} rows of {}", rows, server.view());
  }
  if (const auto rooms = parts.store->rooms(); !rooms.empty()) {
    return fmt::format("the store keeps {} rooms, {} among them", rooms.size(), rooms.front().view());
  }
  for (const auto& server : *parts.servers) {
    if (server == nullptr) continue;
    if (auto left = remains_at(*server)) return left;
    if (const std::uint64_t left = parts.store->room_channels(server->session().index()); left != 0) {
      return fmt::format("the store brings {} rooms to s{}", left, server->number());
    }
  }
  return std::nullopt;
}

}  // namespace wsr::sim
