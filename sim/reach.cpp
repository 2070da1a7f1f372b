#include "sim/reach.hpp"

#include <algorithm>

#include "sim/server.hpp"

namespace wsr::sim {

Reach::Reach(Parts& parts)
    : parts_(parts),
      histories_(parts.scenario.servers + 1),
      rows_(parts.scenario.clients),
      doubtful_until_(parts.scenario.clients),
      visits_(parts.scenario.clients) {}

Nanos Reach::lease() const { return std::chrono::nanoseconds(parts_.config.lease).count(); }

void Reach::doubt(std::uint32_t client) {
  doubtful_until_[client] = std::max(doubtful_until_[client], parts_.kernel.now() + lease() + 2 * second);
}

void Reach::trouble_begins(std::uint32_t server, Trouble kind) {
  History& history = histories_[server];
  if (history.going_on++ == 0) history.spans.push_back({.from = parts_.kernel.now()});
  if (kind == Trouble::silent || kind == Trouble::lame) history.spans.back().is_unheard = true;
  if (kind == Trouble::told || server == everywhere) return;
  for (std::uint32_t client = 0; client < rows_.size(); ++client) {
    const auto& visits = visits_[client];
    if (std::find(visits.begin(), visits.end(), server) != visits.end()) doubt(client);
  }
}

void Reach::trouble_ends(std::uint32_t server) {
  History& history = histories_[server];
  if (history.going_on == 0 || --history.going_on != 0) return;
  history.spans.back().to = parts_.kernel.now();
}

void Reach::on_claim(const ClaimCall& request, const std::optional<OwnerRow>& before,
                     const std::optional<OwnerRow>& after) {
  const std::uint32_t client = Population::client_named(request.client.view());
  if (client >= rows_.size() || !after || after->at != request.at) return;
  const VirtualServer* server = living(parts_, after->at.server);
  if (server == nullptr) return;
  // Whoever leaves a server that may miss what is sent to it is looked for there for a while.
  if (before && before->at.server != after->at.server) {
    const VirtualServer* left = living(parts_, before->at.server);
    const bool may_be_deaf = left != nullptr && !left->is_paused() && !is_well(left->number());
    if (may_be_deaf) doubt(client);
  }
  Row& row = rows_[client];
  if (row.server == server->number() && row.life == server->life() && row.conn == after->at.conn) return;
  auto& visits = visits_[client];
  if (visits.front() != server->number()) {
    std::copy_backward(visits.begin(), visits.end() - 1, visits.end());
    visits.front() = static_cast<std::uint16_t>(server->number());
  }
  row = {.server = server->number(), .life = server->life(), .conn = after->at.conn, .since = parts_.kernel.now()};
}

void Reach::on_released(std::uint32_t client) {
  if (client < rows_.size()) rows_[client] = {};
}

bool Reach::was_well(std::uint32_t server, Nanos from, Nanos to) const {
  const auto& spans = histories_[server].spans;
  return std::none_of(spans.rbegin(), spans.rend(),
                      [&](const Span& span) { return span.from <= to && span.to >= from; });
}

bool Reach::is_well(std::uint32_t server) const {
  return was_well(server, parts_.kernel.now() - recovers_within(), parts_.kernel.now());
}

bool Reach::can_be_told(std::uint32_t server) const {
  const auto& spans = histories_[server].spans;
  const Nanos since = parts_.kernel.now() - recovers_within();
  return is_well(everywhere) && std::none_of(spans.rbegin(), spans.rend(),
                                             [&](const Span& span) { return span.is_unheard && span.to >= since; });
}

bool Reach::owes(const Conn& from, const Conn& to) const {
  const auto is_up = [this](const Conn& conn) {
    const VirtualServer* server = parts_.server(conn.server);
    return server != nullptr && server->life() == conn.life && !server->is_draining() && !server->is_paused() &&
           is_well(conn.server);
  };
  if (!is_well(everywhere) || !is_up(from) || !is_up(to)) return false;
  if (to.client >= rows_.size() || doubtful_until_[to.client] > parts_.kernel.now()) return false;
  const Row& row = rows_[to.client];
  return row.server == to.server && row.life == to.life && row.conn == to.id &&
         row.since + round_trip <= parts_.kernel.now();
}

bool Reach::was_clear(std::uint32_t from, std::uint32_t to, Nanos sent_at) const {
  const Nanos until = sent_at + reached_within;
  return was_well(everywhere, sent_at, until) && was_well(from, sent_at, until) && was_well(to, sent_at, until);
}

}  // namespace wsr::sim
