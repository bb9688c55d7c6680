"""Each measure against values worked by hand, ugly cases included."""

from __future__ import annotations

import math
import uuid
from dataclasses import replace

import ir_measures
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evals.case_scores import (
    citation_f1,
    citation_precision,
    citation_recall,
    gold_page_precision,
    gold_page_recall,
    gold_precision,
    gold_ranks,
    gold_recall,
    harmonic,
    token_f1,
    weighted_precision,
    weighted_recall,
)
from evals.correcting import JudgeRates, corrected
from evals.gold import Place
from evals.intervals import bootstrap_mean, bootstrap_ratio, wilson
from evals.measures import citations_per_answer, measures, per_case, resources
from evals.outcome import Cited, GoldSeen, JudgedCitation, JudgedClaim, JudgedFact, JudgedNugget, Outcome
from evals.risk import aurc, risk_coverage

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
    whole = {**found, **resources(outcomes)}
    assert per_case(outcomes) == {name: one.per_case for name, one in whole.items() if one.per_case}
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


def test_weights_of_first_citations() -> None:
    outcome = answered(
        JudgedClaim(True, (NEEDED, IDLE)),  # full
        JudgedClaim(True, (PART, PART)),  # partial: the sentence is supported, and not without it
        JudgedClaim(True, (IDLE, NEEDED)),  # only the first is looked at, and it adds nothing
        JudgedClaim(False, (PART,)),
        JudgedClaim(True, (NOWHERE,)),
        JudgedClaim(True, ()),
    )
    assert weighted_precision(outcome) == 1.5 / 5
    assert weighted_recall(outcome) == 1.5 / 6
    assert weighted_precision(answered()) == weighted_recall(answered()) == 0


def test_pages_are_compared_by_document_and_not_as_names() -> None:
    page_of = replace(gold(0, 5), places=(Place(OTHER, 1, (0, 5), (0, 9), frozenset({3})),))
    outcome = answered(
        citations=(cited(0, 5, pages=frozenset({3})), cited(50, 55, document=OTHER, pages=frozenset({3, 4}))),
        gold=(page_of,),
    )
    assert gold_page_precision(outcome) == 1 / 3  # page 3 of the other document; not page 3 of this one, nor page 4
    assert gold_page_recall(outcome) == 1
    assert gold_page_precision(answered(citations=(cited(0, 5),), gold=(page_of,))) == 0


def test_rates_over_sentences_and_what_was_not_judged() -> None:
    good = JudgedClaim(True, (NEEDED,), grounded=True, right=True)
    unjudged = JudgedClaim(False, (JudgedCitation(),), judged=False)
    outcomes = [
        answered(good, good, case_id="1", context_known=True),
        answered(good, JudgedClaim(False, (), grounded=False), unjudged, case_id="2", context_known=True),
        answered(JudgedClaim(True, (NOWHERE,)), case_id="3"),  # nobody says what was given
        answered(JudgedClaim(False, (), needs_citation=False), case_id="4"),  # a greeting
    ]
    found = measures(outcomes)
    assert (found["faithfulness"].value, found["faithfulness"].n) == (3 / 5, 5)  # the unjudged one is a no
    assert (found["unjudged"].value, found["unjudged"].n) == (pytest.approx(1 / 7, abs=1e-4), 7)
    assert (found["uncited_claim_rate"].value, found["uncited_claim_rate"].n) == (pytest.approx(2 / 6, abs=1e-4), 6)
    assert found["citation_recall"].value == pytest.approx((1 + 1 / 3 + 0 + 0) / 4, abs=1e-4)


def test_reference_answers_and_nuggets() -> None:
    outcome = answered(
        JudgedClaim(True, (NEEDED,), right=True),
        JudgedClaim(True, (NEEDED,), right=False),
        gold=(gold(0, 5),),
        reference=(JudgedFact(True, True), JudgedFact(True, False), JudgedFact(False, None)),
        nuggets=(JudgedNugget(True, 1.0), JudgedNugget(True, 0.5), JudgedNugget(False, 0.5), JudgedNugget(False)),
        context_known=True,
    )
    silent = replace(outcome, case_id="b", status="abstained", claims=(), nuggets=())
    found = measures([outcome, silent])
    assert found["answer_precision"].value == 1 / 2
    assert found["answer_recall"].value == pytest.approx(1 / 3, abs=1e-4)
    assert found["answer_recall_of_answerable"].value == pytest.approx(1 / 6, abs=1e-4)
    assert found["claim_recall"].value == pytest.approx(2 / 3, abs=1e-4)
    # of the two given in each: one is in the answer, and an abstention uses neither
    assert (found["context_utilization"].value, found["context_utilization"].n) == (1 / 4, 4)
    assert found["nugget_vital_strict"].value == 1 / 2
    assert found["nugget_all"].value == (1 + 0.5 + 0.5 + 0) / 4
    # an empty answer is not a faithful one, and not a precise one
    empty = measures([replace(outcome, claims=())])
    assert empty["faithfulness"].value is None and empty["answer_precision"].value == 0


def test_words_in_common() -> None:
    assert token_f1("The 20 weeks.", "20 Weeks") == 1  # case, punctuation and articles do not count
    assert token_f1("20 weeks paid", "20 weeks") == pytest.approx(2 * (2 / 3) / (5 / 3))
    assert token_f1("a a b", "a b b") == pytest.approx(2 * (2 / 2 * 1 / 2) / (3 / 2))  # articles go, one b each
    assert token_f1("", "") == 1 and token_f1("x", "") == 0


