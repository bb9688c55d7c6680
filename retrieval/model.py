"""What flows through retrieval."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ingest.model import ChunkId, DocumentId, Span

Stage = Literal["lexical", "dense", "fused", "reranked"]
STAGES: tuple[Stage, ...] = ("lexical", "dense", "fused", "reranked")


@dataclass(frozen=True, slots=True)
class Hit:
    """A chunk found for a question, with its rank in each stage that had it."""

    rank: int  # from 1, in the stage asked for
    score: float  # of that stage; falls strictly with rank only in run files
    source: str
    collection: str
    title: str
    document: DocumentId
    version: int
    chunk: ChunkId
    page: int | None
    start: int  # span of the version's canonical text
    end: int
    heading: tuple[str, ...]
    text: str  # canonical_text[start:end]
    updated: str  # ISO date of the document's last change
    ranks: Mapping[Stage, int]
    scores: Mapping[Stage, float] = field(default_factory=dict)
    sentences: tuple[Span, ...] = ()  # absolute spans
    superseded_by: DocumentId | None = None
    sentence_vectors: NDArray[np.float32] | None = None  # (len(sentences), dimensions), unit rows; None: not stored


@dataclass(frozen=True, slots=True)
class SearchResult:
    """Hits for one question and one reader, best first, with what each stage took."""

    question: str
    stage: Stage
    hits: tuple[Hit, ...]
    timings_ms: Mapping[str, float]  # embed, lexical, dense, fuse, rerank, total
    question_vector: NDArray[np.float32] | None = None  # None when no embedder answered
    idf: Mapping[str, float] = field(default_factory=dict)  # the question's terms, as Analyzer(language) gives them
    language: str = "en"
    notes: tuple[str, ...] = ()  # in words: what was done otherwise than asked, e.g. lexical only
    route: Literal["", "exact", "hnsw"] = ""  # how neighbours were found; "": they were not asked for
    readable_chunks: int = 0  # that the search chose from
    filters: tuple[str, ...] = ()  # in words: what the search was narrowed to
    readable: str = ""  # a digest of all that the reader may search; equal for readers who may read the same
    searched: str = ""  # what was searched for: the question, with what it leans on in its conversation
