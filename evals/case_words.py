"""The words of a run's cases, as somebody may read them who neither asked nor runs the store.

Records of runs hold no words. They are read where answers are kept, under the access of whoever looks now: a statement
that draws on a document out of their reach is left out, and so is every quotation of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import UUID

from sqlalchemy import select

from assistant.model import Answer
from assistant.records import answer, loaded
from evals.case_record import CaseRecord, HitSeen
from evals.gold import Place
from ingest import audit, schema
from ingest.access import Reader
from ingest.catalog import readable
from ingest.database import Database
from ingest.errors import UsageError
from ingest.model import DocumentId, Span
from retrieval.model import STAGES, Stage

if TYPE_CHECKING:
    from ingest.catalog import Catalog

EXCERPT_CHARS = 400


@dataclass(frozen=True, slots=True)
class Words:
    """A span of a document as somebody may read it; empty where they may not, or where it is gone."""

    source: str
    text: str


@dataclass(frozen=True, slots=True)
class ShownHit:
    """A chunk that was found, with its places in each stage."""

    seen: HitSeen
    words: Words
    gold: bool  # it holds some of what a right answer rests on

    def rank(self, stage: Stage) -> int | None:
        return self.seen.ranks.get(stage)


def answer_words(database: Database, reader: Reader, kept: UUID | None, principal: str) -> Answer | None:
    """A kept answer of `principal`, as `reader` may read it; None where it is not kept any more.

    The caller decides that the reader may know of the answer; what of its words they see is decided here.
    """
    if kept is None:
        return None
    # the row is somebody else's, so the worker reads it; documents are read as the reader, behind both walls
    with database.working() as connection, database.reading(reader) as words:
        row = connection.execute(
            select(answer).where(answer.c.id == kept, answer.c.principal == principal)
        ).one_or_none()
        return None if row is None else loaded(connection, reader, row, words=words)


def opened(database: Database, reader: Reader, kept: UUID, principal: str) -> None:
    """Put into the audit's chain that `reader` opened an answer that was somebody else's."""
    if principal != reader.name:
        with database.recording(reader) as connection:
            audit.record(connection, reader, "answer.opened", kept, {"of": principal})


def words_of_case(database: Database, reader: Reader, record: CaseRecord) -> Answer | None:
    """What a case was answered with."""
    return answer_words(database, reader, record.answer, record.principal)


def questions_of(database: Database, records: Sequence[CaseRecord]) -> dict[str, str]:
    """The question of each case whose answer is still kept. Questions are the case's own words."""
    ids = {one.answer: one.case_id for one in records if one.answer is not None}
    with database.working() as connection:
        rows = connection.execute(select(answer.c.id, answer.c.question).where(answer.c.id.in_(ids))).all()
    return {ids[row.id]: row.question for row in rows}


def words_at(catalog: Catalog, database: Database, reader: Reader, document: UUID, version: int, span: Span) -> Words:
    """What stands at a span."""
    d = schema.document
    with database.reading(reader) as connection:
        source = connection.scalar(select(d.c.source).where(readable(reader), d.c.id == document))
    if source is None:
        return Words("", "")
    text, _ = catalog.stored_span(reader, DocumentId(document), version, *span)
    return Words(source, text)


def around(catalog: Catalog, reader: Reader, document: UUID, version: int, span: Span, chars: int) -> tuple[str, Span]:
    """The text around a span and where the span stands in it; ('', (0, 0)) where it cannot be read."""
    try:
        text = catalog.text(reader, DocumentId(document), version)
    except UsageError:
        return "", (0, 0)
    start, end = max(0, span[0] - chars), min(len(text), span[1] + chars)
    if start:  # not in the middle of a word
        start = next((at + 1 for at in range(start - 1, span[0]) if text[at].isspace()), start)
    if end < len(text):
        end = next((at for at in range(end, span[1] - 1, -1) if text[at].isspace()), end)
    return text[start:end], (span[0] - start, min(span[1], end) - start)


def shown_hits(catalog: Catalog, database: Database, reader: Reader, record: CaseRecord) -> list[ShownHit]:
    """The chunks that the last stage brought, best first, with their beginnings."""
    places = [place for gold in record.outcome.gold for place in gold.places]
    last = STAGES[-1]
    return [
        ShownHit(
            one,
            words_at(
                catalog, database, reader, one.document, one.version,
                (one.span[0], min(one.span[1], one.span[0] + EXCERPT_CHARS)),
            ),
            any(_touches(one, place) for place in places),
        )
        for one in sorted(record.hits, key=lambda hit: hit.ranks.get(last, len(record.hits) + 1))
    ]  # fmt: skip


def _touches(hit: HitSeen, place: Place) -> bool:
    return (
        (hit.document, hit.version) == (place.document, place.version)
        and hit.span[0] < place.span[1]
        and hit.span[1] > place.span[0]
    )
