#!/usr/bin/env python3
"""How long clients cannot be reached when a server or Redis fails: real processes, seen from outside, a table.

Three servers `a`, `b`, `c` and one Redis on loopback, everything at its defaults. 90 clients, 30 on each server, get four
messages a second from senders on servers that stay; so every server knows every route when the fault comes. A client
whose connection ends is back on another server at once or after 20 to 300 ms; one whose server is silent gives it up after three
seconds. After its welcome it is written to every 50 ms from each server, until a message of each has reached it.
"""
from __future__ import annotations

import argparse
import asyncio
import json
import math
import os
import random
import statistics
import sys
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import asdict, dataclass, field

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tests", "chaos"))

from chat import Lag, Link  # noqa: E402
from journal import Connection, Journal, Message, Outage  # noqa: E402
from judge import Allowances, Finding, Judge, offline_while_connected, summary  # noqa: E402
from lab import Broken, Lab, Redis, Relay, Server, find_redis, get, until  # noqa: E402

CLIENTS, SENDERS = 90, 4  # in all; on each server
PERIOD = 0.25  # a client gets a message this often
GIVE_UP = 3.0  # silence after which a client looks for another server
IS_LATE = 0.25  # a message that is longer on its way than this has met somebody who could not be reached
ROUND_TRIP = 0.25  # a connection that died this close to a word explains why a delivered message was not read


class Client:
    def __init__(self, run: Run, name: str, home: str) -> None:
        self.run, self.name, self.home = run, name, home
        self.link: Link | None = None
        self.trying: Link | None = None
        self.moves = 0

    def connect(self, server: str) -> None:
        record = self.run.journal.connect(self.name, server, self.run.now())
        self.trying = Link(self, record, self.run.journal, self.run.now)
        self.run.spawn(self.trying.connect(self.run.ports[server]))

    def move(self) -> None:
        """To one of the servers that a load balancer would send it to."""
        if self.trying is None and not self.run.is_over:
            self.moves += 1
            self.connect(self.run.rng.choice([s for s in self.run.open if s != self.home or len(self.run.open) == 1]))

    def give_up(self) -> None:
        """Half of them close the silent connection, half forget it."""
        if self.link is not None and self.run.rng.random() < 0.5:
            self.link.close()
        else:
            self.move()

    def on_welcome(self, link: Link, _: dict) -> None:
        if link is self.trying:
            self.trying = None
            is_first, self.link, self.home = self.link is None and self.moves == 0, link, link.record.server
            if not is_first:
                self.run.spawn(self.run.probe(self, link))

    def on_end(self, link: Link) -> None:
        if link is self.trying:
            self.trying = None
        elif link is self.link:
            self.link = None
        else:
            return
        asyncio.get_running_loop().call_later(self.run.rng.choice((0.0, self.run.rng.uniform(0.02, 0.3))), self.come_back)

    def come_back(self) -> None:
        if self.link is None:  # no other attempt was welcomed meanwhile
            self.move()

    def on_read(self, link: Link, message: Message) -> None:
        pass

    def on_frame(self, link: Link, frame: dict) -> None:
        pass


