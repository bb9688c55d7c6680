"""The page of content owners: what is stored, who may read it, and adding, reindexing and removing documents."""

from __future__ import annotations

import logging
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Final

import streamlit as st

from ingest.access import EVERYONE, Reader, group_names
from ingest.errors import QuothError, UsageError
from ingest.model import Document, Receipt
from ui import wording
from ui.server import MAX_UPLOAD_MB
from ui.source_pane import OPEN, PICTURE, show_text

if TYPE_CHECKING:
    from streamlit.runtime.uploaded_file_manager import UploadedFile

    from assistant.bootstrap import Quoth

LOG: Final = logging.getLogger("quoth.web")
MAX_FILES: Final = 100  # of one upload; above that the command line is the better door
MAX_UPLOAD_BYTES: Final = MAX_UPLOAD_MB * 1_000_000
PREVIEW_CHARACTERS: Final = 20_000
RESULTS: Final = "upload_results"  # keys of the session's state
ROUND: Final = "upload_round"
NOTICE: Final = "documents_notice"
TABLE: Final = "documents_table"
REMOVED: Final = "documents_removed"
COLOURS: Final = {"good": "green", "neutral": "blue", "bad": "red"}
ICONS: Final = {"good": ":material/check_circle:", "neutral": ":material/info:", "bad": ":material/error:"}


def show(quoth: Quoth, reader: Reader) -> None:
    """Show the page."""
    documents = quoth.catalog.documents(reader)
    with st.container(gap="xsmall", key="documents-head"):
        st.header("Documents", anchor=False)
        st.caption(wording.library_words(documents) if documents else "Nothing is stored yet.")
    _notice()
    with st.expander("Add documents", icon=":material/upload_file:", expanded=not documents, key="add-documents"):
        _upload(quoth, documents)
    _results()
    if not documents:
        return
    selected = _table(documents)
    if selected is None:
        st.caption("Select a document to see its text, change who may read it, reindex or remove it.")
    else:
        show_document(quoth, reader, selected, documents)


# -- the list --------------------------------------------------------------------------------------------------------


def _table(documents: Sequence[Document]) -> Document | None:
    rows = [
        {
            "Title": wording.document_name(one.title, one.source),
            "Source": one.source,
            "Collection": one.collection,
            "May read": ", ".join(one.readers),
            "Owner": one.owner,
            "Version": one.version,
            "Pages": "" if one.pages is None else f"{one.pages:,}",
            "Passages": one.chunks,
            "Updated": one.updated_at,
        }
        for one in documents
    ]
    key = f"{TABLE}-{st.session_state.get(REMOVED, 0)}"
    selected: Any = st.session_state.get(key)
    tallest = 290 if selected and selected["selection"]["rows"] else 430  # leaves room for the document below
    event: Any = st.dataframe(
        rows,
        hide_index=True,
        on_select="rerun",
        selection_mode="single-row",
        key=key,
        height=min(38 + 35 * len(rows), tallest),
        column_config={
            "Title": st.column_config.TextColumn(width="large"),
            "Source": st.column_config.TextColumn(width="medium"),
            "Version": st.column_config.NumberColumn(width="small"),
            "Pages": st.column_config.TextColumn(width="small", alignment="right"),
            "Passages": st.column_config.NumberColumn(width="small"),
            "Updated": st.column_config.DatetimeColumn(format="D MMM YYYY, HH:mm", width="medium"),
        },
        alt="The documents you may read",
    )
    chosen = event.selection.rows
    return documents[chosen[0]] if chosen and chosen[0] < len(documents) else None


# -- one document ------------------------------------------------------------------------------------------------------


def show_document(quoth: Quoth, reader: Reader, document: Document, documents: Sequence[Document]) -> None:
    """One document: its text, and what its owner may do with it."""
    with st.container(border=True, key="document-detail"):
        name = wording.document_name(document.title, document.source)
        st.subheader(wording.literal(name), anchor=False)
        facts = [
            wording.literal(f"{document.collection} / {document.source}"),
            f"version {document.version}",
            wording.size_words(document.bytes),
        ]
        if document.owner:
            facts.append(wording.literal(f"owner {document.owner}"))
        st.caption(" · ".join(facts))
        left, right = st.columns([2, 3], gap="large")
        with left:
            _readers(quoth, document, documents)
            with st.container(horizontal=True):
                if st.button(
                    "Reindex", key="reindex", icon=":material/refresh:", help="Read and index the stored file again"
                ):
                    _reindex(quoth, document)
                if st.button("Remove…", key="remove", icon=":material/delete:"):
                    _confirm_removal(quoth, document)
        with right:
            _preview(quoth, reader, document)


