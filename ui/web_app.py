"""What `streamlit run` serves: the Streamlit script behind our headers and the API beside it, over one store."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Final

import streamlit as st
from streamlit.web.server.starlette.starlette_websocket import is_host_allowed

from assistant.settings import Settings
from assistant.sign_in import sign_in_from
from ingest.errors import ConfigurationError, QuothError
from ingest.secret_files import secret_text
from ui.api.serving import ApiBeside
from ui.log_lines import start_logging
from ui.own_files import OwnFiles
from ui.server import SecurityHeaders
from ui.shared_store import close_store, shared_store

API = ApiBeside()


@asynccontextmanager
async def lifespan(app: st.App) -> AsyncIterator[None]:
    """Open the store before the first visitor comes; close it when the server ends."""
    with suppress(ConfigurationError):  # which the first page says
        start_logging(os.environ)
    async with AsyncExitStack() as running:
        with suppress(QuothError):  # the first page says it in words
            await API.start(await asyncio.to_thread(shared_store), running)
        try:
            yield
        finally:
            close_store()


def auth_secrets(environ: Mapping[str, str]) -> dict[str, Any]:
    """What Streamlit's sign-in wants to know; nothing where there is none, or where the first page says why not."""
    with suppress(ConfigurationError):
        sign_in, settings = sign_in_from(environ), Settings.from_env(environ)
        if sign_in is not None:
            settings.home.mkdir(parents=True, mode=0o700, exist_ok=True)
            cookie = settings.cookie_secret or secret_text(settings.home / "cookies.key", "QUOTH_COOKIE_SECRET")
            return {
                "auth": {
                    "redirect_uri": f"{settings.public_url or 'http://localhost:8501'}/oauth2callback",
                    "cookie_secret": cookie.strip(),
                    "client_id": sign_in.client_id,
                    "client_secret": sign_in.client_secret,
                    "server_metadata_url": sign_in.metadata_url,
                    "client_kwargs": {"scope": "openid email profile"},
                }
            }
    return {}


def own_files(secrets: Mapping[str, Any]) -> tuple[object, tuple[()], dict[str, Any]]:
    """What stands before the files that pages make; where the settings are wrong there are no pages."""
    given: dict[str, Any] = {"sign_in": None, "cookie_secret": "", "now_s": _now_s}
    with suppress(ConfigurationError):
        given["sign_in"] = sign_in_from(os.environ)
        given["cookie_secret"] = secrets.get("auth", {}).get("cookie_secret", "")
    return OwnFiles, (), given


def _now_s() -> float:
    return shared_store().database.now().timestamp()


SECRETS: Final = auth_secrets(os.environ)
MIDDLEWARE: Final[list[Any]] = [  # each is what a starlette Middleware unpacks to
    (
        SecurityHeaders,
        (),
        {
            "microphone": bool(os.environ.get("QUOTH_TRANSCRIBE_MODEL", "").strip()),
            "https": os.environ.get("QUOTH_PUBLIC_URL", "").strip().startswith("https://"),
            "known": is_host_allowed,
        },
    ),
    (API.before, (), {}),
    own_files(SECRETS),
]
app = st.App(
    Path(__file__).with_name("app.py"),
    secrets=SECRETS,
    middleware=MIDDLEWARE,
    lifespan=lifespan,
)
