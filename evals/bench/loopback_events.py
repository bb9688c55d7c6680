"""How the stand-in for the OpenAI API sends: the events of a response in their order, whole or as they go wrong."""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import json
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from typing import Any, Final

from openai.types import responses as r
from openai.types.responses.response import IncompleteDetails
from openai.types.responses.response_usage import InputTokensDetails, OutputTokensDetails

from evals.bench.loopback_words import order_of, route_of, standalone_of, summary_of, verdict_of

CHARS_PER_TOKEN: Final = 4
PIECE_CHARS: Final = (1, 7, 3, 12, 2)
REFUSAL: Final = "I can't help with that."
ROOM: Final = 4000  # from which "incomplete" completes


def _calls(body: dict[str, Any], mode: str, script: list[list[tuple[str, Any]]]) -> list[r.ResponseFunctionToolCall]:
    """The calls of tools that this turn makes."""
    made = sum(item.get("type") == "function_call" for item in body["input"])
    if not body.get("tools") or (body.get("tool_choice") == "none" and mode != "stubborn"):
        return []
    if mode in ("endless", "stubborn"):
        wanted: list[tuple[str, Any]] = [("search_documents", {"query": f"turn {made}"})]
    else:
        turn = next((n for n in range(len(script)) if sum(map(len, script[:n])) == made), len(script))
        wanted = script[turn] if turn < len(script) else []
    return [
        r.ResponseFunctionToolCall(
            id=f"fc_{made + n}", call_id=f"call_{made + n}", name=name, type="function_call", status="completed",
            arguments=given if isinstance(given, str) else json.dumps(given, ensure_ascii=False),
        )
        for n, (name, given) in enumerate(wanted)
    ]  # fmt: skip


def _calling(
    calls: list[r.ResponseFunctionToolCall], body: dict[str, Any], mode: str, respond: Callable[..., r.Response]
) -> Iterator[Any]:
    """The events of a response that calls tools; a model that reasons gives its reasoning, sealed, before them."""
    numbers = itertools.count()
    output: list[Any] = []
    yield r.ResponseCreatedEvent(
        response=respond("in_progress", []), sequence_number=next(numbers), type="response.created"
    )
    if "reasoning.encrypted_content" in body.get("include", []):
        output.append(r.ResponseReasoningItem(id="rs_1", summary=[], type="reasoning", encrypted_content="c2VhbGVk"))
    for call in calls:
        place: dict[str, Any] = {"item_id": call.id, "output_index": len(output)}
        added = call.model_copy(update={"arguments": "", "status": "in_progress"})
        yield r.ResponseOutputItemAddedEvent(
            item=added, output_index=len(output), sequence_number=next(numbers), type="response.output_item.added"
        )
        for piece in _pieces(call.arguments):
            yield r.ResponseFunctionCallArgumentsDeltaEvent(
                delta=piece, sequence_number=next(numbers), type="response.function_call_arguments.delta", **place
            )
        yield r.ResponseFunctionCallArgumentsDoneEvent(
            arguments=call.arguments, sequence_number=next(numbers),
            type="response.function_call_arguments.done", **place,
        )  # fmt: skip
        yield r.ResponseOutputItemDoneEvent(
            item=call, output_index=len(output), sequence_number=next(numbers), type="response.output_item.done"
        )
        output.append(call)
    usage = _usage(body["instructions"], message_of(body), "".join(call.arguments for call in calls))
    yield r.ResponseCompletedEvent(
        response=respond("completed", output, usage=usage), sequence_number=next(numbers), type="response.completed"
    )


