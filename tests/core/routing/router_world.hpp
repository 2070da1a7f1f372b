// One router with recorded ports: what it asks, and what its clients read.
#pragma once

#include <array>
#include <catch2/catch.hpp>
#include <deque>
#include <map>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "core/base/overload.hpp"
#include "core/routing/router.hpp"
#include "core/wire/ws_frame.hpp"
#include "tests/support/fake_ports.hpp"

namespace wsr::test {

using namespace std::chrono_literals;

inline const ClientId ada = ClientId::trusted("ada");
inline const ClientId bob = ClientId::trusted("bob");
inline const ServerId me = ServerId::trusted("a~1");
inline const ServerId other = ServerId::trusted("b~1");

struct World : Store, QuietServer {
  explicit World(RouterOptions options = defaults()) : router(options, Router::Ports{*this, *this, *this, *this}) {}
  static RouterOptions defaults() {
    RouterOptions options;
    options.self = {me, 0};
    return options;
  }

  void call(Ticket t, StoreCall&& call) override {
    std::visit(Overload{
                   [&](ClaimCall& claim) { claims.emplace_back(t, std::move(claim)); },
                   [&](ReleaseCall& release) { releases.emplace_back(t, std::move(release.at)); },
                   [&](LookupCall& lookup) { lookups.emplace_back(t, std::move(lookup.client)); },
                   [&](HeldCall&) { helds.push_back(t); },
                   [&](MissingCall& missing) { verified.emplace_back(t, std::move(missing.expected)); },
                   [&](PublishCall& publish) {
                     publishes.push_back({t, std::move(publish.channel.name), std::move(publish.payload)});
                   },
                   [&](SubscribeCall&) { subscribes.push_back(t); },
                   [&](UnsubscribeCall& unsubscribe) { unsubscribed.push_back(std::move(unsubscribe.channel.name)); },
                   [&](JoinCall& join) {
                     joins.push_back(t);
                     join_requests.push_back(std::move(join));
                   },
                   [&](LeaveCall& leave) {
                     leaves.push_back(t);
                     leave_requests.push_back(std::move(leave));
                   },
                   [&](DropCall& drop) { dropped.push_back(std::move(drop.at)); },
                   [&](FindCall&) { finds.push_back(t); },
                   Ignored<OwnerPageCall, CountsCall, RenewCall, ResignCall, ServersCall, SweepCall, ResubscribeCall,
                           RosterPageCall, RoomInfoCall, RoomsCall, TakeCall>{},
               },
               call);
  }
  void wake(ConnId conn) override { woken.push_back(conn); }
  void close(ConnId conn, std::uint16_t code, std::string_view) override { closed.emplace_back(conn, code); }
  Time now() const override { return time; }
  StoreTime store_now() const override {
    return StoreTime{std::chrono::duration_cast<std::chrono::microseconds>(time.time_since_epoch())};
  }
  void on_sent(Ticket ticket, const Sent& word) override { sent[ticket.value].push_back(word); }
  void on_owned(ConnId, Errc result, std::string_view) override { owned.push_back(result); }

