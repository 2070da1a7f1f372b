#include "core/redis/subscriber.hpp"

#include <algorithm>
#include <cassert>

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
      watchdog_(io) {}

void Subscriber::stop() {
  watchdog_.cancel();
  connection_.stop();
  connection_.later([this] {
    for (auto& expected : std::exchange(expected_, {})) answer(expected.kind, expected.tickets, Errc::unavailable);
    for (auto& [name, tickets] : std::exchange(wanted_, {})) answer(Kind::subscribe, tickets, Errc::unavailable);
  });
}

void Subscriber::subscribe(Ticket ticket, const Channel& channel, Match match) {
  Name name{match, name_of(channel, match)};
  auto& waiting = wanted_[name];
  if (!connection_.is_ready()) {
    waiting.push_back(ticket);
    return;
  }
  connection_.push({verb(true, match), name.second});
  expected_.push_back({Kind::subscribe, std::move(name), {ticket}, 1});
}

void Subscriber::unsubscribe(Ticket ticket, const Channel& channel, Match match) {
  Name name{match, name_of(channel, match)};
  std::vector<Ticket> overtaken;  // subscriptions that waited for a connection: they stood for no time at all
  if (const auto found = wanted_.find(name); found != wanted_.end()) {
    overtaken = std::move(found->second);
    wanted_.erase(found);
  }
  if (connection_.is_ready()) {
    connection_.push({verb(false, match), name.second});
    expected_.push_back({Kind::unsubscribe, std::move(name), {ticket}, 1});
    return;
  }
  connection_.later([this, ticket, overtaken = std::move(overtaken)] {
    answer(Kind::subscribe, overtaken, Errc::ok);
    answer(Kind::unsubscribe, {ticket}, Errc::ok);
  });
}

void Subscriber::on_ready() {
  arm_watchdog();
  subscribe_all();
  end_resubscription_if_done();
}

void Subscriber::subscribe_all() {
  resubscribing_ = wanted_.size();
  for (const Match match : {Match::exact, Match::pattern}) {
    auto name = wanted_.lower_bound({match, {}});
    while (name != wanted_.end() && name->first.first == match) {
      std::vector<std::string_view> words{verb(true, match)};
      const auto first = name;
      for (; name != wanted_.end() && name->first.first == match && words.size() <= names_per_command; ++name) {
        words.push_back(name->first.second);
      }
      for (auto each = first; each != name; ++each) {
        expected_.push_back({Kind::subscribe, each->first, std::exchange(each->second, {}), words.size() - 1});
      }
      connection_.push(words);
    }
  }
}

void Subscriber::on_lost() {
  watchdog_.cancel();
  resubscribing_ = 0;
  for (Expected& expected : std::exchange(expected_, {})) {
    const auto wanted = wanted_.find(expected.name);
    if (expected.kind == Kind::subscribe && wanted != wanted_.end()) {
      wanted->second.insert(wanted->second.end(), expected.tickets.begin(), expected.tickets.end());
    } else {
      // With the connection everything is unsubscribed.
      answer(expected.kind, expected.tickets, Errc::ok);
    }
  }
}

void Subscriber::on_push(const Reply& reply) {
  if (reply.is_error()) return on_refused(reply);
  const auto kind = reply[0].text();
  if (kind == "message" || kind == "pmessage") return on_message(reply);
  if (kind == "subscribe" || kind == "psubscribe" || kind == "unsubscribe" || kind == "punsubscribe") {
    return on_confirmed();
  }
  // The rest are pongs: an array while something is subscribed, a status otherwise. That they came is what counts.
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
  if (expected_.empty()) return connection_.lose("it confirmed a subscription that nobody had asked for");
  const Expected expected = std::move(expected_.front());
  expected_.pop_front();
  // Resubscriptions come first on a connection, so they are the first confirmations.
  const bool was_resubscription = resubscribing_ > 0;
  if (was_resubscription) --resubscribing_;
  answer(expected.kind, expected.tickets, Errc::ok);
  if (was_resubscription) end_resubscription_if_done();
}

void Subscriber::on_refused(const Reply& reply) {
  const std::string why{reply.error()};
  // An error of a command with several names leaves open which of them; trying again later is all that is left.
  if (expected_.empty() || expected_.front().of_command != 1)
    return connection_.lose("it refuses subscriptions: " + why);
  const Expected expected = std::move(expected_.front());
  expected_.pop_front();
  if (expected.kind == Kind::subscribe) wanted_.erase(expected.name);
  if (options_.log) options_.log("the store refuses to subscribe to " + expected.name.second + ": " + why);
  answer(expected.kind, expected.tickets, reply.result());
  if (resubscribing_ > 0 && --resubscribing_ == 0) end_resubscription_if_done();
}

void Subscriber::end_resubscription_if_done() {
  if (resubscribing_ > 0) return;
  if (std::exchange(was_connected_, true)) listener_.on_resubscribed();
}

void Subscriber::arm_watchdog() {
  watchdog_.expires_after(options_.subscriber_ping_every);
  watchdog_.async_wait([this, alive = std::weak_ptr<char>(alive_)](error_code error) {
    if (!error && !alive.expired()) ping();
  });
}

void Subscriber::ping() {
  if (!connection_.is_ready()) return;
  // Every ping brings a pong, so silence of a ping's age and a reply's time is a dead line.
  const auto silence = std::chrono::steady_clock::now() - connection_.heard_at();
  if (silence > options_.subscriber_ping_every + options_.reply_within) {
    return connection_.lose("the subscriber's connection is silent");
  }
  connection_.push({"PING"});
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

std::string Subscriber::name_of(const Channel& channel, Match match) const {
  return match == Match::exact ? keys_.channel(channel) : keys_.pattern(channel);
}

}  // namespace wsr::redis
