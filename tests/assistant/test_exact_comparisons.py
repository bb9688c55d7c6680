"""What a number is bounded by, what a "not" denies, and which word turns a claim around."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assistant.exact_comparisons import refusals
from assistant.names import missing_names, own_words
from assistant.quantities import quantities
from ingest.analysis import Analyzer
from ingest.model import Span

ENGLISH = Analyzer("en")


def refused(claim: str, quote: str) -> list[str]:
    return list(refusals(claim, quote, quote, ENGLISH))


@pytest.mark.parametrize(
    ("claim", "quote"),
    [
        ("At most 30 days remain.", "Up to thirty days remain."),
        ("It must not exceed 40 euros.", "It is limited to €40."),
        ("Ask no later than nine months before the start.", "Ask at least nine months before the start."),
        ("A reply comes within two weeks.", "A reply comes within fourteen days."),
        ("Passwords of 12 characters or more are needed.", "Passwords must have at least twelve characters."),
        ("Delete copies after at most 90 days.", "Copies are deleted after ninety days at the latest."),
        ("The call must come by half past nine.", "Call by 09:30."),
        ("The course is repeated every two years.", "The course is repeated every second year."),
        ("Until the end of week 52 it is paid.", "It is paid until the end of the fifty-second week."),
        ("The batteries last 25 minutes; it stops after 15 minutes.", "Batteries last 25 minutes; it stops after fifteen."),
        ("The leave year starts on the first of February.", "The leave year runs from 1 February to 31 January."),
        ("It opens before eight in the morning.", "It opens before 08:00."),
        ("It closes at six o'clock.", "It closes at 18:00."),
        ("75 percent come from the lake.", "Three quarters come from the lake."),
        ("At least a quarter of it depends on sales.", "At least a quarter depends on sales."),
        ("Half a million rows are exported.", "500,000 rows are exported."),
        ("It is cleaned twice a year.", "Clean it 2 times a year."),
        ("Gloves must not be worn at the lathe.", "At the lathe, gloves are forbidden."),
        ("Nobody needs a certificate.", "Nobody has to hand in a certificate."),
        ("It must not be cut unless he agrees.", "Never cut it without his word."),
        ("Contracts cannot be returned.", "Contracts are excluded."),
        ("4. Leave is paid.", "Leave is paid."),
        ("U.S. rivers rise.", "American and US rivers rise."),
        ("TNF-alpha grows.", "TNF-α grows."),
        ("Nobody younger than 16 can help.", "Helpers must be at least sixteen years old."),
        ("A crate of up to 30 kg may be lifted.", "A crate must not weigh more than 30 kg when it is lifted."),
        ("The kiosk is insured against fire.", "The kiosk is insured against fire but not against theft."),
        ("The kiosk is not insured against theft.", "The kiosk is insured against fire but not against theft."),
        ("Ann Weber leads it with Tom Brown.", "It is led by Ann Weber, Tom Brown and Eva Lind."),
    ],
)  # fmt: skip
def test_the_same_in_other_words_is_let_through(claim: str, quote: str) -> None:
    assert refused(claim, quote) == []


@pytest.mark.parametrize(
    ("claim", "quote"),
    [
        ("The kiosk is insured against theft.", "The kiosk is insured against fire but not against theft."),
        ("Nobody older than 16 can help.", "Helpers must be at least sixteen years old."),
        ("A crate of at least 30 kg may be lifted.", "A crate must not weigh more than 30 kg when it is lifted."),
        ("At least 30 days remain.", "Up to thirty days remain."),
        ("It must exceed 40 euros.", "It is limited to €40."),
        ("Ask no earlier than nine months before the start.", "Ask at least nine months before the start."),
        ("A reply comes after two weeks.", "A reply comes within two weeks."),
        ("It opens before nine in the morning.", "It opens before 08:00."),
        ("It closes at six in the morning.", "It closes at 18:00."),
        ("One quarter comes from the lake.", "Three quarters come from the lake."),
        ("A reply comes within one day.", "A reply comes within a week."),
        ("A reply comes after a month.", "We reply within one month."),
        ("The list comes 14 days after the deletion.", "The list comes fourteen days before the deletion."),
        ("It stops after 15 hours.", "Batteries last 25 minutes; it stops after fifteen."),
        ("The leave year ends on the first of February.", "The leave year runs from 1 February to 31 January."),
        ("Some claims are examined.", "All claims are examined."),
        ("All claims are examined.", "Some claims are examined."),
        ("The mask is thrown away before the shift.", "The mask is thrown away after the shift."),
        ("The copies are not kept for long.", "If that is not possible, the copies are kept for long."),
        ("Campaigning counts as political work.", "Political campaigning is excluded."),
        ("It must be cut unless he agrees.", "Never cut it without his word."),
        ("Quenby's office is closed.", "The Veldhaven office is closed."),
        ("The bonus comes in May.", "The bonus comes in March."),
    ],
)
def test_what_is_turned_around_is_refused(claim: str, quote: str) -> None:
    assert refused(claim, quote) != []


def test_a_first_word_is_a_name_where_what_follows_says_so() -> None:
    assert missing_names("Maria Weber decides.", "The manager decides.") == ["Maria", "Weber"]
    assert missing_names("Managers decide.", "The board decides.") == []


def test_a_missing_first_word_is_a_name_where_the_one_who_is_asked_says_so() -> None:
    asked: list[str] = []

    def never(claim: str, word: Span) -> bool:
        asked.append(claim[word[0] : word[1]])
        return False

    claim = "Moreau leads. The Lindach choir sings. Managers decide. Vadas rests."
    assert missing_names(claim, "Managers of Vadas.", is_name=never) == ["Lindach"]
    assert asked == ["Moreau"]  # no stop word, nothing that is there, nothing inside a sentence
    assert missing_names(claim, "Managers of Vadas.", is_name=lambda claim, word: True) == ["Moreau", "Lindach"]


def test_a_title_ends_no_sentence() -> None:
    assert missing_names("Dr. Haddad answers.", "Dr. Selma Okoro answers.") == ["Haddad"]
    assert missing_names("Dr. Okoro answers.", "Selma Okoro answers.") == []


@pytest.mark.parametrize(
    ("text", "bound", "side"),
    [
        ("at most 5 days", "upper", None),
        ("no fewer than 5 days", "lower", None),
        ("not more than 5 days", "upper", None),
        ("5 days or more", "lower", None),
        ("nobody drives for more than 5 hours", "upper", None),
        ("5 days before the end", None, "before"),
        ("5 days of leave", None, None),
    ],
)
def test_bounds_are_read_with_their_number(text: str, bound: str | None, side: str | None) -> None:
    (found,) = quantities(text)
    assert (found.bound, found.side) == (bound, side)


@settings(deadline=None)
@given(st.integers(2, 500), st.sampled_from(["at most", "at least", "within", "after", "more than", "before"]))
def test_no_sentence_refuses_itself_and_no_other_number_passes(number: int, bound: str) -> None:
    sentence = f"The report is due {bound} {number} days of notice."
    assert refused(sentence, sentence) == []
    assert refused(sentence.replace(str(number), str(number + 1)), sentence) != []


def test_another_name_of_the_same_document_is_not_the_one_quoted() -> None:
    quote, around = "The ferry is run by Ann Weber.", "The ferry is run by Ann Weber. The pier is run by Tom Brown."
    assert list(refusals("Tom Brown runs the ferry.", quote, around, ENGLISH))
    assert not list(refusals("Ann Weber runs the ferry.", quote, around, ENGLISH))


@pytest.mark.parametrize(
    ("claim", "quote", "shared"),
    [
        ("Harwick Pier has a crane.", "Harwick Pier opens at dawn.", (0, 1)),
        ("A crane stands on Harwick Pier.", "Harwick Pier has a crane.", (1, 2)),
        ("It opens at half past nine.", "from 09:30", (1, 2)),
        ("Der Kran ist rot und neu.", "Der Kran ist neu.", (4, 6)),
    ],
)
def test_names_are_none_of_a_claims_own_words(claim: str, quote: str, shared: tuple[int, int]) -> None:
    assert own_words(claim, quote, ENGLISH) == shared
