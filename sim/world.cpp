#include "sim/world.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <map>
#include <memory>
#include <utility>

#include "sim/director.hpp"
#include "sim/naive_server.hpp"
#include "sim/network.hpp"
#include "sim/population.hpp"
#include "sim/remains.hpp"
#include "sim/router_server.hpp"
#include "sim/store.hpp"

namespace wsr::sim {
namespace {

constexpr Nanos probes_before_end = 5 * second;
constexpr std::uint32_t wound_up_max = 100'000;  // clients: to let more go takes as long as a part of their run

bool has_rooms(const Scenario& scenario) {
  const auto is_room = [](Workload::Op op) { return op == Workload::Op::join || op == Workload::Op::push; };
  return std::any_of(scenario.workload.begin(), scenario.workload.end(),
                     [&](const Workload& w) { return is_room(w.op); }) ||
         std::any_of(scenario.timeline.begin(), scenario.timeline.end(),
                     [](const Step& step) { return step.action == Step::Action::join; });
}

}  // namespace

std::string_view to_string(Ending ending) {
  switch (ending) {
    case Ending::passed:
      return "passed";
    case Ending::safety:
      return "safety";
    case Ending::liveness:
      return "liveness";
    case Ending::nondeterminism:
      return "nondeterminism";
    case Ending::vacuous:
      return "vacuous";
    case Ending::budget:
      break;
  }
  return "budget";
}

Scenario vary(const Scenario& scenario, std::uint64_t seed) {
  Scenario varied = scenario;
  const Draws draws(seed);
  for (const auto& [what, distribution] : scenario.sweep.vary) {
    const auto dot = what.rfind('.');
    const std::string id = what.substr(0, dot);
    const Nanos drawn = draws.of(distribution, Purpose::vary, hash_of(what), 0);
    for (Step& step : varied.timeline) {
      if (step.id != id) continue;
      if (what.ends_with(".at")) step.at.offset = drawn;
      if (what.ends_with(".for")) step.duration = drawn;
    }
  }
  return varied;
}

class World final : Stage {
public:
  World(const Scenario& scenario, const RunOptions& options)
      : scenario_(scenario),
        options_(options),
        kernel_(options.seed),
        network_(kernel_, scenario_),
        parts_{.kernel = kernel_,
               .scenario = scenario_,
               .config = options_.config,
               .network = network_,
               .metrics = metrics_,
               .mutant = options.mutant != Mutant::none ? options.mutant : scenario_.mutant},
        servers_(scenario_.servers + 1),
        lives_(scenario_.servers + 1),
        truth_(parts_),
        population_(parts_),
        store_(kernel_, network_, metrics_, scenario_,
               StoreOptions{options.config.owners_max, options.config.memberships_max, has_rooms(scenario)}, truth_,
               parts_.mutant),
        director_(parts_, *this),
        jury_(parts_, director_) {
    parts_.servers = &servers_;
    parts_.truth = &truth_;
    parts_.population = &population_;
    parts_.store = &store_;
    kernel_.observer = options.observer;
    metrics_.probe_self = &director_;
    metrics_.on_probe = [](void* self, Metric metric, std::uint32_t) {
      static_cast<Director*>(self)->on_probe(metric);
    };
    if (options.routing == Routing::naive) truth_.watch_naive();
    director_.on_moment = [this] { jury_.on_moment(); };
  }
  ~World() override {
    for (auto& server : servers_) server.reset();
  }

  RunResult run();

private:
  void kill(std::uint32_t number) override;
  void vanish(std::uint32_t number, Nanos counted_for) override;
  void start(std::uint32_t number) override;
  void stop(std::uint32_t number) override;
  void dispatch(const Event& event);
  void to_server(const Event& event);
  void to_session(const Event& event);
  void bury_if_over(std::uint32_t number);
  void on_end(const Event& event);
  void wind_up();
  RunResult verdict();
  void judge_findings(RunResult& result);

