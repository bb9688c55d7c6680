"""What doctor finds in a store that is set up wrongly: each fault is made for real, and mended again."""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import make_url, text

from assistant import store_checks
from assistant.backups import backup
from assistant.bootstrap import Quoth, open_quoth
from assistant.diagnosis import diagnose, worker_alive
from assistant.machine_checks import Check
from assistant.settings import Settings
from assistant.sign_in import sign_in_from
from ingest.access import LOCAL
from ingest.errors import QuothError

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module", autouse=True)
def stored(quoth: Quoth, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("files")
    (folder / "leave.txt").write_text("Everybody has thirty days of leave.\n", encoding="utf-8")
    list(quoth.pipeline.add([folder]))
    quoth.worker.stop()


def by_name(checks: Iterator[Check]) -> dict[str, Check]:
    return {one.name: one for one in checks}


def test_a_store_as_it_should_be_has_no_fault(quoth: Quoth) -> None:
    found = by_name(store_checks.store_checks(quoth))
    assert [one for one in found.values() if not one.ok and one.kind == "fault"] == []
    assert len(found) >= 11


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"port": 1}, "Nothing answers there"),
        ({"database": "no_such_database"}, "missing on the server"),
        ({"host": "no-such-host.invalid"}, "No such host"),
        ({"username": "nobody_at_all", "password": "wrong"}, "QUOTH_DATABASE_URL"),
    ],
)
def test_a_database_that_does_not_let_us_in(database_url: str, tmp_path: Path, change: dict, told: str) -> None:
    given = make_url(database_url)
    inside = {name: str(change.get(name, value)) for name, value in given.query.items()}  # a socket's place and port
    url = given.set(**change).set(query=inside).render_as_string(hide_password=False)
    environ = {"QUOTH_HOME": str(tmp_path), "QUOTH_DATABASE_URL": url}
    *_, last = diagnose(Settings.from_env(environ), environ)
    assert last.name == "store" and not last.ok
    if change.get("username"):  # a server that trusts this machine asks for no password
        assert last.cure
    else:
        assert told in last.cure
    assert "wrong" not in last.detail.split(":")[0]


def test_a_login_that_may_not_create_roles(database_url: str, tmp_path: Path) -> None:
    login = f"plain_{secrets.token_hex(4)}"
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(f"create role {login} login password 'plain'")
        connection.execute(f"create database {login} owner {login}")
    try:
        with psycopg.connect(make_url(database_url).set(username=login, password="plain", database=login)
                             .render_as_string(hide_password=False)) as connection:  # fmt: skip
            cure = store_checks._not_prepared(connection)
            missing = connection.execute("select to_regrole('quoth_reader') is null").fetchone() == (True,)
            # the roles are the whole server's: where another test has made them there is nothing to create
            assert ("may not create roles" in cure) is missing
            connection.execute("set default_transaction_read_only = on")
            assert "takes no writes" in store_checks._not_prepared(connection)
    finally:
        with psycopg.connect(database_url, autocommit=True) as connection:
            connection.execute(f"drop database {login} with (force)")
            connection.execute(f"drop role {login}")


def test_a_database_of_a_later_version(quoth: Quoth, environ: dict[str, str]) -> None:
    with quoth.database.owning() as connection:
        connection.execute(text("insert into alembic_version values ('ingest_9999')"))
    try:
        with pytest.raises(QuothError):
            open_quoth(environ).close()
        *_, last = diagnose(Settings.from_env(environ), environ)
        assert last.name == "store" and "later version" in last.detail
    finally:
        with quoth.database.owning() as connection:
            connection.execute(text("delete from alembic_version where version_num = 'ingest_9999'"))


def test_an_embedder_whose_files_are_missing(environ: dict[str, str], tmp_path: Path) -> None:
    broken = {**environ, "QUOTH_EMBEDDER": f"onnx:{tmp_path / 'nothing'}"}
    *_, last = diagnose(Settings.from_env(broken), broken)
    assert not last.ok and "nothing" in last.detail


def test_settings_of_the_server_that_hurt(quoth: Quoth, database_url: str) -> None:
    name = make_url(database_url).database
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(f"alter database {name} set work_mem = '64kB'")
        connection.execute(f"alter database {name} set maintenance_work_mem = '1MB'")
    quoth.database.close()  # new connections from here on
    try:
        found = by_name(store_checks.server(quoth.database))["server settings"]
        assert not found.ok and found.kind == "advice"
        assert "work_mem is 0 MB" in found.detail and "maintenance_work_mem is 1 MB" in found.detail
    finally:
        with psycopg.connect(database_url, autocommit=True) as connection:
            connection.execute(f"alter database {name} reset all")
        quoth.database.close()
    assert by_name(store_checks.server(quoth.database))["server versions"].ok


