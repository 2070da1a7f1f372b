#include "sim/truth.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "sim/frame_text.hpp"
#include "sim/server.hpp"

namespace wsr::sim {
namespace {

constexpr Nanos takeover_excused_for = 20 * second;  // after a subscriber's connection was made anew: all claims again

constexpr std::size_t pairs_max = 4'000'000;  // sender and receiver pairs whose order is watched
constexpr Nanos told_within = 5 * second;     // until a reader that reads hears what it missed
constexpr Nanos due_within = 5 * second;      // an answer, a message: of a connection that ended later, in peace
constexpr Nanos kicked_within = 2 * second;   // from a newer claim to the end of the connection that it displaced
constexpr Nanos settled_after = 2 * second;   // a client that is connected for so long is where the store says

Nanos nanos(std::chrono::milliseconds time) { return std::chrono::nanoseconds(time).count(); }

}  // namespace

Truth::Truth(Parts& parts)
    : parts_(parts),
      closes_(parts),
      reach_(parts),
      takeover_(parts),
      places_(parts),
      has_one_device_(parts.scenario.devices <= 1) {}

void Truth::find(std::string_view checker, std::uint32_t client, std::string what) {
  if (over_ && checker != "clean-zero") return;
  ++finding_count_;
  if (parts_.kernel.is_traced()) parts_.kernel.note(fmt::format("FINDING {}: {}", checker, what));
  if (findings_.size() >= findings_kept) {
    if (brief_findings_.size() < findings_max - findings_kept)
      brief_findings_.push_back({checker, over_ ? over_->at : parts_.kernel.now()});
    return;
  }
  const Over now = over_.value_or(Over{parts_.kernel.now(), parts_.kernel.events()});
  findings_.push_back({std::string(checker), std::move(what), now.at, now.event, client});
}

/// How long after a fault the cluster may need until statements about it hold again.
Nanos Truth::peace() const { return nanos(parts_.config.lease) + nanos(parts_.config.lease) / 3 + 5 * second; }

/// How long after a death the others may need to sweep, when nothing stands in their way.
Nanos Truth::sweep_within() const { return nanos(parts_.config.lease) + nanos(parts_.config.lease) / 3 + 2 * second; }

void Truth::fault_ends(Fault kind) {
  if (faults_ != 0) --faults_;
  if (kind == Fault::refusal && refusals_ != 0) --refusals_;
  last_fault_ = parts_.kernel.now();
  calm_from_ = std::max(calm_from_, parts_.kernel.now() + peace());
  if (kind != Fault::refusal) calm_from_but_for_refusals_ = calm_from_;
}

void Truth::servers_change() {
  troubles_began_.push_back(parts_.kernel.now());
  calm_from_ = std::max(calm_from_, parts_.kernel.now() + peace());
  calm_from_but_for_refusals_ = calm_from_;
}

void Truth::client_trouble_ends(std::uint32_t client) {
  Trouble& trouble = disturbed_[client];
  --trouble.spans;
  --client_troubles_;
  client_trouble_ended_ = trouble.last = parts_.kernel.now();
}

bool Truth::is_disturbed(std::uint32_t client, Nanos at) const {
  const auto found = disturbed_.find(client);
  return found != disturbed_.end() && (found->second.spans != 0 || found->second.last + peace() > at);
}

bool Truth::has_stayed(std::uint32_t serial, Nanos at) const {
  const auto ended = ended_.find(serial);
  return ended == ended_.end() || ended->second > at + 2 * second;
}

bool Truth::is_sound(ConnIndex index, std::uint32_t serial) const {
  if (index == nobody) return false;
  const Conn& conn = parts_.population->conn(index);
  return conn.serial == serial && conn.device != nobody && !conn.is_cut && !conn.is_slow;
}

bool Truth::has_lived_on(ConnIndex index, std::uint32_t serial, Nanos at) const {
  if (is_sound(index, serial)) {
    const VirtualServer* server = parts_.server(parts_.population->conn(index).server);
    return server != nullptr && !server->is_paused();
  }
  // It has ended since; in peace what was due had come before.
  const auto ended = ended_.find(serial);
  return ended != ended_.end() && ended->second > at + due_within && is_calm_since(at - settled_after);
}

// ---------------------------------------------------------------- what clients do

DeedNumber Truth::begin(Deed::Kind kind, DeviceIndex device_index, std::uint32_t to, bool wants_answer, bool echo) {
  Population& population = *parts_.population;
  const Device& device = population.device(device_index);
  Deed deed;
  deed.kind = kind;
  deed.wants_answer = wants_answer;
  deed.client = population.client_of(device_index);
  deed.to = to;
  deed.at = parts_.kernel.now();
  deed.conn = device.conn;
  if (device.conn != nobody) {
    deed.conn_serial = population.conn(device.conn).serial;
    deed.was_cut = population.conn(device.conn).is_cut;
  }
  if (kind == Deed::Kind::send && to < parts_.scenario.clients) {
    const ConnIndex receiver = population.conn_of_client(to);
    if (receiver != nobody) {
      const Conn& conn = population.conn(receiver);
      deed.to_serial = conn.serial;
      deed.was_connected = !conn.is_cut && !conn.is_slow && conn.welcomed_at + settled_after <= deed.at;
      deed.to_server = conn.server;
      if (device.conn != nobody && has_one_device_ && !is_naive_) {
        const Conn& from = population.conn(device.conn);
        deed.from_server = from.server;
        deed.is_owed = !deed.was_cut && !conn.is_cut && !conn.is_slow && reach_.owes(from, conn);
      }
    }
  }
  if (const auto left = left_at_.find(to); kind == Deed::Kind::send && left != left_at_.end()) {
    const ConnIndex receiver = to < parts_.scenario.clients ? population.conn_of_client(to) : nobody;
    const bool is_away = receiver == nobody || population.conn(receiver).is_cut;
    deed.was_long_away = is_away && left->second + sweep_within() < deed.at;
  }
  deed.was_calm = is_calm_since(deed.at) && !deed.was_cut;
  deed.has_echo = echo;
  if (kind == Deed::Kind::join) asked_in_.emplace(deed.client, to);
  if ((kind == Deed::Kind::join || kind == Deed::Kind::leave) && device.conn != nobody) {
    Seat& seat = seats_[seat_key(deed.conn_serial, to)];
    seat.asked = base_ + deeds_.size();  // the number that it gets below
    seat.has_left = false;
    if (kind == Deed::Kind::leave) {
      seat.leaves = seat.asked;
      go_out(seat);
    }
    if (kind == Deed::Kind::join) seat.joins = seat.asked;
  }
  static constexpr Metric attempts[] = {Metric::send_attempt, Metric::push_attempt, Metric::join_attempt,
                                        Metric::leave_attempt};
  parts_.metrics.count(attempts[static_cast<std::size_t>(kind)], deed.client);
  deeds_.push_back(deed);
  return base_ + deeds_.size() - 1;
}

void Truth::on_gone(ConnIndex index, std::uint16_t) {
  const Conn& conn = parts_.population->conn(index);
  ended_[conn.serial] = parts_.kernel.now();
  if (conn.device != nobody) left_at_[parts_.population->client_of(conn.device)] = parts_.kernel.now();
  // What is missing is told with the next that gets through: a connection that ends soon after was not told, in good
  // order.
  if (const auto untold = untold_since_.find(conn.serial); untold != untold_since_.end()) {
    const bool is_late = untold->second + told_within < parts_.kernel.now();
    untold_since_.erase(untold);
    if (is_late && !conn.is_slow && !conn.is_cut && conn.device != nobody)
      find_gap(parts_.population->client_of(conn.device), conn.gap);
  }
  if (is_naive_ && conn.device != nobody) gone_[conn.serial] = parts_.population->client_of(conn.device);
}

// ---------------------------------------------------------------- what comes

void Truth::on_message(ConnIndex index, std::string_view text) {
  Population& population = *parts_.population;
  Conn& conn = population.conn(index);
  const std::uint32_t client = population.client_of(conn.device);
  const DeedNumber number = deed_in(text);
  Deed* done = deed(number);
  parts_.metrics.count(Metric::deliver, client);
  if (done == nullptr || done->kind != Deed::Kind::send) return;
  if (done->to != client) {
    parts_.metrics.count(Metric::deliver_foreign, client);
    return find("nobody-elses-mail", client,
                fmt::format("message {} from c{} to c{} reached c{}", number, done->client, done->to, client));
  }
  // Each device of a client has its copy: what may not come twice, and in its order, is that of one connection.
  const bool has_devices = population.devices_per_client() > 1;
  if (has_devices ? !copies_.insert({number, conn.serial}).second : done->is_heard) {
    parts_.metrics.count(Metric::deliver_double, client);
    return find("at-most-once", client,
                fmt::format("message {} from c{} reached c{} again", number, done->client, client));
  }
  done->is_heard = true;
  parts_.metrics.count(Metric::deliver_latency, client, parts_.kernel.now() - done->at);
  note_latency(conn, done->at);
  parts_.kernel.tell(Fact::Kind::heard, client, done->client, parts_.kernel.now() - done->at);
  if (done->client == nobody) return;
  const std::uint64_t pair = static_cast<std::uint64_t>(done->conn_serial) << 32 | (has_devices ? conn.serial : client);
  if (last_heard_.size() >= pairs_max && !last_heard_.contains(pair)) return;
  DeedNumber& last = last_heard_[pair];
  // While the store is cut off the wait for older messages is bounded (Limits::drain_max): order is promised in peace.
  if (number < last && is_calm_since(done->at)) {
    find("sender-order", client,
         fmt::format("c{} heard message {} of c{} after its message {}", client, number, done->client, last));
  }
  last = std::max(last, number);
}

void Truth::note_latency(const Conn& conn, Nanos sent_at) {
  const bool had_trouble = client_trouble_ended_ != 0 && client_trouble_ended_ + peace() > sent_at;
  const bool is_quiet = client_troubles_ == 0 && !had_trouble;
  if (!is_quiet || !is_calm_since(sent_at)) return;
  isolation_.on_heard(
      conn.serial, sent_at, parts_.kernel.now(),
      parts_.population->has_slow_readers() ? Isolation::Readers::some_are_slow : Isolation::Readers::all_read);
}

void Truth::on_answer(ConnIndex index, std::string_view text) {
  Population& population = *parts_.population;
  Conn& conn = population.conn(index);
  const std::uint32_t client = population.client_of(conn.device);
  const DeedNumber number = number_behind(text, R"("id":")");
  const bool is_error = text.starts_with("error\"");
  if (is_error && text_behind(text, R"("message":")").empty()) {
    find("no-silence", client, "an error without a sentence");
  }
  if (is_error && number == 0) told_at_[conn.serial] = parts_.kernel.now();  // of a command without an id
  Deed* done = deed(number);
  if (done == nullptr) return;
  if (done->conn_serial != conn.serial || done->client != client) {
    return find("nobody-elses-mail", client,
                fmt::format("c{} got the answer to command {} of c{}", client, number, done->client));
  }
  if (std::exchange(done->is_answered, true)) {
    return find("one-answer", client, fmt::format("command {} of c{} was answered twice", number, client));
  }
  const std::string_view code = is_error ? text_behind(text, R"("code":")") : text_behind(text, R"("state":")");
  const std::string_view reason = text_behind(text, R"("reason":")");
  const auto is = [&](std::string_view word) { return code == word || reason == word; };
  const bool is_doubtful = is_error && (is("timeout") || is("unavailable"));  // the store may have done it
  switch (done->kind) {
    case Deed::Kind::send: {
      // Of several devices one's outbox may be full, and another's not.
      done->word =
          code == "delivered" ? Deed::Word::delivered
          : code == "queued" || code == "unknown" || (is("slow_consumer") && population.devices_per_client() > 1)
              ? Deed::Word::other
              : Deed::Word::denied;
      const Metric metric = code == "delivered"   ? Metric::send_delivered
                            : code == "queued"    ? Metric::send_queued
                            : code == "offline"   ? Metric::send_offline
                            : code == "unknown"   ? Metric::send_unknown
                            : is("slow_consumer") ? Metric::send_slow_consumer
                            : is("rate_limited")  ? Metric::send_rate_limited
                            : is("capacity")      ? Metric::send_capacity
                                                  : Metric::send_refused;
      parts_.metrics.count(metric, client);
      if (const auto word = is_error ? std::nullopt : word_of(code, reason); word) {
        done->told = word;
        done->told_at = parts_.kernel.now();
        if (*word != Word::delivered && *word != Word::queued) ++told_undelivered_;
        VirtualServer* server = parts_.server(conn.server);
        if (server != nullptr && server->life() == conn.life) server->told().on_told(*word);
      }
      done->is_by_policy = metric == Metric::send_slow_consumer || metric == Metric::send_rate_limited ||
                           metric == Metric::send_capacity;
      if (code != "offline" || !done->was_connected) return;
      const ConnIndex now = population.conn_of_client(done->to);
      if (now == nobody || population.conn(now).serial != done->to_serial) return;  // it has moved meanwhile
      if (is_disturbed(done->to, done->at)) return;
      if (!is_calm_but_for_refusals(done->at - settled_after)) return;
      // A store that refuses may have no row of it to tell of: what it does not know it cannot say.
      const VirtualServer* server = parts_.server(population.conn(now).server);
      const bool is_known = server != nullptr && !places_.wrong(done->to, *server, population.conn(now).id);
      if (!is_calm_since(done->at - settled_after) && !is_known) return;
      return find("follows-the-client", done->to,
                  fmt::format("c{} was connected all the time, and message {} of c{} ended as offline", done->to,
                              number, client));
    }
    case Deed::Kind::push:
      return parts_.metrics.count(!is_error            ? Metric::push_ok
                                  : is("rate_limited") ? Metric::push_rate_limited
                                                       : Metric::push_refused,
                                  client);
    case Deed::Kind::join:
      if (!is_error) {
        Seat& seat = seats_[seat_key(conn.serial, done->to)];
        if (seat.leaves < number) know_version(seat, text);
        if (seat.asked <= number && !std::exchange(seat.is_in, true)) seat.is_steady = false;
      }
      if (!is_doubtful) settle_seat(conn.serial, done->to, number);
      return parts_.metrics.count(is_error ? Metric::join_refused : Metric::join_ok, client);
    case Deed::Kind::leave:
      if (!is_doubtful) settle_seat(conn.serial, done->to, number);
      if (!is_error) {  // it hears nothing until it is in again, and no event says so
        Seat& seat = seats_[seat_key(conn.serial, done->to)];
        seat.version = 0;
        seat.is_steady = false;
      }
      if (Seat& seat = seats_[seat_key(conn.serial, done->to)];
          seat.joins < number && (!is_error || code == "not_found")) {
        seat.has_left = true;
        go_out(seat);
      }
      return parts_.metrics.count(is_error ? Metric::leave_refused : Metric::leave_ok, client);
  }
}

void Truth::on_write(const Conn& conn, std::string_view bytes) {
  if (is_naive_) return;
  constexpr std::string_view head = R"("data":"m)";
  for (auto at = bytes.find(head); at != std::string_view::npos; at = bytes.find(head)) {
    bytes.remove_prefix(at);
    const DeedNumber number = deed_in(bytes);
    bytes.remove_prefix(head.size());
    const Deed* done = deed(number);
    if (done == nullptr || done->client == nobody) continue;
    // One that is just making its subscription anew is not waited for; it claims its clients again when that stands.
    const VirtualServer* at_server = parts_.server(conn.server);
    const auto deaf_at = at_server == nullptr ? std::nullopt : at_server->last_deafness();
    const bool was_deaf = deaf_at && *deaf_at + takeover_excused_for >= parts_.kernel.now();
    if (takeover_.is_older(conn) && reach_.can_be_told(conn.server) && !was_deaf) {
      if (const auto what = takeover_.judge(conn, *done, number)) find("takeover", conn.client, *what);
    }
    if (done->kind != Deed::Kind::send || done->to != conn.client || !has_one_device_) continue;
    // Delivered is what is in the outbox: there it may wait for the welcome, or for a reader who does not read.
    if (!conn.is_welcome || conn.unblocked_at >= done->at) continue;
    if (const auto what = fault_of_writing(*done, number)) find("finality", done->to, *what);
  }
}

