"""Vectors are found again by the hash of what they were made from."""

from alembic import op

revision = "ingest_0007"
down_revision = "ingest_0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("create index chunk_text_hash on chunk (text_hash)")


def downgrade() -> None:
    raise NotImplementedError("Restore a backup of before instead.")
