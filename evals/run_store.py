"""Evaluation runs as they are kept: settings, versions and each case's record, without a word of any document.

What a case was answered with stays where answers are kept (`assistant.records`), which forgets the words of a document
that is removed; a record holds its id, spans and numbers, so that runs can be compared long after.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    Row,
    Table,
    Text,
    delete,
    func,
    insert,
    select,
    text,
    update,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.dialects.postgresql import insert as upsert

from ingest import audit, schema
from ingest.access import LOCAL, Reader
from ingest.catalog import in_scope
from ingest.database import Database
from ingest.errors import UsageError

ID_LEAST_CHARS: Final = 4  # of a run's id, that name it

eval_run = Table(
    "eval_run",
    schema.metadata,
    Column("id", Text, primary_key=True),
    Column("key", Text, nullable=False),  # equal for runs that would do the same: an unfinished one is gone on with
    Column("started_at", DateTime(timezone=True), nullable=False, server_default=schema.NOW),
    Column("finished_at", DateTime(timezone=True)),
    Column("cases_name", Text, nullable=False),
    Column("cases_sha256", Text, nullable=False),
    Column("cases", Integer, nullable=False),
    Column("index_sha256", Text, nullable=False),
    Column("code", Text, nullable=False),
    Column("seed", BigInteger, nullable=False),
    Column("settings", JSONB, nullable=False),
    Index("eval_run_key", "key"),
)

eval_case = Table(
    "eval_case",
    schema.metadata,
    Column("run_id", Text, ForeignKey("eval_run.id", ondelete="CASCADE"), primary_key=True),
    Column("ordinal", Integer, primary_key=True),
    Column("case_id", Text, nullable=False),
    Column("record", JSONB, nullable=False),
)


class RunIsHeld(UsageError):
    """Another process works on the run."""


@dataclass(frozen=True, slots=True)
class RunFacts:
    """All that decides what a run finds, but for chance: who has the same facts measures the same."""

    cases_name: str
    cases_sha256: str
    cases: int
    index_sha256: str  # of the documents that are searched: names, versions, words, readers
    code: str  # of the program's own source
    seed: int
    settings: Mapping[str, Any]

    @property
    def key(self) -> str:
        """What an unfinished run is recognised by; the file's name is none of it."""
        decisive = [self.cases_sha256, self.index_sha256, self.code, self.seed, dict(self.settings)]
        return hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class KeptRun:
    """A run's first line; `done` of its cases are kept."""

    id: str
    facts: RunFacts
    started_at: datetime
    finished_at: datetime | None
    done: int


