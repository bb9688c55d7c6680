"""What reviewers' labels come to: agreement beyond chance, verdicts of the majority, and the judge measured by them."""

from __future__ import annotations

import uuid
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evals.agreement import agreements, cohen_kappa, corrected_support, judges_by_people, settled
from evals.judging import kappa
from evals.outcome import JudgedCitation, JudgedClaim
from evals.reviewing import ClaimKey, Label, Labelled, to_review
from tests.evals.made_runs import RIGHT, made_run

YES = JudgedClaim(True, (JudgedCitation(True, True),))
NO = JudgedClaim(False, (JudgedCitation(),))
BARE = JudgedClaim(False, ())


def key(claim: int, run: str = "aaaa") -> ClaimKey:
    return ClaimKey(run, "right-0", claim)


def said(reviewer: str, *labels: Label) -> list[Labelled]:
    return [Labelled(key(at), reviewer, label) for at, label in enumerate(labels)]


def test_kappa_is_agreement_beyond_chance() -> None:
    # they agree on 3 of 4; by chance on 1/2 * 1/4 + 1/2 * 3/4 = 1/2
    assert cohen_kappa(["y", "y", "n", "n"], ["y", "n", "n", "n"]) == pytest.approx(0.5)
    assert cohen_kappa(["y", "y"], ["y", "y"]) is None and cohen_kappa([], []) is None


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1))
def test_kappa_of_two_labels_is_the_judges_and_symmetric(pairs: list[tuple[bool, bool]]) -> None:
    one, other = [str(a) for a, _ in pairs], [str(b) for _, b in pairs]
    expected = kappa(np.array([a for a, _ in pairs]), np.array([b for _, b in pairs]))
    found = cohen_kappa(one, other)
    assert (found is None) == (expected is None) and found == cohen_kappa(other, one)
    assert found is None or (found == pytest.approx(expected) and found <= 1)


def test_reviewers_are_paired_on_what_both_labelled() -> None:
    labels = [*said("ada", "supported", "not", "partly", "skipped"), *said("bo", "supported", "partly")]
    (one,) = agreements(labels)
    assert (one.one, one.other, one.n, one.same) == ("ada", "bo", 2, 0.5)
    assert agreements(said("ada", "not")) == []


def test_the_majority_settles_a_statement_and_a_split_settles_none() -> None:
    labels = [*said("ada", "supported", "supported", "partly"), *said("bo", "supported", "not", "skipped")]
    assert settled(labels) == ({key(0): True, key(2): False}, 1)


def test_labels_measure_the_judge_and_correct_the_rate_it_reports() -> None:
    run = made_run([replace(RIGHT, claims=(YES,) * 8 + (NO,) * 2 + (BARE,))])
    # of what it says yes to, people deny two; what it says no to, they deny as well
    labels = said("ada", *["supported"] * 6, "not", "partly", "not", "not")
    judges = judges_by_people([run], labels)
    rates = judges["local"].rates
    assert (rates.true_yes, rates.yes, rates.true_no, rates.no) == (6, 6, 2, 4)
    assert rates.balanced_accuracy == pytest.approx(0.75)
    found = corrected_support(run, judges)
    assert found is not None and found.observed == 0.8
    assert found.value == pytest.approx((0.8 + 0.5 - 1) / (1 + 0.5 - 1)), "Rogan and Gladen: six of ten are right"
    assert found.interval is not None and found.interval[0] < 0.6 < found.interval[1]
    other = made_run([RIGHT], "bbbb", settings={"judge": "another"})
    assert corrected_support(other, judges) is None


def test_every_reviewer_is_asked_of_the_same_statements_in_one_order() -> None:
    def with_answers(run: str) -> object:
        made = made_run([replace(RIGHT, claims=(YES, NO, BARE))] * 3, run)
        return replace(made, records=tuple(replace(one, answer=uuid.uuid4()) for one in made.records))

    one, other = with_answers("aaaa"), with_answers("bbbb")
    keys = to_review([one, other])  # type: ignore[list-item]
    assert keys == to_review([other, one])  # type: ignore[list-item]
    assert len(keys) == 12 and all(each.claim < 2 for each in keys), "what cites nothing needs no person"
    assert keys != sorted(keys), "runs and cases are mixed"
