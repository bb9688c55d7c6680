"""Cases made of conversations, in files that the store keeps in versions: every change makes the next one.

A gold quote is kept as a span and read when the cases are listed, under the access of whoever lists them: removing a
document takes its words along, here as everywhere.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import (
    Boolean,
    Column,
    Connection,
    DateTime,
    ForeignKeyConstraint,
    Integer,
    Row,
    Table,
    Text,
    Uuid,
    cast,
    func,
    insert,
    or_,
    select,
    text,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from evals.cases import Case, case_from
from ingest import audit, schema
from ingest.access import LOCAL, Reader
from ingest.catalog import readable
from ingest.database import Database
from ingest.errors import UsageError
from ingest.model import Span

FILE_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
MOST_QUESTION_CHARS: Final = 2000
MOST_ID_CHARS: Final = 128

eval_case_file = Table(
    "eval_case_file",  # one row a version
    schema.metadata,
    Column("file", Text, primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("change", Text, nullable=False),
    Column("made_by", Text, nullable=False),
    Column("made_at", DateTime(timezone=True), nullable=False, server_default=text("clock_timestamp()")),
)

eval_file_case = Table(
    "eval_file_case",
    schema.metadata,
    Column("file", Text, primary_key=True),
    Column("case_id", Text, primary_key=True),
    Column("since", Integer, primary_key=True),  # the version that brought it
    Column("until", Integer),  # the first version without it
    Column("question", Text, nullable=False),
    Column("answerable", Boolean, nullable=False),
    Column("type", Text),
    Column("gold", JSONB, nullable=False),  # document, version, start and end of each
    Column("made_by", Text, nullable=False),
    Column("asked", JSONB, nullable=False, server_default=text("'{}'")),  # turns, groups and tags, where it has any
    ForeignKeyConstraint(["file", "since"], ["eval_case_file.file", "eval_case_file.version"]),
)


@dataclass(frozen=True, slots=True)
class GoldSpan:
    """A quote that a right answer cites, by its place."""

    document: uuid.UUID
    version: int
    span: Span


@dataclass(frozen=True, slots=True)
class NewCase:
    """What becomes a case."""

    question: str
    answerable: bool
    gold: tuple[GoldSpan, ...] = ()
    type: str | None = None
    turns: tuple[str, ...] = ()
    groups: tuple[str, ...] | None = None
    tags: tuple[str, ...] = ()
    id: str | None = None  # None: one is made

    @property
    def asked(self) -> dict[str, list[str]]:
        """How it is asked, as a file of cases has it; without what says nothing."""
        said = {"turns": self.turns or None, "groups": self.groups, "tags": self.tags or None}
        return {name: list(value) for name, value in said.items() if value is not None}


@dataclass(frozen=True, slots=True)
class KeptCase:
    """A case of a file, as somebody may read it."""

    id: str
    question: str
    answerable: bool
    type: str | None
    gold: tuple[dict[str, str], ...]  # source, collection and quote, as a file of cases has them
    lost: int  # gold quotes that are gone, or that this reader may not read
    made_by: str
    asked: Mapping[str, list[str]]  # turns, groups and tags, where it has any


@dataclass(frozen=True, slots=True)
class FileVersion:
    """One version of a file of cases."""

    file: str
    version: int  # from 1
    cases: int
    change: str
    made_by: str
    made_at: datetime


class KeptCases:
    """The files of cases of one store. Callers see to it that whoever changes them is an evaluator."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, file: str, case: NewCase, *, by: Reader) -> tuple[str, int]:
        """Put a case into a file, which is made where there is none.

        Returns:
            The case's id and the file's new version.

        Raises:
            UsageError: the name or the question cannot be used, gold and answerable disagree, or the file has a case
                with this question.
        """
        refused, added, version = self._put(file, [case], by)
        if refused:
            raise UsageError(refused[0][1])
        return added[0], version

    def add_many(self, file: str, cases: Sequence[NewCase], *, by: Reader) -> tuple[list[tuple[NewCase, str]], int]:
        """Put cases into a file as one version of it.

        Returns:
            Those that were refused, each with the reason in words; and the file's new version, or the one it had
            where all were refused.

        Raises:
            UsageError: the name cannot be used.
        """
        refused, _, version = self._put(file, cases, by)
        return refused, version

    def _put(self, file: str, cases: Sequence[NewCase], by: Reader) -> tuple[list[tuple[NewCase, str]], list[str], int]:
        if not FILE_NAME.fullmatch(file):
            raise UsageError(f"{file!r} cannot name a file of cases. Use letters, digits and . _ - up to 64 of them.")
        refused: list[tuple[NewCase, str]] = []
        rows: list[dict[str, Any]] = []
        with self._database.recording(LOCAL) as connection:
            latest = _lock_and_version(connection, file)
            c = eval_file_case.c
            had = connection.execute(select(c.case_id, c.question).where(c.file == file, _in_version(latest))).all()
            ids, questions = {row.case_id for row in had}, {row.question for row in had}
            for case in cases:
                question = " ".join(case.question.replace("\x00", "").split())
                case_id = case.id or uuid.uuid4().hex[:8]
                flaw = _flaw(case, question)
                if flaw is None and question in questions:
                    flaw = f"{file!r} has a case with this question already. Take that one out first."
                if flaw is None and case_id in ids:
                    flaw = f"{file!r} has a case {case_id!r} already. Take that one out first."
                if flaw is not None:
                    refused.append((case, flaw))
                    continue
                ids.add(case_id)
                questions.add(question)
                gold = [
                    {"document": str(one.document), "version": one.version, "start": start, "end": end}
                    for one in case.gold
                    for start, end in [one.span]
                ]
                rows.append(
                    {"file": file, "case_id": case_id, "since": latest + 1, "question": question,
                     "answerable": case.answerable, "type": case.type or None, "made_by": by.name, "gold": gold,
                     "asked": case.asked}
                )  # fmt: skip
            if not rows:
                return refused, [], latest
            added = [row["case_id"] for row in rows]
            told = f"added {added[0]}" if len(added) == 1 else f"added {len(added)} cases"
            version = _next_version(connection, file, latest, told, by)
            connection.execute(insert(eval_file_case), rows)
            what = {"case": added[0]} if len(added) == 1 else {"cases": len(added)}
            audit.record(connection, by, "eval.case.added", None, {"file": file, **what, "version": version})
        return refused, added, version

    def take_out(self, file: str, case_id: str, *, by: Reader) -> int:
        """Leave a case out from the next version on; former versions keep it. Returns that version.

        Raises:
            UsageError: the file's latest version has no such case.
        """
        with self._database.recording(LOCAL) as connection:
            latest = _lock_and_version(connection, file)
            version = _next_version(connection, file, latest, f"took out {case_id}", by)
            changed = connection.execute(
                update(eval_file_case)
                .where(eval_file_case.c.file == file, eval_file_case.c.case_id == case_id)
                .where(eval_file_case.c.until.is_(None))
                .values(until=version)
            )
            if not changed.rowcount:
                raise UsageError(f"{file!r} has no case {case_id!r}.")
            audit.record(connection, by, "eval.case.removed", None, {"file": file, "case": case_id, "version": version})
        return version

    def files(self) -> list[FileVersion]:
        """The latest version of each file, by name."""
        return [self.history(name)[0] for name in self._names()]

    def history(self, file: str) -> list[FileVersion]:
        """Each version of a file, the latest first."""
        f, c = eval_case_file, eval_file_case
        count = (
            select(func.count())
            .where(c.c.file == f.c.file, c.c.since <= f.c.version, or_(c.c.until.is_(None), c.c.until > f.c.version))
            .correlate(f)
            .scalar_subquery()
        )
        query = select(f, count.label("cases")).where(f.c.file == file).order_by(f.c.version.desc())
        with self._database.reading(LOCAL) as connection:
            return [
                FileVersion(row.file, row.version, row.cases, row.change, row.made_by, row.made_at)
                for row in connection.execute(query)
            ]

    def cases(self, file: str, reader: Reader, *, version: int | None = None) -> list[KeptCase]:
        """The cases of a version (the latest), their gold as `reader` may read it.

        Raises:
            UsageError: there is no such file or version.
        """
        known = [one.version for one in self.history(file)]
        wanted = version if version is not None else (known[0] if known else 0)
        if wanted not in known:
            named = file if version is None else f"{file}@{version}"
            raise UsageError(f"There is no file of cases {named!r}. `quoth eval cases` lists those that are kept.")
        query = (
            select(eval_file_case)
            .where(eval_file_case.c.file == file, _in_version(wanted))
            .order_by(eval_file_case.c.since, eval_file_case.c.case_id)
        )
        with self._database.reading(LOCAL) as connection:
            rows = connection.execute(query).all()
        spans = [one for row in rows for one in row.gold]
        with self._database.reading(reader) as connection:
            words = iter(_quotes(connection, reader, spans))
        return [_case(row, [next(words) for _ in row.gold]) for row in rows]

    def _names(self) -> list[str]:
        with self._database.reading(LOCAL) as connection:
            return list(connection.scalars(select(eval_case_file.c.file).distinct().order_by(eval_case_file.c.file)))


