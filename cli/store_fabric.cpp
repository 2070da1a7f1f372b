// The fabric runs on a thread of its own; each call is posted there, and its answer awaited here. So the store's
// connections are kept alive also while a command sleeps (`wsr owners watch`).
#include "cli/store_fabric.hpp"

#include <fmt/format.h>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <chrono>
#include <future>
#include <random>
#include <stdexcept>
#include <thread>
#include <utility>

#include "cli/exit_code.hpp"
#include "cli/identity.hpp"
#include "cli/store_log.hpp"
#include "core/net/fabric.hpp"
#include "core/redis/backend.hpp"
#include "core/wire/client_protocol.hpp"

namespace wsr::cli {
namespace {

using namespace std::chrono_literals;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr milliseconds start_within = 5s;
constexpr milliseconds answer_within = 15s;       // above every deadline of the core: it answers first
constexpr milliseconds hand_over_within = 500ms;  // see send_without_waiting()
constexpr milliseconds stop_within = 2s;
constexpr milliseconds watch_look_every = 50ms;  // for a signal, or a store that is lost

redis::Options redis_options(const FabricOptions& options) {
  auto address = redis::Address::parse(options.store);
  if (!address) throw UsageError(fmt::format("--store: {}", address.error().message));
  redis::Options store;
  store.address = std::move(*address);
  store.prefix = options.prefix;
  store.ca_file = options.store_ca;
  std::random_device random;
  store.random_seed = (static_cast<std::uint64_t>(random()) << 32) | random();
  return store;
}

class StoreFabric final : public FabricClient {
public:
  StoreFabric(redis::Options store, BatchKeys keys) : store_name_(store.address.str()) {
    store.log = log_.sink();
    net::FabricOptions options;
    options.id = new_server_id(default_server_name());
    options.keys = std::move(keys);
    options.role = KeeperOptions::Role::guest;
    fabric_ = std::make_unique<net::Fabric>(
        io_, options,
        [store = std::move(store)](boost::asio::io_context& io, AnswerSink& answers, BusListener& listener) {
          return redis::make_backend(io, store, answers, listener);
        });
    thread_ = std::thread([this] { io_.run(); });
  }

  ~StoreFabric() override {
    auto stopped = asked<bool>([this](auto done) { fabric_->stop([done] { done->set_value(true); }); });
    stopped.wait_for(stop_within);  // a store that hangs does not keep a command from ending
    io_.stop();
    thread_.join();
  }

  void start() {
    auto ready = asked<bool>([this](auto done) { fabric_->start([done] { done->set_value(true); }); });
    if (ready.wait_for(start_within) != std::future_status::ready) {
      throw std::runtime_error(log_.explain(
          fmt::format("the store at {} did not answer within {} s", store_name_, start_within.count() / 1000)));
    }
  }

  std::vector<SendResult> send(const ClientId& from, const std::vector<ClientId>& to, std::string_view data,
                               Wait wait) override {
    std::vector<std::future<SendResult>> words;
    words.reserve(to.size());
    for (const auto& client : to) words.push_back(send_one(from, client, std::string(data)));
    std::vector<SendResult> results;
    results.reserve(to.size());
    if (wait == Wait::not_at_all) {
      // A message that is still looking for its server would end with this process: it gets a moment to leave.
      const auto until = steady_clock::now() + hand_over_within;
      for (auto& word : words) word.wait_until(until);
      for (const auto& client : to) results.push_back({client, "accepted", {}, {}, 0});
    } else {
      for (auto& word : words) results.push_back(awaited(word));
    }
    return results;
  }

  std::vector<OwnerRow> lookup(const ClientId& client) override {
    return asked_store<Owners>([this, client](auto reply) { fabric_->lookup(client, std::move(reply)); }).rows;
  }
  OwnerPage page(std::string_view cursor, std::uint32_t count) override {
    return asked_store<OwnerPage>(
        [this, at = std::string(cursor), count](auto reply) { fabric_->owners(at, count, std::move(reply)); });
  }
  OwnerCounts counts() override {
    return asked_store<OwnerCounts>([this](auto reply) { fabric_->online_by_server(std::move(reply)); });
  }
  Servers servers() override {
    return asked_store<Servers>([this](auto reply) { fabric_->servers(std::move(reply)); });
  }

  std::uint64_t kick(const ClientId& client) override {
    const auto rows = lookup(client);
    if (rows.empty()) return 0;
    auto kicked = asked<bool>([this, rows](auto done) {
      for (const auto& row : rows) fabric_->kick(row.at, CloseCode::policy, "closed by an operator");
      done->set_value(true);
    });
    (void)awaited(kicked);
    // A kick has no answer of its own: a round trip behind it on the same connection shows that it has left.
    (void)counts();
    return rows.size();
  }

