// The Directory, Rosters, Rates and Bus that a shard (or the Keeper) sees: each call is carried to the hub, tagged with
// who asks.
//
// On the hub's own thread a call is made at once, from another thread through the hub's inlet. Answers come later in
// either case. A batch for another shard of the same server never reaches the bus.
//
// Thread-safety: one object a caller, on the caller's thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "core/routing/ports.hpp"

namespace wsr::net {

class Hub;

enum class Place : std::uint8_t { hub_thread, other_thread };

class HubDirectory final : public Directory {
public:
  HubDirectory(Hub& hub, std::uint8_t tag, Place place) : hub_(hub), tag_(tag), place_(place) {}
  void claim(Ticket ticket, const ClaimRequest& request) override;
  void release(Ticket ticket, const ClientId& client, const Attachment& at) override;
  void lookup(Ticket ticket, const ClientId& client) override;
  void page(Ticket ticket, std::string_view cursor, std::uint32_t count) override;
  void counts(Ticket ticket) override;
  void held(Ticket ticket, const ServerId& server, std::string_view cursor, std::uint32_t count) override;
  void missing(Ticket ticket, const Held& expected) override;
  void renew(Ticket ticket, const ServerId& server, const ServerInfo& info, std::chrono::milliseconds lease) override;
  void resign(Ticket ticket, const ServerId& server) override;
  void servers(Ticket ticket) override;
  void sweep(Ticket ticket, const ServerId& dead, const ServerId& by) override;

private:
  Hub& hub_;
  std::uint8_t tag_;
  Place place_;
};

class HubRosters final : public Rosters {
public:
  HubRosters(Hub& hub, std::uint8_t tag, Place place) : hub_(hub), tag_(tag), place_(place) {}
  void join(Ticket ticket, const JoinRequest& request) override;
  void leave(Ticket ticket, const LeaveRequest& request) override;
  void drop(Ticket ticket, const RoomName& room, const ClientId& client, const Attachment& at) override;
  void page(Ticket ticket, const RoomName& room, std::string_view cursor, std::uint32_t count) override;
  void info(Ticket ticket, const RoomName& room) override;
  void find(Ticket ticket, const RoomName& room, const ClientId& client) override;
  void rooms(Ticket ticket, std::string_view cursor, std::uint32_t count) override;

private:
  Hub& hub_;
  std::uint8_t tag_;
  Place place_;
};

class HubRates final : public Rates {
public:
  HubRates(Hub& hub, std::uint8_t tag, Place place) : hub_(hub), tag_(tag), place_(place) {}
  void take(Ticket ticket, const RateKey& key, const RateLimit& limit) override;

private:
  Hub& hub_;
  std::uint8_t tag_;
  Place place_;
};

class HubBus final : public Bus {
public:
  HubBus(Hub& hub, std::uint8_t tag, Place place) : hub_(hub), tag_(tag), place_(place) {}
  void publish(Ticket ticket, const Channel& channel, std::string payload) override;
  void subscribe(Ticket ticket, const Channel& channel, Match match) override;
  void unsubscribe(Ticket ticket, const Channel& channel, Match match) override;
  void resubscribe() override;

private:
  Hub& hub_;
  std::uint8_t tag_;
  Place place_;
};

}  // namespace wsr::net
