"""What people say of answers: helpful or not, why not, and what would have been right; tied to the kept answer.

A removed document takes the corrections of the answers that drew on it along: they may repeat its words. The verdict
and its reason stay.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal, get_args

from sqlalchemy import (
    Boolean,
    Column,
    ColumnElement,
    Connection,
    DateTime,
    ForeignKey,
    Row,
    Select,
    Table,
    Text,
    Uuid,
    delete,
    func,
    select,
    text,
    update,
)
from sqlalchemy.dialects.postgresql import insert

from assistant.model import AnswerId, ConversationId
from assistant.records import answer, answer_span
from ingest import schema
from ingest.access import Reader
from ingest.audit import record
from ingest.database import Database
from ingest.errors import UsageError
from ingest.model import DocumentId

Reason = Literal["wrong", "outdated", "wrong_source", "incomplete", "not_allowed", "should_answer", "other"]
REASONS: Final[dict[Reason, str]] = {
    "wrong": "Wrong",
    "outdated": "Outdated",
    "wrong_source": "Wrong source",
    "incomplete": "Incomplete",
    "not_allowed": "I should not see this",
    "should_answer": "The documents do say",
    "other": "Something else",
}
MOST_CORRECTION_CHARS: Final = 4000

feedback = Table(
    "feedback",
    schema.metadata,
    Column("answer_id", Uuid, ForeignKey("answer.id", ondelete="CASCADE"), primary_key=True),
    Column("principal", Text, primary_key=True),
    Column("given_at", DateTime(timezone=True), nullable=False, server_default=text("clock_timestamp()")),
    Column("helpful", Boolean, nullable=False),
    Column("reason", Text),
    Column("correction", Text),
)


@dataclass(frozen=True, slots=True)
class Given:
    """One person's word on one answer."""

    answer: AnswerId
    principal: str
    given_at: datetime
    helpful: bool
    reason: Reason | None
    correction: str | None


@dataclass(frozen=True, slots=True)
class Judged:
    """Feedback with the answer it is about, as evaluators read it."""

    given: Given
    conversation: ConversationId
    question: str
    status: str
    model: str
    prompt_version: str
    sources: tuple[DocumentId, ...]  # that the answer cited, else whose passages came nearest


