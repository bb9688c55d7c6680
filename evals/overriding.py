"""A run's measures with what people say became of its cases, beside those by the rules.

A verdict says what the outcome should have been, so the outcome is changed to one that the rules would call so, as far
as a verdict says; everything is then computed as ever. What no verdict touches stays as it was.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from evals.answers_run import AnswersRun, measured
from evals.case_record import CaseRecord
from evals.gold import Place
from evals.intervals import wilson
from evals.outcome import GoldSeen, Measure, Outcome
from evals.reviewing import Override
from ingest.model import DocumentId

RIGHT = ("used", "rightly not answered")
NO_GOLD = ("not retrieved", "retrieved, not in context", "in context, not used")
SHARE_RIGHT = "cases_right"  # by their class; the measure that every verdict moves


@dataclass(frozen=True, slots=True)
class Moved:
    """A measure that people's verdicts change."""

    name: str
    by_rules: Measure
    with_people: Measure


def verdicts(overrides: Mapping[str, Sequence[Override]]) -> dict[str, str]:
    """The verdict that stands of each case: the latest, unless it lets the rules' stand again."""
    latest = {case: said[-1].verdict for case, said in overrides.items() if said}
    return {case: verdict for case, verdict in latest.items() if verdict is not None}


def overridden(run: AnswersRun, overrides: Mapping[str, Sequence[Override]]) -> AnswersRun:
    """The run as people see it; the same run where nobody said anything of its cases."""
    said = verdicts(overrides)
    if not said.keys() & {one.case_id for one in run.records}:
        return run
    return measured(run.kept, [_as_said(one, said[one.case_id]) if one.case_id in said else one for one in run.records])


def moved(run: AnswersRun, people: AnswersRun) -> list[Moved]:
    """The measures that differ, the share of right cases first."""
    both = [Moved(SHARE_RIGHT, share_right(run), share_right(people))]
    both += [Moved(name, one, people.measures[name]) for name, one in run.measures.items()]
    return [one for one in both if (one.by_rules.value, one.by_rules.n) != (one.with_people.value, one.with_people.n)]


def share_right(run: AnswersRun) -> Measure:
    """Cases whose class says that nothing went wrong / all."""
    values = {one.case_id: float(one.failure_class in RIGHT) for one in run.records}
    hits = int(sum(values.values()))
    return Measure(round(hits / len(values), 4), len(values), wilson(hits, len(values)), values)


def _as_said(record: CaseRecord, verdict: str) -> CaseRecord:
    return replace(record, failure_class=verdict, outcome=_outcome(record.outcome, verdict))


def _outcome(outcome: Outcome, verdict: str) -> Outcome:
    if verdict in ("rightly not answered", "should have abstained"):
        return replace(outcome, answerable=False, gold=())
    changed = replace(outcome, answerable=True)
    if verdict == "used" and outcome.answered and outcome.citations:
        first = outcome.citations[0]  # what it cites is as good as the gold
        places = tuple(
            Place(DocumentId(one.document), one.version, one.span, one.span, one.pages) for one in outcome.citations
        )
        seen = outcome.gold[0] if outcome.gold else GoldSeen((), True)
        return replace(changed, gold=(replace(seen, places=places, in_context=first.in_context),))
    if verdict in NO_GOLD and outcome.answered:
        return replace(changed, citations=())
    return changed
