"""What was said before in a long conversation: the latest turns as they were, those before them shortened.

A model shortens what does not fit, a few turns at a time, and its summary is kept; until then, and where no model
answers, older turns are told by a rule, as questions and the documents that answered them.

A summary is words that were drawn from documents. It is used only while the turns that it covers are the same and what
their reader may read of the versions behind them is the same; else it is deleted, and made anew from what they may read
now. It goes with its conversation, and with any document that one of its turns was drawn from.
"""

from __future__ import annotations

import functools
import hashlib
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Column, Connection, DateTime, ForeignKey, Integer, LargeBinary, Table, Text, Uuid, delete, select
from sqlalchemy import text as sql
from sqlalchemy.dialects.postgresql import insert

from assistant.earlier_turns import MOST_CHARS, fitting, told_shortly
from assistant.errors import ModelError, ModelMisconfigured, ModelOutputBroken
from assistant.gateway import Call, Gateway
from assistant.model import Answer, ConversationId, Usage
from assistant.model_forms import FormCalls, ModelForm, form_prompt
from assistant.prompting import Prompt, marked
from assistant.records import answer, answer_span, loaded
from ingest import schema
from ingest.access import Reader
from ingest.database import Database
from ingest.model import DocumentId

if TYPE_CHECKING:
    from assistant.model_stream import ModelStream
    from ingest.redaction import Redactor

DEADLINE_S: Final = 6.0  # the reader waits for it
MAX_OUTPUT_TOKENS: Final = 600  # reasoning counts against it
OLDER_CHARS: Final = 1000  # of the room that earlier turns have, for those that are shortened
SUMMARY_CHARS: Final = 680  # of these, for a model's summary; the others tell of turns that it does not cover yet
LATEST: Final = 8  # turns looked at whole
AT_ONCE: Final = 4  # turns that a model is asked to take into the summary, so that not every question waits for one
MOST_TURNS: Final = 40  # told to a model at once
SCHEMA: Final[dict[str, Any]] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["summary"],
    "properties": {"summary": {"type": "string", "description": "At most 120 words."}},
}
_UNSTORABLE: Final = re.compile("[\x00-\x1f\x7f\ud800-\udfff]")

