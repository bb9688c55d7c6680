"""Measured runs, kept by the process: they hold numbers and ids alone, so one copy serves every evaluator."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import streamlit as st

from evals.answers_run import AnswersRun, load_run
from evals.comparing import Comparison, compare
from evals.run_store import KeptRun, Runs

if TYPE_CHECKING:
    from assistant.bootstrap import Quoth

RUNS_KEPT: Final = 40
COMPARISONS_KEPT: Final = 20


def measured_run(quoth: Quoth, kept: KeptRun) -> AnswersRun:
    """A run with its measures; an unfinished one is measured again when more of it is done.

    Raises:
        UsageError: nothing of it is done, or it was deleted meanwhile.
    """
    return _measured(Runs(quoth.database), kept.id, kept.done, kept.finished_at is None)


def compared_runs(quoth: Quoth, before: KeptRun, after: KeptRun) -> Comparison:
    """Two runs case by case, the former first."""
    return _compared(
        measured_run(quoth, before), measured_run(quoth, after), before.id, before.done, after.id, after.done
    )


@st.cache_resource(max_entries=RUNS_KEPT, show_spinner="Measuring")
def _measured(_runs: Runs, run: str, done: int, unfinished: bool) -> AnswersRun:
    return load_run(_runs, run)


@st.cache_resource(max_entries=COMPARISONS_KEPT, show_spinner="Comparing")
def _compared(
    _before: AnswersRun, _after: AnswersRun, before: str, done_before: int, after: str, done_after: int
) -> Comparison:
    return compare(_before, _after)
