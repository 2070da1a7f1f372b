// RoomFlow: clients of this shard into their rooms and out again, and what is asked for clients elsewhere.
//
//   join:   allowed? ─▶ channel held ─▶ roster.join ─▶ ok: member, answered ─▶ what came meanwhile
//   leave:  allowed? ─▶ roster.leave ─▶ ok: no member any more, answered
//
// With several devices a client joins and leaves with all of them: the connection that carries a join out brings in the
// others, each with the version since which the client is in, and a leave removes them all. A server that did not hear
// of that leave asserts its device again; the store remembers, and answers that the client has left.
//
//   close:  members here end at once ─▶ claim released ─▶ reconnect_grace ─▶ roster.drop
//   claim:  the client was in rooms ─▶ join each ─▶ welcome, and only then 4009 to the old connection
//
// A connection hears a room before the roster lists it, and as long as the roster lists it (G8): it is added here
// before roster.join is asked, and removed here only when roster.leave is answered. What comes before the join's answer
// is held back until then, so that a client never hears a room that it is not in.
//
// The roster is the truth, and this shard follows it: a leave event for a client that is a member here, later than its
// join, ends its membership; a `swept` event (this server was taken for dead) makes it join again.
//
// For a client elsewhere the command goes to its owner's shard and is carried out there (EntryRoomCommand).
//
// In two files: room_joins.cpp has the joins and what they hold back, room_flow.cpp the rest.
//
// Thread-safety: none; part of one Router.
// Bounds:        room_flows_max under way: above, `capacity`. What the store did not take is kept and asked again once
// a
//                second: the drops, one for each room of each connection that is gone, the joins of clients that have
//                been told that they are in, and where the other devices are, for each room of each client.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/routing/admission.hpp"
#include "core/routing/delivery.hpp"
#include "core/routing/room.hpp"
#include "core/routing/room_channels.hpp"
#include "core/wire/client_protocol.hpp"

namespace wsr {

class RoomFlowEvents {
public:
  virtual ~RoomFlowEvents() = default;
  /// An entry for another shard; never for this one.
  virtual void tell(const ShardAddress& to, const Entry& entry) = 0;
  /// The client is back in its rooms: it may be welcomed. `displaced` can go now.
  virtual void on_restored(Session& session, const std::vector<Attachment>& displaced) = 0;
};

class RoomFlow {
public:
  RoomFlow(RouterContext& context, Delivery& delivery, Admission& admission, RoomChannels& channels,
           RoomFlowEvents& events)
      : context_(context), delivery_(delivery), admission_(admission), channels_(channels), events_(events) {}

  // ---- a client's own commands
  void join(Session& session, const Command& command);
  void leave(Session& session, const Command& command);
  void members(Session& session, const Command& command);

  // ---- the application's, for a client anywhere
  void join(Ticket ticket, const RoomName& room, const ClientId& client);
  void leave(Ticket ticket, const RoomName& room, const ClientId& client);

  // ---- what becomes of connections
  /// The connection's claim is held, and the client is in these rooms: on_restored() follows, at the latest after
  /// restore_max.
  void restore(Session& session, const std::vector<RoomName>& rooms, std::vector<Attachment> displaced);
  /// on_restored() is still to come.
  [[nodiscard]] bool is_restoring(ConnId conn) const { return restores_.contains(conn); }
  /// The claim was asserted again, with its new epoch: so are the memberships.
  void reassert(Session& session);
  /// The client is in these rooms, says the store, and with several devices this one is, too: it may have been deaf
  /// when another joined.
  void follow(Session& session, const std::vector<RoomName>& rooms);
  void on_closed(Session& session);
  /// The store lists this attachment of ours in the room: drops it if nobody stands for it. True if so.
  bool take_back(const RoomName& room, const ClientId& client, const Attachment& at);
  /// The rooms that the store has this connection in, as far as this shard knows.
  void add_places(const Session& session, std::vector<wsr::Held::Place>& places);
  /// The store has lost its place in this room: it joins again.
  void put_back(Session& session, const RoomName& room);
  /// Its release was answered, or given up.
  void on_released(ConnId conn, Errc result);
  void on_store_up();

  // ---- answers
  void on_joined(std::uint64_t number, const Joined& joined);
  void on_left(std::uint64_t number, const Left& left);
  void on_dropped(std::uint64_t number, const Left& left);
  void on_owners(std::uint64_t number, const Owners& owners);
  void on_page(std::uint64_t number, const RosterPage& page);
  void on_channel(LocalRoom& room, Errc result);

  // ---- from other shards
  void on_command(const ShardAddress& from, const EntryRoomCommand& command);
  void on_answer(const EntryRoomAnswer& answer);
  /// After the others have been told: what a leave means for the client's own connections here. Presence events bear
  /// no signature. Where messages do (--bus-key), a leave is first held against the roster: who can only publish takes
  /// nobody out of a room.
  void on_presence(LocalRoom& room, const PresenceEvent& event);
  /// What the roster says about a client whose leave was heard.
  void on_confirmed(std::uint64_t number, const RoomInfo& info);
  /// Holds back what a connection gets while its join is under way.
  void hold_back(const RoomMember& member, Frame frame, std::uint64_t version);

