"""Searching only some documents, by collection, owner, kind or date; and what a question's words offer as such."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

from sqlalchemy import ColumnElement, func, or_, select

from ingest import schema
from ingest.access import Reader
from ingest.catalog import in_force, in_scope, readable
from ingest.database import Database
from ingest.errors import UsageError
from ingest.model import DocumentId

KINDS: Final[Mapping[str, tuple[str, ...]]] = {  # how media types begin
    "pdf": ("application/pdf",),
    "word": ("application/vnd.openxmlformats-officedocument.wordprocessingml",
             "application/vnd.oasis.opendocument.text", "application/rtf", "text/rtf"),
    "slides": ("application/vnd.openxmlformats-officedocument.presentationml",
               "application/vnd.oasis.opendocument.presentation"),
    "spreadsheet": ("application/vnd.openxmlformats-officedocument.spreadsheetml", "text/csv",
                    "text/tab-separated-values", "application/vnd.oasis.opendocument.spreadsheet"),
    "mail": ("message/rfc822", "application/vnd.ms-outlook"),
    "web": ("text/html", "application/xhtml"),
    "text": ("text/plain", "text/markdown", "text/x-rst"),
    "picture": ("image/",),
}  # fmt: skip
KIND_LABELS: Final[Mapping[str, str]] = {
    "pdf": "PDF files", "word": "word processor files", "slides": "slides", "spreadsheet": "spreadsheets",
    "mail": "mails", "web": "web pages", "text": "text files", "picture": "pictures",
}  # fmt: skip
_SAID: Final = {
    "pdf": "pdfs?", "word": "word (?:files?|documents?)", "slides": "slides?|presentations?|powerpoints?|decks?",
    "spreadsheet": "spreadsheets?|excel (?:files?|sheets?)|workbooks?", "mail": "e-?mails?|mails?",
    "web": "web ?pages?", "picture": "scans?|pictures?|photos?",
}  # fmt: skip
_MONTH: Final = "january|february|march|april|may|june|july|august|september|october|november|december"


@dataclass(frozen=True, slots=True)
class Narrowing:
    """Which documents are searched; what is None is not asked for."""

    owner: str | None = None
    kind: str | None = None  # one of KINDS
    since: date | None = None  # changed on this day or later
    before: date | None = None  # changed before this day

    def __bool__(self) -> bool:
        return self != Narrowing()

    def in_words(self) -> tuple[str, ...]:
        said = (
            self.owner and f"documents of {self.owner}",
            self.kind and KIND_LABELS[self.kind],
            self.since and f"changed since {self.since}",
            self.before and f"changed before {self.before}",
        )
        return tuple(one for one in said if one)


@dataclass(frozen=True, slots=True)
class Offer:
    """A way to narrow a search that the words of a question suggest; a person decides."""

    words: str  # of the question
    label: str  # in words: "only documents of Ada"
    narrowing: Narrowing
    collection: str | None = None


def documents_of(
    database: Database, reader: Reader, narrowing: Narrowing, collection: str | None = None
) -> list[DocumentId]:
    """The readable documents that a narrowing leaves.

    Raises:
        UsageError: the kind is not known, or the dates exclude everything.
    """
    d, v = schema.document, schema.version
    query = (
        select(d.c.id)
        .join(v, (v.c.document_id == d.c.id) & (v.c.number == d.c.current_version))
        .where(readable(reader), in_scope(collection), in_force(), *_conditions(narrowing))
    )
    with database.reading(reader) as connection:
        return [DocumentId(one) for one in connection.scalars(query)]


def _conditions(narrowing: Narrowing) -> Iterable[ColumnElement[bool]]:
    d, v = schema.document, schema.version
    if narrowing.owner is not None:
        yield func.lower(d.c.owner) == narrowing.owner.lower()
    if narrowing.kind is not None:
        if narrowing.kind not in KINDS:
            raise UsageError(f"{narrowing.kind!r} is not a kind of document. Use one of: {', '.join(KINDS)}.")
        yield or_(*(v.c.media_type.startswith(start, autoescape=True) for start in KINDS[narrowing.kind]))
    if narrowing.since and narrowing.before and narrowing.since >= narrowing.before:
        raise UsageError(f"No day is on or after {narrowing.since} and before {narrowing.before}. Change one of them.")
    if narrowing.since is not None:
        yield d.c.updated_at >= narrowing.since
    if narrowing.before is not None:
        yield d.c.updated_at < narrowing.before


def offers(question: str, *, collections: Iterable[str], owners: Iterable[str], today: date) -> list[Offer]:
    """What a question's words suggest to narrow the search to; at most one of each sort."""
    found = []
    for name in sorted(collections, key=len, reverse=True):
        match = name and re.search(rf"\b(?:in|from|within|of) (?:the )?({re.escape(name)})\b", question, re.IGNORECASE)
        if match:
            found.append(Offer(match[0], f"only the collection {name}", Narrowing(), name))
            break
    for owner in sorted(owners, key=len, reverse=True):
        match = owner and re.search(rf"\b(?:by|from|of|owned by) ({re.escape(owner)})\b", question, re.IGNORECASE)
        if match:
            found.append(Offer(match[0], f"only documents of {owner}", Narrowing(owner=owner)))
            break
    for kind, words in _SAID.items():
        match = re.search(rf"\b(?:in|from|on) (?:the |a |an |our )?({words})\b", question, re.IGNORECASE)
        if match:
            found.append(Offer(match[0], f"only {KIND_LABELS[kind]}", Narrowing(kind=kind)))
            break
    dated = _dated(question, today)
    if dated is not None:
        found.append(dated)
    return found


def _dated(question: str, today: date) -> Offer | None:
    match = re.search(
        rf"\b(since|after|newer than|before|older than|until) (?:({_MONTH}) )?(20\d\d|19\d\d)\b",
        question,
        re.IGNORECASE,
    )
    if match:
        month = _MONTH.split("|").index(match[2].lower()) + 1 if match[2] else 1
        day = date(int(match[3]), month, 1)
        if match[1].lower() in ("before", "older than", "until"):
            return Offer(match[0], f"only documents changed before {day}", Narrowing(before=day))
        if match[1].lower() in ("after", "newer than"):
            day = _next_month(day) if match[2] else day.replace(year=day.year + 1)
        return Offer(match[0], f"only documents changed since {day}", Narrowing(since=day))
    match = re.search(r"\b(?:in the )?(?:last|past) (week|month|quarter|year)\b", question, re.IGNORECASE)
    if match:
        day = today - timedelta(days={"week": 7, "month": 31, "quarter": 92, "year": 366}[match[1].lower()])
        return Offer(match[0], f"only documents changed since {day}", Narrowing(since=day))
    return None


def _next_month(day: date) -> date:
    return date(day.year + day.month // 12, day.month % 12 + 1, 1)
