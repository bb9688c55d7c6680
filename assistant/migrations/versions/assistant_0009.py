"""What the doors of several processes share: how often each asks, and what Slack sent and in which conversation."""

from alembic import op

revision = "assistant_0009"
down_revision = "assistant_0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # unlogged: after a crash of the database everybody may ask again, and no request writes to its log
    op.execute("create unlogged table request_bucket (who text primary key, tokens float8 not null,"
               " at timestamptz not null)")  # fmt: skip
    op.execute("create table slack_event (id text primary key, at timestamptz not null default clock_timestamp())")
    op.execute(
        """
        create table slack_thread (
            channel text not null,
            thread text not null,
            principal text not null,
            conversation_id uuid not null,
            at timestamptz not null default clock_timestamp(),
            primary key (channel, thread, principal)
        )
        """
    )
    for name in ("request_bucket", "slack_event", "slack_thread"):
        op.execute(f"grant select, insert, update, delete on {name} to quoth_worker")
        op.execute(f"grant select on {name} to quoth_backup")


def downgrade() -> None:
    raise NotImplementedError("Restore a backup of before instead.")
