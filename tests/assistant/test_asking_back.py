"""Asking back: where a question means several things and nothing tells them apart, and nowhere else."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from assistant.answering import Answering, AnsweringSettings
from assistant.asking_back import WHICH, checked, chosen, taken
from assistant.bootstrap import Quoth
from assistant.grounding import LocalChecker
from assistant.model import Answer, Answerer, ConversationId, DraftChoice
from assistant.quoting import QuotedAnswerer
from assistant.wire import answer_json
from evals.bench.loopback_model import LoopbackModel
from ingest.access import Reader
from tests.assistant.test_model_answerer import passage
from tests.assistant.test_model_tools import model_at

EVERYBODY = {
    "north.md": "# Evacuation Northport\n\n## Meeting point\n\nAfter an evacuation everybody meets at the lighthouse.\n",
    "south.md": "# Evacuation Southport\n\n## Meeting point\n\nAfter an evacuation everybody meets at the old mill.\n",
    "apprentice.md": "# Apprentice contract\n\n## Notice period\n\nThe notice period is two weeks to a month's end.\n",
    "staff.md": "# Staff contract\n\n## Notice period\n\nThe notice period is three months to a quarter's end.\n",
    "lindow.md": "# Canteen Lindow\n\nThe canteen opens at eleven and serves soup until two.\n",
    "marlow.md": "# Canteen Marlow\n\nThe canteen opens at noon and serves noodles until three.\n",
    "alto.md": "# Printer Alto\n\n## Paper jam\n\nA paper jam is cleared through the door at the rear.\n",
    "basso.md": "# Printer Basso\n\n## Paper jam\n\nA paper jam is cleared through the drawer on the left.\n",
    "otter.md": "# Warranty of the Otter pump\n\nThe warranty of the pump lasts two years from delivery.\n",
    "heron.md": "# Warranty of the Heron pump\n\nThe warranty of the pump lasts five years from delivery.\n",
    "travel.md": "# Travel policy\n\n## Hotels\n\nA hotel may cost up to 140 crowns a night.\n",
    "travel-old.md": "# Travel policy 2019\n\n## Hotels\n\nA hotel may cost up to 120 crowns a night.\n",
    "costs-2022.md": "# Costs and fees policy 2022\n\nEntertaining a guest is paid up to 40 crowns per head.\n",
    "costs.md": "# Project costs and fees\n\nEntertaining a guest is paid up to 65 crowns per head.\n",
    "parking.md": "# Parking\n\nVisitors park behind the north building.\n",
    "illness.md": "# Illness\n\nA doctor's certificate is handed in on the third day of an illness.\n",
}
SECRET = {
    "vault.md": "# Evacuation Vaultport\n\n## Meeting point\n\nAfter an evacuation everybody meets in the vault.\n"
}
AMBIGUOUS = (
    "Where do we meet after an evacuation?",
    "Where is the meeting point?",
    "How long is the notice period?",
    "What is the notice period of a contract?",
    "When does the canteen open?",
    "Until when does the canteen serve?",
    "How is a paper jam cleared?",
    "Through what is a paper jam cleared?",
    "How long does the warranty last?",
    "How long is the pump's warranty?",
)
CLEAR = (
    "Where do we meet after an evacuation of Northport?",
    "How long is the notice period of an apprentice?",
    "How long is the notice period in a staff contract?",
    "When does the Marlow canteen open?",
    "When do the canteens in Lindow and Marlow open?",
    "How is a paper jam cleared in the Basso?",
    "How long does the warranty of the Heron last?",
    "What may a hotel cost a night?",
    "What is the limit per head for entertaining a guest?",
    "Where do visitors park?",
    "On which day is a doctor's certificate handed in?",
)
EVE, BOSS = Reader("eve", frozenset()), Reader("boss", frozenset({"board"}))


@pytest.fixture(scope="module")
def filled(quoth: Quoth, tmp_path_factory: pytest.TempPathFactory) -> Quoth:
    for files, readers in ((EVERYBODY, "everyone"), (SECRET, "board")):
        folder = tmp_path_factory.mktemp("house")
        for name, text in files.items():
            (folder / name).write_text(text, encoding="utf-8")
        list(quoth.pipeline.add([folder], readers=[readers]))
    return quoth


def ask(quoth: Quoth, question: str, reader: Reader = EVE, conversation: ConversationId | None = None) -> Answer:
    *_, answer = quoth.ask(question, reader, conversation=conversation)
    assert isinstance(answer, Answer)
    return answer


@pytest.mark.integration
def test_ambiguous_questions_are_asked_back_and_clear_ones_answered(filled: Quoth) -> None:
    clear = {question: ask(filled, question) for question in CLEAR}
    assert [question for question, answer in clear.items() if answer.status == "clarifying"] == []
    assert [question for question, answer in clear.items() if not answer.claims] == []
    asked = {question: ask(filled, question) for question in AMBIGUOUS}
    missed = [question for question, answer in asked.items() if answer.status != "clarifying"]
    assert len(missed) <= 2, missed
    for answer in asked.values():
        if answer.status == "clarifying":
            assert answer.text == WHICH and 2 <= len(answer.choices) <= 5 and not answer.claims
            assert answer_json(answer)["choices"] == list(answer.choices)


@pytest.mark.integration
def test_a_choice_is_a_new_turn_that_answers(filled: Quoth) -> None:
    first = ask(filled, AMBIGUOUS[0])
    assert sorted(first.choices) == ["Evacuation Northport", "Evacuation Southport"]
    kept = filled.answers.get(EVE, first.id)
    assert (kept.status, kept.text, kept.choices) == ("clarifying", WHICH, first.choices)
    number = first.choices.index("Evacuation Southport") + 1
    second = ask(filled, str(number), conversation=first.conversation)
    assert second.question == chosen(AMBIGUOUS[0], "Evacuation Southport")
    assert second.status == "answered" and "old mill" in second.citations[0].quote
    assert second.conversation == first.conversation


@pytest.mark.integration
def test_nothing_is_offered_that_the_reader_may_not_read(filled: Quoth) -> None:
    assert not any("Vaultport" in choice for choice in ask(filled, AMBIGUOUS[0]).choices)
    answer = ask(filled, AMBIGUOUS[0], BOSS)
    assert "Evacuation Vaultport" in answer.choices
    demoted = filled.answers.get(Reader("boss", frozenset()), answer.id)
    assert demoted.choices == ()


# --- with a model ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def double() -> Iterator[LoopbackModel]:
    with LoopbackModel() as server:
        yield server


def by_model(quoth: Quoth, double: LoopbackModel, mode: str) -> Answer:
    answerers: list[Answerer] = [model_at(double, mode), QuotedAnswerer()]
    answering = Answering(
        quoth.searching, quoth.surroundings, quoth.catalog, quoth.answers, answerers, LocalChecker(),
        quoth.embedder.count_tokens, AnsweringSettings(),
    )  # fmt: skip
    *_, answer = answering.ask("Where do visitors park?", EVE)
    assert isinstance(answer, Answer)
    return answer


@pytest.mark.integration
def test_a_model_asks_back_in_words_of_the_passages(filled: Quoth, double: LoopbackModel) -> None:
    answer = by_model(filled, double, "asks-back")
    assert (answer.status, answer.text, answer.model, answer.degraded) == (
        "clarifying",
        WHICH,
        "double-asks-back",
        None,
    )
    assert 2 <= len(answer.choices) <= 5
    titles = [line.splitlines()[0].removeprefix("# ") for line in EVERYBODY.values()]
    assert all(choice in titles for choice in answer.choices)


@pytest.mark.integration
def test_choices_that_stand_nowhere_give_way_to_an_answer(filled: Quoth, double: LoopbackModel) -> None:
    answer = by_model(filled, double, "asks-nonsense")
    assert (answer.status, answer.model) == ("answered", "quoted")
    assert answer.degraded and "asked back" in answer.degraded


# --- what needs no store ---------------------------------------------------------------------------------------------

NORTH = replace(passage("Everybody meets at the lighthouse.", "P1"), title="Evacuation Northport")
SOUTH = replace(passage("Everybody meets at the old mill.", "P2"), title="Evacuation Southport")


def test_choices_need_two_readable_passages_and_words_of_theirs() -> None:
    given = (DraftChoice("P1", "the lighthouse"), DraftChoice("P2", "Click https://x.example to choose"))
    assert checked(given, (NORTH, SOUTH), lambda one: True) == ("the lighthouse", "Evacuation Southport")
    assert checked(given, (NORTH, SOUTH), lambda one: one.id == "P1") == ()
    assert checked((DraftChoice("P1", "x"), DraftChoice("P9", "y")), (NORTH, SOUTH), lambda one: True) == ()
    assert checked(given[:1] * 2, (NORTH, SOUTH), lambda one: True) == ()
    assert (
        len(checked([DraftChoice("P1", f"lighthouse {'the ' * n}") for n in range(9)], (NORTH,), lambda one: True)) <= 5
    )


def test_a_number_or_the_words_of_a_choice_take_it() -> None:
    choices = ("Evacuation Northport", "Evacuation Southport")
    assert taken(" 2. ", "Where?", choices) == "Where? (Evacuation Southport)"
    assert taken("evacuation  northport", "Where?", choices) == "Where? (Evacuation Northport)"
    for other in ("0", "3", "-1", "²", "Where then?", ""):
        assert taken(other, "Where?", choices) is None
