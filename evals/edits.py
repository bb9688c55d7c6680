"""Small edits that make a true claim false, of the kinds by which a model's answer goes wrong.

Seeded: the same claims give the same edits. Each kind changes one place, so that what catches it is known.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from assistant.quantities import MONTHS, NUMBER_WORDS, UNITS, quantities

SEED: Final = 20261121
INVENTED: Final = ("Brannock", "Ysolde", "Quenby", "Harrowgate", "Perivale", "Tolland")
_MONTHS: Final = [name.capitalize() for name in MONTHS if len(name) > 4 or name in ("may", "june", "july")]
_DAYS: Final = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()  # noqa: SIM905
_DIGITS: Final = re.compile(r"(?<![\w.,:/-])\d+(?:,\d{3})*(?:\.\d+)?(?![\w:-])(?!\s*[ap]m\b)")
_SPOKEN: Final = re.compile(rf"\b(?:{'|'.join(sorted(set(NUMBER_WORDS) - {'zero', 'one'}, key=len, reverse=True))})\b")
_DATE: Final = re.compile(
    rf"\b(?:{'|'.join(_MONTHS)}|{'|'.join(_DAYS)})(?=s?\b)|\b(?:19|20)\d\d\b|\b\d{{1,2}}(?::\d\d)?\s?[ap]m\b"
)
_UNIT: Final = re.compile(
    r"(?<=[\w\d] )(?:minutes?|hours?|days?|weeks?|months?|years?|euros?|km|kilometres?|tonnes?|percent|m|bar)\b|"
    r"(?<=\d)%|€(?=\d)"
)
_OTHER_UNITS: Final = {
    "minute": "hour", "hour": "minute", "day": "week", "week": "day", "month": "week", "year": "month",
    "euro": "dollar", "km": "miles", "kilometre": "mile", "%": " euros", "percent": "euros", "m": "km", "€": "$",
    "bar": "kg", "tonne": "litre",
}  # fmt: skip
_NAME: Final = re.compile(r"(?:[A-Z][a-zé]+|[A-Z]{2,})(?:-\w+)?(?=\b|'s)")
_INNER_NAME: Final = re.compile(r"(?<=[a-z,] )(?:[A-Z][a-zé]{3,}|[A-Z]{2,4}-\d+)")
_TURNS: Final = (
    ("at most", "at least"), ("at least", "at most"), ("no more than", "no less than"), ("more than", "less than"),
    ("no later than", "no earlier than"), ("no longer than", "no shorter than"), ("longer than", "shorter than"),
    ("over", "under"), ("under", "over"), ("above", "below"), ("before", "after"), ("after", "before"),
    ("as many as", "no fewer than"), (r"up to(?= (?:a |an )?\w*[\d€])", "at least"),
    ("must not exceed", "must exceed"),
    ("a maximum of", "a minimum of"), ("maximum", "minimum"), ("starts", "ends"), ("begins", "ends"),
    ("outside", "inside"), ("later", "earlier"), ("cheaper", "dearer"), ("within", "after"), ("grows", "shrinks"),
    ("beforehand", "afterwards"), ("ahead of", "behind"), ("or more", "or less"), 
    ("sooner", "later"), ("exceed", "fall below"), ("allowed", "forbidden"), ("required", "optional"),
    ("in advance", "in arrears"), ("smaller than", "larger than"),
)  # fmt: skip
_QUANTIFIERS: Final = (
    ("all", "some"), ("every", "some"), ("everyone", "hardly anyone"), ("both", "one of the"),
    ("nobody", "not everybody"), ("any", "a few"), ("anyone", "hardly anyone"), ("only", "mainly"),
    ("always", "sometimes"), ("never", "rarely"),
)  # fmt: skip
_NEGATED: Final = re.compile(r"\b(must|may|can|will|do|does|is|are|has|have|be) not\b|\b(must|may) never\b")
_AFFIRMED: Final = re.compile(
    r"\b(?:must|may|can|is|are|was|were|will|has to|have to|should|requires|earns|gets?)\b(?! not| never| no\b| exceed)"
)


@dataclass(frozen=True, slots=True)
class Edited:
    kind: str
    claim: str
    was: str
    now: str


def names_of(text: str) -> list[str]:
    """Names and identifiers of a document: capitalised inside a sentence, and never written small."""
    small = set(re.findall(r"\b[a-zé]+", text))
    found = dict.fromkeys(match[0] for match in _INNER_NAME.finditer(text))
    return [name for name in found if name.lower() not in small and name not in _DAYS and name not in _MONTHS]


def edits_of(claim: str, passage: str, names: Sequence[str], *, seed: int = SEED) -> Iterator[Edited]:
    """One edit of each kind that the claim has a place for.

    Args:
        passage: what supports the claim: a new value is none of it.
        names: other names of the same document, from which a swapped one is taken every second time.
    """
    for kind, edit in EDITS.items():
        chance = random.Random(f"{seed}/{kind}/{claim}")
        for found in edit(claim, passage, names, chance):
            start, end, now = found
            changed = claim[:start] + now + claim[end:]
            if changed != claim:
                yield Edited(kind, changed[:1].upper() + changed[1:], claim[start:end], now)
                break


Place = tuple[int, int, str]
Edit = Callable[[str, str, Sequence[str], random.Random], Iterator[Place]]


def _shuffled(pattern: re.Pattern[str], claim: str, chance: random.Random) -> list[re.Match[str]]:
    found = list(pattern.finditer(claim))
    chance.shuffle(found)
    return found


def _number(claim: str, passage: str, names: Sequence[str], chance: random.Random) -> Iterator[Place]:
    for match in [*_shuffled(_DIGITS, claim, chance), *_shuffled(_SPOKEN, claim, chance)]:
        if _DATE.fullmatch(match[0]):
            continue
        (given,) = quantities(f"of {match[0]} in") or (None,)
        if given is None:
            continue
        value = float(min(given.values))
        for other in chance.sample([value + 1, value + 2, value * 2, value * 10, max(1, value - 1)], 5):
            text = f"{other:,.2f}".rstrip("0").rstrip(".") if "." in match[0] else f"{other:,.0f}"
            (new,) = quantities(f"of {text} in")
            if not any(new.values & one.values for one in quantities(passage)) and not new.values & given.values:
                yield match.start(), match.end(), text
                break


def _date(claim: str, passage: str, names: Sequence[str], chance: random.Random) -> Iterator[Place]:
    for match in _shuffled(_DATE, claim, chance):
        text = match[0]
        if text in _MONTHS or text in _DAYS:
            others = [one for one in (_MONTHS if text in _MONTHS else _DAYS) if one not in passage and one not in claim]
            yield match.start(), match.end(), chance.choice(others)
        elif text.endswith("m"):
            yield match.start(), match.end(), text[:-2] + ("pm" if text.endswith("am") else "am")
        else:
            years = [int(text) + step for step in (-2, -1, 1, 2) if str(int(text) + step) not in passage]
            yield match.start(), match.end(), str(chance.choice(years))


def _unit(claim: str, passage: str, names: Sequence[str], chance: random.Random) -> Iterator[Place]:
    for match in _shuffled(_UNIT, claim, chance):
        bare = match[0] if match[0] in _OTHER_UNITS else match[0].removesuffix("s")
        before = re.search(r"(\S+) $|(\d)$", claim[: match.start()])
        if match[0] != "€" and not (before and quantities(f"of {before[0].strip()} in")):
            continue
        now = _OTHER_UNITS[bare]
        ending = "s" if match[0].endswith("s") and not now.endswith("s") else ""
        if UNITS.get(now.strip(), now) not in [one.unit for one in quantities(passage)]:
            yield match.start(), match.end(), now + ending


def _name(claim: str, passage: str, names: Sequence[str], chance: random.Random) -> Iterator[Place]:
    known = "|".join(map(re.escape, sorted(names, key=len, reverse=True)))
    for match in _shuffled(re.compile(rf"\b(?:{known})\b") if known else _NAME, claim, chance):
        others = [one for one in names if one not in passage and one not in claim and one not in match[0]]
        yield match.start(), match.end(), chance.choice(others if others and chance.random() < 0.5 else INVENTED)


def _negation(claim: str, passage: str, names: Sequence[str], chance: random.Random) -> Iterator[Place]:
    negated = _NEGATED.search(claim)
    if negated:
        yield negated.start(), negated.end(), negated[1] or negated[2]
        return
    for match in _shuffled(_AFFIRMED, claim, chance):
        plain = {
            "has to": "does not have to", "have to": "do not have to", "requires": "does not require",
            "earns": "does not earn", "gets": "does not get", "get": "do not get",
        }  # fmt: skip
        yield match.start(), match.end(), plain.get(match[0], f"{match[0]} not")


def _swapped(pairs: Sequence[tuple[str, str]]) -> Edit:
    def edit(claim: str, passage: str, names: Sequence[str], chance: random.Random) -> Iterator[Place]:
        for one, other in pairs:
            # "over 6 weeks" is a direction, "under a contract" none
            found = re.search(rf"\b{one}\b" + (r"(?= [\d$€])" if one in ("over", "under") else ""), claim, re.I)
            if found:
                yield found.start(), found.end(), other

    return edit


EDITS: Final[dict[str, Edit]] = {
    "number": _number,
    "date": _date,
    "unit": _unit,
    "name": _name,
    "negation": _negation,
    "direction": _swapped(_TURNS),
    "quantifier": _swapped(_QUANTIFIERS),
}
