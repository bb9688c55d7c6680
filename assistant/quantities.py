"""The numbers of a text as values that can be compared: 1,000 and 1000, twenty and 20, 5 pm and 17:00.

A claim may round nothing, and convert only what is exact by definition (14 days, two weeks): what it says in numbers
must stand in its quotes. "At most" and "at least", "before" and "after" are read with the number they belong to.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final, Literal

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
        "volt volts v", "watt watts w", "bar bars", "tonne tonnes",
    )
    for form in forms.split()
}  # fmt: skip
# Exact by definition, in the smallest of its kind.
_SAME: Final = {
    "second": ("time", 1), "minute": ("time", 60), "hour": ("time", 3600), "day": ("time", 86400),
    "week": ("time", 604800), "month": ("calendar", 1), "year": ("calendar", 12), "metre": ("length", 1000),
    "kilometre": ("length", 10**6), "centimetre": ("length", 10), "millimetre": ("length", 1), "gram": ("mass", 1000),
    "kilogram": ("mass", 10**6), "milligram": ("mass", 1), "tonne": ("mass", 10**9),
}  # fmt: skip
_SPOKEN_ORDINALS: Final = (
    *("third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth", "eleventh", "twelfth"),
    *("thirteenth", "fourteenth", "fifteenth", "sixteenth", "seventeenth", "eighteenth", "nineteenth"),
)
_ORDINALS: Final = {
    **{word: i + 3 for i, word in enumerate(_SPOKEN_ORDINALS)},
    **{tens[:-1] + "ieth": 20 + 10 * i for i, tens in enumerate(_TENS)},
}
_LATER_ORDINALS: Final = {"first": 1, "second": 2, **_ORDINALS}  # after a ten: twenty-first
_ARTICLES_BEFORE_UNITS: Final = 2  # words that may stand between: "20 paid working days"

_MONTH = "(?:" + "|".join(sorted(MONTHS, key=len, reverse=True)) + r")\b\.?"
_DATES: Final = (
    re.compile(rf"\b(?P<d>\d{{1,2}})(?:st|nd|rd|th)?\.?\s+(?:of\s+)?(?P<M>{_MONTH})(?:,?\s+(?P<y>\d{{4}}))?", re.I),
    re.compile(rf"\b(?P<o>[a-z]+(?:[\s-][a-z]+)?)\s+of\s+(?P<M>{_MONTH})(?:,?\s+(?P<y>\d{{4}}))?", re.I),
    re.compile(rf"\b(?P<M>{_MONTH})\s+(?P<d>\d{{1,2}})(?:st|nd|rd|th)?\b(?:,?\s+(?P<y>\d{{4}}))?(?![\d%:.,]*\d)", re.I),
    re.compile(rf"\b(?P<M>{_MONTH})\s+(?P<y>\d{{4}})\b", re.I),
    re.compile(r"\b(?P<y>\d{4})[-/.](?P<m>\d{1,2})[-/.](?P<d>\d{1,2})\b"),
    re.compile(r"\b(?P<d>\d{1,2})[-/.](?P<m>\d{1,2})[-/.](?P<y>\d{4})\b"),
    re.compile(
        r"\b(?P<M>January|February|March|April|June|July|August|September|October|November|December|"
        r""
        r"(?<=\bin )May|(?<=\bof )May|(?<=\bby )May|(?<=\bsince )May|(?<=\buntil )May|(?<=\beach )May|"
        r"(?<=\bfor )May|(?<=\bfrom )May)\b"
    ),
)
_TIME: Final = re.compile(
    r"\b(?P<h>[01]?\d|2[0-4])(?:(?P<sep>[:.])(?P<min>[0-5]\d))?(?:\s*(?P<half>[ap])\.?\s?m\b\.?)?(?![\d:])", re.I
)
_CLOCK: Final = re.compile(
    r"\b(?:(?P<part>half|(?:a )?quarter) (?P<way>past|to) (?P<hour>\w+)|(?:12 )?(?P<noon>noon|midnight|midday))\b", re.I
)
_TIMES: Final = re.compile(r"\b(?:twice|thrice)\b", re.I)
_HALF: Final = re.compile(
    r"\b(?:(?P<whole>one|two|three|four|five|six|seven|eight|nine|ten|a|an|\d+) and a half|half an?|half a) "
    r"(?P<of>million|billion|thousand|hour|day|year|minute|metre|kilometre|litre|kilogram|tonne)s?\b",
    re.I,
)
_SPOKEN_TIME: Final = re.compile(
    r"\b(?P<hour>\w+) (?:o['’]clock(?: in the (?P<late>morning|afternoon|evening))?"
    r"|in the (?P<part>morning|afternoon|evening)(?! shift))\b",
    re.I,
)
_FRACTION: Final = re.compile(
    r"\b(?P<count>one|two|three|four|\d)[ -](?P<part>quarter|third|fifth|tenth)s?\b(?! (?:past|to)\b)",
    re.I,
)
_PARTS: Final = {"third": 3, "quarter": 4, "fifth": 5, "tenth": 10}
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
_ORDINAL: Final = re.compile(
    r"\b(?:(?P<tens>{t})[\s-](?P<last>{u})|(?P<plain>{o})|(?<=every )(?P<two>second|other))\b".format(
        t="|".join(_TENS), u="|".join(list(_LATER_ORDINALS)[:9]), o="|".join(sorted(_ORDINALS, key=len, reverse=True))
    ),
    re.I,
)
# What stands before a number and bounds it; "not" or "no" turns it around.
_BOUND: Final = re.compile(
    r"(?P<not>\b(?:not|no|never|cannot|rather than|instead of)\s+(?:be(?:ing)?\s+)?|n['’]t\s+)?\b(?:"
    r"(?P<upper>at most|up to|as many as|as much as|within|under|below|"
    r"(?:less|fewer|shorter|smaller|lower|colder|weaker|lighter|slower|younger|narrower|cheaper) than|"
    r"maximum(?: \w+){0,6}?(?: is| of)?|limit(?:ed)? (?:is|to|of)|capped at|before|until|till|"
    r"(?P<early>earlier|sooner) than|"
    r"fall(?:s|ing)? below|(?:end(?:s|ing)?|lapses?|closes?) (?:on|at))|"
    r"(?P<lower>at least|"
    r"(?:more|longer|greater|larger|higher|warmer|hotter|stronger|heavier|faster|older|wider|deeper|bigger|"
    r"dearer) than|over|above|exceed(?:s|ing)?|in excess of|"
    r"minimum(?: \w+){0,6}?(?: is| of)?|from|since|after|(?:start(?:s|ing)?|begin(?:s|ning)?|opens?) (?:on|at)|"
    r"(?P<late>later) than))"
    r"\s+(?:(?:the|a|an|of|about|around|roughly|level|force|age|rank|us\$|[$€£¥])\s*)*$",
    re.I,
)
_BOUND_AFTER: Final = re.compile(
    r"[\s-]*(?:(?!and\b|or\b|but\b)[\w%]+[\s-]+){0,2}?"
    r"(?:(?P<upper>or (?:less|fewer|below|under|earlier|shorter)|at (?:the )?most|"
    r"at the latest)|(?P<lower>(?:or|and) (?:more|above|over|longer|later|higher|up)|later|at least))\b",
    re.I,
)
_SIDE: Final = re.compile(
    r"[\s-]*(?:(?!and\b|or\b|but\b|nor\b)[\w%]+[\s-]+){0,3}?"
    r"(?:(?P<before>(?:before|ahead|prior|in advance|beforehand|earlier)\b)|"
    r"(?P<after>after|following|later|afterwards|of (?=\w+ing\b)))",
    re.I,
)
_NOBODY: Final = re.compile(
    r"\b(?:nobody|no one|none|nor|not|never|cannot)\b(?:(?!\b(?:where|if|when|who|that|which)\b)[^.;,])* than\s*$", re.I
)
_ARTICLE: Final = re.compile(r"\b(?:a|an)\s+(?=(?P<of>second|minute|hour|day|week|month|year)\b)", re.I)
_NOUN: Final = re.compile(r"[\s-]*([^\W\d_]{2,})")
_LOOK_BACK: Final = 48  # characters in which a bound stands before its number
_FOLLOWING: Final = re.compile(r"[\s-]*([^\s\d,;:()\[\]/-]+)(?!\d)")


Bound = Literal["upper", "lower"]


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number as written, with every value it may mean and its unit where one is known."""

    shown: str
    kind: str  # "number", "month" or "time"
    values: frozenset[Decimal]  # "1.000" may be 1000 or 1; times in minutes after midnight
    unit: str | None
    bound: Bound | None = field(default=None, compare=False)  # "at most", "before" or "at least", "after"
    side: Literal["before", "after"] | None = field(default=None, compare=False)  # "two weeks before" something
    noun: str | None = field(default=None, compare=False)  # the word that follows, without a plural's s

    def matches(self, other: Quantity) -> bool:
        """Same value, and no two different units; 14 days are two weeks."""
        if self.kind != other.kind:
            return False
        if self.values & other.values and (self.unit is None or other.unit is None or self.unit == other.unit):
            return True
        ours, theirs = _SAME.get(self.unit or ""), _SAME.get(other.unit or "")
        if ours is None or theirs is None or ours[0] != theirs[0]:
            return False
        return bool({one * ours[1] for one in self.values} & {one * theirs[1] for one in other.values})

    def opposes(self, other: Quantity) -> bool:
        """Whether one is bounded from above and the other from below, or one lies before and the other after."""
        bounds = {self.bound, other.bound} == {"upper", "lower"}
        return bounds or {self.side, other.side} == {"before", "after"}


