"""The store: documents, versions, chunks, vectors, postings, and who may read them."""

from alembic import op

revision = "ingest_0001"
down_revision = None
branch_labels = ("ingest",)
depends_on = None

TABLES = (
    """
    CREATE TABLE audit_event (
        id BIGINT GENERATED ALWAYS AS IDENTITY,
        at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
        principal TEXT NOT NULL,
        operator TEXT,
        action TEXT NOT NULL,
        subject UUID,
        detail JSONB NOT NULL,
        PRIMARY KEY (id)
    )""",
    """
    CREATE TABLE document (
        id UUID NOT NULL,
        collection TEXT NOT NULL,
        source TEXT NOT NULL,
        title TEXT NOT NULL,
        owner TEXT NOT NULL,
        readers TEXT[] NOT NULL,
        current_version INTEGER NOT NULL,
        chunks INTEGER NOT NULL,
        index_profile TEXT NOT NULL,
        created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
        updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
        PRIMARY KEY (id),
        CONSTRAINT document_readers_named CHECK (cardinality(readers) > 0 and not ('*' = any(readers)))
    )""",
    """
    CREATE TABLE document_name (
        collection TEXT NOT NULL,
        source TEXT NOT NULL,
        document_id UUID NOT NULL,
        PRIMARY KEY (collection, source),
        UNIQUE (document_id)
    )""",
    """
    CREATE TABLE embedding_space (
        id SMALLINT GENERATED ALWAYS AS IDENTITY,
        name TEXT NOT NULL,
        dimensions INTEGER NOT NULL,
        active BOOLEAN NOT NULL,
        created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
        PRIMARY KEY (id),
        UNIQUE (name)
    )""",
    """
    CREATE TABLE group_member (
        user_name TEXT NOT NULL,
        group_name TEXT NOT NULL,
        PRIMARY KEY (user_name, group_name)
    )""",
    """
    CREATE TABLE lex_segment (
        seg BIGINT GENERATED ALWAYS AS IDENTITY,
        document_id UUID NOT NULL,
        first INTEGER NOT NULL,
        chunks INTEGER NOT NULL,
        tokens BIGINT NOT NULL,
        analyzer TEXT NOT NULL,
        PRIMARY KEY (seg)
    )""",
    """
    CREATE INDEX ix_lex_segment_document_id ON lex_segment (document_id)""",
    """
    CREATE TABLE lex_block (
        term TEXT NOT NULL,
        seg BIGINT NOT NULL,
        ids BYTEA NOT NULL,
        tf BYTEA NOT NULL,
        dl BYTEA NOT NULL,
        PRIMARY KEY (term, seg),
        FOREIGN KEY(seg) REFERENCES lex_segment (seg) ON DELETE CASCADE
    )""",
    """
    CREATE INDEX ix_lex_block_seg ON lex_block (seg)""",
    """
    CREATE TABLE version (
        document_id UUID NOT NULL,
        number INTEGER NOT NULL,
        sha256 BYTEA NOT NULL,
        parser_profile TEXT NOT NULL,
        title TEXT NOT NULL,
        media_type TEXT NOT NULL,
        language TEXT NOT NULL,
        byte_count BIGINT NOT NULL,
        page_count INTEGER,
        canonical_text TEXT NOT NULL,
        text_sha256 BYTEA NOT NULL,
        warnings TEXT[] NOT NULL,
        added_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
        PRIMARY KEY (document_id, number),
        FOREIGN KEY(document_id) REFERENCES document (id) ON DELETE CASCADE
    )""",
    """
    CREATE TABLE chunk (
        document_id UUID NOT NULL,
        id UUID NOT NULL,
        version INTEGER NOT NULL,
        ordinal INTEGER NOT NULL,
        position INTEGER NOT NULL,
        start_offset INTEGER NOT NULL,
        end_offset INTEGER NOT NULL,
        heading TEXT[] NOT NULL,
        page INTEGER,
        text TEXT NOT NULL,
        text_hash BYTEA NOT NULL,
        tokens INTEGER NOT NULL,
        sentences INTEGER[] NOT NULL,
        PRIMARY KEY (document_id, id),
        FOREIGN KEY(document_id, version) REFERENCES version (document_id, number) ON DELETE CASCADE
    )""",
    """
    CREATE INDEX chunk_position ON chunk (position)""",
    """
    CREATE TABLE element (
        document_id UUID NOT NULL,
        version INTEGER NOT NULL,
        ordinal INTEGER NOT NULL,
        category TEXT NOT NULL,
        depth INTEGER NOT NULL,
        start_offset INTEGER NOT NULL,
        end_offset INTEGER NOT NULL,
        page INTEGER,
        place JSONB NOT NULL,
        PRIMARY KEY (document_id, version, ordinal),
        FOREIGN KEY(document_id, version) REFERENCES version (document_id, number) ON DELETE CASCADE
    )""",
    """
    CREATE TABLE page (
        document_id UUID NOT NULL,
        version INTEGER NOT NULL,
        page INTEGER NOT NULL,
        start_offset INTEGER NOT NULL,
        end_offset INTEGER NOT NULL,
        width FLOAT NOT NULL,
        height FLOAT NOT NULL,
        boxes BYTEA NOT NULL,
        PRIMARY KEY (document_id, version, page),
        FOREIGN KEY(document_id, version) REFERENCES version (document_id, number) ON DELETE CASCADE
    )""",
    """
    CREATE TABLE chunk_vector (
        document_id UUID NOT NULL,
        chunk_id UUID NOT NULL,
        space SMALLINT NOT NULL,
        vector HALFVEC NOT NULL,
        sentence_vectors BYTEA NOT NULL,
        PRIMARY KEY (document_id, chunk_id, space),
        FOREIGN KEY(document_id, chunk_id) REFERENCES chunk (document_id, id) ON DELETE CASCADE
    )""",
)

