"""Answers as they are kept: every part by reference to spans, so that removing a document takes its words along.

Quotations and passages are not stored but read again from the stored versions, under the reader's access at that
time. What a model wrote is stored, and blanked when a document it drew on is removed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any
from uuid import UUID

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    DateTime,
    Float,
    ForeignKey,
    Index,
    Integer,
    Row,
    Table,
    Text,
    Uuid,
    and_,
    any_,
    func,
    insert,
    select,
    text,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from assistant.asking_back import WHICH
from assistant.model import (
    Answer,
    AnswerId,
    Citation,
    Claim,
    Context,
    ConversationId,
    Newer,
    Passage,
    Rejection,
    ToolUse,
    Usage,
)
from ingest import schema
from ingest.access import Reader
from ingest.audit import record
from ingest.catalog import locate_span, readable
from ingest.database import Database
from ingest.errors import UsageError
from ingest.model import DocumentId, Locator
from retrieval.model import SearchResult

REMOVED = "(the document this was drawn from was removed)"
STOPPED = "You stopped the answer. What is shown was found and checked before that."
OUT_OF_REACH = "(you may not read the document this is quoted from)"

conversation = Table(
    "conversation",
    schema.metadata,
    Column("id", Uuid, primary_key=True),
    Column("principal", Text, nullable=False),
    Column("started_at", DateTime(timezone=True), nullable=False, server_default=schema.NOW),
    Column("title", Text),  # null: its first question
    Index("conversation_principal", "principal"),
)

answer = Table(
    "answer",
    schema.metadata,
    Column("id", Uuid, primary_key=True),
    Column("conversation_id", Uuid, ForeignKey("conversation.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("principal", Text, nullable=False),
    Column("operator", Text),
    Column("asked_at", DateTime(timezone=True), nullable=False, server_default=text("clock_timestamp()")),
    Column("question", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("missing", Text),
    Column("model", Text, nullable=False),
    Column("prompt_version", Text, nullable=False),
    Column("degraded", Text),
    Column("usage", JSONB, nullable=False),
    Column("timings_ms", JSONB, nullable=False),
    Column("hits", JSONB, nullable=False),  # chunk, document, version, ranks and scores of each
    Column("rejected", JSONB, nullable=False),  # drafted claims that were not shown, and why
    Column("raw_output", Text, nullable=False),
    Column("searched", Text, nullable=False, server_default=""),  # the question as it was searched for
    Column("left_out", JSONB, nullable=False, server_default="[]"),  # of the context, and why; which passages disagree
    Column("choices", JSONB, nullable=False, server_default="[]"),  # what was meant, where the answer asks back
    Column("tools", JSONB, nullable=False, server_default="[]"),  # called by the model: references and hashes, no text
    Column("made", JSONB, nullable=False, server_default="{}"),  # how it was made: numbers and names, no text
)

answer_claim = Table(
    "answer_claim",
    schema.metadata,
    Column("answer_id", Uuid, ForeignKey("answer.id", ondelete="CASCADE"), primary_key=True),
    Column("ordinal", Integer, primary_key=True),
    Column("text", Text, nullable=False),
    Column("verdict", Text, nullable=False),
    Column("score", Float, nullable=False),
    Column("reason", Text, nullable=False, server_default=""),  # of the verdict
    Column("markers", ARRAY(Integer), nullable=False),
)

answer_span = Table(
    "answer_span",  # citations (marker from 1) and context passages (marker 0), as spans of versions
    schema.metadata,
    Column("answer_id", Uuid, ForeignKey("answer.id", ondelete="CASCADE"), primary_key=True),
    Column("ordinal", Integer, primary_key=True),
    Column("marker", Integer, nullable=False),
    Column("document_id", Uuid, nullable=False, index=True),  # no foreign key: the place stays when the document goes
    Column("version", Integer, nullable=False),
    Column("start_offset", Integer, nullable=False),
    Column("end_offset", Integer, nullable=False),
)


@dataclass(frozen=True, slots=True)
class Trace:
    """What an audit needs beside the answer itself."""

    search: SearchResult
    context: Context
    raw_output: str
    tools: Sequence[ToolUse] = ()
    made: Mapping[str, Any] = field(default_factory=dict)


class Answers:
    """The kept answers of one store. A reader finds only their own."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def save(self, reader: Reader, kept: Answer, trace: Trace) -> None:
        hits = [
            {
                "chunk": str(hit.chunk),
                "document": str(hit.document),
                "version": hit.version,
                "start": hit.start,
                "end": hit.end,
                "ranks": dict(hit.ranks),
                "scores": {stage: round(score, 5) for stage, score in hit.scores.items()},
            }
            for hit in trace.search.hits
        ]
        spans = [(c.marker, c.document, c.version, c.start, c.end) for c in kept.citations]
        spans += [(0, p.document, p.version, p.start, p.end) for p in trace.context.passages]
        with self._database.recording(reader) as connection:
            self._ensure_conversation(connection, reader, kept.conversation)
            connection.execute(
                insert(answer).values(
                    id=kept.id,
                    conversation_id=kept.conversation,
                    principal=reader.name,
                    operator=reader.operator,
                    question=kept.question,
                    status=kept.status,
                    missing=kept.missing,
                    model=kept.model,
                    prompt_version=kept.prompt_version,
                    degraded=kept.degraded,
                    usage=asdict(kept.usage),
                    timings_ms=dict(kept.timings_ms),
                    hits=hits,
                    rejected=[asdict(rejection) for rejection in kept.rejected],
                    raw_output=trace.raw_output,
                    searched=trace.search.searched,
                    left_out=[
                        *trace.context.left_out,
                        *(f"{a.one} and {a.other} disagree" for a in trace.context.conflicts),
                    ],
                    choices=list(kept.choices),
                    tools=[self._told_of(use) for use in trace.tools],
                    made=dict(trace.made),
                )
            )
            if kept.claims:
                connection.execute(
                    insert(answer_claim),
                    [
                        {
                            "answer_id": kept.id,
                            "ordinal": ordinal,
                            "text": claim.text,
                            "verdict": claim.verdict,
                            "score": claim.score,
                            "reason": claim.reason,
                            "markers": list(claim.citations),
                        }
                        for ordinal, claim in enumerate(kept.claims)
                    ],
                )
            if spans:
                names = ("marker", "document_id", "version", "start_offset", "end_offset")
                connection.execute(
                    insert(answer_span),
                    [
                        {"answer_id": kept.id, "ordinal": ordinal, **dict(zip(names, span, strict=True))}
                        for ordinal, span in enumerate(spans)
                    ],
                )
            record(connection, reader, "answer", kept.id, self._told(kept, trace))

    def _told(self, kept: Answer, trace: Trace) -> dict[str, object]:
        """What the audit keeps of an answer: references and keyed hashes, so that removal need not touch it."""
        digest = self._database.trail.digest
        return {
            "conversation": str(kept.conversation),
            "status": kept.status,
            "model": kept.model,
            "prompt_version": kept.prompt_version,
            "question": digest(kept.question),
            "searched": digest(trace.search.searched),
            "answer": digest(kept.text),
            "raw_output": digest(trace.raw_output),
            "citations": digest("\n".join(f"{c.document} {c.version} {c.start} {c.end}" for c in kept.citations)),
            "context": digest("\n".join(f"{p.document} {p.version} {p.start} {p.end}" for p in trace.context.passages)),
            "claims": len(kept.claims),
            "rejected": len(kept.rejected),
            "tools": len(trace.tools),
            "degraded": kept.degraded is not None,
            "input_tokens": kept.usage.input_tokens,
            "output_tokens": kept.usage.output_tokens,
            "cost_microdollars": round(kept.usage.cost_usd * 1_000_000),
        }

    def _told_of(self, use: ToolUse) -> dict[str, object]:
        """One call of a tool; its arguments, which a model may have taken from a document, as a keyed hash."""
        return {
            "tool": use.tool,
            "arguments": self._database.trail.digest(use.arguments),
            "found": [[str(document), *span] for document, *span in use.found],
            "failed": use.failed,
        }

    def _ensure_conversation(self, connection: Connection, reader: Reader, wanted: ConversationId) -> None:
        if connection.scalar(select(conversation.c.id).where(conversation.c.id == wanted)) is None:
            connection.execute(insert(conversation).values(id=wanted, principal=reader.name))

    def owns(self, reader: Reader, wanted: ConversationId) -> bool:
        """Whether a conversation exists and is the reader's own."""
        query = select(conversation.c.id).where(conversation.c.id == wanted, conversation.c.principal == reader.name)
        with self._database.reading(reader) as connection:
            return connection.scalar(query) is not None

    def get(self, reader: Reader, wanted: AnswerId) -> Answer:
        """A kept answer, its quotations read again under the reader's access now.

        Raises:
            UsageError: the reader has no such answer.
        """
        with self._database.reading(reader) as connection:
            row = connection.execute(
                select(answer).where(answer.c.id == wanted, answer.c.principal == reader.name)
            ).one_or_none()
            if row is None:
                raise UsageError(f"You have no answer {str(wanted)!r}.")
            return loaded(connection, reader, row)

    def questions(self, reader: Reader, wanted: ConversationId, *, latest: int = 8) -> list[str]:
        """The last questions of one of the reader's conversations, oldest first."""
        query = (
            select(answer.c.question)
            .where(answer.c.conversation_id == wanted, answer.c.principal == reader.name)
            .order_by(answer.c.asked_at.desc())
            .limit(latest)
        )
        with self._database.reading(reader) as connection:
            return list(connection.scalars(query))[::-1]

    def conversation(self, reader: Reader, wanted: ConversationId, *, latest: int | None = None) -> list[Answer]:
        """The reader's answers of one conversation, oldest first; of the `latest` ones alone, where that is given."""
        query = (
            select(answer)
            .where(answer.c.conversation_id == wanted, answer.c.principal == reader.name)
            .order_by(answer.c.asked_at.desc())
            .limit(latest)
        )
        with self._database.reading(reader) as connection:
            return [loaded(connection, reader, row) for row in connection.execute(query).all()[::-1]]