def quantities(text: str) -> list[Quantity]:
    """Every number, date, time, share and amount of a text; identifiers such as INC-2041 are names, not numbers."""
    found: list[Quantity] = []
    text = _MARKERS.sub(" ", text).replace("per cent", "percent")
    for pattern in _DATES:
        text = _taken(pattern, text, found, _date)
    text = _taken(_CLOCK, text, found, _clock)
    text = _taken(_TIME, text, found, _time)
    text = _taken(_SPOKEN_TIME, text, found, _spoken_time)
    text = _taken(_HALF, text, found, _half)
    text = _taken(_FRACTION, text, found, _fraction)
    text = _ATTACHED.sub(r"\1 ", text)
    for match in _NUMBER.finditer(text):
        found.append(_number(match, text))
    for match in _WORD_NUMBER.finditer(text):
        if _ORDINAL.match(text, match.start()):
            continue
        found.append(_made(match, "number", {_spoken_value(match[0])}, _unit_after(text, match.end())))
    for match in _TIMES.finditer(text):
        found.append(_made(match, "number", {Decimal(2 if match[0].lower() == "twice" else 3)}, None))
    for match in _ORDINAL.finditer(text):
        found.append(_made(match, "number", {_ordinal_value(match)}, _unit_after(text, match.end())))
    return found


