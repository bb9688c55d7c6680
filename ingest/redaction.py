"""What must not leave the machine: addresses, numbers and keys are replaced before a text goes to a remote model.

Within one call the same value has the same placeholder, `[EMAIL_1]`, and what comes back is put right again, so that a
quotation still stands word for word in its document. What is stored is never touched.

Values are recognised by form, cards and account numbers by their check digits too. A form that is missed is not
protected: this lessens what leaves, and is no promise that nothing personal does.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from ingest.errors import ConfigurationError

PLACEHOLDER: Final = re.compile(r"\[[A-Z][A-Z_]*_\d+\]")
MOST_PASSES: Final = 8  # what stands beside a value that was taken out may be recognised only then
FEWEST_CARD_DIGITS: Final = 13
MOST_CARD_DIGITS: Final = 19
LITERAL: Final = "LITERAL"  # text that looks like a placeholder of ours

_KEY: Final = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?-----END [A-Z ]*PRIVATE KEY-----"
    r"|(?<![\w-])(?:sk-[\w-]{16,}|gh[pousr]_\w{20,}|github_pat_\w{20,}|glpat-[\w-]{16,}|xox[abeprs]-[\w-]{10,}"
    r"|A(?:KIA|SIA)[0-9A-Z]{16}|AIza[\w-]{35}|eyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]+)",
    re.DOTALL,
)
_EMAIL: Final = re.compile(r"[\w.%+'-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63})+")
_IBAN: Final = re.compile(r"(?<!\w)[A-Z]{2}\d{2}(?:[ \u00a0-]?[A-Z0-9]){11,30}", re.IGNORECASE)
_DIGITS: Final = re.compile(r"(?<![\w.,])\d+(?:[ \u00a0-]\d+)*(?!\w)")
_PHONE: Final = re.compile(
    r"(?<!\w)(?:(?:\+|00)[1-9]\d{0,2}(?:[ \u00a0./()-]{0,2}\d){6,12}"  # international
    r"|\(?0\d{1,4}\)?(?:[ \u00a0/-]?\d){5,10}"  # national, with the leading 0
    r"|\(\d{3}\) ?\d{3}[ .-]\d{4}|\d{3}([ .-])\d{3}\1\d{4})(?!\w)"  # North American
)
_DATE: Final = re.compile(r"\d{1,2}([ ./-])\d{1,2}\1\d{2,4}")

# The length of an account number per country (ISO 13616); another country's is not recognised.
_IBAN_LENGTHS: Final = {
    country: length
    for length, countries in {
        15: "NO", 16: "BE", 18: "DK FI FO GL NL", 19: "MK SI", 20: "AT BA EE KZ LT LU XK", 21: "CH HR LI LV",
        22: "BG BH DE GB GE IE ME RS", 23: "AE GI IL TL", 24: "AD CZ ES MD PK RO SA SE SK TN VG", 25: "PT",
        26: "IS TR", 27: "FR GR IT MC MR SM", 28: "AL AZ CY DO GT HU LB PL", 29: "BR PS QA UA", 31: "MT",
    }.items()
    for country in countries.split()
}  # fmt: skip

Span = tuple[int, int]
Finder = Callable[[str], Iterator[Span]]


class Redactor:
    """Recognises values. Threads may share one.

    Args:
        more: (name, pattern) of values that this organisation knows; names are of A to Z and _.
    """

    def __init__(self, more: Sequence[tuple[str, re.Pattern[str]]] = ()) -> None:
        self._finders: tuple[tuple[str, Finder], ...] = (
            *((name, _by(pattern)) for name, pattern in more),
            ("KEY", _by(_KEY)),
            ("EMAIL", _by(_EMAIL)),
            ("IBAN", _ibans),
            ("CARD", _cards),
            ("PHONE", _phones),
        )

    def call(self) -> Redaction:
        """The placeholders of one call."""
        return Redaction(self)

    def alone(self, text: str) -> str:
        """A text redacted by itself, for what is never put back: equal texts give equal ones."""
        return self.call().redact(text)

    def found(self, text: str) -> list[tuple[int, int, str]]:
        """(start, end, kind) of the values in a text, in order and apart; where two overlap, the first named kind's."""
        taken = bytearray(len(text))
        spans: list[tuple[int, int, str]] = []
        for kind, finder in self._finders:
            for start, end in finder(text):
                if start < end and not any(taken[start:end]):
                    taken[start:end] = b"\1" * (end - start)
                    spans.append((start, end, kind))
        return sorted(spans)


