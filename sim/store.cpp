#include "sim/store.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "core/routing/keeper.hpp"
#include "core/wire/envelope.hpp"
#include "sim/scenario_names.hpp"
#include "sim/store_session.hpp"

namespace wsr::sim {
namespace {

constexpr std::int64_t epoch_us = 1'700'000'000'000'000;  // the store's clock at the start of a run
constexpr Ticket spy_ticket{~std::uint64_t{0}};
// A store_act: the next call after a stall; the end of a session whose host is gone; 0: something for the replica.
constexpr std::uint32_t resume = 1, outlived = 2;

}  // namespace

/// What one server's peer hears from a copy of the store; only the primary's is passed on.
struct StoreModel::PeerEnd final : AnswerSink, BusListener {
  PeerEnd(StoreModel& model_in, Copy& copy_in, std::optional<SessionIndex> session_in)
      : model(model_in), copy(copy_in), session(session_in) {}
  void on_answer(Ticket ticket, Answer&& what) override;
  void on_bus_message(const Channel& channel, std::string_view pattern, std::string_view payload) override;
  void on_resubscribed() override {}
  void on_store_state(StoreState) override {}

  StoreModel& model;
  Copy& copy;
  std::optional<SessionIndex> session;  // none: the spy
  Answer spied;
};

struct StoreModel::Copy {
  explicit Copy(StoreModel& model) : spy(model, *this, std::nullopt) {
    memory::Options options;
    options.owners_max = model.options_.owners_max == 0 ? ~std::uint64_t{0} : model.options_.owners_max;
    options.memberships_max = model.options_.memberships_max == 0 ? ~std::uint64_t{0} : model.options_.memberships_max;
    options.now = [this, &model] { return carried_at ? *carried_at : model.now(); };
    root = std::make_unique<memory::Backend>(std::move(options), spy, spy);
    root->start();
    if (model.options_.has_rooms)
      root->call(spy_ticket, SubscribeCall{Channel{ChannelKind::room, "*"}, Match::pattern});
    root->pump();
  }
  wsr::Backend& peer(StoreModel& model, SessionIndex session) {
    if (session >= peers.size()) peers.resize(session + 1);
    auto& found = peers[session];
    if (!found.backend) {
      found.end = std::make_unique<PeerEnd>(model, *this, session);
      found.backend = root->join(*found.end, *found.end);
    }
    return *found.backend;
  }

