"""Two runs side by side: what moved, by how much, whether that is more than chance, and what was set otherwise."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import streamlit as st

from assistant.callers import Caller
from evals.comparing import Comparison, Difference
from evals.run_store import Runs
from ingest.errors import UsageError
from ui import wording
from ui.case_panel import choose_run
from ui.measure_words import measure_meaning, type_words
from ui.run_cache import compared_runs
from ui.run_panel import open_cases

if TYPE_CHECKING:
    from assistant.bootstrap import Quoth

MOST: Final = 500  # cases of the table


def show_comparison(quoth: Quoth, caller: Caller) -> None:
    """Choose two runs and show how they differ, case by case."""
    runs = Runs(quoth.database).list()
    if sum(one.done > 0 for one in runs) < 2:
        st.info("It takes two runs to compare. `quoth eval answers CASES.jsonl` makes one.")
        return
    left, right = st.columns(2)
    with left:
        before = choose_run(runs, "Before", key="compare-before", index=1)
    with right:
        after = choose_run(runs, "After", key="compare-after")
    if before is None or after is None or before.id == after.id:
        st.caption("Choose two different runs.")
        return
    try:
        found = compared_runs(quoth, before, after)
    except UsageError as error:
        st.info(wording.literal(str(error)))
        return
    st.text(f"{wording.counted(found.cases, 'case')} that both have")
    for ids, which in ((found.only_before, "before"), (found.only_after, "after")):
        if ids:
            st.caption(wording.literal(f"Left out, for only the run {which} has them: {', '.join(ids[:20])}"))
    kind = None
    if found.by_type:
        kind = st.selectbox(
            "Type", list(found.by_type), index=None, placeholder="all types", key="compare-type", format_func=type_words
        )
    _differences(found.by_type[kind] if kind else found.differences)
    _moved(found, kind)
    st.markdown("**What was otherwise**")
    if not found.notes:
        st.caption("Nothing: the same cases, documents and settings.")
    for note in found.notes:
        st.caption(wording.literal(note))


def _differences(differences: Sequence[Difference]) -> None:
    moving = [one for one in differences if one.wins or one.losses]
    if not moving:
        st.success("No measure differs in any case.", icon=":material/drag_handle:")
        return
    st.dataframe(
        [
            {
                "Measure": one.name,
                "Says": one.verdict,
                "Before": one.before,
                "After": one.after,
                "Change": one.mean,
                "95 %": "–" if one.interval is None else f"{one.interval[0]:+.3f} to {one.interval[1]:+.3f}",
                "p (Holm)": one.p_holm,
                "Effect": one.effect,
                "Wins": one.wins,
                "Ties": one.ties,
                "Losses": one.losses,
                "Meaning": measure_meaning(one.name),
            }
            for one in moving
        ],
        hide_index=True,
        column_config={
            "Meaning": st.column_config.TextColumn(width="large"),
            **{
                name: st.column_config.NumberColumn(format=shown)
                for name, shown in (
                    ("Before", "%.3f"), ("After", "%.3f"), ("Change", "%+.3f"), ("p (Holm)", "%.3f"),
                    ("Effect", "%+.2f"),
                )
            },
        },
        alt="Measures that differ between the two runs",
    )  # fmt: skip
    still = len(differences) - len(moving)
    st.caption(
        f"{wording.counted(still, 'measure')} the same in every case. Differences are paired by case; p is two-sided, "
        "corrected for the number of measures; a win is a case that got better."
    )


def _moved(found: Comparison, kind: str | None) -> None:
    moved = [one for one in found.moved if kind is None or one.type == kind]
    st.markdown("**Cases that ended otherwise**")
    if not moved:
        st.caption("None.")
        return
    worse = st.toggle("Only those that got worse", key="compare-worse")
    shown = [one for one in moved if not (worse and one.better)][:MOST]
    if not shown:
        st.caption("None got worse.")
        return
    picked: Any = st.dataframe(
        [
            {
                "Case": one.case_id,
                "Change": "better" if one.better else "worse",
                "Type": type_words(one.type),
                "Before": one.before,
                "After": one.after,
            }
            for one in shown
        ],
        hide_index=True,
        on_select="rerun",
        selection_mode="single-row",
        key=f"moved-{found.before}-{found.after}-{len(shown)}",
        height=min(38 + 35 * len(shown), 360),
        alt="Cases that ended otherwise, the worse first",
    )
    at = picked.selection.rows
    if at and at[0] < len(shown):
        case = shown[at[0]].case_id
        with st.container(horizontal=True):
            for run, words in ((found.before, "before"), (found.after, "after")):
                st.button(
                    f"Open it as it was {words}", key=f"open-{words}", icon=":material/open_in_new:",
                    on_click=partial(open_cases, run, case),
                )  # fmt: skip
