// Keeper: a server's proof of life, its view of the others, and the check that it is not deaf.
//
//   starting ─inbox subscribed, lease held─▶ ready ◀──────────────┐
//                                              │ store silent,     │ lease held again,
//                                              │ lease lost, deaf  │ own probe heard
//                                              ▼                   │
//                                            red ─────────────────┘   (clients stay connected)
//
// Every lease/3 it renews the lease and reads the registry; a server without lease is swept (one
// sweeper at a time, see SweepCall). Of the first five renewals, which measure the store's clock within
// milliseconds, the first and the last read it. Beyond 64 servers they take turns at reading, so that the store answers
// some 64 x N rows a renewal and not N x N: the dead are swept as soon, and each server hears of it up to N/64 renewals
// later. A read that failed is done again at the next renewal. A lease that was missing at a renewal means that the
// store forgot us, or that we were too slow: all claims are re-asserted. So they are after a renewal whose answer was
// lost: it may have been the one that found the lease missing. A server that was itself without lease sweeps nobody for
// a third of a lease: whatever kept it from renewing may have kept the others, too.
//
// Each probe_every it sends a batch to its own inbox. Whatever comes on the inbox is heard; after probes_max probes
// without a sound it is deaf: readiness red, loss counted. Slow is not deaf: if the store says that somebody listens to
// the inbox, what was sent may still be on its way, and a new connection would throw it away. So the subscriber is
// re-made at once only when nobody listens, else after twice as many probes; and each time in vain, after twice as many
// again.
//
// A server that stood still for longer than its lease (SIGSTOP, a paused VM, a host that ran out of memory) does not
// know what became of its clients meanwhile. beat() finds the gap in the own clock before anything else is done; then
// the lease is renewed, and until the answer is there (on_awake()) the shards hold their inputs.
//
// It also keeps the offset between the local clock and the store's: of the last eight renewals the one
// with the shortest round trip counts; its error is at most half that round trip.
//
// Thread-safety: none; one Keeper a server, on the hub's thread.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/ids.hpp"
#include "core/routing/leases.hpp"
#include "core/routing/ports.hpp"
#include "core/wire/envelope.hpp"

namespace wsr {

struct KeeperOptions {
  ServerId self;
  ServerInfo info;
  std::chrono::milliseconds lease{6'000};      // at least 300 ms: three renewals must fit in it
  std::chrono::milliseconds probe_every{500};  // deaf after probes_max of them
  std::uint32_t probes_max = 3;
  BatchKeys keys;
  /// After stop() the lease still stands for so long: what the server holds is left to the sweep of others, so that
  /// clients who come back elsewhere in that time keep their rooms. 0: everything is given up at once.
  std::chrono::milliseconds linger{0};
  enum class Role : std::uint8_t {
    server,
    guest
  } role = Role::server;  // a guest (a shell) takes no lease and never sweeps
};

/// The shard number in batches that a server sends to itself to hear if it is deaf.
inline constexpr std::uint16_t probe_shard = 0xFFFF;

struct Readiness {
  enum class Light : std::uint8_t { green, red };
  Light store = Light::red;          // the command path answers
  Light lease = Light::red;          // held, by our own clock
  Light inbox = Light::red;          // the last probes were heard
  bool is_draining = false;          // the server is stopping, said by its driver
  Light bus_version = Light::green;  // nobody is heard who speaks another version of the bus' format
  std::uint8_t foreign_version = 0;  // that version, while the light is red
  [[nodiscard]] bool is_ready() const {
    return store == Light::green && lease == Light::green && inbox == Light::green && !is_draining &&
           bus_version == Light::green;
  }
  auto operator<=>(const Readiness&) const = default;
};

class KeeperEvents {
public:
  virtual ~KeeperEvents() = default;
  virtual void on_reassert() = 0;                             // every shard must claim again
  virtual void on_server_gone(const ServerId& server) = 0;    // its lease ran out and it has been swept, or it resigned
  virtual void on_readiness(const Readiness& readiness) = 0;  // whenever it changes
  virtual void on_leases(const Leases& leases) = 0;           // the registry has been read
  /// After Pulse::woken: the lease has been renewed, and on_reassert() was called if it had been lost; or the store
  /// does not answer, and the server goes on as in any outage.
  virtual void on_awake() = 0;
  // What people want to know; nothing depends on it.
  virtual void on_listed(const Servers& servers) { static_cast<void>(servers); }  // the registry was read
  virtual void on_server_expired(const ServerId& server) { static_cast<void>(server); }
  virtual void on_swept_server(const ServerId& server, const Swept& swept) {
    static_cast<void>(server);
    static_cast<void>(swept);
  }
};

class Keeper {
public:
  struct Figures {
    std::uint64_t renewals = 0, renewals_failed = 0, leases_lost = 0, probes_sent = 0, probes_heard = 0;
    std::uint64_t times_deaf = 0, sweeps = 0, sweeps_lost = 0 /* another was first */, rows_swept = 0, reassertions = 0,
                  memberships_swept = 0;
  };

