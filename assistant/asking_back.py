"""When a question means several things: what to ask back instead of answering one of them as if it were all.

Without a model the rule is conservative. It asks only where a short question is answered equally well, and differently,
under names of one pattern ("Evacuation Northport", "Evacuation Southport"; "Notice" in two contracts), and nothing in
the question tells them apart. What a model says that was meant is shown only in words of the passage it names.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from assistant.model import DraftChoice, Passage
from assistant.quantities import quantities
from ingest.analysis import Analyzer, analyzer_for
from retrieval.model import Hit, SearchResult

WHICH: Final = "This can mean several things in your documents. Which one do you mean?"
FEWEST: Final = 2  # choices
MOST: Final = 5
MOST_TERMS: Final = 6  # of the question: a longer one says what it means
WITHIN: Final = 0.2  # of the best sentence's score, for a rival's
COVERED: Final = 0.6  # of the question's weight, by each that may be meant
APART: Final = 3  # terms at most by which names of one pattern differ
ASKING: Final = "how long many much when where who which what why far often old high large big can may must should"
_YEAR: Final = re.compile(r"(?:19|20)\d\d")
MOST_CHARS: Final = 120  # of a choice


@dataclass(frozen=True, slots=True)
class Meant:
    """A sentence that answers, and where it stands."""

    passage: Passage
    hit: Hit
    text: str
    score: float


def rivals(sentences: Sequence[Meant], search: SearchResult) -> tuple[DraftChoice, ...]:
    """What a question may mean, the best first; empty where it is clear enough.

    Args:
        sentences: those that may answer, best first.
    """
    analyzer = analyzer_for(search.language)
    asked = set(search.idf) | set(analyzer.terms(f"{search.question} {search.searched}"))
    asking = set(analyzer.terms(ASKING))
    weights = {term: weight for term, weight in search.idf.items() if term not in asking}
    if not sentences or not 1 <= len(weights) <= MOST_TERMS:
        return ()
    best = sentences[0]
    meant = [best]
    for one in sentences[1:]:
        if len(meant) == MOST or one.score < best.score - WITHIN:
            break
        if all(_alternative(one, other, analyzer, weights) for other in meant):
            meant.append(one)
    if len(meant) < FEWEST:
        return ()
    names = [set(analyzer.terms(_name(one))) for one in meant]
    shared = set.intersection(*names)
    apart = [name - shared for name in names]
    if not all(apart) or any(asked & own for own in apart):
        return ()  # no words to tell them apart by, or the question says them
    if any(_YEAR.fullmatch(term) for own in apart for term in own) or any(one.hit.superseded_by for one in meant):
        return ()  # editions of one document: the answer tells of them, and marks where they disagree
    labels = _labels([one.passage for one in meant])
    if len(set(labels)) < len(labels):
        return ()
    return tuple(DraftChoice(one.passage.id, label) for one, label in zip(meant, labels, strict=True))


def chosen(question: str, choice: str) -> str:
    """The question that is asked when a choice is taken."""
    return f"{question.rstrip()} ({choice})"


def taken(said: str, question: str, choices: Sequence[str]) -> str | None:
    """The question that is meant by a number or the words of a choice; None where it is neither.

    Args:
        said: what the reader wrote when `question` was answered with `choices`.
    """
    said = said.strip().rstrip(".")
    if said.isdecimal() and 1 <= int(said) <= len(choices):
        return chosen(question, choices[int(said) - 1])
    return next((chosen(question, one) for one in choices if _folded((one,)) == _folded((said,))), None)


def checked(
    choices: Sequence[DraftChoice], passages: Sequence[Passage], still_readable: Callable[[Passage], bool]
) -> tuple[str, ...]:
    """The choices as they are shown: of passages that were given and may still be read, in their own words.

    Words that neither the passage nor its title or headings hold give way to title and section.

    Returns:
        Two to five, each once; else none.
    """
    given = {passage.id: passage for passage in passages}
    named = [(given[one.passage_id.strip()], one.words) for one in choices[:MOST] if one.passage_id.strip() in given]
    named = [(passage, words) for passage, words in named if still_readable(passage)]
    labels = _labels([passage for passage, _ in named])
    analyzer = analyzer_for("en")
    shown = []
    for (passage, words), label in zip(named, labels, strict=True):
        own = set(analyzer.terms(words))
        held = set(analyzer.terms(" ".join((passage.title, *passage.heading, passage.text))))
        shown.append(" ".join(words.split())[:MOST_CHARS] if own and own <= held else label)
    once = tuple(dict.fromkeys(shown))
    return once if len(once) >= FEWEST else ()


def _alternative(one: Meant, other: Meant, analyzer: Analyzer, weights: Mapping[str, float]) -> bool:
    """Whether both answer the same words of the question, under names of one pattern, and not the same."""
    answered = [weights.keys() & set(analyzer.terms(f"{_name(each)} {each.text}")) for each in (one, other)]
    share = sum(weights[term] for term in answered[0]) / (sum(weights.values()) or 1.0)
    return (
        _one_pattern(one.passage, other.passage, analyzer)
        and answered[0] == answered[1]
        and share >= COVERED
        and not _same(one.text, other.text, analyzer)
    )


def _one_pattern(one: Passage, other: Passage, analyzer: Analyzer) -> bool:
    same_heading = bool(one.heading) and _folded(one.heading[-1:]) == _folded(other.heading[-1:])
    if one.document == other.document:
        return same_heading and _folded(one.heading) != _folded(other.heading)
    if same_heading and _folded(one.heading[-1:]) != _folded((one.title,)):
        return True
    mine, theirs = set(analyzer.terms(one.title)), set(analyzer.terms(other.title))
    apart = (mine - theirs, theirs - mine)
    named = all(1 <= len(own) <= APART and any(not term.isdigit() for term in own) for own in apart)
    return named and len(mine & theirs) >= max(map(len, apart))  # "Evacuation North", "Evacuation South"


def _same(one: str, other: str, analyzer: Analyzer) -> bool:
    """Whether two sentences give the same answer: the same numbers, or without any, the same words."""
    numbers = [{(found.kind, found.values, found.unit) for found in quantities(text)} for text in (one, other)]
    if numbers[0] or numbers[1]:
        return numbers[0] == numbers[1]
    return set(analyzer.terms(one)) == set(analyzer.terms(other))


def _name(one: Meant) -> str:
    return " ".join((one.passage.title, *one.passage.heading))


def _labels(passages: Sequence[Passage]) -> list[str]:
    """A name for each: its title, and its section where titles do not tell them apart."""
    titles = [" ".join((passage.title or passage.source).split())[:MOST_CHARS] for passage in passages]
    if len(set(titles)) == len(titles):
        return titles
    return [
        " › ".join(dict.fromkeys((title, *(" ".join(one.split()) for one in passage.heading))))[:MOST_CHARS]
        for title, passage in zip(titles, passages, strict=True)
    ]


def _folded(names: Sequence[str]) -> tuple[str, ...]:
    return tuple(" ".join(name.split()).casefold() for name in names)
