// redis::Bus: publish on the command connection, subscribe on the subscriber's. At most once.
//
// Thread-safety: none.
#pragma once

#include <string>

#include "core/redis/connection.hpp"
#include "core/redis/keys.hpp"
#include "core/redis/subscriber.hpp"

namespace wsr::redis {

class Bus {
public:
  Bus(Connection& commands, Subscriber& subscriber, const Keys& keys, AnswerSink& answers)
      : commands_(commands), subscriber_(subscriber), keys_(keys), answers_(answers) {}

  void call(Ticket ticket, const PublishCall& publish);
  void call(Ticket ticket, const SubscribeCall& wanted) { subscriber_.subscribe(ticket, wanted.channel, wanted.match); }
  void call(Ticket ticket, const UnsubscribeCall& wanted) {
    subscriber_.unsubscribe(ticket, wanted.channel, wanted.match);
  }
  void call(Ticket, const ResubscribeCall&) { subscriber_.resubscribe(); }

private:
  Connection& commands_;
  Subscriber& subscriber_;
  const Keys& keys_;
  AnswerSink& answers_;
};

}  // namespace wsr::redis
