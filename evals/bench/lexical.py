"""The lexical stage against rank-bm25 over all passages: processor time a question, at several shares readable.

    python -m evals.bench.lexical [--passages 100000 500000] [--questions 40]

The text is synthetic: words drawn by Zipf's law, passages of 160 words, twenty to a document. Segments are written as
the worker leaves them after merging, and fifty documents as they come. Each question goes to rank-bm25 and, for readers
of all, a tenth, a hundredth and a thousandth of the documents, to Quoth, in random order, so that both meet the same
machine. Processor time is that of this process, plus the mean of the database's process. Uses QUOTH_DATABASE_URL or an
embedded server of its own.
"""

from __future__ import annotations

import argparse
import functools
import os
import random
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import psutil
from numpy.typing import NDArray
from rank_bm25 import BM25Okapi
from sqlalchemy import Connection, insert, text

from assistant.bootstrap import Quoth, open_quoth
from evals.bench.synthetic_store import COPY_END, COPY_HEADER, block_rows
from ingest import postgres, schema, segments
from ingest.access import Reader
from ingest.database import Database
from retrieval.lexical import Lexical
from retrieval.mask import Masks

WORDS: Final = 160  # of a passage
VOCABULARY: Final = 200_000
PER_DOCUMENT: Final = 20
PER_SEGMENT: Final = 10_000
UNMERGED: Final = 50  # documents
SHARES: Final = {"all": 1.0, "tenth": 0.1, "hundredth": 0.01, "thousandth": 0.001}


@dataclass(frozen=True, slots=True)
class Passages:
    """Passages as rows of word numbers; terms are made where they are needed."""

    words: NDArray[np.int32]  # (passages, WORDS)

    def terms(self, row: int) -> list[str]:
        terms = _vocabulary()
        return [terms[word] for word in self.words[row].tolist()]


@functools.cache
def _vocabulary() -> list[str]:
    """Each term once in memory."""
    return [f"en:w{word}" for word in range(VOCABULARY)]


def passages(count: int, seed: int) -> Passages:
    draws = np.random.default_rng(seed)
    weights = 1 / (np.arange(VOCABULARY) + 2.7) ** 1.07  # Zipf and Mandelbrot
    return Passages(draws.choice(VOCABULARY, size=(count, WORDS), p=weights / weights.sum()).astype(np.int32))


def load(database: Database, corpus: Passages, already: int) -> None:
    """Write documents and postings from passage `already` on, straight into the tables."""
    chance = random.Random(already)
    count = len(corpus.words)
    with database.owning() as connection:  # rows cannot be copied into a table past its row security
        for start in range(already, count, PER_SEGMENT):
            end = min(start + PER_SEGMENT, count)
            whole = end - UNMERGED * PER_DOCUMENT if end == count else end
            first = connection.scalar(text("select take_positions(:n)"), {"n": end - start})
            _write(connection, corpus, chance, start, whole, int(first or 0))
            for at in range(whole, end, PER_DOCUMENT):
                document = _document(connection, chance)
                terms = [corpus.terms(row) for row in range(at, at + PER_DOCUMENT)]
                segments.put_in(connection, document, terms, int(first or 0) + at - start, "1:en")
    with database.owning() as connection:
        for table in ("lex_block", "lex_segment", "lex_document", "document"):
            connection.execute(text(f"analyze {table}"))


def _write(connection: Connection, corpus: Passages, chance: random.Random, start: int, end: int, first: int) -> None:
    if end <= start:
        return
    s = schema.lex_segment
    seg = connection.scalar(
        insert(s).values(first=first, last=first + end - start - 1, chunks=end - start).returning(s.c.seg)
    )
    rows = []
    for at in range(start, end, PER_DOCUMENT):
        size = min(PER_DOCUMENT, end - at)
        rows.append({"document_id": _document(connection, chance), "seg": seg, "first": first + at - start,
                     "chunks": size, "tokens": size * WORDS, "analyzer": "1:en", "terms": []})  # fmt: skip
    connection.execute(insert(schema.lex_document), rows)
    raw = connection.connection.driver_connection
    assert raw is not None
    into = "copy lex_block (term, seg, ids, tf, dl) from stdin (format binary)"
    with raw.cursor() as cursor, cursor.copy(into) as copy:
        copy.write(COPY_HEADER + block_rows(corpus.words[start:end], first, int(seg or 0)) + COPY_END)


