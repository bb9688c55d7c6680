"""A run of answers as JSON, as a table, as CSV, and as a folder to look into."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from assistant.model import Answer, AnswerId
from assistant.records import Answers
from evals.answers_run import AnswersRun
from evals.case_record import CaseRecord, report_json
from evals.case_scores import loss
from evals.cases import Case
from evals.measures import OF_ANSWERABLE, citations_per_answer
from evals.outcome import Measure
from evals.risk import risk_coverage
from evals.run_store import KeptRun
from ingest.access import LOCAL, Reader
from ingest.errors import UsageError

FINE = ("used", "rightly not answered")


def run_json(run: AnswersRun) -> dict[str, Any]:
    """The contract's JSON object of `quoth eval answers`."""
    return {
        "run": run.id,
        "measures": {name: measure_json(measure) for name, measure in run.measures.items()},
        "resources": {name: measure_json(measure) for name, measure in run.resources.items()},
        "cases": len(run.records),
        "statuses": dict(Counter(one.outcome.status for one in run.records)),
        "classes": dict(Counter(one.failure_class for one in run.records)),
        "citations_per_answer": citations_per_answer([one.outcome for one in run.records]),
        "latency_ms": {
            "p50": run.resources["latency_p50_ms"].value,
            "p95": run.resources["latency_p95_ms"].value,
        },
        "risk_coverage": _curve(run),
        "types": {
            kind: {name: measure_json(measure) for name, measure in of.items()} for kind, of in run.by_type.items()
        },
        **facts_json(run.kept),
        "notes": list(run.notes),
    }


def facts_json(kept: KeptRun) -> dict[str, Any]:
    """What was run, and on what."""
    facts = kept.facts
    return {
        "settings": dict(facts.settings),
        "cases_name": facts.cases_name,
        "cases_sha256": facts.cases_sha256,
        "index_sha256": facts.index_sha256,
        "code": facts.code,
        "seed": facts.seed,
        "started_at": kept.started_at.isoformat(),
        "finished_at": kept.finished_at.isoformat() if kept.finished_at else None,
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
        for name, measure in {**run.measures, **run.resources}.items()
    }


def run_csv(run: AnswersRun) -> str:
    """One row a case: what became of it, and its value in each measure; a cell is empty where one does not apply."""
    columns = {name: measure.per_case for name, measure in {**run.measures, **run.resources}.items()}
    shown = [name for name, values in columns.items() if values]
    out = io.StringIO()
    rows = csv.writer(out, lineterminator="\n")
    rows.writerow(["case", "type", "tags", "answerable", "status", "class", "model", *shown])
    for one in run.records:
        outcome = one.outcome
        values = [columns[name].get(one.case_id) for name in shown]
        facts = [outcome.type or "", " ".join(one.tags), outcome.answerable, outcome.status, one.failure_class]
        numbers = ["" if value is None else f"{value:.6g}" for value in values]
        rows.writerow([one.case_id, *facts, one.model, *numbers])
    return out.getvalue()


def run_table(run: AnswersRun) -> str:
    """The run for a person, as plain text."""
    statuses = Counter(one.outcome.status for one in run.records)
    lines = [
        f"run {run.id}: {len(run.records)} cases, "
        + ", ".join(f"{n} {status}" for status, n in statuses.most_common()),
        "",
        f"{'measure':<28}{'value':>8}  {'95 % interval':<18}{'n':>6}   of all answerable",
    ]
    for name, measure in run.measures.items():
        if name.endswith(OF_ANSWERABLE) or measure.value is None:
            continue
        beside = run.measures.get(name + OF_ANSWERABLE)
        lines.append(f"{name:<28}{_cells(measure)}   {_cells(beside).rstrip() if beside else ''}".rstrip())
    unmeasured = [name for name, one in run.measures.items() if one.value is None and not name.endswith(OF_ANSWERABLE)]
    if unmeasured:
        lines += ["", "no case for: " + ", ".join(unmeasured)]
    lines.append("")
    for name, measure in run.resources.items():
        if measure.value:
            lines.append(f"{name:<28}{measure.value:>12,.6g}")
    lines.append("")
    for kind, n in Counter(one.failure_class for one in run.records).most_common():
        lines.append(f"{n:>5}  {kind}")
    return "\n".join([*lines, "", *run.notes])


