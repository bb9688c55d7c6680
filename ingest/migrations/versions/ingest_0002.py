"""The life of a document: dates, succession, origin, findings; and the queue of files that wait to be read."""

from importlib.resources import files

from alembic import op

revision = "ingest_0002"
down_revision = "ingest_0001"
branch_labels = None
depends_on = None

COLUMNS = (
    "document add review_by date, add effective_from date, add expires_on date, add superseded_by uuid,"
    " add parent_id uuid, add origin text default '' not null",
    "version add findings jsonb default '[]' not null, add replaced_at timestamp with time zone",
    "page add recognition float",
    "embedding_space add setting text default '' not null",
)
INTAKE = """
    CREATE TABLE intake (
        id UUID NOT NULL,
        number BIGINT GENERATED ALWAYS AS IDENTITY,
        batch UUID NOT NULL,
        kind TEXT NOT NULL,
        collection TEXT NOT NULL,
        source TEXT NOT NULL,
        document_id UUID,
        parent TEXT,
        parent_id UUID,
        sha256 BYTEA,
        byte_count BIGINT,
        readers TEXT[],
        owner TEXT,
        origin TEXT,
        principal TEXT NOT NULL,
        priority SMALLINT NOT NULL,
        state TEXT NOT NULL,
        stage TEXT NOT NULL,
        done INTEGER NOT NULL,
        total INTEGER NOT NULL,
        starts INTEGER NOT NULL,
        receipt JSONB,
        job_id BIGINT,
        queued_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
        started_at TIMESTAMP WITH TIME ZONE,
        finished_at TIMESTAMP WITH TIME ZONE,
        PRIMARY KEY (id),
        UNIQUE (number)
    )"""
INTAKE_INDEXES = (
    "create index ix_intake_batch on intake (batch)",
    "create index ix_intake_document_id on intake (document_id)",
    "create index intake_name on intake (collection, source)",
    "create index intake_open on intake (number) where state in ('waiting', 'running')",
)
IN_FORCE = "quoth_in_force(d.effective_from, d.expires_on)"


def upgrade() -> None:
    for change in COLUMNS:
        op.execute(f"alter table {change}")
    op.execute("update version v set replaced_at = now() from document d"
               " where d.id = v.document_id and d.current_version <> v.number")  # fmt: skip
    # a document answers from its first day until the day it expires
    op.execute("""
        create function quoth_in_force(effective_from date, expires_on date) returns boolean
        language sql stable parallel safe
        return coalesce(effective_from <= current_date, true) and coalesce(expires_on > current_date, true)""")
    op.execute(f"""
        create or replace function readable_segments(collection_name text)
        returns table (seg bigint, first integer, chunks integer, tokens bigint, analyzer text)
        language sql stable security definer set search_path = public, pg_temp as $$
            select s.seg, s.first, s.chunks, s.tokens, s.analyzer
            from lex_segment s join document d on d.id = s.document_id
            where array_append(d.readers, '*') && (select quoth_principals())
              and quoth_in_scope(d.collection, collection_name) and {IN_FORCE}
        $$""")
    op.execute(f"""
        create or replace function readable_blocks(terms text[], collection_name text)
        returns table (term text, ids bytea, tf bytea, dl bytea)
        language sql stable security definer set search_path = public, pg_temp set enable_nestloop = off as $$
            select b.term, b.ids, b.tf, b.dl
            from lex_block b join lex_segment s using (seg) join document d on d.id = s.document_id
            where b.term = any(terms)
              and array_append(d.readers, '*') && (select quoth_principals())
              and quoth_in_scope(d.collection, collection_name) and {IN_FORCE}
        $$""")

    op.execute(INTAKE)
    for index in INTAKE_INDEXES:
        op.execute(index)
    op.execute("alter table intake enable row level security")
    op.execute("create policy worker on intake to quoth_worker using (true) with check (true)")
    op.execute("grant select, insert, update, delete on intake to quoth_worker")
    op.execute("grant select on intake to quoth_backup")
    # one space answers: that of most vectors
    op.execute("""
        update embedding_space set active = coalesce(id = (
            select space from chunk_vector group by space order by count(*) desc, space limit 1), false)""")
    # the switch of embedding spaces is the worker's
    op.execute("grant update (active) on embedding_space to quoth_worker")
    op.execute("create unique index embedding_space_active on embedding_space (active) where active")

    queue = (files("procrastinate") / "sql" / "schema.sql").read_text(encoding="utf-8")
    op.get_bind().connection.cursor().execute(queue)  # many statements; percent signs are its own
    # which jobs of one document wait before another: asked at each fetch
    op.execute("create index procrastinate_jobs_lock_open on procrastinate_jobs (lock)"
               " where status in ('todo', 'doing')")  # fmt: skip
    for table in ("jobs", "events", "workers", "periodic_defers"):
        op.execute(f"grant select, insert, update, delete on procrastinate_{table} to quoth_worker")
    op.execute("grant usage, select on all sequences in schema public to quoth_worker")


def downgrade() -> None:
    raise NotImplementedError("Restore a backup of before instead.")
