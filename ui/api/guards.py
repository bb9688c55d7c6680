"""What stands before every route: an id for the request, a bound on its body, and no pages of other sites."""

from __future__ import annotations

import json
import uuid
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final
from urllib.parse import urlsplit

from starlette.exceptions import HTTPException

from ui.log_lines import REQUEST_ID

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
AsgiApp = Callable[[Scope, Receive, Send], Awaitable[None]]

SMALL_BODY: Final = 1_000_000  # bytes, of everything but uploads
HEADERS: Final = {
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "x-frame-options": "DENY",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=(), payment=(), usb=()",
}


class Guards:
    """ASGI middleware.

    A browser sends the page's Origin with what it posts. One of another site is refused: on this machine a request
    without a key is the user's own, and must not be made by whatever page they look at.

    Args:
        hosts: the names that requests may call this server by; None: any, where every request shows a key or a token.
        upload_bytes: the largest body of an upload.
    """

    def __init__(self, app: AsgiApp, *, hosts: frozenset[str] | None, upload_bytes: int) -> None:
        self._app = app
        self._hosts = hosts
        self._upload_bytes = upload_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope.get("headers", ())}
        request_id = uuid.uuid4().hex
        scope.setdefault("state", {})["request_id"] = request_id
        REQUEST_ID.set(request_id)
        upload = scope["method"] == "POST" and headers.get("content-type", "").startswith("multipart/form-data")
        most = self._upload_bytes if upload else SMALL_BODY
        refusal = self._foreign(headers) or _length_refusal(headers.get("content-length"), most)
        begun = False
        taken = 0

        async def counted() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > most:
                raise _BodyTooLarge(most)
            return message

        async def with_headers(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                begun = True
                held = {pair[0].decode("latin-1").lower() for pair in message.get("headers", ())}
                own = {**{k: v for k, v in HEADERS.items() if k not in held}, "x-request-id": request_id}
                message["headers"] = [
                    *message.get("headers", ()),
                    *((name.encode(), value.encode()) for name, value in own.items()),
                ]
            await send(message)

        if refusal is None:
            try:
                await self._app(scope, counted, with_headers)
                return
            except _BodyTooLarge:
                if begun:
                    raise
                refusal = _too_large(most)
        status, code, detail = refusal
        body = json.dumps(
            {
                "type": f"urn:quoth:{code}", "title": "Refused", "status": status, "detail": detail, "code": code,
                "whose": "caller", "request_id": request_id,
            }
        ).encode()  # fmt: skip
        fields = [(b"content-type", b"application/problem+json"), (b"content-length", str(len(body)).encode())]
        await with_headers({"type": "http.response.start", "status": status, "headers": fields})
        await send({"type": "http.response.body", "body": body})

    def _foreign(self, headers: dict[str, str]) -> tuple[int, str, str] | None:
        if self._hosts is None:
            return None
        host = _name(headers.get("host", ""))
        if host not in self._hosts:
            return 421, "wrong_host", "This server does not go by that name."
        origin = headers.get("origin")
        if origin is not None and (urlsplit(origin).hostname or "") not in self._hosts:
            return 403, "foreign_page", "Pages of other sites may not ask here."
        return None


class _BodyTooLarge(HTTPException):
    """Of the kind that FastAPI hands on while it reads a body."""

    def __init__(self, most: int) -> None:
        super().__init__(413, _too_large(most)[2])


def _name(host: str) -> str:
    return (urlsplit(f"//{host}").hostname or "") if host else ""


def _length_refusal(given: str | None, most: int) -> tuple[int, str, str] | None:
    if given is None:
        return None
    return _too_large(most) if not given.isdigit() or int(given) > most else None


def _too_large(most: int) -> tuple[int, str, str]:
    return 413, "too_large", f"The request's body is larger than {most:,} bytes, which is the most taken here."
