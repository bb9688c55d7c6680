"""Cases proposed from documents: drafted by a chat model or by rules, kept until a person accepts or rejects them.

A proposal is what the reader who asked for it may read, and is seen by who may read its document: the row's own policy
and `readable` both say so. It goes with the version that it was made of.
"""

from __future__ import annotations

import random
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final, Literal

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKeyConstraint,
    Index,
    Integer,
    Row,
    Table,
    Text,
    Uuid,
    func,
    insert,
    select,
    text,
    update,
)

from assistant.citing import find_quote
from assistant.errors import ModelError
from evals.drafting import copies, drafts, near_miss, usable
from evals.kept_cases import GoldSpan, KeptCases, NewCase
from evals.model_drafting import ModelDrafting
from ingest import schema
from ingest.access import LOCAL, Reader
from ingest.catalog import Catalog, readable
from ingest.errors import ServiceError, UsageError
from ingest.model import Document, DocumentId, Span

if TYPE_CHECKING:
    from assistant.bootstrap import Quoth

State = Literal["open", "accepted", "rejected"]
MOST_AT_ONCE: Final = 200
PASSAGE_CHARS: Final = (40, 4000)  # shorter ones say little; longer ones are cut
PER_DOCUMENT: Final = 40  # passages looked at
NEAR_MISS_EVERY: Final = 3  # one unanswerable case to so many answerable ones
FAILURES: Final = 3  # of the model, one after the other, that end it
DEPTH: Final = 20  # chunks in which the word of a near miss may not stand

eval_proposal = Table(
    "eval_proposal",
    schema.metadata,
    Column("document_id", Uuid, primary_key=True),
    Column("id", Text, primary_key=True),
    Column("version", Integer, nullable=False),
    Column("start_offset", Integer, nullable=False),  # of the sentence it was made of, for a near miss too
    Column("end_offset", Integer, nullable=False),
    Column("question", Text, nullable=False),
    Column("answerable", Boolean, nullable=False),
    Column("type", Text, nullable=False),
    Column("drafted_by", Text, nullable=False),
    Column("swapped", Text, nullable=False),  # in a near miss by rule: "Holm -> Norvik"
    Column("state", Text, CheckConstraint("state in ('open', 'accepted', 'rejected')"), nullable=False),
    Column("made_by", Text, nullable=False),
    Column("made_at", DateTime(timezone=True), nullable=False, server_default=text("clock_timestamp()")),
    Column("decided_by", Text),
    Column("decided_at", DateTime(timezone=True)),
    Column("file", Text),
    Column("case_id", Text),
    ForeignKeyConstraint(["document_id", "version"], ["version.document_id", "version.number"], ondelete="CASCADE"),
    Index("eval_proposal_version", "document_id", "version"),
)


