"""Measuring answers: all cases of a file, several at a time, each kept as it is done: a run can be gone on with."""

from __future__ import annotations

import hashlib
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from assistant.bootstrap import Quoth
from assistant.model import Checker
from evals.case_files import read_case_file
from evals.case_record import CaseRecord, from_json, to_json
from evals.case_run import CaseRunner
from evals.cases import Case
from evals.estimating import Estimate, estimated, running
from evals.gold import GoldFinder, LocatedGold
from evals.intervals import SEED
from evals.measures import measures, resources
from evals.outcome import Measure
from evals.run_store import KeptRun, RunFacts, Runs, code_digest
from evals.systems import QuothSystem, System
from ingest.access import Reader
from ingest.catalog import Catalog
from ingest.errors import UsageError

READERS_KEPT: Final = 64  # whose readable documents are remembered during a run
PACKAGES: Final = ("ingest", "retrieval", "assistant", "evals")


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is, for who watches."""

    case: str  # the one done last
    done: int
    total: int
    elapsed_s: float
    left_s: float | None  # None: not known yet
    cost_usd: float


@dataclass(frozen=True, slots=True)
class AnswersRun:
    """A whole run, computed from its records."""

    kept: KeptRun
    records: tuple[CaseRecord, ...]  # in the order of the cases
    measures: Mapping[str, Measure]
    resources: Mapping[str, Measure]
    by_type: Mapping[str, Mapping[str, Measure]]
    notes: tuple[str, ...]

    @property
    def id(self) -> str:
        return self.kept.id

    @property
    def settings(self) -> Mapping[str, Any]:
        return self.kept.facts.settings

    def measure(self, name: str) -> Measure | None:
        return self.measures.get(name) or self.resources.get(name)


@dataclass(frozen=True, slots=True)
class RunOptions:
    """How a run is done; none of it changes what it finds."""

    workers: int = 1
    resume: str | None = None  # a run's id
    fresh: bool = False  # begin anew, also where an unfinished run would do
    announce: Callable[[Estimate, KeptRun], None] = lambda estimate, run: None
    progress: Callable[[Progress], None] = lambda progress: None  # what it raises ends the run; what is done is kept


@dataclass(frozen=True, slots=True)
class Asking:
    """What is asked, by whom, and who judges.

    Args:
        reader: who asks the cases that name no groups; the others are asked by a reader with theirs alone.
        collection: what is searched, and where gold is looked for that names no collection.
        judge: what judges support; None: the support checker that also decided what was shown.
        system: what answers; None: Quoth.
    """

    reader: Reader
    collection: str | None = None
    judge: Checker | None = None
    system: System | None = None
    extra_facts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class GivenCases:
    """Cases to run, and what they are called and recognised by."""

    name: str
    sha256: str
    cases: tuple[Case, ...]


class FactsChanged(UsageError):
    """A run cannot be gone on with: what decides its results is not what it was."""


def evaluate_answers(quoth: Quoth, path: Path, asking: Asking, options: RunOptions | None = None) -> AnswersRun:
    """Ask every case of a file and measure the answers.

    Each case is kept as soon as it is done. A run with the same facts that was killed is gone on with.

    Raises:
        UsageError: the file cannot be read as cases, or the run to go on with had others.
        ServiceError: a service fails; what is done is kept, and the same command goes on.
    """
    given = GivenCases(path.name, cases_digest(path), tuple(read_case_file(path)))
    return evaluate_cases(quoth, given, asking, options)


class Readable:
    """What readers may read, remembered for a run; looked up anew before anything is called a leak.

    A document may have been added since, which is no leak.
    """

    def __init__(self, catalog: Catalog, collection: str | None) -> None:
        self._catalog = catalog
        self._collection = collection
        self._seen: dict[Reader, frozenset[object]] = {}

    def all_of(self, reader: Reader, documents: AbstractSet[object]) -> bool:
        """Whether a reader may read every one of some documents."""
        if documents <= self._seen.get(reader, frozenset()):
            return True
        if len(self._seen) >= READERS_KEPT:
            self._seen.clear()
        now = frozenset(one.id for one in self._catalog.documents(reader, self._collection))
        self._seen[reader] = now
        return documents <= now


def evaluate_cases(quoth: Quoth, given: GivenCases, asking: Asking, options: RunOptions | None = None) -> AnswersRun:
    """As `evaluate_answers`, of cases from elsewhere.

    Raises:
        FactsChanged: the run to go on with found other cases, documents, settings or another program.
        RunIsHeld: another process works on it.
    """
    options = options or RunOptions()
    if not 1 <= options.workers <= 64:
        raise UsageError(f"{options.workers} workers are out of range. Use 1 to 64.")
    cases = given.cases
    system = asking.system or QuothSystem(quoth, asking.collection)
    judge = asking.judge or quoth.checker
    runs = Runs(quoth.database)
    facts = _facts(given, asking, system, judge, runs)
    kept = _begun(runs, facts, options)
    with runs.held(kept.id):
        done = {at: from_json(stored) for at, stored in runs.records(kept.id).items()}
        waiting = [(at, case) for at, case in enumerate(cases) if at not in done]
        options.announce(estimated(runs, facts, [case for _, case in waiting]), kept)
        if waiting:
            quoth.embedder.embed(["warm"], kind="query")  # loading the model is not a case's latency
        finder = GoldFinder(quoth.catalog, asking.collection)
        gold = {case.id: [finder.locate(one) for one in case.gold] if case.answerable else [] for _, case in waiting}
        runner = CaseRunner(quoth, system, asking.reader, judge, Readable(quoth.catalog, asking.collection).all_of)
        _work(runs, kept, runner, waiting, gold, done, len(cases), options)
        runs.finish(kept.id)
    return load_run(runs, kept.id)


def load_run(runs: Runs, reference: str) -> AnswersRun:
    """A kept run, measured by this program's measures; an unfinished one by the cases that are done.

    Raises:
        UsageError: there is no such run, or nothing of it is done.
    """
    kept = runs.find(reference)
    records = tuple(from_json(stored) for stored in runs.records(kept.id).values())
    if not records:
        raise UsageError(
            f"No case of run {kept.id!r} is done. Go on with it: quoth eval answers CASES --resume {kept.id}"
        )
    return measured(kept, records)


def measured(kept: KeptRun, records: Sequence[CaseRecord]) -> AnswersRun:
    """All that is computed from a run's records."""
    outcomes = [one.outcome for one in records]
    types = sorted({one.type for one in outcomes if one.type})
    return AnswersRun(
        kept=kept,
        records=tuple(records),
        measures=measures(outcomes),
        resources=resources(outcomes),
        by_type={kind: measures([one for one in outcomes if one.type == kind]) for kind in types},
        notes=tuple(_notes(kept, records)),
    )


