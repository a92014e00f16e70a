"""Fixtures that several test files share: small weights and an edition over them, a real Valkey, a real press."""

import atexit
import contextlib
import functools
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest
import redis

from babelia.processes.valkey import Server
from tests import ROOT, forked
from worker.editions.edition import Edition, load_edition
from worker.jobs.consumer import JobConsumer

if TYPE_CHECKING:
    from worker.engine.engine import Engine

# Torch's threads wait asleep, not spinning: with the cores shared by servers, browsers and presses, a run takes a
# fraction of the time. No bit depends on it. It is read when torch is first imported.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

# Three tests and more share the cores: a press that stood back behind all of them would print hardly anything.
os.environ.setdefault("BABELIA_PRESS_NICENESS", "0")

# A shell starts what runs in its background with SIGINT ignored, and every process that tests start would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)


LOADED_WITHIN = 240
"""Seconds after which a press that still loads counts as one that never will: others may have the cores."""

LONGEST = (
    "training/test_stages.py", "gallery/api/test_openapi.py", "babelia/processes/test_library.py",
    "outside/test_hostile_headers.py", "worker/test_pocket.py", "gallery/test_pages_browser.py",
    "training/quarter_hour/test_command.py", "worker/test_determinism.py",
)  # fmt: skip
"""Files of a minute and more. They begin first: one that began last would run while others have nothing to do."""

EDITION_TOML = """
title = "Tiny"
summary = "Random numbers in the shape of a model: its pages mean nothing."
licence = "mit"
solver = "dpm-solver++"
guidance = 5.0
default_steps = 4
step_limit = 64

[precision]
cpu = "float32"

[weights]
model = "{model}"
"""

LEXICON_TOML = """
subjects = ["a dog", "a cat", "a tower", "a boat"]
settings = ["on a beach", "in the snow", "at night"]
"""


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave out of `-m alone` the files that have none of its tests: importing them takes longer than the tests."""
    if config.option.markexpr != "alone" or not collection_path.match("test_*.py"):
        return None
    return "mark.alone" not in collection_path.read_text(encoding="utf-8") or None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the files of `LONGEST` first, in that order; the others stay as they were collected."""
    order = {ROOT / "tests" / name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: order.get(item.path, len(order)))


@pytest.fixture(scope="session")
def tiny_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A weights folder of SD 1.5's layout with 5 million random parameters. Read only: copy it to change it.

    Its U-Net has attention at a quarter of the latents' resolution only: at full resolution a step takes a second.
    """
    import torch
    from diffusers import UNet2DConditionModel

    from bench.random_weights import fill, unet_config, write

    folder = write(tmp_path_factory.mktemp("weights") / "tiny", "tiny", say=lambda line: None)
    config = unet_config("tiny") | {
        "down_block_types": ["DownBlock2D", "DownBlock2D", "CrossAttnDownBlock2D"],
        "up_block_types": ["CrossAttnUpBlock2D", "UpBlock2D", "UpBlock2D"],
        "block_out_channels": [16, 32, 32],
    }
    with torch.device("meta"):
        unet = UNet2DConditionModel(**config)
    fill(unet, 1).save_pretrained(folder / "unet", safe_serialization=True)
    return folder


@pytest.fixture(scope="session")
def tiny_data(tiny_weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory with one own edition, `tiny`, over `tiny_weights`."""
    data_dir = tmp_path_factory.mktemp("data")
    write_edition(data_dir, "tiny", str(tiny_weights))
    return data_dir


@pytest.fixture(scope="session")
def tiny_edition(tiny_data: Path) -> Edition:
    """The edition `tiny` of `tiny_data`."""
    return load_edition("tiny", tiny_data)


@pytest.fixture(scope="module")
def tiny_engine(tiny_edition: Edition) -> Iterator["Engine"]:
    """An engine of `tiny_edition` on one thread of the CPU, one page a run; torch is put back as it was afterwards."""
    import torch

    from worker.engine.engine import Engine

    threads = torch.get_num_threads()
    yield Engine(tiny_edition, device="cpu", threads=1, batch=1)
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(False)