def _made(
    match: re.Match[str], kind: str, values: set[Decimal], unit: str | None, *, end: int | None = None
) -> Quantity:
    """With the bound and the side that the words around it say."""
    text = match.string
    before = text[max(0, match.start() - _LOOK_BACK) : match.start()]
    side_found = _SIDE.match(text, match.end() if end is None else end)
    side: Literal["before", "after"] | None = None
    if side_found:
        side = "before" if side_found["before"] else "after"
    bound: Bound | None = None
    found = _BOUND.search(before if before[-1:].isspace() else before + " ")
    after = _BOUND_AFTER.match(text, match.end() if end is None else end)
    if after:
        bound = "upper" if after["upper"] else "lower"
    elif found:
        turned = bool(found["not"]) or bool(_NOBODY.search(before))
        bound = "upper" if bool(found["upper"]) != turned else "lower"
        if side == "before" and (found["late"] or found["early"]):  # no later than two weeks before: two weeks or more
            bound = "lower" if bound == "upper" else "upper"
    following = _NOUN.match(text, match.end() if end is None else end)
    noun = following[1].lower().removesuffix("s") if following else None
    return Quantity(match[0].strip(), kind, frozenset(values), unit, bound, side, noun)


def article_quantities(text: str) -> list[Quantity]:
    """What "a week" or "an hour" says, which is one of them where an amount is meant, and a rate in "twice a week"."""
    return [_made(found, "number", {Decimal(1)}, UNITS[found["of"].lower()]) for found in _ARTICLE.finditer(text)]


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
    if groups.get("o"):
        spoken = _day_named(groups["o"])
        if spoken is None:
            return
        days = {spoken}
    if not name and days and max(days) <= 12 and match.re is _DATES[5]:
        months, days = months | days, days | months  # 3/12/2024: which is the month nobody can tell
    if not all(1 <= month <= 12 for month in months) and not all(1 <= day <= 12 for day in days):
        return
    yield _made(match, "month", set(map(Decimal, months)), None)
    if days:
        yield _made(match, "number", set(map(Decimal, days)), None)
    if groups.get("y"):
        yield _made(match, "number", {Decimal(groups["y"])}, None)


