"""A gate opens only for a run that clears every bar."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

from evals.gate_report import gate_junit, gate_markdown, gate_table
from evals.gating import SAMPLE_BARS, bars_from, gate, gate_json, read_bars
from ingest.errors import UsageError
from tests.evals.made_runs import ASIDE, HOPELESS, RIGHT, SILENT, made_run

GOOD = made_run([RIGHT] * 12 + [HOPELESS] * 4)


def test_bars_of_both_sides() -> None:
    bars = bars_from({"gold_citation_recall": {"min": 1.0}, "abstention_fpr": {"min": 0, "max": 0}}, "bars")
    assert gate(GOOD, bars).met and len(gate(GOOD, bars).checks) == 3
    worse = gate(made_run([RIGHT] * 11 + [ASIDE, SILENT]), bars)
    assert [(one.bar.measure, one.met) for one in worse.checks] == [
        ("gold_citation_recall", False),
        ("abstention_fpr", True),
        ("abstention_fpr", False),
    ]
    assert "of 12" in worse.checks[0].why


def test_a_measure_without_a_value_clears_no_bar() -> None:
    for bar in (
        {"nugget_all": {"min": 0}},
        {"nugget_all": {"max": 1}},
        {"types": {"none": {"citation_f1": {"min": 0}}}},
    ):
        (check,) = gate(GOOD, bars_from(bar, "bars")).checks
        assert not check.met and check.value is None and check.why == "there is no case to measure it on"
    (check,) = gate(GOOD, bars_from({"nugget_all": {"max_drop": 1}}, "bars"), GOOD).checks
    assert not check.met


def test_bars_for_one_type_of_case() -> None:
    bars = bars_from({"types": {"fact": {"abstention_fpr": {"max": 0.5}, "latency_ms": {"max": 99}}}}, "bars")
    assert [one.met for one in gate(GOOD, bars).checks] == [True, False]
    assert gate(GOOD, bars).checks[0].bar.name == "abstention_fpr of fact"


def test_what_a_run_may_lose_against_a_former_one() -> None:
    bars = bars_from({"gold_citation_recall_of_answerable": {"max_drop": 0.1, "significant_drop": True}}, "bars")
    with pytest.raises(UsageError, match="--baseline"):
        gate(GOOD, bars)
    assert gate(GOOD, bars, GOOD).met
    one_lost = made_run([RIGHT] * 11 + [ASIDE] + [HOPELESS] * 4)
    assert gate(one_lost, bars, GOOD).met  # 1 of 12 is less than 0.1, and no more than chance
    many_lost = gate(made_run([RIGHT] * 2 + [ASIDE] * 10 + [HOPELESS] * 4), bars, GOOD)
    assert [one.met for one in many_lost.checks] == [False, False]
    assert gate(GOOD, bars, made_run([ASIDE] * 12 + [HOPELESS] * 4)).met  # better is never a drop


def test_a_drop_of_what_should_be_low_is_a_rise() -> None:
    slow = made_run([replace(RIGHT, latency_ms=300.0)] * 12)
    bars = bars_from({"latency_ms": {"max_drop": 50}, "abstention_fpr": {"max_drop": 0.0}}, "bars")
    assert [one.met for one in gate(slow, bars, made_run([RIGHT] * 12)).checks] == [False, True]
    assert gate(made_run([RIGHT] * 12), bars, slow).met


def test_half_a_run_is_not_let_through() -> None:
    half = gate(made_run([RIGHT] * 12, cases=60), bars_from({"abstention_fpr": {"max": 1}}, "bars"))
    assert not half.met and half.checks[-1].why == "only 12 are"


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ({"gold_citation_recal": {"min": 1}}, "Did you mean 'gold_citation_recall'"),
        ({"types": {"a": {"nonsense": {"min": 1}}}}, "not a measure"),
        ({"citation_f1": {"minimum": 1}}, "must be an object with some of"),
        ({"citation_f1": {}}, "must be an object"),
        ({"citation_f1": {"min": "high"}}, "must be a number"),
        ({"citation_f1": {"min": True}}, "must be a number"),
        ({"citation_f1": {"min": float("nan")}}, "must be a number"),
        ({"citation_f1": {"significant_drop": 1}}, "true or false"),
        ({"citation_f1": {"significant_drop": False}}, "asks for nothing"),
        ({"answered_share": {"max_drop": 0.1}}, "neither better nor worse"),
        ({}, "stops nothing"),
        ({"types": []}, "types"),
        ([], "must be an object"),
    ],
)
def test_a_bars_file_that_cannot_be_meant_is_refused(content: object, complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint):
        bars_from(content, "bars.json")


def test_files_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        read_bars(tmp_path / "none.json")
    (tmp_path / "bad.json").write_text("{")
    with pytest.raises(UsageError, match="not JSON"):
        read_bars(tmp_path / "bad.json")


def test_the_bars_of_the_samples_are_bars() -> None:
    assert {"quote_match", "access_leaks"} <= {bar.measure for bar in read_bars(SAMPLE_BARS)}


def test_what_a_pull_request_and_a_build_server_are_told() -> None:
    run = made_run([RIGHT, replace(ASIDE, case_id="<b>|x"), SILENT])
    bars = bars_from({"quote_match": {"min": 1}, "abstention_fpr": {"max": 0.1}}, "bars")
    result = gate(run, bars)
    page = gate_markdown(result, run)
    assert page.startswith("## Answer quality: not met (1 of 2)")
    rows = [line for line in page.splitlines() if line.startswith("| ❌") or line.startswith("| ✅")]
    assert len(rows) == 2 and "abstention\\_fpr" in rows[0] and rows[0].count("|") == rows[1].count("|")
    assert "\\<b\\>\\|x" in page and "<b>" not in page
    root = ElementTree.fromstring(gate_junit(result).encode())
    (suite,) = root
    assert (suite.get("tests"), suite.get("failures")) == ("2", "1")
    assert len(suite.findall("testcase/failure")) == 1
    assert "NOT MET abstention_fpr" in gate_table(result)
    assert json.loads(json.dumps(gate_json(result)))["met"] is False
