// What `--explain` prints: every value of a file, every default that it leaves, what the seed draws; in sentences.
#include <catch2/catch.hpp>
#include <string>
#include <variant>
#include <vector>

#include "sim/scenario_explain.hpp"
#include "sim/scenario_reader.hpp"

using namespace wsr::sim;

namespace {

Scenario parsed(const std::string& text) {
  auto read = read_scenario(text, "test");
  if (const auto* problems = std::get_if<std::vector<Problem>>(&read)) FAIL(format_problems(text, "test", *problems));
  return std::get<Scenario>(std::move(read));
}

/// A scenario of `count` clients with this timeline.
Scenario with_timeline(const std::string& steps) {
  return parsed(R"J({"scenario": "steps", "summary": "something to be shown", "duration": "60s",
    "cluster": {"servers": {"count": 5}, "clients": {"count": 20}}, "store": {"replica": true},
    "timeline": [)J" +
                steps + R"J(], "expect": [{"check": "count(deliver) > 0"}]})J");
}

void check_says(const std::string& text, const std::vector<std::string>& sentences) {
  INFO(text);
  for (const std::string& sentence : sentences) {
    INFO(sentence);
    CHECK(text.find(sentence) != std::string::npos);
  }
}

constexpr const char* smallest = R"J({"scenario": "small", "summary": "as little as there can be", "duration": "30s",
  "cluster": {"servers": {"count": 1}, "clients": {"count": 1}}, "expect": [{"check": "count(deliver) == 0"}]})J";

constexpr const char* everything = R"J({
  "version": 1, "scenario": "everything", "summary": "every key that there is", "seed": 7, "mutant": "unfenced-release",
  "duration": "61s", "settle": "22s",
  "cluster": {
    "servers": {"count": 4, "config": {"lease": "6s", "sessions": "multi"}},
    "clients": {"count": 23, "devices": 2, "attach": "least-connections", "arrive": "uniform(10ms,2s)",
                "reconnect": {"on": false, "sticky": true, "notice": "exp(3ms)", "delay": "lognormal(p50=20ms,p99=400ms)",
                              "delay_max": "31s"}},
    "groups": {"victims": "80% of clients on s2 at kill", "others": "clients except victims"}},
  "network": {
    "default": {"latency": "pareto(2ms,p99=90ms)", "loss": "1%", "duplicate": "0.5%", "reorder": "2%", "bandwidth": "10MiB/s"},
    "store": {"latency": "510us", "loss": "3%"},
    "links": [{"from": "s[1..2]", "to": "store", "latency": "8ms"}]},
  "store": {"latency": "51us", "replica": true, "replication_lag": "101ms", "subscriber_buffer": "33MiB"},
  "workload": [
    {"id": "talk", "op": "send", "from": "others", "to": "victims", "rate": "60/s", "size": "120B", "word": false, "start": "1s",
     "stop": "kill+5s"},
    {"id": "in", "op": "join", "from": "clients", "rooms": 9, "rooms_each": 3},
    {"id": "chat", "op": "push", "from": "c3", "rooms": 9, "rate": "30/m", "echo": false}],
  "timeline": [
    {"id": "kill", "at": "20s", "do": "kill", "target": "s2", "for": "25s", "note": "no goodbye"},
    {"id": "cut", "on": "owner.claimed", "nth": 12, "do": "partition", "between": ["s1", "store"], "direction": "b-to-a",
     "for": "3s", "every": "11s"},
    {"id": "worse", "at": "kill+2s", "do": "degrade", "between": ["clients", "s3"], "link": {"loss": "7%"}, "for": "4s"},
    {"id": "back", "at": "30s", "do": "clock-skew", "target": "s3", "by": "-2m"},
    {"id": "slow", "at": "31s", "do": "slow", "target": "c0", "read_rate": "5KiB/s"},
    {"id": "push", "at": "32s", "do": "push", "target": "c1", "room": "room:4"},
    {"id": "send", "at": "33s", "do": "send", "target": "c1", "to": "c5"}],
  "expect": [
    {"always": "connected(clients) <= 22", "name": "nobody too many", "from": "1s", "to": "kill"},
    {"never": "count(send.capacity) > 3"},
    {"sometimes": "count(owner.claimed) > 0", "from": "kill", "to": "kill+9s"},
    {"eventually": "rows(s2) == 0", "from": "kill+1s", "within": "8s"},
    {"check": "p99(deliver.latency) < 50ms", "from": "kill"},
    {"waive": "G8", "because": "the store forgets its rosters", "from": "cut"}],
  "sweep": {"seeds": 50, "vary": {"kill.at": "uniform(10s,30s)", "kill.for": "uniform(21s,26s)"}},
  "budget": {"events": "5M"}
})J";

}  // namespace