def words_of(answers: Answers, record: CaseRecord) -> Answer | None:
    """What a case was answered with, read as the operator; None where it is not kept any more."""
    if record.answer is None:
        return None
    try:
        owner = Reader(record.principal, frozenset(), reads_all=True, operator=LOCAL.name)
        return answers.get(owner, AnswerId(record.answer))
    except UsageError:
        return None


def report_lines(run: AnswersRun, answers: Answers, cases: Mapping[str, Case]) -> list[dict[str, Any]]:
    """One record a case with all that explains its result. They hold quotations."""
    return [report_json(one, cases.get(one.case_id), words_of(answers, one)) for one in run.records]


def write_report(run: AnswersRun, answers: Answers, cases: Mapping[str, Case], folder: Path) -> None:
    """`cases.jsonl`, one record a case with all that explains its result, `cases.csv` and `summary.md`.

    Raises:
        UsageError: the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lines = (json.dumps(one, ensure_ascii=False) + "\n" for one in report_lines(run, answers, cases))
        (folder / "cases.jsonl").write_bytes("".join(lines).encode())
        (folder / "cases.csv").write_bytes(run_csv(run).encode())
        (folder / "summary.md").write_bytes(summary(run).encode())
    except OSError as error:
        raise UsageError(f"The report cannot be written to {str(folder)!r} ({error.strerror}).") from error


def summary(run: AnswersRun) -> str:
    """The report's first page, in Markdown."""
    lines = [f"# Run {run.id}", "", f"{len(run.records)} cases. " + " ".join(run.notes), ""]
    lines += ["| measure | value | 95 % | n |", "|---|---|---|---|"]
    for name, measure in {**run.measures, **run.resources}.items():
        lines.append(f"| {name} | {number(measure.value)} | {_span(measure)} | {measure.n} |")
    lines += ["", "## What happened", "", "| class | cases |", "|---|---|"]
    lines += [f"| {kind} | {n} |" for kind, n in Counter(one.failure_class for one in run.records).most_common()]
    if run.by_type:
        shown = ("gold_citation_recall", "gold_citation_precision", "abstention_tpr", "abstention_fpr")
        lines += ["", "## By type", "", "| type | cases | " + " | ".join(shown) + " |", "|" + "---|" * (len(shown) + 2)]
        counts = Counter(one.outcome.type for one in run.records)
        for kind, of in run.by_type.items():
            lines.append(f"| {kind} | {counts[kind]} | " + " | ".join(number(of[name].value) for name in shown) + " |")
    lines += ["", "## Settings", ""]
    for name, value in facts_json(run.kept).items():
        if isinstance(value, dict):
            lines += [f"- {setting}: {given or '-'}" for setting, given in value.items()]
        else:
            lines.append(f"- {name}: {value or '-'}")
    wrong = [one for one in run.records if one.failure_class not in FINE]
    lines += ["", "## Cases to look at", ""] + [f"- {one.case_id}: {one.failure_class}" for one in wrong]
    return "\n".join(lines) + "\n"


def number(value: float | None) -> str:
    return "-" if value is None else (f"{value:.3f}" if abs(value) < 10 else f"{value:,.0f}")


def _curve(run: AnswersRun) -> list[list[float]]:
    answered = [one.outcome for one in run.records if one.outcome.answered]
    sure = [one.confidence for one in answered if one.confidence is not None]
    if not answered or len(sure) < len(answered):
        return []
    return [[round(x, 4), round(y, 4)] for x, y in risk_coverage(sure, [loss(one) for one in answered])]


def _cells(measure: Measure) -> str:
    return f"{number(measure.value):>8}  {_span(measure):<18}{measure.n:>6}"


def _span(measure: Measure) -> str:
    return "" if measure.interval is None else f"{measure.interval[0]:.3f} to {measure.interval[1]:.3f}"
