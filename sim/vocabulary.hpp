// Vocabulary: the names that scenario files use for what happens, and the simulator counts.
//
// One list each, so that the reader, the metrics, the docs and the error messages cannot differ.
//
// Thread-safety: constants.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace wsr::sim {

/// What is counted, with what a value of it means.
enum class Metric : std::uint8_t {
  connect_attempt,
  connect_open,
  connect_refused,
  close_any,
  close_1000,
  close_1001,
  close_1008,
  close_1009,
  close_1012,
  close_1013,
  close_4009,
  close_4013,
  close_4029,
  close_1006,
  owner_claimed,
  owner_superseded,
  owner_released,
  release_fenced,
  owner_swept,
  owner_displaced,
  owner_refused,
  send_attempt,
  send_delivered,
  send_queued,
  send_offline,
  send_unknown,
  send_slow_consumer,
  send_rate_limited,
  send_capacity,
  send_refused,
  deliver,
  deliver_latency,
  deliver_double,
  deliver_foreign,
  deliver_lost,
  join_attempt,
  join_ok,
  join_refused,
  leave_attempt,
  leave_ok,
  leave_refused,
  push_attempt,
  push_ok,
  push_refused,
  push_rate_limited,
  room_message,
  room_latency,
  room_missed,
  presence_join,
  presence_leave,
  presence_count,
  reader_told,
  queue_bytes,
  message_published,
  room_joined,
  room_left,
  store_call,
  store_reply_lost,
  store_failover,
  store_forgotten,
  store_refused,
  server_ready,
  server_unready,
  server_deaf,
  server_reasserted,
  server_lease_lost,
  count_
};

struct MetricName {
  std::string_view name;
  std::string_view family;  // what must have happened for a statement about it to mean anything; see `vacuous`
  std::string_view says;
};
inline constexpr std::array<MetricName, static_cast<std::size_t>(Metric::count_)> metric_names{{
    {"connect.attempt", "connect.attempt", "a client tries to connect"},
    {"connect.open", "connect.attempt", "a client has its welcome"},
    {"connect.refused", "connect.attempt", "no server took the connection"},
    {"close.any", "connect.open", "a connection has ended at its client, whatever the code"},
    {"close.1000", "connect.open", "closed by the client"},
    {"close.1001", "connect.open", "the server stops"},
    {"close.1008", "connect.open", "a rule was broken"},
    {"close.1009", "connect.open", "a message was too big"},
    {"close.1012", "connect.open", "the server restarts"},
    {"close.1013", "connect.open", "too slow a reader"},
    {"close.4009", "connect.open", "replaced by a newer connection"},
    {"close.4013", "connect.attempt", "the owner table is full"},
    {"close.4029", "connect.open", "over its rate"},
    {"close.1006", "connect.open", "the connection broke without a close frame"},
    {"owner.claimed", "connect.attempt", "the store took a claim"},
    {"owner.superseded", "connect.attempt", "the store refused a claim older than the row"},
    {"owner.released", "connect.open", "the store removed a row because its connection ended"},
    {"release.fenced", "connect.open", "a release found a newer claim and changed nothing"},
    {"owner.swept", "connect.open", "rows of a dead server were removed (value: how many)"},
    {"owner.displaced", "connect.open", "a claim displaced an older connection"},
    {"owner.refused", "connect.attempt", "the store had no room for a claim"},
    {"send.attempt", "send.attempt", "a client sends to a client"},
    {"send.delivered", "send.attempt", "the word delivered came back"},
    {"send.queued", "send.attempt", "the word queued came back"},
    {"send.offline", "send.attempt", "the word offline came back"},
    {"send.unknown", "send.attempt", "the word unknown came back, or none because the sender's connection ended"},
    {"send.slow_consumer", "send.attempt", "dropped: the reader is too slow"},
    {"send.rate_limited", "send.attempt", "dropped: over a rate"},
    {"send.capacity", "send.attempt", "dropped: a bound was reached"},
    {"send.refused", "send.attempt", "any other error came back"},
    {"deliver", "send.attempt", "a message has reached its client"},
    {"deliver.latency", "deliver", "value: from send to arrival, in time"},
    {"deliver.double", "deliver", "a message came a second time"},
    {"deliver.foreign", "deliver", "a message came to somebody else"},
    {"deliver.lost", "send.attempt", "the word was delivered, and it never came though its client lived on"},
    {"join.attempt", "join.attempt", "a client asks to join"},
    {"join.ok", "join.attempt", "it is in"},
    {"join.refused", "join.attempt", "an error came back"},
    {"leave.attempt", "leave.attempt", "a client asks to leave"},
    {"leave.ok", "leave.attempt", "it is out"},
    {"leave.refused", "leave.attempt", "an error came back"},
    {"push.attempt", "push.attempt", "a client pushes into a room"},
    {"push.ok", "push.attempt", "the answer came back"},
    {"push.refused", "push.attempt", "an error came back"},
    {"push.rate_limited", "push.attempt", "over a rate"},
    {"room.message", "push.attempt", "a room's message has reached a member"},
    {"room.latency", "room.message", "value: from push to arrival, in time"},
    {"room.missed", "push.attempt", "a member that was there all the time has not got a message"},
    {"presence.join", "join.attempt", "a member heard that somebody came"},
    {"presence.leave", "join.attempt", "a member heard that somebody left"},
    {"presence.count", "join.attempt", "a member heard a count"},
    {"reader.told", "connect.open", "a slow reader was told what it missed (value: how many)"},
    {"queue.bytes", "connect.open", "value: bytes that wait for one connection, at each look"},
    {"message.published", "connect.open", "a batch or room message went over the bus"},
    {"room.joined", "join.attempt", "a roster took a client in"},
    {"room.left", "connect.open", "a roster let a client go"},
    {"store.call", "store.call", "the store carried a call out"},
    {"store.reply_lost", "store.call", "it was carried out, and its reply was lost"},
    {"store.failover", "store.call", "a replica took over"},
    {"store.forgotten", "store.call", "the store lost what it knew"},
    {"store.refused", "store.call", "the store refused a call with a code, or a subscription"},
    {"server.ready", "connect.attempt", "a server's readiness turned green"},
    {"server.unready", "connect.attempt", "a server's readiness turned red"},
    {"server.deaf", "connect.attempt", "a server found that its inbox is silent"},
    {"server.reasserted", "connect.attempt", "a server claimed all its connections again"},
    {"server.lease_lost", "connect.attempt", "a server found its lease gone"},
}};

