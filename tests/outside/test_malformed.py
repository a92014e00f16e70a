"""Malformed values of every setting, given to everything that starts: one sentence, exit code 2, no traceback."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from babelia.environment import SETTINGS
from babelia.redis_url import FORM
from tests import ROOT
from tests.forked import COMMANDS, Commands

_NUMBERS = ("seven", "-1", "7.5", "1e3", "٧", "9" * 400)
_FLAGS = ("maybe", "2", "yes and no")
_SIZES = ("lots", "-1 GB", "9" * 400 + " TB", "1 GB 2 MB", "0x10")
MALFORMED = {
    "BABELIA_DATA": ("~nobody-of-this-name/library", "two\nlines", "a\ttab", "\udcff"),
    "DATABASE_URL": (
        *("nonsense", "mysql://user:s3cret@host/name", "postgres://user:s3cret@host:port/name", "postgres://host"),
        *("sqlite://:memory:", "sqlite://", "sqlite:////folder/a#b", "sqlite:////folder/a?b", "postgres://[::1/name"),
        *("postgres://user:s3cret#@host/name", "two\nlines"),
    ),
    "REDIS_URL": (
        *(
            "nonsense",
            "http://host",
            "amqp://guest:s3cret@host",
            "redis:host",
            "redis://host:port",
            "redis://host/name",
        ),
        *(
            "redis://host?socket_timeout=600",
            "unix://relative/path",
            "unix:///",
            "redis://:s3cret#x@host",
            "redis://[::1",
        ),
        *("rediss://host?ssl_ca_certs=/no/such/file", "rediss://host?ssl_cert_reqs=maybe", "redis://host/1?db=2"),
        *(
            "redis://host/-1",
            "sentinel://host;sentinel://other",
            "redis://:%ff@host",
            "redis://:s3cret%0a@host",
            "a\nb",
        ),
    ),
    "BABELIA_DEBUG": _FLAGS,
    "BABELIA_LISTEN": ("http://0.0.0.0", "0.0.0.0:8000", "[::1]", "999.1.1.1", "library.example.org", "*"),
    "BABELIA_PORT": (*_NUMBERS, "0", "65536"),
    "BABELIA_SITE_PROCESSES": (*_NUMBERS, "0"),
    "BABELIA_HTTPS": _FLAGS,
    "BABELIA_PROXIES": ("proxy.example.org", "10.0.0.0/99", "127.0.0.1:80", "127.0.0.1 10.0.0.1"),
    "BABELIA_PREFIX": (
        *("library", "//elsewhere.example", "https://library.example.org/library", "/a/../b", "/a//b", "/.", "/a b"),
        *("/a?b", "/a#b", "/%2e", '/"', "/bücher", "/a\\b", "/a\n/b"),
    ),
    "BABELIA_HOSTS": ("https://library.example.org", "library.example.org:443", "library.example.org/", "a b", "[::1"),
    "SECRET_KEY": ("short", "x" * 80),
    "BABELIA_PICTURE_WAIT": (*_NUMBERS, "0"),
    "BABELIA_VISITOR_LIMIT": (*_NUMBERS, "1000001"),
    "BABELIA_VISITOR_WAITING": (*_NUMBERS, "1000001"),
    "BABELIA_EDITIONS": ("Pocket 1", "../secrets", "pocket-1;sd-1.5"),
    "BABELIA_DEVICE": ("gpu", "cuda:9", "CPU!"),
    "BABELIA_THREADS": (*_NUMBERS, "0"),
    "BABELIA_BATCH": (*_NUMBERS, "0"),
    "BABELIA_PRESS_NICENESS": (*_NUMBERS, "-5", "20"),
    "BABELIA_LEASE": (*_NUMBERS, "1"),
    "BABELIA_PRINT_LIMIT": (*_NUMBERS, "1"),
    "BABELIA_QUEUE_LIMIT": (*_NUMBERS, "0"),
    "BABELIA_SEARCH_LIMIT": (*_NUMBERS, "0", "1001"),
    "BABELIA_PRINT_AHEAD": _FLAGS,
    "BABELIA_DISK_BUDGET": _SIZES,
    "BABELIA_DISK_RESERVE": _SIZES,
    "BABELIA_HOT_PICTURES": _NUMBERS,
    "BABELIA_LOG_LEVEL": ("loud", "debug", "10"),
    "BABELIA_LOG_PROMPTS": _FLAGS,
}


def test_every_setting_has_malformed_values() -> None:
    from babelia import settings  # noqa: F401  (reading it fills the table)

    assert list(MALFORMED) == list(SETTINGS)


@pytest.mark.parametrize("name", MALFORMED)
def test_a_malformed_value_is_one_sentence_and_exit_code_2(name: str, commands: Commands, tmp_path: Path) -> None:
    wrong = []
    environment = os.environ | dict.fromkeys(MALFORMED, "") | {"BABELIA_DATA": str(tmp_path)}
    for command, words in COMMANDS.items():
        # One command takes every value, the others one: they read the settings by the same call.
        for value in MALFORMED[name] if command == "check" else MALFORMED[name][:1]:
            done = commands.run(words, environment | {name: value})
            code, said = done.returncode, done.stdout + done.stderr
            begins = said.startswith(f"The environment variable {name} should be ")
            if code != 2 or not begins or said.count("\n") != 1 or "s3cret" in said or "Traceback" in said:
                wrong.append((command, value[:40], code, said[-300:]))
    assert wrong == []


def test_as_a_process_of_its_own_it_is_the_same(tmp_path: Path) -> None:
    """The commands above are forked; this is Python itself, once for each."""
    environment = os.environ | {"BABELIA_DATA": str(tmp_path), "REDIS_URL": "redis://:s3cret@host:port"}
    started = [
        subprocess.Popen(
            [sys.executable, *words],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for words in COMMANDS.values()
    ]
    found = {(process.communicate(timeout=300), process.returncode) for process in started}
    assert found == {
        (("", f"The environment variable REDIS_URL should be {FORM}: its host and port cannot be told apart.\n"), 2)
    }