def events_of(
    body: dict[str, Any], mode: str, script: list[list[tuple[str, Any]]], says: Callable[[str, str], dict[str, Any]],
    piece_chars: Sequence[int],
) -> Iterator[Any]:  # fmt: skip
    """The events of a response in the API's order, each with its number."""
    message = message_of(body)
    asked_for = body["text"]["format"]["schema"]["properties"]
    if "order" in asked_for:
        said = order_of(message, mode)
    elif "question" in asked_for:
        said = standalone_of(message, mode)
    elif "summary" in asked_for:
        said = summary_of(message, mode)
    elif "urgency" in asked_for:
        said = route_of(message, mode)
    elif "verdict" in asked_for:
        said = verdict_of(message, mode)
    else:
        said = says(message, mode)
    text = json.dumps(said, ensure_ascii=False)
    if mode == "schema":
        text = json.dumps({"claims": [{"sentence": "Something."}], "missing": None})
    elif mode == "prose":
        text = "Here is what I found in the documents you gave me."
    numbers = itertools.count()
    id = "resp_" + hashlib.sha256(message.encode("utf-8", "replace")).hexdigest()[:24]

    def response(status: str, output: list[Any], **more: Any) -> r.Response:
        return r.Response(
            id=id, created_at=time.time(), model=body["model"], object="response", output=output, status=status,  # type: ignore[arg-type]
            parallel_tool_calls=False, tool_choice="none", tools=[], **more,
        )  # fmt: skip

    if calls := _calls(body, mode, script):
        yield from _calling(calls, body, mode, response)
        return
    refuses = mode == "refusal"
    content: Any = (
        r.ResponseOutputRefusal(refusal=REFUSAL, type="refusal")
        if refuses
        else r.ResponseOutputText(annotations=[], text=text, type="output_text")
    )
    item = r.ResponseOutputMessage(id="msg_1", content=[], role="assistant", status="in_progress", type="message")
    place: dict[str, Any] = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
    yield r.ResponseCreatedEvent(
        response=response("in_progress", []), sequence_number=next(numbers), type="response.created"
    )
    if mode == "failed":
        error = r.ResponseError(code="server_error", message="The model failed.")
        yield r.ResponseFailedEvent(
            response=response("failed", [], error=error), sequence_number=next(numbers), type="response.failed"
        )
        return
    if mode == "tool-call":
        unasked = r.ResponseFunctionToolCall(
            arguments='{"to": "anybody"}', call_id="call_1", name="send_mail", type="function_call", status="completed"
        )
        yield r.ResponseOutputItemAddedEvent(
            item=unasked, output_index=1, sequence_number=next(numbers), type="response.output_item.added"
        )
        yield r.ResponseOutputItemDoneEvent(
            item=unasked, output_index=1, sequence_number=next(numbers), type="response.output_item.done"
        )
    yield r.ResponseOutputItemAddedEvent(
        item=item, output_index=0, sequence_number=next(numbers), type="response.output_item.added"
    )
    part = content.model_copy(update={"refusal" if refuses else "text": ""})
    yield r.ResponseContentPartAddedEvent(
        part=part, sequence_number=next(numbers), type="response.content_part.added", **place
    )
    cut = (mode == "incomplete" and body["max_output_tokens"] < ROOM) or mode == "incomplete-filter"
    if cut:
        text = text[: len(text) // 3]
    if refuses:
        yield r.ResponseRefusalDeltaEvent(
            delta=REFUSAL, sequence_number=next(numbers), type="response.refusal.delta", **place
        )
        yield r.ResponseRefusalDoneEvent(
            refusal=REFUSAL, sequence_number=next(numbers), type="response.refusal.done", **place
        )
    elif mode != "late":
        for piece in _pieces(text, piece_chars):
            yield r.ResponseTextDeltaEvent(
                delta=piece, logprobs=[], sequence_number=next(numbers), type="response.output_text.delta", **place
            )
        yield r.ResponseTextDoneEvent(
            text=text, logprobs=[], sequence_number=next(numbers), type="response.output_text.done", **place
        )
    whole = item.model_copy(update={"content": [content], "status": "completed"})
    yield r.ResponseOutputItemDoneEvent(
        item=whole, output_index=0, sequence_number=next(numbers), type="response.output_item.done"
    )
    usage = _usage(body["instructions"], message, text)
    if cut:
        reason = "content_filter" if mode == "incomplete-filter" else "max_output_tokens"
        details = IncompleteDetails(reason=reason)  # type: ignore[arg-type]
        yield r.ResponseIncompleteEvent(
            response=response("incomplete", [whole], usage=usage, incomplete_details=details),
            sequence_number=next(numbers),
            type="response.incomplete",
        )
        return
    yield r.ResponseCompletedEvent(
        response=response("completed", [whole], usage=usage), sequence_number=next(numbers), type="response.completed"
    )


async def sent(
    events: Iterator[Any], mode: str, encode: Callable[[Any], bytes], tokens_per_s: float | None, fails_at: int
) -> AsyncIterator[bytes]:
    """The events as bytes, with what the mode does to a stream."""
    deltas = 0
    if mode == "silent":
        await asyncio.sleep(3600)
    if mode == "empty":
        return
    for event in events:
        is_delta = event.type == "response.output_text.delta"
        deltas += is_delta
        if is_delta and deltas == fails_at:
            if mode == "truncated":
                return
            if mode == "cut":
                raise ConnectionAbortedError("the stand-in drops the connection, as it was told")
            if mode == "malformed":
                yield b'event: response.output_text.delta\ndata: {"type": "response.outp\n\n'
            if mode == "error-event":
                data = {
                    "type": "error",
                    "code": "server_error",
                    "message": "Sorry.",
                    "param": None,
                    "sequence_number": 9,
                }
                yield f"event: error\ndata: {json.dumps(data)}\n\n".encode()
                return
        yield encode(event)
        if is_delta and mode == "slow":
            await asyncio.sleep(0.5)
        elif is_delta and tokens_per_s is not None:
            await asyncio.sleep(len(event.delta) / CHARS_PER_TOKEN / tokens_per_s)
        while mode == "drip" and event.type == "response.output_text.done":
            yield b": keep-alive\n\n"
            await asyncio.sleep(0.05)
    yield b"data: [DONE]\n\n"


def response_event(event: Any) -> bytes:
    return f"event: {event.type}\ndata: {event.model_dump_json()}\n\n".encode()


def chat_chunks(event: Any) -> bytes:
    """The same as chunks of a chat completion; nothing for events that it has not."""

    def chunk(delta: dict[str, Any], finish: str | None = None) -> bytes:
        choices = [{"index": 0, "delta": delta, "finish_reason": finish}]
        return _chunk({"choices": choices})

    if event.type == "response.output_text.delta":
        return chunk({"content": event.delta})
    if event.type == "response.output_item.added" and event.item.type == "function_call":
        function = {"name": event.item.name, "arguments": ""}
        call = {"index": event.output_index, "id": event.item.call_id, "type": "function", "function": function}
        return chunk({"tool_calls": [call]})
    if event.type == "response.function_call_arguments.delta":
        return chunk({"tool_calls": [{"index": event.output_index, "function": {"arguments": event.delta}}]})
    if event.type == "response.refusal.delta":
        return chunk({"refusal": event.delta})
    if event.type == "response.failed":
        return _chunk({"error": {"message": "The model failed.", "code": "server_error"}})
    if event.type not in ("response.completed", "response.incomplete"):
        return b""
    details = event.response.incomplete_details
    reason = {None: "stop", "max_output_tokens": "length"}.get(details and details.reason, "content_filter")
    if reason == "stop" and any(item.type == "function_call" for item in event.response.output):
        reason = "tool_calls"
    used = event.response.usage
    usage = {
        "prompt_tokens": used.input_tokens,
        "completion_tokens": used.output_tokens,
        "total_tokens": used.total_tokens,
        "prompt_tokens_details": {"cached_tokens": used.input_tokens_details.cached_tokens},
    }
    return chunk({}, reason) + _chunk({"choices": [], "usage": usage})


def _chunk(content: dict[str, Any]) -> bytes:
    frame = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 0, "model": "double"}
    return f"data: {json.dumps({**frame, **content})}\n\n".encode()


def _pieces(text: str, piece_chars: Sequence[int] = PIECE_CHARS) -> Iterator[str]:
    at = 0
    for size in itertools.cycle(piece_chars):
        if at >= len(text):
            return
        yield text[at : at + size]
        at += size


def _usage(instructions: str, message: str, text: str) -> r.ResponseUsage:
    sent, received = tokens_of(instructions) + tokens_of(message), tokens_of(text) + 8
    return r.ResponseUsage(
        input_tokens=sent,
        input_tokens_details=InputTokensDetails(cached_tokens=tokens_of(instructions) // 2, cache_write_tokens=4),
        output_tokens=received,
        output_tokens_details=OutputTokensDetails(reasoning_tokens=8),
        total_tokens=sent + received,
    )


def message_of(body: dict[str, Any]) -> str:
    """What tools gave, then the user's message, which ends with the question."""
    content = body["input"][0]["content"]
    text = content if isinstance(content, str) else "".join(part.get("text", "") for part in content)
    return "\n".join([*(one["output"] for one in body["input"] if one.get("type") == "function_call_output"), text])


def tokens_of(text: str) -> int:
    return max(1, len(text) // CHARS_PER_TOKEN)