def test_abstention_and_both_sides_of_a_conflict() -> None:
    outcomes = [
        Outcome("1", False, "abstained"),
        Outcome("2", False, "answered"),
        Outcome("3", True, "abstained", gold=(gold(0, 5),), conflict=True),
        Outcome("4", True, "answered", citations=(cited(0, 5), cited(40, 45)), gold=(gold(0, 5), gold(40, 45)), conflict=True),
        Outcome("5", True, "answered", citations=(cited(0, 5),), gold=(gold(0, 5), gold(40, 45)), conflict=True),
    ]  # fmt: skip
    found = measures(outcomes)
    assert found["abstention_f1"].value == 2 * 1 / (2 * 1 + 1 + 1)
    assert (found["conflict_both_sides"].value, found["conflict_both_sides"].n) == (pytest.approx(1 / 3, abs=1e-4), 3)
    assert measures([replace(outcomes[3], leaked=True), outcomes[4]])["access_leaks"].value == 1 / 2


def test_risk_falls_with_coverage_where_confidence_is_worth_something() -> None:
    # losses in the order of confidence: 0, 1, 1, 0 -> risks 0, 1/2, 2/3, 1/2
    answers = [("a", 0.9, 0.0), ("b", 0.8, 1.0), ("c", 0.7, 1.0), ("d", 0.6, 0.0)]
    measure = aurc(answers)
    assert measure.value == pytest.approx((0 + 1 / 2 + 2 / 3 + 1 / 2) / 4, abs=1e-4) and measure.n == 4
    assert [risk for _, risk in risk_coverage([0.5, 0.5], [0.0, 1.0])] == [0.5, 0.5]  # no order among equals is known
    assert aurc([*answers, ("e", None, 0.0)]).value is None and aurc([]).value is None
    wrong_way = aurc([(case, 1 - sure, lost) for case, sure, lost in [("a", 0.9, 0.0), ("b", 0.1, 1.0)]])
    right_way = aurc([("a", 0.9, 0.0), ("b", 0.1, 1.0)])
    assert right_way.value == 0.25 and wrong_way.value == 0.75


@settings(deadline=None, max_examples=30)
@given(
    st.lists(
        st.dictionaries(st.sampled_from(["lexical", "dense", "fused", "reranked"]), st.integers(1, 15), max_size=4),
        min_size=1,
        max_size=6,
    )
)
def test_rankings_are_measured_as_ir_measures_does(ranks: list[dict[str, int]]) -> None:
    seen = tuple(
        replace(gold(at * 10, at * 10 + 5), ranks=rank)  # type: ignore[arg-type]
        for at, rank in enumerate(ranks)
    )
    outcome = answered(gold=seen, ranked=True)
    found = measures([outcome])
    for stage in ("lexical", "dense", "fused", "reranked"):
        places = gold_ranks(outcome, stage)  # type: ignore[arg-type]
        assert len(set(places)) == len(places)
        run = [ir_measures.ScoredDoc("q", f"other{at}", -float(at)) for at in range(1, 40) if at not in places]
        run += [ir_measures.ScoredDoc("q", f"gold{at}", -float(at)) for at in places]
        missing = [f"missing{at}" for at in range(len(ranks) - len(places))]
        qrels = [ir_measures.Qrel("q", name, 1) for name in [*(f"gold{at}" for at in places), *missing]]
        for name, theirs in (("ndcg", "nDCG@10"), ("recall", "R@10"), ("rr", "RR@10")):
            wanted = ir_measures.calc_aggregate([ir_measures.parse_measure(theirs)], qrels, run)
            assert found[f"{stage}_{name}_10"].value == pytest.approx(next(iter(wanted.values())), abs=1e-4)


def test_a_judges_errors_are_taken_out() -> None:
    rates = JudgeRates(90, 100, 80, 100, None, None)
    found = corrected(620, 1000, rates)
    assert found.value == pytest.approx((0.62 + 0.8 - 1) / (0.9 + 0.8 - 1))  # 0.6
    assert found.interval is not None and found.interval[0] < 0.6 < found.interval[1]
    fewer = corrected(620, 1000, JudgeRates(9, 10, 8, 10, None, None))
    assert fewer.interval is not None and fewer.interval[1] - fewer.interval[0] > found.interval[1] - found.interval[0]
    assert corrected(5, 10, JudgeRates(5, 10, 5, 10, None, None)).value is None  # a coin
    assert corrected(0, 0, rates).value is None and corrected(1, 2, JudgeRates(0, 0, 1, 1, None, None)).value is None
    perfect = corrected(30, 40, JudgeRates(1000, 1000, 1000, 1000, None, None))
    assert perfect.value == 0.75
    assert corrected(1, 100, rates).value == 0  # clipped: below what false alarms alone would give


def test_the_corrected_interval_covers_the_truth() -> None:
    rng = np.random.default_rng(3)
    held = 0
    for _ in range(200):
        truth = rng.uniform(0.3, 0.9)
        yes, no = rng.binomial(150, 0.85), rng.binomial(150, 0.9)
        hits = rng.binomial(200, truth * 0.85 + (1 - truth) * 0.1)
        interval = corrected(int(hits), 200, JudgeRates(int(yes), 150, int(no), 150, None, None)).interval
        assert interval is not None
        held += interval[0] <= truth <= interval[1]
    assert held >= 180  # 95 % of 200, less four standard deviations
