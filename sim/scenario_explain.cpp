#include "sim/scenario_explain.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <string_view>
#include <utility>
#include <vector>

#include "sim/scenario_names.hpp"
#include "sim/scenario_text.hpp"
#include "sim/vocabulary.hpp"
#include "sim/world.hpp"

namespace wsr::sim {
namespace {

// ---------------------------------------------------------------- words

/// `whole` and the `part` of it that is below one, in `digits` digits; no zeros at its end.
std::string decimal(Nanos value, Nanos unit, int digits) {
  std::string text = fmt::format("{}", value / unit);
  if (value % unit == 0) return text;
  text += fmt::format(".{:0{}}", value % unit, digits);
  text.erase(text.find_last_not_of('0') + 1);
  return text;
}

/// Exact, in the unit that people would take.
std::string time_words(Nanos value) {
  if (value >= 60 * second && value % (60 * second) == 0) return fmt::format("{}m", value / (60 * second));
  if (value == 0 || value >= second) return decimal(value, second, 9) + "s";
  if (value >= millisecond) return decimal(value, millisecond, 6) + "ms";
  if (value >= microsecond) return decimal(value, microsecond, 3) + "us";
  return fmt::format("{}ns", value);
}
std::string time_words(std::chrono::nanoseconds value) { return time_words(Nanos{value.count()}); }

/// Behind "takes" or "after".
std::string draw_words(const Distribution& d) {
  switch (d.kind) {
    case Distribution::Kind::uniform:
      return d.a == d.b ? time_words(d.a) : fmt::format("{} to {} (uniform)", time_words(d.a), time_words(d.b));
    case Distribution::Kind::exponential:
      return fmt::format("{} on average (exponential)", time_words(d.a));
    case Distribution::Kind::lognormal:
      return fmt::format("{} in the median and {} at the 99th percentile (lognormal)", time_words(d.a),
                         time_words(d.b));
    case Distribution::Kind::pareto:
      return fmt::format("at least {} and {} at the 99th percentile (pareto)", time_words(d.a), time_words(d.b));
    case Distribution::Kind::constant:
      break;
  }
  return time_words(d.a);
}

std::string after_words(const Distribution& d) {
  const bool is_at_once = d.a == 0 && d.b == 0;
  return is_at_once ? std::string("at once") : "after " + draw_words(d);
}

std::string count_of(std::uint64_t count, std::string_view what) {
  return fmt::format("{} {}{}", count, what, count == 1 ? "" : "s");
}

std::string ordinal(std::uint64_t n) {
  const bool is_teen = n % 100 >= 11 && n % 100 <= 13;
  const std::string_view ending = is_teen ? "th" : n % 10 == 1 ? "st" : n % 10 == 2 ? "nd" : n % 10 == 3 ? "rd" : "th";
  return fmt::format("{}{}", n, ending);
}

std::string moment_words(const When& when) {
  if (when.is_end) return "the end";
  if (when.step.empty()) return when.offset == 0 ? "the start" : time_words(when.offset);
  return when.offset == 0 ? fmt::format("\"{}\"", when.step)
                          : fmt::format("{} after \"{}\"", time_words(when.offset), when.step);
}

std::string span_words(const When& from, const When& to) {
  return fmt::format("from {} to {}", moment_words(from), moment_words(to));
}

/// Who a selector means, and whether that takes "is" or "are".
struct Who {
  std::string text;
  bool is_many = true;
  [[nodiscard]] std::string does(std::string_view one, std::string_view many) const {
    return fmt::format("{} {}", text, is_many ? many : one);
  }
  [[nodiscard]] std::string is(std::string_view what) const {
    return fmt::format("{} {} {}", text, is_many ? "are" : "is", what);
  }
};

Who who(const Selector& s) {
  switch (s.kind) {
    case Selector::Kind::clients:
      return {"all clients"};
    case Selector::Kind::servers:
      return {"all servers"};
    case Selector::Kind::store:
      return {"the store", false};
    case Selector::Kind::range_servers:
    case Selector::Kind::range_clients: {
      const char letter = s.kind == Selector::Kind::range_servers ? 's' : 'c';
      if (s.from == s.to) return {fmt::format("{}{}", letter, s.from), false};
      return {fmt::format("{0}{1} to {0}{2}", letter, s.from, s.to)};
    }
    case Selector::Kind::part: {
      const std::string whole = who(s.parts.front()).text;
      if (s.count != 0) return {fmt::format("{} of {}", s.count, whole), s.count != 1};
      return {fmt::format("{} of {}", write_chance(s.percent_millis * 10), whole)};
    }
    case Selector::Kind::on: {
      const std::string servers = who(s.parts.front()).text;
      if (s.name.empty()) return {fmt::format("the clients on {}", servers)};
      return {fmt::format("the clients that are on {} at \"{}\"", servers, s.name)};
    }
    case Selector::Kind::owner:
      return {fmt::format("the server of c{}", s.from), false};
    case Selector::Kind::group:
      return {fmt::format("the members of \"{}\"", s.name)};
    case Selector::Kind::except:
      return {fmt::format("{} except {}", who(s.parts[0]).text, who(s.parts[1]).text)};
  }
  return {s.text};
}

std::string one_of(const Selector& s) {
  if (s.kind == Selector::Kind::clients) return "any client";
  const Who whom = who(s);
  return whom.is_many ? "one of " + whom.text : whom.text;
}
std::string each_of(const Selector& s) {
  if (s.kind == Selector::Kind::clients) return "each client";
  const Who whom = who(s);
  return whom.is_many ? "each of " + whom.text : whom.text;
}

std::string link_words(const LinkSpec& link) {
  const auto part = [](std::uint32_t ppm) { return ppm == 0 ? std::string("none") : write_chance(ppm); };
  const bool is_clean = link.loss_ppm == 0 && link.duplicate_ppm == 0 && link.reorder_ppm == 0;
  const std::string segments = is_clean
                                   ? std::string("none is lost, doubled or overtaken")
                                   : fmt::format("{} are lost, {} are doubled and {} are overtaken",
                                                 part(link.loss_ppm), part(link.duplicate_ppm), part(link.reorder_ppm));
  return fmt::format("a segment takes {}; {}; {}", draw_words(link.latency), segments,
                     link.bytes_per_second == 0 ? std::string("the bandwidth is not limited")
                                                : fmt::format("each direction of a connection carries {}/s",
                                                              write_size(link.bytes_per_second)));
}

std::string rooms_words(std::uint32_t rooms) {
  return rooms == 1 ? std::string("room:0") : fmt::format("one of the {} rooms room:0 to room:{}", rooms, rooms - 1);
}

std::string balancing_words(Balancing balancing) {
  switch (balancing) {
    case Balancing::random:
      return "each time at random";
    case Balancing::round_robin:
      return "in turn";
    case Balancing::least_connections:
      return "the one with the fewest connections";
    case Balancing::sticky:
      return "the one that it was on, and at first the one that the seed gives to this client";
    case Balancing::hash:
      return "always the one that the seed gives to this client";
  }
  return {};
}

std::string slow_words(SlowPolicy policy) {
  switch (policy) {
    case SlowPolicy::drop:
      return "what does not fit any more is dropped (slow-consumer = drop)";
    case SlowPolicy::drop_oldest:
      return "the oldest is dropped for the newest (slow-consumer = drop_oldest)";
    case SlowPolicy::keep_latest:
      return "only the latest is kept (slow-consumer = keep_latest)";
    case SlowPolicy::disconnect:
      return "the connection is closed (slow-consumer = disconnect)";
  }
  return {};
}

std::string rate_words(const RateLimit& limit) {
  return fmt::format("{} in {}, with a burst of {}", limit.count, time_words(limit.window), limit.capacity());
}

// ---------------------------------------------------------------- steps

std::string partition_words(const Step& step) {
  const Who a = who(*step.between_a), b = who(*step.between_b);
  switch (step.direction) {
    case Step::Direction::both:
      break;
    case Step::Direction::a_to_b:
      return fmt::format("nothing gets through from {} to {}; the other direction works", a.text, b.text);
    case Step::Direction::b_to_a:
      return fmt::format("nothing gets through from {} to {}; the other direction works", b.text, a.text);
  }
  return fmt::format("nothing gets through between {} and {}, in both directions", a.text, b.text);
}

std::string until(const Step& step, std::string_view with, std::string_view without) {
  return step.duration ? fmt::format("{} {}", with, time_words(*step.duration)) : std::string(without);
}

std::string_view refusal_words(Step::Code code) {
  switch (code) {
    case Step::Code::misconf:
      return "it cannot write to its disk; reads and the bus work";
    case Step::Code::readonly:
      return "it is a replica; only the bus works, once a refusal has shown it";
    case Step::Code::loading:
      return "it is reading its data; only the bus works";
    case Step::Code::oom:
      break;
  }
  return "it is full; what needs no new memory works, renewals among it";
}

/// What a step does. REQUIRES: the step has what needs_of(its action) says.
std::string deed_words(const Step& step) {
  using A = Step::Action;
  const Who target = step.target ? who(*step.target) : Who{"all servers"};
  const std::string room = fmt::format("room:{}", step.room.value_or(0));
  switch (step.action) {
    case A::kill:
      return fmt::format("{}, without a goodbye{}", target.is("killed"),
                         until(step, ", and started again after", ", until a step or the end starts what was killed"));
    case A::vanish:
      return fmt::format("{} with all power gone: no connection is ended, and the store counts {} for {}{}",
                         target.does("vanishes", "vanish"), target.is_many ? "their subscribers" : "its subscriber",
                         time_words(step.counted_for),
                         until(step, "; started again after", "; gone until a step or the end starts what vanished"));
    case A::stop:
      return fmt::format("{} in good order{}", target.does("stops", "stop"),
                         until(step, ", to start again after", ", until a step or the end starts what was stopped"));
    case A::start:
      return fmt::format("{} unless already running", target.does("starts", "start"));
    case A::restart:
      return fmt::format("{} in good order, to start again after {}", target.does("stops", "stop"),
                         time_words(step.duration.value_or(10 * second)));
    case A::pause:
      return fmt::format("{}{}: nothing runs there", target.is("paused"),
                         until(step, " for", " until a step or the end resumes it"));
    case A::resume:
      return target.does("goes on after a pause", "go on after a pause");
    case A::drop:
      return fmt::format("the connections of {} break, and both ends know", target.text);
    case A::half_open:
      return fmt::format(
          "the connections of {} break, and neither end knows{}", target.text,
          until(step, "; the servers find out after at most", "; each server finds out when a ping is not answered"));
    case A::slow:
      return fmt::format("{}{}",
                         step.bytes_per_second == 0 ? target.does("does not read any more", "do not read any more")
                                                    : fmt::format("{} {}/s only", target.does("reads", "read"),
                                                                  write_size(step.bytes_per_second)),
                         until(step, ", for", ", until everything heals"));
    case A::connect:
      return fmt::format("{} unless already connected", target.does("connects", "connect"));
    case A::partition:
      return fmt::format("{} {}", until(step, "for", "until everything heals"), partition_words(step));
    case A::degrade:
      return fmt::format("{}, between {} and {}, {}", until(step, "for", "until everything heals"),
                         who(*step.between_a).text, who(*step.between_b).text, link_words(*step.link));
    case A::heal:
      return "what the steps before have done is undone, but for a stall of the store and the rest of a swizzle";
    case A::clock_skew:
      if (step.by < 0)
        return fmt::format("the wall clock of {} falls back by {}; no server reads it", target.text,
                           time_words(-step.by));
      return fmt::format("the monotonic clock of {} jumps ahead by {}", target.text, time_words(step.by));
    case A::store_stall:
      return fmt::format("the store answers nobody for {}", time_words(step.duration.value_or(second)));
    case A::store_restart:
      return fmt::format("the store goes down, forgets everything, and is back after {}",
                         time_words(step.duration.value_or(second)));
    case A::store_flush:
      return "the store forgets everything; connections and subscriptions stay" +
             until(step, "; for the checkers it lasts", "");
    case A::store_failover:
      return "the store's replica takes over, without what it has not got yet" +
             until(step, "; for the checkers it lasts", "");
    case A::store_lose_replies:
      return fmt::format("the store's replies to {} are lost, and the connections with them, for {}", target.text,
                         time_words(step.duration.value_or(second)));
    case A::store_refuse:
      return fmt::format(
          "the store refuses with {} for {}: {}", name_in(code_names, step.code.value_or(Step::Code::oom)),
          time_words(step.duration.value_or(second)), refusal_words(step.code.value_or(Step::Code::oom)));
    case A::refuse_subscribe:
      return fmt::format("the store refuses {} each new subscription for {}", target.text,
                         time_words(step.duration.value_or(second)));
    case A::subscriber_lag:
      return fmt::format("what the store sends to the subscribers of {} comes {} later{}", target.text,
                         time_words(step.by), until(step, ", for", ", until everything heals"));
    case A::drop_subscription:
      return fmt::format("the store forgets the subscriptions of {}, without a word", target.text);
    case A::send:
      return fmt::format("{} 16B to c{}", target.does("sends", "send"), step.to.value_or(0));
    case A::join:
      return fmt::format("{} {}", target.does("joins", "join"), room);
    case A::leave:
      return fmt::format("{} {}", target.does("leaves", "leave"), room);
    case A::push:
      return fmt::format("{} 16B into {}", target.does("pushes", "push"), room);
    case A::swizzle:
      return fmt::format(
          "half of {} are cut off from the store one by one, and come back in another order, all within "
          "{}",
          target.text, time_words(step.duration.value_or(10 * second)));
    case A::mark:
      break;
  }
  return "nothing happens; it is a name for the moment";
}

// ---------------------------------------------------------------- the whole

class Explainer {
public:
  Explainer(const Scenario& scenario, const ServerConfig& config, std::uint64_t seed)
      : s_(scenario), drawn_(vary(scenario, seed)), config_(config), seed_(seed) {}
  std::string all() {
    out_ = fmt::format("{}: {}\n", s_.name, s_.summary);
    explain_run();
    explain_servers();
    explain_clients();
    explain_network();
    explain_store();
    explain_workload();
    explain_timeline();
    explain_expectations();
    return std::move(out_);
  }

private:
  void head(std::string_view title) { out_ += fmt::format("\n{}\n", title); }
  void line(std::string_view text) {
    out_ += "  ";
    out_ += text;
    out_ += '\n';
  }
  void explain_run();
  void explain_servers();
  void explain_clients();
  void explain_network();
  void explain_store();
  void explain_workload();
  void explain_timeline();
  void explain_expectations();
  [[nodiscard]] std::string work_words(const Workload& work) const;

