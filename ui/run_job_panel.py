"""Starting a run and watching it: what it will take, how far it is, what it cost, cancelling. The worker does it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import streamlit as st

from assistant.callers import Caller
from evals.estimating import duration
from evals.kept_cases import KeptCases
from evals.run_jobs import RunJob, RunJobs
from ingest.errors import QuothError
from ui import wording

if TYPE_CHECKING:
    from assistant.bootstrap import Quoth

PAGE_SECTION: Final = "evaluation-section"  # key of the page's sections
EVERY_S: Final = 2.0
WAS_OPEN: Final = "run-jobs-were-open"
SHOWN: Final = 5  # that have ended
ICONS: Final = {
    "waiting": ":material/schedule:", "running": ":material/play_circle:", "done": ":material/check_circle:",
    "failed": ":material/error:", "cancelled": ":material/cancel:",
}  # fmt: skip


def show_run_jobs(quoth: Quoth, caller: Caller, said: Callable[[str], None]) -> None:
    """The form that hands a run to the worker, and the runs that were handed over.

    Args:
        said: has the page say something when it is drawn again.
    """
    _form(quoth, caller, said)
    live = any(one.open for one in RunJobs(quoth).list())
    st.session_state[WAS_OPEN] = live
    st.fragment(_panel, run_every=EVERY_S if live else None)(quoth, caller)


def _form(quoth: Quoth, caller: Caller, said: Callable[[str], None]) -> None:
    files = KeptCases(quoth.database).files()
    with st.expander("Start a run", icon=":material/play_arrow:"):
        if not files:
            st.caption("No file of cases is kept yet. One is made of a file, of documents or of conversations.")
            st.button("Make cases", icon=":material/arrow_forward:", key="start-make-cases", on_click=_to_making)
            return
        versions = {one.file: one.version for one in files}
        left, middle, right = st.columns(3)
        file = left.selectbox(
            "Cases", list(versions), key="start-file", format_func=lambda name: f"{name}, version {versions[name]}"
        )
        collection = middle.text_input("Collection", placeholder="all", key="start-collection", max_chars=60).strip()
        workers = right.number_input("Cases at a time", 1, 16, 1, key="start-workers")
        most_usd = 0.0
        if quoth.settings.models is not None:
            most_usd = st.number_input(
                "Stop when it has cost (USD)", 0.0, None, 0.0, step=1.0, key="start-most-usd", help="0: no limit"
            )
        jobs = RunJobs(quoth)
        if st.button("What will it take?", key="start-estimate", type="tertiary"):

            def tell() -> None:
                st.text(jobs.expected(file, versions[file], caller.reader).text)

            _acting(tell)
        if st.button("Start", type="primary", key="start-run", icon=":material/play_arrow:"):

            def start() -> None:
                caller.must("evaluator")
                job = jobs.submit(
                    file, versions[file], by=caller.reader, collection=collection or None, workers=int(workers),
                    most_usd=most_usd or None,
                )  # fmt: skip
                waits = "" if jobs.worker_alive() else " No worker lives now: start `quoth up` or `quoth worker`."
                said(f"A run of {job.total} cases waits for the worker.{waits}")

            _acting(start)


def _to_making() -> None:
    st.session_state[PAGE_SECTION] = "Make cases"


def _panel(quoth: Quoth, caller: Caller) -> None:
    jobs = RunJobs(quoth)
    try:
        found = jobs.list()
    except QuothError as error:
        st.error(wording.literal(wording.error_words(error)))
        return
    live = [one for one in found if one.open]
    if st.session_state.get(WAS_OPEN) and not live:
        st.session_state[WAS_OPEN] = False
        st.rerun(scope="app")  # a run has ended: the list below has changed, and nothing needs to be looked at again
    shown = [*live, *[one for one in found if not one.open][:SHOWN]]
    if not shown:
        return
    with st.container(border=True, key="run-jobs", gap="small"):
        for one in shown:
            with st.container(horizontal=True, vertical_alignment="center", key=f"run-job-{one.id}"):
                st.markdown(
                    f"{ICONS[one.state]} {wording.literal(f'{one.file}, version {one.version}')}", width="content"
                )
                st.caption(wording.literal(job_words(one)), width="stretch")
                if one.open and st.button("Cancel", key=f"cancel-{one.id}", type="tertiary", icon=":material/close:"):
                    caller.must("evaluator")
                    jobs.cancel(one.id, by=caller.reader)
                    st.rerun(scope="app")
            if one.open:
                st.progress(min(1.0, one.done / max(1, one.total)), text=f"{one.done} of {one.total} cases")


def job_words(one: RunJob) -> str:
    """'running · 3 min left · 0.12 USD · run 3f2a91c04b7e'."""
    parts: list[str] = [one.state]
    if not one.open:
        parts.append(f"{one.done} of {one.total} cases")
    if one.state == "running":
        parts.append("time left not known yet" if one.left_s is None else f"about {duration(one.left_s)} left")
    if one.cost_usd:
        parts.append(f"{one.cost_usd:.2f} USD")
    if one.run:
        parts.append(f"run {one.run}")
    parts.append(f"for {one.asked_by.name}")
    if one.detail:
        parts.append(one.detail)
    return " · ".join(parts)


def _acting(act: Callable[[], object]) -> None:
    try:
        act()
    except QuothError as error:
        st.error(wording.literal(wording.error_words(error)))
