"""How good a judge is: its verdicts and probabilities against labels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from evals.intervals import SEED, Interval

BINS: Final = 10
RESAMPLES: Final = 2000

Scores = NDArray[np.float64]
Labels = NDArray[np.bool_]
Measure = Callable[[Scores, Labels, Labels], float | None]


@dataclass(frozen=True, slots=True)
class Measured:
    value: float | None  # None where it is not defined, as without a negative
    interval: Interval | None  # 95 % percentile bootstrap over pairs


@dataclass(frozen=True, slots=True)
class Judged:
    """Verdicts on labelled pairs, in one order."""

    scores: Scores  # probabilities of support
    accepted: Labels
    labels: Labels


def confusion(judged: Judged) -> dict[str, int]:
    """True and false positives and negatives; positive is "supported"."""
    accepted, labels = judged.accepted, judged.labels
    return {
        "tp": int((accepted & labels).sum()),
        "fp": int((accepted & ~labels).sum()),
        "fn": int((~accepted & labels).sum()),
        "tn": int((~accepted & ~labels).sum()),
    }


def measures(judged: Judged) -> dict[str, Measured]:
    """Balanced accuracy, kappa, ROC AUC, Brier and ECE, each with its interval.

    Source: Efron and Tibshirani, An Introduction to the Bootstrap, 1993, for the intervals.
    """
    count = len(judged.labels)
    rng = np.random.default_rng(SEED)
    drawn = [rng.integers(0, count, count) for _ in range(RESAMPLES)] if count else []
    found: dict[str, Measured] = {}
    for name, measure in MEASURES.items():
        value = measure(judged.scores, judged.accepted, judged.labels) if count else None
        again = [measure(judged.scores[at], judged.accepted[at], judged.labels[at]) for at in drawn]
        kept = [one for one in again if one is not None]
        interval = None
        if value is not None and kept:
            low, high = np.percentile(kept, [2.5, 97.5])
            interval = (round(float(low), 4), round(float(high), 4))
        found[name] = Measured(None if value is None else round(value, 4), interval)
    return found


def balanced_accuracy(accepted: Labels, labels: Labels) -> float | None:
    """Mean of the shares of both labels that are judged right; None where one label is absent."""
    if labels.all() or not labels.any():
        return None
    return float((accepted[labels].mean() + (~accepted[~labels]).mean()) / 2)


def kappa(accepted: Labels, labels: Labels) -> float | None:
    """Agreement beyond chance; None where chance alone must agree.

    Source: Cohen, Educational and Psychological Measurement, 1960.
    """
    observed = float((accepted == labels).mean())
    expected = float(accepted.mean() * labels.mean() + (1 - accepted.mean()) * (1 - labels.mean()))
    return None if expected >= 1 else (observed - expected) / (1 - expected)


def roc_auc(scores: Scores, labels: Labels) -> float | None:
    """The chance that a supported pair scores above another; ties count half."""
    positive, negative = scores[labels], np.sort(scores[~labels])
    if not len(positive) or not len(negative):
        return None
    below = np.searchsorted(negative, positive, "left")
    ties = np.searchsorted(negative, positive, "right") - below
    return float((below + ties / 2).sum() / (len(positive) * len(negative)))


def brier(scores: Scores, labels: Labels) -> float:
    """Mean squared difference of probability and label. Source: Brier, Monthly Weather Review, 1950."""
    return float(((scores - labels) ** 2).mean())


def calibration_error(scores: Scores, labels: Labels, bins: int = BINS) -> float:
    """ECE: how far the share of supported pairs is from the mean probability, over bins of equal width.

    Source: Naeini, Cooper and Hauskrecht, AAAI 2015.
    """
    which = np.minimum((scores * bins).astype(int), bins - 1)
    total = 0.0
    for one in range(bins):
        inside = which == one
        if inside.any():
            total += inside.sum() * abs(float(labels[inside].mean()) - float(scores[inside].mean()))
    return total / len(scores)


def roc_points(scores: Scores, labels: Labels) -> list[tuple[float, float]]:
    """(false positive rate, true positive rate) from (0, 0) to (1, 1), one for each different score."""
    points = [(0.0, 0.0)]
    if labels.all() or not labels.any():
        return [*points, (1.0, 1.0)]
    order = np.argsort(-scores, kind="stable")
    hits, misses = np.cumsum(labels[order]), np.cumsum(~labels[order])
    last = np.append(np.diff(scores[order]) != 0, True)
    points += list(zip((misses[last] / misses[-1]).tolist(), (hits[last] / hits[-1]).tolist(), strict=True))
    return points


def labelled(verdicts: Sequence[tuple[float, bool]], labels: Sequence[bool]) -> Judged:
    """Of (score, accepted) pairs in the order of the labels."""
    return Judged(
        np.array([score for score, _ in verdicts], np.float64),
        np.array([accepted for _, accepted in verdicts], np.bool_),
        np.array(labels, np.bool_),
    )


MEASURES: Final[dict[str, Measure]] = {
    "balanced_accuracy": lambda scores, accepted, labels: balanced_accuracy(accepted, labels),
    "kappa": lambda scores, accepted, labels: kappa(accepted, labels),
    "roc_auc": lambda scores, accepted, labels: roc_auc(scores, labels),
    "brier": lambda scores, accepted, labels: brier(scores, labels),
    "ece": lambda scores, accepted, labels: calibration_error(scores, labels),
}
