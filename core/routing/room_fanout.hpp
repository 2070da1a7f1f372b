// RoomFanout: messages into rooms, and what a room's channel brings to the connections of this shard.
//
//   push ─▶ published on the room's channel ─▶ every server with a member ─▶ its shards ─▶ outboxes
//     ▲         │ receivers                                │
//     └─ servers, connections ◀── EntryRoomReceipt ────────┘   (only if the sender wants to know)
//
// How many receipts are to come PUBLISH tells, and it counts servers that are dead or stand still. So when some are
// missing after `patience`, the roster is asked which servers have members: only those that hold their lease are waited
// for.
//
// All members, also those of the sender's own shard, get messages and presence events from the channel, so all see one
// order (G7). A message is encoded once a shard and its bytes are shared by all outboxes. At most once (G6): a push
// that the store has not answered is not repeated.
//
// What is heard twice is delivered once, and presence events that no roster can have made are dropped: with --bus-key
// whoever can only PUBLISH repeats nothing and breaks no room.
//
// A roster with more than presence_events_max clients speaks in counts: at most one each presence_count_every.
//
// Thread-safety: none; part of one Router. Bounds: pushes that wait for their receipts: room_flows_max.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "core/routing/delivery.hpp"
#include "core/routing/room.hpp"
#include "core/routing/room_channels.hpp"
#include "core/routing/room_flow.hpp"
#include "core/wire/room_envelope.hpp"

namespace wsr {

class RoomFanout {
public:
  /// `tell`: an entry for another shard, never for this one.
  using Tell = std::function<void(const ShardAddress& to, const Entry& entry)>;

  /// When a server's lease ends, as far as is known.
  using LeasedUntil = std::function<std::optional<Time>(const ServerId&)>;

  RoomFanout(RouterContext& context, Delivery& delivery, RoomChannels& channels, RoomFlow& flow, Tell tell,
             LeasedUntil leased_until)
      : context_(context),
        delivery_(delivery),
        channels_(channels),
        flow_(flow),
        tell_(std::move(tell)),
        leased_until_(std::move(leased_until)) {}

  /// Publishes what was admitted.
  void push(const Utterance& utterance);
  void on_published(std::uint64_t number, const Published& published);
  void on_receipt(const ShardAddress& from, const EntryRoomReceipt& receipt);
  /// Who has members in the room of a push whose receipts have not all come.
  void on_info(std::uint64_t number, const RoomInfo& info);
  void on_server_gone(const ServerId& server);

  /// What the channel of `room` brought; `parts`: shards of this server that get it.
  void on_event(std::string_view room, std::string_view bytes, std::uint32_t parts);

  void watch(const RoomName& room);
  void unwatch(const RoomName& room);
  /// The channel stands, or cannot: the watchers that wait are told.
  void on_channel(const LocalRoom& room, Errc result);

  void on_time();
  [[nodiscard]] std::optional<Time> next_deadline() const;

private:
  struct Pushed {
    ConnId conn;
    Ticket ticket;
    std::string id;
    std::string room;
    Wait wait = Wait::not_at_all;
    bool is_published = false;
    std::uint64_t receivers = 0;  // servers, as the bus counts them
    struct Answering {
      ServerId server;
      std::uint32_t parts_left = 0;
      std::uint64_t connections = 0;
    };
    std::vector<Answering> answering;
    std::uint64_t complete = 0;  // servers of whom all parts have come
    /// Servers to be waited for, as the roster and the registry say; none: as many as `receivers`.
    std::optional<std::vector<ServerId>> expected;
    Time deadline{}, ask_at{};
    [[nodiscard]] bool is_answered_by(const ServerId& server) const;
  };
  static constexpr Duration patience = std::chrono::milliseconds{100};  // a receipt takes two hops: a few milliseconds
  struct Numbering {
    std::uint64_t base = 0;
    std::uint64_t next = 0;
  };
  static constexpr std::size_t numberings_max = 65'536;  // rooms pushed into; past it numbering begins anew

  [[nodiscard]] Numbering& numbering(std::string_view room);
  void end_if_complete(std::uint64_t number);
  [[nodiscard]] static RoomPushed sum_of(const Pushed& pushed);
  void finish(std::uint64_t number, const RoomPushed& done);
  void take(LocalRoom* room, std::string_view name, const RoomMessage& message, std::uint32_t parts);
  void take(LocalRoom& room, const PresenceEvent& event);
  /// Gives text_ to all connections here that `message` is for; how many took it. Topic::answer: it is about the
  /// message, and not the message.
  [[nodiscard]] std::uint64_t give(LocalRoom& room, const RoomMessage& message, const ShardAddress& sender,
                                   Topic topic);
  void tell_count(LocalRoom& room, std::uint64_t size, std::uint64_t version);
  /// False: it has been heard before. Its sender's shard numbers what it publishes in a room and never repeats it.
  [[nodiscard]] bool note_heard(LocalRoom& room, const RoomMessage& message, const ShardAddress& sender);
  /// Far above the store's clock there is no version: the event was not published by a roster.
  [[nodiscard]] bool is_believable(const PresenceEvent& event) const;
  void tell_presence(LocalRoom& room, std::string_view event, std::string_view client, std::uint64_t size,
                     std::uint64_t version);

  RouterContext& context_;
  Delivery& delivery_;
  RoomChannels& channels_;
  RoomFlow& flow_;
  Tell tell_;
  LeasedUntil leased_until_;
  std::unordered_map<std::uint64_t, Pushed> pushes_;
  std::set<std::pair<Time, std::uint64_t>> deadlines_;
  std::set<std::pair<Time, std::uint64_t>> impatient_;  // when to ask the roster
  std::uint64_t last_ = 0;
  TextMap<Numbering> numberings_;
  std::string text_;  // a message being encoded
};

}  // namespace wsr
