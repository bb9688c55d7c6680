"""Row security looks the document of a row up by its id; neighbours come from the readable only."""

from alembic import op

revision = "ingest_0006"
down_revision = "ingest_0005"
branch_labels = None
depends_on = None

OF_DOCUMENTS = ("version", "element", "page", "chunk", "chunk_vector")
MAY_READ = """array_append(d.readers, '*') && principals and quoth_in_scope(d.collection, collection_name)
                  and quoth_in_force(d.effective_from, d.expires_on)"""
FUNCTIONS = {
    "store_chunks()": """
        create function store_chunks() returns bigint
        language sql stable security definer set search_path = public, pg_temp as $$
            select coalesce(sum(chunks), 0) from lex_segment
        $$""",
    # the nearest of some documents' vectors, all of them compared; those that may not be read are not among them
    "readable_nearest_of(uuid[], halfvec, smallint, text, integer)": f"""
        create function readable_nearest_of(
            documents uuid[], question halfvec, in_space smallint, collection_name text, most integer)
        returns table (document_id uuid, chunk_id uuid, distance double precision)
        language plpgsql stable security definer rows 100 set search_path = public, pg_temp set jit = off as $$
        declare principals text[] := quoth_principals();
        begin
            return query
            select v.document_id, v.chunk_id, v.vector <=> question as away
            from document d join chunk_vector v on v.document_id = d.id
            where d.id = any(documents) and v.space = in_space and {MAY_READ}
            order by away, v.chunk_id limit most;
        end $$""",
    # the nearest by the space's HNSW index, roughly in order; a candidate's document is looked up before it counts
    "readable_nearest(halfvec, smallint, text, uuid[], integer)": f"""
        create function readable_nearest(
            question halfvec, in_space smallint, collection_name text, documents uuid[], most integer)
        returns table (document_id uuid, chunk_id uuid, distance double precision)
        language plpgsql stable security definer rows 100 set search_path = public, pg_temp set jit = off
        set enable_seqscan = off set enable_sort = off as $$
        begin
            -- space and dimensions as literals, or the planner would not see that the index serves
            return query execute replace(replace($statement$
                select v.document_id, v.chunk_id, v.vector::halfvec(DIMENSIONS) <=> $1
                from chunk_vector v cross join lateral (
                    select from document d where d.id = v.document_id and ($4 is null or d.id = any($4))
                      and {MAY_READ.replace("principals", "$2").replace("collection_name", "$3")}
                    offset 0) readable
                where v.space = SPACE order by v.vector::halfvec(DIMENSIONS) <=> $1 limit $5$statement$,
                'DIMENSIONS', (select s.dimensions::text from embedding_space s where s.id = in_space)),
                'SPACE', in_space::text)
            using question, quoth_principals(), collection_name, documents, most;
        end $$""",
}


def upgrade() -> None:
    for table in OF_DOCUMENTS:
        # the sub-select is filtered by document's own policy; as a value, because `in` would read all documents first
        op.execute(
            f"alter policy reader on {table}"
            f" using (coalesce((select true from document d where d.id = {table}.document_id), false))"
        )
    for name, function in FUNCTIONS.items():
        op.execute(function)
        op.execute(f"revoke all on function {name} from public")
        op.execute(f"grant execute on function {name} to quoth_reader, quoth_worker")


def downgrade() -> None:
    raise NotImplementedError("Restore a backup of before instead.")
