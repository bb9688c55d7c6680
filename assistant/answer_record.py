"""How one answer was made, read again for whoever asked: everything that was kept of it, and the calls it took.

Text of documents is not kept but read from their stored versions, under the reader's access of this moment; what the
reader may no longer read has its numbers here and no words.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, func, select

from assistant.feedback import Feedback, Given
from assistant.model import Answer, AnswerId, Status
from assistant.model_calls import model_call
from assistant.records import answer, answer_span, loaded, quoted
from assistant.wire import answer_json
from ingest.access import Reader
from ingest.database import Database
from ingest.errors import UsageError
from ingest.model import DocumentId

EXCERPT_CHARS = 400


@dataclass(frozen=True, slots=True)
class FoundHit:
    """One hit of the search, with its rank and score in every stage."""

    document: DocumentId
    version: int
    source: str  # "" when the reader may not read it, or it is gone
    title: str
    excerpt: str  # its beginning
    ranks: Mapping[str, int]
    scores: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class SentPassage:
    """One passage of the context."""

    document: DocumentId
    version: int
    source: str  # as of FoundHit
    title: str
    start: int
    end: int
    text: str


@dataclass(frozen=True, slots=True)
class KeptCall:
    """One call of a model that was made for the answer."""

    at: datetime
    purpose: str
    model: str
    status: str
    input_tokens: int
    cached_input_tokens: int
    output_tokens: int
    cost_usd: float
    ms: float | None


@dataclass(frozen=True, slots=True)
class LookedUp:
    """One call of a tool by the model; what it asked for is kept as a hash only."""

    tool: str
    failed: bool
    found: tuple[SentPassage, ...]


@dataclass(frozen=True, slots=True)
class Record:
    """Everything that led to one answer."""

    answer: Answer
    asked_at: datetime
    operator: str | None  # who acted in the asker's name
    searched: str
    hits: tuple[FoundHit, ...]  # best first
    passages: tuple[SentPassage, ...]
    left_out: tuple[str, ...] | None  # None: it may speak of what the reader can no longer read
    looked_up: tuple[LookedUp, ...]  # by the model, in order
    calls: tuple[KeptCall, ...]
    made: Mapping[str, Any]  # as Answering gives it; empty for answers of before it was kept
    feedback: Given | None


@dataclass(frozen=True, slots=True)
class Asked:
    """One of a reader's answers, as a list shows it."""

    id: AnswerId
    asked_at: datetime
    question: str
    status: Status
    model: str
    calls: int
    cost_usd: float


class AnswerRecords:
    """The records of one store. A reader finds only those of their own answers."""

    def __init__(self, database: Database, feedback: Feedback) -> None:
        self._database = database
        self._feedback = feedback

    def get(self, reader: Reader, wanted: AnswerId) -> Record:
        """The record of one of the reader's answers.

        Raises:
            UsageError: the reader has no such answer.
        """
        with self._database.reading(reader) as connection:
            row = connection.execute(
                select(answer).where(answer.c.id == wanted, answer.c.principal == reader.name)
            ).one_or_none()
            if row is None:
                raise UsageError(f"You have no answer {str(wanted)!r}. `quoth usage --answers` lists yours.")
            hits = tuple(_hit(connection, reader, one) for one in row.hits)
            spans = connection.execute(
                select(answer_span)
                .where(answer_span.c.answer_id == row.id, answer_span.c.marker == 0)
                .order_by(answer_span.c.ordinal)
            )
            passages = tuple(_passage(connection, reader, span) for span in spans)
            calls = connection.execute(
                select(*(model_call.c[name] for name in KeptCall.__dataclass_fields__))
                .where(model_call.c.answer_id == row.id, model_call.c.principal == reader.name)
                .order_by(model_call.c.at)
            )
            kept = tuple(KeptCall(**one) for one in calls.mappings())
            looked_up = tuple(_looked_up(connection, reader, one) for one in row.tools)
            whole = all(hit.source for hit in hits) and all(passage.source for passage in passages)
            made = loaded(connection, reader, row)
        feedback = self._feedback.of(reader, [wanted]).get(wanted)
        left_out = tuple(row.left_out) if whole else None
        return Record(
            made,
            row.asked_at,
            row.operator,
            row.searched,
            hits,
            passages,
            left_out,
            looked_up,
            kept,
            row.made,
            feedback,
        )

    def listed(self, reader: Reader, *, limit: int = 50) -> list[Asked]:
        """The reader's latest answers, latest first."""
        of_it = model_call.c.answer_id == answer.c.id
        calls = select(func.count()).where(of_it).correlate(answer).scalar_subquery()
        cost = select(func.coalesce(func.sum(model_call.c.cost_usd), 0.0)).where(of_it).correlate(answer)
        query = (
            select(
                answer.c.id, answer.c.asked_at, answer.c.question, answer.c.status, answer.c.model,
                calls.label("calls"), cost.scalar_subquery().label("cost_usd"),
            )
            .where(answer.c.principal == reader.name)
            .order_by(answer.c.asked_at.desc())
            .limit(limit)
        )  # fmt: skip
        with self._database.reading(reader) as connection:
            return [Asked(**one) for one in connection.execute(query).mappings()]


