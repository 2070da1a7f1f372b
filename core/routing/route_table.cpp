#include "core/routing/route_table.hpp"

namespace wsr {

Route* RouteTable::find(std::string_view client) {
  const auto known = index_.find(client);
  if (known == index_.end()) return nullptr;
  if (known->second != routes_.begin()) routes_.splice(routes_.begin(), routes_, known->second);
  return &*known->second;
}

void RouteTable::drop(Route& route) {
  const auto known = index_.find(route.client);
  busy_.erase(route.client);
  const auto where = known->second;
  index_.erase(known);
  routes_.erase(where);
}

RouteTable::Room RouteTable::wait(Route& route, std::vector<Message> Route::*queue, const EntryMessage& entry,
                                  Time now) {
  Message message(entry, now);
  const std::size_t messages = route.returned.size() + route.waiting.size();
  if (messages >= limits_.route_messages_max || route.waiting_bytes + message.bytes() > limits_.route_bytes_max) {
    return Room::no;
  }
  route.waiting_bytes += message.bytes();
  (route.*queue).push_back(std::move(message));
  return Room::yes;
}

}  // namespace wsr
