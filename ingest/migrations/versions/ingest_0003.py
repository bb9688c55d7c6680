"""What sources were found to hold: fingerprints that spare what did not change another reading."""

from alembic import op

revision = "ingest_0003"
down_revision = "ingest_0002"
branch_labels = None
depends_on = None

SOURCE_ENTRY = """
    CREATE TABLE source_entry (
        origin TEXT NOT NULL,
        collection TEXT NOT NULL,
        source TEXT NOT NULL,
        fingerprint TEXT NOT NULL,
        profile TEXT NOT NULL,
        sha256 BYTEA,
        document_id UUID,
        reason TEXT,
        detail TEXT,
        PRIMARY KEY (origin, collection, source),
        FOREIGN KEY(document_id) REFERENCES document (id) ON DELETE CASCADE
    )"""


def upgrade() -> None:
    op.execute(SOURCE_ENTRY)
    op.execute("create index ix_source_entry_document_id on source_entry (document_id)")
    op.execute("create index document_origin on document (origin, collection) where origin <> ''")
    op.execute("alter table source_entry enable row level security")
    op.execute("create policy worker on source_entry to quoth_worker using (true) with check (true)")
    op.execute("grant select, insert, update, delete on source_entry to quoth_worker")
    op.execute("grant select on source_entry to quoth_backup")


def downgrade() -> None:
    raise NotImplementedError("Restore a backup of before instead.")
