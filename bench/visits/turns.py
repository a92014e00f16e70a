"""How fair turns are: fast hands that leave five pages for a sixth, and one page behind 500 of another visitor.

`python -m bench.visits.turns` starts a whole library on a data folder of its own and visits it as browsers do, each
visitor behind an address of theirs. Times are given as multiples of what a page takes alone. Imports bench.opening.
"""

import argparse
import http.client
import json
import secrets
import statistics
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

from bench.opening import library, line

LAST_WITHIN, BEHIND_WITHIN = 1.3, 3.0
"""What is promised, in times of a page alone."""
BROWSER = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/149.0.0.0 Safari/537.36"


def main() -> None:
    """Measure and report; exit code 1 where a promise is not kept."""
    parser = argparse.ArgumentParser(prog="python -m bench.visits.turns", description=__doc__)
    parser.add_argument("--edition", default="pocket-1")
    parser.add_argument(
        "--times", type=int, default=3, help="how often each is measured (default 3); the median counts"
    )
    parser.add_argument("--pages", type=int, default=500, help="of the other visitor (default 500)")
    arguments = parser.parse_args()
    unlimited = {"BABELIA_VISITOR_LIMIT": "0", "BABELIA_VISITOR_WAITING": "0", "BABELIA_QUEUE_LIMIT": "5000"}
    with (
        tempfile.TemporaryDirectory() as folder,
        library(Path(folder), arguments.edition, **unlimited) as port,
    ):
        one, many = Visitor(port, arguments.edition, "192.0.2.1"), Visitor(port, arguments.edition, "192.0.2.2")
        one.waits_for(one.a_page())  # warm
        times = range(arguments.times)
        alone = statistics.median([one.waits_for(one.a_page()) for _ in times])
        last = statistics.median([one.hurries() for _ in times])
        with ThreadPoolExecutor(16) as tabs:
            list(tabs.map(many.opens, [many.a_page() for _ in range(arguments.pages)]))
        behind = statistics.median([one.waits_for(one.a_page()) for _ in times])
    print(f"{'a page alone':<62} {alone:6.2f} s")
    kept = [
        line("the last of six pages at 0.7 s, five of them left", last / alone, LAST_WITHIN, "×"),
        line(f"a page behind {arguments.pages} of another visitor", behind / alone, BEHIND_WITHIN, "×"),
    ]
    sys.exit(not all(kept))


@dataclass(frozen=True)
class Visitor:
    """One visitor, by the address that a proxy hands on."""

    port: int
    edition: str
    address: str

    def a_page(self) -> str:
        """The path of a page that nobody has opened."""
        return f"/{self.edition}/key/{secrets.token_hex(8)}/1/"

    def ask(self, method: str, path: str, body: str | None = None) -> http.client.HTTPResponse:
        """Send a request as a browser does, and return its answer, unread."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        headers = {"User-Agent": BROWSER, "X-Forwarded-For": self.address, "Sec-Fetch-Site": "same-origin"}
        if body is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        connection.request(method, path, body, headers)
        return connection.getresponse()

    def opens(self, path: str) -> None:
        """Open a page in a tab that stays in the background."""
        self.ask("GET", f"{path}?visitor={secrets.token_hex(8)}&away=1").read()

    def waits_for(self, path: str) -> float:
        """Open a page and follow it until it is there; seconds."""
        began, tab = time.perf_counter(), secrets.token_hex(8)
        self.ask("GET", f"{path}?visitor={tab}").read()
        for said in self.ask("GET", f"{path}events?visitor={tab}"):
            if said.startswith(b"data: ") and json.loads(said[6:])["state"] == "kept":
                return time.perf_counter() - began
        sys.exit(f"{path} was not printed.")

    def hurries(self) -> float:
        """Open six pages, each 0.7 seconds after the one before, which is left then; the seconds of the last."""
        for _ in range(5):
            began, path, tab = time.perf_counter(), self.a_page(), secrets.token_hex(8)
            self.ask("GET", f"{path}?visitor={tab}").read()
            left = urlencode({"visitor": tab, "unseen": 1})
            due = began + 0.7 - time.perf_counter()
            threading.Timer(due + 0.02, self.ask, ("POST", f"{path}leave", left)).start()  # as the next one has come
            time.sleep(max(0.0, due))
        return self.waits_for(self.a_page())


if __name__ == "__main__":
    main()
