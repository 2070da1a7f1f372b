// StoreSession: a server's end of its two connections to the store, as core/redis keeps them: commands in a pipeline
// with a deadline, a subscriber that is remade and subscribes again, backoff between attempts.
//
//   down ──backoff over, store reachable──▶ up ──lost, or oldest call unanswered for reply_within──▶ down
//
// Calls under way when a connection is lost are answered `unavailable` (or `timeout`); whether the store carried them
// out, and perhaps does so later, is nobody's knowledge.
//
// Thread-safety: none; part of one run. Bounds: as core/redis.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <set>

#include "core/store/backend.hpp"
#include "sim/outside_counts.hpp"
#include "sim/store.hpp"

namespace wsr::sim {

class StoreSession {
public:
  static constexpr Nanos reply_within = 2 * second;
  static constexpr Nanos backoff_min = 50 * millisecond, backoff_max = second;
  static constexpr Nanos subscriber_ping_every = second;
  static constexpr Nanos refused_again_after = second;  // until what the store refuses to subscribe is asked again

  /// `server`: its number, from 1.
  StoreSession(Kernel& kernel, Network& network, StoreModel& store, std::uint32_t server, AnswerSink& answers,
               BusListener& listener);
  ~StoreSession();
  StoreSession(const StoreSession&) = delete;
  StoreSession& operator=(const StoreSession&) = delete;

  void start();
  void stop();
  void call(Ticket ticket, StoreRequest request);
  void resubscribe() {
    if (!stays_deaf_) lose_subscriber(subscriber_.generation);
  }
  void stays_deaf(bool is_so) { stays_deaf_ = is_so; }  // a mutant

  [[nodiscard]] std::uint32_t server() const { return server_; }
  [[nodiscard]] StoreModel::SessionIndex index() const { return index_; }
  [[nodiscard]] std::uint32_t command_generation() const { return commands_.generation; }
  [[nodiscard]] std::uint32_t subscriber_generation() const { return subscriber_.generation; }
  /// Channels of rooms that it listens to, or has asked to.
  [[nodiscard]] std::uint64_t room_channels() const;
  /// When the subscriber's connection was last lost, or made again.
  [[nodiscard]] Nanos subscriber_changed_at() const { return subscriber_changed_at_; }
  /// When it was last lost, or made again after that.
  [[nodiscard]] std::optional<Nanos> subscriber_remade_at() const { return subscriber_remade_at_; }

  // ---- the network says
  void lose_command_connection(std::uint32_t generation);
  void lose_subscriber(std::uint32_t generation);
  /// The way to or from the store is cut: the subscriber's watchdog finds out.
  void on_cut();

  // ---- events
  void on_answer(const Event& event);
  void on_bus_message(const Event& event);
  void on_timer(const Event& event);

private:
  enum class Timer : std::uint32_t {
    deadline,
    lost_commands,
    lost_subscriber,
    retry_commands,
    retry_subscriber,
    watchdog,
    unsent,
    refused
  };
  struct Line {
    bool is_up = false;
    std::uint32_t generation = 0;
    Nanos backoff = backoff_min;
    Pipe pipe;  // towards the store
  };
  struct Pending {
    Ticket ticket;
    std::size_t request = 0;  // its place in StoreRequest
    Nanos since = 0;
    std::function<void()> fail;  // of a TableCall
  };

  void send(Line& line, CallParcel call);
  void arm_deadline();
  void fail(const std::deque<Pending>& failing, Errc result);
  void retry(Line& line, Timer timer);
  [[nodiscard]] bool is_reachable() const;
  void push_timer(Nanos at, Timer timer, std::uint32_t generation);

  Kernel& kernel_;
  Network& network_;
  StoreModel& store_;
  std::uint32_t server_;
  AnswerSink& answers_;
  BusListener& listener_;
  StoreModel::SessionIndex index_;
  Line commands_, subscriber_;
  Nanos subscriber_changed_at_ = 0;
  std::optional<Nanos> subscriber_remade_at_;
  std::deque<Pending> pending_;  // sent
  std::deque<Pending> unsent_;   // called while there was no connection

  std::deque<CallParcel> subscriber_calls_;  // not confirmed
  std::set<std::pair<Channel, Match>> channels_;
  std::set<std::pair<Channel, Match>> refused_;  // of channels_: asked again at a pace
  bool is_deadline_armed_ = false;
  bool is_started_ = false;
  bool stays_deaf_ = false;
  std::size_t confirmations_left_ = 0;  // of a remade subscriber: then on_resubscribed()
};

/// The ports over one session; tickets carry a driver, so that several can share it.
class StorePorts final : public Store, public Tables {
public:
  StorePorts(StoreSession& session, std::uint8_t driver) : session_(session), driver_(driver) {}

  void call(Ticket ticket, StoreCall&& call) override;

  void declare(const TableSpec& spec, Reply<Done> reply) override;
  void set(std::string_view table, std::string_view key, Row row, Reply<Done> reply) override;
  void get(std::string_view table, std::string_view key, Reply<Row> reply) override;
  void del(std::string_view table, std::string_view key, Reply<Done> reply) override;
  void incr(std::string_view table, std::string_view key, std::string_view column, std::int64_t by,
            Reply<std::int64_t> reply) override;
  void compare_and_set(std::string_view table, std::string_view key, std::string_view column, const Value& expected,
                       Row row, Reply<Done> reply) override;
  void count(std::string_view table, Reply<std::uint64_t> reply) override;
  void page(std::string_view table, std::string_view cursor, std::uint32_t count, Reply<RowPage> reply) override;
  void counter_add(std::string_view name, std::int64_t by, Reply<std::int64_t> reply) override;
  void counter_get(std::string_view name, Reply<std::int64_t> reply) override;
  void counter_add_bounded(std::string_view name, std::int64_t by, std::int64_t max,
                           Reply<std::int64_t> reply) override;

  [[nodiscard]] const PortCounts& counts() const { return counts_; }

private:
  void send(Ticket ticket, StoreRequest request) {
    ++counts_.all;
    session_.call(ticket.with_driver(driver_), std::move(request));
  }
  template <class T, class Ask>
  void ask(Reply<T> reply, Ask ask_tables);

  static constexpr std::uint64_t table_ticket = std::uint64_t{1} << 48;  // no number of a caller's comes there

  StoreSession& session_;
  std::uint8_t driver_;
  PortCounts counts_;
  std::uint64_t table_calls_ = 0;  // they have replies of their own, and tickets for the order of answers only
};

}  // namespace wsr::sim
