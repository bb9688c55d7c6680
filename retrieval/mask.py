"""Which chunks a reader may find, as a mask over positions, kept in memory and brought up to date by what changed.

A mask is made once per reader and collection. Each search asks which documents changed since the mask's snapshot, as
its own transaction sees it, and only those are looked at again; so a revocation, a new document or a removal holds in
the next search, and a mask is never believed for longer than that. Where the reader belongs to other groups than the
mask was made for, it is made anew.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections import Counter, OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from typing import Final
from uuid import UUID

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, text

from ingest.access import Reader
from ingest.indexing import language_of

KEPT: Final = 64  # masks
LONGEST_S: Final = 3600.0  # a mask that was not used for so long is made anew: the changes since may be forgotten
FEW_CHANGES: Final = 200  # documents; beyond, all is read again

RANGE: Final = np.dtype([("high", ">u8"), ("low", ">u8"), ("first", ">i4"), ("chunks", ">i4"), ("tokens", ">i4")])
ID: Final = np.dtype([("high", ">u8"), ("low", ">u8")])

Ranges = dict[str, NDArray]  # by analyzer: what it made of which document


@dataclass
class Mask:
    """The readable documents' positions, and what BM25 needs to know of them; only its age ever changes."""

    ranges: Ranges
    principals: tuple[str, ...]  # all that the reader was, groups of groups and all
    snapshot: str
    today: date
    used_at: float
    narrowed: bool = False  # to some of the documents that the reader may find

    def seen(self, snapshot: str) -> None:
        """Nothing had changed up to this snapshot."""
        self.snapshot, self.used_at = snapshot, time.monotonic()

    def restricted(self, documents: Sequence[UUID]) -> Mask:
        """This mask among some documents only; statistics are theirs too."""
        ranges = {analyzer: rows[_among(rows, documents)] for analyzer, rows in self.ranges.items()}
        kept = {analyzer: rows for analyzer, rows in ranges.items() if rows.size}
        return Mask(kept, self.principals, self.snapshot, self.today, self.used_at, narrowed=True)

    def document_ids(self) -> str:
        """The readable documents as an array literal of Postgres."""
        packed = b"".join(rows[["high", "low"]].astype(ID).tobytes() for rows in self.ranges.values())
        digits = np.full((len(packed) // 16, 33), ord(","), np.uint8)
        digits[:, :32] = np.frombuffer(packed.hex().encode(), np.uint8).reshape(-1, 32)
        return "{" + digits.tobytes()[:-1].decode() + "}"

    @cached_property
    def chunks(self) -> int:
        return sum(int(rows["chunks"].sum()) for rows in self.ranges.values())

    @cached_property
    def tokens(self) -> int:
        return sum(int(rows["tokens"].sum(dtype=np.int64)) for rows in self.ranges.values())

    @property
    def average_length(self) -> float:
        return self.tokens / self.chunks if self.chunks else 1.0

    @cached_property
    def languages(self) -> tuple[str, ...]:
        """Of the readable documents, that of most chunks first."""
        chunks: Counter[str] = Counter()
        for analyzer, rows in sorted(self.ranges.items()):
            chunks[language_of(analyzer)] += int(rows["chunks"].sum())
        return tuple(language for language, _ in chunks.most_common())

    @cached_property
    def digest(self) -> str:
        """Of which documents are readable, by what they were indexed as: equal for readers who may read the same."""
        whole = hashlib.sha256()
        for analyzer, rows in sorted(self.ranges.items()):
            whole.update(analyzer.encode() + b"\0" + rows[np.argsort(rows["first"])].tobytes())
        return whole.hexdigest()

    @cached_property
    def readable(self) -> NDArray[np.bool_]:
        """By position, up to the last readable one."""
        if not self.ranges:
            return np.zeros(0, np.bool_)
        first = np.concatenate([rows["first"] for rows in self.ranges.values()]).astype(np.int64)
        end = first + np.concatenate([rows["chunks"] for rows in self.ranges.values()])
        steps = np.zeros(int(end.max(initial=0)) + 1, np.int8)
        np.add.at(steps, first, 1)
        np.add.at(steps, end, -1)
        return np.cumsum(steps[:-1], dtype=np.int8).astype(np.bool_)


class Masks:
    """The masks of one process; threads may share them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: OrderedDict[tuple[tuple[str, ...], str | None], Mask] = OrderedDict()

    def mask(self, connection: Connection, reader: Reader, collection: str | None) -> Mask:
        """What the reader may find in this transaction, whose principal the reader is."""
        name = (tuple(sorted(reader.principals)), collection)
        with self._lock:
            known = self._kept.get(name)
        mask = self._current(connection, collection, known)
        with self._lock:
            self._kept[name] = mask
            self._kept.move_to_end(name)
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        return mask

    def _current(self, connection: Connection, collection: str | None, known: Mask | None) -> Mask:
        if known is not None and time.monotonic() - known.used_at > LONGEST_S:
            known = None
        row = connection.execute(
            text(
                "select pg_current_snapshot()::text, current_date, quoth_principals(),"
                " array(select changed_documents(cast(:since as pg_snapshot)) limit :few)"
            ),
            {"since": known.snapshot if known else None, "few": FEW_CHANGES + 1},
        ).one()
        snapshot, today, principals, changed = row
        own = tuple(principals or ())
        if known is None or known.today != today or known.principals != own or len(changed) > FEW_CHANGES:
            return Mask(_read(connection, collection, None), own, snapshot, today, time.monotonic())
        if not changed:
            known.seen(snapshot)
            return known
        ranges = _without(known.ranges, changed)
        for analyzer, rows in _read(connection, collection, changed).items():
            ranges[analyzer] = np.concatenate([ranges[analyzer], rows]) if analyzer in ranges else rows
        return Mask(ranges, own, snapshot, today, time.monotonic())


def _read(connection: Connection, collection: str | None, documents: Sequence[UUID] | None) -> Ranges:
    rows = connection.execute(
        text("select analyzer, ranges from readable_ranges(:collection, :documents)"),
        {"collection": collection, "documents": None if documents is None else list(documents)},
    )
    return {analyzer: np.frombuffer(packed, RANGE) for analyzer, packed in rows}


def _without(ranges: Ranges, documents: Sequence[UUID]) -> Ranges:
    left = {analyzer: rows[~_among(rows, documents)] for analyzer, rows in ranges.items()}
    return {analyzer: rows for analyzer, rows in left.items() if rows.size}


def _among(rows: NDArray, documents: Sequence[UUID]) -> NDArray[np.bool_]:
    """Which of the rows are of these documents."""
    asked = {(one.int >> 64, one.int & 0xFFFFFFFFFFFFFFFF) for one in documents}
    found = np.isin(rows["high"].astype(np.uint64), np.array([high for high, _ in asked], np.uint64))
    for at in np.flatnonzero(found):  # two documents may share the first half of their ids
        found[at] = (int(rows["high"][at]), int(rows["low"][at])) in asked
    return found
