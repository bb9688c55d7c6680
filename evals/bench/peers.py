"""Quoth against what a developer would otherwise take: LangChain's EnsembleRetriever and Haystack's hybrid.

    python -m evals.bench.peers BEIR_FOLDER --rival-python PATH [--skip haystack ...]

All run on one machine in one go, each in a process of its own, on the same passages, those that Quoth cut, with the
same vectors, those of Quoth's local model, and all embed the question with it. The questions are asked of all in turn,
in an order that changes. Quoth and LangChain's PGVector keep what they hold in one Postgres server, the one that
QUOTH_DATABASE_URL names or an embedded one, each in a new database; Haystack keeps it in memory, and loses it. Each way
indexes twice, once making the vectors and once with them given. With --store, a store in the same server that the
command `quoth eval retrieval` filled, Quoth searches a copy of it, the rivals get its passages and vectors, and only
their indexing with vectors given is timed; nobody else may use the store while it is copied.
Processor time is that of a way's process and of its database's backends. The rivals' Python needs packages of its own;
without them, they are named.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from math import ceil
from pathlib import Path
from statistics import mean, median
from typing import Any, Final

import numpy as np
import psutil
from sqlalchemy import create_engine, make_url, text
from sqlalchemy.pool import NullPool

from evals.beir import TestCollection, read_beir
from evals.bench.peer_process import RIVAL_PACKAGES, WAYS, read_passages
from evals.bench.peer_quoth import hand_over
from evals.retrieval_run import measured
from ingest import postgres
from ingest.database import Database
from ingest.local_embedding import LocalEmbedder

FEW: Final = 0.01  # share of the documents that the narrow reader may read
SHOWN: Final = 10  # passages that a search for somebody asks for
RANKED: Final = 100  # documents, for Recall@100
ADDED: Final = 5  # documents, one after the other
SETTLED_S: Final = 120.0  # at most, until an added document is found


class Peer:
    """One way's process, and its databases."""

    def __init__(self, way: str, python: str, threads: int, server: str) -> None:
        self.way = way
        self._server = server
        self.databases: list[str] = []
        root = str(Path(__file__).resolve().parents[2])
        environ = {**os.environ, "PYTHONPATH": root, "HAYSTACK_TELEMETRY_ENABLED": "False"}
        self._process = subprocess.Popen(
            [python, "-m", "evals.bench.peer_process", way, str(threads)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=environ,
        )
        first = self._answer()
        if "missing" in first:
            raise ImportError(first["missing"])

    def __call__(self, **command: Any) -> dict[str, Any]:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(command) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.way} ended with {self._process.wait()} before it answered.")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def index(self, folder: Path, *, embed: bool) -> float:
        """In a new database; returns seconds."""
        return float(self(do="index", folder=str(folder), database=self._new(), embed=embed)["index_s"])

    def open(self, folder: Path, store: str, collection: str) -> None:
        """A copy of a store."""
        self(do="open", folder=str(folder), database=self._new(make_url(store).database), collection=collection)

    def _new(self, copy_of: str | None = None) -> str:
        self.databases.append(f"peers_{secrets.token_hex(6)}")
        template = f' template "{copy_of}"' if copy_of else ""
        administer(self._server, f"create database {self.databases[-1]}{template}")
        database = make_url(self._server).set(database=self.databases[-1], drivername="postgresql")
        return database.render_as_string(hide_password=False)

    def backends(self) -> list[psutil.Process]:
        """The server's processes for the database in use; none where the server is another machine's."""
        found = administer(
            self._server, "select pid from pg_stat_activity where datname = :name", name=self.databases[-1]
        )
        return [psutil.Process(pid) for (pid,) in found if psutil.pid_exists(pid)]

    def backends_cpu_s(self) -> float:
        times = [one.cpu_times() for one in self.backends()]
        return sum(one.user + one.system for one in times)

    def memory_mb(self) -> tuple[float, float]:
        """Proportional set size of the process, and what its backends hold for themselves."""
        own = psutil.Process(self._process.pid).memory_full_info().pss / 1e6
        return own, sum(one.memory_full_info().uss for one in self.backends()) / 1e6

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(60)
        finally:
            self._process.kill()
            for database in self.databases:
                administer(self._server, f"drop database if exists {database} with (force)")


