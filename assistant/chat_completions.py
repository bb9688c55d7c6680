"""The older interface of chat models, for servers that offer no Responses API: the same request, the same events.

Nothing else in this package knows of it: a stream of chunks comes out as the events of a response.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
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
    tools: dict[str, Any] = {}
    if request.get("tools"):
        functions = [{name: value for name, value in one.items() if name != "type"} for one in request["tools"]]
        tools = {"tools": [{"type": "function", "function": one} for one in functions]}
        tools["tool_choice"] = request["tool_choice"]
    return {
        "model": request["model"],
        "messages": [{"role": "system", "content": request["instructions"]}, *_messages(request["input"])],
        **tools,
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": form["name"], "strict": form["strict"], "schema": form["schema"]},
        },
        "max_tokens": request["max_output_tokens"],
        "stream_options": {"include_usage": True},
    }


def _messages(items: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """Items of a request as messages: the calls of one turn are one message; reasoning has no place here."""
    calls: list[dict[str, Any]] = []
    for item in items:
        kind = item.get("type", "message")
        if kind == "function_call":
            function = {"name": item["name"], "arguments": item["arguments"]}
            calls.append({"id": item["call_id"], "type": "function", "function": function})
            continue
        if calls and kind != "reasoning":
            yield {"role": "assistant", "tool_calls": calls}
            calls = []
        if kind == "function_call_output":
            yield {"role": "tool", "tool_call_id": item["call_id"], "content": item["output"]}
        elif kind == "message" and item["role"] == "assistant":
            yield {"role": "assistant", "content": "".join(part.get("text", "") for part in item["content"])}
        elif kind == "message":
            yield dict(item)


class ChatEvents:
    """The events of a response, from a stream of chunks; it ends early where the chunks end without a reason."""

    def __init__(self, chunks: openai.AsyncStream[ChatCompletionChunk]) -> None:
        self._chunks = chunks
        self._text: list[str] = []
        self._refusal: list[str] = []
        self._calls: dict[int, list[str]] = {}  # by place: id, name, arguments
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
            if choice.delta.tool_calls:
                for one in choice.delta.tool_calls:
                    call = self._calls.setdefault(one.index, ["", "", ""])
                    call[0] = one.id or call[0]
                    call[1] += (one.function and one.function.name) or ""
                    call[2] += (one.function and one.function.arguments) or ""
                return r.ResponseFunctionCallArgumentsDeltaEvent.model_construct(
                    type="response.function_call_arguments.delta", delta=""
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
                *(
                    [
                        r.ResponseOutputMessage.model_construct(
                            id="", content=content, role="assistant", status=status, type="message"
                        )
                    ]
                    if self._text or self._refusal or not self._calls
                    else []
                ),
                *(
                    r.ResponseFunctionToolCall(
                        call_id=id or f"call_{place}", name=name, arguments=arguments, type="function_call"
                    )
                    for place, (id, name, arguments) in sorted(self._calls.items())
                ),
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
