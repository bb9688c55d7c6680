"""What Slack sent is kept until it was answered, so that another process can answer it when one dies."""

from alembic import op

revision = "assistant_0010"
down_revision = "assistant_0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        """
        alter table slack_event
            add column sent jsonb,
            add column tries integer not null default 0,
            add column taken_at timestamptz,
            add column done_at timestamptz
        """
    )
    op.execute("create index slack_event_open on slack_event (at) where done_at is null and sent is not null")


def downgrade() -> None:
    raise NotImplementedError("Restore a backup of before instead.")
