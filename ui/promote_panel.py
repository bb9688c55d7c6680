"""Cases made of answers (one's own, or such as did not help somebody) or imported; and the files that keep them."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from functools import partial
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final

import streamlit as st

from assistant.callers import Caller
from assistant.feedback import REASONS
from assistant.model import Answer, AnswerId
from evals.case_files import read_case_file
from evals.case_import import import_cases
from evals.case_words import answer_words, opened
from evals.kept_cases import GoldSpan, KeptCases, NewCase, cases_jsonl
from ingest.access import LOCAL
from ingest.errors import QuothError, UsageError
from ui import wording
from ui.own_files import kept_for
from ui.proposal_panel import show_proposals

if TYPE_CHECKING:
    from assistant.bootstrap import Quoth

ANSWER: Final = "answer"  # of the address
OFFERED: Final = 50
OPENED: Final = "promote-opened"
FIRST_FILE: Final = "conversations"
UPLOAD_MB: Final = 20
REFUSED_SHOWN: Final = 5
CASES_SHOWN: Final = 200


def show_promotion(quoth: Quoth, caller: Caller, said: Callable[[str], None]) -> None:
    """Choose an answer, make a case of it, look at the files.

    Args:
        said: has the page say something when it is drawn again.
    """
    kept = KeptCases(quoth.database)
    _import(quoth, caller, said)
    show_proposals(quoth, caller, said)
    answer = _chosen(quoth, caller)
    if answer is not None:
        _form(kept, caller, answer, said)
    _files(kept, caller, said)


def _import(quoth: Quoth, caller: Caller, said: Callable[[str], None]) -> None:
    """Keep the cases of an uploaded file; gold is looked for among what the caller may read."""
    with st.expander("Import a file of cases", icon=":material/upload_file:"), st.form("import-cases", border=False):
        st.caption("JSONL, CSV or SQuAD's JSON. Gold becomes places in documents; reference answers are not kept.")
        given = st.file_uploader("File", type=["jsonl", "csv", "json"], max_upload_size=UPLOAD_MB)
        name = st.text_input("Keep as", FIRST_FILE, max_chars=64)
        if st.form_submit_button("Import") and given is not None:
            _acting(partial(_imported, quoth, caller, name.strip(), given.name, given.getvalue()), said)


def _imported(quoth: Quoth, caller: Caller, name: str, uploaded: str, content: bytes) -> str:
    caller.must("evaluator")
    with TemporaryDirectory() as folder:
        file = Path(folder) / f"cases{PurePosixPath(uploaded).suffix.lower()}"
        file.write_bytes(content)
        found = import_cases(quoth, name, read_case_file(file), caller.reader)
    words = f"{found.added} cases are kept in {found.file}, version {found.version}."
    if found.refused:
        first = "; ".join(f"{one.case_id}: {one.what}" for one in found.refused[:REFUSED_SHOWN])
        words += f" {len(found.refused)} were refused: {first}{' ...' if len(found.refused) > REFUSED_SHOWN else ''}"
    return words


def _chosen(quoth: Quoth, caller: Caller) -> Answer | None:
    """An answer of one's own, or one that somebody found unhelpful, which is why evaluators may look at it."""
    unhelpful = {one.given.answer: one for one in quoth.feedback.listed(LOCAL, helpful=False, limit=OFFERED)}
    own = {one.id: one for one in quoth.answer_records.listed(caller.reader, limit=OFFERED)}
    options = list(dict.fromkeys([*own, *unhelpful]))
    named = st.query_params.get(ANSWER, "")
    if not options:
        st.caption("There is nothing to make a case of: you have asked nothing, and nobody found an answer unhelpful.")
        return None
    only = st.toggle("Only answers that did not help", key="promote-unhelpful")
    shown = [one for one in options if one in unhelpful] if only else options
    if not shown:
        st.caption("Nobody found an answer unhelpful.")
        return None

    def words(one: AnswerId) -> str:
        thumb = ""
        if one in unhelpful:
            reason = unhelpful[one].given.reason
            thumb = f" (did not help{f': {REASONS[reason]}' if reason else ''})"
        question = own[one].question if one in own else unhelpful[one].question
        return f"{wording.shortened(question, 120)}{thumb}"

    index = next((at for at, one in enumerate(shown) if str(one) == named), None)
    picked = st.selectbox(
        "Make a case of", shown, index=index, format_func=words, placeholder="a question", key=f"promote-{only}"
    )
    if picked is None:
        return None
    principal = caller.reader.name if picked in own else unhelpful[picked].given.principal
    answer = answer_words(quoth.database, caller.reader, uuid.UUID(str(picked)), principal)
    if answer is not None and st.session_state.get(OPENED) != str(picked):
        st.session_state[OPENED] = str(picked)  # once, not at each drawing of the page
        opened(quoth.database, caller.reader, uuid.UUID(str(picked)), principal)
    if answer is None:
        st.info("This answer is not kept any more.")
    return answer


