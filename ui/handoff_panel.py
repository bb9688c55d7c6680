"""Below an answer that says too little: who could know, and the question to them, sent once it is confirmed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import streamlit as st

from assistant.handoff import MOST_NOTE_CHARS, Letter
from assistant.model import Answer
from ingest.access import Reader
from ingest.errors import QuothError
from ui import wording

if TYPE_CHECKING:
    from assistant.bootstrap import Quoth

SENT: Final = "handed_on"  # keys of the session's state: answers whose question was sent


def show_handoff(quoth: Quoth, reader: Reader, answer: Answer) -> None:
    """Name the owner of the nearest document; offer to send them the question, where there is a way."""
    letter = quoth.handoff.letter_of(reader, answer)
    if letter is None:
        return
    with st.container(horizontal=True, vertical_alignment="center", key=f"handoff-{answer.id}"):
        name = wording.document_name(letter.title, letter.source)
        st.caption(f"{wording.literal(letter.owner)} owns the nearest document, {wording.literal(name)}.",
                   width="content")  # fmt: skip
        if str(answer.id) in st.session_state.get(SENT, ()):
            st.badge("Question sent", icon=":material/check:", color="green")
        elif letter.ways and st.button("Ask them…", key=f"hand-on-{answer.id}", type="tertiary",
                                       icon=":material/forward_to_inbox:"):  # fmt: skip
            confirm_handoff(quoth, reader, letter)


def confirm(quoth: Quoth, reader: Reader, letter: Letter) -> None:
    """Show what would go and to whom; send it only when that is confirmed."""
    how = {"webhook": "to the help desk", "mail": f"by mail to {letter.address}"}
    st.markdown(wording.literal(f"This goes {' and '.join(how[way] for way in letter.ways)}, with your name:"))
    st.text(f"{letter.asked_by} asked: {letter.question}\nNearest document: {letter.title} ({letter.source})")
    note = st.text_area("Add a note", key=f"note-{letter.answer}", max_chars=MOST_NOTE_CHARS, height=90,
                        placeholder="Optional")  # fmt: skip
    if st.button("Send", key=f"send-{letter.answer}", type="primary"):
        try:
            quoth.handoff.send(reader, letter, note=note or "")
        except QuothError as error:
            st.error(wording.literal(str(error)), icon=":material/error:")
            return
        st.session_state[SENT] = {*st.session_state.get(SENT, ()), str(letter.answer)}
        st.rerun()


confirm_handoff = st.dialog("Send this question?", icon=":material/forward_to_inbox:")(confirm)