@dataclass(slots=True)
class Redaction:
    """What was replaced in one call; `restore` undoes `redact` in whatever comes back."""

    _redactor: Redactor
    _placeholders: dict[tuple[str, str], str] = field(default_factory=dict)  # by kind and value
    _values: dict[str, str] = field(default_factory=dict)  # by placeholder
    _counts: dict[str, int] = field(default_factory=dict)

    @property
    def counts(self) -> dict[str, int]:
        """How many different values of each kind were replaced."""
        return dict(self._counts)

    def redact(self, text: str) -> str:
        """The text with every recognised value replaced."""
        text = PLACEHOLDER.sub(lambda match: self._placeholder(LITERAL, match.group()), text)
        for _ in range(MOST_PASSES):
            done = self._pass(text)
            if done == text:
                break
            text = done
        return text

    def restore(self, text: str) -> str:
        """The text with every placeholder of this call replaced by its value."""
        return PLACEHOLDER.sub(lambda match: self._values.get(match.group(), match.group()), text)

    def _pass(self, text: str) -> str:
        parts, at = [], 0
        for match in PLACEHOLDER.finditer(text):
            parts += [self._plain(text[at : match.start()]), match.group()]
            at = match.end()
        return "".join([*parts, self._plain(text[at:])])

    def _plain(self, text: str) -> str:
        """A stretch without placeholders."""
        parts, at = [], 0
        for start, end, kind in self._redactor.found(text):
            parts += [text[at:start], self._placeholder(kind, text[start:end])]
            at = end
        return "".join([*parts, text[at:]])

    def _placeholder(self, kind: str, value: str) -> str:
        if (kind, value) not in self._placeholders:
            self._counts[kind] = number = self._counts.get(kind, 0) + 1
            self._placeholders[kind, value] = placeholder = f"[{kind}_{number}]"
            self._values[placeholder] = value
        return self._placeholders[kind, value]


def redactor_from(setting: str) -> Redactor | None:
    """What QUOTH_REDACT names: yes, no (None), or a file of further patterns, one NAME PATTERN a line.

    Raises:
        ConfigurationError: the file cannot be read, or a line in it is no name with a regular expression.
    """
    if setting.strip().lower() in ("yes", "no"):
        return Redactor() if setting.strip().lower() == "yes" else None
    file = Path(setting).expanduser()
    try:
        lines = file.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            f"QUOTH_REDACT={setting!r} is neither yes nor no nor a file that can be read: {error}"
        ) from error
    more = []
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        name, _, pattern = line.strip().partition(" ")
        try:
            if not re.fullmatch("[A-Z][A-Z_]*", name) or not pattern.strip():
                raise re.error("it must be NAME PATTERN, with a name of A to Z and _")
            more.append((name, re.compile(pattern.strip())))
        except re.error as error:
            raise ConfigurationError(f"QUOTH_REDACT={setting!r} line {number}: {error}. Mend that line.") from error
    return Redactor(more)


def _by(pattern: re.Pattern[str]) -> Finder:
    def find(text: str) -> Iterator[Span]:
        return (match.span() for match in pattern.finditer(text))

    return find


def _phones(text: str) -> Iterator[Span]:
    for match in _PHONE.finditer(text):
        if not _DATE.fullmatch(match.group()):
            yield match.span()


def _ibans(text: str) -> Iterator[Span]:
    at = 0
    while match := _IBAN.search(text, at):
        length = _IBAN_LENGTHS.get(match.group()[:2].upper())
        end = None if length is None else _end_of(text, match.start(), length)
        if end is not None and _is_iban(text[match.start() : end]):
            yield match.start(), end
            at = end
        else:
            at = match.start() + 2


def _end_of(text: str, start: int, length: int) -> int | None:
    """Where so many letters and digits from `start` on end, spaces and dashes between them aside."""
    for at in range(start, len(text)):
        if text[at].isalnum():
            length -= 1
            if not length:
                return at + 1 if not text[at + 1 : at + 2].isalnum() else None
        elif text[at] not in " \u00a0-":
            return None
    return None


def _is_iban(text: str) -> bool:
    """Whether the check digits are right: the number, rearranged, is 1 modulo 97 (ISO 7064)."""
    compact = re.sub("[ \u00a0-]", "", text).upper()
    if not compact.isascii():
        return False
    return int("".join(str(int(char, 36)) for char in compact[4:] + compact[:4])) % 97 == 1


def _cards(text: str) -> Iterator[Span]:
    """13 to 19 digits in whole groups whose check digit is right; longest first where groups can be read two ways."""
    for match in _DIGITS.finditer(text):
        groups = [
            (match.start() + one.start(), match.start() + one.end()) for one in re.finditer(r"\d+", match.group())
        ]
        first = 0
        while first < len(groups):
            for last in range(min(first + MOST_CARD_DIGITS, len(groups)) - 1, first - 1, -1):
                digits = "".join(text[start:end] for start, end in groups[first : last + 1])
                signed = text[max(0, groups[first][0] - 1) : groups[first][0]] == "+"  # a phone number's
                if _is_card(digits) and not signed:
                    yield groups[first][0], groups[last][1]
                    first = last
                    break
            first += 1


def _is_card(digits: str) -> bool:
    fits = FEWEST_CARD_DIGITS <= len(digits) <= MOST_CARD_DIGITS and digits.isascii() and digits[0] in "23456"
    return fits and _passes_luhn(digits)


def _passes_luhn(digits: str) -> bool:
    """The check of card numbers (ISO 7812-1): every second digit from the right doubled, the sum a multiple of 10."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) * (1 + place % 2)
        total += value - 9 if value > 9 else value
    return total % 10 == 0
