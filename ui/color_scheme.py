"""Whether the theme is light or dark, told to what stands outside the app's own element: dialogs and popovers."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import streamlit as st

ASSETS = Path(__file__).with_name("assets")


def follow_theme() -> None:
    """Let the page's colour scheme be that of the theme chosen, which need not be the system's."""
    _component()(key="scheme", data={})


@functools.cache
def _component() -> Callable[..., Any]:
    return st.components.v2.component(
        "quoth_scheme", html="<span></span>", js=(ASSETS / "scheme.js").read_text(encoding="utf-8")
    )
