#include "sim/router_server.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "core/wire/envelope.hpp"
#include "sim/truth.hpp"

namespace wsr::sim {
namespace {

constexpr std::uint8_t keeper_driver = 0x80;  // of its tickets; the Router's is 0

RouterOptions router_options(const Parts& parts, const ServerId& id) {
  RouterOptions options;
  options.self = ShardAddress{id, 0};
  options.policy = parts.config.policy;
  options.limits = parts.config.limits;
  if (parts.mutant == Mutant::unbounded_outbox) options.limits.outbox_bytes_max *= 1'000;
  if (parts.mutant == Mutant::herd_of_claims) options.limits.reassert_batch *= 1'000;
  return options;
}

KeeperOptions keeper_options(const Parts& parts, const ServerId& id) {
  KeeperOptions options;
  options.self = id;
  options.lease = parts.config.lease;
  options.probe_every = parts.config.probe_every;
  // As core/net: with a grace the lease stands on, so that clients who go elsewhere keep their rooms.
  if (parts.config.limits.reconnect_grace.count() != 0) {
    options.linger = std::chrono::duration_cast<std::chrono::milliseconds>(parts.config.limits.reconnect_grace) +
                     std::chrono::seconds{1};
  }
  return options;
}

/// A mutant's: what a server writes to a client that is welcome, before it knows whether it is.
constexpr std::string_view early_welcome_frame = "\x81\x1b{\"op\":\"welcome\",\"rooms\":[]}";

constexpr Nanos drain_look_every = 10 * millisecond;  // as a real server does

}  // namespace

RouterServer::RouterServer(Parts& parts, std::uint32_t number, std::uint32_t life, Nanos clock_offset)
    : VirtualServer(parts, number, life, clock_offset),
      router_ports_(session_, 0),
      keeper_ports_(session_, keeper_driver),
      keeper_(keeper_options(parts, id_), keeper_ports_, *this, *this),
      router_(router_options(parts, id_), Router::Ports{router_ports_, *this, *this, *this}),
      work_(parts.scenario, parts.config.limits) {}

Time RouterServer::now() const { return Time{std::chrono::nanoseconds{parts_.kernel.now() + clock_offset_}}; }
StoreTime RouterServer::store_now() const { return keeper_.store_time(now()); }
std::chrono::microseconds RouterServer::store_error() const { return keeper_.store_error(); }

void RouterServer::start() {
  session_.stays_deaf(parts_.mutant == Mutant::deaf_for_ever);
  session_.start();
  keeper_.start();
  end_turn();
}

void RouterServer::stop() {
  if (is_draining_) return;
  is_draining_ = true;
  for (const ConnIndex index : by_slot_) {
    if (index != nobody) close_later(parts_.population->conn(index).id, 1001);
  }
  end_turn();
  drain_until_ = parts_.kernel.now() + std::chrono::nanoseconds(parts_.config.drain_within).count();
  parts_.kernel.push(parts_.kernel.now() + drain_look_every, EventKind::server_act, number_, life_);
}

void RouterServer::resign() {
  if (is_over_) return;
  if (parts_.kernel.now() < drain_until_ && parts_.population->has_clients_at(number_)) {
    parts_.kernel.push(parts_.kernel.now() + drain_look_every, EventKind::server_act, number_, life_);
    return;
  }
  if (keeper_.is_stopped()) {
    is_over_ = true;
    return;
  }
  keeper_.stop();
  end_turn();
}

void RouterServer::look_at_clock() {
  if (keeper_.beat() == Keeper::Pulse::woken) router_.hold();
}

// ---------------------------------------------------------------- turns

void RouterServer::end_turn() {
  for (int round = 0; round < 4; ++round) {
    flushing_.swap(dirty_);
    for (const ConnId id : flushing_) {
      if (const ConnIndex index = conn_with(id); index != nobody) flush(index);
    }
    ending_.swap(closing_);
    for (const Closing& each : ending_) {
      const ConnIndex index = conn_with(each.conn);
      if (index == nobody) continue;
      Conn& conn = parts_.population->conn(index);
      const Outbox* outbox = router_.outbox(each.conn);
      const Closes::Waiting waiting{each.waiting, outbox == nullptr ? 0 : outbox->bytes()};
      flush(index);
      conn.state = Conn::State::closed;
      const std::uint16_t code = parts_.mutant == Mutant::silent_close ? std::uint16_t{1006} : each.code;
      parts_.truth->closes().on_close(index, code, waiting);
      parts_.population->close_by_server(index, code);
      closed(index);
    }
    flushing_.clear();
    ending_.clear();
    router_.end_turn();
    if (dirty_.empty() && closing_.empty()) break;
  }
  router_.outbox_budget().connections = router_.connection_count();
  keeper_.set_connections(router_.connection_count());
  for (; times_deaf_ < keeper_.figures().times_deaf; ++times_deaf_) parts_.metrics.count(Metric::server_deaf);
  arm_timer();
  // What was held is done in one turn, whatever it is.
  const bool has_gone_on = std::exchange(was_held_, router_.is_held()) && !was_held_;
  if (const std::uint64_t excess = work_.excess(router_ports_.counts().all); excess != 0 && !has_gone_on) {
    parts_.truth->find("bounded-work", nobody,
                       fmt::format("one event cost s{}, which has {} connections, {} calls to the store too many",
                                   number_, router_.connection_count(), excess));
  }
  if (const std::uint64_t rush = work_.rush(router_ports_.counts().asserted, parts_.kernel.now()); rush != 0) {
    parts_.truth->find(
        "herd", nobody,
        fmt::format("s{} claimed {} connections again beyond {} in {} ms", number_, rush,
                    parts_.config.limits.reassert_batch,
                    std::chrono::duration_cast<std::chrono::milliseconds>(parts_.config.limits.reassert_pace).count()));
  }
}

void RouterServer::flush(ConnIndex index) {
  Conn& conn = parts_.population->conn(index);
  Outbox* outbox = router_.outbox(conn.id);
  if (outbox == nullptr) return;
  if (outbox->bytes() != 0) parts_.truth->on_queue(index, outbox->bytes());
  std::array<std::string_view, 64> pieces;
  while (!outbox->is_empty()) {
    std::uint32_t window = parts_.population->window_left(index);
    if (window == 0) {
      conn.is_blocked = true;
      break;
    }
    const std::size_t count = outbox->gather(pieces);
    bytes_.clear();
    for (std::size_t i = 0; i < count && window != 0; ++i) {
      const auto part = pieces[i].substr(0, window);
      bytes_.append(part);
      window -= static_cast<std::uint32_t>(part.size());
    }
    if (bytes_.empty()) break;
    outbox->taken(bytes_.size());
    parts_.population->write(index, std::move(bytes_));
    bytes_ = std::string();
  }
  if (outbox->dropped() != 0) router_.on_written(conn.id);
  // What on_written() said waits for the next turn of this loop, if there is room.
}

void RouterServer::arm_timer() {
  std::optional<Time> next = router_.next_deadline();
  if (const auto keeper = keeper_.next_deadline(); keeper && (!next || *keeper < *next)) next = keeper;
  if (!next) return;
  const Nanos at = next->time_since_epoch().count() - clock_offset_;
  if (armed_at_ != 0 && armed_at_ <= at) return;
  armed_at_ = std::max(at, parts_.kernel.now() + 1);
  parts_.kernel.push(armed_at_, EventKind::server_timer, number_, ++timer_generation_, life_);
}

void RouterServer::on_timer(std::uint32_t generation) {
  if (generation != timer_generation_) return;
  armed_at_ = 0;
  look_at_clock();
  if (const auto at = keeper_.next_deadline(); at && *at <= now()) keeper_.on_time();
  if (const auto at = router_.next_deadline(); at && *at <= now()) router_.on_time();
  if (is_draining_ && keeper_.is_stopped()) is_over_ = true;
  end_turn();
}

// ---------------------------------------------------------------- connections

ConnIndex RouterServer::conn_with(ConnId id) const {
  const std::uint32_t slot = id.slot();
  if (slot >= by_slot_.size() || by_slot_[slot] == nobody) return nobody;
  return parts_.population->conn(by_slot_[slot]).id == id ? by_slot_[slot] : nobody;
}

void RouterServer::on_accept(ConnIndex index) {
  look_at_clock();
  Conn& conn = parts_.population->conn(index);
  if (!is_listening()) return parts_.population->refuse(index);
  // As core/net: a connection whose end is there already is none, and one that has waited is as old as it is.
  if (conn.has_fin) return parts_.population->server_end_is_over(index);
  const Nanos age = parts_.kernel.now() - conn.made_at;
  std::optional<StoreTime> accepted_at;
  if (age >= millisecond)
    accepted_at = store_now() - std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::nanoseconds{age});
  work_.begin(router_ports_.counts().all);
  const auto client = ClientId::trusted(Population::name_of(conn.client));
  if (parts_.mutant == Mutant::scan_at_claim) scan();
  const auto opened = router_.open(client, Framing::websocket, accepted_at);
  if (!opened) {
    parts_.population->refuse(index);
    return end_turn();
  }
  ++counts_.opened;
  conn.id = *opened;
  conn.life = life_;
  conn.opened_at = parts_.kernel.now();
  const std::uint32_t slot = conn.id.slot();
  if (slot >= by_slot_.size()) by_slot_.resize(slot + 1, nobody);
  by_slot_[slot] = index;
  if (parts_.mutant == Mutant::early_welcome) parts_.population->write(index, std::string{early_welcome_frame});
  if (Outbox* outbox = router_.outbox(conn.id); outbox != nullptr && !outbox->is_empty()) dirty_.push_back(conn.id);
  end_turn();
}

