// The scenario reader: every kind of broken file gets a sentence at its very place; good files mean what they say.
#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "sim/scenario_reader.hpp"
#include "sim/scenario_text.hpp"

using namespace wsr::sim;

namespace {

struct Broken {
  std::string what;
  std::string text;  // the sign \u00a7 stands where the error must be found
  std::string says;
};

// clang-format off
const std::vector<Broken>& broken_files() {
  static const std::vector<Broken> files{
    {"syntax: trailing comma", R"J({"scenario": "x"§,})J", R"J(take it out)J"},
    {"syntax: comma missing", R"J({"scenario": "ab" §"seed": 1})J", R"J(a comma or })J"},
    {"syntax: no colon", R"J({"scenario" §1})J", R"J(a colon must follow)J"},
    {"syntax: key without quotes", R"J({§scenario: 1})J", R"J(a key in double quotes)J"},
    {"syntax: single quotes", R"J({"scenario": §'x'})J", R"J(double quotes)J"},
    {"syntax: string without end", R"J({"scenario": §"x)J", R"J(no closing quote)J"},
    {"syntax: bad escape", R"J({"scenario": "a§\qb"})J", R"J(is no escape)J"},
    {"step every too often", R"J({"scenario": "abc",
 "summary": "something to be shown",
 "duration": "60s",
 "cluster": {"servers": {"count": 5}, "clients": {"count": 20}},
 "expect": [{"check": "count(deliver) > 0"}]
 , "timeline": [{"at": "1s", "every": §"1us", "do": "mark"}]})J", R"J(60000000 times; at most 1000000)J"},
    {"workloads too many together", R"J({"scenario": "abc",
 "summary": "something to be shown",
 "duration": "60s",
 "cluster": {"servers": {"count": 5}, "clients": {"count": 20}},
 "expect": [{"check": "count(deliver) > 0"}]
 , "workload": [{"op": "send", "from": "clients", "rate": "800k/s"}, {"op": "send", "from": "clients", "rate": §"400k/s"}]})J", R"J(are 72000000 operations)J"},
    {"group named as a client", R"J({"scenario": "abc",
 "summary": "something to be shown",
 "duration": "60s",
 "cluster": {"servers": {"count": 5}, "clients": {"count": 20}, "groups": {§"c7": "clients"}},
 "expect": [{"check": "count(deliver) > 0"}]})J", R"J(another name)J"},
    {"syntax: a byte order mark", "§\xEF\xBB\xBF{}", R"J(without one)J"},
    {"syntax: half a surrogate", R"J({"scenario": "\ud800§"})J", R"J(surrogate)J"},
    {"syntax: bad unicode escape", R"J({"scenario": "\u12§g4"})J", R"J(hexadecimal)J"},
    {"syntax: control character", R"J({"scenario": "a§	b"})J", R"J(escape)J"},
    {"syntax: not utf-8", std::string("{\"scenario\": §\"a" "\xff" "b\"}", sizeof("{\"scenario\": §\"a" "\xff" "b\"}") - 1), R"J(UTF-8)J"},
    {"syntax: number out of range", R"J({"seed": §1e999})J", R"J(too large)J"},
    {"syntax: leading zero", R"J({"seed": §007})J", R"J(does not begin with 0)J"},
    {"syntax: digit missing", R"J({"seed": 1.§})J", R"J(digit must follow)J"},
    {"syntax: unit without quotes", R"J({"duration": §5s})J", R"J(with a unit is a string)J"},
    {"syntax: word", R"J({"seed": §yes})J", R"J(is no value)J"},
    {"syntax: comment without end", R"J(§/* {"seed": 1})J", R"J(comment has no end)J"},
    {"syntax: nothing", R"J(§)J", R"J(missing at the end)J"},
    {"syntax: two values", R"J({"seed": 1} §2)J", R"J(behind the end)J"},
    {"syntax: brace open", R"J(§{"seed": 1)J", R"J(has no })J"},
    {"syntax: bracket open", R"J({"expect": §[1)J", R"J(has no ])J"},
    {"syntax: trailing comma in array", R"J({"expect": [1§,]})J", R"J(take it out)J"},
    {"syntax: nul byte", std::string("{\"seed\"\xC2\xA7" "\0" ": 1}", sizeof("{\"seed\"\xC2\xA7" "\0" ": 1}") - 1), R"J(a control character)J"},
    {"unknown key at the top", R"J({"scenario": "abc",
 "summary": "something to be shown",
 "duration": "60s",
 "cluster": {"servers": {"count": 5}, "clients": {"count": 20}},
 "expect": [{"check": "count(deliver) > 0"}]
 , §"seeed": 1})J", R"J(did you mean "seed")J"},
    {"unknown key, nothing near", R"J({"scenario": "abc",
 "summary": "something to be shown",
 "duration": "60s",
 "cluster": {"servers": {"count": 5}, "clients": {"count": 20}},
 "expect": [{"check": "count(deliver) > 0"}]
 , §"wibble": 1})J", R"J(there are:)J"},
    {"duplicate key", R"J({"scenario": "abc",
 "summary": "something to be shown",
 "duration": "60s",
 "cluster": {"servers": {"count": 5}, "clients": {"count": 20}},
 "expect": [{"check": "count(deliver) > 0"}]
 , §"duration": "5s"})J", R"J(stands twice)J"},
    {"version", R"J({"scenario": "abc",
 "summary": "something to be shown",
 "duration": "60s",
 "cluster": {"servers": {"count": 5}, "clients": {"count": 20}},
 "expect": [{"check": "count(deliver) > 0"}]
 , "version": §2})J", R"J(from 1 to 1)J"},
    {"seed negative", R"J({"scenario": "abc",
 "summary": "something to be shown",
 "duration": "60s",
 "cluster": {"servers": {"count": 5}, "clients": {"count": 20}},
 "expect": [{"check": "count(deliver) > 0"}]
 , "seed": §-1})J", R"J(whole number)J"},
    {"seed a fraction", R"J({"scenario": "abc",
 "summary": "something to be shown",
 "duration": "60s",
 "cluster": {"servers": {"count": 5}, "clients": {"count": 20}},
 "expect": [{"check": "count(deliver) > 0"}]
 , "seed": §1.5})J", R"J(whole number)J"},
    {"settle too short", R"J({"scenario": "abc",
 "summary": "something to be shown",
 "duration": "60s",
 "cluster": {"servers": {"count": 5}, "clients": {"count": 20}},
 "expect": [{"check": "count(deliver) > 0"}]
 , "settle": §"1s"})J", R"J(at least 10s)J"},
    {"room of a step without a number", R"J({"scenario": "abc",
 "summary": "something to be shown",
 "duration": "60s",
 "cluster": {"servers": {"count": 5}, "clients": {"count": 20}},
 "expect": [{"check": "count(deliver) > 0"}]
 , "timeline": [{"at": "1s", "do": "join", "target": "c1", "room": §"lobby"}]})J", R"J(is no room: write room:0)J"},
    {"receiver that is no client", R"J({"scenario": "abc",
 "summary": "something to be shown",
 "duration": "60s",
 "cluster": {"servers": {"count": 5}, "clients": {"count": 20}},
 "expect": [{"check": "count(deliver) > 0"}]
 , "timeline": [{"at": "1s", "do": "send", "target": "c1", "to": §"ada"}]})J", R"J(is no client: write c0)J"},
    {"receiver beyond the clients", R"J({"scenario": "abc",
 "summary": "something to be shown",
 "duration": "60s",
 "cluster": {"servers": {"count": 5}, "clients": {"count": 20}},
 "expect": [{"check": "count(deliver) > 0"}]
 , "timeline": [{"at": "1s", "do": "send", "target": "c1", "to": §"c20"}]})J", R"J(the clients are c0 to c19)J"},
    {"data of a step", R"J({"scenario": "abc",
 "summary": "something to be shown",
 "duration": "60s",
 "cluster": {"servers": {"count": 5}, "clients": {"count": 20}},
 "expect": [{"check": "count(deliver) > 0"}]
 , "timeline": [{"at": "1s", "do": "send", "target": "c1", "to": "c2", §"data": "x"}]})J", R"J(data)J"},
    {"budget of time", R"J({"scenario": "abc",
 "summary": "something to be shown",
 "duration": "60s",
 "cluster": {"servers": {"count": 5}, "clients": {"count": 20}},
 "expect": [{"check": "count(deliver) > 0"}]
 , "budget": {§"wall": "5s"}})J", R"J(events)J"},
    {"budget unknown", R"J({"scenario": "abc",
 "summary": "something to be shown",
 "duration": "60s",
 "cluster": {"servers": {"count": 5}, "clients": {"count": 20}},
 "expect": [{"check": "count(deliver) > 0"}]
 , "budget": {§"evnts": 5}})J", R"J(did you mean "events")J"},
    {"network is no object", R"J({"scenario": "abc",
 "summary": "something to be shown",
 "duration": "60s",
 "cluster": {"servers": {"count": 5}, "clients": {"count": 20}},
 "expect": [{"check": "count(deliver) > 0"}]
 , "network": §5})J", R"J(must be an object)J"},
    {"loss above 100", R"J({"scenario": "abc",
 "summary": "something to be shown",
 "duration": "60s",
 "cluster": {"servers": {"count": 5}, "clients": {"count": 20}},
 "expect": [{"check": "count(deliver) > 0"}]
 , "network": {"default": {"loss": §"150%"}}})J", R"J(more than 100%)J"},
    {"loss without percent", R"J({"scenario": "abc",
 "summary": "something to be shown",
 "duration": "60s",
 "cluster": {"servers": {"count": 5}, "clients": {"count": 20}},
 "expect": [{"check": "count(deliver) > 0"}]
 , "network": {"default": {"loss": §"0.1"}}})J", R"J(no chance)J"},
    {"latency without unit", R"J({"scenario": "abc",
 "summary": "something to be shown",
 "duration": "60s",
 "cluster": {"servers": {"count": 5}, "clients": {"count": 20}},
 "expect": [{"check": "count(deliver) > 0"}]
 , "network": {"default": {"latency": §"5"}}})J", R"J(has no unit)J"},
    {"latency a number", R"J({"scenario": "abc",
 "summary": "something to be shown",
 "duration": "60s",
 "cluster": {"servers": {"count": 5}, "clients": {"count": 20}},
 "expect": [{"check": "count(deliver) > 0"}]
 , "network": {"default": {"latency": §5}}})J", R"J(must be a string)J"},
    {"latency unknown unit", R"J({"scenario": "abc",
 "summary": "something to be shown",
 "duration": "60s",
 "cluster": {"servers": {"count": 5}, "clients": {"count": 20}},
 "expect": [{"check": "count(deliver) > 0"}]
 , "network": {"default": {"latency": §"5 sec"}}})J", R"J(no unit of a duration)J"},
    {"latency negative", R"J({"scenario": "abc",
 "summary": "something to be shown",
 "duration": "60s",
 "cluster": {"servers": {"count": 5}, "clients": {"count": 20}},
 "expect": [{"check": "count(deliver) > 0"}]
 , "network": {"default": {"latency": §"-5ms"}}})J", R"J(cannot be negative)J"},
    {"distribution unknown", R"J({"scenario": "abc",
 "summary": "something to be shown",
 "duration": "60s",
 "cluster": {"servers": {"count": 5}, "clients": {"count": 20}},
 "expect": [{"check": "count(deliver) > 0"}]
 , "network": {"default": {"latency": §"unifrom(1ms,2ms)"}}})J", R"J(did you mean uniform)J"},
    {"distribution backwards", R"J({"scenario": "abc",
 "summary": "something to be shown",
 "duration": "60s",
 "cluster": {"servers": {"count": 5}, "clients": {"count": 20}},
 "expect": [{"check": "count(deliver) > 0"}]
 , "network": {"default": {"latency": §"uniform(5ms,1ms)"}}})J", R"J(ends before it begins)J"},
    {"distribution values", R"J({"scenario": "abc",
 "summary": "something to be shown",
 "duration": "60s",
 "cluster": {"servers": {"count": 5}, "clients": {"count": 20}},
 "expect": [{"check": "count(deliver) > 0"}]
 , "network": {"default": {"latency": §"exp(1ms,2ms)"}}})J", R"J(takes 1 value)J"},
    {"distribution p99 below p50", R"J({"scenario": "abc",
 "summary": "something to be shown",
 "duration": "60s",
 "cluster": {"servers": {"count": 5}, "clients": {"count": 20}},
 "expect": [{"check": "count(deliver) > 0"}]
 , "network": {"default": {"latency": §"lognormal(p50=5ms,p99=1ms)"}}})J", R"J(p99 must be above)J"},
    {"distribution open", R"J({"scenario": "abc",
 "summary": "something to be shown",
 "duration": "60s",
 "cluster": {"servers": {"count": 5}, "clients": {"count": 20}},
 "expect": [{"check": "count(deliver) > 0"}]
 , "network": {"default": {"latency": §"exp(1ms"}}})J", R"J(no closing parenthesis)J"},
    {"duration overflow", R"J({"scenario": "abc",
 "summary": "something to be shown",
 "duration": "60s",
 "cluster": {"servers": {"count": 5}, "clients": {"count": 20}},
 "expect": [{"check": "count(deliver) > 0"}]
 , "network": {"default": {"latency": §"99999999999999999999s"}}})J", R"J(too large)J"},
    {"bandwidth without time", R"J({"scenario": "abc",
 "summary": "something to be shown",
 "duration": "60s",
 "cluster": {"servers": {"count": 5}, "clients": {"count": 20}},
 "expect": [{"check": "count(deliver) > 0"}]
 , "network": {"default": {"bandwidth": §"10MiB"}}})J", R"J(no speed)J"},
    {"replica no boolean", R"J({"scenario": "abc",
 "summary": "something to be shown",
 "duration": "60s",
 "cluster": {"servers": {"count": 5}, "clients": {"count": 20}},
 "expect": [{"check": "count(deliver) > 0"}]
 , "store": {"replica": §"yes"}})J", R"J(must be true or false)J"},
    {"buffer unit", R"J({"scenario": "abc",
 "summary": "something to be shown",
 "duration": "60s",
 "cluster": {"servers": {"count": 5}, "clients": {"count": 20}},
 "expect": [{"check": "count(deliver) > 0"}]
 , "store": {"subscriber_buffer": §"10Kb"}})J", R"J(no unit of a size)J"},
    {"workload no array", R"J({"scenario": "abc",
 "summary": "something to be shown",
 "duration": "60s",
 "cluster": {"servers": {"count": 5}, "clients": {"count": 20}},
 "expect": [{"check": "count(deliver) > 0"}]
 , "workload": §{}})J", R"J(must be an array)J"},
    {"workload without from", R"J({"scenario": "abc",
 "summary": "something to be shown",
 "duration": "60s",
 "cluster": {"servers": {"count": 5}, "clients": {"count": 20}},
 "expect": [{"check": "count(deliver) > 0"}]
 , "workload": [§{"op": "send", "rate": "1/s"}]})J", R"J("from" is missing)J"},
    {"workload without rate", R"J({"scenario": "abc",
 "summary": "something to be shown",
 "duration": "60s",
 "cluster": {"servers": {"count": 5}, "clients": {"count": 20}},
 "expect": [{"check": "count(deliver) > 0"}]
 , "workload": [§{"op": "send", "from": "clients"}]})J", R"J("rate" is missing)J"},
    {"workload unknown op", R"J({"scenario": "abc",
 "summary": "something to be shown",
 "duration": "60s",
 "cluster": {"servers": {"count": 5}, "clients": {"count": 20}},
 "expect": [{"check": "count(deliver) > 0"}]
 , "workload": [{"op": §"sned", "from": "clients", "rate": "1/s"}]})J", R"J(did you mean "send")J"},
    {"workload rate", R"J({"scenario": "abc",
 "summary": "something to be shown",
 "duration": "60s",
 "cluster": {"servers": {"count": 5}, "clients": {"count": 20}},
 "expect": [{"check": "count(deliver) > 0"}]
 , "workload": [{"op": "send", "from": "clients", "rate": §"1"}]})J", R"J(no rate)J"},
    {"workload too much", R"J({"scenario": "abc",
 "summary": "something to be shown",
 "duration": "60s",
 "cluster": {"servers": {"count": 5}, "clients": {"count": 20}},
 "expect": [{"check": "count(deliver) > 0"}]
 , "workload": [{"op": "send", "from": "clients", "rate": §"900M/s"}]})J", R"J(at most 50000000)J"},
    {"workload of servers", R"J({"scenario": "abc",
 "summary": "something to be shown",
 "duration": "60s",
 "cluster": {"servers": {"count": 5}, "clients": {"count": 20}},
 "expect": [{"check": "count(deliver) > 0"}]
 , "workload": [{"op": "send", "from": §"s1", "rate": "1/s"}]})J", R"J(clients are needed)J"},
    {"workload of nobody", R"J({"scenario": "abc",
 "summary": "something to be shown",
 "duration": "60s",
 "cluster": {"servers": {"count": 5}, "clients": {"count": 20}},
 "expect": [{"check": "count(deliver) > 0"}]
 , "workload": [{"op": "send", "from": §"c[10..30]", "rate": "1/s"}]})J", R"J(the clients are c0 to c19)J"},
    {"workload range backwards", R"J({"scenario": "abc",
 "summary": "something to be shown",
 "duration": "60s",
 "cluster": {"servers": {"count": 5}, "clients": {"count": 20}},
 "expect": [{"check": "count(deliver) > 0"}]
 , "workload": [{"op": "send", "from": §"c[5..2]", "rate": "1/s"}]})J", R"J(ends before it begins)J"},
    {"workload size", R"J({"scenario": "abc",
 "summary": "something to be shown",
 "duration": "60s",
 "cluster": {"servers": {"count": 5}, "clients": {"count": 20}},
 "expect": [{"check": "count(deliver) > 0"}]
 , "workload": [{"op": "send", "from": "clients", "rate": "1/s", §"size": "1GiB"}]})J", R"J(at most 16MiB)J"},
    {"workload group", R"J({"scenario": "abc",
 "summary": "something to be shown",
 "duration": "60s",
 "cluster": {"servers": {"count": 5}, "clients": {"count": 20}},
 "expect": [{"check": "count(deliver) > 0"}]
 , "workload": [{"op": "send", "from": §"cleints", "rate": "1/s"}]})J", R"J(did you mean "clients")J"},
    {"workload stops first", R"J({"scenario": "abc",
 "summary": "something to be shown",
 "duration": "60s",
 "cluster": {"servers": {"count": 5}, "clients": {"count": 20}},
 "expect": [{"check": "count(deliver) > 0"}]
 , "workload": [{"op": "send", "from": "clients", "rate": "1/s", "start": "9s", "stop": §"5s"}]})J", R"J(workload[0] stops before it starts)J"},
    {"push with to", R"J({"scenario": "abc",
 "summary": "something to be shown",
 "duration": "60s",
 "cluster": {"servers": {"count": 5}, "clients": {"count": 20}},
 "expect": [{"check": "count(deliver) > 0"}]
 , "workload": [{"op": "push", "from": "clients", "rate": "1/s", §"to": "c1"}]})J", R"J("to" is for send)J"},
    {"step without when", R"J({"scenario": "abc",
 "summary": "something to be shown",
 "duration": "60s",
 "cluster": {"servers": {"count": 5}, "clients": {"count": 20}},
 "expect": [{"check": "count(deliver) > 0"}]
 , "timeline": [§{"do": "mark"}]})J", R"J(does not say when)J"},
    {"step with both", R"J({"scenario": "abc",
 "summary": "something to be shown",
 "duration": "60s",
 "cluster": {"servers": {"count": 5}, "clients": {"count": 20}},
 "expect": [{"check": "count(deliver) > 0"}]
 , "timeline": [§{"at": "1s", "on": "deliver", "do": "mark"}]})J", R"J(both "at" and "on")J"},
    {"step unknown action", R"J({"scenario": "abc",
 "summary": "something to be shown",
 "duration": "60s",
 "cluster": {"servers": {"count": 5}, "clients": {"count": 20}},
 "expect": [{"check": "count(deliver) > 0"}]
 , "timeline": [{"at": "1s", "do": §"kil", "target": "s1"}]})J", R"J(did you mean "kill")J"},
    {"step without target", R"J({"scenario": "abc",
 "summary": "something to be shown",
 "duration": "60s",
 "cluster": {"servers": {"count": 5}, "clients": {"count": 20}},
 "expect": [{"check": "count(deliver) > 0"}]
 , "timeline": [§{"at": "1s", "do": "kill"}]})J", R"J("target" is missing)J"},
    {"step target means nothing", R"J({"scenario": "abc",
 "summary": "something to be shown",
 "duration": "60s",
 "cluster": {"servers": {"count": 5}, "clients": {"count": 20}},
 "expect": [{"check": "count(deliver) > 0"}]
 , "timeline": [{"at": "1s", "do": "store-flush", §"target": "s1"}]})J", R"J(means nothing to store-flush)J"},
    {"step kills clients", R"J({"scenario": "abc",
 "summary": "something to be shown",
 "duration": "60s",
 "cluster": {"servers": {"count": 5}, "clients": {"count": 20}},
 "expect": [{"check": "count(deliver) > 0"}]
 , "timeline": [{"at": "1s", "do": "kill", "target": §"c1"}]})J", R"J(servers are needed)J"},
    {"step server not there", R"J({"scenario": "abc",
 "summary": "something to be shown",
 "duration": "60s",
 "cluster": {"servers": {"count": 5}, "clients": {"count": 20}},
 "expect": [{"check": "count(deliver) > 0"}]
 , "timeline": [{"at": "1s", "do": "kill", "target": §"s9"}]})J", R"J(timeline[0]: "s9" is not there: the servers are s1 to s5)J"},
    {"step after the end", R"J({"scenario": "abc",
 "summary": "something to be shown",
 "duration": "60s",
 "cluster": {"servers": {"count": 5}, "clients": {"count": 20}},
 "expect": [{"check": "count(deliver) > 0"}]
 , "timeline": [{"id": "k", "at": §"61s", "do": "mark"}]})J", R"J(after the end (1m))J"},
    {"step of an unknown step", R"J({"scenario": "abc",
 "summary": "something to be shown",
 "duration": "60s",
 "cluster": {"servers": {"count": 5}, "clients": {"count": 20}},
 "expect": [{"check": "count(deliver) > 0"}]
 , "timeline": [{"id": "kill", "at": "1s", "do": "mark"}, {"at": §"kil+1s", "do": "mark"}]})J", R"J(did you mean "kill")J"},
    {"steps in a circle", R"J({"scenario": "abc",
 "summary": "something to be shown",
 "duration": "60s",
 "cluster": {"servers": {"count": 5}, "clients": {"count": 20}},
 "expect": [{"check": "count(deliver) > 0"}]
 , "timeline": [{"id": "a", "at": §"b+1s", "do": "mark"}, {"id": "b", "at": "a+1s", "do": "mark"}]})J", R"J(wait for each other: a waits for b waits for a)J"},
    {"step waits for itself", R"J({"scenario": "abc",
 "summary": "something to be shown",
 "duration": "60s",
 "cluster": {"servers": {"count": 5}, "clients": {"count": 20}},
 "expect": [{"check": "count(deliver) > 0"}]
 , "timeline": [{"id": "a", "at": §"a+1s", "do": "mark"}]})J", R"J(waits for itself)J"},
    {"step twice", R"J({"scenario": "abc",
 "summary": "something to be shown",
 "duration": "60s",
 "cluster": {"servers": {"count": 5}, "clients": {"count": 20}},
 "expect": [{"check": "count(deliver) > 0"}]
 , "timeline": [{"id": "a", "at": "1s", "do": "mark"}, {§"id": "a", "at": "2s", "do": "mark"}]})J", R"J(stands twice)J"},
    {"step name", R"J({"scenario": "abc",
 "summary": "something to be shown",
 "duration": "60s",
 "cluster": {"servers": {"count": 5}, "clients": {"count": 20}},
 "expect": [{"check": "count(deliver) > 0"}]
 , "timeline": [{§"id": "End!", "at": "1s", "do": "mark"}]})J", R"J(no name for a step)J"},
    {"step unknown probe", R"J({"scenario": "abc",
 "summary": "something to be shown",
 "duration": "60s",
 "cluster": {"servers": {"count": 5}, "clients": {"count": 20}},
 "expect": [{"check": "count(deliver) > 0"}]
 , "timeline": [{"on": §"owner.climed", "do": "mark"}]})J", R"J(did you mean "owner.claimed")J"},
    {"step nth alone", R"J({"scenario": "abc",
 "summary": "something to be shown",
 "duration": "60s",
 "cluster": {"servers": {"count": 5}, "clients": {"count": 20}},
 "expect": [{"check": "count(deliver) > 0"}]
 , "timeline": [{"at": "1s", §"nth": 5, "do": "mark"}]})J", R"J(counts for "on")J"},
    {"step every zero", R"J({"scenario": "abc",
 "summary": "something to be shown",
 "duration": "60s",
 "cluster": {"servers": {"count": 5}, "clients": {"count": 20}},
 "expect": [{"check": "count(deliver) > 0"}]
 , "timeline": [{"at": "1s", §"every": "0s", "do": "mark"}]})J", R"J(above 0s)J"},
    {"partition of one", R"J({"scenario": "abc",
 "summary": "something to be shown",
 "duration": "60s",
 "cluster": {"servers": {"count": 5}, "clients": {"count": 20}},
 "expect": [{"check": "count(deliver) > 0"}]
 , "timeline": [{"at": "1s", "do": "partition", "between": §["s1"]}]})J", R"J(names two ends)J"},
    {"partition between servers", R"J({"scenario": "abc",
 "summary": "something to be shown",
 "duration": "60s",
 "cluster": {"servers": {"count": 5}, "clients": {"count": 20}},
 "expect": [{"check": "count(deliver) > 0"}]
 , "timeline": [{"at": "1s", "do": "partition", "between": §["s1", "s2"]}]})J", R"J(links run between)J"},
    {"failover without replica", R"J({"scenario": "abc",
 "summary": "something to be shown",
 "duration": "60s",
 "cluster": {"servers": {"count": 5}, "clients": {"count": 20}},
 "expect": [{"check": "count(deliver) > 0"}]
 , "timeline": [{"at": "1s", "do": §"store-failover"}]})J", R"J(needs a replica)J"},
    {"skew without by", R"J({"scenario": "abc",
 "summary": "something to be shown",
 "duration": "60s",
 "cluster": {"servers": {"count": 5}, "clients": {"count": 20}},
 "expect": [{"check": "count(deliver) > 0"}]
 , "timeline": [§{"at": "1s", "do": "clock-skew", "target": "s1"}]})J", R"J("by" is missing)J"},
    {"workload rate that is none is not missing too", R"J({"scenario": "abc",
 "summary": "something to be shown",
 "duration": "60s",
 "cluster": {"servers": {"count": 5}, "clients": {"count": 20}},
 "expect": [{"check": "count(deliver) > 0"}]
 , "workload": [{"op": "send", "from": "clients", "rate": §"40"}]})J", R"J(no rate: write 200/s)J"},
    {"workload rate misspelt is not missing too", R"J({"scenario": "abc",
 "summary": "something to be shown",
 "duration": "60s",
 "cluster": {"servers": {"count": 5}, "clients": {"count": 20}},
 "expect": [{"check": "count(deliver) > 0"}]
 , "workload": [{"op": "send", "from": "clients", §"raet": "40/s"}]})J", R"J(did you mean "rate")J"},
    {"duration misspelt is not missing too", R"J({"scenario": "abc",
 "summary": "something to be shown",
 §"durations": "60s",
 "cluster": {"servers": {"count": 5}, "clients": {"count": 20}},
 "timeline": [{"at": "70s", "do": "mark"}],
 "expect": [{"check": "count(deliver) > 0"}]})J", R"J(did you mean "duration")J"},
    {"step moment misspelt is not missing too", R"J({"scenario": "abc",
 "summary": "something to be shown",
 "duration": "60s",
 "cluster": {"servers": {"count": 5}, "clients": {"count": 20}},
 "expect": [{"check": "count(deliver) > 0"}]
 , "timeline": [{§"att": "1s", "do": "mark"}]})J", R"J(did you mean "at")J"},
    {"step target misspelt is not missing too", R"J({"scenario": "abc",
 "summary": "something to be shown",
 "duration": "60s",
 "cluster": {"servers": {"count": 5}, "clients": {"count": 20}},
 "expect": [{"check": "count(deliver) > 0"}]
 , "timeline": [{"at": "1s", "do": "kill", §"taget": "s1"}]})J", R"J(did you mean "target")J"},
    {"step that is no object", R"J({"scenario": "abc",
 "summary": "something to be shown",
 "duration": "60s",
 "cluster": {"servers": {"count": 5}, "clients": {"count": 20}},
 "expect": [{"check": "count(deliver) > 0"}]
 , "timeline": [§"kill"]})J", R"J(must be an object)J"},
    {"timeline misspelt: its steps may be there", R"J({"scenario": "abc",
 "summary": "something to be shown",
 "duration": "60s",
 "cluster": {"servers": {"count": 5}, "clients": {"count": 20}},
 "expect": [{"check": "count(deliver) > 0"}]
 , §"timelines": [{"id": "kill", "at": "1s", "do": "mark"}], "sweep": {"vary": {"kill.at": "2s"}}})J", R"J(did you mean "timeline")J"},
    {"expect misspelt is not silent too", R"J({"scenario": "abc",
 "summary": "something to be shown",
 "duration": "60s",
 "cluster": {"servers": {"count": 5}, "clients": {"count": 20}},
 "expect": [{§"chek": "count(deliver) > 0"}]})J", R"J(did you mean "check")J"},
    {"within misspelt is not missing too", R"J({"scenario": "abc",
 "summary": "something to be shown",
 "duration": "60s",
 "cluster": {"servers": {"count": 5}, "clients": {"count": 20}},
 "expect": [{"eventually": "count(deliver) > 0", §"witin": "5s"}]})J", R"J(did you mean "within")J"},
    {"because of no string is not missing too", R"J({"scenario": "abc",
 "summary": "something to be shown",
 "duration": "60s",
 "cluster": {"servers": {"count": 5}, "clients": {"count": 20}},
 "expect": [{"check": "count(deliver) > 0"}, {"waive": "G6", "because": §5}]})J", R"J(must be a string)J"},
    {"servers of no count: none is refused for its number", R"J({"scenario": "abc",
 "summary": "something to be shown",
 "duration": "60s",
 "cluster": {"servers": {"count": §"5x"}, "clients": {"count": 20}},
 "expect": [{"check": "count(deliver) > 0"}],
 "timeline": [{"at": "1s", "do": "kill", "target": "s3"}]})J", R"J(is no count)J"},
    {"clients of no count: none is refused for its number", R"J({"scenario": "abc",
 "summary": "something to be shown",
 "duration": "60s",
 "cluster": {"servers": {"count": 5}, "clients": {"count": §"5x"}},
 "expect": [{"check": "count(deliver) > 0"}],
 "workload": [{"op": "send", "from": "c7", "rate": "1/s"}]})J", R"J(is no count)J"},
    {"group broken: who names it is not wrong too", R"J({"scenario": "abc",
 "summary": "something to be shown",
 "duration": "60s",
 "cluster": {"servers": {"count": 5}, "clients": {"count": 20}, "groups": {"half": §"50 % of"}},
 "expect": [{"check": "connected(half) > 0"}]})J", R"J(selects nobody)J"},
    {"groups misspelt: who names one is not wrong too", R"J({"scenario": "abc",
 "summary": "something to be shown",
 "duration": "60s",
 "cluster": {"servers": {"count": 5}, "clients": {"count": 20}, §"grups": {"half": "c1"}},
 "expect": [{"check": "connected(half) > 0"}]})J", R"J(did you mean "groups")J"},
    {"groups in a circle, by their parts", R"J({"scenario": "abc",
 "summary": "something to be shown",
 "duration": "60s",
 "cluster": {"servers": {"count": 5}, "clients": {"count": 20}, "groups": {"a": §"50% of b", "b": "clients except a"}},
 "expect": [{"check": "connected(a) > 0"}]})J", R"J(the group "a" is made of itself)J"},
    {"moment broken: who waits for it is not wrong too", R"J({"scenario": "abc",
 "summary": "something to be shown",
 "duration": "60s",
 "cluster": {"servers": {"count": 5}, "clients": {"count": 20}},
 "expect": [{"check": "count(deliver) > 0"}]
 , "timeline": [{"id": "a", "at": §"5 sec", "do": "mark"}, {"id": "b", "at": "a+59s", "do": "mark"}]})J", R"J(no unit of a duration)J"},
    {"replica broken: a failover may have one", R"J({"scenario": "abc",
 "summary": "something to be shown",
 "duration": "60s",
 "cluster": {"servers": {"count": 5}, "clients": {"count": 20}},
 "expect": [{"check": "count(deliver) > 0"}]
 , "store": {"replica": §"yes"}, "timeline": [{"at": "1s", "do": "store-failover"}]})J", R"J(must be true or false)J"},
    {"expect from after the end", R"J({"scenario": "abc",
 "summary": "something to be shown",
 "duration": "60s",
 "cluster": {"servers": {"count": 5}, "clients": {"count": 20}},
 "expect": [{"check": "count(deliver) > 0", "from": §"61s"}]})J", R"J("from" at 61s is after the end (1m))J"},
    {"expect from the end", R"J({"scenario": "abc",
 "summary": "something to be shown",
 "duration": "60s",
 "cluster": {"servers": {"count": 5}, "clients": {"count": 20}},
 "expect": [{"check": "count(deliver) > 0", "from": §"end"}]})J", R"J(before it begins)J"},
    {"expect to after the end", R"J({"scenario": "abc",
 "summary": "something to be shown",
 "duration": "60s",
 "cluster": {"servers": {"count": 5}, "clients": {"count": 20}},
 "expect": [{"check": "count(deliver) > 0", "to": §"61s"}]})J", R"J("to" at 61s is after the end (1m))J"},
    {"expect members of no room", R"J({"scenario": "abc",
 "summary": "something to be shown",
 "duration": "60s",
 "cluster": {"servers": {"count": 5}, "clients": {"count": 20}},
 "expect": [{"check": §"members(room:nope) > 0"}]})J", R"J("room:nope" is no room: write room:0)J"},
    {"expect a stat of some", R"J({"scenario": "abc",
 "summary": "something to be shown",
 "duration": "60s",
 "cluster": {"servers": {"count": 5}, "clients": {"count": 20}},
 "expect": [{"check": §"stat(sent by c1) > 0"}]})J", R"J(is of the whole cluster)J"},
    {"expect ready clients", R"J({"scenario": "abc",
 "summary": "something to be shown",
 "duration": "60s",
 "cluster": {"servers": {"count": 5}, "clients": {"count": 20}},
 "expect": [{"check": §"ready(clients) > 0"}]})J", R"J(servers are needed)J"},
    {"workload to nobody", R"J({"scenario": "abc",
 "summary": "something to be shown",
 "duration": "60s",
 "cluster": {"servers": {"count": 5}, "clients": {"count": 20}},
 "expect": [{"check": "count(deliver) > 0"}]
 , "workload": [{"op": "send", "from": "clients", "to": §"nobodies", "rate": "1/s"}]})J", R"J("to": there is no group "nobodies")J"},
    {"workload start after the end", R"J({"scenario": "abc",
 "summary": "something to be shown",
 "duration": "60s",
 "cluster": {"servers": {"count": 5}, "clients": {"count": 20}},
 "expect": [{"check": "count(deliver) > 0"}]
 , "workload": [{"op": "send", "from": "clients", "rate": "1/s", "start": §"61s"}]})J", R"J("start" at 61s is after the end)J"},
    {"workload start at the end", R"J({"scenario": "abc",
 "summary": "something to be shown",
 "duration": "60s",
 "cluster": {"servers": {"count": 5}, "clients": {"count": 20}},
 "expect": [{"check": "count(deliver) > 0"}]
 , "workload": [{"id": "talk", "op": "send", "from": "clients", "rate": "1/s", "start": §"60s"}]})J", R"J(the workload "talk" stops before it starts)J"},
    {"workload rooms of a send", R"J({"scenario": "abc",
 "summary": "something to be shown",
 "duration": "60s",
 "cluster": {"servers": {"count": 5}, "clients": {"count": 20}},
 "expect": [{"check": "count(deliver) > 0"}]
 , "workload": [{"op": "send", "from": "clients", "rate": "1/s", §"rooms": 4}]})J", R"J("rooms" means nothing to send)J"},
    {"workload rooms_each of a push", R"J({"scenario": "abc",
 "summary": "something to be shown",
 "duration": "60s",
 "cluster": {"servers": {"count": 5}, "clients": {"count": 20}},
 "expect": [{"check": "count(deliver) > 0"}]
 , "workload": [{"op": "push", "from": "clients", "rate": "1/s", §"rooms_each": 2}]})J", R"J("rooms_each" means nothing to push)J"},
    {"workload size of a join", R"J({"scenario": "abc",
 "summary": "something to be shown",
 "duration": "60s",
 "cluster": {"servers": {"count": 5}, "clients": {"count": 20}},
 "expect": [{"check": "count(deliver) > 0"}]
 , "workload": [{"op": "join", "from": "clients", §"size": "5B"}]})J", R"J("size" means nothing to join)J"},
    {"workload word of a churn", R"J({"scenario": "abc",
 "summary": "something to be shown",
 "duration": "60s",
 "cluster": {"servers": {"count": 5}, "clients": {"count": 20}},
 "expect": [{"check": "count(deliver) > 0"}]
 , "workload": [{"op": "churn", "from": "clients", "rate": "1/s", §"word": false}]})J", R"J("word" means nothing to churn)J"},
    {"workload echo of a send", R"J({"scenario": "abc",
 "summary": "something to be shown",
 "duration": "60s",
 "cluster": {"servers": {"count": 5}, "clients": {"count": 20}},
 "expect": [{"check": "count(deliver) > 0"}]
 , "workload": [{"op": "send", "from": "clients", "rate": "1/s", §"echo": false}]})J", R"J("echo" means nothing to send)J"},
    {"workload rooms_each with a rate", R"J({"scenario": "abc",
 "summary": "something to be shown",
 "duration": "60s",
 "cluster": {"servers": {"count": 5}, "clients": {"count": 20}},
 "expect": [{"check": "count(deliver) > 0"}]
 , "workload": [{"op": "join", "from": "clients", "rate": "1/s", §"rooms_each": 2}]})J", R"J(for those who do it once)J"},
    {"more than there are", R"J({"scenario": "abc",
 "summary": "something to be shown",
 "duration": "60s",
 "cluster": {"servers": {"count": 5}, "clients": {"count": 20}},
 "expect": [{"check": "count(deliver) > 0"}]
 , "workload": [{"op": "send", "from": §"500 of clients", "rate": "1/s"}]})J", R"J("500 of clients" is not there: "clients" are 20)J"},
    {"a part that is nobody", R"J({"scenario": "abc",
 "summary": "something to be shown",
 "duration": "60s",
 "cluster": {"servers": {"count": 5}, "clients": {"count": 20}},
 "expect": [{"check": "count(deliver) > 0"}]
 , "workload": [{"op": "send", "from": §"1% of clients", "rate": "1/s"}]})J", R"J("1% of clients" is nobody: "clients" are 20)J"},
    {"step without a name after the end", R"J({"scenario": "abc",
 "summary": "something to be shown",
 "duration": "60s",
 "cluster": {"servers": {"count": 5}, "clients": {"count": 20}},
 "expect": [{"check": "count(deliver) > 0"}]
 , "timeline": [{"at": §"61s", "do": "mark"}]})J", R"J(timeline[0] at 61s is after the end)J"},
    {"partition of a server that is not there", R"J({"scenario": "abc",
 "summary": "something to be shown",
 "duration": "60s",
 "cluster": {"servers": {"count": 5}, "clients": {"count": 20}},
 "expect": [{"check": "count(deliver) > 0"}]
 , "timeline": [{"at": "1s", "do": "partition", "between": ["store", §"s9"]}]})J", R"J(timeline[0]: "s9" is not there)J"},
    {"several devices and one session", R"J({"scenario": "abc",
 "summary": "something to be shown",
 "duration": "60s",
 "cluster": {"servers": {"count": 5}, "clients": {"count": 20, "devices": §2}},
 "expect": [{"check": "count(deliver) > 0"}]})J", R"J("devices" above 1 needs "sessions": "multi")J"},
    {"group with a space in its name", R"J({"scenario": "abc",
 "summary": "something to be shown",
 "duration": "60s",
 "cluster": {"servers": {"count": 5}, "clients": {"count": 20}, "groups": {§"my friends": "clients"}},
 "expect": [{"check": "count(deliver) > 0"}]})J", R"J(is no name for a group)J"},
    {"more connected than there are", R"J({"scenario": "abc",
 "summary": "something to be shown",
 "duration": "60s",
 "cluster": {"servers": {"count": 5}, "clients": {"count": 20}},
 "expect": [{"eventually": §"connected(clients) == 50", "within": "5s"}]})J", R"J(this can never be true: connected() is from 0 to 20)J"},
    {"more ready than there are", R"J({"scenario": "abc",
 "summary": "something to be shown",
 "duration": "60s",
 "cluster": {"servers": {"count": 5}, "clients": {"count": 20}},
 "expect": [{"always": §"6 <= ready(servers)"}]})J", R"J(this can never be true: ready() is from 0 to 5)J"},
    {"more members than clients", R"J({"scenario": "abc",
 "summary": "something to be shown",
 "duration": "60s",
 "cluster": {"servers": {"count": 5}, "clients": {"count": 20}},
 "expect": [{"sometimes": §"members(room:1) > 20"}]})J", R"J(this can never be true: members() is from 0 to 20)J"},
    {"a count below nothing", R"J({"scenario": "abc",
 "summary": "something to be shown",
 "duration": "60s",
 "cluster": {"servers": {"count": 5}, "clients": {"count": 20}},
 "expect": [{"never": §"count(deliver.double) < 0"}]})J", R"J(this can never be true: count() is never below 0)J"},
    {"a count that is always enough", R"J({"scenario": "abc",
 "summary": "something to be shown",
 "duration": "60s",
 "cluster": {"servers": {"count": 5}, "clients": {"count": 20}},
 "expect": [{"check": §"count(deliver) > 0 && count(send.offline) >= 0"}]})J", R"J(this can never be false: count() is never below 0)J"},
    {"no more connected than there are", R"J({"scenario": "abc",
 "summary": "something to be shown",
 "duration": "60s",
 "cluster": {"servers": {"count": 5}, "clients": {"count": 20}},
 "expect": [{"always": §"connected(c[0..4]) <= 5"}]})J", R"J(this can never be false: connected() is from 0 to 5)J"},
    {"degrade one way", R"J({"scenario": "abc",
 "summary": "something to be shown",
 "duration": "60s",
 "cluster": {"servers": {"count": 5}, "clients": {"count": 20}},
 "expect": [{"check": "count(deliver) > 0"}]
 , "timeline": [{"at": "1s", "do": "degrade", "between": ["s1", "store"], "link": {"loss": "1%"}, §"direction": "a-to-b"}]})J", R"J("direction" means nothing to degrade)J"},
    {"link to a server that is not there", R"J({"scenario": "abc",
 "summary": "something to be shown",
 "duration": "60s",
 "cluster": {"servers": {"count": 5}, "clients": {"count": 20}},
 "expect": [{"check": "count(deliver) > 0"}]
 , "network": {"links": [{"from": "clients", "to": §"s9", "loss": "1%"}]}})J", R"J(network.links[0]: "s9" is not there)J"},
    {"link between clients", R"J({"scenario": "abc",
 "summary": "something to be shown",
 "duration": "60s",
 "cluster": {"servers": {"count": 5}, "clients": {"count": 20}},
 "expect": [{"check": "count(deliver) > 0"}]
 , "network": {"links": [§{"from": "clients", "to": "c3", "loss": "1%"}]}})J", R"J(links run between)J"},
    {"every shorter than for", R"J({"scenario": "abc",
 "summary": "something to be shown",
 "duration": "60s",
 "cluster": {"servers": {"count": 5}, "clients": {"count": 20}},
 "expect": [{"check": "count(deliver) > 0"}]
 , "timeline": [{"at": "1s", §"every": "2s", "do": "store-stall", "for": "5s"}]})J", R"J("every" 2s is shorter than "for" 5s)J"},
    {"a refusal without its code", R"J({"scenario": "abc",
 "summary": "something to be shown",
 "duration": "60s",
 "cluster": {"servers": {"count": 5}, "clients": {"count": 20}},
 "expect": [{"check": "count(deliver) > 0"}]
 , "timeline": [§{"at": "1s", "do": "store-refuse"}]})J", R"J("code" is missing: store-refuse needs it)J"},
    {"a code that no store says", R"J({"scenario": "abc",
 "summary": "something to be shown",
 "duration": "60s",
 "cluster": {"servers": {"count": 5}, "clients": {"count": 20}},
 "expect": [{"check": "count(deliver) > 0"}]
 , "timeline": [{"at": "1s", "do": "store-refuse", "code": §"MOVED"}]})J", R"J(MOVED)J"},
    {"a code of another step", R"J({"scenario": "abc",
 "summary": "something to be shown",
 "duration": "60s",
 "cluster": {"servers": {"count": 5}, "clients": {"count": 20}},
 "expect": [{"check": "count(deliver) > 0"}]
 , "timeline": [{"at": "1s", "do": "store-stall", §"code": "OOM"}]})J", R"J("code" means nothing to store-stall)J"},
    {"a host that is counted, and no host", R"J({"scenario": "abc",
 "summary": "something to be shown",
 "duration": "60s",
 "cluster": {"servers": {"count": 5}, "clients": {"count": 20}},
 "expect": [{"check": "count(deliver) > 0"}]
 , "timeline": [{"at": "1s", "do": "kill", "target": "s1", §"counted_for": "5m"}]})J", R"J("counted_for" means nothing to kill)J"},
    {"vanish without target", R"J({"scenario": "abc",
 "summary": "something to be shown",
 "duration": "60s",
 "cluster": {"servers": {"count": 5}, "clients": {"count": 20}},
 "expect": [{"check": "count(deliver) > 0"}]
 , "timeline": [§{"at": "1s", "do": "vanish"}]})J", R"J("target" is missing: vanish needs it)J"},
    {"a lag that is negative", R"J({"scenario": "abc",
 "summary": "something to be shown",
 "duration": "60s",
 "cluster": {"servers": {"count": 5}, "clients": {"count": 20}},
 "expect": [{"check": "count(deliver) > 0"}]
 , "timeline": [{"at": "1s", "do": "subscriber-lag", "by": §"-1s"}]})J", R"J(must not be negative)J"},
    {"a lag that is a loss", R"J({"scenario": "abc",
 "summary": "something to be shown",
 "duration": "60s",
 "cluster": {"servers": {"count": 5}, "clients": {"count": 20}},
 "expect": [{"check": "count(deliver) > 0"}]
 , "timeline": [{"at": "1s", "do": "subscriber-lag", "by": §"3s"}]})J", R"J(is more than 2s)J"},
    {"a lag again and again, without an end", R"J({"scenario": "abc",
 "summary": "something to be shown",
 "duration": "60s",
 "cluster": {"servers": {"count": 5}, "clients": {"count": 20}},
 "expect": [{"check": "count(deliver) > 0"}]
 , "timeline": [{"at": "1s", "do": "subscriber-lag", "by": "1s", §"every": "5s"}]})J", R"J("every" needs "for" with subscriber-lag)J"},
    {"for without a span", R"J({"scenario": "abc",
 "summary": "something to be shown",
 "duration": "60s",
 "cluster": {"servers": {"count": 5}, "clients": {"count": 20}},
 "expect": [{"check": "count(deliver) > 0"}]
 , "timeline": [{"at": "1s", "do": "drop", "target": "c1", §"for": "5s"}]})J", R"J("for" means nothing to drop)J"},
    {"a span that varies and is none", R"J({"scenario": "abc",
 "summary": "something to be shown",
 "duration": "60s",
 "cluster": {"servers": {"count": 5}, "clients": {"count": 20}},
 "expect": [{"check": "count(deliver) > 0"}]
 , "timeline": [{"id": "gone", "at": "1s", "do": "drop", "target": "c1"}], "sweep": {"vary": {"gone.for": §"uniform(1s,2s)"}}})J", R"J("gone.for": "for" means nothing to drop)J"},
    {"every without for", R"J({"scenario": "abc",
 "summary": "something to be shown",
 "duration": "60s",
 "cluster": {"servers": {"count": 5}, "clients": {"count": 20}},
 "expect": [{"check": "count(deliver) > 0"}]
 , "timeline": [{"at": "1s", §"every": "5s", "do": "pause", "target": "s1"}]})J", R"J("every" needs "for" with pause)J"},
    {"sweep after the end", R"J({"scenario": "abc",
 "summary": "something to be shown",
 "duration": "60s",
 "cluster": {"servers": {"count": 5}, "clients": {"count": 20}},
 "expect": [{"check": "count(deliver) > 0"}]
 , "timeline": [{"id": "kill", "at": "1s", "do": "mark"}], "sweep": {"vary": {"kill.at": §"uniform(50s,70s)"}}})J", R"J(can be drawn as 70s, and the step is then after the end (1m))J"},
    {"sweep to a moment after the end", R"J({"scenario": "abc",
 "summary": "something to be shown",
 "duration": "60s",
 "cluster": {"servers": {"count": 5}, "clients": {"count": 20}},
 "expect": [{"check": "count(deliver) > 0"}]
 , "timeline": [{"id": "kill", "at": "1s", "do": "mark"}], "sweep": {"vary": {"kill.at": §"61s"}}})J", R"J(can be drawn as 61s)J"},
    {"sweep after a step, after the end", R"J({"scenario": "abc",
 "summary": "something to be shown",
 "duration": "60s",
 "cluster": {"servers": {"count": 5}, "clients": {"count": 20}},
 "expect": [{"check": "count(deliver) > 0"}]
 , "timeline": [{"id": "a", "at": "50s", "do": "mark"}, {"id": "b", "at": "a", "do": "mark"}], "sweep": {"vary": {"b.at": §"uniform(1s,20s)"}}})J", R"J(after the end)J"},
    {"sweep moves another step after the end", R"J({"scenario": "abc",
 "summary": "something to be shown",
 "duration": "60s",
 "cluster": {"servers": {"count": 5}, "clients": {"count": 20}},
 "expect": [{"check": "count(deliver) > 0"}]
 , "timeline": [{"id": "a", "at": "5s", "do": "mark"}, {"id": "b", "at": §"a+5s", "do": "mark"}], "sweep": {"vary": {"a.at": "uniform(1s,58s)"}}})J", R"J(the step "b" at a+5s can be after the end (1m))J"},
    {"sweep of a step that waits for a probe", R"J({"scenario": "abc",
 "summary": "something to be shown",
 "duration": "60s",
 "cluster": {"servers": {"count": 5}, "clients": {"count": 20}},
 "expect": [{"check": "count(deliver) > 0"}]
 , "timeline": [{"id": "a", "on": "deliver", "do": "mark"}], "sweep": {"vary": {"a.at": §"5s"}}})J", R"J(has no moment that could be drawn)J"},
    {"the servers of a link stand second, unless they are plain", R"J({"scenario": "abc",
 "summary": "something to be shown",
 "duration": "60s",
 "cluster": {"servers": {"count": 5}, "clients": {"count": 20}},
 "expect": [{"check": "count(deliver) > 0"}]
 , "timeline": [{"at": "1s", "do": "partition", "between": [§"60% of servers", "clients"]}]})J", R"J("60% of servers" must stand second)J"},
    {"sweep of nothing", R"J({"scenario": "abc",
 "summary": "something to be shown",
 "duration": "60s",
 "cluster": {"servers": {"count": 5}, "clients": {"count": 20}},
 "expect": [{"check": "count(deliver) > 0"}]
 , "sweep": {"vary": {§"kill.at": "1s"}}})J", R"J(there is no step "kill")J"},
    {"sweep of what cannot vary", R"J({"scenario": "abc",
 "summary": "something to be shown",
 "duration": "60s",
 "cluster": {"servers": {"count": 5}, "clients": {"count": 20}},
 "expect": [{"check": "count(deliver) > 0"}]
 , "sweep": {"vary": {§"clients": "1s"}}})J", R"J(cannot vary)J"},
    {"sweep seeds", R"J({"scenario": "abc",
 "summary": "something to be shown",
 "duration": "60s",
 "cluster": {"servers": {"count": 5}, "clients": {"count": 20}},
 "expect": [{"check": "count(deliver) > 0"}]
 , "sweep": {"seeds": §0}})J", R"J(from 1 to)J"},
    {"expect nothing", R"J({"scenario": "abc",
 "summary": "something to be shown",
 "duration": "60s",
 "cluster": {"servers": {"count": 5}, "clients": {"count": 20}},
 "expect": §[]})J", R"J(shows nothing)J"},
    {"expect empty", R"J({"scenario": "abc",
 "summary": "something to be shown",
 "duration": "60s",
 "cluster": {"servers": {"count": 5}, "clients": {"count": 20}},
 "expect": [§{}]})J", R"J(exactly one of)J"},
    {"expect two", R"J({"scenario": "abc",
 "summary": "something to be shown",
 "duration": "60s",
 "cluster": {"servers": {"count": 5}, "clients": {"count": 20}},
 "expect": [§{"check": "count(deliver) > 0", "never": "count(deliver) > 0"}]})J", R"J(exactly one of)J"},
    {"expect no comparison", R"J({"scenario": "abc",
 "summary": "something to be shown",
 "duration": "60s",
 "cluster": {"servers": {"count": 5}, "clients": {"count": 20}},
 "expect": [{"check": §"count(deliver)"}]})J", R"J(compares nothing)J"},
    {"expect two numbers", R"J({"scenario": "abc",
 "summary": "something to be shown",
 "duration": "60s",
 "cluster": {"servers": {"count": 5}, "clients": {"count": 20}},
 "expect": [{"check": §"1 < 2"}]})J", R"J(compares two numbers)J"},
    {"expect unknown function", R"J({"scenario": "abc",
 "summary": "something to be shown",
 "duration": "60s",
 "cluster": {"servers": {"count": 5}, "clients": {"count": 20}},
 "expect": [{"check": §"cuont(deliver) > 0"}]})J", R"J(did you mean count)J"},
    {"expect unknown metric", R"J({"scenario": "abc",
 "summary": "something to be shown",
 "duration": "60s",
 "cluster": {"servers": {"count": 5}, "clients": {"count": 20}},
 "expect": [{"check": §"count(delvier) > 0"}]})J", R"J(did you mean deliver)J"},
    {"expect percentile of a count", R"J({"scenario": "abc",
 "summary": "something to be shown",
 "duration": "60s",
 "cluster": {"servers": {"count": 5}, "clients": {"count": 20}},
 "expect": [{"check": §"p99(send.offline) > 0"}]})J", R"J(has no values)J"},
    {"expect a count of time", R"J({"scenario": "abc",
 "summary": "something to be shown",
 "duration": "60s",
 "cluster": {"servers": {"count": 5}, "clients": {"count": 20}},
 "expect": [{"check": §"count(deliver) < 50ms"}]})J", R"J(count(deliver) is a number, and is compared with a time)J"},
    {"expect a latency without unit", R"J({"scenario": "abc",
 "summary": "something to be shown",
 "duration": "60s",
 "cluster": {"servers": {"count": 5}, "clients": {"count": 20}},
 "expect": [{"check": §"p99(deliver.latency) < 50"}]})J", R"J(p99(deliver.latency) is a time, such as 50ms, and is compared with a number)J"},
    {"expect bytes in time", R"J({"scenario": "abc",
 "summary": "something to be shown",
 "duration": "60s",
 "cluster": {"servers": {"count": 5}, "clients": {"count": 20}},
 "expect": [{"check": §"max(queue.bytes) < 5s"}]})J", R"J(is a size, such as 64KiB)J"},
    {"expect a percentage", R"J({"scenario": "abc",
 "summary": "something to be shown",
 "duration": "60s",
 "cluster": {"servers": {"count": 5}, "clients": {"count": 20}},
 "expect": [{"check": §"count(deliver) < 5%"}]})J", R"J("%" is no unit)J"},
    {"expect one or the other", R"J({"scenario": "abc",
 "summary": "something to be shown",
 "duration": "60s",
 "cluster": {"servers": {"count": 5}, "clients": {"count": 20}},
 "expect": [{"check": §"count(deliver) > 1 || count(send.offline) > 1"}]})J", R"J(joined by && only)J"},
    {"expect nothing but a waiver", R"J({"scenario": "abc",
 "summary": "something to be shown",
 "duration": "60s",
 "cluster": {"servers": {"count": 5}, "clients": {"count": 20}},
 "expect": §[{"waive": "presence", "because": "just for the sake of it"}]})J", R"J(waivers alone show nothing)J"},
    {"expect an eventually that ends before it begins", R"J({"scenario": "abc",
 "summary": "something to be shown",
 "duration": "60s",
 "cluster": {"servers": {"count": 5}, "clients": {"count": 20}},
 "expect": [{"eventually": "count(deliver) > 1", "from": "9s", "to": §"5s", "within": "1s"}]})J", R"J(this window ends (5s) before it begins (9s))J"},
    {"mutant unknown", R"J({"scenario": "abc",
 "summary": "something to be shown",
 "duration": "60s",
 "cluster": {"servers": {"count": 5}, "clients": {"count": 20}},
 "mutant": §"unfenced-relase", "expect": [{"check": "count(deliver) > 1"}]})J", R"J(did you mean "unfenced-release")J"},
    {"expect unknown stat", R"J({"scenario": "abc",
 "summary": "something to be shown",
 "duration": "60s",
 "cluster": {"servers": {"count": 5}, "clients": {"count": 20}},
 "expect": [{"check": §"stat(slow_droped) > 0"}]})J", R"J(did you mean slow_dropped)J"},
    {"expect unit", R"J({"scenario": "abc",
 "summary": "something to be shown",
 "duration": "60s",
 "cluster": {"servers": {"count": 5}, "clients": {"count": 20}},
 "expect": [{"check": §"p99(deliver.latency) < 5parsecs"}]})J", R"J(is no unit)J"},
    {"expect group", R"J({"scenario": "abc",
 "summary": "something to be shown",
 "duration": "60s",
 "cluster": {"servers": {"count": 5}, "clients": {"count": 20}},
 "expect": [{"check": §"connected(victims) > 0"}]})J", R"J(no group "victims")J"},
    {"expect servers for clients", R"J({"scenario": "abc",
 "summary": "something to be shown",
 "duration": "60s",
 "cluster": {"servers": {"count": 5}, "clients": {"count": 20}},
 "expect": [{"check": §"connected(s1) > 0"}]})J", R"J(clients are needed)J"},
    {"expect eventually without within", R"J({"scenario": "abc",
 "summary": "something to be shown",
 "duration": "60s",
 "cluster": {"servers": {"count": 5}, "clients": {"count": 20}},
 "expect": [§{"eventually": "count(deliver) > 0"}]})J", R"J("within" is missing)J"},
    {"expect within a check", R"J({"scenario": "abc",
 "summary": "something to be shown",
 "duration": "60s",
 "cluster": {"servers": {"count": 5}, "clients": {"count": 20}},
 "expect": [{"check": "count(deliver) > 0", §"within": "5s"}]})J", R"J("within" is for eventually)J"},
    {"expect never holds", R"J({"scenario": "abc",
 "summary": "something to be shown",
 "duration": "60s",
 "cluster": {"servers": {"count": 5}, "clients": {"count": 20}},
 "expect": [{"eventually": "count(deliver) > 0", "from": "50s", "within": §"5m"}]})J", R"J(after the end of the run)J"},
    {"expect window backwards", R"J({"scenario": "abc",
 "summary": "something to be shown",
 "duration": "60s",
 "cluster": {"servers": {"count": 5}, "clients": {"count": 20}},
 "expect": [{"check": "count(deliver) > 0", "from": "9s", "to": §"5s"}]})J", R"J(before it begins)J"},
    {"expect from a step not there", R"J({"scenario": "abc",
 "summary": "something to be shown",
 "duration": "60s",
 "cluster": {"servers": {"count": 5}, "clients": {"count": 20}},
 "expect": [{"check": "count(deliver) > 0", "from": §"kill"}]})J", R"J(no step "kill")J"},
    {"expect waiver without reason", R"J({"scenario": "abc",
 "summary": "something to be shown",
 "duration": "60s",
 "cluster": {"servers": {"count": 5}, "clients": {"count": 20}},
 "expect": [§{"waive": "G6"}]})J", R"J(needs a reason)J"},
    {"expect waiver of nothing", R"J({"scenario": "abc",
 "summary": "something to be shown",
 "duration": "60s",
 "cluster": {"servers": {"count": 5}, "clients": {"count": 20}},
 "expect": [{"waive": §"presense", "because": "just for the sake of it"}]})J", R"J(did you mean "presence")J"},
    {"expect reason of a check", R"J({"scenario": "abc",
 "summary": "something to be shown",
 "duration": "60s",
 "cluster": {"servers": {"count": 5}, "clients": {"count": 20}},
 "expect": [{"check": "count(deliver) > 0", §"because": "just for the sake of it"}]})J", R"J("because" is for waive)J"},
    {"cluster without clients", R"J({"scenario": "abc",
 "summary": "something to be shown",
 "duration": "60s",
 "cluster": §{"servers": {"count": 5}},
 "expect": [{"check": "count(deliver) > 0"}]})J", R"J("clients" is missing)J"},
    {"cluster without count", R"J({"scenario": "abc",
 "summary": "something to be shown",
 "duration": "60s",
 "cluster": {"servers": §{}, "clients": {"count": 5}},
 "expect": [{"check": "count(deliver) > 0"}]})J", R"J("count" is missing)J"},
    {"too many servers", R"J({"scenario": "abc",
 "summary": "something to be shown",
 "duration": "60s",
 "cluster": {"servers": {"count": §20000}, "clients": {"count": 5}},
 "expect": [{"check": "count(deliver) > 0"}]})J", R"J(from 1 to 10000)J"},
    {"too many clients", R"J({"scenario": "abc",
 "summary": "something to be shown",
 "duration": "60s",
 "cluster": {"servers": {"count": 2}, "clients": {"count": §"99M"}},
 "expect": [{"check": "count(deliver) > 0"}]})J", R"J(from 1 to 4000000)J"},
    {"no clients", R"J({"scenario": "abc",
 "summary": "something to be shown",
 "duration": "60s",
 "cluster": {"servers": {"count": 2}, "clients": {"count": §0}},
 "expect": [{"check": "count(deliver) > 0"}]})J", R"J(from 1 to)J"},
    {"count of words", R"J({"scenario": "abc",
 "summary": "something to be shown",
 "duration": "60s",
 "cluster": {"servers": {"count": §"many"}, "clients": {"count": 5}},
 "expect": [{"check": "count(deliver) > 0"}]})J", R"J(is no count)J"},
    {"attach", R"J({"scenario": "abc",
 "summary": "something to be shown",
 "duration": "60s",
 "cluster": {"servers": {"count": 2}, "clients": {"count": 5, "attach": §"randon"}},
 "expect": [{"check": "count(deliver) > 0"}]})J", R"J(did you mean "random")J"},
    {"group of itself", R"J({"scenario": "abc",
 "summary": "something to be shown",
 "duration": "60s",
 "cluster": {"servers": {"count": 2}, "clients": {"count": 5}, "groups": {"a": §"a"}},
 "expect": [{"check": "count(deliver) > 0"}]})J", R"J(made of itself)J"},
    {"group of nobody", R"J({"scenario": "abc",
 "summary": "something to be shown",
 "duration": "60s",
 "cluster": {"servers": {"count": 2}, "clients": {"count": 5}, "groups": {"a": §"s7"}},
 "expect": [{"check": "count(deliver) > 0"}]})J", R"J(s1 to s2)J"},
    {"group with a taken name", R"J({"scenario": "abc",
 "summary": "something to be shown",
 "duration": "60s",
 "cluster": {"servers": {"count": 2}, "clients": {"count": 5}, "groups": {§"clients": "c1"}},
 "expect": [{"check": "count(deliver) > 0"}]})J", R"J(another name)J"},
    {"config of a list", R"J({"scenario": "abc",
 "summary": "something to be shown",
 "duration": "60s",
 "cluster": {"servers": {"count": 2, "config": {"lease": §[]}}, "clients": {"count": 5}},
 "expect": [{"check": "count(deliver) > 0"}]})J", R"J(must be a string, a number)J"},
    {"no name", R"J({"scenario": §"A b",
 "summary": "something to be shown",
 "duration": "60s",
 "cluster": {"servers": {"count": 5}, "clients": {"count": 20}},
 "expect": [{"check": "count(deliver) > 0"}]})J", R"J(no name of a scenario)J"},
    {"short summary", R"J({"scenario": "abc",
 "summary": §"x",
 "duration": "60s",
 "cluster": {"servers": {"count": 5}, "clients": {"count": 20}},
 "expect": [{"check": "count(deliver) > 0"}]})J", R"J(in a sentence)J"},
    {"duration no string", R"J({"scenario": "abc",
 "summary": "something to be shown",
 "duration": §60,
 "cluster": {"servers": {"count": 5}, "clients": {"count": 20}},
 "expect": [{"check": "count(deliver) > 0"}]})J", R"J(must be a string)J"},
    {"duration zero", R"J({"scenario": "abc",
 "summary": "something to be shown",
 "duration": §"1ms",
 "cluster": {"servers": {"count": 5}, "clients": {"count": 20}},
 "expect": [{"check": "count(deliver) > 0"}]})J", R"J(at least 100ms)J"},
    {"duration too long", R"J({"scenario": "abc",
 "summary": "something to be shown",
 "duration": §"25h",
 "cluster": {"servers": {"count": 5}, "clients": {"count": 20}},
 "expect": [{"check": "count(deliver) > 0"}]})J", R"J(too large)J"},
    {"name missing", R"J(§{"summary": "something to be shown",
 "duration": "60s",
 "cluster": {"servers": {"count": 5}, "clients": {"count": 20}},
 "expect": [{"check": "count(deliver) > 0"}]})J", R"J("scenario" is missing)J"},
    {"duration missing", R"J(§{"scenario": "abc",
 "summary": "something to be shown",
 "cluster": {"servers": {"count": 5}, "clients": {"count": 20}},
 "expect": [{"check": "count(deliver) > 0"}]})J", R"J("duration" is missing)J"},
    {"cluster missing", R"J(§{"scenario": "abc",
 "summary": "something to be shown",
 "duration": "60s",
 "expect": [{"check": "count(deliver) > 0"}]})J", R"J("cluster" is missing)J"},
    {"expect missing", R"J(§{"scenario": "abc",
 "summary": "something to be shown",
 "duration": "60s",
 "cluster": {"servers": {"count": 5}, "clients": {"count": 20}}})J", R"J("expect" is missing)J"},
  };
  return files;
}
// clang-format on

