"""Conversations have titles, may be shared by link and deleted; answers get feedback."""

from alembic import op

revision = "assistant_0003"
down_revision = "assistant_0002"
branch_labels = None
depends_on = None

MINE = "principal = nullif(current_setting('quoth.principal', true), '')"
# a link opens what had been answered when it was made, for whoever names its token and may read nothing else by it
SHARED = """exists (select from conversation_share s where s.conversation_id = {conversation}
    and s.token_sha256 = decode(nullif(current_setting('quoth.share', true), ''), 'hex')
    and s.expires_at > now(){and_before})"""

TABLES = (
    """
    CREATE TABLE conversation_share (
        token_sha256 BYTEA NOT NULL,
        conversation_id UUID NOT NULL,
        principal TEXT NOT NULL,
        created_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
        expires_at TIMESTAMP WITH TIME ZONE NOT NULL,
        PRIMARY KEY (token_sha256),
        FOREIGN KEY(conversation_id) REFERENCES conversation (id) ON DELETE CASCADE
    )""",
    """
    CREATE INDEX ix_conversation_share_conversation_id ON conversation_share (conversation_id)""",
    """
    CREATE TABLE feedback (
        answer_id UUID NOT NULL,
        principal TEXT NOT NULL,
        given_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
        helpful BOOLEAN NOT NULL,
        reason TEXT,
        correction TEXT,
        PRIMARY KEY (answer_id, principal),
        FOREIGN KEY(answer_id) REFERENCES answer (id) ON DELETE CASCADE
    )""",
)


def upgrade() -> None:
    op.execute("alter table conversation add title text")
    op.execute("create index conversation_principal on conversation (principal)")
    for statement in TABLES:
        op.execute(statement)
    shared = {
        "conversation": SHARED.format(conversation="conversation.id", and_before=""),
        "answer": SHARED.format(
            conversation="answer.conversation_id", and_before=" and answer.asked_at <= s.created_at"
        ),
    }
    for table, rule in shared.items():
        op.execute(f"create policy shared on {table} for select to quoth_reader using ({rule})")
    op.execute("grant update (title), delete on conversation to quoth_reader")
    named = "token_sha256 = decode(nullif(current_setting('quoth.share', true), ''), 'hex')"
    op.execute("alter table conversation_share enable row level security")
    op.execute(
        "create policy own on conversation_share to quoth_reader"
        f" using ({MINE} or {named}) with check ({MINE})"
    )  # fmt: skip
    op.execute("alter table feedback enable row level security")
    op.execute(f"create policy own on feedback to quoth_reader using ({MINE}) with check ({MINE})")
    for table in ("conversation_share", "feedback"):
        op.execute(f"create policy worker on {table} to quoth_worker using (true) with check (true)")
        op.execute(f"grant select, insert, delete on {table} to quoth_reader")
        op.execute(f"grant select, insert, update, delete on {table} to quoth_worker")
        op.execute(f"grant select on {table} to quoth_backup")
    op.execute("grant update on feedback to quoth_reader")


def downgrade() -> None:
    raise NotImplementedError("Restore a backup of before instead.")
