"""The evaluation runs of a store: the list, a measure over time, one run with its numbers, files of it to take away."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import altair
import streamlit as st

from assistant.callers import Caller
from evals import answers_report
from evals.answers_run import AnswersRun
from evals.case_record import report_json
from evals.case_words import words_of_case
from evals.outcome import Measure
from evals.overriding import moved, overridden, verdicts
from evals.reviewing import Reviews
from evals.run_store import KeptRun, Runs
from ingest.errors import UsageError
from ui import wording
from ui.calibration_panel import show_calibration
from ui.measure_words import measure_meaning
from ui.own_files import kept_for
from ui.review_panel import show_judged_by_people
from ui.run_cache import measured_run
from ui.run_job_panel import PAGE_SECTION, show_run_jobs

if TYPE_CHECKING:
    from assistant.bootstrap import Quoth

RUN: Final = "run"  # of the address
CASE: Final = "case"
MAIN: Final[Mapping[str, str]] = {
    "gold_citation_recall": "Gold cited",
    "citation_recall": "Supported",
    "abstention_tpr": "Rightly silent",
    "abstention_fpr": "Wrongly silent",
}
VALUES: Final = ("Value", "From", "To")
MEASURED_AT_ONCE: Final = 20  # runs of the list
LIST_ROW_PX: Final = 35


def show_runs(quoth: Quoth, caller: Caller, said: Callable[[str], None]) -> None:
    """The list of runs and the trend; selecting a line opens the run.

    Args:
        said: has the page say something when it is drawn again.
    """
    show_run_jobs(quoth, caller, said)
    runs = Runs(quoth.database).list()
    if not runs:
        st.info("No run is kept yet. Start one above, or from a terminal:", icon=":material/science:")
        st.code("quoth eval answers CASES.jsonl", language=None)
        return
    shown = runs[:MEASURED_AT_ONCE]
    measured = {one.id: run for one in shown if (run := _measured(quoth, one)) is not None}
    chosen = _table(shown, measured)
    if len(runs) > len(shown):
        st.caption(f"The latest {len(shown)} of {len(runs)}. `quoth eval list` names all.")
    _trend([(one, measured[one.id]) for one in reversed(shown) if one.id in measured])
    if chosen is None:
        st.caption("Select a run to see its measures, its files, and to delete it.")
        return
    st.divider()
    _one(quoth, caller, chosen, measured.get(chosen.id), said)


def run_name(one: KeptRun) -> str:
    """'21 November 2026, 14:05 UTC · quoted · cases.jsonl · 3f2a91c0'."""
    return f"{wording.moment_words(one.started_at)} · {system_of(one)} · {one.facts.cases_name} · {one.id[:8]}"


def system_of(one: KeptRun) -> str:
    """What answered, in short."""
    settings = one.facts.settings
    return str(settings.get("system") or settings.get("models") or "quoted")


def measure_words(measure: Measure | None) -> str:
    """'0.913 (0.85 to 0.96)'."""
    if measure is None or measure.value is None:
        return "–"
    span = f" ({measure.interval[0]:.2f} to {measure.interval[1]:.2f})" if measure.interval else ""
    return f"{answers_report.number(measure.value)}{span}"


def _measured(quoth: Quoth, one: KeptRun) -> AnswersRun | None:
    try:
        return measured_run(quoth, one)
    except UsageError:  # nothing of it is done
        return None


def _status(one: KeptRun) -> str:
    return "finished" if one.finished_at else f"{one.done} of {one.facts.cases} done"


def _table(shown: Sequence[KeptRun], measured: Mapping[str, AnswersRun]) -> KeptRun | None:
    rows = []
    for one in shown:
        run = measured.get(one.id)
        rows.append(
            {
                "When": one.started_at,
                "Answered by": system_of(one),
                "Prompt": str(one.facts.settings.get("prompt") or "–"),
                "Cases": one.facts.cases,
                **{words: measure_words(run.measure(name) if run else None) for name, words in MAIN.items()},
                "Status": _status(one),
                "File": one.facts.cases_name,
                "Run": one.id,
            }
        )
    picked: Any = st.dataframe(
        rows,
        hide_index=True,
        on_select="rerun",
        selection_mode="single-row",
        key=f"runs-{len(shown)}-{shown[0].id}",
        height=min(38 + LIST_ROW_PX * len(rows), 430),
        column_config={
            "When": st.column_config.DatetimeColumn("When (UTC)", format="D MMM YYYY, HH:mm", timezone="UTC")
        },
        alt="Evaluation runs, the latest first",
    )
    st.caption("In brackets: 95 % intervals. Silent: it said that the documents do not say, rightly or wrongly.")
    at = picked.selection.rows
    if at and at[0] < len(shown):
        return shown[at[0]]
    named = st.query_params.get(RUN, "")
    return next((one for one in shown if named and one.id == named), None)


def _trend(runs: Sequence[tuple[KeptRun, AnswersRun]]) -> None:
    if len(runs) < 2:
        return
    names = list({**runs[-1][1].measures, **runs[-1][1].resources})
    with st.expander("A measure over time", icon=":material/show_chart:"):
        left, right = st.columns(2)
        name = left.selectbox("Measure", names, index=names.index("gold_citation_recall"), key="trend-measure")
        files = sorted({kept.facts.cases_name for kept, _ in runs})
        file = right.selectbox("Cases", files, index=files.index(runs[-1][0].facts.cases_name), key="trend-file")
        points = []
        for kept, run in runs:
            measure = run.measure(name)
            if measure is None or measure.value is None or kept.facts.cases_name != file:
                continue
            low, high = measure.interval or (measure.value, measure.value)
            points.append(
                {"when": kept.started_at.isoformat(), "value": measure.value, "low": low, "high": high,
                 "run": kept.id, "by": system_of(kept)}
            )  # fmt: skip
        if not points:
            st.caption("No run of these cases has a value for it.")
            return
        base = altair.Chart(altair.Data(values=points)).encode(x=altair.X("when:T", title=None))
        spans = base.mark_rule(opacity=0.5).encode(y=altair.Y("low:Q", title=name), y2="high:Q")
        line = base.mark_line(point=True).encode(
            y=altair.Y("value:Q", title=name),
            tooltip=["run:N", "by:N", "value:Q", "low:Q", "high:Q"],
        )
        st.altair_chart(spans + line, height=260)
        st.caption(
            "Upright lines are 95 % intervals. Two that overlap may still differ: compare the runs case by case."
        )


def _one(quoth: Quoth, caller: Caller, kept: KeptRun, run: AnswersRun | None, said: Callable[[str], None]) -> None:
    st.subheader(wording.literal(run_name(kept)), anchor=False)
    if run is None:
        st.caption("Nothing of it is done yet.")
    else:
        _numbers(run)
        _people(quoth, run)
        show_calibration(quoth, run)
        show_judged_by_people(quoth, run)
        _files(quoth, caller, run)
    _delete(quoth, caller, kept, said)


def _numbers(run: AnswersRun) -> None:
    classes = Counter(one.failure_class for one in run.records)
    ended = " · ".join(f"{n} {kind}" for kind, n in classes.most_common())
    st.text(f"What became of the gold in {wording.counted(len(run.records), 'case')}: {ended}")
    with st.expander("All measures"):
        st.dataframe(
            [
                {
                    "Measure": name,
                    "Value": one.value,
                    "From": one.interval[0] if one.interval else None,
                    "To": one.interval[1] if one.interval else None,
                    "n": one.n,
                    "Meaning": measure_meaning(name),
                }
                for name, one in {**run.measures, **run.resources}.items()
                if one.value is not None
            ],
            hide_index=True,
            column_config={
                "Measure": st.column_config.TextColumn(width="medium"),
                **{name: st.column_config.NumberColumn(format="%.3f", width="small") for name in VALUES},
                "n": st.column_config.NumberColumn(width="small"),
                "Meaning": st.column_config.TextColumn(width="large"),
            },
            alt="Every measure of the run with its 95 % interval",
        )
        for note in run.notes:
            st.caption(wording.literal(note))
    with st.expander("Settings"):
        facts = answers_report.facts_json(run.kept)
        flat = {**facts.pop("settings"), **facts}
        st.dataframe(
            [{"Setting": name, "Value": str(value or "–")} for name, value in flat.items()],
            hide_index=True,
            alt="Settings of the run",
        )


def _people(quoth: Quoth, run: AnswersRun) -> None:
    """The measures that people's verdicts change, beside those by the rules."""
    overrides = Reviews(quoth.database).overrides(run.id)
    changed = moved(run, overridden(run, overrides))
    if not changed:
        return
    names = {said.by for of in overrides.values() for said in of}
    with st.expander(f"With what people say of {wording.counted(len(verdicts(overrides)), 'case')}", expanded=True):
        st.dataframe(
            [
                {
                    "Measure": one.name,
                    "By the rules": measure_words(one.by_rules),
                    "n": one.by_rules.n,
                    "With people's verdicts": measure_words(one.with_people),
                    "n with them": one.with_people.n,
                }
                for one in changed
            ],
            hide_index=True,
            alt="Measures by the rules, and with people's verdicts",
        )
        st.caption(wording.literal(f"Said by {', '.join(sorted(names))}. Each verdict stands with its case."))


