"""An edit of a document changes few chunks, and the index it leaves is the one that starting anew would make."""

from __future__ import annotations

import os
import random
import secrets
from collections import Counter
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pytest
from numpy.typing import NDArray
from pgvector import HalfVector
from sqlalchemy import select

from ingest import schema
from ingest.canonical import Block, assemble
from ingest.embedding import LocalEmbedder
from ingest.indexing import index_document
from ingest.model import ParsedDocument, Span
from ingest.vectors import unpack_vectors

if TYPE_CHECKING:
    from assistant.bootstrap import Quoth

AT_MOST = 3  # chunks that one edited paragraph may cost
# 1 - cosine of two vectors of one text: the quantised model scales each batch by its own largest values, so the texts
# that share a batch are felt in the last digits.
BATCH_NOISE = 0.01
NOUNS = ("ledger", "harbour", "valve", "permit", "archive", "turbine", "roster", "pallet", "lantern", "invoice", "quay")
VERBS = ("moves", "holds", "signs", "checks", "replaces", "opens", "records", "weighs", "labels", "returns", "closes")
OTHERS = ("the", "a", "every", "each", "no", "this", "that", "under", "behind", "before", "without", "twice", "old")


class CountingEmbedder:
    """The local model's tokens, and vectors without meaning: only how many are made is looked at."""

    space = "counting/4"
    dimensions = 4

    def __init__(self) -> None:
        counted = LocalEmbedder(threads=1)
        self._one = lru_cache(maxsize=1 << 16)(lambda text: counted.count_tokens([text])[0])

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        return [self._one(text) for text in texts]

    def embed(self, texts: Sequence[str], *, kind: Literal["query", "document"]) -> NDArray[np.float32]:
        return np.eye(4, dtype=np.float32)[np.zeros(len(texts), int)]

    def embed_passages(
        self, texts: Sequence[str], spans: Sequence[Sequence[Span]]
    ) -> tuple[NDArray[np.float32], list[NDArray[np.float32]]]:
        return self.embed(texts, kind="document"), [np.eye(4, dtype=np.float32)[np.zeros(len(s), int)] for s in spans]


@pytest.fixture(scope="module")
def counting() -> CountingEmbedder:
    return CountingEmbedder()


# -- documents and edits -----------------------------------------------------------------------------------------------


def sentence(rng: random.Random) -> str:
    words = rng.choices((*NOUNS, *VERBS, *OTHERS), k=rng.randint(4, 28))
    if rng.random() < 0.5:
        words.insert(rng.randrange(len(words)), str(rng.randint(2, 9999)))
    return " ".join(words).capitalize() + "."


def paragraph(rng: random.Random) -> str:
    return " ".join(sentence(rng) for _ in range(rng.choice((1, 2, 3, 4, 6, 9))))


def heading(rng: random.Random) -> str:
    return (
        "#" * rng.choice((1, 2, 2, 3))
        + " "
        + " ".join(rng.choices(NOUNS, k=3)).capitalize()
        + f" {rng.randint(1, 999)}"
    )


def blocks_of(rng: random.Random, paragraphs: int) -> list[str]:
    """Paragraphs, and headings before about every sixth, as they stand in a Markdown file."""
    found = ["# " + " ".join(rng.choices(NOUNS, k=3)).capitalize()]
    for _ in range(paragraphs):
        if rng.random() < 0.16:
            found.append(heading(rng))
        found.append(paragraph(rng))
    return found


def parsed(blocks: Sequence[str]) -> ParsedDocument:
    """What the parser makes of such a file, without the parser."""
    made = []
    for block in blocks:
        marks = len(block) - len(block.lstrip("#"))
        made.append(Block("title", block[marks + 1 :], marks - 1) if marks else Block("text", block))
    text, elements = assemble(made)
    return ParsedDocument("Rules", text, elements, (), None, "en", "text/markdown")


def edited_paragraph(rng: random.Random, text: str) -> str:
    """One paragraph as people change one."""
    words, sentences = text.split(" "), text.split(". ")
    kind = rng.randrange(7)
    if kind == 0:  # another word
        words[rng.randrange(len(words))] = rng.choice(NOUNS) + "ry"
        return " ".join(words)
    if kind == 1:  # written anew
        return paragraph(rng)
    if kind == 2:
        return text + " " + sentence(rng)
    if kind == 3:
        return sentence(rng) + " " + text
    if kind == 4 and len(sentences) > 1:
        del sentences[rng.randrange(len(sentences))]
        return ". ".join(sentences).rstrip(".") + "."
    if kind == 5:
        sentences.insert(rng.randrange(len(sentences)), sentence(rng).rstrip("."))
        return ". ".join(sentences).rstrip(".") + "."
    rng.shuffle(sentences)
    return ". ".join(one.rstrip(".") for one in sentences) + "."


