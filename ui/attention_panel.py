"""What needs a look."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from ingest.access import Reader

if TYPE_CHECKING:
    from assistant.bootstrap import Quoth


def show_attention(quoth: Quoth, reader: Reader) -> None:
    st.caption("soon")
