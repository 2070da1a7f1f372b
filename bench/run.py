#!/usr/bin/env python3
"""Two `wsr serve` and one Redis on loopback under load; prints a Markdown table. Started by `./dev bench`.

Servers and Redis share core 0 and the generator has core 1, so that figures mean "per server core in all" on any machine
and the generator never steals from what it measures. --no-pin leaves that to the scheduler.
"""
import argparse
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

WORKLOADS = {
    "w1-lone": ["direct", "--pairs", "1", "--window", "1"],
    "w1-p64-w1": ["direct", "--pairs", "64", "--window", "1"],
    "w1-p64-w16": ["direct", "--pairs", "64", "--window", "16"],
    "w1-open-1000": ["direct", "--pairs", "200", "--rate", "1000"],
    "w1-open-5000": ["direct", "--pairs", "200", "--rate", "5000"],
    "w1-open-20000": ["direct", "--pairs", "200", "--rate", "20000"],
    "fanin-64": ["fanin", "--pairs", "64", "--window", "4"],
    "local-p64-w16": ["direct", "--pairs", "64", "--window", "16"],
    "w2-r100-w4": ["fanout", "--members", "100", "--window", "4"],
    "w2-r1000-w4": ["fanout", "--members", "1000", "--window", "4"],
    "w2-r5000-w4": ["fanout", "--members", "5000", "--window", "4"],
    "w3-w64": ["rooms", "--rooms", "1000", "--members", "5", "--window", "64"],
    "w4-idle10k": ["idle", "--connections", "10000"],
}
SAYS = {
    "w1-lone": "1 pair A to B, one message in flight",
    "w1-p64-w1": "64 pairs A to B, one in flight each",
    "w1-p64-w16": "64 pairs A to B, 16 in flight each",
    "w1-open-1000": "200 pairs A to B, open loop, 1 000/s",
    "w1-open-5000": "200 pairs A to B, open loop, 5 000/s",
    "w1-open-20000": "200 pairs A to B, open loop, 20 000/s",
    "fanin-64": "64 senders on A to one client on B, 4 in flight each",
    "local-p64-w16": "64 pairs, both ends on A, 16 in flight each",
    "w2-r100-w4": "a room of 100 over both servers, 4 in flight",
    "w2-r1000-w4": "a room of 1 000, 4 in flight",
    "w2-r5000-w4": "a room of 5 000, 4 in flight",
    "w3-w64": "1 000 rooms of 5, any member pushes, 64 in flight in all",
    "w4-idle10k": "10 000 idle connections on A",
}


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Cluster:
    """redis-server and two servers, each on a free port; everything ends with the with-block."""

    def __init__(self, wsr, pin):
        self.wsr, self.pin, self.processes = wsr, pin, []
        self.directory = tempfile.mkdtemp(prefix="wsr-bench-")

    def spawn(self, name, *argv):
        log = open(os.path.join(self.directory, name + ".log"), "wb")
        prefix = ["taskset", "-c", "0"] if self.pin else []
        # A run directory of its own: `wsr send` on this machine must not find the servers of a benchmark.
        environment = {k: v for k, v in os.environ.items() if not k.startswith("WSR_")}
        environment["XDG_RUNTIME_DIR"] = self.directory
        process = subprocess.Popen([*prefix, *argv], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                   cwd=self.directory, env=environment)
        self.processes.append((name, process))
        return process

    def wait_until(self, name, is_up):
        process = dict(self.processes)[name]
        for _ in range(200):
            if process.poll() is not None:
                break
            if is_up():
                return
            time.sleep(0.05)
        with open(os.path.join(self.directory, name + ".log"), "rb") as log:
            raise SystemExit(f"bench: {name} did not come up:\n" + log.read()[-2000:].decode(errors="replace"))

    def __enter__(self):
        try:
            return self.start()
        except BaseException:
            self.__exit__()
            raise

    def start(self):
        redis_port = free_port()
        self.spawn("redis", "redis-server", "--port", str(redis_port), "--bind", "127.0.0.1", "--save", "",
                   "--appendonly", "no")
        self.wait_until("redis", lambda: answers_ping(redis_port))
        self.ports = []
        for name in ("a", "b"):
            port = free_port()
            self.ports.append(port)
            self.spawn(name, self.wsr, "serve", "-p", str(port), "--name", "bench-" + name,
                       "--store", f"redis://127.0.0.1:{redis_port}", "--shards", "1")
            self.wait_until(name, lambda p=port: is_ready(p))
        by_name = dict(self.processes)
        self.pids = [by_name[name].pid for name in ("a", "b", "redis")]
        return self

    def __exit__(self, *_):
        for _, process in reversed(self.processes):
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        for _, process in reversed(self.processes):
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
        shutil.rmtree(self.directory, ignore_errors=True)


