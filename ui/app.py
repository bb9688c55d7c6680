"""The web app: its pages over one store, each for those whose role has a use for it."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import streamlit as st

from ingest.errors import QuothError, trace_of
from ui import wording
from ui.color_scheme import follow_theme
from ui.views import admin_view, ask_view, documents_view, evaluation_view, record_view, search_view
from ui.visitor import show_leaving, visitor

if TYPE_CHECKING:
    from assistant.bootstrap import Quoth

ASSETS: Final = Path(__file__).with_name("assets")
LOG: Final = logging.getLogger("quoth.web")


def main(quoth: Quoth) -> None:
    """Run the app once, as Streamlit does at each interaction."""
    st.set_page_config(
        page_title="Quoth", page_icon=str(ASSETS / "mark.png"), layout="wide", initial_sidebar_state="collapsed"
    )
    st.logo(str(ASSETS / "logo.svg"), size="large")
    st.html(ASSETS / "app.css")
    follow_theme()
    caller = visitor(quoth)
    if caller is None:
        return
    reader = caller.reader
    documents = st.Page(
        partial(documents_view.show, quoth, reader),
        title="Documents",
        icon=":material/folder_open:",
        url_path="documents",
    )
    record = st.Page(
        partial(record_view.show, quoth, reader), title="How answers were made", icon=":material/receipt_long:",
        url_path="record", visibility="hidden",
    )  # fmt: skip
    can_add, can_evaluate = caller.may("owner"), caller.may("evaluator")
    evaluation = st.Page(
        partial(evaluation_view.show, quoth, caller),
        title="Evaluation",
        icon=":material/science:",
        url_path="evaluation",
    )
    ask = st.Page(
        partial(
            ask_view.show, quoth, reader, documents if can_add else None, record, evaluation if can_evaluate else None
        ),
        title="Ask",
        icon=":material/forum:",
        url_path="ask",
        default=True,
    )
    search = st.Page(
        partial(search_view.show, quoth, reader), title="Search", icon=":material/search:", url_path="search"
    )
    administration = st.Page(
        partial(admin_view.show, quoth, caller, os.environ),
        title="Administration",
        icon=":material/tune:",
        url_path="administration",
    )
    show_leaving(caller)
    pages = [ask, search, *([documents] if can_add else []), record]
    pages += [*([evaluation] if can_evaluate else []), *([administration] if caller.may("admin") else [])]
    page = st.navigation(pages, position="top")
    with errors_in_words():
        page.run()


@contextlib.contextmanager
def errors_in_words() -> Iterator[None]:
    """Show our own errors as they are worded, and of others only that there was one; the log has the rest."""
    try:
        yield
    except QuothError as error:
        st.error(wording.literal(wording.error_words(error)), icon=":material/error:")
    except Exception as error:
        LOG.error("a page failed:\n%s", trace_of(error))
        st.error(wording.error_words(error), icon=":material/error:")


if __name__ == "__main__":
    from ui.shared_store import shared_store

    with errors_in_words():
        main(shared_store())
