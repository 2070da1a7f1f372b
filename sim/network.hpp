// Network: how long bytes take, and what is cut off from what.
//
// Every connection is TCP, as in production: in order, nothing lost while it lives. What happens to segments below
// shows as time: a lost one comes after a retransmission timeout and holds back all behind it, one that is overtaken
// holds back the others until it is there, a duplicate costs its bandwidth. A cut holds everything back until it heals.
//
//   client c ──Pipe up──▶ server s ──Pipe up──▶ store
//            ◀─Pipe down─          ◀─Pipe down─
//
// Thread-safety: none; part of one run.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <vector>

#include "sim/kernel.hpp"

namespace wsr::sim {

/// One direction of one connection.
struct Pipe {
  Nanos last = 0;        // arrival of what was sent last
  Nanos busy_until = 0;  // the link is taken until then
};

enum class Way : std::uint8_t { up, down };  // up: towards the store

class Network {
public:
  Network(Kernel& kernel, const Scenario& scenario);

  /// When `bytes` that are sent now arrive. `who` and `nth` name the draw.
  /// `not_before`: what a cut held back comes first.
  [[nodiscard]] Nanos arrival(Pipe& pipe, const LinkSpec& link, std::size_t bytes, std::uint64_t who,
                              Nanos not_before = 0);

  // ---- links; server numbers from 1, clients from 0
  [[nodiscard]] const LinkSpec& client_link(std::uint32_t client, std::uint32_t server) const;
  [[nodiscard]] const LinkSpec& store_link(std::uint32_t server) const;
  using Rule = std::uint32_t;
  /// What is between these sets from now on; later rules win.
  [[nodiscard]] Rule degrade_store(std::vector<bool> servers, const LinkSpec& link);
  [[nodiscard]] Rule degrade_clients(std::vector<bool> servers, std::vector<bool> clients, const LinkSpec& link);
  void restore(Rule rule);

  // ---- cuts
  void cut_store(std::uint32_t server, Way way, bool is_cut) {
    (is_cut ? ++cut_of(server, way) : --cut_of(server, way));
  }
  [[nodiscard]] bool is_store_cut(std::uint32_t server, Way way) const {
    return server < store_cuts_.size() && store_cuts_[server][static_cast<std::size_t>(way)] != 0;
  }
  struct Ways {
    bool up = true, down = true;
  };
  [[nodiscard]] Rule cut_clients(std::vector<bool> servers, std::vector<bool> clients, Ways ways);
  [[nodiscard]] bool is_client_cut(std::uint32_t client, std::uint32_t server, Way way) const;
  /// For how long nothing has got through from one to the other, or back; 0: both ways are open.
  [[nodiscard]] Nanos client_cut_for(std::uint32_t client, std::uint32_t server) const;
  /// What a cut holds back: put in again when the last cut in its way heals.
  /// `pipe`: what is in it already comes first.
  void hold_store(std::uint32_t server, Way way, const Event& event, const Pipe& pipe);
  void hold_client(std::uint32_t client, std::uint32_t server, Way way, const Event& event) {
    held_clients_.push_back({event, client, server, way});
  }
  /// The pipe of a client's connection that a held event goes through; nullptr: that connection has gone.
  std::function<Pipe*(const Event&, Way)> pipe_of_client;
  void release_store(std::uint32_t server, Way way);
  void release_clients();
  /// When the last of what a cut held back arrives; what is sent now comes behind it.
  [[nodiscard]] Nanos released_store(std::uint32_t server, Way way) const {
    return released_store_[server][static_cast<std::size_t>(way)];
  }
  /// The rules so far are the scenario's own, and stay.
  void keep_rules() { lasting_ = rules_.size(); }
  /// Ends every other rule, and every cut.
  void heal();

private:
  struct RuleState {
    bool is_on = false;
    bool is_store = false;
    bool is_cut = false;
    std::vector<bool> servers, clients;  // empty: all
    LinkSpec link;
    Ways ways{};  // a cut: which of them
    Nanos since = 0;
    [[nodiscard]] bool cuts(std::uint32_t client, std::uint32_t server) const;
  };
  struct Held {
    Event event;
    std::uint32_t client = 0, server = 0;
    Way way = Way::up;
  };
  [[nodiscard]] std::uint32_t& cut_of(std::uint32_t server, Way way);

  Kernel& kernel_;
  LinkSpec client_, store_;
  std::vector<RuleState> rules_;
  std::size_t lasting_ = 0;  // rules that are no faults
  bool has_rules_ = false;
  bool has_client_cuts_ = false;
  std::uint64_t draws_ = 0;
  std::vector<std::array<std::uint32_t, 2>> store_cuts_;
  struct HeldAtStore {
    std::vector<Event> events;
    Nanos behind = 0;  // the last arrival of what is in their pipes
  };
  std::vector<std::array<HeldAtStore, 2>> held_store_;
  std::vector<Held> held_clients_;
  std::vector<std::array<Nanos, 2>> released_store_;
};

}  // namespace wsr::sim
