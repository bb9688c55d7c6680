"""What is being taken in, live: each file's stage and time left, what became of it, and what to do.

Everything comes from the queue's own rows, so a reload, another window and a restarted server show the same.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

import streamlit as st

from ingest.access import Reader
from ingest.errors import QuothError
from ingest.intake_rows import OPEN, UPLOAD, Item
from ui import wording

if TYPE_CHECKING:
    from assistant.bootstrap import Quoth

EVERY_S: Final = 1.5
SHOWN_FOR: Final = timedelta(minutes=30)  # what ended
LOOKED_AT: Final = 300  # rows
AT_ONCE: Final = (8, 3)  # files shown until more are asked for: while some are under way, and afterwards
CLEARED: Final = "intake_cleared"  # keys of the session's state
ALL: Final = "intake_all"
WAS_OPEN: Final = "intake_was_open"


@dataclass(frozen=True, slots=True)
class Row:
    """A file, and below it what came attached to it."""

    item: Item
    attached: tuple[Item, ...]


def show_intake(quoth: Quoth, reader: Reader) -> None:
    """The panel; it renews itself while something is under way, and the page once that has ended."""
    progress = quoth.intake.progress(by=reader)
    live = bool(progress.waiting or progress.running)
    st.session_state[WAS_OPEN] = live
    st.fragment(_panel, run_every=EVERY_S if live else None)(quoth, reader)


def _panel(quoth: Quoth, reader: Reader) -> None:
    now = quoth.database.now()
    try:
        progress = quoth.intake.progress(by=reader)
        items = quoth.intake.recent(by=reader, limit=LOOKED_AT)
    except QuothError as error:
        st.error(wording.literal(wording.error_words(error)))
        return
    open_now = bool(progress.waiting or progress.running)
    if st.session_state.get(WAS_OPEN) and not open_now:
        st.session_state[WAS_OPEN] = False
        st.rerun(scope="app")  # the list has changed, and nothing needs to be looked at again
    rows = grouped(items, since=max(now - SHOWN_FOR, st.session_state.get(CLEARED, now - SHOWN_FOR)))
    if not rows:
        return
    with st.container(border=True, key="intake", gap="small"):
        _head(quoth, reader, rows, wording.queue_words(progress), open_now)
        shown = rows if st.session_state.get(ALL) else rows[: AT_ONCE[0 if open_now else 1]]
        for row in shown:
            _row(quoth, reader, row.item, now)
            for child in row.attached:
                _row(quoth, reader, child, now, attached=True)
        if len(rows) > len(shown):
            st.button(f"Show all {len(rows):,}", key="intake-all", type="tertiary", on_click=_show_all)


def _head(quoth: Quoth, reader: Reader, rows: Sequence[Row], words: str, open_now: bool) -> None:
    batches = {row.item.batch for row in rows if row.item.state in OPEN}
    with st.container(horizontal=True, vertical_alignment="center", key="intake-head"):
        st.markdown(f"**{'Being taken in' if open_now else 'Taken in lately'}**", width="content")
        st.caption(wording.literal(words) or _tally(rows), width="stretch")
        if open_now:
            if st.button("Cancel all", key="cancel-all", type="tertiary", icon=":material/close:"):
                for batch in batches:
                    quoth.intake.cancel(by=reader, batch=batch)
                st.rerun(scope="app")
        else:
            st.button("Clear", key="clear-intake", type="tertiary", on_click=_clear, args=(quoth,))
    done = total = 0
    for batch in batches:
        part = quoth.intake.progress(by=reader, batch=batch)
        done += part.done + part.failed + part.cancelled
        total += part.done + part.failed + part.cancelled + part.waiting + part.running
    if total > 1:
        st.progress(done / total, text=f"{done:,} of {wording.counted(total, 'file')}")


def _tally(rows: Sequence[Row]) -> str:
    states = [one.state for row in rows for one in (row.item, *row.attached)]
    counts = (
        (states.count("done"), "done"),
        (states.count("failed"), "failed"),
        (states.count("cancelled"), "cancelled"),
    )
    return ", ".join(f"{number:,} {word}" for number, word in counts if number)


def _row(quoth: Quoth, reader: Reader, item: Item, now: datetime, *, attached: bool = False) -> None:
    tone, words = wording.intake_words(item, now)
    colour, icon = wording.TONES[tone]
    kind = "attached" if attached else "file"
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key=f"intake-{kind}-{item.id}"):
        st.markdown(f":{colour}[{':material/attach_file:' if attached and tone == 'busy' else icon}]", width="content")
        with st.container(gap=None, width="stretch"):
            st.markdown(f"**{wording.literal(item.identity.source)}** \u2002 {wording.literal(words)}")
            if item.state == "running" and item.total > 1:
                st.progress(min(max(item.done / item.total, 0.0), 1.0))
        if item.state in OPEN:
            if st.button("Cancel", key=f"cancel-{item.id}", type="tertiary", help="Stop this file"):
                quoth.intake.cancel(by=reader, ids=[item.id])
                st.rerun(scope="app")
        elif can_try_again(item) and st.button("Try again", key=f"again-{item.id}", icon=":material/refresh:"):
            try_again(quoth, reader, item)
            st.rerun(scope="app")


def can_try_again(item: Item) -> bool:
    """Whether the bytes are still there: a service failed on them, or they are a stored document's."""
    if item.state == "failed" and item.sha256 is not None:
        return True
    return item.kind == "reindex" and item.state in ("failed", "cancelled") and item.document is not None


def try_again(quoth: Quoth, reader: Reader, item: Item) -> None:
    """Queue it again.

    Raises:
        UsageError: its document was removed.
    """
    if item.kind == "reindex" and item.document is not None:
        quoth.intake.submit_documents([item.document], "reindex", batch=uuid.uuid4(), by=reader, priority=UPLOAD)
    else:
        quoth.intake.retry([item.id], by=reader)


def grouped(items: Sequence[Item], *, since: datetime) -> list[Row]:
    """Files being read, those that wait as their turn comes, the failed, and the others in the order given.

    Attachments stand below their mail. What ended before `since` is left out.
    """
    kept = [one for one in items if one.state in OPEN or (one.finished_at is not None and one.finished_at > since)]
    mails = {(one.batch, one.identity.collection, one.identity.source) for one in kept if one.parent is None}
    below: dict[tuple[uuid.UUID, str, str], list[Item]] = {}
    top: list[Item] = []
    for one in kept:
        mail = (one.batch, one.identity.collection, one.parent or "")
        if one.parent is not None and mail in mails:
            below.setdefault(mail, []).append(one)
        else:
            top.append(one)
    top.sort(key=_rank)  # stable
    return [
        Row(
            one,
            tuple(
                sorted(
                    below.get((one.batch, one.identity.collection, one.identity.source), ()),
                    key=lambda child: child.number,
                )
            ),
        )
        for one in top
    ]


def _rank(one: Item) -> tuple[int, int]:
    if one.state in OPEN:
        return (0 if one.state == "running" else 1), one.number
    return (2 if one.state == "failed" else 3), 0


def _clear(quoth: Quoth) -> None:
    st.session_state[CLEARED] = quoth.database.now()
    st.session_state.pop(ALL, None)


def _show_all() -> None:
    st.session_state[ALL] = True
