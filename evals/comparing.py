"""Two runs case by case: what moved, by how much, whether that is more than chance, and at which stage.

Only cases that both runs have are compared; those that one lacks are named. A case to which a measure applies in one
run alone (it was answered there and not here) is left out of that measure and counted; NAME_of_answerable has it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Any, Final

from evals.answers_run import AnswersRun
from evals.intervals import Interval, bca_mean, holm, paired_randomization
from evals.measures import direction, per_case

SIGNIFICANT: Final = 0.05
EQUAL: Final = 1e-9
# What happened to a case, from the worst on: a case that moves down this list got better.
ORDER: Final = (
    "failed",
    "unscorable",
    "should have abstained",
    "not retrieved",
    "retrieved, not in context",
    "wrongly abstained",
    "in context, not used",
    "used, wrong",
    "used in part",
    "used",
    "rightly not answered",
)


@dataclass(frozen=True, slots=True)
class Difference:
    """One measure in two runs, over the cases that both have."""

    name: str
    before: float
    after: float
    n: int  # cases to which it applies in both
    only_in_one: int  # cases to which it applies in one alone
    mean: float  # after - before
    interval: Interval | None  # 95 %, BCa
    p: float  # two-sided Fisher randomisation
    p_holm: float  # of all measures that are compared
    effect: float | None  # mean / standard deviation of the differences (Cohen's d for pairs); None: they are all equal
    wins: int  # cases that got better
    losses: int
    ties: int

    @property
    def significant(self) -> bool:
        return self.p_holm < SIGNIFICANT

    @property
    def verdict(self) -> str:
        """'better', 'worse' or 'different' where that is more than chance, else 'no difference shown'."""
        if not self.significant:
            return "no difference shown"
        towards = direction(self.name) * (1 if self.mean > 0 else -1)
        return {1: "better", -1: "worse", 0: "different"}[towards]


@dataclass(frozen=True, slots=True)
class Moved:
    """A case that ended otherwise."""

    case_id: str
    type: str | None
    before: str  # failure classes
    after: str

    @property
    def better(self) -> bool:
        return ORDER.index(self.after) > ORDER.index(self.before)


@dataclass(frozen=True, slots=True)
class Comparison:
    before: str  # ids of runs
    after: str
    cases: int  # compared
    only_before: tuple[str, ...]  # ids of cases
    only_after: tuple[str, ...]
    differences: tuple[Difference, ...]
    by_type: Mapping[str, tuple[Difference, ...]]  # corrected within the type
    moved: tuple[Moved, ...]
    notes: tuple[str, ...]


def compare(before: AnswersRun, after: AnswersRun) -> Comparison:
    """Compare two runs, the former first.

    Source: Smucker, Allan and Carterette, CIKM 2007, for the test; Holm 1979 for the correction.
    """
    first = {one.case_id: one for one in before.records}
    second = {one.case_id: one for one in after.records}
    # a case that was another question then is another case, whatever its id
    shared = [
        case for case in first if case in second and first[case].outcome.answerable == second[case].outcome.answerable
    ]
    kinds = sorted({kind for case in shared if (kind := second[case].outcome.type)})
    pairs = [(first[case].outcome, second[case].outcome) for case in shared]
    moved = [
        Moved(case, second[case].outcome.type, first[case].failure_class, second[case].failure_class)
        for case in shared
        if first[case].failure_class != second[case].failure_class
    ]
    return Comparison(
        before=before.id,
        after=after.id,
        cases=len(shared),
        only_before=tuple(case for case in first if case not in shared),
        only_after=tuple(case for case in second if case not in shared),
        differences=differences(per_case([one for one, _ in pairs]), per_case([one for _, one in pairs]), set(shared)),
        by_type={
            kind: differences(
                per_case([one for one, other in pairs if other.type == kind]),
                per_case([other for _, other in pairs if other.type == kind]),
                {case for case in shared if second[case].outcome.type == kind},
            )
            for kind in kinds
        },
        moved=tuple(sorted(moved, key=lambda one: (one.better, one.case_id))),
        notes=tuple(_notes(before, after)),
    )


def differences(
    before: Mapping[str, Mapping[str, float]], after: Mapping[str, Mapping[str, float]], cases: set[str]
) -> tuple[Difference, ...]:
    """Each measure that both have, paired by case.

    Args:
        before, after: measure -> case -> value.
        cases: those to compare.
    """
    found: list[tuple[str, list[float], list[float], int]] = []
    for name in after:
        one, other = before.get(name, {}), after[name]
        both = [case for case in one if case in other and case in cases]
        if both:
            alone = len((set(one) ^ set(other)) & cases)
            found.append((name, [one[case] for case in both], [other[case] for case in both], alone))
    moves = [[y - x for x, y in zip(old, new, strict=True)] for _, old, new, _ in found]
    pvalues = [paired_randomization(move) for move in moves]
    corrected = holm(pvalues)
    made = []
    for (name, old, new, alone), move, p, p_holm in zip(found, moves, pvalues, corrected, strict=True):
        sign = direction(name) or 1
        wins = sum(each * sign > EQUAL for each in move)
        losses = sum(each * sign < -EQUAL for each in move)
        made.append(
            Difference(
                name, round(fmean(old), 6), round(fmean(new), 6), len(move), alone, round(fmean(move), 6),
                bca_mean(move), p, p_holm, _effect(move), wins, losses, len(move) - wins - losses,
            )
        )  # fmt: skip
    return tuple(made)


def _effect(move: Sequence[float]) -> float | None:
    spread = stdev(move) if len(move) > 1 else 0.0
    return round(fmean(move) / spread, 4) if spread > EQUAL else None


def _notes(before: AnswersRun, after: AnswersRun) -> list[str]:
    notes = []
    old, new = before.kept.facts, after.kept.facts
    if old.cases_sha256 != new.cases_sha256:
        notes.append("The cases come from different files, or the file changed: cases are paired by id.")
    if old.index_sha256 != new.index_sha256:
        notes.append("The documents are not the same.")
    if old.settings.get("judge") != new.settings.get("judge"):
        notes.append(
            f"The judges differ ({old.settings.get('judge')}, then {new.settings.get('judge')}): what they judge "
            "cannot be compared."
        )
    for name in sorted({*old.settings, *new.settings} - {"judge"}):
        if old.settings.get(name) != new.settings.get(name):
            notes.append(f"{name}: {old.settings.get(name) or '-'}, then {new.settings.get(name) or '-'}.")
    return notes


def comparison_json(found: Comparison) -> dict[str, Any]:
    return {
        "before": found.before,
        "after": found.after,
        "cases": found.cases,
        "only_before": list(found.only_before),
        "only_after": list(found.only_after),
        "measures": {one.name: _difference_json(one) for one in found.differences},
        "types": {kind: {one.name: _difference_json(one) for one in of} for kind, of in found.by_type.items()},
        "moved": [
            {"id": one.case_id, "type": one.type, "before": one.before, "after": one.after, "better": one.better}
            for one in found.moved
        ],
        "notes": list(found.notes),
    }


def comparison_table(found: Comparison) -> str:
    """For a person: the measures that moved at all, then the cases."""
    lines = [f"{found.before} -> {found.after}: {found.cases} cases that both have", ""]
    for cases, run in ((found.only_before, found.before), (found.only_after, found.after)):
        if cases:
            lines.append(f"left out, for only {run} has them: {', '.join(cases[:20])}" + ("..." * (len(cases) > 20)))
    lines += [f"- {note}" for note in found.notes]
    moving = [one for one in found.differences if one.wins or one.losses]
    still = len(found.differences) - len(moving)
    if moving:
        lines += [
            "",
            f"{'measure':<36}{'before':>9}{'after':>9}{'change':>9}  {'95 % interval':<20}{'p (Holm)':>9}"
            f"{'effect':>8}  won/lost/tied",
        ]
    for one in moving:
        span = "" if one.interval is None else f"{one.interval[0]:+.3f} to {one.interval[1]:+.3f}"
        effect = "" if one.effect is None else f"{one.effect:+.2f}"
        lines.append(
            f"{one.name:<36}{one.before:>9.4g}{one.after:>9.4g}{one.mean:>+9.3g}  {span:<20}{one.p_holm:>9.3f}"
            f"{effect:>8}  {one.wins}/{one.losses}/{one.ties}" + (f"  {one.verdict}" if one.significant else "")
        )
    lines += ["", f"{still} measures are the same in every case."]
    for moved in found.moved:
        lines.append(f"{'+' if moved.better else '-'} {moved.case_id}: {moved.before} -> {moved.after}")
    return "\n".join(lines)


def _difference_json(one: Difference) -> dict[str, Any]:
    return {
        "before": one.before,
        "after": one.after,
        "difference": one.mean,
        "interval": list(one.interval) if one.interval else None,
        "p": round(one.p, 5),
        "p_holm": round(one.p_holm, 5),
        "effect": one.effect,
        "n": one.n,
        "only_in_one": one.only_in_one,
        "wins": one.wins,
        "losses": one.losses,
        "ties": one.ties,
        "verdict": one.verdict,
    }
