#!/usr/bin/env bash
# sim.sh WSR: how fast `wsr simulate` is; a Markdown table. Started by `./dev bench sim`.
set -euo pipefail
wsr=$1
here=$(dirname "$(readlink -f "$0")")/..
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
echo '| what | runs | events | real time | M events/s | ms a run | peak memory |'
echo '|---|---:|---:|---:|---:|---:|---:|'
# row WHAT RUNS ARGS...
row() {
  local what=$1 runs=$2
  shift 2
  python3 - "$what" "$runs" "$out" "$wsr" simulate "$@" --quiet --out "$out" <<'PY'
import json, resource, subprocess, sys, time
what, runs, out, *command = sys.argv[1:]
begin = time.time()
subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
took = time.time() - begin
result = json.load(open(out + "/result.json"))["scenarios"][0]
events = sum(run["events"] for run in result["runs"])
peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
print(f"| {what} | {runs} | {events:,} | {result['seconds']:.2f} s | {events / result['seconds'] / 1e6:.2f} "
      f"| {result['seconds'] * 1000 / int(runs):.1f} | {peak:,.0f} MB |", flush=True)
PY
}
row '200 clients, 5 servers, 2 min, 10 messages/s' 100 "$here/bench/sim-two-minutes.json" --seeds 1..100 --jobs 1
row '200 clients, 5 servers, 80 s, 65 messages/s: hard-death' 50 "$here/scenarios/hard-death.json" --seeds 1..50 --jobs 1
row 'the same, two jobs' 100 "$here/scenarios/hard-death.json" --seeds 1..100 --jobs 2
row '300 clients, 6 servers, 60 s: reconnect-storm' 50 "$here/scenarios/reconnect-storm.json" --seeds 1..50 --jobs 1
row 'rooms under churn: room-churn' 50 "$here/scenarios/room-churn.json" --seeds 1..50 --jobs 1
row 'everything at once: swarm, two jobs' 200 "$here/scenarios/swarm.json" --seeds 1..200 --jobs 2
row '100 000 clients, 100 servers, 35 s' 1 "$here/bench/sim-hundred-thousand.json" --jobs 1
row '1 000 000 clients, 1 000 servers, 35 s' 1 "$here/scenarios/million-clients.json" --jobs 1
