// StoreModel: the shared store: Redis' semantics for what the core uses, and Redis' faults.
//
// Its state is core/memory's: the same atomic steps that the contract suites hold Redis to. Around it stand what makes
// a store on a network: one thread that carries calls out one after another, two connections a server (commands in a
// pipeline; a subscriber), leases by its own clock, a replica that lags.
//
//   StoreSession ──calls──▶ [cut? stalled? down?] ─▶ carried out ─▶ answers, bus messages ─▶ [reply lost? cut?] ─▶
//   session
//
// Faults: stall; restart and flush (everything forgotten; a flush keeps connections and subscriptions); failover (the
// replica takes over without what it had not got yet); replies lost after the call was carried out; subscriptions
// forgotten without a word; a subscriber cut off because it reads too slowly, or served late; a host that is gone and
// whose subscriber still counts; calls refused with a code, subscriptions refused.
//
// Thread-safety: none; part of one run.
// Bounds:        owners_max, memberships_max as configured; subscriber_buffer for each subscriber.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <vector>

#include "core/memory/backend.hpp"
#include "core/wire/room_envelope.hpp"
#include "sim/metrics.hpp"
#include "sim/mutants.hpp"
#include "sim/network.hpp"
#include "sim/store_call.hpp"

namespace wsr::sim {

class StoreSession;

/// Sees each change as it is made: the checkers.
class StoreWatcher {
public:
  virtual ~StoreWatcher() = default;
  virtual void on_claim(const ClaimCall& request, const std::optional<OwnerRow>& before,
                        const std::optional<OwnerRow>& after) = 0;
  virtual void on_release(const ReleaseCall& call, const std::optional<OwnerRow>& before,
                          const std::optional<OwnerRow>& after) = 0;
  /// Everything that is published in a room, in the order of its channel.
  virtual void on_room_event(std::string_view room, const RoomEvent& event) = 0;
  /// A sweep has removed a server, or rows of its.
  virtual void on_swept(const ServerId& server) = 0;
  virtual void on_forgotten() = 0;  // the store has lost its memory, or a part
};

struct StoreOptions {
  std::uint64_t owners_max = 0;       // 0: no bound
  std::uint64_t memberships_max = 0;  // 0: no bound
  bool has_rooms = true;              // rooms are watched
};

class StoreModel {
public:
  StoreModel(Kernel& kernel, Network& network, Metrics& metrics, const Scenario& scenario, StoreOptions options,
             StoreWatcher& watcher, Mutant mutant);
  ~StoreModel();

  using SessionIndex = std::uint32_t;
  [[nodiscard]] SessionIndex add(StoreSession& session);
  void remove(SessionIndex session);
  [[nodiscard]] StoreSession* session(SessionIndex index) { return sessions_[index].end; }
  [[nodiscard]] bool is_up() const { return is_up_; }
  /// Whether a new connection for commands works: a replica, or a store that loads its data, is found out at once.
  [[nodiscard]] bool takes_commands() const {
    return is_up_ && refuses_ != Step::Code::loading && refuses_ != Step::Code::readonly;
  }
  [[nodiscard]] StoreTime now() const;

  // ---- events
  void on_call(const Event& event);
  void on_act(const Event& event);

  // ---- faults
  void stall(Nanos until);
  void go_down();
  void come_up();
  void flush();
  void failover();
  void lose_replies(std::uint32_t server, bool is_on);
  void forget_subscriptions(std::uint32_t server);
  /// The host of this session is gone, and no packet says so: its subscriptions count for `time` more.
  void outlive(SessionIndex session, Nanos time);
  void refuse(std::optional<Step::Code> code);
  void refuse_subscriptions(std::uint32_t server, bool is_on);
  /// What is sent to that server's subscriber comes so much later; 0: no more.
  void lag(std::uint32_t server, Nanos by) { lags_[server] = by; }
  void heal();

