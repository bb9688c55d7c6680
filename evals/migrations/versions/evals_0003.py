"""Runs that a worker does; how kept cases are asked: earlier turns, groups, tags."""

from alembic import op

revision = "evals_0003"
down_revision = "evals_0002"
branch_labels = None
depends_on = None

JOBS = """
    CREATE TABLE eval_job (
        id TEXT NOT NULL PRIMARY KEY,
        file TEXT NOT NULL,
        version INTEGER NOT NULL,
        collection TEXT,
        asked_by TEXT NOT NULL,
        groups JSONB NOT NULL,
        reads_all BOOLEAN NOT NULL,
        workers INTEGER NOT NULL,
        most_usd DOUBLE PRECISION,
        state TEXT NOT NULL CHECK (state IN ('waiting', 'running', 'done', 'failed', 'cancelled')),
        run_id TEXT REFERENCES eval_run (id) ON DELETE SET NULL,
        done INTEGER NOT NULL,
        total INTEGER NOT NULL,
        left_s DOUBLE PRECISION,
        cost_usd DOUBLE PRECISION NOT NULL,
        detail TEXT NOT NULL,
        starts INTEGER NOT NULL,
        job_id BIGINT,
        queued_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
        started_at TIMESTAMP WITH TIME ZONE,
        finished_at TIMESTAMP WITH TIME ZONE
    )"""


def upgrade() -> None:
    op.execute("ALTER TABLE eval_file_case ADD COLUMN asked JSONB DEFAULT '{}' NOT NULL")
    op.execute(JOBS)
    rule = "'*' = any((select quoth_principals())::text[])"
    op.execute("alter table eval_job enable row level security")
    op.execute(f"create policy operators on eval_job to quoth_reader using ({rule}) with check ({rule})")
    op.execute("create policy worker on eval_job to quoth_worker using (true) with check (true)")
    op.execute("grant select, insert, update, delete on eval_job to quoth_reader, quoth_worker")
    op.execute("grant select on eval_job to quoth_backup")


def downgrade() -> None:
    raise NotImplementedError("Restore a backup of before instead.")
