"""babelia.processes.valkey: the server's configuration, as a real one runs with it."""

import contextlib
import os
import random
import shutil
import stat
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from babelia.processes.valkey import Server
from tests.conftest import free_port, is_listening, run_valkey, wait_until

FLIPS = int(os.environ.get("FLIPS", "30"))


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


def queued(folder: Path) -> None:
    """Leave the files of a server that was used as the library uses it, and was killed."""
    with run_valkey(folder) as (url, process), redis.Redis.from_url(url) as client:
        for number in range(20):
            client.zadd("babelia:waiting:tiny", {f"page {number}": number})
            client.hset(f"babelia:page:{number}", mapping={"state": "queued", "version": number})
            client.set(f"babelia:claim:{number}", "token", px=45_000)
            client.incr("babelia:version")
            client.lpush("press.tiny", '{"body": "W10="}')
        client.execute_command("WAITAOF", 1, 0, 5000)
        process.kill()
        process.wait()


def starts(server: Server) -> bool:
    """Whether a server that is started now answers, or ends."""
    process = subprocess.Popen(server.command())
    try:
        with redis.Redis.from_url(server.url, retry=Retry(NoBackoff(), 0)) as client:
            while process.poll() is None:
                with contextlib.suppress(redis.exceptions.ConnectionError):  # one that still loads is one, too
                    return bool(client.ping())
                time.sleep(0.01)
        return False
    finally:
        process.kill()
        process.wait()


def test_whichever_bit_of_its_files_flips_it_runs_again_at_the_second_start(tmp_path: Path) -> None:
    """On what is left of the queue, or on an empty one: then the files were set aside."""
    queued(tmp_path / "whole")
    port, aside = free_port(), 0
    for number in range(FLIPS):
        chance = random.Random(number)
        server = Server(tmp_path / str(number) / "valkey", port)
        shutil.copytree(tmp_path / "whole" / "appendonlydir", server.folder / "appendonlydir")
        files = sorted((server.folder / "appendonlydir").iterdir())
        file = files[number % len(files)]
        content = bytearray(file.read_bytes())
        if content:
            content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
        file.write_bytes(content)
        if not starts(server):
            said = (server.folder / "valkey.log").read_text(encoding="utf-8", errors="replace")
            assert server.set_aside_damage() is not None, f"flip {number} of {file.name} is not recognised: {said}"
            assert starts(server), f"flip {number} of {file.name}"
            aside += 1
    assert aside > FLIPS // 10


def test_files_that_are_not_to_blame_stay_where_they_are(tmp_path: Path) -> None:
    """A start that ended for another reason, and one that did not end: lines as the server writes them."""
    server = Server(tmp_path / "valkey", free_port())
    (server.folder / "appendonlydir").mkdir(parents=True)
    head = "1:M 28 Nov 2026 10:01:01.643 "
    begun = f"{head}* oO0OoO0OoO0Oo Valkey is starting oO0OoO0OoO0Oo\n{head}# WARNING Memory overcommit\n"
    begun += f"{head}* Server initialized\n"
    for said in (
        f"{head}* Loading RDB\n",
        f"{head}# Can't open or create append-only dir appendonlydir: No space left on device\n",
        f"{head}# Error reading the append only file appendonly.aof.1.incr.aof, error: Permission denied\n",
        f"{head}* Ready to accept connections tcp\n{head}# Fail to fsync the AOF file: Input/output error\n",
    ):
        (server.folder / "valkey.log").write_text(begun + said, encoding="ascii")
        assert server.set_aside_damage() is None, said
