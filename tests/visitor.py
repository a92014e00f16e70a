"""How tests visit a site: requests sent byte for byte, forms, files, pages that nobody has opened."""

import http.client
import itertools
import json
import secrets
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from worker.catalogue.address import Address, Kind
from worker.catalogue.expansion import stacks_key
from worker.catalogue.key import Key

CHROME = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/149.0.0.0 Safari/537.36"
FORM = "application/x-www-form-urlencoded"
FEW_STEPS = 8
_numbers = itertools.count(1)


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode("utf-8")

    @property
    def json(self) -> dict[str, object]:
        value: dict[str, object] = json.loads(self.body)
        return value


def ask(site: str, path: str, method: str = "GET", body: bytes | None = None, **headers: str) -> Answer:
    """One request, its path sent byte for byte; a header's name is written with underscores."""
    where = urlsplit(site)
    assert where.hostname
    connection = http.client.HTTPConnection(where.hostname, where.port, timeout=60)
    try:
        given = {"User-Agent": CHROME} | {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, body, given)
        response = connection.getresponse()
        found = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, found, response.read())
    finally:
        connection.close()


def post(site: str, path: str, fields: dict[str, str], **headers: str) -> Answer:
    return ask(site, path, "POST", urlencode(fields).encode(), Content_Type=FORM, **headers)


def send_json(site: str, path: str, value: Any, **headers: str) -> Answer:
    """What a program sends to the API."""
    return ask(site, path, "POST", json.dumps(value).encode(), Content_Type="application/json", **headers)


def query_of(address: Address) -> str:
    """An address as the API's operations take it."""
    return f"?address={quote(address.format(), safe='')}"


def post_file(site: str, name: str, data: bytes, path: str = "/key/open", **headers: str) -> Answer:
    """A file in a form, as the key's page sends it, and the API's clients do."""
    line = secrets.token_hex(16)
    edition = f'--{line}\r\nContent-Disposition: form-data; name="edition"\r\n\r\ntiny\r\n'
    head = f'{edition}--{line}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'.encode()
    body = head + data + f"\r\n--{line}--\r\n".encode()
    return ask(site, path, "POST", body, Content_Type=f"multipart/form-data; boundary={line}", **headers)


def fresh(kind: Kind = "key", page: int = 1) -> Address:
    """An address that nobody has opened. A page of the stacks has any number of steps: one with few of them."""
    while True:
        number = next(_numbers)
        address = Address("tiny", kind, f"fresh {number}" if kind == "prompt" else f"fresh-{number}", page)
        if kind != "stacks" or stacks_key(address.name, page).steps <= FEW_STEPS:
            return address


def printed(site: str, address: Address) -> Answer:
    """The picture of a page, printed if need be."""
    answer = ask(site, address.path()[:-1] + ".png")
    assert answer.status == 200, answer.text
    return answer


def long_page(site: str, steps: int = 60) -> Address:
    """The mark of a key of many steps, held by the library, not printed: there is something to see."""
    data = bytearray(stacks_key(secrets.token_hex(8), 1).data)
    data[0] = (data[0] & 3) | ((steps // 2 - 1) << 2)
    answer = post(site, "/key/open", {"key": Key(bytes(data)).format(), "edition": "tiny"})
    assert answer.status == 303, answer.text
    return Address.parse_path(answer.headers["location"])
