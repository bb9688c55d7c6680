"""Drafts of cases by rules, without a model: sentences that state a number, a time, a place or what something is.

They are drafts: English, plain, and close to the document's words. A person rewrites what is worth keeping.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from ingest.model import Span
from ingest.sentences import sentence_spans

MOST_SENTENCE_WORDS: Final = 32
MOST_QUESTION_WORDS: Final = 25
LEAST_QUESTION_WORDS: Final = 4
COPIED_WORDS: Final = 8  # in a row, as in the document: a question that copies finds its sentence by its words alone
SUBJECT_WORDS: Final = 8

_NUMBER_WORDS: Final = """
    two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen
    eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety
    """.split()  # noqa: SIM905
_NUMBER: Final = rf"(?:\d[\d,.]*\d|\d|{'|'.join(_NUMBER_WORDS)})"
_QUANTITY: Final = re.compile(
    rf"(?:\b(?:at most|at least|up to|about|only|exactly|no more than|more than|not more than)\s+)?"
    rf"\b{_NUMBER}\s+(?P<unit>(?:(?:further|working|calendar|more|other|additional|full|paid|whole|square|cubic)\s+)*"
    rf"(?!(?:of|per|and|or|to|in|on|at|a|the|by|are|is|has|have|lie|o)\b)[a-z]{{2,}}(?:\s+of(?:\s+[a-z]+){{1,3}})?)",
)
_PERCENT: Final = re.compile(
    rf"(?:\b(?:at most|at least|up to|about|only)\s+)?\b{_NUMBER}\s*(?:%|percent\b|per cent\b)(?:\s+of)?"
)
_MONTHS: Final = "January|February|March|April|May|June|July|August|September|October|November|December"
_DAYS: Final = "Monday|Tuesday|Wednesday|Thursday|Friday|Saturday|Sunday"
_HOURS: Final = (
    rf"(?:\d{{1,2}}(?:[:.]\d\d)?\s?(?:am|pm|a\.m\.|p\.m\.|o'clock)|"
    rf"\d{{1,2}}:\d\d|{'|'.join(_NUMBER_WORDS[:11])}(?=\s+in the))"
)
_TIME: Final = re.compile(
    rf"\b(?:on|by|until|before|after|at|from|in)\s+(?:the\s+)?(?:\d{{1,2}}\.?\s+)?"
    rf"(?:{_MONTHS}|{_DAYS}|{_HOURS}|(?:19|20)\d\d)\b"
)
_PLACE: Final = re.compile(r"^(?P<verb>kept|held|stored|located|found|filed|displayed|posted)\s+(?:in|at|on|by|near)\b")
_MODALS: Final = ("may", "must", "can", "should", "will", "shall", "could")
_BE: Final = ("is", "are", "was", "were")
_VERBS: Final = {  # third person -> base; the base itself takes `do`
    **{f"{base}s": base for base in (
        "receive", "get", "take", "cost", "last", "leave", "open", "close", "start", "begin", "end", "need", "require",
        "cover", "pay", "hold", "keep", "expire", "contain", "include", "run", "return", "arrive", "earn", "accrue",
        "reimburse", "amount", "lend", "charge", "allow", "meet", "weigh", "measure", "serve", "employ",
    )},
    "applies": "apply", "has": "have", "reaches": "reach", "carries": "carry",
}  # fmt: skip
_BASES: Final = frozenset(_VERBS.values())
_UNRESOLVED: Final = frozenset(
    """
    it they this these that those he she there here who which such if when while as because although however
    both one some no nobody nothing in on at for from by with to after before please see
    """.split()  # noqa: SIM905
)
_CLAUSE: Final = frozenset(
    """
    who which that if when while because although one it they
    """.split()  # noqa: SIM905
)  # in a subject
_FUNCTION: Final = frozenset(
    """
    the a an all each every any new most our your their his her its
    """.split()  # noqa: SIM905
)
_WORD: Final = re.compile(r"[\w'-]+")

# Words that stand for somebody or some time else: asked with the other one, the documents should not say.
_OTHERS: Final = {
    "employees": "volunteers", "staff": "volunteers", "parents": "grandparents", "managers": "trainees",
    "guests": "suppliers", "customers": "suppliers", "students": "alumni", "members": "visitors",
    "residents": "tourists", "drivers": "passengers", "children": "pensioners", "adults": "infants",
    "summer": "winter", "winter": "summer", "morning": "night", "weekdays": "public holidays",
    "monday": "Sunday", "tuesday": "Sunday", "wednesday": "Sunday", "thursday": "Sunday", "friday": "Sunday",
}  # fmt: skip
_NAMES: Final = ("Eastmere", "Norvik", "Calder Bay", "Tormund", "Westhollow", "Ilveston", "Quarrington", "Halvard")


@dataclass(frozen=True, slots=True)
class Draft:
    """A question that one sentence answers."""

    question: str
    span: Span  # of the sentence, in the passage it was drafted from
    kind: str  # "number", "time", "place" or "definition"


def drafts(text: str, heading: str = "") -> Iterator[Draft]:
    """What the rules make of a passage, sentence by sentence; one draft a sentence at most.

    Args:
        heading: what the passage stands under, for a sentence with a number that no rule can turn round.
    """
    for start, end in sentence_spans(text):
        sentence = text[start:end].strip()
        at = text.index(sentence, start) if sentence else start
        made = _draft(sentence, text) or _under(heading, sentence)
        if made is not None and usable(made[0], text):
            yield Draft(made[0], (at, at + len(sentence)), made[1])


def usable(question: str, text: str) -> bool:
    """Whether a question can stand: neither a stub nor a copy of the document's words."""
    words = len(question.split())
    return LEAST_QUESTION_WORDS <= words <= MOST_QUESTION_WORDS and not copies(question, text)