def answers_ping(port):
    try:
        with socket.create_connection(("127.0.0.1", port), 0.5) as s:
            s.sendall(b"PING\r\n")
            return s.recv(16).startswith(b"+PONG")
    except OSError:
        return False


def is_ready(port):
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=0.5) as answer:
            return answer.status == 200
    except OSError:
        return False


def measure(label, options):
    """One workload on freshly started servers, so that no run inherits another's memory or caches."""
    with Cluster(options.wsr, options.pin) as cluster:
        a, b = cluster.ports
        if label.startswith("local"):
            b = a
        argv = [options.load, *WORKLOADS[label], "--a", str(a), "--b", str(b), "--pids", ",".join(map(str, cluster.pids))]
        if label != "w4-idle10k":
            argv += ["--seconds", str(options.seconds)]
        prefix = ["taskset", "-c", "1"] if options.pin else []
        done = subprocess.run([*prefix, *argv], stdout=subprocess.PIPE, text=True, timeout=120 + 2 * options.seconds)
        if done.returncode != 0:
            raise SystemExit(f"bench: {label} failed; see above")
        return json.loads(done.stdout)


def median_run(runs, key):
    """A whole run is kept, not a median of each figure: the figures of one line belong together."""
    return sorted(runs, key=lambda run: run[key])[(len(runs) - 1) // 2]


def us(value):
    return f"{value / 1000:.2f} ms" if value >= 1000 else f"{value:.0f} us"


def table(results):
    direct = [(label, runs) for label, runs in results.items() if label != "w4-idle10k"]
    if direct:
        print("| workload | deliveries/s | p50 | p99 | p99.9 | CPU s per million | lost | doubled | misordered | generator cores |")
        print("|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|")
        for label, runs in direct:
            r = median_run(runs, "deliveries_per_s")
            wrong = {key: max(run[key] for run in runs) for key in ("lost", "dup", "misordered")}  # the worst of all runs
            print(f"| {label}: {SAYS[label]} | {r['deliveries_per_s']:,.0f} | {us(r['lat_p50_us'])} | {us(r['lat_p99_us'])} "
                  f"| {us(r['lat_p999_us'])} | {r['cpu_s_per_million']:.2f} | {wrong['lost']} | {wrong['dup']} "
                  f"| {wrong['misordered']} | {r['cpu_gen_cores']:.2f} |")
    if "w4-idle10k" in results:
        r = median_run(results["w4-idle10k"], "rss_kb_per_connection")
        print(f"\nw4-idle10k: {SAYS['w4-idle10k']}: {r['rss_kb_per_connection']:.2f} KB RSS a connection, "
              f"{r['connects_per_s']:,.0f} connects/s.")


def main():
    parser = argparse.ArgumentParser(prog="./dev bench", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("workloads", nargs="*", metavar="WORKLOAD", help="default: all of " + ", ".join(WORKLOADS))
    parser.add_argument("--wsr", required=True, help=argparse.SUPPRESS)
    parser.add_argument("--load", required=True, help=argparse.SUPPRESS)
    parser.add_argument("--seconds", type=float, default=5, help="measured seconds of a run (default 5)")
    parser.add_argument("--runs", type=int, default=1, help="runs of each workload; the median one is shown")
    parser.add_argument("--no-pin", dest="pin", action="store_false", help="leave the cores to the scheduler")
    parser.add_argument("--json", metavar="FILE", help="also write every run's figures")
    options = parser.parse_args()
    options.wsr, options.load = os.path.abspath(options.wsr), os.path.abspath(options.load)
    unknown = [w for w in options.workloads if w not in WORKLOADS]
    if unknown:
        parser.error(f"no workload {', '.join(unknown)}; there are: {', '.join(WORKLOADS)}")
    if options.pin and (len(os.sched_getaffinity(0)) < 2 or not shutil.which("taskset")):
        print("bench: fewer than two cores or no taskset: not pinned", file=sys.stderr)
        options.pin = False

    results = {}
    # Rounds over all workloads, so that a slow minute of the machine does not fall on one of them alone.
    for round_number in range(options.runs):
        for label in options.workloads or WORKLOADS:
            print(f"bench: {label} ({round_number + 1}/{options.runs})", file=sys.stderr)
            results.setdefault(label, []).append(measure(label, options))
    table(results)
    if options.json:
        with open(options.json, "w", encoding="utf-8") as out:
            json.dump(results, out, indent=1)
            out.write("\n")


if __name__ == "__main__":
    main()
