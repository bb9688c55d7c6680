"""Two runs, case by case, against scipy and values worked by hand."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from evals.comparing import compare, comparison_json, comparison_table
from evals.intervals import bca_mean, holm, paired_randomization
from tests.evals.made_runs import ASIDE, HOPELESS, RIGHT, SILENT, made_run


def test_equal_runs_differ_in_nothing() -> None:
    run = made_run([RIGHT] * 4 + [HOPELESS] * 2)
    found = compare(run, replace(run, kept=replace(run.kept, id="bbbb")))
    assert found.cases == 6 and not found.moved and not found.only_before and not found.only_after
    for one in found.differences:
        assert (one.mean, one.p, one.p_holm, one.wins, one.losses) == (0, 1, 1, 0, 0)
        assert one.interval == (0, 0) and one.effect is None and not one.significant
    assert "-> bbbb: 6 cases" in comparison_table(found)


def test_a_loss_is_seen_in_its_measure_and_at_its_stage() -> None:
    before = made_run([RIGHT] * 12)
    after = made_run([ASIDE] * 12, run="bbbb")
    # the ids are of the places, so the cases pair
    found = compare(before, after)
    by_name = {one.name: one for one in found.differences}
    lost = by_name["gold_citation_recall"]
    assert (lost.before, lost.after, lost.mean, lost.n) == (1, 0, -1, 12)
    assert (lost.wins, lost.losses, lost.ties) == (0, 12, 0)
    # 12 equal signs: only 2 of 2^12 flips are as extreme
    assert lost.p == pytest.approx(2 / 2**12, abs=5e-4)
    assert lost.significant and lost.verdict == "worse"
    assert not by_name["citation_recall"].significant
    assert {(one.before, one.after, one.better) for one in found.moved} == {("used", "in context, not used", False)}
    assert {one.name for one in found.by_type["fact"]} == set(by_name)
    assert json.loads(json.dumps(comparison_json(found)))["measures"]["gold_citation_recall"]["verdict"] == "worse"


def test_for_what_should_be_low_more_is_worse() -> None:
    found = compare(made_run([RIGHT] * 8), made_run([SILENT] * 8))
    by_name = {one.name: one for one in found.differences}
    assert (by_name["abstention_fpr"].wins, by_name["abstention_fpr"].losses) == (0, 8)
    # nothing was answered in both: the measure of all answerable cases tells of it
    assert "gold_citation_recall" not in by_name
    assert by_name["gold_citation_recall_of_answerable"].losses == 8
    assert {one.after for one in found.moved} == {"wrongly abstained"}


def test_only_cases_of_both_are_compared_and_the_others_named() -> None:
    before, after = made_run([RIGHT, RIGHT, RIGHT]), made_run([RIGHT, RIGHT], cases_sha256="d" * 64)
    found = compare(before, after)
    assert found.cases == 2 and found.only_before == ("right-2",) and found.only_after == ()
    assert any("different files" in note for note in found.notes)
    assert "right-2" in comparison_table(found)
    turned = made_run([RIGHT, replace(HOPELESS, case_id="right"), RIGHT])  # a case that is no longer answerable
    assert compare(before, turned).only_before == ("right-1",)


def test_a_case_to_which_a_measure_applies_in_one_run_alone_is_counted() -> None:
    found = compare(made_run([RIGHT, RIGHT, RIGHT]), made_run([RIGHT, SILENT, RIGHT]))
    one = next(one for one in found.differences if one.name == "gold_citation_recall")
    assert (one.n, one.only_in_one) == (2, 1)


VALUES = np.random.default_rng(5).normal(0.1, 0.4, 40).round(2)


def test_the_randomisation_test_is_scipys() -> None:
    theirs = stats.permutation_test(
        (VALUES, np.zeros(40)), lambda x, y, axis: np.mean(x - y, axis=axis), permutation_type="samples",
        n_resamples=9_999, rng=np.random.default_rng(1), vectorized=True,
    )  # fmt: skip
    assert paired_randomization(VALUES.tolist()) == pytest.approx(theirs.pvalue, abs=0.015)


@pytest.mark.parametrize("values", [VALUES, VALUES**3, np.array([0.0] * 20 + [1.0] * 5)])
def test_the_bca_interval_is_scipys(values: np.ndarray) -> None:
    theirs = stats.bootstrap(
        (values,), np.mean, n_resamples=9_999, method="BCa", rng=np.random.default_rng(1)
    ).confidence_interval
    ours = bca_mean(values.tolist())
    assert ours == (pytest.approx(theirs.low, abs=0.02), pytest.approx(theirs.high, abs=0.02))


def test_the_bca_interval_of_equal_values_is_a_point() -> None:
    assert bca_mean([0.25] * 7) == (0.25, 0.25)  # where scipy has no number
    assert bca_mean([]) is None
    with pytest.raises(ValueError, match="finite"):
        bca_mean([float("nan")])


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == [pytest.approx(p) for p in (0.03, 0.06, 0.06, 0.02)]
    assert holm([]) == []


@given(st.lists(st.floats(0, 1), max_size=30))
def test_holm_never_lowers_a_p_value_and_keeps_their_order(pvalues: list[float]) -> None:
    corrected = holm(pvalues)
    assert all(p <= q <= 1 for p, q in zip(pvalues, corrected, strict=True))
    order = sorted(range(len(pvalues)), key=lambda at: pvalues[at])
    assert [corrected[at] for at in order] == sorted(corrected)
