// One router with recorded ports: what it asks, and what its clients read.
#pragma once

#include <array>
#include <catch2/catch.hpp>
#include <deque>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "core/routing/router.hpp"
#include "core/wire/ws_frame.hpp"

namespace wsr::test {

using namespace std::chrono_literals;

inline const ClientId ada = ClientId::trusted("ada");
inline const ClientId bob = ClientId::trusted("bob");
inline const ServerId me = ServerId::trusted("a~1");
inline const ServerId other = ServerId::trusted("b~1");

struct World : Directory, Bus, Rosters, Rates, Connections, Clock, Application {
  explicit World(RouterOptions options = defaults())
      : router(options, Router::Ports{*this, *this, *this, *this, *this, *this, *this}) {}
  static RouterOptions defaults() {
    RouterOptions options;
    options.self = {me, 0};
    return options;
  }

  void claim(Ticket t, const ClaimRequest& request) override { claims.emplace_back(t, request); }
  void release(Ticket t, const ClientId&, const Attachment& at) override { releases.emplace_back(t, at); }
  void lookup(Ticket t, const ClientId& client) override { lookups.emplace_back(t, client); }
  void page(Ticket, std::string_view, std::uint32_t) override {}
  void counts(Ticket) override {}
  void held(Ticket t, const ServerId&, std::string_view, std::uint32_t) override { helds.push_back(t); }
  void missing(Ticket t, const Held& expected) override { verified.emplace_back(t, expected); }
  void renew(Ticket, const ServerId&, const ServerInfo&, std::chrono::milliseconds) override {}
  void resign(Ticket, const ServerId&) override {}
  void servers(Ticket) override {}
  void sweep(Ticket, const ServerId&, const ServerId&) override {}
  void publish(Ticket t, const Channel& channel, std::string payload) override {
    publishes.push_back({t, channel.name, std::move(payload)});
  }
  void subscribe(Ticket t, const Channel&, Match) override { subscribes.push_back(t); }
  void unsubscribe(Ticket, const Channel& channel, Match) override { unsubscribed.push_back(channel.name); }
  void resubscribe() override {}
  void join(Ticket t, const JoinRequest& request) override {
    joins.push_back(t);
    join_requests.push_back(request);
  }
  void leave(Ticket t, const LeaveRequest& request) override {
    leaves.push_back(t);
    leave_requests.push_back(request);
  }
  void drop(Ticket, const RoomName&, const ClientId&, const Attachment& at) override { dropped.push_back(at); }
  void page(Ticket, const RoomName&, std::string_view, std::uint32_t) override {}
  void info(Ticket, const RoomName&) override {}
  void find(Ticket t, const RoomName&, const ClientId&) override { finds.push_back(t); }
  void rooms(Ticket, std::string_view, std::uint32_t) override {}
  void take(Ticket, const RateKey&, const RateLimit&) override {}
  void on_room_done(Ticket, const RoomDone&) override {}
  void on_pushed(Ticket, const RoomPushed&) override {}
  void on_watching(const RoomName&, Errc) override {}
  void on_room_message(const RoomName&, std::string_view, std::string_view) override {}
  void on_room_presence(const RoomName&, const RoomPresence&) override {}
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
  std::vector<std::pair<Ticket, ClaimRequest>> claims;
  std::vector<std::pair<Ticket, Attachment>> releases;
  std::vector<Ticket> helds, finds;
  std::vector<std::pair<Ticket, Held>> verified;
  std::vector<std::string> unsubscribed;
  std::vector<Ticket> subscribes, joins, leaves;
  std::vector<JoinRequest> join_requests;
  std::vector<LeaveRequest> leave_requests;
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
