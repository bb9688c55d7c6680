"""What answering costs at each share of cases answered: risk and coverage."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from evals.intervals import SEED
from evals.outcome import Measure

RESAMPLES: Final = 1000


def risk_coverage(confidences: Sequence[float], losses: Sequence[float]) -> list[tuple[float, float]]:
    """(coverage, risk) as answers are admitted from the surest on; risk is the mean loss of those admitted.

    Answers of one confidence come in together: no order among them is known.
    """
    risks = _risks(np.asarray(confidences, np.float64), np.asarray(losses, np.float64))
    return [((at + 1) / len(risks), float(risk)) for at, risk in enumerate(risks)]


def aurc(answers: Sequence[tuple[str, float | None, float]]) -> Measure:
    """Area under the risk-coverage curve: the mean over i of the mean loss of the i surest answers; 0 is best.

    Args:
        answers: (case id, confidence, loss from 0 to 1). Where one has no confidence nothing is measured: an order
            made up for it would be.

    Source: Geifman, Uziel and El-Yaniv, ICLR 2019.
    """
    if not answers or any(confidence is None for _, confidence, _ in answers):
        return Measure(None, 0, None)
    sure = np.array([confidence for _, confidence, _ in answers], np.float64)
    lost = np.array([loss for _, _, loss in answers], np.float64)
    value = float(_risks(sure, lost).mean())
    rng = np.random.default_rng(SEED)
    drawn = [rng.integers(0, len(lost), len(lost)) for _ in range(RESAMPLES)]
    low, high = np.percentile([_risks(sure[at], lost[at]).mean() for at in drawn], [2.5, 97.5])
    interval = (round(min(float(low), value), 4), round(max(float(high), value), 4))
    return Measure(round(value, 4), len(answers), interval)


def _risks(confidences: NDArray[np.float64], losses: NDArray[np.float64]) -> NDArray[np.float64]:
    """The risk at each coverage 1/n, 2/n ... 1; answers of equal confidence count with their mean loss."""
    order = np.argsort(-confidences, kind="stable")
    _, group = np.unique(-confidences[order], return_inverse=True)
    means = np.bincount(group, losses[order]) / np.bincount(group)
    return np.cumsum(means[group]) / np.arange(1, len(losses) + 1)