def copies(question: str, text: str) -> bool:
    """Whether a question repeats so many words of a text in a row that it finds them by itself."""
    asked, words = _words(question), _words(text)
    runs = {tuple(words[at : at + COPIED_WORDS]) for at in range(len(words) - COPIED_WORDS + 1)}
    return any(tuple(asked[at : at + COPIED_WORDS]) in runs for at in range(len(asked) - COPIED_WORDS + 1))


def near_miss(question: str, absent: Callable[[str], bool], draw: random.Random) -> tuple[str, str] | None:
    """The same question about something that the documents do not speak of.

    Args:
        absent: whether a word stands in none of the documents that could answer.

    Returns:
        The question and what was swapped in it ("Holm -> Norvik"), or None where nothing in it can be.
    """
    swaps: list[tuple[str, str]] = []
    names = re.findall(r"(?<!^)(?<![.?!]\s)\b[A-Z][a-z]{2,}(?:\s+[A-Z][a-z]{2,})*", question)
    named = [one for one in names if not re.fullmatch(rf"{_MONTHS}|{_DAYS}", one)]
    swaps += [(one, draw.choice(_NAMES)) for one in named]
    swaps += [
        (year, str(int(year) + draw.choice((-9, -7, 8, 11)))) for year in re.findall(r"\b(?:19|20)\d\d\b", question)
    ]
    swaps += [(word, _OTHERS[word.lower()]) for word in _WORD.findall(question) if word.lower() in _OTHERS]
    for old, new in swaps:
        if absent(new):
            return re.sub(rf"\b{re.escape(old)}\b", new, question), f"{old} -> {new}"
    return None


