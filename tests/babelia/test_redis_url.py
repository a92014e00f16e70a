"""babelia.redis_url: what the two readers are told, and what is refused."""

from pathlib import Path

import pytest
from kombu import Connection
from kombu.exceptions import OperationalError
from redis.connection import ConnectionPool

from babelia.redis_url import parse

FORMS = {
    "redis://host": "redis://host:6379/0",
    "redis://": "redis://127.0.0.1:6379/0",
    "valkey://HOST:1/3": "redis://host:1/3",
    "redis://host?db=4": "redis://host:6379/4",
    "redis://[::1]:7/2": "redis://[::1]:7/2",
    "redis://user@host": "redis://user@host:6379/0",
    "redis://user:p%40s%2525@host": "redis://user:p%40s%2525@host:6379/0",
    "redis://:p@ss!;,@host": "redis://:p%40ss%21%3B%2C@host:6379/0",
    "valkeys://host": "rediss://host:6379/0?ssl_cert_reqs=required&ssl_check_hostname=true",
    "rediss://host?ssl_cert_reqs=none": "rediss://host:6379/0?ssl_cert_reqs=none&ssl_check_hostname=false",
    "unix:///a%20b%23": "unix:///a%20b%23?db=0",
    "redis+socket://:pw@/run/x?virtual_host=2": "unix://:pw@/run/x?db=2",
}


@pytest.mark.parametrize("text", FORMS)
def test_every_form_has_one_spelling_that_reads_as_itself(text: str) -> None:
    found = parse(text)
    assert found.client == FORMS[text]
    assert parse(found.client) == parse(found.broker) == found


@pytest.mark.parametrize("text", ["valkey://me:p%40s%2525;%C3%BC@host:7/3", "rediss://:p%25@[::1]/3"])
def test_redis_py_and_kombu_read_the_same(text: str) -> None:
    found = parse(text)
    client = ConnectionPool.from_url(found.client).connection_kwargs
    with Connection(found.broker) as broker:
        assert (broker.hostname, broker.password) == (client["host"], client["password"])
        assert (broker.userid or None, broker.port or 6379) == (client.get("username"), client["port"])
        assert int(broker.virtual_host) == client["db"] == 3
        assert bool(broker.ssl) is text.startswith("rediss")


def test_redis_py_and_kombu_find_the_same_socket() -> None:
    found = parse("unix://:p%40s@/nowhere/a%20b%23?db=3")
    client = ConnectionPool.from_url(found.client).connection_kwargs
    assert (client["path"], client["password"], client["db"]) == ("/nowhere/a b#", "p@s", 3)
    with Connection(found.broker) as broker, pytest.raises(OperationalError, match="connecting to /nowhere/a b#"):
        broker.default_channel  # noqa: B018  (connects)


def test_a_certificate_that_is_there_is_named_to_both(tmp_path: Path) -> None:
    ca = tmp_path / "ca & co.pem"
    ca.touch()
    found = parse(f"rediss://host?ssl_ca_certs={str(ca).replace(' ', '%20').replace('&', '%26')}")
    assert ConnectionPool.from_url(found.client).connection_kwargs["ssl_ca_certs"] == str(ca)
    with Connection(found.broker) as broker:
        assert broker.ssl["ssl_ca_certs"] == str(ca)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("host", "it begins with another word"),
        ("http://host", "it begins with another word"),
        ("redis://host:port", "its host and port cannot be told apart"),
        ("redis://host/1#x", "there is a # in it"),
        ("redis://host/one", "its database is not one number"),
        ("redis://host/1?db=2", "its database is not one number"),
        ("redis://host?retry=1", "nothing here takes its option retry"),
        ("redis://host?ssl_ca_certs=/x", "nothing here takes its option ssl_ca_certs"),
        ("redis://a b", "its host cannot be a name"),
        ("unix://relative", "its socket has no absolute path (three slashes)"),
        ("unix:///", "its socket has no absolute path (three slashes)"),
        ("redis://:%ff@host", "what is percent-encoded in it is not UTF-8"),
        ("redis://:%0a@host", "what is percent-encoded in it cannot be printed"),
        ("rediss://host?ssl_certfile=here.pem", "its ssl_certfile is not the absolute path of a file"),
        ("rediss://host?ssl_cert_reqs=perhaps", "its ssl_cert_reqs is not required or none"),
        (
            "rediss://host?ssl_cert_reqs=none&ssl_check_hostname=true",
            "its ssl_check_hostname needs ssl_cert_reqs=required",
        ),
    ],
)
def test_the_rest_is_refused_with_its_reason(text: str, reason: str) -> None:
    with pytest.raises(ValueError) as refused:
        parse(text)
    assert str(refused.value) == reason
