"""A store in memory with the surface that the web app uses: a few documents, one of them a PDF, and scripted answers.

Everything the app shows of it can be hostile, so that tests see whether any of it is read as markup.
"""

from __future__ import annotations

import io
import time
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from pathlib import Path

import pypdfium2
from reportlab.pdfgen.canvas import Canvas

from assistant.asking_back import WHICH
from assistant.conversations import Shared, Talk
from assistant.feedback import Given
from assistant.handoff import Letter, Way
from assistant.model import (
    Answer,
    AnswerEvent,
    AnswerId,
    Citation,
    Claim,
    ClaimShown,
    ConversationId,
    Passage,
    Progress,
    Rejection,
    Usage,
)
from assistant.question_routing import Urgency
from assistant.records import OUT_OF_REACH
from ingest.access import Reader
from ingest.errors import ServiceError, UsageError
from ingest.model import Box, Document, DocumentId, Element, Locator, Receipt
from retrieval.narrowing import Narrowing, Offer, offers

HEIGHT, WIDTH = 842.0, 595.0
QUOTE = "Parental leave is twenty weeks."
QUOTE_BOX: Box = (72.0, 300.0, 260.0, 314.0)  # where draw_pdf() puts the quote on page 2, in points from the top left
NOTES = (
    "Office notes\n\nDesks\n\nDesks are booked a day ahead.\n\nQuiet hours are from nine to eleven.\n\n"
    "Lunch\n\nLunch is at noon.\n\nRooms are booked by their name.\nRoom | Seats\nFen | 4\nDelta <b> | 12"
)


@dataclass
class Stored:
    document: Document
    text: str
    elements: list[Element]
    original: bytes = b""


def draw_pdf() -> bytes:
    """Two A4 pages; the quote stands at QUOTE_BOX of the second."""
    file = io.BytesIO()
    canvas = Canvas(file, pagesize=(WIDTH, HEIGHT))
    canvas.drawString(72, HEIGHT - 100, "Leave policy")
    canvas.showPage()
    canvas.drawString(QUOTE_BOX[0], HEIGHT - QUOTE_BOX[3] + 4, QUOTE)
    canvas.showPage()
    canvas.save()
    return file.getvalue()


def stored(
    source: str, title: str, text: str, *, media_type: str = "text/markdown", pages: int | None = None
) -> Stored:
    elements, at = [], 0
    for ordinal, part in enumerate(text.split("\n\n")):
        heading = len(part.split()) < 3
        elements.append(
            Element(ordinal, "title" if heading else "text", int(heading and ordinal > 0), at, at + len(part),
                    min(ordinal + 1, pages) if pages else None, {})
        )  # fmt: skip
        at += len(part) + 2
    document = Document(
        DocumentId(uuid.uuid5(uuid.NAMESPACE_URL, source)), "default", source, title, "People Team", ("everyone",), 1,
        media_type, pages, 3, 2048, datetime(2026, 3, 5, tzinfo=UTC),
    )  # fmt: skip
    return Stored(document, text, elements)


@dataclass
class Catalog:
    stored: dict[DocumentId, Stored]
    readers_set: list[tuple[DocumentId, tuple[str, ...]]] = field(default_factory=list)

    def documents(self, reader: Reader, collection: str | None = None) -> list[Document]:
        return sorted((one.document for one in self.stored.values()), key=lambda one: one.source)

    def find(self, reader: Reader, reference: str, collection: str | None = None) -> tuple[Document, int]:
        for one in self.stored.values():
            if reference in (str(one.document.id), one.document.source):
                return one.document, one.document.version
        raise UsageError(f"There is no document {reference!r}.")

    def _of(self, document: DocumentId) -> Stored:
        if document not in self.stored:
            raise UsageError(f"There is no document {str(document)!r}.")
        return self.stored[document]

    def text(self, reader: Reader, document: DocumentId, version: int) -> str:
        return self._of(document).text

    def elements(self, reader: Reader, document: DocumentId, version: int) -> list[Element]:
        return self._of(document).elements

    def locate(self, reader: Reader, document: DocumentId, version: int, start: int, end: int) -> Locator:
        if self._of(document).document.pages:
            return Locator(2, 2, (QUOTE_BOX,))
        return Locator(None, None, ())

    def page_image(self, reader: Reader, document: DocumentId, version: int, page: int, *, scale: float = 1.6) -> bytes:
        with pypdfium2.PdfDocument(self._of(document).original) as pdf:
            file = io.BytesIO()
            pdf[page - 1].render(scale=scale).to_pil().save(file, "PNG")
            return file.getvalue()

    def set_readers(self, document: DocumentId, readers: Sequence[str]) -> None:
        one = self._of(document)
        self.readers_set.append((document, tuple(readers)))
        self.stored[document] = replace(one, document=replace(one.document, readers=tuple(readers)))

    def remove(self, document: DocumentId) -> None:
        del self.stored[document]