class Run:
    """One row, played once."""

    def __init__(self, lab: Lab, seed: int) -> None:
        self.lab, self.now = lab, lab.now
        self.rng = random.Random(seed)
        self.journal = Journal()
        self.servers: dict[str, Server] = {}
        self.ports: dict[str, int] = {}  # where clients connect; a relay's, perhaps
        self.open: list[str] = []  # the servers that new connections go to
        self.writers: list[str] = []  # the servers whose senders write
        self.redis: Redis
        self.clients: list[Client] = []
        self.senders: dict[str, list[Client]] = {}
        self.fault: Outage
        self.is_over = False
        self._tasks: set[asyncio.Task] = set()

    def spawn(self, work: Awaitable) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def start(self, row: Row) -> None:
        self.redis = await self.lab.redis()
        self.store_relay = await self.lab.relay(self.redis.port) if row.has_relays else None
        for name in "abc":
            behind = row.has_relays and (name == "a" or row.victim == "redis")
            store = f"redis://127.0.0.1:{self.store_relay.port}" if behind else self.redis.url
            server = self.servers[name] = self.lab.server(name, store)
            server.start()
        for name, server in self.servers.items():
            await server.ready()
            await server.learn_incarnation()
            self.ports[name] = server.port
        if row.has_relays and row.victim == "a":
            self.client_relay = await self.lab.relay(self.ports["a"])
            self.ports["a"] = self.client_relay.port
        self.open = list(self.servers)
        self.writers = [name for name in self.servers if name != row.victim]
        self.clients = [Client(self, f"c{n}", "abc"[n % 3]) for n in range(CLIENTS)]
        self.senders = {name: [Client(self, f"s-{name}{n}", name) for n in range(SENDERS)] for name in self.writers}
        everybody = [*self.clients, *(sender for senders in self.senders.values() for sender in senders)]
        for client in everybody:
            client.connect(client.home)
        await until("everybody is connected", lambda: all(client.link for client in everybody), 20)
        self.spawn(self.talk())
        await asyncio.sleep(2)

    def write(self, server: str, to: str) -> None:
        sender = self.rng.choice(self.senders[server])
        if sender.link is not None:
            sender.link.send(to)

    async def talk(self) -> None:
        """Each client once in a PERIOD, evenly, from one server after the other."""
        turn, due = 0, self.now()
        while not self.is_over:
            while due <= self.now():
                writer = (turn + turn // CLIENTS) % len(self.writers)
                self.write(self.writers[writer], self.clients[turn % CLIENTS].name)
                turn += 1
                due += PERIOD / CLIENTS
            await asyncio.sleep(0.005)

    async def probe(self, client: Client, link: Link) -> None:
        """Writes to who was just welcomed until each server has reached it."""
        missing, first = set(self.writers), len(self.journal.messages)
        for _ in range(100):
            for server in sorted(missing):
                self.write(server, client.name)
            await asyncio.sleep(0.05)
            mine = (m for m in self.journal.messages[first:] if m.to == client.name and m.arrivals
                    and m.arrivals[0].connection.number >= link.record.number)
            missing -= {m.sender.server for m in mine}
            if not missing or self.is_over or not link.is_open:
                return

    def begin(self, target: str, kind: str) -> Outage:
        self.fault = Outage(target, kind, self.now())
        self.journal.outages.append(self.fault)
        return self.fault

    def mended(self) -> None:
        self.fault.end = self.now()

    def on_victim(self) -> list[Client]:
        return [client for client in self.clients if client.link is not None and client.link.record.server == "a"]

    async def some_move(self, within: float) -> None:
        """A third of the clients move while the store is in trouble, at even times; the others stay where they are."""
        movers = self.clients[::3]
        for client in movers:
            await asyncio.sleep(within / len(movers))
            client.move()

    async def finish(self) -> None:
        self.is_over = True
        mine = [m for m in self.journal.messages]
        try:
            await until("all words", lambda: all(m.word for m in mine), 8, 0.1)
        except Broken:
            pass
        for name in self.writers:
            server = self.servers[name]

            async def is_quiet(server: Server = server) -> bool:
                stats = await get(server.port, "/api/stats")
                self.journal.counted[stats["server"]] = stats
                return stats["in_flight"] == 0
            try:
                await until(f"{name} is quiet", is_quiet, 8, 0.2)
            except Broken:
                pass
        for task in self._tasks:
            task.cancel()


# ---- the rows -------------------------------------------------------------------------------------------------------

async def stop(run: Run) -> None:
    run.open.remove("a")
    run.begin("a", "stop")
    await run.servers["a"].terminate()
    run.mended()


async def kill(run: Run) -> None:
    run.open.remove("a")
    run.begin("a", "kill")
    run.servers["a"].kill()


async def give_up(run: Run) -> None:
    run.open.remove("a")
    await asyncio.sleep(GIVE_UP)
    for client in run.on_victim():
        client.give_up()


def freeze(seconds: float) -> Callable[[Run], Awaitable[None]]:
    async def play(run: Run) -> None:
        run.begin("a", "freeze")
        run.servers["a"].freeze()
        await give_up(run)
        await asyncio.sleep(seconds - GIVE_UP)
        run.servers["a"].thaw()
        run.mended()
    return play


async def power(run: Run) -> None:
    run.begin("a", "power")
    run.store_relay.swallow()
    run.client_relay.swallow()
    await give_up(run)


async def redis_restart(run: Run) -> None:
    run.begin("redis", "restart")
    run.redis.kill()
    moving = asyncio.ensure_future(run.some_move(1.5))
    await asyncio.sleep(1)
    await run.redis.start()
    run.mended()
    await moving


def stall(seconds: float) -> Callable[[Run], Awaitable[None]]:
    async def play(run: Run) -> None:
        run.begin("redis", "stall")
        run.redis.freeze()
        moving = asyncio.ensure_future(run.some_move(seconds + 0.5))
        await asyncio.sleep(seconds)
        run.redis.thaw()
        run.mended()
        await moving
    return play


def hole(seconds: float) -> Callable[[Run], Awaitable[None]]:
    async def play(run: Run) -> None:
        run.begin("redis", "hole")
        run.store_relay.swallow()
        moving = asyncio.ensure_future(run.some_move(seconds + 0.5))
        await asyncio.sleep(seconds)
        run.store_relay.mend()
        run.mended()
        await moving
    return play


@dataclass(frozen=True)
class Row:
    says: str
    victim: str  # "a" or "redis"
    play: Callable[[Run], Awaitable[None]]
    watch: float  # seconds that are looked at behind it
    reached_max: float = 1.5  # seconds: the target for clients that moved
    has_relays: bool = False


ROWS = {
    "stop": Row("graceful stop of a server", "a", stop, 4, 0.3),
    "kill": Row("kill -9 of a server", "a", kill, 11, 0.3),
    "freeze-10": Row("SIGSTOP of a server for 10 s", "a", freeze(10), 5),
    "freeze-40": Row("SIGSTOP of a server for 40 s", "a", freeze(40), 5),
    "power": Row("power loss of a server's host", "a", power, 12, has_relays=True),
    "redis-restart": Row("Redis killed, empty again after 1 s", "redis", redis_restart, 8),
    "stall-3": Row("Redis stands still for 3 s", "redis", stall(3), 7),
    "hole-3": Row("black hole in front of Redis for 3 s", "redis", hole(3), 8, has_relays=True),
    "hole-10": Row("black hole in front of Redis for 10 s", "redis", hole(10), 8, has_relays=True),
}


# ---- what the journal says ------------------------------------------------------------------------------------------

@dataclass
class Figures:
    """Of one run. Seconds; infinite: not before the end."""
    reached: list[float] = field(default_factory=list)  # each moved client: from its welcome
    back: float = 0.0  # from the fault until everybody who is connected was reachable
    welcomes: list[float] = field(default_factory=list)  # each moved client: from connecting to its welcome
    told: dict[str, int] = field(default_factory=dict)
    lost: int = 0
    offline: int = 0
    broken: list[str] = field(default_factory=list)  # further findings of the judge, and how many
    lag: float = 0.0


def figures_of(run: Run, row: Row) -> tuple[Figures, list[Finding]]:
    journal, fault, figures = run.journal, run.fault, Figures(lag=run.journal.lag_max)
    judge = Judge(journal, Allowances(round_trip=ROUND_TRIP, settle=0.0, after_thaw=0.0))
    names = {client.name for client in run.clients}
    to: dict[str, list[Message]] = {name: [] for name in names}
    for message in judge.direct():
        to[message.to].append(message)
    moved = [c for c in journal.connections if c.client in names and c.began > fault.start]
    # Through a store that is not there nobody is reached: there the time counts from its return.
    usable = fault.end if row.victim == "redis" else 0.0
    back = fault.start
    for connection in moved:
        if connection.welcomed is None:
            if connection.ended is None:
                figures.welcomes.append(math.inf)
            continue
        figures.welcomes.append(connection.welcomed - connection.began)
        for server in run.writers:
            at = first_reached(to[connection.client], connection, server)
            figures.reached.append(max(0.0, at - max(connection.welcomed, usable)))
            back = max(back, at)
    gaps = sorted(gap for name in names for gap in gaps_of(judge, to[name], fault))
    figures.back = max([back, *(at for at, _ in gaps)]) - fault.start
    figures.told = journal.words()
    lost, offline = list(judge.lost()), offline_while_connected(journal)
    figures.lost, figures.offline = len(lost), len(offline)
    others = [finding for rule in (judge.misdelivered, judge.doubled, judge.untrue, judge.late, judge.takeover,
                                   judge.thrown_out, judge.wordless, judge.sums) for finding in rule()]
    figures.broken = sorted({finding.rule for finding in others})
    return figures, [*lost, *others, *(Finding("offline while connected", judge.story(m)) for m in offline),
                     *(Finding("slow", f"reached again {seconds(at - fault.start)} s after the fault: {judge.story(journal.messages[n])}")
                       for at, n in gaps[-3:])]


def first_reached(messages: list[Message], connection: Connection, server: str) -> float:
    """When the first message that was submitted on `server` after the welcome came; infinite: never."""
    return min((m.arrivals[0].at for m in messages if m.sender.server == server and m.at >= connection.welcomed
                and m.arrivals and m.arrivals[0].connection.number >= connection.number), default=math.inf)


def gaps_of(judge: Judge, messages: list[Message], fault: Outage) -> Iterator[tuple[float, int]]:
    """For each message to a connected client that was late or never came: when the client was reached again."""
    for index, message in enumerate(messages):
        if message.at < fault.start or (message.arrivals and message.arrivals[0].at - message.at <= IS_LATE):
            continue
        connection = judge.current(message.to, message.at)
        is_on_victim = connection is not None and connection.server == fault.target
        if connection is None or is_on_victim or (connection.ended is not None and connection.ended <= message.at + IS_LATE):
            continue
        yield next((m.arrivals[0].at for m in messages[index:] if m.arrivals), math.inf), message.number


async def play(lab: Lab, row: Row, seed: int) -> Run:
    run = Run(lab, seed)
    lag = Lag(run.journal)
    try:
        await run.start(row)
        await row.play(run)
        await asyncio.sleep(row.watch)
        await run.finish()
    finally:
        lag.stop()
    return run


def measure(wsr: str, name: str, number: int, folder: str) -> Figures:
    row = ROWS[name]
    where = os.path.join(folder, f"{name}-{number}")
    with Lab(wsr, where) as lab:
        run = asyncio.run(play(lab, row, number))
        figures, findings = figures_of(run, row)
    with open(os.path.join(where, "journal.jsonl"), "w", encoding="utf-8") as out:
        out.writelines(line + "\n" for line in run.journal.lines())
    with open(os.path.join(where, "findings.txt"), "w", encoding="utf-8") as out:
        out.writelines(f"{finding.rule}: {finding.says}\n" for finding in findings)
    if wrong := [finding for finding in findings if finding.rule != "slow"]:
        print(summary(wrong, 2), file=sys.stderr)
    return figures


# ---- the table ------------------------------------------------------------------------------------------------------

def seconds(value: float) -> str:
    return "never" if math.isinf(value) else f"{value:.2f}" if value >= 0.095 else f"{value:.3f}"


def both(values: list[float]) -> str:
    """Median and maximum of the runs."""
    return f"{seconds(statistics.median(values))} / {seconds(max(values))}" if values else "-"


def table(results: dict[str, list[Figures]]) -> str:
    lines = ["| fault | moved client reached, median | moved client reached, slowest | everybody reachable | slowest welcome "
             "| delivered | offline | unknown | dropped | lost silently | `offline` while connected | further |",
             "|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---|"]
    for name, runs in results.items():
        told = {word: sum(count for run in runs for w, count in run.told.items() if w.split("(")[0] == word)
                for word in ("delivered", "offline", "unknown", "dropped")}
        further = sorted({rule for run in runs for rule in run.broken}) or ["-"]
        lines.append(
            f"| {ROWS[name].says} | {both([statistics.median(r.reached) for r in runs if r.reached])} "
            f"| {both([max(r.reached) for r in runs if r.reached])} | {both([r.back for r in runs])} "
            f"| {both([max(r.welcomes) for r in runs if r.welcomes])} | {told['delivered']} | {told['offline']} "
            f"| {told['unknown']} | {told['dropped']} | {sum(r.lost for r in runs)} | {sum(r.offline for r in runs)} "
            f"| {', '.join(further)} |")
    return "\n".join(lines)


def missed(results: dict[str, list[Figures]]) -> list[str]:
    """The targets that were not met."""
    said = []
    for name, runs in results.items():
        slowest = max((max(r.reached, default=0.0) for r in runs), default=0.0)
        if slowest > ROWS[name].reached_max:
            said.append(f"{name}: a moved client was reached {seconds(slowest)} s after its welcome, at most "
                        f"{ROWS[name].reached_max} s is wanted")
        for what, count in (("messages were lost silently", sum(r.lost for r in runs)),
                            ("messages were told `offline` of connected clients", sum(r.offline for r in runs))):
            if count:
                said.append(f"{name}: {count} {what}")
    return said


def main() -> int:
    parser = argparse.ArgumentParser(prog="./dev bench availability", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", nargs="*", metavar="ROW", help="default: all of " + ", ".join(ROWS))
    parser.add_argument("--wsr", required=True, help=argparse.SUPPRESS)
    parser.add_argument("--runs", type=int, default=5, help="runs of each row (default 5)")
    parser.add_argument("--folder", default="build/availability", help="for logs and journals (default %(default)s)")
    parser.add_argument("--json", metavar="FILE", help="also write every run's figures")
    options = parser.parse_args()
    unknown = [row for row in options.rows if row not in ROWS]
    if unknown:
        parser.error(f"no row {', '.join(unknown)}; there are: {', '.join(ROWS)}")
    if find_redis() is None:
        parser.error("neither redis-server nor valkey-server is installed")
    results: dict[str, list[Figures]] = {}
    for name in options.rows or ROWS:
        for number in range(options.runs):
            print(f"bench: {name} ({number + 1}/{options.runs})", file=sys.stderr, flush=True)
            figures = measure(options.wsr, name, number, options.folder)
            results.setdefault(name, []).append(figures)
            print(f"bench:   reached {seconds(max(figures.reached, default=0.0))}, everybody {seconds(figures.back)}, welcome "
                  f"{seconds(max(figures.welcomes, default=0.0))}, {figures.told}, lost {figures.lost}, offline "
                  f"{figures.offline}, {figures.broken}, own lag {figures.lag:.2f}", file=sys.stderr, flush=True)
    print(table(results))
    if options.json:
        with open(options.json, "w", encoding="utf-8") as out:
            json.dump({name: [asdict(run) for run in runs] for name, runs in results.items()}, out, indent=1)
            out.write("\n")
    said = missed(results)
    for sentence in said:
        print("not met: " + sentence)
    return 1 if said else 0


if __name__ == "__main__":
    sys.exit(main())
