// The ports over the plain state of this folder. One rule is kept here for all of them: a call changes the state at
// once, and what it brings waits in one queue until pump(). So calls of all servers take effect, and are answered, in
// the order in which they were made.
#include "core/memory/backend.hpp"

#include <cassert>
#include <functional>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "core/memory/bus.hpp"
#include "core/memory/directory.hpp"
#include "core/memory/rates.hpp"
#include "core/memory/rosters.hpp"
#include "core/memory/tables.hpp"

namespace wsr::memory {
namespace {

/// One server's ends. Deliveries share it, so one that is under way outlives its server.
struct Peer {
  AnswerSink& answers;
  BusListener& listener;
  SubscriberId id = 0;
  enum class State : std::uint8_t { open, stopped, gone } state = State::open;
};

struct BusMessage {
  Channel channel;
  std::string payload;
};

struct AnswerReady {
  Ticket ticket;
  Answer answer;
};
struct ReplyReady {
  std::function<void()> reply;
};
struct MessageReady {
  std::string pattern;
  std::shared_ptr<const BusMessage> message;  // one copy for all receivers
};
struct Resubscribed {};
struct StoreUp {};

struct Delivery {
  std::shared_ptr<Peer> peer;
  std::variant<AnswerReady, ReplyReady, MessageReady, Resubscribed, StoreUp> what;
};

void deliver(Delivery& delivery) {
  Peer& peer = *delivery.peer;
  if (peer.state == Peer::State::gone) return;
  // Each call was carried out when it was made, so a stop has no call to fail: its answers still come, and nothing
  // else.
  if (auto* ready = std::get_if<AnswerReady>(&delivery.what)) {
    peer.answers.on_answer(ready->ticket, std::move(ready->answer));
  } else if (auto* reply = std::get_if<ReplyReady>(&delivery.what)) {
    reply->reply();
  } else if (peer.state == Peer::State::stopped) {
    return;
  } else if (const auto* message = std::get_if<MessageReady>(&delivery.what)) {
    peer.listener.on_bus_message(message->message->channel, message->pattern, message->message->payload);
  } else if (std::holds_alternative<Resubscribed>(delivery.what)) {
    peer.listener.on_resubscribed();
  } else {
    peer.listener.on_store_state(StoreState::up);
  }
}

/// What the servers of one process share.
struct Shared {
  explicit Shared(Options given)
      : options(std::move(given)),
        directory(options.owners_max),
        rosters(options.memberships_max,
                [this](const RoomName& room, const PresenceEvent& event) {
                  publish({ChannelKind::room, room.str()}, encode_presence(event));
                }),
        tables(options.table_rows_max, options.counters_max) {
    assert(options.now);
  }

  [[nodiscard]] StoreTime now() const { return options.now(); }

  void post(Delivery delivery) {
    const bool was_idle = waiting.empty();
    waiting.push_back(std::move(delivery));
    if (was_idle && options.wake) options.wake();
  }

  std::uint64_t publish(const Channel& channel, std::string payload) {
    std::shared_ptr<const BusMessage> message;
    std::uint64_t receivers = 0;
    channels.each_receiver(channel, [&](SubscriberId subscriber, std::string_view pattern) {
      if (!message) message = std::make_shared<const BusMessage>(BusMessage{channel, std::move(payload)});
      post({peers[subscriber], MessageReady{std::string(pattern), message}});
      ++receivers;
    });
    return receivers;
  }

  Options options;
  OwnerDirectory directory;
  RosterSet rosters;
  RateTable rates;
  ChannelMap channels;
  TableSet tables;
  std::vector<std::shared_ptr<Peer>> peers;  // by SubscriberId; none: it has left
  std::vector<Delivery> waiting;             // in the order in which the calls were made
  std::vector<Delivery> round;               // what pump() hands out; its room is used again
};

class TablesPort final : public Tables {
public:
  TablesPort(Shared& store, std::shared_ptr<Peer> peer) : store_(store), peer_(std::move(peer)) {}

