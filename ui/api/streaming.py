"""Answers as server-sent events."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Generator, Iterator
from typing import Any, cast

from anyio import CancelScope
from fastapi.responses import StreamingResponse
from starlette.concurrency import run_in_threadpool
from starlette.types import Receive, Scope, Send

from assistant.model import AnswerEvent


def sent(name: str | None, data: dict[str, Any]) -> str:
    """One server-sent event."""
    line = json.dumps(data, ensure_ascii=False, default=str)
    return f"event: {name}\ndata: {line}\n\n" if name else f"data: {line}\n\n"


class AnswerStream(StreamingResponse):
    """Server-sent parts as they come, each waited for in a thread.

    A client that goes away ends the answer and its model's call at once: left to the garbage collector, they would go
    on for as long as a traceback keeps them.
    """

    def __init__(self, parts: Iterator[str], events: Generator[AnswerEvent]) -> None:
        super().__init__(_each(parts), media_type="text/event-stream")
        self._events = events

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            with CancelScope(shield=True):
                await run_in_threadpool(self._events.close)


async def _each(parts: Iterator[str]) -> AsyncIterator[str]:
    done = object()
    while (part := await run_in_threadpool(next, parts, done)) is not done:
        yield cast(str, part)
