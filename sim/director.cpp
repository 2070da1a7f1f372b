#include "sim/director.hpp"

#include <fmt/compile.h>
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <stdexcept>
#include <utility>

#include "sim/scenario_names.hpp"
#include "sim/server.hpp"
#include "sim/store.hpp"

namespace wsr::sim {
namespace {

constexpr Nanos hour = 3'600 * second;
constexpr Nanos harmless_lag = second;  // what a subscriber may lag by: two hops and a receipt fit into a send's 5 s

void sort_unique(std::vector<std::uint32_t>& set) {
  std::sort(set.begin(), set.end());
  set.erase(std::unique(set.begin(), set.end()), set.end());
}

/// A link that is worse than before and no fault: what the contract promises it promises over such links, too.
bool is_mild(const LinkSpec& link, bool is_store) {
  const Distribution& d = link.latency;
  Nanos late = d.a;  // more or less the worst
  if (d.kind == Distribution::Kind::uniform) late = d.b;
  if (d.kind == Distribution::Kind::exponential) late = 10 * d.a;
  if (d.kind == Distribution::Kind::lognormal || d.kind == Distribution::Kind::pareto) late = 4 * d.b;
  const std::uint64_t slow = is_store ? 1'000'000 : 100'000;  // bytes in a second
  const bool is_fast = link.bytes_per_second == 0 || link.bytes_per_second >= slow;
  return is_fast && late <= (is_store ? 50 : 500) * millisecond && link.loss_ppm <= (is_store ? 0U : 50'000U);
}

Truth::Fault fault_of(const Step& step) {
  return step.action == Step::Action::store_refuse ? Truth::Fault::refusal : Truth::Fault::any;
}

/// The step that a selector's members are taken at; empty: whenever it is looked at.
std::string moment_of(const Selector& selector) {
  if (selector.kind == Selector::Kind::on && !selector.name.empty()) return selector.name;
  for (const Selector& part : selector.parts) {
    if (auto found = moment_of(part); !found.empty()) return found;
  }
  return {};
}

}  // namespace

Director::Director(Parts& parts, Stage& stage)
    : parts_(parts),
      stage_(stage),
      loads_(parts.scenario.workload.size()),
      undos_(parts.scenario.timeline.size()),
      is_scheduled_(parts.scenario.timeline.size()) {}

void Director::begin() {
  for (std::uint32_t i = 0; i < loads_.size(); ++i) {
    const Workload& workload = parts_.scenario.workload[i];
    Load& load = loads_[i];
    load.from = clients_of(workload.from);
    if (workload.to) load.to = clients_of(*workload.to);
    load.moves = moves(workload.from) || (workload.to && moves(*workload.to));
  }
  for (const LinkRule& rule : parts_.scenario.links) {
    const bool is_from_store = rule.from.kind == Selector::Kind::store;
    if (is_from_store || rule.to.kind == Selector::Kind::store) {
      std::vector<bool> set(parts_.scenario.servers + 1);
      for (const std::uint32_t server : servers_of(is_from_store ? rule.to : rule.from)) set[server] = true;
      static_cast<void>(parts_.network.degrade_store(std::move(set), rule.link));
      continue;
    }
    const bool is_from_servers =
        rule.from.kind == Selector::Kind::servers || rule.from.kind == Selector::Kind::range_servers;
    std::vector<bool> servers(parts_.scenario.servers + 1);
    for (const std::uint32_t server : servers_of(is_from_servers ? rule.from : rule.to)) servers[server] = true;
    static_cast<void>(parts_.network.degrade_clients(std::move(servers),
                                                     client_set(is_from_servers ? rule.to : rule.from), rule.link));
  }
  parts_.network.keep_rules();
  for (const Step& step : parts_.scenario.timeline) {
    if (!step.on.empty()) {
      if (const auto metric = metric_of(step.on)) parts_.metrics.is_probed[static_cast<std::size_t>(*metric)] = true;
    }
  }
  schedule_all();
}

std::optional<Nanos> Director::resolve(const When& when) const {
  if (when.is_end) return parts_.scenario.duration + when.offset;
  if (when.step.empty()) return when.offset;
  const auto found = happened_.find(when.step);
  if (found == happened_.end()) return std::nullopt;
  return found->second.front() + when.offset;
}

bool Director::is_within(const When& from, const When& to, Nanos at) const {
  const auto times = from.step.empty() ? happened_.end() : happened_.find(from.step);
  if (times != happened_.end() && from.step == to.step) {
    return std::any_of(times->second.begin(), times->second.end(),
                       [&](Nanos time) { return time + from.offset <= at && at <= time + to.offset; });
  }
  const auto begins = resolve(from), ends = resolve(to);
  return begins && *begins <= at && (!ends || at <= *ends || to.is_end);
}

void Director::schedule_all() {
  for (std::uint32_t i = 0; i < is_scheduled_.size(); ++i) schedule(i);
  for (std::uint32_t i = 0; i < loads_.size(); ++i) {
    Load& load = loads_[i];
    if (load.begins != 0) continue;
    if (const auto at = resolve(parts_.scenario.workload[i].start)) {
      load.begins = std::max<Nanos>(*at, 1);
      parts_.kernel.push(load.begins, EventKind::workload, i);
    }
  }
}

void Director::schedule(std::uint32_t index) {
  const Step& step = parts_.scenario.timeline[index];
  if (is_scheduled_[index] || !step.on.empty()) return;
  const auto at = resolve(step.at);
  if (!at) return;
  is_scheduled_[index] = true;
  parts_.kernel.push(*at, EventKind::step, index, 0);
}

void Director::on_probe(Metric metric) {
  const std::string_view name = metric_names[static_cast<std::size_t>(metric)].name;
  const std::uint64_t nth = ++probes_[std::string(name)];
  for (std::uint32_t i = 0; i < is_scheduled_.size(); ++i) {
    const Step& step = parts_.scenario.timeline[i];
    if (is_scheduled_[i] || step.on != name || step.nth != nth) continue;
    is_scheduled_[i] = true;
    parts_.kernel.push(parts_.kernel.now() + 1, EventKind::step, i, 0);
  }
}

// ---------------------------------------------------------------- steps

void Director::on_step(const Event& event) {
  if (is_healing_) return;
  if (event.what == 1) return event.payload == undos_[event.whom].times ? undo(event.whom) : void();
  if (event.what == 2) {  // swizzle: one server is cut off, or comes back
    const std::uint32_t server = event.payload >> 1;
    for (const Way way : {Way::up, Way::down}) {
      const bool is_cut = (event.payload & 1) != 0;
      parts_.network.cut_store(server, way, is_cut);
      if (!parts_.network.is_store_cut(server, way)) parts_.network.release_store(server, way);
      if (VirtualServer* found = parts_.server(server); is_cut && found != nullptr) found->session().on_cut();
    }
    return;
  }
  perform(event.whom);
}

void Director::perform(std::uint32_t index) {
  const Step& step = parts_.scenario.timeline[index];
  const Nanos now = parts_.kernel.now();
  if (undos_[index].is_on) this->undo(index);  // repeated: the time before is over
  happened_[step.id].push_back(now);
  if (parts_.kernel.is_traced()) {
    parts_.kernel.note(fmt::format("STEP {}{}{}", step.id, step.note.empty() ? "" : ": ", step.note));
    parts_.kernel.tell(Fact::Kind::step_begins, index);
  }
  remember_groups(step.id);
  if (on_moment) on_moment();  // windows that begin now see what the step does
  Undo& undo = undos_[index];
  undo.is_on = true;
  ++undo.times;
  using A = Step::Action;
  switch (step.action) {
    case A::kill:
    case A::vanish:
    case A::stop:
    case A::start:
    case A::restart:
    case A::pause:
    case A::resume:
    case A::clock_skew:
    case A::drop_subscription:
      do_to_servers(step, undo, index);
      break;
    case A::drop:
    case A::half_open:
    case A::slow:
    case A::connect:
      do_to_clients(step, undo, index);
      break;
    case A::partition:
      do_to_links(step, undo, true);
      break;
    case A::degrade:
      do_to_links(step, undo, false);
      break;
    case A::heal:
      undo.has_met = true;
      for (std::uint32_t i = 0; i < undos_.size(); ++i) {
        if (i != index) this->undo(i);
      }
      break;
    case A::store_stall:
    case A::store_restart:
    case A::store_flush:
    case A::store_failover:
    case A::store_lose_replies:
    case A::store_refuse:
    case A::refuse_subscribe:
    case A::subscriber_lag:
      do_to_store(step, undo);
      break;
    case A::send:
    case A::join:
    case A::leave:
    case A::push:
      do_deed(step, undo);
      break;
    case A::swizzle:
      swizzle(step, index);
      break;
    case A::mark:
      undo.has_met = true;
      break;
  }
  if (undo.is_fault) parts_.truth->fault_begins(fault_of(step));
  if (step.duration) parts_.kernel.push(now + *step.duration, EventKind::step, index, 1, undo.times);
  if (step.every && now + *step.every < parts_.scenario.duration) {
    parts_.kernel.push(now + *step.every, EventKind::step, index, 0);
    if (!step.duration && !ends_by_itself(step.action)) this->undo(index);
  }
  schedule_all();
}

void Director::do_to_servers(const Step& step, Undo& undo, std::uint32_t index) {
  undo.servers = servers_of(*step.target);
  for (const std::uint32_t server : undo.servers) {
    VirtualServer* found = parts_.server(server);
    undo.has_met |= step.action == Step::Action::start    ? found == nullptr || found->is_draining()
                    : step.action == Step::Action::resume ? found != nullptr && found->is_paused()
                                                          : found != nullptr;
    switch (step.action) {
      case Step::Action::kill:
        parts_.truth->reach().trouble_begins(server, Reach::Trouble::told);
        stage_.kill(server);
        parts_.truth->reach().trouble_ends(server);
        break;
      case Step::Action::vanish:
        parts_.truth->reach().trouble_begins(server, Reach::Trouble::silent);
        stage_.vanish(server, step.counted_for);
        parts_.truth->reach().trouble_ends(server);
        break;
      case Step::Action::stop:
      case Step::Action::restart:
        parts_.truth->reach().trouble_begins(server, Reach::Trouble::told);
        parts_.truth->reach().trouble_ends(server);
        stage_.stop(server);
        break;
      case Step::Action::start:
        stage_.start(server);
        break;
      case Step::Action::pause:
        undo.is_fault = true;
        if (found != nullptr && !found->is_paused()) {
          parts_.truth->reach().trouble_begins(server, Reach::Trouble::still);
          found->pause(true);
        }
        break;
      case Step::Action::resume:
        if (found != nullptr) wake(*found);
        break;
      case Step::Action::clock_skew:
        // Its monotonic clock jumps ahead, as after a suspended machine; a step back is the wall clock's, which it
        // does not read.
        if (found != nullptr && step.by > 0) {
          parts_.truth->reach().trouble_begins(server, Reach::Trouble::lame);
          found->skew(step.by);
          parts_.truth->reach().trouble_ends(server);
        }
        break;
      case Step::Action::drop_subscription:
        if (found == nullptr) break;
        parts_.store->forget_subscriptions(server);
        found->note_bus_loss();
        parts_.truth->on_subscriptions_forgotten(server);
        parts_.truth->reach().trouble_begins(server, Reach::Trouble::lame);
        parts_.truth->reach().trouble_ends(server);
        break;
      default:
        break;
    }
  }
  if (!undo.is_fault) parts_.truth->servers_change();
  if (step.action == Step::Action::restart) {
    const Nanos back = parts_.kernel.now() + step.duration.value_or(10 * second);
    if (!step.duration) parts_.kernel.push(back, EventKind::step, index, 1, undo.times);
  }
}

void Director::wake(VirtualServer& server) {
  if (!server.is_paused()) return;
  server.pause(false);
  parts_.truth->reach().trouble_ends(server.number());
}

void Director::do_to_clients(const Step& step, Undo& undo, std::uint32_t index) {
  Population& population = *parts_.population;
  undo.clients = clients_of(*step.target);
  const Nanos until = step.duration ? parts_.kernel.now() + *step.duration : 0;
  const auto notice = static_cast<std::uint64_t>(index) << 32;
  for (const std::uint32_t client : undo.clients) {
    for (std::uint32_t k = 0; k < population.devices_per_client(); ++k) {
      const DeviceIndex device = client * population.devices_per_client() + k;
      const Device::State state = population.device(device).state;
      undo.has_met |= step.action == Step::Action::connect ? population.device(device).conn == nobody
                      : step.action == Step::Action::slow  ? state == Device::State::open
                                                           : population.device(device).conn != nobody;
      switch (step.action) {
        case Step::Action::drop:
          population.drop(device);
          break;
        case Step::Action::half_open:
          population.half_open(device, until);
          break;
        case Step::Action::slow:
          parts_.truth->disturb_client(client);
          population.slow(device, step.bytes_per_second);
          break;
        case Step::Action::connect:
          population.connect(
              device, static_cast<Nanos>(parts_.kernel.draws.below(millisecond, Purpose::arrival, notice | device, 1)));
          break;
        default:
          break;
      }
    }
  }
}

void Director::cut(std::uint32_t server, Way way, Undo& undo) {
  parts_.network.cut_store(server, way, true);
  parts_.truth->reach().trouble_begins(server, Reach::Trouble::silent);
  undo.cuts.emplace_back(server, way);
  if (VirtualServer* found = parts_.server(server)) found->session().on_cut();
}

void Director::do_to_links(const Step& step, Undo& undo, bool is_cut) {
  const Selector& a = *step.between_a;
  const Selector& b = *step.between_b;
  const bool is_store = a.kind == Selector::Kind::store || b.kind == Selector::Kind::store;
  const bool is_harmless = step.link && is_mild(*step.link, is_store);
  if (is_store) {
    undo.is_fault = !is_harmless;
    const bool is_a_store = a.kind == Selector::Kind::store;
    const std::vector<std::uint32_t> servers = servers_of(is_a_store ? b : a);
    undo.has_met |= !servers.empty();
    if (!is_cut) {
      std::vector<bool> set(parts_.scenario.servers + 1);
      for (const std::uint32_t server : servers) set[server] = true;
      if (!is_harmless) trouble(servers, undo);
      undo.rules.push_back(parts_.network.degrade_store(std::move(set), *step.link));
      return;
    }
    using D = Step::Direction;
    const bool is_up = step.direction == D::both || (step.direction == D::a_to_b) != is_a_store;
    const bool is_down = step.direction == D::both || (step.direction == D::a_to_b) == is_a_store;
    for (const std::uint32_t server : servers) {
      if (is_up) cut(server, Way::up, undo);
      if (is_down) cut(server, Way::down, undo);
    }
    return;
  }
  // Between clients and servers, whichever is named first; servers do not talk to each other.
  std::vector<std::uint32_t> servers, clients;
  const auto is_servers = [](const Selector& s) {
    return s.kind == Selector::Kind::servers || s.kind == Selector::Kind::range_servers;
  };
  servers = servers_of(is_servers(a) ? a : b);
  clients = clients_of(is_servers(a) ? b : a);
  undo.has_met |= !servers.empty() && !clients.empty();
  std::vector<bool> server_set(parts_.scenario.servers + 1), client_set(parts_.scenario.clients);
  for (const std::uint32_t server : servers) server_set[server] = true;
  for (const std::uint32_t client : clients) {
    client_set[client] = true;
    if (!is_harmless) parts_.truth->client_trouble_begins(client);
  }
  if (!is_harmless) undo.disturbed = clients;
  if (!is_cut) {
    undo.rules.push_back(parts_.network.degrade_clients(std::move(server_set), std::move(client_set), *step.link));
    return;
  }
  using D = Step::Direction;
  const D upwards = is_servers(a) ? D::b_to_a : D::a_to_b;
  const Network::Ways ways{.up = step.direction == D::both || step.direction == upwards,
                           .down = step.direction == D::both || step.direction != upwards};
  undo.rules.push_back(parts_.network.cut_clients(server_set, std::move(client_set), ways));
  Population& population = *parts_.population;
  for (const std::uint32_t client : clients) {
    for (std::uint32_t k = 0; k < population.devices_per_client(); ++k) {
      const DeviceIndex device = client * population.devices_per_client() + k;
      const ConnIndex conn = population.device(device).conn;
      if (conn != nobody && server_set[population.conn(conn).server]) population.cut_begins(device);
    }
  }
}

void Director::do_to_store(const Step& step, Undo& undo) {
  StoreModel& store = *parts_.store;
  const Nanos now = parts_.kernel.now();
  undo.is_fault = undo.has_met = true;
  switch (step.action) {
    case Step::Action::store_stall:
      store.stall(now + step.duration.value_or(second));
      break;
    case Step::Action::store_restart:
      store.go_down();
      break;
    case Step::Action::store_flush:
      store.flush();
      break;
    case Step::Action::store_failover:
      store.failover();
      break;
    case Step::Action::store_lose_replies:
      undo.servers = step.target ? servers_of(*step.target) : all_servers();
      undo.has_met = !undo.servers.empty();
      for (const std::uint32_t server : undo.servers) store.lose_replies(server, true);
      trouble(undo.servers, undo);
      break;
    case Step::Action::store_refuse:
      store.refuse(step.code);
      break;
    case Step::Action::refuse_subscribe:
      undo.servers = step.target ? servers_of(*step.target) : all_servers();
      undo.has_met = !undo.servers.empty();
      for (const std::uint32_t server : undo.servers) store.refuse_subscriptions(server, true);
      trouble(undo.servers, undo);
      break;
    case Step::Action::subscriber_lag:
      undo.servers = step.target ? servers_of(*step.target) : all_servers();
      undo.has_met = !undo.servers.empty();
      undo.is_fault = step.by > harmless_lag;
      for (const std::uint32_t server : undo.servers) store.lag(server, step.by);
      if (undo.is_fault) trouble(undo.servers, undo);
      break;
    default:
      break;
  }
  const bool is_of_all = undo.is_fault && undo.servers.empty();
  if (is_of_all) trouble({Reach::everywhere}, undo);
  if (!step.duration && ends_by_itself(step.action)) {
    // A moment, not a span; a restart without a span takes a second.
    const Nanos takes =
        step.action == Step::Action::store_flush || step.action == Step::Action::store_failover ? 1 : second;
    parts_.kernel.push(now + takes, EventKind::step,
                       static_cast<std::uint32_t>(&step - parts_.scenario.timeline.data()), 1, undo.times);
  }
}

void Director::trouble(const std::vector<std::uint32_t>& servers, Undo& undo) {
  for (const std::uint32_t server : servers) parts_.truth->reach().trouble_begins(server, Reach::Trouble::lame);
  undo.troubled.insert(undo.troubled.end(), servers.begin(), servers.end());
}

std::vector<std::uint32_t> Director::all_servers() {
  Selector all;
  all.kind = Selector::Kind::servers;
  return servers_of(all);
}

void Director::swizzle(const Step& step, std::uint32_t index) {
  std::vector<std::uint32_t> servers = step.target ? servers_of(*step.target) : all_servers();
  undos_[index].is_fault = true;
  undos_[index].has_met |= !servers.empty();
  trouble(servers, undos_[index]);
  std::vector<std::pair<std::uint64_t, std::uint32_t>> order;
  order.reserve(servers.size());
  for (const std::uint32_t server : servers) {
    order.emplace_back(parts_.kernel.draws.bits(Purpose::swizzle, server, index), server);
  }
  std::sort(order.begin(), order.end());
  order.resize((order.size() + 1) / 2);
  const Nanos span = step.duration.value_or(10 * second);
  const Nanos slot = span / static_cast<Nanos>(2 * order.size() + 1);
  Nanos at = parts_.kernel.now();
  for (const auto& [bits, server] : order) {
    parts_.kernel.push(at += slot, EventKind::step, index, 2, server << 1 | 1);
    undos_[index].cuts.emplace_back(server, Way::up);
    undos_[index].cuts.emplace_back(server, Way::down);
  }
  std::sort(order.begin(), order.end(), [](const auto& a, const auto& b) { return mix(a.first) < mix(b.first); });
  for (const auto& [bits, server] : order) parts_.kernel.push(at += slot, EventKind::step, index, 2, server << 1);
  undos_[index].cuts.clear();  // they end by themselves
  if (!step.duration) parts_.kernel.push(at + slot, EventKind::step, index, 1, undos_[index].times);
}

bool Director::is_also_done(Step::Action action, std::optional<std::uint32_t> to) const {
  for (std::size_t i = 0; i < undos_.size(); ++i) {
    const Undo& other = undos_[i];
    if (!other.is_on || parts_.scenario.timeline[i].action != action) continue;
    const auto& those = action == Step::Action::slow ? other.clients : other.servers;
    if (!to || std::find(those.begin(), those.end(), *to) != those.end()) return true;
  }
  return false;
}

void Director::undo(std::uint32_t index) {
  Undo& done = undos_[index];
  if (!std::exchange(done.is_on, false)) return;
  parts_.kernel.tell(Fact::Kind::step_over, index);
  const Step& step = parts_.scenario.timeline[index];
  for (const Network::Rule rule : std::exchange(done.rules, {})) parts_.network.restore(rule);
  for (const auto& [server, way] : std::exchange(done.cuts, {})) {
    parts_.network.cut_store(server, way, false);
    parts_.truth->reach().trouble_ends(server);
    if (!parts_.network.is_store_cut(server, way)) parts_.network.release_store(server, way);
  }
  for (const std::uint32_t server : std::exchange(done.troubled, {})) parts_.truth->reach().trouble_ends(server);
  for (const std::uint32_t client : std::exchange(done.disturbed, {})) parts_.truth->client_trouble_ends(client);
  switch (step.action) {
    case Step::Action::pause:
      for (const std::uint32_t server : done.servers) {
        VirtualServer* found = parts_.server(server);
        if (found != nullptr && !is_also_done(step.action, server)) wake(*found);
      }
      break;
    case Step::Action::kill:
    case Step::Action::vanish:
    case Step::Action::stop:
    case Step::Action::restart:
      if (step.duration || step.action == Step::Action::restart) {
        for (const std::uint32_t server : done.servers) stage_.start(server);
      }
      break;
    case Step::Action::slow:
      for (const std::uint32_t client : done.clients) {
        if (is_also_done(step.action, client)) continue;
        for (std::uint32_t k = 0; k < parts_.population->devices_per_client(); ++k) {
          parts_.population->read_again(client * parts_.population->devices_per_client() + k);
        }
      }
      break;
    case Step::Action::store_restart:
      if (!is_also_done(step.action, {})) parts_.store->come_up();
      break;
    case Step::Action::store_lose_replies:
      for (const std::uint32_t server : done.servers) {
        if (!is_also_done(step.action, server)) parts_.store->lose_replies(server, false);
      }
      break;
    case Step::Action::store_refuse:
      if (!is_also_done(step.action, {})) parts_.store->refuse(std::nullopt);
      break;
    case Step::Action::refuse_subscribe:
      for (const std::uint32_t server : done.servers) {
        if (!is_also_done(step.action, server)) parts_.store->refuse_subscriptions(server, false);
      }
      break;
    case Step::Action::subscriber_lag:
      for (const std::uint32_t server : done.servers) {
        if (!is_also_done(step.action, server)) parts_.store->lag(server, 0);
      }
      break;
    default:
      break;
  }
  if (std::exchange(done.is_fault, false)) parts_.truth->fault_ends(fault_of(step));
}

void Director::heal() {
  for (std::uint32_t i = 0; i < undos_.size(); ++i) undo(i);
  is_healing_ = true;
  parts_.network.heal();
  parts_.store->heal();
  for (std::uint32_t server = 1; server <= parts_.scenario.servers; ++server) {
    if (VirtualServer* found = parts_.server(server)) {
      wake(*found);
    } else {
      stage_.start(server);
    }
  }
  for (DeviceIndex device = 0; device < parts_.population->device_count(); ++device) {
    parts_.population->read_again(device);
    if (parts_.population->device(device).state == Device::State::away)
      parts_.population->connect(device, device % 1'000 * millisecond);
  }
}

// ---------------------------------------------------------------- deeds

std::string Director::data(DeedNumber number, std::uint32_t bytes) {
  std::string text = fmt::format(FMT_COMPILE("\"m{}\""), number);
  if (text.size() < bytes) {
    text.pop_back();
    text += ' ';
    text.resize(bytes - 1, 'x');
    text += '"';
  }
  return text;
}

void Director::do_deed(const Step& step, Undo& undo) {
  Population& population = *parts_.population;
  for (const std::uint32_t client : clients_of(*step.target)) {
    const DeviceIndex device = client * population.devices_per_client();
    if (population.device(device).state != Device::State::open) continue;
    undo.has_met = true;
    const std::uint32_t room = step.room.value_or(0);
    std::string text;
    switch (step.action) {
      case Step::Action::send: {
        const std::uint32_t to = step.to.value_or(0);
        const DeedNumber number = parts_.truth->begin(Deed::Kind::send, device, to, true, true);
        text =
            fmt::format(FMT_COMPILE(R"({{"op":"send","to":"c{}","data":{},"id":"{}"}})"), to, data(number, 16), number);
        break;
      }
      case Step::Action::join: {
        const DeedNumber number = parts_.truth->begin(Deed::Kind::join, device, room, true, true);
        text = fmt::format(FMT_COMPILE(R"({{"op":"join","room":"{}","id":"{}"}})"), Truth::room_name(room), number);
        break;
      }
      case Step::Action::leave: {
        const DeedNumber number = parts_.truth->begin(Deed::Kind::leave, device, room, true, true);
        text = fmt::format(FMT_COMPILE(R"({{"op":"leave","room":"{}","id":"{}"}})"), Truth::room_name(room), number);
        break;
      }
      default: {
        const DeedNumber number = parts_.truth->begin(Deed::Kind::push, device, room, true, true);
        text = fmt::format(FMT_COMPILE(R"({{"op":"push","room":"{}","data":{},"id":"{}"}})"), Truth::room_name(room),
                           data(number, 16), number);
      }
    }
    static_cast<void>(population.say(device, std::move(text)));
  }
}

Nanos Director::gap(const Workload& workload, std::uint64_t nth) const {
  const auto index = static_cast<std::uint64_t>(&workload - parts_.scenario.workload.data());
  const auto mean =
      static_cast<Nanos>(static_cast<std::uint64_t>(hour) / std::max<std::uint64_t>(workload.per_hour, 1));
  return exponential(std::max<Nanos>(mean, 1), parts_.kernel.draws.bits(Purpose::workload_gap, index, nth));
}

std::uint32_t Director::room_of(const Workload& workload, std::uint32_t client, std::uint64_t nth) const {
  const std::uint32_t rooms = std::max<std::uint32_t>(workload.rooms, 1);
  return static_cast<std::uint32_t>(parts_.kernel.draws.below(rooms, Purpose::workload_room, client, nth));
}

void Director::on_workload(const Event& event) {
  const Workload& workload = parts_.scenario.workload[event.whom];
  Load& load = loads_[event.whom];
  if (is_healing_) return;
  const Nanos now = parts_.kernel.now();
  if (const auto stop = resolve(workload.stop); stop && now >= *stop) return;
  const bool has_people = find_people(workload, load);
  if (workload.per_hour == 0) {
    // Once, each of them; who is not there yet is asked again.
    if (!has_people) return parts_.kernel.push(now + 50 * millisecond, EventKind::workload, event.whom);
    const std::uint64_t nth = load.turns++;
    if (nth >= load.from.size()) return;
    const std::uint32_t client = load.from[nth];
    const std::uint32_t device = client * parts_.population->devices_per_client();
    if (parts_.population->device(device).state != Device::State::open && parts_.population->device(device).turns < 8) {
      --load.turns;
      return parts_.kernel.push(now + 50 * millisecond, EventKind::workload, event.whom);
    }
    for (std::uint32_t k = 0; k < std::max<std::uint32_t>(workload.rooms_each, 1); ++k)
      act(workload, load, client, nth * 64 + k);
    return parts_.kernel.push(now + 20 * microsecond, EventKind::workload, event.whom);
  }
  const std::uint64_t nth = ++load.turns;
  if (has_people) {
    const auto who = load.from[parts_.kernel.draws.below(load.from.size(), Purpose::workload_who, event.whom, nth)];
    act(workload, load, who, nth);
  }
  parts_.kernel.push(now + gap(workload, nth), EventKind::workload, event.whom);
}

bool Director::moves(const Selector& s) const {
  if (s.kind == Selector::Kind::on || s.kind == Selector::Kind::owner) return true;
  if (s.kind == Selector::Kind::group) {
    const auto found = parts_.scenario.groups.find(s.name);
    return found != parts_.scenario.groups.end() && moves(found->second);
  }
  return std::any_of(s.parts.begin(), s.parts.end(), [this](const Selector& part) { return moves(part); });
}

bool Director::find_people(const Workload& workload, Load& load) {
  // Those who are done once each are counted through: who they are is settled at their first turn.
  if (load.moves && (workload.per_hour != 0 || load.turns == 0)) {
    if (!is_known(workload.from) || (workload.to && !is_known(*workload.to))) return false;
    load.from = clients_of(workload.from);
    if (workload.to) load.to = clients_of(*workload.to);
  }
  return !load.from.empty() && (!workload.to || !load.to.empty());
}

std::vector<const Step*> Director::missed_steps() const {
  std::vector<const Step*> missed;
  for (const Step& step : parts_.scenario.timeline) {
    if (!happened_.contains(step.id)) missed.push_back(&step);
  }
  return missed;
}

std::vector<const Step*> Director::idle_steps() const {
  std::vector<const Step*> idle;
  for (std::size_t i = 0; i < undos_.size(); ++i) {
    const Step& step = parts_.scenario.timeline[i];
    if (happened_.contains(step.id) && !undos_[i].has_met) idle.push_back(&step);
  }
  return idle;
}

std::vector<const Workload*> Director::idle_workloads() const {
  std::vector<const Workload*> idle;
  for (std::size_t i = 0; i < loads_.size(); ++i) {
    if (loads_[i].deeds == 0) idle.push_back(&parts_.scenario.workload[i]);
  }
  return idle;
}

void Director::act(const Workload& workload, Load& load, std::uint32_t client, std::uint64_t nth) {
  Population& population = *parts_.population;
  const std::uint32_t devices = population.devices_per_client();
  const DeviceIndex device = client * devices + (devices == 1 ? 0 : static_cast<std::uint32_t>(nth % devices));
  if (workload.op == Workload::Op::churn) {
    // Goes and comes: half of the times it says goodbye, half it is just gone.
    if (population.device(device).state == Device::State::open) {
      ++load.deeds;
      if (nth % 2 == 0) {
        population.close(device);
        population.connect(
            device, parts_.kernel.draws.of(parts_.scenario.reconnect.delay, Purpose::reconnect_delay, device, nth));
      } else {
        population.drop(device);
      }
    }
    return;
  }
  if (population.device(device).state != Device::State::open) return;
  ++load.deeds;
  const bool wants_word = workload.wants_word;
  const auto id = [&](DeedNumber number) {
    return wants_word ? fmt::format(FMT_COMPILE(R"(,"id":"{}")"), number) : std::string();
  };
  std::string text;
  switch (workload.op) {
    case Workload::Op::send: {
      const auto index = static_cast<std::uint64_t>(&workload - parts_.scenario.workload.data());
      const Draws& draws = parts_.kernel.draws;
      const std::uint32_t to =
          load.to.empty()
              ? static_cast<std::uint32_t>(draws.below(parts_.scenario.clients, Purpose::workload_whom, index, nth))
              : load.to[draws.below(load.to.size(), Purpose::workload_whom, index, nth)];
      const DeedNumber number = parts_.truth->begin(Deed::Kind::send, device, to, wants_word, true);
      text = fmt::format(FMT_COMPILE(R"({{"op":"send","to":"c{}","data":{}{}}})"), to, data(number, workload.bytes),
                         id(number));
      break;
    }
    case Workload::Op::push: {
      const std::uint32_t room = room_of(workload, 0, nth);
      const DeedNumber number = parts_.truth->begin(Deed::Kind::push, device, room, wants_word, workload.echo);
      text = fmt::format(FMT_COMPILE(R"({{"op":"push","room":"{}","data":{}{}{}}})"), Truth::room_name(room),
                         data(number, workload.bytes), workload.echo ? "" : R"(,"echo":false)", id(number));
      break;
    }
    case Workload::Op::join: {
      const std::uint32_t room = room_of(workload, client, nth);
      const DeedNumber number = parts_.truth->begin(Deed::Kind::join, device, room, wants_word, true);
      text = fmt::format(FMT_COMPILE(R"({{"op":"join","room":"{}"{}}})"), Truth::room_name(room), id(number));
      break;
    }
    default: {
      const std::uint32_t room = room_of(workload, client, nth);
      const DeedNumber number = parts_.truth->begin(Deed::Kind::leave, device, room, wants_word, true);
      text = fmt::format(FMT_COMPILE(R"({{"op":"leave","room":"{}"{}}})"), Truth::room_name(room), id(number));
    }
  }
  static_cast<void>(population.say(device, std::move(text)));
}

// ---------------------------------------------------------------- selectors

std::vector<std::uint32_t> Director::evaluate(const Selector& s, bool wants_servers) {
  std::vector<std::uint32_t> set;
  switch (s.kind) {
    case Selector::Kind::clients:
      for (std::uint32_t c = 0; c < parts_.scenario.clients; ++c) set.push_back(c);
      break;
    case Selector::Kind::servers:
      for (std::uint32_t n = 1; n <= parts_.scenario.servers; ++n) set.push_back(n);
      break;
    case Selector::Kind::store:
      break;
    case Selector::Kind::range_servers:
    case Selector::Kind::range_clients:
      for (std::uint32_t n = s.from; n <= s.to; ++n) set.push_back(n);
      break;
    case Selector::Kind::part: {
      std::vector<std::pair<std::uint64_t, std::uint32_t>> drawn;
      for (const std::uint32_t each : evaluate(s.parts.front(), wants_servers)) {
        drawn.emplace_back(parts_.kernel.draws.bits(Purpose::member, hash_of(s.text), each), each);
      }
      std::sort(drawn.begin(), drawn.end());
      const std::size_t wanted = s.count != 0 ? s.count : (drawn.size() * s.percent_millis + 50'000) / 100'000;
      if (drawn.size() > wanted) drawn.resize(wanted);
      for (const auto& [bits, each] : drawn) set.push_back(each);
      break;
    }
    case Selector::Kind::on: {
      if (!s.name.empty()) {
        if (const auto found = snapshots_.find(s.text); found != snapshots_.end()) return found->second;
      }
      std::vector<bool> servers(parts_.scenario.servers + 1);
      for (const std::uint32_t n : evaluate(s.parts.front(), true)) servers[n] = true;
      for (DeviceIndex d = 0; d < parts_.population->device_count(); ++d) {
        const Device& device = parts_.population->device(d);
        if (device.conn != nobody && servers[parts_.population->conn(device.conn).server]) {
          set.push_back(parts_.population->client_of(d));
        }
      }
      break;
    }
    case Selector::Kind::owner: {
      const ConnIndex conn = parts_.population->conn_of_client(s.from);
      if (conn != nobody) set.push_back(parts_.population->conn(conn).server);
      break;
    }
    case Selector::Kind::group: {
      const auto found = parts_.scenario.groups.find(s.name);
      if (found != parts_.scenario.groups.end()) return evaluate(found->second, wants_servers);
      break;
    }
    case Selector::Kind::except: {
      set = evaluate(s.parts[0], wants_servers);
      sort_unique(set);
      std::vector<std::uint32_t> without = evaluate(s.parts[1], wants_servers), rest;
      sort_unique(without);
      std::set_difference(set.begin(), set.end(), without.begin(), without.end(), std::back_inserter(rest));
      return rest;
    }
  }
  sort_unique(set);
  return set;
}

std::vector<std::uint32_t> Director::clients_of(const Selector& selector) { return evaluate(selector, false); }
std::vector<std::uint32_t> Director::servers_of(const Selector& selector) { return evaluate(selector, true); }

std::vector<bool> Director::client_set(const Selector& selector) {
  std::vector<bool> set(parts_.scenario.clients);
  for (const std::uint32_t client : clients_of(selector)) set[client] = true;
  return set;
}

bool Director::is_known(const Selector& selector) const {
  if (selector.kind == Selector::Kind::group) {
    const auto found = parts_.scenario.groups.find(selector.name);
    return found == parts_.scenario.groups.end() || is_known(found->second);
  }
  const std::string moment = moment_of(selector);
  return moment.empty() || happened_.contains(moment);
}

void Director::remember_groups(const std::string& step) {
  // Taken before the step does anything: `clients on s2 at kill` are those that the kill meets.
  const std::function<void(const Selector&)> walk = [&](const Selector& s) {
    for (const Selector& part : s.parts) walk(part);
    if (s.kind == Selector::Kind::on && s.name == step && !snapshots_.contains(s.text)) {
      Selector now = s;
      now.name.clear();
      snapshots_[s.text] = evaluate(now, false);
    }
  };
  for (const auto& [name, selector] : parts_.scenario.groups) walk(selector);
  for (const Workload& workload : parts_.scenario.workload) {
    walk(workload.from);
    if (workload.to) walk(*workload.to);
  }
  for (const Step& each : parts_.scenario.timeline) {
    for (const auto* selector : {&each.target, &each.between_a, &each.between_b}) {
      if (*selector) walk(**selector);
    }
  }
  for (const Expectation& each : parts_.scenario.expect) {
    for (const auto& comparison : each.expression.all) {
      for (const auto* term : {&comparison.left, &comparison.right}) {
        if (term->among) walk(*term->among);
      }
    }
  }
}

}  // namespace wsr::sim
