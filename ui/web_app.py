"""What `streamlit run` serves: the Streamlit script behind our headers, with the store opened once per process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import streamlit as st

from ingest.errors import QuothError
from ui.server import SecurityHeaders
from ui.shared_store import close_store, shared_store


@asynccontextmanager
async def lifespan(app: st.App) -> AsyncIterator[None]:
    """Open the store before the first visitor comes; close it when the server ends."""
    with suppress(QuothError):  # the first page says it in words
        await asyncio.to_thread(shared_store)
    try:
        yield
    finally:
        close_store()


app = st.App(
    Path(__file__).with_name("app.py"),
    middleware=[(SecurityHeaders, (), {})],  # type: ignore[list-item]  # what a starlette Middleware unpacks to
    lifespan=lifespan,
)
