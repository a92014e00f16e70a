"""One request to an ASGI application, without a server: for the tests of whatever is one."""

import asyncio
from collections.abc import Sequence
from typing import Any


def request(
    application: Any,
    route: str,
    body: Sequence[bytes] = (b"",),
    method: str = "GET",
    **headers: bytes,
) -> tuple[int, dict[bytes, bytes], bytes, int]:
    """One request; status, headers, body and how many parts of the sent body were read."""
    target, _, query = route.partition("?")
    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": target,
        "raw_path": target.encode(),
        "query_string": query.encode(),
        "headers": [(name.replace("_", "-").encode(), value) for name, value in headers.items()],
        "server": ("localhost", 80),
        "client": ("127.0.0.1", 5),
    }
    parts, sent = list(body), []
    read = 0

    async def receive() -> dict[str, Any]:
        nonlocal read
        if read == len(parts):
            await asyncio.sleep(3600)
        read += 1
        return {"type": "http.request", "body": parts[read - 1], "more_body": read < len(parts)}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    async def answer() -> None:
        await asyncio.wait_for(application(scope, receive, send), 10)

    asyncio.run(answer())
    return sent[0]["status"], dict(sent[0]["headers"]), b"".join(part.get("body", b"") for part in sent[1:]), read
