"""The posting segments: a document's postings go in with its chunks, come out with them, and are merged in between.

A segment holds the blocks of documents whose positions are neighbours. New documents bring one each; the worker merges
ten small neighbours into one, and so on, so that a question reads few blocks. Postings of a document that goes are
taken out of the shared blocks in the transaction that removes it: no block holds a word of what is gone.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import numpy as np
from sqlalchemy import Connection, bindparam, delete, func, insert, select, text, update

from ingest import schema
from ingest.database import Database
from ingest.postings import Block, postings_of

MERGED_AT_ONCE: Final = 10  # small neighbours become one
MOST_AT_ONCE: Final = 200
TIERS: Final = (80, 640, 5_120)  # chunks; what is smaller is merged with its like
LARGEST: Final = 20_000  # chunks; taking a document out rewrites blocks of at most this size
SETTLED: Final = timedelta(seconds=20)  # positions are taken in order, but not committed in order
BLOCKS_AT_ONCE: Final = 500

MERGE: Final = """
    with gone as (delete from lex_block where seg = any(:segments) returning term, seg, ids, tf, dl)
    insert into lex_block (term, seg, ids, tf, dl)
    select g.term, :merged, string_agg(g.ids, '' order by s.first), string_agg(g.tf, '' order by s.first),
        string_agg(g.dl, '' order by s.first)
    from gone g join lex_segment s using (seg) group by g.term"""


@dataclass(frozen=True, slots=True)
class Segment:
    seg: int
    first: int  # lowest position
    last: int
    chunks: int


def put_in(
    connection: Connection, document: uuid.UUID, terms: Sequence[Sequence[str]], first: int, analyzer: str
) -> None:
    """Write a document's postings as a segment of its own; the caller has taken out what it had before.

    Args:
        terms: of each chunk, repeats kept; chunk i is at position first + i.
    """
    s, m = schema.lex_segment, schema.lex_document
    blocks = postings_of(terms, first)
    last = first + max(len(terms), 1) - 1
    seg = connection.scalar(insert(s).values(first=first, last=last, chunks=len(terms)).returning(s.c.seg))
    connection.execute(
        insert(m).values(
            document_id=document, seg=seg, first=first, chunks=len(terms), tokens=sum(map(len, terms)),
            analyzer=analyzer, terms=list(blocks),
        )
    )  # fmt: skip
    _insert_blocks(connection, ((term, seg, block) for term, block in blocks.items()))


def take_out(connection: Connection, document: uuid.UUID) -> None:
    """Remove a document's postings, from its own segment or out of the blocks that it shares."""
    s, m = schema.lex_segment, schema.lex_document
    while True:
        row = connection.execute(select(m).where(m.c.document_id == document)).one_or_none()
        if row is None:
            return
        # whoever merges holds the segment; afterwards the postings are in another one
        if connection.scalar(select(s.c.seg).where(s.c.seg == row.seg).with_for_update()) is not None:
            break
    connection.execute(delete(m).where(m.c.document_id == document))
    if not connection.scalar(select(select(m.c.document_id).where(m.c.seg == row.seg).exists())):
        connection.execute(delete(s).where(s.c.seg == row.seg))  # and its blocks with it
        return
    connection.execute(update(s).where(s.c.seg == row.seg).values(chunks=s.c.chunks - row.chunks))
    for at in range(0, len(row.terms), BLOCKS_AT_ONCE):
        _cut_out(connection, row.seg, row.terms[at : at + BLOCKS_AT_ONCE], row.first, row.first + row.chunks)


def _cut_out(connection: Connection, seg: int, terms: Sequence[str], first: int, end: int) -> None:
    b = schema.lex_block
    emptied: list[str] = []
    shortened: list[dict[str, object]] = []
    for row in connection.execute(select(b).where(b.c.seg == seg, b.c.term.in_(terms))):
        ids = np.frombuffer(row.ids, "<i4")
        low, high = (int(at) for at in np.searchsorted(ids, (first, end)))
        if high - low == ids.size:
            emptied.append(row.term)
        elif high > low:
            parts = (_without(row.ids, low, high, 4), _without(row.tf, low, high, 1), _without(row.dl, low, high, 2))
            shortened.append({"this": row.term, **dict(zip(("ids", "tf", "dl"), parts, strict=True))})
    if emptied:
        connection.execute(delete(b).where(b.c.seg == seg, b.c.term.in_(emptied)))
    if shortened:
        connection.execute(update(b).where(b.c.seg == seg, b.c.term == bindparam("this")), shortened)


