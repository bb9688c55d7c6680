"""Re-ranking behind a protocol; the local form needs no model at question time beyond the question's vector."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ingest.analysis import Analyzer
from ingest.errors import ConfigurationError
from ingest.indexing import chunk_text
from retrieval.model import Hit
from retrieval.wanted import holds_identifier


@dataclass(frozen=True, slots=True)
class Asked:
    """A question as the stages before saw it."""

    text: str
    vector: NDArray[np.float32] | None  # unit length; None when no embedder answered
    idf: Mapping[str, float]  # by term, without language prefix, counted among what the reader may read
    language: str
    identifiers: tuple[str, ...] = ()  # names that mean exactly themselves


class Reranker(Protocol):
    """Scores candidates anew; higher is better, and only the order among them counts."""

    @property
    def name(self) -> str: ...

    def scores(self, asked: Asked, candidates: Sequence[Hit]) -> list[float]:
        """One score per candidate, in the order given."""
        ...


@dataclass(frozen=True, slots=True)
class LocalReranker:
    """Best-sentence similarity and coverage of the question's rare terms, added to the fused score.

    A chunk is a mixture; the sentence that answers is what should count. Sentence vectors were stored at ingest. A
    name such as INC-2041 means exactly itself: passages that hold it go first.
    """

    sentence_weight: float = 0.3
    coverage_weight: float = 0.1
    identifier_weight: float = 0.5
    name: str = "local"

    def scores(self, asked: Asked, candidates: Sequence[Hit]) -> list[float]:
        return [
            hit.scores.get("fused", 0.0)
            + self.sentence_weight * best_sentence(asked.vector, hit.sentence_vectors)
            + self.coverage_weight * coverage(asked, chunk_text(hit.title, hit.heading, hit.text))
            + self.identifier_weight * identifiers_held(asked, chunk_text(hit.title, hit.heading, hit.text))
            for hit in candidates
        ]


def best_sentence(question: NDArray[np.float32] | None, sentences: NDArray[np.float32] | None) -> float:
    """The highest cosine of a sentence with the question, in [-1, 1]; 0 where either has no vector."""
    if question is None or sentences is None or not len(sentences):
        return 0.0
    return float((sentences @ question).max())


def coverage(asked: Asked, text: str) -> float:
    """Share of the question's idf mass whose terms stand in the text, in [0, 1]; terms that occur nowhere count."""
    total = sum(asked.idf.values())
    if total <= 0:
        return 0.0
    present = set(Analyzer(asked.language).terms(text))
    return sum(weight for term, weight in asked.idf.items() if term in present) / total


def identifiers_held(asked: Asked, text: str) -> float:
    """Share of the question's identifiers that the text holds as a whole, in [0, 1]; 0 when it has none."""
    if not asked.identifiers:
        return 0.0
    return sum(holds_identifier(text, one) for one in asked.identifiers) / len(asked.identifiers)


def reranker_from(setting: str) -> Reranker | None:
    """The re-ranker a setting names; None for 'none'.

    Raises:
        ConfigurationError: for a form that is unknown or not available yet.
    """
    if setting == "local":
        return LocalReranker()
    if setting == "none":
        return None
    kind = setting.partition(":")[0]
    if kind in ("onnx", "hub", "http", "chat"):
        raise ConfigurationError(f"QUOTH_RERANKER={setting!r}: {kind!r} is not available yet. Use local or none.")
    raise ConfigurationError(f"QUOTH_RERANKER={setting!r} is not known. Use local or none.")
