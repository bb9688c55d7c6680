import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rank_bm25 import BM25Okapi

from ingest.postings import Block, CandidateBM25, arrays_of, chunk_length, postings_of

chunks_of_terms = st.lists(st.lists(st.sampled_from(list("abcdefgh")), max_size=30), max_size=12)


@given(chunks_of_terms, st.integers(0, 2**31 - 100))
def test_blocks_hold_exactly_what_the_chunks_hold(chunks, first):
    found = {}
    for term, block in postings_of(chunks, first).items():
        ids, tf, dl = arrays_of(block)
        assert ids.size == tf.size == dl.size > 0
        assert (np.diff(ids) > 0).all()
        for ordinal, count, length in zip(ids.tolist(), tf.tolist(), dl.tolist(), strict=True):
            found[ordinal - first, term] = count
            assert length == len(chunks[ordinal - first])
    assert found == {(i, term): terms.count(term) for i, terms in enumerate(chunks) for term in terms}


@given(chunks_of_terms, chunks_of_terms)
def test_joined_bytes_of_neighbours_are_the_block_of_both(left, right):
    one, two = postings_of(left, 7), postings_of(right, 7 + len(left))
    empty = Block(b"", b"", b"")
    joined = {}
    for term in one.keys() | two.keys():
        a, b = one.get(term, empty), two.get(term, empty)
        joined[term] = Block(a.ids + b.ids, a.tf + b.tf, a.dl + b.dl)
    assert joined == postings_of(left + right, 7)


def test_the_layout_on_disk():
    assert postings_of([["b", "a", "b"]], 258)["b"] == Block(b"\x02\x01\x00\x00", b"\x02", b"\x03\x00")
    assert list(postings_of([["b", "a"]], 0)) == ["a", "b"]
    assert postings_of([], 5) == {}


def test_large_counts_are_capped_and_large_ordinals_refused():
    block = postings_of([["a"] * 70_000], 0)["a"]
    assert (block.tf, block.dl) == (b"\xff", b"\xff\xff")
    assert chunk_length(["a"] * 70_000) == 65_535
    for first in (-1, 2**31):
        with pytest.raises(ValueError, match="31 bits"):
            postings_of([["a"]], first)


@given(
    st.lists(st.lists(st.sampled_from(list("abcdefgh")), min_size=1, max_size=30), min_size=2, max_size=12),
    st.lists(st.sampled_from(list("abcdefghz")), min_size=1, max_size=5, unique=True),
    st.data(),
)
def test_a_candidate_scores_as_among_the_whole_corpus(corpus, question, data):
    df = {term: sum(term in terms for terms in corpus) for term in question}
    idf = {term: math.log1p((len(corpus) - n + 0.5) / (n + 0.5)) for term, n in df.items()}
    whole = BM25Okapi(corpus, k1=1.2, b=0.75)
    whole.idf = dict(idf)
    expected = whole.get_scores(question)

    rows = data.draw(st.lists(st.integers(0, len(corpus) - 1), min_size=1, unique=True))
    freqs = [{term: corpus[row].count(term) for term in question} for row in rows]
    lengths = np.array([len(corpus[row]) for row in rows], np.uint16)
    candidates = CandidateBM25(freqs, lengths, idf=idf, avgdl=sum(map(len, corpus)) / len(corpus))
    assert candidates.get_scores(question).tolist() == expected[rows].tolist()
