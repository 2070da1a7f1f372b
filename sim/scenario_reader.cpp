#include "sim/scenario_reader.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <utility>

#include "sim/json_source.hpp"
#include "sim/random.hpp"
#include "sim/scenario_checks.hpp"
#include "sim/scenario_names.hpp"
#include "sim/scenario_text.hpp"
#include "sim/vocabulary.hpp"

namespace wsr::sim {
namespace {

// Selectors nest ("1% of 1% of ..."), and a group may be made of groups: both together bound how deep.
constexpr std::size_t groups_max = 100;
constexpr Nanos lag_max = 2 * second;    // a subscriber's connection is remade after 3 s of silence
constexpr std::size_t text_max = 1'000;  // characters of a selector, an expression, ...

/// `c7`, `s2`: no name for a group.
bool is_one_of_many(std::string_view name) {
  return name.size() > 1 && (name.front() == 'c' || name.front() == 's') &&
         std::all_of(name.begin() + 1, name.end(), [](char c) { return c >= '0' && c <= '9'; });
}

/// What other parts of the file can name: `victims`, `cut-2`.
bool is_plain_name(std::string_view name) {
  return !name.empty() && (name.front() < '0' || name.front() > '9') &&
         std::all_of(name.begin(), name.end(),
                     [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_'; });
}

class Fields;

class Reader {
public:
  Reader(std::string_view file, const ConfigCheck& check_config) : check_config_(check_config) { out_.file = file; }

  std::variant<Scenario, std::vector<Problem>> read(const JsonNode& root);
  void complain(Position at, std::string message) {
    if (problems_.size() < problems_max) problems_.push_back({at, std::move(message)});
  }

private:
  friend class Fields;
  void read_cluster(const JsonNode& node);
  void read_network(const JsonNode& node);
  void read_store(const JsonNode& node);
  void read_workload(const JsonNode& node, std::size_t index);
  void read_step(const JsonNode& node, std::size_t index);
  void read_expectation(const JsonNode& node, std::size_t index);
  void read_sweep(const JsonNode& node);
  void read_budget(const JsonNode& node);
  LinkSpec read_link(Fields& fields, const LinkSpec& base);
  void read_config(const JsonNode& node);

  const ConfigCheck& check_config_;
  Scenario out_;
  std::vector<Problem> problems_;
  ScenarioPlaces places_;
  std::vector<Position> config_places_;
};

/// An object of the file, being read: hands out its members, and complains of those that nobody asked for.
class Fields {
public:
  Fields(Reader& reader, const JsonNode& node, std::string where)
      : reader_(reader), node_(node), where_(std::move(where)) {
    if (node.kind != JsonNode::Kind::object) {
      reader.complain(node.at, fmt::format("{} must be an object, not {}", where_, name_of(node.kind)));
      return;
    }
    std::map<std::string, Position> seen;
    for (const JsonNode::Member& member : node.members) {
      const auto [first, is_new] = seen.emplace(member.key, member.at);
      if (!is_new) {
        reader.complain(member.at, fmt::format("\"{}\" stands twice in {}; first in line {}", member.key, where_,
                                               first->second.line));
      }
    }
  }
  ~Fields() {
    if (node_.kind != JsonNode::Kind::object) return;
    const std::vector<std::string> known(asked_.begin(), asked_.end());
    std::set<std::string> meant;
    for (const JsonNode::Member& member : node_.members) {
      if (asked_.contains(member.key)) continue;
      const std::string near = nearest(member.key, known);
      meant.insert(near);
      reader_.complain(member.at, near.empty() ? fmt::format("unknown key \"{}\" in {}; there are: {}", member.key,
                                                             where_, fmt::join(known, ", "))
                                               : fmt::format("unknown key \"{}\" in {}: did you mean \"{}\"?",
                                                             member.key, where_, near));
    }
    // What is missing because it is misspelt has been told: one mistake, one sentence.
    for (const Missing& missing : missing_) {
      const bool is_misspelt = std::any_of(missing.keys.begin(), missing.keys.end(),
                                           [&](const std::string& key) { return meant.contains(key); });
      if (!is_misspelt) reader_.complain(node_.at, missing.message);
    }
  }
  Fields(const Fields&) = delete;
  Fields& operator=(const Fields&) = delete;

  [[nodiscard]] const JsonNode* find(const std::string& key) {
    asked_.insert(key);
    if (node_.kind != JsonNode::Kind::object) return nullptr;
    for (const JsonNode::Member& member : node_.members) {
      if (member.key == key) return member.value.get();
    }
    return nullptr;
  }
  [[nodiscard]] bool has(const std::string& key) { return find(key) != nullptr; }
  [[nodiscard]] Position key_at(const std::string& key) const {
    for (const JsonNode::Member& member : node_.members) {
      if (member.key == key) return member.at;
    }
    return node_.at;
  }
  const JsonNode* need(const std::string& key) {
    const JsonNode* found = find(key);
    if (found == nullptr) miss({key}, fmt::format("\"{}\" is missing in {}", key, where_));
    return found;
  }
  /// One of `keys` is missing: told at the end, unless an unknown key is near to one of them.
  void miss(std::vector<std::string> keys, std::string message) {
    missing_.push_back({std::move(keys), std::move(message)});
  }
  /// Whether an unknown key is near to `key`. REQUIRES: all keys have been asked for.
  [[nodiscard]] bool is_misspelt(const std::string& key) const {
    const std::vector<std::string> known(asked_.begin(), asked_.end());
    return std::any_of(node_.members.begin(), node_.members.end(), [&](const JsonNode::Member& member) {
      return !asked_.contains(member.key) && nearest(member.key, known) == key;
    });
  }
  /// Where the value of each key stands.
  [[nodiscard]] ScenarioPlaces::Values values() const {
    ScenarioPlaces::Values values{{"", node_.at}};
    for (const JsonNode::Member& member : node_.members) values.emplace(member.key, member.value->at);
    return values;
  }
  [[nodiscard]] const JsonNode* find(const std::string& key, JsonNode::Kind kind) {
    const JsonNode* found = find(key);
    if (found == nullptr || found->kind == kind) return found;
    reader_.complain(found->at, fmt::format("\"{}\" must be {}, not {}", key, name_of(kind), name_of(found->kind)));
    return nullptr;
  }
  /// A string in one of the small languages.
  template <class T, class ReadText>
  bool text(const std::string& key, T& out, ReadText read, std::string_view example) {
    const JsonNode* found = find(key);
    if (found == nullptr) return false;
    if (found->kind != JsonNode::Kind::string) {
      reader_.complain(found->at,
                       fmt::format("\"{}\" must be a string, not {}: write {}", key, name_of(found->kind), example));
      return false;
    }
    if (found->text.size() > text_max) {
      reader_.complain(found->at,
                       fmt::format("\"{}\" has {} characters; at most {} are read", key, found->text.size(), text_max));
      return false;
    }
    auto value = read(found->text);
    if (auto* error = std::get_if<TextError>(&value)) {
      reader_.complain(found->at, fmt::format("\"{}\": {}", key, error->message));
      return false;
    }
    out = std::move(std::get<0>(value));
    return true;
  }
  bool string(const std::string& key, std::string& out) {
    const JsonNode* found = find(key, JsonNode::Kind::string);
    if (found != nullptr) out = found->text;
    return found != nullptr;
  }
  bool boolean(const std::string& key, bool& out) {
    const JsonNode* found = find(key, JsonNode::Kind::boolean);
    if (found != nullptr) out = found->boolean;
    return found != nullptr;
  }
  /// A whole number, or a string such as "20k".
  template <class T>
  bool count(const std::string& key, T& out, std::uint64_t least, std::uint64_t most) {
    const JsonNode* found = find(key);
    if (found == nullptr) return false;
    std::uint64_t value = 0;
    if (found->kind == JsonNode::Kind::string || found->kind == JsonNode::Kind::number) {
      if (found->kind == JsonNode::Kind::number && found->text.find_first_not_of("0123456789") != std::string::npos) {
        reader_.complain(found->at,
                         fmt::format("\"{}\" must be a whole number that is not negative, not {}", key, found->text));
        return false;
      }
      auto read = read_count(found->text);
      if (auto* error = std::get_if<TextError>(&read)) {
        reader_.complain(found->at, fmt::format("\"{}\": {}", key, error->message));
        return false;
      }
      value = std::get<std::uint64_t>(read);
    } else {
      reader_.complain(found->at, fmt::format("\"{}\" must be a whole number, not {}", key, name_of(found->kind)));
      return false;
    }
    if (value < least || value > most) {
      reader_.complain(found->at, fmt::format("\"{}\" must be from {} to {}, not {}", key, least, most, value));
      return false;
    }
    out = static_cast<T>(value);
    return true;
  }
  bool duration(const std::string& key, Nanos& out) { return text(key, out, read_duration, "\"500ms\" or \"2s\""); }
  bool distribution(const std::string& key, Distribution& out) {
    return text(key, out, read_distribution, "\"5ms\" or \"uniform(1ms,5ms)\"");
  }
  bool selector(const std::string& key, Selector& out) {
    return text(key, out, read_selector, "\"clients\" or \"s2\"");
  }
  bool when(const std::string& key, When& out) { return text(key, out, read_when, "\"30s\" or \"kill+5s\""); }
  /// One of some names.
  template <class T, std::size_t N>
  bool choice(const std::string& key, T& out, const std::array<std::pair<std::string_view, T>, N>& names) {
    std::string word;
    if (!string(key, word)) return false;
    std::vector<std::string> known;
    for (const auto& [name, value] : names) {
      if (name == word) {
        out = value;
        return true;
      }
      known.emplace_back(name);
    }
    const std::string near = nearest(word, known);
    reader_.complain(find(key)->at,
                     near.empty() ? fmt::format("\"{}\" is no {}; there are: {}", word, key, fmt::join(known, ", "))
                                  : fmt::format("\"{}\" is no {}: did you mean \"{}\"?", word, key, near));
    return false;
  }
  void each(const std::string& key, const std::function<void(const JsonNode&, std::size_t)>& visit) {
    const JsonNode* list = find(key, JsonNode::Kind::array);
    if (list == nullptr) return;
    for (std::size_t i = 0; i < list->items.size(); ++i) visit(*list->items[i], i);
  }

private:
  Reader& reader_;
  const JsonNode& node_;
  std::string where_;
  std::set<std::string> asked_;
  struct Missing {
    std::vector<std::string> keys;
    std::string message;
  };
  std::vector<Missing> missing_;
};

// ---------------------------------------------------------------- sections

LinkSpec Reader::read_link(Fields& fields, const LinkSpec& base) {
  LinkSpec link = base;
  fields.distribution("latency", link.latency);
  fields.text("loss", link.loss_ppm, read_chance, "\"1%\"");
  fields.text("duplicate", link.duplicate_ppm, read_chance, "\"1%\"");
  fields.text("reorder", link.reorder_ppm, read_chance, "\"1%\"");
  fields.text("bandwidth", link.bytes_per_second, read_speed, "\"10MiB/s\"");
  return link;
}

void Reader::read_config(const JsonNode& node) {
  if (node.kind != JsonNode::Kind::object)
    return complain(node.at, fmt::format("\"config\" must be an object, not {}", name_of(node.kind)));
  std::map<std::string, Position> seen;
  for (const JsonNode::Member& member : node.members) {
    const auto [first, is_new] = seen.emplace(member.key, member.at);
    if (!is_new) {
      complain(member.at,
               fmt::format("\"{}\" stands twice in config; first in line {}", member.key, first->second.line));
      continue;
    }
    std::string value;
    switch (member.value->kind) {
      case JsonNode::Kind::string:
      case JsonNode::Kind::number:
        value = member.value->text;
        break;
      case JsonNode::Kind::boolean:
        value = member.value->boolean ? "true" : "false";
        break;
      default:
        complain(member.value->at, fmt::format("\"{}\" in config must be a string, a number, true or false, not {}",
                                               member.key, name_of(member.value->kind)));
        continue;
    }
    out_.config.push_back({member.key, value, member.at});
    config_places_.push_back(member.value->at);
  }
  if (!check_config_) return;
  for (const ConfigProblem& problem : check_config_(out_.config)) {
    const Position at = problem.entry < config_places_.size() ? config_places_[problem.entry] : node.at;
    complain(at, fmt::format("config: {}", problem.message));
  }
}

void Reader::read_cluster(const JsonNode& node) {
  Fields cluster(*this, node, "cluster");
  // A count that cannot be read makes nobody one who is not there.
  out_.servers = scenario_limits::servers_max;
  out_.clients = scenario_limits::clients_max;
  if (const JsonNode* servers = cluster.need("servers")) {
    Fields fields(*this, *servers, "cluster.servers");
    if (fields.need("count") != nullptr) fields.count("count", out_.servers, 1, scenario_limits::servers_max);
    if (const JsonNode* config = fields.find("config")) read_config(*config);
  }
  if (const JsonNode* clients = cluster.need("clients")) {
    Fields fields(*this, *clients, "cluster.clients");
    if (fields.need("count") != nullptr) fields.count("count", out_.clients, 1, scenario_limits::clients_max);
    fields.count("devices", out_.devices, 1, 8);
    const bool is_multi = std::any_of(out_.config.begin(), out_.config.end(), [](const ConfigEntry& entry) {
      return entry.key == "sessions" && entry.value == "multi";
    });
    if (out_.devices > 1 && !is_multi) {
      complain(fields.find("devices")->at,
               "\"devices\" above 1 needs \"sessions\": \"multi\" in cluster.servers.config: with single, which is the "
               "default, a client has one connection");
    }
    fields.choice("attach", out_.balancing, balancing_names);
    fields.distribution("arrive", out_.arrive);
    if (const JsonNode* reconnect = fields.find("reconnect")) {
      Fields spec(*this, *reconnect, "reconnect");
      spec.boolean("on", out_.reconnect.is_on);
      spec.boolean("sticky", out_.reconnect.is_sticky);
      spec.distribution("notice", out_.reconnect.notice);
      spec.distribution("give_up", out_.reconnect.give_up);
      spec.distribution("delay", out_.reconnect.delay);
      spec.duration("delay_max", out_.reconnect.delay_max);
    }
  }
  const JsonNode* groups = cluster.find("groups", JsonNode::Kind::object);
  if (groups != nullptr && groups->members.size() > groups_max) {
    complain(groups->at, fmt::format("{} groups are more than {}", groups->members.size(), groups_max));
    groups = nullptr;
  }
  if (groups != nullptr) {
    Fields fields(*this, *groups, "groups");
    for (const JsonNode::Member& member : groups->members) {
      Selector selector;
      if (member.key == "clients" || member.key == "servers" || member.key == "store") {
        complain(member.at, fmt::format("\"{}\" is a selector already: give the group another name", member.key));
      } else if (is_one_of_many(member.key)) {
        complain(member.at,
                 fmt::format("\"{}\" is a client or a server already: give the group another name", member.key));
      } else if (!is_plain_name(member.key)) {
        complain(member.at, fmt::format("\"{}\" is no name for a group: a letter, then a-z, 0-9, - and _", member.key));
      }
      if (fields.selector(member.key, selector)) {
        // A key that stands twice has been told; the first counts.
        if (out_.groups.emplace(member.key, std::move(selector)).second)
          places_.groups.emplace_back(member.key, member.value->at);
      } else {
        places_.broken_groups.insert(member.key);
      }
    }
  }
  places_.has_all_groups = cluster.has("groups") ? groups != nullptr : !cluster.is_misspelt("groups");
}

void Reader::read_network(const JsonNode& node) {
  Fields network(*this, node, "network");
  if (const JsonNode* link = network.find("default")) {
    Fields fields(*this, *link, "network.default");
    out_.link = read_link(fields, out_.link);
  }
  if (const JsonNode* link = network.find("store")) {
    Fields fields(*this, *link, "network.store");
    out_.store_link = read_link(fields, out_.store_link);
  }
  network.each("links", [&](const JsonNode& each, std::size_t i) {
    Fields fields(*this, each, fmt::format("network.links[{}]", i));
    LinkRule rule;
    if (fields.need("from") != nullptr) fields.selector("from", rule.from);
    if (fields.need("to") != nullptr) fields.selector("to", rule.to);
    rule.link = read_link(fields, out_.link);
    if (rule.from.text.empty() || rule.to.text.empty()) return;
    out_.links.push_back(std::move(rule));
    places_.links.push_back(fields.values());
  });
}

void Reader::read_store(const JsonNode& node) {
  Fields fields(*this, node, "store");
  fields.distribution("latency", out_.store.latency);
  // One that cannot be read may be there: a failover is not refused for it.
  if (fields.has("replica") && !fields.boolean("replica", out_.store.has_replica)) out_.store.has_replica = true;
  fields.distribution("replication_lag", out_.store.replication_lag);
  fields.text("subscriber_buffer", out_.store.subscriber_buffer, read_size, "\"32MiB\"");
}

void Reader::read_workload(const JsonNode& node, std::size_t index) {
  Fields fields(*this, node, fmt::format("workload[{}]", index));
  Workload work;
  work.at = node.at;
  work.id = fmt::format("workload{}", index);
  fields.string("id", work.id);
  const bool has_op = fields.need("op") != nullptr && fields.choice("op", work.op, operation_names);
  if (fields.need("from") != nullptr) fields.selector("from", work.from);
  if (Selector to; fields.selector("to", to)) {
    if (work.op != Workload::Op::send) complain(fields.key_at("to"), "\"to\" is for send; a push goes to a room");
    // "any client" is everybody, which is what stands there without a `to`.
    if (to.text != "clients") work.to = std::move(to);
  }
  fields.text("rate", work.per_hour, read_rate, "\"200/s\"");
  fields.text("size", work.bytes, read_size, "\"200B\"");
  fields.count("rooms", work.rooms, 1, scenario_limits::rooms_max);
  fields.count("rooms_each", work.rooms_each, 1, 64);
  fields.boolean("word", work.wants_word);
  fields.boolean("echo", work.echo);
  fields.when("start", work.start);
  fields.when("stop", work.stop);
  if (work.bytes > 16 * 1024 * 1024)
    complain(fields.key_at("size"), "\"size\" must be at most 16MiB, the largest message of wsr");
  if (has_op) {
    const bool is_room = work.op == Workload::Op::join || work.op == Workload::Op::leave;
    const bool has_data = work.op == Workload::Op::send || work.op == Workload::Op::push;
    if (!is_room && !fields.has("rate")) {
      fields.miss(
          {"rate"},
          fmt::format("\"rate\" is missing in workload[{}]: only join and leave can be done once by each", index));
    }
    const auto refuse = [&](const char* key, bool is_meant) {
      if (!is_meant && fields.has(key))
        complain(fields.key_at(key), fmt::format("\"{}\" means nothing to {}", key, name_in(operation_names, work.op)));
    };
    refuse("size", has_data);
    refuse("rooms", is_room || work.op == Workload::Op::push);
    refuse("rooms_each", is_room);
    refuse("word", work.op != Workload::Op::churn);
    refuse("echo", work.op == Workload::Op::push);
    if (is_room && fields.has("rooms_each") && fields.has("rate"))
      complain(fields.key_at("rooms_each"), "\"rooms_each\" is for those who do it once, without \"rate\"");
  }
  out_.workload.push_back(std::move(work));
  places_.workload.push_back(fields.values());
}

void Reader::read_step(const JsonNode& node, std::size_t index) {
  const std::string where = fmt::format("timeline[{}]", index);
  Fields fields(*this, node, where);
  Step step;
  step.position = node.at;
  step.id = fmt::format("step{}", index);
  if (fields.string("id", step.id)) {
    if (!is_plain_name(step.id) || step.id == "end")
      complain(fields.key_at("id"),
               fmt::format("\"{}\" is no name for a step: a letter, then a-z, 0-9, - and _; not \"end\"", step.id));
  }
  const auto [first, is_new] = places_.steps.emplace(step.id, node.at);
  if (!is_new)
    complain(fields.key_at("id"),
             fmt::format("the step \"{}\" stands twice; first in line {}", step.id, first->second.line));
  fields.string("note", step.note);
  const bool has_at = fields.has("at"), has_on = fields.has("on");
  if (has_at == has_on) {
    if (has_at) {
      complain(node.at, where + " has both \"at\" and \"on\": one of them says when");
    } else {
      fields.miss({"at", "on"}, where + " does not say when: \"at\": \"30s\", or \"on\": \"owner.claimed\"");
    }
  }
  if (!fields.when("at", step.at) || has_on) places_.moments_unknown.insert(step.id);
  if (fields.string("on", step.on)) {
    const std::vector<std::string> known(probe_names.begin(), probe_names.end());
    if (std::find(known.begin(), known.end(), step.on) == known.end()) {
      const std::string near = nearest(step.on, known);
      complain(fields.find("on")->at,
               near.empty()
                   ? fmt::format("nothing is known as \"{}\"; a step can wait for: {}", step.on, fmt::join(known, ", "))
                   : fmt::format("nothing is known as \"{}\": did you mean \"{}\"?", step.on, near));
    }
  }
  if (fields.count("nth", step.nth, 1, 1'000'000'000) && !has_on)
    complain(fields.key_at("nth"), "\"nth\" counts for \"on\", which is not there");
  if (Nanos every = 0; fields.duration("every", every)) {
    if (every == 0) {
      complain(fields.key_at("every"), "\"every\" must be above 0s");
    } else {
      step.every = every;
    }
  }
  if (Nanos duration = 0; fields.duration("for", duration)) step.duration = duration;
  const bool has_action = fields.need("do") != nullptr && fields.choice("do", step.action, action_names);
  if (Selector target; fields.selector("target", target)) step.target = std::move(target);
  std::vector<Position> between_at;
  if (const JsonNode* between = fields.find("between", JsonNode::Kind::array)) {
    if (between->items.size() != 2) {
      complain(between->at, "\"between\" names two ends: [\"s1\", \"store\"]");
    } else {
      for (std::size_t i = 0; i < 2; ++i) {
        const JsonNode& end = *between->items[i];
        if (end.kind != JsonNode::Kind::string) {
          complain(end.at,
                   fmt::format("an end of \"between\" must be a selector in quotes, not {}", name_of(end.kind)));
          continue;
        }
        if (end.text.size() > text_max) {
          complain(end.at, fmt::format("an end of \"between\" has {} characters; at most {} are read", end.text.size(),
                                       text_max));
          continue;
        }
        between_at.push_back(end.at);
        auto read = read_selector(end.text);
        if (auto* error = std::get_if<TextError>(&read)) {
          complain(end.at, fmt::format("\"between\": {}", error->message));
        } else {
          (i == 0 ? step.between_a : step.between_b) = std::move(std::get<Selector>(read));
        }
      }
    }
  }
  fields.choice("direction", step.direction, direction_names);
  if (const JsonNode* link = fields.find("link")) {
    Fields inner(*this, *link, "link");
    step.link = read_link(inner, out_.link);
  }
  if (fields.has("by")) {
    const JsonNode* by = fields.find("by");
    if (by->kind == JsonNode::Kind::string) {
      const bool is_back = !by->text.empty() && by->text.front() == '-';
      auto read = read_duration(std::string_view(by->text).substr(is_back ? 1 : 0));
      if (auto* error = std::get_if<TextError>(&read)) {
        complain(by->at, fmt::format("\"by\": {}", error->message));
      } else {
        step.by = is_back ? -std::get<Nanos>(read) : std::get<Nanos>(read);
      }
    } else {
      complain(by->at, fmt::format("\"by\" must be a string, not {}: write \"2m\" or \"-2m\"", name_of(by->kind)));
    }
  }
  fields.text("read_rate", step.bytes_per_second, read_speed, "\"5KiB/s\"");
  fields.duration("counted_for", step.counted_for);
  fields.choice("code", step.code.emplace(), code_names);
  if (!fields.has("code")) step.code.reset();
  fields.text("room", step.room.emplace(), read_room, "\"room:3\"");
  if (!fields.has("room")) step.room.reset();
  fields.text("to", step.to.emplace(), read_client, "\"c3\"");
  if (!fields.has("to")) step.to.reset();

  // What each action takes.
  const ActionNeeds needs = needs_of(step.action);
  const auto require = [&](const char* key, bool is_there) {
    if (!is_there) fields.miss({key}, fmt::format("\"{}\" is missing: {} needs it", key, name_of_action(step.action)));
  };
  if (!has_action) step.target.reset();  // what it should select is not known
  if (has_action) {
    if (needs.target == Need::yes) require("target", fields.has("target"));
    if (needs.between == Need::yes) require("between", fields.has("between"));
    if (needs.link == Need::yes) require("link", fields.has("link"));
    if (needs.by == Need::yes) require("by", fields.has("by"));
    if (needs.room == Need::yes) require("room", fields.has("room"));
    if (needs.to == Need::yes) require("to", fields.has("to"));
    if (needs.code == Need::yes) require("code", fields.has("code"));
    using A = Step::Action;
    const bool is_lasting = step.action == A::pause || step.action == A::slow || step.action == A::partition ||
                            step.action == A::degrade || step.action == A::store_lose_replies ||
                            step.action == A::subscriber_lag;
    if (is_lasting && fields.has("every") && !fields.has("for"))
      complain(fields.key_at("every"), fmt::format("\"every\" needs \"for\" with {}: how long it lasts each time",
                                                   name_of_action(step.action)));
    if (step.every && step.duration && fields.has("for") && *step.every < *step.duration)
      complain(fields.key_at("every"),
               fmt::format("\"every\" {} is shorter than \"for\" {}: the next would begin before the last is over",
                           write_duration(*step.every), write_duration(*step.duration)));
    const auto refuse = [&](const char* key, Need need) {
      if (need != Need::no || !fields.has(key)) return false;
      complain(fields.key_at(key), fmt::format("\"{}\" means nothing to {}", key, name_of_action(step.action)));
      return true;
    };
    if (refuse("target", needs.target)) step.target.reset();
    if (refuse("between", needs.between)) step.between_a.reset();
    refuse("direction", step.action == Step::Action::partition ? Need::maybe : Need::no);
    refuse("for", has_span(step.action) ? Need::maybe : Need::no);
    refuse("link", needs.link);
    refuse("by", needs.by);
    refuse("room", needs.room);
    if (refuse("to", needs.to)) step.to.reset();
    refuse("counted_for", needs.counted_for);
    if (refuse("code", needs.code)) step.code.reset();
    if (step.action == A::subscriber_lag && step.by < 0)
      complain(fields.find("by")->at, "\"by\" must not be negative: nothing arrives before it is sent");
    if (step.action == A::subscriber_lag && step.by > lag_max)
      complain(fields.find("by")->at,
               fmt::format("\"by\" {} is more than {}: a subscriber that is silent for longer is "
                           "taken for lost, as with a partition",
                           write_duration(step.by), write_duration(lag_max)));
    if (step.action != Step::Action::slow && fields.has("read_rate"))
      complain(fields.key_at("read_rate"),
               fmt::format("\"read_rate\" means nothing to {}", name_of_action(step.action)));
  }
  out_.timeline.push_back(std::move(step));
  ScenarioPlaces::Values& values = places_.timeline.emplace_back(fields.values());
  for (std::size_t i = 0; i < between_at.size(); ++i) values.emplace(fmt::format("between[{}]", i), between_at[i]);
}

void Reader::read_expectation(const JsonNode& node, std::size_t index) {
  const std::string where = fmt::format("expect[{}]", index);
  Fields fields(*this, node, where);
  Expectation each;
  each.position = node.at;
  fields.string("name", each.name);
  std::size_t said = 0;
  bool is_read = false;
  for (const auto& [name, kind] : expectation_names) {
    const char* const key = name.data();  // a literal: it ends with a zero
    if (!fields.has(key)) continue;
    ++said;
    each.kind = kind;
    if (kind != Expectation::Kind::waive) {
      is_read = fields.text(key, each.expression, read_expression, "\"count(send.offline) == 0\"");
    } else if (fields.string(key, each.checker)) {
      is_read = true;
      std::vector<std::string> known;
      bool is_known = false;
      for (const CheckerName& checker : checker_names) {
        is_known = is_known || checker.name == each.checker || checker.contract == each.checker;
        known.emplace_back(checker.name);
      }
      if (!is_known) {
        const std::string near = nearest(each.checker, known);
        complain(fields.find(key)->at,
                 near.empty()
                     ? fmt::format("no checker is called \"{}\"; there are: {}", each.checker, fmt::join(known, ", "))
                     : fmt::format("no checker is called \"{}\": did you mean \"{}\"?", each.checker, near));
      }
    }
  }
  if (said != 1) {
    std::string message =
        fmt::format("{} must say exactly one of always, never, sometimes, eventually, check and waive", where);
    if (said == 0) {
      fields.miss({"always", "never", "sometimes", "eventually", "check", "waive"}, std::move(message));
    } else {
      complain(node.at, std::move(message));
    }
  }
  fields.when("from", each.from);
  fields.when("to", each.to);
  if (Nanos within = 0; fields.duration("within", within)) {
    each.within = within;
    if (said == 1 && each.kind != Expectation::Kind::eventually)
      complain(fields.key_at("within"), "\"within\" is for eventually; the others have \"from\" and \"to\"");
    if (within == 0) complain(fields.key_at("within"), "\"within\" must be above 0s");
  }
  if (each.kind == Expectation::Kind::eventually && said == 1 && !fields.has("within"))
    fields.miss({"within"}, fmt::format("\"within\" is missing in {}: eventually means nothing without it", where));
  if (fields.string("because", each.because) && said == 1 && each.kind != Expectation::Kind::waive)
    complain(fields.key_at("because"), "\"because\" is for waive");
  if (each.kind == Expectation::Kind::waive && said == 1 && each.because.size() < 10) {
    constexpr const char* message = "a waiver needs a reason of at least 10 characters: \"because\": \"...\"";
    const JsonNode* because = fields.find("because");
    if (because == nullptr) {
      fields.miss({"because"}, message);
    } else if (because->kind == JsonNode::Kind::string) {
      complain(because->at, message);
    }
  }
  if (!is_read || said != 1) return;
  out_.expect.push_back(std::move(each));
  places_.expect.push_back(fields.values());
}

void Reader::read_sweep(const JsonNode& node) {
  Fields fields(*this, node, "sweep");
  fields.count("seeds", out_.sweep.seeds, 1, 10'000'000);
  const JsonNode* vary = fields.find("vary", JsonNode::Kind::object);
  if (vary == nullptr) return;
  Fields inner(*this, *vary, "sweep.vary");
  places_.vary = inner.values();
  for (const JsonNode::Member& member : vary->members) {
    Distribution d;
    const auto dot = member.key.rfind('.');
    const std::string what = dot == std::string::npos ? std::string() : member.key.substr(dot + 1);
    if (what != "at" && what != "for") {
      static_cast<void>(inner.find(member.key));
      complain(member.at, fmt::format("\"{}\" cannot vary: write STEP.at or STEP.for", member.key));
      continue;
    }
    if (places_.has_all_steps && !places_.steps.contains(member.key.substr(0, dot))) {
      std::vector<std::string> known;
      for (const auto& [id, at] : places_.steps) known.push_back(id);
      const std::string near = nearest(member.key.substr(0, dot), known);
      complain(member.at, fmt::format("there is no step \"{}\"{}", member.key.substr(0, dot),
                                      near.empty() ? "" : ": did you mean \"" + near + "\"?"));
    }
    if (inner.distribution(member.key, d)) out_.sweep.vary.emplace(member.key, d);
  }
}

void Reader::read_budget(const JsonNode& node) {
  Fields fields(*this, node, "budget");
  fields.count("events", out_.budget.events, 1, std::uint64_t{1} << 40);
}

std::variant<Scenario, std::vector<Problem>> Reader::read(const JsonNode& root) {
  {
    Fields fields(*this, root, "the scenario");
    static_cast<void>(fields.find("$schema"));
    fields.count("version", out_.version, 1, 1);
    if (const JsonNode* name = fields.need("scenario"); name != nullptr && fields.string("scenario", out_.name)) {
      const bool is_name = out_.name.size() >= 2 && out_.name.size() <= 64 &&
                           std::all_of(out_.name.begin(), out_.name.end(), [](char c) {
                             return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
                           });
      if (!is_name)
        complain(name->at, fmt::format("\"{}\" is no name of a scenario: 2 to 64 of a-z, 0-9 and -", out_.name));
    }
    if (const JsonNode* summary = fields.need("summary");
        summary != nullptr && fields.string("summary", out_.summary) && out_.summary.size() < 10) {
      complain(summary->at, "\"summary\" says what the scenario demonstrates, in a sentence of at least 10 characters");
    }
    fields.count("seed", out_.seed, 0, seed_max);
    if (std::string mutant; fields.string("mutant", mutant)) {
      const auto known = mutant_of(mutant);
      std::vector<std::string> names;
      names.reserve(mutant_names.size());
      for (const MutantName& each : mutant_names) names.emplace_back(each.name);
      const std::string near = known ? std::string() : nearest(mutant, names);
      if (known) {
        out_.mutant = *known;
      } else {
        complain(fields.find("mutant")->at,
                 near.empty()
                     ? fmt::format("no known bug is called \"{}\"; there are: {}", mutant, fmt::join(names, ", "))
                     : fmt::format("no known bug is called \"{}\": did you mean \"{}\"?", mutant, near));
      }
    }
    if (const JsonNode* duration = fields.need("duration");
        duration != nullptr && fields.duration("duration", out_.duration) && out_.duration < 100 * millisecond) {
      complain(duration->at, "\"duration\" must be at least 100ms");
      out_.duration = 0;  // unknown: nothing is after an end that will be another
    }
    if (fields.duration("settle", out_.settle) && out_.settle < 10 * second) {
      complain(fields.find("settle")->at,
               "\"settle\" must be at least 10s: everything heals, comes right and is probed in it");
    }
    if (const JsonNode* cluster = fields.need("cluster")) read_cluster(*cluster);
    if (const JsonNode* network = fields.find("network")) read_network(*network);
    if (const JsonNode* store = fields.find("store")) read_store(*store);
    fields.each("workload", [&](const JsonNode& each, std::size_t i) { read_workload(each, i); });
    const JsonNode* timeline = fields.find("timeline", JsonNode::Kind::array);
    if (timeline != nullptr && timeline->items.size() > scenario_limits::steps_max) {
      complain(timeline->at,
               fmt::format("{} steps are more than {}", timeline->items.size(), scenario_limits::steps_max));
    } else {
      if (timeline != nullptr) {
        for (std::size_t i = 0; i < timeline->items.size(); ++i) read_step(*timeline->items[i], i);
      }
    }
    // The other keys are asked for below: asked for here, so that what is misspelt is known before a step is missed.
    for (const char* key : {"expect", "sweep", "budget"}) static_cast<void>(fields.find(key));
    places_.has_all_steps = fields.has("timeline")
                                ? !out_.timeline.empty() || (timeline != nullptr && timeline->items.empty())
                                : !fields.is_misspelt("timeline");
    if (const JsonNode* expect = fields.need("expect");
        expect != nullptr && expect->kind == JsonNode::Kind::array && expect->items.empty()) {
      complain(expect->at, "a scenario without an expectation shows nothing: say what must hold");
    }
    const std::size_t problems_before = problems_.size();
    fields.each("expect", [&](const JsonNode& each, std::size_t i) { read_expectation(each, i); });
    const bool has_only_waivers = !out_.expect.empty() && problems_.size() == problems_before &&
                                  std::all_of(out_.expect.begin(), out_.expect.end(), [](const Expectation& each) {
                                    return each.kind == Expectation::Kind::waive;
                                  });
    if (has_only_waivers) complain(fields.find("expect")->at, "waivers alone show nothing: say what must hold, too");
    if (const JsonNode* sweep = fields.find("sweep")) read_sweep(*sweep);
    if (const JsonNode* budget = fields.find("budget")) read_budget(*budget);
  }
  if (out_.duration > 0) {
    for (Problem& problem : check_whole(out_, places_)) complain(problem.at, std::move(problem.message));
  }
  if (problems_.empty()) return std::move(out_);
  std::stable_sort(problems_.begin(), problems_.end(), [](const Problem& a, const Problem& b) {
    return std::pair(a.at.line, a.at.column) < std::pair(b.at.line, b.at.column);
  });
  return std::move(problems_);
}

}  // namespace

std::variant<Scenario, std::vector<Problem>> read_scenario(std::string_view text, std::string_view file,
                                                           const ConfigCheck& check_config) {
  if (text.size() > scenario_limits::file_bytes_max) {
    return std::vector<Problem>{
        {{1, 1},
         fmt::format("the file has {} bytes; at most {} are read", text.size(), scenario_limits::file_bytes_max)}};
  }
  auto parsed = parse_json(text);
  if (auto* problem = std::get_if<JsonProblem>(&parsed))
    return std::vector<Problem>{{problem->at, std::move(problem->message)}};
  return Reader(file, check_config).read(*std::get<0>(parsed));
}

std::string format_problems(std::string_view text, std::string_view file, const std::vector<Problem>& problems) {
  std::string out;
  for (const Problem& problem : problems) {
    out += fmt::format("{}:{}:{}: error: {}\n", file, problem.at.line, problem.at.column, problem.message);
    std::string_view rest = text;
    for (std::uint32_t line = 1; line < problem.at.line && !rest.empty(); ++line) {
      const auto end = rest.find('\n');
      rest = end == std::string_view::npos ? std::string_view{} : rest.substr(end + 1);
    }
    std::string_view shown = rest.substr(0, rest.find('\n'));
    if (problem.at.line == 0 || shown.empty()) continue;
    // A long line is shown around its place.
    constexpr std::size_t width = 150;
    std::size_t column = problem.at.column == 0 ? 0 : problem.at.column - 1;
    std::size_t from = column > width - 20 ? column - (width - 60) : 0;
    while (from < shown.size() && from != 0 && (static_cast<unsigned char>(shown[from]) & 0xC0) == 0x80) ++from;
    std::string line(shown.substr(std::min(from, shown.size()), width));
    std::string mark;
    for (std::size_t i = 0; i < column - std::min(from, column) && i < line.size(); ++i) {
      const auto c = static_cast<unsigned char>(line[i]);
      if ((c & 0xC0) != 0x80) mark += c == '\t' ? '\t' : ' ';
    }
    for (char& c : line) {
      if (static_cast<unsigned char>(c) < 0x20 && c != '\t') c = ' ';
    }
    out += fmt::format("  {}\n  {}^\n", line, mark);
  }
  return out;
}

}  // namespace wsr::sim
