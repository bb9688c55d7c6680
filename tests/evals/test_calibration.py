"""Scores against the truth: bins, errors, and the risk at each share answered."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evals.calibration import (
    answers,
    at_coverages,
    calibration,
    risk_curve,
    statements_by_people,
    statements_by_reference,
)
from evals.outcome import JudgedClaim
from evals.reviewing import ClaimKey, Labelled
from tests.evals.made_runs import ASIDE, HOPELESS, RIGHT, SILENT, made_run


def test_bins_hold_what_was_given_about_the_same_score() -> None:
    found = calibration([(0.05, False), (0.95, True), (0.92, True), (0.97, False), (1.0, True)])
    assert [(one.low, one.high, one.n, one.share) for one in found.bins] == [(0.0, 0.1, 1, 0.0), (0.9, 1.0, 4, 0.75)]
    assert (
        found.bins[1].mean_score == pytest.approx(0.96) and found.bins[1].interval[0] < 0.75 < found.bins[1].interval[1]
    )
    assert found.ece == pytest.approx((1 * 0.05 + 4 * abs(0.75 - 0.96)) / 5, abs=1e-4)
    assert calibration([]) == calibration([]) and calibration([]).ece is None
    with pytest.raises(ValueError, match="from 0 to 1"):
        calibration([(1.5, True)])
    with pytest.raises(ValueError, match="from 0 to 1"):
        calibration([(float("nan"), True)])


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=200))
def test_no_score_is_lost_and_intervals_hold_their_share(pairs: list[tuple[float, bool]]) -> None:
    found = calibration(pairs)
    assert sum(one.n for one in found.bins) == found.n == len(pairs)
    assert sum(round(one.n * one.share) for one in found.bins) == sum(right for _, right in pairs)
    for one in found.bins:
        assert one.low <= one.mean_score + 1e-4 and one.mean_score <= one.high + 1e-4
        assert one.interval[0] <= one.share + 1e-4 and one.share <= one.interval[1] + 1e-4


def test_a_perfect_forecaster_has_no_error_and_its_opposite_all() -> None:
    assert calibration([(1.0, True)] * 5 + [(0.0, False)] * 5).ece == 0
    assert calibration([(1.0, False)] * 5 + [(0.0, True)] * 5).ece == 1


def test_statements_are_paired_with_people_and_with_the_reference() -> None:
    two = replace(
        RIGHT, claims=(JudgedClaim(True, (), right=True), JudgedClaim(True, (), right=False), JudgedClaim(True, ()))
    )
    run = made_run([two])
    run = replace(run, records=(replace(run.records[0], claim_scores=(0.9, 0.4, 0.7)),))
    assert statements_by_reference(run) == [(0.9, True), (0.4, False)]
    case = run.records[0].case_id
    labels = [
        Labelled(ClaimKey(run.id, case, 0), "a", "supported"),
        Labelled(ClaimKey(run.id, case, 1), "a", "partly"),
        Labelled(ClaimKey(run.id, case, 1), "b", "supported"),  # disputed
        Labelled(ClaimKey(run.id, case, 2), "a", "not"),
        Labelled(ClaimKey("other", case, 0), "a", "not"),
    ]
    assert statements_by_people(run, labels) == [(0.9, True), (0.7, False)]


def test_answers_are_right_when_they_cite_the_gold_and_abstentions_are_none() -> None:
    run = made_run([RIGHT, replace(ASIDE, confidence=0.3), SILENT, HOPELESS, replace(HOPELESS, status="answered")])
    assert answers(run) == [(0.9, True), (0.3, False), (0.1, False)]
    curve = risk_curve(run)
    assert curve == [(1 / 3, 0.0), (2 / 3, 0.5), (1.0, pytest.approx(2 / 3))]
    assert at_coverages(curve)[-1] == curve[-1] and at_coverages(curve)[0] == curve[0]
    assert risk_curve(made_run([SILENT])) == [] and at_coverages([]) == []
