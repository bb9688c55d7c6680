"""Answers tell which tools the model called, and what they asked back where the question meant several things."""

from alembic import op

revision = "assistant_0005"
down_revision = "assistant_0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("alter table answer add column tools jsonb not null default '[]', "
               "add column choices jsonb not null default '[]'")  # fmt: skip


def downgrade() -> None:
    raise NotImplementedError("Restore a backup of before instead.")
