"""The evaluators' page: runs, their cases, two runs side by side, people's verdicts, cases from conversations."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Final

import streamlit as st

from assistant.callers import Caller
from ui import wording
from ui.case_panel import show_cases
from ui.compare_panel import show_comparison
from ui.promote_panel import show_promotion
from ui.review_panel import show_review
from ui.run_job_panel import PAGE_SECTION
from ui.run_panel import show_runs

if TYPE_CHECKING:
    from assistant.bootstrap import Quoth

SAID: Final = "evaluation-said"  # what the last act came to, shown once
SECTION: Final = "section"  # of the address
SECTIONS: Final = ("Runs", "Cases", "Compare", "Review", "Make cases")


def show(quoth: Quoth, caller: Caller) -> None:
    """Show the page. Every act asks for the role again: a page that was open when it was lost does nothing."""
    caller.must("evaluator")
    st.header("Evaluation", anchor=False)
    said = st.session_state.pop(SAID, None)
    if said:
        st.success(wording.literal(said))
    named = st.query_params.get(SECTION, "").replace("-", " ").capitalize()
    section = st.segmented_control(
        "Section", SECTIONS, default=named if named in SECTIONS else SECTIONS[0], required=True,
        key=PAGE_SECTION, label_visibility="collapsed",
    )  # fmt: skip
    shown: dict[str, Callable[[], None]] = {
        "Runs": partial(show_runs, quoth, caller, _say_next),
        "Cases": partial(show_cases, quoth, caller),
        "Compare": partial(show_comparison, quoth, caller),
        "Review": partial(show_review, quoth, caller),
        "Make cases": partial(show_promotion, quoth, caller, _say_next),
    }
    with st.container(key=f"evaluation-{section.lower().replace(' ', '-')}"):
        shown[section]()


def _say_next(words: str) -> None:
    st.session_state[SAID] = words
    st.rerun()
