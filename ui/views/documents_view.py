"""The page of content owners: what is stored, what needs a look, who would see what; adding and keeping it in order."""

from __future__ import annotations

import math
import uuid
from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING, Any, Final, get_args

import streamlit as st

from ingest.access import Reader
from ingest.document_list import Listing, Names, Order, State, Wanted, documents_by_id, list_documents, names_in_use
from ingest.model import Document, DocumentId
from ui import wording
from ui.attention_panel import show_attention
from ui.document_panel import CHOSEN, NOTICE, TABLE, open_document, show_document
from ui.group_view import show_group_view
from ui.intake_panel import show_intake
from ui.reindexing import confirm_reindexing
from ui.source_pane import ASSETS
from ui.upload_panel import show_notes, show_upload

if TYPE_CHECKING:
    from assistant.bootstrap import Quoth

PAGE_SIZE: Final = 50
STEPS_WIDTH: Final = 370  # pixels: narrower, the numbers of pages are left out
LIST, ATTENTION, GROUP = "All documents", "Needs attention", "View as a group"
EVERY_COLLECTION: Final = "All collections"
STATES: Final[dict[State, str]] = {
    "all": "Any state",
    "attention": "Needs attention",
    "suspicious": "Suspicious",
    "review": "Review is due",
    "expired": "Expired",
    "future": "Not in force yet",
    "superseded": "Superseded",
    "synced": "Kept in step with a source",
    "attachment": "Came with a mail",
}
ORDERS: Final[dict[Order, str]] = {
    "name": "By name",
    "updated": "Latest change first",
    "review": "Next review first",
    "size": "Largest first",
}


def show(quoth: Quoth, reader: Reader) -> None:
    """Show the page."""
    st.html(ASSETS / "documents.css")
    names = names_in_use(quoth.database, reader)
    with st.container(gap="xsmall", key="documents-head"):
        st.header("Documents", anchor=False)
        st.caption(wording.names_words(names) if names.documents else "Nothing is stored yet.")
    _notice()
    opened = st.container()  # a document that is open stands first: below a long list nobody would see it
    with st.expander("Add documents", icon=":material/upload_file:", expanded=not names.documents, key="add-documents"):
        show_upload(quoth, reader, names)
    show_notes()
    show_intake(quoth, reader)
    if not names.documents:
        return
    view = st.segmented_control(
        "View", [LIST, ATTENTION, GROUP], default=LIST, required=True, key="documents-view",
        label_visibility="collapsed",
    )  # fmt: skip
    if view == ATTENTION:
        show_attention(quoth, reader)
    elif view == GROUP:
        show_group_view(quoth, reader, names)
    else:
        _list(quoth, reader, names)
    document = _chosen(quoth, reader)
    if document is not None:
        with opened:
            show_document(quoth, reader, document, names)
    elif view == LIST:
        st.caption("Select a document to see its passages, properties, versions and findings.")


def _chosen(quoth: Quoth, reader: Reader) -> Document | None:
    """The document that is open in this session, or that the address names; None where it is gone or not readable."""
    named = st.session_state.get(CHOSEN) or st.query_params.get("d")
    try:
        wanted = DocumentId(uuid.UUID(str(named))) if named else None
    except ValueError:
        wanted = None
    if wanted is None:
        st.query_params.pop("d", None)
        return None
    document = documents_by_id(quoth.database, reader, [wanted]).get(wanted)
    if document is None:
        open_document(None)
        st.info("This document is no longer available: it was removed, or you may not read it.")
        return None
    st.session_state[CHOSEN] = str(wanted)
    st.query_params["d"] = str(wanted)
    return document


# -- the list --------------------------------------------------------------------------------------------------------


