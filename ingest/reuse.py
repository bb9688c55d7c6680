"""Vectors of a text that is in the store already, so that the same text is not embedded twice in one embedding space.

There is no cache beside the store: vectors are looked up where they are, by the hash of what was embedded (title,
heading path, text and the borders of its sentences). So a copy, a renamed file, a paragraph moved under the same
headings costs nothing; what was removed has left nothing to be found; and another space has vectors of its own.

How many chunks were embedded stands in the receipt, and how long it took can be seen. Both would tell whoever adds a
guess whether somebody else holds that text. So only documents are looked at that the one who adds may read: what is
reused is what they could have found by searching. What a claim of an identity provider would open besides is not known
to the queue, and is embedded again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from pgvector import HalfVector
from sqlalchemy import text

from ingest.access import LOCAL, Reader
from ingest.database import Database
from ingest.indexing import StoredVectors

LOOKED_UP: Final = 1000  # hashes in one statement
FIND: Final = text(
    "select distinct on (c.text_hash) c.text_hash, v.vector, v.sentence_vectors from chunk c"
    " join chunk_vector v on v.document_id = c.document_id and v.chunk_id = c.id and v.space = :space"
    " join document d on d.id = c.document_id"
    " where c.text_hash = any(:hashes) and array_append(d.readers, '*') && (select principals_of(:principals))"
    " order by c.text_hash, c.document_id"
)

Stored = Callable[[Sequence[bytes]], Mapping[bytes, StoredVectors]]


def adder(principal: str) -> Reader:
    """The one whose file it is, as far as the queue knows them."""
    return LOCAL if principal == LOCAL.name else Reader(principal, frozenset())


def stored_vectors(database: Database, space: int, reader: Reader) -> Stored:
    """A look-up by text hash among the vectors of one space, of documents that the reader may read."""

    def look_up(hashes: Sequence[bytes]) -> dict[bytes, StoredVectors]:
        found: dict[bytes, StoredVectors] = {}
        for some in _batches(hashes):
            with database.working() as connection:
                rows = connection.execute(
                    FIND, {"space": space, "hashes": some, "principals": list(reader.principals)}
                ).all()
            found |= {bytes(row[0]): StoredVectors(_halfvec(row[1]), bytes(row[2])) for row in rows}
        return found

    return look_up


def _batches(hashes: Sequence[bytes]) -> Iterator[list[bytes]]:
    for at in range(0, len(hashes), LOOKED_UP):
        yield list(hashes[at : at + LOOKED_UP])


def _halfvec(value: Any) -> HalfVector:
    return HalfVector.from_text(value) if isinstance(value, str) else HalfVector(value)
