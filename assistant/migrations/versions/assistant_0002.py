"""An answer's record says what was searched for, and what of its context was left out."""

from alembic import op

revision = "assistant_0002"
down_revision = "assistant_0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("alter table answer add searched text default '' not null, add left_out jsonb default '[]' not null")


def downgrade() -> None:
    raise NotImplementedError("Restore a backup of before instead.")