def paragraphs_in(blocks: Sequence[str]) -> list[int]:
    return [index for index, block in enumerate(blocks) if not block.startswith("#")]


def edited(rng: random.Random, blocks: Sequence[str]) -> list[str]:
    """The document after one edit of any kind: replace, insert, remove, move, of paragraphs and of headings."""
    found = list(blocks)
    kind = rng.choice(("replace", "replace", "insert", "remove", "move", "heading"))
    at = rng.choice(paragraphs_in(found))
    if kind == "replace":
        found[at] = edited_paragraph(rng, found[at])
    elif kind == "insert":
        found.insert(rng.randint(1, len(found)), paragraph(rng))
    elif kind == "remove" and len(paragraphs_in(found)) > 10:
        del found[at]
    elif kind == "move":
        moved = found.pop(at)
        found.insert(rng.randint(1, len(found)), moved)
    else:
        headings = [index for index, block in enumerate(found) if block.startswith("#") and index]
        choice = rng.choice(("new", "gone", "renamed"))
        if choice == "new" or not headings:
            found.insert(rng.randint(1, len(found)), heading(rng))
        elif choice == "gone":
            del found[rng.choice(headings)]
        else:
            found[rng.choice(headings)] = heading(rng)
    return found


def embedded_after(counting: Any, before: Sequence[str], after: Sequence[str]) -> int:
    first = index_document(parsed(before), "Rules", counting, {}, lambda *_: None)
    known = {chunk.text_hash: chunk.vectors for chunk in first.chunks}
    return index_document(parsed(after), "Rules", counting, known, lambda *_: None).embedded


def costs(counting: Any, seed: str, edits: int) -> Counter[int]:
    """How many chunks were embedded after each of some edits of single paragraphs of 200-chunk documents."""
    found: Counter[int] = Counter()
    rng = random.Random(seed)
    blocks: list[str] = []
    known: dict[bytes, Any] = {}
    for number in range(edits):
        if number % 25 == 0:
            blocks = blocks_of(rng, 620)
            first = index_document(parsed(blocks), "Rules", counting, {}, lambda *_: None)
            assert len(first.chunks) >= 200
            known = {chunk.text_hash: chunk.vectors for chunk in first.chunks}
        after = list(blocks)
        at = rng.choice(paragraphs_in(blocks))
        after[at] = edited_paragraph(rng, blocks[at])
        found[index_document(parsed(after), "Rules", counting, known, lambda *_: None).embedded] += 1
    return found


def test_one_edited_paragraph_costs_few_chunks(counting: CountingEmbedder) -> None:
    found = costs(counting, "short", 25)
    assert max(found) <= AT_MOST, sorted(found.items())
    assert found[0] < 5  # the edits do change something


@pytest.mark.soak
def test_one_edited_paragraph_costs_few_chunks_at_length(counting: CountingEmbedder) -> None:
    edits = int(os.environ.get("QUOTH_EDITS", "1000"))
    found = costs(counting, os.environ.get("QUOTH_EDITS_SEED", "long"), edits)
    print(f"\n{edits} edits, by chunks embedded: {sorted(found.items())}")
    # an edit that takes away the very border two regions met at has both divided anew
    assert sum(number for cost, number in found.items() if cost > AT_MOST) <= edits // 50
    assert max(found) <= 2 * AT_MOST + 2


# -- the index after edits, and the one made anew ----------------------------------------------------------------------


def postings_by_ordinal(quoth: Quoth, ordinals: dict[int, int]) -> dict[str, dict[int, tuple[int, int]]]:
    """Per term, of the chunks at these positions: ordinal -> (tf, dl), read from the stored blocks."""
    b = schema.lex_block
    found: dict[str, dict[int, tuple[int, int]]] = {}
    with quoth.database.owning() as connection:
        for row in connection.execute(select(b.c.term, b.c.ids, b.c.tf, b.c.dl)):
            ids = np.frombuffer(row.ids, "<i4").tolist()
            for position, tf, dl in zip(ids, row.tf, np.frombuffer(row.dl, "<u2").tolist(), strict=True):
                if position in ordinals:
                    assert ordinals[position] not in found.setdefault(row.term, {})
                    found[row.term][ordinals[position]] = (tf, dl)
    return found


