"""Which model a question goes to first: easy ones to a cheaper model, by a rule over what retrieval told of them.

A question is easy where one passage stands out that very likely answers it, and it asks one short thing. Such a
question needs a sentence copied, which small models do as well. The constants are fitted by evals/bench/routing.py;
evals/published/routing.md says what share of questions goes which way, and with which quality.

Nothing is lost by a wrong guess but quality: whatever a model says is checked alike, and where the cheaper one fails,
the chain goes on with the others.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from assistant.model import Answerer, Context
from assistant.quoting import Selection, confidence, sentence_candidates
from ingest.errors import ConfigurationError
from retrieval.model import SearchResult

# What asks for more than one sentence: comparisons, several questions in one, everything of a kind, reasons.
_SEVERAL: Final = re.compile(
    r"\b(?:compar\w+|differ\w*|versus|vs|both|each|all|every|list|summar\w+|overview|explain|why|how do|pros|steps"
    r"|respectively|in total|altogether|combined|more|less|fewer|than|unless|except)\b",
    re.I,
)
_ASKED: Final = re.compile(r"\b(?:who|whom|whose|what|when|where|which|how)\b", re.I)
_JOINED: Final = re.compile(r"(?:\band\b|\bor\b|,)\s+(?:\w+\s+)?(?:who|whom|whose|what|when|where|which|how)\b", re.I)


@dataclass(frozen=True, slots=True)
class Signals:
    """What is known of a question before any model is asked."""

    answerability: float  # of the best sentence, 0 to 1; see assistant.answerability
    margin: float  # of the best hit's score above the next one's; 1 where it is alone
    words: int  # of the question
    single: bool  # it asks one thing, of one place


@dataclass(frozen=True, slots=True)
class Rule:
    """Bounds that a question must keep to be easy; fitted, see the module's text."""

    least_answerability: float = 0.25
    least_margin: float = 0.10  # of the local re-ranker's scores
    most_words: int = 100  # the length told nothing in the data

    def easy(self, signals: Signals) -> bool:
        return not self.against(signals)

    def against(self, signals: Signals) -> list[str]:
        """What speaks against it, in words; nothing for an easy question."""
        found = []
        if not signals.single:
            found.append("asks several things")
        if signals.words > self.most_words:
            found.append(f"{signals.words} words")
        if signals.answerability < self.least_answerability:
            found.append(f"answerability {signals.answerability:.2f} below {self.least_answerability:.2f}")
        if signals.margin < self.least_margin:
            found.append(f"margin {signals.margin:.2f} below {self.least_margin:.2f}")
        return found


@dataclass(frozen=True, slots=True)
class ModelRouting:
    """Puts the cheaper model first for easy questions.

    Attributes:
        cheaper: its name in the chain.
    """

    cheaper: str
    rule: Rule = Rule()

    def routed(
        self, answerers: Sequence[Answerer], question: str, context: Context, search: SearchResult
    ) -> tuple[list[Answerer], dict[str, Any] | None]:
        """The chain in the order for this question, and why, for its record; None where there is nothing to choose."""
        first = next((one for one in answerers if one.name == self.cheaper), None)
        if first is None or not context.passages:
            return list(answerers), None
        signals = signals_of(question, context, search)
        against = self.rule.against(signals)
        if context.conflicts:
            against.append("passages disagree")
        told = {
            "easy": not against,
            "first": self.cheaper if not against else answerers[0].name,
            "why": "; ".join(against) or "short, one thing asked, one passage stands out",
            **{name: round(value, 3) for name, value in asdict(signals).items()},
        }
        if against:
            return list(answerers), told
        return [first, *(one for one in answerers if one is not first)], told


def signals_of(question: str, context: Context, search: SearchResult) -> Signals:
    """What retrieval told of a question; costs milliseconds."""
    scores = [hit.score for hit in search.hits[:2]]
    return Signals(
        answerability=confidence(sentence_candidates(context, search, Selection()), search),
        margin=scores[0] - scores[1] if len(scores) == 2 else 1.0,
        words=len(question.split()),
        single=asks_one_thing(question),
    )


def asks_one_thing(question: str) -> bool:
    """Whether the words of a question ask one thing; judged by English words, and by its one question mark."""
    return (
        question.count("?") <= 1
        and not _SEVERAL.search(question)
        and not _JOINED.search(question)
        and len(_ASKED.findall(question)) <= 2  # "who wrote the book which ..."
    )


def routing_to(easy_model: str | None, models: str | None) -> ModelRouting | None:
    """The routing that QUOTH_EASY_MODEL sets; None where it is unset.

    Raises:
        ConfigurationError: it is no later model of the chain.
    """
    if easy_model is None:
        return None
    names = [name.strip() for name in (models or "").split(",")]
    if easy_model not in names[1:]:
        raise ConfigurationError(
            f"QUOTH_EASY_MODEL={easy_model!r} must be a model of QUOTH_MODELS, and not its first: that one is asked "
            "everything else first."
        )
    return ModelRouting(easy_model)
