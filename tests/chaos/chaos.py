#!/usr/bin/env python3
"""Chaos over real processes: four servers, one Redis and 400 clients, and faults drawn from one seed.

Clients write to each other, move, come and go, join rooms and push, while servers are killed, stopped, frozen beyond
their lease, and Redis restarts, forgets, stands still or is full. What everybody saw goes into a journal; at the end a
judge reads it. Exit code: 0 all promises were kept; 1 findings, or a run that could not be played; 77 no Redis.
"""
from __future__ import annotations

import argparse
import asyncio
import os
import random
import statistics
import sys
import time
from collections import Counter
from dataclasses import dataclass

from chat import Lag, Link
from journal import Journal, Listing, Message, Outage, Stay
from judge import Allowances, Judge, compare, summary
from lab import Broken, Lab, Redis, Server, find_redis, get, until

SERVERS = 4
ROOMS = 12
LEASE = 6.0  # the servers' default
SILENT_MAX = 3.0  # a client that has heard nothing for this long, and had no pong, looks for another server
WELCOME_MAX = 6.0  # and one that was not welcomed for this long
RATE, PUSH_RATE, MOVE_RATE = 150, 4, 10  # messages, pushes and changes of mind a second, of all 400 clients together
SETTLE_MAX = 45.0  # from the last fault on: until everybody is connected, in the rooms, and every table is right


