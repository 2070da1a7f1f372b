// A Scenario in words, and as a file again.
#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <string>

#include "sim/scenario_names.hpp"
#include "sim/scenario_reader.hpp"
#include "sim/scenario_text.hpp"
#include "sim/vocabulary.hpp"

namespace wsr::sim {
namespace {

using Json = nlohmann::ordered_json;

bool operator!=(const Distribution& a, const Distribution& b) { return a.kind != b.kind || a.a != b.a || a.b != b.b; }

Json write_link(const LinkSpec& link, const LinkSpec& base) {
  Json out = Json::object();
  if (link.latency != base.latency) out["latency"] = write(link.latency);
  if (link.loss_ppm != base.loss_ppm) out["loss"] = write_chance(link.loss_ppm);
  if (link.duplicate_ppm != base.duplicate_ppm) out["duplicate"] = write_chance(link.duplicate_ppm);
  if (link.reorder_ppm != base.reorder_ppm) out["reorder"] = write_chance(link.reorder_ppm);
  if (link.bytes_per_second != base.bytes_per_second) out["bandwidth"] = write_size(link.bytes_per_second) + "/s";
  return out;
}

Json write_step(const Step& step, const LinkSpec& base) {
  Json out;
  out["id"] = step.id;
  if (step.on.empty()) {
    out["at"] = write(step.at);
  } else {
    out["on"] = step.on;
    if (step.nth != 1) out["nth"] = step.nth;
  }
  out["do"] = name_of_action(step.action);
  if (step.target) out["target"] = step.target->text;
  if (step.between_a && step.between_b) out["between"] = {step.between_a->text, step.between_b->text};
  if (step.direction != Step::Direction::both) out["direction"] = name_in(direction_names, step.direction);
  if (step.link) out["link"] = write_link(*step.link, base);
  if (step.every) out["every"] = write_duration(*step.every);
  if (step.duration) out["for"] = write_duration(*step.duration);
  if (step.by != 0) out["by"] = (step.by < 0 ? "-" : "") + write_duration(step.by < 0 ? -step.by : step.by);
  if (step.bytes_per_second != 0) out["read_rate"] = write_size(step.bytes_per_second) + "/s";
  if (step.room) out["room"] = fmt::format("room:{}", *step.room);
  if (step.to) out["to"] = fmt::format("c{}", *step.to);
  if (!step.note.empty()) out["note"] = step.note;
  return out;
}

}  // namespace

std::string write_scenario(const Scenario& s) {
  const Scenario defaults;
  Json out;
  out["scenario"] = s.name;
  out["summary"] = s.summary;
  out["seed"] = s.seed;
  if (s.mutant != Mutant::none) out["mutant"] = mutant_names[static_cast<std::size_t>(s.mutant)].name;
  out["duration"] = write_duration(s.duration);
  if (s.settle != defaults.settle) out["settle"] = write_duration(s.settle);
  Json& servers = out["cluster"]["servers"];
  servers["count"] = s.servers;
  for (const ConfigEntry& entry : s.config) servers["config"][entry.key] = entry.value;
  Json& clients = out["cluster"]["clients"];
  clients["count"] = s.clients;
  if (s.devices != 1) clients["devices"] = s.devices;
  clients["attach"] = name_in(balancing_names, s.balancing);
  clients["arrive"] = write(s.arrive);
  clients["reconnect"] = {{"on", s.reconnect.is_on},
                          {"sticky", s.reconnect.is_sticky},
                          {"notice", write(s.reconnect.notice)},
                          {"delay", write(s.reconnect.delay)},
                          {"delay_max", write_duration(s.reconnect.delay_max)}};
  for (const auto& [name, selector] : s.groups) out["cluster"]["groups"][name] = selector.text;
  if (Json link = write_link(s.link, defaults.link); !link.empty()) out["network"]["default"] = link;
  if (Json link = write_link(s.store_link, defaults.store_link); !link.empty()) out["network"]["store"] = link;
  for (const LinkRule& rule : s.links) {
    Json each = {{"from", rule.from.text}, {"to", rule.to.text}};
    each.update(write_link(rule.link, s.link));
    out["network"]["links"].push_back(each);
  }
  out["store"] = {{"latency", write(s.store.latency)}};
  if (s.store.has_replica) {
    out["store"]["replica"] = true;
    out["store"]["replication_lag"] = write(s.store.replication_lag);
  }
  if (s.store.subscriber_buffer != defaults.store.subscriber_buffer)
    out["store"]["subscriber_buffer"] = write_size(s.store.subscriber_buffer);
  for (const Workload& work : s.workload) {
    Json each = {{"id", work.id}, {"op", name_in(operation_names, work.op)}, {"from", work.from.text}};
    if (work.to) each["to"] = work.to->text;
    if (work.per_hour != 0) each["rate"] = write_rate(work.per_hour);
    if (work.op == Workload::Op::send || work.op == Workload::Op::push) each["size"] = write_size(work.bytes);
    if (work.rooms != 1) each["rooms"] = work.rooms;
    if (work.rooms_each != 1) each["rooms_each"] = work.rooms_each;
    if (!work.wants_word) each["word"] = false;
    if (!work.echo) each["echo"] = false;
    if (!work.start.step.empty() || work.start.offset != 0) each["start"] = write(work.start);
    if (!work.stop.is_end) each["stop"] = write(work.stop);
    out["workload"].push_back(each);
  }
  for (const Step& step : s.timeline) out["timeline"].push_back(write_step(step, s.link));
  out["expect"] = Json::array();
  for (const Expectation& expectation : s.expect) {
    Json each;
    each[std::string(name_in(expectation_names, expectation.kind))] =
        expectation.kind == Expectation::Kind::waive ? expectation.checker : expectation.expression.text;
    if (!expectation.name.empty()) each["name"] = expectation.name;
    if (!expectation.from.step.empty() || expectation.from.offset != 0) each["from"] = write(expectation.from);
    if (!expectation.to.is_end) each["to"] = write(expectation.to);
    if (expectation.within) each["within"] = write_duration(*expectation.within);
    if (!expectation.because.empty()) each["because"] = expectation.because;
    out["expect"].push_back(each);
  }
  if (s.sweep.seeds != 1 || !s.sweep.vary.empty()) {
    out["sweep"]["seeds"] = s.sweep.seeds;
    for (const auto& [what, distribution] : s.sweep.vary) out["sweep"]["vary"][what] = write(distribution);
  }
  if (s.budget.events != 0) out["budget"]["events"] = s.budget.events;
  return out.dump(2) + "\n";
}

std::string explain(const Scenario& s) {
  std::string out = fmt::format("{}: {}\n\n", s.name, s.summary);
  const auto line = [&out](const std::string& text) { out += "  " + text + "\n"; };
  line(
      fmt::format("{} server{} and {} client{}{} for {} of virtual time, then {} in which everything heals and must "
                  "come right. Seed {}.",
                  s.servers, s.servers == 1 ? "" : "s", s.clients, s.clients == 1 ? "" : "s",
                  s.devices == 1 ? "" : fmt::format(" with {} devices each", s.devices), write_duration(s.duration),
                  write_duration(s.settle), s.seed));
  line(fmt::format(
      "Clients arrive after {} and are spread {}; who loses its connection notices it after {} and comes back after "
      "{}{}{}.",
      write(s.arrive), name_in(balancing_names, s.balancing), write(s.reconnect.notice), write(s.reconnect.delay),
      s.reconnect.is_sticky ? ", to the same server" : "", s.reconnect.is_on ? "" : " (reconnecting is off)"));
  line(fmt::format("Between clients and servers {}; between servers and the store {}; a call in the store takes {}.",
                   write(s.link.latency), write(s.store_link.latency), write(s.store.latency)));
  if (s.store.has_replica)
    line(fmt::format("The store has a replica that is {} behind.", write(s.store.replication_lag)));
  for (const LinkRule& rule : s.links)
    line(fmt::format("Between {} and {}: {}, {} lost.", rule.from.text, rule.to.text, write(rule.link.latency),
                     write_chance(rule.link.loss_ppm)));
  if (s.config.empty()) line("Servers run with the defaults of wsr serve.");
  for (const ConfigEntry& entry : s.config) line(fmt::format("Servers run with --{} {}.", entry.key, entry.value));
  for (const auto& [name, selector] : s.groups) line(fmt::format("The group {} is: {}.", name, selector.text));
  out += "\nWorkload\n";
  for (const Workload& work : s.workload) {
    line(fmt::format(
        "{}: {} {}s{}{}{}, from {} to {}.", work.id, work.from.text, name_in(operation_names, work.op),
        work.op == Workload::Op::send    ? fmt::format(" to {}", work.to ? work.to->text : "any client")
        : work.op == Workload::Op::churn ? ""
                                         : fmt::format(" ({} room{})", work.rooms, work.rooms == 1 ? "" : "s"),
        work.per_hour == 0 ? ", once each" : ", " + write_rate(work.per_hour) + " in all",
        work.op == Workload::Op::send || work.op == Workload::Op::push ? ", " + write_size(work.bytes) + " each" : "",
        write(work.start), write(work.stop)));
  }
  out += "\nTimeline\n";
  for (const Step& step : s.timeline) {
    std::string text = fmt::format(
        "{}: {} ", step.id, step.on.empty() ? "at " + write(step.at) : fmt::format("at the {}. {}", step.nth, step.on));
    text += name_of_action(step.action);
    if (step.target) text += " " + step.target->text;
    if (step.between_a && step.between_b)
      text += fmt::format(" between {} and {} ({})", step.between_a->text, step.between_b->text,
                          name_in(direction_names, step.direction));
    if (step.link) text += fmt::format(": {}, {} lost", write(step.link->latency), write_chance(step.link->loss_ppm));
    if (step.action == Step::Action::slow)
      text += step.bytes_per_second == 0 ? ", which read nothing"
                                         : ", which read " + write_size(step.bytes_per_second) + "/s";
    if (step.duration) text += ", for " + write_duration(*step.duration);
    if (step.every) text += ", every " + write_duration(*step.every);
    if (!step.note.empty()) text += " (" + step.note + ")";
    line(text + ".");
  }
  out += "\nExpected, besides the contract\n";
  for (const Expectation& each : s.expect) {
    if (each.kind == Expectation::Kind::waive) {
      line(fmt::format("waived: {}, from {} to {}, because {}.", each.checker, write(each.from), write(each.to),
                       each.because));
      continue;
    }
    line(fmt::format("{}: {}, from {}{}.", name_in(expectation_names, each.kind), each.expression.text,
                     write(each.from),
                     each.within ? " within " + write_duration(*each.within) : " to " + write(each.to)));
  }
  for (const auto& [what, distribution] : s.sweep.vary)
    line(fmt::format("A sweep varies {}: {}.", what, write(distribution)));
  return out;
}

}  // namespace wsr::sim
