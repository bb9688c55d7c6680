"""Cases proposed from documents: by rules, by a model whose quotes must be found, decided by a person."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text

from assistant.bootstrap import Quoth, open_quoth
from evals.bench.loopback_model import LoopbackModel
from evals.drafting import copies, drafts, near_miss, usable
from evals.kept_cases import KeptCases
from evals.proposing import Proposals, Wanted
from ingest.access import LOCAL, Reader
from ingest.errors import ServiceError, UsageError
from ingest.removal import proof
from ui.command import main

EVA = Reader("eva@example.org", frozenset({"staff"}))
LEAVE = "New parents receive twenty weeks of paid parental leave."
ROOMS = "Hotel rooms may cost at most 140 euros a night."
KEYS = "The keys to the boathouse are kept in the harbour office."
FERRY = "The ferry to Holm leaves at seven in the morning on working days."
SECRET = "The severance reserve of the board covers 84 months of salary."


@pytest.mark.parametrize(
    ("sentence", "question", "kind"),
    [
        (LEAVE, "How many weeks of paid parental leave do new parents receive?", "number"),
        (ROOMS, "How many euros may hotel rooms cost a night?", "number"),
        (KEYS, "Where are the keys to the boathouse kept?", "place"),
        (FERRY, "When does the ferry to Holm leave?", "time"),
        ("The deposit is 300 euros for a boat.", "How many euros is the deposit for a boat?", "number"),
        ("A berth is a place where one boat may lie overnight.", "What is a berth?", "definition"),
        ("Holm lends 12 boats.", "How many boats does Holm lend?", "number"),
        ("The harbour council is the body that grants berths.", "What is the harbour council?", "definition"),
        ("Employees must return the card by 31 March.", "When must employees return the card?", "time"),
        ("About 40% of the berths are let to members.", None, None),
        ("It must be returned within 3 days.", None, None),  # nobody knows what
        ("If the quay is icy, boats may stay 2 days longer.", None, None),
    ],
)
def test_rules_turn_plain_sentences_into_questions(sentence: str, question: str | None, kind: str | None) -> None:
    found = list(drafts(sentence))
    assert [one.question for one in found] == ([question] if kind else [])
    assert [one.kind for one in found] == ([kind] if kind else [])
    assert all(sentence[slice(*one.span)] == sentence for one in found)


def test_a_sentence_that_no_rule_turns_is_asked_for_under_its_heading() -> None:
    (one,) = drafts("If the quay is icy, boats may stay 2 days longer.", "Winter berths")
    assert one.question == "Winter berths: how many days?"


@given(st.text(max_size=400))
def test_any_text_makes_drafts_that_point_at_a_sentence_of_it(words: str) -> None:
    for one in drafts(words, "Heading"):
        start, end = one.span
        assert 0 <= start < end <= len(words) and words[start:end] == words[start:end].strip()
        assert usable(one.question, words)


def test_a_question_that_copies_is_told() -> None:
    words = "The keys to the boathouse are kept in the harbour office and nowhere else."
    assert copies("Is it so that the boathouse are kept in the harbour office?", words)
    assert not copies("Where are the boathouse keys kept, in which office of the harbour?", words)


def test_a_near_miss_swaps_a_name_a_year_or_who_it_is_about() -> None:
    draw = random.Random(3)
    asked, swapped = near_miss("When does the ferry to Holm leave?", lambda word: True, draw) or ("", "")
    assert "Holm" not in asked and asked.startswith("When does the ferry to ") and swapped.startswith("Holm -> ")
    year = near_miss("How many berths were let in 2024?", lambda word: True, draw)
    assert year is not None and "2024" not in year[0]
    assert near_miss("How many days off do employees get?", lambda word: True, draw) == (
        "How many days off do volunteers get?",
        "employees -> volunteers",
    )
    assert near_miss("How many days off do employees get?", lambda word: False, draw) is None
    assert near_miss("How deep is it?", lambda word: True, draw) is None


@pytest.fixture(scope="module")
def filled(quoth: Quoth, tmp_path_factory: pytest.TempPathFactory) -> Quoth:
    root = tmp_path_factory.mktemp("documents")
    (root / "leave.md").write_text(f"# Parental leave\n\n{LEAVE} It can be taken in blocks, one after the other.\n")
    (root / "travel.md").write_text(f"# Travel\n\n{ROOMS} Breakfast is paid for when it is on the hotel's own bill.\n")
    (root / "harbour.md").write_text(f"# Harbour\n\n{KEYS} They are handed out against a signature.\n\n{FERRY} On Sundays there is none, nor on holidays.\n")  # fmt: skip
    list(quoth.pipeline.add([root]))
    secret = tmp_path_factory.mktemp("secret")
    (secret / "board.md").write_text(f"# Board\n\n{SECRET} It was agreed at the last meeting behind closed doors.\n")
    list(quoth.pipeline.add([secret], readers=["board"]))
    return quoth


@pytest.mark.integration
def test_rules_propose_from_what_the_reader_may_read_and_a_person_decides(filled: Quoth) -> None:
    proposals = Proposals(filled)
    told: list[tuple[int, int]] = []
    made = proposals.generate(EVA, Wanted(10), lambda done, total: told.append((done, total)))
    found = proposals.listed(EVA)
    assert {one.question for one in found if one.answerable} == {
        "How many weeks of paid parental leave do new parents receive?",
        "How many euros may hotel rooms cost a night?",
        "Where are the keys to the boathouse kept?",
        "When does the ferry to Holm leave?",
    }
    assert made.answerable == 4 and made.drafted_by == "rules" and told[-1][1] == 10
    assert {one.quote for one in found if one.answerable} == {LEAVE, ROOMS, KEYS, FERRY}
    again = proposals.generate(EVA, Wanted(10, seed=2))
    assert again.answerable == 0 and again.dropped["asked before"] == 4
    board = proposals.generate(Reader("bo@example.org", frozenset({"board"})), Wanted(10, near_misses=False))
    assert board.answerable == 1
    assert not any("severance" in one.question for one in proposals.listed(EVA))
    assert any("severance" in one.question for one in proposals.listed(LOCAL))
    leave = next(one for one in found if one.quote == LEAVE)
    case, version = proposals.accept(leave, "hr", by=EVA, question="How long is parental leave?", type="hr")
    assert version == 1
    (kept,) = KeptCases(filled.database).cases("hr", EVA)
    assert (kept.id, kept.question, kept.gold[0]["quote"], kept.type) == (
        case,
        "How long is parental leave?",
        LEAVE,
        "hr",
    )
    with pytest.raises(UsageError, match="decided before"):
        proposals.accept(leave, "hr", by=EVA)
    rooms = next(one for one in found if one.quote == ROOMS)
    proposals.reject(rooms, by=EVA)
    keys = next(one for one in found if one.quote == KEYS)
    with pytest.raises(UsageError, match="cannot name a file"):
        proposals.accept(keys, "a/b", by=EVA)
    left = proposals.listed(EVA)
    assert keys.id in {one.id for one in left} and not {leave.id, rooms.id} & {one.id for one in left}


@pytest.mark.integration
def test_the_second_wall_hides_proposals_too(filled: Quoth) -> None:
    with filled.database.reading(EVA) as connection:
        seen = set(connection.scalars(text("select question from eval_proposal")))
    assert seen and not any("severance" in one for one in seen)
    with filled.database.reading(Reader("bo", frozenset({"board"}))) as connection:
        assert any("severance" in one for one in connection.scalars(text("select question from eval_proposal")))


@pytest.mark.integration
def test_a_model_proposes_and_what_it_does_not_quote_word_for_word_is_dropped(
    filled: Quoth, environ: dict[str, str]
) -> None:
    def says(message: str, mode: str) -> dict[str, Any]:
        passage = message.split("<<PASSAGE", 1)[1].split("\n", 1)[1]
        first = passage.split(". ")[0] + "."
        return {
            "cases": [
                {"question": f"What holds of {first.split()[1]} and {first.split()[2]}?", "quote": first, "type": "Other",
                 "unanswerable": f"What holds of {first.split()[1]} in Norvik?"},
                {"question": "And what else is so?", "quote": "This stands nowhere.", "type": "other", "unanswerable": ""},
            ]
        }  # fmt: skip

    with LoopbackModel(says=says) as double:
        settings = {"OPENAI_BASE_URL": double.base_url, "OPENAI_API_KEY": "any", "QUOTH_MODELS": "double-honest"}
        with open_quoth({**environ, **settings}) as quoth:
            proposals = Proposals(quoth)
            before = {one.id for one in proposals.listed(EVA)}
            made = proposals.generate(EVA, Wanted(4))
            new = [one for one in proposals.listed(EVA) if one.id not in before]
            assert made.drafted_by == "double-honest" and made.dropped["quote not in the document"] >= 2
            assert {one.answerable for one in new} == {True, False} and all(
                one.drafted_by == "double-honest" for one in new
            )
            assert all(one.question.endswith("in Norvik?") for one in new if not one.answerable)
            assert not any("board" in one.source for one in new)
    with LoopbackModel(mode="500") as double:
        settings = {"OPENAI_BASE_URL": double.base_url, "OPENAI_API_KEY": "any", "QUOTH_MODELS": "double-500"}
        with open_quoth({**environ, **settings}) as quoth:
            with pytest.raises(ServiceError):
                Proposals(quoth).generate(LOCAL, Wanted(10, seed=7))
            assert Proposals(quoth).generate(LOCAL, Wanted(3, rules=True, seed=7)).drafted_by == "rules"


@pytest.mark.integration
def test_the_command_proposes_lists_and_decides(
    filled: Quoth, environ: dict[str, str], tmp_path: Path, capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.delenv("QUOTH_TEST_DATABASE_URL", raising=False)
    for name, value in environ.items():
        if name.startswith("QUOTH_"):
            monkeypatch.setenv(name, value)
    (tmp_path / "crane.md").write_text("# Crane\n\nThe crane may lift at most 12 tonnes of cargo. It is inspected each spring by the makers.\n")  # fmt: skip
    list(filled.pipeline.add([tmp_path / "crane.md"]))
    capfd.readouterr()
    assert main(["eval", "generate", "--count", "5", "--no-near-misses", "--json"]) == 0
    out = capfd.readouterr()
    made = [json.loads(line) for line in out.out.splitlines()]
    assert [one["question"] for one in made] == ["How many tonnes of cargo may the crane lift?"]
    assert "asked before" in out.err
    assert main(["eval", "generate", "--accept", made[0]["id"], "--into", "crane"]) == 0
    assert main(["eval", "generate", "--list"]) == 0
    assert "crane" not in capfd.readouterr().out
    assert main(["eval", "generate", "--accept", "all", "--question", "What?"]) == 2
    assert main(["eval", "generate", "--reject", "all"]) == 0
    assert Proposals(filled).listed(LOCAL) == []


@pytest.mark.integration
def test_proposals_go_with_their_document(filled: Quoth, tmp_path: Path) -> None:
    (tmp_path / "buoy.md").write_text("# Buoys\n\nThe buoys may drift at most 15 metres in storms. They are painted yellow all over.\n")  # fmt: skip
    (receipt,) = filled.pipeline.add([tmp_path / "buoy.md"])
    assert receipt.document is not None
    proposals = Proposals(filled)
    assert proposals.generate(EVA, Wanted(1, near_misses=False)).answerable == 1
    one = next(one for one in proposals.listed(EVA) if one.source.endswith("buoy.md"))
    proposals.accept(one, "buoys", by=EVA)
    filled.catalog.remove(receipt.document)
    found = proof(filled.database, filled.originals, str(receipt.document))
    assert found.clean, found.leftovers
    assert KeptCases(filled.database).cases("buoys", EVA)[0].lost == 1