@dataclass(slots=True)
class Found:
    """What one way measured."""

    embedded_s: float | None = None
    given_s: float | None = None
    memory_mb: tuple[float, float] = (0.0, 0.0)
    scores: dict[str, float] = field(default_factory=dict)
    few_ms: list[float] = field(default_factory=list)  # SHOWN passages
    many_ms: list[float] = field(default_factory=list)  # as deep as RANKED documents need
    few_cpu_ms: float = 0.0
    added_s: list[float] = field(default_factory=list)
    adding_s: list[float] = field(default_factory=list)
    dense_recall: float = 0.0
    readable: float = 0.0  # passages of SHOWN that a narrow reader gets
    unreadable: float = 0.0  # fetched per search and dropped afterwards


def write_records(tests: TestCollection, folder: Path, seed: int) -> None:
    """records.jsonl, one document in a hundred readable by `few`, the others by `many`."""
    draws = random.Random(seed)
    few = set(draws.sample(range(len(tests.records)), max(SHOWN, round(FEW * len(tests.records)))))
    with (folder / "records.jsonl").open("w", encoding="utf-8") as file:
        for at, one in enumerate(tests.records):
            group = "few" if at in few else "many"
            file.write(json.dumps({"id": one.id, "title": one.title, "text": one.text, "group": group}) + "\n")


def in_turn(peers: Mapping[str, Peer], questions: Mapping[str, str]) -> Iterator[tuple[Peer, str, str]]:
    """Every question for every way, each time in another order."""
    ways = list(peers.values())
    for at, (name, question) in enumerate(questions.items()):
        for peer in (*ways[at % len(ways) :], *ways[: at % len(ways)]):
            yield peer, name, question
        print(f"\r{at + 1} of {len(questions)} questions ", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)


def measure_searches(
    peers: Mapping[str, Peer], found: Mapping[str, Found], tests: TestCollection, passages: int, timed: int
) -> None:
    scored = {query: tests.queries[query] for query in tests.scored}
    for peer, _, question in in_turn(peers, dict(list(scored.items())[:10])):
        peer(do="search", question=question, k=SHOWN)  # what is opened once is no question's latency
    cpu: dict[str, float] = dict.fromkeys(peers, 0.0)
    before = {way: peer.backends_cpu_s() for way, peer in peers.items()}
    for peer, _, question in in_turn(peers, dict(list(scored.items())[:timed])):
        answer = peer(do="search", question=question, k=SHOWN)
        found[peer.way].few_ms.append(answer["wall_s"] * 1000)
        cpu[peer.way] += answer["cpu_s"]
    for way, peer in peers.items():
        in_server = peer.backends_cpu_s() - before[way]
        found[way].few_cpu_ms = 1000 * (cpu[way] + in_server) / len(found[way].few_ms)
        found[way].memory_mb = peer.memory_mb()
        print(f"{way}: {median(found[way].few_ms):.1f} ms, {found[way].few_cpu_ms:.1f} of processors", file=sys.stderr)
    depth = ceil(2 * RANKED * passages / len(tests.records))
    rankings: dict[str, dict[str, list[str]]] = {way: {} for way in peers}
    for peer, name, question in in_turn(peers, scored):
        answer = peer(do="search", question=question, k=depth)
        found[peer.way].many_ms.append(answer["wall_s"] * 1000)
        rankings[peer.way][name] = list(dict.fromkeys(source_of(one) for one in answer["ids"]))[:RANKED]
    for way, ranking in rankings.items():
        values = measured(tests.qrels, ranking, tests.scored)
        found[way].scores = {name: mean(of.values()) for name, of in values.items()}
        print(f"{way}: {found[way].scores}", file=sys.stderr)


