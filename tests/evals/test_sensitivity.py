"""Each deliberate fault is caught by the gate, and a run without one passes; equal systems are not told apart."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from assistant.bootstrap import Quoth
from evals.bench.compare_error import false_alarms
from evals.bench.sensitivity import faults, sensitivity, with_outsiders

TOWNS = ("Alder", "Birch", "Cedar", "Dogwood", "Elm")
THINGS = {
    "mooring": "A mooring in the port of {town} costs {n} crowns a night, and {m} crowns in the month of August.",
    "library": "The library of {town} lends {n} books at a time, and asks for them back after {m} days.",
    "market": "The market of {town} has {n} stalls on Saturdays, and {m} stalls on the day of the fair.",
}


@pytest.fixture(scope="module")
def filled(quoth: Quoth, tmp_path_factory: pytest.TempPathFactory) -> tuple[Quoth, Path]:
    """Documents that resemble one another, one in three restricted, and two questions about each."""
    root = tmp_path_factory.mktemp("towns")
    lines = []
    for at, town in enumerate(TOWNS):
        said = {name: text.format(town=town, n=at * 7 + 11, m=at * 5 + 23) for name, text in THINGS.items()}
        restricted = at % 3 == 1
        folder = root / ("closed" if restricted else "open")
        folder.mkdir(exist_ok=True)
        (folder / f"{town.lower()}.md").write_text(
            "\n\n".join(f"# {name}\n\n{text}" for name, text in said.items()) + "\n"
        )
        asked = {
            "mooring": "What does it cost to keep a boat in {} overnight?",
            "library": "How many books may be borrowed in {}?",
        }
        for name, question in asked.items():
            case = {"id": f"{town}-{name}", "question": question.format(town), "type": name,
                    "gold": [{"source": f"{town.lower()}.md", "quote": said[name]}], "answer": said[name]}  # fmt: skip
            lines.append({**case, "groups": ["council"]} if restricted else case)
    for name, readers in (("open", ["everyone"]), ("closed", ["council"])):
        receipts = list(quoth.pipeline.add([root / name], readers=readers))
        assert {one.status for one in receipts} == {"added"}
    file = root / "cases.jsonl"
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return quoth, with_outsiders(file, tmp_path_factory.mktemp("cases"), None)


WANTED = {
    "off-by-one spans": "quote_match",
    "shuffled citations": None,
    "wrong version": "quote_match",
    "checker always yes": None,
    "stale index": "gold_in_context",
    "leaked document": "access_leaks",
}


@pytest.mark.integration
@pytest.mark.parametrize(
    "wanted",
    [
        {name: WANTED[name] for name in ("off-by-one spans", "leaked document")},
        pytest.param(WANTED, marks=pytest.mark.soak),
    ],
)
def test_the_gate_notices_faults_that_a_few_documents_can_show(
    filled: tuple[Quoth, Path], wanted: dict[str, str | None]
) -> None:
    """Those of retrieval need documents that are hard to tell apart: `python -m evals.bench.sensitivity` has them."""
    quoth, cases = filled
    made = sensitivity(quoth, cases, lambda text: None, only=tuple(wanted))
    found = {one.fault: {check.bar.measure for check in one.by} for one in made}
    assert found.pop("no fault") == set()
    assert set(found) == set(wanted)
    for fault, measure in wanted.items():
        assert found[fault], fault
        assert measure is None or measure in found[fault]


@pytest.mark.integration
def test_there_are_ten_faults_each_with_a_wiring_of_its_own(filled: tuple[Quoth, Path]) -> None:
    made = faults(filled[0])
    assert len(made) == len({fault.name for fault in made}) == 10
    assert all(fault.system.name == fault.name for fault in made)


def test_equal_systems_are_seldom_told_apart() -> None:
    after, without = false_alarms(60, 40, rounds=400)
    assert after <= 9  # 5 % of 60 is 3; more than 9 has a chance below 1 in 1000
    assert without > after