def test_clocks_that_are_apart(quoth: Quoth) -> None:
    assert store_checks.clocks(quoth.database, lambda: datetime.now(UTC)).ok
    for hours in (-1, 1):
        found = store_checks.clocks(quoth.database, lambda ahead=timedelta(hours=hours): datetime.now(UTC) + ahead)
        assert not found.ok and "3600" in found.detail.replace("3599.9", "3600.0")


def test_a_vector_index_that_is_missing_or_invalid_and_its_cure(quoth: Quoth) -> None:
    space = quoth.spaces.active
    look: Callable[[], Check] = lambda: store_checks.vector_index(quoth.database, space.id, space.dimensions)  # noqa: E731
    assert look().ok
    with quoth.database.owning() as connection:
        connection.execute(text(f"drop index chunk_vector_hnsw_{space.id}"))
    found = look()
    assert not found.ok and "missing" in found.detail
    with quoth.database.owning() as connection:
        connection.execute(text(found.cure.partition("run: ")[2]))
    assert look().ok


def test_files_that_wait_for_nobody(quoth: Quoth, environ: dict[str, str]) -> None:
    document = quoth.catalog.documents(LOCAL)[0]
    batch = uuid.uuid4()
    quoth.intake.submit_documents([document.id], "reindex", batch=batch)
    assert by_name(store_checks.queue(quoth.database))["worker"].ok  # it came a moment ago
    with quoth.database.working() as connection:
        connection.execute(
            text("update intake set queued_at = now() - interval '1 hour' where batch = :batch"), {"batch": batch}
        )
    found = by_name(store_checks.queue(quoth.database))["worker"]
    assert not found.ok and "quoth worker" in found.cure
    assert not worker_alive(Settings.from_env(environ), environ).ok
    quoth.worker.start()
    assert worker_alive(Settings.from_env(environ), environ).ok or quoth.worker.running
    quoth.worker.stop()
    with quoth.database.working() as connection:
        connection.execute(
            text("update intake set state = 'failed', receipt = cast('{\"reason\": null}' as jsonb) where batch = :b"),
            {"b": batch},
        )
    assert not by_name(store_checks.queue(quoth.database))["failed files"].ok
    with quoth.database.working() as connection:
        connection.execute(text("delete from intake where batch = :b"), {"b": batch})


def test_originals_that_are_gone(quoth: Quoth) -> None:
    assert store_checks.originals_kept(quoth.database, quoth.originals).ok
    files = [one for one in Path(quoth.settings.originals).rglob("*") if one.is_file() and len(one.name) == 64]
    moved = [one.rename(one.with_suffix(".away")) for one in files]
    found = store_checks.originals_kept(quoth.database, quoth.originals)
    for one in moved:
        one.rename(one.with_suffix(""))
    assert files and not found.ok and "missing" in found.detail


def test_how_old_the_newest_backup_is(quoth: Quoth, tmp_path: Path) -> None:
    now = datetime.now(UTC)
    found = store_checks.backup_age(quoth.database, now)
    assert not found.ok and found.kind == "advice" and "none" in found.detail
    backup(quoth.database, quoth.originals, quoth.settings.home, tmp_path / "one.tar")
    assert store_checks.backup_age(quoth.database, datetime.now(UTC)).ok
    assert not store_checks.backup_age(quoth.database, now + timedelta(days=8)).ok


def test_roles_that_nobody_has() -> None:
    sign_in = sign_in_from(
        {"QUOTH_OIDC_ISSUER": "https://id.example.org", "QUOTH_OIDC_CLIENT_ID": "q", "QUOTH_ROLES": "owner=hr|legal"}
    )
    found = by_name(store_checks.roles_held(sign_in, {"hr"}))
    assert not found["roles"].ok and "owner=legal" in found["role groups"].detail
    assert list(store_checks.roles_held(None, set())) == []


def test_an_audit_that_was_touched(quoth: Quoth, database_url: str) -> None:
    assert store_checks.whole_audit(quoth).ok
    with psycopg.connect(database_url) as connection:
        connection.execute("alter table audit_event disable trigger user")
        connection.execute("update audit_event set principal = 'eve' where number = 1")
        connection.execute("alter table audit_event enable trigger user")
    found = store_checks.whole_audit(quoth)
    assert not found.ok and "event 1" in found.detail