def record_json(record: Record) -> dict[str, Any]:
    """A record as `quoth usage --answer ID --json` prints it; the answer in it is as `quoth ask --json` prints one."""
    claims = [
        {"text": one.text, "verdict": one.verdict, "score": one.score, "reason": one.reason, "citations": one.citations}
        for one in record.answer.claims
    ]
    return {
        "answer": answer_json(record.answer),
        "asked_at": record.asked_at.isoformat(),
        "operator": record.operator,
        "searched": record.searched,
        "hits": [{**asdict(one), "document": str(one.document)} for one in record.hits],
        "passages": [{**asdict(one), "document": str(one.document)} for one in record.passages],
        "left_out": None if record.left_out is None else list(record.left_out),
        "looked_up": [
            {
                "tool": one.tool,
                "failed": one.failed,
                "found": [{**asdict(place), "document": str(place.document)} for place in one.found],
            }
            for one in record.looked_up
        ],
        "claims": claims,
        "dropped": [asdict(one) for one in record.answer.rejected],
        "calls": [{**asdict(one), "at": one.at.isoformat()} for one in record.calls],
        "made": dict(record.made),
        "feedback": None
        if record.feedback is None
        else {
            "helpful": record.feedback.helpful,
            "reason": record.feedback.reason,
            "correction": record.feedback.correction,
        },
    }


def _hit(connection: Connection, reader: Reader, kept: Mapping[str, Any]) -> FoundHit:
    document, version = DocumentId(kept["document"]), int(kept["version"])
    # answers of before spans were kept with hits have none
    source, text = quoted(connection, reader, document, version, kept.get("start", 0), kept.get("end", 0))
    return FoundHit(
        document, version, source.source if source else "", source.title if source else "", text[:EXCERPT_CHARS],
        kept["ranks"], kept["scores"],
    )  # fmt: skip


def _passage(connection: Connection, reader: Reader, span: Row) -> SentPassage:
    return _place(connection, reader, DocumentId(span.document_id), span.version, span.start_offset, span.end_offset)


def _looked_up(connection: Connection, reader: Reader, kept: Mapping[str, Any]) -> LookedUp:
    found = tuple(
        _place(connection, reader, DocumentId(UUID(document)), *span) for document, *span in kept.get("found", ())
    )
    return LookedUp(kept["tool"], bool(kept.get("failed")), found)


def _place(
    connection: Connection, reader: Reader, document: DocumentId, version: int, start: int, end: int
) -> SentPassage:
    source, text = quoted(connection, reader, document, version, start, end)
    return SentPassage(
        document, version, source.source if source else "", source.title if source else "", start, end, text
    )
