#include "sim/places.hpp"

#include <fmt/format.h>

#include "sim/population.hpp"
#include "sim/server.hpp"
#include "sim/store.hpp"

namespace wsr::sim {

std::optional<Places::Place> Places::of(std::uint32_t client) const {
  const std::string name = Population::name_of(client);
  if (is_naive_) {
    const auto row = parts_.store->table_row("owner", name);
    if (!row) return std::nullopt;
    return Place{std::get<std::string>(row->at("server")),
                 static_cast<std::uint64_t>(std::get<std::int64_t>(row->at("fd")))};
  }
  const auto row = parts_.store->row_of(ClientId::trusted(name));
  if (!row) return std::nullopt;
  return Place{row->at.server.str(), row->at.conn.value};
}

std::optional<std::string> Places::wrong(std::uint32_t client, const VirtualServer& server, ConnId conn) const {
  const auto place = of(client);
  if (!place) return "nowhere";
  if (place->server == server.id().view() && place->conn == conn.value) return std::nullopt;
  return fmt::format("{}, connection {:x}", place->server, place->conn);
}

void Places::count_ghosts(Nanos longer_than) {
  if (parts_.config.policy != SessionPolicy::single) return;
  const Nanos now = parts_.kernel.now();
  ghost_since_.resize(parts_.scenario.clients);
  for (std::uint32_t client = 0; client < parts_.scenario.clients; ++client) {
    const auto place = of(client);
    bool is_ghost = place.has_value();
    if (const ConnIndex index = parts_.population->conn_of_client(client); is_ghost && index != nobody) {
      const Conn& conn = parts_.population->conn(index);
      const VirtualServer* server = parts_.server(conn.server);
      is_ghost = conn.is_cut || server == nullptr || server->life() != conn.life ||
                 place->server != server->id().view() || place->conn != conn.id.value;
    }
    Nanos& since = ghost_since_[client];
    if (!is_ghost) {
      since = 0;
    } else if (since == 0) {
      since = now;
    } else if (now - since > longer_than) {
      ++ghost_seconds_;
    }
  }
}

}  // namespace wsr::sim
