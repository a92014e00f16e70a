"""Errors in their one shape, {code, message, hint}, whoever raises them: the library, ninja, Django. Imports ninja."""

from http import HTTPStatus

from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from ninja import NinjaAPI
from ninja.errors import HttpError, ValidationError

from gallery.answers import error_shape, nothing_at_path, status_of, waiting
from worker.errors import BabeliaError


def answer_in_shape(api: NinjaAPI) -> None:
    """Have an API answer every error in the one shape."""

    def answer(request: HttpRequest, shape: dict[str, str], status: int) -> HttpResponse:
        response: HttpResponse = api.create_response(request, shape, status=status)
        return response

    @api.exception_handler(BabeliaError)
    def refused(request: HttpRequest, error: BabeliaError) -> HttpResponse:
        return waiting(answer(request, error_shape(error), status_of(error)), error)

    @api.exception_handler(ValidationError)
    def malformed(request: HttpRequest, error: ValidationError) -> HttpResponse:
        return answer(request, shape_of_malformed(error), HTTPStatus.BAD_REQUEST)

    @api.exception_handler(HttpError)
    def unreadable(request: HttpRequest, error: HttpError) -> HttpResponse:
        message = f"{error}.".replace("..", ".")
        shape = {"code": "input_refused", "message": message, "hint": _send_json()}
        return answer(request, shape, error.status_code)

    @api.exception_handler(Http404)
    def nothing(request: HttpRequest, error: Http404) -> HttpResponse:
        return answer(request, error_shape(nothing_at_path()), HTTPStatus.NOT_FOUND)


def shape_of_malformed(error: ValidationError) -> dict[str, str]:
    """Return what is said of a request that is not what its operation takes: the first thing that is wrong with it."""
    first = error.errors[0] if error.errors else {"loc": ("body",), "msg": "it cannot be read"}
    place, *parts = [str(part) for part in first["loc"] if part not in ("payload", "which")]
    hint = _send_json() if place == "body" else _see_docs()
    if first.get("type") == "missing":
        message = f"This request lacks its {' '.join(parts) or place}."
    else:
        message = f"The {' '.join(parts) or place} of this request is not what is asked for: {first['msg']}."
    return {"code": "input_refused", "message": message, "hint": hint}


def _see_docs() -> str:
    return f"See {reverse('api:openapi-view')} for what is asked for."


def _send_json() -> str:
    return f'Send JSON such as {{"address": "prompt/a dog/1"}}. {_see_docs()}'