def erase(connection: Connection, document: DocumentId) -> None:
    """Blank what answers hold of a document that is removed, in the removal's own transaction; the places stay."""
    _erase(connection, answer_span.c.document_id == document)


def erase_version(connection: Connection, document: DocumentId, version: int) -> None:
    """As `erase`, of one version that is kept no longer."""
    _erase(connection, (answer_span.c.document_id == document) & (answer_span.c.version == version))


def _erase(connection: Connection, gone: ColumnElement[bool]) -> None:
    """Blank what was written from the spans that are gone; the places stay."""
    spans_of_it = select(answer_span.c.answer_id).where(gone)
    touched = set(connection.scalars(spans_of_it))
    if not touched:
        return
    cited = (
        select(answer_span.c.answer_id)
        .where(
            gone,
            answer_span.c.answer_id == answer_claim.c.answer_id,
            answer_span.c.marker > 0,
            answer_span.c.marker == any_(answer_claim.c.markers),
        )
        .exists()
    )
    connection.execute(update(answer_claim).where(cited).values(text=REMOVED, reason=""))
    connection.execute(
        update(answer)
        .where(answer.c.id.in_(touched))
        .values(raw_output="", rejected=[], missing=None, left_out=[], choices=[])
    )


def loaded(connection: Connection, reader: Reader, row: Row, *, words: Connection | None = None) -> Answer:
    """An answer from its row, with what the reader may read now of what it was drawn from.

    Args:
        words: what documents are read with, where `connection` is of another role than the reader's.
    """
    documents = connection if words is None else words
    spans = connection.execute(
        select(answer_span).where(answer_span.c.answer_id == row.id).order_by(answer_span.c.ordinal)
    ).all()
    shown = [
        (span, *quoted(documents, reader, span.document_id, span.version, span.start_offset, span.end_offset))
        for span in spans
    ]
    citations = tuple(
        _citation(documents, reader, span, source, quote) for span, source, quote in shown if span.marker > 0
    )
    lost = any(source is None for _, source, _ in shown)  # then what was written freely may speak of it
    out_of_reach = {citation.marker for citation in citations if not citation.source}
    claims = tuple(
        Claim(
            OUT_OF_REACH if out_of_reach & set(claim.markers) and claim.text != REMOVED else claim.text,
            claim.verdict,
            claim.score,
            tuple(claim.markers),
            "" if out_of_reach & set(claim.markers) else claim.reason,
        )
        for claim in connection.execute(
            select(answer_claim).where(answer_claim.c.answer_id == row.id).order_by(answer_claim.c.ordinal)
        )
    )
    passages = tuple(
        Passage(
            id="",
            source=source.source,
            collection=source.collection,
            title=source.title,
            heading=(),
            document=DocumentId(span.document_id),
            version=span.version,
            page=None,
            start=span.start_offset,
            end=span.end_offset,
            text=quote,
            chunks=(),
        )
        for span, source, quote in shown
        if span.marker == 0 and source is not None
    )
    return Answer(
        id=AnswerId(row.id),
        conversation=ConversationId(row.conversation_id),
        question=row.question,
        status=row.status,
        text=WHICH if row.status == "clarifying" else answer_text(claims),
        claims=claims,
        citations=citations,
        passages=passages,
        missing=None if lost else row.missing,
        model=row.model,
        prompt_version=row.prompt_version,
        degraded=row.degraded,
        usage=Usage(**row.usage),
        timings_ms=row.timings_ms,
        rejected=() if lost else tuple(Rejection(**one) for one in row.rejected),
        choices=() if lost else tuple(row.choices),
    )


