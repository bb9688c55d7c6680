"""Intervals for means and shares. Seeded, so that the same values give the same interval."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist
from typing import Final

import numpy as np

SEED: Final = 20261121
RESAMPLES: Final = 5000
BLOCK_CELLS: Final = 2_000_000  # numbers drawn at a time, so that memory does not grow with the number of cases
Z95: Final = 1.959964

Interval = tuple[float, float]


def bootstrap_mean(values: Sequence[float]) -> Interval | None:
    """95 % percentile bootstrap interval of the mean; [d, d] when all are equal, None without a value.

    Source: Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13.
    """
    return bootstrap_ratio(values, [1.0] * len(values))


def bootstrap_ratio(hits: Sequence[float], totals: Sequence[float]) -> Interval | None:
    """The same of sum(hits) / sum(totals), resampling cases: what stands in one case is not independent.

    Raises:
        ValueError: different lengths, or a value that is not a finite number.
    """
    if len(hits) != len(totals):
        raise ValueError(f"{len(hits)} hits but {len(totals)} totals")
    top, bottom = np.asarray(hits, np.float64), np.asarray(totals, np.float64)
    if not (np.isfinite(top).all() and np.isfinite(bottom).all()):
        raise ValueError("a value is not a finite number")
    if not len(top) or bottom.sum() <= 0:
        return None
    if (top * bottom[0] == top[0] * bottom).all() and bottom[0] > 0:  # whatever is drawn, it is the same share
        return round(float(top[0] / bottom[0]), 4), round(float(top[0] / bottom[0]), 4)
    rng = np.random.default_rng(SEED)
    drawn: list[np.ndarray] = []
    per_block = max(1, BLOCK_CELLS // len(top))
    for done in range(0, RESAMPLES, per_block):
        at = rng.integers(0, len(top), (min(per_block, RESAMPLES - done), len(top)))
        sums = bottom[at].sum(axis=1)
        drawn.append(top[at].sum(axis=1)[sums > 0] / sums[sums > 0])
    low, high = np.percentile(np.concatenate(drawn), [2.5, 97.5])
    return round(float(low), 4), round(float(high), 4)


def wilson(hits: int, total: int) -> Interval | None:
    """95 % Wilson score interval of a share of independent yes-or-no cases; wider than a point at 0 and 1.

    Source: Wilson, JASA 1927.
    """
    if total <= 0:
        return None
    z = Z95
    share, spread = hits / total, z * z / total
    middle = (share + spread / 2) / (1 + spread)
    half = z * math.sqrt(share * (1 - share) / total + spread / (4 * total)) / (1 + spread)
    return round(max(0.0, middle - half), 4), round(min(1.0, middle + half), 4)


def paired_randomization(differences: Sequence[float], *, rounds: int = 10_000) -> float:
    """Two-sided p-value of a mean difference of paired values, by random flips of their signs; 1.0 without a value.

    Never 0: the flips drawn count the one observed among them.

    Source: Smucker, Allan, Carterette, CIKM 2007.
    """
    values = np.asarray(differences, np.float64)
    if not np.isfinite(values).all():
        raise ValueError("a difference is not a finite number")
    if not values.any():
        return 1.0
    observed = abs(values.sum()) - 1e-9 * np.abs(values).sum()  # equal sums in another order may differ in a last bit
    rng = np.random.default_rng(SEED)
    beyond = 0
    per_block = max(1, BLOCK_CELLS // len(values))
    for done in range(0, rounds, per_block):
        signs = rng.integers(0, 2, (min(per_block, rounds - done), len(values)), np.int8) * 2 - 1
        beyond += int((np.abs(signs @ values) >= observed).sum())
    return (beyond + 1) / (rounds + 1)


def bca_mean(values: Sequence[float]) -> Interval | None:
    """95 % bias-corrected and accelerated bootstrap interval of the mean; [d, d] when all are equal, None without a
    value.

    Source: Efron, JASA 1987.
    """
    given = np.asarray(values, np.float64)
    if not np.isfinite(given).all():
        raise ValueError("a value is not a finite number")
    if not len(given):
        return None
    mean = float(given.mean())
    if np.ptp(given) == 0:
        return round(mean, 4), round(mean, 4)
    rng = np.random.default_rng(SEED)
    drawn: list[np.ndarray] = []
    per_block = max(1, BLOCK_CELLS // len(given))
    for done in range(0, RESAMPLES, per_block):
        drawn.append(given[rng.integers(0, len(given), (min(per_block, RESAMPLES - done), len(given)))].mean(axis=1))
    means = np.concatenate(drawn)
    tolerance = 1e-12 * max(1.0, float(np.abs(given).max()))  # equal sums in another order may differ in a last bit
    below = (means < mean - tolerance).mean() + (np.abs(means - mean) <= tolerance).mean() / 2
    normal = NormalDist()
    bias = normal.inv_cdf(min(max(float(below), 0.5 / RESAMPLES), 1 - 0.5 / RESAMPLES))
    without_one = (given.sum() - given) / max(1, len(given) - 1)  # the jackknife
    apart = without_one.mean() - without_one
    spread = float((apart**2).sum())
    acceleration = float((apart**3).sum()) / (6 * spread**1.5) if spread > 0 else 0.0
    percents = []
    for z in (-Z95, Z95):
        shifted = bias + z
        percents.append(100 * normal.cdf(bias + shifted / (1 - acceleration * shifted)))
    low, high = np.percentile(means, percents)
    return round(float(low), 4), round(float(high), 4)


def holm(pvalues: Sequence[float]) -> list[float]:
    """P-values corrected for their number, in the order given: no false alarm at all in 95 of 100 families at 0.05.

    Source: Holm, Scandinavian Journal of Statistics, 1979.
    """
    corrected = [0.0] * len(pvalues)
    worst = 0.0
    for place, at in enumerate(sorted(range(len(pvalues)), key=lambda at: pvalues[at])):
        worst = max(worst, min(1.0, (len(pvalues) - place) * pvalues[at]))
        corrected[at] = worst
    return corrected
