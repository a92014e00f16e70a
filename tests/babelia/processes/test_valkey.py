"""babelia.processes.valkey: the server as it is configured, asked by a client."""

import stat
import subprocess
from pathlib import Path

import psutil
import pytest
import redis

from babelia.processes.valkey import Server
from tests.conftest import run_valkey


def test_the_password_is_made_once_and_for_its_owner_alone(tmp_path: Path) -> None:
    server = Server(tmp_path / "valkey", 16379)
    password = server.password
    assert len(password) >= 32
    assert Server(tmp_path / "valkey", 16380).password == password
    assert server.url == f"redis://:{password}@127.0.0.1:16379/0"
    command = server.command()
    assert password not in " ".join(command)
    for name in ("password", "valkey.conf"):
        assert stat.S_IMODE((tmp_path / "valkey" / name).stat().st_mode) == 0o600


def test_the_server_wants_its_password_listens_on_loopback_and_never_evicts_the_queue(tmp_path: Path) -> None:
    with run_valkey(tmp_path) as (url, process), redis.Redis.from_url(url) as client:
        assert client.ping()
        assert client.config_get("maxmemory-policy")["maxmemory-policy"] == "volatile-lru"
        listening = [one for one in psutil.Process(process.pid).net_connections() if one.status == psutil.CONN_LISTEN]
        assert {one.laddr.ip for one in listening} == {"127.0.0.1"}
        with redis.Redis(port=listening[0].laddr.port) as stranger, pytest.raises(redis.exceptions.RedisError):
            stranger.ping()


def test_what_was_queued_is_there_after_the_server_was_killed(tmp_path: Path) -> None:
    with run_valkey(tmp_path) as (url, process), redis.Redis.from_url(url) as client:
        client.set("page", "waits")
        client.execute_command("WAITAOF", 1, 0, 5000)  # on the disk by now
        process.kill()
        process.wait()
    with run_valkey(tmp_path) as (url, _), redis.Redis.from_url(url) as client:
        assert client.get("page") == b"waits"


def test_its_program_comes_with_the_package(tmp_path: Path) -> None:
    program, _ = Server(tmp_path, 16379).command()
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout
    assert "v=" in said