void Truth::on_server_close(ConnIndex index, std::uint16_t code, bool is_server_alive) {
  const Conn& conn = parts_.population->conn(index);
  if (code == 1006 && is_server_alive && !conn.is_cut) {
    const std::uint32_t client = parts_.population->client_of(conn.device);
    find("no-silence", client, fmt::format("s{} hung up on c{} without a close frame", conn.server, client));
  }
}

// ---------------------------------------------------------------- at servers and the store

void Truth::on_queue(ConnIndex index, std::size_t bytes) {
  const Conn& conn = parts_.population->conn(index);
  const std::uint32_t client = conn.device == nobody ? nobody : parts_.population->client_of(conn.device);
  parts_.metrics.count(Metric::queue_bytes, client, static_cast<std::int64_t>(bytes));
  // One frame goes into an empty outbox whatever its size; control frames and answers that explain pass the bound.
  const std::size_t bound = parts_.config.limits.outbox_bytes_max + parts_.config.limits.message_bytes_max + 4'096;
  if (bytes > bound) {
    find("bounded-queue", client, fmt::format("{} bytes wait for c{}; the bound is {}", bytes, client, bound));
  }
}

void Truth::on_killed(const ServerId& server) {
  dead_.push_back({server, parts_.kernel.now()});
  parts_.kernel.push(parts_.kernel.now() + sweep_within(), EventKind::check,
                     static_cast<std::uint32_t>(dead_.size() - 1), 0);
}

