"""The numbers of a text as values that can be compared: 1,000 and 1000, twenty and 20, 5 pm and 17:00.

A claim may round nothing and convert nothing: what it says in numbers must stand in its quotes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

_ONES: Final = (  # noqa: SIM905
    "zero one two three four five six seven eight nine ten eleven twelve "
    "thirteen fourteen fifteen sixteen seventeen eighteen nineteen"
).split()
_TENS: Final = "twenty thirty forty fifty sixty seventy eighty ninety".split()  # noqa: SIM905
NUMBER_WORDS: Final = {word: i for i, word in enumerate(_ONES)} | {word: 20 + 10 * i for i, word in enumerate(_TENS)}
SCALES: Final = {
    "hundred": 100, "thousand": 1000, "k": 1000, "million": 10**6, "millions": 10**6, "mn": 10**6, "mio": 10**6,
    "billion": 10**9, "bn": 10**9, "trillion": 10**12,
}  # fmt: skip
MONTHS: Final = {
    name: i + 1
    for i, names in enumerate(
        (
            "january jan", "february feb", "march mar", "april apr", "may", "june jun", "july jul", "august aug",
            "september sep sept", "october oct", "november nov", "december dec",
        )
    )
    for name in names.split()
}  # fmt: skip
UNITS: Final = {
    form: forms.split()[0]
    for forms in (
        "% percent pct percentage", "USD $ dollar dollars us$", "EUR € euro euros", "GBP £ pound sterling", "JPY ¥ yen",
        "CHF francs franc", "second seconds sec secs", "minute minutes min mins", "hour hours hr hrs h",
        "day days", "week weeks", "month months", "year years yr yrs", "kilometre km kilometres kilometer kilometers",
        "metre m metres meter meters", "centimetre cm centimetres centimeter centimeters",
        "millimetre mm millimetres millimeter millimeters", "mile miles", "inch inches", "foot feet ft",
        "kilogram kg kilograms", "gram g grams", "milligram mg milligrams", "litre l litres liter liters",
        "millilitre ml millilitres milliliter milliliters", "°c celsius", "°f fahrenheit", "kb kilobytes kib",
        "mb megabytes mib", "gb gigabytes gib", "tb terabytes tib", "ms millisecond milliseconds", "kwh", "kw", "mw",
        "volt volts v", "watt watts w",
    )
    for form in forms.split()
}  # fmt: skip
_ARTICLES_BEFORE_UNITS: Final = 2  # words that may stand between: "20 paid working days"

_MONTH = "(?:" + "|".join(sorted(MONTHS, key=len, reverse=True)) + r")\b\.?"
_DATES: Final = (
    re.compile(rf"\b(?P<d>\d{{1,2}})(?:st|nd|rd|th)?\.?\s+(?:of\s+)?(?P<M>{_MONTH})(?:,?\s+(?P<y>\d{{4}}))?", re.I),
    re.compile(rf"\b(?P<M>{_MONTH})\s+(?P<d>\d{{1,2}})(?:st|nd|rd|th)?\b(?:,?\s+(?P<y>\d{{4}}))?(?![\d%:.,]*\d)", re.I),
    re.compile(rf"\b(?P<M>{_MONTH})\s+(?P<y>\d{{4}})\b", re.I),
    re.compile(r"\b(?P<y>\d{4})[-/.](?P<m>\d{1,2})[-/.](?P<d>\d{1,2})\b"),
    re.compile(r"\b(?P<d>\d{1,2})[-/.](?P<m>\d{1,2})[-/.](?P<y>\d{4})\b"),
)
_TIME: Final = re.compile(
    r"\b(?P<h>[01]?\d|2[0-4])(?:(?P<sep>[:.])(?P<min>[0-5]\d))?(?:\s*(?P<half>[ap])\.?\s?m\b\.?)?(?![\d:])", re.I
)
_MARKERS: Final = re.compile(r"\[\d{1,3}\]")  # citation markers
_NUMBER: Final = re.compile(
    r"(?P<currency>us\$|[$€£¥]|\b(?:usd|eur|gbp|chf|jpy)\b)?\s?"
    r"(?P<sign>(?<![\w.,)])[-−])?(?<![\w.,])(?<![A-Za-z]-)"
    r"(?P<digits>\d{1,3}(?:[,'’\u00a0\u2009\u202f ]\d{3})+(?!\d)(?:\.\d+)?|\d{1,3}(?:\.\d{3})+,\d+|\d+(?:[.,]\d+)?)"
    r"(?:st|nd|rd|th)?(?![\w])",
    re.I,
)
_ATTACHED: Final = re.compile(
    r"(?<![\w.,-])(\d+(?:[.,]\d+)?)(?=(?:%|°|k|m|bn|mn|g|kg|mg|ml|l|km|cm|mm|ms|kb|mb|gb|tb|h)\b)", re.I
)
_WORD_NUMBER: Final = re.compile(
    r"\b(?:{n})(?:[\s-]+(?:and\s+)?(?:{n}|{s}))*\b".format(
        n="|".join(sorted(NUMBER_WORDS, key=len, reverse=True)), s="hundred|thousand|million|billion"
    ),
    re.I,
)
_FOLLOWING: Final = re.compile(r"[\s-]*([^\s\d,;:()\[\]/-]+)(?!\d)")


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number as written, with every value it may mean and its unit where one is known."""

    shown: str
    kind: str  # "number", "month" or "time"
    values: frozenset[Decimal]  # "1.000" may be 1000 or 1; times in minutes after midnight
    unit: str | None

    def matches(self, other: Quantity) -> bool:
        """Same value, and no two different units."""
        if self.kind != other.kind or not self.values & other.values:
            return False
        return self.unit is None or other.unit is None or self.unit == other.unit


