"""The judge: reads a journal and says which promises were broken.

Each rule is a generator of findings. A rule must be able to fail, so judge_test.py falsifies a good journal once for
each of them. What a rule excuses stands beside it: a connection that breaks within a round trip of a word takes along
what its socket had not sent; a store that has lost its memory knows nobody until the servers have told it again.
"""
from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from journal import Connection, Journal, Message, Outage


@dataclass(frozen=True, slots=True)
class Allowances:
    """How late things may be, in seconds. They are for a busy machine; no rule judges speed."""
    round_trip: float = 1.0  # between a word and the death of the connection that it was about
    lease: float = 6.0
    settle: float = 2.0  # a client welcomed for this long is reached whatever other servers do
    after_store: float = 9.0  # a lease, a sweep and some: until a store that lost its memory knows everybody again
    after_thaw: float = 4.0  # a server or a store that stood still is as before
    word: float = 9.0  # the longest wait for a word: a deadline of 5 s and the way
    late: float = 0.5  # between reading a word here and reading its message there


@dataclass(frozen=True, slots=True)
class Finding:
    rule: str
    says: str


def word_of(answer: dict) -> str:
    """`delivered`, or `dropped(expired)`, of a result frame."""
    state = str(answer.get("state", answer.get("code", "?")))
    return f"{state}({answer['reason']})" if "reason" in answer else state


