"""A run that is killed in the middle and begun again has each case once, as if nothing had happened."""

from __future__ import annotations

from dataclasses import replace

import pytest

from evals.bench.killed_run import Part, Result, normal, run_and_kill, table

pytestmark = pytest.mark.integration


def test_nothing_is_lost_when_a_run_is_killed_in_the_middle(environ: dict[str, str]) -> None:
    result = run_and_kill(environ, 30, workers=2)
    assert result.whole, table(result)
    assert result.records == 30 and 15 <= result.kept_at_kill < 30
    assert [part.killed for part in result.parts] == [True, False] and result.undisturbed.peak_mib > 0


def test_what_is_lost_or_changed_is_told() -> None:
    part = Part(0.1, 100.0, False)
    fine = Result(2, part, (part, part), 1, 2, (), (), (), ())
    assert fine.whole and "nothing was lost" in table(fine)
    for wrong in (
        replace(fine, lost=("a",)), replace(fine, doubled=("a",)), replace(fine, different=("a",)),
        replace(fine, done_again=("0",)), replace(fine, records=1),
    ):  # fmt: skip
        assert not wrong.whole and "SOMETHING" in table(wrong)


def test_records_are_compared_without_times_and_ids_of_answers() -> None:
    one = {"outcome": {"case_id": "a", "latency_ms": 3.0, "status": "answered"}, "answer": "x", "timings_ms": {"a": 1}}
    other = {"outcome": {"case_id": "a", "latency_ms": 4.0, "status": "answered"}, "answer": "y", "timings_ms": {}}
    assert normal(one) == normal(other)
    assert normal({**one, "outcome": {**one["outcome"], "status": "abstained"}}) != normal(one)  # type: ignore[dict-item]