def _document(connection: Connection, chance: random.Random) -> uuid.UUID:
    document = uuid.uuid4()
    draw = chance.random()
    readers = ["all", *(name for name, share in SHARES.items() if share < 1 and draw < share)]
    connection.execute(
        insert(schema.document).values(
            id=document, collection="default", source=str(document), title="", owner="", readers=readers,
            current_version=1, chunks=PER_DOCUMENT, index_profile="",
        )
    )  # fmt: skip
    return document


def questions(corpus: Passages, count: int) -> Iterator[list[str]]:
    """Six words of a passage, the rare ones rather than the frequent, as questions without stop words have."""
    chance = random.Random(3)
    for _ in range(count):
        words = corpus.words[chance.randrange(len(corpus.words))]
        chosen = sorted({int(word) for word in words if word > 100})
        yield [f"w{word}" for word in chance.sample(chosen, min(6, len(chosen)))]


def measure(quoth: Quoth, corpus: Passages, asked: Sequence[list[str]]) -> None:
    reference = BM25Okapi([corpus.terms(row) for row in range(len(corpus.words))], k1=1.2, b=0.75)
    readers = {name: Reader(f"reader-{name}", frozenset({name})) for name in SHARES}
    warm, masks = Lexical(), Masks()
    systems = ["rank-bm25", *(f"{heat}, readable: {name}" for name in SHARES for heat in ("warm", "cold"))]
    times: dict[str, list[float]] = {name: [] for name in systems}
    server_s = dict.fromkeys(systems, 0.0)  # the kernel counts it in hundredths: only the sum says something
    chance = random.Random(4)
    for at, question in enumerate(asked):
        for system in chance.sample(systems, len(systems)):
            if system == "rank-bm25":
                started = time.process_time()
                scores = reference.get_scores([f"en:{word}" for word in question])
                np.argpartition(-scores, 10)
                times[system].append(time.process_time() - started)
                continue
            heat, _, name = system.partition(", readable: ")
            lexical, known = (warm, masks) if heat == "warm" else (Lexical(), Masks())
            with quoth.database.reading(readers[name]) as connection:
                server = psutil.Process(connection.scalar(text("select pg_backend_pid()")) or 0)
                used, started = server.cpu_times(), time.process_time()
                mask = known.mask(connection, readers[name], None)
                lexical.search(connection, mask, " ".join(question), keep=100)
                spent, after = time.process_time() - started, server.cpu_times()
            if at:  # the first question makes the masks
                times[system].append(spent)
                server_s[system] += after.user - used.user + after.system - used.system
    base = float(np.median(times["rank-bm25"]))
    print(f"{len(corpus.words):,} passages, {len(asked)} questions; processor ms a question, p50 / p95, and p50 as a"
          " share of rank-bm25's")  # fmt: skip
    for system in systems:
        server_ms = 1000 * server_s[system] / len(times[system])
        p50, p95 = np.percentile(times[system], [50, 95]) * 1000 + server_ms
        print(f"  {system:28} {p50:8.2f} {p95:8.2f}   1/{1000 * base / p50:.0f}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--passages", type=int, nargs="+", default=[100_000, 500_000], help="sizes, rising")
    parser.add_argument("--questions", type=int, default=40)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="quoth-lexical-") as home:
        quoth = open_quoth({**os.environ, "QUOTH_HOME": home, "QUOTH_REBUILD": "no"})
        try:
            already = 0
            for count in sorted(arguments.passages):
                corpus = passages(count, 1)
                started = time.monotonic()
                load(quoth.database, corpus, already)
                print(f"{count:,} passages written after {time.monotonic() - started:.0f} s", file=sys.stderr)
                measure(quoth, corpus, list(questions(corpus, arguments.questions + 1)))
                already = count
        finally:
            quoth.close()
            if "QUOTH_DATABASE_URL" not in os.environ:
                postgres.remove(Path(home))
    return 0


if __name__ == "__main__":
    sys.exit(main())