void Truth::on_subscriptions_forgotten(std::uint32_t server) {
  parts_.kernel.push(parts_.kernel.now() + deaf_within(), EventKind::check, server, 1);
}

Nanos Truth::deaf_within() const { return 5 * nanos(parts_.config.probe_every) + 2 * second; }

void Truth::judge_dead(const DeadServer& dead) {
  for (const ServerRow& row : parts_.store->registry().rows) {
    if (row.server != dead.id) continue;
    find("stale-rows", nobody,
         fmt::format("{} died at {} ms and has not been swept", dead.id.view(), dead.at / millisecond));
  }
  // Whoever looks through the registry alone does not see what a sweep has left behind.
  if (const std::uint64_t left = parts_.store->stored_rows(dead.id); left != 0) {
    find("stale-rows", nobody,
         fmt::format("{} died at {} ms, and {} rows of its clients are still there", dead.id.view(),
                     dead.at / millisecond, left));
  }
}

void Truth::on_check(const Event& event) {
  if (event.what == 2) {
    const Takeover takeover = takeovers_.front();  // each is judged as long after as the others
    takeovers_.pop_front();
    return judge_takeover(takeover);
  }
  if (event.what == 0) {
    // Another fault, or nobody there, stands in the way of those who sweep: they have their time after it.
    const Nanos now = parts_.kernel.now();
    const bool has_server =
        std::any_of(parts_.servers->begin(), parts_.servers->end(), [](const auto& each) { return each != nullptr; });
    const Nanos from = faults_ != 0 || !has_server ? now : std::max(last_fault_, first_server_at_);
    if (from + sweep_within() > now && from >= dead_[event.whom].at) {
      return parts_.kernel.push(from + sweep_within() + 1, EventKind::check, event.whom, 0);
    }
    return judge_dead(dead_[event.whom]);
  }
  VirtualServer* server = parts_.server(event.whom);
  if (server == nullptr || server->is_draining() || server->is_paused()) return;
  // A fault since then: it has its time after it.
  const Nanos from = faults_ != 0 ? parts_.kernel.now() : last_fault_;
  if (from + deaf_within() > parts_.kernel.now() && from > parts_.kernel.now() - deaf_within()) {
    return parts_.kernel.push(from + deaf_within() + 1, EventKind::check, event.whom, 1);
  }
  if (!parts_.store->is_subscribed(server->session().index(), Channel{ChannelKind::inbox, server->id().str()})) {
    find("hears-itself", nobody,
         fmt::format("the store forgot the subscriptions of s{}, and it is still deaf", event.whom));
  }
}