def _without(packed: bytes, low: int, high: int, width: int) -> bytes:
    return bytes(packed[: low * width]) + bytes(packed[high * width :])


def _insert_blocks(connection: Connection, rows: Iterator[tuple[str, int | None, Block]]) -> None:
    raw = connection.connection.driver_connection
    assert raw is not None
    with raw.cursor() as cursor:
        cursor.executemany(
            "insert into lex_block (term, seg, ids, tf, dl) values (%s, %s, %s, %s, %s)",
            ((term, seg, block.ids, block.tf, block.dl) for term, seg, block in rows),
        )


def merge_segments(database: Database, *, settled: timedelta = SETTLED) -> int:
    """Merge small neighbours until there are none to merge; returns how many segments went. One merger at a time.

    Searches see the segments as before or as after, never both.
    """
    merged = 0
    while True:
        with database.working() as connection:
            if not connection.scalar(text("select pg_try_advisory_xact_lock(hashtext('quoth.merge'))")):
                return merged
            chosen = choose(_segments(connection), settled_before=_settled(connection, settled))
            if not chosen:
                return merged
            merged += _merge(connection, chosen)


def _segments(connection: Connection) -> list[Segment]:
    s = schema.lex_segment
    rows = connection.execute(select(s.c.seg, s.c.first, s.c.last, s.c.chunks).order_by(s.c.first))
    return [Segment(*row) for row in rows]


def _settled(connection: Connection, settled: timedelta) -> int:
    """The position below which nothing is under way any more."""
    s = schema.lex_segment
    young = select(func.min(s.c.first)).where(s.c.made_at > func.now() - settled)
    found = connection.scalar(young)
    return 2**31 if found is None else int(found)


def choose(segments: Sequence[Segment], *, settled_before: int = 2**31) -> list[Segment]:
    """The next neighbours to merge: of the smallest tier that has enough of them in a row; [] when there are none.

    Args:
        segments: all of them, by first position. Where a transaction took very long, one may lie within another; they
            are not joined.
    """
    for small in TIERS:
        run: list[Segment] = []
        chunks = 0
        for one in segments:
            fits = one.chunks < small and one.last < settled_before
            follows = not run or (run[-1].last < one.first and chunks + one.chunks <= LARGEST)
            if not (fits and follows):
                if len(run) >= MERGED_AT_ONCE:
                    return run
                run, chunks = [], 0
            if fits:
                run.append(one)
                chunks += one.chunks
                if len(run) == MOST_AT_ONCE:
                    return run
        if len(run) >= MERGED_AT_ONCE:
            return run
    return []


def _merge(connection: Connection, chosen: Sequence[Segment]) -> int:
    s, m = schema.lex_segment, schema.lex_document
    segs = sorted(one.seg for one in chosen)
    held = connection.execute(select(s).where(s.c.seg.in_(segs)).order_by(s.c.seg).with_for_update()).all()
    segs = [row.seg for row in held]  # whoever takes a document out may have been quicker
    if not segs:
        return 0
    merged = connection.scalar(
        insert(s)
        .values(
            first=min(row.first for row in held),
            last=max(row.last for row in held),
            chunks=sum(row.chunks for row in held),
            made_at=func.now() - timedelta(days=1),  # its documents have settled
        )
        .returning(s.c.seg)
    )
    connection.execute(text(MERGE), {"segments": segs, "merged": merged})
    connection.execute(update(m).where(m.c.seg.in_(segs)).values(seg=merged))
    connection.execute(delete(s).where(s.c.seg.in_(segs)))
    return len(segs)
