"""What stands around a hit: the neighbouring chunks of its section, and any span of a readable version as text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import text

from ingest.access import Reader
from ingest.database import Database
from ingest.model import ChunkId, DocumentId

# the explicit wall stands here as everywhere; row security stands behind it
SECTIONS = """
select c.id, min(n.start_offset), max(n.end_offset), sum(n.tokens)
from chunk c
join chunk n on n.document_id = c.document_id and n.version = c.version
  and n.ordinal between c.ordinal - :reach and c.ordinal + :reach and n.heading = c.heading
join document d on d.id = c.document_id
where c.id = any(:chunks) and array_append(d.readers, '*') && (select principals_of(:principals))
group by c.id"""

TEXTS = """
select w.at, substring(v.canonical_text, w.first + 1, w.last - w.first)
from unnest(cast(:documents as uuid[]), cast(:versions as int[]), cast(:firsts as int[]), cast(:lasts as int[]))
  with ordinality as w(document, version, first, last, at)
join version v on v.document_id = w.document and v.number = w.version
join document d on d.id = v.document_id
where array_append(d.readers, '*') && (select principals_of(:principals))"""


@dataclass(frozen=True, slots=True)
class Section:
    """The part of a hit's section that lies around it."""

    start: int
    end: int
    tokens: int


@dataclass(frozen=True, slots=True)
class Place:
    """A span of a version."""

    document: DocumentId
    version: int
    start: int
    end: int


class Surroundings:
    def __init__(self, database: Database) -> None:
        self._database = database

    def sections(self, reader: Reader, chunks: Sequence[ChunkId], *, reach: int = 1) -> Mapping[ChunkId, Section]:
        """For each readable chunk, it and its neighbours under the same headings.

        Args:
            reach: chunks before, and after.
        """
        with self._database.reading(reader) as connection:
            rows = connection.execute(
                text(SECTIONS), {"chunks": list(chunks), "reach": reach, "principals": list(reader.principals)}
            )
            return {ChunkId(row[0]): Section(row[1], row[2], int(row[3])) for row in rows}

    def texts(self, reader: Reader, places: Sequence[Place]) -> list[str | None]:
        """canonical_text[start:end] of each place, in order; None for what the reader may not read."""
        found: list[str | None] = [None] * len(places)
        if not places:
            return found
        with self._database.reading(reader) as connection:
            rows = connection.execute(
                text(TEXTS),
                {
                    "documents": [place.document for place in places],
                    "versions": [place.version for place in places],
                    "firsts": [place.start for place in places],
                    "lasts": [place.end for place in places],
                    "principals": list(reader.principals),
                },
            )
            for at, words in rows:
                found[at - 1] = words
        return found
