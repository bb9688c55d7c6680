from __future__ import annotations

from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.local_embedding import LocalEmbedder, reads_english_only
from retrieval.fusion import READ, UNREAD, dense_weight, letters_per_token, theoretical_min_max

scores = st.lists(
    st.tuples(st.floats(0, 50, allow_nan=False), st.floats(-1, 1, allow_nan=False)), min_size=1, max_size=30
)
alphas = st.floats(0, 1, allow_nan=False)


def test_a_worked_example() -> None:
    fused = theoretical_min_max(np.array([10.0, 0.0]), np.array([0.0, 1.0]), alpha=0.7)
    assert fused == pytest.approx([0.7 * 0.5 + 0.3, 0.7])


@given(scores, alphas)
def test_scores_stay_in_the_unit_interval(pairs: list[tuple[float, float]], alpha: float) -> None:
    lexical, cosine = (np.array(side) for side in zip(*pairs, strict=True))
    fused = theoretical_min_max(lexical, cosine, alpha=alpha)
    assert fused.shape == lexical.shape
    assert (fused >= 0).all() and (fused <= 1 + 1e-9).all()


@given(scores, alphas)
def test_better_in_both_is_never_worse(pairs: list[tuple[float, float]], alpha: float) -> None:
    lexical, cosine = (np.array(side) for side in zip(*pairs, strict=True))
    fused = theoretical_min_max(lexical, cosine, alpha=alpha)
    for a in range(len(pairs)):
        for b in range(len(pairs)):
            if lexical[a] >= lexical[b] and cosine[a] >= cosine[b]:
                assert fused[a] >= fused[b] - 1e-12


@given(scores, alphas, st.floats(0.01, 1000))
def test_the_scale_of_lexical_scores_does_not_matter(
    pairs: list[tuple[float, float]], alpha: float, factor: float
) -> None:
    """BM25 of a long question is larger than that of a short one, and says no more."""
    lexical, cosine = (np.array(side) for side in zip(*pairs, strict=True))
    lexical = np.where(lexical < 1e-6, 0, lexical)
    scaled = theoretical_min_max(lexical * factor, cosine, alpha=alpha)
    assert scaled == pytest.approx(theoretical_min_max(lexical, cosine, alpha=alpha), abs=1e-9)


@given(scores, alphas, st.randoms(use_true_random=False))
def test_the_order_of_candidates_does_not_matter(
    pairs: list[tuple[float, float]], alpha: float, chance: Random
) -> None:
    lexical, cosine = (np.array(side) for side in zip(*pairs, strict=True))
    fused = theoretical_min_max(lexical, cosine, alpha=alpha)
    order = chance.sample(range(len(pairs)), len(pairs))
    assert theoretical_min_max(lexical[order], cosine[order], alpha=alpha) == pytest.approx(fused[order])


@given(scores)
def test_one_side_alone_ranks_as_it_does_alone(pairs: list[tuple[float, float]]) -> None:
    lexical, cosine = (np.array(side) for side in zip(*pairs, strict=True))
    for alone, alpha in ((lexical, 0.0), (cosine, 1.0)):
        fused = theoretical_min_max(lexical, cosine, alpha=alpha)
        assert (np.diff(fused[np.argsort(alone, kind="stable")]) >= -1e-12).all()


@given(scores)
def test_a_flat_dense_list_moves_nothing(pairs: list[tuple[float, float]]) -> None:
    lexical = np.array([pair[0] for pair in pairs])
    fused = theoretical_min_max(lexical, np.full(len(pairs), 0.3), alpha=0.7)
    assert (np.diff(fused[np.argsort(lexical, kind="stable")]) >= -1e-12).all()


def test_shapes_and_alpha_are_checked() -> None:
    with pytest.raises(ValueError, match="lexical scores"):
        theoretical_min_max(np.zeros(2), np.zeros(3), alpha=0.5)
    with pytest.raises(ValueError, match="outside"):
        theoretical_min_max(np.zeros(2), np.zeros(2), alpha=1.5)


@given(st.floats(0, 20), st.floats(0, 20), alphas, alphas)
def test_the_dense_side_weighs_no_less_for_a_question_read_in_larger_pieces(
    one: float, other: float, some: float, more: float
) -> None:
    alpha_unread, alpha = sorted((some, more))
    smaller, larger = (dense_weight(size, alpha=alpha, alpha_unread=alpha_unread) for size in sorted((one, other)))
    assert alpha_unread - 1e-12 <= smaller <= larger + 1e-12 <= alpha + 1e-9
    assert dense_weight(UNREAD, alpha=alpha, alpha_unread=alpha_unread) == pytest.approx(alpha_unread)
    assert dense_weight(READ, alpha=alpha, alpha_unread=alpha_unread) == pytest.approx(alpha)


@pytest.mark.parametrize(
    ("question", "read"),
    [
        ("How many days of parental leave does a new parent get?", 1.0),
        ("什么时候可以申请育儿假?", 0.0),
        ("Сколько дней отпуска положено родителям?", 0.0),
    ],
)
def test_the_default_model_reads_english_in_words_and_other_scripts_in_letters(question: str, read: float) -> None:
    embedder = LocalEmbedder(threads=1)
    assert reads_english_only(embedder.space)
    size = letters_per_token(question, embedder.count_tokens([question])[0])
    assert dense_weight(size, alpha=1.0, alpha_unread=0.0) == read
