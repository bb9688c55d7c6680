"""Cases proposed from documents: drafting them, and deciding on one after the other."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Final

import streamlit as st

from assistant.callers import Caller
from evals.kept_cases import KeptCases
from evals.proposing import Proposal, Proposals, Wanted
from ingest.errors import QuothError
from ui import wording

if TYPE_CHECKING:
    from assistant.bootstrap import Quoth

MOST: Final = 50  # drafted at once, while somebody waits
FIRST_FILE: Final = "proposed"


def show_proposals(quoth: Quoth, caller: Caller, said: Callable[[str], None]) -> None:
    """
    Args:
        said: has the page say something when it is drawn again.
    """
    proposals = Proposals(quoth)
    waiting = proposals.listed(caller.reader)
    label = f"Propose cases from documents ({len(waiting)} to decide)" if waiting else "Propose cases from documents"
    with st.expander(label, icon=":material/auto_awesome:", expanded=bool(waiting), key="proposals"):
        _form(quoth, proposals, caller, said)
        if waiting:
            st.divider()
            _one(quoth, proposals, caller, waiting, said)


def _form(quoth: Quoth, proposals: Proposals, caller: Caller, said: Callable[[str], None]) -> None:
    by_model = quoth.settings.models is not None
    with st.form("propose", border=False):
        left, middle, right = st.columns(3)
        count = left.number_input("Cases", 1, MOST, 10)
        collection = middle.text_input("Collection", placeholder="all you may read", max_chars=60).strip()
        seed = right.number_input("Draw", 1, 10_000, 1, help="Another number draws other passages.")
        near = st.checkbox("Every third a near miss, which the documents should not answer", True)
        rules = st.checkbox("By rules only, without the model", False) if by_model else True
        if not by_model:
            st.caption("Without a model, rules draft from sentences with numbers, times and definitions. Rewrite them.")
        if st.form_submit_button("Propose"):
            wanted = Wanted(int(count), collection or None, near, rules, int(seed))
            _acting(partial(_generate, proposals, caller, wanted), said)


def _generate(proposals: Proposals, caller: Caller, wanted: Wanted) -> str:
    caller.must("evaluator")
    bar = st.progress(0.0, text="Drafting")

    def report(done: int, total: int) -> None:
        bar.progress(done / total, text=f"{done} of {total}")

    made = proposals.generate(caller.reader, wanted, report)
    dropped = ", ".join(f"{n} {why}" for why, n in made.dropped.items())
    return (
        f"{made.answerable} cases and {made.unanswerable} near misses are proposed"
        f"{f'; dropped: {dropped}' if dropped else ''}."
    )


def _one(
    quoth: Quoth, proposals: Proposals, caller: Caller, waiting: list[Proposal], said: Callable[[str], None]
) -> None:
    one = waiting[0]
    files = [file.file for file in KeptCases(quoth.database).files()]
    with st.container(horizontal=True, gap="xsmall"):
        st.badge("Draft", color="orange")
        st.badge("Answerable" if one.answerable else "Near miss", color="gray")
        st.badge(wording.literal(f"by {one.drafted_by}"), color="gray")
    st.caption(wording.literal(f"{one.source}{f' · {one.swapped}' if one.swapped else ''}"))
    st.text(one.quote)
    with st.form(f"proposal-{one.id}", border=False):
        question = st.text_input("Question", one.question, max_chars=2000, key=f"proposal-question-{one.id}")
        answerable = st.checkbox("The sentence above answers it", one.answerable, key=f"proposal-answerable-{one.id}")
        left, right = st.columns(2)
        file = left.selectbox("File", files or [FIRST_FILE], accept_new_options=True, key=f"proposal-file-{one.id}")
        kind = right.text_input("Type", one.type, max_chars=60, key=f"proposal-type-{one.id}")
        with st.container(horizontal=True):
            accept = st.form_submit_button("Accept", type="primary", icon=":material/check:")
            reject = st.form_submit_button("Reject", icon=":material/close:")
    if accept:
        changed = {"question": question, "type": kind.strip(), "answerable": answerable}
        _acting(partial(_accept, proposals, caller, one, str(file or ""), changed), said)
    if reject:
        _acting(partial(_reject, proposals, caller, one), said)


def _accept(proposals: Proposals, caller: Caller, one: Proposal, file: str, changed: dict[str, object]) -> str:
    caller.must("evaluator")
    case, version = proposals.accept(one, file.strip(), by=caller.reader, **changed)  # type: ignore[arg-type]
    return f"It is case {case} of {file}, version {version}."


def _reject(proposals: Proposals, caller: Caller, one: Proposal) -> str:
    caller.must("evaluator")
    proposals.reject(one, by=caller.reader)
    return "It is rejected, and will not be proposed again."


def _acting(act: Callable[[], str], said: Callable[[str], None]) -> None:
    try:
        words = act()
    except QuothError as error:
        st.error(wording.literal(wording.error_words(error)))
        return
    said(words)
