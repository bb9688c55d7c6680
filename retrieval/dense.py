"""Nearest chunks by embedding, among what the reader may read.

An index scan that is filtered afterwards loses most of a narrow reader's hits, so the way is chosen by how many
chunks the reader may see: few are compared exactly, many go through HNSW, which goes on until it has found enough that
may be read. Where that takes more candidates than chance would have it, all are compared after all. Both ways lie in
functions of the database that look documents up by their ids, so that neither grows with the number of documents; what
they find passes row security and the predicate of every query before it is a hit.
"""

from __future__ import annotations

import math
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
from retrieval.mask import Mask

Route = Literal["exact", "hnsw"]

EXACT_UP_TO: Final = 10_000  # chunks; comparing them costs no more than HNSW among all
OVERSAMPLE: Final = 2  # relaxed order is not exact order: take more, sort again
EF_SEARCH: Final = (200, 1000)  # candidates of a batch, as many as are expected to be needed within these bounds
CANDIDATE_COST: Final = 8  # of HNSW, in chunks compared exactly
SPARE: Final = 1.5  # of the candidates that it takes where readable chunks are as frequent as anywhere

# a candidate's document is looked up by its id: `offset 0` keeps the planner, which takes readable documents for a
# handful, from reading all of them first
READABLE: Final = """cross join lateral (
    select from document d
    where d.id = c.document_id and array_append(d.readers, '*') && (select principals_of(:principals))
    offset 0) readable"""
FOUND: Final = f"""
select c.id, c.position, n.distance from nearest n
join chunk c on c.document_id = n.document_id and c.id = n.chunk_id {READABLE}
order by n.distance, c.id"""
EXACT: Final = f"""
with nearest as materialized (
    select * from readable_nearest_of(
        cast(:documents as uuid[]), cast(:question as halfvec), cast(:space as smallint), :collection, :most)
){FOUND}"""
INDEXED: Final = f"""
with nearest as materialized (
    select * from readable_nearest(
        cast(:question as halfvec), cast(:space as smallint), :collection, cast(:documents as uuid[]), :most)
){FOUND}"""
SETTINGS: Final = """
select set_config('hnsw.iterative_scan', 'relaxed_order', true), set_config('hnsw.ef_search', :ef, true),
    set_config('hnsw.max_scan_tuples', :candidates, true)"""
COSINES: Final = f"""
with wanted as materialized (select unnest(cast(:positions as int[])) as position)
select c.id, c.position, v.vector <=> cast(:question as halfvec)
from wanted w join chunk c on c.position = w.position
join chunk_vector v on v.document_id = c.document_id and v.chunk_id = c.id and v.space = :space {READABLE}"""


@dataclass(frozen=True, slots=True)
class DenseHit:
    chunk: UUID
    position: int
    cosine: float


def dense_search(
    connection: Connection,
    reader: Reader,
    mask: Mask,
    question: NDArray[np.float32],
    space: Space,
    collection: str | None,
    *,
    k: int,
    exact_up_to: int = EXACT_UP_TO,
) -> tuple[list[DenseHit], Route]:
    """The k nearest readable chunks by cosine, best first, and the route that they came by.

    Args:
        mask: what the reader may find in this transaction; decides the route.
        collection: as the mask was made for.
        exact_up_to: chunks that are compared one by one rather than through the index.
    """
    asked = {
        "question": HalfVector(question).to_text(),
        "space": space.id,
        "principals": list(reader.principals),
        "collection": collection,
    }
    wanted = k * OVERSAMPLE
    candidates = _candidates(connection, mask, wanted) if mask.chunks > exact_up_to else None
    if candidates is not None:
        batch = min(max(candidates, EF_SEARCH[0]), EF_SEARCH[1])
        most = math.ceil(candidates * SPARE)
        connection.execute(text(SETTINGS), {"ef": str(batch), "candidates": str(most)})
        narrowed = mask.document_ids() if mask.narrowed else None
        found = _hits(connection, INDEXED, {**asked, "documents": narrowed, "most": wanted})
        if len(found) == wanted:
            return found[:k], "hnsw"
    return _hits(connection, EXACT, {**asked, "documents": mask.document_ids(), "most": k}), "exact"


def _candidates(connection: Connection, mask: Mask, wanted: int) -> int | None:
    """How many candidates hold as many readable ones by chance; None where comparing all readable is cheaper.

    Where it takes many more, the readable chunks lie apart from the question: HNSW would find enough of them in the
    end, but at the edge of their region, not the nearest.
    """
    store_chunks = connection.scalar(text("select store_chunks()")) or 0
    expected = math.ceil(wanted * max(store_chunks / mask.chunks, 1))
    return None if expected * CANDIDATE_COST > mask.chunks else expected


def cosines(
    connection: Connection, reader: Reader, question: NDArray[np.float32], space: Space, positions: Sequence[int]
) -> list[DenseHit]:
    """The cosine of given chunks, in no order; unreadable ones are left out."""
    if not positions:
        return []
    return _hits(
        connection,
        COSINES,
        {
            "question": HalfVector(question).to_text(),
            "space": space.id,
            "principals": list(reader.principals),
            "positions": list(positions),
        },
    )


def _hits(connection: Connection, statement: str, parameters: dict[str, object]) -> list[DenseHit]:
    rows = connection.execute(text(statement), parameters)
    return [DenseHit(row[0], row[1], 1.0 - row[2]) for row in rows]