def _facts(given: GivenCases, asking: Asking, system: System, judge: Checker, runs: Runs) -> RunFacts:
    root = Path(__file__).parents[1]
    return RunFacts(
        cases_name=given.name,
        cases_sha256=given.sha256,
        cases=len(given.cases),
        index_sha256=runs.index_state(asking.collection),
        code=code_digest([root / name for name in PACKAGES]),
        seed=SEED,
        settings={
            **system.facts,
            "judge": judge.name,
            "collection": asking.collection or "",
            "asked_by": asking.reader.name,
            "groups": sorted(asking.reader.groups),
            **asking.extra_facts,
        },
    )


def cases_digest(path: Path) -> str:
    """SHA-256 of the file, or of all files of a folder with their names."""
    if path.is_file():
        return hashlib.sha256(path.read_bytes()).hexdigest()
    digest = hashlib.sha256()
    for file in sorted(one for one in path.rglob("*") if one.is_file()):
        digest.update(str(file.relative_to(path)).encode() + b"\0" + hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()


def _begun(runs: Runs, facts: RunFacts, options: RunOptions) -> KeptRun:
    if options.resume is None:
        return (None if options.fresh else runs.unfinished(facts)) or runs.begin(facts)
    kept = runs.find(options.resume)
    if kept.finished_at is not None:
        raise UsageError(f"Run {kept.id!r} is finished. `quoth eval show {kept.id}` shows it.")
    if kept.facts.key != facts.key:
        changed = _changed(kept.facts, facts)
        raise FactsChanged(
            f"Run {kept.id!r} cannot be gone on with: {changed} changed since. Begin anew, without --resume."
        )
    return kept


def _changed(then: RunFacts, now: RunFacts) -> str:
    named = {
        "the cases": then.cases_sha256 != now.cases_sha256,
        "the documents": then.index_sha256 != now.index_sha256,
        "the program": then.code != now.code,
        "the settings": dict(then.settings) != dict(now.settings),
    }
    return " and ".join(name for name, differs in named.items() if differs) or "the seed"


def _work(
    runs: Runs,
    kept: KeptRun,
    runner: CaseRunner,
    waiting: Sequence[tuple[int, Case]],
    gold: Mapping[str, Sequence[LocatedGold]],
    done: dict[int, CaseRecord],
    total: int,
    options: RunOptions,
) -> None:
    started = time.perf_counter()
    cost_usd = sum(record.outcome.cost_usd for record in done.values())

    def one(at: int, case: Case) -> CaseRecord:
        record = runner.run(case, gold[case.id])
        runs.keep(kept.id, at, case.id, to_json(record))
        return record

    for finished, record in enumerate(_in_parallel(one, waiting, options.workers), 1):
        cost_usd += record.outcome.cost_usd
        elapsed_s = time.perf_counter() - started
        options.progress(
            Progress(
                record.case_id,
                total - len(waiting) + finished,
                total,
                elapsed_s,
                running(elapsed_s, finished, len(waiting)),
                cost_usd,
            )
        )


def _in_parallel(
    one: Callable[[int, Case], CaseRecord], waiting: Sequence[tuple[int, Case]], workers: int
) -> Iterator[CaseRecord]:
    """Records in the order of the cases, a bounded number of them under way; the first failure ends the rest."""
    with ThreadPoolExecutor(workers, thread_name_prefix="case") as pool:
        under_way: deque[Future[CaseRecord]] = deque()
        try:
            for at, case in waiting:
                under_way.append(pool.submit(one, at, case))
                if len(under_way) >= 2 * workers:
                    yield under_way.popleft().result()
            while under_way:
                yield under_way.popleft().result()
        finally:
            for future in under_way:
                future.cancel()


def _notes(kept: KeptRun, records: Sequence[CaseRecord]) -> list[str]:
    judge = kept.facts.settings.get("judge", "")
    notes = [
        "NAME is over the cases that were answered, NAME_of_answerable over all answerable ones, where an abstention "
        "scores 0."
    ]
    if judge == kept.facts.settings.get("checker"):
        notes.append(
            f"citation_* take the support checker ({judge}) for the judge, which also decided what was shown: they "
            "say that citations are complete and not idle, not that the checker is right. --judge names another."
        )
    if any(one.model == "quoted" and one.outcome.answered for one in records):
        notes.append("Quoted answers repeat the documents' own sentences: their support is by construction.")
    flawed = [one.case_id for one in records if one.problems]
    if flawed:
        notes.append(f"{len(flawed)} cases with a problem, see the report: {', '.join(flawed[:20])}.")
    lesser = sum(one.degraded for one in records)
    if lesser:
        notes.append(f"{lesser} cases were answered by a lesser path, such as re-ranking that ran out of time.")
    if len(records) < kept.facts.cases:
        notes.append(f"Only {len(records)} of {kept.facts.cases} cases are done.")
    return notes