@dataclass
class Pipeline:
    catalog: Catalog
    added: list[tuple[str, bytes]] = field(default_factory=list)

    def add(  # type: ignore[no-untyped-def]
        self, paths: Sequence[Path], *, collection="default", readers=None, owner=None, progress=None
    ) -> Iterator[Receipt]:
        for path in paths:
            content = path.read_bytes()
            self.added.append((path.name, content))
            progress(path.name, "parsing", 0, 1)
            if not content.strip():
                yield Receipt(
                    path.name, collection, "failed", None, None, None, 0, 0, 0.1, "empty", "There is no text."
                )
                continue
            one = stored(path.name, path.stem, content.decode())
            progress(path.name, "embedding", 1, 2)
            self.catalog.stored[one.document.id] = one
            yield Receipt(path.name, collection, "added", one.document.id, 1, None, 2, 2, 0.1)

    def reindex(self, documents: Sequence[DocumentId], *, progress=None) -> Iterator[Receipt]:  # type: ignore[no-untyped-def]
        for document in documents:
            one = self.catalog.stored[document].document
            yield Receipt(one.source, one.collection, "updated", document, one.version, one.pages, 3, 3, 0.1)


@dataclass
class Answers:
    kept: list[Answer] = field(default_factory=list)

    def conversation(self, reader: Reader, wanted: ConversationId) -> list[Answer]:
        return [one for one in self.kept if one.conversation == wanted]


@dataclass
class Conversations:
    """One reader's conversations, over the answers that were kept."""

    answers: Answers
    titles: dict[ConversationId, str] = field(default_factory=dict)
    links: dict[str, ConversationId] = field(default_factory=dict)
    withheld: set[str] = field(default_factory=set)  # links through which nothing quoted may be read

    def listed(self, reader: Reader, *, words: str = "", limit: int = 50, offset: int = 0) -> list[Talk]:
        asked: dict[ConversationId, list[Answer]] = {}
        for one in self.answers.kept:
            asked.setdefault(one.conversation, []).append(one)
        found = [
            Talk(
                one,
                self.titles.get(one) or turns[0].question,
                len(turns),
                datetime(2026, 3, 5, tzinfo=UTC),
                datetime(2026, 4, 5, tzinfo=UTC) if one in self.links.values() else None,
            )
            for one, turns in reversed(asked.items())
        ]
        return [one for one in found if words.casefold() in one.title.casefold()][:limit]

    def rename(self, reader: Reader, wanted: ConversationId, title: str) -> str:
        self.titles[wanted] = title
        return title

    def delete(self, reader: Reader, wanted: ConversationId) -> int:
        self.answers.kept = [one for one in self.answers.kept if one.conversation != wanted]
        self.unshare(reader, wanted)
        return 1

    def share(self, reader: Reader, wanted: ConversationId, *, days: int = 30) -> str:
        self.links[token := f"token-{len(self.links)}"] = wanted
        return token

    def unshare(self, reader: Reader, wanted: ConversationId) -> int:
        self.links = {token: one for token, one in self.links.items() if one != wanted}
        return 1

    def shared(self, reader: Reader, token: str, *, opening: bool = True) -> Shared:
        if token not in self.links:
            raise UsageError("This link opens nothing: it was withdrawn or its time is up. Ask for a new one.")
        answers = self.answers.conversation(reader, self.links[token])
        if token in self.withheld:
            answers = [
                replace(
                    one,
                    text=OUT_OF_REACH,
                    claims=tuple(replace(claim, text=OUT_OF_REACH) for claim in one.claims),
                    citations=tuple(replace(c, source="", title="", quote="", locator=None) for c in one.citations),
                )
                for one in answers
            ]
        at = datetime(2026, 3, 6, tzinfo=UTC)
        return Shared(self.links[token], answers[0].question, "*ada*", at, tuple(answers))


@dataclass
class Feedback:
    given: dict[AnswerId, Given] = field(default_factory=dict)

    def give(self, reader: Reader, wanted: AnswerId, *, helpful, reason=None, correction=None) -> Given:  # type: ignore[no-untyped-def] # fmt: skip
        at = datetime(2026, 3, 5, tzinfo=UTC)
        self.given[wanted] = Given(wanted, reader.name, at, helpful, reason, correction or None)
        return self.given[wanted]

    def withdraw(self, reader: Reader, wanted: AnswerId) -> bool:
        return self.given.pop(wanted, None) is not None

    def of(self, reader: Reader, answers: Sequence[AnswerId]) -> dict[AnswerId, Given]:
        return {one: self.given[one] for one in answers if one in self.given}