TEST_CASE("a file's every value is explained") {
  ServerConfig config;
  config.policy = wsr::SessionPolicy::multi;
  check_says(
      explain(parsed(everything), config),
      {"everything: every key that there is\n",
       "4 servers and 23 clients run for 61s",
       "and 22s later",
       "The seeds are 7 to 56",
       "Each seed draws kill.at: 10s to 30s (uniform). Seed 7 has ",
       "the 20s of the file",
       "Each seed draws kill.for: 21s to 26s (uniform). Seed 7 has ",
       "the 25s of the file",
       "more than 5000000 events",
       "unfenced-release: a release removes the client's row",
       "lease = 6s, sessions = multi",
       "may have 8 connections at a time",
       "Each client has 2 devices",
       "the fewest connections",
       "Each arrives after 10ms to 2s (uniform)",
       "after 3ms on average (exponential)",
       "stays away until everything heals",
       "after 20ms in the median and 400ms at the 99th percentile (lognormal)",
       "up to 31s",
       "goes back to the server that it was on",
       "\"victims\" is: 80% of the clients that are on s2 at \"kill\"",
       "\"others\" is: all clients except the members of \"victims\"",
       "at least 2ms and 90ms at the 99th percentile (pareto); 1% are lost, 0.5% are doubled and 2% are overtaken",
       "10MiB/s",
       "a segment takes 510us; 3% are lost, none are doubled and none are overtaken",
       "But between s1 to s2 and the store a segment takes 8ms",
       "A call takes 51us",
       "each change after 101ms",
       "more than 33MiB",
       "talk: From 1s to 5s after \"kill\", one of the members of \"others\" sends 120B to one of the members of",
       "60/s in all, and asks for no answer",
       "in: From the start to the end, each client, once, joins 3 of the 9 rooms room:0 to room:8",
       "c3 pushes 64B into one of the 9 rooms room:0 to room:8",
       "does not hear it itself",
       "30/m in all",
       "s2 is killed, without a goodbye, and started again after 2",
       "(no goodbye)",
       "cut: At the 12th owner.claimed (the store took a claim), for 3s nothing gets through from the store to s1",
       "again every 11s until the end",
       "worse: At 2s after \"kill\", for 4s, between all clients and s3, a segment takes",
       "7% are lost",
       "the wall clock of s3 falls back by 2m",
       "c0 reads 5KiB/s only, until everything heals",
       "c1 pushes 16B into room:4",
       "c1 sends 16B to c5",
       "nobody too many: Always, from 1s to \"kill\": connected(clients) <= 22.",
       "Never, from the start to the end: count(send.capacity) > 3.",
       "At least once, from \"kill\" to 9s after \"kill\": count(owner.claimed) > 0.",
       "Within 8s, counted from 1s after \"kill\", and still at the end of these 8s: rows(s2) == 0.",
       "At the end, with all counted from \"kill\" on: p99(deliver.latency) < 50ms.",
       "What G8 finds from \"cut\" on is waived",
       "the store forgets its rosters."});
}

