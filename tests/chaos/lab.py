"""Real processes on loopback: a Redis and servers of one run's own, faults for them, and a wire that can go dead.

Whatever is started here ends with the lab, and also when this program dies: each child asks for SIGKILL then.
"""
from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

HOST = "127.0.0.1"
START_SECONDS_MAX = 30  # for a process to listen, on a machine that has much else to do


class Broken(Exception):
    """The run itself cannot go on: a program does not start, or does not answer."""


def find_redis() -> str | None:
    return shutil.which("redis-server") or shutil.which("valkey-server")


_given_ports: set[int] = set()


def free_port() -> int:
    """A port that nobody listens on and that the kernel does not give to outgoing connections: it stays ours while the
    process that has it is down."""
    low, high = 20_000, 32_000
    try:
        low = max(1024, int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0]) - 12_000)
        high = low + 12_000
    except OSError:
        pass
    for port in range(low + (os.getpid() * 97) % 6000, high):
        if port in _given_ports:
            continue
        with socket.socket() as probe:
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
        _given_ports.add(port)
        return port
    raise Broken("no free port")


async def until(what: str, is_true: Callable[[], Any], seconds: float, step: float = 0.05) -> Any:
    """Waits until `is_true` gives something true, and returns that. Errors of the network count as "not yet"."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            value = is_true()
            if isinstance(value, Awaitable):
                value = await value
            if value:
                return value
        except (OSError, ValueError, asyncio.IncompleteReadError):
            pass
        if time.monotonic() > deadline:
            raise Broken(f"{what}: not within {seconds:g} s")
        await asyncio.sleep(step)


def fetch(port: int, path: str, seconds: float = 5.0) -> tuple[int, Any]:
    """Status and JSON of a GET."""
    try:
        with urllib.request.urlopen(f"http://{HOST}:{port}{path}", timeout=seconds) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


async def get(port: int, path: str, seconds: float = 5.0) -> Any:
    """The JSON of a GET that must succeed."""
    status, body = await asyncio.to_thread(fetch, port, path, seconds)
    if status != 200:
        raise ValueError(f"{path}: {status} {body}")
    return body


class Process:
    def __init__(self, lab: Lab, name: str) -> None:
        self.lab, self.name = lab, name
        self.popen: subprocess.Popen | None = None
        self.starts = 0

    def spawn(self, argv: list[str]) -> None:
        self.starts += 1
        environment = {k: v for k, v in os.environ.items() if not k.startswith("WSR_")}
        environment["XDG_RUNTIME_DIR"] = str(self.lab.folder)  # `wsr send` on this machine does not find these servers
        with open(self.lab.folder / f"{self.name}.log", "ab") as log:
            log.write(f"--- start {self.starts} at {self.lab.now():.3f}\n".encode())
            log.flush()
            self.popen = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", *argv], stdin=subprocess.DEVNULL,
                                          stdout=log, stderr=log, cwd=self.lab.folder, env=environment)

    @property
    def pid(self) -> int:
        return self.popen.pid

    def is_running(self) -> bool:
        return self.popen is not None and self.popen.poll() is None

    def signal(self, number: int) -> None:
        if self.is_running():
            self.popen.send_signal(number)

    def freeze(self) -> None:
        self.signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self.signal(signal.SIGCONT)

    def kill(self) -> None:
        self.signal(signal.SIGKILL)
        if self.popen is not None:
            self.popen.wait()

    async def terminate(self, seconds: float = 20.0) -> int:
        """SIGTERM; the exit code."""
        self.signal(signal.SIGTERM)
        await until(f"{self.name} ends after SIGTERM", lambda: self.popen.poll() is not None, seconds)
        return self.popen.returncode

    def log_tail(self, size: int = 1500) -> str:
        return (self.lab.folder / f"{self.name}.log").read_text(errors="replace")[-size:]

    def resident_kib(self) -> int:
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1])
        raise OSError("no VmRSS")

    def descriptors(self) -> int:
        return len(os.listdir(f"/proc/{self.pid}/fd"))


class Server(Process):
    """A `wsr serve` that keeps its port over restarts."""

    def __init__(self, lab: Lab, name: str, store: str, options: list[str]) -> None:
        super().__init__(lab, name)
        self.port = free_port()
        self.argv = [lab.wsr, "serve", "-p", str(self.port), "--name", name, "--store", store, *options]
        self.incarnation = ""

    def start(self) -> None:
        self.spawn(self.argv)
        self.incarnation = ""

    async def is_ready(self) -> bool:
        if not self.is_running():
            raise Broken(f"server {self.name} ended with {self.popen.returncode}:\n{self.log_tail()}")
        return (await asyncio.to_thread(fetch, self.port, "/readyz", 2.0))[0] == 200

    async def ready(self, seconds: float = START_SECONDS_MAX) -> None:
        await until(f"server {self.name} is ready", self.is_ready, seconds)

    async def learn_incarnation(self) -> None:
        self.incarnation = (await get(self.port, "/api/stats"))["server"]


class Redis(Process):
    """A redis-server without persistence that keeps its port over restarts."""

    def __init__(self, lab: Lab) -> None:
        super().__init__(lab, "redis")
        self.port = free_port()
        self.url = f"redis://{HOST}:{self.port}"

    async def start(self) -> None:
        self.spawn([find_redis(), "--port", str(self.port), "--bind", HOST, "--dir", str(self.lab.folder), "--save", "",
                    "--appendonly", "no", "--maxmemory-policy", "noeviction"])
        await until("redis answers", self.answers, START_SECONDS_MAX)

    async def answers(self) -> Any:
        if not self.is_running():
            raise Broken(f"redis ended with {self.popen.returncode}:\n{self.log_tail()}")
        return await self.ask("PING")

    async def ask(self, *words: str) -> Any:
        """One command on a connection of its own."""
        reader, writer = await asyncio.wait_for(asyncio.open_connection(HOST, self.port), 5)
        try:
            parts = [word.encode() for word in words]
            writer.write(b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(p), p) for p in parts))
            return await asyncio.wait_for(self._read(reader), 10)
        finally:
            writer.close()

    async def _read(self, reader: asyncio.StreamReader) -> Any:
        line = (await reader.readuntil(b"\r\n"))[:-2]
        kind, rest = line[:1], line[1:]
        if kind == b"-":
            raise ValueError(rest.decode())
        if kind == b":":
            return int(rest)
        if kind == b"$":
            return None if rest == b"-1" else (await reader.readexactly(int(rest) + 2))[:-2].decode(errors="replace")
        if kind == b"*":
            return [await self._read(reader) for _ in range(int(rest))]
        return rest.decode()


class Relay:
    """A wire between whoever connects to `port` and `target`; swallow() makes it a black hole.

    A host that loses power says nothing: bytes vanish in both directions, no end of a connection is passed on, and who
    connects is not answered. After mend() new connections are whole; those that lost bytes stay dead, as TCP never
    loses bytes in the middle of a stream.
    """

    def __init__(self, target: int) -> None:
        self.target = target
        self.port = 0
        self.swallowed = 0
        self._is_dead = False
        self._server: asyncio.Server | None = None
        self._pairs: set[_Pair] = set()

    async def start(self) -> None:
        self._server = await asyncio.get_running_loop().create_server(lambda: _Near(self), HOST, 0)
        self.port = self._server.sockets[0].getsockname()[1]

    def swallow(self) -> None:
        self._is_dead = True
        for pair in self._pairs:
            pair.is_dead = True

    def mend(self) -> None:
        self._is_dead = False


class _Pair:
    def __init__(self, relay: Relay) -> None:
        self.relay = relay
        self.is_dead = relay._is_dead
        self.ends: dict[str, asyncio.Transport] = {}
        self.early = b""  # came before the target's side was connected
        relay._pairs.add(self)

    def abort(self) -> None:
        self.relay._pairs.discard(self)
        for transport in self.ends.values():
            transport.abort()


class _End(asyncio.Protocol):
    side, other = "", ""

    def __init__(self, pair: _Pair) -> None:
        self.pair = pair

    def connection_made(self, transport: asyncio.Transport) -> None:
        self.pair.ends[self.side] = transport

    def data_received(self, data: bytes) -> None:
        if self.pair.is_dead:
            self.pair.relay.swallowed += len(data)
        elif self.other in self.pair.ends:
            self.pair.ends[self.other].write(data)
        else:
            self.pair.early += data

    def eof_received(self) -> bool:
        return self.pair.is_dead  # True: this side stays open

    def connection_lost(self, error: Exception | None) -> None:
        if not self.pair.is_dead and self.other in self.pair.ends:
            self.pair.ends[self.other].close()
            self.pair.relay._pairs.discard(self.pair)


class _Far(_End):
    side, other = "far", "near"

    def connection_made(self, transport: asyncio.Transport) -> None:
        super().connection_made(transport)
        transport.write(self.pair.early)
        self.pair.early = b""


class _Near(_End):
    side, other = "near", "far"

    def __init__(self, relay: Relay) -> None:
        super().__init__(_Pair(relay))

    def connection_made(self, transport: asyncio.Transport) -> None:
        super().connection_made(transport)
        if not self.pair.is_dead:
            self.connecting = asyncio.ensure_future(self._connect())

    async def _connect(self) -> None:
        try:
            await asyncio.get_running_loop().create_connection(lambda: _Far(self.pair), HOST, self.pair.relay.target)
        except OSError:
            if not self.pair.is_dead:
                self.pair.abort()


class Lab:
    """A folder and the processes of one run. Use with `with`."""

    def __init__(self, wsr: str, keep: str | None = None) -> None:
        self.wsr = os.path.abspath(wsr)
        self.began = time.monotonic()
        # Absolute: the processes run in it.
        self.folder = Path(os.path.abspath(keep)) if keep else Path(tempfile.mkdtemp(prefix="wsr-chaos-"))
        self.folder.mkdir(parents=True, exist_ok=True)
        self.is_kept = keep is not None
        self.processes: list[Process] = []

    def now(self) -> float:
        return time.monotonic() - self.began

    def __enter__(self) -> Lab:
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what runs is ended
        return self

    def __exit__(self, *_: Any) -> None:
        for process in self.processes:
            process.kill()  # one that was stopped, too
        if not self.is_kept:
            shutil.rmtree(self.folder, ignore_errors=True)

    async def redis(self) -> Redis:
        redis = Redis(self)
        self.processes.append(redis)
        await redis.start()
        return redis

    def server(self, name: str, store: str, *options: str) -> Server:
        """Not started yet."""
        server = Server(self, name, store, list(options))
        self.processes.append(server)
        return server

    async def relay(self, target: int) -> Relay:
        """It ends with the loop that it was made on."""
        relay = Relay(target)
        await relay.start()
        return relay