void Truth::on_swept(const ServerId& id) {
  const VirtualServer* server = living(parts_, id);
  if (server == nullptr || server->is_paused() || server->is_draining() || !is_calm_since(parts_.kernel.now())) return;
  find("no-false-reap", nobody, fmt::format("{} lives, and was swept", id.view()));
}

void Truth::judge_takeover(const Takeover& takeover) {
  if (!is_calm_since(takeover.at)) return;
  bool is_open = false;
  static_cast<void>(opened_at(takeover.old, is_open));
  if (!is_open) return;
  find("single-owner", takeover.client,
       fmt::format("c{} connected elsewhere at {} ms, and its connection {} is still open", takeover.client,
                   takeover.at / millisecond, takeover.old.str()));
}

Nanos Truth::opened_at(const Attachment& at, bool& is_open) const {
  is_open = false;
  const VirtualServer* server = living(parts_, at.server);
  if (server == nullptr) return 0;
  const ConnIndex index = server->conn_with(at.conn);
  if (index == nobody) return 0;
  is_open = true;
  return parts_.population->conn(index).made_at;
}

void Truth::on_claim(const ClaimCall& request, const std::optional<OwnerRow>& before,
                     const std::optional<OwnerRow>& after) {
  closes_.on_claim(request, before, after);
  reach_.on_claim(request, before, after);
  const std::uint32_t client = Population::client_named(request.client.view());
  if (!before || request.policy != SessionPolicy::single) return;
  if (!after) return;  // of a server that holds no lease now: its rows are not shown
  if (after->at == before->at) return;
  takeovers_.push_back({before->at, client, parts_.kernel.now()});
  parts_.kernel.push(parts_.kernel.now() + kicked_within, EventKind::check, client, 2);
  if (after->epoch <= before->epoch) {
    find("fenced-claim", client,
         fmt::format("the row of c{} went back from epoch {} to {}", client, before->epoch.value, after->epoch.value));
  }
  bool was_open = false, is_open = false;
  const Nanos older = opened_at(before->at, was_open);
  const Nanos newer = opened_at(after->at, is_open);
  // Accept times of two servers compare within the error of their clocks, which is half a round trip to the store.
  const Nanos slack = is_calm_since(parts_.kernel.now() - 2 * second) ? 100 * millisecond : 2 * second;
  if (was_open && is_open && newer + slack < older) {
    find("fenced-claim", client,
         fmt::format("c{} connected to {} last, and a late claim of {} took its row", client, before->at.str(),
                     after->at.str()));
  } else if (was_open && !is_open && request.epoch_min.value == 0 && parts_.kernel.now() - older > 0) {
    // The claimant is gone already: its claim was under way while its client went on to `before`.
    const auto claimed = std::chrono::duration_cast<std::chrono::nanoseconds>(request.accepted_at - before->claimed_at);
    if (claimed.count() < -slack) {
      find("fenced-claim", client,
           fmt::format("a claim of c{} from before took the row of its newer connection", client));
    }
  }
}

