"""The versions of a document: when each was stored, what changed between two, and going back to one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import streamlit as st

from ingest.access import Reader
from ingest.comparing import Change, compare
from ingest.errors import QuothError
from ingest.model import Document
from ui import wording
from ui.marked_text import Mark, MarkedBlock, MarkedPart, show_marked

if TYPE_CHECKING:
    from assistant.bootstrap import Quoth
    from ingest.history import StoredVersion

Say = Callable[[wording.Tone, str], None]
AROUND: Final = 1  # unchanged paragraphs shown before and after a change


def show_versions(quoth: Quoth, reader: Reader, document: Document, say: Say) -> None:
    """The versions, newest first; what changed between two of them; and restoring one."""
    versions = sorted(quoth.history.versions(reader, document.id), key=lambda one: -one.number)
    for version in versions:
        _version(quoth, reader, document, version, say)
    if len(versions) < 2:
        st.caption("There is one version. When the file changes, the former ones stay here.")
        return
    _comparison(quoth, reader, document, versions)


def _version(quoth: Quoth, reader: Reader, document: Document, version: StoredVersion, say: Say) -> None:
    with st.container(horizontal=True, vertical_alignment="center", key=f"version-{version.number}"):
        st.markdown(f"**Version {version.number}**", width="content")
        if version.current:
            st.badge("Answers now", color="green")
        st.caption(wording.literal(wording.version_words(version)), width="stretch")
        if not version.current and st.button(
            "Restore…", key=f"restore-{version.number}", icon=":material/history:", type="tertiary"
        ):
            _confirm_restoring(quoth, reader, document, version, say)


@st.dialog("Restore this version?", icon=":material/history:")
def _confirm_restoring(quoth: Quoth, reader: Reader, document: Document, version: StoredVersion, say: Say) -> None:
    st.markdown(f"**{wording.literal(wording.document_name(document.title, document.source))}**")
    st.markdown(
        f"The bytes of version {version.number} are read again and answer instead of version {document.version}. "
        "No version is lost, so this can be taken back the same way."
    )
    with st.container(horizontal=True, horizontal_alignment="right"):
        if st.button("Leave it", key="leave-version"):
            st.rerun()
        if st.button("Restore", key="confirm-restore", type="primary"):
            try:
                with st.spinner("Reading it"):
                    receipt = quoth.history.restore(document.id, version.number, by=reader)
            except QuothError as error:
                st.error(wording.literal(wording.error_words(error)))
                return
            if receipt.status == "failed":
                say(*wording.receipt_words(receipt))
            else:
                say("good", f"Version {version.number} answers again, as version {receipt.version}.")
            st.rerun()


def _comparison(quoth: Quoth, reader: Reader, document: Document, versions: Sequence[StoredVersion]) -> None:
    numbers = [one.number for one in versions]
    with st.container(horizontal=True, vertical_alignment="bottom", key="compare-bar"):
        old = st.selectbox("What changed from version", numbers, index=1, width=190, key=f"compare-old-{document.id}")
        new = st.selectbox("to version", numbers, index=0, width=190, key=f"compare-new-{document.id}")
    if old == new:
        st.caption("Choose two different versions.")
        return
    before = quoth.catalog.text(reader, document.id, old)
    after = quoth.catalog.text(reader, document.id, new)
    changes = compare(before, after)
    blocks = changed_blocks(changes, before, after)
    if not blocks:
        st.markdown("The words are the same; only what stands around them in the file differs.")
        return
    st.caption(wording.literal(wording.change_words([one.kind for one in changes])))
    with st.container(key="comparison", width=860):
        show_marked(
            blocks, name=f"What changed from version {old} to version {new}", shown=f"{document.id}/{old}/{new}",
            key=f"comparison-{document.id}",
        )  # fmt: skip


def changed_blocks(changes: Sequence[Change], old: str, new: str) -> list[MarkedBlock]:
    """What changed, each with a little of what stayed around it; empty when nothing did."""
    wanted = {
        near
        for at, one in enumerate(changes)
        if one.kind != "same"
        for near in range(at - AROUND, at + AROUND + 1)
        if 0 <= near < len(changes)
    }
    blocks: list[MarkedBlock] = []
    skipped = 0
    for at, change in enumerate(changes):
        if at not in wanted:
            skipped += 1
            continue
        if skipped:
            blocks.append(_gap(skipped))
            skipped = 0
        blocks.append(_block(change, old, new))
    if skipped and blocks:
        blocks.append(_gap(skipped))
    return blocks


def _gap(paragraphs: int) -> MarkedBlock:
    return MarkedBlock("gap", (MarkedPart(f"{wording.counted(paragraphs, 'paragraph')} unchanged"),))


def _block(change: Change, old: str, new: str) -> MarkedBlock:
    if change.kind == "same":
        return MarkedBlock("text", (MarkedPart(new[slice(*change.new)].strip("\n")),))
    if change.kind == "changed":
        marks: dict[str, Mark] = {"same": "", "added": "added", "removed": "removed"}
        parts = [MarkedPart(piece.text, marks[piece.kind]) for piece in change.pieces]
        parts[-1] = replace(parts[-1], text=parts[-1].text.rstrip("\n"))
        return MarkedBlock("changed", tuple(parts))
    text = old[slice(*change.old)] if change.kind == "removed" else new[slice(*change.new)]
    return MarkedBlock(change.kind, (MarkedPart(text.strip("\n"), change.kind),))
