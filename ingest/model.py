"""What flows through ingestion. Offsets are half-open, in Unicode code points of a version's canonical text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Literal, NewType, Protocol
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from ingest.errors import Reason

DocumentId = NewType("DocumentId", UUID)
ChunkId = NewType("ChunkId", UUID)

Span = tuple[int, int]
Box = tuple[float, float, float, float]  # x0, y0, x1, y1 in points, origin top left of the page as displayed

Category = Literal["title", "text", "list_item", "table", "header", "footer", "code", "caption"]


@dataclass(frozen=True, slots=True)
class Element:
    """One block of a document, in reading order; canonical_text[start:end] is its text."""

    ordinal: int  # from 0
    category: Category
    depth: int  # titles: 0 is the outermost heading; other categories: 0
    start: int
    end: int
    page: int | None  # from 1; None for formats without pages
    place: Mapping[str, str | int]  # what else shows where: {"slide": 3}, {"sheet": "Rates", "first_row": 2}


@dataclass(frozen=True, slots=True)
class PageMap:
    """Where each character of a page's canonical text stands on the page as displayed."""

    page: int  # from 1
    start: int  # span of the page's text in the canonical text
    end: int
    width: float  # points, after rotation, as displayed
    height: float
    boxes: NDArray[np.uint16]  # (end - start, 4): x0, y0, x1, y1 as fractions of 65535, origin top left; all 0: no box
    recognition: float | None = None  # mean score of text recognition, 0 to 1; None: the page's own text


FindingKind = Literal["hidden_text", "invisible_characters", "instruction"]


@dataclass(frozen=True, slots=True)
class Finding:
    """Something about a document that its owner should look at before others trust it."""

    kind: FindingKind
    words: str  # one sentence for the owner: what was found, and what became of it
    excerpt: str = ""  # at most 200 characters of it
    page: int | None = None
    start: int | None = None  # span in the canonical text, for what stayed in it
    end: int | None = None


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file that came inside another; it becomes a document of its own."""

    name: str  # as the container calls it: never a path
    content: bytes


@dataclass(frozen=True, slots=True)
class ParsedDocument:
    """What a parser makes of one file under one parser profile. The canonical text holds no line break but \\n."""

    title: str  # the document's own title, else ""
    text: str  # canonical text: NFC, element texts joined by a blank line
    elements: tuple[Element, ...]
    pages: tuple[PageMap, ...]  # PDF and pictures; empty for other formats
    page_count: int | None  # pages or slides; None for formats without
    language: str  # ISO 639-1, e.g. "en"; "" when it cannot be told
    media_type: str  # sniffed from the content, e.g. "application/pdf"
    warnings: tuple[str, ...] = ()  # in words, for the owner
    findings: tuple[Finding, ...] = ()
    attachments: tuple[Attachment, ...] = ()


@dataclass(frozen=True, slots=True)
class ChunkSpan:
    """A chunk before it is stored: what is indexed, as a span of the canonical text."""

    start: int
    end: int
    heading: tuple[str, ...]  # heading path, outermost first; not part of the span
    page: int | None  # of its first character
    sentences: tuple[Span, ...]  # absolute spans, in order, covering the chunk's non-blank text
    tokens: int  # of the embedder's tokenizer


@dataclass(frozen=True, slots=True)
class Locator:
    """Where a span can be shown to a person."""

    page: int | None
    end_page: int | None
    boxes: tuple[Box, ...]  # on `page`
    more: Mapping[int, tuple[Box, ...]] = field(default_factory=dict)  # boxes on further pages, by page
    place: Mapping[str, str | int] = field(default_factory=dict)  # slide, sheet, rows


@dataclass(frozen=True, slots=True)
class Document:
    """A document as its owner sees it."""

    id: DocumentId
    collection: str
    source: str
    title: str
    owner: str
    readers: tuple[str, ...]
    version: int
    media_type: str
    pages: int | None
    chunks: int
    bytes: int
    updated_at: datetime
    review_by: date | None = None
    effective_from: date | None = None  # first day on which it answers
    expires_on: date | None = None  # first day on which it no longer answers
    superseded_by: DocumentId | None = None
    parent: DocumentId | None = None  # the mail it came with
    findings: int = 0  # of the current version
    warnings: int = 0


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of one input file of `add`; the contract's JSON line has these names."""

    source: str
    collection: str
    status: Literal["added", "updated", "unchanged", "failed", "removed"]
    document: DocumentId | None
    version: int | None
    pages: int | None
    chunks: int
    chunks_embedded: int
    seconds: float
    reason: Reason | None = None
    detail: str | None = None
    parent: str | None = None  # source of the mail that it came with


class Embedder(Protocol):
    """Turns texts into unit vectors of one embedding space."""

    @property
    def space(self) -> str:
        """Model, revision and dimensions in one string, e.g. 'all-MiniLM-L6-v2@8199be6f/384'."""
        ...

    @property
    def dimensions(self) -> int: ...

    def count_tokens(self, texts: Sequence[str]) -> list[int]: ...

    def embed(self, texts: Sequence[str], *, kind: Literal["query", "document"]) -> NDArray[np.float32]:
        """Return (len(texts), dimensions), rows of length 1, in the order given.

        Raises:
            ServiceError: if a remote model does not answer within its deadline.
        """
        ...

    def embed_passages(
        self, texts: Sequence[str], spans: Sequence[Sequence[Span]]
    ) -> tuple[NDArray[np.float32], list[NDArray[np.float32]]]:
        """Each text's vector (n, dimensions), and per text the vectors of its spans (spans, dimensions); unit rows.

        Args:
            spans: half-open offsets into each text; of its sentences.
        """
        ...
