from __future__ import annotations

import random
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.errors import ConfigurationError
from ingest.redaction import Redactor, redactor_from

REDACTOR = Redactor()


def luhn(digits: str) -> str:
    """The digits with the check digit behind them that makes them a card's number."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) * (2 - place % 2)
        total += value - 9 if value > 9 else value
    return digits + str(-total % 10)


def iban(country: str, digits: str) -> str:
    """The account's number with its check digits."""
    number = "".join(str(int(char, 36)) for char in digits + country + "00")
    return f"{country}{98 - int(number) % 97:02d}{digits}"


def grouped(digits: str, separator: str) -> str:
    return separator.join(digits[at : at + 4] for at in range(0, len(digits), 4))


NAMES = st.text("abcdefghijklmnopqrstuvwxyzäöüß0123456789", min_size=1, max_size=12)
DIGITS = st.text("0123456789", min_size=15, max_size=15)
SEPARATORS = st.sampled_from(["", " ", "-"])
SECRETS = {
    "EMAIL": st.builds(lambda a, b, c: f"{a}.{b}@{c}.example", NAMES, NAMES, NAMES),
    "CARD": st.builds(lambda d, s: grouped(luhn("4" + d[:14]), s), DIGITS, SEPARATORS),
    "IBAN": st.builds(
        lambda d, s: grouped(iban("DE", (d + d)[:18]), "" if s == "-" else s), DIGITS, SEPARATORS
    ),
    "PHONE": st.builds(lambda a, b: f"+49 {a} {b}", st.integers(30, 999), st.integers(1_000_000, 99_999_999)),
    "KEY": st.builds(
        lambda kind, rest: kind + rest,
        st.sampled_from(["sk-", "ghp_", "glpat-"]),
        st.text("abcdefABCDEF0123456789", min_size=24, max_size=40),
    ),
}  # fmt: skip
PLANTED = st.one_of(*(st.tuples(st.just(kind), values) for kind, values in SECRETS.items()))
AROUND = st.one_of(st.text(max_size=20), st.sampled_from(["[EMAIL_1]", "[CARD_2] ", "[EMAIL_", "]", "[[", "Tel. "]))


@settings(deadline=None, max_examples=60)
@given(st.lists(st.one_of(AROUND, PLANTED.map(lambda one: one[1])), max_size=12).map("".join))
def test_what_was_redacted_can_be_restored(text: str) -> None:
    call = REDACTOR.call()
    assert call.restore(call.redact(text)) == text


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.sampled_from(["and ", "to (", "is: ", "\n", "„"]), PLANTED), min_size=1, max_size=5))
def test_no_recognised_value_is_left(parts: list[tuple[str, tuple[str, str]]]) -> None:
    text = "".join(f"{before}{value} . " for before, (_, value) in parts)
    redacted = REDACTOR.call().redact(text)
    for _, (_, value) in parts:
        assert value not in redacted
    bare = re.sub(r"\[[A-Z_]+_\d+\]", "\n", redacted)
    assert REDACTOR.found(bare) == []


@settings(deadline=None, max_examples=60)
@given(PLANTED)
def test_a_value_is_known_as_what_it_is(planted: tuple[str, str]) -> None:
    kind, value = planted
    call = REDACTOR.call()
    assert call.redact(f"It is {value}, he said") == f"It is [{kind}_1], he said"
    assert call.counts == {kind: 1}


def test_one_value_has_one_placeholder_in_all_texts_of_a_call() -> None:
    call = REDACTOR.call()
    assert call.redact("a@x.example and b@x.example") == "[EMAIL_1] and [EMAIL_2]"
    assert call.redact("b@x.example again") == "[EMAIL_2] again"
    assert REDACTOR.call().redact("b@x.example") == "[EMAIL_1]"


@pytest.mark.parametrize(
    "text",
    [
        "On 01.02.2024 and 01/02/2024, 12-11-2025",
        "Section 4.1.2 of ISO 27001, 20 weeks, 41,500 crowns, 1 234 567 items",
        "4111 1111 1111 1112 has a wrong check digit",
        "DE88 3704 1044 1532 1130 11 has wrong check digits",
        "ZZ89 3704 1044 1532 1130 11 is of no country",
        "version 10.2.3 of package@latest, INC-2041, RFC 2119",
        "the desk at 09:30, room 0.14",
    ],
)
def test_what_only_looks_like_one_stays(text: str) -> None:
    assert REDACTOR.call().redact(text) == text


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        ("Call 0171 2345678 or (555) 123-4567.", "Call [PHONE_1] or [PHONE_2]."),
        ("pay 5 4111 1111 1111 1111 now", "pay 5 [CARD_1] now"),
        ("DE89 3704 0044 0532 0130 00 and more", "[IBAN_1] and more"),
        ("mail ada@x.example.", "mail [EMAIL_1]."),
        ("-----BEGIN RSA PRIVATE KEY-----\nabc\n-----END RSA PRIVATE KEY-----", "[KEY_1]"),
        ("AKIAABCDEFGHIJKLMNOP", "[KEY_1]"),
    ],
)
def test_usual_forms(text: str, redacted: str) -> None:
    assert REDACTOR.call().redact(text) == redacted


def test_long_texts_take_no_longer_than_their_length_asks(benchmark_texts: list[str]) -> None:
    for text in benchmark_texts:  # patterns that go back over what they read would not come to an end here
        call = REDACTOR.call()
        assert call.restore(call.redact(text)) == text


@pytest.fixture
def benchmark_texts() -> list[str]:
    pick = random.Random(7)
    return [
        "1 " * 2_000, "a@" * 2_000, "a." * 2_000, "+1" * 2_000, "DE" * 2_000, "DE89 " * 1_000, "0" * 4_000,
        "(" * 4_000, "-----BEGIN PRIVATE KEY-----" * 100, "a@b." * 1_000,
        "".join(pick.choices("0123456789 -+()@.DE[]_", k=4_000)),
    ]  # fmt: skip


def test_further_patterns_come_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "patterns"
    file.write_text("# ours\nSTAFF P-\\d{6}\n\nPROJECT (?i)project \\w+\n")
    redactor = redactor_from(str(file))
    assert redactor is not None
    assert redactor.call().redact("P-123456 of Project Nightjar, a@x.example") == "[STAFF_1] of [PROJECT_1], [EMAIL_1]"


@pytest.mark.parametrize("line", ["staff P-\\d+", "STAFF", "STAFF (", "[X] a"])
def test_a_line_that_is_no_pattern_is_named(tmp_path: Path, line: str) -> None:
    file = tmp_path / "patterns"
    file.write_text(f"OK a+\n{line}\n")
    with pytest.raises(ConfigurationError, match="line 2"):
        redactor_from(str(file))


def test_the_setting() -> None:
    assert redactor_from("no") is None
    assert redactor_from("YES") is not None
    with pytest.raises(ConfigurationError, match="neither yes nor no"):
        redactor_from("/nowhere/patterns")
