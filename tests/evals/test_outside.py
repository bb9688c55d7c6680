"""Answers of other systems are read, placed in the store, and measured as our own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from assistant.bootstrap import Quoth
from assistant.wire import answer_json
from evals.answers_run import Asking, RunOptions, evaluate_answers
from evals.cases import Case
from evals.gold import GoldFinder
from evals.outside import OutsideSystem, answers_from_file, outside_facts, sentences_with_markers
from ingest.access import Reader
from ingest.errors import UsageError

STAFF = Reader("ada", frozenset())
LAMPS = "Lamps on the pier are lit at dusk. They are put out at dawn by the harbour watch."


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Leave is 20 weeks [1][2]. It is paid [3].", [("Leave is 20 weeks.", (1, 2)), ("It is paid.", (3,))]),
        ("Leave is 20 weeks. [1] It is paid. [2, 3]", [("Leave is 20 weeks.", (1,)), ("It is paid.", (2, 3))]),
        ("It is so [1] [1].", [("It is so.", (1, 1))]),
        ("Nothing is cited.", [("Nothing is cited.", ())]),
        ("[1]", []),
        ("", []),
    ],
)
def test_markers_belong_to_the_sentence_they_stand_in_or_behind(
    text: str, expected: list[tuple[str, tuple[int, ...]]]
) -> None:
    assert [(one.text, one.citations) for one in sentences_with_markers(text)] == expected


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ('{"id": "a"}', "'text' must be the answer's text"),
        ('{"id": "a", "text": "x", "citations": ["y"]}', "'citations' must be a list of objects"),
        ('{"id": "a", "text": "x", "status": "fine"}', "'status' must be one of"),
        ('{"id": "a", "text": "x"}\n{"id": "a", "text": "y"}', "line 2: the id 'a' was used before"),
        ('{"text": "x"}', "'id' must be"),
    ],
)
def test_a_file_that_cannot_be_meant(tmp_path: Path, line: str, complaint: str) -> None:
    (tmp_path / "answers.jsonl").write_text(line + "\n")
    with pytest.raises(UsageError, match=complaint):
        answers_from_file(tmp_path / "answers.jsonl")


@pytest.mark.integration
def test_what_another_system_said_is_measured(quoth: Quoth, tmp_path: Path) -> None:
    (tmp_path / "pier").mkdir()
    (tmp_path / "pier" / "lamps.md").write_text(LAMPS + "\n")
    assert [one.status for one in quoth.pipeline.add([tmp_path / "pier"])] == ["added"]
    gold = [{"source": "lamps.md", "quote": "Lamps on the pier are lit at dusk."}]
    names = ["good", "ours", "nowhere", "uncited", "range", "refused", "empty", "missing"]
    cases = [{"id": name, "question": "When are the lamps on the pier lit?", "gold": gold} for name in names]
    (tmp_path / "cases.jsonl").write_text("".join(json.dumps(case) + "\n" for case in cases))
    *_, own = quoth.ask(cases[0]["question"], STAFF)  # type: ignore[arg-type]
    quote = "Lamps on the\npier are lit at dusk."
    said = [
        {"id": "good", "text": "Lamps on the pier are lit at dusk [1].", "citations": [{"source": "docs/lamps.md", "quote": quote}],
         "passages": [{"source": "lamps.md", "text": LAMPS}], "usage": {"input_tokens": 7}},
        {"id": "ours", **answer_json(own)},  # type: ignore[arg-type]
        {"id": "nowhere", "text": "Lamps are lit at noon [1].", "citations": [{"source": "lamps.md", "quote": "at noon"}]},
        {"id": "uncited", "text": "Lamps on the pier are lit at dusk."},
        {"id": "range", "text": "Lamps on the pier are lit at dusk [2].", "citations": [{"source": "lamps.md", "quote": quote}]},
        {"id": "refused", "text": "The documents do not mention this."},
        {"id": "empty", "text": ""},
    ]  # fmt: skip
    answers = tmp_path / "answers.jsonl"
    answers.write_text("".join(json.dumps(one) + "\n" for one in said))
    system = OutsideSystem(answers_from_file(answers), GoldFinder(quoth.catalog, None), outside_facts("file", "x", "m"))
    run = evaluate_answers(quoth, tmp_path / "cases.jsonl", Asking(STAFF, system=system), RunOptions(workers=2))
    by_id = {one.case_id: one for one in run.records}
    assert {name: one.failure_class for name, one in by_id.items()} == {
        "good": "used",
        "ours": "used",
        "nowhere": "in context, not used",
        "uncited": "in context, not used",
        "range": "used, wrong",
        "refused": "wrongly abstained",
        "empty": "wrongly abstained",
        "missing": "failed",
    }
    recall = run.measures["citation_recall"].per_case
    assert recall["good"] == recall["ours"] == 1 and recall["nowhere"] == recall["uncited"] == recall["range"] == 0
    assert run.measures["quote_match"].per_case["good"] == 1 and run.measures["quote_match"].per_case["nowhere"] == 0
    assert run.measures["uncited_claim_rate"].per_case["uncited"] == 1
    assert run.measures["gold_citation_recall"].per_case["good"] == 1
    assert run.measures["unscorable"].value == 1 / 8 and run.measures["access_leaks"].value == 0
    assert run.measures["abstention_fpr"].value == 2 / 8
    assert run.measures["reranked_ndcg_10"].value is None  # nobody looked at its stages
    assert set(run.measures["faithfulness"].per_case) == {"good", "ours"}  # the others do not say what they were given
    assert by_id["good"].outcome.input_tokens == 7


def test_a_case_without_an_answer_fails_alone(tmp_path: Path) -> None:
    (tmp_path / "answers.jsonl").write_text('{"id": "a", "text": "x"}\n')
    ask = answers_from_file(tmp_path / "answers.jsonl")
    assert ask(Case("a", "?")).text == "x"
    with pytest.raises(UsageError, match="no answer to case 'b'"):
        ask(Case("b", "?"))
