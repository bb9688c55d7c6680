"""An answer as the browser shows it: statements with markers that open their source.

Everything is set as text nodes by `assets/cited_answer.js`; nothing of a document or a model is ever read as markup.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import streamlit as st

from assistant.model import Answer
from assistant.moderation import DECLINED, DECLINED_UNSEEN
from assistant.records import STOPPED
from ui import wording

ASSETS: Final = Path(__file__).with_name("assets")
NEAREST_CHARACTERS: Final = 320
_LINE_BREAKS: Final = re.compile(r"\s*\n\s*")  # a quotation may span blocks; one line break shows that well enough


def cited_answer(
    answer: Answer,
    *,
    key: str,
    selected: int | None,
    on_cited: Callable[[int], None],
    on_passage: Callable[[int], None],
    stopped: bool = False,
    arriving: bool = False,
) -> None:
    """Show an answer.

    Args:
        key: the same for the same answer in every run.
        selected: the marker whose source is open.
        on_cited: told the marker that was clicked.
        on_passage: told the index, from 0, of the nearest passage that was clicked.
        stopped: the reader ended it before it was complete.
        arriving: the page scrolls to it when it first appears.
    """

    def cited() -> None:
        marker = st.session_state[key].cited
        if isinstance(marker, int) and any(one.marker == marker for one in answer.citations):
            on_cited(marker)

    def passage() -> None:
        index = st.session_state[key].passage
        if isinstance(index, int) and 0 <= index < len(answer.passages):
            on_passage(index)

    _component()(
        data={**answer_data(answer, selected=selected, stopped=stopped), "arriving": arriving},
        key=key,
        on_cited_change=cited,
        on_passage_change=passage,
    )


def answer_data(answer: Answer, *, selected: int | None, stopped: bool = False) -> dict[str, Any]:
    """What the component is given; all values are plain text and numbers."""
    notes = []
    if stopped:
        notes.append(
            {"tone": "neutral", "text": "Stopped. This much was found and checked; it is not kept when you leave."}
        )
    if answer.degraded:
        notes.append({"tone": "warning", "text": f"A simpler way answered: {answer.degraded}"})
    if answer.missing == STOPPED:
        notes.append({"tone": "neutral", "text": STOPPED})
    elif answer.status == "partial" and answer.missing:
        notes.append({"tone": "warning", "text": f"Not answered: {answer.missing}"})
    for citation in answer.citations:
        if words := wording.newer_words(citation):
            notes.append({"tone": "neutral" if citation.newer and citation.newer.span else "warning", "text": words})
    abstained = answer.status == "abstained"
    return {
        "heading": _heading(answer),
        "lead": _lead(answer),
        "flowing": answer.model != "quoted",
        "claims": [
            {
                "text": _LINE_BREAKS.sub("\n", claim.text.strip()),
                "markers": list(claim.citations),
                "supported": claim.verdict == "supported",
            }
            for claim in answer.claims
        ],
        "citations": [
            {
                "marker": citation.marker,
                "quote": citation.quote or "No longer available.",
                "name": wording.document_name(citation.title, citation.source) if citation.source else "Not available",
                "place": wording.citation_place(citation),
                "available": bool(citation.source),
            }
            for citation in answer.citations
        ],
        "passages": [
            {
                "name": wording.document_name(passage.title, passage.source),
                "place": wording.passage_place(passage),
                "text": wording.excerpt(passage.text, answer.question, NEAREST_CHARACTERS),
            }
            for passage in (answer.passages if abstained else ())
        ],
        "choices": list(answer.choices),
        "notes": notes,
        "verified": wording.verified_words(answer),
        "all_verified": all(claim.verdict == "supported" and claim.citations for claim in answer.claims),
        "method": "" if stopped else wording.method_words(answer),
        "copied": wording.copied_answer(answer),
        "selected": selected,
    }


def _heading(answer: Answer) -> str:
    if answer.missing in (DECLINED, DECLINED_UNSEEN):
        return "This question was not answered."
    return "The documents do not say." if answer.status == "abstained" else ""


def _lead(answer: Answer) -> str:
    if answer.missing in (DECLINED, DECLINED_UNSEEN):
        return answer.missing.partition(": ")[2].capitalize()
    if answer.status == "abstained":
        searched = f"{answer.missing} " if answer.missing else ""
        if answer.passages:
            return f"{searched}Nothing in them answers this. These passages come nearest:"
        return f"{searched}Nothing in them comes near this question."
    if answer.status == "clarifying":
        return answer.text
    return ""


def watch_for_stop() -> None:
    """Begin the page anew when the reader stops the answer: a stopped script can draw nothing more by itself."""
    _stop_component()(key="stop-watch", data={}, on_stopped_change=lambda: None)


@functools.cache
def _stop_component() -> Callable[..., Any]:
    return st.components.v2.component(
        "quoth_stop_watch", html="<span></span>", js=(ASSETS / "stop_watch.js").read_text(encoding="utf-8")
    )


@functools.cache
def _component() -> Callable[..., Any]:
    return st.components.v2.component(
        "quoth_cited_answer",
        html="<div class='answer'></div>",
        css=(ASSETS / "cited_answer.css").read_text(encoding="utf-8"),
        js=(ASSETS / "cited_answer.js").read_text(encoding="utf-8"),
    )
