"""The page that shows how an answer was made, and the list of one's own answers to choose from."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Final

import streamlit as st

from assistant.model import AnswerId
from ingest.access import Reader
from ingest.errors import UsageError
from ui import wording
from ui.record_sections import SETTINGS, Section, sections_of

if TYPE_CHECKING:
    from assistant.bootstrap import Quoth

ANSWER: Final = "answer"  # of the address
MOST: Final = 50


def show(quoth: Quoth, reader: Reader) -> None:
    """Show the page: one record where the address names an answer, else the list."""
    named = st.query_params.get(ANSWER)
    if not named:
        _listed(quoth, reader)
        return
    st.button("All your answers", icon=":material/arrow_back:", type="tertiary", on_click=_choose, args=(None,))
    try:
        record = quoth.answer_records.get(reader, AnswerId(uuid.UUID(named)))
    except (ValueError, UsageError):
        st.info("You have no such answer. It was asked by somebody else, or its conversation was deleted.")
        return
    st.header("How this answer was made", anchor=False)
    st.caption("Words of documents are read again now, under what you may read now.")
    with st.container(key="record"):
        for section in sections_of(record):
            _section(section)


def _listed(quoth: Quoth, reader: Reader) -> None:
    st.header("How answers were made", anchor=False)
    asked = quoth.answer_records.listed(reader, limit=MOST)
    if not asked:
        st.caption("You have asked nothing yet.")
        return
    for one in asked:
        with st.container(gap="xxsmall", key=f"record-{one.id}"):
            st.button(
                wording.literal(wording.shortened(one.question, 120)), key=f"open-{one.id}", type="tertiary",
                on_click=_choose, args=(one.id,), width="stretch",
            )  # fmt: skip
            parts = [wording.moment_words(one.asked_at), wording.STATUSES[one.status]]
            if one.status in ("answered", "partial"):
                words = wording.answerer_words(one.model)
                parts.append(words[0].lower() + words[1:])
            if one.calls:
                parts += [wording.counted(one.calls, "call of a model", "calls of models"), f"{one.cost_usd:.4f} USD"]
            st.caption(wording.literal(" · ".join(parts)))
    if len(asked) == MOST:
        st.caption(f"The latest {MOST}.")


def _choose(answer: AnswerId | None) -> None:
    if answer is None:
        st.query_params.pop(ANSWER, None)
    else:
        st.query_params[ANSWER] = str(answer)


def _facts(section: Section) -> None:
    if section.facts:
        st.markdown(
            "  \n".join(
                f"**{wording.literal(_capital(name))}:** {wording.literal(value)}" for name, value in section.facts
            )
        )


def _capital(name: str) -> str:
    return name[:1].upper() + name[1:]


def _section(section: Section) -> None:
    """A section's facts as lines, its rows as a table whose words wrap."""
    st.subheader(section.title, anchor=False)
    if section.title == SETTINGS and section.facts:
        with st.expander(wording.counted(len(section.facts), "setting")):
            _facts(section)
    else:
        _facts(section)
    if not section.rows:
        if section.empty:
            st.caption(section.empty)
        return
    with st.container(key=f"rows-{section.title.lower().replace(' ', '-')}"):
        st.table(
            [
                {
                    wording.literal(_capital(head)) or " ": wording.literal(cell)
                    for head, cell in zip(section.heads, row, strict=True)
                }
                for row in section.rows
            ],
            border="horizontal",
            hide_index=True,
        )
