"""One run case by case: which went wrong and where, and of one case everything that led to its result."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import streamlit as st

from assistant.callers import Caller
from assistant.model import Answer
from evals.case_record import CaseRecord
from evals.case_words import questions_of, shown_hits, words_at, words_of_case
from evals.reviewing import Reviews
from evals.run_store import KeptRun, Runs
from ingest.errors import UsageError
from retrieval.model import STAGES
from ui import wording
from ui.measure_words import type_words
from ui.record_sections import OUT_OF_REACH, STAGE_NAMES, TIMES
from ui.review_panel import show_override
from ui.run_cache import measured_run
from ui.run_panel import CASE, RUN, run_name

if TYPE_CHECKING:
    from assistant.bootstrap import Quoth

STATUSES: Final[Mapping[str, str]] = {"failed": "failed"} | {
    str(name): words for name, words in wording.STATUSES.items()
}
LATEST: Final = 50  # runs to choose from
LOST_AT: Final[Mapping[str, str]] = {  # failure class: where it went wrong, in words
    "failed": "Nothing was answered: a service failed.",
    "unscorable": "The gold quote is not in the documents any more, so this case cannot be scored.",
    "should have abstained": "The documents do not say, and it answered all the same.",
    "not retrieved": "Lost in search: no stage found the gold.",
    "retrieved, not in context": "Lost in choosing: it was found, but not given to whoever answered.",
    "wrongly abstained": "Lost in answering: the gold was there, and it said that the documents do not say.",
    "in context, not used": "Lost in answering: the gold was there, and something else was cited.",
    "used, wrong": "The gold was cited, but a statement is not supported or a quotation does not match.",
    "used in part": "Some of the gold was cited, and some was not.",
    "used": "Nothing was lost: all the gold was cited.",
    "rightly not answered": "Nothing was lost: the documents do not say, and it said so.",
}


def choose_run(runs: Sequence[KeptRun], label: str, *, key: str, index: int = 0) -> KeptRun | None:
    """Let the reader choose a run that has something to show; the address may name it."""
    having = [one for one in runs if one.done][:LATEST]
    if not having:
        st.info("No run has a case to show yet.")
        return None
    return st.selectbox(label, having, index=min(index, len(having) - 1), format_func=run_name, key=key)


def show_cases(quoth: Quoth, caller: Caller) -> None:
    """The cases of a run as a table, filtered; selecting a line opens a case."""
    runs = Runs(quoth.database).list()
    named = st.query_params.get(RUN, "")
    having = [one for one in runs if one.done]
    kept = choose_run(
        runs, "Run", key="cases-run", index=next((at for at, one in enumerate(having) if one.id == named), 0)
    )
    if kept is None:
        return
    st.query_params[RUN] = kept.id
    try:
        run = measured_run(quoth, kept)
    except UsageError as error:
        st.info(wording.literal(str(error)))
        return
    questions = questions_of(quoth.database, run.records)
    shown = _filtered(run.records, questions)
    said = {case: given[-1].verdict or "" for case, given in Reviews(quoth.database).overrides(kept.id).items()}
    case = _table(shown, questions, said, kept.id)
    if case is None:
        st.caption("Select a case to see its answer, what was found, and where it went wrong.")
        return
    st.query_params[CASE] = case.case_id
    st.divider()
    show_case(quoth, caller, case, questions.get(case.case_id, ""))
    show_override(quoth, caller, kept.id, case.case_id, list(LOST_AT))


def _filtered(records: Sequence[CaseRecord], questions: Mapping[str, str]) -> list[CaseRecord]:
    classes = Counter(one.failure_class for one in records)
    kinds = Counter(one.outcome.type for one in records if one.outcome.type)
    ended = st.pills(
        "What happened", [kind for kind, _ in classes.most_common()], selection_mode="multi", key="cases-class",
        format_func=lambda kind: f"{kind} ({classes[kind]})",
    )  # fmt: skip
    left, right = st.columns(2)
    kind = left.selectbox(
        "Type", sorted(kinds), index=None, placeholder="all types", key="cases-type", format_func=type_words
    )
    words = right.text_input("Words of the question, or the case's id", key="cases-words").casefold().split()
    return [
        one
        for one in records
        if (not ended or one.failure_class in ended)
        and (kind is None or one.outcome.type == kind)
        and all(word in f"{one.case_id} {questions.get(one.case_id, '')}".casefold() for word in words)
    ]


def _table(
    shown: Sequence[CaseRecord], questions: Mapping[str, str], said: Mapping[str, str], run: str
) -> CaseRecord | None:
    if not shown:
        st.caption("No case is like that.")
        return None
    picked: Any = st.dataframe(
        [
            {
                "Case": one.case_id,
                "Question": wording.shortened(questions.get(one.case_id, "(not kept any more)"), 300),
                "What happened": one.failure_class,
                "People say": said.get(one.case_id, ""),
                "Type": type_words(one.outcome.type),
                "Status": STATUSES.get(one.outcome.status, one.outcome.status),
                "Statements": len(one.outcome.claims),
                "Not supported": sum(not claim.supported for claim in one.outcome.claims),
                "Took, ms": one.latency_ms,
            }
            for one in shown
        ],
        hide_index=True,
        on_select="rerun",
        selection_mode="single-row",
        key=f"cases-{run}-{len(shown)}",
        height=min(38 + 35 * len(shown), 360),
        column_config={
            "Question": st.column_config.TextColumn(width="large"),
            "Took, ms": st.column_config.NumberColumn(format="%.0f"),
        },
        alt="Cases of the run",
    )
    at = picked.selection.rows
    if at and at[0] < len(shown):
        return shown[at[0]]
    named = st.query_params.get(CASE, "")
    return next((one for one in shown if one.case_id == named), None)


def show_case(quoth: Quoth, caller: Caller, case: CaseRecord, question: str) -> None:
    """Everything of one case that the caller may read."""
    answer = words_of_case(quoth.database, caller.reader, case)
    with st.container(key="eval-case"):
        st.subheader(wording.literal(question or case.case_id), anchor=False)
        status = STATUSES.get(case.outcome.status, case.outcome.status)
        st.caption(wording.literal(f"Case {case.case_id} · {status} · {case.model} · {case.failure_class}"))
        st.text(LOST_AT.get(case.failure_class, case.failure_class))
        for problem in case.problems:
            st.caption(wording.literal(problem))
        _gold(quoth, caller, case)
        _answer(case, answer)
        _hits(quoth, caller, case)
        _times(case)


def _gold(quoth: Quoth, caller: Caller, case: CaseRecord) -> None:
    st.markdown("**What a right answer rests on**")
    if not case.outcome.gold:
        st.caption("Nothing: the documents do not say.")
    for number, gold in enumerate(case.outcome.gold, 1):
        if not gold.places:
            st.caption(f"{number}. It is not in the documents now.")
            continue
        place = gold.places[0]
        words = words_at(quoth.catalog, quoth.database, caller.reader, place.document, place.version, place.span)
        st.text(f"{number}. {words.text or OUT_OF_REACH}")
        ranks = ", ".join(
            f"{STAGE_NAMES[stage]} #{gold.ranks[stage]}" if stage in gold.ranks else f"{STAGE_NAMES[stage]}: not found"
            for stage in STAGES
        )
        given = "given to whoever answered" if gold.in_context else "not given to whoever answered"
        ranked = ranks if case.outcome.ranked else "nobody looked at the search"
        st.caption(wording.literal(f"{words.source or 'a document out of your reach'} · {ranked} · {given}"))


def _answer(case: CaseRecord, answer: Answer | None) -> None:
    st.markdown("**The answer**")
    if answer is None:
        st.caption("Its words are not kept any more; what was judged of them is.")
    elif not answer.claims:
        st.text(answer.missing or "It made no statement.")
    for at, judged in enumerate(case.outcome.claims):
        claim = answer.claims[at] if answer and at < len(answer.claims) else None
        with st.container(border=True, gap="xxsmall", key=f"claim-{at}"):
            st.text(claim.text if claim else f"Statement {at + 1}")
            said = "not judged" if not judged.judged else ("supported" if judged.supported else "not supported")
            with st.container(horizontal=True, vertical_alignment="center"):
                st.badge(f"judge: {said}", color="green" if judged.judged and judged.supported else "red")
                if claim and at < len(case.claim_scores):
                    st.caption(f"checker {case.claim_scores[at]:.2f}")
            if claim and claim.reason:
                st.caption(wording.literal(claim.reason))
            if answer and claim:
                for citation in (one for one in answer.citations if one.marker in claim.citations):
                    place = wording.citation_place(citation) if citation.source else ""
                    st.text(f"[{citation.marker}] {citation.quote or OUT_OF_REACH}")
                    if citation.source:
                        st.caption(wording.literal(f"{citation.source}{f', {place}' if place else ''}"))


def _hits(quoth: Quoth, caller: Caller, case: CaseRecord) -> None:
    st.markdown("**What each stage found**")
    hits = shown_hits(quoth.catalog, quoth.database, caller.reader, case)
    if not hits:
        st.caption("Nobody looked at the search.")
        return
    st.dataframe(
        [
            {
                "Gold": "★" if hit.gold else "",
                **{STAGE_NAMES[stage].capitalize(): hit.rank(stage) for stage in STAGES},
                "Document": hit.words.source or OUT_OF_REACH,
                "Beginning": wording.shortened(hit.words.text, 240),
            }
            for hit in hits
        ],
        hide_index=True,
        height=min(38 + 35 * len(hits), 300),
        column_config={"Beginning": st.column_config.TextColumn(width="large")},
        alt="Passages that were found, with their rank in each stage; a star marks the gold",
    )


def _times(case: CaseRecord) -> None:
    took = [(TIMES.get(name, name), ms) for name, ms in case.timings_ms.items() if ms is not None]
    if took:
        with st.expander("Times and tokens"):
            st.dataframe([{"": name, "ms": round(ms)} for name, ms in took], hide_index=True, alt="Times of the case")
            st.caption(
                f"{case.outcome.input_tokens:,} tokens in, {case.outcome.output_tokens:,} out, "
                f"{case.outcome.cost_usd:.6f} USD"
            )
