"""A store of any size, filled straight into the tables with synthetic text and vectors; for measuring searches.

    python -m evals.bench.synthetic_store --database postgresql://... --chunks 1000000

Nothing of it is a real document. Passages are 160 words drawn by Zipf's law, twenty to a document. Vectors have 384
dimensions, some sixty of them effective, and lie in clusters: a theme, a topic in it (ten documents at 100,000 chunks
and more), the document, the passage, so that cosines are about 0.6 within a document, 0.4 within a topic, 0.2 within a
theme. A question's vector has a cosine of about 0.75 with its passage's. Each document is readable by `all` and by
chance by `spread-tenth`, `-hundredth`, `-thousandth`; `folder-tenth` and so on hold as many that lie side by side in
the space of vectors. Segments of postings and rows are as the worker leaves them. The HNSW index is built at the end,
which a store that grows by and by does not do.

The login must be a superuser: keys are not checked while filling.
"""

from __future__ import annotations

import argparse
import sys
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Final

import numpy as np
import psycopg
from numpy.typing import NDArray

from ingest import storing
from ingest.database import Database

DIMENSIONS: Final = 384
WORDS: Final = 160  # of a passage
VOCABULARY: Final = 200_000
PER_DOCUMENT: Final = 20
BATCH: Final = 10_000  # chunks; one segment
THEMES: Final = 32
PER_TOPIC: Final = 200  # chunks
SENTENCES: Final = 5
SHARES: Final = {"tenth": 0.1, "hundredth": 0.01, "thousandth": 0.001}
SPACE: Final = "synthetic-384"
COPY_HEADER: Final = b"PGCOPY\n\xff\r\n\0" + bytes(8)
COPY_END: Final = b"\xff\xff"


@dataclass(frozen=True, slots=True)
class Batch:
    vectors: NDArray[np.float16]  # (chunks, DIMENSIONS), of length 1
    places: NDArray[np.float64]  # of each document, in [0, 1): neighbours have the same topic
    chances: NDArray[np.float64]  # of each document, in [0, 1)


