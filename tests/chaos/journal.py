"""What happened, as seen from outside: who was connected where and when, what was submitted, and what became of it.

Clients and the fault driver write it; the judge reads it and nothing else, so that a judgement can be repeated and
tested without processes. Times are seconds of one monotonic clock.
"""
from __future__ import annotations

import itertools
import json
from dataclasses import dataclass, field


@dataclass(eq=False, slots=True)
class Connection:
    """One attempt of a client to connect, and the connection that came of it. A larger number began later."""
    number: int
    client: str
    server: str  # the harness's name of the server, such as "s1"
    began: float
    welcomed: float | None = None
    incarnation: str = ""  # from `welcome`
    conn: str = ""  # from `welcome`
    ended: float | None = None
    code: int | None = None  # the close frame's; 1006: the socket ended without one; None: closed by the client
    behind_close: int = 0  # data frames that followed a close frame

    @property
    def attachment(self) -> str:
        return f"{self.incarnation}/{self.conn}"


@dataclass(eq=False, slots=True)
class Arrival:
    connection: Connection
    at: float
    sender: str  # what the frame's `from` said


@dataclass(eq=False, slots=True)
class Message:
    """A `send`, or a `push` if it has a room."""
    number: int
    sender: Connection
    at: float
    to: str = ""
    room: str = ""
    word: str | None = None  # "delivered", "dropped(expired)", ...; of a push: "ok", or an error's code
    word_at: float | None = None
    words: int = 0
    arrivals: list[Arrival] = field(default_factory=list)


@dataclass(eq=False, slots=True)
class Stay:
    """A client wants to be in a room from `asked` on; `left` is when its leave was answered."""
    client: str
    room: str
    asked: float
    left: float | None = None


@dataclass(eq=False, slots=True)
class Listing:
    """A server said that a client is in a room that it does not want to be in (any more)."""
    client: str
    room: str
    since: float  # what was answered before must be known to it
    at: float


@dataclass(eq=False, slots=True)
class Outage:
    """A fault of a server or of the store, from its first to its last moment."""
    target: str  # "s1", or "redis"
    kind: str
    start: float
    end: float | None = None
    killed: str = ""  # the incarnation that ended by it


@dataclass(slots=True)
class Journal:
    connections: list[Connection] = field(default_factory=list)
    messages: list[Message] = field(default_factory=list)  # index == number
    stays: list[Stay] = field(default_factory=list)
    listings: list[Listing] = field(default_factory=list)
    outages: list[Outage] = field(default_factory=list)
    strays: list[tuple[float, str, str]] = field(default_factory=list)  # (time, client, frame): of no known message
    counted: dict[str, dict] = field(default_factory=dict)  # incarnation -> /api/stats when everything was quiet
    remarks: list[str] = field(default_factory=list)  # faults of the end state, found by the driver
    lag_max: float = 0.0  # the longest that the harness itself was late

    def connect(self, client: str, server: str, now: float) -> Connection:
        connection = Connection(len(self.connections), client, server, now)
        self.connections.append(connection)
        return connection

    def submit(self, sender: Connection, now: float, to: str = "", room: str = "") -> Message:
        message = Message(len(self.messages), sender, now, to, room)
        self.messages.append(message)
        return message

    def tell(self, number: int, word: str, now: float) -> None:
        message = self.messages[number]
        message.words += 1
        if message.word is None:
            message.word, message.word_at = word, now

    def arrive(self, connection: Connection, frame: dict, now: float) -> Message | None:
        """A `message` or `room` frame. What names no message of ours is kept as a stray."""
        data = frame.get("data")
        number = data.get("n") if isinstance(data, dict) else None
        if not isinstance(number, int) or not 0 <= number < len(self.messages) \
                or self.messages[number].room != frame.get("room", ""):
            self.strays.append((now, connection.client, json.dumps(frame)[:200]))
            return None
        message = self.messages[number]
        message.arrivals.append(Arrival(connection, now, frame.get("from", "")))
        return message

    def connections_of(self) -> dict[str, list[Connection]]:
        found: dict[str, list[Connection]] = {}
        for connection in self.connections:
            found.setdefault(connection.client, []).append(connection)
        return found

    def words(self) -> dict[str, int]:
        """Direct messages by the word that was told."""
        count: dict[str, int] = {}
        for message in self.messages:
            if not message.room:
                word = message.word or "none"
                count[word] = count.get(word, 0) + 1
        return dict(sorted(count.items(), key=lambda item: -item[1]))

    def lines(self) -> itertools.chain[str]:
        """As JSON, one record a line, to look into afterwards."""
        def record(kind: str, it, **more) -> str:
            values = {name: getattr(it, name) for name in it.__slots__} | more
            return json.dumps({"kind_of_record": kind} | {k: round(v, 4) if isinstance(v, float) else v
                                                          for k, v in values.items()})
        return itertools.chain(
            (record("outage", it) for it in self.outages),
            (record("connection", it) for it in self.connections),
            (record("stay", it) for it in self.stays),
            (record("message", it, sender=it.sender.number,
                    arrivals=[[a.connection.number, round(a.at, 4)] for a in it.arrivals]) for it in self.messages))
