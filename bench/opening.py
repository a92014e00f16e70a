"""How long it takes from `make run` to a printed page, from a click to a preview and to the picture, and the memory.

`python -m bench.opening` starts the whole library twice, on a data folder of its own, and asks for new pages over HTTP
as a browser does: the page, then its server-sent events. Imports nothing of the project.
"""

import argparse
import http.client
import json
import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parent.parent
OPEN_WITHIN, PREVIEW_WITHIN, PICTURE_WITHIN, STOPPED_WITHIN = 15.0, 1.5, 6.0, 10.0
"""What is promised, in seconds."""
WORKER_WITHIN = 1.2
"""What is promised of pocket-1 for the whole worker, in GB."""


def main() -> None:
    """Measure and report; exit code 1 where a promise is not kept."""
    parser = argparse.ArgumentParser(prog="python -m bench.opening", description=__doc__)
    parser.add_argument("--edition", default="pocket-1")
    parser.add_argument("--pages", type=int, default=5)
    parser.add_argument("--editions", type=Path, help="a folder of editions beside those that ship")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if arguments.editions is not None:
            (Path(folder) / "editions").symlink_to(arguments.editions.resolve())
        with library(Path(folder), arguments.edition):
            pass
        began = time.perf_counter()
        with library(Path(folder), arguments.edition) as port:
            opened = time.perf_counter() - began
            _new_page(port, f"/{arguments.edition}/key/opening/1/")
            first = time.perf_counter() - began
            pages = [
                _new_page(port, f"/{arguments.edition}/prompt/a%20dog/{page}/")
                for page in range(1, arguments.pages + 1)
            ]
            memory = _memory_of_worker()
            closing = time.perf_counter()
        closed = time.perf_counter() - closing
    preview, picture = (statistics.median(seconds) for seconds in zip(*pages, strict=True))
    kept = [
        line("the second `make run`, until the library is open", opened, OPEN_WITHIN),
        line("the second `make run`, until its first page is printed", first, OPEN_WITHIN),
        line(f"a new page, until its first preview (median of {len(pages)})", preview, PREVIEW_WITHIN),
        line(f"a new page, until it is printed (median of {len(pages)})", picture, PICTURE_WITHIN),
        line("Ctrl-C, until nothing runs any more", closed, STOPPED_WITHIN),
        line("the worker's memory at its peak (all its processes, Linux)", memory, WORKER_WITHIN, "GB"),
    ]
    sys.exit(not all(kept))


def line(what: str, measured: float, promised: float, unit: str = "s") -> bool:
    """Print what was measured and promised; whether it was kept."""
    kept = measured <= promised
    print(f"{what:<62} {measured:6.2f} {unit:<2}  at most {promised:4.1f} {unit:<2}  {'kept' if kept else 'NOT KEPT'}")
    return kept


def _memory_of_worker() -> float:
    """The sum of the largest memory that each process of the worker has had, in GB; what they share counts for each.

    Only of processes below this one: another library may run on the same machine.
    """
    of_worker: list[psutil.Process] = []
    for process in psutil.Process().children(recursive=True):
        if "celery" in process.cmdline():
            of_worker += [process, *process.children(recursive=True)]
    peaks = {}
    for process in of_worker:
        status = Path(f"/proc/{process.pid}/status").read_text()
        peaks[process.pid] = int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) * 1024  # type: ignore[index]
    return sum(peaks.values()) / 1e9


@contextmanager
def library(data: Path, edition: str, **settings: str) -> Iterator[int]:
    """The library, open, with settings of its own; its port."""
    own = {"BABELIA_DATA": str(data), "BABELIA_EDITIONS": edition, "BABELIA_PORT": "8600", "REDIS_URL": ""} | settings
    process = subprocess.Popen(["make", "run"], cwd=ROOT, env=os.environ | own, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None, "its output is ours"
    try:
        for line in process.stdout:
            if found := re.search(r"The library is open: +http://localhost:(\d+)/", line):
                yield int(found[1])
                break
        else:
            sys.exit("The library did not open; its messages are above.")
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


def _new_page(port: int, path: str) -> tuple[float, float]:
    """Open a page that was never printed and follow it; seconds until its first preview and until it is kept."""
    began = time.perf_counter()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("GET", path)
    connection.getresponse().read()
    connection.request("GET", path + "events", headers={"Accept": "text/event-stream"})
    preview: float | None = None
    for line in connection.getresponse():
        if not line.startswith(b"data: "):
            continue
        told = json.loads(line[6:])
        if told.get("preview") and preview is None:
            preview = time.perf_counter() - began
        if told["state"] == "kept":
            break
    else:
        sys.exit(f"{path} was not printed.")
    connection.close()
    printed = time.perf_counter() - began
    return printed if preview is None else preview, printed


if __name__ == "__main__":
    main()
