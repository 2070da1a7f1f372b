// Hub: the one place of a server that talks to the store: backend, Keeper, clients of this server.
//
//   shard 0 ─┐ calls                     ┌─▶ Backend (store, bus)
//   shard 1 ─┼──────▶ Inlet ─▶ Hub ──────┤
//   shard n ─┘ ◀───── Inlet ◀─ answers   └─▶ Keeper (lease, registry, probes)
//
// A ticket's driver says who asked. What this server can answer by itself never reaches the store: LocalFirst.
//
// Thread-safety: everything on the hub's thread (that of its io_context), except what is marked `any thread`.
// Errors:        none thrown after construction; the store's state is told by readiness().
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/net/alive.hpp"
#include "core/net/asio.hpp"
#include "core/net/hub_log.hpp"
#include "core/net/hub_store.hpp"
#include "core/net/inlet.hpp"
#include "core/net/local_first.hpp"
#include "core/net/server.hpp"
#include "core/net/subscriptions.hpp"
#include "core/net/version_skew.hpp"
#include "core/routing/keeper.hpp"

namespace wsr::net {

class Shard;

inline constexpr std::size_t shards_max = 128;
inline constexpr std::uint8_t call_tag = 254;    // await()
inline constexpr std::uint8_t keeper_tag = 255;  // the Keeper

struct HubOptions {
  ServerId self;
  ServerInfo info;
  SessionPolicy policy = SessionPolicy::single;
  BatchKeys keys;
  std::chrono::milliseconds lease{6'000};
  std::chrono::milliseconds probe_every{500};
  std::chrono::milliseconds linger{0};  // see KeeperOptions
  KeeperOptions::Role role = KeeperOptions::Role::server;
  LogSink log = {};
  /// A client of this server has replaced a connection, here or elsewhere. On the hub's thread.
  std::function<void(std::string_view client)> on_takeover = {};
};

/// Limits::verify_every where it is 0 and the store may evict rows: what is missing is back within some seconds.
inline constexpr Duration verify_every_default = std::chrono::seconds{5};

class Hub final : public AnswerSink, public BusListener, private KeeperEvents, private Clock, private Siblings {
public:
  Hub(asio::io_context& io, HubOptions options, const BackendFactory& make_backend);
  ~Hub() override;

  /// Before start(), in the order of their indices.
  void add_shard(Shard& shard) { shards_.push_back(&shard); }
  void start();
  /// Gives the lease up, sweeps what is left of this server, closes the backend; then calls `done`, never inline.
  void stop(std::function<void()> done);
  /// Calls `on_ready` once, when the hub is ready (a guest: when its inbox stands).
  void when_ready(std::function<void()> on_ready);

  // ---- any thread
  [[nodiscard]] const ServerId& self() const { return options_.self; }
  [[nodiscard]] Readiness readiness() const;
  /// Readiness is red from now on.
  void set_draining() { is_draining_.store(true, std::memory_order_release); }
  [[nodiscard]] std::int64_t store_offset_us() const { return offset_us_.load(std::memory_order_relaxed); }
  [[nodiscard]] std::int64_t store_error_us() const { return store_error_us_.load(std::memory_order_relaxed); }
  void post(Task task) { inlet_.push(std::move(task)); }
  /// How often this process has stood still for longer than its lease. A shard that sees it grow holds its inputs;
  /// Shard::take_awake() ends that.
  [[nodiscard]] std::uint64_t times_woken() const { return times_woken_.load(std::memory_order_acquire); }
  /// The process has stood still and the hub has not noticed yet.
  [[nodiscard]] bool has_slept(Time now) const;
  /// Lets the hub notice; that shard hears take_awake() in any case.
  void wake(ShardIndex shard);
  std::atomic<std::uint64_t> connections{0};   // open now, over all shards
  std::atomic<std::uint64_t> outbox_bytes{0};  // waiting for them, as of the end of each shard's last turn

  // ---- calls
  /// Of a shard or the Keeper, as part of this turn; the ticket carries the caller's tag. A stopped hub takes no more
  /// calls: their callers stop, too.
  void call(Ticket ticket, StoreCall&& call);
  [[nodiscard]] LocalFirst& local() { return local_; }
  /// The store itself: for calls that want its word and not this server's. The caller must touch().
  [[nodiscard]] Backend& backend() { return *backend_; }
  [[nodiscard]] bool is_stopped() const { return phase_ == Phase::stopped; }
  /// Marks the turn: what was called goes out at its end.
  void touch();
  /// Ends the turn now (the shard on this thread does so at the end of its own).
  void end_turn();
  /// A ticket whose answer goes to `reply`.
  [[nodiscard]] Ticket await(std::function<void(Answer&&)> reply);