void RouterServer::on_text(ConnIndex index, std::string&& text) {
  look_at_clock();
  const Conn& conn = parts_.population->conn(index);
  if (conn_with(conn.id) != index) return;
  work_.begin(router_ports_.counts().all);
  if (text.starts_with(R"({"op":"send")")) {
    ++counts_.sends;
    if (router_.is_held()) ++counts_.sends_held;
  }
  if (text.starts_with(R"({"op":"push")")) ++counts_.pushes;
  router_.text(conn.id, text);
  end_turn();
}

void RouterServer::on_fin(ConnIndex index) {
  look_at_clock();
  const Conn& conn = parts_.population->conn(index);
  if (conn_with(conn.id) != index) return parts_.population->server_end_is_over(index);
  work_.begin(router_ports_.counts().all);
  closed(index);
  end_turn();
}

void RouterServer::on_writable(ConnIndex index) {
  look_at_clock();
  const Conn& conn = parts_.population->conn(index);
  if (conn_with(conn.id) != index) return;
  work_.begin(router_ports_.counts().all);
  flush(index);
  end_turn();
}

void RouterServer::closed(ConnIndex index) {
  Conn& conn = parts_.population->conn(index);
  const ConnId id = conn.id;
  by_slot_[id.slot()] = nobody;
  ++counts_.closed;
  router_.closed(id);
  conn.state = Conn::State::closed;
  parts_.population->server_end_is_over(index);
}

