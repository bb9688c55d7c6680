"""The bench that fits which questions are easy."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evals.bench.routing import CASES, SQUAD, Looked, fitted, halves, main, report


def one(
    answerability: float, margin: float, words: int, *, first: bool, group: str = "a", source: str = SQUAD
) -> Looked:
    return Looked(source, group, "answerable", answerability, margin, words, True, first, True)


LED = [one(0.8, 0.2, 8, first=True) for _ in range(100)]
NOT_LED = [one(0.3, 0.2, 8, first=at % 2 == 0) for at in range(50)]


def test_the_bounds_take_most_questions_that_keep_the_share() -> None:
    rule = fitted([*LED, *NOT_LED])
    assert all(rule.easy(each.signals) for each in LED) and not any(rule.easy(each.signals) for each in NOT_LED)
    assert all(fitted([*LED, *NOT_LED], right_at_least=0.7).easy(each.signals) for each in [*LED, *NOT_LED])


def test_no_question_is_easy_where_no_bounds_keep_the_share() -> None:
    rule = fitted([one(0.9, 0.5, 5, first=False)] * 20)
    assert not rule.easy(one(1.0, 1.0, 1, first=True).signals)


@given(st.lists(st.sampled_from("abcdefgh"), min_size=1))
def test_no_article_is_fitted_on_and_measured_on(groups: list[str]) -> None:
    every = [one(0.5, 0.1, 8, first=True, group=group) for group in groups]
    fit, held_out = halves(every)
    assert {each.group for each in fit}.isdisjoint(each.group for each in held_out)
    assert len(fit) + len(held_out) == len(every)


def test_the_report_counts_what_it_says(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    every = [
        *(one(0.8, 0.2, 8, first=True, group=group) for group in "ab" for _ in range(100)),
        *(one(0.1, 0.2, 8, first=False, group=group) for group in "ab" for _ in range(100)),
        one(0.9, 0.3, 6, first=False, source=CASES),
    ]
    told = report(every)
    assert "| SQuAD 2.0, other articles | 200 | 50.0% | 100.0% |" in told
    assert "| sample handbook | 1 | 100.0% | 0.0% |" in told
    assert main([str(tmp_path)]) == 2
    assert "dev-2.0-part-a.json" in capsys.readouterr().err
