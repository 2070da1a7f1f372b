#include "core/net/server.hpp"

#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>
#include <atomic>
#include <limits>
#include <stdexcept>
#include <thread>
#include <utility>

#include "core/net/asio.hpp"
#include "core/net/gate.hpp"
#include "core/net/gate_shared.hpp"
#include "core/net/hash_key.hpp"
#include "core/net/hub.hpp"
#include "core/net/listener.hpp"
#include "core/net/shard.hpp"
#include "core/net/socket_bounds.hpp"
#include "core/net/version.hpp"

namespace wsr::net {
namespace {

constexpr auto drain_look_every = std::chrono::milliseconds{10};
constexpr std::size_t per_address_default = 1'024;

/// As many descriptors as this process may have; returns that number.
std::size_t raise_descriptors() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return 1024;
  if (limit.rlim_cur < limit.rlim_max) {
    limit.rlim_cur = limit.rlim_max;
    (void)::setrlimit(RLIMIT_NOFILE, &limit);
    (void)::getrlimit(RLIMIT_NOFILE, &limit);
  }
  return limit.rlim_cur == RLIM_INFINITY ? std::numeric_limits<std::size_t>::max()
                                         : static_cast<std::size_t>(limit.rlim_cur);
}

std::chrono::milliseconds lingers(const Limits& limits) {
  return std::chrono::ceil<std::chrono::milliseconds>(limits.reconnect_grace);
}

/// What is under way to another shard, or waits for a route, is no part of the memory budget: where that is small they
/// must be small, too, or one sender fills a link with more than the budget. One of the largest messages always passes.
Limits within_budget(Limits limits) {
  const std::size_t most = std::max(2 * limits.message_bytes_max, limits.outboxes_bytes_max / 8);
  limits.link_bytes_max = std::min(limits.link_bytes_max, most);
  limits.route_bytes_max = std::min(limits.route_bytes_max, most);
  return limits;
}

ServerOptions checked(ServerOptions options) {
  if (options.shards < 1 || options.shards > shards_max) {
    throw std::runtime_error(fmt::format("{} shards: choose 1 to {}", options.shards, shards_max));
  }
  if (options.id.is_empty()) throw std::runtime_error("the server has no id");
  return options;
}

}  // namespace

struct Server::State {
  /// One shard: its loop, its sockets, its Router. Destroyed from the bottom up: the loop goes last.
  struct Unit {
    Unit(GateShared& shared) : gate(io, shared) {}
    asio::io_context io{1};
    asio::executor_work_guard<Executor> work{io.get_executor()};
    Gate gate;
    std::unique_ptr<Shard> shard;
    std::unique_ptr<Listener> listener;
    std::thread thread;
  };

  State(ServerOptions server_options, BackendFactory factory)
      : options(checked(std::move(server_options))), make_backend(std::move(factory)), shared(options) {
    for (unsigned i = 0; i < options.shards; ++i) units.push_back(std::make_unique<Unit>(shared));
  }
  ~State() {
    end_loops();
    for (auto& unit : units) unit->listener.reset();
    // Connections first (they know their shard), then shards (they know the hub), the hub, and last the loops.
    for (auto& unit : units) unit->gate.forget_all();
    for (auto& unit : units) unit->shard.reset();
    hub.reset();
  }

  [[nodiscard]] asio::io_context& main_loop() { return units.front()->io; }
  void each_shard(void (*tell)(Unit&)) {
    for (auto& unit : units) unit->shard->post([&unit = *unit, tell] { tell(unit); });
  }

  void build();
  void await_store();
  void drain();
  enum class DrainPhase { closing, closed };  // closed: the last WebSocket has gone
  void look_whether_drained(DrainPhase phase);
  void end_loops();

  ServerOptions options;
  BackendFactory make_backend;
  GateShared shared;
  std::vector<std::unique_ptr<Unit>> units;
  std::unique_ptr<Hub> hub;  // on units[0]'s loop
  std::unique_ptr<SteadyTimer> drain_timer;
  std::uint16_t port = 0;
  std::atomic<bool> is_stopping{false};
};

