"""The web app over the scripted store, for AppTest and, behind the real headers, for a browser."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import streamlit as st

sys.path.insert(0, str(Path(__file__).parent))
from scripted_quoth import ScriptedQuoth

from ui import app


@st.cache_resource
def scripted(title: str, extra: str) -> ScriptedQuoth:
    return ScriptedQuoth(title=title, extra=extra) if title else ScriptedQuoth()


app.main(scripted(os.environ.get("SCRIPTED_TITLE", ""), os.environ.get("SCRIPTED_EXTRA", "")))
