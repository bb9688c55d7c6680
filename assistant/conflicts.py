"""Passages of different documents that say the same thing with other numbers, dates or signs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Final

from assistant.model import Conflict, Passage
from assistant.quantities import Quantity, quantities
from ingest.analysis import Analyzer, analyzer_for
from ingest.sentences import sentence_spans

ALIKE: Final = 0.6  # shared terms of two sentences, numbers aside; Jaccard
FEWEST_TERMS: Final = 4
MOST_SENTENCES: Final = 60  # of a passage


@dataclass(frozen=True, slots=True)
class _Said:
    words: str
    terms: frozenset[str]
    numbers: tuple[Quantity, ...]


def conflicts_between(passages: Sequence[Passage]) -> tuple[Conflict, ...]:
    """Pairs of passages from different documents of which a sentence each agrees in words and not in numbers."""
    analyzer = analyzer_for("en")
    said = {passage.id: _sentences(passage.text, analyzer) for passage in passages}
    found = []
    for one, other in combinations(passages, 2):
        if one.document == other.document:
            continue
        pair = next(
            ((a, b) for a in said[one.id] for b in said[other.id] if _disagree(a, b)),
            None,
        )
        if pair is not None:
            found.append(Conflict(one.id, other.id, pair[0].words, pair[1].words))
    return tuple(found)


def _sentences(words: str, analyzer: Analyzer) -> list[_Said]:
    found = []
    for start, end in sentence_spans(words)[:MOST_SENTENCES]:
        sentence = words[start:end]
        terms = frozenset(term for term in analyzer.terms(sentence) if not any(c.isdigit() for c in term))
        if len(terms) >= FEWEST_TERMS:
            found.append(_Said(sentence, terms, tuple(quantities(sentence))))
    return found


def _disagree(one: _Said, other: _Said) -> bool:
    if not one.numbers or not other.numbers:
        return False
    shared = len(one.terms & other.terms)
    if shared < ALIKE * len(one.terms | other.terms):
        return False
    return _lacks(one, other) and _lacks(other, one)


def _lacks(one: _Said, other: _Said) -> bool:
    """Whether a number of the one matches none of the other, though the other has one of its kind."""
    return any(
        not any(number.matches(theirs) for theirs in other.numbers)
        and any(number.kind == theirs.kind and number.unit == theirs.unit for theirs in other.numbers)
        for number in one.numbers
    )
