"""Asking aloud: a recording becomes text in the question's field, where a person looks it over before it is asked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import streamlit as st

from assistant.transcribing import MOST_S
from ingest.access import Reader
from ingest.errors import QuothError
from ui import wording

if TYPE_CHECKING:
    from assistant.bootstrap import Quoth

SPOKEN: Final = "spoken-question"  # keys of the session's state
TROUBLE: Final = "spoken-trouble"
ROUND: Final = "spoken-round"  # a new recorder after each recording
NOTHING: Final = "Nothing was understood. Speak nearer to the microphone."
ALSO: Final = "Record it again, or type the question."


def show_speaking(quoth: Quoth, reader: Reader, field: str) -> None:
    """Show the recorder, where a model for it is set.

    Args:
        field: key of the question's field, which is drawn after this.
    """
    if quoth.transcriber is None:
        return
    key = f"{SPOKEN}-{st.session_state.get(ROUND, 0)}"

    def heard() -> None:
        recording: Any = st.session_state.get(key)
        if recording is not None:
            st.session_state[ROUND] = st.session_state.get(ROUND, 0) + 1
            write_down(quoth, reader, recording.getvalue(), field)

    with st.popover("Speak", icon=":material/mic:", type="tertiary", key="speak"):
        st.caption(f"Up to {MOST_S:g} seconds. What was understood comes into the field below; nothing is asked yet.")
        st.caption(
            "Where the browser refuses the microphone, allow it beside the page's address, or type the question."
        )
        st.audio_input("Your question", key=key, sample_rate=16_000, on_change=heard, label_visibility="collapsed")
    trouble = st.session_state.pop(TROUBLE, None)
    if trouble:
        st.warning(f"{wording.literal(trouble)} {ALSO}", icon=":material/mic_off:")


def write_down(quoth: Quoth, reader: Reader, recording: bytes, field: str) -> None:
    """Put what is said into the question's field, or keep what went wrong to be shown."""
    assert quoth.transcriber is not None
    try:
        said = quoth.transcriber.text_of(recording, reader)
    except QuothError as error:
        st.session_state[TROUBLE] = str(error)
        return
    if said:
        st.session_state[field] = said
    else:
        st.session_state[TROUBLE] = NOTHING
