#include "sim/scenario_text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdlib>
#include <vector>

#include "core/routing/stats.hpp"

#include "sim/random.hpp"
#include "sim/vocabulary.hpp"

namespace wsr::sim {
namespace {

struct Unit {
  std::string_view name;
  std::uint64_t factor;
};
constexpr std::array<Unit, 6> times{{{"ns", 1},
                                     {"us", 1'000},
                                     {"ms", 1'000'000},
                                     {"s", 1'000'000'000},
                                     {"m", 60'000'000'000},
                                     {"h", 3'600'000'000'000}}};
constexpr std::array<Unit, 7> sizes{{{"B", 1},
                                     {"KB", 1'000},
                                     {"MB", 1'000'000},
                                     {"GB", 1'000'000'000},
                                     {"KiB", 1'024},
                                     {"MiB", 1'048'576},
                                     {"GiB", 1'073'741'824}}};

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  return text;
}

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_name_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || is_digit(c) || c == '_' || c == '-' || c == '.';
}

/// A decimal number in front of `text`, times a thousand million; what follows stays in `text`. False: none, or too
/// large.
enum class Number : std::uint8_t { ok, none, too_large };
Number take_number(std::string_view& text, Wide& billionths) {
  std::size_t at = 0;
  Wide value = 0;
  while (at < text.size() && is_digit(text[at])) {
    value = value * 10 + static_cast<unsigned>(text[at] - '0');
    if (value > (Wide{1} << 64)) return Number::too_large;
    ++at;
  }
  if (at == 0) return Number::none;
  value *= 1'000'000'000;
  if (at + 1 < text.size() && text[at] == '.' && is_digit(text[at + 1])) {
    ++at;
    Wide place = 100'000'000;
    while (at < text.size() && is_digit(text[at])) {
      value += place * static_cast<unsigned>(text[at] - '0');
      place /= 10;
      ++at;
    }
  }
  text.remove_prefix(at);
  billionths = value;
  return Number::ok;
}

template <std::size_t N>
Read<std::uint64_t> read_units(std::string_view text, const std::array<Unit, N>& units, std::string_view what,
                               std::string_view example, std::uint64_t most) {
  const std::string whole(text);
  text = trimmed(text);
  if (!text.empty() && text.front() == '-') return TextError{fmt::format("{} cannot be negative: \"{}\"", what, whole)};
  Wide value = 0;
  const Number number = take_number(text, value);
  if (number == Number::none) return TextError{fmt::format("\"{}\" is no {}: write {}", whole, what, example)};
  text = trimmed(text);
  const Unit* unit = nullptr;
  for (const Unit& each : units) {
    if (each.name == text) unit = &each;
  }
  if (number == Number::ok && text.empty())
    return TextError{fmt::format("\"{}\" has no unit: write {}", whole, example)};
  if (number == Number::ok && unit == nullptr) {
    return TextError{fmt::format("\"{}\" is no unit of a {}: write {}", text, what, example)};
  }
  if (number == Number::too_large || value * unit->factor / 1'000'000'000 > most) {
    return TextError{fmt::format("\"{}\" is too large", whole)};
  }
  return static_cast<std::uint64_t>(value * unit->factor / 1'000'000'000);
}

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return out;
}

}  // namespace

std::string nearest(std::string_view word, const std::vector<std::string>& known) {
  std::string best;
  std::size_t best_distance = std::max<std::size_t>(2, word.size() / 3) + 1;
  const std::string wanted = lower(word);
  for (const std::string& each : known) {
    const std::string other = lower(each);
    std::vector<std::size_t> row(other.size() + 1);
    for (std::size_t j = 0; j <= other.size(); ++j) row[j] = j;
    for (std::size_t i = 1; i <= wanted.size(); ++i) {
      std::size_t diagonal = row[0];
      row[0] = i;
      for (std::size_t j = 1; j <= other.size(); ++j) {
        const std::size_t above = row[j];
        row[j] = std::min({row[j] + 1, row[j - 1] + 1, diagonal + (wanted[i - 1] == other[j - 1] ? 0 : 1)});
        diagonal = above;
      }
    }
    if (row.back() < best_distance) {
      best_distance = row.back();
      best = each;
    }
  }
  return best;
}

// ---------------------------------------------------------------- quantities

Read<Nanos> read_duration(std::string_view text) {
  auto read =
      read_units(text, times, "duration", "500ms or 2s", static_cast<std::uint64_t>(scenario_limits::duration_max));
  if (auto* error = std::get_if<TextError>(&read)) {
    if (error->message.ends_with("too large")) error->message += ": a scenario lasts at most 24h";
    return std::move(*error);
  }
  return static_cast<Nanos>(std::get<std::uint64_t>(read));
}

Read<std::uint64_t> read_size(std::string_view text) {
  return read_units(text, sizes, "size", "300B or 64KiB", std::uint64_t{1} << 40);
}

namespace {

/// The number behind `prefix`, below `end`.
std::optional<std::uint32_t> number_behind(std::string_view prefix, std::string_view text, std::uint32_t end) {
  if (!text.starts_with(prefix)) return std::nullopt;
  text.remove_prefix(prefix.size());
  std::uint32_t number = 0;
  const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || rest != text.data() + text.size() || number >= end) return std::nullopt;
  return number;
}

}  // namespace

Read<std::uint32_t> read_room(std::string_view text) {
  if (const auto number = number_behind("room:", trimmed(text), scenario_limits::rooms_max)) return *number;
  return TextError{fmt::format("\"{}\" is no room: write room:0 to room:{}", text, scenario_limits::rooms_max - 1)};
}

Read<std::uint32_t> read_client(std::string_view text) {
  if (const auto number = number_behind("c", trimmed(text), scenario_limits::clients_max)) return *number;
  return TextError{fmt::format("\"{}\" is no client: write c0 for the first", text)};
}

Read<std::uint64_t> read_speed(std::string_view text) {
  text = trimmed(text);
  if (!text.ends_with("/s")) return TextError{fmt::format("\"{}\" is no speed: write 5KiB/s", text)};
  return read_size(text.substr(0, text.size() - 2));
}

Read<std::uint64_t> read_rate(std::string_view text) {
  const std::string whole(text);
  text = trimmed(text);
  Wide value = 0;
  if (!text.empty() && text.front() == '-') return TextError{fmt::format("a rate cannot be negative: \"{}\"", whole)};
  const Number number = take_number(text, value);
  if (number == Number::none) return TextError{fmt::format("\"{}\" is no rate: write 200/s, 5k/s or 30/m", whole)};
  std::uint64_t factor = 1;
  if (!text.empty() && (text.front() == 'k' || text.front() == 'M')) {
    factor = text.front() == 'k' ? 1'000 : 1'000'000;
    text.remove_prefix(1);
  }
  const std::uint64_t per_hour = text == "/s" ? 3'600 : text == "/m" ? 60 : text == "/h" ? 1 : 0;
  if (per_hour == 0) return TextError{fmt::format("\"{}\" is no rate: write 200/s, 5k/s or 30/m", whole)};
  const Wide result = value * factor * per_hour / 1'000'000'000;
  if (number == Number::too_large || result > 3'600'000'000'000)
    return TextError{fmt::format("\"{}\" is too large: at most 1000M/s", whole)};
  if (result == 0) return TextError{fmt::format("\"{}\" is less than one an hour", whole)};
  return static_cast<std::uint64_t>(result);
}

Read<std::uint32_t> read_chance(std::string_view text) {
  const std::string whole(text);
  text = trimmed(text);
  Wide value = 0;
  if (take_number(text, value) != Number::ok || text != "%")
    return TextError{fmt::format("\"{}\" is no chance: write 1% or 0.01%", whole)};
  if (value > Wide{100} * 1'000'000'000) return TextError{fmt::format("\"{}\" is more than 100%", whole)};
  return static_cast<std::uint32_t>(value / 100'000);
}

Read<std::uint64_t> read_count(std::string_view text) {
  const std::string whole(text);
  text = trimmed(text);
  Wide value = 0;
  const Number number = take_number(text, value);
  const std::uint64_t factor = text == "k" ? 1'000 : text == "M" ? 1'000'000 : text.empty() ? 1 : 0;
  if (number == Number::none || factor == 0)
    return TextError{fmt::format("\"{}\" is no count: write 300, \"20k\" or \"1M\"", whole)};
  if (number == Number::too_large || value * factor / 1'000'000'000 > (Wide{1} << 40))
    return TextError{fmt::format("\"{}\" is too large", whole)};
  return static_cast<std::uint64_t>(value * factor / 1'000'000'000);
}

Read<Distribution> read_distribution(std::string_view text) {
  text = trimmed(text);
  const auto open = text.find('(');
  if (open == std::string_view::npos) {
    auto read = read_duration(text);
    if (auto* error = std::get_if<TextError>(&read)) return std::move(*error);
    return Distribution{Distribution::Kind::constant, std::get<Nanos>(read), 0};
  }
  const std::string name(trimmed(text.substr(0, open)));
  constexpr std::string_view shapes = "uniform(1ms,5ms), exp(2ms), lognormal(p50=2ms,p99=40ms), pareto(1ms,p99=100ms)";
  if (text.back() != ')') return TextError{fmt::format("\"{}\" has no closing parenthesis", text)};
  std::vector<std::string_view> parts;
  std::string_view inside = text.substr(open + 1, text.size() - open - 2);
  for (;;) {
    const auto comma = inside.find(',');
    parts.push_back(trimmed(inside.substr(0, comma)));
    if (comma == std::string_view::npos) break;
    inside.remove_prefix(comma + 1);
  }
  Distribution d;
  std::array<std::string_view, 2> prefixes{};
  std::size_t wanted = 2;
  if (name == "uniform") {
    d.kind = Distribution::Kind::uniform;
  } else if (name == "exp") {
    d.kind = Distribution::Kind::exponential;
    wanted = 1;
  } else if (name == "lognormal") {
    d.kind = Distribution::Kind::lognormal;
    prefixes = {"p50=", "p99="};
  } else if (name == "pareto") {
    d.kind = Distribution::Kind::pareto;
    prefixes = {"", "p99="};
  } else {
    const std::string near = nearest(name, {"uniform", "exp", "lognormal", "pareto"});
    return TextError{near.empty() ? fmt::format("\"{}\" is no distribution; there are: {}", name, shapes)
                                  : fmt::format("\"{}\" is no distribution: did you mean {}?", name, near)};
  }
  if (parts.size() != wanted)
    return TextError{fmt::format("{} takes {} value{}: {}", name, wanted, wanted == 1 ? "" : "s", shapes)};
  std::array<Nanos, 2> values{};
  for (std::size_t i = 0; i < wanted; ++i) {
    if (!parts[i].starts_with(prefixes[i])) return TextError{fmt::format("{} is written so: {}", name, shapes)};
    auto read = read_duration(parts[i].substr(prefixes[i].size()));
    if (auto* error = std::get_if<TextError>(&read)) return std::move(*error);
    values[i] = std::get<Nanos>(read);
  }
  d.a = values[0];
  d.b = values[1];
  if (d.kind == Distribution::Kind::uniform && d.b < d.a)
    return TextError{fmt::format("\"{}\" ends before it begins", text)};
  if (wanted == 2 && d.kind != Distribution::Kind::uniform && (d.b <= d.a || d.a == 0)) {
    return TextError{fmt::format("\"{}\": p99 must be above {}, which must be above 0", text,
                                 name == "pareto" ? "the least" : "p50")};
  }
  return d;
}

Read<When> read_when(std::string_view text) {
  const std::string whole(text);
  text = trimmed(text);
  When when;
  if (text.empty()) return TextError{"a moment is missing: write 30s, kill+5s or end"};
  if (is_digit(text.front()) || text.front() == '-') {
    auto read = read_duration(text);
    if (auto* error = std::get_if<TextError>(&read)) return std::move(*error);
    when.offset = std::get<Nanos>(read);
    return when;
  }
  const auto plus = text.find('+');
  const std::string_view name = trimmed(text.substr(0, plus));
  if (name.empty() || !std::all_of(name.begin(), name.end(), is_name_char)) {
    return TextError{fmt::format("\"{}\" is no moment: write 30s, kill, kill+5s or end", whole)};
  }
  when.is_end = name == "end";
  if (!when.is_end) when.step = name;
  if (plus != std::string_view::npos) {
    if (when.is_end) return TextError{"nothing comes after the end"};
    auto read = read_duration(text.substr(plus + 1));
    if (auto* error = std::get_if<TextError>(&read)) return std::move(*error);
    when.offset = std::get<Nanos>(read);
  }
  return when;
}

// ---------------------------------------------------------------- selectors

namespace {

Read<Selector> read_selector_term(std::string_view text) {
  text = trimmed(text);
  Selector selector;
  selector.text = text;
  if (text.empty())
    return TextError{"a selector is missing: clients, servers, s2, c[0..9], 80% of clients, clients on s2, a group"};
  if (text == "clients" || text == "servers" || text == "store") {
    selector.kind = text == "clients"   ? Selector::Kind::clients
                    : text == "servers" ? Selector::Kind::servers
                                        : Selector::Kind::store;
    return selector;
  }
  if (const auto of = text.find(" of ");
      of != std::string_view::npos && (is_digit(text.front()) || text.starts_with("owner"))) {
    const std::string_view head = trimmed(text.substr(0, of));
    auto inner = read_selector_term(text.substr(of + 4));
    if (auto* error = std::get_if<TextError>(&inner)) return std::move(*error);
    if (head == "owner") {
      const Selector& whom = std::get<Selector>(inner);
      if (whom.kind != Selector::Kind::range_clients || whom.from != whom.to)
        return TextError{fmt::format("\"{}\": the owner of one client, such as owner of c7", text)};
      selector.kind = Selector::Kind::owner;
      selector.from = selector.to = whom.from;
      return selector;
    }
    selector.kind = Selector::Kind::part;
    if (head.ends_with("%")) {
      auto chance = read_chance(head);
      if (auto* error = std::get_if<TextError>(&chance)) return std::move(*error);
      selector.percent_millis = std::get<std::uint32_t>(chance) / 10;
      if (selector.percent_millis == 0) return TextError{fmt::format("\"{}\" is nobody", text)};
    } else {
      auto count = read_count(head);
      if (auto* error = std::get_if<TextError>(&count)) return std::move(*error);
      selector.count = static_cast<std::uint32_t>(
          std::min<std::uint64_t>(std::get<std::uint64_t>(count), scenario_limits::clients_max));
      if (selector.count == 0) return TextError{fmt::format("\"{}\" is nobody", text)};
    }
    selector.parts.push_back(std::move(std::get<Selector>(inner)));
    return selector;
  }
  if (text.starts_with("clients on ")) {
    std::string_view rest = trimmed(text.substr(11));
    selector.kind = Selector::Kind::on;
    if (const auto at = rest.find(" at "); at != std::string_view::npos) {
      selector.name = trimmed(rest.substr(at + 4));
      rest = trimmed(rest.substr(0, at));
    }
    auto inner = read_selector_term(rest);
    if (auto* error = std::get_if<TextError>(&inner)) return std::move(*error);
    selector.parts.push_back(std::move(std::get<Selector>(inner)));
    return selector;
  }
  const auto number = [](std::string_view digits, std::uint32_t& value) {
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    return error == std::errc{} && end == digits.data() + digits.size();
  };
  if ((text.front() == 's' || text.front() == 'c') && text.size() > 1 && (is_digit(text[1]) || text[1] == '[')) {
    selector.kind = text.front() == 's' ? Selector::Kind::range_servers : Selector::Kind::range_clients;
    if (text[1] != '[') {
      if (!number(text.substr(1), selector.from))
        return TextError{fmt::format("\"{}\" is nobody: write {}2", text, text.front())};
      selector.to = selector.from;
      return selector;
    }
    const auto dots = text.find("..");
    if (dots == std::string_view::npos || text.back() != ']' || !number(text.substr(2, dots - 2), selector.from) ||
        !number(text.substr(dots + 2, text.size() - dots - 3), selector.to)) {
      return TextError{fmt::format("\"{}\" is no range: write {}[1..3]", text, text.front())};
    }
    if (selector.to < selector.from) return TextError{fmt::format("\"{}\" ends before it begins", text)};
    return selector;
  }
  if (!std::all_of(text.begin(), text.end(), is_name_char)) {
    return TextError{fmt::format(
        "\"{}\" selects nobody: clients, servers, s2, c[0..9], 80% of clients, clients on s2, a group", text)};
  }
  selector.kind = Selector::Kind::group;
  selector.name = text;
  return selector;
}

}  // namespace

Read<Selector> read_selector(std::string_view text) {
  const auto except = text.rfind(" except ");
  if (except == std::string_view::npos) return read_selector_term(text);
  auto left = read_selector(text.substr(0, except));
  if (auto* error = std::get_if<TextError>(&left)) return std::move(*error);
  auto right = read_selector_term(text.substr(except + 8));
  if (auto* error = std::get_if<TextError>(&right)) return std::move(*error);
  Selector selector;
  selector.kind = Selector::Kind::except;
  selector.text = trimmed(text);
  selector.parts.push_back(std::move(std::get<Selector>(left)));
  selector.parts.push_back(std::move(std::get<Selector>(right)));
  return selector;
}

// ---------------------------------------------------------------- expressions

namespace {

bool is_selector_function(std::string_view f) {
  return f == "connected" || f == "ready" || f == "rows" || f == "stored" || f == "size";
}

Read<Expression::Term> read_term(std::string_view text) {
  text = trimmed(text);
  Expression::Term term;
  if (text.empty()) return TextError{"one side of the comparison is missing"};
  const auto open = text.find('(');
  if (open == std::string_view::npos) {
    if (!is_digit(text.front())) {
      return TextError{fmt::format(
          "\"{}\" is no number and no function: write count(send.offline), p99(deliver.latency), 5, 50ms, 64KiB or 5/s",
          text)};
    }
    std::string_view rest = text;
    Wide value = 0;
    if (take_number(rest, value) == Number::too_large) return TextError{fmt::format("\"{}\" is too large", text)};
    const double plain = static_cast<double>(value) / 1e9;
    if (rest.empty()) {
      term.number = plain;
    } else if (rest == "/s") {
      term.number = plain;
      term.unit = Expression::Term::Unit::per_second;
    } else if (rest == "k" || rest == "M") {
      term.number = plain * (rest == "k" ? 1e3 : 1e6);
    } else if (auto time = read_duration(text); std::holds_alternative<Nanos>(time)) {
      term.number = static_cast<double>(std::get<Nanos>(time));
      term.unit = Expression::Term::Unit::time;
    } else if (auto size = read_size(text); std::holds_alternative<std::uint64_t>(size)) {
      term.number = static_cast<double>(std::get<std::uint64_t>(size));
      term.unit = Expression::Term::Unit::size;
    } else {
      return TextError{fmt::format("\"{}\" is no unit: write 5, 50ms, 64KiB or 5/s", rest)};
    }
    return term;
  }
  term.kind = Expression::Term::Kind::function;
  term.function = trimmed(text.substr(0, open));
  if (text.back() != ')') return TextError{fmt::format("\"{}\" has no closing parenthesis", text)};
  const std::vector<std::string> functions(function_names.begin(), function_names.end());
  if (std::find(functions.begin(), functions.end(), term.function) == functions.end()) {
    const std::string near = nearest(term.function, functions);
    return TextError{
        near.empty() ? fmt::format("\"{}\" is no function; there are: {}", term.function, fmt::join(functions, ", "))
                     : fmt::format("\"{}\" is no function: did you mean {}?", term.function, near)};
  }
  std::string_view inside = trimmed(text.substr(open + 1, text.size() - open - 2));
  if (is_selector_function(term.function)) {
    auto selector = read_selector(inside);
    if (auto* error = std::get_if<TextError>(&selector)) return std::move(*error);
    term.among = std::move(std::get<Selector>(selector));
    return term;
  }
  if (const auto by = inside.find(" by "); by != std::string_view::npos) {
    auto selector = read_selector(inside.substr(by + 4));
    if (auto* error = std::get_if<TextError>(&selector)) return std::move(*error);
    term.among = std::move(std::get<Selector>(selector));
    inside = trimmed(inside.substr(0, by));
  }
  term.argument = inside;
  if (term.argument.empty())
    return TextError{fmt::format("{}() needs to know of what: {}(send.offline)", term.function, term.function)};
  if (term.function == "stat") {
    std::vector<std::string> known;
    for (const StatsFigure& figure : stats_figures) known.emplace_back(figure.name);
    if (std::find(known.begin(), known.end(), term.argument) != known.end()) {
      if (term.argument.find("bytes") != std::string::npos) term.unit = Expression::Term::Unit::size;
      return term;
    }
    const std::string near = nearest(term.argument, known);
    return TextError{fmt::format("\"{}\" is no figure of /api/stats{}", term.argument,
                                 near.empty() ? "" : ": did you mean " + near + "?")};
  }
  if (term.function == "members") return term;
  const auto metric = metric_of(term.argument);
  if (!metric) {
    std::vector<std::string> known;
    known.reserve(metric_names.size());
    for (const MetricName& each : metric_names) known.emplace_back(each.name);
    const std::string near = nearest(term.argument, known);
    return TextError{fmt::format("\"{}\" is nothing that is counted{}", term.argument,
                                 near.empty() ? "; see docs/scenarios.md" : ": did you mean " + near + "?")};
  }
  const bool has_value = metric_names[static_cast<std::size_t>(*metric)].says.find("value") != std::string_view::npos;
  if (term.function != "count" && term.function != "rate" && !has_value) {
    return TextError{fmt::format("{} has no values, only a count: {}({}) says nothing", term.argument, term.function,
                                 term.argument)};
  }
  if (term.function == "rate") {
    term.unit = Expression::Term::Unit::per_second;
  } else if (term.function != "count" && term.argument.ends_with(".latency")) {
    term.unit = Expression::Term::Unit::time;
  } else if (term.function != "count" && term.argument.ends_with(".bytes")) {
    term.unit = Expression::Term::Unit::size;
  }
  return term;
}

/// What is wrong with comparing these two; empty if nothing is.
std::string unlike(const Expression::Term& a, const Expression::Term& b) {
  using Term = Expression::Term;
  const Term& number = a.kind == Term::Kind::number ? a : b;
  const Term& what = a.kind == Term::Kind::number ? b : a;
  const bool is_zero = number.kind == Term::Kind::number && number.number == 0;
  const bool may_be_plain = what.unit == Term::Unit::per_second || what.unit == Term::Unit::size;
  if (a.unit == b.unit || is_zero || (may_be_plain && number.unit == Term::Unit::plain)) return {};
  const auto name = [](Term::Unit unit) {
    return unit == Term::Unit::plain  ? "a number"
           : unit == Term::Unit::time ? "a time, such as 50ms"
           : unit == Term::Unit::size ? "a size, such as 64KiB"
                                      : "a rate, such as 5/s";
  };
  return fmt::format("{}({}) is {}, and is compared with {}", what.function, what.argument, name(what.unit),
                     name(number.unit));
}

}  // namespace

Read<Expression> read_expression(std::string_view text) {
  Expression expression;
  expression.text = trimmed(text);
  std::string_view rest = expression.text;
  if (rest.empty()) return TextError{"the expression is empty"};
  if (rest.find("||") != std::string_view::npos || rest.find(" or ") != std::string_view::npos ||
      rest.find(" and ") != std::string_view::npos) {
    return TextError{"comparisons are joined by && only; what may hold otherwise is an expectation of its own"};
  }
  for (;;) {
    const auto both = rest.find("&&");
    const std::string_view one = trimmed(rest.substr(0, both));
    static constexpr std::array<std::pair<std::string_view, Expression::Op>, 6> ops{
        {{"==", Expression::Op::equal},
         {"!=", Expression::Op::not_equal},
         {"<=", Expression::Op::less_equal},
         {">=", Expression::Op::greater_equal},
         {"<", Expression::Op::less},
         {">", Expression::Op::greater}}};
    std::size_t place = std::string_view::npos;
    const std::pair<std::string_view, Expression::Op>* op = nullptr;
    for (const auto& each : ops) {
      const auto found = one.find(each.first);
      if (found != std::string_view::npos && (op == nullptr || found < place)) {
        place = found;
        op = &each;
      }
    }
    if (op == nullptr) return TextError{fmt::format("\"{}\" compares nothing: == != < <= > >=", one)};
    Expression::Comparison comparison;
    comparison.op = op->second;
    auto left = read_term(one.substr(0, place));
    if (auto* error = std::get_if<TextError>(&left)) return std::move(*error);
    auto right = read_term(one.substr(place + op->first.size()));
    if (auto* error = std::get_if<TextError>(&right)) return std::move(*error);
    comparison.left = std::move(std::get<Expression::Term>(left));
    comparison.right = std::move(std::get<Expression::Term>(right));
    if (comparison.left.kind == Expression::Term::Kind::number &&
        comparison.right.kind == Expression::Term::Kind::number) {
      return TextError{fmt::format("\"{}\" compares two numbers: it says nothing about the run", one)};
    }
    if (auto why = unlike(comparison.left, comparison.right); !why.empty()) return TextError{std::move(why)};
    expression.all.push_back(std::move(comparison));
    if (both == std::string_view::npos) return expression;
    rest.remove_prefix(both + 2);
  }
}

// ---------------------------------------------------------------- writing

std::string write_duration(Nanos value) {
  const auto number = static_cast<std::uint64_t>(value);
  for (auto unit = times.rbegin(); unit != times.rend(); ++unit) {
    if (number % unit->factor == 0) return fmt::format("{}{}", number / unit->factor, number == 0 ? "s" : unit->name);
  }
  return "0s";
}

std::string write_size(std::uint64_t bytes) {
  for (const std::string_view name : {"GiB", "MiB", "KiB"}) {
    for (const Unit& unit : sizes) {
      if (unit.name == name && bytes != 0 && bytes % unit.factor == 0)
        return fmt::format("{}{}", bytes / unit.factor, name);
    }
  }
  return fmt::format("{}B", bytes);
}

std::string write_rate(std::uint64_t per_hour) {
  if (per_hour % 3'600 == 0) return fmt::format("{}/s", per_hour / 3'600);
  if (per_hour % 60 == 0) return fmt::format("{}/m", per_hour / 60);
  return fmt::format("{}/h", per_hour);
}

std::string write_chance(std::uint32_t ppm) {
  std::string text = fmt::format("{}.{:04}", ppm / 10'000, ppm % 10'000);
  while (text.back() == '0') text.pop_back();
  if (text.back() == '.') text.pop_back();
  return text + "%";
}

std::string write(const Distribution& d) {
  switch (d.kind) {
    case Distribution::Kind::uniform:
      return fmt::format("uniform({},{})", write_duration(d.a), write_duration(d.b));
    case Distribution::Kind::exponential:
      return fmt::format("exp({})", write_duration(d.a));
    case Distribution::Kind::lognormal:
      return fmt::format("lognormal(p50={},p99={})", write_duration(d.a), write_duration(d.b));
    case Distribution::Kind::pareto:
      return fmt::format("pareto({},p99={})", write_duration(d.a), write_duration(d.b));
    case Distribution::Kind::constant:
      break;
  }
  return write_duration(d.a);
}

std::string write(const When& when) {
  if (when.is_end) return "end";
  if (when.step.empty()) return write_duration(when.offset);
  return when.offset == 0 ? when.step : fmt::format("{}+{}", when.step, write_duration(when.offset));
}

}  // namespace wsr::sim
