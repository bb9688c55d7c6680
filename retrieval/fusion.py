"""Merging the lexical and the dense ranking into one."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def theoretical_min_max(
    lexical: NDArray[np.float64], cosine: NDArray[np.float64], *, alpha: float
) -> NDArray[np.float64]:
    """Score candidates by a convex combination that keeps magnitudes.

    lexical' = s / max(s), dense' = (cos + 1) / (max(cos) + 1), score = alpha dense' + (1 - alpha) lexical'. A flat
    list moves nothing, so a useless stage does no harm.

    Args:
        lexical: BM25 of each candidate, at least 0; 0 for one without a term of the question.
        cosine: cosine of each candidate, in [-1, 1].
        alpha: weight of the dense side, in [0, 1].

    Returns:
        Scores in [0, 1], in the order given.

    Raises:
        ValueError: shapes differ, or alpha is outside [0, 1].

    Source: Bruch, Gai, Ingber, "An analysis of fusion functions for hybrid retrieval", TOIS 2023.
    """
    if lexical.shape != cosine.shape:
        raise ValueError(f"{lexical.shape} lexical scores but {cosine.shape} cosines")
    if not 0 <= alpha <= 1:
        raise ValueError(f"alpha {alpha!r} is outside [0, 1]")
    if not lexical.size:
        return np.zeros(0)
    best = lexical.max()
    lexical_part = lexical / best if best > 0 else np.zeros_like(lexical)
    dense_part = (cosine + 1) / max(cosine.max() + 1, 1e-9)
    return alpha * dense_part + (1 - alpha) * lexical_part
