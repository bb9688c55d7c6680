"""Readers of a document of many chunks (10,000 in the long form): taken away at once at every door, and not one row of it written again."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import numpy as np
import pytest
from pgvector import HalfVector
from sqlalchemy import text

from assistant.bootstrap import Quoth
from assistant.model import Answer
from ingest import storing
from ingest.access import Reader
from ingest.errors import UsageError
from ingest.indexing import IndexedChunk, IndexedDocument, StoredVectors, index_profile
from ingest.model import ChunkSpan, DocumentId, Element, ParsedDocument
from ingest.storing import Identity, NewVersion
from ingest.vectors import pack_vectors
from retrieval.model import STAGES

pytestmark = pytest.mark.integration

QUESTION = "Which berth does the ferry of entry 1711 use?"
EVE = Reader("eve", frozenset({"harbour"}))


@pytest.fixture(scope="module", params=[2000, pytest.param(10_000, marks=pytest.mark.soak)])
def chunk_count(request: pytest.FixtureRequest) -> int:
    return int(request.param)


@pytest.fixture(scope="module")
def large(quoth: Quoth, chunk_count: int, tmp_path_factory: pytest.TempPathFactory) -> DocumentId:
    """Stored by the store's own functions, with vectors drawn at random instead of embedded."""
    sentences = [
        f"The ferry of entry {number} uses berth {number % 37} of the harbour.\n" for number in range(chunk_count)
    ]
    starts = np.cumsum([0, *(len(one) for one in sentences)]).tolist()
    words = "".join(sentences)
    element = Element(0, "text", 0, 0, len(words), None, {})
    parsed = ParsedDocument("Berths", words, (element,), (), None, "en", "text/plain")
    space = quoth.spaces.active
    vectors = np.random.default_rng(7).normal(size=(chunk_count, space.dimensions)).astype(np.float32)
    chunks = []
    for number, sentence in enumerate(sentences):
        span = (starts[number], starts[number + 1] - 1)
        stored = StoredVectors(HalfVector(vectors[number]), pack_vectors(vectors[number : number + 1]))
        terms = tuple(f"en:{term}" for term in ("ferri", "entri", str(number), "use", "berth", "harbour"))
        chunks.append(
            IndexedChunk(ChunkSpan(*span, (), None, (span,), 14), hashlib.sha256(sentence.encode()).digest(), stored, terms)
        )  # fmt: skip
    file = tmp_path_factory.mktemp("large") / "berths.txt"
    file.write_text(words)
    sha256 = hashlib.sha256(words.encode()).digest()
    indexed = IndexedDocument(tuple(chunks), "test:en", chunk_count)
    new = NewVersion(
        Identity("default", f"berths-{chunk_count}.txt"),
        "Berths",
        sha256,
        len(words),
        "test",
        index_profile(),
        parsed,
        indexed,
    )
    with quoth.database.working() as connection:
        storing.lock_identity(connection, new.identity)
        document, _ = storing.store(
            connection, new, quoth.originals, file, space=space.id, readers=["harbour"], owner=None
        )
    return document


def doors(quoth: Quoth, document: DocumentId, kept: Answer | None) -> dict[str, bool]:
    """Which doors show Eve anything of the document."""
    found = {stage: bool(quoth.search(QUESTION, EVE, stage=stage).hits) for stage in STAGES}
    found["documents"] = bool(quoth.catalog.documents(EVE))
    for door, look in (
        ("text", lambda: quoth.catalog.text(EVE, document, 1)),
        ("original", lambda: quoth.catalog.original(EVE, document, 1)),
    ):
        found[door] = False
        with suppress(UsageError):
            found[door] = bool(look())
    found["span"] = bool(quoth.catalog.stored_span(EVE, document, 1, 0, 20)[0])
    *_, answer = quoth.ask(QUESTION, EVE)
    assert isinstance(answer, Answer)
    found["ask"] = bool(answer.passages or answer.citations)
    if kept is not None:
        again = quoth.answers.get(EVE, kept.id)
        found["kept answer"] = any(one.quote for one in again.citations) or bool(again.passages)
    return found


def rows_of(quoth: Quoth, document: DocumentId) -> dict[str, tuple]:
    """What would change if a row were written again: the transaction that wrote it, and its place."""
    found = {}
    with quoth.database.working() as connection:
        for table in ("chunk", "chunk_vector", "version", "element", "lex_document"):
            statement = f"select count(*), md5(string_agg(xmin || ' ' || ctid, ',' order by ctid)) from {table}"
            found[table] = tuple(
                connection.execute(text(f"{statement} where document_id = :one"), {"one": document}).one()
            )
        blocks = "select count(*), md5(string_agg(xmin || ' ' || ctid, ',' order by ctid)) from lex_block"
        found["lex_block"] = tuple(connection.execute(text(blocks)).one())
    return found


@contextmanager
def timed(what: str, print_: list[str]) -> Iterator[None]:
    started = time.perf_counter()
    yield
    print_.append(f"{what} {(time.perf_counter() - started) * 1000:.0f} ms")


def test_no_door_shows_it_after_the_revocation_and_nothing_is_written_again(
    quoth: Quoth, large: DocumentId, chunk_count: int, capsys: pytest.CaptureFixture[str]
) -> None:
    *_, kept = quoth.ask(QUESTION, EVE)
    assert isinstance(kept, Answer)
    before = rows_of(quoth, large)
    assert before["chunk"][0] == before["chunk_vector"][0] == chunk_count
    told: list[str] = []
    assert all(doors(quoth, large, kept).values())
    with timed("revoking", told):
        quoth.catalog.set_readers(large, ["pilots"])
    with timed("the next search", told):
        assert quoth.search(QUESTION, EVE).hits == ()
    assert not any(doors(quoth, large, kept).values())
    with timed("granting", told):
        quoth.sharing.change(document=large, add=["harbour"])
    assert quoth.search(QUESTION, EVE).hits
    with timed("taking away one reader of two", told):
        quoth.sharing.change(document=large, remove=["harbour"])
    assert quoth.search(QUESTION, EVE).hits == ()
    quoth.groups.add("pilots", ["harbour"])
    assert all(doors(quoth, large, kept).values())
    with timed("taking a group out of its group", told):
        quoth.groups.remove("pilots", ["harbour"])
    assert not any(doors(quoth, large, kept).values())
    assert rows_of(quoth, large) == before
    with capsys.disabled():
        print(f"\n{chunk_count:,} chunks: {', '.join(told)}")