void Truth::on_release(const ReleaseCall& call, const std::optional<OwnerRow>& before,
                       const std::optional<OwnerRow>& after) {
  if (!after) reach_.on_released(Population::client_named(call.client.view()));
  if (!before || before->at == call.at || (after && after->at == before->at)) return;
  const std::uint32_t client = Population::client_named(call.client.view());
  find("fenced-release", client,
       fmt::format("the release of c{} at {} removed its row at {}", client, call.at.str(), before->at.str()));
}

// ---------------------------------------------------------------- time

void Truth::judge(const Deed& done, DeedNumber number) {
  if (done.wants_answer && !done.is_answered && done.conn != nobody) {
    if (!done.was_cut && has_lived_on(done.conn, done.conn_serial, done.at) && !is_disturbed(done.client, done.at)) {
      find("one-answer", done.client, fmt::format("command {} of c{} was never answered", number, done.client));
    }
    if (done.kind == Deed::Kind::send) parts_.metrics.count(Metric::send_unknown, done.client);
  }
  if (done.kind != Deed::Kind::send || done.to >= parts_.scenario.clients) return;
  if (!done.is_heard) {
    judge_reach(done, number);
    return judge_loss(done, number);
  }
  if (done.word == Deed::Word::denied) {
    find("honest-word", done.to,
         fmt::format("message {} of c{} was said not to be delivered, and c{} heard it", number, done.client, done.to));
  }
  if (parts_.population->devices_per_client() > 1) judge_copies(done, number);
}

