"""Risk, coverage, and the rule for the threshold below which quoted answers abstain."""

from __future__ import annotations

import numpy as np
import pytest

from evals.bench.abstention import OTHER, SQUAD, Seen, aurc, fit, held_out, risk_coverage, threshold_by_rule


def seen(kind: str, *, cites: bool = False, source: str = SQUAD, group: str = "a", sure: float = 0.0) -> Seen:
    return Seen(source, group, kind, {"sure": sure}, cites, cites)


def test_risk_is_of_those_answered_so_far_the_surest_first() -> None:
    every = [seen("near miss"), seen("answerable", cites=True), seen("answerable")]
    curve = risk_coverage(every, np.array([0.1, 0.9, 0.5]))
    assert curve == [(pytest.approx(1 / 3), 0.0), (pytest.approx(2 / 3), 0.5), (1.0, pytest.approx(2 / 3))]
    assert aurc(curve) == pytest.approx((0 + 0.5 + 2 / 3) / 3)


def test_the_threshold_loses_at_most_a_tenth_of_each_sets_answerable_questions() -> None:
    sure = np.linspace(0.305, 0.995, 20)
    every = [seen("answerable", source=SQUAD if at % 2 else OTHER) for at in range(20)]
    threshold = threshold_by_rule(every, sure)
    for source in (SQUAD, OTHER):
        of = np.array([one.source == source for one in every])
        assert np.mean(sure[of] < threshold) <= 0.1
    assert np.mean(sure < threshold + 0.1) > 0.1  # it is no lower than it must be


def test_rows_that_count_twice_weigh_as_if_they_were_there_twice() -> None:
    rows, labels = np.array([[0.0], [1.0], [2.0], [0.5]]), np.array([0.0, 1.0, 1.0, 1.0])
    twice = fit(rows, labels, counts=np.array([1.0, 1.0, 1.0, 2.0]))
    assert twice == pytest.approx(fit(np.vstack([rows, rows[3:]]), np.append(labels, 1.0)), abs=1e-6)


def test_a_question_is_scored_by_weights_that_have_not_seen_its_article() -> None:
    # in every article but one the signal says the opposite of what it says in that one
    every = [
        seen("answerable" if (at % 2 == 0) == (group != "odd") else "near miss", group=group, sure=float(at % 2 == 0))
        for group in ("a", "b", "c", "d", "odd")
        for at in range(20)
    ]
    sure = held_out(every)
    odd = [float(value) for one, value in zip(every, sure, strict=True) if one.group == "odd" and one.signals["sure"]]
    assert min(odd) > 0.5  # though all of these are near misses
