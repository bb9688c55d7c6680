"""How the API is served: which identities it takes, under which names, and beside the app."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Final

from fastapi import FastAPI
from starlette.types import ASGIApp, Receive, Scope, Send

from assistant.bootstrap import Quoth
from assistant.sign_in import BearerTokens
from ui.api.app import PATHS, api_app
from ui.api.slack_door import SlackApi, SlackDoor

THIS_MACHINE: Final = frozenset({"localhost", "127.0.0.1", "::1"})


def served_api(quoth: Quoth, *, local: bool) -> FastAPI:
    """The API of an open store.

    Args:
        local: only this machine reaches the server: without sign-in, its user needs no key.
    """
    sign_in = quoth.sign_in
    slack = quoth.settings.slack
    return api_app(
        lambda: quoth,
        lambda: quoth.api_keys,
        tokens=None if sign_in is None else BearerTokens(sign_in, lambda: quoth.database.now().timestamp()),
        local=local and sign_in is None,
        hosts=THIS_MACHINE if local and sign_in is None else None,
        requests_per_minute=quoth.settings.requests_per_minute,
        slack=None
        if slack is None
        else lambda throttle: SlackDoor(lambda: quoth, SlackApi(slack[1]), slack[0], throttle),
    )


class ApiBeside:
    """The API in the app's own process and on its port, from when its store is open."""

    def __init__(self) -> None:
        self._api: FastAPI | None = None

    async def start(self, quoth: Quoth, running: AsyncExitStack) -> None:
        """Serve a store; what runs along with the API ends with `running`."""
        # without sign-in the server is bound to loopback, else `quoth up` refuses to start
        api = served_api(quoth, local=True)
        await running.enter_async_context(api.router.lifespan_context(api))
        self._api = api

    def before(self, app: ASGIApp) -> Callable[[Scope, Receive, Send], object]:
        """ASGI middleware that takes the API's paths out of the app's."""

        async def either(scope: Scope, receive: Receive, send: Send) -> None:
            mine = scope["type"] == "http" and scope["path"].startswith(tuple(f"{path}/" for path in PATHS))
            if self._api is not None and (mine or scope.get("path") in PATHS):
                await self._api(scope, receive, send)
            else:
                await app(scope, receive, send)

        return either
