"""Text with parts of it marked, in a component of text nodes: nothing in it is read as markup."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import streamlit as st

ASSETS: Final = Path(__file__).with_name("assets")
Mark = Literal["", "odd", "even", "added", "removed"]


@dataclass(frozen=True, slots=True)
class MarkedPart:
    """A piece of text; odd and even tell neighbouring passages apart."""

    text: str
    mark: Mark = ""
    label: str = ""  # shown before it


@dataclass(frozen=True, slots=True)
class MarkedBlock:
    """A paragraph; its kind is an element's category, or gap, added, removed, changed."""

    kind: str
    parts: tuple[MarkedPart, ...]


def show_marked(blocks: Sequence[MarkedBlock], *, name: str, shown: str, key: str) -> None:
    """Show the blocks.

    Args:
        name: what a screen reader calls the text.
        shown: stands for the content; the frame scrolls to its top when it changes.
    """
    data = {
        "name": name,
        "shown": shown,
        "blocks": [
            {
                "kind": block.kind,
                "parts": [{"text": part.text, "mark": part.mark, "label": part.label} for part in block.parts],
            }
            for block in blocks
        ],
    }
    _component()(key=key, data=data)


@functools.cache
def _component() -> Callable[..., Any]:
    return st.components.v2.component(
        "quoth_marked_text",
        html="<div class='frame'></div>",
        css=(ASSETS / "marked_text.css").read_text(encoding="utf-8"),
        js=(ASSETS / "marked_text.js").read_text(encoding="utf-8"),
    )
