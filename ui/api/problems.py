"""Every refusal and failure as application/problem+json (RFC 9457), which says whose it is and what to do."""

from __future__ import annotations

import http
import logging
from collections.abc import Mapping
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from assistant.callers import NotAllowed, NotSignedIn
from ingest.errors import (
    ConfigurationError,
    DocumentError,
    NoRoom,
    QuothError,
    ServiceError,
    SessionEnded,
    UsageError,
    is_full,
    trace_of,
)

LOG: Final = logging.getLogger("quoth.api")
MEDIA_TYPE: Final = "application/problem+json"
DESCRIBED: Final = "/api/openapi.json"
WAYS_OUT: Final = {  # for the words of the framework's own errors
    (404, "Not Found"): f"There is nothing at this address. {DESCRIBED} lists what there is.",
    (405, "Method Not Allowed"): f"This address is not asked so. {DESCRIBED} lists how.",
}
RETRY_AFTER_S: Final = 5
FULL_RETRY_AFTER_S: Final = 60
NOT_HERE: Final = ("There is no ", "You have no ")  # what says that the thing named is not there for this reader

PROBLEM: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["type", "title", "status", "detail", "code", "whose", "request_id"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "in words, with what to do"},
        "code": {"type": "string"},
        "whose": {
            "type": "string",
            "enum": ["caller", "document", "operator", "wait"],
            "description": "who can mend it; wait: try again later",
        },
        "request_id": {"type": "string"},
    },
}
REFUSALS: Final[dict[int | str, dict[str, Any]]] = {
    "default": {
        "description": "A refusal or a failure",
        "content": {MEDIA_TYPE: {"schema": PROBLEM}},
    }
}


def answered(example: Mapping[str, Any]) -> dict[int | str, dict[str, Any]]:
    """The description of a route's answer, by an example of it."""
    return {200: {"content": {"application/json": {"schema": {"type": "object"}, "example": dict(example)}}}}


class TooMany(QuothError):
    """The caller asks more often, or for more at a time, than they may."""

    def __init__(self, detail: str, retry_after_s: int) -> None:
        super().__init__(detail)
        self.retry_after_s = retry_after_s


class TooLarge(QuothError):
    """A body larger than is taken."""


class Conflicting(QuothError):
    """What is asked for contradicts what is there."""


def problem(
    request: Request, status: int, code: str, whose: str, detail: str, headers: dict[str, str] | None = None
) -> JSONResponse:
    return JSONResponse(
        {
            "type": f"urn:quoth:{code}",
            "title": http.HTTPStatus(status).phrase,
            "status": status,
            "detail": detail,
            "code": code,
            "whose": whose,
            "request_id": request_id(request),
        },
        status,
        headers,
        MEDIA_TYPE,
    )


def request_id(request: Request) -> str:
    return str(getattr(request.state, "request_id", ""))


def of_ours(request: Request, error: QuothError) -> JSONResponse:
    words = str(error)
    match error:
        case NotSignedIn() | SessionEnded():
            return problem(request, 401, "not_signed_in", "caller", words, {"www-authenticate": "Bearer"})
        case NotAllowed():
            return problem(request, 403, "not_allowed", "caller", words)
        case TooMany():
            return problem(request, 429, "too_many", "wait", words, {"retry-after": str(error.retry_after_s)})
        case TooLarge():
            return problem(request, 413, "too_large", "caller", words)
        case Conflicting():
            return problem(request, 409, "conflict", "caller", words)
        case UsageError():
            missing = words.startswith(NOT_HERE)
            return problem(request, 404 if missing else 400, "not_found" if missing else "usage", "caller", words)
        case DocumentError():
            return problem(request, 422, error.reason, "document", words)
        case NoRoom():
            return problem(request, 507, "no_room", "operator", words, {"retry-after": str(FULL_RETRY_AFTER_S)})
        case ServiceError():
            return problem(request, 503, "unavailable", "wait", words, {"retry-after": str(RETRY_AFTER_S)})
        case ConfigurationError():
            return problem(request, 503, "configuration", "operator", words)
    return problem(request, 500, "internal", "operator", "Something went wrong. The log has more.")


def install(app: FastAPI) -> None:
    """Have the app answer every error so."""

    @app.exception_handler(QuothError)
    def ours(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, QuothError)
        return of_ours(request, error)

    @app.exception_handler(RequestValidationError)
    def malformed(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, RequestValidationError)
        # where and what, never the value: it may be long, or private
        words = "; ".join(f"{'.'.join(str(part) for part in one['loc'])}: {one['msg']}" for one in error.errors()[:5])
        words = f"The request is not as {DESCRIBED} describes it: {words}."
        return problem(request, 422, "malformed", "caller", words)

    @app.exception_handler(HTTPException)
    def of_http(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, HTTPException)
        if is_full(error.__cause__):  # FastAPI calls a body that there was no room for a malformed one
            return of_ours(request, _no_room())
        headers = dict(error.headers or {})
        code = {404: "not_found", 405: "not_understood", 413: "too_large"}.get(error.status_code, "http")
        words = WAYS_OUT.get((error.status_code, str(error.detail)), str(error.detail))
        return problem(request, error.status_code, code, "caller", words, headers)

    @app.exception_handler(OSError)
    def of_the_machine(request: Request, error: Exception) -> JSONResponse:
        return of_ours(request, _no_room()) if is_full(error) else unexpected(request, error)

    @app.exception_handler(Exception)
    def unexpected(request: Request, error: Exception) -> JSONResponse:
        LOG.error("a request failed (%s):\n%s", request_id(request), trace_of(error))
        return problem(request, 500, "internal", "operator", "Something went wrong. The log has more.")


def _no_room() -> NoRoom:
    return NoRoom("The server's disk is full, so that nothing can be taken in. Whoever runs Quoth must make room.")
