"""The dense stage over clustered vectors: both routes against numpy, for readers of all and of little."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import cast

import numpy as np
import pytest
from numpy.typing import NDArray
from pgvector import HalfVector
from sqlalchemy import insert

from ingest import schema, storing
from ingest.access import LOCAL, Reader
from ingest.database import Database
from ingest.model import Embedder
from ingest.spaces import Space
from retrieval.dense import cosines, dense_search
from retrieval.mask import Masks

pytestmark = pytest.mark.integration

DOCUMENTS, PER_DOCUMENT, DIMENSIONS, TOPICS = 300, 10, 32, 20
CHUNKS = DOCUMENTS * PER_DOCUMENT
SHARES = {"tenth": 0.1, "hundredth": 0.01}
GROUPS = ["all", "spread-tenth", "spread-hundredth", "folder-tenth", "folder-hundredth"]
ALWAYS_EXACT, ALWAYS_INDEXED = CHUNKS, 0


class Store:
    """Vectors by position, and who may read them."""

    def __init__(self, database: Database) -> None:
        self.database = database
        draws = np.random.default_rng(5)
        topics = draws.standard_normal((TOPICS, DIMENSIONS))
        self.topic = np.sort(draws.integers(0, TOPICS, DOCUMENTS)).repeat(PER_DOCUMENT)
        vectors = topics[self.topic] + 0.9 * draws.standard_normal((CHUNKS, DIMENSIONS))
        self.vectors = vectors.astype(np.float16).astype(np.float32)
        self.asked = (topics[draws.integers(0, TOPICS, 12)] + draws.standard_normal((12, DIMENSIONS))).astype(
            np.float32
        )
        order = draws.permutation(DOCUMENTS)
        self.groups = [
            ["all"]
            + [f"spread-{name}" for name, share in SHARES.items() if order[at] < share * DOCUMENTS]
            + [f"folder-{name}" for name, share in SHARES.items() if at < share * DOCUMENTS]
            for at in range(DOCUMENTS)
        ]
        with database.owning() as connection:
            self.space = Space(
                storing.ensure_space(connection, "clusters", DIMENSIONS, "clusters"), DIMENSIONS, cast(Embedder, None)
            )
        self.documents = [uuid.UUID(int=int(draws.integers(2**62)) << 64 | at) for at in range(DOCUMENTS)]
        with database.working() as connection:
            for at, document in enumerate(self.documents):
                self._store(connection, at, document)

    def _store(self, connection, at: int, document: uuid.UUID) -> None:  # type: ignore[no-untyped-def]
        first = at * PER_DOCUMENT
        chunks = [uuid.UUID(int=document.int + ordinal + 1) for ordinal in range(PER_DOCUMENT)]
        connection.execute(
            insert(schema.document).values(
                id=document, collection="default", source=str(at), title="", owner="", readers=self.groups[at],
                current_version=1, chunks=PER_DOCUMENT, index_profile="",
            )
        )  # fmt: skip
        connection.execute(
            insert(schema.version).values(
                document_id=document, number=1, sha256=b"", parser_profile="", title="", media_type="text/plain",
                language="en", byte_count=0, canonical_text="", text_sha256=b"", warnings=[],
            )
        )  # fmt: skip
        connection.execute(
            insert(schema.chunk),
            [
                {"document_id": document, "id": one, "version": 1, "ordinal": ordinal, "position": first + ordinal,
                 "start_offset": 0, "end_offset": 0, "heading": [], "text": "", "text_hash": b"", "tokens": 0,
                 "sentences": []}
                for ordinal, one in enumerate(chunks)
            ],
        )  # fmt: skip
        connection.execute(
            insert(schema.chunk_vector),
            [
                {"document_id": document, "chunk_id": one, "space": self.space.id,
                 "vector": HalfVector(self.vectors[first + ordinal]), "sentence_vectors": b""}
                for ordinal, one in enumerate(chunks)
            ],
        )  # fmt: skip
        seg = connection.scalar(
            insert(schema.lex_segment)
            .values(first=first, last=first + PER_DOCUMENT - 1, chunks=PER_DOCUMENT)
            .returning(schema.lex_segment.c.seg)
        )
        connection.execute(
            insert(schema.lex_document).values(
                document_id=document, seg=seg, first=first, chunks=PER_DOCUMENT, tokens=0, analyzer="1:en", terms=[]
            )
        )

    def readable(self, reader: Reader) -> NDArray[np.int64]:
        """Positions."""
        return np.array(
            [
                at * PER_DOCUMENT + ordinal
                for at, groups in enumerate(self.groups)
                if reader.reads_all or set(groups) & reader.groups
                for ordinal in range(PER_DOCUMENT)
            ],
            np.int64,
        )

    def nearest(self, question: NDArray[np.float32], positions: NDArray[np.int64], k: int) -> list[int]:
        """By comparing all."""
        return positions[np.argsort(-self.cosine(question, positions), kind="stable")[:k]].tolist()

    def cosine(self, question: NDArray[np.float32], positions: NDArray[np.int64]) -> NDArray[np.float32]:
        rows = self.vectors[positions]
        asked = question.astype(np.float16).astype(np.float32)
        return cast(NDArray[np.float32], rows @ asked / np.linalg.norm(rows, axis=1) / np.linalg.norm(asked))


@pytest.fixture(scope="module")
def store(database_url: str) -> Iterator[Store]:
    database = Database(database_url)
    yield Store(database)
    database.close()


READERS = [LOCAL, *(Reader("reader", frozenset({group})) for group in GROUPS)]


@pytest.mark.parametrize("exact_up_to", [ALWAYS_EXACT, ALWAYS_INDEXED], ids=["exact", "indexed"])
@pytest.mark.parametrize("reader", READERS, ids=lambda one: "".join(one.groups) or "everything")
def test_the_nearest_readable_chunks_are_found(
    store: Store, reader: Reader, exact_up_to: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("retrieval.dense.CANDIDATE_COST", 0)  # or a small store is compared exactly all the same
    readable = store.readable(reader)
    recalls, routes = [], set()
    for question in store.asked:
        with store.database.reading(reader) as connection:
            mask = Masks().mask(connection, reader, None)
            hits, route = dense_search(
                connection, reader, mask, question, store.space, None, k=10, exact_up_to=exact_up_to
            )
        expected = store.nearest(question, readable, 10)
        positions = [hit.position for hit in hits]
        assert len(positions) == min(10, readable.size) and set(positions) <= set(readable.tolist())
        assert [hit.cosine for hit in hits] == sorted((hit.cosine for hit in hits), reverse=True)
        assert [hit.cosine for hit in hits] == pytest.approx(store.cosine(question, np.array(positions)), abs=1e-3)
        recalls.append(len(set(positions) & set(expected)) / len(expected))
        routes.add(route)
    if exact_up_to == ALWAYS_EXACT:
        assert routes == {"exact"} and min(recalls) == 1.0
    else:
        assert np.mean(recalls) >= 0.9  # in a folder, at times only the edge of it is found
        assert "hnsw" in routes or readable.size < CHUNKS / 10


def test_hnsw_gives_up_where_the_readable_lie_apart_from_the_question(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = Reader("reader", frozenset({"folder-tenth"}))
    monkeypatch.setattr("retrieval.dense.CANDIDATE_COST", 0)  # or so small a store is compared exactly
    far = store.vectors[-1]
    with store.database.reading(reader) as connection:
        mask = Masks().mask(connection, reader, None)
        hits, route = dense_search(connection, reader, mask, far, store.space, None, k=10, exact_up_to=0)
    assert route == "exact"
    assert [hit.position for hit in hits] == store.nearest(far, store.readable(reader), 10)


@pytest.mark.parametrize("exact_up_to", [ALWAYS_EXACT, ALWAYS_INDEXED], ids=["exact", "indexed"])
def test_a_mask_of_another_reader_opens_nothing(store: Store, exact_up_to: int) -> None:
    narrow, wide = Reader("reader", frozenset({"spread-tenth"})), Reader("reader", frozenset({"all"}))
    with store.database.reading(wide) as connection:
        mask = Masks().mask(connection, wide, None)
    with store.database.reading(narrow) as connection:
        hits, _ = dense_search(
            connection, narrow, mask, store.asked[0], store.space, None, k=50, exact_up_to=exact_up_to
        )
        known = cosines(connection, narrow, store.asked[0], store.space, list(range(CHUNKS)))
    allowed = set(store.readable(narrow).tolist())
    assert hits and {hit.position for hit in hits} <= allowed
    assert {hit.position for hit in known} == allowed


def test_nobody_finds_nothing(store: Store) -> None:
    with store.database.reading(LOCAL) as connection:
        mask = Masks().mask(connection, LOCAL, None)
    nobody = Reader("", frozenset())
    for exact_up_to in (ALWAYS_EXACT, ALWAYS_INDEXED):
        with store.database.reading(nobody) as connection:
            hits, _ = dense_search(
                connection, nobody, mask, store.asked[0], store.space, None, k=10, exact_up_to=exact_up_to
            )
        assert hits == []


def test_a_narrowed_mask_leaves_the_other_documents_out(store: Store) -> None:
    chosen = store.documents[100:130]
    positions = np.arange(100 * PER_DOCUMENT, 130 * PER_DOCUMENT)
    for exact_up_to in (ALWAYS_EXACT, ALWAYS_INDEXED):
        with store.database.reading(LOCAL) as connection:
            mask = Masks().mask(connection, LOCAL, None).restricted([*chosen, uuid.uuid4()])
            hits, _ = dense_search(
                connection, LOCAL, mask, store.asked[1], store.space, None, k=10, exact_up_to=exact_up_to
            )
        assert mask.chunks == positions.size
        assert [hit.position for hit in hits] == store.nearest(store.asked[1], positions, 10)