void Truth::judge_reach(const Deed& done, DeedNumber number) {
  if (!done.is_owed || done.is_by_policy || !reach_.was_clear(done.from_server, done.to_server, done.at)) return;
  if (is_disturbed(done.to, done.at) || is_disturbed(done.client, done.at)) return;
  if (was_told(done.conn_serial, done.at) || was_told(done.to_serial, done.at)) return;
  const auto lived_on = [&](std::uint32_t serial, Nanos until) {
    const auto ended = ended_.find(serial);
    return ended == ended_.end() || ended->second > until;
  };
  if (!lived_on(done.conn_serial, done.at + Reach::reached_within) ||
      !lived_on(done.to_serial, done.at + Reach::reached_within))
    return;
  find("reachability", done.to,
       fmt::format("c{} had its row at s{} when c{} at s{} sent it message {} at {} ms, and never got it", done.to,
                   done.to_server, done.client, done.from_server, number, done.at / millisecond));
}

void Truth::judge_loss(const Deed& done, DeedNumber number) {
  const auto lost = [&](std::string_view how) {
    parts_.metrics.count(Metric::deliver_lost, done.to);
    find("no-loss", done.to,
         fmt::format("message {} of {} {}, and c{} never got it", number,
                     done.client == nobody ? "the checkers at the end" : Population::name_of(done.client), how,
                     done.to));
  };
  const bool has_sender = is_sound(done.conn, done.conn_serial);
  // Of several devices one may have said its word and ended, while its server could not know of the others.
  const auto left = left_at_.find(done.to);
  const bool has_lost_device = parts_.population->devices_per_client() > 1 && !done.was_calm &&
                               left != left_at_.end() && left->second >= done.at;
  const bool is_excused = is_disturbed(done.to, done.at) || !done.was_connected || has_lost_device;
  const bool could_hear =
      !is_excused && has_lived_on(parts_.population->conn_of_client(done.to), done.to_serial, done.at);
  if (done.word == Deed::Word::delivered && could_hear) lost("was said to be delivered");
  if (done.client == nobody) return;
  count_loss(done, number);
  if (!done.was_connected || !has_stayed(done.to_serial, done.at)) return;
  // It asked for no word: what was dropped for a reason is told without a number, at one end or the other.
  const bool is_quiet = done.word == Deed::Word::none && !done.wants_answer;
  if (is_quiet && could_hear && has_sender && is_calm_since(done.at - settled_after) &&
      !is_disturbed(done.client, done.at) && !was_told(done.conn_serial, done.at) &&
      !was_told(done.to_serial, done.at)) {
    lost("was sent without a wish for a word in peace");
  }
}

