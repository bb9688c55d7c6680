"""Whether a run is good enough to release: bars that its measures must clear, alone and against a former run.

A bars file is one JSON object, a bar for each measure that matters:

    {"gold_citation_recall": {"min": 0.85},
     "abstention_fpr": {"max": 0.1},
     "quote_match": {"min": 1.0},
     "citation_f1": {"max_drop": 0.02, "significant_drop": true},
     "types": {"table": {"gold_citation_recall": {"min": 0.6}}}}

`max_drop` is how much worse than the baseline the measure may be over the cases that both have, in its own unit and
direction; `significant_drop: true` fails what is worse by more than chance (after Holm over the bars that ask for it).
A measure without a value clears no bar.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final

from evals.answers_run import AnswersRun
from evals.comparing import SIGNIFICANT, Difference, compare
from evals.intervals import holm
from evals.measures import direction, measures, resources
from evals.outcome import Measure
from ingest.errors import UsageError

SAMPLE_BARS: Final = Path(__file__).parent / "bars.json"  # for the cases of the sample documents
NUMBERS: Final = ("min", "max", "max_drop")
TYPES: Final = "types"


@dataclass(frozen=True, slots=True)
class Bar:
    """What one measure must clear; None asks nothing."""

    measure: str
    type: str | None = None  # only the cases of this type
    min: float | None = None
    max: float | None = None
    max_drop: float | None = None
    significant_drop: bool = False

    @property
    def name(self) -> str:
        return f"{self.measure} of {self.type}" if self.type else self.measure


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was asked of one measure."""

    bar: Bar
    asked: str  # in words: "at least 0.85"
    value: float | None
    n: int
    met: bool
    why: str  # in words, when it is not met


@dataclass(frozen=True, slots=True)
class GateResult:
    run: str
    baseline: str | None
    checks: tuple[Check, ...]
    notes: tuple[str, ...] = ()

    @property
    def met(self) -> bool:
        return all(check.met for check in self.checks)


def known_measures() -> frozenset[str]:
    """Every name that a bar can have."""
    return frozenset({*measures(()), *resources(())})


def read_bars(path: Path) -> list[Bar]:
    """Read a bars file.

    Raises:
        UsageError: it cannot be read, names a measure that does not exist (the nearest is named), or asks for nothing.
    """
    try:
        content = json.loads(path.read_bytes().decode("utf-8-sig"))
    except OSError as error:
        raise UsageError(f"{str(path)!r} cannot be read ({error.strerror}). Check the path.") from error
    except ValueError as error:
        raise UsageError(f"{str(path)!r} is not JSON ({error}).") from error
    return bars_from(content, path.name)


def bars_from(content: object, where: str) -> list[Bar]:
    """Bars from a file's object. Raises as `read_bars`."""
    if not isinstance(content, dict):
        raise UsageError(f'{where} must be an object like {{"gold_citation_recall": {{"min": 0.85}}}}.')
    found = [_bar(name, asked, None, where) for name, asked in content.items() if name != TYPES]
    of_types = content.get(TYPES, {})
    if not isinstance(of_types, dict) or not all(isinstance(of, dict) for of in of_types.values()):
        raise UsageError(f'{where}: "types" must be an object of types, each with its bars.')
    found += [_bar(name, asked, kind, where) for kind, of in of_types.items() for name, asked in of.items()]
    if not found:
        raise UsageError(f"{where} holds no bar, and a gate that asks nothing stops nothing.")
    return found


def _bar(name: str, asked: object, kind: str | None, where: str) -> Bar:
    known = known_measures()
    if name not in known:
        near = get_close_matches(name, sorted(known), n=1, cutoff=0.0)
        raise UsageError(f"{where}: {name!r} is not a measure. Did you mean {near[0]!r}?")
    allowed = {*NUMBERS, "significant_drop"}
    if not isinstance(asked, dict) or not asked or set(asked) - allowed:
        raise UsageError(f"{where}: the bar of {name!r} must be an object with some of {', '.join(sorted(allowed))}.")
    for key in NUMBERS:
        value = asked.get(key, 0)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
            raise UsageError(f"{where}: {key!r} of {name!r} must be a number, not {value!r}.")
    significant = asked.get("significant_drop", False)
    if not isinstance(significant, bool):
        raise UsageError(f"{where}: 'significant_drop' of {name!r} must be true or false, not {significant!r}.")
    if direction(name) == 0 and ("max_drop" in asked or significant):
        raise UsageError(f"{where}: {name!r} is neither better nor worse for being higher. Give it min or max.")
    if kind is not None and ("max_drop" in asked or significant) and name in resources(()):
        raise UsageError(f"{where}: what cases take is compared over all of them, not for one type.")
    if not significant and not any(key in asked for key in NUMBERS):
        raise UsageError(f"{where}: the bar of {name!r} asks for nothing.")
    low, high, drop = (None if key not in asked else float(asked[key]) for key in NUMBERS)
    return Bar(name, kind, low, high, drop, significant)


