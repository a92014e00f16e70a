"""What the tests of several views share: a kept page, a second site, a site on its own."""

import contextlib
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests import ROOT
from tests.conftest import RunningPress, free_port, is_listening, wait_until
from tests.visitor import fresh, printed
from worker.catalogue.address import Address


@pytest.fixture(scope="module")
def kept(site: str) -> Address:
    """A page that is kept."""
    address = fresh("prompt")
    printed(site, address)
    return address


@contextlib.contextmanager
def another_site(press: RunningPress, **settings: str) -> Iterator[str]:
    """A second site process over the same data folder, with settings of its own."""
    port = free_port()
    environment = press.environment | {"BABELIA_PORT": str(port), "BABELIA_LOG_LEVEL": "ERROR"} | settings
    with subprocess.Popen(
        [sys.executable, "-m", "babelia.serve"], cwd=ROOT, env=environment, stderr=subprocess.DEVNULL
    ) as process:
        try:
            wait_until(lambda: is_listening(port), 30, "the site listens")
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(10)


@pytest.fixture
def lonely_site(press: RunningPress) -> Iterator[str]:
    """A site whose database and Redis do not exist."""
    redis_url = f"redis://127.0.0.1:{free_port()}/0"
    with another_site(press, REDIS_URL=redis_url, DATABASE_URL="sqlite:////nowhere/library.sqlite3") as url:
        yield url


def manage(press: RunningPress, *arguments: str) -> str:
    """What a management command of the running library says."""
    command = [sys.executable, "manage.py", *arguments]
    done = subprocess.run(command, cwd=ROOT, env=press.environment, check=True, capture_output=True, text=True)
    return done.stdout
