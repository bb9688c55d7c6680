"""Fixtures: one Postgres for the run, a fresh database for each module, the product wired on top of it."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import create_engine, make_url, text
from sqlalchemy.pool import NullPool

if TYPE_CHECKING:
    from assistant.bootstrap import Quoth


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


@pytest.fixture(scope="module")
def database_url(server_url: str) -> Iterator[str]:
    """An empty database of this module's own."""
    name = f"test_{secrets.token_hex(6)}"
    engine = create_engine(make_url(server_url).set(drivername="postgresql+psycopg"), poolclass=NullPool)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text(f"create database {name}"))
    yield make_url(server_url).set(database=name).render_as_string(hide_password=False)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text(f"drop database {name} with (force)"))


@pytest.fixture(scope="module")
def environ(database_url: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of a command that works on this module's database."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("QUOTH_", "OPENAI_"))}
    return {**kept, "QUOTH_HOME": str(tmp_path_factory.mktemp("home")), "QUOTH_DATABASE_URL": database_url}


@pytest.fixture(scope="module")
def quoth(environ: dict[str, str]) -> Iterator[Quoth]:
    from assistant.bootstrap import open_quoth  # here: tests of single modules need none of it

    with open_quoth(environ) as opened:
        yield opened


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
