"""Handing files over: single ones or a whole folder, into a collection, for certain readers.

Nothing is read here. The files go to the queue as they are, and what becomes of them is the intake panel's to show.
"""

from __future__ import annotations

import hashlib
import logging
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import streamlit as st

from ingest.access import EVERYONE, Reader, group_names
from ingest.discovery import Input
from ingest.document_list import Names, same_bytes
from ingest.errors import QuothError, trace_of
from ingest.intake_rows import UPLOAD
from ingest.model import Receipt
from ingest.storing import Identity
from ui import wording
from ui.server import MAX_UPLOAD_MB
from ui.upload_names import safe_source

if TYPE_CHECKING:
    from streamlit.runtime.uploaded_file_manager import UploadedFile

    from assistant.bootstrap import Quoth

LOG: Final = logging.getLogger("quoth.web")
MAX_FILES: Final = 500  # of one upload: they stay in the server's memory until they are handed over
MAX_TOTAL_MB: Final = 1000
RESULTS: Final = "upload_results"  # keys of the session's state: what needed no reading
ROUND: Final = "upload_round"
FILES, FOLDER = "Files", "A whole folder"

Note = tuple[wording.Tone, str, str]  # tone, file, what became of it


@dataclass(frozen=True, slots=True)
class Properties:
    """What all files of an upload share."""

    collection: str
    readers: tuple[str, ...] | None  # None: everyone for a new document, an existing one keeps its own
    owner: str | None
    twice: bool  # also what is stored already under another name


def show_upload(quoth: Quoth, reader: Reader, names: Names) -> None:
    """The field for files and what they share; hands them over when asked to."""
    collections = sorted({*names.collections, "default"})
    turn = st.session_state.get(ROUND, 0)
    which = st.segmented_control(
        "What to add", [FILES, FOLDER], default=FILES, required=True, key="upload-kind", label_visibility="collapsed"
    )
    folder = which == FOLDER
    with st.form("upload", border=False, clear_on_submit=False):
        label = (
            "A folder with everything in it; documents are named by their path inside it"
            if folder
            else "PDF, Word, Excel, PowerPoint, OpenDocument, e-mail, HTML, Markdown, CSV, text, pictures"
        )
        files = st.file_uploader(
            f"{label}. Up to {MAX_UPLOAD_MB} MB each.",
            accept_multiple_files="directory" if folder else True,
            max_upload_size=MAX_UPLOAD_MB,
            key=f"{'folder' if folder else 'files'}-{turn}",
        )
        first, second, third = st.columns(3)
        collection = first.selectbox(
            "Collection", collections, index=collections.index("default"), accept_new_options=True
        )
        readers = second.multiselect(
            "Who may read them", sorted({EVERYONE, *names.readers}), accept_new_options=True,
            placeholder="everyone, or as before",
            help="Left empty, new documents may be read by everyone, and existing ones keep their readers.",
        )  # fmt: skip
        owner = third.text_input("Owner", placeholder="who answers for them", max_chars=120)
        twice = st.checkbox(
            "Also add files that are stored already under another name",
            help="Left out otherwise: a file that is stored twice gives every answer twice.",
        )
        if st.form_submit_button("Add to the documents", type="primary", key="add-files"):
            problem = upload_problem([file.size for file in files or ()], collection or "")
            if problem:
                st.error(problem)
                return
            try:
                groups = group_names(",".join(readers)) if readers else None
                shared = Properties(collection or "default", groups, owner.strip() or None, twice)
                with st.spinner(f"Handing over {wording.counted(len(files), 'file')}"):
                    notes = handed_over(quoth, reader, files, shared)
            except QuothError as error:
                st.error(wording.literal(str(error)))
                return
            except Exception as error:
                LOG.error("an upload failed:\n%s", trace_of(error))
                st.error(wording.error_words(error))
                return
            st.session_state[RESULTS] = notes
            st.session_state[ROUND] = turn + 1  # a fresh, empty field for files
            st.rerun()


