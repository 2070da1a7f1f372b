#include "core/net/hub_store.hpp"

#include <utility>

#include "core/net/hub.hpp"

namespace wsr::net {

void HubStore::call(Ticket ticket, StoreCall&& call) {
  if (hub_.local().hand_over(tag_, ticket, call)) return;
  const Ticket tagged = ticket.with_driver(tag_);
  if (place_ == Place::hub_thread) return hub_.call(tagged, std::move(call));
  hub_.post([&hub = hub_, tagged, call = std::move(call)]() mutable { hub.call(tagged, std::move(call)); });
}

}  // namespace wsr::net
