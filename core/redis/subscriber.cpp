#include "core/redis/subscriber.hpp"

#include <algorithm>
#include <cassert>
#include <iterator>

namespace wsr::redis {
namespace {

constexpr std::size_t names_per_command =
    512;  // one command of a resubscription; the store reads other clients between

std::string_view verb(bool is_subscribe, Match match) {
  if (is_subscribe) return match == Match::exact ? "SUBSCRIBE" : "PSUBSCRIBE";
  return match == Match::exact ? "UNSUBSCRIBE" : "PUNSUBSCRIBE";
}

}  // namespace

Subscriber::Subscriber(asio::io_context& io, const Options& options, const Keys& keys, AnswerSink& answers,
                       BusListener& listener)
    : options_(options),
      keys_(keys),
      answers_(answers),
      listener_(listener),
      connection_(io, options, Connection::Role::subscriber, *this),
      watchdog_(io),
      retry_(io) {}

void Subscriber::stop() {
  watchdog_.cancel();
  retry_.cancel();
  connection_.stop();
  connection_.later([this] {
    for (auto& queued : std::exchange(queue_, {})) answer(queued.kind, queued.tickets, Errc::unavailable);
    for (auto& expected : std::exchange(expected_, {})) answer(expected.kind, expected.tickets, Errc::unavailable);
    for (auto& [name, wanted] : std::exchange(wanted_, {})) {
      answer(Kind::subscribe, wanted.tickets, Errc::unavailable);
    }
  });
}

void Subscriber::subscribe(Ticket ticket, const Channel& channel, Match match) {
  Name name{match, name_of(channel, match)};
  Wanted& wanted = want(name);
  if (!connection_.is_ready() || refused_.contains(name)) {
    wanted.tickets.push_back(ticket);  // the next attempt answers it
    return;
  }
  if (wanted.stands) {
    return connection_.later([this, ticket] { answer(Kind::subscribe, {ticket}, Errc::ok); });
  }
  queue_.push_back({.kind = Kind::subscribe, .name = std::move(name), .tickets = {ticket}, .begun = wanted.begun});
}

Subscriber::Wanted& Subscriber::want(const Name& name) {
  Wanted& wanted = wanted_[name];
  if (wanted.begun == 0) wanted.begun = ++last_begun_;
  return wanted;
}

void Subscriber::unsubscribe(Ticket ticket, const Channel& channel, Match match) {
  Name name{match, name_of(channel, match)};
  std::vector<Ticket> overtaken;  // subscriptions that waited for an attempt: they stood for no time at all
  if (const auto found = wanted_.find(name); found != wanted_.end()) {
    overtaken = std::move(found->second.tickets);
    wanted_.erase(found);
  }
  const bool was_refused = refused_.erase(name) != 0;
  if (connection_.is_ready() && !was_refused) {
    queue_.push_back({.kind = Kind::unsubscribe, .name = std::move(name), .tickets = {ticket}});
    return;
  }
  connection_.later([this, ticket, overtaken = std::move(overtaken)] {
    answer(Kind::subscribe, overtaken, Errc::ok);
    answer(Kind::unsubscribe, {ticket}, Errc::ok);
  });
}

void Subscriber::resubscribe() {
  if (std::any_of(refused_.begin(), refused_.end(), [this](const Name& name) { return is_inbox(name); })) return;
  connection_.remake();
}

void Subscriber::flush() {
  if (connection_.is_ready()) {
    std::vector<Expected> command;
    for (Expected& each : std::exchange(queue_, {})) {
      const bool fits =
          command.empty() || (command.front().kind == each.kind && command.front().name.first == each.name.first &&
                              command.size() < names_per_command);
      if (!fits) say(std::exchange(command, {}));
      command.push_back(std::move(each));
    }
    if (!command.empty()) say(std::move(command));
  }
  connection_.flush();
}

void Subscriber::say(std::vector<Expected> names) {
  assert(!names.empty());
  std::vector<std::string_view> words{verb(names.front().kind == Kind::subscribe, names.front().name.first)};
  for (const Expected& each : names) words.push_back(each.name.second);
  connection_.push(words);
  std::size_t left = names.size();
  for (Expected& each : names) {
    each.of_command = left--;
    expected_.push_back(std::move(each));
  }
}

// ---------------------------------------------------------------- connections come and go

void Subscriber::on_ready() {
  arm_watchdog();
  subscribe_all();
  if (!refused_.empty()) arm_retry();
  end_resubscription_if_done();
}

void Subscriber::subscribe_all() {
  resubscribing_ = retrying_ = 0;
  const auto take = [this](const Name& name, Wanted& wanted) {
    ++resubscribing_;
    return Expected{.kind = Kind::subscribe,
                    .name = name,
                    .tickets = std::exchange(wanted.tickets, {}),
                    .begun = wanted.begun,
                    .attempt = Attempt::resubscription};
  };
  for (auto& [name, wanted] : wanted_) {
    if (is_inbox(name) && !refused_.contains(name)) say({take(name, wanted)});
  }
  std::vector<Expected> command;
  for (auto& [name, wanted] : wanted_) {
    if (is_inbox(name) || refused_.contains(name)) continue;
    if (!command.empty() && (command.size() == names_per_command || command.front().name.first != name.first)) {
      say(std::exchange(command, {}));
    }
    command.push_back(take(name, wanted));
  }
  if (!command.empty()) say(std::move(command));
}

void Subscriber::on_lost() {
  watchdog_.cancel();
  retry_.cancel();
  is_retry_armed_ = false;
  resubscribing_ = retrying_ = 0;
  for (auto& [name, wanted] : wanted_) wanted.stands = false;
  std::deque<Expected> lost = std::exchange(expected_, {});
  std::move(queue_.begin(), queue_.end(), std::back_inserter(lost));
  queue_.clear();
  for (Expected& expected : lost) {
    const auto wanted = wanted_.find(expected.name);
    if (expected.kind == Kind::subscribe && wanted != wanted_.end()) {
      auto& waiting = wanted->second.tickets;
      waiting.insert(waiting.end(), expected.tickets.begin(), expected.tickets.end());
    } else {
      // With the connection everything is unsubscribed.
      answer(expected.kind, expected.tickets, Errc::ok);
    }
  }
}

// ---------------------------------------------------------------- what the store says

void Subscriber::on_push(const Reply& reply) {
  if (reply.is_error()) return on_error(reply);
  const auto kind = reply[0].text();
  if (kind == "message" || kind == "pmessage") return on_message(reply);
  if (kind == "subscribe" || kind == "psubscribe" || kind == "unsubscribe" || kind == "punsubscribe") {
    return on_confirmed();
  }
  // A pong: an array while something is subscribed, a status otherwise. That it came is what counts.
  if (!expected_.empty() && expected_.front().kind == Kind::ping) expected_.pop_front();
}

void Subscriber::on_message(const Reply& reply) {
  const bool is_pattern = reply[0].text() == "pmessage";
  const auto channel = keys_.channel_of(reply[is_pattern ? 2 : 1].text());
  if (!channel) return;
  if (!is_pattern) return listener_.on_bus_message(*channel, {}, reply[2].text());
  const auto pattern = keys_.pattern_of(reply[1].text());
  if (pattern) listener_.on_bus_message(*channel, pattern->name, reply[3].text());
}

void Subscriber::on_confirmed() {
  if (expected_.empty() || expected_.front().kind == Kind::ping) {
    return connection_.lose("it confirmed a subscription that was not requested");
  }
  const Expected expected = std::move(expected_.front());
  expected_.pop_front();
  const auto wanted = wanted_.find(expected.name);
  if (expected.kind == Kind::subscribe && wanted != wanted_.end() && wanted->second.begun == expected.begun) {
    wanted->second.stands = true;
    const bool has_stood = std::exchange(wanted->second.has_stood, true);
    if (refused_.erase(expected.name) != 0) {
      is_partly_healed_ = true;
      has_healed_ = has_healed_ || has_stood || is_inbox(expected.name);
      last_refusal_.clear();
    }
  }
  // It was unsubscribed while it was refused, and this attempt was under way.
  if (expected.attempt == Attempt::retry && wanted == wanted_.end()) {
    queue_.push_back({.kind = Kind::unsubscribe, .name = expected.name, .tickets = {}});
    flush();
  }
  answer(expected.kind, expected.tickets, Errc::ok);
  end_attempt(expected);
}

void Subscriber::on_error(const Reply& reply) {
  if (expected_.empty()) return connection_.lose("it refuses subscriptions: " + std::string{reply.error()});
  // A store whose disk is full refuses even pings (MISCONF), and serves subscribers all the same.
  if (expected_.front().kind == Kind::ping) return expected_.pop_front();
  const auto count = static_cast<std::ptrdiff_t>(std::min(expected_.front().of_command, expected_.size()));
  std::vector<Expected> names(std::make_move_iterator(expected_.begin()),
                              std::make_move_iterator(expected_.begin() + count));
  expected_.erase(expected_.begin(), expected_.begin() + count);
  if (names.size() > 1 && names.front().on_refusal == OnRefusal::halve) {
    const auto middle = names.begin() + count / 2;
    std::vector<Expected> second(std::make_move_iterator(middle), std::make_move_iterator(names.end()));
    names.erase(middle, names.end());
    say(std::move(names));
    say(std::move(second));
    return connection_.flush();
  }
  for (const Expected& each : names) refuse(each, reply);
}

void Subscriber::refuse(const Expected& expected, const Reply& reply) {
  if (expected.kind == Kind::subscribe && wanted_.contains(expected.name)) {
    if (refused_.empty()) retry_wait_ = retry_min;
    refused_.insert(expected.name);
    arm_retry();
    const std::string why{reply.error()};
    if (why != last_refusal_) {
      options_.log({LogLevel::error, "subscription_refused",
                    "the store " + options_.address.str() + " refuses to subscribe to " + expected.name.second + ": " +
                        why + " (retried every " + std::to_string(retry_max.count() / 1000) + " s)"});
    }
    last_refusal_ = why;
  }
  answer(expected.kind, expected.tickets, reply.result());
  end_attempt(expected);
}

void Subscriber::end_attempt(const Expected& expected) {
  if (expected.kind != Kind::subscribe) return;
  if (expected.attempt == Attempt::resubscription) {
    if (resubscribing_ > 0) --resubscribing_;
    return end_resubscription_if_done();
  }
  if (expected.attempt != Attempt::retry || retrying_ == 0 || --retrying_ > 0) return;
  if (std::exchange(has_healed_, false) && resubscribing_ == 0) listener_.on_resubscribed();
}

void Subscriber::end_resubscription_if_done() {
  if (resubscribing_ > 0) return;
  if (std::exchange(was_connected_, true)) listener_.on_resubscribed();
}

// ---------------------------------------------------------------- what was refused

void Subscriber::arm_retry() {
  if (is_retry_armed_) return;
  is_retry_armed_ = true;
  retry_.expires_after(retry_wait_);
  retry_wait_ = std::min(retry_wait_ * 2, retry_max);
  retry_.async_wait([this, alive = std::weak_ptr<char>(alive_)](error_code error) {
    if (error || alive.expired()) return;
    is_retry_armed_ = false;
    retry();
  });
}

// All in one command: if the right is given back they stand at once. And one alone: if it stands, the others are worth
// finding out about one by one.
void Subscriber::retry() {
  if (!connection_.is_ready() || refused_.empty()) return;
  arm_retry();
  if (retrying_ != 0) return;  // the last attempt is not answered yet
  const bool in_halves = std::exchange(is_partly_healed_, false);
  auto alone = refused_.lower_bound(next_alone_);
  if (alone == refused_.end()) alone = refused_.begin();
  for (const Name& name : refused_) {
    if (is_inbox(name)) alone = refused_.find(name);  // it matters most
  }
  const auto take = [this](const Name& name, OnRefusal on_refusal) {
    ++retrying_;
    return Expected{.kind = Kind::subscribe,
                    .name = name,
                    .tickets = std::exchange(wanted_.at(name).tickets, {}),
                    .begun = wanted_.at(name).begun,
                    .on_refusal = on_refusal,
                    .attempt = Attempt::retry};
  };
  next_alone_ = std::next(alone) == refused_.end() ? Name{} : *std::next(alone);
  say({take(*alone, OnRefusal::give_up)});
  std::vector<Expected> command;
  for (const Name& name : refused_) {
    if (name == *alone) continue;
    if (!command.empty() && (command.size() == names_per_command || command.front().name.first != name.first)) {
      say(std::exchange(command, {}));
    }
    command.push_back(take(name, in_halves ? OnRefusal::halve : OnRefusal::give_up));
  }
  if (!command.empty()) say(std::move(command));
  connection_.flush();
}

// ---------------------------------------------------------------- the watchdog

void Subscriber::arm_watchdog() {
  watchdog_.expires_after(options_.subscriber_ping_every);
  watchdog_.async_wait([this, alive = std::weak_ptr<char>(alive_)](error_code error) {
    if (!error && !alive.expired()) ping();
  });
}

void Subscriber::ping() {
  if (!connection_.is_ready()) return;
  // Every ping brings a pong, so silence of a ping's age and a reply's time is a dead line.
  // Unless we stood still: then what it said has not been read yet.
  const auto now = std::chrono::steady_clock::now();
  const bool stood_still = now - watchdog_.expiry() > Connection::standstill_min;
  const auto silence = now - connection_.heard_at();
  if (!stood_still && silence > options_.subscriber_ping_every + options_.reply_within) {
    return connection_.lose("the subscriber's connection is silent");
  }
  connection_.push({"PING"});
  expected_.push_back({.kind = Kind::ping, .name = {}, .tickets = {}});
  connection_.flush();
  arm_watchdog();
}

void Subscriber::answer(Kind kind, const std::vector<Ticket>& tickets, Errc result) {
  for (const Ticket ticket : tickets) {
    if (kind == Kind::subscribe) {
      answers_.on_answer(ticket, Subscribed{result});
    } else {
      answers_.on_answer(ticket, Unsubscribed{result});
    }
  }
}

bool Subscriber::is_inbox(const Name& name) const {
  if (name.first != Match::exact) return false;
  const auto channel = keys_.channel_of(name.second);
  return channel && channel->kind == ChannelKind::inbox;
}

std::string Subscriber::name_of(const Channel& channel, Match match) const {
  return match == Match::exact ? keys_.channel(channel) : keys_.pattern(channel);
}

}  // namespace wsr::redis