  void declare(const TableSpec& spec, Reply<Done> reply) override {
    answer(std::move(reply), store_.tables.declare(spec));
  }
  void set(std::string_view table, std::string_view key, Row row, Reply<Done> reply) override {
    answer(std::move(reply), store_.tables.set(table, key, std::move(row), store_.now()));
  }
  void get(std::string_view table, std::string_view key, Reply<Row> reply) override {
    answer(std::move(reply), store_.tables.get(table, key, store_.now()));
  }
  void del(std::string_view table, std::string_view key, Reply<Done> reply) override {
    answer(std::move(reply), store_.tables.del(table, key, store_.now()));
  }
  void incr(std::string_view table, std::string_view key, std::string_view column, std::int64_t by,
            Reply<std::int64_t> reply) override {
    answer(std::move(reply), store_.tables.incr(table, key, column, by, store_.now()));
  }
  void compare_and_set(std::string_view table, std::string_view key, std::string_view column, const Value& expected,
                       Row row, Reply<Done> reply) override {
    answer(std::move(reply), store_.tables.compare_and_set(table, key, column, expected, std::move(row), store_.now()));
  }
  void count(std::string_view table, Reply<std::uint64_t> reply) override {
    answer(std::move(reply), store_.tables.count(table, store_.now()));
  }
  void page(std::string_view table, std::string_view cursor, std::uint32_t count, Reply<RowPage> reply) override {
    answer(std::move(reply), store_.tables.page(table, cursor, count, store_.now()));
  }
  void counter_add(std::string_view name, std::int64_t by, Reply<std::int64_t> reply) override {
    answer(std::move(reply), store_.tables.counter_add(name, by));
  }
  void counter_get(std::string_view name, Reply<std::int64_t> reply) override {
    answer(std::move(reply), store_.tables.counter_get(name));
  }
  void counter_add_bounded(std::string_view name, std::int64_t by, std::int64_t max,
                           Reply<std::int64_t> reply) override {
    answer(std::move(reply), store_.tables.counter_add_bounded(name, by, max));
  }

private:
  template <class T>
  void answer(Reply<T>&& reply, Result<T>&& result) {
    store_.post({peer_, ReplyReady{[reply = std::move(reply), result = std::move(result)] { reply(result); }}});
  }

  Shared& store_;
  std::shared_ptr<Peer> peer_;
};

/// One server's view of the store.
class ServerBackend final : public wsr::Backend {
public:
  ServerBackend(Shared& store, AnswerSink& answers, BusListener& listener)
      : store_(store),
        peer_(std::make_shared<Peer>(Peer{answers, listener, static_cast<SubscriberId>(store.peers.size())})),
        tables_(store, peer_) {
    store_.peers.push_back(peer_);
  }
  ~ServerBackend() override {
    leave();
    peer_->state = Peer::State::gone;
  }

  void start() override { store_.post({peer_, StoreUp{}}); }
  void stop() override {
    leave();
    peer_->state = Peer::State::stopped;
  }
  void call(Ticket ticket, StoreCall&& call) override {
    std::visit(
        [&]<class Call>(Call& each) {
          if constexpr (std::is_void_v<typename Call::Answer>) {
            carry_out(each);
          } else {
            typename Call::Answer answer = carry_out(each);
            store_.post({peer_, AnswerReady{ticket, std::move(answer)}});
          }
        },
        call);
  }
  [[nodiscard]] Tables& tables() override { return tables_; }
  void end_turn() override {}

private:
  // ---- each call, carried out
  Claimed carry_out(const ClaimCall& call) {
    Claimed claimed = store_.directory.claim(call, store_.now());
    if (claimed.result == Errc::ok) claimed.rooms = store_.rosters.rooms_of(call.client, call.at);
    return claimed;
  }
  Released carry_out(const ReleaseCall& call) { return store_.directory.release(call.client, call.at, store_.now()); }
  Owners carry_out(const LookupCall& call) { return store_.directory.lookup(call.client, store_.now()); }
  OwnerPage carry_out(const OwnerPageCall& call) {
    return store_.directory.page(call.cursor, call.count, store_.now());
  }
  OwnerCounts carry_out(const CountsCall&) { return store_.directory.counts(store_.now()); }
  Held carry_out(const HeldCall& call) {
    if (call.cursor != "0") return Held{.result = Errc::bad_request, .rows = {}, .places = {}};
    Held held = store_.directory.held(call.server, store_.now());
    held.places = store_.rosters.held(call.server);
    return held;
  }
  Held carry_out(const MissingCall& call) {
    Held missing = store_.directory.missing(call.expected, store_.now());
    missing.places = store_.rosters.missing(call.expected);
    return missing;
  }