OF_DOCUMENTS = ("version", "element", "page", "chunk", "chunk_vector")
WORKED = ("document", "document_name", "group_member", "lex_segment", "lex_block", *OF_DOCUMENTS)


def upgrade() -> None:
    for statement in TABLES:
        op.execute(statement)
    for column in ("ids", "tf", "dl"):
        op.execute(f"alter table lex_block alter {column} set storage external")  # reading is a plain copy

    op.execute("""
        create function quoth_principals() returns text[] language sql stable parallel safe
        return nullif(current_setting('quoth.principals', true), '')::text[]""")
    # evaluations index into scratch collections, which answer nobody who does not name them
    op.execute("""
        create function quoth_in_scope(name text, wanted text) returns boolean language sql immutable parallel safe
        return case when wanted is null then name not like 'eval-%' else name = wanted end""")
    op.execute(
        "create policy reader on document for select to quoth_reader"
        " using (array_append(readers, '*') && (select quoth_principals()))"
    )
    for table in OF_DOCUMENTS:
        # the sub-select is filtered by document's own policy
        op.execute(
            f"create policy reader on {table} for select to quoth_reader"
            " using (document_id in (select id from document))"
        )
    for table in ("document", *OF_DOCUMENTS):
        op.execute(f"grant select on {table} to quoth_reader")
    op.execute("grant select on embedding_space to quoth_reader")
    for table in (*WORKED, "embedding_space", "audit_event"):
        op.execute(f"alter table {table} enable row level security")
        op.execute(f"grant select on {table} to quoth_backup")
    op.execute("create policy all_rows on embedding_space to quoth_reader, quoth_worker using (true)")

    for table in WORKED:
        op.execute(f"create policy worker on {table} to quoth_worker using (true) with check (true)")
        op.execute(f"grant select, insert, update, delete on {table} to quoth_worker")
    op.execute("grant select on embedding_space to quoth_worker")
    op.execute("create policy append on audit_event for insert to quoth_reader, quoth_worker with check (true)")
    op.execute("grant insert on audit_event to quoth_reader, quoth_worker")

    # Sequences ignore transactions: a range is taken under a lock held for an instant, not until commit.
    op.execute("create sequence chunk_position_seq as integer minvalue 0 start 0")
    op.execute("""
        create function take_positions(n integer) returns integer language plpgsql security definer
        set search_path = public, pg_temp as $$
        declare first integer;
        begin
            perform pg_advisory_lock(hashtext('quoth.chunk_position'));
            first := nextval('chunk_position_seq');
            perform setval('chunk_position_seq', first + greatest(n, 1) - 1);
            perform pg_advisory_unlock(hashtext('quoth.chunk_position'));
            return first;
        end $$""")
    op.execute("revoke all on function take_positions from public")
    op.execute("grant execute on function take_positions to quoth_worker")

    # The only ways to postings and memberships for the doors: by term under the reader's own mask, by user's name.
    op.execute("""
        create function readable_segments(collection_name text)
        returns table (seg bigint, first integer, chunks integer, tokens bigint, analyzer text)
        language sql stable security definer set search_path = public, pg_temp as $$
            select s.seg, s.first, s.chunks, s.tokens, s.analyzer
            from lex_segment s join document d on d.id = s.document_id
            where array_append(d.readers, '*') && (select quoth_principals())
              and quoth_in_scope(d.collection, collection_name)
        $$""")
    # Without nested loops: the planner takes the readable documents for a handful and would read all their blocks.
    op.execute("""
        create function readable_blocks(terms text[], collection_name text)
        returns table (term text, ids bytea, tf bytea, dl bytea)
        language sql stable security definer set search_path = public, pg_temp set enable_nestloop = off as $$
            select b.term, b.ids, b.tf, b.dl
            from lex_block b join lex_segment s using (seg) join document d on d.id = s.document_id
            where b.term = any(terms)
              and array_append(d.readers, '*') && (select quoth_principals())
              and quoth_in_scope(d.collection, collection_name)
        $$""")
    op.execute("""
        create function groups_of(who text) returns text[] language sql stable security definer
        set search_path = public, pg_temp as $$
            select coalesce(array_agg(group_name order by group_name), '{}') from group_member where user_name = who
        $$""")
    for function in ("readable_segments(text)", "readable_blocks(text[], text)", "groups_of(text)"):
        op.execute(f"revoke all on function {function} from public")
        op.execute(f"grant execute on function {function} to quoth_reader, quoth_worker")


def downgrade() -> None:
    raise NotImplementedError("The first migration has nothing before it; restore a backup instead.")
