#include "core/redis/rates.hpp"

namespace wsr::redis {

void Rates::call(Ticket ticket, const TakeCall& take) {
  const RateLimit& limit = take.limit;
  if (!limit.is_on()) {
    return connection_.later([this, ticket] { answers_.on_answer(ticket, Taken{}); });
  }
  connection_.eval(
      scripts::rate_take, {keys_.rate(take.key)},
      {text_of(std::uint64_t{limit.count}), text_of(std::int64_t{std::chrono::microseconds{limit.window}.count()}),
       text_of(std::uint64_t{limit.capacity()})},
      [this, ticket](const Reply& reply) {
        const std::chrono::microseconds wait{reply.integer()};
        Errc result = reply.result();
        if (result == Errc::ok && wait.count() > 0) result = Errc::rate_limited;
        answers_.on_answer(ticket, Taken{result, wait});
      });
}

}  // namespace wsr::redis
