// The contract suites on the simulator's store: every call crosses a virtual network.
#include <memory>
#include <vector>

#include "sim/store.hpp"
#include "sim/store_session.hpp"
#include "tests/contract/harness.hpp"

namespace wsr::contract {
namespace {

struct Nobody final : sim::StoreWatcher {
  void on_claim(const ClaimCall&, const std::optional<OwnerRow>&, const std::optional<OwnerRow>&) override {}
  void on_release(const ReleaseCall&, const std::optional<OwnerRow>&, const std::optional<OwnerRow>&) override {}
  void on_room_event(std::string_view, const RoomEvent&) override {}
  void on_swept(const ServerId&) override {}
  void on_forgotten() override {}
};

/// One server's session as a Backend.
class SessionBackend final : public Backend {
public:
  SessionBackend(sim::Kernel& kernel, sim::Network& network, sim::StoreModel& store, std::uint32_t number,
                 Recorder& recorder)
      : session_(kernel, network, store, number, recorder, recorder), ports_(session_, 0) {}
  void start() override { session_.start(); }
  void stop() override { session_.stop(); }
  void call(Ticket ticket, StoreCall&& call) override { ports_.call(ticket, std::move(call)); }
  Tables& tables() override { return ports_; }
  void end_turn() override {}
  [[nodiscard]] sim::StoreSession& session() { return session_; }

private:
  sim::StoreSession session_;
  sim::StorePorts ports_;
};

sim::Scenario scenario() {
  sim::Scenario scenario;
  scenario.servers = 64;
  scenario.duration = sim::second;
  return scenario;
}

class SimHarness final : public Harness {
public:
  explicit SimHarness(const Setup& setup)
      : store_(kernel_, network_, metrics_, scenario_,
               sim::StoreOptions{setup.owners_max, setup.memberships_max, false}, nobody_, sim::Mutant::none) {}

  Backend& server(int n) override {
    while (servers_.size() < static_cast<std::size_t>(n)) {
      recorders_.push_back(std::make_unique<Recorder>());
      servers_.push_back(std::make_unique<SessionBackend>(
          kernel_, network_, store_, static_cast<std::uint32_t>(servers_.size() + 1), *recorders_.back()));
      servers_.back()->start();
      run_for(10ms);
    }
    return *servers_[static_cast<std::size_t>(n) - 1];
  }
  Recorder& heard(int n) override { return *recorders_[static_cast<std::size_t>(n) - 1]; }
  StoreTime now() override { return store_.now(); }

  /// Calls take their time on the way, as with a real store.
  bool is_time_virtual() const override { return false; }

  void run_for(milliseconds duration) override {
    const std::uint32_t mark = ++marks_;
    kernel_.push(kernel_.now() + std::chrono::nanoseconds(duration).count(), sim::EventKind::end, mark);
    for (;;) {
      const sim::Event event = kernel_.next();
      if (event.kind == sim::EventKind::end && event.whom == mark) return;
      if (event.kind == sim::EventKind::store_call) {
        store_.on_call(event);
        continue;
      }
      sim::StoreSession* session = store_.session(event.whom);
      if (session == nullptr) continue;  // stopped
      if (event.kind == sim::EventKind::store_answer) session->on_answer(event);
      if (event.kind == sim::EventKind::bus_message) session->on_bus_message(event);
      if (event.kind == sim::EventKind::store_timer) session->on_timer(event);
    }
  }

  bool wait_until(const std::function<bool()>& is_true, milliseconds deadline) override {
    for (milliseconds waited{0}; !is_true() && waited < deadline; waited += 1ms) run_for(1ms);
    return is_true();
  }

private:
  sim::Scenario scenario_ = scenario();
  sim::Kernel kernel_{1};
  sim::Network network_{kernel_, scenario_};
  sim::Metrics metrics_;
  Nobody nobody_;
  sim::StoreModel store_;
  std::vector<std::unique_ptr<Recorder>> recorders_;  // [n - 1] belongs to server n
  std::vector<std::unique_ptr<SessionBackend>> servers_;
  std::uint32_t marks_ = 0;
};

}  // namespace

std::unique_ptr<Harness> make_harness(const Setup& setup) { return std::make_unique<SimHarness>(setup); }

}  // namespace wsr::contract
