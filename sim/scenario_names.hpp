// The names that stand for choices in a scenario file, and what each action of a step takes.
//
// Thread-safety: constants.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <utility>

#include "sim/scenario.hpp"

namespace wsr::sim {

inline constexpr std::array<std::pair<std::string_view, Balancing>, 5> balancing_names{
    {{"random", Balancing::random},
     {"round-robin", Balancing::round_robin},
     {"least-connections", Balancing::least_connections},
     {"sticky", Balancing::sticky},
     {"hash", Balancing::hash}}};

inline constexpr std::array<std::pair<std::string_view, Workload::Op>, 5> operation_names{
    {{"send", Workload::Op::send},
     {"join", Workload::Op::join},
     {"leave", Workload::Op::leave},
     {"push", Workload::Op::push},
     {"churn", Workload::Op::churn}}};

inline constexpr std::array<std::pair<std::string_view, Step::Direction>, 3> direction_names{
    {{"both", Step::Direction::both}, {"a-to-b", Step::Direction::a_to_b}, {"b-to-a", Step::Direction::b_to_a}}};

/// The word that an error of Redis begins with.
inline constexpr std::array<std::pair<std::string_view, Step::Code>, 4> code_names{{{"MISCONF", Step::Code::misconf},
                                                                                    {"READONLY", Step::Code::readonly},
                                                                                    {"LOADING", Step::Code::loading},
                                                                                    {"OOM", Step::Code::oom}}};

inline constexpr std::array<std::pair<std::string_view, Step::Action>, 30> action_names{
    {{"kill", Step::Action::kill},
     {"vanish", Step::Action::vanish},
     {"stop", Step::Action::stop},
     {"start", Step::Action::start},
     {"restart", Step::Action::restart},
     {"pause", Step::Action::pause},
     {"resume", Step::Action::resume},
     {"drop", Step::Action::drop},
     {"half-open", Step::Action::half_open},
     {"slow", Step::Action::slow},
     {"connect", Step::Action::connect},
     {"partition", Step::Action::partition},
     {"degrade", Step::Action::degrade},
     {"heal", Step::Action::heal},
     {"clock-skew", Step::Action::clock_skew},
     {"store-stall", Step::Action::store_stall},
     {"store-restart", Step::Action::store_restart},
     {"store-flush", Step::Action::store_flush},
     {"store-failover", Step::Action::store_failover},
     {"store-lose-replies", Step::Action::store_lose_replies},
     {"store-refuse", Step::Action::store_refuse},
     {"drop-subscription", Step::Action::drop_subscription},
     {"refuse-subscribe", Step::Action::refuse_subscribe},
     {"subscriber-lag", Step::Action::subscriber_lag},
     {"send", Step::Action::send},
     {"join", Step::Action::join},
     {"leave", Step::Action::leave},
     {"push", Step::Action::push},
     {"swizzle", Step::Action::swizzle},
     {"mark", Step::Action::mark}}};

inline constexpr std::array<std::pair<std::string_view, Expectation::Kind>, 6> expectation_names{
    {{"always", Expectation::Kind::always},
     {"never", Expectation::Kind::never},
     {"sometimes", Expectation::Kind::sometimes},
     {"eventually", Expectation::Kind::eventually},
     {"check", Expectation::Kind::check},
     {"waive", Expectation::Kind::waive}}};

enum class Need : std::uint8_t { no, maybe, yes };
struct ActionNeeds {
  bool is_of_servers = false;  // what `target` selects
  Need target = Need::no, between = Need::no, link = Need::no, by = Need::no, room = Need::no, to = Need::no;
  Need counted_for = Need::no, code = Need::no;
};

[[nodiscard]] constexpr ActionNeeds needs_of(Step::Action action) {
  using A = Step::Action;
  ActionNeeds needs;
  switch (action) {
    case A::kill:
    case A::stop:
    case A::start:
    case A::restart:
    case A::pause:
    case A::resume:
    case A::drop_subscription:
      needs.is_of_servers = true;
      needs.target = Need::yes;
      break;
    case A::vanish:
      needs.is_of_servers = true;
      needs.target = Need::yes;
      needs.counted_for = Need::maybe;
      break;
    case A::clock_skew:
      needs.is_of_servers = true;
      needs.target = needs.by = Need::yes;
      break;
    case A::subscriber_lag:
      needs.is_of_servers = true;
      needs.target = Need::maybe;
      needs.by = Need::yes;
      break;
    case A::store_refuse:
      needs.code = Need::yes;
      break;
    case A::drop:
    case A::half_open:
    case A::slow:
    case A::connect:
      needs.target = Need::yes;
      break;
    case A::partition:
      needs.between = Need::yes;
      break;
    case A::degrade:
      needs.between = needs.link = Need::yes;
      break;
    case A::store_lose_replies:
    case A::refuse_subscribe:
    case A::swizzle:
      needs.is_of_servers = true;
      needs.target = Need::maybe;
      break;
    case A::send:
      needs.target = needs.to = Need::yes;
      break;
    case A::join:
    case A::leave:
    case A::push:
      needs.target = needs.room = Need::yes;
      break;
    case A::heal:
    case A::store_stall:
    case A::store_restart:
    case A::store_flush:
    case A::store_failover:
    case A::mark:
      break;
  }
  return needs;
}

/// Whether `for` means anything: what is done lasts, and ends.
[[nodiscard]] constexpr bool has_span(Step::Action action) {
  using A = Step::Action;
  switch (action) {
    case A::kill:
    case A::vanish:
    case A::stop:
    case A::restart:
    case A::pause:
    case A::half_open:
    case A::slow:
    case A::partition:
    case A::degrade:
    case A::swizzle:
    case A::store_stall:
    case A::store_restart:
    case A::store_flush:
    case A::store_failover:
    case A::store_lose_replies:
    case A::store_refuse:
    case A::refuse_subscribe:
    case A::subscriber_lag:
      return true;
    default:
      return false;
  }
}

/// Whether it ends after a while of its own if `for` says nothing.
[[nodiscard]] constexpr bool ends_by_itself(Step::Action action) {
  using A = Step::Action;
  return action == A::restart || action == A::swizzle || action == A::store_stall || action == A::store_restart ||
         action == A::store_flush || action == A::store_failover || action == A::store_lose_replies ||
         action == A::store_refuse || action == A::refuse_subscribe;
}

[[nodiscard]] constexpr std::string_view name_of_action(Step::Action action) {
  for (const auto& [name, value] : action_names) {
    if (value == action) return name;
  }
  return "mark";
}

template <class T, std::size_t N>
[[nodiscard]] constexpr std::string_view name_in(const std::array<std::pair<std::string_view, T>, N>& names, T wanted) {
  for (const auto& [name, value] : names) {
    if (value == wanted) return name;
  }
  return {};
}

}  // namespace wsr::sim