def quantities(text: str) -> list[Quantity]:
    """Every number, date, time, share and amount of a text; identifiers such as INC-2041 are names, not numbers."""
    found: list[Quantity] = []
    text = _MARKERS.sub(" ", text).replace("per cent", "percent")
    for pattern in _DATES:
        text = _taken(pattern, text, found, _date)
    text = _taken(_TIME, text, found, _time)
    text = _ATTACHED.sub(r"\1 ", text)
    for match in _NUMBER.finditer(text):
        found.append(_number(match, text))
    for match in _WORD_NUMBER.finditer(text):
        value = _spoken_value(match[0])
        found.append(Quantity(match[0], "number", frozenset({value}), _unit_after(text, match.end())))
    return found


def _taken(pattern: re.Pattern[str], text: str, found: list[Quantity], read: object) -> str:
    """Collect a pattern's matches and blank them out, so that no later pattern reads them again."""

    def take(match: re.Match[str]) -> str:
        seen = list(read(match))  # type: ignore[operator]
        found.extend(seen)
        return " " * len(match[0]) if seen else match[0]

    return pattern.sub(take, text)


def _date(match: re.Match[str]) -> Iterator[Quantity]:
    groups = match.groupdict()
    name = groups.get("M")
    if name and name.strip(".").lower() in ("may", "march", "mar", "sep", "dec", "jan") and not name[0].isupper():
        return
    months = {MONTHS[name.strip(".").lower()]} if name else {int(groups["m"])}
    days = {int(groups["d"])} if groups.get("d") else set[int]()
    if not name and days and max(days) <= 12 and match.re is _DATES[4]:
        months, days = months | days, days | months  # 3/12/2024: which is the month nobody can tell
    if not all(1 <= month <= 12 for month in months) and not all(1 <= day <= 12 for day in days):
        return
    yield Quantity(match[0], "month", frozenset(map(Decimal, months)), None)
    if days:
        yield Quantity(match[0], "number", frozenset(map(Decimal, days)), None)
    if groups.get("y"):
        yield Quantity(match[0], "number", frozenset({Decimal(groups["y"])}), None)


def _time(match: re.Match[str]) -> Iterator[Quantity]:
    half, minutes = match["half"], match["min"]
    if not half and match["sep"] != ":":
        return  # a plain number
    hour = int(match["h"])
    if half:
        hour = hour % 12 + (12 if half.lower() == "p" else 0)
    yield Quantity(match[0], "time", frozenset({Decimal(hour * 60 + int(minutes or 0))}), None)


def _number(match: re.Match[str], text: str) -> Quantity:
    digits = re.sub(r"['’\u00a0\u2009\u202f ]", "", match["digits"])
    readings: set[str] = set()
    if re.fullmatch(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?", digits):
        readings.add(digits.replace(",", ""))
    elif "," in digits:
        readings.add(digits.replace(".", "").replace(",", "."))  # 1,5 and 1.000,50
    if re.fullmatch(r"\d{1,3}(?:\.\d{3})+", digits):
        readings.add(digits.replace(".", ""))
    if "," not in digits:
        readings.add(digits)
    scale, end = 1, match.end()
    following = _FOLLOWING.match(text, end)
    if following and following[1].lower().strip(".") in SCALES:
        scale, end = SCALES[following[1].lower().strip(".")], following.end()
    sign = -1 if match["sign"] else 1
    values = frozenset((Decimal(one) * scale * sign).normalize() for one in readings)
    currency = (match["currency"] or "").lower()
    unit = UNITS.get(currency) or (currency.upper() if currency else None) or _unit_after(text, end)
    return Quantity(match[0].strip(), "number", values, unit)


def _spoken_value(words: str) -> Decimal:
    """Twenty-five, one hundred and twenty, three million."""
    total = current = 0
    for word in re.split(r"[\s-]+", words.lower()):
        if word in NUMBER_WORDS:
            current += NUMBER_WORDS[word]
        elif word == "hundred":
            current *= 100
        elif word in SCALES:
            total, current = total + current * SCALES[word], 0
    return Decimal(total + current).normalize()


def _unit_after(text: str, at: int) -> str | None:
    """The unit that follows a number, with at most two other words between."""
    for i in range(_ARTICLES_BEFORE_UNITS + 1):
        match = _FOLLOWING.match(text, at)
        if match is None:
            return None
        word = match[1].strip(".!?\"'’”").removesuffix("'s")
        unit = UNITS.get(word.lower())
        if word[:1] == "%":
            unit = "%"
        if unit and not (i and len(word) == 1):
            return unit
        if word.lower() in ("and", "or", "to", "of", "in", "at", "for", "by", "from", "per") or match[1][-1] in ".!?":
            return None
        at = match.end()
    return None