  Scenario scenario_;
  RunOptions options_;
  Kernel kernel_;
  Metrics metrics_;
  Network network_;
  Parts parts_;
  std::vector<std::unique_ptr<VirtualServer>> servers_;
  std::vector<std::uint32_t> lives_;
  Truth truth_;
  Population population_;
  StoreModel store_;
  Director director_;
  Jury jury_;
  Nanos end_ = 0;
  Nanos look_every_ = 0;
  Nanos ghosts_at_ = second;  // when ghosts are counted next
  bool is_over_ = false, is_over_budget_ = false;
};

RunResult World::run() {
  end_ = scenario_.duration + scenario_.settle;
  look_every_ = std::max<Nanos>(50 * millisecond, end_ / 2'000);
  for (std::uint32_t number = 1; number <= scenario_.servers; ++number) start(number);
  population_.arrive();
  director_.begin();
  jury_.begin();
  kernel_.push(look_every_, EventKind::look, 0);
  kernel_.push(scenario_.duration, EventKind::end, 0, 0);
  kernel_.push(std::max(end_ - probes_before_end, scenario_.duration + 1), EventKind::end, 0, 1);
  kernel_.push(end_, EventKind::end, 0, 2);
  const std::uint64_t events_max = options_.events_max != 0 ? options_.events_max : scenario_.budget.events;
  while (!is_over_ && kernel_.has_events()) {
    const Event event = kernel_.next();
    if (options_.until && kernel_.now() > *options_.until) break;
    dispatch(event);
    if (options_.marks != nullptr) options_.marks->push_back({kernel_.hash(), kernel_.now(), event.kind});
    if (events_max != 0 && kernel_.events() >= events_max) {
      is_over_budget_ = true;
      break;
    }
  }
  return verdict();
}

void World::dispatch(const Event& event) {
  switch (event.kind) {
    case EventKind::client_act:
      return population_.on_act(event);
    case EventKind::client_bytes:
      return population_.on_bytes(event);
    case EventKind::client_fin:
      return population_.on_fin(event);
    case EventKind::server_accept:
    case EventKind::server_text:
    case EventKind::server_fin:
    case EventKind::server_writable:
      return to_server(event);
    case EventKind::server_timer: {
      VirtualServer* server = parts_.server(event.whom);
      if (server == nullptr || server->life() != event.payload || server->is_delayed(event)) return;
      server->on_timer(event.what);
      return bury_if_over(event.whom);
    }
    case EventKind::server_act: {
      VirtualServer* server = parts_.server(event.whom);
      if (server == nullptr || server->life() != event.what || server->is_delayed(event)) return;
      server->resign();
      return bury_if_over(event.whom);
    }
    case EventKind::store_call:
      return store_.on_call(event);
    case EventKind::store_answer:
    case EventKind::bus_message:
    case EventKind::store_timer:
      return to_session(event);
    case EventKind::store_act:
      return store_.on_act(event);
    case EventKind::workload:
      return director_.on_workload(event);
    case EventKind::step:
      return director_.on_step(event);
    case EventKind::look:
      truth_.on_look();
      if (options_.counts_ghosts && kernel_.now() >= ghosts_at_) {
        truth_.count_ghosts();
        ghosts_at_ += second;
      }
      jury_.look();
      if (event.whom == 0 && kernel_.now() + look_every_ < end_)
        kernel_.push(kernel_.now() + look_every_, EventKind::look, 0);
      return;
    case EventKind::check:
      return truth_.on_check(event);
    case EventKind::end:
      return on_end(event);
  }
}

void World::to_server(const Event& event) {
  Conn& conn = population_.conn(event.whom);
  const bool is_text = event.kind == EventKind::server_text;
  VirtualServer* server = parts_.server(conn.server);
  const bool is_accept = event.kind == EventKind::server_accept;
  const bool is_meant = conn.serial == event.what && conn.state != Conn::State::none && server != nullptr &&
                        (is_accept || server->life() == conn.life || conn.life == 0);  // 0: not accepted yet
  if (!is_meant) {
    if (is_text) static_cast<void>(kernel_.bytes.take(event.payload));
    if (conn.serial != event.what || conn.state == Conn::State::none) return;
    if (is_accept) return population_.refuse(event.whom);
    return event.kind == EventKind::server_fin ? population_.server_end_is_over(event.whom) : void();
  }
  if (is_accept && conn.made_at == 0) conn.made_at = kernel_.now();
  if (event.kind == EventKind::server_fin) conn.has_fin = true;
  if (server->is_delayed(event)) return;
  if (is_accept) {
    server->on_accept(event.whom);
  } else if (is_text) {
    server->on_text(event.whom, kernel_.bytes.take(event.payload));
  } else if (event.kind == EventKind::server_fin) {
    server->on_fin(event.whom);
  } else {
    server->on_writable(event.whom);
  }
}

void World::to_session(const Event& event) {
  StoreSession* session = store_.session(event.whom);
  VirtualServer* server = session == nullptr ? nullptr : parts_.server(session->server());
  if (server == nullptr) {
    if (event.kind == EventKind::store_answer) static_cast<void>(store_.answers.take(event.payload));
    if (event.kind == EventKind::bus_message) static_cast<void>(store_.messages.take(event.payload));
    return;
  }
  if (server->is_delayed(event)) return;
  server->on_store_event(event);
  bury_if_over(server->number());
}

// ---------------------------------------------------------------- lives

void World::start(std::uint32_t number) {
  if (servers_[number] != nullptr) {
    if (!servers_[number]->is_draining()) return;
    servers_[number].reset();  // it was still at its end: now it is over
    population_.server_died(number);
  }
  if (std::all_of(servers_.begin(), servers_.end(), [](const auto& each) { return each == nullptr; }))
    truth_.on_first_server();
  const std::uint32_t life = ++lives_[number];
  // Each machine's monotonic clock has its own origin.
  const auto origin = static_cast<Nanos>(
      kernel_.draws.below(static_cast<std::uint64_t>(1'000'000 * second), Purpose::member, number, life));
  if (options_.routing == Routing::naive) {
    servers_[number] = std::make_unique<NaiveServer>(parts_, number, life, origin);
  } else {
    servers_[number] = std::make_unique<RouterServer>(parts_, number, life, origin);
  }
  parts_.kernel.tell(Fact::Kind::server_up, number);
  servers_[number]->start();
}

void World::stop(std::uint32_t number) {
  if (servers_[number] == nullptr) return;
  servers_[number]->stop();
  bury_if_over(number);
}

void World::kill(std::uint32_t number) {
  if (servers_[number] == nullptr) return;
  truth_.on_killed(servers_[number]->id());
  parts_.kernel.tell(Fact::Kind::server_down, number);
  servers_[number].reset();
  population_.server_died(number);
}

void World::vanish(std::uint32_t number, Nanos counted_for) {
  if (servers_[number] == nullptr) return;
  truth_.on_killed(servers_[number]->id());
  parts_.kernel.tell(Fact::Kind::server_down, number);
  store_.outlive(servers_[number]->session().index(), counted_for);
  servers_[number].reset();
  population_.server_vanished(number);
}

void World::bury_if_over(std::uint32_t number) {
  if (servers_[number] == nullptr || !servers_[number]->is_over()) return;
  parts_.kernel.tell(Fact::Kind::server_down, number);
  servers_[number].reset();
  population_.server_died(number);
}

// ---------------------------------------------------------------- the end

void World::on_end(const Event& event) {
  if (event.what == 0) {
    director_.heal();
  } else if (event.what == 1) {
    truth_.on_look();
    truth_.send_probes();
  } else {
    truth_.on_look();
    truth_.judge_end();
    jury_.end();
    is_over_ = true;
  }
}

/// All clients go for good, and what is left of them is found. Nothing else of the run is, and no figure or hash of it
/// changes: they are taken by now.
void World::wind_up() {
  truth_.end();
  kernel_.observer = nullptr;
  metrics_.on_probe = [](void*, Metric, std::uint32_t) {};  // no step begins any more
  for (DeviceIndex device = 0; device < population_.device_count(); ++device) population_.close(device);
  const Nanos until = kernel_.now() + gone_within(options_.config);
  Nanos look_at = kernel_.now() + second;
  auto left = remains(parts_);
  while (left && kernel_.has_events() && kernel_.now() < until) {
    const Event event = kernel_.next();
    if (kernel_.now() >= look_at) {
      left = remains(parts_);
      look_at = kernel_.now() + second;
    }
    const bool is_of_the_run = event.kind == EventKind::workload || event.kind == EventKind::step ||
                               event.kind == EventKind::look || event.kind == EventKind::check ||
                               event.kind == EventKind::end;
    if (!is_of_the_run) dispatch(event);
  }
  if (left) {
    truth_.find(
        "clean-zero", nobody,
        fmt::format("all clients went at the end, and {} s later {}", gone_within(options_.config) / second, *left));
  }
}

void World::judge_findings(RunResult& result) {
  std::map<std::string_view, std::size_t> found, waived;  // by checker
  const auto is_waived_at = [&](std::string_view checker, Nanos at) {
    return std::any_of(scenario_.expect.begin(), scenario_.expect.end(), [&](const Expectation& each) {
      if (each.kind != Expectation::Kind::waive) return false;
      const auto line = std::find_if(checker_names.begin(), checker_names.end(),
                                     [&](const CheckerName& c) { return c.name == checker; });
      if (each.checker != checker && (line == checker_names.end() || each.checker != line->contract)) return false;
      return director_.is_within(each.from, each.to, at);
    });
  };
  for (const Finding& finding : truth_.findings()) {
    const bool is_waived = is_waived_at(finding.checker, finding.at);
    ++(is_waived ? result.waived_count : result.finding_count);
    if (++(is_waived ? waived : found)[finding.checker] > RunResult::findings_each) continue;
    (is_waived ? result.waived : result.findings).push_back(finding);
  }
  for (const Truth::BriefFinding& finding : truth_.brief_findings()) {
    if (is_waived_at(finding.checker, finding.at)) {
      ++result.waived_count;
      continue;
    }
    ++result.finding_count;
    if (++found[finding.checker] > RunResult::findings_each) continue;
    result.findings.push_back({std::string(finding.checker),
                               fmt::format("after {} findings their words are not kept any more", Truth::findings_kept),
                               finding.at, kernel_.events(), nobody});
  }
  // Whether what was not kept at all would have been waived, nobody knows.
  const std::uint64_t kept = truth_.findings().size() + truth_.brief_findings().size();
  result.finding_count += truth_.finding_count() - kept;
}

RunResult World::verdict() {
  RunResult result;
  result.seed = options_.seed;
  result.hash = kernel_.hash();
  result.events = kernel_.events();
  result.ended_at = std::min(kernel_.now(), options_.until.value_or(kernel_.now()));
  if (!is_over_) jury_.end_early();
  result.outcomes = jury_.outcomes();
  result.not_judged = jury_.not_judged();
  if (is_over_) {
    const auto came_to_nothing = [&](std::string name, std::string says, Position position) {
      Outcome& outcome = result.outcomes.emplace_back();  // vacuous
      outcome.name = std::move(name);
      outcome.says = std::move(says);
      outcome.position = position;
      outcome.at = kernel_.now();
      outcome.event = kernel_.events();
    };
    for (const Step* step : director_.missed_steps()) {
      came_to_nothing("step " + step->id, "its moment never came: what is passed was tried without it", step->position);
    }
    for (const Step* step : director_.idle_steps()) {
      came_to_nothing("step " + step->id, "it met nobody: whom it names had gone, or was not there yet",
                      step->position);
    }
    for (const Workload* workload : director_.idle_workloads()) {
      came_to_nothing("workload " + workload->id, "it did nothing: nobody was there to do it, or to do it to",
                      workload->at);
    }
  }
  for (std::size_t i = 0; i < result.counts.size(); ++i)
    result.counts[i] = metrics_.total(static_cast<Metric>(i)).count;
  result.latency_p50 = metrics_.latencies().percentile(500'000);
  result.latency_p99 = metrics_.latencies().percentile(990'000);
  result.latency_max = metrics_.latencies().percentile(1'000'000);
  result.connected = population_.open_count();
  result.toll = truth_.toll();
  result.misdelivered = result.of(Metric::deliver_foreign);
  result.doubled = result.of(Metric::deliver_double);
  result.ghosts = truth_.ghosts();
  if (options_.routing == Routing::naive) {
    const std::uint64_t rows = store_.table_rows("owner");
    result.ghosts = rows > result.connected ? rows - result.connected : 0;
  }
  if (parts_.mutant == Mutant::unsteady_figure) {
    static std::atomic<std::uint64_t> runs = 0;  // what a seed does not know of
    result.ghosts += runs++;
  }
  if (is_over_ && options_.routing == Routing::wsr && scenario_.clients <= wound_up_max) wind_up();
  judge_findings(result);
  const std::uint64_t kept = truth_.findings().size() + truth_.brief_findings().size();
  const auto has = [&](Outcome::Verdict verdict) {
    return std::any_of(result.outcomes.begin(), result.outcomes.end(),
                       [&](const Outcome& each) { return each.verdict == verdict; });
  };
  const auto is_liveness = [](const Finding& finding) {
    return finding.checker == "comes-right" || finding.checker == "hears-itself";
  };
  const bool has_safety =
      truth_.finding_count() > kept ||
      std::any_of(result.findings.begin(), result.findings.end(), [&](const Finding& f) { return !is_liveness(f); });
  if (has_safety || (has(Outcome::Verdict::failed) && !is_over_budget_)) {
    result.ending = Ending::safety;
  } else if (is_over_budget_) {
    result.ending = Ending::budget;
  } else if (!result.findings.empty() || has(Outcome::Verdict::late)) {
    result.ending = Ending::liveness;
  } else if (has(Outcome::Verdict::vacuous)) {
    result.ending = Ending::vacuous;
  }
  return result;
}

RunResult run(const Scenario& scenario, const RunOptions& options) {
  World world(vary(scenario, options.seed), options);
  return world.run();
}

}  // namespace wsr::sim
