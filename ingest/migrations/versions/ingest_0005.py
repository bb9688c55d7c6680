"""Groups may be members of groups; who belongs to what is resolved in the statement that asks."""

from alembic import op

revision = "ingest_0005"
down_revision = "ingest_0004"
branch_labels = None
depends_on = None

# UNION takes a name in once per level, so a circle ends at the deepest level at the latest; see ingest.groups.DEEPEST
PRINCIPALS_OF = """
    create function principals_of(names text[]) returns text[]
    language sql stable security definer parallel safe set search_path = public, pg_temp as $$
        with recursive reached(name, level) as (
            select unnest(names), 0
            union
            select m.group_name, r.level + 1 from reached r join group_member m on m.member = r.name
            where r.level < 32
        )
        select coalesce(array_agg(distinct name order by name), '{}') from reached
    $$"""


def upgrade() -> None:
    op.execute("alter table group_member rename column user_name to member")
    op.execute("update group_member set member = 'user:' || member")  # as `document.readers` names a person
    op.execute("create index group_member_group on group_member (group_name)")
    op.execute("drop function groups_of(text)")
    op.execute(PRINCIPALS_OF)
    op.execute("revoke all on function principals_of(text[]) from public")
    op.execute("grant execute on function principals_of(text[]) to quoth_reader, quoth_worker")


def downgrade() -> None:
    raise NotImplementedError("Restore a backup of before instead.")
