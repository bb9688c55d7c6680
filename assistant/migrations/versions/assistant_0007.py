"""What led to an answer is kept whole: how it was made, and why each claim passed."""

from alembic import op

revision = "assistant_0007"
down_revision = "assistant_0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("alter table answer add made jsonb not null default '{}'")
    op.execute("alter table answer_claim add reason text not null default ''")
    op.execute("create index model_call_answer on model_call (answer_id) where answer_id is not null")


def downgrade() -> None:
    raise NotImplementedError("Restore a backup of before instead.")
