"""The versions of a document: when each was stored, what changed between two, and going back to one."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import streamlit as st

from ingest.access import Reader
from ingest.model import Document
from ui import wording

if TYPE_CHECKING:
    from assistant.bootstrap import Quoth

Say = Callable[[wording.Tone, str], None]


def show_versions(quoth: Quoth, reader: Reader, document: Document, say: Say) -> None:
    st.caption("soon")
