"""Many readers at once, for minutes: throughput, waiting, memory, and whether each gets their own true answer.

    python -m evals.bench.askers [--seconds 300] [--askers 50] [--restart] [--write FILE.md]

The real wiring answers, in one process, from an embedded Postgres; a stand-in for the model streams 200 tokens
a second. With --restart the database is killed once in the middle; what is asked then may fail with a ServiceError, and
everything must be as before a little later. Every answer is looked at again: its quotations against the stored version,
its claims against what is true of the fact that its question asks for.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import os
import shutil
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import psutil

from assistant.bootstrap import Quoth, open_quoth
from evals.bench.asking import Asked, Stored, ask, is_kept, uncited
from evals.bench.invented_facts import Corpus, invented
from evals.bench.loopback_model import LoopbackModel
from evals.bench.model_modes import filled, percentile
from evals.bench.scripted_claims import Script
from ingest import postgres
from ingest.access import Reader
from ingest.errors import ServiceError

DOCUMENTS_FACTS: Final = 200
LOOK_EVERY_S: Final = 2.0
RECOVERED_WITHIN_S: Final = 60.0  # after the database went
PATIENCE_S: Final = 120.0  # for the last answers, when time is up


@dataclass(slots=True)
class Load:
    """What so many askers came to."""

    askers: int
    wall_s: float = 0.0
    elapsed_s: list[float] = field(default_factory=list)  # of each answer
    statuses: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    failed: Counter[str] = field(default_factory=Counter)  # by exception, while the database was away
    lost: list[str] = field(default_factory=list)  # at any other time
    memory_mb: list[tuple[float, float]] = field(default_factory=list)  # seconds since the start, resident size

    @property
    def answers(self) -> int:
        return len(self.elapsed_s)


def under_load(
    quoth: Quoth, corpus: Corpus, script: Script, *, askers: int, seconds: float,
    halfway: Callable[[], None] | None = None,
) -> Load:  # fmt: skip
    """Ask without a pause from so many threads, each as a reader of its own.

    Args:
        seconds: at least; with `halfway` until answers have come again, RECOVERED_WITHIN_S later at the latest.
        halfway: done once in the middle, when something was answered; from then on until RECOVERED_WITHIN_S later, a
            ServiceError is no loss.
    """
    load = Load(askers)
    questions = itertools.cycle([fact.question for fact in corpus.facts])
    lock = threading.Lock()
    started = time.monotonic()
    away: list[float] = []
    asked: list[tuple[float, Reader, Asked]] = []

    def is_back() -> bool:
        return bool(away) and any(one.answer is not None and at > away[0] for at, _, one in list(asked))

    def is_over() -> bool:
        now = time.monotonic()
        if halfway is None or is_back():
            return now >= started + seconds
        return now >= (away[0] if away else started + seconds) + RECOVERED_WITHIN_S

    def work(number: int) -> None:
        reader = Reader(f"asker-{number}", frozenset())
        while not is_over():
            with lock:
                question = next(questions)
            at = time.monotonic()
            one = ask(quoth, question, reader)
            with lock:
                asked.append((at, reader, one))
            if one.error is not None:
                time.sleep(0.2)  # a person would not ask again at once either

    def watch() -> None:
        process = psutil.Process()
        while not is_over():
            load.memory_mb.append((time.monotonic() - started, process.memory_info().rss / 1e6))
            if halfway is not None and not away and asked and time.monotonic() > started + seconds / 2:
                away.append(time.monotonic())
                halfway()
            time.sleep(min(LOOK_EVERY_S, seconds / 10))

    threads = [threading.Thread(target=work, args=(number,), daemon=True) for number in range(askers)]
    threads.append(threading.Thread(target=watch, daemon=True))
    for one in threads:
        one.start()
    for one in threads:
        one.join(max(0.0, started + seconds + 2 * RECOVERED_WITHIN_S + PATIENCE_S - time.monotonic()))
    load.wall_s = time.monotonic() - started
    load.lost += ["hung"] * sum(one.is_alive() for one in threads)
    if halfway is not None and not is_back():
        load.lost.append("the database did not come back")
    if not _comes_back(quoth):
        load.lost.append("the database does not answer at the end: nothing could be held against it")
        return load
    stored = Stored(quoth, Reader("auditor", frozenset()))
    for at, reader, each in list(asked):
        _judge(load, quoth, stored, corpus, script, at, reader, each, away[0] if away else None)
    return load


def _judge(
    load: Load, quoth: Quoth, stored: Stored, corpus: Corpus, script: Script, at: float, reader: Reader, one: Asked,
    away: float | None,
) -> None:  # fmt: skip
    answer = one.answer
    if answer is None:
        if away is not None and at + one.elapsed_s >= away and at < away + RECOVERED_WITHIN_S:
            load.failed[one.error or "?"] += 1
        else:
            load.lost.append(one.error or "no answer")
        return
    load.elapsed_s.append(one.elapsed_s)
    load.statuses[answer.status if answer.model != "quoted" else f"{answer.status}, quoted"] += 1
    true = set(script.drafted.get(one.question, ()))
    if answer.question != one.question:
        load.wrong.append(f"asked {one.question!r}, got an answer to {answer.question!r}")
    if stored.inexact(answer) or uncited(answer):
        load.wrong.append(f"{one.question!r}: a quotation is not exact, or a claim has none")
    if answer.model != "quoted" and not {claim.text for claim in answer.claims} <= true:
        load.wrong.append(f"{one.question!r}: a claim of another question")
    if not is_kept(quoth, answer, reader):
        load.lost.append("not kept")


def _comes_back(quoth: Quoth) -> bool:
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        with contextlib.suppress(ServiceError):
            quoth.ready()
            return True
        time.sleep(0.5)
    return False


def kill_postgres(home: Path) -> None:
    """kill -9 of the embedded server of this home, as the out-of-memory killer would."""
    status = postgres.status(home)
    if status.pid is None:
        raise RuntimeError("the embedded database does not run")
    psutil.Process(status.pid).kill()


def report(load: Load) -> str:
    if not load.elapsed_s:
        return "no answers"
    memory = [size for _, size in load.memory_mb]
    tenth = max(1, len(memory) // 10)
    return (
        f"| {load.askers} | {load.answers} | {load.answers / load.wall_s:.1f} | "
        f"{statistics.median(load.elapsed_s):.2f} / {percentile(load.elapsed_s, 0.95):.2f} | {len(load.wrong)} | "
        f"{len(load.lost)} | {sum(load.failed.values())} | "
        f"{statistics.mean(memory[tenth : 3 * tenth] or memory):.0f} / {max(memory):.0f} / {memory[-1]:.0f} |"
    )


HEAD: Final = (
    "| Askers | Answers | a second | p50 / p95 s | Wrong | Lost | Refused while the database was away "
    "| Memory at first / most / last, MB |\n| --- | --- | --- | --- | --- | --- | --- | --- |"
)


def measured(environ: Mapping[str, str], corpus: Corpus, *, askers: int, seconds: float, restart: bool = False) -> Load:
    """Open the store that the environment names, which holds the corpus, and put the load on it."""
    script = Script(corpus, "honest")
    with LoopbackModel(says=script.says, tokens_per_s=200, piece_chars=(20,)) as double:
        settings = {
            "QUOTH_MODELS": "gpt-6.1-terra",
            "QUOTH_RERANKER": "none",
            "OPENAI_API_KEY": "any",
            "OPENAI_BASE_URL": double.base_url,
        }
        with open_quoth({**environ, **settings}) as quoth:
            home = Path(environ["QUOTH_HOME"])
            quoth.pipeline.ensure_worker()  # as in `quoth up`: it starts a killed database again
            return under_load(
                quoth, corpus, script, askers=askers, seconds=seconds,
                halfway=(lambda: kill_postgres(home)) if restart else None,
            )  # fmt: skip


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=300)
    parser.add_argument("--askers", type=int, default=50)
    parser.add_argument("--restart", action="store_true", help="kill the database once in the middle")
    parser.add_argument("--write", type=Path, help="write the table to this file, too")
    arguments = parser.parse_args(argv)
    home = Path(tempfile.mkdtemp(prefix="quoth-askers-"))
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("QUOTH_", "OPENAI_"))}
    environ = {**kept, "QUOTH_HOME": str(home / "quoth")}
    corpus = invented(DOCUMENTS_FACTS, wordings="first", seed=5)
    try:
        filled(corpus, environ, home / "documents", lambda text: print(text, file=sys.stderr, flush=True))
        load = measured(environ, corpus, askers=arguments.askers, seconds=arguments.seconds, restart=arguments.restart)
    finally:
        postgres.remove(home / "quoth")
        shutil.rmtree(home, ignore_errors=True)
    text = f"{HEAD}\n{report(load)}"
    print(text)
    print(dict(load.statuses), dict(load.failed), Counter(load.lost), load.wrong[:5], file=sys.stderr)
    if arguments.write is not None:
        arguments.write.write_text(text + "\n", encoding="utf-8")
    return 1 if load.wrong or load.lost else 0


if __name__ == "__main__":
    sys.exit(main())
