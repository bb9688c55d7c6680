"""Each measure against values worked by hand, ugly cases included."""

from __future__ import annotations

import math
import uuid
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evals.case_scores import (
    citation_f1,
    citation_precision,
    citation_recall,
    gold_page_recall,
    gold_precision,
    gold_recall,
    harmonic,
)
from evals.gold import Place
from evals.intervals import bootstrap_mean, bootstrap_ratio, wilson
from evals.measures import citations_per_answer, measures
from evals.outcome import Cited, GoldSeen, JudgedCitation, JudgedClaim, Outcome

DOCUMENT, OTHER = uuid.uuid4(), uuid.uuid4()
NEEDED = JudgedCitation(supports_alone=True, others_support=False)
SPARE = JudgedCitation(supports_alone=True, others_support=True)  # one of two that each suffice
IDLE = JudgedCitation(supports_alone=False, others_support=True)
PART = JudgedCitation(supports_alone=False, others_support=False)  # supports only together with the others
NOWHERE = JudgedCitation(resolves=False)


def cited(start: int, end: int, *, document: uuid.UUID = DOCUMENT, pages: frozenset[int] = frozenset()) -> Cited:
    return Cited(document, 1, (start, end), pages)


def gold(start: int, end: int, *, passage: tuple[int, int] = (0, 100), pages: frozenset[int] = frozenset()) -> GoldSeen:
    return GoldSeen((Place(DOCUMENT, 1, (start, end), passage, pages),), in_context=True)


def answered(*claims: JudgedClaim, case_id: str = "a", **more: object) -> Outcome:
    return Outcome(case_id, True, "answered", claims=claims, **more)  # type: ignore[arg-type]


def test_citation_recall_is_the_share_of_supported_sentences() -> None:
    outcome = answered(
        JudgedClaim(True, (NEEDED,)),
        JudgedClaim(False, (NEEDED,)),
        JudgedClaim(True, ()),  # no citation: not recalled, whatever a judge may say
        JudgedClaim(True, (NEEDED, NOWHERE)),  # a marker that points nowhere
    )
    assert citation_recall(outcome) == 1 / 4
    assert citation_recall(answered()) == 0  # an empty answer is not a perfect one


def test_citation_precision_is_the_share_of_good_citations() -> None:
    outcome = answered(
        JudgedClaim(True, (NEEDED, IDLE)),  # 1 of 2
        JudgedClaim(True, (PART, PART)),  # 2 of 2: neither does it alone, neither can be left out
        JudgedClaim(True, (SPARE, SPARE)),  # 2 of 2: each supports by itself
        JudgedClaim(False, (NEEDED,)),  # 0 of 1: its sentence is not supported
        JudgedClaim(True, (NEEDED, NOWHERE)),  # 0 of 2: the sentence counts as unsupported, its citations stay
        JudgedClaim(True, ()),
    )
    assert citation_precision(outcome) == 5 / 9
    assert citation_precision(answered(JudgedClaim(True, ()))) == 0


def test_citation_f1_is_per_answer() -> None:
    outcome = answered(JudgedClaim(True, (NEEDED, IDLE)), JudgedClaim(False, ()))  # precision 1/2, recall 1/2
    assert citation_f1(outcome) == 1 / 2
    assert citation_f1(answered()) == 0
    assert harmonic(1, 0.5) == pytest.approx(2 / 3)


def test_gold_citations_are_compared_as_spans() -> None:
    outcome = answered(
        citations=(cited(10, 20), cited(10, 20), cited(60, 70), cited(10, 20, document=OTHER)),
        gold=(gold(15, 30), gold(40, 50), GoldSeen(())),
    )
    # distinct citations: [10, 20) overlaps gold, [60, 70) does not, the other document's does not
    assert gold_precision(outcome) == 1 / 3
    # gold: the first is cited, the second not, the third is not in the store and counts as missed
    assert gold_recall(outcome) == 1 / 3
    assert gold_precision(outcome, passage=True) == 2 / 3
    assert gold_recall(outcome, passage=True) == 2 / 3


