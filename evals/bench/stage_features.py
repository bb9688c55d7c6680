"""What each stage knew of each candidate of each query, taken from the product's own search, kept for trying weights.

A search is made once; fusing and re-ranking are done again from here with other weights in microseconds. What the
product itself ranked is kept beside it, so that doing it again with the product's weights can be checked against it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from assistant.bootstrap import Quoth
from evals.beir import TestCollection
from ingest.access import LOCAL
from ingest.analysis import Analyzer
from ingest.indexing import chunk_text, index_profile
from ingest.local_embedding import reads_english_only
from retrieval.fusion import READ, letters_per_token
from retrieval.model import STAGES, Hit, SearchResult, Stage
from retrieval.reranking import Asked, best_sentence, identifiers_held
from retrieval.wanted import wanted_from

VERSION: Final = 1  # of what is kept
COLUMNS: Final = ("lexical", "dense", "sentence", "coverage", "identifiers")

Progress = Callable[[int, int], None]  # done, total


@dataclass(frozen=True, slots=True)
class QueryFeatures:
    """Candidates of one query, in the order the product re-ranked them."""

    query: str
    documents: NDArray[np.int32]  # (candidates,) numbers of the documents they belong to
    values: NDArray[np.float32]  # (candidates, COLUMNS)
    ranks: NDArray[np.int32]  # (candidates, STAGES), from 1 as the product had them; 0: not of that stage
    grades: NDArray[np.int32]  # (judged,) above 0, falling: what a perfect ranking has
    relevant: dict[int, int]  # document -> grade, of those among the candidates
    signals: dict[str, float]  # of the question, for whoever lets a weight depend on it

    def column(self, name: str) -> NDArray[np.float32]:
        return self.values[:, COLUMNS.index(name)]

    def stage(self, name: Stage) -> NDArray[np.int32]:
        return self.ranks[:, STAGES.index(name)]


def stage_features(
    quoth: Quoth, tests: TestCollection, depth: int, cache: Path, progress: Progress
) -> list[QueryFeatures]:
    """Search every scored query of an indexed collection, or read what an earlier run of the same kept.

    Raises:
        ServiceError: the database or the embedder fails.
    """
    asked = json.dumps([tests.queries[query] for query in tests.scored])
    key = f"{VERSION} {index_profile()} {quoth.spaces.active.embedder.space} {tests.collection} {depth} {asked}"
    file = cache / f"{tests.name}-{hashlib.sha256(key.encode()).hexdigest()[:12]}.npz"
    if not file.exists():
        cache.mkdir(parents=True, exist_ok=True)
        found = _searched(quoth, tests, depth, progress)
        with file.with_suffix(".part").open("wb") as out:
            np.savez_compressed(out, **_packed(found))
        file.with_suffix(".part").replace(file)
    return _unpacked(np.load(file))


def _searched(quoth: Quoth, tests: TestCollection, depth: int, progress: Progress) -> list[QueryFeatures]:
    numbers: dict[str, int] = {}
    terms: dict[tuple[str, str], frozenset[str]] = {}
    analyzers: dict[str, Analyzer] = {}

    def terms_of(hit: Hit, language: str) -> frozenset[str]:
        key = (str(hit.chunk), language)
        if key not in terms:
            analyzer = analyzers.setdefault(language, Analyzer(language))
            terms[key] = frozenset(analyzer.terms(chunk_text(hit.title, hit.heading, hit.text)))
        return terms[key]

    found: list[QueryFeatures] = []
    for at, query in enumerate(tests.scored):
        progress(at, len(tests.scored))
        question = tests.queries[query]
        result = quoth.searching.candidates(question, LOCAL, depth=depth, collection=tests.collection)
        asked = Asked(question, result.question_vector, result.idf, result.language, wanted_from(question).identifiers)
        total = sum(result.idf.values()) or 1.0
        values = np.zeros((len(result.hits), len(COLUMNS)), np.float32)
        for row, hit in enumerate(result.hits):
            held = terms_of(hit, result.language)
            values[row] = (
                hit.scores["lexical"],
                hit.scores["dense"],
                best_sentence(asked.vector, hit.sentence_vectors),
                sum(weight for term, weight in result.idf.items() if term in held) / total,
                identifiers_held(asked, chunk_text(hit.title, hit.heading, hit.text)),
            )
        documents = np.array([numbers.setdefault(hit.source, len(numbers)) for hit in result.hits], np.int32)
        ranks = np.array([[hit.ranks.get(stage, 0) for stage in STAGES] for hit in result.hits], np.int32)
        judged = {document: grade for document, grade in tests.qrels[query].items() if grade > 0}
        found.append(
            QueryFeatures(
                query,
                documents,
                values,
                ranks.reshape(len(result.hits), len(STAGES)),
                np.array(sorted(judged.values(), reverse=True), np.int32),
                {numbers[document]: grade for document, grade in judged.items() if document in numbers},
                _signals(quoth, question, result, values),
            )
        )
    progress(len(tests.scored), len(tests.scored))
    return found


def _signals(quoth: Quoth, question: str, result: SearchResult, values: NDArray[np.float32]) -> dict[str, float]:
    """Numbers by which a question may tell how far either stage is to be trusted."""
    embedder = quoth.spaces.active.embedder
    size = letters_per_token(wanted_from(question).text, embedder.count_tokens([wanted_from(question).text])[0])
    dense = np.sort(values[:, 1])[::-1]
    lexical = np.sort(values[:, 0])[::-1]
    coverage = values[:, 3]
    return {
        "letters_per_token": size if reads_english_only(embedder.space) else READ,
        "terms": float(len(result.idf)),
        "identifiers": float(len(wanted_from(question).identifiers)),
        "english": float(result.language == "en"),
        "best_coverage": float(coverage.max(initial=0)),
        "best_cosine": float(dense[0]) if dense.size else 0.0,
        "cosine_lead": float(dense[0] - dense[min(9, dense.size - 1)]) if dense.size else 0.0,
        "cosine_spread": float(dense[0] - dense[min(99, dense.size - 1)]) if dense.size else 0.0,
        "lexical_lead": float(1 - lexical[min(9, lexical.size - 1)] / lexical[0])
        if lexical.size and lexical[0] > 0
        else 0.0,
    }


def _packed(queries: list[QueryFeatures]) -> dict[str, Any]:
    about = [
        {"query": one.query, "grades": one.grades.tolist(), "relevant": list(one.relevant.items()),
         "signals": one.signals, "candidates": len(one.documents)}
        for one in queries
    ]  # fmt: skip
    return {
        "about": np.frombuffer(json.dumps(about).encode(), np.uint8),
        "documents": np.concatenate([one.documents for one in queries]),
        "values": np.concatenate([one.values for one in queries]),
        "ranks": np.concatenate([one.ranks for one in queries]),
    }


def _unpacked(kept: Any) -> list[QueryFeatures]:
    about = json.loads(kept["about"].tobytes())
    documents, values, ranks = kept["documents"], kept["values"], kept["ranks"]
    found, at = [], 0
    for one in about:
        rows = slice(at, at + one["candidates"])
        at = rows.stop
        found.append(
            QueryFeatures(
                one["query"],
                documents[rows],
                values[rows],
                ranks[rows],
                np.array(one["grades"], np.int32),
                dict(one["relevant"]),
                one["signals"],
            )
        )
    return found