void RouterServer::scan() {
  for (const ConnIndex index : by_slot_) {
    if (index == nobody || parts_.population->conn(index).device == nobody) continue;
    const std::uint32_t client = parts_.population->client_of(parts_.population->conn(index).device);
    router_ports_.call(Ticket{}, LookupCall{ClientId::trusted(Population::name_of(client))});
  }
}

void RouterServer::wake(ConnId conn) { dirty_.push_back(conn); }
void RouterServer::close(ConnId conn, std::uint16_t code, std::string_view reason) {
  if (parts_.kernel.is_traced()) {
    parts_.kernel.note(fmt::format("s{} closes {:x} with {}: {}", number_, conn.value, code, reason));
  }
  if (code == 4009) ++counts_.closes_replaced;
  if (code == 1013) ++counts_.closes_slow;
  close_later(conn, code);
}

void RouterServer::close_later(ConnId conn, std::uint16_t code) {
  if (parts_.mutant == Mutant::miscoded_close && code == 4009) code = 1011;
  if (const ConnIndex index = conn_with(conn); index != nobody) parts_.truth->closes().on_asked(index);
  const Outbox* outbox = router_.outbox(conn);
  closing_.push_back({conn, code, outbox == nullptr ? 0 : outbox->bytes()});
}

// ---------------------------------------------------------------- the store

void RouterServer::on_store_event(const Event& event) {
  look_at_clock();
  if (event.kind == EventKind::store_answer) {
    session_.on_answer(event);
  } else if (event.kind == EventKind::bus_message) {
    session_.on_bus_message(event);
  } else {
    session_.on_timer(event);
  }
  if (is_draining_ && keeper_.is_stopped()) is_over_ = true;
  end_turn();
}