class Feedback:
    """Feedback of one store. Readers give it on their own answers; who may read everything sees all of it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def give(
        self,
        reader: Reader,
        wanted: AnswerId,
        *,
        helpful: bool,
        reason: Reason | None = None,
        correction: str | None = None,
    ) -> Given:
        """Say whether an answer helped; said again, it replaces what was said before.

        Raises:
            UsageError: not the reader's answer, an unknown reason, or a correction that is too long.
        """
        if reason is not None and reason not in get_args(Reason):
            raise UsageError(f"{reason!r} is no reason. Use one of {', '.join(get_args(Reason))}.")
        words = (correction or "").replace("\x00", "").strip() or None
        if words and len(words) > MOST_CORRECTION_CHARS:
            raise UsageError(f"A correction of {len(words):,} characters is too long. Use {MOST_CORRECTION_CHARS:,}.")
        values = {"helpful": helpful, "reason": None if helpful else reason, "correction": words}
        with self._database.recording(reader) as connection:
            _own_answer(connection, reader, wanted)
            row = connection.execute(
                insert(feedback)
                .values(answer_id=wanted, principal=reader.name, **values)
                .on_conflict_do_update(
                    index_elements=[feedback.c.answer_id, feedback.c.principal],
                    set_={**values, "given_at": func.clock_timestamp()},
                )
                .returning(feedback)
            ).one()
            digest = self._database.trail.digest(words) if words else None
            told = {"helpful": helpful, "reason": values["reason"], "correction": digest}
            record(connection, reader, "feedback", wanted, told)
        return _given(row)

    def withdraw(self, reader: Reader, wanted: AnswerId) -> bool:
        """Take back what the reader said of an answer; whether there was anything."""
        with self._database.recording(reader) as connection:
            gone = connection.execute(
                delete(feedback).where(feedback.c.answer_id == wanted, feedback.c.principal == reader.name)
            ).rowcount
            if gone:
                record(connection, reader, "feedback.withdrawn", wanted, {})
        return bool(gone)

    def of(self, reader: Reader, answers: Sequence[AnswerId]) -> dict[AnswerId, Given]:
        """What the reader said of each of these answers."""
        query = select(feedback).where(feedback.c.answer_id.in_(answers), feedback.c.principal == reader.name)
        with self._database.reading(reader) as connection:
            return {AnswerId(row.answer_id): _given(row) for row in connection.execute(query)}

    def listed(
        self,
        reader: Reader,
        *,
        helpful: bool | None = None,
        since: datetime | None = None,
        limit: int = 500,
        offset: int = 0,
    ) -> list[Judged]:
        """Feedback with its answers, latest first: everybody's for who may read everything, else the reader's own."""
        query = (
            select(feedback, answer.c.conversation_id, answer.c.question, answer.c.status, answer.c.model,
                   answer.c.prompt_version, _sources().label("sources"))
            .join(answer, answer.c.id == feedback.c.answer_id)
            .order_by(feedback.c.given_at.desc(), feedback.c.answer_id)
            .limit(limit)
            .offset(offset)
        )  # fmt: skip
        if helpful is not None:
            query = query.where(feedback.c.helpful == helpful)
        if since is not None:
            query = query.where(feedback.c.given_at >= since)
        if not reader.reads_all:
            query = query.where(feedback.c.principal == reader.name)
        purpose = self._database.working() if reader.reads_all else self._database.reading(reader)
        with purpose as connection:
            return [_judged(row) for row in connection.execute(query)]


def erase(connection: Connection, document: DocumentId) -> None:
    """Blank corrections of answers that drew on a document that is removed, in the removal's own transaction."""
    _erase(connection, answer_span.c.document_id == document)


def erase_version(connection: Connection, document: DocumentId, version: int) -> None:
    """As `erase`, of one version that is kept no longer."""
    _erase(connection, (answer_span.c.document_id == document) & (answer_span.c.version == version))


def _erase(connection: Connection, gone: ColumnElement[bool]) -> None:
    drew = select(answer_span.c.answer_id).where(gone)
    connection.execute(update(feedback).where(feedback.c.answer_id.in_(drew)).values(correction=None))


def _sources() -> Any:
    """Documents that an answer cited; for one without citations, of its first passages."""
    cited = (
        select(func.array_agg(answer_span.c.document_id.distinct()))
        .where(answer_span.c.answer_id == answer.c.id, answer_span.c.marker > 0)
        .correlate(answer)
        .scalar_subquery()
    )
    near = (
        select(func.array_agg(answer_span.c.document_id.distinct()))
        .where(answer_span.c.answer_id == answer.c.id, answer_span.c.marker == 0, answer_span.c.ordinal < 3)
        .correlate(answer)
        .scalar_subquery()
    )
    return func.coalesce(cited, near)


def _own_answer(connection: Connection, reader: Reader, wanted: AnswerId) -> None:
    own: Select = select(answer.c.id).where(answer.c.id == wanted, answer.c.principal == reader.name)
    if connection.scalar(own) is None:
        raise UsageError(f"You have no answer {str(wanted)!r}.")


def _given(row: Row) -> Given:
    return Given(AnswerId(row.answer_id), row.principal, row.given_at, row.helpful, row.reason, row.correction)


def _judged(row: Row) -> Judged:
    return Judged(
        given=_given(row),
        conversation=ConversationId(row.conversation_id),
        question=row.question,
        status=row.status,
        model=row.model,
        prompt_version=row.prompt_version,
        sources=tuple(DocumentId(one) for one in row.sources or ()),
    )
