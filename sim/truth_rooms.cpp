// The rooms of the truth: places of messages, versions of rosters, and what each member must hear of them.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <utility>

#include "sim/frame_text.hpp"
#include "sim/server.hpp"
#include "sim/truth.hpp"

namespace wsr::sim {
namespace {

constexpr std::size_t mute_max = 10'000;  // of one room: older ones have been heard by all

}  // namespace

Truth::Room& Truth::room(std::uint32_t number) {
  rooms_end_ = std::max(rooms_end_, number + 1);
  return rooms_[number];
}

void Truth::on_welcome(ConnIndex index, std::string_view text) {
  // Rooms that it came back to in time: it is in them from now on.
  const Conn& conn = parts_.population->conn(index);
  // A server that cannot reach the store welcomes all the same, and can displace nobody.
  if (reach_.can_be_told(conn.server)) takeover_.on_welcome(conn, parts_.kernel.now());
  auto rest = text;
  for (auto at = rest.find("\"room:"); at != std::string_view::npos; at = rest.find("\"room:")) {
    rest.remove_prefix(at + 6);
    std::uint32_t number = 0;
    std::from_chars(rest.data(), rest.data() + rest.size(), number);
    Seat& seat = seats_[seat_key(conn.serial, number)];
    seat.is_in = seat.has_answer = true;  // at a version that the welcome does not name
  }
}

void Truth::on_rejoined(ConnIndex index, std::string_view text) {
  Seat& seat = seats_[seat_key(parts_.population->conn(index).serial, room_in(text))];
  seat.has_answer = false;  // what it knew before is old
  if (seat.asked == 0) know_version(seat, text);
  if (!std::exchange(seat.is_in, true)) seat.is_steady = false;
}

/// The first answer says at which version of the roster it came in; what comes after it is heard. One who is in already
/// and asks once more misses nothing for it.
void Truth::know_version(Seat& seat, std::string_view text) {
  if (parts_.population->devices_per_client() > 1) {
    // Another device's join may have brought it in, and a leave of the client may stand between this and what it knew.
    seat.version = 0;
    return;
  }
  if (std::exchange(seat.has_answer, true)) return;
  seat.version = is_calm_since(parts_.kernel.now()) ? number_behind(text, R"("version":)") : 0;
  seat.version_at = parts_.kernel.now();
  seat.source = Seat::Source::answer;
}

// ---------------------------------------------------------------- what comes to members

void Truth::on_room_message(ConnIndex index, std::string_view text) {
  Population& population = *parts_.population;
  Conn& conn = population.conn(index);
  const std::uint32_t client = population.client_of(conn.device);
  const std::uint32_t number = room_in(text);
  Deed* done = deed(deed_in(text));
  parts_.metrics.count(Metric::room_message, client);
  if (done == nullptr && deed_in(text) != 0 && deed_in(text) < base_) {
    seats_[seat_key(conn.serial, number)].is_steady = false;  // so late that nobody knows its place any more
  }
  if (done == nullptr || done->kind != Deed::Kind::push) return;
  if (done->to != number || !asked_in_.contains({client, number})) {
    parts_.metrics.count(Metric::deliver_foreign, client);
    return find("nobody-elses-mail", client,
                fmt::format("c{}, who never asked to join it, heard a message of {}", client, room_name(done->to)));
  }
  if (done->client != nobody) {
    parts_.metrics.count(Metric::room_latency, client, parts_.kernel.now() - done->at);
    note_latency(conn, done->at);
    parts_.kernel.tell(Fact::Kind::heard_room, client, done->client, parts_.kernel.now() - done->at);
  }
  hear_room(index, seats_[seat_key(conn.serial, number)], room(number), *done, number);
}

void Truth::hear_room(ConnIndex index, Seat& seat, Room& of, const Deed& done, std::uint32_t number) {
  Conn& conn = parts_.population->conn(index);
  const std::uint32_t client = parts_.population->client_of(conn.device);
  if (done.place == 0) return;  // published where nobody looked
  if (done.place == seat.last) {
    return find("at-most-once", client,
                fmt::format("c{} heard place {} of {} twice", client, done.place, room_name(number)));
  }
  if (done.place < seat.last) {
    return find(
        "room-order", client,
        fmt::format("c{} heard place {} of {} after place {}", client, done.place, room_name(number), seat.last));
  }
  const VirtualServer* server = parts_.server(conn.server);
  const bool has_lost = server == nullptr || server->last_bus_loss() >= seat.last_at;
  std::uint64_t missed = done.place - seat.last - 1;
  if (missed != 0) {
    const auto end = of.mute.lower_bound(done.place);
    for (auto at = of.mute.upper_bound(seat.last); at != end; ++at) missed -= at->second == client ? 1 : 0;
  }
  if (seat.has_left && parts_.population->devices_per_client() == 1) {
    return find("nobody-elses-mail", client,
                fmt::format("c{}, whose leave was acknowledged, heard a message of {}", client, room_name(number)));
  }
  if (seat.is_in && seat.is_steady && missed != 0 && !has_lost) {
    parts_.metrics.count(Metric::room_missed, client, static_cast<std::int64_t>(missed));
    end_credit(conn, seat.last_at);
    conn.gap += static_cast<std::int64_t>(missed);  // unless it is told
    if (conn.gap > 0) untold_since_.try_emplace(conn.serial, parts_.kernel.now());
    if (parts_.kernel.is_traced()) {
      parts_.kernel.note(fmt::format("c{} at s{} missed places {} to {} of {}", client, conn.server, seat.last + 1,
                                     done.place - 1, room_name(number)));
    }
  }
  seat.last = done.place;
  seat.last_at = done.at;
  seat.is_steady = true;
  // Until it has a welcome or an `ok` it may hear what came before; that is no promise yet.
}

void Truth::on_told(ConnIndex index, std::uint64_t count) {
  Conn& conn = parts_.population->conn(index);
  parts_.metrics.count(Metric::reader_told, parts_.population->client_of(conn.device),
                       static_cast<std::int64_t>(count));
  conn.gap -= static_cast<std::int64_t>(count);
  if (conn.gap <= 0) untold_since_.erase(conn.serial);
  told_at_[conn.serial] = parts_.kernel.now();
}

void Truth::find_gap(std::uint32_t client, std::int64_t gap) {
  find("nobody-deaf", client,
       fmt::format("c{} was in its rooms all the time, missed {} frames of theirs, and was not told", client, gap));
}

/// What lies between the version that a member knows and the next that it hears it has missed, and is told, or not.
void Truth::miss_presence(ConnIndex index, const Seat& seat, std::uint64_t version, std::uint32_t number) {
  Conn& conn = parts_.population->conn(index);
  const VirtualServer* server = parts_.server(conn.server);
  const bool has_lost = server == nullptr || server->last_bus_loss() >= seat.version_at;
  if (seat.version == 0 || seat.source == Seat::Source::count || version == seat.version + 1 || has_lost) return;
  if (seat.version < room(number).jumped_to) return;  // the store's jump says so itself
  end_credit(conn, seat.version_at);
  conn.gap += static_cast<std::int64_t>(version - seat.version - 1);
  if (conn.gap > 0) untold_since_.try_emplace(conn.serial, parts_.kernel.now());
  if (parts_.kernel.is_traced()) {
    parts_.kernel.note(fmt::format("c{} at s{} missed versions {} to {} of {}",
                                   parts_.population->client_of(conn.device), conn.server, seat.version + 1,
                                   version - 1, room_name(number)));
  }
}

void Truth::on_presence(ConnIndex index, std::string_view text) {
  Population& population = *parts_.population;
  const Conn& conn = population.conn(index);
  const std::uint32_t client = population.client_of(conn.device);
  const std::string_view event = text_behind(text, R"("event":")");
  parts_.metrics.count(event == "join"    ? Metric::presence_join
                       : event == "leave" ? Metric::presence_leave
                                          : Metric::presence_count,
                       client);
  Seat& seat = seats_[seat_key(conn.serial, room_in(text))];
  const std::uint64_t version = number_behind(text, R"("version":)");
  // A failover may bring versions a second time: what is heard in trouble says nothing of what comes after.
  const bool is_calm = is_calm_since(parts_.kernel.now());
  const bool is_count = event == "count";
  const bool is_own = !is_count && Population::client_named(text_behind(text, R"("client":")")) == client;
  // A count tells the size once more to those who have it from their own answer.
  const bool is_again = version == seat.version && !(is_count && seat.source == Seat::Source::answer);
  if (is_calm && (version < seat.version || is_again)) {
    find("presence", client,
         fmt::format("c{} heard version {} of room:{} after version {}", client, version, room_in(text), seat.version));
  } else if (is_calm && !is_count && !(is_own && event == "leave")) {  // who is out need not know of the others
    miss_presence(index, seat, version, room_in(text));
  }
  seat.version = is_calm ? version : 0;
  seat.version_at = parts_.kernel.now();
  seat.source = is_count ? Seat::Source::count : Seat::Source::event;
  if (is_own) {
    if (event == "join") seat.is_in = true;
    if (event == "leave") go_out(seat);
    seat.is_steady = false;
  }
}

void Truth::settle_seat(std::uint32_t serial, std::uint32_t room, DeedNumber number) {
  Seat& seat = seats_[seat_key(serial, room)];
  if (seat.asked == number) seat.asked = 0;  // else it has asked for something else since
}

// ---------------------------------------------------------------- what the store publishes

void Truth::on_room_event(std::string_view name, const RoomEvent& event) {
  std::uint32_t number = 0;
  if (name.size() > 5) std::from_chars(name.data() + 5, name.data() + name.size(), number);
  Room& of = room(number);
  if (const auto* message = std::get_if<RoomMessage>(&event)) {
    std::uint64_t named = 0;
    if (message->data.size() > 2)
      std::from_chars(message->data.data() + 2, message->data.data() + message->data.size(), named);
    if (Deed* done = deed(named); done != nullptr) {
      if (done->place != 0) find("at-most-once", done->client, fmt::format("push {} was published twice", named));
      done->place = ++of.published;
      if (!done->has_echo) of.mute.emplace(done->place, done->client);
      if (of.mute.size() > mute_max) of.mute.erase(of.mute.begin());
    }
    return;
  }
  const auto* presence = std::get_if<PresenceEvent>(&event);
  if (presence == nullptr) return find("presence", nobody, fmt::format("{} brought something unreadable", name));
  const std::uint32_t client = Population::client_named(presence->client);
  const bool is_join = presence->kind == PresenceEvent::Kind::join;
  parts_.metrics.count(is_join ? Metric::room_joined : Metric::room_left, client);
  const bool has_jumped = of.may_jump && presence->version > of.version + 1;
  const bool is_next = has_jumped || presence->version == of.version + 1;
  if (has_jumped) of.jumped_to = presence->version;
  of.may_jump = of.may_jump && !has_jumped;
  const bool was_right = is_join ? of.present.insert(client).second : of.present.erase(client) == 1;
  if (!of.is_known) {
    of.is_known = true;
  } else if (!was_right) {
    find("presence", client,
         fmt::format("c{} {} {} and was {} there", client, is_join ? "joined" : "left", name,
                     is_join ? "already" : "not"));
  } else if (presence->size != of.present.size() || (of.present.size() != (is_join ? 1U : 0U) && !is_next)) {
    find("presence", client,
         fmt::format("{}: event of c{} says size {} at version {}; it is {} after version {}", name, client,
                     presence->size, presence->version, of.present.size(), of.version));
  }
  of.version = presence->version;
}

void Truth::on_forgotten() {
  reach_.on_forgotten();
  // Rosters are what the store has now; members that are missing join anew, and are told.
  for (std::uint32_t number = 0; number < rooms_end_; ++number) {
    const auto found = rooms_.find(number);
    if (found == rooms_.end()) continue;
    const auto name = RoomName::trusted(room_name(number));
    found->second.present.clear();
    for (const ClientId& client : parts_.store->members_of(name)) {
      found->second.present.insert(Population::client_named(client.view()));
    }
    found->second.version = parts_.store->room_info(name).version;
    found->second.may_jump = true;
  }
}

// ---------------------------------------------------------------- at the end

void Truth::judge_rooms() {
  Population& population = *parts_.population;
  std::unordered_map<std::uint32_t, std::uint32_t> client_at;  // open connection -> client; never iterated
  for (DeviceIndex index = 0; !seats_.empty() && index < population.device_count(); ++index) {
    const Device& device = population.device(index);
    if (device.state == Device::State::open)
      client_at.emplace(population.conn(device.conn).serial, population.client_of(index));
  }
  std::map<std::uint32_t, std::set<std::uint32_t>> in, unsure;  // room -> clients, by what they were told
  for (const auto& [key, seat] : seats_) {
    const auto client = client_at.find(static_cast<std::uint32_t>(key >> 24));
    if (client == client_at.end()) continue;
    const auto number = static_cast<std::uint32_t>(key & 0xFF'FFFF);
    if (seat.asked != 0) unsure[number].insert(client->second);
    if (seat.is_in) in[number].insert(client->second);
  }
  for (const RoomName& name : parts_.store->rooms()) {
    std::uint32_t number = 0;
    std::from_chars(name.view().data() + 5, name.view().data() + name.view().size(), number);
    judge_members(name, number, in[number], unsure[number]);
    in.erase(number);
  }
  for (const auto& [number, clients] : in) {  // that the store does not list at all
    judge_members(RoomName::trusted(room_name(number)), number, clients, unsure[number]);
  }
}

void Truth::judge_members(const RoomName& name, std::uint32_t number, const std::set<std::uint32_t>& in,
                          const std::set<std::uint32_t>& unsure) {
  Population& population = *parts_.population;
  const Room& of = room(number);
  std::set<std::uint32_t> listed;
  for (const ClientId& client : parts_.store->members_of(name)) listed.insert(Population::client_named(client.view()));
  if (listed != of.present) {
    find("presence", nobody,
         fmt::format("{} lists {} clients, its events say {}", name.view(), listed.size(), of.present.size()));
  }
  for (const std::uint32_t client : in) {
    if (!listed.contains(client) && !unsure.contains(client))
      find("presence", client,
           fmt::format("c{} was told that it is in {}, which does not list it", client, name.view()));
  }
  const std::uint64_t version = parts_.store->room_info(name).version;
  const auto probe = room_probes_.find(number);
  for (const std::uint32_t client : listed) {
    const ConnIndex index = population.conn_of_client(client);
    if (index == nobody) {
      ++ghosts_;
      find("presence", client, fmt::format("{} lists c{}, who is not connected", name.view(), client));
      continue;
    }
    if (!in.contains(client) && !unsure.contains(client))
      find("presence", client, fmt::format("{} lists c{}, who was never told that it is in", name.view(), client));
    const Conn& conn = population.conn(index);
    if (conn.is_slow || probe == room_probes_.end() || deed(probe->second) == nullptr) continue;
    const auto seat = seats_.find(seat_key(conn.serial, number));
    // What it knows in peace, and what it has not heard since: all has settled, nothing is on its way.
    if (seat != seats_.end() && seat->second.is_in && seat->second.source != Seat::Source::count &&
        seat->second.version >= of.jumped_to && seat->second.version < version && seat->second.version != 0 &&
        !was_told(conn.serial, seat->second.version_at)) {
      find("nobody-deaf", client,
           fmt::format("c{} knows version {} of {}, which is at {}: it missed who came or left last", client,
                       seat->second.version, name.view(), version));
    }
    if (seat == seats_.end() || seat->second.last < deed(probe->second)->place || deed(probe->second)->place == 0) {
      find("nobody-deaf", client, fmt::format("{} lists c{}, who did not hear it at the end", name.view(), client));
    }
  }
}

}  // namespace wsr::sim
