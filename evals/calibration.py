"""Whether scores mean what they say: the share that is right among what was given about the same score.

Of statements: the support checker's score against what people, or the reference answer, say. Of answers: the answer's
confidence against being right, and what answering costs at each share of cases answered.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from evals.agreement import settled
from evals.answers_run import AnswersRun
from evals.case_scores import loss
from evals.intervals import Interval, wilson
from evals.judging import BINS, brier, calibration_error
from evals.reviewing import ClaimKey, Labelled
from evals.risk import risk_coverage

RIGHT_BELOW: Final = 0.5  # the loss of an answer that counts as right
COVERAGES: Final = (0.1, 0.25, 0.5, 0.75, 0.9, 1.0)  # shown in the table

Pairs = list[tuple[float, bool]]  # a score from 0 to 1, and whether it is right


@dataclass(frozen=True, slots=True)
class Bin:
    """What was given scores from `low` up to `high`."""

    low: float
    high: float
    n: int
    mean_score: float
    share: float  # right among them
    interval: Interval  # 95 %, Wilson


@dataclass(frozen=True, slots=True)
class Calibration:
    """Scores against the truth; nothing is said of bins without a score."""

    n: int
    bins: tuple[Bin, ...]
    ece: float | None  # None: there is nothing to measure
    brier: float | None


def calibration(pairs: Sequence[tuple[float, bool]], bins: int = BINS) -> Calibration:
    """By bins of equal width; a score of 1 belongs to the last.

    Source: Naeini, Cooper and Hauskrecht, AAAI 2015.

    Raises:
        ValueError: a score is no number from 0 to 1.
    """
    scores = np.array([score for score, _ in pairs], np.float64)
    labels = np.array([label for _, label in pairs], np.bool_)
    if not ((scores >= 0) & (scores <= 1)).all():
        raise ValueError("a score is no number from 0 to 1")
    if not len(scores):
        return Calibration(0, (), None, None)
    which = np.minimum((scores * bins).astype(int), bins - 1)
    found = []
    for at in range(bins):
        inside = which == at
        n, right = int(inside.sum()), int(labels[inside].sum())
        interval = wilson(right, n)
        if interval is not None:
            mean = round(float(scores[inside].mean()), 4)
            found.append(Bin(at / bins, (at + 1) / bins, n, mean, round(right / n, 4), interval))
    ece = round(calibration_error(scores, labels, bins), 4)
    return Calibration(len(scores), tuple(found), ece, round(brier(scores, labels), 4))


def statements_by_people(run: AnswersRun, labels: Sequence[Labelled]) -> Pairs:
    """The checker's score of each statement on which people agree, and whether they say that it is supported."""
    truth, _ = settled([one for one in labels if one.key.run == run.id])
    scores = {
        ClaimKey(run.id, record.case_id, at): score
        for record in run.records
        for at, score in enumerate(record.claim_scores)
    }
    return [(scores[key], truth[key]) for key in sorted(truth) if key in scores]


def statements_by_reference(run: AnswersRun) -> Pairs:
    """The checker's score of each statement, and whether the case's reference answer entails it."""
    return [
        (score, claim.right)
        for record in run.records
        for score, claim in zip(record.claim_scores, record.outcome.claims, strict=False)
        if claim.right is not None
    ]


def answers(run: AnswersRun) -> Pairs:
    """The confidence of each answer that was given, and whether it is right: it cites what a right answer rests on."""
    return [
        (min(1.0, max(0.0, record.outcome.confidence)), loss(record.outcome) < RIGHT_BELOW)
        for record in run.records
        if record.outcome.answered and record.outcome.confidence is not None
    ]


def risk_curve(run: AnswersRun) -> list[tuple[float, float]]:
    """(share of the given answers, their mean loss), from the surest on."""
    given = [one.outcome for one in run.records if one.outcome.answered and one.outcome.confidence is not None]
    if not given:
        return []
    return risk_coverage([one.confidence or 0.0 for one in given], [loss(one) for one in given])


def at_coverages(curve: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """The first point of the curve at or beyond each coverage that a table shows."""
    return [next((share, risk) for share, risk in curve if share >= wanted - 1e-9) for wanted in COVERAGES if curve]
