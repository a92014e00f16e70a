"""What the press itself takes of a page's time: everything but the model (previews, Redis, PNG, thumbnail, disk).

`python -m bench.press_share` prints pages with a real Valkey and a store of its own, and says where the seconds went.
"""

import argparse
import asyncio
import contextlib
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

import redis

from babelia.processes.valkey import Server
from worker.catalogue.address import DEFAULT_EDITION, Address
from worker.jobs.client import JobClient
from worker.jobs.consumer import JobConsumer
from worker.press import PrintingPress
from worker.store.store import Store

LIMIT = 0.05
PORT = 17379


def main() -> None:
    """Print some pages and report; exit code 1 where the share is over the limit."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--edition", default=DEFAULT_EDITION)
    parser.add_argument("--pages", type=int, default=5)
    parser.add_argument("--editions", type=Path, help="a folder of editions beside those that ship")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder)
        if arguments.editions is not None:
            (data / "editions").symlink_to(arguments.editions.resolve())
        server = Server(data / "valkey", PORT)
        process = subprocess.Popen(server.command())
        try:
            _wait_for(server.url)
            share = _measure(data, server.url, arguments.edition, arguments.pages)
        finally:
            process.terminate()
            process.wait()
    raise SystemExit(share > LIMIT)


def _measure(data: Path, url: str, edition: str, pages: int) -> float:
    store = Store(data, reserve=0)
    with contextlib.closing(JobConsumer(url)) as jobs:
        press = PrintingPress(store, jobs, [edition])
        press.open()
        shares = []
        for page in range(1, pages + 2):
            address = Address(edition, "key", "share", page)
            asyncio.run(_ask(url, store, address))
            press.print_waiting(edition)
            assert store.find(address) is not None, "the page was printed; see the log"
            times = press.times
            if page > 1:  # the first one finds nothing warm
                shares.append(times.share)
                print(f"page {page}: model {times.model:.3f} s, press {times.own * 1000:.0f} ms: {times.share:.1%}")
    share = statistics.median(shares)
    print(f"The press's own share of a page's time: {share:.1%} (median of {pages} pages; at most {LIMIT:.0%} wanted).")
    return share


async def _ask(url: str, store: Store, address: Address) -> None:
    front = JobClient(url, store, print)
    try:
        await front.ask(address, "bench", patience=600)
    finally:
        await front.aclose()


def _wait_for(url: str) -> None:
    with redis.Redis.from_url(url) as client:
        for _ in range(100):
            with contextlib.suppress(redis.exceptions.ConnectionError):
                client.ping()
                return
            time.sleep(0.05)
    raise SystemExit("Valkey does not answer.")


if __name__ == "__main__":
    main()
