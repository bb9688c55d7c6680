"""What is measured of answers, over all cases: each measure says over which cases, and what a case scores.

Denominators are what was submitted: a failure counts as one and is never dropped. Citation measures come twice, over
the answered cases (NAME) and over all answerable ones, where an abstention scores 0 (NAME_of_answerable).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, Literal

import numpy as np

from evals import case_scores as of
from evals.intervals import bootstrap_mean, bootstrap_ratio, wilson
from evals.outcome import Measure, Outcome
from evals.risk import aurc
from retrieval.model import STAGES

OF_ANSWERABLE: Final = "_of_answerable"

Applies = Callable[[Outcome], bool]
Score = Callable[[Outcome], float]


@dataclass(frozen=True, slots=True)
class Mean:
    """A mean over cases."""

    score: Score
    applies: Applies = lambda outcome: True


@dataclass(frozen=True, slots=True)
class Ratio:
    """Items that count / items, over all cases; cases are resampled, for the items of one depend on one another."""

    hits: Score
    total: Score


def _has_gold(outcome: Outcome) -> bool:
    return outcome.answerable and bool(outcome.gold)


def _has_paged_gold(outcome: Outcome) -> bool:
    return outcome.answerable and any(place.pages for gold in outcome.gold for place in gold.places)


def _has_reference(outcome: Outcome) -> bool:
    return outcome.answerable and bool(outcome.reference)


def _gold_f1(outcome: Outcome, *, passage: bool) -> float:
    return of.harmonic(of.gold_precision(outcome, passage=passage), of.gold_recall(outcome, passage=passage))


def _page_f1(outcome: Outcome) -> float:
    return of.harmonic(of.gold_page_precision(outcome), of.gold_page_recall(outcome))


# over the answered cases, and again over all answerable ones
OF_ANSWERED: Final[Mapping[str, Mean]] = {
    "citation_precision": Mean(of.citation_precision),
    "citation_recall": Mean(of.citation_recall),
    "citation_f1": Mean(of.citation_f1),
    "weighted_citation_precision": Mean(of.weighted_precision),
    "weighted_citation_recall": Mean(of.weighted_recall),
    "gold_citation_precision": Mean(of.gold_precision, _has_gold),
    "gold_citation_recall": Mean(of.gold_recall, _has_gold),
    "gold_citation_f1": Mean(partial(_gold_f1, passage=False), _has_gold),
    "gold_passage_precision": Mean(partial(of.gold_precision, passage=True), _has_gold),
    "gold_passage_recall": Mean(partial(of.gold_recall, passage=True), _has_gold),
    "gold_passage_f1": Mean(partial(_gold_f1, passage=True), _has_gold),
    "gold_page_precision": Mean(of.gold_page_precision, _has_paged_gold),
    "gold_page_recall": Mean(of.gold_page_recall, _has_paged_gold),
    "gold_page_f1": Mean(_page_f1, _has_paged_gold),
    "answer_precision": Mean(of.answer_precision, _has_reference),
    "answer_recall": Mean(of.answer_recall, _has_reference),
    "answer_token_f1": Mean(lambda one: one.token_f1 or 0.0, lambda one: one.answerable and one.token_f1 is not None),
    "nugget_vital_strict": Mean(of.nugget_vital, lambda one: any(each.vital for each in one.nuggets)),
    "nugget_all": Mean(of.nugget_all, lambda one: bool(one.nuggets)),
}

RATIOS: Final[Mapping[str, Ratio]] = {
    # citations found word for word in the stored version / citations; must be 1
    "quote_match": Ratio(
        lambda one: sum(cited.matches_stored for cited in one.citations), lambda one: len(one.citations)
    ),
    # of these, inside what the answerer was given; must be 1
    "citation_validity": Ratio(
        lambda one: sum(cited.matches_stored and cited.in_context for cited in one.citations),
        lambda one: len(one.citations),
    ),
    # sentences that need a citation and have none that points anywhere / sentences that need one
    "uncited_claim_rate": Ratio(
        lambda one: sum(claim.needs_citation and of.uncited(claim) for claim in one.claims),
        lambda one: sum(claim.needs_citation for claim in one.claims),
    ),
    # sentences that some passage given entails / sentences; by RAGChecker and RAGAS
    "faithfulness": Ratio(
        lambda one: sum(bool(claim.grounded) for claim in one.claims) if one.context_known else 0,
        lambda one: len(one.claims) if one.context_known else 0,
    ),
    # sentences on which the judge failed / sentences; they count as unsupported everywhere else
    "unjudged": Ratio(lambda one: sum(not claim.judged for claim in one.claims), lambda one: len(one.claims)),
    # reference sentences that were given and are in the answer / those that were given; RAGChecker
    "context_utilization": Ratio(
        lambda one: sum(bool(fact.in_context and fact.in_answer) for fact in one.reference) if one.answered else 0,
        lambda one: sum(bool(fact.in_context) for fact in one.reference),
    ),
    # 2 TP / (2 TP + FP + FN), where abstaining is the positive
    "abstention_f1": Ratio(
        lambda one: 2.0 * (one.status == "abstained" and not one.answerable),
        lambda one: float((one.status == "abstained") + (not one.answerable)),
    ),
}

SHARES: Final[Mapping[str, tuple[Applies, Applies]]] = {
    # name: over which cases, which of them count
    "abstention_tpr": (lambda one: not one.answerable, lambda one: one.status == "abstained"),
    "abstention_fpr": (lambda one: one.answerable, lambda one: one.status == "abstained"),
    "answered_share": (lambda one: True, lambda one: one.answered),
    "unscorable": (lambda one: True, of.is_unscorable),
    "access_leaks": (lambda one: True, lambda one: one.leaked),  # must be 0
    "conflict_both_sides": (lambda one: one.conflict and _has_gold(one), lambda one: of.all_gold_cited(one) == 1.0),
}

OF_CASES: Final[Mapping[str, Mean]] = {
    "gold_in_context": Mean(of.gold_in_context, _has_gold),
    "claim_recall": Mean(of.claim_recall, lambda one: _has_reference(one) and one.context_known),
    **{
        f"{stage}_{name}_10": Mean(partial(score, stage=stage), lambda one: _has_gold(one) and one.ranked)
        for stage in STAGES
        for name, score in (("ndcg", of.ndcg), ("recall", of.recall), ("rr", of.reciprocal_rank))
    },
}

# what an answer takes: no shares, so they are shown apart
RESOURCES: Final[Mapping[str, Score]] = {
    "latency_ms": lambda one: one.latency_ms or 0.0,
    "input_tokens": lambda one: float(one.input_tokens),
    "output_tokens": lambda one: float(one.output_tokens),
    "cost_usd": lambda one: one.cost_usd,
}

LOWER_IS_BETTER: Final = frozenset(
    {"uncited_claim_rate", "unjudged", "abstention_fpr", "unscorable", "access_leaks", "aurc"} | set(RESOURCES)
)
SHOWN_ONLY: Final = frozenset({"answered_share"})  # more is neither better nor worse


def direction(name: str) -> Literal[-1, 0, 1]:
    """Whether more of a measure is better (1), worse (-1), or neither."""
    if name in SHOWN_ONLY:
        return 0
    return -1 if name in LOWER_IS_BETTER or name.startswith("latency_") else 1


def per_case(outcomes: Sequence[Outcome]) -> dict[str, dict[str, float]]:
    """Each measure's and each resource's value in each case to which it applies; without their intervals, which take
    longer than all the rest.
    """
    found: dict[str, dict[str, float]] = {}
    for name, mean in {**OF_ANSWERED, **OF_CASES}.items():
        over = [one for one in outcomes if mean.applies(one) and (one.answered or name in OF_CASES)]
        found[name] = {one.case_id: mean.score(one) for one in over}
    for name, ratio in RATIOS.items():
        totals = [(one, ratio.total(one)) for one in outcomes]
        found[name] = {one.case_id: ratio.hits(one) / total for one, total in totals if total > 0}
    for name, (applies, counts) in SHARES.items():
        found[name] = {one.case_id: float(counts(one)) for one in outcomes if applies(one)}
    for name, mean in OF_ANSWERED.items():
        of_all = _zero_unless_answered(mean.score)
        found[name + OF_ANSWERABLE] = {
            one.case_id: of_all(one) for one in outcomes if one.answerable and mean.applies(one)
        }
    for name, score in RESOURCES.items():
        timed = [one for one in outcomes if one.status != "failed" and (name != "latency_ms" or one.latency_ms)]
        found[name] = {one.case_id: score(one) for one in timed}
    return {name: values for name, values in found.items() if values}


def measures(outcomes: Sequence[Outcome]) -> dict[str, Measure]:
    """Every measure by name, in the order they are shown; shares of 0 to 1. n counts cases, for ratios their items."""
    found: dict[str, Measure] = {}
    for name, mean in OF_ANSWERED.items():
        found[name] = _mean([one for one in outcomes if one.answered and mean.applies(one)], mean.score)
    for name, ratio in RATIOS.items():
        found[name] = _ratio(outcomes, ratio)
    for name, (over, counts) in SHARES.items():
        found[name] = _share([one for one in outcomes if over(one)], counts)
    found["aurc"] = aurc([(one.case_id, one.confidence, of.loss(one)) for one in outcomes if one.answered])
    for name, mean in OF_CASES.items():
        found[name] = _mean([one for one in outcomes if mean.applies(one)], mean.score)
    for name, mean in OF_ANSWERED.items():
        over_all = [one for one in outcomes if one.answerable and mean.applies(one)]
        found[name + OF_ANSWERABLE] = _mean(over_all, _zero_unless_answered(mean.score))
    return found


def resources(outcomes: Sequence[Outcome]) -> dict[str, Measure]:
    """What cases took, as means and percentiles over those that ran: milliseconds, tokens, US dollars."""
    ran = [one for one in outcomes if one.status != "failed"]
    found = {name: _mean(ran, score, digits=8) for name, score in RESOURCES.items() if name != "latency_ms"}
    timed = [one for one in ran if one.latency_ms is not None]
    elapsed_ms = [one.latency_ms for one in timed if one.latency_ms is not None]
    timings = {"latency_ms": _mean(timed, RESOURCES["latency_ms"], digits=1)}
    for percent in (50, 95):
        value = round(float(np.percentile(elapsed_ms, percent)), 1) if elapsed_ms else None
        timings[f"latency_p{percent}_ms"] = Measure(value, len(timed), None)
    return {**timings, **found}


def citations_per_answer(outcomes: Sequence[Outcome]) -> float | None:
    """Mean number of distinct spans that an answered case cites."""
    counts = [len(of.distinct(one.citations)) for one in outcomes if one.answered]
    return round(sum(counts) / len(counts), 3) if counts else None


def _zero_unless_answered(score: Score) -> Score:
    return lambda outcome: score(outcome) if outcome.answered else 0.0


def _mean(over: Sequence[Outcome], score: Score, *, digits: int = 4) -> Measure:
    values = {one.case_id: score(one) for one in over}
    if not values:
        return Measure(None, 0, None)
    mean = sum(values.values()) / len(values)
    return Measure(round(mean, digits), len(values), bootstrap_mean(list(values.values())), values)


def _share(over: Sequence[Outcome], counts: Applies) -> Measure:
    values = {one.case_id: float(counts(one)) for one in over}
    if not values:
        return Measure(None, 0, None)
    hits = int(sum(values.values()))
    return Measure(round(hits / len(values), 4), len(values), wilson(hits, len(values)), values)


def _ratio(outcomes: Sequence[Outcome], ratio: Ratio) -> Measure:
    having = [(one.case_id, float(ratio.hits(one)), float(ratio.total(one))) for one in outcomes]
    having = [one for one in having if one[2] > 0]
    if not having:
        return Measure(None, 0, None)
    hits, totals = [one[1] for one in having], [one[2] for one in having]
    per_case = {case: hit / total for case, hit, total in having}
    return Measure(round(sum(hits) / sum(totals), 4), int(sum(totals)), bootstrap_ratio(hits, totals), per_case)