class Runs:
    """The evaluation runs of one store. They belong to its operators."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def begin(self, facts: RunFacts) -> KeptRun:
        with self._database.counting(LOCAL) as connection:
            new = uuid.uuid4().hex[:12]
            values = {
                "id": new,
                "key": facts.key,
                "cases_name": facts.cases_name,
                "cases_sha256": facts.cases_sha256,
                "cases": facts.cases,
                "index_sha256": facts.index_sha256,
                "code": facts.code,
                "seed": facts.seed,
                "settings": dict(facts.settings),
            }
            row = connection.execute(insert(eval_run).values(values).returning(eval_run)).one()
        return _kept(row, 0)

    def unfinished(self, facts: RunFacts) -> KeptRun | None:
        """The latest unfinished run with these facts that no living process works on."""
        query = (
            select(eval_run.c.id)
            .where(eval_run.c.key == facts.key, eval_run.c.finished_at.is_(None))
            .order_by(eval_run.c.started_at.desc())
        )
        with self._database.reading(LOCAL) as connection:
            waiting = list(connection.scalars(query))
            held = {one for one in waiting if connection.scalar(text(_HELD), {"name": _lock_name(one)})}
        free = [one for one in waiting if one not in held]
        return self.find(free[0]) if free else None

    def find(self, reference: str) -> KeptRun:
        """The run of an id, of the start of one, or the latest finished one for `latest`.

        Raises:
            UsageError: there is none, or there are several.
        """
        query = _with_counts()
        if reference == "latest":
            query = query.where(eval_run.c.finished_at.is_not(None)).order_by(eval_run.c.started_at.desc()).limit(1)
        else:
            query = query.where(eval_run.c.id.startswith(reference, autoescape=True))
        with self._database.reading(LOCAL) as connection:
            rows = connection.execute(query).all() if reference else []
        exact = [row for row in rows if row.id == reference] or rows
        if not exact or (len(reference) < ID_LEAST_CHARS and exact[0].id != reference):
            raise UsageError(f"There is no run {reference!r}. `quoth eval list` names those that are kept.")
        if len(exact) > 1:
            raise UsageError(
                f"{reference!r} names several runs: {', '.join(row.id for row in exact)}. Write more of it."
            )
        return _kept(exact[0], exact[0].done)

    def list(self) -> list[KeptRun]:
        """Every run, the latest first."""
        with self._database.reading(LOCAL) as connection:
            rows = connection.execute(_with_counts().order_by(eval_run.c.started_at.desc(), eval_run.c.id)).all()
        return [_kept(row, row.done) for row in rows]

    def keep(self, run: str, ordinal: int, case_id: str, record: Mapping[str, Any]) -> None:
        """Keep one case's record, in a transaction of its own."""
        made = upsert(eval_case).values(run_id=run, ordinal=ordinal, case_id=case_id, record=dict(record))
        with self._database.counting(LOCAL) as connection:
            connection.execute(
                made.on_conflict_do_update(
                    index_elements=["run_id", "ordinal"], set_={"record": made.excluded.record, "case_id": case_id}
                )
            )

    def records(self, run: str) -> dict[int, dict[str, Any]]:
        """The kept records by their place in the file of cases."""
        query = (
            select(eval_case.c.ordinal, eval_case.c.record)
            .where(eval_case.c.run_id == run)
            .order_by(eval_case.c.ordinal)
        )
        with self._database.reading(LOCAL) as connection:
            return {row.ordinal: row.record for row in connection.execute(query)}

    def finish(self, run: str) -> None:
        with self._database.counting(LOCAL) as connection:
            connection.execute(update(eval_run).where(eval_run.c.id == run).values(finished_at=func.clock_timestamp()))

    def delete(self, run: str, *, by: Reader = LOCAL) -> None:
        """Forget a run; the audit keeps who did. The answers that it asked for stay until conversations expire."""
        with self._database.recording(LOCAL) as connection:
            gone = connection.execute(delete(eval_run).where(eval_run.c.id == run).returning(eval_run.c.cases_sha256))
            if (digest := gone.scalar_one_or_none()) is not None:
                audit.record(connection, by, "eval.run.deleted", None, {"run": run, "cases": digest[:12]})

    @contextmanager
    def held(self, run: str) -> Iterator[None]:
        """Hold a run while working on it; the database lets go of it when this process dies.

        Raises:
            RunIsHeld: another process works on it.
        """
        with self._database.engine("worker").connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            name = {"name": _lock_name(run)}
            if not connection.scalar(text("select pg_try_advisory_lock(hashtext(:name))"), name):
                raise RunIsHeld(f"Another process is working on run {run!r}. Wait for it, or give --fresh.")
            try:
                yield
            finally:
                connection.execute(text("select pg_advisory_unlock(hashtext(:name))"), name)

    def index_state(self, collection: str | None) -> str:
        """A digest of what is searched: names, versions, words and readers of the documents in scope."""
        d, v = schema.document, schema.version
        query = (
            select(d.c.collection, d.c.source, d.c.current_version, d.c.readers, d.c.index_profile, v.c.text_sha256)
            .join(v, (v.c.document_id == d.c.id) & (v.c.number == d.c.current_version))
            .where(in_scope(collection))
            .order_by(d.c.collection, d.c.source)
        )
        digest = hashlib.sha256()
        with self._database.reading(LOCAL) as connection:
            for row in connection.execute(query):
                digest.update(
                    json.dumps([*row[:3], sorted(row.readers), row.index_profile, row.text_sha256.hex()]).encode()
                )
        return digest.hexdigest()[:32]


_HELD: Final = (
    "select exists (select from pg_locks where locktype = 'advisory' and objsubid = 1 and granted"
    " and ((classid::bigint << 32) | objid::bigint) = hashtext(:name)::bigint)"
)


def _lock_name(run: str) -> str:
    return f"quoth.eval.{run}"


def _with_counts() -> Any:
    done = select(func.count()).where(eval_case.c.run_id == eval_run.c.id).scalar_subquery().label("done")
    return select(eval_run, done)


def _kept(row: Row, done: int) -> KeptRun:
    facts = RunFacts(
        row.cases_name, row.cases_sha256, row.cases, row.index_sha256, row.code, row.seed, dict(row.settings)
    )
    return KeptRun(row.id, facts, row.started_at, row.finished_at, done)


def code_digest(folders: Sequence[Any]) -> str:
    """A digest of the source files of some packages, with their places."""
    digest = hashlib.sha256()
    for folder in folders:
        for file in sorted(folder.rglob("*.py")):
            digest.update(str(file.relative_to(folder.parent)).encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()[:12]