  const Scenario& s_;
  const Scenario drawn_;  // as the seed has it
  const ServerConfig& config_;
  std::uint64_t seed_;
  std::string out_;
};

void Explainer::explain_run() {
  head("Run");
  line(fmt::format(
      "{} and {} run for {} of virtual time. At the end everything heals, and {} later all must have come right.",
      count_of(s_.servers, "server"), count_of(s_.clients, "client"), time_words(s_.duration), time_words(s_.settle)));
  line(s_.sweep.seeds == 1
           ? fmt::format("The seed is {}, if none is asked for.", s_.seed)
           : fmt::format("The seeds are {} to {}, if none are asked for.", s_.seed, s_.seed + s_.sweep.seeds - 1));
  for (const auto& each : s_.sweep.vary) {
    const std::string& what = each.first;
    const auto dot = what.rfind('.');
    const auto is_it = [&](const Step& step) { return std::string_view(what).substr(0, dot) == step.id; };
    const auto written = std::find_if(s_.timeline.begin(), s_.timeline.end(), is_it);
    const auto found = std::find_if(drawn_.timeline.begin(), drawn_.timeline.end(), is_it);
    if (written == s_.timeline.end()) continue;
    const bool is_at = what.ends_with(".at");
    const auto shown = [is_at](const Step& step) {
      if (is_at) return write(step.at);
      return step.duration ? time_words(*step.duration) : std::string("nothing");
    };
    line(fmt::format("Each seed draws {}: {}. Seed {} has {}; the {} of the file is not used.", what,
                     draw_words(each.second), seed_, is_at ? moment_words(found->at) : shown(*found), shown(*written)));
  }
  line(s_.budget.events == 0
           ? std::string("The number of events has no bound.")
           : fmt::format("A run of more than {} events is ended as over its budget.", s_.budget.events));
  if (s_.mutant != Mutant::none) {
    const MutantName& mutant = mutant_names[static_cast<std::size_t>(s_.mutant)];
    line(fmt::format("A known bug is switched on in every run, {}: {}.", mutant.name, mutant.says));
  }
}

void Explainer::explain_servers() {
  const Limits& limits = config_.limits;
  head("Servers");
  std::vector<std::string> set;
  set.reserve(s_.config.size());
  for (const ConfigEntry& entry : s_.config) set.push_back(fmt::format("{} = {}", entry.key, entry.value));
  line(s_.config.empty()
           ? std::string("They run with the defaults of wsr serve, which are:")
           : fmt::format("They run with {}, and else with the defaults of wsr serve. That is:", fmt::join(set, ", ")));
  line(fmt::format("A server that does not renew its lease of {} counts as dead; it probes its own inbox every {}.",
                   time_words(config_.lease), time_words(config_.probe_every)));
  line(config_.ping_every >= std::chrono::hours{24}
           ? std::string("It sends no pings.")
           : fmt::format("It pings a silent connection after {}, and gives it up after {} without an answer.",
                         time_words(config_.ping_every), time_words(config_.pong_within)));
  line(fmt::format("A server that stops waits up to {} for what is under way.", time_words(config_.drain_within)));
  line(config_.policy == SessionPolicy::single
           ? std::string("A newer connection of a client replaces the older (sessions = single).")
           : fmt::format("A client may have {} at a time (sessions = multi).",
                         count_of(limits.devices_max, "connection")));
  line(limits.owner_ttl.count() == 0
           ? std::string("Owner rows stay in the store until they are released or swept.")
           : fmt::format("Owner rows leave the store {} after they were last claimed.", time_words(limits.owner_ttl)));
  line(fmt::format(
      "The store takes {} and {}.",
      config_.owners_max == 0 ? std::string("any number of owner rows") : count_of(config_.owners_max, "owner row"),
      config_.memberships_max == 0 ? std::string("any number of memberships")
                                   : count_of(config_.memberships_max, "membership")));
  line(
      fmt::format("A message has at most {}. At most {} wait for one connection, and {} for all of a server; for a "
                  "slow reader {}.",
                  write_size(limits.message_bytes_max), write_size(limits.outbox_bytes_max),
                  write_size(limits.outboxes_bytes_max), slow_words(limits.slow_policy)));
  line(fmt::format("A client is in at most {}. A room of more than {} hears counts instead of each join and leave.",
                   count_of(limits.rooms_per_client_max, "room"), count_of(limits.presence_events_max, "client")));
  line(limits.reconnect_grace.count() == 0
           ? std::string("Whose connection has ended is out of its rooms at once.")
           : fmt::format("Whose connection has ended keeps its rooms for {}.", time_words(limits.reconnect_grace)));
  line(limits.client_rate.is_on()
           ? fmt::format("The sends and pushes of one client are at most {}.", rate_words(limits.client_rate))
           : std::string("A client may send and push at any rate."));
  line(limits.room_rate.is_on() ? fmt::format("The pushes into one room are at most {}.", rate_words(limits.room_rate))
                                : std::string("A room takes pushes at any rate."));
  if (limits.client_rate.is_on() || limits.room_rate.is_on())
    line(limits.over_rate == Limits::OverRate::close ? "Who is over a rate is closed with 4029."
                                                     : "What is over a rate is refused.");
}

void Explainer::explain_clients() {
  head("Clients");
  line(s_.devices == 1 ? std::string("Each client has one device, with one connection.")
                       : fmt::format("Each client has {} devices, with a connection each.", s_.devices));
  line(fmt::format("Each arrives {}. A load balancer gives it one of the servers that listen: {}.",
                   after_words(s_.arrive), balancing_words(s_.balancing)));
  const ReconnectSpec& back = s_.reconnect;
  line(fmt::format("A client notices that its server is dead, or its connection half open, {}.",
                   after_words(back.notice)));
  if (back.give_up.kind != Distribution::Kind::constant || back.give_up.a != 0)
    line(fmt::format("An attempt that is not welcome {} is given up, and counts as one in vain.",
                     after_words(back.give_up)));
  const std::string delays = fmt::format("{}; each attempt in vain doubles that, up to {}", after_words(back.delay),
                                         time_words(back.delay_max));
  line(back.is_on ? fmt::format("Whose connection has ended comes back {}.", delays)
                  : fmt::format("Whose connection has ended stays away until everything heals. An attempt that was in "
                                "vain is repeated {}.",
                                delays));
  line(back.is_sticky ? "It goes back to the server that it was on if that one listens, and else where the load "
                        "balancer sends it."
                      : "It goes where the load balancer sends it.");
  for (const auto& [name, selector] : s_.groups)
    line(fmt::format("The group \"{}\" is: {}.", name, who(selector).text));
}

void Explainer::explain_network() {
  head("Network");
  line(fmt::format("Between clients and servers {}.", link_words(s_.link)));
  line(fmt::format("Between servers and the store {}.", link_words(s_.store_link)));
  for (const LinkRule& rule : s_.links)
    line(fmt::format("But between {} and {} {}.", who(rule.from).text, who(rule.to).text, link_words(rule.link)));
}

void Explainer::explain_store() {
  head("Store");
  line(fmt::format("A call takes {} in the store.", draw_words(s_.store.latency)));
  line(s_.store.has_replica
           ? fmt::format("It has a replica, which gets each change after {}.", draw_words(s_.store.replication_lag))
           : std::string("It has no replica."));
  line(fmt::format("It cuts off a server that leaves more than {} of its channels unread.",
                   write_size(s_.store.subscriber_buffer)));
}

std::string Explainer::work_words(const Workload& work) const {
  using Op = Workload::Op;
  const bool is_once = work.per_hour == 0;
  std::string text = is_once ? each_of(work.from) + ", once," : one_of(work.from);
  const auto rooms = [&](std::string_view verb) {
    if (!is_once || work.rooms_each == 1) return fmt::format(" {} {}", verb, rooms_words(work.rooms));
    return fmt::format(" {} {} of the {} rooms room:0 to room:{} (one may be drawn twice)", verb, work.rooms_each,
                       work.rooms, work.rooms - 1);
  };
  switch (work.op) {
    case Op::send:
      text += fmt::format(" sends {} to {}", write_size(work.bytes), work.to ? one_of(*work.to) : "any client");
      break;
    case Op::push:
      text += fmt::format(" pushes {} into {}{}", write_size(work.bytes), rooms_words(work.rooms),
                          work.echo ? ", and hears it itself if it is a member" : ", and does not hear it itself");
      break;
    case Op::join:
      text += rooms("joins");
      break;
    case Op::leave:
      text += rooms("leaves");
      break;
    case Op::churn:
      text += " goes away, every other time with a goodbye, and comes back";
      break;
  }
  if (!is_once) text += fmt::format(", {} in all", write_rate(work.per_hour));
  if (work.op != Op::churn) text += work.wants_word ? ", and is answered" : ", and asks for no answer";
  return text;
}

void Explainer::explain_workload() {
  head("Workload");
  if (s_.workload.empty()) line("There is none.");
  for (const Workload& work : s_.workload)
    line(fmt::format("{}: From {} to {}, {}.", work.id, moment_words(work.start), moment_words(work.stop),
                     work_words(work)));
}

void Explainer::explain_timeline() {
  head("Timeline");
  if (s_.timeline.empty()) line("Nothing happens to anybody.");
  for (const Step& step : drawn_.timeline) {
    std::string text = step.id + ": ";
    if (step.on.empty()) {
      text += fmt::format("At {}, ", moment_words(step.at));
    } else {
      const auto metric = metric_of(step.on);
      const std::string_view says = metric ? metric_names[static_cast<std::size_t>(*metric)].says : "";
      text += fmt::format("At the {} {} ({}), ", ordinal(step.nth), step.on, says.substr(0, says.find(" (value")));
    }
    text += deed_words(step);
    if (step.every) text += fmt::format("; again every {} until the end", time_words(*step.every));
    if (!step.note.empty()) text += fmt::format(" ({})", step.note);
    line(text + ".");
  }
}

void Explainer::explain_expectations() {
  head("Expected");
  std::vector<std::string> checkers;
  checkers.reserve(checker_names.size());
  for (const CheckerName& each : checker_names) checkers.push_back(fmt::format("{} ({})", each.name, each.contract));
  line(fmt::format("All checkers are silent: {}.", fmt::join(checkers, ", ")));
  for (const Expectation& each : s_.expect) {
    const std::string& says = each.expression.text;
    std::string text;
    switch (each.kind) {
      case Expectation::Kind::always:
        text = fmt::format("Always, {}: {}.", span_words(each.from, each.to), says);
        break;
      case Expectation::Kind::never:
        text = fmt::format("Never, {}: {}.", span_words(each.from, each.to), says);
        break;
      case Expectation::Kind::sometimes:
        text = fmt::format("At least once, {}: {}.", span_words(each.from, each.to), says);
        break;
      case Expectation::Kind::eventually:
        text = fmt::format("Within {0}, counted from {1}, and still at the end of these {0}: {2}.",
                           time_words(each.within.value_or(0)), moment_words(each.from), says);
        break;
      case Expectation::Kind::check:
        text = fmt::format("At {}, with all counted from {} on: {}.", moment_words(each.to), moment_words(each.from),
                           says);
        break;
      case Expectation::Kind::waive:
        text = fmt::format(
            "What {} finds {} is waived, which means counted, but no failure: {}", each.checker,
            each.to.is_end ? fmt::format("from {} on", moment_words(each.from)) : span_words(each.from, each.to),
            each.because);
        if (text.back() != '.') text += '.';
        break;
    }
    line(each.name.empty() ? text : fmt::format("{}: {}", each.name, text));
  }
}

}  // namespace

std::string explain(const Scenario& scenario, const ServerConfig& config, std::optional<std::uint64_t> seed) {
  return Explainer(scenario, config, seed.value_or(scenario.seed)).all();
}

}  // namespace wsr::sim
