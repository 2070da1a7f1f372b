#include "core/net/shard.hpp"

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
  sum.upgrades_refused += part.upgrades_refused;
}

}  // namespace

Shard::Shard(asio::io_context& io, Hub& hub, ShardIndex index, ShardWorld& world, Limits limits)
    : io_(io),
      hub_(hub),
      index_(index),
      place_(index == 0 ? Place::hub_thread : Place::other_thread),
      world_(world),
      directory_(hub, static_cast<std::uint8_t>(index), place_),
      bus_(hub, static_cast<std::uint8_t>(index), place_),
      router_(RouterOptions{.self = ShardAddress{hub.self(), index},
                            .policy = hub.options().policy,
                            .limits = limits,
                            .keys = hub.options().keys},
              Router::Ports{directory_, bus_, *this, *this, *this}),
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
  if (is_turn_posted_) return;
  now_ = clock_now();
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
  world_.flush();
  router_.end_turn();
  if (place_ == Place::hub_thread) hub_.end_turn();
  // What was said during this end of turn (a link that found a full outbox) has its own end.
  if (!sent_.empty() || !owned_.empty()) touch();
  arm_timer();
}

void Shard::tell_callers() {
  for (auto& [ticket, sent] : std::exchange(sent_, {})) {
    auto waiting = sends_.extract(ticket.value);
    if (!waiting.empty()) waiting.mapped()(std::move(sent));
  }
  for (auto& owned : std::exchange(owned_, {})) world_.on_owned(owned.conn, owned.result, owned.detail);
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

void Shard::take_store_state(StoreState state) {
  post([this, state] { input().on_store_state(state); });
}

void Shard::take_reassert() {
  post([this] { input().reassert(); });
}

void Shard::take_server_gone(const ServerId& server) {
  post([this, server] { input().on_server_gone(server); });
}

// ---------------------------------------------------------------- what the Router says

void Shard::on_sent(Ticket ticket, const Sent& sent) {
  // Said from within a call of the Router: the caller hears it at the end of the turn, when it may call again.
  sent_.emplace_back(ticket, sent);
}

void Shard::on_owned(ConnId conn, Errc result, std::string_view detail) {
  owned_.push_back(Owned{conn, result, std::string(detail)});
}

void Shard::close(ConnId conn, std::uint16_t code, std::string_view reason) {
  // Gets no more messages from now on, though its socket lives until the close handshake is through: other shards
  // must look the client up in the store, where its newer connection is.
  if (place_ == Place::hub_thread) {
    hub_.forget(index_, conn);
  } else {
    hub_.post([&hub = hub_, index = index_, conn] { hub.forget(index, conn); });
  }
  world_.close(conn, code, reason);
}

// ---------------------------------------------------------------- Services

template <class T>
void Shard::ask(std::function<void(Hub&, Ticket)> call, std::function<void(T)> reply) {
  hub_.post([this, call = std::move(call), reply = std::move(reply)] {
    auto answered = [this, reply](Answer&& answer) {
      auto* wanted = std::get_if<T>(&answer);
      T value;
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
      T stopped;
      stopped.result = Errc::unavailable;
      return answered(Answer{std::move(stopped)});
    }
    call(hub_, hub_.await(std::move(answered)));
    hub_.touch();
  });
}

void Shard::send(const ClientId& from, const ClientId& to, std::string_view data, std::function<void(Sent)> reply) {
  const Ticket ticket{++last_send_};
  sends_.emplace(ticket.value, std::move(reply));
  input().send(ticket, from, to, data, Wait::for_word);
}

void Shard::lookup(const ClientId& client, std::function<void(Owners)> reply) {
  ask<Owners>([client](Hub& hub, Ticket ticket) { hub.directory().lookup(ticket, client); }, std::move(reply));
}

void Shard::page(std::string_view cursor, std::uint32_t count, std::function<void(OwnerPage)> reply) {
  ask<OwnerPage>(
      [cursor = std::string(cursor), count](Hub& hub, Ticket ticket) { hub.directory().page(ticket, cursor, count); },
      std::move(reply));
}

void Shard::counts(std::function<void(OwnerCounts)> reply) {
  ask<OwnerCounts>([](Hub& hub, Ticket ticket) { hub.directory().counts(ticket); }, std::move(reply));
}

void Shard::servers(std::function<void(Servers)> reply) {
  ask<Servers>([](Hub& hub, Ticket ticket) { hub.directory().servers(ticket); }, std::move(reply));
}

void Shard::kick(const Attachment& at, CloseCode code, std::string_view reason) { input().kick(at, code, reason); }

void Shard::broadcast(std::string_view channel, std::string_view payload, std::function<void(Published)> reply) {
  ask<Published>([channel = Channel{ChannelKind::app, std::string(channel)}, payload = std::string(payload)](
                     Hub& hub, Ticket ticket) { hub.bus().publish(ticket, channel, payload); },
                 std::move(reply));
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