def _draft(sentence: str, text: str) -> tuple[str, str] | None:
    words = sentence.rstrip(".").split()
    if not sentence.endswith(".") or not 4 <= len(words) <= MOST_SENTENCE_WORDS or sentence.count(",") > 1:
        return None
    if not words[0][0].isupper() or words[0].lower().strip(",") in _UNRESOLVED or ";" in sentence or '"' in sentence:
        return None
    at = next((n for n, word in enumerate(words[1 : SUBJECT_WORDS + 1], 1) if _is_verb(word)), None)
    if at is None or ":" in sentence or any("," in word or word.lower() in _CLAUSE for word in words[:at]):
        return None
    subject, verb, rest = _subject(words[:at], text), words[at].lower(), " ".join(words[at + 1 :])
    if verb in _MODALS or verb in _BE:
        helper, main = verb, ""
    else:
        helper, main = ("does", _VERBS[verb]) if verb in _VERBS else ("do", verb)
    return (
        _of_place(subject, helper, main, rest)
        or _of_quantity(subject, helper, main, rest)
        or _of_time(subject, helper, main, rest)
        or _of_definition(subject, verb, rest, at)
    )


def _under(heading: str, sentence: str) -> tuple[str, str] | None:
    """A question by the heading alone, plainly one to be rewritten."""
    found = _QUANTITY.search(sentence)
    if not heading or found is None or len(heading.split()) > SUBJECT_WORDS or not len(sentence.split()) >= 5:
        return None
    return f"{heading.strip(' .:?')}: how many {found['unit']}?", "number"


def _of_quantity(subject: str, helper: str, main: str, rest: str) -> tuple[str, str] | None:
    found = _PERCENT.search(rest) or _QUANTITY.search(rest)
    if found is None or re.search(r"\b(?:if|than|when|who|which|that|not)\b", rest[: found.start()]):
        return None
    if _TIME.search(rest[: found.start()]):
        return None
    before, after = rest[: found.start()].strip(), rest[found.end() :].strip()
    if "," in before or len(after.split()) > 8 or re.match(r"(?:and|or|to)\b", after):
        return None
    after = re.split(r",|\band\b|\bbut\b|\bwhich\b", after)[0].strip()
    unit = found.groupdict().get("unit")
    asked = f"How many {unit}" if unit else "What percentage"
    if not main and not before and helper in _BE:
        return _question(asked, helper, subject, after), "number"
    return _question(asked, helper, subject, main, before, after), "number"


def _of_time(subject: str, helper: str, main: str, rest: str) -> tuple[str, str] | None:
    found = _TIME.search(rest)
    if found is None:
        return None
    before = rest[: found.start()].strip()
    if "," in before or re.search(r"\b(?:and|if|than|who|which|that)\b", before) or not (before or main):
        return None
    asked = (
        "Until when"
        if found.group().startswith("until")
        else "From when"
        if found.group().startswith("from")
        else "When"
    )
    return _question(asked, helper, subject, main, before), "time"


def _of_place(subject: str, helper: str, main: str, rest: str) -> tuple[str, str] | None:
    found = _PLACE.match(rest)
    if helper not in _BE or main or found is None:
        return None
    return _question("Where", helper, subject, found["verb"]), "place"


def _of_definition(subject: str, verb: str, rest: str, length: int) -> tuple[str, str] | None:
    if verb not in ("is", "are") or length > 5 or not re.match(r"(?:a|an|the)\s", rest) or len(rest.split()) < 5:
        return None
    return _question("What", verb, subject), "definition"


def _question(*parts: str) -> str:
    return re.sub(r"\s+", " ", " ".join(part for part in parts if part)).strip(" ,.") + "?"


def _is_verb(word: str) -> bool:
    return word in _MODALS or word in _BE or word in _VERBS or word in _BASES


def _subject(words: Sequence[str], text: str) -> str:
    """As it stands inside a sentence: its first letter small, unless it seems to be a name."""
    first = words[0]
    named = re.search(rf"[a-z,] {re.escape(first)}\b", text) or (len(words) == 1 and not first.endswith("s"))
    if first.lower() in _FUNCTION or not named:
        first = first if len(first) > 1 and first.isupper() else first[0].lower() + first[1:]
    return " ".join((first, *words[1:]))


def _words(text: str) -> list[str]:
    return [word.lower() for word in _WORD.findall(text)]
