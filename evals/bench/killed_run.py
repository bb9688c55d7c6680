"""A long run of the quoted answerer with a kill -9 in the middle: how long, how much memory, and that nothing is lost.

    python -m evals.bench.killed_run [--cases 1000] [--seed 1] [--workers 1]

The store that the environment names takes documents of invented facts in a scratch collection. The same cases are run
twice by `quoth eval answers`, each in a process of its own: once undisturbed, and once killed when half of them are
kept and begun again by the same command. Every case must then have exactly one record, what was kept before the kill
must stand as it was, and all must be equal to the undisturbed run's, but for times and the ids of answers.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from assistant.bootstrap import Quoth, open_quoth
from evals.beir import Record, TestCollection, index_beir
from evals.bench.invented_facts import Fact, invented
from evals.run_store import KeptRun, Runs

COLLECTION: Final = "eval-killed-run"
AT_ONCE: Final = 100  # facts of one invented corpus
UNANSWERABLE_EVERY: Final = 5  # a question about a subject that no document has
LOOK_EVERY_S: Final = 0.1
# nothing is to depend on how busy the machine is: what would be left out for lack of time is waited for
UNHURRIED: Final = {"QUOTH_RERANK_BUDGET_S": "120", "QUOTH_ANSWER_DEADLINE_S": "600"}
CHANCE: Final = ("timings_ms", "answer")  # of a record; and of its outcome the latency


@dataclass(frozen=True, slots=True)
class Part:
    """One process: until it was killed, or to its end."""

    minutes: float
    peak_mib: float  # of resident memory
    killed: bool


@dataclass(frozen=True, slots=True)
class Result:
    """What became of the disturbed run, beside the undisturbed one."""

    cases: int
    undisturbed: Part
    parts: tuple[Part, ...]  # of the disturbed run
    kept_at_kill: int
    records: int  # of the disturbed run, in the end
    lost: tuple[str, ...]  # cases without a record
    doubled: tuple[str, ...]  # cases with several
    done_again: tuple[str, ...]  # kept before the kill, and not what stands now
    different: tuple[str, ...]  # not what the undisturbed run has

    @property
    def whole(self) -> bool:
        return not (self.lost or self.doubled or self.done_again or self.different) and self.records == self.cases


def write_cases(folder: Path, cases: int, seed: int) -> tuple[Path, TestCollection]:
    """A file of cases, and the documents that answer four fifths of them."""
    absent = cases // UNANSWERABLE_EVERY
    texts, facts = _many(cases - absent, "first", seed)
    _, others = _many(absent, "held-out", seed)
    lines: list[dict[str, Any]] = [
        {"id": f"a{at:05}", "question": fact.question, "type": "fact",
         "gold": [{"source": fact.document, "quote": fact.sentence, "collection": COLLECTION}]}
        for at, fact in enumerate(facts)
    ]  # fmt: skip
    lines += [
        {"id": f"n{at:05}", "question": fact.question, "type": "absent", "answerable": False}
        for at, fact in enumerate(others)
    ]
    file = folder / "cases.jsonl"
    file.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    records = tuple(Record(name, name, text) for name, text in texts.items())
    return file, TestCollection("invented", records, 0, {}, {}, COLLECTION)


def _many(count: int, wordings: str, seed: int) -> tuple[dict[str, str], list[Fact]]:
    """So many facts, and their documents, of as many corpora as it takes: one has names for so many alone."""
    texts: dict[str, str] = {}
    facts: list[Fact] = []
    while len(facts) < count:
        seed += 1
        corpus = invented(min(AT_ONCE, count - len(facts)), wordings=wordings, seed=seed)
        texts |= {f"{seed}-{name}": text for name, text in corpus.texts.items()}
        facts += [replace(fact, document=f"{seed}-{fact.document}") for fact in corpus.facts]
    return texts, facts[:count]


def run_and_kill(environ: Mapping[str, str], cases: int, *, seed: int = 1, workers: int = 1) -> Result:
    """Run the cases twice, once with a kill in the middle; needs no more than the environment of a command."""
    told = {**environ, **UNHURRIED, "PYTHONPATH": str(Path(__file__).parents[2])}
    with tempfile.TemporaryDirectory() as folder, open_quoth(told) as quoth:
        file, documents = write_cases(Path(folder), cases, seed)
        index_beir(documents, quoth.pipeline, lambda source, stage, done, total: None)
        quoth.worker.stop()
        quoth.rest()  # its memory is not what is measured, and its processors are wanted
        command = [sys.executable, "-m", "ui.command", "eval", "answers", str(file), "--json"]
        command += ["--collection", COLLECTION, "--workers", str(workers)]
        runs = Runs(quoth.database)
        before = {one.id for one in _of(runs, file)}
        undisturbed = _to_the_end([*command, "--fresh"], told)
        (first,) = [one for one in _of(runs, file) if one.id not in before]
        process, started = _start([*command, "--fresh"], told), time.monotonic()
        try:
            half = _half_done(runs, file, {*before, first.id}, cases, process)
            process.send_signal(signal.SIGKILL)
        finally:
            if process.poll() is None:
                process.kill()
        cut = _part(process, started, killed=True)
        kept = runs.records(half.id)
        rest = _to_the_end(command, told)
        return _compared(quoth, cases, (undisturbed, cut, rest), first, half, kept)


def normal(record: Mapping[str, Any]) -> dict[str, Any]:
    """A record without what differs between any two runs."""
    made = {name: value for name, value in record.items() if name not in CHANCE}
    made["outcome"] = {name: value for name, value in record["outcome"].items() if name != "latency_ms"}
    return made


def _compared(
    quoth: Quoth, cases: int, parts: tuple[Part, Part, Part], first: KeptRun, second: KeptRun,
    kept: Mapping[int, Mapping[str, Any]],
) -> Result:  # fmt: skip
    runs = Runs(quoth.database)
    whole, again = runs.records(first.id), runs.records(second.id)
    names = [record["outcome"]["case_id"] for record in again.values()]
    expected = {record["outcome"]["case_id"] for record in whole.values()}
    undisturbed = {record["outcome"]["case_id"]: normal(record) for record in whole.values()}
    different = [
        record["outcome"]["case_id"]
        for record in again.values()
        if normal(record) != undisturbed.get(record["outcome"]["case_id"])
    ]
    return Result(
        cases=cases,
        undisturbed=parts[0],
        parts=parts[1:],
        kept_at_kill=len(kept),
        records=len(again),
        lost=tuple(sorted(expected - set(names))),
        doubled=tuple(sorted({name for name in names if names.count(name) > 1})),
        done_again=tuple(str(at) for at, record in kept.items() if again.get(at) != record),
        different=tuple(sorted(different)),
    )


def _of(runs: Runs, file: Path) -> list[KeptRun]:
    """The runs of these cases: others may be made in the same store meanwhile."""
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    return [one for one in runs.list() if one.facts.cases_sha256 == digest]


def _half_done(runs: Runs, file: Path, known: set[str], cases: int, process: subprocess.Popen[bytes]) -> KeptRun:
    while process.poll() is None:
        mine = [one for one in _of(runs, file) if one.id not in known]
        if mine and mine[0].done >= cases // 2:
            return mine[0]
        time.sleep(LOOK_EVERY_S)
    raise RuntimeError(f"the run ended with exit code {process.returncode} before half of it was done")


def _start(command: Sequence[str], environ: Mapping[str, str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(command, env=dict(environ), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def _to_the_end(command: Sequence[str], environ: Mapping[str, str]) -> Part:
    process, started = _start(command, environ), time.monotonic()
    part = _part(process, started, killed=False)
    if process.returncode:
        raise RuntimeError(f"the run ended with exit code {process.returncode}")
    return part


def _part(process: subprocess.Popen[bytes], started: float, *, killed: bool) -> Part:
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return Part((time.monotonic() - started) / 60, used.ru_maxrss / 1024, killed)


def table(result: Result) -> str:
    """For a person."""
    lines = [f"{result.cases} cases", f"undisturbed: {_words(result.undisturbed)}"]
    lines += [f"{'until the kill' if part.killed else 'gone on with'}: {_words(part)}" for part in result.parts]
    lines += [
        f"kept when it was killed: {result.kept_at_kill}; done again: {len(result.done_again)}",
        f"records in the end: {result.records}; lost: {len(result.lost)}; twice: {len(result.doubled)}",
        f"different from the undisturbed run: {len(result.different)} {' '.join(result.different[:10])}".rstrip(),
        "nothing was lost" if result.whole else "SOMETHING IS NOT AS IT SHOULD BE",
    ]
    return "\n".join(lines)


def _words(part: Part) -> str:
    return f"{part.minutes:.1f} min, at most {part.peak_mib:,.0f} MiB of memory"


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="A long run, killed in the middle: see the module.")
    parser.add_argument("--cases", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=1)
    given = parser.parse_args(argv)
    result = run_and_kill(os.environ, given.cases, seed=given.seed, workers=given.workers)
    print(table(result))
    return 0 if result.whole else 1


if __name__ == "__main__":
    sys.exit(main())