class Client:
    """A person: wants to be connected, and in some rooms; moves when a server is silent, and at times for no reason."""

    def __init__(self, world: World, name: str, rng: random.Random) -> None:
        self.world, self.name, self.rng = world, name, rng
        self.link: Link | None = None  # the newest that was welcomed
        self.trying: Link | None = None
        self.next_try = 0.0
        self.older: list[tuple[float, Link]] = []  # left behind and open, with the time to close them
        self.peers: list[str] = []
        self.stays: dict[str, Stay] = {}  # the rooms that it wants to be in
        self.rooms: set[str] = set()  # and those that the server says it is in
        self.asked: dict[str, tuple[str, float]] = {}  # joins and leaves under way, by room: which, and since when
        self.asks = 0
        self.is_leaving_for_good = False

    # ---- what the link tells ----

    def on_welcome(self, link: Link, frame: dict) -> None:
        if self.link is not None and self.link.record.number > link.record.number:
            return  # an older attempt was welcomed late; the judge looks at what came of that
        if link is self.trying:
            self.trying = None
        self.link = link
        self.rooms = set(frame.get("rooms", ()))
        self.asked.clear()
        for room in self.rooms:
            self.note_listed(room, link.record.began)
        self.mend_rooms()

    def on_end(self, link: Link) -> None:
        if link is self.trying:
            self.trying = None
        if link is self.link:
            self.link = None
            self.rooms.clear()
            self.asked.clear()
        self.next_try = self.world.now() + self.rng.uniform(0.02, 0.5)

    def on_read(self, link: Link, message: Message) -> None:
        pass

    def on_frame(self, link: Link, frame: dict) -> None:
        if link is not self.link:
            return
        op, room = frame["op"], frame.get("room")
        if op == "presence":
            if frame.get("client") == self.name and frame["event"] == "leave":
                self.rooms.discard(room)
        elif op == "rejoined":
            self.rooms.add(room)
            self.note_listed(room, self.world.now())
        elif op in ("ok", "error") and frame.get("id", "").count(":") == 2:
            verb, _, room = frame["id"].split(":")
            if self.asked.get(room, ("", 0.0))[0] != frame["id"]:
                return  # the answer to one that was asked again meanwhile
            del self.asked[room]
            if verb == "join":
                (self.rooms.add if op == "ok" else self.rooms.discard)(room)
            elif op == "ok" or frame.get("code") == "not_found":
                self.rooms.discard(room)
                for stay in self.world.open_stays.pop((self.name, room), ()):
                    stay.left = self.world.now()

    # ---- what it does ----

    def ask(self, verb: str, room: str) -> None:
        self.asks += 1
        name = f"{verb}:{self.asks}:{room}"
        self.asked[room] = name, self.world.now()
        self.link.say(op=verb, room=room, id=name, **({"presence": False} if verb == "join" else {}))

    def mend_rooms(self) -> None:
        """Asks again for what was refused, not answered, or lost with a connection."""
        for room in set(self.stays) - self.rooms - set(self.asked):
            self.ask("join", room)
        for room in self.rooms - set(self.stays) - set(self.asked):
            self.ask("leave", room)

    def note_listed(self, room: str, since: float) -> None:
        if room not in self.stays:
            self.world.journal.listings.append(Listing(self.name, room, since, self.world.now()))

    def want(self, room: str) -> None:
        stay = Stay(self.name, room, self.world.now())
        self.stays[room] = stay
        self.world.journal.stays.append(stay)
        self.world.open_stays.setdefault((self.name, room), []).append(stay)

    def change_rooms(self) -> None:
        """Leaves one room and joins another."""
        if self.link is None or self.asked or not self.rooms >= set(self.stays):
            return
        old = self.rng.choice(sorted(self.stays))
        new = self.rng.choice([room for room in self.world.rooms if room not in self.stays])
        del self.stays[old]
        self.ask("leave", old)
        self.want(new)
        self.ask("join", new)

    def connect(self) -> None:
        server = self.rng.choice([s for s in self.world.servers if s not in self.world.closed])
        record = self.world.journal.connect(self.name, server.name, self.world.now())
        self.trying = Link(self, record, self.world.journal, self.world.now)
        self.world.spawn(self.trying.connect(server.port))

    def leave_behind(self, link: Link) -> None:
        """Gives up a connection: FIN, RST, or not a word and it stays open, read on."""
        how = self.rng.randrange(3)
        if how == 0:
            link.close()
        elif how == 1:
            link.abort()
        else:
            self.older.append((self.world.now() + self.rng.uniform(5, 20), link))

    def move(self) -> None:
        """Connects elsewhere while the older connection is open, or drops it first."""
        if self.link is None or self.trying is not None:
            return
        if self.rng.random() < 0.25:
            (self.link.close if self.rng.random() < 0.5 else self.link.abort)()
        else:
            self.connect()

    def tick(self, now: float) -> None:
        if self.is_leaving_for_good:
            return
        for close_at, link in list(self.older):
            if link.record.ended is not None or close_at < now:
                link.close()
                self.older.remove((close_at, link))
        if self.trying is not None and now - self.trying.record.began > WELCOME_MAX:
            gone, self.trying = self.trying, None
            self.leave_behind(gone)
        if self.link is not None:
            if now - self.link.heard > SILENT_MAX and self.link.is_pinged:
                gone, self.link = self.link, None
                self.rooms.clear()
                self.asked.clear()
                self.leave_behind(gone)
            elif now - self.link.heard > 1.0 and not self.link.is_pinged:
                self.link.ping()
        if self.link is not None:
            for room, (_, at) in list(self.asked.items()):
                if now - at > 4.0:  # not answered
                    del self.asked[room]
            if self.world.is_even_tick:
                self.mend_rooms()
        elif self.trying is None and now >= self.next_try:
            self.connect()

    def is_settled(self) -> bool:
        return self.link is not None and self.trying is None and not self.asked and self.rooms == set(self.stays)

    def say_goodbye(self) -> None:
        self.is_leaving_for_good = True
        for link in [self.link, self.trying, *(link for _, link in self.older)]:
            if link is not None:
                link.close()


@dataclass
class Sample:
    at: float
    resident_kib: int
    descriptors: int


