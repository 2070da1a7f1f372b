// Scenario: what a scenario file says, read, checked and with every default filled in. Plain data.
//
//   file ─▶ read_scenario() ─▶ Scenario, or every problem found in it, each with its line and column
//
// The file format is described in scenarios/README.md. Times are virtual, in nanoseconds from the start of the run.
// Servers are s1, s2, ...; clients are c0, c1, ...
//
// Thread-safety: plain data. Errors: none here; reading is in scenario_reader.hpp.
// Bounds:        those of scenario_limits.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "sim/mutants.hpp"

namespace wsr::sim {

using Nanos = std::int64_t;
inline constexpr Nanos microsecond = 1'000, millisecond = 1'000'000, second = 1'000'000'000;

namespace scenario_limits {
inline constexpr std::uint32_t servers_max = 10'000;
inline constexpr std::uint32_t clients_max = 4'000'000;
inline constexpr std::uint32_t rooms_max = 1'000'000;
inline constexpr Nanos duration_max = 24 * 3'600 * second;  // of virtual time
inline constexpr std::size_t steps_max = 10'000;
inline constexpr std::size_t file_bytes_max = 4 * 1024 * 1024;
}  // namespace scenario_limits

struct Position {  // 1-based; 0: nowhere
  std::uint32_t line = 0;
  std::uint32_t column = 0;
  bool operator==(const Position&) const = default;
};

/// A quantity that is drawn. In a file: "5ms", "uniform(1ms,5ms)", "exp(2ms)", "lognormal(p50=2ms,p99=40ms)",
/// "pareto(1ms,p99=100ms)".
struct Distribution {
  enum class Kind : std::uint8_t { constant, uniform, exponential, lognormal, pareto } kind = Kind::constant;
  Nanos a = 0;  // constant: the value; uniform: from; exponential: mean; lognormal: p50; pareto: least
  Nanos b = 0;  // uniform: to; lognormal, pareto: p99
};

/// A moment. In a file: "30s", "kill", "kill+21s", "end".
struct When {
  std::string step;  // id of a step, or empty: the start
  bool is_end = false;
  Nanos offset = 0;
};

/// A set of servers or clients. In a file:
///   "clients", "servers", "store", "s2", "s[1..3]", "c7", "c[0..9]", "80% of clients", "20 of clients",
///   "clients on s2", "clients on s2 at kill", "owner of c7", "GROUP", "A except B"
struct Selector {
  enum class Kind : std::uint8_t {
    clients,
    servers,
    store,
    range_servers,
    range_clients,
    part,
    on,
    owner,
    group,
    except
  };
  Kind kind = Kind::clients;
  std::uint32_t from = 0, to = 0;    // ranges, inclusive: servers from 1, clients from 0; owner: from
  std::uint32_t percent_millis = 0;  // part: thousandths of a percent; 0: `count` of them
  std::uint32_t count = 0;           // part
  std::string name;                  // group; on: the step of "at STEP", empty: now
  std::vector<Selector> parts;       // part, on (servers): one; except: two
  std::string text;                  // as written
};

/// What an expectation says. In a file: "count(send.offline) == 0 && p99(deliver.latency) < 50ms".
struct Expression {
  struct Term {
    enum class Kind : std::uint8_t { number, function } kind = Kind::number;
    enum class Unit : std::uint8_t { plain, time, size, per_second } unit = Unit::plain;
    double number = 0;              // durations in nanoseconds, sizes in bytes
    std::string function;           // one of function_names
    std::string argument;           // a metric (send.delivered), a figure of wsr's own stats (slow_dropped), or a room
    std::optional<Selector> among;  // `by SELECTOR`: only of those; or the selector that the function counts
  };
  enum class Op : std::uint8_t { equal, not_equal, less, less_equal, greater, greater_equal };
  struct Comparison {
    Term left;
    Op op = Op::equal;
    Term right;
  };
  std::vector<Comparison> all;  // joined by &&
  std::string text;             // as written
};

struct ConfigEntry {  // a key of `wsr serve`, as in its config file
  std::string key;
  std::string value;
  Position at;
};

struct LinkSpec {
  Distribution latency{Distribution::Kind::constant, millisecond, 0};
  std::uint32_t loss_ppm = 0;          // segments lost, and sent again after a timeout
  std::uint32_t duplicate_ppm = 0;     // segments that arrive twice
  std::uint32_t reorder_ppm = 0;       // segments that are overtaken
  std::uint64_t bytes_per_second = 0;  // 0: no limit
};
struct LinkRule {  // later rules win
  Selector from, to;
  LinkSpec link;
};

struct ReconnectSpec {
  bool is_on = true;
  bool is_sticky = false;                                    // back to the server it was on
  Distribution notice{Distribution::Kind::constant, 0, 0};   // until it notices a dead connection
  Distribution give_up{Distribution::Kind::constant, 0, 0};  // how long an attempt waits for its welcome; 0: for ever
  Distribution delay{Distribution::Kind::uniform, 100 * millisecond, second};  // first try; doubles with each failure
  Nanos delay_max = 30 * second;
};

enum class Balancing : std::uint8_t { random, round_robin, least_connections, sticky, hash };

struct StoreSpec {
  Distribution latency{Distribution::Kind::constant, 50 * microsecond, 0};  // of one call inside the store
  bool has_replica = false;
  Distribution replication_lag{Distribution::Kind::constant, 100 * millisecond, 0};
  std::uint64_t subscriber_buffer = 32 * 1024 * 1024;  // bytes; above: the store drops the subscriber, as Redis does
};

struct Workload {
  enum class Op : std::uint8_t { send, join, leave, push, churn };
  std::string id;
  Op op = Op::send;
  Selector from;                 // who does it
  std::optional<Selector> to;    // send: whom; none: any client
  std::uint64_t per_hour = 0;    // operations an hour, over all of `from`; 0: once, each of `from`
  std::uint32_t bytes = 64;      // of data
  std::uint32_t rooms = 1;       // how many rooms there are for join, leave, push
  std::uint32_t rooms_each = 1;  // join once: how many of them each takes
  bool wants_word = true;        // send, push: with an id, so that the server answers
  bool echo = true;              // push
  When start;
  When stop{.step = {}, .is_end = true, .offset = 0};
  Position at;
};

struct Step {
  enum class Action : std::uint8_t {
    kill,
    vanish,
    stop,
    start,
    restart,
    pause,
    resume,  // servers
    drop,
    half_open,
    slow,
    connect,  // clients
    partition,
    degrade,
    heal,        // links: `between`, `direction`, `link`
    clock_skew,  // servers: `by`
    store_stall,
    store_restart,
    store_flush,
    store_failover,
    store_lose_replies,
    store_refuse,       // the store; `code`
    drop_subscription,  // servers: the store forgets their subscriptions, unsaid
    refuse_subscribe,   // servers: what they ask to subscribe is refused
    subscriber_lag,     // servers: what the store sends to their subscribers comes later; `by`
    send,
    join,
    leave,
    push,     // one client does one thing
    swizzle,  // half of `target` cut off one by one, healed in another order
    mark      // nothing: a name for a moment
  };
  enum class Direction : std::uint8_t { both, a_to_b, b_to_a };
  enum class Code : std::uint8_t { misconf, readonly, loading, oom };
  std::string id;  // generated if not given: "step3"
  std::string note;
  Action action = Action::mark;
  When at;         // or:
  std::string on;  // a probe: owner.claimed, room.joined, message.published, ...
  std::uint64_t nth = 1;
  std::optional<Nanos> every;     // repeated
  std::optional<Nanos> duration;  // "for": then it is undone
  std::optional<Selector> target;
  std::optional<Selector> between_a, between_b;
  Direction direction = Direction::both;
  std::optional<LinkSpec> link;
  Nanos by = 0;                        // clock_skew, subscriber_lag
  Nanos counted_for = 300 * second;    // vanish: as Redis' tcp-keepalive
  std::optional<Code> code;            // store_refuse: what it refuses with
  std::uint64_t bytes_per_second = 0;  // slow: how fast it reads; 0: not at all
  std::optional<std::uint32_t> room;   // join, leave, push: its number
  std::optional<std::uint32_t> to;     // send: a client's number
  Position position;
};

struct Expectation {
  enum class Kind : std::uint8_t {
    always,      // at every look
    never,       // at no look
    sometimes,   // at one look at least; a look that never comes true fails as vacuous
    eventually,  // from some look within `within` of `from` on... at that look
    check,       // at the end of its window
    waive        // a checker's finding is no failure here
  } kind = Kind::check;
  std::string name;
  Expression expression;  // not for waive
  std::string checker;    // waive: G1, G6, ... or a checker's name
  std::string because;    // waive
  When from;
  When to{.step = {}, .is_end = true, .offset = 0};
  std::optional<Nanos> within;
  Position position;
};

struct Sweep {
  std::uint32_t seeds = 1;
  std::map<std::string, Distribution> vary;  // "kill.at", "kill.for": drawn per seed instead of what is written
};

struct Budget {
  std::uint64_t events = 0;  // 0: none
};

/// 2^40 - 1: a number that every reader of JSON keeps. Of files and of the command line: a saved scenario has its seed.
inline constexpr std::uint64_t seed_max = (std::uint64_t{1} << 40) - 1;

struct Scenario {
  std::string file;  // as given
  std::uint32_t version = 1;
  std::string name;
  std::string summary;  // what it demonstrates
  std::uint64_t seed = 1;
  Mutant mutant = Mutant::none;  // a known bug that is switched on in every run of it
  Nanos duration = 0;
  Nanos settle = 20 * second;  // afterwards: all faults healed, and everything must come right

  std::uint32_t servers = 1;
  std::vector<ConfigEntry> config;
  std::uint32_t clients = 1;
  std::uint32_t devices = 1;  // connections of each client (sessions = multi)
  Balancing balancing = Balancing::random;
  Distribution arrive{Distribution::Kind::uniform, 0, second};
  ReconnectSpec reconnect;
  std::map<std::string, Selector> groups;

  LinkSpec link;                                                                         // between clients and servers
  LinkSpec store_link{.latency = {Distribution::Kind::constant, 500 * microsecond, 0}};  // between servers and store
  std::vector<LinkRule> links;                                                           // what differs
  StoreSpec store;

  std::vector<Workload> workload;
  std::vector<Step> timeline;
  std::vector<Expectation> expect;
  Sweep sweep;
  Budget budget;
};

}  // namespace wsr::sim
