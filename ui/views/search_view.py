"""The page that finds passages, and shows why these: terms, filters, the way taken, each stage's rank, and times."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING, Any, Final

import streamlit as st

from assistant.model import Answer, AnswerId, ConversationId, Passage, Usage
from ingest.access import Reader
from ingest.document_list import Names, names_in_use
from retrieval.model import STAGES, SearchResult, Stage
from retrieval.narrowing import KIND_LABELS, Narrowing, Offer
from ui import wording
from ui.record_sections import STAGE_NAMES
from ui.source_pane import OPEN, OpenSource, show_source

if TYPE_CHECKING:
    from assistant.bootstrap import Quoth

HITS: Final = 10
MAX_QUESTION_CHARACTERS: Final = 2000
EXCERPT_CHARACTERS: Final = 360
NO_ANSWER: Final = AnswerId(uuid.UUID(int=0))
ANY: Final = "Any"
DAY: Final = "YYYY-MM-DD"
ALL: Final = "All collections"
STAGE_LABELS: Final[dict[Stage, str]] = {
    "reranked": "Best first",
    "fused": "Words and meaning",
    "lexical": "Words alone",
    "dense": "Meaning alone",
}
STEPS: Final = {  # of the clock, in the order they are done
    "embed": "Question to vector",
    "mask": "What you may read",
    "lexical": "Words",
    "dense": "Meaning",
    "fuse": "Both together",
    "rerank": "Order",
}
FIELDS: Final = ("search-collection", "search-owner", "search-kind", "search-since", "search-before")


def show(quoth: Quoth, reader: Reader) -> None:
    """Show the page."""
    names = names_in_use(quoth.database, reader)
    st.header("Search", anchor=False)
    if not names.documents:
        st.caption("There are no documents yet.")
        return
    question = st.text_input(
        "Words or a question", key="search-question", max_chars=MAX_QUESTION_CHARACTERS,
        placeholder='notice period   ·   "exact words"   ·   INC-2041   ·   -without',
    )  # fmt: skip
    with st.container(horizontal=True, vertical_alignment="bottom", key="search-bar"):
        stage = st.segmented_control(
            "Order", list(STAGE_LABELS), default="reranked", required=True, format_func=STAGE_LABELS.__getitem__,
            key="search-stage",
        )  # fmt: skip
        collection, narrowing = _filters(names)
    if not question.strip():
        return
    result = quoth.search(question, reader, k=HITS, stage=stage, collection=collection, narrowing=narrowing)
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="search-narrowed"):
        if narrowing or collection:
            st.caption(wording.literal(f"Only {', '.join(result.filters)}"), width="content")
            st.button(
                "Search everything", type="tertiary", on_click=_set, kwargs=dict.fromkeys(FIELDS), key="search-all"
            )
        else:
            _offers(quoth.offers(question, reader))
    for note in result.notes:
        st.info(wording.literal(note), icon=":material/info:")
    if not result.hits:
        st.info("Nothing that you may read matches.")
    opened: OpenSource | None = st.session_state.get(OPEN)
    if opened is None or opened.answer != str(NO_ANSWER) or (opened.passage or 0) >= len(result.hits):
        _hits(result)
        return
    left, right = st.columns([10, 11], gap="large")
    with left:
        _hits(result)
    with right, st.container(key="source-pane"):
        show_source(quoth, reader, _as_answer(result), opened)


def _filters(names: Names) -> tuple[str | None, Narrowing]:
    with st.popover("Narrow", icon=":material/filter_list:", key="search-narrow"):
        collection = st.selectbox("Collection", [ALL, *names.collections], key="search-collection")
        owner = st.selectbox("Owner", [ANY, *names.owners], key="search-owner") if names.owners else ANY
        kind = st.selectbox(
            "Kind of file", [ANY, *KIND_LABELS], format_func=lambda one: KIND_LABELS.get(one, ANY), key="search-kind"
        )
        since = st.date_input("Changed on this day or later", value=None, format=DAY, key="search-since")
        before = st.date_input("Changed before", value=None, format=DAY, key="search-before")
        st.button("Clear", on_click=_set, kwargs=dict.fromkeys(FIELDS), icon=":material/filter_list_off:")
    chosen = Narrowing(
        None if owner == ANY else owner,
        None if kind == ANY else kind,
        since if isinstance(since, date) else None,
        before if isinstance(before, date) else None,
    )
    return None if collection == ALL else collection, chosen


def _set(**values: Any) -> None:
    """Fill in fields of the filter; None clears one."""
    empty: dict[str, Any] = {"search-collection": ALL, "search-owner": ANY, "search-kind": ANY}
    for name, value in values.items():
        st.session_state[name] = empty.get(name) if value is None else value


def _offers(offered: Sequence[Offer]) -> None:
    """What the question's own words suggest to narrow to; nothing is narrowed unasked."""
    for number, offer in enumerate(offered):
        one = offer.narrowing
        given = {
            "search-collection": offer.collection,
            "search-owner": one.owner,
            "search-kind": one.kind,
            "search-since": one.since,
            "search-before": one.before,
        }
        st.button(
            wording.offer_words(offer), key=f"search-offer-{number}", type="tertiary", icon=":material/filter_list:",
            on_click=_set, kwargs={name: value for name, value in given.items() if value},
        )  # fmt: skip


