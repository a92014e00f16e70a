"""Fetching weights, from a server on loopback that speaks the model hub's file API; interrupted and gone on with."""

import contextlib
import hashlib
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests import ROOT
from tests.conftest import write_edition
from worker.editions.edition import Edition, load_edition
from worker.editions.hub import bytes_wanted, fetch, look_up
from worker.editions.weights import check_weights, deciding_files
from worker.errors import EditionRefused, InputRefused, WeightsRefused

REVISION = "451f4fe16113bff5a5d2269ed5ad43b0592e9a14"
LARGE = "extra/large.safetensors"
LARGE_BYTES = 26_000_000
SMALL_LIMIT = 100_000
"""Files below it are answered at once, larger ones by a redirection to another path, as the hub does with its store."""


@dataclass
class Hub:
    """What the server serves, what it does wrong, and what it was asked."""

    files: dict[str, bytes]
    url: str = ""
    revision: str = REVISION
    stall_at: int | None = None
    drop_at: int | None = None
    ranges: bool = True
    licence: str | None = None
    asked: list[tuple[str, str, str | None]] = field(default_factory=list)
    authorised: list[str] = field(default_factory=list)
    go_on: threading.Event = field(default_factory=threading.Event)


def sibling(name: str, content: bytes) -> dict[str, Any]:
    """A file as the hub describes it: small ones by their git blob, large ones by their SHA-256 as well."""
    blob = hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()
    found: dict[str, Any] = {"rfilename": name, "size": len(content), "blobId": blob}
    if len(content) > SMALL_LIMIT:
        digest = hashlib.sha256(content).hexdigest()
        found["lfs"] = {"sha256": digest, "size": len(content), "pointerSize": 134}
    return found