def handed_over(quoth: Quoth, reader: Reader, files: Sequence[UploadedFile], shared: Properties) -> list[Note]:
    """Queue the files that need reading; say of each of the others why it does not.

    Raises:
        ServiceError: the database does not answer; what was handed over before that stays.
    """
    notes: list[Note] = []
    inputs: list[Input] = []
    seen: dict[str, Path] = {}
    with tempfile.TemporaryDirectory(prefix="quoth-upload-") as scratch:
        for number, file in enumerate(files):
            source = safe_source(file.name)
            if not source:
                continue  # what systems leave in folders
            if source in seen:
                notes.append(
                    ("bad", source, f"{wording.REASONS['ambiguous_name'][0]} in this upload: the first is taken.")
                )
                continue
            path = Path(scratch) / str(number)
            path.write_bytes(file.getbuffer())
            seen[source] = path
            inputs.append(Input(path, Identity(shared.collection, source), shared.readers, shared.owner))
        if not shared.twice:
            notes += _left_out(quoth, reader, inputs)
        if inputs:
            _, receipts = quoth.pipeline.hand_over(inputs, by=reader, priority=UPLOAD)
            notes += [_note(receipt) for receipt in receipts]
    return notes


def _left_out(quoth: Quoth, reader: Reader, inputs: list[Input]) -> list[Note]:
    """Take out of the inputs, and name, what the reader has already under another name or gives twice."""
    hashes = {one.identity: hashlib.sha256(one.path.read_bytes()).digest() for one in inputs}
    stored = same_bytes(quoth.database, reader, list(set(hashes.values())))
    first: dict[bytes, str] = {}
    notes: list[Note] = []
    for one in list(inputs):
        sha256 = hashes[one.identity]
        known = stored.get(sha256)
        if known is not None and (known.collection, known.source) != (one.identity.collection, one.identity.source):
            inputs.remove(one)
            notes.append(("neutral", one.identity.source, wording.already_here_words(known)))
        elif first.setdefault(sha256, one.identity.source) != one.identity.source:
            inputs.remove(one)
            notes.append(
                ("neutral", one.identity.source, f"The same, byte for byte, as {first[sha256]} beside it. Not added.")
            )
    return notes


def _note(receipt: Receipt) -> Note:
    tone, words = wording.receipt_words(receipt)
    return tone, receipt.source, words


def upload_problem(sizes: Sequence[int], collection: str) -> str | None:
    """Why an upload cannot begin, in words; None when it can.

    Args:
        sizes: bytes of each file.
    """
    if not sizes:
        return "Choose at least one file first."
    if len(sizes) > MAX_FILES:
        return (
            f"These are {len(sizes):,} files; up to {MAX_FILES} go at a time here. "
            "For more, use the command: quoth add FOLDER"
        )
    if sum(sizes) > MAX_TOTAL_MB * 1_000_000:
        return (
            f"These are {wording.size_words(sum(sizes))}; up to {MAX_TOTAL_MB} MB go at a time here. "
            "For more, use the command: quoth add FOLDER"
        )
    if not collection.strip() or collection.startswith("eval-"):
        return f"{wording.literal(repr(collection))} cannot be a collection's name. Choose another."
    return None


def show_notes() -> None:
    """What became of files that needed no reading: refused, unchanged, or stored already."""
    notes: list[Note] | None = st.session_state.get(RESULTS)
    if not notes:
        return
    with st.container(border=True, key="upload-results"):
        for number, (tone, name, words) in enumerate(notes[:100]):
            show_note(tone, name, words, key=f"result-{tone}-{number}")
        if len(notes) > 100:
            st.caption(f"and {len(notes) - 100:,} more")
        st.button("Dismiss", key="dismiss-results", type="tertiary", on_click=_dismiss)


def show_note(tone: wording.Tone, name: str, words: str, *, key: str) -> None:
    """One file and what became of it, on a line of its own."""
    colour, icon = wording.TONES[tone]
    with st.container(horizontal=True, vertical_alignment="top", gap="small", key=key):
        st.markdown(f":{colour}[{icon}]", width="content")
        label = f"**{wording.literal(name)}** \u2002 " if name else ""
        st.markdown(label + wording.literal(words))


def _dismiss() -> None:
    st.session_state.pop(RESULTS, None)
