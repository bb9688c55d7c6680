"""Groups in groups: what the table says of a reader, against a plain closure, and that a change holds at once."""

from __future__ import annotations

import string
from collections.abc import Iterator
from contextlib import suppress

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from assistant.bootstrap import Quoth
from ingest.access import LOCAL, Reader
from ingest.errors import UsageError
from ingest.groups import DEEPEST, claimed_reader

NAMES = [*string.ascii_lowercase[:8], "user:ada", "user:bo"]
GROUPS = [name for name in NAMES if not name.startswith("user:")]


@pytest.fixture
def groups(quoth: Quoth) -> Iterator:
    yield quoth.groups
    with quoth.database.working() as connection:
        connection.execute(text("delete from group_member"))


def closed(names: set[str], pairs: set[tuple[str, str]]) -> set[str]:
    """The reference: take in what follows until nothing follows."""
    while more := {outer for inner, outer in pairs if inner in names} - names:
        names = names | more
    return names


pairs_of = st.sets(st.tuples(st.sampled_from(NAMES), st.sampled_from(GROUPS)).filter(lambda pair: pair[0] != pair[1]))


@pytest.mark.integration
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(pairs=pairs_of, gone=st.sets(st.integers(0, 60)), user=st.sampled_from(["ada", "bo", "eve"]),
       claims=st.frozensets(st.sampled_from(GROUPS), max_size=3))  # fmt: skip
def test_a_reader_is_what_the_plain_closure_says(quoth: Quoth, pairs, gone, user, claims) -> None:
    with quoth.database.working() as connection:
        connection.execute(text("delete from group_member"))
    for member, group in pairs:
        assert quoth.groups.add(group, [member]) == (member,)
        assert quoth.groups.add(group, [member]) == ()
    for member, group in [pair for number, pair in enumerate(sorted(pairs)) if number in gone]:
        assert quoth.groups.remove(group, [member]) == (member,)
        pairs = pairs - {(member, group)}
    reader = Reader(user, claims)
    expected = closed({"everyone", f"user:{user}", *claims}, pairs)
    assert set(quoth.groups.principals(reader)) == expected
    with quoth.database.reading(reader) as connection:  # the second wall
        assert set(connection.scalar(text("select quoth_principals()"))) == expected
    found = quoth.groups.belonging(f"user:{user}")
    assert {*found.direct} == {group for member, group in pairs if member == f"user:{user}"}
    assert {*found.direct, *found.inherited} == closed({f"user:{user}"}, pairs) - {f"user:{user}"}


@pytest.mark.integration
def test_a_chain_is_climbed_to_its_end_and_a_longer_one_is_refused(groups) -> None:
    groups.add("level1", ["user:ada"])
    for level in range(2, DEEPEST + 1):
        groups.add(f"level{level}", [f"level{level - 1}"])
    assert f"level{DEEPEST}" in groups.principals(Reader("ada", frozenset()))
    with pytest.raises(UsageError, match="levels deep"):
        groups.add("top", [f"level{DEEPEST}"])
    with pytest.raises(UsageError, match="levels deep"):
        groups.add("user-end", ["user:bo"]), groups.add("level1", ["user-end"])
    with pytest.raises(UsageError, match="levels deep"):  # by way of a person
        groups.add("level1", ["below"]), groups.set_of_user("bo", ["below"])
    assert "top" not in groups.all()


@pytest.mark.integration
@pytest.mark.parametrize(
    ("group", "member"),
    [("everyone", "user:ada"), ("user:ada", "hr"), ("hr", "everyone"), ("hr", "hr"), ("hr", "user:local"),
     ("hr", "user:"), ("hr", "*"), ("*", "user:ada"), ("hr", "user:user:ada")],
)  # fmt: skip
def test_names_that_mean_something_else_are_refused(groups, group: str, member: str) -> None:
    with pytest.raises(UsageError):
        groups.add(group, [member])
    assert groups.all() == {}


def test_a_claim_makes_nobody_another_person() -> None:
    reader = claimed_reader("ada", ["hr", "user:root", "everyone", "*", "local", ""])
    assert reader.principals == ("everyone", "hr", "local", "user:ada")
    assert not reader.reads_all
    for name in ("", "local", "everyone", "*", "user:bo"):
        with pytest.raises(UsageError):
            claimed_reader(name, [])


@pytest.mark.integration
def test_a_claimed_group_brings_what_it_belongs_to(groups) -> None:
    groups.add("staff", ["engineering"])
    assert "staff" in groups.principals(claimed_reader("ada", ["engineering"]))


@pytest.mark.integration
def test_a_change_holds_at_every_door_for_a_reader_made_before_it(quoth: Quoth, groups, folder_of) -> None:
    folder = folder_of({"plans.txt": "The lighthouse of Norrvik is to be sold in the spring of next year.\n"})
    (receipt,) = quoth.pipeline.add([folder / "plans.txt"], readers=["board"])
    question = "When is the lighthouse of Norrvik to be sold?"
    ada = Reader("ada", frozenset())
    groups.add("chairs", ["user:ada"])
    kept = []

    def doors() -> set[str]:
        found = {
            "search": bool(quoth.search(question, ada).hits),
            "list": bool(quoth.catalog.documents(ada)),
        }
        for stage in ("lexical", "dense", "fused"):
            found[stage] = bool(quoth.search(question, ada, stage=stage).hits)  # type: ignore[arg-type]
        *_, answer = quoth.ask(question, ada)
        found["ask"] = bool(answer.citations)
        if kept:
            found["kept answer"] = any(one.quote for one in quoth.answers.get(ada, kept[0].id).citations)
        if not kept and answer.citations:
            kept.append(answer)
        with suppress(UsageError):
            found["source pane"] = "lighthouse" in quoth.catalog.text(ada, receipt.document, 1)
        with suppress(UsageError):
            found["original"] = bool(quoth.catalog.original(ada, receipt.document, 1))
        found["span"] = bool(quoth.catalog.stored_span(ada, receipt.document, 1, 0, 10)[0])
        return {door for door, open_ in found.items() if open_}

    assert doors() == set()
    groups.add("board", ["chairs"])
    doors()
    assert doors() == {
        "search", "lexical", "dense", "fused", "list", "ask", "kept answer", "source pane", "original", "span",
    }  # fmt: skip
    groups.remove("board", ["chairs"])
    assert doors() == set()
    groups.add("board", ["chairs"])
    groups.remove("chairs", ["user:ada"])
    assert doors() == set()
    assert bool(quoth.search(question, LOCAL).hits)
