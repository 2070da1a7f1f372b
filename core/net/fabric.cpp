#include "core/net/fabric.hpp"

#include <array>
#include <map>
#include <utility>
#include <vector>

#include "core/net/alive.hpp"
#include "core/net/asio.hpp"
#include "core/net/hash_key.hpp"
#include "core/net/hub.hpp"
#include "core/net/shard.hpp"
#include "core/net/version.hpp"

namespace wsr::net {
namespace {

/// The application's connections: what a Gate is for sockets.
class Attached final : public ShardWorld {
public:
  struct One {
    ClientId client;
    Fabric::OnMessage on_message;
    Fabric::OnClosed on_closed;
    Fabric::OnEvent on_event;
  };

  void bind(Shard& shard) { shard_ = &shard; }

  void add(ConnId conn, One one) {
    by_client_[one.client].push_back(conn);
    ones_.emplace(conn, std::move(one));
    ++shard_->hub().connections;
  }

  /// Forgets the connection and tells the Router; its callbacks are not called again.
  One remove(ConnId conn) {
    const auto found = ones_.find(conn);
    if (found == ones_.end()) return {};
    One one = std::move(found->second);
    ones_.erase(found);
    const auto conns = by_client_.find(one.client);
    std::erase(conns->second, conn);
    if (conns->second.empty()) by_client_.erase(conns);
    --shard_->hub().connections;
    shard_->input().closed(conn);
    return one;
  }

  [[nodiscard]] std::vector<ConnId> of(const ClientId& client) const {
    const auto found = by_client_.find(client);
    return found == by_client_.end() ? std::vector<ConnId>{} : found->second;
  }

  [[nodiscard]] std::vector<ConnId> all() const {
    std::vector<ConnId> conns;
    for (const auto& [conn, one] : ones_) conns.push_back(conn);
    return conns;
  }

  void wake(ConnId conn) override { dirty_.push_back(conn); }
  void close(ConnId conn, std::uint16_t code, std::string_view reason) override {
    closing_.push_back({conn, static_cast<CloseCode>(code), std::string(reason)});
  }
  void on_owned(ConnId, Errc, std::string_view) override {}  // a refused claim is closed, which on_closed tells

  void flush() override {
    // Messages before closes: what was accepted is handed over.
    for (const ConnId conn : std::exchange(dirty_, {})) hand_over(conn);
    for (auto& closing : std::exchange(closing_, {})) {
      const One one = remove(closing.conn);
      if (one.on_closed) one.on_closed(closing.code, closing.reason);
    }
  }

  void add_figures(ServerStats& stats) const override { stats.connections += ones_.size(); }

private:
  struct Closing {
    ConnId conn;
    CloseCode code;
    std::string reason;
  };

  void hand_over(ConnId conn) {
    for (;;) {
      const auto one = ones_.find(conn);  // asked anew each time: a callback may release it
      auto* outbox = shard_->router().outbox(conn);
      if (one == ones_.end() || outbox == nullptr || outbox->is_empty()) return;
      std::array<std::string_view, 1> piece;
      if (outbox->gather(piece) == 0) return;
      const bool is_direct = outbox->next_topic() == Topic::direct;
      const std::string data(piece[0]);
      outbox->taken(data.size());
      if (outbox->is_tell_due()) shard_->input().on_written(conn);
      const auto hear = is_direct ? one->second.on_message : one->second.on_event;
      if (hear) hear(data);
    }
  }

  Shard* shard_ = nullptr;
  std::map<ConnId, One> ones_;
  std::map<ClientId, std::vector<ConnId>> by_client_;
  std::vector<ConnId> dirty_;
  std::vector<Closing> closing_;
};

}  // namespace

struct Fabric::State {
  State(asio::io_context& context, const FabricOptions& options, const BackendFactory& make_backend)
      : io(context),
        role(options.role),
        hub(context,
            HubOptions{
                .self = options.id,
                .info = ServerInfo{.url = options.url, .bus_version = batch_version, .version = std::string(version())},
                .policy = options.policy,
                .keys = options.keys,
                .lease = options.lease,
                .probe_every = options.probe_every,
                .linger = std::chrono::ceil<std::chrono::milliseconds>(options.limits.reconnect_grace),
                .role = options.role},
            make_backend),
        shard(context, hub, 0, attached, options.limits) {
    attached.bind(shard);
    hub.add_shard(shard);
  }

