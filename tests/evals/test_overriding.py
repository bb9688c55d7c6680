"""What people say of cases moves the measures, and only the measures that it speaks of."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from evals.comparing import ORDER
from evals.overriding import moved, overridden, share_right, verdicts
from evals.reviewing import Override
from tests.evals.made_runs import ASIDE, HOPELESS, RIGHT, SILENT, made_run

NOW = datetime.now(UTC)
RUN = made_run([RIGHT, ASIDE, SILENT, HOPELESS, replace(HOPELESS, status="answered")])
RIGHT_ID, ASIDE_ID, SILENT_ID, HOPELESS_ID, WRONG_ID = (one.case_id for one in RUN.records)


def said(**verdict: str | None) -> dict[str, list[Override]]:
    return {name: [Override(name, what, "because", "eva", NOW)] for name, what in verdict.items()}


def test_the_latest_verdict_stands_unless_it_was_taken_back() -> None:
    one = Override("a", "used", "x", "eva", NOW)
    assert verdicts({"a": [one, replace(one, verdict="not retrieved")], "b": [one, replace(one, verdict=None)]}) == {
        "a": "not retrieved"
    }


def test_a_run_of_which_nobody_says_anything_is_the_same() -> None:
    assert overridden(RUN, {}) is RUN and overridden(RUN, said(other="used")) is RUN
    assert overridden(RUN, {RIGHT_ID: [Override(RIGHT_ID, None, "x", "eva", NOW)]}) is RUN
    assert moved(RUN, RUN) == []


def test_what_cites_beside_the_gold_counts_where_a_person_finds_it_right() -> None:
    people = overridden(RUN, {ASIDE_ID: said(x="used")["x"]})
    names = {one.name: (one.by_rules.value, one.with_people.value) for one in moved(RUN, people)}
    assert names["cases_right"] == (0.4, 0.6)
    assert names["gold_citation_recall"] == (0.5, 1.0)
    assert "abstention_tpr" not in names and "citation_precision" not in names
    assert share_right(RUN).value == 0.4, "the run itself is as it was"


def test_an_abstention_that_was_right_moves_both_rates() -> None:
    people = overridden(RUN, {SILENT_ID: said(x="rightly not answered")["x"]})
    names = {one.name: (one.by_rules, one.with_people) for one in moved(RUN, people)}
    assert names["abstention_fpr"][0].value == pytest.approx(1 / 3, abs=1e-3) and names["abstention_fpr"][1].value == 0
    assert (names["abstention_tpr"][0].n, names["abstention_tpr"][1].n) == (2, 3)


def test_an_answer_to_what_documents_do_answer_after_all_is_no_failure_to_abstain() -> None:
    people = overridden(RUN, {WRONG_ID: said(x="in context, not used")["x"]})
    names = {one.name: one.with_people.value for one in moved(RUN, people)}
    assert names["abstention_tpr"] == 1.0


@pytest.mark.parametrize("verdict", ORDER)
def test_every_verdict_of_a_case_can_be_measured(verdict: str) -> None:
    for case in (ASIDE_ID, SILENT_ID):
        people = overridden(RUN, {case: said(x=verdict)["x"]})
        record = next(one for one in people.records if one.case_id == case)
        assert record.failure_class == verdict and len(people.records) == len(RUN.records)
        assert all(one.value is None or 0 <= one.value <= 1 for one in people.measures.values())