def _readers(quoth: Quoth, document: Document, documents: Sequence[Document]) -> None:
    known = {EVERYONE, *document.readers, *(reader for one in documents for reader in one.readers)}
    chosen = st.multiselect(
        "Who may read it",
        sorted(known),
        default=list(document.readers),
        accept_new_options=True,
        key=f"readers-{document.id}",
        help="Groups, single people as user:NAME, or everyone. Type a new name and press Enter.",
    )
    if st.button("Save readers", key="save-readers", disabled=set(chosen) == set(document.readers)):
        try:
            quoth.catalog.set_readers(document.id, group_names(",".join(chosen)))
        except UsageError as error:
            st.error(wording.literal(str(error)))
            return
        st.session_state[NOTICE] = ("good", f"Saved: {', '.join(chosen)} may read it. This holds at once.")
        st.rerun()


def _reindex(quoth: Quoth, document: Document) -> None:
    line = st.empty()
    progress = _Progress(lambda source, words: line.caption(wording.literal(words)))
    for receipt in quoth.pipeline.reindex([document.id], progress=progress):
        tone, words = wording.receipt_words(receipt)
        if receipt.status != "failed":
            words = f"Reindexed: {wording.counted(receipt.chunks, 'passage')}."
        st.session_state[NOTICE] = (tone, words)
    st.rerun()


@st.dialog("Remove this document?", icon=":material/delete:")
def _confirm_removal(quoth: Quoth, document: Document) -> None:
    st.markdown(f"**{wording.literal(wording.document_name(document.title, document.source))}**")
    st.markdown(wording.removal_words(document))
    with st.container(horizontal=True, horizontal_alignment="right"):
        if st.button("Keep it", key="keep"):
            st.rerun()
        if st.button("Remove", key="confirm-remove", type="primary"):
            try:
                quoth.catalog.remove(document.id)
            except QuothError as error:
                st.error(wording.literal(str(error)))
                return
            _after_removal(document)
            st.rerun()


def _after_removal(document: Document) -> None:
    """Nothing of the document stays in this session: no open source, no picture of a page."""
    for key in (OPEN, PICTURE, RESULTS):
        st.session_state.pop(key, None)
    st.session_state[REMOVED] = st.session_state.get(REMOVED, 0) + 1  # a fresh table: rows moved up
    st.session_state[NOTICE] = ("neutral", f"Removed {document.source}.")


def _preview(quoth: Quoth, reader: Reader, document: Document) -> None:
    text = quoth.catalog.text(reader, document.id, document.version)
    elements = quoth.catalog.elements(reader, document.id, document.version)
    shown = [element for element in elements if element.start < PREVIEW_CHARACTERS]
    cut = f", the first {PREVIEW_CHARACTERS:,} characters" if len(text) > PREVIEW_CHARACTERS else ""
    st.caption(f"Text as it is searched and quoted{cut}")
    blocks = [
        {
            "kind": element.category,
            "depth": min(element.depth, 3),
            "parts": [{"text": text[element.start : element.end], "marked": False}],
        }
        for element in shown
    ]
    data = {"headings": [], "blocks": blocks, "shown": f"{document.id}/{document.version}"}
    with st.container(key="preview"):
        show_text(data, key=f"preview-{document.id}")


# -- adding ----------------------------------------------------------------------------------------------------


class _Progress:
    """Keeps the latest words per source; draws them when told by the script's own thread, which alone may draw."""

    def __init__(self, draw: Any) -> None:
        self._draw = draw
        self._thread = threading.get_ident()

    def __call__(self, source: str, stage: str, done: int, total: int) -> None:
        if threading.get_ident() == self._thread:
            self._draw(source, wording.stage_words(stage, done, total))


def _upload(quoth: Quoth, documents: Sequence[Document]) -> None:
    collections = sorted({one.collection for one in documents} | {"default"})
    groups = sorted({EVERYONE, *(reader for one in documents for reader in one.readers)})
    turn = st.session_state.get(ROUND, 0)
    with st.form("upload", border=False, clear_on_submit=False):
        files = st.file_uploader(
            f"Files, up to {MAX_UPLOAD_MB} MB each: PDF, Word, Excel, PowerPoint, CSV, HTML, Markdown, mail, text",
            accept_multiple_files=True,
            max_upload_size=MAX_UPLOAD_MB,
            key=f"files-{turn}",
        )
        first, second, third = st.columns(3)
        collection = first.selectbox(
            "Collection", collections, index=collections.index("default"), accept_new_options=True
        )
        readers = second.multiselect(
            "Who may read them", groups, accept_new_options=True, placeholder="everyone, or as before",
            help="Left empty, new documents may be read by everyone, and existing ones keep their readers.",
        )  # fmt: skip
        owner = third.text_input("Owner", placeholder="who answers for them", max_chars=120)
        submitted = st.form_submit_button("Add to the documents", type="primary", key="add-files")
        if submitted:
            _add(quoth, files or [], collection or "default", readers, owner.strip() or None)


