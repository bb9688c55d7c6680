"""Measures of a judge, against values worked out by hand and laws they obey."""

from __future__ import annotations

from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evals.judging import (
    balanced_accuracy,
    brier,
    calibration_error,
    confusion,
    kappa,
    labelled,
    measures,
    roc_auc,
    roc_points,
)
from evals.roc_picture import MOST_POINTS, area, roc_svg, thinned

JUDGED = labelled([(0.9, True), (0.8, True), (0.6, True), (0.3, False), (0.2, False)], [True, True, False, True, False])
PAIRS = st.lists(st.tuples(st.sampled_from([0.0, 0.1, 0.35, 0.5, 0.95, 1.0]), st.booleans()), min_size=1, max_size=40)


def test_measures_by_hand() -> None:
    scores, accepted, labels = JUDGED.scores, JUDGED.accepted, JUDGED.labels
    assert confusion(JUDGED) == {"tp": 2, "fp": 1, "fn": 1, "tn": 1}
    assert balanced_accuracy(accepted, labels) == pytest.approx((2 / 3 + 1 / 2) / 2)
    assert kappa(accepted, labels) == pytest.approx((0.6 - 0.52) / 0.48)
    assert roc_auc(scores, labels) == pytest.approx(5 / 6)
    assert brier(scores, labels) == pytest.approx((0.01 + 0.04 + 0.36 + 0.49 + 0.04) / 5)
    assert calibration_error(scores, labels) == pytest.approx((0.1 + 0.2 + 0.6 + 0.7 + 0.2) / 5)


def test_one_label_alone_leaves_what_needs_both_undefined() -> None:
    found = measures(labelled([(0.9, True), (0.2, False)], [True, True]))
    assert found["balanced_accuracy"].value is None and found["roc_auc"].value is None
    assert found["brier"].value is not None
    assert kappa(np.array([True]), np.array([True])) is None


def test_intervals_hold_their_value_and_repeat() -> None:
    found = measures(JUDGED)
    assert found == measures(JUDGED)
    for one in found.values():
        assert one.value is not None and one.interval is not None
    assert found["brier"].interval is not None and found["brier"].value is not None
    assert found["brier"].interval[0] <= found["brier"].value <= found["brier"].interval[1]


@settings(deadline=None)
@given(PAIRS)
def test_the_area_under_the_points_is_the_chance_of_the_right_order(pairs: list[tuple[float, bool]]) -> None:
    scores, labels = np.array([one for one, _ in pairs]), np.array([label for _, label in pairs])
    points = roc_points(scores, labels)
    assert points[0] == (0, 0) and points[-1] == pytest.approx((1, 1))
    assert points == sorted(points)
    expected = roc_auc(scores, labels)
    if expected is not None:
        assert area(points) == pytest.approx(expected)
    assert 0 <= calibration_error(scores, labels) <= 1


def test_the_picture_is_xml_with_a_line_for_each_curve() -> None:
    curve = [(i / 999, (i / 999) ** 0.5) for i in range(1000)]
    picture = ElementTree.fromstring(roc_svg({"one & two": curve, "<chance>": [(0.0, 0.0), (1.0, 1.0)]}))
    texts = [node.text for node in picture.iter("{http://www.w3.org/2000/svg}text")]
    assert "one & two, area 0.667" in texts and "<chance>, area 0.500" in texts
    assert len(thinned(curve)) == MOST_POINTS and thinned(curve)[-1] == curve[-1]
