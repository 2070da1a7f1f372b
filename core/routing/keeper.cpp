#include "core/routing/keeper.hpp"

#include <algorithm>
#include <cstdlib>
#include <iterator>
#include <numeric>
#include <utility>
#include <variant>

#include "core/base/overload.hpp"

namespace wsr {
namespace {

// Before a server takes clients it measures the store's clock a few times: one slow reply must not set its time.
constexpr std::uint64_t first_samples = 5;
constexpr Duration first_samples_pace = std::chrono::milliseconds{5};
// Later the clock may go forward as it must, but back only so little at a time that no two connections of a client can
// be taken in the wrong order by it: a client needs longer than that to connect again.
constexpr std::int64_t backward_us_max = 50;
// Two clocks that drift by 100 ppm part by less than that between the oldest and the newest measurement.
constexpr std::int64_t jump_us_min = 20'000;

// A registry that everybody reads at every renewal costs the store N x N rows: beyond so many servers they take turns.
constexpr std::uint64_t registry_readers = 64;

constexpr Duration retry_after = std::chrono::milliseconds{200};  // a renewal that failed or found a sweep under way

// A subscription that the store refuses (an ACL) is asked for again at this pace, doubling.
constexpr Duration subscribe_wait_min = std::chrono::milliseconds{200};
constexpr Duration subscribe_wait_max = std::chrono::seconds{2};

constexpr std::uint32_t remakes_max = 3;  // doublings of the patience: with the defaults 24 s at most

Readiness::Light light_if(bool is_green) { return is_green ? Readiness::Light::green : Readiness::Light::red; }

void keep_earlier(std::optional<Time>& deadline, Time at) {
  if (!deadline || at < *deadline) deadline = at;
}

}  // namespace

Keeper::Keeper(KeeperOptions options, Store& store, Clock& clock, KeeperEvents& events)
    : options_(std::move(options)), store_(store), clock_(clock), events_(events) {}

void Keeper::start() {
  phase_ = Phase::running;
  subscribe_wait_ = subscribe_wait_min;
  subscribe();
  renew();
}

void Keeper::stop() {
  if (phase_ == Phase::idle || options_.role == KeeperOptions::Role::guest) {
    phase_ = Phase::stopped;
    return;
  }
  phase_ = Phase::stopping;
  wake_up();
  renew_at_.reset();
  probe_at_.reset();
  if (options_.linger.count() > 0) {
    store_.call(ticket(KeeperCall::Kind::resign), RenewCall{options_.self, options_.info, options_.linger});
  } else {
    store_.call(ticket(KeeperCall::Kind::resign), ResignCall{options_.self});
  }
}

// ---------------------------------------------------------------- the lease

void Keeper::renew() {
  const Time now = clock_.now();
  renew_at_ = now + std::chrono::duration_cast<Duration>(options_.lease) / 3;
  if (renew_sent_) return;  // the last one is not answered yet: the backend's deadline will
  renew_sent_ = now;
  if (options_.role == KeeperOptions::Role::guest) {
    store_.call(ticket(KeeperCall::Kind::servers), ServersCall{});
  } else {
    renew_ticket_ = ticket(KeeperCall::Kind::renew);
    store_.call(renew_ticket_, RenewCall{options_.self, options_.info, options_.lease});
  }
}

Keeper::Pulse Keeper::beat() {
  const Time now = clock_.now();
  const bool is_gap = beat_at_ && now - *beat_at_ > gap_max();
  beat_at_ = now;
  const bool is_lease_over = !lease_until_ || *lease_until_ <= now;
  if (!is_gap || !had_lease_ || !is_lease_over || phase_ != Phase::running) return Pulse::steady;
  is_waking_ = true;
  lease_until_.reset();
  set_light(&Readiness::lease, Readiness::Light::red);
  renew_sent_.reset();  // its answer says what was before
  renew();
  return Pulse::woken;
}

void Keeper::wake_up() {
  if (std::exchange(is_waking_, false)) events_.on_awake();
}

void Keeper::on_renewed(const Renewed& renewed) {
  const Time sent = *std::exchange(renew_sent_, std::nullopt);
  if (renewed.result != Errc::ok) {
    if (has_been_up_ || renewed.result != Errc::unavailable) ++figures_.renewals_failed;
    if (renewed.result != Errc::conflict) {
      set_light(&Readiness::store, Readiness::Light::red);
      // It may have been carried out, and have found our lease missing: the answer that said so is lost.
      is_renewal_unknown_ = true;
    }
    keep_earlier(renew_at_, clock_.now() + retry_after);
    if (renewed.result != Errc::conflict) wake_up();  // while it is being swept it learns that, and soon
    return;
  }
  ++figures_.renewals;
  note_offset(sent, renewed.now);
  // Counted from the moment of asking: our own idea of the lease ends before the store's.
  lease_until_ = sent + std::chrono::duration_cast<Duration>(options_.lease);
  set_light(&Readiness::store, Readiness::Light::green);
  if (offset_next_ < first_samples) {
    renew_at_ = clock_.now() + first_samples_pace;
  } else {
    set_light(&Readiness::lease, light_if(*lease_until_ > clock_.now()));
  }
  const bool is_missing = renewed.before == Renewed::Before::missing;
  const bool is_lost = had_lease_ && (is_missing || is_renewal_unknown_);
  if (is_lost) sweeps_from_ = clock_.now() + std::chrono::duration_cast<Duration>(options_.lease) / 3;
  is_renewal_unknown_ = false;
  had_lease_ = true;
  if (is_lost) {
    if (is_missing) ++figures_.leases_lost;
    ++figures_.reassertions;
    events_.on_reassert();
  }
  wake_up();
  if (!is_lost && !is_reading_due()) return;
  has_read_failed_ = false;
  store_.call(ticket(KeeperCall::Kind::servers), ServersCall{});
}

bool Keeper::is_reading_due() const {
  if (figures_.renewals == 1 || has_read_failed_) return true;
  if (figures_.renewals < first_samples) return false;  // they follow each other within milliseconds
  const std::uint64_t every = 1 + known_.entries().size() / registry_readers;
  // Who started together does not read together: the names set them apart.
  const std::string_view self = options_.self.view();
  return std::accumulate(self.begin(), self.end(), figures_.renewals) % every == 0;
}

void Keeper::note_offset(Time sent, StoreTime store_now) {
  const Time now = clock_.now();
  const Duration round_trip = now - sent;
  const Time middle = sent + round_trip / 2;
  const auto local_us = std::chrono::duration_cast<std::chrono::microseconds>(middle.time_since_epoch()).count();
  const OffsetSample measured{store_now.time_since_epoch().count() - local_us, round_trip, true};
  // Both may be wrong by half their round trips. Farther apart, one of the clocks has jumped (a VM that was suspended,
  // a store on another host): what was measured before says nothing any more.
  const bool has_jumped = std::any_of(offsets_.begin(), offsets_.end(), [&](const OffsetSample& sample) {
    const auto error = std::chrono::duration_cast<std::chrono::microseconds>(sample.round_trip + round_trip) / 2;
    return sample.is_set && std::abs(sample.offset_us - measured.offset_us) > error.count() + jump_us_min;
  });
  if (has_jumped) offsets_ = {};
  offsets_[offset_next_++ % offsets_.size()] = measured;
  const OffsetSample* best = nullptr;
  for (const OffsetSample& sample : offsets_) {
    if (sample.is_set && (best == nullptr || sample.round_trip < best->round_trip)) best = &sample;
  }
  const bool may_go_back = has_jumped || offset_next_ <= first_samples || best->offset_us >= offset_us_;
  offset_us_ = may_go_back ? best->offset_us : std::max(best->offset_us, offset_us_ - backward_us_max);
  store_error_ = std::chrono::duration_cast<std::chrono::microseconds>(best->round_trip) / 2 +
                 std::chrono::microseconds{offset_us_ - best->offset_us};
}

StoreTime Keeper::store_time(Time local) const {
  const auto local_us = std::chrono::duration_cast<std::chrono::microseconds>(local.time_since_epoch()).count();
  return StoreTime{std::chrono::microseconds{local_us + offset_us_}};
}

// ---------------------------------------------------------------- the others

void Keeper::on_servers(const Servers& servers) {
  const bool is_guest = options_.role == KeeperOptions::Role::guest;
  if (is_guest && renew_sent_) {
    const Time sent = *std::exchange(renew_sent_, std::nullopt);
    set_light(&Readiness::store, light_if(servers.result == Errc::ok));
    set_light(&Readiness::lease, light_if(servers.result == Errc::ok));
    if (servers.result == Errc::ok) {
      note_offset(sent, servers.now);
    } else {
      keep_earlier(renew_at_, clock_.now() + retry_after);
    }
  }
  if (servers.result != Errc::ok) {
    has_read_failed_ = true;
    return;
  }
  events_.on_listed(servers);
  std::vector<Leases::Entry> leases;
  leases.reserve(servers.rows.size());
  const Time now = clock_.now();
  // Where servers take turns at reading, what is read must last until the next reading.
  const std::uint64_t every = 1 + servers.rows.size() / registry_readers;
  const auto rounds = static_cast<Duration::rep>(every + 1);
  const Duration lasts = every == 1 ? Duration{} : Duration(options_.lease) * rounds / 3;
  for (const ServerRow& row : servers.rows) {
    if (row.server == options_.self) continue;
    const bool is_expired = row.lease == ServerRow::Lease::expired;
    const bool is_unknown = row.lease_left == lease_unknown;
    const Duration left = is_unknown ? options_.lease : row.lease_left;
    leases.emplace_back(row.server, is_expired ? now : now + std::max(left, lasts));
    const bool may_sweep = !is_guest && (!sweeps_from_ || *sweeps_from_ <= now);
    if (is_expired && may_sweep) dead_.insert(row.server);
    if (is_expired && !is_guest) events_.on_server_expired(row.server);
  }
  std::sort(leases.begin(), leases.end());
  const Leases before = std::exchange(known_, Leases(std::move(leases)));
  for (const auto& [server, until] : before.entries()) {
    if (!known_.until(server)) events_.on_server_gone(server);
  }
  events_.on_leases(known_);
  sweep_next();
}

void Keeper::sweep_next() {
  if (sweeping_ || dead_.empty() || phase_ != Phase::running) return;
  sweeping_ = *dead_.begin();
  dead_.erase(dead_.begin());
  store_.call(ticket(KeeperCall::Kind::sweep), SweepCall{*sweeping_, options_.self});
}

void Keeper::on_swept(const Swept& swept) {
  const auto server = std::exchange(sweeping_, std::nullopt);
  if (!server) return;
  if (swept.result == Errc::ok) {
    ++figures_.sweeps;
    figures_.rows_swept += swept.rows_removed;
    figures_.memberships_swept += swept.memberships_removed;
    events_.on_swept_server(*server, swept);
    if (known_.until(*server)) {
      known_ = known_.without(*server);
      events_.on_server_gone(*server);
    }
  } else if (swept.result == Errc::conflict) {
    ++figures_.sweeps_lost;  // another was first, or it is back: the next look at the registry tells
  }
  sweep_next();
}

// ---------------------------------------------------------------- the own inbox

void Keeper::probe() {
  const Time now = clock_.now();
  probe_at_ = now + std::chrono::duration_cast<Duration>(options_.probe_every);
  const bool is_heard = std::exchange(has_heard_, false) || probe_heard_ == probe_nonce_;
  probes_unheard_ = is_heard ? 0 : probes_unheard_ + 1;
  if (is_heard) remakes_ = 0;
  if (probes_unheard_ >= options_.probes_max) {
    if (readiness_.inbox == Readiness::Light::green) ++figures_.times_deaf;
    set_light(&Readiness::inbox, Readiness::Light::red);
  }
  if (probes_unheard_ >= patience()) {
    probes_unheard_ = 0;
    remakes_ = std::min(remakes_ + 1, remakes_max);
    store_.call(Ticket{}, ResubscribeCall{});
  }
  ++probe_nonce_;
  ++figures_.probes_sent;
  BatchWriter batch(options_.self.view(), probe_shard, probe_shard, 0, probe_nonce_);
  batch.add(EntryProbe{probe_nonce_});
  const auto store_ms = store_millis(store_time(now));
  store_.call(ticket(KeeperCall::Kind::probe),
              PublishCall{Channel{ChannelKind::inbox, options_.self.str()},
                          batch.finish(options_.keys, options_.self.view(), store_ms)});
}

std::uint32_t Keeper::patience() const {
  return is_unlistened_ ? options_.probes_max : (2 * options_.probes_max) << remakes_;
}

void Keeper::on_heard() {
  if (phase_ != Phase::running) return;
  has_heard_ = true;
  set_light(&Readiness::inbox, Readiness::Light::green);
}

void Keeper::on_probe(std::string_view bytes) {
  const auto store_ms = store_millis(store_time(clock_.now()));
  const auto decoded = decode_batch(bytes, options_.keys, options_.self.view(), store_ms);
  const auto* batch = std::get_if<Batch>(&decoded);
  if (batch == nullptr || batch->header.from_server != options_.self.view() || batch->entries.size() != 1) return;
  const auto* entry = std::get_if<EntryProbe>(&batch->entries.front());
  if (entry == nullptr || entry->nonce <= probe_heard_ || entry->nonce > probe_nonce_) return;
  ++figures_.probes_heard;
  probe_heard_ = entry->nonce;
  on_heard();
}

// ---------------------------------------------------------------- inputs

void Keeper::on_answer(Ticket ticket, Answer&& answer) {
  if (phase_ == Phase::stopping && KeeperCall::kind_of(ticket) == KeeperCall::Kind::resign) phase_ = Phase::stopped;
  if (phase_ != Phase::running) return;
  std::visit(Overload{
                 [&](const Renewed& renewed) {
                   if (ticket == renew_ticket_ && renew_sent_) on_renewed(renewed);
                 },
                 [&](const Servers& servers) { on_servers(servers); },
                 [&](const Swept& swept) { on_swept(swept); },
                 [&](const Subscribed& subscribed) { on_subscribed(subscribed); },
                 [&](const Published& published) {
                   is_unlistened_ = published.result == Errc::ok && published.receivers == 0;
                 },
                 Ignored<Released, Unsubscribed>{},  // a resignation is not waited for while it runs
                 RouterAnswers{},
                 ServiceAnswers{},
             },
             answer);
}

void Keeper::subscribe() {
  subscribe_at_.reset();
  store_.call(ticket(KeeperCall::Kind::subscribe),
              SubscribeCall{Channel{ChannelKind::inbox, options_.self.str()}, Match::exact});
}

void Keeper::on_subscribed(const Subscribed& subscribed) {
  if (subscribed.result == Errc::ok) {
    subscribe_wait_ = subscribe_wait_min;
    probe_at_ = clock_.now();
    return;
  }
  subscribe_at_ = clock_.now() + subscribe_wait_;
  subscribe_wait_ = std::min(subscribe_wait_ * 2, subscribe_wait_max);
}

void Keeper::on_resubscribed() {
  // Orders to close replaced connections may have been missed meanwhile: claiming again finds them.
  if (phase_ != Phase::running) return;
  ++figures_.reassertions;
  events_.on_reassert();
  if (probe_at_) probe_at_ = clock_.now();
}

void Keeper::on_store_state(StoreState state) {
  if (phase_ != Phase::running) return;
  if (state == StoreState::up) {
    has_been_up_ = true;
    renew_at_ = clock_.now();
  } else {
    set_light(&Readiness::store, Readiness::Light::red);
    wake_up();
  }
}

void Keeper::on_time() {
  if (phase_ != Phase::running) return;
  const Time now = clock_.now();
  if (lease_until_ && *lease_until_ <= now) {
    lease_until_.reset();
    set_light(&Readiness::lease, Readiness::Light::red);
  }
  if (renew_at_ && *renew_at_ <= now) renew();
  if (probe_at_ && *probe_at_ <= now) probe();
  if (subscribe_at_ && *subscribe_at_ <= now) subscribe();
}

std::optional<Time> Keeper::next_deadline() const {
  if (phase_ != Phase::running) return std::nullopt;
  std::optional<Time> next = renew_at_;
  for (const auto& at : {probe_at_, lease_until_, subscribe_at_}) {
    if (at) keep_earlier(next, *at);
  }
  return next;
}

void Keeper::set_light(Readiness::Light Readiness::*which, Readiness::Light light) {
  if (readiness_.*which == light) return;
  readiness_.*which = light;
  events_.on_readiness(readiness_);
}

}  // namespace wsr