TEST_CASE("the smallest file is explained with every default") {
  check_says(
      explain(parsed(smallest)),
      {"1 server and 1 client run for 30s",
       "and 20s later",
       "The seed is 1",
       "no bound",
       "the defaults of wsr serve",
       "its lease of 6s",
       "every 500ms",
       "after 25s, and gives it up after 10s",
       "waits up to 5s",
       "sessions = single",
       "until they are released or swept",
       "any number of owner rows and any number of memberships",
       "at most 64KiB",
       "At most 4MiB",
       "1GiB",
       "slow-consumer = drop",
       "at most 1000 rooms",
       "more than 200 clients",
       "out of its rooms at once",
       "send and push at any rate",
       "takes pushes at any rate",
       "one device",
       "after 0s to 1s (uniform)",
       "at random",
       "half open, at once",
       "after 100ms to 1s (uniform)",
       "up to 30s",
       "goes where the load balancer sends it",
       "Between clients and servers a segment takes 1ms; none is lost, doubled or overtaken; the bandwidth is not",
       "Between servers and the store a segment takes 500us; none",
       "A call takes 50us",
       "no replica",
       "32MiB",
       "Workload\n  There is none.",
       "Timeline\n  Nothing happens",
       "comes-right (G12)",
       "At the end, with all counted from the start on: count(deliver) == 0."});
}

TEST_CASE("what the servers run with is explained, whoever set it") {
  ServerConfig config;
  config.lease = std::chrono::seconds{9};
  config.ping_every = std::chrono::hours{24};
  config.owners_max = 40;
  config.memberships_max = 1;
  config.limits.owner_ttl = std::chrono::seconds{12};
  config.limits.slow_policy = wsr::SlowPolicy::keep_latest;
  config.limits.reconnect_grace = std::chrono::seconds{2};
  config.limits.client_rate = {.count = 20, .window = std::chrono::seconds{1}, .burst = 5};
  config.limits.room_rate = {.count = 30, .window = std::chrono::minutes{1}, .burst = 0};
  config.limits.over_rate = wsr::Limits::OverRate::close;
  check_says(explain(parsed(smallest), config),
             {"its lease of 9s", "It sends no pings.", "The store takes 40 owner rows and 1 membership.",
              "leave the store 12s after", "only the latest is kept", "keeps its rooms for 2s",
              "The sends and pushes of one client are at most 20 in 1s, with a burst of 5.",
              "The pushes into one room are at most 30 in 1m, with a burst of 30.", "closed with 4029"});
}

TEST_CASE("each seed is explained with what it draws") {
  const Scenario given = parsed(everything);
  const std::string own = explain(given), third = explain(given, {}, 3);
  check_says(own, {"Seed 7 has "});
  check_says(third, {"Seed 3 has "});
  CHECK(own.substr(own.find("\nTimeline")) != third.substr(third.find("\nTimeline")));
}

