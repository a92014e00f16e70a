"""Connections that do not finish what they began: slow or silent hands must not keep the others out.

Each connection costs a file, and a process has a limited number of them. So headers must be there within some seconds
and some kilobytes, a body arrive at a least rate, and an answer be taken. uvicorn closes connections that are idle
between two requests. Imports uvicorn alone.
"""

from __future__ import annotations

import asyncio
import logging
import resource
from dataclasses import dataclass
from typing import ClassVar, Literal

from babelia.web.headers import BoundedHeaders

FILES = 65_536
"""Open files that a process of the site asks for, where its system allows so many."""
_FEW_FILES = 4096

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Patience:
    """How long a connection may take for what."""

    headers: float = 10.0  # seconds from the first moment to the last header
    header_bytes: int = 64 * 1024  # of one request's line and headers, as they arrive
    body_rate: float = 8 * 1024  # bytes a second, of a body that the site is ready to read
    stall: float = 10.0  # seconds over which that rate is measured
    answer: float = 60.0  # seconds in which nothing of a waiting answer is taken
    look: float = 1.0  # seconds between two looks at a connection


class PatientProtocol(BoundedHeaders):
    """uvicorn's protocol, which otherwise waits for ever, with an end to its patience."""

    patience: ClassVar[Patience] = Patience()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Expect headers from now on."""
        super().connection_made(transport)
        now = self.loop.time()
        self._expects: Literal["headers", "body"] | None = "headers"
        self._since = now  # when it began to expect them, or to measure the body's rate
        self._arrived = 0  # bytes since then
        self._unsent, self._unsent_since = 0, now
        self._look_again()

    def data_received(self, data: bytes) -> None:
        """Count what arrives; a request that begins has its headers to bring."""
        if self._expects is None:
            self._expect("headers")
        self._arrived += len(data)
        super().data_received(data)
        if self._expects == "headers" and self._arrived > self.patience.header_bytes:
            self._refuse(b"431 Request Header Fields Too Large", "too many bytes of headers")

    def on_headers_complete(self) -> None:
        """The body begins, if there is one."""
        self._expect("body")
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """The request is there; what comes next is another one."""
        self._expects = None
        super().on_message_complete()

    def _expect(self, what: Literal["headers", "body"]) -> None:
        self._expects, self._since, self._arrived = what, self.loop.time(), 0

    def _look_again(self) -> None:
        self.loop.call_later(self.patience.look, self._look)

    def _look(self) -> None:
        if self.transport.is_closing():
            if self.transport.get_write_buffer_size() and self._is_not_taken(self.loop.time()):
                self.transport.abort()
            elif self in self.connections:
                self._look_again()
            return
        now = self.loop.time()
        limits = self.patience
        if self._expects == "headers" and now - self._since > limits.headers:
            self._refuse(b"408 Request Timeout", f"no headers within {limits.headers:.0f} s")
        elif self._expects == "body" and self.flow.read_paused:
            self._expect("body")  # it is the site that takes its time
        elif self._expects == "body" and now - self._since > limits.stall:
            if self._arrived < limits.body_rate * (now - self._since):
                self._refuse(b"408 Request Timeout", f"a body below {limits.body_rate:.0f} bytes a second")
            else:
                self._expect("body")
        elif self._is_not_taken(now):
            log.info("Closed a connection: nothing of its answer was taken for %.0f s.", limits.answer)
            self.pipeline.clear()
            self.transport.abort()
        if self in self.connections:
            self._look_again()

    def _is_not_taken(self, now: float) -> bool:
        """Whether an answer has waited for so long that nobody will take it."""
        unsent = self.transport.get_write_buffer_size()
        if unsent == 0 or unsent != self._unsent:
            self._unsent, self._unsent_since = unsent, now
        return now - self._unsent_since > self.patience.answer

    def _refuse(self, status: bytes, reason: str) -> None:
        """Say why, where no answer has begun, and close."""
        log.info("Closed a connection: %s.", reason)
        answers = self.cycle is not None and self.cycle.response_started and not self.cycle.response_complete
        if self._arrived and not answers:  # a browser may open connections ahead of need, and has asked nothing then
            self.transport.write(b"HTTP/1.1 " + status + b"\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
        self.transport.close()


def patient(patience: Patience) -> type[PatientProtocol]:
    """The protocol with limits of one's own."""
    return type("PatientProtocol", (PatientProtocol,), {"patience": patience})


def raise_file_limit() -> int:
    """Let this process open as many files as its system allows, `FILES` at most; say so where that is few."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES if hard == resource.RLIM_INFINITY else min(FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        soft = wanted
    if soft != resource.RLIM_INFINITY and soft < _FEW_FILES:
        log.warning(
            "This process may open %d files, and every visitor's connection is one: raise its limit (ulimit -n, or "
            "LimitNOFILE of its unit).",
            soft,
        )
    return soft
