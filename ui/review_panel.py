"""Statements for a person to judge, one at a time, without a word of where they come from; and what the labels say."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import streamlit as st

from assistant.callers import Caller
from assistant.model import Answer, Citation, Claim
from assistant.records import OUT_OF_REACH, REMOVED
from evals.agreement import agreements, corrected_support, judge_of, judges_by_people
from evals.answers_run import AnswersRun
from evals.case_words import around, words_of_case
from evals.reviewing import ClaimKey, Label, Labelled, Reviews, to_review
from evals.run_store import Runs
from ui import wording
from ui.marked_text import MarkedBlock, MarkedPart, show_marked
from ui.run_cache import measured_run

if TYPE_CHECKING:
    from assistant.bootstrap import Quoth

RUNS_REVIEWED: Final = 4  # the latest finished ones of the same cases
AROUND_CHARS: Final = 600
LOOKED_AT: Final = 60  # statements out of reach that are passed over at a time
BUTTONS: Final[tuple[tuple[Label, str, str], ...]] = (  # label, words, key
    ("supported", "Supported", "1"),
    ("partly", "In part", "2"),
    ("not", "Not supported", "3"),
    ("skipped", "Skip", "4"),
)
PASSED: Final = "review-passed"  # keys of statements that this reader cannot judge
LAST: Final = "review-last"


def show_review(quoth: Quoth, caller: Caller) -> None:
    """One statement with what it cites; a button or its key keeps the verdict and brings the next."""
    finished = [one for one in Runs(quoth.database).list() if one.finished_at and one.done]
    files = list(dict.fromkeys(one.facts.cases_name for one in finished))
    if not files:
        st.info("There is nothing to review yet: no run is finished.")
        return
    file = st.selectbox("Cases", files, key="review-file", help="Their latest runs, mixed. Which is which is not said.")
    runs = [measured_run(quoth, one) for one in finished if one.facts.cases_name == file][:RUNS_REVIEWED]
    reviews = Reviews(quoth.database)
    labels = reviews.labels([run.id for run in runs])
    keys = to_review(runs)
    mine = {one.key for one in labels if one.reviewer == caller.reader.name}
    done = sum(key in mine for key in keys)
    st.progress(done / len(keys) if keys else 1.0, f"{done} of {wording.counted(len(keys), 'statement')} seen by you")
    found = _next(quoth, caller, runs, [key for key in keys if key not in mine])
    if found is None:
        st.success("You have seen every statement that you may read.", icon=":material/check_circle:")
    else:
        _statement(quoth, caller, *found)
    _take_back(caller)
    _agreement(labels)


def _next(
    quoth: Quoth, caller: Caller, runs: Sequence[AnswersRun], waiting: Sequence[ClaimKey]
) -> tuple[ClaimKey, Answer, Claim, list[Citation]] | None:
    """The first statement whose words and quotations this reader may read."""
    records = {(run.id, record.case_id): record for run in runs for record in run.records}
    passed: set[ClaimKey] = st.session_state.setdefault(PASSED, set())
    for key in [one for one in waiting if one not in passed][:LOOKED_AT]:
        answer = words_of_case(quoth.database, caller.reader, records[key.run, key.case])
        if answer and key.claim < len(answer.claims):
            claim = answer.claims[key.claim]
            cited = [one for one in answer.citations if one.marker in claim.citations]
            if claim.text not in (OUT_OF_REACH, REMOVED) and cited and all(one.quote for one in cited):
                return key, answer, claim, cited
        passed.add(key)
    return None


def _statement(
    quoth: Quoth, caller: Caller, key: ClaimKey, answer: Answer, claim: Claim, cited: Sequence[Citation]
) -> None:
    with st.container(border=True, key="review-claim"):
        st.caption("Asked")
        st.text(answer.question)
        st.caption("Is this statement supported by what it cites?")
        st.text(claim.text)
    # each statement has buttons of its own: a key that is pressed twice is not to judge what has not been seen yet
    button = hashlib.sha256(f"{key.run}\0{key.case}\0{key.claim}".encode()).hexdigest()[:12]
    with st.container(horizontal=True, key="review-buttons"):
        for label, words, shortcut in BUTTONS:
            st.button(
                words, key=f"review-{label}-{button}", shortcut=shortcut, on_click=_keep,
                args=(quoth, caller, key, label),
            )  # fmt: skip  # none of them stands out: that would suggest a verdict
    for number, citation in enumerate(cited, 1):
        place = wording.citation_place(citation)
        st.caption(wording.literal(f"{citation.source}{f', {place}' if place else ''}"))
        st.text(citation.quote)
        text, (start, end) = around(
            quoth.catalog, caller.reader, citation.document, citation.version, (citation.start, citation.end),
            AROUND_CHARS,
        )  # fmt: skip
        if text:
            parts = (MarkedPart(text[:start]), MarkedPart(text[start:end], "odd"), MarkedPart(text[end:]))
            block = MarkedBlock("text", tuple(part for part in parts if part.text))
            with st.expander("Around it", expanded=True):
                show_marked(
                    [block], name="The passage around the quotation", shown=f"{answer.id}-{claim.text}-{number}",
                    key=f"review-around-{number}",
                )  # fmt: skip


def _keep(quoth: Quoth, caller: Caller, key: ClaimKey, label: Label) -> None:
    caller.must("evaluator")
    Reviews(quoth.database).label(key, label, by=caller.reader)
    st.session_state[LAST] = (key, label)


def _take_back(caller: Caller) -> None:
    last = st.session_state.get(LAST)
    if last is not None:
        said = next(words for label, words, _ in BUTTONS if label == last[1])
        st.caption(f"Kept as {wording.literal(caller.reader.name)}: the statement before is “{said}”.")


def _agreement(labels: Sequence[Labelled]) -> None:
    found = agreements(labels)
    with st.expander("How far reviewers agree", icon=":material/group:"):
        if not found:
            st.caption("Two people must have labelled the same statements. Everybody is shown the same ones first.")
            return
        st.dataframe(
            [
                {
                    "One": one.one,
                    "Other": one.other,
                    "Statements": one.n,
                    "The same": one.same,
                    "Cohen's kappa": one.kappa,
                }
                for one in found
            ],
            hide_index=True,
            column_config={
                "The same": st.column_config.NumberColumn(format="percent"),
                "Cohen's kappa": st.column_config.NumberColumn(format="%.2f"),
            },
            alt="Agreement of reviewers",
        )


def show_judged_by_people(quoth: Quoth, run: AnswersRun) -> None:
    """What labels say of a run's judge, and the rate of supported statements with the judge's errors taken out."""
    finished = [one for one in Runs(quoth.database).list() if one.finished_at and one.done]
    labels = Reviews(quoth.database).labels([one.id for one in finished])
    named = {one.key.run for one in labels} | {run.id}
    runs = [run if one.id == run.id else measured_run(quoth, one) for one in finished if one.id in named]
    judges = judges_by_people(runs, labels)
    judge, found = judges.get(judge_of(run)), corrected_support(run, judges)
    with st.expander("What people say of its judge"):
        if judge is None or found is None:
            st.caption("Nobody has labelled statements that this judge judged. The section Review asks for it.")
            return
        rates = judge.rates
        accuracy = "–" if rates.balanced_accuracy is None else f"{rates.balanced_accuracy:.3f}"
        st.text(
            f"{judge.judge}: balanced accuracy {accuracy} on {wording.counted(judge.labels, 'labelled statement')}"
            + (f", {judge.disputed} more disputed" if judge.disputed else "")
        )
        st.text(f"Says yes to {rates.true_yes} of {rates.yes} supported, no to {rates.true_no} of {rates.no} others.")
        span = f" ({found.interval[0]:.3f} to {found.interval[1]:.3f})" if found.interval else ""
        corrected = "cannot be corrected" if found.value is None else f"{found.value:.3f}{span}"
        reported = "–" if found.observed is None else f"{found.observed:.3f}"
        st.text(f"Supported statements: {reported} as reported; {corrected} with the judge's errors taken out.")
        st.caption(
            "Rogan and Gladen's correction, with the uncertainty of the judge's own rates. Few labels make it wide."
        )


def show_override(quoth: Quoth, caller: Caller, run: str, case: str, verdicts: Sequence[str]) -> None:
    """What people say really became of a case, and a form to say so."""
    reviews = Reviews(quoth.database)
    said = reviews.overrides(run).get(case, [])
    for one in said:
        what = one.verdict or "as the rules say"
        st.caption(wording.literal(f"{one.by}, {wording.date_words(one.at)}: {what}. {one.reason}"))
    with (
        st.expander("Say what really happened", icon=":material/gavel:"),
        st.form(f"override-{run}-{case}", border=False),
    ):
        verdict = st.selectbox("What happened", verdicts, index=None, placeholder="as the rules say")
        reason = st.text_input("Why", max_chars=500)
        if st.form_submit_button("Keep it with my name"):
            caller.must("evaluator")
            reviews.override(run, case, verdict, reason, by=caller.reader)
            st.rerun()
    st.caption("The run shows its measures by the rules, and beside them with what people say.")
