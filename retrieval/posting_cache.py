"""Posting blocks in memory. A segment only ever loses postings, and those of what is gone are masked, so that a block
needs no renewal; the least recently used go first."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection

MOST_BYTES: Final = 64 << 20
ENTRY_BYTES: Final = 400  # what a block takes beside its bytes
LONGEST_S: Final = 600.0  # words of a removed document stay no longer in memory, as numbers beside a word


@dataclass(frozen=True, slots=True)
class Postings:
    """One term in one segment, ids rising."""

    ids: NDArray[np.int32]
    tf: NDArray[np.uint8]
    dl: NDArray[np.uint16]


class PostingCache:
    """The blocks of one process; threads may share it."""

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._most_bytes = most_bytes
        self._lock = threading.Lock()
        self._kept: OrderedDict[tuple[int, str], tuple[Postings | None, float]] = OrderedDict()
        self._bytes = 0

    def postings(self, connection: Connection, terms: Sequence[str]) -> dict[str, list[Postings]]:
        """The blocks of each term in every segment that this transaction sees, by first position."""
        raw = connection.connection.driver_connection
        assert raw is not None
        with raw.cursor(binary=True) as cursor:
            segments: list[int] = cursor.execute("select posting_segments()").fetchone()[0]
            found, missing = self._known(segments, terms)
            if missing:
                asked = (sorted({term for _, term in missing}), sorted({seg for seg, _ in missing}))
                rows = cursor.execute("select seg, term, ids, tf, dl from posting_blocks(%s, %s)", asked).fetchall()
                fetched: dict[tuple[int, str], Postings | None] = dict.fromkeys(missing)
                for seg, term, ids, tf, dl in rows:
                    fetched[seg, term] = Postings(
                        np.frombuffer(ids, "<i4"), np.frombuffer(tf, "u1"), np.frombuffer(dl, "<u2")
                    )
                self._keep(fetched)
                found.update(fetched)
        return {term: [block for seg in segments if (block := found.get((seg, term))) is not None] for term in terms}

    def _known(
        self, segments: Sequence[int], terms: Sequence[str]
    ) -> tuple[dict[tuple[int, str], Postings | None], list[tuple[int, str]]]:
        found: dict[tuple[int, str], Postings | None] = {}
        missing = []
        oldest = time.monotonic() - LONGEST_S
        with self._lock:
            for seg in segments:
                for term in terms:
                    name = (seg, term)
                    entry = self._kept.get(name)
                    if entry is None or entry[1] < oldest:
                        missing.append(name)
                    else:
                        self._kept.move_to_end(name)
                        found[name] = entry[0]
        return found, missing

    def _keep(self, fetched: dict[tuple[int, str], Postings | None]) -> None:
        now = time.monotonic()
        with self._lock:
            for name, block in fetched.items():
                former = self._kept.pop(name, None)
                if former is not None:
                    self._bytes -= _size(former[0])
                self._kept[name] = (block, now)
                self._bytes += _size(block)
            while self._bytes > self._most_bytes and self._kept:
                _, (block, _) = self._kept.popitem(last=False)
                self._bytes -= _size(block)


def _size(block: Postings | None) -> int:
    return ENTRY_BYTES + (0 if block is None else block.ids.nbytes + block.tf.nbytes + block.dl.nbytes)
