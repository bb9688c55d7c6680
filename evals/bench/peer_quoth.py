"""Quoth as one of the peers that `evals.bench.peers` compares: the same commands, through its composition root."""

from __future__ import annotations

import json
import os
import pickle
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from pgvector import HalfVector
from sqlalchemy import select

from assistant.bootstrap import Quoth, open_quoth
from evals.beir import Record, parsed_record
from ingest import schema
from ingest.access import LOCAL, Reader
from ingest.database import Database
from ingest.indexing import chunk_text
from ingest.local_embedding import LocalEmbedder
from ingest.model import Embedder, Span
from ingest.pipeline import Pipeline
from ingest.spaces import Spaces
from ingest.storing import Identity
from ingest.vectors import unit_rows, unpack_vectors

COLLECTION: Final = "peers"
KNOWN: Final = "known.pickle"  # of this run, written and read by this module alone
Key = tuple[str, tuple[Span, ...]]
Passages = tuple[NDArray[np.float32], list[NDArray[np.float32]]]


class Given(LocalEmbedder):
    """The local embedder; passages whose vectors it was given get them at once."""

    def __init__(self, *, threads: int) -> None:
        super().__init__(threads=threads)
        self.known: dict[Key, tuple[NDArray[np.float32], NDArray[np.float32]]] = {}

    def embed_passages(self, texts: Sequence[str], spans: Sequence[Sequence[Span]]) -> Passages:
        keys = [(text, tuple(of)) for text, of in zip(texts, spans, strict=True)]
        if not all(key in self.known for key in keys):
            return super().embed_passages(texts, spans)
        found = [self.known[key] for key in keys]
        return np.stack([vector for vector, _ in found]), [rows for _, rows in found]


class QuothPeer:
    """Documents go in one by one, a transaction each, cut and analysed by Quoth; the vectors may be remembered ones.

    `index` reads records.jsonl (id, title, text, group) and, when it embeds, writes what the rivals are given.
    """

    def __init__(self, threads: int) -> None:
        self._embedder = Given(threads=threads)
        self._home = tempfile.TemporaryDirectory(prefix="quoth-peers-")
        self._quoth: Quoth | None = None
        self._collection = COLLECTION

    def index(self, folder: Path, database: str, embed: bool) -> float:
        self._quoth = quoth = self._opened(database)
        started = time.perf_counter()
        self._fill(quoth, folder)
        elapsed_s = time.perf_counter() - started
        if embed:
            hand_over(quoth.database, COLLECTION, folder)
        self._embedder.known.clear()  # searching is measured without them
        return elapsed_s

    def open(self, folder: Path, database: str, collection: str) -> None:
        """A copy of a filled store: documents of the narrow reader become theirs."""
        self._quoth, self._collection = self._opened(database), collection
        few = {source for source, group in groups_in(folder).items() if group == "few"}
        for document in self._quoth.catalog.documents(LOCAL, collection):
            if document.source in few:
                self._quoth.catalog.set_readers(document.id, ["few"])

    def _opened(self, database: str) -> Quoth:
        environ = {name: value for name, value in os.environ.items() if not name.startswith("QUOTH_")}
        own = {"QUOTH_HOME": self._home.name, "QUOTH_DATABASE_URL": database, "QUOTH_REBUILD": "no"}
        return open_quoth({**environ, **own})

    def _fill(self, quoth: Quoth, folder: Path) -> None:
        def remembered(setting: str) -> Embedder:
            return self._embedder

        spaces = Spaces(quoth.database, remembered, "local", lambda said: None)
        pipeline = Pipeline(
            quoth.database, quoth.originals, spaces, quoth.intake, quoth.worker, quoth.settings.home / "scratch"
        )
        with (folder / "records.jsonl").open(encoding="utf-8") as lines:
            for line in lines:
                one = json.loads(line)
                self._store(pipeline, Record(one["id"], one["title"], one["text"]), one["group"])
        pipeline.merge()

    def _store(self, pipeline: Pipeline, record: Record, group: str) -> None:
        identity = Identity(self._collection, record.id)
        pipeline.add_parsed(identity, record.original, parsed_record(record), profile="peers-1", readers=(group,))

    def search(self, question: str, k: int, group: str | None, dense: bool) -> dict[str, Any]:
        assert self._quoth is not None
        reader = Reader(group, frozenset({group})) if group else LOCAL
        found = self._quoth.search(
            question, reader, k=k, stage="dense" if dense else "reranked", collection=self._collection
        )
        return {"ids": [f"{hit.source}@{hit.start}" for hit in found.hits], "unreadable": 0}

    def add(self, source: str, text: str) -> None:
        assert self._quoth is not None
        self._store(self._quoth.pipeline, Record(source, "", text), "many")


def groups_in(folder: Path) -> dict[str, str]:
    """By document, who may read it."""
    with (folder / "records.jsonl").open(encoding="utf-8") as lines:
        return {one["id"]: one["group"] for one in map(json.loads, lines)}


def hand_over(database: Database, collection: str, folder: Path) -> int:
    """Write a collection's passages and their vectors: for the rivals, and for indexing it again.

    Args:
        folder: holds records.jsonl, which says who may read what.

    Returns:
        How many passages there are.
    """
    groups = groups_in(folder)
    c, d, v, e = schema.chunk, schema.document, schema.chunk_vector, schema.embedding_space
    stored = (
        select(c, d.c.source, d.c.title, v.c.vector, v.c.sentence_vectors)
        .join(d, d.c.id == c.c.document_id)
        .join(v, (v.c.document_id == c.c.document_id) & (v.c.chunk_id == c.c.id))
        .join(e, (e.c.id == v.c.space) & e.c.active)
        .where(d.c.collection == collection)
        .order_by(c.c.position)
    )
    rows: list[NDArray[np.float32]] = []
    known = {}
    with database.reading(LOCAL) as connection, (folder / "passages.jsonl").open("w", encoding="utf-8") as file:
        for row in connection.execute(stored):
            text = chunk_text(row.title, tuple(row.heading), row.text)
            vector = unit_rows(np.array([HalfVector(row.vector).to_list()], np.float32))[0]
            before = len(text) - len(row.text) - row.start_offset
            spans = tuple(
                (start + before, end + before)
                for start, end in zip(row.sentences[::2], row.sentences[1::2], strict=True)
            )
            known[text, spans] = (vector, unpack_vectors(row.sentence_vectors, len(vector)))
            rows.append(vector)
            passage = {"id": f"{row.source}@{row.start_offset}", "text": text, "group": groups[row.source]}
            file.write(json.dumps(passage) + "\n")
    np.save(folder / "vectors.npy", np.stack(rows))
    (folder / KNOWN).write_bytes(pickle.dumps(known))
    return len(rows)
