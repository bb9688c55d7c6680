"""What a run will take, told before it is begun and while it goes: seconds and US dollars."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from evals.case_record import from_json
from evals.cases import Case
from evals.run_store import RunFacts, Runs

LOOKED_AT: Final = 200  # records of a former run


@dataclass(frozen=True, slots=True)
class Estimate:
    """Of the cases that wait; None: nothing like it has run before."""

    cases: int
    questions: int  # with the earlier turns
    cost_usd: float | None
    case_s: float | None  # one after the other
    like: str | None = None  # the run that it is taken from

    @property
    def text(self) -> str:
        """For a person."""
        turns = f" ({self.questions} questions)" if self.questions != self.cases else ""
        if self.cost_usd is None or self.case_s is None:
            return f"{self.cases} cases{turns}; what they take shows with the first"
        cost = f" and {self.cost_usd:.2f} USD" if self.cost_usd else ""
        return f"{self.cases} cases{turns}, about {duration(self.case_s * self.cases)}{cost}, as run {self.like} took"


def estimated(runs: Runs, facts: RunFacts, waiting: Sequence[Case]) -> Estimate:
    """From the latest finished run with the same models, by what its cases took on average.

    Nothing is asked where no model is: quotations cost nothing.
    """
    questions = sum(1 + len(case.turns) for case in waiting)
    free = facts.settings.get("models") == "quoted"
    for former in runs.list():
        same = all(former.facts.settings.get(name) == facts.settings.get(name) for name in ("models", "system"))
        if former.finished_at is None or not same:
            continue
        records = [from_json(stored) for stored in list(runs.records(former.id).values())[:LOOKED_AT]]
        timed = [one.outcome.latency_ms for one in records if one.outcome.latency_ms is not None]
        if timed:
            each_usd = sum(one.outcome.cost_usd for one in records) / len(records)
            case_s = sum(timed) / len(timed) / 1000
            return Estimate(len(waiting), questions, each_usd * len(waiting), case_s, former.id)
    return Estimate(len(waiting), questions, 0.0 if free else None, None)


def running(elapsed_s: float, finished: int, waiting: int) -> float | None:
    """Seconds left, as the cases of this run have taken so far."""
    return elapsed_s / finished * (waiting - finished) if finished else None


def duration(seconds: float) -> str:
    """'40 s', '3 min', '2.5 h'."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
