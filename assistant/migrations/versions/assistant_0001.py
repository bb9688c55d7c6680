"""Conversations and answers: kept by reference, each reader's own."""

from alembic import op

revision = "assistant_0001"
down_revision = None
branch_labels = ("assistant",)
depends_on = None  # of the folders, those to the left are migrated first

TABLES = (
    """
    CREATE TABLE conversation (
        id UUID NOT NULL,
        principal TEXT NOT NULL,
        started_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
        PRIMARY KEY (id)
    )""",
    """
    CREATE TABLE answer (
        id UUID NOT NULL,
        conversation_id UUID NOT NULL,
        principal TEXT NOT NULL,
        operator TEXT,
        asked_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
        question TEXT NOT NULL,
        status TEXT NOT NULL,
        missing TEXT,
        model TEXT NOT NULL,
        prompt_version TEXT NOT NULL,
        degraded TEXT,
        usage JSONB NOT NULL,
        timings_ms JSONB NOT NULL,
        hits JSONB NOT NULL,
        rejected JSONB NOT NULL,
        raw_output TEXT NOT NULL,
        PRIMARY KEY (id),
        FOREIGN KEY(conversation_id) REFERENCES conversation (id) ON DELETE CASCADE
    )""",
    """
    CREATE INDEX ix_answer_conversation_id ON answer (conversation_id)""",
    """
    CREATE TABLE answer_claim (
        answer_id UUID NOT NULL,
        ordinal INTEGER NOT NULL,
        text TEXT NOT NULL,
        verdict TEXT NOT NULL,
        score FLOAT NOT NULL,
        markers INTEGER[] NOT NULL,
        PRIMARY KEY (answer_id, ordinal),
        FOREIGN KEY(answer_id) REFERENCES answer (id) ON DELETE CASCADE
    )""",
    """
    CREATE TABLE answer_span (
        answer_id UUID NOT NULL,
        ordinal INTEGER NOT NULL,
        marker INTEGER NOT NULL,
        document_id UUID NOT NULL,
        version INTEGER NOT NULL,
        start_offset INTEGER NOT NULL,
        end_offset INTEGER NOT NULL,
        PRIMARY KEY (answer_id, ordinal),
        FOREIGN KEY(answer_id) REFERENCES answer (id) ON DELETE CASCADE
    )""",
    """
    CREATE INDEX ix_answer_span_document_id ON answer_span (document_id)""",
)


def upgrade() -> None:
    for statement in TABLES:
        op.execute(statement)
    mine = "principal = nullif(current_setting('quoth.principal', true), '')"
    for name, rule in (
        ("conversation", mine),
        ("answer", mine),
        ("answer_claim", "answer_id in (select id from answer)"),
        ("answer_span", "answer_id in (select id from answer)"),
    ):
        op.execute(f"alter table {name} enable row level security")
        op.execute(f"create policy own on {name} to quoth_reader using ({rule}) with check ({rule})")
        op.execute(f"create policy worker on {name} to quoth_worker using (true) with check (true)")
        op.execute(f"grant select, insert on {name} to quoth_reader")
        op.execute(f"grant select, insert, update, delete on {name} to quoth_worker")
        op.execute(f"grant select on {name} to quoth_backup")


def downgrade() -> None:
    raise NotImplementedError("The first migration has nothing before it; restore a backup instead.")