def _add(
    quoth: Quoth, files: Sequence[UploadedFile], collection: str, readers: Sequence[str], owner: str | None
) -> None:
    problem = upload_problem(len(files), collection)
    if problem:
        st.error(problem)
        return
    results: list[tuple[str, str, str]] = []
    try:
        groups = group_names(",".join(readers)) if readers else None
        with tempfile.TemporaryDirectory(prefix="quoth-upload-") as folder:
            paths: list[Path] = []
            for number, file in enumerate(files):
                name = safe_name(file.name)
                if file.size > MAX_UPLOAD_BYTES:
                    results.append(("bad", name, f"Larger than {MAX_UPLOAD_MB} MB. Add it with the command line."))
                    continue
                place = Path(folder) / str(number)  # one folder each: equal names must not overwrite one another
                place.mkdir()
                (place / name).write_bytes(file.getbuffer())
                paths.append(place / name)
            results += _added(quoth, paths, collection, groups, owner) if paths else []
    except QuothError as error:
        results.append(("bad", "", str(error)))
    except Exception as error:
        LOG.exception("an upload failed")
        results.append(("bad", "", wording.error_words(error)))
    st.session_state[RESULTS] = results
    st.session_state[ROUND] = st.session_state.get(ROUND, 0) + 1  # a fresh, empty field for files
    st.rerun()


def _added(
    quoth: Quoth, paths: Sequence[Path], collection: str, readers: tuple[str, ...] | None, owner: str | None
) -> list[tuple[str, str, str]]:
    bar = st.progress(0.0, text="Reading")
    finished = 0

    def draw(source: str, words: str) -> None:
        bar.progress(finished / len(paths), text=wording.literal(f"{source}: {words}"))

    results = []
    receipts = quoth.pipeline.add(paths, collection=collection, readers=readers, owner=owner, progress=_Progress(draw))
    for receipt in receipts:
        finished += 1
        bar.progress(min(finished / len(paths), 1.0), text=wording.literal(receipt.source))
        results.append(_toned(receipt))
    return results


def _toned(receipt: Receipt) -> tuple[str, str, str]:
    tone, words = wording.receipt_words(receipt)
    return tone, receipt.source, words


def upload_problem(files: int, collection: str) -> str | None:
    """Why an upload cannot begin, in words; None when it can."""
    if not files:
        return "Choose at least one file first."
    if files > MAX_FILES:
        return (
            f"These are {files} files; up to {MAX_FILES} go at a time here. For more, use the command: quoth add FOLDER"
        )
    if not collection.strip() or collection.startswith("eval-"):
        return f"{wording.literal(repr(collection))} cannot be a collection's name. Choose another."
    return None


def safe_name(name: str) -> str:
    """The last part of a file's name as the browser sent it; never a path, never hidden, never empty."""
    last = PurePosixPath(name.replace("\\", "/").replace("\0", "")).name.lstrip(".").strip()
    encoded = last.encode("utf-8", "replace")[-200:]  # the end of a long name keeps its suffix
    return encoded.decode("utf-8", "ignore") or "unnamed"


def _results() -> None:
    results = st.session_state.get(RESULTS)
    if not results:
        return
    with st.container(border=True, key="upload-results"):
        for number, (tone, name, words) in enumerate(results):
            with st.container(horizontal=True, vertical_alignment="top", gap="small", key=f"result-{tone}-{number}"):
                st.markdown(f":{COLOURS[tone]}[{ICONS[tone]}]", width="content")
                label = f"**{wording.literal(name)}**  \n" if name else ""
                st.markdown(label + wording.literal(words))
        st.button("Dismiss", key="dismiss-results", type="tertiary", on_click=_dismiss)


def _dismiss() -> None:
    st.session_state.pop(RESULTS, None)


def _notice() -> None:
    notice = st.session_state.pop(NOTICE, None)
    if notice:
        tone, words = notice
        (st.error if tone == "bad" else st.success)(wording.literal(words), icon=ICONS[tone])
