"""Several runs of the same cases side by side: each measure of each, and how the others differ from the first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from evals.answers_run import AnswersRun
from evals.comparing import compare, comparison_json, comparison_table


def side_by_side_json(names: Sequence[str], runs: Sequence[AnswersRun]) -> dict[str, Any]:
    """Measures by name and run, then each later run compared with the first, case by case."""
    return {
        "runs": {name: run.id for name, run in zip(names, runs, strict=True)},
        "measures": {
            measure: {name: _value(run, measure) for name, run in zip(names, runs, strict=True)}
            for measure in _measures(runs)
        },
        "compared": {
            f"{names[0]}, {name}": comparison_json(compare(runs[0], run))
            for name, run in zip(names[1:], runs[1:], strict=True)
        },
    }


def side_by_side_table(names: Sequence[str], runs: Sequence[AnswersRun]) -> str:
    """The same for a person."""
    measures = _measures(runs)
    rows = [("", *names), *((one, *(_shown(_value(run, one)) for run in runs)) for one in measures)]
    widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))]
    lines = []
    for name, *values in rows:
        cells = [value.rjust(width) for value, width in zip(values, widths[1:], strict=True)]
        lines.append("  ".join([name.ljust(widths[0]), *cells]))
    for name, run in zip(names[1:], runs[1:], strict=True):
        lines += ["", f"{names[0]} -> {name}, by the same cases", comparison_table(compare(runs[0], run))]
    return "\n".join(lines)


def _measures(runs: Sequence[AnswersRun]) -> list[str]:
    """In the order of the first run; what no run has a value for is left out."""
    named = dict.fromkeys(one for run in runs for one in (*run.measures, *run.resources))
    return [one for one in named if any(_value(run, one) is not None for run in runs)]


def _value(run: AnswersRun, name: str) -> float | None:
    measure = run.measure(name)
    return None if measure is None else measure.value


def _shown(value: float | None) -> str:
    return "-" if value is None else f"{value:,.4g}"
