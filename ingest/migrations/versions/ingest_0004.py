"""Segments of postings hold many documents; what a reader may read is a mask over positions, kept by its changes."""

from alembic import op

revision = "ingest_0004"
down_revision = "ingest_0003"
branch_labels = None
depends_on = None

LEX_DOCUMENT = """
    CREATE TABLE lex_document (
        document_id UUID NOT NULL,
        seg BIGINT NOT NULL,
        first INTEGER NOT NULL,
        chunks INTEGER NOT NULL,
        tokens INTEGER NOT NULL,
        analyzer TEXT NOT NULL,
        terms TEXT[] NOT NULL,
        PRIMARY KEY (document_id),
        FOREIGN KEY(seg) REFERENCES lex_segment (seg)
    )"""
DOCUMENT_CHANGE = """
    CREATE TABLE document_change (
        id BIGINT GENERATED ALWAYS AS IDENTITY,
        document_id UUID NOT NULL,
        xid BIGINT DEFAULT pg_current_xact_id()::text::bigint NOT NULL,
        at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
        PRIMARY KEY (id)
    )"""
RANGE = "uuid_send(l.document_id) || int4send(l.first) || int4send(l.chunks) || int4send(l.tokens)"
FUNCTIONS = {
    # what a reader may find, as 28 bytes a document: id, first position, chunks, tokens
    "readable_ranges(text, uuid[])": f"""
        create function readable_ranges(collection_name text, documents uuid[])
        returns table (analyzer text, ranges bytea)
        language sql stable security definer set search_path = public, pg_temp as $$
            select l.analyzer, string_agg({RANGE}, '' order by l.first)
            from lex_document l join document d on d.id = l.document_id
            where (documents is null or l.document_id = any(documents))
              and array_append(d.readers, '*') && (select quoth_principals())
              and quoth_in_scope(d.collection, collection_name)
              and quoth_in_force(d.effective_from, d.expires_on)
            group by l.analyzer
        $$""",
    # the blocks of terms, of all documents: numbers only; the caller's mask decides what counts
    "posting_blocks(text[], bigint[])": """
        create function posting_blocks(terms text[], segments bigint[])
        returns table (seg bigint, term text, ids bytea, tf bytea, dl bytea)
        language sql stable security definer set search_path = public, pg_temp as $$
            select b.seg, b.term, b.ids, b.tf, b.dl from lex_block b
            where b.term = any(terms) and b.seg = any(segments)
              and coalesce(cardinality((select quoth_principals())), 0) > 0
        $$""",
    "posting_segments()": """
        create function posting_segments() returns bigint[]
        language sql stable security definer set search_path = public, pg_temp as $$
            select coalesce(array_agg(seg order by first), '{}') from lex_segment
        $$""",
    # documents whose readers, dates, collection or postings changed since a snapshot, as this transaction sees it
    "changed_documents(pg_snapshot)": """
        create function changed_documents(since pg_snapshot) returns setof uuid
        language sql stable security definer set search_path = public, pg_temp as $$
            select distinct document_id from document_change
            where xid >= pg_snapshot_xmin(since)::text::bigint and not pg_visible_in_snapshot(xid::text::xid8, since)
        $$""",
}


def upgrade() -> None:
    op.execute(LEX_DOCUMENT)
    op.execute("create index ix_lex_document_seg on lex_document (seg)")
    op.execute("insert into lex_document select s.document_id, s.seg, s.first, s.chunks, s.tokens, s.analyzer,"
               " coalesce((select array_agg(b.term) from lex_block b where b.seg = s.seg), '{}')"
               " from lex_segment s")  # fmt: skip
    op.execute("drop function readable_segments(text)")
    op.execute("drop function readable_blocks(text[], text)")
    op.execute("alter table lex_segment drop document_id, drop tokens, drop analyzer, add last integer,"
               " add made_at timestamp with time zone default now() not null")  # fmt: skip
    op.execute("update lex_segment set last = first + greatest(chunks, 1) - 1")
    op.execute("alter table lex_segment alter last set not null")
    op.execute("alter table lex_block alter ids set storage external, alter tf set storage external,"
               " alter dl set storage external")  # fmt: skip
    # a local table may not point to one that is distributed; who removes a document removes its entries
    op.execute("alter table source_entry drop constraint source_entry_document_id_fkey")
    op.execute(DOCUMENT_CHANGE)
    op.execute("create index document_change_xid on document_change (xid)")
    for table in ("lex_document", "document_change"):
        op.execute(f"alter table {table} enable row level security")
        op.execute(f"create policy worker on {table} to quoth_worker using (true) with check (true)")
        op.execute(f"grant select, insert, update, delete on {table} to quoth_worker")
        op.execute(f"grant select on {table} to quoth_backup")
    op.execute("grant usage, select on all sequences in schema public to quoth_worker")
    for name, function in FUNCTIONS.items():
        op.execute(function)
        op.execute(f"revoke all on function {name} from public")
        op.execute(f"grant execute on function {name} to quoth_reader, quoth_worker")


def downgrade() -> None:
    raise NotImplementedError("Restore a backup of before instead.")
