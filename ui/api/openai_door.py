"""The wire format of OpenAI's API, so that its SDKs and chat clients that speak it work unchanged.

The question is the last user's message. A request that goes on with a conversation of Quoth's names it by
`previous_response_id` or `metadata.conversation`; otherwise the earlier user's messages that a client sends along
complete the question, and nothing else of them is read: no instruction, and no answer that Quoth did not give. The
sentences of an answer come one by one, each verified before it is sent, with citations as annotations of the text.
"""

from __future__ import annotations

import json
import re
import time
import uuid
from collections.abc import Generator, Iterator
from typing import Any, Final, cast

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from assistant.bootstrap import Quoth
from assistant.model import Answer, AnswerEvent, AnswerId, Begun, Citation, ClaimShown, ConversationId
from assistant.wire import answer_json, citation_json
from ingest.errors import QuothError, UsageError
from ui.api.identity import Asking
from ui.api.problems import REFUSALS, of_ours
from ui.api.questions import ANSWERED, MOST_CHARS
from ui.api.streaming import AnswerStream, sent

MODEL: Final = "quoth"
EARLIER: Final = 8  # questions that a client sends along
LOADS: Final = re.compile(r"([\\`\[\]<])")  # what images, links, HTML and fenced code begin with
router = APIRouter(prefix="/v1", responses=REFUSALS, tags=["openai"])
Json = dict[str, Any]


class ResponsesRequest(BaseModel):
    """Of the many fields of the format, those that mean something here; the others are taken and left alone."""

    model_config = ConfigDict(extra="allow")
    input: str | list[Json] = Field(examples=["How long is parental leave?"])
    model: str = MODEL
    stream: bool | None = False
    previous_response_id: str | None = None
    metadata: dict[str, str] | None = None


class ChatRequest(BaseModel):
    model_config = ConfigDict(extra="allow")
    messages: list[Json] = Field(min_length=1, examples=[[{"role": "user", "content": "How long is parental leave?"}]])
    model: str = MODEL
    stream: bool | None = False
    metadata: dict[str, str] | None = None


@router.get("/models", summary="The one model there is")
def models(caller: Asking) -> Json:
    return {"object": "list", "data": [{"id": MODEL, "object": "model", "created": 0, "owned_by": "quoth"}]}


@router.post("/responses", summary="An answer in the form of OpenAI's Responses API", response_model=None,
             responses=ANSWERED)  # fmt: skip
def responses(request: Request, asked: ResponsesRequest, caller: Asking) -> JSONResponse | AnswerStream:
    quoth = _quoth(request)
    before, question = ([], asked.input) if isinstance(asked.input, str) else questions_of(asked.input)
    conversation = _conversation(asked.metadata)
    if asked.previous_response_id:
        named = _uuid(asked.previous_response_id.removeprefix("resp_"), "previous_response_id")
        conversation = quoth.answers.get(caller.reader, AnswerId(named)).conversation
    events = _asked(quoth, question, before, caller, conversation, asked.metadata)
    base = str(request.base_url)
    if not asked.stream:
        *_, last = events
        assert isinstance(last, Answer)
        return JSONResponse(response_json(last, base))
    first = next(events)
    parts = _response_events(request, first, events, base)
    return AnswerStream(parts, events)


@router.post("/chat/completions", summary="An answer in the form of OpenAI's chat completions", response_model=None,
             responses=ANSWERED)  # fmt: skip
def chat(request: Request, asked: ChatRequest, caller: Asking) -> JSONResponse | AnswerStream:
    quoth = _quoth(request)
    conversation = _conversation(asked.metadata)
    before, question = questions_of(asked.messages)
    base = str(request.base_url)
    events = _asked(quoth, question, before, caller, conversation, asked.metadata)
    if not asked.stream:
        *_, last = events
        assert isinstance(last, Answer)
        return JSONResponse(completion_json(last, base))
    first = next(events)
    parts = _chunks(request, first, events, base)
    return AnswerStream(parts, events)


def questions_of(items: list[Json]) -> tuple[list[str], str]:
    """The texts of the user's messages: the earlier ones, and the last.

    Raises:
        UsageError: there is none.
    """
    found: list[str] = []
    for item in items:
        if item.get("role") != "user":
            continue
        content = item.get("content")
        parts = content if isinstance(content, list) else [{"text": content}]
        words = "\n".join(
            part["text"] for part in parts if isinstance(part, dict) and isinstance(part.get("text"), str)
        ).strip()
        if words:
            found.append(words[:MOST_CHARS])
    if not found:
        raise UsageError("The request asks nothing: no message of the role 'user' holds text.")
    return found[-1 - EARLIER : -1], found[-1]


def response_json(answer: Answer, base: str) -> Json:
    """The whole answer as a response object."""
    text, annotations = _marked(answer, base)
    return {
        **_response(answer.id, "completed"),
        "output": [_message(answer.id, text, annotations, "completed")],
        "usage": _usage(answer),
        "metadata": {"conversation": str(answer.conversation), "status": answer.status},
        "quoth": answer_json(answer),
    }


