// Truth: what clients really did and got, which the core never sees, and the checkers that hold the core to its
// contract.
//
// Every command of a client is a deed with a number; its data carries the number, so whatever arrives anywhere can be
// held against it. Findings are collected; a waiver of the scenario makes them no failure, nothing makes them unseen.
//
// Thread-safety: none; part of one run. Memory: deeds are kept for deed_kept, in trouble for deed_kept_in_trouble as
// long as they are no more than deeds_max; then they are judged and forgotten.
#pragma once

#include <algorithm>
#include <boost/unordered/unordered_flat_map.hpp>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "sim/closes.hpp"
#include "sim/finality.hpp"
#include "sim/isolation.hpp"
#include "sim/parts.hpp"
#include "sim/places.hpp"
#include "sim/population.hpp"
#include "sim/reach.hpp"
#include "sim/store.hpp"
#include "sim/takeover.hpp"
#include "sim/toll.hpp"

namespace wsr::sim {

using DeedNumber = std::uint64_t;

struct Deed {
  enum class Kind : std::uint8_t { send, push, join, leave } kind = Kind::send;
  enum class Word : std::uint8_t { none, delivered, denied, other } word = Word::none;
  bool wants_answer = false;
  bool is_answered = false;
  bool is_heard = false;          // send: it has arrived
  bool was_connected = false;     // send: its client was connected and settled when it was sent
  bool is_by_policy = false;      // send: dropped for a rate, a bound or a slow reader, and its sender was told so
  bool was_cut = false;           // its own connection was dead already: it does not know, and nobody else hears of it
  bool was_long_away = false;     // send: its client had been gone for longer than a lease and a sweep
  bool was_calm = false;          // send: it was outside the window of any fault
  bool has_echo = true;           // push: its own connection hears it, too
  bool is_owed = false;           // send: it must arrive, whatever becomes of servers that have nothing to do with it
  std::optional<wsr::Word> told;  // send: the outcome that its sender has read
  std::uint32_t client = nobody;
  std::uint32_t to = nobody;      // a client, or a room
  std::uint32_t conn_serial = 0;  // of the sender
  ConnIndex conn = nobody;
  std::uint32_t to_serial = 0;  // send: of the connection that its client had then
  std::uint64_t place = 0;      // push: in the order of its room; 0: not published
  Nanos at = 0;
  Nanos told_at = 0;
  std::uint32_t from_server = 0, to_server = 0;  // send: where its sender was, and its client
};

struct Finding {
  std::string checker;
  std::string what;
  Nanos at = 0;
  std::uint64_t event = 0;
  std::uint32_t client = nobody;
  bool operator==(const Finding&) const = default;
};

class Truth final : public StoreWatcher {
public:
  static constexpr Nanos deed_kept = 20 * second;
  static constexpr Nanos deed_kept_in_trouble = 120 * second;  // what a fault holds up may come long after
  static constexpr std::size_t deeds_max = 1'000'000;          // 72 MB
  static constexpr std::size_t findings_kept = 100'000;        // 15 MB; what is waived is known at the end only
  static constexpr std::size_t findings_max = 4'000'000;       // of the others the checker and the time: 64 MB

  explicit Truth(Parts& parts);

