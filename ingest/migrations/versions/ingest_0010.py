"""Embeddings by the Batch API: texts that wait for it, and the batches that were made of them."""

from alembic import op

revision = "ingest_0010"
down_revision = "ingest_0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""
        create table embed_batch (
            id uuid primary key,
            space smallint not null,
            model text not null,
            dimensions integer not null,
            asked_dimensions integer,
            state text not null check (state in ('making', 'sent', 'ended', 'settled')),
            requests integer not null,
            sent_bytes bigint not null,
            held jsonb,
            file_id text,
            files text[] not null default '{}',
            batch_id text,
            status text not null default '',
            detail text not null default '',
            tokens bigint not null default 0,
            made_at timestamptz not null default now(),
            sent_at timestamptz,
            looked_at timestamptz,
            ended_at timestamptz
        )""")
    op.execute("""
        create table embed_wait (
            intake_id uuid not null references intake (id) on delete cascade,
            key bytea not null,
            space smallint not null,
            model text not null,
            dimensions integer not null,
            asked_dimensions integer,
            texts text[] not null,
            batch uuid references embed_batch (id),
            vectors bytea,
            tries smallint not null default 0,
            at_once boolean not null default false,
            added_at timestamptz not null default now(),
            primary key (intake_id, key)
        )""")
    op.execute("create index embed_wait_batch on embed_wait (batch)")
    op.execute("create index embed_wait_open on embed_wait (space) where vectors is null and batch is null")
    for table in ("embed_batch", "embed_wait"):
        op.execute(f"grant select, insert, update, delete on {table} to quoth_worker")
        op.execute(f"grant select on {table} to quoth_backup")


def downgrade() -> None:
    raise NotImplementedError("Restore a backup of before instead.")
