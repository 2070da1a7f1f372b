#include "core/redis/bus.hpp"

#include <utility>

namespace wsr::redis {

void Bus::call(Ticket ticket, const PublishCall& publish) {
  commands_.send({"PUBLISH", keys_.channel(publish.channel), publish.payload}, [this, ticket](const Reply& reply) {
    Published published;
    published.result = reply.result();
    if (published.result == Errc::ok) published.receivers = static_cast<std::uint64_t>(reply.integer());
    answers_.on_answer(ticket, published);
  });
}

}  // namespace wsr::redis
