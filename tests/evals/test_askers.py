"""Readers at once over the real wiring: each gets their own true answer, also when the database goes in between."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from evals.bench.askers import Load, measured
from evals.bench.invented_facts import Corpus, invented
from evals.bench.model_modes import filled
from ingest import postgres

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    return invented(12, seed=21)


@pytest.fixture(scope="module")
def own_environ(corpus: Corpus, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """A store on an embedded Postgres of its own, which may be killed."""
    home = tmp_path_factory.mktemp("askers")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("QUOTH_", "OPENAI_"))}
    environ = {**kept, "QUOTH_HOME": str(home / "quoth")}
    try:
        filled(corpus, environ, home / "documents", lambda text: None)
        yield environ
    finally:
        postgres.remove(Path(environ["QUOTH_HOME"]))


def whole(load: Load) -> None:
    assert load.wrong == []
    assert load.lost == []
    assert load.statuses["answered"] > 0


def test_a_few_askers_each_get_their_own_answer(own_environ: dict[str, str], corpus: Corpus) -> None:
    load = measured(own_environ, corpus, askers=4, seconds=4)
    whole(load)
    assert not load.failed


def test_a_database_that_is_killed_in_between_comes_back(own_environ: dict[str, str], corpus: Corpus) -> None:
    whole(measured(own_environ, corpus, askers=3, seconds=4, restart=True))


@pytest.mark.soak
@pytest.mark.parametrize("restart", [False, True])
def test_fifty_askers_for_five_minutes(own_environ: dict[str, str], corpus: Corpus, restart: bool) -> None:
    load = measured(own_environ, corpus, askers=50, seconds=300, restart=restart)
    whole(load)
    memory = [size for _, size in load.memory_mb]
    settled = memory[len(memory) // 4]
    assert memory[-1] < 1.5 * settled + 100
