"""Runs of retrieval as they are kept: what was measured on which collection, and each query's values, by ids alone."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Column, DateTime, Row, Table, Text, delete, insert, select, text
from sqlalchemy.dialects.postgresql import JSONB

from evals.answers_run import PACKAGES
from evals.comparing import Difference, differences
from evals.retrieval_run import RetrievalRun, run_json
from evals.run_store import ID_LEAST_CHARS, Runs, code_digest
from ingest import audit, schema
from ingest.access import LOCAL, Reader
from ingest.errors import UsageError

if TYPE_CHECKING:
    from assistant.bootstrap import Quoth

PREFIX: Final = "r"  # of ids, so that they are told from those of answers

eval_retrieval = Table(
    "eval_retrieval",
    schema.metadata,
    Column("id", Text, primary_key=True),
    Column("finished_at", DateTime(timezone=True), nullable=False, server_default=text("clock_timestamp()")),
    Column("name", Text, nullable=False),
    Column("collection", Text, nullable=False),
    Column("index_sha256", Text, nullable=False),
    Column("code", Text, nullable=False),
    Column("settings", JSONB, nullable=False),
    Column("result", JSONB, nullable=False),  # as `quoth eval retrieval --json` prints it
    Column("per_query", JSONB, nullable=False),  # "STAGE MEASURE" -> query id -> value
)


@dataclass(frozen=True, slots=True)
class KeptRetrieval:
    """A kept run."""

    id: str
    finished_at: datetime
    name: str  # of the collection's folder
    collection: str  # its name says which corpus
    index_sha256: str
    code: str
    settings: Mapping[str, Any]
    result: Mapping[str, Any]
    per_query: Mapping[str, Mapping[str, float]]


@dataclass(frozen=True, slots=True)
class RetrievalComparison:
    before: str
    after: str
    queries: int  # that both have
    differences: tuple[Difference, ...]
    changed: tuple[str, ...]  # settings and the like that differ, in words


class RetrievalRuns:
    """The retrieval runs of one store. They belong to its operators."""

    def __init__(self, quoth: Quoth) -> None:
        self._quoth = quoth
        self._database = quoth.database

    def keep(self, run: RetrievalRun) -> KeptRetrieval:
        """Keep a run with all that decided what it found."""
        settings = {
            "embedder": self._quoth.embedder.space,
            "reranker": self._quoth.settings.reranker,
            "k": run.k,
            "depth": run.depth,
        }
        per_query = {
            f"{stage} {name}": {query: round(value, 6) for query, value in values.items()}
            for stage, scores in run.stages.items()
            for name, values in scores.per_query.items()
            if scores.means[name] is not None
        }
        root = Path(__file__).parents[1]
        values = {
            "id": PREFIX + uuid.uuid4().hex[:11],
            "name": run.name,
            "collection": run.collection,
            "index_sha256": Runs(self._database).index_state(run.collection),
            "code": code_digest([root / name for name in PACKAGES]),
            "settings": settings,
            "result": run_json(run),
            "per_query": per_query,
        }
        with self._database.counting(LOCAL) as connection:
            return _kept(connection.execute(insert(eval_retrieval).values(values).returning(eval_retrieval)).one())

    def list(self) -> list[KeptRetrieval]:
        """Every run, the latest first."""
        query = select(eval_retrieval).order_by(eval_retrieval.c.finished_at.desc(), eval_retrieval.c.id)
        with self._database.reading(LOCAL) as connection:
            return [_kept(row) for row in connection.execute(query)]

    def find(self, reference: str) -> KeptRetrieval:
        """The run of an id or of the start of one.

        Raises:
            UsageError: there is none, or there are several.
        """
        query = select(eval_retrieval).where(eval_retrieval.c.id.startswith(reference, autoescape=True)).limit(2)
        with self._database.reading(LOCAL) as connection:
            rows = connection.execute(query).all() if len(reference) >= ID_LEAST_CHARS else []
        if len(rows) != 1:
            many = "several runs" if rows else "no run"
            raise UsageError(f"{reference!r} names {many} of retrieval. `quoth eval list` names those that are kept.")
        return _kept(rows[0])

    def delete(self, run: str, *, by: Reader = LOCAL) -> None:
        """Forget a run; the audit keeps who did."""
        with self._database.recording(LOCAL) as connection:
            gone = connection.execute(delete(eval_retrieval).where(eval_retrieval.c.id == run))
            if gone.rowcount:
                audit.record(connection, by, "eval.run.deleted", None, {"run": run, "kind": "retrieval"})


def compare_retrieval(before: KeptRetrieval, after: KeptRetrieval) -> RetrievalComparison:
    """Two runs query by query, the former first: paired randomisation tests, corrected for their number.

    Raises:
        UsageError: they are of different collections.
    """
    if before.collection != after.collection:
        raise UsageError(
            f"{before.id} is of {before.name!r}, {after.id} of another collection, {after.name!r}. Compare runs of one."
        )
    shared = set.intersection(*({query for of in run.per_query.values() for query in of} for run in (before, after)))
    changed = [
        f"{name}: {before.settings.get(name)}, then {after.settings.get(name)}"
        for name in sorted({*before.settings, *after.settings})
        if before.settings.get(name) != after.settings.get(name)
    ]
    if before.code != after.code:
        changed.append("the program")
    if before.index_sha256 != after.index_sha256:
        changed.append("the indexed documents")
    found = differences(before.per_query, after.per_query, shared)
    return RetrievalComparison(before.id, after.id, len(shared), found, tuple(changed))


def retrieval_line(one: KeptRetrieval) -> str:
    """For a list."""
    last = one.result["stages"]["reranked"]
    ndcg = last.get("nDCG@10")
    return (
        f"{one.id}  {one.finished_at:%Y-%m-%d %H:%M}  {one.result['scored']:5} queries  {one.name}  retrieval, "
        f"nDCG@10 {'-' if ndcg is None else format(ndcg, '.3f')}"
    )


def retrieval_table(found: RetrievalComparison) -> str:
    """For a person."""
    lines = [f"{found.before} and {found.after}: {found.queries} queries that both have", ""]
    for one in found.differences:
        span = f"[{one.interval[0]:+.3f}, {one.interval[1]:+.3f}]" if one.interval else ""
        lines.append(
            f"{one.name:<22}{one.before:.3f} -> {one.after:.3f}  {one.mean:+.3f} {span}  p {one.p_holm:.3f}  "
            f"{one.verdict}"
        )
    lines += ["", *(f"changed: {words}" for words in found.changed)]
    return "\n".join(lines).rstrip()


def _kept(row: Row) -> KeptRetrieval:
    return KeptRetrieval(
        row.id, row.finished_at, row.name, row.collection, row.index_sha256, row.code, row.settings, row.result,
        row.per_query,
    )  # fmt: skip
