// Subscriptions: who in this process listens to which application channels, counted per channel.
//
// The bus is asked once for the first subscriber of a channel and once after the last; handlers may add and remove
// subscriptions while they are called.
//
// Thread-safety: none; the hub's thread.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "core/routing/ports.hpp"

namespace wsr::net {

using SubscriptionId = std::uint64_t;  // 0: none
using ChannelHandler = std::function<void(std::string_view channel, std::string_view payload)>;

class Subscriptions {
public:
  struct Topic {
    Match match = Match::exact;
    std::string name;  // or pattern
    auto operator<=>(const Topic&) const = default;
  };
  struct Added {
    SubscriptionId id = 0;
    bool is_first = false;  // of its topic: subscribe on the bus
  };

  Added add(Topic topic, ChannelHandler handler);
  /// The topic, if nobody listens to it any more: unsubscribe on the bus.
  std::optional<Topic> remove(SubscriptionId id);
  void deliver(std::string_view channel, std::string_view pattern, std::string_view payload);

private:
  using Listeners = std::map<SubscriptionId, std::shared_ptr<const ChannelHandler>>;
  std::map<Topic, Listeners> topics_;
  std::map<SubscriptionId, Topic> by_id_;
  SubscriptionId last_ = 0;
};

}  // namespace wsr::net
