"""How likely it is that quotes support a claim, from signals that are weighed as labelled data taught.

The signals are similarities by the shipped sentence encoder (nothing is sent anywhere) and how many of the exact
comparisons fail. A logistic regression weighs them.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np

from assistant.exact_comparisons import matching_clauses, missing_quantities
from assistant.names import missing_names
from assistant.negations import negation_differs
from assistant.opposites import turned
from assistant.quantities import quantities
from ingest.analysis import Analyzer
from ingest.model import Span
from ingest.sentences import sentence_spans
from ingest.vectors import Vectors

SAID_CHARS: Final = 1400  # of the quotes that are embedded: what the encoder's window holds
CLAIM_CHARS: Final = 1000
LOWEST_SHARE: Final = 1 / 3  # of the claim's words, those the quotes say least, looked at on their own
AROUND_CREDIT: Final = 0.5  # of a word that only the text around the quotes has
MOST_COUNTED: Final = 3  # missing quantities or names: what lacks three is as bad as what lacks five
_WORD: Final = re.compile(r"\w+")


class SpanEmbedder(Protocol):
    """What OnnxEmbedder offers and similarities need."""

    def embed_passages(
        self, texts: Sequence[str], spans: Sequence[Sequence[Span]]
    ) -> tuple[Vectors, list[Vectors]]: ...


@dataclass(frozen=True, slots=True)
class Similarities:
    """Cosines in [-1, 1]."""

    maxsim: float  # mean over the claim's content words of the best word of the quotes, in context
    low: float  # the same mean over the third of the words that are worst off
    sentence: float  # of the claim and the sentence of the quotes nearest to it
    whole: float  # of the claim and the quotes as a whole


@dataclass(frozen=True, slots=True)
class SupportModel:
    """A logistic regression over named signals.

    Attributes:
        weights: by signal, each for (value - mean) / spread.
        scales: (mean, spread) of each signal where it was fitted.
    """

    weights: Mapping[str, float]
    scales: Mapping[str, tuple[float, float]]
    intercept: float
    threshold: float  # probability from which a claim counts as supported

    def probability(self, signals: Mapping[str, float]) -> float:
        """Of support, in [0, 1]."""
        total = self.intercept
        for name, weight in self.weights.items():
            mean, spread = self.scales[name]
            total += weight * (signals[name] - mean) / spread
        return 1 / (1 + math.exp(-max(-50.0, min(50.0, total))))


def similarities(claim: str, said: str, embedder: SpanEmbedder, analyzer: Analyzer) -> Similarities:
    """Compare a claim with the quotes' words, sentences and whole, in one pass of the encoder over each.

    Of long quotes only the sentences that share most words with the claim are read, in their order.

    Source of maxsim: Khattab and Zaharia, ColBERT, SIGIR 2020, over a general encoder's token vectors.
    """
    claim, said = claim[:CLAIM_CHARS], nearest_sentences(claim, said, analyzer)
    claim_words = [found.span() for found in _WORD.finditer(claim)]
    said_words = [found.span() for found in _WORD.finditer(said)]
    sentences = sentence_spans(said, 0, len(said)) or [(0, len(said))]
    (claim_vector, said_vector), (claim_parts, said_parts) = embedder.embed_passages(
        [claim, said], [claim_words, [*said_words, *sentences]]
    )
    words, near = said_parts[: len(said_words)], said_parts[len(said_words) :]
    if not claim_words or not said_words:
        best = np.zeros(1)
    else:
        best = (claim_parts @ words.T).max(axis=1)
        content = np.array([bool(analyzer.terms(claim[start:end])) for start, end in claim_words])
        best = best[content] if content.any() else best
    low = np.sort(best)[: max(1, int(len(best) * LOWEST_SHARE))]
    return Similarities(
        float(best.mean()), float(low.mean()), float((near @ claim_vector).max()), float(claim_vector @ said_vector)
    )


def nearest_sentences(claim: str, said: str, analyzer: Analyzer, *, most_chars: int = SAID_CHARS) -> str:
    """The text itself, or those of its sentences that share most terms with the claim, as many as there is room for."""
    if len(said) <= most_chars:
        return said
    wanted = set(analyzer.terms(claim))
    spans = sentence_spans(said, 0, len(said)) or [(0, len(said))]
    shared = [len(wanted & set(analyzer.terms(said[start:end]))) for start, end in spans]
    chosen: list[int] = []
    room = most_chars
    for index in sorted(range(len(spans)), key=lambda one: (-shared[one], one)):
        start, end = spans[index]
        if chosen and end - start > room:
            break
        chosen.append(index)
        room -= end - start + 1
    return " ".join(said[slice(*spans[index])] for index in sorted(chosen))[:most_chars]


def coverage(claim: str, said: str, near: str, analyzer: Analyzer) -> tuple[float, float]:
    """Share of the claim's different terms that the quotes have; and with half of those that only `near` has.

    Quantities are left out: they are compared exactly, and "twenty" is no other term than 20.
    """
    every = set(analyzer.terms(claim))
    numbers = {term for one in quantities(claim) for term in analyzer.terms(one.shown)}
    wanted = every - numbers or every
    if not wanted:
        return 0.0, 0.0
    quoted = wanted & set(analyzer.terms(said))
    beside = (wanted & set(analyzer.terms(near))) - quoted
    return len(quoted) / len(wanted), (len(quoted) + AROUND_CREDIT * len(beside)) / len(wanted)


def signals(alike: Similarities, claim: str, said: str, near: str, analyzer: Analyzer) -> dict[str, float]:
    """Everything the model weighs, by name."""
    clauses = matching_clauses(claim, said, analyzer)
    return {
        "maxsim": alike.maxsim,
        "low": alike.low,
        "sentence": alike.sentence,
        "whole": alike.whole,
        "quantities": float(min(MOST_COUNTED, len(missing_quantities(claim, said)))),
        "names": float(min(MOST_COUNTED, len(missing_names(claim, near)))),
        "negation": float(negation_differs(claim, clauses, analyzer)),
        "turned": float(any(True for _ in turned(claim, clauses))),
    }
