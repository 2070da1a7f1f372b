#include "core/net/shard.hpp"

#include <algorithm>
#include <variant>

namespace wsr::net {
namespace {

// How often the end of a turn is put off while inputs keep coming: enough to gather a burst, too few to be felt.
constexpr std::uint32_t deferrals_max = 4;

std::int64_t micros(Time time) {
  return std::chrono::duration_cast<std::chrono::microseconds>(time.time_since_epoch()).count();
}

void add(ServerStats& sum, const ServerStats& part) {
  sum.routing += part.routing;
  sum.connections += part.connections;
  sum.bytes_in += part.bytes_in;
  sum.bytes_out += part.bytes_out;
  sum.writes += part.writes;
  sum.http_requests += part.http_requests;
  sum.http_failures += part.http_failures;
  sum.upgrades_refused += part.upgrades_refused;
  sum.refused_per_address += part.refused_per_address;
  sum.refused_connections += part.refused_connections;
  sum.refused_memory += part.refused_memory;
  sum.accepts_paused += part.accepts_paused;
  sum.accepts_failed += part.accepts_failed;
}

}  // namespace

Shard::Shard(asio::io_context& io, Hub& hub, ShardIndex index, ShardWorld& world, Limits limits,
             RoomAuthorizer authorizer)
    : io_(io),
      hub_(hub),
      index_(index),
      place_(index == 0 ? Place::hub_thread : Place::other_thread),
      world_(world),
      store_(hub, static_cast<std::uint8_t>(index), place_),
      authorizer_(std::move(authorizer)),
      router_(RouterOptions{.self = ShardAddress{hub.self(), index},
                            .policy = hub.options().policy,
                            .limits = hub.fitting(limits),
                            .keys = hub.options().keys},
              Router::Ports{store_, *this, *this, *this, authorizer_ ? this : nullptr}),
      inlet_(io, [](Task&& task) { task(); }),
      timer_(io) {}

Shard::~Shard() = default;

StoreTime Shard::store_time(Time local) const {
  return StoreTime{std::chrono::microseconds{micros(local) + hub_.store_offset_us()}};
}

std::chrono::microseconds Shard::store_error() const { return std::chrono::microseconds{hub_.store_error_us()}; }

// ---------------------------------------------------------------- turns

void Shard::touch() {
  ++inputs_;
  now_ = clock_now();
  if (is_turn_posted_) return;
  is_turn_posted_ = true;
  deferrals_ = 0;
  post_end_of_turn();
}

void Shard::post_end_of_turn() {
  inputs_posted_ = inputs_;
  asio::post(io_, alive_.guard([this] { on_end_of_turn(); }));
}

void Shard::on_end_of_turn() {
  if (inputs_ != inputs_posted_ && deferrals_ < deferrals_max) {
    ++deferrals_;
    return post_end_of_turn();
  }
  is_turn_posted_ = false;
  now_ = clock_now();
  tell_callers();
  tell_watchers();
  world_.flush();
  router_.end_turn();
  if (place_ == Place::hub_thread) hub_.end_turn();
  // What was said during this end of turn (a link that found a full outbox) has its own end.
  if (!sent_.empty() || !owned_.empty() || !replies_.empty() || !heard_.empty()) touch();
  share_outbox_bytes();
  arm_timer();
}

void Shard::share_outbox_bytes() {
  auto& budget = router_.outbox_budget();
  OutboxBudget* own = world_.own_budget();
  const std::uint64_t bytes = budget.bytes + (own == nullptr ? 0 : own->bytes);
  if (bytes != outbox_bytes_) {
    hub_.outbox_bytes.fetch_add(bytes - outbox_bytes_, std::memory_order_relaxed);  // wraps when it shrinks
    outbox_bytes_ = bytes;
  }
  const std::uint64_t all = hub_.outbox_bytes.load(std::memory_order_relaxed);
  const std::uint64_t connections = hub_.connections.load(std::memory_order_relaxed);
  for (OutboxBudget* part : {&budget, own}) {
    if (part == nullptr) continue;
    part->bytes_elsewhere = all - part->bytes;
    part->connections = connections;
  }
}

void Shard::tell_callers() {
  for (auto& [ticket, sent] : std::exchange(sent_, {})) {
    auto waiting = sends_.extract(ticket.value);
    if (!waiting.empty()) waiting.mapped()(std::move(sent));
  }
  for (auto& owned : std::exchange(owned_, {})) world_.on_owned(owned.conn, owned.result, owned.detail);
  for (auto& reply : std::exchange(replies_, {})) reply();
}

void Shard::tell_watchers() {
  for (const Heard& heard : std::exchange(heard_, {})) {
    std::vector<WatchId> told;  // a handler may watch and unwatch
    const auto [first, last] = watchers_.equal_range(heard.room);
    for (auto each = first; each != last; ++each) told.push_back(each->second);
    for (const WatchId id : told) {
      const auto found = watches_.find(id);
      if (found == watches_.end()) continue;
      const auto watch = found->second;
      if (heard.presence) {
        if (!watch->handlers.on_presence) continue;
        watch->handlers.on_presence(RoomPresence{*heard.presence, heard.from, heard.size, heard.version});
      } else if (watch->handlers.on_message) {
        watch->handlers.on_message(heard.from, heard.data);
      }
    }
  }
}

void Shard::arm_timer() {
  const auto deadline = router_.next_deadline();
  if (!deadline) return;
  if (armed_at_ && *armed_at_ <= *deadline) return;  // fires early at worst, and is armed again then
  armed_at_ = deadline;
  timer_.expires_at(to_steady(*deadline));
  timer_.async_wait(alive_.guard([this](error_code error) {
    if (error) return;  // armed for an earlier deadline meanwhile
    armed_at_.reset();
    input().on_time();
  }));
}

// ---------------------------------------------------------------- from other threads

void Shard::take_answer(Ticket ticket, Answer&& answer) {
  post([this, ticket, answer = std::move(answer)]() mutable { input().on_answer(ticket, std::move(answer)); });
}

void Shard::take_batch(std::string batch, Task taken) {
  post([this, batch = std::move(batch), taken = std::move(taken)] {
    input().on_batch(hub_.self().view(), batch);
    if (taken) taken();
  });
}

void Shard::take_room_event(std::shared_ptr<const RoomBytes> event, std::uint32_t parts) {
  post([this, event = std::move(event), parts] { input().on_room_event(event->room, event->bytes, parts); });
}

void Shard::take_store_state(StoreState state) {
  post([this, state] { input().on_store_state(state); });
}

void Shard::take_reassert() {
  post([this] { input().reassert(); });
}

void Shard::take_server_gone(const ServerId& server) {
  post([this, server] { input().on_server_gone(server); });
}

void Shard::take_leases(const Leases& leases) {
  post([this, leases] { input().on_leases(leases); });
}

void Shard::take_client_moved(const std::string& client) {
  post([this, client] { input().on_client_moved(client); });
}

void Shard::take_woken(std::uint64_t times) {
  post([this, times] {
    touch();
    if (times_woken_ < times) router_.hold();  // again, if an earlier hold is just ending
  });
}

void Shard::take_awake(std::uint64_t times) {
  post([this, times] {
    touch();
    if (times != hub_.times_woken()) return;  // it has stood still again meanwhile
    times_woken_ = times;
    router_.go_on();
  });
}

void Shard::hold() {
  if (router_.is_held()) return;
  router_.hold();
  hub_.wake(index_);
}

// ---------------------------------------------------------------- what the Router says

void Shard::on_sent(Ticket ticket, const Sent& sent) {
  // Said from within a call of the Router: the caller hears it at the end of the turn, when it may call again.
  sent_.emplace_back(ticket, sent);
}

void Shard::on_owned(ConnId conn, Errc result, std::string_view detail) {
  owned_.push_back(Owned{conn, result, std::string(detail)});
}

void Shard::on_room_done(Ticket ticket, const RoomDone& done) {
  auto call = room_calls_.extract(ticket.value);
  if (!call.empty()) replies_.push_back([reply = std::move(call.mapped()), done] { reply(done); });
}

void Shard::on_pushed(Ticket ticket, const RoomPushed& pushed) {
  auto call = pushes_.extract(ticket.value);
  if (!call.empty()) replies_.push_back([reply = std::move(call.mapped()), pushed] { reply(pushed); });
}

void Shard::on_watching(const RoomName& room, Errc result) {
  const auto [first, last] = watchers_.equal_range(room);
  for (auto each = first; each != last; ++each) {
    const auto& watch = watches_.at(each->second);
    if (!watch->reply) continue;
    replies_.push_back([reply = std::exchange(watch->reply, nullptr), result] { reply(result); });
  }
}

void Shard::on_room_message(const RoomName& room, std::string_view from, std::string_view data) {
  heard_.push_back({room, std::nullopt, std::string(from), std::string(data), 0, 0});
}

void Shard::on_room_presence(const RoomName& room, const RoomPresence& presence) {
  heard_.push_back({room, presence.kind, std::string(presence.client), {}, presence.size, presence.version});
}

void Shard::authorize(Ticket ticket, RoomAction action, const RoomName& room, const ClientId& client) {
  // In a turn of its own: the Router's ports never answer inline.
  asio::post(io_, alive_.guard([this, ticket, action, room, client] {
    const auto reply = [this, ticket](Permission permission) {
      post([this, ticket, permission] { input().on_authorized(ticket, permission); });
    };
    try {
      authorizer_(action, room, client, reply);
    } catch (...) {
      reply(Permission::denied);
    }
  }));
}

void Shard::close(ConnId conn, std::uint16_t code, std::string_view reason) {
  forget(conn);
  world_.close(conn, code, reason);
}

void Shard::forget(ConnId conn) {
  if (place_ == Place::hub_thread) {
    hub_.local().forget(index_, conn);
  } else {
    hub_.post([&hub = hub_, index = index_, conn] { hub.local().forget(index, conn); });
  }
}

// ---------------------------------------------------------------- Services

template <class Call>
void Shard::ask(Call call, std::function<void(typename Call::Answer)> reply) {
  using Wanted = typename Call::Answer;
  hub_.post([this, call = std::move(call), reply = std::move(reply)]() mutable {
    auto answered = [this, reply = std::move(reply)](Answer&& answer) {
      auto* wanted = std::get_if<Wanted>(&answer);
      Wanted value;
      if (wanted != nullptr) {
        value = std::move(*wanted);
      } else {
        value.result = Errc::internal;
      }
      post([this, reply, value = std::move(value)]() mutable {
        touch();
        reply(std::move(value));
      });
    };
    if (hub_.is_stopped()) {
      Wanted stopped;
      stopped.result = Errc::unavailable;
      return answered(Answer{std::move(stopped)});
    }
    hub_.backend().call(hub_.await(std::move(answered)), std::move(call));
    hub_.touch();
  });
}

void Shard::send(const ClientId& from, const ClientId& to, std::string_view data, std::function<void(Sent)> reply) {
  const Ticket ticket{++last_send_};
  sends_.emplace(ticket.value, std::move(reply));
  input().send(ticket, from, to, data, Wait::for_word);
}

void Shard::lookup(const ClientId& client, std::function<void(Owners)> reply) {
  ask(LookupCall{client}, std::move(reply));
}

void Shard::page(std::string_view cursor, std::uint32_t count, std::function<void(OwnerPage)> reply) {
  ask(OwnerPageCall{std::string(cursor), count}, std::move(reply));
}

void Shard::counts(std::function<void(OwnerCounts)> reply) { ask(CountsCall{}, std::move(reply)); }

void Shard::servers(std::function<void(Servers)> reply) { ask(ServersCall{}, std::move(reply)); }

void Shard::kick(const Attachment& at, CloseCode code, std::string_view reason) { input().kick(at, code, reason); }

void Shard::broadcast(std::string_view channel, std::string_view payload, std::function<void(Published)> reply) {
  ask(PublishCall{Channel{ChannelKind::app, std::string(channel)}, std::string(payload)}, std::move(reply));
}

void Shard::join(const RoomName& room, const ClientId& client, std::function<void(RoomDone)> reply) {
  const Ticket ticket{++last_send_};
  room_calls_.emplace(ticket.value, std::move(reply));
  input().join(ticket, room, client);
}

void Shard::leave(const RoomName& room, const ClientId& client, std::function<void(RoomDone)> reply) {
  const Ticket ticket{++last_send_};
  room_calls_.emplace(ticket.value, std::move(reply));
  input().leave(ticket, room, client);
}

void Shard::push(const RoomName& room, const ClientId& from, std::string_view data, Echo echo,
                 std::function<void(RoomPushed)> reply) {
  const Ticket ticket{++last_send_};
  pushes_.emplace(ticket.value, std::move(reply));
  input().push(ticket, room, from, data, echo, Wait::for_word);
}

void Shard::room_info(const RoomName& room, std::function<void(RoomInfo)> reply) {
  ask(RoomInfoCall{room}, std::move(reply));
}

void Shard::room_members(const RoomName& room, std::string_view cursor, std::uint32_t count,
                         std::function<void(RosterPage)> reply) {
  ask(RosterPageCall{room, std::string(cursor), count}, std::move(reply));
}

void Shard::room_member(const RoomName& room, const ClientId& client, std::function<void(RoomInfo)> reply) {
  ask(FindCall{room, client}, std::move(reply));
}

void Shard::rooms(std::string_view cursor, std::uint32_t count, std::function<void(RoomPage)> reply) {
  ask(RoomsCall{std::string(cursor), count}, std::move(reply));
}

WatchId Shard::watch(const RoomName& room, RoomHandlers handlers, std::function<void(Errc)> reply) {
  const WatchId id = ++last_send_;
  watches_.emplace(id, std::make_shared<Watch>(Watch{room, std::move(handlers), std::move(reply)}));
  watchers_.emplace(room, id);
  input().watch(room);
  return id;
}

void Shard::unwatch(WatchId id) {
  const auto watch = watches_.extract(id);
  if (watch.empty()) return;
  const RoomName room = watch.mapped()->room;
  auto [first, last] = watchers_.equal_range(room);
  watchers_.erase(std::find_if(first, last, [id](const auto& each) { return each.second == id; }));
  input().unwatch(room);
}

void Shard::stats(std::function<void(ServerStats)> reply) {
  struct Sum {
    ServerStats stats;
    std::size_t missing = 0;
    std::function<void(ServerStats)> reply;
  };
  // Gathered on the hub's thread: it asks every shard, adds up what they say, and hands the sum to the one that asked.
  auto sum = std::make_shared<Sum>();
  sum->reply = std::move(reply);
  hub_.post([this, sum] {
    sum->missing = hub_.shards().size();
    sum->stats.keeper = hub_.figures();
    for (auto* shard : hub_.shards()) {
      shard->post([this, shard, sum] {
        auto part = std::make_shared<ServerStats>();
        part->routing = shard->router_.stats();
        shard->world_.add_figures(*part);
        hub_.post([this, sum, part] {
          add(sum->stats, *part);
          if (--sum->missing != 0) return;
          sum->stats.uptime_seconds = hub_.uptime_seconds();
          sum->stats.memory_bytes = hub_.outbox_bytes.load(std::memory_order_relaxed);
          post([this, sum] {
            touch();
            sum->reply(sum->stats);
          });
        });
      });
    }
  });
}

}  // namespace wsr::net