[[nodiscard]] constexpr std::optional<Metric> metric_of(std::string_view name) {
  for (std::size_t i = 0; i < metric_names.size(); ++i) {
    if (metric_names[i].name == name) return static_cast<Metric>(i);
  }
  return std::nullopt;
}

/// What a step's `on` may wait for: the metrics that are moments inside the system.
inline constexpr std::array<std::string_view, 15> probe_names{
    "connect.open", "owner.claimed", "owner.released", "release.fenced",    "owner.displaced",
    "owner.swept",  "room.joined",   "room.left",      "message.published", "deliver",
    "room.message", "close.any",     "server.unready", "server.deaf",       "store.reply_lost"};

struct CheckerName {
  std::string_view name;
  std::string_view contract;  // the line of the contract that it guards
  std::string_view says;
};
inline constexpr std::array<CheckerName, 29> checker_names{{
    {"nobody-elses-mail", "G1", "a message reaches no connection but its client's"},
    {"fenced-release", "G2", "no release, sweep or drop removes a newer claim"},
    {"fenced-claim", "G2", "no late claim replaces a newer row"},
    {"single-owner", "G2", "the connection that a newer claim has displaced is closed"},
    {"takeover", "G2", "who has read its welcome gets nothing that is sent later on an older connection"},
    {"reachability", "G3", "who has a row at a live server is reached, whatever becomes of other servers"},
    {"follows-the-client", "G3", "a client that is connected and settled is never offline"},
    {"stale-rows", "G4", "what a dead server left is gone after its lease and a sweep"},
    {"clean-zero", "G4", "once all clients have gone nothing of them is left anywhere"},
    {"no-false-reap", "G4", "a server that lives and reaches the store is not swept"},
    {"words-add-up", "G5", "each server's words and what is in flight add up to what was sent"},
    {"honest-stats", "G5", "each server's figures are what went in and out of it"},
    {"one-answer", "G5", "each command with an id gets one answer, unless its connection ends"},
    {"honest-word", "G5", "what was said not to be delivered does not arrive"},
    {"finality", "G5", "after its word a message is not delivered, and servers count the words that were told"},
    {"at-most-once", "G6", "no message comes twice"},
    {"no-loss", "G6", "what was said to be delivered arrives"},
    {"sender-order", "G7", "one sender's messages arrive in the order sent"},
    {"room-order", "G7", "all members of a room hear one order"},
    {"presence", "G8", "one join and one leave a stay, and rosters equal the truth"},
    {"nobody-deaf", "G8", "who is in a room hears it"},
    {"bounded-queue", "G9", "no outbox grows beyond its bound"},
    {"bounded-work", "G9", "one event costs a server a bounded number of calls, however many clients it has"},
    {"herd", "G9", "what a store has forgotten is claimed again at a pace that does not flood it"},
    {"isolation", "G9", "slow readers make nobody else wait"},
    {"no-silence", "G10", "a refused client or command is told why"},
    {"close-codes", "G10", "a connection is closed once, with a code that has a cause, and hears nothing after it"},
    {"hears-itself", "G11", "a deaf server finds out and listens again"},
    {"comes-right", "G12", "after the faults every client is where the store says, and hears"},
}};

/// Checkers that judge nothing before the end, when all has healed; the others judge all the time.
[[nodiscard]] constexpr bool is_judged_at_end(std::string_view checker) {
  return checker == "comes-right" || checker == "words-add-up" || checker == "honest-stats" ||
         checker == "clean-zero" || checker == "isolation";
}

inline constexpr std::array<std::string_view, 17> function_names{
    "count", "sum",  "rate", "min",    "max",     "mean",      "p50",   "p90", "p99",
    "p999",  "stat", "rows", "stored", "members", "connected", "ready", "size"};

}  // namespace wsr::sim