void Server::State::build() {
  const auto bounds = socket_bounds(raise_descriptors(), options.shards, options.connections_max);
  shared.connections_max = bounds.connections_max;
  shared.sockets_max = bounds.sockets_max;
  std::vector<asio::io_context*> loops;
  for (auto& unit : units) loops.push_back(&unit->io);
  const auto endpoint = resolve_bind(main_loop(), options.bind, options.port);
  // Whoever listens on loopback alone and sets a bound means loopback; for others it is a proxy's address.
  const bool is_private = is_loopback(endpoint.address());
  shared.sockets.bound_addresses(options.per_address_max.value_or(is_private ? 0 : per_address_default),
                                 is_private ? Loopback::counted : Loopback::exempt);
  auto acceptors = listen_on(loops, endpoint);
  port = acceptors.front().local_endpoint().port();
  if (options.url.empty()) {
    const auto address = endpoint.address();
    options.url =
        fmt::format(fmt::runtime(address.is_v6() ? "http://[{}]:{}" : "http://{}:{}"), address.to_string(), port);
  }

  hub = std::make_unique<Hub>(
      main_loop(),
      HubOptions{.self = options.id,
                 .info = ServerInfo{.url = options.url,
                                    .shards = options.shards,
                                    .bus_version = batch_version,
                                    .version = std::string(version())},
                 .policy = options.policy,
                 .keys = options.keys,
                 .lease = options.lease,
                 .probe_every = options.probe_every,
                 .linger = lingers(options.limits),
                 .log = options.log,
                 .on_takeover = [this](std::string_view client) { shared.connects.on_takeover(client, clock_now()); }},
      make_backend);
  auto limits = within_budget(options.limits);
  limits.sessions_max = std::min(limits.sessions_max, shared.connections_max);
  for (std::size_t i = 0; i < units.size(); ++i) {
    auto& unit = *units[i];
    unit.shard =
        std::make_unique<Shard>(unit.io, *hub, static_cast<ShardIndex>(i), unit.gate, limits, options.authorizer);
    unit.gate.bind(*unit.shard);
    hub->add_shard(*unit.shard);
    unit.listener = std::make_unique<Listener>(
        std::move(acceptors[i]), unit.io, [&gate = unit.gate](TcpSocket socket) { gate.take(std::move(socket)); },
        [&gate = unit.gate] { return gate.has_room(); },
        [&gate = unit.gate](const error_code& error) { gate.note_accept_failed(error); });
  }
}

void Server::State::await_store() {
  bool is_ready = false;
  hub->start();
  hub->when_ready([&is_ready] { is_ready = true; });
  const auto deadline = std::chrono::steady_clock::now() + options.store_wait;
  while (!is_ready && std::chrono::steady_clock::now() < deadline) {
    main_loop().run_one_until(deadline);
  }
  if (is_ready) return;
  const auto lights = hub->readiness();
  const auto word = [](Readiness::Light light) { return light == Readiness::Light::green ? "yes" : "no"; };
  throw std::runtime_error(fmt::format(
      "the store ({}) is not usable after {} ms: answers {}, lease held {}, inbox heard {}. Check --store and that "
      "the store is up",
      options.store, options.store_wait.count(), word(lights.store), word(lights.lease), word(lights.inbox)));
}

// ---------------------------------------------------------------- the end

void Server::State::drain() {
  shared.drain_until = clock_now() + options.drain_within;
  shared.is_draining = true;
  hub->set_draining();
  each_shard([](Unit& unit) { unit.gate.drain(); });
  options.log({LogLevel::info,
               "drain_begins",
               fmt::format("stopping: {} clients are told to reconnect, spread over {} ms", shared.websockets.load(),
                           options.drain_within.count()),
               {{"websockets", std::to_string(shared.websockets.load())}}});
  drain_timer = std::make_unique<SteadyTimer>(main_loop());
  look_whether_drained(DrainPhase::closing);
}

void Server::State::look_whether_drained(DrainPhase phase) {
  const bool is_over = clock_now() >= shared.drain_until;
  // Until the last client has gone probes are answered, with a red light.
  if (phase == DrainPhase::closing && (is_over || shared.websockets == 0)) {
    phase = DrainPhase::closed;
    each_shard([](Unit& unit) {
      unit.listener->stop();
      unit.gate.end_sessions();
    });
    options.log({is_over && shared.websockets != 0 ? LogLevel::warning : LogLevel::info,
                 "drain_ends",
                 fmt::format("{} clients are left at the end of the drain", shared.websockets.load()),
                 {{"websockets", std::to_string(shared.websockets.load())}}});
  }
  if (is_over) each_shard([](Unit& unit) { unit.gate.drop_all(); });
  drain_timer->expires_after(drain_look_every);
  drain_timer->async_wait([this, phase, is_over](error_code) {
    // Two empty looks would be no better: a socket is counted out only after its claim's release is on its way.
    const bool is_empty = phase == DrainPhase::closed && shared.sockets.open() == 0;
    if (!is_empty && !is_over) return look_whether_drained(phase);
    hub->stop([this] {
      for (auto& unit : units) unit->io.stop();
    });
  });
}

void Server::State::end_loops() {
  for (auto& unit : units) unit->io.stop();
  for (auto& unit : units) {
    if (unit->thread.joinable()) unit->thread.join();
  }
}

// ---------------------------------------------------------------- Server

Server::Server(ServerOptions options, BackendFactory make_backend)
    : state_((draw_hash_key(), std::make_unique<State>(std::move(options), std::move(make_backend)))) {}

Server::~Server() = default;

void Server::start() {
  state_->build();
  state_->await_store();
}

std::uint16_t Server::port() const { return state_->port; }

void Server::run() {
  for (auto& unit : state_->units) {
    asio::post(unit->io, [&listener = *unit->listener, &shared = state_->shared] {
      if (!shared.is_draining) listener.start();
    });
    if (unit != state_->units.front()) {
      unit->thread = std::thread([&io = unit->io] { io.run(); });
    }
  }
  state_->main_loop().run();
  state_->end_loops();
}

void Server::stop() {
  if (state_->is_stopping.exchange(true)) return;
  asio::post(state_->main_loop(), [state = state_.get()] { state->drain(); });
}

}  // namespace wsr::net
