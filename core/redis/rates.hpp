// redis::Rates: token buckets that all servers share, one script and one key a question.
//
// The script counts in the integers of TokenBucket, on Redis' own clock. The key expires when its bucket is full.
//
// Thread-safety: none.
#pragma once

#include "core/redis/connection.hpp"
#include "core/redis/keys.hpp"

namespace wsr::redis {

class Rates {
public:
  Rates(Connection& connection, const Keys& keys, AnswerSink& answers)
      : connection_(connection), keys_(keys), answers_(answers) {}

  void call(Ticket ticket, const TakeCall& take);

private:
  Connection& connection_;
  const Keys& keys_;
  AnswerSink& answers_;
};

}  // namespace wsr::redis
