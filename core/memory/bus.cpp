#include "core/memory/bus.hpp"

namespace wsr::memory {
namespace {

template <class Map>
void erase_from(Map& map, const std::string& name, SubscriberId subscriber) {
  const auto found = map.find(name);
  if (found == map.end()) return;
  found->second.erase(subscriber);
  if (found->second.empty()) map.erase(found);
}

}  // namespace

void ChannelMap::subscribe(SubscriberId subscriber, const Channel& channel, Match match) {
  const std::size_t kind = index_of(channel.kind);
  (match == Match::exact ? exact_[kind][channel.name] : patterns_[kind][channel.name]).insert(subscriber);
  held_[subscriber].emplace(channel, match);
}

void ChannelMap::unsubscribe(SubscriberId subscriber, const Channel& channel, Match match) {
  const auto held = held_.find(subscriber);
  if (held == held_.end() || held->second.erase({channel, match}) == 0) return;
  if (held->second.empty()) held_.erase(held);
  if (match == Match::exact) {
    erase_from(exact_[index_of(channel.kind)], channel.name, subscriber);
  } else {
    erase_from(patterns_[index_of(channel.kind)], channel.name, subscriber);
  }
}

void ChannelMap::forget(SubscriberId subscriber) {
  const auto held = held_.find(subscriber);
  if (held == held_.end()) return;
  const auto subscriptions = held->second;
  for (const auto& [channel, match] : subscriptions) unsubscribe(subscriber, channel, match);
}

}  // namespace wsr::memory
