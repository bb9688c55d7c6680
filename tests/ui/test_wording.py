from __future__ import annotations

import re
import string
import uuid
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant.model import Answer, AnswerId, Citation, Claim, ConversationId, Usage
from ingest.errors import REASONS, DocumentError, ServiceError
from ingest.model import Document, DocumentId, Locator, Receipt
from ui import wording

DOCUMENT = DocumentId(uuid.UUID(int=7))


def answer(**changes: Any) -> Answer:
    whole = Answer(
        id=AnswerId(uuid.UUID(int=1)),
        conversation=ConversationId(uuid.UUID(int=2)),
        question="How long?",
        status="answered",
        text="Twenty weeks [1].",
        claims=(Claim("Twenty weeks.", "supported", 0.9, (1,)),),
        citations=(
            Citation(
                1, "hr/leave.pdf", "default", "Leave", DOCUMENT, 2, 3, 3, Locator(3, 3, ()), 0, 12, "Twenty weeks"
            ),
        ),
        passages=(),
        missing=None,
        model="quoted",
        prompt_version="quoted",
        degraded=None,
        usage=Usage(),
        timings_ms={"total": 1234.0},
    )
    return replace(whole, **changes)


def receipt(**changes: Any) -> Receipt:
    return replace(Receipt("a.pdf", "default", "added", DOCUMENT, 1, 4, 31, 2, 0.4), **changes)


@given(st.text())
def test_no_punctuation_of_a_literal_is_left_to_markdown(text: str) -> None:
    shown = wording.literal(text)
    at = 0
    while at < len(shown):
        if shown[at] == "\\":
            assert shown[at + 1] in string.punctuation
            at += 2
        else:
            assert shown[at] not in string.punctuation
            assert shown[at] == " " or not shown[at].isspace()
            at += 1


@given(st.text())
def test_a_literal_loses_nothing_but_white_space(text: str) -> None:
    shown = wording.literal(text)
    unescaped, at = "", 0
    while at < len(shown):
        at += shown[at] == "\\"
        unescaped += shown[at]
        at += 1
    assert unescaped.replace(wording.WORD_JOINER, "").split() == text.replace(wording.WORD_JOINER, "").split()


@pytest.mark.parametrize("text", ["see http://a.example/b", "HTTPS://a.example", "www.a.example", "ada@a.example"])
def test_an_address_in_a_literal_is_broken_up(text: str) -> None:
    plain = wording.literal(text).replace("\\", "")
    assert wording.WORD_JOINER in plain and plain.replace(wording.WORD_JOINER, "") == text
    assert not re.search(r"https?://|www\.|\w@", plain, re.IGNORECASE)


@given(st.text(), st.integers(2, 200))
def test_shortened_keeps_the_limit_and_the_beginning(text: str, limit: int) -> None:
    short = wording.shortened(text, limit)
    line = " ".join(text.split())
    assert len(short) <= limit
    assert short == line or (short.endswith("…") and line.startswith(short[:-1]))


def test_an_excerpt_shows_the_sentence_that_shares_the_questions_words() -> None:
    text = "Chairs may be ordered. " * 20 + "A lost telephone is reported within four hours. " + "Nothing else. " * 20
    assert wording.excerpt(text, "When must I report my lost telephone?", 120).startswith("… A lost telephone")
    assert wording.excerpt("Short.", "Anything?", 120) == "Short."


@given(st.text(), st.text(), st.integers(10, 300))
def test_an_excerpt_is_part_of_the_text(text: str, question: str, limit: int) -> None:
    found = wording.excerpt(text, question, limit).removeprefix("… ").removesuffix("…")
    assert found in " ".join(text.split()) and len(found) <= limit


@pytest.mark.parametrize(
    ("page", "end_page", "place", "words"),
    [
        (3, 3, {}, "page 3"),
        (3, 4, {}, "pages 3 to 4"),
        (None, None, {}, ""),
        (2, 2, {"slide": 2}, "slide 2"),
        (None, None, {"sheet": "Rates", "first_row": 4, "last_row": 9}, "sheet Rates, rows 4 to 9"),
        (None, None, {"sheet": "Rates", "first_row": 4, "last_row": 4}, "sheet Rates, row 4"),
    ],
)
def test_places(page: int | None, end_page: int | None, place: dict[str, str | int], words: str) -> None:
    assert wording.place_words(page, end_page, place) == words


def test_what_is_verified_is_counted() -> None:
    good, bad = Claim("A.", "supported", 1.0, (1,)), Claim("B.", "unsupported", 0.1, ())
    assert wording.verified_words(answer(claims=(good, good, bad))).startswith("2 of 3 statements carry")
    assert wording.verified_words(answer(claims=(bad,))) == "The statement carries no checked quotation"
    assert wording.verified_words(answer(claims=())) == ""


