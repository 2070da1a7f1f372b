#include "core/net/subscriptions.hpp"

#include <utility>

namespace wsr::net {

Subscriptions::Added Subscriptions::add(Topic topic, ChannelHandler handler) {
  const SubscriptionId id = ++last_;
  auto& listeners = topics_[topic];
  listeners.emplace(id, std::make_shared<const ChannelHandler>(std::move(handler)));
  const bool is_first = listeners.size() == 1;
  by_id_.emplace(id, std::move(topic));
  return {id, is_first};
}

std::optional<Subscriptions::Topic> Subscriptions::remove(SubscriptionId id) {
  const auto found = by_id_.find(id);
  if (found == by_id_.end()) return std::nullopt;
  auto topic = std::move(found->second);
  by_id_.erase(found);
  const auto listeners = topics_.find(topic);
  listeners->second.erase(id);
  if (!listeners->second.empty()) return std::nullopt;
  topics_.erase(listeners);
  return topic;
}

void Subscriptions::deliver(std::string_view channel, std::string_view pattern, std::string_view payload) {
  const Topic topic{pattern.empty() ? Match::exact : Match::pattern, std::string(pattern.empty() ? channel : pattern)};
  const auto found = topics_.find(topic);
  if (found == topics_.end()) return;
  const Listeners listeners = found->second;  // handlers may change the table
  for (const auto& [id, handler] : listeners) {
    if (by_id_.contains(id)) (*handler)(channel, payload);
  }
}

}  // namespace wsr::net