def quoted(
    connection: Connection, reader: Reader, document: UUID, version: int, start: int, end: int
) -> tuple[Row | None, str]:
    """(source, collection and title of a version, the words of a span in it); None for who may not read it."""
    d, v = schema.document, schema.version
    found = connection.execute(
        select(
            d.c.source,
            d.c.collection,
            v.c.title,
            func.substring(v.c.canonical_text, start + 1, end - start).label("quote"),
        )
        .join(v, v.c.document_id == d.c.id)
        .where(and_(readable(reader), d.c.id == document, v.c.number == version))
    ).one_or_none()
    return (None, "") if found is None else (found, found.quote)


def _citation(connection: Connection, reader: Reader, span: Row, source: Row | None, quote: str) -> Citation:
    document = DocumentId(span.document_id)
    locator: Locator | None = None
    if source is not None:
        locator = locate_span(connection, reader, document, span.version, span.start_offset, span.end_offset)
    return Citation(
        marker=span.marker,
        source=source.source if source else "",
        collection=source.collection if source else "",
        title=source.title if source else "",
        document=document,
        version=span.version,
        page=locator.page if locator else None,
        end_page=locator.end_page if locator else None,
        locator=locator,
        start=span.start_offset,
        end=span.end_offset,
        quote=quote,
        newer=newer_than(connection, reader, span.document_id, span.version, quote) if source is not None else None,
    )