@dataclass
class Handoff:
    """Sends nothing; keeps what would have been sent."""

    ways: tuple[Way, ...] = ("mail",)
    sent: list[tuple[Letter, str]] = field(default_factory=list)

    def letter_of(self, reader: Reader, answer: Answer) -> Letter | None:
        if not answer.passages:
            return None
        near = answer.passages[0]
        return Letter(
            answer.id, answer.question, reader.name, "*People* Team", near.document, near.title, near.source,
            "people@example.org", self.ways,
        )  # fmt: skip

    def proposed(self, reader: Reader, answer: Answer) -> Letter | None:
        letter = self.letter_of(reader, answer)
        return letter and replace(letter, urgency="high", subject="Life", proposed_by="model")

    def owners(self, reader: Reader, letter: Letter) -> list[str]:
        return [letter.owner, "Ada"]

    def revised(self, reader: Reader, letter: Letter, *, owner: str, urgency: Urgency, subject: str) -> Letter:
        return replace(letter, owner=owner, urgency=urgency, subject=subject)

    def send(self, reader: Reader, letter: Letter, *, note: str = "") -> tuple[Way, ...]:
        self.sent.append((letter, note))
        return letter.ways


class Parser:
    pid = 1


class ScriptedQuoth:
    """Answers by what the question contains: 'leave', 'desk', 'room', 'slow', 'fail'; no document says anything else."""

    def __init__(self, *, title: str = "Leave policy", extra: str = "") -> None:
        policy = stored("hr/leave.pdf", title, f"Leave policy\n\n{QUOTE}", media_type="application/pdf", pages=2)
        notes = stored("office/notes.md", "Office notes", NOTES + extra)
        self.policy = replace(policy, original=draw_pdf())
        self.notes = notes
        self.sign_in = None
        self.transcriber = None
        self.catalog = Catalog({one.document.id: one for one in (self.policy, notes)})
        self.pipeline = Pipeline(self.catalog)
        self.answers = Answers()
        self.conversations = Conversations(self.answers)
        self.feedback = Feedback()
        self.handoff = Handoff()
        self.parser = Parser()
        self.narrowings: list[Narrowing | None] = []  # of each question asked

    def citation(self, marker: int, one: Stored, quote: str, locator: Locator) -> Citation:
        start = one.text.index(quote)
        return Citation(
            marker, one.document.source, one.document.collection, one.document.title, one.document.id, 1, locator.page,
            locator.end_page, locator, start, start + len(quote), quote,
        )  # fmt: skip

    def offers(self, question: str, reader: Reader) -> list[Offer]:
        names = ["Ada"] if "Ada" in question else []
        return offers(question, collections=(), owners=names, today=date(2026, 3, 5))

    def ask(self, question: str, reader: Reader, *, collection=None, conversation=None, narrowing=None) -> Iterator[AnswerEvent]:  # type: ignore[no-untyped-def] # fmt: skip
        self.narrowings.append(narrowing)
        yield Progress("Searching the documents you may read")
        if "fail" in question:
            raise ServiceError("The database does not answer. Try again in a minute.")
        claims: list[Claim] = []
        citations: list[Citation] = []
        if "leave" in question:
            citations.append(self.citation(1, self.policy, QUOTE, Locator(2, 2, (QUOTE_BOX,))))
            claims.append(Claim(QUOTE, "supported", 0.98, (1,)))
        if "desk" in question:
            marker = len(citations) + 1
            quote = self.notes.text[self.notes.text.index("Desks are") :].split("\n\n")[0]
            citations.append(self.citation(marker, self.notes, quote, Locator(None, None, ())))
            claims.append(Claim(quote, "supported", 0.9, (marker,)))
        if "room" in question:
            quote = self.notes.text[self.notes.text.index("Rooms are") :]
            citations.append(self.citation(1, self.notes, quote, Locator(None, None, ())))
            claims.append(Claim(quote, "supported", 0.9, (1,)))
        for claim in claims:
            yield ClaimShown(claim, tuple(one for one in citations if one.marker in claim.citations))
        for _ in range(40 if "slow" in question else 0):
            yield Progress("Reading on")
            time.sleep(0.5)
        answer = self._answer(question, conversation, claims, citations)
        if "which" in question and "(" not in question:
            choices = ("Evacuation *Northport*", "Evacuation Southport")
            answer = replace(answer, status="clarifying", text=WHICH, missing=None, choices=choices, rejected=())
        self.answers.kept.append(answer)
        yield answer

    def _answer(self, question: str, conversation, claims: list[Claim], citations: list[Citation]) -> Answer:  # type: ignore[no-untyped-def] # fmt: skip
        near = self.notes
        passages = (
            Passage("P1", near.document.source, "default", near.document.title, (), near.document.id, 1, None, 0, 70,
                    near.text[:70], ()),
        )  # fmt: skip
        return Answer(
            id=AnswerId(uuid.uuid4()),
            conversation=conversation or ConversationId(uuid.uuid4()),
            question=question,
            status=("partial" if "part" in question else "answered") if claims else "abstained",
            text=" ".join(f"{claim.text} [{claim.citations[0]}]" for claim in claims),
            claims=tuple(claims),
            citations=tuple(citations),
            passages=passages,
            missing="Nothing says who approves it." if claims and "part" in question else None,
            model="quoted",
            prompt_version="quoted",
            degraded="the model did not answer in time" if "degraded" in question else None,
            usage=Usage(),
            timings_ms={"total": 420.0},
            rejected=(Rejection("Leave is paid by the moon.", "no quotation was given for it"),) if claims else (),
        )