  RoomPage rooms(std::string_view cursor, std::uint32_t count) override {
    return asked_store<RoomPage>(
        [this, at = std::string(cursor), count](auto reply) { fabric_->rooms(at, count, std::move(reply)); });
  }
  RoomInfo room_info(const RoomName& room) override {
    return asked_store<RoomInfo>([this, room](auto reply) { fabric_->room_info(room, std::move(reply)); });
  }
  RosterPage room_members(const RoomName& room, std::string_view cursor, std::uint32_t count) override {
    return asked_store<RosterPage>([this, room, at = std::string(cursor), count](auto reply) {
      fabric_->room_members(room, at, count, std::move(reply));
    });
  }
  bool is_member(const RoomName& room, const ClientId& client) override {
    auto future = asked<std::pair<Errc, bool>>([this, room, client](const Promise<std::pair<Errc, bool>>& done) {
      fabric_->is_member(room, client, [done](Errc result, bool is_there) { done->set_value({result, is_there}); });
    });
    const auto [result, is_there] = awaited(future);
    refuse_if_away(result, {});
    return is_there;
  }
  RoomDone join(const RoomName& room, const ClientId& client) override {
    return room_done([this, room, client](auto reply) { fabric_->join(room, client, std::move(reply)); });
  }
  RoomDone leave(const RoomName& room, const ClientId& client) override {
    return room_done([this, room, client](auto reply) { fabric_->leave(room, client, std::move(reply)); });
  }
  RoomPushed push(const RoomName& room, const ClientId& from, std::string_view data, Echo echo) override {
    auto future =
        asked<RoomPushed>([this, room, from, text = std::string(data), echo](const Promise<RoomPushed>& done) {
          fabric_->push(room, from, text, echo, [done](RoomPushed pushed) { done->set_value(std::move(pushed)); });
        });
    auto pushed = awaited(future);
    refuse_if_away(pushed.result, pushed.detail);
    return pushed;
  }

  void watch(const RoomName& room, const std::function<void(std::string_view)>& on_frame,
             const Interruption& interruption) override {
    net::RoomHandlers handlers;
    handlers.on_message = [room, on_frame](std::string_view from, std::string_view data) {
      std::string frame;
      append_room_message(frame, room.view(), from, data);
      on_frame(frame);
    };
    handlers.on_presence = [room, on_frame](const RoomPresence& presence) {
      std::string frame;
      append_presence(frame, room.view(), presence.kind == PresenceEvent::Kind::join ? "join" : "leave",
                      presence.client, presence.size, presence.version);
      on_frame(frame);
    };
    const auto heard_of = log_.losses();
    auto stands = asked<std::pair<Errc, net::WatchId>>([this, room, handlers = std::move(handlers)](const auto& done) {
      auto id = std::make_shared<net::WatchId>(0);
      *id = fabric_->watch(room, handlers, [done, id](Errc result) { done->set_value({result, *id}); });
    });
    const auto [result, id] = awaited(stands);
    refuse_if_away(result, {});
    std::string frame;
    append_watching(frame, room.view());
    on_frame(frame);
    // A connection that is lost is made anew, but what was said meanwhile is not said again: better to end than to
    // look as if nothing had been said.
    while (!interruption.is_asked_within(watch_look_every)) {
      if (log_.losses() != heard_of) throw std::runtime_error(log_.explain("what happens in the room is not heard"));
    }
    auto ended = asked<bool>([this, watch = id](const auto& done) {
      fabric_->unwatch(watch);
      done->set_value(true);
    });
    static_cast<void>(awaited(ended));
  }

private:
  template <class T>
  using Promise = std::shared_ptr<std::promise<T>>;

  void refuse_if_away(Errc result, const std::string& detail) const {
    if (result != Errc::unavailable && result != Errc::timeout) return;
    throw std::runtime_error(
        fmt::format("the store at {}: {}", store_name_, detail.empty() ? to_string(result) : detail));
  }

  template <class Call>
  RoomDone room_done(Call call) {
    auto future = asked<RoomDone>([call = std::move(call)](const Promise<RoomDone>& done) {
      call([done](RoomDone ended) { done->set_value(std::move(ended)); });
    });
    auto ended = awaited(future);
    refuse_if_away(ended.result, ended.detail);
    return ended;
  }

  /// Runs `call(promise)` on the fabric's thread. The promise is shared: an answer after its deadline finds it alive.
  template <class T, class Call>
  std::future<T> asked(Call call) {
    auto promise = std::make_shared<std::promise<T>>();
    auto future = promise->get_future();
    boost::asio::post(io_, [call = std::move(call), promise = std::move(promise)] { call(promise); });
    return future;
  }

  template <class T>
  T awaited(std::future<T>& future) const {
    if (future.wait_for(answer_within) != std::future_status::ready) {
      throw std::runtime_error(fmt::format("the store at {} does not answer", store_name_));
    }
    return future.get();
  }

  /// A question whose answer carries the store's result.
  template <class T, class Call>
  T asked_store(Call call) {
    auto future = asked<T>(
        [call = std::move(call)](Promise<T> done) { call([done](T answer) { done->set_value(std::move(answer)); }); });
    auto answer = awaited(future);
    if (answer.result != Errc::ok) {
      throw std::runtime_error(fmt::format("the store at {}: {}", store_name_, to_string(answer.result)));
    }
    return answer;
  }

  std::future<SendResult> send_one(const ClientId& from, const ClientId& to, std::string data) {
    return asked<SendResult>([this, from, to, data = std::move(data)](const Promise<SendResult>& done) {
      const auto begun = steady_clock::now();
      fabric_->send_to_client(from, to, data, [to, begun, done](const Sent& sent) {
        const std::chrono::duration<double, std::milli> took = steady_clock::now() - begun;
        done->set_value(
            {to, std::string(state_of(sent.word)), std::string(reason_of(sent.word)), sent.server, took.count()});
      });
    });
  }

  StoreLog log_;
  std::string store_name_;  // without its password
  boost::asio::io_context io_{1};
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_{io_.get_executor()};
  std::unique_ptr<net::Fabric> fabric_;
  std::thread thread_;
};

}  // namespace

std::unique_ptr<FabricClient> make_store_fabric(const FabricOptions& options) {
  auto store = redis_options(options);
  auto fabric = std::make_unique<StoreFabric>(std::move(store), parse_bus_keys(options.bus_keys));
  fabric->start();
  return fabric;
}

}  // namespace wsr::cli
