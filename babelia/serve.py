"""One process of the site: uvicorn on a socket that its supervisor opened, or on BABELIA_LISTEN and BABELIA_PORT.

`python -m babelia.serve` serves the site alone. May import Django, uvicorn and babelia.services.
"""

from __future__ import annotations

import argparse
import os
import socket

import uvicorn

GRACE = 3
"""Seconds that requests get to end when the site shuts down."""


class _Site(uvicorn.Server):
    """Ends the streams of those who follow a print before it waits for connections: nothing else ends them."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        from babelia.services import close_job_clients

        close_job_clients()
        await super().shutdown(sockets)


def main() -> None:
    """Serve until a signal ends it."""
    parser = argparse.ArgumentParser(description="Serve the site.")
    parser.add_argument("--fd", type=int, help="number of an open, listening socket")
    arguments = parser.parse_args()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "babelia.settings")
    from django.conf import settings

    config = uvicorn.Config(
        "babelia.asgi:application",
        host=settings.LISTEN,
        port=settings.PORT,
        loop="uvloop",
        http="httptools",
        ws="none",
        lifespan="off",
        log_level="warning",
        access_log=False,
        server_header=False,
        forwarded_allow_ips=settings.PROXIES,
        timeout_graceful_shutdown=GRACE,
    )
    _Site(config).run(sockets=None if arguments.fd is None else [socket.socket(fileno=arguments.fd)])


if __name__ == "__main__":
    main()
