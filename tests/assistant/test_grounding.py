"""What the local checker lets through, and what it must not."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assistant.grounding import COVERAGE_THRESHOLD as THRESHOLD
from assistant.grounding import LocalChecker
from assistant.names import missing_names
from assistant.quantities import quantities

LEAVE = "Parental leave is twenty weeks and may not be extended."
TRAVEL = "Employees may claim up to $1,500 for a trip; requests must reach Human Resources by 17:00 on 3 May 2024."
CHECKER = LocalChecker()
PARTS = st.sampled_from(
    ["not", "No", "20", "weeks", "INC-1", "Maria", "leave", "€", "5pm", "(", "'", "²", ".", "\n", "½"]
)


@pytest.mark.parametrize(
    ("claim", "quote"),
    [
        ("Parental leave is 20 weeks.", LEAVE),
        ("Parental leave cannot be extended.", LEAVE),
        ("Parental leave is 20 weeks long and may not be extended.", LEAVE),
        ("Requests must reach HR by 5 pm on May 3, 2024.", TRAVEL),
        ("Employees may claim up to 1500 dollars for a trip.", TRAVEL),
        ("The fee is 20 percent.", "A fee of 20 % applies."),
        ("Payment is due no later than 30 days after the invoice.", "Payment is due within 30 days after the invoice."),
        ("The limit may not exceed 40 hours.", "The limit is at most 40 hours."),
        ("The filter's Ly6C cells grow.", "The Ly-6C cells of the filter grow."),
        ("Overtime is paid after 40 hours.", "Weekend work is not counted. Overtime is paid after 40 hours."),
    ],
)
def test_what_the_quote_says_is_supported(claim: str, quote: str) -> None:
    verdict = CHECKER.check(claim, [quote], around=[quote])
    assert verdict.supported, verdict.reason
    assert verdict.score >= THRESHOLD


@pytest.mark.parametrize(
    ("claim", "quote", "reason"),
    [
        ("Parental leave is 21 weeks.", LEAVE, "'21'"),
        ("Parental leave is 20 days.", LEAVE, "'20'"),
        ("Parental leave may be extended.", LEAVE, "negated"),
        ("Employees may not claim for a trip.", "Employees may claim for a trip.", "negated"),
        ("Employees may claim up to €1,500 for a trip.", TRAVEL, "1,500"),
        ("Employees may claim up to $15,000 for a trip.", TRAVEL, "15,000"),
        ("Requests must reach Human Resources by 5 am on 3 May 2024.", TRAVEL, "'5 am'"),
        ("Requests must reach Human Resources by 17:00 on 3 June 2024.", TRAVEL, "June"),
        ("Requests must reach Human Resources by 17:00 on 3 May 2025.", TRAVEL, "2025"),
        ("Requests must reach Maria Weber by 17:00.", TRAVEL, "'Maria'"),
        ("The incident INC-2041 was closed.", "The incident INC-2042 was closed.", "INC-2041"),
        ("The rate of interest increased.", "The rate of interest decreased.", "increased"),
        ("Cats sleep on warm roofs all day.", "Payment is due within a month.", "only 0%"),
    ],
)
def test_what_the_quote_does_not_say_is_refused(claim: str, quote: str, reason: str) -> None:
    verdict = CHECKER.check(claim, [quote], around=[quote])
    assert not verdict.supported
    assert verdict.score < THRESHOLD
    assert reason in verdict.reason


def test_names_may_stand_around_the_quote_but_numbers_may_not() -> None:
    quote = "Leave lasts for many weeks."
    assert CHECKER.check("At Contoso leave lasts many weeks.", [quote], around=["Contoso handbook"]).supported
    assert not CHECKER.check("At Contoso leave lasts many weeks.", [quote], around=["Handbook"]).supported
    assert not CHECKER.check("Leave lasts for 20 weeks.", [quote], around=["20 weeks"]).supported


def test_a_quote_from_the_right_place_that_says_nothing_of_the_claim_is_no_support() -> None:
    around = "Managers approve expenses in writing. See the annex for the form."
    verdict = CHECKER.check("Managers approve expenses in writing.", ["See the annex for the form."], around=[around])
    assert not verdict.supported


def test_several_quotes_support_a_claim_together() -> None:
    quotes = ["Leave is 20 weeks.", "Leave is paid in full."]
    assert CHECKER.check("Leave is 20 weeks and paid in full.", quotes, around=quotes).supported
    assert not CHECKER.check("Leave is 20 weeks and paid in full.", quotes[1:], around=quotes).supported


def test_nothing_quoted_supports_nothing() -> None:
    assert not CHECKER.check("Leave is paid.", [], around=["Leave is paid."]).supported
    assert not CHECKER.check("", ["Leave is paid."], around=[]).supported


def test_an_abbreviation_is_present_where_its_words_are() -> None:
    assert missing_names("Write to the HR team.", "Human Resources answers.") == []
    assert missing_names("Write to the IT team.", "Human Resources answers.") == ["IT"]


def test_german_nouns_are_not_names() -> None:
    assert missing_names("Die Kündigung der Mitarbeitenden muss in Schriftform erfolgen.", "") == []


@settings(deadline=None)
@given(st.lists(PARTS, min_size=1))
def test_a_claim_that_is_its_quote_is_supported_whatever_it_says(parts: list[str]) -> None:
    quote = " ".join(parts)
    verdict = CHECKER.check(quote, [quote], around=[quote])
    assert (verdict.supported and verdict.score == 1.0) or not quote.strip(" .\n")


@settings(deadline=None)
@given(st.text(max_size=80), st.text(max_size=80))
def test_every_text_gets_a_verdict(claim: str, quote: str) -> None:
    verdict = CHECKER.check(claim, [quote], around=[])
    assert 0.0 <= verdict.score <= 1.0
    assert verdict.reason


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("1,000", "1000"),
        ("1 000 000", "one million"),
        ("twenty-five days", "25 days"),
        ("one hundred and twenty", "120"),
        ("20 %", "20 per cent"),
        ("$2.5 million", "2,500,000 dollars"),
        ("5 pm", "17:00"),
        ("2024-03-12", "12 March 2024"),
        ("March 12, 2024", "12.03.2024"),
        ("a 12-month term", "12 months"),
        ("40mg", "40 mg"),
        ("20 paid working days", "20 days"),
    ],
)
def test_the_same_amount_in_two_forms(one: str, other: str) -> None:
    here, there = quantities(one), quantities(other)
    assert here and there
    assert all(any(a.matches(b) for b in there) for a in here)


@pytest.mark.parametrize(
    ("one", "other"),
    [("1,000", "1"), ("1.5", "15"), ("-5 °C", "5 °C"), ("20 days", "20 weeks"), ("5 am", "5 pm"), ("10 %", "10 km")],
)
def test_different_amounts(one: str, other: str) -> None:
    assert not any(a.matches(b) for a in quantities(one) for b in quantities(other))


def test_identifiers_and_citation_markers_are_not_amounts() -> None:
    assert quantities("INC-2041 COVID-19 v2.3.1 P1 [14]") == []


@settings(deadline=None)
@given(st.integers(0, 10**9))
def test_a_grouped_number_is_the_number(number: int) -> None:
    (plain,), (grouped,) = quantities(f"of {number} in"), quantities(f"of {number:,} in")
    assert plain.matches(grouped)


@settings(deadline=None)
@given(st.integers(0, 10**6), st.integers(0, 10**6))
def test_different_numbers_never_match(one: int, other: int) -> None:
    (a,), (b,) = quantities(f"of {one} in"), quantities(f"of {other:,} in")
    assert a.matches(b) == (one == other)
