// Subscriber: the connection on which messages arrive.
//
// What is wanted stays wanted until it is unwanted, and the subscriber makes the store agree:
//
//   subscribe() ──▶ asked ──confirmed──▶ standing ──connection lost──▶ asked again with everything else
//                     │ refused (an ACL)     ▲
//                     ▼                      │ confirmed
//                  refused ──at a pace───────┘
//
// After each reconnect everything is subscribed again, the inbox first and alone; then on_resubscribed() says that
// messages may have been missed until now. A refusal is an answer for those who asked, and the name is tried again,
// at retry_min to retry_max: on_resubscribed() follows once it stands. A confirmation answers exactly the tickets of
// its own command, so a subscription answered `ok` stands.
//
// The names of one turn share a command. An error comes once for a whole command and does not say which name it means:
// the command is halved until the refused names stand alone.
//
// Thread-safety: none; the thread of its io_context.
// Errors:        a subscription waits for the connection as long as it takes; `unavailable` if the store refuses it.
// Bounds:        none of its own: the core bounds what it subscribes to.
// Cost:          refused names cost at most a handful of commands a retry, however many they are.
#pragma once

#include <deque>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/redis/connection.hpp"
#include "core/redis/keys.hpp"

namespace wsr::redis {

class Subscriber final : private ConnectionEvents {
public:
  static constexpr std::chrono::milliseconds retry_min{250};
  static constexpr std::chrono::milliseconds retry_max{2'000};

  Subscriber(asio::io_context& io, const Options& options, const Keys& keys, AnswerSink& answers,
             BusListener& listener);

  void start() { connection_.start(); }
  void stop();
  void subscribe(Ticket ticket, const Channel& channel, Match match);
  void unsubscribe(Ticket ticket, const Channel& channel, Match match);
  /// Makes the connection anew, unless the inbox is refused: another connection would be refused as well.
  void resubscribe();
  void flush();

private:
  using Name = std::pair<Match, std::string>;  // as the store knows it
  struct Wanted {
    std::vector<Ticket> tickets;  // that wait for the next connection, or for the next attempt if it is refused
    std::uint64_t begun = 0;      // when it was wanted: an unsubscription in between begins anew
    bool stands = false;          // on this connection
    bool has_stood = false;       // on any: what was published since may have been missed
  };
  enum class Kind : std::uint8_t { subscribe, unsubscribe, ping };
  enum class OnRefusal : std::uint8_t { halve, give_up };
  enum class Attempt : std::uint8_t { first, resubscription, retry };
  /// One reply that must come, in the order of the commands.
  struct Expected {
    Kind kind;
    Name name;
    std::vector<Ticket> tickets;
    std::uint64_t begun = 0;     // of Wanted
    std::size_t of_command = 1;  // names in the same command, this one and those after it
    OnRefusal on_refusal = OnRefusal::halve;
    Attempt attempt = Attempt::first;
  };

  void on_ready() override;
  void on_lost() override;
  void on_push(const Reply& reply) override;

  [[nodiscard]] Wanted& want(const Name& name);
  void subscribe_all();
  /// One command for `names`, all of one kind and match.
  void say(std::vector<Expected> names);
  void on_confirmed();
  void on_error(const Reply& reply);
  void refuse(const Expected& expected, const Reply& reply);
  void end_attempt(const Expected& expected);
  void arm_retry();
  void retry();
  void on_message(const Reply& reply);
  void end_resubscription_if_done();
  void ping();
  void arm_watchdog();
  void answer(Kind kind, const std::vector<Ticket>& tickets, Errc result);
  [[nodiscard]] bool is_inbox(const Name& name) const;
  [[nodiscard]] std::string name_of(const Channel& channel, Match match) const;

  const Options& options_;
  const Keys& keys_;
  AnswerSink& answers_;
  BusListener& listener_;
  std::map<Name, Wanted> wanted_;
  std::uint64_t last_begun_ = 0;
  std::set<Name> refused_;         // of wanted_; kept across connections
  std::vector<Expected> queue_;    // of this turn
  std::deque<Expected> expected_;  // of this connection
  std::size_t resubscribing_ = 0;  // names until everything stands again, or is refused
  std::size_t retrying_ = 0;       // names of the attempt under way
  bool has_healed_ = false;        // in this attempt, and messages may have been missed
  bool is_partly_healed_ = false;  // a refused name stands: the others are tried in halves
  Name next_alone_{};              // the refused name that is tried alone next
  bool was_connected_ = false;     // on_resubscribed() is due after a reconnect, not at the first connect
  std::string last_refusal_;       // logged once
  std::chrono::milliseconds retry_wait_ = retry_min;
  bool is_retry_armed_ = false;
  Connection connection_;
  asio::steady_timer watchdog_;
  asio::steady_timer retry_;
  std::shared_ptr<char> alive_ = std::make_shared<char>();
};

}  // namespace wsr::redis
