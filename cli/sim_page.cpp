#include "cli/sim_page.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "sim/population.hpp"
#include "sim/scenario_names.hpp"

namespace wsr::cli {
namespace {

using nlohmann::ordered_json;
using sim::Fact;
using sim::Nanos;
using sim::Step;

constexpr std::size_t servers_max = 40, clients_max = 40;  // lanes that can still be read
constexpr std::size_t messages_max = 20'000;               // between the clients that have a lane
constexpr std::size_t notes_max = 20'000;                  // the last ones; steps and findings stay, whatever their age
constexpr std::size_t buckets = 120;                       // of latencies over time, and of connection counts

double seconds_of(Nanos nanos) { return static_cast<double>(nanos) / 1e9; }
double ms(Nanos nanos) { return static_cast<double>(nanos) / 1e6; }

/// True for what goes on until it is undone or all heals.
bool lasts(Step::Action action) {
  switch (action) {
    case Step::Action::kill:
    case Step::Action::stop:
    case Step::Action::pause:
    case Step::Action::slow:
    case Step::Action::partition:
    case Step::Action::degrade:
    case Step::Action::store_restart:
    case Step::Action::store_lose_replies:
      return true;
    default:
      return false;
  }
}

ordered_json steps_of(const sim::Scenario& scenario, const std::vector<Fact>& facts) {
  ordered_json steps = ordered_json::array();
  std::vector<std::size_t> open(scenario.timeline.size());  // place in `steps`, plus one
  for (const Fact& fact : facts) {
    if (fact.kind != Fact::Kind::step_begins && fact.kind != Fact::Kind::step_over) continue;
    if (fact.who >= scenario.timeline.size()) continue;
    const Step& step = scenario.timeline[fact.who];
    if (fact.kind == Fact::Kind::step_begins) {
      ordered_json each = {{"id", step.id},
                           {"does", sim::name_of_action(step.action)},
                           {"target", step.target ? step.target->text
                                      : step.between_a && step.between_b
                                          ? fmt::format("{} and {}", step.between_a->text, step.between_b->text)
                                          : std::string()},
                           {"note", step.note},
                           {"from", seconds_of(fact.at)},
                           {"to", nullptr}};
      if (step.duration) each["to"] = seconds_of(fact.at + *step.duration);
      steps.push_back(std::move(each));
      open[fact.who] = steps.size();
    } else if (open[fact.who] != 0 && !step.duration && lasts(step.action)) {
      steps[open[fact.who] - 1]["to"] = seconds_of(fact.at);
    }
  }
  return steps;
}

/// The clients that have a lane: those of findings, those whose connections ended most often, those who heard most.
std::vector<std::uint32_t> chosen_clients(const sim::RunResult& run, const std::vector<Fact>& facts) {
  struct Score {
    bool has_finding = false;
    std::uint32_t gone = 0, heard = 0;
    auto operator<=>(const Score&) const = default;
  };
  std::map<std::uint32_t, Score> scores;
  for (const Fact& fact : facts) {
    if (fact.kind == Fact::Kind::client_open) scores[fact.who];
    if (fact.kind == Fact::Kind::client_gone) ++scores[fact.who].gone;
    if (fact.kind == Fact::Kind::heard) ++scores[fact.who].heard;
  }
  for (const sim::Finding& finding : run.findings) {
    if (const auto found = scores.find(finding.client); found != scores.end()) found->second.has_finding = true;
  }
  std::vector<std::pair<Score, std::uint32_t>> order;
  order.reserve(scores.size());
  for (const auto& [client, score] : scores) order.emplace_back(score, client);
  std::stable_sort(order.begin(), order.end(), [](const auto& a, const auto& b) { return a.first > b.first; });
  // A few of those to whom nothing happened, to compare with.
  std::vector<std::uint32_t> chosen;
  const std::size_t quiet = order.size() > clients_max ? clients_max / 5 : 0;
  for (std::size_t i = 0; i < std::min(order.size(), clients_max - quiet); ++i) chosen.push_back(order[i].second);
  for (std::size_t i = 0; i < quiet; ++i) chosen.push_back(order[order.size() - 1 - i].second);
  std::sort(chosen.begin(), chosen.end());
  return chosen;
}

ordered_json span_of(Nanos from, Nanos to) { return ordered_json::array({seconds_of(from), seconds_of(to)}); }

ordered_json server_lanes(const sim::Scenario& scenario, const std::vector<Fact>& facts, Nanos end) {
  struct Lane {
    std::optional<Nanos> up, asleep;
    ordered_json ups = ordered_json::array(), sleeps = ordered_json::array();
    std::vector<std::int64_t> connected = std::vector<std::int64_t>(buckets);  // changes in each bucket
  };
  const std::size_t count = std::min<std::size_t>(scenario.servers, servers_max);
  std::vector<Lane> lanes(count);
  const auto close = [](std::optional<Nanos>& since, ordered_json& spans, Nanos at) {
    if (since) spans.push_back(span_of(*since, at));
    since.reset();
  };
  const auto bucket = [end](Nanos at) {
    return std::min<std::size_t>(buckets - 1, static_cast<std::size_t>(at / (end / static_cast<Nanos>(buckets) + 1)));
  };
  for (const Fact& fact : facts) {
    const bool is_of_client = fact.kind == Fact::Kind::client_open || fact.kind == Fact::Kind::client_gone;
    const std::uint32_t number = is_of_client ? fact.where : fact.who;
    if (number == 0 || number > count) continue;
    Lane& lane = lanes[number - 1];
    switch (fact.kind) {
      case Fact::Kind::server_up:
        close(lane.up, lane.ups, fact.at);
        lane.up = fact.at;
        break;
      case Fact::Kind::server_down:
        close(lane.up, lane.ups, fact.at);
        close(lane.asleep, lane.sleeps, fact.at);
        break;
      case Fact::Kind::server_asleep:
        lane.asleep = fact.at;
        break;
      case Fact::Kind::server_awake:
        close(lane.asleep, lane.sleeps, fact.at);
        break;
      case Fact::Kind::client_open:
        ++lane.connected[bucket(fact.at)];
        break;
      case Fact::Kind::client_gone:
        --lane.connected[bucket(fact.at)];
        break;
      default:
        break;
    }
  }
  ordered_json out = ordered_json::array();
  for (std::size_t i = 0; i < count; ++i) {
    Lane& lane = lanes[i];
    close(lane.up, lane.ups, end);
    close(lane.asleep, lane.sleeps, end);
    for (std::size_t b = 1; b < buckets; ++b) lane.connected[b] += lane.connected[b - 1];
    out.push_back({{"name", "s" + std::to_string(i + 1)},
                   {"up", std::move(lane.ups)},
                   {"asleep", std::move(lane.sleeps)},
                   {"connected", lane.connected}});
  }
  return out;
}

ordered_json client_lanes(const std::vector<std::uint32_t>& chosen, const std::vector<Fact>& facts, Nanos end) {
  struct Lane {
    ordered_json stays = ordered_json::array(), heard = ordered_json::array();
    std::map<std::uint32_t, Fact> open;  // by connection: several devices may be at one server
  };
  std::map<std::uint32_t, Lane> lanes;
  for (const std::uint32_t client : chosen) lanes[client];
  const auto stay = [](Lane& lane, std::uint32_t server, Nanos from, Nanos to, Nanos code) {
    lane.stays.push_back({seconds_of(from), seconds_of(to), server, code});
  };
  for (const Fact& fact : facts) {
    const auto found = lanes.find(fact.who);
    const bool is_of_client = fact.kind == Fact::Kind::client_open || fact.kind == Fact::Kind::client_gone ||
                              fact.kind == Fact::Kind::heard || fact.kind == Fact::Kind::heard_room;
    if (!is_of_client || found == lanes.end()) continue;
    Lane& lane = found->second;
    if (fact.kind == Fact::Kind::client_open) {
      lane.open[fact.conn] = fact;
    } else if (fact.kind == Fact::Kind::client_gone) {
      if (const auto opened = lane.open.extract(fact.conn); !opened.empty()) {
        stay(lane, fact.where, opened.mapped().at, fact.at, fact.value);
      }
    } else {
      lane.heard.push_back(seconds_of(fact.at));
    }
  }
  ordered_json out = ordered_json::array();
  for (auto& [client, lane] : lanes) {
    for (const auto& [conn, opened] : lane.open) stay(lane, opened.where, opened.at, end, 0);
    std::stable_sort(lane.stays.begin(), lane.stays.end(),
                     [](const ordered_json& a, const ordered_json& b) { return a[0] < b[0]; });
    out.push_back({{"name", sim::Population::name_of(client)},
                   {"stays", std::move(lane.stays)},
                   {"heard", std::move(lane.heard)}});
  }
  return out;
}

/// Times to go and to come, and the lanes, of messages between clients that have one.
ordered_json messages_of(const std::vector<std::uint32_t>& chosen, const std::vector<Fact>& facts,
                         std::size_t& left_out) {
  const std::set<std::uint32_t> has_lane(chosen.begin(), chosen.end());
  ordered_json out = ordered_json::array();
  for (const Fact& fact : facts) {
    if (fact.kind != Fact::Kind::heard || !has_lane.contains(fact.who) || !has_lane.contains(fact.where)) continue;
    if (out.size() >= messages_max) {
      ++left_out;
      continue;
    }
    out.push_back({seconds_of(fact.at - fact.value), seconds_of(fact.at), sim::Population::name_of(fact.where),
                   sim::Population::name_of(fact.who)});
  }
  return out;
}

ordered_json latencies_of(const std::vector<Fact>& facts, Nanos end) {
  const Nanos width = end / static_cast<Nanos>(buckets) + 1;
  std::vector<std::vector<Nanos>> by_time(buckets);
  std::map<int, std::uint64_t> by_size;  // power of two of nanoseconds
  std::uint64_t all = 0;
  for (const Fact& fact : facts) {
    if (fact.kind != Fact::Kind::heard && fact.kind != Fact::Kind::heard_room) continue;
    by_time[std::min<std::size_t>(buckets - 1, static_cast<std::size_t>(fact.at / width))].push_back(fact.value);
    ++by_size[std::bit_width(static_cast<std::uint64_t>(std::max<Nanos>(fact.value, 1)))];
    ++all;
  }
  ordered_json series = ordered_json::array(), sizes = ordered_json::array();
  for (std::size_t i = 0; i < buckets; ++i) {
    auto& values = by_time[i];
    if (values.empty()) continue;
    std::sort(values.begin(), values.end());
    const auto at = [&values](std::size_t percent) { return ms(values[(values.size() - 1) * percent / 100]); };
    series.push_back({seconds_of(static_cast<Nanos>(i) * width), values.size(), at(50), at(99), at(100)});
  }
  if (!by_size.empty()) {
    for (int power = by_size.begin()->first; power <= by_size.rbegin()->first; ++power) {
      sizes.push_back({ms(Nanos{1} << power), by_size[power]});
    }
  }
  return {{"bucket_seconds", seconds_of(width)}, {"messages", all}, {"over_time", series}, {"below_ms", sizes}};
}

}  // namespace

ordered_json picture_of(const sim::Scenario& scenario, const sim::RunResult& run, const sim::Trace& trace) {
  const std::vector<Fact>& facts = trace.facts();
  const Nanos end = std::max<Nanos>(run.ended_at, 1);
  const auto chosen = chosen_clients(run, facts);
  std::size_t messages_left_out = 0;
  ordered_json out;
  out["steps"] = steps_of(scenario, facts);
  out["server_lanes"] = server_lanes(scenario, facts, end);
  out["client_lanes"] = client_lanes(chosen, facts, end);
  out["messages"] = messages_of(chosen, facts, messages_left_out);
  out["latency"] = latencies_of(facts, end);
  ordered_json notes = ordered_json::array();
  const auto add = [&](const sim::Trace::Note& note) {
    notes.push_back({note.event, trace.cause_of(note.event), seconds_of(note.at), note.text.substr(0, 200)});
  };
  const std::size_t skip = trace.notes().size() > notes_max ? trace.notes().size() - notes_max : 0;
  for (const sim::Trace::Mark& mark : trace.marks()) {
    if (mark.place < skip + trace.notes_left_out()) add(mark.note);
  }
  const std::size_t older = notes.size();
  for (std::size_t i = skip; i < trace.notes().size(); ++i) add(trace.notes()[i]);
  out["notes"] = std::move(notes);
  out["is_traced"] = !facts.empty();
  out["left_out"] = {{"servers", scenario.servers - std::min<std::size_t>(scenario.servers, servers_max)},
                     {"clients", scenario.clients - std::min<std::size_t>(scenario.clients, chosen.size())},
                     {"messages", messages_left_out},
                     {"facts about clients and servers", trace.facts_left_out()},
                     {"steps and findings", trace.marks_left_out()},
                     {"notes", skip + trace.notes_left_out() - std::min<std::uint64_t>(older, skip)}};
  return out;
}

}  // namespace wsr::cli
