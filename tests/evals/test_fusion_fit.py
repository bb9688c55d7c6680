"""Fusing kept candidates anew gives what the product and ir_measures give; weights are chosen on other families."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evals.bench.fusion import family, product_weights, with_weights
from evals.bench.fusion_fit import (
    Candidates,
    best_for,
    by_rank,
    min_max,
    ndcg_at_10,
    recall_at_100,
    reciprocal_ranks,
    theoretical_min_max,
    z_scores,
)
from evals.bench.stage_features import COLUMNS, QueryFeatures, _packed, _unpacked
from evals.intervals import paired_randomization
from evals.retrieval_run import measured
from retrieval import fusion
from retrieval.model import STAGES


@st.composite
def searched(draw: st.DrawFn) -> list[QueryFeatures]:
    """A few queries with candidates of made-up documents, judgements and scores without ties."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    found = []
    for number in range(draw(st.integers(1, 4))):
        count = draw(st.integers(1, 40))
        values = rng.random((count, len(COLUMNS)), np.float32)
        values[:, 0] *= 20
        ranks = np.stack([rng.permutation(count) + 1 for _ in STAGES], axis=1).astype(np.int32)
        documents = rng.integers(0, count, count).astype(np.int32)
        grades = {int(one): int(rng.integers(1, 4)) for one in rng.integers(0, count + 3, draw(st.integers(1, 8)))}
        met = {document: grade for document, grade in grades.items() if document in documents}
        ideal = np.array(sorted(grades.values(), reverse=True), np.int32)
        signals = {"letters_per_token": float(rng.random() * 5)}
        found.append(QueryFeatures(f"q{number}", documents, values, ranks, ideal, met, signals))
    return found


@settings(max_examples=25, deadline=None)
@given(searched())
def test_measures_are_those_of_ir_measures(queries: list[QueryFeatures]) -> None:
    rows = Candidates.of(queries)
    scores = rows.columns["dense"]
    qrels, ranking = {}, {}
    for one in queries:
        order = np.argsort(-one.column("dense"), kind="stable")
        ranking[one.query] = list(dict.fromkeys(f"d{one.documents[at]}" for at in order))
        judged = {f"d{document}": grade for document, grade in one.relevant.items()}
        missed = list(one.grades)
        for grade in judged.values():
            missed.remove(grade)
        qrels[one.query] = judged | {f"never-{at}": int(grade) for at, grade in enumerate(missed)}
    expected = measured(qrels, ranking, list(qrels))
    assert ndcg_at_10(rows, scores) == pytest.approx(list(expected["nDCG@10"].values()))
    assert recall_at_100(rows, scores) == pytest.approx(list(expected["Recall@100"].values()))


@settings(max_examples=25, deadline=None)
@given(searched(), st.floats(0, 1))
def test_fusing_all_queries_at_once_is_fusing_each(queries: list[QueryFeatures], alpha: float) -> None:
    rows = Candidates.of(queries)
    each = [
        fusion.theoretical_min_max(one.column("lexical").astype(float), one.column("dense").astype(float), alpha=alpha)
        for one in queries
    ]
    assert theoretical_min_max(alpha)(rows) == pytest.approx(np.concatenate(each))


@settings(max_examples=25, deadline=None)
@given(searched(), st.floats(0, 1), st.integers(0, 1000))
def test_a_candidate_that_is_better_in_both_stages_is_never_fused_below(
    queries: list[QueryFeatures], alpha: float, seed: int
) -> None:
    rows = Candidates.of(queries)
    for fuse in (theoretical_min_max(alpha), min_max(alpha), z_scores(alpha)):
        scores = fuse(rows)
        for a, b in np.random.default_rng(seed).integers(0, len(scores), (50, 2)):
            if rows.query[a] == rows.query[b] and all(
                rows.columns[name][a] >= rows.columns[name][b] for name in ("lexical", "dense")
            ):
                assert scores[a] >= scores[b] - 1e-9
    assert (reciprocal_ranks()(rows) <= 2 / 61).all()


@settings(max_examples=25, deadline=None)
@given(searched())
def test_what_is_kept_is_read_again_and_ranks_as_it_did(queries: list[QueryFeatures]) -> None:
    again = Candidates.of(_unpacked(_packed(queries)))
    rows = Candidates.of(queries)
    for stage in STAGES:
        assert (ndcg_at_10(again, by_rank(stage)(again)) == ndcg_at_10(rows, by_rank(stage)(rows))).all()
    assert (rows.places(by_rank("dense")(rows)) + 1 == rows.ranks["dense"]).all()
    _, reranked = with_weights(again, product_weights())
    assert ((reranked.ndcg >= 0) & (reranked.ndcg <= 1 + 1e-9)).all()


def test_weights_are_chosen_without_the_family_they_are_shown_on() -> None:
    means = {
        "squad": np.array([0.0, 1.0, 0.0]),
        "xquad-de": np.array([0.0, 1.0, 0.0]),
        "cacm": np.array([0.4, 0.0, 0.5]),
        "scifact": np.array([0.4, 0.0, 0.1]),
    }
    assert best_for("xquad-de", means, family) == 0  # not 1, which SQuAD's own paragraphs would choose
    assert best_for("scifact", means, family) == 1
    with pytest.raises(ValueError, match="nothing to fit on"):
        best_for("squad", {"squad": np.zeros(1)}, family)


@given(st.lists(st.floats(-1, 1), min_size=1, max_size=60))
def test_a_difference_is_as_sure_as_its_opposite_and_never_certain(differences: list[float]) -> None:
    p = paired_randomization(differences, rounds=200)
    assert 0 < p <= 1
    assert paired_randomization([-one for one in differences], rounds=200) == p


def test_a_steady_difference_is_no_chance_and_a_mixed_one_may_be() -> None:
    assert paired_randomization([0.1] * 40) < 0.001
    assert paired_randomization([0.1, -0.1] * 20) == 1.0
    assert paired_randomization([]) == paired_randomization([0.0, 0.0]) == 1.0
    assert paired_randomization([1.0, 1.0]) == pytest.approx(0.5, abs=0.03)  # two flips of four leave it whole
