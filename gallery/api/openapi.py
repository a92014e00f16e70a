"""What the OpenAPI document says of answers: the shape of errors, tagged answers, what is no JSON. Imports ninja."""

from http import HTTPStatus
from typing import Any, Final

from ninja import Field, Schema

from worker.catalogue.key import CHARACTERS


class ErrorOut(Schema):
    """What every error looks like."""

    code: str = Field(description="For machines; it does not change", examples=["address_refused"])
    message: str = Field(description="One sentence for a person: what was expected, what was found")
    hint: str = Field(description="What can be done; may be empty")


def _refusals(*statuses: HTTPStatus) -> dict[int, type[ErrorOut]]:
    return {int(status): ErrorOut for status in statuses}


ASKED_WRONGLY: Final = _refusals(HTTPStatus.BAD_REQUEST)
ERRORS: Final = ASKED_WRONGLY | _refusals(HTTPStatus.NOT_FOUND, HTTPStatus.GONE, HTTPStatus.SERVICE_UNAVAILABLE)
"""Of whatever names a page."""
LIST_ERRORS: Final = ASKED_WRONGLY | _refusals(HTTPStatus.NOT_FOUND, HTTPStatus.SERVICE_UNAVAILABLE)
"""Of a list: a page of it that is hidden is left out."""
PRINTS: Final = ERRORS | _refusals(HTTPStatus.TOO_MANY_REQUESTS)
BODY_ERRORS: Final = ERRORS | _refusals(
    HTTPStatus.FORBIDDEN, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.UNSUPPORTED_MEDIA_TYPE
)
COUNTED_ERRORS: Final = BODY_ERRORS | _refusals(HTTPStatus.TOO_MANY_REQUESTS)

TAGGED: Final[dict[str, Any]] = {
    "responses": {
        206: {"description": "The part that the Range of the request names"},
        304: {"description": "As the If-None-Match of the request says, it is there already"},
        412: {"description": "It is not what the If-Match of the request insists on"},
        416: {"description": "It has no such part as the Range of the request names"},
    }
}
"""Of an answer with an ETag (babelia.web.content)."""


def sends(kind: str, description: str) -> dict[str, Any]:
    """Return what is said of an answer that is no JSON; one that is no stream has an ETag."""
    schema: dict[str, Any] = {"type": "string"}
    if kind == "text/event-stream":
        schema = {"type": "object", "properties": {name: {"type": "string"} for name in ("id", "event", "data")}}
    sent: dict[str, Any] = {"description": description, "content": {kind: {"schema": schema}}}
    return {"responses": {200: sent, **({} if kind == "text/event-stream" else TAGGED["responses"])}}


KEY_BODY: Final = {
    "requestBody": {
        "required": True,
        "description": f"A key's text of {CHARACTERS:,} characters, or a PNG that carries its key or its address",
        "content": {
            kind: {"schema": {"type": "string", "format": "binary"}}
            for kind in ("text/plain", "image/png", "application/octet-stream")
        },
    }
}
