"""Many large files at once, at a real site process: what they cost in memory, and what each is answered."""

import os
import threading
from collections import Counter
from pathlib import Path

import psutil
import pytest

from tests.conftest import RunningPress, run_site
from tests.visitor import ask

pytestmark = pytest.mark.alone

FILES, SIZE = 60, 16_000_000
ROOM = 400 * 2**20
"""Bytes by which the process may grow: three files that are read, copies of them, and what arrives."""


@pytest.mark.parametrize("way", ["form", "api"])
def test_sixty_large_files_at_once_stay_within_some_hundred_megabytes(tmp_path: Path, valkey: str, way: str) -> None:
    library = RunningPress(tmp_path, valkey.removesuffix("/0") + "/4", own_python=True)  # whose memory is counted
    data = b"\x89PNG\r\n\x1a\n" + os.urandom(SIZE)
    with run_site(library) as site:
        (process,) = [child for child in psutil.Process().children() if "babelia.serve" in " ".join(child.cmdline())][
            -1:
        ]
        assert ask(site, "/-/alive").status == 200
        before = process.memory_info().rss
        statuses: Counter[int] = Counter()

        if way == "form":
            head = b'--line\r\nContent-Disposition: form-data; name="file"; filename="large.png"\r\n\r\n'
            path, kind, body = "/key/open", "multipart/form-data; boundary=line", head + data + b"\r\n--line--\r\n"
        else:
            path, kind, body = "/api/key", "image/png", data

        def send() -> None:
            statuses[ask(site, path, "POST", body, Content_Type=kind).status] += 1

        senders = [threading.Thread(target=send) for _ in range(FILES)]
        for sender in senders:
            sender.start()
        for sender in senders:
            sender.join()
        lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
        peak = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))
        assert set(statuses) <= {400, 503}
        assert statuses.total() == FILES
        assert statuses[400] > 0  # it was read, and is no picture
        assert peak - before < ROOM, f"{(peak - before) / 2**20:.0f} MiB"
        assert ask(site, "/-/alive").status == 200
