#include "sim/store_session.hpp"

#include <algorithm>
#include <stdexcept>
#include <utility>

namespace wsr::sim {

StoreSession::StoreSession(Kernel& kernel, Network& network, StoreModel& store, std::uint32_t server,
                           AnswerSink& answers, BusListener& listener)
    : kernel_(kernel),
      network_(network),
      store_(store),
      server_(server),
      answers_(answers),
      listener_(listener),
      index_(store.add(*this)) {}

StoreSession::~StoreSession() { store_.remove(index_); }

void StoreSession::start() {
  is_started_ = true;
  retry(commands_, Timer::retry_commands);
  retry(subscriber_, Timer::retry_subscriber);
}

void StoreSession::stop() {
  is_started_ = false;
  fail(std::exchange(pending_, {}), Errc::unavailable);
  fail(std::exchange(unsent_, {}), Errc::unavailable);
  for (const CallParcel& call : std::exchange(subscriber_calls_, {})) {
    if (auto answer = failed(call.request.index(), Errc::unavailable))
      answers_.on_answer(call.ticket, std::move(*answer));
  }
  store_.remove(index_);
}

// ---------------------------------------------------------------- calls

void StoreSession::call(Ticket ticket, StoreRequest request) {
  CallParcel call{ticket, std::move(request)};
  if (is_of_subscriber(call.request)) {
    if (const auto* subscribe = std::get_if<SubscribeCall>(&call.request)) {
      channels_.emplace(subscribe->channel, subscribe->match);
    } else if (const auto* unsubscribe = std::get_if<UnsubscribeCall>(&call.request)) {
      channels_.erase({unsubscribe->channel, unsubscribe->match});
      refused_.erase({unsubscribe->channel, unsubscribe->match});
    }
    subscriber_calls_.push_back(call);
    if (subscriber_.is_up) send(subscriber_, std::move(call));
    return;
  }
  Pending pending{ticket, call.request.index(), kernel_.now(), {}};
  if (const auto* table = std::get_if<TableCall>(&call.request)) pending.fail = table->fail;
  if (!commands_.is_up) {
    // Answered in an event of its own: a port never answers inline. The connection may be back by then.
    unsent_.push_back(std::move(pending));
    return push_timer(kernel_.now() + 1, Timer::unsent, 0);
  }
  pending_.push_back(std::move(pending));
  send(commands_, std::move(call));
  arm_deadline();
}

void StoreSession::send(Line& line, CallParcel call) {
  const std::size_t bytes = bytes_of(call.request);
  Event event{.at = 0,
              .tie = kernel_.draws.bits(Purpose::tie, index_, line.pipe.last ^ call.ticket.value),
              .cause = kernel_.events(),
              .whom = index_,
              .payload = store_.calls.put(std::move(call)),
              .what = line.generation,
              .kind = EventKind::store_call};
  if (network_.is_store_cut(server_, Way::up)) return network_.hold_store(server_, Way::up, event, line.pipe);
  kernel_.push(event, network_.arrival(line.pipe, network_.store_link(server_), bytes, server_,
                                       network_.released_store(server_, Way::up)));
}

void StoreSession::push_timer(Nanos at, Timer timer, std::uint32_t generation) {
  kernel_.push(at, EventKind::store_timer, index_, static_cast<std::uint32_t>(timer), generation);
}

void StoreSession::arm_deadline() {
  if (is_deadline_armed_ || pending_.empty()) return;
  is_deadline_armed_ = true;
  push_timer(pending_.front().since + reply_within, Timer::deadline, 0);
}

std::uint64_t StoreSession::room_channels() const {
  return static_cast<std::uint64_t>(std::count_if(
      channels_.begin(), channels_.end(), [](const auto& each) { return each.first.kind == ChannelKind::room; }));
}

// ---------------------------------------------------------------- connections

void StoreSession::lose_command_connection(std::uint32_t generation) {
  if (!is_started_ || generation != commands_.generation || !commands_.is_up) return;
  const Nanos at = network_.arrival(commands_.pipe, network_.store_link(server_), 0, server_);
  push_timer(at, Timer::lost_commands, generation);
}

void StoreSession::lose_subscriber(std::uint32_t generation) {
  if (!is_started_ || generation != subscriber_.generation || !subscriber_.is_up) return;
  const Nanos at = network_.arrival(subscriber_.pipe, network_.store_link(server_), 0, server_);
  push_timer(at, Timer::lost_subscriber, generation);
}

void StoreSession::on_cut() {
  push_timer(kernel_.now() + 2 * subscriber_ping_every, Timer::watchdog, subscriber_.generation);
}

void StoreSession::fail(const std::deque<Pending>& failing, Errc result) {
  for (const Pending& pending : failing) {
    if (pending.fail) {
      pending.fail();
    } else if (auto answer = failed(pending.request, result)) {
      answers_.on_answer(pending.ticket, std::move(*answer));
    }
  }
}

bool StoreSession::is_reachable() const {
  return store_.is_up() && !network_.is_store_cut(server_, Way::up) && !network_.is_store_cut(server_, Way::down);
}

void StoreSession::retry(Line& line, Timer timer) {
  const Nanos round_trip =
      2 * kernel_.draws.of(network_.store_link(server_).latency, Purpose::latency, server_,
                           static_cast<std::uint64_t>(kernel_.now()) ^ static_cast<std::uint32_t>(timer));
  push_timer(kernel_.now() + (line.generation == 0 ? 0 : line.backoff) + round_trip, timer, line.generation);
  line.backoff = std::min(2 * line.backoff, backoff_max);
}

void StoreSession::on_timer(const Event& event) {
  if (!is_started_) return;
  const auto timer = static_cast<Timer>(event.what);
  const std::uint32_t generation = event.payload;
  switch (timer) {
    case Timer::deadline: {
      is_deadline_armed_ = false;
      if (pending_.empty()) return;
      if (!commands_.is_up || pending_.front().since + reply_within > kernel_.now()) return arm_deadline();
      kernel_.note("the store has not answered in time: the connection is remade");
      [[fallthrough]];
    }
    case Timer::lost_commands: {
      if (timer == Timer::lost_commands && generation != commands_.generation) return;
      const bool was_up = std::exchange(commands_.is_up, false);
      if (was_up) {
        ++commands_.generation;
        listener_.on_store_state(StoreState::down);
        retry(commands_, Timer::retry_commands);
      }
      return fail(std::exchange(pending_, {}), timer == Timer::deadline ? Errc::timeout : Errc::unavailable);
    }
    case Timer::unsent:
      return fail(std::exchange(unsent_, {}), Errc::unavailable);
    case Timer::retry_commands:
      if (commands_.is_up || generation != commands_.generation) return;
      if (!is_reachable() || !store_.takes_commands()) return retry(commands_, Timer::retry_commands);
      commands_.is_up = true;
      ++commands_.generation;
      commands_.backoff = backoff_min;
      return listener_.on_store_state(StoreState::up);
    case Timer::refused: {
      if (generation != subscriber_.generation || !subscriber_.is_up) return;
      for (const auto& [channel, match] : std::exchange(refused_, {})) {
        CallParcel call{Ticket{}, SubscribeCall{channel, match}};
        subscriber_calls_.push_back(call);
        send(subscriber_, std::move(call));
        ++confirmations_left_;
      }
      return;
    }
    case Timer::watchdog:
      if (generation != subscriber_.generation || !subscriber_.is_up || is_reachable()) return;
      [[fallthrough]];
    case Timer::lost_subscriber:
      if (generation != subscriber_.generation || !subscriber_.is_up) return;
      subscriber_.is_up = false;
      ++subscriber_.generation;
      subscriber_changed_at_ = kernel_.now();
      subscriber_remade_at_ = kernel_.now();  // or is being made
      return retry(subscriber_, Timer::retry_subscriber);
    case Timer::retry_subscriber: {
      if (subscriber_.is_up || generation != subscriber_.generation) return;
      if (!is_reachable()) return retry(subscriber_, Timer::retry_subscriber);
      const bool is_first = subscriber_.generation == 0;
      subscriber_.is_up = true;
      ++subscriber_.generation;
      subscriber_changed_at_ = kernel_.now();
      if (!is_first) subscriber_remade_at_ = kernel_.now();
      subscriber_.backoff = backoff_min;
      // What stands is subscribed again; then what was not confirmed is asked again, in its order.
      const auto unconfirmed = subscriber_calls_;
      subscriber_calls_.clear();
      refused_.clear();
      confirmations_left_ = 0;
      if (!is_first) {
        for (const auto& [channel, match] : channels_) {
          CallParcel call{Ticket{}, SubscribeCall{channel, match}};
          subscriber_calls_.push_back(call);
          send(subscriber_, std::move(call));
          ++confirmations_left_;
        }
      }
      for (const CallParcel& call : unconfirmed) {
        if (call.ticket == Ticket{}) continue;
        subscriber_calls_.push_back(call);
        send(subscriber_, call);
      }
      if (!is_first && confirmations_left_ == 0) listener_.on_resubscribed();
      return;
    }
  }
}

// ---------------------------------------------------------------- what comes

void StoreSession::on_answer(const Event& event) {
  auto parcel = store_.answers.take(event.payload);
  const bool is_subscriber = (event.what & 1U) != 0;
  if (!is_started_) return;
  if (is_subscriber) {
    if (event.what >> 1 != subscriber_.generation || subscriber_calls_.empty()) return;
    const CallParcel call = std::move(subscriber_calls_.front());
    subscriber_calls_.pop_front();
    const auto* subscribe = std::get_if<SubscribeCall>(&call.request);
    const auto* subscribed = std::get_if<Subscribed>(&parcel.answer);
    if (subscribe != nullptr && subscribed != nullptr && subscribed->result != Errc::ok) {
      // Refused: an answer, and no reason to want it less. It is asked again at a pace.
      if (channels_.contains({subscribe->channel, subscribe->match})) {
        if (refused_.empty()) push_timer(kernel_.now() + refused_again_after, Timer::refused, subscriber_.generation);
        refused_.emplace(subscribe->channel, subscribe->match);
      }
      if (call.ticket == Ticket{} && confirmations_left_ != 0) --confirmations_left_;
      if (call.ticket != Ticket{}) answers_.on_answer(call.ticket, std::move(parcel.answer));
      return;
    }
    if (call.ticket != Ticket{}) return answers_.on_answer(call.ticket, std::move(parcel.answer));
    if (confirmations_left_ != 0 && --confirmations_left_ == 0 && refused_.empty()) listener_.on_resubscribed();
    return;
  }
  if (event.what >> 1 != commands_.generation || pending_.empty()) return;
  // A pipeline: answers come in the order of the calls, or the model of the store is wrong.
  if (pending_.front().ticket != parcel.ticket) throw std::logic_error("the store's model answered out of turn");
  pending_.pop_front();
  if (parcel.table_reply) return parcel.table_reply();
  answers_.on_answer(parcel.ticket, std::move(parcel.answer));
}

void StoreSession::on_bus_message(const Event& event) {
  auto message = store_.messages.take(event.payload);
  store_.on_subscriber_read(index_, event.what, message.payload.size());
  if (!is_started_ || !subscriber_.is_up || event.what != subscriber_.generation) return;
  listener_.on_bus_message(message.channel, message.pattern, message.payload);
}

// ---------------------------------------------------------------- the ports

void StorePorts::call(Ticket ticket, StoreCall&& call) {
  if (std::holds_alternative<ResubscribeCall>(call)) return session_.resubscribe();
  if (const auto* claim = std::get_if<ClaimCall>(&call)) {
    ++counts_.claims;
    if (claim->epoch_min.value != 0) ++counts_.asserted;
  } else if (const auto* publish = std::get_if<PublishCall>(&call)) {
    ++(publish->channel.kind == ChannelKind::inbox ? counts_.batches : counts_.room_messages);
  }
  counts_.releases += std::holds_alternative<ReleaseCall>(call);
  counts_.lookups += std::holds_alternative<LookupCall>(call);
  send(ticket, request_of(std::move(call)));
}

template <class T, class Ask>
void StorePorts::ask(Reply<T> reply, Ask ask_tables) {
  const auto shared = std::make_shared<Reply<T>>(std::move(reply));
  send(Ticket{table_ticket | ++table_calls_},
       TableCall{[shared, ask_tables](Tables& tables, const TableCall::Deliver& deliver) {
                   ask_tables(tables, Reply<T>([shared, deliver](Result<T> result) {
                                deliver([shared, result = std::move(result)] { (*shared)(result); });
                              }));
                 },
                 [shared] {
                   (*shared)(Error{Errc::unavailable, "the store cannot be reached now: try again"});
                 }});
}

void StorePorts::declare(const TableSpec& spec, Reply<Done> reply) {
  ask<Done>(std::move(reply), [spec](Tables& t, Reply<Done> r) { t.declare(spec, std::move(r)); });
}
void StorePorts::set(std::string_view table, std::string_view key, Row row, Reply<Done> reply) {
  ask<Done>(std::move(reply), [table = std::string(table), key = std::string(key), row = std::move(row)](
                                  Tables& t, Reply<Done> r) { t.set(table, key, row, std::move(r)); });
}
void StorePorts::get(std::string_view table, std::string_view key, Reply<Row> reply) {
  ask<Row>(std::move(reply), [table = std::string(table), key = std::string(key)](Tables& t, Reply<Row> r) {
    t.get(table, key, std::move(r));
  });
}
void StorePorts::del(std::string_view table, std::string_view key, Reply<Done> reply) {
  ask<Done>(std::move(reply), [table = std::string(table), key = std::string(key)](Tables& t, Reply<Done> r) {
    t.del(table, key, std::move(r));
  });
}
void StorePorts::incr(std::string_view table, std::string_view key, std::string_view column, std::int64_t by,
                      Reply<std::int64_t> reply) {
  ask<std::int64_t>(std::move(reply),
                    [table = std::string(table), key = std::string(key), column = std::string(column), by](
                        Tables& t, Reply<std::int64_t> r) { t.incr(table, key, column, by, std::move(r)); });
}
void StorePorts::compare_and_set(std::string_view table, std::string_view key, std::string_view column,
                                 const Value& expected, Row row, Reply<Done> reply) {
  ask<Done>(std::move(reply), [table = std::string(table), key = std::string(key), column = std::string(column),
                               expected, row = std::move(row)](Tables& t, Reply<Done> r) {
    t.compare_and_set(table, key, column, expected, row, std::move(r));
  });
}
void StorePorts::count(std::string_view table, Reply<std::uint64_t> reply) {
  ask<std::uint64_t>(std::move(reply),
                     [table = std::string(table)](Tables& t, Reply<std::uint64_t> r) { t.count(table, std::move(r)); });
}
void StorePorts::page(std::string_view table, std::string_view cursor, std::uint32_t count, Reply<RowPage> reply) {
  ask<RowPage>(std::move(reply), [table = std::string(table), cursor = std::string(cursor), count](
                                     Tables& t, Reply<RowPage> r) { t.page(table, cursor, count, std::move(r)); });
}
void StorePorts::counter_add(std::string_view name, std::int64_t by, Reply<std::int64_t> reply) {
  ask<std::int64_t>(std::move(reply), [name = std::string(name), by](Tables& t, Reply<std::int64_t> r) {
    t.counter_add(name, by, std::move(r));
  });
}
void StorePorts::counter_get(std::string_view name, Reply<std::int64_t> reply) {
  ask<std::int64_t>(std::move(reply), [name = std::string(name)](Tables& t, Reply<std::int64_t> r) {
    t.counter_get(name, std::move(r));
  });
}
void StorePorts::counter_add_bounded(std::string_view name, std::int64_t by, std::int64_t max,
                                     Reply<std::int64_t> reply) {
  ask<std::int64_t>(std::move(reply), [name = std::string(name), by, max](Tables& t, Reply<std::int64_t> r) {
    t.counter_add_bounded(name, by, max, std::move(r));
  });
}

}  // namespace wsr::sim
