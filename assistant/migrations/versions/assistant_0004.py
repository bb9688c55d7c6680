"""Every call of a model is recorded, and limits on their use are counted."""

from alembic import op

revision = "assistant_0004"
down_revision = "assistant_0003"
branch_labels = None
depends_on = None

TABLES = (
    """
    CREATE TABLE model_call (
        id UUID NOT NULL,
        at TIMESTAMP WITH TIME ZONE NOT NULL,
        principal TEXT NOT NULL,
        operator TEXT,
        purpose TEXT NOT NULL,
        model TEXT NOT NULL,
        answer_id UUID,
        status TEXT NOT NULL,
        input_tokens INTEGER NOT NULL,
        cached_input_tokens INTEGER NOT NULL,
        output_tokens INTEGER NOT NULL,
        cost_usd FLOAT NOT NULL,
        ms FLOAT,
        expires_at TIMESTAMP WITH TIME ZONE NOT NULL,
        PRIMARY KEY (id)
    )""",
    """
    CREATE INDEX model_call_at ON model_call (at)""",
    """
    CREATE TABLE budget (
        scope TEXT NOT NULL,
        unit TEXT NOT NULL,
        period TEXT NOT NULL,
        used BIGINT DEFAULT '0' NOT NULL,
        reserved BIGINT DEFAULT '0' NOT NULL,
        ends_at TIMESTAMP WITH TIME ZONE NOT NULL,
        PRIMARY KEY (scope, unit, period),
        CONSTRAINT budget_not_negative CHECK (used >= 0 and reserved >= 0)
    )""",
    """
    CREATE TABLE budget_hold (
        call_id UUID NOT NULL,
        scope TEXT NOT NULL,
        unit TEXT NOT NULL,
        period TEXT NOT NULL,
        amount BIGINT NOT NULL,
        expires_at TIMESTAMP WITH TIME ZONE NOT NULL,
        PRIMARY KEY (call_id, scope, unit, period),
        FOREIGN KEY(scope, unit, period) REFERENCES budget (scope, unit, period)
    )""",
    """
    CREATE INDEX budget_hold_of ON budget_hold (scope, unit, period, expires_at)""",
)


def upgrade() -> None:
    for statement in TABLES:
        op.execute(statement)
    mine = "principal = nullif(current_setting('quoth.principal', true), '')"
    somebodys = "cardinality((select quoth_principals())) > 0"
    # counters are shared: whoever calls a model counts for the team and the organisation too, and clears up after the
    # dead; they hold names and numbers, and no door shows them
    for table, rule, acts in (
        ("model_call", mine, "select, insert, update"),
        ("budget", somebodys, "select, insert, update"),
        ("budget_hold", somebodys, "select, insert, update, delete"),
    ):
        op.execute(f"alter table {table} enable row level security")
        op.execute(f"create policy own on {table} to quoth_reader using ({rule}) with check ({rule})")
        op.execute(f"create policy worker on {table} to quoth_worker using (true) with check (true)")
        op.execute(f"grant {acts} on {table} to quoth_reader")
        op.execute(f"grant select, insert, update, delete on {table} to quoth_worker")
        op.execute(f"grant select on {table} to quoth_backup")


def downgrade() -> None:
    raise NotImplementedError("Restore a backup of before instead.")
