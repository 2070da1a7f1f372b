#include "sim/network.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace wsr::sim {
namespace {

constexpr Nanos retransmit_after = 200 * millisecond;  // the least retransmission timeout of Linux; doubles

bool has(const std::vector<bool>& set, std::uint32_t who) { return set.empty() || (who < set.size() && set[who]); }

}  // namespace

Network::Network(Kernel& kernel, const Scenario& scenario)
    : kernel_(kernel),
      client_(scenario.link),
      store_(scenario.store_link),
      store_cuts_(scenario.servers + 1),
      held_store_(scenario.servers + 1),
      released_store_(scenario.servers + 1) {}

Nanos Network::arrival(Pipe& pipe, const LinkSpec& link, std::size_t bytes, std::uint64_t who, Nanos not_before) {
  const std::uint64_t nth = ++draws_;
  const Draws& draws = kernel_.draws;
  Nanos start = kernel_.now();
  if (link.bytes_per_second != 0) {
    const bool is_twice = draws.chance(link.duplicate_ppm, Purpose::duplicate, who, nth);
    const auto wire =
        static_cast<Nanos>(static_cast<Wide>(bytes + 66) * (is_twice ? 2 : 1) * second / link.bytes_per_second);
    start = std::max(start, pipe.busy_until) + wire;
    pipe.busy_until = start;
  }
  Nanos late = draws.of(link.latency, Purpose::latency, who, nth);
  if (link.reorder_ppm != 0 && draws.chance(link.reorder_ppm, Purpose::reorder, who, nth)) late += late;
  if (link.loss_ppm != 0) {
    Nanos timeout = retransmit_after;
    for (std::uint64_t tries = 0; tries < 6 && draws.chance(link.loss_ppm, Purpose::loss, who, nth << 3 | tries);
         ++tries) {
      late += timeout;
      timeout *= 2;
    }
  }
  pipe.last = std::max({pipe.last + 1, start + late, not_before + 1});
  return pipe.last;
}

const LinkSpec& Network::client_link(std::uint32_t client, std::uint32_t server) const {
  if (has_rules_) {
    for (std::size_t i = rules_.size(); i-- > 0;) {
      const RuleState& rule = rules_[i];
      if (rule.is_on && !rule.is_store && !rule.is_cut && has(rule.servers, server) && has(rule.clients, client)) {
        return rule.link;
      }
    }
  }
  return client_;
}

const LinkSpec& Network::store_link(std::uint32_t server) const {
  if (has_rules_) {
    for (std::size_t i = rules_.size(); i-- > 0;) {
      const RuleState& rule = rules_[i];
      if (rule.is_on && rule.is_store && has(rule.servers, server)) return rule.link;
    }
  }
  return store_;
}

Network::Rule Network::degrade_store(std::vector<bool> servers, const LinkSpec& link) {
  has_rules_ = true;
  rules_.push_back({.is_on = true, .is_store = true, .servers = std::move(servers), .clients = {}, .link = link});
  return static_cast<Rule>(rules_.size() - 1);
}

Network::Rule Network::degrade_clients(std::vector<bool> servers, std::vector<bool> clients, const LinkSpec& link) {
  has_rules_ = true;
  rules_.push_back({.is_on = true, .servers = std::move(servers), .clients = std::move(clients), .link = link});
  return static_cast<Rule>(rules_.size() - 1);
}

Network::Rule Network::cut_clients(std::vector<bool> servers, std::vector<bool> clients, Ways ways) {
  has_rules_ = has_client_cuts_ = true;
  rules_.push_back({.is_on = true,
                    .is_cut = true,
                    .servers = std::move(servers),
                    .clients = std::move(clients),
                    .link = {},
                    .ways = ways,
                    .since = kernel_.now()});
  return static_cast<Rule>(rules_.size() - 1);
}

bool Network::RuleState::cuts(std::uint32_t client, std::uint32_t server) const {
  return is_on && is_cut && has(servers, server) && has(clients, client);
}

bool Network::is_client_cut(std::uint32_t client, std::uint32_t server, Way way) const {
  if (!has_client_cuts_) return false;
  return std::any_of(rules_.begin(), rules_.end(), [&](const RuleState& rule) {
    return (way == Way::up ? rule.ways.up : rule.ways.down) && rule.cuts(client, server);
  });
}

Nanos Network::client_cut_for(std::uint32_t client, std::uint32_t server) const {
  Nanos longest = 0;
  if (!has_client_cuts_) return longest;
  for (const RuleState& rule : rules_) {
    if (rule.cuts(client, server)) longest = std::max(longest, kernel_.now() - rule.since);
  }
  return longest;
}

void Network::restore(Rule rule) {
  if (rule >= rules_.size() || !std::exchange(rules_[rule].is_on, false)) return;
  has_client_cuts_ = std::any_of(rules_.begin(), rules_.end(), [](const RuleState& r) { return r.is_on && r.is_cut; });
  const bool was_cut = rules_[rule].is_cut;
  // Those that have ended at the end of the list are gone for good: a step that is repeated leaves nothing behind.
  while (rules_.size() > lasting_ && !rules_.back().is_on) rules_.pop_back();
  if (was_cut) release_clients();
}

std::uint32_t& Network::cut_of(std::uint32_t server, Way way) {
  return store_cuts_[server][static_cast<std::size_t>(way)];
}

void Network::hold_store(std::uint32_t server, Way way, const Event& event, const Pipe& pipe) {
  HeldAtStore& held = held_store_[server][static_cast<std::size_t>(way)];
  held.events.push_back(event);
  held.behind = std::max(held.behind, pipe.last);
}

void Network::release_store(std::uint32_t server, Way way) {
  // TCP finds out at its next retransmission.
  Nanos at =
      kernel_.now() + 1 + static_cast<Nanos>(kernel_.draws.below(retransmit_after, Purpose::latency, server, ++draws_));
  const HeldAtStore held = std::exchange(held_store_[server][static_cast<std::size_t>(way)], {});
  Nanos& released = released_store_[server][static_cast<std::size_t>(way)];
  at = std::max({at, held.behind + 1, released});
  for (const Event& event : held.events) kernel_.push(event, at++);
  released = at;
}

void Network::release_clients() {
  Nanos at =
      kernel_.now() + 1 + static_cast<Nanos>(kernel_.draws.below(retransmit_after, Purpose::latency, 0, ++draws_));
  for (const Held& held : std::exchange(held_clients_, {})) {
    if (is_client_cut(held.client, held.server, held.way)) {
      held_clients_.push_back(held);  // another cut lies in its way
      continue;
    }
    // Behind what is on its way already, and before what is sent from now on.
    Pipe* pipe = pipe_of_client(held.event, held.way);
    const Nanos arrives = pipe == nullptr ? at : std::max(at, pipe->last + 1);
    if (pipe != nullptr) pipe->last = arrives;
    kernel_.push(held.event, arrives);
    ++at;
  }
}

void Network::heal() {
  // What the scenario has from its start is no fault.
  for (std::size_t i = lasting_; i < rules_.size(); ++i) rules_[i].is_on = false;
  has_rules_ = lasting_ != 0;
  has_client_cuts_ = false;
  for (std::uint32_t server = 0; server < store_cuts_.size(); ++server) {
    for (const Way way : {Way::up, Way::down}) {
      cut_of(server, way) = 0;
      release_store(server, way);
    }
  }
  release_clients();
}

}  // namespace wsr::sim
