"""What people ask and the documents do not answer well: questions of the same subject together, for the owners.

Owners see the questions, without who asked them, where a document of theirs came nearest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, func, or_, select

from assistant.feedback import feedback
from assistant.records import answer, answer_span
from ingest import schema
from ingest.access import Reader
from ingest.analysis import Analyzer
from ingest.catalog import in_scope, readable
from ingest.database import Database
from ingest.model import DocumentId

MOST_QUESTIONS: Final = 2000  # the latest
SAME_SUBJECT: Final = 0.5  # share of content words two questions have in common (Jaccard)


@dataclass(frozen=True, slots=True)
class Gap:
    """Questions of one subject."""

    questions: tuple[str, ...]  # different ones, the latest first
    times: int  # asked, by whomever
    abstained: int  # of them
    unhelpful: int  # of them: thumbs down
    latest_at: datetime
    document: DocumentId  # that came nearest most often
    source: str  # collection/source
    owner: str


@dataclass(frozen=True, slots=True)
class _Asked:
    question: str
    at: datetime
    abstained: bool
    unhelpful: bool
    document: DocumentId


def gaps(database: Database, reader: Reader, *, since: datetime, without: Sequence[str] = ()) -> list[Gap]:
    """Gaps around the documents that the reader owns, most asked first; of all of them for who may read everything.

    Args:
        since: questions asked before it are left out.
        without: names whose questions do not count, as those that an evaluation asks.
    """
    with database.reading(reader) as connection:
        owned = _owned(connection, reader)
    if not owned:
        return []
    with database.working() as connection:  # everybody's questions, without who asked them
        asked = [one for one in _asked(connection, since, without) if one.document in owned]
    found = []
    for group in grouped(asked):
        nearest = max({one.document for one in group}, key=lambda d: (sum(o.document == d for o in group), str(d)))
        found.append(
            Gap(
                questions=tuple(dict.fromkeys(one.question for one in group)),
                times=len(group),
                abstained=sum(one.abstained for one in group),
                unhelpful=sum(one.unhelpful for one in group),
                latest_at=max(one.at for one in group),
                document=nearest,
                source=owned[nearest][0],
                owner=owned[nearest][1],
            )
        )
    return sorted(found, key=lambda gap: (-gap.times, -gap.latest_at.timestamp(), gap.questions))


def grouped(asked: Sequence[_Asked]) -> list[list[_Asked]]:
    """Questions whose content words are mostly the same, together; each with the first group that it fits."""
    analyzer = Analyzer("en")
    groups: list[tuple[set[str], list[_Asked]]] = []
    for one in asked:
        words = set(analyzer.terms(one.question)) or {one.question.casefold()}
        for first, group in groups:
            if len(words & first) / len(words | first) >= SAME_SUBJECT:
                group.append(one)
                break
        else:
            groups.append((words, [one]))
    return [group for _, group in groups]


def _owned(connection: Connection, reader: Reader) -> dict[DocumentId, tuple[str, str]]:
    """collection/source and owner of the documents that are the reader's to keep in order."""
    d = schema.document
    query = select(d.c.id, d.c.collection, d.c.source, d.c.owner).where(readable(reader), in_scope(None))
    if not reader.reads_all:
        query = query.where(d.c.owner.in_([reader.name, *reader.groups]))
    return {DocumentId(row.id): (f"{row.collection}/{row.source}", row.owner) for row in connection.execute(query)}


def _asked(connection: Connection, since: datetime, without: Sequence[str]) -> list[_Asked]:
    """Questions that were abstained from or whose answer did not help, with what came nearest, the latest first."""
    nearest: Any = (
        select(answer_span.c.document_id)
        .where(answer_span.c.answer_id == answer.c.id)
        .order_by(answer_span.c.ordinal)
        .limit(1)
        .correlate(answer)
        .scalar_subquery()
    )
    unhelpful = func.coalesce(func.bool_or(~feedback.c.helpful), False)
    query = (
        select(answer.c.question, answer.c.asked_at, answer.c.status, unhelpful.label("unhelpful"),
               nearest.label("document"))
        .join(feedback, feedback.c.answer_id == answer.c.id, isouter=True)
        .where(answer.c.asked_at >= since, answer.c.principal.not_in(without))
        .where(or_(answer.c.status == "abstained", feedback.c.helpful.is_(False)))
        .group_by(answer.c.id)
        .order_by(answer.c.asked_at.desc())
        .limit(MOST_QUESTIONS)
    )  # fmt: skip
    return [
        _Asked(row.question, row.asked_at, row.status == "abstained", row.unhelpful, DocumentId(row.document))
        for row in connection.execute(query)
        if row.document is not None
    ]
