"""Searches by readers of random groups, while documents, readers and memberships change: nothing they may not read."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress

import pytest

from assistant.bootstrap import Quoth
from assistant.model import Answer
from ingest.access import LOCAL, Reader
from ingest.errors import UsageError
from ingest.model import DocumentId, Element, ParsedDocument
from ingest.storing import Identity
from retrieval.model import STAGES

pytestmark = pytest.mark.integration

NAMES = "harbour ledger valve turbine invoice lantern orchard copper saddle velvet meadow quarry anchor bishop"
WORDS = NAMES.split()
GROUPS = ("red", "green", "blue", "grey")
USERS = ("ann", "bob", "cleo")


class World:
    """What is stored and who may read it, beside the store."""

    def __init__(self, quoth: Quoth, seed: int) -> None:
        self.quoth, self.chance = quoth, random.Random(seed)
        self.readers: dict[DocumentId, tuple[str, list[str]]] = {}
        self.groups: dict[str, list[str]] = {}
        self.within: set[tuple[str, str]] = set()  # (group, the group it is a member of)
        self.count = 0
        self.searched: Counter[str] = Counter()

    def change(self) -> None:
        chosen = self.chance.choice(list(self.readers)) if self.readers else None
        match self.chance.randrange(9):
            case 0 if chosen is not None:
                self.quoth.catalog.remove(chosen)
                del self.readers[chosen]
            case 1 | 2 | 3 if chosen is not None:
                readers = self.some_readers()
                self.quoth.catalog.set_readers(chosen, readers)
                self.readers[chosen] = (self.readers[chosen][0], readers)
            case 4:
                user = self.chance.choice(USERS)
                self.groups[user] = self.chance.sample(GROUPS, self.chance.randint(0, 2))
                self.quoth.groups.set_of_user(user, self.groups[user])
            case 7:
                inner, outer = self.chance.sample(GROUPS, 2)
                change = self.quoth.groups.remove if (inner, outer) in self.within else self.quoth.groups.add
                change(outer, [inner])
                self.within ^= {(inner, outer)}
            case 5 if chosen is not None:
                self.store(self.readers[chosen][0])
            case 6:
                self.quoth.pipeline.merge()
            case _:
                self.store(f"d{self.count}")
                self.count += 1

    def some_readers(self) -> list[str]:
        return self.chance.choice(
            [["everyone"], [self.chance.choice(GROUPS)], [f"user:{self.chance.choice(USERS)}"], ["nobody"]]
        )

    def store(self, source: str) -> None:
        words = (
            "This is what was said about the " + " and the ".join(self.chance.choices(WORDS, k=8)) + f" in {source}."
        )
        element = Element(0, "text", 0, 0, len(words), None, {})
        parsed = ParsedDocument("Note", words, (element,), (), None, "en", "text/plain")
        readers = self.some_readers()
        receipt = self.quoth.pipeline.add_parsed(
            Identity("default", source), words.encode(), parsed, profile="test", readers=readers
        )
        assert receipt.document is not None
        self.readers[receipt.document] = (source, readers)

    def may_read(self, reader: Reader) -> set[DocumentId]:
        own = {"everyone", f"user:{reader.name}", *self.groups.get(reader.name, ())}
        for _ in GROUPS:
            own |= {outer for inner, outer in self.within if inner in own}
        return {one for one, (_, readers) in self.readers.items() if reader is LOCAL or own & set(readers)}

    def look(self) -> None:
        """One look through a door chosen at random."""
        user = self.chance.choice((*USERS, "stranger"))
        reader = self.quoth.catalog.reader_for(user)
        assert reader == Reader(user, frozenset())  # what follows from the tables is not kept in it
        allowed = self.may_read(reader)
        question = " ".join(self.chance.sample(WORDS, 2))
        door = self.chance.choice([*STAGES] * 6 + ["documents", "text", "ask"])
        self.searched[door] += 1
        if door == "documents":
            assert {one.id for one in self.quoth.catalog.documents(reader)} == allowed
        elif door == "text":
            for document in self.chance.sample(list(self.readers), min(3, len(self.readers))):
                seen = False
                with suppress(UsageError):
                    seen = bool(self.quoth.catalog.text(reader, document, 1))
                assert document in allowed or not seen
        elif door == "ask":
            (*_, answer) = self.quoth.ask(f"What was said about the {question}?", reader)
            assert isinstance(answer, Answer)
            cited = {one.document for one in answer.citations} | {one.document for one in answer.passages}
            assert cited <= allowed
        else:
            hits = self.quoth.search(question, reader, k=30, stage=door).hits  # type: ignore[arg-type]
            found = {hit.document for hit in hits}
            assert found <= allowed
            if door == "lexical":
                terms = set(question.split())
                texts = {one: self.quoth.catalog.text(LOCAL, one, self._version(one)) for one in allowed}
                assert found == {one for one, words in texts.items() if terms & set(words.replace(".", "").split())}

    def _version(self, document: DocumentId) -> int:
        return self.quoth.catalog.find(LOCAL, str(document))[1]


@pytest.fixture
def world(quoth: Quoth, request: pytest.FixtureRequest) -> Iterator[World]:
    made = World(quoth, request.param)
    for _ in range(20):
        made.store(f"d{made.count}")
        made.count += 1
    yield made


def run(world: World, looks: int) -> None:
    while sum(world.searched.values()) < looks:
        world.change()
        for _ in range(world.chance.randint(1, 6)):
            world.look()
        if len(world.readers) > 40:
            document = world.chance.choice(list(world.readers))
            world.quoth.catalog.remove(document)
            del world.readers[document]
    print(f"\n{sum(world.searched.values()):,} looks: {dict(world.searched)}")


@pytest.mark.parametrize("world", [7], indirect=True)
def test_no_door_shows_what_may_not_be_read(world: World) -> None:
    run(world, 300)


@pytest.mark.soak
@pytest.mark.parametrize("world", [8], indirect=True)
def test_no_door_shows_what_may_not_be_read_in_ten_thousand_looks(world: World) -> None:
    run(world, 10_000)