conversation_summary = Table(
    "conversation_summary",
    schema.metadata,
    Column("conversation_id", Uuid, ForeignKey("conversation.id", ondelete="CASCADE"), primary_key=True),
    Column("principal", Text, nullable=False),
    Column("turns", Integer, nullable=False),  # the first ones, that it covers
    Column("digest", LargeBinary, nullable=False),  # of those turns, and of what may be read of their sources
    Column("summary", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("made_at", DateTime(timezone=True), nullable=False, server_default=sql("clock_timestamp()")),
)

# Each turn with the versions that it was drawn from, and whether they may be read now: row security hides the others.
STATE: Final = sql("""
    select a.id, s.document_id, s.version,
           exists (select from version v where v.document_id = s.document_id and v.number = s.version) as readable
    from answer a
    left join lateral (
        select distinct document_id, version from answer_span where answer_id = a.id) s on true
    where a.conversation_id = :conversation and a.principal = :principal
    order by a.asked_at, a.id, s.document_id, s.version""")


@dataclass(frozen=True, slots=True)
class Told:
    """What a model is told of a conversation."""

    text: str
    turns: int = 0  # of the conversation
    shortened: int = 0  # of them
    by: str | None = None  # the model that shortened; "rule"; None: nothing was
    usages: tuple[Usage, ...] = ()
    note: str | None = None  # in words: why the rule had to


@dataclass(frozen=True, slots=True)
class _Kept:
    turns: int
    summary: str
    model: str


@dataclass(frozen=True, slots=True)
class _Seen:
    turns: int
    near: list[str]  # the latest, told as they were
    shortened: int  # those before
    digest: bytes  # of what these rest on
    kept: _Kept | None  # a summary of the first of these that holds
    fresh: list[Answer]  # of these, those that it does not cover


class Summarising:
    """Asks one model for summaries. Threads may share one instance.

    Args:
        stream_factory: called at first use; gives the connection that the answering models use too.
        redactor: takes out of the turns what must not be sent; None sends them as they are.
    """

    def __init__(
        self,
        stream_factory: Callable[[], ModelStream],
        model: str,
        *,
        deadline_s: float = DEADLINE_S,
        redactor: Redactor | None = None,
        gateway: Gateway | None = None,
    ) -> None:
        form = ModelForm("summary", summary_prompt(), SCHEMA, MAX_OUTPUT_TOKENS, "summary")
        self._calls = FormCalls(stream_factory, model, form, deadline_s=deadline_s, gateway=gateway)
        self._redactor = redactor
        self.model = model

    def shortened(self, before: str, turns: Sequence[str], *, call: Call) -> tuple[str, Usage]:
        """One summary of the summary so far and what was said since.

        Raises:
            ModelError, ModelMisconfigured: no usable one came in time; `usage` is what it cost all the same.
        """
        redaction = self._redactor.call() if self._redactor else None
        texts = [*([before] if before else []), *turns]
        if redaction is not None:
            texts = [redaction.redact(one) for one in texts]
        names = [*(["SUMMARY"] if before else []), *(f"TURN {number}" for number in range(1, len(turns) + 1))]

        def read(output: str) -> str:
            summary = _summary(output)
            return (redaction.restore(summary) if redaction is not None else summary)[:SUMMARY_CHARS]

        said = self._calls.answer(marked(list(zip(names, texts, strict=True))), read, call=call)
        return said.value, said.usage


class ConversationSummaries:
    """What models are told of the conversations of one store."""

    def __init__(self, database: Database, summarising: Summarising | None) -> None:
        self._database = database
        self._summarising = summarising

    def told(self, reader: Reader, conversation: ConversationId, call: Call, *, most_chars: int = MOST_CHARS) -> Told:
        """The conversation in at most `most_chars` characters, as its reader may read it now.

        A model that fails is not an error: the rule tells what it would have.

        Raises:
            ServiceError: the database does not answer.
        """
        seen = self._look(reader, conversation, most_chars)
        if not seen.shortened:
            return Told("\n".join(seen.near), seen.turns)
        kept, fresh = seen.kept, seen.fresh
        usages: tuple[Usage, ...] = ()
        note = None
        if self._summarising is not None and (kept is None or len(fresh) >= AT_ONCE):
            try:
                told = [told_shortly(one) for one in fresh[-MOST_TURNS:]]
                made, usage = self._summarising.shortened(kept.summary if kept else "", told, call=call)
                usages = (usage,)
                kept, fresh = _Kept(seen.shortened, made, self._summarising.model), []
                self._keep(reader, conversation, seen.digest, kept)
            except (ModelError, ModelMisconfigured) as error:
                usages = () if error.usage is None else (error.usage,)
                note = f"Earlier questions were shortened by a rule: {error}"
        summary = kept.summary if kept else ""
        parts = [summary, *by_rule(fresh, OLDER_CHARS - len(summary) - 1)]
        before = "\n".join(part for part in parts if part)
        by = kept.model if kept else "rule"
        text = "\n".join(one for one in (before, *seen.near) if one)
        return Told(text, seen.turns, seen.shortened, by, usages, note)

    def _look(self, reader: Reader, conversation: ConversationId, most_chars: int) -> _Seen:
        """The turns and the summary in one snapshot: what it rests on is what may be read when the turns are."""
        t = conversation_summary
        with self._database.reading(reader) as connection:
            state = _state(connection, reader, conversation)
            latest = _turns(connection, reader, conversation, max(0, len(state) - LATEST), len(state))
            near = fitting(latest, most_chars)
            if len(near) == len(state):
                return _Seen(len(state), near, 0, b"", None, [])
            near = fitting(latest, most_chars - OLDER_CHARS - 1)
            older = state[: len(state) - len(near)]
            row = connection.execute(select(t).where(t.c.conversation_id == conversation)).one_or_none()
            holds = row is not None and row.turns <= len(older) and bytes(row.digest) == _digest(older[: row.turns])
            kept = _Kept(row.turns, row.summary, row.model) if row is not None and holds else None
            first = max(kept.turns if kept else 0, len(older) - MOST_TURNS)
            fresh = _turns(connection, reader, conversation, first, len(older))
        if row is not None and kept is None:
            with self._database.recording(reader) as connection:
                connection.execute(delete(t).where(t.c.conversation_id == conversation, t.c.digest == row.digest))
        return _Seen(len(state), near, len(older), _digest(older), kept, fresh)

    def _keep(self, reader: Reader, conversation: ConversationId, digest: bytes, kept: _Kept) -> None:
        t = conversation_summary
        values = {"turns": kept.turns, "digest": digest, "summary": kept.summary, "model": kept.model}
        statement = insert(t).values(conversation_id=conversation, principal=reader.name, **values)
        with self._database.recording(reader) as connection:
            connection.execute(statement.on_conflict_do_update(index_elements=[t.c.conversation_id], set_=values))


def _state(connection: Connection, reader: Reader, conversation: ConversationId) -> list[tuple[str, ...]]:
    """Each turn, oldest first, as what must stay the same of it."""
    turns: dict[str, list[str]] = {}
    for row in connection.execute(STATE, {"conversation": conversation, "principal": reader.name}):
        sources = turns.setdefault(str(row.id), [])
        if row.document_id is not None:
            sources.append(f"{row.document_id} {row.version} {row.readable}")
    return [(id, *sources) for id, sources in turns.items()]


def _turns(connection: Connection, reader: Reader, conversation: ConversationId, first: int, end: int) -> list[Answer]:
    """The turns from `first` up to `end`, as their reader may read them now."""
    if first >= end:
        return []
    query = (
        select(answer)
        .where(answer.c.conversation_id == conversation, answer.c.principal == reader.name)
        .order_by(answer.c.asked_at, answer.c.id)
        .offset(first)
        .limit(end - first)
    )
    return [loaded(connection, reader, row) for row in connection.execute(query).all()]


def by_rule(turns: Sequence[Answer], most_chars: int) -> list[str]:
    """Questions and the titles of what answered them, oldest first; what does not fit goes, from the oldest on."""
    lines: list[str] = []
    room = most_chars
    for turn in reversed(turns):
        titles = dict.fromkeys(one.title or one.source for one in turn.citations if one.source)
        line = f"Asked before: {' '.join(turn.question.split())[:160]}"
        if titles:
            line += f" (answered from: {'; '.join(titles)[:120]})"
        if len(line) + 1 > room:
            break
        room -= len(line) + 1
        lines.append(line)
    return lines[::-1]


def erase(connection: Connection, document: DocumentId) -> None:
    """Delete the summaries of conversations that a removed document was used in, in the removal's transaction."""
    drawn = select(answer.c.conversation_id).join(answer_span, answer_span.c.answer_id == answer.c.id)
    gone = drawn.where(answer_span.c.document_id == document)
    connection.execute(delete(conversation_summary).where(conversation_summary.c.conversation_id.in_(gone)))


def erase_version(connection: Connection, document: DocumentId, version: int) -> None:
    """As `erase`; a version that goes takes no fewer along than its document."""
    erase(connection, document)


@functools.cache
def summary_prompt() -> Prompt:
    """The rules of shortening, and a version that changes with them."""
    return form_prompt("summary", SCHEMA, MOST_TURNS)


def _digest(turns: Sequence[tuple[str, ...]]) -> bytes:
    return hashlib.sha256(json.dumps(turns).encode()).digest()


def _summary(output: str) -> str:
    try:
        said = json.loads(output)["summary"]
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise ModelOutputBroken("The model's summary is not in the form that was asked for.") from error
    summary = " ".join(_UNSTORABLE.sub(" ", said).split()) if isinstance(said, str) else ""
    if not summary:
        raise ModelOutputBroken("The model gave no summary.")
    return summary
