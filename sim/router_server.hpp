// RouterServer: the real Router and the real Keeper, and around them what core/net is in production: turns, timers,
// connections with a window, the ping that finds dead clients, the drain at the end.
//
// Thread-safety: none; part of one run.
#pragma once

#include <string>
#include <vector>

#include "core/routing/keeper.hpp"
#include "core/routing/router.hpp"
#include "sim/server.hpp"
#include "sim/work.hpp"

namespace wsr::sim {

class RouterServer final : public VirtualServer, KeeperEvents, Connections, Clock, Application {
public:
  RouterServer(Parts& parts, std::uint32_t number, std::uint32_t life, Nanos clock_offset);

  void start() override;
  void stop() override;
  void resign() override;
  void on_accept(ConnIndex conn) override;
  void on_text(ConnIndex conn, std::string&& text) override;
  void on_fin(ConnIndex conn) override;
  void on_writable(ConnIndex conn) override;
  void on_timer(std::uint32_t generation) override;
  void on_store_event(const Event& event) override;
  void push(const RoomName& room, std::string_view data) override;
  void send(const ClientId& to, std::string_view data) override;
  [[nodiscard]] bool is_ready() const override { return keeper_.readiness().is_ready(); }
  /// As core/net: only once it has been ready, and knows the store's clock.
  [[nodiscard]] bool is_listening() const override { return has_been_ready_ && !is_draining_; }
  [[nodiscard]] Stats stats() const override;
  [[nodiscard]] std::size_t connections() const override { return router_.connection_count(); }
  [[nodiscard]] std::optional<std::string> dishonest_figure() const override;
  [[nodiscard]] Keeps keeps() override;
  [[nodiscard]] ConnIndex conn_with(ConnId id) const override;

private:
  void on_answer(Ticket ticket, Answer&& answer) override;
  void on_bus_message(const Channel& channel, std::string_view pattern, std::string_view payload) override;
  void on_resubscribed() override;
  void on_store_state(StoreState state) override;
  void on_reassert() override;
  void on_server_gone(const ServerId& server) override;
  void on_readiness(const Readiness& readiness) override;
  void on_leases(const Leases& leases) override { router_.on_leases(leases); }
  void on_awake() override { router_.go_on(); }
  /// Before every input: as core/net, a server that stood still holds what comes until it has its lease again.
  void look_at_clock();
  void wake(ConnId conn) override;
  void close(ConnId conn, std::uint16_t code, std::string_view reason) override;
  [[nodiscard]] Time now() const override;
  [[nodiscard]] StoreTime store_now() const override;
  [[nodiscard]] std::chrono::microseconds store_error() const override;
  void on_sent(Ticket, const Sent&) override {}
  void on_owned(ConnId, Errc, std::string_view) override {}
  void on_room_done(Ticket, const RoomDone&) override {}
  void on_pushed(Ticket, const RoomPushed&) override {}
  void on_watching(const RoomName&, Errc) override {}
  void on_room_message(const RoomName&, std::string_view, std::string_view) override {}
  void on_room_presence(const RoomName&, const RoomPresence&) override {}

  void end_turn();
  void scan();  // a mutant
  void flush(ConnIndex conn);
  void arm_timer();
  void closed(ConnIndex conn);
  void close_later(ConnId conn, std::uint16_t code);

  StorePorts router_ports_, keeper_ports_;
  Keeper keeper_;
  Router router_;
  std::vector<ConnIndex> by_slot_;
  std::vector<ConnId> dirty_, flushing_;  // the room of the second is used again
  struct Closing {
    ConnId conn;
    std::uint16_t code;
    std::size_t waiting;  // bytes for it, then
  };
  std::vector<Closing> closing_, ending_;
  std::string bytes_;
  Nanos armed_at_ = 0;
  std::uint32_t timer_generation_ = 0;
  Nanos drain_until_ = 0;
  std::uint64_t times_deaf_ = 0;
  std::uint64_t frames_ = 0;  // for mutants
  Work work_;
  bool was_ready_ = false, has_been_ready_ = false;
  bool was_held_ = false;  // at the end of the last turn
};

}  // namespace wsr::sim
