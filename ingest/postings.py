"""A document's chunks as blocks of postings, and the final BM25 scorer over candidates. Pure functions.

One block holds the postings of one term in one segment: three arrays, little-endian, ids rising and unique. Blocks of
neighbouring segments are merged by joining their bytes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from rank_bm25 import BM25Okapi

K1: Final = 1.2  # term frequency saturation; 1.2 and 1.5 measured alike
B: Final = 0.75  # length normalisation

MAX_TF: Final = 255
MAX_LENGTH: Final = 65_535


@dataclass(frozen=True, slots=True)
class Block:
    """The postings of one term in one segment, as stored."""

    ids: bytes  # <i4, ordinals of chunks, rising and unique
    tf: bytes  # u1, how often the term occurs in the chunk, at most 255
    dl: bytes  # <u2, the chunk's number of terms, at most 65,535


def postings_of(chunk_terms: Sequence[Sequence[str]], first_ordinal: int) -> dict[str, Block]:
    """Invert the terms of a document's chunks: one block per term, terms in order of code points.

    Args:
        chunk_terms: the terms of each chunk, repeats kept; chunk i gets the ordinal first_ordinal + i.
        first_ordinal: 0 or more.

    Raises:
        ValueError: if an ordinal does not fit in 31 bits.
    """
    if not 0 <= first_ordinal <= first_ordinal + len(chunk_terms) <= 2**31:
        raise ValueError(f"ordinals {first_ordinal} to {first_ordinal + len(chunk_terms)} do not fit in 31 bits")
    rows: dict[str, tuple[list[int], list[int], list[int]]] = {}
    for ordinal, terms in enumerate(chunk_terms, first_ordinal):
        length = chunk_length(terms)
        for term, count in Counter(terms).items():
            ids, tf, dl = rows.setdefault(term, ([], [], []))
            ids.append(ordinal)
            tf.append(min(count, MAX_TF))
            dl.append(length)
    return {
        term: Block(np.array(ids, "<i4").tobytes(), bytes(tf), np.array(dl, "<u2").tobytes())
        for term, (ids, tf, dl) in sorted(rows.items())
    }


def chunk_length(terms: Sequence[str]) -> int:
    """A chunk's length as BM25 counts it; the same number stands in every block and beside the chunk."""
    return min(len(terms), MAX_LENGTH)


def arrays_of(block: Block) -> tuple[NDArray[np.int32], NDArray[np.uint8], NDArray[np.uint16]]:
    """The block's ids, term frequencies and lengths, as read-only views of its bytes."""
    return np.frombuffer(block.ids, "<i4"), np.frombuffer(block.tf, np.uint8), np.frombuffer(block.dl, "<u2")


class CandidateBM25(BM25Okapi):
    """BM25Okapi over some candidates, with the statistics of the whole corpus.

    Gives a candidate the score it would have among all chunks: the sum over the question's terms of
    idf * tf * (k1 + 1) / (tf + k1 * (1 - b + b * length / average length)).

    Args:
        doc_freqs: per candidate, how often each of the question's terms occurs in it.
        doc_len: per candidate, its length in terms.
        idf: of each of the question's terms in the whole corpus.
        avgdl: average length in the whole corpus.

    Source: Robertson et al., TREC-3 1994; this form, Trotman et al., ADCS 2014.
    """

    def __init__(
        self,
        doc_freqs: Sequence[Mapping[str, int]],
        doc_len: Sequence[int] | NDArray[np.integer],
        *,
        idf: Mapping[str, float],
        avgdl: float,
        k1: float = K1,
        b: float = B,
    ) -> None:
        # not super().__init__: it would count these few candidates and make its own idf
        self.k1, self.b, self.epsilon, self.tokenizer = k1, b, 0.25, None
        self.doc_freqs, self.doc_len = doc_freqs, np.asarray(doc_len, np.float64)
        self.idf, self.avgdl, self.corpus_size = idf, avgdl, len(doc_freqs)