def completion_json(answer: Answer, base: str) -> Json:
    """The whole answer as a chat completion; citations as annotations and, for clients that show none, footnotes."""
    text, annotations = _marked(answer, base)
    return {
        "id": f"chatcmpl-{answer.id}",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": MODEL,
        "choices": [
            {
                "index": 0,
                "message": {
                    "role": "assistant",
                    "content": text + _footnotes(answer),
                    "refusal": None,
                    "annotations": [
                        {"type": "url_citation", "url_citation": {k: v for k, v in one.items() if k in CITED}}
                        for one in annotations
                    ],
                },
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
        "usage": {
            "prompt_tokens": answer.usage.input_tokens,
            "completion_tokens": answer.usage.output_tokens,
            "total_tokens": answer.usage.input_tokens + answer.usage.output_tokens,
        },
        "citations": [citation_json(one) for one in answer.citations],
        "quoth": answer_json(answer),
    }


CITED: Final = ("url", "title", "start_index", "end_index")


def _marked(answer: Answer, base: str) -> tuple[str, list[Json]]:
    """The answer's text with its markers, and one annotation for each of them, over the sentence it proves."""
    if not answer.claims:
        return _without_claims(answer), []
    by_marker = {one.marker: one for one in answer.citations}
    text = ""
    annotations: list[Json] = []
    for claim in answer.claims:
        piece, of_it = _piece(claim.text, [by_marker[m] for m in claim.citations if m in by_marker], len(text), base)
        text += piece
        annotations += of_it
    if answer.missing:
        text += f"\n\nNot covered: {shown(answer.missing)}"
    return text, annotations


def _piece(words: str, cited: list[Citation], at: int, base: str) -> tuple[str, list[Json]]:
    """One claim as it is appended at an offset of the text, and its annotations."""
    lead = " " if at else ""
    piece = f"{lead}{shown(words)} {''.join(f'[{one.marker}]' for one in cited)}"
    span = {"start_index": at + len(lead), "end_index": at + len(piece)}
    return piece, [
        {
            "type": "url_citation",
            "url": f"{base}documents?d={one.document}",
            "title": shown(one.title or one.source),
            **span,
            "quote": one.quote,
            "document": str(one.document),
            "version": one.version,
            "page": one.page,
            "start": one.start,
            "end": one.end,
        }
        for one in cited
    ]


def shown(words: str) -> str:
    """A document's or a model's words for a client that renders Markdown: nothing in them loads or links."""
    return LOADS.sub(r"\\\1", words)


def _without_claims(answer: Answer) -> str:
    if answer.text:
        choices = "".join(f"\n{number}. {shown(one)}" for number, one in enumerate(answer.choices, 1))
        return shown(answer.text) + choices
    nearest = ", ".join(dict.fromkeys(shown(one.title or one.source) for one in answer.passages[:3]))
    return "The documents you may read do not say." + (f" Nearest: {nearest}." if nearest else "")


def _footnotes(answer: Answer) -> str:
    lines = [
        f"[{one.marker}] {shown(one.title or one.source)}{f', page {one.page}' if one.page else ''}: "
        f"“{shown(one.quote)}”"
        for one in answer.citations
    ]
    return "\n\n" + "\n\n".join(lines) if lines else ""


def _response(answer: AnswerId, status: str) -> Json:
    return {
        "id": f"resp_{answer}",
        "object": "response",
        "created_at": time.time(),
        "status": status,
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "metadata": {},
        "model": MODEL,
        "output": [],
        "parallel_tool_calls": False,
        "temperature": None,
        "tool_choice": "none",
        "tools": [],
        "top_p": None,
    }


def _message(answer: AnswerId, text: str, annotations: list[Json], status: str) -> Json:
    return {
        "id": f"msg_{answer}",
        "type": "message",
        "role": "assistant",
        "status": status,
        "content": [{"type": "output_text", "text": text, "annotations": annotations, "logprobs": []}],
    }


def _usage(answer: Answer) -> Json:
    used = answer.usage
    return {
        "input_tokens": used.input_tokens,
        "input_tokens_details": {"cached_tokens": used.cached_input_tokens},
        "output_tokens": used.output_tokens,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": used.input_tokens + used.output_tokens,
    }


def _response_events(request: Request, first: AnswerEvent, events: Iterator[AnswerEvent], base: str) -> Iterator[str]:
    """The stream of a response: each claim is a delta, and ends in `response.completed` or `response.failed`."""
    assert isinstance(first, Begun)
    number = 0
    begun = _response(first.answer, "in_progress")
    item = {"item_id": f"msg_{first.answer}", "output_index": 0, "content_index": 0}

    def event(kind: str, **fields: Any) -> str:
        nonlocal number
        number += 1
        return sent(kind, {"type": kind, "sequence_number": number - 1, **fields})

    text = ""
    annotations: list[Json] = []
    seen: dict[int, Citation] = {}

    def delta(words: str) -> str:
        return event("response.output_text.delta", delta=words, logprobs=[], **item)

    try:
        yield event("response.created", response=begun)
        yield event("response.in_progress", response=begun)
        yield event(
            "response.output_item.added", output_index=0,
            item={**_message(first.answer, "", [], "in_progress"), "content": []},
        )  # fmt: skip
        yield event("response.content_part.added", part={"type": "output_text", "text": "", "annotations": []}, **item)
        for one in events:
            if isinstance(one, ClaimShown):
                seen |= {citation.marker: citation for citation in one.new_citations}
                cited = [seen[marker] for marker in one.claim.citations]
                piece, of_it = _piece(one.claim.text, cited, len(text), base)
                text += piece
                yield delta(piece)
                for annotation in of_it:
                    annotations.append(annotation)
                    yield event(
                        "response.output_text.annotation.added", annotation=annotation,
                        annotation_index=len(annotations) - 1, **item,
                    )  # fmt: skip
            elif isinstance(one, Answer):
                whole, _ = _marked(one, base)
                if whole.startswith(text) and len(whole) > len(text):
                    yield delta(whole[len(text) :])
                    text = whole
                part = {"type": "output_text", "text": text, "annotations": annotations, "logprobs": []}
                yield event("response.output_text.done", text=text, logprobs=[], **item)
                yield event("response.content_part.done", part=part, **item)
                message = _message(one.id, text, annotations, "completed")
                yield event("response.output_item.done", output_index=0, item=message)
                done = response_json(one, base) | {"output": [message]}
                yield event("response.completed", response=done)
    except Exception as error:
        said = _failure(request, error)
        failed = {**begun, "status": "failed", "error": {"code": "server_error", "message": said["detail"]}}
        yield event("response.failed", response=failed)


def _chunks(request: Request, first: AnswerEvent, events: Iterator[AnswerEvent], base: str) -> Iterator[str]:
    """The stream of a chat completion: a claim a chunk, then footnotes, then `[DONE]`."""
    assert isinstance(first, Begun)
    made = int(time.time())

    def chunk(delta: Json, finish: str | None = None, **more: Any) -> str:
        return sent(
            None,
            {
                "id": f"chatcmpl-{first.answer}", "object": "chat.completion.chunk", "created": made, "model": MODEL,
                "choices": [{"index": 0, "delta": delta, "finish_reason": finish}], **more,
            },
        )  # fmt: skip

    text = ""
    seen: dict[int, Citation] = {}
    try:
        yield chunk({"role": "assistant", "content": ""})
        for one in events:
            if isinstance(one, ClaimShown):
                seen |= {citation.marker: citation for citation in one.new_citations}
                piece, _ = _piece(one.claim.text, [seen[m] for m in one.claim.citations], len(text), base)
                text += piece
                yield chunk({"content": piece})
            elif isinstance(one, Answer):
                whole, annotations = _marked(one, base)
                rest = whole[len(text) :] if whole.startswith(text) else ""
                yield chunk(
                    {
                        "content": rest + _footnotes(one),
                        "annotations": [
                            {"type": "url_citation", "url_citation": {k: v for k, v in a.items() if k in CITED}}
                            for a in annotations
                        ],
                    }
                )
                yield chunk({}, "stop", citations=[citation_json(citation) for citation in one.citations])
        yield "data: [DONE]\n\n"
    except Exception as error:
        said = _failure(request, error)
        yield sent(None, {"error": {"message": said["detail"], "type": "server_error", "code": said["code"]}})


def _failure(request: Request, error: Exception) -> Json:
    if isinstance(error, QuothError):
        return cast(Json, json.loads(bytes(of_ours(request, error).body)))
    return {"code": "internal", "detail": "Something went wrong. The log has more."}


def _asked(
    quoth: Quoth,
    question: str,
    before: list[str],
    caller: Asking,
    conversation: ConversationId | None,
    metadata: dict[str, str] | None,
) -> Generator[AnswerEvent]:
    events = quoth.ask(
        question, caller.reader, collection=(metadata or {}).get("collection"), conversation=conversation,
        asked_before=before,
    )  # fmt: skip
    return cast(Generator[AnswerEvent], events)


def _conversation(metadata: dict[str, str] | None) -> ConversationId | None:
    named = (metadata or {}).get("conversation")
    return ConversationId(_uuid(named, "metadata.conversation")) if named else None


def _uuid(text: str, where: str) -> uuid.UUID:
    try:
        return uuid.UUID(text)
    except ValueError as error:
        raise UsageError(f"{where} {text[:80]!r} is not an id of this server.") from error


def _quoth(request: Request) -> Quoth:
    quoth: Quoth = request.app.state.quoth()
    return quoth
