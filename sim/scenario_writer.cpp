// A Scenario as a file again.
#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <string>

#include "sim/scenario_names.hpp"
#include "sim/scenario_reader.hpp"
#include "sim/scenario_text.hpp"

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
  if (step.action == Step::Action::clock_skew || step.action == Step::Action::subscriber_lag)
    out["by"] = (step.by < 0 ? "-" : "") + write_duration(step.by < 0 ? -step.by : step.by);
  if (step.bytes_per_second != 0) out["read_rate"] = write_size(step.bytes_per_second) + "/s";
  if (step.action == Step::Action::vanish) out["counted_for"] = write_duration(step.counted_for);
  if (step.code) out["code"] = name_in(code_names, *step.code);
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
                          {"give_up", write(s.reconnect.give_up)},
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
    if (!expectation.from.step.empty() || expectation.from.is_end || expectation.from.offset != 0)
      each["from"] = write(expectation.from);
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

}  // namespace wsr::sim