  Keeper(KeeperOptions options, Store& store, Clock& clock, KeeperEvents& events);

  /// Subscribes the inbox and takes the lease.
  void start();
  /// Resigns: the lease is given up, at once or after `linger`. on_answer() of that ends it; see is_stopped().
  void stop();
  [[nodiscard]] bool is_stopped() const { return phase_ == Phase::stopped; }

  void set_connections(std::uint64_t connections) { options_.info.connections = connections; }

  enum class Pulse : std::uint8_t { steady, woken };
  /// To be called before every other input: woken when the process has stood still until its lease was over. It asks
  /// for a new one; on_awake() follows.
  [[nodiscard]] Pulse beat();
  /// The time between two beats above which a process has stood still: on_time() is due at every probe.
  [[nodiscard]] Duration gap_max() const { return 2 * Duration(options_.probe_every) + std::chrono::milliseconds{500}; }
  /// on_awake() is still to come.
  [[nodiscard]] bool is_waking() const { return is_waking_; }
  [[nodiscard]] bool has_had_lease() const { return had_lease_; }
  /// Our own idea of the lease's end; nullopt: not held.
  [[nodiscard]] std::optional<Time> lease_until() const { return lease_until_; }

  // ---- inputs
  void on_answer(Ticket ticket, Answer&& answer);
  /// A batch addressed to probe_shard of this server.
  void on_probe(std::string_view bytes);
  /// Anything else on the inbox: whatever it is, this server is not deaf.
  void on_heard();
  void on_resubscribed();
  void on_store_state(StoreState state);
  void on_time();
  [[nodiscard]] std::optional<Time> next_deadline() const;

  // ---- views
  [[nodiscard]] const Readiness& readiness() const { return readiness_; }
  [[nodiscard]] const Figures& figures() const { return figures_; }
  /// What must be added to the local clock to get the store's.
  [[nodiscard]] StoreTime store_time(Time local) const;
  /// How wrong store_time() may be: half the best round trip, and what is still to be corrected.
  [[nodiscard]] std::chrono::microseconds store_error() const { return store_error_; }
  [[nodiscard]] const ServerId& self() const { return options_.self; }

private:
  enum class Phase : std::uint8_t { idle, running, stopping, stopped };
  struct OffsetSample {
    std::int64_t offset_us = 0;
    Duration round_trip{};
    bool is_set = false;
  };

  void renew();
  void probe();
  void wake_up();
  void sweep_next();
  void on_renewed(const Renewed& renewed);
  void on_servers(const Servers& servers);
  [[nodiscard]] bool is_reading_due() const;
  void set_light(Readiness::Light Readiness::*which, Readiness::Light light);
  void on_swept(const Swept& swept);
  void on_subscribed(const Subscribed& subscribed);
  void subscribe();
  [[nodiscard]] std::uint32_t patience() const;
  void note_offset(Time sent, StoreTime store_now);
  [[nodiscard]] Ticket ticket(KeeperCall::Kind kind) { return KeeperCall{kind, ++calls_}.ticket(); }

  KeeperOptions options_;
  Store& store_;
  Clock& clock_;
  KeeperEvents& events_;

  Phase phase_ = Phase::idle;
  Readiness readiness_;
  Figures figures_;
  std::set<ServerId> dead_;  // found without lease, waiting to be swept
  std::optional<ServerId> sweeping_;
  Leases known_;                  // others in the registry: to notice who disappears
  bool has_read_failed_ = false;  // the registry is asked again at the next renewal
  std::optional<Time> renew_at_, probe_at_, renew_sent_;
  std::optional<Time> lease_until_;  // by our own clock, counted from the moment the renewal was sent
  std::optional<Time> beat_at_;      // the last beat
  Ticket renew_ticket_{};            // of the renewal that is out
  bool is_waking_ = false;
  std::uint64_t probe_nonce_ = 0;  // the last one sent
  std::uint64_t probe_heard_ = 0;  // the newest one heard
  std::uint32_t probes_unheard_ = 0;
  bool has_heard_ = false;            // anything on the inbox, since the last probe was sent
  bool is_unlistened_ = false;        // the store says that nobody is subscribed to the inbox
  std::uint32_t remakes_ = 0;         // of the subscriber, since something was heard
  std::optional<Time> subscribe_at_;  // the subscription was refused: asked again then
  Duration subscribe_wait_{};
  std::optional<Time> sweeps_from_;  // until then servers without lease are left alone
  std::uint64_t calls_ = 0;
  bool had_lease_ = false;
  bool has_been_up_ = false;         // the store: what it did not answer before was no renewal
  bool is_renewal_unknown_ = false;  // a renewal was not answered: what it found is not known
  std::array<OffsetSample, 8> offsets_{};
  std::size_t offset_next_ = 0;
  std::chrono::microseconds store_error_{0};
  std::int64_t offset_us_ = 0;  // store - local
};

}  // namespace wsr