void Truth::count_loss(const Deed& done, DeedNumber number) {
  const bool was_there = done.was_connected && has_stayed(done.to_serial, done.at);
  if (!was_there && done.word != Deed::Word::delivered) return;
  // What a stated policy drops, and says so at one end or the other, is not lost.
  if (done.is_by_policy || was_told(done.conn_serial, done.at) || was_told(done.to_serial, done.at)) return;
  // A sender whose own connection has ended knows that it knows nothing.
  const bool is_told = done.word == Deed::Word::other || done.word == Deed::Word::denied ||
                       (done.word == Deed::Word::none && !is_sound(done.conn, done.conn_serial));
  // To one who was there, or had long been away: what is written to a connection that is just ending nobody can save.
  const bool is_outside = (was_there || done.was_long_away) && is_outside_windows(done);
  ++(is_outside ? toll_.lost_outside : is_told ? toll_.lost_and_told : toll_.lost_in_silence);
  if (parts_.kernel.is_traced()) {
    constexpr std::array<std::string_view, 4> words{"none", "delivered", "offline", "another"};
    parts_.kernel.note(fmt::format("lost {} the windows of faults: message {} of c{} to c{}, sent at {} ms, word {}",
                                   is_outside ? "outside" : "in", number, done.client, done.to, done.at / millisecond,
                                   words[static_cast<std::size_t>(done.word)]));
  }
}

bool Truth::was_told(std::uint32_t serial, Nanos since) const {
  const auto found = told_at_.find(serial);
  return found != told_at_.end() && found->second >= since;
}

bool Truth::is_outside_windows(const Deed& done) const {
  if (!done.was_calm || is_disturbed(done.to, done.at) || is_disturbed(done.client, done.at)) return false;
  const auto next = std::lower_bound(troubles_began_.begin(), troubles_began_.end(), done.at);
  return next == troubles_began_.end() || *next > done.at + settled_after;
}

/// Several devices: each that was there has its copy.
void Truth::judge_copies(const Deed& done, DeedNumber number) {
  Population& population = *parts_.population;
  if (!is_calm_since(done.at - settled_after) || is_disturbed(done.to, done.at)) return;
  for (std::uint32_t k = 0; k < population.devices_per_client(); ++k) {
    const Device& device = population.device(done.to * population.devices_per_client() + k);
    if (device.state != Device::State::open) continue;
    const Conn& conn = population.conn(device.conn);
    if (conn.is_cut || conn.is_slow || conn.welcomed_at + settled_after > done.at) continue;
    if (copies_.contains({number, conn.serial}) || was_told(conn.serial, done.at)) continue;
    parts_.metrics.count(Metric::deliver_lost, done.to);
    find("no-loss", done.to,
         fmt::format("message {} of c{} reached a device of c{}, and not the one at s{}", number, done.client, done.to,
                     conn.server));
  }
}

void Truth::on_look() {
  const Nanos now = parts_.kernel.now();
  const bool is_trouble =
      faults_ != 0 || now < calm_from_ || client_troubles_ != 0 || now < client_trouble_ended_ + peace();
  while (!deeds_.empty()) {
    const Nanos kept = is_trouble && deeds_.size() <= deeds_max ? deed_kept_in_trouble : deed_kept;
    if (deeds_.front().at + kept >= now) break;
    judge(deeds_.front(), base_);
    forget_oldest();
  }
  copies_.erase(copies_.begin(), copies_.lower_bound({base_, 0}));
}

void Truth::forget_oldest() {
  const auto& told = deeds_.front().told;
  if (told && *told != Word::delivered && *told != Word::queued) --told_undelivered_;
  deeds_.pop_front();
  ++base_;
}

