#include "sim/scenario_checks.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <limits>
#include <map>
#include <optional>
#include <set>
#include <string_view>
#include <utility>
#include <variant>

#include "sim/random.hpp"
#include "sim/scenario_names.hpp"
#include "sim/scenario_text.hpp"

namespace wsr::sim {
namespace {

constexpr std::uint64_t operations_max = 50'000'000;  // of all workloads: some minutes of real time
constexpr Nanos repeats_max = 1'000'000;              // of one step: each is an event, and a run is no clock

/// When each step happens, as far as the file says it: what waits for a probe has no moment before the run.
class Moments {
public:
  /// `is_latest`: a step that sweep.vary moves is at the last moment that it can be drawn for.
  Moments(const Scenario& scenario, const ScenarioPlaces& places, bool is_latest) : scenario_(scenario) {
    for (const Step& step : scenario.timeline) {
      if (places.moments_unknown.contains(step.id)) continue;
      When when = step.at;
      if (const auto drawn = scenario.sweep.vary.find(step.id + ".at");
          is_latest && drawn != scenario.sweep.vary.end()) {
        const Distribution& d = drawn->second;
        if (d.kind != Distribution::Kind::constant && d.kind != Distribution::Kind::uniform) continue;  // no last one
        when.offset = d.kind == Distribution::Kind::constant ? d.a : d.b;
      }
      whens_.emplace(step.id, std::move(when));
    }
  }
  /// Nothing: not known, or in a circle.
  [[nodiscard]] std::optional<Nanos> at(const When& when) {
    // Up the chain of steps that wait for each other to one that is known, and down again.
    std::vector<std::string> chain;
    std::optional<Nanos> base;
    const When* each = &when;
    while (!each->is_end && !each->step.empty()) {
      if (const auto found = known_.find(each->step); found != known_.end()) {
        base = found->second;
        break;
      }
      const auto found = whens_.find(each->step);
      known_.emplace(each->step, std::nullopt);  // until it is known; meeting it again is a circle
      if (found == whens_.end()) break;
      chain.push_back(each->step);
      each = &found->second;
    }
    if (each->is_end) base = scenario_.duration;
    if (!each->is_end && each->step.empty()) base = 0;
    for (std::size_t i = chain.size(); base && i-- > 0;) {
      base = *base + each->offset;
      known_[chain[i]] = base;
      each = i == 0 ? &when : &whens_.at(chain[i - 1]);
    }
    if (base) base = *base + when.offset;
    return base;
  }

private:
  const Scenario& scenario_;
  std::map<std::string, When> whens_;
  std::map<std::string, std::optional<Nanos>> known_;
};

class Checks {
public:
  Checks(const Scenario& scenario, const ScenarioPlaces& places)
      : scenario_(scenario), places_(places), moments_(scenario, places, false) {
    for (const Step& step : scenario.timeline) steps_.emplace(step.id, &step);
  }
  std::vector<Problem> all() {
    check();
    return std::move(problems_);
  }

private:
  using Values = ScenarioPlaces::Values;
  /// Where the value of `key` stands; without it, where the whole does.
  static Position place(const Values& values, std::string_view key) {
    const auto found = values.find(key);
    return found == values.end() ? values.at("") : found->second;
  }
  /// What messages call a step: by its name, or by its place if it has none.
  [[nodiscard]] std::string step_name(std::size_t i) const {
    return places_.timeline[i].contains("id") ? fmt::format("the step \"{}\"", scenario_.timeline[i].id)
                                              : fmt::format("timeline[{}]", i);
  }
  void complain(Position at, std::string message) { problems_.push_back({at, std::move(message)}); }
  void check();
  void check_groups();
  void check_links();
  void check_workload(const Workload& work, std::size_t i);
  void check_step(const Step& step, std::size_t i);
  struct Ends {  // of a link: where they stand
    Position a, b, both;
  };
  void check_ends(const Selector& a, const Selector& b, const Ends& at, std::string_view what);
  void check_moment(const When& when, Position at, std::string_view what, const std::string& self = {});
  void check_cycles();
  void check_selector(const Selector& selector, Position at, bool wants_servers, std::string_view what);
  void check_expectation(const Expectation& each, const Values& values);
  /// Complains of a comparison that is true, or false, whatever happens.
  void check_values(const Expression::Comparison& comparison, Position at);
  struct Range {
    double least = 0, most = 0;
  };
  [[nodiscard]] Range range_of(const Expression::Term& term) const;
  void check_vary();
  [[nodiscard]] bool is_in_circle(const std::string& group) const { return circles_.contains(group); }
  [[nodiscard]] bool is_of_servers(const Selector& selector) const;
  [[nodiscard]] std::optional<std::uint64_t> size_of(const Selector& selector) const;
  [[nodiscard]] std::optional<Nanos> known_at(const When& when) { return moments_.at(when); }

