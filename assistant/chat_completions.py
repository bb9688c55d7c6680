"""The older interface of chat models, for servers that offer no Responses API: the same request, the same events.

Nothing else in this package knows of it: a stream of chunks comes out as the events of a response.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from openai.types import responses as r
from openai.types.responses.response_usage import InputTokensDetails, OutputTokensDetails

if TYPE_CHECKING:
    import openai
    from openai.types import CompletionUsage
    from openai.types.chat import ChatCompletionChunk

INCOMPLETE: Final = {"length": "max_output_tokens", "content_filter": "content_filter"}  # by finish reason


def chat_request(request: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of `chat.completions.create` for those of `responses.create`, with the same strict schema.

    Only what every such server knows is sent; `max_tokens` is the name of the room that all of them understand.
    """
    form = request["text"]["format"]
    return {
        "model": request["model"],
        "messages": [{"role": "system", "content": request["instructions"]}, *request["input"]],
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": form["name"], "strict": form["strict"], "schema": form["schema"]},
        },
        "max_tokens": request["max_output_tokens"],
        "stream_options": {"include_usage": True},
    }


class ChatEvents:
    """The events of a response, from a stream of chunks; it ends early where the chunks end without a reason."""

    def __init__(self, chunks: openai.AsyncStream[ChatCompletionChunk]) -> None:
        self._chunks = chunks
        self._text: list[str] = []
        self._refusal: list[str] = []
        self._finish: str | None = None
        self._usage: CompletionUsage | None = None
        self._model = ""
        self._ended = False

    def __aiter__(self) -> ChatEvents:
        return self

    async def __anext__(self) -> r.ResponseStreamEvent:
        if self._ended:
            raise StopAsyncIteration
        async for chunk in self._chunks:
            self._model = chunk.model or self._model
            self._usage = chunk.usage or self._usage
            if not chunk.choices:
                continue
            choice = chunk.choices[0]
            self._finish = choice.finish_reason or self._finish
            if choice.delta.refusal:
                self._refusal.append(choice.delta.refusal)
                return r.ResponseRefusalDeltaEvent.model_construct(
                    type="response.refusal.delta", delta=choice.delta.refusal
                )
            if choice.delta.content:
                self._text.append(choice.delta.content)
                return r.ResponseTextDeltaEvent.model_construct(
                    type="response.output_text.delta", delta=choice.delta.content
                )
        self._ended = True
        if self._finish is None:
            raise StopAsyncIteration
        return self._terminal()

    async def close(self) -> None:
        await self._chunks.close()

    def _terminal(self) -> r.ResponseStreamEvent:
        reason = INCOMPLETE.get(self._finish or "")
        content: list[Any] = [r.ResponseOutputText(annotations=[], text="".join(self._text), type="output_text")]
        if self._refusal:
            content = [r.ResponseOutputRefusal(refusal="".join(self._refusal), type="refusal")]
        status = "incomplete" if reason else "completed"
        response = r.Response.model_construct(
            id="",
            created_at=time.time(),
            model=self._model,
            object="response",
            status=status,
            output=[
                r.ResponseOutputMessage.model_construct(
                    id="", content=content, role="assistant", status=status, type="message"
                )
            ],
            incomplete_details=r.response.IncompleteDetails(reason=reason) if reason else None,  # type: ignore[arg-type]
            usage=_usage(self._usage),
            service_tier=None,
            error=None,
        )
        if reason:
            return r.ResponseIncompleteEvent.model_construct(type="response.incomplete", response=response)
        return r.ResponseCompletedEvent.model_construct(type="response.completed", response=response)


def _usage(usage: CompletionUsage | None) -> r.ResponseUsage | None:
    if usage is None:
        return None
    cached = usage.prompt_tokens_details.cached_tokens if usage.prompt_tokens_details else None
    reasoning = usage.completion_tokens_details.reasoning_tokens if usage.completion_tokens_details else None
    return r.ResponseUsage(
        input_tokens=usage.prompt_tokens,
        input_tokens_details=InputTokensDetails(cached_tokens=cached or 0, cache_write_tokens=0),
        output_tokens=usage.completion_tokens,
        output_tokens_details=OutputTokensDetails(reasoning_tokens=reasoning or 0),
        total_tokens=usage.prompt_tokens + usage.completion_tokens,
    )
