"""Where gold quotes stand in the stored documents, so that citations can be compared with them as spans."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from assistant.citing import find_quote
from evals.cases import Gold
from ingest.access import LOCAL
from ingest.catalog import Catalog
from ingest.model import Document, DocumentId, Element, Span

TEXTS_KEPT: Final = 32  # whole canonical texts in memory


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
    """Finds gold quotes in current versions. Reads as `local`: what is right does not depend on who asks.

    Args:
        collection: where to look for gold that names no collection; None: everywhere but in scratch collections.
    """

    def __init__(self, catalog: Catalog, collection: str | None) -> None:
        self._catalog = catalog
        self._collection = collection
        self._documents: dict[str | None, dict[str, list[Document]]] = {}
        self._text = lru_cache(maxsize=TEXTS_KEPT)(lambda one, version: catalog.text(LOCAL, one, version))
        self._elements = lru_cache(maxsize=TEXTS_KEPT)(lambda one, version: catalog.elements(LOCAL, one, version))

    def locate(self, gold: Gold) -> LocatedGold:
        documents = self._named(gold)
        if not documents:
            return LocatedGold(gold, (), f"there is no document {gold.source!r}", "there is no document of that name")
        places = [place for document in documents for place in self._places(document, gold.quote)]
        if not places:
            flaw = "the quote is not in the current version"
            return LocatedGold(gold, (), f"{flaw} of {gold.source!r}", flaw)
        return LocatedGold(gold, tuple(places))

    def _named(self, gold: Gold) -> list[Document]:
        collection = gold.collection or self._collection
        if collection not in self._documents:
            by_source: dict[str, list[Document]] = {}
            for document in self._catalog.documents(LOCAL, collection):
                by_source.setdefault(document.source, []).append(document)
            self._documents[collection] = by_source
        return self._documents[collection].get(gold.source, [])

    def _places(self, document: Document, quote: str) -> list[Place]:
        spans = occurrences(self._text(document.id, document.version), quote)
        places = []
        for start, end in spans:
            locator = self._catalog.locate(LOCAL, document.id, document.version, start, end)
            pages = page_numbers(locator.page, locator.end_page)
            passage = passage_of((start, end), self._elements(document.id, document.version))
            places.append(Place(document.id, document.version, (start, end), passage, pages))
        return places


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
