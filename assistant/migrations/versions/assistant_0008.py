"""Long conversations: what was said before, shortened by a model."""

from alembic import op

revision = "assistant_0008"
down_revision = "assistant_0007"
branch_labels = None
depends_on = None

MINE = "principal = nullif(current_setting('quoth.principal', true), '')"


def upgrade() -> None:
    op.execute("""
        create table conversation_summary (
            conversation_id uuid primary key references conversation (id) on delete cascade,
            principal text not null,
            turns integer not null,
            digest bytea not null,
            summary text not null,
            model text not null,
            made_at timestamptz not null default clock_timestamp()
        )""")
    op.execute("alter table conversation_summary enable row level security")
    op.execute(f"create policy own on conversation_summary to quoth_reader using ({MINE}) with check ({MINE})")
    op.execute("create policy worker on conversation_summary to quoth_worker using (true) with check (true)")
    op.execute("grant select, insert, update, delete on conversation_summary to quoth_reader, quoth_worker")
    op.execute("grant select on conversation_summary to quoth_backup")


def downgrade() -> None:
    raise NotImplementedError("Restore a backup of before instead.")