def test_touching_is_not_overlapping_and_another_version_is_another_text() -> None:
    assert gold_recall(answered(citations=(cited(10, 15),), gold=(gold(15, 30),))) == 0
    other_version = replace(cited(15, 30), version=2)
    assert gold_recall(answered(citations=(other_version,), gold=(gold(15, 30),))) == 0


def test_the_same_gold_twice_is_one_and_any_of_its_places_will_do() -> None:
    twice = GoldSeen(
        (Place(DOCUMENT, 1, (0, 5), (0, 9), frozenset()), Place(DOCUMENT, 1, (50, 55), (50, 59), frozenset()))
    )
    outcome = answered(citations=(cited(50, 55),), gold=(twice, twice, gold(80, 90)))
    assert gold_recall(outcome) == 1 / 2


def test_gold_pages() -> None:
    outcome = answered(
        citations=(cited(0, 5, pages=frozenset({2, 3})),),
        gold=(gold(50, 60, pages=frozenset({3})), gold(70, 80, pages=frozenset({4})), gold(90, 95)),
    )
    assert gold_page_recall(outcome) == 1 / 2  # the third stands in a format without pages


def test_all_measures_over_a_run_worked_by_hand() -> None:
    good = JudgedClaim(True, (NEEDED,))
    outcomes = [
        Outcome("1", True, "answered", "x", (good,), (cited(0, 10),), (gold(0, 10),)),
        Outcome("2", True, "partial", "x", (good,), (cited(40, 50), cited(90, 95)), (gold(0, 10), gold(40, 50))),
        Outcome("3", True, "abstained", "x", (), (), (gold(0, 10),)),
        Outcome("4", True, "answered", "y", (), (), (GoldSeen(()),)),  # an empty answer, and gold not in the store
        Outcome("5", False, "abstained", "y"),
        Outcome("6", False, "clarifying", "y"),
        Outcome("7", False, "answered", "y", (good,), (replace(cited(0, 10), matches_stored=False),)),
        Outcome("8", True, "failed", "y", (), (), (gold(0, 10),)),
    ]
    found = measures(outcomes)
    expected = {  # value, n
        "citation_precision": (3 / 4, 4),  # 1, 1, 0 for the empty one, 1
        "citation_recall": (3 / 4, 4),
        "citation_f1": (3 / 4, 4),
        "gold_citation_precision": ((1 + 1 / 2 + 0) / 3, 3),
        "gold_citation_recall": ((1 + 1 / 2 + 0) / 3, 3),
        "gold_citation_f1": ((1 + 1 / 2 + 0) / 3, 3),
        "gold_passage_precision": ((1 + 1 + 0) / 3, 3),  # [90, 95) stands in the gold's paragraph
        "gold_passage_recall": ((1 + 1 + 0) / 3, 3),
        "gold_passage_f1": ((1 + 1 + 0) / 3, 3),
        "gold_page_recall": (None, 0),
        "quote_match": (3 / 4, 4),
        "citation_validity": (3 / 4, 4),
        "abstention_tpr": (1 / 3, 3),
        "abstention_fpr": (1 / 5, 5),
        "answered_share": (4 / 8, 8),
        "unscorable": (2 / 8, 8),  # 4 and 8
        "gold_in_context": ((1 + 1 + 1 + 0 + 1) / 5, 5),
        "citation_precision_of_answerable": (2 / 5, 5),
        "citation_recall_of_answerable": (2 / 5, 5),
        "citation_f1_of_answerable": (2 / 5, 5),
        "gold_citation_precision_of_answerable": ((1 + 1 / 2) / 5, 5),
        "gold_citation_recall_of_answerable": ((1 + 1 / 2) / 5, 5),
        "gold_citation_f1_of_answerable": ((1 + 1 / 2) / 5, 5),
        "gold_passage_precision_of_answerable": (2 / 5, 5),
        "gold_passage_recall_of_answerable": (2 / 5, 5),
        "gold_passage_f1_of_answerable": (2 / 5, 5),
        "gold_page_recall_of_answerable": (None, 0),
    }
    assert {name: (found[name].value, found[name].n) for name in expected} == {
        name: (None if value is None else pytest.approx(value, abs=5e-5), n) for name, (value, n) in expected.items()
    }
    assert citations_per_answer(outcomes) == 1.0  # 1, 2, 0, 1
    for measure in found.values():
        assert (measure.interval is None) == (measure.value is None)
        if measure.value is not None and measure.interval is not None:
            assert 0 <= measure.interval[0] <= measure.value <= measure.interval[1] <= 1