def _list(quoth: Quoth, reader: Reader, names: Names) -> None:
    wanted = _wanted(names)
    page_key = f"documents-page-{hash(wanted)}"
    page = max(int(st.session_state.get(page_key, 1)), 1)
    listing = list_documents(quoth.database, reader, wanted, limit=PAGE_SIZE, offset=(page - 1) * PAGE_SIZE)
    if not listing.documents and page > 1:
        st.session_state.pop(page_key)
        st.rerun()
    if not listing.total:
        st.info("No document answers to this search.")
        return
    _table(listing, quoth.database.now().date())
    pages = math.ceil(listing.total / PAGE_SIZE)
    with st.container(horizontal=True, vertical_alignment="center", key="list-foot"):
        first = (page - 1) * PAGE_SIZE + 1
        last = first + len(listing.documents) - 1
        which = f"{first:,} to {last:,} of " if pages > 1 else ""
        st.caption(f"{which}{wording.counted(listing.total, 'document')}", width="content")
        if pages > 1:
            st.pagination(pages, key=page_key, width=STEPS_WIDTH)
        every = listing.total == names.documents
        if listing.total > 1 and st.button(
            "Reindex all…" if every else f"Reindex these {listing.total:,}…", key="reindex-all", type="tertiary",
            icon=":material/refresh:", help="Says first what it would take",
        ):  # fmt: skip
            confirm_reindexing(quoth, reader, wanted)


def _wanted(names: Names) -> Wanted:
    with st.container(horizontal=True, vertical_alignment="bottom", key="list-filters"):
        words = st.text_input(
            "Search", placeholder="Title, path or owner", key="list-search", max_chars=200, width=320,
            icon=":material/search:", label_visibility="collapsed",
        )  # fmt: skip
        collection = EVERY_COLLECTION
        if len(names.collections) > 1:
            collection = st.selectbox(
                "Collection", [EVERY_COLLECTION, *names.collections], key="list-collection", width=220,
                label_visibility="collapsed",
            )  # fmt: skip
        state: State = st.selectbox(
            "State", get_args(State), format_func=lambda one: STATES[one], key="list-state", width=220,
            label_visibility="collapsed",
        )  # fmt: skip
        order: Order = st.selectbox(
            "Order", get_args(Order), format_func=lambda one: ORDERS[one], key="list-order", width=200,
            label_visibility="collapsed",
        )  # fmt: skip
    return Wanted(words.strip(), None if collection == EVERY_COLLECTION else collection, state, order)


def _table(listing: Listing, today: date) -> None:
    documents = listing.documents
    key = f"{TABLE}-{st.session_state.get(TABLE, 0)}-{documents[0].id}-{len(documents)}"

    def choose() -> None:
        rows: Any = st.session_state[key]["selection"]["rows"]
        st.session_state.pop(CHOSEN, None)
        st.query_params.pop("d", None)
        if rows and rows[0] < len(documents):
            st.session_state[CHOSEN] = str(documents[rows[0]].id)

    rows = table_rows(documents, today)
    tallest = 290 if st.session_state.get(CHOSEN) or st.query_params.get("d") else 460
    st.dataframe(
        rows,
        hide_index=True,
        on_select=choose,
        selection_mode="single-row",
        key=key,
        height=min(38 + 35 * len(rows), tallest),
        column_config={
            "Title": st.column_config.TextColumn(width="large"),
            "Source": st.column_config.TextColumn(width="medium"),
            "State": st.column_config.TextColumn(width="medium"),
            "Version": st.column_config.NumberColumn(width="small"),
            "Pages": st.column_config.TextColumn(width="small", alignment="right"),
            "Passages": st.column_config.NumberColumn(width="small"),
            "Changed": st.column_config.DatetimeColumn(
                "Changed (UTC)", format="D MMM YYYY, HH:mm", timezone="UTC", width="medium"
            ),
        },
        alt="The documents you may read",
    )


def table_rows(documents: Sequence[Document], today: date) -> list[dict[str, Any]]:
    """What the list shows of each document."""
    return [
        {
            "Title": wording.document_name(one.title, one.source),
            "Source": one.source,
            "Collection": one.collection,
            "State": "; ".join(words for _, words in wording.document_badges(one, today)),
            "May read": ", ".join(one.readers),
            "Owner": one.owner,
            "Review by": wording.date_words(one.review_by) if one.review_by else "",
            "Version": one.version,
            "Pages": "" if one.pages is None else f"{one.pages:,}",
            "Passages": one.chunks,
            "Changed": one.updated_at,
        }
        for one in documents
    ]


def _notice() -> None:
    notice = st.session_state.pop(NOTICE, None)
    if notice:
        tone, words = notice
        (st.error if tone == "bad" else st.success)(wording.literal(words), icon=wording.TONES[tone][1])
