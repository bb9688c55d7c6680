"""Phrases, exclusions and identifiers in a question, alone and in a search."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant.bootstrap import Quoth
from ingest.access import LOCAL
from ingest.errors import UsageError
from retrieval.wanted import Wanted, holds_identifier, is_identifier, wanted_from


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("How long is leave?", Wanted("How long is leave?")),
        ('the "core hours" rule', Wanted("the core hours rule", ("core hours",))),
        ("“core hours” and «quiet room»", Wanted("core hours and quiet room", ("core hours", "quiet room"))),
        ("travel -rail costs", Wanted("travel costs", (), ("rail",))),
        ("travel -rail -sea", Wanted("travel", (), ("rail", "sea"))),
        ("well-known rules, 3 -4 or -5", Wanted("well-known rules, 3 -4 or -5")),
        ('an "" empty pair', Wanted('an "" empty pair')),
        ('one " alone', Wanted('one " alone')),
        ('"-rail" is kept', Wanted("-rail is kept", ("-rail",))),
        ("-rail", Wanted("", (), ("rail",))),
    ],
)
def test_questions_are_taken_apart(question: str, expected: Wanted) -> None:
    assert wanted_from(question) == expected


@given(st.text(max_size=300))
def test_anything_can_be_taken_apart(question: str) -> None:
    wanted = wanted_from(question)
    assert len(wanted.text) <= 2 * len(question)
    wanted.admits(question)
    assert all(is_identifier(one) for one in wanted.identifiers)


@given(st.lists(st.sampled_from(["core", "hours", "room", "quiet", "The"]), min_size=1, max_size=12), st.data())
def test_a_run_of_words_is_admitted_and_a_word_of_it_excluded(words: list[str], data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(words) - 1))
    end = data.draw(st.integers(start + 1, len(words)))
    text = ", ".join(words)
    assert Wanted("x", (" ".join(words[start:end]).upper(),)).admits(text)
    assert not Wanted("x", (), (words[start].lower(),)).admits(text)
    assert not Wanted("x", ("absent",)).admits(text)


@pytest.mark.parametrize(
    "token", ["INC-2041", "X-Frame-Options", "max_tokens", "parseFile", "3.11a", "QUOTH_HOME", "H2O", "iPhone"]
)
def test_names_are_identifiers(token: str) -> None:
    assert is_identifier(token)
    assert holds_identifier(f"see {token.lower()}.", token) and not holds_identifier(f"a{token}b", token)


@pytest.mark.parametrize("token", ["leave", "well-known", "Paris", "HR", "2024", "Who's"])
def test_words_are_not(token: str) -> None:
    assert not is_identifier(token)


@pytest.fixture(scope="module")
def rules(quoth: Quoth, tmp_path_factory: pytest.TempPathFactory) -> Quoth:
    folder: Path = tmp_path_factory.mktemp("rules")
    texts = {
        "core": "During the core hours everybody can be reached in the office or at home.",
        "hours": "The hours of the library are the core of its service, and they are posted at the door.",
        "rail": "Travel costs by rail are paid back within a month after the trip was made.",
        "sea": "Travel costs by sea are paid back within a year after the trip was made.",
        **{f"inc{n}": f"Incident INC-{n} was closed after the valve of pump {n % 7} had been replaced." for n in range(2030, 2050)},
    }  # fmt: skip
    for name, words in texts.items():
        (folder / f"{name}.txt").write_text(words + "\n")
    assert {receipt.status for receipt in quoth.pipeline.add([folder])} == {"added"}
    return quoth


def sources(quoth: Quoth, question: str, stage: str = "reranked") -> list[str]:
    return [hit.source for hit in quoth.search(question, LOCAL, k=5, stage=stage).hits]  # type: ignore[arg-type]


@pytest.mark.integration
@pytest.mark.parametrize("stage", ["lexical", "dense", "fused", "reranked"])
def test_a_phrase_is_found_as_it_stands(rules: Quoth, stage: str) -> None:
    assert sources(rules, '"core hours"', stage) == ["core.txt"]
    assert sources(rules, '"CORE, hours" reached', stage) == ["core.txt"]
    assert sources(rules, 'travel -rail "costs by"', stage) == ["sea.txt"]


@pytest.mark.integration
def test_excluded_words_do_not_occur(rules: Quoth) -> None:
    assert "rail.txt" in sources(rules, "travel costs paid back")
    assert "rail.txt" not in sources(rules, "travel costs paid back -rail")


@pytest.mark.integration
def test_a_narrow_search_says_why_it_finds_nothing(rules: Quoth) -> None:
    result = rules.search('"hours core"', LOCAL)
    assert result.hits == () and "Leave out the quotation marks" in result.notes[-1]
    with pytest.raises(UsageError, match="leave out"):
        rules.search("-rail", LOCAL)


@pytest.mark.integration
@pytest.mark.parametrize("number", [2031, 2041, 2049])
def test_an_identifier_finds_itself_first(rules: Quoth, number: int) -> None:
    assert sources(rules, f"What happened in INC-{number}?")[0] == f"inc{number}.txt"
    assert sources(rules, f"inc-{number}", "lexical")[0] == f"inc{number}.txt"
