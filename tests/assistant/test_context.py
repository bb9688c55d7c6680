"""Contexts: what is joined, dropped, grown and marked, over a real store."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from assistant.bootstrap import Quoth
from assistant.context import ContextSettings, assemble
from assistant.model import Context
from ingest.access import LOCAL, Reader
from retrieval.model import Hit

pytestmark = pytest.mark.integration

TOPICS = ("harbour", "ledger", "valve", "turbine", "orchard", "lantern", "quarry", "saddle")


def section(number: int) -> str:
    """About three chunks on one topic."""
    topic = TOPICS[number]
    sentences = [
        f"Rule {number}-{at} says what the keeper of the {topic} does in case {at * 7 + number} of the yearly plan."
        for at in range(40)
    ]
    return f"## About the {topic}\n\n" + "\n\n".join(" ".join(sentences[at : at + 5]) for at in range(0, 40, 5))


@pytest.fixture(scope="module")
def store(quoth: Quoth, tmp_path_factory: pytest.TempPathFactory) -> Quoth:
    folder: Path = tmp_path_factory.mktemp("contexts")
    (folder / "plan.md").write_text("# Plan\n\n" + "\n\n".join(section(number) for number in range(4)))
    (folder / "copy.md").write_text(
        "# Plan\n\n" + "\n\n".join(section(number) for number in range(4)) + "\n\nThe end.\n"
    )
    leave = (
        "Every member of the crew has {} days of paid leave in a calendar year, and may carry some over to the next."
    )
    (folder / "leave-2024.txt").write_text("Leave of the crew.\n\n" + leave.format(25) + "\n")
    (folder / "leave-2025.txt").write_text("Leave of the crew, new edition.\n\n" + leave.format(28) + "\n")
    assert {receipt.status for receipt in quoth.pipeline.add([folder])} == {"added"}
    return quoth


def made(quoth: Quoth, question: str, settings: ContextSettings | None = None, reader: Reader = LOCAL) -> Context:
    hits = quoth.search(question, reader, k=16).hits
    return assemble(hits, reader, quoth.surroundings, quoth.embedder.count_tokens, settings or ContextSettings())


def test_every_passage_is_its_span(store: Quoth) -> None:
    for topic in TOPICS[:4]:
        context = made(store, f"What does the keeper of the {topic} do?")
        assert context.passages and context.tokens <= ContextSettings().max_tokens
        for passage in context.passages:
            text = store.catalog.text(LOCAL, passage.document, passage.version)
            assert text[passage.start : passage.end] == passage.text
        assert [passage.id for passage in context.passages] == [f"P{n + 1}" for n in range(len(context.passages))]


def test_no_two_passages_overlap(store: Quoth) -> None:
    passages = made(store, "What does the keeper of the valve do?", ContextSettings(grown=8, reach=2)).passages
    for one in passages:
        for other in passages:
            apart = one.end <= other.start or other.end <= one.start
            assert one is other or one.document != other.document or apart


def test_a_copy_is_left_out_and_said_to_be(store: Quoth) -> None:
    context = made(store, "What does the keeper of the turbine do?", ContextSettings(grown=0, join=False))
    texts = [" ".join(passage.text.split()) for passage in context.passages]
    assert len(set(texts)) == len(texts)
    assert any("the same words as" in reason for reason in context.left_out)


def test_neighbours_become_one_passage_with_all_their_hits(store: Quoth) -> None:
    apart = made(store, "What does the keeper of the ledger do?", ContextSettings(grown=0, join=False))
    joined = made(store, "What does the keeper of the ledger do?", ContextSettings(grown=0))
    assert len(joined.passages) < len(apart.passages)
    assert sorted(c for p in joined.passages for c in p.chunks) == sorted(c for p in apart.passages for c in p.chunks)


def test_a_neighbour_far_down_the_ranks_takes_no_better_passage_s_room(store: Quoth) -> None:
    by_place: list[Hit] = sorted(
        (
            hit
            for hit in store.search("What does the keeper of the valve do?", LOCAL, k=16).hits
            if hit.source == "plan.md"
        ),
        key=lambda hit: hit.start,
    )
    at = next(at for at in range(len(by_place) - 2) if by_place[at + 1].start - by_place[at].end < 5)
    best, neighbour, other = by_place[at], by_place[at + 1], by_place[at - 1 if at else -1]
    costs = store.embedder.count_tokens([best.text, other.text])
    settings = ContextSettings(grown=0, max_tokens=sum(costs))
    hits = [best, other, neighbour]
    context = assemble(hits, LOCAL, store.surroundings, store.embedder.count_tokens, settings)
    assert {chunk for passage in context.passages for chunk in passage.chunks} == {best.chunk, other.chunk}
    assert any("no room" in reason for reason in context.left_out)


def test_a_passage_grows_within_its_section_only_and_within_the_budget(store: Quoth) -> None:
    settings = ContextSettings(max_passages=1, grown=1)
    small = made(store, "What does the keeper of the harbour do in case 56?", replace(settings, grown=0))
    grown = made(store, "What does the keeper of the harbour do in case 56?", settings)
    assert grown.passages[0].start <= small.passages[0].start < small.passages[0].end <= grown.passages[0].end
    assert grown.tokens > small.tokens
    assert "ledger" not in grown.passages[0].text
    tight = made(
        store, "What does the keeper of the harbour do in case 56?", replace(settings, max_tokens=small.tokens)
    )
    assert tight.passages == small.passages


def test_what_disagrees_stays_and_is_marked(store: Quoth) -> None:
    context = made(store, "How many days of paid leave does a member of the crew have?")
    said = {passage.id: passage.text for passage in context.passages}
    (conflict,) = context.conflicts
    assert {"25" in said[conflict.one], "28" in said[conflict.one]} == {True, False}
    assert "25" in conflict.one_says + conflict.other_says and "28" in conflict.one_says + conflict.other_says


def test_a_superseded_document_gives_way(store: Quoth) -> None:
    hits: tuple[Hit, ...] = store.search(
        "How many days of paid leave does a member of the crew have?", LOCAL, k=16
    ).hits
    new = next(hit for hit in hits if hit.source == "leave-2025.txt")
    hits = tuple(replace(hit, superseded_by=new.document) if hit.source == "leave-2024.txt" else hit for hit in hits)
    context = assemble(hits, LOCAL, store.surroundings, store.embedder.count_tokens, ContextSettings())
    assert "leave-2024.txt" not in {passage.source for passage in context.passages} and not context.conflicts
    assert any("superseded" in reason for reason in context.left_out)


def test_what_may_no_longer_be_read_is_not_read_again(store: Quoth) -> None:
    hits = store.search("What does the keeper of the ledger do?", LOCAL, k=16).hits
    nobody = Reader("nobody", frozenset())
    store.catalog.set_readers(hits[0].document, ["board"])
    context = assemble(hits, nobody, store.surroundings, store.embedder.count_tokens, ContextSettings())
    store.catalog.set_readers(hits[0].document, ["everyone"])
    grown = [p for p in context.passages if p.document == hits[0].document and len(p.chunks) > 1]
    assert grown == []
