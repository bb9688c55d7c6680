"""A question of a conversation as one that can be searched for by itself: it takes along what it leans on.

Without a model the rule is: a question that points back ("it", "there", "what about ...") or says very little carries
the content words of the question before, which may itself have carried some. Only the search is widened; what is
answered is what was asked.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from ingest.analysis import Analyzer, analyzer_for

FEW_WORDS: Final = 3  # "Interns too?" says too little
MANY_TERMS: Final = 6  # content words; with more, "it" points to something within the question
MOST_CARRIED: Final = 12  # words
LOOKED_BACK: Final = 4  # questions

_GOES_ON: Final = re.compile(
    r"\W*(?:and|or|but|so|then|also|what about|how about|what if|why|how so|since when|until when|for how long"
    r"|und|oder|aber|wie ist es mit|warum|et|mais|pourquoi|y|pero|por qué)\b",
    re.IGNORECASE,
)
_POINTS_BACK: Final = re.compile(
    r"\b(?:it|its|they|them|their|theirs|these|those|he|him|his|she|her|hers|the same|the former|the latter|otherwise"
    r"|instead|afterwards|ça|cela|ello)\b|\b(?:is|was|are|does|did|do|about|for|of|to|on|in|with) (?:this|that)\b"
    r"|\b(?:this|that|there|one)\W*$",
    re.IGNORECASE,
)
_WORD: Final = re.compile(r"[\w][\w.'’/-]*[\w]|\w")
_ASKING: Final = frozenset(
    word
    for words in (
        "how long many much when where who whom whose which what why far often old high large big can may must should",
        "tell explain give list show describe know need want get please",
    )
    for word in words.split()
)


@dataclass(frozen=True, slots=True)
class Standalone:
    """What to search for, and which words of earlier questions it took along."""

    text: str
    carried: tuple[str, ...] = ()


def standalone(question: str, earlier: Sequence[str], *, language: str = "en") -> Standalone:
    """Make a question searchable by itself.

    Args:
        earlier: the questions of the same conversation, oldest first.
        language: of the words that say nothing.
    """
    analyzer = analyzer_for(language)
    if not earlier or not leans(question, analyzer):
        return Standalone(question)
    own = set(analyzer.terms(question))
    carried: list[str] = []
    for former in reversed(earlier[-LOOKED_BACK:]):
        for word in _WORD.findall(former):
            terms = analyzer.terms(word)
            if terms and not own.intersection(terms) and word.casefold() not in _ASKING:
                own.update(terms)
                carried.append(word)
        if not leans(former, analyzer) or len(carried) >= MOST_CARRIED:
            break
    carried = carried[:MOST_CARRIED]
    return Standalone(f"{question} ({' '.join(carried)})" if carried else question, tuple(carried))


def leans(question: str, analyzer: Analyzer) -> bool:
    """Whether a question cannot be understood by itself."""
    said = [word for word in _WORD.findall(question) if word.casefold() not in _ASKING and analyzer.terms(word)]
    if not said or _GOES_ON.match(question):
        return True
    if len(said) == 1 and len(question.split()) <= FEW_WORDS:
        return True
    return len(said) <= MANY_TERMS and bool(_POINTS_BACK.search(question))