  struct Peer {
    std::unique_ptr<PeerEnd> end;
    std::unique_ptr<wsr::Backend> backend;
  };
  PeerEnd spy;
  std::unique_ptr<memory::Backend> root;
  std::vector<Peer> peers;
  std::optional<StoreTime> carried_at;  // a replica carries out at the time of its primary
};

void StoreModel::PeerEnd::on_answer(Ticket ticket, Answer&& what) {
  if (!session) {
    spied = std::move(what);
  } else if (&copy == model.primary_.get()) {
    model.answer(*session, AnswerParcel{ticket, std::move(what), {}});
  }
}

void StoreModel::PeerEnd::on_bus_message(const Channel& channel, std::string_view pattern, std::string_view payload) {
  if (&copy != model.primary_.get()) return;
  for (int copies = model.copies_of(channel, payload); copies > 0; --copies) {
    if (session) {
      model.on_bus(*session, channel, pattern, payload);
    } else {
      model.on_spy(channel, payload);
    }
  }
}

int StoreModel::copies_of(const Channel& channel, std::string_view payload) const {
  if (mutant_ == Mutant::lost_batch && channel.kind == ChannelKind::inbox) {
    const auto header = peek_batch(payload);
    return header && header->to_shard != probe_shard && hash_of(payload) % 50 == 0 ? 0 : 1;
  }
  if (mutant_ != Mutant::lost_leave_event && mutant_ != Mutant::doubled_join_event) return 1;
  if (channel.kind != ChannelKind::room || hash_of(payload) % 4 != 0) return 1;
  const auto event = decode_room_event(payload, {}, channel.name, std::chrono::milliseconds{0});
  const auto* presence = std::get_if<PresenceEvent>(&event);
  if (presence == nullptr) return 1;
  const bool is_join = presence->kind == PresenceEvent::Kind::join;
  if (mutant_ == Mutant::lost_leave_event) return is_join ? 1 : 0;
  return is_join ? 2 : 1;
}

StoreModel::StoreModel(Kernel& kernel, Network& network, Metrics& metrics, const Scenario& scenario,
                       StoreOptions options, StoreWatcher& watcher, Mutant mutant)
    : kernel_(kernel),
      network_(network),
      metrics_(metrics),
      scenario_(scenario),
      options_(options),
      watcher_(watcher),
      mutant_(mutant),
      primary_(make_copy()),
      lags_(scenario.servers + 1) {
  if (scenario.store.has_replica) replica_ = make_copy();
}

StoreModel::~StoreModel() = default;

std::unique_ptr<StoreModel::Copy> StoreModel::make_copy() { return std::make_unique<Copy>(*this); }

StoreTime StoreModel::now() const { return StoreTime{std::chrono::microseconds{epoch_us + kernel_.now() / 1'000}}; }

StoreModel::SessionIndex StoreModel::add(StoreSession& session) {
  sessions_.push_back(Session{.end = &session,
                              .outlives = false,
                              .server = session.server(),
                              .carried_generation = 0,
                              .broken_generation = 0,
                              .commands = {},
                              .subscriber = {},
                              .unread = 0,
                              .channels = {}});
  return static_cast<SessionIndex>(sessions_.size() - 1);
}

void StoreModel::remove(SessionIndex session) {
  sessions_[session].end = nullptr;
  if (!sessions_[session].outlives) bury(session);
}

void StoreModel::outlive(SessionIndex session, Nanos time) {
  sessions_[session].outlives = true;
  kernel_.push(kernel_.now() + time, EventKind::store_act, session, outlived);
}

void StoreModel::bury(SessionIndex session) {
  sessions_[session].outlives = false;
  sessions_[session].channels.clear();
  for (Copy* copy : {primary_.get(), replica_.get()}) {
    // Its subscriptions end with it; what it has called and is under way is still carried out.
    if (copy != nullptr && session < copy->peers.size() && copy->peers[session].backend) {
      copy->peers[session].backend->stop();
    }
  }
}

// ---------------------------------------------------------------- calls

void StoreModel::on_call(const Event& event) {
  if (!is_up_) {
    static_cast<void>(calls.take(event.payload));
    return;
  }
  if (kernel_.now() >= stalled_until_ && stalled_.empty()) {
    return carry_out_now(event.whom, event.what, calls.take(event.payload));
  }
  if (stalled_.empty()) kernel_.push(stalled_until_, EventKind::store_act, 0, resume);
  stalled_.push_back(event);
}

void StoreModel::carry_out_next() {
  if (stalled_.empty()) return;
  if (kernel_.now() < stalled_until_) return kernel_.push(stalled_until_, EventKind::store_act, 0, resume);
  const Event event = stalled_.front();
  stalled_.pop_front();
  if (!stalled_.empty()) kernel_.push(kernel_.now() + 1, EventKind::store_act, 0, resume);
  carry_out_now(event.whom, event.what, calls.take(event.payload));
}

void StoreModel::carry_out_now(SessionIndex index, std::uint32_t generation, CallParcel call) {
  Session& session = sessions_[index];
  metrics_.count(Metric::store_call);
  ++carried_;
  kernel_.fold(call.ticket.value ^ trace_number(call.request));
  if (kernel_.is_traced()) kernel_.note(fmt::format("store: {} (s{})", describe(call.request), session.server));
  session.carried_generation = generation;
  if (is_refused(index, call)) return;
  if (is_of_subscriber(call.request)) {
    if (session.end == nullptr || generation < session.subscriber_generation) return;  // that connection is gone
    if (generation != session.subscriber_generation) {
      clear_channels(index);  // those of the connection before
      session.subscriber_generation = generation;
    }
    if (const auto* subscribe = std::get_if<SubscribeCall>(&call.request)) {
      session.channels.emplace(subscribe->channel, subscribe->match);
    } else if (const auto* unsubscribe = std::get_if<UnsubscribeCall>(&call.request)) {
      if (mutant_ == Mutant::kept_channel && unsubscribe->channel.kind == ChannelKind::room) {
        return answer(index, AnswerParcel{call.ticket, Unsubscribed{}, {}});
      }
      session.channels.erase({unsubscribe->channel, unsubscribe->match});
    }
  } else if (std::holds_alternative<PublishCall>(call.request)) {
    metrics_.count(Metric::message_published);
  }
  if (replica_ != nullptr && is_change(call.request)) {
    const Nanos lag = kernel_.draws.of(scenario_.store.replication_lag, Purpose::replication_lag, 0, ++logged_);
    replication_.last = std::max(replication_.last + 1, kernel_.now() + lag);
    kernel_.push(replication_.last, EventKind::store_act, replica_epoch_, 0, log_.put(Logged{index, call, now()}));
  }
  carry_out_watched(index, call);
}

bool StoreModel::would_refuse(const StoreRequest& request) const {
  if (!refuses_) return false;
  // PUBLISH and SUBSCRIBE write nothing, and a store that loads its data takes them, too.
  if (is_of_subscriber(request) || std::holds_alternative<PublishCall>(request)) return false;
  if (*refuses_ == Step::Code::loading) return true;
  if (*refuses_ != Step::Code::oom) return is_change(request);
  return std::holds_alternative<ClaimCall>(request) || std::holds_alternative<JoinCall>(request) ||
         std::holds_alternative<TakeCall>(request) || std::holds_alternative<TableCall>(request);
}

bool StoreModel::is_refused(SessionIndex index, const CallParcel& call) {
  Session& session = sessions_[index];
  // As core/redis: while writes are refused, and a moment after it, the store cannot know who is where.
  const bool is_in_doubt = (refuses_ && *refuses_ != Step::Code::oom) || kernel_.now() < doubt_until_;
  if (std::holds_alternative<LookupCall>(call.request) && is_in_doubt) {
    metrics_.count(Metric::store_refused);
    Owners refused;
    refused.result = Errc::unavailable;
    answer(index, AnswerParcel{call.ticket, std::move(refused), {}});
    return true;
  }
  if (std::holds_alternative<SubscribeCall>(call.request) && refuses_subscriptions_.contains(session.server)) {
    metrics_.count(Metric::store_refused);
    answer(index, AnswerParcel{call.ticket, Subscribed{Errc::unavailable}, {}});
    return true;
  }
  if (!would_refuse(call.request)) return false;
  metrics_.count(Metric::store_refused);
  if (kernel_.is_traced()) kernel_.note(fmt::format("  refused: {}", name_in(code_names, *refuses_)));
  if (const auto* table = std::get_if<TableCall>(&call.request)) {
    answer(index, AnswerParcel{.ticket = call.ticket, .answer = {}, .table_reply = table->fail});
  } else if (auto refused = failed(call.request.index(), Errc::unavailable)) {
    answer(index, AnswerParcel{call.ticket, *std::move(refused), {}});
  }
  // As core/redis: only another connection may find a store that can.
  if (!takes_commands() && session.end != nullptr) session.end->lose_command_connection(session.carried_generation);
  return true;
}

void StoreModel::carry_out_watched(SessionIndex index, CallParcel& call) {
  Backend& peer = primary_->peer(*this, index);
  const auto deliver = [this, index, ticket = call.ticket](std::function<void()> reply) {
    answer(index, AnswerParcel{.ticket = ticket, .answer = {}, .table_reply = std::move(reply)});
  };
  if (auto* claim = std::get_if<ClaimCall>(&call.request)) {
    const ClaimCall asked = *claim;  // what is watched is what was asked, whatever a mutant makes of it
    if (mutant_ == Mutant::unepoched_claim) {
      claim->accepted_at = now() + std::chrono::hours{1};
      if (claim->epoch_min.value != 0) claim->epoch_min = Epoch{1ULL << 52};
    }
    const auto before = row_of(claim->client);
    carry_out(peer, call, deliver);
    primary_->root->pump();
    const auto after = row_of(claim->client);
    const bool is_in = after && after->at == claim->at;
    if (is_in) metrics_.count(Metric::owner_claimed);
    if (is_in && before && before->at != claim->at) metrics_.count(Metric::owner_displaced);
    if (!is_in) metrics_.count(before ? Metric::owner_superseded : Metric::owner_refused);
    return watcher_.on_claim(asked, before, after);
  }
  if (const auto* asked = std::get_if<ReleaseCall>(&call.request)) {
    const ReleaseCall release = *asked;
    const auto before = row_of(release.client);
    if (mutant_ == Mutant::unfenced_release && before) {
      call.request = ReleaseCall{release.client, before->at};
    }
    carry_out(peer, call, deliver);
    primary_->root->pump();
    const auto after = row_of(release.client);
    const bool is_own = before && before->at == release.at;
    metrics_.count(is_own ? Metric::owner_released : Metric::release_fenced);
    return watcher_.on_release(release, before, after);
  }
  if (const auto* asked = std::get_if<SweepCall>(&call.request)) {
    if (mutant_ == Mutant::unswept_server) {
      return answer(index, AnswerParcel{call.ticket, Swept{}, {}});
    }
    const ServerId dead = asked->dead;
    const bool was_listed = is_listed(dead);
    const std::uint64_t rows = stored_rows(dead);
    carry_out(peer, call, deliver);
    primary_->root->pump();
    if (was_listed > is_listed(dead) || rows > stored_rows(dead)) watcher_.on_swept(dead);
    return;
  }
  if (std::holds_alternative<DropCall>(call.request) && mutant_ == Mutant::kept_place &&
      kernel_.draws.chance(50'000, Purpose::mutant, index, carried_)) {
    return answer(index, AnswerParcel{call.ticket, Left{}, {}});
  }
  if (auto* renew = std::get_if<RenewCall>(&call.request); renew != nullptr && mutant_ == Mutant::short_lease) {
    renew->lease /= 4;
  }
  const auto* publish = std::get_if<PublishCall>(&call.request);
  spies_publish_ = publish != nullptr && publish->channel.kind == ChannelKind::room && options_.has_rooms;
  carry_out(peer, call, deliver);
  primary_->root->pump();
  spies_publish_ = false;
}

void StoreModel::answer(SessionIndex index, AnswerParcel parcel) {
  if (parcel.ticket == spy_ticket) return;  // the model's own doing: no call of a server
  Session& session = sessions_[index];
  if (auto* published = std::get_if<Published>(&parcel.answer);
      published != nullptr && spies_publish_ && published->receivers != 0) {
    --published->receivers;  // the spy is no server
  }
  if (const auto* swept = std::get_if<Swept>(&parcel.answer); swept != nullptr && swept->result == Errc::ok) {
    metrics_.count(Metric::owner_swept, nobody, static_cast<std::int64_t>(swept->rows_removed));
  }
  if (session.end == nullptr) return;
  const bool is_subscriber =
      std::holds_alternative<Subscribed>(parcel.answer) || std::holds_alternative<Unsubscribed>(parcel.answer);
  const std::uint32_t generation = session.carried_generation;
  if (!is_subscriber && generation == session.broken_generation) return;
  if (!is_subscriber && loses_replies_.contains(session.server)) {
    session.broken_generation = generation;
    metrics_.count(Metric::store_reply_lost);
    if (kernel_.is_traced()) kernel_.note("  its reply is lost, and the connection with it");
    session.end->lose_command_connection(generation);
    return;
  }
  Pipe& pipe = is_subscriber ? session.subscriber : session.commands;
  const LinkSpec& link = network_.store_link(session.server);
  const Nanos spent = kernel_.draws.of(scenario_.store.latency, Purpose::store_latency, session.server, carried_);
  Event event{.at = 0,
              .tie = kernel_.draws.bits(Purpose::tie, index, carried_),
              .cause = kernel_.events(),
              .whom = index,
              .payload = answers.put(std::move(parcel)),
              .what = generation << 1 | (is_subscriber ? 1U : 0U),
              .kind = EventKind::store_answer};
  if (network_.is_store_cut(session.server, Way::down)) {
    return network_.hold_store(session.server, Way::down, event, pipe);
  }
  const Nanos at = (is_subscriber ? at_subscriber(session, 100)
                                  : network_.arrival(pipe, link, 100, session.server,
                                                     network_.released_store(session.server, Way::down))) +
                   spent;
  pipe.last = at;
  kernel_.push(event, at);
}

// ---------------------------------------------------------------- the bus

void StoreModel::on_bus(SessionIndex index, const Channel& channel, std::string_view pattern,
                        std::string_view payload) {
  Session& session = sessions_[index];
  if (session.end == nullptr && !session.outlives) return;
  const std::uint32_t generation = session.subscriber_generation;
  session.unread += payload.size() + 64;
  if (session.unread > scenario_.store.subscriber_buffer) {
    kernel_.note(fmt::format("store: s{} reads its channels too slowly and is cut off", session.server));
    return session.outlives ? bury(index) : drop_subscriber(index);
  }
  if (session.outlives) return;  // nobody reads it
  Event event{.at = 0,
              .tie = kernel_.draws.bits(Purpose::tie, index, ++carried_),
              .cause = kernel_.events(),
              .whom = index,
              .payload = messages.put(BusParcel{channel, std::string(pattern), std::string(payload)}),
              .what = generation,
              .kind = EventKind::bus_message};
  if (network_.is_store_cut(session.server, Way::down)) {
    return network_.hold_store(session.server, Way::down, event, session.subscriber);
  }
  kernel_.push(event, at_subscriber(session, payload.size()));
}

Nanos StoreModel::at_subscriber(Session& session, std::size_t bytes) {
  // The lag is of the whole stream: each piece is so late, and none overtakes another.
  Pipe& pipe = session.subscriber;
  const Nanos before = pipe.last, lag = lags_[session.server];
  if (lag != 0) pipe.last = 0;
  const Nanos at = network_.arrival(pipe, network_.store_link(session.server), bytes, session.server,
                                    network_.released_store(session.server, Way::down));
  pipe.last = std::max(at + lag, before + 1);
  return pipe.last;
}

void StoreModel::on_spy(const Channel& channel, std::string_view payload) {
  if (channel.kind == ChannelKind::room) {
    watcher_.on_room_event(channel.name, decode_room_event(payload, {}, channel.name, std::chrono::milliseconds{0}));
  }
}

void StoreModel::on_subscriber_read(SessionIndex index, std::uint32_t generation, std::size_t bytes) {
  Session& session = sessions_[index];
  if (session.end == nullptr || generation != session.subscriber_generation) return;
  session.unread -= std::min(session.unread, bytes + 64);
}

void StoreModel::drop_subscriber(SessionIndex index) {
  Session& session = sessions_[index];
  clear_channels(index);
  if (session.end != nullptr) session.end->lose_subscriber(session.end->subscriber_generation());
}

void StoreModel::clear_channels(SessionIndex index) {
  Session& session = sessions_[index];
  for (const auto& [channel, match] : std::exchange(session.channels, {})) {
    primary_->peer(*this, index).call(spy_ticket, UnsubscribeCall{channel, match});
  }
  session.unread = 0;
}

bool StoreModel::is_subscribed(SessionIndex index, const Channel& channel) const {
  return sessions_[index].channels.contains({channel, Match::exact});
}

std::uint64_t StoreModel::room_channels(SessionIndex index) const {
  const auto& channels = sessions_[index].channels;
  return static_cast<std::uint64_t>(std::count_if(
      channels.begin(), channels.end(), [](const auto& each) { return each.first.kind == ChannelKind::room; }));
}

// ---------------------------------------------------------------- faults

void StoreModel::on_act(const Event& event) {
  if (event.what == resume) return carry_out_next();
  if (event.what == outlived) return sessions_[event.whom].outlives ? bury(event.whom) : void();
  Logged logged = log_.take(event.payload);
  if (replica_ == nullptr || event.whom != replica_epoch_) return;
  replica_->carried_at = logged.at;
  carry_out(replica_->peer(*this, logged.session), logged.call, [](const std::function<void()>&) {});
  replica_->root->pump();
  replica_->carried_at.reset();
}

void StoreModel::stall(Nanos until) { stalled_until_ = std::max(stalled_until_, until); }

void StoreModel::reset_connections() {
  for (const Event& event : std::exchange(stalled_, {})) static_cast<void>(calls.take(event.payload));
  for (Session& session : sessions_) {
    session.channels.clear();
    session.unread = 0;
    session.outlives = false;
    if (session.end == nullptr) continue;
    session.end->lose_command_connection(session.end->command_generation());
    session.end->lose_subscriber(session.end->subscriber_generation());
  }
}

void StoreModel::go_down() {
  if (!std::exchange(is_up_, false)) return;
  reset_connections();
}

void StoreModel::come_up() {
  if (std::exchange(is_up_, true)) return;
  primary_ = make_copy();  // nothing was written to disk
  empty_replica();
  metrics_.count(Metric::store_forgotten);
  watcher_.on_forgotten();
}

void StoreModel::empty_replica() {
  if (replica_ == nullptr) return;
  ++replica_epoch_;  // what was on its way there came before
  replica_ = make_copy();
}

void StoreModel::flush() {
  primary_ = make_copy();
  empty_replica();
  for (SessionIndex i = 0; i < sessions_.size(); ++i) {
    for (const auto& [channel, match] : sessions_[i].channels) {
      primary_->peer(*this, i).call(spy_ticket, SubscribeCall{channel, match});
    }
  }
  primary_->root->pump();
  metrics_.count(Metric::store_forgotten);
  watcher_.on_forgotten();
}

void StoreModel::failover() {
  metrics_.count(Metric::store_failover);
  ++replica_epoch_;
  if (replica_ == nullptr) {
    primary_ = make_copy();  // nobody to take over: as after a restart
  } else {
    primary_ = std::move(replica_);
  }
  reset_connections();
  metrics_.count(Metric::store_forgotten);
  watcher_.on_forgotten();
}

void StoreModel::lose_replies(std::uint32_t server, bool is_on) {
  if (is_on) {
    loses_replies_.insert(server);
  } else {
    loses_replies_.erase(server);
  }
}

void StoreModel::refuse(std::optional<Step::Code> code) {
  if (refuses_ && *refuses_ != Step::Code::oom && !code) doubt_until_ = kernel_.now() + 2 * second;
  refuses_ = code;
}

void StoreModel::refuse_subscriptions(std::uint32_t server, bool is_on) {
  if (is_on) {
    refuses_subscriptions_.insert(server);
  } else {
    refuses_subscriptions_.erase(server);
  }
}

void StoreModel::forget_subscriptions(std::uint32_t server) {
  for (SessionIndex i = 0; i < sessions_.size(); ++i) {
    Session& session = sessions_[i];
    if (session.server != server || session.end == nullptr) continue;
    clear_channels(i);
    primary_->root->pump();
  }
}

void StoreModel::heal() {
  stalled_until_ = 0;
  if (!stalled_.empty()) kernel_.push(kernel_.now(), EventKind::store_act, 0, resume);
  loses_replies_.clear();
  refuses_subscriptions_.clear();
  refuse(std::nullopt);
  std::fill(lags_.begin(), lags_.end(), 0);
  for (SessionIndex i = 0; i < sessions_.size(); ++i) {
    if (sessions_[i].outlives) bury(i);
  }
  if (!is_up_) come_up();
}

// ---------------------------------------------------------------- looks

template <class Call>
typename Call::Answer StoreModel::ask(Call call) {
  primary_->spy.spied = {};
  primary_->root->call(spy_ticket, std::move(call));
  primary_->root->pump();
  auto* found = std::get_if<typename Call::Answer>(&primary_->spy.spied);
  return found == nullptr ? typename Call::Answer{} : std::move(*found);
}

std::optional<OwnerRow> StoreModel::row_of(const ClientId& client) { return primary_->root->owner_of(client); }

RoomInfo StoreModel::room_info(const RoomName& room) { return ask(RoomInfoCall{room}); }

std::vector<ClientId> StoreModel::members_of(const RoomName& room) {
  std::vector<ClientId> all;
  for (std::string cursor = "0";;) {
    auto page = ask(RosterPageCall{room, cursor, 1'000});
    all.insert(all.end(), page.members.begin(), page.members.end());
    if (page.cursor == "0" || page.cursor.empty()) return all;
    cursor = page.cursor;
  }
}

std::vector<RoomName> StoreModel::rooms() {
  std::vector<RoomName> all;
  for (std::string cursor = "0";;) {
    auto page = ask(RoomsCall{cursor, 1'000});
    for (auto& [room, size] : page.rooms) all.push_back(std::move(room));
    if (page.cursor == "0" || page.cursor.empty()) return all;
    cursor = page.cursor;
  }
}

std::vector<std::pair<ServerId, std::uint64_t>> StoreModel::rows_by_server() { return ask(CountsCall{}).by_server; }

std::vector<std::pair<ServerId, std::uint64_t>> StoreModel::stored_by_server() {
  std::vector<std::pair<ServerId, std::uint64_t>> all;
  for (const ServerRow& row : registry().rows) all.emplace_back(row.server, primary_->root->stored_rows(row.server));
  return all;
}

bool StoreModel::is_listed(const ServerId& server) {
  const auto rows = registry().rows;
  return std::any_of(rows.begin(), rows.end(), [&](const ServerRow& row) { return row.server == server; });
}

std::uint64_t StoreModel::stored_rows(const ServerId& server) { return primary_->root->stored_rows(server); }

std::uint64_t StoreModel::table_rows(std::string_view table) {
  std::uint64_t rows = 0;
  primary_->root->tables().count(
      table, [&rows](const Result<std::uint64_t>& count) { rows = count.has_value() ? *count : 0; });
  primary_->root->pump();
  return rows;
}

std::optional<Row> StoreModel::table_row(std::string_view table, std::string_view key) {
  std::optional<Row> found;
  primary_->root->tables().get(table, key, [&found](const Result<Row>& row) {
    if (row.has_value()) found = *row;
  });
  primary_->root->pump();
  return found;
}

Servers StoreModel::registry() { return ask(ServersCall{}); }

}  // namespace wsr::sim
