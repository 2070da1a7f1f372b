#include "sim/jury.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <utility>

#include "sim/scenario_names.hpp"
#include "sim/server.hpp"
#include "sim/store.hpp"

namespace wsr::sim {
namespace {

bool compare(double left, Expression::Op op, double right) {
  switch (op) {
    case Expression::Op::equal:
      return left == right;
    case Expression::Op::not_equal:
      return left != right;
    case Expression::Op::less:
      return left < right;
    case Expression::Op::less_equal:
      return left <= right;
    case Expression::Op::greater:
      return left > right;
    case Expression::Op::greater_equal:
      return left >= right;
  }
  return false;
}

std::string show(const Expression::Term& term, double value) {
  const bool is_time = term.argument.ends_with(".latency");
  if (!is_time || term.function == "count" || term.function == "rate") return fmt::format("{:g}", value);
  return fmt::format("{:g} ms", value / static_cast<double>(millisecond));
}

}  // namespace

std::string_view to_string(Outcome::Verdict verdict) {
  switch (verdict) {
    case Outcome::Verdict::passed:
      return "passed";
    case Outcome::Verdict::failed:
      return "failed";
    case Outcome::Verdict::late:
      return "late";
    case Outcome::Verdict::vacuous:
      break;
  }
  return "vacuous";
}

Jury::Jury(Parts& parts, Director& director) : parts_(parts), director_(director) {}

void Jury::begin() {
  for (const Expectation& expectation : parts_.scenario.expect) {
    if (expectation.kind == Expectation::Kind::waive) continue;
    Case each;
    each.expectation = &expectation;
    each.outcome.name = !expectation.name.empty() ? expectation.name
                                                  : fmt::format("{} {}", name_in(expectation_names, expectation.kind),
                                                                expectation.expression.text);
    each.outcome.position = expectation.position;
    cases_.push_back(std::move(each));
  }
  on_moment();
}

void Jury::on_moment() {
  const Nanos now = parts_.kernel.now();
  for (Case& each : cases_) {
    const bool had_from = each.from.has_value(), had_to = each.to.has_value();
    if (!had_from) each.from = director_.resolve(each.expectation->from);
    if (!had_to) each.to = director_.resolve(each.expectation->to);
    // A window opens and closes at its moment, not at the next look.
    if (!had_from && each.from && *each.from <= now && !each.is_open) open(each);
    if (!had_from && each.from && *each.from > now) parts_.kernel.push(*each.from, EventKind::look, 1);
    if (!had_to && each.to && *each.to > now) parts_.kernel.push(*each.to, EventKind::look, 1);
    if (!had_from && each.from && each.expectation->within) {
      parts_.kernel.push(*each.from + *each.expectation->within, EventKind::look, 1);
    }
  }
}

void Jury::open(Case& each) {
  each.is_open = true;
  for (const auto& comparison : each.expectation->expression.all) {
    for (const Expression::Term* term : {&comparison.left, &comparison.right}) {
      const auto metric = term->kind == Expression::Term::Kind::function ? metric_of(term->argument) : std::nullopt;
      if (!metric) {
        each.windows.push_back(nullptr);
        continue;
      }
      std::vector<bool> clients = term->among ? director_.client_set(*term->among) : std::vector<bool>{};
      const bool is_of_nobody = term->among && std::find(clients.begin(), clients.end(), true) == clients.end();
      each.windows.push_back(&parts_.metrics.add(*metric, std::move(clients)));
      each.windows.back()->is_of_nobody = is_of_nobody;
      parts_.metrics.open(*each.windows.back());
    }
  }
}

void Jury::close(Case& each) {
  each.is_over = true;
  for (Metrics::Window* window : each.windows) {
    if (window != nullptr) parts_.metrics.close(*window);
  }
}

Jury::Value Jury::value(const Expression::Term& term, const Metrics::Window* window, const Case& each) {
  if (term.kind == Expression::Term::Kind::number) return {term.number, false};
  const std::string& f = term.function;
  if (window != nullptr) {
    const bool is_vacuous = (window->family == 0 && window->tally.count == 0) || window->is_of_nobody;
    const Tally& tally = window->tally;
    const auto count = static_cast<double>(tally.count);
    if (f == "count") return {count, is_vacuous};
    if (f == "sum") return {static_cast<double>(tally.sum), is_vacuous};
    if (f == "rate") {
      const Nanos span = std::max<Nanos>(parts_.kernel.now() - *each.from, 1);
      return {count * static_cast<double>(second) / static_cast<double>(span), is_vacuous};
    }
    if (tally.count == 0) return {0, true};
    if (f == "min") return {static_cast<double>(tally.min), false};
    if (f == "max") return {static_cast<double>(tally.max), false};
    if (f == "mean") return {static_cast<double>(tally.sum) / count, false};
    const std::uint32_t part = f == "p50" ? 500'000 : f == "p90" ? 900'000 : f == "p99" ? 990'000 : 999'000;
    return {static_cast<double>(window->values.percentile(part)), false};
  }
  double number = 0;
  if (f == "stat") {
    for (const auto& server : *parts_.servers) {
      if (server == nullptr) continue;
      const Stats stats = server->stats();
      for (const StatsFigure& figure : stats_figures) {
        if (figure.name == term.argument) number += static_cast<double>(stats.*figure.value);
      }
    }
  } else if (f == "rows" || f == "stored") {
    const auto servers = director_.servers_of(*term.among);
    if (servers.empty()) return {0, true};
    for (const auto& [id, rows] : f == "rows" ? parts_.store->rows_by_server() : parts_.store->stored_by_server()) {
      std::uint32_t server = 0;
      const auto name = id.name();
      std::from_chars(name.data() + 1, name.data() + name.size(), server);
      if (std::find(servers.begin(), servers.end(), server) != servers.end()) number += static_cast<double>(rows);
    }
  } else if (f == "members") {
    number = static_cast<double>(parts_.store->room_info(RoomName::trusted(term.argument)).size);
  } else if (f == "ready") {
    const auto servers = director_.servers_of(*term.among);
    if (servers.empty()) return {0, true};
    for (const std::uint32_t server : servers) {
      const VirtualServer* found = parts_.server(server);
      number += found != nullptr && found->is_ready() && !found->is_draining() ? 1 : 0;
    }
  } else if (f == "connected") {
    const auto clients = director_.clients_of(*term.among);
    if (clients.empty()) return {0, true};
    for (const std::uint32_t client : clients) {
      number += parts_.population->conn_of_client(client) != nobody ? 1 : 0;
    }
  } else if (f == "size") {
    number = static_cast<double>(director_.clients_of(*term.among).size());
  }
  return {number, false};
}

bool Jury::holds(const Case& each, bool& is_vacuous, std::string* says) {
  bool all = true;
  std::size_t place = 0;
  for (const auto& comparison : each.expectation->expression.all) {
    const Value left = value(comparison.left, each.windows[place], each);
    const Value right = value(comparison.right, each.windows[place + 1], each);
    place += 2;
    is_vacuous = is_vacuous || left.is_vacuous || right.is_vacuous;
    const bool is_true = compare(left.number, comparison.op, right.number);
    all = all && is_true;
    if (says == nullptr) continue;
    for (const auto& [term, found] :
         {std::pair{&comparison.left, left.number}, std::pair{&comparison.right, right.number}}) {
      if (term->kind != Expression::Term::Kind::function) continue;
      if (!says->empty()) *says += ", ";
      *says +=
          fmt::format("{}({}) is {}", term->function,
                      term->argument.empty() && term->among ? term->among->text : term->argument, show(*term, found));
    }
  }
  return all;
}

void Jury::judge(Case& each, Outcome::Verdict verdict, std::string says) {
  each.outcome.verdict = verdict;
  each.outcome.says = std::move(says);
  each.outcome.at = parts_.kernel.now();
  each.outcome.event = parts_.kernel.events();
  each.outcome.from = each.from;
  each.outcome.to = each.to;
  if (each.expectation->within && each.from) each.outcome.to = *each.from + *each.expectation->within;
  if (parts_.kernel.is_traced() && verdict != Outcome::Verdict::passed) {
    parts_.kernel.note(fmt::format("EXPECTATION {} does not hold: {}", each.outcome.name, each.outcome.says));
  }
  close(each);
}

void Jury::look() {
  using Kind = Expectation::Kind;
  using Verdict = Outcome::Verdict;
  const Nanos now = parts_.kernel.now();
  for (Case& each : cases_) {
    if (each.is_over || !each.from || now < *each.from) continue;
    if (!each.is_open) {
      open(each);
      if (now <= *each.from) continue;
    }
    const Expectation& expectation = *each.expectation;
    const bool is_last = each.to && now >= *each.to;
    bool is_vacuous = false;
    std::string says;
    switch (expectation.kind) {
      case Kind::always:
      case Kind::never: {
        const bool is_true = holds(each, is_vacuous, &says);
        each.has_looked = each.has_looked || !is_vacuous;
        if (!is_vacuous && is_true != (expectation.kind == Kind::always)) {
          judge(each, Verdict::failed, says);
        } else if (is_last) {
          judge(each, each.has_looked ? Verdict::passed : Verdict::vacuous,
                each.has_looked ? says : "nothing happened that it speaks of");
        }
        break;
      }
      case Kind::sometimes:
        // Of nothing everything is true.
        if (holds(each, is_vacuous, &says) && !is_vacuous) {
          judge(each, Verdict::passed, says);
        } else if (is_last) {
          judge(each, Verdict::vacuous,
                is_vacuous ? "nothing happened that it speaks of" : "it never came true: " + says);
        }
        break;
      case Kind::eventually: {
        const Nanos deadline = *each.from + expectation.within.value_or(0);
        const bool is_true = holds(each, is_vacuous, &says) && !is_vacuous;
        if (!is_true) each.last_false = now;
        if (now < deadline) break;
        // Judged at its end: what held for a moment, before anybody had noticed the fault, is no recovery.
        if (is_true) {
          const std::string since = each.last_false
                                        ? fmt::format("since {} ms", (*each.last_false - *each.from) / millisecond)
                                        : std::string("all the time");
          judge(each, Verdict::passed, fmt::format("{}: {}", since, says));
        } else {
          judge(each, is_vacuous ? Verdict::vacuous : Verdict::late, says);
        }
        break;
      }
      case Kind::check:
        if (!is_last) break;
        if (holds(each, is_vacuous, &says) && !is_vacuous) {
          judge(each, Verdict::passed, says);
        } else {
          judge(each, is_vacuous ? Verdict::vacuous : Verdict::failed,
                is_vacuous ? "nothing happened that it speaks of" : says);
        }
        break;
      case Kind::waive:
        break;
    }
  }
}

void Jury::end() {
  look();
  for (Case& each : cases_) {
    if (!each.is_over) {
      bool is_vacuous = false;
      std::string says = "its window never opened";
      if (each.is_open) {
        says.clear();
        const bool is_true = holds(each, is_vacuous, &says);
        const Expectation::Kind kind = each.expectation->kind;
        if (kind == Expectation::Kind::eventually) says.insert(0, "the run ends before its time is over: ");
        const bool wants_true = kind == Expectation::Kind::check || kind == Expectation::Kind::always;
        const bool is_held = !is_vacuous && (is_true ? wants_true : kind == Expectation::Kind::never);
        judge(each, is_held ? Outcome::Verdict::passed : Outcome::Verdict::vacuous, says);
      } else {
        judge(each, Outcome::Verdict::vacuous, says);
      }
    }
    outcomes_.push_back(each.outcome);
  }
  cases_.clear();
}

void Jury::end_early() {
  for (const Case& each : cases_) {
    if (each.is_over) {
      outcomes_.push_back(each.outcome);
    } else {
      not_judged_.push_back(each.outcome.name);
    }
  }
  cases_.clear();
}

}  // namespace wsr::sim