def test_who_wrote_it_how_long_it_took_and_what_it_cost() -> None:
    assert wording.method_words(answer()) == "Sentences quoted from the documents · 1.2 s"
    written = answer(model="gpt-x", usage=Usage(cost_usd=0.0123))
    assert wording.method_words(written) == "Written by gpt-x · 1.2 s · 0.0123 USD"
    assert wording.method_words(answer(claims=())) == "1.2 s"


def test_a_copied_answer_carries_its_citations() -> None:
    copied = wording.copied_answer(answer())
    assert copied.splitlines() == [
        "Twenty weeks [1].",
        "",
        "Sources",
        "[1] Leave (hr/leave.pdf), page 3, version 2: “Twenty weeks”",
    ]
    gone = replace(answer().citations[0], source="", title="", quote="")
    assert "[1] no longer available" in wording.copied_answer(answer(citations=(gone,)))


def test_a_partial_answer_is_copied_with_what_is_missing() -> None:
    assert "Not answered: the price" in wording.copied_answer(answer(status="partial", missing="the price"))


@pytest.mark.parametrize("reason", REASONS)
def test_each_failure_says_what_happened_and_what_to_do(reason: Any) -> None:
    tone, words = wording.receipt_words(receipt(status="failed", document=None, version=None, reason=reason))
    headline, advice = wording.REASONS[reason]
    assert tone == "bad" and words == f"{headline}. {advice}"


def test_a_failed_replacement_says_that_the_old_version_answers() -> None:
    failed = receipt(status="failed", version=3, reason="corrupt", detail="'a.pdf' is damaged. Save it anew.")
    assert wording.receipt_words(failed)[1] == "Damaged. 'a.pdf' is damaged. Save it anew. Version 3 goes on answering."


def test_receipts_of_what_went_well() -> None:
    assert wording.receipt_words(receipt())[1] == "Added: 4 pages, 31 passages. It can be asked about now."
    assert (
        "version 2: 4 pages, 31 passages, 2 of them new"
        in wording.receipt_words(receipt(status="updated", version=2))[1]
    )
    assert wording.receipt_words(receipt(status="unchanged", version=5))[1].startswith(
        "Identical to the stored version 5"
    )


def test_only_our_own_errors_are_shown_as_they_are() -> None:
    assert wording.error_words(ServiceError("The database does not answer.")) == "The database does not answer."
    assert wording.error_words(DocumentError("empty", "No text.")) == "No text."
    assert "secret" not in wording.error_words(RuntimeError("password=secret"))


def test_dates_and_sizes() -> None:
    assert wording.date_words(date(2026, 3, 5)) == "5 March 2026"
    assert wording.date_words("2026-03-05T10:00:00+00:00") == "5 March 2026"
    assert wording.date_words("some day") == "some day"
    assert [wording.size_words(n) for n in (1, 812, 34_100, 2_100_000)] == ["1 byte", "812 bytes", "34 kB", "2.1 MB"]


def test_the_library_in_words() -> None:
    one = Document(
        DOCUMENT,
        "default",
        "a.md",
        "A",
        "",
        ("everyone",),
        1,
        "text/markdown",
        None,
        2,
        99,
        datetime(2026, 3, 5, tzinfo=UTC),
    )
    other = replace(one, collection="legal", updated_at=datetime(2026, 4, 1, tzinfo=UTC))
    assert wording.library_words([one]) == "1 document, last updated 5 March 2026"
    assert wording.library_words([one, other]) == "2 documents in 2 collections, last updated 1 April 2026"


def test_details_of_an_event_are_words_and_no_json() -> None:
    told = {"version": 3, "over": 2, "set": {"review_by": "2027-01-01", "owner": None}, "readers": ["hr", "it"]}
    assert wording.details_words(told) == "version 3; over 2; set review by 2027-01-01, owner none; readers hr, it"
    assert wording.details_words({"members": [], "twice": True}) == "members none; twice yes"
    assert wording.details_words({"question": "ab12cd34" * 4}) == "question ab12cd34…"
    assert wording.details_words({}) == ""


def test_a_moment_names_its_zone() -> None:
    assert wording.moment_words(datetime(2026, 3, 5, 9, 7, tzinfo=UTC)) == "5 March 2026, 09:07 UTC"
    assert wording.moment_words(datetime.fromisoformat("2026-03-05T01:07:00+02:00")) == "4 March 2026, 23:07 UTC"