def _form(kept: KeptCases, caller: Caller, answer: Answer, said: Callable[[str], None]) -> None:
    st.text(answer.text or answer.missing or "It made no statement.")
    files = [one.file for one in kept.files()]
    with st.form(f"promote-form-{answer.id}", border=True):
        question = st.text_input("Question", answer.question, max_chars=2000)
        answerable = st.checkbox("The documents answer it", bool(answer.citations))
        gold = []
        shown = [one for one in answer.citations if one.quote]
        if shown:
            st.caption("What a right answer must cite")
        for citation in shown:
            place = wording.citation_place(citation)
            words = f"{citation.source}{f', {place}' if place else ''}: {wording.shortened(citation.quote, 300)}"
            if st.checkbox(wording.literal(words), True, key=f"gold-{answer.id}-{citation.marker}"):
                gold.append(GoldSpan(citation.document, citation.version, (citation.start, citation.end)))
        left, right = st.columns(2)
        file = left.selectbox("File", files or [FIRST_FILE], accept_new_options=True)
        kind = right.text_input("Type", placeholder="fact", help="Results are also shown by type.", max_chars=60)
        if st.form_submit_button("Make it a case", type="primary"):
            new = NewCase(question, answerable, tuple(gold) if answerable else (), kind.strip() or None)
            _acting(partial(_add, kept, caller, str(file or ""), new), said)


def _add(kept: KeptCases, caller: Caller, file: str, new: NewCase) -> str:
    caller.must("evaluator")
    case, version = kept.add(file.strip(), new, by=caller.reader)
    return f"It is case {case} of {file}, version {version}."


def _files(kept: KeptCases, caller: Caller, said: Callable[[str], None]) -> None:
    files = kept.files()
    st.subheader("Files of cases", anchor=False)
    if not files:
        st.caption("None is kept yet.")
        return
    file = st.selectbox("File of cases", [one.file for one in files], key="cases-file")
    history = kept.history(file)
    version = st.selectbox("Version", [one.version for one in history], key=f"cases-version-{file}-{len(history)}")
    cases = kept.cases(file, caller.reader, version=version)
    st.dataframe(
        [
            {
                "Case": one.id,
                "Question": one.question,
                "Answerable": one.answerable,
                "Must cite": wording.shortened(" / ".join(gold["quote"] for gold in one.gold), 300),
                "Not readable": one.lost,
                "Type": one.type or "",
                "By": one.made_by,
            }
            for one in cases[:CASES_SHOWN]
        ],
        hide_index=True,
        column_config={"Question": st.column_config.TextColumn(width="large")},
        alt="Cases of this version",
    )
    if len(cases) > CASES_SHOWN:
        st.caption(f"The first {CASES_SHOWN} of {len(cases):,}. The export holds all.")
    made = next(one for one in history if one.version == version)
    lost = sum(bool(one.lost) for one in cases)
    st.caption(
        wording.literal(f"Version {version}: {made.change} by {made.made_by}, {wording.date_words(made.made_at)}.")
        + (f" {lost} cannot be exported: their quotations are gone, or not yours to read." if lost else "")
    )
    with st.container(horizontal=True):
        st.download_button(
            "Export as JSONL", cases_jsonl(cases), f"{file}-{version}.jsonl",
            kept_for(caller.reader, "application/jsonl"), key="cases-export",
            icon=":material/download:", on_click="ignore",
        )  # fmt: skip
        if version == history[0].version and cases:
            with st.popover("Take a case out", icon=":material/remove_circle:"):
                gone = st.selectbox("Case", [one.id for one in cases], key=f"take-out-{version}")
                if st.button("Take it out of the next version", key="take-out"):
                    _acting(partial(_take_out, kept, caller, file, gone), said)


def _take_out(kept: KeptCases, caller: Caller, file: str, case: str) -> str:
    caller.must("evaluator")
    return f"Version {kept.take_out(file, case, by=caller.reader)} of {file} is without case {case}."


def _acting(act: Callable[[], str], said: Callable[[str], None]) -> None:
    """Do something and show the page anew; what is wrong with it is said where it was asked for."""
    try:
        words = act()
    except UsageError as error:
        st.error(wording.literal(str(error)))
        return
    except QuothError as error:
        st.error(wording.literal(wording.error_words(error)))
        return
    said(words)
