// redis::Bus: publish on the command connection, subscribe on the subscriber's. At most once.
//
// Thread-safety: none.
#pragma once

#include <string>

#include "core/redis/connection.hpp"
#include "core/redis/keys.hpp"
#include "core/redis/subscriber.hpp"

namespace wsr::redis {

class Bus final : public wsr::Bus {
public:
  Bus(Connection& commands, Subscriber& subscriber, const Keys& keys, AnswerSink& answers)
      : commands_(commands), subscriber_(subscriber), keys_(keys), answers_(answers) {}

  void publish(Ticket ticket, const Channel& channel, std::string payload) override;
  void subscribe(Ticket ticket, const Channel& channel, Match match) override {
    subscriber_.subscribe(ticket, channel, match);
  }
  void unsubscribe(Ticket ticket, const Channel& channel, Match match) override {
    subscriber_.unsubscribe(ticket, channel, match);
  }
  void resubscribe() override { subscriber_.resubscribe(); }

private:
  Connection& commands_;
  Subscriber& subscriber_;
  const Keys& keys_;
  AnswerSink& answers_;
};

}  // namespace wsr::redis
