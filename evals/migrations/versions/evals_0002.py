"""What people say of runs' claims and cases, and cases that are kept in versions; without a document's words."""

from alembic import op

revision = "evals_0002"
down_revision = "evals_0001"
branch_labels = None
depends_on = None

TABLES = (
    """
    CREATE TABLE eval_label (
        run_id TEXT NOT NULL,
        case_id TEXT NOT NULL,
        claim INTEGER NOT NULL,
        reviewer TEXT NOT NULL,
        label TEXT NOT NULL CHECK (label IN ('supported', 'partly', 'not', 'skipped')),
        given_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
        PRIMARY KEY (run_id, case_id, claim, reviewer),
        FOREIGN KEY(run_id) REFERENCES eval_run (id) ON DELETE CASCADE
    )""",
    """
    CREATE TABLE eval_override (
        number BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        run_id TEXT NOT NULL,
        case_id TEXT NOT NULL,
        verdict TEXT,
        reason TEXT NOT NULL,
        given_by TEXT NOT NULL,
        given_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
        FOREIGN KEY(run_id) REFERENCES eval_run (id) ON DELETE CASCADE
    )""",
    """
    CREATE INDEX eval_override_run ON eval_override (run_id, case_id)""",
    """
    CREATE TABLE eval_case_file (
        file TEXT NOT NULL,
        version INTEGER NOT NULL,
        change TEXT NOT NULL,
        made_by TEXT NOT NULL,
        made_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
        PRIMARY KEY (file, version)
    )""",
    """
    CREATE TABLE eval_file_case (
        file TEXT NOT NULL,
        case_id TEXT NOT NULL,
        since INTEGER NOT NULL,
        until INTEGER,
        question TEXT NOT NULL,
        answerable BOOLEAN NOT NULL,
        type TEXT,
        gold JSONB NOT NULL,
        made_by TEXT NOT NULL,
        PRIMARY KEY (file, case_id, since),
        FOREIGN KEY(file, since) REFERENCES eval_case_file (file, version)
    )""",
)


def upgrade() -> None:
    for statement in TABLES:
        op.execute(statement)
    # as of the runs that these belong to
    rule = "'*' = any((select quoth_principals())::text[])"
    for table in ("eval_label", "eval_override", "eval_case_file", "eval_file_case"):
        op.execute(f"alter table {table} enable row level security")
        op.execute(f"create policy operators on {table} to quoth_reader using ({rule}) with check ({rule})")
        op.execute(f"create policy worker on {table} to quoth_worker using (true) with check (true)")
        op.execute(f"grant select, insert, update, delete on {table} to quoth_reader, quoth_worker")
        op.execute(f"grant select on {table} to quoth_backup")


def downgrade() -> None:
    raise NotImplementedError("Restore a backup of before instead.")
