"""Posting blocks in memory, joined by term. What is new is read and joined on; what went is masked by whoever reads.

Segments are merged and documents taken out of them, but no posting ever changes. So a term's postings are those known
already and those of segments that were not there when it was last asked for; a merged segment brings some twice.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection

MOST_BYTES: Final = 64 << 20
ENTRY_BYTES: Final = 500  # what a term takes beside its postings
LONGEST_S: Final = 600.0  # words of a removed document stay no longer in memory, as numbers beside a word


@dataclass(frozen=True, slots=True)
class Postings:
    """One term's postings, ids rising and unique."""

    ids: NDArray[np.int32]  # positions of chunks
    tf: NDArray[np.uint8]
    dl: NDArray[np.uint16]


@dataclass(frozen=True, slots=True)
class _Known:
    postings: Postings
    segments: frozenset[int]  # in which the term has been looked for
    read_at: float  # when all of it was read

    @property
    def bytes(self) -> int:
        one = self.postings
        return ENTRY_BYTES + one.ids.nbytes + one.tf.nbytes + one.dl.nbytes


class PostingCache:
    """The postings of one process; threads may share it."""

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._most_bytes = most_bytes
        self._lock = threading.Lock()
        self._known: OrderedDict[str, _Known] = OrderedDict()
        self._bytes = 0
        self._segments: tuple[list[int], frozenset[int]] = ([], frozenset())

    def postings(self, connection: Connection, terms: Sequence[str]) -> dict[str, Postings]:
        """Each term's postings in every segment that this transaction sees, and perhaps some of documents that went."""
        raw = connection.connection.driver_connection
        assert raw is not None
        with raw.cursor(binary=True) as cursor:
            segments = self._seen(cursor.execute("select posting_segments()").fetchone()[0])
            oldest = time.monotonic() - LONGEST_S
            known: dict[str, _Known] = {}
            with self._lock:
                for term in terms:
                    entry = self._known.get(term)
                    if entry is not None and entry.read_at >= oldest:
                        self._known.move_to_end(term)
                        known[term] = entry
            lacking = {
                term: segments if term not in known else segments - known[term].segments
                for term in terms
                if term not in known or known[term].segments is not segments
            }
            asked = sorted(term for term, missing in lacking.items() if missing)
            read: dict[str, list[tuple[bytes, bytes, bytes]]] = {term: [] for term in asked}
            if asked:
                wanted = sorted(frozenset().union(*(lacking[term] for term in asked)))
                for _, term, *arrays in cursor.execute(
                    "select seg, term, ids, tf, dl from posting_blocks(%s, %s)", (asked, wanted)
                ):
                    read[term].append(tuple(arrays))
        for term in lacking:
            former = known.get(term)
            postings = _joined(([former.postings] if former else []), read.get(term, ()))
            read_at = former.read_at if former else time.monotonic()
            known[term] = _Known(postings, segments, read_at)
        if lacking:
            self._keep({term: known[term] for term in lacking})
        return {term: known[term].postings for term in terms}

    def _seen(self, segments: list[int]) -> frozenset[int]:
        """One object for one set of segments, so that most questions need no comparison."""
        with self._lock:
            if segments != self._segments[0]:
                self._segments = (segments, frozenset(segments))
            return self._segments[1]

    def _keep(self, entries: dict[str, _Known]) -> None:
        with self._lock:
            for term, entry in entries.items():
                former = self._known.pop(term, None)
                self._bytes += entry.bytes - (former.bytes if former else 0)
                self._known[term] = entry
            while self._bytes > self._most_bytes and self._known:
                self._bytes -= self._known.popitem(last=False)[1].bytes


def _joined(former: Sequence[Postings], blocks: Iterable[tuple[bytes, bytes, bytes]]) -> Postings:
    parts = [(one.ids, one.tf, one.dl) for one in former]
    parts += [(np.frombuffer(ids, "<i4"), np.frombuffer(tf, "u1"), np.frombuffer(dl, "<u2")) for ids, tf, dl in blocks]
    if not parts:
        return Postings(np.zeros(0, np.int32), np.zeros(0, np.uint8), np.zeros(0, np.uint16))
    ids, tf, dl = parts[0] if len(parts) == 1 else (np.concatenate(part) for part in zip(*parts, strict=True))
    if len(parts) > 1 and not (ids[1:] > ids[:-1]).all():
        ids, at = np.unique(ids, return_index=True)
        tf, dl = tf[at], dl[at]
    return Postings(ids, tf, dl)