  // ---- what clients do
  /// The servers are the naive pattern's: their rows are in a table, and their messages may come to who has gone.
  void watch_naive() {
    is_naive_ = true;
    places_.watch_naive();
  }
  /// Numbers a deed of the open connection of `device`.
  [[nodiscard]] DeedNumber begin(Deed::Kind kind, DeviceIndex device, std::uint32_t to, bool wants_answer, bool echo);
  void on_welcome(ConnIndex conn, std::string_view text);
  void on_gone(ConnIndex conn, std::uint16_t code);  // at the client
  /// Its connection is dead, and it does not know yet.
  void on_cut(std::uint32_t client) { left_at_[client] = parts_.kernel.now(); }
  // ---- what comes to them
  void on_message(ConnIndex conn, std::string_view text);
  void on_room_message(ConnIndex conn, std::string_view text);
  void on_presence(ConnIndex conn, std::string_view text);
  void on_rejoined(ConnIndex conn, std::string_view text);
  void on_answer(ConnIndex conn, std::string_view text);  // ok, result, error
  void on_told(ConnIndex conn, std::uint64_t count);
  void on_server_close(ConnIndex conn, std::uint16_t code, bool is_server_alive);
  // ---- at a server
  [[nodiscard]] Closes& closes() { return closes_; }
  [[nodiscard]] Reach& reach() { return reach_; }
  /// Whether on_write() is to see what is written to that connection.
  [[nodiscard]] bool wants_writes(const Conn& conn) const {
    return takeover_.is_older(conn) || (told_undelivered_ != 0 && has_one_device_);
  }
  /// A server writes this to it, whether anybody reads it or not.
  void on_write(const Conn& conn, std::string_view bytes);
  /// That connection reads slowly from now on.
  void on_slow(ConnIndex conn) { isolation_.on_slow(parts_.population->conn(conn).serial); }
  void on_queue(ConnIndex conn, std::size_t bytes);
  void on_killed(const ServerId& server);
  /// All were gone, and one has come.
  void on_first_server() { first_server_at_ = parts_.kernel.now(); }
  void on_subscriptions_forgotten(std::uint32_t server);

  // ---- at the store
  void on_claim(const ClaimCall& request, const std::optional<OwnerRow>& before,
                const std::optional<OwnerRow>& after) override;
  void on_release(const ReleaseCall& call, const std::optional<OwnerRow>& before,
                  const std::optional<OwnerRow>& after) override;
  void on_room_event(std::string_view room, const RoomEvent& event) override;
  void on_swept(const ServerId& server) override;
  void on_forgotten() override;

  // ---- faults: findings that need peace are made only after a while of it
  enum class Fault : std::uint8_t { any, refusal };  // refusal: the store answers, and does not do it
  void fault_begins(Fault kind) {
    ++faults_;
    if (kind == Fault::refusal) ++refusals_;
    last_fault_ = parts_.kernel.now();
    troubles_began_.push_back(last_fault_);
  }
  void fault_ends(Fault kind);
  /// A server has gone or come: its clients move. The store and the others are well.
  void servers_change();
  [[nodiscard]] bool is_calm_since(Nanos since) const { return faults_ == 0 && calm_from_ <= since; }
  /// The same, but the store may refuse calls, or have refused some.
  [[nodiscard]] bool is_calm_but_for_refusals(Nanos since) const {
    return faults_ == refusals_ && calm_from_but_for_refusals_ <= since;
  }
  /// One client's connection was harmed by a step.
  void disturb_client(std::uint32_t client) { disturbed_[client].last = parts_.kernel.now(); }
  /// The same, for a while: the way between it and the servers is cut or bad.
  void client_trouble_begins(std::uint32_t client) {
    ++disturbed_[client].spans;
    ++client_troubles_;
  }
  void client_trouble_ends(std::uint32_t client);

  // ---- time
  void on_look();
  void on_check(const Event& event);
  /// All has healed and settled.
  void send_probes();
  void judge_end();
  /// The run is over. From now on only what is left behind is found, and it is dated now.
  void end() { over_ = Over{parts_.kernel.now(), parts_.kernel.events()}; }

  /// The first findings_kept of finding_count().
  [[nodiscard]] const std::vector<Finding>& findings() const { return findings_; }
  [[nodiscard]] std::uint64_t finding_count() const { return finding_count_; }
  struct BriefFinding {
    std::string_view checker;
    Nanos at = 0;
  };
  /// Those after the first findings_kept, up to findings_max.
  [[nodiscard]] const std::vector<BriefFinding>& brief_findings() const { return brief_findings_; }
  [[nodiscard]] std::uint64_t ghosts() const { return ghosts_; }
  [[nodiscard]] const Toll& toll() const { return toll_; }
  /// Called once a virtual second. O(clients).
  void count_ghosts() {
    places_.count_ghosts(sweep_within());
    toll_.ghost_seconds = places_.ghost_seconds();
  }
  /// Whose connection that was, also after its end.
  [[nodiscard]] std::uint32_t client_of_conn(std::uint32_t serial) const {
    const auto found = gone_.find(serial);
    return found == gone_.end() ? nobody : found->second;
  }
  [[nodiscard]] std::uint64_t deeds() const { return base_ + deeds_.size(); }
  void find(std::string_view checker, std::uint32_t client, std::string what);