def newer_than(connection: Connection, reader: Reader, document: UUID, version: int, quote: str) -> Newer | None:
    """What a cited version has been replaced by, and whether its quotation still stands there."""
    d, v = schema.document, schema.version
    found = connection.execute(
        select(d.c.current_version, func.strpos(v.c.canonical_text, quote).label("at"))
        .join(v, and_(v.c.document_id == d.c.id, v.c.number == d.c.current_version))
        .where(and_(readable(reader), d.c.id == document, d.c.current_version != version))
    ).one_or_none()
    if found is None:
        return None
    start = found.at - 1  # strpos counts from 1, and says 0 for what is nowhere
    return Newer(found.current_version, (start, start + len(quote)) if quote and start >= 0 else None)


def answer_text(claims: Sequence[Claim]) -> str:
    """The answer as one text: each claim with its markers, 'Parental leave is 20 weeks [1].'"""
    parts = []
    for claim in claims:
        marks = "".join(f" [{marker}]" for marker in claim.citations)
        body = claim.text.rstrip()
        end = body[-1:] if body[-1:] in ".!?" else ""
        parts.append(f"{body[: len(body) - len(end)]}{marks}{end}")
    return " ".join(parts)


def usage_total(usages: Sequence[Usage]) -> Usage:
    """The sum of several calls."""
    fields: Mapping[str, float] = {}
    for usage in usages:
        fields = {name: fields.get(name, 0) + value for name, value in asdict(usage).items()}
    return Usage(**fields) if fields else Usage()  # type: ignore[arg-type]
