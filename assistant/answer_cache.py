"""Drafts of models, used again where the very same would be asked for; one call for those who ask at the same time.

A draft is a function of the question, the passages found for it and who drafts. All of that is in the key, and what the
reader may read at all besides: a key is made after the reader's own search, so that neither a revocation nor a new
version can meet a draft of before. What is used again is the draft, not the answer: every quotation is resolved,
checked and read from the stored version anew, under the access of whoever asks.

Kept in memory only, so that a removed document leaves nothing in the store.
"""

from __future__ import annotations

import hashlib
import json
import threading
import time
import unicodedata
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from types import TracebackType
from typing import Final, Self

from assistant.model import Answerer, Context, DraftClaim, DraftEnd, Usage
from ingest.model import DocumentId
from retrieval.model import SearchResult

CAPACITY: Final = 500  # drafts, of a few kilobytes each
LONGEST_S: Final = 1800.0


@dataclass(frozen=True, slots=True)
class Kept:
    """A whole draft, as a model gave it."""

    items: tuple[DraftClaim | DraftEnd, ...]  # the last one is its end
    name: str  # of the answerer
    prompt_version: str
    documents: frozenset[DocumentId]  # whose passages the model was given


@dataclass(frozen=True, slots=True)
class Repeated:
    """An answerer that says again what was kept; it costs nothing."""

    kept: Kept

    @property
    def name(self) -> str:
        return self.kept.name

    @property
    def prompt_version(self) -> str:
        return self.kept.prompt_version

    def draft(self, question: str, context: Context, search: SearchResult) -> Iterator[DraftClaim | DraftEnd]:
        for item in self.kept.items:
            yield replace(item, usage=Usage(), first_token_ms=None) if isinstance(item, DraftEnd) else item


@dataclass(eq=False, slots=True)
class _Flight:
    """A draft that is being made, and those who wait for it."""

    over: threading.Event = field(default_factory=threading.Event)
    kept: Kept | None = None
    alone: bool = False  # what it made is for its asker only; who waits goes on by themselves


class Turn:
    """One asker's turn: either a draft is there, or it is theirs to make while others wait. Use it in a `with`."""

    def __init__(self, cache: AnswerCache, key: str, kept: Kept | None, flight: _Flight | None) -> None:
        self._cache = cache
        self._key = key
        self._flight = flight
        self.kept = kept

    def keep(self, kept: Kept) -> None:
        """Give the draft that was made to those who wait, and to those who come."""
        self._cache._landed(self._key, self._flight, kept)

    def keep_apart(self) -> None:
        """The draft that was made rests on more than the key covers: nobody else gets it, nor waits for the next."""
        if self._flight is not None:
            self._flight.alone = True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._cache._landed(self._key, self._flight, None)


class AnswerCache:
    """The drafts of one process; threads share it.

    Args:
        clock: seconds that only ever grow.
    """

    def __init__(
        self, *, capacity: int = CAPACITY, longest_s: float = LONGEST_S, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._capacity = capacity
        self._longest_s = longest_s
        self._clock = clock
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, tuple[float, Kept]] = OrderedDict()
        self._flights: dict[str, _Flight] = {}
        self.hits = self.misses = 0

    def turn(self, key: str, *, wait_s: float) -> Turn:
        """The draft of a key; or, where somebody is making it, that one as soon as it is there; or the turn to make it.

        Args:
            wait_s: for somebody else's draft; after it, or when that one gave up, it is this asker's turn.
        """
        until = time.monotonic() + wait_s
        while True:
            with self._lock:
                self._drop_old()
                known = self._kept.get(key)
                if known is not None:
                    self._kept.move_to_end(key)
                    self.hits += 1
                    return Turn(self, key, known[1], None)
                flight = self._flights.get(key)
                if flight is None:
                    flight = self._flights[key] = _Flight()
                    self.misses += 1
                    return Turn(self, key, None, flight)
            if not flight.over.wait(max(0.0, until - time.monotonic())):
                return Turn(self, key, None, None)
            if flight.kept is not None:
                self.hits += 1
                return Turn(self, key, flight.kept, None)
            if flight.alone:
                return Turn(self, key, None, None)

    def forget(self, document: DocumentId) -> None:
        """Drop every draft that was made from passages of a document."""
        with self._lock:
            for key in [key for key, (_, kept) in self._kept.items() if document in kept.documents]:
                del self._kept[key]

    def __len__(self) -> int:
        return len(self._kept)

    def _landed(self, key: str, flight: _Flight | None, kept: Kept | None) -> None:
        with self._lock:
            if kept is not None:
                self._kept[key] = (self._clock(), kept)
                while len(self._kept) > self._capacity:
                    self._kept.popitem(last=False)
            if flight is not None:
                if self._flights.get(key) is flight:
                    del self._flights[key]
                if kept is not None:
                    flight.kept = kept
                flight.over.set()

    def _drop_old(self) -> None:
        oldest = self._clock() - self._longest_s
        for key in [key for key, (made_at, _) in self._kept.items() if made_at < oldest]:
            del self._kept[key]


def key_of(
    question: str, found: SearchResult, context: Context, answerers: Sequence[Answerer], checker: str, *scope: object
) -> str | None:
    """A hash over all that a draft depends on; None where there is nothing to draft from, or nobody knows the rights.

    Args:
        found: by the reader's own search, moments ago.
        scope: what else was asked for: collection, narrowing.
    """
    if not context.passages or not found.readable:
        return None
    passages = []
    for passage in context.passages:
        given = asdict(passage)
        given.pop("chunks")  # new ids with every version of the index, the same words
        passages.append(given)
    parts = {
        "question": _normalised(question),
        "searched": _normalised(found.searched),
        "readable": found.readable,
        "passages": passages,
        "earlier": context.earlier,
        "chain": [(one.name, one.prompt_version) for one in answerers],
        "checker": checker,
        "scope": [repr(one) for one in scope],
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode("utf-8", "replace")).hexdigest()


def _normalised(question: str) -> str:
    return " ".join(unicodedata.normalize("NFC", question).split())