def index_of(quoth: Quoth, collection: str) -> dict[str, Any]:
    """All that is searched of the one document of a collection, without its ids."""
    c, v, d = schema.chunk, schema.chunk_vector, schema.document
    with quoth.database.owning() as connection:
        rows = connection.execute(
            select(c, v.c.vector, v.c.sentence_vectors)
            .join(d, d.c.id == c.c.document_id)
            .join(v, (v.c.document_id == c.c.document_id) & (v.c.chunk_id == c.c.id))
            .where(d.c.collection == collection)
            .order_by(c.c.ordinal)
        ).all()
        document = connection.execute(select(d).where(d.c.collection == collection)).one()
    assert [row.ordinal for row in rows] == list(range(len(rows)))
    assert {row.version for row in rows} == {document.current_version}
    positions = {row.position: row.ordinal for row in rows}
    assert sorted(positions) == list(range(min(positions), min(positions) + len(rows)))
    return {
        "title": document.title,
        "chunks": document.chunks,
        "rows": [
            (r.start_offset, r.end_offset, r.text, list(r.heading), r.page, r.text_hash, r.tokens, list(r.sentences))
            for r in rows
        ],
        "postings": postings_by_ordinal(quoth, positions),
        "vectors": np.array([HalfVector(row.vector).to_numpy() for row in rows], np.float32),
        "sentence_vectors": [unpack_vectors(row.sentence_vectors, quoth.embedder.dimensions) for row in rows],
    }


def apart(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    """1 less the cosine of the two rows least alike."""
    one, other = np.asarray(one, np.float64), np.asarray(other, np.float64)
    lengths = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
    return float((1 - (one * other).sum(axis=1) / lengths).max(initial=0.0))


def edit_and_compare(quoth: Quoth, folder: Path, *, edits: int, per_add: int, adds_per_compare: int) -> dict[str, Any]:
    """Edit a document on and on; now and then make its index anew in another collection and compare."""
    rng = random.Random(f"edits {edits}")
    name = f"rules-{secrets.token_hex(3)}"
    blocks = blocks_of(rng, 45)
    file = folder / "rules.md"
    farthest = {"vectors": 0.0, "sentence_vectors": 0.0}
    embedded: list[int] = []
    compared = 0
    for number in range(edits + 1):
        if number:
            blocks = edited(rng, blocks)
        if number % per_add:
            continue
        file.write_text("\n\n".join(blocks) + "\n", encoding="utf-8")
        (receipt,) = quoth.pipeline.add([file], collection=name)
        assert receipt.status in ("added", "updated", "unchanged"), receipt
        embedded.append(receipt.chunks_embedded)
        if not number or (number // per_add) % adds_per_compare:
            continue
        (anew,) = quoth.pipeline.add([file], collection=f"{name}-{number}")
        assert anew.status == "added" and anew.chunks == receipt.chunks
        one, other = index_of(quoth, name), index_of(quoth, f"{name}-{number}")
        for what in ("title", "chunks", "rows", "postings"):
            assert one[what] == other[what], f"{what} after {number} edits"
        farthest["vectors"] = max(farthest["vectors"], apart(one["vectors"], other["vectors"]))
        for mine, made in zip(one["sentence_vectors"], other["sentence_vectors"], strict=True):
            assert mine.shape == made.shape
            farthest["sentence_vectors"] = max(farthest["sentence_vectors"], apart(mine, made))
        compared += 1
    return {"compared": compared, "embedded": embedded, "chunks": receipt.chunks, **farthest}


@pytest.mark.integration
def test_edits_leave_the_index_that_starting_anew_makes(quoth: Quoth, tmp_path: Path) -> None:
    found = edit_and_compare(quoth, tmp_path, edits=24, per_add=4, adds_per_compare=3)
    assert found["compared"] == 2
    assert sum(found["embedded"][1:]) < found["chunks"] * len(found["embedded"]) / 2  # most vectors were kept
    assert found["vectors"] < BATCH_NOISE and found["sentence_vectors"] < BATCH_NOISE, found


@pytest.mark.soak
@pytest.mark.integration
def test_a_hundred_edits_each_compared(quoth: Quoth, tmp_path: Path) -> None:
    found = edit_and_compare(quoth, tmp_path, edits=100, per_add=1, adds_per_compare=1)
    print(f"\n{found}")
    assert found["compared"] == 100
    assert found["vectors"] < BATCH_NOISE and found["sentence_vectors"] < BATCH_NOISE, found


@pytest.mark.integration
def test_the_receipt_counts_what_an_edit_embedded(quoth: Quoth, folder_of: Callable[..., Path]) -> None:
    rng = random.Random("receipt")
    blocks = blocks_of(rng, 60)
    folder = folder_of({"count.md": "\n\n".join(blocks)})
    (first,) = quoth.pipeline.add([folder], collection="count")
    at = paragraphs_in(blocks)[30]
    blocks[at] += " The lantern of the quay now weighs seven pounds."
    (folder / "count.md").write_text("\n\n".join(blocks))
    (second,) = quoth.pipeline.add([folder], collection="count")
    assert first.chunks_embedded == first.chunks > 15
    assert (second.status, 1 <= second.chunks_embedded <= AT_MOST) == ("updated", True)