class Judge:
    def __init__(self, journal: Journal, allow: Allowances = Allowances()) -> None:
        self.journal = journal
        self.allow = allow
        self.slack = journal.lag_max  # what the harness itself was late, nobody else is to blame for
        self.of_client = journal.connections_of()
        self.outages_of: dict[str, list[Outage]] = {}
        for outage in journal.outages:
            self.outages_of.setdefault(outage.target, []).append(outage)

    def findings(self) -> list[Finding]:
        rules = (self.misdelivered, self.doubled, self.lost, self.untrue, self.late, self.takeover, self.unreached,
                 self.thrown_out, self.behind_the_close, self.wordless, self.sums, self.rooms, self.undone,
                 self.end_state)
        return [finding for rule in rules for finding in rule()]

    # ---- what each rule stands upon ----------------------------------------------------------------------------------

    def direct(self) -> Iterator[Message]:
        return (message for message in self.journal.messages if not message.room)

    def is_calm(self, target: str, since: float, until: float, after: float) -> bool:
        """No fault of `target` touches [since, until], counting `after` seconds behind its end."""
        return not any(outage.start <= until and (outage.end is None or outage.end + after >= since)
                       for outage in self.outages_of.get(target, ()))

    def is_store_calm(self, since: float, until: float) -> bool:
        """Whether the store knew everybody: it was there, and had not lost its memory a moment ago."""
        return not any(outage.start <= until and (outage.end is None or outage.end + self.after(outage) >= since)
                       for outage in self.outages_of.get("redis", ()))

    def after(self, outage: Outage) -> float:
        return self.allow.after_thaw if outage.kind == "stall" else self.allow.after_store

    def may_be_sought_elsewhere(self, message: Message) -> bool:
        """Who was on a server that stands still may be looked for there until its lease has run out and was swept."""
        return any(outage.kind in ("freeze", "power") and outage.start <= message.word_at
                   and message.at <= outage.start + self.allow.lease + 2.0 + self.slack
                   for older in self.of_client.get(message.to, ()) for outage in self.outages_of.get(older.server, ()))

    def deaths(self, connection: Connection) -> Iterator[float]:
        """When the connection broke: as its client saw it, and as its server did. One that was closed because its server
        stops got everything before the close frame."""
        if connection.ended is not None and connection.code != 1001:
            yield connection.ended
        yield from (outage.start for outage in self.outages_of.get(connection.server, ())
                    if outage.kind in ("kill", "freeze", "power") and outage.start >= connection.began)

    def current(self, client: str, at: float) -> Connection | None:
        """The newest connection that the client had been welcomed on at this time."""
        welcomed = [c for c in self.of_client.get(client, ()) if c.welcomed is not None and c.welcomed <= at]
        return welcomed[-1] if welcomed else None

    def held(self, message: Message) -> Connection | None:
        """The connection that the recipient had, and kept, from before the submission until the word."""
        connection = self.current(message.to, message.at - self.allow.settle)
        until = (message.word_at if message.word_at is not None else message.at) + self.allow.round_trip
        if connection is None or (connection.ended is not None and connection.ended <= until):
            return None
        if any(other.number > connection.number and other.began <= until for other in self.of_client[message.to]):
            return None
        return connection if self.is_calm(connection.server, message.at - self.allow.settle, until,
                                          self.allow.after_thaw) else None

    def story(self, message: Message) -> str:
        """What is known of a message, in one line."""
        until = message.word_at if message.word_at is not None else message.at
        recipient = [c for c in self.of_client.get(message.to, ()) if c.began <= until + 2
                     and (c.ended is None or c.ended >= message.at - 5)]
        there = ", ".join(f"#{c.number} on {c.server} (began {c.began:.3f}, welcome {_time(c.welcomed)}, "
                          f"end {_time(c.ended)} {c.code or ''})" for c in recipient[-4:])
        read = ", ".join(f"#{a.connection.number} of {a.connection.client} at {a.at:.3f}" for a in message.arrivals)
        faults = ", ".join(f"{o.kind} {o.target} {o.start:.1f}-{_time(o.end)}" for o in self.journal.outages
                           if o.start <= until + 1 and (o.end is None or o.end >= message.at - 10))
        target = f"room {message.room}" if message.room else message.to
        return (f"message {message.number} from {message.sender.client} on {message.sender.server} to {target}, "
                f"sent {message.at:.3f}, told {message.word} at {_time(message.word_at)}, read by [{read}]; "
                f"recipient: [{there}]; faults: [{faults}]")

    # ---- the rules ---------------------------------------------------------------------------------------------------

    def misdelivered(self) -> Iterator[Finding]:
        """A message is read by its recipient alone, and says who sent it."""
        for time, client, frame in self.journal.strays:
            yield Finding("misdelivered", f"{client} read at {time:.3f} what nobody sent: {frame}")
        for message in self.journal.messages:
            for arrival in message.arrivals:
                if not message.room and arrival.connection.client != message.to:
                    yield Finding("misdelivered", self.story(message))
                if arrival.sender != message.sender.client:
                    yield Finding("misdelivered", f"as from {arrival.sender!r}: {self.story(message)}")

    def doubled(self) -> Iterator[Finding]:
        """Nothing arrives twice, on whatever connection; of a room's message, twice on one connection."""
        for message in self.journal.messages:
            if message.room:
                each = Counter(arrival.connection.number for arrival in message.arrivals)
                twice = [number for number, count in each.items() if count > 1]
                if twice:
                    yield Finding("doubled", f"on connections {twice}: message {message.number} of room {message.room}")
            elif len(message.arrivals) > 1:
                yield Finding("doubled", self.story(message))

    def is_excused(self, message: Message) -> bool:
        """A connection of the recipient died within a round trip of the word."""
        until = message.word_at + self.allow.round_trip + self.slack
        return any(connection.welcomed is not None and connection.welcomed <= message.word_at
                   and any(self.earliest_delivery(message, connection) <= death <= until
                           for death in self.deaths(connection))
                   for connection in self.of_client.get(message.to, ()))

    def earliest_delivery(self, message: Message, connection: Connection) -> float:
        """A round trip before the word. While something on the way stands still a round trip lasts as long as that; but a
        server that stood still beyond its lease must look at its connections before it delivers to them."""
        bound = self.allow.round_trip + self.slack
        since = message.word_at - bound
        for target in {"redis", message.sender.server, connection.server}:
            for outage in self.outages_of.get(target, ()):
                end = message.word_at if outage.end is None else outage.end
                is_a_doze = outage.kind == "freeze" and end - outage.start < self.allow.lease
                if (is_a_doze or target != connection.server) and outage.start <= message.word_at and end >= message.word_at - bound:
                    since = min(since, outage.start - bound)
        return since

    def delivered_unread(self) -> Iterator[Message]:
        return (message for message in self.direct() if message.word == "delivered" and not message.arrivals)

    def lost(self) -> Iterator[Finding]:
        """What was called delivered has been read."""
        return (Finding("lost", self.story(message)) for message in self.delivered_unread()
                if not self.is_excused(message))

    def untrue(self) -> Iterator[Finding]:
        """What was called offline or dropped has not been read, before or after."""
        return (Finding("untrue", self.story(message)) for message in self.direct()
                if message.arrivals and message.word and message.word.split("(")[0] in ("offline", "dropped"))

    def late(self) -> Iterator[Finding]:
        """Nothing arrives after its sender was told that its fate is not known."""
        return (Finding("late", self.story(message)) for message in self.direct()
                if message.word == "unknown"
                and any(a.at > message.word_at + self.allow.late + self.slack for a in message.arrivals))

    def takeover(self) -> Iterator[Finding]:
        """What is submitted after a welcome has been read arrives on no older connection of that client. While the store
        is away, or has lost its memory, nobody can know of the older one: such welcomes are excused."""
        for message in self.direct():
            for arrival in message.arrivals:
                newer = self.current(message.to, message.at)
                if arrival.connection.client == message.to and newer is not None \
                        and arrival.connection.number < newer.number and newer.welcomed < message.at \
                        and self.is_store_calm(newer.began, message.at):
                    yield Finding("takeover", f"read on #{arrival.connection.number}, welcomed on #{newer.number} "
                                              f"{message.at - newer.welcomed:.3f} s before: {self.story(message)}")

    def unreached(self) -> Iterator[Finding]:
        """A client that has been connected for a moment is reached, whatever *other* servers do, and never `offline`. One
        that was on a server that stands still may be `unknown` until that server's lease has run out."""
        for message in self.direct():
            if message.word in (None, "delivered") or self.held(message) is None:
                continue
            if not self.is_store_calm(message.at, message.word_at):
                continue
            if message.word == "offline":
                yield Finding("offline while connected", self.story(message))
            elif not self.may_be_sought_elsewhere(message) and self.is_calm(
                    message.sender.server, message.at - self.allow.settle, message.word_at, self.allow.after_thaw):
                yield Finding("unreached", self.story(message))

    def thrown_out(self) -> Iterator[Finding]:
        """A server closes a connection for a reason: a newer one of that client, or its own end."""
        for connection in self.journal.connections:
            if connection.code is None or connection.welcomed is None:
                continue
            newer = any(other.number > connection.number and other.began <= connection.ended
                        for other in self.of_client[connection.client])
            had_a_fault = not self.is_calm(connection.server, connection.ended, connection.ended,
                                           self.allow.after_thaw)
            is_right = {4009: newer, 1001: had_a_fault, 1006: newer or had_a_fault}.get(connection.code, False)
            if not is_right:
                yield Finding("thrown out", f"{connection.client} #{connection.number} on {connection.server}, welcomed "
                                            f"{connection.welcomed:.3f}, was closed with {connection.code} at "
                                            f"{connection.ended:.3f} without a reason")

    def behind_the_close(self) -> Iterator[Finding]:
        return (Finding("data behind a close frame", f"{c.client} #{c.number} on {c.server}: {c.behind_close} frames "
                                                     f"behind {c.code} at {_time(c.ended)}")
                for c in self.journal.connections if c.behind_close)

    def wordless(self) -> Iterator[Finding]:
        """Every message ends in one word, if its sender stays and its server runs."""
        last = max((m.at for m in self.journal.messages), default=0.0)
        for message in self.direct():
            if message.words > 1:
                yield Finding("two words", self.story(message))
            if message.words > 0:
                continue
            until = message.at + self.allow.word + self.slack
            stayed = message.sender.ended is None or message.sender.ended > until
            if stayed and until <= last + self.allow.word + self.slack \
                    and self.is_calm(message.sender.server, message.at - self.allow.settle, until, 0.0):
                yield Finding("no word", self.story(message))

    def sums(self) -> Iterator[Finding]:
        """A server's statistics: sent is the sum of the words; each word was counted as often as it was told."""
        told: dict[str, Counter] = {}
        for message in self.direct():
            told.setdefault(message.sender.incarnation, Counter())[message.word or "none"] += 1
        for incarnation, stats in self.journal.counted.items():
            counted = flat_words(stats["words"])
            open_now = stats["in_flight"] + stats["unfinished"]
            if stats["sent"] != sum(counted.values()) + open_now:
                yield Finding("sums", f"{incarnation}: sent {stats['sent']} is not the sum of {dict(counted)} and {open_now}")
            here = told.get(incarnation, Counter())
            untold = here.pop("none", 0)
            for word in sorted(set(here) | {w for w, count in counted.items() if count}):
                if not here[word] <= counted[word] <= here[word] + untold:
                    yield Finding("sums", f"{incarnation}: {word} was told {here[word]} times and counted "
                                          f"{counted[word]} times ({untold} senders went before their word came)")

    def rooms(self) -> Iterator[Finding]:
        """A room's messages are read by those who asked to be in it, and by nobody whose leave was answered before."""
        stays: dict[tuple[str, str], list] = {}
        for stay in self.journal.stays:
            stays.setdefault((stay.client, stay.room), []).append(stay)
        for message in self.journal.messages:
            if not message.room:
                continue
            for arrival in message.arrivals:
                mine = stays.get((arrival.connection.client, message.room), ())
                if not any(stay.asked <= arrival.at and (stay.left is None or stay.left >= message.at) for stay in mine):
                    yield Finding("misdelivered", f"message {message.number} of room {message.room}, sent "
                                                  f"{message.at:.3f}, was read at {arrival.at:.3f} by "
                                                  f"{arrival.connection.client}, who was not in it")

    def undone(self) -> Iterator[Finding]:
        """A leave that was answered is not undone."""
        for listing in self.journal.listings:
            mine = [s for s in self.journal.stays if (s.client, s.room) == (listing.client, listing.room)
                    and s.asked <= listing.at]
            if all(stay.left is not None and stay.left < listing.since for stay in mine):
                yield Finding("leave undone", f"{listing.client} was told at {listing.at:.3f} that it is in {listing.room}; "
                                              f"its leave had been answered at {max((s.left for s in mine), default=0):.3f}")

    def end_state(self) -> Iterator[Finding]:
        return (Finding("end", remark) for remark in self.journal.remarks)


