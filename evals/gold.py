"""Where gold quotes stand in the stored documents, so that citations can be compared with them as spans."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import PurePosixPath
from typing import Final
from uuid import UUID

from rapidfuzz import fuzz, process

from assistant.citing import find_quote
from evals.cases import Gold
from ingest.access import LOCAL, Reader
from ingest.catalog import Catalog
from ingest.errors import UsageError
from ingest.model import Document, DocumentId, Element, Span
from ingest.sentences import sentence_spans

TEXTS_KEPT: Final = 32  # whole canonical texts in memory
VERSIONS_LOOKED_AT: Final = 10  # former ones, for a quote that is gone
NEAR: Final = 60.0  # of 100: a sentence that may be what a quote has become


@dataclass(frozen=True, slots=True)
class Place:
    """One occurrence of a gold quote."""

    document: DocumentId
    version: int
    span: Span
    passage: Span  # of the elements (paragraph, list item, table) that the span touches
    pages: frozenset[int]  # empty for formats without pages


@dataclass(frozen=True, slots=True)
class LocatedGold:
    """A gold quote with every place it stands at; citing one of them is as good as citing another."""

    gold: Gold
    places: tuple[Place, ...]
    problem: str | None = None  # in words, when there is no place
    flaw: str | None = None  # the same without the document's name, for what is kept


class GoldFinder:
    """Finds gold quotes in current versions. Reads as `local` unless told otherwise: what is right does not depend on
    who asks; but whoever makes cases is not to learn by them what stands where they may not read.

    Args:
        collection: where to look for gold that names no collection; None: everywhere but in scratch collections.
    """

    def __init__(self, catalog: Catalog, collection: str | None, reader: Reader = LOCAL) -> None:
        self._catalog = catalog
        self._collection = collection
        self._reader = reader
        self._documents: dict[str | None, dict[str, list[Document]]] = {}
        self._text = lru_cache(maxsize=TEXTS_KEPT)(lambda one, version: catalog.text(reader, one, version))
        self._elements = lru_cache(maxsize=TEXTS_KEPT)(lambda one, version: catalog.elements(reader, one, version))

    def locate(self, gold: Gold) -> LocatedGold:
        documents = self._named(gold)
        if not documents:
            return LocatedGold(gold, (), f"there is no document {gold.source!r}", "there is no document of that name")
        places = [place for document in documents for place in self._places(document, gold.quote)]
        if not places:
            flaw, more = self._gone(documents, gold.quote)
            return LocatedGold(gold, (), f"{flaw} of {gold.source!r}{more}", flaw)
        return LocatedGold(gold, tuple(places))

    def document(self, wanted: UUID) -> Document | None:
        """The document of an id, if it is in scope."""
        return next((one for of in self._by_source(self._collection).values() for one in of if one.id == wanted), None)

    def named(self, source: str) -> Document | None:
        """The one document of a source or of its last part, if it is in scope."""
        by_source = self._by_source(self._collection)
        exact = by_source.get(source) or [
            one for name, of in by_source.items() for one in of if source and PurePosixPath(name).name == source
        ]
        return exact[0] if len(exact) == 1 else None

    def text(self, place: Place) -> str:
        """The words that stand at a place."""
        return self._text(place.document, place.version)[slice(*place.span)]

    def _named(self, gold: Gold) -> list[Document]:
        by_source = self._by_source(gold.collection or self._collection)
        if not gold.by_title:
            return by_source.get(gold.source, [])
        wanted = _title(gold.source)
        return [
            document
            for source, of in by_source.items()
            if _title(PurePosixPath(source).stem) == wanted
            for document in of
        ]

    def _by_source(self, collection: str | None) -> dict[str, list[Document]]:
        if collection not in self._documents:
            by_source: dict[str, list[Document]] = {}
            for document in self._catalog.documents(self._reader, collection):
                by_source.setdefault(document.source, []).append(document)
            self._documents[collection] = by_source
        return self._documents[collection]

    def _gone(self, documents: Sequence[Document], quote: str) -> tuple[str, str]:
        """Of a quote that no current version holds: whether a former one did, and what comes nearest now."""
        former = [
            number
            for document in documents
            for number in range(document.version - 1, max(0, document.version - 1 - VERSIONS_LOOKED_AT), -1)
            if occurrences(self._former(document, number), quote)
        ]
        said = "the quote is not in the current version"
        if former:
            said = f"the quote stood in version {former[0]} and is not in the current version"
        near = max(
            (self._nearest(document, quote) for document in documents), key=lambda one: one[0], default=(0.0, "")
        )
        return said, f"; the nearest there is: {near[1]!r}" if near[0] >= NEAR else ""

    def _former(self, document: Document, number: int) -> str:
        try:
            return self._text(document.id, number)
        except UsageError:  # it is kept no longer
            return ""

    def _nearest(self, document: Document, quote: str) -> tuple[float, str]:
        text = self._text(document.id, document.version)
        parts = [text[start:end] for start, end in sentence_spans(text)]
        found = process.extractOne(quote, parts, scorer=fuzz.ratio)
        return (found[1], found[0]) if found else (0.0, "")

    def _places(self, document: Document, quote: str) -> list[Place]:
        spans = occurrences(self._text(document.id, document.version), quote)
        places = []
        for start, end in spans:
            locator = self._catalog.locate(self._reader, document.id, document.version, start, end)
            pages = page_numbers(locator.page, locator.end_page)
            passage = passage_of((start, end), self._elements(document.id, document.version))
            places.append(Place(document.id, document.version, (start, end), passage, pages))
        return places


def _title(name: str) -> str:
    return " ".join(name.replace("_", " ").casefold().split())


def page_numbers(page: int | None, end_page: int | None) -> frozenset[int]:
    """The pages from the first to the last; none for formats without."""
    return frozenset() if page is None else frozenset(range(page, (end_page or page) + 1))


def passage_of(span: Span, elements: Sequence[Element]) -> Span:
    """From the first to the last element that the span touches; the span itself where none does."""
    touched = [one for one in elements if one.start < span[1] and one.end > span[0]]
    return (min((one.start for one in touched), default=span[0]), max((one.end for one in touched), default=span[1]))


def occurrences(text: str, quote: str) -> list[Span]:
    """Every span of `text` that says `quote`: whole words, letter by letter or as far as copying changes nothing
    (assistant.citing). Where that finds nothing, cells of a table are also read without the bars between them.
    """
    return _all(text, quote) or _all(text.replace("|", " "), quote.replace("|", " "))  # as long as before


def _all(text: str, quote: str) -> list[Span]:
    found: list[Span] = []
    at = 0
    while span := find_quote(quote, text[at:]):
        found.append((at + span[0], at + span[1]))
        at += span[1]
        if quote.strip() not in text[at:]:  # squashing a whole book again would find nothing that counts
            break
    return found
