// redis::Rosters: who is in which room.
//
// The roster of a room is one slot, and each change of it one script that publishes the presence event as well. Three
// other places name what stands there, each in a slot of its own, all in the pipeline of the same turn:
//
//   {s:SERVER}:rooms  what a server holds, for its sweep              written before the roster, a superset of it
//   {c:CLIENT}:rooms  where a client's attachments are, for a claim   written before the roster
//   rooms             names of rooms, for RoomsCall                   written before the roster, a superset of it
//
// One server's calls reach all slots in the order of the calls, so its own attachments are named exactly. Only a
// leave may cross another server's join, as it removes what others hold. So what removes a name on such a guess
// looks at the roster afterwards and puts the name back if it must stand (recheck, unlist).
//
// memberships_max is a soft bound here, as owners_max (directory.hpp): each server goes by the sum of all indexes as of
// its last ServersCall, plus what it added since. Here a further attachment of a client counts as well; it is never
// refused.
//
// Joins and drops of one turn are carried out together: a client that reconnects joins a thousand rooms, and what names
// them is written in a handful of commands. Each room still has a script of its own. A join that replaces older
// attachments saves their server the way there: what is no longer noted at the client is not in a roster either, so
// its drop asks once for all rooms.
//
// Thread-safety: none.
// Order:         answers come in the order of the calls, except those of RoomsCall. A turn's joins, or its drops, wait
//                for the next call of another kind, or for flush().
// Cost:          join and leave are one round trip, a drop two; what is cleaned up behind a leave goes on after its
//                answer. A room costs 5 commands in the store when its client reconnects (7 to another server), and a
//                turn's joins of one client a handful more.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "core/redis/answer_order.hpp"
#include "core/redis/cluster_view.hpp"
#include "core/redis/connection.hpp"
#include "core/redis/keys.hpp"

namespace wsr::redis {

class Rosters {
public:
  static constexpr std::uint32_t page_max = 1'000;  // what one script may read

  Rosters(Connection& connection, const Options& options, const Keys& keys, ClusterView& view, AnswerSink& answers)
      : connection_(connection), options_(options), keys_(keys), view_(view), answers_(answers), order_(answers) {}

  /// The end of a turn.
  void flush();
  void call(Ticket ticket, JoinCall&& request);
  void call(Ticket ticket, const LeaveCall& request);
  void call(Ticket ticket, DropCall&& drop);
  void call(Ticket ticket, const RosterPageCall& asked);
  void call(Ticket ticket, const RoomInfoCall& asked);
  void call(Ticket ticket, const FindCall& asked);
  void call(Ticket ticket, const RoomsCall& asked);

private:
  struct PendingJoin {
    std::uint64_t place;
    JoinCall request;
  };
  struct PendingDrop {
    std::uint64_t place;
    RoomName room;
    ClientId client;
    Attachment at;
  };
  struct JoinGroup;
  static constexpr std::size_t group_max = 500;  // rooms named in one command
  void flush_joins();
  void flush_drops();
  void join_rooms(std::span<const PendingJoin> joins);
  void on_room_joined(const std::shared_ptr<JoinGroup>& group, std::size_t index, const Reply& reply);
  void end_joins(const JoinGroup& group);
  void drop_rooms(std::span<const PendingDrop> drops);
  void drop_room(const PendingDrop& drop);

  struct Recheck;
  struct RoomListing;

  void eval_room(const Script& script, const RoomName& room, std::initializer_list<std::string_view> args,
                 Callback callback);
  /// The same, with what is remembered of the client's last leave.
  void eval_stay(const Script& script, const RoomName& room, const ClientId& client,
                 std::initializer_list<std::string_view> args, Callback callback);
  void undo_join(const JoinCall& request);
  /// After leave(): the entries of what was removed, and a look at what a join that crossed it has brought.
  void clean_up(const LeaveCall& request, const std::vector<Attachment>& removed);
  void recheck(const std::shared_ptr<Recheck>& recheck);
  /// Takes a name out of the list of rooms, and puts it back if the room is there again.
  void unlist(const RoomName& room);
  void list_rooms(const std::shared_ptr<RoomListing>& listing);
  void end_listing(const std::shared_ptr<RoomListing>& listing, Errc result);

  Connection& connection_;
  const Options& options_;
  const Keys& keys_;
  ClusterView& view_;
  AnswerSink& answers_;
  AnswerOrder order_;
  std::vector<PendingJoin> joins_;  // of this turn; one of the two is empty
  std::vector<PendingDrop> drops_;
};

}  // namespace wsr::redis