def _hits(result: SearchResult) -> None:
    for at, hit in enumerate(result.hits):
        with st.container(border=True, gap=None, key=f"hit-{at}"):
            st.button(
                wording.literal(f"{hit.rank}. {wording.document_name(hit.title, hit.source)}"), key=f"open-hit-{at}",
                type="tertiary", on_click=_open, args=(at,), help="Show it in its document",
            )  # fmt: skip
            page = f", page {hit.page}" if hit.page else ""
            heading = f"  ·  {' › '.join(hit.heading)}" if hit.heading else ""
            newer = "  ·  superseded" if hit.superseded_by else ""
            changed = wording.date_words(hit.updated)
            st.caption(wording.literal(f"{hit.collection}/{hit.source}{page}{heading}  ·  {changed}{newer}"))
            st.text(wording.excerpt(hit.text, result.question, EXCERPT_CHARACTERS))
    with st.expander("Why these", icon=":material/query_stats:", key="search-why"):
        _why(result)


def _open(at: int) -> None:
    st.session_state[OPEN] = OpenSource(str(NO_ANSWER), passage=at)


def _as_answer(result: SearchResult) -> Answer:
    """The hits as the nearest passages of an answer that says nothing: the source pane opens those."""
    passages = tuple(
        Passage(
            f"P{hit.rank}", hit.source, hit.collection, hit.title, hit.heading, hit.document, hit.version, hit.page,
            hit.start, hit.end, hit.text, (hit.chunk,), hit.updated,
        )
        for hit in result.hits
    )  # fmt: skip
    return Answer(
        NO_ANSWER, ConversationId(NO_ANSWER), result.question, "abstained", "", (), (), passages, None, "", "", None,
        Usage(), {},
    )  # fmt: skip


def _why(result: SearchResult) -> None:
    filters = "; ".join((f"{wording.counted(result.readable_chunks, 'passage')} that you may read", *result.filters))
    st.text(f"Chosen from: {filters}.")
    st.text(f"Neighbours in meaning: {wording.ROUTES[result.route]}")
    if result.idf:
        st.text("Terms looked for, the rarer the weightier:")
        st.dataframe(
            [{"Term": term, "Weight": round(weight, 2)} for term, weight in result.idf.items()], hide_index=True,
            alt="Terms looked for, with their weights",
        )  # fmt: skip
    st.text("Rank in each stage, and its score there; empty: not among those the stage brought.")
    st.dataframe(
        [
            {
                "Passage": f"{hit.rank}. {wording.document_name(hit.title, hit.source)}",
                **{
                    f"{STAGE_NAMES[stage].capitalize()}{what}": given.get(stage)
                    for stage in STAGES
                    for what, given in (("", hit.ranks), (", score", hit.scores))
                },
            }
            for hit in result.hits
        ],
        hide_index=True,
        column_config={
            "Passage": st.column_config.TextColumn(width="large"),
            **{
                f"{name.capitalize()}, score": st.column_config.NumberColumn(format="%.3f")
                for name in STAGE_NAMES.values()
            },
        },
        alt="Each passage's rank and score in every stage of the search",
    )
    took = [f"{label} {result.timings_ms[name]:.1f}" for name, label in STEPS.items() if name in result.timings_ms]
    st.text(f"Milliseconds: {', '.join(took)}; together {result.timings_ms['total']:.1f}.")
