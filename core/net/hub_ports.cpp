#include "core/net/hub_ports.hpp"

#include <utility>

#include "core/net/hub.hpp"

namespace wsr::net {
namespace {

Ticket tagged(std::uint8_t tag, Ticket ticket) { return Ticket{ticket.value | std::uint64_t{tag} << 56}; }

/// Makes `call` on the hub's thread, as part of its turn. A stopped hub takes no more calls: their callers stop too.
template <class Call>
void reach(Hub& hub, Place place, Call call) {
  auto run = [&hub, call = std::move(call)]() mutable {
    if (hub.is_stopped()) return;
    call(hub);
    hub.touch();
  };
  if (place == Place::hub_thread) return run();
  hub.post(std::move(run));
}

}  // namespace

void HubDirectory::claim(Ticket ticket, const ClaimRequest& request) {
  reach(hub_, place_, [ticket = tagged(tag_, ticket), request](Hub& hub) { hub.claim(ticket, request); });
}
void HubDirectory::release(Ticket ticket, const ClientId& client, const Attachment& at) {
  reach(hub_, place_, [ticket = tagged(tag_, ticket), client, at](Hub& hub) { hub.release(ticket, client, at); });
}
void HubDirectory::lookup(Ticket ticket, const ClientId& client) {
  reach(hub_, place_, [ticket = tagged(tag_, ticket), client](Hub& hub) { hub.lookup(ticket, client); });
}
void HubDirectory::page(Ticket ticket, std::string_view cursor, std::uint32_t count) {
  reach(hub_, place_, [ticket = tagged(tag_, ticket), cursor = std::string(cursor), count](Hub& hub) {
    hub.directory().page(ticket, cursor, count);
  });
}
void HubDirectory::counts(Ticket ticket) {
  reach(hub_, place_, [ticket = tagged(tag_, ticket)](Hub& hub) { hub.directory().counts(ticket); });
}
void HubDirectory::held(Ticket ticket, const ServerId& server, std::string_view cursor, std::uint32_t count) {
  reach(hub_, place_, [ticket = tagged(tag_, ticket), server, cursor = std::string(cursor), count](Hub& hub) {
    hub.directory().held(ticket, server, cursor, count);
  });
}
void HubDirectory::missing(Ticket ticket, const Held& expected) {
  reach(hub_, place_,
        [ticket = tagged(tag_, ticket), expected](Hub& hub) { hub.directory().missing(ticket, expected); });
}
void HubDirectory::renew(Ticket ticket, const ServerId& server, const ServerInfo& info,
                         std::chrono::milliseconds lease) {
  reach(hub_, place_, [ticket = tagged(tag_, ticket), server, info, lease](Hub& hub) {
    hub.directory().renew(ticket, server, info, lease);
  });
}
void HubDirectory::resign(Ticket ticket, const ServerId& server) {
  reach(hub_, place_, [ticket = tagged(tag_, ticket), server](Hub& hub) { hub.directory().resign(ticket, server); });
}
void HubDirectory::servers(Ticket ticket) {
  reach(hub_, place_, [ticket = tagged(tag_, ticket)](Hub& hub) { hub.directory().servers(ticket); });
}
void HubDirectory::sweep(Ticket ticket, const ServerId& dead, const ServerId& by) {
  reach(hub_, place_, [ticket = tagged(tag_, ticket), dead, by](Hub& hub) { hub.directory().sweep(ticket, dead, by); });
}

void HubRosters::join(Ticket ticket, const JoinRequest& request) {
  reach(hub_, place_,
        [ticket = tagged(tag_, ticket), request](Hub& hub) { hub.backend().rosters().join(ticket, request); });
}
void HubRosters::leave(Ticket ticket, const LeaveRequest& request) {
  reach(hub_, place_,
        [ticket = tagged(tag_, ticket), request](Hub& hub) { hub.backend().rosters().leave(ticket, request); });
}
void HubRosters::drop(Ticket ticket, const RoomName& room, const ClientId& client, const Attachment& at) {
  reach(hub_, place_, [ticket = tagged(tag_, ticket), room, client, at](Hub& hub) {
    hub.backend().rosters().drop(ticket, room, client, at);
  });
}
void HubRosters::page(Ticket ticket, const RoomName& room, std::string_view cursor, std::uint32_t count) {
  reach(hub_, place_, [ticket = tagged(tag_, ticket), room, cursor = std::string(cursor), count](Hub& hub) {
    hub.backend().rosters().page(ticket, room, cursor, count);
  });
}
void HubRosters::info(Ticket ticket, const RoomName& room) {
  reach(hub_, place_, [ticket = tagged(tag_, ticket), room](Hub& hub) { hub.backend().rosters().info(ticket, room); });
}
void HubRosters::find(Ticket ticket, const RoomName& room, const ClientId& client) {
  reach(hub_, place_, [ticket = tagged(tag_, ticket), room, client](Hub& hub) {
    hub.backend().rosters().find(ticket, room, client);
  });
}
void HubRosters::rooms(Ticket ticket, std::string_view cursor, std::uint32_t count) {
  reach(hub_, place_, [ticket = tagged(tag_, ticket), cursor = std::string(cursor), count](Hub& hub) {
    hub.backend().rosters().rooms(ticket, cursor, count);
  });
}

void HubRates::take(Ticket ticket, const RateKey& key, const RateLimit& limit) {
  reach(hub_, place_,
        [ticket = tagged(tag_, ticket), key, limit](Hub& hub) { hub.backend().rates().take(ticket, key, limit); });
}

void HubBus::publish(Ticket ticket, const Channel& channel, std::string payload) {
  // The Keeper's probe has to go round through the store: that is what it probes.
  if (tag_ != keeper_tag && channel.kind == ChannelKind::inbox && channel.name == hub_.self().view()) {
    return hub_.hand_over(tag_, ticket, std::move(payload));
  }
  reach(hub_, place_, [ticket = tagged(tag_, ticket), channel, payload = std::move(payload)](Hub& hub) mutable {
    hub.bus().publish(ticket, channel, std::move(payload));
  });
}
void HubBus::subscribe(Ticket ticket, const Channel& channel, Match match) {
  if (channel.kind == ChannelKind::room) {
    return reach(hub_, place_,
                 [tag = tag_, ticket = tagged(tag_, ticket), channel](Hub& hub) { hub.enter(tag, ticket, channel); });
  }
  reach(hub_, place_,
        [ticket = tagged(tag_, ticket), channel, match](Hub& hub) { hub.bus().subscribe(ticket, channel, match); });
}
void HubBus::unsubscribe(Ticket ticket, const Channel& channel, Match match) {
  if (channel.kind == ChannelKind::room) {
    return reach(hub_, place_,
                 [tag = tag_, ticket = tagged(tag_, ticket), channel](Hub& hub) { hub.exit(tag, ticket, channel); });
  }
  reach(hub_, place_,
        [ticket = tagged(tag_, ticket), channel, match](Hub& hub) { hub.bus().unsubscribe(ticket, channel, match); });
}
void HubBus::resubscribe() {
  reach(hub_, place_, [](Hub& hub) { hub.bus().resubscribe(); });
}

}  // namespace wsr::net
