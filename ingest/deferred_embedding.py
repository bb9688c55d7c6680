"""Texts whose embeddings can wait, because together they cost half: they lie here until a batch has made them.

A file of a large load is read and cut as any other. Where chunks of it lack vectors, their texts go into `embed_wait`
and its row in the queue waits without a job. When the vectors are there, or when it turned out that they had better be
made at once, the queue takes it up again; it is read a second time, which costs no money, and finds them.

The texts are those that would be sent: redacted and cut to what the model takes. They go with their row of the queue,
so that removing a document or cancelling a file takes them along.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal
from uuid import UUID

import numpy as np
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    Table,
    Text,
    Uuid,
    delete,
    select,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, insert

from ingest import schema
from ingest.database import Database
from ingest.intake_rows import BULK, UPLOAD, Item
from ingest.model import Embedder, Span
from ingest.openai_embedding import OpenAIEmbedder
from ingest.vectors import Vectors, unit_rows

WAITS: Final = "waits for its embeddings, which are made in a batch"
KEPT_AS: Final = np.dtype("<f2")  # what the store makes of them is coarser

embed_batch = Table(
    "embed_batch",  # one file of requests, from before it is sent until it is paid
    schema.metadata,
    Column("id", Uuid, primary_key=True),  # the mark that the batch carries at the service
    Column("space", SmallInteger, nullable=False),
    Column("model", Text, nullable=False),
    Column("dimensions", Integer, nullable=False),
    Column("asked_dimensions", Integer),
    Column("state", Text, nullable=False),  # making, sent, ended, settled
    Column("requests", Integer, nullable=False),
    Column("sent_bytes", BigInteger, nullable=False),
    Column("held", JSONB),  # what the ledger has reserved for it
    Column("file_id", Text),
    Column("files", ARRAY(Text), nullable=False, server_default="{}"),  # at the service, to be deleted there
    Column("batch_id", Text),
    Column("status", Text, nullable=False, server_default=""),  # in the service's word
    Column("detail", Text, nullable=False, server_default=""),  # why it, or a look at it, failed
    Column("tokens", BigInteger, nullable=False, server_default="0"),
    Column("made_at", DateTime(timezone=True), nullable=False, server_default=schema.NOW),
    Column("sent_at", DateTime(timezone=True)),
    Column("looked_at", DateTime(timezone=True)),  # at which the service last answered
    Column("ended_at", DateTime(timezone=True)),
)

embed_wait = Table(
    "embed_wait",  # the texts of one chunk, and their vectors when they are there
    schema.metadata,
    Column("intake_id", Uuid, ForeignKey("intake.id", ondelete="CASCADE"), primary_key=True),
    Column("key", LargeBinary, primary_key=True),  # hash of model and texts
    Column("space", SmallInteger, nullable=False),
    Column("model", Text, nullable=False),
    Column("dimensions", Integer, nullable=False),
    Column("asked_dimensions", Integer),
    Column("texts", ARRAY(Text), nullable=False),  # the chunk's, then its sentences'
    Column("batch", Uuid, ForeignKey("embed_batch.id")),  # that is under way with it
    Column("vectors", LargeBinary),  # (texts, dimensions) of KEPT_AS
    Column("tries", SmallInteger, nullable=False, server_default="0"),  # batches that came back without it
    Column("at_once", Boolean, nullable=False, server_default="false"),  # no batch: embed it as usual
    Column("added_at", DateTime(timezone=True), nullable=False, server_default=schema.NOW),
    Index("embed_wait_batch", "batch"),
    Index("embed_wait_open", "space", postgresql_where=text("vectors is null and batch is null")),
)


@dataclass(frozen=True, slots=True)
class Wait:
    """The texts of one chunk that are to be embedded together."""

    key: bytes
    texts: tuple[str, ...]


class Deferred(Exception):
    """The work on a file is to rest until these are embedded."""

    def __init__(self, waits: Sequence[Wait], space: int, embedder: OpenAIEmbedder) -> None:
        super().__init__(f"{len(waits)} chunks wait")
        self.waits = waits
        self.space = space
        self.embedder = embedder


class DeferringEmbedder:
    """An embedder for one file of the queue, which takes what a batch made and asks for one where it is worth it."""

    def __init__(
        self, database: Database, embedder: OpenAIEmbedder, space: int, item: Item, *, least: int | None
    ) -> None:
        """
        Args:
            least: chunks for which a batch is made; None: none is, and what is under way is waited for.
        """
        self._database = database
        self._embedder = embedder
        self._space = space
        self._item = item
        self._least = least
        self._made: dict[bytes, Vectors] = {}

    @property
    def space(self) -> str:
        return self._embedder.space

    @property
    def dimensions(self) -> int:
        return self._embedder.dimensions

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        return self._embedder.count_tokens(texts)

    def embed(self, texts: Sequence[str], *, kind: Literal["query", "document"]) -> Vectors:
        return self._embedder.embed(texts, kind=kind)

    def prepare(self, texts: Sequence[str], spans: Sequence[Sequence[Span]]) -> None:
        """Told of all that `embed_passages` is about to be asked for.

        Raises:
            Deferred: it is better made in a batch.
        """
        waits = [self._wait(one, given) for one, given in zip(texts, spans, strict=True)]
        known = self._known()
        self._made = {
            key: np.frombuffer(vectors, KEPT_AS).reshape(-1, self.dimensions).astype(np.float32)
            for key, (vectors, _) in known.items()
            if vectors is not None
        }
        lacking = [one for one in waits if one.key not in self._made]
        if any(at_once for _, at_once in known.values()) or not lacking:
            return
        under_way = any(one.key in known for one in lacking)
        if under_way or self._worth_it(len(lacking)):
            raise Deferred(lacking, self._space, self._embedder)

    def _worth_it(self, chunks: int) -> bool:
        """Of a bulk load, however small the file; of few files, where one is large; never where somebody waits."""
        if self._least is None or self._item.priority >= UPLOAD:
            return False
        return self._item.priority <= BULK or chunks >= self._least

    def embed_passages(self, texts: Sequence[str], spans: Sequence[Sequence[Span]]) -> tuple[Vectors, list[Vectors]]:
        waits = [self._wait(one, given) for one, given in zip(texts, spans, strict=True)]
        rest = [number for number, one in enumerate(waits) if one.key not in self._made]
        rows, of_spans = self._embedder.embed_passages([texts[n] for n in rest], [spans[n] for n in rest])
        fresh = {n: (rows[at], of_spans[at]) for at, n in enumerate(rest)}
        both = []
        for number, one in enumerate(waits):
            made = self._made.get(one.key)
            both.append(fresh[number] if made is None else (unit_rows(made)[0], unit_rows(made)[1:]))
        return np.stack([row for row, _ in both]) if both else rows, [sentences for _, sentences in both]

    def _wait(self, passage: str, spans: Sequence[Span]) -> Wait:
        sent = self._embedder.as_sent([passage, *(passage[start:end] for start, end in spans)])
        told = json.dumps([self.space, *sent]).encode("utf-8", "replace")
        return Wait(hashlib.sha256(told).digest(), tuple(sent))

    def _known(self) -> dict[bytes, tuple[bytes | None, bool]]:
        t = embed_wait
        query = select(t.c.key, t.c.vectors, t.c.at_once).where(t.c.intake_id == self._item.id)
        with self._database.working() as connection:
            return {bytes(row.key): (row.vectors, row.at_once) for row in connection.execute(query)}


def wait_for(connection: Connection, item: Item, deferred: Deferred) -> None:
    """Keep what a file waits for, in the transaction that puts it back; what is under way for it already stays."""
    t = embed_wait
    if not deferred.waits:
        return
    rows = [
        {
            "intake_id": item.id,
            "key": one.key,
            "space": deferred.space,
            "model": deferred.embedder.model,
            "dimensions": deferred.embedder.dimensions,
            "asked_dimensions": deferred.embedder.asked_dimensions,
            "texts": list(one.texts),
        }
        for one in {one.key: one for one in deferred.waits}.values()
    ]
    connection.execute(insert(t).on_conflict_do_nothing(), rows)


def forget_waits(connection: Connection, item: UUID) -> None:
    """A file was taken in, or given up: nothing waits for it any more."""
    connection.execute(delete(embed_wait).where(embed_wait.c.intake_id == item))


def deferring(database: Database, embedder: Embedder, space: int, item: Item, *, least: int | None) -> Embedder:
    """The embedder for a file: one that may defer, where the model can be asked in batches.

    Args:
        least: chunks for which a batch is made; None: none is, and what is under way is waited for.
    """
    if not isinstance(embedder, OpenAIEmbedder):
        return embedder
    return DeferringEmbedder(database, embedder, space, item, least=least)
