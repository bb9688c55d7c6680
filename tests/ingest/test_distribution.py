"""The schema keeps the rules that distributing it by document asks for (ingest/citus.md)."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from sqlalchemy import text

from assistant.bootstrap import Quoth
from evals import proposing
from ingest import schema

ROOT = Path(__file__).parents[2]
DISTRIBUTED = {
    "document": "id",
    **dict.fromkeys(("version", "element", "page", "chunk", "chunk_vector", "eval_proposal"), "document_id"),
}
REFERENCE = {"embedding_space", "group_member"}


@pytest.mark.parametrize("table", DISTRIBUTED)
def test_a_key_starts_with_the_distribution_column(table: str) -> None:
    assert proposing.eval_proposal.metadata is schema.metadata
    keys = list(schema.metadata.tables[table].primary_key.columns)
    assert keys[0].name == DISTRIBUTED[table]


@pytest.mark.integration
def test_unique_indexes_hold_the_distribution_column(quoth: Quoth) -> None:
    with quoth.database.owning() as connection:
        rows = connection.execute(
            text("select tablename, indexdef from pg_indexes where schemaname = 'public' and indexdef like '%UNIQUE%'")
        ).all()
    broken = [
        row.indexdef
        for row in rows
        if row.tablename in DISTRIBUTED and not re.search(rf"\({DISTRIBUTED[row.tablename]}\b", row.indexdef)
    ]
    assert rows and not broken


@pytest.mark.integration
def test_foreign_keys_run_along_the_distribution_column(quoth: Quoth) -> None:
    with quoth.database.owning() as connection:
        rows = connection.execute(
            text(
                "select conrelid::regclass::text, confrelid::regclass::text, pg_get_constraintdef(oid)"
                " from pg_constraint where contype = 'f' and connamespace = 'public'::regnamespace"
            )
        ).all()
    seen = set()
    for source, target, definition in rows:
        if target in REFERENCE:
            continue
        assert (source in DISTRIBUTED) == (target in DISTRIBUTED), (source, target)
        if source in DISTRIBUTED:
            seen.add(source)
            assert re.match(
                rf"FOREIGN KEY \({DISTRIBUTED[source]}\b.*REFERENCES {target}\({DISTRIBUTED[target]}\b", definition
            ), definition
    assert seen == set(DISTRIBUTED) - {"document"}


@pytest.mark.integration
def test_no_distributed_table_has_a_trigger(quoth: Quoth) -> None:
    with quoth.database.owning() as connection:
        tables = connection.scalars(text("select tgrelid::regclass::text from pg_trigger where not tgisinternal")).all()
    assert not set(tables) & set(DISTRIBUTED)


def test_no_statement_skips_locked_rows() -> None:
    """None but those on tables that stay local: queues, counters of limits, conversations, what doors share."""
    found = [
        str(file.relative_to(ROOT))
        for folder in ("ingest", "retrieval", "assistant", "evals", "ui")
        for file in sorted((ROOT / folder).rglob("*.py"))
        if re.search(r"skip_locked|skip locked", file.read_text(encoding="utf-8"), re.IGNORECASE)
    ]
    local = ("budgets", "conversations", "shared_doors")
    assert found == ["ingest/queueing.py", *(f"assistant/{one}.py" for one in local), "evals/run_jobs.py"]
