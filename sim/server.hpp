// VirtualServer: one life of one server, as the rest of a run sees it: what comes to it as events, and the checkers'
// view.
//
// RouterServer is `wsr serve`'s core; NaiveServer the hand-made pattern beside it. A killed server is this object
// destroyed; its next life has a new incarnation.
//
// Thread-safety: none; part of one run.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/routing/stats.hpp"
#include "sim/finality.hpp"
#include "sim/outside_counts.hpp"
#include "sim/parts.hpp"
#include "sim/population.hpp"
#include "sim/store_session.hpp"

namespace wsr::sim {

class VirtualServer : protected AnswerSink, protected BusListener {
public:
  VirtualServer(Parts& parts, std::uint32_t number, std::uint32_t life, Nanos clock_offset);
  ~VirtualServer() override;

  virtual void start() = 0;
  /// Graceful: everybody hears 1001, then the lease is given up. is_over() says when it can be destroyed.
  virtual void stop() = 0;
  /// It drains: a look whether its clients are gone, or its time is over.
  virtual void resign() = 0;
  [[nodiscard]] bool is_over() const { return is_over_; }
  void pause(bool is_paused);
  void skew(Nanos by) { clock_offset_ += by; }

  /// One of its clients has read a message, or one of a room.
  void on_heard() { ++counts_.messages_heard; }
  void on_heard_room() { ++counts_.room_messages_heard; }
  /// What became of its clients' messages, as they were told.
  [[nodiscard]] ToldWords& told() { return told_; }

  // ---- events
  /// True if the event is kept until the server wakes up again.
  [[nodiscard]] bool is_delayed(const Event& event);
  virtual void on_accept(ConnIndex conn) = 0;
  virtual void on_text(ConnIndex conn, std::string&& text) = 0;
  virtual void on_fin(ConnIndex conn) = 0;
  virtual void on_writable(ConnIndex conn) = 0;
  virtual void on_timer(std::uint32_t generation) = 0;
  virtual void on_store_event(const Event& event) = 0;

  // ---- probes of the checkers: into a room, or to a client, from nobody
  virtual void push(const RoomName& room, std::string_view data) = 0;
  virtual void send(const ClientId& to, std::string_view data) = 0;

  // ---- views
  [[nodiscard]] const ServerId& id() const { return id_; }
  [[nodiscard]] std::uint32_t number() const { return number_; }
  [[nodiscard]] std::uint32_t life() const { return life_; }
  [[nodiscard]] bool is_paused() const { return is_paused_; }
  [[nodiscard]] bool is_draining() const { return is_draining_; }
  [[nodiscard]] virtual bool is_ready() const = 0;
  /// It takes connections: what a load balancer looks at.
  [[nodiscard]] virtual bool is_listening() const { return !is_draining_; }
  [[nodiscard]] virtual Stats stats() const = 0;
  [[nodiscard]] virtual std::size_t connections() const = 0;
  /// The first of its core's figures that cannot be true, in words.
  [[nodiscard]] virtual std::optional<std::string> dishonest_figure() const { return std::nullopt; }
  /// What it holds for clients.
  struct Keeps {
    std::uint64_t connections = 0, memberships = 0, rooms = 0;
    std::uint64_t channels = 0;    // of rooms, that it has subscribed
    std::uint64_t bytes = 0;       // in outboxes
    std::uint64_t unfinished = 0;  // messages without a word
    std::uint64_t timers = 0;      // of its routing; rows that expire have one for ever
  };
  [[nodiscard]] virtual Keeps keeps() { return {}; }
  [[nodiscard]] virtual ConnIndex conn_with(ConnId id) const = 0;
  [[nodiscard]] StoreSession& session() { return session_; }
  /// When messages of the bus may last have been missed.
  [[nodiscard]] Nanos last_bus_loss() const { return std::max(last_bus_loss_, session_.subscriber_changed_at()); }
  /// When it last lost what the bus had for it, or its subscription, or made that again: until all its clients are
  /// claimed again, others do not wait for it when they take over.
  [[nodiscard]] std::optional<Nanos> last_deafness() const {
    const auto remade_at = session_.subscriber_remade_at();
    if (last_bus_loss_ == 0) return remade_at;
    return std::max(remade_at.value_or(0), last_bus_loss_);
  }
  void note_bus_loss() { last_bus_loss_ = parts_.kernel.now(); }

protected:
  Parts& parts_;
  std::uint32_t number_, life_;
  Nanos clock_offset_;
  ServerId id_;
  StoreSession session_;
  OutsideCounts counts_;  // of what its core has to do with
  ToldWords told_;
  Nanos last_bus_loss_ = 0;
  bool is_draining_ = false, is_over_ = false, is_paused_ = false;

private:
  std::vector<Event> delayed_;  // what came while it was paused
};

/// That life of that server, if it goes on.
[[nodiscard]] VirtualServer* living(const Parts& parts, const ServerId& id);

}  // namespace wsr::sim
