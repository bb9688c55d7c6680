"""How far two reviewers agree, and what their labels say of the judge and of the rate that it reports."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from evals.answers_run import AnswersRun
from evals.correcting import RATES, Corrected, JudgeRates, corrected_rates, rates_of
from evals.judging import labelled
from evals.reviewing import ClaimKey, Label, Labelled


@dataclass(frozen=True, slots=True)
class Agreement:
    """Two reviewers on the statements that both labelled."""

    one: str
    other: str
    n: int
    same: float  # share
    kappa: float | None  # Cohen's; None: both said one and the same of everything, so chance explains all


@dataclass(frozen=True, slots=True)
class JudgedByPeople:
    """A judge against people, over every run of theirs that it judged."""

    judge: str
    labels: int  # statements with a verdict of people
    disputed: int  # statements on which people are split; they count on neither side
    rates: JudgeRates


def cohen_kappa(one: Sequence[str], other: Sequence[str]) -> float | None:
    """(p_o - p_e) / (1 - p_e) over the same items in one order; None where p_e is 1, or there is no item.

    Source: Cohen, Educational and Psychological Measurement, 1960.
    """
    n = len(one)
    if not n:
        return None
    same = sum(a == b for a, b in zip(one, other, strict=True)) / n
    first, second = Counter(one), Counter(other)
    chance = sum(first[label] * second[label] for label in first) / n**2
    return None if chance >= 1 else (same - chance) / (1 - chance)


def agreements(labels: Sequence[Labelled]) -> list[Agreement]:
    """Each pair of reviewers with statements in common, those with most first. What was skipped is no label."""
    by_reviewer: dict[str, dict[ClaimKey, Label]] = {}
    for one in labels:
        if one.label != "skipped":
            by_reviewer.setdefault(one.reviewer, {})[one.key] = one.label
    found = []
    for a, b in combinations(sorted(by_reviewer), 2):
        both = sorted(by_reviewer[a].keys() & by_reviewer[b].keys())
        if both:
            first, second = [by_reviewer[a][key] for key in both], [by_reviewer[b][key] for key in both]
            same = sum(x == y for x, y in zip(first, second, strict=True)) / len(both)
            found.append(Agreement(a, b, len(both), same, cohen_kappa(first, second)))
    return sorted(found, key=lambda one: -one.n)


def settled(labels: Sequence[Labelled]) -> tuple[dict[ClaimKey, bool], int]:
    """Whether people say that a statement is supported, by their majority; and how many are split evenly.

    Support in part is not support: a judge that lets a half true statement through has erred.
    """
    votes: dict[ClaimKey, list[bool]] = {}
    for one in labels:
        if one.label != "skipped":
            votes.setdefault(one.key, []).append(one.label == "supported")
    split = [key for key, said in votes.items() if 2 * sum(said) == len(said)]
    return {key: 2 * sum(said) > len(said) for key, said in votes.items() if key not in split}, len(split)


def judges_by_people(runs: Sequence[AnswersRun], labels: Sequence[Labelled]) -> dict[str, JudgedByPeople]:
    """Each judge of these runs that people's labels say something of."""
    found: dict[str, JudgedByPeople] = {}
    for judge in sorted({judge_of(run) for run in runs}):
        own = {run.id: run for run in runs if judge_of(run) == judge}
        truth, disputed = settled([one for one in labels if one.key.run in own])
        said = {
            ClaimKey(run.id, record.case_id, at): claim.supported
            for run in own.values()
            for record in run.records
            for at, claim in enumerate(record.outcome.claims)
        }
        keys = [key for key in sorted(truth) if key in said]
        if keys:
            verdicts = [(1.0 if said[key] else 0.0, said[key]) for key in keys]
            rates = rates_of(labelled(verdicts, [truth[key] for key in keys]))
            found[judge] = JudgedByPeople(judge, len(keys), disputed, rates)
    return found


def corrected_support(run: AnswersRun, judges: Mapping[str, JudgedByPeople]) -> Corrected | None:
    """The share of a run's cited statements that are supported, with the judge's errors taken out; None without
    labels of its judge.
    """
    judge = judges.get(judge_of(run))
    if judge is None:
        return None
    return corrected_rates([one.outcome for one in run.records], judge.rates)[RATES[0]]


def judge_of(run: AnswersRun) -> str:
    return str(run.settings.get("judge", ""))