/// Takes the sign out; its line and column.
Position take_sign(std::string& text) {
  constexpr std::string_view sign = "\xC2\xA7";
  const auto at = text.find(sign);
  REQUIRE(at != std::string::npos);
  Position position{1, 1};
  for (std::size_t i = 0; i < at; ++i) {
    position.column = text[i] == '\n' ? 1 : position.column + 1;
    position.line += text[i] == '\n' ? 1 : 0;
  }
  text.erase(at, sign.size());
  return position;
}

constexpr std::string_view good = R"({
  // as small as a scenario can be
  "scenario": "small", "summary": "as small as a scenario can be",
  "duration": "2m", /* of virtual time */
  "cluster": {"servers": {"count": 5, "config": {"lease": "6s", "owners-max": 100}}, "clients": {"count": "20k"},
              "groups": {"victims": "clients on s2 at kill", "half": "50% of clients except c[0..9]"}},
  "timeline": [{"id": "kill", "at": "1m", "do": "kill", "target": "s[2..3]", "for": "1.5s"}],
  "expect": [{"eventually": "connected(victims) >= 10 && p99(deliver.latency by half) < 50ms", "from": "kill+1s", "within": "5s"}]
})";

}  // namespace

TEST_CASE("every kind of broken scenario is told with its line, its column and what to write") {
  CHECK(broken_files().size() >= 100);
  for (const Broken& broken : broken_files()) {
    INFO(broken.what);
    std::string text = broken.text;
    const Position expected = take_sign(text);
    auto read = read_scenario(text, "x.json");
    const auto* problems = std::get_if<std::vector<Problem>>(&read);
    REQUIRE(problems != nullptr);
    INFO(format_problems(text, "x.json", *problems));
    bool is_told = false;
    for (const Problem& problem : *problems) {
      is_told = is_told || (problem.at.line == expected.line && problem.at.column == expected.column &&
                            problem.message.find(broken.says) != std::string::npos);
    }
    CHECK(is_told);
    CHECK(problems->size() == 1);  // one mistake, one sentence
  }
}

