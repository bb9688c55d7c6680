"""Opposites compared: directions, places in time and space, quantifiers that claim and quotation say differently."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from assistant.negations import HARMLESS, NEGATION
from ingest.analysis import Analyzer

_OPPOSITES: Final = tuple(
    (re.compile(rf"\b(?:{one})\b", re.I), re.compile(rf"\b(?:{other})\b", re.I))
    for one, other in (
        (
            r"increas\w*|rais\w*|ris(?:es|ing|en)|rose|grow\w*|grew|higher",
            r"decreas\w*|reduc\w*|lower\w*|fall\w*|fell|declin\w*|diminish\w*",
        ),
        (r"more|greater|larger|above", r"less|fewer|smaller|below"),
        (r"starts?|begins?|starting|beginning", r"ends?|ending"),
        (r"cheaper|cheapest", r"dearer|more expensive"),
        (r"allowed|permitted|may|can|paid|covered", r"prohibited|forbidden|banned"),
        (r"mandatory|required|compulsory|must|need(?:s|ed)?|have to|has to", r"optional|voluntary"),
        (r"accept\w*|approv\w*", r"reject\w*|refus\w*|den(?:y|ies|ied)"),
        (r"includ\w*", r"exclud\w*"),
        (r"always", r"never|rarely|seldom"),
        (r"afterwards|subsequently|in arrears", r"beforehand|in advance|prior|previously"),
        (r"enabled?|activat\w*|promot\w*", r"disabled?|inhibit\w*|deactivat\w*|suppress\w*"),
    )
)
# Around the same word, one is the opposite of the other.
_RELATIONS: Final = tuple(
    (re.compile(rf"\b(?:{one})\s+(?=\w)", re.I), re.compile(rf"\b(?:{other})\s+(?=\w)", re.I))
    for one, other in (
        (r"before|prior to|ahead of|preceding|until", r"after|following|once"),
        (r"outside", r"inside|within|during"),
        (r"above|over", r"below|under|beneath"),
    )
)
_ALL: Final = re.compile(
    r"\b(?:all|every\w*|each|both|any(?:one|body|thing)?|always|never|nobody|none|no one|whoever|only|entire|whole)\b",
    re.I,
)
_SOME: Final = re.compile(
    r"\b(?:some(?!one|body|how|where)\w*|a few|several|one of the|partly|partially|(?<!at )(?<!the )most|"
    r"mainly|mostly|usually|generally|"
    r"normally|typically|largely|often|occasionally|rarely|seldom|hardly|not (?:all|every\w*))\b",
    re.I,
)
_ALL_OF_CLAIM: Final = re.compile(r"\b(?:all|every\w*|each|both|always|never|nobody|none|no one)\b", re.I)


def turned(claim: str, clauses: str) -> Iterator[tuple[str, str]]:
    """Directions of the claim of which the quotation has only the opposite."""
    claim, clauses = HARMLESS.sub(" ", claim), HARMLESS.sub(" ", clauses)
    if NEGATION.search(claim) or NEGATION.search(clauses):
        return
    for pair in _OPPOSITES:
        for here, there in (pair, pair[::-1]):
            word, opposite = here.search(claim), there.search(clauses)
            if word and opposite and not there.search(claim) and not here.search(clauses):
                yield word[0], opposite[0]


def turned_relations(claim: str, said: str, analyzer: Analyzer) -> Iterator[tuple[str, str]]:
    """Before, after, outside or above something, of which the quotation says only the opposite."""
    for pair in _RELATIONS:
        for here, there in (pair, pair[::-1]):
            ours, theirs = _anchors(here, claim, analyzer), _anchors(there, said, analyzer)
            same = _anchors(here, said, analyzer)
            for anchor, word in ours.items():
                if anchor in theirs and anchor not in same:
                    yield word, theirs[anchor]


def _anchors(relation: re.Pattern[str], text: str, analyzer: Analyzer) -> dict[str, str]:
    """The first content word after each place of a relation, with the relation's words."""
    found = {}
    for one in relation.finditer(text):
        following = [term for term in analyzer.terms(text[one.end() : one.end() + 60]) if not term.isdigit()]
        if following:
            found[following[0]] = one[0].strip()
    return found


def turned_quantifiers(claim: str, clauses: str) -> tuple[str, str] | None:
    """Some of the claim where the quotation says all, or all where it says some."""
    some, all_said = _SOME.search(claim), _ALL.search(clauses)
    if some and all_said and not _SOME.search(clauses):
        return some[0], all_said[0]
    all_claimed, some_said = _ALL_OF_CLAIM.search(claim), _SOME.search(clauses)
    if all_claimed and some_said and not _ALL.search(clauses):
        return all_claimed[0], some_said[0]
    return None