  void on_time();
  [[nodiscard]] std::optional<Time> next_deadline() const;
  [[nodiscard]] std::size_t departed() const { return departed_.size(); }

private:
  static constexpr Duration restore_max = std::chrono::seconds{2};  // then the client is welcomed without the rest
  static constexpr Duration retry_every = std::chrono::seconds{1};
  static constexpr Duration handover_max = std::chrono::seconds{2};  // how long the new connection may take to join

  enum class Kind : std::uint8_t { join, leave, members };
  struct Requester {
    enum class Kind : std::uint8_t { nobody, command, application, peer } kind = Kind::nobody;
    ConnId conn;  // command
    std::string id;
    Ticket ticket;      // application
    ShardAddress peer;  // peer
    std::uint64_t receipt = 0;

    [[nodiscard]] static Requester of(ConnId conn, const Command& command);
    [[nodiscard]] static Requester of(Ticket ticket);
    [[nodiscard]] static Requester of(const ShardAddress& peer, std::uint64_t receipt);
  };
  struct Held {
    Frame frame;
    std::uint64_t version = 0;  // of a presence event; 0: a message
    bool is_end = false;        // no frame: here the client's stay ended
    bool is_own_leave = false;  // a frame: so ended a stay of the client
    bool is_due = false;        // of which the connection knows: it is told, whatever the join's answer
  };
  struct Flow {
    Flow(Kind kind_, Requester who_, RoomName room_, ClientId client_, ConnId conn_)
        : kind(kind_), who(std::move(who_)), room(std::move(room_)), client(std::move(client_)), conn(conn_) {}

    Kind kind = Kind::join;
    Requester who;
    RoomName room;
    ClientId client;
    ConnId conn;  // the session that joins or leaves; 0: the client is elsewhere, or is to be found
    bool wants_presence = true;
    bool is_restore = false;
    bool is_again = false;  // the connection is in the room already
    std::uint8_t attempts = 0;
    std::uint64_t stay = 0;    // join: nobody asks, the client has been in since this version; 0: none is known
    bool is_of_claim = false;  // nobody asks, and the client was in at its claim
    Epoch through;             // leave: memberships of later claims stay
    std::string cursor;        // members
    std::uint32_t count = 0;
    std::vector<Held> held;
    std::size_t held_bytes = 0;
    std::uint32_t held_lost = 0;  // messages for which there was no room in `held`
    std::optional<Time> deadline;
  };
  struct Restore {
    std::size_t left = 0;
    std::vector<Attachment> displaced;
    Time until;
  };
  struct Departed {  // a connection that is gone, and its rooms that are not
    ClientId client;
    std::vector<RoomName> rooms;
    std::optional<Time> drop_at;
  };
  struct Unconfirmed {  // a leave that was heard, and that the roster is asked about
    PresenceEvent::Kind kind = PresenceEvent::Kind::leave;
    std::uint64_t version = 0;
    std::uint64_t size = 0;
    std::uint64_t asked = 0;  // the call; 0: to be asked again
    bool is_newer = false;    // this event came after the roster was asked
  };
  struct Drop {
    RoomName room;
    ClientId client;
    Attachment at;
  };

  [[nodiscard]] static bool is_of_store(Errc result) { return result == Errc::unavailable || result == Errc::timeout; }
  [[nodiscard]] static std::string store_sentence(Errc result);

  [[nodiscard]] std::uint64_t add(Flow flow);
  [[nodiscard]] Ticket ticket(std::uint64_t number) const { return RouterCall{CallKind::room, number}.ticket(); }
  [[nodiscard]] Attachment attachment(ConnId conn) const {
    return {context_.options.self.server, context_.options.self.shard, conn};
  }
  [[nodiscard]] Session* session_of(const Flow& flow);