def cases_jsonl(cases: Sequence[KeptCase]) -> str:
    """As `quoth eval answers` reads them. A case whose gold cannot be read is left out: it would be another case."""
    lines: list[dict[str, Any]] = [
        {
            "id": one.id,
            "question": one.question,
            "answerable": one.answerable,
            **({"gold": list(one.gold)} if one.gold else {}),
            **({"type": one.type} if one.type else {}),
            **one.asked,
        }
        for one in cases
        if not one.lost
    ]
    return "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)


def as_cases(cases: Sequence[KeptCase]) -> tuple[Case, ...]:
    """To be run; without those whose gold cannot be read."""
    lines = [json.loads(line) for line in cases_jsonl(cases).split("\n") if line]
    return tuple(case_from(line, f"case {line['id']}") for line in lines)


def _flaw(case: NewCase, question: str) -> str | None:
    """Why it cannot be a case, in words."""
    if not question or len(question) > MOST_QUESTION_CHARS:
        return f"A case needs a question, of {MOST_QUESTION_CHARS:,} characters at most."
    if case.answerable and not case.gold:
        return "Choose what a right answer must cite."
    if case.gold and not case.answerable:
        return "A case that the documents do not answer has nothing to cite. Clear its quotations."
    if case.id is not None and not (case.id.strip() and case.id.isprintable() and len(case.id) <= MOST_ID_CHARS):
        return f"The id {case.id[:40]!r} cannot be used: {MOST_ID_CHARS} characters that can be shown, at most."
    return None


