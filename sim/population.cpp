#include "sim/population.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <charconv>
#include <utility>

#include "sim/frame_text.hpp"
#include "sim/server.hpp"
#include "sim/truth.hpp"

namespace wsr::sim {
namespace {

constexpr Nanos keep_alive_slack = 100 * millisecond;

/// Names the next thing in a pipe: what went before arrives at a time of its own.
std::uint64_t tie_of(const Conn& conn, const Pipe& pipe) {
  return conn.serial ^ (static_cast<std::uint64_t>(pipe.last) << 20);
}

}  // namespace

Population::Population(Parts& parts)
    : parts_(parts),
      per_client_(std::max<std::uint32_t>(parts.scenario.devices, 1)),
      devices_(std::size_t{parts.scenario.clients} * per_client_),
      by_server_(parts.scenario.servers + 1) {
  parts_.network.pipe_of_client = [this](const Event& event, Way way) -> Pipe* {
    if (event.kind == EventKind::client_act) return nullptr;  // no bytes
    Conn& conn = conns_[event.whom];
    return conn.serial != event.what ? nullptr : way == Way::up ? &conn.up : &conn.down;
  };
}

ConnIndex Population::conn_of_client(std::uint32_t client) const {
  for (std::uint32_t k = 0; k < per_client_; ++k) {
    const Device& device = devices_[client * per_client_ + k];
    if (device.state == Device::State::open) return device.conn;
  }
  return nobody;
}

std::uint32_t Population::client_named(std::string_view name) {
  std::uint32_t number = nobody;
  if (name.size() < 2 || name.front() != 'c') return nobody;
  const auto [end, error] = std::from_chars(name.data() + 1, name.data() + name.size(), number);
  return error == std::errc{} && end == name.data() + name.size() ? number : nobody;
}

ConnIndex Population::take_conn() {
  if (free_.empty()) {
    conns_.emplace_back();
    free_.push_back(static_cast<ConnIndex>(conns_.size() - 1));
  }
  const ConnIndex index = free_.front();
  free_.pop_front();
  conns_[index] = Conn{};
  conns_[index].serial = ++last_serial_;
  return index;
}

void Population::free_conn(ConnIndex index) {
  Conn& conn = conns_[index];
  if (conn.state == Conn::State::none) return;
  if (const auto slow = slow_.find(index); slow != slow_.end()) {
    for (const auto& [parcel, size] : slow->second.waiting) static_cast<void>(parts_.kernel.bytes.take(parcel));
    slow_.erase(slow);
  }
  if (!heard_.empty()) heard_.erase(conn.serial);
  if (!unacknowledged_.empty()) unacknowledged_.erase(index);
  if (!cut_headers_.empty()) cut_headers_.erase(index);
  conn.state = Conn::State::none;
  conn.serial = 0;  // what is under way to it finds nobody
  auto& others = by_server_[conn.server];
  if (conn.place < others.size() && others[conn.place] == index) {
    conns_[others.back()].place = conn.place;
    others[conn.place] = others.back();
    others.pop_back();
  }
  free_.push_back(index);
}

void Population::server_end_is_over(ConnIndex index) {
  Conn& conn = conns_[index];
  if (conn.device == nobody) return free_conn(index);
  conn.is_server_gone = true;
}

// ---------------------------------------------------------------- coming and going

void Population::arrive() {
  for (DeviceIndex i = 0; i < devices_.size(); ++i) {
    connect(i, parts_.kernel.draws.of(parts_.scenario.arrive, Purpose::arrival, i, 0));
  }
}

void Population::connect(DeviceIndex index, Nanos in) {
  Device& device = devices_[index];
  if (device.state != Device::State::away) return;
  device.stays_away = false;
  parts_.kernel.push(parts_.kernel.now() + in, EventKind::client_act, index, static_cast<std::uint32_t>(Act::connect),
                     ++device.turns);
}

std::uint32_t Population::pick_server(DeviceIndex index) {
  const Draws& draws = parts_.kernel.draws;
  const std::uint32_t count = parts_.scenario.servers;
  // A load balancer looks at readiness: a server that drains or is dead is not in its list, unless nobody is.
  const auto is_listed = [&](std::uint32_t server) {
    const VirtualServer* found = parts_.server(server);
    return found != nullptr && found->is_listening();
  };
  Device& device = devices_[index];
  std::uint32_t wanted = 1;
  const bool is_sticky = parts_.scenario.reconnect.is_sticky || parts_.scenario.balancing == Balancing::sticky;
  if (is_sticky && device.server != 0 && is_listed(device.server)) return device.server;
  switch (parts_.scenario.balancing) {
    case Balancing::round_robin:
      wanted = 1 + next_server_++ % count;
      break;
    case Balancing::hash:
    case Balancing::sticky:
      wanted = 1 + static_cast<std::uint32_t>(draws.below(count, Purpose::balance, client_of(index), 0));
      break;
    case Balancing::least_connections: {
      std::size_t least = ~std::size_t{0};
      for (std::uint32_t s = 1; s <= count; ++s) {
        if (is_listed(s) && by_server_[s].size() < least) {
          least = by_server_[s].size();
          wanted = s;
        }
      }
      break;
    }
    case Balancing::random:
      wanted = 1 + static_cast<std::uint32_t>(draws.below(count, Purpose::balance, index, device.turns));
      break;
  }
  for (std::uint32_t tries = 0; tries < count; ++tries) {
    if (is_listed(wanted)) return wanted;
    wanted = wanted % count + 1;
  }
  return wanted;
}

void Population::dial(DeviceIndex index) {
  Device& device = devices_[index];
  if (device.state != Device::State::away || device.stays_away) return;
  ++device.attempts;
  parts_.metrics.count(Metric::connect_attempt, client_of(index));
  device.server = pick_server(index);
  device.state = Device::State::connecting;
  const ConnIndex at = device.conn = take_conn();
  Conn& conn = conns_[at];
  conn.state = Conn::State::connecting;
  conn.device = index;
  conn.client = client_of(index);
  conn.server = device.server;
  conn.place = static_cast<std::uint32_t>(by_server_[conn.server].size());
  by_server_[conn.server].push_back(at);
  const LinkSpec& link = parts_.network.client_link(client_of(index), conn.server);
  // Three ways of a handshake before the request is there.
  const Nanos handshake = 2 * parts_.kernel.draws.of(link.latency, Purpose::latency, index, device.turns);
  const Nanos arrives = parts_.network.arrival(conn.up, link, 300, index) + handshake;
  conn.up.last = arrives;
  const auto is_cut = [&](Way way) { return parts_.network.is_client_cut(client_of(index), conn.server, way); };
  if (is_cut(Way::up) || is_cut(Way::down)) {
    conn.is_cut = true;  // there will be no server's end
    return lose(at, 1006);
  }
  parts_.kernel.push(arrives, EventKind::server_accept, at, conn.serial);
  const Nanos patience =
      parts_.kernel.draws.of(parts_.scenario.reconnect.give_up, Purpose::give_up, index, device.turns);
  if (patience == 0) return;
  parts_.kernel.push(parts_.kernel.now() + patience, EventKind::client_act, at,
                     static_cast<std::uint32_t>(Act::give_up), conn.serial);
}

void Population::close(DeviceIndex index) {
  Device& device = devices_[index];
  device.stays_away = true;
  ++device.turns;
  if (device.conn == nobody) return;
  const ConnIndex at = device.conn;
  lose(at, 1000);
}

void Population::drop(DeviceIndex index) {
  const Device& device = devices_[index];
  if (device.conn == nobody) return;
  lose(device.conn, 1006);
}

void Population::half_open(DeviceIndex index, Nanos until) {
  const Device& device = devices_[index];
  if (device.conn == nobody || device.state != Device::State::open) return;
  Conn& conn = conns_[device.conn];
  conn.is_cut = true;
  const std::uint32_t client = client_of(index);
  parts_.truth->disturb_client(client);
  parts_.truth->on_cut(client);
  const Draws& draws = parts_.kernel.draws;
  const Nanos notice = draws.of(parts_.scenario.reconnect.notice, Purpose::notice, index, ++draws_);
  parts_.kernel.push(parts_.kernel.now() + notice, EventKind::client_act, device.conn,
                     static_cast<std::uint32_t>(Act::notice), conn.serial);
  // `until` bounds how long the server believes in it: a reset that comes through.
  Nanos found = given_up_at(index);
  if (until > parts_.kernel.now()) found = std::min(found, until);
  parts_.kernel.push(found, EventKind::client_act, device.conn, static_cast<std::uint32_t>(Act::noticed_by_server),
                     conn.serial);
}

Nanos Population::given_up_at(DeviceIndex index) const {
  const auto ping = static_cast<std::uint64_t>(std::chrono::nanoseconds(parts_.config.ping_every).count());
  const auto pong = std::chrono::nanoseconds(parts_.config.pong_within).count();
  return parts_.kernel.now() + pong + keep_alive_slack +
         static_cast<Nanos>(
             parts_.kernel.draws.below(std::max<std::uint64_t>(ping, 1), Purpose::ping_phase, index, draws_));
}

void Population::cut_begins(DeviceIndex index) {
  const Device& device = devices_[index];
  if (device.conn == nobody) return;
  const Conn& conn = conns_[device.conn];
  if (conn.is_cut) return;
  ++draws_;
  parts_.kernel.push(given_up_at(index), EventKind::client_act, device.conn, static_cast<std::uint32_t>(Act::unheard),
                     conn.serial);
}

void Population::give_up(ConnIndex index, Nanos in) {
  Conn& conn = conns_[index];
  conn.is_cut = true;
  parts_.truth->on_cut(client_of(conn.device));
  parts_.kernel.push(parts_.kernel.now() + 1, EventKind::server_fin, index, conn.serial);
  parts_.kernel.push(parts_.kernel.now() + in + 2, EventKind::client_act, index,
                     static_cast<std::uint32_t>(Act::notice), conn.serial);
}

/// The client's end is over. Its server hears of it unless nothing gets through.
void Population::lose(ConnIndex index, std::uint16_t code) {
  Conn& conn = conns_[index];
  const DeviceIndex device = conn.device;
  if (device == nobody) return;
  parts_.truth->on_gone(index, code);
  // The 101 is written once the client is claimed: cut before that, it was an attempt that came to nothing, no close.
  const bool was_connecting = conn.state == Conn::State::connecting;
  const bool came_about = !was_connecting || code != 1006;
  if (came_about) count_close(device, code);
  if (conn.is_welcome) {
    --open_;
    parts_.kernel.tell(Fact::Kind::client_gone, client_of(device), conn.server, code, conn.serial);
  }
  conn.device = nobody;
  conn.is_welcome = false;
  conn.state = Conn::State::closed;
  devices_[device].conn = nobody;
  devices_[device].state = Device::State::away;
  const bool hears = !conn.is_cut && !conn.is_server_gone && parts_.server(conn.server) != nullptr;
  if (hears) {
    const std::uint32_t client = client_of(device);
    const LinkSpec& link = parts_.network.client_link(client, conn.server);
    const Nanos at = parts_.network.arrival(conn.up, link, 0, device);
    if (parts_.network.is_client_cut(client, conn.server, Way::up)) {
      parts_.network.hold_client(client, conn.server, Way::up,
                                 {.tie = parts_.kernel.draws.bits(Purpose::tie, device, tie_of(conn, conn.up)),
                                  .cause = parts_.kernel.events(),
                                  .whom = index,
                                  .what = conn.serial,
                                  .kind = EventKind::server_fin});
      ++draws_;
      parts_.kernel.push(given_up_at(device), EventKind::client_act, index,
                         static_cast<std::uint32_t>(Act::noticed_by_server), conn.serial);
    } else {
      parts_.kernel.push(at, EventKind::server_fin, index, conn.serial);
    }
  } else if (was_connecting || conn.is_server_gone || parts_.server(conn.server) == nullptr) {
    free_conn(index);
  }
  come_back(device, code, came_about);
}

void Population::come_back(DeviceIndex index, std::uint16_t code, bool came_about) {
  Device& device = devices_[index];
  const ReconnectSpec& spec = parts_.scenario.reconnect;
  if (device.stays_away || code == 1000 || code == 4009) return;  // replaced: its newer one lives
  if (!spec.is_on && came_about) return;                          // an attempt that came to nothing is repeated
  Nanos delay = parts_.kernel.draws.of(spec.delay, Purpose::reconnect_delay, index, ++device.turns);
  if (parts_.mutant == Mutant::unseeded) {
    static std::atomic<Nanos> runs_together = 0;  // what a seed does not know of
    delay += runs_together++;
  }
  for (std::uint32_t failed = 1; failed < device.attempts && delay < spec.delay_max; ++failed) delay *= 2;
  connect(index, std::min(delay, spec.delay_max));
}

void Population::refuse(ConnIndex index) {
  Conn& conn = conns_[index];
  if (conn.device != nobody) parts_.metrics.count(Metric::connect_refused, client_of(conn.device));
  conn.is_cut = true;  // there is no server's end
  if (conn.device != nobody) {
    lose(index, 1006);
  } else {
    free_conn(index);
  }
}

void Population::server_died(std::uint32_t server) {
  const Distribution& notice = parts_.scenario.reconnect.notice;
  abandon(server,
          [&](DeviceIndex device) { return parts_.kernel.draws.of(notice, Purpose::notice, device, ++draws_); });
}

void Population::server_vanished(std::uint32_t server) {
  const Distribution& notice = parts_.scenario.reconnect.notice;
  const bool is_by_ping = notice.kind == Distribution::Kind::constant && notice.a == 0;
  abandon(server, [&](DeviceIndex device) {
    ++draws_;
    return is_by_ping ? given_up_at(device) - parts_.kernel.now()
                      : parts_.kernel.draws.of(notice, Purpose::notice, device, draws_);
  });
}

void Population::abandon(std::uint32_t server, const std::function<Nanos(DeviceIndex)>& notice) {
  const std::vector<ConnIndex> all = by_server_[server];
  for (const ConnIndex index : all) {
    Conn& conn = conns_[index];
    if (conn.state == Conn::State::none || conn.server != server) continue;
    if (conn.device == nobody) {
      free_conn(index);
      continue;
    }
    conn.is_cut = true;
    parts_.truth->on_cut(client_of(conn.device));
    parts_.kernel.push(parts_.kernel.now() + notice(conn.device) + 1, EventKind::client_act, index,
                       static_cast<std::uint32_t>(Act::notice), conn.serial);
  }
}

// ---------------------------------------------------------------- bytes

bool Population::say(DeviceIndex index, std::string&& text) {
  const Device& device = devices_[index];
  if (device.state != Device::State::open) return false;
  Conn& conn = conns_[device.conn];
  if (parts_.kernel.is_traced()) {
    parts_.kernel.note(fmt::format("{} at s{} says {}", name_of(client_of(index)), conn.server, text.substr(0, 200)));
  }
  if (parts_.mutant == Mutant::early_word) answer_early(device.conn, text);
  if (conn.is_cut || conn.is_server_gone) return true;  // written into a dead connection: it does not know
  const std::size_t bytes = text.size();
  Event event{.at = 0,
              .tie = parts_.kernel.draws.bits(Purpose::tie, index, tie_of(conn, conn.up)),
              .cause = parts_.kernel.events(),
              .whom = device.conn,
              .payload = parts_.kernel.bytes.put(std::move(text)),
              .what = conn.serial,
              .kind = EventKind::server_text};
  if (parts_.network.is_client_cut(client_of(index), conn.server, Way::up)) {
    parts_.network.hold_client(client_of(index), conn.server, Way::up, event);
    return true;
  }
  if (parts_.network.is_client_cut(client_of(index), conn.server, Way::down)) heard_[conn.serial] = parts_.kernel.now();
  parts_.kernel.push(
      event, parts_.network.arrival(conn.up, parts_.network.client_link(client_of(index), conn.server), bytes, index));
  return true;
}

void Population::write(ConnIndex index, std::string&& bytes) {
  Conn& conn = conns_[index];
  if (conn.state == Conn::State::none) return;
  if (parts_.truth->wants_writes(conn)) parts_.truth->on_write(conn, bytes);
  if (conn.device == nobody) return;
  if (conn.close == Conn::Close::written) parts_.truth->closes().on_written_after(index);
  conn.in_flight += static_cast<std::uint32_t>(bytes.size());
  if (conn.is_cut) return;  // fills the window and stays there
  const std::size_t size = bytes.size();
  const std::uint32_t client = client_of(conn.device);
  if (parts_.mutant == Mutant::shared_queue && !conn.is_slow) {
    const auto& others = by_server_[conn.server];
    const bool is_held_up =
        std::any_of(others.begin(), others.end(), [&](ConnIndex other) { return conns_[other].is_blocked; });
    if (is_held_up) conn.down.last = std::max(conn.down.last, parts_.kernel.now() + 100 * millisecond);
  }
  Event event{.at = 0,
              .tie = parts_.kernel.draws.bits(Purpose::tie, index, tie_of(conn, conn.down)),
              .cause = parts_.kernel.events(),
              .whom = index,
              .payload = parts_.kernel.bytes.put(std::move(bytes)),
              .what = conn.serial,
              .kind = EventKind::client_bytes};
  if (parts_.network.is_client_cut(client, conn.server, Way::down))
    return parts_.network.hold_client(client, conn.server, Way::down, event);
  parts_.kernel.push(event,
                     parts_.network.arrival(conn.down, parts_.network.client_link(client, conn.server), size, index));
}

void Population::close_by_server(ConnIndex index, std::uint16_t code) {
  Conn& conn = conns_[index];
  if (conn.device == nobody || conn.is_cut) return;  // it has gone, or finds out by itself
  const std::uint32_t client = client_of(conn.device);
  const LinkSpec& link = parts_.network.client_link(client, conn.server);
  const Nanos at = parts_.network.arrival(conn.down, link, 4, conn.device);
  if (parts_.network.is_client_cut(client, conn.server, Way::down)) {
    return parts_.network.hold_client(client, conn.server, Way::down,
                                      {.tie = parts_.kernel.draws.bits(Purpose::tie, index, tie_of(conn, conn.down)),
                                       .cause = parts_.kernel.events(),
                                       .whom = index,
                                       .payload = code,
                                       .what = conn.serial,
                                       .kind = EventKind::client_fin});
  }
  parts_.kernel.push(at, EventKind::client_fin, index, conn.serial, code);
}

void Population::on_act(const Event& event) {
  switch (static_cast<Act>(event.what)) {
    case Act::connect:
      if (devices_[event.whom].turns == event.payload) dial(event.whom);
      return;
    case Act::notice: {
      Conn& conn = conns_[event.whom];
      if (conn.serial == event.payload && conn.device != nobody) lose(event.whom, 1006);
      return;
    }
    case Act::give_up: {
      const Conn& conn = conns_[event.whom];
      if (conn.serial == event.payload && conn.device != nobody && !conn.is_welcome) lose(event.whom, 1006);
      return;
    }
    case Act::read: {
      const auto found = slow_.find(event.whom);
      if (conns_[event.whom].serial != event.payload || found == slow_.end() || found->second.waiting.empty()) return;
      const std::uint32_t parcel = found->second.waiting.front().first;
      found->second.waiting.pop_front();
      if (!found->second.waiting.empty()) read_next_later(event.whom, found->second);
      std::string bytes = parts_.kernel.bytes.take(parcel);
      if (conns_[event.whom].device != nobody && !conns_[event.whom].is_cut) read(event.whom, std::move(bytes));
      return;
    }
    case Act::acknowledged: {
      const auto bytes = unacknowledged_.find(event.whom);
      if (conns_[event.whom].serial != event.payload || bytes == unacknowledged_.end()) return;
      acknowledge(event.whom, std::exchange(bytes->second, 0));
      unacknowledged_.erase(bytes);
      return;
    }
    case Act::unheard: {
      const Conn& conn = conns_[event.whom];
      if (conn.serial != event.payload || conn.state == Conn::State::none || conn.device == nobody || conn.is_cut)
        return;
      // It heals in time, or another cut has begun since, with a wait of its own.
      const std::uint32_t client = client_of(conn.device);
      const Nanos pong = std::chrono::nanoseconds(parts_.config.pong_within).count();
      if (parts_.network.client_cut_for(client, conn.server) < pong) return;
      const VirtualServer* server = parts_.server(conn.server);
      const auto heard = heard_.find(conn.serial);
      const bool is_heard = heard != heard_.end() && heard->second + pong > parts_.kernel.now() &&
                            !parts_.network.is_client_cut(client, conn.server, Way::up);
      if (is_heard || (server != nullptr && server->is_paused())) {  // whatever comes stands for a pong
        ++draws_;
        parts_.kernel.push(given_up_at(conn.device), EventKind::client_act, event.whom,
                           static_cast<std::uint32_t>(Act::unheard), conn.serial);
        return;
      }
      const bool hears_the_close = !parts_.network.is_client_cut(client, conn.server, Way::down);
      const Distribution& in =
          hears_the_close ? parts_.network.client_link(client, conn.server).latency : parts_.scenario.reconnect.notice;
      return give_up(event.whom, parts_.kernel.draws.of(in, Purpose::notice, conn.device, ++draws_));
    }
    case Act::noticed_by_server: {
      Conn& conn = conns_[event.whom];
      if (conn.serial != event.payload || conn.state == Conn::State::none) return;
      if (VirtualServer* server = parts_.server(conn.server); server != nullptr && server->life() == conn.life) {
        parts_.kernel.push(parts_.kernel.now() + 1, EventKind::server_fin, event.whom, conn.serial);
      }
      return;
    }
  }
}

void Population::read_next_later(ConnIndex index, const SlowReader& reader) {
  if (reader.bytes_per_second == 0) return;
  const auto takes = static_cast<Nanos>(reader.waiting.front().second * second / reader.bytes_per_second);
  parts_.kernel.push(parts_.kernel.now() + takes + 1, EventKind::client_act, index,
                     static_cast<std::uint32_t>(Act::read), conns_[index].serial);
}

void Population::on_bytes(const Event& event) {
  std::string bytes = parts_.kernel.bytes.take(event.payload);
  Conn& conn = conns_[event.whom];
  if (conn.serial != event.what || conn.device == nobody || conn.is_cut) return;
  if (conn.is_slow) {
    SlowReader& reader = slow_[event.whom];
    const std::size_t size = bytes.size();
    reader.waiting.emplace_back(parts_.kernel.bytes.put(std::move(bytes)), size);
    if (reader.waiting.size() == 1) read_next_later(event.whom, reader);
    return;
  }
  read(event.whom, std::move(bytes));
}

void Population::acknowledge(ConnIndex index, std::uint32_t bytes) {
  Conn& conn = conns_[index];
  conn.in_flight -= std::min(conn.in_flight, bytes);
  if (!std::exchange(conn.is_blocked, false)) return;
  conn.unblocked_at = parts_.kernel.now();
  parts_.kernel.push(parts_.kernel.now() + 1, EventKind::server_writable, index, conn.serial);
}

void Population::read(ConnIndex index, std::string&& bytes) {
  const auto size = static_cast<std::uint32_t>(bytes.size());
  const std::uint32_t client = client_of(conns_[index].device);
  if (parts_.network.is_client_cut(client, conns_[index].server, Way::up)) {
    // Its acknowledgements wait with all else: the server writes until the window is full.
    std::uint32_t& waiting = unacknowledged_[index];
    if (waiting == 0) {
      parts_.network.hold_client(client, conns_[index].server, Way::up,
                                 {.tie = parts_.kernel.draws.bits(Purpose::tie, index, conns_[index].serial),
                                  .cause = parts_.kernel.events(),
                                  .whom = index,
                                  .payload = conns_[index].serial,
                                  .what = static_cast<std::uint32_t>(Act::acknowledged),
                                  .kind = EventKind::client_act});
    }
    waiting += size;
  } else {
    acknowledge(index, size);
  }
  const std::uint32_t serial = conns_[index].serial;
  if (const auto cut = cut_headers_.find(index); cut != cut_headers_.end()) {
    bytes.insert(0, cut->second);
    cut_headers_.erase(cut);
  }
  for (std::span<char> rest(bytes); !rest.empty();) {
    Conn& conn = conns_[index];
    if (conn.serial != serial || conn.device == nobody) return;  // a frame made it go
    const WsEvent frame = conn.parser.next(rest);
    rest = rest.subspan(frame.consumed);
    if (frame.kind == WsEvent::Kind::need_more) {
      if (!rest.empty()) cut_headers_[index].assign(rest.begin(), rest.end());
      break;
    }
    if (frame.kind == WsEvent::Kind::text) {
      if (parts_.mutant == Mutant::none || !is_mutated(index, frame.payload)) on_text(index, frame.payload);
    }
    if (frame.kind == WsEvent::Kind::error) {
      parts_.truth->find("no-silence", client_of(conn.device), "the server's bytes are no WebSocket frames");
      return;
    }
  }
}

void Population::answer_early(ConnIndex index, std::string_view command) {
  const std::uint64_t number = number_behind(command, R"("id":")");
  const bool is_picked = parts_.kernel.draws.chance(20'000, Purpose::mutant, index, ++draws_);
  if (!is_picked || number == 0 || !command.starts_with(R"({"op":"send")")) return;
  answered_early_.insert(number);
  on_text(index, fmt::format(R"({{"op":"result","id":"{}","state":"unknown"}})", number));
}

bool Population::is_mutated(ConnIndex index, std::string_view text) {
  const bool is_message = text.starts_with(R"({"op":"message")"), is_room = text.starts_with(R"({"op":"room")");
  const bool is_answer = text.starts_with(R"({"op":"ok")") || text.starts_with(R"({"op":"result")");
  const bool is_picked = parts_.kernel.draws.chance(20'000, Purpose::mutant, index, ++draws_);
  switch (parts_.mutant) {
    case Mutant::foreign_delivery: {
      if (!is_picked || !(is_message || is_room)) return false;
      const auto other =
          static_cast<ConnIndex>(parts_.kernel.draws.below(conns_.size(), Purpose::mutant, index, draws_));
      if (other == index || conns_[other].device == nobody || !conns_[other].is_welcome) return false;
      on_text(other, text);
      return true;
    }
    case Mutant::doubled_frame:
      if (is_picked && (is_message || is_room)) on_text(index, text);
      return false;
    case Mutant::doubled_presence_frame:
      if (is_picked && text.starts_with(R"({"op":"presence")")) on_text(index, text);
      return false;
    case Mutant::lost_presence_frame:
      return is_picked && text.starts_with(R"({"op":"presence")");
    case Mutant::swapped_frames:
    case Mutant::swapped_room_frames: {
      if (parts_.mutant == Mutant::swapped_frames ? !is_message : !is_room) return false;
      if (held_.first == index) {
        on_text(index, text);
        const std::string held = std::exchange(held_, {nobody, {}}).second;
        on_text(index, held);
        return true;
      }
      if (held_.first != nobody) return false;
      held_ = {index, std::string(text)};
      return true;
    }
    case Mutant::lost_after_word:
      return is_picked && is_message;
    case Mutant::lost_room_message:
      return is_picked && is_room;
    case Mutant::swallowed_answer:
      return is_picked && is_answer;
    case Mutant::early_word:
      return is_answer && answered_early_.contains(number_behind(text, R"("id":")"));
    case Mutant::rewritten_word: {
      constexpr std::string_view word = R"("state":"delivered")";
      const auto found = text.find(word);
      if (!is_picked || !is_answer || found == std::string_view::npos) return false;
      std::string other(text);
      on_text(index, other.replace(found, word.size(), R"("state":"offline")"));
      return true;
    }
    case Mutant::planted:
      return is_answer &&
             parts_.kernel.draws.below(5'000'000, Purpose::mutant, client_of(conns_[index].device), ++draws_) == 0;
    default:
      return false;
  }
}

void Population::on_text(ConnIndex index, std::string_view text) {
  parts_.kernel.fold(hash_of(text));
  Conn& conn = conns_[index];
  if (parts_.kernel.is_traced()) {
    parts_.kernel.note(
        fmt::format("{} at s{} hears {}", name_of(client_of(conn.device)), conn.server, text.substr(0, 200)));
  }
  constexpr std::string_view head = R"({"op":")";
  if (!text.starts_with(head)) {
    return parts_.truth->find("no-silence", client_of(conn.device), "a frame that names no op comes first");
  }
  text.remove_prefix(head.size());
  const auto is = [&text](std::string_view op) { return text.starts_with(op); };
  VirtualServer* server = parts_.server(conn.server);
  if (server != nullptr && server->life() != conn.life) server = nullptr;
  if (is("message\"")) {
    if (server != nullptr) server->on_heard();
    return parts_.truth->on_message(index, text);
  }
  if (is("room\"")) {
    if (server != nullptr) server->on_heard_room();
    return parts_.truth->on_room_message(index, text);
  }
  if (is("presence\"")) return parts_.truth->on_presence(index, text);
  if (is("rejoined\"")) return parts_.truth->on_rejoined(index, text);
  if (is("welcome\"")) {
    if (conn.is_welcome && parts_.mutant == Mutant::early_welcome) return;
    Device& device = devices_[conn.device];
    device.state = Device::State::open;
    device.attempts = 0;
    conn.state = Conn::State::open;
    conn.is_welcome = true;
    conn.welcomed_at = parts_.kernel.now();
    ++open_;
    parts_.kernel.tell(Fact::Kind::client_open, client_of(conn.device), conn.server, 0, conn.serial);
    parts_.truth->on_welcome(index, text);
    return parts_.metrics.count(Metric::connect_open, client_of(conn.device));
  }
  if (is("dropped\"")) {
    std::uint64_t count = 0;
    const auto at = text.find("\"count\":");
    if (at != std::string_view::npos) std::from_chars(text.data() + at + 8, text.data() + text.size(), count);
    return parts_.truth->on_told(index, count);
  }
  parts_.truth->on_answer(index, text);
}

void Population::on_fin(const Event& event) {
  Conn& conn = conns_[event.whom];
  if (conn.serial != event.what || conn.device == nobody) return;
  const auto code = static_cast<std::uint16_t>(event.payload);
  const VirtualServer* server = parts_.server(conn.server);
  parts_.truth->on_server_close(event.whom, code, server != nullptr && server->life() == conn.life);
  lose(event.whom, code);
}

// ---------------------------------------------------------------- slow readers

void Population::slow(DeviceIndex index, std::uint64_t bytes_per_second) {
  const Device& device = devices_[index];
  if (device.state != Device::State::open) return;
  conns_[device.conn].is_slow = true;
  parts_.truth->on_slow(device.conn);
  SlowReader& reader = slow_[device.conn];
  const bool begins = reader.bytes_per_second == 0 && !reader.waiting.empty();  // it has not read at all until now
  reader.bytes_per_second = bytes_per_second;
  if (begins) read_next_later(device.conn, reader);
}

void Population::read_again(DeviceIndex index) {
  const Device& device = devices_[index];
  if (device.conn == nobody || !conns_[device.conn].is_slow) return;
  const ConnIndex at = device.conn;
  Conn& conn = conns_[at];
  conn.is_slow = false;
  SlowReader reader = std::move(slow_[at]);
  slow_.erase(at);
  Nanos when = parts_.kernel.now();
  for (const auto& [parcel, size] : reader.waiting) {
    parts_.kernel.push(++when, EventKind::client_bytes, at, conn.serial, parcel);
  }
  conn.down.last = std::max(conn.down.last, when);
}

void Population::count_close(DeviceIndex device, std::uint16_t code) {
  const std::uint32_t client = client_of(device);
  parts_.metrics.count(Metric::close_any, client);
  static constexpr std::pair<std::uint16_t, Metric> codes[] = {
      {1000, Metric::close_1000}, {1001, Metric::close_1001}, {1006, Metric::close_1006}, {1008, Metric::close_1008},
      {1009, Metric::close_1009}, {1012, Metric::close_1012}, {1013, Metric::close_1013}, {4009, Metric::close_4009},
      {4013, Metric::close_4013}, {4029, Metric::close_4029}};
  for (const auto& [each, metric] : codes) {
    if (each == code) return parts_.metrics.count(metric, client);
  }
}

}  // namespace wsr::sim
