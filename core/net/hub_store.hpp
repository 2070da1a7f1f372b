// HubStore: the store as one shard (or the Keeper) sees it: each call is carried to the hub, tagged with who asks.
//
// On the hub's own thread a call is made at once, from another thread through the hub's inlet. Answers come later in
// either case. What is for another shard of the same server does not even go by the hub (LocalFirst::hand_over()).
//
// Thread-safety: one object a caller, on the caller's thread.
#pragma once

#include <cstdint>

#include "core/store/store.hpp"

namespace wsr::net {

class Hub;

enum class Place : std::uint8_t { hub_thread, other_thread };

class HubStore final : public Store {
public:
  HubStore(Hub& hub, std::uint8_t tag, Place place) : hub_(hub), tag_(tag), place_(place) {}
  void call(Ticket ticket, StoreCall&& call) override;

private:
  Hub& hub_;
  std::uint8_t tag_;
  Place place_;
};

}  // namespace wsr::net
