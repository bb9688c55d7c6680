"""Conversations and answers: kept by reference, each reader's own."""

from alembic import op

from assistant import records

revision = "assistant_0001"
down_revision = None
branch_labels = ("assistant",)
depends_on = "ingest_0001"

TABLES = (records.conversation, records.answer, records.answer_claim, records.answer_span)


def upgrade() -> None:
    for table in TABLES:
        table.create(op.get_bind())
    mine = "principal = nullif(current_setting('quoth.principal', true), '')"
    for name, rule in (
        ("conversation", mine),
        ("answer", mine),
        ("answer_claim", "answer_id in (select id from answer)"),
        ("answer_span", "answer_id in (select id from answer)"),
    ):
        op.execute(f"alter table {name} enable row level security")
        op.execute(f"create policy own on {name} to quoth_reader using ({rule}) with check ({rule})")
        op.execute(f"create policy worker on {name} to quoth_worker using (true) with check (true)")
        op.execute(f"grant select, insert on {name} to quoth_reader")
        op.execute(f"grant select, insert, update, delete on {name} to quoth_worker")
        op.execute(f"grant select on {name} to quoth_backup")


def downgrade() -> None:
    raise NotImplementedError("The first migration has nothing before it; restore a backup instead.")