  Renewed carry_out(const RenewCall& call) {
    return store_.directory.renew(call.server, call.info, call.lease, store_.now());
  }
  Released carry_out(const ResignCall& call) {
    const Released released = store_.directory.resign(call.server);
    store_.rosters.drop_server(call.server, PresenceEvent::Kind::leave);
    return released;
  }
  Servers carry_out(const ServersCall&) { return store_.directory.servers(store_.now()); }
  Swept carry_out(const SweepCall& call) {
    Swept swept = store_.directory.sweep(call.dead, store_.now());
    if (swept.result == Errc::ok) {
      swept.memberships_removed = store_.rosters.drop_server(call.dead, PresenceEvent::Kind::swept);
    }
    return swept;
  }

  Published carry_out(PublishCall& call) {
    return Published{Errc::ok, store_.publish(call.channel, std::move(call.payload))};
  }
  Subscribed carry_out(const SubscribeCall& call) {
    store_.channels.subscribe(peer_->id, call.channel, call.match);
    return {};
  }
  Unsubscribed carry_out(const UnsubscribeCall& call) {
    store_.channels.unsubscribe(peer_->id, call.channel, call.match);
    return {};
  }
  // There is no connection to remake: subscriptions stand, and nothing was missed.
  void carry_out(const ResubscribeCall&) { store_.post({peer_, Resubscribed{}}); }

  Joined carry_out(const JoinCall& call) {
    Joined joined = store_.rosters.join(call, store_.now());
    if (joined.result == Errc::ok) store_.directory.enlist(call.at.server, store_.now());
    return joined;
  }
  Left carry_out(const LeaveCall& call) { return store_.rosters.leave(call, store_.now()); }
  Left carry_out(const DropCall& call) { return store_.rosters.drop(call.room, call.client, call.at); }
  RosterPage carry_out(const RosterPageCall& call) { return store_.rosters.page(call.room, call.cursor, call.count); }
  RoomInfo carry_out(const RoomInfoCall& call) { return store_.rosters.info(call.room); }
  RoomInfo carry_out(const FindCall& call) { return store_.rosters.find(call.room, call.client); }
  RoomPage carry_out(const RoomsCall& call) { return store_.rosters.rooms(call.cursor, call.count); }
  Taken carry_out(const TakeCall& call) { return store_.rates.take(call.key, call.limit, store_.now()); }

  void leave() {
    store_.channels.forget(peer_->id);
    store_.peers[peer_->id].reset();
  }

  Shared& store_;
  std::shared_ptr<Peer> peer_;
  TablesPort tables_;
};

}  // namespace

struct Backend::State {
  State(Options options, AnswerSink& answers, BusListener& listener)
      : store(std::move(options)), server(store, answers, listener) {}

  Shared store;
  ServerBackend server;  // ends before the store
};

Backend::Backend(Options options, AnswerSink& answers, BusListener& listener)
    : state_(std::make_unique<State>(std::move(options), answers, listener)) {}
Backend::~Backend() = default;

std::unique_ptr<wsr::Backend> Backend::join(AnswerSink& answers, BusListener& listener) {
  return std::make_unique<ServerBackend>(state_->store, answers, listener);
}

void Backend::start() { state_->server.start(); }
void Backend::stop() { state_->server.stop(); }
void Backend::call(Ticket ticket, StoreCall&& call) { state_->server.call(ticket, std::move(call)); }
Tables& Backend::tables() { return state_->server.tables(); }

std::uint64_t Backend::stored_rows(const ServerId& server) const {
  return state_->store.directory.stored_rows(server, state_->store.now());
}

std::optional<OwnerRow> Backend::owner_of(const ClientId& client) const {
  return state_->store.directory.newest(client, state_->store.now());
}

void Backend::pump() {
  // What the callbacks call brings answers for the next pump(): one round is finite.
  Shared& store = state_->store;
  std::vector<Delivery> round = std::exchange(store.round, {});
  round.swap(store.waiting);
  for (Delivery& delivery : round) deliver(delivery);
  round.clear();
  store.round = std::move(round);
}

}  // namespace wsr::memory