def _files(quoth: Quoth, caller: Caller, run: AnswersRun) -> None:
    with st.container(horizontal=True):
        st.button("Look at its cases", icon=":material/checklist:", key=f"cases-of-{run.id}", on_click=open_cases,
                  args=(run.id,))  # fmt: skip
        st.download_button(
            "Values as CSV", partial(answers_report.run_csv, run), f"run-{run.id}.csv",
            kept_for(caller.reader, "text/csv"), key=f"csv-{run.id}", icon=":material/table_view:", on_click="ignore",
        )  # fmt: skip
        st.download_button(
            "Cases as JSONL", partial(run_lines, quoth, caller, run), f"run-{run.id}.jsonl",
            kept_for(caller.reader, "application/jsonl"), key=f"jsonl-{run.id}",
            icon=":material/data_object:", on_click="ignore",
        )  # fmt: skip


def open_cases(run: str, case: str = "") -> None:
    """Have the page show the cases of a run when it is drawn again."""
    st.session_state[PAGE_SECTION] = "Cases"
    st.session_state.pop("cases-run", None)
    st.query_params[RUN] = run
    st.query_params.pop(CASE, None)
    if case:
        st.query_params[CASE] = case


def run_lines(quoth: Quoth, caller: Caller, run: AnswersRun) -> str:
    """Each case's record, one JSON object a line, with the words that the caller may read."""
    caller.must("evaluator")
    reader = caller.reader
    made = (report_json(one, None, words_of_case(quoth.database, reader, one)) for one in run.records)
    return "".join(json.dumps(one, ensure_ascii=False) + "\n" for one in made)


def _delete(quoth: Quoth, caller: Caller, kept: KeptRun, said: Callable[[str], None]) -> None:
    with st.popover("Delete this run", icon=":material/delete:"):
        st.write("Its numbers and what people said of its cases go for good. The answers stay until they expire.")
        if st.button("Delete it", type="primary", key=f"delete-{kept.id}"):
            caller.must("evaluator")
            Runs(quoth.database).delete(kept.id, by=caller.reader)
            st.query_params.pop(RUN, None)
            said(f"The run {kept.id} is forgotten.")
