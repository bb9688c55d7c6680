"""Evaluation runs and what became of each of their cases."""

from alembic import op

revision = "evals_0001"
down_revision = None
branch_labels = ("evals",)
depends_on = None

TABLES = (
    """
    CREATE TABLE eval_run (
        id TEXT NOT NULL,
        key TEXT NOT NULL,
        started_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
        finished_at TIMESTAMP WITH TIME ZONE,
        cases_name TEXT NOT NULL,
        cases_sha256 TEXT NOT NULL,
        cases INTEGER NOT NULL,
        index_sha256 TEXT NOT NULL,
        code TEXT NOT NULL,
        seed BIGINT NOT NULL,
        settings JSONB NOT NULL,
        PRIMARY KEY (id)
    )""",
    """
    CREATE INDEX eval_run_key ON eval_run (key)""",
    """
    CREATE TABLE eval_case (
        run_id TEXT NOT NULL,
        ordinal INTEGER NOT NULL,
        case_id TEXT NOT NULL,
        record JSONB NOT NULL,
        PRIMARY KEY (run_id, ordinal),
        FOREIGN KEY(run_id) REFERENCES eval_run (id) ON DELETE CASCADE
    )""",
)


def upgrade() -> None:
    for statement in TABLES:
        op.execute(statement)
    # a run spans what every reader may read: only who reads all of it sees runs
    rule = "'*' = any((select quoth_principals())::text[])"
    for table in ("eval_run", "eval_case"):
        op.execute(f"alter table {table} enable row level security")
        op.execute(f"create policy operators on {table} to quoth_reader using ({rule}) with check ({rule})")
        op.execute(f"create policy worker on {table} to quoth_worker using (true) with check (true)")
        op.execute(f"grant select, insert, update, delete on {table} to quoth_reader, quoth_worker")
        op.execute(f"grant select on {table} to quoth_backup")


def downgrade() -> None:
    raise NotImplementedError("Restore a backup of before instead.")
