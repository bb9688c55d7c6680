"""What an owner should look at: documents whose time has come or gone, that were read badly, or that nobody needs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final, Literal

from sqlalchemy import Connection, Row, Text, cast, func, select

from assistant.records import answer, answer_span
from ingest import schema
from ingest.access import Reader
from ingest.canonical import PARSER_PROFILE
from ingest.catalog import in_scope, readable
from ingest.database import Database
from ingest.indexing import index_profile
from ingest.model import DocumentId

Kind = Literal[
    "review", "expired", "expiring", "not_yet", "superseded", "finding", "outdated", "unused", "failed", "recognition"
]

FOUND: Final = {  # kind of a finding: what was found
    "hidden_text": "text that nobody sees",
    "invisible_characters": "invisible characters",
    "instruction": "words that address an assistant",
}
EXPIRING_DAYS: Final = 30
LOW_RECOGNITION: Final = 0.85  # mean score of a page, below which words are likely to be wrong
MOST_FAILED: Final = 200


@dataclass(frozen=True, slots=True)
class Attention:
    """One thing to look at."""

    document: DocumentId | None  # None: a file that never became a document
    collection: str
    source: str
    kind: Kind
    words: str  # a sentence, with the way out


def attention(database: Database, reader: Reader, *, now: datetime, unused_days: int = 90) -> list[Attention]:
    """What of the documents that the reader may read needs a look, by collection, source and kind.

    Args:
        now: with a timezone; days are those of this timezone.
        unused_days: a document stored longer ago than this, and in no answer's passages since, counts as unused.
    """
    today = now.date()
    with database.reading(reader) as connection:
        rows = _documents(connection, reader)
        ids = [row.id for row in rows]
        worst = _recognition(connection, reader)
        names = {row.id: f"{row.collection}/{row.source}" for row in rows}
    with database.working() as connection:  # whether anybody was answered from it, whoever asked; counts only
        used = _used(connection, now - timedelta(days=unused_days)) if ids else set()
        failed = _failed(connection, reader)
    found: list[Attention] = []
    for row in rows:
        for kind, words in _of_dates(row, today, names):
            found.append(Attention(DocumentId(row.id), row.collection, row.source, kind, words))
        for kind, words in _of_reading(row, worst.get(row.id)):
            found.append(Attention(DocumentId(row.id), row.collection, row.source, kind, words))
        if row.id not in used and row.created_at < now - timedelta(days=unused_days):
            words = f"No answer drew on it in the last {unused_days} days. Is it still needed?"
            found.append(Attention(DocumentId(row.id), row.collection, row.source, "unused", words))
    return sorted([*found, *failed], key=lambda one: (one.collection, one.source, one.kind))


def _documents(connection: Connection, reader: Reader) -> list[Row[Any]]:
    d, v = schema.document, schema.version
    query = (
        select(d, v.c.parser_profile, v.c.findings, v.c.warnings)
        .join(v, (v.c.document_id == d.c.id) & (v.c.number == d.c.current_version))
        .where(readable(reader), in_scope(None))
        .order_by(d.c.collection, d.c.source)
    )
    return list(connection.execute(query))


def _of_dates(row: Row[Any], today: date, names: dict[Any, str]) -> list[tuple[Kind, str]]:
    found: list[tuple[Kind, str]] = []
    if row.review_by is not None and row.review_by < today:
        found.append(("review", f"It was to be reviewed by {row.review_by}. Review it and set the next date."))
    if row.expires_on is not None and row.expires_on <= today:
        found.append(
            ("expired", f"It expired on {row.expires_on} and answers no longer. Replace, extend or remove it.")
        )
    elif row.expires_on is not None and row.expires_on <= today + timedelta(days=EXPIRING_DAYS):
        found.append(("expiring", f"It expires on {row.expires_on}. Extend it, or add what replaces it."))
    if row.effective_from is not None and row.effective_from > today:
        found.append(("not_yet", f"It takes effect on {row.effective_from} and does not answer before."))
    if row.superseded_by is not None:
        by = names.get(row.superseded_by, "another document")
        found.append(("superseded", f"It is superseded by {by} and still there. Let it expire, or remove it."))
    return found


def _of_reading(row: Row[Any], worst: float | None) -> list[tuple[Kind, str]]:
    found: list[tuple[Kind, str]] = []
    kinds = sorted({FOUND.get(kind := str(one.get("kind", "")), kind) for one in row.findings})
    if kinds:
        found.append(("finding", f"Reading it found {', '.join(kinds)}. Look at the findings."))
    if (row.parser_profile, row.index_profile) != (PARSER_PROFILE, index_profile()):
        found.append(
            (
                "outdated",
                "It was read or cut by an earlier version of Quoth. A worker renews it; or `quoth reindex` it.",
            )
        )
    if worst is not None:
        found.append(
            ("recognition", f"Text was recognised in pictures, on the worst page with {worst:.0%}. Check that page.")
        )
    return found


def _recognition(connection: Connection, reader: Reader) -> dict[Any, float]:
    """The lowest score of a page, of current versions that have one below LOW_RECOGNITION."""
    d, p = schema.document, schema.page
    low = func.min(p.c.recognition)
    query = (
        select(d.c.id, low.label("low"))
        .join(p, (p.c.document_id == d.c.id) & (p.c.version == d.c.current_version))
        .where(readable(reader))
        .group_by(d.c.id)
        .having(low < LOW_RECOGNITION)
    )
    return {row.id: row.low for row in connection.execute(query)}


def _used(connection: Connection, since: datetime) -> set[Any]:
    """The documents that answers since then had among their passages."""
    query = (
        select(answer_span.c.document_id)
        .join(answer, answer.c.id == answer_span.c.answer_id)
        .where(answer.c.asked_at >= since)
        .distinct()
    )
    return set(connection.scalars(query))


def _failed(connection: Connection, reader: Reader) -> list[Attention]:
    """The reader's own files whose latest try failed."""
    t = schema.intake
    later = t.alias()
    overtaken = (
        select(later.c.id)
        .where(later.c.collection == t.c.collection, later.c.source == t.c.source, later.c.number > t.c.number)
        .where(later.c.state != "cancelled")
        .exists()
    )
    detail = cast(t.c.receipt["detail"].astext, Text)
    query = (
        select(t.c.collection, t.c.source, t.c.document_id, detail.label("detail"))
        .where(t.c.state == "failed", ~overtaken, _in_scope(t.c.collection))
        .order_by(t.c.number.desc())
        .limit(MOST_FAILED)
    )
    if not reader.reads_all:
        query = query.where(t.c.principal == reader.name)
    return [
        Attention(
            None if row.document_id is None else DocumentId(row.document_id),
            row.collection,
            row.source,
            "failed",
            f"It could not be taken in: {row.detail or 'a service failed'}",
        )
        for row in connection.execute(query)
    ]


def _in_scope(collection: Any) -> Any:
    """Whether a collection is not one of an evaluation's."""
    return func.quoth_in_scope(collection, None)