def gate(run: AnswersRun, bars: Sequence[Bar], baseline: AnswersRun | None = None) -> GateResult:
    """Hold a run against its bars.

    Raises:
        UsageError: a bar compares with a baseline and none is given.
    """
    comparing = [bar for bar in bars if bar.max_drop is not None or bar.significant_drop]
    if comparing and baseline is None:
        raise UsageError(f"The bar of {comparing[0].name!r} compares with a former run. Give one: --baseline RUN.")
    checks = [check for bar in bars for check in _alone(bar, _measured(run, bar))]
    notes: list[str] = []
    if baseline is not None:
        found = compare(baseline, run)
        notes += found.notes
        left_out = (*found.only_before, *found.only_after)
        if left_out:
            notes.append(f"{len(left_out)} cases are in one of the two runs alone and were not compared.")
        overall = {one.name: one for one in found.differences}
        of_types = {kind: {one.name: one for one in of} for kind, of in found.by_type.items()}
        paired = {bar: (of_types.get(bar.type, {}) if bar.type else overall).get(bar.measure) for bar in comparing}
        checks += _against(paired)
    if len(run.records) < run.kept.facts.cases:
        asked = f"all {run.kept.facts.cases} cases done"
        why = f"only {len(run.records)} are"
        checks.append(Check(Bar("cases"), asked, float(len(run.records)), len(run.records), False, why))
    return GateResult(run.id, baseline.id if baseline else None, tuple(checks), tuple(notes))


def _measured(run: AnswersRun, bar: Bar) -> Measure:
    if bar.type is None:
        return run.measure(bar.measure) or Measure(None, 0, None)
    if bar.measure in run.resources:
        outcomes = [one.outcome for one in run.records if one.outcome.type == bar.type]
        return resources(outcomes)[bar.measure]
    return run.by_type.get(bar.type, {}).get(bar.measure, Measure(None, 0, None))


def _alone(bar: Bar, measure: Measure) -> list[Check]:
    checks = []
    for limit, asked, clears in (
        (bar.min, "at least", lambda value, limit: value >= limit),
        (bar.max, "at most", lambda value, limit: value <= limit),
    ):
        if limit is None:
            continue
        words = f"{asked} {limit:g}"
        if measure.value is None:
            checks.append(Check(bar, words, None, 0, False, "there is no case to measure it on"))
            continue
        met = bool(clears(measure.value, limit))
        why = "" if met else f"it is {measure.value:g}, of {measure.n}"
        checks.append(Check(bar, words, measure.value, measure.n, met, why))
    return checks


def _against(paired: Mapping[Bar, Difference | None]) -> list[Check]:
    tested = [bar for bar, one in paired.items() if bar.significant_drop and one is not None]
    corrected = dict(zip(tested, holm([one.p for bar in tested if (one := paired[bar])]), strict=True))
    checks = []
    for bar, one in paired.items():
        if bar.max_drop is not None:
            asked = f"at most {bar.max_drop:g} worse than before"
            if one is None:
                checks.append(Check(bar, asked, None, 0, False, "there is no case to compare it on"))
            else:
                drop = -one.mean * direction(bar.measure)
                met = drop <= bar.max_drop + 1e-9
                why = "" if met else f"{one.before:g} before, {one.after:g} now, of {one.n}"
                checks.append(Check(bar, asked, one.after, one.n, met, why))
        if bar.significant_drop:
            asked = "not worse by more than chance"
            if one is None:
                checks.append(Check(bar, asked, None, 0, False, "there is no case to compare it on"))
            else:
                worse = one.mean * direction(bar.measure) < 0 and corrected[bar] < SIGNIFICANT
                why = f"{one.before:g} before, {one.after:g} now, p = {corrected[bar]:.4f}" if worse else ""
                checks.append(Check(bar, asked, one.after, one.n, not worse, why))
    return checks


def gate_json(result: GateResult) -> dict[str, Any]:
    return {
        "run": result.run,
        "baseline": result.baseline,
        "met": result.met,
        "checks": [
            {
                "measure": one.bar.measure,
                "type": one.bar.type,
                "asked": one.asked,
                "value": one.value,
                "n": one.n,
                "met": one.met,
                "why": one.why or None,
            }
            for one in result.checks
        ],
        "notes": list(result.notes),
    }
