"""Files that a page makes for somebody to download are theirs: their address alone opens nothing.

Streamlit keeps such a file at /media/<hash> and hands it to whoever names it. Here its media type says for whom it was
made (`kept_for`), in a form that only this process can write, and what comes back from that address is shown to the
session of that person alone; to anybody else it is not there. What was made for nobody, the logo, is everyone's.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import secrets
from collections.abc import Awaitable, Callable, MutableMapping
from http.cookies import CookieError, SimpleCookie
from typing import Any, Final

from assistant.callers import LOCAL_CALLER, NotSignedIn
from assistant.sign_in import SignIn
from ingest.access import Reader
from ingest.errors import QuothError
from ui.visitor import claims_of, signed_in

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
AsgiApp = Callable[[Scope, Receive, Send], Awaitable[None]]

PREFIX: Final = "/media/"
FOR: Final = "; for="
_SECRET: Final = secrets.token_bytes(32)  # of this process, as the files are
_MISSING: Final = b"File not found"


def kept_for(reader: Reader, media_type: str) -> str:
    """The media type of a file that only `reader` may download."""
    return f"{media_type}{FOR}{_mark(reader.name)}"


class OwnFiles:
    """ASGI middleware before the app's files.

    Args:
        sign_in: None: whoever reaches the server is this machine's user.
        cookie_secret: what the app's cookies are signed with.
        now_s: Unix time by the database's clock; may wait for the database.
    """

    def __init__(self, app: AsgiApp, *, sign_in: SignIn | None, cookie_secret: str, now_s: Callable[[], float]) -> None:
        self._app = app
        self._sign_in = sign_in
        self._cookie_secret = cookie_secret
        self._now_s = now_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith(PREFIX):
            await self._app(scope, receive, send)
            return
        refused = False
        asking = await asyncio.to_thread(self._mark_of, scope)

        async def own_only(message: Message) -> None:
            nonlocal refused
            if message["type"] == "http.response.start":
                headers = [(name, value.decode("latin-1")) for name, value in message.get("headers", ())]
                kind = next((value for name, value in headers if name.lower() == b"content-type"), "")
                plain, _, mark = kind.partition(FOR)
                mark = mark.partition(";")[0]  # a charset follows
                refused = bool(mark) and not hmac.compare_digest(mark, asking)
                if refused:
                    length = str(len(_MISSING)).encode()
                    fields = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", length)]
                    await send({"type": "http.response.start", "status": 404, "headers": fields})
                    await send({"type": "http.response.body", "body": _MISSING})
                    return
                message["headers"] = [
                    (name, (plain if name.lower() == b"content-type" else value).encode("latin-1"))
                    for name, value in headers
                ]
            if not refused:
                await send(message)

        await self._app(scope, receive, own_only)

    def _mark_of(self, scope: Scope) -> str:
        """What files of whoever asks are marked with; empty where they are nobody."""
        if self._sign_in is None:
            return _mark(LOCAL_CALLER.reader.name)
        try:
            claims = claims_of(_cookies(scope), self._cookie_secret)
            return _mark(signed_in(self._sign_in, claims, self._now_s()).reader.name)
        except (NotSignedIn, QuothError):
            return ""


def _mark(name: str) -> str:
    return hmac.new(_SECRET, name.encode(), hashlib.sha256).hexdigest()


def _cookies(scope: Scope) -> dict[str, str]:
    held: SimpleCookie = SimpleCookie()
    for name, value in scope.get("headers", ()):
        if name.lower() == b"cookie":
            try:
                held.load(value.decode("latin-1"))
            except CookieError:
                return {}
    return {name: one.value for name, one in held.items()}
