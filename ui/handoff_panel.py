"""Below an answer that says too little: who could know, and the question to them, sent once it is confirmed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import streamlit as st

from assistant.handoff import MOST_NOTE_CHARS, Letter
from assistant.model import Answer
from assistant.question_routing import MOST_SUBJECT_CHARS, URGENCIES
from ingest.access import Reader
from ingest.errors import QuothError
from ui import wording

if TYPE_CHECKING:
    from assistant.bootstrap import Quoth

PROPOSED: Final = "proposed-letter-"  # and an answer's id
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
            st.session_state.pop(f"{PROPOSED}{answer.id}", None)  # asked for anew each time the dialog opens
            confirm_handoff(quoth, reader, answer)


def confirm(quoth: Quoth, reader: Reader, answer: Answer) -> None:
    """Show what would go and to whom, let the person change it, and send it only when that is confirmed."""
    letter = _proposed(quoth, reader, answer)
    if letter is None:
        st.info("Nobody can be asked any more.")
        return
    owners = quoth.handoff.owners(reader, letter)
    with st.container(horizontal=True):
        owner = st.selectbox("To", owners, key=f"to-{letter.answer}")
        urgency = st.selectbox("Urgency", URGENCIES, index=URGENCIES.index(letter.urgency), width=130,
                               key=f"urgency-{letter.answer}", format_func=str.capitalize)  # fmt: skip
    subject = st.text_input("Subject", letter.subject, key=f"subject-{letter.answer}", max_chars=MOST_SUBJECT_CHARS)
    try:
        letter = quoth.handoff.revised(reader, letter, owner=owner, urgency=urgency, subject=subject)
    except QuothError as error:
        st.error(wording.literal(str(error)), icon=":material/error:")
        return
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


def _proposed(quoth: Quoth, reader: Reader, answer: Answer) -> Letter | None:
    """What is proposed, asked for once while the dialog is open: a model may have to be waited for."""
    key = f"{PROPOSED}{answer.id}"
    if key not in st.session_state:
        with st.spinner("Looking who could know"):
            st.session_state[key] = quoth.handoff.proposed(reader, answer)
    letter: Letter | None = st.session_state[key]
    return letter


confirm_handoff = st.dialog("Send this question?", icon=":material/forward_to_inbox:")(confirm)