  ConnId connect(const ClientId& client, Framing framing = Framing::websocket) {
    const auto conn = router.open(client, framing);
    REQUIRE(conn.has_value());
    router.on_answer(claims.back().first, Claimed{Errc::ok, Epoch{++epochs}, {}, {}, {}});
    return *conn;
  }
  /// All that waits for a connection, as the texts of its frames.
  std::vector<std::string> read(ConnId conn) {
    Outbox* outbox = router.outbox(conn);
    if (outbox == nullptr) return {};
    std::string bytes;
    std::array<std::string_view, 64> pieces;
    while (!outbox->is_empty()) {
      std::size_t taken = 0;
      const std::size_t count = outbox->gather(pieces);
      for (std::size_t i = 0; i < count; ++i) {
        bytes.append(pieces[i]);
        taken += pieces[i].size();
      }
      outbox->taken(taken);
    }
    std::vector<std::string> texts;
    WsParser parser(WsRole::client, 1 << 20);
    for (std::span<char> rest(bytes); !rest.empty();) {
      const auto event = parser.next(rest);
      if (event.kind == WsEvent::Kind::need_more) break;
      REQUIRE(event.kind == WsEvent::Kind::text);
      texts.emplace_back(event.payload);
      rest = rest.subspan(event.consumed);
    }
    return texts;
  }
  /// What the other server's shard says to us in one batch.
  void hear(const std::vector<Entry>& entries) {
    BatchWriter batch(other.view(), 0, 0, 1, next_seq);
    for (const auto& entry : entries) batch.add(entry);
    next_seq += entries.size();
    router.on_batch(me.view(), batch.finish({}, me.view(), 0ms));
    router.end_turn();
  }
  std::vector<Entry> said(std::size_t publish) {
    kept.push_back(publishes.at(publish).payload);
    auto decoded = decode_batch(kept.back(), {}, publishes.at(publish).channel, 0ms);
    REQUIRE(std::holds_alternative<Batch>(decoded));
    return std::get<Batch>(decoded).entries;
  }
  void found(const ServerId& server, std::uint16_t shard = 0) { found({ShardAddress{server, shard}}); }
  void found(const std::vector<ShardAddress>& shards) {
    REQUIRE_FALSE(lookups.empty());
    const auto [ticket, client] = lookups.back();
    lookups.pop_back();
    Owners owners{Errc::ok, {}};
    for (const auto& [server, shard] : shards) {
      owners.rows.push_back(OwnerRow{client, {server, shard, ConnId{5}}, Epoch{1}, {}});
    }
    router.on_answer(ticket, std::move(owners));
    router.end_turn();
  }
  /// The directory answers a claim of `client`, who is in the room: its join has been asked for.
  ConnId connect_into(const ClientId& client, const RoomName& room) {
    const auto conn = router.open(client, Framing::websocket);
    router.on_answer(claims.back().first, Claimed{Errc::ok, Epoch{++epochs}, {}, {}, {room}});
    router.on_answer(subscribes.back(), Subscribed{});
    router.end_turn();
    REQUIRE_FALSE(joins.empty());
    return *conn;
  }
  void tell(const RoomName& room, const PresenceEvent& event) {
    router.on_room_event(room.view(), encode_presence(event), 1);
    router.end_turn();
  }
  /// Does a message that the other server publishes into the room come to this connection?
  bool hears(const RoomName& room, ConnId conn) {
    RoomMessage message;
    message.from_server = other.view();
    message.from = "bob";
    message.data = "1";
    router.on_room_event(room.view(), encode_room_message(message, {}, room.view(), 0ms), 1);
    router.end_turn();
    return !read(conn).empty();
  }
  void pass(Duration duration) {
    const Time end = time + duration;
    while (router.next_deadline() && *router.next_deadline() <= end) {
      time = std::max(time, *router.next_deadline());
      router.on_time();
      router.end_turn();
    }
    time = end;
  }

  struct Publish {
    Ticket ticket;
    std::string channel;
    std::string payload;
  };
  Time time{1s};
  std::vector<std::pair<Ticket, ClaimCall>> claims;
  std::vector<std::pair<Ticket, Attachment>> releases;
  std::vector<Ticket> helds, finds;
  std::vector<std::pair<Ticket, Held>> verified;
  std::vector<std::string> unsubscribed;
  std::vector<Ticket> subscribes, joins, leaves;
  std::vector<JoinCall> join_requests;
  std::vector<LeaveCall> leave_requests;
  std::vector<Attachment> dropped;
  std::vector<std::pair<Ticket, ClientId>> lookups;
  std::vector<Publish> publishes;
  std::deque<std::string> kept;
  std::vector<ConnId> woken;
  std::vector<std::pair<ConnId, std::uint16_t>> closed;
  std::map<std::uint64_t, std::vector<Sent>> sent;
  std::vector<Errc> owned;
  std::uint64_t epochs = 0;
  std::uint64_t next_seq = 1;
  Router router;
};

}  // namespace wsr::test
