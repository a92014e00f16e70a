"""babelia.processes.valkey: the server's configuration, as a real one runs with it."""

import os
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from babelia.processes.valkey import Server
from tests.conftest import free_port, is_listening, run_valkey, wait_until


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    server = Server(tmp_path / "valkey", free_port())
    process = subprocess.Popen(server.command())
    wait_until(lambda: is_listening(server.port), 10, "the server to listen")
    yield server
    process.terminate()
    process.wait(10)


def test_it_keeps_the_queue_and_evicts_only_what_expires(server: Server) -> None:
    with redis.Redis.from_url(server.url, decode_responses=True) as client:
        found = client.config_get("*")
    assert found["maxmemory-policy"] == "volatile-lru"
    assert (found["appendonly"], found["appendfsync"]) == ("yes", "everysec")
    assert found["bind"] == "127.0.0.1"
    assert Path(found["dir"]).samefile(server.folder)


def test_nobody_comes_in_without_its_password(server: Server) -> None:
    with redis.Redis(port=server.port) as client, pytest.raises(redis.exceptions.AuthenticationError):
        client.ping()
    assert server.password not in " ".join(server.command())


def test_its_password_is_made_once_and_for_its_owner_alone(tmp_path: Path) -> None:
    first = Server(tmp_path, 1)
    assert len(first.password) >= 32
    assert Server(tmp_path, 2).password == first.password
    before = os.umask(0)
    try:
        first.command()
    finally:
        os.umask(before)
    for name in ("password", "valkey.conf"):
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600


def test_what_was_queued_is_there_after_the_server_was_killed(tmp_path: Path) -> None:
    with run_valkey(tmp_path) as (url, process), redis.Redis.from_url(url) as client:
        client.set("page", "waits")
        client.execute_command("WAITAOF", 1, 0, 5000)  # on the disk by now
        process.kill()
        process.wait()
    with run_valkey(tmp_path) as (url, _), redis.Redis.from_url(url) as client:
        assert client.get("page") == b"waits"