def write_edition(data_dir: Path, slug: str, model: str, change: Callable[[str], str] = str) -> Path:
    """Write `<data_dir>/editions/<slug>/` over the weights folder `model`; `change` alters edition.toml's text."""
    folder = data_dir / "editions" / slug
    folder.mkdir(parents=True)
    (folder / "edition.toml").write_text(change(EDITION_TOML.format(model=model)), encoding="utf-8")
    (folder / "lexicon.toml").write_text(LEXICON_TOML, encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a real Valkey server, configured as the library's own."""
    with run_valkey(tmp_path_factory.mktemp("valkey")) as (url, _):
        yield url


@pytest.fixture
def redis_url(valkey: str) -> str:
    """The URL of an empty database of the Valkey server; `press` has another one."""
    url = valkey.removesuffix("/0") + "/2"
    with redis.Redis.from_url(url) as client:
        client.flushdb()
    return url


@contextlib.contextmanager
def run_valkey(folder: Path) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """A Valkey server of one's own, to be stopped or killed: its URL and its process."""
    server = Server(folder, free_port())
    process = subprocess.Popen(server.command())
    try:
        wait_until(lambda: is_listening(server.port), 10, "Valkey listens")
        yield server.url, process
    finally:
        process.kill()
        process.wait()


@contextlib.contextmanager
def mounted_disk(folder: Path, kilobytes: int, files: int = 10_000) -> Iterator[Path]:
    """A real file system of some size, mounted at a new folder; skips the test where that may not be done."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k,nr_inodes={files}", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("mounting a small file system takes root")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@dataclass
class RunningPress:
    """A real Celery worker that prints the edition `tiny` into a data folder of its own."""

    data: Path
    redis_url: str
    settings: dict[str, str] = field(default_factory=dict)
    own_python: bool = False
    """Whether press and sites begin with Python itself, and are not forked of a process that has loaded torch."""
    process: subprocess.Popen[bytes] | forked.Started | None = None

    @property
    def log(self) -> Path:
        """The file that the worker's log goes to; it has a line for each page that was printed."""
        return self.data / "press.log"

    @property
    def environment(self) -> dict[str, str]:
        """The environment variables with which another process (a site) belongs to this press."""
        own = {"BABELIA_DATA": str(self.data), "REDIS_URL": self.redis_url, "BABELIA_DISK_RESERVE": "0"}
        own |= {"BABELIA_VISITOR_LIMIT": "0", "BABELIA_VISITOR_WAITING": "0"}  # all tests are one visitor
        return os.environ | own | {"BABELIA_EDITIONS": "tiny", "BABELIA_THREADS": "1"} | self.settings

    def start(self) -> None:
        """Start the worker and wait until it can print."""
        self.launch()
        self.wait_until_ready()

    def wait_until_ready(self) -> None:
        """Wait until a worker that was launched can print."""
        wait_until(lambda: self.child is not None, LOADED_WITHIN, "the press is ready")

    def launch(self) -> None:
        """Start the worker, which may never be able to print."""
        words = ["-m", "celery", "-q", "-A", "babelia", "worker", "-P", "prefork", "-c", "1"]
        words += ["--without-gossip", "--without-mingle", "-l", "WARNING"]
        with self.log.open("ab") as log:
            if self.own_python:
                self.process = subprocess.Popen([sys.executable, *words], cwd=ROOT, env=self.environment, stderr=log)
            else:
                self.process = forked.commands().start(words, self.environment, self.log)

    @property
    def child(self) -> int | None:
        """The process id of the child that prints, once it is ready."""
        assert self.process is not None, "the press was started"
        jobs = JobConsumer(self.redis_url)
        try:
            names = [press for press in jobs.presses() if press.parent == self.process.pid and press.able]
        finally:
            jobs.close()
        if not names:
            return None
        children = psutil.Process(self.process.pid).children()
        return children[0].pid if children else None

    def kill(self) -> None:
        """Kill the worker, parent and child, as a power cut would."""
        assert self.process is not None, "the press was started"
        for process in [*psutil.Process(self.process.pid).children(recursive=True), psutil.Process(self.process.pid)]:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        self.process.wait()

    def stop(self) -> None:
        """Stop the worker as its supervisor does."""
        assert self.process is not None, "the press was started"
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(15)
            except subprocess.TimeoutExpired:
                self.kill()


@pytest.fixture(scope="session")
def press(valkey: str, tiny_weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningPress]:
    """A running press for the edition `tiny` (4 steps, a fraction of a second for each page)."""
    data = tmp_path_factory.mktemp("library")
    write_edition(data, "tiny", str(tiny_weights))
    with redis.Redis.from_url(valkey) as client:
        client.flushall()
    running = RunningPress(data, valkey)
    running.start()
    try:
        yield running
    finally:
        running.stop()


@pytest.fixture
def press_settings(press: RunningPress, settings: Any) -> RunningPress:
    """The running press, with this process's Django settings pointed at its data folder and Valkey."""
    settings.DATA_DIR = press.data
    settings.REDIS_URL = press.redis_url
    point_celery_at(press.redis_url)
    return press


def point_celery_at(url: str) -> None:
    """Let this process's Celery application send its messages to another broker."""
    from babelia.celery import app

    if app.conf.broker_url != url:
        app.conf.broker_url = url
        app._after_fork()  # forgets the connections to the one before


def free_port() -> int:
    """A port of loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def has_ipv6() -> bool:
    """Whether this machine has a loopback of IPv6."""
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


def is_listening(port: int) -> bool:
    """Whether somebody accepts connections on a port of loopback."""
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def wait_until(holds: Callable[[], bool], seconds: float, what: str) -> float:
    """Wait until something holds, look often, and fail with a sentence where it does not in time; the seconds."""
    began = time.monotonic()
    while not holds():
        waited = time.monotonic() - began
        assert waited < seconds, f"Waited {seconds} s until {what}."
        time.sleep(0.05)
    return time.monotonic() - began


@pytest.fixture(scope="session")
def site(press: RunningPress) -> Iterator[str]:
    """The base URL of a real site process that belongs to the running press; its database is migrated."""
    with run_site(press) as url:
        yield url


@functools.cache
def migrated_database() -> Path:
    """An empty SQLite database with its tables, made once: a migration takes as long as a site takes to start."""
    folder = Path(tempfile.mkdtemp(prefix="babelia-database-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    environment = os.environ | {"BABELIA_DATA": str(folder), "DATABASE_URL": ""}
    forked.commands().manage(environment, "migrate", "-v", "0")
    return folder / "library.sqlite3"


@contextlib.contextmanager
def run_site(press: RunningPress, **settings: str) -> Iterator[str]:
    """A site process with settings of its own, for a press that runs or does not: its base URL."""
    own = {"BABELIA_PICTURE_WAIT": "30", "BABELIA_LOG_LEVEL": "WARNING"}
    environment = press.environment | own | settings
    if environment.get("DATABASE_URL"):
        forked.commands().manage(environment, "migrate", "-v", "0")
    elif not (database := Path(environment["BABELIA_DATA"]) / "library.sqlite3").exists():
        shutil.copy(migrated_database(), database)
    with serving(environment, own_python=press.own_python) as site:
        yield site


@contextlib.contextmanager
def serving(environment: dict[str, str], log: Path | None = None, *, own_python: bool = False) -> Iterator[str]:
    """A site process with this environment, its log at the end of a file or with ours: its base URL."""
    port = free_port()
    environment = environment | {"BABELIA_PORT": str(port)}
    process: subprocess.Popen[bytes] | forked.Started
    if own_python:
        process = subprocess.Popen([sys.executable, "-m", "babelia.serve"], cwd=ROOT, env=environment)
    else:
        process = forked.commands().start(["-m", "babelia.serve"], environment, log)
    try:
        wait_until(lambda: is_listening(port), 30, "the site listens")
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@pytest.fixture(scope="session")
def commands() -> forked.Commands:
    """Runs commands in a fraction of the time that Python takes to begin."""
    return forked.commands()
