"""Measuring answers: all cases of a file, as JSON, as a table, and as a folder to look into."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from assistant.bootstrap import Quoth
from assistant.model import Checker
from evals.case_run import CaseRun, case_json, run_case
from evals.cases import read_cases
from evals.gold import GoldFinder
from evals.measures import OF_ANSWERABLE, Measure, citations_per_answer, measures
from ingest.access import Reader
from ingest.errors import UsageError

Progress = Callable[[str, str, int, int], None]  # case id, stage, done, total


@dataclass(frozen=True, slots=True)
class AnswersRun:
    id: str
    cases_sha256: str
    settings: Mapping[str, str]
    cases: tuple[CaseRun, ...]
    measures: Mapping[str, Measure]
    by_type: Mapping[str, Mapping[str, Measure]]
    notes: tuple[str, ...]


def evaluate_answers(
    quoth: Quoth, path: Path, *, reader: Reader, collection: str | None = None, progress: Progress | None = None
) -> AnswersRun:
    """Ask every case of a JSONL file and measure the answers.

    Args:
        reader: who asks the cases that name no groups; the others are asked by a reader with theirs alone.
        collection: what is searched, and where gold is looked for that names no collection.
        progress: called with a case's id, "asking", done, total.

    Raises:
        UsageError: the file cannot be read as cases.
        ServiceError: a service fails; nothing is measured of half a run.
    """
    cases = read_cases(path)
    report = progress or (lambda source, stage, done, total: None)
    finder = GoldFinder(quoth.catalog, collection)
    checker = quoth.checker
    quoth.embedder.embed(["warm"], kind="query")  # loading the model is not a case's latency
    runs = []
    for at, case in enumerate(cases):
        report(case.id, "asking", at, len(cases))
        runs.append(run_case(quoth, case, reader, collection, finder, checker))
    report("", "asking", len(cases), len(cases))
    outcomes = [run.outcome for run in runs]
    types = sorted({case.type for case in cases if case.type})
    return AnswersRun(
        id=uuid.uuid4().hex[:12],
        cases_sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        settings={
            "embedder": quoth.embedder.space,
            "reranker": quoth.settings.reranker,
            "checker": checker.name,
            "models": quoth.settings.models or "quoted",
            "collection": collection or "",
            "asked_by": reader.name,
        },
        cases=tuple(runs),
        measures=measures(outcomes),
        by_type={kind: measures([one for one in outcomes if one.type == kind]) for kind in types},
        notes=tuple(_notes(runs, checker)),
    )


def _notes(runs: Sequence[CaseRun], checker: Checker) -> list[str]:
    notes = [
        "NAME is over the cases that were answered, NAME_of_answerable over all answerable ones, where an abstention "
        "scores 0.",
        f"citation_* take the support checker ({checker.name}) for the judge, which also decided what was shown: they "
        "say that citations are complete and not idle, not that the checker is right.",
    ]
    if any(run.model == "quoted" and run.outcome.answered for run in runs):
        notes.append("Quoted answers repeat the documents' own sentences: their support is by construction.")
    unscorable = [run.case.id for run in runs if run.problems]
    if unscorable:
        notes.append(f"{len(unscorable)} cases with a problem, see the report: {', '.join(unscorable[:20])}.")
    return notes


def run_json(run: AnswersRun) -> dict[str, Any]:
    """The contract's JSON object of `quoth eval answers`."""
    elapsed = [one.elapsed_ms for one in run.cases if one.outcome.status != "failed"]
    return {
        "run": run.id,
        "measures": {name: measure_json(measure) for name, measure in run.measures.items()},
        "cases": len(run.cases),
        "statuses": dict(Counter(one.outcome.status for one in run.cases)),
        "classes": dict(Counter(one.failure_class for one in run.cases)),
        "citations_per_answer": citations_per_answer([one.outcome for one in run.cases]),
        "latency_ms": {
            "p50": round(float(np.percentile(elapsed, 50)), 1) if elapsed else None,
            "p95": round(float(np.percentile(elapsed, 95)), 1) if elapsed else None,
        },
        "types": {
            kind: {name: measure_json(measure) for name, measure in of.items()} for kind, of in run.by_type.items()
        },
        "settings": dict(run.settings),
        "cases_sha256": run.cases_sha256,
        "notes": list(run.notes),
    }


