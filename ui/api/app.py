"""The HTTP API: one FastAPI application over one store. `quoth api` serves it alone, `quoth up` beside the app."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

from fastapi import FastAPI
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from assistant.api_keys import ApiKeys
from assistant.bootstrap import Quoth
from assistant.sign_in import BearerTokens
from ingest.errors import QuothError
from ui.api import administration, documents, evaluations, health, openai_door, problems, questions
from ui.api.guards import Guards
from ui.api.identity import Identities, Throttle, caller_of
from ui.api.slack_door import SlackDoor, slack_router
from ui.mcp_server import mcp_over_http
from ui.server import MAX_UPLOAD_MB

PATHS: Final = ("/api", "/v1", "/mcp")  # what lies under these is the API's, and the rest the app's
DESCRIPTION: Final = """\
Answers from your documents in which every sentence is proved by a quotation.

Show a key (`quoth keys create`) or a token of your identity provider as `Authorization: Bearer`. What you find is what
you may read. Errors are `application/problem+json` and say who can mend them. Agents find an MCP server at `/mcp`.
"""


def api_app(
    quoth: Callable[[], Quoth],
    keys: Callable[[], ApiKeys],
    *,
    tokens: BearerTokens | None,
    local: bool,
    hosts: frozenset[str] | None,
    requests_per_minute: float,
    slack: Callable[[Throttle], SlackDoor] | None = None,
) -> FastAPI:
    """The application.

    Args:
        quoth: the store, opened at the first request that needs it.
        local: a request without identity is `local`; only for a server that nobody but this machine reaches.
        hosts: the names this server goes by; None: any.
        slack: makes the door that Slack sends to; None: there is none.
    """
    server, over_http = mcp_over_http(quoth)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        if door is not None:
            door.start()
        try:
            async with server.session_manager.run():
                yield
        finally:
            if door is not None:
                door.close()

    app = FastAPI(
        title="Quoth", version="1", description=DESCRIPTION, openapi_url="/api/openapi.json", docs_url=None,
        redoc_url=None, lifespan=lifespan,
    )  # fmt: skip
    app.state.quoth = quoth
    app.state.identities = Identities(keys, tokens, local=local)
    app.state.throttle = Throttle(lambda: quoth().shared_doors, requests_per_minute)
    problems.install(app)
    for module in (health, questions, documents, openai_door, evaluations, administration):
        app.include_router(module.router)
    door = None if slack is None else slack(app.state.throttle)
    if door is not None:
        app.include_router(slack_router(door))
    # POST alone: nothing is ever told unasked, and a stream that only waits would hold a connection
    app.router.routes.append(Route("/mcp", endpoint=Identified(over_http), methods=["POST"]))
    app.add_middleware(Guards, hosts=hosts, upload_bytes=MAX_UPLOAD_MB * 1_000_000 * 2)
    return app


class Identified:
    """ASGI: settles who sends a request before the application behind it sees it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        try:
            request.state.caller = await run_in_threadpool(caller_of, request, None)
        except QuothError as error:
            await problems.of_ours(request, error)(scope, receive, send)
            return
        await self._app(scope, receive, send)
