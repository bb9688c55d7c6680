"""Below an answer: whether it helped, and if not, why, and what would have been right."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import streamlit as st

from assistant.feedback import MOST_CORRECTION_CHARS, REASONS, Given
from assistant.model import Answer
from ingest.access import Reader

if TYPE_CHECKING:
    from assistant.bootstrap import Quoth

HELPFUL: Final = 1  # what st.feedback("thumbs") calls the thumb that points up


def show_feedback(quoth: Quoth, reader: Reader, answer: Answer, given: Given | None) -> None:
    """The thumbs, kept at once."""
    thumb = f"thumb-{answer.id}"

    def keep_thumb() -> None:
        chosen = st.session_state[thumb]
        if chosen is None:
            quoth.feedback.withdraw(reader, answer.id)
        else:
            quoth.feedback.give(reader, answer.id, helpful=chosen == HELPFUL)

    if thumb not in st.session_state and given is not None:
        st.session_state[thumb] = HELPFUL if given.helpful else 1 - HELPFUL
    st.feedback("thumbs", key=thumb, on_change=keep_thumb)


def show_reasons(quoth: Quoth, reader: Reader, answer: Answer, given: Given | None) -> None:
    """After the thumb that points down, reason and correction, each kept when it is given."""

    def keep_reason() -> None:
        quoth.feedback.give(
            reader,
            answer.id,
            helpful=False,
            reason=st.session_state.get(f"reason-{answer.id}"),
            correction=st.session_state.get(f"correction-{answer.id}"),
        )

    if given is None or given.helpful:
        return
    with st.container(key=f"feedback-{answer.id}", gap="xsmall"):
        st.pills(
            "What is wrong with it?", list(REASONS), default=given.reason, format_func=lambda one: REASONS[one],
            key=f"reason-{answer.id}", on_change=keep_reason,
        )  # fmt: skip
        st.text_area(
            "What would have been right?", given.correction or "", key=f"correction-{answer.id}", height=80,
            max_chars=MOST_CORRECTION_CHARS, on_change=keep_reason, placeholder="Optional",
        )  # fmt: skip
        st.caption("Kept. Whoever evaluates the answers reads it; removing a cited document removes the correction.")