void RouterServer::on_answer(Ticket ticket, Answer&& answer) {
  if (parts_.kernel.is_traced()) parts_.kernel.note(fmt::format("s{} is answered: {}", number_, describe(answer)));
  if (ticket.driver() == keeper_driver) {
    if (const auto* renewed = std::get_if<Renewed>(&answer); renewed != nullptr && renewed->result == Errc::ok &&
                                                             renewed->before == Renewed::Before::missing &&
                                                             was_ready_) {
      parts_.metrics.count(Metric::server_lease_lost);
    }
    keeper_.on_answer(ticket.without_driver(), std::move(answer));
    return;
  }
  if (auto* claimed = std::get_if<Claimed>(&answer); claimed != nullptr && parts_.mutant == Mutant::forgotten_kick) {
    claimed->displaced.clear();
  }
  if (auto* owners = std::get_if<Owners>(&answer);
      owners != nullptr && parts_.mutant == Mutant::false_offline &&
      parts_.kernel.draws.chance(50'000, Purpose::mutant, number_, ++frames_)) {
    owners->rows.clear();
  }
  const bool is_for_many = std::holds_alternative<Subscribed>(answer) || std::holds_alternative<Held>(answer);
  if (!is_for_many) work_.begin_for_client(router_ports_.counts().all);
  if (const auto* released = std::get_if<Released>(&answer)) {
    if (released->result == Errc::not_found) ++counts_.releases_fenced;
    if (is_store_failure(released->result)) ++counts_.releases_unanswered;
  }
  router_.on_answer(ticket, std::move(answer));
}

void RouterServer::on_bus_message(const Channel& channel, std::string_view, std::string_view payload) {
  if (channel.kind == ChannelKind::room) {
    work_.begin_for_client(router_ports_.counts().all);
    return router_.on_room_event(channel.name, payload, 1);
  }
  if (channel.kind != ChannelKind::inbox) return;
  const auto header = peek_batch(payload);
  if (header && header->to_shard == probe_shard) return keeper_.on_probe(payload);
  keeper_.on_heard();
  work_.begin_batch(router_ports_.counts().all, payload.size());
  ++counts_.batches_in;
  router_.on_batch(id_.view(), payload);
}

void RouterServer::on_resubscribed() { keeper_.on_resubscribed(); }

void RouterServer::on_store_state(StoreState state) {
  if (parts_.kernel.is_traced()) {
    parts_.kernel.note(fmt::format("s{}: the store is {}", number_, state == StoreState::up ? "up" : "down"));
  }
  keeper_.on_store_state(state);
  router_.on_store_state(state);
}

void RouterServer::on_reassert() {
  parts_.metrics.count(Metric::server_reasserted);
  if (parts_.kernel.is_traced()) parts_.kernel.note(fmt::format("s{} claims all its connections again", number_));
  if (parts_.mutant != Mutant::never_reasserts) router_.reassert();
}

void RouterServer::on_server_gone(const ServerId& server) { router_.on_server_gone(server); }

void RouterServer::on_readiness(const Readiness& readiness) {
  const bool is_now = readiness.is_ready();
  if (is_now != was_ready_) parts_.metrics.count(is_now ? Metric::server_ready : Metric::server_unready);
  was_ready_ = is_now;
  has_been_ready_ = has_been_ready_ || is_now;
}

// ---------------------------------------------------------------- checkers

void RouterServer::push(const RoomName& room, std::string_view data) {
  ++counts_.pushes;
  router_.push(Ticket{}, room, {}, data, Echo::yes, Wait::not_at_all);
  end_turn();
}

void RouterServer::send(const ClientId& to, std::string_view data) {
  ++counts_.sends;
  router_.send(Ticket{}, {}, to, data, Wait::not_at_all);
  end_turn();
}

Stats RouterServer::stats() const {
  Stats stats = router_.stats();
  if (parts_.mutant == Mutant::miscounted_words) stats.sent += stats.sent / 100 + 1;
  if (parts_.mutant == Mutant::forgotten_count && stats.batches_in != 0) --stats.batches_in;
  return stats;
}

std::optional<std::string> RouterServer::dishonest_figure() const {
  OutsideCounts counts = counts_;
  counts.calls = router_ports_.counts();
  // Of several devices each is looked for when one joins or leaves.
  counts.lookups_for_rooms_max = parts_.config.policy == SessionPolicy::multi ? counts.calls.lookups : 0;
  return wsr::sim::dishonest_figure(stats(), counts, session_.room_channels());
}

VirtualServer::Keeps RouterServer::keeps() {
  const Stats stats = router_.stats();
  const bool has_timer = router_.next_deadline() && parts_.config.limits.owner_ttl.count() == 0;
  return {.connections = router_.connection_count(),
          .memberships = stats.memberships,
          .rooms = stats.rooms,
          .channels = session_.room_channels(),
          .bytes = router_.outbox_budget().bytes,
          .unfinished = stats.unfinished,
          .timers = has_timer ? 1U : 0U};
}

}  // namespace wsr::sim
