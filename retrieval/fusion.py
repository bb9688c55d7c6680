"""Merging the lexical and the dense ranking into one."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

READ: Final = 2.75  # letters a token; nearly every English question has more, German ones have 2.6
UNREAD: Final = 1.5  # Yoruba ones have 2.1; Russian, Arabic and Chinese ones 1.0: letter by letter


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


def letters_per_token(question: str, tokens: int) -> float:
    """How large the pieces are that a model reads a question in.

    Args:
        tokens: how many the question has for the model, those that mark its ends included.
    """
    return sum(character.isalnum() for character in question) / max(1, tokens)


def dense_weight(letters_per_token: float, *, alpha: float, alpha_unread: float) -> float:
    """The dense side's weight for a question to a model of one language: less, the smaller the pieces it reads it in.

    A tokenizer that was made for English has whole words for English, and only pieces or single letters for what the
    model never learned, in whose vectors there is then little meaning. The question alone tells, however short.

    Args:
        alpha: weight from READ letters a token on.
        alpha_unread: weight down from UNREAD; between the two it changes evenly.
    """
    read = (letters_per_token - UNREAD) / (READ - UNREAD)
    return alpha_unread + (alpha - alpha_unread) * min(1.0, max(0.0, read))
