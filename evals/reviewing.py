"""What people say of a run: whether a statement is supported by what it cites, and what really became of a case.

Labels and overrides hold no words of documents. They belong to their run and go with it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal, get_args

from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    Integer,
    Table,
    Text,
    func,
    insert,
    select,
    text,
)
from sqlalchemy.dialects.postgresql import insert as upsert

from evals.answers_run import AnswersRun
from evals.case_scores import uncited
from evals.comparing import ORDER
from ingest import audit, schema
from ingest.access import LOCAL, Reader
from ingest.database import Database
from ingest.errors import UsageError

Label = Literal["supported", "partly", "not", "skipped"]
LABELS: Final[tuple[Label, ...]] = get_args(Label)
MOST_REASON_CHARS: Final = 500
_CLOCK: Final = text("clock_timestamp()")

eval_label = Table(
    "eval_label",
    schema.metadata,
    Column("run_id", Text, ForeignKey("eval_run.id", ondelete="CASCADE"), primary_key=True),
    Column("case_id", Text, primary_key=True),
    Column("claim", Integer, primary_key=True),  # from 0
    Column("reviewer", Text, primary_key=True),
    Column("label", Text, nullable=False),
    Column("given_at", DateTime(timezone=True), nullable=False, server_default=_CLOCK),
)

eval_override = Table(
    "eval_override",  # grows only: the latest of a case counts, and one without a verdict takes the former back
    schema.metadata,
    Column("number", BigInteger, Identity(always=True), primary_key=True),
    Column("run_id", Text, ForeignKey("eval_run.id", ondelete="CASCADE"), nullable=False),
    Column("case_id", Text, nullable=False),
    Column("verdict", Text),
    Column("reason", Text, nullable=False),
    Column("given_by", Text, nullable=False),
    Column("given_at", DateTime(timezone=True), nullable=False, server_default=_CLOCK),
    Index("eval_override_run", "run_id", "case_id"),
)


@dataclass(frozen=True, slots=True, order=True)
class ClaimKey:
    """One statement of one case of one run."""

    run: str
    case: str
    claim: int  # from 0


@dataclass(frozen=True, slots=True)
class Labelled:
    """What one person said of one statement."""

    key: ClaimKey
    reviewer: str
    label: Label


@dataclass(frozen=True, slots=True)
class Override:
    """What a person says became of a case, whatever the rules say."""

    case: str
    verdict: str | None  # a failure class; None: the rules' verdict stands again
    reason: str
    by: str
    at: datetime


class Reviews:
    """Labels and overrides of one store. Callers see to it that whoever gives them is an evaluator."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def label(self, key: ClaimKey, label: Label, *, by: Reader) -> None:
        """Keep what `by` says of a statement; said again, it replaces what they said before.

        Raises:
            UsageError: no such label.
        """
        if label not in LABELS:
            raise UsageError(f"{label!r} is no label. Use one of {', '.join(LABELS)}.")
        values = {"run_id": key.run, "case_id": key.case, "claim": key.claim, "reviewer": by.name, "label": label}
        with self._database.counting(LOCAL) as connection:
            connection.execute(
                upsert(eval_label)
                .values(values)
                .on_conflict_do_update(
                    index_elements=["run_id", "case_id", "claim", "reviewer"],
                    set_={"label": label, "given_at": func.clock_timestamp()},
                )
            )

    def labels(self, runs: Sequence[str]) -> list[Labelled]:
        """Everybody's labels of some runs."""
        query = select(eval_label).where(eval_label.c.run_id.in_(runs)).order_by(
            eval_label.c.run_id, eval_label.c.case_id, eval_label.c.claim, eval_label.c.reviewer
        )  # fmt: skip
        with self._database.reading(LOCAL) as connection:
            return [
                Labelled(ClaimKey(row.run_id, row.case_id, row.claim), row.reviewer, row.label)
                for row in connection.execute(query)
            ]

    def override(self, run: str, case: str, verdict: str | None, reason: str, *, by: Reader) -> None:
        """Say what became of a case.

        Args:
            verdict: a failure class, or None to let the rules' verdict stand again.

        Raises:
            UsageError: no such class, no reason, or one that is too long.
        """
        words = reason.replace("\x00", "").strip()
        if verdict is not None and verdict not in ORDER:
            raise UsageError(f"{verdict!r} is none of what becomes of a case. Use one of {', '.join(ORDER)}.")
        if not words or len(words) > MOST_REASON_CHARS:
            raise UsageError(f"Give a reason, of {MOST_REASON_CHARS} characters at most.")
        values = {"run_id": run, "case_id": case, "verdict": verdict, "reason": words, "given_by": by.name}
        with self._database.recording(LOCAL) as connection:
            connection.execute(insert(eval_override).values(values))
            audit.record(connection, by, "eval.override", None, {"run": run, "case": case, "verdict": verdict})

    def overrides(self, run: str) -> dict[str, list[Override]]:
        """What people said of each case of a run, the latest last."""
        query = select(eval_override).where(eval_override.c.run_id == run).order_by(eval_override.c.number)
        found: dict[str, list[Override]] = {}
        with self._database.reading(LOCAL) as connection:
            for row in connection.execute(query):
                one = Override(row.case_id, row.verdict, row.reason, row.given_by, row.given_at)
                found.setdefault(row.case_id, []).append(one)
        return found


def to_review(runs: Sequence[AnswersRun]) -> list[ClaimKey]:
    """The statements that a judge was asked about, of all runs together, in an order that says nothing of where they
    come from and is the same for every reviewer, so that two of them label the same ones first.
    """
    keys = [
        ClaimKey(run.id, record.case_id, at)
        for run in runs
        for record in run.records
        if record.answer is not None
        for at, claim in enumerate(record.outcome.claims)
        if claim.judged and not uncited(claim)
    ]
    return sorted(keys, key=lambda key: hashlib.sha256(f"{key.run}\0{key.case}\0{key.claim}".encode()).digest())
