"""Exactness: whatever was added, replaced, removed, merged or hidden, scores are rank-bm25's over what may be read."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rank_bm25 import BM25Okapi
from sqlalchemy import text

from assistant.bootstrap import Quoth
from ingest.access import LOCAL, Reader
from ingest.analysis import Analyzer
from ingest.indexing import chunk_text
from ingest.model import DocumentId, Element, ParsedDocument
from ingest.segments import LARGEST, Segment, choose, merge_segments
from ingest.storing import Identity
from retrieval.lexical import question_terms, same_words

pytestmark = pytest.mark.integration

NAMES = "harbour ledger valve turbine invoice lantern orchard copper saddle velvet meadow quarry anchor bishop"
WORDS = NAMES.split()
GROUPS = ("red", "green", "blue")
READERS = [LOCAL, Reader("eve", frozenset()), *(Reader(g, frozenset({g})) for g in GROUPS)]


def parsed(words: str) -> ParsedDocument:
    element = Element(0, "paragraph", 0, 0, len(words), None, {})
    return ParsedDocument("Note", words, (element,), (), None, "en", "text/plain")


def sentence(rng: random.Random) -> str:
    return "This is what was said about the " + " and the ".join(rng.choices(WORDS, k=rng.randint(3, 9))) + "."


class Shelf:
    """The documents as they should be, beside the store."""

    def __init__(self, quoth: Quoth, rng: random.Random) -> None:
        self.quoth, self.rng = quoth, rng
        self.documents: dict[str, tuple[DocumentId, str, list[str]]] = {}
        self.count = 0

    def add(self, source: str | None = None) -> None:
        if source is None:
            source, self.count = f"d{self.count}", self.count + 1
        words = " ".join(sentence(self.rng) for _ in range(self.rng.randint(1, 4)))
        readers = self.documents[source][2] if source in self.documents else self.readers()
        receipt = self.quoth.pipeline.add_parsed(
            Identity("default", source), words.encode(), parsed(words), profile="test", readers=readers
        )
        assert receipt.document is not None
        self.documents[source] = (receipt.document, words, readers)

    def readers(self) -> list[str]:
        return self.rng.choice([["everyone"], ["red"], ["green", "blue"], ["blue"], ["nobody"]])

    def step(self) -> None:
        chosen = self.rng.choice(list(self.documents)) if self.documents else None
        match self.rng.randrange(10):
            case 0 | 1 if chosen:
                self.add(chosen)
            case 2 | 3 if chosen:
                self.quoth.catalog.remove(self.documents.pop(chosen)[0])
            case 4 | 5 if chosen:
                document, words, _ = self.documents[chosen]
                readers = self.readers()
                self.quoth.catalog.set_readers(document, readers)
                self.documents[chosen] = (document, words, readers)
            case 6:
                merge_segments(self.quoth.database, settled=timedelta(0))
            case _:
                self.add()

    def check(self, reader: Reader) -> None:
        analyzer = Analyzer("en")
        mine = {
            source: analyzer.terms(chunk_text("Note", (), words))
            for source, (_, words, readers) in self.documents.items()
            if reader is LOCAL or {"everyone", reader.name, *reader.groups} & set(readers)
        }
        question = " ".join(self.rng.sample(WORDS, 3))
        with self.quoth.database.reading(reader) as connection:
            mask = self.quoth.searching._masks.mask(connection, reader, None)
            found = self.quoth.searching._lexical.search(connection, mask, question, keep=1000)
            names = dict(
                connection.execute(
                    text("select c.position, d.source from chunk c join document d on d.id = c.document_id")
                ).all()
            )
        scores = {names[int(at)]: score for at, score in zip(found.positions, found.scores, strict=True)}
        if not mine:
            assert scores == {}
            return
        terms = list(dict.fromkeys(analyzer.terms(question)))
        reference = BM25Okapi(list(mine.values()), k1=1.2, b=0.75)
        count = {term: sum(term in one for one in mine.values()) for term in terms}
        reference.idf = {t: math.log1p((len(mine) - n + 0.5) / (n + 0.5)) for t, n in count.items()}
        expected = {s: score for s, score in zip(mine, reference.get_scores(terms), strict=True) if score > 0}
        assert scores == pytest.approx(expected, rel=1e-9)


@pytest.fixture
def shelf(quoth: Quoth) -> Iterator[Shelf]:
    shelf = Shelf(quoth, random.Random(5))
    yield shelf
    for document, _, _ in shelf.documents.values():
        quoth.catalog.remove(document)


def test_scores_are_exact_after_anything_that_may_happen(shelf: Shelf) -> None:
    for _ in range(25):
        shelf.add()
    for at in range(80):
        shelf.step()
        if at % 4 == 0:
            shelf.check(READERS[at // 4 % len(READERS)])
    merged = merge_segments(shelf.quoth.database, settled=timedelta(0))
    for reader in READERS:
        shelf.check(reader)
    with shelf.quoth.database.working() as connection:
        segments, most = connection.execute(
            text("select count(*), max(n) from (select count(*) as n from lex_document group by seg) one")
        ).one()
        strays = connection.scalar(
            text("select count(*) from lex_segment where seg not in (select seg from lex_document)")
        )
    assert segments < len(shelf.documents) and most > 1 and strays == 0, merged


def test_what_is_removed_leaves_no_posting_in_a_shared_block(shelf: Shelf) -> None:
    for _ in range(12):
        shelf.add()
    words = "This is what was said about the zymurgy and the copper and the zymurgy of the harbour."
    receipt = shelf.quoth.pipeline.add_parsed(
        Identity("default", "odd"), words.encode(), parsed(words), profile="test", readers=["everyone"]
    )
    assert merge_segments(shelf.quoth.database, settled=timedelta(0)) >= 10
    assert receipt.document is not None
    with shelf.quoth.database.working() as connection:
        first = connection.scalar(
            text("select first from lex_document where document_id = :d"), {"d": receipt.document}
        )
    shelf.quoth.catalog.remove(receipt.document)
    with shelf.quoth.database.working() as connection:
        blocks = connection.execute(text("select term, ids from lex_block")).all()
    assert blocks and "en:zymurgi" not in {term for term, _ in blocks}
    assert not [
        term
        for term, ids in blocks
        if int(first).to_bytes(4, "little") in [ids[i : i + 4] for i in range(0, len(ids), 4)]
    ]


def test_a_document_that_expires_leaves_the_statistics_with_the_day(shelf: Shelf) -> None:
    for _ in range(3):
        shelf.add()
    source = next(iter(shelf.documents))
    document, words, _ = shelf.documents[source]
    shelf.check(LOCAL)
    with shelf.quoth.database.working() as connection:
        connection.execute(
            text("update document set expires_on = :day where id = :d"), {"day": date.today(), "d": document}
        )
        connection.execute(text("insert into document_change (document_id) values (:d)"), {"d": document})
    kept = shelf.documents.pop(source)
    shelf.check(LOCAL)
    shelf.documents[source] = kept


def segments_of(*chunks: int) -> list[Segment]:
    found, at = [], 0
    for number, count in enumerate(chunks):
        found.append(Segment(number, at, at + count - 1, count))
        at += count
    return found


def test_few_segments_stay_however_many_documents_come() -> None:
    rng = random.Random(2)
    segments: list[Segment] = []
    at = written = 0
    for number in range(3000):
        count = rng.choice((1, 1, 3, 8, 20, 60, 400))
        segments.append(Segment(number, at, at + count - 1, count))
        at += count
        while chosen := choose(segments):
            assert all(left.last < right.first for left, right in pairwise(chosen))
            one = Segment(10_000 + written, chosen[0].first, chosen[-1].last, sum(x.chunks for x in chosen))
            assert one.chunks <= LARGEST
            written += one.chunks
            segments = sorted([*(x for x in segments if x not in chosen), one], key=lambda x: x.first)
    assert len(segments) < 80
    assert written < 5 * at  # each posting is written again a few times


def test_what_may_still_be_written_before_is_not_merged() -> None:
    segments = segments_of(*[5] * 30)
    assert max(one.last for one in choose(segments, settled_before=100)) < 100
    assert choose(segments, settled_before=40) == []


# -- words of several languages ---------------------------------------------------------------------------------------


@settings(deadline=None)  # each example makes analyzers
@given(st.lists(st.sampled_from(["harbour", "Die", "Häfen", "INC-2041", "the", "東京都", "Zürich"]), max_size=8))
def test_every_term_is_in_a_group_of_its_own_word(words: list[str]) -> None:
    languages = ("en", "de", "yo")
    groups = same_words(" ".join(words), languages)
    assert {term for group in groups for term in group} == set(question_terms(" ".join(words), languages))
    assert all(len({term.partition(":")[0] for term in group}) == len(group) for group in groups)


def test_a_word_that_one_language_leaves_out_is_counted_alone() -> None:
    assert same_words("die Häfen", ("en", "de")) == [("en:die",), ("en:hafen", "de:haf")]


def test_a_frequent_word_is_not_rare_for_standing_in_a_short_text_of_another_language(shelf: Shelf) -> None:
    """Short texts are taken for English; among German ones, their words would be the rarest there are."""
    sources = {}
    for at in range(12):
        of_language = replace(parsed(f"Der Hafen von Insel {at}: Pegel"), language="de")
        sources[f"german-{at}"] = of_language
    sources["short"] = replace(parsed("Pegel"), language="")
    sources["wanted"] = replace(parsed("Der Pegel im Hafen, gemessen am Leuchtturm von Hiddensee"), language="de")
    made = []
    for source, document in sources.items():
        receipt = shelf.quoth.pipeline.add_parsed(
            Identity("words", source), source.encode(), document, profile="test", readers=["everyone"]
        )
        made.append(receipt.document)
    found = shelf.quoth.searching.search("Pegel Hiddensee", LOCAL, stage="lexical", collection="words").hits
    assert found[0].source == "wanted"
    with shelf.quoth.database.reading(LOCAL) as connection:
        mask = shelf.quoth.searching._masks.mask(connection, LOCAL, "words")
        idf = shelf.quoth.searching._lexical.search(connection, mask, "Pegel Hiddensee", keep=100).idf
    assert idf["pegel"] < 0.1 < idf["hiddense"]
    for document in made:
        assert document is not None
        shelf.quoth.catalog.remove(document)