  asio::io_context& io;
  KeeperOptions::Role role;
  Attached attached;
  Hub hub;
  Shard shard;
};

Fabric::Fabric(asio::io_context& io, const FabricOptions& options, const BackendFactory& make_backend)
    : state_((draw_hash_key(), std::make_unique<State>(io, options, make_backend))) {}
Fabric::~Fabric() = default;

void Fabric::start(std::function<void()> on_ready) {
  state_->hub.start();
  state_->hub.when_ready(std::move(on_ready));
}

void Fabric::stop(std::function<void()> on_stopped) {
  for (const ConnId conn : state_->attached.all()) state_->attached.remove(conn);
  state_->hub.stop(std::move(on_stopped));
}

Result<ConnId> Fabric::own(const ClientId& client, OnMessage on_message, OnClosed on_closed, OnEvent on_event) {
  if (state_->role == KeeperOptions::Role::guest) {
    return Error{Errc::forbidden, "a guest owns no clients: start the fabric with the role `server`"};
  }
  auto conn = state_->shard.input().open(client, Framing::raw, state_->shard.store_time(clock_now()));
  if (conn) state_->attached.add(*conn, {client, std::move(on_message), std::move(on_closed), std::move(on_event)});
  return conn;
}

void Fabric::release(ConnId conn) { state_->attached.remove(conn); }

void Fabric::release(const ClientId& client) {
  for (const ConnId conn : state_->attached.of(client)) state_->attached.remove(conn);
}

void Fabric::send_to_client(const ClientId& from, const ClientId& to, std::string_view json,
                            std::function<void(Sent)> reply) {
  state_->shard.send(from, to, json, std::move(reply));
}

void Fabric::broadcast(std::string_view channel, std::string_view payload, std::function<void(Published)> reply) {
  state_->shard.broadcast(channel, payload, std::move(reply));
}

SubscriptionId Fabric::subscribe(std::string_view channel_or_pattern, Match match, ChannelHandler handler,
                                 std::function<void(Errc)> reply) {
  return state_->hub.subscribe({match, std::string(channel_or_pattern)}, std::move(handler), std::move(reply));
}

void Fabric::unsubscribe(SubscriptionId id) { state_->hub.unsubscribe(id); }

void Fabric::join(const RoomName& room, const ClientId& client, std::function<void(RoomDone)> reply) {
  state_->shard.join(room, client, std::move(reply));
}
void Fabric::leave(const RoomName& room, const ClientId& client, std::function<void(RoomDone)> reply) {
  state_->shard.leave(room, client, std::move(reply));
}
void Fabric::push(const RoomName& room, const ClientId& from, std::string_view json, Echo echo,
                  std::function<void(RoomPushed)> reply) {
  state_->shard.push(room, from, json, echo, std::move(reply));
}
void Fabric::room_info(const RoomName& room, std::function<void(RoomInfo)> reply) {
  state_->shard.room_info(room, std::move(reply));
}
void Fabric::room_members(const RoomName& room, std::string_view cursor, std::uint32_t count,
                          std::function<void(RosterPage)> reply) {
  state_->shard.room_members(room, cursor, count, std::move(reply));
}
void Fabric::is_member(const RoomName& room, const ClientId& client, std::function<void(Errc, bool)> reply) {
  state_->shard.room_member(room, client,
                            [reply = std::move(reply)](const RoomInfo& info) { reply(info.result, info.size != 0); });
}
void Fabric::rooms(std::string_view cursor, std::uint32_t count, std::function<void(RoomPage)> reply) {
  state_->shard.rooms(cursor, count, std::move(reply));
}
WatchId Fabric::watch(const RoomName& room, RoomHandlers handlers, std::function<void(Errc)> reply) {
  return state_->shard.watch(room, std::move(handlers), std::move(reply));
}
void Fabric::unwatch(WatchId watch) { state_->shard.unwatch(watch); }

void Fabric::online_count(std::function<void(Errc, std::uint64_t)> reply) {
  state_->shard.counts([reply = std::move(reply)](const OwnerCounts& counts) {
    std::uint64_t total = 0;
    for (const auto& [server, count] : counts.by_server) total += count;
    reply(counts.result, total);
  });
}

void Fabric::online_by_server(std::function<void(OwnerCounts)> reply) { state_->shard.counts(std::move(reply)); }
void Fabric::lookup(const ClientId& client, std::function<void(Owners)> reply) {
  state_->shard.lookup(client, std::move(reply));
}
void Fabric::owners(std::string_view cursor, std::uint32_t count, std::function<void(OwnerPage)> reply) {
  state_->shard.page(cursor, count, std::move(reply));
}
void Fabric::servers(std::function<void(Servers)> reply) { state_->shard.servers(std::move(reply)); }
void Fabric::stats(std::function<void(ServerStats)> reply) { state_->shard.stats(std::move(reply)); }
void Fabric::kick(const Attachment& at, CloseCode code, std::string_view reason) {
  state_->shard.kick(at, code, reason);
}
Readiness Fabric::readiness() const { return state_->hub.readiness(); }
const ServerId& Fabric::self() const { return state_->hub.self(); }
Tables& Fabric::tables() { return state_->hub.backend().tables(); }

}  // namespace wsr::net
