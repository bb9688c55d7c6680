"""Searching, asking, and what was answered."""

from __future__ import annotations

import json
import logging
from collections.abc import Generator, Iterator
from datetime import date
from typing import Annotated, Any, Final, Literal, cast
from uuid import UUID

from fastapi import APIRouter, File, Query, Request, UploadFile
from pydantic import BaseModel, ConfigDict, Field

from assistant.bootstrap import Quoth
from assistant.feedback import Reason
from assistant.model import Answer, AnswerEvent, AnswerId, Begun, ClaimShown, ConversationId, Progress
from assistant.transcribing import MOST_BYTES, MOST_S
from assistant.wire import answer_json, citation_json, search_json
from ingest.errors import QuothError, UsageError, trace_of
from retrieval.model import Stage
from retrieval.narrowing import Narrowing
from ui.api.identity import Asking
from ui.api.problems import REFUSALS, answered, of_ours
from ui.api.streaming import AnswerStream, sent

LOG: Final = logging.getLogger("quoth.api")
Kind = Literal["pdf", "word", "slides", "spreadsheet", "mail", "web", "text", "picture"]
MOST_CHARS: Final = 20_000  # of a question; the assistant bounds what it reads of it
ANSWERED: Final[dict[int | str, dict[str, Any]]] = {
    200: {"content": {"application/json": {"schema": {"type": "object"}}, "text/event-stream": {}}}
}
router = APIRouter(prefix="/api", responses=REFUSALS)


class Narrowed(BaseModel):
    """Which documents are searched."""

    model_config = ConfigDict(extra="forbid")
    collection: str | None = Field(None, max_length=200)
    owner: str | None = Field(None, max_length=200)
    type: Kind | None = None
    since: date | None = Field(None, description="what changed on this day or later")
    before: date | None = None

    def narrowing(self) -> Narrowing:
        return Narrowing(self.owner, self.type, self.since, self.before)


class SearchRequest(Narrowed):
    question: str = Field(min_length=1, max_length=MOST_CHARS, examples=["notice period after probation"])
    k: int = Field(10, ge=1, le=100)
    stage: Stage = "reranked"
    explain: bool = False


class AskRequest(Narrowed):
    question: str = Field(min_length=1, max_length=MOST_CHARS, examples=["How long is parental leave?"])
    conversation: UUID | None = None
    stream: bool = Field(False, description="server-sent events: begun, progress, claim, then answer or error")


class FeedbackRequest(BaseModel):
    model_config = ConfigDict(extra="forbid")
    helpful: bool
    reason: Reason | None = None
    correction: str | None = Field(None, max_length=4000)


@router.post("/search", summary="Find the passages that match a question", tags=["questions"])
def search(request: Request, asked: SearchRequest, caller: Asking) -> dict[str, Any]:
    found = _quoth(request).search(
        asked.question, caller.reader, k=asked.k, stage=asked.stage, collection=asked.collection,
        narrowing=asked.narrowing(),
    )  # fmt: skip
    return search_json(found, explain=asked.explain)


@router.post("/transcriptions", summary="A spoken question as text, to be looked over before it is asked",
             tags=["questions"], responses=answered({"text": "How long is parental leave?"}))  # fmt: skip
def transcription(
    request: Request,
    audio: Annotated[UploadFile, File(description=f"a WAV file of at most {MOST_S:g} seconds")],
    caller: Asking,
) -> dict[str, str]:
    transcriber = _quoth(request).transcriber
    if transcriber is None:
        raise UsageError("There is no model here that writes down speech: QUOTH_TRANSCRIBE_MODEL is not set.")
    return {"text": transcriber.text_of(audio.file.read(MOST_BYTES + 1), caller.reader)}


@router.post(
    "/answers",
    summary="Ask a question and get an answer with verified quotations",
    tags=["questions"],
    response_model=None,
    responses=ANSWERED,
)
def ask(request: Request, asked: AskRequest, caller: Asking) -> dict[str, Any] | AnswerStream:
    conversation = None if asked.conversation is None else ConversationId(asked.conversation)
    events = cast(
        Generator[AnswerEvent],
        _quoth(request).ask(
            asked.question, caller.reader, collection=asked.collection, conversation=conversation,
            narrowing=asked.narrowing(),
        ),
    )  # fmt: skip
    if not asked.stream:
        *_, last = events
        assert isinstance(last, Answer)
        return answer_json(last)
    first = next(events)  # what is wrong with the question is said with a status of its own
    return AnswerStream(_as_sent(request, first, events), events)