  [[nodiscard]] static std::string room_name(std::uint32_t room) { return "room:" + std::to_string(room); }

private:
  struct Room {
    std::uint64_t published = 0;                  // messages, in the channel's order
    std::map<std::uint64_t, std::uint32_t> mute;  // place -> client: it does not hear its own
    std::set<std::uint32_t> present;              // by its events
    std::uint64_t version = 0;
    bool is_known = false;  // version and present are what the store has
    bool may_jump =
        false;  // the store has forgotten since the last event: servers tell it to go on above what they saw
    std::uint64_t jumped_to = 0;  // the first version after that
  };
  struct Seat {               // one connection in one room
    bool is_in = false;       // acknowledged, and nothing since says otherwise
    bool has_answer = false;  // a join of this stay is answered
    bool is_steady = false;   // and it has heard a message since: the next must follow
    bool has_left = false;    // its leave is acknowledged, and it has not asked to join since
    DeedNumber joins = 0;     // the last join that it asked for
    DeedNumber leaves = 0;    // the last leave
    DeedNumber asked = 0;     // a join or leave that is not answered yet: nobody knows
    std::uint64_t last = 0;
    Nanos last_at = 0;          // when that one was sent: it may have been held back for a while
    std::uint64_t version = 0;  // of the last presence event or answer that it heard in peace; 0: none
    Nanos version_at = 0;       // when that was
    enum class Source : std::uint8_t { answer, event, count } source = Source::answer;  // and where it stood
  };
  struct DeadServer {
    ServerId id;
    Nanos at = 0;
  };
  struct Trouble {            // of one client
    std::uint32_t spans = 0;  // that go on
    Nanos last = 0;           // when something last happened to it, or a span ended
  };

  [[nodiscard]] Deed* deed(DeedNumber number) {
    return number < base_ || number - base_ >= deeds_.size() ? nullptr : &deeds_[number - base_];
  }
  void judge(const Deed& deed, DeedNumber number);
  void judge_loss(const Deed& deed, DeedNumber number);
  void judge_reach(const Deed& deed, DeedNumber number);
  void forget_oldest();
  void count_loss(const Deed& deed, DeedNumber number);
  /// The connection was told since of something that has no number: an error, or what its outbox had no room for.
  [[nodiscard]] bool was_told(std::uint32_t serial, Nanos since) const;
  /// No fault began within settled_after of its sending, either.
  [[nodiscard]] bool is_outside_windows(const Deed& deed) const;
  void judge_copies(const Deed& deed, DeedNumber number);
  void judge_dead(const DeadServer& dead);
  struct Takeover {
    Attachment old;
    std::uint32_t client = nobody;
    Nanos at = 0;
  };
  /// The store took a newer claim for its client: it is closed within kicked_within, if nothing stands in the way.
  void judge_takeover(const Takeover& takeover);
  void judge_rooms();
  void note_latency(const Conn& conn, Nanos sent_at);
  void find_gap(std::uint32_t client, std::int64_t gap);
  /// The answer to `number` has come.
  void settle_seat(std::uint32_t serial, std::uint32_t room, DeedNumber number);
  [[nodiscard]] Nanos sweep_within() const;
  /// Until a server whose inbox is silent has found out and listens again.
  [[nodiscard]] Nanos deaf_within() const;
  /// What it was told stood for what it missed before: it is no credit for what was sent after.
  void end_credit(Conn& conn, Nanos since) const {
    if (!was_told(conn.serial, since)) conn.gap = std::max<std::int64_t>(conn.gap, 0);
  }
  void judge_members(const RoomName& name, std::uint32_t number, const std::set<std::uint32_t>& in,
                     const std::set<std::uint32_t>& unsure);
  /// Something happened to it within peace() before `at`, or goes on.
  [[nodiscard]] bool is_disturbed(std::uint32_t client, Nanos at) const;
  /// The connection lived on for a while after `at`, as far as one can see now.
  [[nodiscard]] bool has_stayed(std::uint32_t serial, Nanos at) const;
  /// What was due on that connection `at` then could come: it lives, or it ended long after.
  [[nodiscard]] bool has_lived_on(ConnIndex conn, std::uint32_t serial, Nanos at) const;
  /// Whether the device's connection is the one with that number, and bytes get through to it.
  [[nodiscard]] bool is_sound(ConnIndex conn, std::uint32_t serial) const;
  void miss_presence(ConnIndex index, const Seat& seat, std::uint64_t version, std::uint32_t number);
  void know_version(Seat& seat, std::string_view text);
  static void go_out(Seat& seat) {
    seat.is_in = seat.has_answer = false;
    seat.version = 0;
  }
  void hear_room(ConnIndex index, Seat& seat, Room& room, const Deed& deed, std::uint32_t number);
  [[nodiscard]] Room& room(std::uint32_t number);
  [[nodiscard]] static std::uint64_t seat_key(std::uint32_t serial, std::uint32_t room) {
    return static_cast<std::uint64_t>(serial) << 24 | room;
  }
  [[nodiscard]] Nanos opened_at(const Attachment& at, bool& is_open) const;
  [[nodiscard]] Nanos peace() const;

