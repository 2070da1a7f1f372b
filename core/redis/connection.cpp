#include "core/redis/connection.hpp"

#include <algorithm>
#include <boost/asio/post.hpp>
#include <cassert>
#include <random>
#include <stdexcept>
#include <utility>

namespace wsr::redis {
namespace {

using SteadyClock = std::chrono::steady_clock;

std::uint64_t seed_of(const Options& options, Connection::Role role) {
  const std::uint64_t seed = options.random_seed != 0 ? options.random_seed : std::random_device{}();
  return seed * 2 + static_cast<std::uint64_t>(role);
}

std::string_view first_word(std::string_view error) { return error.substr(0, error.find(' ')); }

/// Without the arguments that a store repeats when it does not know a command: of AUTH they are the password.
std::string without_arguments(std::string_view error) {
  return std::string(error.substr(0, error.find(", with args beginning with")));
}

/// A line that breaks sooner does not count as one that worked: its backoff goes on.
constexpr std::chrono::seconds stable_after{1};

/// What an error of the greeting means for whoever wrote the address. Empty: the store's words must do.
std::string_view hint_for(std::string_view error) {
  const auto word = first_word(error);
  if (word == "MOVED" || word == "ASK" || word == "CLUSTERDOWN" || word == "CROSSSLOT" ||
      error.find("cluster mode") != std::string_view::npos) {
    return "this is a node of a Redis Cluster, but a single Redis or Valkey is needed";
  }
  if (word == "READONLY") return "this is a replica: give the address of its primary";
  if (word == "NOAUTH" || word == "WRONGPASS") return "check user and password in the address of the store";
  if (error.find("DB index") != std::string_view::npos) return "check the database number in the address of the store";
  if (error.find("unknown command") != std::string_view::npos) {
    return "is this the port of a Sentinel? give the address of the Redis server that it watches";
  }
  return {};
}

}  // namespace

Connection::Connection(asio::io_context& io, const Options& options, Role role, ConnectionEvents& events)
    : io_(io),
      options_(options),
      role_(role),
      events_(events),
      deadline_(io),
      retry_(io),
      backoff_(options.backoff_min),
      random_state_(seed_of(options, role)) {
  if (options.address.kind != Address::Kind::tls) return;
  tls_ = std::make_unique<asio::ssl::context>(asio::ssl::context::tls_client);
  tls_->set_default_verify_paths();
  error_code error;
  if (!options.ca_file.empty()) tls_->load_verify_file(options.ca_file, error);
  if (error) throw std::runtime_error("the CA file " + options.ca_file + " cannot be read: " + error.message());
}

Connection::~Connection() { close_stream(); }

void Connection::start() {
  assert(state_ == State::stopped);
  connect();
}

void Connection::stop() {
  if (state_ == State::stopped) return;
  state_ = State::stopped;
  close_stream();
  retry_.cancel();
  // Later, as every answer: stop() is called by the code that would receive them.
  later([this] { fail_pending(Errc::unavailable, "the connection was stopped"); });
}

void Connection::remake() {
  if (state_ == State::stopped) return;
  close_stream();
  retry_.cancel();
  state_ = State::connecting;
  later([this] {
    if (state_ != State::connecting || stream_) return;  // stopped, or remade twice in one turn
    fail_pending(Errc::unavailable, "the connection was remade");
    events_.on_lost();
    connect();
  });
}

void Connection::connect() {
  state_ = State::connecting;
  refusal_.clear();
  reader_ = std::make_unique<ReplyReader>();
  begun_at_ = SteadyClock::now();
  stream_ = Stream::open(io_, options_.address, tls_.get(), options_.connect_within, *this);
}

void Connection::on_open() {
  state_ = State::greeting;
  heard_at_ = SteadyClock::now();
  greet();
  flush();
}

void Connection::greet() {
  const Address& address = options_.address;
  const auto required = [this](const Reply& reply) {
    if (reply.result() != Errc::ok && refusal_.empty()) refusal_ = without_arguments(reply.error());
  };
  // Older stores and restrictive ACLs may refuse the optional ones; NOAUTH shows in the PING.
  const auto optional = [](const Reply&) {};
  const auto say = [this](Words words, Callback callback) {
    expect(std::span{words.begin(), words.size()}, std::move(callback));
  };
  if (!address.user.empty()) {
    say({"AUTH", address.user, address.password}, required);
  } else if (!address.password.empty()) {
    say({"AUTH", address.password}, required);
  }
  if (address.db != 0) say({"SELECT", text_of(std::uint64_t{address.db})}, required);
  say({"CLIENT", "SETNAME", role_ == Role::commands ? "wsr-commands" : "wsr-subscriber"}, optional);
  if (role_ == Role::commands) {
    // So that calls find their scripts: EVALSHA keeps the order of the pipeline, a fallback to EVAL cannot.
    for (const Script* script : scripts::all()) say({"SCRIPT", "LOAD", script->text}, optional);
    // Changes nothing, and finds out what this is: a cluster, a replica and a Sentinel show only when they are written
    // to.
    say({"DEL", options_.prefix + "none"}, [this](const Reply& reply) { note_trial(reply); });
    say({"CONFIG", "GET", "maxmemory-policy"}, [this](const Reply& reply) { warn_of_eviction(reply); });
  }
  say({"PING"}, [this](const Reply& reply) { end_greeting(reply); });
}

void Connection::end_greeting(const Reply& pong) {
  if (state_ != State::greeting) return;  // lost meanwhile
  // MISCONF (its disk is full) refuses pings and writes: it still reads, publishes and subscribes.
  if (refusal_.empty() && pong.is_error() && !pong.is_error("MISCONF")) refusal_ = without_arguments(pong.error());
  if (!refusal_.empty()) {
    const auto hint = hint_for(refusal_);
    return lose("it refused the connection: " + refusal_ + (hint.empty() ? "" : " (") + std::string{hint} +
                (hint.empty() ? "" : ")"));
  }
  state_ = State::ready;
  ready_at_ = SteadyClock::now();
  if (!last_logged_.empty())
    log(LogLevel::info, "store_back", "the store " + options_.address.str() + " answers again");
  last_logged_.clear();
  events_.on_ready();
}

void Connection::note_trial(const Reply& reply) {
  if (!reply.is_error()) return;
  const auto error = reply.error();
  for (const std::string_view word : {"MISCONF", "NOPERM", "OOM", "BUSY", "NOREPLICAS"}) {
    if (first_word(error) == word) return note_refusal(reply);  // it may be over soon, and reading goes on
  }
  if (refusal_.empty()) refusal_ = without_arguments(error);
}

void Connection::note_refusal(const Reply& reply) {
  const std::string_view error = reply.error();
  if (!refusals_.emplace(first_word(error)).second) return;
  log("the store " + options_.address.str() + " refuses commands: " + without_arguments(error));
}

void Connection::warn_of_eviction(const Reply& reply) {
  if (reply.size() != 2 || !reply[1].text().starts_with("allkeys")) return;
  log(LogLevel::warning, "eviction_policy",
      "the store " + options_.address.str() + " has maxmemory-policy " + std::string{reply[1].text()} +
          ": when its memory is full it evicts rows of clients that are connected; set it to noeviction");
}

void Connection::send(std::span<const std::string_view> words, Callback callback) {
  if (state_ != State::ready || out_.size() > backlog_bytes_max) {
    if (!callback) return;
    const auto* why = state_ == State::ready ? "the store does not read what it is sent" : "the store is not connected";
    return later([callback = std::move(callback), why] { callback(Reply{Errc::unavailable, why}); });
  }
  expect(words, std::move(callback));
}

void Connection::expect(std::span<const std::string_view> words, Callback callback) {
  append_command(out_, words);
  enqueue(std::move(callback));
}

void Connection::enqueue(Callback callback) {
  pending_.push_back({std::move(callback), SteadyClock::now()});
  arm_deadline();
}

void Connection::eval(const Script& script, std::span<const std::string_view> keys,
                      std::span<const std::string_view> args, Callback callback) {
  std::string tail;  // of EVALSHA and EVAL alike, behind the script
  append_word(tail, text_of(std::uint64_t{keys.size()}));
  for (const std::string_view key : keys) append_word(tail, key);
  for (const std::string_view arg : args) append_word(tail, arg);
  const std::size_t words = 3 + keys.size() + args.size();

  if (state_ != State::ready || out_.size() > backlog_bytes_max) return send({"PING"}, std::move(callback));
  append_count(out_, words);
  append_word(out_, "EVALSHA");
  append_word(out_, script.sha);
  out_.append(tail);
  enqueue([this, &script, words, tail = std::move(tail), callback = std::move(callback)](const Reply& reply) mutable {
    if (!reply.is_error("NOSCRIPT") || state_ != State::ready) {
      if (callback) callback(reply);
      return;
    }
    // The store has lost its scripts (SCRIPT FLUSH, a failover): EVAL brings it back for all later calls.
    append_count(out_, words);
    append_word(out_, "EVAL");
    append_word(out_, script.text);
    out_.append(tail);
    enqueue(std::move(callback));
  });
}

void Connection::push(std::span<const std::string_view> words) {
  assert(is_ready());
  append_command(out_, words);
}

void Connection::later(std::function<void()> task) {
  asio::post(io_, [alive = std::weak_ptr<char>(alive_), task = std::move(task)] {
    if (!alive.expired()) task();
  });
}

void Connection::flush() {
  if (out_.empty() || !stream_ || stream_->is_writing()) return;
  if (state_ != State::ready && state_ != State::greeting) return;
  stream_->write(out_);
}

void Connection::on_data(std::string_view bytes) {
  heard_at_ = SteadyClock::now();
  reader_->feed(bytes);
  // A callback may lose, remake or stop this connection: then the rest of these bytes is nobody's.
  const std::weak_ptr<char> alive = alive_;
  const std::shared_ptr<Stream> stream = stream_;
  while (true) {
    OwnedReply raw = reader_->next();
    if (!raw) break;
    on_reply(std::move(raw));
    if (alive.expired() || stream_ != stream) return;
  }
  if (const std::string error = reader_->error(); !error.empty()) return lose("it does not speak RESP: " + error);
  // What the callbacks asked for (second stages of a call) goes out with this turn.
  flush();
}

void Connection::on_reply(OwnedReply raw) {
  const Reply reply{raw.get()};
  if (pending_.empty()) {
    if (role_ == Role::subscriber) return events_.on_push(reply);
    return lose("it sent a reply that no command waits for");
  }
  const std::weak_ptr<char> alive = alive_;
  const std::shared_ptr<Stream> stream = stream_;
  const Callback callback = std::move(pending_.front().callback);
  pending_.pop_front();
  if (callback) callback(reply);
  const bool is_refusal = reply.is_error() && !reply.is_error("NOSCRIPT");
  if (is_refusal && !alive.expired() && state_ == State::ready) note_refusal(reply);
  // After a failover the old primary answers as a replica, or still loads: only another connection finds the new one.
  const bool is_hopeless = reply.is_error("READONLY") || reply.is_error("LOADING") || reply.is_error("MASTERDOWN");
  if (is_hopeless && !alive.expired() && stream_ == stream && state_ == State::ready) {
    lose("it cannot serve this server: " + std::string{reply.error()});
  }
}

void Connection::arm_deadline() {
  if (is_deadline_armed_ || pending_.empty()) return;
  is_deadline_armed_ = true;
  const auto within = state_ == State::ready ? options_.reply_within : options_.connect_within;
  deadline_.expires_at(std::max(pending_.front().since + within, deadline_from_));
  deadline_.async_wait([this, alive = std::weak_ptr<char>(alive_)](error_code error) {
    if (error || alive.expired()) return;
    is_deadline_armed_ = false;
    if (pending_.empty()) return;
    const auto allowed = state_ == State::ready ? options_.reply_within : options_.connect_within;
    const auto now = SteadyClock::now();
    // Once in a reply's time and no more: a loop that is always late must lose a dead store all the same.
    if (now - deadline_.expiry() > standstill_min && now - deadline_from_ > allowed) {
      deadline_from_ = now + standstill_min;
    }
    if (std::max(pending_.front().since + allowed, deadline_from_) > now) return arm_deadline();
    lose("no reply within " + std::to_string(allowed.count()) + " ms", Errc::timeout);
  });
}

void Connection::lose(const std::string& why, Errc code) {
  if (state_ == State::stopped) return;
  if (const std::string sentence = "no connection to the store " + options_.address.str() + ": " + why;
      sentence != last_logged_) {
    last_logged_ = sentence;
    log(LogLevel::error, "store_lost", sentence);
  }
  close_stream();
  if (state_ == State::ready && SteadyClock::now() - ready_at_ >= stable_after) backoff_ = options_.backoff_min;
  // An attempt that waited for nothing but silence has been pace enough: the store may be back since its first moment.
  if (state_ != State::ready && SteadyClock::now() - begun_at_ >= options_.connect_within) {
    backoff_ = options_.backoff_min;
  }
  state_ = State::waiting;
  refusals_.clear();
  retry_later();
  const std::weak_ptr<char> alive = alive_;
  fail_pending(code, why);
  if (!alive.expired() && state_ != State::stopped) events_.on_lost();
}

void Connection::fail_pending(Errc code, const std::string& why) {
  // Taken out first: a callback may call again, and finds a connection that is not ready.
  std::deque<Pending> failed;
  failed.swap(pending_);
  const auto overdue = SteadyClock::now() - options_.reply_within;
  const std::weak_ptr<char> alive = alive_;
  for (const Pending& pending : failed) {
    const bool is_late = code == Errc::timeout && pending.since <= overdue;
    if (pending.callback) {
      pending.callback(Reply{is_late ? Errc::timeout : Errc::unavailable, why});
    }
    if (alive.expired()) return;
  }
}

void Connection::close_stream() {
  if (stream_) stream_->close();
  stream_.reset();
  out_.clear();
  deadline_.cancel();
  is_deadline_armed_ = false;
}

void Connection::retry_later() {
  // Between half and all of the backoff: servers that lost the store together do not return together.
  const auto half = backoff_.count() / 2;
  const auto wait =
      half + static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(backoff_.count() - half + 1));
  backoff_ = std::min(backoff_ * 2, options_.backoff_max);
  retry_.expires_after(std::chrono::milliseconds{wait});
  retry_.async_wait([this, alive = std::weak_ptr<char>(alive_)](error_code error) {
    if (error || alive.expired() || state_ != State::waiting) return;
    connect();
  });
}

void Connection::log(LogLevel level, std::string_view event, const std::string& sentence) {
  const std::string_view role = role_ == Role::commands ? "commands" : "subscriber";
  options_.log(LogEvent{.level = level,
                        .name = event,
                        .text = sentence,
                        .fields = {{"connection", std::string(role)}},
                        .subject = std::string(role)});
}

std::uint64_t Connection::random() {
  std::uint64_t z = (random_state_ += 0x9E3779B97F4A7C15U);  // splitmix64
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9U;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBU;
  return z ^ (z >> 31);
}

}  // namespace wsr::redis
