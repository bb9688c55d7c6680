"""BM25 from the posting blocks, with every statistic counted among what the reader may read.

Postings are read by term in one statement, accumulated with numpy over all chunks that hold a term, and the best
candidates get their final scores from rank-bm25's scorer with those statistics injected.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, text

from ingest.analysis import Analyzer
from ingest.indexing import DEFAULT_LANGUAGE, language_of, language_prefix
from ingest.postings import CandidateBM25

K1: Final = 1.2
B: Final = 0.75
MAX_TERMS: Final = 64  # of a question, the rarest; a pasted page must not read half the index


@dataclass(frozen=True, slots=True)
class Statistics:
    """What BM25 needs to know of the readable corpus."""

    chunks: int
    tokens: int
    positions: int  # one past the highest chunk position
    languages: tuple[str, ...]  # of the readable documents, the commonest first

    @property
    def average_length(self) -> float:
        return self.tokens / self.chunks if self.chunks else 1.0


@dataclass(frozen=True, slots=True)
class LexicalResult:
    positions: NDArray[np.int32]  # of the best chunks, best first
    scores: NDArray[np.float64]  # BM25, as rank-bm25 computes it
    every_score: NDArray[np.float32]  # by position, for chunks that another stage found
    idf: dict[str, float]  # of the question's terms in the commonest language, without prefix; also of absent ones
    language: str


def statistics(connection: Connection, collection: str | None) -> Statistics:
    rows = connection.execute(
        text(
            "select analyzer, sum(chunks), sum(tokens), max(first + chunks)"
            " from readable_segments(:collection) group by analyzer order by 2 desc, 1"
        ),
        {"collection": collection},
    ).all()
    return Statistics(
        chunks=sum(int(row[1]) for row in rows),
        tokens=sum(int(row[2]) for row in rows),
        positions=max((int(row[3]) for row in rows), default=0),
        languages=tuple(language_of(row[0]) for row in rows),
    )


def question_terms(question: str, languages: Sequence[str]) -> list[str]:
    """The question's distinct terms in every language that readable documents were indexed in."""
    terms: dict[str, None] = {}
    for language in languages:
        prefix = language_prefix(language)
        terms.update((prefix + term, None) for term in Analyzer(language).terms(question))
    return list(terms)


def lexical_search(connection: Connection, question: str, collection: str | None, *, keep: int) -> LexicalResult:
    """Rank the readable chunks by BM25 (k1 1.2, b 0.75, Lucene's idf); chunks without a term of the question are out.

    The connection's principal is the mask: the store's function hands out the blocks of readable documents only.
    Source: Robertson and Zaragoza 2009; idf as in Lucene, ln(1 + (N - df + 0.5) / (df + 0.5)), never negative.
    """
    stats = statistics(connection, collection)
    nothing = np.zeros(stats.positions, np.float32)
    terms = question_terms(question, stats.languages)
    if not terms:
        return LexicalResult(np.zeros(0, np.int32), np.zeros(0), nothing, {}, DEFAULT_LANGUAGE)
    rows = connection.execute(
        text("select term, ids, tf, dl from readable_blocks(:terms, :collection)"),
        {"terms": terms, "collection": collection},
    )
    postings: dict[str, list[tuple[NDArray, NDArray, NDArray]]] = {}
    for term, ids, tf, dl in rows:
        block = (np.frombuffer(ids, "<i4"), np.frombuffer(tf, "u1"), np.frombuffer(dl, "<u2"))
        postings.setdefault(term, []).append(block)
    joined = {term: _joined(blocks) for term, blocks in postings.items()}
    idf = {term: _idf(stats.chunks, joined[term][0].size if term in joined else 0) for term in terms}
    prefix = language_prefix(stats.languages[0])
    weights = {term.removeprefix(prefix): weight for term, weight in idf.items() if term.startswith(prefix)}
    positions, scores = _ranked(joined, idf, stats, nothing, keep)
    return LexicalResult(positions, scores, nothing, weights, stats.languages[0])


def _idf(chunks: int, df: int) -> float:
    return math.log1p((chunks - df + 0.5) / (df + 0.5))


def _joined(blocks: list[tuple[NDArray, NDArray, NDArray]]) -> tuple[NDArray, NDArray, NDArray]:
    ids, tf, dl = (np.concatenate(part) for part in zip(*blocks, strict=True))
    order = np.argsort(ids)  # segments commit in any order; what follows wants rising positions
    return ids[order], tf[order], dl[order]


def _ranked(
    postings: dict[str, tuple[NDArray, NDArray, NDArray]],
    idf: dict[str, float],
    stats: Statistics,
    score: NDArray[np.float32],  # by position, all 0; filled in
    keep: int,
) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
    lengths = np.zeros(stats.positions, np.int32)
    chosen = sorted(postings, key=lambda term: (-idf[term], term))[:MAX_TERMS]
    average = stats.average_length
    for term in chosen:
        ids, tf, dl = postings[term]
        frequency = tf.astype(np.float32)
        norm = K1 * (1 - B + B / average * dl.astype(np.float32))
        score[ids] += np.float32(idf[term] * (K1 + 1)) * frequency / (frequency + norm)
        lengths[ids] = dl
    found = np.flatnonzero(score)
    if not found.size:
        return np.zeros(0, np.int32), np.zeros(0)
    if found.size > keep:
        found = found[np.argpartition(-score[found], keep - 1)[:keep]]
    found.sort()
    frequencies: list[dict[str, int]] = [{} for _ in found]
    for term in chosen:
        ids, tf, _ = postings[term]
        at = np.searchsorted(ids, found).clip(max=ids.size - 1)
        for row in np.flatnonzero(ids[at] == found):
            frequencies[row][term] = int(tf[at[row]])
    scorer = CandidateBM25(frequencies, lengths[found], idf=idf, avgdl=average, k1=K1, b=B)
    exact = np.asarray(scorer.get_scores(chosen))
    order = np.lexsort((found, -exact))
    return found[order].astype(np.int32), exact[order]