@dataclass(frozen=True)
class Corpus:
    """Passages by number, made anew whenever they are asked for; the same ones each time."""

    chunks: int
    seed: int = 1

    @cached_property
    def _topics(self) -> NDArray[np.float32]:
        draws = np.random.default_rng(self.seed)
        topics = max(self.chunks // PER_TOPIC, THEMES)
        themes = directions(draws, THEMES)[np.arange(topics) * THEMES // topics]
        return (0.45 * themes + 0.55 * directions(draws, topics)).astype(np.float32)

    def batch(self, number: int) -> Batch:
        size = min(BATCH, self.chunks - number * BATCH)
        documents = -(-size // PER_DOCUMENT)
        draws = np.random.default_rng((self.seed, number))
        places = draws.random(documents)
        topics = self._topics[(places * len(self._topics)).astype(int)]
        own = (topics + 0.5 * directions(draws, documents)).repeat(PER_DOCUMENT, axis=0)[:size]
        vectors = unit(own + 0.6 * directions(draws, size)).astype(np.float16)
        return Batch(vectors, places, draws.random(documents))

    def words(self, number: int) -> NDArray[np.int32]:
        """The words of a batch's passages, (chunks, WORDS)."""
        draws = np.random.default_rng((self.seed, 9, number))
        weights = 1 / (np.arange(VOCABULARY) + 2.7) ** 1.07  # Zipf and Mandelbrot
        size = min(BATCH, self.chunks - number * BATCH)
        return draws.choice(VOCABULARY, size=(size, WORDS), p=weights / weights.sum()).astype(np.int32)

    def batches(self) -> Iterator[tuple[int, Batch]]:
        """Each with the number of its first passage."""
        for number in range(-(-self.chunks // BATCH)):
            yield number * BATCH, self.batch(number)

    def questions(self, count: int, *, within: float = 1.0) -> list[tuple[str, NDArray[np.float32]]]:
        """Six of the rarer words of a passage, and a vector near that of another.

        Args:
            within: the share of the space of vectors, from its beginning, that is asked about.
        """
        draws = np.random.default_rng((self.seed, 7, int(within * 1_000_000)))
        asked: list[tuple[str, NDArray[np.float32]]] = []
        batches = -(-self.chunks // BATCH)
        for number in draws.permutation(batches):
            made, words = self.batch(number), self.words(number)
            inside = np.flatnonzero(made.places.repeat(PER_DOCUMENT)[: len(words)] < within)
            for other in draws.permutation(inside)[: max(count * 2 // batches, 5)]:
                row = words[draws.integers(len(words))]
                rare = np.unique(row[row > 100])
                chosen = draws.choice(rare, size=min(6, len(rare)), replace=False)
                vector = 0.75 * made.vectors[other].astype(np.float32) + 0.66 * directions(draws, 1)[0]
                asked.append((" ".join(f"w{word}" for word in chosen), unit(vector[None])[0]))
            if len(asked) >= count:
                break
        return asked[:count]


def unit(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def directions(draws: np.random.Generator, count: int) -> NDArray[np.float32]:
    """Of length 1; as with real embeddings, some dimensions say much more than others."""
    scale = np.arange(1, DIMENSIONS + 1, dtype=np.float32) ** -0.4
    return unit(draws.standard_normal((count, DIMENSIONS), np.float32) * scale)


def groups_of(place: float, chance: float) -> list[str]:
    """Who may read a document."""
    return [
        "all",
        *(f"spread-{name}" for name, share in SHARES.items() if chance < share),
        *(f"folder-{name}" for name, share in SHARES.items() if place < share),
    ]


def fill(database: Database, corpus: Corpus) -> int:
    """Write the corpus into an empty store; returns its embedding space."""
    with database.owning() as connection:
        space = storing.ensure_space(connection, SPACE, DIMENSIONS, SPACE)
    with psycopg.connect(database.conninfo, autocommit=True) as connection:
        connection.execute("set session_replication_role = replica")
        connection.execute("set synchronous_commit = off")
        (index,) = connection.execute(
            "select indexdef from pg_indexes where indexname = %s", (f"chunk_vector_hnsw_{space}",)
        ).fetchone() or ("",)
        connection.execute(f"drop index chunk_vector_hnsw_{space}")
        started = time.monotonic()
        for first, batch in corpus.batches():
            with connection.transaction():
                words = corpus.words(first // BATCH)
                _write(connection, batch, words, first, space, np.random.default_rng((corpus.seed, 8, first)))
            print(f"{first + len(words):,} chunks after {time.monotonic() - started:.0f} s", file=sys.stderr)
        connection.execute("set maintenance_work_mem = '4GB'")
        connection.execute("set max_parallel_maintenance_workers = 1")
        connection.execute(index)
        print(f"HNSW index after {time.monotonic() - started:.0f} s", file=sys.stderr)
        connection.execute("vacuum analyze")
    return space


def _write(
    connection: psycopg.Connection,
    batch: Batch,
    drawn: NDArray[np.int32],
    first: int,
    space: int,
    draws: np.random.Generator,
) -> None:
    size, documents = len(drawn), len(batch.places)
    (base,) = connection.execute("select take_positions(%s)", (size,)).fetchone() or (0,)
    (seg,) = connection.execute(
        "insert into lex_segment (first, last, chunks) values (%s, %s, %s) returning seg",
        (base, base + size - 1, size),
    ).fetchone() or (0,)
    document_ids = draws.integers(0, 256, (documents, 16), np.uint8)
    chunk_ids = draws.integers(0, 256, (size, 16), np.uint8)
    ids = [uuid.UUID(bytes=row.tobytes()) for row in document_ids]
    texts = [" ".join(f"w{word}" for word in row) for row in drawn.tolist()]
    with connection.cursor() as cursor:
        with cursor.copy("copy document (id, collection, source, title, owner, readers, current_version, chunks,"
                         " index_profile) from stdin") as copy:  # fmt: skip
            for at, one in enumerate(ids):
                groups = groups_of(batch.places[at], batch.chances[at])
                chunks = min(PER_DOCUMENT, size - at * PER_DOCUMENT)
                copy.write_row((one, "default", f"synthetic/{first // PER_DOCUMENT + at}.txt", "", "", groups, 1,
                                chunks, ""))  # fmt: skip
        with cursor.copy("copy version (document_id, number, sha256, parser_profile, title, media_type, language,"
                         " byte_count, canonical_text, text_sha256, warnings) from stdin") as copy:  # fmt: skip
            for at, one in enumerate(ids):
                whole = "\n".join(texts[at * PER_DOCUMENT : (at + 1) * PER_DOCUMENT])
                copy.write_row((one, 1, one.bytes * 2, "", "", "text/plain", "en", len(whole), whole, one.bytes * 2,
                                []))  # fmt: skip
        with cursor.copy("copy chunk (document_id, id, version, ordinal, position, start_offset, end_offset, heading,"
                         " text, text_hash, tokens, sentences) from stdin") as copy:  # fmt: skip
            start = 0
            for at, words in enumerate(texts):
                ordinal = at % PER_DOCUMENT
                start = start if ordinal else 0
                end = start + len(words)
                cuts = [start + len(words) * part // SENTENCES for part in range(SENTENCES + 1)]
                sentences = [offset for pair in pairwise(cuts) for offset in pair]
                copy.write_row((ids[at // PER_DOCUMENT], chunk_ids[at].tobytes().hex(), 1, ordinal, base + at, start,
                                end, [], words, chunk_ids[at].tobytes(), WORDS, sentences))  # fmt: skip
                start = end + 1
        with cursor.copy("copy chunk_vector (document_id, chunk_id, space, vector, sentence_vectors) from stdin"
                         " (format binary)") as copy:  # fmt: skip
            rows = _vector_rows(document_ids, chunk_ids, batch.vectors, space, draws)
            copy.write(COPY_HEADER + rows + COPY_END)
        with cursor.copy("copy lex_document (document_id, seg, first, chunks, tokens, analyzer, terms) from"
                         " stdin") as copy:  # fmt: skip
            for at, one in enumerate(ids):
                chunks = min(PER_DOCUMENT, size - at * PER_DOCUMENT)
                copy.write_row((one, seg, base + at * PER_DOCUMENT, chunks, chunks * WORDS, "1:en", []))
        with cursor.copy("copy lex_block (term, seg, ids, tf, dl) from stdin (format binary)") as copy:
            copy.write(COPY_HEADER + block_rows(drawn, base, seg) + COPY_END)


def _vector_rows(
    document_ids: NDArray[np.uint8],
    chunk_ids: NDArray[np.uint8],
    vectors: NDArray[np.float16],
    space: int,
    draws: np.random.Generator,
) -> bytes:
    """Rows as `copy ... (format binary)` takes them: number of fields, then length and bytes of each."""
    sentence_bytes = SENTENCES * DIMENSIONS
    rows = np.zeros(
        len(vectors),
        [("fields", ">i2"), ("n1", ">i4"), ("document", "u1", 16), ("n2", ">i4"), ("chunk", "u1", 16), ("n3", ">i4"),
         ("space", ">i2"), ("n4", ">i4"), ("dimensions", ">i2"), ("unused", ">i2"), ("vector", ">f2", DIMENSIONS),
         ("n5", ">i4"), ("sentences", "u1", sentence_bytes)],
    )  # fmt: skip
    rows["fields"], rows["n1"], rows["n2"], rows["n3"], rows["space"] = 5, 16, 16, 2, space
    rows["n4"], rows["dimensions"], rows["n5"] = 4 + 2 * DIMENSIONS, DIMENSIONS, sentence_bytes
    rows["document"] = document_ids.repeat(PER_DOCUMENT, axis=0)[: len(vectors)]
    rows["chunk"], rows["vector"] = chunk_ids, vectors
    rows["sentences"] = draws.integers(0, 256, (len(vectors), sentence_bytes), np.uint8)
    return rows.tobytes()


def block_rows(words: NDArray[np.int32], base: int, seg: int) -> bytes:
    """Passages (n, WORDS) as rows of `lex_block` for a binary copy; the first one is at position `base`."""
    keys, tf = np.unique(words.astype(np.int64) << 32 | np.arange(len(words))[:, None], return_counts=True)
    numbers, starts = np.unique(keys >> 32, return_index=True)
    ends = np.append(starts[1:], keys.size)
    ids = ((keys & 0xFFFFFFFF) + base).astype("<i4").tobytes()
    counts = tf.astype(np.uint8).tobytes()
    lengths = np.full(keys.size, WORDS, "<u2").tobytes()
    eight, packed = (8).to_bytes(4, "big"), seg.to_bytes(8, "big")
    rows = []
    for word, start, end in zip(numbers.tolist(), starts.tolist(), ends.tolist(), strict=True):
        fields = (f"en:w{word}".encode(), packed, ids[4 * start : 4 * end], counts[start:end],
                  lengths[2 * start : 2 * end])  # fmt: skip
        rows.append(b"\0\5" + b"".join(
            (eight if field is packed else len(field).to_bytes(4, "big")) + field for field in fields))  # fmt: skip
    return b"".join(rows)


def opened(url: str, chunks: int) -> tuple[Database, int]:
    """The store at an address and its synthetic space, filled first when the database is empty.

    Raises:
        SystemExit: it holds another number of chunks.
    """
    database = Database(url)
    database.migrate()
    with psycopg.connect(database.conninfo) as connection:
        (held,) = connection.execute("select coalesce(sum(chunks), 0) from lex_segment").fetchone() or (0,)
        space = connection.execute("select id from embedding_space where name = %s", (SPACE,)).fetchone()
    if space is not None and held == chunks:
        return database, int(space[0])
    if held:
        raise SystemExit(f"The database holds {held:,} chunks, not {chunks:,}. Name an empty one.")
    return database, fill(database, Corpus(chunks))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--database", required=True, help="its address; an empty one is filled")
    parser.add_argument("--chunks", type=int, default=100_000)
    arguments = parser.parse_args()
    opened(arguments.database, arguments.chunks)
    return 0


if __name__ == "__main__":
    sys.exit(main())
