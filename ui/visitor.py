"""Who looks at the app: this machine's user, or whoever signed in with the identity provider."""

from __future__ import annotations

import dataclasses
import json
import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import streamlit as st
from streamlit.auth_util import get_cookie_with_chunks
from streamlit.web.server.starlette.starlette_app_utils import decode_signed_value
from streamlit.web.server.starlette.starlette_server_config import USER_COOKIE_NAME

from assistant.callers import LOCAL_CALLER, Caller, NotSignedIn
from ingest.errors import SESSION_ENDED
from ui import wording

if TYPE_CHECKING:
    from assistant.bootstrap import Quoth
    from assistant.sign_in import SignIn

LOG: Final = logging.getLogger("quoth.doors")
AHEAD_S: Final = 300  # that the provider's clock may be before the database's


def visitor(quoth: Quoth) -> Caller | None:
    """The session's principal; None: the page that asks to sign in was shown, and nothing else may be."""
    sign_in = quoth.sign_in
    if sign_in is None:
        return LOCAL_CALLER
    if not st.user.is_logged_in:
        _ask_to_sign_in()
        return None
    try:
        return signed_in(sign_in, st.user.to_dict(), quoth.database.now().timestamp())
    except NotSignedIn as error:
        LOG.warning("refused: a session: %s", error)
        _ask_to_sign_in(str(error))
        return None


def signed_in(sign_in: SignIn, claims: dict[str, Any], now: float) -> Caller:
    """Whom a session's claims speak of, as long as it holds.

    Args:
        now: Unix time by the database's clock.

    Raises:
        NotSignedIn: it began too long ago or at no time that can be told, or it names nobody.
    """
    issued = claims.get("iat")
    if not isinstance(issued, (int, float)) or not -AHEAD_S <= now - issued <= sign_in.session_hours * 3600:
        raise NotSignedIn(SESSION_ENDED)
    caller = sign_in.caller(claims, "session")
    # parts of a page that are drawn alone, and acts on it, come by no check but that of the reader itself
    until = issued + sign_in.session_hours * 3600
    return dataclasses.replace(caller, reader=dataclasses.replace(caller.reader, until=until))


def claims_of(cookies: Mapping[str, str], secret: str) -> dict[str, Any]:
    """What the app's cookie says of its bearer.

    Raises:
        NotSignedIn: there is none, or we did not sign it.
    """

    def one(name: str) -> bytes | None:
        return (
            decode_signed_value(secret, name, cookies[name].encode("latin-1", "replace")) if name in cookies else None
        )

    try:
        claims = json.loads(get_cookie_with_chunks(one, USER_COOKIE_NAME) or b"{}")
    except ValueError:
        claims = {}
    if not isinstance(claims, dict) or claims.get("is_logged_in") is not True:
        raise NotSignedIn("This browser is not signed in.")
    return claims


def _ask_to_sign_in(why: str = "") -> None:
    with st.columns([1, 2, 1])[1], st.container(border=True, key="sign-in"):
        st.subheader("Sign in to ask", anchor=False)
        st.write("Quoth answers from the documents that you may read, and shows the passage behind every sentence.")
        if why:
            st.info(wording.literal(why))
            st.button("Sign out", on_click=st.logout, key="leave")
        st.button("Sign in", type="primary", on_click=st.login, key="sign-in-button")


def show_leaving(caller: Caller) -> None:
    """Who is signed in, and the way out."""
    if caller.way == "session":
        with st.sidebar:
            st.caption(wording.literal(caller.reader.name))
            st.button("Sign out", on_click=st.logout, key="sign-out", icon=":material/logout:")