TEST_CASE("every step is a sentence that says what is done, to whom and for how long") {
  struct Said {
    const char* step;
    const char* says;
  };
  for (
      const auto& [step, says] : std::vector<Said>{
          {R"J("do": "kill", "target": "servers")J",
           "all servers are killed, without a goodbye, until a step or the end starts what was killed."},
          {R"J("do": "stop", "target": "s1", "for": "3s")J", "s1 stops in good order, to start again after 3s."},
          {R"J("do": "stop", "target": "s[1..2]")J", "s1 to s2 stop in good order, until a step or the end starts"},
          {R"J("do": "start", "target": "s1")J", "s1 starts unless already running."},
          {R"J("do": "restart", "target": "s1")J", "s1 stops in good order, to start again after 10s."},
          {R"J("do": "pause", "target": "owner of c7", "for": "4s")J",
           "the server of c7 is paused for 4s: nothing runs there."},
          {R"J("do": "resume", "target": "s1")J", "s1 goes on after a pause."},
          {R"J("do": "drop", "target": "20% of clients")J",
           "the connections of 20% of all clients break, and both ends know."},
          {R"J("do": "half-open", "target": "1 of clients")J",
           "the connections of 1 of all clients break, and neither end knows; each server finds out when a ping"},
          {R"J("do": "half-open", "target": "c1", "for": "8s")J",
           "the connections of c1 break, and neither end knows; the servers find out after at most 8s."},
          {R"J("do": "slow", "target": "c1", "for": "8s")J", "c1 does not read any more, for 8s."},
          {R"J("do": "connect", "target": "c[1..2]")J", "c1 to c2 connect unless already connected."},
          {R"J("do": "partition", "between": ["clients", "s1"])J",
           "until everything heals nothing gets through between all clients and s1, in both directions."},
          {R"J("do": "partition", "between": ["s1", "store"], "direction": "a-to-b")J",
           "until everything heals nothing gets through from s1 to the store; the other direction works."},
          {R"J("do": "partition", "between": ["s1", "store"], "every": "9s", "for": "2s")J",
           "; again every 9s until the end."},
          {R"J("do": "store-flush", "for": "2s")J",
           "the store forgets everything; connections and subscriptions stay; for the checkers it lasts 2s."},
          {R"J("do": "heal")J",
           "what the steps before have done is undone, but for a stall of the store and the rest of a swizzle."},
          {R"J("do": "clock-skew", "target": "s1", "by": "90s")J", "the monotonic clock of s1 jumps ahead by 90s."},
          {R"J("do": "store-stall")J", "the store answers nobody for 1s."},
          {R"J("do": "store-restart", "for": "2s")J", "the store goes down, forgets everything, and is back after 2s."},
          {R"J("do": "store-flush")J", "the store forgets everything; connections and subscriptions stay."},
          {R"J("do": "store-failover")J", "the store's replica takes over, without what it has not got yet."},
          {R"J("do": "store-lose-replies")J",
           "the store's replies to all servers are lost, and the connections with them, for 1s."},
          {R"J("do": "drop-subscription", "target": "s1")J", "the store forgets the subscriptions of s1, without"},
          {R"J("do": "vanish", "target": "s1")J",
           "s1 vanishes with all power gone: no connection is ended, and the store counts its subscriber for 5m; gone "
           "until a step or the end starts what vanished."},
          {R"J("do": "vanish", "target": "servers", "counted_for": "20s", "for": "9s")J",
           "all servers vanish with all power gone: no connection is ended, and the store counts their subscribers for "
           "20s; started again after 9s."},
          {R"J("do": "store-refuse", "code": "MISCONF")J",
           "the store refuses with MISCONF for 1s: it cannot write to its disk; reads and the bus work."},
          {R"J("do": "store-refuse", "code": "OOM", "for": "4s")J",
           "the store refuses with OOM for 4s: it is full; what needs no new memory works, renewals among it."},
          {R"J("do": "store-refuse", "code": "READONLY")J", "the store refuses with READONLY for 1s: it is a replica;"},
          {R"J("do": "store-refuse", "code": "LOADING")J", "the store refuses with LOADING for 1s: it is reading its"},
          {R"J("do": "refuse-subscribe", "target": "s2", "for": "3s")J",
           "the store refuses s2 each new subscription for 3s."},
          {R"J("do": "subscriber-lag", "by": "800ms")J",
           "what the store sends to the subscribers of all servers comes 800ms later, until everything heals."},
          {R"J("do": "join", "target": "clients", "room": "room:3")J", "all clients join room:3."},
          {R"J("do": "leave", "target": "c2", "room": "room:3")J", "c2 leaves room:3."},
          {R"J("do": "swizzle")J", "half of all servers are cut off from the store one by one, and come back in"},
          {R"J("do": "mark")J", "nothing happens; it is a name for the moment."}}) {
    check_says(explain(with_timeline(std::string(R"J({"id": "it", "at": "5s", )J") + step + "}")),
               {std::string(says).front() == ';' ? says : std::string("it: At 5s, ") + says});
  }
  for (const auto& [nth, word] : std::vector<std::pair<int, std::string>>{
           {1, "1st"}, {2, "2nd"}, {3, "3rd"}, {4, "4th"}, {11, "11th"}, {112, "112th"}, {121, "121st"}}) {
    const std::string step = R"J({"id": "it", "on": "deliver", "do": "mark", "nth": )J" + std::to_string(nth) + "}";
    check_says(explain(with_timeline(step)), {"it: At the " + word + " deliver (a message has reached its client), "});
  }
}