def flat_words(words: dict) -> Counter:
    """The `words` of /api/stats with the names that senders are told."""
    flat = Counter()
    for name, value in words.items():
        if isinstance(value, dict):
            flat.update({f"{name}({reason})": count for reason, count in value.items()})
        else:
            flat[name] += value
    return flat


def offline_while_connected(journal: Journal) -> list[Message]:
    """Told `offline` although the recipient had read a welcome before the submission and kept that connection."""
    judge = Judge(journal, Allowances(settle=0.0, round_trip=0.0, after_thaw=0.0))
    return [m for m in judge.direct() if m.word == "offline" and judge.held(m) is not None]


def compare(what: str, wanted: dict[str, str], found: dict[str, str]) -> list[str]:
    """Sentences about each key whose value is missing, too much, or another."""
    said = []
    for key in sorted(set(wanted) | set(found)):
        if wanted.get(key) != found.get(key):
            said.append(f"{what} {key}: {found.get(key, 'nothing')} where {wanted.get(key, 'nothing')} is right")
    return said


def summary(findings: list[Finding], most: int = 5) -> str:
    """Each rule with its number of findings and the first few of them."""
    by_rule: dict[str, list[str]] = {}
    for finding in findings:
        by_rule.setdefault(finding.rule, []).append(finding.says)
    lines = []
    for rule, sayings in by_rule.items():
        lines.append(f"{len(sayings):6} {rule}")
        lines += [f"         {saying}" for saying in sayings[:most]]
        if len(sayings) > most:
            lines.append(f"         ... and {len(sayings) - most} more")
    return "\n".join(lines)


def _time(at: float | None) -> str:
    return "-" if at is None else f"{at:.3f}"
