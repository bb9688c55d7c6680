"""What was said of whoever handed a file over: who may replace a document is asked again when the file is taken in."""

from alembic import op

revision = "ingest_0011"
down_revision = "ingest_0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("alter table intake add column principals text[]")


def downgrade() -> None:
    raise NotImplementedError("Restore a backup of before instead.")
