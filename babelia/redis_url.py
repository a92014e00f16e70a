"""REDIS_URL: one setting for two readers, redis-py and kombu, whose grammars differ. Imports nothing of the project.

It is read here, once, and written out for both: a form that only one of them knew would run the site and not the press
(`unix://`), and an option that one of them takes would decide what is ours (`?socket_timeout=600`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import SplitResult, parse_qsl, quote, unquote_to_bytes, urlencode, urlsplit

FORM: Final = (
    "redis://user:password@host:port/database, rediss://… for TLS, or unix:///path/of/socket?db=0, with what is "
    "special percent-encoded (a # in a password is %23)"
)
_SCHEMES = {
    "redis": "redis",
    "valkey": "redis",
    "rediss": "rediss",
    "valkeys": "rediss",
    "unix": "unix",
    "redis+socket": "unix",
}
_DATABASES = ("db", "virtual_host")
_FILES = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile")
_WORDS = {"ssl_cert_reqs": ("required", "none"), "ssl_check_hostname": ("true", "false")}


@dataclass(frozen=True)
class RedisUrl:
    """Where the Redis is, once as redis-py reads it and once as kombu does; both with the password in them."""

    client: str
    broker: str


def parse(text: str) -> RedisUrl:
    """Read a REDIS_URL. ValueError with half a sentence that begins with what is wrong, and shows no password."""
    try:
        parts = urlsplit(text)
        port = 6379 if parts.port is None else parts.port
    except ValueError:
        raise ValueError("its host and port cannot be told apart") from None
    kind = _SCHEMES.get(parts.scheme)
    if kind is None or "://" not in text:
        raise ValueError("it begins with another word")
    if parts.fragment or text.endswith("#"):
        raise ValueError("there is a # in it")
    account = _account(parts)
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    foreign = sorted(options.keys() - {*_DATABASES, *(() if kind != "rediss" else (*_FILES, *_WORDS))})
    if foreign:
        raise ValueError(f"nothing here takes its option {foreign[0]}")
    in_query = [options.pop(name) for name in _DATABASES if name in options]
    if kind == "unix":
        path = _unquote(parts.path)
        if parts.hostname or not path.startswith("/") or path == "/":
            raise ValueError("its socket has no absolute path (three slashes)")
        where, database = f"{account}{quote(path)}", _database(in_query or ["0"])
        return RedisUrl(f"unix://{where}?db={database}", f"redis+socket://{where}?virtual_host={database}")
    database = _database([*in_query, *filter(None, [parts.path.strip("/")])] or ["0"])
    url = f"{kind}://{account}{_host(parts)}:{port}/{database}"
    if kind == "rediss":
        url += f"?{urlencode(_tls(options))}"
    return RedisUrl(url, url)


def _account(parts: SplitResult) -> str:
    user, password = (_unquote(part or "") for part in (parts.username, parts.password))
    if not user and not password:
        return ""
    return f"{quote(user, safe='')}{':' if password else ''}{quote(password, safe='')}@"


def _host(parts: SplitResult) -> str:
    host = parts.hostname or "127.0.0.1"
    if re.fullmatch(r"[0-9a-f:.]+", host) and ":" in host:
        return f"[{host}]"
    if not re.fullmatch(r"[a-z0-9_]([a-z0-9._-]*[a-z0-9_.])?", host):
        raise ValueError("its host cannot be a name")
    return host


def _database(given: list[str]) -> int:
    if len(given) != 1 or not re.fullmatch(r"[0-9]{1,9}", given[0], re.ASCII):
        raise ValueError("its database is not one number")
    return int(given[0])


def _tls(options: dict[str, str]) -> dict[str, str]:
    """Every option of a TLS connection, spelt out: where one is left out, kombu trusts any certificate."""
    for name in _FILES:
        if name in options and not (Path(options[name]).is_absolute() and Path(options[name]).is_file()):
            raise ValueError(f"its {name} is not the absolute path of a file")
    for name, words in _WORDS.items():
        if options.get(name, words[0]) not in words:
            raise ValueError(f"its {name} is not {' or '.join(words)}")
    required = options.setdefault("ssl_cert_reqs", "required") == "required"
    options.setdefault("ssl_check_hostname", "true" if required else "false")
    if not required and options["ssl_check_hostname"] == "true":
        raise ValueError("its ssl_check_hostname needs ssl_cert_reqs=required")
    return options


def _unquote(text: str) -> str:
    try:
        found = unquote_to_bytes(text).decode("utf-8")
    except UnicodeDecodeError:
        raise ValueError("what is percent-encoded in it is not UTF-8") from None
    if not found.isprintable():
        raise ValueError("what is percent-encoded in it cannot be printed")
    return found