void Truth::send_probes() {
  ended_at_ = parts_.kernel.now();
  VirtualServer* from = nullptr;
  for (const auto& server : *parts_.servers) {
    if (server != nullptr && !server->is_draining()) from = server.get();
  }
  if (from == nullptr) return;
  // Into rooms, and to clients: whom the store lists hears it.
  const std::uint32_t every = std::max<std::uint32_t>(1, rooms_end_ / 256);
  for (std::uint32_t number = 0; number < rooms_end_; number += every) {
    if (!rooms_.contains(number)) continue;
    Deed probe;
    probe.kind = Deed::Kind::push;
    probe.to = number;
    probe.at = parts_.kernel.now();
    deeds_.push_back(probe);
    const DeedNumber named = base_ + deeds_.size() - 1;
    room_probes_.emplace(number, named);
    from->push(RoomName::trusted(room_name(number)), fmt::format("\"m{}\"", named));
  }
  const std::uint32_t step = std::max<std::uint32_t>(1, parts_.scenario.clients / 500);
  for (std::uint32_t client = 0; client < parts_.scenario.clients; client += step) {
    const ConnIndex index = parts_.population->conn_of_client(client);
    if (index == nobody || parts_.population->conn(index).is_slow) continue;
    Deed probe;
    probe.to = client;
    probe.at = parts_.kernel.now();
    probe.to_serial = parts_.population->conn(index).serial;
    probe.was_connected = true;
    probe.word = Deed::Word::delivered;
    deeds_.push_back(probe);
    from->send(ClientId::trusted(Population::name_of(client)), fmt::format("\"m{}\"", base_ + deeds_.size() - 1));
  }
}

void Truth::judge_end() {
  while (!deeds_.empty()) {
    if (deeds_.front().at + 4 * second < parts_.kernel.now()) judge(deeds_.front(), base_);
    // The newest have no time left to be judged by; rooms' probes are read below.
    if (deeds_.front().at >= ended_at_) break;
    forget_oldest();
  }
  for (DeedNumber number = base_; number < base_ + deeds_.size(); ++number) {
    const Deed& done = *deed(number);
    if (done.at == ended_at_ && done.kind == Deed::Kind::send && !done.is_heard) {
      const ConnIndex index = parts_.population->conn_of_client(done.to);
      if (index == nobody || parts_.population->conn(index).serial != done.to_serial) continue;
      find("comes-right", done.to,
           fmt::format("c{} is connected, and a message to it at the end did not arrive", done.to));
    }
  }
  Population& population = *parts_.population;
  std::uint64_t expected = 0;
  for (DeviceIndex index = 0; index < population.device_count(); ++index) {
    const Device& device = population.device(index);
    if (device.state != Device::State::open) continue;
    ++expected;
    Conn& conn = population.conn(device.conn);
    const std::uint32_t client = population.client_of(index);
    if (conn.gap > 0 && !conn.is_slow) {
      find_gap(client, conn.gap);
    }
    if (parts_.config.policy != SessionPolicy::single) continue;
    const VirtualServer* server = parts_.server(conn.server);
    if (server == nullptr) continue;
    if (const auto place = places_.wrong(client, *server, conn.id)) {
      find("comes-right", client,
           fmt::format("c{} is connected to s{}, and the store says {}", client, conn.server, *place));
    }
  }
  std::uint64_t held = 0;
  for (const auto& server : *parts_.servers) {
    if (server == nullptr) continue;
    held += server->connections();
    const Stats stats = server->stats();
    if (stats.sent != sum(stats.words)) {  // all has settled: nothing is under way any more
      find("words-add-up", nobody,
           fmt::format("s{}: {} sent, {} words", server->number(), stats.sent, sum(stats.words)));
    }
    if (const auto figure = server->dishonest_figure(); figure && !server->is_draining()) {
      find("honest-stats", nobody, fmt::format("s{} {}", server->number(), *figure));
    }
    if (const auto words = is_naive_ ? std::nullopt : server->told().uncounted(stats.words)) {
      find("finality", nobody, fmt::format("s{} {}", server->number(), *words));
    }
    if (!server->is_draining() && !server->is_ready()) {
      find("comes-right", nobody, fmt::format("s{} is not ready at the end", server->number()));
    }
  }
  // With links that become slower meanwhile nobody can tell what made whom wait.
  const bool is_degraded = std::any_of(parts_.scenario.timeline.begin(), parts_.scenario.timeline.end(),
                                       [](const Step& step) { return step.action == Step::Action::degrade; });
  const auto waited = is_degraded ? std::nullopt : isolation_.judge();
  if (waited) find("isolation", nobody, *waited);
  for (const DeadServer& dead : dead_) judge_dead(dead);
  std::uint64_t rows = 0;
  for (const auto& [server, count] : parts_.store->rows_by_server()) rows += count;
  if (rows > expected || held > expected || (rows < expected && !is_naive_)) {
    ghosts_ += std::max({rows, held, expected}) - expected;
    find("comes-right", nobody,
         fmt::format("{} connections live; the store has {} rows, the servers {} connections", expected, rows, held));
  }
  judge_rooms();
}

}  // namespace wsr::sim
