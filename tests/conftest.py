"""Fixtures: one Postgres for a process of the run, a database for each module, the product wired on top of it."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import create_engine, make_url, text
from sqlalchemy.pool import NullPool

if TYPE_CHECKING:
    from assistant.bootstrap import Quoth
    from ingest.parser import Parser
    from tests.shell import Shell


# Files that take longest go first: the last to begin is not what all others wait for at the end.
LONGEST = {
    "test_recovery.py",
    "test_sensitivity.py",
    "test_model_modes.py",
    "test_injection.py",
    "test_askers.py",
    "test_load_under_kills.py",
    "test_commands.py",
    "test_usage_commands.py",
    "test_api_fuzzing.py",
    "test_fuzzing.py",
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.path.name not in LONGEST and not item.path.name.startswith("test_browser"))


@pytest.fixture(scope="session")
def server_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Postgres: the server that QUOTH_TEST_DATABASE_URL names, else an embedded one for this run."""
    given = os.environ.get("QUOTH_TEST_DATABASE_URL")
    if given:
        yield given
        return
    from ingest import postgres

    home = tmp_path_factory.mktemp("postgres")
    cluster = postgres.start(home)
    yield cluster.url
    postgres.remove(home)


@contextmanager
def database_of(server_url: str, template: str = "template1") -> Iterator[str]:
    name = f"test_{secrets.token_hex(6)}"
    engine = create_engine(make_url(server_url).set(drivername="postgresql+psycopg"), poolclass=NullPool)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text(f"create database {name} template {template}"))
    yield make_url(server_url).set(database=name).render_as_string(hide_password=False)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text(f"drop database {name} with (force)"))


@pytest.fixture(scope="session")
def template(server_url: str) -> Iterator[str]:
    """The name of a database with every table, which modules' own are copies of: making the tables takes seconds."""
    from assistant.bootstrap import ALL_MIGRATIONS
    from ingest.database import Database

    with database_of(server_url) as url:
        Database(url).migrate(ALL_MIGRATIONS)
        yield str(make_url(url).database)


@pytest.fixture(scope="module")
def database_url(server_url: str, template: str) -> Iterator[str]:
    """A database of this module's own, with every table and nothing in them."""
    with database_of(server_url, template) as url:
        yield url


@pytest.fixture
def empty_database_url(server_url: str) -> Iterator[str]:
    """A database as a server makes it."""
    with database_of(server_url) as url:
        yield url


@pytest.fixture(scope="module")
def environ(database_url: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of a command that works on this module's database."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("QUOTH_", "OPENAI_"))}
    return {**kept, "QUOTH_HOME": str(tmp_path_factory.mktemp("home")), "QUOTH_DATABASE_URL": database_url}


@pytest.fixture(scope="session")
def shared_parser() -> Iterator[Parser]:
    """One process that reads files, for all stores of this process: starting it takes seconds."""
    from ingest.parser import Parser, ParserLimits

    with Parser(ParserLimits()) as shared:
        yield shared


@pytest.fixture(scope="module")
def quoth(environ: dict[str, str], shared_parser: Parser) -> Iterator[Quoth]:
    from assistant.bootstrap import open_quoth  # here: tests of single modules need none of it

    with open_quoth(environ, parser=shared_parser) as opened:
        yield opened


@pytest.fixture
def shell(environ: dict[str, str], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Shell:
    """Commands of the command line on this module's database."""
    from tests.shell import Shell  # loads the product

    return Shell(environ, monkeypatch, capfd)


@pytest.fixture
def folder_of(tmp_path: Path) -> Callable[..., Path]:
    """Make a folder of text files: folder_of(**{"hr/leave.txt": "..."}) or folder_of({"name": "text"})."""

    def make(files: dict[str, str]) -> Path:
        root = tmp_path / secrets.token_hex(4)
        for name, content in files.items():
            file = root / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(content, encoding="utf-8")
        return root

    return make