def _clock(match: re.Match[str]) -> Iterator[Quantity]:
    """Half past nine, a quarter to twelve, noon: of the morning or the evening."""
    if match["noon"]:
        yield _made(match, "time", {Decimal(0 if match["noon"].lower() == "midnight" else 720)}, None)
        return
    word = match["hour"].lower()
    hour = NUMBER_WORDS.get(word, int(word) if word.isdecimal() else 0)
    if not 1 <= hour <= 24:
        return
    minutes = 60 * hour + (30 if match["part"].lower() == "half" else 15) * (
        1 if match["way"].lower() == "past" else -1
    )
    yield _made(match, "time", {Decimal(minutes % 1440), Decimal((minutes + 720) % 1440)}, None)


def _spoken_time(match: re.Match[str]) -> Iterator[Quantity]:
    """Eight in the morning, five o'clock."""
    word = match["hour"].lower()
    hour = NUMBER_WORDS.get(word, int(word) if word.isdecimal() else 0)
    part = (match["part"] or match["late"] or "").lower()
    if not 1 <= hour <= 12:
        return
    early, late = Decimal(hour % 12 * 60), Decimal(hour % 12 * 60 + 720)
    yield _made(match, "time", {early} if part == "morning" else {late} if part else {early, late}, None)


def _fraction(match: re.Match[str]) -> Iterator[Quantity]:
    """Three quarters: as a share and in percent."""
    count = match["count"].lower()
    share = Decimal(int(count) if count.isdecimal() else NUMBER_WORDS[count]) / _PARTS[match["part"].lower()]
    yield _made(match, "number", {round(share, 4), round(100 * share, 2)}, None)


def _half(match: re.Match[str]) -> Iterator[Quantity]:
    """Half an hour, half a million, two and a half years."""
    whole = (match["whole"] or "0").lower()
    value = Decimal("0.5") + (int(whole) if whole.isdecimal() else NUMBER_WORDS.get(whole, 1))
    of = match["of"].lower()
    unit = UNITS.get(of)
    scaled = value * SCALES[of] if of in SCALES else value
    yield _made(match, "number", {scaled.normalize()}, unit)


def _day_named(words: str) -> int | None:
    """First, twenty-first, thirtieth."""
    *tens, last = re.split(r"[\s-]", words.lower())
    if last not in _LATER_ORDINALS:
        return None
    whole = _LATER_ORDINALS[last] + (NUMBER_WORDS.get(tens[0], 0) if tens and tens[0] in _TENS else 0)
    return whole if whole <= 31 else None


def _time(match: re.Match[str]) -> Iterator[Quantity]:
    half, minutes = match["half"], match["min"]
    if not half and match["sep"] != ":":
        return  # a plain number
    hour = int(match["h"])
    if half:
        hour = hour % 12 + (12 if half.lower() == "p" else 0)
    yield _made(match, "time", {Decimal(hour * 60 + int(minutes or 0))}, None)


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
    values = {(Decimal(one) * scale * sign).normalize() for one in readings}
    currency = (match["currency"] or "").lower()
    unit = UNITS.get(currency) or (currency.upper() if currency else None) or _unit_after(text, end)
    return _made(match, "number", values, unit, end=end)


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


def _ordinal_value(match: re.Match[str]) -> Decimal:
    if match["two"]:
        return Decimal(2)
    if match["plain"]:
        return Decimal(_ORDINALS[match["plain"].lower()]).normalize()
    tens, last = match["tens"].lower(), match["last"].lower()
    return Decimal(NUMBER_WORDS[tens] + _LATER_ORDINALS[last]).normalize()


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
