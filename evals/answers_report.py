"""An answers run as JSON, as a table, and as a folder to look into."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from evals.answers_run import AnswersRun, CaseRun
from evals.measures import OF_ANSWERABLE, Measure, citations_per_answer
from ingest.errors import UsageError


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


def case_json(run: CaseRun) -> dict[str, Any]:
    """One case's record. Holds quotations: it is for who may read what the case's asker may read."""
    gold = run.outcome.gold
    return {
        "id": run.case.id,
        "type": run.case.type,
        "question": run.case.question,
        "answerable": run.case.answerable,
        "status": run.outcome.status,
        "class": run.failure_class,
        "text": run.text,
        "missing": run.missing,
        "model": run.model,
        "degraded": run.degraded,
        "answer": None if run.answer is None else str(run.answer),
        "citations": [
            {
                "marker": one.marker,
                "source": one.source,
                "page": one.page,
                "start": one.start,
                "end": one.end,
                "quote": one.quote,
                "matches_stored": seen.matches_stored,
                "in_context": seen.in_context,
            }
            for one, seen in zip(run.citations, run.outcome.citations, strict=True)
        ],
        "gold": [
            {
                **{name: value for name, value in asdict(wanted).items() if value is not None},
                "found": bool(seen.places),
                "in_context": seen.in_context,
                "ranks": dict(run.gold_ranks[at]) if at < len(run.gold_ranks) else {},
            }
            for at, (wanted, seen) in enumerate(zip(run.case.gold, gold, strict=False))
        ],
        "problems": list(run.problems),
        "elapsed_ms": run.elapsed_ms,
    }


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