class World:
    def __init__(self, lab: Lab, options: argparse.Namespace) -> None:
        self.lab, self.options = lab, options
        self.journal = Journal()
        self.now = lab.now
        self.rng = random.Random(options.seed)  # for the clients; the faults have their own
        self.servers: list[Server] = []
        self.closed: set[Server] = set()  # being started: a load balancer would not send anybody there
        self.redis: Redis | None = None
        self.rooms = [f"r{n}" for n in range(ROOMS)]
        self.open_stays: dict[tuple[str, str], list[Stay]] = {}
        self.clients: dict[str, Client] = {}
        self.samples: dict[str, list[Sample]] = {}
        self.idle_descriptors = 0
        self.idle_redis_bytes = 0
        self.is_even_tick = False
        self.is_talking = True
        self._tasks: set[asyncio.Task] = set()
        self._errors: list[BaseException] = []

    def spawn(self, work) -> asyncio.Task:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)

        def done(it: asyncio.Task) -> None:
            self._tasks.discard(it)
            if not it.cancelled() and it.exception() is not None:
                self._errors.append(it.exception())
        task.add_done_callback(done)
        return task

    def must_go_on(self) -> None:
        if self._errors:
            raise self._errors[0]

    def stop(self) -> None:
        for task in self._tasks:
            task.cancel()

    def say(self, text: str) -> None:
        print(f"{self.now():7.2f}  {text}", flush=True)

    # ---- the play ----------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        self.redis = await self.lab.redis()
        self.servers = [self.lab.server(f"s{n + 1}", self.redis.url) for n in range(SERVERS)]
        for server in self.servers:
            server.start()
        for server in self.servers:
            await server.ready()
            await server.learn_incarnation()
        self.idle_descriptors = max(server.descriptors() for server in self.servers)
        self.idle_redis_bytes = await self.redis_bytes()
        names = [f"c{n}" for n in range(self.options.clients)]
        for name in names:
            client = self.clients[name] = Client(self, name, random.Random(self.rng.random()))
            client.peers = client.rng.sample(names, 8)
            for room in client.rng.sample(self.rooms, 2):
                client.want(room)
        self.spawn(self.tick())
        await self.settle("everybody is connected at the start")
        self.spawn(self.talk())
        self.spawn(self.sample())

    async def tick(self) -> None:
        while True:
            now = self.now()
            for client in self.clients.values():
                client.tick(now)
            self.is_even_tick = not self.is_even_tick
            await asyncio.sleep(0.2)

    async def talk(self) -> None:
        """Sends, pushes, moves and changes of rooms, at even rates."""
        scale = self.options.clients / 400
        names = list(self.clients)
        due = dict.fromkeys(("send", "push", "move", "rooms"), self.now())
        pace = {"send": RATE * scale, "push": PUSH_RATE * scale, "move": MOVE_RATE * scale, "rooms": scale}
        while True:
            now = self.now()
            for what, rate in pace.items():
                for _ in range(min(50, int((now - due[what]) * rate))):
                    due[what] += 1 / rate
                    client = self.clients[self.rng.choice(names)]
                    if client.link is None or not self.is_talking:
                        continue
                    if what == "send":
                        to = self.rng.choice(client.peers) if self.rng.random() < 0.8 else self.rng.choice(names)
                        client.link.send(to)
                    elif what == "push":
                        client.link.push(self.rng.choice(self.rooms))
                    elif what == "move":
                        client.move()
                    else:
                        client.change_rooms()
                due[what] = max(due[what], now - 1)
            await asyncio.sleep(0.02)

    async def sample(self) -> None:
        while True:
            for server in self.servers:
                if server.is_running() and server.incarnation:
                    try:
                        self.samples.setdefault(server.incarnation, []).append(
                            Sample(self.now(), server.resident_kib(), server.descriptors()))
                    except OSError:
                        pass
            await asyncio.sleep(2)

    async def settle(self, what: str) -> None:
        def is_settled() -> bool:
            self.must_go_on()
            return all(client.is_settled() for client in self.clients.values())
        try:
            await until(what, is_settled, SETTLE_MAX, 0.1)
        except Broken:
            odd = [client for client in self.clients.values() if not client.is_settled()]
            self.journal.remarks += [
                f"{what}: {c.name} is not: on {c.link and c.link.record.server}, trying {c.trying is not None}, in "
                f"{sorted(c.rooms)}, wants {sorted(c.stays)}, asked {sorted(c.asked)}" for c in odd]

    async def redis_bytes(self) -> int:
        info = await self.redis.ask("INFO", "memory")
        return int(next(line for line in info.splitlines() if line.startswith("used_memory:")).split(":")[1])

    # ---- the end -----------------------------------------------------------------------------------------------------

    async def finish(self) -> None:
        for server in self.servers:
            await server.ready()
            if not server.incarnation:
                await server.learn_incarnation()
        self.is_talking = False
        await self.settle("everybody is connected and in the rooms at the end")
        await self.gather("an owner row", self.owners_wanted, self.owners_found)
        await self.gather("a membership", self.roster_wanted, self.roster_found)
        await self.reach_everybody()
        await self.take_figures()
        for client in self.clients.values():
            client.say_goodbye()
        await self.gather("an owner row, with nobody connected,", dict, self.owners_found)
        await self.gather("a membership, with nobody connected,", dict, self.roster_found)
        await self.check_leaks()

    def owners_wanted(self) -> dict[str, str]:
        return {c.name: c.link.record.attachment for c in self.clients.values() if c.link is not None}

    async def owners_found(self) -> dict[str, str]:
        found: dict[str, str] = {}
        cursor = "0"
        while True:
            page = await get(self.servers[0].port, f"/api/owners?count=1000&cursor={cursor}")
            for row in page["owners"]:
                if found.get(row["client"], row["connection"]) != row["connection"]:
                    found[row["client"]] = "two rows"
                else:
                    found[row["client"]] = row["connection"]
            if (cursor := page["cursor"]) == "0":
                return found

    def roster_wanted(self) -> dict[str, str]:
        return {f"{c.name} in {room}": "in" for c in self.clients.values() for room in c.stays}

    async def roster_found(self) -> dict[str, str]:
        found: dict[str, str] = {}
        for room in self.rooms:
            cursor = "0"
            while True:
                page = await get(self.servers[1].port, f"/api/rooms/{room}/members?count=1000&cursor={cursor}")
                found |= {f"{name} in {room}": "in" for name in page["members"]}
                if (cursor := page["cursor"]) == "0":
                    break
        return found

    async def gather(self, what: str, wanted, found) -> None:
        """Asks until what is found is what is wanted; what differs in the end is remarked."""
        differs = ["never asked"]

        async def is_right() -> bool:
            self.must_go_on()
            differs[:] = compare(what, wanted(), await found())
            return not differs
        try:
            await until(what, is_right, LEASE + 14, 0.5)
        except Broken:
            self.journal.remarks += differs

    async def reach_everybody(self) -> None:
        """A message from each server to each client: delivered, and read; a push to each room: read by each member."""
        first = len(self.journal.messages)
        senders: dict[str, Client] = {}
        for client in self.clients.values():
            if client.link is not None:
                senders.setdefault(client.link.record.server, client)
        for sender in senders.values():
            for number, name in enumerate(self.clients):
                sender.link.send(name)
                if number % 50 == 49:
                    await asyncio.sleep(0.05)
        pusher = next(iter(senders.values()))
        pushes = {room: self.journal.messages[pusher.link.push(room)] for room in self.rooms}
        members = Counter(room for client in self.clients.values() for room in client.stays)
        mine = self.journal.messages[first:]
        direct = [m for m in mine if not m.room]
        try:
            await until("words and messages of the last round",
                        lambda: all(m.word and (m.word != "delivered" or m.arrivals) for m in direct)
                        and all(len(m.arrivals) >= members[m.room] for m in pushes.values()), 15, 0.1)
        except Broken:
            pass
        judge = Judge(self.journal)
        self.journal.remarks += [f"not reached in calm: {judge.story(m)}" for m in direct
                                 if m.word != "delivered" or not m.arrivals]
        self.journal.remarks += [f"room {room}: {len(m.arrivals)} of {members[room]} members read the last push, told "
                                 f"{m.word}" for room, m in pushes.items() if len(m.arrivals) != members[room]]

    async def take_figures(self) -> None:
        """The statistics of each server, once no word is missing."""
        for server in self.servers:
            stats = {}

            async def is_quiet() -> bool:
                stats.update(await get(server.port, "/api/stats"))
                return stats["in_flight"] == 0
            try:
                await until("nothing is in flight", is_quiet, 12, 0.2)
            except Broken:
                self.journal.remarks.append(f"{server.name}: {stats.get('in_flight')} messages stay in flight")
            if stats:
                self.journal.counted[stats["server"]] = stats

    async def check_leaks(self) -> None:
        for server in self.servers:
            try:
                await until("descriptors", lambda: server.descriptors() <= self.idle_descriptors + 4, 10, 0.2)
            except Broken:
                self.journal.remarks.append(f"{server.name} holds {server.descriptors()} descriptors with nobody connected; "
                                            f"{self.idle_descriptors} before anybody came")
            samples = self.samples.get(server.incarnation, [])
            if self.options.memory and len(samples) > 20:  # the first 40 % are for warming up
                half = samples[int(len(samples) * 0.4):]
                third = max(1, len(half) // 3)
                before = statistics.median(s.resident_kib for s in half[:third])
                after = statistics.median(s.resident_kib for s in half[-third:])
                self.say(f"{server.name}: resident {before / 1024:.1f} -> {after / 1024:.1f} MiB over "
                         f"{half[-1].at - half[0].at:.0f} s, {server.descriptors()} descriptors at the end")
                if after > before * 1.15 + 6 * 1024:
                    self.journal.remarks.append(f"{server.name} grew from {before / 1024:.1f} to {after / 1024:.1f} MiB "
                                                f"within {half[-1].at - half[0].at:.0f} s")
        keys = await self.redis.ask("KEYS", "*")
        living = {server.incarnation for server in self.servers}
        odd = [key for key in keys if key.endswith((":own", ":members", ":names"))
               or (":idx" in key and not any(name in key for name in living))]
        self.journal.remarks += [f"left in Redis with nobody connected: {key}" for key in odd[:20]]
        self.say(f"Redis: {len(keys)} keys, {self.idle_redis_bytes / 1024:.0f} -> {await self.redis_bytes() / 1024:.0f} KiB")


class Faults:
    """Draws faults and carries them out. At most two servers are hurt at a time, and Redis has one fault at a time. The
    last server is never killed nor stopped: its memory is looked at over the whole run."""

    KINDS = ("kill", "freeze", "stop", "doze", "redis restart", "flush", "full", "stall")
    MORE = ("evict",)

    def __init__(self, world: World, seed: int) -> None:
        self.world = world
        self.rng = random.Random(f"faults of {seed}")
        self.hurt: set[Server] = set()
        self.is_redis_hurt = False
        self.kinds = [*self.KINDS, *world.options.more]
        self.running: set[asyncio.Task] = set()

    async def play(self, seconds: float) -> None:
        """Each kind once in a drawn order, then again, with pauses of 3 to 7 s; ends when all is mended."""
        end = self.world.now() + seconds
        kinds: list[str] = []
        while self.world.now() < end:
            self.world.must_go_on()
            kinds = kinds or self.rng.sample(self.kinds, len(self.kinds))
            kind = kinds.pop()
            if kind in ("kill", "freeze", "stop", "doze"):
                victim = self.rng.choice(self.world.servers[:-1] if kind in ("kill", "stop") else self.world.servers)
                # What is drawn does not depend on what is free, so that a seed gives the same faults again.
                draw = self.rng.random()
                if victim not in self.hurt and len(self.hurt) < 2:
                    self.start(self.hurt_server(kind, victim, draw))
            else:
                draw = self.rng.random()
                while self.is_redis_hurt:
                    await asyncio.sleep(0.1)
                self.start(self.hurt_redis(kind, draw))
            await asyncio.sleep(self.rng.uniform(3, 7))
        if self.running:
            await asyncio.wait(self.running)
        self.world.must_go_on()

    def start(self, work) -> None:
        task = self.world.spawn(work)
        self.running.add(task)
        task.add_done_callback(self.running.discard)

    def outage(self, target: str, kind: str, killed: str = "") -> Outage:
        outage = Outage(target, kind, self.world.now(), killed=killed)
        self.world.journal.outages.append(outage)
        return outage

    async def hurt_server(self, kind: str, server: Server, draw: float) -> None:
        world = self.world
        self.hurt.add(server)
        try:
            if kind in ("freeze", "doze"):
                seconds = LEASE + 2 + 4 * draw if kind == "freeze" else 0.5 + 3 * draw
                world.say(f"{server.name} stands still for {seconds:.1f} s")
                outage = self.outage(server.name, "freeze")
                server.freeze()
                await asyncio.sleep(seconds)
                server.thaw()
                outage.end = world.now()
                return
            outage = self.outage(server.name, kind, server.incarnation)
            if kind == "kill":
                world.say(f"{server.name} is killed, and starts again after {2 * draw:.1f} s")
                server.kill()
            else:
                world.say(f"{server.name} is stopped, and starts again after {2 * draw:.1f} s")
                code = await server.terminate()
                if code != 0:
                    world.journal.remarks.append(f"{server.name} ended with {code} after SIGTERM")
            world.closed.add(server)
            await asyncio.sleep(2 * draw)
            server.start()
            await server.ready(60)  # Redis may be hurt meanwhile
            await server.learn_incarnation()
            outage.end = world.now()
        finally:
            world.closed.discard(server)
            self.hurt.discard(server)

    async def hurt_redis(self, kind: str, draw: float) -> None:
        world, redis = self.world, self.world.redis
        self.is_redis_hurt = True
        outage = self.outage("redis", kind)
        try:
            if kind == "redis restart":
                world.say(f"Redis is killed, and starts again empty after {1.5 * draw:.1f} s")
                redis.kill()
                await asyncio.sleep(1.5 * draw)
                await redis.start()
            elif kind == "flush":
                world.say("FLUSHALL")
                await redis.ask("FLUSHALL")
            elif kind == "evict":
                keys = sorted(await redis.ask("KEYS", "*"))
                lost = self.rng.sample(keys, int(len(keys) * draw))
                world.say(f"Redis evicts {len(lost)} of {len(keys)} keys")
                if lost:
                    await redis.ask("DEL", *lost)
            elif kind == "full":
                world.say(f"Redis is full for {2 + 5 * draw:.1f} s")
                await redis.ask("CONFIG", "SET", "maxmemory", "1")
                await asyncio.sleep(2 + 5 * draw)
                await redis.ask("CONFIG", "SET", "maxmemory", "0")
            else:
                world.say(f"Redis stands still for {0.5 + 3 * draw:.1f} s")
                redis.freeze()
                await asyncio.sleep(0.5 + 3 * draw)
                redis.thaw()
        finally:
            outage.end = world.now()
            self.is_redis_hurt = False


async def play(lab: Lab, options: argparse.Namespace) -> Journal:
    world = World(lab, options)
    lag = Lag(world.journal)
    try:
        await world.start()
        world.say(f"{options.clients} clients are connected to {SERVERS} servers")
        await Faults(world, options.seed).play(options.seconds)
        world.say("all is mended")
        await world.finish()
        for server in world.servers:
            if not server.is_running():
                world.journal.remarks.append(f"{server.name} is not running at the end: {server.log_tail()}")
    finally:
        lag.stop()
        world.stop()
    return world.journal


def report(journal: Journal, options: argparse.Namespace, folder: str) -> int:
    judge = Judge(journal, Allowances())
    findings = judge.findings()
    welcomes = sorted(c.welcomed - c.began for c in journal.connections if c.welcomed is not None)
    excused = sum(1 for message in judge.delivered_unread() if judge.is_excused(message))
    print(f"{sum(1 for m in journal.messages if not m.room)} messages {journal.words()}, "
          f"{sum(1 for m in journal.messages if m.room)} pushes, {len(welcomes)} welcomes (the slowest took "
          f"{welcomes[-1]:.2f} s), {len(journal.outages)} faults")
    print(f"{excused} delivered to connections that died within a round trip of the word; this program was late by "
          f"{journal.lag_max:.2f} s at most")
    if not findings:
        print("all promises were kept")
        return 0
    print(summary(findings))
    with open(os.path.join(folder, "journal.jsonl"), "w", encoding="utf-8") as out:
        out.writelines(line + "\n" for line in journal.lines())
    with open(os.path.join(folder, "findings.txt"), "w", encoding="utf-8") as out:
        out.writelines(f"{finding.rule}: {finding.says}\n" for finding in findings)
    print(f"findings: {len(findings)}; journal, all findings and logs of the processes: {folder}")
    print(f"again: ./dev chaos {options.seconds:g} {options.seed}")
    return 1


def main() -> int:
    parser = argparse.ArgumentParser(prog="./dev chaos", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("seconds", type=float, nargs="?", default=600, help="how long faults come (default 600)")
    parser.add_argument("seed", type=int, nargs="?", help="of faults and clients (default: by the clock)")
    parser.add_argument("--wsr", required=True, help=argparse.SUPPRESS)
    parser.add_argument("--clients", type=int, default=400)
    parser.add_argument("--more", action="append", default=[], choices=Faults.MORE, help="a further kind of fault")
    parser.add_argument("--folder", required=True, help="for logs and the journal")
    parser.add_argument("--no-memory", dest="memory", action="store_false", help="do not judge resident memory")
    options = parser.parse_args()
    if options.seed is None:
        options.seed = int(time.time()) % 1_000_000
    if find_redis() is None:
        print("skipped: neither redis-server nor valkey-server is installed")
        return 77
    print(f"chaos for {options.seconds:g} s, seed {options.seed}", flush=True)
    with Lab(options.wsr, options.folder) as lab:
        for old in [*lab.folder.glob("*.log"), *lab.folder.glob("findings.txt"), *lab.folder.glob("journal.jsonl")]:
            old.unlink()
        try:
            journal = asyncio.run(play(lab, options))
        except Broken as why:
            print(f"the run could not be played to its end: {why}\nagain: ./dev chaos {options.seconds:g} {options.seed}")
            return 1
        return report(journal, options, str(lab.folder))


if __name__ == "__main__":
    sys.exit(main())
