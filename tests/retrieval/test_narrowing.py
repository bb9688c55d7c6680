"""Searching only some documents: by owner, kind and date, and what a question's own words offer."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant.bootstrap import Quoth
from ingest.access import LOCAL, Reader
from ingest.errors import UsageError
from retrieval.narrowing import KINDS, Narrowing, offers

TODAY = datetime.now(UTC).date()
TEXT = "The lantern in the harbour is lit by the keeper at dusk and put out at dawn."


@pytest.fixture(scope="module")
def filled(quoth: Quoth, tmp_path_factory: pytest.TempPathFactory) -> Quoth:
    folder = tmp_path_factory.mktemp("lanterns")
    for name, body in (
        ("ada.txt", TEXT),
        ("ben.html", f"<html><body><h1>Lanterns</h1><p>{TEXT}</p></body></html>"),
        ("hidden.txt", TEXT.replace("keeper", "warden")),
    ):
        (folder / name).write_text(body)
    list(quoth.pipeline.add([folder / "ada.txt"], owner="Ada"))
    list(quoth.pipeline.add([folder / "ben.html"], owner="Ben", collection="coast"))
    list(quoth.pipeline.add([folder / "hidden.txt"], owner="Zoe", readers=["wardens"]))
    return quoth


def found(quoth: Quoth, narrowing: Narrowing, reader: Reader = LOCAL) -> set[str]:
    result = quoth.search("who lights the lantern", reader, narrowing=narrowing)
    return {Path(hit.source).name for hit in result.hits}


@pytest.mark.integration
def test_each_condition_leaves_its_documents_and_nothing_else(filled: Quoth) -> None:
    assert found(filled, Narrowing()) == {"ada.txt", "ben.html", "hidden.txt"}
    assert found(filled, Narrowing(owner="ada")) == {"ada.txt"}
    assert found(filled, Narrowing(kind="web")) == {"ben.html"}
    assert found(filled, Narrowing(kind="text", owner="Ben")) == set()
    assert found(filled, Narrowing(since=TODAY - timedelta(days=1))) == {"ada.txt", "ben.html", "hidden.txt"}
    assert found(filled, Narrowing(since=TODAY + timedelta(days=2))) == set()
    assert found(filled, Narrowing(before=TODAY - timedelta(days=1))) == set()


@pytest.mark.integration
def test_narrowing_opens_nothing(filled: Quoth) -> None:
    outsider = Reader("olga", frozenset({"cooks"}))
    assert found(filled, Narrowing(owner="Zoe"), outsider) == set()
    assert not [one for one in filled.offers("lanterns by Zoe", outsider) if one.narrowing.owner]
    assert [one.narrowing.owner for one in filled.offers("lanterns by Zoe", LOCAL)] == ["Zoe"]


@pytest.mark.integration
def test_the_result_says_what_it_was_chosen_from(filled: Quoth) -> None:
    result = filled.search('"the keeper" -warden', LOCAL, collection="coast", narrowing=Narrowing(kind="web"))
    assert result.filters == (
        "with the words “the keeper”",
        "without warden",
        "web pages",
        "in the collection coast",
    )
    assert result.readable_chunks == 1
    assert result.route == "exact"
    with pytest.raises(UsageError, match="'film' is not a kind"):
        filled.search("lantern", LOCAL, narrowing=Narrowing(kind="film"))
    with pytest.raises(UsageError, match="No day is on or after"):
        filled.search("lantern", LOCAL, narrowing=Narrowing(since=TODAY, before=TODAY))


@pytest.mark.parametrize(
    ("question", "narrowing", "collection"),
    [
        ("what do the slides by Ada Byron say about leave", Narrowing(owner="Ada Byron"), None),
        ("what is in the spreadsheets about berths", Narrowing(kind="spreadsheet"), None),
        ("leave rules in the hr collection since March 2025", Narrowing(since=date(2025, 3, 1)), None),
        ("rules after March 2025", Narrowing(since=date(2025, 4, 1)), None),
        ("rules older than 2024", Narrowing(before=date(2024, 1, 1)), None),
        ("what changed in the last week", Narrowing(since=date(2026, 4, 24)), None),
        ("leave from hr", Narrowing(), "hr"),
    ],
)
def test_words_of_a_question_offer_a_narrowing(question: str, narrowing: Narrowing, collection: str | None) -> None:
    offered = offers(question, collections=["hr", "it"], owners=["Ada Byron", "Ada"], today=date(2026, 5, 1))
    assert (narrowing, collection) in [(one.narrowing, one.collection) for one in offered]
    assert all(one.words in question for one in offered)


@given(question=st.text(max_size=80), name=st.text(max_size=10))
def test_any_words_offer_something_sound_or_nothing(question: str, name: str) -> None:
    for one in offers(f"{question} by {name} in {name}", collections=[name], owners=[name], today=date(2026, 5, 1)):
        assert one.collection is not None or one.narrowing
        assert one.narrowing.kind is None or one.narrowing.kind in KINDS
        assert one.words and one.label
