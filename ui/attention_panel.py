"""What of the documents needs a look: due, expired, suspicious, failing, never used. One report for each kind."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import streamlit as st

from assistant.attention import Attention, Kind, attention
from assistant.gaps import gaps
from evals.case_run import ASKER
from ingest.access import Reader
from ui import wording
from ui.document_panel import TABLE, open_document

if TYPE_CHECKING:
    from assistant.bootstrap import Quoth

UNUSED_DAYS: Final = 90
MOST: Final = 1000  # rows of a report
KINDS: Final[dict[Kind, str]] = {  # what is most urgent first
    "failed": "Could not be taken in",
    "finding": "Suspicious",
    "review": "Review is due",
    "expired": "Expired",
    "expiring": "Expires soon",
    "recognition": "Badly recognised",
    "superseded": "Superseded",
    "not_yet": "Not in force yet",
    "outdated": "Read by an earlier Quoth",
    "unused": f"Not used in {UNUSED_DAYS} days",
}


def show_attention(quoth: Quoth, reader: Reader) -> None:
    """The reports, selecting a line of which opens its document; below them what people asked in vain."""
    _reports(quoth, reader)
    _gaps(quoth, reader)


def _gaps(quoth: Quoth, reader: Reader) -> None:
    since = quoth.database.now() - timedelta(days=UNUSED_DAYS)
    found = gaps(quoth.database, reader, since=since, without=[ASKER])
    if not found:
        return
    st.subheader("Asked, and not answered well", anchor=False)
    st.dataframe(
        [
            {
                "Asked": gap.times,
                "Question": wording.shortened(gap.questions[0], 300),
                "Others like it": wording.shortened(" / ".join(gap.questions[1:]), 600),
                "Not answered": gap.abstained,
                "Unhelpful": gap.unhelpful,
                "Nearest document": gap.source,
                "Owner": gap.owner,
                "Latest": gap.latest_at,
            }
            for gap in found[:MOST]
        ],
        hide_index=True,
        height=min(38 + 35 * len(found), 430),
        column_config={
            "Question": st.column_config.TextColumn(width="large"),
            "Latest": st.column_config.DatetimeColumn(format="D MMM YYYY", width="small"),
        },
        alt="Questions that the documents do not answer well",
        key="gaps",
    )
    st.caption(f"In {UNUSED_DAYS} days, around documents of yours. Questions of one subject stand together.")


def _reports(quoth: Quoth, reader: Reader) -> None:
    found = attention(quoth.database, reader, now=quoth.database.now(), unused_days=UNUSED_DAYS)
    if not found:
        st.success("Nothing needs a look.", icon=":material/check_circle:")
        return
    counts = Counter(one.kind for one in found)
    chosen = st.pills(
        "Report", [kind for kind in KINDS if counts[kind]], key="attention-kind", label_visibility="collapsed",
        format_func=lambda kind: f"{KINDS[kind]} ({counts[kind]:,})",
    )  # fmt: skip
    shown = [one for one in in_order(found) if chosen is None or one.kind == chosen]
    _table(shown[:MOST])
    if len(shown) > MOST:
        st.caption(f"The first {MOST:,} of {len(shown):,}. `quoth attention` lists all.")
    st.caption("Select a line to open its document. A file that never became a document has none; add it again.")


def in_order(found: Sequence[Attention]) -> list[Attention]:
    """The most urgent kinds first, otherwise as given."""
    rank = {kind: number for number, kind in enumerate(KINDS)}
    return sorted(found, key=lambda one: rank.get(one.kind, len(rank)))


def _table(shown: Sequence[Attention]) -> None:
    key = f"attention-{st.session_state.get(TABLE, 0)}-{st.session_state.get('attention-kind')}"

    def choose() -> None:
        rows: Any = st.session_state[key]["selection"]["rows"]
        document = shown[rows[0]].document if rows and rows[0] < len(shown) else None
        if document is not None:
            open_document(document)

    st.dataframe(
        [
            {
                "Document": f"{one.collection}/{one.source}",
                "Report": KINDS.get(one.kind, one.kind),
                "What to do": wording.shortened(one.words, 400),
            }
            for one in shown
        ],
        hide_index=True,
        on_select=choose,
        selection_mode="single-row",
        key=key,
        height=min(38 + 35 * len(shown), 430),
        column_config={
            "Document": st.column_config.TextColumn(width="medium"),
            "Report": st.column_config.TextColumn(width="small"),
            "What to do": st.column_config.TextColumn(width="large"),
        },
        alt="What needs a look",
    )
