"""A whole search at 100,000 chunks, a million and more, without a model's time: how it grows, and what it holds.

    python -m evals.bench.search_scale --database postgresql://... [--chunks 1000000] [--questions 60] [--core 0]

The store is synthetic (`evals.bench.synthetic_store`), filled first where the database is empty. The question's vector
is given and nothing re-ranks, so that what is timed is mask, lexical stage, dense stage, fusion and the loading of 100
and more hits with their text. A question's words and its vector have nothing to do with each other: the two stages
bring different chunks, which is the dearest case. With --core, this process and the database's are held to one core.
The first question of a process makes its mask and reads its postings; for the first after a restart of the database,
restart it and run this with --questions 0.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Literal, cast

import numpy as np
import psutil
import psycopg
from numpy.typing import NDArray

from evals.bench.synthetic_store import DIMENSIONS, SPACE, Corpus, opened
from ingest.access import Reader
from ingest.database import Database
from ingest.model import Embedder
from ingest.spaces import Space, Spaces
from retrieval.model import SearchResult
from retrieval.search import Search
from retrieval.settings import RetrievalSettings

READERS: Final = ("all", "spread-tenth", "spread-hundredth", "spread-thousandth", "folder-tenth")
STAGES: Final = ("mask", "lexical", "dense", "fuse", "total")


class Given:
    """An embedder that gives each question the vector it was told."""

    space, dimensions = SPACE, DIMENSIONS

    def __init__(self) -> None:
        self.vectors: dict[str, NDArray[np.float32]] = {}

    def embed(self, texts: Sequence[str], *, kind: Literal["query", "document"]) -> NDArray[np.float32]:
        return np.array([self.vectors[one] for one in texts])


class Fixed:
    """The one space there is."""

    def __init__(self, active: Space) -> None:
        self.active = active


class Backends:
    """The database's processes that serve this one."""

    def __init__(self, database: Database) -> None:
        self._connection = psycopg.connect(database.conninfo, autocommit=True)

    def pids(self) -> list[int]:
        rows = self._connection.execute(
            "select pid from pg_stat_activity where datname = current_database() and application_name = 'quoth'"
        )
        return [pid for (pid,) in rows]

    def cpu_ms(self) -> float:
        return sum(float(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e6 for pid in self.pids())

    def shared_mb(self) -> float:
        """What they hold of their own, without the buffers that all share."""
        return sum(psutil.Process(pid).memory_full_info().uss for pid in self.pids()) / 2**20


def asked(search: Search, backends: Backends, question: str, group: str) -> tuple[SearchResult, float]:
    """A result, and the processor ms of both sides."""
    before, used = backends.cpu_ms(), time.process_time()
    result = search.search(question, Reader("reader", frozenset({group})), k=10, stage="fused")
    return result, 1000 * (time.process_time() - used) + backends.cpu_ms() - before


def held_mb(search: Search) -> tuple[float, float]:
    """Masks and postings in memory."""
    kept = search._masks._kept.values()
    masks = sum(sum(rows.nbytes for rows in mask.ranges.values()) + mask.readable.nbytes for mask in kept)
    return masks / 2**20, search._lexical._cache._bytes / 2**20


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--database", required=True, help="its address; an empty one is filled")
    parser.add_argument("--chunks", type=int, default=1_000_000)
    parser.add_argument("--questions", type=int, default=60, help="of each reader")
    parser.add_argument("--readers", nargs="+", default=READERS)
    parser.add_argument("--core", type=int, help="the one to use")
    arguments = parser.parse_args()
    if arguments.core is not None:
        os.sched_setaffinity(0, {arguments.core})
    database, number = opened(arguments.database, arguments.chunks)
    given = Given()
    made = Corpus(arguments.chunks).questions(arguments.questions + 1)
    given.vectors.update(made)
    space = Space(number, DIMENSIONS, cast(Embedder, given))
    search = Search(database, cast(Spaces, Fixed(space)), None, RetrievalSettings())
    backends = Backends(database)
    process = psutil.Process()
    before_mb = process.memory_info().rss / 2**20
    database.migrate()
    with database.reading(Reader("reader", frozenset())):
        for pid in backends.pids():
            if arguments.core is not None:
                psutil.Process(pid).cpu_affinity([arguments.core])
    print(f"{arguments.chunks:,} chunks; vector given, nothing re-ranked; one core: {arguments.core is not None}")
    for group in arguments.readers:
        started = time.perf_counter()
        result, cpu_ms = asked(search, backends, made[0][0], group)
        print(f"first question of a reader of {group}: {1000 * (time.perf_counter() - started):.0f} ms on the clock,"
              f" {cpu_ms:.0f} of processor; mask {result.timings_ms['mask']:.0f}, lexical"
              f" {result.timings_ms['lexical']:.0f}, dense {result.timings_ms['dense']:.0f},"
              f" fuse {result.timings_ms['fuse']:.0f}; {len(result.hits)} hits")  # fmt: skip
    order = [(group, at) for group in arguments.readers for at in range(1, arguments.questions + 1)]
    random.Random(5).shuffle(order)
    spent: dict[str, list[list[float]]] = {group: [] for group in arguments.readers}
    for group, at in order:
        result, cpu_ms = asked(search, backends, made[at][0], group)
        spent[group].append([cpu_ms, *(result.timings_ms[stage] for stage in STAGES)])
    if order:
        print(
            f"{'p50 / p95, ms':20} {'processor':>15}" + "".join(f" {stage:>15}" for stage in STAGES) + "  on the clock"
        )
        for group, rows in spent.items():
            quantiles = np.percentile(np.array(rows), [50, 95], axis=0).T
            print(f"{group:20}" + "".join(f" {p50:7.1f}/{p95:7.1f}" for p50, p95 in quantiles))
    masks_mb, postings_mb = held_mb(search)
    print(f"memory: {before_mb:.0f} MB before, {process.memory_info().rss / 2**20:.0f} MB after; masks {masks_mb:.1f},"
          f" postings {postings_mb:.1f}; the database's process {backends.shared_mb():.0f} MB of its own")  # fmt: skip
    database.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
