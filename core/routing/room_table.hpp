// RoomTable: the rooms that this shard has to do with, and which of its connections are in them.
//
//   nobody ──first user──▶ asked ──subscribed──▶ held ──last user gone──▶ lingering ──room_linger over──▶ nobody
//                                                 ▲                          │ a user again
//                                                 └──────────────────────────┘
//
// A user is a member, a join under way, or a watcher. The table decides nothing: it is what RoomFlow keeps its
// knowledge in. A room's number is its place; places are reused, a room is found only while it lives.
//
// Thread-safety: none; part of one Router.
// Bounds:        rooms: those of the shard's connections (rooms_per_client_max each) and those that linger.
// Cost:          add: O(1). remove and find of a member: O(members here).
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string_view>
#include <vector>

#include "core/base/ids.hpp"
#include "core/base/time.hpp"
#include "core/routing/session_table.hpp"
#include "core/routing/text_map.hpp"

namespace wsr {

struct RoomMember {
  ConnId conn;
  /// The roster's version at which it had joined last: an end of its stay up to it is over. 0: the join is under way.
  std::uint64_t joined_version = 0;
  /// The roster's version at which its stay began: events up to it are no news to it. A second join names nobody, so
  /// what is under way then is still news.
  std::uint64_t known_version = 0;
  /// Up to here an answer, or a frame that stands for one, has told it of its own stays.
  std::uint64_t told_version = 0;
  std::uint64_t holder = 0;               // the oldest join under way that holds back what comes; 0 once it is in
  std::vector<std::uint64_t> joins = {};  // that were asked for it, oldest first; some may be over
  std::uint64_t leaving = 0;              // the latest leave that was asked for it, under way or not
  std::uint64_t answered = 0;             // the newest version that an answer to one of the joins under way has named
  std::uint64_t left_version = 0;         // of an end of its client's stay that came while the join was under way
  bool is_swept = false;                  // that end was a sweep
  bool is_due = false;                    // the store did not answer its join: it is to be asked again
  bool is_untold = false;                 // its client does not know yet that it is in again
  bool wants_presence = true;
};

struct LocalRoom {
  enum class Channel : std::uint8_t { none, asked, held, refused };

  std::uint32_t number = 0;
  RoomName name;
  Channel channel = Channel::none;
  std::vector<RoomMember> members;
  std::uint32_t watchers = 0;
  std::vector<std::uint64_t> waiting;  // flows that begin once the channel is held
  std::uint64_t size = 0;              // of the roster, the newest that is known here
  std::uint64_t version = 0;
  std::uint64_t told_version = 0;                       // the newest that the members here have been told of
  std::optional<Time> count_at;                         // then they are told a count, if there is more to tell by then
  std::uint64_t awaited_version = 0, awaited_size = 0;  // what was known when that was arranged
  std::optional<Time> linger_at;                        // nobody is here; unsubscribed then

  /// How far each sender's shard has got in this room, to notice what was missed. A handful: senders, not members.
  struct Heard {
    ShardAddress sender;
    std::uint64_t base = 0;
    std::uint64_t next = 0;
  };
  std::vector<Heard> heard;
  /// The one first heard goes: then a gap may stay unseen, and a message that somebody has recorded may come again for
  /// as long as its signature is good.
  static constexpr std::size_t heard_max = 256;
  StoreTime held_since{};  // of the channel: what was signed long before is a repetition

  [[nodiscard]] bool is_used() const { return !members.empty() || watchers != 0 || !waiting.empty(); }
  [[nodiscard]] RoomMember* find(ConnId conn);
};

class RoomTable {
public:
  [[nodiscard]] LocalRoom* find(std::string_view name);
  [[nodiscard]] LocalRoom* at(std::uint32_t number);
  /// The room, made if it is new here.
  [[nodiscard]] LocalRoom& make(const RoomName& name);
  void forget(LocalRoom& room);

  /// REQUIRES: the session is not in the room.
  RoomMember& add(LocalRoom& room, Session& session);
  /// Nothing happens if it is not in the room.
  void remove(LocalRoom& room, Session& session);

  [[nodiscard]] std::size_t size() const { return by_name_.size(); }
  [[nodiscard]] std::size_t memberships() const { return memberships_; }
  [[nodiscard]] std::uint32_t end() const { return static_cast<std::uint32_t>(rooms_.size()); }

private:
  std::deque<std::optional<LocalRoom>> rooms_;  // a deque: rooms never move
  std::vector<std::uint32_t> free_;
  TextMap<std::uint32_t> by_name_;
  std::size_t memberships_ = 0;
};

}  // namespace wsr
