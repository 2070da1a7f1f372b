#include "core/net/hub.hpp"

#include <algorithm>
#include <utility>
#include <variant>

#include "core/net/shard.hpp"
#include "core/wire/room_envelope.hpp"

namespace wsr::net {
namespace {

// Much less than a gap: with every answer of a busy store it would be too often.
constexpr auto look_every = std::chrono::milliseconds{100};
// A store that is away must not hold up the end: what is left is swept by others once the lease has run out.
constexpr auto stop_phase_max = std::chrono::seconds{1};

}  // namespace

Hub::Hub(asio::io_context& io, HubOptions options, const BackendFactory& make_backend)
    : io_(io),
      options_(std::move(options)),
      log_(options_.log),
      skew_(options_.keys.keys.empty() ? VersionSkew::Keys::none : VersionSkew::Keys::some),
      inlet_(io, [](Task&& task) { task(); }),
      backend_(make_backend(io, *this, *this)),
      local_(*backend_, options_.self, options_.policy, *this),
      keeper_store_(*this, keeper_tag, Place::hub_thread),
      keeper_(KeeperOptions{.self = options_.self,
                            .info = options_.info,
                            .lease = options_.lease,
                            .probe_every = options_.probe_every,
                            .keys = bind_keys(),
                            .linger = options_.linger,
                            .role = options_.role},
              keeper_store_, *this, *this),
      timer_(io),
      stop_timer_(io) {}

const BatchKeys& Hub::bind_keys() { return options_.keys = backend_->bound(std::move(options_.keys)); }

Limits Hub::fitting(Limits limits) const {
  if (limits.verify_every == Duration::zero() && backend_->may_evict()) limits.verify_every = verify_every_default;
  return limits;
}

Hub::~Hub() {
  if (phase_ != Phase::stopped && phase_ != Phase::idle) {
    phase_ = Phase::stopped;
    backend_->stop();
  }
}

void Hub::start() {
  phase_ = Phase::running;
  backend_->start();
  keeper_.start();
  after_keeper();
}

void Hub::when_ready(std::function<void()> on_ready) {
  on_ready_ = std::move(on_ready);
  asio::post(io_, alive_.guard([this] { check_ready(); }));
}

void Hub::check_ready() {
  if (!on_ready_) return;
  const auto& lights = keeper_.readiness();
  const bool is_guest = options_.role == KeeperOptions::Role::guest;
  const bool has_inbox = lights.store == Readiness::Light::green && lights.inbox == Readiness::Light::green;
  if (is_guest ? has_inbox : lights.is_ready()) std::exchange(on_ready_, nullptr)();
}

// ---------------------------------------------------------------- stop

void Hub::stop(std::function<void()> done) {
  on_stopped_ = std::move(done);
  if (phase_ != Phase::running) {
    phase_ = Phase::sweeping;
    return end_stop_phase();
  }
  phase_ = Phase::resigning;
  limit_stop_phase();
  keeper_.stop();
  after_keeper();
}

void Hub::limit_stop_phase() {
  stop_timer_.expires_after(stop_phase_max);
  stop_timer_.async_wait(alive_.guard([this](error_code error) {
    if (!error) end_stop_phase();
  }));
}

void Hub::end_stop_phase() {
  const bool sweeps_itself = options_.role == KeeperOptions::Role::server && options_.linger.count() == 0;
  if (phase_ == Phase::resigning && sweeps_itself) {
    phase_ = Phase::sweeping;
    limit_stop_phase();
    backend_->call(await([this](Answer&&) { end_stop_phase(); }), SweepCall{options_.self, options_.self});
    return touch();
  }
  if (phase_ == Phase::stopped) return;
  phase_ = Phase::stopped;
  timer_.cancel();
  stop_timer_.cancel();
  // From the loop, not from within an answer of the very backend that is closed.
  asio::post(io_, alive_.guard([this] {
    backend_->stop();
    calls_.clear();
    if (on_stopped_) std::exchange(on_stopped_, nullptr)();
  }));
}

// ---------------------------------------------------------------- turns and time

void Hub::touch() {
  if (is_turn_posted_) return;
  is_turn_posted_ = true;
  asio::post(io_, alive_.guard([this] {
    is_turn_posted_ = false;
    end_turn();
  }));
}

void Hub::end_turn() {
  if (phase_ != Phase::stopped) backend_->end_turn();
}

void Hub::wake(ShardIndex shard) {
  post([this, shard] {
    looked_at_.reset();
    look_at_clock();
    if (!keeper_.is_waking()) shards_[shard]->take_awake(times_woken());
  });
}

void Hub::look_at_clock() {
  const Time beat = clock_now();
  if (looked_at_ && beat - *looked_at_ < look_every) return;
  looked_at_ = beat;
  const bool has_woken = keeper_.beat() == Keeper::Pulse::woken;
  if (has_woken) {
    log_.on_woken();
    const std::uint64_t times = times_woken_.fetch_add(1, std::memory_order_acq_rel) + 1;
    for (auto* shard : shards_) shard->take_woken(times);
  }
  // While the lease stands a gap is harmless, and without one the store is what is silent: then only a gap counts.
  const Time gap_end = beat + keeper_.gap_max();
  const auto lease_until = keeper_.lease_until();
  const Time until = lease_until ? std::max(*lease_until, gap_end) : gap_end;
  const bool is_watched = options_.role == KeeperOptions::Role::server && keeper_.has_had_lease();
  awake_until_ns_.store(is_watched ? until.time_since_epoch().count() : never, std::memory_order_release);
  if (has_woken) after_keeper();
}

bool Hub::has_slept(Time now) const {
  return now.time_since_epoch().count() > awake_until_ns_.load(std::memory_order_acquire);
}

void Hub::on_leases(const Leases& leases) {
  for (auto* shard : shards_) shard->take_leases(leases);
}

void Hub::on_awake() {
  const std::uint64_t times = times_woken();
  for (auto* shard : shards_) shard->take_awake(times);
}

void Hub::after_keeper() {
  offset_us_.store(keeper_.store_time(Time{}).time_since_epoch().count(), std::memory_order_relaxed);
  store_error_us_.store(keeper_.store_error().count(), std::memory_order_relaxed);
  touch();
  arm_timer();
  check_ready();
  if (phase_ == Phase::resigning && keeper_.is_stopped()) end_stop_phase();
}

void Hub::arm_timer() {
  const auto deadline = keeper_.next_deadline();
  if (!deadline || phase_ == Phase::stopped) return;
  if (armed_at_ && *armed_at_ <= *deadline) return;  // fires early at worst, and is armed again then
  armed_at_ = deadline;
  timer_.expires_at(to_steady(*deadline));
  timer_.async_wait(alive_.guard([this](error_code error) {
    if (error) return;  // armed for an earlier deadline meanwhile, or stopped
    armed_at_.reset();
    look_at_clock();
    keeper_.set_connections(connections.load(std::memory_order_relaxed));
    keeper_.on_time();
    end_version_skew();
    after_keeper();
  }));
}

// ---------------------------------------------------------------- calls

Ticket Hub::await(std::function<void(Answer&&)> reply) {
  const std::uint64_t call = ++last_call_;
  calls_.emplace(call, std::move(reply));
  return Ticket{call}.with_driver(call_tag);
}

void Hub::call(Ticket ticket, StoreCall&& call) {
  if (is_stopped()) return;
  local_.call(ticket, std::move(call));
  touch();
}

SubscriptionId Hub::subscribe(const Subscriptions::Topic& topic, ChannelHandler handler,
                              std::function<void(Errc)> reply) {
  const auto added = subscriptions_.add(topic, std::move(handler));
  // Also when others listen already: the answer tells that the subscription stands, and asking again is harmless.
  backend_->call(await([reply = std::move(reply)](Answer&& answer) {
                   const auto* subscribed = std::get_if<Subscribed>(&answer);
                   if (reply) reply(subscribed != nullptr ? subscribed->result : Errc::internal);
                 }),
                 SubscribeCall{Channel{ChannelKind::app, topic.name}, topic.match});
  touch();
  return added.id;
}

void Hub::unsubscribe(SubscriptionId id) {
  const auto topic = subscriptions_.remove(id);
  if (!topic || phase_ == Phase::stopped) return;
  backend_->call(await([](Answer&&) {}), UnsubscribeCall{Channel{ChannelKind::app, topic->name}, topic->match});
  touch();
}

// ---------------------------------------------------------------- inputs from the backend

void Hub::on_answer(Ticket ticket, Answer&& answer) {
  look_at_clock();
  const std::uint8_t tag = ticket.driver();
  const Ticket inner = ticket.without_driver();
  if (tag == keeper_tag) {
    keeper_.on_answer(inner, std::move(answer));
    return after_keeper();
  }
  if (tag == call_tag) {
    auto call = calls_.extract(inner.value);
    if (!call.empty()) call.mapped()(std::move(answer));
    return;
  }
  if (const auto* claimed = std::get_if<Claimed>(&answer)) {
    const auto client = local_.on_claimed(ticket, *claimed);
    if (client && !claimed->displaced.empty()) {
      tell_moved(tag, *client);
      if (options_.on_takeover) options_.on_takeover(*client);
    }
  }
  give_answer(tag, inner, std::move(answer));
}

void Hub::tell_moved(std::uint8_t tag, const std::string& client) {
  if (options_.policy != SessionPolicy::single) return;
  for (auto* shard : shards_) {
    if (shard->index() != tag) shard->take_client_moved(client);
  }
}

void Hub::give_answer(std::uint8_t shard, Ticket ticket, Answer&& answer) {
  if (shard < shards_.size()) shards_[shard]->take_answer(ticket, std::move(answer));
}

void Hub::give_batch(std::uint16_t shard, std::string batch, Task on_taken) {
  shards_[shard]->take_batch(std::move(batch), std::move(on_taken));
}

void Hub::on_bus_message(const Channel& channel, std::string_view pattern, std::string_view payload) {
  look_at_clock();
  look_at_version(channel, payload);
  if (channel.kind == ChannelKind::inbox) return on_inbox(payload);
  if (channel.kind == ChannelKind::room) return on_room(channel.name, payload);
  subscriptions_.deliver(channel.name, pattern, payload);
}

void Hub::on_inbox(std::string_view payload) {
  const auto header = peek_batch(payload);
  if (!header) return shards_.empty() ? void() : shards_[0]->take_batch(std::string(payload), {});  // counts it as bad
  if (header->to_shard == probe_shard) return on_probe_batch(payload);
  keeper_.on_heard();
  if (header->to_shard < shards_.size()) shards_[header->to_shard]->take_batch(std::string(payload), {});
}

void Hub::on_room(const std::string& room, std::string_view payload) {
  // One copy for all shards, in the channel's order for each of them.
  const auto event = std::make_shared<const RoomBytes>(RoomBytes{room, std::string(payload)});
  const auto* shards = local_.shards_in(room);
  if (shards == nullptr) {
    // Unsubscribed, and this was under way: somebody may wait for a receipt that says so.
    if (!shards_.empty()) shards_[0]->take_room_event(event, 1);
    return;
  }
  const auto parts = static_cast<std::uint32_t>(shards->size());
  for (const std::uint8_t shard : *shards) shards_[shard]->take_room_event(event, parts);
}

void Hub::on_probe_batch(std::string_view payload) {
  keeper_.on_probe(payload);
  after_keeper();
}

void Hub::on_resubscribed() {
  keeper_.on_resubscribed();
  after_keeper();
}

void Hub::on_store_state(StoreState state) {
  keeper_.on_store_state(state);
  for (auto* shard : shards_) shard->take_store_state(state);
  after_keeper();
}

// ---------------------------------------------------------------- what the Keeper reports

void Hub::on_reassert() {
  log_.on_reassert();
  for (auto* shard : shards_) shard->take_reassert();
}

void Hub::look_at_version(const Channel& channel, std::string_view payload) {
  const auto version = VersionSkew::foreign(channel.kind, payload);
  if (!version) return;
  const Readiness before = readiness();
  const auto news = skew_.hear(*version, clock_now());
  if (news == VersionSkew::News::none) return;
  const bool is_inbox = channel.kind == ChannelKind::inbox;
  log_.on_version_heard(*version, is_inbox ? batch_version : room_version,
                        is_inbox ? "the inbox" : "the channel of a room", news == VersionSkew::News::begun);
  log_.on_readiness(before, readiness());
}

void Hub::end_version_skew() {
  const Readiness before = readiness();
  const auto version = skew_.on_time(clock_now());
  if (!version) return;
  log_.on_version_over(*version);
  log_.on_readiness(before, readiness());
}

void Hub::on_server_gone(const ServerId& server) {
  log_.on_server_gone(server);
  for (auto* shard : shards_) shard->take_server_gone(server);
}

void Hub::on_readiness(const Readiness& readiness) {
  const Readiness before = this->readiness();
  const auto bit = [](Readiness::Light light, unsigned place) {
    return light == Readiness::Light::green ? 1U << place : 0U;
  };
  readiness_bits_.store(
      static_cast<std::uint8_t>(bit(readiness.store, 0) | bit(readiness.lease, 1) | bit(readiness.inbox, 2)),
      std::memory_order_release);
  log_.on_readiness(before, this->readiness());
}

Readiness Hub::readiness() const {
  const unsigned bits = readiness_bits_.load(std::memory_order_acquire);
  const auto light = [bits](unsigned place) {
    return (bits >> place & 1U) != 0 ? Readiness::Light::green : Readiness::Light::red;
  };
  const std::uint8_t foreign = skew_.heard();
  return Readiness{light(0),
                   light(1),
                   light(2),
                   is_draining_.load(std::memory_order_acquire),
                   foreign == 0 ? Readiness::Light::green : Readiness::Light::red,
                   foreign};
}

}  // namespace wsr::net
