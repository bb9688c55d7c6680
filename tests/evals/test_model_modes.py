"""Whatever the model does: exact citations, no lost answer, no money beyond the budget. The short form, by real HTTP."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from evals.bench.invented_facts import Corpus, invented
from evals.bench.model_modes import MODES, Outcome, faults_of, filled, run_mode, table
from evals.bench.scripted_claims import SUPPORTED

pytestmark = pytest.mark.integration

SHORT = ("inventing", "unsupporting", "altering", "obeying", "truncating", "malforming", "down")


@pytest.fixture(scope="module")
def modes(environ: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, int], Outcome]:
    """Run a mode with so many questions over a store that holds them."""
    made: dict[int, Corpus] = {}

    def run(name: str, questions: int) -> Outcome:
        if questions not in made:
            made[questions] = invented(questions, seed=11)
            filled(made[questions], environ, tmp_path_factory.mktemp("facts") / "documents", lambda text: None)
        return run_mode(name, made[questions], environ, 3)

    return run


@pytest.mark.parametrize("name", SHORT)
def test_a_mode_in_short(modes: Callable[[str, int], Outcome], name: str) -> None:
    outcome = modes(name, 6)
    assert faults_of([outcome]) == []
    assert sum(outcome.statuses.values()) == 6
    assert outcome.citations >= 6
    wrong = [kind for kind in outcome.drafted if kind != SUPPORTED]
    assert bool(wrong) == (MODES[name].form != "honest")
    assert outcome.count(outcome.shown, supported=False) == 0
    if name in ("malforming", "down"):
        assert outcome.quoted > 0
    assert outcome.calls > 0


def test_money_is_never_overspent_by_askers_at_once(modes: Callable[[str, int], Outcome]) -> None:
    outcome = modes("over budget", 6)
    assert faults_of([outcome]) == []
    assert 0 < outcome.spent_usd <= MODES["over budget"].budget_usd


def test_the_table_counts_what_was_drafted_and_not_what_was_shown() -> None:
    outcome = Outcome(
        "altering", 10, drafted={SUPPORTED: 8, "altered name": 4}, shown={SUPPORTED: 6, "altered name": 1}
    )
    text = table([outcome])
    assert "| 25.0% (1 of 4) | 75.0% (6 of 8) |" in text
    assert "| altered name | 75.0% (3 of 4) |" in text


def test_a_lost_answer_or_a_cent_too_much_is_a_fault() -> None:
    assert faults_of([Outcome("slow", 1, lost=["hung"])])
    assert faults_of([Outcome("slow", 1, spent_usd=MODES["slow"].budget_usd + 0.01)])
    assert faults_of([Outcome("slow", 1, inexact=["a quotation"])])


@pytest.mark.soak
@pytest.mark.parametrize("name", MODES)
def test_a_mode_at_length(modes: Callable[[str, int], Outcome], name: str) -> None:
    outcome = modes(name, 500)
    assert faults_of([outcome]) == []
    unsupported = outcome.count(outcome.drafted, supported=False)
    assert outcome.count(outcome.shown, supported=False) <= 0.05 * unsupported
    if MODES[name].form != "honest" or name == "honest":
        assert outcome.count(outcome.shown, supported=True) >= 0.9 * outcome.count(outcome.drafted, supported=True)
