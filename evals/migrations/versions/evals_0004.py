"""Cases proposed from documents, until a person decides on them; they go with the version they were made of."""

from alembic import op

revision = "evals_0004"
down_revision = "evals_0003"
branch_labels = None
depends_on = None

PROPOSALS = """
    CREATE TABLE eval_proposal (
        document_id UUID NOT NULL,
        id TEXT NOT NULL,
        version INTEGER NOT NULL,
        start_offset INTEGER NOT NULL,
        end_offset INTEGER NOT NULL,
        question TEXT NOT NULL,
        answerable BOOLEAN NOT NULL,
        type TEXT NOT NULL,
        drafted_by TEXT NOT NULL,
        swapped TEXT NOT NULL,
        state TEXT NOT NULL CHECK (state IN ('open', 'accepted', 'rejected')),
        made_by TEXT NOT NULL,
        made_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
        decided_by TEXT,
        decided_at TIMESTAMP WITH TIME ZONE,
        file TEXT,
        case_id TEXT,
        PRIMARY KEY(document_id, id),
        FOREIGN KEY(document_id, version) REFERENCES version (document_id, number) ON DELETE CASCADE
    )"""


def upgrade() -> None:
    op.execute(PROPOSALS)
    op.execute("CREATE INDEX eval_proposal_version ON eval_proposal (document_id, version)")
    op.execute("alter table eval_proposal enable row level security")
    # the subquery runs as who asks, so the document's own policy decides
    rule = "exists (select from document d where d.id = document_id)"
    op.execute(f"create policy of_document on eval_proposal for select to quoth_reader using ({rule})")
    op.execute("create policy worker on eval_proposal to quoth_worker using (true) with check (true)")
    op.execute("grant select on eval_proposal to quoth_reader")
    op.execute("grant select, insert, update, delete on eval_proposal to quoth_worker")
    op.execute("grant select on eval_proposal to quoth_backup")


def downgrade() -> None:
    raise NotImplementedError("Restore a backup of before instead.")