  // ---- application channels
  SubscriptionId subscribe(const Subscriptions::Topic& topic, ChannelHandler handler, std::function<void(Errc)> reply);
  void unsubscribe(SubscriptionId id);

  [[nodiscard]] const std::vector<Shard*>& shards() const { return shards_; }
  [[nodiscard]] const Keeper::Figures& figures() const { return keeper_.figures(); }
  /// The keys are those of the store's fabric.
  [[nodiscard]] const HubOptions& options() const { return options_; }
  /// `limits` with what the store needs.
  [[nodiscard]] Limits fitting(Limits limits) const;
  [[nodiscard]] double uptime_seconds() const {
    return std::chrono::duration<double>(clock_now() - started_at_).count();
  }

  // ---- inputs from the backend
  void on_answer(Ticket ticket, Answer&& answer) override;
  void on_bus_message(const Channel& channel, std::string_view pattern, std::string_view payload) override;
  void on_resubscribed() override;
  void on_store_state(StoreState state) override;

private:
  enum class Phase : std::uint8_t { idle, running, resigning, sweeping, stopped };

  void on_reassert() override;
  void on_server_gone(const ServerId& server) override;
  void on_readiness(const Readiness& readiness) override;
  void on_leases(const Leases& leases) override;
  void on_awake() override;
  /// Before every other input: has the process stood still?
  void look_at_clock();
  void on_listed(const Servers& servers) override { skew_.see(servers, options_.self); }
  void on_server_expired(const ServerId& server) override { log_.on_server_expired(server); }
  void on_swept_server(const ServerId& server, const Swept& swept) override { log_.on_swept(server, swept); }
  /// Tells of a message that is written in another version of the bus' format.
  void look_at_version(const Channel& channel, std::string_view payload);
  void end_version_skew();
  [[nodiscard]] Time now() const override { return clock_now(); }
  [[nodiscard]] StoreTime store_now() const override { return keeper_.store_time(clock_now()); }

  /// Binds options_.keys to the store's fabric. Here, so that no embedding application can forget it.
  const BatchKeys& bind_keys();
  void after_keeper();
  void arm_timer();
  void on_inbox(std::string_view payload);
  void on_probe_batch(std::string_view payload);
  void on_room(const std::string& room, std::string_view payload);
  /// A client that was elsewhere has connected to the shard of this tag: the others look it up anew.
  void tell_moved(std::uint8_t tag, const std::string& client);
  [[nodiscard]] std::size_t sibling_count() const override { return shards_.size(); }
  void give_answer(std::uint8_t shard, Ticket ticket, Answer&& answer) override;
  void give_batch(std::uint16_t shard, std::string batch, Task on_taken) override;
  void end_stop_phase();
  void limit_stop_phase();
  void check_ready();

  asio::io_context& io_;
  HubOptions options_;
  Alive alive_;
  HubLog log_;
  VersionSkew skew_;
  Inlet<Task> inlet_;
  std::vector<Shard*> shards_;
  Subscriptions subscriptions_;
  std::unordered_map<std::uint64_t, std::function<void(Answer&&)>> calls_;
  std::uint64_t last_call_ = 0;
  std::unique_ptr<Backend> backend_;
  LocalFirst local_;  // in front of the backend
  HubStore keeper_store_;
  Keeper keeper_;
  SteadyTimer timer_;             // the Keeper's deadline
  std::optional<Time> armed_at_;  // what timer_ waits for
  SteadyTimer stop_timer_;
  std::function<void()> on_stopped_;
  std::function<void()> on_ready_;
  Phase phase_ = Phase::idle;
  Time started_at_ = clock_now();
  bool is_turn_posted_ = false;
  std::atomic<std::uint8_t> readiness_bits_{0};
  std::atomic<bool> is_draining_{false};
  std::atomic<std::int64_t> offset_us_{0};
  std::atomic<std::int64_t> store_error_us_{0};
  static constexpr std::int64_t never = std::numeric_limits<std::int64_t>::max();
  std::optional<Time> looked_at_;                    // at the clock
  std::atomic<std::int64_t> awake_until_ns_{never};  // without a beat until then the process has stood still
  std::atomic<std::uint64_t> times_woken_{0};
};

}  // namespace wsr::net