  const Scenario& scenario_;
  const ScenarioPlaces& places_;
  Moments moments_;
  std::map<std::string_view, const Step*> steps_;
  Wide operations_ = 0;            // of the workloads so far
  std::set<std::string> circles_;  // groups that are made of themselves
  std::vector<Problem> problems_;
};

void Checks::check_moment(const When& when, Position at, std::string_view what, const std::string& self) {
  if (!when.step.empty() && !places_.steps.contains(when.step)) {
    if (!places_.has_all_steps) return;
    std::vector<std::string> known;
    for (const auto& [id, place] : places_.steps) known.push_back(id);
    const std::string near = nearest(when.step, known);
    return complain(at, fmt::format("{}: there is no step \"{}\"{}", what, when.step,
                                    near.empty() ? "" : ": did you mean \"" + near + "\"?"));
  }
  if (!when.step.empty() && when.step == self) return complain(at, fmt::format("{} waits for itself", what));
  const auto known = known_at(when);
  if (known && *known > scenario_.duration) {
    complain(at, fmt::format("{} at {} is after the end ({})", what, write(when), write_duration(scenario_.duration)));
  }
}

void Checks::check_cycles() {
  // Each step waits for one other at most: whoever walks into a step of its own walk has met a circle.
  std::map<std::string_view, std::size_t> walk_of;
  for (std::size_t i = 0; i < scenario_.timeline.size(); ++i) {
    const Step* each = &scenario_.timeline[i];
    while (each != nullptr && each->on.empty() && walk_of.emplace(each->id, i).second) {
      const auto next = each->at.step == each->id ? steps_.end() : steps_.find(each->at.step);
      each = next == steps_.end() ? nullptr : next->second;
    }
    if (each == nullptr || !each->on.empty() || walk_of.at(each->id) != i) continue;
    std::string chain;
    const Step* at = each;
    do {
      chain += at->id + " waits for ";
      at = steps_.at(at->at.step);
    } while (at != each);
    const auto index = static_cast<std::size_t>(each - scenario_.timeline.data());
    complain(place(places_.timeline[index], "at"),
             fmt::format("these steps wait for each other: {}{}", chain, each->id));
  }
}

/// Every group that `selector` is made of.
void visit_groups(const Selector& selector, const std::function<void(const std::string&)>& visit) {
  if (selector.kind == Selector::Kind::group) visit(selector.name);
  for (const Selector& part : selector.parts) visit_groups(part, visit);
}

bool Checks::is_of_servers(const Selector& s) const {
  switch (s.kind) {
    case Selector::Kind::servers:
    case Selector::Kind::range_servers:
    case Selector::Kind::owner:
      return true;
    case Selector::Kind::part:
    case Selector::Kind::except:
      return is_of_servers(s.parts.front());
    case Selector::Kind::group: {
      const auto found = scenario_.groups.find(s.name);
      return found != scenario_.groups.end() && !is_in_circle(s.name) && is_of_servers(found->second);
    }
    default:
      return false;
  }
}

/// How many a selector can be at most; nothing: that shows in the run.
std::optional<std::uint64_t> Checks::size_of(const Selector& s) const {
  switch (s.kind) {
    case Selector::Kind::clients:
      return scenario_.clients;
    case Selector::Kind::servers:
      return scenario_.servers;
    case Selector::Kind::range_servers:
    case Selector::Kind::range_clients:
      return std::uint64_t{s.to} - s.from + 1;
    case Selector::Kind::owner:
      return 1;
    case Selector::Kind::part: {
      const auto whole = size_of(s.parts.front());
      if (!whole) return std::nullopt;
      return s.count != 0 ? std::min<std::uint64_t>(s.count, *whole) : (*whole * s.percent_millis + 50'000) / 100'000;
    }
    case Selector::Kind::group: {
      const auto found = scenario_.groups.find(s.name);
      if (found == scenario_.groups.end() || is_in_circle(s.name)) return std::nullopt;
      return size_of(found->second);
    }
    default:
      return std::nullopt;
  }
}

void Checks::check_selector(const Selector& s, Position at, bool wants_servers, std::string_view what) {
  switch (s.kind) {
    case Selector::Kind::range_servers:
      if (s.from < 1 || s.to > scenario_.servers)
        return complain(
            at, fmt::format("{}: \"{}\" is not there: the servers are s1 to s{}", what, s.text, scenario_.servers));
      break;
    case Selector::Kind::range_clients:
    case Selector::Kind::owner:
      if (s.to >= scenario_.clients)
        return complain(
            at, fmt::format("{}: \"{}\" is not there: the clients are c0 to c{}", what, s.text, scenario_.clients - 1));
      break;
    case Selector::Kind::group:
      if (is_in_circle(s.name) || places_.broken_groups.contains(s.name)) return;  // told already
      if (!scenario_.groups.contains(s.name)) {
        if (!places_.has_all_groups) return;
        std::vector<std::string> known{"clients", "servers", "store"};
        for (const auto& [name, selector] : scenario_.groups) known.push_back(name);
        const std::string near = nearest(s.name, known);
        return complain(at, fmt::format("{}: there is no group \"{}\"{}", what, s.name,
                                        near.empty() ? "" : ": did you mean \"" + near + "\"?"));
      }
      break;
    case Selector::Kind::on:
      if (!s.name.empty() && places_.has_all_steps && !places_.steps.contains(s.name))
        return complain(at, fmt::format("{}: there is no step \"{}\"", what, s.name));
      check_selector(s.parts.front(), at, true, what);
      break;
    case Selector::Kind::part: {
      const std::size_t before = problems_.size();
      check_selector(s.parts.front(), at, wants_servers, what);
      const auto whole = size_of(s.parts.front());
      if (problems_.size() != before || !whole) return;
      if (s.count > *whole)
        complain(at, fmt::format("{}: \"{}\" is not there: \"{}\" are {}", what, s.text, s.parts.front().text, *whole));
      if (s.count == 0 && size_of(s) == 0)
        complain(at, fmt::format("{}: \"{}\" is nobody: \"{}\" are {}", what, s.text, s.parts.front().text, *whole));
      return;
    }
    case Selector::Kind::except:
      check_selector(s.parts[0], at, wants_servers, what);
      check_selector(s.parts[1], at, wants_servers, what);
      if (s.parts[0].text == s.parts[1].text) complain(at, fmt::format("{}: \"{}\" is nobody", what, s.text));
      return;
    default:
      break;
  }
  if (s.kind == Selector::Kind::store)
    return complain(at, fmt::format("{}: the store is neither a client nor a server", what));
  if (is_of_servers(s) != wants_servers) {
    complain(at, fmt::format("{}: {} are needed, and \"{}\" are {}", what, wants_servers ? "servers" : "clients",
                             s.text, wants_servers ? "clients" : "servers"));
  }
}

Checks::Range Checks::range_of(const Expression::Term& term) const {
  if (term.kind == Expression::Term::Kind::number) return {term.number, term.number};
  Range range{0, std::numeric_limits<double>::infinity()};  // there is nothing below 0 of anything
  const std::string& f = term.function;
  if (f == "members") range.most = scenario_.clients;
  if (term.among && (f == "connected" || f == "ready" || f == "size")) {
    if (const auto size = size_of(*term.among)) range.most = static_cast<double>(*size);
  }
  return range;
}

void Checks::check_values(const Expression::Comparison& comparison, Position at) {
  const auto of = [](const Expression::Term& term) {
    return fmt::format("{}({}{})", term.function, term.argument, term.among ? " " + term.among->text : "");
  };
  if (comparison.left.kind == Expression::Term::Kind::function &&
      comparison.right.kind == Expression::Term::Kind::function && of(comparison.left) == of(comparison.right)) {
    return complain(at, "both sides of this are the same: it says nothing");
  }
  const Range left = range_of(comparison.left), right = range_of(comparison.right);
  using Op = Expression::Op;
  const Op op = comparison.op;
  const bool is_below = left.most<right.least, is_above = left.least> right.most;  // whatever happens
  const bool is_not_above = left.most <= right.least, is_not_below = left.least >= right.most;
  const bool is_exact = left.least == left.most && right.least == right.most && left.least == right.least;
  const bool never = op == Op::equal        ? is_below || is_above
                     : op == Op::not_equal  ? is_exact
                     : op == Op::less       ? is_not_below
                     : op == Op::less_equal ? is_above
                     : op == Op::greater    ? is_not_above
                                            : is_below;
  const bool always = op == Op::equal        ? is_exact
                      : op == Op::not_equal  ? is_below || is_above
                      : op == Op::less       ? is_below
                      : op == Op::less_equal ? is_not_above
                      : op == Op::greater    ? is_above
                                             : is_not_below;
  if (!never && !always) return;
  const auto words = [](const Expression::Term& term, const Range& range) {
    if (term.kind == Expression::Term::Kind::number) return std::string("a number");
    const std::string name = term.function + "()";
    return range.most == std::numeric_limits<double>::infinity()
               ? name + " is never below 0"
               : fmt::format("{} is from 0 to {:g}", name, range.most);
  };
  const bool is_left = comparison.left.kind != Expression::Term::Kind::number;
  complain(at, fmt::format("this can {}: {}", never ? "never be true" : "never be false",
                           is_left ? words(comparison.left, left) : words(comparison.right, right)));
}

void Checks::check_expectation(const Expectation& each, const Values& values) {
  const Position from_at = place(values, "from"), to_at = place(values, "to");
  check_moment(each.from, from_at, "\"from\"");
  check_moment(each.to, to_at, "\"to\"");
  const auto from = known_at(each.from), to = known_at(each.to);
  const bool has_end = each.kind != Expectation::Kind::eventually || !each.to.is_end;
  if (from && to && *from <= scenario_.duration && *to <= *from && has_end) {
    complain(each.to.is_end ? from_at : to_at,
             fmt::format("this window ends ({}) before it begins ({})", write(each.to), write(each.from)));
  }
  if (each.within && from && *from <= scenario_.duration &&
      *from + *each.within > scenario_.duration + scenario_.settle) {
    complain(place(values, "within"),
             fmt::format("\"within\" {} from {} on is after the end of the run ({})", write_duration(*each.within),
                         write(each.from), write_duration(scenario_.duration + scenario_.settle)));
  }
  const Position says_at = place(values, name_in(expectation_names, each.kind));
  for (const auto& comparison : each.expression.all) {
    check_values(comparison, says_at);
    for (const auto* term : {&comparison.left, &comparison.right}) {
      const std::string& f = term->function;
      if (f == "members") {
        const auto room = read_room(term->argument);
        if (const auto* error = std::get_if<TextError>(&room)) complain(says_at, "members(): " + error->message);
      }
      if (!term->among) continue;
      if (f == "members" || f == "stat") {
        complain(says_at,
                 fmt::format("{}() is of the whole cluster: \"by {}\" means nothing to it", f, term->among->text));
        continue;
      }
      const bool wants_servers = f == "ready" || f == "rows" || f == "stored";
      check_selector(*term->among, says_at, wants_servers || (f == "size" && is_of_servers(*term->among)), f + "()");
    }
  }
}

void Checks::check_groups() {
  std::set<std::string> told;  // a circle is one mistake
  for (const auto& [name, at] : places_.groups) {
    std::set<std::string> seen;
    std::vector<std::string> open{name};
    while (!open.empty()) {
      const auto found = scenario_.groups.find(open.back());
      open.pop_back();
      if (found == scenario_.groups.end()) continue;
      visit_groups(found->second, [&](const std::string& part) {
        if (seen.insert(part).second) open.push_back(part);
      });
    }
    if (!seen.contains(name)) continue;
    circles_.insert(name);
    if (!told.contains(name)) complain(at, fmt::format("the group \"{}\" is made of itself", name));
    told.insert(seen.begin(), seen.end());
  }
  for (const auto& [name, at] : places_.groups) {
    const Selector& selector = scenario_.groups.at(name);
    if (!is_in_circle(name))
      check_selector(selector, at, is_of_servers(selector), fmt::format("the group \"{}\"", name));
  }
}

/// Complains if `a` and `b` are no two ends that a link may have.
void Checks::check_ends(const Selector& a, const Selector& b, const Ends& at, std::string_view what) {
  const bool has_store = a.kind == Selector::Kind::store || b.kind == Selector::Kind::store;
  const std::size_t before = problems_.size();
  for (const auto& [end, place] : {std::pair{&a, at.a}, std::pair{&b, at.b}}) {
    if (end->kind != Selector::Kind::store) check_selector(*end, place, has_store || is_of_servers(*end), what);
  }
  if (problems_.size() != before) return;
  const bool is_pair = has_store ? a.kind != b.kind : is_of_servers(a) != is_of_servers(b);
  if (!is_pair) {
    return complain(at.both,
                    fmt::format("{}: links run between servers and the store, or between clients and servers", what));
  }
  // A run takes the first end for clients, unless it is plainly servers.
  const bool is_plain = a.kind == Selector::Kind::servers || a.kind == Selector::Kind::range_servers;
  if (!has_store && is_of_servers(a) && !is_plain)
    complain(at.a, fmt::format("{}: \"{}\" must stand second: the clients first", what, a.text));
}

void Checks::check_links() {
  for (std::size_t i = 0; i < scenario_.links.size(); ++i) {
    const Values& values = places_.links[i];
    check_ends(scenario_.links[i].from, scenario_.links[i].to,
               {.a = place(values, "from"), .b = place(values, "to"), .both = place(values, "")},
               fmt::format("network.links[{}]", i));
  }
}

void Checks::check_workload(const Workload& work, std::size_t i) {
  const Values& values = places_.workload[i];
  const std::string name =
      values.contains("id") ? fmt::format("the workload \"{}\"", work.id) : fmt::format("workload[{}]", i);
  const Position stop_at = place(values, "stop");
  check_selector(work.from, place(values, "from"), false, "\"from\"");
  if (work.to) check_selector(*work.to, place(values, "to"), false, "\"to\"");
  check_moment(work.start, place(values, "start"), "\"start\"");
  check_moment(work.stop, stop_at, "\"stop\"");
  const auto start = known_at(work.start), stop = known_at(work.stop);
  if (start && stop && *start <= scenario_.duration && *stop <= *start)
    complain(work.stop.is_end ? place(values, "start") : stop_at, name + " stops before it starts");
  const Wide all = Wide{work.per_hour} * static_cast<std::uint64_t>(scenario_.duration) / (Wide{3'600} * second);
  operations_ += all;
  if (all <= operations_max && operations_ > operations_max && operations_ - all <= operations_max) {
    complain(place(values, "rate"),
             fmt::format("with {} the workloads so far are {} operations; at most {} are allowed", name,
                         static_cast<std::uint64_t>(operations_), operations_max));
  }
  if (all > operations_max) {
    complain(place(values, "rate"),
             fmt::format("{} for {} are {} operations; at most {} are allowed", write_rate(work.per_hour),
                         write_duration(scenario_.duration), static_cast<std::uint64_t>(all), operations_max));
  }
}

void Checks::check_step(const Step& step, std::size_t i) {
  if (step.every && scenario_.duration / *step.every > repeats_max) {
    complain(place(places_.timeline[i], "every"),
             fmt::format("every {} for {} is {} times; at most {} are allowed", write_duration(*step.every),
                         write_duration(scenario_.duration), scenario_.duration / *step.every, repeats_max));
  }
  const Values& values = places_.timeline[i];
  const std::string name = step_name(i);
  if (step.on.empty()) check_moment(step.at, place(values, "at"), name, step.id);
  if (step.target) check_selector(*step.target, place(values, "target"), needs_of(step.action).is_of_servers, name);
  if (step.between_a && step.between_b) {
    const Ends at{.a = place(values, "between[0]"), .b = place(values, "between[1]"), .both = place(values, "between")};
    check_ends(*step.between_a, *step.between_b, at, name);
  }
  if (step.to && *step.to >= scenario_.clients) {
    complain(place(values, "to"),
             fmt::format("{}: \"c{}\" is not there: the clients are c0 to c{}", name, *step.to, scenario_.clients - 1));
  }
  if (step.action == Step::Action::store_failover && !scenario_.store.has_replica) {
    complain(place(values, "do"), name + ": a failover needs a replica: \"store\": {\"replica\": true}");
  }
}

void Checks::check_vary() {
  Moments latest(scenario_, places_, true);
  std::set<std::string> drawn;  // steps whose moment is drawn
  for (const auto& [what, distribution] : scenario_.sweep.vary) {
    const auto found = steps_.find(std::string_view(what).substr(0, what.rfind('.')));
    if (found == steps_.end()) continue;
    if (!what.ends_with(".at")) {
      if (!has_span(found->second->action))
        complain(place(places_.vary, what),
                 fmt::format("\"{}\": \"for\" means nothing to {}", what, name_of_action(found->second->action)));
      continue;
    }
    const Step& step = *found->second;
    drawn.insert(step.id);
    const Position at = place(places_.vary, what);
    if (!step.on.empty()) {
      complain(at,
               fmt::format("\"{}\": the step waits for \"{}\": it has no moment that could be drawn", what, step.on));
      continue;
    }
    const When self{.step = step.id, .is_end = false, .offset = 0};
    if (const auto last = latest.at(self); last && *last > scenario_.duration) {
      complain(at, fmt::format("\"{}\" can be drawn as {}, and the step is then after the end ({})", what,
                               write_duration(distribution.kind == Distribution::Kind::constant ? distribution.a
                                                                                                : distribution.b),
                               write_duration(scenario_.duration)));
    }
  }
  for (std::size_t i = 0; i < scenario_.timeline.size(); ++i) {
    const Step& step = scenario_.timeline[i];
    if (step.at.step.empty() || !step.on.empty() || drawn.contains(step.id)) continue;
    const auto base = latest.at({.step = step.at.step, .is_end = false, .offset = 0}), last = latest.at(step.at),
               known = known_at(step.at);
    // Once: at the step that is the first after the end.
    if (!base || *base > scenario_.duration || *last <= scenario_.duration || !known || *known > scenario_.duration)
      continue;
    complain(place(places_.timeline[i], "at"),
             fmt::format("{} at {} can be after the end ({}): sweep.vary draws when \"{}\" is", step_name(i),
                         write(step.at), write_duration(scenario_.duration), step.at.step));
  }
}

void Checks::check() {
  check_groups();
  check_links();
  for (std::size_t i = 0; i < scenario_.workload.size(); ++i) check_workload(scenario_.workload[i], i);
  for (std::size_t i = 0; i < scenario_.timeline.size(); ++i) check_step(scenario_.timeline[i], i);
  check_cycles();
  for (std::size_t i = 0; i < scenario_.expect.size(); ++i) check_expectation(scenario_.expect[i], places_.expect[i]);
  check_vary();
}

}  // namespace

std::vector<Problem> check_whole(const Scenario& scenario, const ScenarioPlaces& places) {
  return Checks(scenario, places).all();
}

}  // namespace wsr::sim
