"""How many requests a second a kept page takes, and how long they wait: the figures of the site alone.

    python -m bench.load http://127.0.0.1:8000/pocket-1/key/borges/1/ [--seconds 8] [--connections 16]

Asks a running site for one kept page, as PNG, as the WebP that is shown and as HTML: first as fast as it answers
(closed loop: a connection asks again when it has its answer), then at half of the promised rate whether it answers or
not (open loop: a request's wait counts from the moment it was due, so that a stall is not hidden). Imports nothing of
the project.
"""

import argparse
import asyncio
import sys
import time
from dataclasses import dataclass
from typing import cast
from urllib.parse import urlsplit

PROMISED = {"PNG": 600, "WebP": 600, "HTML": 300}
"""Requests a second that a kept page must take on two cores."""
P99_PROMISED_MS = 100.0


class _Connection(asyncio.Protocol):
    """One kept-alive connection: sends a request, resolves when its whole body is there."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self._answer: asyncio.Future[int] | None = None
        self._head = b""
        self._left = -1  # bytes of the body still to come; -1: the head is not whole yet
        self._size = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._answer and not self._answer.done():
            self._answer.set_exception(exc or ConnectionResetError("the site closed the connection"))

    async def ask(self, request: bytes) -> int:
        """Send a request; the size of the answer's body. RuntimeError for any answer but 200."""
        assert self.transport is not None, "the connection was made"
        self._answer = asyncio.get_running_loop().create_future()
        self._head, self._left = b"", -1
        self.transport.write(request)
        return await self._answer

    def data_received(self, data: bytes) -> None:
        if self._left < 0:
            self._head += data
            head, end, rest = self._head.partition(b"\r\n\r\n")
            if not end:
                return
            lines = head.lower().split(b"\r\n")
            if b" 200 " not in lines[0] + b" ":
                self._finish(RuntimeError(f"The site answered {lines[0].decode()}."))
                return
            self._size = next(int(line[15:]) for line in lines if line.startswith(b"content-length:"))
            self._left, data = self._size, rest
        self._left -= len(data)
        if self._left <= 0:
            self._finish(None)

    def _finish(self, error: Exception | None) -> None:
        if self._answer and not self._answer.done():
            if error:
                self._answer.set_exception(error)
            else:
                self._answer.set_result(self._size)


@dataclass(frozen=True)
class Measured:
    """What one run showed."""

    rate: float  # answers a second
    p50: float  # ms
    p99: float  # ms
    size: int  # bytes of one body


async def _connect(host: str, port: int, count: int) -> list[_Connection]:
    loop = asyncio.get_running_loop()
    return [(await loop.create_connection(_Connection, host, port))[1] for _ in range(count)]


async def closed(host: str, port: int, request: bytes, connections: int, seconds: float) -> Measured:
    """Ask as fast as the site answers."""
    waits: list[float] = []
    size = 0
    end = time.perf_counter() + seconds

    async def go_on(connection: _Connection) -> None:
        nonlocal size
        while (began := time.perf_counter()) < end:
            size = await connection.ask(request)
            waits.append(time.perf_counter() - began)

    began = time.perf_counter()
    await asyncio.gather(*map(go_on, await _connect(host, port, connections)))
    return _measured(waits, time.perf_counter() - began, size)


async def open_loop(host: str, port: int, request: bytes, rate: float, seconds: float) -> Measured:
    """Ask at a steady rate, whether the site answers or not; at most 256 requests are on their way at once."""
    idle: asyncio.Queue[_Connection] = asyncio.Queue()
    for connection in await _connect(host, port, 256):
        idle.put_nowait(connection)
    await asyncio.sleep(0.5)  # until the site has accepted them all
    waits: list[float] = []
    size = 0

    async def once(due: float) -> None:
        nonlocal size
        connection = await idle.get()
        size = await connection.ask(request)
        waits.append(time.perf_counter() - due)
        idle.put_nowait(connection)

    began = time.perf_counter()
    async with asyncio.TaskGroup() as tasks:
        for number in range(int(rate * seconds)):
            due = began + number / rate
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            tasks.create_task(once(due))
    return _measured(waits, time.perf_counter() - began, size)


def _measured(waits: list[float], seconds: float, size: int) -> Measured:
    waits.sort()
    return Measured(
        rate=len(waits) / seconds,
        p50=1000 * waits[len(waits) // 2],
        p99=1000 * waits[int(0.99 * (len(waits) - 1))],
        size=size,
    )


async def measure(url: str, seconds: float, connections: int) -> bool:
    """Measure the forms of a page and print the table; whether every promise was met."""
    where = urlsplit(url)
    host, port = where.hostname or "127.0.0.1", where.port or 80
    met = True
    print(f"{'form':<6}{'kB':>6}{'requests/s':>12}{'promised':>10}{'at half: p50 ms':>17}{'p99 ms':>8}{'promised':>10}")
    bare = where.path.removesuffix("/")
    for form, path in (("PNG", bare + ".png"), ("WebP", bare + ".webp"), ("HTML", where.path)):
        request = f"GET {path} HTTP/1.1\r\nHost: {where.netloc}\r\nUser-Agent: bench\r\n\r\n".encode()
        await closed(host, port, request, connections, 1.0)  # warm
        full = await closed(host, port, request, connections, seconds)
        half = await open_loop(host, port, request, PROMISED[form] / 2, seconds)
        met &= full.rate >= PROMISED[form] and half.p99 < P99_PROMISED_MS
        print(
            f"{form:<6}{full.size / 1000:>6.0f}{full.rate:>12.0f}{PROMISED[form]:>10}"
            f"{half.p50:>17.1f}{half.p99:>8.1f}{P99_PROMISED_MS:>10.0f}"
        )
    return met


def main() -> None:
    """Read the command line, measure, end with 1 where a promise was not met and 2 where nothing could be measured."""
    parser = argparse.ArgumentParser(description="Load a kept page of a running site and print the figures.")
    parser.add_argument("url", help="a page that is kept, as http://127.0.0.1:8000/pocket-1/key/borges/1/")
    parser.add_argument("--seconds", type=float, default=8.0, help="how long each run takes (default 8)")
    parser.add_argument("--connections", type=int, default=16, help="of the run without a given rate (default 16)")
    given = parser.parse_args()
    try:
        met = asyncio.run(measure(given.url, given.seconds, given.connections))
    except (OSError, RuntimeError) as error:
        print(f"Nothing could be measured: {error} Open the page first, so that it is kept.", file=sys.stderr)
        sys.exit(2)
    sys.exit(0 if met else 1)


if __name__ == "__main__":
    main()
