// The ports over the plain state of this folder. One rule is kept here for all of them: a call changes the state at
// once, and what it brings waits in one queue until pump(). So calls of all servers take effect, and are answered, in
// the order in which they were made.
#include "core/memory/backend.hpp"

#include <cassert>
#include <functional>
#include <memory>
#include <string>
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
struct Store {
  explicit Store(Options given)
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

class DirectoryPort final : public Directory {
public:
  DirectoryPort(Store& store, std::shared_ptr<Peer> peer) : store_(store), peer_(std::move(peer)) {}

  void claim(Ticket ticket, const ClaimRequest& request) override {
    Claimed claimed = store_.directory.claim(request, store_.now());
    if (claimed.result == Errc::ok) claimed.rooms = store_.rosters.rooms_of(request.client, request.at);
    answer(ticket, std::move(claimed));
  }
  void release(Ticket ticket, const ClientId& client, const Attachment& at) override {
    answer(ticket, store_.directory.release(client, at, store_.now()));
  }
  void lookup(Ticket ticket, const ClientId& client) override {
    answer(ticket, store_.directory.lookup(client, store_.now()));
  }
  void page(Ticket ticket, std::string_view cursor, std::uint32_t count) override {
    answer(ticket, store_.directory.page(cursor, count, store_.now()));
  }
  void counts(Ticket ticket) override { answer(ticket, store_.directory.counts(store_.now())); }
  void held(Ticket ticket, const ServerId& server, std::string_view cursor, std::uint32_t /*count*/) override {
    if (cursor != "0") return answer(ticket, Held{.result = Errc::bad_request, .rows = {}, .places = {}});
    Held held = store_.directory.held(server, store_.now());
    held.places = store_.rosters.held(server);
    answer(ticket, std::move(held));
  }
  void missing(Ticket ticket, const Held& expected) override {
    Held missing = store_.directory.missing(expected, store_.now());
    missing.places = store_.rosters.missing(expected);
    answer(ticket, std::move(missing));
  }
  void renew(Ticket ticket, const ServerId& server, const ServerInfo& info, std::chrono::milliseconds lease) override {
    answer(ticket, store_.directory.renew(server, info, lease, store_.now()));
  }
  void resign(Ticket ticket, const ServerId& server) override {
    const Released released = store_.directory.resign(server);
    store_.rosters.drop_server(server, PresenceEvent::Kind::leave);
    answer(ticket, released);
  }
  void servers(Ticket ticket) override { answer(ticket, store_.directory.servers(store_.now())); }
  void sweep(Ticket ticket, const ServerId& dead, const ServerId& /*by*/) override {
    Swept swept = store_.directory.sweep(dead, store_.now());
    if (swept.result == Errc::ok) {
      swept.memberships_removed = store_.rosters.drop_server(dead, PresenceEvent::Kind::swept);
    }
    answer(ticket, swept);
  }

private:
  void answer(Ticket ticket, Answer&& what) { store_.post({peer_, AnswerReady{ticket, std::move(what)}}); }

  Store& store_;
  std::shared_ptr<Peer> peer_;
};

class BusPort final : public Bus {
public:
  BusPort(Store& store, std::shared_ptr<Peer> peer) : store_(store), peer_(std::move(peer)) {}

  void publish(Ticket ticket, const Channel& channel, std::string payload) override {
    const std::uint64_t receivers = store_.publish(channel, std::move(payload));
    answer(ticket, Published{Errc::ok, receivers});
  }
  void subscribe(Ticket ticket, const Channel& channel, Match match) override {
    store_.channels.subscribe(peer_->id, channel, match);
    answer(ticket, Subscribed{});
  }
  void unsubscribe(Ticket ticket, const Channel& channel, Match match) override {
    store_.channels.unsubscribe(peer_->id, channel, match);
    answer(ticket, Unsubscribed{});
  }
  // There is no connection to remake: subscriptions stand, and nothing was missed.
  void resubscribe() override { store_.post({peer_, Resubscribed{}}); }

private:
  void answer(Ticket ticket, Answer&& what) { store_.post({peer_, AnswerReady{ticket, std::move(what)}}); }

  Store& store_;
  std::shared_ptr<Peer> peer_;
};

class RostersPort final : public Rosters {
public:
  RostersPort(Store& store, std::shared_ptr<Peer> peer) : store_(store), peer_(std::move(peer)) {}

