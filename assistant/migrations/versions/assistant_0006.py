"""Keys for programs."""

from alembic import op

revision = "assistant_0006"
down_revision = "assistant_0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        """
    CREATE TABLE api_key (
        id TEXT NOT NULL,
        mac BYTEA NOT NULL,
        label TEXT NOT NULL,
        principal TEXT NOT NULL,
        groups TEXT[] NOT NULL,
        roles TEXT[] NOT NULL,
        created_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
        created_by TEXT NOT NULL,
        expires_at TIMESTAMP WITH TIME ZONE NOT NULL,
        used_at TIMESTAMP WITH TIME ZONE,
        revoked_at TIMESTAMP WITH TIME ZONE,
        PRIMARY KEY (id)
    )"""
    )
    # the doors' role has no right on it: who is asking is settled before there is a reader
    op.execute("alter table api_key enable row level security")
    op.execute("create policy worker on api_key to quoth_worker using (true) with check (true)")
    op.execute("grant select, insert, update on api_key to quoth_worker")
    op.execute("grant select on api_key to quoth_backup")


def downgrade() -> None:
    raise NotImplementedError("Restore a backup of before instead.")
