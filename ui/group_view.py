"""What a member of a group would see: the documents, and what is found for a question."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import streamlit as st

from ingest.access import EVERYONE, PERSON, Reader
from ingest.document_list import Listing, Names, Wanted, list_documents
from ingest.errors import QuothError
from ui import wording
from ui.document_panel import open_document

if TYPE_CHECKING:
    from assistant.bootstrap import Quoth
    from retrieval.model import Hit

HITS: Final = 8
LISTED: Final = 200
SEEN_AS: Final = "seen_as"  # key of the session's state: the groups last looked as, which the audit has


def show_group_view(quoth: Quoth, reader: Reader, names: Names) -> None:
    """Choose groups and people; see what they may read and what they would find."""
    own = names.readers if reader.reads_all else quoth.groups.principals(reader)
    known = sorted(name for name in own if name != EVERYONE and (reader.reads_all or not name.startswith(PERSON)))
    first, second = st.columns(2)
    chosen = first.multiselect(
        "As a member of", known, accept_new_options=reader.reads_all, key="group-view",
        placeholder="everyone, in no group", help="Groups, or a single person as user:NAME.",
    )  # fmt: skip
    question = second.text_input("A question they might ask", key="group-question", max_chars=2000)
    seen_as = as_member(chosen, operator=reader.name)
    listing = list_documents(quoth.database, seen_as, Wanted(), limit=LISTED)
    if chosen and st.session_state.get(SEEN_AS) != chosen:
        quoth.catalog.audit_impersonation(seen_as)
        st.session_state[SEEN_AS] = chosen
    who = f"Members of {', '.join(chosen)}" if chosen else "People in no group"
    st.markdown(
        wording.literal(f"{who} may read {listing.total:,} of the {wording.counted(names.documents, 'document')} here.")
    )
    if question.strip():
        _hits(quoth, seen_as, question)
    _table(listing)


def as_member(chosen: list[str], *, operator: str) -> Reader:
    """A reader with these groups; 'user:ada' makes it that person."""
    people = [name.removeprefix(PERSON) for name in chosen if name.startswith(PERSON)]
    groups = frozenset(name for name in chosen if not name.startswith(PERSON))
    return Reader(people[0] if people else "", groups, operator=operator)


def _hits(quoth: Quoth, seen_as: Reader, question: str) -> None:
    try:
        hits = quoth.search(question, seen_as, k=HITS).hits
    except QuothError as error:
        st.error(wording.literal(wording.error_words(error)))
        return
    if not hits:
        st.info("They would find nothing for this question.")
        return
    st.markdown("They would find, best first")
    for hit in hits:
        _hit(hit)


def _hit(hit: Hit) -> None:
    with st.container(border=True, gap="xsmall", key=f"hit-{hit.rank}"):
        name = wording.document_name(hit.title, hit.source)
        where = wording.place_words(hit.page, None, {}) or " › ".join(hit.heading)
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(f"**{wording.literal(name)}**{f' · {wording.literal(where)}' if where else ''}")
            st.button("Open", key=f"hit-open-{hit.rank}", type="tertiary", icon=":material/arrow_forward:",
                      on_click=open_document, args=(hit.document,))  # fmt: skip
        st.text(wording.shortened(hit.text, 400))


def _table(listing: Listing) -> None:
    rows: list[dict[str, Any]] = [
        {
            "Title": wording.document_name(one.title, one.source),
            "Source": one.source,
            "Collection": one.collection,
            "May read": ", ".join(one.readers),
        }
        for one in listing.documents
    ]
    if rows:
        st.dataframe(
            rows, hide_index=True, height=min(38 + 35 * len(rows), 430), alt="What they may read",
            column_config={"Title": st.column_config.TextColumn(width="large")},
        )  # fmt: skip
    if listing.total > len(rows):
        st.caption(f"The first {len(rows):,} of {listing.total:,}.")