def measure_json(measure: Measure) -> dict[str, Any]:
    return {
        "value": measure.value,
        "n": measure.n,
        "interval": list(measure.interval) if measure.interval else None,
    }


def per_case_json(run: AnswersRun) -> dict[str, dict[str, float]]:
    """Each measure's value in each case: numbers and ids only, what a comparison of two runs needs."""
    return {
        name: {case: round(value, 6) for case, value in measure.per_case.items()}
        for name, measure in run.measures.items()
    }


def run_table(run: AnswersRun) -> str:
    """The run for a person, as plain text."""
    statuses = Counter(one.outcome.status for one in run.cases)
    lines = [
        f"run {run.id}: {len(run.cases)} cases, " + ", ".join(f"{n} {status}" for status, n in statuses.most_common()),
        "",
        f"{'measure':<26}{'value':>8}  {'95 % interval':<18}{'n':>6}   of all answerable",
    ]
    for name, measure in run.measures.items():
        if name.endswith(OF_ANSWERABLE):
            continue
        beside = run.measures.get(name + OF_ANSWERABLE)
        lines.append(f"{name:<26}{_cells(measure)}   {_cells(beside).rstrip() if beside else ''}".rstrip())
    lines.append("")
    for kind, n in Counter(one.failure_class for one in run.cases).most_common():
        lines.append(f"{n:>5}  {kind}")
    return "\n".join([*lines, "", *run.notes])


def write_report(run: AnswersRun, folder: Path) -> None:
    """`cases.jsonl`, one record a case with all that explains its result, and `summary.md`.

    Raises:
        UsageError: the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lines = (json.dumps(case_json(one), ensure_ascii=False) + "\n" for one in run.cases)
        (folder / "cases.jsonl").write_bytes("".join(lines).encode())
        (folder / "summary.md").write_bytes(summary(run).encode())
    except OSError as error:
        raise UsageError(f"The report cannot be written to {str(folder)!r} ({error.strerror}).") from error


def summary(run: AnswersRun) -> str:
    """The report's first page, in Markdown."""
    lines = [f"# Run {run.id}", "", f"{len(run.cases)} cases. " + " ".join(run.notes), ""]
    lines += ["| measure | value | 95 % | n |", "|---|---|---|---|"]
    for name, measure in run.measures.items():
        lines.append(f"| {name} | {_number(measure.value)} | {_span(measure)} | {measure.n} |")
    lines += ["", "## What happened", "", "| class | cases |", "|---|---|"]
    lines += [f"| {kind} | {n} |" for kind, n in Counter(one.failure_class for one in run.cases).most_common()]
    if run.by_type:
        shown = ("gold_citation_recall", "gold_citation_precision", "abstention_tpr", "abstention_fpr")
        lines += ["", "## By type", "", "| type | cases | " + " | ".join(shown) + " |", "|" + "---|" * (len(shown) + 2)]
        counts = Counter(one.case.type for one in run.cases)
        for kind, of in run.by_type.items():
            lines.append(f"| {kind} | {counts[kind]} | " + " | ".join(_number(of[name].value) for name in shown) + " |")
    lines += ["", "## Settings", ""] + [f"- {name}: {value or '-'}" for name, value in run.settings.items()]
    wrong = [one for one in run.cases if one.failure_class not in ("used", "rightly not answered")]
    lines += ["", "## Cases to look at", ""] + [f"- {one.case.id}: {one.failure_class}" for one in wrong]
    return "\n".join(lines) + "\n"


def _cells(measure: Measure) -> str:
    return f"{_number(measure.value):>8}  {_span(measure):<18}{measure.n:>6}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _span(measure: Measure) -> str:
    return "" if measure.interval is None else f"{measure.interval[0]:.3f} to {measure.interval[1]:.3f}"
