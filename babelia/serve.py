"""One process of the site: uvicorn on a socket that its supervisor opened, or on BABELIA_LISTEN and BABELIA_PORT.

`python -m babelia.serve` serves the site alone. May import Django, uvicorn and the rest of babelia.
"""

from __future__ import annotations

import argparse
import gc
import socket
import sys
from dataclasses import fields

import uvicorn

from babelia import strays
from babelia.environment import read_settings
from babelia.processes import pulse
from babelia.processes.connections import Patience, patient, raise_file_limit
from babelia.processes.errors import LibraryRefused
from babelia.processes.network import listen

GRACE = 3
"""Seconds that requests get to end when the site shuts down."""
_TICKS_A_SECOND = 10


class _Site(uvicorn.Server):
    """Ends the streams of those who follow a print before it waits for connections: nothing else ends them."""

    async def on_tick(self, counter: int) -> bool:
        """Called by uvicorn ten times a second: a sign of life of the event loop, for the supervisor."""
        if counter % _TICKS_A_SECOND == 0:
            pulse.touch("site")
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        from babelia.services import close_job_clients

        close_job_clients()
        await super().shutdown(sockets)


def main() -> None:
    """Serve until a signal ends it."""
    parser = argparse.ArgumentParser(description="Serve the site.")
    parser.add_argument("--fd", type=int, help="number of an open, listening socket")
    limits = {field.name: field.default for field in fields(Patience)}
    for name, default in limits.items():
        parser.add_argument(
            f"--{name.replace('_', '-')}-limit",
            type=type(default),
            default=default,
            help=f"see babelia.processes.connections.Patience.{name} (default: %(default)s)",
        )
    arguments = parser.parse_args()
    read_settings()
    from django.conf import settings

    for sentence in strays.sentences():
        print(sentence, file=sys.stderr)
    try:
        listening = (
            listen(settings.LISTEN, settings.PORT) if arguments.fd is None else socket.socket(fileno=arguments.fd)
        )
    except LibraryRefused as error:
        sys.exit(f"{error} {error.hint}".strip())
    raise_file_limit()
    patience = Patience(**{name: getattr(arguments, f"{name}_limit") for name in limits})
    config = uvicorn.Config(
        "babelia.asgi:application",
        workers=1,  # or uvicorn reads a number from the environment
        loop="uvloop",
        http=patient(patience),
        ws="none",
        lifespan="off",
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,  # babelia.web.proxies believes them: it also has to know who said it
        timeout_graceful_shutdown=GRACE,
    )
    config.load()
    # What is loaded now stays: the collector need not walk through it again (85 ms a time, in which nobody is served).
    gc.collect()
    gc.freeze()
    _Site(config).run(sockets=[listening])


if __name__ == "__main__":
    main()