  // ---- what the checkers read
  [[nodiscard]] std::optional<OwnerRow> row_of(const ClientId& client);
  [[nodiscard]] RoomInfo room_info(const RoomName& room);
  [[nodiscard]] std::vector<ClientId> members_of(const RoomName& room);
  [[nodiscard]] std::vector<RoomName> rooms();
  /// Of servers whose lease stands.
  [[nodiscard]] std::vector<std::pair<ServerId, std::uint64_t>> rows_by_server();
  [[nodiscard]] std::optional<Row> table_row(std::string_view table, std::string_view key);
  /// Of all servers in the registry, what the store still keeps of them.
  [[nodiscard]] std::vector<std::pair<ServerId, std::uint64_t>> stored_by_server();
  [[nodiscard]] std::uint64_t stored_rows(const ServerId& server);
  [[nodiscard]] bool is_listed(const ServerId& server);  // in the registry
  [[nodiscard]] Servers registry();
  /// Rows of one of the application's tables.
  [[nodiscard]] std::uint64_t table_rows(std::string_view table);
  [[nodiscard]] bool is_subscribed(SessionIndex session, const Channel& channel) const;
  /// How many channels of rooms the session's subscriber has.
  [[nodiscard]] std::uint64_t room_channels(SessionIndex session) const;

  // ---- what is under way, for the sessions
  struct AnswerParcel {
    Ticket ticket;
    Answer answer;
    std::function<void()> table_reply;  // instead, if set
  };
  struct BusParcel {
    Channel channel;
    std::string pattern;
    std::string payload;
  };
  Slab<CallParcel> calls;
  Slab<AnswerParcel> answers;
  Slab<BusParcel> messages;
  void on_subscriber_read(SessionIndex session, std::uint32_t generation, std::size_t bytes);

private:
  struct Copy;
  struct PeerEnd;
  struct Session {
    StoreSession* end = nullptr;
    bool outlives = false;  // its host is gone, and its subscriptions still count
    std::uint32_t server = 0;
    std::uint32_t carried_generation = 0;     // of the call that is being carried out
    std::uint32_t broken_generation = 0;      // the connection that broke with a reply: no other comes on it. 0: none
    std::uint32_t subscriber_generation = 0;  // of the connection that holds the subscriptions
    Pipe commands, subscriber;                // towards the server
    std::size_t unread = 0;                   // bytes on their way to the subscriber
    std::set<std::pair<Channel, Match>> channels;
  };

  [[nodiscard]] std::unique_ptr<Copy> make_copy();
  /// A flush is replicated, and a primary that comes back empty is copied.
  void empty_replica();
  void carry_out_now(SessionIndex index, std::uint32_t generation, CallParcel call);
  void carry_out_watched(SessionIndex index, CallParcel& call);
  void carry_out_next();
  void answer(SessionIndex index, AnswerParcel parcel);
  void on_bus(SessionIndex index, const Channel& channel, std::string_view pattern, std::string_view payload);
  void on_spy(const Channel& channel, std::string_view payload);
  /// How often a bus message is handed out: once, unless a mutant has it otherwise.
  [[nodiscard]] int copies_of(const Channel& channel, std::string_view payload) const;
  /// When so many bytes that are sent now are at its subscriber.
  [[nodiscard]] Nanos at_subscriber(Session& session, std::size_t bytes);
  void drop_subscriber(SessionIndex index);
  void bury(SessionIndex index);
  [[nodiscard]] bool would_refuse(const StoreRequest& request) const;
  /// Answers the call if the store refuses it.
  [[nodiscard]] bool is_refused(SessionIndex index, const CallParcel& call);
  void clear_channels(SessionIndex index);
  void reset_connections();
  template <class Call>
  typename Call::Answer ask(Call call);

  Kernel& kernel_;
  Network& network_;
  Metrics& metrics_;
  const Scenario& scenario_;
  StoreOptions options_;
  StoreWatcher& watcher_;
  Mutant mutant_;
  std::unique_ptr<Copy> primary_, replica_;
  std::vector<Session> sessions_;
  std::set<std::uint32_t> loses_replies_;          // servers
  std::set<std::uint32_t> refuses_subscriptions_;  // of servers
  std::optional<Step::Code> refuses_;
  Nanos doubt_until_ = 0;    // leases ran out while writes were refused
  std::vector<Nanos> lags_;  // by server
  struct Logged {
    SessionIndex session;
    CallParcel call;
    StoreTime at;
  };
  Slab<Logged> log_;
  std::uint64_t logged_ = 0;
  std::uint32_t replica_epoch_ = 0;  // what was logged for an earlier replica does not reach a later one
  Pipe replication_;
  bool is_up_ = true;
  Nanos stalled_until_ = 0;
  std::deque<Event> stalled_;   // calls that came during a stall, in their order
  bool spies_publish_ = false;  // what is published now, the spy hears, too
  std::uint64_t carried_ = 0;
};

}  // namespace wsr::sim