def test_nothing_judged_is_null_and_not_a_number() -> None:
    for measure in measures([]).values():
        assert (measure.value, measure.n, measure.interval) == (None, 0, None)
    only_unanswerable = measures([Outcome("1", False, "abstained")])
    assert only_unanswerable["gold_citation_recall"].value is None
    assert only_unanswerable["abstention_fpr"].value is None
    assert only_unanswerable["abstention_tpr"].value == 1
    assert only_unanswerable["unscorable"].value == 0


def test_an_answerable_case_without_gold_is_unscorable_and_no_denominator_hides_it() -> None:
    found = measures([Outcome("1", True, "answered"), Outcome("2", True, "abstained", gold=(gold(0, 5),))])
    assert (found["unscorable"].value, found["unscorable"].n) == (0.5, 2)
    assert found["gold_citation_recall"].n == 0
    assert found["gold_citation_recall_of_answerable"].n == 1
    assert found["abstention_fpr"].value == 0.5


def test_answering_less_never_raises_what_is_measured_of_all_answerable_cases() -> None:
    whole = Outcome("1", True, "answered", None, (JudgedClaim(True, (NEEDED,)),), (cited(0, 5),), (gold(0, 5),))
    poor = Outcome("2", True, "answered", None, (JudgedClaim(False, (NEEDED,)),), (cited(60, 65),), (gold(0, 5),))
    silent = replace(poor, status="abstained", claims=(), citations=())
    before, after = measures([whole, poor]), measures([whole, silent])
    assert after["gold_citation_recall"].value == 1 > before["gold_citation_recall"].value  # type: ignore[operator]
    for name in before:
        if name.endswith("_of_answerable") and before[name].value is not None:
            assert after[name].value <= before[name].value  # type: ignore[operator]


@given(st.lists(st.floats(0, 1), min_size=1, max_size=40))
def test_an_interval_holds_its_mean_and_repeats(values: list[float]) -> None:
    interval = bootstrap_mean(values)
    assert interval is not None
    mean = sum(values) / len(values)
    low, high = interval
    assert low - 1e-4 <= max(values) and min(values) <= high + 1e-4
    assert min(values) - 1e-4 <= low <= high <= max(values) + 1e-4
    assert low - 0.05 <= mean <= high + 0.05
    assert bootstrap_mean(values) == interval


def test_intervals_of_known_cases() -> None:
    assert bootstrap_mean([0.5, 0.5, 0.5]) == (0.5, 0.5)
    assert bootstrap_mean([]) is None
    assert bootstrap_ratio([0.0], [0.0]) is None
    with pytest.raises(ValueError, match="finite"):
        bootstrap_mean([0.5, math.nan])
    low, high = bootstrap_mean([0.0, 1.0] * 50) or (0, 0)
    assert low == pytest.approx(0.5 - 1.96 * 0.05, abs=0.015)  # the normal approximation
    assert high == pytest.approx(0.5 + 1.96 * 0.05, abs=0.015)
    assert wilson(0, 0) is None
    assert wilson(10, 10) == (pytest.approx(0.7225, abs=1e-3), 1.0)  # as tabulated
    assert wilson(5, 10) == (pytest.approx(0.2366, abs=1e-3), pytest.approx(0.7634, abs=1e-3))