@router.get("/answers/{answer}", summary="An answer as it was kept, read again under your access now",
            tags=["questions"])  # fmt: skip
def kept(request: Request, answer: UUID, caller: Asking) -> dict[str, Any]:
    return answer_json(_quoth(request).answers.get(caller.reader, AnswerId(answer)))


@router.put("/answers/{answer}/feedback", summary="Say whether an answer helped", tags=["questions"])
def feedback(request: Request, answer: UUID, said: FeedbackRequest, caller: Asking) -> dict[str, Any]:
    given = _quoth(request).feedback.give(
        caller.reader, AnswerId(answer), helpful=said.helpful, reason=said.reason, correction=said.correction
    )
    return {"answer": str(given.answer), "helpful": given.helpful, "reason": given.reason,
            "correction": given.correction, "given_at": given.given_at.isoformat()}  # fmt: skip


@router.get("/conversations", summary="Your conversations, the latest first", tags=["conversations"])
def conversations(
    request: Request,
    caller: Asking,
    words: Annotated[str, Query(max_length=200)] = "",
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    offset: Annotated[int, Query(ge=0, le=1_000_000)] = 0,
) -> dict[str, Any]:
    talks = _quoth(request).conversations.listed(caller.reader, words=words, limit=limit, offset=offset)
    return {
        "conversations": [
            {"conversation": str(one.id), "title": one.title, "answers": one.answers,
             "latest_at": one.latest_at.isoformat()}
            for one in talks
        ],
        "next_offset": offset + limit if len(talks) == limit else None,
    }  # fmt: skip


@router.get("/conversations/{conversation}", summary="One conversation with its answers", tags=["conversations"])
def conversation(request: Request, conversation: UUID, caller: Asking) -> dict[str, Any]:
    quoth = _quoth(request)
    talk = quoth.conversations.find(caller.reader, ConversationId(conversation))
    answers = quoth.answers.conversation(caller.reader, talk.id)
    return {"conversation": str(talk.id), "title": talk.title, "answers": [answer_json(one) for one in answers]}


class RenameRequest(BaseModel):
    model_config = ConfigDict(extra="forbid")
    title: str = Field(max_length=500, description="empty: called by its first question")


@router.patch("/conversations/{conversation}", summary="Rename a conversation", tags=["conversations"])
def rename(request: Request, conversation: UUID, wanted: RenameRequest, caller: Asking) -> dict[str, Any]:
    title = _quoth(request).conversations.rename(caller.reader, ConversationId(conversation), wanted.title)
    return {"conversation": str(conversation), "title": title}


@router.delete("/conversations/{conversation}", summary="Delete a conversation", tags=["conversations"])
def delete(request: Request, conversation: UUID, caller: Asking) -> dict[str, Any]:
    count = _quoth(request).conversations.delete(caller.reader, ConversationId(conversation))
    return {"conversation": str(conversation), "deleted_answers": count}


def _quoth(request: Request) -> Quoth:
    quoth: Quoth = request.app.state.quoth()
    return quoth


def _as_sent(request: Request, first: AnswerEvent, events: Iterator[AnswerEvent]) -> Iterator[str]:
    """Server-sent events; the last is the answer, or an error: never silence."""
    try:
        yield sent(*_named(first))
        for event in events:
            yield sent(*_named(event))
    except QuothError as error:
        yield sent("error", json.loads(bytes(of_ours(request, error).body)))
    except Exception as error:
        LOG.error("an answer failed:\n%s", trace_of(error))
        yield sent("error", {"code": "internal", "detail": "Something went wrong. The log has more."})


def _named(event: AnswerEvent) -> tuple[str, dict[str, Any]]:
    match event:
        case Begun():
            return "begun", {"answer": str(event.answer), "conversation": str(event.conversation)}
        case Progress():
            return "progress", {"text": event.text}
        case ClaimShown():
            claim = event.claim
            return "claim", {
                "text": claim.text, "verdict": claim.verdict, "score": claim.score,
                "citations": [citation_json(one) for one in event.new_citations],
                "markers": list(claim.citations),
            }  # fmt: skip
        case Answer():
            return "answer", answer_json(event)
    raise TypeError(type(event).__name__)
