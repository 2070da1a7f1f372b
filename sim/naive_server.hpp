// NaiveServer: what one writes by hand in an afternoon, step by step as the usual lesson has it:
//
//   connect   SET owner:CLIENT {server, fd}, whatever is there
//   send      GET owner:CLIENT; own server: write to the fd; else PUBLISH to the other server's channel {fd, data}
//   close     DEL owner:CLIENT, whatever is there
//   now and then write one's wall-clock time as a sign of life; delete rows of servers whose sign looks old
//
// In the same world as RouterServer, so that both meet the same faults. A send is answered `delivered` when it was
// written or published: that is all that the pattern knows. It has no rooms.
//
// Thread-safety: none; part of one run.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "sim/server.hpp"

namespace wsr::sim {

class NaiveServer final : public VirtualServer {
public:
  static constexpr Nanos sign_every = 5 * second, stale_after = 15 * second, collect_every = 10 * second;

  NaiveServer(Parts& parts, std::uint32_t number, std::uint32_t life, Nanos clock_offset);

  void start() override;
  void stop() override;
  void resign() override { is_over_ = true; }
  void on_accept(ConnIndex conn) override;
  void on_text(ConnIndex conn, std::string&& text) override;
  void on_fin(ConnIndex conn) override;
  void on_writable(ConnIndex conn) override;
  void on_timer(std::uint32_t generation) override;
  void on_store_event(const Event& event) override;
  void push(const RoomName&, std::string_view) override {}
  void send(const ClientId& to, std::string_view data) override;
  [[nodiscard]] bool is_ready() const override { return is_up_; }
  [[nodiscard]] Stats stats() const override { return {}; }
  [[nodiscard]] std::size_t connections() const override { return open_; }
  [[nodiscard]] ConnIndex conn_with(ConnId id) const override;

private:
  void on_answer(Ticket, Answer&&) override {}
  void on_bus_message(const Channel& channel, std::string_view pattern, std::string_view payload) override;
  void on_resubscribed() override {}
  void on_store_state(StoreState state) override;
  void declare();
  void write_fd(std::uint32_t fd, std::string_view json);
  void route(const std::string& to, const std::string& from, const std::string& data, std::function<void(bool)> done);
  void closed(ConnIndex conn);
  void sign();
  void collect();
  [[nodiscard]] std::int64_t wall_seconds() const { return (parts_.kernel.now() + clock_offset_) / second; }
  [[nodiscard]] Channel channel_of(const std::string& server) const { return {ChannelKind::app, "naive:" + server}; }

  StorePorts ports_;
  std::vector<ConnIndex> by_fd_;  // nobody: the number is free, and is given to the next who comes
  std::map<std::uint32_t, std::deque<std::string>> waiting_;  // by fd: what its window had no room for
  std::size_t open_ = 0;
  Nanos collect_at_ = 0;
  bool is_up_ = false;
};

}  // namespace wsr::sim