  void join(Ticket ticket, const JoinRequest& request) override {
    Joined joined = store_.rosters.join(request, store_.now());
    if (joined.result == Errc::ok) store_.directory.enlist(request.at.server, store_.now());
    answer(ticket, std::move(joined));
  }
  void leave(Ticket ticket, const LeaveRequest& request) override {
    answer(ticket, store_.rosters.leave(request, store_.now()));
  }
  void drop(Ticket ticket, const RoomName& room, const ClientId& client, const Attachment& at) override {
    answer(ticket, store_.rosters.drop(room, client, at));
  }
  void page(Ticket ticket, const RoomName& room, std::string_view cursor, std::uint32_t count) override {
    answer(ticket, store_.rosters.page(room, cursor, count));
  }
  void info(Ticket ticket, const RoomName& room) override { answer(ticket, store_.rosters.info(room)); }
  void find(Ticket ticket, const RoomName& room, const ClientId& client) override {
    answer(ticket, store_.rosters.find(room, client));
  }
  void rooms(Ticket ticket, std::string_view cursor, std::uint32_t count) override {
    answer(ticket, store_.rosters.rooms(cursor, count));
  }

private:
  void answer(Ticket ticket, Answer&& what) { store_.post({peer_, AnswerReady{ticket, std::move(what)}}); }

  Store& store_;
  std::shared_ptr<Peer> peer_;
};

class RatesPort final : public Rates {
public:
  RatesPort(Store& store, std::shared_ptr<Peer> peer) : store_(store), peer_(std::move(peer)) {}

  void take(Ticket ticket, const RateKey& key, const RateLimit& limit) override {
    store_.post({peer_, AnswerReady{ticket, store_.rates.take(key, limit, store_.now())}});
  }

private:
  Store& store_;
  std::shared_ptr<Peer> peer_;
};

class TablesPort final : public Tables {
public:
  TablesPort(Store& store, std::shared_ptr<Peer> peer) : store_(store), peer_(std::move(peer)) {}

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

  Store& store_;
  std::shared_ptr<Peer> peer_;
};

/// One server's view of the store.
class ServerBackend final : public wsr::Backend {
public:
  ServerBackend(Store& store, AnswerSink& answers, BusListener& listener)
      : store_(store),
        peer_(std::make_shared<Peer>(Peer{answers, listener, static_cast<SubscriberId>(store.peers.size())})),
        directory_(store, peer_),
        bus_(store, peer_),
        rosters_(store, peer_),
        rates_(store, peer_),
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
  [[nodiscard]] Directory& directory() override { return directory_; }
  [[nodiscard]] Bus& bus() override { return bus_; }
  [[nodiscard]] Rosters& rosters() override { return rosters_; }
  [[nodiscard]] Rates& rates() override { return rates_; }
  [[nodiscard]] Tables& tables() override { return tables_; }
  void end_turn() override {}

private:
  void leave() {
    store_.channels.forget(peer_->id);
    store_.peers[peer_->id].reset();
  }

  Store& store_;
  std::shared_ptr<Peer> peer_;
  DirectoryPort directory_;
  BusPort bus_;
  RostersPort rosters_;
  RatesPort rates_;
  TablesPort tables_;
};

}  // namespace

struct Backend::State {
  State(Options options, AnswerSink& answers, BusListener& listener)
      : store(std::move(options)), server(store, answers, listener) {}

  Store store;
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
Directory& Backend::directory() { return state_->server.directory(); }
Bus& Backend::bus() { return state_->server.bus(); }
Rosters& Backend::rosters() { return state_->server.rosters(); }
Rates& Backend::rates() { return state_->server.rates(); }
Tables& Backend::tables() { return state_->server.tables(); }

std::uint64_t Backend::stored_rows(const ServerId& server) const {
  return state_->store.directory.stored_rows(server, state_->store.now());
}

std::optional<OwnerRow> Backend::owner_of(const ClientId& client) const {
  return state_->store.directory.newest(client, state_->store.now());
}

void Backend::pump() {
  // What the callbacks call brings answers for the next pump(): one round is finite.
  Store& store = state_->store;
  std::vector<Delivery> round = std::exchange(store.round, {});
  round.swap(store.waiting);
  for (Delivery& delivery : round) deliver(delivery);
  round.clear();
  store.round = std::move(round);
}

}  // namespace wsr::memory
