"""Paths and files that nobody sends in good faith: each gets an answer, and none of them a 500."""

import contextlib
import random
import socket
import struct
import threading
import zlib
from collections import Counter

from bench.chaos.report import Report
from bench.chaos.running import BOT, Library, ask

PATHS = 20_000
_HANDS = 8
_PIECES = (
    *("..", "%2e%2e", "%2f", "%5c", "%00", "%ff", "%fe%ff", "%ed%a0%80", "%f4%90%80%80", "%", "%zz", "%25", "%u0041"),
    *("//", "\\", ";", "?", "#", "[", "]", "|", "^", "`", "'", '"', "<script>", "&lt;", "{{1}}", "{%%}", "${x}", "$("),
    *("é", "夜", "e\u0301", "\u202e", "\u2028", "\ufeff", "🦊", "%0d%0aX:%20y", "%09", "%7f", "%c0%ae", "+", "*", "~"),
    *("key", "prompt", "stacks", "mark", "api", "page", "static", "random", "0", "1", "410", "411", "-1", "9" * 5000),
    *(
        "١",
        "1e3",
        "0x1",
        "events",
        "card.png",
        "thumbnail.webp",
        ".json",
        ".png",
        ".txt",
        "a" * 300,
        "A" * 26,
        "borges",
    ),
)
BOMB_BYTES = 10 * 10**9


def paths(running: Library, report: Report) -> None:
    """Ask for paths that are put together of hostile pieces; a machine that starts no print asks."""
    statuses: Counter[int] = Counter()
    turn = threading.Lock()

    def visit(hand: int) -> None:
        found: Counter[int] = Counter()
        for number in range(hand, PATHS, _HANDS):
            found[_status(running.port, _path(number, running.edition))] += 1
        with turn:
            statuses.update(found)

    hands = [threading.Thread(target=visit, args=(hand,)) for hand in range(_HANDS)]
    for hand in hands:
        hand.start()
    for hand in hands:
        hand.join()
    said = ", ".join(f"{count} × {status}" for status, count in sorted(statuses.items()))
    report.exactly(f"{PATHS:,} hostile paths ({said}): errors of ours", statuses[500] + statuses[0], 0)


def bomb(running: Library, report: Report) -> None:
    """A picture of 10 MB that says of itself a text of 10 GB."""
    squeeze = zlib.compressobj(9)
    block = bytes(10**8)
    begun = squeeze.compress(block) + squeeze.flush(zlib.Z_FULL_FLUSH)
    more = squeeze.compress(block) + squeeze.flush(zlib.Z_FULL_FLUSH)
    stream = begun + more * (BOMB_BYTES // len(block) - 1)
    header = struct.pack(">IIBBBBB", 640, 416, 8, 2, 0, 0, 0)
    text = _chunk(b"zTXt", b"Babelia-Key\0\0" + stream)
    data = b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + text + _chunk(b"IEND", b"")
    answer = ask(running.port, "/api/key", "POST", data, Content_Type="image/png")
    report.exactly(
        f"a picture of {len(data) / 1e6:.0f} MB with a text of {BOMB_BYTES / 1e9:.0f} GB", answer.status, 400
    )
    report.most("… refused after", answer.seconds, 1.0, "s")


def _path(number: int, edition: str) -> bytes:
    chance = random.Random(number)
    parts = [chance.choice(_PIECES) for _ in range(chance.randrange(1, 7))]
    if chance.random() < 0.5:
        parts[:0] = [edition, chance.choice(("key", "prompt", "stacks", "mark"))]
    text = "/" + "/".join(parts)[:6000] + chance.choice(("", "/", ".png", ".json", "/events", "/card.png"))
    return text.replace(" ", "%20").encode() if chance.random() < 0.8 else text.encode("utf-16-le").replace(b" ", b"")


def _status(port: int, path: bytes) -> int:
    """The status of the answer to a path that is sent byte for byte; 0 where there is none."""
    request = b"GET " + path.replace(b"\n", b"").replace(b"\r", b"") + b" HTTP/1.1\r\nHost: localhost\r\nUser-Agent: "
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        with contextlib.suppress(ConnectionError):
            connection.sendall(request + BOT.encode() + b"\r\nConnection: close\r\n\r\n")
        try:
            line = connection.recv(100)
        except ConnectionError:
            return 0
    words = line.split(b" ")
    return int(words[1]) if len(words) > 1 and words[1].isdigit() else 0


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
