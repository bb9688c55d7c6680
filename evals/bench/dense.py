"""The dense stage against exact search: recall, route and time, for readers of all and of little.

    python -m evals.bench.dense --database postgresql://... [--chunks 100000] [--questions 40] [--exact-up-to 10000]

The store is synthetic (`evals.bench.synthetic_store`) and is filled first where the database is empty. Readers see all
of the documents, or a tenth, a hundredth, a thousandth: spread over all topics, or in a folder, that is side by side in
the space of vectors; a folder is asked about what is in it, and about anything. Questions of all readers come in random
order, so that all meet the same machine. Recall@10 is against numpy over the readable vectors as stored, in half
precision. Times are processor ms of this process and of the database's, and ms on the clock; the ratio is of processor
time to that of the reader of everything. Masks are made beforehand.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, cast

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, text

from evals.bench.synthetic_store import DIMENSIONS, PER_DOCUMENT, SHARES, Corpus, opened
from ingest.access import Reader
from ingest.database import Database
from ingest.model import Embedder
from ingest.spaces import Space
from retrieval.dense import EXACT_UP_TO, dense_search
from retrieval.mask import Masks

K: Final = 10
DEPTH: Final = 100  # hits that the stage brings, as in a search


@dataclass
class Asked:
    """What one reader asks, and what came of it."""

    group: str
    questions: NDArray[np.float32]  # (questions, DIMENSIONS)
    nearest: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))  # (questions, K) passages
    recalls: list[float] = field(default_factory=list)
    cpu_ms: list[float] = field(default_factory=list)
    clock_ms: list[float] = field(default_factory=list)
    routes: Counter[str] = field(default_factory=Counter)


def cases(corpus: Corpus, count: int) -> dict[str, Asked]:
    anything = np.array([vector for _, vector in corpus.questions(count)]).reshape(-1, DIMENSIONS)
    found = {"all": Asked("all", anything)}
    for name, share in SHARES.items():
        within = np.array([vector for _, vector in corpus.questions(count, within=share)]).reshape(-1, DIMENSIONS)
        found[f"{name}, spread"] = Asked(f"spread-{name}", anything)
        found[f"{name}, in a folder, asked about it"] = Asked(f"folder-{name}", within)
        found[f"{name}, in a folder, asked about anything"] = Asked(f"folder-{name}", anything)
    return found


def readable(group: str, places: NDArray[np.float64], chances: NDArray[np.float64]) -> NDArray[np.bool_]:
    where, _, name = group.partition("-")
    if where == "all":
        return np.ones(places.size, np.bool_)
    return (chances if where == "spread" else places) < SHARES[name]


def compare_exactly(corpus: Corpus, asked: Sequence[Asked]) -> None:
    """Find each question's nearest readable passages, a batch of them at a time."""
    best = [(np.zeros((len(one.questions), 0)), np.zeros((len(one.questions), 0), np.int64)) for one in asked]
    for first, batch in corpus.batches():
        vectors = unit_as_stored(batch.vectors)
        for at, one in enumerate(asked):
            inside = readable(one.group, batch.places, batch.chances).repeat(PER_DOCUMENT)[: len(vectors)]
            rows = np.flatnonzero(inside)
            cosines = unit_as_stored(one.questions.astype(np.float16)) @ vectors[rows].T
            scores = np.hstack([best[at][0], cosines])
            numbers = np.hstack([best[at][1], np.broadcast_to(rows + first, cosines.shape)])
            top = np.argsort(-scores, axis=1, kind="stable")[:, :K]
            best[at] = np.take_along_axis(scores, top, 1), np.take_along_axis(numbers, top, 1)
    for one, (_, numbers) in zip(asked, best, strict=True):
        one.nearest = numbers


def unit_as_stored(rows: NDArray[np.float16]) -> NDArray[np.float32]:
    exact = rows.astype(np.float32)
    return cast(NDArray[np.float32], exact / np.linalg.norm(exact, axis=1, keepdims=True))


def server_ms(connection: Connection) -> float:
    """Processor time of this connection's process; the scheduler's count, which is in nanoseconds."""
    pid = connection.scalar(text("select pg_backend_pid()"))
    return float(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e6


def measure(database: Database, space: Space, asked: Sequence[Asked], exact_up_to: int) -> None:
    masks = Masks()
    order = [(one, at) for one in asked for at in range(len(one.questions))]
    random.Random(2).shuffle(order)
    for warming in (True, False):
        for one, at in order[:: 10 if warming else 1]:
            reader = Reader("reader", frozenset({one.group}))
            with database.reading(reader) as connection:
                mask = masks.mask(connection, reader, None)
                before, used, started = server_ms(connection), time.process_time(), time.perf_counter()
                hits, route = dense_search(
                    connection, reader, mask, one.questions[at], space, None, k=DEPTH, exact_up_to=exact_up_to
                )
                clock_ms, spent = 1000 * (time.perf_counter() - started), time.process_time() - used
                cpu_ms = 1000 * spent + server_ms(connection) - before
            if not warming:
                found = {hit.position for hit in hits[:K]}
                one.recalls.append(len(found & set(one.nearest[at].tolist())) / max(one.nearest[at].size, 1))
                one.cpu_ms.append(cpu_ms)
                one.clock_ms.append(clock_ms)
                one.routes[route] += 1


def report(found: dict[str, Asked], chunks: int, exact_up_to: int) -> None:
    found = {name: one for name, one in found.items() if one.recalls}
    base = float(np.median(found["all"].cpu_ms))
    print(f"\n{chunks:,} chunks, exact up to {exact_up_to:,}; {DEPTH} hits a question")
    print(f"{'readable':42} {'recall@10':>9} {'least':>6} {'cpu ms p50':>10} {'p95':>7} {'clock p50':>9} {'p95':>7}"
          f" {'ratio':>6}  route")  # fmt: skip
    for name, one in found.items():
        cpu, clock = np.percentile(one.cpu_ms, [50, 95]), np.percentile(one.clock_ms, [50, 95])
        routes = ", ".join(f"{route} {count}" for route, count in one.routes.most_common())
        print(f"{name:42} {np.mean(one.recalls):9.3f} {min(one.recalls):6.2f} {cpu[0]:10.1f} {cpu[1]:7.1f}"
              f" {clock[0]:9.1f} {clock[1]:7.1f} {cpu[0] / base:6.2f}  {routes}")  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--database", required=True, help="its address; an empty one is filled")
    parser.add_argument("--chunks", type=int, default=100_000)
    parser.add_argument("--questions", type=int, default=40)
    parser.add_argument("--exact-up-to", type=int, nargs="+", default=[EXACT_UP_TO], help="routes to compare")
    arguments = parser.parse_args()
    database, number = opened(arguments.database, arguments.chunks)
    corpus = Corpus(arguments.chunks)
    space = Space(number, DIMENSIONS, cast(Embedder, None))  # nothing is embedded here
    found = cases(corpus, arguments.questions)
    compare_exactly(corpus, list(found.values()))
    for exact_up_to in arguments.exact_up_to:
        for one in found.values():
            one.recalls, one.cpu_ms, one.clock_ms, one.routes = [], [], [], Counter()
        measure(database, space, list(found.values()), exact_up_to)
        report(found, arguments.chunks, exact_up_to)
    database.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