def handler_for(hub: Hub) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: object) -> None:
            pass

        def do_HEAD(self) -> None:
            self.answer(body=False)

        def do_GET(self) -> None:
            self.answer(body=True)

        def answer(self, body: bool) -> None:
            hub.asked.append((self.command, self.path, self.headers.get("Range")))
            if authorisation := self.headers.get("Authorization"):
                hub.authorised.append(authorisation)
            if self.path.startswith("/api/models/"):
                self.describe()
                return
            stored = self.path.startswith("/store/")
            name = self.path.removeprefix("/store/").removeprefix(f"/owner/tiny/resolve/{REVISION}/")
            content = hub.files.get(name)
            if content is None:
                self.send_response(404)
                self.send_header("X-Error-Code", "EntryNotFound")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            digest = hashlib.sha256(content).hexdigest()
            if len(content) > SMALL_LIMIT and not stored:
                self.send_response(302)
                self.send_header("Location", f"{hub.url}/store/{name}")
                self.send_header("X-Repo-Commit", hub.revision)
                self.send_header("X-Linked-Size", str(len(content)))
                self.send_header("X-Linked-Etag", f'"{digest}"')
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            begin = 0
            if hub.ranges and (found := re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range") or "")):
                begin = int(found[1])
                self.send_response(206)
                self.send_header("Content-Range", f"bytes {begin}-{len(content) - 1}/{len(content)}")
            else:
                self.send_response(200)
            self.send_header("X-Repo-Commit", hub.revision)
            self.send_header("ETag", f'"{digest}"')
            self.send_header("Content-Length", str(len(content) - begin))
            self.end_headers()
            if body:
                self.send(content[begin:])

        def describe(self) -> None:
            """What the repository has at its default branch, at the branch "half" or at the commit itself."""
            known = ["/revision/half", f"/revision/{REVISION}", ""]
            if self.path.partition("?")[0] not in [f"/api/models/owner/tiny{end}" for end in known]:
                self.send_response(404)
                self.send_header("X-Error-Code", "RepoNotFound")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            content = json.dumps(
                {
                    "id": "owner/tiny",
                    "sha": hub.revision,
                    "siblings": [sibling(name, data) for name, data in hub.files.items()],
                    "cardData": {"license": hub.licence} if hub.licence else {},
                }
            ).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def send(self, content: bytes) -> None:
            if hub.drop_at is not None and len(content) > hub.drop_at:
                self.wfile.write(content[: hub.drop_at])
                hub.drop_at = None
                self.close_connection = True
                self.connection.close()
                return
            if hub.stall_at is not None and len(content) > hub.stall_at:
                self.wfile.write(content[: hub.stall_at])
                self.wfile.flush()
                hub.go_on.wait(60)
                return
            self.wfile.write(content)

    return Handler


@pytest.fixture
def hub(tiny_weights: Path) -> Iterator[Hub]:
    """A hub that serves the tiny weights and a file of 26 MB."""
    files = {name: (tiny_weights / name).read_bytes() for name in deciding_files(tiny_weights)}
    files[LARGE] = random.Random(1).randbytes(LARGE_BYTES)
    with run_hub(Hub(files)) as running:
        yield running


@contextlib.contextmanager
def run_hub(hub: Hub) -> Iterator[Hub]:
    """Serve a hub on loopback for as long as the block lasts."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler_for(hub))
    server.handle_error = lambda *args: None  # type: ignore[method-assign]  # a client that goes away is expected
    hub.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield hub
    finally:
        hub.go_on.set()
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def edition(hub: Hub, tmp_path: Path) -> Edition:
    """An own edition whose weights lie on that hub, small files pinned by git's name, large ones by SHA-256."""
    lines = [f'hub = "owner/tiny"\nrevision = "{REVISION}"\n[weights.files]']
    for name, content in hub.files.items():
        if len(content) > SMALL_LIMIT:
            pin = f'sha256 = "{hashlib.sha256(content).hexdigest()}"'
        else:
            blob = b"blob %d\0" % len(content) + content
            pin = f'git = "{hashlib.sha1(blob).hexdigest()}"'
        lines.append(f'"{name}" = {{ bytes = {len(content)}, {pin} }}')
    write_edition(tmp_path, "hubbed", "MODEL", lambda text: text.replace('model = "MODEL"', "\n".join(lines)))
    return load_edition("hubbed", tmp_path)


def run(data_dir: Path, hub: Hub, *arguments: str) -> "subprocess.Popen[str]":
    environment = {"BABELIA_DATA": str(data_dir), "HF_ENDPOINT": hub.url, "HF_HUB_DISABLE_TELEMETRY": "1"}
    command = [sys.executable, str(ROOT / "manage.py"), "fetch_edition", "hubbed", *arguments]
    return subprocess.Popen(
        command, env=os.environ | environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def partials(edition: Edition) -> list[Path]:
    return sorted(edition.weights.rglob("*.partial"))


def test_a_fetch_that_is_interrupted_goes_on_where_it_stopped(edition: Edition, hub: Hub, tmp_path: Path) -> None:
    hub.stall_at = 25_000_000
    first = run(tmp_path, hub)
    deadline = time.monotonic() + 60
    while not [path for path in partials(edition) if path.stat().st_size >= 20_000_000]:
        assert first.poll() is None, first.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.05)
    first.send_signal(signal.SIGINT)
    _, said = first.communicate(timeout=300)
    assert first.returncode == 130
    assert "the same command goes on from there" in said
    assert "Traceback" not in said
    assert "hubbed:" in said  # the progress bar
    (partial,) = partials(edition)
    here = partial.stat().st_size
    assert here >= 20_000_000
    assert not edition.installed

    hub.stall_at = None
    hub.go_on.set()
    hub.asked.clear()
    second = run(tmp_path, hub)
    printed, said = second.communicate(timeout=120)
    assert second.returncode == 0, said
    assert ("GET", f"/store/{LARGE}", f"bytes={here}-") in hub.asked
    assert [path for _, path, _ in hub.asked if "/unet/" in path] == []  # the small ones had come before
    assert edition.installed
    assert edition.check().digest in printed
    assert {name: (edition.weights / name).read_bytes() for name in hub.files} == hub.files
    assert not partials(edition)
    assert not hub.authorised


def test_what_is_here_is_never_asked_for_again(edition: Edition, hub: Hub, tiny_weights: Path) -> None:
    fetch(edition, lambda count: None, endpoint=hub.url)
    hub.asked.clear()
    fetch(edition, lambda count: None, endpoint=hub.url)
    assert hub.asked == []
    assert check_weights(edition.weights).digest == check_weights(tiny_weights).digest


def test_progress_adds_up_to_what_was_wanted(edition: Edition, hub: Hub) -> None:
    counts: list[int] = []
    total, here = bytes_wanted(edition)
    fetch(edition, counts.append, endpoint=hub.url)
    assert (total, here) == (sum(map(len, hub.files.values())), 0)
    assert sum(counts) == total
    assert bytes_wanted(edition) == (total, total)


def test_a_dropped_connection_is_taken_up_again(edition: Edition, hub: Hub) -> None:
    hub.drop_at = 21_000_000
    counts: list[int] = []
    fetch(edition, counts.append, endpoint=hub.url)
    assert (edition.weights / LARGE).read_bytes() == hub.files[LARGE]
    assert [asked for asked in hub.asked if asked[1] == f"/store/{LARGE}" and asked[2]]
    assert sum(counts) == sum(map(len, hub.files.values()))


def test_a_server_that_knows_no_ranges_sends_the_file_from_its_start(edition: Edition, hub: Hub) -> None:
    pin = edition.hub.files[LARGE] if edition.hub else None
    assert pin is not None
    partial = edition.weights / f"{LARGE}.{str(pin.sha256)[:12]}.partial"
    partial.parent.mkdir(parents=True)
    partial.write_bytes(b"x" * 1000)
    hub.ranges = False
    counts: list[int] = []
    total, here = bytes_wanted(edition)
    assert here == 1000
    fetch(edition, counts.append, endpoint=hub.url)
    assert sum(counts) == total - here
    assert (edition.weights / LARGE).read_bytes() == hub.files[LARGE]


def test_a_file_that_is_not_the_pinned_one_is_refused_and_not_kept(edition: Edition, hub: Hub) -> None:
    name = "unet/diffusion_pytorch_model.safetensors"
    content = hub.files[name]
    hub.files[name] = content[:-1] + bytes([content[-1] ^ 1])
    with pytest.raises(WeightsRefused, match=f"What came as {name} is not what the edition pins.*SHA-256"):
        fetch(edition, lambda count: None, endpoint=hub.url)
    assert not (edition.weights / name).exists()
    assert not partials(edition)
    hub.files[name] = content
    fetch(edition, lambda count: None, endpoint=hub.url)
    assert edition.installed


def test_another_revision_or_size_than_the_pinned_one_is_refused(edition: Edition, hub: Hub) -> None:
    hub.revision = "0" * 40
    with pytest.raises(WeightsRefused, match="should answer with revision 451f"):
        fetch(edition, lambda count: None, endpoint=hub.url)
    hub.revision = REVISION
    hub.files["scheduler/scheduler_config.json"] += b" "
    with pytest.raises(WeightsRefused, match=r"scheduler_config\.json should have .* on the hub"):
        fetch(edition, lambda count: None, endpoint=hub.url)


def test_a_hub_that_cannot_be_reached_or_has_no_such_file_is_said(edition: Edition, hub: Hub, tmp_path: Path) -> None:
    with pytest.raises(EditionRefused, match="cannot be reached") as refused:
        fetch(edition, lambda count: None, endpoint="http://127.0.0.1:9")
    assert "goes on where it stopped" in refused.value.hint
    del hub.files[LARGE]
    with pytest.raises(EditionRefused, match=f"answers 404 for {LARGE}"):
        fetch(edition, lambda count: None, endpoint=hub.url)


def test_the_command_says_in_one_line_that_the_hub_cannot_be_reached(
    edition: Edition, hub: Hub, tmp_path: Path
) -> None:
    hub.url = "http://127.0.0.1:9"
    done = run(tmp_path, hub)
    printed, said = done.communicate(timeout=300)
    assert (done.returncode, printed) == (2, "")
    assert "Traceback" not in said
    assert "The model hub cannot be reached" in said


def test_weights_can_come_out_of_a_folder_and_are_checked_alike(edition: Edition, hub: Hub, tmp_path: Path) -> None:
    source = tmp_path / "source"
    for name, content in hub.files.items():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_bytes(content)
    (source / LARGE).write_bytes(hub.files[LARGE][:-1] + b"?")
    with pytest.raises(WeightsRefused, match="not what the edition pins"):
        fetch(edition, lambda count: None, source)
    (source / LARGE).unlink()
    with pytest.raises(WeightsRefused, match="should be there and is not"):
        fetch(edition, lambda count: None, source)
    (source / LARGE).write_bytes(hub.files[LARGE])
    fetch(edition, lambda count: None, source)
    assert edition.installed
    assert hub.asked == []


def test_an_edition_with_its_weights_in_a_folder_is_not_fetched(tiny_edition: Edition) -> None:
    with pytest.raises(EditionRefused, match="is not fetched"):
        fetch(tiny_edition, lambda count: None)


def test_a_disk_without_room_is_said_before_anything_is_asked(
    edition: Edition, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk's answer is made up: a disk that is really full stands in tests/test_files.py."""
    usage = shutil.disk_usage("/")._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    with pytest.raises(InputRefused, match=r"still to come and the disk .* has room for 1,000"):
        fetch(edition, lambda count: None, endpoint=hub.url)
    assert hub.asked == []


def test_a_repository_is_looked_up_at_a_commit_with_the_digests_of_its_files(edition: Edition, hub: Hub) -> None:
    hub.licence = "creativeml-openrail-m"
    for revision in (None, "half", REVISION):
        found = look_up("owner/tiny", revision, hub.url)
        assert (found.name, found.revision, found.licence) == ("owner/tiny", REVISION, "creativeml-openrail-m")
        assert edition.hub is not None
        assert found.pins == edition.hub.files
    assert not hub.authorised


def test_a_repository_or_a_hub_that_is_not_there_is_said(hub: Hub) -> None:
    with pytest.raises(EditionRefused, match="should know owner/other and answers 404"):
        look_up("owner/other", None, hub.url)
    with pytest.raises(EditionRefused, match="should know owner/tiny@nowhere and answers 404"):
        look_up("owner/tiny", "nowhere", hub.url)
    with pytest.raises(EditionRefused, match="cannot be reached for owner/tiny"):
        look_up("owner/tiny", None, "http://127.0.0.1:9")
    hub.revision = "main"
    with pytest.raises(EditionRefused, match="should name the commit of owner/tiny and names 'main'"):
        look_up("owner/tiny", None, hub.url)