TEST_CASE("what nests deeper than anybody writes is refused before it is read") {
  std::string selector;
  while (selector.size() < 1'000) selector += "1% of ";
  const std::string text = R"({"scenario": "deep", "summary": "nests deeper than anybody writes", "duration": "60s",
    "cluster": {"servers": {"count": 1}, "clients": {"count": 1}, "groups": {"a": ")" +
                           selector + R"(clients"}},
    "expect": [{"check": "count(deliver) > 0"}]})";
  auto read = read_scenario(text, "deep.json");
  const auto& problems = std::get<std::vector<Problem>>(read);
  REQUIRE(problems.size() == 1);
  CHECK(problems[0].message == "\"a\" has 1009 characters; at most 1000 are read");
}

TEST_CASE("a good scenario means what it says") {
  auto read = read_scenario(good, "small.json");
  if (const auto* problems = std::get_if<std::vector<Problem>>(&read))
    FAIL(format_problems(good, "small.json", *problems));
  const auto& s = std::get<Scenario>(read);
  CHECK(s.name == "small");
  CHECK(s.duration == 120 * second);
  CHECK(s.clients == 20'000);
  CHECK(s.config.at(1).key == "owners-max");
  CHECK(s.config.at(1).value == "100");
  CHECK(s.timeline.at(0).duration == 1'500 * millisecond);
  CHECK(s.timeline.at(0).target->from == 2);
  CHECK(s.groups.at("half").kind == Selector::Kind::except);
  CHECK(s.groups.at("victims").name == "kill");
  REQUIRE(s.expect.at(0).expression.all.size() == 2);
  CHECK(s.expect.at(0).expression.all[1].right.number == Approx(50e6));
  CHECK(s.expect.at(0).from.step == "kill");
}

TEST_CASE("all that is wrong is said at once, with the line of the file and a mark") {
  const std::string text =
      "{\"scenario\": \"ab\", \"summary\": \"something shown\",\n \"duration\": \"60 sec\",\n \"wibble\": 1}";
  auto read = read_scenario(text, "dir/x.json");
  const auto& problems = std::get<std::vector<Problem>>(read);
  CHECK(problems.size() >= 4);
  const std::string said = format_problems(text, "dir/x.json", problems);
  CHECK(said.find("dir/x.json:2:14: error: \"duration\": \"sec\" is no unit of a duration: write 500ms or 2s\n") !=
        std::string::npos);
  CHECK(said.find("   \"duration\": \"60 sec\",\n               ^\n") != std::string::npos);
}

TEST_CASE("the config block is checked by whoever knows it, and its problems stand at their values") {
  const ConfigCheck check = [](const std::vector<ConfigEntry>& entries) {
    CHECK(entries.size() == 2);
    return std::vector<ConfigProblem>{{1, "no such option"}};
  };
  auto read = read_scenario(good, "small.json", check);
  const auto& problems = std::get<std::vector<Problem>>(read);
  REQUIRE(problems.size() == 1);
  CHECK(problems[0].at.line == 5);
  CHECK(problems[0].message == "config: no such option");
}

TEST_CASE("rooms and clients are named by their numbers, up to the last that there may be") {
  CHECK(std::get<std::uint32_t>(read_room("room:0")) == 0);
  CHECK(std::get<std::uint32_t>(read_room(" room:999999 ")) == 999'999);
  CHECK(std::get<TextError>(read_room("room:1000000")).message.find("room:0 to room:999999") != std::string::npos);
  for (const char* bad : {"", "room:", "room:-1", "room:1x", "3", "room:99999999999999999999"}) {
    INFO(bad);
    CHECK(std::holds_alternative<TextError>(read_room(bad)));
  }
  CHECK(std::get<std::uint32_t>(read_client("c7")) == 7);
  CHECK(std::holds_alternative<TextError>(read_client("7")));
}

TEST_CASE("quantities are written as they are read") {
  for (const char* text : {"0s", "500ms", "2s", "90s", "1h", "3us", "7ns"}) {
    auto read = read_duration(text);
    REQUIRE(std::holds_alternative<Nanos>(read));
    auto again = read_duration(write_duration(std::get<Nanos>(read)));
    CHECK(std::get<Nanos>(again) == std::get<Nanos>(read));
  }
  CHECK(write_chance(std::get<std::uint32_t>(read_chance("0.25%"))) == "0.25%");
  CHECK(write_size(std::get<std::uint64_t>(read_size("64KiB"))) == "64KiB");
  CHECK(write_rate(std::get<std::uint64_t>(read_rate("5k/s"))) == "5000/s");
  CHECK(nearest("recieve", {"receive", "send"}) == "receive");
}
