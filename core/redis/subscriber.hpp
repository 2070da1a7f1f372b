// Subscriber: the connection on which messages arrive.
//
// It keeps what is wanted, and makes the store agree: after each reconnect everything is subscribed again in one go,
// then on_resubscribed() says that messages may have been missed until now. A confirmation answers exactly the tickets
// of its own command, so a subscription answered `ok` stands.
//
// Thread-safety: none; the thread of its io_context.
// Errors:        a subscription waits for the connection as long as it takes; `forbidden` if an ACL refuses it.
// Bounds:        none of its own: the core bounds what it subscribes to.
#pragma once

#include <deque>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/redis/connection.hpp"
#include "core/redis/keys.hpp"

namespace wsr::redis {

class Subscriber final : private ConnectionEvents {
public:
  Subscriber(asio::io_context& io, const Options& options, const Keys& keys, AnswerSink& answers,
             BusListener& listener);

  void start() { connection_.start(); }
  void stop();
  void subscribe(Ticket ticket, const Channel& channel, Match match);
  void unsubscribe(Ticket ticket, const Channel& channel, Match match);
  void resubscribe() { connection_.remake(); }
  void flush() { connection_.flush(); }

private:
  using Name = std::pair<Match, std::string>;  // as the store knows it
  enum class Kind : std::uint8_t { subscribe, unsubscribe };
  /// One confirmation that must come, in the order of the commands.
  struct Expected {
    Kind kind;
    Name name;
    std::vector<Ticket> tickets;
    std::size_t of_command = 1;  // names in the same command: an error comes once for all of them
  };

  void on_ready() override;
  void on_lost() override;
  void on_push(const Reply& reply) override;

  void subscribe_all();
  void on_confirmed();
  void on_refused(const Reply& reply);
  void on_message(const Reply& reply);
  void end_resubscription_if_done();
  void ping();
  void arm_watchdog();
  void answer(Kind kind, const std::vector<Ticket>& tickets, Errc result);
  [[nodiscard]] std::string name_of(const Channel& channel, Match match) const;

  const Options& options_;
  const Keys& keys_;
  AnswerSink& answers_;
  BusListener& listener_;
  std::map<Name, std::vector<Ticket>> wanted_;  // with the tickets that wait for the next connection
  std::deque<Expected> expected_;               // of this connection
  std::size_t resubscribing_ = 0;               // confirmations until everything stands again
  bool was_connected_ = false;                  // on_resubscribed() is due after a reconnect, not at the first connect
  Connection connection_;
  asio::steady_timer watchdog_;
  std::shared_ptr<char> alive_ = std::make_shared<char>();
};

}  // namespace wsr::redis
