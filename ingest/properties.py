"""What an owner says about a document: whose it is, when it is to be reviewed, from when to when it answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from sqlalchemy import Connection, Row, select, update

from ingest import schema
from ingest.access import Reader
from ingest.audit import record
from ingest.catalog import readable
from ingest.database import Database
from ingest.errors import UsageError
from ingest.model import DocumentId
from ingest.storing import note_change


@dataclass(frozen=True, slots=True)
class Keep:
    """Stands for a property that is left as it is; None takes one away."""


KEEP: Final = Keep()
LONGEST: Final = 500  # characters of a title or an owner's name


class Properties:
    """Sets what owners say of their documents. The doors decide who may."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def set(
        self,
        document: DocumentId,
        *,
        by: Reader,
        owner: str | Keep | None = KEEP,
        review_by: date | Keep | None = KEEP,
        effective_from: date | Keep | None = KEEP,
        expires_on: date | Keep | None = KEEP,
        superseded_by: DocumentId | Keep | None = KEEP,
        title: str | Keep = KEEP,
    ) -> None:
        """Change what is given, in one transaction with its audit event. Holds at every door when this returns.

        Args:
            effective_from: the first day on which it answers.
            expires_on: the first day on which it no longer answers.
            title: shown from now on; the next version that is taken in brings its own.

        Raises:
            UsageError: `by` may not read the document or its successor, or what is asked contradicts itself.
        """
        given: dict[str, Any] = {
            name: value
            for name, value in {
                "owner": owner, "review_by": review_by, "effective_from": effective_from, "expires_on": expires_on,
                "superseded_by": superseded_by, "title": title,
            }.items()
            if not isinstance(value, Keep)
        }  # fmt: skip
        if "owner" in given:
            given["owner"] = _short("owner", given["owner"] or "")
        if "title" in given:
            given["title"] = _short("title", given["title"])
            if not given["title"]:
                raise UsageError("A document's title cannot be empty. Give it one.")
        if not given:
            return
        d = schema.document
        with self._database.working() as connection:
            row = _document(connection, by, document, "document")
            after = {**row._mapping, **given}
            _refuse_dates(after)
            if given.get("superseded_by") is not None:
                _document(connection, by, given["superseded_by"], "superseding document")
                _refuse_circle(connection, document, given["superseded_by"])
            connection.execute(update(d).where(d.c.id == document).values(given))
            note_change(connection, document)
            told = {name: str(value) for name, value in given.items() if name not in ("title", "owner")}
            told |= {name: "changed" for name in ("title", "owner") if name in given}
            record(connection, by, "document.properties", document, told)


def _document(connection: Connection, by: Reader, wanted: DocumentId, what: str) -> Row:
    d = schema.document
    row = connection.execute(select(d).where(d.c.id == wanted, readable(by)).with_for_update()).one_or_none()
    if row is None:
        raise UsageError(f"There is no {what} {str(wanted)!r} that you may read. `quoth documents` lists them.")
    return row


def _short(name: str, value: str) -> str:
    value = " ".join(value.split())
    if len(value) > LONGEST:
        raise UsageError(f"The {name} has {len(value)} characters. Give at most {LONGEST}.")
    return value


def _refuse_dates(after: Mapping[str, Any]) -> None:
    begins, ends = after["effective_from"], after["expires_on"]
    if begins is not None and ends is not None and ends <= begins:
        raise UsageError(
            f"A document that takes effect on {begins} and expires on {ends} would never answer. Let it expire after "
            "the day it takes effect, or take one of the two dates away."
        )


def _refuse_circle(connection: Connection, document: DocumentId, successor: DocumentId) -> None:
    """Refuse a chain of successors that leads back to the document."""
    d = schema.document
    if successor == document:
        raise UsageError("A document cannot supersede itself. Name the document that replaces it, or none.")
    seen = {document}
    at: Any = successor
    while at is not None:
        if at in seen:
            raise UsageError(
                f"{str(successor)!r} is itself superseded, in the end by this document: a circle. Take away its "
                "successor first."
            )
        seen.add(at)
        at = connection.scalar(select(d.c.superseded_by).where(d.c.id == at))