@dataclass(frozen=True, slots=True)
class Proposal:
    """A case as it is proposed."""

    id: str
    question: str
    answerable: bool
    type: str
    drafted_by: str  # "rules", or the model
    swapped: str
    document: DocumentId
    version: int
    span: Span
    source: str
    quote: str  # the sentence that answers it, or that a near miss was made of
    state: State
    made_by: str
    made_at: datetime


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to propose."""

    count: int = 20
    collection: str | None = None
    near_misses: bool = True
    rules: bool = False  # also where there is a model
    seed: int = 1


@dataclass(frozen=True, slots=True)
class Proposed:
    """What came of it."""

    ids: tuple[str, ...]
    answerable: int
    unanswerable: int
    drafted_by: str
    passages: int  # looked at
    dropped: Mapping[str, int]  # by why


class Proposals:
    """Proposed cases of one store. Callers see to it that whoever decides on them is an evaluator."""

    def __init__(self, quoth: Quoth) -> None:
        self._quoth = quoth
        self._database = quoth.database

    def generate(
        self, reader: Reader, wanted: Wanted, progress: Callable[[int, int], object] = lambda done, total: None
    ) -> Proposed:
        """Draft cases from documents that the reader may read, and keep them.

        Raises:
            UsageError: the number is out of range, or there is no document.
            ServiceError: the model failed again and again; what was drafted before is kept.
        """
        if not 1 <= wanted.count <= MOST_AT_ONCE:
            raise UsageError(f"{wanted.count} cases are out of range. Propose 1 to {MOST_AT_ONCE} at a time.")
        model = None if wanted.rules or self._quoth.settings.models is None else ModelDrafting(self._quoth)
        draw = random.Random(wanted.seed)
        known = self._questions()
        kept: list[str] = []
        dropped: Counter[str] = Counter()
        answerable = looked = 0
        for passage in self._passages(reader, wanted, draw):
            if len(kept) >= wanted.count:
                break
            looked += 1
            for one in self._drafted(passage, model, reader, dropped):
                if len(kept) >= wanted.count:
                    break
                if one.question.casefold() in known:
                    dropped["asked before"] += 1
                    continue
                kept.append(self._keep(passage, one, reader))
                known.add(one.question.casefold())
                answerable += 1
                progress(len(kept), wanted.count)
                if wanted.near_misses and answerable % NEAR_MISS_EVERY == 0 and len(kept) < wanted.count:
                    near = one.near or self._near(one.question, passage, wanted.collection, reader, draw)
                    if near is None:
                        dropped["no near miss"] += 1
                    elif near.question.casefold() not in known:
                        kept.append(self._keep(passage, near, reader))
                        known.add(near.question.casefold())
                        progress(len(kept), wanted.count)
        if not looked:
            raise UsageError("There is no text to propose cases from. Add documents, or name another collection.")
        by = model.model if model else "rules"
        return Proposed(tuple(kept), answerable, len(kept) - answerable, by, looked, dict(dropped))

    def listed(self, reader: Reader, *, state: State = "open", limit: int = 500) -> list[Proposal]:
        """Proposals from documents that a reader may read, the earliest first."""
        p, d, v = eval_proposal, schema.document, schema.version
        query = (
            select(
                p, d.c.source,
                func.substring(v.c.canonical_text, p.c.start_offset + 1, p.c.end_offset - p.c.start_offset).label(
                    "quote"
                ),
            )
            .join(d, d.c.id == p.c.document_id)
            .join(v, (v.c.document_id == p.c.document_id) & (v.c.number == p.c.version))
            .where(readable(reader), p.c.state == state)
            .order_by(p.c.made_at, p.c.id)
            .limit(limit)
        )  # fmt: skip
        with self._database.reading(reader) as connection:
            return [_proposal(row) for row in connection.execute(query)]

    def find(self, reader: Reader, reference: str) -> Proposal:
        """The open proposal of an id or the start of one.

        Raises:
            UsageError: there is none that this reader may see, or there are several.
        """
        found = [one for one in self.listed(reader, limit=100_000) if reference and one.id.startswith(reference)]
        if len(found) != 1:
            many = "several proposals" if found else "no open proposal"
            raise UsageError(f"{reference!r} names {many}. `quoth eval generate --list` shows them.")
        return found[0]

    def accept(
        self, proposal: Proposal, file: str, *, by: Reader, question: str | None = None, type: str | None = None,
        answerable: bool | None = None,
    ) -> tuple[str, int]:  # fmt: skip
        """Make a proposal a case of a file, as it is or as a person changed it; returns the case's id and the file's
        version.

        Raises:
            UsageError: it was decided before, or cannot be a case of this file.
        """
        truth = proposal.answerable if answerable is None else answerable
        gold = (GoldSpan(proposal.document, proposal.version, proposal.span),) if truth else ()
        kind = proposal.type if type is None else type
        self._decide(proposal.id, "accepted", by)
        try:
            case, version = KeptCases(self._database).add(
                file, NewCase(question or proposal.question, truth, gold, kind or None), by=by
            )
        except BaseException:
            self._decide(proposal.id, "open", by)
            raise
        with self._database.working() as connection:
            connection.execute(
                update(eval_proposal).where(eval_proposal.c.id == proposal.id).values(file=file, case_id=case)
            )
        return case, version

    def reject(self, proposal: Proposal, *, by: Reader) -> None:
        """
        Raises:
            UsageError: it was decided before.
        """
        self._decide(proposal.id, "rejected", by)

    # -- drafting ----------------------------------------------------------------------------------------------------

    def _passages(self, reader: Reader, wanted: Wanted, draw: random.Random) -> Iterator[_Passage]:
        """Passages of documents in turn, so that many documents have a case before one has a second."""
        documents = self._quoth.catalog.documents(reader, wanted.collection)
        draw.shuffle(documents)
        ways = [_passages_of(self._quoth.catalog, reader, document, draw) for document in documents]
        while ways:
            left = []
            for way in ways:
                passage = next(way, None)
                if passage is not None:
                    yield passage
                    left.append(way)
            ways = left

    def _drafted(
        self, passage: _Passage, model: ModelDrafting | None, reader: Reader, dropped: Counter[str]
    ) -> Iterator[_Draft]:
        if model is None:
            for one in drafts(passage.text, passage.section):
                yield _Draft(one.question, one.span, one.kind, "rules")
            return
        try:
            asked = model.drafts(passage.title, passage.section, passage.text, reader)
        except ModelError as error:
            dropped["the model failed"] += 1
            if dropped["the model failed"] >= FAILURES and isinstance(error, ServiceError):
                raise
            return
        for said in asked:
            span = find_quote(said.quote, passage.text)
            if span is None:
                dropped["quote not in the document"] += 1
            elif not usable(said.question, passage.text):
                dropped["question copies the document"] += 1
            else:
                near = None
                if said.unanswerable and not copies(said.unanswerable, passage.text):
                    near = _Draft(said.unanswerable, span, "near miss", model.model, answerable=False)
                yield _Draft(said.question, span, said.kind, model.model, near=near)

    def _near(
        self, question: str, passage: _Passage, collection: str | None, reader: Reader, draw: random.Random
    ) -> _Draft | None:
        def absent(word: str) -> bool:
            asked = question + " " + word
            found = self._quoth.searching.candidates(asked, reader, depth=DEPTH, collection=collection).hits
            return not any(word.casefold() in hit.text.casefold() for hit in found)

        made = near_miss(question, absent, draw)
        if made is None:
            return None
        return _Draft(made[0], (0, len(passage.text)), "near miss", "rules", made[1], answerable=False)

    def _keep(self, passage: _Passage, one: _Draft, reader: Reader) -> str:
        new = uuid.uuid4().hex[:8]
        start, end = (passage.start + one.span[0], passage.start + one.span[1])
        with self._database.working() as connection:
            connection.execute(
                insert(eval_proposal).values(
                    id=new, document_id=passage.document, version=passage.version, start_offset=start, end_offset=end,
                    question=one.question, answerable=one.answerable, type=one.kind, drafted_by=one.drafted_by,
                    swapped=one.swapped, state="open", made_by=reader.name,
                )
            )  # fmt: skip
        return new

    def _questions(self) -> set[str]:
        """Every question that was proposed or is a case, so that nothing is proposed twice, nor again once rejected."""
        with self._database.working() as connection:
            proposed = connection.scalars(select(eval_proposal.c.question)).all()
        files = KeptCases(self._database)
        cases = [case.question for one in files.files() for case in files.cases(one.file, LOCAL)]
        return {one.casefold() for one in (*proposed, *cases)}

    def _decide(self, proposal: str, state: State, by: Reader) -> None:
        before: Sequence[State] = ("open",) if state != "open" else ("accepted",)
        who = {"decided_by": by.name, "decided_at": func.clock_timestamp()}
        with self._database.working() as connection:
            changed = connection.execute(
                update(eval_proposal)
                .where(eval_proposal.c.id == proposal, eval_proposal.c.state.in_(before))
                .values(state=state, **(who if state != "open" else {"decided_by": None, "decided_at": None}))
            )
        if not changed.rowcount:
            raise UsageError("This proposal was decided before, or its document is gone.")


@dataclass(frozen=True, slots=True)
class _Passage:
    document: DocumentId
    version: int
    collection: str
    title: str
    section: str
    start: int
    text: str


@dataclass(frozen=True, slots=True)
class _Draft:
    question: str
    span: Span  # in the passage
    kind: str
    drafted_by: str
    swapped: str = ""
    answerable: bool = True
    near: _Draft | None = None


def _passages_of(catalog: Catalog, reader: Reader, document: Document, draw: random.Random) -> Iterator[_Passage]:
    words = catalog.text(reader, document.id, document.version)
    section = ""
    found = []
    for element in catalog.elements(reader, document.id, document.version):
        if element.category == "title":
            section = " ".join(words[element.start : element.end].split())
        elif element.category in ("text", "list_item", "table"):
            end = min(element.end, element.start + PASSAGE_CHARS[1])
            if end - element.start >= PASSAGE_CHARS[0]:
                found.append((element.start, end, section))
    draw.shuffle(found)
    for start, end, under in found[:PER_DOCUMENT]:
        yield _Passage(
            document.id, document.version, document.collection, document.title or document.source, under, start,
            words[start:end],
        )  # fmt: skip


def _proposal(row: Row) -> Proposal:
    return Proposal(
        row.id, row.question, row.answerable, row.type, row.drafted_by, row.swapped, DocumentId(row.document_id),
        row.version, (row.start_offset, row.end_offset), row.source, row.quote, row.state, row.made_by, row.made_at,
    )  # fmt: skip
