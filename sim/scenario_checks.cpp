#include "sim/scenario_checks.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <set>
#include <string_view>

#include "sim/random.hpp"
#include "sim/scenario_names.hpp"
#include "sim/scenario_text.hpp"

namespace wsr::sim {
namespace {

constexpr std::uint64_t operations_max = 50'000'000;

class Checks {
public:
  Checks(const Scenario& scenario, const ScenarioPlaces& places) : scenario_(scenario), places_(places) {}
  std::vector<Problem> all() {
    check();
    return std::move(problems_);
  }

private:
  void complain(Position at, std::string message) { problems_.push_back({at, std::move(message)}); }
  void check();
  void check_moment(const When& when, Position at, std::string_view what, const std::string& self = {});
  void check_cycles();
  void check_selector(const Selector& selector, Position at, bool wants_servers, std::string_view what);
  void check_expectation(const Expectation& each);
  [[nodiscard]] bool is_of_servers(const Selector& selector) const;
  [[nodiscard]] std::optional<Nanos> known_at(const When& when, unsigned depth = 0) const;

  const Scenario& scenario_;
  const ScenarioPlaces& places_;
  std::vector<Problem> problems_;
};

std::optional<Nanos> Checks::known_at(const When& when, unsigned depth) const {
  if (when.is_end) return scenario_.duration;
  if (when.step.empty()) return when.offset;
  for (const Step& step : scenario_.timeline) {
    if (step.id != when.step || !step.on.empty() || depth > scenario_.timeline.size()) continue;
    const auto base = known_at(step.at, depth + 1);
    return base ? std::optional(*base + when.offset) : std::nullopt;
  }
  return std::nullopt;
}

void Checks::check_moment(const When& when, Position at, std::string_view what, const std::string& self) {
  if (!when.step.empty() && !places_.steps.contains(when.step)) {
    std::vector<std::string> known;
    for (const auto& [id, place] : places_.steps) known.push_back(id);
    const std::string near = nearest(when.step, known);
    return complain(at, fmt::format("{}: there is no step \"{}\"{}", what, when.step,
                                    near.empty() ? "" : ": did you mean \"" + near + "\"?"));
  }
  if (!when.step.empty() && when.step == self)
    return complain(at, fmt::format("the step \"{}\" waits for itself", self));
  const auto known = known_at(when);
  if (known && *known > scenario_.duration) {
    complain(at, fmt::format("{} at {} is after the end ({})", what, write(when), write_duration(scenario_.duration)));
  }
}

void Checks::check_cycles() {
  std::set<std::string> told;
  for (const Step& step : scenario_.timeline) {
    std::set<std::string> seen{step.id};
    std::string chain = step.id;
    const Step* each = &step;
    while (each != nullptr && each->on.empty() && !each->at.step.empty() && each->at.step != each->id) {
      const auto next = std::find_if(scenario_.timeline.begin(), scenario_.timeline.end(),
                                     [&](const Step& other) { return other.id == each->at.step; });
      each = next == scenario_.timeline.end() ? nullptr : &*next;
      if (each == nullptr) break;
      chain += " waits for " + each->id;
      if (!seen.insert(each->id).second) {
        if (each->id == step.id && !told.contains(step.id)) {
          told.insert(seen.begin(), seen.end());
          complain(step.position, fmt::format("these steps wait for each other: {}", chain));
        }
        break;
      }
    }
  }
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
      return found != scenario_.groups.end() && found->second.kind != Selector::Kind::group &&
             is_of_servers(found->second);
    }
    default:
      return false;
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
      if (!scenario_.groups.contains(s.name)) {
        std::vector<std::string> known{"clients", "servers", "store"};
        for (const auto& [name, selector] : scenario_.groups) known.push_back(name);
        const std::string near = nearest(s.name, known);
        return complain(at, fmt::format("{}: there is no group \"{}\"{}", what, s.name,
                                        near.empty() ? "" : ": did you mean \"" + near + "\"?"));
      }
      break;
    case Selector::Kind::on:
      if (!s.name.empty() && !places_.steps.contains(s.name))
        return complain(at, fmt::format("{}: there is no step \"{}\"", what, s.name));
      check_selector(s.parts.front(), at, true, what);
      break;
    case Selector::Kind::part:
      check_selector(s.parts.front(), at, wants_servers, what);
      return;
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

void Checks::check_expectation(const Expectation& each) {
  check_moment(each.from, each.position, "\"from\"");
  check_moment(each.to, each.position, "\"to\"");
  const auto from = known_at(each.from), to = known_at(each.to);
  const bool has_end = each.kind != Expectation::Kind::eventually || !each.to.is_end;
  if (from && to && *to <= *from && has_end) {
    complain(each.position,
             fmt::format("this window ends ({}) before it begins ({})", write(each.to), write(each.from)));
  }
  if (each.within && from && *from + *each.within > scenario_.duration + scenario_.settle) {
    complain(each.position,
             fmt::format("\"within\" {} from {} on is after the end of the run ({})", write_duration(*each.within),
                         write(each.from), write_duration(scenario_.duration + scenario_.settle)));
  }
  for (const auto& comparison : each.expression.all) {
    for (const auto* term : {&comparison.left, &comparison.right}) {
      if (!term->among) continue;
      const bool wants_servers = term->function == "ready" || term->function == "rows" || term->function == "stored";
      if (term->function == "size" && is_of_servers(*term->among)) continue;
      check_selector(*term->among, each.position, wants_servers, fmt::format("{}()", term->function));
    }
  }
}

void Checks::check() {
  for (const auto& [name, at] : places_.groups) {
    const Selector& selector = scenario_.groups.at(name);
    std::set<std::string> seen{name};
    const Selector* each = &selector;
    while (each->kind == Selector::Kind::group && scenario_.groups.contains(each->name)) {
      if (!seen.insert(each->name).second) break;
      each = &scenario_.groups.at(each->name);
    }
    if (each->kind == Selector::Kind::group && seen.contains(each->name)) {
      complain(at, fmt::format("the group \"{}\" is made of itself", name));
      continue;
    }
    check_selector(selector, at, is_of_servers(selector), fmt::format("the group \"{}\"", name));
  }
  for (const LinkRule& rule : scenario_.links) {
    for (const Selector* end : {&rule.from, &rule.to}) {
      if (end->kind != Selector::Kind::store) check_selector(*end, {}, is_of_servers(*end), "network.links");
    }
  }
  for (const Workload& work : scenario_.workload) {
    check_selector(work.from, work.at, false, "\"from\"");
    if (work.to) check_selector(*work.to, work.at, false, "\"to\"");
    check_moment(work.start, work.at, "\"start\"");
    check_moment(work.stop, work.at, "\"stop\"");
    const auto start = known_at(work.start), stop = known_at(work.stop);
    if (start && stop && *stop <= *start)
      complain(work.at, fmt::format("the workload \"{}\" stops before it starts", work.id));
    const Wide all = Wide{work.per_hour} * static_cast<std::uint64_t>(scenario_.duration) / (Wide{3'600} * second);
    if (all > operations_max) {
      complain(work.at,
               fmt::format("{} for {} are {} operations; at most {} are allowed", write_rate(work.per_hour),
                           write_duration(scenario_.duration), static_cast<std::uint64_t>(all), operations_max));
    }
  }
  for (const Step& step : scenario_.timeline) {
    if (step.on.empty()) check_moment(step.at, step.position, fmt::format("the step \"{}\"", step.id), step.id);
    const ActionNeeds needs = needs_of(step.action);
    if (step.target)
      check_selector(*step.target, step.position, needs.is_of_servers, fmt::format("the step \"{}\"", step.id));
    if (step.between_a && step.between_b) {
      const bool has_store =
          step.between_a->kind == Selector::Kind::store || step.between_b->kind == Selector::Kind::store;
      for (const auto* end : {&*step.between_a, &*step.between_b}) {
        if (end->kind != Selector::Kind::store)
          check_selector(*end, step.position, has_store || is_of_servers(*end),
                         fmt::format("the step \"{}\"", step.id));
      }
      const bool is_pair = has_store ? step.between_a->kind != step.between_b->kind
                                     : is_of_servers(*step.between_a) != is_of_servers(*step.between_b);
      if (!is_pair)
        complain(step.position,
                 fmt::format("the step \"{}\": links run between servers and the store, or between clients and servers",
                             step.id));
    }
    if (step.to && *step.to >= scenario_.clients) {
      complain(step.position, fmt::format("the step \"{}\": \"c{}\" is not there: the clients are c0 to c{}", step.id,
                                          *step.to, scenario_.clients - 1));
    }
    if (step.action == Step::Action::store_failover && !scenario_.store.has_replica) {
      complain(step.position,
               fmt::format("the step \"{}\": a failover needs a replica: \"store\": {{\"replica\": true}}", step.id));
    }
  }
  check_cycles();
  for (const Expectation& each : scenario_.expect) check_expectation(each);
}

}  // namespace

std::vector<Problem> check_whole(const Scenario& scenario, const ScenarioPlaces& places) {
  return Checks(scenario, places).all();
}

}  // namespace wsr::sim
