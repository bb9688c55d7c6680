"""One document: its passages, its properties, its versions, and what its owner should look at."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import streamlit as st

from ingest.access import EVERYONE, Reader, group_names
from ingest.catalog import has_page_images
from ingest.document_list import Names, attached_to, documents_by_id, remarks_on
from ingest.errors import QuothError, UsageError
from ingest.intake_rows import UPLOAD
from ingest.model import Document, DocumentId, Finding
from ui import wording
from ui.chunk_preview import open_page, show_preview
from ui.source_pane import OPEN, PICTURE, section_data, show_text
from ui.version_panel import show_versions

if TYPE_CHECKING:
    from assistant.bootstrap import Quoth

NOTICE: Final = "documents_notice"  # keys of the session's state: (tone, words), said once
CHOSEN: Final = "documents_chosen"  # id of the document that is open
TABLE: Final = "documents_table"  # counts up when the table is to forget its selection
SECTION: Final = "document_section"
PLACE: Final = "document_finding"  # (document, number of the finding whose place is shown)
PASSAGES, PROPERTIES, VERSIONS, FINDINGS = "Passages", "Properties", "Versions", "Findings"


def open_document(document: DocumentId | None) -> None:
    """Open a document, or none; the address names it, so that it can be sent to somebody."""
    st.session_state[TABLE] = st.session_state.get(TABLE, 0) + 1
    if document is None:
        st.session_state.pop(CHOSEN, None)
        st.query_params.pop("d", None)
    else:
        st.session_state[CHOSEN] = str(document)
        st.query_params["d"] = str(document)


def say(tone: wording.Tone, words: str) -> None:
    """Say something once, at the head of the page as it is drawn next."""
    st.session_state[NOTICE] = (tone, words)


def acting(act: Callable[[], object], words: str) -> None:
    """Do what an owner asked for, say it and draw the page anew; or show why it could not be done."""
    try:
        act()
    except QuothError as error:
        st.error(wording.literal(wording.error_words(error)))
        return
    say("good", words)
    st.rerun()


def show_document(quoth: Quoth, reader: Reader, document: Document, names: Names) -> None:
    """The document, and what its owner may do with it."""
    with st.container(border=True, key="document-detail"):
        _head(quoth, reader, document)
        count = document.findings + document.warnings
        section = st.segmented_control(
            "Part", [PASSAGES, PROPERTIES, VERSIONS, FINDINGS], default=PASSAGES, required=True, key=SECTION,
            label_visibility="collapsed",
            format_func=lambda name: f"{name} ({count})" if name == FINDINGS and count else name,
        )  # fmt: skip
        if section == PROPERTIES:
            _properties(quoth, reader, document, names)
        elif section == VERSIONS:
            show_versions(quoth, reader, document, say)
        elif section == FINDINGS:
            _findings(quoth, reader, document)
        else:
            show_preview(quoth, reader, document)


def _head(quoth: Quoth, reader: Reader, document: Document) -> None:
    name = wording.document_name(document.title, document.source)
    with st.container(horizontal=True, vertical_alignment="top", key="document-head"):
        with st.container(gap="xsmall", width="stretch"):
            st.subheader(wording.literal(name), anchor=False)
            facts = [
                wording.literal(f"{document.collection}/{document.source}"),
                f"version {document.version}",
                wording.size_words(document.bytes),
                f"changed on {wording.date_words(document.updated_at)}",
            ]
            if document.owner:
                facts.append(wording.literal(f"owner {document.owner}"))
            st.caption(" · ".join(facts))
        st.button("Close", icon=":material/close:", type="tertiary", key="close-document",
                  on_click=open_document, args=(None,))  # fmt: skip
    badges = wording.document_badges(document, quoth.database.now().date())
    if badges:
        with st.container(horizontal=True, gap="xsmall", key="document-badges"):
            for tone, words in badges:
                st.badge(wording.literal(words), color="orange" if tone == "bad" else "gray")
    related = documents_by_id(
        quoth.database, reader, [one for one in (document.parent, document.superseded_by) if one is not None]
    )
    for key, words in ((document.parent, "Came with the mail"), (document.superseded_by, "Superseded by")):
        if key is not None and key in related:
            _link(words, related[key])
    for child in attached_to(quoth.database, reader, document.id):
        _link("Attached", child)


def _link(words: str, document: Document) -> None:
    name = wording.literal(wording.document_name(document.title, document.source))
    st.button(
        f"{words}: {name}", key=f"go-{words}-{document.id}", type="tertiary", icon=":material/arrow_forward:",
        on_click=open_document, args=(document.id,),
    )  # fmt: skip


# -- properties --------------------------------------------------------------------------------------------------------


def _properties(quoth: Quoth, reader: Reader, document: Document, names: Names) -> None:
    left, right = st.columns(2, gap="large")
    with left:
        _readers(quoth, reader, document, names)
        _acts(quoth, reader, document)
    with right:
        _dates(quoth, reader, document)


def _readers(quoth: Quoth, reader: Reader, document: Document, names: Names) -> None:
    chosen = st.multiselect(
        "Who may read it",
        sorted({EVERYONE, *document.readers, *names.readers}),
        default=list(document.readers),
        accept_new_options=True,
        key=f"readers-{document.id}",
        help="Groups, single people as user:NAME, or everyone. Type a new name and press Enter.",
    )
    if st.button("Save readers", key="save-readers", disabled=set(chosen) == set(document.readers)):
        words = f"Saved: {', '.join(chosen)} may read it. This holds at once."
        acting(lambda: quoth.catalog.set_readers(document.id, group_names(",".join(chosen)), by=reader), words)


def _dates(quoth: Quoth, reader: Reader, document: Document) -> None:
    superseding = documents_by_id(quoth.database, reader, [document.superseded_by] if document.superseded_by else [])
    current = next((f"{one.collection}/{one.source}" for one in superseding.values()), "")
    with st.form(f"properties-{document.id}", border=False):
        owner = st.text_input("Owner", value=document.owner, max_chars=120, key=f"owner-{document.id}")
        review = st.date_input(
            "To be reviewed by", value=document.review_by, format="YYYY-MM-DD", key=f"review-{document.id}",
            help="After that day it stands under “Needs attention”. It goes on answering.",
        )  # fmt: skip
        effective = st.date_input(
            "Takes effect on", value=document.effective_from, format="YYYY-MM-DD", key=f"effective-{document.id}",
            help="Before that day no answer uses it.",
        )  # fmt: skip
        expires = st.date_input(
            "Expires on", value=document.expires_on, format="YYYY-MM-DD", key=f"expires-{document.id}",
            help="From that day on no answer uses it.",
        )  # fmt: skip
        successor = st.text_input(
            "Superseded by", value=current, placeholder="path or id of the document that replaces it",
            key=f"successor-{document.id}",
        )  # fmt: skip
        if st.form_submit_button("Save properties", key="save-properties"):

            def save() -> None:
                if successor.strip() == current:
                    successor_id = document.superseded_by
                elif not successor.strip():
                    successor_id = None
                else:
                    successor_id = quoth.catalog.find(reader, successor.strip())[0].id
                quoth.properties.set(
                    document.id, by=reader, owner=owner.strip(), review_by=_day(review),
                    effective_from=_day(effective), expires_on=_day(expires), superseded_by=successor_id,
                )  # fmt: skip

            acting(save, "Saved. This holds at once.")


def _day(chosen: Any) -> Any:
    return chosen or None


def _acts(quoth: Quoth, reader: Reader, document: Document) -> None:
    with st.container(horizontal=True, key="document-acts"):
        if st.button("Reindex", key="reindex", icon=":material/refresh:", help="Read and index the stored file again"):
            acting(partial(_reindex, quoth, reader, document), "It is being read again; see above how far it is.")
        today = quoth.database.now().date()
        if document.expires_on is None or document.expires_on > today:
            if st.button("Retire…", key="retire", icon=":material/archive:"):
                _confirm_retirement(quoth, reader, document)
        elif st.button("Take back into use", key="unretire", icon=":material/unarchive:"):
            acting(lambda: quoth.properties.set(document.id, by=reader, expires_on=None), "Answers use it again.")
        if st.button("Remove…", key="remove", icon=":material/delete:"):
            _confirm_removal(quoth, reader, document)


def _reindex(quoth: Quoth, reader: Reader, document: Document) -> None:
    quoth.intake.submit_documents([document.id], "reindex", batch=uuid.uuid4(), by=reader, priority=UPLOAD)
    quoth.pipeline.ensure_worker()  # begins to work here where no worker lives


@st.dialog("Retire this document?", icon=":material/archive:")
def _confirm_retirement(quoth: Quoth, reader: Reader, document: Document) -> None:
    st.markdown(f"**{wording.literal(wording.document_name(document.title, document.source))}**")
    st.markdown(
        "From today on no answer uses it. It stays stored, former answers keep their quotations, and you can take it "
        "back into use."
    )
    with st.container(horizontal=True, horizontal_alignment="right"):
        if st.button("Keep it in use", key="keep-in-use"):
            st.rerun()
        if st.button("Retire", key="confirm-retire", type="primary"):
            today = quoth.database.now().date()
            acting(
                lambda: quoth.properties.set(document.id, by=reader, expires_on=today),
                f"Retired {document.source}. No answer uses it.",
            )


@st.dialog("Remove this document?", icon=":material/delete:")
def _confirm_removal(quoth: Quoth, reader: Reader, document: Document) -> None:
    st.markdown(f"**{wording.literal(wording.document_name(document.title, document.source))}**")
    st.markdown(wording.removal_words(document))
    with st.container(horizontal=True, horizontal_alignment="right"):
        if st.button("Keep it", key="keep"):
            st.rerun()
        if st.button("Remove", key="confirm-remove", type="primary"):
            acting(partial(_remove, quoth, reader, document), f"Removed {document.source}.")


def _remove(quoth: Quoth, reader: Reader, document: Document) -> None:
    quoth.catalog.remove(document.id, by=reader)
    for key in (OPEN, PICTURE):  # nothing of it stays in this session
        st.session_state.pop(key, None)
    open_document(None)


# -- findings ----------------------------------------------------------------------------------------------------------


def _findings(quoth: Quoth, reader: Reader, document: Document) -> None:
    try:
        remarks = remarks_on(quoth.database, reader, document.id, document.version)
    except UsageError:
        st.info("This document is no longer available.")
        return
    if not (remarks.findings or remarks.warnings or remarks.recognised):
        st.markdown("Nothing was found that needs a look.")
        return
    for number, finding in enumerate(remarks.findings):
        _finding(quoth, reader, document, number, finding)
    for words in remarks.warnings:
        st.markdown(wording.literal(words))
    if remarks.recognised:
        worst = min(remarks.recognised.items(), key=lambda one: one[1])
        pages = ", ".join(str(page) for page in list(remarks.recognised)[:30])
        st.markdown(
            f"The text of {wording.counted(len(remarks.recognised), 'page')} was recognised in pictures: {pages}. "
            f"The least certain is page {worst[0]}, with {worst[1]:.0%}: look at it before you rely on it."
        )


def _finding(quoth: Quoth, reader: Reader, document: Document, number: int, finding: Finding) -> None:
    with st.container(border=True, gap="xsmall", key=f"finding-{number}"):
        where = wording.finding_words(finding)
        head = wording.FINDINGS.get(finding.kind, finding.kind) + (f", {where}" if where else "")
        st.markdown(f"**{wording.literal(head)}**")
        st.markdown(wording.literal(finding.words))
        if finding.excerpt:
            st.text(finding.excerpt)
        if finding.page is not None and has_page_images(document.media_type):
            st.button("Show the page", key=f"finding-page-{number}", type="tertiary", icon=":material/visibility:",
                      on_click=_show_page, args=(document, finding.page))  # fmt: skip
        elif finding.start is not None and finding.end is not None:
            here = (str(document.id), number)
            if st.session_state.get(PLACE) == here:
                text = quoth.catalog.text(reader, document.id, document.version)
                elements = quoth.catalog.elements(reader, document.id, document.version)
                show_text(section_data(text, elements, finding.start, finding.end), key=f"finding-text-{number}")
            elif st.button("Show where", key=f"finding-where-{number}", type="tertiary", icon=":material/visibility:"):
                st.session_state[PLACE] = here
                st.rerun()


def _show_page(document: Document, page: int) -> None:
    open_page(document, page)
    st.session_state[SECTION] = PASSAGES
