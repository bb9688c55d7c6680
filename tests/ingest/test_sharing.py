"""Readers of many documents: given in batches that can be run again, taken away in one transaction."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from assistant.bootstrap import Quoth
from ingest.access import LOCAL
from ingest.errors import UsageError
from ingest.model import Element, ParsedDocument
from ingest.storing import Identity

pytestmark = pytest.mark.integration

NAMES = ("hr", "legal", "user:ada", "everyone", "board")


def store(quoth: Quoth, collection: str, source: str, readers: list[str]) -> None:
    words = f"The harbour ledger of {source} is kept in the tower."
    element = Element(0, "text", 0, 0, len(words), None, {})
    parsed = ParsedDocument("Ledger", words, (element,), (), None, "en", "text/plain")
    identity = Identity(collection, source)
    quoth.pipeline.add_parsed(identity, words.encode(), parsed, profile="test", readers=readers)


def readers_of(quoth: Quoth, collection: str) -> dict[str, tuple[str, ...]]:
    return {one.source: one.readers for one in quoth.catalog.documents(LOCAL, collection)}


@pytest.fixture(scope="module", autouse=True)
def stored(quoth: Quoth) -> None:
    for number in range(7):
        store(quoth, "many", f"d{number}", ["hr"])
    for number in range(3):
        store(quoth, "mixed", f"m{number}", ["hr"])


def test_giving_goes_in_batches_and_is_taken_up_where_it_was_left(quoth: Quoth) -> None:
    told: list[tuple[int, int]] = []

    def until_the_second(done: int, total: int) -> None:
        told.append((done, total))
        if len(told) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        quoth.sharing.change(collection="many", add=["legal"], progress=until_the_second, batch=2)
    assert told == [(2, 7), (4, 7)]
    assert sorted(readers_of(quoth, "many").values()) == [("hr",)] * 3 + [("hr", "legal")] * 4
    rest = quoth.sharing.change(collection="many", add=["legal"], batch=2)
    assert (rest.documents, rest.changed) == (7, 3)
    assert set(readers_of(quoth, "many").values()) == {("hr", "legal")}
    assert quoth.sharing.change(collection="many", add=["legal"]).changed == 0


def test_taking_away_is_all_or_nothing_and_holds_in_the_next_search(quoth: Quoth) -> None:
    store(quoth, "towers", "a", ["hr", "guides"])
    store(quoth, "towers", "b", ["guides"])
    guide = quoth.catalog.reader_for("gus")
    quoth.groups.add("guides", ["user:gus"])
    ask = "What is said of the harbour ledger?"
    assert len(quoth.search(ask, guide, collection="towers").hits) == 2
    with pytest.raises(UsageError, match="'b' would have no reader left"):
        quoth.sharing.change(collection="towers", remove=["guides"])
    assert len(quoth.search(ask, guide, collection="towers").hits) == 2
    quoth.sharing.change(collection="towers", remove=["guides"], add=["hr"])
    assert quoth.search(ask, guide, collection="towers").hits == ()
    assert readers_of(quoth, "towers") == {"a": ("hr",), "b": ("hr",)}


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(before=st.lists(st.lists(st.sampled_from(NAMES), min_size=1, unique=True), min_size=3, max_size=3),
       add=st.lists(st.sampled_from(NAMES), unique=True), remove=st.lists(st.sampled_from(NAMES), unique=True))  # fmt: skip
def test_readers_become_what_lists_would(quoth: Quoth, before, add, remove) -> None:
    documents = quoth.catalog.documents(LOCAL, "mixed")
    for one, readers in zip(documents, before, strict=True):
        quoth.catalog.set_readers(one.id, readers)
    expected = [[n for n in was if n not in remove] + [n for n in add if n not in was] for was in before]
    if not (add or remove) or set(add) & set(remove) or not all(expected):
        with pytest.raises(UsageError):
            quoth.sharing.change(collection="mixed", add=add, remove=remove)
        expected = before
    else:
        found = quoth.sharing.change(collection="mixed", add=add, remove=remove, batch=2)
        assert found.changed == sum(was != now for was, now in zip(before, expected, strict=True))
    assert [list(one.readers) for one in quoth.catalog.documents(LOCAL, "mixed")] == expected


def test_attachments_follow_their_document(quoth: Quoth, folder_of) -> None:
    mail = (
        "From: ada@example.org\nTo: bo@example.org\nSubject: Tide tables\nMIME-Version: 1.0\n"
        'Content-Type: multipart/mixed; boundary="cut"\n\n--cut\nContent-Type: text/plain\n\nThe tables are attached.\n'
        '--cut\nContent-Type: text/plain\nContent-Disposition: attachment; filename="tides.txt"\n\n'
        "High water is at noon on Monday.\n--cut--\n"
    )
    list(quoth.pipeline.add([folder_of({"tides.eml": mail}) / "tides.eml"], collection="mail", readers=["hr"]))
    parent = next(one for one in quoth.catalog.documents(LOCAL, "mail") if one.parent is None)
    found = quoth.sharing.change(document=parent.id, add=["legal"], remove=["hr"])
    assert found.documents == found.changed == 2
    assert set(readers_of(quoth, "mail").values()) == {("legal",)}


@pytest.mark.parametrize("given", [{"add": ["x"]}, {"collection": "many"}, {"collection": "absent", "add": ["x"]}])
def test_what_names_nothing_is_refused(quoth: Quoth, given: dict) -> None:
    with pytest.raises(UsageError):
        quoth.sharing.change(**given)