def measure_narrow(
    peers: Mapping[str, Peer], found: Mapping[str, Found], folder: Path, questions: Sequence[str]
) -> None:
    """A reader of one document in a hundred: dense search against comparing every vector, and what a hybrid brings."""
    passages, vectors = read_passages(folder)
    few = [at for at, one in enumerate(passages) if one["group"] == "few"]
    names = {passages[at]["id"] for at in few}
    embedder = LocalEmbedder(threads=1)
    recalls: dict[str, list[float]] = {way: [] for way in peers}
    brought: dict[str, list[tuple[int, int]]] = {way: [] for way in peers}
    for peer, _, question in in_turn(peers, {question: question for question in questions}):
        cosines = vectors[few] @ embedder.embed([question], kind="query")[0]
        least = np.sort(cosines)[-SHOWN] - 0.002  # half precision and bytes change the order of near ties
        good = {passages[few[at]]["id"] for at in np.flatnonzero(cosines >= least)}
        dense = peer(do="search", question=question, k=SHOWN, group="few", dense=True)["ids"][:SHOWN]
        recalls[peer.way].append(len(good.intersection(dense)) / SHOWN)
        answer = peer(do="search", question=question, k=SHOWN, group="few")
        if not names.issuperset(answer["ids"]):
            raise RuntimeError(f"{peer.way} answered with a passage that the reader may not read.")
        brought[peer.way].append((len(answer["ids"][:SHOWN]), answer["unreadable"]))
    for way in peers:
        found[way].dense_recall = mean(recalls[way])
        found[way].readable = mean(readable for readable, _ in brought[way])
        found[way].unreadable = mean(unreadable for _, unreadable in brought[way])


def measure_adding(peers: Mapping[str, Peer], found: Mapping[str, Found]) -> None:
    """From handing over a document until a search brings it, its vector made and all."""
    for number in range(ADDED):
        for way, peer in peers.items():
            source, word = f"added-{number}", f"quiverstone{number}"
            said = f"The {word} ferry leaves the north quay at half past six and carries forty crates of lamp oil."
            started = time.perf_counter()
            adding_s = peer(do="add", source=source, text=said)["wall_s"]
            while True:
                ids = peer(do="search", question=f"When does the {word} ferry leave?", k=SHOWN)["ids"]
                if source in {source_of(one) for one in ids[:SHOWN]}:
                    break
                if time.perf_counter() - started > SETTLED_S:
                    raise RuntimeError(f"{way} does not find what was added {SETTLED_S:.0f} s before.")
            found[way].added_s.append(time.perf_counter() - started)
            found[way].adding_s.append(adding_s)


def source_of(passage: str) -> str:
    return passage.rpartition("@")[0]


def report(found: Mapping[str, Found], documents: int, passages: int, questions: int) -> None:
    with_vectors = any(one.embedded_s is not None for one in found.values())
    print(f"\n{documents} documents in {passages} passages; {questions} questions\n")

    def row(name: str, shown: Callable[[Found], str]) -> None:
        print(f"{name:54}" + "".join(f"{shown(one):>17}" for one in found.values()))

    print(f"{'':54}" + "".join(f"{way:>17}" for way in found))
    row("nDCG@10", lambda one: f"{one.scores['nDCG@10']:.3f}")
    row("Recall@100", lambda one: f"{one.scores['Recall@100']:.3f}")
    row(f"ms for {SHOWN} passages, p50", lambda one: f"{np.percentile(one.few_ms, 50):.1f}")
    row(f"ms for {SHOWN} passages, p95", lambda one: f"{np.percentile(one.few_ms, 95):.1f}")
    row(f"processor ms for {SHOWN} passages, backends included", lambda one: f"{one.few_cpu_ms:.1f}")
    row(f"ms for {RANKED} documents, p50", lambda one: f"{np.percentile(one.many_ms, 50):.1f}")
    row("s to index, vectors given", lambda one: _seconds(one.given_s))
    if with_vectors:
        row("s to index, vectors made", lambda one: _seconds(one.embedded_s))
    row("MB of its process after its searches", lambda one: f"{one.memory_mb[0]:.0f}")
    row("MB of its database's backends for themselves", lambda one: f"{one.memory_mb[1]:.0f}")
    row("ms until an added document is found", lambda one: f"{1000 * median(one.added_s):.0f}")
    row("  of these, adding it", lambda one: f"{1000 * median(one.adding_s):.0f}")
    row("reader of 1 %: recall@10 of dense search against exact", lambda one: f"{one.dense_recall:.3f}")
    row(f"  passages that the hybrid brings, of {SHOWN}", lambda one: f"{one.readable:.1f}")
    row("  unreadable ones fetched, to be dropped by the caller", lambda one: f"{one.unreadable:.1f}")
    print(
        "\nIndexing: Quoth cuts, analyses and stores document by document, each in a durable transaction, and keeps a"
    )
    print("vector for every sentence too; LangChain stores 1,000 passages a transaction and builds BM25 in memory;")
    print("Haystack fills memory. The rivals get passages that are cut already.")


