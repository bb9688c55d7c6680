"""BM25 from the posting blocks, with every statistic counted among what the reader may read.

Postings are read by term, or found in memory, accumulated with numpy under the reader's mask, and the best candidates
get their final scores from rank-bm25's scorer with those statistics injected.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection

from ingest.analysis import analyzer_for, unshouted
from ingest.indexing import DEFAULT_LANGUAGE, language_prefix
from ingest.postings import CandidateBM25
from retrieval.mask import Mask
from retrieval.posting_cache import PostingCache, Postings

K1: Final = 1.2
B: Final = 0.75
MAX_TERMS: Final = 64  # of a question, the rarest; a pasted page must not read half the index


@dataclass(frozen=True, slots=True)
class LexicalResult:
    positions: NDArray[np.int32]  # of the best chunks, best first
    scores: NDArray[np.float64]  # BM25, as rank-bm25 computes it
    every_score: NDArray[np.float32]  # by position, for chunks that another stage found
    idf: dict[str, float]  # of the question's terms in the commonest language, without prefix; also of absent ones
    language: str


def question_terms(question: str, languages: Sequence[str]) -> list[str]:
    """The question's distinct terms in every language that readable documents were indexed in."""
    terms: dict[str, None] = {}
    for language in languages:
        prefix = language_prefix(language)
        terms.update((prefix + term, None) for term in analyzer_for(language).terms(question))
    return list(terms)


def same_words(question: str, languages: Sequence[str]) -> list[tuple[str, ...]]:
    """The question's terms in groups: what one word of it is in each language.

    Where languages make different numbers of terms of a word, for one leaves it out, each term is a group of its own.
    """
    analyzers = {language_prefix(language): analyzer_for(language) for language in languages}
    groups: dict[tuple[str, ...], None] = {}
    for word in unshouted(question).split():
        by_language = [[prefix + term for term in analyzer.terms(word)] for prefix, analyzer in analyzers.items()]
        most = max(map(len, by_language), default=0)
        whole = [terms for terms in by_language if len(terms) == most]
        groups.update((group, None) for group in zip(*whole, strict=True))
        groups.update(((term,), None) for terms in by_language if len(terms) < most for term in terms)
    return list(groups)


class Lexical:
    """BM25 over one store; keeps posting blocks between questions."""

    def __init__(self) -> None:
        self._cache = PostingCache()

    def search(
        self,
        connection: Connection,
        mask: Mask,
        question: str,
        *,
        keep: int,
        phrases: Sequence[str] = (),
    ) -> LexicalResult:
        """Rank the readable chunks by BM25 (k1 1.2, b 0.75, Lucene's idf); those without a term of it are out.

        Args:
            mask: what the reader may find in this transaction.
            phrases: only chunks with all words of each are ranked; statistics stay those of all.

        Source: Robertson and Zaragoza 2009; idf as in Lucene, ln(1 + (N - df + 0.5) / (df + 0.5)), never negative.
        """
        nothing = np.zeros(mask.readable.size, np.float32)
        terms = question_terms(question, mask.languages)
        if not terms:
            return LexicalResult(np.zeros(0, np.int32), np.zeros(0), nothing, {}, DEFAULT_LANGUAGE)
        blocks = self._cache.postings(connection, terms)
        postings = {term: _readable(found, mask.readable) for term, found in blocks.items()}
        df = {term: postings[term].ids.size for term in terms}
        idf = {term: _idf(mask.chunks, count) for term, count in _counted_together(df, question, mask).items()}
        prefix = language_prefix(mask.languages[0])
        weights = {term.removeprefix(prefix): weight for term, weight in idf.items() if term.startswith(prefix)}
        allowed = _holding(postings, [question_terms(one, mask.languages) for one in phrases], nothing.size)
        positions, scores = _ranked(postings, idf, mask.average_length, nothing, keep, allowed)
        return LexicalResult(positions, scores, nothing, weights, mask.languages[0])


def _idf(chunks: int, df: int) -> float:
    return math.log1p((chunks - df + 0.5) / (df + 0.5))


def _counted_together(df: dict[str, int], question: str, mask: Mask) -> dict[str, int]:
    """A word's passages in all languages together, as a passage is of one language only.

    Counted apart, a word that is frequent in one language is rare in another, and the few passages that were taken for
    that other one, as short ones are, come before all that hold it.
    """
    if len(mask.languages) == 1:
        return df
    counted = dict(df)
    for group in same_words(question, mask.languages):
        together = sum(df.get(term, 0) for term in group)
        counted.update((term, max(counted[term], together)) for term in group if term in counted)
    return counted


def _readable(one: Postings, readable: NDArray[np.bool_]) -> Postings:
    """One term's postings among what the mask lets through."""
    end = int(np.searchsorted(one.ids, readable.size))
    keep = readable[one.ids[:end]]
    return Postings(one.ids[:end][keep], one.tf[:end][keep], one.dl[:end][keep])


def _holding(postings: dict[str, Postings], phrases: Sequence[list[str]], size: int) -> NDArray[np.bool_] | None:
    """Which positions hold every term of each phrase, in one of the languages; None when nothing is asked."""
    allowed: NDArray[np.bool_] | None = None
    for terms in phrases:
        by_language: dict[str, list[str]] = {}
        for term in terms:
            by_language.setdefault(term.partition(":")[0], []).append(term)
        holding = np.full(size, not terms)  # of stop words alone: the text will tell
        for same in by_language.values():
            count = np.zeros(size, np.uint8)
            for term in same:
                if term in postings:
                    count[postings[term].ids] += 1
            holding |= count == len(same)
        allowed = holding if allowed is None else allowed & holding
    return allowed


def _ranked(
    postings: dict[str, Postings],
    idf: dict[str, float],
    average_length: float,
    score: NDArray[np.float32],  # by position, all 0; filled in
    keep: int,
    allowed: NDArray[np.bool_] | None,
) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
    lengths = np.zeros(score.size, np.int32)
    chosen = sorted((t for t in postings if postings[t].ids.size), key=lambda t: (-idf[t], t))[:MAX_TERMS]
    for term in chosen:
        one = postings[term]
        frequency = one.tf.astype(np.float32)
        norm = K1 * (1 - B + B / average_length * one.dl.astype(np.float32))
        score[one.ids] += np.float32(idf[term] * (K1 + 1)) * frequency / (frequency + norm)
        lengths[one.ids] = one.dl
    if allowed is not None:
        score[~allowed] = 0
    found = np.flatnonzero(score)
    if not found.size:
        return np.zeros(0, np.int32), np.zeros(0)
    if found.size > keep:
        found = found[np.argpartition(-score[found], keep - 1)[:keep]]
    found.sort()
    frequencies: list[dict[str, int]] = [{} for _ in found]
    for term in chosen:
        one = postings[term]
        at = np.searchsorted(one.ids, found).clip(max=one.ids.size - 1)
        for row in np.flatnonzero(one.ids[at] == found):
            frequencies[row][term] = int(one.tf[at[row]])
    scorer = CandidateBM25(frequencies, lengths[found], idf=idf, avgdl=average_length, k1=K1, b=B)
    exact = np.asarray(scorer.get_scores(chosen))
    order = np.lexsort((found, -exact))
    return found[order].astype(np.int32), exact[order]
