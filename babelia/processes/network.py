"""Ports and addresses of this machine: where the site listens, and under which URLs it is reached.

May import babelia.processes.errors alone: what the settings say is handed in.
"""

from __future__ import annotations

import contextlib
import errno
import http.client
import ipaddress
import socket
from collections.abc import Callable, Sequence

import psutil

from babelia import ALIVE
from babelia.processes.errors import LibraryRefused

PORTS_TRIED = 100
_ALL = ("0.0.0.0", "::")
_LOOPBACK = ("localhost", "127.0.0.1", "[::1]")


def listen(host: str, port: int, say: Callable[[str], None] | None = None) -> socket.socket:
    """A listening socket on the port. Where that is taken: the next free one, which `say` names; without `say`, none.

    A proxy asks at the port that it was told, so a site that moved would be away behind one. Raises LibraryRefused.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for candidate in range(port, min(port + PORTS_TRIED, 65536)):
        listening = socket.socket(family, socket.SOCK_STREAM)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((host, candidate))
            listening.listen(2048)
        except PermissionError as error:
            listening.close()
            raise LibraryRefused(
                f"Port {candidate} is not ours to listen on.", hint="Set BABELIA_PORT to one above 1023."
            ) from error
        except OSError as error:
            listening.close()
            if error.errno == errno.EADDRINUSE and say is None:
                raise LibraryRefused(
                    f"Port {port} is taken, so the site cannot listen there.",
                    hint="End what listens there, or set BABELIA_PORT to another one, and have the proxy ask at that.",
                ) from error
            if error.errno == errno.EADDRINUSE or candidate != port:
                continue
            raise LibraryRefused(
                f"The site cannot listen on {host} ({error.strerror}).",
                hint="BABELIA_LISTEN is an address of this machine: 127.0.0.1, or 0.0.0.0 or :: for all of them.",
            ) from error
        if candidate != port and say is not None:
            say(f"Port {port} is taken, so the site uses port {candidate}.")
        return listening
    raise LibraryRefused(f"The ports from {port} on are all taken.", hint="Set BABELIA_PORT to another one.")


def as_seen(proxies: Sequence[str], host: str) -> list[str]:
    """The proxies as a site on `host` sees them: on `::`, who comes over IPv4 has an address of IPv6 (::ffff:…)."""
    mapped = []
    if ":" in host:
        for proxy in proxies:
            with contextlib.suppress(ValueError):
                network = ipaddress.IPv4Network(proxy, strict=False)
                mapped.append(f"::ffff:{network.network_address}/{96 + network.prefixlen}")
    return [*proxies, *mapped]


def free_port(first: int) -> int:
    """The first port of loopback from `first` on that nobody listens on."""
    for port in range(first, first + PORTS_TRIED):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with contextlib.suppress(OSError):
                probe.bind(("127.0.0.1", port))
                return port
    raise LibraryRefused(f"The ports of loopback from {first} on are all taken.", hint="Set REDIS_URL.")


def serves(host: str, port: int) -> bool:
    """Whether the site answers there; `host` is the address that it listens on."""
    connection = http.client.HTTPConnection({"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host), port, timeout=2)
    try:
        connection.request("GET", ALIVE)
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def public_url(hosts: Sequence[str], prefix: str) -> str | None:
    """The URL that visitors of a site behind HTTPS type: of its names, the first that is one; None where none is.

    `.example.org` and `*` stand for names that nobody here knows, and loopback is only this machine's.
    """
    for host in hosts:
        if not host.startswith((".", "*")) and host not in _LOOPBACK:
            return f"https://{host}{prefix}/"
    return None


def addresses(host: str, port: int) -> str:
    """The URLs under which the site is reached, the one for this machine first."""
    if host not in _ALL:
        shown = "localhost" if host == "127.0.0.1" else host
        return f"http://{f'[{shown}]' if ':' in shown else shown}:{port}/"
    own = {
        address.address
        for of_one_interface in psutil.net_if_addrs().values()
        for address in of_one_interface
        if address.family == socket.AF_INET and not address.address.startswith("127.")
    }
    return "  ".join(f"http://{name}:{port}/" for name in ["localhost", *sorted(own)])
