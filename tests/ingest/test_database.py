"""The store itself: migrations, roles, and the policies that fail closed."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine, text
from sqlalchemy.exc import ProgrammingError
from sqlalchemy.pool import NullPool

from assistant import records
from assistant.bootstrap import ALL_MIGRATIONS, Quoth
from evals import kept_cases, proposing, retrieval_store, reviewing, run_jobs, run_store
from ingest import schema
from ingest.access import LOCAL, Reader
from ingest.database import Database
from ingest.errors import ConfigurationError, ServiceError

pytestmark = pytest.mark.integration

SECRET = "The severance reserve is 4.2 million crowns."


@pytest.fixture(scope="module")
def filled(quoth: Quoth, tmp_path_factory: pytest.TempPathFactory) -> Quoth:
    folder = tmp_path_factory.mktemp("documents")
    (folder / "open.txt").write_text("The canteen opens at seven in the morning on working days.\n")
    (folder / "closed.txt").write_text(SECRET + "\n")
    assert [r.status for r in quoth.pipeline.add([folder / "open.txt"])] == ["added"]
    assert [r.status for r in quoth.pipeline.add([folder / "closed.txt"], readers=["board"])] == ["added"]
    *_, answer = quoth.ask("How large is the severance reserve?", LOCAL)
    return quoth


def tables() -> list[str]:
    return sorted(schema.metadata.tables)


def test_migrations_make_exactly_the_tables_the_code_names(empty_database_url: str) -> None:
    database = Database(empty_database_url)
    assert database.migrate(ALL_MIGRATIONS) is True
    assert database.migrate(ALL_MIGRATIONS) is False
    ours = {records.answer, run_store.eval_run, reviewing.eval_label, kept_cases.eval_file_case}
    ours |= {run_jobs.eval_job, proposing.eval_proposal, retrieval_store.eval_retrieval}
    assert {table.name for table in ours} <= set(schema.metadata.tables)
    with database.owning() as connection:
        context = MigrationContext.configure(connection, opts={"include_object": _ours})
        assert compare_metadata(context, schema.metadata) == []
    database.close()


def _ours(thing: object, name: str | None, kind: str, reflected: bool, compared: object) -> bool:
    foreign = (name or "").startswith(
        ("procrastinate_", "idx_procrastinate_")
    )  # the queue's own, made by its own schema
    return not (kind == "table" and name == "alembic_version") and not (
        foreign or (name or "").startswith("chunk_vector_hnsw")
    )


@pytest.fixture
def reader_session(filled: Quoth) -> Iterator:
    """A plain SQL session of the reader role, nothing set."""
    engine = create_engine(filled.database.url, poolclass=NullPool)
    with engine.connect() as connection:
        connection.execute(text("set role quoth_reader"))
        yield connection


def test_without_a_principal_no_table_shows_a_row(reader_session) -> None:
    for table in tables():
        if table == "embedding_space":  # names of models, no text
            continue
        try:
            with reader_session.begin_nested():
                count = reader_session.execute(text(f"select count(*) from {table}")).scalar()
        except ProgrammingError as error:
            assert "permission denied" in str(error)
            continue
        assert count == 0, table


def test_without_a_principal_the_functions_hand_out_nothing(reader_session) -> None:
    blocks = "select * from posting_blocks(array['en:reserv', 'en:sever'], posting_segments())"
    assert reader_session.execute(text(blocks)).all() == []
    assert reader_session.execute(text("select * from readable_ranges(null, null)")).all() == []
    reader_session.execute(text("select set_config('quoth.principals', '{someone}', false)"))
    assert reader_session.execute(text(blocks)).all() != []  # numbers beside a word that was asked for, no more


def test_an_empty_principal_is_no_principal(reader_session) -> None:
    reader_session.execute(text("select set_config('quoth.principals', '', false)"))
    assert reader_session.execute(text("select count(*) from document")).scalar() == 0


@pytest.mark.parametrize(
    "table",
    [
        "lex_block",
        "lex_segment",
        "lex_document",
        "document_change",
        "group_member",
        "document_name",
        "audit_event",
        "intake",
        "procrastinate_jobs",
    ],
)
def test_the_reader_role_may_not_read(reader_session, table: str) -> None:
    with pytest.raises(ProgrammingError, match="permission denied"):
        reader_session.execute(text(f"select * from {table}"))


@pytest.mark.parametrize("statement", ["delete from document", "update document set readers = array['everyone']"])
def test_the_reader_role_may_not_write_documents(reader_session, statement: str) -> None:
    with pytest.raises(ProgrammingError, match="permission denied"):
        reader_session.execute(text(statement))


def test_a_reader_without_the_group_sees_nothing_of_it_in_any_table(filled: Quoth) -> None:
    outsider, member = Reader("eve", frozenset()), Reader("bo", frozenset({"board"}))
    for table in ("document", "version", "element", "chunk", "chunk_vector"):
        with filled.database.reading(outsider) as connection:
            seen = connection.execute(text(f"select count(*) from {table}")).scalar()
        with filled.database.reading(member) as connection:
            more = connection.execute(text(f"select count(*) from {table}")).scalar()
        assert 0 < seen < more, table
    with filled.database.reading(outsider) as connection:
        rows = connection.execute(text("select canonical_text from version")).scalars().all()
        assert SECRET not in " ".join(rows)
        ranges = connection.scalar(text("select sum(length(ranges)) from readable_ranges(null, null)"))
    with filled.database.reading(member) as connection:
        more = connection.scalar(text("select sum(length(ranges)) from readable_ranges(null, null)"))
        assert 0 < ranges < more


def test_answers_are_their_askers_own(filled: Quoth) -> None:
    with filled.database.reading(Reader("eve", frozenset())) as connection:
        for table in ("conversation", "answer", "answer_claim", "answer_span"):
            assert connection.execute(text(f"select count(*) from {table}")).scalar() == 0
    with filled.database.reading(LOCAL) as connection:
        assert connection.execute(text("select count(*) from answer")).scalar() == 1


def test_a_group_named_like_the_all_reader_is_refused(filled: Quoth) -> None:
    engine = create_engine(filled.database.url, poolclass=NullPool)
    with engine.connect() as connection, pytest.raises(Exception, match="document_readers_named"):
        connection.execute(text("update document set readers = array['*']"))


def test_a_wrong_address_is_the_operators_error_without_the_password() -> None:
    with pytest.raises(ConfigurationError, match="not a Postgres address") as caught:
        Database("mysql://me:hunter2@host/name")
    assert "hunter2" not in str(caught.value)


def test_an_unreachable_server_is_a_service_error() -> None:
    with pytest.raises(ServiceError, match="does not answer"):
        Database("postgresql://nobody:none@127.0.0.1:1/none").migrate(ALL_MIGRATIONS)
