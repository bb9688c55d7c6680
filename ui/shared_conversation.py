"""A conversation that somebody shared: read only, with what its reader may read themselves."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import streamlit as st

from assistant.records import OUT_OF_REACH
from ingest.access import Reader
from ingest.errors import UsageError
from ui import wording
from ui.source_pane import OPEN, OpenSource, show_source

if TYPE_CHECKING:
    from assistant.bootstrap import Quoth

LINK: Final = "s"  # in the address: the token of a link
OPENED: Final = "opened_link"  # key of the session's state


def show_shared(
    quoth: Quoth, reader: Reader, token: str, show_turn: Callable[..., Any], *, leave: Callable[[], None]
) -> None:
    """Show what a link opens.

    Args:
        show_turn: draws one question and its answer, as on the page of one's own.
        leave: has the page show a new conversation of one's own.
    """
    try:
        shared = quoth.conversations.shared(reader, token, opening=st.session_state.get(OPENED) != token)
    except UsageError as error:
        st.info(wording.literal(str(error)))
        st.button("Ask a question of your own", key="leave-shared", on_click=leave)
        return
    st.session_state[OPENED] = token
    opened: OpenSource | None = st.session_state.get(OPEN)
    source_of = next((turn for turn in shared.answers if opened and str(turn.id) == opened.answer), None)
    if source_of is not None:
        left, right = st.columns([10, 11], gap="large")
    else:
        left, right = st.container(horizontal_alignment="center"), None
    with left, st.container(width="stretch" if source_of is not None else 780, key="conversation"):
        st.subheader(wording.literal(shared.title), anchor=False)
        with st.container(horizontal=True, vertical_alignment="center"):
            when = wording.date_words(shared.shared_at)
            st.caption(f"Shared by {wording.literal(shared.by)} on {when}. You see what you may read yourself.")
            st.button("Ask a question of your own", key="leave-shared", type="tertiary", on_click=leave)
        if any(claim.text == OUT_OF_REACH for turn in shared.answers for claim in turn.claims):
            st.info("Parts of it are quoted from documents that you may not read.", icon=":material/lock:")
        for turn in shared.answers:
            show_turn(quoth, reader, turn, opened, stopped=False)
    if right is not None and source_of is not None and opened is not None:
        with right, st.container(key="source-pane"):
            show_source(quoth, reader, source_of, opened)
