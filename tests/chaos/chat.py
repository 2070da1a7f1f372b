"""Chat clients on one asyncio loop, with a minimal framing of their own, that note in a journal what they see."""
from __future__ import annotations

import asyncio
import base64
import json
import os
import struct
from collections.abc import Callable
from typing import Any

from journal import Connection, Journal
from judge import word_of
from lab import HOST

TEXT, CLOSE, PING, PONG = 1, 8, 9, 10  # opcodes of RFC 6455


def frame_of(opcode: int, payload: bytes) -> bytes:
    """A client's frame. Its masking key is zero, so that the payload stays as it is."""
    size = len(payload)
    if size < 126:
        return struct.pack(">BB", 0x80 | opcode, 0x80 | size) + bytes(4) + payload
    return struct.pack(">BBH", 0x80 | opcode, 0x80 | 126, size) + bytes(4) + payload


class Link(asyncio.Protocol):
    """One socket of a client. It answers pings and closes by itself; `owner` hears the rest:
    on_welcome(link, frame), on_frame(link, frame) for what is neither a message nor a result, on_read(link, message) for
    messages of the journal, on_end(link)."""

    def __init__(self, owner: Any, record: Connection, journal: Journal, now: Callable[[], float]) -> None:
        self.owner, self.record, self.journal, self.now = owner, record, journal, now
        self.heard = record.began
        self.is_pinged = False
        self._transport: asyncio.Transport | None = None
        self._buffer = bytearray()
        self._is_upgraded = False
        self._is_closed_by_us = False

    @property
    def is_open(self) -> bool:
        return self.record.welcomed is not None and self.record.ended is None

    async def connect(self, port: int) -> None:
        try:
            await asyncio.get_running_loop().create_connection(lambda: self, HOST, port)
        except OSError:
            self._end(1006)

    # ---- what the client does ----------------------------------------------------------------------------------------

    def say(self, **members: Any) -> None:
        self.write(TEXT, json.dumps(members, separators=(",", ":")).encode())

    def write(self, opcode: int, payload: bytes = b"") -> None:
        if self._transport is not None and self.record.ended is None:
            self._transport.write(frame_of(opcode, payload))

    def send(self, to: str) -> int:
        message = self.journal.submit(self.record, self.now(), to=to)
        self.say(op="send", to=to, data={"n": message.number}, id=str(message.number))
        return message.number

    def push(self, room: str) -> int:
        message = self.journal.submit(self.record, self.now(), room=room)
        self.say(op="push", room=room, data={"n": message.number}, id=str(message.number))
        return message.number

    def ping(self) -> None:
        self.is_pinged = True
        self.write(PING)

    def close(self) -> None:
        """Without a close frame: FIN."""
        self._is_closed_by_us = True
        if self._transport is not None:
            self._transport.close()
        self._end(None)

    def abort(self) -> None:
        """RST, if anything is on its way."""
        self._is_closed_by_us = True
        if self._transport is not None:
            self._transport.abort()
        self._end(None)

    # ---- what comes --------------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        if self._is_closed_by_us:
            transport.abort()
            return
        key = base64.b64encode(os.urandom(16)).decode()
        transport.write(f"GET /chat?user={self.record.client} HTTP/1.1\r\nHost: {HOST}\r\nUpgrade: websocket\r\n"
                        f"Connection: Upgrade\r\nSec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode())

    def data_received(self, data: bytes) -> None:
        if self.record.ended is not None and self.record.code is None:
            return  # closed by us: whatever comes is not read
        self.heard = self.now()
        self.is_pinged = False
        self._buffer += data
        if not self._is_upgraded and not self._cut_head():
            return
        while (frame := self._cut_frame()) is not None:
            self._take(*frame)

    def connection_lost(self, error: Exception | None) -> None:
        self._end(1006)

    def _cut_head(self) -> bool:
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return False
        if not self._buffer.startswith(b"HTTP/1.1 101"):
            self._transport.close()
            self._end(1006)
            return False
        del self._buffer[:end + 4]
        self._is_upgraded = True
        return True

    def _cut_frame(self) -> tuple[int, bytes] | None:
        data = self._buffer
        if len(data) < 2:
            return None
        size, head = data[1] & 127, 2
        if size >= 126:
            head = 4 if size == 126 else 10
            if len(data) < head:
                return None
            size = int.from_bytes(data[2:head], "big")
        if len(data) < head + size:
            return None
        frame = data[0] & 15, bytes(data[head:head + size])
        del data[:head + size]
        return frame

    def _take(self, opcode: int, payload: bytes) -> None:
        if self.record.ended is not None:
            self.record.behind_close += opcode != CLOSE
        elif opcode == TEXT:
            self._take_text(json.loads(payload))
        elif opcode == PING:
            self.write(PONG, payload)
        elif opcode == CLOSE:
            self.write(CLOSE, payload[:2])
            self._end(int.from_bytes(payload[:2], "big") if len(payload) >= 2 else 1005)
            asyncio.get_running_loop().call_later(0.5, self._transport.close)  # what follows is seen first

    def _take_text(self, frame: dict) -> None:
        op = frame["op"]
        if op in ("message", "room"):
            message = self.journal.arrive(self.record, frame, self.now())
            if message is not None:
                self.owner.on_read(self, message)
        elif op == "result":
            self.journal.tell(int(frame["id"]), word_of(frame), self.now())
        elif op == "welcome":
            self.record.welcomed = self.now()
            self.record.incarnation, self.record.conn = frame["server"], frame["conn"]
            self.owner.on_welcome(self, frame)
        elif frame.get("id", "").isdigit():
            self.journal.tell(int(frame["id"]), "ok" if op == "ok" else frame.get("code", op), self.now())
        else:
            self.owner.on_frame(self, frame)

    def _end(self, code: int | None) -> None:
        if self.record.ended is None:
            self.record.ended = self.now()
            self.record.code = None if self._is_closed_by_us else code
            self.owner.on_end(self)


class Lag:
    """How late this loop itself is: what happens here at the same time is blamed on nobody else."""

    def __init__(self, journal: Journal) -> None:
        self.journal = journal
        self.task = asyncio.ensure_future(self._watch())

    async def _watch(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + 0.05
            await asyncio.sleep(0.05)
            self.journal.lag_max = max(self.journal.lag_max, loop.time() - due)

    def stop(self) -> None:
        self.task.cancel()
