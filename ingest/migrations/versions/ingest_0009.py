"""The backup's role reads every table and sequence, those to come too: a dump without one could not be restored."""

from alembic import op

revision = "ingest_0009"
down_revision = "ingest_0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("grant select on all tables in schema public to quoth_backup")
    op.execute("grant select on all sequences in schema public to quoth_backup")
    op.execute("alter default privileges in schema public grant select on tables to quoth_backup")
    op.execute("alter default privileges in schema public grant select on sequences to quoth_backup")


def downgrade() -> None:
    raise NotImplementedError("Restore a backup of before instead.")
