"""Nearest chunks by embedding, among what the reader may read.

An index scan that is filtered afterwards loses most of a narrow reader's hits, so the way is chosen by how many
chunks the reader may see: few are compared exactly, many go through HNSW with iterative scan.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal
from uuid import UUID

import numpy as np
from numpy.typing import NDArray
from pgvector import HalfVector
from sqlalchemy import Connection, text

from ingest.access import Reader
from ingest.spaces import Space

EXACT_UP_TO: Final = 20_000  # chunks; beyond it an exact scan costs more than HNSW with oversampling
OVERSAMPLE: Final = 2  # relaxed order is not exact order: take more, sort again

# Never `set enable_indexscan = off`: a prepared statement's cached plan would ignore it.
EXACT: Final = """
with allowed as materialized (
    select v.document_id, v.chunk_id, v.vector::halfvec({dimensions}) as vector
    from chunk_vector v
    where v.space = {space} and v.document_id in (
        select d.id from document d
        where array_append(d.readers, '*') && (select principals_of(:principals))
          and quoth_in_scope(d.collection, :collection) and quoth_in_force(d.effective_from, d.expires_on)
          and (cast(:documents as uuid[]) is null or d.id = any(cast(:documents as uuid[]))))
), nearest as (
    select document_id, chunk_id, vector <=> cast(:question as halfvec({dimensions})) as distance
    from allowed order by distance, chunk_id limit :k
)
select c.id, c.position, n.distance from nearest n
join chunk c on c.document_id = n.document_id and c.id = n.chunk_id order by n.distance, c.id"""

INDEXED: Final = """
with nearest as materialized (
    select v.document_id, v.chunk_id, v.vector::halfvec({dimensions}) <=> cast(:question as halfvec({dimensions}))
        as distance
    from chunk_vector v
    where v.space = {space} and v.document_id in (
        select d.id from document d
        where array_append(d.readers, '*') && (select principals_of(:principals))
          and quoth_in_scope(d.collection, :collection) and quoth_in_force(d.effective_from, d.expires_on)
          and (cast(:documents as uuid[]) is null or d.id = any(cast(:documents as uuid[]))))
    order by v.vector::halfvec({dimensions}) <=> cast(:question as halfvec({dimensions})) limit :more
)
select c.id, c.position, n.distance from nearest n
join chunk c on c.document_id = n.document_id and c.id = n.chunk_id order by n.distance, c.id limit :k"""

COSINES: Final = """
select c.id, c.position, v.vector::halfvec({dimensions}) <=> cast(:question as halfvec({dimensions}))
from chunk c join chunk_vector v on v.document_id = c.document_id and v.chunk_id = c.id and v.space = {space}
join document d on d.id = c.document_id
where c.position = any(:positions) and array_append(d.readers, '*') && (select principals_of(:principals))"""


@dataclass(frozen=True, slots=True)
class DenseHit:
    chunk: UUID
    position: int
    cosine: float


def dense_search(
    connection: Connection,
    reader: Reader,
    question: NDArray[np.float32],
    space: Space,
    collection: str | None,
    *,
    k: int,
    readable_chunks: int,
    documents: Sequence[UUID] | None = None,
) -> tuple[list[DenseHit], Literal["exact", "hnsw"]]:
    """The k nearest readable chunks by cosine, best first, and the route taken: 'exact' or 'hnsw'.

    Args:
        readable_chunks: how many there are to choose from; decides the route.
        documents: only these, where given.
    """
    exact = readable_chunks <= EXACT_UP_TO
    if not exact:
        connection.execute(text("set local hnsw.iterative_scan = relaxed_order"))
        connection.execute(text("set local hnsw.ef_search = 200"))
    rows = connection.execute(
        _in_space(EXACT if exact else INDEXED, space),
        {
            "question": HalfVector(question).to_text(),
            "principals": list(reader.principals),
            "collection": collection,
            "documents": None if documents is None else list(documents),
            "k": k,
            **({} if exact else {"more": k * OVERSAMPLE}),
        },
    )
    return [DenseHit(row[0], row[1], 1.0 - row[2]) for row in rows], "exact" if exact else "hnsw"


def cosines(
    connection: Connection, reader: Reader, question: NDArray[np.float32], space: Space, positions: list[int]
) -> list[DenseHit]:
    """The cosine of given chunks, in no order; unreadable ones are left out."""
    if not positions:
        return []
    rows = connection.execute(
        _in_space(COSINES, space),
        {
            "question": HalfVector(question).to_text(),
            "principals": list(reader.principals),
            "positions": positions,
        },
    )
    return [DenseHit(row[0], row[1], 1.0 - row[2]) for row in rows]


def _in_space(statement: str, space: Space):  # type: ignore[no-untyped-def]
    # literals, not parameters: the planner must see the index's own expression and predicate
    return text(statement.replace("{dimensions}", str(int(space.dimensions))).replace("{space}", str(int(space.id))))
