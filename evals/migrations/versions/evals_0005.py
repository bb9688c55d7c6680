"""Runs of retrieval, kept as those of answers are."""

from alembic import op

revision = "evals_0005"
down_revision = "evals_0004"
branch_labels = None
depends_on = None

RUNS = """
    CREATE TABLE eval_retrieval (
        id TEXT NOT NULL PRIMARY KEY,
        finished_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
        name TEXT NOT NULL,
        collection TEXT NOT NULL,
        index_sha256 TEXT NOT NULL,
        code TEXT NOT NULL,
        settings JSONB NOT NULL,
        result JSONB NOT NULL,
        per_query JSONB NOT NULL
    )"""


def upgrade() -> None:
    op.execute(RUNS)
    rule = "'*' = any((select quoth_principals())::text[])"
    op.execute("alter table eval_retrieval enable row level security")
    op.execute(f"create policy operators on eval_retrieval to quoth_reader using ({rule}) with check ({rule})")
    op.execute("create policy worker on eval_retrieval to quoth_worker using (true) with check (true)")
    op.execute("grant select, insert, update, delete on eval_retrieval to quoth_reader, quoth_worker")
    op.execute("grant select on eval_retrieval to quoth_backup")


def downgrade() -> None:
    raise NotImplementedError("Restore a backup of before instead.")