def _lock_and_version(connection: Connection, file: str) -> int:
    """The latest version, which nobody else changes meanwhile; 0 where there is no such file."""
    connection.execute(text("select pg_advisory_xact_lock(hashtext(:name))"), {"name": f"quoth.cases.{file}"})
    latest = select(func.max(eval_case_file.c.version)).where(eval_case_file.c.file == file)
    return connection.scalar(latest) or 0


def _next_version(connection: Connection, file: str, latest: int, change: str, by: Reader) -> int:
    values = {"file": file, "version": latest + 1, "change": change, "made_by": by.name}
    connection.execute(insert(eval_case_file).values(values))
    return latest + 1


def _in_version(version: int) -> Any:
    c = eval_file_case.c
    return (c.since <= version) & or_(c.until.is_(None), c.until > version)


def _quotes(connection: Connection, reader: Reader, spans: Sequence[Mapping[str, Any]]) -> list[dict[str, str] | None]:
    """The words at each span with their source, in order; None for what is gone or not for this reader."""
    d, v = schema.document, schema.version
    wanted = (
        select(
            func.unnest(cast([one["document"] for one in spans], ARRAY(Uuid))).label("document"),
            func.unnest(cast([one["version"] for one in spans], ARRAY(Integer))).label("version"),
            func.unnest(cast([one["start"] for one in spans], ARRAY(Integer))).label("start"),
            func.unnest(cast([one["end"] for one in spans], ARRAY(Integer))).label("until"),
            func.unnest(cast(list(range(len(spans))), ARRAY(Integer))).label("at"),
        )
    ).subquery()
    w = wanted.c
    query = (
        select(
            w.at, d.c.source, d.c.collection,
            func.substring(v.c.canonical_text, w.start + 1, w.until - w.start).label("quote"),
        )
        .join(d, d.c.id == w.document)
        .join(v, (v.c.document_id == d.c.id) & (v.c.number == w.version))
        .where(readable(reader))
    )  # fmt: skip
    found: list[dict[str, str] | None] = [None] * len(spans)
    for row in connection.execute(query) if spans else ():
        if row.quote:
            found[row.at] = {"source": row.source, "collection": row.collection, "quote": row.quote}
    return found


def _case(row: Row[Any], gold: Sequence[dict[str, str] | None]) -> KeptCase:
    known = tuple(one for one in gold if one is not None)
    lost = len(gold) - len(known)
    return KeptCase(row.case_id, row.question, row.answerable, row.type, known, lost, row.made_by, row.asked)