  Parts& parts_;
  Closes closes_;
  Reach reach_;
  TakeoverCheck takeover_;
  Isolation isolation_;
  Places places_;
  std::deque<Deed> deeds_;
  DeedNumber base_ = 1;
  boost::unordered_flat_map<std::uint64_t, DeedNumber> last_heard_;  // sender's connection and receiver -> deed
  std::set<std::pair<DeedNumber, std::uint32_t>> copies_;            // several devices: which connection heard what
  std::unordered_map<std::uint32_t, Room> rooms_;                    // never iterated
  std::uint32_t rooms_end_ = 0;
  boost::unordered_flat_map<std::uint64_t, Seat> seats_;        // iterated at the end only, into sets
  std::set<std::pair<std::uint32_t, std::uint32_t>> asked_in_;  // client and room: it has asked to join
  std::unordered_map<std::uint32_t, Trouble> disturbed_;        // clients; never iterated
  std::unordered_map<std::uint32_t, Nanos> untold_since_;  // connection -> since when it misses what nobody told it
  std::unordered_map<std::uint32_t, Nanos> told_at_;       // connection -> when an error or a drop last told it of more
  std::unordered_map<std::uint32_t, std::uint32_t> gone_;  // connection -> client, for the naive pattern
  bool is_naive_ = false;
  std::unordered_map<std::uint32_t, Nanos> ended_;    // connections
  std::unordered_map<std::uint32_t, Nanos> left_at_;  // client -> when a connection of its ended or died last
  std::vector<DeadServer> dead_;
  std::deque<Takeover> takeovers_;  // those that are not judged yet
  std::vector<Finding> findings_;
  std::vector<BriefFinding> brief_findings_;
  std::uint64_t finding_count_ = 0;
  std::uint64_t ghosts_ = 0;
  Toll toll_;
  std::vector<Nanos> troubles_began_;  // faults and changes of servers, in their order
  std::uint32_t faults_ = 0;
  std::uint32_t refusals_ = 0;          // of faults_
  std::uint64_t told_undelivered_ = 0;  // deeds that are kept, and whose senders were told that they do not arrive
  bool has_one_device_ = true;
  std::uint32_t client_troubles_ = 0;
  Nanos client_trouble_ended_ = 0;
  Nanos calm_from_ = 0;
  Nanos calm_from_but_for_refusals_ = 0;
  Nanos first_server_at_ = 0;
  Nanos last_fault_ = 0;  // when one last began or ended
  Nanos ended_at_ = 0;    // when the probes went out
  struct Over {
    Nanos at = 0;
    std::uint64_t event = 0;
  };
  std::optional<Over> over_;
  std::map<std::uint32_t, DeedNumber> room_probes_;  // room -> probe
};

}  // namespace wsr::sim