  void begin(std::uint64_t number);
  void begin_join(std::uint64_t number, Flow& flow);
  void ask_join(std::uint64_t number, Flow& flow);
  void begin_leave(std::uint64_t number, Flow& flow);
  /// Whether the store is to remember a leave; `is_known`: somebody stood for the client's stay, or the application
  /// asks.
  [[nodiscard]] LeaveCall::Remember remember(bool is_known) const;
  void locate(std::uint64_t number, Flow& flow);
  [[nodiscard]] bool carry_out_here(const Requester& who, Kind kind, const RoomName& room, const ClientId& client);
  void join_other_devices(const Session& session, const RoomName& room, std::uint64_t version);
  /// All connections here but `except`, and none is answered for.
  void join_devices_here(const ClientId& client, const RoomName& room, ConnId except, std::uint64_t stay);
  /// Asks where they are; again, if the store does not answer.
  void join_devices_elsewhere(const ClientId& client, const RoomName& room, std::uint64_t stay);
  /// The stay that a join asserted has ended by a leave that was not heard here.
  void end_stay(std::uint64_t number, const Joined& joined);
  /// Out by what is older than its latest join, if one is under way: else out for good.
  void take_out(LocalRoom& room, RoomMember& member, Session& session, std::uint64_t number);
  void refuse_join(std::uint64_t number, Errc result, std::string_view detail);
  /// An answer has told where the roster is.
  void note_version(LocalRoom& room, const Joined& joined);
  /// What a connection that is in hears before the answer, if it did not ask; true if it knows now that it is in.
  bool tell_joined(Session& session, RoomMember& member, std::uint64_t number, const Joined& joined, bool has_ended);
  /// Ends the flow and tells whoever asked.
  void finish(std::uint64_t number, const RoomDone& done);
  void answer(const Flow& flow, const RoomDone& done);
  /// What it held back goes out, up to the end of the stay that began at `version`: the rest is returned. With a later
  /// join under way (not is_last) the word of that end is left to it, too. Of the end of a stay that it does not know
  /// of (not is_known) the connection hears nothing.
  std::vector<Held> release_held(Session& session, Flow& flow, std::uint64_t version, bool is_last, bool is_known);
  void keep(Flow& flow, Held held);
  /// What is to be said of earlier stays before the answer; true if there was something.
  bool release_own_leaves(Session& session, const Flow& flow, std::uint64_t version);
  /// The connection is not in the room now, and will be with this join: what comes until then is held back.
  static void hold_for(RoomMember& member, std::uint64_t number, Flow& join);
  /// The same, with the rest of what the join `from` has held back.
  void hand_over(RoomMember& member, Flow& from, std::vector<Held> rest, std::uint64_t number);
  /// Its oldest join under way after `number`; 0: none.
  [[nodiscard]] std::uint64_t join_after(RoomMember& member, std::uint64_t number);
  /// Its oldest join under way that is another one; 0: none.
  [[nodiscard]] std::uint64_t other_join(RoomMember& member, std::uint64_t number);
  void forget(std::uint64_t number);
  void tell_left(Session& session, const RoomName& room, std::uint64_t size, std::uint64_t version);
  /// The same by the roster's word.
  void say_left(Session& session, RoomMember& member, const LocalRoom& room, const PresenceEvent& event);
  [[nodiscard]] Frame left_frame(const Session& session, const LocalRoom& room, const PresenceEvent& event);
  void end_membership(LocalRoom& room, Session& session);
  void take_leave(LocalRoom& room, const PresenceEvent& event);
  void confirm(const ClientId& client, const RoomName& room, Unconfirmed& leave);
  void retry_confirmations();
  void drop(Drop what);
  /// The client has been told that it is in, or was in before: the store has not taken it, and is asked again.
  void postpone_join(std::uint64_t number, RoomMember& member, Session& session);
  void try_join_later(const Session& session, const LocalRoom& room, RoomMember& member);
  void join_again(Session& session, const LocalRoom& room, RoomMember& member);
  void retry_later();
  /// The store refuses: what is unfinished rests for retry_every.
  void retry_after_refusal() { retry_at_ = context_.now() + retry_every; }
  void retry();
  void retry_joins();
  void retry_drops();
  void retry_devices();
  [[nodiscard]] bool has_unfinished() const {
    return !unfinished_drops_.empty() || !unfinished_joins_.empty() || !unfinished_devices_.empty() || unasked_ != 0;
  }
  [[nodiscard]] bool is_member_here(const ClientId& client, const RoomName& room);
  void drop_all(ConnId conn, const Departed& departed);
  void note_restored(ConnId conn);
  void limit(std::uint64_t number, Flow& flow, Duration within);

  RouterContext& context_;
  Delivery& delivery_;
  Admission& admission_;
  RoomChannels& channels_;
  RoomFlowEvents& events_;
  std::unordered_map<std::uint64_t, Flow> flows_;
  std::set<std::pair<Time, std::uint64_t>> deadlines_;
  std::uint64_t last_ = 0;
  std::map<ConnId, Restore> restores_;
  std::map<ConnId, Departed> departed_;
  std::set<std::pair<Time, ConnId>> departures_;
  std::unordered_map<std::uint64_t, Drop> drops_;
  std::map<std::pair<ConnId, RoomName>, Drop> unfinished_drops_;  // that the store did not take
  std::set<std::pair<ConnId, RoomName>> unfinished_joins_;        // and these, of members that are `is_due`
  std::map<std::pair<ClientId, RoomName>, std::uint64_t> unfinished_devices_;  // elsewhere, to be brought in -> stay
  std::map<std::pair<ClientId, RoomName>, Unconfirmed> unconfirmed_;
  std::unordered_map<std::uint64_t, std::pair<ClientId, RoomName>> confirmations_;  // calls under way
  std::size_t unasked_ = 0;  // of unconfirmed_: those that the store did not answer
  std::optional<Time> retry_at_;
  std::string text_;  // an answer being written
};

}  // namespace wsr