def _seconds(elapsed_s: float | None) -> str:
    return "-" if elapsed_s is None else f"{elapsed_s:.1f}"


@contextmanager
def server_of(environ: Mapping[str, str]) -> Iterator[str]:
    """The server that QUOTH_DATABASE_URL names, or an embedded one of this run."""
    if environ.get("QUOTH_DATABASE_URL"):
        yield environ["QUOTH_DATABASE_URL"]
        return
    with tempfile.TemporaryDirectory(prefix="quoth-peers-") as home:
        try:
            yield postgres.start(Path(home)).url
        finally:
            postgres.remove(Path(home))


def administer(server: str, statement: str, **values: str) -> list[Any]:
    engine = create_engine(make_url(server).set(drivername="postgresql+psycopg"), poolclass=NullPool)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        done = connection.execute(text(statement), values)
        return list(done) if done.returns_rows else []


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="a test collection in BEIR form")
    parser.add_argument("--rival-python", required=True, help="the Python that has LangChain and Haystack")
    parser.add_argument("--skip", nargs="*", choices=WAYS[1:], default=[], help="rivals to leave out")
    parser.add_argument("--store", metavar="URL", help="a store that `quoth eval retrieval` filled")
    parser.add_argument("--timed", type=int, default=300, help="questions whose searches are timed (300)")
    parser.add_argument("--questions", type=int, help="at most (all)")
    parser.add_argument("--narrow", type=int, default=100, help="questions of the narrow reader (100)")
    parser.add_argument("--seed", type=int, default=7)
    arguments = parser.parse_args(argv)
    tests = read_beir(arguments.folder)
    if arguments.questions:
        kept = tests.scored[: arguments.questions]
        tests = TestCollection(
            tests.name, tests.records, tests.empty, {one: tests.queries[one] for one in kept},
            {one: tests.qrels[one] for one in kept}, tests.collection,
        )  # fmt: skip
    ways = [way for way in WAYS if way not in arguments.skip]
    found = {way: Found() for way in ways}
    threads = os.cpu_count() or 1
    with (
        tempfile.TemporaryDirectory(prefix="quoth-peers-") as scratch,
        server_of(os.environ) as server,
        ExitStack() as open_,
    ):
        folder = Path(scratch)
        write_records(tests, folder, arguments.seed)

        def opened(way: str) -> Peer:
            return Peer(way, sys.executable if way == "quoth" else arguments.rival_python, threads, server)

        try:
            for way in ways[1:]:
                opened(way).close()  # before anything takes its time
        except ImportError as error:
            print(f"A rival cannot be loaded: {error}. The rivals need, in a Python of their own:", file=sys.stderr)
            print("  " + "\n  ".join(RIVAL_PACKAGES), file=sys.stderr)
            print("Name that Python with --rival-python.", file=sys.stderr)
            return 2
        if arguments.store:
            database = Database(arguments.store)
            try:
                hand_over(database, tests.collection, folder)
            finally:
                database.close()
        for way in ways if not arguments.store else ():
            if way == "langchain-tuned":
                continue  # embeds as the other does
            peer = opened(way)
            try:
                found[way].embedded_s = peer.index(folder, embed=True)
            finally:
                peer.close()
            print(f"{way}: indexed, vectors made, {found[way].embedded_s:.1f} s", file=sys.stderr)
        peers: dict[str, Peer] = {}
        for way in ways:
            peers[way] = opened(way)
            open_.callback(peers[way].close)
            if arguments.store and way == "quoth":
                peers[way].open(folder, arguments.store, tests.collection)
                continue
            found[way].given_s = peers[way].index(folder, embed=False)
            print(f"{way}: indexed, vectors given, {found[way].given_s:.1f} s", file=sys.stderr)
        passages = len(read_passages(folder)[0])
        measure_searches(peers, found, tests, passages, arguments.timed)
        measure_adding(peers, found)
        measure_narrow(peers, found, folder, [tests.queries[one] for one in tests.scored[: arguments.narrow]])
    report(found, len(tests.records), passages, len(tests.scored))
    return 0


if __name__ == "__main__":
    sys.exit(main())
