// Director: makes happen what the scenario says: the workload, the timeline, and at the end that everything heals.
//
// Thread-safety: none; part of one run.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "sim/parts.hpp"
#include "sim/population.hpp"
#include "sim/truth.hpp"

namespace wsr::sim {

/// What the director needs of the servers' lives.
class Stage {
public:
  virtual ~Stage() = default;
  virtual void kill(std::uint32_t server) = 0;
  /// Its host is gone: nothing says so to clients, and the store counts its subscriber for so long.
  virtual void vanish(std::uint32_t server, Nanos counted_for) = 0;
  virtual void start(std::uint32_t server) = 0;
  virtual void stop(std::uint32_t server) = 0;
};

class Director {
public:
  Director(Parts& parts, Stage& stage);

  /// Puts the first of everything into the queue. Throws std::runtime_error for what no reader has let through.
  void begin();
  void on_step(const Event& event);
  void on_workload(const Event& event);
  /// Something happened that a step may wait for.
  void on_probe(Metric metric);
  /// All faults end; nothing new begins.
  void heal();
  [[nodiscard]] bool is_healing() const { return is_healing_; }

  /// When a moment is; none while it hangs on a step that has not happened. Of a step that is repeated: its first time.
  [[nodiscard]] std::optional<Nanos> resolve(const When& when) const;
  /// Whether `at` is in this window; of a step that is repeated each time has its own.
  [[nodiscard]] bool is_within(const When& from, const When& to, Nanos at) const;
  /// Called when a step has happened: moments that hang on it are known now.
  std::function<void()> on_moment;

  // ---- selectors, now
  [[nodiscard]] std::vector<std::uint32_t> clients_of(const Selector& selector);
  [[nodiscard]] std::vector<std::uint32_t> servers_of(const Selector& selector);
  [[nodiscard]] std::vector<bool> client_set(const Selector& selector);
  /// A group that is named for a moment ("clients on s2 at kill") is known from that moment on.
  [[nodiscard]] bool is_known(const Selector& selector) const;

  // ---- at the end
  /// Steps whose moment never came.
  [[nodiscard]] std::vector<const Step*> missed_steps() const;
  /// Steps that met nobody each time: who was named had gone, or was not there yet.
  [[nodiscard]] std::vector<const Step*> idle_steps() const;
  /// Workloads that had nobody to do anything, or nobody to do it to.
  [[nodiscard]] std::vector<const Workload*> idle_workloads() const;

private:
  struct Load {  // one workload
    std::vector<std::uint32_t> from, to;
    Nanos begins = 0;
    std::uint64_t turns = 0, deeds = 0;
    bool moves = false;  // who is in `from` or `to` depends on the moment
  };
  struct Undo {
    std::vector<Network::Rule> rules;
    std::vector<std::pair<std::uint32_t, Way>> cuts;
    std::vector<std::uint32_t> servers;
    std::vector<std::uint32_t> clients;
    std::vector<std::uint32_t> disturbed;  // clients whose way to the servers is bad
    std::vector<std::uint32_t> troubled;   // servers, or Reach::everywhere
    bool is_fault = false;
    bool is_on = false;
    std::uint32_t times = 0;  // the end of one time must not end the next
    bool has_met = false;     // anybody, at any of its times
  };

  void perform(std::uint32_t index);
  void undo(std::uint32_t index);
  /// Another step does the same to that server or client (to the store: none) just now.
  [[nodiscard]] bool is_also_done(Step::Action action, std::optional<std::uint32_t> to) const;
  void do_to_servers(const Step& step, Undo& undo, std::uint32_t index);
  void do_to_clients(const Step& step, Undo& undo, std::uint32_t index);
  void do_to_links(const Step& step, Undo& undo, bool is_cut);
  void do_to_store(const Step& step, Undo& undo);
  void do_deed(const Step& step, Undo& undo);
  void cut(std::uint32_t server, Way way, Undo& undo);
  void trouble(const std::vector<std::uint32_t>& servers, Undo& undo);
  void wake(VirtualServer& server);
  void swizzle(const Step& step, std::uint32_t index);
  [[nodiscard]] std::vector<std::uint32_t> all_servers();
  void schedule(std::uint32_t index);
  void schedule_all();
  void remember_groups(const std::string& step);
  /// Who it is now, if that moves; false while nobody can say, or there is nobody.
  [[nodiscard]] bool find_people(const Workload& workload, Load& load);
  [[nodiscard]] bool moves(const Selector& selector) const;
  void act(const Workload& workload, Load& load, std::uint32_t device, std::uint64_t nth);
  [[nodiscard]] Nanos gap(const Workload& workload, std::uint64_t nth) const;
  [[nodiscard]] std::uint32_t room_of(const Workload& workload, std::uint32_t client, std::uint64_t nth) const;
  [[nodiscard]] std::vector<std::uint32_t> evaluate(const Selector& selector, bool wants_servers);
  [[nodiscard]] std::string data(DeedNumber number, std::uint32_t bytes);

  Parts& parts_;
  Stage& stage_;
  std::vector<Load> loads_;
  std::vector<Undo> undos_;
  std::vector<bool> is_scheduled_;
  std::map<std::string, std::vector<Nanos>> happened_;           // steps, each time
  std::map<std::string, std::vector<std::uint32_t>> snapshots_;  // text of a selector -> who that was
  std::map<std::string, std::uint64_t> probes_;                  // how often, by name
  std::uint64_t deeds_ = 0;
  bool is_healing_ = false;
};

}  // namespace wsr::sim
