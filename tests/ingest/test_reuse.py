"""The same text is embedded once: what is found again, what is not, and what nobody learns from it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import text

from assistant.bootstrap import Quoth
from ingest.access import LOCAL, Reader
from ingest.discovery import Input
from ingest.indexing import index_document
from ingest.model import Element, ParsedDocument, Receipt
from ingest.reuse import stored_vectors
from ingest.storing import Identity

pytestmark = pytest.mark.integration

ALIKE = (
    "select count(*), count(distinct c.text_hash), count(distinct (c.text_hash, v.vector::text, v.sentence_vectors))"
    " from chunk c join chunk_vector v on v.document_id = c.document_id and v.chunk_id = c.id"
)
Folder = Callable[..., Path]
PARTS = [
    f"## Part {n}\n\n"
    + " ".join(f"On day {day} quay {n} is swept by its wardens before the tide." for day in range(40))
    for n in range(5)
]
SHORT = "# Rules of the locks\n\nThe lock is shut at dusk, and its keeper goes home.\n"
RULES = "# Rules of the quays\n\n" + "\n\n".join(PARTS) + "\n"
ADA, BO = Reader("ada", frozenset()), Reader("bo", frozenset())


def added(
    quoth: Quoth, file: Path, source: str, *, by: Reader = LOCAL, readers: tuple[str, ...] | None = None
) -> Receipt:
    (receipt,) = quoth.pipeline.add_inputs([Input(file, Identity("default", source), readers=readers)], by=by)
    assert receipt.status == "added", receipt.detail
    return receipt


def nothing_stored(quoth: Quoth) -> None:
    for document in quoth.catalog.documents(LOCAL):
        quoth.catalog.remove(document.id)


class Counting:
    """An embedder that notes what it was given."""

    def __init__(self, embedder) -> None:
        self._embedder = embedder
        self.texts: list[str] = []

    def __getattr__(self, name: str):
        return getattr(self._embedder, name)

    def embed_passages(self, texts, sentences):
        self.texts += texts
        return self._embedder.embed_passages(texts, sentences)


def test_a_copy_a_new_name_and_a_moved_part_are_not_embedded_again(quoth: Quoth, folder_of: Folder) -> None:
    nothing_stored(quoth)
    moved = "# Rules of the quays\n\n" + "\n\n".join([*PARTS[3:5], "## New\n\n" + "Nobody swims here. " * 60]) + "\n"
    folder = folder_of({"rules.md": RULES, "moved.md": moved})
    first = added(quoth, folder / "rules.md", "rules.md")
    assert first.chunks_embedded == first.chunks >= 4
    copy = added(quoth, folder / "rules.md", "copies/rules-of-quays.md")
    assert (copy.chunks, copy.chunks_embedded) == (first.chunks, 0)
    other = added(quoth, folder / "moved.md", "moved.md")
    assert 1 <= other.chunks_embedded < other.chunks
    with quoth.database.working() as connection:
        rows, hashes, vectors = connection.execute(text(ALIKE)).one()
    assert rows == first.chunks + copy.chunks + other.chunks
    assert hashes == vectors == first.chunks + other.chunks_embedded


def test_calls_to_the_embedder_are_spared(quoth: Quoth, capsys: pytest.CaptureFixture[str]) -> None:
    nothing_stored(quoth)
    counting = Counting(quoth.embedder)
    space = quoth.spaces.active
    look_up = stored_vectors(quoth.database, space.id, LOCAL)
    calls = {}
    for copies in range(3):
        words = "\n".join(f"Berth {n} of the harbour is let by the month to its keeper." for n in range(120))
        starts = [at for at, line in enumerate(words) if at == 0 or words[at - 1] == "\n"]
        elements = tuple(
            Element(n, "text", 0, start, words.find("\n", start) if "\n" in words[start:] else len(words), None, {})
            for n, start in enumerate(starts)
        )
        parsed = ParsedDocument("Berths", words, elements, (), None, "en", "text/plain")
        before = len(counting.texts)
        indexed = index_document(parsed, "Berths", counting, {}, lambda *_: None, look_up)
        calls[copies] = len(counting.texts) - before
        assert calls[copies] == indexed.embedded
        quoth.pipeline.add_parsed(
            Identity("default", f"b{copies}"), words.encode(), parsed, profile="test", readers=["everyone"]
        )
    assert calls[0] >= 2 and calls[1] == calls[2] == 0
    with capsys.disabled():
        print(f"\ntexts embedded for a document and two copies of it: {list(calls.values())}")


def test_what_the_adder_may_not_read_is_embedded_as_if_it_were_not_there(quoth: Quoth, folder_of: Folder) -> None:
    nothing_stored(quoth)
    file = folder_of({"rules.md": SHORT}) / "rules.md"
    first = added(quoth, file, "secret.md", readers=("board",))
    guess = added(quoth, file, "guess.md", by=BO, readers=("user:bo",))
    assert guess.chunks_embedded == guess.chunks == first.chunks
    again = added(quoth, file, "again.md", by=BO, readers=("user:bo",))  # from the adder's own
    assert again.chunks_embedded == 0
    assert added(quoth, file, "eve.md", by=ADA, readers=("user:ada",)).chunks_embedded == first.chunks
    quoth.groups.add("board", ["user:cleo"])
    assert added(quoth, file, "cleo.md", by=Reader("cleo", frozenset())).chunks_embedded == 0


def test_what_was_removed_has_left_nothing_to_be_reused(quoth: Quoth, folder_of: Folder) -> None:
    nothing_stored(quoth)
    file = folder_of({"rules.md": SHORT}) / "rules.md"
    first = added(quoth, file, "rules.md")
    quoth.catalog.remove(first.document)
    with quoth.database.working() as connection:
        assert connection.scalar(text("select count(*) from chunk_vector")) == 0
    assert added(quoth, file, "rules.md").chunks_embedded == first.chunks


def test_another_space_has_vectors_of_its_own(quoth: Quoth, folder_of: Folder) -> None:
    nothing_stored(quoth)
    added(quoth, folder_of({"rules.md": SHORT}) / "rules.md", "rules.md")
    with quoth.database.working() as connection:
        hashes = list(connection.scalars(text("select text_hash from chunk")))
    space = quoth.spaces.active.id
    assert set(stored_vectors(quoth.database, space, LOCAL)(hashes)) == set(hashes)
    assert stored_vectors(quoth.database, space + 1, LOCAL)(hashes) == {}
    assert stored_vectors(quoth.database, space, LOCAL)([]) == {}
